//! Which copy goes out next: the first of the queue, but for those that have to wait for another. These
//! wait beside the queue, without a slot, and go before it when they need not wait any more.

use std::pin::pin;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::timeout_at;

use super::{drop_for_want_of_room, identities};
use crate::mirror::job::Job;
use crate::mirror::lane::Lane;
use crate::mirror::order::Waits;

/// Copies that have waited, at once on their way back.
const READY_MAX: usize = 64;

/// The copies of a lane that are still to be sent.
#[derive(Debug)]
pub(super) struct Due {
    queue: mpsc::Receiver<Box<Job>>,
    open: bool,
    ready: mpsc::Receiver<(Box<Job>, Waits)>,
    back: Back,
}

/// Where those that have waited go.
pub(super) type Back = mpsc::Sender<(Box<Job>, Waits)>;

impl Due {
    pub(super) fn new(queue: mpsc::Receiver<Box<Job>>) -> Self {
        let (back, ready) = mpsc::channel(READY_MAX);
        Self { queue, open: true, ready, back }
    }

    /// For those that wait elsewhere.
    pub(super) fn back(&self) -> Back {
        self.back.clone()
    }

    /// The next one; `None` when there will be no more. Keeps its place when it is dropped.
    pub(super) async fn next(&mut self, lane: &Arc<Lane>) -> Option<Box<Job>> {
        loop {
            if !self.open && lane.waiting.count() == 0 {
                return None;
            }
            tokio::select! {
                biased;
                Some((job, waits)) = self.ready.recv() => {
                    drop(waits);
                    return Some(job);
                }
                job = self.queue.recv(), if self.open => {
                    let Some(mut job) = job else {
                        self.open = false;
                        continue;
                    };
                    aboard(lane, &mut job);
                    if job.is_its_turn() {
                        return Some(job);
                    }
                    match lane.waiting.begin() {
                        Some(waits) => drop(tokio::spawn(wait(Arc::clone(lane), job, waits, self.back.clone()))),
                        None => drop_for_want_of_room(lane, job),
                    }
                }
            }
        }
    }
}

/// From here on it may teach ids to those that come later.
pub(super) fn aboard(lane: &Lane, job: &mut Job) {
    if job.aboard.is_none() {
        let (progress, method) = (job.baseline.progress(), &job.snapshot.method);
        let of = (&progress, method);
        job.aboard = identities::board(&lane.identities, &job.terms, &job.scopes, of);
    }
}

/// Waits for its turn. One whose time is over comes back, too, to be counted.
async fn wait(lane: Arc<Lane>, mut job: Box<Job>, waits: Waits, back: Back) {
    if identities::ask(&lane, &mut job).await.is_none() {
        return;
    }
    let until = job.complete_since + job.terms.timeout / 2;
    let Job { turn, aboard, baseline, .. } = &mut *job;
    if let Some(turn) = turn {
        let come = pin!(timeout_at(until, turn.come()));
        identities::beside(pin!(come), identities::telling(&lane, baseline, &[aboard])).await.ok();
    }
    // Without a worker nothing is sent any more.
    back.send((job, waits)).await.ok();
}
