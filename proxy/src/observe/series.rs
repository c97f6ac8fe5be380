//! What is kept of one candidate for single routes: series, gates, and how many pairs were held against
//! what.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

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

/// Pairs of one label, by what they were held against.
#[derive(Debug, Default)]
pub(super) struct Pairs(RwLock<BTreeMap<u64, AtomicU64>>);

impl Pairs {
    fn of(&self, basis: u64) -> u64 {
        let counts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        counts.get(&basis).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    pub(super) fn take_in(&self, basis: u64) {
        let counts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get(&basis) {
            count.fetch_add(1, Ordering::Relaxed);
            return;
        }
        drop(counts);
        let mut counts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(basis).or_default().get_mut() += 1;
    }

    pub(super) fn forget(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether pairs were held against something, and against nothing but these.
    pub(super) fn rest_on(&self, bases: &BTreeSet<u64>) -> Option<bool> {
        let counts = self.0.read().unwrap_or_else(PoisonError::into_inner);
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
