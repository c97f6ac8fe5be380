//! Keeps a burst of equal events from becoming a burst of log lines.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lets one line through per period and counts those it held back.
#[derive(Debug)]
pub struct LogLimit {
    every: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    held_back: u64,
}

impl LogLimit {
    /// At most one line every so often.
    pub fn new(every: Duration) -> Self {
        Self { every, state: Mutex::default() }
    }

    /// Whether to log this event: `Some(n)`, with the number of events since the last line that
    /// were not logged, or `None`.
    pub fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < self.every) {
            state.held_back += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_gives_one_line_and_the_next_one_tells_how_many_were_held_back() {
        let limit = LogLimit::new(Duration::from_secs(5));
        let start = Instant::now();
        assert_eq!(limit.admit(start), Some(0));
        for millis in 1..=10 {
            assert_eq!(limit.admit(start + Duration::from_millis(millis)), None);
        }
        assert_eq!(limit.admit(start + Duration::from_secs(5)), Some(10));
        assert_eq!(limit.admit(start + Duration::from_secs(10)), Some(0));
    }
}
