//! The guardrail over real pairs: it trips, cools down, resumes, and obeys by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::eventually;
use crate::support::{Proxy, Upstream, fixed, json, proxy, status, upstream};

/// A candidate that fails while the switch is on.
async fn switchable() -> (Upstream, Arc<AtomicBool>) {
    let bad = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&bad);
    let candidate = upstream(move |_| {
        let bad = switch.load(Ordering::SeqCst);
        async move { if bad { status(500) } else { json("{}") } }
    })
    .await;
    (candidate, bad)
}

async fn tripping(cooldown: Duration) -> (Proxy, Upstream, Upstream, Arc<AtomicBool>) {
    let baseline = fixed("{}").await;
    let (candidate, bad) = switchable().await;
    let proxy = proxy(baseline.addr, candidate.addr, |config| {
        config.guardrail.consecutive = 5;
        config.guardrail.cooldown = cooldown;
    })
    .await;
    (proxy, baseline, candidate, bad)
}

async fn trip(proxy: &Proxy) {
    eventually!({
        assert_eq!(proxy.get("/shop/7").await.status(), 200, "clients see no error throughout");
        proxy.status().await["state"] == "tripped"
    });
}

#[tokio::test]
async fn consecutive_failures_stop_mirroring_and_say_why() {
    let (proxy, baseline, candidate, _) = tripping(Duration::from_secs(3600)).await;
    trip(&proxy).await;
    let status = proxy.status().await;
    assert_eq!((&status["enabled"], &status["breachConsecutive"]), (&false.into(), &5.into()));
    let reason = status["lastAbortReason"].as_str().unwrap();
    assert!(reason.contains("GET /shop/{id}") && reason.contains("failed"), "{reason}");
    assert!(status["lastAbortTime"].as_str().unwrap().ends_with('Z'));
    assert!(status["cooldownRemainingSeconds"].as_f64().unwrap() > 3500.0);
    assert_eq!(proxy.metric("mirror_enabled", &[]).await, 0.0);
    assert_eq!(proxy.metric("mirror_aborts_total", &[]).await, 1.0);
    let (copies, before) = (candidate.count(), baseline.count());
    for _ in 0..20 {
        proxy.get("/shop/7").await;
    }
    assert_eq!((candidate.count(), baseline.count()), (copies, before + 20));
    assert!(proxy.outcome("disabled").await >= 20.0);
}

#[tokio::test]
async fn after_the_cooldown_the_first_request_of_whatever_kind_resumes() {
    let (proxy, _, candidate, bad) = tripping(Duration::from_millis(300)).await;
    trip(&proxy).await;
    bad.store(false, Ordering::SeqCst);
    eventually!(proxy.status().await["cooldownRemainingSeconds"] == 0);
    assert_eq!(proxy.status().await["state"], "tripped", "nobody has asked yet");
    // A copy of somebody else's is not mirrored itself, and still switches mirroring on.
    proxy.client.get(proxy.url("/")).header("x-mirror", "1").send().await.unwrap();
    assert_eq!(proxy.status().await["state"], "enabled");
    assert_eq!(proxy.metric("mirror_enabled", &[]).await, 1.0);
    let copies = candidate.count();
    proxy.expect_outcome("/shop/7", "matched").await;
    assert_eq!(candidate.count(), copies + 1);
    let status = proxy.status().await;
    assert!(status["lastAbortReason"].is_string(), "the last abort is kept");
}

#[tokio::test]
async fn a_hold_by_hand_survives_the_cooldown_until_it_is_lifted() {
    let (proxy, _, _, bad) = tripping(Duration::from_millis(50)).await;
    trip(&proxy).await;
    bad.store(false, Ordering::SeqCst);
    let tripped = proxy.status().await;
    proxy.control("disable").await;
    tokio::time::sleep(Duration::from_millis(60)).await;
    proxy.get("/").await;
    let held = proxy.status().await;
    assert_eq!(held["state"], "held");
    assert_eq!(held["lastAbortReason"], tripped["lastAbortReason"]);
    assert_eq!(proxy.metric("mirror_aborts_total", &[]).await, 1.0);
    proxy.control("enable").await;
    proxy.expect_outcome("/", "matched").await;
}

#[tokio::test]
async fn copies_that_wait_when_mirroring_stops_are_not_sent() {
    let candidate = crate::support::hung().await;
    let proxy = proxy(fixed("{}").await.addr, candidate.addr, |config| {
        config.mirror.concurrency = 1;
        config.mirror.timeout = Duration::from_millis(500);
    })
    .await;
    for _ in 0..3 {
        proxy.get("/").await;
    }
    eventually!(candidate.count() == 1);
    proxy.control("disable").await;
    eventually!(proxy.outcome("disabled").await == 2.0);
    assert_eq!(candidate.count(), 1);
}

#[tokio::test]
async fn a_candidate_slower_than_ratio_and_floor_trips_by_latency() {
    let slow = upstream(|_| async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        json("{}")
    })
    .await;
    let proxy = proxy(fixed("{}").await.addr, slow.addr, |config| {
        config.guardrail.consecutive = 3;
        config.guardrail.latency_ratio = 1.15;
        config.guardrail.latency_floor = Duration::from_millis(2);
        config.guardrail.cooldown = Duration::from_secs(3600);
    })
    .await;
    trip(&proxy).await;
    let status = proxy.status().await;
    let reason = status["lastAbortReason"].as_str().unwrap();
    assert!(reason.contains("latency") && reason.contains("1.15"), "{reason}");
}

#[tokio::test]
async fn both_sides_failing_alike_is_no_breach() {
    let bad = || upstream(|_| async { status(503) });
    let proxy = proxy(bad().await.addr, bad().await.addr, |config| {
        config.guardrail.consecutive = 1;
    })
    .await;
    for _ in 0..5 {
        proxy.expect_outcome("/", "matched").await;
    }
    assert_eq!(proxy.status().await["state"], "enabled");
}
