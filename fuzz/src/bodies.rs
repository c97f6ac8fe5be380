//! Comparisons as the proxy makes them, with everything that must hold for any of them.

use compare::path::Path;
use compare::rules::{Pairing, Rule, RuleBook, RuleSet, Select, Tolerance, What};
use compare::{Body, Limits, Match, Origin, Policy, RouteRules, Rules, Side, compare, look_closer};

use crate::memory::Room;

/// What a comparison takes besides what it asks for: lists of names, and a decoder's buffers of a
/// fixed size, of which a brotli decoder's are the window that the body chose.
fn unasked(side: &Side<'_>) -> usize {
    let encodings = side.content_encoding.concat().to_ascii_lowercase();
    let names = |name: &[u8]| encodings.windows(name.len()).any(|part| part == name);
    match () {
        () if names(b"br") => 3 << 24,
        () if names(b"zstd") => 256 * 1024,
        () if !encodings.is_empty() => 160 * 1024,
        () => 4 * 1024,
    }
}

/// A reply with this body.
pub fn side<'a>(encoding: &'a [u8], body: &'a [u8]) -> Side<'a> {
    Side {
        status: 200,
        content_type: Some(b"application/json"),
        content_encoding: if encoding.is_empty() { Vec::new() } else { vec![encoding] },
        grpc_status: None,
        headers: None,
        body: Body::Whole(body),
    }
}

/// The result, and how many bytes were granted for it, with `budget` bytes to grant at most.
///
/// Aborts when it takes more memory than was granted.
pub fn judge(a: &Side<'_>, b: &Side<'_>, max_decoded: usize, budget: usize) -> (Match, usize) {
    let rules = Rules::default();
    let room = Room::new(unasked(a) + unasked(b));
    let mut granted = 0;
    let mut grant = |bytes: usize| {
        let fits = bytes <= budget - granted;
        if fits {
            granted += bytes;
            room.grow(bytes);
        }
        fits
    };
    let result = compare(a, b, &rules, &mut Limits { max_decoded, grant: &mut grant });
    (result, granted)
}

/// The result without a limit on memory, the same both ways round.
pub fn result(a: &Side<'_>, b: &Side<'_>, max_decoded: usize) -> Match {
    let (result, _) = judge(a, b, max_decoded, usize::MAX);
    assert_eq!(result, judge(b, a, max_decoded, usize::MAX).0, "not the same the other way round");
    result
}

/// What is listed takes a little besides what is asked for.
const LISTED: usize = 128 * 1024;

/// Rules of every kind, for keys that inputs are full of.
pub fn rules() -> RouteRules {
    let path = |text| Path::parse(text).expect("a path");
    let tolerance = Tolerance { absolute: 0.5, relative: 0.01 };
    let whats = [
        What::Ignore(Select::Key("a".to_owned())),
        What::Ignore(Select::Path(path("$..b"))),
        What::Array(path("$"), Pairing::Unordered),
        What::Array(path("$..*"), Pairing::ByKey("id".to_owned())),
        What::Number(path("$..*"), tolerance),
        What::JsonString(path("$..json")),
    ];
    let rule = |what| Rule { what, text: String::new(), place: String::new() };
    let rules = whats.into_iter().map(rule).collect();
    let all = RuleSet { null_equals_absent: true, rules, ..RuleSet::default() };
    let book = RuleBook { all, ..RuleBook::default() };
    Policy::new(&book, &[Origin::default(), Origin::default()], 7).of("other")
}

/// The list of differences agrees with the result, and comes to the same in detail and with less
/// memory. Gives whether anything differs.
///
/// Aborts when it takes more memory than was granted.
pub fn listed(a: &Side<'_>, b: &Side<'_>, rules: &Rules, max_decoded: usize) -> bool {
    let room = Room::new(unasked(a) + unasked(b) + LISTED);
    let mut granted = 0;
    let mut grant = |bytes: usize| {
        granted += bytes;
        room.grow(bytes);
        true
    };
    let mut limits = Limits { max_decoded, grant: &mut grant };
    let quick = look_closer(a, b, rules, false, &mut limits);
    let looked = look_closer(a, b, rules, true, &mut limits);
    assert_eq!(quick, looked, "not the same in detail");
    let differs = !looked.differences.found.is_empty();
    assert_eq!(looked.result == Match::Mismatched, differs, "{looked:?}");
    assert_eq!(compare(a, b, rules, &mut limits), looked.result, "another result");
    drop(room);
    let mut poor = granted / 4;
    let mut grant = |bytes: usize| {
        let fits = bytes <= poor;
        poor -= if fits { bytes } else { 0 };
        fits
    };
    let mut limits = Limits { max_decoded, grant: &mut grant };
    let poor = look_closer(a, b, rules, true, &mut limits).result;
    assert!(poor == Match::BufferFull || poor == looked.result, "{poor:?} for want of memory");
    differs
}
