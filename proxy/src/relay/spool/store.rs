//! The database that a spool is: SQLite, which knows how to survive a crash and keeps within its pages.
//!
//! One thread owns it. Whatever waits when it is free goes into one transaction, so that many requests
//! wait for the disk once.
//!
//! With a rollback journal, and not a write-ahead log: what was acknowledged is in the file itself, which tells
//! when it is damaged, and each request is written once. To delete it takes some pages of the journal, which
//! has them from the start: a disk that is full gets room again. A log would need room for what is
//! deleted, and the file for the log.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension};

use super::entry::Kept;
use super::files::{self, APPLICATION, Fault, VERSION};

/// The file in the folder of a spool.
pub(super) const FILE: &str = "relay.sqlite3";
/// Bytes of a page.
const PAGE: u32 = 4096;
/// Most pages that SQLite knows.
const PAGES_MAX: u64 = 4_294_967_294;
/// What a page of a long value holds besides four bytes of SQLite's own; and what a row costs besides.
const PAYLOAD: usize = PAGE as usize - 4;
const ROW_PAGES: usize = 2;
/// Pages that are needed beside those of requests, for the tree above them.
const SPARE: u64 = 16;
/// Pages that are given back to the file system at once.
const SHRINK: u32 = 4096;

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Disk(error.to_string()),
        }
    }
}

/// A request that was read, by its number; `None` for one that is no longer what was written.
pub(super) type Found = (i64, Option<Kept>);

/// The database of a spool.
#[derive(Debug)]
pub(super) struct Store {
    db: Connection,
    file: PathBuf,
    /// Which one it is.
    which: (u64, u64),
    /// The number of the next request. Numbers are never used again while we run.
    next: i64,
    /// Requests that are kept.
    pub(super) count: u64,
}

impl Store {
    /// Opens the spool in this folder, or makes one, of at most so many bytes.
    pub(super) fn open(folder: &Path, bytes_max: u64) -> Result<Self, Fault> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let file = folder.join(FILE);
        files::prepare(&file)?;
        let (db, which) = (connect(&file)?, files::which(&file)?);
        let mut store = Self { db, file, which, next: 1, count: 0 };
        store.prepare()?;
        // A disk that is full is no reason not to relay what lies there.
        files::reserve(&store.file).ok();
        let pages = (bytes_max / u64::from(PAGE)).clamp(SPARE * 2, PAGES_MAX).cast_signed();
        store.db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        Ok(store)
    }

    fn prepare(&mut self) -> Result<(), Fault> {
        if self.number("schema_version")? == 0 {
            self.db.execute_batch(&format!(
                "begin immediate;
                pragma application_id = {APPLICATION};
                pragma user_version = {VERSION};
                create table request (
                    id integer primary key,
                    head text not null,
                    body blob not null,
                    sum integer not null
                ) strict;
                commit;"
            ))?;
        }
        let check = "pragma quick_check(1)";
        let said: String = self.db.query_row(check, [], |row| row.get(0))?;
        if said != "ok" {
            return Err(Fault::Damaged(said));
        }
        let count = "select count(*), coalesce(max(id), 0) from request";
        let (count, last): (i64, i64) =
            self.db.query_row(count, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        (self.count, self.next) = (count.cast_unsigned(), last + 1);
        Ok(())
    }

    /// The number that the next request gets.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    fn number(&self, pragma: &str) -> rusqlite::Result<i64> {
        self.db.pragma_query_value(None, pragma, |row| row.get(0))
    }

    /// Whether the file is where it will be looked for at the next start: one that was moved or removed is
    /// written to all the same.
    pub(super) fn is_in_its_place(&self) -> bool {
        files::which(&self.file).is_ok_and(|there| there == self.which)
    }

    /// Bytes of the file that are in use.
    pub(super) fn used(&self) -> rusqlite::Result<u64> {
        let pages = self.number("page_count")? - self.number("freelist_count")?;
        Ok(pages.cast_unsigned() * u64::from(PAGE))
    }

    /// Keeps these requests, forgets those, and returns when that is on the disk. Which of the first
    /// found room; where it fails, nothing has happened.
    pub(super) fn commit(&mut self, new: &[&Kept], over: &[i64]) -> rusqlite::Result<Vec<bool>> {
        let free = self.number("max_page_count")? - self.number("page_count")?
            + self.number("freelist_count")?;
        let mut free = free.cast_unsigned().saturating_sub(SPARE);
        let mut next = self.next;
        let transaction = self.db.transaction()?;
        let mut gone = 0;
        {
            let mut delete = transaction.prepare_cached("delete from request where id = ?1")?;
            for id in over {
                gone += delete.execute([id])? as u64;
            }
        }
        let mut kept = Vec::with_capacity(new.len());
        {
            const INSERT: &str =
                "insert into request (id, head, body, sum) values (?1, ?2, ?3, ?4)";
            let mut insert = transaction.prepare_cached(INSERT)?;
            for one in new {
                let needed = (one.len().div_ceil(PAYLOAD) + ROW_PAGES) as u64;
                let fits = needed <= free;
                if fits {
                    free -= needed;
                    insert.execute((next, &one.head, &*one.body, one.sum()))?;
                    next += 1;
                }
                kept.push(fits);
            }
        }
        transaction.commit()?;
        self.count += (next - self.next).cast_unsigned();
        self.count = self.count.saturating_sub(gone);
        self.next = next;
        Ok(kept)
    }

    /// The first request behind this number.
    pub(super) fn after(&self, id: i64) -> rusqlite::Result<Option<Found>> {
        const SELECT: &str =
            "select id, head, body, sum from request where id > ?1 order by id limit 1";
        let mut select = self.db.prepare_cached(SELECT)?;
        let found = select.query_row([id], |row| {
            let (id, sum): (i64, i64) = (row.get(0)?, row.get(3)?);
            // What is no text any more is damaged, too.
            let kept = row
                .get::<_, String>(1)
                .and_then(|head| Ok(Kept { head, body: row.get::<_, Vec<u8>>(2)?.into() }));
            Ok((id, kept.ok().filter(|kept| kept.sum() == sum)))
        });
        found.optional()
    }

    /// Gives some of what is not needed back to the file system.
    pub(super) fn shrink(&mut self) -> rusqlite::Result<()> {
        if self.number("freelist_count")? == 0 {
            return Ok(());
        }
        // Each step frees a page.
        let mut vacuum = self.db.prepare(&format!("pragma incremental_vacuum({SHRINK})"))?;
        let mut rows = vacuum.query([])?;
        while rows.next()?.is_some() {}
        Ok(())
    }
}

/// Opens the file for us alone, which also undoes what a crash left half done.
fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open(file)?;
    db.busy_timeout(Duration::ZERO)?;
    db.pragma_update(None, "locking_mode", "exclusive")?;
    db.pragma_update(None, "page_size", PAGE)?;
    db.pragma_update(None, "auto_vacuum", "incremental")?;
    db.pragma_update_and_check(None, "journal_mode", "persist", |_| Ok(()))?;
    db.pragma_update_and_check(None, "journal_size_limit", files::JOURNAL.cast_signed(), |_| {
        Ok(())
    })?;
    // A commit is on the disk when it returns.
    db.pragma_update(None, "synchronous", "full")?;
    // The lock of its first transaction is kept.
    db.execute_batch("begin exclusive; commit")?;
    Ok(db)
}
