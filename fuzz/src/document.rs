//! The rules for JSON said again in the plainest way, on what serde_json reads.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Deeper ones are not judged: both reading and judging here recurse.
const DEEPEST: usize = 64;
/// Exponents of more digits are not judged.
const EXPONENT_DIGITS: usize = 30;

/// A document as written.
#[derive(Debug)]
pub enum Document {
    /// `null`, `true`, `false` or a number.
    Plain(String),
    /// As written, quotes included, and what it stands for. Half a surrogate pair stands for the
    /// three bytes that UTF-8 would have for it.
    Text(String, Vec<u8>),
    /// Elements.
    Array(Vec<Self>),
    /// Members in their order, keys as [`Document::Text`].
    Object(Vec<(Vec<u8>, Self)>),
}

/// Equal documents have equal meanings.
#[derive(Debug, PartialEq, Eq)]
pub enum Meaning {
    /// `null`, `true` or `false`.
    Word(String),
    /// `±digits × 10^exponent`, the digits without zeros at either end.
    Number(bool, String, i128),
    /// What a string stands for.
    Text(Vec<u8>),
    /// Elements.
    Array(Vec<Self>),
    /// All values of each key in their order.
    Object(BTreeMap<Vec<u8>, Vec<Self>>),
    /// Any value of a masked key.
    Masked,
}

/// Whether this is JSON.
pub fn is_json(body: &[u8]) -> bool {
    raw(body).is_some()
}

/// Whether it may be read though it is no JSON: behind a mark or a prefix, or with words for what is
/// no number.
pub fn is_nearly_json(body: &[u8]) -> bool {
    let has = |part: &[u8]| body.windows(part.len()).any(|it| it == part);
    let front: [&[u8]; 5] = [b"\xEF\xBB\xBF", b")]}'", b"while", b"for", b"{}&&"];
    has(b"NaN") || has(b"Infinity") || front.iter().any(|front| body.starts_with(front))
}

fn raw(body: &[u8]) -> Option<&RawValue> {
    serde_json::from_str(std::str::from_utf8(body).ok()?).ok()
}

impl Document {
    /// Reads a body that is JSON; `None` when it is none, or too deep.
    pub fn read(body: &[u8]) -> Option<Self> {
        Self::of(raw(body)?, DEEPEST)
    }

    fn of(raw: &RawValue, deepest: usize) -> Option<Self> {
        let deepest = deepest.checked_sub(1)?;
        let text = raw.get();
        Some(match text.as_bytes()[0] {
            b'"' => Self::Text(text.to_owned(), again::<Bytes>(text).0),
            b'[' => {
                let items: Vec<&RawValue> = again(text);
                Self::Array(
                    items.into_iter().map(|it| Self::of(it, deepest)).collect::<Option<_>>()?,
                )
            }
            b'{' => {
                let members = again::<Members<'_>>(text).0.into_iter();
                let members = members.map(|(key, it)| Some((key.0, Self::of(it, deepest)?)));
                Self::Object(members.collect::<Option<_>>()?)
            }
            _ => Self::Plain(text.to_owned()),
        })
    }

    /// What it means to the proxy; `None` when that is not judged here.
    pub fn meaning(&self) -> Option<Meaning> {
        Some(match self {
            Self::Plain(word) if matches!(word.as_str(), "null" | "true" | "false") => {
                Meaning::Word(word.clone())
            }
            Self::Plain(number) => of_number(number)?,
            Self::Text(_, bytes) => Meaning::Text(bytes.clone()),
            Self::Array(items) => {
                Meaning::Array(items.iter().map(Self::meaning).collect::<Option<_>>()?)
            }
            Self::Object(members) => {
                let mut named: BTreeMap<Vec<u8>, Vec<Meaning>> = BTreeMap::new();
                for (key, value) in members {
                    let (key, value) = match key.to_ascii_lowercase().as_slice() {
                        b"timestamp" | b"trace_id" | b"traceid" | b"request_id" | b"requestid" => {
                            continue;
                        }
                        masked @ (b"email" | b"phone" | b"name" | b"cc_last4") => {
                            (masked.to_owned(), Meaning::Masked)
                        }
                        _ => (key.clone(), value.meaning()?),
                    };
                    named.entry(key).or_default().push(value);
                }
                Meaning::Object(named)
            }
        })
    }

    /// Another spelling of the same: members in another order, white space, escapes, exponents.
    pub fn respelled(&self, out: &mut String) {
        match self {
            Self::Plain(token) => {
                out.push_str(token);
                if token.ends_with(|c: char| c.is_ascii_digit()) && !token.contains(['e', 'E']) {
                    out.push_str(if token.contains('.') { "0E+0" } else { ".0e-00" });
                }
            }
            Self::Text(raw, bytes) => respell(Some(raw), bytes, out),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index == 0 { "\n" } else { " ,\t" });
                    item.respelled(out);
                }
                out.push_str(" ]");
            }
            Self::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                // Stable: the order among the values of one key counts.
                members.sort_by(|(a, _), (b, _)| b.cmp(a));
                out.push('{');
                for (index, (key, value)) in members.into_iter().enumerate() {
                    out.push_str(if index == 0 { "\r" } else { ", " });
                    respell(None, key, out);
                    out.push_str(" :\n");
                    value.respelled(out);
                }
                out.push_str("\t}");
            }
        }
    }
}

/// With every character escaped; half a surrogate pair has no other spelling than its own.
fn respell(raw: Option<&str>, bytes: &[u8], out: &mut String) {
    match (std::str::from_utf8(bytes), raw) {
        (Ok(text), _) => {
            out.push('"');
            for unit in text.encode_utf16() {
                out.push_str(&format!("\\u{unit:04X}"));
            }
            out.push('"');
        }
        (Err(_), Some(raw)) => out.push_str(raw),
        (Err(_), None) => {
            out.push('"');
            for chunk in bytes.chunk_by(|_, next| *next & 0xC0 == 0x80) {
                match *chunk {
                    [high @ 0xED, middle @ 0xA0..=0xFF, low] => {
                        let unit = u32::from(high & 0x0F) << 12
                            | u32::from(middle & 0x3F) << 6
                            | u32::from(low & 0x3F);
                        out.push_str(&format!("\\u{unit:04x}"));
                    }
                    _ => {
                        let text = String::from_utf8_lossy(chunk);
                        text.encode_utf16()
                            .for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
                    }
                }
            }
            out.push('"');
        }
    }
}

fn of_number(text: &str) -> Option<Meaning> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{part}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some(Meaning::Number(false, String::new(), 0));
    }
    if exponent.len() > EXPONENT_DIGITS {
        return None;
    }
    let significant = digits.trim_end_matches('0');
    let shift = digits.len() as i128 - significant.len() as i128 - part.len() as i128;
    let exponent: i128 = exponent.parse().ok()?;
    Some(Meaning::Number(negative, significant.to_owned(), exponent + shift))
}

/// Part of a text that was read already.
fn again<'a, T: Deserialize<'a>>(text: &'a str) -> T {
    serde_json::from_str(text).expect("serde_json took it before")
}

/// A string; only when asked for bytes, serde_json takes half a surrogate pair.
struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Take;
        impl Visitor<'_> for Take {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_owned()))
            }
        }
        deserializer.deserialize_bytes(Take)
    }
}

struct Members<'a>(Vec<(Bytes, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Take;
        impl<'de> Visitor<'de> for Take {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Take)
    }
}
