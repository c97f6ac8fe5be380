//! What is dropped is dropped on both sides alike: pairs whose baseline never answered, or whose client
//! did not wait.

use std::time::Duration;

use serde_json::Value;

use crate::eventually;
use crate::support::{Proxy, fixed, hung, json, proxy, status, upstream, writes};

async fn report(proxy: &Proxy) -> Value {
    proxy.get("/control/report").await.json().await.unwrap()
}

/// Shares of failures of baseline and candidate, over so many pairs.
async fn failures(proxy: &Proxy, pairs: u64) -> (f64, f64) {
    eventually!(report(proxy).await["pairs"].as_u64().unwrap() == pairs);
    let errors = &report(proxy).await["errors"];
    (errors["baselineRate"].as_f64().unwrap(), errors["candidateRate"].as_f64().unwrap())
}

/// Sends a request and leaves once the candidate has been asked.
async fn leave(proxy: &Proxy, asked: impl Fn() -> bool) {
    let client = tokio::spawn(proxy.client.get(proxy.url("/")).send());
    eventually!(asked());
    client.abort();
}

#[tokio::test]
async fn a_baseline_that_gives_no_answer_is_a_pair_and_its_own_failure() {
    let candidate = fixed("{}").await;
    for baseline in
        [writes(b"").await, writes(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{").await]
    {
        let proxy = proxy(baseline, candidate.addr, |_| {}).await;
        drop(proxy.get("/").await.bytes().await);
        eventually!(proxy.outcome("baseline_failed").await == 1.0);
        assert_eq!(failures(&proxy, 1).await, (1.0, 0.0));
    }
}

#[tokio::test]
async fn where_neither_side_answers_both_have_failed() {
    let closes = writes(b"").await;
    let proxy = proxy(closes, closes, |_| {}).await;
    for pairs in 1..=5 {
        assert_eq!(proxy.get("/").await.status(), 502);
        assert_eq!(failures(&proxy, pairs).await, (1.0, 1.0));
    }
    assert_eq!(proxy.outcome("baseline_failed").await, 5.0);
    assert_eq!(proxy.status().await["breachStreak"], 0);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_baselines_head_holds_nothing_against_the_candidate() {
    // One candidate that fails, one that answers, one that never does.
    let failing = upstream(|_| async { status(500) }).await;
    for candidate in [failing, fixed("{}").await, hung().await] {
        let baseline = hung().await;
        let proxy = proxy(baseline.addr, candidate.addr, |config| {
            config.mirror.timeout = Duration::from_secs(1);
        })
        .await;
        leave(&proxy, || baseline.count() == 1 && candidate.count() == 1).await;
        eventually!(proxy.outcome("client_aborted").await == 1.0);
        assert_eq!(failures(&proxy, 1).await, (0.0, 0.0));
        let p50 = &report(&proxy).await["latency"]["p50"];
        let [ours, theirs] = ["baselineSeconds", "candidateSeconds"].map(|side| p50[side].as_f64());
        assert!(theirs.unwrap() <= ours.unwrap(), "{theirs:?} after {ours:?}");
        assert_eq!(proxy.status().await["breachStreak"], 0);
    }
}

#[tokio::test]
async fn a_client_that_leaves_after_the_head_leaves_latencies_and_failures_behind() {
    let baseline = upstream(|_| async {
        let mut answer = json("{}");
        // A body that never comes.
        answer.headers_mut().insert("content-length", "1000".parse().unwrap());
        let body = http_body_util::StreamBody::new(futures_util::stream::pending());
        answer.map(|_| http_body_util::BodyExt::boxed(body))
    })
    .await;
    let candidate = upstream(|_| async { status(500) }).await;
    let proxy = proxy(baseline.addr, candidate.addr, |_| {}).await;
    let answer = proxy.get("/").await;
    assert_eq!(answer.status(), 200);
    drop(answer);
    eventually!(proxy.outcome("client_aborted").await == 1.0);
    assert_eq!(failures(&proxy, 1).await, (0.0, 1.0));
    assert_eq!(report(&proxy).await["mismatches"]["compared"], 0);
}
