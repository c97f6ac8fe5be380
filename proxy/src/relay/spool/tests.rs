use std::os::unix::fs::{MetadataExt, PermissionsExt};

use http::{Extensions, HeaderMap, Method};

use super::store::FILE;
use super::*;
use crate::body::Budget;
use crate::exchange::RequestSnapshot;

/// A folder of its own, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("mirrorlab-spool-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&folder));
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        file_in(&self.0)
    }

    fn names(&self) -> Vec<String> {
        let files = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn copy_to(&self, other: &Self) {
        std::fs::create_dir_all(&other.0).unwrap();
        for name in self.names() {
            std::fs::copy(self.0.join(&name), other.0.join(&name)).unwrap();
        }
    }

    fn cut(&self, name: &str, length: u64) {
        let file = std::fs::File::options().write(true).open(self.0.join(name)).unwrap();
        file.set_len(length).unwrap();
    }

    fn open(&self, bytes: u64) -> Result<Arc<Spool>, String> {
        let config = Config { folder: self.0.clone(), bytes };
        Spool::open(&config, 1000).map_err(|error| error.to_string())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

const MIB: u64 = 1 << 20;

fn parcel(number: usize, length: usize) -> Parcel {
    let uri = format!("/{number}").parse().unwrap();
    let (headers, extensions) = (HeaderMap::new(), Extensions::new());
    let head = RequestSnapshot { method: Method::POST, uri, headers, extensions };
    Parcel { head, body: vec![b'x'; length].into(), client: "192.0.2.7".parse().unwrap() }
}

fn held() -> [Held; 2] {
    let budget = Budget::new(1);
    [budget.try_take(0).unwrap(), budget.try_take(0).unwrap()]
}

async fn keep(spool: &Spool, number: usize, length: usize) -> Result<(), Relayed> {
    spool.keep(&parcel(number, length), held())?.written().await
}

/// Everything behind a number.
async fn all(spool: &Spool, mut after: i64, count: usize) -> Vec<(i64, Option<String>)> {
    let mut found = Vec::new();
    while found.len() < count {
        for (id, parcel) in spool.read(after).await {
            after = id;
            found.push((id, parcel.map(|parcel| parcel.head.uri.to_string())));
        }
    }
    found
}

fn numbers(found: &[(i64, Option<String>)]) -> Vec<&str> {
    found.iter().map(|(_, uri)| uri.as_deref().unwrap_or("damaged")).collect()
}

#[tokio::test]
async fn what_is_kept_is_there_in_order_when_it_is_opened_again_until_it_is_over() {
    let folder = Folder::new("order");
    let spool = folder.open(16 * MIB).unwrap();
    for number in 0..100 {
        keep(&spool, number, 100 * number).await.unwrap();
    }
    assert_eq!(spool.size().0, 100);
    let found = all(&spool, 0, 100).await;
    for (id, _) in found.iter().filter(|(id, _)| id % 2 == 0) {
        spool.forget(*id);
    }
    spool.close();
    drop(spool);
    let spool = folder.open(16 * MIB).unwrap();
    assert_eq!(spool.size().0, 50);
    let rest = all(&spool, 0, 50).await;
    let expected: Vec<_> = found.iter().filter(|(id, _)| id % 2 == 1).cloned().collect();
    assert_eq!(rest, expected);
    assert!(rest.iter().all(|(id, _)| *id <= spool.before));
    // Behind all that there was.
    keep(&spool, 100, 0).await.unwrap();
    let (last, more) = (rest[49].0, all(&spool, rest[49].0, 1).await);
    assert_eq!(numbers(&more), ["/100"]);
    assert!(more[0].0 > last && more[0].0 > spool.before);
}

#[tokio::test]
async fn a_full_spool_says_so_and_takes_again_once_there_is_room() {
    let folder = Folder::new("full");
    let spool = folder.open(2 * MIB).unwrap();
    let mut kept = 0;
    for number in 0..40 {
        match keep(&spool, number, 100_000).await {
            Ok(()) => kept += 1,
            Err(why) => assert_eq!(why, Relayed::SpoolFull),
        }
    }
    assert!((15..=20).contains(&kept), "{kept}");
    // A smaller one may find room still.
    keep(&spool, 40, 10).await.unwrap();
    assert!(std::fs::metadata(folder.file()).unwrap().len() <= 2 * MIB);
    for (id, _) in all(&spool, 0, kept + 1).await {
        spool.forget(id);
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while keep(&spool, 41, 100_000).await.is_err() {
        assert!(Instant::now() < deadline, "no room");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn what_is_over_is_forgotten_though_nothing_more_can_be_kept() {
    let folder = Folder::new("refuses");
    let spool = folder.open(8 * MIB).unwrap();
    for number in 0..100 {
        keep(&spool, number, 1000).await.unwrap();
    }
    spool.close();
    drop(spool);
    let db = rusqlite::Connection::open(folder.file()).unwrap();
    let refuses = "create trigger refuses before insert on request begin
        select raise(abort, 'no room'); end";
    db.execute_batch(refuses).unwrap();
    drop(db);
    let spool = folder.open(8 * MIB).unwrap();
    for (id, _) in all(&spool, 0, 100).await {
        spool.forget(id);
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while spool.size().0 > 0 {
        assert_eq!(keep(&spool, 100, 1000).await, Err(Relayed::SpoolFailed));
        assert!(Instant::now() < deadline, "{:?}", spool.size());
    }
}

/// So that what is over can be forgotten on a disk that is full.
#[tokio::test]
async fn the_journal_has_its_room_from_the_start_and_keeps_it() {
    let folder = Folder::new("room");
    let spool = folder.open(64 * MIB).unwrap();
    let room = || std::fs::metadata(folder.0.join("relay.sqlite3-journal")).unwrap().blocks() * 512;
    assert_eq!(room(), MIB);
    for number in 0..20 {
        keep(&spool, number, 1 << 20).await.unwrap();
    }
    for (id, _) in all(&spool, 0, 20).await {
        spool.forget(id);
    }
    spool.close();
    assert_eq!(room(), MIB);
}

#[tokio::test]
async fn a_spool_that_is_empty_again_gives_the_disk_back() {
    let folder = Folder::new("shrinks");
    let spool = folder.open(64 * MIB).unwrap();
    for number in 0..30 {
        keep(&spool, number, 1 << 20).await.unwrap();
    }
    for (id, _) in all(&spool, 0, 30).await {
        spool.forget(id);
    }
    let size = || -> u64 {
        let files = std::fs::read_dir(&folder.0).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    // The journal keeps its room.
    while spool.size().0 > 0 || size() > 2 * MIB {
        assert!(Instant::now() < deadline, "{:?} {}", spool.size(), size());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_files_are_for_their_owner_alone() {
    let folder = Folder::new("modes");
    std::fs::create_dir_all(&folder.0).unwrap();
    std::fs::write(folder.file(), "").unwrap();
    std::fs::set_permissions(folder.file(), PermissionsExt::from_mode(0o644)).unwrap();
    let spool = folder.open(MIB).unwrap();
    keep(&spool, 1, 10_000).await.unwrap();
    let files: Vec<_> = std::fs::read_dir(&folder.0).unwrap().collect();
    assert_eq!(files.len(), 2, "the database and its journal");
    for file in files {
        assert_eq!(file.unwrap().metadata().unwrap().mode() & 0o777, 0o600);
    }
    let made = Folder::new("modes-made");
    let _spool = made.open(MIB).unwrap();
    assert_eq!(std::fs::metadata(&made.0).unwrap().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_file_that_is_no_longer_in_its_place_takes_nothing_more() {
    let (folder, moved) = (Folder::new("in-place"), Folder::new("moved"));
    let spool = folder.open(8 * MIB).unwrap();
    keep(&spool, 0, 1000).await.unwrap();
    std::fs::rename(&folder.0, &moved.0).unwrap();
    assert_eq!(keep(&spool, 1, 1000).await, Err(Relayed::SpoolFailed));
    // What it has is relayed all the same.
    assert_eq!(numbers(&all(&spool, 0, 1).await), ["/0"]);
    std::fs::rename(&moved.0, &folder.0).unwrap();
    keep(&spool, 2, 1000).await.unwrap();
    std::fs::remove_file(folder.file()).unwrap();
    std::fs::write(folder.file(), "another").unwrap();
    assert_eq!(keep(&spool, 3, 1000).await, Err(Relayed::SpoolFailed));
    assert_eq!(spool.size().0, 2);
}

#[tokio::test]
async fn two_cannot_have_one_spool() {
    let folder = Folder::new("two");
    let _spool = folder.open(MIB).unwrap();
    let why = folder.open(MIB).unwrap_err();
    assert!(why.ends_with("is in use by another process or listener"), "{why}");
}

#[tokio::test]
async fn a_file_that_is_damaged_or_of_others_is_told_and_left_as_it_is() {
    let folder = Folder::new("damaged");
    let spool = folder.open(8 * MIB).unwrap();
    for number in 0..200 {
        keep(&spool, number, 5000).await.unwrap();
    }
    spool.close();
    drop(spool);
    let good = std::fs::read(folder.file()).unwrap();
    let cut = good[..good.len() / 2].to_vec();
    let mut pages = good.clone();
    // Pages of the tree, not of bodies alone.
    pages[4096 * 3..4096 * 40].fill(7);
    let other = Folder::new("other");
    std::fs::create_dir_all(&other.0).unwrap();
    let theirs = rusqlite::Connection::open(other.file()).unwrap();
    theirs.execute_batch("pragma application_id = 5; create table t (a)").unwrap();
    drop(theirs);
    let theirs = std::fs::read(other.file()).unwrap();
    for (what, bytes) in [
        ("no database", b"no database at all, but text".repeat(1000)),
        ("cut", cut),
        ("pages", pages),
        ("another program", theirs),
    ] {
        std::fs::write(folder.file(), &bytes).unwrap();
        let why = folder.open(8 * MIB).expect_err(what);
        let file = folder.file();
        assert!(why.starts_with(&format!("the spool {} is damaged: ", file.display())), "{why}");
        assert!(why.contains("move it away, with its journal, to begin"), "{why}");
        assert_eq!(std::fs::read(&file).unwrap().len(), bytes.len(), "{what}");
    }
    std::fs::write(folder.file(), good).unwrap();
    assert_eq!(folder.open(8 * MIB).unwrap().size().0, 200);
}

#[tokio::test]
async fn what_is_no_spool_keeps_its_bytes_its_rights_and_what_lies_beside_it() {
    let folder = Folder::new("no-spool");
    std::fs::create_dir_all(&folder.0).unwrap();
    let database = |sql: &str| {
        drop(std::fs::remove_file(folder.file()));
        rusqlite::Connection::open(folder.file()).unwrap().execute_batch(sql).unwrap();
        std::fs::read(folder.file()).unwrap()
    };
    let theirs = "pragma application_id = 5; create table t (a)";
    let cases = [
        b"no database at all, but text".to_vec(),
        b"short".to_vec(),
        database(theirs),
        database(&format!("pragma journal_mode = wal; {theirs}")),
        database(&format!("pragma application_id = {}; pragma user_version = 9", 0x4d4c_5370)),
    ];
    for bytes in cases {
        drop(std::fs::remove_file(folder.file()));
        std::fs::write(folder.file(), &bytes).unwrap();
        std::fs::set_permissions(folder.file(), PermissionsExt::from_mode(0o644)).unwrap();
        let why = folder.open(MIB).unwrap_err();
        assert!(why.contains(" is damaged: "), "{why}");
        assert!(std::fs::read(folder.file()).unwrap() == bytes, "{why}");
        let mode = std::fs::metadata(folder.file()).unwrap().mode() & 0o777;
        assert_eq!((mode, folder.names()), (0o644, vec![FILE.to_owned()]), "{why}");
    }
}

#[tokio::test]
async fn a_link_is_no_spool_and_what_it_leads_to_stays_as_it_is() {
    let (folder, other) = (Folder::new("link"), Folder::new("linked"));
    other.open(MIB).unwrap().close();
    std::fs::create_dir_all(&folder.0).unwrap();
    let bytes = std::fs::read(other.file()).unwrap();
    std::fs::set_permissions(other.file(), PermissionsExt::from_mode(0o644)).unwrap();
    for (name, what) in [(FILE, "it"), ("relay.sqlite3-journal", "its journal")] {
        let link = folder.0.join(name);
        std::os::unix::fs::symlink(other.file(), &link).unwrap();
        let why = folder.open(MIB).unwrap_err();
        assert!(why.contains(&format!(" is damaged: {what} is no plain file; ")), "{why}");
        std::fs::remove_file(link).unwrap();
    }
    assert_eq!(std::fs::metadata(other.file()).unwrap().mode() & 0o777, 0o644);
    assert!(std::fs::read(other.file()).unwrap() == bytes);
}

/// As a crash leaves them.
#[tokio::test]
async fn all_that_was_acknowledged_lies_in_the_file_itself() {
    let (folder, crashed) = (Folder::new("whole"), Folder::new("whole-crashed"));
    let spool = folder.open(8 * MIB).unwrap();
    for number in 0..30 {
        keep(&spool, number, 20_000).await.unwrap();
    }
    for beside in [None, Some(0), Some(600)] {
        drop(std::fs::remove_dir_all(&crashed.0));
        folder.copy_to(&crashed);
        for name in crashed.names().into_iter().filter(|name| name != FILE) {
            match beside {
                None => std::fs::remove_file(crashed.0.join(name)).unwrap(),
                Some(length) => crashed.cut(&name, length),
            }
        }
        let spool = crashed.open(8 * MIB).unwrap();
        assert_eq!(spool.size().0, 30, "{beside:?}");
        assert_eq!(numbers(&all(&spool, 0, 30).await)[29], "/29");
        spool.close();
    }
}

#[tokio::test]
async fn a_file_that_was_emptied_is_told_and_one_that_was_taken_away_begun_anew() {
    let (folder, crashed) = (Folder::new("emptied"), Folder::new("emptied-crashed"));
    let spool = folder.open(8 * MIB).unwrap();
    keep(&spool, 1, 20_000).await.unwrap();
    folder.copy_to(&crashed);
    crashed.cut(FILE, 0);
    let before = crashed.names();
    let why = crashed.open(8 * MIB).unwrap_err();
    assert!(why.contains(" is damaged: it is empty, and its journal is not; "), "{why}");
    assert_eq!((crashed.names(), std::fs::metadata(crashed.file()).unwrap().len()), (before, 0));
    std::fs::remove_file(crashed.file()).unwrap();
    let spool = crashed.open(8 * MIB).unwrap();
    assert_eq!(spool.size().0, 0);
    keep(&spool, 1, 20_000).await.unwrap();
}

#[tokio::test]
async fn a_file_whose_making_was_cut_off_is_made_anew() {
    let folder = Folder::new("cut-off");
    std::fs::create_dir_all(&folder.0).unwrap();
    for left in [0, 4096] {
        std::fs::write(folder.file(), vec![0; left]).unwrap();
        // What SQLite begins a journal with: no records, a file of no pages, and their sizes.
        let mut journal = vec![0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
        for number in [0, 1, 0, 512, 4096_u32] {
            journal.extend(number.to_be_bytes());
        }
        journal.resize(512, 0);
        std::fs::write(folder.0.join("relay.sqlite3-journal"), journal).unwrap();
        let spool = folder.open(8 * MIB).unwrap();
        keep(&spool, 1, 20_000).await.unwrap();
        spool.close();
    }
}

#[tokio::test]
async fn a_request_that_is_no_longer_what_was_written_is_left_out_alone() {
    let folder = Folder::new("flipped");
    let spool = folder.open(8 * MIB).unwrap();
    for number in 0..4 {
        keep(&spool, number, 100).await.unwrap();
    }
    spool.close();
    drop(spool);
    let db = rusqlite::Connection::open(folder.file()).unwrap();
    db.execute_batch(
        "update request set body = x'00' where id = 2;
        update request set head = replace(head, 'POST', 'GOST') where id = 3;",
    )
    .unwrap();
    drop(db);
    let spool = folder.open(8 * MIB).unwrap();
    assert_eq!(numbers(&all(&spool, 0, 4).await), ["/0", "damaged", "damaged", "/3"]);
}

#[tokio::test]
async fn what_was_taken_back_is_not_kept_unless_it_is_being_written() {
    let folder = Folder::new("taken-back");
    let spool = folder.open(8 * MIB).unwrap();
    let (mut kept, mut back) = (0, 0);
    for number in 0..200 {
        let mut keeping = spool.keep(&parcel(number, 10), held()).unwrap();
        if number % 2 == 1 && keeping.take_back() {
            assert_eq!(keeping.written().await, Err(Relayed::SpoolFailed));
            back += 1;
        } else {
            keeping.written().await.unwrap();
            kept += 1;
        }
    }
    assert!(back > 0);
    assert_eq!(spool.size().0, kept);
}

#[tokio::test]
async fn a_spool_that_cannot_be_made_is_told_with_the_reason() {
    let folder = Folder::new("no-folder");
    std::fs::create_dir_all(folder.0.parent().unwrap()).unwrap();
    std::fs::write(&folder.0, "a file").unwrap();
    let why = folder.open(MIB).unwrap_err();
    assert!(why.contains("cannot be used: "), "{why}");
    std::fs::remove_file(&folder.0).unwrap();
}

#[tokio::test]
async fn after_the_end_nothing_is_kept_and_what_is_over_stays() {
    let folder = Folder::new("closed");
    let spool = folder.open(8 * MIB).unwrap();
    keep(&spool, 1, 10).await.unwrap();
    spool.close();
    assert!(keep(&spool, 2, 10).await.is_err());
    spool.forget(1);
    drop(spool);
    assert_eq!(folder.open(8 * MIB).unwrap().size().0, 1);
}
