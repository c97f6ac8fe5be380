//! The baseline's last 2048 latencies on a route, kept so that the rank of any latency among them
//! is one look.
//!
//! Latencies are put into logarithmic buckets, 128 to an octave, with running counts within each
//! octave and over the octaves: a change touches at most 127 and 23 neighbours in a row. 10 KB,
//! whatever comes.

use std::time::Duration;

/// Latencies kept.
pub const SIZE: usize = 2048;

/// Buckets of an octave, as a power of two: each is 0.5 to 0.8 % wide.
const FINE_BITS: u32 = 7;
/// From 2^13 ns, 8 µs; what is below goes into the first bucket.
const LOWEST_BIT: u32 = 13;
/// Up to 2^37 ns, 137 s; what is above goes into the last bucket.
const OCTAVES: usize = 24;

/// How a latency stands among the recent ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rank {
    /// Share of the recent ones in a lower bucket.
    pub below: f64,
    /// As `below`, with half of those in the same bucket.
    pub middle: f64,
}

/// A ring of latencies with ranks.
#[derive(Clone, Debug)]
pub struct Recent {
    ring: Box<[u16]>,
    /// How many are in the octaves below each.
    below_octave: [u16; OCTAVES],
    /// How many are in lower buckets of the same octave.
    below_in_octave: Box<[u16]>,
    count: usize,
    next: usize,
}

impl Default for Recent {
    fn default() -> Self {
        Self::new()
    }
}

impl Recent {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            ring: vec![0; SIZE].into_boxed_slice(),
            below_octave: [0; OCTAVES],
            below_in_octave: vec![0; OCTAVES << FINE_BITS].into_boxed_slice(),
            count: 0,
            next: 0,
        }
    }

    /// Latencies kept now.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes in a latency in nanoseconds, in place of the oldest one when the ring is full.
    pub fn record(&mut self, nanos: f64) {
        let bucket = bucket(nanos);
        if self.count == SIZE {
            self.add(self.ring[self.next], u16::MAX);
        } else {
            self.count += 1;
        }
        self.ring[self.next] = bucket;
        self.next = (self.next + 1) % SIZE;
        self.add(bucket, 1);
    }

    /// Adds to a bucket's count; `u16::MAX` takes one away.
    fn add(&mut self, bucket: u16, change: u16) {
        let bucket = usize::from(bucket);
        let octave = bucket >> FINE_BITS;
        for below in &mut self.below_octave[octave + 1..] {
            *below = below.wrapping_add(change);
        }
        for below in &mut self.below_in_octave[bucket + 1..(octave + 1) << FINE_BITS] {
            *below = below.wrapping_add(change);
        }
    }

    /// How many are in lower buckets than this one.
    fn below(&self, bucket: usize) -> u16 {
        match self.below_octave.get(bucket >> FINE_BITS) {
            Some(octave) => octave + self.below_in_octave[bucket],
            None => self.count as u16,
        }
    }

    /// The rank of a latency in nanoseconds; 0 when nothing is kept.
    pub fn rank(&self, nanos: f64) -> Rank {
        if self.count == 0 {
            return Rank { below: 0.0, middle: 0.0 };
        }
        let bucket = usize::from(bucket(nanos));
        let share = 1.0 / self.count as f64;
        let (below, up_to) = (self.below(bucket), self.below(bucket + 1));
        Rank { below: f64::from(below) * share, middle: f64::from(below + up_to) * 0.5 * share }
    }

    /// A quantile by nearest rank, rounded down to its bucket; zero when nothing is kept.
    pub fn quantile(&self, q: f64) -> Duration {
        if self.count == 0 {
            return Duration::ZERO;
        }
        let wanted = (q * self.count as f64).ceil().max(1.0) as u16;
        let octave = self.below_octave.partition_point(|below| *below < wanted) - 1;
        let left = wanted - self.below_octave[octave];
        let fine = &self.below_in_octave[octave << FINE_BITS..(octave + 1) << FINE_BITS];
        let fine = fine.partition_point(|below| *below < left) - 1;
        Duration::from_nanos(lower_bound((octave << FINE_BITS) + fine))
    }
}

/// Nanoseconds of a duration, as a number to reckon with.
pub fn nanos(duration: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "exact up to 104 days")]
    let seconds = duration.as_secs() as f64;
    seconds * 1e9 + f64::from(duration.subsec_nanos())
}

fn bucket(nanos: f64) -> u16 {
    let nanos = (nanos as u64).clamp(1 << LOWEST_BIT, (1 << (LOWEST_BIT as usize + OCTAVES)) - 1);
    let octave = nanos.ilog2();
    let fine = (nanos >> (octave - FINE_BITS)) & ((1 << FINE_BITS) - 1);
    (((octave - LOWEST_BIT) << FINE_BITS) | fine as u32) as u16
}

/// The least nanoseconds that fall into a bucket, the first aside.
fn lower_bound(bucket: usize) -> u64 {
    let octave = LOWEST_BIT as usize + (bucket >> FINE_BITS);
    let fine = bucket & ((1 << FINE_BITS) - 1);
    (((1 << FINE_BITS) + fine) as u64) << (octave - FINE_BITS as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Latencies over many octaves, from a fixed seed.
    fn latencies(count: usize) -> Vec<f64> {
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        (0..count).map(|_| 1e3 * (next() * 18.0).exp()).collect()
    }

    #[test]
    fn ranks_and_quantiles_are_those_of_the_sorted_last_2048() {
        let mut recent = Recent::new();
        let all = latencies(6000);
        for (seen, latency) in all.iter().enumerate() {
            recent.record(*latency);
            if seen % 97 != 0 && seen != SIZE {
                continue;
            }
            let mut kept = all[(seen + 1).saturating_sub(SIZE)..=seen].to_vec();
            kept.sort_by(f64::total_cmp);
            assert_eq!(recent.len(), kept.len());
            for probe in &all[..50] {
                let below = kept.iter().filter(|kept| bucket(**kept) < bucket(*probe)).count();
                let same = kept.iter().filter(|kept| bucket(**kept) == bucket(*probe)).count();
                let rank = recent.rank(*probe);
                assert!((rank.below - below as f64 / kept.len() as f64).abs() < 1e-12);
                let middle = (below as f64 + same as f64 / 2.0) / kept.len() as f64;
                assert!((rank.middle - middle).abs() < 1e-12);
            }
            for q in [0.0, 0.5, 0.9, 0.99, 1.0] {
                let at = (q * kept.len() as f64).ceil().max(1.0) as usize - 1;
                let expected = lower_bound(bucket(kept[at]).into());
                assert_eq!(recent.quantile(q), Duration::from_nanos(expected));
            }
        }
    }

    #[test]
    fn a_bucket_is_less_than_a_hundredth_wide() {
        for latency in latencies(1000).into_iter().filter(|nanos| *nanos > 8192.0) {
            let low = lower_bound(bucket(latency).into()) as f64;
            assert!(low <= latency && latency < low * 1.01, "{latency} is not in [{low}, …)");
        }
    }

    #[test]
    fn latencies_beyond_all_bounds_are_kept_at_the_ends() {
        let mut recent = Recent::new();
        for latency in [0.0, -5.0, 1.0, 1e18, f64::INFINITY] {
            recent.record(latency);
        }
        let below = |nanos| (recent.rank(nanos).below * 5.0).round();
        assert_eq!([0.0, 1e9, 1e18].map(below), [0.0, 3.0, 3.0]);
    }

    #[test]
    fn nothing_kept_has_rank_and_quantile_0() {
        assert_eq!(Recent::new().rank(1e9), Rank { below: 0.0, middle: 0.0 });
        assert_eq!(Recent::new().quantile(0.99), Duration::ZERO);
    }
}
