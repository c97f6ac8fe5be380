//! Orders things: options, settings, stack, traffic, then a scenario or the live status.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use lab::beside::{Beside, Started};
use lab::options::Options;
use lab::output::Output;
use lab::part;
use lab::scenario::{Scenario, Story};
use lab::stack::{Apart, Ports, Stack};
use lab::status::{Observer, Urls};
use lab::traffic::Traffic;
use lab::trial::Trial;
use proxy::config::Config;
use reqwest::Client;
use tokio::runtime::{Builder, Handle, Runtime};

/// For each step of a scenario. The resume step needs the cooldown and then some.
const STEP_DEADLINE: Duration = Duration::from_secs(60);
/// How long twins are watched.
const CALM: Duration = Duration::from_secs(600);
const REDRAW: Duration = Duration::from_secs(1);
const PLAIN_LINES: Duration = Duration::from_secs(5);
/// The load test's users, where all parts are processes, and how long they think.
const USERS: u32 = 50;
const THINK: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let options = Options::parse().checked().unwrap_or_else(|error| error.exit());
    if let Some(part) = options.part {
        return part::serve(part);
    }
    let mut output = Output::default();
    let config = match settings(options.scenario) {
        Ok(config) => config,
        Err(errors) => {
            output.line(errors.trim_end());
            return ExitCode::from(2);
        }
    };
    let runtimes = Runtime::new().and_then(|main| {
        let compare = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok((main, compare))
    });
    let (runtime, compare) = match runtimes {
        Ok(runtimes) => runtimes,
        Err(error) => {
            output.line(&format!("cannot start threads: {error}"));
            return ExitCode::from(1);
        }
    };
    let log =
        tracing_subscriber::fmt().with_max_level(tracing_level(&config)).log_internal_errors(false);
    log.with_writer(std::io::stderr).with_target(false).init();
    let code = runtime.block_on(run(&options, config, compare.handle().clone(), &mut output));
    compare.shutdown_background();
    runtime.shutdown_background();
    code
}

/// The proxy's settings from the environment; in the lab all requests are mirrored by default.
fn settings(scenario: Option<Scenario>) -> Result<Config, String> {
    let defaults = Scenario::settings(scenario);
    let config = Config::from_process_env_with(defaults).map_err(|errors| errors.to_string())?;
    Ok(match scenario {
        Some(scenario) => scenario.with_candidates(config),
        None => config,
    })
}

/// The lab tells what happens in its own words; log lines are for those who ask.
fn tracing_level(config: &Config) -> tracing_subscriber::filter::LevelFilter {
    use tracing_subscriber::filter::LevelFilter;
    if config.log.filter == "info" {
        return LevelFilter::ERROR;
    }
    config.log.filter.parse().unwrap_or(LevelFilter::INFO)
}

async fn run(options: &Options, config: Config, compare: Handle, output: &mut Output) -> ExitCode {
    let stack = match start(options, config, compare).await {
        Ok(stack) => stack,
        Err(error) => {
            output.line(&format!("cannot start: {error}"));
            return ExitCode::from(1);
        }
    };
    stack.directions(Ports::STANDARD).iter().for_each(|line| output.line(line));
    let client = match Client::builder().no_proxy().timeout(Duration::from_secs(30)).build() {
        Ok(client) => client,
        Err(error) => {
            output.line(&format!("cannot make a client: {error}"));
            return ExitCode::from(1);
        }
    };
    let traffic = if options.no_traffic {
        Traffic::none()
    } else if options.processes {
        Traffic::users(&client, &stack.proxy(), USERS, THINK)
    } else {
        Traffic::start(client.clone(), stack.proxy(), options.rate)
    };
    let urls =
        Urls { baseline: stack.baseline(), candidate: stack.candidate(), proxy: stack.proxy() };
    let beside = Started::start(&options.beside, &stack.services());
    let code = tokio::select! {
        code = perform(options, client, urls, &traffic, output) => code,
        interrupted = tokio::signal::ctrl_c() => match interrupted {
            // A scenario that was broken off did not go as it should.
            Ok(()) if options.scenario.is_none() => ExitCode::SUCCESS,
            _ => ExitCode::from(1),
        },
    };
    // Before the processes that it may have stopped.
    drop((beside, traffic));
    stack.shutdown().await;
    code
}

/// The parts are processes where that is wanted, and the services where they are to be stopped.
async fn start(options: &Options, config: Config, compare: Handle) -> io::Result<Stack> {
    let apart = if options.processes {
        Apart::All(std::env::current_exe()?)
    } else if options.beside.contains(&Beside::Pause) {
        Apart::Services(std::env::current_exe()?)
    } else {
        Apart::Nothing
    };
    Stack::start_apart(Ports::STANDARD, config, compare, apart).await
}

async fn perform(
    options: &Options,
    client: Client,
    urls: Urls,
    traffic: &Traffic,
    output: &mut Output,
) -> ExitCode {
    if options.processes {
        let observer = Observer::new(client, urls);
        return try_twins(options, observer, traffic, output).await;
    }
    if let Some(scenario) = options.scenario {
        return tell(scenario, options, client, urls, traffic, output).await;
    }
    let limit = options.duration.unwrap_or(Duration::MAX);
    let mut observer = Observer::new(client, urls);
    // The end of the time is the end wished for.
    drop(tokio::time::timeout(limit, watch(&mut observer, traffic, output)).await);
    ExitCode::SUCCESS
}

/// Counts what happens to twins, and tells it.
async fn try_twins(
    options: &Options,
    observer: Observer,
    traffic: &Traffic,
    output: &mut Output,
) -> ExitCode {
    let clients = std::sync::Arc::clone(&traffic.clients);
    let narrate = Box::new(|line: &str| output.line(line));
    let seen = Trial { observer, clients, narrate }.watch(options.duration.unwrap_or(CALM)).await;
    output.line("");
    seen.lines().iter().for_each(|line| output.line(line));
    let faults = seen.faults();
    faults.iter().for_each(|fault| output.line(&format!("FAILED: {fault}")));
    let code = u8::from(!faults.is_empty());
    output.line(&format!("exit code {code}"));
    ExitCode::from(code)
}

async fn tell(
    scenario: Scenario,
    options: &Options,
    client: Client,
    urls: Urls,
    traffic: &Traffic,
    output: &mut Output,
) -> ExitCode {
    let (calm, limit) = match (scenario, options.duration) {
        (Scenario::Twins, duration) => (duration.unwrap_or(CALM), Duration::MAX),
        (_, limit) => (CALM, limit.unwrap_or(Duration::MAX)),
    };
    let mut story = Story {
        client,
        urls,
        clients: std::sync::Arc::clone(&traffic.clients),
        deadline: STEP_DEADLINE,
        calm,
        narrate: Box::new(|line| output.line(line)),
    };
    let played = tokio::time::timeout(limit, story.play(scenario)).await;
    drop(story);
    match played {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failed)) => {
            output.line(&format!("\nFAILED at step {:?}: {}", failed.step, failed.why));
            ExitCode::from(1)
        }
        Err(_) => {
            output.line("\nFAILED: --duration passed before the story's end");
            ExitCode::from(1)
        }
    }
}

async fn watch(observer: &mut Observer, traffic: &Traffic, output: &mut Output) {
    let pause = if output.is_terminal() { REDRAW } else { PLAIN_LINES };
    loop {
        let mut lines = match observer.look().await {
            Some(status) => status.lines(),
            None => vec!["the proxy does not answer".to_owned()],
        };
        let (sent, errors) = (traffic.clients.sent(), traffic.clients.errors());
        lines.push(format!("clients    {sent} requests, {errors} errors"));
        output.status(&lines);
        tokio::time::sleep(pause).await;
    }
}
