use proptest::prelude::{
    ProptestConfig, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use proptest::strategy::{Just, Strategy};
use serde_json::{Value, json};

use super::*;

fn path(text: &str) -> Select {
    Select::Path(Path::parse(text).unwrap())
}

fn edited(text: &str, select: &[Select], mut edit: impl FnMut(usize, &str) -> Edit) -> String {
    let edit = &mut |index, found: Found<'_, '_>| edit(index, &found.text().unwrap_or_default());
    let result = rewrite(text.as_bytes(), select, &mut |_| true, edit).unwrap();
    String::from_utf8(result.into_owned()).unwrap()
}

fn one(text: &str, at: &str, edit: &Edit) -> String {
    edited(text, &[path(at)], |_, _| edit.clone())
}

#[test]
fn what_is_removed_takes_its_comma_with_it() {
    for (text, at, expected) in [
        (r#"{"a":1, "b":2, "c":3}"#, "$.a", r#"{"b":2, "c":3}"#),
        (r#"{"a":1, "b":2, "c":3}"#, "$.b", r#"{"a":1, "c":3}"#),
        (r#"{"a":1, "b":2 , "c":3 }"#, "$.c", r#"{"a":1, "b":2}"#),
        (r#"{ "a" : [1] }"#, "$.a", "{ }"),
        (r#"{"a":{"x":1},"b":2}"#, "$.*", "{}"),
        ("[1, 2, 3, 4]", "$[0]", "[2, 3, 4]"),
        ("[1, 2, 3, 4]", "$[3]", "[1, 2, 3]"),
        (
            r#"{"a":[{"k":1,"z":2},{"z":3,"k":4},{"k":5}]}"#,
            "$.a[*].k",
            r#"{"a":[{"z":2},{"z":3},{}]}"#,
        ),
        (r#"{"a":1,"a":2,"b":3}"#, "$.a", r#"{"b":3}"#),
        (r#"{"x":{"a":"}\"]"},"a":{"b":["]"]},"y":0}"#, "$..a", r#"{"x":{},"y":0}"#),
        ("17", "$", "null"),
        (r#"{"a":1}"#, "$.b", r#"{"a":1}"#),
    ] {
        let result = one(text, at, &Edit::Remove);
        let meant: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&result).expect(&result), meant, "{text} {at}");
        assert_eq!(result.replace(' ', ""), expected.replace(' ', ""), "{text} {at}");
    }
}

#[test]
fn removals_beside_each_other_and_what_stays_between_them() {
    let text = r#"{"a":1,"b":2,"c":3,"d":4,"e":5}"#;
    let selects = |names: &[&str]| names.iter().map(|name| path(name)).collect::<Vec<_>>();
    for (names, expected) in [
        (vec!["$.a", "$.b"], r#"{"c":3,"d":4,"e":5}"#),
        (vec!["$.d", "$.e"], r#"{"a":1,"b":2,"c":3}"#),
        (vec!["$.a", "$.c", "$.e"], r#"{"b":2,"d":4}"#),
        (vec!["$.b", "$.c", "$.e"], r#"{"a":1,"d":4}"#),
    ] {
        assert_eq!(edited(text, &selects(&names), |_, _| Edit::Remove), expected);
    }
}

#[test]
fn values_are_replaced_and_all_else_stays_byte_by_byte() {
    let text = " { \"n\" : 1.50e+01 ,\"s\":\"\\u0061\\/\", \"o\":{\"s\":[ \"x\" ,true] } }\n";
    let replaced = one(text, "$.o.s[0]", &Edit::Replace("null".into()));
    assert_eq!(replaced, text.replace("\"x\"", "null"));
    let replaced = one(text, "$.n", &Edit::Replace("2".into()));
    assert_eq!(replaced, text.replace("1.50e+01", "2"));
    let replaced = one(text, "$.o", &Edit::Replace("7".into()));
    assert_eq!(replaced, text.replace("{\"s\":[ \"x\" ,true] }", "7"));
    let seen = edited(text, &[path("$.s")], |_, found| {
        assert_eq!(found, "a/");
        Edit::Keep
    });
    assert_eq!(seen, text);
}

#[test]
fn members_are_renamed_and_put_in() {
    let text = r#"{"items":[{"sku":"a"},{"sku":"b","n":1}]}"#;
    assert_eq!(
        one(text, "$.items[*].sku", &Edit::Rename("article".into())),
        text.replace("sku", "article")
    );
    let append = Edit::Append("x\"y".into(), "[1]".into());
    assert_eq!(
        one(text, "$.items[*]", &append),
        r#"{"items":[{"sku":"a","x\"y":[1]},{"sku":"b","n":1,"x\"y":[1]}]}"#
    );
    assert_eq!(one("{ }", "$", &append), r#"{ "x\"y":[1]}"#);
    assert_eq!(one("[1]", "$", &append), "[1]");
    let both = edited(r#"{"a":1}"#, &[path("$"), path("$"), path("$.a")], |index, _| match index {
        0 => Edit::Append("b".into(), "2".into()),
        1 => Edit::Append("c".into(), "3".into()),
        _ => Edit::Remove,
    });
    assert_eq!(both, r#"{"b":2,"c":3}"#);
    // A member of a container that is gone into keeps its new name.
    let deep = edited(r#"{"a":{"b":1}}"#, &[path("$.a"), path("$.a.b")], |index, _| match index {
        0 => Edit::Rename("z".into()),
        _ => Edit::Replace("2".into()),
    });
    assert_eq!(deep, r#"{"z":{"b":2}}"#);
}

#[test]
fn keys_are_found_in_any_case_and_texts_everywhere() {
    let text = r#"{"eMail":"x","o":[{"EMAIL":{"a":1}}],"n":12}"#;
    let masked = edited(text, &[Select::Key("email".into())], |_, _| Edit::Replace("0".into()));
    assert_eq!(masked, r#"{"eMail":0,"o":[{"EMAIL":0}],"n":12}"#);
    let mut seen = Vec::new();
    edited(text, &[Select::Text], |_, found| {
        seen.push(found.to_owned());
        Edit::Keep
    });
    assert_eq!(seen, ["eMail", "x", "o", "EMAIL", "a", "1", "n", "12"]);
    let keys = edited(text, &[Select::Text], |_, found| match found {
        "o" => Edit::Replace("\"p\"".into()),
        _ => Edit::Keep,
    });
    assert_eq!(keys, text.replace("\"o\"", "\"p\""));
}

#[test]
fn what_is_no_json_is_told_and_no_depth_hurts() {
    for text in ["", "{", "{\"a\":NaN}", "a", "{\"a\":1}x", "\u{feff}{}"] {
        let result =
            rewrite(text.as_bytes(), &[path("$.a")], &mut |_| true, &mut |_, _| Edit::Remove);
        assert_eq!(result, Err(Fault::NotJson), "{text}");
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(one(&deep, "$..b", &Edit::Remove), deep);
    assert_eq!(one(&deep, "$[0]", &Edit::Remove), "[]");
    let refused =
        rewrite(b"[1]", &[path("$[0]")], &mut |bytes| bytes > 100, &mut |_, _| Edit::Remove);
    assert_eq!(refused, Err(Fault::NoBudget));
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i32>().prop_map(|number| json!(number)),
        "[ab\\\\\"{},\\[\\]:é]{0,4}".prop_map(Value::String),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::btree_map("[abc]", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The same by values: members of this name are taken out at any depth.
fn without(value: &Value, name: &str) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(key, _)| *key != name)
            .map(|(key, value)| (key.clone(), without(value, name)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(list) => list.iter().map(|value| without(value, name)).collect(),
        other => other.clone(),
    }
}

fn with(value: &Value, name: &str) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let value = if key == name { json!("***") } else { with(value, name) };
                (key.clone(), value)
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(list) => list.iter().map(|value| with(value, name)).collect(),
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn removing_and_replacing_in_the_text_is_the_same_as_in_the_values(
        document in document(),
        pretty in any::<bool>(),
    ) {
        let text = if pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) };
        let text = text.unwrap();
        let removed = one(&text, "$..a", &Edit::Remove);
        let removed: Result<Value, _> = serde_json::from_str(&removed);
        prop_assert!(removed.is_ok());
        prop_assert_eq!(removed.unwrap(), without(&document, "a"));
        let replaced = one(&text, "$..a", &Edit::Replace("\"***\"".into()));
        prop_assert_eq!(serde_json::from_str::<Value>(&replaced).unwrap(), with(&document, "a"));
        prop_assert_eq!(one(&text, "$..zz", &Edit::Remove), text);
    }
}
