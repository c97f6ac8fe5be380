//! What holds of any document.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |it| it.is_finite()).prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[\"\\\\\\n\\t a-c]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-d\"\\\\é]{0,3}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A document as a text with spaces, and with characters in other spellings.
fn text() -> impl Strategy<Value = String> {
    (document(), any::<bool>()).prop_map(|(it, pretty)| {
        let text =
            if pretty { serde_json::to_string_pretty(&it) } else { serde_json::to_string(&it) };
        text.unwrap().replace('é', "\\u00E9")
    })
}

fn read(text: &[u8]) -> Value {
    serde_json::from_slice(text)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(text)))
}

/// Looks at everything, and sets everything to what it is.
const TOUCH: &str = "fn pre(copy) { touch(copy.json, 0); copy.json = copy.json; }
    fn touch(it, depth) {
        if type_of(it) != \"json\" || depth > 10 { return; }
        if it.is_array() {
            for i in 0..it.len() { let x = it[i]; touch(x, depth + 1); it[i] = x; }
        } else {
            for key in it.keys() { let x = it[key]; touch(x, depth + 1); it[key] = x; }
        }
    }";

proptest! {
    #[test]
    fn what_a_script_only_reads_stays_byte_by_byte(text in text()) {
        let hook = good(TOUCH);
        let mut it = copy(&text);
        hook.pre(&mut it, ABOUT, limits()).unwrap();
        prop_assert_eq!(it.body.unwrap(), text.as_bytes());
    }

    #[test]
    fn a_member_that_is_set_is_what_it_is_set_to_and_the_rest_stays(it in document(), other in document()) {
        let hook = pre("copy.json.sub.a = copy.json.other; copy.json.sub.remove(\"b\"); copy.json.list.push(copy.json.sub);
                        copy.json.rename(\"other\", \"o\\\"ther\");");
        let before = json!({"sub": {"a": 1, "b": it, "c": other}, "other": it, "list": [other]});
        let sub = json!({"a": it, "c": other});
        let expected = json!({"sub": sub, "o\"ther": it, "list": [other, sub]});
        for text in [before.to_string(), serde_json::to_string_pretty(&before).unwrap()] {
            let mut it = copy(&text);
            hook.pre(&mut it, ABOUT, limits()).unwrap();
            // Through a text, since reading rounds the last digit of some numbers.
            prop_assert_eq!(read(&it.body.unwrap()), read(expected.to_string().as_bytes()));
        }
    }

    #[test]
    fn no_body_makes_a_script_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let hook = good(TOUCH);
        let mut it = copy("");
        it.body = Some(body.clone().into());
        let said = hook.pre(&mut it, ABOUT, limits());
        prop_assert!(said.is_ok_and(|_| it.body.unwrap() == body));
    }

    #[test]
    fn no_script_makes_the_check_panic(body in "[a-z(){}\\[\\];=.\"#|$`0-9 \\n!+]{0,60}") {
        drop(compile(&format!("fn pre(copy) {{ {body} }}")));
        drop(compile(&body));
    }
}
