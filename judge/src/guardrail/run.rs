//! The fast rule: a run of plain breaches, that no healthy pair breaks.
//!
//! A slow pair counts when it began after the one counted before had ended: a slow candidate trips
//! after so many of its own latencies, whatever the rate, and one pause does not. Where latencies
//! remember, a run must be that much longer too. Failures count one by one, and against the longest run
//! that the baseline had when it failed alone.

use std::time::Duration;

use super::Config;
use super::moments::{Moments, Span};
use super::signals::Measured;

/// Pairs over which the longest run of the baseline's failures is remembered, at least.
const MEMORY: u32 = 1 << 20;
/// However long the baseline was out, so many failures in a row trip.
const MOST: u32 = 128;

/// A run, over all pairs or on one route.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Failures, and moments in which the candidate was slow.
    breaches: u32,
    /// All pairs of the run, those in the same moment included.
    pairs: u64,
    slow: bool,
    moments: Moments,
    /// Pairs that were one observation when the run began.
    length: u64,
    control: Control,
}

impl Run {
    /// Takes in a pair. `length` is the memory of latencies now, in pairs.
    pub fn record(&mut self, breach: Option<&Breach>, pair: &Measured, span: &Span, length: u64) {
        self.control.record(pair);
        let Some(breach) = breach else {
            self.reset();
            return;
        };
        if self.pairs == 0 {
            self.length = length;
        }
        self.pairs += 1;
        let counts = match breach {
            Breach::Failed => true,
            Breach::Slow { .. } => {
                self.slow = true;
                self.moments.begins(span)
            }
        };
        self.breaches += u32::from(counts);
    }

    /// Whether it is long enough to trip.
    pub fn trips(&self, consecutive: u32) -> bool {
        let remembered = if self.slow { self.length } else { 1 };
        self.breaches >= consecutive.max(self.control.bound())
            && self.pairs >= u64::from(consecutive) * remembered
    }

    /// Breaches in a row.
    pub fn breaches(&self) -> u32 {
        self.breaches
    }

    /// No run; what is known of the baseline stays.
    pub fn reset(&mut self) {
        (self.breaches, self.pairs, self.slow) = (0, 0, false);
    }
}

/// How the baseline fails alone: a twin fails likewise, at other times.
#[derive(Clone, Debug, Default)]
struct Control {
    running: u32,
    /// The longest in the block of pairs that fills and in the one before.
    longest: [u32; 2],
    pairs: u32,
}

impl Control {
    fn record(&mut self, pair: &Measured) {
        let alone = pair.baseline_failed && !pair.candidate_failed;
        self.running = if alone { self.running + 1 } else { 0 };
        if self.pairs == MEMORY {
            (self.longest, self.pairs) = ([0, self.longest[0]], 0);
        }
        self.pairs += 1;
        self.longest[0] = self.longest[0].max(self.running);
    }

    /// Runs have a geometric law, about: twice the longest is as rare as the longest, squared.
    fn bound(&self) -> u32 {
        (2 * self.longest[0].max(self.longest[1])).min(MOST)
    }
}

/// What makes a pair a breach.
#[derive(Clone, Copy, Debug)]
pub enum Breach {
    /// The candidate failed and the baseline did not.
    Failed,
    /// The candidate was slower than both yardsticks.
    Slow {
        /// The candidate's latency.
        candidate: Duration,
        /// The baseline's in this pair.
        own: Duration,
        /// The baseline's recent p99.
        p99: Duration,
        /// The latency ratio that is allowed.
        allowed: f64,
    },
}

/// Whether this pair is a breach. Whoever is slow against its partner must be slow against the
/// baseline's recent p99 too, since two healthy copies differ from pair to pair all the time.
pub fn breach(pair: &Measured, baseline_p99: Duration, config: &Config) -> Option<Breach> {
    if failed(pair, config) {
        return Some(Breach::Failed);
    }
    // How slow the baseline would have been is not known.
    let candidate = pair.candidate_latency.filter(|_| !pair.censored)?;
    let baseline = pair.baseline_latency.max(baseline_p99);
    slow(candidate, baseline, config).then_some(Breach::Slow {
        candidate,
        own: pair.baseline_latency,
        p99: baseline_p99,
        allowed: config.latency_ratio,
    })
}

/// Whether the candidate did worse than its partner: an example of what is wrong, no breach yet.
pub fn is_worse(pair: &Measured, config: &Config) -> bool {
    let is_slow = |candidate| slow(candidate, pair.baseline_latency, config);
    failed(pair, config) || pair.candidate_latency.is_some_and(is_slow)
}

fn failed(pair: &Measured, config: &Config) -> bool {
    config.error_delta < 1.0 && pair.candidate_failed && !pair.baseline_failed
}

fn slow(candidate: Duration, baseline: Duration, config: &Config) -> bool {
    candidate.as_secs_f64() / baseline.as_secs_f64() > config.latency_ratio
        && candidate.saturating_sub(baseline) > config.latency_floor
}

impl Breach {
    /// In words.
    pub fn text(self) -> String {
        let Self::Slow { candidate, own, p99, allowed } = self else {
            return "the candidate failed and the baseline did not".to_owned();
        };
        let [candidate, own, p99] = [candidate, own, p99].map(millis);
        let baseline = own.max(p99);
        format!(
            "candidate latency {candidate:.1} ms is {:.2} times the baseline's {baseline:.1} ms \
             (its own {own:.1} ms, recent p99 {p99:.1} ms), allowed is {allowed}",
            candidate / baseline,
        )
    }
}

/// As people read it.
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
