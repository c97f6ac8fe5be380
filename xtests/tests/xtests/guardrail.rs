//! Mirroring stops by itself, and comes back.

use std::time::Duration;

use serde_json::json;
use xtests::client::Traffic;
use xtests::stack::{Place, Stack};
use xtests::{Result, ensure, eventually};

const FAULTY: [(&str, &str); 2] = [("ABORT_CONSECUTIVE", "5"), ("ABORT_COOLDOWN", "24h")];

/// Sends requests one by one until mirroring is off.
async fn trip(stack: &Stack) -> Result<()> {
    eventually!({
        ensure!(stack.search().await?.0 == 200);
        stack.status().await?["state"] == "tripped"
    });
    Ok(())
}

pub(crate) async fn a_bad_candidate_stops_mirroring_and_clients_do_not_notice(
    place: &Place,
) -> Result<()> {
    let stack = Stack::start(place, &FAULTY).await?;
    let traffic = Traffic::start(&stack.proxy.url().await?, 2, Duration::from_millis(20), true)?;
    eventually!(stack.metric("mirror_outcomes_total", &["outcome=\"matched\""]).await? >= 20.0);
    ensure!(stack.metric("mirror_enabled", &[]).await? == 1.0);
    let before = stack.answered(&stack.candidate).await?;
    stack.set_chaos(&stack.candidate, &json!({"errorRate": 1})).await?;
    eventually!(stack.metric("mirror_enabled", &[]).await? == 0.0);
    ensure!(stack.metric("mirror_aborts_total", &[]).await? == 1.0);
    let status = stack.status().await?;
    let reason = status["lastAbortReason"].as_str().unwrap_or_default();
    ensure!(status["state"] == "tripped" && reason.contains("5 breaches"), "{status}");
    // Copies under way end; from then on the candidate hears nothing more.
    eventually!(stack.metric("mirror_copies_in_flight", &[]).await? == 0.0);
    let standing = stack.answered(&stack.candidate).await?;
    // Five, two of traffic at once, and those between the two looks before the switch.
    ensure!(standing - before <= 5.0 + 2.0 + 30.0, "{before} to {standing}");
    let well = traffic.seen.well();
    eventually!(traffic.seen.well() > well + 50);
    ensure!(stack.answered(&stack.candidate).await? == standing);
    traffic.stop().await?.all_well()?;
    stack.stop().await
}

pub(crate) async fn the_first_request_after_the_cooldown_resumes_mirroring(
    place: &Place,
) -> Result<()> {
    let settings = [("ABORT_CONSECUTIVE", "3"), ("ABORT_COOLDOWN", "3s")];
    let stack = Stack::start(place, &settings).await?;
    stack.set_chaos(&stack.candidate, &json!({"errorRate": 1})).await?;
    trip(&stack).await?;
    let tripped = tokio::time::Instant::now();
    stack.set_chaos(&stack.candidate, &json!({"errorRate": 0})).await?;
    eventually!(stack.metric("mirror_copies_in_flight", &[]).await? == 0.0);
    let standing = stack.answered(&stack.candidate).await?;
    stack.search().await?;
    // Unless the machine stood still for so long that the cooldown is over.
    if tripped.elapsed() < Duration::from_millis(2500) {
        ensure!(stack.status().await?["state"] == "tripped");
        ensure!(stack.answered(&stack.candidate).await? == standing);
    }
    eventually!(stack.status().await?["cooldownRemainingSeconds"] == 0.0);
    ensure!(stack.status().await?["state"] == "tripped", "no request, no change");
    ensure!(stack.search().await?.0 == 200);
    ensure!(stack.status().await?["state"] == "enabled");
    eventually!(stack.answered(&stack.candidate).await? == standing + 1.0);
    ensure!(stack.metric("mirror_enabled", &[]).await? == 1.0);
    stack.stop().await
}

pub(crate) async fn a_manual_disable_stays_until_a_manual_enable(place: &Place) -> Result<()> {
    let stack = Stack::start(place, &[("ABORT_COOLDOWN", "1s")]).await?;
    stack.search().await?;
    eventually!(stack.answered(&stack.candidate).await? == 1.0);
    stack.control("disable").await?;
    let disabled = tokio::time::Instant::now();
    eventually!({
        ensure!(stack.search().await?.0 == 200);
        disabled.elapsed() > Duration::from_millis(1500)
    });
    ensure!(stack.status().await?["state"] == "held");
    ensure!(stack.answered(&stack.candidate).await? == 1.0);
    stack.control("enable").await?;
    ensure!(stack.search().await?.0 == 200);
    eventually!(stack.answered(&stack.candidate).await? == 2.0);
    stack.stop().await
}
