//! A queue on disk: what was taken survives a crash, and is relayed in order after a restart, at least once.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};
use tracing::error;

mod entry;
mod files;
mod store;

use crate::body::Held;
use crate::exchange::Relayed;
use crate::forward::Parcel;
use crate::log_limit::LogLimit;
use entry::Kept;
use files::Fault;
use store::{Found, Store};

/// How long the disk may take to keep a request before its sender is answered without that.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// Most requests that may wait for the disk, whatever is set: their places are made at the start.
const WAITING_MAX: usize = 16_384;
/// Most requests of one transaction, and most of their bytes.
const BATCH: usize = 64;
const BATCH_BYTES: usize = 8 << 20;
/// Most requests that are read at once, and most of their bytes besides the first.
const READ: usize = 32;
const READ_BYTES: usize = 256 << 10;
/// Requests that are taken out at once where the disk is full: their pages find room in the journal.
const FEW: usize = 16;
/// How long requests that are over may wait for others, to be taken out together.
const FORGET_AFTER: Duration = Duration::from_millis(100);

/// Where a queue is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The folder.
    pub folder: PathBuf,
    /// Most bytes of the file in it.
    pub bytes: u64,
}

/// Why a spool cannot be used.
#[derive(Debug)]
pub struct SpoolError {
    file: PathBuf,
    fault: Fault,
}

impl std::fmt::Display for SpoolError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let file = self.file.display();
        match &self.fault {
            Fault::InUse => write!(f, "the spool {file} is in use by another process or listener"),
            Fault::Disk(why) => write!(f, "the spool {file} cannot be used: {why}"),
            Fault::Damaged(why) => write!(
                f,
                "the spool {file} is damaged: {why}; move it away, with its journal, to begin with an \
                 empty one, and `sqlite3 {file} .recover` shows what is left in it"
            ),
        }
    }
}

impl std::error::Error for SpoolError {}

/// A request that is being kept.
#[derive(Debug)]
pub(super) struct Keeping {
    claimed: Arc<AtomicBool>,
    written: oneshot::Receiver<Result<(), Relayed>>,
}

/// What is asked of the thread that has the database.
enum Command {
    Keep { kept: Kept, _held: [Held; 2], claimed: Arc<AtomicBool>, told: Told },
    Read { after: i64, told: Asked },
    Close,
}

/// Nothing where it cannot be read.
type Asked = oneshot::Sender<Result<Vec<Found>, ()>>;

type Told = oneshot::Sender<Result<(), Relayed>>;

/// What the thread and others look at.
#[derive(Debug, Default)]
struct Shared {
    /// Requests that are over and still in the database.
    over: Mutex<Vec<i64>>,
    /// There is more to be read.
    more: Notify,
    count: AtomicU64,
    used: AtomicU64,
}

/// A queue on disk.
#[derive(Debug)]
pub(super) struct Spool {
    commands: SyncSender<Command>,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The number of the last request that was there at the start.
    pub(super) before: i64,
}

impl Spool {
    /// Opens it; `waiting` requests may wait for the disk.
    pub(super) fn open(config: &Config, waiting: usize) -> Result<Arc<Self>, SpoolError> {
        let named = |fault| SpoolError { file: config.folder.join(store::FILE), fault };
        let store = Store::open(&config.folder, config.bytes).map_err(named)?;
        let shared = Arc::new(Shared::default());
        shared.show(&store);
        let before = store.next() - 1;
        let (commands, taken) = sync_channel(waiting.min(WAITING_MAX) + READ);
        let thread = std::thread::Builder::new().name("spool".to_owned());
        let theirs = Arc::clone(&shared);
        let thread = thread.spawn(move || Thread::new(store, theirs).run(&taken));
        let thread = thread.map_err(|error| named(Fault::Disk(error.to_string())))?;
        Ok(Arc::new(Self { commands, shared, thread: Mutex::new(Some(thread)), before }))
    }

    /// Begins to keep a request, for which these bytes are paid meanwhile.
    pub(super) fn keep(&self, parcel: &Parcel, held: [Held; 2]) -> Result<Keeping, Relayed> {
        let (told, written) = oneshot::channel();
        let claimed = Arc::new(AtomicBool::new(false));
        let ours = Arc::clone(&claimed);
        let keep = Command::Keep { kept: Kept::of(parcel), _held: held, claimed: ours, told };
        match self.commands.try_send(keep) {
            Ok(()) => Ok(Keeping { claimed, written }),
            Err(TrySendError::Full(_)) => Err(Relayed::QueueFull),
            Err(TrySendError::Disconnected(_)) => Err(Relayed::SpoolFailed),
        }
    }

    /// The next requests behind this number, in order, each with its own; waits until there are some. One
    /// that cannot be read any more is `None`.
    pub(super) async fn read(&self, after: i64) -> Vec<(i64, Option<Parcel>)> {
        loop {
            let more = self.shared.more.notified();
            let (told, found) = oneshot::channel();
            let asked = self.commands.try_send(Command::Read { after, told });
            match (asked, found.await) {
                (Ok(()), Ok(Ok(found))) if found.is_empty() => more.await,
                (Ok(()), Ok(Ok(found))) => {
                    let parcel = |(id, kept): Found| (id, kept.and_then(Kept::parcel));
                    return found.into_iter().map(parcel).collect();
                }
                // The disk may come back; and of a full queue there is less in a moment.
                _ => tokio::time::sleep(FORGET_AFTER).await,
            }
        }
    }

    /// A request is over, and needs to be kept no longer.
    pub(super) fn forget(&self, id: i64) {
        self.shared.over().push(id);
    }

    /// Requests that are kept, and the bytes in use for them.
    pub(super) fn size(&self) -> (u64, u64) {
        (self.shared.count.load(Ordering::Relaxed), self.shared.used.load(Ordering::Relaxed))
    }

    /// Writes what is still to be written and ends; waits for the disk. What is over later stays kept.
    pub(super) fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A thread that is gone needs no word.
        self.commands.send(Command::Close).ok();
        if let Some(thread) = thread {
            thread.join().ok();
        }
    }
}

impl Keeping {
    /// Waits until it is on the disk.
    pub(super) async fn written(&mut self) -> Result<(), Relayed> {
        (&mut self.written).await.unwrap_or(Err(Relayed::SpoolFailed))
    }

    /// Takes it back; false when it is being written already.
    pub(super) fn take_back(&self) -> bool {
        !self.claimed.swap(true, Ordering::Relaxed)
    }
}

impl Shared {
    fn over(&self) -> std::sync::MutexGuard<'_, Vec<i64>> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, store: &Store) {
        self.count.store(store.count, Ordering::Relaxed);
        if let Ok(used) = store.used() {
            self.used.store(used, Ordering::Relaxed);
        }
    }
}

/// The thread that has the database.
struct Thread {
    store: Store,
    shared: Arc<Shared>,
    failures: LogLimit,
    flushed: Instant,
}

/// What one turn of it has to do.
#[derive(Default)]
struct Turn {
    keep: Vec<(Kept, [Held; 2], Told)>,
    read: Vec<(i64, Asked)>,
    closes: bool,
    bytes: usize,
}

impl Turn {
    fn take(&mut self, command: Command) {
        match command {
            // Its sender waits no more.
            Command::Keep { claimed, .. } if claimed.swap(true, Ordering::Relaxed) => {}
            Command::Keep { kept, _held: held, told, .. } => {
                self.bytes += kept.len();
                self.keep.push((kept, held, told));
            }
            Command::Read { after, told } => self.read.push((after, told)),
            Command::Close => self.closes = true,
        }
    }

    fn is_full(&self) -> bool {
        self.closes || self.keep.len() >= BATCH || self.bytes >= BATCH_BYTES
    }
}

impl Thread {
    fn new(store: Store, shared: Arc<Shared>) -> Self {
        let failures = LogLimit::new(Duration::from_secs(5));
        Self { store, shared, failures, flushed: Instant::now() }
    }

    fn run(mut self, commands: &Receiver<Command>) {
        loop {
            let mut turn = Turn::default();
            match commands.recv_timeout(FORGET_AFTER) {
                Ok(command) => turn.take(command),
                Err(RecvTimeoutError::Timeout) => {}
                // Whoever could have closed it is gone.
                Err(RecvTimeoutError::Disconnected) => turn.closes = true,
            }
            while !turn.is_full()
                && let Ok(command) = commands.try_recv()
            {
                turn.take(command);
            }
            let is_idle = turn.keep.is_empty() && turn.read.is_empty();
            self.write(turn.keep, turn.closes);
            for (after, told) in turn.read {
                // Whoever asked may have gone.
                told.send(self.read(after)).ok();
            }
            if turn.closes {
                return;
            }
            if is_idle && let Err(error) = self.store.shrink() {
                self.failed(&error);
            }
        }
    }

    /// Keeps these, and forgets what is over, in one transaction; tells who waits.
    fn write(&mut self, keep: Vec<(Kept, [Held; 2], Told)>, at_once: bool) {
        let is_due = at_once || !keep.is_empty() || self.flushed.elapsed() >= FORGET_AFTER;
        let over = if is_due { std::mem::take(&mut *self.shared.over()) } else { Vec::new() };
        if keep.is_empty() && over.is_empty() {
            return;
        }
        self.flushed = Instant::now();
        if !keep.is_empty() && !self.store.is_in_its_place() {
            self.failed(&"its file was moved or removed, and keeps nothing more");
            refuse(keep);
            return self.forget(&over);
        }
        let new: Vec<_> = keep.iter().map(|(kept, ..)| kept).collect();
        match self.store.commit(&new, &over) {
            Ok(fitted) => {
                self.shared.show(&self.store);
                self.shared.more.notify_one();
                for ((.., told), fits) in keep.into_iter().zip(fitted) {
                    let told_them = told.send(if fits { Ok(()) } else { Err(Relayed::SpoolFull) });
                    // Whoever waits no more needs no word.
                    told_them.ok();
                }
            }
            Err(error) => {
                self.failed(&error);
                refuse(keep);
                self.forget(&over);
            }
        }
    }

    /// Forgets these alone, a few at a time, so that a disk that is full gets room again.
    fn forget(&mut self, over: &[i64]) {
        let mut done = 0;
        for few in over.chunks(FEW) {
            if let Err(error) = self.store.commit(&[], few) {
                self.failed(&error);
                break;
            }
            done += few.len();
        }
        self.shared.over().extend(&over[done..]);
        self.shared.show(&self.store);
    }

    fn read(&self, after: i64) -> Result<Vec<Found>, ()> {
        let (mut found, mut bytes, mut last) = (Vec::new(), 0, after);
        while found.len() < READ && bytes < READ_BYTES {
            match self.store.after(last) {
                Ok(Some((id, kept))) => {
                    bytes += kept.as_ref().map_or(0, Kept::len);
                    last = id;
                    found.push((id, kept));
                }
                Ok(None) => break,
                Err(error) => {
                    self.failed(&error);
                    return if found.is_empty() { Err(()) } else { Ok(found) };
                }
            }
        }
        Ok(found)
    }

    fn failed(&self, error: &dyn std::fmt::Display) {
        if let Some(before) = self.failures.admit(Instant::now()) {
            error!(%error, not_logged_before = before, "the spool fails");
        }
    }
}

/// They cannot be kept.
fn refuse(keep: Vec<(Kept, [Held; 2], Told)>) {
    for (.., told) in keep {
        // Whoever waits no more needs no word.
        told.send(Err(Relayed::SpoolFailed)).ok();
    }
}

/// The file of a spool in this folder.
pub fn file_in(folder: &Path) -> PathBuf {
    folder.join(store::FILE)
}

#[cfg(test)]
mod tests;
