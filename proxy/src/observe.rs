//! What is known of one candidate: told of each finished pair twice, when both sides have answered and
//! when the answers are compared. Alone holds the guardrail and the report.
//!
//! Two moments, since a slow comparison must never delay a stop.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant, SystemTime};

pub mod announce;
pub mod event;
pub mod webhook;

use crate::metrics::{CandidateMetrics, PairMetrics};
use crate::plan::Terms;
use announce::Announcer;
use compare::Differences;
use judge::guardrail::detector::THRESHOLD;
use judge::guardrail::gate::{self, Gate, Reading};
use judge::guardrail::{self, Guardrail, Moment, State, Transition};
use judge::report::{self, Report, verdicts};
use judge::verdict::Verdict;
use judge::{Call, Comparison, Epoch, Pair};

/// A copy that was admitted, and what holds for it.
#[derive(Clone, Copy, Debug)]
pub struct Mirrored<'a> {
    /// Of which route and candidate.
    pub series: &'a Series,
    /// By which it was admitted.
    pub terms: &'a Terms,
    /// When it was admitted.
    pub epoch: Epoch,
    /// As examples show it.
    pub request: &'a str,
}

impl<'a> Mirrored<'a> {
    /// The pair that came of it, of two sides that were both seen to their end.
    pub fn pair(&self, baseline: Call, candidate: Call) -> Pair<'a> {
        let pair = Pair::new(&self.series.label, self.request, baseline, candidate);
        Pair { epoch: self.epoch, ..pair }
    }
}

/// What is kept of one candidate for one route.
#[derive(Debug)]
pub struct Series {
    /// The route's label.
    pub label: Arc<str>,
    /// Its metrics.
    pub metrics: PairMetrics,
    /// From the first request on, not before: a route that had none is not shown.
    gate: OnceLock<Gate>,
    pairs: AtomicU64,
    /// What they were held against.
    bases: Mutex<BTreeSet<u64>>,
}

impl Series {
    /// Pairs taken in since the start, or since the report was reset.
    pub fn pairs(&self) -> u64 {
        self.pairs.load(Ordering::Relaxed)
    }

    fn take_in(&self, basis: u64) {
        self.pairs.fetch_add(1, Ordering::Relaxed);
        self.bases().insert(basis);
    }

    fn forget(&self) {
        self.pairs.store(0, Ordering::Relaxed);
        self.bases().clear();
    }

    /// It goes on where this one ends.
    fn go_on_from(&self, old: &Self) {
        self.pairs.fetch_add(old.pairs(), Ordering::Relaxed);
        self.bases().extend(old.bases().iter());
    }

    fn bases(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.bases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the gates let through.
#[derive(Clone, Copy, Debug)]
pub struct Open {
    /// Of now.
    pub epoch: Epoch,
    /// Of the share of requests, less than 1 on probation.
    pub part: f64,
}

/// What is known of one candidate.
#[derive(Debug)]
pub struct Observe {
    /// What the guardrail's times are counted from.
    origin: Instant,
    guardrail: Mutex<Guardrail>,
    report: Mutex<Report>,
    gate: Gate,
    metrics: RwLock<CandidateMetrics>,
    series: RwLock<HashMap<Arc<str>, Arc<Series>>>,
    announcer: Arc<Announcer>,
    /// What pairs are held against now; until it is said, anything.
    bases: RwLock<Option<BTreeSet<u64>>>,
    /// It is gone, or another has its name; what it decides is nobody's business any more.
    is_past: AtomicBool,
}

/// What is off by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffByHand {
    /// All of it.
    pub whole: bool,
    /// The labels of routes that are off by themselves.
    pub routes: Vec<String>,
}

/// What of that which was known does not count any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// What was known of these routes, which are none in most cases.
    Routes(Vec<Arc<str>>),
    /// All of it.
    All,
}

/// The route that takes what finds no room exists from the start.
const OTHER: &str = "other";

impl Observe {
    /// Nothing is known yet, and mirroring is on.
    pub fn new(
        thresholds: guardrail::Config,
        allowed: report::Allowed,
        metrics: CandidateMetrics,
        announcer: Arc<Announcer>,
    ) -> Arc<Self> {
        let (setter, gate) = gate::gate();
        metrics.set_enabled(true);
        let observe = Arc::new(Self {
            origin: Instant::now(),
            guardrail: Mutex::new(Guardrail::new(thresholds, setter)),
            report: Mutex::new(Report::new(allowed)),
            gate,
            metrics: RwLock::new(metrics),
            series: RwLock::default(),
            announcer,
            bases: RwLock::default(),
            is_past: AtomicBool::new(false),
        });
        observe.series(&Arc::from(OTHER));
        observe
    }

    /// The candidate's name.
    pub fn name(&self) -> Arc<str> {
        Arc::clone(self.metrics().name())
    }

    /// What is kept for a route; from its first request on.
    pub fn series(&self, label: &Arc<str>) -> Arc<Series> {
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = known.get(label) {
            return Arc::clone(series);
        }
        drop(known);
        let mut known = self.series.write().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let (label, metrics) = (Arc::clone(label), self.metrics().route(label));
            let (gate, pairs, bases) = Default::default();
            Arc::new(Series { label, metrics, gate, pairs, bases })
        };
        Arc::clone(known.entry(Arc::clone(label)).or_insert_with(new))
    }

    /// What is open when mirroring is allowed; the first request after a cooldown switches it on.
    pub fn open_now(&self, series: &Series) -> Option<Open> {
        if self.is_due(&self.gate) {
            self.decide(|guardrail, now| guardrail.resume_if_due(now));
        }
        if self.is_due(self.gate_of(series)) {
            self.decide(|guardrail, now| guardrail.resume_route_if_due(&series.label, now));
        }
        self.open(series)
    }

    /// The same, without switching on.
    pub fn open(&self, series: &Series) -> Option<Open> {
        let (whole, part) = passing(&self.gate)?;
        let (route, part_of_route) = passing(self.gate_of(series))?;
        Some(Open { epoch: Epoch { whole, route }, part: part * part_of_route })
    }

    fn gate_of<'a>(&self, series: &'a Series) -> &'a Gate {
        series.gate.get_or_init(|| self.guardrail().route_gate(&series.label))
    }

    /// Both sides have answered, or will not. `baseline_p99` is that of the route now.
    pub fn answered(&self, copy: &Mirrored<'_>, pair: &Pair<'_>, baseline_p99: Duration) {
        let Some(_holds) = self.holds(copy.terms) else { return };
        let own = copy.terms.thresholds.as_ref();
        self.decide(|guardrail, now| guardrail.observe_by(pair, baseline_p99, own, now));
    }

    /// The answers are compared, or could not be. `asks`: whether a second baseline tells what differs by
    /// itself.
    pub fn compared(
        &self,
        copy: &Mirrored<'_>,
        pair: &Pair<'_>,
        comparison: &Comparison<'_>,
        asks: bool,
    ) {
        let Some(_holds) = self.holds(copy.terms) else { return };
        // Before it is taken in: a value is held against those that came before.
        let judged = comparison.differences.filter(|_| copy.terms.judges_mismatches);
        let net = judged.and_then(|found| self.net_fields(&copy.series.label, found, asks));
        self.record(copy, pair, comparison);
        let Some(differs) = net else { return };
        let own = copy.terms.thresholds.as_ref();
        self.decide(|guardrail, now| guardrail.compared_by(pair, differs.as_deref(), own, now));
    }

    fn record(&self, copy: &Mirrored<'_>, pair: &Pair<'_>, comparison: &Comparison<'_>) {
        if self.guardrail().warms_up(self.now()) {
            return;
        }
        copy.series.take_in(copy.terms.basis);
        let own = copy.terms.allowed.as_ref();
        self.report().record_by(pair, comparison, own, SystemTime::now());
    }

    /// Where the answers differ and the service does not differ from itself; `None` where that is not
    /// known yet.
    fn net_fields<'d>(
        &self,
        label: &Arc<str>,
        found: &'d Differences,
        asks: bool,
    ) -> Option<Option<Vec<&'d str>>> {
        let report = self.report();
        let is_known = !asks || report.knows_noise(label);
        is_known.then(|| report.net_fields(label, found))
    }

    /// A second baseline has answered too; `raw` is what the candidate differs in, where it is known.
    pub fn noise(
        &self,
        label: &Arc<str>,
        terms: &Terms,
        raw: Option<&Differences>,
        noise: &Differences,
    ) {
        let Some(_holds) = self.holds(terms) else { return };
        let (mut report, now) = (self.report(), SystemTime::now());
        match raw {
            Some(raw) => report.record_noise_of_pair(label, raw, noise, now),
            None => report.record_noise(label, noise, now),
        }
    }

    /// What the pairs told so far. One route after the other, so that no pair waits for long.
    pub fn report_snapshot(&self) -> report::Snapshot {
        let (mut snapshot, routes) = {
            let report = self.report();
            (report.frame(), report.routes())
        };
        let known = routes.iter().filter_map(|route| self.report().snapshot(route));
        snapshot.routes = known.collect();
        let guardrail = self.guardrail().snapshot();
        snapshot.mirroring = Some(guardrail.state.name());
        for route in &mut snapshot.routes {
            let state = guardrail.routes.iter().find(|state| *state.route == *route.route);
            route.mirroring = state.map(|route| route.state.name());
        }
        snapshot
    }

    /// What is held against the candidate on routes that say nothing of it.
    pub fn allowed(&self) -> report::Allowed {
        self.report().allowed()
    }

    /// Forgets what the pairs told so far.
    pub fn reset_report(&self) {
        // Letting go of it takes time, and is done without the lock.
        let mut report = self.report();
        let fresh = Report::new(report.allowed());
        let before = std::mem::replace(&mut *report, fresh);
        drop(report);
        self.guardrail().warm_up();
        self.each_series(Series::forget);
        drop(before);
    }

    /// What the guardrail shows.
    pub fn snapshot(&self) -> guardrail::Snapshot {
        self.guardrail().snapshot()
    }

    /// Switches mirroring, of a route or of all, by hand.
    pub fn switch(&self, on: bool, route: Option<&str>) {
        self.decide(|guardrail, now| match (on, route) {
            (true, None) => guardrail.enable(),
            (false, None) => guardrail.disable(now),
            (true, Some(route)) => guardrail.enable_route(route),
            (false, Some(route)) => guardrail.disable_route(route),
        });
    }

    /// What was switched off by hand.
    pub fn off_by_hand(&self) -> OffByHand {
        let known = self.guardrail().snapshot();
        let off = known.routes.into_iter().filter(|route| route.state == State::Held);
        let routes = off.map(|route| route.route).collect();
        OffByHand { whole: known.state == State::Held, routes }
    }

    /// What was off by hand before is so from the start; nobody switches it off a second time.
    pub fn stay_off(&self, off: &OffByHand) {
        let mut guardrail = self.guardrail();
        if off.whole {
            guardrail.disable(self.now());
            self.metrics().set_enabled(false);
        }
        for route in &off.routes {
            guardrail.disable_route(route);
        }
        drop(guardrail);
        for route in &off.routes {
            self.series(&Arc::from(route.as_str()));
            self.metrics().set_route_enabled(route, false);
        }
    }

    /// Says nothing more; pairs that are under way are still counted.
    pub fn leave(&self) {
        // Under the lock, so that what is being decided is announced before.
        let _guardrail = self.guardrail();
        self.is_past.store(true, Ordering::Relaxed);
    }

    /// Whether a route was seen.
    pub fn knows(&self, route: &str) -> bool {
        self.series.read().unwrap_or_else(PoisonError::into_inner).contains_key(route)
    }

    /// Other thresholds from now on; what was gathered by the old ones is forgotten. Whether there
    /// was any change.
    pub fn configure(&self, thresholds: guardrail::Config, allowed: report::Allowed) -> bool {
        let mut guardrail = self.guardrail();
        let changed = *guardrail.config() != thresholds;
        guardrail.configure(thresholds);
        drop(guardrail);
        let mut report = self.report();
        let starts_anew = report.allowed() != allowed;
        report.allow(allowed);
        drop(report);
        if starts_anew {
            self.each_series(Series::forget);
        }
        changed || starts_anew
    }

    /// What pairs are held against from now on; those that were held against something else say nothing
    /// any more. `anew`: routes of which it is known that something else holds.
    pub fn hold_against(&self, bases: &BTreeSet<u64>, anew: &HashSet<Arc<str>>) -> Forgotten {
        let (mut forgotten, mut kept) = (Vec::new(), false);
        *self.bases.write().unwrap_or_else(PoisonError::into_inner) = Some(bases.clone());
        self.each_series(|series| {
            let held = series.bases();
            if held.is_empty() {
                return;
            }
            match held.is_subset(bases) && !anew.contains(&series.label) {
                true => kept = true,
                false => forgotten.push(Arc::clone(&series.label)),
            }
        });
        forgotten.sort();
        for label in &forgotten {
            self.guardrail().forget_route(label);
            self.reset_report_of(label);
        }
        if forgotten.is_empty() || kept {
            return Forgotten::Routes(forgotten);
        }
        self.guardrail().forget();
        self.reset_report();
        Forgotten::All
    }

    /// Whether what a pair was held against still holds: it does for as long as this is kept.
    fn holds(&self, terms: &Terms) -> Option<RwLockReadGuard<'_, Option<BTreeSet<u64>>>> {
        let bases = self.bases.read().unwrap_or_else(PoisonError::into_inner);
        bases.as_ref().is_none_or(|bases| bases.contains(&terms.basis)).then_some(bases)
    }

    /// Forgets what the pairs of a route told so far.
    pub fn reset_report_of(&self, route: &str) {
        self.report().forget(route);
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = known.get(route) {
            series.forget();
        }
    }

    /// Nothing is known from now on; see [`CandidateMetrics::retire`].
    pub fn retire(&self) {
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner);
        self.metrics().retire(known.keys().map(|label| &**label));
    }

    /// Other labels from now on: there are several candidates, or no more than one.
    pub fn relabel(&self, metrics: CandidateMetrics) {
        self.retire();
        let shown = {
            let guardrail = self.guardrail().snapshot();
            metrics.set_enabled(guardrail.state.is_on());
            guardrail.routes
        };
        *self.metrics.write().unwrap_or_else(PoisonError::into_inner) = metrics;
        let before =
            std::mem::take(&mut *self.series.write().unwrap_or_else(PoisonError::into_inner));
        for (label, old) in before {
            self.series(&label).go_on_from(&old);
        }
        for route in shown {
            self.series(&Arc::from(route.route.as_str()));
            self.metrics().set_route_enabled(&route.route, route.state.is_on());
        }
        self.series(&Arc::from(OTHER));
    }

    /// Its series.
    pub fn metrics(&self) -> CandidateMetrics {
        self.metrics.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows what is known, of every route that had a request: what the report has forgotten is not known.
    pub fn show(&self) {
        let (snapshot, metrics) = (self.report_snapshot(), self.metrics());
        let (overall, verdicts) = verdicts(&snapshot, &self.allowed());
        let labels = snapshot.routes.iter().map(|route| &*route.route);
        let known: HashMap<_, _> = labels.zip(verdicts).collect();
        metrics.set_verdict(None, overall);
        let guardrail = self.snapshot();
        metrics.set_evidence(None, guardrail.evidence.value / THRESHOLD);
        for route in &guardrail.routes {
            let label = route.route.as_str();
            let verdict = known.get(label).copied().unwrap_or(Verdict::NotEnoughData);
            metrics.set_verdict(Some(label), verdict);
            metrics.set_evidence(Some(label), route.evidence.value / THRESHOLD);
        }
    }

    /// Asks or tells the guardrail something, and makes known what it decided: under the lock, so
    /// that all see changes in the order they happened.
    fn decide(&self, ask: impl FnOnce(&mut Guardrail, Moment) -> Option<Transition>) {
        let (mut guardrail, now) = (self.guardrail(), self.now());
        if let Some(transition) = ask(&mut guardrail, now)
            && !self.is_past.load(Ordering::Relaxed)
        {
            self.announcer.announce(&self.metrics(), &transition, now.wall);
        }
    }

    /// How long ago the origin is that the guardrail's times are counted from.
    pub fn since_origin(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Now, as the guardrail wants it.
    fn now(&self) -> Moment {
        Moment { at: self.since_origin(), wall: SystemTime::now() }
    }

    /// Whether a cooldown is over and nobody has asked yet.
    fn is_due(&self, gate: &Gate) -> bool {
        matches!(gate.read(), Reading::Tripped { until } if until <= self.since_origin())
    }

    fn each_series(&self, mut tell: impl FnMut(&Series)) {
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner);
        known.values().for_each(|series| tell(series));
    }

    // A panic elsewhere must not take the switch out of the operator's hand.
    fn guardrail(&self) -> MutexGuard<'_, Guardrail> {
        self.guardrail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As a fault of ours would.
    #[cfg(test)]
    pub(crate) fn panic_under_the_lock(&self) {
        let _guard = self.guardrail();
        panic!("on purpose");
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn passing(gate: &Gate) -> Option<(u64, f64)> {
    match gate.read() {
        Reading::Open { epoch } => Some((epoch, 1.0)),
        Reading::Probation { epoch, share } => Some((epoch, f64::from(share) / 1000.0)),
        Reading::Tripped { .. } | Reading::Held => None,
    }
}
