//! The copy and the answers themselves.

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode};
use rhai::{Dynamic, ImmutableString};

use super::{Answer, Cookies, Copy, Handle, Headers, Query};
use crate::CopyRequest;
use crate::hook::making::Making;
use crate::hook::meter::{Given, Refusal};
use crate::hook::run::{Json, Message, State};
use crate::hook::value;

pub(super) fn register(to: &mut Making) {
    parts_of_copy(to);
    parts_of_answer(to);
    let m = &mut to.module;
    m.set_getter_fn("headers", |copy: &mut Copy| Ok(Headers(copy.0.clone())));
    m.set_getter_fn("headers", |answer: &mut Answer| Ok(Headers(answer.0.clone())));
    m.set_getter_fn("json", |copy: &mut Copy| copy.0.json());
    m.set_setter_fn("json", |copy: &mut Copy, value: Dynamic| copy.0.set_json(&value));
    m.set_getter_fn("json", |answer: &mut Answer| answer.0.json());
    m.set_setter_fn("json", |answer: &mut Answer, value: Dynamic| answer.0.set_json(&value));
    m.set_getter_fn("body", |copy: &mut Copy| copy.0.body());
    m.set_setter_fn("body", |copy: &mut Copy, text: ImmutableString| copy.0.set_body(&text));
    m.set_getter_fn("body", |answer: &mut Answer| answer.0.body());
    m.set_setter_fn("body", |answer: &mut Answer, text: ImmutableString| answer.0.set_body(&text));
    m.set_getter_fn("route", |copy: &mut Copy| copy.0.about(|state| &state.route));
    m.set_getter_fn("route", |answer: &mut Answer| answer.0.about(|state| &state.route));
    m.set_getter_fn("candidate", |copy: &mut Copy| copy.0.about(|state| &state.candidate));
    m.set_getter_fn("candidate", |answer: &mut Answer| answer.0.about(|state| &state.candidate));
}

fn parts_of_copy(to: &mut Making) {
    let m = &mut to.module;
    m.set_getter_fn("method", |copy: &mut Copy| copy.0.text(|copy| copy.method.to_string()));
    m.set_setter_fn("method", |copy: &mut Copy, text: ImmutableString| {
        let method = Method::from_bytes(text.as_bytes()).ok();
        let method = method.filter(|method| *method != Method::CONNECT);
        let method = method.ok_or(Refusal::Misuse("a method that is none"))?;
        copy.0.with(|copy| copy.method = method)
    });
    m.set_getter_fn("path", |copy: &mut Copy| copy.0.text(|copy| copy.path.clone()));
    m.set_setter_fn("path", |copy: &mut Copy, text: ImmutableString| {
        if !is_path(&text) {
            return Err(Refusal::Misuse("a path that is none").into());
        }
        copy.0.run.state().meter.text(text.len())?;
        copy.0.with(|copy| copy.path = text.to_string())
    });
    m.set_getter_fn("host", |copy: &mut Copy| -> Given<Dynamic> {
        let host = |copy: &mut CopyRequest| copy.host.clone();
        let host = copy.0.with(host)?;
        let text = host.map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
        Ok(text.map_or(Dynamic::UNIT, Into::into))
    });
    m.set_setter_fn("host", |copy: &mut Copy, text: ImmutableString| {
        let host =
            text.parse::<http::uri::Authority>().ok().filter(|it| !it.as_str().contains('@'));
        let host = host.and_then(|host| HeaderValue::from_str(host.as_str()).ok());
        let host = host.ok_or(Refusal::Misuse("a host that is none"))?;
        copy.0.with(|copy| copy.host = Some(host))
    });
    m.set_getter_fn("query", |copy: &mut Copy| Ok(Query(copy.0.clone())));
    m.set_setter_fn("query", |copy: &mut Copy, value: Dynamic| -> Given<()> {
        if value.is::<Query>() {
            return Ok(());
        }
        if value.is_unit() {
            return copy.0.with(|copy| copy.query = None);
        }
        let Some(text) = value.read_lock::<ImmutableString>() else {
            return Err(Refusal::Misuse("a query is a text").into());
        };
        if !is_query(&text) {
            return Err(Refusal::Misuse("a query that is none").into());
        }
        copy.0.run.state().meter.text(text.len())?;
        copy.0.with(|copy| copy.query = Some(text.to_string()))
    });
    m.set_getter_fn("cookies", |copy: &mut Copy| Ok(Cookies(copy.0.clone())));
}

fn parts_of_answer(to: &mut Making) {
    let m = &mut to.module;
    m.set_getter_fn("status", |answer: &mut Answer| -> Given<i64> {
        match &answer.0.run.state().messages[answer.0.which] {
            Message::Answer(it) => Ok(i64::from(it.status.as_u16())),
            Message::Copy(_) => Err(Refusal::Misuse("no answer").into()),
        }
    });
    m.set_setter_fn("status", |answer: &mut Answer, status: i64| -> Given<()> {
        let status = u16::try_from(status).ok().and_then(|it| StatusCode::from_u16(it).ok());
        let status = status.ok_or(Refusal::Misuse("a status that is none"))?;
        if let Message::Answer(it) = &mut answer.0.run.state().messages[answer.0.which] {
            it.status = status;
        }
        Ok(())
    });
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') && !text.contains(['?', '#']) && text.parse::<PathAndQuery>().is_ok()
}

pub(super) fn is_query(text: &str) -> bool {
    !text.contains('#') && format!("/?{text}").parse::<PathAndQuery>().is_ok()
}

impl Handle {
    /// Does something with the copy.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut CopyRequest) -> T) -> Given<T> {
        match &mut self.run.state().messages[self.which] {
            Message::Copy(copy) => Ok(work(copy)),
            Message::Answer(_) => Err(Refusal::Misuse("no copy").into()),
        }
    }

    fn text(&self, read: impl FnOnce(&CopyRequest) -> String) -> Given<ImmutableString> {
        let text = self.with(|copy| read(copy))?;
        Ok(value::text(&mut self.run.state(), text)?)
    }

    fn about(&self, read: impl FnOnce(&State) -> &String) -> Given<ImmutableString> {
        Ok(read(&self.run.state()).as_str().into())
    }

    fn json(&self) -> Given<Dynamic> {
        let mut state = self.run.state();
        let Some(place) = state.json(self.which)? else { return Ok(Dynamic::UNIT) };
        Json::read(&self.run, &mut state, place)
    }

    fn set_json(&self, to: &Dynamic) -> Given<()> {
        Ok(value::set_json(&mut self.run.state(), self.which, to)?)
    }

    fn body(&self) -> Given<Dynamic> {
        let mut state = self.run.state();
        let Some(body) = state.body(self.which)? else { return Ok(Dynamic::UNIT) };
        state.meter.text(body.len())?;
        Ok(std::str::from_utf8(&body).map_or(Dynamic::UNIT, |text| text.to_owned().into()))
    }

    fn set_body(&self, text: &str) -> Given<()> {
        let mut state = self.run.state();
        state.meter.text(text.len())?;
        state.set_body(self.which, Bytes::copy_from_slice(text.as_bytes()));
        Ok(())
    }
}
