//! How often the baseline fails: an upper bound on the rate, over many pairs and over the latest.

/// Pairs of one of the two blocks that make up the long memory.
const BLOCK: u32 = 4096;
/// Standard deviations of the long memory's bound.
const LONG_Z: f64 = 1.64;
/// Of the latest 64 so many failures raise the bound at once.
const BURST: u32 = 2;
/// Standard deviations of the short memory's bound.
const SHORT_Z: f64 = 1.0;

/// Failures of the baseline on a route.
#[derive(Clone, Debug, Default)]
pub struct Failures {
    /// Pairs and failures, of the block that fills and of the one before.
    blocks: [(u32, u32); 2],
    /// The latest 64, the newest in the lowest bit.
    latest: u64,
}

impl Failures {
    /// Takes in a pair.
    pub fn record(&mut self, failed: bool) {
        if self.blocks[0].0 == BLOCK {
            self.blocks = [(0, 0), self.blocks[0]];
        }
        self.blocks[0].0 += 1;
        self.blocks[0].1 += u32::from(failed);
        self.latest = (self.latest << 1) | u64::from(failed);
    }

    /// Upper bound on the probability that the baseline fails.
    pub fn bound(&self) -> f64 {
        let [new, old] = self.blocks;
        let long = upper(new.1 + old.1, new.0 + old.0, LONG_Z);
        let burst = self.latest.count_ones();
        if burst < BURST { long } else { long.max(upper(burst, 64, SHORT_Z)) }
    }
}

/// The score bound on a rate, for rare events.
fn upper(events: u32, of: u32, z: f64) -> f64 {
    if of == 0 {
        return 1.0;
    }
    let events = f64::from(events);
    let bound = (events + z * z / 2.0 + z * (events + z * z / 4.0).sqrt()) / f64::from(of);
    bound.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_data_nothing_is_known() {
        assert_eq!(Failures::default().bound(), 1.0);
    }

    #[test]
    fn the_bound_is_above_the_rate_and_comes_near_it() {
        for every in [10_u32, 100] {
            let mut failures = Failures::default();
            for pair in 0..20_000 {
                failures.record(pair % every == 0);
            }
            let rate = 1.0 / f64::from(every);
            assert!(failures.bound() > rate, "{} for {rate}", failures.bound());
            assert!(failures.blocks[0].0 + failures.blocks[1].0 <= 2 * BLOCK);
        }
        let mut failures = Failures::default();
        for _ in 0..20_000 {
            failures.record(false);
        }
        assert!(failures.bound() < 0.001, "{}", failures.bound());
    }

    #[test]
    fn a_burst_raises_the_bound_at_once_and_goes_by() {
        let mut failures = Failures::default();
        for _ in 0..8000 {
            failures.record(false);
        }
        let calm = failures.bound();
        failures.record(true);
        failures.record(true);
        assert!(failures.bound() > 20.0 * calm, "{} after {calm}", failures.bound());
        for _ in 0..64 {
            failures.record(false);
        }
        assert!(failures.bound() < 3.0 * calm);
    }
}
