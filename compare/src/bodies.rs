//! What differs between two bodies as a whole: their forms, their lengths, or that one of them is no
//! JSON.

use super::difference::{Difference, Kind};
use super::json::Tape;
use super::policy::Rules;
use super::read::{self, Form};
use super::traits::Traits;
use super::{Body, Grant, Obstacle, Side, detail, show};

/// Two bodies that are JSON in some form. Where the forms differ that is told beside what differs
/// within, since not every client reads both.
pub(super) fn two_documents<'a>(
    (our_form, ours): (Form, Tape<'a>),
    (their_form, theirs): (Form, Tape<'a>),
    rules: &Rules,
    grant: Grant<'_>,
) -> Result<(Vec<Difference>, bool), Obstacle> {
    let [mut our_store, mut their_store] = [Vec::new(), Vec::new()];
    let ours = read::document(ours, &mut our_store, rules, grant)?;
    let theirs = read::document(theirs, &mut their_store, rules, grant)?;
    let within = detail::differences(&ours, &theirs, rules, grant)?;
    let mut found = Vec::new();
    let note = if our_form == their_form {
        our_form.note()
    } else {
        found.push(body(Kind::Type, Some(our_form.name()), Some(their_form.name())));
        None
    };
    for (_, mut difference) in within.list {
        if let Some(note) = &note {
            let more = difference.note.map(|first| format!("{first}; {note}"));
            difference.note = Some(more.unwrap_or_else(|| note.clone()));
        }
        found.push(difference);
    }
    Ok((found, within.more))
}

/// Bodies that are not JSON. Nothing of them is shown: who knows what is in there.
pub(super) fn whole_body(ours: &Side<'_>, theirs: &Side<'_>) -> Difference {
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
pub(super) fn two_texts(
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

pub(super) fn one_is_json(ours: bool, our_bytes: &[u8], their_bytes: &[u8]) -> Difference {
    let (one, other) = ("JSON", "no JSON");
    let (ours, theirs) = if ours { (one, other) } else { (other, one) };
    match (our_bytes.trim_ascii().is_empty(), their_bytes.trim_ascii().is_empty()) {
        (_, true) => body(Kind::Missing, Some(ours.to_owned()), None),
        (true, _) => body(Kind::Added, None, Some(theirs.to_owned())),
        _ => body(Kind::Type, Some(ours.to_owned()), Some(theirs.to_owned())),
    }
}

pub(super) fn body(kind: Kind, baseline: Option<String>, candidate: Option<String>) -> Difference {
    let (place, field) = ("body".to_owned(), "body".to_owned());
    let traits = match (kind, &candidate) {
        (Kind::Type, Some(candidate)) => Traits::known(candidate),
        _ => Traits::default(),
    };
    Difference { place, field, kind, baseline, candidate, traits, note: None }
}
