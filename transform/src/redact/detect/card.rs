//! Numbers of payment cards (ISO/IEC 7812).

use std::ops::Range;

use super::{begins, ends, is_fraction};

/// Most digits of a number.
pub const DIGITS_MAX: usize = 19;
/// How numbers are grouped, those with more digits first.
const GROUPS: [&[usize]; 4] = [&[4, 4, 4, 4, 3], &[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4]];

/// The card number that begins with the digit at this place.
pub(super) fn at(text: &[u8], at: usize) -> Option<Range<usize>> {
    if !begins(text, at) || is_fraction(text, at) {
        return None;
    }
    let run = text[at..].iter().take(DIGITS_MAX + 1).take_while(|byte| byte.is_ascii_digit());
    let length = match run.count() {
        4 => GROUPS.iter().find_map(|groups| grouped(&text[at..], groups))?,
        length @ 13..=DIGITS_MAX => {
            Some(length).filter(|length| is_number(&text[at..][..*length]))?
        }
        _ => return None,
    };
    ends(text, at + length).then_some(at..at + length)
}

/// How long a number is that is grouped in this way, with the same byte between all groups.
fn grouped(text: &[u8], groups: &[usize]) -> Option<usize> {
    let join = *text.get(groups[0])?;
    if !matches!(join, b' ' | b'-' | b'.') {
        return None;
    }
    let mut length = 0;
    for (index, group) in groups.iter().enumerate() {
        if index > 0 {
            length += usize::from(text.get(length) == Some(&join));
        }
        let digits = text.get(length..length + group)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        length += group;
    }
    let joins = groups.len() - 1;
    let is_grouped = length == groups.iter().sum::<usize>() + joins;
    let goes_on = text.get(length).is_some_and(u8::is_ascii_digit);
    (is_grouped && !goes_on && is_number(&text[..length])).then_some(length)
}

/// Whether the digits in a text, and there are no letters, are those of a card of a known scheme, with
/// a valid check digit.
pub fn is_number(text: &[u8]) -> bool {
    let mut digits = [0; DIGITS_MAX];
    let mut count = 0;
    for byte in text.iter().filter(|byte| byte.is_ascii_digit()) {
        let Some(digit) = digits.get_mut(count) else { return false };
        *digit = byte - b'0';
        count += 1;
    }
    let digits = &digits[..count];
    count >= 13 && is_of_a_scheme(digits) && sum(digits) == 0
}

/// The digit that makes the check of these right, once it stands behind them (ISO/IEC 7812-1 annex B).
pub fn check_digit(digits: &[u8]) -> u8 {
    let doubled = |index: usize| (digits.len() - index) % 2 == 1;
    let sum: u32 = digits.iter().enumerate().map(|(i, digit)| weighted(*digit, doubled(i))).sum();
    u8::try_from((10 - sum % 10) % 10).expect("it is a digit")
}

/// The sum of a whole number, modulo 10: 0 where it is right.
fn sum(digits: &[u8]) -> u32 {
    let doubled = |index: usize| (digits.len() - index).is_multiple_of(2);
    let sum: u32 = digits.iter().enumerate().map(|(i, digit)| weighted(*digit, doubled(i))).sum();
    sum % 10
}

fn weighted(digit: u8, doubled: bool) -> u32 {
    let digit = u32::from(digit);
    match (doubled, digit) {
        (false, digit) => digit,
        (true, digit @ 0..=4) => 2 * digit,
        (true, digit) => 2 * digit - 9,
    }
}

/// Numbers that are right by chance are one in ten, and times in milliseconds would be among them: the
/// first digits and the length leave one in a hundred or less of what is no card.
fn is_of_a_scheme(digits: &[u8]) -> bool {
    let first =
        |count: usize| digits[..count].iter().fold(0, |sum, digit| sum * 10 + u32::from(*digit));
    match (first(1), first(2), digits.len()) {
        // Visa.
        (4, _, 13 | 16 | 19) => true,
        // Mastercard.
        (_, 51..=55, 16) => true,
        // Maestro.
        (_, 50 | 56..=59 | 61 | 63 | 66..=69, 13..=19) => true,
        // Discover, UnionPay, RuPay.
        (_, 60 | 62 | 64 | 65, 16..=19) => true,
        // American Express.
        (_, 34 | 37, 15) => true,
        // JCB.
        (_, 35, 16..=19) => true,
        // Diners Club.
        (_, 36 | 38 | 39, 14..=19) => true,
        (_, 30, 14..=19) => matches!(first(3), 300..=305 | 309),
        // Mastercard and Mir.
        (2, _, 16..=19) => {
            matches!(first(4), 2221..=2720) && digits.len() == 16 || matches!(first(4), 2200..=2204)
        }
        // Troy.
        (_, 97, 16) => first(4) == 9792,
        _ => false,
    }
}
