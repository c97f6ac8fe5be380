//! Pure: two replies and rules in, a verdict out.
//!
//! JSON is compared by meaning, everything else by its bytes. What is too large to keep is
//! compared by length and hash. No depth and no size makes this recurse or take quadratic time:
//! what is compared comes from outside.

use std::borrow::Cow;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

mod decode;
mod difference;
mod json;
mod lex;
mod normalize;
mod number;
mod step;
mod text;
mod walk;

pub use difference::{Difference, Differences, Kind, Risk};
pub use normalize::Rules;

use crate::headers::says_grpc;

/// A running hash of a body as sent: XXH3, 128 bits. It tells accidental differences; nobody
/// gains by forging an equal answer to a copy.
#[derive(Clone, Default)]
pub struct Hasher(Xxh3);

impl Hasher {
    /// Over nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all bytes so far.
    pub fn digest128(&self) -> u128 {
        self.0.digest128()
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher")
    }
}

/// The hash of a body that is there as a whole.
pub fn hash(bytes: &[u8]) -> u128 {
    xxh3_128(bytes)
}

/// Why a body was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It is over its cap.
    TooLarge,
    /// The byte budget was spent.
    NoBudget,
}

/// A body as sent, or what is known of it.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// It was not kept.
    Hashed {
        /// In bytes.
        length: u64,
        /// Of all bytes.
        hash: u128,
        /// Why it was not kept.
        cause: Cause,
    },
}

/// One reply.
#[derive(Clone, Debug)]
pub struct Side<'a> {
    /// The status code.
    pub status: u16,
    /// The header of this name.
    pub content_type: Option<&'a [u8]>,
    /// The header lines of this name.
    pub content_encoding: Vec<&'a [u8]>,
    /// The status of a gRPC call, which comes after the body; `None` for anything else.
    pub grpc_status: Option<&'a [u8]>,
    /// The body as sent.
    pub body: Body<'a>,
}

/// Asked before memory grows by so many bytes; what is refused is not taken.
type Grant<'g> = &'g mut dyn FnMut(usize) -> bool;

/// What a comparison may use.
pub struct Limits<'a> {
    /// Largest decoded body, in bytes.
    pub max_decoded: usize,
    /// Asked before memory grows by so many bytes.
    pub grant: &'a mut dyn FnMut(usize) -> bool,
}

impl std::fmt::Debug for Limits<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").field("max_decoded", &self.max_decoded).finish_non_exhaustive()
    }
}

impl Side<'_> {
    fn is_grpc(&self) -> bool {
        self.content_type.is_some_and(says_grpc)
    }
}

/// What came of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Equal after normalisation.
    Matched,
    /// Different.
    Mismatched,
    /// JSON that is too large to normalise, and not equal byte for byte.
    ResponseTooLarge,
    /// Not equal byte for byte, and no memory to look closer.
    BufferFull,
}

/// Why a comparison cannot look into the bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Obstacle {
    TooLarge,
    NoBudget,
}

/// Compares two replies.
pub fn compare(
    ours: &Side<'_>,
    theirs: &Side<'_>,
    rules: &Rules,
    limits: &mut Limits<'_>,
) -> Verdict {
    if ours.status != theirs.status || ours.grpc_status != theirs.grpc_status {
        return Verdict::Mismatched;
    }
    let (Body::Whole(our_bytes), Body::Whole(their_bytes)) = (ours.body, theirs.body) else {
        return by_hash(ours, theirs);
    };
    if same_bytes(ours, theirs) {
        return Verdict::Matched;
    }
    // In a message every byte counts, those that look like white space too.
    if [ours, theirs].into_iter().any(Side::is_grpc) {
        return Verdict::Mismatched;
    }
    match by_content(ours, our_bytes, theirs, their_bytes, rules, limits) {
        Ok(true) => Verdict::Matched,
        Ok(false) => Verdict::Mismatched,
        Err(Obstacle::NoBudget) => Verdict::BufferFull,
        Err(Obstacle::TooLarge) => too_large(ours, theirs),
    }
}

/// Lists what differs in a pair that [`compare`] found to be [`Verdict::Mismatched`].
pub fn differences(ours: &Side<'_>, theirs: &Side<'_>) -> Differences {
    let difference = if ours.status == theirs.status {
        let (place, field) = ("body".to_owned(), "body".to_owned());
        Difference { place, field, kind: Kind::Value, baseline: None, candidate: None }
    } else {
        let (place, field) = ("status".to_owned(), "status".to_owned());
        let [baseline, candidate] = [ours, theirs].map(|side| Some(side.status.to_string()));
        Difference { place, field, kind: Kind::Status, baseline, candidate }
    };
    Differences { found: vec![difference], more: false }
}

/// Whether two replies are equal without a look into their bodies.
pub fn same_bytes(ours: &Side<'_>, theirs: &Side<'_>) -> bool {
    let (Body::Whole(our_bytes), Body::Whole(their_bytes)) = (ours.body, theirs.body) else {
        return false;
    };
    ours.status == theirs.status
        && ours.grpc_status == theirs.grpc_status
        && our_bytes == their_bytes
        && ours.content_encoding == theirs.content_encoding
}

fn by_hash(ours: &Side<'_>, theirs: &Side<'_>) -> Verdict {
    let sum = |body| match body {
        Body::Whole(bytes) => (bytes.len() as u64, hash(bytes), None),
        Body::Hashed { length, hash, cause } => (length, hash, Some(cause)),
    };
    let (our_length, our_hash, our_cause) = sum(ours.body);
    let (their_length, their_hash, their_cause) = sum(theirs.body);
    if (our_length, our_hash) == (their_length, their_hash) {
        Verdict::Matched
    } else if [our_cause, their_cause].contains(&Some(Cause::NoBudget)) {
        Verdict::BufferFull
    } else {
        too_large(ours, theirs)
    }
}

fn too_large(ours: &Side<'_>, theirs: &Side<'_>) -> Verdict {
    if says_json(ours.content_type) || says_json(theirs.content_type) {
        Verdict::ResponseTooLarge
    } else {
        Verdict::Mismatched
    }
}

/// Whether a content type has the subtype `json` or ends in `+json` (RFC 6839 section 3.1).
fn says_json(content_type: Option<&[u8]>) -> bool {
    let Some(value) = content_type else { return false };
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let essence = essence.to_ascii_lowercase();
    essence.ends_with(b"/json") || essence.ends_with(b"+json")
}

fn by_content(
    ours: &Side<'_>,
    our_bytes: &[u8],
    theirs: &Side<'_>,
    their_bytes: &[u8],
    rules: &Rules,
    limits: &mut Limits<'_>,
) -> Result<bool, Obstacle> {
    let our_bytes = plain(&ours.content_encoding, our_bytes, limits)?;
    let their_bytes = plain(&theirs.content_encoding, their_bytes, limits)?;
    if our_bytes.trim_ascii() == their_bytes.trim_ascii() {
        return Ok(true);
    }
    if let Some(equal) = step::equal(&our_bytes, &their_bytes, rules) {
        return Ok(equal);
    }
    // Where one is no JSON and the other is, their bytes differ, and that is a difference.
    let Some(our_json) = json::parse(&our_bytes, limits.grant)? else { return Ok(false) };
    let Some(their_json) = json::parse(&their_bytes, limits.grant)? else { return Ok(false) };
    walk::equal(&our_json, &their_json, rules, limits.grant)
}

/// The body without its content encodings; as sent, when they cannot be undone.
fn plain<'a>(
    encodings: &[&[u8]],
    bytes: &'a [u8],
    limits: &mut Limits<'_>,
) -> Result<Cow<'a, [u8]>, Obstacle> {
    match decode::decode(encodings, bytes, limits) {
        Ok(plain) => Ok(plain),
        Err(decode::Error::Unreadable) => Ok(Cow::Borrowed(bytes)),
        Err(decode::Error::TooLarge) => Err(Obstacle::TooLarge),
        Err(decode::Error::NoBudget) => Err(Obstacle::NoBudget),
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
