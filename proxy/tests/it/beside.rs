//! What mirrors are known to get wrong with bodies and with several candidates.

use std::convert::Infallible;

use bytes::Bytes;

use crate::eventually;
use crate::live::{all, candidate, file, live, route};
use crate::support::fixed;

#[tokio::test]
async fn without_a_body_the_copy_says_so_however_the_request_declares_its_own() {
    let (baseline, two, three) = (fixed("{}").await, fixed("{}").await, fixed("{}").await);
    let parts = [
        file(baseline.addr, ""),
        candidate("v2", two.addr, ""),
        candidate("v3", three.addr, ""),
        route("a", "body = false"),
    ];
    let live = live(&all(&parts)).await;
    live.proxy.post("/a", "12345").await.bytes().await.unwrap();
    let chunks = ["12", "345"].map(|chunk| Ok::<_, Infallible>(Bytes::from(chunk)));
    let chunked = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    live.proxy.post("/a", chunked).await.bytes().await.unwrap();
    for (name, upstream) in [("v2", &two), ("v3", &three)] {
        eventually!(live.outcome(name, "matched").await == 2.0);
        for seen in upstream.seen() {
            assert!(seen.body.is_empty() && !seen.headers.contains_key("transfer-encoding"));
            let length = seen.headers.get("content-length");
            assert!(length.is_none_or(|length| length == "0"), "{length:?}");
        }
    }
    assert!(baseline.seen().iter().all(|seen| seen.body == "12345"));
}

#[tokio::test]
async fn a_limit_for_bodies_is_none_for_requests_without_one_and_a_body_over_it_is_counted() {
    let (baseline, two, three) = (fixed("{}").await, fixed("{}").await, fixed("{}").await);
    let parts = [
        file(baseline.addr, "max_body_bytes = 0"),
        candidate("v2", two.addr, ""),
        candidate("v3", three.addr, ""),
    ];
    let live = live(&all(&parts)).await;
    live.get("/").await;
    for name in ["v2", "v3"] {
        eventually!(live.outcome(name, "matched").await == 1.0);
    }
    live.proxy.post("/", vec![b'x'; 10_000_000]).await.bytes().await.unwrap();
    for name in ["v2", "v3"] {
        eventually!(live.outcome(name, "body_too_large").await == 1.0);
    }
    assert_eq!(baseline.seen()[1].body.len(), 10_000_000);
    assert_eq!((two.count(), three.count()), (1, 1));
}

#[tokio::test]
async fn each_candidate_has_a_share_of_its_own() {
    let (baseline, two, three) = (fixed("{}").await, fixed("{}").await, fixed("{}").await);
    let parts = [
        file(baseline.addr, "").replace("share = 1", "share = 0"),
        candidate("v2", two.addr, "share = 1"),
        candidate("v3", three.addr, "share = 0.5"),
        candidate("v4", three.addr, ""),
    ];
    let live = live(&all(&parts)).await;
    for _ in 0..60 {
        live.get("/").await;
    }
    eventually!(live.outcome("v2", "matched").await == 60.0);
    assert_eq!(live.outcome("v4", "not_sampled").await, 60.0);
    eventually!(
        live.outcome("v3", "matched").await + live.outcome("v3", "not_sampled").await == 60.0
    );
    assert_eq!(live.all_outcomes("v3").await, 60.0);
    let half = live.outcome("v3", "matched").await;
    assert!((10.0..50.0).contains(&half), "{half}");
}

#[tokio::test]
async fn candidates_that_share_a_rate_take_turns_at_it() {
    let (baseline, two, three) = (fixed("{}").await, fixed("{}").await, fixed("{}").await);
    let mut parts = vec![
        file(baseline.addr, ""),
        candidate("v2", two.addr, ""),
        candidate("v3", three.addr, ""),
    ];
    let routes = 20..40;
    parts.extend(routes.clone().map(|at| route(&format!("r{at}"), "rate = \"1/h\"")));
    let live = live(&all(&parts)).await;
    for at in routes {
        live.get(&format!("/r{at}")).await;
    }
    let sent = async |name| live.outcome(name, "matched").await;
    eventually!(sent("v2").await + sent("v3").await == 20.0);
    let of_three = sent("v3").await;
    assert!((1.0..20.0).contains(&of_three), "{of_three} of 20 for the second candidate");
}

#[tokio::test]
async fn a_report_names_the_routes_that_a_candidate_is_to_get_and_has_no_pair_of() {
    let (baseline, two) = (fixed("{}").await.addr, fixed("{}").await.addr);
    let parts = [
        file(baseline, ""),
        candidate("good", two, ""),
        candidate("err", two, ""),
        route("pick", "candidates = [\"good\"]"),
        route("rest", ""),
        "[[route]]\nmatch = { path = { prefix = \"/own\" } }\ncandidates = [\"good\"]\nshare = 0\n"
            .into(),
    ];
    let live = live(&all(&parts)).await;
    let awaited = async |candidate: &str| {
        let report = live.json(&format!("/control/report?candidate={candidate}")).await;
        serde_json::from_value::<Vec<String>>(report["awaitedRoutes"].clone()).unwrap()
    };
    assert_eq!(awaited("good").await, ["other", "pick", "rest"]);
    assert_eq!(awaited("err").await, ["other", "rest"]);
    for path in ["/pick", "/own/x"] {
        live.get(path).await;
    }
    eventually!(awaited("good").await == ["GET /own/x", "other", "rest"]);
    assert_eq!(awaited("err").await, ["other", "rest"]);
}
