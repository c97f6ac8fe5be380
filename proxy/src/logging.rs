//! Log lines: text by default, JSON on request, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt};

use crate::config::Log;

/// Sets up logging for this process.
///
/// # Errors
/// When the filter cannot be read, or logging is set up already.
pub fn init(log: &Log) -> Result<(), String> {
    let filter = EnvFilter::try_new(&log.filter)
        .map_err(|error| format!("LOG_LEVEL {:?}: {error}", log.filter))?;
    let colours = std::io::stderr().is_terminal();
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A line that cannot be written is lost; complaining about it on the same standard error would
    // be a panic.
    let lines = lines.with_target(false).with_ansi(colours).log_internal_errors(false);
    let done = if log.json { lines.json().try_init() } else { lines.try_init() };
    done.map_err(|error| error.to_string())
}
