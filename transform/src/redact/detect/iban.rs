//! International bank account numbers (ISO 13616).

use std::ops::Range;

use super::begins;

/// Most letters and digits of one.
const LENGTH_MAX: usize = 34;

/// How long the numbers of each country are.
const LENGTHS: [(&[u8; 2], usize); 88] = [
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HN", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
];

/// The number whose check digits begin at this place.
pub(super) fn behind(text: &[u8], at: usize) -> Option<Range<usize>> {
    let start = at.checked_sub(2)?;
    let country = &text[start..at];
    let in_one_case =
        country.iter().all(u8::is_ascii_uppercase) || country.iter().all(u8::is_ascii_lowercase);
    if !in_one_case || !begins(text, start) || !text.get(at + 1)?.is_ascii_digit() {
        return None;
    }
    let length = length(country)?;
    let (mut end, mut count) = (start, 0);
    while count < length {
        match text.get(end)? {
            byte if byte.is_ascii_alphanumeric() => count += 1,
            // One between two groups, and none at the end.
            b' ' | b'-' if text.get(end + 1)?.is_ascii_alphanumeric() => {}
            _ => return None,
        }
        end += 1;
    }
    let goes_on = text.get(end).is_some_and(u8::is_ascii_alphanumeric);
    (!goes_on && remainder(&text[start..end]) == 1).then_some(start..end)
}

fn length(country: &[u8]) -> Option<usize> {
    let upper = [country[0].to_ascii_uppercase(), country[1].to_ascii_uppercase()];
    let found = LENGTHS.binary_search_by_key(&&upper, |(name, _)| name).ok()?;
    Some(LENGTHS[found].1)
}

/// The check digits that make a number right in which now any stand.
pub fn check_digits(text: &[u8]) -> [u8; 2] {
    let mut zeroed = [0; LENGTH_MAX];
    let mut count = 0;
    for byte in text.iter().filter(|byte| byte.is_ascii_alphanumeric()).take(LENGTH_MAX) {
        zeroed[count] = if matches!(count, 2 | 3) { b'0' } else { *byte };
        count += 1;
    }
    let check = u8::try_from(98 - remainder(&zeroed[..count])).expect("at most 98");
    [b'0' + check / 10, b'0' + check % 10]
}

/// What is left by 97 of a number whose first four characters are taken as its last (ISO/IEC 7064).
pub fn remainder(text: &[u8]) -> u32 {
    let plain = || text.iter().copied().filter(u8::is_ascii_alphanumeric);
    plain().skip(4).chain(plain().take(4)).fold(0, |left, byte| {
        let value = (byte as char).to_digit(36).unwrap_or_default();
        (left * if value > 9 { 100 } else { 10 } + value) % 97
    })
}
