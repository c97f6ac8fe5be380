//! Reads single settings, from the environment before the file, notes who said them, and gathers what
//! is wrong with them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value as Json;

use super::effective::{self, MASKED, Origin, Settings};
use super::file::{Document, Node, Problems, Table, Value};
use super::settings::{self, Kind, Setting};
use super::values::{self, Parsed};

/// Reads settings and gathers what is wrong with them.
pub(super) struct Env<'a> {
    pub(super) get: &'a dyn Fn(&str) -> Option<OsString>,
    pub(super) file: Option<&'a Document>,
    /// Of the environment.
    pub(super) errors: Vec<String>,
    /// Of the file.
    pub(super) problems: Problems,
    /// Regular expressions so far.
    pub(super) regexes: usize,
    pub(super) settings: Settings,
    /// Of what is said by variables that are not ours, and not followed.
    pub(super) warnings: Vec<String>,
}

/// A setting, and where it may be said.
#[derive(Clone)]
pub(super) struct Slot<'a> {
    pub(super) setting: &'static Setting,
    pub(super) env: Option<&'static str>,
    pub(super) node: Option<&'a Node>,
    /// As messages call it: `candidate.url`.
    pub(super) place: String,
    /// As [`Settings`] call it: `candidate.v2.url`.
    id: String,
}

/// The settings of one thing: a table of the file, and what the environment says of it.
#[derive(Clone)]
pub(super) struct Scope<'a> {
    pub(super) table: Option<&'a Table>,
    place: String,
    id: String,
    with_env: bool,
}

impl<'a> Scope<'a> {
    /// One of many: without the environment, and with an id of its own.
    pub(super) fn of(table: &'a Table, place: &str, id: &str) -> Self {
        let (place, id) = (place.to_owned(), format!("{place}.{id}"));
        Self { table: Some(table), place, id, with_env: false }
    }

    /// The same, and what the environment says goes over it.
    pub(super) fn with_env(self) -> Self {
        Self { with_env: true, ..self }
    }

    /// A table in it.
    pub(super) fn inner(&self, name: &str) -> Self {
        Self {
            table: self.table.and_then(|table| table.table(name)),
            place: format!("{}.{name}", self.place),
            id: format!("{}.{name}", self.id),
            with_env: self.with_env,
        }
    }

    /// What [`Settings`] call one of its settings.
    pub(super) fn id_of(&self, name: &str) -> String {
        format!("{}.{name}", self.id)
    }

    pub(super) fn slot(&self, name: &str) -> Slot<'a> {
        let place = format!("{}.{name}", self.place);
        let setting = settings::of(&place);
        Slot {
            setting,
            env: setting.env.filter(|_| self.with_env),
            node: self.table.and_then(|table| table.get(name)),
            id: self.id_of(name),
            place,
        }
    }
}

/// What was said, and where.
pub(super) struct Given<'a> {
    pub(super) text: String,
    /// In the file; else in the environment.
    pub(super) node: Option<&'a Node>,
}

impl<'a> Env<'a> {
    /// A reader of the environment alone.
    pub(super) fn new(get: &'a dyn Fn(&str) -> Option<OsString>) -> Self {
        Self {
            get,
            file: None,
            errors: Vec::new(),
            problems: Problems::default(),
            regexes: 0,
            settings: Settings::default(),
            warnings: Vec::new(),
        }
    }

    /// A table of the file, with the environment over it. Of candidates there are several, so that the
    /// environment alone speaks here.
    pub(super) fn scope(&self, name: &str) -> Scope<'a> {
        let table = self.file.and_then(|file| file.root.table(name));
        Scope { table, place: name.to_owned(), id: name.to_owned(), with_env: true }
    }

    /// The setting of this name in the environment, or at this place.
    pub(super) fn slot(&self, key: &str) -> Slot<'a> {
        let setting = settings::of(key);
        match setting.place.split_once('.') {
            Some((table, name)) => self.scope(table).slot(name),
            None => Slot {
                setting,
                env: setting.env,
                node: None,
                place: String::new(),
                id: "--config".to_owned(),
            },
        }
    }

    /// The text of a setting that holds: that of the environment, or else that of the file.
    pub(super) fn given(&mut self, slot: &Slot<'a>) -> Option<Given<'a>> {
        if self.is_overruled(slot) { self.in_env(slot) } else { self.in_file(slot) }
    }

    /// Whether the environment says it; an empty variable is an unset one.
    pub(super) fn is_overruled(&self, slot: &Slot<'a>) -> bool {
        slot.env.is_some_and(|name| self.is_in_env(name))
    }

    fn in_env(&mut self, slot: &Slot<'a>) -> Option<Given<'a>> {
        let name = slot.env?;
        match (self.get)(name)?.into_string() {
            Ok(text) => Some(Given { text, node: None }),
            Err(value) => {
                let shown = if slot.setting.secret { MASKED.into() } else { value };
                let why = "is not UTF-8; allowed is plain text";
                self.errors.push(format!("{name}={shown:?}: {why}"));
                None
            }
        }
    }

    fn in_file(&mut self, slot: &Slot<'a>) -> Option<Given<'a>> {
        let node = slot.node?;
        match written(node, slot.setting) {
            Ok(text) => Some(Given { text, node: Some(node) }),
            Err(why) => {
                self.bad_node(node, &slot.place, &node.shown(), &why, slot.setting.allowed);
                None
            }
        }
    }

    /// Tells what is wrong with the file's value where the environment goes over it: it would hold as soon
    /// as the variable is taken out.
    pub(super) fn check_overruled<T>(
        &mut self,
        slot: &Slot<'a>,
        parse: impl FnOnce(&str) -> Parsed<T>,
    ) {
        if let Some(written) = self.in_file(slot)
            && let Err(why) = parse(&written.text)
        {
            self.bad(slot, &written, &why);
        }
    }

    /// Whether it is said anywhere.
    pub(super) fn is_set(&self, slot: &Slot<'a>) -> bool {
        slot.node.is_some() || self.is_overruled(slot)
    }

    pub(super) fn is_in_env(&self, name: &str) -> bool {
        (self.get)(name).is_some_and(|value| !value.is_empty())
    }

    /// Who says it.
    pub(super) fn origin(&self, slot: &Slot<'a>, given: Option<&Given<'a>>) -> Origin {
        let place = |node: &Node| self.file.map(|file| file.place(node.key.start));
        match given {
            None => Origin::Default,
            Some(Given { node: Some(node), .. }) => {
                Origin::File { place: place(node).unwrap_or_default() }
            }
            Some(Given { node: None, .. }) => Origin::Environment {
                name: slot.env.unwrap_or_default().to_owned(),
                over: slot.node.and_then(place),
            },
        }
    }

    /// Notes what holds; of candidates and routes only what is said.
    pub(super) fn note(&mut self, slot: &Slot<'a>, given: Option<&Given<'a>>) {
        if given.is_none() && slot.id != slot.setting.place {
            return;
        }
        let mut effective = effective::by_default(slot.id.clone(), slot.setting, slot.env);
        if let Some(given) = given {
            effective.value = effective::value(slot.setting, Some(&given.text));
            effective.secret = effective::told_apart(slot.setting, Some(&given.text));
            effective.origin = self.origin(slot, Some(given));
        }
        self.settings.put(effective);
    }

    /// Notes a value that has no text in the environment.
    pub(super) fn note_as(&mut self, id: String, at: usize, value: Json) {
        let place = self.file.map(|file| file.place(at)).unwrap_or_default();
        let (env, origin) = (None, Origin::File { place });
        let (restart, secret) = (false, 0);
        self.settings.put(effective::Effective { place: id, env, value, origin, restart, secret });
    }

    /// The value of a setting, or its default.
    pub(super) fn read<T>(&mut self, key: &str, parse: impl Fn(&str) -> Parsed<T>) -> T {
        let slot = self.slot(key);
        self.read_in(&slot, parse)
    }

    pub(super) fn read_in<T>(&mut self, slot: &Slot<'a>, parse: impl Fn(&str) -> Parsed<T>) -> T {
        let given = self.read_optional_in(slot, &parse);
        given.unwrap_or_else(|| {
            let default = slot.setting.default.expect("what is always there has a default");
            parse(default).expect("a default is an allowed value")
        })
    }

    /// The value of a setting, if it is said.
    pub(super) fn read_optional<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Option<T> {
        let slot = self.slot(key);
        self.read_optional_in(&slot, parse)
    }

    pub(super) fn read_optional_in<T>(
        &mut self,
        slot: &Slot<'a>,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Option<T> {
        if self.is_overruled(slot) {
            self.check_overruled(slot, &parse);
        }
        let given = self.given(slot);
        self.note(slot, given.as_ref());
        let given = given?;
        parse(&given.text).map_err(|why| self.bad(slot, &given, &why)).ok()
    }

    /// A path that a setting says: one that is written in the settings file begins at the file's folder.
    pub(super) fn path(&self, slot: &Slot<'a>, text: &str) -> PathBuf {
        let file = self.file.filter(|_| !self.is_overruled(slot));
        file.map_or_else(|| text.into(), |file| file.path(text))
    }

    pub(super) fn time(&mut self, key: &str) -> Duration {
        self.read(key, values::duration_above_zero)
    }

    /// Tells that a value is not allowed.
    pub(super) fn bad(&mut self, slot: &Slot<'a>, given: &Given<'a>, why: &str) {
        self.bad_for(slot, given, why, slot.setting.allowed);
    }

    /// The same, where it depends on others what is allowed.
    pub(super) fn bad_for(&mut self, slot: &Slot<'a>, given: &Given<'a>, why: &str, allowed: &str) {
        let shown = match slot.setting {
            Setting { secret: true, .. } => MASKED.to_owned(),
            Setting { kind: Kind::Url, .. } => format!("{:?}", without_user_info(&given.text)),
            _ => match given.node {
                Some(node) => node.shown(),
                None => format!("{:?}", given.text),
            },
        };
        match (given.node, slot.env) {
            (Some(node), _) => self.bad_node(node, &slot.place, &shown, why, allowed),
            (None, name) => {
                let name = name.unwrap_or_default();
                self.errors.push(format!("{name}={shown}: {why}; allowed is {allowed}"));
            }
        }
    }

    /// Tells of a value in the file.
    pub(super) fn bad_node(
        &mut self,
        node: &Node,
        place: &str,
        shown: &str,
        why: &str,
        allowed: &str,
    ) {
        let what = format!("{place} = {shown}: {why}; allowed is {allowed}");
        self.tell(node.span.clone(), &what, None);
    }

    /// Tells of a place in the file.
    pub(super) fn tell(&mut self, at: std::ops::Range<usize>, what: &str, meant: Option<&str>) {
        if let Some(file) = self.file {
            self.problems.push(at.start, || file.error(&at, what, meant));
        }
    }

    /// What a setting is called where this one is said.
    pub(super) fn called(&self, slot: &Slot<'a>) -> String {
        match (slot.env, self.file) {
            (Some(name), None) => name.to_owned(),
            (Some(name), Some(_)) => format!("{} ({name})", slot.place),
            (None, _) => slot.place.clone(),
        }
    }
}

/// What the file says of a setting, as the environment would say it.
pub(super) fn written(node: &Node, setting: &Setting) -> Parsed<String> {
    match node.text() {
        Some(_) if setting.kind == Kind::List && has_commas(node) => {
            Err("has an item with a comma".to_owned())
        }
        // An empty list is written as one.
        Some(text) if text.is_empty() && setting.kind == Kind::List && !is_empty_list(node) => {
            Err("is empty".to_owned())
        }
        Some(text) if setting.may_be_empty || !text.is_empty() => Ok(text),
        _ => Err("is empty".to_owned()),
    }
}

fn is_empty_list(node: &Node) -> bool {
    matches!(&node.value, Value::List(items) if items.is_empty())
}

fn has_commas(node: &Node) -> bool {
    let comma = |item: &Node| matches!(&item.value, Value::Text(text) if text.contains(','));
    matches!(&node.value, Value::List(items) if items.iter().any(comma))
}

/// All in front of the last `@` is left out but the scheme: in a URL that is wrong, a password may
/// be where the path should begin.
fn without_user_info(url: &str) -> String {
    let Some(at) = url.rfind('@') else { return url.to_owned() };
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    let scheme = if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) { scheme } else { "" };
    let start = if scheme.is_empty() { "" } else { &url[..scheme.len() + 3] };
    format!("{start}…{}", &url[at..])
}
