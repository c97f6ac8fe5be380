//! Two documents, apart by a byte that is in no UTF-8 text: judged as a simple oracle on top of
//! serde_json judges them, and listed under rules of every kind. One document alone equals itself in another spelling.
#![no_main]

use compare::{Match, Rules};
use fuzz::bodies::{judge, listed, result, rules, side};
use fuzz::document::{Document, is_json, is_nearly_json};
use libfuzzer_sys::fuzz_target;

const APART: u8 = 0xFF;
const MAX_DECODED: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == APART);
    let first = parts.next().unwrap_or_default();
    match parts.next() {
        Some(second) => pair(first, second),
        None => alone(first),
    }
});

fn pair(a: &[u8], b: &[u8]) {
    let judged = judged(a, b);
    let expected = if a.trim_ascii() == b.trim_ascii() {
        Some(true)
    } else if is_json(a) && is_json(b) {
        meaning(a).zip(meaning(b)).map(|(a, b)| a == b)
    } else {
        Some(false)
    };
    if let Some(expected) = expected.filter(|_| !is_nearly_json(a) || !is_nearly_json(b)) {
        assert_eq!(judged == Match::Matched, expected, "the oracle says otherwise");
    }
}

fn meaning(body: &[u8]) -> Option<fuzz::document::Meaning> {
    Document::read(body)?.meaning()
}

fn alone(body: &[u8]) {
    let Some(document) = Document::read(body) else {
        // White space makes no difference within JSON, and every difference within anything else.
        let spaced = [b"[", body, b" ]"].concat();
        let plain = [b"[", body, b"]"].concat();
        let matched = judged(&plain, &spaced) == Match::Matched;
        if is_nearly_json(&plain) {
            return;
        }
        assert_eq!(matched, is_json(&plain), "serde_json says otherwise");
        return;
    };
    let mut other = String::new();
    document.respelled(&mut other);
    assert_eq!(judged(body, other.as_bytes()), Match::Matched, "not equal to {other}");
}

/// The result, which is one of two; it takes memory in proportion, and with less there is none.
fn judged(a: &[u8], b: &[u8]) -> Match {
    let (ours, theirs) = (side(b"", a), side(b"", b));
    let judged = result(&ours, &theirs, MAX_DECODED);
    assert!(matches!(judged, Match::Matched | Match::Mismatched), "{judged:?}");
    let (_, granted) = judge(&ours, &theirs, MAX_DECODED, usize::MAX);
    let most = 4096 + 256 * (a.len() + b.len());
    assert!(granted <= most, "{granted} bytes for bodies of {} and {}", a.len(), b.len());
    let (poor, _) = judge(&ours, &theirs, MAX_DECODED, granted / 2);
    assert!(poor == Match::BufferFull || poor == judged, "{poor:?} for want of memory");
    let differs = listed(&ours, &theirs, &Rules::default(), MAX_DECODED);
    assert_eq!(differs, judged == Match::Mismatched, "the list says otherwise");
    let relaxed = listed(&ours, &theirs, &rules().rules, MAX_DECODED);
    assert!(differs || !relaxed, "a rule creates a difference");
    assert_eq!(relaxed, listed(&theirs, &ours, &rules().rules, MAX_DECODED), "turned around");
    judged
}
