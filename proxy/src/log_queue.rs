//! The way of log lines to standard error: a bounded queue and a thread of its own.
//!
//! Standard error is often a pipe, and whoever should read it may hang. A write to a full pipe
//! blocks, and with it a thread that has clients to serve; so what finds no place in the queue is
//! dropped and counted instead. There is one log in a process, and so is the count.

use std::sync::OnceLock;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Lines that may wait.
const LINES_MAX: usize = 2048;
/// How long the last lines may take to be written.
const LAST_LINES: Duration = Duration::from_millis(500);

static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// Log lines that were dropped since the start, because nobody took them.
pub fn dropped() -> u64 {
    DROPPED.get().map_or(0, |counter| counter.dropped_lines() as u64)
}

/// Writes the lines that wait when it is dropped, as far as somebody takes them at once.
#[derive(Debug)]
pub struct Flush(Option<WorkerGuard>);

impl Drop for Flush {
    fn drop(&mut self) {
        let guard = self.0.take();
        let (done, when_done) = sync_channel(1);
        // The guard itself waits, and complains on standard output, which may be the same full
        // pipe; this process must end nevertheless.
        let flush = move || {
            drop(guard);
            done.send(()).ok();
        };
        if std::thread::Builder::new().name("last-lines".to_owned()).spawn(flush).is_ok() {
            when_done.recv_timeout(LAST_LINES).ok();
        }
    }
}

/// Starts the thread.
pub(crate) fn start() -> (NonBlocking, Flush) {
    let builder = NonBlockingBuilder::default().buffered_lines_limit(LINES_MAX).lossy(true);
    let (writer, guard) = builder.thread_name("log").finish(std::io::stderr());
    DROPPED.get_or_init(|| writer.error_counter());
    (writer, Flush(Some(guard)))
}
