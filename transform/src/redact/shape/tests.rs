use proptest::prelude::*;

use super::super::detect::hits;
use super::*;

fn key(byte: u8) -> Key {
    Key::new(&[byte; 32]).expect("it is long enough")
}

/// What of a character stays.
fn class(c: char) -> (u8, usize) {
    let class = match c {
        c if c.is_ascii_digit() => 1,
        c if c.is_lowercase() => 2,
        c if c.is_uppercase() => 3,
        c if c.is_alphanumeric() => 4,
        c => return (5, c as usize),
    };
    (class, c.len_utf8())
}

fn classes(text: &str) -> Vec<(u8, usize)> {
    text.chars().map(class).collect()
}

fn only(text: &str, kind: Kind) -> bool {
    hits(text.as_bytes(), Kinds::NONE.with(kind)).any(|hit| hit.range == (0..text.len()))
}

#[test]
fn what_has_a_form_keeps_it() {
    for (value, kind) in [
        ("4111 1111 1111 1111", Kind::Card),
        ("378282246310005", Kind::Card),
        ("9792030394440796", Kind::Card),
        ("2720991234567894", Kind::Card),
        ("30569309025904", Kind::Card),
        ("DE89 3704 0044 0532 0130 00", Kind::Iban),
        ("GB29NWBK60161331926819", Kind::Iban),
        ("MT84MALT011000012345MTLCAST001S", Kind::Iban),
        ("jörg.müller+x1@mail.example.co.uk", Kind::Email),
        ("ann%40example.com", Kind::Email),
        ("192.0.2.1", Kind::Ip),
        ("2001:db8::1:f0", Kind::Ip),
        ("::ffff:192.0.2.1", Kind::Ip),
        ("+49 (0)30 / 12 34 56", Kind::Phone),
    ] {
        assert!(only(value, kind), "{value}");
        for byte in 0..=255 {
            let shaped = key(byte).shape(value);
            assert!(shaped != value && only(&shaped, kind), "{value} {shaped}");
            assert_eq!(classes(&shaped), classes(value), "{value} {shaped}");
        }
    }
}

#[test]
fn what_is_part_of_a_text_is_what_it_is_alone() {
    let key = key(1);
    let shaped = key.shape("Ann <ann@example.com>, 4111111111111111");
    assert!(shaped.contains(&format!(" <{}>, ", key.shape("ann@example.com"))), "{shaped}");
    assert!(shaped.ends_with(&key.shape("4111111111111111")), "{shaped}");
    assert!(!shaped.starts_with("Ann"), "{shaped}");
}

#[test]
fn dates_ids_and_hexadecimal_numbers_pass_for_such() {
    for byte in 0..=255 {
        let key = key(byte);
        let uuid = key.shape("550e8400-e29b-41d4-a716-446655440000");
        let (version, variant) = (&uuid[14..15], &uuid[19..20]);
        assert!(uuid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'), "{uuid}");
        assert_eq!((version, variant), ("4", "a"), "{uuid}");
        for date in [
            "1990-05-17",
            "1990-05-17T07:08:09.123Z",
            "2024-05-06 07:08",
            "2024-05-06T07:08:09+02:00",
        ] {
            let shaped = key.shape(date);
            let part = |range: std::ops::Range<usize>| {
                shaped.get(range).map(|part| part.parse::<u32>().unwrap())
            };
            assert!((1900..2100).contains(&part(0..4).unwrap()), "{shaped}");
            assert!(
                (1..=12).contains(&part(5..7).unwrap()) && (1..=28).contains(&part(8..10).unwrap()),
                "{shaped}"
            );
            assert!(part(11..13).is_none_or(|hour| hour < 24), "{shaped}");
            assert!(part(14..16).is_none_or(|minute| minute < 60), "{shaped}");
            assert!(part(17..19).is_none_or(|second| second < 60), "{shaped}");
            assert_eq!(
                date.get(19..),
                shaped.get(19..).map(|end| if end.starts_with('.') { ".123Z" } else { end })
            );
        }
    }
}

#[test]
fn what_has_no_other_shape_is_masked() {
    for value in ["-", "***", " ", "!?", "😀"] {
        assert_eq!(key(1).shape(value), MASK, "{value}");
    }
    assert_eq!(key(1).shape("🌀@\u{fffc}.🌀0").chars().filter(|c| *c == '*').count(), 3);
}

#[test]
fn shapes_stay_what_they_were_in_earlier_versions() {
    let key = key(1);
    let shapes = ["Ann Li", "4111111111111111", "ann@example.com", "DE89370400440532013000"];
    assert_eq!(
        shapes.map(|value| key.shape(value)),
        ["Gej Te", "4145417773415546", "hcr@iqwajhn.com", "DE33415483660676302015"]
    );
}

proptest! {
    #[test]
    fn shapes_keep_length_and_classes_and_are_never_the_value(value in "[a-zA-Z0-9äÄ佐 .,-]{0,40}") {
        let (one, other) = (key(1), key(2));
        let shaped = one.shape(&value);
        prop_assert_eq!(&one.shape(&value), &shaped);
        if value.chars().any(char::is_alphanumeric) {
            prop_assert_ne!(&shaped, &value);
            prop_assert_eq!(classes(&shaped), classes(&value));
            prop_assert_eq!(shaped.len(), value.len());
        }
        if value.chars().filter(|c| c.is_alphanumeric()).count() >= 12 {
            prop_assert_ne!(&other.shape(&value), &shaped);
        }
    }

    #[test]
    fn whatever_a_text_is_its_shape_is_another(value in "\\PC{1,60}") {
        let shaped = key(1).shape(&value);
        prop_assert_ne!(&shaped, &value);
        // What has no other shape is masked, a part of it too.
        prop_assert!(shaped.contains(MASK) || shaped.len() == value.len(), "{}", shaped);
    }

    #[test]
    fn numbers_stay_numbers(number in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,8})?([eE][+-]?[0-9]{1,2})?") {
        let shaped = key(1).shape_number(&number);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&shaped).unwrap().is_number(), "{}", shaped);
        prop_assert_ne!(&shaped, &number);
        prop_assert_eq!(shaped.len(), number.len());
    }
}
