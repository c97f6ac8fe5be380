//! The noise probe: a second baseline is asked beside, and nobody notices.

mod hidden;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proxy::config::Config;
use proxy::mirror::{Failpoint, Stage};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::eventually;
use crate::support::{
    Proxy, Upstream, fixed, hung, in_time, json, probed, proxy, refusing, status, target, text,
    upstream,
};

/// Requests to the secondary at once.
const AT_ONCE: f64 = 8.0;

/// With a second baseline that is always asked.
fn asking(secondary: SocketAddr) -> impl FnOnce(&mut Config) {
    move |config| {
        config.secondary = Some(target(secondary));
        config.mirror.noise_fraction = 1.0;
    }
}

impl Proxy {
    async fn noise(&self, result: &str) -> f64 {
        self.metric("mirror_noise_pairs_total", &[&format!("result=\"{result}\"")]).await
    }

    async fn all_noise(&self) -> f64 {
        self.metric("mirror_noise_pairs_total", &[]).await
    }

    /// Sends so many requests, one after the other, and waits for the outcome of each.
    async fn matches(&self, requests: u32) {
        for _ in 0..requests {
            in_time(self.expect_outcome("/", "matched")).await;
        }
    }
}

/// An upstream whose answers all differ in one field.
async fn random(first: u64) -> Upstream {
    let next = Arc::new(AtomicU64::new(first));
    upstream(move |_| {
        let id = next.fetch_add(1, Ordering::Relaxed);
        async move { json(&format!("{{\"id\":{id},\"price\":5}}")) }
    })
    .await
}

#[tokio::test]
async fn a_field_that_is_random_on_all_three_shows_as_noise() {
    let (baseline, candidate) = (random(0).await, random(1000).await);
    let secondary = random(2000).await;
    let proxy = proxy(baseline.addr, candidate.addr, asking(secondary.addr)).await;
    for _ in 0..10 {
        in_time(proxy.expect_outcome("/", "mismatched")).await;
    }
    eventually!(proxy.noise("differed").await == 10.0);
    assert_eq!(proxy.all_noise().await, 10.0, "each probe is counted once");
}

/// Sends requests until mirroring stops, or so many; the signal that stopped it.
async fn stopped_by(
    candidate: SocketAddr,
    secondary: Option<SocketAddr>,
    requests: u32,
) -> Option<String> {
    let proxy = proxy(random(0).await.addr, candidate, |config| {
        if let Some(secondary) = secondary {
            asking(secondary)(config);
        }
        config.guardrail.consecutive = 5;
        config.guardrail.mismatch_rate = Some(0.01);
    })
    .await;
    for sent in 1..=requests {
        in_time(proxy.get("/")).await;
        let mismatched = f64::from(sent);
        eventually!(proxy.outcome("mismatched").await == mismatched);
        eventually!(secondary.is_none() || proxy.noise("differed").await == mismatched);
        let trip = &proxy.status().await["lastTrip"];
        if !trip.is_null() {
            return trip["evidence"]["signal"].as_str().map(str::to_owned);
        }
    }
    None
}

#[tokio::test]
async fn a_field_that_is_random_on_all_three_is_no_evidence_and_another_one_is() {
    let mismatches = Some("mismatches".to_owned());
    assert_eq!(stopped_by(random(1000).await.addr, None, 40).await, mismatches);
    let second = || async { Some(random(2000).await.addr) };
    assert_eq!(stopped_by(random(1000).await.addr, second().await, 40).await, None);
    let next = Arc::new(AtomicU64::new(1000));
    let dearer = upstream(move |_| {
        let id = next.fetch_add(1, Ordering::Relaxed);
        async move { json(&format!("{{\"id\":{id},\"price\":6}}")) }
    });
    assert_eq!(stopped_by(dearer.await.addr, second().await, 40).await, mismatches);
}

#[tokio::test]
async fn nothing_is_held_against_the_candidate_before_it_is_known_what_is_noise() {
    let secondary = random(2000).await;
    let proxy = proxy(random(0).await.addr, random(1000).await.addr, |config| {
        asking(secondary.addr)(config);
        // So seldom that it is never asked.
        config.mirror.noise_fraction = 1e-9;
        config.guardrail.consecutive = 5;
        config.guardrail.mismatch_rate = Some(0.01);
    })
    .await;
    for _ in 0..40 {
        in_time(proxy.get("/")).await;
    }
    eventually!(proxy.outcome("mismatched").await == 40.0);
    let status = proxy.status().await;
    assert_eq!((&status["state"], &status["lastTrip"]), (&"enabled".into(), &Value::Null));
}

#[tokio::test]
async fn two_baselines_that_agree_are_no_noise_whatever_the_candidate_says() {
    let secondary = fixed(r#"{"price": 5, "timestamp": 2}"#).await;
    let baseline = fixed(r#"{"timestamp": 1, "price": 5}"#).await;
    let proxy =
        proxy(baseline.addr, fixed(r#"{"price":6}"#).await.addr, asking(secondary.addr)).await;
    for _ in 0..3 {
        in_time(proxy.expect_outcome("/", "mismatched")).await;
    }
    eventually!(proxy.noise("matched").await == 3.0);
    assert_eq!(proxy.all_noise().await, 3.0);
}

#[tokio::test]
async fn the_secondary_gets_what_the_candidate_gets() {
    let (candidate, secondary) = (fixed("{}").await, fixed("{}").await);
    let proxy = proxy(fixed("{}").await.addr, candidate.addr, asking(secondary.addr)).await;
    let body = vec![b'x'; 100_000];
    let request = proxy.client.put(proxy.url("/cart?of=me")).header("x-own", "1");
    assert_eq!(in_time(request.body(body.clone()).send()).await.unwrap().status(), 200);
    eventually!(proxy.noise("matched").await == 1.0);
    let (copy, asked) = (candidate.seen().remove(0), secondary.seen().remove(0));
    assert_eq!((&asked.method, &asked.target), (&copy.method, &copy.target));
    assert!(asked.body == body && copy.body == body);
    assert_eq!(asked.headers["x-mirror"], "1");
    assert_eq!(asked.headers["host"], secondary.addr.to_string());
    for (name, value) in &copy.headers {
        assert!(name == "host" || asked.headers.get(name) == Some(value), "{name}");
    }
}

#[tokio::test]
async fn only_the_share_is_asked() {
    for (fraction, asked) in [(0.0, 0), (1.0, 20)] {
        let secondary = fixed("{}").await;
        let proxy = proxy(fixed("{}").await.addr, fixed("{}").await.addr, |config| {
            asking(secondary.addr)(config);
            config.mirror.noise_fraction = fraction;
        })
        .await;
        proxy.matches(20).await;
        eventually!(proxy.all_noise().await == f64::from(asked));
        assert_eq!(secondary.count(), usize::try_from(asked).unwrap());
    }
}

#[tokio::test]
async fn what_is_not_mirrored_is_not_asked() {
    let secondary = fixed("{}").await;
    let proxy = proxy(fixed("{}").await.addr, fixed("{}").await.addr, |config| {
        asking(secondary.addr)(config);
        config.mirror.methods = Some(vec![http::Method::POST]);
    })
    .await;
    in_time(proxy.expect_outcome("/", "method_excluded")).await;
    in_time(proxy.post("/", "{}")).await;
    eventually!(proxy.noise("matched").await == 1.0);
    assert_eq!((secondary.count(), proxy.all_noise().await), (1, 1.0));
}

#[tokio::test]
async fn a_secondary_that_hangs_takes_nothing_from_clients_and_pairs_and_has_a_bound() {
    let secondary = hung().await;
    let proxy = proxy(fixed("{}").await.addr, fixed("{}").await.addr, |config| {
        asking(secondary.addr)(config);
        config.mirror.timeout = Duration::from_secs(3600);
        config.mirror.concurrency = 1;
    })
    .await;
    proxy.matches(40).await;
    eventually!(proxy.noise("skipped").await == 40.0 - AT_ONCE);
    eventually!(secondary.count() == 8);
    assert_eq!(proxy.all_noise().await, 40.0 - AT_ONCE, "the others are under way");
    assert_eq!(proxy.metric("mirror_copies_in_flight", &[]).await, 0.0);
    assert!(proxy.metric("mirror_buffered_bytes", &[]).await < AT_ONCE * 40_000.0);
    assert_eq!(proxy.outcomes().await, [("matched".to_owned(), 40.0)]);
}

#[tokio::test]
async fn a_secondary_without_an_answer_in_time_has_failed_and_gives_everything_back() {
    let secondary = hung().await;
    let proxy = proxy(fixed("{}").await.addr, fixed("{}").await.addr, |config| {
        asking(secondary.addr)(config);
        config.mirror.timeout = Duration::from_secs(2);
    })
    .await;
    proxy.matches(3).await;
    eventually!(proxy.noise("failed").await == 3.0);
    eventually!(proxy.metric("mirror_buffered_bytes", &[]).await == 0.0);
    assert_eq!(proxy.outcomes().await, [("matched".to_owned(), 3.0)]);
}

#[tokio::test]
async fn a_secondary_that_refuses_or_fails_is_no_evidence() {
    for (secondary, result) in
        [(refusing(), "failed"), (upstream(|_| async { status(500) }).await.addr, "differed")]
    {
        let proxy = proxy(fixed("{}").await.addr, fixed("{}").await.addr, |config| {
            asking(secondary)(config);
            config.guardrail.consecutive = 1;
        })
        .await;
        proxy.matches(10).await;
        eventually!(proxy.noise(result).await == 10.0);
        let status = proxy.status().await;
        assert_eq!((&status["state"], &status["breachStreak"]), (&"enabled".into(), &0.into()));
        assert_eq!(proxy.outcomes().await, [("matched".to_owned(), 10.0)]);
        assert_eq!(proxy.metric("mirror_copies_limit", &[]).await, 64.0);
    }
}

#[tokio::test]
async fn the_outcome_does_not_wait_for_the_secondary_and_its_answer_is_compared_later() {
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let secondary = upstream(move |_| {
        let gate = Arc::clone(&opened);
        async move {
            gate.acquire().await.unwrap().forget();
            text("the same")
        }
    })
    .await;
    let same = || upstream(|_| async { text("the same") });
    let proxy = proxy(same().await.addr, same().await.addr, asking(secondary.addr)).await;
    proxy.matches(1).await;
    eventually!(secondary.count() == 1);
    assert_eq!(proxy.all_noise().await, 0.0);
    assert!(proxy.metric("mirror_buffered_bytes", &[]).await > 0.0, "kept, and paid for");
    gate.add_permits(1);
    eventually!(proxy.noise("matched").await == 1.0);
    eventually!(proxy.metric("mirror_buffered_bytes", &[]).await == 0.0);
}

#[tokio::test]
async fn without_a_pair_there_is_nothing_to_compare() {
    let proxy = proxy(fixed("{}").await.addr, refusing(), asking(fixed("{}").await.addr)).await;
    in_time(proxy.expect_outcome("/", "candidate_failed")).await;
    eventually!(proxy.noise("not_compared").await == 1.0);
    assert_eq!(proxy.all_noise().await, 1.0);
}

#[tokio::test]
async fn without_room_in_the_budget_the_secondary_is_not_asked() {
    let secondary = fixed("{}").await;
    let proxy = proxy(fixed("{}").await.addr, fixed("{}").await.addr, |config| {
        asking(secondary.addr)(config);
        // Room for one head, and little more.
        config.mirror.buffer_bytes = 12_000;
    })
    .await;
    proxy.matches(3).await;
    eventually!(proxy.noise("skipped").await == 3.0);
    assert_eq!(secondary.count(), 0);
}

#[tokio::test]
async fn a_panic_in_the_probe_stays_there() {
    let probe: Failpoint = Arc::new(|stage| assert!(stage != Stage::Noise, "planted"));
    let (baseline, secondary) = (fixed("{}").await, fixed("{}").await);
    let configure = asking(secondary.addr);
    let proxy = probed(baseline.addr, fixed("{}").await.addr, configure, Some(probe)).await;
    proxy.matches(10).await;
    eventually!(proxy.noise("not_compared").await == 10.0);
    eventually!(proxy.metric("mirror_buffered_bytes", &[]).await == 0.0);
    assert_eq!(proxy.outcomes().await, [("matched".to_owned(), 10.0)]);
}
