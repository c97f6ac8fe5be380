//! One candidate: where copies for it wait, how many may be under way, whether it can be reached, and
//! what is known of it. Several candidates are several lanes, which share nothing that one of them
//! could use up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::{info, warn};

use super::between::Meeting;
use super::reach::Reach;
use super::slots::Slots;
use super::worker::noise::Noise;
use super::{Admitted, Arrived, Probe, Stage, Tally, pair, sample, ticket, worker};
use crate::body::{Budget, Capture, Held};
use crate::exchange::{Outcome, RequestSnapshot};
use crate::log_limit::LogLimit;
use crate::metrics::CopyGauges;
use crate::observe::{Observe, Open, Series};
use crate::plan::{Terms, Treatment};
use crate::policy::rate::Bucket;
use crate::policy::share::Share;
use crate::route::table::Route;
use crate::upstream::Upstream;
use judge::Epoch;

/// Tells this process' copies from all other requests, so that one that comes back ends there.
/// Mirrors one after the other each add a line.
const LOOP: HeaderName = HeaderName::from_static("x-mirrorlab-loop");

/// What all lanes of a proxy share.
pub(super) struct Shared {
    /// The value of [`LOOP`] in this process' copies, which nobody else knows.
    own: HeaderValue,
    pub(super) compare_runtime: Handle,
    probe: Option<Probe>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(compare_runtime: Handle, probe: Option<Probe>) -> Arc<Self> {
        let own = format!("{:032x}", rand::random::<u128>());
        let own = HeaderValue::try_from(own).expect("hex digits are a header value");
        Arc::new(Self { own, compare_runtime, probe })
    }

    /// Whether a request is a copy of this very process.
    pub(super) fn is_own_copy(&self, headers: &HeaderMap) -> bool {
        headers.get_all(LOOP).iter().any(|value| *value == self.own)
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
    pub(super) noise: Option<Arc<Noise>>,
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
    pub(super) in_flight: AtomicUsize,
    pub(super) slots: Arc<Slots>,
    pub(super) shared: Arc<Shared>,
    pub(super) noise: Option<Arc<Noise>>,
    reach: Reach,
    dropped: LogLimit,
    lost: LogLimit,
    found: LogLimit,
}

/// The way into a lane. As long as one is held, copies may come; after that the lane ends with its last.
#[derive(Debug)]
pub struct Entry {
    /// Where it leads.
    pub lane: Arc<Lane>,
    pub(super) room: Room,
    queue: mpsc::Sender<Job>,
    worker: AbortHandle,
}

/// A copy that waits to be sent, with all that it needs until its end.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) tally: Tally,
    pub(super) route: Arc<Route>,
    pub(super) terms: Arc<Terms>,
    pub(super) epoch: Epoch,
    pub(super) snapshot: Arc<RequestSnapshot>,
    pub(super) body: Option<Capture>,
    /// Pays for the snapshot.
    pub(super) held: Held,
    pub(super) complete_since: Instant,
    pub(super) baseline: pair::BaselineSide,
    /// Where its answer meets those of other candidates.
    pub(super) meeting: Option<Arc<Meeting>>,
}

/// Limits of copies a second.
type Rates<'a> = [Option<&'a Arc<Bucket>>; 3];

/// What decides on a request besides what it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sampling<'a> {
    pub(super) meeting: Option<&'a Arc<Meeting>>,
    pub(super) treatment: &'a Treatment,
    /// Whether it depends on how its path is read what holds for it.
    pub(super) in_doubt: bool,
    /// Where it stands among a million.
    pub(super) position: u32,
    /// Limits of copies a second.
    pub(super) rates: Rates<'a>,
}

impl Entry {
    /// Opens a lane, whose copies are sent from now on.
    pub(super) fn open(made: Made, shared: &Arc<Shared>) -> Arc<Self> {
        let Made { observe, upstream, budget, noise, room, unreachable_after } = made;
        let every = Duration::from_secs(5);
        let lane = Arc::new(Lane {
            observe,
            upstream,
            budget,
            noise,
            in_flight: AtomicUsize::new(0),
            slots: Slots::new(room.concurrency),
            shared: Arc::clone(shared),
            reach: Reach::new(unreachable_after),
            dropped: LogLimit::new(every),
            lost: LogLimit::new(every),
            found: LogLimit::new(every),
        });
        let (queue, jobs) = mpsc::channel(room.queue);
        let worker = tokio::spawn(worker::run(Arc::clone(&lane), jobs)).abort_handle();
        Arc::new(Self { lane, room, queue, worker })
    }

    /// Sends no more.
    pub(super) fn stop(&self) {
        self.worker.abort();
    }

    /// What is under way.
    pub fn gauges(&self) -> CopyGauges {
        CopyGauges {
            in_flight: self.lane.in_flight.load(Ordering::Relaxed),
            limit: self.lane.slots.current(),
            queue_length: self.queue.max_capacity() - self.queue.capacity(),
            buffered_bytes: self.lane.budget.used(),
        }
    }

    /// Decides whether this request is mirrored, and counts the outcome when it is not.
    pub(super) fn admit(
        self: &Arc<Self>,
        tally: Tally,
        (route, terms): (&Arc<Route>, &Arc<Terms>),
        arrived: Arrived<'_>,
        sampling: Sampling<'_>,
        snapshot: &mut dyn FnMut() -> Arc<RequestSnapshot>,
    ) -> Option<Admitted> {
        let lane = &self.lane;
        lane.probe(Stage::Admit);
        let open = lane.observe.open_now(&tally.series).filter(|_| terms.enabled);
        let facts = sample::Facts {
            marked: arrived.marked,
            upgrade: arrived.upgrade,
            allowed: open.is_some(),
            method: sampling.treatment.takes_method(arrived.method),
            in_doubt: sampling.in_doubt,
        };
        let share = share_now(&tally.series, sampling.treatment, terms, open);
        match (sample::sample(facts, share, sampling.position), open) {
            (Ok(()), Some(_)) if !lane.reach.admits(std::time::Instant::now) => {
                tally.count(Outcome::CandidateUnreachable)
            }
            (Ok(()), Some(open)) => {
                let meeting = sampling.meeting.cloned();
                let told = (arrived.length, sampling.rates);
                self.open_ticket((tally, meeting), open.epoch, (route, terms), told, snapshot)
            }
            (Ok(()), None) => tally.count(Outcome::Disabled),
            (Err(outcome), _) => tally.count(outcome),
        }
    }

    fn open_ticket(
        self: &Arc<Self>,
        (tally, meeting): (Tally, Option<Arc<Meeting>>),
        epoch: Epoch,
        (route, terms): (&Arc<Route>, &Arc<Terms>),
        (length, rates): (Option<u64>, Rates<'_>),
        snapshot: &mut dyn FnMut() -> Arc<RequestSnapshot>,
    ) -> Option<Admitted> {
        let lane = &self.lane;
        let with_body = terms.body;
        if with_body && length.is_some_and(|length| length > terms.max_body_bytes as u64) {
            return tally.count(Outcome::BodyTooLarge);
        }
        if length == Some(0) && self.queue.capacity() == 0 {
            // It would be handed over in a moment: nothing needs to be kept to see that it cannot be.
            lane.note_drop(Outcome::DroppedQueueFull);
            return tally.count(Outcome::DroppedQueueFull);
        }
        // After what is known to keep it from being sent, which uses up no rate.
        if !within(rates) {
            return tally.count(Outcome::DroppedRate);
        }
        let snapshot = snapshot();
        let Some(held) = lane.budget.try_take(snapshot.weight()) else {
            lane.note_drop(Outcome::DroppedBufferFull);
            return tally.count(Outcome::DroppedBufferFull);
        };
        let body = with_body.then(|| Capture::new(terms.max_body_bytes, &lane.budget));
        let (tap, baseline) = pair::new(Arc::clone(lane), Arc::clone(terms));
        let complete_since = Instant::now();
        let (route, terms) = (Arc::clone(route), Arc::clone(terms));
        let job = Job {
            tally,
            route,
            terms,
            epoch,
            snapshot,
            body,
            held,
            complete_since,
            baseline,
            meeting,
        };
        let (request, baseline) = ticket::new(Arc::clone(self), job, tap);
        Some(Admitted { request, baseline })
    }

    /// Puts a copy into the queue; drops and counts it when the queue is full.
    pub(super) fn submit(&self, mut job: Job) {
        self.lane.probe(Stage::Submit);
        job.complete_since = Instant::now();
        match self.queue.try_send(job) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(job)) => {
                self.lane.note_drop(Outcome::DroppedQueueFull);
                job.tally.count::<()>(Outcome::DroppedQueueFull);
            }
            // The worker is gone; dropping the job counts it as our own fault.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
    }
}

/// The share of requests now. Until as many pairs are known as a route asks for, it is all, but on
/// probation, which comes first.
fn share_now(series: &Series, treatment: &Treatment, terms: &Terms, open: Option<Open>) -> Share {
    let part = open.map_or(1.0, |open| open.part);
    let share = if series.pairs() < treatment.policy.min_pairs && terms.share > Share::NONE {
        Share::ALL
    } else {
        terms.share
    };
    share.times(part)
}

/// Whether all limits of copies a second let one more through.
fn within(rates: Rates<'_>) -> bool {
    let all = || rates.into_iter().flatten();
    if all().next().is_none() {
        return true;
    }
    let now = std::time::Instant::now();
    let Some(refused) = all().position(|bucket| !bucket.take(now)) else { return true };
    // Of a copy that is not sent the other limits know nothing.
    all().take(refused).for_each(|bucket| bucket.give_back());
    false
}

impl Lane {
    pub(super) fn probe(&self, stage: Stage) {
        self.shared.probe(stage);
    }

    /// The guardrail wants so many breaches.
    pub(super) fn set_unreachable_after(&self, after: u32) {
        self.reach.set_after(after);
    }

    /// Makes a request a copy that is known as one.
    pub(super) fn mark_copy(&self, terms: &Terms, headers: &mut HeaderMap) {
        if let Some((name, value)) = &terms.mark {
            headers.insert(name, value.clone());
        }
        headers.append(LOOP, self.shared.own.clone());
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

    pub(super) fn note_drop(&self, outcome: Outcome) {
        if let Some(before) = self.dropped.admit(std::time::Instant::now()) {
            let (candidate, reason) = (self.observe.name(), outcome.name());
            warn!(%candidate, reason, not_logged_before = before, "copies are dropped");
        }
    }
}
