//! The fast rule: a run of pairs each of which is a plain breach.

use std::time::Duration;

use super::signals::Pair;
use super::{Config, Observation};

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
pub fn breach(pair: &Observation<'_>, config: &Config) -> Option<Breach> {
    if failed(&pair.pair(), config) {
        return Some(Breach::Failed);
    }
    let candidate = pair.candidate_latency?;
    let baseline = pair.baseline_latency.max(pair.baseline_p99);
    slow(candidate, baseline, config).then_some(Breach::Slow {
        candidate,
        own: pair.baseline_latency,
        p99: pair.baseline_p99,
        allowed: config.latency_ratio,
    })
}

/// Whether the candidate did worse than its partner: an example of what is wrong, no breach yet.
pub fn is_worse(pair: &Pair, config: &Config) -> bool {
    let is_slow = |candidate| slow(candidate, pair.baseline_latency, config);
    failed(pair, config) || pair.candidate_latency.is_some_and(is_slow)
}

fn failed(pair: &Pair, config: &Config) -> bool {
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
