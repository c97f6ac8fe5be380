//! After a cooldown: a few probe pairs at a low rate, then a growing share, and cooldowns that
//! double as long as that goes wrong. What is called now, or since when, is as [`Moment::at`](super::Moment::at).

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Shares in thousandths; the last step is the full one, still on probation. Each takes its part of
/// the ramp.
const SHARES: [u16; 4] = [50, 250, 500, 1000];
/// Pairs of the first step, whatever the time.
const PROBES: u32 = 20;
/// A cooldown grows to at most this many times the configured one.
const MOST_TIMES: u32 = 32;
/// After probation so many cooldowns without a trip are a clean spell.
const CLEAN_COOLDOWNS: u32 = 4;

/// A probation that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probation {
    step: usize,
    pairs: u32,
    since: Duration,
}

impl Probation {
    /// At its start.
    pub fn new(now: Duration) -> Self {
        Self { step: 0, pairs: 0, since: now }
    }

    /// The same by another clock.
    #[must_use]
    pub fn moved(self, time: impl Fn(Duration) -> Duration) -> Self {
        Self { since: time(self.since), ..self }
    }

    /// The share now; `None` once it is over.
    pub fn share(&self) -> Option<u16> {
        SHARES.get(self.step).copied()
    }

    /// Takes in a pair; whether the share changes.
    pub fn pair(&mut self, ramp: Duration, now: Duration) -> bool {
        self.pairs += 1;
        let steps = u32::try_from(SHARES.len()).expect("a few");
        let long_enough = now.saturating_sub(self.since) >= ramp / steps;
        let due = long_enough && (self.step > 0 || self.pairs >= PROBES);
        if due {
            *self = Self { step: self.step + 1, pairs: 0, since: now };
        }
        due
    }
}

/// How long the next cooldown is, as a multiple of the configured one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cooldown {
    times: u32,
    /// When a probation was last passed.
    passed: Option<Duration>,
}

impl Default for Cooldown {
    fn default() -> Self {
        Self { times: 1, passed: None }
    }
}

impl Cooldown {
    /// The cooldown of a trip now. Without a ramp it is always the configured one.
    pub fn after_trip(
        &self,
        base: Duration,
        ramp: bool,
        on_probation: bool,
        now: Duration,
    ) -> Duration {
        let clean =
            |passed: Duration| now.saturating_sub(passed) >= base * self.times * CLEAN_COOLDOWNS;
        base * match (ramp, on_probation) {
            (false, _) => 1,
            (true, true) => (self.times * 2).min(MOST_TIMES),
            (true, false) if self.passed.is_some_and(clean) => 1,
            (true, false) => self.times,
        }
    }

    /// The same by another clock.
    #[must_use]
    pub fn moved(self, time: impl Fn(Duration) -> Duration) -> Self {
        Self { passed: self.passed.map(time), ..self }
    }

    /// A trip happened and took that long.
    pub fn tripped(&mut self, base: Duration, cooldown: Duration) {
        let times = cooldown.as_nanos() / base.as_nanos().max(1);
        *self = Self { times: u32::try_from(times).unwrap_or(MOST_TIMES).max(1), passed: None };
    }

    /// A probation was passed.
    pub fn passed(&mut self, now: Duration) {
        self.passed = Some(now);
    }
}
