//! How long the scores of pairs remember what came before, estimated as they come.
//!
//! Garbage collection, a noisy neighbour, a full disk: a real service has memory in its latencies, on
//! each side apart, and a hundred pairs in one bad spell are not a hundred observations. What is
//! measured is the Allan variance (Allan, "Statistics of atomic frequency standards", 1966): half the
//! mean squared difference of the means of successive blocks, for blocks of 1, 2, 4, … pairs. It looks
//! at neighbours only, so that a candidate that becomes slow once, and stays so, hardly changes it.
//! For independent scores it falls as 1 / length; `length * allan(length) / variance` is the integrated
//! autocorrelation time (Sokal, "Monte Carlo methods in statistical mechanics", 1996) once blocks are
//! long against the memory.

/// Lengths looked at, in powers of two: up to 16,384 pairs.
const SCALES: usize = 15;
/// Differences of a length that must be there before it counts.
const ENOUGH: u32 = 16;
/// Differences that the mean reaches back over, about.
const HORIZON: u32 = 128;
/// A difference counts for at most so many times the mean square seen so far: one step is no memory. Of a
/// length that is not known yet, half the mean square of the length before stands for it.
const CLIP: f64 = 9.0;
/// It is never less, so that scores that were all alike do not hide a memory that comes later.
const LEAST_CLIP: f64 = 1e-6;
/// Of many lengths one is long by chance: each counts less by so many times its own error.
const CAUTION: f64 = 1.5;
/// The shortest length at which a variance that does not fall says that the memory is longer than
/// all that was seen. On shorter ones that happens by chance.
const TELLING: usize = 3;
/// Scores after which it can tell a memory from none.
pub const TELLS: u64 = (1 << TELLING) * (ENOUGH as u64 + 1);
/// How far the variance of independent scores has fallen by then, with much to spare.
const FALLEN: f64 = 0.6;

/// The memory of one series of scores.
#[derive(Clone, Debug, Default)]
pub struct Dependence {
    scales: [Scale; SCALES],
    pairs: u64,
    length: u64,
}

/// Blocks of one length.
#[derive(Clone, Copy, Debug, Default)]
struct Scale {
    /// The first half of the block that fills, once it is there.
    half: Option<f64>,
    /// The block before.
    last: Option<f64>,
    mean_square: f64,
    differences: u32,
}

impl Dependence {
    /// Takes in a score.
    pub fn record(&mut self, score: f64) {
        self.pairs += 1;
        let (mut mean, mut shorter) = (score, f64::INFINITY);
        for scale in &mut self.scales {
            scale.block(mean, shorter);
            shorter = if scale.is_known() { scale.mean_square } else { f64::INFINITY };
            let Some(half) = scale.half.take() else {
                scale.half = Some(mean);
                break;
            };
            mean = f64::midpoint(half, mean);
        }
        // It changes slowly; every eighth pair is soon enough.
        if self.pairs.is_multiple_of(8) {
            self.length = self.estimate();
        }
    }

    /// Pairs that make up one independent observation: at least 1, and all there were where the memory
    /// is longer than that.
    pub fn length(&self) -> u64 {
        self.length.max(1)
    }

    fn estimate(&self) -> u64 {
        let allan = |scale: &Scale| scale.mean_square / 2.0;
        let known = self.scales.iter().take_while(|scale| scale.is_known());
        let variance = known.clone().map(allan).fold(0.0, f64::max);
        let Some((top, last)) = known.clone().enumerate().last() else { return 1 };
        if variance <= 0.0 {
            return 1;
        }
        if top >= TELLING && allan(last) >= FALLEN * variance {
            return self.pairs.min(1 << SCALES);
        }
        let times = known.enumerate().map(|(at, scale)| {
            let sure = 1.0 - CAUTION / f64::from(scale.differences).sqrt();
            sure * allan(scale) / variance * f64::from(1 << at)
        });
        let time = times.fold(1.0, f64::max);
        // Below 2 it is chance, or nearly nothing.
        if time < 2.0 { 1 } else { time.ceil() as u64 }
    }
}

impl Scale {
    fn is_known(&self) -> bool {
        self.differences >= ENOUGH
    }

    /// Takes in the mean of a block; `shorter` is the mean square of blocks half as long.
    fn block(&mut self, mean: f64, shorter: f64) {
        if let Some(last) = self.last.replace(mean) {
            let usual = if self.is_known() { self.mean_square } else { shorter / 2.0 };
            let square = (mean - last).powi(2).min((CLIP * usual).max(LEAST_CLIP));
            self.differences = (self.differences + 1).min(HORIZON);
            self.mean_square += (square - self.mean_square) / f64::from(self.differences);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of mean 0 from a fixed seed, spread evenly.
    fn dice(seed: u64) -> impl FnMut() -> f64 {
        let mut state = seed;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
        }
    }

    /// The lengths after so many pairs, over many seeds, the middle one and the longest.
    fn lengths(
        pairs: usize,
        mut score: impl FnMut(usize, &mut dyn FnMut() -> f64) -> f64,
    ) -> (u64, u64) {
        let mut lengths: Vec<_> = (0..101)
            .map(|seed| {
                let (mut dice, mut dependence) = (dice(seed), Dependence::default());
                (0..pairs).for_each(|pair| dependence.record(score(pair, &mut dice)));
                dependence.length()
            })
            .collect();
        lengths.sort_unstable();
        (lengths[50], lengths[100])
    }

    #[test]
    fn independent_scores_have_no_memory() {
        for pairs in [10, 64, 100, 500, 4096, 20_000] {
            let (median, most) = lengths(pairs, |_, dice| dice());
            assert!(median <= 2 && most <= 8, "{median}, {most} after {pairs}");
        }
        assert_eq!(lengths(1000, |_, _| 0.25), (1, 1));
    }

    #[test]
    fn a_memory_is_found_and_about_as_long_as_it_is() {
        for (keep, time) in [(0.9, 19), (0.99, 199)] {
            let mut value = 0.0;
            let (median, _) = lengths(60_000, |pair, dice| {
                value = if pair == 0 { 0.0 } else { keep * value + dice() };
                value
            });
            assert!((time / 3..time * 3).contains(&median), "{median} for {time}");
        }
    }

    #[test]
    fn a_memory_longer_than_all_that_was_seen_leaves_one_observation() {
        let mut value = 0.0;
        let (median, _) = lengths(500, |pair, dice| {
            value = if pair == 0 { 20.0 * dice() } else { 0.999 * value + dice() };
            value
        });
        assert!(median >= 250, "{median}");
    }

    #[test]
    fn one_step_is_no_memory_not_even_among_the_first_blocks_of_a_length() {
        for pairs in [4160, 4500, 5000, 6000] {
            let (median, most) =
                lengths(pairs, |pair, dice| dice() + if pair < 4096 { 0.0 } else { 0.7 });
            assert!(median <= 2 && most <= 8, "{median}, {most} after {pairs}");
        }
    }

    #[test]
    fn scores_that_were_all_alike_do_not_hide_a_memory_that_comes_later() {
        let mut value = 0.0;
        let (median, _) = lengths(30_000, |pair, dice| {
            value = if pair < 5000 { 0.0 } else { 0.9 * value + dice() };
            value
        });
        assert!(median >= 6, "{median}");
    }
}
