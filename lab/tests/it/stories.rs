//! The stories about the guardrail's evidence, about one route, and about twins.

use std::time::Duration;

use lab::scenario::{Scenario, Step};
use serde_json::json;

use super::{Play, Sabotage, failed_at, play, story};

/// Plays it and looks for what it must have told.
async fn goes_well(scenario: Scenario, expected: &[&str]) {
    let (result, told) = play(story(scenario)).await;
    let told = told.join("\n");
    assert_eq!(result, Ok(()), "{told}");
    for expected in expected {
        assert!(told.contains(expected), "{expected} not in\n{told}");
    }
}

/// As [`story`], and this goes wrong at the beginning of a step.
fn sabotaged(scenario: Scenario, step: Step, sabotage: Sabotage) -> Play {
    let deadline = Duration::from_secs(10);
    Play { sabotage: Some((step, sabotage)), deadline, ..story(scenario) }
}

/// A story whose services cannot be given the latency that it wants.
async fn fails_without_a_base(scenario: Scenario) {
    failed_at(Step::Healthy, play(Play { refuse_from: 1, ..story(scenario) }).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_that_takes_twice_as_long_is_stopped_by_the_evidence() {
    let expected = ["Step 5 of 5", "rule evidence, signal latency", "candidate p50", "0 errors"];
    goes_well(Scenario::Slow2x, &expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_2x_fails_where_the_run_of_breaches_acts() {
    // Not twice, but fifty times as slow.
    let instead = Some((2, json!({"latencyMs": 1000})));
    let mut broken = Play { instead, ..story(Scenario::Slow2x) };
    broken.config.guardrail.consecutive = 3;
    let (result, told) = play(broken).await;
    let why = &result.as_ref().unwrap_err().why;
    assert!(why.contains("consecutive_breaches"), "{why}");
    failed_at(Step::Trip, (result, told));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_2x_fails_at_each_switch_of_the_candidate_that_does_nothing() {
    fails_without_a_base(Scenario::Slow2x).await;
    failed_at(Step::Regress, play(Play { refuse_from: 2, ..story(Scenario::Slow2x) }).await);
    failed_at(Step::Heal, play(Play { refuse_from: 3, ..story(Scenario::Slow2x) }).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_2x_fails_at_the_resume_step_where_mirroring_is_held() {
    failed_at(
        Step::Resume,
        play(sabotaged(Scenario::Slow2x, Step::Resume, Sabotage::Disable)).await,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_that_fails_one_request_in_twenty_is_stopped_by_the_evidence_of_errors() {
    goes_well(Scenario::Errors5, &["Step 5 of 5", "rule evidence, signal errors", "0 errors"])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_5_fails_at_the_trip_step_where_errors_are_not_judged() {
    let mut broken = story(Scenario::Errors5);
    broken.config.guardrail.error_delta = 1.0;
    broken.deadline = Duration::from_secs(6);
    failed_at(Step::Trip, play(broken).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_5_fails_at_each_switch_of_the_candidate_that_does_nothing() {
    fails_without_a_base(Scenario::Errors5).await;
    failed_at(Step::Regress, play(Play { refuse_from: 2, ..story(Scenario::Errors5) }).await);
    failed_at(Step::Heal, play(Play { refuse_from: 3, ..story(Scenario::Errors5) }).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_5_fails_at_the_resume_step_where_mirroring_is_held() {
    failed_at(
        Step::Resume,
        play(sabotaged(Scenario::Errors5, Step::Resume, Sabotage::Disable)).await,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_route_stops_alone_and_comes_back() {
    let expected = [
        "Step 6 of 6",
        "enabled but for GET /api/search",
        "rule evidence, signal errors",
        "none on GET /api/search",
        "trips and holds: 0",
        "0 errors",
    ];
    goes_well(Scenario::OneBadRoute, &expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_route_fails_where_everything_stops_instead_of_the_route() {
    let disable = sabotaged(Scenario::OneBadRoute, Step::RouteTrip, Sabotage::Disable);
    let (result, told) = play(disable).await;
    let why = &result.as_ref().unwrap_err().why;
    assert!(why.contains("everything stopped, not one route"), "{why}");
    failed_at(Step::RouteTrip, (result, told));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_route_fails_where_nothing_stops() {
    let mut broken = story(Scenario::OneBadRoute);
    broken.config.guardrail.error_delta = 1.0;
    broken.deadline = Duration::from_secs(6);
    failed_at(Step::RouteTrip, play(broken).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_route_fails_where_the_other_routes_are_not_mirrored() {
    failed_at(
        Step::OtherRoutes,
        play(sabotaged(Scenario::OneBadRoute, Step::OtherRoutes, Sabotage::Disable)).await,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_route_fails_at_each_switch_of_the_candidate_that_does_nothing() {
    fails_without_a_base(Scenario::OneBadRoute).await;
    failed_at(Step::Regress, play(Play { refuse_from: 2, ..story(Scenario::OneBadRoute) }).await);
    failed_at(Step::Heal, play(Play { refuse_from: 3, ..story(Scenario::OneBadRoute) }).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_route_fails_where_another_route_is_healed() {
    let other = json!({"route": "GET /api/product/{id}", "reset": true});
    let (result, told) =
        play(Play { instead: Some((3, other)), ..story(Scenario::OneBadRoute) }).await;
    assert!(result.as_ref().unwrap_err().why.contains("still has this chaos"), "{result:?}");
    failed_at(Step::Heal, (result, told));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_route_fails_where_the_route_does_not_come_back() {
    let mut broken = story(Scenario::OneBadRoute);
    broken.config.guardrail.cooldown = Duration::from_secs(3600);
    broken.deadline = Duration::from_secs(15);
    failed_at(Step::RouteResume, play(broken).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twins_are_watched_for_a_time_and_nothing_stops() {
    goes_well(Scenario::Twins, &["Step 2 of 2", "nothing stopped", "0 errors"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twins_fail_without_a_base() {
    fails_without_a_base(Scenario::Twins).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twins_fail_where_mirroring_stops() {
    let bad = Sabotage::Worsen(json!({"errorRate": 0.5}));
    let broken =
        Play { calm: Duration::from_secs(20), ..sabotaged(Scenario::Twins, Step::Calm, bad) };
    let (result, told) = play(broken).await;
    let why = &result.as_ref().unwrap_err().why;
    assert!(why.contains("mirroring stopped"), "{why}");
    failed_at(Step::Calm, (result, told));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twins_fail_where_one_route_stops() {
    let bad = json!({"route": "GET /api/search", "errorRate": 0.15});
    let broken = sabotaged(Scenario::Twins, Step::Calm, Sabotage::Worsen(bad));
    let broken = Play { calm: Duration::from_secs(30), ..broken };
    failed_at(Step::Calm, play(broken).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twins_fail_where_an_answer_differs() {
    let bad = Sabotage::Worsen(json!({"mismatchRate": 0.5}));
    let (result, told) = play(sabotaged(Scenario::Twins, Step::Calm, bad)).await;
    assert!(result.as_ref().unwrap_err().why.contains("did not"), "{result:?}");
    failed_at(Step::Calm, (result, told));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_candidates_the_bad_one_is_stopped_alone() {
    let expected = ["Step 6 of 6", "the other candidate goes on", "v3         on", "0 errors"];
    goes_well(Scenario::TwoCandidates, &expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_candidates_fails_where_the_other_is_held_too() {
    let disable = sabotaged(Scenario::TwoCandidates, Step::OtherCandidate, Sabotage::Disable);
    failed_at(Step::OtherCandidate, play(disable).await);
}
