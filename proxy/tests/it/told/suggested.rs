//! Rules that are suggested, and rules that never applied.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use super::{as_text, pairs, report, rules};
use crate::certificates::TempFile;
use crate::eventually;
use crate::support::{Upstream, fixed, proxy, target, upstream};

/// An upstream whose answers differ by themselves, in the id and in the order of the tags.
async fn random(first: u64) -> Upstream {
    let next = Arc::new(AtomicU64::new(first));
    upstream(move |_| {
        let id = next.fetch_add(1, Ordering::Relaxed);
        let tags = if id.is_multiple_of(2) { "[\"x\",\"y\"]" } else { "[\"y\",\"x\"]" };
        async move {
            crate::support::json(&format!(
                "{{\"it's\\u0001\":\"{id:032x}\",\"items\":{tags},\"price\":5}}"
            ))
        }
    })
    .await
}

#[tokio::test]
async fn suggested_rules_pasted_as_they_are_take_the_noise_away() {
    let (baseline, candidate) = (random(0).await, random(1001).await);
    let secondary = random(2001).await.addr;
    let learning = proxy(baseline.addr, candidate.addr, |config| {
        config.secondary = Some(target(secondary));
        config.mirror.noise_fraction = 1.0;
    })
    .await;
    eventually!({
        pairs(&learning, "/", 5).await;
        let report = report(&learning).await;
        let suggested = report["routes"][0]["suggestedIgnores"].as_array().unwrap();
        suggested.len() == 2
    });
    let told = report(&learning).await;
    let file = told["routes"][0]["suggestedRules"].as_str().expect("rules to paste").to_owned();
    let proxy = proxy(baseline.addr, candidate.addr, rules(&TempFile::new(&file))).await;
    for _ in 0..4 {
        proxy.expect_outcome("/", "matched").await;
    }
    assert!(file.contains("unordered"), "an emptied list still differs: {file}");
    assert!(!file.contains("ignore"), "another type still differs: {file}");
    assert!(as_text(&learning).await.contains(file.lines().last().unwrap()), "{file}");
}

#[tokio::test]
async fn rules_that_never_applied_are_in_the_report_as_json_and_as_text() {
    let file = TempFile::new("[compare]\nignore = [\"nonce\", \"$.nunce\"]\n");
    let same = r#"{"nonce":1}"#;
    let proxy = proxy(fixed(same).await.addr, fixed(same).await.addr, rules(&file)).await;
    pairs(&proxy, "/", 1).await;
    let expected = json!([
        {"rule": "ignore \"$.nunce\"", "place": "line 2", "route": null, "pairs": 1},
    ]);
    assert_eq!(report(&proxy).await["unusedRules"], expected);
    let text = as_text(&proxy).await;
    assert!(text.contains("rule never applied in 1 pairs: ignore \"$.nunce\" (line 2)"), "{text}");
}
