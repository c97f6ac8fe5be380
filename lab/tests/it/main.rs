//! The stories, each played well once, and broken at each step.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::put;
use lab::scenario::{Failed, Scenario, Step, Story};
use lab::stack::{Ports, Stack};
use lab::status::Urls;
use lab::traffic::Traffic;
use proxy::config::Config;
use reqwest::Client;
use serde_json::Value;
use tokio::runtime::Handle;

mod apart;
mod stories;

/// The settings that the lab itself plays the story with, but for the cooldown.
fn config(scenario: Scenario) -> Config {
    let settings = Scenario::settings(Some(scenario));
    let value = |name: &str| settings.iter().find(|(setting, _)| *setting == name);
    let mut config = Config::from_env(&|name| value(name).map(|(_, value)| value.into())).unwrap();
    config.guardrail.cooldown = Duration::from_secs(2);
    scenario.with_candidates(config)
}

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// Stands before the candidate's `/chaos` and may do something else instead.
#[derive(Clone)]
struct Facade {
    candidate: String,
    proxy: String,
    puts: Arc<AtomicUsize>,
    refuse_from: usize,
    hold_at: usize,
    hang_at: usize,
    instead: Option<(usize, Value)>,
}

async fn facade(facade: Facade) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let router = axum::Router::new()
        .route("/chaos", put(change_chaos).get(pass_on))
        .fallback(pass_on)
        .with_state(facade);
    tokio::spawn(axum::serve(listener, router).into_future());
    format!("http://{addr}")
}

async fn change_chaos(State(facade): State<Facade>, body: Bytes) -> StatusCode {
    let number = facade.puts.fetch_add(1, Ordering::SeqCst) + 1;
    if number >= facade.refuse_from {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    if number == facade.hang_at {
        std::future::pending::<()>().await;
    }
    if number == facade.hold_at {
        client().post(format!("{}/control/disable", facade.proxy)).send().await.unwrap();
    }
    let url = format!("{}/chaos", facade.candidate);
    let body = match facade.instead {
        Some((at, chaos)) if at == number => chaos.to_string().into(),
        _ => body,
    };
    client().put(url).body(body).send().await.unwrap().status()
}

async fn pass_on(State(facade): State<Facade>, uri: Uri) -> impl IntoResponse {
    let response = client().get(format!("{}{uri}", facade.candidate)).send().await.unwrap();
    (response.status(), response.bytes().await.unwrap())
}

/// What goes wrong while a story is played.
#[derive(Clone)]
enum Sabotage {
    /// Somebody switches mirroring off.
    Disable,
    /// The candidate gets this chaos.
    Worsen(Value),
}

impl Sabotage {
    async fn act(self, proxy: String, candidate: String) {
        let request = match self {
            Self::Disable => client().post(format!("{proxy}/control/disable")),
            Self::Worsen(chaos) => client().put(format!("{candidate}/chaos")).json(&chaos),
        };
        request.send().await.unwrap().error_for_status().unwrap();
    }
}

struct Play {
    scenario: Scenario,
    config: Config,
    calm: Duration,
    /// At the beginning of this step.
    sabotage: Option<(Step, Sabotage)>,
    rate: f64,
    deadline: Duration,
    refuse_from: usize,
    hold_at: usize,
    hang_at: usize,
    /// The candidate gets another chaos than the story says.
    instead: Option<(usize, Value)>,
}

fn well() -> Play {
    story(Scenario::Regression)
}

fn story(scenario: Scenario) -> Play {
    let deadline = Duration::from_secs(40);
    Play {
        scenario,
        config: config(scenario),
        calm: Duration::from_secs(3),
        sabotage: None,
        rate: 200.0,
        deadline,
        refuse_from: usize::MAX,
        hold_at: usize::MAX,
        hang_at: usize::MAX,
        instead: None,
    }
}

async fn play(play: Play) -> (Result<(), Failed>, Vec<String>) {
    let stack = Stack::start(Ports::FREE, play.config, Handle::current()).await.unwrap();
    let traffic = Traffic::start(client(), stack.proxy(), play.rate);
    let candidate = facade(Facade {
        candidate: stack.candidate(),
        proxy: stack.proxy(),
        puts: Arc::default(),
        refuse_from: play.refuse_from,
        hold_at: play.hold_at,
        hang_at: play.hang_at,
        instead: play.instead,
    });
    let urls =
        Urls { baseline: stack.baseline(), candidate: candidate.await, proxy: stack.proxy() };
    let mut told = Vec::new();
    let (proxy, behind) = (stack.proxy(), stack.candidate());
    let mut story = Story {
        client: client(),
        urls,
        clients: Arc::clone(&traffic.clients),
        deadline: play.deadline,
        calm: play.calm,
        narrate: Box::new(|line| {
            told.push(line.to_owned());
            if let Some((step, sabotage)) = &play.sabotage
                && line.contains(step.title())
            {
                tokio::spawn(sabotage.clone().act(proxy.clone(), behind.clone()));
            }
        }),
    };
    // Six steps of at most two waits each; later than that a step has not kept its deadline.
    let limit = play.deadline * 12 + play.calm + Duration::from_secs(5);
    let result = tokio::time::timeout(limit, story.play(play.scenario)).await;
    let result = result.expect("ends in time");
    drop(story);
    drop(traffic);
    stack.shutdown().await;
    (result, told)
}

#[track_caller]
fn failed_at(step: Step, (result, told): (Result<(), Failed>, Vec<String>)) {
    match result {
        Err(failed) => assert_eq!(failed.step, step, "{}", failed.why),
        Ok(()) => panic!("the story went well:\n{}", told.join("\n")),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_story_goes_well_and_tells_the_numbers() {
    let (result, told) = play(well()).await;
    assert_eq!(result, Ok(()), "{}", told.join("\n"));
    let told = told.join("\n");
    for expected in ["Step 5 of 5", "p99", "tripped", "0 errors", "the candidate got no copy"] {
        assert!(told.contains(expected), "{expected} not in\n{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_copies_it_fails_at_the_healthy_step() {
    let mut broken = well();
    broken.config.mirror.fraction = 0.0;
    broken.deadline = Duration::from_secs(2);
    failed_at(Step::Healthy, play(broken).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_that_cannot_be_made_bad_fails_at_the_regress_step() {
    failed_at(Step::Regress, play(Play { refuse_from: 1, ..well() }).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guardrail_that_never_trips_fails_at_the_trip_step() {
    let mut broken = well();
    broken.config.guardrail.consecutive = u32::MAX;
    broken.deadline = Duration::from_secs(8);
    failed_at(Step::Trip, play(broken).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_that_cannot_be_healed_fails_at_the_heal_step() {
    failed_at(Step::Heal, play(Play { refuse_from: 2, ..well() }).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mirroring_held_by_hand_fails_at_the_resume_step() {
    let broken = Play { hold_at: 2, deadline: Duration::from_secs(10), ..well() };
    failed_at(Step::Resume, play(broken).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_that_hangs_on_a_switch_fails_at_that_step_in_time() {
    let broken = Play { hang_at: 1, deadline: Duration::from_secs(3), ..well() };
    let (result, told) = play(broken).await;
    assert!(result.as_ref().is_err_and(|failed| failed.why.contains("within 6s")), "{result:?}");
    failed_at(Step::Regress, (result, told));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_that_clients_see_fails_the_story() {
    let mut broken = well();
    broken.config.forward.baseline_timeout = Duration::from_nanos(1);
    failed_at(Step::Healthy, play(broken).await);
}
