//! The text that a JSON string stands for, read in place: a key or a value may be as long as a
//! body, and a copy of each would be memory that nobody granted.

use std::borrow::Cow;

/// A string between its quotes, known to be well-formed.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    raw: &'a [u8],
    /// Nothing in it is escaped.
    plain: bool,
}

impl<'a> Text<'a> {
    /// One of which is known whether anything in it is escaped.
    #[inline]
    pub fn new(raw: &'a [u8], escaped: bool) -> Self {
        Self { raw, plain: !escaped }
    }

    /// One in which nothing is escaped.
    #[inline]
    pub fn plain(raw: &'a str) -> Self {
        Self::new(raw.as_bytes(), false)
    }

    /// Bytes in which nothing is escaped.
    pub fn of(raw: &'a [u8]) -> Self {
        Self::new(raw, false)
    }

    /// Its bytes, where nothing is escaped.
    #[inline]
    pub fn as_plain(&self) -> Option<&'a [u8]> {
        self.plain.then_some(self.raw)
    }

    /// Its first byte and its length, where nothing is escaped.
    #[inline]
    pub fn outline(&self) -> Option<(u8, usize)> {
        self.raw.first().filter(|_| self.plain).map(|first| (*first, self.raw.len()))
    }

    /// Whether both stand for the same text.
    pub fn equals(&self, other: &Text<'_>) -> bool {
        // Equal spellings are of the same text, whether plain or not.
        let (plain, alike) = (self.plain && other.plain, self.plain == other.plain);
        alike && self.raw == other.raw || !plain && self.bytes().eq(other.bytes())
    }

    /// At most this many bytes are in the copy that [`Self::unescaped`] makes.
    pub fn copied(&self) -> usize {
        if self.plain { 0 } else { self.raw.len() }
    }

    /// Its bytes; a copy where something is escaped.
    #[inline]
    pub fn unescaped(&self) -> Cow<'a, [u8]> {
        if self.plain {
            return Cow::Borrowed(self.raw);
        }
        let mut bytes = Vec::with_capacity(self.copied());
        bytes.extend(self.bytes());
        Cow::Owned(bytes)
    }

    /// Whether it is `name`, case of ASCII letters aside.
    #[inline]
    pub fn is_any_case_of(&self, name: &str) -> bool {
        if self.plain {
            let name = name.as_bytes();
            return self.raw.len() == name.len() && self.raw.eq_ignore_ascii_case(name);
        }
        let lower = |byte: u8| byte.to_ascii_lowercase();
        self.bytes().map(lower).eq(name.bytes().map(lower))
    }

    /// Its bytes, one by one.
    pub fn bytes(&self) -> Unescaped<'a> {
        Unescaped { rest: self.raw, plain: self.plain, pending: [0; 4], from: 4 }
    }
}

/// The bytes of a string without its escapes. A surrogate without its partner is no character; it
/// gives the three bytes that UTF-8 would have for it, so that it equals only itself.
#[derive(Clone, Debug)]
pub struct Unescaped<'a> {
    rest: &'a [u8],
    /// A backslash is one.
    plain: bool,
    /// What is left of the last `\u` escape, at the end of the array.
    pending: [u8; 4],
    from: usize,
}

impl Iterator for Unescaped<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if let Some(byte) = self.pending.get(self.from) {
            self.from += 1;
            return Some(*byte);
        }
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        if *byte != b'\\' || self.plain {
            return Some(*byte);
        }
        let (escape, rest) = self.rest.split_first()?;
        self.rest = rest;
        match escape {
            b'b' => Some(8),
            b'f' => Some(12),
            b'n' => Some(b'\n'),
            b'r' => Some(b'\r'),
            b't' => Some(b'\t'),
            b'u' => {
                let code = self.code_point()?;
                self.hold(code);
                self.next()
            }
            other => Some(*other),
        }
    }
}

impl Unescaped<'_> {
    /// Takes the four digits of a `\u` escape, and its partner's where it is half a pair.
    fn code_point(&mut self) -> Option<u32> {
        let first = hex4(self.rest)?;
        self.rest = &self.rest[4..];
        if (0xD800..0xDC00).contains(&first)
            && let Some(partner) = self.rest.strip_prefix(b"\\u")
            && let Some(second @ 0xDC00..0xE000) = hex4(partner)
        {
            self.rest = &partner[4..];
            return Some(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00));
        }
        Some(first)
    }

    fn hold(&mut self, code: u32) {
        let mut buffer = [0; 4];
        let bytes = if let Some(character) = char::from_u32(code) {
            character.encode_utf8(&mut buffer).as_bytes()
        } else {
            // A lone surrogate, U+D800 to U+DFFF: 16 bits in the pattern of three bytes.
            let [.., high, low] = code.to_be_bytes();
            let middle = (high & 0x0F) << 2 | low >> 6;
            buffer = [0xE0 | high >> 4, 0x80 | middle, 0x80 | low & 0x3F, 0];
            &buffer[..3]
        };
        self.from = 4 - bytes.len();
        self.pending[self.from..].copy_from_slice(bytes);
    }
}

fn hex4(digits: &[u8]) -> Option<u32> {
    let digits = digits.get(..4)?;
    digits.iter().try_fold(0, |sum, digit| Some(sum << 4 | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::Text;

    fn text(raw: &str) -> Text<'_> {
        Text::new(raw.as_bytes(), raw.contains('\\'))
    }

    fn same(a: &str, b: &str) -> bool {
        let (a, b) = (text(a), text(b));
        assert_eq!(a.equals(&b), a.unescaped() == b.unescaped());
        assert!(a.unescaped().len() <= a.copied().max(a.raw.len()));
        a.equals(&b)
    }

    #[test]
    fn every_escape_stands_for_its_character() {
        assert!(same(r#"\"\\\/\b\f\n\r\t"#, r"\u0022\u005c\u002F\u0008\u000C\u000a\u000d\u0009"));
        assert!(same(r"\u00e9\u20ac\ud83d\ude00", "é€😀"));
        assert!(same(r"\u0000", r"\u0000"));
        assert!(!same(r"\n", "n"));
        assert!(!same(r"\u0061b", "a"));
    }

    #[test]
    fn half_a_surrogate_pair_equals_only_itself() {
        assert!(same(r"\ud83dx", r"\uD83Dx"));
        assert!(!same(r"\ud83d", r"\ud83e"));
        assert!(!same(r"\ud83d", r"\ufffd"));
        assert!(!same(r"\ude00\ud83d", "😀"));
        assert!(same(r"\ud83d\ud83d\ude00", r"\ud83d😀"));
    }

    #[test]
    fn a_backslash_in_which_nothing_is_escaped_is_one() {
        let name = Text::plain(r"ba\nck");
        assert!(name.equals(&text(r"ba\\nck")) && text(r"ba\\nck").equals(&name));
        assert!(!name.equals(&text(r"ba\nck")) && !text(r"ba\nck").equals(&name));
        assert!(text(r"BA\\nck").is_any_case_of(r"ba\nck"));
    }

    #[test]
    fn names_are_found_in_any_case_and_spelling() {
        assert!(text("eMail").is_any_case_of("email"));
        assert!(text(r"\u0045mai\u006c").is_any_case_of("email"));
        assert!(!text("emails").is_any_case_of("email"));
        assert!(!text(r"\u0045mai").is_any_case_of("email"));
    }
}
