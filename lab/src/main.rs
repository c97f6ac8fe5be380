//! Orders things: options, settings, stack, traffic, then a scenario or the live status.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use lab::options::Options;
use lab::output::Output;
use lab::scenario::{Scenario, Story};
use lab::stack::{Ports, Stack};
use lab::status::{Observer, Urls};
use lab::traffic::Traffic;
use proxy::config::Config;
use reqwest::Client;
use tokio::runtime::{Builder, Handle, Runtime};

/// For each step of a scenario. The resume step needs the cooldown and then some.
const STEP_DEADLINE: Duration = Duration::from_secs(60);
/// How long twins are watched.
const CALM: Duration = Duration::from_secs(600);
const REDRAW: Duration = Duration::from_secs(1);
const PLAIN_LINES: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let options = Options::parse();
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
    Config::from_process_env_with(defaults).map_err(|errors| errors.to_string())
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
    let ports = Ports::STANDARD;
    let stack = match Stack::start(ports, config, compare).await {
        Ok(stack) => stack,
        Err(error) => {
            output.line(&format!("cannot start: {error}"));
            return ExitCode::from(1);
        }
    };
    stack.directions(ports).iter().for_each(|line| output.line(line));
    let client = match Client::builder().no_proxy().timeout(Duration::from_secs(30)).build() {
        Ok(client) => client,
        Err(error) => {
            output.line(&format!("cannot make a client: {error}"));
            return ExitCode::from(1);
        }
    };
    let traffic = if options.no_traffic {
        Traffic::none()
    } else {
        Traffic::start(client.clone(), stack.proxy(), options.rate)
    };
    let urls =
        Urls { baseline: stack.baseline(), candidate: stack.candidate(), proxy: stack.proxy() };
    let code = tokio::select! {
        code = perform(options, client, urls, &traffic, output) => code,
        interrupted = tokio::signal::ctrl_c() => match interrupted {
            // A scenario that was broken off did not go as it should.
            Ok(()) if options.scenario.is_none() => ExitCode::SUCCESS,
            _ => ExitCode::from(1),
        },
    };
    drop(traffic);
    stack.shutdown().await;
    code
}

async fn perform(
    options: &Options,
    client: Client,
    urls: Urls,
    traffic: &Traffic,
    output: &mut Output,
) -> ExitCode {
    if let Some(scenario) = options.scenario {
        return tell(scenario, options, client, urls, traffic, output).await;
    }
    let limit = options.duration.unwrap_or(Duration::MAX);
    let mut observer = Observer::new(client, urls);
    // The end of the time is the end wished for.
    drop(tokio::time::timeout(limit, watch(&mut observer, traffic, output)).await);
    ExitCode::SUCCESS
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
