//! Keys and headers whose values are secrets by their names: compared like any other value, and never shown.

use super::text::Text;

/// So much of a key's end is looked at, in letters and digits. More than any name below has, so that
/// what is cut off makes no short name of a long one.
const LETTERS_MAX: usize = 48;
/// What a name ends with, once in lower case and without what joins its words; an `s` more is the same.
const ENDS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "token",
    "secret",
    "apikey",
    "secretkey",
    "privatekey",
    "accesskey",
    "signingkey",
    "encryptionkey",
    "cardnumber",
    "creditcard",
    "debitcard",
    "iban",
    "socialsecuritynumber",
    "credential",
    "authorization",
];
/// Names that are too short to be looked for at the end of others.
const WHOLE: &[&str] = &[
    "pw",
    "pwd",
    "pass",
    "otp",
    "totp",
    "sid",
    "sessionid",
    "jsessionid",
    "phpsessid",
    "sig",
    "signature",
    "jwt",
    "card",
    "cardno",
    "pan",
    "cvv",
    "cvv2",
    "cvc",
    "cvc2",
    "ssn",
    "socialsecurity",
    "pin",
    "bearer",
    "cookie",
    "cookie2",
    "setcookie",
];

/// The last two letters of all names, so that most keys are told from all of them without a look at the rest.
const LAST_TWO: [u32; 32] = {
    let mut table = [0; 32];
    let mut index = 0;
    while index < ENDS.len() + WHOLE.len() {
        let name = if index < ENDS.len() { ENDS[index] } else { WHOLE[index - ENDS.len()] };
        let (before, last) = last_two(name.as_bytes());
        table[last] |= 1 << before;
        index += 1;
    }
    table
};

/// Letters have the same low five bits in either case.
const fn last_two(name: &[u8]) -> (usize, usize) {
    match name {
        [.., before, last] => ((*before & 31) as usize, (*last & 31) as usize),
        _ => (0, 0),
    }
}

fn may_be_named(name: &[u8]) -> bool {
    let may = |name| {
        let (before, last) = last_two(name);
        LAST_TWO[last] & (1 << before) != 0
    };
    may(name) || name.split_last().is_some_and(|(last, one)| last | 32 == b's' && may(one))
}

fn joins(byte: u8) -> bool {
    matches!(byte, b'_' | b'-' | b'.' | b' ')
}

/// Whether the end of a key tells that it is no name.
fn is_other(key: &Text<'_>) -> bool {
    key.as_plain().is_some_and(|key| {
        let end = &key[key.len().saturating_sub(3)..];
        !end.iter().any(|byte| joins(*byte)) && !may_be_named(end)
    })
}

/// Whether a key or a header names a secret, in any spelling: `apiKey`, `api_key`, `api-key`, `API_KEY`.
pub(super) fn is_named(key: &Text<'_>) -> bool {
    if is_other(key) {
        return false;
    }
    // What is longer is known by its end: the last letters go round in here.
    let mut letters = [0; LETTERS_MAX];
    let mut count = 0;
    for byte in key.bytes().filter(|byte| !joins(*byte)) {
        letters[count % LETTERS_MAX] = byte.to_ascii_lowercase();
        count += 1;
    }
    if count > LETTERS_MAX {
        letters.rotate_left(count % LETTERS_MAX);
    }
    let name = &letters[..count.min(LETTERS_MAX)];
    let one = name.strip_suffix(b"s").unwrap_or(name);
    [name, one].iter().any(|name| {
        WHOLE.iter().any(|whole| *name == whole.as_bytes())
            || ENDS.iter().any(|end| name.ends_with(end.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_name_in_any_spelling() {
        for key in [
            "token",
            "password",
            "apiKey",
            "api_key",
            "API-KEY",
            "API_KEY",
            "card",
            "cardNumber",
            "credit_card",
            "IBAN",
            "iban",
            "ssn",
            "SSN",
            "social_security_number",
            "accessToken",
            "refresh_tokens",
            "user-password",
            "client_secret",
            "privateKey",
            "cvv",
        ] {
            assert!(is_named(&Text::plain(key)), "{key}");
        }
        for key in [
            format!("{}password", "a_".repeat(100)),
            format!("password{}", "_".repeat(200)),
            format!("{}{}", "\\u0061".repeat(100), "api\\u004bey"),
        ] {
            assert!(is_named(&Text::new(key.as_bytes(), key.contains('\\'))), "{key}");
        }
        for key in ["authorization", "proxy-authorization", "x-api-key", "cookie", "set-cookie"] {
            assert!(is_named(&Text::plain(key)), "{key}");
        }
        assert!(!is_named(&Text::plain(&format!("{}pin", "a".repeat(100)))));
        for key in ["", "s", "key", "cards_left", "tokenCount", "discard", "company", "spin", "id"]
        {
            assert!(!is_named(&Text::plain(key)), "{key}");
        }
    }
}
