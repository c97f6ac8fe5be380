//! Relay listeners: another mirror sends its copies here. Each is answered at once, and asked of baseline and
//! candidate in the background, by the same admission and the same limits as what the main path mirrors.
//!
//! What does not fit is dropped and counted, and its sender has its answer all the same.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::warn;

use crate::body::{Budget, Capture, Held};
use crate::exchange::{Refusal, Relayed, RequestSnapshot};
use crate::forward::{Broken, Downstream, DownstreamBody, Forward, Incomplete, Parcel, Upload};
use crate::headers::Peer;
use crate::limits::timed::Activity;
use crate::log_limit::LogLimit;
use crate::metrics::{Metrics, RelayGauges};
use crate::mirror::Follow;
use compare::Cause;

mod replay;
pub mod spool;

use replay::Replay;
use spool::{Keeping, Spool, SpoolError};

/// How often the same drop is logged at most.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// What a relay listener does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The answer's status.
    pub status: StatusCode,
    /// The answer's body.
    pub body: Bytes,
    /// Requests that may wait.
    pub queue_size: usize,
    /// Requests at once that are asked of the baseline.
    pub concurrency: usize,
    /// Where they wait; in memory where there is none.
    pub spool: Option<spool::Config>,
}

/// A relay listener's requests, from their arrival to their last outcome.
#[derive(Debug)]
pub struct Relay {
    config: Config,
    forward: Arc<Forward>,
    metrics: Arc<Metrics>,
    budget: Arc<Budget>,
    arriving: Arc<AtomicUsize>,
    arriving_max: usize,
    queue: Queue,
    /// All that is not over.
    unfinished: TaskTracker,
    slots: Arc<Semaphore>,
    worker: AbortHandle,
    dropped: LogLimit,
}

/// Where requests wait to be asked.
#[derive(Debug)]
enum Queue {
    Memory(mpsc::Sender<Waiting>),
    Disk(Arc<Spool>),
}

/// A request that waits in memory.
#[derive(Debug)]
struct Waiting {
    parcel: Parcel,
    /// Pays for it.
    held: [Held; 2],
    unfinished: TaskTrackerToken,
}

/// How a relay ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Requests that were not over in time and are lost.
    pub cut: usize,
    /// Requests that are kept until the next start.
    pub kept: u64,
}

/// A request that is not over.
#[derive(Debug)]
struct Unfinished(#[expect(dead_code, reason = "held for its end")] TaskTrackerToken);

impl Follow for Unfinished {
    fn fault(&self) {}
}

/// Counts a request as arriving while it lives.
#[derive(Debug)]
struct Arriving(Arc<AtomicUsize>);

impl Drop for Arriving {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What became of a request's body.
enum Read {
    Whole(Capture),
    /// It is not kept, and the rest of it is still to come.
    TooMuch(Upload, Relayed),
    Broken(Broken),
}

impl Relay {
    /// Takes requests from now on; `arriving_max` at once may be on their way to be whole.
    ///
    /// # Errors
    /// A spool that cannot be used.
    pub fn start(
        config: Config,
        forward: Arc<Forward>,
        budget: Arc<Budget>,
        metrics: Arc<Metrics>,
        arriving_max: usize,
    ) -> Result<Arc<Self>, SpoolError> {
        let slots = Arc::new(Semaphore::new(config.concurrency));
        let (arriving, unfinished) = (Arc::default(), TaskTracker::new());
        let asked = (Arc::clone(&forward), Arc::clone(&slots));
        let (queue, worker) = match &config.spool {
            None => {
                let (queue, waiting) = mpsc::channel(config.queue_size);
                (Queue::Memory(queue), tokio::spawn(work(asked.0, asked.1, waiting)))
            }
            Some(spool) => {
                let spool = Spool::open(spool, config.queue_size)?;
                let (budget, metrics) = (Arc::clone(&budget), Arc::clone(&metrics));
                let (forward, slots) = asked;
                let unfinished = unfinished.clone();
                let ours = Arc::clone(&spool);
                let replay = Replay { spool: ours, forward, slots, budget, metrics, unfinished };
                (Queue::Disk(spool), tokio::spawn(replay.run()))
            }
        };
        let (worker, dropped) = (worker.abort_handle(), LogLimit::new(LOG_EVERY));
        Ok(Arc::new(Self {
            config,
            forward,
            metrics,
            budget,
            arriving,
            arriving_max,
            queue,
            unfinished,
            slots,
            worker,
            dropped,
        }))
    }

    /// Answers a request once it is whole, or once it is known that it is not kept.
    pub async fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
        peer: &Peer,
        connection: &Activity,
    ) -> Response<Downstream> {
        let Incomplete { head, upgrade, upload } = match self.forward.take(request, connection) {
            Ok(incomplete) => incomplete,
            Err(refusal) => return self.forward.refuse_parcel(refusal),
        };
        let client = peer.ip();
        if upgrade {
            self.lose(&head, client, true, Relayed::Upgrade);
            return self.answered();
        }
        let before = self.arriving.fetch_add(1, Ordering::Relaxed);
        let arriving = Arriving(Arc::clone(&self.arriving));
        if before >= self.arriving_max {
            self.lose(&head, client, false, Relayed::TooMany);
            return self.answered();
        }
        match self.read(upload, &head, client).await {
            Read::Whole(body) => self.submit(head, body, client).await,
            Read::TooMuch(rest, why) => {
                self.lose(&head, client, false, why);
                tokio::spawn(async move {
                    rest.discard().await;
                    drop(arriving);
                });
            }
            Read::Broken(Broken::Refused(refusal)) => return self.forward.refuse_parcel(refusal),
            Read::Broken(Broken::Left) => {
                self.lose(&head, client, false, Relayed::ClientAborted);
            }
        }
        self.answered()
    }

    fn answered(&self) -> Response<Downstream> {
        let body = DownstreamBody::Ready(Full::new(self.config.body.clone()));
        let mut response = Response::new(body.into());
        *response.status_mut() = self.config.status;
        response
    }

    async fn read(&self, mut upload: Upload, head: &RequestSnapshot, client: IpAddr) -> Read {
        let limit = self.forward.body_limit(head, client);
        if upload.length.is_some_and(|length| length > limit as u64) {
            return Read::TooMuch(upload, Relayed::BodyTooLarge);
        }
        let mut body = Capture::new(limit, &self.budget);
        loop {
            match upload.chunk().await {
                None => return Read::Whole(body),
                Some(Err(broken)) => return Read::Broken(broken),
                Some(Ok(chunk)) => match body.push(&chunk) {
                    Ok(()) => {}
                    Err(Cause::TooLarge) => {
                        return Read::TooMuch(upload, Relayed::BodyTooLarge);
                    }
                    Err(Cause::NoBudget) => return Read::TooMuch(upload, Relayed::BufferFull),
                },
            }
        }
    }

    /// Puts a request into the queue.
    async fn submit(self: &Arc<Self>, head: RequestSnapshot, body: Capture, client: IpAddr) {
        let Some(held) = self.budget.try_take(head.weight()) else {
            return self.lose(&head, client, false, Relayed::BufferFull);
        };
        let (body, paid) = body.into_parts();
        let (parcel, held) = (Parcel { head, body: body.into(), client }, [held, paid]);
        match &self.queue {
            Queue::Memory(queue) => {
                let unfinished = self.unfinished.token();
                match queue.try_send(Waiting { parcel, held, unfinished }) {
                    Ok(()) => self.metrics.count_relayed(Relayed::Relayed),
                    Err(lost) => self.tell(&lost.into_inner().parcel, Err(Relayed::QueueFull)),
                }
            }
            Queue::Disk(spool) => match spool.keep(&parcel, held) {
                Ok(keeping) => self.kept(parcel, keeping).await,
                Err(why) => self.tell(&parcel, Err(why)),
            },
        }
    }

    /// Waits until a request is on the disk, but not for ever.
    async fn kept(self: &Arc<Self>, parcel: Parcel, mut keeping: Keeping) {
        match tokio::time::timeout(spool::PATIENCE, keeping.written()).await {
            Ok(written) => self.tell(&parcel, written),
            Err(_) if keeping.take_back() => self.tell(&parcel, Err(Relayed::SpoolFailed)),
            // It is being written: what comes of it is counted, and its sender is answered now.
            Err(_) => {
                let relay = Arc::clone(self);
                tokio::spawn(async move { relay.tell(&parcel, keeping.written().await) });
            }
        }
    }

    /// Counts what became of a request that is whole.
    fn tell(&self, parcel: &Parcel, taken: Result<(), Relayed>) {
        match taken {
            Ok(()) => self.metrics.count_relayed(Relayed::Relayed),
            Err(why) => self.lose(&parcel.head, parcel.client, false, why),
        }
    }

    /// Counts a request that is not relayed.
    fn lose(&self, head: &RequestSnapshot, client: IpAddr, upgrade: bool, why: Relayed) {
        self.metrics.count_relayed(why);
        self.forward.lose(head, client, upgrade, why.outcome());
        if why.is_drop()
            && let Some(before) = self.dropped.admit(std::time::Instant::now())
        {
            let reason = why.name();
            warn!(reason, not_logged_before = before, "requests are not relayed");
        }
    }

    /// A request was refused before it was one.
    pub fn note_refused(&self, refusal: Refusal) {
        self.metrics.count_refused(refusal);
    }

    /// Adds what is under way.
    pub fn add_to(&self, gauges: &mut RelayGauges) {
        match &self.queue {
            Queue::Memory(queue) => {
                gauges.queue_length += queue.max_capacity() - queue.capacity();
            }
            Queue::Disk(spool) => {
                let (count, bytes) = spool.size();
                gauges.spooled += count;
                gauges.spool_bytes += bytes;
            }
        }
        gauges.in_flight += self.config.concurrency - self.slots.available_permits();
    }

    /// Waits until all that was taken is over, or what is being asked where the rest is on disk; what is not
    /// at `deadline` is left.
    pub async fn drain(&self, deadline: Instant) -> Left {
        let spool = match &self.queue {
            Queue::Memory(_) => None,
            Queue::Disk(spool) => {
                self.worker.abort();
                Some(Arc::clone(spool))
            }
        };
        self.unfinished.close();
        let over = timeout_at(deadline, self.unfinished.wait()).await;
        self.worker.abort();
        let Some(spool) = spool else {
            let cut = if over.is_ok() { 0 } else { self.unfinished.len() };
            return Left { cut, kept: 0 };
        };
        let closing = Arc::clone(&spool);
        let closed = tokio::task::spawn_blocking(move || closing.close());
        // The disk may hang, and the end is not to.
        tokio::time::timeout(spool::PATIENCE, closed).await.ok();
        Left { cut: 0, kept: spool.size().0 }
    }
}

/// Asks in the order of arrival, so many at once, until the queue's other end is gone.
async fn work(forward: Arc<Forward>, slots: Arc<Semaphore>, mut queue: mpsc::Receiver<Waiting>) {
    loop {
        // A slot is waited for first, so that a request waits in the queue and nowhere else; it is taken for
        // one that is there, since till then none is in flight. Nobody else takes any.
        if slots.acquire().await.is_err() {
            return;
        }
        let Some(waiting) = queue.recv().await else { return };
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        tokio::spawn(relay(Arc::clone(&forward), waiting, slot));
    }
}

async fn relay(forward: Arc<Forward>, waiting: Waiting, slot: OwnedSemaphorePermit) {
    let Waiting { parcel, held, unfinished } = waiting;
    // A candidate that is slow holds up neither the queue nor the others.
    forward.relay(parcel, Arc::new(Unfinished(unfinished))).await;
    drop((held, slot));
}
