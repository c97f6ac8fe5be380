//! Secrets planted anywhere.

use proptest::prelude::*;

use super::*;

/// A document with the secret somewhere in it, under a name that a rule has.
fn planted() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z\"\\\\{}\\[\\]:, é]{0,8}".prop_map(Value::from),
        Just(Value::Null),
        Just(json!({"email": SECRET})),
        Just(json!({"eMail": [SECRET, {"x": SECRET}]})),
        Just(json!(json!({"Email": SECRET}).to_string())),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{0,4}|email", inner, 0..5)
                .prop_map(|map| Value::from(map.into_iter().collect::<serde_json::Map<_, _>>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_secret_planted_anywhere_is_gone_and_what_is_left_parses(
        document in planted(),
        coding in prop::sample::select(vec!["", "gzip", "br", "zstd", "deflate"]),
        way in 0..4_usize,
        by_looks in any::<bool>(),
    ) {
        let way = &ways()[way];
        let policy = if by_looks { detectors(way) } else { rules(way) };
        let copy = encoded(with_body("application/json", document.to_string()), coding);
        let after = redacted(&policy, copy.clone());
        prop_assert!(!said(&after).contains("ann@example.com"), "{}", said(&after));
        parsed(&after);
        if !document.to_string().contains("ann@example.com") && !document.to_string().to_lowercase().contains("email") {
            prop_assert_eq!(&after, &copy);
        }
        prop_assert_eq!(&redacted(&policy, copy), &after);
    }

    #[test]
    fn a_secret_in_pairs_is_gone_however_it_is_spelled(
        before in "[a-z=&%+]{0,12}",
        spelled in prop::collection::vec(any::<bool>(), 22),
        name in prop::sample::select(vec!["email", "EMAIL", "e%6Dail", "u[email]", "u%5Bemail%5D"]),
        way in 0..4_usize,
    ) {
        let value: String = SECRET.bytes().zip(&spelled).map(|(byte, encode)| {
            if *encode || !byte.is_ascii_alphanumeric() { format!("%{byte:02x}") } else { char::from(byte).to_string() }
        }).collect();
        let pairs = format!("{before}&{name}={value}&z={value}");
        let way = &ways()[way];
        let policy = Policy::new(vec![rule(way.clone())], Kinds::ALL, Kinds::ALL, way.clone());
        let mut copy = with_body("application/x-www-form-urlencoded", pairs.clone());
        copy.query = Some(pairs);
        let said = said(&redacted(&policy, copy));
        prop_assert!(!said.contains(SECRET) && !said.contains("ann@example.com"), "{}", said);
    }
}
