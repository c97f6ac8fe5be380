//! What must hold of what is told of bodies that are no JSON, whatever they are and whatever they are called.

use proptest::collection::vec;
use proptest::prelude::{
    Just, Strategy, TestCaseError, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use proptest::sample::select;

use super::super::tests::bodies::{looked_at, typed};
use super::super::tests::hidden::redacting;
use super::super::{Difference, Kind, Limits, Match, Rules, Side, look_closer, read};

const TYPES: [&str; 14] = [
    "",
    "text/plain",
    "text/html",
    "application/xml",
    "image/svg+xml",
    "text/csv",
    "text/tab-separated-values",
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "multipart/mixed; boundary=\"--\"",
    "application/octet-stream",
    "application/protobuf",
    "image/png",
];

const PIECES: [&str; 61] = [
    "a",
    "b",
    "é",
    "1",
    " ",
    "\n",
    "\r\n",
    "\t",
    "\0",
    "<",
    ">",
    "</",
    "/>",
    "<a>",
    "</a>",
    "<b>",
    "</b>",
    "<p>",
    "<li>",
    "<br>",
    "<a x=1>",
    "<a y='2' x=\"1\">",
    "<script>",
    "</script>",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?xml version='1.0'?>",
    "<!DOCTYPE html>",
    "&amp;",
    "&",
    "&x;",
    "=",
    "\"",
    "\"\"",
    ",",
    "x,y",
    ";",
    "a=1",
    "&b=2",
    "+",
    "%41",
    "%",
    "[0]",
    "{",
    "}",
    "{\"a\":1}",
    "{\"a\":2,\"b\":[1]}",
    "[",
    "]",
    ":",
    "--b\r\n",
    "--b--",
    "Content-Disposition: form-data; name=a\r\n",
    "\r\n\r\n",
    "password",
    "password=1",
    "-----BEGIN",
    "\u{feff}",
    "\x1f\u{8b}",
];

fn body() -> impl Strategy<Value = Vec<u8>> {
    let pieces = vec(select(PIECES.to_vec()), 0..40);
    prop_oneof![
        1 => vec(any::<u8>(), 0..60),
        6 => pieces.prop_map(|pieces| pieces.concat().into_bytes()),
        1 => Just(b"\x89PNG\r\n\x1a\n".to_vec()),
    ]
}

/// Two bodies that have much in common, mostly.
fn pair() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let alike = (body(), body(), body(), body());
    let alike = alike.prop_map(|(start, one, two, end)| {
        ([&start[..], &one, &end].concat(), [&start[..], &two, &end].concat())
    });
    prop_oneof![3 => alike, 1 => (body(), body())]
}

fn is_bounded(found: &Difference) -> Result<(), TestCaseError> {
    prop_assert!(found.place.len() <= 1024 && found.field.len() <= 1024, "{:?}", found);
    for text in [&found.baseline, &found.candidate, &found.note].into_iter().flatten() {
        prop_assert!(text.len() <= 160, "{:?}", found);
    }
    prop_assert!(found.traits.shape.as_ref().is_none_or(|shape| shape.len() <= 96));
    Ok(())
}

/// What is told of each, turned around.
fn turned(found: &[Difference]) -> Vec<(String, Option<String>, Option<String>)> {
    let kind = |kind| match kind {
        Kind::Missing => Kind::Added,
        Kind::Added => Kind::Missing,
        kind => kind,
    };
    let mut all: Vec<_> = found
        .iter()
        .map(|it| (kind(it.kind).name().to_owned(), it.candidate.clone(), it.baseline.clone()))
        .collect();
    all.sort();
    all
}

fn told(found: &[Difference]) -> Vec<(String, Option<String>, Option<String>)> {
    let mut all: Vec<_> = found
        .iter()
        .map(|it| (it.kind.name().to_owned(), it.baseline.clone(), it.candidate.clone()))
        .collect();
    all.sort();
    all
}

fn is_json(bytes: &[u8]) -> bool {
    read::body(bytes, &mut |_| true).unwrap().is_some()
}

fn look(ours: &Side<'_>, theirs: &Side<'_>, granted: usize) -> (Match, usize) {
    let mut left = granted;
    let mut grant = |bytes: usize| {
        let fits = bytes <= left;
        left -= if fits { bytes } else { 0 };
        fits
    };
    let mut limits = Limits { max_decoded: 1 << 20, grant: &mut grant };
    let looked = look_closer(ours, theirs, &Rules::default(), false, &mut limits);
    (looked.result, looked.differences.found.len())
}

proptest! {
    #[test]
    fn any_two_bodies_are_told_apart_by_their_bytes_and_what_is_told_is_bounded((a, b) in pair(), said in select(TYPES.to_vec()), other in select(TYPES.to_vec()), same in any::<bool>()) {
        let (ours, theirs) = (typed(said, &a), typed(if same { said } else { other }, &b));
        for rules in [&Rules::default(), &*redacting()] {
            let looked = looked_at(&ours, &theirs, rules);
            if !is_json(&a) && !is_json(&b) {
                let equal = a.trim_ascii() == b.trim_ascii();
                let expected = if equal { Match::Matched } else { Match::Mismatched };
                prop_assert_eq!(looked.result, expected);
            }
            prop_assert!(looked.differences.found.len() <= 32);
            for found in &looked.differences.found {
                is_bounded(found)?;
            }
        }
    }

    #[test]
    fn the_sides_turned_around_are_told_turned_around((a, b) in pair(), said in select(TYPES.to_vec())) {
        let (ours, theirs) = (typed(said, &a), typed(said, &b));
        let one = looked_at(&ours, &theirs, &Rules::default()).differences;
        let two = looked_at(&theirs, &ours, &Rules::default()).differences;
        prop_assert_eq!(one.more, two.more);
        if !one.more && !is_json(&a) && !is_json(&b) {
            prop_assert_eq!(told(&one.found), turned(&two.found));
        }
    }

    #[test]
    fn whatever_memory_is_granted_the_result_is_the_same((a, b) in pair(), said in select(TYPES.to_vec()), granted in 0..20_000_usize) {
        let (ours, theirs) = (typed(said, &a), typed(said, &b));
        if !is_json(&a) && !is_json(&b) {
            let (result, count) = look(&ours, &theirs, granted);
            prop_assert!(matches!(result, Match::Matched | Match::Mismatched | Match::BufferFull));
            prop_assert_eq!(result == Match::Mismatched, count > 0);
        }
    }
}
