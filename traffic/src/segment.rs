//! Recordings of our own, written: a folder of segments `<time>-<replica>-<number>.jsonl.zst`, each frames
//! of zstd with [lines](crate::line) in them. A frame is written whole and ended, so that what was flushed
//! can be read whatever happens later; a segment that is being written has the suffix `.part`.

pub(crate) mod name;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use crate::exchange::{Exchange, Moment};
use crate::line;

/// Where segments are. All names are file names without a folder.
pub trait Folder {
    /// A file of it that is being written.
    type File: File;

    /// A new file.
    ///
    /// # Errors
    ///
    /// There is one, or there can't be one.
    fn create(&mut self, name: &str) -> io::Result<Self::File>;

    /// Names a file anew.
    ///
    /// # Errors
    ///
    /// As the file system says.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// As the file system says; one that is gone already is no error.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Whether there is such a file.
    fn has(&mut self, name: &str) -> bool;

    /// All files with their bytes.
    ///
    /// # Errors
    ///
    /// As the file system says.
    fn list(&mut self) -> io::Result<Vec<(String, u64)>>;
}

/// A file that is being written.
pub trait File: Write {
    /// What was written outlives the machine's end.
    ///
    /// # Errors
    ///
    /// As the file system says.
    fn sync(&mut self) -> io::Result<()>;

    /// Of what was written only so many bytes stay.
    ///
    /// # Errors
    ///
    /// As the file system says.
    fn cut(&mut self, bytes: u64) -> io::Result<()>;
}

/// How segments are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Who writes: up to 64 letters, digits, `.`, `_` and `-`.
    pub replica: String,
    /// Bytes after which a segment is closed.
    pub bytes: u64,
    /// Time after which it is.
    pub age: Duration,
    /// Bytes over all segments of the folder; the oldest closed ones go first.
    pub quota: u64,
    /// Of compression, from 1 to 22.
    pub level: i32,
    /// Bytes of lines that wait to be written; with that many they are flushed unasked.
    pub waiting: usize,
}

impl Options {
    /// Segments of 64 MiB or an hour, 10 GiB in all.
    pub fn new(replica: &str) -> Self {
        Self {
            replica: replica.to_owned(),
            bytes: 64 << 20,
            age: Duration::from_secs(3600),
            quota: 10 << 30,
            level: 3,
            waiting: 1 << 20,
        }
    }
}

/// What could not be written.
#[derive(Debug)]
pub struct Lost {
    /// How many exchanges are not in the recording, or may not be.
    pub exchanges: u64,
    /// Why.
    pub error: io::Error,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} exchanges are not recorded: {}", self.exchanges, self.error)
    }
}

impl std::error::Error for Lost {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// What became of segments, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Exchanges that were written.
    pub exchanges: u64,
    /// Bytes that were written.
    pub bytes: u64,
    /// Segments that were left by a crash and closed at the start.
    pub taken_up: u64,
    /// Segments that were removed for the quota.
    pub removed: u64,
}

/// Writes segments. Times are given to it and only have to go on.
///
/// After an error the segment is closed, and the next flush begins another.
pub struct Writer<F: Folder> {
    folder: F,
    options: Options,
    compressor: Compressor<'static>,
    lines: Vec<u8>,
    waiting: u64,
    open: Option<Open<F::File>>,
    /// Closed ones with their bytes, the oldest first.
    closed: BTreeMap<String, u64>,
    number: u64,
    told: Told,
}

struct Open<F> {
    file: F,
    name: String,
    since: Moment,
    bytes: u64,
}

impl<F: Folder> Writer<F> {
    /// Takes up what an earlier writer of this replica left open: it is closed as it is.
    ///
    /// # Errors
    ///
    /// An option is out of its range, or the folder can't be read.
    pub fn new(folder: F, options: Options) -> io::Result<Self> {
        if !name::is_replica(&options.replica) {
            let problem = "a replica has 1 to 64 letters, digits, `.`, `_` and `-`";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        let mut compressor = Compressor::new(options.level)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        let mut writer = Self {
            folder,
            options,
            compressor,
            lines: Vec::new(),
            waiting: 0,
            open: None,
            closed: BTreeMap::new(),
            number: 0,
            told: Told::default(),
        };
        writer.take_up()?;
        writer.list()?;
        Ok(writer)
    }

    /// What became of segments up to now.
    pub fn told(&self) -> Told {
        self.told
    }

    /// Adds an exchange to what waits. A crash loses that.
    ///
    /// # Errors
    ///
    /// Enough waited to be flushed, and that failed.
    pub fn write(&mut self, exchange: &Exchange, now: Moment) -> Result<(), Lost> {
        line::write(exchange, &mut self.lines);
        self.waiting += 1;
        if self.lines.len() >= self.options.waiting { self.flush(now) } else { Ok(()) }
    }

    /// Writes what waits as one frame, and closes a segment that is large or old enough. To be called
    /// as often as a crash may cost what waits.
    ///
    /// # Errors
    ///
    /// The frame could not be written: what waited is lost, and nothing waits any more.
    pub fn flush(&mut self, now: Moment) -> Result<(), Lost> {
        let written = if self.waiting > 0 { self.frame(now) } else { Ok(()) };
        let exchanges = std::mem::take(&mut self.waiting);
        self.lines.clear();
        // One large burst does not hold its memory for ever.
        self.lines.shrink_to(2 * self.options.waiting);
        if let Err(error) = written {
            // The frame may be there in part: nothing may follow it. A segment that can't be renamed stays
            // `.part`, and is taken up at the next start.
            self.close_open().unwrap_or_default();
            return Err(Lost { exchanges, error });
        }
        self.told.exchanges += exchanges;
        self.rotate(now).map_err(|error| Lost { exchanges: 0, error })
    }

    /// Flushes and closes the segment.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    pub fn close(&mut self, now: Moment) -> Result<(), Lost> {
        self.flush(now)?;
        self.close_open().map_err(|error| Lost { exchanges: 0, error })
    }

    fn frame(&mut self, now: Moment) -> io::Result<()> {
        let frame = self.compressor.compress(&self.lines)?;
        let bytes = frame.len() as u64;
        self.let_go_of_what_was_removed();
        self.make_room(bytes)?;
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.create(now)?,
        };
        let written = open.file.write_all(&frame).and_then(|()| open.file.flush());
        let written = written.and_then(|()| open.file.sync());
        if written.is_ok() {
            open.bytes += bytes;
            self.told.bytes += bytes;
        } else {
            // Half a frame is read up to there; tools that know nothing of that would call the file broken.
            open.file.cut(open.bytes).unwrap_or_default();
        }
        self.open = Some(open);
        written
    }

    /// What goes into a file that somebody has removed is in no folder any more.
    fn let_go_of_what_was_removed(&mut self) {
        let name = self.open.as_ref().map(|open| name::part(&open.name));
        if name.is_some_and(|name| !self.folder.has(&name)) {
            self.open = None;
        }
    }

    fn create(&mut self, now: Moment) -> io::Result<Open<F::File>> {
        let name = loop {
            let name = name::segment(now, &self.options.replica, self.number);
            self.number += 1;
            if !self.closed.contains_key(&name) {
                break name;
            }
        };
        let file = self.folder.create(&name::part(&name))?;
        Ok(Open { file, name, since: now, bytes: 0 })
    }

    fn rotate(&mut self, now: Moment) -> io::Result<()> {
        let age = u64::try_from(self.options.age.as_nanos()).unwrap_or(u64::MAX);
        let due = self.open.as_ref().is_some_and(|open| {
            open.bytes >= self.options.bytes || now.0.saturating_sub(open.since.0) >= age
        });
        if due { self.close_open() } else { Ok(()) }
    }

    fn close_open(&mut self) -> io::Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        drop(open.file);
        let part = name::part(&open.name);
        if open.bytes == 0 {
            // Not one frame of it is whole.
            return self.folder.remove(&part);
        }
        self.folder.rename(&part, &open.name)?;
        self.closed.insert(open.name, open.bytes);
        Ok(())
    }

    /// Removes closed segments, the oldest first, until so many more bytes are within the quota.
    fn make_room(&mut self, bytes: u64) -> io::Result<()> {
        let quota = self.options.quota;
        if self.total() + bytes <= quota {
            return Ok(());
        }
        if bytes > quota {
            // Nothing would be gained by removing all there is.
            return Err(io::Error::other("one flush is larger than the quota"));
        }
        // Others remove some, too: who carries them away.
        self.list()?;
        if self.open.as_ref().is_some_and(|open| open.bytes + bytes > quota) {
            self.close_open()?;
        }
        while self.total() + bytes > quota {
            let Some((oldest, _)) = self.closed.first_key_value() else {
                return Err(io::Error::other("one flush is larger than the quota"));
            };
            let oldest = oldest.clone();
            self.folder.remove(&oldest)?;
            self.closed.remove(&oldest);
            self.told.removed += 1;
        }
        Ok(())
    }

    fn total(&self) -> u64 {
        self.closed.values().sum::<u64>() + self.open.as_ref().map_or(0, |open| open.bytes)
    }

    fn take_up(&mut self) -> io::Result<()> {
        for (name, _) in self.folder.list()? {
            let whole = name::without_part(&name);
            if whole != name && name::replica(whole) == Some(&self.options.replica) {
                self.folder.rename(&name, whole)?;
                self.told.taken_up += 1;
            }
        }
        Ok(())
    }

    fn list(&mut self) -> io::Result<()> {
        let files = self.folder.list()?.into_iter();
        self.closed = files.filter(|(name, _)| name::replica(name).is_some()).collect();
        Ok(())
    }
}

impl<F: Folder> fmt::Debug for Writer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Writer");
        shown.field("options", &self.options).field("told", &self.told).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
