//! One run of the tests, and all that it leaves behind when it is cut off.
//!
//! A run holds a lock on its ledger, a file that names the processes it started; containers,
//! networks and images carry the run's name as a label. Whoever gets the lock of another run's
//! ledger knows that this run is dead, and clears up after it. Locks end with their process,
//! however it ends, so that a living run is never taken for a dead one.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::Result;

/// A run, alive as long as this value.
#[derive(Debug)]
pub struct Run {
    /// Unique; the label of all that belongs to it.
    pub name: String,
    ledger: Mutex<File>,
    path: PathBuf,
    making: RwLock<()>,
}

/// A run that ended without clearing up; holding its ledger's lock.
#[derive(Debug)]
pub struct Dead {
    /// Of the run.
    pub name: String,
    path: PathBuf,
    ledger: File,
}

fn folder() -> PathBuf {
    std::env::temp_dir().join("mirrorlab-xtests")
}

impl Run {
    /// A new run.
    ///
    /// # Errors
    /// When the ledger cannot be made.
    pub fn begin() -> Result<Self> {
        fs::create_dir_all(folder())?;
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let name = format!("{}-{}", std::process::id(), since.as_nanos());
        let path = folder().join(&name);
        let ledger = OpenOptions::new().create_new(true).append(true).open(&path)?;
        ledger.lock()?;
        Ok(Self { name, ledger: Mutex::new(ledger), path, making: RwLock::default() })
    }

    /// To be held while something is made that outlives a process of ours; waits for ever once the
    /// run is closed.
    pub async fn make(&self) -> RwLockReadGuard<'_, ()> {
        self.making.read().await
    }

    /// Waits until nothing is being made; nothing is any more as long as this is held.
    pub async fn close(&self) -> RwLockWriteGuard<'_, ()> {
        self.making.write().await
    }

    /// A folder for what a test writes, removed with the run.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = files(&self.path).join(name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Notes a process, so that it can be ended should this run not get to it.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn note_process(&self, id: u32) -> Result<()> {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(start) = start_of(id) {
            writeln!(ledger, "{id} {start}")?;
        }
        Ok(())
    }

    /// Ends all noted processes and forgets the run.
    pub fn end(&self) {
        end_processes(&fs::read_to_string(&self.path).unwrap_or_default());
        forget(&self.path);
    }
}

impl Dead {
    /// Runs that ended without clearing up.
    pub fn find() -> Vec<Self> {
        let entries = fs::read_dir(folder()).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let ledger = OpenOptions::new().read(true).write(true).open(entry.path()).ok()?;
                ledger.try_lock().ok()?;
                let name = entry.file_name().into_string().ok()?;
                Some(Self { name, path: entry.path(), ledger })
            })
            .collect()
    }

    /// Ends the processes it left and forgets it.
    pub fn bury(mut self) {
        let mut text = String::new();
        if self.ledger.read_to_string(&mut text).is_ok() {
            end_processes(&text);
        }
        forget(&self.path);
    }
}

/// Where a run's tests write, beside its ledger.
fn files(ledger: &Path) -> PathBuf {
    ledger.with_extension("files")
}

/// The ledger last: as long as it is there, the next run finds the rest.
fn forget(ledger: &Path) {
    // A run need not have written anything, and another one may have cleared up already.
    drop(fs::remove_dir_all(files(ledger)));
    drop(fs::remove_file(ledger));
}

/// Ends those processes of a ledger that are still the ones it means.
fn end_processes(ledger: &str) {
    for line in ledger.lines() {
        let Some((id, start)) = line.split_once(' ') else { continue };
        if id.parse().ok().and_then(start_of).as_deref() == Some(start) {
            // Gone in between is as good.
            drop(Command::new("kill").args(["-9", id]).output());
        }
    }
}

/// When a process started, in whatever unit: with the id it names one process for good.
fn start_of(id: u32) -> Option<String> {
    let ps = Command::new("ps").args(["-o", "lstart=", "-p", &id.to_string()]).output().ok()?;
    let start = String::from_utf8(ps.stdout).ok()?.trim().to_owned();
    (!start.is_empty()).then_some(start)
}
