//! The objects of scripts: the copy, the answers, and what is in them. Each is a handle: what is changed
//! through it is changed at once, and a handle that is handed on is the same one.

use rhai::Engine;

use super::making::Making;
use super::run::{Json, Run};
use super::value::Exact;

mod headers;
mod json;
mod messages;
mod pairs;

/// One of the messages of a run.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    run: Run,
    which: usize,
}

/// The copy, as scripts know it.
#[derive(Clone, Debug)]
pub(super) struct Copy(Handle);

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Answer(Handle);

/// Its headers.
#[derive(Clone, Debug)]
struct Headers(Handle);

/// The parameters in the query of a copy.
#[derive(Clone, Debug)]
struct Query(Handle);

/// The cookies of a copy.
#[derive(Clone, Debug)]
struct Cookies(Handle);

impl Copy {
    pub(super) fn of(run: &Run) -> Self {
        Self(Handle { run: run.clone(), which: 0 })
    }
}

impl Answer {
    pub(super) fn of(run: &Run, which: usize) -> Self {
        Self(Handle { run: run.clone(), which })
    }
}

/// What a copy has.
pub(super) const COPY: &[&str] = &[
    "method",
    "path",
    "query",
    "host",
    "headers",
    "cookies",
    "json",
    "body",
    "route",
    "candidate",
];

/// What an answer has.
pub(super) const ANSWER: &[&str] = &["status", "headers", "json", "body", "route", "candidate"];

pub(super) fn register(to: &mut Making) {
    messages::register(to);
    headers::register(to);
    pairs::register(to);
    json::register(to);
}

/// What scripts call them.
pub(super) fn name_types(engine: &mut Engine) {
    engine
        .register_type_with_name::<Copy>("copy")
        .register_type_with_name::<Answer>("answer")
        .register_type_with_name::<Headers>("headers")
        .register_type_with_name::<Query>("query")
        .register_type_with_name::<Cookies>("cookies")
        .register_type_with_name::<Json>("json")
        .register_type_with_name::<Exact>("number");
}
