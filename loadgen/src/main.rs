//! Orders things: options, a first request, the load test with its progress, the summary.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use loadgen::attack;
use loadgen::options::Options;
use loadgen::stats::Stats;
use reqwest::Client;
use tokio::signal::unix::{SignalKind, signal};

/// How long the target may take to give its first answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    match drive(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&format!("FAILED: {why}"));
            ExitCode::FAILURE
        }
    }
}

async fn drive(options: &Options) -> Result<(), String> {
    reachable(&options.base_url).await?;
    let Options { base_url, vus, duration, think_time, .. } = options;
    let (duration, think_time) =
        (humantime::format_duration(*duration), humantime::format_duration(*think_time));
    say(&format!("{vus} users, {think_time} think time, {duration}, to {base_url}"));
    stop_on_sigterm()?;
    let stats = Arc::new(Stats::new(options.think_time));
    let progress = tokio::spawn(progress(Arc::clone(&stats)));
    let ran = attack::run(options, Arc::clone(&stats)).await;
    progress.abort();
    ran.map_err(|error| error.to_string())?;
    let summary = stats.summary();
    say(&format!("\n{summary}\nreport: {}", options.report.display()));
    summary.verdict(options.max_p99)?;
    say("well: all answers fine, p99 below the limit");
    Ok(())
}

/// A wrong URL shall not take five minutes to tell.
async fn reachable(base_url: &str) -> Result<(), String> {
    let client = Client::builder().timeout(Duration::from_secs(5)).build();
    let client = client.map_err(|error| error.to_string())?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match client.get(format!("{base_url}/api/search")).send().await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => {
                return Err(format!("{base_url} does not answer: {error}"));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}

/// goose looks after Ctrl-C itself, but containers are stopped with SIGTERM.
fn stop_on_sigterm() -> Result<(), String> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        terminate.recv().await;
        attack::stop("told to stop");
    });
    Ok(())
}

async fn progress(stats: Arc<Stats>) {
    let terminal = std::io::stdout().is_terminal();
    let pause = Duration::from_secs(if terminal { 1 } else { 10 });
    let start = Instant::now();
    loop {
        tokio::time::sleep(pause).await;
        let line = format!("{:>5} s  {}", start.elapsed().as_secs(), stats.summary().line());
        if terminal {
            // A closed pipe is no reason to stop.
            drop(
                write!(std::io::stdout(), "\r{line}\x1b[K")
                    .and_then(|()| std::io::stdout().flush()),
            );
        } else {
            say(&line);
        }
    }
}

fn say(line: &str) {
    // A closed pipe is no reason to stop.
    drop(writeln!(std::io::stdout(), "{line}"));
}
