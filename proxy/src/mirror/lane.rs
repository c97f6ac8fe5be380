//! One candidate: where copies for it wait, how many may be under way, whether it can be reached, and
//! what is known of it. Several candidates are several lanes, which share nothing that one of them
//! could use up.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::runtime::Handle;
use tracing::{info, warn};

use super::identities::{Both, Identities};
use super::order::{Order, Sessions, Waiting};
use super::reach::Reach;
use super::secondary::Secondary;
use super::slots::Slots;
use super::{Failpoint, Stage};
use crate::body::Budget;
use crate::exchange::Outcome;
use crate::log_limit::LogLimit;
use crate::observe::Observe;
use crate::plan::{Preparation, Terms};
use crate::policy::hook::Hook;
use crate::record::Recorder;
use crate::telemetry::{Traced, TracedCopy, Tracer};
use crate::upstream::Upstream;
use transform::hook::Failure;
use transform::identity::Secret;
use transform::redact::Tally;
use transform::steps::Failed;

/// Tells this process' copies from all other requests, so that one that comes back ends there.
/// Mirrors one after the other each add a line.
const LOOP: HeaderName = HeaderName::from_static("x-mirrorlab-loop");

/// What all lanes of a proxy share.
pub(super) struct Shared {
    /// The value of [`LOOP`] in this process' copies, which nobody else knows.
    own: HeaderValue,
    pub(super) compare_runtime: Handle,
    /// Whose copies go one after the other.
    pub(super) sessions: Sessions,
    /// Hashes ids.
    pub(super) secret: Secret,
    /// The bytes of all lanes, those that are ending included.
    pub(super) budget: Arc<Budget>,
    /// The part of it for requests that are relayed.
    pub(super) relayed: Arc<Budget>,
    /// The part of it for what is recorded.
    pub(super) recorded: Arc<Budget>,
    pub(super) recorder: Recorder,
    pub(super) tracer: Tracer,
    probe: Option<Failpoint>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(
        compare_runtime: Handle,
        (recorder, tracer): (Recorder, Tracer),
        probe: Option<Failpoint>,
    ) -> Arc<Self> {
        let own = format!("{:032x}", rand::random::<u128>());
        let own = HeaderValue::try_from(own).expect("hex digits are a header value");
        let (sessions, budget) = (Sessions::default(), Budget::new(0));
        let secret = Secret::new([rand::random(), rand::random()]);
        let [relayed, recorded] = [(), ()].map(|()| budget.part(0));
        Arc::new(Self {
            own,
            compare_runtime,
            sessions,
            secret,
            budget,
            relayed,
            recorded,
            recorder,
            tracer,
            probe,
        })
    }

    /// Whether a request is a copy of this very process.
    pub(super) fn is_own_copy(&self, headers: &HeaderMap) -> bool {
        headers.get_all(LOOP).iter().any(|value| *value == self.own)
    }

    /// Makes a request a copy that is known as one.
    pub(super) fn mark_copy(&self, terms: &Terms, headers: &mut HeaderMap) {
        if let Some((name, value)) = &terms.mark {
            headers.insert(name, value.clone());
        }
        headers.append(LOOP, self.own.clone());
    }

    pub(super) fn probe(&self, stage: Stage) {
        if let Some(probe) = &self.probe {
            probe(stage);
        }
    }
}

/// What a lane is made of.
pub(super) struct Made {
    pub(super) observe: Arc<Observe>,
    pub(super) upstream: Arc<Upstream>,
    pub(super) budget: Arc<Budget>,
    pub(super) identities: Both,
    pub(super) secondary: Option<Arc<Secondary>>,
    pub(super) room: Room,
    /// Failed connections in a row after which only probes are tried.
    pub(super) unreachable_after: u32,
}

/// How many copies may wait, and be in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) queue: usize,
    pub(super) concurrency: usize,
}

/// One candidate.
#[derive(Debug)]
pub struct Lane {
    /// What is known of it.
    pub observe: Arc<Observe>,
    /// The candidate.
    pub upstream: Arc<Upstream>,
    /// Its part of the byte budget.
    pub budget: Arc<Budget>,
    /// What it calls what the baseline calls otherwise.
    pub identities: Arc<Identities>,
    /// The same of the second baseline, where it is asked beside this candidate.
    pub(super) of_secondary: Arc<Identities>,
    pub(super) in_flight: AtomicUsize,
    pub(super) slots: Arc<Slots>,
    pub(super) order: Arc<Order>,
    /// Those that wait beside the queue.
    pub(super) waiting: Arc<Waiting>,
    pub(super) shared: Arc<Shared>,
    pub(super) secondary: Option<Arc<Secondary>>,
    pub(super) reach: Reach,
    dropped: LogLimit,
    unfit: LogLimit,
    hooked: LogLimit,
    lost: LogLimit,
    found: LogLimit,
}

impl Lane {
    pub(super) fn new(made: Made, shared: &Arc<Shared>) -> Arc<Self> {
        let Made { observe, upstream, budget, identities, secondary, room, unreachable_after } =
            made;
        let [identities, of_secondary] = identities;
        let every = Duration::from_secs(5);
        Arc::new(Self {
            observe,
            upstream,
            budget,
            identities,
            of_secondary,
            secondary,
            in_flight: AtomicUsize::new(0),
            slots: Slots::new(room.concurrency),
            order: Arc::default(),
            waiting: Waiting::new(room.queue),
            shared: Arc::clone(shared),
            reach: Reach::new(unreachable_after),
            dropped: LogLimit::new(every),
            unfit: LogLimit::new(every),
            hooked: LogLimit::new(every),
            lost: LogLimit::new(every),
            found: LogLimit::new(every),
        })
    }

    pub(super) fn probe(&self, stage: Stage) {
        self.shared.probe(stage);
    }

    /// What follows a copy of this request.
    pub(super) fn traced(&self, request: &Arc<Traced>) -> Box<TracedCopy> {
        request.copy(self.observe.name(), &self.upstream)
    }

    /// The guardrail wants so many breaches.
    pub(super) fn set_unreachable_after(&self, after: u32) {
        self.reach.set_after(after);
    }

    /// How many copies wait for another.
    pub fn waiting(&self) -> usize {
        self.waiting.count()
    }

    /// Forgets what is known of an identity, or of all; says how much that was.
    pub fn forget_identities(&self, name: Option<&str>) -> usize {
        self.of_secondary.clear(name);
        self.identities.clear(name)
    }

    /// Keeps in mind whether there was a connection to the candidate.
    pub(super) fn note_reach(&self, connected: bool) {
        if connected {
            if self.reach.connected()
                && let Some(before) = self.found.admit(std::time::Instant::now())
            {
                let candidate = self.observe.name();
                info!(%candidate, not_logged_before = before, "the candidate takes connections again");
            }
        } else if self.reach.failed(std::time::Instant::now())
            && let Some(before) = self.lost.admit(std::time::Instant::now())
        {
            let candidate = self.observe.name();
            warn!(
                %candidate,
                not_logged_before = before,
                "the candidate is unreachable; only probes are sent"
            );
        }
    }

    /// A copy could not be made to fit, and was not sent.
    pub(super) fn note_unfit(&self, route: &str, failed: &Failed) {
        if let Some(before) = self.unfit.admit(std::time::Instant::now()) {
            let (candidate, why) = (self.observe.name(), failed.fault.name());
            let transform = &*failed.step;
            warn!(
                %candidate,
                route,
                transform,
                why,
                not_logged_before = before,
                "copies are not sent: a transform does not fit them"
            );
        }
    }

    /// A hook failed, and with it a copy, or what would have been compared.
    pub(super) fn note_hook(&self, route: &str, hook: &Hook, failed: &Failure) {
        if let Some(before) = self.hooked.admit(std::time::Instant::now()) {
            let (candidate, hook, script) = (self.observe.name(), &*hook.name, &*hook.place);
            let (line, column) = (failed.line.unwrap_or(0), failed.column.unwrap_or(0));
            let why = &*failed.reason;
            warn!(
                %candidate,
                route,
                hook,
                script,
                line,
                column,
                why,
                not_logged_before = before,
                "a hook failed"
            );
        }
    }

    /// Values were hidden in a copy.
    pub(super) fn count_redacted(&self, preparation: &Preparation, tally: &Tally) {
        let Some(policy) = preparation.redaction() else { return };
        let mut counts = tally.counts().peekable();
        if counts.peek().is_some() {
            let metrics = self.observe.metrics();
            counts.for_each(|(by, count)| {
                metrics.count_redacted(policy.name(by), policy.way_of(by).name(), count.into());
            });
        }
    }

    pub(super) fn note_drop(&self, outcome: Outcome) {
        if let Some(before) = self.dropped.admit(std::time::Instant::now()) {
            let (candidate, reason) = (self.observe.name(), outcome.name());
            warn!(%candidate, reason, not_logged_before = before, "copies are dropped");
        }
    }
}
