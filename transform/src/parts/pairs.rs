//! Names and values of a query or of a form (`application/x-www-form-urlencoded`, as the URL standard has it),
//! changed in place: pairs that stay keep their spelling.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

/// What need not be encoded: unreserved characters (RFC 3986 section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What becomes of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Nothing.
    Keep,
    /// It is taken out.
    Remove,
    /// It has this value, which is encoded as needed.
    Value(String),
    /// It has this name.
    Name(String),
    /// It has this name and this value.
    Both(String, String),
}

/// A name or a value without its encoding.
pub fn decoded(text: &str) -> Cow<'_, str> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Cow::Owned(percent_decode(spaced.as_bytes()).decode_utf8_lossy().into_owned());
    }
    percent_decode(text.as_bytes()).decode_utf8_lossy()
}

/// A name or a value as it stands in a query or a form.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// The pairs of a query or a form, decoded.
pub fn pairs(text: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    })
}

/// The value of the first pair of this name.
pub fn value<'t>(text: &'t str, name: &str) -> Option<Cow<'t, str>> {
    pairs(text).find(|(it, _)| it == name).map(|(_, value)| value)
}

/// Changes pairs; `edit` is told name and value, decoded.
pub fn rewrite<'t>(text: &'t str, edit: &mut dyn FnMut(&str, &str) -> Edit) -> Cow<'t, str> {
    let mut changed = false;
    let mut parts: Vec<Cow<'_, str>> = Vec::new();
    for pair in text.split('&') {
        if pair.is_empty() {
            parts.push(Cow::Borrowed(pair));
            continue;
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let with = match edit(&decoded(name), &decoded(value)) {
            Edit::Keep => {
                parts.push(Cow::Borrowed(pair));
                continue;
            }
            Edit::Remove => None,
            Edit::Value(value) => Some(format!("{name}={}", encoded(&value))),
            Edit::Name(to) => Some(match pair.split_once('=') {
                Some((_, value)) => format!("{}={value}", encoded(&to)),
                None => encoded(&to),
            }),
            Edit::Both(name, value) => Some(format!("{}={}", encoded(&name), encoded(&value))),
        };
        changed = true;
        parts.extend(with.map(Cow::Owned));
    }
    if changed { Cow::Owned(parts.join("&")) } else { Cow::Borrowed(text) }
}

/// The same with another pair at the end.
pub fn with(text: &str, name: &str, value: &str) -> String {
    let ampersand = if text.is_empty() || text.ends_with('&') { "" } else { "&" };
    format!("{text}{ampersand}{}={}", encoded(name), encoded(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_that_stay_keep_their_spelling() {
        let text = "a=%31+2&&b&c==x&d=%zz";
        assert_eq!(rewrite(text, &mut |_, _| Edit::Keep), text);
        let told: Vec<_> = pairs(text).map(|(a, b)| format!("{a}|{b}")).collect();
        assert_eq!(told, ["a|1 2", "b|", "c|=x", "d|%zz"]);
        let changed = rewrite(text, &mut |name, _| match name {
            "b" => Edit::Value("ü&".into()),
            "c" => Edit::Name("e f".into()),
            "d" => Edit::Remove,
            _ => Edit::Keep,
        });
        assert_eq!(changed, "a=%31+2&&b=%C3%BC%26&e%20f==x");
        assert_eq!(rewrite("a=1", &mut |_, _| Edit::Remove), "");
        assert_eq!(rewrite("a", &mut |_, _| Edit::Both("x".into(), "y".into())), "x=y");
    }

    #[test]
    fn a_pair_is_found_by_its_decoded_name_and_put_behind_the_others() {
        assert_eq!(value("a=1&%61b=2", "ab").as_deref(), Some("2"));
        assert_eq!(value("a", "a").as_deref(), Some(""));
        assert_eq!(value("", "a"), None);
        assert_eq!(with("", "a b", "c=d"), "a%20b=c%3Dd");
        assert_eq!(with("x=1", "a", ""), "x=1&a=");
    }
}
