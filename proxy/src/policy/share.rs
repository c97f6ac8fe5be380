//! How large a share of requests is mirrored, and what decides which: dice, or a hash of a key that
//! a client keeps, so that whole sessions are mirrored or not.

use std::borrow::Cow;

use http::HeaderName;

use super::matcher::Seen;

/// One million.
pub const WHOLE: u32 = 1_000_000;

/// A share of requests, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// Everything.
    pub const ALL: Self = Self(WHOLE);
    /// Nothing.
    pub const NONE: Self = Self(0);

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

/// The key that decides in place of dice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SampleBy {
    /// The value of a header.
    Header(HeaderName),
    /// The value of a cookie.
    Cookie(String),
    /// The value of a query parameter.
    Query(String),
    /// The client's address.
    Client,
}

impl SampleBy {
    /// The key of a request; `None` where it has none.
    pub fn key<'r>(&self, request: &Seen<'r>) -> Option<Cow<'r, [u8]>> {
        match self {
            Self::Header(name) => request.header(name).map(Cow::Borrowed),
            Self::Cookie(name) => request.cookie(name).map(Cow::Borrowed),
            Self::Query(name) => request.query(name).map(Cow::Owned),
            Self::Client => {
                Some(Cow::Owned(request.client.to_canonical().to_string().into_bytes()))
            }
        }
    }
}

/// Where a key stands among a million; the same on every replica with this secret.
pub fn position(key: &[u8], secret: u64) -> u32 {
    let hash = xxhash_rust::xxh3::xxh3_64_with_seed(key, secret);
    u32::try_from(hash % u64::from(WHOLE)).expect("below a million")
}
