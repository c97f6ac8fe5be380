use proptest::collection::vec;
use proptest::prelude::{
    Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use proptest::sample::Index;

use super::Verdict;
use super::tests::verdict;

/// A document whose objects are lists, so that order and duplicates can be had.
#[derive(Clone, Debug, PartialEq)]
enum Json {
    Plain(String),
    Text(String),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Json {
    fn write(&self, out: &mut String) {
        match self {
            Self::Plain(token) => out.push_str(token),
            Self::Text(text) => out.push_str(&serde_json::to_string(text).unwrap()),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    out.push_str(&serde_json::to_string(key).unwrap());
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    /// Applies `change` to every object, innermost first.
    fn objects(&mut self, change: &mut impl FnMut(&mut Vec<(String, Self)>)) {
        match self {
            Self::Plain(_) | Self::Text(_) => {}
            Self::Array(items) => items.iter_mut().for_each(|item| item.objects(change)),
            Self::Object(members) => {
                members.iter_mut().for_each(|(_, value)| value.objects(change));
                change(members);
            }
        }
    }

    /// The leaves, in order.
    fn leaves<'a>(&'a mut self, found: &mut Vec<&'a mut Self>) {
        match self {
            Self::Array(items) => items.iter_mut().for_each(|item| item.leaves(found)),
            Self::Object(members) => members.iter_mut().for_each(|(_, value)| value.leaves(found)),
            leaf => found.push(leaf),
        }
    }
}

fn leaf() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just(Json::Plain("null".into())),
        any::<bool>().prop_map(|b| Json::Plain(b.to_string())),
        any::<i64>().prop_map(|n| Json::Plain(n.to_string())),
        "-?(0|[1-9][0-9]{0,5})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?".prop_map(Json::Plain),
        ".{0,8}".prop_map(Json::Text),
    ]
}

/// Documents with distinct, plain keys.
fn document() -> impl Strategy<Value = Json> {
    leaf().prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Json::Array),
            prop::collection::btree_map("[a-h\u{e9}\"\\\\]{1,3}", inner, 0..6)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

fn ignored_key() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("timestamp"),
        Just("trace_id"),
        Just("traceId"),
        Just("request_id"),
        Just("requestId"),
        Just("TIMESTAMP"),
        Just("Trace_Id"),
    ]
    .prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn every_body_equals_itself(body in vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(verdict(&body, &body), Verdict::Matched);
    }

    #[test]
    fn every_document_equals_its_copy_with_white_space(document in document()) {
        let text = document.text();
        let spaced = format!(" {text}\n");
        prop_assert_eq!(verdict(&text, spaced), Verdict::Matched);
    }

    #[test]
    fn the_verdict_is_symmetric(a in document(), b in document()) {
        prop_assert_eq!(verdict(a.text(), b.text()), verdict(b.text(), a.text()));
    }

    #[test]
    fn arbitrary_bytes_get_a_symmetric_verdict(a in vec(any::<u8>(), 0..60), b in "[\\[\\]{}\",:0-9eE.u\\\\ntf-]{0,40}") {
        prop_assert_eq!(verdict(&a, &b), verdict(&b, &a));
    }

    #[test]
    fn key_order_is_not_seen(document in document(), by in any::<usize>()) {
        let mut other = document.clone();
        other.objects(&mut |members| {
            members.reverse();
            let by = by % members.len().max(1);
            members.rotate_left(by);
        });
        prop_assert_eq!(verdict(document.text(), other.text()), Verdict::Matched);
    }

    #[test]
    fn ignored_keys_are_not_seen_at_any_depth(document in document(), key in ignored_key(), value in document(), at in any::<Index>()) {
        let mut other = document.clone();
        other.objects(&mut |members| {
            let at = at.index(members.len() + 1);
            members.insert(at, (key.clone(), value.clone()));
        });
        prop_assert_eq!(verdict(document.text(), other.text()), Verdict::Matched);
    }

    #[test]
    fn masked_values_are_not_seen_but_their_keys_are(document in document(), one in document(), two in document()) {
        let with = |value: &Json| {
            let mut masked = document.clone();
            masked.objects(&mut |members| members.push(("email".into(), value.clone())));
            masked
        };
        prop_assert_eq!(verdict(with(&one).text(), with(&two).text()), Verdict::Matched);
        if with(&one) != document {
            prop_assert_eq!(verdict(with(&one).text(), document.text()), Verdict::Mismatched);
        }
    }

    #[test]
    fn a_changed_leaf_is_seen(document in document(), at in any::<Index>()) {
        let mut other = document.clone();
        let mut leaves = Vec::new();
        other.leaves(&mut leaves);
        if !leaves.is_empty() {
            let at = at.index(leaves.len());
            *leaves[at] = match &*leaves[at] {
                Json::Text(text) => Json::Text(format!("{text}x")),
                Json::Plain(token) if token == "null" => Json::Plain("true".into()),
                _ => Json::Plain("null".into()),
            };
            prop_assert_eq!(verdict(document.text(), other.text()), Verdict::Mismatched);
        }
    }

    // serde_json is the oracle for what is JSON, and for equality where it is exact.
    #[test]
    fn agrees_with_a_tree_of_values(a in document(), b in document()) {
        let tree = |document: &Json| serde_json::from_str::<serde_json::Value>(&document.text());
        if let (Ok(left), Ok(right)) = (tree(&a), tree(&b))
            && left != right && !a.text().contains(['.', 'e', 'E']) && !b.text().contains(['.', 'e', 'E']) {
                // Only -0 is equal by value and not in the tree.
                let zero = a.text().contains("-0") || b.text().contains("-0");
                prop_assert!(zero || verdict(a.text(), b.text()) == Verdict::Mismatched);
            }
    }

    #[test]
    fn what_is_json_is_what_the_grammar_says(text in "[\\[\\]{}\",:019eE.+n\\\\u-]{0,12}") {
        // Two spellings that differ in white space only are equal if and only if they are JSON.
        let spaced = format!("[{text} ]");
        let plain = format!("[{text}]");
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&plain).is_ok();
        prop_assert_eq!(verdict(plain, spaced) == Verdict::Matched, is_json);
    }
}
