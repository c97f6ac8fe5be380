//! Keys that are ids: the members of a map rather than the fields of a record. To tell each of them apart
//! would make a field of every user.

use super::json::Tape;
use super::lenient::{is_ulid, is_uuid};

/// Longest key that is looked at, in bytes: a hash of 512 bits in hexadecimal digits.
const LENGTH_MAX: usize = 128;
/// Fewest digits of a hexadecimal id; shorter ones may be words.
const HEX_MIN: usize = 16;
/// A record has hardly more fields that are spelt alike.
const ALIKE_MAX: usize = 50;
/// Members of an object that are looked at.
const LOOKED_AT: usize = 256;

/// Whether a key is an id by its looks, or because so many others of its object are spelt alike.
pub(super) fn is_one_of_many(tape: &Tape<'_>, key: usize, object: Option<usize>) -> bool {
    let text = beginning(tape, key);
    is_id(&text) || object.is_some_and(|object| has_many_alike(tape, object, &text))
}

fn beginning(tape: &Tape<'_>, key: usize) -> Vec<u8> {
    tape.text(key).bytes().take(LENGTH_MAX + 1).collect()
}

/// Whether it is a number, a UUID, a ULID, or a long number in hexadecimal digits.
fn is_id(key: &[u8]) -> bool {
    let all = |is: fn(&u8) -> bool| !key.is_empty() && key.iter().all(is);
    all(u8::is_ascii_digit)
        || key.len() >= HEX_MIN && all(u8::is_ascii_hexdigit)
        || is_uuid(key)
        || is_ulid(key)
}

/// Words alone are no ids, however many there are: large records have such fields.
fn has_many_alike(tape: &Tape<'_>, object: usize, key: &[u8]) -> bool {
    let of_words =
        |byte: &u8| byte.is_ascii_alphabetic() || !byte.is_ascii() || b"_-".contains(byte);
    if key.iter().all(of_words) {
        return false;
    }
    let outline = outline(key);
    let alike = |other: &usize| self::outline(&beginning(tape, *other)) == outline;
    tape.children(object).take(LOOKED_AT).filter(alike).nth(ALIKE_MAX).is_some()
}

/// How a key is spelt: runs of letters and of digits are one sign each.
fn outline(key: &[u8]) -> Vec<u8> {
    let mut outline: Vec<u8> = key
        .iter()
        .map(|byte| match byte {
            b'0'..=b'9' => b'0',
            byte if byte.is_ascii_alphabetic() || !byte.is_ascii() => b'a',
            byte => *byte,
        })
        .collect();
    outline.dedup();
    outline
}

#[cfg(test)]
mod tests {
    use super::super::json::parse;
    use super::*;

    /// Whether the first key of an object is one of many.
    fn first_of(keys: &[String]) -> bool {
        let members: Vec<_> = keys.iter().map(|key| format!("\"{key}\":1")).collect();
        let text = format!("{{{}}}", members.join(","));
        let tape = parse(text.as_bytes(), &mut |_| true).unwrap().unwrap();
        is_one_of_many(&tape, 1, Some(0))
    }

    #[test]
    fn keys_that_look_like_ids_are_ids_and_words_are_not() {
        for key in [
            "7",
            "1234567",
            "123e4567-e89b-12d3-a456-426614174000",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "0123456789abcdef",
            "DEADBEEFDEADBEEFDEADBEEF",
            "\\u0031\\u0032",
        ] {
            assert!(first_of(&[key.to_owned()]), "{key}");
        }
        let long = "1".repeat(LENGTH_MAX) + "x";
        for key in ["", "name", "facade", "0123abc", "user-1", "line1", "-1", "1.5", &long] {
            assert!(!first_of(&[key.to_owned()]), "{key}");
        }
    }

    #[test]
    fn more_than_fifty_keys_that_are_spelt_alike_are_ids_unless_they_are_words() {
        let keys = |count: usize, make: fn(usize) -> String| -> Vec<String> {
            (0..count).map(make).collect()
        };
        assert!(first_of(&keys(51, |index| format!("user-{index}"))));
        assert!(first_of(&keys(51, |index| format!("u{index}@example.com"))));
        assert!(!first_of(&keys(50, |index| format!("user-{index}"))));
        assert!(!first_of(&keys(60, |index| "x".repeat(index + 1))), "a record");
    }
}
