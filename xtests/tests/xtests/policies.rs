//! Policies of routes, at the scale of Envoy's own tests of mirroring: one route whole, one by half, one
//! not at all; bodies whole, both clusters' health visible, sums that close, and a dead shadow that
//! harms nobody.

use serde_json::Value;
use xtests::client::sum;
use xtests::stack::{Place, Stack};
use xtests::{Result, client, eventually};

const FILE: &str = r#"
[mirror]
share = 1

[[route]]
name = "all"
[route.match]
path = { prefix = "/api/v1" }

[[route]]
name = "half"
share = 0.5
[route.match]
path = { prefix = "/api/v2" }

[[route]]
name = "none"
share = 0
[route.match]
path = { prefix = "/api/v3" }

[[route]]
name = "orders"
[route.match]
path = { exact = "/api/checkout" }
method = "POST"
"#;

/// Requests on each route.
const REQUESTS: u32 = 400;

pub(crate) async fn shares_of_routes_bodies_health_and_sums(place: &Place) -> Result<()> {
    let file = std::env::temp_dir().join(format!("xtests-{}-routes.toml", std::process::id()));
    std::fs::write(&file, FILE)?;
    let path = file.to_string_lossy().into_owned();
    let stack = Stack::start(place, &[("MIRROR_CONFIG", &path), ("MIRROR_FRACTION", "")]).await?;
    ask_all(&stack, REQUESTS).await?;
    let requests = f64::from(REQUESTS);
    for (route, least, most) in [
        ("all", requests, requests),
        // Six standard deviations of 400 coins.
        ("half", 140.0, 260.0),
        ("none", 0.0, 0.0),
        ("orders", requests, requests),
    ] {
        let label = format!("route=\"{route}\"");
        eventually!(stack.metric("mirror_outcomes_total", &[&label]).await? == requests);
        let metrics = metrics(&stack).await?;
        let of = |name: &str, more: &str| sum(&metrics, name, &[&label, more]);
        let matched = of("mirror_outcomes_total", "outcome=\"matched\"");
        assert!((least..=most).contains(&matched), "{route}: {matched} mirrored");
        assert_eq!(of("mirror_requests_total", "target=\"candidate\""), matched, "{route}");
        assert_eq!(of("mirror_requests_total", "target=\"baseline\""), requests, "{route}");
    }
    both_are_seen_to_be_well(&stack).await?;
    a_dead_shadow_harms_nobody(stack).await?;
    std::fs::remove_file(file)?;
    Ok(())
}

async fn metrics(stack: &Stack) -> Result<String> {
    client::text(&stack.client, &format!("{}/metrics", stack.proxy.url().await?)).await
}

/// An order's number is a hash of the request: where both agree, both had the body whole.
async fn ask_all(stack: &Stack, requests: u32) -> Result<()> {
    let url = stack.proxy.url().await?;
    for request in 0..requests {
        for path in ["v1/a", "v2/b", "v3/c"] {
            let answer = stack.client.get(format!("{url}/api/{path}")).send().await?;
            assert_eq!(answer.status(), 404, "the baseline's own answer");
        }
        let ids = vec!["p-100"; 1 + request as usize % 50];
        let order = serde_json::json!({"productIds": ids, "email": format!("{request}@x.example")});
        let answer = stack.client.post(format!("{url}/api/checkout")).json(&order).send().await?;
        assert_eq!(answer.status(), 200);
    }
    Ok(())
}

async fn upstreams(stack: &Stack) -> Result<Vec<Value>> {
    let url = format!("{}/control/upstreams", stack.proxy.url().await?);
    let shown: Value = client::json(&stack.client, &url).await?;
    Ok(shown["upstreams"].as_array().cloned().unwrap_or_default())
}

async fn both_are_seen_to_be_well(stack: &Stack) -> Result<()> {
    let all = upstreams(stack).await?;
    for name in ["baseline", "candidate"] {
        let found = all.iter().find(|it| it["name"] == name).ok_or("not shown")?;
        assert_eq!((&found["healthy"], &found["failures"]), (&true.into(), &0.into()), "{found}");
        assert!(found["addresses"].as_array().is_some_and(|it| !it.is_empty()), "{found}");
        assert!(found["connectionsOpened"].as_u64() >= Some(1), "{found}");
        assert!(found["calls"].as_u64() >= Some(u64::from(REQUESTS)), "{found}");
        assert!(found["latencyMs"].as_f64().is_some_and(|it| it > 0.0), "{found}");
    }
    Ok(())
}

async fn a_dead_shadow_harms_nobody(mut stack: Stack) -> Result<()> {
    let before = stack.metric("mirror_outcomes_total", &["route=\"orders\""]).await?;
    stack.candidate.kill().await?;
    ask_all(&stack, 50).await?;
    eventually!(
        stack.metric("mirror_outcomes_total", &["route=\"orders\""]).await? == before + 50.0
    );
    let all = upstreams(&stack).await?;
    let dead = all.iter().find(|it| it["name"] == "candidate").ok_or("not shown")?;
    assert_eq!(dead["healthy"], false, "{dead}");
    assert_eq!(dead["lastFailure"]["reason"], "connection refused", "{dead}");
    let metrics = metrics(&stack).await?;
    let of = |outcome: &str| {
        sum(
            &metrics,
            "mirror_outcomes_total",
            &["route=\"orders\"", &format!("outcome=\"{outcome}\"")],
        )
    };
    let told = of("candidate_failed") + of("candidate_unreachable") + of("disabled");
    assert!((told - 50.0).abs() < f64::EPSILON, "{told} of 50");
    stack.stop().await
}
