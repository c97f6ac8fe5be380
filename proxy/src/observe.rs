//! What is known of one candidate: told of each finished pair twice, when both sides have answered and
//! when the answers are compared. Alone holds the guardrail and the report.
//!
//! Two moments, since a slow comparison must never delay a stop.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant, SystemTime};

pub mod announce;
mod by_hand;
pub mod event;
pub mod kept;
pub mod replicas;
mod series;
pub mod webhook;

pub use by_hand::OffByHand;
pub use series::{Book, Series};

use crate::explain::Explained;
use crate::metrics::CandidateMetrics;
use crate::plan::Terms;
use crate::route::{LABELS_MAX, OTHER};
use announce::Announcer;
use by_hand::HeldRoutes;
use compare::{Difference, Differences};
use judge::guardrail::detector::THRESHOLD;
use judge::guardrail::gate::{self, Gate, Reading};
use judge::guardrail::{self, Guardrail, Moment, Rule, State, Transition};
use judge::history::{History, Minute};
use judge::pair::Request;
use judge::report::{self, Report, verdicts};
use judge::verdict::Verdict;
use judge::{Call, Comparison, Epoch, Pair};
use replicas::{Order, Shared};
use series::Pairs;

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
    pub request: Request<'a>,
    /// See [`Pair::alike`].
    pub alike: bool,
}

impl<'a> Mirrored<'a> {
    /// The pair that came of it, of two sides that were both seen to their end.
    pub fn pair(&self, baseline: Call, candidate: Call) -> Pair<'a> {
        let pair = Pair::new(&self.series.label, self.request, baseline, candidate);
        Pair { epoch: self.epoch, alike: self.alike, ..pair }
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
    /// The last pairs that differed.
    kept: Mutex<kept::Pairs>,
    /// The last hour.
    history: Mutex<History>,
    gate: Gate,
    /// Where requests that begin now are counted.
    book: RwLock<Arc<Book>>,
    /// By label, whichever book they were counted in.
    pairs: RwLock<HashMap<Arc<str>, Arc<Pairs>>>,
    held: HeldRoutes,
    announcer: Arc<Announcer>,
    /// What pairs are held against now; until it is said, anything.
    bases: RwLock<Option<BTreeSet<u64>>>,
    /// It is gone, or another has its name; what it decides is nobody's business any more.
    is_past: AtomicBool,
    /// What other replicas are told, where there are others.
    replicas: Option<Arc<Shared>>,
}

/// What of that which was known does not count any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// What was known of these routes, which are none in most cases.
    Routes(Vec<Arc<str>>),
    /// All of it.
    All,
}

impl Observe {
    /// Nothing is known yet, and mirroring is on.
    pub fn new(
        thresholds: guardrail::Config,
        allowed: report::Allowed,
        metrics: CandidateMetrics,
        announcer: Arc<Announcer>,
        replicas: Option<Arc<Shared>>,
    ) -> Arc<Self> {
        let (setter, gate) = gate::gate();
        metrics.set_enabled(true);
        let observe = Arc::new(Self {
            origin: Instant::now(),
            guardrail: Mutex::new(Guardrail::new(thresholds, setter)),
            report: Mutex::new(Report::new(allowed)),
            kept: Mutex::default(),
            history: Mutex::default(),
            gate,
            book: RwLock::new(Book::new(metrics)),
            pairs: RwLock::default(),
            held: HeldRoutes::default(),
            announcer,
            bases: RwLock::default(),
            is_past: AtomicBool::new(false),
            replicas,
        });
        // The route that takes what finds no room exists from the start.
        observe.series(&observe.book(), &Arc::from(OTHER));
        observe
    }

    /// The candidate's name.
    pub fn name(&self) -> Arc<str> {
        Arc::clone(self.book().metrics.name())
    }

    /// Where requests that begin now are counted.
    pub fn book(&self) -> Arc<Book> {
        Arc::clone(&self.book.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is kept for a route, from its first request on, in the book that the request began with.
    pub fn series(&self, book: &Book, label: &Arc<str>) -> Arc<Series> {
        if let Some(series) = book.get(label) {
            return series;
        }
        // Held until it is there: it shows what holds now, and whatever is switched then finds it.
        let guardrail = self.guardrail();
        let pairs = {
            let mut pairs = self.pairs.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(pairs.entry(Arc::clone(label)).or_default())
        };
        book.begin(label, pairs, guardrail.is_route_on(label))
    }

    /// What is open when mirroring is allowed; the first request after a cooldown switches it on. `route`:
    /// what the settings call the route that it is of.
    pub fn open_now(&self, series: &Series, route: &str) -> Option<Open> {
        if self.is_due(&self.gate) {
            self.ask_replicas(|| Order::Due(None));
            self.decide(|guardrail, now| guardrail.resume_if_due(now));
        }
        if self.is_due(self.gate_of(series)) {
            self.ask_replicas(|| Order::Due(Some(series.label.to_string())));
            self.decide(|guardrail, now| guardrail.resume_route_if_due(&series.label, now));
        }
        self.open(series, route)
    }

    /// The same, without switching on.
    pub fn open(&self, series: &Series, route: &str) -> Option<Open> {
        let (whole, part) = passing(self.gate.read())?;
        let (label, part_of_label) = passing(self.gate_of(series).read())?;
        let open = Open { epoch: Epoch { whole, route: label }, part: part * part_of_label };
        (!self.held.has(route)).then_some(open)
    }

    /// What is open of a route, as far as mirroring is on at all: 0 where it is off, less than 1 on probation.
    /// Its requests have this label. One that had no request is nothing new to anybody.
    pub fn part_of(&self, label: &str, route: &str) -> f64 {
        if self.held.has(route) {
            return 0.0;
        }
        let reading = self.guardrail().route_reading(label);
        reading.map_or(1.0, |it| passing(it).map_or(0.0, |(_, part)| part))
    }

    fn gate_of<'a>(&self, series: &'a Series) -> &'a Gate {
        series.gate.get_or_init(|| self.guardrail().route_gate(&series.label))
    }

    /// Both sides have answered, or will not. `baseline_p99` is that of the route now.
    pub fn answered(&self, copy: &Mirrored<'_>, pair: &Pair<'_>, baseline_p99: Duration) {
        let Some(_holds) = self.holds(copy.terms) else { return };
        // Of a label that is off the guardrail says so itself.
        if self.held.has(copy.terms.id()) {
            return;
        }
        let own = copy.terms.thresholds.as_ref();
        if let Some(replicas) = &self.replicas {
            replicas.teller.answered(pair, baseline_p99, own, self.since_origin());
        }
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
        let is_judged = copy.terms.judges_mismatches && !self.held.has(copy.terms.id());
        let judged = comparison.differences.filter(|_| is_judged);
        let net = judged.and_then(|found| self.net_fields(&copy.series.label, found, asks));
        self.record(copy, pair, comparison);
        self.remember(pair, comparison);
        let Some(differs) = net else { return };
        let own = copy.terms.thresholds.as_ref();
        if let Some(replicas) = &self.replicas {
            replicas.teller.compared(pair, differs.as_deref(), own, self.since_origin());
        }
        self.decide(|guardrail, now| guardrail.compared_by(pair, differs.as_deref(), own, now));
    }

    /// Keeps a pair that differs, so that other rules can be tried on it; `answers` redacts them.
    pub fn keep(
        &self,
        copy: &Mirrored<'_>,
        differences: &Differences,
        answers: impl FnOnce() -> [kept::Answer; 2],
    ) {
        let (label, now) = (&copy.series.label, Instant::now());
        if !self.kept().wants(label, now) {
            return;
        }
        let (id, differences) = (copy.terms.id().into(), differences.found.clone());
        let pair = kept::Kept { id, basis: copy.terms.basis, answers: answers(), differences };
        self.kept().keep(label, pair, now);
    }

    /// The last pairs of a route, or of all, that differed, each with its route.
    pub fn kept_pairs(&self, route: Option<&str>) -> Vec<(Arc<str>, Arc<kept::Kept>)> {
        self.kept().of(route)
    }

    /// The last of them in which something differs in this way, to be shown. Those that were held against something
    /// else are not: by other rules other values are hidden.
    pub fn kept_pair(
        &self,
        route: &str,
        differs: impl Fn(&Difference) -> bool,
    ) -> Option<Arc<kept::Kept>> {
        let bases = self.bases.read().unwrap_or_else(PoisonError::into_inner).clone();
        let holds = |basis: &u64| bases.as_ref().is_none_or(|bases| bases.contains(basis));
        let mut kept = self.kept_pairs(Some(route)).into_iter().rev().map(|(_, pair)| pair);
        kept.find(|pair| holds(&pair.basis) && pair.differences.iter().any(&differs))
    }

    /// Whether a copy is to be explained now: few are, and the one that this is said of.
    pub fn wants_copy(&self, series: &Series) -> bool {
        series.pairs.copy().is_due(self.since_origin())
    }

    /// Keeps how a copy became what it is, in place of the one before.
    pub fn keep_copy(&self, series: &Series, terms: &Terms, explained: Explained) {
        if let Some(_holds) = self.holds(terms) {
            series.pairs.copy().keep(explained);
        }
    }

    /// How the last copy of a label that was explained became what it is. One that was held against something
    /// else is not shown: by other rules other values are hidden.
    pub fn last_copy(&self, label: &str) -> Option<Arc<Explained>> {
        let pairs = self.pairs.read().unwrap_or_else(PoisonError::into_inner).get(label).cloned();
        let explained = pairs?.copy().get()?;
        let bases = self.bases.read().unwrap_or_else(PoisonError::into_inner);
        bases.as_ref().is_none_or(|it| it.contains(&explained.basis)).then_some(explained)
    }

    /// Forgets those of a route, or all. Other rules are no reason: they are judged by these, then.
    pub fn forget_kept(&self, route: Option<&str>) {
        self.kept().forget(route);
    }

    fn kept(&self) -> MutexGuard<'_, kept::Pairs> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, copy: &Mirrored<'_>, pair: &Pair<'_>, comparison: &Comparison<'_>) {
        if self.guardrail().warms_up(self.now()) {
            return;
        }
        copy.series.pairs.take_in(copy.terms.basis);
        let own = copy.terms.allowed.as_ref();
        self.report().record_by(pair, comparison, own, SystemTime::now());
    }

    /// For the lines over time. Evidence is looked at now and then, since a look takes all routes.
    fn remember(&self, pair: &Pair<'_>, comparison: &Comparison<'_>) {
        let now = SystemTime::now();
        let mut history = self.history();
        history.record(pair, comparison.differences, now);
        if !history.wants_evidence(now) {
            return;
        }
        drop(history);
        let snapshot = self.snapshot();
        let mut history = self.history();
        history.note_evidence(None, snapshot.evidence.value, THRESHOLD, now);
        for route in &snapshot.routes {
            history.note_evidence(Some(&route.route), route.evidence.value, THRESHOLD, now);
        }
    }

    /// A trip by evidence starts the evidence anew, so that a later look would not see how far it went.
    fn remember_trip(&self, transition: &Transition, now: SystemTime) {
        let (Transition::Tripped { trip, .. }
        | Transition::RouteTripped { trip }
        | Transition::WouldTrip { trip }) = transition
        else {
            return;
        };
        if let Rule::Evidence { evidence, whole } = trip.rule {
            let route = (!whole).then_some(trip.route.as_str());
            self.history().note_evidence(route, evidence.value, THRESHOLD, now);
        }
    }

    /// The last hour of a route, or of all together, minute by minute; the current one last.
    pub fn last_hour(&self, route: Option<&str>) -> Vec<Minute> {
        self.history().of(route, SystemTime::now())
    }

    /// In how many pairs of each minute of the last hour a route differed in a field in this way; `None` where that is
    /// not kept.
    pub fn last_hour_of_field(&self, route: &str, field: &str, kind: &str) -> Option<Vec<u16>> {
        self.history().of_field(route, field, kind, SystemTime::now())
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
    pub fn report_snapshot(&self) -> report::Findings {
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

    /// What the pairs of one route told so far; nothing of others.
    pub fn report_snapshot_of(&self, route: &str) -> report::Findings {
        let mut snapshot = {
            let report = self.report();
            let mut snapshot = report.frame();
            snapshot.routes.extend(report.snapshot(&Arc::from(route)));
            snapshot
        };
        let guardrail = self.guardrail().snapshot();
        snapshot.mirroring = Some(guardrail.state.name());
        for known in &mut snapshot.routes {
            let state = guardrail.routes.iter().find(|state| *state.route == *known.route);
            known.mirroring = state.map(|known| known.state.name());
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
        self.forget_pairs();
        drop(before);
    }

    /// What the guardrail shows; where replicas judge together, with the evidence of all.
    pub fn snapshot(&self) -> guardrail::Snapshot {
        let own = self.guardrail().snapshot();
        match &self.replicas {
            Some(replicas) => replicas.with_the_evidence_of_all(own),
            None => own,
        }
    }

    /// Whether mirroring is on, as far as it is not about a route.
    pub fn is_on(&self) -> bool {
        self.guardrail().is_on()
    }

    /// Whether a route can be switched by itself: it was before, or there is room for one more.
    pub fn has_room_for(&self, route: &str) -> bool {
        let guardrail = self.guardrail();
        guardrail.knows(route) || guardrail.known_routes() < by_hand::ROUTES_MAX
    }

    /// Switches mirroring, of a route or of all, by hand.
    pub fn switch(&self, on: bool, route: Option<&str>) {
        self.decide(|guardrail, now| {
            let transition = match (on, route) {
                (true, None) => guardrail.enable(),
                (false, None) => guardrail.disable(now),
                (true, Some(route)) => guardrail.enable_route(route),
                (false, Some(route)) => guardrail.disable_route(route),
            };
            self.held.set(guardrail.held_routes());
            transition
        });
        self.ask_replicas(|| Order::Switch { on, route: route.map(str::to_owned) });
    }

    /// What was switched off by hand.
    pub fn off_by_hand(&self) -> OffByHand {
        let guardrail = self.guardrail();
        let routes = guardrail.held_routes().map(str::to_owned).collect();
        OffByHand { whole: guardrail.snapshot().state == State::Held, routes }
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
        self.held.set(guardrail.held_routes());
    }

    /// Says nothing more; pairs that are under way are still counted.
    pub fn leave(&self) {
        // Under the lock, so that what is being decided is announced before.
        let _guardrail = self.guardrail();
        self.is_past.store(true, Ordering::Relaxed);
    }

    /// The labels that were seen, of requests that were meant for it.
    pub fn labels(&self) -> Vec<Arc<str>> {
        self.book().labels()
    }

    /// Whether a label was seen.
    pub fn has_seen(&self, label: &str) -> bool {
        self.book().get(label).is_some()
    }

    /// Whether something is known of a route: its label was seen, or it is off by hand.
    pub fn knows(&self, route: &str) -> bool {
        self.has_seen(route) || self.held.has(route)
    }

    /// The state of the label by which requests of a route are counted that finds no room, where copies are
    /// off by that.
    pub fn off_as_other(&self, route: &str) -> Option<State> {
        let is_full = self.labels().len() > LABELS_MAX;
        if route == OTHER || self.has_seen(route) || !is_full {
            return None;
        }
        let routes = self.snapshot().routes;
        let state = routes.iter().find(|it| it.route == OTHER)?.state;
        (!state.is_on()).then_some(state)
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
            self.forget_pairs();
        }
        changed || starts_anew
    }

    /// What pairs are held against from now on; those that were held against something else say nothing
    /// any more. `anew`: routes of which it is known that something else holds.
    pub fn hold_against(&self, bases: &BTreeSet<u64>, anew: &HashSet<Arc<str>>) -> Forgotten {
        let (mut forgotten, mut kept) = (Vec::new(), false);
        *self.bases.write().unwrap_or_else(PoisonError::into_inner) = Some(bases.clone());
        for (label, pairs) in self.pairs.read().unwrap_or_else(PoisonError::into_inner).iter() {
            match pairs.rest_on(bases) {
                None => {}
                Some(true) if !anew.contains(label) => kept = true,
                Some(_) => forgotten.push(Arc::clone(label)),
            }
        }
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
        let pairs = self.pairs.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(pairs) = pairs.get(route) {
            pairs.forget();
        }
    }

    /// Nothing is known from now on; see [`CandidateMetrics::retire`].
    pub fn retire(&self) {
        self.book().close();
    }

    /// Other labels for requests from now on: there are several candidates, or no more than one.
    pub fn relabel(&self, metrics: CandidateMetrics) {
        let (old, new) = (self.book(), Book::new(metrics));
        for label in old.labels() {
            self.series(&new, &label);
        }
        // Under the lock, so that no change of state is shown by the old one alone.
        let guardrail = self.guardrail();
        new.metrics.set_enabled(guardrail.is_on());
        for label in new.labels() {
            new.metrics.set_route_enabled(&label, guardrail.is_route_on(&label));
        }
        old.close();
        *self.book.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    /// The series that are of no route.
    pub fn metrics(&self) -> CandidateMetrics {
        self.book().metrics.clone()
    }

    /// Shows what is known, of every route that had a request: what the report has forgotten is not known.
    pub fn show(&self) {
        let (snapshot, book) = (self.report_snapshot(), self.book());
        let metrics = &book.metrics;
        let (overall, verdicts) = verdicts(&snapshot, &self.allowed());
        let labels = snapshot.routes.iter().map(|route| &*route.route);
        let known: HashMap<_, _> = labels.zip(verdicts).collect();
        metrics.set_verdict(None, overall);
        let guardrail = self.snapshot();
        metrics.set_evidence(None, guardrail.evidence.value / THRESHOLD);
        // One that is off by hand may have had none yet, or another label.
        for route in guardrail.routes.iter().filter(|it| book.get(&it.route).is_some()) {
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
            self.remember_trip(&transition, now.wall);
            self.announce(&guardrail, &transition, now.wall);
        }
    }

    fn announce(&self, guardrail: &Guardrail, transition: &Transition, at: SystemTime) {
        let book = self.book();
        self.announcer.announce(&book.metrics, transition, at);
        for label in book.labels() {
            if transition.is_of(&label) {
                book.metrics.set_route_enabled(&label, guardrail.is_route_on(&label));
            }
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

    fn forget_pairs(&self) {
        let pairs = self.pairs.read().unwrap_or_else(PoisonError::into_inner);
        pairs.values().for_each(|pairs| pairs.forget());
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

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn passing(reading: Reading) -> Option<(u64, f64)> {
    match reading {
        Reading::Open { epoch } => Some((epoch, 1.0)),
        Reading::Probation { epoch, share } => Some((epoch, f64::from(share) / 1000.0)),
        Reading::Tripped { .. } | Reading::Held => None,
    }
}
