//! What waits to be recorded: never for long, since a crash would take it, and never too much of it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Taken;

/// Exchanges that may wait to be written; their bytes are in the mirror's byte budget.
const WAITING_MAX: usize = 1024;
/// An exchange is on disk a second after it was over, or is not recorded: it waits for so long at most.
pub(super) const LATE: Duration = Duration::from_millis(500);

/// Those of a source that waits for the disk: few, so that their bytes leave room in that budget.
pub(super) const WAITING_PATIENTLY: usize = 16;

/// Exchanges that wait for the one who writes.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    more: Condvar,
    /// Who brings them waits for room instead, and none is late.
    waits: bool,
    room: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Each since when.
    taken: VecDeque<(Box<Taken>, Instant)>,
    /// Who waits until all before is written.
    done: Vec<oneshot::Sender<()>>,
    is_over: bool,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Next {
    Write(Box<Taken>),
    /// All before it is written, and the files are closed.
    Close(Vec<oneshot::Sender<()>>),
    /// Nothing for now.
    Nothing,
    /// Nobody is left who has anything to record.
    Over,
}

impl Queue {
    /// Empty. `waits`: who brings exchanges waits for room.
    pub(super) fn new(waits: bool) -> Self {
        Self { waits, ..Self::default() }
    }

    /// Takes one in, unless too many wait. Waits for nobody, but where it is to.
    pub(super) fn push(&self, taken: Box<Taken>, since: Instant) -> bool {
        let mut waiting = self.waiting();
        if self.waits {
            let is_full = |it: &mut Waiting| it.taken.len() >= WAITING_PATIENTLY && !it.is_over;
            let waited = self.room.wait_while(waiting, is_full);
            waiting = waited.unwrap_or_else(PoisonError::into_inner);
        }
        let has_room = waiting.taken.len() < WAITING_MAX && !waiting.is_over;
        if has_room {
            waiting.taken.push_back((taken, since));
            drop(waiting);
            self.more.notify_one();
        }
        has_room
    }

    /// Drops those that have waited for too long; how many these are. The one who writes may be held up by the disk,
    /// so that others look, too.
    pub(super) fn drop_late(&self) -> u64 {
        if self.waits {
            return 0;
        }
        let late = {
            let mut waiting = self.waiting();
            let late = waiting.taken.iter().take_while(|(_, since)| since.elapsed() > LATE);
            let late = late.count();
            // Let go of without the lock.
            waiting.taken.drain(..late).collect::<Vec<_>>()
        };
        late.len() as u64
    }

    /// Calls back when all that waits now is written, and the files are closed.
    pub(super) fn close(&self, done: oneshot::Sender<()>) {
        self.waiting().done.push(done);
        self.more.notify_one();
    }

    /// Nobody will have anything to record any more.
    pub(super) fn end(&self) {
        self.waiting().is_over = true;
        self.more.notify_one();
        self.room.notify_all();
    }

    /// What is to be done next; waits for it, but not for longer than this.
    pub(super) fn next(&self, patience: Duration) -> Next {
        let has_none = |it: &mut Waiting| it.taken.is_empty() && it.done.is_empty() && !it.is_over;
        let waited = self.more.wait_timeout_while(self.waiting(), patience, has_none);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if let Some((taken, _)) = waiting.taken.pop_front() {
            self.room.notify_one();
            return Next::Write(taken);
        }
        match std::mem::take(&mut waiting.done) {
            done if !done.is_empty() => Next::Close(done),
            _ if waiting.is_over => Next::Over,
            _ => Next::Nothing,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
