//! What must hold for every pair of bodies, tried on generated ones. Documents are respelled before
//! they are compared with themselves: equal bytes are never looked into.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::{
    Strategy, TestCaseError, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use proptest::sample::{Index, select};

use document::{Json, document};

use super::Match;
use super::tests::{coded, result, side, verdict_with};

mod bodies;
mod document;
mod pairs;
mod rules;
mod tree;

fn in_some_case(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    (select(names), any::<u32>()).prop_map(|(name, upper)| {
        let cased =
            |(at, c): (usize, char)| if upper >> at & 1 == 1 { c.to_ascii_uppercase() } else { c };
        name.chars().enumerate().map(cased).collect()
    })
}

fn ignored_key() -> impl Strategy<Value = String> {
    in_some_case(&["timestamp", "trace_id", "traceid", "request_id", "requestid"])
}

fn masked_key() -> impl Strategy<Value = String> {
    in_some_case(&["email", "phone", "name", "cc_last4"])
}

/// Documents of so few words that two of them are often equal, special and duplicate keys included.
fn small_document() -> impl Strategy<Value = Json> {
    let plain = |words: &[&'static str]| select(words.to_vec()).prop_map(|t| Json::Plain(t.into()));
    let leaf = prop_oneof![
        3 => plain(&["1", "1.0", "10e-1", "0", "-0", "2", "null"]),
        1 => select(vec!["x", "y"]).prop_map(|t| Json::Text(t.into())),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        let key =
            select(vec!["a", "a", "b", "A", "traceId", "TIMESTAMP", "email", "EMail", "name"]);
        let member = (key.prop_map(str::to_owned), inner.clone());
        prop_oneof![
            1 => vec(inner, 0..3).prop_map(Json::Array),
            3 => vec(member, 0..4).prop_map(Json::Object),
        ]
    })
}

/// The rules said again, in the plainest way: equal documents have equal trees.
#[derive(Debug, PartialEq)]
enum Tree {
    Leaf(String),
    Array(Vec<Self>),
    Object(BTreeMap<String, Vec<Self>>),
}

fn tree(json: &Json) -> Tree {
    match json {
        Json::Plain(token) => Tree::Leaf(
            match token.as_str() {
                "1.0" | "10e-1" => "1",
                "-0" => "0",
                same => same,
            }
            .into(),
        ),
        Json::Text(text) => Tree::Leaf(format!("\"{text}")),
        Json::Array(items) => Tree::Array(items.iter().map(tree).collect()),
        Json::Object(members) => {
            let mut named: BTreeMap<String, Vec<Tree>> = BTreeMap::new();
            for (key, value) in members {
                match key.to_lowercase().as_str() {
                    "traceid" | "timestamp" => {}
                    masked @ ("email" | "name") => {
                        named.entry(masked.into()).or_default().push(Tree::Leaf("masked".into()));
                    }
                    _ => named.entry(key.clone()).or_default().push(tree(value)),
                }
            }
            Tree::Object(named)
        }
    }
}

/// The oracle's result is the result, both ways round.
fn as_the_oracle_says(a: &Json, b: &Json) -> Result<(), TestCaseError> {
    let expected = if tree(a) == tree(b) { Match::Matched } else { Match::Mismatched };
    prop_assert_eq!(result(a.text(), b.spelled(&[1])), expected);
    prop_assert_eq!(result(b.spelled(&[1]), a.text()), expected);
    Ok(())
}

/// `digits × 10^exponent` with the decimal point before the digit at `point`.
fn number(negative: bool, digits: &str, exponent: i128, point: usize) -> String {
    let (whole, part) = digits.split_at(point);
    let sign = if negative { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    let (dot, exponent) = (if part.is_empty() { "" } else { "." }, exponent + part.len() as i128);
    format!("{sign}{whole}{dot}{part}e{exponent}")
}

proptest! {
    #[test]
    fn every_body_equals_itself(body in vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(result(&body, &body), Match::Matched);
    }

    #[test]
    fn every_document_equals_itself_in_any_spelling(document in document(), one in vec(any::<u8>(), 1..40), two in vec(any::<u8>(), 1..40)) {
        prop_assert_eq!(result(document.spelled(&one), document.spelled(&two)), Match::Matched);
    }

    #[test]
    fn the_verdict_is_symmetric(a in small_document(), b in small_document()) {
        prop_assert_eq!(result(a.text(), b.text()), result(b.text(), a.text()));
    }

    #[test]
    fn small_documents_are_judged_as_a_simple_oracle_does(a in small_document(), b in small_document()) {
        as_the_oracle_says(&a, &b)?;
    }

    #[test]
    fn small_changes_are_judged_as_a_simple_oracle_does(a in small_document(), at in any::<Index>(), put in small_document(), by in any::<usize>()) {
        let mut b = a.clone();
        b.change(at, |value| *value = put.clone());
        b.objects(&mut |members| {
            let by = by % members.len().max(1);
            members.rotate_left(by);
        });
        as_the_oracle_says(&a, &b)?;
    }

    #[test]
    fn key_order_is_not_seen(document in document(), by in any::<usize>(), spelling in vec(any::<u8>(), 0..9)) {
        let mut other = document.clone();
        other.objects(&mut |members| {
            members.reverse();
            let by = by % members.len().max(1);
            members.rotate_left(by);
        });
        prop_assert_eq!(result(document.text(), other.spelled(&spelling)), Match::Matched);
    }

    #[test]
    fn the_order_of_different_elements_is_seen(document in document(), at in any::<Index>()) {
        let with = |items: [&str; 2]| {
            let mut document = document.clone();
            let items = items.map(|token| Json::Plain(token.into())).to_vec();
            document.change(at, |value| *value = Json::Array(items.clone()));
            document.text()
        };
        prop_assert_eq!(result(with(["1", "2"]), with(["2", "1"])), Match::Mismatched);
    }

    #[test]
    fn ignored_keys_are_not_seen_at_any_depth(document in document(), key in ignored_key(), one in document(), two in document(), at in any::<Index>(), spelling in vec(any::<u8>(), 0..9)) {
        let with = |value: &Json| {
            let mut other = document.clone();
            other.objects(&mut |members| {
                members.insert(at.index(members.len() + 1), (key.clone(), value.clone()));
            });
            other.spelled(&spelling)
        };
        prop_assert_eq!(result(document.text(), with(&one)), Match::Matched);
        prop_assert_eq!(result(with(&one), document.text()), Match::Matched);
        prop_assert_eq!(result(with(&one), with(&two)), Match::Matched);
    }

    #[test]
    fn masked_values_are_not_seen_at_any_depth(document in document(), ours in masked_key(), one in document(), two in document(), at in any::<Index>(), spelling in vec(any::<u8>(), 0..9)) {
        let with = |key: String, value: &Json| {
            let mut masked = document.clone();
            masked.objects(&mut |members| {
                members.insert(at.index(members.len() + 1), (key.clone(), value.clone()));
            });
            masked.spelled(&spelling)
        };
        let theirs = ours.to_ascii_uppercase();
        prop_assert_eq!(result(with(ours, &one), with(theirs, &two)), Match::Matched);
    }

    #[test]
    fn a_masked_key_on_one_side_only_is_seen(document in document(), at in any::<Index>(), key in masked_key(), value in document(), place in any::<Index>()) {
        let mut other = document.clone();
        let inserted = other.change_object(at, |members| {
            members.insert(place.index(members.len() + 1), (key.clone(), value.clone()));
        });
        if inserted {
            prop_assert_eq!(result(document.text(), other.text()), Match::Mismatched);
            prop_assert_eq!(result(other.text(), document.text()), Match::Mismatched);
        }
    }

    #[test]
    fn a_changed_value_is_seen_wherever_it_is(document in document(), at in any::<Index>(), by in any::<usize>()) {
        let mut other = document.clone();
        other.change(at, |value| *value = match &*value {
            Json::Text(text) => Json::Text(format!("{text}x")),
            Json::Plain(token) if token == "null" => Json::Plain("true".into()),
            Json::Plain(token) if matches!(token.as_str(), "0" | "-0" | "true" | "false") => Json::Plain("null".into()),
            Json::Plain(number) => Json::Plain(format!("{number}.00000000000000000000000000001")),
            Json::Array(_) => Json::Object(Vec::new()),
            Json::Object(_) => Json::Array(Vec::new()),
        });
        other.objects(&mut |members| {
            let by = by % members.len().max(1);
            members.rotate_left(by);
        });
        prop_assert_eq!(result(document.text(), other.text()), Match::Mismatched);
        prop_assert_eq!(result(other.text(), document.text()), Match::Mismatched);
    }

    #[test]
    fn a_changed_key_is_seen_wherever_it_is(document in document(), at in any::<Index>(), which in any::<Index>()) {
        let mut other = document.clone();
        let changed = other.change_object(at, |members| match members.len() {
            0 => members.push(("z".into(), Json::Plain("null".into()))),
            count => members[which.index(count)].0.push('z'),
        });
        if changed {
            prop_assert_eq!(result(document.text(), other.text()), Match::Mismatched);
            prop_assert_eq!(result(other.text(), document.text()), Match::Mismatched);
        }
    }

    #[test]
    fn a_number_has_the_same_value_wherever_its_point_is(negative in any::<bool>(), digits in "[1-9][0-9]{0,30}", exponent in -(10_i128.pow(30))..10_i128.pow(30), one in any::<Index>(), two in any::<Index>()) {
        let spelled = |digits: &str, exponent, at: Index| {
            format!("[{}]", number(negative, digits, exponent, at.index(digits.len() + 1)))
        };
        let here = spelled(&digits, exponent, one);
        prop_assert_eq!(result(&here, spelled(&digits, exponent, two)), Match::Matched);
        prop_assert_eq!(result(&here, spelled(&format!("{digits}000"), exponent - 3, two)), Match::Matched);
        prop_assert_eq!(result(&here, spelled(&digits, exponent + 1, two)), Match::Mismatched);
        prop_assert_eq!(result(&here, spelled(&format!("{digits}1"), exponent - 1, two)), Match::Mismatched);
        prop_assert_eq!(result(&here, format!("[{}]", number(!negative, &digits, exponent, 1))), Match::Mismatched);
    }

    // serde_json is the oracle for what is JSON.
    #[test]
    fn what_is_json_is_what_the_grammar_says(text in "[\\[\\]{}\",:019eE.+n\\\\u-]{0,12}") {
        // Two spellings that differ in white space only are equal if and only if they are JSON.
        let spaced = format!("[{text} ]");
        let plain = format!("[{text}]");
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&plain).is_ok();
        prop_assert_eq!(result(plain, spaced) == Match::Matched, is_json);
    }

    #[test]
    fn arbitrary_bytes_get_a_symmetric_verdict(a in vec(any::<u8>(), 0..60), b in "[\\[\\]{}\",:0-9eE.u\\\\ntf-]{0,40}", c in "[\\[\\]{}\",:0-9eE.u\\\\ntf-]{0,40}") {
        prop_assert_eq!(result(&a, &b), result(&b, &a));
        prop_assert_eq!(result(&b, &c), result(&c, &b));
    }

    #[test]
    fn arbitrary_bytes_are_decoded_within_their_bound(body in vec(any::<u8>(), 0..300), document in document(), at in any::<Index>(), flip in any::<u8>()) {
        for (encoding, mut encoded) in coded(document.text().as_bytes()) {
            let at = at.index(encoded.len());
            encoded[at] ^= flip;
            for body in [&body, &encoded] {
                let mut granted = 0;
                let mut grant = |bytes| { granted += bytes; true };
                let ours = super::Side { content_encoding: vec![encoding.as_bytes()], ..side(body) };
                verdict_with(&ours, &side(b"x"), 1000, &mut grant);
                // Decoded bytes and a window of them, a second try at `deflate`, and the nodes of
                // what was decoded.
                prop_assert!(granted <= 4 * 1000 + 64 * 1000, "{}: {}", encoding, granted);
            }
        }
    }

    #[test]
    fn a_spent_budget_makes_no_other_verdict(a in small_document(), b in small_document(), budget in 0_usize..4000) {
        let (a, b) = (a.text(), b.text());
        let mut left = budget;
        let mut grant = |bytes| { let fits = bytes <= left; left -= if fits { bytes } else { 0 }; fits };
        let poor = verdict_with(&side(a.as_bytes()), &side(b.as_bytes()), 1 << 20, &mut grant);
        prop_assert!(poor == Match::BufferFull || poor == result(&a, &b));
    }

    #[test]
    fn special_keys_are_special_in_any_case(ignored in ignored_key(), masked in masked_key()) {
        let rules = super::normalize::Keys::default();
        let treatment = |key: &str| format!("{:?}", rules.treatment(&super::text::Text::plain(key)));
        prop_assert_eq!(treatment(&ignored), "Ignored");
        prop_assert!(treatment(&masked).starts_with("Masked"));
    }
}

#[test]
fn the_small_documents_are_often_equal_and_often_not() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let pairs = (small_document(), small_document());
    let mut equal = 0;
    for _ in 0..1000 {
        let (a, b) = pairs.new_tree(&mut runner).unwrap().current();
        equal += usize::from(tree(&a) == tree(&b) && a.text() != b.text());
    }
    assert!((20..900).contains(&equal), "{equal} of 1000");
}
