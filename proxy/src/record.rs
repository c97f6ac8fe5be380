//! Records exchanges: what was asked, what the baseline answered, and what came of it at candidates, redacted before
//! anything is written.
//!
//! Whoever has one to record never waits: it goes through a bounded queue to a thread of its own, which looks into
//! bodies, compresses and writes. What finds no place there, or cannot be written, is dropped and counted.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use stored::Store;
use tokio::sync::oneshot;
use tracing::warn;

mod carry;
pub mod masked;
mod taken;
mod writer;

pub use taken::{About, Taken, TakenAnswer, TakenBody, TakenPair};

use crate::exchange::Recorded;
use crate::log_limit::LogLimit;
use crate::metrics::RecordMetrics;
use crate::policy::record::Record;
use carry::Carrier;
use writer::{MISMATCHES, Writer};

/// Exchanges that may wait to be written; their bytes are in the mirror's byte budget.
const WAITING_MAX: usize = 1024;
/// An exchange is on disk a second after it was over, or is not recorded: it waits for so long at most,
const LATE: Duration = Duration::from_millis(500);
/// and what is taken is flushed so often.
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
    queue: SyncSender<Message>,
    metrics: RecordMetrics,
    carrier: Option<Carrier>,
}

enum Message {
    /// Since when it waits.
    Taken(Box<Taken>, Instant),
    /// All before it is written, and the files are closed.
    Done(oneshot::Sender<()>),
}

impl Recorder {
    /// Opens the folder and starts the thread that writes there.
    ///
    /// # Errors
    /// Where it cannot be written to.
    pub async fn start(config: Config, metrics: &RecordMetrics) -> io::Result<Self> {
        let Config { place, store, .. } = config;
        let carrier = store.map(|store| Carrier::start(store, &place.dir, metrics));
        let (queue, messages) = sync_channel(WAITING_MAX);
        let (opened, when_opened) = oneshot::channel();
        let counted = metrics.clone();
        std::thread::Builder::new().name("record".to_owned()).spawn(move || {
            let (writer, result) = match Writer::open(place) {
                Ok(writer) => (Some(writer), Ok(())),
                Err(error) => (None, Err(error)),
            };
            if let (Ok(()), Some(writer)) = (opened.send(result), writer) {
                run(&messages, writer, &counted);
            }
        })?;
        when_opened.await.map_err(io::Error::other)??;
        Ok(Self(Some(Arc::new(Running { queue, metrics: metrics.clone(), carrier }))))
    }

    /// Whether there is one.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Records an exchange. Returns at once.
    pub fn offer(&self, taken: Box<Taken>) {
        let Some(running) = &self.0 else { return };
        if running.queue.try_send(Message::Taken(taken, Instant::now())).is_err() {
            running.metrics.count(Recorded::DroppedQueueFull, 1);
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
        let written = async {
            let (done, when_done) = oneshot::channel();
            let mut message = Message::Done(done);
            while let Err(TrySendError::Full(again)) = running.queue.try_send(message) {
                message = again;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // Nobody is left to write where it is dropped.
            when_done.await.ok();
        };
        drop(tokio::time::timeout(LAST, written).await);
        if let Some(carrier) = &running.carrier {
            carrier.close().await;
        }
    }
}

/// Writes until nobody is left who has anything to record.
fn run(messages: &Receiver<Message>, mut writer: Writer, metrics: &RecordMetrics) {
    let told = LogLimit::new(TOLD_EVERY);
    let mut flushed = Instant::now();
    loop {
        let left = FLUSHED.saturating_sub(flushed.elapsed());
        let (losses, done) = match messages.recv_timeout(left) {
            Ok(Message::Taken(_, since)) if since.elapsed() > LATE => (vec![late()], None),
            Ok(Message::Taken(taken, _)) => (writer.write(*taken), None),
            Ok(Message::Done(done)) => (writer.close(), Some(done)),
            Err(RecvTimeoutError::Timeout) => (Vec::new(), None),
            Err(RecvTimeoutError::Disconnected) => {
                tell(&told, metrics, &mut writer, Vec::new());
                let losses = writer.close();
                return tell(&told, metrics, &mut writer, losses);
            }
        };
        tell(&told, metrics, &mut writer, losses);
        if let Some(done) = done {
            done.send(()).ok();
        }
        if flushed.elapsed() >= FLUSHED {
            flushed = Instant::now();
            let losses = writer.flush();
            tell(&told, metrics, &mut writer, losses);
            metrics.set_bytes(writer.bytes());
        }
    }
}

/// Exchanges that are not recorded: what became of them, how many, and why.
type Loss = (Recorded, u64, String);

fn late() -> Loss {
    (Recorded::DroppedLate, 1, format!("waited for more than {LATE:?}"))
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
