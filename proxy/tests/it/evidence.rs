//! The guardrail's evidence over real pairs: a bad route stops alone, and everybody who should know
//! is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proxy::observe::webhook::Webhook;
use serde_json::Value;

use crate::eventually;
use crate::support::{Proxy, Upstream, fixed, json, proxy, status, upstream};

/// A candidate that fails under `/bad`, in two of three requests, so that there is no run of five.
async fn bad_under_one_path() -> Upstream {
    let asked = Arc::new(AtomicUsize::new(0));
    upstream(move |request| {
        let asked = Arc::clone(&asked);
        async move {
            let bad = request.target.starts_with("/bad");
            let failing = bad && !asked.fetch_add(1, Ordering::SeqCst).is_multiple_of(3);
            if failing { status(500) } else { json("{}") }
        }
    })
    .await
}

async fn until_the_bad_route_stops(proxy: &Proxy) {
    eventually!({
        proxy.get("/bad").await;
        for _ in 0..4 {
            proxy.get("/good").await;
        }
        proxy.metric("mirror_route_enabled", &["route=\"GET /bad\""]).await == 0.0
    });
}

#[tokio::test]
async fn a_bad_route_stops_alone_and_says_why() {
    let (baseline, candidate) = (fixed("{}").await, bad_under_one_path().await);
    let proxy = proxy(baseline.addr, candidate.addr, |config| {
        config.guardrail.consecutive = 5;
        config.guardrail.cooldown = Duration::from_secs(3600);
    })
    .await;
    until_the_bad_route_stops(&proxy).await;
    assert_eq!(proxy.metric("mirror_enabled", &[]).await, 1.0);
    assert_eq!(proxy.metric("mirror_aborts_total", &[]).await, 0.0);
    assert_eq!(proxy.metric("mirror_route_aborts_total", &["route=\"GET /bad\""]).await, 1.0);
    assert_eq!(proxy.metric("mirror_route_enabled", &["route=\"GET /good\""]).await, 1.0);

    let copies = candidate.seen().iter().filter(|seen| seen.target == "/bad").count();
    for _ in 0..10 {
        proxy.get("/bad").await;
    }
    proxy.expect_outcome("/good", "matched").await;
    let now = candidate.seen().iter().filter(|seen| seen.target == "/bad").count();
    assert_eq!(now, copies, "the stopped route is not mirrored, the other one is");

    let status = proxy.status().await;
    assert_eq!((&status["enabled"], &status["state"]), (&true.into(), &"enabled".into()));
    let bad = &status["routes"][0];
    assert_eq!((&bad["route"], &bad["enabled"]), (&"GET /bad".into(), &false.into()));
    assert!(bad["cooldownRemainingSeconds"].as_f64().unwrap() > 3500.0);
    let trip = &status["lastTrip"];
    assert_eq!((&trip["scope"], &trip["rule"]), (&"route".into(), &"evidence".into()));
    assert_eq!(trip["evidence"]["signal"], "errors");
    assert!(trip["evidence"]["value"].as_f64() >= trip["evidence"]["threshold"].as_f64());
    assert!(trip["candidate"]["failureRate"].as_f64().unwrap() > 0.3);
    assert_eq!(trip["baseline"]["failureRate"], 0.0);
    assert_eq!(trip["examples"].as_array().unwrap().len(), 5);
    assert!(trip["next"].as_str().unwrap().contains("resumes"));
    assert!(trip["nextTime"].as_str().unwrap().ends_with('Z'));

    proxy.control("enable").await;
    assert_eq!(proxy.metric("mirror_route_enabled", &["route=\"GET /bad\""]).await, 1.0);
    eventually!({
        proxy.get("/bad").await;
        candidate.seen().iter().filter(|seen| seen.target == "/bad").count() > copies
    });
}

async fn events(proxy: &Proxy) -> Vec<String> {
    let answer = proxy.get("/control/events").await;
    let body: Value = answer.json().await.unwrap();
    let events = body["events"].as_array().unwrap().clone();
    events.iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn events_are_listed_and_bounded() {
    let upstream = fixed("{}").await;
    let proxy = proxy(upstream.addr, upstream.addr, |_| {}).await;
    assert!(events(&proxy).await.is_empty());
    proxy.control("disable").await;
    proxy.control("enable").await;
    assert_eq!(events(&proxy).await, ["disabled", "enabled"]);
    for _ in 0..60 {
        proxy.control("disable").await;
        proxy.control("enable").await;
    }
    assert_eq!(events(&proxy).await.len(), 100);
}

#[tokio::test]
async fn a_webhook_is_told_again_after_a_failure() {
    let asked = Arc::new(AtomicUsize::new(0));
    let hook = upstream(move |_| {
        let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
        async move { if first { status(503) } else { json("{}") } }
    })
    .await;
    let upstream = fixed("{}").await;
    let url = format!("http://{}/hook/s3cret?x=1", hook.addr);
    let proxy = proxy(upstream.addr, upstream.addr, |config| {
        config.webhook = Some(Webhook::parse(&url).unwrap());
    })
    .await;
    proxy.control("disable").await;
    eventually!(hook.count() == 2);
    for seen in hook.seen() {
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/hook/s3cret?x=1"));
        assert_eq!(seen.headers["content-type"], "application/json");
        let event: Value = serde_json::from_slice(&seen.body).unwrap();
        assert_eq!(event["event"], "disabled");
    }
}

#[tokio::test]
async fn a_webhook_that_never_answers_is_in_nobodys_way() {
    let (upstream, hook) = (fixed("{}").await, crate::support::hung().await);
    let url = format!("http://{}/", hook.addr);
    let proxy = proxy(upstream.addr, upstream.addr, |config| {
        config.webhook = Some(Webhook::parse(&url).unwrap());
    })
    .await;
    for _ in 0..100 {
        assert_eq!(proxy.control("disable").await.status(), 200);
        assert_eq!(proxy.control("enable").await.status(), 200);
    }
    assert_eq!(proxy.get("/").await.status(), 200);
    assert!(hook.count() <= 1, "one at a time");
}

#[tokio::test]
async fn with_a_ramp_mirroring_comes_back_on_probation() {
    let baseline = fixed("{}").await;
    let candidate = upstream(|_| async { status(500) }).await;
    let proxy = proxy(baseline.addr, candidate.addr, |config| {
        config.guardrail.consecutive = 5;
        config.guardrail.cooldown = Duration::from_millis(20);
        config.guardrail.ramp = Some(Duration::from_secs(3600));
    })
    .await;
    eventually!({
        proxy.get("/").await;
        proxy.status().await["state"] == "probation"
    });
    let status = proxy.status().await;
    assert_eq!(status["enabled"], true);
    assert_eq!(proxy.metric("mirror_enabled", &[]).await, 1.0);
    let before = proxy.outcome("not_sampled").await;
    for _ in 0..40 {
        proxy.get("/").await;
    }
    assert!(proxy.outcome("not_sampled").await > before, "only a share is mirrored");
}

#[tokio::test]
async fn differences_above_the_allowed_rate_stop_mirroring() {
    let (baseline, candidate) = (fixed("{\"a\":1}").await, fixed("{\"a\":2}").await);
    let proxy = proxy(baseline.addr, candidate.addr, |config| {
        config.guardrail.consecutive = 5;
        config.guardrail.mismatch_rate = Some(0.05);
    })
    .await;
    eventually!({
        proxy.get("/").await;
        proxy.status().await["lastTrip"]["evidence"]["signal"] == "mismatches"
    });
}
