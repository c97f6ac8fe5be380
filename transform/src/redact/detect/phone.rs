//! Telephone numbers in international form (ITU-T E.123 and E.164).

use std::ops::Range;

/// Digits of a number with that of its country.
const DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// The number that begins with the `+` at this place.
pub(super) fn at(text: &[u8], at: usize) -> Option<Range<usize>> {
    let is_part =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'.' | b'-');
    let goes_on = at.checked_sub(1).is_some_and(|before| is_part(&text[before]));
    // No country has a number that begins with 0, 28, 83 or 89.
    let country = text.get(at + 1..at + 3)?;
    if goes_on
        || !country[0].is_ascii_digit()
        || country[0] == b'0'
        || matches!(country, b"28" | b"83" | b"89")
    {
        return None;
    }
    let (mut end, mut digits, mut joins, mut points) = (at + 1, 0, 0, 0);
    // Where it ends if more digits follow than a number has.
    let mut whole = None;
    while digits <= *DIGITS.end() {
        if text.get(end).is_some_and(u8::is_ascii_digit) {
            (digits, end) = (digits + 1, end + 1);
            continue;
        }
        if DIGITS.contains(&digits) {
            whole = Some(end);
        }
        let Some(join) = join(&text[end..]) else { break };
        joins += 1;
        points += usize::from(text[end] == b'.');
        end += join;
    }
    let goes_on = |end: usize| text.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric());
    // With nothing but one point it is a price.
    let is_price = points == 1 && joins == 1;
    whole.filter(|end| !goes_on(*end) && !is_price).map(|end| at..end)
}

/// How many bytes stand between two groups of digits.
fn join(text: &[u8]) -> Option<usize> {
    let length = text.iter().take(4).take_while(|byte| !byte.is_ascii_digit()).count();
    let is_digit = text.get(length).is_some_and(u8::is_ascii_digit);
    let joins: [&[u8]; 12] =
        [b" ", b"-", b".", b"/", b"(", b")", b" (", b") ", b")-", b"-(", b" / ", b" - "];
    (is_digit && joins.contains(&&text[..length])).then_some(length)
}
