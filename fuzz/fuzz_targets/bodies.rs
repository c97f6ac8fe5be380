//! A sort of body in the first byte, and two bodies, apart by a byte that is in no UTF-8 text: what is told of two
//! bodies that are no JSON is bounded, changes nothing of the result, takes no memory that was not granted, and
//! a value whose name is that of a secret is not in it.
#![no_main]

use compare::{Limits, Rules, Side, look_closer};
use fuzz::bodies::{listed, result, rules, side};
use libfuzzer_sys::fuzz_target;

const APART: u8 = 0xFF;
const MAX_DECODED: usize = 1 << 20;
/// Most differences of a pair, and bytes of a place or a text: what is shown is cut at less.
const LISTED_MAX: usize = 32;
const TEXT_MAX: usize = 2048;

const TYPES: [&[u8]; 12] = [
    b"text/plain",
    b"text/csv",
    b"text/tab-separated-values",
    b"text/html; charset=utf-8",
    b"application/xml",
    b"image/svg+xml",
    b"application/x-ndjson",
    b"application/x-www-form-urlencoded",
    b"multipart/form-data; boundary=b",
    b"image/png",
    b"application/octet-stream",
    b"",
];
const SECRET: &str = "Wq7ZtP4xkV0m";

fuzz_target!(|data: &[u8]| {
    let [sort, rest @ ..] = data else { return };
    let content_type = TYPES[usize::from(*sort) % TYPES.len()];
    let mut parts = rest.split(|byte| *byte == APART);
    let (one, other) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (ours, theirs) = (of(content_type, one), of(content_type, other));
    result(&ours, &theirs, MAX_DECODED);
    listed(&ours, &theirs, &Rules::default(), MAX_DECODED);
    listed(&ours, &theirs, &rules().rules, MAX_DECODED);
    bounded(&ours, &theirs);
    hidden(one, other);
});

fn of<'a>(content_type: &'static [u8], body: &'a [u8]) -> Side<'a> {
    Side { content_type: Some(content_type), ..side(b"", body) }
}

fn bounded(ours: &Side<'_>, theirs: &Side<'_>) {
    let mut limits = Limits { max_decoded: MAX_DECODED, grant: &mut |_| true };
    let found = look_closer(ours, theirs, &Rules::default(), true, &mut limits).differences.found;
    assert!(found.len() <= LISTED_MAX, "{} differences", found.len());
    for it in &found {
        let texts = [Some(&it.place), Some(&it.field), it.baseline.as_ref(), it.candidate.as_ref()];
        let longest = texts.into_iter().flatten().chain(&it.note).map(String::len).max();
        assert!(longest.unwrap_or_default() <= TEXT_MAX, "{it:?}");
    }
}

/// A field of a form, whatever stands around it.
fn hidden(one: &[u8], other: &[u8]) {
    let form = |rest: &[u8], secret: &str| {
        let rest: Vec<u8> = rest.iter().copied().filter(u8::is_ascii_alphanumeric).collect();
        [b"password=", secret.as_bytes(), b"&x=", &rest].concat()
    };
    let (ours, theirs) = (form(one, SECRET), form(other, "other"));
    // libFuzzer sees what is looked for, and puts it elsewhere.
    let times =
        |text: &[u8]| text.windows(SECRET.len()).filter(|it| *it == SECRET.as_bytes()).count();
    if times(&ours) + times(&theirs) > 1 {
        return;
    }
    let content_type = b"application/x-www-form-urlencoded";
    let mut limits = Limits { max_decoded: MAX_DECODED, grant: &mut |_| true };
    let (ours, theirs) = (of(content_type, &ours), of(content_type, &theirs));
    let looked = look_closer(&ours, &theirs, &Rules::default(), true, &mut limits);
    assert!(!format!("{looked:?}").contains(SECRET), "{looked:?}");
}
