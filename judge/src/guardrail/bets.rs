//! The bets: for each pair every bet gives a factor that is at most 1 on average as long as the
//! candidate is not worse than allowed, and above 1 if it is worse in the bet's own way.
//!
//! Most are linear in a score, `1 + share * score`: betting that share of what one has (Waudby-Smith
//! and Ramdas, "Estimating means of bounded random variables by betting", 2020). The others are
//! likelihood ratios.

use super::signals::{Allowance, EXTREMES, Latency, Scores};

/// What a bet is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// Latency as a whole: ranks among the recent baseline latencies.
    LatencyRank,
    /// Latency against the pair's own partner.
    LatencyPaired,
    /// Latency above the baseline's recent p50 or p75.
    LatencyP50,
    /// Latency above the baseline's recent p90.
    LatencyP90,
    /// Latency above the baseline's recent p99.
    LatencyP99,
    /// Latency above the baseline's recent p99.9.
    LatencyP999,
    /// Latency far above the baseline's recent p99, now and then.
    LatencyFar,
    /// Latency far above the usual, nearly pair after pair.
    LatencyExtreme,
    /// Failures of the candidate where the baseline did not fail.
    Errors,
    /// Different answers.
    Mismatches,
}

impl Signal {
    /// Whether it is about latency.
    pub fn is_latency(self) -> bool {
        !matches!(self, Self::Errors | Self::Mismatches)
    }

    /// The word used in the status, the log and the events.
    pub fn name(self) -> &'static str {
        match self {
            Self::LatencyRank => "latency",
            Self::LatencyPaired => "latency_paired",
            Self::LatencyP50 => "latency_p50",
            Self::LatencyP90 => "latency_p90",
            Self::LatencyP99 => "latency_p99",
            Self::LatencyP999 => "latency_p999",
            Self::LatencyFar => "latency_far",
            Self::LatencyExtreme => "latency_extreme",
            Self::Errors => "errors",
            Self::Mismatches => "mismatches",
        }
    }
}

/// The bets that are linear in a score: what they are about, the place of the score in
/// [`linear_scores`], the share that is bet, and the weight. The shares are a grid from what pays for
/// a slight regression to what pays for a plain one; the weights were chosen by simulation.
const LINEAR: [(Signal, usize, f64, f64); LATENCY + 3] = [
    (Signal::LatencyRank, 0, 0.2, 4.0),
    (Signal::LatencyRank, 0, 0.5, 4.0),
    (Signal::LatencyRank, 0, 0.95, 4.0),
    (Signal::LatencyPaired, 1, 0.15, 2.0),
    (Signal::LatencyPaired, 1, 0.35, 3.0),
    (Signal::LatencyPaired, 1, 0.75, 2.0),
    (Signal::LatencyPaired, 2, 0.12, 3.0),
    (Signal::LatencyPaired, 2, 0.3, 3.0),
    (Signal::LatencyP50, 3, 0.3, 1.0),
    (Signal::LatencyP50, 4, 0.2, 3.0),
    (Signal::LatencyP50, 4, 0.3, 3.0),
    (Signal::LatencyP90, 5, 0.3, 2.0),
    (Signal::LatencyP90, 5, 0.7, 2.0),
    (Signal::LatencyP99, 6, 0.4, 1.0),
    (Signal::LatencyP99, 6, 0.9, 1.0),
    (Signal::LatencyP999, 7, 0.9, 1.0),
    (Signal::LatencyFar, FAR, 0.5, 1.0),
    (Signal::LatencyFar, FAR, 0.9, 16.0),
    (Signal::Errors, 9, 0.2, 1.0),
    (Signal::Errors, 9, 0.5, 1.0),
    (Signal::Errors, 9, 0.95, 4.0),
];

/// Of these, the first so many are about latency.
const LATENCY: usize = 18;
/// Scores that linear bets refer to; the last one is that of errors.
pub const SCORES: usize = 10;
/// The score for being far out.
pub const FAR: usize = 8;

/// Likelihood ratios for being above one of [`EXTREMES`]: which one, the probability if the candidate
/// is that bad, and the weight.
const EXTREME: [(usize, f64, f64); 5] =
    [(0, 0.4, 1.0), (0, 0.6, 1.0), (1, 0.2, 1.0), (1, 0.5, 1.0), (1, 0.85, 7.0)];

/// Stakes on the candidate failing alone, and the weight. With more, equal bursts of errors that
/// start on both sides at once could trip by chance: with 1.7, it takes 14 failures in a row of
/// the candidate alone and none of the baseline to get from nothing to a trip.
const EXCESS: [(f64, f64); 3] = [(1.0, 2.0), (1.35, 3.0), (1.7, 5.0)];

/// Likelihood ratios for a difference: the share of all pairs that are equal as allowed and would
/// differ, and the weight.
const MISMATCH: [(f64, f64); 4] = [(0.01, 2.0), (0.04, 2.0), (0.15, 2.0), (0.6, 2.0)];

const EXTREME_AT: usize = LINEAR.len();
const EXCESS_AT: usize = EXTREME_AT + EXTREME.len();
/// Bets on latency and failures; those on differences come after them.
const MISMATCH_AT: usize = EXCESS_AT + EXCESS.len();
/// Number of bets.
pub const COUNT: usize = MISMATCH_AT + MISMATCH.len();

/// The factors of one pair, one per bet.
pub type Factors = [f64; COUNT];

/// The share of each bet in the whole; none for bets that are switched off.
pub fn weights(allowed: &Allowance) -> Factors {
    let mut weights = [0.0; COUNT];
    let mut all = LINEAR
        .map(|bet| bet.3)
        .into_iter()
        .chain(EXTREME.map(|bet| bet.2))
        .chain(EXCESS.map(|bet| bet.1))
        .chain(MISMATCH.map(|bet| bet.1));
    weights.fill_with(|| all.next().unwrap_or(0.0));
    for (at, weight) in weights.iter_mut().enumerate() {
        let off = match signal(at) {
            Signal::Errors => allowed.error_delta >= 1.0,
            Signal::Mismatches => allowed.mismatch_rate.is_none(),
            _ => false,
        };
        if off {
            *weight = 0.0;
        }
    }
    let total: f64 = weights.iter().sum();
    weights.map(|weight| weight / total)
}

/// What a bet is about.
pub fn signal(bet: usize) -> Signal {
    match bet {
        0..EXTREME_AT => LINEAR[bet].0,
        EXTREME_AT..EXCESS_AT => Signal::LatencyExtreme,
        EXCESS_AT..MISMATCH_AT => Signal::Errors,
        _ => Signal::Mismatches,
    }
}

/// The factors of a block's mean scores of latency, and of the disasters of one of its pairs.
pub fn latency_factors(means: &[f64; SCORES], latency: Option<&Latency>, factors: &mut Factors) {
    for (factor, (_, score, share, _)) in factors.iter_mut().zip(&LINEAR[..LATENCY]) {
        *factor = 1.0 + share * means[*score];
    }
    if let Some(latency) = latency {
        extreme(latency, &mut factors[EXTREME_AT..EXCESS_AT]);
    }
}

/// The factors of a pair's failures.
pub fn failure_factors(scores: &Scores, allowed: &Allowance, factors: &mut Factors) {
    if allowed.error_delta >= 1.0 {
        return;
    }
    // Not below -1, so that no share can be lost more than once.
    let score = (scores.errors - allowed.error_delta) / (1.0 + allowed.error_delta);
    for (factor, (.., share, _)) in factors[LATENCY..].iter_mut().zip(&LINEAR[LATENCY..]) {
        *factor = 1.0 + share * score;
    }
    excess(scores, allowed.error_delta, &mut factors[EXCESS_AT..MISMATCH_AT]);
}

/// The factors of a comparison; `None` when differences are not judged.
pub fn mismatch_factors(differs: bool, allowed: &Allowance) -> Option<Factors> {
    let p0 = allowed.mismatch_rate?;
    let mut factors = [1.0; COUNT];
    for (factor, (more, _)) in factors[MISMATCH_AT..].iter_mut().zip(MISMATCH) {
        let p1 = p0 + (1.0 - p0) * more;
        *factor = likelihood_ratio(differs, p0, p1);
    }
    Some(factors)
}

/// The scores of a pair that linear bets on latency refer to, but for [`FAR`], which has moments of its
/// own.
pub fn latency_scores(latency: &Latency) -> [f64; SCORES] {
    let Latency { rank, sign, upper_sign, above: [p50, p75, p90, p99, p999], .. } = *latency;
    [rank, sign, upper_sign, p50, p75, p90, p99, p999, 0.0, 0.0]
}

fn extreme(latency: &Latency, factors: &mut [f64]) {
    const _: () = assert!(EXTREMES.len() == 2, "EXTREME names its levels by number");
    for (factor, (level, p1, _)) in factors.iter_mut().zip(EXTREME) {
        let p0 = latency.extreme_bound[level];
        if p0 < p1 {
            *factor = likelihood_ratio(latency.extreme[level], p0, p1);
        }
    }
}

fn likelihood_ratio(happened: bool, p0: f64, p1: f64) -> f64 {
    if happened { p1 / p0.max(f64::MIN_POSITIVE) } else { (1.0 - p1) / (1.0 - p0) }
}

/// With the stake `a`: `1 + a - c` where the candidate alone failed, 0 where the baseline alone did,
/// `1 - c` else. Let `u` be at least the probability that the baseline alone fails, so that for the
/// candidate it is at most `u + delta`: then the mean is at most 1 for
/// `c = (a delta + (a - 1) u) / (1 - u)`.
fn excess(scores: &Scores, delta: f64, factors: &mut [f64]) {
    let u = scores.baseline_failure_bound;
    let by = 1.0 / (1.0 - u).max(f64::MIN_POSITIVE);
    for (factor, (a, _)) in factors.iter_mut().zip(EXCESS) {
        let c = (a * delta + (a - 1.0) * u) * by;
        // So little would be left of a pair without a failure that the bet is not worth it.
        if c > 0.5 {
            continue;
        }
        *factor = if scores.errors > 0.0 {
            1.0 + a - c
        } else if scores.errors < 0.0 {
            0.0
        } else {
            1.0 - c
        };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn allowed(error_delta: f64, mismatch_rate: Option<f64>) -> Allowance {
        let latency_floor = Duration::from_millis(2);
        Allowance { latency_ratio: 1.15, latency_floor, error_delta, mismatch_rate }
    }

    fn scores(errors: f64, baseline_failure_bound: f64) -> Scores {
        let (candidate_failure_bound, slow) = (1.0, false);
        Scores { latency: None, errors, baseline_failure_bound, candidate_failure_bound, slow }
    }

    fn factors(scores: &Scores, allowed: &Allowance) -> Factors {
        let mut factors = [1.0; COUNT];
        let mut means = scores.latency.as_ref().map(latency_scores).unwrap_or_default();
        means[FAR] = scores.latency.map_or(0.0, |latency| latency.far);
        latency_factors(&means, scores.latency.as_ref(), &mut factors);
        failure_factors(scores, allowed, &mut factors);
        factors
    }

    /// The mean of each factor when the baseline alone fails with probability `baseline` and the
    /// candidate alone with `candidate`.
    fn means(baseline: f64, candidate: f64, bound: f64, allowed: &Allowance) -> Factors {
        let [worse, better, same] = [1.0, -1.0, 0.0].map(|d| factors(&scores(d, bound), allowed));
        let neither = 1.0 - baseline - candidate;
        std::array::from_fn(|bet| {
            candidate * worse[bet] + baseline * better[bet] + neither * same[bet]
        })
    }

    #[test]
    fn no_bet_gains_on_errors_up_to_the_allowed_excess() {
        for delta in [0.0, 0.005, 0.05, 0.3] {
            let allowed = allowed(delta, None);
            for bound in [0.0, 0.0005, 0.01, 0.1, 0.4, 0.9, 1.0] {
                for baseline in [0.0, 0.1, 0.5, 1.0].map(|share| bound * share) {
                    for candidate in [0.0, 0.5, 1.0].map(|share| (baseline + delta) * share) {
                        if baseline + candidate > 1.0 {
                            continue;
                        }
                        for (bet, mean) in
                            means(baseline, candidate, bound, &allowed).into_iter().enumerate()
                        {
                            assert!(
                                mean <= 1.0 + 1e-12,
                                "bet {bet} has mean {mean} at {baseline}, {candidate}, {bound}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn some_bet_gains_on_errors_above_the_allowed_excess() {
        let means = means(0.001, 0.02, 0.001, &allowed(0.005, None));
        assert!(means.iter().any(|mean| *mean > 1.01), "{means:?}");
    }

    #[test]
    fn it_takes_14_failures_in_a_row_from_nothing_to_a_trip() {
        let allowed = allowed(0.005, None);
        let factors = factors(&scores(1.0, 0.0), &allowed);
        let evidence = |pairs: i32| -> f64 {
            let weights = weights(&allowed);
            factors.iter().zip(weights).map(|(factor, weight)| weight * factor.powi(pairs)).sum()
        };
        let pairs = (1..).find(|pairs| evidence(*pairs) >= 1e6).unwrap();
        assert!(pairs >= 14, "{pairs}");
    }

    #[test]
    fn no_bet_gains_on_differences_up_to_the_allowed_rate() {
        for rate in [0.0, 0.001, 0.1, 0.5] {
            let allowed = allowed(0.005, Some(rate));
            let [same, differs] = [false, true].map(|d| mismatch_factors(d, &allowed).unwrap());
            for bet in 0..COUNT {
                // With none allowed, a first difference is evidence without limit.
                let mean = if rate > 0.0 { rate * differs[bet] } else { 0.0 };
                let mean = mean + (1.0 - rate) * same[bet];
                assert!(mean <= 1.0 + 1e-12, "bet {bet} has mean {mean} at {rate}");
            }
        }
        assert_eq!(mismatch_factors(true, &allowed(0.005, None)), None);
    }

    #[test]
    fn no_bet_gains_on_extremes_up_to_their_bound() {
        for bound in [[0.25, 0.05], [0.3, 0.2], [1.0, 1.0]] {
            let of = |extreme| {
                let latency = Latency { extreme, extreme_bound: bound, ..Latency::default() };
                factors(&Scores { latency: Some(latency), ..scores(0.0, 1.0) }, &allowed(1.0, None))
            };
            let (yes, no) = (of([true; 2]), of([false; 2]));
            for (bet, (level, ..)) in EXTREME.iter().enumerate() {
                let (yes, no) = (yes[EXTREME_AT + bet], no[EXTREME_AT + bet]);
                let mean = bound[*level] * yes + (1.0 - bound[*level]) * no;
                assert!(mean <= 1.0 + 1e-12, "bet {bet} has mean {mean} at {bound:?}");
            }
        }
    }

    #[test]
    fn no_score_takes_a_factor_below_0() {
        let latency = Latency {
            rank: -1.0,
            sign: -1.0,
            upper_sign: -1.0,
            above: [-1.0; 5],
            far: -1.0,
            ..Latency::default()
        };
        for delta in [0.0, 0.3, 0.99] {
            let scores = Scores { latency: Some(latency), ..scores(-1.0, 0.0) };
            assert!(factors(&scores, &allowed(delta, None)).iter().all(|factor| *factor >= 0.0));
        }
    }

    #[test]
    fn the_weights_of_the_bets_that_are_on_sum_to_1() {
        for (delta, mismatch) in [(0.005, None), (1.0, None), (0.005, Some(0.01))] {
            let weights = weights(&allowed(delta, mismatch));
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            for (bet, weight) in weights.into_iter().enumerate() {
                let on = match signal(bet) {
                    Signal::Errors => delta < 1.0,
                    Signal::Mismatches => mismatch.is_some(),
                    _ => true,
                };
                assert_eq!(weight > 0.0, on, "bet {bet}");
            }
        }
    }
}
