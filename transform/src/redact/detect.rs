//! What looks personal or secret in a text: found in one pass, in linear time and without memory.
//!
//! Each kind has one byte or one beginning that gives it away, and all other bytes are passed over by a
//! table. From there a few bytes are looked at in both directions, never again those of a hit before.

use std::ops::Range;

pub mod card;
pub mod iban;
mod ip;
mod phone;
mod word;

/// What a part of a text looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A card number: 13 to 19 digits of a known scheme, with a valid check digit.
    Card,
    /// An IBAN of a known country, with valid check digits.
    Iban,
    /// An e-mail address.
    Email,
    /// A token of three or more parts, of which the first begins as JSON does (RFC 7519).
    Jwt,
    /// What follows `Bearer`.
    Bearer,
    /// An IPv4 or IPv6 address that may be somebody's.
    Ip,
    /// A telephone number with `+` and the number of its country.
    Phone,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 7] =
        [Self::Card, Self::Iban, Self::Email, Self::Jwt, Self::Bearer, Self::Ip, Self::Phone];

    /// The word for it in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Iban => "iban",
            Self::Email => "email",
            Self::Jwt => "jwt",
            Self::Bearer => "bearer",
            Self::Ip => "ip",
            Self::Phone => "phone",
        }
    }
}

/// Which kinds are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Kinds(u8);

impl Kinds {
    /// None at all.
    pub const NONE: Self = Self(0);
    /// Each of them.
    pub const ALL: Self = Self(0b111_1111);

    /// These and one more.
    #[must_use]
    pub fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    /// Whether this one is looked for.
    pub fn has(self, kind: Kind) -> bool {
        self.0 >> (kind as u8) & 1 == 1
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, Self::with)
    }
}

/// A part of a text that looks like something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// What it looks like.
    pub kind: Kind,
    /// Its bytes; in text that is UTF-8 whole characters.
    pub range: Range<usize>,
}

/// What gives a kind away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    None,
    Digit,
    At,
    /// Of `%40`, which is an `@` in a target.
    Percent,
    Plus,
    Colon,
    /// The `e` of `eyJ`, which is `{"` in base64.
    Jwt,
    /// The letter that `Bearer` begins with.
    Bearer,
}

const SIGNS: [Sign; 256] = {
    let mut signs = [Sign::None; 256];
    let mut digit = b'0';
    while digit <= b'9' {
        signs[digit as usize] = Sign::Digit;
        digit += 1;
    }
    signs[b'@' as usize] = Sign::At;
    signs[b'%' as usize] = Sign::Percent;
    signs[b'+' as usize] = Sign::Plus;
    signs[b':' as usize] = Sign::Colon;
    signs[b'e' as usize] = Sign::Jwt;
    signs[b'b' as usize] = Sign::Bearer;
    signs[b'B' as usize] = Sign::Bearer;
    signs
};

/// What of these kinds is in a text, from left to right; no two overlap.
pub fn hits(text: &[u8], kinds: Kinds) -> Hits<'_> {
    Hits { text, kinds, at: 0, free: 0, sign: 0 }
}

/// The parts of a text that look like something.
#[derive(Clone, Debug)]
pub struct Hits<'t> {
    text: &'t [u8],
    kinds: Kinds,
    /// The next byte to look at.
    at: usize,
    /// Behind the last hit.
    free: usize,
    /// Behind the last `@`.
    sign: usize,
}

impl Iterator for Hits<'_> {
    type Item = Hit;

    fn next(&mut self) -> Option<Hit> {
        if self.kinds.is_empty() {
            return None;
        }
        loop {
            let rest = &self.text[self.at.min(self.text.len())..];
            self.at += rest.iter().position(|byte| SIGNS[usize::from(*byte)] != Sign::None)?;
            let (found, end) = self.look();
            self.at = end;
            if let Some(hit) = found {
                (self.at, self.free) = (hit.range.end, hit.range.end);
                return Some(hit);
            }
        }
    }
}

impl Hits<'_> {
    /// What the byte at hand gave away, and where to look further: first by the bytes beside it, since most signs give
    /// nothing away. Who is not looked for costs nothing: what is looked at and found to be something is not
    /// looked at again, and that keeps the time linear.
    #[inline]
    fn look(&mut self) -> (Option<Hit>, usize) {
        let (text, at) = (self.text, self.at);
        let next = text.get(at + 1).copied().unwrap_or_default();
        match SIGNS[usize::from(text[at])] {
            Sign::Digit => self.digits(),
            Sign::Colon if next == b':' || self.is_behind_group() => {
                self.run(Kind::Ip, ip::v6(text, at, self.free))
            }
            Sign::Jwt if next == b'y' => self.run(Kind::Jwt, word::jwt(text, at)),
            Sign::Bearer if next | 0x20 == b'e' => self.one(Kind::Bearer, word::bearer),
            Sign::At => self.email(at..at + 1),
            Sign::Percent if text[at + 1..].starts_with(b"40") => self.email(at..at + 3),
            Sign::Plus if next.is_ascii_digit() => self.one(Kind::Phone, phone::at),
            _ => (None, at + 1),
        }
    }

    /// Whether the colon at hand may be behind a group of an address.
    fn is_behind_group(&self) -> bool {
        let before = self.text[self.free..self.at].last();
        before.is_some_and(|byte| byte.is_ascii_hexdigit() || *byte == b':')
    }

    fn one(
        &self,
        kind: Kind,
        look: fn(&[u8], usize) -> Option<Range<usize>>,
    ) -> (Option<Hit>, usize) {
        let range = self.kinds.has(kind).then(|| look(self.text, self.at)).flatten();
        (range.map(|range| Hit { kind, range }), self.at + 1)
    }

    /// Around an `@`; nothing before the last one is looked at again.
    fn email(&mut self, sign: Range<usize>) -> (Option<Hit>, usize) {
        let (free, end) = (self.free.max(self.sign), sign.end);
        self.sign = end;
        let found = self.kinds.has(Kind::Email).then(|| word::email(self.text, sign, free));
        (found.flatten().map(|range| Hit { kind: Kind::Email, range }), end)
    }

    fn run(&self, kind: Kind, (range, end): (Option<Range<usize>>, usize)) -> (Option<Hit>, usize) {
        let range = range.filter(|_| self.kinds.has(kind));
        (range.map(|range| Hit { kind, range }), end)
    }

    /// A run of digits begins at hand.
    fn digits(&self) -> (Option<Hit>, usize) {
        let (text, at) = (self.text, self.at);
        let length = text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let end = at + length;
        let (kind, range) = match length {
            // Of a number that letters join, they may be a country.
            2.. if !begins(text, at) => (Kind::Iban, iban::behind(text, at)),
            4 | 13.. => (Kind::Card, card::at(text, at)),
            ..4 if text.get(end) == Some(&b'.') => (Kind::Ip, ip::v4(text, at)),
            _ => return (None, end),
        };
        let range = range.filter(|range| self.kinds.has(kind) && range.start >= self.free);
        (range.map(|range| Hit { kind, range }), end)
    }
}

/// Whether a word ends before this place.
fn begins(text: &[u8], at: usize) -> bool {
    at.checked_sub(1).is_none_or(|before| !text[before].is_ascii_alphanumeric())
}

/// Whether no word and no fraction goes on at this place.
fn ends(text: &[u8], at: usize) -> bool {
    match text.get(at) {
        None => true,
        Some(b'.') => !text.get(at + 1).is_some_and(u8::is_ascii_digit),
        Some(byte) => !byte.is_ascii_alphanumeric(),
    }
}

/// Whether a digit and a point stand before this place, so that a fraction or more of a version begins there.
fn is_fraction(text: &[u8], at: usize) -> bool {
    at >= 2 && text[at - 1] == b'.' && text[at - 2].is_ascii_digit()
}

#[cfg(test)]
mod tests;
