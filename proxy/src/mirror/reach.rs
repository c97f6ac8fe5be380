//! Whether the candidate can be reached at all; while it cannot, only probes are tried.
//!
//! A copy that is not tried is no pair: it is held neither against the candidate nor for it, and
//! leaves the guardrail's streaks alone. So that this never stands between the guardrail and its
//! rule, it takes at least as many failed connections in a row as the guardrail wants breaches, all
//! of which were tried and are pairs; and each probe is one more.
//!
//! Pure: time is an argument.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One probe in so much time.
const INTERVAL: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Reach {
    /// Failed connections in a row after which only probes are tried.
    after: AtomicU32,
    failures: AtomicU32,
    next_probe: Mutex<Option<Instant>>,
}

impl Reach {
    pub(super) fn new(after: u32) -> Self {
        Self {
            after: AtomicU32::new(after),
            failures: AtomicU32::new(0),
            next_probe: Mutex::new(None),
        }
    }

    /// The guardrail wants another number of breaches.
    pub(super) fn set_after(&self, after: u32) {
        self.after.store(after, Ordering::Relaxed);
    }

    fn after(&self) -> u32 {
        self.after.load(Ordering::Relaxed)
    }

    /// Whether a copy may be tried. The time is asked for only while it matters.
    pub(super) fn admits(&self, now: impl FnOnce() -> Instant) -> bool {
        if self.failures.load(Ordering::Relaxed) < self.after() {
            return true;
        }
        let now = now();
        let mut next = self.next_probe.lock().unwrap_or_else(PoisonError::into_inner);
        let due = next.is_none_or(|next| now >= next);
        if due {
            *next = Some(now + INTERVAL);
        }
        due
    }

    /// There was no connection; whether this is what makes it unreachable.
    pub(super) fn failed(&self, now: Instant) -> bool {
        let more = |failures: u32| failures.checked_add(1);
        let before = self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        let lost = before.is_ok_and(|before| before + 1 == self.after());
        if lost {
            let mut next = self.next_probe.lock().unwrap_or_else(PoisonError::into_inner);
            *next = Some(now + INTERVAL);
        }
        lost
    }

    /// There was one; whether that is news.
    pub(super) fn connected(&self) -> bool {
        // A store by each copy would be shared between cores for nothing.
        self.failures.load(Ordering::Relaxed) > 0
            && self.failures.swap(0, Ordering::Relaxed) >= self.after()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_so_many_failures_in_a_row_one_probe_an_interval_is_tried() {
        let reach = Reach::new(3);
        let start = Instant::now();
        assert!(!reach.failed(start) && !reach.failed(start));
        assert!(!reach.connected(), "never lost");
        assert!(!reach.failed(start) && !reach.failed(start));
        assert!(reach.admits(|| start));
        assert!(reach.failed(start));
        let mut tried = 0;
        for step in 0..1000 {
            let now = start + Duration::from_millis(step);
            if reach.admits(|| now) {
                assert!(!reach.failed(now), "told once");
                tried += 1;
            }
        }
        assert_eq!(tried, 9);
    }

    #[test]
    fn one_connection_brings_everything_back() {
        let reach = Reach::new(1);
        let start = Instant::now();
        assert!(reach.failed(start));
        assert!(!reach.admits(|| start));
        assert!(reach.connected());
        assert!((0..100).all(|_| reach.admits(|| start)));
    }
}
