//! From pairs to evidence, on one route or over all: pairs that overlap a slow one are left out,
//! the others make blocks as long as their memory, each block is one bet, and failures are held against
//! how the baseline fails.
//!
//! A block's mean score is bounded, and 0 or less on average as long as the candidate is not worse than
//! allowed, given all that was known a block before: that is what the bets need, and what pairs
//! with a memory do not give. The shorter the memory, the shorter the blocks; without one, each pair
//! is a block. Failures come in bursts that no estimate sees before the first one. They have a control
//! instead: the same bets with the sides exchanged, on the same pairs. Bursts like the baseline's
//! own take the evidence as high as they took the control.

use super::bets::{self, COUNT, Factors, SCORES, Signal};
use super::dependence::{Dependence, TELLS};
use super::detector::{Detector, Sums, THRESHOLD};
use super::moments::{Moments, Span};
use super::signals::{Allowance, Latency, Scores};

/// What there is against the candidate, on a route or over all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// Pairs since there was none.
    pub pairs: u64,
    /// The value; [`THRESHOLD`] trips.
    pub value: f64,
    /// The signal with the most; `None` without pairs.
    pub signal: Option<Signal>,
}

/// Pairs under which nothing but a disaster would have shown.
const ENOUGH_PAIRS: u64 = 450;

impl Evidence {
    pub(super) fn of(weighing: &Weighing) -> Self {
        let (pairs, value) = (weighing.pairs(), weighing.value());
        Self { pairs, value, signal: weighing.leading() }
    }

    /// In a word.
    pub fn verdict(&self) -> &'static str {
        // Twins get there once in about a thousand pairs.
        let some = self.value >= 1e3;
        match (some, self.pairs < ENOUGH_PAIRS) {
            (true, _) => "some evidence",
            (false, true) => "not enough data",
            (false, false) => "no evidence",
        }
    }
}

/// All that is weighed.
#[derive(Clone, Debug)]
pub struct Weighing {
    detector: Detector,
    control: Control,
    dependence: Dependence,
    moments: Moments,
    /// Of pairs with one side far out: these would seldom begin a moment among those that are just slow.
    far: Moments,
    block: Block,
    /// Pairs with latencies since the start, those that were left out included.
    latencies: u64,
}

#[derive(Clone, Debug, Default)]
struct Block {
    sums: [f64; SCORES],
    pairs: u64,
    first: Option<Latency>,
}

impl Weighing {
    /// No evidence.
    pub fn new(allowed: &Allowance) -> Self {
        Self {
            detector: Detector::new(allowed),
            control: Control::new(allowed),
            dependence: Dependence::default(),
            moments: Moments::default(),
            far: Moments::default(),
            block: Block::default(),
            latencies: 0,
        }
    }

    /// Takes in a pair.
    pub fn record(&mut self, scores: &Scores, span: &Span, allowed: &Allowance) {
        let mut factors = [1.0; COUNT];
        bets::failure_factors(scores, allowed, &mut factors);
        self.control.record(scores, allowed);
        self.latencies += u64::from(scores.latency.is_some());
        if let Some(latency) = &scores.latency
            && let Some((means, first)) = self.latency(latency, scores.slow, span)
        {
            bets::latency_factors(&means, Some(&first), &mut factors);
        }
        self.detector.add(&factors);
        if self.latencies == TELLS && scores.latency.is_some() && self.dependence.length() > 1 {
            // Each pair was taken for a block of its own, which it was not.
            self.detector.forget_latency();
        }
    }

    /// The means of a block that this pair ended, and its first pair.
    fn latency(
        &mut self,
        latency: &Latency,
        slow: bool,
        span: &Span,
    ) -> Option<([f64; SCORES], Latency)> {
        if latency.far != 0.0 && self.far.begins(span) {
            self.block.sums[bets::FAR] += latency.far;
        }
        if slow && !self.moments.begins(span) {
            return None;
        }
        self.dependence.record(latency.rank);
        self.block.record(latency, self.dependence.length())
    }

    /// Takes in what is known later of a pair that was counted.
    pub fn multiply(&mut self, factors: &Factors) {
        self.detector.multiply(factors);
    }

    /// Whether the evidence trips; never on fewer pairs than the run of breaches.
    pub fn trips(&self, least_pairs: u32) -> bool {
        self.value() >= THRESHOLD && self.detector.pairs() >= least_pairs.into()
    }

    /// Pairs that make up one independent observation of latency.
    pub fn length(&self) -> u64 {
        self.dependence.length()
    }

    /// The evidence now; it trips at [`THRESHOLD`]. Latencies do not raise it until it is known how long
    /// they remember.
    pub fn value(&self) -> f64 {
        let Sums { latency, failures, mismatches } = self.detector.sums();
        let latency = if self.knows_memory() { latency } else { latency.min(1.0) };
        latency + failures / self.control.allowed() + mismatches
    }

    fn knows_memory(&self) -> bool {
        self.latencies >= TELLS
    }

    /// The signal with the most evidence; `None` while there is none.
    pub fn leading(&self) -> Option<Signal> {
        self.detector.leading(self.knows_memory())
    }

    /// Pairs since there was no evidence.
    pub fn pairs(&self) -> u64 {
        self.detector.pairs()
    }

    /// Forgets what speaks against the candidate; memory and control stay.
    pub fn reset(&mut self) {
        self.detector.reset();
        self.block = Block::default();
    }
}

impl Block {
    /// Takes in a pair; the means and the first pair when the block is as long as this.
    fn record(&mut self, latency: &Latency, length: u64) -> Option<([f64; SCORES], Latency)> {
        let scores = bets::latency_scores(latency);
        self.sums.iter_mut().zip(scores).for_each(|(sum, score)| *sum += score);
        self.pairs += 1;
        self.first.get_or_insert(*latency);
        if self.pairs < length {
            return None;
        }
        let block = std::mem::take(self);
        let means = block.sums.map(|sum| (sum / block.pairs as f64).clamp(-1.0, 1.0));
        block.first.map(|first| (means, first))
    }
}

/// Pairs over which the control's height is remembered, at least.
const MEMORY: u64 = 1 << 20;

/// The bets on failures with the sides exchanged.
#[derive(Clone, Debug)]
struct Control {
    detector: Detector,
    /// The greatest evidence in the block of pairs that fills and in the one before.
    greatest: [f64; 2],
    pairs: u64,
}

impl Control {
    fn new(allowed: &Allowance) -> Self {
        Self { detector: Detector::new(allowed), greatest: [0.0; 2], pairs: 0 }
    }

    fn record(&mut self, scores: &Scores, allowed: &Allowance) {
        self.pairs += 1;
        // Without a failure the bets only lose, and where there is nothing to lose nothing changes.
        if scores.errors == 0.0 && self.detector.sums().failures < 1.0 {
            return;
        }
        let exchanged = Scores {
            latency: None,
            errors: -scores.errors,
            baseline_failure_bound: scores.candidate_failure_bound,
            ..*scores
        };
        let mut factors = [1.0; COUNT];
        bets::failure_factors(&exchanged, allowed, &mut factors);
        self.detector.add(&factors);
        if self.pairs >= MEMORY {
            (self.greatest, self.pairs) = ([0.0, self.greatest[0]], 0);
        }
        self.greatest[0] = self.greatest[0].max(self.detector.sums().failures);
    }

    /// What the evidence from failures is divided by. Independent failures take it to about the number
    /// of pairs; what is above tells of bursts. It counts twice: evidence has an exponential tail under
    /// bursts too, and twice the greatest of many is as rare as the greatest, squared.
    fn allowed(&self) -> f64 {
        let by_chance = (1_000 + self.pairs / 8) as f64;
        (self.greatest[0].max(self.greatest[1]) / by_chance).max(1.0).powi(2)
    }
}
