//! How long a series of scores remembers: how many pairs in a row make up one observation.
//!
//! Garbage collection, a noisy neighbour, a pool that is renewed: real services have memory, apart on
//! the two sides, and fifty pairs in one pause are one bad moment. So counts are divided by a block's
//! length before bounds are made from them. That is a bet on block means: the logarithm of a bet's
//! factor is concave, so a block's mean multiplies the wealth by at least what its ones and zeros,
//! each to the power of its share in the block, do.
//!
//! The length is the integrated autocorrelation time, estimated from the Allan variance (Allan,
//! "Statistics of atomic frequency standards", Proceedings of the IEEE 54(2), 1966): half the mean
//! squared difference of the means of neighbouring blocks, for blocks of 1, 2, 4, … pairs. It falls
//! with the block's length once that is long against the memory, and until it does nobody knows how
//! long the memory is.

use super::float;

/// Block lengths looked at, in powers of two.
const SCALES: usize = 24;
/// Blocks of a length that must be there before it counts.
const BLOCKS: u64 = 16;
/// So far must it have fallen at the longest blocks; less happens by chance.
const FALLEN: f64 = 0.25;
/// Below this it is chance, or next to nothing.
const LEAST: f64 = 2.0;

/// The memory of one series of scores.
#[derive(Clone, Debug, Default)]
pub struct Blocks {
    scales: [Scale; SCALES],
    scores: u64,
}

/// Blocks of one length.
#[derive(Clone, Copy, Debug, Default)]
struct Scale {
    /// The first half of the next longer block, while the second is not there.
    half: Option<f64>,
    last: Option<f64>,
    squares: f64,
    differences: u64,
}

impl Blocks {
    /// Takes in a score.
    pub fn record(&mut self, score: f64) {
        self.scores += 1;
        let mut mean = score;
        for scale in &mut self.scales {
            if let Some(last) = scale.last.replace(mean) {
                scale.squares += (mean - last).powi(2);
                scale.differences += 1;
            }
            let Some(half) = scale.half.take() else {
                scale.half = Some(mean);
                break;
            };
            mean = f64::midpoint(half, mean);
        }
    }

    /// Pairs that make up one observation: at least 1, and all there were while the memory seems to be
    /// longer than that.
    pub fn length(&self) -> f64 {
        self.known_length().unwrap_or(float(self.scores.max(1)))
    }

    /// The same; `None` while nobody knows how long the memory is.
    pub fn known_length(&self) -> Option<f64> {
        let known = self.scales.iter().take_while(|scale| scale.differences + 1 >= BLOCKS);
        let allan = known.map(|scale| scale.squares / float(2 * scale.differences));
        let allan: Vec<f64> = allan.collect();
        let last = allan.last().copied()?;
        let variance = allan.iter().copied().fold(0.0, f64::max);
        if variance <= 0.0 {
            return Some(1.0);
        }
        if last >= variance * FALLEN {
            return None;
        }
        let mut length = 1.0;
        let times = allan.into_iter().map(|allan| {
            let time = length * allan / variance;
            length *= 2.0;
            time
        });
        let longest = times.fold(1.0, f64::max);
        Some(if longest < LEAST { 1.0 } else { longest.ceil() })
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// The middle length after so many scores of an autoregression.
    fn length(keep: f64, scores: usize) -> f64 {
        let mut lengths: Vec<f64> = (0..21)
            .map(|seed| {
                let mut rng = SmallRng::seed_from_u64(seed);
                let (mut blocks, mut value) = (Blocks::default(), 0.0);
                for _ in 0..scores {
                    value = keep * value + rng.random::<f64>() - 0.5;
                    blocks.record(value);
                }
                blocks.length()
            })
            .collect();
        lengths.sort_unstable_by(f64::total_cmp);
        lengths[10]
    }

    #[test]
    fn independent_scores_are_each_an_observation() {
        assert!((length(0.0, 5000) - 1.0).abs() < 1e-9);
        let mut same = Blocks::default();
        (0..5000).for_each(|_| same.record(1.0));
        assert!((same.length() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_block_is_about_as_long_as_the_memory() {
        let found = length(0.9, 20_000);
        assert!((10.0..80.0).contains(&found), "{found} for 19");
        let found = length(0.99, 200_000);
        assert!((100.0..800.0).contains(&found), "{found} for 199");
    }

    #[test]
    fn what_is_shorter_than_the_memory_is_one_observation() {
        assert!((length(0.999, 2000) - 2000.0).abs() < 1e-9);
    }
}
