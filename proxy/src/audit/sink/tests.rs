use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A folder of its own, gone when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mirrorlab-audit-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> PathBuf {
        self.0.join("audit.jsonl")
    }

    fn sink(&self, max_bytes: u64, files: usize) -> Sink {
        Sink::open(&config(self.path(), max_bytes, files)).unwrap()
    }

    /// What is in each file, by its name.
    fn files(&self) -> Vec<(String, String)> {
        let files = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap());
        let name = |entry: &fs::DirEntry| entry.file_name().into_string().unwrap();
        let mut files: Vec<_> =
            files.map(|it| (name(&it), fs::read_to_string(it.path()).unwrap())).collect();
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn config(path: PathBuf, max_bytes: u64, files: usize) -> Config {
    Config { place: Place::File(path), max_bytes, files }
}

fn named(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn a_file_that_is_full_is_put_aside_and_the_oldest_goes() {
    let folder = Folder::new();
    let mut sink = folder.sink(8, 3);
    for line in 1..=9 {
        sink.write(format!("l{line}\n").as_bytes()).unwrap();
        let files = folder.files();
        assert!(files.len() <= 3 && files.iter().all(|(_, text)| text.len() <= 8), "{files:?}");
    }
    let expected =
        [("audit.jsonl", "l9\n"), ("audit.jsonl.1", "l7\nl8\n"), ("audit.jsonl.2", "l5\nl6\n")];
    assert_eq!(folder.files(), named(&expected));
    // One that is opened again goes on, and a line that is longer than a file may be is one all the same.
    let mut sink = folder.sink(8, 2);
    sink.write(b"m1\n").unwrap();
    sink.write(b"a long line\n").unwrap();
    sink.write(b"m2\n").unwrap();
    let files = folder.files();
    assert_eq!(files[0].1, "m2\n");
    assert_eq!(files[1].1, "a long line\n");
}

#[test]
fn a_file_that_is_moved_or_removed_is_begun_anew() {
    let folder = Folder::new();
    let mut sink = folder.sink(1 << 20, 2);
    sink.write(b"a\n").unwrap();
    fs::rename(folder.path(), folder.0.join("moved")).unwrap();
    sink.write(b"b\n").unwrap();
    assert_eq!(folder.files(), named(&[("audit.jsonl", "b\n"), ("moved", "a\n")]));
    // As logrotate does with `create`.
    fs::rename(folder.path(), folder.0.join("moved")).unwrap();
    File::create(folder.path()).unwrap();
    sink.write(b"b2\n").unwrap();
    assert_eq!(folder.files(), named(&[("audit.jsonl", "b2\n"), ("moved", "b\n")]));
    fs::remove_file(folder.path()).unwrap();
    sink.write(b"c\n").unwrap();
    // As logrotate does with `copytruncate`.
    File::options().write(true).open(folder.path()).unwrap().set_len(0).unwrap();
    sink.write(b"d\n").unwrap();
    assert_eq!(folder.files(), named(&[("audit.jsonl", "d\n"), ("moved", "b\n")]));
    fs::remove_dir_all(&folder.0).unwrap();
    assert!(sink.write(b"e\n").is_err());
    fs::create_dir_all(&folder.0).unwrap();
    sink.write(b"f\n").unwrap();
    assert_eq!(folder.files(), named(&[("audit.jsonl", "f\n")]));
}

#[test]
fn behind_half_a_line_a_new_one_begins() {
    let folder = Folder::new();
    fs::write(folder.path(), "{\"half").unwrap();
    let mut sink = folder.sink(1 << 20, 2);
    sink.write(b"a\n").unwrap();
    sink.write(b"b\n").unwrap();
    assert_eq!(folder.files(), named(&[("audit.jsonl", "{\"half\na\nb\n")]));
}

#[test]
fn the_beginning_of_a_line_for_which_there_was_room_is_taken_back() {
    let folder = Folder::new();
    let Sink::File(mut file) = folder.sink(1 << 20, 2) else { panic!("no file") };
    file.write(b"a\n").unwrap();
    // As far as the disk took it.
    file.file.write_all(b"{\"ha").unwrap();
    let full = io::ErrorKind::StorageFull;
    assert_eq!(file.take_back(2, 4, full.into()).unwrap_err().kind(), full);
    file.write(b"b\n").unwrap();
    assert_eq!(folder.files(), named(&[("audit.jsonl", "a\nb\n")]));
    // Not where another process wrote behind it.
    file.file.write_all(b"{\"haother\n").unwrap();
    assert!(file.take_back(4, 4, full.into()).is_err());
    file.write(b"c\n").unwrap();
    assert_eq!(folder.files(), named(&[("audit.jsonl", "a\nb\n{\"haother\n\nc\n")]));
}

#[test]
fn a_file_that_cannot_be_put_aside_goes_on_and_none_is_lost_by_trying() {
    let folder = Folder::new();
    let mut sink = folder.sink(4, 3);
    for line in ["l1\n", "l2\n"] {
        sink.write(line.as_bytes()).unwrap();
    }
    // A folder in its place cannot be written over by a file.
    fs::rename(folder.0.join("audit.jsonl.1"), folder.0.join("kept")).unwrap();
    fs::create_dir_all(folder.0.join("audit.jsonl.1/x")).unwrap();
    fs::create_dir_all(folder.0.join("audit.jsonl.2/x")).unwrap();
    for line in ["l3\n", "l4\n"] {
        sink.write(line.as_bytes()).unwrap();
    }
    assert_eq!(fs::read_to_string(folder.path()).unwrap(), "l2\nl3\nl4\n");
    fs::remove_dir_all(folder.0.join("audit.jsonl.1")).unwrap();
    fs::remove_dir_all(folder.0.join("audit.jsonl.2")).unwrap();
    sink.write(b"l5\n").unwrap();
    let expected = [("audit.jsonl", "l5\n"), ("audit.jsonl.1", "l2\nl3\nl4\n"), ("kept", "l1\n")];
    assert_eq!(folder.files(), named(&expected));
}

#[test]
fn what_is_no_file_is_an_error_at_once_and_a_full_disk_at_each_line() {
    let open = |path: &str| Sink::open(&config(path.into(), 1 << 20, 2));
    for path in ["/nowhere/audit.jsonl", "/tmp", ""] {
        assert!(open(path).is_err(), "{path}");
    }
    let mut sink = open("/dev/full").unwrap();
    for _ in 0..2 {
        assert_eq!(sink.write(b"a\n").unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}

#[test]
fn others_may_not_read_a_new_file() {
    let folder = Folder::new();
    folder.sink(1 << 20, 2);
    assert_eq!(fs::metadata(folder.path()).unwrap().mode() & 0o007, 0);
}
