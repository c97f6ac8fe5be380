//! What one pair says about the candidate: small bounded scores, each of which is 0 or less on
//! average, or seldom 1, as long as the candidate is not worse than allowed.
//!
//! The candidate's latency is first **discounted**: divided by the ratio that is allowed, and less
//! by the floor that is allowed, whichever leaves less. A candidate as good as is allowed then has
//! latencies that are, in distribution, no larger than the baseline's at that moment, and for any
//! rising function `g` that was fixed beforehand, `g(candidate) - g(baseline)` is 0 or less on
//! average: whatever the law of the latencies, and however the load drifts, because it is the same
//! load on both sides. The recent baseline only picks a good `g` (the rank, or being above a
//! quantile); if it is out of date, a bet gets weaker and not wrong.

use std::time::Duration;

use super::failures::Failures;
use super::recent::{Recent, nanos};
use crate::pair::Pair;

/// The quantiles of the recent baseline that a candidate is held against.
pub const LEVELS: [f64; 5] = [0.5, 0.75, 0.9, 0.99, 0.999];
/// The same for the fast bets on disasters.
pub const EXTREMES: [f64; 2] = [0.75, 0.95];

/// So many times the baseline's recent p99 is far out, where a few requests in a hundred may get when
/// something is wrong with just those.
const FAR: f64 = 4.0;
/// From so many times the baseline's recent median on, a pair is slow, and those that overlap it are the
/// same moment.
const SLOW: f64 = 4.0;

/// The baseline's latest latencies that a disaster is checked against.
const LATEST: usize = 16;
/// How many of them may be at or above a latency that counts as a disaster. In calm times about one
/// of them is above the p95; when a stall slows both sides, soon all are.
const LATEST_ABOVE: usize = 2;

/// What may be allowed to the candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowance {
    /// Latency: this many times the baseline's.
    pub latency_ratio: f64,
    /// Latency: this much above the baseline's.
    pub latency_floor: Duration,
    /// Share of pairs where it alone fails, above the share where the baseline alone fails.
    /// From 1 on failures are not judged.
    pub error_delta: f64,
    /// Share of pairs with different answers; `None` when that is not judged.
    pub mismatch_rate: Option<f64>,
}

/// What was measured of a pair, as one side is held against the other: without texts, since the last ones
/// of each route are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Of the baseline; where it gave no head, how long it took to fail.
    pub baseline_latency: Duration,
    /// Of the candidate; `None` where one of the two gave no head, or where they were not measured alike.
    pub candidate_latency: Option<Duration>,
    /// The baseline failed.
    pub baseline_failed: bool,
    /// The candidate failed.
    pub candidate_failed: bool,
    /// See [`Pair::censored`].
    pub censored: bool,
}

impl Measured {
    /// What a pair tells.
    pub fn of(pair: &Pair<'_>) -> Self {
        let Pair { baseline, candidate, censored, alike, .. } = *pair;
        Self {
            baseline_latency: baseline.latency.unwrap_or(pair.baseline_failed_after),
            candidate_latency: candidate.latency.filter(|_| alike && baseline.latency.is_some()),
            baseline_failed: baseline.failed,
            candidate_failed: candidate.failed,
            censored,
        }
    }
}

/// What a pair says of latency; scores run from -1, the baseline was slower, to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latency {
    /// Difference of the ranks among the recent baseline latencies.
    pub rank: f64,
    /// Which was slower.
    pub sign: f64,
    /// As `sign`, but 0 for pairs with both under the recent median.
    pub upper_sign: f64,
    /// Which alone was above each of [`LEVELS`].
    pub above: [f64; LEVELS.len()],
    /// Which alone was far above the recent p99.
    pub far: f64,
    /// Whether the candidate was slower than its partner and the latest, and above each of
    /// [`EXTREMES`].
    pub extreme: [bool; EXTREMES.len()],
    /// Bound on the probability of each of `extreme`.
    pub extreme_bound: [f64; EXTREMES.len()],
}

/// What a pair says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// `None` when there is nothing to compare with.
    pub latency: Option<Latency>,
    /// Who alone failed: 1 the candidate, -1 the baseline, 0 none or both.
    pub errors: f64,
    /// Upper bound on the probability that the baseline fails.
    pub baseline_failure_bound: f64,
    /// The same for the candidate, for bets with the sides exchanged.
    pub candidate_failure_bound: f64,
    /// Whether one side took so long that what overlaps it is the same moment.
    pub slow: bool,
}

/// What is remembered of a route's baseline, to score pairs with.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    recent: Recent,
    failures: Failures,
    candidate_failures: Failures,
    latest: [f64; LATEST],
    next: usize,
    /// Which of the last 128 were above each of [`EXTREMES`].
    extreme: [u128; EXTREMES.len()],
}

impl Memory {
    /// The baseline's recent latencies.
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// The scores of a pair against what was remembered before; then remembers its baseline.
    pub fn score(&mut self, pair: &Measured, allowed: &Allowance) -> Scores {
        let baseline = nanos(pair.baseline_latency);
        self.latest[self.next] = baseline;
        self.next = (self.next + 1) % LATEST;
        let latency = pair.candidate_latency.filter(|_| !self.recent.is_empty()).map(|latency| {
            let latency = nanos(latency);
            let less_floor = latency - nanos(allowed.latency_floor);
            let candidate = less_floor.min(latency / allowed.latency_ratio);
            // How long it would have taken is not known. Leaving such pairs out would take the slow
            // ones from one side only; as slow as can be, they speak for the candidate at most.
            self.latency(if pair.censored { f64::MAX } else { baseline }, candidate)
        });
        let scores = Scores {
            latency,
            errors: f64::from(i8::from(pair.candidate_failed) - i8::from(pair.baseline_failed)),
            baseline_failure_bound: self.failures.bound(),
            candidate_failure_bound: self.candidate_failures.bound(),
            slow: self.is_slow(pair, allowed),
        };
        self.recent.record(baseline);
        self.failures.record(pair.baseline_failed);
        self.candidate_failures.record(pair.candidate_failed);
        scores
    }

    fn is_slow(&self, pair: &Measured, allowed: &Allowance) -> bool {
        let slower = pair.candidate_latency.unwrap_or_default().max(pair.baseline_latency);
        let median = self.recent.quantile(0.5);
        slower > median.mul_f64(SLOW).max(median + allowed.latency_floor)
    }

    /// Of the discounted latency of the candidate.
    fn latency(&mut self, baseline: f64, candidate: f64) -> Latency {
        let (ours, theirs) = (self.recent.rank(baseline), self.recent.rank(candidate));
        let one = |yes: bool| f64::from(u8::from(yes));
        let slower = candidate > baseline;
        let sign = one(slower) - one(candidate < baseline);
        let far = FAR * nanos(self.recent.quantile(0.99));
        let latest = || self.latest.iter().filter(|latency| **latency >= candidate).count();
        let out_of_line = slower && theirs.below >= EXTREMES[0] && latest() <= LATEST_ABOVE;
        let count = self.recent.len() as f64;
        let bound = |at: usize| {
            extreme_bound(EXTREMES[at], count).max(extreme_lately(EXTREMES[at], self.extreme[at]))
        };
        let latency = Latency {
            rank: theirs.middle - ours.middle,
            sign,
            upper_sign: if ours.below.max(theirs.below) >= 0.5 { sign } else { 0.0 },
            above: LEVELS.map(|level| one(theirs.below >= level) - one(ours.below >= level)),
            far: one(candidate > far) - one(baseline > far),
            extreme: EXTREMES.map(|level| out_of_line && theirs.below >= level),
            extreme_bound: [bound(0), bound(1)],
        };
        for (seen, level) in self.extreme.iter_mut().zip(EXTREMES) {
            *seen = (*seen << 1) | u128::from(ours.below >= level);
        }
        latency
    }
}

/// Bound on the probability that a latency like the baseline's is above all but a share
/// `1 - level` of `count` recent ones. Before those are known, rank `k` of `n` is passed with
/// probability `1 - k/(n+1)` (conformal prediction: Vovk, Gammerman, Shafer, "Algorithmic Learning in
/// a Random World", 2005); since many pairs meet the same ones, 2.33 standard deviations are added for
/// those that are low by chance.
fn extreme_bound(level: f64, count: f64) -> f64 {
    let conformal = 1.0 - (level * count).floor() / (count + 1.0);
    (conformal + 2.33 * (level * (1.0 - level) / count).sqrt()).min(1.0)
}

/// The share of extremes among the baseline's last 128 or, where it is far above the usual, its last 32:
/// a load that has changed raises the bound long before the recent latencies have all been replaced.
fn extreme_lately(level: f64, seen: u128) -> f64 {
    let share_of_128 = f64::from(seen.count_ones()) / 128.0;
    let of_32 = f64::from((seen & u128::from(u32::MAX)).count_ones());
    let usual = 32.0 * (1.0 - level);
    let unusual = of_32 > usual + 3.0 * (usual * level).sqrt();
    if unusual { share_of_128.max(of_32 / 32.0) } else { share_of_128 }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const ALLOWED: Allowance = Allowance {
        latency_ratio: 1.15,
        latency_floor: Duration::from_millis(2),
        error_delta: 0.005,
        mismatch_rate: None,
    };

    fn pair(baseline: f64, candidate: f64) -> Measured {
        Measured {
            baseline_latency: Duration::from_secs_f64(baseline / 1e3),
            candidate_latency: Some(Duration::from_secs_f64(candidate / 1e3)),
            baseline_failed: false,
            candidate_failed: false,
            censored: false,
        }
    }

    /// Latencies in milliseconds from a fixed seed, spread evenly over two octaves.
    fn dice() -> impl FnMut() -> f64 {
        let mut state = 11_u64;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            20.0 * (1.4 * (state >> 11) as f64 / (1_u64 << 53) as f64).exp()
        }
    }

    fn all(latency: &Latency) -> Vec<f64> {
        let Latency { rank, sign, upper_sign, above, .. } = latency;
        [*rank, *sign, *upper_sign].into_iter().chain(*above).collect()
    }

    /// The mean of each score over many pairs made by `make`.
    fn means(allowed: &Allowance, mut make: impl FnMut(usize) -> Measured) -> Vec<f64> {
        let mut memory = Memory::default();
        let mut sums = vec![0.0; 3 + LEVELS.len()];
        let count = 40_000;
        for at in 0..count {
            let Some(latency) = memory.score(&make(at), allowed).latency else { continue };
            sums.iter_mut().zip(all(&latency)).for_each(|(sum, score)| *sum += score);
        }
        sums.into_iter().map(|sum| sum / count as f64).collect()
    }

    #[test]
    fn a_candidate_at_the_limit_scores_0_on_average_and_one_above_more() {
        let no_floor = Allowance { latency_floor: Duration::ZERO, ..ALLOWED };
        let mut dice = dice();
        for mean in means(&no_floor, |_| pair(dice(), 1.15 * dice())) {
            assert!(mean.abs() < 0.02, "{mean}");
        }
        for mean in &means(&no_floor, |_| pair(dice(), 1.5 * dice()))[..6] {
            assert!(*mean > 0.03, "{mean}");
        }
    }

    #[test]
    fn sudden_slowness_of_both_is_no_score_against_the_candidate() {
        let mut dice = dice();
        // Ten times slower for 200 pairs of every 1000.
        let load = |at: usize| if at % 1000 < 200 { 10.0 } else { 1.0 };
        for mean in means(&ALLOWED, |at| pair(load(at) * dice(), load(at) * dice())) {
            assert!(mean < 0.0, "{mean}");
        }
    }

    #[test]
    fn an_excess_at_the_floor_is_never_a_score_against_the_candidate() {
        // A fifth to a half slower, and by no more than the floor.
        let mut dice = dice();
        for pair in std::iter::repeat_with(|| pair(5.0, 7.0)).take(3000) {
            let mut memory = Memory::default();
            memory.score(&pair, &ALLOWED);
            let latency = memory.score(&pair, &ALLOWED).latency.unwrap();
            assert!(all(&latency).iter().all(|score| *score <= 0.0), "{latency:?}");
            assert_eq!(latency.extreme, [false; 2]);
        }
        for mean in means(&ALLOWED, |_| pair(dice() / 10.0, dice() / 10.0 + 2.0)) {
            assert!(mean < 0.02, "{mean}");
        }
    }

    #[test]
    fn extremes_are_as_rare_as_their_bound_for_twins() {
        let mut dice = dice();
        let mut memory = Memory::default();
        let mut seen = [0.0; 2];
        for _ in 0..20_000 {
            let twins = pair(dice(), dice());
            let none = Allowance { latency_ratio: 1.0, latency_floor: Duration::ZERO, ..ALLOWED };
            let Some(latency) = memory.score(&twins, &none).latency else { continue };
            for (sum, (extreme, bound)) in
                seen.iter_mut().zip(latency.extreme.into_iter().zip(latency.extreme_bound))
            {
                *sum += f64::from(u8::from(extreme)) - bound;
            }
        }
        assert!(seen.iter().all(|sum| *sum < 0.0), "{seen:?}");
    }

    #[test]
    fn few_windows_are_so_low_by_chance_that_the_bound_on_extremes_is_too_low() {
        let mut dice = dice();
        let mut even = || (dice() / 20.0).ln() / 1.4;
        for count in [20, 200, 2000] {
            for level in EXTREMES {
                let bound = extreme_bound(level, f64::from(count));
                let too_low = (0..500).filter(|_| {
                    let mut window: Vec<f64> = (0..count).map(|_| even()).collect();
                    window.sort_by(f64::total_cmp);
                    // The least value with a share of `level` below it or at it.
                    let threshold = window[(level * f64::from(count)).ceil() as usize - 1];
                    1.0 - threshold > bound
                });
                let too_low = too_low.count();
                // The normal approximation is a little low for a few tens of latencies.
                let most = if count == 20 { 35 } else { 15 };
                assert!(too_low <= most, "{too_low} of 500 windows of {count} at {level}");
            }
        }
    }

    #[test]
    fn a_stall_of_both_is_no_extreme_for_long() {
        let mut memory = Memory::default();
        let mut dice = dice();
        for _ in 0..1000 {
            memory.score(&pair(dice(), dice()), &ALLOWED);
        }
        let mut extremes = Vec::new();
        for _ in 0..40 {
            let (baseline, candidate) = (50.0 * dice(), 50.0 * dice());
            let latency = memory.score(&pair(baseline, candidate), &ALLOWED).latency.unwrap();
            extremes.push(latency.extreme[1]);
        }
        let late = extremes[10..].iter().filter(|extreme| **extreme).count();
        assert!(late <= 10, "{late} of 30");
    }

    #[test]
    fn a_pair_whose_client_left_never_scores_against_the_candidate() {
        let (mut memory, mut dice) = (Memory::default(), dice());
        for _ in 0..3000 {
            memory.score(&pair(dice(), dice()), &ALLOWED);
        }
        for candidate in [1.0, 50.0, 60_000.0] {
            let left = Measured { censored: true, ..pair(25.0, candidate) };
            let latency = memory.score(&left, &ALLOWED).latency.unwrap();
            assert!(all(&latency).iter().all(|score| *score <= 0.0), "{latency:?}");
            assert_eq!((latency.extreme, latency.far <= 0.0), ([false; 2], true));
        }
    }

    #[test]
    fn who_alone_failed_is_the_error_score() {
        let mut memory = Memory::default();
        for (ours, theirs, score) in
            [(false, false, 0.0), (true, true, 0.0), (false, true, 1.0), (true, false, -1.0)]
        {
            let pair =
                Measured { baseline_failed: ours, candidate_failed: theirs, ..pair(9.0, 9.0) };
            assert_eq!(memory.score(&pair, &ALLOWED).errors, score);
        }
    }

    #[test]
    fn against_a_baseline_without_a_head_no_latency_is_held() {
        use crate::pair::Call;

        let second = Duration::from_secs(1);
        let candidate = Call { latency: Some(second), failed: false };
        let answered = Pair::new("GET /a", "GET /", candidate, candidate);
        let measured = Measured::of(&answered);
        assert_eq!((measured.baseline_latency, measured.candidate_latency), (second, Some(second)));
        let baseline = Call { latency: None, failed: true };
        let measured =
            Measured::of(&Pair { baseline, baseline_failed_after: 5 * second, ..answered });
        assert_eq!((measured.baseline_latency, measured.candidate_latency), (5 * second, None));
        assert!(measured.baseline_failed && !measured.candidate_failed);
    }

    #[test]
    fn without_an_answer_or_a_past_there_is_no_latency_score() {
        let mut memory = Memory::default();
        assert_eq!(memory.score(&pair(9.0, 99.0), &ALLOWED).latency, None);
        let silent = Measured { candidate_latency: None, ..pair(9.0, 9.0) };
        assert_eq!(memory.score(&silent, &ALLOWED).latency, None);
        assert!(memory.score(&pair(9.0, 99.0), &ALLOWED).latency.is_some());
    }
}
