//! Pairs of bodies that are nearly equal, some of them broken, judged by all that can judge them:
//! the plain trees, the tape, and the walk in step. Made by a generator of their own, since a
//! million must be had in a minute.

use super::super::normalize::Keys;
use super::super::tests::result;
use super::super::{Match, json, step, walk};
use super::document::Json;
use super::tree;

const KEYS: [&str; 14] = [
    "a",
    "a",
    "b",
    "A",
    "id",
    "title",
    "priceCents",
    "timestamps",
    "é\"\\",
    "traceId",
    "TIMESTAMP",
    "request_id",
    "Email",
    "NAME",
];
const SPECIAL: [&str; 5] = ["traceid", "timestamp", "request_id", "email", "name"];
const WORDS: [&str; 12] =
    ["1", "12", "100", "1e2", "0", "-0", "0.0", "0.5", "5e-1", "null", "true", "false"];
const TEXTS: [&str; 6] =
    ["", "x", "1", "é\n\u{1}", "a\"b\\/😀", "a text that is longer than a block of 32 bytes, ü"];
const BYTES: &[u8] = b"{}[]\",:\\ue+-.019 \n\0\x80\xc3x";

/// The same numbers for the same seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ mixed >> 31) % most as u64) as usize
    }

    fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn one_of(&mut self, words: &[&str]) -> String {
        words[self.below(words.len())].to_owned()
    }

    fn json(&mut self, depth: usize) -> Json {
        match self.below(if depth == 0 { 4 } else { 10 }) {
            0 | 1 => Json::Plain(self.one_of(&WORDS)),
            2 | 3 => Json::Text(self.one_of(&TEXTS)),
            4..=6 => Json::Array((0..self.below(4)).map(|_| self.json(depth - 1)).collect()),
            _ => Json::Object((0..self.below(6)).map(|_| self.member(depth - 1)).collect()),
        }
    }

    fn member(&mut self, depth: usize) -> (String, Json) {
        (self.one_of(&KEYS), self.json(depth))
    }

    /// Other values for special keys, and at times another change.
    fn change(&mut self, json: &mut Json) {
        json.objects(&mut |members| {
            for (key, value) in members.iter_mut() {
                if SPECIAL.contains(&key.to_ascii_lowercase().as_str()) && self.percent(60) {
                    *value = self.json(2);
                }
            }
            match self.below(60) {
                0 => members.reverse(),
                1 => members.push(self.member(1)),
                2 => members.truncate(1),
                3 => members.iter_mut().for_each(|(key, _)| key.make_ascii_uppercase()),
                _ => {}
            }
        });
        if self.percent(15) {
            json.values(&mut |value| {
                if self.percent(10) {
                    *value = self.json(1);
                }
            });
        }
    }

    /// In one spelling mostly, else in any.
    fn spelled(&mut self, json: &Json) -> Vec<u8> {
        let choices = if self.percent(60) { 0 } else { 1 + self.below(20) };
        let choices: Vec<_> = (0..choices).map(|_| self.below(256) as u8).collect();
        json.spelled(&choices).into_bytes()
    }

    fn broken(&mut self, body: &mut Vec<u8>) {
        let at = self.below(body.len() + 1);
        let byte = BYTES[self.below(BYTES.len())];
        match self.below(5) {
            0 => body.truncate(at),
            1 => body.insert(at, byte),
            2 => body.push(byte),
            3 if at < body.len() => body[at] = byte,
            4 if at < body.len() => drop(body.remove(at)),
            _ => {}
        }
    }

    fn pair(&mut self) -> (Vec<u8>, Vec<u8>) {
        let mut one = self.json(4);
        if self.percent(2) {
            // About as deep as the walk in step goes.
            one = (0..50 + self.below(20)).fold(one, |inner, _| Json::Array(vec![inner]));
        }
        let mut other = one.clone();
        self.change(&mut other);
        let (mut a, mut b) = (self.spelled(&one), self.spelled(&other));
        for body in [&mut a, &mut b] {
            if self.percent(12) {
                self.broken(body);
            }
        }
        (a, b)
    }
}

fn by_tape(a: &[u8], b: &[u8]) -> bool {
    let parse = |body| json::parse(body, &mut |_| true).unwrap();
    let both = parse(a).zip(parse(b));
    both.is_some_and(|(a, b)| walk::equal(&a, &b, &Keys::default(), &mut |_| true).unwrap())
}

/// How many pairs were judged how.
#[derive(Debug, Default)]
struct Counts {
    matched: usize,
    mismatched: usize,
    /// Beyond the limits of the trees.
    beyond: usize,
    in_step: usize,
    not_in_step: usize,
}

impl Counts {
    fn judge(&mut self, a: &[u8], b: &[u8]) {
        let shown = || format!("{}\n{}", a.escape_ascii(), b.escape_ascii());
        let result = result(a, b) == Match::Matched;
        match tree::matched(a, b) {
            Some(expected) => assert_eq!(result, expected, "{}", shown()),
            None => self.beyond += 1,
        }
        *if result { &mut self.matched } else { &mut self.mismatched } += 1;
        if a.trim_ascii() == b.trim_ascii() {
            return;
        }
        let tape = by_tape(a, b);
        match step::equal(a, b, &Keys::default()) {
            Some(equal) => {
                assert_eq!(equal, tape, "in step: {}", shown());
                self.in_step += 1;
            }
            None => self.not_in_step += 1,
        }
    }
}

fn judge_pairs(count: u64) {
    let mut counts = Counts::default();
    for seed in 0..count {
        let (a, b) = Dice(seed << 32).pair();
        counts.judge(&a, &b);
        counts.judge(&b, &a);
    }
    let total = counts.matched + counts.mismatched;
    assert!(counts.matched * 4 > total, "{counts:?}");
    assert!(counts.mismatched * 8 > total, "{counts:?}");
    assert!(counts.beyond * 50 < total, "{counts:?}");
    assert!(counts.in_step * 3 > total, "{counts:?}");
    assert!(counts.not_in_step * 50 > total, "{counts:?}");
}

#[test]
fn pairs_are_judged_alike_by_trees_by_the_tape_and_in_step() {
    judge_pairs(20_000);
}

#[test]
#[ignore = "takes a minute in release mode"]
fn many_pairs_are_judged_alike_by_trees_by_the_tape_and_in_step() {
    judge_pairs(1_500_000);
}
