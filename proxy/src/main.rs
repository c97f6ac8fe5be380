//! Orders things: arguments, configuration, logging, runtimes, serve until a signal, drain.
//!
//! Exit codes: 0 after a drain (and for `--healthcheck`: healthy), 1 when it cannot start or is
//! told to stop at once (unhealthy), 2 for bad settings or arguments.

use std::io::Write;
use std::process::ExitCode;

use proxy::{app, config::Config, healthcheck};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

const USAGE: &str = "\
mirrorlab-proxy: answers from the baseline, mirrors a share to the candidate, compares the two.

Usage: mirrorlab-proxy [--healthcheck | --help | --version]

  --healthcheck  ask the proxy with these settings whether it is alive; exit code 0 or 1
  --help         this text
  --version      the version

All settings come from the environment; BASELINE_URL and CANDIDATE_URL are the first to set.
";

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    match argument.as_deref() {
        None | Some("--healthcheck") => {}
        Some("--help" | "-h") => return say(USAGE),
        Some("--version" | "-V") => {
            return say(concat!("mirrorlab-proxy ", env!("CARGO_PKG_VERSION"), "\n"));
        }
        Some(other) => return fail(2, &format!("unknown argument {other:?}\n\n{USAGE}")),
    }
    let config = match Config::from_process_env() {
        Ok(config) => config,
        Err(errors) => return fail(2, &errors.to_string()),
    };
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &format!("cannot start threads: {error}")),
    };
    if argument.is_some() {
        return match runtime.block_on(healthcheck::check(&config)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => fail(1, &why),
        };
    }
    if let Err(why) = proxy::logging::init(&config.log) {
        return fail(2, &why);
    }
    // Comparing has a runtime of its own: what it computes takes no turn from a client.
    let compare =
        Builder::new_multi_thread().worker_threads(1).thread_name("compare").enable_all().build();
    let compare = match compare {
        Ok(compare) => compare,
        Err(error) => return fail(1, &format!("cannot start threads: {error}")),
    };
    let code = runtime.block_on(run(config, &compare));
    compare.shutdown_background();
    runtime.shutdown_background();
    code
}

async fn run(config: Config, compare: &Runtime) -> ExitCode {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return fail(1, "cannot listen for signals");
    };
    for name in Config::unknown_in_process_env() {
        warn!(name, "a setting of this name is not known; a typing error?");
    }
    let app = match app::start(config, compare.handle().clone()).await {
        Ok(app) => app,
        Err(why) => {
            error!(%why, "cannot start");
            return ExitCode::from(1);
        }
    };
    info!(traffic = %app.traffic, admin = %app.admin.unwrap_or(app.traffic), "ready");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    info!("draining: no new connections, requests in flight may finish");
    tokio::select! {
        drained = app.shutdown() => {
            if drained.cut > 0 {
                warn!(cut = drained.cut, "the drain took too long; requests were cut off");
            }
            info!("stopped");
            ExitCode::SUCCESS
        }
        _ = terminate.recv() => stopped_at_once(),
        _ = interrupt.recv() => stopped_at_once(),
    }
}

fn stopped_at_once() -> ExitCode {
    warn!("a second signal: stopped at once");
    ExitCode::from(1)
}

fn say(text: &str) -> ExitCode {
    // A closed pipe is no reason to complain.
    drop(std::io::stdout().write_all(text.as_bytes()));
    ExitCode::SUCCESS
}

fn fail(code: u8, text: &str) -> ExitCode {
    // Nobody is left to tell when this fails.
    drop(writeln!(std::io::stderr(), "{}", text.trim_end()));
    ExitCode::from(code)
}
