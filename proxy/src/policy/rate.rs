//! How many copies a second: a token bucket, pure.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A candidate that is to get more than this has no need of a limit, and a processor no time for it.
const MOST_PER_SECOND: f64 = 1_000_000.0;
/// One a day; what is meant to be less often is not meant to be mirrored.
const LEAST_PER_SECOND: f64 = 1.0 / 86_400.0;
/// Picoseconds of a second, the unit in which buckets count: fine enough that rounding an interval up
/// takes less than a millionth off the largest rate.
const SECOND: u128 = 1_000_000_000_000;

/// Copies in so much time, as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    count: f64,
    unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
}

impl Unit {
    const ALL: [Self; 3] = [Self::Second, Self::Minute, Self::Hour];

    fn name(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "m",
            Self::Hour => "h",
        }
    }

    fn seconds(self) -> f64 {
        match self {
            Self::Second => 1.0,
            Self::Minute => 60.0,
            Self::Hour => 3600.0,
        }
    }
}

impl Rate {
    /// Reads `200/s`, `0.1/s`, `30/m` or `5/h`: from one a day to a million a second.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (count, unit) = text.split_once('/').ok_or("has no /")?;
        let unit = Unit::ALL.into_iter().find(|it| it.name() == unit.trim());
        let unit = unit.ok_or("is in another unit than s, m and h")?;
        let count: f64 = count.trim().parse().map_err(|_| "is no number".to_owned())?;
        let rate = Self { count, unit };
        // Not-a-number is in no range.
        if (LEAST_PER_SECOND..=MOST_PER_SECOND).contains(&rate.per_second()) {
            Ok(rate)
        } else {
            Err("is not between one a day and a million a second".to_owned())
        }
    }

    /// Copies a second.
    pub fn per_second(self) -> f64 {
        self.count / self.unit.seconds()
    }

    /// From one copy to the next, in picoseconds; rounded up, so that it is never more than was said.
    fn interval(self) -> u128 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "from a million to less than 2^57"
        )]
        let interval = (SECOND as f64 / self.per_second()).ceil() as u128;
        interval
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.unit.name())
    }
}

/// Gives out one token for each copy; as many as come in a second, and at least one, may be saved.
///
/// It keeps one moment instead of a number of tokens: when the next token is due, were none ever saved.
/// A token may be taken up to a second early (the generic cell rate algorithm, ITU-T I.371, which takes
/// the same as a bucket that is filled drop by drop). So nothing has to be filled, whole numbers round
/// nothing away however long it runs, and a clock that goes back gives nothing out twice.
#[derive(Debug)]
pub struct Bucket {
    rate: Rate,
    interval: u128,
    /// How much earlier than due a token may be taken.
    early: u128,
    origin: Instant,
    /// When the next one is due, in picoseconds from the origin.
    due: Mutex<u128>,
}

impl Bucket {
    /// A full one.
    pub fn new(rate: Rate, now: Instant) -> Self {
        let interval = rate.interval();
        let early = SECOND.saturating_sub(interval);
        Self { rate, interval, early, origin: now, due: Mutex::new(0) }
    }

    /// At which it fills.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Puts one back that was taken and not used.
    pub fn give_back(&self) {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        *due = due.saturating_sub(self.interval);
    }

    /// Takes a token if there is one.
    pub fn take(&self, now: Instant) -> bool {
        let now = picoseconds(now.saturating_duration_since(self.origin));
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let is_there = *due <= now + self.early;
        if is_there {
            *due = now.max(*due) + self.interval;
        }
        is_there
    }
}

fn picoseconds(time: Duration) -> u128 {
    time.as_nanos() * 1000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, prop, prop_assert, proptest};

    use super::*;

    fn rate(text: &str) -> Rate {
        Rate::parse(text).unwrap()
    }

    /// How many tokens there are at once.
    fn drain(bucket: &Bucket, now: Instant) -> u32 {
        let mut taken = 0;
        while taken < 2_000_000 && bucket.take(now) {
            taken += 1;
        }
        taken
    }

    #[test]
    fn rates_are_numbers_of_copies_in_a_second_a_minute_or_an_hour() {
        for (text, per_second) in [
            ("200/s", 200.0),
            ("0.1/s", 0.1),
            (" 30 / m ", 0.5),
            ("5/h", 5.0 / 3600.0),
            ("1e6/s", 1e6),
        ] {
            assert_eq!(rate(text).per_second(), per_second, "{text}");
        }
        for bad in ["", "200", "200/", "/s", "200/d", "200/S", "x/s", "0/s", "-1/s", "1000001/s"]
            .into_iter()
            .chain(["0.04/h", "nan/s", "inf/s", "1/s/s", "1,5/s"])
        {
            assert!(Rate::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rates_are_shown_as_they_were_written() {
        for text in ["200/s", "0.1/s", "60/m", "0.5/h"] {
            assert_eq!(rate(text).to_string(), text);
        }
    }

    #[test]
    fn what_comes_in_a_second_may_be_saved_and_no_more_however_long_nothing_came() {
        let now = Instant::now();
        for (text, saved) in [("200/s", 200), ("2.5/s", 2), ("1/s", 1), ("0.1/s", 1), ("3/h", 1)] {
            let bucket = Bucket::new(rate(text), now);
            assert_eq!(drain(&bucket, now), saved, "{text}");
            let long_after = now + Duration::from_secs(20 * 365 * 86_400);
            assert_eq!(drain(&bucket, long_after), saved, "{text}");
        }
    }

    #[test]
    fn tokens_come_at_the_rate() {
        let start = Instant::now();
        for (text, most) in [("100/s", 60 * 100 + 100), ("7/s", 60 * 7 + 7), ("6/m", 6 + 1)] {
            let bucket = Bucket::new(rate(text), start);
            let polls = (0..=60_000).map(|step| start + Duration::from_millis(step));
            let taken = polls.filter(|now| bucket.take(*now)).count();
            assert!((most - 1..=most).contains(&taken), "{text}: {taken}");
        }
    }

    #[test]
    fn tokens_are_never_due_sooner_than_the_rate_says() {
        for per_second in 1..=1000 {
            let interval = rate(&format!("{per_second}/s")).interval();
            assert!(interval * per_second >= SECOND && (interval - 1) * per_second < SECOND);
        }
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_out_twice() {
        let start = Instant::now();
        let later = start + Duration::from_secs(10);
        let bucket = Bucket::new(rate("10/s"), start);
        assert_eq!(drain(&bucket, later), 10);
        assert_eq!(drain(&bucket, start), 0);
        assert_eq!(drain(&bucket, later), 0);
        assert_eq!(drain(&bucket, later + Duration::from_millis(100)), 1);
        let before = Bucket::new(rate("10/s"), later);
        assert_eq!(drain(&before, start), 10);
        assert_eq!(drain(&before, later), 0);
    }

    #[test]
    fn several_threads_take_no_more_than_one_would() {
        let now = Instant::now();
        let bucket = Bucket::new(rate("1000/s"), now);
        let taken: usize = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..1000).filter(|_| bucket.take(now)).count()))
                .collect();
            takers.into_iter().map(|it| it.join().unwrap()).sum()
        });
        assert_eq!(taken, 1000);
    }

    fn rates() -> impl Strategy<Value = Rate> {
        (-4.0..6.0_f64).prop_map(|power| Rate { count: 10_f64.powf(power), unit: Unit::Second })
    }

    proptest! {
        #[test]
        fn in_no_interval_more_are_taken_than_come_in_it_and_were_saved(
            rate in rates(),
            steps in prop::collection::vec((0..4_u64, 0..1_000_000_000_u64), 1..200),
        ) {
            let mut now = Instant::now();
            let bucket = Bucket::new(rate, now);
            let per_second = rate.per_second();
            let mut taken: Vec<Instant> = Vec::new();
            for (kind, nanos) in steps {
                // Nothing, microseconds, or parts of a second; or as long as one token takes.
                now += match kind {
                    0 => Duration::ZERO,
                    1 => Duration::from_nanos(nanos / 1000),
                    2 => Duration::from_nanos(nanos),
                    _ => Duration::from_secs_f64(1.0 / per_second),
                };
                if bucket.take(now) {
                    taken.push(now);
                }
            }
            for first in 0..taken.len() {
                for last in first..taken.len() {
                    let passed = (taken[last] - taken[first]).as_secs_f64();
                    let most = per_second * passed + per_second.max(1.0);
                    let count = u32::try_from(last - first + 1).unwrap();
                    prop_assert!(f64::from(count) <= most + 1e-6, "{count} in {passed} s at {rate}");
                }
            }
        }
    }
}
