//! What must hold for differences and for every set of rules, tried on generated documents.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{
    ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use proptest::sample::{Index, select};

use super::super::rules::{Class, MaskAs, Pairing, RuleBook, Select, Tolerance, What};
use super::super::tests::differences::{book, looked, path, policy};
use super::super::{Kind, Match, Rules};
use super::document::{Json, document};

/// Documents with few keys and values that rules let off at times.
fn small() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        4 => select(vec!["1", "1.05", "1.1", "2", "2.0", "null", "true", "1700000000", "1700000001"])
            .prop_map(|token| Json::Plain(token.into())),
        2 => select(vec![
            "x",
            "2024-01-01T00:00:00Z",
            "2024-01-01T00:00:01Z",
            "123e4567-e89b-12d3-a456-426614174000",
            "00000000-0000-0000-0000-000000000000",
            "abcdefghijklmno1",
        ])
        .prop_map(|text| Json::Text(text.into())),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key = select(vec!["a", "b", "id", "list", "traceId", "email", "EMAIL"]);
        let member = (key.prop_map(str::to_owned), inner.clone());
        prop_oneof![
            vec(inner, 0..4).prop_map(Json::Array),
            vec(member, 0..4).prop_map(Json::Object),
        ]
    })
}

fn some_path() -> impl Strategy<Value = super::super::path::Path> {
    let paths = vec![
        "$",
        "$.a",
        "$.b",
        "$..a",
        "$..id",
        "$.list",
        "$.list[*]",
        "$..list",
        "$[*]",
        "$..*",
        "$.*.a",
        "$[0]",
        "$..[1]",
        "$..list[*].id",
    ];
    select(paths).prop_map(path)
}

fn ignore() -> impl Strategy<Value = What> {
    prop_oneof![
        select(vec!["a", "B", "id", "list"]).prop_map(|key| What::Ignore(Select::Key(key.into()))),
        some_path().prop_map(|path| What::Ignore(Select::Path(path))),
    ]
}

/// Not by index: of elements that were only in another order, some would be left without the others.
fn ignore_whole() -> impl Strategy<Value = What> {
    let by_index = |what: &What| matches!(what, What::Ignore(Select::Path(path)) if path.text().contains(['0', '1']));
    ignore().prop_filter("by index", move |what| !by_index(what))
}

/// Any rule but masks that are compared by their hash, which do not relax.
fn relaxing() -> impl Strategy<Value = What> {
    let pairing = prop_oneof![
        2 => select(vec![Pairing::Unordered]),
        1 => select(vec![Pairing::ByKey("id".into()), Pairing::ByKey("a".into())]),
    ];
    let class = select(vec![Class::Uuid, Class::Timestamp, Class::Token]);
    let near = Tolerance { absolute: 0.06, relative: 0.0 };
    let share = Tolerance { absolute: 0.0, relative: 0.05 };
    prop_oneof![
        2 => ignore(),
        1 => select(vec!["a", "id"]).prop_map(|key| What::Mask(Select::Key(key.into()), MaskAs::Equal)),
        1 => some_path().prop_map(|path| What::Mask(Select::Path(path), MaskAs::Equal)),
        3 => (some_path(), pairing).prop_map(|(path, pairing)| What::Array(path, pairing)),
        2 => (some_path(), select(vec![near, share])).prop_map(|(path, by)| What::Number(path, by)),
        1 => some_path().prop_map(|path| What::Time(path, Duration::from_secs(1))),
        1 => (some_path(), class).prop_map(|(path, class)| What::Class(path, class)),
    ]
}

fn compiled(book: &RuleBook) -> Arc<Rules> {
    policy(book).of("GET /").rules
}

fn given(whats: &[What], null_equals_absent: bool) -> Arc<Rules> {
    let mut book = book(whats);
    book.all.null_equals_absent = null_equals_absent;
    compiled(&book)
}

/// Another document: changed in one place or none, its keys and perhaps its elements in another order.
fn varied(document: &Json, at: Index, put: &Json, by: usize) -> Json {
    let mut other = document.clone();
    if !by.is_multiple_of(3) {
        other.change(at, |value| *value = put.clone());
    }
    other.objects(&mut |members| {
        let by = by % members.len().max(1);
        members.rotate_left(by);
    });
    if !by.is_multiple_of(2) {
        other.values(&mut |value| {
            if let Json::Array(items) = value {
                let by = by % items.len().max(1);
                items.rotate_left(by);
            }
        });
    }
    other
}

proptest! {
    // `looked` itself asserts that result and list agree, both ways round.
    #[test]
    fn the_list_agrees_with_the_verdict_whatever_the_rules(a in small(), at in any::<Index>(), put in small(), by in any::<usize>(), whats in vec(relaxing(), 0..5), null in any::<bool>()) {
        let b = varied(&a, at, &put, by);
        for rules in [given(&whats, null), given(&[], false)] {
            let there = looked(&a.text(), &b.text(), &rules);
            let back = looked(&b.text(), &a.text(), &rules);
            prop_assert_eq!(there.result, back.result);
        }
    }

    #[test]
    fn a_rule_never_creates_a_difference(a in small(), at in any::<Index>(), put in small(), by in any::<usize>(), whats in vec(relaxing(), 1..5), null in any::<bool>()) {
        let b = varied(&a, at, &put, by);
        if looked(&a.text(), &b.text(), &Rules::default()).result == Match::Matched {
            let relaxed = looked(&a.text(), &b.text(), &given(&whats, null));
            prop_assert_eq!(relaxed.result, Match::Matched, "{:?}", relaxed.differences);
        }
    }

    #[test]
    fn another_tolerance_never_creates_a_difference(a in small(), at in any::<Index>(), put in small(), by in any::<usize>(), whats in vec(relaxing(), 1..5), more in relaxing()) {
        // An index is a place on either side: leaving it out leaves other elements to be paired.
        let by_index = matches!(&more, What::Ignore(Select::Path(path)) | What::Mask(Select::Path(path), _) if path.text().contains(|c: char| c.is_ascii_digit()));
        let pairs_in_another_way = by_index || matches!(more, What::Array(..));
        let b = varied(&a, at, &put, by);
        if !pairs_in_another_way && looked(&a.text(), &b.text(), &given(&whats, false)).result == Match::Matched {
            let whats = [&whats[..], &[more]].concat();
            let relaxed = looked(&a.text(), &b.text(), &given(&whats, false));
            prop_assert_eq!(relaxed.result, Match::Matched, "{:?}", relaxed.differences);
        }
    }

    #[test]
    fn what_is_near_fits_in_any_order(numbers in vec((0_u32..60, 0_u32..2, 0_u32..=10), 0..12), by in any::<usize>(), objects in any::<bool>()) {
        let written = |number: u32, kind: u32| {
            let number = format!("{}.{:03}", number / 1000, number % 1000);
            if objects { format!(r#"{{"n":{number},"kind":{kind}}}"#) } else { number }
        };
        let ours: Vec<_> = numbers.iter().map(|(at, kind, _)| written(at * 20, *kind)).collect();
        let mut theirs: Vec<_> =
            numbers.iter().map(|(at, kind, off)| written(at * 20 + off * 5, *kind)).collect();
        theirs.rotate_left(by % numbers.len().max(1));
        let near = Tolerance { absolute: 0.05, relative: 0.0 };
        let rules = given(&[
            What::Array(path("$"), Pairing::Unordered),
            What::Number(path("$..n"), near),
            What::Number(path("$[*]"), near),
        ], false);
        let (ours, theirs) = (format!("[{}]", ours.join(",")), format!("[{}]", theirs.join(",")));
        let looked = looked(&ours, &theirs, &rules);
        prop_assert_eq!(looked.result, Match::Matched, "{:?}", looked.differences);
    }

    #[test]
    fn another_rule_to_ignore_never_adds_a_difference(a in small(), at in any::<Index>(), put in small(), by in any::<usize>(), first in vec(ignore_whole(), 0..2), more in ignore_whole(), unordered in any::<bool>()) {
        let b = varied(&a, at, &put, by);
        let mut whats = first;
        if unordered {
            whats.push(What::Array(path("$..list"), Pairing::Unordered));
        }
        let before = looked(&a.text(), &b.text(), &given(&whats, false)).differences;
        whats.push(more);
        let after = looked(&a.text(), &b.text(), &given(&whats, false)).differences;
        prop_assert!(after.found.len() <= before.found.len(), "{:?}\n{:?}", before, after);
    }

    #[test]
    fn masked_text_is_in_no_difference(a in document(), at in any::<Index>(), put in document(), key in any::<Index>(), by in any::<usize>(), hash in any::<bool>(), wrap in any::<bool>()) {
        const SECRET: &str = "5ecret";
        // In each object, under keys that are masked by name and by path.
        let planted = |document: &Json, side: usize| {
            let mut document = document.clone();
            document.objects(&mut |members| {
                let text = Json::Text(format!("{SECRET}{side}"));
                let inner = Json::Array(vec![text.clone(), Json::Object(vec![("z".into(), text.clone())])]);
                for name in ["EMail", "hidden"] {
                    let at = key.index(members.len() + 1);
                    let value = if wrap { inner.clone() } else { text.clone() };
                    // At times on one side only.
                    if !(side + by % 5 + name.len()).is_multiple_of(5) {
                        members.insert(at, (name.into(), value));
                    }
                }
            });
            document
        };
        let mask = if hash { MaskAs::Hash } else { MaskAs::Equal };
        let rules = given(&[
            What::Mask(Select::Path(path("$..hidden")), mask),
            What::Mask(Select::Key("email".into()), mask),
        ], false);
        let (ours, theirs) = (planted(&a, 1), planted(&varied(&a, at, &put, by), 2));
        let found = looked(&ours.text(), &theirs.text(), &rules).differences;
        for difference in &found.found {
            let shown = format!("{difference:?}");
            prop_assert!(!shown.contains(SECRET), "{}", shown);
            prop_assert!(difference.place.len() <= 600, "{}", shown);
            for text in [&difference.baseline, &difference.candidate].into_iter().flatten() {
                prop_assert!(text.len() <= 64, "{}", shown);
            }
        }
    }
}

/// One change to a document, and what must be told of it.
#[derive(Clone, Copy, Debug)]
enum Mutation {
    Value,
    Type,
    Remove,
    Add,
    Rename,
    Swap,
}

/// Numbers each leaf of a document, so that no two elements are equal.
fn numbered(document: &mut Json) {
    let mut count = 0;
    document.values(&mut |value| {
        count += 1;
        match value {
            Json::Plain(token) => *token = count.to_string(),
            Json::Text(text) => *text = format!("t{count}"),
            Json::Array(items) => items.push(Json::Plain(format!("{count}.5"))),
            Json::Object(members) => {
                members.push(("number".into(), Json::Plain(format!("{count}.5"))))
            }
        }
    });
}

type Expected = BTreeSet<(String, Kind)>;

/// Goes down a document and changes it by the dice: no array in two ways, and nothing below what was
/// changed; notes where and how.
struct Mutator<D> {
    dice: D,
    expected: Expected,
}

impl<D: Iterator<Item = u8>> Mutator<D> {
    fn throw(&mut self) -> u8 {
        self.dice.next().unwrap()
    }

    fn note(&mut self, place: String, kind: Kind) {
        assert!(self.expected.insert((place, kind)));
    }

    fn change(&mut self, value: &mut Json, place: &str) {
        let wanted = match self.throw() {
            0..=9 => Some(Mutation::Value),
            10..=19 => Some(Mutation::Type),
            20..=29 => Some(Mutation::Remove),
            30..=39 => Some(Mutation::Add),
            40..=49 => Some(Mutation::Rename),
            50..=59 => Some(Mutation::Swap),
            _ => None,
        };
        match value {
            Json::Plain(_) | Json::Text(_) => self.leaf(value, place, wanted),
            Json::Array(items) => self.array(items, place, wanted),
            Json::Object(members) => self.object(members, place, wanted),
        }
    }

    fn leaf(&mut self, value: &mut Json, place: &str, wanted: Option<Mutation>) {
        let length = usize::from(self.throw());
        match (&mut *value, wanted) {
            (_, Some(Mutation::Type)) => {
                self.note(place.to_owned(), Kind::Type);
                *value = Json::Array(vec![]);
            }
            (Json::Plain(token), Some(Mutation::Value)) => {
                self.note(place.to_owned(), Kind::Value);
                token.insert(0, '9');
            }
            (Json::Text(text), Some(Mutation::Value)) => {
                self.note(place.to_owned(), Kind::Value);
                text.push_str(&"long".repeat(length));
                text.push('!');
            }
            _ => {}
        }
    }

    fn array(&mut self, items: &mut Vec<Json>, place: &str, wanted: Option<Mutation>) {
        let at = usize::from(self.throw());
        match wanted {
            Some(Mutation::Remove) if !items.is_empty() => {
                let at = at % items.len();
                self.note(format!("{place}[{at}]"), Kind::Missing);
                items.remove(at);
            }
            Some(Mutation::Add) => {
                let at = at % (items.len() + 1);
                self.note(format!("{place}[{at}]"), Kind::Added);
                items.insert(at, Json::Text("added".into()));
            }
            Some(Mutation::Swap) if items.len() > 1 => {
                let at = at % (items.len() - 1);
                self.note(place.to_owned(), Kind::Order);
                items.swap(at, at + 1);
            }
            _ => {
                for (at, item) in items.iter_mut().enumerate() {
                    self.change(item, &format!("{place}[{at}]"));
                }
            }
        }
    }

    fn object(&mut self, members: &mut Vec<(String, Json)>, place: &str, wanted: Option<Mutation>) {
        let key = |name: &str| format!("{place}['{}']", name.replace('\\', "\\\\"));
        let at = usize::from(self.throw()) % members.len().max(1);
        let mut untouched = members.len();
        match wanted {
            Some(Mutation::Remove) if !members.is_empty() => {
                self.note(key(&members.remove(at).0), Kind::Missing);
                untouched = members.len();
            }
            Some(Mutation::Rename) if !members.is_empty() => {
                let (name, value) = members.remove(at);
                self.note(key(&name), Kind::Renamed);
                members.push((format!("{name}renamed"), value));
                untouched = members.len() - 1;
            }
            Some(Mutation::Add) => {
                self.note(key("added"), Kind::Added);
                members.push(("added".into(), Json::Object(vec![])));
            }
            _ => {}
        }
        for (name, value) in &mut members[..untouched] {
            self.change(value, &key(name));
        }
        members.reverse();
    }
}

/// What is told of a mutated document: the places are exactly those that were changed.
fn told(document: &Json, dice: &[u8]) -> usize {
    let mut ours = document.clone();
    numbered(&mut ours);
    let mut theirs = ours.clone();
    let mut mutator = Mutator { dice: dice.iter().copied().cycle(), expected: Expected::new() };
    mutator.change(&mut theirs, "$");
    let expected = mutator.expected;
    let differences = looked(&ours.text(), &theirs.spelled(dice), &Rules::default()).differences;
    let found: Expected = differences.found.iter().map(|it| (it.place.clone(), it.kind)).collect();
    assert_eq!(found.len(), differences.found.len(), "a place twice: {differences:?}");
    if differences.more {
        assert!(found.is_subset(&expected), "{:?}", found.difference(&expected));
    } else {
        assert_eq!(found, expected, "{}\n{}", ours.text(), theirs.text());
    }
    expected.len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn the_places_told_are_exactly_those_that_were_changed(document in super::document::nested_with_plain_keys(), dice in vec(any::<u8>(), 30..80)) {
        told(&document, &dice);
    }
}

#[test]
fn documents_are_changed_in_no_place_in_one_and_in_many() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let pairs = (super::document::nested_with_plain_keys(), vec(any::<u8>(), 30..80));
    let mut counts = [0; 3];
    for _ in 0..500 {
        let (document, dice) = pairs.new_tree(&mut runner).unwrap().current();
        counts[told(&document, &dice).min(2)] += 1;
    }
    assert!(counts.iter().all(|count| *count > 25), "{counts:?}");
}
