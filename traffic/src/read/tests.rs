use std::collections::BTreeMap;
use std::io::Write as _;

use super::*;
use crate::line;
use crate::made;

#[derive(Clone, Default)]
struct Files(BTreeMap<String, Vec<u8>>);

impl Source for Files {
    type File = io::Cursor<Vec<u8>>;

    fn list(&mut self) -> io::Result<Vec<String>> {
        Ok(self.0.keys().rev().cloned().collect())
    }

    fn open(&mut self, name: &str) -> io::Result<Self::File> {
        if name.starts_with("gone") {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(io::Cursor::new(self.0[name].clone()))
    }
}

fn text(numbers: std::ops::Range<u64>) -> Vec<u8> {
    let mut text = Vec::new();
    numbers.for_each(|number| line::write(&made::plain(number), &mut text));
    text
}

fn frame(numbers: std::ops::Range<u64>) -> Vec<u8> {
    zstd::bulk::compress(&text(numbers), 3).unwrap()
}

fn read(files: &Files, from: Position) -> (Vec<u64>, Vec<ReadError>) {
    let (mut numbers, mut errors) = (Vec::new(), Vec::new());
    for read in Segments::new(files.clone(), from, &Limits::default()).unwrap() {
        match read {
            Ok(exchange) => numbers.push(u64::from_str_radix(&exchange.id, 16).unwrap()),
            Err(error) => errors.push(error),
        }
    }
    (numbers, errors)
}

fn folder(files: &[(&str, Vec<u8>)]) -> Files {
    Files(files.iter().map(|(name, file)| ((*name).to_owned(), file.clone())).collect())
}

#[test]
fn a_segment_torn_at_any_byte_gives_all_frames_before_and_the_next_segment() {
    let before = [frame(0..3), frame(3..5)].concat();
    let last = frame(5..9);
    for torn in 0..last.len() {
        let first = [&before[..], &last[..torn]].concat();
        let files = folder(&[("1.jsonl.zst", first), ("2.jsonl.zst", frame(9..12))]);
        let (numbers, errors) = read(&files, Position::default());
        let expected: Vec<u64> = (0..5).chain(9..12).collect();
        let (of_torn, others): (Vec<u64>, Vec<u64>) =
            numbers.into_iter().partition(|it| (5..9).contains(it));
        assert_eq!(others, expected, "{torn}");
        assert_eq!(of_torn, Vec::from_iter(5..5 + of_torn.len() as u64), "whole lines, in order");
        let places: Vec<_> = errors.iter().map(|it| (it.file.as_deref(), it.place)).collect();
        let place = (Some("1.jsonl.zst"), Place::Byte(before.len() as u64));
        assert_eq!(places, if torn == 0 { vec![] } else { vec![place] }, "{torn}");
        assert!(errors.iter().all(|it| matches!(it.fault, Fault::Torn(_))), "{errors:?}");
    }
}

#[test]
fn damage_at_any_byte_is_told_or_harmless_and_the_next_segment_is_read() {
    let before = frame(0..2);
    let mut compressor = zstd::bulk::Compressor::new(3).unwrap();
    compressor.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true)).unwrap();
    let last = compressor.compress(&text(2..5)).unwrap();
    for at in 0..last.len() {
        let mut first = [&before[..], &last].concat();
        first[before.len() + at] ^= 0x55;
        let files = folder(&[("1.jsonl.zst", first), ("2.jsonl.zst", frame(5..7))]);
        let (numbers, errors) = read(&files, Position::default());
        assert!(numbers.starts_with(&[0, 1]) && numbers.ends_with(&[5, 6]), "{at}: {numbers:?}");
        assert!(!errors.is_empty(), "{at}");
    }
}

#[test]
fn files_are_read_in_the_order_of_their_names_whatever_they_are_packed_in() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&text(4..6)).unwrap();
    let files = folder(&[
        ("1.jsonl.zst", frame(0..2)),
        ("2.jsonl.zst.part", frame(2..3)),
        ("3.jsonl", text(3..4)),
        ("4.jsonl", gzip.finish().unwrap()),
        ("5.jsonl.zst", Vec::new()),
        ("notes.txt", b"hello".to_vec()),
    ]);
    let (numbers, errors) = read(&files, Position::default());
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
    assert!(errors.is_empty());
}

#[test]
fn reading_goes_on_where_it_stopped() {
    let torn = &frame(4..6)[..9];
    let files = folder(&[
        ("1.jsonl.zst.part", [&frame(0..4)[..], torn].concat()),
        ("2.jsonl.zst", frame(6..9)),
        ("3.jsonl", text(9..10)),
    ]);
    let all = [0, 1, 2, 3, 6, 7, 8, 9];
    let mut segments =
        Segments::new(files.clone(), Position::default(), &Limits::default()).unwrap();
    let mut closed = files.clone();
    let part = closed.0.remove("1.jsonl.zst.part").unwrap();
    closed.0.insert("1.jsonl.zst".to_owned(), part);
    for done in 0..=all.len() {
        for files in [&files, &closed] {
            let (numbers, _) = read(files, segments.position().clone());
            assert_eq!(numbers, all[done..], "{:?}", segments.position());
        }
        segments.find(Result::is_ok);
    }
    let gone = Position { file: "1.jsonl".to_owned(), exchanges: 2 };
    assert_eq!(read(&files, gone).0, all, "a file that is gone: all behind it");
}

#[test]
fn a_file_that_can_not_be_opened_is_told_and_the_next_is_read() {
    let files = folder(&[("gone.jsonl", Vec::new()), ("z.jsonl", text(1..2))]);
    let (numbers, errors) = read(&files, Position::default());
    assert_eq!(numbers, [1]);
    assert!(errors[0].to_string().starts_with("gone.jsonl: byte 0: "), "{}", errors[0]);
}

#[test]
fn a_window_larger_than_allowed_is_an_error() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(24).unwrap();
    encoder.write_all(&text(0..1)).unwrap();
    let one = One::new(io::Cursor::new(encoder.finish().unwrap()), &Limits::default()).unwrap();
    let all: Vec<_> = one.collect();
    assert!(matches!(&all[..], [Err(_)]), "{all:?}");
}

#[test]
fn a_folder_on_disk_is_written_and_read() {
    use crate::exchange::Moment;
    use crate::segment::{Options, Writer};
    let path = std::env::temp_dir().join(format!("traffic-read-{}", std::process::id()));
    let disk = crate::disk::Disk::create(&path).unwrap();
    let mut writer = Writer::new(disk.clone(), Options::new("a")).unwrap();
    for number in 0..5 {
        writer.write(&made::plain(number), Moment(number)).unwrap();
        writer.close(Moment(number)).unwrap();
    }
    let segments = Segments::new(disk, Position::default(), &Limits::default()).unwrap();
    let read: Vec<_> = segments.map(Result::unwrap).collect();
    std::fs::remove_dir_all(&path).unwrap();
    assert_eq!(read, Vec::from_iter((0..5).map(made::plain)));
}
