//! What is kept of one candidate for single routes: series, gates, and how many pairs were held against
//! what.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use crate::explain::Explained;
use crate::metrics::{CandidateMetrics, PairMetrics};
use judge::guardrail::gate::Gate;

/// What is kept of one candidate for one route.
#[derive(Debug)]
pub struct Series {
    /// The route's label.
    pub label: Arc<str>,
    /// Its metrics.
    pub metrics: PairMetrics,
    /// From the first request on, not before: a route that had none is not shown.
    pub(super) gate: OnceLock<Gate>,
    pub(super) pairs: Arc<Pairs>,
}

impl Series {
    /// Pairs that were held against this, taken in since the start or since the report was reset: those of
    /// one route of the settings, where others have the same label.
    pub fn pairs_of(&self, basis: u64) -> u64 {
        self.pairs.of(basis)
    }
}

/// The copies of a label are explained so often at most.
const EVERY: Duration = Duration::from_secs(10);

/// Pairs of one label, by what they were held against, and how the last copy became what it is.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    counts: RwLock<BTreeMap<u64, AtomicU64>>,
    copy: LastCopy,
}

/// How the last copy of a label that was explained became what it is.
#[derive(Debug, Default)]
pub(super) struct LastCopy {
    /// When the next one is to be explained, in milliseconds; 0 for at once.
    next: AtomicU64,
    explained: Mutex<Option<Arc<Explained>>>,
}

impl LastCopy {
    /// Whether a copy is to be explained now; if so the next ones are not.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let next = self.next.load(Ordering::Relaxed);
        let (now, then) = (millis(now), millis(now + EVERY));
        now >= next
            && self.next.compare_exchange(next, then, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    pub(super) fn keep(&self, explained: Explained) {
        *self.explained.lock().unwrap_or_else(PoisonError::into_inner) = Some(explained.into());
    }

    pub(super) fn get(&self) -> Option<Arc<Explained>> {
        self.explained.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn forget(&self) {
        *self.explained.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.next.store(0, Ordering::Relaxed);
    }
}

impl Pairs {
    pub(super) fn copy(&self) -> &LastCopy {
        &self.copy
    }

    fn of(&self, basis: u64) -> u64 {
        let counts = self.counts.read().unwrap_or_else(PoisonError::into_inner);
        counts.get(&basis).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    pub(super) fn take_in(&self, basis: u64) {
        let counts = self.counts.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get(&basis) {
            count.fetch_add(1, Ordering::Relaxed);
            return;
        }
        drop(counts);
        let mut counts = self.counts.write().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(basis).or_default().get_mut() += 1;
    }

    pub(super) fn forget(&self) {
        self.counts.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.copy.forget();
    }

    /// Whether pairs were held against something, and against nothing but these.
    pub(super) fn rest_on(&self, bases: &BTreeSet<u64>) -> Option<bool> {
        let counts = self.counts.read().unwrap_or_else(PoisonError::into_inner);
        (!counts.is_empty()).then(|| counts.keys().all(|basis| bases.contains(basis)))
    }
}

/// The series of one candidate by route, all with the same set of labels: requests, and their pairs to the
/// end, count in the book that was open when they began.
#[derive(Debug)]
pub struct Book {
    /// Those that are of no route.
    pub metrics: CandidateMetrics,
    pages: RwLock<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    by_label: HashMap<Arc<str>, Arc<Series>>,
    closed: bool,
}

impl Book {
    pub(super) fn new(metrics: CandidateMetrics) -> Arc<Self> {
        Arc::new(Self { metrics, pages: RwLock::default() })
    }

    pub(super) fn get(&self, label: &str) -> Option<Arc<Series>> {
        let pages = self.pages.read().unwrap_or_else(PoisonError::into_inner);
        pages.by_label.get(label).cloned()
    }

    /// The first request of a route; `enabled`: whether it is mirrored now.
    pub(super) fn begin(&self, label: &Arc<str>, pairs: Arc<Pairs>, enabled: bool) -> Arc<Series> {
        let mut pages = self.pages.write().unwrap_or_else(PoisonError::into_inner);
        let shown = (!pages.closed).then_some(enabled);
        let new = || {
            let (label, metrics) = (Arc::clone(label), self.metrics.route(label, shown));
            Arc::new(Series { label, metrics, gate: OnceLock::new(), pairs })
        };
        Arc::clone(pages.by_label.entry(Arc::clone(label)).or_insert_with(new))
    }

    /// The routes that had a request.
    pub(super) fn labels(&self) -> Vec<Arc<str>> {
        let pages = self.pages.read().unwrap_or_else(PoisonError::into_inner);
        pages.by_label.keys().cloned().collect()
    }

    /// Nobody else begins with it: it shows nothing any more, and goes on counting for those under way.
    pub(super) fn close(&self) {
        let mut pages = self.pages.write().unwrap_or_else(PoisonError::into_inner);
        pages.closed = true;
        self.metrics.retire(pages.by_label.keys().map(|label| &**label));
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn explained(request: &str) -> Explained {
        let request = request.to_owned();
        let at = SystemTime::UNIX_EPOCH;
        Explained { basis: 0, at, request, steps: Vec::new(), is_sent: true, is_cut: false }
    }

    #[test]
    fn the_first_copy_of_a_label_is_explained_and_then_one_in_ten_seconds() {
        let pairs = Pairs::default();
        let is_due = |millis| pairs.copy().is_due(Duration::from_millis(millis));
        assert_eq!([5, 5, 9_000, 10_004].map(is_due), [true, false, false, false]);
        assert_eq!([10_005, 10_006, 20_004, 20_005].map(is_due), [true, false, false, true]);
        assert!(pairs.copy().get().is_none());
        for request in ["GET /1", "GET /2"] {
            pairs.copy().keep(explained(request));
        }
        assert_eq!(pairs.copy().get().unwrap().request, "GET /2");
        pairs.forget();
        assert!(pairs.copy().get().is_none() && is_due(20_006), "as if none had been");
    }
}
