//! What is known of how an upstream does: calls, failures, latency. A few atomic counters, so that no
//! call waits for another.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::Error;

/// How much a new latency counts in the recent one: half of it is told by the last 22 calls.
const WEIGHT: f64 = 1.0 / 32.0;

/// Counts; shown by [`Shown`].
#[derive(Debug, Default)]
pub(super) struct Health {
    calls: AtomicU64,
    failures: AtomicU64,
    in_a_row: AtomicU64,
    /// Microseconds, as the bits of a floating point number; two calls at once may lose one.
    latency: AtomicU64,
    last_failure: Mutex<Option<(SystemTime, &'static str)>>,
}

/// How an upstream does.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Where its connections go; empty until its name was asked for.
    pub addresses: Vec<SocketAddr>,
    /// Connections opened since the start.
    pub opened: u64,
    /// Connections that wait for a request now, or share HTTP/2 streams.
    pub idle: usize,
    /// Calls since the start.
    pub calls: u64,
    /// Calls without a response head for which it is to blame, since the start.
    pub failures: u64,
    /// Of these the last ones without a success between.
    pub failures_in_a_row: u64,
    /// When the last one was, and a word for it.
    pub last_failure: Option<(SystemTime, &'static str)>,
    /// From the request sent whole to the response head, an exponential mean of the last calls.
    pub latency: Option<Duration>,
}

impl Health {
    pub(super) fn answered(&self, latency: Option<Duration>) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.in_a_row.load(Ordering::Relaxed) > 0 {
            self.in_a_row.store(0, Ordering::Relaxed);
        }
        let Some(latency) = latency.map(|it| it.as_secs_f64() * 1e6) else { return };
        let before = f64::from_bits(self.latency.load(Ordering::Relaxed));
        let now = if before == 0.0 { latency } else { before + WEIGHT * (latency - before) };
        self.latency.store(now.to_bits(), Ordering::Relaxed);
    }

    /// What broke off at the client's side is nobody's failure here.
    pub(super) fn failed(&self, error: &Error) {
        if error.is_the_clients() {
            return;
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.in_a_row.fetch_add(1, Ordering::Relaxed);
        *self.last() = Some((SystemTime::now(), error.reason()));
    }

    pub(super) fn show(&self, addresses: Vec<SocketAddr>, opened: u64, idle: usize) -> Shown {
        let micros = f64::from_bits(self.latency.load(Ordering::Relaxed));
        Shown {
            addresses,
            opened,
            idle,
            calls: self.calls.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            failures_in_a_row: self.in_a_row.load(Ordering::Relaxed),
            last_failure: *self.last(),
            latency: (micros > 0.0).then(|| Duration::from_secs_f64(micros / 1e6)),
        }
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<(SystemTime, &'static str)>> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_end_with_a_success_and_clients_cause_none() {
        let health = Health::default();
        health.failed(&Error::HeadTimeout);
        health.failed(&Error::ConnectTimeout);
        health.failed(&Error::Upload);
        let shown = health.show(Vec::new(), 0, 0);
        assert_eq!((shown.calls, shown.failures, shown.failures_in_a_row), (2, 2, 2));
        assert_eq!(shown.last_failure.map(|(_, why)| why), Some("no connection in time"));
        health.answered(Some(Duration::from_millis(4)));
        let shown = health.show(Vec::new(), 0, 0);
        assert_eq!((shown.calls, shown.failures, shown.failures_in_a_row), (3, 2, 0));
        assert_eq!(shown.latency, Some(Duration::from_millis(4)));
    }

    #[test]
    fn the_latency_follows_the_last_calls() {
        let health = Health::default();
        health.answered(Some(Duration::from_millis(100)));
        (0..200).for_each(|_| health.answered(Some(Duration::from_millis(10))));
        let latency = health.show(Vec::new(), 0, 0).latency.unwrap();
        assert!(latency < Duration::from_millis(11), "{latency:?}");
    }
}
