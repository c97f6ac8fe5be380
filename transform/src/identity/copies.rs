//! The values in copies, where the candidate's take the place of the baseline's.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use compare::Limits;
use compare::json::Kind;

use super::answers::as_json;
use super::spans::{VALUES_MAX, Writing, replaced_lines, whole};
use super::{Identity, InRequest, VALUE_MAX, Value};
use crate::CopyRequest;
use crate::parts::json::{self, Select};
use crate::parts::media::Media;
use crate::parts::{coding, cookies, multipart, pairs};

/// What the candidate has in place of a value, of an identity; `None` for one that stays.
pub type Known<'k> = &'k mut dyn FnMut(usize, &[u8]) -> Option<Value>;

/// Puts the candidate's values in place of the baseline's; says which it put in. What cannot be read, such as a
/// body that is no JSON, holds none.
pub fn replace(
    identities: &[Arc<Identity>],
    copy: &mut CopyRequest,
    known: Known<'_>,
    limits: &mut Limits<'_>,
) -> Vec<Value> {
    let mut put = HashSet::new();
    let mut known = |identity: usize, value: &[u8]| {
        if value.is_empty() || value.len() > VALUE_MAX {
            return None;
        }
        let value = known(identity, value)?;
        if !put.contains(&value) {
            put.insert(value.clone());
        }
        Some(value)
    };
    let all = identities.iter().enumerate();
    let all = all.flat_map(|(at, it)| it.replace.iter().map(move |place| (at, place)));
    let all: Vec<_> = all.collect();
    path(copy, &all, &mut known);
    query(copy, &all, &mut known);
    headers(copy, &all, &mut known);
    cookies(copy, &all, &mut known);
    if all.iter().any(|(_, place)| place.is_in_body()) {
        body(copy, &all, &mut known, limits);
    }
    put.into_iter().collect()
}

/// Identities, and where each has its values.
type Places<'p> = [(usize, &'p InRequest)];

fn path(copy: &mut CopyRequest, places: &Places<'_>, known: Known<'_>) {
    let Some(inner) = copy.path.strip_prefix('/') else { return };
    let parts: Vec<_> = inner.split('/').collect();
    let mut becomes = |at: usize, part: &str| {
        places.iter().find_map(|(identity, place)| {
            let range = match place {
                InRequest::Path(Some(template)) => template.value(&parts, at)?,
                InRequest::Path(None) => 0..part.len(),
                _ => return None,
            };
            let (before, behind) = (&part[..range.start], &part[range.end..]);
            let value = Writing::Segment.read(part[range].as_bytes())?;
            let value = Writing::Segment.write(&known(*identity, &value)?, &[]);
            // Percent-encoded.
            Some(format!("{before}{}{behind}", String::from_utf8(value).ok()?))
        })
    };
    let others = parts.iter().enumerate().map(|(at, part)| becomes(at, part));
    let others: Vec<_> = others.collect();
    if others.iter().any(Option::is_some) {
        let segments = parts.iter().zip(&others);
        let segments = segments.map(|(part, other)| other.as_deref().unwrap_or(part));
        copy.path = format!("/{}", segments.collect::<Vec<_>>().join("/"));
    }
}

fn query(copy: &mut CopyRequest, places: &Places<'_>, known: Known<'_>) {
    let Some(query) = &copy.query else { return };
    let named = |name: &str| {
        let here = places.iter().filter(move |(_, place)| match place {
            InRequest::Query(it) => it == name,
            _ => false,
        });
        here.map(|(identity, _)| *identity).collect()
    };
    if let Cow::Owned(changed) = in_pairs(query, &named, known) {
        copy.query = Some(changed);
    }
}

/// Of the pairs with a name that identities have, the first of these that knows the value decides.
fn in_pairs<'t>(
    text: &'t str,
    named: &dyn Fn(&str) -> Vec<usize>,
    known: Known<'_>,
) -> Cow<'t, str> {
    pairs::rewrite(text, &mut |name, value| {
        let value = named(name).into_iter().find_map(|at| text_of(known(at, value.as_bytes())?));
        value.map_or(pairs::Edit::Keep, pairs::Edit::Value)
    })
}

fn text_of(value: Value) -> Option<String> {
    String::from_utf8(value.into()).ok()
}

fn headers(copy: &mut CopyRequest, places: &Places<'_>, known: Known<'_>) {
    let names = places.iter().filter_map(|(_, place)| match place {
        InRequest::Header(name, _) => Some(name),
        _ => None,
    });
    let names: HashSet<_> = names.collect();
    for name in names {
        let spans = |line: &[u8]| {
            let here = places.iter().filter_map(|(identity, place)| match place {
                InRequest::Header(it, pattern) if it == name => Some((*identity, pattern)),
                _ => None,
            });
            let spans = here.flat_map(|(identity, pattern)| {
                let spans = match pattern {
                    Some(pattern) => pattern.spans(line, VALUES_MAX),
                    None => whole(line).into_iter().collect(),
                };
                spans.into_iter().map(move |range| (range, identity, Writing::Plain))
            });
            spans.collect()
        };
        replaced_lines(&mut copy.headers, name, &spans, known);
    }
}

fn cookies(copy: &mut CopyRequest, places: &Places<'_>, known: Known<'_>) {
    if !places.iter().any(|(_, place)| matches!(place, InRequest::Cookie(_))) {
        return;
    }
    let fits = |value: &String| !value.contains(|c: char| c == ';' || c.is_control());
    let written = cookies::rewrite(&mut copy.headers, &mut |name, value| {
        let value = places.iter().find_map(|(identity, place)| match place {
            InRequest::Cookie(it) if it == name => text_of(known(*identity, value.as_bytes())?),
            _ => None,
        });
        value.filter(fits).map_or(pairs::Edit::Keep, pairs::Edit::Value)
    });
    debug_assert!(written, "only what fits is written");
}

fn body(copy: &mut CopyRequest, places: &Places<'_>, known: Known<'_>, limits: &mut Limits<'_>) {
    let Some(body) = copy.body.as_ref().filter(|body| !body.is_empty()) else { return };
    let Ok(plain) = coding::decode(&copy.headers, body, limits) else { return };
    let changed = match Media::of(&copy.headers) {
        Media::Form => form(&plain, places, known),
        Media::Multipart(boundary) => parts(&plain, &boundary, places, known),
        Media::Grpc => None,
        _ => json(&plain, places, known, limits),
    };
    let Some(changed) = changed else { return };
    if !(limits.grant)(changed.len()) {
        return;
    }
    let coded = if coding::is_coded(&copy.headers) {
        coding::encode(&copy.headers, &changed).ok()
    } else {
        Some(changed)
    };
    if let Some(coded) = coded {
        copy.set_body(coded.into());
    }
}

fn form(body: &[u8], places: &Places<'_>, known: Known<'_>) -> Option<Vec<u8>> {
    let named = |name: &str| fields(places, Some(name)).collect();
    match in_pairs(std::str::from_utf8(body).ok()?, &named, known) {
        Cow::Owned(changed) => Some(changed.into_bytes()),
        Cow::Borrowed(_) => None,
    }
}

/// The identities that have their values in form fields of this name.
fn fields(places: &Places<'_>, name: Option<&str>) -> impl Iterator<Item = usize> {
    let here = places.iter().filter(move |(_, place)| match place {
        InRequest::Form(it) => Some(it.as_str()) == name,
        _ => false,
    });
    here.map(|(identity, _)| *identity)
}

fn parts(body: &[u8], boundary: &str, places: &Places<'_>, known: Known<'_>) -> Option<Vec<u8>> {
    let mut edit = |part: multipart::Part<'_>| {
        let named = places
            .iter()
            .filter(|(_, place)| matches!(place, InRequest::Form(name) if part.name == Some(name)));
        let value = named.filter_map(|(at, _)| known(*at, part.body)).next();
        value.map_or(multipart::Edit::Keep, |value| multipart::Edit::Body(value.into()))
    };
    match multipart::rewrite(body, boundary, &mut edit)? {
        Cow::Owned(changed) => Some(changed),
        Cow::Borrowed(_) => None,
    }
}

fn json(
    body: &[u8],
    places: &Places<'_>,
    known: Known<'_>,
    limits: &mut Limits<'_>,
) -> Option<Vec<u8>> {
    let paths = places.iter().filter_map(|(at, place)| match place {
        InRequest::Json(path) => Some((*at, Select::Path(path.clone()))),
        _ => None,
    });
    let (at, select): (Vec<_>, Vec<_>) = paths.unzip();
    if select.is_empty() {
        return None;
    }
    let rewritten = json::rewrite(body, &select, &mut *limits.grant, &mut |selected, found| {
        let kind = found.kind();
        let text = matches!(kind, Kind::String | Kind::Number).then(|| found.text()).flatten();
        let value = text.and_then(|text| known(at[selected], text.as_bytes()));
        let written = value.and_then(|value| as_json(&value, kind));
        written.map_or(json::Edit::Keep, json::Edit::Replace)
    });
    match rewritten {
        Ok(Cow::Owned(changed)) => Some(changed),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
