//! What may be shown of a text that nobody described: neither what the policy knows by its looks, nor what stands
//! behind the name of a secret.

use std::borrow::Cow;

use super::super::policy::Rules;
use super::super::redaction::{Eyes, Hide, LENGTH_MAX, MASK, hidden_bytes};

/// Most names within a text that are looked at; of a text with more nothing is shown.
const NAMES_MAX: usize = 4096;
/// Bytes of a name, at most.
const NAME_MAX: usize = 64;
/// Fewest bytes of credentials behind the name of their scheme.
const CREDENTIALS_MIN: usize = 6;
/// Bytes of user and host of a URL that are looked at.
const AUTHORITY_MAX: usize = 512;
/// Fewest bytes of a user without a password that is a token rather than a name.
const TOKEN_MIN: usize = 16;

/// A text as it may be shown; borrowed where all of it may.
pub(super) fn shown<'t>(text: &'t [u8], rules: &Rules) -> Cow<'t, [u8]> {
    let hide = rules.hide();
    if text.len() > LENGTH_MAX || has_secret(text, rules) {
        return Cow::Borrowed(MASK.as_bytes());
    }
    hidden_bytes(text, hide).map_or(Cow::Borrowed(text), Cow::Owned)
}

impl Eyes for Rules {
    fn policy(&self) -> Hide<'_> {
        self.hide()
    }

    fn are_hidden(&self, name: &str) -> bool {
        self.hides(name)
    }

    fn unshown(&self, text: &[u8]) -> Option<Vec<u8>> {
        let rest = hidden_bytes(text, self.hide());
        match has_secret(rest.as_deref().unwrap_or(text), self) {
            true => Some(MASK.into()),
            false => rest,
        }
    }
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
                names > NAMES_MAX
                    || has_user_info(&text[at..])
                    || !is_masked(&text[at + 1..]) && names_secret(&text[..at], rules)
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

/// Whether nothing but a mask stands here, as a text or as a part of a URL.
fn is_masked(behind: &[u8]) -> bool {
    let joins = |byte: &u8| byte.is_ascii_whitespace() || b"\"'\\".contains(byte);
    let start = behind.iter().position(|byte| !joins(byte)).unwrap_or(behind.len());
    let mask = [MASK.as_bytes(), b"%2A%2A%2A"];
    let rest = mask.iter().find_map(|mask| behind[start..].strip_prefix(*mask));
    let ends = |byte: &u8| joins(byte) || b"&;,}])".contains(byte);
    rest.is_some_and(|rest| rest.first().is_none_or(ends))
}

/// Whether a scheme of a URL ends here that credentials are behind: `://user:password@host`, or a token in their place.
fn has_user_info(text: &[u8]) -> bool {
    let Some(behind) = text.strip_prefix(b"://") else { return false };
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b"/?#\"'<>\\".contains(byte);
    let most = &behind[..behind.len().min(AUTHORITY_MAX)];
    let authority = &most[..most.iter().position(ends).unwrap_or(most.len())];
    let Some(at) = authority.iter().rposition(|byte| *byte == b'@') else { return false };
    let name = &authority[..at];
    match name.iter().position(|byte| *byte == b':') {
        Some(colon) => colon + 1 < name.len() && &name[colon + 1..] != MASK.as_bytes(),
        None => name.len() >= TOKEN_MIN,
    }
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
            "see https://bob:hunter2@host/a",
            "postgres://app:hunter2@db:5432/x",
            "jdbc:mysql://app:hunter2@db/x",
            "https://ghp_0123456789abcdef@host/a",
            "password=***hunter2",
        ] {
            assert!(is_hidden(text), "{text}");
        }
        for text in [
            "tokens are fine",
            "a basic idea",
            "ratio: 1",
            "https://example.com/a?b=c",
            "ssh://git@example.com/a:b",
            "https://example.com:8080/@a:b@c",
            "password=***&page=2",
            "{\"password\": \"***\", \"a\": 1}",
            "=",
            ":",
        ] {
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
