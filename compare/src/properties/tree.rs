//! The plainest comparison: serde_json reads both bodies into trees without what is left out.

use std::collections::BTreeMap;
use std::fmt::{self, Formatter};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Equal documents have equal trees, so long as `f64` holds their numbers.
#[derive(Debug, PartialEq)]
enum Tree {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Array(Vec<Self>),
    Object(BTreeMap<String, Vec<Self>>),
}

/// Whether two bodies are to be matched; `None` where serde_json has limits of its own.
pub(super) fn matched(a: &[u8], b: &[u8]) -> Option<bool> {
    if a.trim_ascii() == b.trim_ascii() {
        return Some(true);
    }
    let (a, b) = (read(a)?, read(b)?);
    Some(a.is_some() && a == b)
}

/// The tree of a body, if it is JSON.
fn read(body: &[u8]) -> Option<Option<Tree>> {
    let Ok(text) = std::str::from_utf8(body) else { return Some(None) };
    match serde_json::from_str(text) {
        Ok(tree) => Some(Some(tree)),
        Err(error) => {
            let error = error.to_string();
            let limits = ["surrogate", "hex escape", "out of range", "recursion"];
            (!limits.iter().any(|limit| error.contains(limit))).then_some(None)
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Tree;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Number(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
        let mut named: BTreeMap<String, Vec<Tree>> = BTreeMap::new();
        while let Some(key) = members.next_key::<String>()? {
            match key.to_ascii_lowercase().as_str() {
                "timestamp" | "trace_id" | "traceid" | "request_id" | "requestid" => {
                    members.next_value::<IgnoredAny>()?;
                }
                masked @ ("email" | "phone" | "name" | "cc_last4") => {
                    members.next_value::<IgnoredAny>()?;
                    named.entry(masked.to_owned()).or_default().push(Tree::Null);
                }
                _ => named.entry(key).or_default().push(members.next_value()?),
            }
        }
        Ok(Tree::Object(named))
    }
}
