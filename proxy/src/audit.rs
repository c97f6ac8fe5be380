//! The audit log: who did what through the control endpoints, by which settings the proxy runs, what the
//! guardrail switched, and how often which rule redacted something. A JSON object on each line, written at
//! once, with no value of traffic and no token in it.
//!
//! Whoever has something to record never waits: entries go through a bounded queue to a thread of their own,
//! which a disk or a pipe may hold up. What finds no place there, or cannot be written, is lost, counted,
//! and said in the next entry.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use std::{fmt, io};

use serde::Serialize;
use serde_json::Value;
use tokio::sync::oneshot;
use tracing::warn;

mod redactions;
mod sink;

pub use redactions::{Counts, Redacted};

use crate::log_limit::LogLimit;
use crate::metrics::{AuditMetrics, Lost};
use redactions::Redactions;
use sink::{Sink, Written};

/// Entries that may wait. Each is a few hundred bytes, of which callers see to it.
const ENTRIES_MAX: usize = 1024;
/// How long the file may take to open: a pipe that nobody reads never does.
const OPENING: Duration = Duration::from_secs(5);
/// How long the last entries may take to be written.
const LAST_ENTRIES: Duration = Duration::from_secs(1);
/// Refused requests in [`REFUSED_EVERY`]: whoever reaches a port can be refused as often as they like, and
/// must not push out of the files what others did.
const REFUSED_MAX: u32 = 60;
/// See [`REFUSED_MAX`].
const REFUSED_EVERY: Duration = Duration::from_secs(60);
/// How often it is logged at most that entries are lost, or are in a file that is too large.
const TOLD_EVERY: Duration = Duration::from_secs(10);
/// Longest text in an entry, in characters.
const TEXT_MAX: usize = 500;

/// Where entries go, and how much is kept of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where they go.
    pub place: Place,
    /// A larger file is put aside for a new one.
    pub max_bytes: u64,
    /// Most files, with the one that is written to.
    pub files: usize,
}

/// Where entries go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Standard error, beside the log.
    Stderr,
    /// A file.
    File(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stderr => f.write_str("standard error"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The audit log, or none. Copies are of the same one.
#[derive(Clone, Debug, Default)]
pub struct Audit(Option<Arc<Running>>);

#[derive(Debug)]
struct Running {
    queue: SyncSender<Message>,
    losses: Losses,
    refused: LogLimit,
    redactions: Mutex<Redactions>,
    is_closed: AtomicBool,
}

/// Entries that are lost.
#[derive(Clone, Debug)]
struct Losses {
    metrics: AuditMetrics,
    /// So many are not said yet.
    unsaid: Arc<AtomicU64>,
}

impl Losses {
    fn add(&self, why: Lost) {
        self.metrics.count_lost(why);
        self.unsaid.fetch_add(1, Ordering::Relaxed);
    }
}

enum Message {
    Entry(Entry),
    /// All before it is written.
    Done(oneshot::Sender<()>),
}

struct Entry {
    at: SystemTime,
    what: &'static str,
    about: Value,
}

impl Audit {
    /// Opens the place and starts the thread that writes there.
    ///
    /// # Errors
    /// Where it cannot be written to.
    pub async fn start(config: Config, metrics: &AuditMetrics) -> io::Result<Self> {
        let (queue, entries) = sync_channel(ENTRIES_MAX);
        let losses = Losses { metrics: metrics.clone(), unsaid: Arc::default() };
        let (opened, when_opened) = oneshot::channel();
        let writes = losses.clone();
        std::thread::Builder::new().name("audit".to_owned()).spawn(move || {
            let (sink, result) = match Sink::open(&config) {
                Ok(sink) => (Some(sink), Ok(())),
                Err(error) => (None, Err(error)),
            };
            // Nobody waits for one that took too long.
            if let (Ok(()), Some(sink)) = (opened.send(result), sink) {
                write(&entries, sink, &writes);
            }
        })?;
        let late = || io::Error::new(io::ErrorKind::TimedOut, format!("not open in {OPENING:?}"));
        let opened = tokio::time::timeout(OPENING, when_opened).await.map_err(|_| late())?;
        opened.map_err(io::Error::other)??;
        let (redactions, is_closed) = Default::default();
        let refused = LogLimit::burst(REFUSED_MAX, REFUSED_EVERY);
        Ok(Self(Some(Arc::new(Running { queue, losses, refused, redactions, is_closed }))))
    }

    /// Whether there is one.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Records something. Returns at once. `about`: an object whose texts are short, see [`cut`].
    pub fn record(&self, what: &'static str, about: Value) {
        let Some(running) = &self.0 else { return };
        let entry = Message::Entry(Entry { at: SystemTime::now(), what, about });
        if running.queue.try_send(entry).is_err() {
            running.losses.add(Lost::QueueFull);
        }
    }

    /// The same of what a stranger tried and may not do, as long as it is not too often.
    pub fn record_refused(&self, what: &'static str, mut about: Value) {
        let Some(running) = &self.0 else { return };
        match running.refused.admit(Instant::now()) {
            Some(before) => {
                if before > 0 {
                    about["refusedAndNotRecorded"] = before.into();
                }
                self.record(what, about);
            }
            None => running.losses.metrics.count_lost(Lost::TooManyRefused),
        }
    }

    /// Takes from here how often rules of redaction were applied.
    pub fn count_by(&self, counts: Counts) {
        if let Some(running) = &self.0 {
            *running.redactions() = Redactions::new(counts);
        }
    }

    /// Records how often they were applied since the last time, where they were.
    pub fn record_redactions(&self) {
        let news = self.0.as_ref().and_then(|running| running.redactions().news());
        if let Some(news) = news {
            self.record("redacted", news);
        }
    }

    /// Records for ever, once a minute, how often rules of redaction were applied.
    pub async fn keep_recording_redactions(self) {
        while self.is_on() {
            tokio::time::sleep(redactions::EVERY).await;
            self.record_redactions();
        }
    }

    /// Records the end, once, and waits until what was recorded is written, but not for long.
    pub async fn close(&self, why: &'static str) {
        let Some(running) = &self.0 else { return };
        if running.is_closed.swap(true, Ordering::Relaxed) {
            return;
        }
        self.record_redactions();
        self.record("stopped", serde_json::json!({ "why": why }));
        drop(tokio::time::timeout(LAST_ENTRIES, running.written()).await);
    }
}

impl Running {
    /// All that waits is written.
    async fn written(&self) {
        let (done, when_done) = oneshot::channel();
        let mut message = Message::Done(done);
        while let Err(TrySendError::Full(again)) = self.queue.try_send(message) {
            message = again;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Nobody is left to write where it is dropped.
        when_done.await.ok();
    }

    fn redactions(&self) -> std::sync::MutexGuard<'_, Redactions> {
        self.redactions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes entries until nobody is left who has any.
fn write(messages: &Receiver<Message>, mut sink: Sink, losses: &Losses) {
    let (told, grows) = (LogLimit::new(TOLD_EVERY), LogLimit::new(TOLD_EVERY));
    for message in messages {
        let entry = match message {
            Message::Entry(entry) => entry,
            Message::Done(done) => {
                done.send(()).ok();
                continue;
            }
        };
        let lost = losses.unsaid.swap(0, Ordering::Relaxed);
        match sink.write(&entry.line(lost)) {
            Ok(written) => {
                losses.metrics.count_written();
                if let Written::BeyondTheEnd(error) = written
                    && let Some(before) = grows.admit(Instant::now())
                {
                    warn!(
                        %error,
                        not_logged_before = before,
                        "the audit log is full and cannot be put aside: it grows"
                    );
                }
            }
            Err(error) => {
                losses.unsaid.fetch_add(lost, Ordering::Relaxed);
                losses.add(Lost::NotWritten);
                if let Some(before) = told.admit(Instant::now()) {
                    warn!(%error, not_logged_before = before, "an entry of the audit log is lost");
                }
            }
        }
    }
}

impl Entry {
    /// As a line of JSON. `lost`: so many are not there that would be since the last line.
    fn line(&self, lost: u64) -> Vec<u8> {
        #[derive(Serialize)]
        struct Line<'e> {
            // On standard error the log has other lines.
            log: &'static str,
            time: String,
            what: &'static str,
            #[serde(flatten)]
            about: &'e Value,
            #[serde(skip_serializing_if = "Option::is_none")]
            lost: Option<u64>,
        }
        let time = humantime::format_rfc3339_millis(self.at).to_string();
        let lost = (lost > 0).then_some(lost);
        let line = Line { log: "audit", time, what: self.what, about: &self.about, lost };
        let mut line = serde_json::to_vec(&line).expect("an entry is an object with names of text");
        line.push(b'\n');
        line
    }
}

/// A text as entries may have it: the beginning of a long one.
pub fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
