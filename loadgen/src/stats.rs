//! What the users saw: counts and latencies by kind of request.
//!
//! A user who waits for a slow answer sends nothing meanwhile, so that a stall of ten seconds would
//! count as one slow request among thousands of quick ones ("coordinated omission", Gil Tene, "How
//! NOT to Measure Latency", 2013). Each latency is therefore recorded together with those that the
//! requests left out would have had, at the pace of one request per think time; see
//! [`Histogram::record_correct`].

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::mix::KINDS;

/// Latencies above this count as this.
const MAX: Duration = Duration::from_secs(3600);

/// Gathers what users see while they are at it.
#[derive(Debug)]
pub struct Stats {
    pace: Duration,
    rows: Mutex<[Row; KINDS.len()]>,
}

/// One kind of request, or all.
#[derive(Clone, Debug)]
pub struct Row {
    /// Requests answered, well or not, or failed.
    pub requests: u64,
    /// Those with an answer that is not fine, or none, or a broken one.
    pub failures: u64,
    /// Microseconds, those of requests left out included.
    latencies: Histogram<u64>,
}

impl Row {
    fn new() -> Self {
        let micros = u64::try_from(MAX.as_micros()).expect("an hour in microseconds fits");
        let latencies = Histogram::new_with_max(micros, 3).expect("the bounds are allowed");
        Self { requests: 0, failures: 0, latencies }
    }

    /// The latency that this share of requests, 0 to 1, kept within.
    pub fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.latencies.value_at_quantile(quantile))
    }

    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failures += other.failures;
        self.latencies.add(&other.latencies).expect("the same bounds");
    }
}

/// What was seen by kind of request, and over all.
#[derive(Clone, Debug)]
pub struct Summary {
    /// In the order of [`KINDS`].
    pub kinds: [Row; KINDS.len()],
    /// All together.
    pub total: Row,
}

impl Stats {
    /// Nothing seen yet; a user who is not kept waiting sends a request per `pace`.
    pub fn new(pace: Duration) -> Self {
        Self { pace, rows: Mutex::new(std::array::from_fn(|_| Row::new())) }
    }

    /// Takes in one request.
    pub fn record(&self, kind: usize, took: Duration, fine: bool) {
        let micros = |time: Duration| u64::try_from(time.min(MAX).as_micros()).unwrap_or(u64::MAX);
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let row = &mut rows[kind];
        row.requests += 1;
        row.failures += u64::from(!fine);
        let recorded = row.latencies.record_correct(micros(took), micros(self.pace));
        recorded.expect("cut to the bound above");
    }

    /// What was seen so far.
    pub fn summary(&self) -> Summary {
        let kinds = self.rows.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut total = Row::new();
        kinds.iter().for_each(|row| total.add(row));
        Summary { kinds, total }
    }
}

impl Summary {
    /// Why the run failed, if it did.
    pub fn verdict(&self, max_p99: Duration) -> Result<(), String> {
        let (total, p99) = (&self.total, self.total.quantile(0.99));
        if total.requests == 0 {
            return Err("no request was sent".to_owned());
        }
        if total.failures > 0 {
            let (failures, requests) = (total.failures, total.requests);
            return Err(format!("{failures} of {requests} requests failed"));
        }
        if p99 >= max_p99 {
            return Err(format!("p99 is {}, allowed is below {}", millis(p99), millis(max_p99)));
        }
        Ok(())
    }

    /// One line for those who watch.
    pub fn line(&self) -> String {
        let Row { requests, failures, .. } = self.total;
        let p99 = millis(self.total.quantile(0.99));
        format!("{requests} requests, {failures} failures, p99 {p99}")
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, time) = (10, 12);
        write!(f, "{:<24}{:>count$}{:>count$}", "route", "requests", "failures")?;
        writeln!(f, "{:>time$}{:>time$}{:>time$}", "p50", "p95", "p99")?;
        let names = KINDS.iter().copied().chain(["all"]);
        for (name, row) in names.zip(self.kinds.iter().chain([&self.total])) {
            write!(f, "{name:<24}{:>count$}{:>count$}", row.requests, row.failures)?;
            let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|quantile| millis(row.quantile(quantile)));
            writeln!(f, "{p50:>time$}{p95:>time$}{p99:>time$}")?;
        }
        Ok(())
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Duration = Duration::from_millis(100);

    fn stats(latencies: impl IntoIterator<Item = u64>) -> Stats {
        let stats = Stats::new(PACE);
        latencies.into_iter().for_each(|ms| stats.record(0, Duration::from_millis(ms), true));
        stats
    }

    #[test]
    fn a_stall_counts_for_the_requests_that_it_kept_from_being_sent() {
        // A user of a service that answers in 5 ms and once stalls for ten seconds.
        let mut latencies = vec![5; 1000];
        latencies.push(10_000);
        let summary = stats(latencies).summary();
        assert_eq!(summary.total.requests, 1001, "requests left out are no requests");
        // 100 of 1100 requests would have waited, half of them for more than five seconds.
        assert!(summary.total.quantile(0.99) > Duration::from_secs(8), "{summary}");
        assert!(summary.total.quantile(0.5) < Duration::from_millis(6), "{summary}");
    }

    #[test]
    fn a_run_is_well_when_all_answers_are_fine_and_p99_is_below_the_limit() {
        let limit = Duration::from_millis(50);
        assert_eq!(stats([5; 100]).summary().verdict(limit), Ok(()));
        let slow = stats([60; 100]).summary().verdict(limit).unwrap_err();
        assert!(slow.contains("60.") && slow.contains("50.0 ms"), "{slow}");
        assert!(Stats::new(PACE).summary().verdict(limit).unwrap_err().contains("no request"));
        let failing = stats([5; 100]);
        failing.record(2, Duration::from_millis(5), false);
        let why = failing.summary().verdict(limit).unwrap_err();
        assert_eq!(why, "1 of 101 requests failed");
    }

    #[test]
    fn the_table_has_a_line_per_route_and_one_for_all() {
        let stats = stats([10; 3]);
        stats.record(2, Duration::from_millis(20), false);
        let table = stats.summary().to_string();
        let cells = |line: usize| table.lines().nth(line).unwrap().split_whitespace();
        assert_eq!(
            cells(0).collect::<Vec<_>>(),
            ["route", "requests", "failures", "p50", "p95", "p99"]
        );
        assert!(cells(1).take(4).eq(["GET", "/api/search", "3", "0"]), "{table}");
        assert!(cells(3).take(4).eq(["POST", "/api/checkout", "1", "1"]), "{table}");
        assert!(cells(4).take(3).eq(["all", "4", "1"]), "{table}");
    }

    #[test]
    fn a_latency_beyond_the_bound_is_recorded_as_the_bound() {
        let stats = stats([]);
        stats.record(0, MAX * 2, false);
        assert!(stats.summary().total.quantile(1.0) >= MAX);
    }
}
