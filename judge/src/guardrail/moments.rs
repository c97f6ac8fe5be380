//! Pairs that overlap in time are one observation: fifty copies caught in one pause of 200 ms are one
//! bad moment, not fifty.

use std::time::{Duration, Instant};

use super::signals::Pair;

/// The time of a pair: from where its slower side was called until it was observed.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    start: Instant,
    end: Instant,
}

impl Span {
    /// Of a pair that is observed now.
    pub fn of(pair: &Pair, now: Instant) -> Self {
        let took = pair.candidate_latency.unwrap_or(Duration::ZERO).max(pair.baseline_latency);
        Self { start: now.checked_sub(took).unwrap_or(now), end: now }
    }
}

/// Tells whether a slow pair belongs to the moment of the one before.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moments {
    until: Option<Instant>,
}

impl Moments {
    /// Whether this pair begins a moment: it was called after the last one had ended.
    pub fn begins(&mut self, span: &Span) -> bool {
        if self.until.is_some_and(|until| span.start < until) {
            return false;
        }
        self.until = Some(span.end);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_that_were_called_before_the_first_ended_are_the_same_moment() {
        let origin = Instant::now();
        let mut moments = Moments::default();
        let mut begins = |start: u64, end: u64| {
            let at = |ms| origin + Duration::from_millis(ms);
            moments.begins(&Span { start: at(start), end: at(end) })
        };
        assert!(begins(0, 200));
        assert!(!begins(0, 200));
        assert!(!begins(199, 399));
        assert!(
            begins(200, 400),
            "the moment is that of its first pair: it does not go on for ever"
        );
        assert!(!begins(399, 600));
    }
}
