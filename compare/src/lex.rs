//! The tokens of JSON (RFC 8259), for both walks: what is a string or a number is said once, so
//! that they cannot disagree. Each function is given where a token starts and tells where it
//! ends; `None` when it is none. The text need not be UTF-8, which nothing here depends on.

/// In each byte of a word, its lowest bit.
const LOW: u64 = 0x0101_0101_0101_0101;
/// In each byte of a word, its highest bit.
const HIGH: u64 = LOW << 7;
const WORD: usize = size_of::<u64>();
/// As many bytes as compilers test at once for most processors.
const BLOCK: usize = 32;

/// Whether a whole text is UTF-8. The standard library is asked only about what is not ASCII: it
/// goes byte by byte for a while after each such character.
pub(super) fn is_utf8(text: &[u8]) -> bool {
    if text.is_ascii() {
        return true;
    }
    let mut rest = text;
    while let Some(from) = first_not_ascii(rest) {
        rest = &rest[from..];
        let (run, behind) = rest.split_at(rest.iter().position(u8::is_ascii).unwrap_or(rest.len()));
        if std::str::from_utf8(run).is_err() {
            return false;
        }
        rest = behind;
    }
    true
}

fn first_not_ascii(text: &[u8]) -> Option<usize> {
    let (words, rest) = text.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let high = u64::from_le_bytes(*word) & HIGH;
        if high != 0 {
            return Some(index * WORD + high.trailing_zeros() as usize / 8);
        }
    }
    let found = rest.iter().position(|byte| !byte.is_ascii())?;
    Some(words.len() * WORD + found)
}

/// Where a string ends, and whether anything in it is escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quoted {
    /// Behind the closing quote.
    pub(super) end: usize,
    pub(super) escaped: bool,
}

/// The string whose opening quote is at `from`.
#[inline]
pub(super) fn string(text: &[u8], from: usize) -> Option<Quoted> {
    let at = plain(text, from + 1)?;
    if text[at] == b'"' { Some(Quoted { end: at + 1, escaped: false }) } else { escaped(text, at) }
}

/// The string that stops at `at`, but not for its end.
fn escaped(text: &[u8], mut at: usize) -> Option<Quoted> {
    loop {
        match text[at] {
            b'"' => return Some(Quoted { end: at + 1, escaped: true }),
            b'\\' => at = plain(text, escape(text, at)?)?,
            _ => return None,
        }
    }
}

/// The next quote, backslash or control character.
#[inline]
fn plain(text: &[u8], at: usize) -> Option<usize> {
    // Most strings end within two words, and only the long ones are worth the start of a block.
    match in_words(text, at, 2) {
        Ok(found) => Some(found),
        Err(at) => long(text, at),
    }
}

fn long(text: &[u8], at: usize) -> Option<usize> {
    let free = |block: &&[u8; BLOCK]| !block.iter().fold(false, |any, byte| any | is_stop(*byte));
    let blocks = text.get(at..)?.as_chunks().0.iter().take_while(free).count();
    match in_words(text, at + BLOCK * blocks, usize::MAX) {
        Ok(found) => Some(found),
        Err(at) => text[at..].iter().position(|byte| is_stop(*byte)).map(|more| at + more),
    }
}

/// What stops a string within so many words, or where there are no more words.
#[inline]
fn in_words(text: &[u8], mut at: usize, most: usize) -> Result<usize, usize> {
    for word in text.get(at..).unwrap_or_default().as_chunks().0.iter().take(most) {
        let stops = stops(u64::from_le_bytes(*word));
        if stops != 0 {
            return Ok(at + stops.trailing_zeros() as usize / 8);
        }
        at += WORD;
    }
    Err(at)
}

/// Without short circuits, which would keep a block from being tested at once.
fn is_stop(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

/// Of a word in the order of the text, the high bit of the first byte that stops a string; bits
/// above that one mean nothing, since a subtraction may borrow from the bytes above.
fn stops(word: u64) -> u64 {
    let below = |word: u64, bound: u64| word.wrapping_sub(bound * LOW) & !word;
    let is = |byte: u8| below(word ^ (u64::from(byte) * LOW), 1);
    (is(b'"') | is(b'\\') | below(word, 0x20)) & HIGH
}

fn escape(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 2),
        b'u' => {
            let digits = text.get(at + 2..at + 6)?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(at + 6)
        }
        _ => None,
    }
}

/// The number that starts at `at`.
#[inline]
pub(super) fn number(text: &[u8], at: usize) -> Option<usize> {
    let byte = |at: usize| text.get(at).copied();
    let mut at = at + usize::from(byte(at) == Some(b'-'));
    at = if byte(at) == Some(b'0') { at + 1 } else { digits(text, at)? };
    if byte(at) == Some(b'.') {
        at = digits(text, at + 1)?;
    }
    if let Some(b'e' | b'E') = byte(at) {
        let sign = matches!(byte(at + 1), Some(b'+' | b'-'));
        at = digits(text, at + 1 + usize::from(sign))?;
    }
    Some(at)
}

#[inline]
fn digits(text: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while text.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    (at > from).then_some(at)
}

/// One of the three words.
#[inline]
pub(super) fn literal(text: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    text[at..].starts_with(word).then_some(at + word.len())
}

/// The first byte that is no white space, or the end of the text.
#[inline]
pub(super) fn space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = text.get(at) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf8_is_what_the_standard_library_says() {
        let good = ["é", "€", "😀", "a", "\u{80}", "\u{10ffff}"].map(str::as_bytes);
        let bad: [&[u8]; 7] = [
            b"\x80",
            b"\xc3",
            b"\xe2\x82",
            b"\xff",
            b"\xc0\x80",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
        ];
        for piece in good.into_iter().chain(bad) {
            for (before, behind) in (0..40).flat_map(|n| [(n, 0), (n, 1), (n, 20)]) {
                let (before, behind) = (vec![b'x'; before], vec![b'x'; behind]);
                let text = [&before[..], piece, "é".as_bytes(), &behind, piece, &behind].concat();
                assert_eq!(is_utf8(&text), std::str::from_utf8(&text).is_ok(), "{text:?}");
            }
        }
    }

    fn is_number(text: &str) -> bool {
        number(text.as_bytes(), 0) == Some(text.len())
    }

    #[test]
    fn a_string_ends_at_its_quote_wherever_that_is() {
        for length in 0..100 {
            let plain = "é".repeat(length);
            let text = format!("x\"{plain}\"\\\u{1}");
            let end = 3 + plain.len();
            assert_eq!(string(text.as_bytes(), 1), Some(Quoted { end, escaped: false }));
            let text = format!("x\"{plain}\\\"{plain}\"\\\u{1}");
            let end = 5 + 2 * plain.len();
            assert_eq!(string(text.as_bytes(), 1), Some(Quoted { end, escaped: true }));
            assert_eq!(string(&text.as_bytes()[..end - 1], 1), None);
        }
    }

    /// Every byte, at every place in a word and in a block, beside bytes that subtractions borrow
    /// from.
    #[test]
    fn every_byte_is_told_for_what_it_is() {
        for byte in 0..=u8::MAX {
            for (before, other) in
                (0..60).flat_map(|n| [(n, b'a'), (n, 0x80), (n, b'!'), (n, b'#')])
            {
                let mut text = vec![other; 100];
                text[0] = b'"';
                text[99] = b'"';
                text[1 + before] = byte;
                let end = match byte {
                    b'"' => Some(2 + before),
                    b'\\' | 0..0x20 => None,
                    _ => Some(100),
                };
                assert_eq!(string(&text, 0).map(|quoted| quoted.end), end, "{byte} {before}");
            }
        }
    }

    #[test]
    fn escapes_are_those_of_the_grammar() {
        for good in [r#"\""#, r"\\", r"\/", r"\b", r"\f", r"\n", r"\r", r"\t", r"\u00aF"] {
            let text = format!("\"{good}\"");
            let expected = Quoted { end: text.len(), escaped: true };
            assert_eq!(string(text.as_bytes(), 0), Some(expected), "{good}");
        }
        for bad in [r"\", r"\a", r"\U0000", r"\u", r"\u000", r"\u000g", r"\u+123"] {
            assert_eq!(string(format!("\"{bad}\"").as_bytes(), 0), None, "{bad}");
        }
    }

    #[test]
    fn numbers_are_those_of_the_grammar() {
        for good in ["0", "-0", "10", "0.0", "-1.50", "1e5", "1E+05", "0e-0", "12345678901"] {
            assert!(is_number(good), "{good}");
        }
        for bad in ["", "-", "+1", "01", "1.", ".1", "1e", "1e+", "--1", "1.e1", "0x1", "1.5.2"] {
            assert!(!is_number(bad), "{bad}");
        }
    }
}
