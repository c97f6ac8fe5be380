//! Two bodies that are JSON, in whatever form.

use super::super::difference::{Difference, Kind};
use super::super::json::Tape;
use super::super::policy::Rules;
use super::super::read::{self, Form};
use super::super::{Grant, Obstacle, detail};
use super::whole::body;

/// Two bodies that are JSON in some form. Where the forms differ that is told beside what differs
/// within, since not every client reads both.
pub(in super::super) fn two_documents<'a>(
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
    let more = within.more;
    for mut difference in within.differences() {
        if let Some(note) = &note {
            let both = difference.note.map(|first| format!("{first}; {note}"));
            difference.note = Some(both.unwrap_or_else(|| note.clone()));
        }
        found.push(difference);
    }
    Ok((found, more))
}
