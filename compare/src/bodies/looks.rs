//! What may be shown of a text that nobody described: neither what the policy knows by its looks, nor what stands
//! behind the name of a secret.

use std::borrow::Cow;

use super::super::policy::Rules;
use super::super::redaction::{LENGTH_MAX, MASK, hidden_bytes};

/// Most names within a text that are looked at; of a text with more nothing is shown.
const NAMES_MAX: usize = 4096;
/// Bytes of a name, at most.
const NAME_MAX: usize = 64;
/// Fewest bytes of credentials behind the name of their scheme.
const CREDENTIALS_MIN: usize = 6;

/// A text as it may be shown; borrowed where all of it may.
pub(super) fn shown<'t>(text: &'t [u8], rules: &Rules) -> Cow<'t, [u8]> {
    let hide = rules.hide();
    if text.len() > LENGTH_MAX || has_secret(text, rules) {
        return Cow::Borrowed(MASK.as_bytes());
    }
    hidden_bytes(text, hide).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Whether a text says of what stands behind it that it is a secret: `Password:`.
pub(super) fn is_label(text: &[u8], rules: &Rules) -> bool {
    let text = text.trim_ascii();
    let name = text.strip_suffix(b":").unwrap_or(text);
    name.len() <= NAME_MAX && std::str::from_utf8(name).is_ok_and(|name| rules.hides(name.trim()))
}

/// Whether it has credentials, a key, or a value behind the name of a secret: `token=...`, `"password": "..."`.
pub(crate) fn has_secret(text: &[u8], rules: &Rules) -> bool {
    let mut names = 0;
    for (at, byte) in text.iter().enumerate() {
        let is_secret = match byte {
            b'=' | b':' => {
                names += 1;
                names > NAMES_MAX || names_secret(&text[..at], rules)
            }
            b'<' => {
                names += 1;
                names > NAMES_MAX || is_secret_tag(&text[at + 1..], rules)
            }
            b' ' => is_scheme(&text[..at], &text[at + 1..]),
            b'-' => text[at..].starts_with(b"-----BEGIN"),
            _ => false,
        };
        if is_secret {
            return true;
        }
    }
    false
}

/// Whether what ends here is such a name: its last word, or all words of it.
fn names_secret(text: &[u8], rules: &Rules) -> bool {
    let joins = |byte: &u8| byte.is_ascii_whitespace() || b"\"'\\]".contains(byte);
    let end = text.iter().rposition(|byte| !joins(byte)).map_or(0, |at| at + 1);
    let text = &text[end.saturating_sub(NAME_MAX)..end];
    let last = |is: fn(&u8) -> bool| {
        let start = text.iter().rposition(|byte| !is(byte)).map_or(0, |at| at + 1);
        std::str::from_utf8(&text[start..]).unwrap_or_default().trim()
    };
    let word = last(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(byte));
    let words = last(|byte| byte.is_ascii_alphanumeric() || b"_-. ".contains(byte));
    !word.is_empty() && (rules.hides(word) || words.len() > word.len() && rules.hides(words))
}

/// Whether an element begins or ends here that is named like a secret.
fn is_secret_tag(behind: &[u8], rules: &Rules) -> bool {
    let name = behind.strip_prefix(b"/").unwrap_or(behind);
    let sign = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let length = name.iter().take(NAME_MAX).take_while(sign).count();
    length > 0 && std::str::from_utf8(&name[..length]).is_ok_and(|name| rules.hides(name))
}

/// Whether a scheme ends here that credentials are behind (RFC 9110 section 11.6.2).
fn is_scheme(before: &[u8], behind: &[u8]) -> bool {
    let ends = |name: &[u8]| {
        before.len() >= name.len() && before[before.len() - name.len()..].eq_ignore_ascii_case(name)
    };
    let sign = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    (ends(b"bearer") || ends(b"basic"))
        && behind.trim_ascii_start().iter().take_while(sign).count() >= CREDENTIALS_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_hidden(text: &str) -> bool {
        shown(text.as_bytes(), &Rules::default()) != text.as_bytes()
    }

    #[test]
    fn what_stands_behind_the_name_of_a_secret_is_not_shown() {
        for text in [
            "password=hunter2",
            "level=info api_key = hunter2",
            "{\"accessToken\" : \"hunter2\"}",
            "{\\\"accessToken\\\":\\\"hunter2\\\"}",
            "user[password]=hunter2",
            "/login?a=1&token=hunter2",
            "Authorization: Basic aHVudGVyMg==",
            "sent with bearer hunter2hunter2",
            "Your password: hunter2",
            "Card number: 4111111111111111",
            "PIN: 1234",
            "<a><password>hunter2</password>",
            "hunter2</api-key>",
            "-----BEGIN PRIVATE KEY-----",
        ] {
            assert!(is_hidden(text), "{text}");
        }
        for text in
            ["tokens are fine", "a basic idea", "ratio: 1", "https://example.com/a?b=c", "=", ":"]
        {
            assert!(!is_hidden(text), "{text}");
        }
        assert!(is_hidden(&"a=".repeat(NAMES_MAX + 1)));
        assert!(is_hidden(&"a".repeat(LENGTH_MAX + 1)));
    }

    #[test]
    fn labels_are_names_of_secrets_with_or_without_a_colon() {
        let is = |text: &str| is_label(text.as_bytes(), &Rules::default());
        assert!(is(" Password:\n") && is("API key") && is("pin :"));
        assert!(!is("Total") && !is("") && !is(&format!("{}password", "a ".repeat(60))));
    }
}
