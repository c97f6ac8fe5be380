//! Asks what lies in a spool, in order.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::{error, info};

use super::spool::Spool;
use crate::body::{Budget, Held};
use crate::exchange::{Relayed, RequestSnapshot};
use crate::forward::{Forward, Parcel};
use crate::metrics::Metrics;
use crate::mirror::{Follow, Keep};

/// How often is looked whether there is room in memory again.
const PAUSE: Duration = Duration::from_millis(10);

/// What asks them.
pub(super) struct Replay {
    pub(super) spool: Arc<Spool>,
    pub(super) forward: Arc<Forward>,
    pub(super) slots: Arc<Semaphore>,
    pub(super) budget: Arc<Budget>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) unfinished: TaskTracker,
}

/// A request of the spool, until all of its outcomes are there. Only then it is forgotten: what ends before,
/// by a crash or because the process ends, is asked again.
#[derive(Debug)]
struct Over {
    spool: Arc<Spool>,
    id: i64,
    asked: AtomicBool,
    faulty: AtomicBool,
    /// A slow candidate holds up the others: in the spool they lose nothing by waiting, and in its queue they
    /// would.
    _slot: OwnedSemaphorePermit,
    _unfinished: TaskTrackerToken,
}

impl Over {
    /// Nobody is asked any more.
    fn was_asked(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }
}

impl Follow for Over {
    fn fault(&self) {
        self.faulty.store(true, Ordering::Relaxed);
    }
}

impl Drop for Over {
    fn drop(&mut self) {
        if self.asked.load(Ordering::Relaxed) && !self.faulty.load(Ordering::Relaxed) {
            self.spool.forget(self.id);
        }
    }
}

impl Replay {
    /// Asks for ever.
    pub(super) async fn run(self) {
        let (there, _) = self.spool.size();
        if there > 0 {
            info!(requests = there, "the spool has requests from before the start");
        }
        let mut after = 0;
        loop {
            for (id, parcel) in self.spool.read(after).await {
                after = id;
                if id <= self.spool.before {
                    self.metrics.count_relayed(Relayed::Replayed);
                }
                let Some(parcel) = parcel else {
                    self.metrics.count_relayed(Relayed::SpoolDamaged);
                    error!(
                        id,
                        "a request in the spool is no longer what was written, and left out"
                    );
                    self.spool.forget(id);
                    continue;
                };
                let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else { return };
                let (spool, unfinished) = (Arc::clone(&self.spool), self.unfinished.token());
                let (asked, faulty) = Default::default();
                let over = Arc::new(Over {
                    spool,
                    id,
                    asked,
                    faulty,
                    _slot: slot,
                    _unfinished: unfinished,
                });
                let Some(held) = self.room_for(&parcel).await else {
                    let Parcel { head, client, .. } = &parcel;
                    self.lose(head, *client);
                    over.was_asked();
                    continue;
                };
                let forward = Arc::clone(&self.forward);
                tokio::spawn(async move {
                    forward.relay(parcel, Arc::clone(&over) as Keep).await;
                    over.was_asked();
                    drop(held);
                });
            }
        }
    }

    /// Waits until there is room; `None` where there is none even with nothing else in it.
    async fn room_for(&self, parcel: &Parcel) -> Option<Held> {
        let bytes = parcel.head.weight() + parcel.body.len();
        loop {
            if let Some(held) = self.budget.try_take(bytes) {
                return Some(held);
            }
            if self.budget.used() == 0 {
                return self.budget.try_take(bytes);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn lose(&self, head: &RequestSnapshot, client: IpAddr) {
        self.metrics.count_relayed(Relayed::BufferFull);
        self.forward.lose(head, client, false, Relayed::BufferFull.outcome());
    }
}
