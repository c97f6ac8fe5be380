//! Log lines: text by default, JSON on request, on standard error.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use tracing::error;
use tracing_subscriber::fmt;

use crate::config::{Log, log_filter};
use crate::log_limit::LogLimit;
use crate::log_queue::{self, Flush};

/// Sets up logging for this process; what is returned must live as long as lines are to be written.
///
/// # Errors
/// When the filter cannot be read, or logging is set up already.
pub fn init(log: &Log) -> Result<Flush, String> {
    let filter =
        log_filter(&log.filter).map_err(|error| format!("LOG_LEVEL {:?}: {error}", log.filter))?;
    let colours = std::io::stderr().is_terminal();
    let (writer, flush) = log_queue::start();
    let lines = fmt().with_env_filter(filter).with_writer(writer);
    // A line that cannot be written is lost; complaining about it on the same standard error would
    // be a panic.
    let lines = lines.with_target(false).with_ansi(colours).log_internal_errors(false);
    let done = if log.json { lines.json().try_init() } else { lines.try_init() };
    done.map_err(|error| error.to_string())?;
    log_panics();
    Ok(flush)
}

/// What the standard library writes of a panic goes to standard error at once, however long that
/// blocks, and once for each panic.
fn log_panics() {
    let limit = LogLimit::new(Duration::from_secs(5));
    std::panic::set_hook(Box::new(move |panic| {
        if let Some(before) = limit.admit(Instant::now()) {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let reason = panic.payload_as_str().unwrap_or_default();
            error!(reason, place, not_logged_before = before, "a fault of the proxy itself");
        }
    }));
}
