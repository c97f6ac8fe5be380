//! Streams cut into segments that come in any order, twice, overlapping, changed, cut or not at all.

use std::net::SocketAddr;

use packets::{Direction, End, Filter, Limits, Link};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::build::{Tcp, ethernet};
use crate::log::{Bench, Told};

const CLIENT: &str = "10.0.0.1:40000";
const SERVER: &str = "10.0.0.2:80";

#[derive(Clone, Debug)]
struct Piece {
    start: usize,
    len: usize,
    /// Added to each byte: another copy may differ.
    change: u8,
    /// That many bytes at the end are not captured.
    cut: usize,
}

fn pieces(changes: bool) -> impl Strategy<Value = (Vec<u8>, Vec<Piece>)> {
    (1_usize..600).prop_flat_map(move |size| {
        let change = if changes { 0..3_u8 } else { 0..1 };
        let cut = if changes { 0..20_usize } else { 0..1 };
        let piece =
            (0..size, 1..80_usize, change, cut).prop_map(move |(start, len, change, cut)| {
                let len = len.min(size - start);
                Piece { start, len, change, cut: cut.min(len) * usize::from(cut > 15) }
            });
        (prop::collection::vec(any::<u8>(), size), prop::collection::vec(piece, 0..60))
    })
}

fn segment(back: bool, isn: u32, offset: usize, flags: &'static str, payload: Vec<u8>) -> Tcp {
    let (client, server): (SocketAddr, SocketAddr) =
        (CLIENT.parse().unwrap(), SERVER.parse().unwrap());
    let (from, to) = if back { (server, client) } else { (client, server) };
    let sequence = isn.wrapping_add(u32::try_from(offset).unwrap());
    Tcp { from, to, sequence, acknowledged: None, flags, payload }
}

/// The first copy of each byte: told, cut off, or nothing.
#[derive(Clone, Copy, PartialEq)]
enum Byte {
    Missing,
    Cut,
    Here(u8),
}

fn expected(bytes: &[Byte]) -> Vec<Told> {
    let mut told = Vec::new();
    for byte in bytes {
        match (told.last_mut(), byte) {
            (Some(Told::Data(data)), Byte::Here(byte)) => data.push(*byte),
            (_, Byte::Here(byte)) => told.push(Told::Data(vec![*byte])),
            (Some(Told::Gap(missing)), _) => *missing += 1,
            (_, _) => told.push(Told::Gap(1)),
        }
    }
    told.push(Told::End(End::Finished));
    told
}

fn send(bench: &mut Bench, back: bool, isn: u32, piece: &Piece, stream: &[u8]) {
    let change = |byte: &u8| byte.wrapping_add(piece.change);
    let payload: Vec<u8> =
        stream[piece.start..piece.start + piece.len].iter().map(change).collect();
    let frame = segment(back, isn, piece.start + 1, "", payload).frame();
    bench.frame(0, Link::Ethernet, &frame[..frame.len() - piece.cut], frame.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn of_each_byte_the_first_copy_is_told_in_its_place_and_what_never_came_is_a_gap(
        forth in pieces(true),
        back in pieces(true),
        isns in any::<[u32; 2]>(),
        wrap in any::<bool>(),
        mix in prop::collection::vec(any::<bool>(), 0..130),
        fins in any::<[Index; 2]>(),
    ) {
        let isns = if wrap { [u32::MAX - 100, u32::MAX - 300] } else { isns };
        let mut bench = Bench::new(Limits::default(), Filter::default());
        bench.ethernet(0, &segment(false, isns[0], 0, "S", vec![]).frame());
        let answer = Tcp {
            acknowledged: Some(isns[0].wrapping_add(1)),
            ..segment(true, isns[1], 0, "S", vec![])
        };
        bench.ethernet(0, &answer.frame());
        let sides = [forth, back];
        let mut oracle = sides.clone().map(|(stream, _)| vec![Byte::Missing; stream.len()]);
        let mut places = [0, 0];
        let fins = [0, 1].map(|side| fins[side].index(sides[side].1.len() + 1));
        let mut mix = mix.into_iter().cycle();
        while (0..2).any(|side| places[side] <= sides[side].1.len()) {
            let mut side = usize::from(mix.next().unwrap_or(false));
            if places[side] > sides[side].1.len() {
                side = 1 - side;
            }
            let (stream, pieces) = &sides[side];
            let place = places[side];
            places[side] += 1;
            if place == fins[side] {
                let fin = segment(side == 1, isns[side], stream.len() + 1, "F", vec![]);
                bench.ethernet(0, &fin.frame());
            }
            let Some(piece) = pieces.get(place) else { continue };
            send(&mut bench, side == 1, isns[side], piece, stream);
            for at in piece.start..piece.start + piece.len {
                if oracle[side][at] == Byte::Missing {
                    let here = at < piece.start + piece.len - piece.cut;
                    let byte = Byte::Here(stream[at].wrapping_add(piece.change));
                    oracle[side][at] = if here { byte } else { Byte::Cut };
                }
            }
        }
        bench.finish();
        let totals = bench.assembler.totals();
        let count = |what| {
            oracle.iter().flatten().filter(|byte| **byte == what).count() as u64
        };
        let heard = bench.heard();
        if heard.is_empty() {
            prop_assert!(sides.iter().all(|(_, pieces)| pieces.is_empty()));
        } else {
            prop_assert_eq!(&heard[0].ways[0], &expected(&oracle[0]));
            prop_assert_eq!(&heard[0].ways[1], &expected(&oracle[1]));
        }
        prop_assert_eq!(heard.len().min(1), heard.len());
        prop_assert_eq!(totals.missing, count(Byte::Missing));
        prop_assert_eq!(totals.cut, count(Byte::Cut));
    }

    #[test]
    fn whatever_is_acknowledged_and_however_little_may_be_held_bytes_are_in_their_places(
        (stream, pieces) in pieces(false),
        isn in any::<u32>(),
        acknowledgements in prop::collection::vec(any::<Option<u16>>(), 60),
        held in 0_usize..2000,
        window in 1_u32..700,
    ) {
        let limits = Limits { held, window, ..Limits::default() };
        let mut bench = Bench::new(limits, Filter::default());
        bench.ethernet(0, &segment(false, isn, 0, "S", vec![]).frame());
        for (piece, number) in pieces.iter().zip(acknowledgements) {
            send(&mut bench, false, isn, piece, &stream);
            prop_assert!(bench.assembler.held() <= held);
            if let Some(number) = number {
                let number = isn.wrapping_add(u32::from(number) % 700);
                let acknowledged = Some(number);
                let back = Tcp { acknowledged, ..segment(true, 0, 0, "", vec![]) };
                bench.ethernet(0, &back.frame());
            }
        }
        bench.finish();
        let mut position = 0;
        for told in bench.heard().first().into_iter().flat_map(|heard| &heard.ways[0]) {
            match told {
                Told::Data(bytes) => {
                    prop_assert_eq!(&stream[position..position + bytes.len()], &bytes[..]);
                    position += bytes.len();
                }
                Told::Gap(missing) => position += usize::try_from(*missing).unwrap(),
                Told::End(_) => {}
            }
        }
    }

    #[test]
    fn frames_of_any_bytes_have_one_fate_each(
        frames in prop::collection::vec(
            (0_u16..300, prop::collection::vec(any::<u8>(), 0..120), 0_usize..40),
            0..20,
        ),
        heads in any::<bool>(),
    ) {
        let mut bench = Bench::new(Limits::default(), Filter::default());
        for (link, bytes, cut) in frames {
            let bytes = if heads { ethernet(&[], &[&[0x45, 0, 0, 60], &bytes[..]].concat()) } else { bytes };
            let link = if heads { Link::Ethernet } else { Link::of(link) };
            bench.frame(0, link, &bytes, bytes.len() + cut);
        }
        bench.finish();
    }
}

#[test]
fn the_client_is_who_sent_the_syn() {
    let mut bench = Bench::new(Limits::default(), Filter::default());
    bench.ethernet(0, &segment(true, 7, 0, "S", vec![]).frame());
    bench.ethernet(0, &segment(true, 7, 1, "", b"hello".to_vec()).frame());
    bench.finish();
    let heard = bench.only();
    assert_eq!(heard.ends.one, SERVER.parse().unwrap());
    assert_eq!(heard.text(Direction::Forth), "hello");
}
