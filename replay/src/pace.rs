//! When an exchange is due. Pure: times are offsets from the start of the run.
//!
//! Due times depend on the source alone, never on how long an answer takes: whoever waits for answers
//! before he asks again measures a service that is slow by fewer requests, and finds it fast (coordinated omission).

use std::time::Duration;

/// How fast exchanges are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As they were recorded, so many times as fast.
    Recorded(f64),
    /// So many a second.
    Rate(f64),
    /// As fast as so many at once are answered.
    Connections,
}

/// A pace, and how it begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Once it has begun.
    pub pace: Pace,
    /// How long a rate grows from nothing.
    pub ramp: Duration,
}

impl Schedule {
    /// When the exchange is due that has `nth` before it, and was recorded so long after the first; `None` for
    /// as soon as there is room.
    pub fn due(&self, nth: u64, recorded: Duration) -> Option<Duration> {
        match self.pace {
            Pace::Recorded(factor) => Some(seconds(recorded.as_secs_f64() / factor)),
            Pace::Rate(rate) => Some(seconds(self.at_rate(nth, rate))),
            Pace::Connections => None,
        }
    }

    /// How many may be under way of `most`, so long after the start.
    pub fn connections(&self, most: usize, since: Duration) -> usize {
        if self.pace != Pace::Connections || self.ramp.is_zero() || since >= self.ramp {
            return most;
        }
        let part = since.as_secs_f64() / self.ramp.as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a part of a small number"
        )]
        let now = (most as f64 * part).ceil() as usize;
        now.clamp(1, most)
    }

    /// While the rate grows evenly, `rate * t^2 / (2 * ramp)` were due after `t`.
    fn at_rate(&self, nth: u64, rate: f64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
        let nth = nth as f64;
        let ramp = self.ramp.as_secs_f64();
        let in_ramp = rate * ramp / 2.0;
        if nth < in_ramp { (2.0 * ramp * nth / rate).sqrt() } else { ramp + (nth - in_ramp) / rate }
    }
}

/// More than this nobody waits.
const LONGEST: f64 = 1.0e9;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(if seconds.is_finite() { seconds.clamp(0.0, LONGEST) } else { LONGEST })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(due: Option<Duration>) -> u128 {
        due.unwrap().as_millis()
    }

    #[test]
    fn a_recording_is_sent_as_it_was_or_faster() {
        let at = |factor| Schedule { pace: Pace::Recorded(factor), ramp: Duration::ZERO };
        let recorded = Duration::from_secs(3);
        assert_eq!(millis(at(1.0).due(7, recorded)), 3000);
        assert_eq!(millis(at(2.0).due(7, recorded)), 1500);
        assert_eq!(millis(at(0.5).due(7, recorded)), 6000);
    }

    #[test]
    fn a_rate_is_kept_from_the_first_and_grows_evenly_where_it_is_to() {
        let rate = Schedule { pace: Pace::Rate(100.0), ramp: Duration::ZERO };
        assert_eq!([0, 1, 250].map(|nth| millis(rate.due(nth, Duration::MAX))), [0, 10, 2500]);
        // Half of what ten seconds at full rate have.
        let ramp = Schedule { ramp: Duration::from_secs(10), ..rate };
        let due = [0, 125, 500, 501].map(|nth| millis(ramp.due(nth, Duration::ZERO)));
        assert_eq!(due, [0, 5000, 10_000, 10_010]);
    }

    #[test]
    fn connections_are_opened_one_after_the_other_while_it_begins() {
        let ramp = Schedule { pace: Pace::Connections, ramp: Duration::from_secs(10) };
        assert_eq!(ramp.due(3, Duration::from_secs(1)), None);
        let at = |seconds| ramp.connections(50, Duration::from_secs(seconds));
        assert_eq!([0, 1, 5, 10, 99].map(at), [1, 5, 25, 50, 50]);
        assert_eq!(Schedule { ramp: Duration::ZERO, ..ramp }.connections(50, Duration::ZERO), 50);
    }

    proptest! {
        #[test]
        fn due_times_never_go_back(rate in 0.001_f64..1e6, ramp in 0_u64..1000, nth in 0_u64..1_000_000) {
            let schedule = Schedule { pace: Pace::Rate(rate), ramp: Duration::from_millis(ramp) };
            let due = |nth| schedule.due(nth, Duration::ZERO).unwrap();
            prop_assert!(due(nth) <= due(nth + 1));
        }
    }
}
