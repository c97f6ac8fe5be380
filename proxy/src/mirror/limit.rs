//! How many copies may be in flight: fewer while the candidate is overloaded.
//!
//! A gradient limit after Netflix's concurrency-limits (`Gradient2Limit`,
//! <https://github.com/Netflix/concurrency-limits>): the limit follows the ratio of the latency
//! without load to the present one, plus room for a short queue; a call cut at its deadline takes
//! a tenth off. Two things differ. The limit starts at its maximum and only latency that grew
//! with the number in flight lowers it: what is measured with few calls in flight is the latency
//! without load, however long, so that a candidate that is slow but steady gets all its copies.
//! And an excess in the order of this machine's own scheduling is no verdict.
//!
//! Pure: latencies are arguments, and no clock is needed.

use std::time::Duration;

/// With so few in flight, what is measured is the latency without load. It is also where the
/// limit comes to rest while latency stays high: there, half of it and its root are the same.
const FEW: usize = 4;
/// Latency may grow this many times before it counts.
const TOLERANCE: f64 = 2.0;
/// A smaller excess never counts, in seconds.
const FLOOR: f64 = 0.05;
/// What a call that was cut leaves of the limit.
const BACKOFF: f64 = 0.9;
/// Calls that are looked at together, at least.
const SAMPLES: usize = 10;
/// Weight of a lower latency, seen with more in flight, in the one without load.
const WEIGHT: f64 = 0.2;

#[derive(Debug)]
pub(super) struct Limit {
    most: f64,
    current: f64,
    /// Seconds.
    without_load: Option<f64>,
    window: Window,
}

#[derive(Debug, Default)]
struct Window {
    calls: usize,
    seconds: f64,
    /// The most that were in flight when one of them began.
    in_flight: usize,
}

impl Limit {
    /// A limit that is at `most` and never above.
    pub(super) fn new(most: usize) -> Self {
        // Exact up to 2^53, far above any number of calls.
        #[expect(clippy::cast_precision_loss, reason = "numbers of calls stay below 2^53")]
        let most = most as f64;
        Self { most, current: most, without_load: None, window: Window::default() }
    }

    /// The limit, at least 1.
    pub(super) fn current(&self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and a number that was a usize"
        )]
        let current = self.current as usize;
        current.max(1)
    }

    /// A response head came after `latency`; `in_flight` calls, this one included, were under way
    /// when it was sent.
    pub(super) fn answered(&mut self, in_flight: usize, latency: Duration) {
        let window = &mut self.window;
        window.calls += 1;
        window.seconds += latency.as_secs_f64();
        window.in_flight = window.in_flight.max(in_flight);
        if self.window.calls >= SAMPLES.max(self.current()) {
            let window = std::mem::take(&mut self.window);
            self.adapt(&window);
        }
    }

    /// A call was cut at its deadline without a response head.
    pub(super) fn cut(&mut self) {
        self.current = (self.current * BACKOFF).max(1.0);
        self.window = Window::default();
    }

    fn adapt(&mut self, window: &Window) {
        #[expect(clippy::cast_precision_loss, reason = "numbers of calls stay below 2^53")]
        let latency = window.seconds / window.calls as f64;
        let mut without_load = self.without_load.unwrap_or(latency);
        if window.in_flight <= FEW {
            without_load = latency;
        } else if latency < without_load {
            without_load += (latency - without_load) * WEIGHT;
        }
        self.without_load = Some(without_load);
        // Half of it unused: it limits nothing, and latency has another cause.
        if window.in_flight * 2 < self.current() {
            return;
        }
        let grown = latency - without_load > FLOOR;
        let gradient =
            if grown { (TOLERANCE * without_load / latency).clamp(0.5, 1.0) } else { 1.0 };
        let queue = self.current.sqrt();
        self.current = (self.current * gradient + queue).clamp(1.0, self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 64;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Calls with as many in flight as allowed; how long each takes depends on how many there are.
    fn drive(limit: &mut Limit, calls: usize, latency: impl Fn(usize) -> Duration) {
        for _ in 0..calls {
            let in_flight = limit.current();
            limit.answered(in_flight, latency(in_flight));
        }
    }

    #[test]
    fn a_candidate_that_is_slow_but_steady_keeps_the_whole_limit() {
        let mut limit = Limit::new(MOST);
        for call in 0..100_000_u64 {
            limit.answered(MOST, ms(200 + call % 7));
            assert_eq!(limit.current(), MOST);
        }
    }

    #[test]
    fn a_fast_candidate_keeps_it_in_bursts_and_while_this_machine_is_busy() {
        let mut limit = Limit::new(MOST);
        for call in 0..10_000 {
            limit.answered(1 + call % MOST, ms(if call / 1000 % 2 == 0 { 1 } else { 40 }));
            assert_eq!(limit.current(), MOST);
        }
    }

    #[test]
    fn latency_that_grows_with_the_number_in_flight_lowers_the_limit() {
        let mut limit = Limit::new(MOST);
        let latency = |in_flight: usize| ms(50 * in_flight.div_ceil(4) as u64);
        for _ in 0..100 {
            limit.answered(2, latency(2));
        }
        drive(&mut limit, 10_000, latency);
        assert!((FEW..MOST / 3).contains(&limit.current()), "{}", limit.current());
        drive(&mut limit, 10_000, latency);
        assert!((FEW..MOST / 3).contains(&limit.current()), "it does not creep up");
    }

    #[test]
    fn a_candidate_that_became_slow_for_good_gets_all_copies_again_after_a_while() {
        let mut limit = Limit::new(MOST);
        drive(&mut limit, 1000, |_| ms(1));
        drive(&mut limit, 300, |_| ms(200));
        assert!(limit.current() < MOST / 2, "at first it may be overload: {}", limit.current());
        drive(&mut limit, 1000, |_| ms(200));
        assert_eq!(limit.current(), MOST);
    }

    #[test]
    fn calls_that_are_cut_lower_it_to_one_and_answers_raise_it_again() {
        let mut limit = Limit::new(MOST);
        for _ in 0..MOST {
            limit.cut();
        }
        assert_eq!(limit.current(), 1);
        (0..1000).for_each(|_| limit.cut());
        assert_eq!(limit.current(), 1);
        drive(&mut limit, 600, |_| ms(1));
        assert_eq!(limit.current(), MOST);
    }

    #[test]
    fn it_stays_between_one_and_its_maximum_whatever_happens() {
        for most in [1, 2, 3, 1000] {
            let mut limit = Limit::new(most);
            for step in 0..10_000_u64 {
                match step % 11 {
                    0..3 => limit.cut(),
                    _ => limit.answered(limit.current(), ms(step * 7919 % 5000)),
                }
                assert!((1..=most).contains(&limit.current()));
            }
        }
    }

    #[test]
    fn what_limits_nothing_does_not_change() {
        let mut limit = Limit::new(MOST);
        drive(&mut limit, MOST * 10, |_| ms(1));
        for _ in 0..1000 {
            limit.answered(10, ms(900));
        }
        assert_eq!(limit.current(), MOST);
    }
}
