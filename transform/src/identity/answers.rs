//! The values in answers: read to be learned, and taken back to be compared.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use compare::Grant;
use compare::json::Kind;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue};

use super::spans::{self, VALUES_MAX, Writing, in_line, replaced, replaced_lines};
use super::{Identity, InAnswer, VALUE_MAX, Value};
use crate::parts::json::{self, Edit, Select};

/// What is looked at of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body without content codings; `None` where it is not known.
    pub body: Option<&'a [u8]>,
}

/// The values of an answer, by identity and place, each in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values(Vec<Vec<Vec<Value>>>);

impl Values {
    /// Those of a place of an identity.
    pub fn at(&self, identity: usize, place: usize) -> &[Value] {
        self.0.get(identity).and_then(|places| places.get(place)).map_or(&[], Vec::as_slice)
    }

    /// Those of an identity.
    pub fn of(&self, identity: usize) -> impl Iterator<Item = &Value> {
        self.0.get(identity).into_iter().flatten().flatten()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().flatten().all(Vec::is_empty)
    }
}

/// An answer in which values were replaced; what was not is `None`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Its headers.
    pub headers: Option<HeaderMap>,
    /// Its body without content codings.
    pub body: Option<Vec<u8>>,
}

/// What an answer holds to be learned.
pub fn learnable(identities: &[Arc<Identity>], page: Page<'_>, grant: Grant<'_>) -> Values {
    let places = identities.iter().enumerate();
    let places = places.flat_map(|(at, it)| it.learn.iter().map(move |place| (at, place)));
    let mut read = read(&places.collect::<Vec<_>>(), page, grant).into_iter();
    let of = |identity: &Arc<Identity>| read.by_ref().take(identity.learn.len()).collect();
    Values(identities.iter().map(of).collect())
}

/// Whether two answers belong together at a place: of two locations the last segments do where the same
/// stands before them, or what is `known` to be.
pub fn belong_together(
    place: &InAnswer,
    [ours, theirs]: [Page<'_>; 2],
    known: &mut dyn FnMut(&[u8]) -> Option<Value>,
) -> bool {
    if !matches!(place, InAnswer::Location(None)) {
        return true;
    }
    let before = |page: Page<'_>| {
        let line = page.headers.get(http::header::LOCATION)?;
        spans::segment_before(line.as_bytes())
    };
    let (ours, theirs) = (before(ours), before(theirs));
    ours == theirs || ours.and_then(|ours| known(&ours)).is_some_and(|it| Some(it) == theirs)
}

fn read(places: &[(usize, &InAnswer)], page: Page<'_>, grant: Grant<'_>) -> Vec<Vec<Value>> {
    let mut values = vec![Vec::new(); places.len()];
    for ((_, place), values) in places.iter().zip(&mut values) {
        match (place, page.body) {
            (InAnswer::Text(pattern), Some(body)) => {
                let spans = pattern.spans(body, VALUES_MAX);
                values.extend(spans.into_iter().filter_map(|it| Writing::Markup.read(&body[it])));
            }
            (place, _) => values.extend(in_head(place, page.headers)),
        }
    }
    if let Some(body) = page.body {
        let mut note = |place: usize, text: &str, _: Kind| {
            let values: &mut Vec<Value> = &mut values[place];
            if !text.is_empty() && text.len() <= VALUE_MAX && values.len() < VALUES_MAX {
                values.push(text.as_bytes().into());
            }
            None
        };
        // What is no JSON holds none.
        in_json(places, body, grant, &mut note);
    }
    values
}

fn in_head(place: &InAnswer, headers: &HeaderMap) -> Vec<Value> {
    let Some(name) = place.header() else { return Vec::new() };
    let lines = headers.get_all(name).into_iter().map(HeaderValue::as_bytes);
    let values = lines.flat_map(|line| {
        let (writing, spans) = in_line(place, line);
        spans.into_iter().filter_map(move |range| writing.read(&line[range]))
    });
    values.take(VALUES_MAX).collect()
}

/// Goes over the values of a JSON body, and puts others in their place; gives the body where it is another
/// then.
fn in_json(
    places: &[(usize, &InAnswer)],
    body: &[u8],
    grant: Grant<'_>,
    becomes: &mut dyn FnMut(usize, &str, Kind) -> Option<String>,
) -> Option<Vec<u8>> {
    let json = places.iter().enumerate().filter_map(|(at, (_, place))| match place {
        InAnswer::Json(path) => Some((at, Select::Path(path.clone()))),
        _ => None,
    });
    let (at, select): (Vec<_>, Vec<_>) = json.unzip();
    if select.is_empty() {
        return None;
    }
    let rewritten = json::rewrite(body, &select, grant, &mut |selected, found| {
        let kind = found.kind();
        let text = matches!(kind, Kind::String | Kind::Number).then(|| found.text()).flatten();
        let with = text.and_then(|text| becomes(at[selected], &text, kind));
        with.map_or(Edit::Keep, Edit::Replace)
    });
    match rewritten {
        Ok(std::borrow::Cow::Owned(body)) => Some(body),
        _ => None,
    }
}

/// A value as JSON where a value of this kind stood: a number stays one where it can.
pub(super) fn as_json(value: &[u8], kind: Kind) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let is_number = kind == Kind::Number && is_number(text);
    Some(if is_number { text.to_owned() } else { json::quoted(text) })
}

/// Whether a text is a number of JSON (RFC 8259 section 6).
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, part) = match mantissa.split_once('.') {
        Some((whole, part)) => (whole, Some(part)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && part.is_none_or(digits)
        && exponent.is_none_or(|it| digits(it.strip_prefix(['+', '-']).unwrap_or(it)))
}

/// The candidate's answer with the baseline's values in place of its own, where both are known to belong
/// together: what differs then differs by more than its ids. `known` gives the candidate's value for one
/// of the baseline's, of an identity.
pub fn taken_back(
    identities: &[Arc<Identity>],
    [ours, theirs]: [Page<'_>; 2],
    known: &mut dyn FnMut(usize, &[u8]) -> Option<Value>,
    grant: Grant<'_>,
) -> Changed {
    let places = identities.iter().enumerate().flat_map(|(at, identity)| {
        identity.learn.iter().chain(&identity.equal).map(move |place| (at, place))
    });
    let places: Vec<_> = places.collect();
    let back = back(&places, ours, known, &mut *grant);
    if back.is_empty() {
        return Changed::default();
    }
    let mut with = |identity: usize, value: &[u8]| back.get(&(identity, value.into())).cloned();
    let body = theirs.body.and_then(|body| body_back(&places, body, grant, &mut with));
    let headers = head_back(&places, theirs.headers, &mut with);
    Changed { headers, body }.with_its_length(theirs)
}

/// The baseline's values of an answer by those of the candidate.
type Back = HashMap<(usize, Value), Value>;

fn back(
    places: &[(usize, &InAnswer)],
    ours: Page<'_>,
    known: &mut dyn FnMut(usize, &[u8]) -> Option<Value>,
    grant: Grant<'_>,
) -> Back {
    let mut back = Back::new();
    for ((identity, _), values) in places.iter().zip(read(places, ours, grant)) {
        for value in values {
            if let Some(theirs) = known(*identity, &value).filter(|theirs| *theirs != value) {
                back.insert((*identity, theirs), value);
            }
        }
    }
    back
}

fn body_back(
    places: &[(usize, &InAnswer)],
    body: &[u8],
    grant: Grant<'_>,
    with: &mut dyn FnMut(usize, &[u8]) -> Option<Value>,
) -> Option<Vec<u8>> {
    let json = in_json(places, body, grant, &mut |place, text, kind| {
        with(places[place].0, text.as_bytes()).and_then(|value| as_json(&value, kind))
    });
    let body = json.as_deref().unwrap_or(body);
    let spans = places.iter().filter_map(|(identity, place)| match place {
        InAnswer::Text(pattern) => {
            let spans = pattern.spans(body, VALUES_MAX).into_iter();
            Some(spans.map(move |range| (range, *identity, Writing::Markup)))
        }
        _ => None,
    });
    replaced(body, spans.flatten().collect(), with).or(json)
}

fn head_back(
    places: &[(usize, &InAnswer)],
    headers: &HeaderMap,
    with: &mut dyn FnMut(usize, &[u8]) -> Option<Value>,
) -> Option<HeaderMap> {
    let names: HashSet<_> = places.iter().filter_map(|(_, place)| place.header()).collect();
    let mut changed = headers.clone();
    for name in &names {
        let spans = |line: &[u8]| {
            let here = places.iter().filter(|(_, place)| place.header().as_ref() == Some(name));
            let spans = here.flat_map(|(identity, place)| {
                let (writing, spans) = in_line(place, line);
                spans.into_iter().map(move |range| (range, *identity, writing))
            });
            spans.collect()
        };
        replaced_lines(&mut changed, name, &spans, with);
    }
    (changed != *headers).then_some(changed)
}

impl Changed {
    /// A body of another length says so, where it said how long it was.
    fn with_its_length(mut self, was: Page<'_>) -> Self {
        let is_plain = !was.headers.contains_key(CONTENT_ENCODING);
        if let Some(body) = &self.body
            && is_plain
            && was.headers.contains_key(CONTENT_LENGTH)
        {
            let headers = self.headers.get_or_insert_with(|| was.headers.clone());
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        self
    }
}

#[cfg(test)]
mod tests;
