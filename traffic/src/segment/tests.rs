use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::limits::Limits;
use crate::made;
use crate::read::{Position, Segments};

const SECOND: u64 = 1_000_000_000;

/// Files in memory, of which all writing together may take so many bytes.
#[derive(Clone, Debug, Default)]
struct Memory {
    files: Rc<RefCell<BTreeMap<String, Vec<u8>>>>,
    room: Rc<RefCell<Option<usize>>>,
}

struct Written(Memory, String);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut room = self.0.room.borrow_mut();
        let most = room.unwrap_or(usize::MAX).min(bytes.len());
        if most == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if let Some(room) = &mut *room {
            *room -= most;
        }
        self.0.files.borrow_mut().get_mut(&self.1).unwrap().extend_from_slice(&bytes[..most]);
        Ok(most)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl File for Written {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.0.files.borrow_mut().get_mut(&self.1).unwrap().truncate(bytes as usize);
        Ok(())
    }
}

impl Folder for Memory {
    type File = Written;

    fn create(&mut self, name: &str) -> io::Result<Written> {
        let before = self.files.borrow_mut().insert(name.to_owned(), Vec::new());
        assert_eq!(before, None);
        Ok(Written(self.clone(), name.to_owned()))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let file = self.files.borrow_mut().remove(from).unwrap();
        assert_eq!(self.files.borrow_mut().insert(to.to_owned(), file), None);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.files.borrow_mut().remove(name);
        Ok(())
    }

    fn has(&mut self, name: &str) -> bool {
        self.files.borrow().contains_key(name)
    }

    fn list(&mut self) -> io::Result<Vec<(String, u64)>> {
        let files = self.files.borrow();
        Ok(files.iter().map(|(name, file)| (name.clone(), file.len() as u64)).collect())
    }
}

impl crate::read::Source for Memory {
    type File = io::Cursor<Vec<u8>>;

    fn list(&mut self) -> io::Result<Vec<String>> {
        Ok(self.files.borrow().keys().cloned().collect())
    }

    fn open(&mut self, name: &str) -> io::Result<Self::File> {
        Ok(io::Cursor::new(self.files.borrow()[name].clone()))
    }
}

impl Memory {
    fn names(&self) -> Vec<String> {
        self.files.borrow().keys().cloned().collect()
    }

    fn bytes(&self) -> usize {
        self.files.borrow().values().map(Vec::len).sum()
    }

    /// The numbers of the exchanges that can be read, and the errors.
    fn read(&self) -> (Vec<u64>, Vec<String>) {
        let segments =
            Segments::new(self.clone(), Position::default(), &Limits::default()).unwrap();
        let (mut numbers, mut errors) = (Vec::new(), Vec::new());
        for read in segments {
            match read {
                Ok(exchange) => {
                    let number = u64::from_str_radix(&exchange.id, 16).unwrap();
                    assert_eq!(exchange, made::plain(number));
                    numbers.push(number);
                }
                Err(error) => errors.push(error.to_string()),
            }
        }
        (numbers, errors)
    }
}

fn at(second: u64) -> Moment {
    Moment(1_777_882_830 * SECOND + second * SECOND)
}

fn writer(memory: &Memory, change: impl FnOnce(&mut Options)) -> Writer<Memory> {
    let mut options = Options::new("a");
    change(&mut options);
    Writer::new(memory.clone(), options).unwrap()
}

#[test]
fn a_file_that_somebody_removes_while_it_is_written_is_followed_by_another() {
    let memory = Memory::default();
    let mut writer = writer(&memory, |_| {});
    writer.write(&made::plain(1), at(0)).unwrap();
    writer.flush(at(0)).unwrap();
    memory.files.borrow_mut().clear();
    writer.write(&made::plain(2), at(1)).unwrap();
    writer.close(at(1)).unwrap();
    assert_eq!(memory.read(), (vec![2], vec![]));
}

#[test]
fn of_a_frame_that_the_disk_has_no_room_for_nothing_stays() {
    let memory = Memory::default();
    let mut writer = writer(&memory, |_| {});
    writer.write(&made::plain(1), at(0)).unwrap();
    writer.flush(at(0)).unwrap();
    let whole = memory.bytes();
    *memory.room.borrow_mut() = Some(10);
    writer.write(&made::plain(2), at(1)).unwrap();
    assert_eq!(writer.flush(at(1)).unwrap_err().exchanges, 1);
    assert_eq!((memory.bytes(), memory.read()), (whole, (vec![1], vec![])));
}

#[test]
fn a_flush_that_is_larger_than_the_quota_removes_nothing() {
    let memory = Memory::default();
    let mut first = writer(&memory, |_| {});
    first.write(&made::plain(1), at(0)).unwrap();
    first.close(at(0)).unwrap();
    let mut small = writer(&memory, |it| it.quota = 100);
    small.write(&made::plain(2), at(1)).unwrap();
    assert_eq!(small.flush(at(1)).unwrap_err().exchanges, 1);
    assert_eq!(memory.read(), (vec![1], vec![]));
}

#[test]
fn what_was_flushed_can_be_read_while_it_is_written() {
    let memory = Memory::default();
    let mut writer = writer(&memory, |_| {});
    writer.write(&made::plain(1), at(0)).unwrap();
    assert_eq!(memory.names().len(), 0, "nothing is written before a flush");
    writer.flush(at(0)).unwrap();
    writer.write(&made::plain(2), at(1)).unwrap();
    writer.flush(at(1)).unwrap();
    assert_eq!(memory.names(), ["20260504T082030Z-a-000000.jsonl.zst.part"]);
    assert_eq!(memory.read(), (vec![1, 2], vec![]));
    writer.write(&made::plain(3), at(1)).unwrap();
    writer.close(at(2)).unwrap();
    assert_eq!(memory.names(), ["20260504T082030Z-a-000000.jsonl.zst"]);
    assert_eq!(memory.read(), (vec![1, 2, 3], vec![]));
    assert_eq!(writer.told().exchanges, 3);
    assert_eq!(writer.told().bytes, memory.bytes() as u64);
}

#[test]
fn segments_are_closed_when_they_are_large_or_old() {
    let memory = Memory::default();
    let mut large = writer(&memory, |it| it.bytes = 1000);
    for second in 0..20 {
        large.write(&made::plain(second), at(second)).unwrap();
        large.flush(at(second)).unwrap();
    }
    let names = memory.names();
    assert!(names.len() > 3, "{names:?}");
    assert!(
        memory.files.borrow().values().rev().skip(1).all(|file| (1000..2000).contains(&file.len()))
    );
    assert_eq!(memory.read().0, Vec::from_iter(0..20));

    let memory = Memory::default();
    let mut old = writer(&memory, |it| it.age = Duration::from_secs(10));
    for second in 0..35 {
        if second % 2 == 0 {
            old.write(&made::plain(second), at(second)).unwrap();
        }
        old.flush(at(second)).unwrap();
    }
    assert_eq!(memory.names().len(), 3);
    assert!(memory.names()[2].starts_with("20260504T082054Z-a-000002"), "{:?}", memory.names());
}

#[test]
fn many_lines_are_flushed_unasked() {
    let memory = Memory::default();
    let mut writer = writer(&memory, |it| it.waiting = 2000);
    (0..10).for_each(|number| writer.write(&made::plain(number), at(0)).unwrap());
    assert!(writer.lines.len() < 2000);
    assert!(!memory.read().0.is_empty());
}

#[test]
fn the_oldest_go_first_when_the_quota_is_reached() {
    let memory = Memory::default();
    let mut writer = writer(&memory, |it| {
        it.bytes = 1000;
        it.quota = 5000;
    });
    for number in 0..100 {
        writer.write(&made::plain(number), at(number)).unwrap();
        writer.flush(at(number)).unwrap();
        assert!(memory.bytes() <= 5000);
    }
    let (numbers, errors) = memory.read();
    assert_eq!(numbers, Vec::from_iter(numbers[0]..100), "the newest are there, without a hole");
    assert!(errors.is_empty() && memory.bytes() > 3000 && writer.told().removed > 10);
}

#[test]
fn a_segment_larger_than_the_quota_makes_room_for_itself() {
    let memory = Memory::default();
    let mut writer = writer(&memory, |it| it.quota = 2000);
    for number in 0..20 {
        writer.write(&made::plain(number), at(number)).unwrap();
        writer.flush(at(number)).unwrap();
        assert!(memory.bytes() <= 2000);
    }
    assert_eq!(memory.read().0.last(), Some(&19));
    let mut none = writer_of_nothing();
    none.write(&made::plain(1), at(0)).unwrap();
    assert_eq!(none.flush(at(0)).unwrap_err().exchanges, 1);
}

fn writer_of_nothing() -> Writer<Memory> {
    writer(&Memory::default(), |it| it.quota = 10)
}

#[test]
fn what_a_crash_left_open_is_closed_at_the_next_start() {
    let memory = Memory::default();
    let mut crashed = writer(&memory, |_| {});
    crashed.write(&made::plain(1), at(0)).unwrap();
    crashed.flush(at(0)).unwrap();
    drop(crashed);
    let torn = "20260504T082030Z-a-000000.jsonl.zst.part";
    memory.files.borrow_mut().get_mut(torn).unwrap().extend_from_slice(b"\x28\xb5\x2f");
    let other = "20260504T082030Z-b-000000.jsonl.zst.part".to_owned();
    memory.files.borrow_mut().insert(other.clone(), Vec::new());

    let mut next = writer(&memory, |_| {});
    assert_eq!(next.told().taken_up, 1);
    next.write(&made::plain(2), at(0)).unwrap();
    next.close(at(0)).unwrap();
    let names = memory.names();
    assert_eq!(names[..2], [torn.trim_end_matches(".part"), "20260504T082030Z-a-000001.jsonl.zst"]);
    assert_eq!(names[2], other, "another's is left alone");
    let (numbers, errors) = memory.read();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(errors.len(), 1);
}

#[test]
fn a_disk_that_is_full_at_any_byte_tears_no_line() {
    let memory = Memory::default();
    let mut writer_of_all = writer(&memory, |_| {});
    for number in 0..4 {
        writer_of_all.write(&made::plain(number), at(number)).unwrap();
        writer_of_all.flush(at(number)).unwrap();
    }
    for room in 0..memory.bytes() {
        let memory = Memory::default();
        *memory.room.borrow_mut() = Some(room);
        let mut writer = writer(&memory, |_| {});
        let mut lost = Vec::new();
        for number in 0..8 {
            if number == 6 {
                *memory.room.borrow_mut() = None;
            }
            writer.write(&made::plain(number), at(number)).unwrap();
            if let Err(error) = writer.flush(at(number)) {
                assert_eq!(error.exchanges, 1);
                lost.push(number);
            }
        }
        let (numbers, errors) = memory.read();
        assert!(!lost.is_empty() && errors.len() <= lost.len(), "{room}: {errors:?}");
        assert!(errors.iter().all(|it| it.contains("torn: ")), "{errors:?}");
        // What was said to be written can be read. Of a torn frame a whole line may be there, too.
        let written: Vec<_> = (0..8).filter(|it| !lost.contains(it)).collect();
        assert!(written.iter().all(|it| numbers.contains(it)), "{room}: {numbers:?} {lost:?}");
        assert!(numbers.is_sorted_by(|a, b| a < b), "{room}: {numbers:?}");
        assert_eq!(writer.told().exchanges, written.len() as u64);
    }
}

#[test]
fn a_replica_is_a_word() {
    for wrong in ["", "a/b", "ä", &"x".repeat(65)] {
        assert!(Writer::new(Memory::default(), Options::new(wrong)).is_err(), "{wrong}");
    }
}
