//! Pure: two replies and rules in, a result out.
//!
//! JSON is compared by meaning, everything else by its bytes. What is too large to keep is
//! compared by length and hash. No depth and no size makes this recurse or take quadratic time:
//! what is compared comes from outside.

use std::borrow::Cow;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

mod alike;
mod annotate;
mod bodies;
pub mod decode;
mod detail;
mod difference;
mod digests;
mod explained;
mod form;
mod header;
mod ids;
pub mod json;
mod kept;
mod lenient;
mod lex;
mod members;
mod normalize;
pub mod number;
pub mod path;
mod policy;
mod read;
pub mod redaction;
pub mod reply;
pub mod rules;
mod secrets;
mod show;
mod step;
pub mod text;
mod tolerance;
mod traits;
mod used;
mod walk;

pub use difference::{Change, Difference, Differences, Kind, Risk, Uncompared};
pub use explained::Explained;
pub use form::Form;
pub use header::{Headers, Origin};
pub use kept::{Stand, kept, kept_answer, kept_lines};
pub use policy::{Policy, RouteRules, Rules, Unused};
pub use traits::Traits;

use bodies::{body, one_is_json, two_documents, two_texts, whole_body};
use header::With;

use reply::says_grpc;

/// Whether a key or a header of this name has a secret for its value, in any spelling: credentials, and what
/// passes for them.
pub fn names_secret(name: &str) -> bool {
    secrets::is_named(&text::Text::plain(name))
}

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
    /// The headers that may be compared; `None` for none.
    pub headers: Option<&'a Headers>,
    /// The body as sent.
    pub body: Body<'a>,
}

/// Asked before memory grows by so many bytes; what is refused is not taken.
pub type Grant<'g> = &'g mut dyn FnMut(usize) -> bool;

/// Grants so many bytes in all: for what is bounded by itself and has no part of a budget.
pub fn up_to(bytes: usize) -> impl FnMut(usize) -> bool {
    let mut left = bytes;
    move |wanted| {
        let enough = wanted <= left;
        left = left.saturating_sub(wanted);
        enough
    }
}

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
pub enum Match {
    /// Equal after normalisation.
    Matched,
    /// Different.
    Mismatched,
    /// JSON that is too large to normalise, and not equal byte for byte.
    ResponseTooLarge,
    /// Not equal byte for byte, and no memory to look closer.
    BufferFull,
}

/// Why nobody can look into a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It is over its bound.
    TooLarge,
    /// Memory was not granted.
    NoBudget,
}

/// What came of a comparison, and what differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// What came of it.
    pub result: Match,
    /// What differs: something, if and only if the result is [`Match::Mismatched`].
    pub differences: Differences,
}

impl Looked {
    fn nothing(result: Match) -> Self {
        Self { result, differences: Differences::default() }
    }

    /// Matched if nothing is found, else mismatched.
    fn found(found: Vec<Difference>, more: bool) -> Self {
        let result = if found.is_empty() { Match::Matched } else { Match::Mismatched };
        Self { result, differences: Differences { found, more, ..Differences::default() } }
    }
}

/// Compares two replies.
pub fn compare(
    ours: &Side<'_>,
    theirs: &Side<'_>,
    rules: &Rules,
    limits: &mut Limits<'_>,
) -> Match {
    if let Some(known) = known(ours, theirs, rules) {
        return known.result;
    }
    let quick = by_body(ours, theirs, rules, limits);
    if quick == Quick::Different && !rules.only_keys() {
        return look(ours, theirs, rules, limits).result;
    }
    quick.result(ours, theirs)
}

/// Compares two replies and tells what differs. Where `detail` says so, also equal ones are looked
/// at in detail, to see which rules apply.
pub fn look_closer(
    ours: &Side<'_>,
    theirs: &Side<'_>,
    rules: &Rules,
    detail: bool,
    limits: &mut Limits<'_>,
) -> Looked {
    let mut looked = at_first(ours, theirs, rules, detail, limits);
    if ours.status == theirs.status {
        looked.differences.uncompared = uncompared_headers(ours, theirs, rules);
    }
    looked
}

fn at_first(
    ours: &Side<'_>,
    theirs: &Side<'_>,
    rules: &Rules,
    detail: bool,
    limits: &mut Limits<'_>,
) -> Looked {
    if !detail && known(ours, theirs, rules).is_none() {
        let quick = by_body(ours, theirs, rules, limits);
        if quick != Quick::Different {
            return Looked::nothing(quick.result(ours, theirs));
        }
    }
    look(ours, theirs, rules, limits)
}

/// Which response headers differ that are not compared.
pub fn uncompared_headers(ours: &Side<'_>, theirs: &Side<'_>, rules: &Rules) -> Vec<Uncompared> {
    let same_bodies = match (ours.body, theirs.body) {
        (Body::Whole(a), Body::Whole(b)) => a == b,
        (Body::Hashed { hash: a, .. }, Body::Hashed { hash: b, .. }) => a == b,
        _ => false,
    };
    let both = ours.headers.zip(theirs.headers);
    both.map(|(a, b)| rules.headers.uncompared(a, b, same_bodies)).unwrap_or_default()
}

/// What is known before a look into the bodies. Where the status differs, or a header that is
/// compared, there is no more to the result.
fn known(ours: &Side<'_>, theirs: &Side<'_>, rules: &Rules) -> Option<Looked> {
    if let Some(difference) = by_status(ours, theirs, rules) {
        return Some(Looked::found(vec![difference], false));
    }
    let found: Vec<_> = by_headers(ours, theirs, rules).collect();
    (!found.is_empty()).then(|| Looked::found(found, true))
}

/// Answers of another status are other answers: nothing else is told of them.
fn by_status(ours: &Side<'_>, theirs: &Side<'_>, rules: &Rules) -> Option<Difference> {
    let shown = |place: &str, baseline, candidate| {
        let (place, field) = (place.to_owned(), place.to_owned());
        let candidate: Option<String> = candidate;
        let traits = Traits::known(candidate.as_deref().unwrap_or("none"));
        let kind = Kind::Status;
        Some(Difference { place, field, kind, baseline, candidate, traits, note: None })
    };
    if ours.status != theirs.status {
        let [baseline, candidate] = [ours, theirs].map(|side| Some(side.status.to_string()));
        return shown("status", baseline, candidate);
    }
    if ours.grpc_status != theirs.grpc_status {
        let status = |side: &Side<'_>| {
            let text = side.grpc_status?;
            let hidden = redaction::hidden_bytes(text, rules.hide());
            Some(show::bounded("", hidden.as_deref().unwrap_or(text), ""))
        };
        return shown("header grpc-status", status(ours), status(theirs));
    }
    None
}

fn by_headers<'s>(
    ours: &'s Side<'_>,
    theirs: &'s Side<'_>,
    rules: &'s Rules,
) -> impl Iterator<Item = Difference> + 's {
    let both = ours.headers.zip(theirs.headers);
    both.into_iter().flat_map(|(a, b)| {
        let (seed, hide, copies) = (rules.seed, rules.hide(), rules.of_copies());
        rules.headers.differences(a, b, With { seed, hide, copies, eyes: Some(rules) })
    })
}

/// What the quick walks say of two bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quick {
    Equal,
    /// By the special keys alone.
    Different,
    Obstacle(Obstacle),
}

impl Quick {
    fn result(self, ours: &Side<'_>, theirs: &Side<'_>) -> Match {
        match self {
            Self::Equal => Match::Matched,
            Self::Different => Match::Mismatched,
            Self::Obstacle(Obstacle::NoBudget) => Match::BufferFull,
            Self::Obstacle(Obstacle::TooLarge) => too_large(ours, theirs),
        }
    }
}

fn by_body(ours: &Side<'_>, theirs: &Side<'_>, rules: &Rules, limits: &mut Limits<'_>) -> Quick {
    let (Body::Whole(our_bytes), Body::Whole(their_bytes)) = (ours.body, theirs.body) else {
        return match by_hash(ours, theirs) {
            Match::Matched => Quick::Equal,
            Match::Mismatched => Quick::Different,
            Match::ResponseTooLarge => Quick::Obstacle(Obstacle::TooLarge),
            Match::BufferFull => Quick::Obstacle(Obstacle::NoBudget),
        };
    };
    if same_body(ours, theirs) {
        return Quick::Equal;
    }
    // In a message every byte counts, those that look like white space too.
    if [ours, theirs].into_iter().any(Side::is_grpc) {
        return Quick::Different;
    }
    match by_content(ours, our_bytes, theirs, their_bytes, rules, limits) {
        Ok(true) => Quick::Equal,
        Ok(false) => Quick::Different,
        Err(obstacle) => Quick::Obstacle(obstacle),
    }
}

/// Everything that differs, in detail. What it finds is the result; only where memory is wanting
/// for the list, what is known by other means is.
fn look(ours: &Side<'_>, theirs: &Side<'_>, rules: &Rules, limits: &mut Limits<'_>) -> Looked {
    if let Some(difference) = by_status(ours, theirs, rules) {
        return Looked::found(vec![difference], false);
    }
    rules.note_look();
    let mut found: Vec<_> = by_headers(ours, theirs, rules).collect();
    match in_detail(ours, theirs, rules, limits) {
        Ok((bodies, more)) => {
            found.extend(bodies);
            let cut = found.len() > detail::LISTED_MAX;
            found.truncate(detail::LISTED_MAX);
            Looked::found(found, more || cut)
        }
        Err(_) if !found.is_empty() => Looked::found(found, true),
        Err(_) => match by_body(ours, theirs, rules, limits) {
            // The list takes more memory than the result.
            Quick::Different if rules.only_keys() => {
                Looked::found(vec![whole_body(ours, theirs)], true)
            }
            Quick::Different => Looked::nothing(Match::BufferFull),
            quick => Looked::nothing(quick.result(ours, theirs)),
        },
    }
}

/// What differs between two bodies, and whether there is more than was listed.
fn in_detail(
    ours: &Side<'_>,
    theirs: &Side<'_>,
    rules: &Rules,
    limits: &mut Limits<'_>,
) -> Result<(Vec<Difference>, bool), Obstacle> {
    let whole = |differs: bool| {
        let found = if differs { vec![whole_body(ours, theirs)] } else { Vec::new() };
        Ok((found, false))
    };
    let (Body::Whole(our_bytes), Body::Whole(their_bytes)) = (ours.body, theirs.body) else {
        return match by_hash(ours, theirs) {
            Match::Matched => whole(false),
            Match::Mismatched => whole(true),
            Match::ResponseTooLarge => Err(Obstacle::TooLarge),
            Match::BufferFull => Err(Obstacle::NoBudget),
        };
    };
    if [ours, theirs].into_iter().any(Side::is_grpc) {
        return whole(!same_body(ours, theirs));
    }
    let (our_bytes, our_label) = plain(&ours.content_encoding, our_bytes, limits)?;
    let (their_bytes, their_label) = plain(&theirs.content_encoding, their_bytes, limits)?;
    if !alike(ours, our_label, theirs, their_label) {
        return Ok((vec![other_label(our_label, their_label)], false));
    }
    let same = our_bytes.trim_ascii() == their_bytes.trim_ascii();
    let (our_json, their_json) =
        (read::body(&our_bytes, limits.grant)?, read::body(&their_bytes, limits.grant)?);
    let (our_json, their_json) = match (our_json, their_json) {
        (Some(ours), Some(theirs)) => (ours, theirs),
        _ if same => return whole(false),
        (None, None) if same_looks(&our_bytes, &their_bytes, rules) => return whole(false),
        (None, None) => {
            let (ours, theirs) = ((ours, &our_bytes[..]), (theirs, &their_bytes[..]));
            return Ok(two_texts(ours, theirs, rules, limits.grant));
        }
        (one, _) => return Ok((vec![one_is_json(one.is_some(), &our_bytes, &their_bytes)], false)),
    };
    two_documents(our_json, their_json, rules, limits.grant)
}

/// Whether one of two texts stands for the other, since copies are without what looks personal.
fn same_looks(ours: &[u8], theirs: &[u8], rules: &Rules) -> bool {
    let Some(redaction) = rules.looks() else { return false };
    let texts = std::str::from_utf8(ours.trim_ascii())
        .ok()
        .zip(std::str::from_utf8(theirs.trim_ascii()).ok());
    texts.is_some_and(|(ours, theirs)| redaction::same_looks(redaction, ours, theirs))
}

/// Whether two replies are equal without a look into their bodies.
pub fn same_bytes(ours: &Side<'_>, theirs: &Side<'_>, rules: &Rules) -> bool {
    ours.status == theirs.status
        && ours.grpc_status == theirs.grpc_status
        && same_body(ours, theirs)
        && by_headers(ours, theirs, rules).next().is_none()
}

fn same_body(ours: &Side<'_>, theirs: &Side<'_>) -> bool {
    let (Body::Whole(our_bytes), Body::Whole(their_bytes)) = (ours.body, theirs.body) else {
        return false;
    };
    our_bytes == their_bytes && ours.content_encoding == theirs.content_encoding
}

fn by_hash(ours: &Side<'_>, theirs: &Side<'_>) -> Match {
    let sum = |body| match body {
        Body::Whole(bytes) => (bytes.len() as u64, hash(bytes), None),
        Body::Hashed { length, hash, cause } => (length, hash, Some(cause)),
    };
    let (our_length, our_hash, our_cause) = sum(ours.body);
    let (their_length, their_hash, their_cause) = sum(theirs.body);
    if (our_length, our_hash) == (their_length, their_hash) {
        // Clients do not make the same of the same bytes under another label.
        let same = our_length == 0 || same_label(ours, theirs);
        if same { Match::Matched } else { Match::Mismatched }
    } else if [our_cause, their_cause].contains(&Some(Cause::NoBudget)) {
        Match::BufferFull
    } else {
        too_large(ours, theirs)
    }
}

fn too_large(ours: &Side<'_>, theirs: &Side<'_>) -> Match {
    // White space may explain another length of JSON; nothing explains a side that is none, unless the
    // other, which could not be decoded, is the same.
    let sides = [ours, theirs];
    let as_sent = sides.iter().all(|side| side.content_encoding.is_empty());
    let is_other = as_sent && sides.into_iter().any(is_no_json);
    if !is_other && (says_json(ours.content_type) || says_json(theirs.content_type)) {
        Match::ResponseTooLarge
    } else {
        Match::Mismatched
    }
}

/// Whether the whole body is there, as it is, and is empty or begins like no JSON.
fn is_no_json(side: &Side<'_>) -> bool {
    let Body::Whole(bytes) = side.body else { return false };
    let (form, text) = read::frame(bytes.trim_ascii());
    let begins = text.first().is_some_and(|first| b"{[\"-0123456789tfn\xEF".contains(first));
    let word = [&b"NaN"[..], b"Infinity"].iter().any(|word| text.starts_with(word));
    form.is_plain() && !begins && !word
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
    let (our_bytes, our_label) = plain(&ours.content_encoding, our_bytes, limits)?;
    let (their_bytes, their_label) = plain(&theirs.content_encoding, their_bytes, limits)?;
    if !alike(ours, our_label, theirs, their_label) {
        return Ok(false);
    }
    if our_bytes.trim_ascii() == their_bytes.trim_ascii() {
        return Ok(true);
    }
    let ((our_form, our_text), (their_form, their_text)) =
        (read::frame(&our_bytes), read::frame(&their_bytes));
    // What one client reads the other's may not.
    if our_form != their_form {
        return Ok(false);
    }
    if let Some(equal) = step::equal(our_text, their_text, &rules.keys) {
        return Ok(equal);
    }
    // Where one is no JSON and the other is, their bytes differ, and that is a difference.
    let Some(our_json) = json::parse(our_text, limits.grant)? else { return Ok(false) };
    let Some(their_json) = json::parse(their_text, limits.grant)? else { return Ok(false) };
    if our_json.has_words() != their_json.has_words() {
        return Ok(false);
    }
    walk::equal(&our_json, &their_json, &rules.keys, limits.grant)
}

/// Whether a body is what its `Content-Encoding` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Fits,
    /// Clients fail, or print what they should have decoded.
    Wrong,
}

/// The body without its content encodings; as sent, when they cannot be undone. Nothing at all fits
/// any label: clients do not try to decode it.
fn plain<'a>(
    encodings: &[&[u8]],
    bytes: &'a [u8],
    limits: &mut Limits<'_>,
) -> Result<(Cow<'a, [u8]>, Label), Obstacle> {
    if bytes.is_empty() {
        return Ok((Cow::Borrowed(bytes), Label::Fits));
    }
    match decode::decode(encodings, bytes, limits) {
        Ok(plain) => Ok((plain, Label::Fits)),
        Err(decode::Error::Unreadable) => Ok((Cow::Borrowed(bytes), Label::Wrong)),
        Err(decode::Error::TooLarge) => Err(Obstacle::TooLarge),
        Err(decode::Error::NoBudget) => Err(Obstacle::NoBudget),
    }
}

/// Whether clients can make the same of both: they can read both, or fail at both in the same way.
fn alike(ours: &Side<'_>, our_label: Label, theirs: &Side<'_>, their_label: Label) -> bool {
    match (our_label, their_label) {
        (Label::Fits, Label::Fits) => true,
        (Label::Wrong, Label::Wrong) => same_label(ours, theirs),
        _ => false,
    }
}

fn same_label(ours: &Side<'_>, theirs: &Side<'_>) -> bool {
    decode::same(&ours.content_encoding, &theirs.content_encoding)
}

fn other_label(ours: Label, theirs: Label) -> Difference {
    let shown = |label| {
        Some(match label {
            Label::Fits => "readable".to_owned(),
            Label::Wrong => "not what its content-encoding says".to_owned(),
        })
    };
    body(Kind::Type, shown(ours), shown(theirs))
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
