//! JSON documents to compare: made up, changed in one place, and spelled in many ways.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::sample::{Index, select};

/// A document whose objects are lists, so that order and duplicates can be had.
#[derive(Clone, Debug)]
pub(super) enum Json {
    Plain(String),
    Text(String),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// Decides between spellings, the same way for the same choices.
struct Speller<'c> {
    choices: std::iter::Cycle<std::slice::Iter<'c, u8>>,
}

impl Speller<'_> {
    fn one_of(&mut self, most: u8) -> u8 {
        self.choices.next().map_or(0, |choice| choice % most)
    }

    fn space(&mut self, out: &mut String) {
        out.push_str(["", " ", "\n", "\t\r"][usize::from(self.one_of(4))]);
    }

    fn text(&mut self, text: &str, out: &mut String) {
        out.push('"');
        for character in text.chars() {
            if self.one_of(2) == 0 && character >= ' ' && !matches!(character, '"' | '\\') {
                out.push(character);
                continue;
            }
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
        out.push('"');
    }

    fn write(&mut self, json: &Json, out: &mut String) {
        self.space(out);
        match json {
            Json::Plain(token) => {
                out.push_str(token);
                // Words, and numbers that have a point or an exponent, cannot take one.
                if token.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()) {
                    // Zero cannot take more digits.
                    let spellings = if token.ends_with(|c| c != '0') { 4 } else { 3 };
                    out.push_str(["", ".0", "e0", "00E-2"][usize::from(self.one_of(spellings))]);
                }
            }
            Json::Text(text) => self.text(text, out),
            Json::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    self.write(item, out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    self.space(out);
                    self.text(key, out);
                    self.space(out);
                    out.push(':');
                    self.write(value, out);
                }
                out.push('}');
            }
        }
        self.space(out);
    }
}

impl Json {
    pub(super) fn spelled(&self, choices: &[u8]) -> String {
        let mut out = String::new();
        Speller { choices: choices.iter().cycle() }.write(self, &mut out);
        out
    }

    pub(super) fn text(&self) -> String {
        self.spelled(&[])
    }

    /// Applies `change` to every object, innermost first.
    pub(super) fn objects(&mut self, change: &mut impl FnMut(&mut Vec<(String, Self)>)) {
        match self {
            Self::Plain(_) | Self::Text(_) => {}
            Self::Array(items) => items.iter_mut().for_each(|item| item.objects(change)),
            Self::Object(members) => {
                members.iter_mut().for_each(|(_, value)| value.objects(change));
                change(members);
            }
        }
    }

    /// Every value, the document itself included.
    pub(super) fn values(&mut self, visit: &mut impl FnMut(&mut Self)) {
        visit(self);
        match self {
            Self::Plain(_) | Self::Text(_) => {}
            Self::Array(items) => items.iter_mut().for_each(|item| item.values(visit)),
            Self::Object(members) => members.iter_mut().for_each(|(_, value)| value.values(visit)),
        }
    }

    /// Changes the `at`-th value.
    pub(super) fn change(&mut self, at: Index, change: impl Fn(&mut Self)) {
        let mut count = 0;
        self.values(&mut |_| count += 1);
        let mut left = at.index(count) + 1;
        self.values(&mut |value| {
            left = left.saturating_sub(1);
            if left == 0 {
                left = usize::MAX;
                change(value);
            }
        });
    }

    /// Changes the `at`-th object; false when there is none.
    pub(super) fn change_object(
        &mut self,
        at: Index,
        change: impl Fn(&mut Vec<(String, Self)>),
    ) -> bool {
        let mut count = 0;
        self.objects(&mut |_| count += 1);
        if count == 0 {
            return false;
        }
        let mut left = at.index(count);
        self.objects(&mut |members| {
            if left == 0 {
                change(members);
            }
            left = left.wrapping_sub(1);
        });
        true
    }
}

fn leaf() -> impl Strategy<Value = Json> {
    prop_oneof![
        select(vec!["null", "true", "false", "0", "-0"]).prop_map(|t| Json::Plain(t.into())),
        any::<i64>().prop_map(|n| Json::Plain(n.to_string())),
        ".{0,8}".prop_map(Json::Text),
    ]
}

fn nested(
    leaf: impl Strategy<Value = Json> + 'static,
    key: &'static str,
) -> impl Strategy<Value = Json> {
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Json::Array),
            proptest::collection::btree_map(key, inner, 0..6)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

/// Documents with distinct keys, none of them special.
pub(super) fn document() -> impl Strategy<Value = Json> {
    nested(leaf(), "[a-hé\"\\\\]{1,3}")
}

/// The same with keys that need no escape between single quotes but for backslashes.
pub(super) fn nested_with_plain_keys() -> impl Strategy<Value = Json> {
    nested(leaf(), "[a-h\u{e9}\"\\\\]{1,3}")
}
