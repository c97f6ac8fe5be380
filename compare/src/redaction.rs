//! What a policy of redaction means for a comparison: copies may have said other values than their
//! requests, so that answers which say them again differ and yet say the same; and of what is told of
//! a difference nothing may be personal. The policy itself is somebody else's.

use std::borrow::Cow;
use std::fmt;

use http::HeaderName;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::json::{Kind, Tape};
use super::number;
use super::text::Text;

/// Longest text of which a copy is made to look at it or to change it; of longer ones nothing is shown where
/// that would be needed, and none is taken for another.
pub(super) const LENGTH_MAX: usize = 64 * 1024;
/// Shown instead of a masked value.
pub(super) const MASK: &str = "***";

/// How a value of copies is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alias {
    /// A pseudonym that is its own pseudonym.
    Hash,
    /// A pseudonym of the same form.
    Shape,
}

/// The policy, as far as a comparison asks it.
pub trait Redaction: fmt::Debug + Send + Sync {
    /// A whole text as it may be shown; borrowed where all of it may.
    fn shown<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]>;

    /// The path of a URL as it may be shown, whose segments may be percent-encoded.
    fn shown_path<'t>(&self, path: &'t [u8]) -> Cow<'t, [u8]>;

    /// Whether what has this name in a query or a form may not be shown.
    fn names(&self, name: &str) -> bool;

    /// What stands for a value in copies: of a string its text, of all else its JSON.
    fn alias(&self, alias: Alias, kind: Kind, text: &str) -> String;

    /// Whether copies may be without something that is in a text that no rule names.
    fn looks(&self) -> bool;

    /// A text that no rule names as copies have it, by what it looks like and by what stands in it.
    fn looked<'t>(&self, text: &'t str) -> Cow<'t, str>;

    /// One text for all that copies and requests may have in its place.
    fn same_looks<'t>(&self, text: &'t str) -> Cow<'t, str>;

    /// What stands for a header's value in copies; `None` where it stays.
    fn header(&self, name: &HeaderName, value: &[u8]) -> Option<Vec<u8>>;

    /// The same for policies that mean the same, in this process alone.
    fn meaning(&self) -> u64;
}

/// What is asked where values are shown.
pub(super) type Hide<'r> = Option<&'r dyn Redaction>;

/// What is known of texts that are to be shown, by the policy and by what names a secret.
pub(super) trait Eyes: fmt::Debug {
    /// The policy.
    fn policy(&self) -> Hide<'_>;

    /// Whether values under this name are not shown.
    fn are_hidden(&self, name: &str) -> bool;

    /// A text within a document, of which no more is hidden than must be; `None` where all of it may be shown.
    fn unshown(&self, text: &[u8]) -> Option<Vec<u8>>;
}

/// A text without what may not be shown; `None` where all of it may.
pub(super) fn hidden(text: &Text<'_>, hide: Hide<'_>) -> Option<Vec<u8>> {
    let redaction = hide?;
    if text.as_plain().is_none() && text.copied() > LENGTH_MAX {
        return Some(MASK.into());
    }
    of_bytes(&text.unescaped(), redaction)
}

/// The same for bytes.
pub(super) fn hidden_bytes(text: &[u8], hide: Hide<'_>) -> Option<Vec<u8>> {
    of_bytes(text, hide?)
}

fn of_bytes(text: &[u8], redaction: &dyn Redaction) -> Option<Vec<u8>> {
    match redaction.shown(text) {
        Cow::Borrowed(_) => None,
        Cow::Owned(shown) => Some(shown),
    }
}

/// The text of a scalar that stands for itself or for another.
fn text_of<'t>((tape, node): (&Tape<'t>, usize)) -> Option<Cow<'t, str>> {
    let bytes = match tape.kind(node) {
        Kind::Null => return Some("null".into()),
        Kind::True => return Some("true".into()),
        Kind::False => return Some("false".into()),
        Kind::Array | Kind::Object => return None,
        Kind::Number | Kind::Word => Cow::Borrowed(tape.raw(node)),
        Kind::String | Kind::Key => tape.text(node).unescaped(),
    };
    match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}

fn is_short((tape, node): (&Tape<'_>, usize)) -> bool {
    matches!(tape.kind(node), Kind::Null | Kind::True | Kind::False)
        || tape.raw(node).len() <= LENGTH_MAX
}

/// What a hash of a scalar is made of, so that all that may stand for it have the same; `None` for one that any
/// may stand for.
pub(super) fn canonical(
    redaction: &dyn Redaction,
    alias: Alias,
    scalar: (&Tape<'_>, usize),
) -> Option<String> {
    let text = (alias == Alias::Hash && is_short(scalar)).then(|| text_of(scalar)).flatten()?;
    Some(redaction.alias(alias, scalar.0.kind(scalar.1), &text))
}

/// A hash that all have in common which may stand for a string or a number by its looks: a text may stand for a
/// number, so it does not tell them apart. `None` for a number that looks like nothing.
pub(super) fn same_for_all(
    redaction: &dyn Redaction,
    scalar: (&Tape<'_>, usize),
    seed: u64,
) -> Option<u64> {
    let text = is_short(scalar).then(|| text_of(scalar)).flatten()?;
    match redaction.same_looks(&text) {
        Cow::Borrowed(_) if scalar.0.kind(scalar.1) == Kind::Number => None,
        same => Some(xxh3_64_with_seed(same.as_bytes(), seed)),
    }
}

/// Whether one of two scalars stands for the other in copies, or both for the same.
pub(super) fn is_alias(
    redaction: &dyn Redaction,
    alias: Alias,
    ours: (&Tape<'_>, usize),
    theirs: (&Tape<'_>, usize),
) -> bool {
    let Some((a, b)) = both(ours, theirs) else { return false };
    if a == b {
        return true;
    }
    let stands_for = |one: (&Tape<'_>, usize), text: &str, other: &str| {
        let kind = one.0.kind(one.1);
        let alias = redaction.alias(alias, kind, text);
        alias == other || kind == Kind::Number && is_number(&alias, other)
    };
    match alias {
        Alias::Hash => {
            redaction.alias(alias, ours.0.kind(ours.1), &a)
                == redaction.alias(alias, theirs.0.kind(theirs.1), &b)
        }
        Alias::Shape => stands_for(ours, &a, &b) || stands_for(theirs, &b, &a),
    }
}

/// The same for two strings or numbers that only look personal.
pub(super) fn looks_alike(
    redaction: &dyn Redaction,
    ours: (&Tape<'_>, usize),
    theirs: (&Tape<'_>, usize),
) -> bool {
    let may =
        |(tape, node): (&Tape<'_>, usize)| matches!(tape.kind(node), Kind::Number | Kind::String);
    redaction.looks()
        && may(ours)
        && may(theirs)
        && both(ours, theirs).is_some_and(|(a, b)| same_looks(redaction, &a, &b))
}

/// Whether one of two texts stands for the other in copies.
pub(super) fn same_looks(redaction: &dyn Redaction, a: &str, b: &str) -> bool {
    let (one, two) = (redaction.looked(a), redaction.looked(b));
    match (&one, &two) {
        // Nothing in them looks like anything.
        (Cow::Borrowed(_), Cow::Borrowed(_)) => a == b,
        _ => one == b || two == a || one == two && one != a && two != b,
    }
}

/// Whether one of two header values stands for the other in copies, or both for the same.
pub(super) fn same_header(
    redaction: &dyn Redaction,
    name: &HeaderName,
    ours: &[u8],
    theirs: &[u8],
) -> bool {
    let [one, two] = [ours, theirs].map(|value| redaction.header(name, value));
    one.as_deref() == Some(theirs) || two.as_deref() == Some(ours) || one.is_some() && one == two
}

fn both<'t>(
    ours: (&Tape<'t>, usize),
    theirs: (&Tape<'t>, usize),
) -> Option<(Cow<'t, str>, Cow<'t, str>)> {
    if !is_short(ours) || !is_short(theirs) {
        return None;
    }
    text_of(ours).zip(text_of(theirs))
}

fn is_number(a: &str, b: &str) -> bool {
    let begins = |text: &str| text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    begins(a) && begins(b) && number::equal(a.as_bytes(), b.as_bytes())
}
