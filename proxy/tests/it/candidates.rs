//! Several candidates: each gets copies of its own, is judged by itself, and takes nothing from another.

use std::net::SocketAddr;
use std::time::Duration;

use proxy::config::Config;
use proxy::policy::Candidate;

use crate::eventually;
use crate::support::{Proxy, fixed, hung, proxy, status, target, upstream};

/// A proxy with these candidates, `v2` and `v3`.
async fn two(
    baseline: SocketAddr,
    candidates: [SocketAddr; 2],
    configure: impl FnOnce(&mut Config),
) -> Proxy {
    proxy(baseline, candidates[0], |config| {
        let named = ["v2", "v3"].into_iter().zip(candidates);
        config.candidates = named.map(|(name, addr)| Candidate::new(name, target(addr))).collect();
        configure(config);
    })
    .await
}

async fn of(proxy: &Proxy, candidate: &str, outcome: &str) -> f64 {
    let labels = [&*format!("candidate=\"{candidate}\""), &*format!("outcome=\"{outcome}\"")];
    proxy.metric("mirror_outcomes_total", &labels).await
}

/// All outcomes of a candidate.
async fn all_of(proxy: &Proxy, candidate: &str) -> f64 {
    proxy.metric("mirror_outcomes_total", &[&format!("candidate=\"{candidate}\"")]).await
}

async fn post(proxy: &Proxy, path: &str, body: String) -> reqwest::Response {
    proxy.client.post(proxy.url(path)).body(body).send().await.unwrap()
}

#[tokio::test]
async fn each_candidate_gets_the_whole_request_and_the_baseline_is_asked_once() {
    let (baseline, v2, v3) = (fixed("1").await, fixed("1").await, fixed("2").await);
    let proxy = two(baseline.addr, [v2.addr, v3.addr], |_| {}).await;
    let body = "x".repeat(100_000);
    assert_eq!(post(&proxy, "/a?b=c", body.clone()).await.status(), 200);
    eventually!(of(&proxy, "v2", "matched").await == 1.0);
    eventually!(of(&proxy, "v3", "mismatched").await == 1.0);
    assert_eq!(baseline.count(), 1);
    for candidate in [&v2, &v3] {
        let seen = &candidate.seen()[0];
        assert_eq!((seen.target.as_str(), seen.body.len()), ("/a?b=c", body.len()));
        assert_eq!(seen.headers["x-mirror"], "1");
    }
    for (name, target) in [("v2", 1.0), ("v3", 1.0), ("baseline", 1.0)] {
        let labels = ["route=\"POST /a\"", &format!("target=\"{name}\"")];
        assert_eq!(proxy.metric("mirror_requests_total", &labels).await, target, "{name}");
    }
}

#[tokio::test]
async fn a_candidate_that_hangs_takes_no_queue_slot_or_byte_from_another() {
    let (baseline, well) = (fixed("1").await, fixed("1").await);
    let stuck = hung().await;
    let proxy = two(baseline.addr, [stuck.addr, well.addr], |config| {
        (config.mirror.queue_size, config.mirror.concurrency) = (4, 2);
        config.mirror.buffer_bytes = 4 << 20;
        config.mirror.timeout = Duration::from_secs(60);
    })
    .await;
    for _ in 0..40 {
        post(&proxy, "/", "y".repeat(200_000)).await;
        // One after the other, so that the well one has room for each.
        eventually!(all_of(&proxy, "v3").await == baseline.count() as f64);
    }
    assert_eq!(of(&proxy, "v3", "matched").await, 40.0, "{:?}", proxy.outcomes().await);
    let lost = of(&proxy, "v2", "dropped_queue_full").await
        + of(&proxy, "v2", "dropped_buffer_full").await;
    assert!(lost > 30.0, "{:?}", proxy.outcomes().await);
}

#[tokio::test]
async fn one_is_stopped_alone_and_the_other_goes_on() {
    let (baseline, well) = (fixed("1").await, fixed("1").await);
    let bad = upstream(|_| async { status(500) }).await;
    let proxy =
        two(baseline.addr, [bad.addr, well.addr], |config| config.guardrail.consecutive = 5).await;
    while proxy.metric("mirror_enabled", &["candidate=\"v2\""]).await == 1.0 {
        proxy.get("/").await;
    }
    let before = of(&proxy, "v3", "matched").await;
    proxy.get("/").await;
    eventually!(of(&proxy, "v3", "matched").await > before);
    assert!(of(&proxy, "v2", "disabled").await >= 1.0);
    assert_eq!(proxy.metric("mirror_enabled", &["candidate=\"v3\""]).await, 1.0);
    assert_eq!(proxy.metric("mirror_aborts_total", &["candidate=\"v2\""]).await, 1.0);
    assert_eq!(proxy.metric("mirror_aborts_total", &["candidate=\"v3\""]).await, 0.0);
    let status = proxy.status().await;
    assert_eq!(status["enabled"], true, "as long as one is mirrored to");
    assert_eq!(status["candidates"][0]["state"], "tripped");
    assert_eq!(status["candidates"][1]["state"], "enabled");
    let events: serde_json::Value = proxy.get("/control/events").await.json().await.unwrap();
    assert_eq!(events["events"][0]["candidate"], "v2");
}

#[tokio::test]
async fn outcomes_add_up_to_the_requests_for_each_candidate() {
    let (baseline, v2) = (fixed("1").await, fixed("1").await);
    let failing = upstream(|_| async { status(503) }).await;
    let proxy = two(baseline.addr, [v2.addr, failing.addr], |config| {
        config.mirror.fraction = 0.5;
        config.mirror.max_body_bytes = 1000;
    })
    .await;
    for request in 0..60_usize {
        post(&proxy, "/", "z".repeat(request * 30)).await;
        proxy.get("/").await;
    }
    for name in ["v2", "v3"] {
        eventually!(all_of(&proxy, name).await == 120.0);
        let sent = proxy.metric("mirror_requests_total", &[&format!("target=\"{name}\"")]).await;
        let mirrored = of(&proxy, name, "matched").await
            + of(&proxy, name, "mismatched").await
            + of(&proxy, name, "candidate_failed").await;
        assert_eq!(sent, mirrored, "{name}: {:?}", proxy.outcomes().await);
    }
}

#[tokio::test]
async fn one_is_switched_by_hand_alone_or_on_one_route_alone() {
    let (baseline, v2, v3) = (fixed("1").await, fixed("1").await, fixed("1").await);
    let proxy = two(baseline.addr, [v2.addr, v3.addr], |_| {}).await;
    for path in ["/a", "/b"] {
        proxy.get(path).await;
    }
    eventually!(of(&proxy, "v3", "matched").await == 2.0);
    proxy.control("disable?candidate=v2").await;
    proxy.control("disable?candidate=v3&route=GET%20/a").await;
    for path in ["/a", "/b"] {
        proxy.get(path).await;
    }
    eventually!(of(&proxy, "v2", "disabled").await == 2.0);
    eventually!(of(&proxy, "v3", "disabled").await == 1.0);
    eventually!(of(&proxy, "v3", "matched").await == 3.0);
    let status = proxy.status().await;
    assert_eq!(status["candidates"][0]["state"], "held");
    assert_eq!(status["candidates"][1]["routes"][0]["state"], "held");
    proxy.control("enable").await;
    proxy.get("/a").await;
    eventually!(of(&proxy, "v2", "matched").await == 3.0);
    eventually!(of(&proxy, "v3", "matched").await == 4.0);
    for wrong in ["disable?candidate=v9", "disable?route=GET%20/none", "disable?cand=v2"] {
        assert!(proxy.control(wrong).await.status().is_client_error(), "{wrong}");
    }
}

#[tokio::test]
async fn a_panic_on_one_lane_costs_the_others_nothing() {
    let (baseline, v2, v3) = (fixed("1").await, fixed("1").await, fixed("1").await);
    let calls = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let probe: proxy::mirror::Failpoint = std::sync::Arc::new(move |stage| {
        let first = stage == proxy::mirror::Stage::Admit
            && calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed).is_multiple_of(2);
        assert!(!first, "on purpose");
    });
    let candidates = [("v2", v2.addr), ("v3", v3.addr)];
    let proxy = crate::support::probed(
        baseline.addr,
        v2.addr,
        |config| {
            config.candidates =
                candidates.map(|(name, addr)| Candidate::new(name, target(addr))).to_vec();
        },
        Some(probe),
    )
    .await;
    assert_eq!(proxy.get("/").await.status(), 200);
    eventually!(of(&proxy, "v3", "matched").await == 1.0);
    assert_eq!(of(&proxy, "v2", "internal_error").await, 1.0);
}
