//! What became of all that was read. Every exchange is counted once, so that the sums close.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proxy::exchange::Outcome;
use proxy::mirror::Follow;

/// Counts, for all who want to know.
#[derive(Debug, Default)]
pub struct Counts {
    read: AtomicU64,
    sent: AtomicU64,
    over: AtomicU64,
    faulty: AtomicU64,
    overrun: AtomicU64,
    late: AtomicU64,
    outcomes: [AtomicU64; Outcome::ALL.len()],
    left_out: Mutex<BTreeMap<String, u64>>,
}

/// Outcomes that say that a request was not answered as it should be, or never came to be asked.
const FAILURES: [Outcome; 9] = [
    Outcome::BaselineFailed,
    Outcome::DroppedQueueFull,
    Outcome::DroppedBufferFull,
    Outcome::ExpiredInQueue,
    Outcome::CandidateUnreachable,
    Outcome::CandidateFailed,
    Outcome::CandidateTimeout,
    Outcome::TransformFailed,
    Outcome::InternalError,
];

/// How it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Exchanges that the source had so far.
    pub read: u64,
    /// Those that were handed on.
    pub sent: u64,
    /// Of these, all that are over.
    pub over: u64,
    /// Those that were due while as many as may be were under way.
    pub overrun: u64,
    /// Those that were not to be sent, or could not be, by reason.
    pub left_out: BTreeMap<String, u64>,
    /// What became of those that were handed on, for each candidate.
    pub outcomes: Vec<(&'static str, u64)>,
    /// Outcomes that are failures.
    pub failures: u64,
    /// How late the latest was handed on.
    pub late: Duration,
}

impl Counts {
    /// The source had one more.
    pub fn read(&self) {
        self.read.fetch_add(1, Ordering::Relaxed);
    }

    /// It is not sent.
    pub fn leave_out(&self, why: &str) {
        let mut left_out = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        match left_out.get_mut(why) {
            Some(count) => *count += 1,
            None => drop(left_out.insert(why.to_owned(), 1)),
        }
    }

    /// There is no room for it.
    pub fn overrun(&self) {
        self.overrun.fetch_add(1, Ordering::Relaxed);
    }

    /// It is handed on, so long after it was due.
    pub fn sent(&self, late: Duration) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.late.fetch_max(micros, Ordering::Relaxed);
    }

    /// One that was handed on has an outcome.
    pub fn outcome(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// One has none but a fault of ours.
    pub fn fault(&self) {
        self.faulty.fetch_add(1, Ordering::Relaxed);
        self.outcome(Outcome::InternalError);
    }

    /// One has all its outcomes.
    pub fn over(&self) {
        self.over.fetch_add(1, Ordering::Relaxed);
    }

    /// How it stands now.
    pub fn standing(&self) -> Standing {
        let of = |outcome: Outcome| self.outcomes[outcome as usize].load(Ordering::Relaxed);
        let some = Outcome::ALL.into_iter().map(|it| (it.name(), of(it)));
        Standing {
            over: self.over.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            read: self.read.load(Ordering::Relaxed),
            overrun: self.overrun.load(Ordering::Relaxed),
            left_out: self.left_out.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            outcomes: some.filter(|(_, count)| *count > 0).collect(),
            failures: FAILURES.into_iter().map(of).sum(),
            late: Duration::from_micros(self.late.load(Ordering::Relaxed)),
        }
    }
}

/// An exchange that was handed on: counted, and with what is kept for it, until all of its outcomes are there.
#[derive(Debug)]
pub struct UnderWay<K> {
    counts: Arc<Counts>,
    _kept: K,
}

impl<K> UnderWay<K> {
    /// One more.
    pub fn new(counts: &Arc<Counts>, kept: K) -> Self {
        Self { counts: Arc::clone(counts), _kept: kept }
    }
}

impl<K: std::fmt::Debug + Send + Sync> Follow for UnderWay<K> {
    fn fault(&self) {
        self.counts.fault();
    }

    fn outcome(&self, outcome: Outcome) {
        self.counts.outcome(outcome);
    }
}

impl<K> Drop for UnderWay<K> {
    fn drop(&mut self) {
        self.counts.over();
    }
}

impl Standing {
    /// Whether every exchange was sent, and every answer was as the baseline's.
    pub fn all_matched(&self) -> bool {
        let matched = self.of(Outcome::Matched);
        let all: u64 = self.outcomes.iter().map(|(_, count)| count).sum();
        let is_all = self.sent == self.read && self.left_out.is_empty() && self.overrun == 0;
        self.sent > 0 && is_all && matched == all
    }

    fn of(&self, outcome: Outcome) -> u64 {
        let named = |(name, _): &&(&str, u64)| *name == outcome.name();
        self.outcomes.iter().find(named).map_or(0, |(_, count)| *count)
    }

    /// For people: what was read, what became of it, and what was left out and why.
    pub fn lines(&self) -> Vec<String> {
        let mut lines =
            vec![format!("{} exchanges read, {} sent, {} over", self.read, self.sent, self.over)];
        let outcomes: Vec<_> =
            self.outcomes.iter().map(|(it, count)| format!("{count} {it}")).collect();
        if !outcomes.is_empty() {
            lines.push(format!("outcomes: {}", outcomes.join(", ")));
        }
        lines.extend(self.left_out.iter().map(|(why, count)| format!("left out: {count}, {why}")));
        if self.overrun > 0 {
            let overrun = self.overrun;
            lines.push(format!(
                "left out: {overrun}, as many as may be were under way (--connections allows more)"
            ));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_matched_where_all_was_sent_and_every_answer_was_alike() {
        let counts = Counts::default();
        assert!(!counts.standing().all_matched(), "nothing is no match");
        counts.read();
        counts.sent(Duration::ZERO);
        counts.outcome(Outcome::Matched);
        counts.over();
        assert!(counts.standing().all_matched());
        let torn = Counts::default();
        torn.read();
        torn.sent(Duration::ZERO);
        torn.outcome(Outcome::Matched);
        torn.leave_out("could not be read");
        assert!(!torn.standing().all_matched(), "nobody knows what was in the rest");
        counts.read();
        counts.leave_out("it writes");
        assert!(!counts.standing().all_matched(), "one was left out");
        counts.sent(Duration::from_millis(2));
        counts.outcome(Outcome::CandidateFailed);
        let standing = counts.standing();
        assert!(!standing.all_matched());
        assert_eq!((standing.failures, standing.late), (1, Duration::from_millis(2)));
        let lines = standing.lines().join("\n");
        for part in
            ["2 exchanges read, 2 sent, 1 over", "1 matched, 1 candidate_failed", "1, it writes"]
        {
            assert!(lines.contains(part), "{lines}");
        }
    }
}
