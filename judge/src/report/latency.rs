//! The latencies of one side: a histogram of fixed precision, and where its quantiles lie.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::float;

/// A longer one than any deadline allows counts as this; it bounds the histogram to some 60 KB.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Two significant digits: a bucket is at most 0.8 % wide.
const DIGITS: u8 = 2;

/// Latencies, in buckets.
#[derive(Clone, Debug)]
pub struct Latencies {
    micros: Histogram<u64>,
    missing: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        let micros = Histogram::new(DIGITS).expect("2 digits are within 0 and 5");
        Self { micros, missing: 0 }
    }
}

impl Latencies {
    /// Takes in a latency. `None` is an answer that never came: later than all that did, so that who
    /// gives up on the slow ones does not look fast.
    pub fn record(&mut self, latency: Option<Duration>) {
        let micros = latency.map(|latency| latency.min(LONGEST).as_micros());
        let micros = micros.and_then(|micros| u64::try_from(micros).ok());
        if micros.is_none_or(|micros| self.micros.record(micros).is_err()) {
            self.missing += 1;
        }
    }

    /// Takes in all that another one holds.
    pub fn add(&mut self, other: &Self) {
        if self.micros.add(&other.micros).is_err() {
            self.missing += other.micros.len();
        }
        self.missing += other.missing;
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.micros.len() + self.missing
    }

    /// Quantiles, nearest rank, in seconds; infinite where they are above all that came.
    pub fn quantiles<const N: usize>(&self, wanted: [f64; N]) -> [f64; N] {
        let steps = self.steps();
        let count = self.count();
        wanted.map(|quantile| {
            at(&steps, nearest_rank(quantile, count)).map_or(f64::INFINITY, |step| step.middle)
        })
    }

    /// The buckets that are not empty, the fastest first: from, to, in seconds, and how many are in it. What never
    /// came is in none.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, f64, u64)> {
        let mut before = 0;
        self.steps().into_iter().map(move |step| {
            let count = step.up_to - std::mem::replace(&mut before, step.up_to);
            (step.lowest, step.highest, count)
        })
    }

    /// The two ends of the bucket that a quantile is in, in seconds.
    pub fn bucket(&self, quantile: f64) -> Option<(f64, f64)> {
        let steps = self.steps();
        let step = at(&steps, nearest_rank(quantile, self.count()))?;
        Some((step.lowest, step.highest))
    }

    /// Where these are the moments at which clients left, and `all` are how long the baseline took or
    /// the client waited: the share of clients that wait for so long (Kaplan and Meier, Journal of the
    /// American Statistical Association 53, 1958).
    pub fn waiting(&self, all: &Self, seconds: f64) -> f64 {
        let (left, all_steps) = (self.steps(), all.steps());
        let mut before = 0;
        let mut share = 1.0;
        for step in left.iter().take_while(|step| step.lowest < seconds) {
            // Of those in the same bucket the answered ones came first: the safe side.
            let up_to = all_steps.partition_point(|other| other.lowest <= step.lowest);
            let up_to = if up_to == 0 { 0 } else { all_steps[up_to - 1].up_to };
            let leave = step.up_to - before;
            let at_risk = (all.count() - up_to + leave).max(1);
            share *= 1.0 - float(leave) / float(at_risk);
            before = step.up_to;
        }
        share.clamp(0.0, 1.0)
    }

    fn steps(&self) -> Vec<Step> {
        let mut up_to = 0;
        let recorded = self.micros.iter_recorded();
        recorded
            .map(|bucket| {
                up_to += bucket.count_since_last_iteration();
                let micros = bucket.value_iterated_to();
                Step {
                    up_to,
                    lowest: seconds(self.micros.lowest_equivalent(micros)),
                    middle: seconds(self.micros.median_equivalent(micros)),
                    highest: seconds(self.micros.next_non_equivalent(micros)),
                }
            })
            .collect()
    }
}

/// A bucket that is not empty.
struct Step {
    /// Values in this bucket and those below.
    up_to: u64,
    lowest: f64,
    middle: f64,
    highest: f64,
}

/// The bucket of a rank; `None` for an answer that never came.
fn at(steps: &[Step], rank: u64) -> Option<&Step> {
    steps.get(steps.partition_point(|step| step.up_to < rank))
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts stay below 2^53 and are not negative"
)]
fn nearest_rank(quantile: f64, count: u64) -> u64 {
    ((quantile * count as f64).ceil() as u64).clamp(1, count.max(1))
}

#[expect(clippy::cast_precision_loss, reason = "a day has less than 2^53 microseconds")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::default();
        for millis in millis {
            latencies.record(Some(Duration::from_millis(millis)));
        }
        latencies
    }

    #[test]
    fn quantiles_lie_within_a_bucket_of_the_truth() {
        let latencies = of((0..10_000).map(|n| n % 1000 + 1));
        let levels = [0.5, 0.9, 0.99];
        for (found, exact) in latencies.quantiles(levels).into_iter().zip(levels) {
            assert!((found - exact).abs() < 0.008, "{found}");
            let (from, above) = latencies.bucket(exact).unwrap();
            assert!(from <= found && found <= above && above - from < 0.01, "{from} {above}");
        }
    }

    #[test]
    fn buckets_hold_all_that_came() {
        let mut latencies = of([1, 1, 50]);
        latencies.record(None);
        let buckets: Vec<_> = latencies.buckets().collect();
        assert_eq!(buckets.iter().map(|(_, _, count)| count).collect::<Vec<_>>(), [&2, &1]);
        assert!(buckets.iter().all(|(from, to, _)| from < to), "{buckets:?}");
    }

    #[test]
    fn answers_that_never_came_are_later_than_all_others() {
        let mut latencies = of([10; 900]);
        for _ in 0..100 {
            latencies.record(None);
        }
        let [p50, p99] = latencies.quantiles([0.5, 0.99]);
        assert!((p50 - 0.01).abs() < 1e-4, "{p50}");
        assert!(p99.is_infinite() && latencies.bucket(0.99).is_none());
        assert!(Latencies::default().quantiles([0.5])[0].is_infinite());
    }

    #[test]
    fn the_share_of_clients_that_wait_is_told_from_those_who_left() {
        // Half of the answers take 10 ms; of the clients that had to wait longer, half left at 20 ms.
        let left = of([20; 250]);
        let all = of([[10; 500].to_vec(), [20; 250].to_vec(), [30; 250].to_vec()].concat());
        assert!((left.waiting(&all, 0.015) - 1.0).abs() < 1e-9);
        assert!((left.waiting(&all, 0.025) - 0.5).abs() < 1e-9);
        let all = of([[10; 500].to_vec(), [20; 250].to_vec()].concat());
        assert!(left.waiting(&all, 0.025) < 1e-9, "nobody waits so long");
    }

    #[test]
    fn no_latency_makes_it_grow_beyond_a_bound() {
        let mut latencies = Latencies::default();
        for latency in [Duration::ZERO, Duration::from_secs(86_400), Duration::MAX] {
            latencies.record(Some(latency));
        }
        assert_eq!(latencies.count(), 3);
        assert!(latencies.micros.distinct_values() * size_of::<u64>() <= 64 << 10);
    }

    #[test]
    fn sums_are_as_if_all_had_come_to_one() {
        let mut sum = of([1, 2, 3]);
        let mut other = of([5000, 7]);
        other.record(None);
        sum.add(&other);
        let mut together = of([1, 2, 3, 5000, 7]);
        together.record(None);
        assert_eq!(sum.bucket(0.9), together.bucket(0.9));
        assert_eq!(sum.count(), 6);
    }
}
