//! E-mail addresses and tokens.

use std::ops::Range;

/// Endings of files, as in `logo@2x.png`, which nobody's mail is at.
const FILES: [&[u8]; 8] = [b"png", b"jpg", b"jpeg", b"gif", b"webp", b"svg", b"avif", b"ico"];
/// Fewer characters are a word of a sentence.
const TOKEN_MIN: usize = 8;
/// So many are a token without a digit, too.
const TOKEN_SURE: usize = 20;

/// The address around this `@`, no part of which is before `free`.
pub(super) fn email(text: &[u8], sign: Range<usize>, free: usize) -> Option<Range<usize>> {
    let at = sign.start;
    let is_local = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || *byte >= 0x80
            || matches!(
                byte,
                b'.' | b'_' | b'%' | b'+' | b'-' | b'\'' | b'!' | b'#' | b'$' | b'*' | b'~' | b'^'
            )
    };
    let local = text[free..at].iter().rev().take_while(|byte| is_local(byte));
    let start = at - local.count();
    // What an address cannot begin with quotes it, or is before it.
    let skipped = text[start..at].iter().take_while(|byte| is_no_beginning(**byte)).count();
    let start = start + skipped;
    if start == at {
        return None;
    }
    let is_domain =
        |byte: &&u8| byte.is_ascii_alphanumeric() || **byte >= 0x80 || matches!(byte, b'.' | b'-');
    let domain = &text[sign.end..];
    let domain = &domain[..domain.iter().take_while(is_domain).count()];
    let length = domain_of(domain)?;
    Some(start..sign.end + length)
}

/// How much of a text is a domain under a top domain: what follows it may be joined to it by a hyphen, or another
/// sentence.
fn domain_of(text: &[u8]) -> Option<usize> {
    let mut end = text.len();
    // No label before the first one that is empty has any other behind it.
    let whole = text.windows(2).position(|pair| pair == b"..").unwrap_or(end);
    while let Some(point) = text[..end].iter().rposition(|byte| *byte == b'.') {
        let label = &text[point + 1..end];
        let is_letter = |byte: &&u8| byte.is_ascii_alphabetic() || **byte >= 0x80;
        let letters = label.iter().take_while(is_letter).count();
        let is_coded = label.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case(b"xn--"));
        let top = if is_coded { label.len() } else { letters };
        let is_file = FILES.iter().any(|file| label[..top].eq_ignore_ascii_case(file));
        if point > 0 && point < whole && top >= 2 && !is_file {
            return Some(point + 1 + top);
        }
        end = point;
    }
    None
}

fn is_no_beginning(byte: u8) -> bool {
    matches!(byte, b'.' | b'%' | b'+' | b'-' | b'\'' | b'*' | b'~' | b'^' | b'!' | b'#' | b'$')
}

/// Whether a byte may stand in base64url.
fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// The token that begins with the `e` at this place, and the end of what was looked at.
pub(super) fn jwt(text: &[u8], at: usize) -> (Option<Range<usize>>, usize) {
    let goes_on = at.checked_sub(1).is_some_and(|before| is_base64url(text[before]));
    if goes_on || !text[at..].starts_with(b"eyJ") {
        return (None, at + 1);
    }
    let is_part = |byte: &&u8| is_base64url(**byte) || **byte == b'.';
    let token = &text[at..at + text[at..].iter().take_while(is_part).count()];
    let mut parts = token.split(|byte| *byte == b'.');
    let head = parts.next().map_or(0, <[u8]>::len);
    let second = parts.next().map_or(0, <[u8]>::len);
    // Of one that was cut its claims may be all that is left.
    let is_token = head >= TOKEN_MIN && (parts.next().is_some() || second >= TOKEN_MIN);
    let end = at + token.len();
    // The full stop of a sentence is part of a token that has no signature, and stays with it.
    (is_token.then_some(at..end), end)
}

/// The token behind the `Bearer` that begins at this place.
pub(super) fn bearer(text: &[u8], at: usize) -> Option<Range<usize>> {
    let word = text.get(at..at + 6)?;
    if !word.eq_ignore_ascii_case(b"bearer") || !super::begins(text, at) {
        return None;
    }
    let behind = &text[at + 6..];
    let join = behind.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b':' | b'=')).count();
    let is_token = |byte: &&u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
    };
    let token = &behind[join..];
    let token = &token[..token.iter().take_while(is_token).count()];
    let is_one = token.len() >= TOKEN_SURE
        || token.len() >= TOKEN_MIN && token.iter().any(u8::is_ascii_digit);
    let start = at + 6 + join;
    (join > 0 && is_one).then_some(start..start + token.len())
}
