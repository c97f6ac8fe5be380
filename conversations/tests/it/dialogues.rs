//! Dialogues made up: whatever pieces they come in they give exactly their exchanges, and with bytes missing
//! anywhere they give none that was not, and go on behind that.

use packets::{Direction, End};
use proptest::prelude::*;
use traffic::{Body, Exchange};

use crate::support::{C, Played, S, Told};

/// One exchange as it is said, and what is to be told of it.
#[derive(Clone)]
struct Said {
    request: Vec<u8>,
    answer: Vec<u8>,
    number: usize,
    asked: Vec<u8>,
    answered: Vec<u8>,
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} -> {}", self.request.escape_ascii(), self.answer.escape_ascii())
    }
}

/// How a body is framed.
#[derive(Clone, Copy, Debug)]
enum Frame {
    None,
    Length,
    Chunks(usize),
}

/// Bodies with and without what looks like messages.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..60),
        1 => Just(b"\nGET /false HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        1 => Just(b"HTTP/1.1 200 OK\r\nX-For: 0\r\nContent-Length: 0\r\n\r\n".to_vec()),
        1 => Just(b"GET /false HTTP/1.1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc".to_vec()),
    ];
    prop::collection::vec(part, 0..4).prop_map(|parts| parts.concat())
}

fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![Just(Frame::None), Just(Frame::Length), (1..40_usize).prop_map(Frame::Chunks)]
}

fn framed(head: &str, frame: Frame, body: &[u8]) -> Vec<u8> {
    let mut bytes = head.as_bytes().to_vec();
    match frame {
        Frame::None => bytes.extend_from_slice(b"\r\n"),
        Frame::Length => {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            bytes.extend_from_slice(body);
        }
        Frame::Chunks(size) => {
            bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in body.chunks(size) {
                bytes.extend_from_slice(format!("{:x};ext\r\n", chunk.len()).as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\nX-Trailer: 1\r\n\r\n");
        }
    }
    bytes
}

type Parts = (bool, Frame, Vec<u8>, Frame, Vec<u8>);

fn said(number: usize, (head, asked_frame, asked, answered_frame, answered): Parts) -> Said {
    let (head, asked_frame) = if head { ("HEAD", Frame::None) } else { ("POST", asked_frame) };
    let request = format!("{head} /{number} HTTP/1.1\r\nHost: a\r\n");
    let is_empty = matches!(answered_frame, Frame::None);
    let status = if is_empty { "204 No Content" } else { "200 OK" };
    let answer = format!("HTTP/1.1 {status}\r\nX-For: {number}\r\n");
    let answer = framed(&answer, answered_frame, &answered);
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4;
    let is_head = head == "HEAD";
    Said {
        request: framed(&request, asked_frame, &asked),
        answer: if is_head { answer[..end].to_vec() } else { answer },
        number,
        asked: if matches!(asked_frame, Frame::None) { Vec::new() } else { asked },
        answered: if is_head || is_empty { Vec::new() } else { answered },
    }
}

/// Batches of pipelined exchanges.
fn dialogue(batches: std::ops::Range<usize>, most: usize) -> impl Strategy<Value = Vec<Vec<Said>>> {
    let parts = (prop::bool::weighted(0.2), frame(), body(), frame(), body());
    prop::collection::vec(prop::collection::vec(parts, 1..=most), batches).prop_map(|batches| {
        let mut number = 0;
        let mut batch = |parts: Vec<Parts>| {
            parts.into_iter().map(|it| (number += 1, said(number, it)).1).collect()
        };
        batches.into_iter().map(&mut batch).collect()
    })
}

type Piece = (Direction, Vec<u8>);

/// The bytes in pieces of these sizes, over and over.
fn pieces(batches: &[Vec<Said>], sizes: &[usize]) -> Vec<Piece> {
    let mut sizes = sizes.iter().cycle();
    let mut pieces = Vec::new();
    for batch in batches {
        let asked: Vec<u8> = batch.iter().flat_map(|it| it.request.clone()).collect();
        let answered: Vec<u8> = batch.iter().flat_map(|it| it.answer.clone()).collect();
        for (direction, bytes) in [(C, asked), (S, answered)] {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
                pieces.push((direction, piece.to_vec()));
                rest = behind;
            }
        }
    }
    pieces
}

/// What is told of these pieces without those bytes of one direction.
fn play(
    opened: bool,
    pieces: &[Piece],
    gap: Option<(Direction, usize, usize)>,
    known: bool,
    late: bool,
) -> Told {
    let mut played = Played::new(opened);
    let mut place = [0, 0];
    let mut missing = 0_u64;
    for (direction, bytes) in pieces {
        let from = place[*direction as usize];
        let to = from + bytes.len();
        place[*direction as usize] = to;
        let (start, end) = match gap {
            Some((which, start, end)) if which == *direction => {
                (start.clamp(from, to), end.clamp(from, to))
            }
            _ => (to, to),
        };
        if start > from {
            played.say(*direction, &bytes[..start - from]);
        }
        missing += (end - start) as u64;
        let (_, _, gap_end) = gap.unwrap_or((C, 0, 0));
        let over = if late { end < to } else { end == gap_end };
        if missing > 0 && over && gap.is_some_and(|(which, ..)| which == *direction) {
            played.gap(*direction, known.then_some(missing));
            missing = 0;
        }
        if end < to {
            played.say(*direction, &bytes[end - from..]);
        }
    }
    played.end(C, End::Finished).end(S, End::Finished);
    played.told()
}

fn number(exchange: &Exchange) -> usize {
    std::str::from_utf8(&exchange.request.target[1..]).unwrap().parse().unwrap()
}

fn is_body(told: &Body, said: &[u8], may_miss: bool) -> bool {
    match told {
        Body::Whole(bytes) => bytes == said,
        Body::NotKept(length) => may_miss && length.is_none_or(|it| it == said.len() as u64),
    }
}

/// Whether each that was told is one that was said, in order, and its answer is its own.
fn assert_true(told: &Told, batches: &[Vec<Said>], may_miss: bool) -> Vec<usize> {
    let said: Vec<&Said> = batches.iter().flatten().collect();
    let numbers: Vec<usize> = told
        .exchanges
        .iter()
        .map(|it| {
            assert!(it.request.target.starts_with(b"/") && it.request.target != "/false", "{it:?}");
            number(it)
        })
        .collect();
    assert!(numbers.is_sorted_by(|one, other| one < other), "{numbers:?}");
    for exchange in &told.exchanges {
        let said = said[number(exchange) - 1];
        let answer = exchange.answer.as_ref().unwrap();
        let to = traffic::exchange::header(&answer.headers, "x-for").unwrap();
        assert_eq!(*to, said.number.to_string(), "the answer is to another request");
        assert!(is_body(&exchange.request.body, &said.asked, may_miss), "{exchange:?}");
        assert!(is_body(&answer.body, &said.answered, may_miss), "{exchange:?}");
    }
    numbers
}

/// The last batch that a gap of the bytes of one direction touches.
fn touched(batches: &[Vec<Said>], (direction, _, end): (Direction, usize, usize)) -> usize {
    let mut place = 0;
    for (at, batch) in batches.iter().enumerate() {
        let bytes = |it: &Said| if direction == C { it.request.len() } else { it.answer.len() };
        place += batch.iter().map(bytes).sum::<usize>();
        if end <= place {
            return at;
        }
    }
    batches.len()
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1..5_usize, 1..100_usize, 100..2000_usize], 1..8)
}

/// Batches behind the one with a gap in which nothing needs to come: the rest of it is mistaken for lines,
/// the line that it ends in is not seen, and two rounds are waited for.
const NEIGHBOURHOOD: usize = 6;

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn dialogues_are_told_whole_in_whatever_pieces(batches in dialogue(1..6, 4), sizes in sizes()) {
        let told = play(true, &pieces(&batches, &sizes), None, false, false);
        let numbers = assert_true(&told, &batches, false);
        prop_assert_eq!(numbers.len(), batches.iter().flatten().count());
        prop_assert_eq!(told.lost(), []);
    }

    #[test]
    fn with_a_gap_anywhere_no_answer_is_given_to_another_request(
        batches in dialogue(8..14, 3),
        sizes in sizes(),
        (client, from, length) in (any::<bool>(), 0.0..1.0_f64, prop_oneof![1..30_usize, 1..600_usize]),
        (known, late) in any::<(bool, bool)>(),
    ) {
        let direction = if client { C } else { S };
        let bytes = |it: &Said| if client { it.request.len() } else { it.answer.len() };
        let total: usize = batches.iter().flatten().map(bytes).sum();
        let start = (total as f64 * from) as usize;
        let gap = (direction, start, (start + length).min(total));
        let told = play(true, &pieces(&batches, &sizes), Some(gap), known, late);
        let numbers = assert_true(&told, &batches, true);
        for batch in batches.iter().skip(touched(&batches, gap) + 1 + NEIGHBOURHOOD) {
            for said in batch {
                prop_assert!(numbers.contains(&said.number), "{} is lost: {:?}, {numbers:?} of {}, {gap:?}", said.number, told.lost(), told.seen);
            }
        }
    }

    #[test]
    fn joined_late_no_answer_is_given_to_another_request(
        batches in dialogue(6..10, 1),
        sizes in sizes(),
        from in 0.0..1.0_f64,
    ) {
        let batches: Vec<Vec<Said>> = batches
            .into_iter()
            .filter(|it| !has_lines(&it[0].asked) && !has_lines(&it[0].answered))
            .enumerate()
            .map(|(at, it)| vec![renumbered(&it[0], at + 1)])
            .collect();
        let pieces = pieces(&batches, &sizes);
        let start = (pieces.len() as f64 * from) as usize;
        let told = play(false, &pieces[start..], None, false, false);
        assert_true(&told, &batches, false);
    }
}

fn has_lines(body: &[u8]) -> bool {
    body.windows(5).any(|it| it == b"HTTP/")
}

fn renumbered(said: &Said, number: usize) -> Said {
    let text = |bytes: &[u8], from: &str, to: &str| {
        let at = bytes.windows(from.len()).position(|it| it == from.as_bytes()).unwrap();
        [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat()
    };
    Said {
        request: text(&said.request, &format!(" /{} ", said.number), &format!(" /{number} ")),
        answer: text(&said.answer, &format!("X-For: {}", said.number), &format!("X-For: {number}")),
        number,
        ..said.clone()
    }
}
