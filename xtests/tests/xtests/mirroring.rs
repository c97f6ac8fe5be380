//! Who gets what.

use serde_json::json;
use xtests::client::{self, sum};
use xtests::stack::{Place, Stack};
use xtests::{Result, ensure, eventually};

pub(crate) async fn clients_see_only_the_baseline(place: &Place) -> Result<()> {
    let stack = Stack::start(place, &[]).await?;
    stack.set_chaos(&stack.candidate, &json!({"mismatchRate": 1, "errorRate": 0})).await?;
    let direct = format!("{}/api/product/p-100", stack.baseline.url().await?);
    let direct = client::text(&stack.client, &direct).await?;
    let through = format!("{}/api/product/p-100", stack.proxy.url().await?);
    for _ in 0..20 {
        ensure!(client::text(&stack.client, &through).await? == direct);
    }
    eventually!(stack.metric("mirror_outcomes_total", &["outcome=\"mismatched\""]).await? == 20.0);
    ensure!(stack.answered(&stack.candidate).await? == 20.0);
    stack.stop().await
}

/// The candidate is a second proxy: it refuses to mirror what is marked, and says how often.
pub(crate) async fn the_candidate_gets_the_share_marked_and_whole(place: &Place) -> Result<()> {
    const REQUESTS: u32 = 400;
    let first = Stack::start(place, &[]).await?;
    let behind = first.candidate.inner_url();
    let second = first
        .another_proxy(
            "proxy-2",
            vec![
                ("BASELINE_URL", behind.clone()),
                ("CANDIDATE_URL", behind),
                ("MIRROR_FRACTION", "1".to_owned()),
            ],
        )
        .await?;
    let settings = vec![
        ("BASELINE_URL", first.baseline.inner_url()),
        ("CANDIDATE_URL", second.inner_url()),
        ("MIRROR_FRACTION", "0.25".to_owned()),
        ("ABORT_LATENCY_FLOOR", "10s".to_owned()),
    ];
    let proxy = first.another_proxy("proxy-3", settings).await?;
    let url = format!("{}/api/checkout", proxy.url().await?);
    for number in 0..REQUESTS {
        let ids: Vec<_> = (0..=number % 10).map(|id| format!("p-10{id}")).collect();
        let cart = json!({"productIds": ids, "email": format!("user-{number}@example.com")});
        let answer = first.client.post(&url).json(&cart).send().await?;
        ensure!(answer.status() == 200, "{}", answer.status());
    }
    let url = format!("{}/metrics", proxy.url().await?);
    let outcome = async |name: &str| -> Result<f64> {
        let metrics = client::text(&first.client, &url).await?;
        Ok(sum(&metrics, "mirror_outcomes_total", &[&format!("outcome=\"{name}\"")]))
    };
    // The order's number is a hash over the request: equal answers mean whole bodies.
    let requests = f64::from(REQUESTS);
    eventually!(outcome("matched").await? + outcome("not_sampled").await? == requests);
    let copies = outcome("matched").await?;
    // Five standard deviations to either side of a quarter.
    ensure!((57.0..=143.0).contains(&copies), "{copies} of {REQUESTS}");
    let metrics = format!("{}/metrics", second.url().await?);
    let metrics = client::text(&first.client, &metrics).await?;
    ensure!(sum(&metrics, "mirror_outcomes_total", &["outcome=\"already_marked\""]) == copies);
    ensure!(first.answered(&first.candidate).await? == copies);
    drop((proxy, second));
    first.stop().await
}
