//! Parts that are processes of their own, and what goes on beside twins.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::scenario::{Scenario, Step};
use lab::stack::{Apart, Ports, Stack};
use lab::status::{Observer, Urls};
use lab::traffic::Traffic;
use lab::trial::{Seen, Trial};
use proxy::config::Config;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::runtime::Handle;

use super::{Play, Sabotage, client, config, failed_at, play, story};

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_mirrorlab-lab"))
}

fn twins() -> Config {
    config(Scenario::Twins)
}

/// What a trial saw in which nothing may have stopped; the guardrail acts on nothing.
async fn watched(stack: &Stack, time: Duration) -> Seen {
    let traffic = Traffic::users(&client(), &stack.proxy(), 10, Duration::from_millis(20));
    let urls =
        Urls { baseline: stack.baseline(), candidate: stack.candidate(), proxy: stack.proxy() };
    let clients = Arc::clone(&traffic.clients);
    let observer = Observer::new(client(), urls);
    let narrate = Box::new(|line: &str| eprintln!("{line}"));
    Trial { observer, clients, narrate }.watch(time).await
}

fn is_there(pid: Pid) -> bool {
    test_kill_process(pid).is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_run_as_processes_answer_and_end_with_the_stack() {
    let apart = Apart::All(program());
    let stack = Stack::start_apart(Ports::FREE, twins(), Handle::current(), apart).await.unwrap();
    let services = stack.services();
    assert_eq!(services.len(), 2);
    let seen = watched(&stack, Duration::from_secs(4)).await;
    assert!(seen.looks > 0 && seen.sent > 0, "{seen:?}");
    assert_eq!((seen.errors, seen.silent), (0, 0), "{seen:?}");
    assert!(seen.last.outcome("matched") > 0.0, "{seen:?}");
    assert_eq!(seen.last.outcome("mismatched"), 0.0, "{seen:?}");
    let told = seen.lines().join("\n");
    assert!(told.contains("outcome    matched") && told.contains("verdict    "), "{told}");
    stack.shutdown().await;
    assert!(!services.into_iter().any(is_there));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trial_counts_a_trip_and_goes_on() {
    let mut sick = twins();
    sick.guardrail.consecutive = 3;
    let stack = Stack::start(Ports::FREE, sick, Handle::current()).await.unwrap();
    let chaos = serde_json::json!({"errorRate": 0.9});
    let url = format!("{}/chaos", stack.candidate());
    client().put(url).json(&chaos).send().await.unwrap().error_for_status().unwrap();
    let seen = watched(&stack, Duration::from_secs(6)).await;
    stack.shutdown().await;
    assert!(seen.looks >= 2, "it went on after the trip: {seen:?}");
    assert!(seen.stops >= 1.0 && !seen.trips.is_empty(), "{seen:?}");
    let faults = seen.faults().join("\n");
    assert!(faults.contains("stopped"), "{faults}");
    let told = seen.lines().join("\n");
    assert!(told.contains("rule consecutive_breaches"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_stopped_answers_nothing_until_it_may_go_on() {
    let apart = Apart::Services(program());
    let stack = Stack::start_apart(Ports::FREE, twins(), Handle::current(), apart).await.unwrap();
    let candidate = stack.services()[1];
    let url = format!("{}/api/search", stack.candidate());
    kill_process(candidate, Signal::STOP).unwrap();
    let asked = tokio::spawn(client().get(url).send());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!asked.is_finished(), "stopped, it answered");
    kill_process(candidate, Signal::CONT).unwrap();
    assert!(asked.await.unwrap().unwrap().status().is_success());
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twins_fail_where_the_report_says_fail() {
    let differs = Sabotage::Worsen(serde_json::json!({"mismatchRate": 0.5}));
    let broken = Play {
        sabotage: Some((Step::Calm, differs)),
        calm: Duration::from_secs(20),
        ..story(Scenario::Twins)
    };
    let (result, told) = play(broken).await;
    let why = &result.as_ref().unwrap_err().why;
    assert!(why.contains("the report says fail"), "{why}");
    failed_at(Step::Calm, (result, told));
}

/// A process that ends when it is not needed any more, whatever became of its parent.
#[test]
fn a_part_ends_with_the_process_that_started_it() {
    let mut part = Command::new(program())
        .args(["--part", "baseline"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    drop(part.stdin.take());
    let start = Instant::now();
    while part.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(30), "it is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
}
