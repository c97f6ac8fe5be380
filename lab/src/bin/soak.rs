//! Orders things: options, the soak, the verdict.
//!
//! Exit codes: 0 when all was as it should be, 1 when not or when something could not start, 2 for
//! bad arguments.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use lab::output::Output;
use lab::soak::{self, Bounds};
use tokio::signal::unix::{SignalKind, signal};

/// Drives steady traffic through a proxy process while its candidate refuses, hangs, is slow,
/// answers garbage, answers without end and is healthy, three times in turn.
#[derive(Debug, Parser)]
#[command(name = "mirrorlab-soak", version = version::VERSION)]
struct Options {
    /// How long in all, such as 90s or 20m.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "20m")]
    duration: Duration,
    /// Requests per second, above 0 and at most 1000.
    #[arg(long, default_value = "200", value_parser = lab::options::rate)]
    rate: f64,
    /// The proxy's program; by default the one beside this one.
    #[arg(long)]
    proxy: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let mut output = Output::default();
    let Ok(mut terminated) = signal(SignalKind::terminate()) else { return ExitCode::from(1) };
    let beside =
        || Ok::<_, std::io::Error>(std::env::current_exe()?.with_file_name("mirrorlab-proxy"));
    let ended = match options.proxy.map_or_else(beside, Ok) {
        Ok(proxy) => {
            let soak = soak::run(&proxy, options.duration, options.rate, |line| output.line(line));
            tokio::select! {
                ended = soak => ended,
                // A soak that was broken off proves nothing; it takes the proxy with it.
                _ = tokio::signal::ctrl_c() => return ExitCode::from(1),
                _ = terminated.recv() => return ExitCode::from(1),
            }
        }
        Err(error) => Err(error),
    };
    let end = match ended {
        Ok(end) => end,
        Err(error) => {
            output.line(&format!("FAILED: {error}"));
            return ExitCode::from(1);
        }
    };
    let bounds = Bounds::default();
    let counted: f64 = end.outcomes.values().sum();
    output.line(&format!(
        "\n{} requests, {} client errors, {counted} outcomes; memory may grow by {} MiB and \
         descriptors by {} after the first cycle",
        end.sent, end.errors, bounds.memory_mib, bounds.descriptors
    ));
    let faults = end.faults(bounds);
    faults.iter().for_each(|fault| output.line(&format!("FAILED: {fault}")));
    if faults.is_empty() {
        output.line("all as it should be");
        return ExitCode::SUCCESS;
    }
    ExitCode::from(1)
}
