//! What differs between two bodies as a whole: their lengths, or that one of them is no JSON.

use super::super::difference::{Difference, Kind};
use super::super::traits::Traits;
use super::super::{Body, Side, show};

/// Bodies that are not JSON. Nothing of them is shown: who knows what is in there.
pub(in super::super) fn whole_body(ours: &Side<'_>, theirs: &Side<'_>) -> Difference {
    let length = |body: Body<'_>| match body {
        Body::Whole(bytes) => bytes.len() as u64,
        Body::Hashed { length, .. } => length,
    };
    let (ours, theirs) = (length(ours.body), length(theirs.body));
    let kind = match (ours, theirs) {
        (a, b) if a == b => Kind::Value,
        (_, 0) => Kind::Missing,
        (0, _) => Kind::Added,
        _ => Kind::Length,
    };
    let shown = |length| (length > 0 || kind == Kind::Length).then(|| format!("{length} bytes"));
    body(kind, shown(ours), shown(theirs))
}

/// Two bodies whose text is there: one without any is gone, whatever it was sent as.
pub(in super::super) fn whole_text(
    ours: &Side<'_>,
    theirs: &Side<'_>,
    our_bytes: &[u8],
    their_bytes: &[u8],
) -> Difference {
    let mut found = whole_body(ours, theirs);
    match [our_bytes, their_bytes].map(|bytes| bytes.trim_ascii().is_empty()) {
        [false, true] => found.kind = Kind::Missing,
        [true, false] => found.kind = Kind::Added,
        _ => {
            found.traits = Traits::of_texts(our_bytes, their_bytes);
            found.note = Some(show::texts(our_bytes, their_bytes));
        }
    }
    found
}

pub(in super::super) fn one_is_json(
    ours: bool,
    our_bytes: &[u8],
    their_bytes: &[u8],
) -> Difference {
    let (one, other) = ("JSON", "no JSON");
    let (ours, theirs) = if ours { (one, other) } else { (other, one) };
    match (our_bytes.trim_ascii().is_empty(), their_bytes.trim_ascii().is_empty()) {
        (_, true) => body(Kind::Missing, Some(ours.to_owned()), None),
        (true, _) => body(Kind::Added, None, Some(theirs.to_owned())),
        _ => body(Kind::Type, Some(ours.to_owned()), Some(theirs.to_owned())),
    }
}

pub(in super::super) fn body(
    kind: Kind,
    baseline: Option<String>,
    candidate: Option<String>,
) -> Difference {
    let (place, field) = ("body".to_owned(), "body".to_owned());
    let traits = match (kind, &candidate) {
        (Kind::Type, Some(candidate)) => Traits::known(candidate),
        _ => Traits::default(),
    };
    Difference { place, field, kind, baseline, candidate, traits, note: None }
}
