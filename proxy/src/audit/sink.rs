//! Where the audit log is written: standard error, or a file that is put aside when it is large, for a
//! bounded number of files.
//!
//! A library for this would be welcome; those there are take a file that cannot be opened for one that is
//! there, cut lines in two where a file is full, or panic when somebody moves a file away.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{Config, Place};

/// Who may read a new file: names and addresses are nobody else's business.
const MODE: u32 = 0o640;

pub(super) enum Sink {
    Stderr,
    File(Rotated),
}

impl Sink {
    pub(super) fn open(config: &Config) -> io::Result<Self> {
        match &config.place {
            Place::Stderr => Ok(Self::Stderr),
            Place::File(path) => Rotated::open(path, config).map(Self::File),
        }
    }

    /// Writes a whole line, or nothing that stays.
    pub(super) fn write(&mut self, line: &[u8]) -> io::Result<Written> {
        match self {
            // Locked for all of it, so that no line of the log gets into it.
            Self::Stderr => io::stderr().lock().write_all(line).map(|()| Written::InItsPlace),
            Self::File(file) => file.write(line),
        }
    }
}

/// Where a line was written.
#[derive(Debug)]
pub(super) enum Written {
    /// Where it belongs.
    InItsPlace,
    /// In a file that has all it may have and cannot be put aside, for this reason. One that grows is better
    /// than entries that are lost.
    BeyondTheEnd(io::Error),
}

/// A file, and those that were put aside: `audit.jsonl.1` is the last of them.
pub(super) struct Rotated {
    path: PathBuf,
    max_bytes: u64,
    files: usize,
    file: File,
    /// It ends in the middle of a line.
    is_torn: bool,
}

impl Rotated {
    fn open(path: &Path, config: &Config) -> io::Result<Self> {
        let (file, is_torn) = open(path)?;
        let (path, max_bytes, files) = (path.to_owned(), config.max_bytes, config.files);
        Ok(Self { path, max_bytes, files, file, is_torn })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<Written> {
        let mut found = self.file.metadata()?;
        let mut written = Written::InItsPlace;
        // Somebody else may have moved the file, or removed it.
        if !fs::metadata(&self.path).is_ok_and(|there| is_same(&there, &found)) {
            found = self.reopen()?;
        }
        let length = line.len() as u64 + u64::from(self.is_torn);
        if found.is_file() && found.len() > 0 && found.len() + length > self.max_bytes {
            match self.put_aside() {
                Ok(()) => found = self.reopen()?,
                Err(error) => written = Written::BeyondTheEnd(error),
            }
        }
        self.append(line, found.len())?;
        Ok(written)
    }

    fn reopen(&mut self) -> io::Result<Metadata> {
        (self.file, self.is_torn) = open(&self.path)?;
        self.file.metadata()
    }

    /// In one call, so that a process that is killed leaves whole lines, and other writers, too.
    fn append(&mut self, line: &[u8], before: u64) -> io::Result<()> {
        let line = if self.is_torn { [b"\n", line].concat() } else { line.to_vec() };
        let mut written = 0;
        while written < line.len() {
            match self.file.write(&line[written..]) {
                Ok(0) => return self.take_back(before, written, io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.take_back(before, written, error),
            }
        }
        self.is_torn = false;
        Ok(())
    }

    /// Takes back the beginning of a line for which a disk had room, where nobody wrote behind it.
    fn take_back(&mut self, before: u64, written: usize, error: io::Error) -> io::Result<()> {
        if written > 0 {
            let is_last = |found: Metadata| found.len() == before + written as u64;
            let is_back =
                self.file.metadata().is_ok_and(is_last) && self.file.set_len(before).is_ok();
            self.is_torn |= !is_back;
        }
        Err(error)
    }

    /// Moves the file out of the way; the oldest goes where there are too many. Only those in front of the
    /// first gap move, so that one that fails and is tried again drops none.
    fn put_aside(&self) -> io::Result<()> {
        let last = self.files - 1;
        let free = (1..last).find(|number| !self.numbered(*number).exists()).unwrap_or(last);
        for number in (1..free).rev() {
            fs::rename(self.numbered(number), self.numbered(number + 1))?;
        }
        fs::rename(&self.path, self.numbered(1))
    }

    fn numbered(&self, number: usize) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        name.into()
    }
}

/// Opens a file to append to it, and tells whether it ends in the middle of a line.
fn open(path: &Path) -> io::Result<(File, bool)> {
    let file = OpenOptions::new().append(true).create(true).mode(MODE).open(path)?;
    let is_torn = file.metadata()?.is_file() && ends_in_a_line(path).unwrap_or(false);
    Ok((file, is_torn))
}

fn ends_in_a_line(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(test)]
mod tests;
