//! Texts that differ and look alike: in what they differ, and the characters that cannot be seen.
//!
//! Read character by character, without a copy: a text may be as long as a body.

use icu_normalizer::DecomposingNormalizerBorrowed;
use icu_normalizer::properties::CanonicalCombiningClassMapBorrowed;

/// Said of texts that are the same after canonical decomposition (Unicode Standard Annex 15).
pub(super) const UNICODE_FORM: &str = "unicode form";
/// Nothing but the case of letters.
pub(super) const LETTER_CASE: &str = "letter case";
/// Said where more than one folding makes them the same.
pub(super) const SEVERAL: &str =
    "several of unicode form, white space, invisible characters and letter case";
/// Longest run of combining marks that is decomposed: they are put in order, which needs memory for
/// all of them. In text they are few (the same annex, section 13).
const MARKS_MAX: usize = 30;

/// The characters that bytes stand for. Each byte that is part of none gives U+FFFD.
#[derive(Clone, Debug)]
pub(super) struct Chars<I> {
    bytes: I,
    /// Read and not given yet, at the beginning.
    ahead: [u8; 4],
    length: usize,
}

impl<I: Iterator<Item = u8>> Chars<I> {
    pub(super) fn new(bytes: I) -> Self {
        Self { bytes, ahead: [0; 4], length: 0 }
    }

    fn give(&mut self, bytes: usize) {
        self.ahead.copy_within(bytes.., 0);
        self.length -= bytes;
    }
}

impl<I: Iterator<Item = u8>> Iterator for Chars<I> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        if self.length == 0 {
            // Most texts are of one byte a character.
            match self.bytes.next()? {
                byte @ 0..0x80 => return Some(byte.into()),
                byte => (self.ahead[0], self.length) = (byte, 1),
            }
        }
        loop {
            let (whole, rest) = match std::str::from_utf8(&self.ahead[..self.length]) {
                Ok(text) => (text.chars().next(), None),
                Err(error) => {
                    let valid = &self.ahead[..error.valid_up_to()];
                    let text = std::str::from_utf8(valid).unwrap_or_default();
                    (text.chars().next(), error.error_len())
                }
            };
            if let Some(c) = whole {
                self.give(c.len_utf8());
                return Some(c);
            }
            // Too short for a character, so far.
            if rest.is_none() {
                if let Some(byte) = self.bytes.next() {
                    self.ahead[self.length] = byte;
                    self.length += 1;
                    continue;
                }
                if self.length == 0 {
                    return None;
                }
            }
            self.give(1);
            return Some(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// In what two texts differ, where that is something that is hard to see or seldom matters; `None`
/// where they differ in more.
pub(super) fn in_what<I: Iterator<Item = char> + Clone>(
    ours: I,
    theirs: I,
) -> Option<&'static str> {
    if ours.clone().eq(theirs.clone()) {
        return Some("bytes that are no characters");
    }
    let seen = |text: I| text.filter(|c| !is_invisible(*c) || c.is_whitespace());
    let dense = |text: I| text.filter(|c| !c.is_whitespace());
    let lower = |text: I| text.flat_map(char::to_lowercase);
    if dense(ours.clone()).eq(dense(theirs.clone())) {
        return Some("white space");
    }
    if seen(ours.clone()).eq(seen(theirs.clone())) {
        return Some("invisible characters");
    }
    if lower(ours.clone()).eq(lower(theirs.clone())) {
        return Some(LETTER_CASE);
    }
    if [&ours, &theirs].into_iter().any(|text| has_many_marks(text.clone())) {
        return None;
    }
    if decomposed(ours.clone()).eq(decomposed(theirs.clone())) {
        return Some(UNICODE_FORM);
    }
    let bare = |text: I| {
        let shown = text.filter(|c| !is_invisible(*c) && !c.is_whitespace());
        decomposed(shown.flat_map(char::to_lowercase))
    };
    bare(ours).eq(bare(theirs)).then_some(SEVERAL)
}

fn decomposed(text: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    DecomposingNormalizerBorrowed::new_nfd().normalize_iter(text)
}

/// What cannot be seen is left out between marks, so that it ends no run of them.
fn has_many_marks(text: impl Iterator<Item = char>) -> bool {
    let classes = CanonicalCombiningClassMapBorrowed::new();
    let mut run = 0;
    text.filter(|c| !is_invisible(*c) && !c.is_whitespace()).any(|c| {
        run = if classes.get_u8(c) == 0 { 0 } else { run + 1 };
        run > MARKS_MAX
    })
}

/// Whether one of two characters may look like the other and be of another script: only one of them
/// is ASCII, or an ASCII letter with an accent.
pub(super) fn may_pass_for(c: char, other: char) -> bool {
    let base = |c| decomposed(std::iter::once(c)).next().unwrap_or(c);
    base(c).is_ascii() != base(other).is_ascii()
}

/// Whether nobody sees it, or takes it for an ordinary space: controls, marks of order and
/// direction, selectors of variants, other spaces (Unicode Standard, `Default_Ignorable_Code_Point`
/// and `White_Space`).
pub(super) fn is_invisible(c: char) -> bool {
    c != ' ' && c.is_whitespace()
        || c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_those_of_the_bytes_and_what_is_none_is_replaced() {
        let read = |bytes: &[u8]| Chars::new(bytes.iter().copied()).collect::<String>();
        for text in ["", "a", "aé€😀", "\u{301}\u{0}"] {
            assert_eq!(read(text.as_bytes()), text);
        }
        for (bytes, count) in [
            (&b"\xff"[..], 1),
            (b"\xc3", 1),
            (b"\xe2\x82", 2),
            (b"\xe2\x82\xe2\x82\xac", 2),
            (b"\xed\xa0\xbd", 3),
            (b"\xf0\x9f\x98a", 3),
        ] {
            let text = read(bytes);
            let replaced = text.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER).count();
            assert_eq!(replaced, count, "{bytes:?} {text}");
        }
        assert!(read(b"\xe2\x82\xe2\x82\xac").ends_with('€'));
    }
}
