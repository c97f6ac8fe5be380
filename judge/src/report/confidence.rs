//! Bounds that hold at every moment: a report is looked at again and again, and a bound that holds
//! once would be broken some day by looking often enough.
//!
//! All of them are one method: betting confidence sequences for means of bounded values
//! (Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", Journal of
//! the Royal Statistical Society B 86(1), 2024). Someone starts with 1 and bets before each pair
//! that the mean is higher than `m`; were it at most `m`, no bet would be in his favour, and by
//! Ville's inequality he would ever hold `1 / alpha` with a probability of at most `alpha`. What is
//! left are the means against which he did not win that much. A fixed mixture of bets depends on
//! the counts of the outcomes alone, so that a few counters are all there is to keep.
//!
//! Counts need not be whole: those of pairs that remember each other are divided by the length of a
//! block ([`super::blocks`]).
//!
//! Where the rate changes over time, "above `m`" still says that it was not at most `m` all the time.

use std::cmp::Ordering;
use std::sync::LazyLock;

use super::float;

/// How much of what he has is put on each pair, from all of it down. In steps of two: half a step
/// beside the best costs an eighth of the growth. The small ones are for differences that show
/// only after millions of pairs.
const BETS: [f64; 22] = [
    1.0,
    31.0 / 32.0,
    7.0 / 8.0,
    3.0 / 4.0,
    0.5,
    0.25,
    0.125,
    0.0625,
    0.031_25,
    0.015_625,
    0.007_812_5,
    0.003_906_25,
    0.001_953_125,
    0.000_976_562_5,
    0.000_488_281_25,
    0.000_244_140_625,
    0.000_122_070_312_5,
    0.000_061_035_156_25,
    0.000_030_517_578_125,
    0.000_015_258_789_062_5,
    0.000_007_629_394_531_25,
    0.000_003_814_697_265_625,
];

/// The first so many bets, which settle what a few thousand pairs can, have this share of the whole among
/// them, and the others the rest.
const LARGE: (usize, f64) = (8, 0.6);

/// The weight of each bet, as logarithm.
static WEIGHTS: LazyLock<[f64; BETS.len()]> = LazyLock::new(|| {
    let (large, share) = LARGE;
    let small = BETS.len() - large;
    std::array::from_fn(|at| {
        let weight = if at < large {
            share / float(large as u64)
        } else {
            (1.0 - share) / float(small as u64)
        };
        weight.ln()
    })
});

/// What each bet loses, as logarithm, when a 0 comes: the same for all means.
static LOSSES: LazyLock<[f64; BETS.len()]> = LazyLock::new(|| BETS.map(|bet| (-bet).ln_1p()));

/// Steps of a bisection: to a thousandth of a millionth of where it starts.
const STEPS: u32 = 30;

/// How often each of the three values 0, 1/2 and 1 came.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    zero: f64,
    half: f64,
    one: f64,
}

/// Where a value lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Not below.
    pub lower: f64,
    /// Not above.
    pub upper: f64,
}

/// How often each end may be wrong, at any time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alpha {
    /// What it is not below.
    pub lower: f64,
    /// What it is not above.
    pub upper: f64,
}

/// A share of all pairs, from how many it are: each end is wrong with a probability of at most its
/// `alpha`, at any time.
pub fn rate(hits: f64, of: f64, alpha: Alpha) -> Interval {
    let hits = hits.min(of);
    let counts = Counts { zero: of - hits, half: 0.0, one: hits };
    let (lower, upper) = (counts.lower(alpha.lower), counts.mirrored().lower(alpha.upper));
    Interval { lower, upper: 1.0 - upper }
}

/// The share of pairs that went up less the share that went down, as [`rate`].
pub fn difference(up: f64, down: f64, of: f64, alpha: Alpha) -> Interval {
    let down = down.min(of);
    let up = up.min(of - down);
    let counts = Counts { zero: down, half: of - up - down, one: up };
    let (lower, upper) = (counts.lower(alpha.lower), counts.mirrored().lower(alpha.upper));
    Interval { lower: 2.0 * lower - 1.0, upper: 1.0 - 2.0 * upper }
}

impl Counts {
    fn mirrored(self) -> Self {
        Self { zero: self.one, half: self.half, one: self.zero }
    }

    fn mean(self) -> f64 {
        let of = self.zero + self.half + self.one;
        if of > 0.0 { (self.one + 0.5 * self.half) / of } else { 0.0 }
    }

    /// The largest mean that is settled to be too low; never above the mean of what came.
    fn lower(self, alpha: f64) -> f64 {
        let (mut low, mut high) = (0.0, self.mean());
        if high > 0.0 {
            for _ in 0..STEPS {
                let middle = f64::midpoint(low, high);
                if self.is_above(middle, alpha) {
                    low = middle;
                } else {
                    high = middle;
                }
            }
        }
        low
    }

    /// Whether it is settled that the mean is above `mean`, a number between 0 and 1.
    fn is_above(self, mean: f64, alpha: f64) -> bool {
        if self.mean().partial_cmp(&mean) != Some(Ordering::Greater) {
            return false;
        }
        if mean <= 0.0 {
            return true;
        }
        let (losses, weights) = (&*LOSSES, &*WEIGHTS);
        let logs: [f64; BETS.len()] =
            std::array::from_fn(|at| weights[at] + self.log_wealth(BETS[at], losses[at], mean));
        let most = logs.into_iter().fold(f64::NEG_INFINITY, f64::max);
        let wanted = -alpha.ln();
        // The mixture holds no more than all its parts would, were they as good as the best.
        if most + float(BETS.len() as u64).ln() < wanted {
            return false;
        }
        let sum: f64 = logs.into_iter().map(|log| (log - most).exp()).sum();
        most + sum.ln() >= wanted
    }

    /// What a bet has become: each value `y` multiplies it by `1 - bet + bet * y / mean`, which is 1
    /// in the mean, and is never negative.
    fn log_wealth(self, bet: f64, loss: f64, mean: f64) -> f64 {
        let part = |count: f64, log: &dyn Fn() -> f64| {
            // Nothing came, nothing changed, be the factor 0.
            if count > 0.0 { count * log() } else { 0.0 }
        };
        let factor = |value: f64| (bet * (value / mean - 1.0)).ln_1p();
        part(self.zero, &|| loss)
            + part(self.half, &|| factor(0.5))
            + part(self.one, &|| factor(1.0))
    }
}

#[cfg(test)]
mod tests;
