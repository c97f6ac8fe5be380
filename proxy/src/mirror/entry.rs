//! The way into a lane: the queue where copies for a candidate wait, and who sends them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::job::Job;
use super::lane::{Lane, Made, Room, Shared};
use super::{Stage, worker};
use crate::metrics::CopyGauges;

/// The way into a lane. As long as one is held, copies may come; after that the lane ends with its last.
#[derive(Debug)]
pub struct Entry {
    /// Where it leads.
    pub lane: Arc<Lane>,
    pub(super) room: Room,
    pub(super) queue: mpsc::Sender<Box<Job>>,
    worker: AbortHandle,
}

impl Entry {
    /// Opens a lane, whose copies are sent from now on.
    pub(super) fn open(made: Made, shared: &Arc<Shared>) -> Arc<Self> {
        let room = made.room;
        let lane = Lane::new(made, shared);
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
            queue_length: self.queue.max_capacity() - self.queue.capacity()
                + self.lane.waiting.count(),
            buffered_bytes: self.lane.budget.used(),
        }
    }

    /// Puts a copy into the queue; drops and counts it when the queue is full.
    pub(super) fn submit(&self, mut job: Job) {
        self.lane.probe(Stage::Submit);
        job.complete_since = Instant::now();
        if let Some(traced) = job.tally.traced() {
            traced.waits();
        }
        job.turn = job.session.map(|session| self.lane.order.stand_in_line(session));
        // It goes from hand to hand from here on, and is large.
        match self.queue.try_send(Box::new(job)) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(job)) => {
                worker::drop_for_want_of_room(&self.lane, job)
            }
            // The worker is gone; dropping the job counts it as our own fault.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
    }
}
