//! The last pairs of a route as they were, to explain a trip with: numbers of both sides over the same
//! pairs, and examples.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use super::signals::Measured;

/// Pairs kept.
const SIZE: usize = 256;
/// Examples given.
const EXAMPLES: usize = 5;

/// One side over the last pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Side {
    /// Nearest rank; zero without latencies.
    pub p50: Duration,
    /// As `p50`.
    pub p90: Duration,
    /// As `p50`.
    pub p99: Duration,
    /// Share of failures.
    pub failure_rate: f64,
}

/// Both sides over the last pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Numbers {
    /// How many pairs these are.
    pub pairs: usize,
    /// The baseline.
    pub baseline: Side,
    /// The candidate.
    pub candidate: Side,
}

/// A pair in which the candidate did worse.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Its numbers.
    pub pair: Measured,
    /// Method, path and query, bounded, without secrets.
    pub request: String,
    /// When.
    pub at: SystemTime,
}

/// A ring of pairs.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pairs: Vec<Measured>,
    next: usize,
    /// All that were taken in.
    taken: u64,
    /// The latest, each with how many pairs were taken in before; the newest last.
    examples: VecDeque<(u64, Example)>,
}

impl Ledger {
    /// Takes in a pair, in place of the oldest one when the ring is full; with an example where it is one.
    pub fn record(&mut self, pair: Measured, example: Option<Example>) {
        if let Some(example) = example {
            if self.examples.len() == EXAMPLES {
                self.examples.pop_front();
            }
            self.examples.push_back((self.taken, example));
        }
        self.taken += 1;
        if self.pairs.len() < SIZE {
            if self.pairs.is_empty() {
                self.pairs.reserve_exact(SIZE);
            }
            self.pairs.push(pair);
        } else {
            self.pairs[self.next] = pair;
            self.next = (self.next + 1) % SIZE;
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.pairs.clear();
        self.examples.clear();
        self.next = 0;
    }

    /// Both sides over the pairs kept.
    pub fn numbers(&self) -> Numbers {
        let baseline = self.pairs.iter().map(|pair| Some(pair.baseline_latency));
        let candidate = self.pairs.iter().map(|pair| pair.candidate_latency);
        Numbers {
            pairs: self.pairs.len(),
            baseline: side(baseline, self.pairs.iter().filter(|pair| pair.baseline_failed).count()),
            candidate: side(
                candidate,
                self.pairs.iter().filter(|pair| pair.candidate_failed).count(),
            ),
        }
    }

    /// The latest examples among the pairs kept, the newest first.
    pub fn examples(&self) -> Vec<Example> {
        let oldest = self.taken - self.pairs.len() as u64;
        let kept = self.examples.iter().rev().filter(|(before, _)| *before >= oldest);
        kept.map(|(_, example)| example.clone()).collect()
    }
}

fn side(latencies: impl ExactSizeIterator<Item = Option<Duration>>, failed: usize) -> Side {
    let pairs = latencies.len();
    let mut sorted: Vec<_> = latencies.flatten().collect();
    sorted.sort_unstable();
    let quantile = |percent: usize| {
        let rank = (sorted.len() * percent).div_ceil(100);
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    };
    let failure_rate = if pairs == 0 { 0.0 } else { failed as f64 / pairs as f64 };
    Side { p50: quantile(50), p90: quantile(90), p99: quantile(99), failure_rate }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(millis: u64) -> Measured {
        Measured {
            baseline_latency: Duration::from_millis(millis),
            candidate_latency: (!millis.is_multiple_of(10))
                .then(|| Duration::from_millis(2 * millis)),
            baseline_failed: false,
            candidate_failed: millis.is_multiple_of(10),
            censored: false,
        }
    }

    #[test]
    fn the_numbers_are_those_of_the_last_256_pairs() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.numbers(), Numbers::default());
        for millis in 1..=1000 {
            ledger.record(pair(millis), None);
        }
        let numbers = ledger.numbers();
        assert_eq!(numbers.pairs, 256);
        let millis = |side: Side| [side.p50, side.p90, side.p99].map(|p| p.as_millis());
        assert_eq!(millis(numbers.baseline), [872, 975, 998]);
        assert_eq!(millis(numbers.candidate), [1744, 1948, 1994]);
        assert_eq!(numbers.baseline.failure_rate, 0.0);
        assert!((numbers.candidate.failure_rate - 26.0 / 256.0).abs() < 1e-12);
    }

    #[test]
    fn examples_are_the_newest_of_the_pairs_kept_with_their_request_and_time() {
        let mut ledger = Ledger::default();
        for millis in 1..=1000 {
            let pair = pair(millis);
            let at = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
            let example = || Example { pair, request: format!("GET /{millis}"), at };
            ledger.record(pair, pair.candidate_failed.then(example));
        }
        let requests = |ledger: &Ledger| -> Vec<String> {
            ledger.examples().into_iter().map(|example| example.request).collect()
        };
        let newest = ["GET /1000", "GET /990", "GET /980", "GET /970", "GET /960"];
        assert_eq!(requests(&ledger), newest);
        assert_eq!(ledger.examples()[1].at, SystemTime::UNIX_EPOCH + Duration::from_millis(990));
        for _ in 0..SIZE - 1 {
            ledger.record(pair(1), None);
        }
        assert_eq!(requests(&ledger), ["GET /1000"]);
        ledger.clear();
        assert_eq!(requests(&ledger), [""; 0]);
    }
}
