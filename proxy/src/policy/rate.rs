//! How many copies a second: a token bucket, pure.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Copies in so much time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Copies a second, above 0.
    pub per_second: f64,
}

impl Rate {
    /// Reads `200/s`, `30/m` or `5/h`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (count, unit) = text.split_once('/').ok_or("has no /")?;
        let seconds = match unit.trim() {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err("is in another unit".to_owned()),
        };
        let count: f64 = count.trim().parse().map_err(|_| "is no number".to_owned())?;
        if count.is_finite() && count > 0.0 {
            Ok(Self { per_second: count / seconds })
        } else {
            Err("out of range".to_owned())
        }
    }
}

/// Gives out one token for each copy; as many as come in a second, and at least one, may be saved.
#[derive(Debug)]
pub struct Bucket {
    rate: Rate,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tokens: f64,
    since: Instant,
}

impl Bucket {
    /// A full one.
    pub fn new(rate: Rate, now: Instant) -> Self {
        let state = State { tokens: rate.per_second.max(1.0), since: now };
        Self { rate, state: Mutex::new(state) }
    }

    /// At which it fills.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes a token if there is one.
    pub fn take(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(state.since).as_secs_f64();
        let most = self.rate.per_second.max(1.0);
        state.tokens = (state.tokens + passed * self.rate.per_second).min(most);
        state.since = state.since.max(now);
        let is_there = state.tokens >= 1.0;
        if is_there {
            state.tokens -= 1.0;
        }
        is_there
    }
}
