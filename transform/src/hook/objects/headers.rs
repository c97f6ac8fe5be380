//! Header lines.

use http::HeaderValue;
use http::header::{self, HeaderName};
use rhai::{Array, Dynamic, ImmutableString};

use super::Headers;
use crate::hook::making::Making;
use crate::hook::meter::{Given, Refusal};
use crate::hook::run::Message;
use crate::parts::headers::NOT_TO_CHANGE;

/// Bytes of a header line besides its text.
const LINE: usize = 64;

type Text = ImmutableString;

pub(super) fn register(to: &mut Making) {
    to.module.set_indexer_get_fn(|headers: &mut Headers, name: Text| headers.first(&name));
    to.module.set_indexer_set_fn(|headers: &mut Headers, name: Text, value: Dynamic| {
        headers.set(&name, &value)
    });
    to.word("set", |headers: &mut Headers, name: Text, value: Dynamic| headers.set(&name, &value));
    to.word("add", |headers: &mut Headers, name: Text, value: Text| headers.add(&name, &value));
    to.word("remove", |headers: &mut Headers, name: Text| headers.remove(&name));
    to.word("contains", |headers: &mut Headers, name: Text| Ok(headers.first(&name)?.is_string()));
    to.word("all", |headers: &mut Headers, name: Text| headers.all(&name));
    to.word("names", |headers: &mut Headers| -> Given<Array> {
        let mut state = headers.0.run.state();
        let names: Vec<_> =
            state.messages[headers.0.which].headers().keys().map(ToString::to_string).collect();
        state.meter.take(names.iter().map(|name| LINE + name.len()).sum())?;
        Ok(names.into_iter().map(Dynamic::from).collect())
    });
}

fn name_of(name: &str) -> Given<HeaderName> {
    HeaderName::try_from(name).map_err(|_| Refusal::Misuse("a header name that is none").into())
}

impl Headers {
    fn first(&self, name: &str) -> Given<Dynamic> {
        let name = name_of(name)?;
        let mut state = self.0.run.state();
        let value = state.messages[self.0.which].headers().get(name);
        let value = value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let Some(value) = value else { return Ok(Dynamic::UNIT) };
        state.meter.text(value.len())?;
        Ok(value.into())
    }

    fn all(&self, name: &str) -> Given<Array> {
        let name = name_of(name)?;
        let mut state = self.0.run.state();
        let lines = state.messages[self.0.which].headers().get_all(name);
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let values: Vec<_> = lines.iter().map(text).collect();
        state.meter.text(values.iter().map(|value| LINE + value.len()).sum())?;
        Ok(values.into_iter().map(Dynamic::from).collect())
    }

    /// The name of a header that may be changed.
    fn own(&self, name: &str) -> Given<HeaderName> {
        let name = name_of(name)?;
        let is_fixed = NOT_TO_CHANGE.contains(&name);
        let is_copy = matches!(self.0.run.state().messages[self.0.which], Message::Copy(_));
        if is_fixed && (is_copy || name == header::CONTENT_ENCODING) {
            return Err(Refusal::Misuse("a header that is not for hooks to change").into());
        }
        Ok(name)
    }

    fn set(&self, name: &str, value: &Dynamic) -> Given<()> {
        if value.is_unit() {
            return self.remove(name).map(drop);
        }
        let Some(value) = value.read_lock::<ImmutableString>() else {
            return Err(Refusal::Misuse("a header's value is a text").into());
        };
        let (name, value) = (self.own(name)?, self.line(&value)?);
        let set = self.0.run.state().messages[self.0.which].headers_mut().try_insert(name, value);
        set.map(drop).map_err(|_| Refusal::Misuse("too many headers").into())
    }

    fn add(&self, name: &str, value: &str) -> Given<()> {
        let (name, value) = (self.own(name)?, self.line(value)?);
        let added = self.0.run.state().messages[self.0.which].headers_mut().try_append(name, value);
        added.map(drop).map_err(|_| Refusal::Misuse("too many headers").into())
    }

    fn line(&self, value: &str) -> Given<HeaderValue> {
        self.0.run.state().meter.text(LINE + value.len())?;
        HeaderValue::try_from(value)
            .map_err(|_| Refusal::Misuse("a header value that is none").into())
    }

    fn remove(&self, name: &str) -> Given<bool> {
        let name = self.own(name)?;
        let mut state = self.0.run.state();
        Ok(state.messages[self.0.which].headers_mut().remove(name).is_some())
    }
}
