//! The mirror's side of the client path: admit or say why not, keep a copy, hand it over.
//!
//! Everything here returns at once and is contained: what goes wrong, a full queue or a panic,
//! becomes a counted outcome and never reaches the client's request. The rest of the mirror's
//! work is done by `worker` in the background, for each candidate in its own [`lane`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::runtime::Handle;
use tracing::error;

mod aboard;
mod admit;
pub mod between;
pub mod entry;
pub mod identities;
mod job;
pub mod lane;
mod lanes;
mod limit;
mod order;
mod pair;
mod reach;
mod recording;
mod reply;
pub mod sample;
mod secondary;
mod slots;
mod tap;
mod ticket;
mod told;
mod worker;

pub use lanes::{Connect, Fault, Lanes, Means};
pub use pair::Head;
pub use tap::{BaselineTap, RequestTap};

use crate::body::Budget;
use crate::exchange::{self, Outcome, RequestSnapshot};
use crate::headers::{read_as_any, remove_read_as_any};
use crate::log_limit::LogLimit;
use crate::observe::{Observe, Series};
use crate::plan::{Plan, Recorded, Treatment};
use crate::policy::matcher::Seen;
use crate::policy::share::{SampleBy, WHOLE, position};
use crate::policy::trace;
use crate::record::About;
use crate::route::table::Route;
use crate::telemetry::{Traced, TracedCopy};
use crate::upstream::Trust;
use admit::Sampling;
use between::Meeting;
use compare::rules::RuleBook;
use lane::Shared;
use recording::Recording;
use traffic::Clock;

/// What the mirror side may do, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Share of requests mirrored, 0.0 to 1.0.
    pub fraction: f64,
    /// Methods that may be mirrored; `None` for all.
    pub methods: Option<Vec<Method>>,
    /// The header line that marks a copy; `None` when copies are not marked.
    pub mark: Option<(HeaderName, HeaderValue)>,
    /// One deadline for a copy, from its request body being complete.
    pub timeout: Duration,
    /// Largest request body mirrored, and largest response body compared as text, in bytes.
    pub max_body_bytes: usize,
    /// Copies that may wait.
    pub queue_size: usize,
    /// Copies in flight at once.
    pub concurrency: usize,
    /// Bytes that the mirror side may hold at once.
    pub buffer_bytes: usize,
    /// Whether methods that are not safe are mirrored, where a route does not say otherwise.
    pub unsafe_methods: bool,
    /// Whether marks that come in are passed on: another mirror stands before.
    pub trust_mark: bool,
    /// What copies say of traces.
    pub traces: trace::Copies,
    /// Whether copies carry a body.
    pub body: bool,
    /// Whose copies go one after the other, where a route does not say otherwise.
    pub order_by: Option<SampleBy>,
    /// Failed connections in a row after which only probes are tried.
    pub unreachable_after: u32,
    /// Share of mirrored requests that go to the secondary too, 0.0 to 1.0; 0.0 without one.
    pub noise_fraction: f64,
    /// What the comparison is told to relax.
    pub rules: RuleBook,
}

/// Points of the mirror side where a test may make it fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// On the client path: the decision.
    Admit,
    /// On the client path: bytes of the request are kept.
    CaptureRequest,
    /// On the client path: the copy is handed over.
    Submit,
    /// On the client path: bytes of the baseline's answer are kept.
    CaptureReply,
    /// On the client path: the baseline's answer is whole.
    Complete,
    /// In the background: a copy was taken from the queue.
    Receive,
    /// In the background: the candidate is called.
    Call,
    /// In the background: both answers are there.
    Compare,
    /// On the threads for comparing: the answers differ in their bytes.
    Look,
    /// In the background: the guardrail is told.
    Observe,
    /// In the background: the secondary is asked.
    Noise,
}

/// Called at each [`Stage`]; does nothing outside tests.
pub type Failpoint = Arc<dyn Fn(Stage) + Send + Sync>;

/// The part of the mirror that the client path and the workers share.
#[derive(Debug)]
pub struct Mirror {
    shared: Arc<Shared>,
    lanes: RwLock<Arc<Lanes>>,
}

/// An admitted request: the watchers of its body and of the baseline's answer, for one candidate.
#[derive(Debug)]
pub struct Admitted {
    /// Watches the request; its end is the moment for the copy.
    pub request: RequestTap,
    /// Watches the baseline's answer.
    pub baseline: BaselineTap,
}

/// Follows a request, and is let go of when it has all its outcomes.
pub trait Follow: std::fmt::Debug + Send + Sync {
    /// One of its outcomes is none but our own fault: it was dropped on its way.
    fn fault(&self);

    /// One of its outcomes; [`Self::fault`] tells of those that nobody counted.
    fn outcome(&self, _outcome: Outcome) {}
}

/// What follows a request.
pub type Keep = Arc<dyn Follow>;

/// What a request is to the plan that it began with.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'a> {
    /// The plan and its lanes.
    pub lanes: &'a Arc<Lanes>,
    /// What holds for it.
    pub treatment: &'a Treatment,
    /// Whether another would hold if its path were read in another way.
    pub in_doubt: bool,
    /// The label and the id of the route that it would be of then, where that is another.
    pub otherwise: Option<(&'a str, &'a str)>,
    /// Its route label.
    pub route: &'a Arc<Route>,
    /// What is recorded of it.
    pub record: Recorded,
}

impl Mirror {
    /// A mirror for this plan.
    ///
    /// # Errors
    /// A candidate that cannot be set up.
    pub fn new(
        plan: Plan,
        (means, trust): (&Means, &Trust),
        compare_runtime: Handle,
        probe: Option<Failpoint>,
    ) -> Result<Arc<Self>, Fault> {
        let told = (means.recorder.clone(), means.tracer.clone());
        let shared = Shared::new(compare_runtime, told, probe);
        let lanes = Lanes::prepare(plan, None, means, trust)?.open(None, &shared, means).0;
        Ok(Arc::new(Self { shared, lanes: RwLock::new(lanes) }))
    }

    /// The plan that holds now, with its lanes.
    pub fn lanes(&self) -> Arc<Lanes> {
        Arc::clone(&self.lanes.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Requests from now on go by this plan. What was gathered stays where it still has its meaning;
    /// what starts anew, and why, is returned.
    ///
    /// # Errors
    /// A candidate that cannot be set up; nothing is changed then.
    pub fn follow(&self, plan: Plan, means: &Means, trust: &Trust) -> Result<Vec<String>, Fault> {
        let before = self.lanes();
        let prepared = Lanes::prepare(plan, Some(&before), means, trust)?;
        let (lanes, anew) = prepared.open(Some(&before), &self.shared, means);
        *self.lanes.write().unwrap_or_else(PoisonError::into_inner) = lanes;
        Ok(anew)
    }

    /// Sends no more copies.
    pub fn stop(&self) {
        self.lanes().entries.iter().for_each(|entry| entry.stop());
    }

    /// Decides for each candidate that is meant whether this request is mirrored, and counts the
    /// outcome when it is not.
    ///
    /// `snapshot` is only called for a request to be mirrored; what it made, for the first, is returned.
    pub fn admit(
        &self,
        chosen: Chosen<'_>,
        arrived: Arrived<'_>,
        seen: &Seen<'_>,
        snapshot: impl Fn() -> RequestSnapshot,
    ) -> (Vec<Admitted>, Option<Arc<RequestSnapshot>>) {
        let Chosen { lanes, treatment, in_doubt, otherwise, route, .. } = chosen;
        let mut made = None;
        let mut snapshot = || Arc::clone(made.get_or_insert_with(|| Arc::new(snapshot())));
        let mut admitted = Vec::new();
        let mut position = None;
        let meeting = (!lanes.between.is_empty()).then(|| Meeting::new(&lanes.between));
        let meeting = meeting.as_ref();
        let recording = contained(|| {
            let place = || place(&lanes.plan, treatment, route, seen);
            let position = &mut || *position.get_or_insert_with(place);
            self.recording(chosen, arrived, seen, position, &mut snapshot)
        });
        if recording.is_none() {
            self.shared.recorder.count(exchange::Recorded::InternalError);
        }
        let recording = recording.flatten();
        let recording = recording.as_ref();
        admitted.extend(recording.map(|recording| {
            let (request, baseline) = recording.sides();
            Admitted { request: request.into(), baseline: baseline.into() }
        }));
        let traced = contained(|| self.traced(route, arrived, seen)).flatten();
        admitted.extend(traced.iter().map(|traced| {
            let (request, baseline) = (RequestTap::of_spans(), traced.answer().into());
            Admitted { request, baseline }
        }));
        let (count, first) = (lanes.entries.len(), who_comes_first(lanes, treatment));
        for at in (0..count).map(|at| (first + at) % count) {
            let (entry, Some(terms)) = (&lanes.entries[at], &treatment.terms[at]) else { continue };
            let one = contained(|| {
                let series = entry.lane.observe.series(&lanes.books[at], &route.label);
                let recorded = recording.map(|it| (Arc::clone(it), entry.lane.observe.name()));
                let traced = traced.as_ref().map(|it| entry.lane.traced(it));
                let tally = Tally::new(series, arrived.keep.cloned(), recorded, traced);
                let position =
                    *position.get_or_insert_with(|| place(&lanes.plan, treatment, route, seen));
                let plan = &lanes.plan;
                let rates = [treatment.rate.as_ref(), plan.rates[at].as_ref(), plan.rate.as_ref()];
                let own = (&*route.label, &*treatment.policy.id);
                let has_less = |other| has_less(&entry.lane.observe, other, own);
                let in_doubt = in_doubt || otherwise.is_some_and(has_less);
                let by = treatment.order_by.as_ref();
                let session =
                    by.and_then(|by| by.key(seen)).map(|key| self.shared.sessions.of(&key));
                let sampling =
                    Sampling { meeting, treatment, in_doubt, position, rates, session, seen };
                entry.admit(tally, (route, terms), arrived, sampling, &mut snapshot)
            });
            admitted.extend(one.flatten());
        }
        (admitted, made)
    }

    /// What records it, where it is to be recorded: by its place among a million, as copies are sampled. What is
    /// marked is recorded where it was first, and what leaves HTTP is no exchange.
    fn recording(
        &self,
        chosen: Chosen<'_>,
        arrived: Arrived<'_>,
        seen: &Seen<'_>,
        position: &mut dyn FnMut() -> u32,
        snapshot: &mut dyn FnMut() -> Arc<RequestSnapshot>,
    ) -> Option<Arc<Recording>> {
        let Shared { recorder, recorded: budget, .. } = &*self.shared;
        let Chosen { lanes, treatment, route, record, .. } = chosen;
        let (Recorded::By(rule) | Recorded::InDoubt(rule)) = record else { return None };
        let is_lost = arrived.lost.is_some() && arrived.known.is_none();
        if !recorder.is_on() || arrived.marked || arrived.upgrade || is_lost {
            return None;
        }
        let is_sampled = rule.share.takes(position());
        if !is_sampled && !rule.mismatches {
            return None;
        }
        if record != Recorded::By(rule) {
            recorder.count(exchange::Recorded::PathInDoubt);
            return None;
        }
        let known = arrived.known;
        let about = About {
            record: rule,
            is_sampled,
            at: known.map_or_else(SystemTime::now, |it| it.at),
            client: seen.client,
            connection: known.and_then(|it| it.connection),
            clock: known.map_or(Clock::Proxy, |it| it.clock),
            label: Arc::clone(&route.label),
            rules: lanes.plan.rules_of(treatment, &route.label),
            redaction: Arc::clone(lanes.plan.redaction()),
            request: snapshot(),
        };
        Recording::begin(recorder, budget, about)
    }

    /// What notes its moments, where it has spans. One whose baseline is not asked has none.
    fn traced(&self, route: &Route, arrived: Arrived<'_>, seen: &Seen<'_>) -> Option<Arc<Traced>> {
        let is_asked = arrived.known.is_none() && arrived.lost.is_none();
        let begin = || self.shared.tracer.begin(seen.headers, seen.method, &route.label);
        is_asked.then(begin).flatten()
    }

    /// Whether a request is a copy already, from this proxy or another, or is one to a server that reads
    /// names less strictly.
    pub fn is_marked(plan: &Plan, headers: &HeaderMap) -> bool {
        read_as_any(headers, plan.marks()).is_some()
    }

    /// Takes the mark off a request that is not a copy of a mirror before this one: it is an order
    /// to skip side effects, which clients may not give.
    pub fn strip_mark(plan: &Plan, headers: &mut HeaderMap) {
        if !plan.defaults.trust_mark {
            remove_read_as_any(headers, plan.marks());
        }
    }

    /// Marks a request that goes to the baseline and is a copy itself: it must not have side effects any
    /// more than those to the candidates, and ends here where it comes back.
    pub fn mark_relayed(&self, treatment: &Treatment, headers: &mut HeaderMap) {
        if let Some(terms) = treatment.terms.iter().flatten().next() {
            self.shared.mark_copy(terms, headers);
        }
    }

    /// What pays for requests that are relayed, until the baseline has answered them.
    pub fn relay_budget(&self) -> Arc<Budget> {
        Arc::clone(&self.shared.relayed)
    }

    /// Whether a request is a copy of this very process.
    pub fn is_own_copy(&self, headers: &HeaderMap) -> bool {
        self.shared.is_own_copy(headers)
    }
}

/// Whether the route of the other reading is off, or has less of its share now than a request's own, on
/// probation: that must not be had by another spelling of its path.
fn has_less(observe: &Observe, other: (&str, &str), own: (&str, &str)) -> bool {
    let part = |(label, id)| observe.part_of(label, id);
    let others = part(other);
    others == 0.0 || others < part(own)
}

/// Where candidates share a limit of copies a second, dice decide who is asked first: whoever always is
/// would use it up.
fn who_comes_first(lanes: &Lanes, treatment: &Treatment) -> usize {
    let is_shared = treatment.rate.is_some() || lanes.plan.rate.is_some();
    if is_shared { rand::random_range(0..lanes.entries.len()) } else { 0 }
}

/// Where a request stands among a million: by its key, so that whole sessions are mirrored or not, or
/// by dice.
fn place(plan: &Plan, treatment: &Treatment, route: &Route, seen: &Seen<'_>) -> u32 {
    if let Some(by) = treatment.sample_by() {
        if let Some(key) = by.key(seen) {
            return position(&key, plan.defaults.sample_secret);
        }
        route.metrics.without_key.increment(1);
    }
    rand::random_range(0..WHOLE)
}

/// What `admit` wants to know of a request.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    /// The method.
    pub method: &'a Method,
    /// See [`Mirror::is_marked`].
    pub marked: bool,
    /// The client asks for another protocol.
    pub upgrade: bool,
    /// Length of the body in bytes where it is known; 0 for none.
    pub length: Option<u64>,
    /// Let go of with the last outcome; of requests without a client alone.
    pub keep: Option<&'a Keep>,
    /// The baseline is not asked: what it answered is known from elsewhere.
    pub known: Option<Origin>,
    /// Why there can be no copy, whatever is decided.
    pub lost: Option<Outcome>,
}

/// What is known of an exchange from elsewhere, beside what was said.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// When its request began.
    pub at: SystemTime,
    /// A number that all have which came over its connection.
    pub connection: Option<u64>,
    /// By which the baseline's latency was measured.
    pub clock: Clock,
}

/// The one outcome of one request for one candidate: counted exactly once, at the latest when this is dropped.
#[derive(Debug)]
struct Tally {
    series: Arc<Series>,
    counted: bool,
    keep: Option<Keep>,
    /// Where it is recorded, and of whom.
    recorded: Option<(Arc<Recording>, Arc<str>)>,
    /// Where its moments are noted, if its request has spans.
    traced: Option<Box<TracedCopy>>,
}

impl Tally {
    fn new(
        series: Arc<Series>,
        keep: Option<Keep>,
        recorded: Option<(Arc<Recording>, Arc<str>)>,
        traced: Option<Box<TracedCopy>>,
    ) -> Self {
        Self { series, counted: false, keep, recorded, traced }
    }

    /// Where its moments are noted.
    fn traced(&self) -> Option<&TracedCopy> {
        self.traced.as_deref()
    }

    /// Where it is recorded what comes of it.
    fn recording(&self) -> Option<&Recording> {
        self.recorded.as_ref().map(|(recording, _)| &**recording)
    }

    /// Counts the outcome; gives `None`, so that a refusal reads as one expression.
    fn count<T>(mut self, outcome: Outcome) -> Option<T> {
        self.counted = true;
        if let Some(keep) = &self.keep {
            keep.outcome(outcome);
        }
        if let Some((recording, candidate)) = &self.recorded {
            recording.outcome(candidate, outcome);
        }
        if let Some(traced) = &self.traced {
            traced.over(outcome);
        }
        self.series.metrics.count(outcome);
        None
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        if !self.counted {
            if let Some(keep) = &self.keep {
                keep.fault();
            }
            if let Some(traced) = &self.traced {
                traced.over(Outcome::InternalError);
            }
            self.series.metrics.count(Outcome::InternalError);
        }
    }
}

/// Of all proxies in this process.
static PANICS: LogLimit = LogLimit::new(Duration::from_secs(5));

/// Runs a piece of the mirror side on the client path; a panic in it ends there.
fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    let result = catch_unwind(AssertUnwindSafe(work));
    if result.is_err()
        && let Some(before) = PANICS.admit(std::time::Instant::now())
    {
        error!(
            not_logged_before = before,
            "the mirror side panicked; the client's request goes on without a copy"
        );
    }
    result.ok()
}
