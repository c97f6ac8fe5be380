//! Identities: the ids, sessions and tokens that a candidate gives out in place of the baseline's.
//!
//! The baseline answers a created order with 17, the candidate with 42, and every later request for order
//! 17 would fail on the candidate. So what both gave at the same place of their answers is kept as a pair,
//! and in later copies the baseline's value is replaced by the candidate's.
//!
//! What is kept is a hash of the baseline's value, and the candidate's in clear, since it has to be sent.
//! Where both gave the same there is nothing to keep: a value that is not known goes out as it is.

use std::fmt;

use siphasher::sip128::{Hasher128, SipHasher24};

pub mod answers;
pub mod copies;
mod flights;
mod learn;
mod map;
mod place;
mod seen;
mod spans;
mod template;

pub use flights::{Flight, Flights, Reached};
pub use learn::{Learned, Lesson};
pub use map::{Entry, Found, Limits, Map};
pub use place::{InAnswer, InRequest, Pattern};
pub use template::Template;

/// Longest value, in bytes: that of the longest cookie that browsers keep.
pub const VALUE_MAX: usize = 4096;

/// An identity, as the settings have it.
#[derive(Debug)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// Where values are in answers, to be learned.
    pub learn: Vec<InAnswer>,
    /// Where else they are in answers, which are compared with these replaced.
    pub equal: Vec<InAnswer>,
    /// Where they are in requests.
    pub replace: Vec<InRequest>,
}

/// A value: bytes, since headers and paths may hold any.
pub type Value = Box<[u8]>;

/// Under what a value is kept: a hash of it and of whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(u128);

/// Whose values they are: of one client's key, or everybody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(u64);

/// What hashes are keyed with, so that what is shown of values cannot be found out by trying.
#[derive(Clone, Copy)]
pub struct Secret(u64, u64);

impl Secret {
    /// Of dice.
    pub fn new(dice: [u64; 2]) -> Self {
        Self(dice[0], dice[1])
    }

    /// Whose values these are; `None` for everybody's, and for clients that have no key.
    pub fn scope(self, client: Option<&[u8]>) -> Scope {
        let kind: &[u8] = if client.is_some() { b"client" } else { b"all" };
        // The lower half of a hash is one.
        #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
        let lower = self.hash(kind, client.unwrap_or_default()) as u64;
        Scope(lower)
    }

    /// Under what the baseline's value is kept.
    pub fn key(self, scope: Scope, value: &[u8]) -> Key {
        Key(self.hash(&scope.0.to_le_bytes(), value))
    }

    /// What is shown of a value: the same for the same one.
    pub fn shown(self, value: &[u8]) -> String {
        format!("{:016x}", self.hash(b"shown", value) >> 64)
    }

    fn hash(self, before: &[u8], value: &[u8]) -> u128 {
        let mut hasher = SipHasher24::new_with_keys(self.0, self.1);
        // Its length tells where it ends.
        std::hash::Hasher::write(&mut hasher, &before.len().to_le_bytes());
        std::hash::Hasher::write(&mut hasher, before);
        std::hash::Hasher::write(&mut hasher, value);
        hasher.finish128().as_u128()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
