//! HTTP/2: what h2 says is read as h2 meant it, and frames made by hand as the rules have it.

use conversations::{Budget, Limits};
use packets::End;
use traffic::Body;

use crate::recorded::{Wire, assert_each_http2, assert_http2, replay, run, speak_http2, wire};
use crate::support::{C, Played, S};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn recorded(count: usize) -> Wire {
    run(async {
        let (client, server, record) = wire();
        speak_http2(client, server, count).await;
        let wire = record.lock().unwrap();
        wire.clone()
    })
}

#[test]
fn many_streams_of_a_real_client_and_server_are_read() {
    let wire = recorded(80);
    for piece in [1, 10, 5000] {
        let limits = Limits { conversation_bytes: usize::MAX, ..Limits::default() };
        let played = Played::with(true, limits, Budget::new(usize::MAX));
        assert_http2(&replay(played, &wire, piece), 80);
    }
}

#[test]
fn a_connection_whose_beginning_was_missed_is_counted() {
    let wire = recorded(5);
    let limits = Limits { search_bytes: 1000, ..Limits::default() };
    let played = Played::with(false, limits, Budget::new(usize::MAX));
    let told = replay(played, &wire[6..].to_vec(), 1000);
    assert_eq!((told.seen, told.lost()), (0, vec![("not_http", 1)]));
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// HEADERS with `GET /` to `a`, or with status 200.
fn get(stream: u32) -> Vec<u8> {
    frame(1, 0x5, stream, b"\x82\x86\x84\x01\x01a")
}

fn ok(stream: u32, flags: u8) -> Vec<u8> {
    frame(1, flags, stream, b"\x88")
}

fn data(stream: u32, flags: u8, bytes: &[u8]) -> Vec<u8> {
    frame(0, flags, stream, bytes)
}

fn begun() -> Played {
    let mut played = Played::new(true);
    // The server may speak first.
    played
        .say(S, frame(4, 0, 0, b""))
        .say(C, PREFACE)
        .say(C, frame(4, 0, 0, b"\x00\x03\x00\x00\x00\x64"));
    played
}

#[test]
fn padding_priority_and_continuations_are_taken_off() {
    let mut played = begun();
    let head = b"\x02\x80\x00\x00\x00\x10\x82\x86";
    played.say(C, frame(1, 0x29, 1, &[head, &b"\0\0"[..]].concat()));
    played.say(C, frame(9, 0, 1, b"\x84")).say(C, frame(9, 0x4, 1, b"\x01\x01a"));
    played.say(C, frame(2, 0, 1, b"\0\0\0\0\x01")).say(C, frame(0xfa, 0, 1, b"unknown"));
    played.say(S, ok(1, 0x4)).say(S, data(1, 0x8, b"\x02abc\0\0")).say(S, data(1, 0x9, b"\0d"));
    assert_eq!(played.told().lines(), ["GET / 200 abcd"]);
}

#[test]
fn streams_end_in_their_ways() {
    let mut played = begun();
    for stream in [1, 3, 5, 7, 9, 11] {
        played.say(C, get(stream));
    }
    played.say(S, frame(1, 0x4, 1, b"\x08\x03103")).say(S, ok(1, 0x5));
    played.say(S, frame(3, 0, 3, b"\0\0\0\x08")).say(C, frame(3, 0, 5, b"\0\0\0\x08"));
    played.say(S, ok(5, 0x5)).say(S, ok(7, 0x4)).say(S, data(7, 0, b"half"));
    played.say(S, frame(5, 0x4, 1, b"\0\0\0\x02\x82\x86\x84")).say(S, ok(2, 0x5));
    played.say(S, frame(7, 0, 0, b"\0\0\0\x09\0\0\0\0because"));
    let told = played.told();
    assert_eq!(told.lines(), ["GET / 200"]);
    assert_eq!(told.lost(), [("cut_short", 1), ("no_answer", 1), ("pushed", 1), ("reset", 3)]);
}

#[test]
fn a_gap_in_a_body_ends_nothing_and_one_in_a_head_ends_all() {
    let mut played = begun();
    played.say(C, get(1)).say(C, get(3)).say(S, ok(1, 0x4));
    let body = data(1, 0x1, b"0123456789");
    played
        .say(S, &body[..11])
        .gap(S, Some(6))
        .say(S, &body[17..])
        .say(S, ok(3, 0x5))
        .say(C, get(5));
    played.gap(S, Some(3)).say(S, ok(5, 0x5)).say(C, get(7));
    let told = played.told();
    assert_eq!(told.lines(), ["GET / 200 Some(10)", "GET / 200"]);
    assert_eq!(told.lost(), [("body_gap", 1), ("gap", 1), ("http2_broken", 1)]);
}

#[test]
fn what_is_malformed_ends_the_stream_or_the_connection() {
    let stream: [(Vec<u8>, &str); 4] = [
        (frame(1, 0x5, 1, b"\x82\x86"), "malformed"),
        (frame(1, 0x5, 1, b"\x82\x82\x86\x84"), "malformed"),
        (frame(1, 0x5, 1, b"\x82\x86\x84\x00\x01A\x01b"), "malformed"),
        (frame(1, 0x5, 1, b"\x82\x86\x84\x0f\x0d\x01\x35"), "malformed"),
    ];
    for (bytes, name) in stream {
        let mut played = begun();
        played.say(C, &bytes).say(S, ok(1, 0x5)).say(C, get(3)).say(S, ok(3, 0x5));
        let told = played.told();
        assert_eq!(
            (told.lines(), told.lost()),
            (vec!["GET / 200".to_owned()], vec![(name, 1)]),
            "{bytes:x?}"
        );
    }
    for bytes in [
        frame(1, 0x5, 1, b"\xff\xff"),
        frame(1, 0x5, 2, b"\x82\x86\x84"),
        [frame(1, 0x1, 1, b"\x82"), data(1, 0, b"x")].concat(),
        frame(1, 0xd, 1, b"\x09\x82\x86\x84"),
        data(1, 0x8, b"\x05a"),
        frame(9, 0x4, 1, b"\x82"),
        frame(1, 0x5, 0, b"\x82\x86\x84"),
    ] {
        let mut played = begun();
        played.say(C, &bytes).say(C, get(3)).say(S, ok(3, 0x5));
        let told = played.told();
        assert_eq!((told.seen, told.lost()), (0, vec![("http2_broken", 1)]), "{bytes:x?}");
    }
}

#[test]
fn an_upgrade_goes_on_with_the_first_stream() {
    let mut played = Played::new(true);
    played.say(C, "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n\r\nhi");
    let switched = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n";
    played.say(S, [switched, &frame(4, 0, 0, b"")[..]].concat());
    played
        .say(C, [PREFACE, &frame(4, 0, 0, b"")].concat())
        .say(S, ok(1, 0x4))
        .say(S, data(1, 1, b"one"));
    played.say(C, get(3)).say(S, ok(3, 0x5));
    let told = played.told();
    assert_eq!(told.lines(), ["POST /up 200 one", "GET / 200"]);
    assert_eq!(told.exchanges[0].request.version, "1.1");
    assert_eq!(told.exchanges[0].request.body, Body::Whole("hi".into()));
    assert_eq!(told.exchanges[1].request.headers, [("host".into(), "a".into())]);
}

#[test]
fn streams_and_heads_have_a_bound() {
    let limits = Limits { pending: 2, head_bytes: 300, ..Limits::default() };
    let mut played = Played::with(true, limits, Budget::new(usize::MAX));
    let long = [&b"\x82\x86\x84\x00\x01a\x7f\x0c"[..], &[b'x'; 139]].concat();
    played.say(C, PREFACE).say(C, get(1)).say(C, get(3)).say(C, get(5)).say(S, ok(1, 5));
    played.say(C, frame(1, 5, 7, &[&long[..], &long[3..]].concat())).say(S, ok(3, 5));
    let too_long = frame(1, 0x1, 9, &[0x82; 301]);
    played.say(C, too_long);
    played.end(S, End::Finished);
    let told = played.told();
    assert_eq!(told.lines(), ["GET / 200", "GET / 200"]);
    assert_eq!(told.lost(), [("head_too_large", 1), ("http2_broken", 1), ("too_many_pending", 1)]);
}

#[test]
fn with_a_gap_anywhere_each_stream_that_is_told_is_what_was_said() {
    let wire = recorded(12);
    let total: usize = wire.iter().map(|(_, bytes)| bytes.len()).sum();
    let mut told_of = 0;
    for start in (0..total).step_by(total / 150) {
        for (length, known) in [(1, true), (40, true), (40, false)] {
            let limits = Limits { conversation_bytes: usize::MAX, ..Limits::default() };
            let mut played = Played::with(true, limits, Budget::new(usize::MAX));
            let mut place = 0;
            for (direction, bytes) in &wire {
                let cut = |at: usize| at.saturating_sub(place).min(bytes.len());
                let (from, to) = (cut(start), cut(start + length));
                played.say(*direction, &bytes[..from]);
                if to > from {
                    played.gap(*direction, known.then_some((to - from) as u64));
                }
                played.say(*direction, &bytes[to..]);
                place += bytes.len();
            }
            let told = played.told();
            told_of += told.exchanges.len();
            assert_each_http2(&told, true);
        }
    }
    assert!(told_of > 12 * 150, "{told_of}");
}
