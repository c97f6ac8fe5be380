use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::*;

const RUNS: u64 = 400;
const PAIRS: u64 = 2000;
const ALPHA: f64 = 0.05;
const BOTH: Alpha = Alpha { lower: ALPHA / 2.0, upper: ALPHA / 2.0 };

/// Values 0, 1/2 and 1 with these probabilities of the outer two.
#[derive(Clone, Copy)]
struct Law {
    zero: f64,
    one: f64,
}

impl Law {
    fn mean(self) -> f64 {
        self.one + 0.5 * (1.0 - self.zero - self.one)
    }

    fn draw(self, counts: &mut Counts, rng: &mut SmallRng) {
        let dice = rng.random::<f64>();
        if dice < self.zero {
            counts.zero += 1.0;
        } else if dice < self.zero + self.one {
            counts.one += 1.0;
        } else {
            counts.half += 1.0;
        }
    }
}

/// The share of runs in which a look after some pair shows an interval without the true mean.
/// `radius` shrinks the interval around the mean of what came.
fn violations(law: Law, alpha: f64, radius: f64) -> f64 {
    let mean = law.mean();
    let broken = (0..RUNS).filter(|seed| {
        let mut rng = SmallRng::seed_from_u64(*seed);
        let mut counts = Counts::default();
        (0..PAIRS).any(|_| {
            law.draw(&mut counts, &mut rng);
            // An end at a part of its distance is beyond the truth where the whole end is beyond a
            // point that is as much farther.
            let lower = counts.mean() - (counts.mean() - mean) / radius;
            counts.is_above(lower.max(0.0), alpha / 2.0)
                || counts.mirrored().is_above((1.0 - lower).max(0.0), alpha / 2.0)
        })
    });
    float(broken.count() as u64) / float(RUNS)
}

/// Three standard deviations of a share of `ALPHA` over all runs.
const SLACK: f64 = 0.033;

#[test]
fn a_rate_looked_at_after_every_pair_stays_within_its_bounds() {
    for one in [0.01, 0.3] {
        let law = Law { zero: 1.0 - one, one };
        let share = violations(law, ALPHA, 1.0);
        assert!(share <= ALPHA + SLACK, "rate {one}: {share}");
        let half = violations(law, ALPHA, 0.5);
        assert!(half > ALPHA + SLACK, "rate {one}, half the radius: {half} should be too many");
    }
}

#[test]
fn a_difference_looked_at_after_every_pair_stays_within_its_bounds() {
    let law = Law { zero: 0.02, one: 0.03 };
    let share = violations(law, ALPHA, 1.0);
    assert!(share <= ALPHA + SLACK, "{share}");
    let half = violations(law, ALPHA, 0.5);
    assert!(half > ALPHA + SLACK, "half the radius: {half} should be too many");
}

#[test]
fn bounds_enclose_what_came_and_close_in_on_it() {
    let mut width = 2.0;
    for of in [0, 10, 100, 1000, 10_000, 1_000_000] {
        let found = rate(float(of / 10), float(of), BOTH);
        let mean = if of == 0 { 0.0 } else { 0.1 };
        assert!(found.lower <= mean && mean <= found.upper, "{of}: {found:?}");
        assert!(0.0 <= found.lower && found.upper <= 1.0, "{of}: {found:?}");
        assert!(found.upper - found.lower < width, "{of}: {found:?}");
        width = found.upper - found.lower;
    }
    assert!(width < 0.003, "{width}");
    let found = difference(30.0, 20.0, 10_000.0, BOTH);
    assert!(found.lower < 0.001 && 0.001 < found.upper, "{found:?}");
    assert_eq!(difference(0.0, 0.0, 0.0, BOTH), Interval { lower: -1.0, upper: 1.0 });
}

#[test]
fn nothing_in_so_many_pairs_bounds_a_rate_at_about_seven_in_so_many() {
    let bound = rate(0.0, 1000.0, BOTH).upper;
    assert!((0.003..0.008).contains(&bound), "{bound}");
    assert!(rate(1000.0, 1000.0, BOTH).lower > 0.992);
}

proptest::proptest! {
    #[test]
    fn any_counts_give_an_interval_around_the_mean(
        up in 0_u64..=u64::from(u32::MAX), down in 0_u64..=u64::from(u32::MAX),
        rest in 0_u64..=u64::from(u32::MAX), alpha in 1e-9_f64..0.5,
    ) {
        let of = up + down + rest;
        let both = Alpha { lower: alpha, upper: alpha };
        let found = difference(float(up), float(down), float(of), both);
        let mean = if of == 0 { 0.0 } else { (float(up) - float(down)) / float(of) };
        proptest::prop_assert!(-1.0 <= found.lower && found.upper <= 1.0, "{found:?}");
        proptest::prop_assert!(found.lower <= mean + 1e-9 && mean - 1e-9 <= found.upper, "{found:?}");
    }
}

/// What the mixture holds.
fn wealth(counts: Counts, mean: f64) -> f64 {
    let bets = BETS.into_iter().zip(*LOSSES).zip(*WEIGHTS);
    bets.map(|((bet, loss), weight)| (weight + counts.log_wealth(bet, loss, mean)).exp()).sum()
}

#[test]
fn the_weights_of_the_bets_sum_to_1() {
    let sum: f64 = WEIGHTS.iter().map(|weight| weight.exp()).sum();
    assert!((sum - 1.0).abs() < 1e-12, "{sum}");
}

#[test]
fn no_bet_is_in_anybodys_favour() {
    // With half of the rest on each of the outer values the mean is `mean`.
    for (mean, half) in [(0.5, 0.0), (0.01, 0.0), (0.99, 0.0), (0.5, 0.9), (0.3, 0.2)] {
        let one = mean - 0.5 * half;
        let zero = 1.0 - half - one;
        for (zeros, halves, ones) in
            [(0.0, 0.0, 0.0), (0.0, 0.0, 3.0), (7.0, 2.0, 1.0), (30.0, 5.0, 20.0)]
        {
            let now = Counts { zero: zeros, half: halves, one: ones };
            let next = [
                (zero, Counts { zero: zeros + 1.0, ..now }),
                (half, Counts { half: halves + 1.0, ..now }),
                (one, Counts { one: ones + 1.0, ..now }),
            ];
            let expected: f64 = next.map(|(p, counts)| p * wealth(counts, mean)).iter().sum();
            let (now, expected) = (wealth(now, mean), expected);
            assert!((expected / now - 1.0).abs() < 1e-9, "mean {mean}: {now}, then {expected}");
        }
    }
    assert!((wealth(Counts::default(), 0.3) - 1.0).abs() < 1e-12, "he starts with 1");
}

#[test]
fn it_is_settled_when_he_holds_one_over_alpha_and_not_before() {
    let mut settled = 0;
    for of in 1..200 {
        for one in 0..=of {
            let counts = Counts { zero: float(of - one), half: 0.0, one: float(one) };
            for (mean, alpha) in [(0.1, 0.05), (0.5, 0.01), (0.9, 0.3)] {
                let above = counts.mean() > mean && wealth(counts, mean) * alpha >= 1.0;
                assert_eq!(counts.is_above(mean, alpha), above, "{counts:?} {mean} {alpha}");
                settled += u64::from(above);
            }
        }
    }
    assert!(settled > 1000, "{settled}");
}
