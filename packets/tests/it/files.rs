//! Capture files: both formats, both byte orders, resolutions, and what is broken.

use std::io::{self, Read};

use packets::{Capture, FileError, Link};
use proptest::prelude::*;

use crate::build::{Order, Record, block, interface, packet, pcap, pcapng, section};

/// Link, time, bytes and original length of a frame.
type Seen = (Link, u64, Vec<u8>, usize);

fn read(source: impl Read) -> (Vec<Seen>, Option<FileError>) {
    let mut seen = Vec::new();
    let mut capture = match Capture::new(source) {
        Ok(capture) => capture,
        Err(error) => return (seen, Some(error)),
    };
    loop {
        match capture.next_frame() {
            Ok(Some(frame)) => {
                seen.push((frame.link, frame.at, frame.bytes.to_vec(), frame.original));
            }
            Ok(None) => return (seen, None),
            Err(error) => {
                assert!(matches!(capture.next_frame(), Ok(None)), "an error is the end");
                return (seen, Some(error));
            }
        }
    }
}

fn records() -> Vec<Record> {
    vec![
        (1_700_000_000_123_456_789, vec![1, 2, 3], 3),
        (1_700_000_001_000_000_001, vec![], 0),
        (1_700_000_002_999_999_999, vec![9; 70_000], 80_000),
    ]
}

#[test]
fn both_formats_are_read_in_both_byte_orders() {
    for order in [Order::Little, Order::Big] {
        for (nanos, file) in [
            (1, pcap(order, true, 1, &records())),
            (1000, pcap(order, false, 1, &records())),
            (1, pcapng(order, 1, &records())),
        ] {
            let (seen, error) = read(&file[..]);
            assert!(error.is_none(), "{error:?}");
            let expected: Vec<Seen> = records()
                .into_iter()
                .map(|(at, bytes, original)| (Link::Ethernet, at / nanos * nanos, bytes, original))
                .collect();
            assert!(seen == expected, "{order:?} {nanos}");
        }
    }
}

#[test]
fn each_interface_has_its_own_link_resolution_and_offset() {
    let order = Order::Little;
    let mut file = section(order);
    file.extend(interface(order, 1, None, 0));
    file.extend(interface(order, 101, Some(3), -10));
    file.extend(interface(order, 276, Some(0x80 | 10), 5));
    file.extend(block(order, 0x0BAD, &[1, 2, 3, 4]));
    file.extend(packet(order, 0, 1_000_001, &[1], 1));
    file.extend(packet(order, 1, 20_500, &[2, 2], 2));
    file.extend(packet(order, 2, 1024 + 512, &[3], 3));
    file.extend(block(order, 3, &[4, 0, 0, 0, 5, 5, 5, 5]));
    file.extend(packet(order, 9, 7, &[6], 1));
    // Another section, of another machine: its interfaces are others.
    let order = Order::Big;
    file.extend(section(order));
    file.extend(interface(order, 113, Some(9), 0));
    file.extend(packet(order, 0, 42, &[7], 1));
    let (seen, error) = read(&file[..]);
    assert!(error.is_none(), "{error:?}");
    let half = 6_500_000_000;
    assert_eq!(
        seen,
        [
            (Link::Ethernet, 1_000_001_000, vec![1], 1),
            (Link::Raw, 10_500_000_000, vec![2, 2], 2),
            (Link::Cooked2, half, vec![3], 3),
            (Link::Ethernet, half, vec![5; 4], 4),
            (Link::Unknown(u16::MAX), half, vec![6], 1),
            (Link::Cooked, 42, vec![7], 1),
        ]
    );
}

#[test]
fn of_a_file_that_was_cut_what_is_whole_is_read() {
    for order in [Order::Little, Order::Big] {
        for file in [pcap(order, true, 1, &records()), pcapng(order, 1, &records())] {
            for end in (0..400).step_by(9).chain(file.len() - 5..file.len()) {
                let (seen, error) = read(&file[..end]);
                assert!(seen.len() < 3);
                let whole = matches!(error, None | Some(FileError::Truncated));
                assert!(whole || end < 28, "{end}: {error:?}");
            }
        }
    }
}

#[test]
fn what_is_no_capture_says_so() {
    for file in
        [&b""[..], b"GET", b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", b"\x1f\x8b\x08\0\0\0\0\0\0\x03"]
    {
        assert!(matches!(read(file).1, Some(FileError::NotACapture)));
    }
}

#[test]
fn a_block_that_promises_too_much_is_refused() {
    let mut file = pcap(Order::Little, true, 1, &records());
    file.truncate(24);
    file.extend([0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0x7F, 0, 0, 0, 0]);
    let more = || io::repeat(0).take(100 << 20);
    assert!(matches!(read(file.chain(more())).1, Some(FileError::TooLarge)));
    let mut file = section(Order::Little);
    file.extend([6, 0, 0, 0, 0xF0, 0xFF, 0xFF, 0x7F, 0, 0, 0, 0]);
    assert!(matches!(read(file.chain(more())).1, Some(FileError::TooLarge)));
}

#[test]
fn blocks_of_no_use_are_passed_over_whatever_is_in_them() {
    let order = Order::Little;
    let mut file = section(order);
    file.extend(interface(order, 1, None, 0));
    // Names, statistics and what no standard knows; one is larger than any that is read.
    for kind in [4, 5, 0x8000_0001, 0x0BAD, 2] {
        file.extend(block(order, kind, &[0xFF; 4]));
    }
    file.extend(block(order, 10, &vec![7; 20 << 20]));
    file.extend(packet(order, 0, 1, &[1], 1));
    let (seen, error) = read(&file[..]);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(seen.len(), 1);
    file.truncate(1 << 20);
    assert!(matches!(read(&file[..]).1, Some(FileError::Truncated)));
}

#[test]
fn a_block_that_contradicts_itself_is_malformed() {
    let order = Order::Little;
    let begin = || [section(order), interface(order, 1, None, 0)].concat();
    // Less than a block is, of a kind that is read and of one that is not; more captured than there is.
    for bad in [&[6, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0][..], &[1, 0, 0, 0x80, 6, 0, 0, 0, 0, 0, 0, 0]]
    {
        let file = [&begin()[..], bad].concat();
        assert!(matches!(read(&file[..]).1, Some(FileError::Malformed)));
    }
    let mut bad = packet(order, 0, 1, &[1, 2, 3, 4], 4);
    bad[20] = 200;
    let file = [begin(), bad].concat();
    assert!(matches!(read(&file[..]).1, Some(FileError::Malformed)));
}

#[test]
fn what_the_source_says_when_it_fails_is_handed_on() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let file = pcap(Order::Little, true, 1, &records());
    let (seen, error) = read(file.chain(Failing));
    assert_eq!(seen.len(), 3);
    assert!(error.unwrap().to_string().contains("the disk is gone"));
}

/// Gives a few bytes at a time, and is interrupted between.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.1 += 1;
        if self.1.is_multiple_of(3) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let most = bytes.len().min(1 + self.1 % 7 * 50);
        self.0.read(&mut bytes[..most])
    }
}

proptest! {
    #[test]
    fn a_source_may_be_slow(
        sizes in prop::collection::vec(0_usize..3000, 0..40),
        next in any::<bool>(),
    ) {
        let records: Vec<Record> =
            sizes.iter().enumerate().map(|(at, size)| (at as u64, vec![at as u8; *size], *size)).collect();
        let file = if next { pcapng(Order::Big, 1, &records) } else { pcap(Order::Big, true, 1, &records) };
        let (seen, error) = read(Slow(&file, 0));
        prop_assert!(error.is_none());
        let sizes_seen: Vec<usize> = seen.iter().map(|frame| frame.2.len()).collect();
        prop_assert_eq!(sizes_seen, sizes);
    }

    #[test]
    fn a_broken_file_is_an_error_and_nothing_worse(
        place in any::<prop::sample::Index>(),
        value in any::<u8>(),
        next in any::<bool>(),
    ) {
        let mut file = if next { pcapng(Order::Little, 1, &records()) } else { pcap(Order::Little, true, 1, &records()) };
        let place = place.index(200);
        file[place] = value;
        prop_assert!(read(&file[..]).0.len() <= 3);
    }
}
