//! Bodies: decoded once for all steps, and encoded once behind the last.

use std::borrow::Cow;

use bytes::Bytes;
use compare::Limits;
use compare::json::Kind;
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use super::target::changed;
use super::{Change, JsonChange, JsonWhat, Names, What};
use crate::CopyRequest;
use crate::parts::json::{self, Edit, Found};
use crate::parts::media::Media;
use crate::parts::{Fault, coding, multipart};
use crate::redact::{Way, json_edit};
use crate::value::About;

/// The body without its codings.
#[derive(Clone, Debug, Default)]
pub(super) struct Plain {
    /// `None` where nobody has looked at it yet.
    bytes: Option<Bytes>,
    changed: bool,
}

impl Plain {
    /// Puts the body into the copy, with its codings again, where a step changed it.
    pub(super) fn write(
        &self,
        copy: &mut CopyRequest,
        limits: &mut Limits<'_>,
    ) -> Result<(), Fault> {
        let (true, Some(bytes)) = (self.changed, &self.bytes) else { return Ok(()) };
        let body = if coding::is_coded(&copy.headers) {
            if !(limits.grant)(bytes.len()) {
                return Err(Fault::NoBudget);
            }
            Bytes::from(coding::encode(&copy.headers, bytes)?)
        } else {
            bytes.clone()
        };
        copy.set_body(body);
        Ok(())
    }

    /// What the body is without its codings; `None` where there is none, or an empty one.
    fn read(
        &mut self,
        copy: &CopyRequest,
        limits: &mut Limits<'_>,
    ) -> Result<Option<Bytes>, Fault> {
        if self.bytes.is_none() {
            let Some(body) = &copy.body else { return Ok(None) };
            self.bytes = Some(match coding::decode(&copy.headers, body, limits)? {
                Cow::Borrowed(_) => body.clone(),
                Cow::Owned(plain) => plain.into(),
            });
        }
        Ok(self.bytes.clone().filter(|bytes| !bytes.is_empty()))
    }

    fn set(&mut self, with: Cow<'_, [u8]>, limits: &Limits<'_>) -> Result<(), Fault> {
        if let Cow::Owned(bytes) = with {
            if bytes.len() > limits.max_decoded {
                return Err(Fault::TooLarge);
            }
            self.bytes = Some(bytes.into());
            self.changed = true;
        }
        Ok(())
    }

    /// Another body as a whole.
    pub(super) fn replace(
        &mut self,
        copy: &mut CopyRequest,
        text: String,
        content_type: Option<&HeaderValue>,
        limits: &mut Limits<'_>,
    ) -> Result<(), Fault> {
        if copy.body.as_ref().is_none_or(Bytes::is_empty) {
            return Ok(());
        }
        if !(limits.grant)(text.len()) {
            return Err(Fault::NoBudget);
        }
        if let Some(content_type) = content_type {
            copy.headers.insert(CONTENT_TYPE, content_type.clone());
        }
        self.set(Cow::Owned(text.into_bytes()), limits)
    }

    /// Other fields of a form.
    pub(super) fn form(
        &mut self,
        copy: &CopyRequest,
        change: &Change,
        about: &About<'_>,
        limits: &mut Limits<'_>,
    ) -> Result<(), Fault> {
        let Some(bytes) = self.read(copy, limits)? else { return Ok(()) };
        match Media::of(&copy.headers) {
            Media::Form => {
                let text = std::str::from_utf8(&bytes).map_err(|_| Fault::NotForm)?;
                let changed = changed(text, change, copy, about);
                if changed == text {
                    return Ok(());
                }
                if !(limits.grant)(changed.len()) {
                    return Err(Fault::NoBudget);
                }
                self.set(Cow::Owned(changed.into_bytes()), limits)
            }
            Media::Multipart(boundary) => {
                if !(limits.grant)(2 * bytes.len()) {
                    return Err(Fault::NoBudget);
                }
                let value = match &change.what {
                    What::Set(value) | What::Add(value) => Some(value.fill(copy, about)),
                    What::Remove | What::Rename(_) => None,
                };
                let changed = parts(&bytes, &boundary, change, value.as_deref())?;
                self.set(changed, limits)
            }
            _ => Err(Fault::NotForm),
        }
    }

    /// Other values of a JSON body.
    pub(super) fn json(
        &mut self,
        copy: &CopyRequest,
        change: &JsonChange,
        about: &About<'_>,
        limits: &mut Limits<'_>,
    ) -> Result<(), Fault> {
        let Some(bytes) = self.read(copy, limits)? else { return Ok(()) };
        let text = match &change.what {
            JsonWhat::Set(value) => Some(json::quoted(&value.fill(copy, about))),
            JsonWhat::SetJson(text) => Some(text.clone()),
            _ => None,
        };
        let mut select = vec![change.select.clone()];
        if text.is_some() {
            select.extend(change.parent.iter().map(|(parent, _)| parent.clone()));
        }
        let mut edit = |index, found: Found<'_, '_>| match (&change.what, &text, index) {
            (_, Some(text), 0) => Edit::Replace(text.clone()),
            (_, Some(text), _) => missing(change, &found, text),
            (JsonWhat::Remove, ..) => Edit::Remove,
            (JsonWhat::Rename(to), ..) => Edit::Rename(to.clone()),
            (JsonWhat::Redact(way), ..) => redacted(way, &found),
            _ => Edit::Keep,
        };
        let changed = json::behind_mark(&bytes, |document| {
            json::rewrite(document, &select, &mut *limits.grant, &mut edit)
        })?;
        self.set(changed, limits)
    }
}

/// Other parts of a multipart body.
fn parts<'b>(
    bytes: &'b [u8],
    boundary: &str,
    change: &Change,
    value: Option<&str>,
) -> Result<Cow<'b, [u8]>, Fault> {
    let Change { names, what } = change;
    // What stands in the head of a part besides its name, only its writer knows.
    if matches!(what, What::Rename(_)) {
        return Err(Fault::NotForm);
    }
    let delimiter = format!("--{boundary}");
    if value.is_some_and(|value| value.contains(&delimiter)) {
        return Err(Fault::Value);
    }
    let is_one = matches!(names, Names::Exact(_));
    let mut found = false;
    let mut edit = |part: multipart::Part<'_>| {
        if !part.name.is_some_and(|name| names.takes(name)) {
            return multipart::Edit::Keep;
        }
        match (what, value) {
            // Of several of one name the first stays.
            (What::Set(_), _) if is_one && found => multipart::Edit::Remove,
            (What::Set(_), Some(value)) => {
                found = true;
                multipart::Edit::Body(value.as_bytes().to_vec())
            }
            (What::Remove, _) => multipart::Edit::Remove,
            _ => multipart::Edit::Keep,
        }
    };
    let changed = multipart::rewrite(bytes, boundary, &mut edit).ok_or(Fault::NotForm)?;
    match (value, names) {
        (Some(value), Names::Exact(name)) if !found => {
            multipart::with(&changed, boundary, name, value).map(Cow::Owned).ok_or(Fault::Value)
        }
        _ => Ok(changed),
    }
}

/// Hides a value; of a container all that is in it, unless it goes as a whole.
fn redacted(way: &Way, found: &Found<'_, '_>) -> Edit {
    match (found.kind(), way) {
        (Kind::Null, Way::Mask | Way::Hash(_) | Way::Shape(_)) => Edit::Keep,
        (Kind::Array | Kind::Object, Way::Hash(_) | Way::Shape(_)) => Edit::Each,
        (Kind::True, _) => json_edit(way, Kind::True, Some("true")),
        (Kind::False, _) => json_edit(way, Kind::False, Some("false")),
        (kind, _) => json_edit(way, kind, found.text().as_deref()),
    }
}

/// Puts a member in where it is missing.
fn missing(change: &JsonChange, found: &Found<'_, '_>, text: &str) -> Edit {
    match &change.parent {
        Some((_, name)) if !found.has(name) => Edit::Append(name.clone(), text.to_owned()),
        _ => Edit::Keep,
    }
}
