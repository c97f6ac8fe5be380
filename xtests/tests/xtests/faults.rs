//! Parts that die, hang, vanish and come back, under load.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use xtests::client::Traffic;
use xtests::stack::{Place, Stack};
use xtests::{Result, ensure, eventually};

/// Short enough for a test, long enough for a busy machine.
const SETTINGS: [(&str, &str); 3] =
    [("MIRROR_TIMEOUT", "2s"), ("ABORT_COOLDOWN", "1s"), ("MIRROR_QUEUE_SIZE", "32")];

/// Traffic, and copies that come out equal.
async fn start(place: &Place) -> Result<(Stack, Traffic)> {
    let stack = Stack::start(place, &SETTINGS).await?;
    let traffic = Traffic::start(&stack.proxy.url().await?, 4, Duration::from_millis(10), true)?;
    matched_again(&stack).await?;
    Ok((stack, traffic))
}

/// Waits until pairs come out equal from now on.
async fn matched_again(stack: &Stack) -> Result<()> {
    let matched = async || stack.metric("mirror_outcomes_total", &["outcome=\"matched\""]).await;
    let before = matched().await?;
    eventually!(matched().await? >= before + 20.0);
    Ok(())
}

/// Waits until the guardrail has switched mirroring off, and clients have gone on after that.
async fn tripped(stack: &Stack, traffic: &Traffic) -> Result<()> {
    eventually!(stack.metric("mirror_aborts_total", &[]).await? >= 1.0);
    let well = traffic.seen.well();
    eventually!(traffic.seen.well() > well + 100);
    Ok(())
}

async fn finish(stack: Stack, traffic: Traffic) -> Result<()> {
    matched_again(&stack).await?;
    ensure!(stack.status().await?["state"] == "enabled");
    traffic.stop().await?.all_well()?;
    stack.stop().await
}

pub(crate) async fn a_candidate_that_is_killed_costs_no_client_anything(
    place: &Place,
) -> Result<()> {
    let (mut stack, traffic) = start(place).await?;
    stack.candidate.kill().await?;
    tripped(&stack, &traffic).await?;
    stack.candidate.start_again().await?;
    finish(stack, traffic).await
}

pub(crate) async fn a_candidate_that_hangs_costs_no_client_anything(place: &Place) -> Result<()> {
    let (mut stack, traffic) = start(place).await?;
    stack.candidate.pause().await?;
    tripped(&stack, &traffic).await?;
    stack.candidate.resume().await?;
    finish(stack, traffic).await
}

pub(crate) async fn a_candidate_that_restarts_costs_no_client_anything(
    place: &Place,
) -> Result<()> {
    let (mut stack, traffic) = start(place).await?;
    stack.candidate.start_again().await?;
    finish(stack, traffic).await
}

pub(crate) async fn a_candidate_that_is_cut_off_costs_no_client_anything(
    place: &Place,
) -> Result<()> {
    let (mut stack, traffic) = start(place).await?;
    stack.candidate.cut_off().await?;
    tripped(&stack, &traffic).await?;
    stack.candidate.rejoin().await?;
    finish(stack, traffic).await
}

pub(crate) async fn a_restarted_baseline_is_502_while_it_is_gone_and_well_again(
    place: &Place,
) -> Result<()> {
    // A container's address that is gone takes three seconds to be found unreachable, less than the
    // time to connect; with less time than that it would be 504.
    let mut stack = Stack::start(place, &[("BASELINE_TIMEOUT", "10s")]).await?;
    ensure!(stack.search().await?.0 == 200);
    stack.baseline.kill().await?;
    eventually!(stack.search().await?.0 == 502);
    let gone = stack.search().await?;
    ensure!(gone.0 == 502 && gone.1.contains("\"upstream\":\"baseline\""), "{gone:?}");
    stack.baseline.start_again().await?;
    eventually!(stack.search().await?.0 == 200);
    let traffic = Traffic::start(&stack.proxy.url().await?, 4, Duration::ZERO, true)?;
    eventually!(traffic.seen.well() > 100);
    traffic.stop().await?.all_well()?;
    eventually!(stack.metric("mirror_requests_in_flight", &[]).await? == 0.0);
    stack.stop().await
}

/// Each request comes on a connection of its own; what reached the baseline must have been answered.
pub(crate) async fn sigterm_under_load_fails_no_accepted_request(place: &Place) -> Result<()> {
    let mut stack = Stack::start(place, &[("MIRROR_FRACTION", "0")]).await?;
    // Slow, so that requests are under way when the signal comes.
    stack.set_chaos(&stack.baseline, &json!({"latencyMs": 200})).await?;
    let traffic = Traffic::start(&stack.proxy.url().await?, 16, Duration::ZERO, false)?;
    eventually!(traffic.seen.well() > 50);
    stack.proxy.signal("TERM").await?;
    let code = stack.proxy.exit_code().await?;
    ensure!(code == 0, "{code}; {}", stack.log());
    let seen = traffic.stop().await?;
    ensure!(seen.answered_otherwise.load(Ordering::SeqCst) == 0);
    let (well, answered) = (seen.well(), stack.answered(&stack.baseline).await?);
    ensure!(
        format!("{well}") == format!("{answered}"),
        "{well} seen, {answered} answered: {seen:?}"
    );
    stack.stop().await
}
