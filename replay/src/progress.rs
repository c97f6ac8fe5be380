//! How a run goes: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::counts::{Counts, Standing};

/// How often a bar is drawn.
const BAR: Duration = Duration::from_millis(200);
/// How often a line is written.
const LINE: Duration = Duration::from_secs(10);

/// How much of the sources was read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Bytes so far.
    pub done: Arc<AtomicU64>,
    /// Bytes in all; `None` where nobody knows.
    pub all: Option<u64>,
}

/// Shows how a run goes until it is dropped.
pub async fn show(counts: Arc<Counts>, reading: Reading) {
    let started = Instant::now();
    let is_terminal = std::io::stderr().is_terminal();
    let bar = if is_terminal { bar(reading.all) } else { ProgressBar::hidden() };
    let mut before = (0, started);
    loop {
        tokio::time::sleep(if is_terminal { BAR } else { LINE }).await;
        let (standing, now) = (counts.standing(), Instant::now());
        let rate = rate(standing.over - before.0, now - before.1);
        let done = reading.done.load(Ordering::Relaxed);
        if is_terminal {
            bar.set_position(done);
            bar.set_message(message(&standing, rate));
        } else {
            before = (standing.over, now);
            let left = left(done, reading.all, now - started);
            eprintln!("{}{left}", message(&standing, rate));
        }
        if now - before.1 >= Duration::from_secs(1) {
            before = (standing.over, now);
        }
    }
}

fn bar(all: Option<u64>) -> ProgressBar {
    let template = match all {
        Some(_) => "{bar:30} {percent:>3} %  {msg}  {eta} to go",
        None => "{spinner} {elapsed}  {msg}",
    };
    let style = ProgressStyle::with_template(template).expect("the template is fixed");
    let bar = match all {
        Some(all) => ProgressBar::new(all),
        None => ProgressBar::new_spinner(),
    };
    bar.with_style(style)
}

fn message(standing: &Standing, rate: f64) -> String {
    let (over, failures) = (standing.over, standing.failures);
    format!("{over} done, {rate:.0}/s, {failures} failed")
}

fn rate(count: u64, time: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    let count = count as f64;
    count / time.as_secs_f64().max(0.001)
}

/// How long it takes for the rest at the speed so far.
fn left(done: u64, all: Option<u64>, since: Duration) -> String {
    let Some(all) = all.filter(|all| done > 0 && *all >= done) else { return String::new() };
    let seconds = rate(all - done, Duration::from_secs(1)) / rate(done, since);
    format!(", {:.0} s to go", seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_where_the_size_is_known() {
        assert_eq!(left(25, Some(100), Duration::from_secs(10)), ", 30 s to go");
        assert_eq!(left(25, None, Duration::from_secs(10)), "");
        assert_eq!(left(0, Some(100), Duration::from_secs(10)), "");
    }
}
