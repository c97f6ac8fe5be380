//! What differs between two bodies: documents by their members, texts by what they are made of, and all else by
//! what can be said of it as a whole.
//!
//! Whether two bodies differ is known before: nothing in here has a say in that.

use super::policy::Rules;
use super::{Difference, Grant, Side};

mod align;
mod csv;
mod documents;
mod elements;
mod explain;
mod form;
mod html;
mod kept;
mod lines;
mod looks;
mod multipart;
mod ndjson;
mod offset;
mod signature;
mod sort;
mod told;
mod tree;
mod whole;
mod xml;

pub(super) use documents::two_documents;
pub(super) use kept::kept_text;
pub(super) use looks::has_secret;
pub(super) use whole::{body, one_is_json, whole_body};

use explain::{Content, explained};

/// Two bodies that differ and are no JSON, and whether there is more than is listed. There is always something.
pub(super) fn two_texts(
    (ours, our_bytes): (&Side<'_>, &[u8]),
    (theirs, their_bytes): (&Side<'_>, &[u8]),
    rules: &Rules,
    grant: Grant<'_>,
) -> (Vec<Difference>, bool) {
    let whole = whole::whole_text(ours, theirs, our_bytes, their_bytes);
    let content = |content_type, bytes| Content { content_type, bytes };
    let sides = [content(ours.content_type, our_bytes), content(theirs.content_type, their_bytes)];
    explained(sides, whole, rules, grant)
}
