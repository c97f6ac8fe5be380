//! Keeps a burst of equal events from becoming a burst of log lines.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lets one line, or a few, through per period and counts those it held back.
#[derive(Debug)]
pub struct LogLimit {
    every: Duration,
    most: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    lines: u32,
    held_back: u64,
}

impl LogLimit {
    /// At most one line every so often.
    pub const fn new(every: Duration) -> Self {
        Self::burst(1, every)
    }

    /// At most so many lines every so often, for lines of which none says what another does.
    pub const fn burst(most: u32, every: Duration) -> Self {
        let state = State { since: None, lines: 0, held_back: 0 };
        Self { every, most, state: Mutex::new(state) }
    }

    /// Whether to log this event: `Some(n)`, with the number of events since the last line that
    /// were not logged, or `None`.
    pub fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |since| now.saturating_duration_since(since) >= self.every;
        if state.since.is_none_or(fresh) {
            (state.since, state.lines) = (Some(now), 0);
        }
        if state.lines >= self.most {
            state.held_back += 1;
            return None;
        }
        state.lines += 1;
        Some(std::mem::take(&mut state.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_for_bursts_lets_so_many_lines_through_per_period() {
        let limit = LogLimit::burst(2, Duration::from_secs(60));
        let start = Instant::now();
        let admitted: Vec<_> = (0..4).map(|_| limit.admit(start)).collect();
        assert_eq!(admitted, [Some(0), Some(0), None, None]);
        assert_eq!(limit.admit(start + Duration::from_secs(60)), Some(2));
    }

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
