//! Headers and cookies.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Change, Names, What};
use crate::CopyRequest;
use crate::parts::headers::NOT_TO_CHANGE;
use crate::parts::pairs::Edit;
use crate::parts::{Fault, cookies as parts};
use crate::value::About;

/// Other headers.
pub(super) fn headers(
    copy: &mut CopyRequest,
    change: &Change,
    about: &About<'_>,
) -> Result<(), Fault> {
    let Change { names, what } = change;
    let filled = |copy: &CopyRequest, value: &crate::value::Template| {
        HeaderValue::try_from(value.fill(copy, about)).map_err(|_| Fault::Value)
    };
    let name = |name: &str| HeaderName::try_from(name).map_err(|_| Fault::Value);
    let found = named(&copy.headers, names);
    match (what, names) {
        (What::Set(value), Names::Exact(exact)) => {
            let value = filled(copy, value)?;
            copy.headers.insert(name(exact)?, value);
        }
        (What::Set(value), Names::Prefix(_)) => {
            let value = filled(copy, value)?;
            for name in found {
                copy.headers.insert(name, value.clone());
            }
        }
        (What::Add(value), Names::Exact(exact)) => {
            let value = filled(copy, value)?;
            copy.headers.append(name(exact)?, value);
        }
        (What::Add(_), Names::Prefix(_)) => {}
        (What::Remove, _) => found.iter().for_each(|name| drop(copy.headers.remove(name))),
        (What::Rename(to), _) => {
            let renamed = |old: HeaderName| {
                let new = name(&names.renamed(old.as_str(), to))?;
                if NOT_TO_CHANGE.contains(&new) { Err(Fault::Value) } else { Ok((old, new)) }
            };
            let renamed: Vec<_> = found.into_iter().map(renamed).collect::<Result<_, _>>()?;
            for (old, new) in renamed {
                let values: Vec<_> = copy.headers.get_all(&old).iter().cloned().collect();
                copy.headers.remove(&old);
                for value in values {
                    copy.headers.append(&new, value);
                }
            }
        }
    }
    Ok(())
}

fn named(headers: &HeaderMap, names: &Names) -> Vec<HeaderName> {
    let may = |name: &&HeaderName| !NOT_TO_CHANGE.contains(name);
    headers.keys().filter(may).filter(|name| names.takes_any_case(name.as_str())).cloned().collect()
}

/// Other cookies.
pub(super) fn cookies(
    copy: &mut CopyRequest,
    change: &Change,
    about: &About<'_>,
) -> Result<(), Fault> {
    let Change { names, what } = change;
    let value = match what {
        What::Set(value) | What::Add(value) => Some(value.fill(copy, about)),
        What::Remove | What::Rename(_) => None,
    };
    let mut found = false;
    let mut fits = parts::rewrite(&mut copy.headers, &mut |name, _| {
        if !names.takes(name) {
            return Edit::Keep;
        }
        match (what, &value) {
            (What::Set(_), Some(_)) if found && matches!(names, Names::Exact(_)) => Edit::Remove,
            (What::Set(_), Some(value)) => {
                found = true;
                Edit::Value(value.clone())
            }
            (What::Remove, _) => Edit::Remove,
            (What::Rename(to), _) => Edit::Name(names.renamed(name, to)),
            _ => Edit::Keep,
        }
    });
    if let (Some(value), Names::Exact(name)) = (&value, names)
        && !found
    {
        fits &= parts::add(&mut copy.headers, name, value);
    }
    if fits { Ok(()) } else { Err(Fault::Value) }
}
