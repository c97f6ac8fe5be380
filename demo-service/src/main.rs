//! Orders things: arguments, configuration, logging, serve until a signal, drain.
//!
//! Exit codes: 0 after a drain (and for `--healthcheck`: healthy), 1 when it cannot start
//! (unhealthy), 2 for bad settings or arguments.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use demo_service::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

const USAGE: &str = "\
mirrorlab-demo-service: a small shop to try the proxy on.

Usage: mirrorlab-demo-service [--healthcheck | --help | --version]

  --healthcheck  ask the service on PORT whether it is up; exit code 0 or 1
  --help         this text
  --version      the version

Settings, from the environment: SERVICE_NAME (service), PORT (4001), CHAOS_LATENCY_MS (0),
CHAOS_JITTER_MS (0), CHAOS_ERROR_RATE (0.0), CHAOS_MISMATCH_RATE (0.0).
";

#[tokio::main]
async fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    match argument.as_deref() {
        None | Some("--healthcheck") => {}
        Some("--help" | "-h") => return say(USAGE),
        Some("--version" | "-V") => {
            return say(&format!("mirrorlab-demo-service {}\n", version::VERSION));
        }
        Some(other) => return fail(2, &format!("unknown argument {other:?}\n\n{USAGE}")),
    }
    let config = match Config::from_process_env() {
        Ok(config) => config,
        Err(errors) => return fail(2, &errors.to_string()),
    };
    if argument.is_some() {
        return match tokio::time::timeout(Duration::from_secs(3), healthy(config.addr.port())).await
        {
            Ok(Ok(())) => ExitCode::SUCCESS,
            Ok(Err(why)) => fail(1, &format!("unhealthy: {why}")),
            Err(_) => fail(1, "unhealthy: no answer in 3 s"),
        };
    }
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colours);
    // A line that cannot be written is lost, not a reason to panic.
    log.with_target(false).log_internal_errors(false).init();
    serve(config).await
}

async fn serve(config: Config) -> ExitCode {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return fail(1, "cannot listen for signals");
    };
    let (name, chaos, addr) = (config.name.clone(), config.chaos, config.addr);
    let running = match demo_service::start(config).await {
        Ok(running) => running,
        Err(why) => {
            error!(%addr, %why, "cannot listen");
            return ExitCode::from(1);
        }
    };
    info!(name, addr = %running.addr, ?chaos, "ready");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    info!("draining");
    tokio::select! {
        () = running.shutdown() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = tokio::time::sleep(Duration::from_secs(10)) => {}
    }
    ExitCode::SUCCESS
}

async fn healthy(port: u16) -> Result<(), String> {
    let ask = async {
        let mut stream = TcpStream::connect(("localhost", port)).await?;
        let request =
            b"GET /actuator/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = ask.await.map_err(|error| error.to_string())?;
    let status = answer.lines().next().unwrap_or_default();
    if status.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(format!("answered {status:?}")) }
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
