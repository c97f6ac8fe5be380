//! The mirror's side of the client path: admit or say why not, keep a copy, hand it over.
//!
//! Everything here returns at once and is contained: what goes wrong, a full queue or a panic,
//! becomes a counted outcome and never reaches the client's request. The rest of the mirror's
//! work is done by [`worker`] in the background.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{error, info, warn};

pub mod announce;
pub mod event;
mod limit;
mod pair;
mod reach;
pub mod sample;
mod slots;
mod ticket;
pub mod webhook;
pub mod worker;

use announce::Announcer;
pub use pair::{BaselineTap, Head};
pub use ticket::RequestTap;

use self::reach::Reach;
use self::slots::Slots;
use crate::body::{Budget, Capture, Held};
use crate::exchange::{Outcome, RequestSnapshot};
use crate::log_limit::LogLimit;
use crate::route::table::Route;
use compare::Policy;
use compare::rules::RuleBook;
use judge::guardrail::gate::{Gate, Reading};
use judge::guardrail::{Epoch, Guardrail, Moment, Transition};
use judge::report::{self, Report};

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
    /// Whether marks that come in are passed on: another mirror stands before.
    pub trust_mark: bool,
    /// Whether copies carry a body.
    pub body: bool,
    /// Failed connections in a row after which only probes are tried.
    pub unreachable_after: u32,
    /// Share of mirrored requests that go to the secondary too, 0.0 to 1.0; 0.0 without one.
    pub noise_fraction: f64,
    /// What the report holds pairs against.
    pub allowed: report::Allowed,
    /// What the comparison is told to relax.
    pub rules: RuleBook,
}

/// Tells this process' copies from all other requests, so that one that comes back ends there.
/// Mirrors one after the other each add a line.
const LOOP: HeaderName = HeaderName::from_static("x-mirrorlab-loop");

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
pub type Probe = Arc<dyn Fn(Stage) + Send + Sync>;

/// The part of the mirror that the client path and the workers share.
pub struct Mirror {
    /// The settings.
    pub config: Config,
    /// The value of [`LOOP`] in this process' copies, which nobody else knows.
    own: HeaderValue,
    /// Decides; told of each pair.
    pub guardrail: Arc<Mutex<Guardrail>>,
    /// What the pairs told so far.
    pub report: Mutex<Report>,
    /// The rules of the comparison.
    policy: RwLock<Arc<Policy>>,
    /// The byte budget.
    pub budget: Arc<Budget>,
    /// Copies sent and not yet answered.
    pub in_flight: AtomicUsize,
    slots: Arc<Slots>,
    reach: Reach,
    announcer: Arc<Announcer>,
    /// Whether the guardrail wants to know which answers differ.
    judges_mismatches: bool,
    gate: Gate,
    queue: mpsc::Sender<Job>,
    compare_runtime: Handle,
    dropped: LogLimit,
    lost: LogLimit,
    found: LogLimit,
    probe: Option<Probe>,
}

impl std::fmt::Debug for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mirror").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A copy that waits to be sent, with all that it needs until its end.
#[derive(Debug)]
pub struct Job {
    tally: Tally,
    epoch: Epoch,
    snapshot: Arc<RequestSnapshot>,
    body: Option<Capture>,
    /// Pays for the snapshot.
    held: Held,
    complete_since: Instant,
    baseline: pair::BaselineSide,
}

/// An admitted request: the watchers of its body and of the baseline's answer.
#[derive(Debug)]
pub struct Admitted {
    /// Watches the request; its end is the moment for the copy.
    pub request: RequestTap,
    /// Watches the baseline's answer.
    pub baseline: BaselineTap,
    /// What the copy is made of; `None` where there is a body, of which it is only a part.
    pub snapshot: Option<Arc<RequestSnapshot>>,
}

impl Mirror {
    /// The shared part, and the end of the queue for [`worker::run`].
    pub fn new(
        config: Config,
        policy: Policy,
        guardrail: Arc<Mutex<Guardrail>>,
        gate: Gate,
        announcer: Arc<Announcer>,
        compare_runtime: Handle,
        probe: Option<Probe>,
    ) -> (Arc<Self>, mpsc::Receiver<Job>) {
        let (queue, jobs) = mpsc::channel(config.queue_size);
        let judges_mismatches = {
            let guardrail = guardrail.lock().unwrap_or_else(PoisonError::into_inner);
            guardrail.judges_mismatches()
        };
        let own = format!("{:032x}", rand::random::<u128>());
        let mirror = Self {
            own: HeaderValue::try_from(own).expect("hex digits are a header value"),
            guardrail,
            report: Mutex::new(Report::new(config.allowed)),
            policy: RwLock::new(Arc::new(policy)),
            budget: Budget::new(config.buffer_bytes),
            in_flight: AtomicUsize::new(0),
            slots: Slots::new(config.concurrency),
            reach: Reach::new(config.unreachable_after),
            announcer,
            judges_mismatches,
            gate,
            queue,
            compare_runtime,
            dropped: LogLimit::new(Duration::from_secs(5)),
            lost: LogLimit::new(Duration::from_secs(5)),
            found: LogLimit::new(Duration::from_secs(5)),
            probe,
            config,
        };
        (Arc::new(mirror), jobs)
    }

    /// Copies waiting to be sent.
    pub fn queue_length(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
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

    /// Forgets what the pairs told so far.
    pub fn reset_report(&self) {
        // Letting go of it takes time, and is done without the lock.
        let mut report = self.report();
        let fresh = Report::new(report.allowed());
        let before = std::mem::replace(&mut *report, fresh);
        drop(report);
        self.guardrail().warm_up();
        drop(before);
    }

    /// Whether pairs are not judged yet.
    fn warms_up(&self) -> bool {
        self.guardrail().warms_up(now())
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies that may be in flight now.
    pub fn copies_limit(&self) -> usize {
        self.slots.current()
    }

    /// Decides whether this request is mirrored, counts the outcome when it is not.
    ///
    /// `snapshot` is only called for a request to be mirrored.
    pub fn admit(
        self: &Arc<Self>,
        route: &Arc<Route>,
        arrived: Arrived<'_>,
        snapshot: impl FnOnce() -> RequestSnapshot,
    ) -> Option<Admitted> {
        let tally = Tally::new(Arc::clone(route));
        contained(|| {
            self.probe(Stage::Admit);
            let open = self.open_now(route);
            let facts = sample::Facts {
                marked: arrived.marked,
                upgrade: arrived.upgrade,
                allowed: open.is_some(),
                method: arrived.method,
            };
            let methods = self.config.methods.as_deref();
            let dice = rand::random::<f64>();
            let share = open.map_or(1.0, |open| open.share);
            let sampled = sample::sample(facts, methods, self.config.fraction * share, dice);
            match (sampled, open) {
                (Ok(()), Some(_)) if !self.reach.admits(std::time::Instant::now) => {
                    tally.count(Outcome::CandidateUnreachable)
                }
                (Ok(()), Some(open)) => {
                    self.open_ticket(tally, open.epoch, arrived.length, snapshot)
                }
                (Ok(()), None) => tally.count(Outcome::Disabled),
                (Err(outcome), _) => tally.count(outcome),
            }
        })
        .flatten()
    }

    /// What is open when mirroring is allowed; the first request after a cooldown switches it on.
    fn open_now(&self, route: &Route) -> Option<Open> {
        if is_due(&self.gate) {
            self.decide(|guardrail, now| guardrail.resume_if_due(now));
        }
        if is_due(self.gate_of(route)) {
            self.decide(|guardrail, now| guardrail.resume_route_if_due(&route.label, now));
        }
        self.open(route)
    }

    fn open(&self, route: &Route) -> Option<Open> {
        let (whole, share) = passing(&self.gate)?;
        let (route, share_of_route) = passing(self.gate_of(route))?;
        Some(Open { epoch: Epoch { whole, route }, share: share * share_of_route })
    }

    fn gate_of<'a>(&self, route: &'a Route) -> &'a Gate {
        route.gate(|| self.guardrail().route_gate(&route.label))
    }

    /// The rules of the comparison, for pairs that begin now.
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Pairs that begin from now on are judged by these.
    pub fn set_policy(&self, policy: Policy) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    fn guardrail(&self) -> MutexGuard<'_, Guardrail> {
        self.guardrail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks or tells the guardrail something, and makes known what it decided: under the lock, so
    /// that all see changes in the order they happened.
    fn decide(&self, ask: impl FnOnce(&mut Guardrail, Moment) -> Option<Transition>) {
        let (mut guardrail, now) = (self.guardrail(), now());
        if let Some(transition) = ask(&mut guardrail, now) {
            self.announcer.announce(&transition, now.wall);
        }
    }

    /// Whether a request is a copy already, from this proxy or another.
    pub fn is_marked(&self, headers: &HeaderMap) -> bool {
        self.config.mark.as_ref().is_some_and(|(name, _)| headers.contains_key(name))
    }

    /// Takes the mark off a request that is not a copy of a mirror before this one: it is an order
    /// to skip side effects, which clients may not give.
    pub fn strip_mark(&self, headers: &mut HeaderMap) {
        if let Some((name, _)) = self.config.mark.as_ref().filter(|_| !self.config.trust_mark) {
            headers.remove(name);
        }
    }

    /// Whether a request is a copy of this very process.
    pub fn is_own_copy(&self, headers: &HeaderMap) -> bool {
        headers.get_all(LOOP).iter().any(|value| *value == self.own)
    }

    /// Makes a request a copy that is known as one.
    fn mark_copy(&self, headers: &mut HeaderMap) {
        if let Some((name, value)) = &self.config.mark {
            headers.insert(name, value.clone());
        }
        headers.append(LOOP, self.own.clone());
    }

    fn open_ticket(
        self: &Arc<Self>,
        tally: Tally,
        epoch: Epoch,
        length: Option<u64>,
        snapshot: impl FnOnce() -> RequestSnapshot,
    ) -> Option<Admitted> {
        let with_body = self.config.body;
        if with_body && length.is_some_and(|length| length > self.config.max_body_bytes as u64) {
            return tally.count(Outcome::BodyTooLarge);
        }
        if length == Some(0) && self.queue.capacity() == 0 {
            // It would be handed over in a moment: nothing needs to be kept to see that it cannot be.
            self.note_drop(Outcome::DroppedQueueFull);
            return tally.count(Outcome::DroppedQueueFull);
        }
        let snapshot = Arc::new(snapshot());
        let Some(held) = self.budget.try_take(snapshot.weight()) else {
            self.note_drop(Outcome::DroppedBufferFull);
            return tally.count(Outcome::DroppedBufferFull);
        };
        let body = with_body.then(|| Capture::new(self.config.max_body_bytes, &self.budget));
        let (tap, baseline) = pair::new(Arc::clone(self));
        let complete_since = Instant::now();
        let shared = (length == Some(0)).then(|| Arc::clone(&snapshot));
        let job = Job { tally, epoch, snapshot, body, held, complete_since, baseline };
        let (request, baseline) = ticket::new(Arc::clone(self), job, tap);
        Some(Admitted { request, baseline, snapshot: shared })
    }

    /// Puts a copy into the queue; drops and counts it when the queue is full.
    fn submit(&self, mut job: Job) {
        self.probe(Stage::Submit);
        job.complete_since = Instant::now();
        match self.queue.try_send(job) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(job)) => {
                self.note_drop(Outcome::DroppedQueueFull);
                job.tally.count::<()>(Outcome::DroppedQueueFull);
            }
            // The workers are gone; dropping the job counts it as our own fault.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
    }

    /// Keeps in mind whether there was a connection to the candidate.
    fn note_reach(&self, connected: bool) {
        if connected {
            if self.reach.connected()
                && let Some(before) = self.found.admit(std::time::Instant::now())
            {
                info!(not_logged_before = before, "the candidate takes connections again");
            }
        } else if self.reach.failed(std::time::Instant::now())
            && let Some(before) = self.lost.admit(std::time::Instant::now())
        {
            warn!(not_logged_before = before, "the candidate is unreachable; only probes are sent");
        }
    }

    fn note_drop(&self, outcome: Outcome) {
        if let Some(before) = self.dropped.admit(std::time::Instant::now()) {
            warn!(reason = outcome.name(), not_logged_before = before, "copies are dropped");
        }
    }

    fn probe(&self, stage: Stage) {
        if let Some(probe) = &self.probe {
            probe(stage);
        }
    }
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
}

/// The one outcome of one request: counted exactly once, at the latest when this is dropped.
#[derive(Debug)]
struct Tally {
    route: Arc<Route>,
    counted: bool,
}

impl Tally {
    fn new(route: Arc<Route>) -> Self {
        Self { route, counted: false }
    }

    /// Counts the outcome; gives `None`, so that a refusal reads as one expression.
    fn count<T>(mut self, outcome: Outcome) -> Option<T> {
        self.counted = true;
        self.route.metrics.count(outcome);
        None
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        if !self.counted {
            self.route.metrics.count(Outcome::InternalError);
        }
    }
}

/// What the gates let through.
#[derive(Clone, Copy, Debug)]
struct Open {
    epoch: Epoch,
    /// Of the fraction, less than 1 on probation.
    share: f64,
}

fn passing(gate: &Gate) -> Option<(u64, f64)> {
    match gate.read() {
        Reading::Open { epoch } => Some((epoch, 1.0)),
        Reading::Probation { epoch, share } => Some((epoch, f64::from(share) / 1000.0)),
        Reading::Tripped { .. } | Reading::Held => None,
    }
}

/// Whether a cooldown is over and nobody has asked yet.
fn is_due(gate: &Gate) -> bool {
    matches!(gate.read(), Reading::Tripped { until } if until <= std::time::Instant::now())
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

/// Now, as the guardrail wants it.
fn now() -> Moment {
    Moment { at: std::time::Instant::now(), wall: SystemTime::now() }
}
