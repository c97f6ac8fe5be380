//! Pairs that overlap in time are one observation: fifty copies caught in one pause of 200 ms are one
//! bad moment, not fifty.

use std::time::Duration;

use super::signals::Measured;

/// The time of a pair: from where its slower side was called until it was observed; each as
/// [`Moment::at`](super::Moment::at).
#[derive(Clone, Copy, Debug)]
pub struct Span {
    start: Duration,
    end: Duration,
}

impl Span {
    /// Of a pair that is observed now. One that took longer than there is time since the origin began there.
    pub fn of(pair: &Measured, now: Duration) -> Self {
        let took = pair.candidate_latency.unwrap_or(Duration::ZERO).max(pair.baseline_latency);
        Self { start: now.saturating_sub(took), end: now }
    }
}

/// Tells whether a slow pair belongs to the moment of the one before.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moments {
    until: Option<Duration>,
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
        let mut moments = Moments::default();
        let mut begins = |start: u64, end: u64| {
            let [start, end] = [start, end].map(Duration::from_millis);
            moments.begins(&Span { start, end })
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
