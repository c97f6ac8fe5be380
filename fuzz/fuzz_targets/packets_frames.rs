//! A connection whose bytes are known by their place, cut to segments as the input says, six bytes for each: what is
//! told is in its place, whatever is acknowledged, reset, fragmented or late.
#![no_main]

use std::net::Ipv4Addr;

use fuzz::memory::Room;
use fuzz::streams::{LIMITS, Ledger, assembler, check, finish};
use libfuzzer_sys::fuzz_target;
use packets::{Direction, Frame, Limits, Link};

const ROOM: usize = 1 << 20;
const STEP: usize = 6;
const TICK: u64 = 100_000_000;

fuzz_target!(|data: &[u8]| {
    let [first, grace, rest @ ..] = data else { return };
    let _room = Room::new(ROOM);
    // However long it is silent, it stays the one whose beginning is known.
    let limits = || Limits {
        grace: u64::from(*grace) * TICK,
        window: 40_000,
        idle: u64::MAX,
        idle_opening: u64::MAX,
        linger: u64::MAX,
        ..LIMITS()
    };
    // Near the wrap of the numbers, and not.
    let isns = [u32::from(*first) << 24, u32::MAX - u32::from(*first) * 50];
    let (mut assembler, told) = assembler(limits());
    told.borrow_mut().asked = usize::from(*first);
    let mut make = Ledger::make(&told, Some(content));
    let (mut frames, mut now) = (0, 0);
    for step in [&[0, 0, 0, 0, 0, 0], &[1, 0, 0, 0, 0, 0]]
        .into_iter()
        .map(|step: &[u8; STEP]| &step[..])
        .chain(rest.chunks_exact(STEP))
    {
        let [kind, time, high, low, size, more] = *step else { return };
        now += u64::from(time) * TICK;
        let opens = frames < 2;
        let segment = Segment {
            back: kind & 1 != 0,
            syn: opens || kind & 0x0E == 0x0E,
            fin: kind & 0x30 == 0x30,
            rst: kind & 0xF0 == 0xF0,
            offset: u32::from(u16::from_be_bytes([high, low])),
            size: if opens { 0 } else { usize::from(size) * usize::from(more % 8) },
            acknowledged: (kind & 2 != 0 || frames == 1).then_some(u32::from(more) << (kind >> 5)),
        };
        for packet in segment.packets(isns, kind & 0x0C == 4, frames as u16) {
            let cut = if kind & 0x4C == 0x48 { packet.len().min(usize::from(more)) } else { 0 };
            let bytes = &packet[..packet.len() - cut];
            let frame = Frame { at: now, link: Link::Raw, bytes, original: packet.len() };
            assembler.frame(&frame, &mut make);
            frames += 1;
            check(&assembler, frames, &limits());
        }
    }
    finish(&mut assembler, &told);
});

/// The byte in a place; one direction tells nothing of the other.
fn content(direction: Direction, place: u64) -> u8 {
    (place.wrapping_mul(0x9E37_79B9) >> 13) as u8
        ^ if direction == Direction::Forth { 0x55 } else { 0 }
}

struct Segment {
    back: bool,
    syn: bool,
    fin: bool,
    rst: bool,
    offset: u32,
    size: usize,
    acknowledged: Option<u32>,
}

impl Segment {
    /// One packet, or the fragments of one, the last one first. A SYN is always that of the beginning.
    fn packets(&self, isns: [u32; 2], fragments: bool, id: u16) -> Vec<Vec<u8>> {
        let side = usize::from(self.back);
        let offset = if self.syn { 0 } else { self.offset };
        let number = isns[side].wrapping_add(offset).wrapping_add(u32::from(!self.syn));
        let acknowledged =
            self.acknowledged.map_or(0, |number| isns[1 - side].wrapping_add(number + 1));
        let ports: [u16; 2] = if self.back { [80, 40_000] } else { [40_000, 80] };
        let flags = u8::from(self.fin) | u8::from(self.syn) << 1 | u8::from(self.rst) << 2;
        let flags = flags | u8::from(self.acknowledged.is_some()) << 4;
        let mut tcp = Vec::new();
        tcp.extend(ports[0].to_be_bytes());
        tcp.extend(ports[1].to_be_bytes());
        tcp.extend(number.to_be_bytes());
        tcp.extend(acknowledged.to_be_bytes());
        tcp.extend([0x50, flags, 0xFF, 0xFF, 0, 0, 0, 0]);
        let direction = if self.back { Direction::Back } else { Direction::Forth };
        let places = u64::from(offset)..u64::from(offset) + self.size as u64;
        tcp.extend(places.map(|place| content(direction, place)));
        if !fragments {
            return vec![self.ip(0, 0, &tcp)];
        }
        let size = (tcp.len() / 2).next_multiple_of(8).min(tcp.len());
        let last = self.ip(id, (size / 8) as u16, &tcp[size..]);
        vec![last, self.ip(id, 0x2000, &tcp[..size])]
    }

    fn ip(&self, id: u16, fragment: u16, payload: &[u8]) -> Vec<u8> {
        let hosts = [[10, 0, 0, 1], [10, 0, 0, 2]].map(Ipv4Addr::from);
        let [from, to] = if self.back { [hosts[1], hosts[0]] } else { hosts };
        let mut ip = vec![0x45, 0];
        ip.extend((payload.len() as u16 + 20).to_be_bytes());
        ip.extend(id.to_be_bytes());
        ip.extend(fragment.to_be_bytes());
        ip.extend([64, 6, 0, 0]);
        ip.extend(from.octets());
        ip.extend(to.octets());
        ip.extend(payload);
        ip
    }
}
