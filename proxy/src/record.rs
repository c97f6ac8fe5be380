//! Records exchanges: what was asked, what the baseline answered, and what came of it at candidates, redacted before
//! anything is written.
//!
//! Whoever has one to record never waits: it goes through a bounded queue to a thread of its own, which looks into
//! bodies, compresses and writes. What finds no place there, or cannot be written, is dropped and counted.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stored::Store;
use tokio::sync::oneshot;
use tracing::warn;

mod carry;
pub mod masked;
mod queue;
mod taken;
mod writer;

pub use taken::{About, Taken, TakenAnswer, TakenBody, TakenPair};

use crate::exchange::Recorded;
use crate::log_limit::LogLimit;
use crate::metrics::RecordMetrics;
use crate::policy::record::Record;
use carry::Carrier;
use queue::{LATE, Next, Queue};
use writer::{MISMATCHES, Writer};

/// How often what was taken is flushed: with the time that it waited before, within a second.
const FLUSHED: Duration = Duration::from_millis(500);
/// How long the last exchanges may take to be written.
const LAST: Duration = Duration::from_secs(5);
/// How often it is logged at most that exchanges are not recorded.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// What is recorded, and where.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where.
    pub place: Place,
    /// What, where a route does not say otherwise.
    pub all: Record,
    /// Where closed files go from there.
    pub store: Option<Store>,
    /// Who brings exchanges waits for the disk, for nobody waits for an answer: none is dropped for being late or many.
    pub waits: bool,
}

/// Where it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// A folder of its own.
    pub dir: PathBuf,
    /// A larger file is closed for a new one, in bytes.
    pub segment_bytes: u64,
    /// An older one, too.
    pub segment_age: Duration,
    /// Most bytes of all files; the oldest are deleted first.
    pub max_bytes: u64,
    /// What this process is called in the names of files.
    pub replica: String,
}

/// Records, or does not. Copies are of the same one.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Option<Arc<Running>>);

#[derive(Debug)]
struct Running {
    queue: Arc<Queue>,
    metrics: RecordMetrics,
    carrier: Option<Carrier>,
}

/// Ends a queue when it goes.
struct Ends(Arc<Queue>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.queue.end();
    }
}

impl Recorder {
    /// Opens the folder and starts the thread that writes there.
    ///
    /// # Errors
    /// Where it cannot be written to.
    pub async fn start(config: Config, metrics: &RecordMetrics) -> io::Result<Self> {
        let Config { place, store, waits, .. } = config;
        let carrier = store.map(|store| Carrier::start(store, &place.dir, metrics));
        let queue = Arc::new(Queue::new(waits));
        let (opened, when_opened) = oneshot::channel();
        let (waiting, counted) = (Arc::clone(&queue), metrics.clone());
        std::thread::Builder::new().name("record".to_owned()).spawn(move || {
            let (writer, result) = match Writer::open(place) {
                Ok(writer) => (Some(writer), Ok(())),
                Err(error) => (None, Err(error)),
            };
            // Whoever waits for room must not do so for a thread that is gone.
            let _ends = Ends(Arc::clone(&waiting));
            if let (Ok(()), Some(writer)) = (opened.send(result), writer) {
                run(&waiting, writer, &counted);
            }
        })?;
        when_opened.await.map_err(io::Error::other)??;
        Ok(Self(Some(Arc::new(Running { queue, metrics: metrics.clone(), carrier }))))
    }

    /// Whether there is one.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Records an exchange. Returns at once, or as soon as there is room where the source waits.
    pub fn offer(&self, taken: Box<Taken>) {
        let Some(running) = &self.0 else { return };
        self.drop_late();
        if !running.queue.push(taken, Instant::now()) {
            running.metrics.count(Recorded::DroppedQueueFull, 1);
        }
    }

    /// Drops and counts what has waited for too long, where the disk holds up whoever writes.
    pub fn drop_late(&self) {
        if let Some(running) = &self.0 {
            running.metrics.count(Recorded::DroppedLate, running.queue.drop_late());
        }
    }

    /// Counts one that is not recorded.
    pub fn count(&self, result: Recorded) {
        if let Some(running) = &self.0 {
            running.metrics.count(result, 1);
        }
    }

    /// Waits until what was recorded is written, but not for long.
    pub async fn close(&self) {
        let Some(running) = &self.0 else { return };
        let (done, when_done) = oneshot::channel();
        running.queue.close(done);
        // Nobody is left to write where it is dropped.
        drop(tokio::time::timeout(LAST, when_done).await);
        if let Some(carrier) = &running.carrier {
            carrier.close().await;
        }
    }
}

/// Writes until nobody is left who has anything to record.
fn run(queue: &Queue, mut writer: Writer, metrics: &RecordMetrics) {
    let told = LogLimit::new(TOLD_EVERY);
    let mut flushed = Instant::now();
    loop {
        let next = queue.next(FLUSHED.saturating_sub(flushed.elapsed()));
        let (losses, done) = match next {
            Next::Write(taken) => (writer.write(*taken), Vec::new()),
            Next::Close(done) => (writer.close(), done),
            Next::Nothing => (Vec::new(), Vec::new()),
            Next::Over => {
                let losses = writer.close();
                return tell(&told, metrics, &mut writer, losses);
            }
        };
        tell(&told, metrics, &mut writer, losses);
        for done in done {
            done.send(()).ok();
        }
        if flushed.elapsed() >= FLUSHED {
            flushed = Instant::now();
            let mut losses = writer.flush();
            losses.extend(late(queue.drop_late()));
            tell(&told, metrics, &mut writer, losses);
            metrics.set_bytes(writer.bytes());
        }
    }
}

/// Exchanges that are not recorded: what became of them, how many, and why.
type Loss = (Recorded, u64, String);

fn late(exchanges: u64) -> Option<Loss> {
    let why = || format!("waited for more than {LATE:?}: the disk is slow");
    (exchanges > 0).then(|| (Recorded::DroppedLate, exchanges, why()))
}

/// Counts what is written by now, and what is not.
fn tell(told: &LogLimit, metrics: &RecordMetrics, writer: &mut Writer, losses: Vec<Loss>) {
    metrics.count(Recorded::Recorded, writer.news());
    for (result, count, why) in losses {
        metrics.count(result, count);
        if let Some(before) = told.admit(Instant::now()) {
            let result = result.name();
            warn!(result, why, not_logged_before = before, "exchanges are not recorded");
        }
    }
}

#[cfg(test)]
mod tests;
