//! Candidates beside each other: where several answered one request, their answers are compared, too,
//! and two candidates have a report as a baseline and a candidate have one.
//!
//! An answer is kept for the others only while its lane has memory to spare: a candidate that hangs
//! must not take that of those that do not.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::lane::Lane;
use super::reply::{self, Reply};
use crate::metrics::BetweenMetrics;
use crate::observe::Mirrored;
use judge::Comparison;
use judge::report::{self, Report};

/// Two candidates; the one that comes first in the plan stands where the baseline does.
#[derive(Debug)]
pub struct Between {
    /// The names of both, in the plan's order.
    pub names: [Arc<str>; 2],
    metrics: BetweenMetrics,
    report: Mutex<Report>,
}

impl Between {
    pub(super) fn new(names: [Arc<str>; 2], metrics: BetweenMetrics) -> Arc<Self> {
        Arc::new(Self { names, metrics, report: Mutex::default() })
    }

    /// What the pairs told so far; see [`Report::snapshot`].
    pub fn report_snapshot(&self) -> report::Findings {
        let (mut snapshot, routes) = {
            let report = self.report();
            (report.frame(), report.routes())
        };
        snapshot.routes = routes.iter().filter_map(|it| self.report().snapshot(it)).collect();
        snapshot
    }

    /// What is allowed between them.
    pub fn allowed(&self) -> report::Allowed {
        self.report().allowed()
    }

    /// Forgets what the pairs told so far.
    pub fn reset(&self) {
        let mut report = self.report();
        *report = Report::new(report.allowed());
    }

    /// Forgets what they told on these routes.
    pub fn forget(&self, labels: &[Arc<str>]) {
        labels.iter().for_each(|label| self.report().forget(label));
    }

    fn record(
        &self,
        copy: &Mirrored<'_>,
        [first, second]: [&Reply; 2],
        looked: Option<reply::Looked>,
    ) {
        let outcome = looked.as_ref().map(|(outcome, _)| *outcome);
        let differences = looked.and_then(|(_, differences)| differences);
        self.metrics.count(&copy.series.label, differences.as_ref().and(outcome));
        // Both were asked by us, whoever asked the baseline.
        let copy = Mirrored { alike: true, ..*copy };
        let pair = copy.pair(first.head.call(), second.head.call());
        let comparison = Comparison { content: true, differences: differences.as_ref() };
        self.report().record(&pair, &comparison, SystemTime::now());
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the answers of several candidates to one request meet.
#[derive(Debug)]
pub(super) struct Meeting {
    between: Arc<Vec<Arc<Between>>>,
    answered: Mutex<Vec<(Arc<str>, Arc<Reply>)>>,
}

impl Meeting {
    pub(super) fn new(between: &Arc<Vec<Arc<Between>>>) -> Arc<Self> {
        Arc::new(Self { between: Arc::clone(between), answered: Mutex::default() })
    }

    /// A candidate has answered: its answer is held against those that are there already.
    pub(super) async fn answer(&self, lane: &Arc<Lane>, copy: &Mirrored<'_>, reply: &Arc<Reply>) {
        let name = lane.observe.name();
        let others = {
            let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
            let others = answered.clone();
            if lane.budget.has_to_spare() {
                answered.push((Arc::clone(&name), Arc::clone(reply)));
            }
            others
        };
        for (other, theirs) in others {
            for between in self.between.iter() {
                let sides = match &between.names {
                    [first, second] if *first == other && *second == name => [&theirs, reply],
                    [first, second] if *first == name && *second == other => [reply, &theirs],
                    _ => continue,
                };
                let [first, second] = sides;
                let compared =
                    reply::compared(lane, copy.series, Arc::clone(first), Arc::clone(second));
                between.record(copy, [first, second], compared.await);
            }
        }
    }
}
