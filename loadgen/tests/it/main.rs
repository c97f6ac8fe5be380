//! The binary against a small server: counts, checks, exit codes, signals.
#![cfg(feature = "attack")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;

/// A shop that answers every request by the same rule, and counts.
async fn shop(
    answer: impl Fn(&str) -> (Duration, StatusCode) + Clone + Send + Sync + 'static,
) -> (SocketAddr, Arc<AtomicU64>) {
    let count = Arc::<AtomicU64>::default();
    let counted = Arc::clone(&count);
    let router = Router::new().fallback(move |request: Request| {
        counted.fetch_add(1, Ordering::SeqCst);
        let (delay, status) = answer(request.uri().path());
        async move {
            tokio::time::sleep(delay).await;
            status
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    (addr, count)
}

struct Run {
    command: Command,
    report: PathBuf,
}

fn loadgen(addr: SocketAddr, settings: &[(&str, &str)]) -> Run {
    let report = std::env::temp_dir().join(format!("loadgen-{}.html", addr.port()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorlab-loadgen"));
    command.env_clear().envs([("VUS", "4"), ("DURATION", "1s"), ("THINK_TIME", "20ms")]);
    command.env("BASE_URL", format!("http://{addr}")).env("REPORT", &report);
    command.envs(settings.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Run { command, report }
}

impl Run {
    async fn output(mut self) -> (Output, String) {
        let done = tokio::task::spawn_blocking(move || self.command.output().unwrap());
        let output = tokio::time::timeout(Duration::from_secs(60), done).await.unwrap().unwrap();
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        drop(std::fs::remove_file(&self.report));
        (output, text)
    }
}

/// A column of the summary's last line: 1 for requests, 2 for failures.
fn all(text: &str, column: usize) -> u64 {
    let line = text.lines().find(|line| line.starts_with("all ")).expect(text);
    line.split_whitespace().nth(column).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_counts_each_request_once_and_writes_a_report() {
    let (addr, count) = shop(|_| (Duration::ZERO, StatusCode::OK)).await;
    let run = loadgen(addr, &[]);
    let report = run.report.clone();
    let mut command = run.command;
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    // One more at the start, to see whether anybody answers.
    assert_eq!(all(&text, 1) + 1, count.load(Ordering::SeqCst), "{text}");
    assert_eq!(all(&text, 2), 0, "{text}");
    for route in loadgen::mix::KINDS {
        assert!(text.contains(route), "{text}");
    }
    let html = std::fs::read_to_string(&report).unwrap();
    assert!(html.contains("<html") && html.contains("/api/product/{id}"));
    std::fs::remove_file(report).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_fine_fails_the_run() {
    let (addr, _) = shop(|path| {
        let fine = path != "/api/search";
        (Duration::ZERO, if fine { StatusCode::OK } else { StatusCode::NOT_FOUND })
    })
    .await;
    let (output, text) = loadgen(addr, &[]).output().await;
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(all(&text, 2) > 0 && text.contains("requests failed"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_product_and_an_injected_error_at_the_checkout_are_fine() {
    let (addr, _) = shop(|path| match path {
        "/api/search" => (Duration::ZERO, StatusCode::OK),
        "/api/checkout" => (Duration::ZERO, StatusCode::INTERNAL_SERVER_ERROR),
        _ => (Duration::ZERO, StatusCode::NOT_FOUND),
    })
    .await;
    let (output, text) = loadgen(addr, &[]).output().await;
    assert_eq!(output.status.code(), Some(0), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_p99_above_the_limit_fails_the_run() {
    let (addr, _) = shop(|_| (Duration::from_millis(40), StatusCode::OK)).await;
    let (output, text) = loadgen(addr, &[("MAX_P99", "30ms")]).output().await;
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("allowed is below 30.0 ms"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_it_early_with_the_summary() {
    let (addr, count) = shop(|_| (Duration::ZERO, StatusCode::OK)).await;
    let mut run = loadgen(addr, &[("DURATION", "10m")]);
    let child = run.command.spawn().unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while count.load(Ordering::SeqCst) < 20 {
        assert!(tokio::time::Instant::now() < deadline, "no traffic");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let done = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let output = tokio::time::timeout(Duration::from_secs(30), done).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(all(&text, 1) >= 20, "{text}");
    drop(std::fs::remove_file(run.report));
}

#[test]
fn bad_settings_are_code_2_and_named() {
    let mut run = loadgen("127.0.0.1:1".parse().unwrap(), &[("VUS", "none")]);
    let output = run.command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--vus"));
}
