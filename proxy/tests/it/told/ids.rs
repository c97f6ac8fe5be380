//! Objects whose keys are ids.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{pairs, report};
use crate::support::{Upstream, proxy, upstream};

/// An upstream that answers with an object whose keys are ids, each with such a score.
async fn by_id(score: u64) -> Upstream {
    let next = Arc::new(AtomicU64::new(0));
    upstream(move |_| {
        let from = 20 * next.fetch_add(1, Ordering::Relaxed);
        let users = (from..from + 20).map(|id| format!("\"{id}\":{{\"score\":{score}}}"));
        let body = format!("{{\"users\":{{{}}}}}", users.collect::<Vec<_>>().join(","));
        async move { crate::support::json(&body) }
    })
    .await
}

#[tokio::test]
async fn members_whose_keys_are_ids_are_one_field() {
    let proxy = proxy(by_id(1).await.addr, by_id(2).await.addr, |_| {}).await;
    pairs(&proxy, "/", 8).await;
    let report = report(&proxy).await;
    let fields = report["routes"][0]["fields"].as_array().unwrap();
    let names: Vec<_> = fields.iter().map(|field| field["field"].as_str().unwrap()).collect();
    assert_eq!(names, ["$['users'][*]['score']"]);
    assert_eq!(fields[0]["raw"], 8);
    assert_eq!(fields[0]["examples"][0]["place"], "$['users']['0']['score']");
}
