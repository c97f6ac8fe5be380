//! A request as examples show it: method, path and query, bounded, without what is nobody's business.

use http::{Method, Uri};
use percent_encoding::percent_decode_str;

use super::{is_personal, is_token, is_uuid};
use crate::headers::target;
use compare::Rules;

/// Longest text, in bytes.
const TEXT_MAX: usize = 256;
const METHOD_MAX: usize = 16;
const DIGITS_MAX: usize = 8;
/// A word that has so many letters may be a token.
const TOKEN_MIN: usize = 16;
const MASK: &str = "***";

/// Method, path and query of a request. Of parameters only numbers, UUIDs, `true` and `false` are shown, and
/// those not under names that are hidden in bodies; of the path no addresses, telephone numbers and what
/// cannot be printed.
pub fn shown(method: &Method, uri: &Uri, rules: &Rules) -> String {
    let mut text = cut(method.as_str(), METHOD_MAX).to_owned();
    text.push(' ');
    let mut hidden = false;
    let (path, query) = (target::shown(uri.path()), uri.query().map(target::shown));
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            text.push('/');
        }
        // Parameters of a segment are a session's as often as not: `;jsessionid=`.
        let (segment, has_parameters) =
            segment.split_once(';').map_or((segment, false), |(segment, _)| (segment, true));
        let is_private = hidden || is_personal(segment) || rules.hides_looks(segment);
        text.push_str(if is_private { MASK } else { segment });
        if has_parameters {
            text.extend([";", MASK]);
        }
        hidden = hides(rules, segment);
    }
    for (index, part) in query.iter().flat_map(|query| query.split('&')).enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        parameter(&mut text, part, rules);
        if text.len() > TEXT_MAX {
            break;
        }
    }
    if text.len() > TEXT_MAX {
        text.truncate(text.floor_char_boundary(TEXT_MAX));
        text.push('…');
    }
    text
}

/// A part of a query or a form as examples show it: the value where it can be nobody's words, else that there is
/// one.
pub fn parameter_shown(part: &str, rules: &Rules) -> String {
    let mut text = String::new();
    parameter(&mut text, part, rules);
    text
}

/// Whether a word of a text may be a token, or is personal by what it looks like. Words of a language are none.
pub fn looks_private(word: &str) -> bool {
    let is_long = |part: &str| part.len() >= TOKEN_MIN;
    let is_no_word = word.bytes().any(|byte| byte.is_ascii_digit())
        || word.split(|c: char| !c.is_ascii_alphabetic()).any(is_long);
    is_personal(word) || (is_no_word && is_private(word))
}

fn parameter(text: &mut String, part: &str, rules: &Rules) {
    let (name, value) = part.split_once('=').map_or((part, None), |(name, it)| (name, Some(it)));
    text.push_str(if is_private(name) || rules.hides_looks(name) { MASK } else { name });
    let Some(value) = value else { return };
    text.push('=');
    text.push_str(if is_harmless(value) && !hides(rules, name) { value } else { MASK });
}

/// Whether a value can be nobody's words: a number that is not long enough for a card or a telephone, a
/// UUID, yes or no. What people search for is theirs, and trips are posted to others.
fn is_harmless(value: &str) -> bool {
    let bytes = value.as_bytes();
    let is_number = (1..=DIGITS_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_digit);
    is_number || is_uuid(bytes) || matches!(value, "true" | "false")
}

/// Whether what has this name is hidden in bodies: `user[password]` is named by its last part.
fn hides(rules: &Rules, name: &str) -> bool {
    let name = percent_decode_str(name).decode_utf8_lossy();
    let last = name.trim_end_matches(']').rsplit('[').next().unwrap_or_default();
    rules.hides(last)
}

fn is_private(text: &str) -> bool {
    is_personal(text) || (is_token(text.as_bytes()) && !is_uuid(text.as_bytes()))
}

fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::*;

    fn get(target: &str) -> String {
        shown(&Method::GET, &target.parse().unwrap(), &Rules::default())
    }

    #[test]
    fn a_request_is_shown_without_secrets_and_personal_data() {
        for (target, expected) in [
            ("/a/7?q=ssd&page=2", "GET /a/7?q=***&page=2"),
            ("/", "GET /"),
            ("/u/alice@example.com", "GET /u/***"),
            ("/reset/token/abc", "GET /reset/token/***"),
            ("/shop;jsessionid=1A53;b/x", "GET /shop;***/x"),
            ("/from/192.0.2.7/2001:db8::7/x?192.0.2.7", "GET /from/***/***/x?***"),
            ("/c/4111%2D1111-1111-1111", "GET /c/***"),
            (
                "/a?Api-Key=x&name=bob&u%5Bpassword%5D=x",
                "GET /a?Api-Key=***&name=***&u%5Bpassword%5D=***",
            ),
            ("/a?to=alice%40example.com&tel=%2B4911", "GET /a?to=***&tel=***"),
            ("/a?sig=abcdefghijklmno1&alice@example.com", "GET /a?sig=***&***"),
            (
                "/a?id=550e8400-e29b-41d4-a716-446655440000&x=%0a",
                "GET /a?id=550e8400-e29b-41d4-a716-446655440000&x=***",
            ),
        ] {
            assert_eq!(get(target), expected, "{target}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_bounded(path in "/[a-z/]{0,2000}", query in "[a-z=&]{0,2000}") {
            let shown = get(&format!("{path}?{query}"));
            prop_assert!(shown.len() <= TEXT_MAX + "…".len(), "{shown}");
        }
    }
}
