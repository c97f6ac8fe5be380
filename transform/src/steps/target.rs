//! Path and query.

use std::borrow::Cow;

use http::uri::PathAndQuery;
use regex::Regex;

use super::{Change, Names, What};
use crate::CopyRequest;
use crate::parts::Fault;
use crate::parts::pairs::{self, Edit};
use crate::value::About;

/// Another prefix, where it has the one that is looked for.
pub(super) fn prefix(copy: &mut CopyRequest, from: &str, to: &str) {
    let Some(rest) = copy.path.strip_prefix(from.trim_end_matches('/')) else { return };
    if !rest.is_empty() && !rest.starts_with('/') {
        return;
    }
    let path = format!("{}{rest}", to.trim_end_matches('/'));
    copy.path = if path.is_empty() { "/".to_owned() } else { path };
}

/// Another path, where it fits.
pub(super) fn path(copy: &mut CopyRequest, pattern: &Regex, to: &str) -> Result<(), Fault> {
    let Cow::Owned(path) = pattern.replace(&copy.path, to) else { return Ok(()) };
    if !path.starts_with('/') || path.contains(['?', '#']) || path.parse::<PathAndQuery>().is_err()
    {
        return Err(Fault::Value);
    }
    copy.path = path;
    Ok(())
}

/// Other parameters.
pub(super) fn query(copy: &mut CopyRequest, change: &Change, about: &About<'_>) {
    // `*` has none (RFC 9112 section 3.2.4).
    if !copy.path.starts_with('/') {
        return;
    }
    let query = copy.query.clone().unwrap_or_default();
    let changed = changed(&query, change, copy, about);
    if changed != query {
        copy.query = (!changed.is_empty()).then_some(changed);
    }
}

/// Pairs of a query or a form, changed.
pub(super) fn changed(
    text: &str,
    change: &Change,
    copy: &CopyRequest,
    about: &About<'_>,
) -> String {
    let Change { names, what } = change;
    let mut found = false;
    let rewritten = pairs::rewrite(text, &mut |name, _| {
        if !names.takes(name) {
            return Edit::Keep;
        }
        match what {
            // Of several of one name the first stays.
            What::Set(_) if found && matches!(names, Names::Exact(_)) => Edit::Remove,
            What::Set(value) => {
                found = true;
                Edit::Value(value.fill(copy, about))
            }
            What::Add(_) => Edit::Keep,
            What::Remove => Edit::Remove,
            What::Rename(to) => Edit::Name(names.renamed(name, to)),
        }
    });
    match (what, names) {
        (What::Set(value), Names::Exact(name)) if !found => {
            pairs::with(&rewritten, name, &value.fill(copy, about))
        }
        (What::Add(value), Names::Exact(name)) => {
            pairs::with(&rewritten, name, &value.fill(copy, about))
        }
        _ => rewritten.into_owned(),
    }
}
