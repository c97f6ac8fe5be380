//! Keys whose values are secrets by their names: compared like any other value, and never shown.

use super::text::Text;

/// Longest key that is looked at, in letters and digits.
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
    "pwd",
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
];

/// Whether a key names a secret, in any spelling: `apiKey`, `api_key`, `api-key`, `API_KEY`.
pub(super) fn is_named(key: &Text<'_>) -> bool {
    let joins = |byte: &u8| !matches!(byte, b'_' | b'-' | b'.' | b' ');
    let mut name = [0; LETTERS_MAX];
    let mut length = 0;
    for byte in key.bytes().take(2 * LETTERS_MAX).filter(joins) {
        // What is longer is known by its end.
        if length == LETTERS_MAX {
            name.copy_within(1.., 0);
            length -= 1;
        }
        name[length] = byte.to_ascii_lowercase();
        length += 1;
    }
    let name = &name[..length];
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
        for key in ["", "s", "key", "cards_left", "tokenCount", "discard", "company", "spin", "id"]
        {
            assert!(!is_named(&Text::plain(key)), "{key}");
        }
    }
}
