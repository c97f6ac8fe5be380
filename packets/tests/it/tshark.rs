//! A second opinion: tshark puts the same connections together from the same files.
//!
//! Where it is not installed the test says so and passes; with `PACKETS_REQUIRE_TSHARK` set it fails.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use packets::{Capture, Filter, Limits};

use crate::build::{
    Order, Record, Tcp, ethernet, geneve, ip, ip4_fragment, ip6_fragment, outer, pcap, pcapng,
    vxlan,
};
use crate::log::{Bench, Told};

/// Numbers without a pattern, the same on each run (xorshift of Marsaglia).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }
}

/// How a segment is carried, in one frame or several.
#[derive(Clone, Copy, Debug)]
enum Carried {
    Plain,
    Vlan,
    Double,
    Vxlan,
    Geneve,
    Fragments,
}

const CARRIED: [Carried; 6] = [
    Carried::Plain,
    Carried::Vlan,
    Carried::Double,
    Carried::Vxlan,
    Carried::Geneve,
    Carried::Fragments,
];

/// What goes wrong on the way, in percent.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    again: usize,
    swapped: usize,
    lost: usize,
}

/// A conversation of some rounds: each side sends segments, and the other acknowledges them. The last
/// round loses nothing, so that each loss has something behind it.
fn conversation(ends: [SocketAddr; 2], trouble: Trouble, dice: &mut Dice) -> Vec<Tcp> {
    const ROUNDS: usize = 6;
    let tcp = |side: usize, sequence, acknowledged, flags, payload| {
        let (from, to) = (ends[side], ends[1 - side]);
        Tcp { from, to, sequence, acknowledged, flags, payload }
    };
    // One wraps.
    let mut next = [u32::MAX - dice.below(3000) as u32, dice.below(1 << 30) as u32];
    let mut all = vec![tcp(0, next[0], None, "S", vec![])];
    next[0] = next[0].wrapping_add(1);
    all.push(tcp(1, next[1], Some(next[0]), "S", vec![]));
    next[1] += 1;
    all.push(tcp(0, next[0], Some(next[1]), "", vec![]));
    for round in 0..ROUNDS {
        for side in 0..2 {
            let mut run = Vec::new();
            for _ in 0..1 + dice.below(8) {
                let payload: Vec<u8> =
                    (0..1 + dice.below(500)).map(|_| dice.below(256) as u8).collect();
                let size = payload.len() as u32;
                run.push(tcp(side, next[side], Some(next[1 - side]), "", payload));
                next[side] = next[side].wrapping_add(size);
            }
            if round + 1 < ROUNDS {
                run.retain(|_| dice.below(100) >= trouble.lost);
            }
            for at in 1..run.len() {
                if dice.below(100) < trouble.swapped {
                    run.swap(at - 1, at);
                }
            }
            for segment in run {
                all.push(segment.clone());
                if dice.below(100) < trouble.again {
                    all.push(segment);
                }
            }
            all.push(tcp(1 - side, next[1 - side], Some(next[side]), "", vec![]));
        }
    }
    all.push(tcp(0, next[0], Some(next[1]), "F", vec![]));
    all.push(tcp(1, next[1], Some(next[0].wrapping_add(1)), "F", vec![]));
    all.push(tcp(0, next[0].wrapping_add(1), Some(next[1] + 1), "", vec![]));
    all
}

fn frames(tcp: &Tcp, carried: Carried, dice: &mut Dice) -> Vec<Vec<u8>> {
    match carried {
        Carried::Plain => vec![tcp.frame()],
        Carried::Vlan => vec![ethernet(&[12], &tcp.ip())],
        Carried::Double => vec![ethernet(&[12, 34], &tcp.ip())],
        Carried::Vxlan => vec![outer(4789, &vxlan(0x1234, &tcp.frame()))],
        Carried::Geneve => vec![outer(6081, &geneve(0x1234, 2, 0x6558, &tcp.frame()))],
        Carried::Fragments => fragments(tcp, dice),
    }
}

fn fragments(tcp: &Tcp, dice: &mut Dice) -> Vec<Vec<u8>> {
    const SIZE: usize = 160;
    let (from, to, bytes) = (tcp.from.ip(), tcp.to.ip(), tcp.bytes());
    let id = dice.below(1 << 32) as u32;
    let count = bytes.len().div_ceil(SIZE);
    let fragment = |(at, chunk): (usize, &[u8])| {
        let (offset, more) = (at * SIZE, at + 1 < count);
        let packet = if from.is_ipv4() {
            ip4_fragment(from, to, 6, id as u16, offset, more, chunk)
        } else {
            ip(from, to, 44, &ip6_fragment(6, id, offset, more, chunk))
        };
        ethernet(&[], &packet)
    };
    let mut frames: Vec<_> = bytes.chunks(SIZE).enumerate().map(fragment).collect();
    if dice.below(2) == 0 {
        frames.reverse();
    }
    frames
}

/// Each way of carrying with each version of IP, all at once.
fn records(trouble: Trouble) -> Vec<Record> {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let mut talks = Vec::new();
    for (number, carried) in CARRIED.into_iter().cycle().take(2 * CARRIED.len()).enumerate() {
        let port = 40_000 + number as u16;
        let ends: [SocketAddr; 2] = if number < CARRIED.len() {
            [([10, 0, 0, 1], port).into(), ([10, 0, 0, 2], 8080).into()]
        } else {
            ["[fd00::1]:0".parse().unwrap(), "[fd00::2]:8080".parse().unwrap()]
        };
        let ends = [SocketAddr::new(ends[0].ip(), port), ends[1]];
        let segments = conversation(ends, trouble, &mut dice);
        let frames: Vec<_> =
            segments.iter().flat_map(|tcp| frames(tcp, carried, &mut dice)).collect();
        talks.push(frames.into_iter());
    }
    let mut records = Vec::new();
    while !talks.is_empty() {
        let place = dice.below(talks.len());
        match talks[place].next() {
            Some(frame) => {
                let (at, length) =
                    (1_700_000_000_000_000_000 + records.len() as u64 * 1000, frame.len());
                records.push((at, frame, length));
            }
            None => drop(talks.swap_remove(place)),
        }
    }
    records
}

/// By its two ends: what each of them sent, holes as tshark writes them.
type Sent = BTreeMap<[SocketAddr; 2], [Vec<u8>; 2]>;

fn sent(one: SocketAddr, other: SocketAddr, [forth, back]: [Vec<u8>; 2], into: &mut Sent) {
    let (ends, sent) =
        if one < other { ([one, other], [forth, back]) } else { ([other, one], [back, forth]) };
    assert!(into.insert(ends, sent).is_none(), "{ends:?} twice");
}

fn ours(file: &[u8]) -> Sent {
    let mut bench = Bench::new(Limits::default(), Filter::default());
    let mut make = bench.make();
    let mut capture = Capture::new(file).unwrap();
    while let Some(frame) = capture.next_frame().unwrap() {
        bench.assembler.frame(&frame, &mut make);
    }
    bench.finish();
    let mut all = Sent::new();
    for heard in bench.heard().iter() {
        let ways = heard.ways.each_ref().map(|way| {
            let bytes = way.iter().map(|told| match told {
                Told::Data(bytes) => bytes.clone(),
                Told::Gap(missing) => format!("[{missing} bytes missing in capture file]\0").into(),
                Told::End(_) => Vec::new(),
            });
            bytes.collect::<Vec<_>>().concat()
        });
        sent(heard.ends.one, heard.ends.other, ways, &mut all);
    }
    all
}

/// What `-z follow,tcp,raw` prints of some streams.
fn theirs(path: &Path, streams: usize) -> Sent {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(path).arg("-q");
    for stream in 0..streams {
        command.args(["-z", &format!("follow,tcp,raw,{stream}")]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut all = Sent::new();
    for part in String::from_utf8(output.stdout).unwrap().split("Filter: tcp.stream").skip(1) {
        let mut nodes = Vec::new();
        let mut ways = [Vec::new(), Vec::new()];
        for line in part.lines().skip(1) {
            if let Some((_, node)) = line.split_once(": ") {
                // The last is of what is printed next.
                nodes.extend(node.parse::<SocketAddr>());
            } else if !line.starts_with('=') {
                ways[usize::from(line.starts_with('\t'))].extend(hex(line.trim()));
            }
        }
        sent(nodes[0], nodes[1], ways, &mut all);
    }
    all
}

fn hex(text: &str) -> impl Iterator<Item = u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

#[expect(clippy::disallowed_methods, reason = "a test's switch")]
fn required() -> bool {
    std::env::var_os("PACKETS_REQUIRE_TSHARK").is_some()
}

fn compare(name: &str, trouble: Trouble) {
    if Command::new("tshark").arg("--version").output().is_err() {
        assert!(!required(), "PACKETS_REQUIRE_TSHARK is set, and there is no tshark");
        eprintln!("skipped: there is no tshark");
        return;
    }
    let records = records(trouble);
    for (kind, file) in [
        ("pcap", pcap(Order::Big, false, 1, &records)),
        ("pcapng", pcapng(Order::Little, 1, &records)),
    ] {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.{kind}"));
        std::fs::write(&path, &file).unwrap();
        let (ours, theirs) = (ours(&file), theirs(&path, 2 * CARRIED.len()));
        assert_eq!(ours.len(), 2 * CARRIED.len());
        let missing = ours.values().flatten().any(|bytes| contains(bytes, b" bytes missing in "));
        assert_eq!(missing, trouble.lost > 0);
        assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
        for (ends, ways) in &ours {
            for way in 0..2 {
                let (ours, theirs) = (&ways[way], &theirs[ends][way]);
                let place = ours.iter().zip(theirs).take_while(|(our, their)| our == their).count();
                assert!(
                    ours == theirs,
                    "{name}, {kind}, {ends:?}, {way}: {} bytes, tshark has {}; they differ at {place}",
                    ours.len(),
                    theirs.len()
                );
            }
        }
    }
}

#[test]
fn tshark_reads_the_same_where_all_goes_well() {
    compare("well", Trouble { again: 0, swapped: 0, lost: 0 });
}

#[test]
fn tshark_reads_the_same_where_segments_come_twice_and_in_another_order() {
    compare("mixed", Trouble { again: 20, swapped: 30, lost: 0 });
}

#[test]
fn tshark_misses_the_same_where_segments_are_lost() {
    compare("lost", Trouble { again: 10, swapped: 0, lost: 15 });
}
