//! The files of a spool: what they have to be before SQLite may open them, since it changes what it opens;
//! and the room that its journal has.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Marks a file as ours, and the way in which it is written.
pub(super) const APPLICATION: i32 = 0x4d4c_5370;
pub(super) const VERSION: i32 = 1;
/// What the journal has on the disk from the start, in bytes, so that it need not grow where the disk is full.
pub(super) const JOURNAL: u64 = 1 << 20;
/// Requests of users lie there, for nobody else to read.
const MODE: u32 = 0o600;

/// The head of a database of SQLite, as far as it tells whose it is.
const HEAD: usize = 72;
const MAGIC: &[u8] = b"SQLite format 3\0";
const MAGIC_OF_JOURNAL: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
/// Where its numbers stand, each of four bytes.
const VERSION_AT: usize = 60;
const APPLICATION_AT: usize = 68;
/// In a journal: how many pages there were before.
const PAGES_AT: usize = 16;

/// Why a spool cannot be used.
#[derive(Debug)]
pub(super) enum Fault {
    /// Another process has it.
    InUse,
    /// It is none, or no longer one.
    Damaged(String),
    /// The disk, or the right to use it.
    Disk(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Disk(error.to_string())
    }
}

/// Makes sure that the file is there, ours alone to read, and a spool or to become one. What is something
/// else is left as it is.
pub(super) fn prepare(file: &Path) -> Result<(), Fault> {
    let (there, journal) = (length(file, "it")?, journal_of(file));
    let journal = match length(&journal, "its journal")? {
        Some(_) => head(&journal, PAGES_AT + 4)?,
        None => Vec::new(),
    };
    match there {
        None => {}
        Some(_) if is_of_an_empty_file(&journal) => {}
        Some(0) if journal.is_empty() => {}
        Some(0) => return Err(Fault::Damaged("it is empty, and its journal is not".to_owned())),
        Some(_) => is_spool(&head(file, HEAD)?)?,
    }
    Ok(make_private(file)?)
}

/// How long a file is, where there is one. A link leads to what may be anybody's.
fn length(file: &Path, what: &str) -> Result<Option<u64>, Fault> {
    match fs::symlink_metadata(file) {
        Ok(found) if found.is_file() => Ok(Some(found.len())),
        Ok(_) => Err(Fault::Damaged(format!("{what} is no plain file"))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether a crash left it while the file was being made: nothing was in it yet, and it is begun anew.
fn is_of_an_empty_file(journal: &[u8]) -> bool {
    journal.starts_with(&MAGIC_OF_JOURNAL) && number(journal, PAGES_AT) == Some(0)
}

fn is_spool(head: &[u8]) -> Result<(), Fault> {
    let damaged = |why: String| Err(Fault::Damaged(why));
    if !head.starts_with(MAGIC) {
        return damaged("it is no database".to_owned());
    }
    if number(head, APPLICATION_AT) != Some(APPLICATION) {
        return damaged("it is the database of another program".to_owned());
    }
    match number(head, VERSION_AT) {
        Some(VERSION) => Ok(()),
        other => damaged(format!("it was written in another way ({})", other.unwrap_or(0))),
    }
}

fn number(head: &[u8], at: usize) -> Option<i32> {
    head.get(at..at + 4)?.try_into().ok().map(i32::from_be_bytes)
}

fn head(file: &Path, length: usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(file)?.take(length as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// SQLite gives the files beside it the same rights.
fn make_private(file: &Path) -> io::Result<()> {
    match OpenOptions::new().create_new(true).write(true).mode(MODE).open(file) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let rights = fs::metadata(file)?.permissions().mode();
    if rights & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(file, PermissionsExt::from_mode(MODE))
}

/// Which file it is that stands there: another one, in its place, is another.
pub(super) fn which(file: &Path) -> io::Result<(u64, u64)> {
    let found = fs::metadata(file)?;
    Ok((found.dev(), found.ino()))
}

/// Gives the journal its room. What stands in it stays: zeros behind it mean nothing.
pub(super) fn reserve(file: &Path) -> io::Result<()> {
    let journal = OpenOptions::new().create(true).append(true).mode(MODE).open(journal_of(file))?;
    let lacking = JOURNAL.saturating_sub(journal.metadata()?.len());
    io::copy(&mut io::repeat(0).take(lacking), &mut &journal)?;
    journal.sync_all()
}

fn journal_of(file: &Path) -> PathBuf {
    let mut name = OsString::from(file);
    name.push("-journal");
    name.into()
}
