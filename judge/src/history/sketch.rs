//! Latencies of one minute, coarsely: buckets of an eighth of a power of two.

use std::time::Duration;

use super::Quantiles;

/// Buckets for each power of two: a quantile is within a tenth of the truth.
const PER_OCTAVE: u32 = 8;
/// From a microsecond to a minute and more.
const OCTAVES: u32 = 26;
const BUCKETS: usize = (PER_OCTAVE * OCTAVES) as usize;

/// Latencies, in buckets.
#[derive(Debug)]
pub(super) struct Sketch {
    counts: Box<[u32; BUCKETS]>,
    all: u64,
}

impl Default for Sketch {
    fn default() -> Self {
        Self { counts: Box::new([0; BUCKETS]), all: 0 }
    }
}

impl Sketch {
    /// Takes in a latency; one that never came is later than all that did.
    pub(super) fn record(&mut self, latency: Option<Duration>) {
        let bucket = latency.map_or(BUCKETS - 1, bucket_of);
        self.counts[bucket] = self.counts[bucket].saturating_add(1);
        self.all += 1;
    }

    pub(super) fn clear(&mut self) {
        if self.all > 0 {
            (*self.counts, self.all) = ([0; BUCKETS], 0);
        }
    }

    /// `None` where nothing came.
    pub(super) fn quantiles(&self) -> Option<Quantiles> {
        (self.all > 0).then(|| Quantiles { p50: self.quantile(50), p99: self.quantile(99) })
    }

    /// Nearest rank, of so many percent, in seconds.
    fn quantile(&self, percent: u64) -> f32 {
        let rank = (self.all * percent).div_ceil(100).max(1);
        let mut up_to = 0;
        let found = self.counts.iter().position(|count| {
            up_to += u64::from(*count);
            up_to >= rank
        });
        middle_of(found.unwrap_or(BUCKETS - 1))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the logarithm of a number from 1 on is small and not negative"
)]
fn bucket_of(latency: Duration) -> usize {
    let micros = (latency.as_secs_f64() * 1e6).max(1.0);
    ((micros.log2() * f64::from(PER_OCTAVE)) as usize).min(BUCKETS - 1)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "buckets are few, and seconds are shown with two digits"
)]
fn middle_of(bucket: usize) -> f32 {
    (((bucket as f64 + 0.5) / f64::from(PER_OCTAVE)).exp2() / 1e6) as f32
}
