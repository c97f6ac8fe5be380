//! Evidence that the candidate is worse than allowed, added up pair by pair: an e-detector
//! (Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric framework for sequential change detection",
//! 2022), the descendant of Page's CUSUM ("Continuous inspection schemes", 1954).
//!
//! Each bet runs as `M <- max(M, 1) * factor`, and the evidence is the weighted mean of all `M`. It
//! may be looked at after every pair: as long as no bet gains on average given all that came before, the
//! mean number of steps until the evidence reaches [`THRESHOLD`] is at least [`THRESHOLD`]. Whether a
//! pair or a block of them is a step is for [`super::evidence`] to say.

use super::bets::{self, COUNT, Factors, Signal};
use super::signals::Allowance;

/// Evidence that trips, `1 / alpha` for `alpha = 1e-6`.
pub const THRESHOLD: f64 = 1e6;

/// More is not told apart: evidence stays a finite number however long it is not acted on.
const MOST: f64 = 1e140;

/// Adds up the bets.
#[derive(Clone, Debug)]
pub struct Detector {
    values: Factors,
    weights: Factors,
    pairs: u64,
    evidence: f64,
    failures: f64,
}

impl Detector {
    /// No evidence.
    pub fn new(allowed: &Allowance) -> Self {
        Self {
            values: [0.0; COUNT],
            weights: bets::weights(allowed),
            pairs: 0,
            evidence: 0.0,
            failures: 0.0,
        }
    }

    /// Back to no evidence.
    pub fn reset(&mut self) {
        self.values = [0.0; COUNT];
        self.pairs = 0;
        (self.evidence, self.failures) = (0.0, 0.0);
    }

    /// Takes in a pair. What failures say is divided by `failures_by`.
    pub fn add(&mut self, factors: &Factors, failures_by: f64) {
        self.pairs += 1;
        self.multiply(factors, failures_by);
    }

    /// Takes in what is known later about a pair that was counted.
    pub fn multiply(&mut self, factors: &Factors, failures_by: f64) {
        let (mut evidence, mut failures) = (0.0, 0.0);
        let bets = self.values.iter_mut().zip(factors).zip(&self.weights).enumerate();
        for (bet, ((value, factor), weight)) in bets {
            *value = (value.max(1.0) * factor).min(MOST);
            if bets::signal(bet) == Signal::Errors {
                failures += *value * weight;
            } else {
                evidence += *value * weight;
            }
        }
        self.failures = failures;
        self.evidence = evidence + failures / failures_by;
    }

    /// Whether the evidence trips.
    pub fn trips(&self) -> bool {
        self.evidence >= THRESHOLD
    }

    /// Pairs since there was no evidence.
    pub fn pairs(&self) -> u64 {
        self.pairs
    }

    /// The evidence now; it trips at [`THRESHOLD`].
    pub fn evidence(&self) -> f64 {
        self.evidence
    }

    /// The part of failures, undivided.
    pub fn failures(&self) -> f64 {
        self.failures
    }

    /// The signal with the most evidence; `None` while there is none.
    pub fn leading(&self) -> Option<Signal> {
        if self.pairs == 0 {
            return None;
        }
        let share = |bet: usize| (self.values[bet] - 1.0) * self.weights[bet];
        let best = (0..COUNT).max_by(|a, b| share(*a).total_cmp(&share(*b)));
        best.map(bets::signal)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ALLOWED: Allowance = Allowance {
        latency_ratio: 1.15,
        latency_floor: Duration::from_millis(2),
        error_delta: 0.005,
        mismatch_rate: None,
    };

    #[test]
    fn evidence_against_starts_anew_at_1_whatever_came_before() {
        let mut detector = Detector::new(&ALLOWED);
        for _ in 0..1000 {
            detector.add(&[0.5; COUNT], 1.0);
            assert!(!detector.trips());
        }
        detector.add(&[2.0; COUNT], 1.0);
        assert!((detector.evidence() - 2.0).abs() < 1e-9, "{}", detector.evidence());
    }

    #[test]
    fn it_trips_at_the_threshold_and_not_before() {
        let mut detector = Detector::new(&ALLOWED);
        for pair in 1..=20 {
            detector.add(&[2.0; COUNT], 1.0);
            assert_eq!(detector.trips(), pair == 20, "2^{pair}");
        }
        assert_eq!(detector.pairs(), 20);
        for _ in 0..10_000 {
            detector.add(&[2.0; COUNT], 1.0);
            assert!(detector.trips());
        }
        assert!(detector.evidence().is_finite());
        detector.reset();
        assert_eq!((detector.pairs(), detector.evidence()), (0, 0.0));
    }

    #[test]
    fn the_leading_signal_is_that_of_the_bet_with_the_largest_share() {
        let mut detector = Detector::new(&ALLOWED);
        assert_eq!(detector.leading(), None);
        let mut factors = [1.0; COUNT];
        let bet = (0..COUNT).find(|bet| bets::signal(*bet) == Signal::LatencyP99).unwrap();
        factors[bet] = 100.0;
        detector.add(&factors, 1.0);
        assert_eq!(detector.leading(), Some(Signal::LatencyP99));
    }
}
