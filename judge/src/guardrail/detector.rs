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
    sums: Sums,
}

/// The evidence by what it is about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    /// Latencies.
    pub latency: f64,
    /// Failures.
    pub failures: f64,
    /// Different answers.
    pub mismatches: f64,
}

impl Detector {
    /// No evidence.
    pub fn new(allowed: &Allowance) -> Self {
        Self {
            values: [0.0; COUNT],
            weights: bets::weights(allowed),
            pairs: 0,
            sums: Sums::default(),
        }
    }

    /// Back to no evidence.
    pub fn reset(&mut self) {
        self.values = [0.0; COUNT];
        self.pairs = 0;
        self.sums = Sums::default();
    }

    /// Back to no evidence from latencies.
    pub fn forget_latency(&mut self) {
        let bets = self.values.iter_mut().enumerate();
        bets.filter(|(bet, _)| bets::signal(*bet).is_latency()).for_each(|(_, value)| *value = 0.0);
    }

    /// Takes in a pair.
    pub fn add(&mut self, factors: &Factors) {
        self.pairs += 1;
        self.multiply(factors);
    }

    /// Takes in what is known later about a pair that was counted.
    pub fn multiply(&mut self, factors: &Factors) {
        let mut sums = Sums::default();
        let bets = self.values.iter_mut().zip(factors).zip(&self.weights).enumerate();
        for (bet, ((value, factor), weight)) in bets {
            *value = (value.max(1.0) * factor).min(MOST);
            let sum = match bets::signal(bet) {
                Signal::Errors => &mut sums.failures,
                Signal::Mismatches => &mut sums.mismatches,
                _ => &mut sums.latency,
            };
            *sum += *value * weight;
        }
        self.sums = sums;
    }

    /// Pairs since there was no evidence.
    pub fn pairs(&self) -> u64 {
        self.pairs
    }

    /// The evidence now.
    pub fn sums(&self) -> Sums {
        self.sums
    }

    /// The signal with the most evidence, of latencies only where those count; `None` while there is none.
    pub fn leading(&self, latency: bool) -> Option<Signal> {
        if self.pairs == 0 {
            return None;
        }
        let share = |bet: &usize| (self.values[*bet] - 1.0) * self.weights[*bet];
        let counts =
            |bet: &usize| self.weights[*bet] > 0.0 && (latency || !bets::signal(*bet).is_latency());
        let best = (0..COUNT).filter(counts).max_by(|a, b| share(a).total_cmp(&share(b)));
        best.map(bets::signal)
    }
}

#[cfg(test)]
mod tests {
    use super::super::signals::tests::ALLOWED;
    use super::*;

    fn evidence(detector: &Detector) -> f64 {
        let Sums { latency, failures, mismatches } = detector.sums();
        latency + failures + mismatches
    }

    #[test]
    fn evidence_against_starts_anew_at_1_whatever_came_before() {
        let mut detector = Detector::new(&ALLOWED);
        for _ in 0..1000 {
            detector.add(&[0.5; COUNT]);
        }
        detector.add(&[2.0; COUNT]);
        assert!((evidence(&detector) - 2.0).abs() < 1e-9, "{:?}", detector.sums());
    }

    #[test]
    fn evidence_stays_a_number_and_goes_back_to_none() {
        let mut detector = Detector::new(&ALLOWED);
        for pair in 1..=10_020 {
            detector.add(&[2.0; COUNT]);
            assert_eq!(evidence(&detector) >= THRESHOLD, pair >= 20, "2^{pair}");
        }
        assert_eq!(detector.pairs(), 10_020);
        assert!(evidence(&detector).is_finite());
        detector.forget_latency();
        detector.add(&[1.0; COUNT]);
        assert!(detector.sums().latency < 1.0 && detector.sums().failures > THRESHOLD);
        detector.reset();
        assert_eq!((detector.pairs(), evidence(&detector)), (0, 0.0));
    }

    #[test]
    fn the_leading_signal_is_that_of_the_bet_with_the_largest_share() {
        let mut detector = Detector::new(&ALLOWED);
        assert_eq!(detector.leading(true), None);
        // Nothing speaks against it, and what is not judged least of all.
        detector.add(&[0.5; COUNT]);
        assert_ne!(detector.leading(true), Some(Signal::Mismatches));
        detector.reset();
        let mut factors = [1.0; COUNT];
        let bet = (0..COUNT).find(|bet| bets::signal(*bet) == Signal::LatencyP99).unwrap();
        factors[bet] = 100.0;
        detector.add(&factors);
        assert_eq!(detector.leading(true), Some(Signal::LatencyP99));
        assert_ne!(detector.leading(false), Some(Signal::LatencyP99));
    }
}
