//! Carries closed files into an object store. What cannot be carried stays in the folder until it can, or until the
//! quota takes it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use stored::Store;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::warn;
use traffic::disk::Disk;

use super::MISMATCHES;
use crate::log_limit::LogLimit;
use crate::metrics::RecordMetrics;

/// How often is looked whether a file was closed.
const EVERY: Duration = Duration::from_secs(2);
/// How long the last files may take.
const LAST: Duration = Duration::from_secs(30);
/// How often it is logged at most that the store cannot be reached.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Carries files.
#[derive(Debug)]
pub(super) struct Carrier {
    way: Arc<Way>,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Way {
    /// Each folder, and the store that its files go to.
    folders: [(Disk, Store); 2],
    metrics: RecordMetrics,
    told: LogLimit,
}

impl Carrier {
    /// Begins to.
    pub(super) fn start(store: Store, dir: &Path, metrics: &RecordMetrics) -> Self {
        let apart = (Disk::new(dir.join(MISMATCHES)), store.below(MISMATCHES));
        let folders = [(Disk::new(dir), store), apart];
        let way =
            Arc::new(Way { folders, metrics: metrics.clone(), told: LogLimit::new(TOLD_EVERY) });
        let carrying = Arc::clone(&way);
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                carrying.carry().await;
            }
        });
        Self { way, task: Mutex::new(Some(task)) }
    }

    /// Carries the last of them, but not for long.
    pub(super) async fn close(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
            drop(tokio::time::timeout(LAST, self.way.carry()).await);
        }
    }
}

impl Way {
    async fn carry(self: &Arc<Self>) {
        let way = Arc::clone(self);
        let runtime = Handle::current();
        // Files are read in place, and no client is to wait for that.
        let carried = tokio::task::spawn_blocking(move || {
            for (disk, store) in &way.folders {
                match runtime.block_on(store.carry(&mut disk.clone())) {
                    Ok(carried) => way.metrics.count_stored(carried.segments),
                    Err(error) => way.tell(&error),
                }
            }
        });
        // Where that panicked the files are still there.
        drop(carried.await);
    }

    fn tell(&self, error: &stored::Error) {
        self.metrics.count_not_stored();
        if let Some(before) = self.told.admit(Instant::now()) {
            warn!(%error, not_logged_before = before, "recordings are not carried into the store");
        }
    }
}
