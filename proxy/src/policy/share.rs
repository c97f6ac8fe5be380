//! How large a share of requests is mirrored, and what decides which: dice, or a hash of a key that
//! a client keeps, so that whole sessions are mirrored or not.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use http::HeaderName;
use siphasher::{sip, sip128};

use super::matcher::Seen;

/// One million.
pub const WHOLE: u32 = 1_000_000;

/// A share of requests, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// Everything.
    pub const ALL: Self = Self(WHOLE);
    /// The smallest that is not nothing.
    pub const LEAST: Self = Self(1);
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// Reads a number from 0 to 1, no finer than a millionth: `0`, `1`, `0.25`, `1e-6`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let number: f64 = text.trim().parse().map_err(|_| "is no number".to_owned())?;
        // Not-a-number is in no range.
        if !(0.0..=1.0).contains(&number) {
            return Err("is not from 0 to 1".to_owned());
        }
        let share = Self::of(number);
        // Both are the nearest number to what they stand for, so that no rounding comes between them.
        #[expect(clippy::float_cmp, reason = "the same decimal is the same number")]
        let is_exact = share.fraction() == number;
        if is_exact { Ok(share) } else { Err("is finer than one in a million".to_owned()) }
    }

    /// The nearest one; what is not 0 or 1 stays so.
    pub fn of(fraction: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and a million"
        )]
        let parts = (fraction.clamp(0.0, 1.0) * f64::from(WHOLE)).round() as u32;
        if fraction <= 0.0 {
            Self::NONE
        } else if fraction >= 1.0 {
            Self::ALL
        } else {
            Self(parts.clamp(1, WHOLE - 1))
        }
    }

    /// As a number from 0 to 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(WHOLE)
    }

    /// A part of it, such as on probation.
    #[must_use]
    pub fn times(self, part: f64) -> Self {
        if part >= 1.0 { self } else { Self::of(self.fraction() * part) }
    }

    /// Whether a request at this position, from 0 to below a million, is in. A larger share takes in
    /// all that a smaller one does.
    pub fn takes(self, position: u32) -> bool {
        position < self.0
    }
}

impl fmt::Display for Share {
    /// Without an exponent: `0.000001`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fraction())
    }
}

/// The key that decides in place of dice. Of several values the first is the key; a value that is
/// empty is none, since all who have it would be in or out together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SampleBy {
    /// The value of a header.
    Header(HeaderName),
    /// The value of a cookie.
    Cookie(String),
    /// The value of a query parameter.
    Query(String),
    /// The client's address; with IPv6 its network of 64 bits, in which one machine changes its address
    /// as it likes (RFC 8981).
    Client,
}

impl SampleBy {
    /// Reads `header:x-user`, `cookie:sid`, `query:tenant` or `client`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let Some((kind, name)) = text.split_once(':') else {
            let nameless =
                format!("{text:?} is none of header:NAME, cookie:NAME, query:NAME, client");
            return if text == "client" { Ok(Self::Client) } else { Err(nameless) };
        };
        // What else is read as the end of a name would never be found.
        let is_cookie = |c: char| !c.is_whitespace() && !c.is_control() && !";=".contains(c);
        match kind {
            _ if name.is_empty() => Err("has no name behind the colon".to_owned()),
            "header" => {
                let name = name.parse().map_err(|_| format!("{name:?} is no header name"))?;
                Ok(Self::Header(name))
            }
            "cookie" if name.chars().all(is_cookie) => Ok(Self::Cookie(name.to_owned())),
            "cookie" => Err(format!("{name:?} is no name of a cookie")),
            "query" => Ok(Self::Query(name.to_owned())),
            _ => Err(format!("{kind:?} is none of header, cookie and query")),
        }
    }

    /// The same, or `off` for nobody's.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_or_off(text: &str) -> Result<Option<Self>, String> {
        if text.trim() == "off" { Ok(None) } else { Self::parse(text).map(Some) }
    }

    /// The key of a request; `None` where it has none.
    pub fn key<'r>(&self, request: &Seen<'r>) -> Option<Cow<'r, [u8]>> {
        let key = match self {
            Self::Header(name) => request.header(name).map(Cow::Borrowed),
            Self::Cookie(name) => request.cookie(name).map(Cow::Borrowed),
            Self::Query(name) => request.query(name).map(Cow::Owned),
            Self::Client => Some(Cow::Owned(match request.client.to_canonical() {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets()[..8].to_vec(),
            })),
        };
        key.filter(|key| !key.is_empty())
    }
}

impl fmt::Display for SampleBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Client => f.write_str("client"),
        }
    }
}

/// What the hash of keys is keyed with, so that no client can work out which keys are in. The default
/// one is no secret.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Secret(u64, u64);

impl Secret {
    /// That of a text, the same in every process and version. As hard to guess as the text is.
    pub fn of(text: &str) -> Self {
        let (first, second) = sip128::SipHasher24::new().hash(text.as_bytes()).as_u64();
        Self(first, second)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Where a key stands among a million; the same on every replica with this secret, whatever its
/// version and processor.
///
/// The hash is SipHash-2-4 (Aumasson and Bernstein 2012), which is made for this: who knows the places
/// of any keys knows nothing of that of another. XXH3 makes no such promise. With a seed it is a fixed
/// permutation of a few bytes and the seed, which can be undone, and the standard library's hasher may
/// change with any release.
pub fn position(key: &[u8], secret: Secret) -> u32 {
    let Secret(first, second) = secret;
    let hash = sip::SipHasher24::new_with_keys(first, second).hash(key);
    // 2^64 is no multiple of a million: some places are likelier by one in 10^13.
    u32::try_from(hash % u64::from(WHOLE)).expect("below a million")
}

#[cfg(test)]
mod tests;
