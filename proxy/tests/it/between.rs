//! Candidates that are compared with each other.

use std::net::SocketAddr;

use proxy::policy::Candidate;

use crate::eventually;
use crate::support::{Proxy, fixed, hung, proxy, target};

async fn three(candidates: [(&str, SocketAddr); 2], compare: bool) -> Proxy {
    let baseline = fixed(r#"{"a":1}"#).await.addr;
    let first = candidates[0].1;
    proxy(baseline, first, |config| {
        config.candidates =
            candidates.map(|(name, addr)| Candidate::new(name, target(addr))).to_vec();
        config.compare_candidates = compare;
        config.mirror.timeout = std::time::Duration::from_millis(500);
    })
    .await
}

async fn pairs(proxy: &Proxy, result: &str) -> f64 {
    let labels = ["candidate=\"v3\"", "against=\"v2\"", &format!("result=\"{result}\"")];
    proxy.metric("mirror_candidate_pairs_total", &labels).await
}

#[tokio::test]
async fn two_candidates_that_agree_and_both_differ_from_the_baseline_match_each_other() {
    let same = fixed(r#"{"a":2}"#).await.addr;
    let proxy = three([("v2", same), ("v3", same)], true).await;
    proxy.get("/").await;
    eventually!(pairs(&proxy, "matched").await == 1.0);
    assert_eq!(proxy.outcome("mismatched").await, 2.0);
    let report = proxy.get("/control/report?candidate=v3&against=v2").await;
    let report: serde_json::Value = report.json().await.unwrap();
    assert_eq!(
        (&report["pairs"], &report["mismatches"]["raw"]),
        (&1.into(), &0.into()),
        "{report}"
    );
}

#[tokio::test]
async fn two_candidates_that_differ_have_a_report_that_says_where() {
    let (one, two) = (fixed(r#"{"a":1}"#).await.addr, fixed(r#"{"a":2}"#).await.addr);
    let proxy = three([("v2", one), ("v3", two)], true).await;
    proxy.get("/").await;
    eventually!(pairs(&proxy, "mismatched").await == 1.0);
    let report = proxy.get("/control/report?candidate=v3&against=v2").await;
    let report: serde_json::Value = report.json().await.unwrap();
    assert_eq!(report["routes"][0]["fields"][0]["field"], "$['a']", "{report}");
    let other = proxy.get("/control/report?candidate=v2&against=v3").await;
    assert_eq!(other.status(), 404);
    assert!(other.text().await.unwrap().contains("candidate=v3&against=v2"));
}

#[tokio::test]
async fn a_candidate_that_hangs_takes_nothing_from_the_other() {
    let same = fixed(r#"{"a":1}"#).await.addr;
    let proxy = three([("v2", same), ("v3", hung().await.addr)], true).await;
    for _ in 0..20 {
        proxy.get("/").await;
    }
    eventually!(proxy.outcome("matched").await == 20.0);
    eventually!(proxy.outcome("candidate_timeout").await == 20.0);
    assert_eq!(pairs(&proxy, "matched").await, 0.0);
    eventually!(proxy.metric("mirror_buffered_bytes", &[]).await == 0.0);
}

#[tokio::test]
async fn nothing_is_compared_between_candidates_unless_it_is_asked_for() {
    let same = fixed(r#"{"a":1}"#).await.addr;
    let proxy = three([("v2", same), ("v3", same)], false).await;
    proxy.get("/").await;
    eventually!(proxy.outcome("matched").await == 2.0);
    assert_eq!(pairs(&proxy, "matched").await, 0.0);
    let report = proxy.get("/control/report?candidate=v3&against=v2").await;
    assert_eq!(report.status(), 404);
}
