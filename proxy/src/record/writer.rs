//! Writes exchanges into segments: those that were sampled, and apart from them every pair that differs.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::time::SystemTime;

use traffic::disk::Disk;
use traffic::segment::{self, Lost, Options};
use traffic::{Exchange, Moment};

use super::taken::moment;
use super::{Loss, Place, Taken};
use crate::exchange::Recorded;

/// The folder, in that of all recordings, of pairs that differ.
pub(super) const MISMATCHES: &str = "mismatches";
/// Most of one name that write into one folder.
const REPLICAS_MAX: u32 = 64;
/// Its part of all bytes.
const PART: u64 = 4;

/// Writes exchanges.
#[derive(Debug)]
pub(super) struct Writer {
    sampled: segment::Writer<Disk>,
    mismatches: segment::Writer<Disk>,
    place: Place,
    /// Held for as long as it writes.
    _lock: File,
    /// Of this run, so that ids of two runs differ.
    run: u64,
    next: u64,
    /// Exchanges of which it was told that they are written.
    told: u64,
}

impl Writer {
    pub(super) fn open(mut place: Place) -> io::Result<Self> {
        let apart = place.max_bytes / PART;
        let sampled = Disk::create(&place.dir)?;
        let (replica, lock) = name_of_its_own(&place)?;
        place.replica = replica;
        let mismatches = Disk::create(place.dir.join(MISMATCHES))?;
        let sampled = segment::Writer::new(sampled, options(&place, place.max_bytes - apart))?;
        let mismatches = segment::Writer::new(mismatches, options(&place, apart))?;
        let (run, next, told) = (rand::random(), 0, 0);
        Ok(Self { sampled, mismatches, place, _lock: lock, run, next, told })
    }

    /// Takes what is to be recorded of an exchange, a line or several, to be written with the next flush; what is
    /// not.
    pub(super) fn write(&mut self, taken: Taken) -> Vec<Loss> {
        self.next += 1;
        let id = format!("{:016x}-{}", self.run, self.next);
        let is_sampled = taken.about.is_sampled;
        let mismatches = taken.about.record.mismatches;
        let exchanges = match taken.exchanges(&id) {
            Ok(exchanges) => exchanges,
            Err(fault) => return vec![(Recorded::NotRedacted, 1, fault.to_string())],
        };
        // Gives its bytes back before the disk is waited for.
        drop(taken);
        let mut losses = Vec::new();
        for (exchange, differs) in exchanges {
            if is_sampled {
                losses.extend(write(&mut self.sampled, &exchange));
            }
            if mismatches && differs {
                losses.extend(write(&mut self.mismatches, &exchange));
            }
        }
        losses
    }

    /// So many more are written than it was told before.
    pub(super) fn news(&mut self) -> u64 {
        let all = self.sampled.told().exchanges + self.mismatches.told().exchanges;
        all - std::mem::replace(&mut self.told, all)
    }

    /// What was taken is on disk; what is not.
    pub(super) fn flush(&mut self) -> Vec<Loss> {
        let both = [&mut self.sampled, &mut self.mismatches];
        both.into_iter().filter_map(|it| it.flush(now()).err().map(|lost| loss(&lost))).collect()
    }

    /// The same, and the files are closed.
    pub(super) fn close(&mut self) -> Vec<Loss> {
        let both = [&mut self.sampled, &mut self.mismatches];
        both.into_iter().filter_map(|it| it.close(now()).err().map(|lost| loss(&lost))).collect()
    }

    /// Bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        let of = |dir: &std::path::Path| -> u64 {
            let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
            files
                .filter_map(|it| it.metadata().ok())
                .filter(|it| it.is_file())
                .map(|it| it.len())
                .sum()
        };
        of(&self.place.dir) + of(&self.place.dir.join(MISMATCHES))
    }
}

/// What names of files have of this process, and what keeps others from it: several may write into one folder, and the
/// one that starts takes up what was left by a crash under its name.
fn name_of_its_own(place: &Place) -> io::Result<(String, File)> {
    for number in 1..=REPLICAS_MAX {
        let suffix = if number > 1 { format!("_{number}") } else { String::new() };
        let replica = format!("{}{suffix}", place.replica);
        let path = place.dir.join(format!(".{replica}.lock"));
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        match lock.try_lock() {
            Ok(()) => return Ok((replica, lock)),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other(format!("{REPLICAS_MAX} others of this name write there")))
}

fn options(place: &Place, quota: u64) -> Options {
    let whole = Options::new(&place.replica);
    let (bytes, age) = (place.segment_bytes.min(quota / 4), place.segment_age);
    // A flush takes no more of a small quota than a few of them.
    let waiting = whole.waiting.min(usize::try_from(quota / 8).unwrap_or(usize::MAX));
    Options { bytes, age, quota, waiting, ..whole }
}

fn write(writer: &mut segment::Writer<Disk>, exchange: &Exchange) -> Option<Loss> {
    writer.write(exchange, now()).err().map(|lost| loss(&lost))
}

fn loss(lost: &Lost) -> Loss {
    (Recorded::Failed, lost.exchanges, lost.to_string())
}

fn now() -> Moment {
    moment(SystemTime::now())
}
