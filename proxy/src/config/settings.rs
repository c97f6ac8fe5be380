//! The table of all settings: what each is called in the environment and in the file, what it may be,
//! and what holds where it is not said. Names, defaults and allowed values are said here alone; the
//! reader, the file's shape, its schema and the documentation all go by it.

use std::sync::LazyLock;

use http::HeaderName;

pub(super) mod copies;
mod policies;
pub(super) mod redact;
mod table;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A URL; user info in it is never shown.
    Url,
    /// The path of a file; in a settings file it is relative to that file's folder.
    Path,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number.
    Whole,
    /// A number.
    Number,
    /// A number, or `off`.
    NumberOrOff,
    /// `true` or `false`.
    Switch,
    /// Whole seconds, or a text with a unit.
    Time,
    /// Texts, also as one text with commas.
    List,
    /// Texts, which may have commas in them.
    Texts,
    /// Two numbers, the least and the greatest.
    Range,
}

/// When a new value holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// While the proxy runs.
    Running,
    /// After a restart.
    Restart,
}

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name in the environment.
    pub env: Option<&'static str>,
    /// Its place in the file, such as `mirror.share`; empty for what names the file itself.
    pub place: &'static str,
    /// How it is written.
    pub kind: Kind,
    /// What holds where it is not said, as the environment would say it.
    pub default: Option<&'static str>,
    /// The same in words, where there is no such value.
    pub unset: &'static str,
    /// What it may be, for messages.
    pub allowed: &'static str,
    /// What it means.
    pub about: &'static str,
    /// When a new value holds.
    pub changes: Changes,
    /// Whether its value is never shown.
    pub secret: bool,
    /// Whether the table it is in must have it.
    pub required: bool,
    /// Whether an empty text is a value in the file.
    pub may_be_empty: bool,
}

impl Setting {
    const fn new(
        place: &'static str,
        kind: Kind,
        allowed: &'static str,
        about: &'static str,
    ) -> Self {
        Self {
            env: None,
            place,
            kind,
            default: None,
            unset: "unset",
            allowed,
            about,
            changes: Changes::Running,
            secret: false,
            required: false,
            may_be_empty: false,
        }
    }

    const fn env(self, name: &'static str) -> Self {
        Self { env: Some(name), ..self }
    }

    const fn default(self, text: &'static str) -> Self {
        Self { default: Some(text), ..self }
    }

    const fn unset(self, words: &'static str) -> Self {
        Self { unset: words, ..self }
    }

    const fn restart(self) -> Self {
        Self { changes: Changes::Restart, ..self }
    }

    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    const fn or_empty(self) -> Self {
        Self { may_be_empty: true, ..self }
    }

    const fn required(self) -> Self {
        Self { required: true, unset: "must be said", ..self }
    }

    /// The words that it may be, where it is one of some.
    pub fn allowed_words(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Word(words) => words,
            _ => &[],
        }
    }

    /// Whether it is a share of requests.
    pub(super) fn is_share(&self) -> bool {
        [table::SHARE_OF_ALL, table::SHARE_PARTS].contains(&self.allowed)
    }

    /// What a number may be, as a JSON Schema says it.
    pub(super) fn bounds(&self) -> serde_json::Value {
        let found = table::BOUNDS.iter().find(|(allowed, _)| *allowed == self.allowed);
        let bounds = found.map_or(&[][..], |(_, bounds)| *bounds);
        let number = |bound: f64| match bound {
            whole if whole.fract() == 0.0 => serde_json::json!(whole as i64),
            part => serde_json::json!(part),
        };
        bounds.iter().map(|(word, bound)| ((*word).to_owned(), number(*bound))).collect()
    }

    /// The last part of its place.
    pub fn name(&self) -> &'static str {
        self.place.rsplit('.').next().unwrap_or_default()
    }
}

/// Whether a table may stand there once or several times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Times {
    #[default]
    Once,
    Many,
    /// A table, or a list of tables.
    Any,
}

/// A part of the file: a value, a table, or what may be either.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) leaf: Option<&'static Setting>,
    pub(super) times: Times,
    pub(super) children: Vec<Self>,
}

impl Shape {
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Puts a setting where these names lead.
    fn put(&mut self, before: &str, names: &[&'static str], setting: &'static Setting) {
        let [name, rest @ ..] = names else { return };
        let place = if before.is_empty() { (*name).to_owned() } else { format!("{before}.{name}") };
        let known = self.children.iter().position(|child| child.name == *name);
        let index = known.unwrap_or_else(|| {
            let table = tables().find(|table| table.place == place);
            let (times, about) = table.map_or((Times::Once, ""), |it| (it.times, it.about));
            self.children.push(Self { name, about, times, ..Self::default() });
            self.children.len() - 1
        });
        let child = &mut self.children[index];
        if rest.is_empty() {
            child.leaf = Some(setting);
        } else {
            child.put(&place, rest, setting);
        }
    }
}

/// A table of the file.
#[derive(Debug)]
pub(super) struct TableOf {
    place: &'static str,
    times: Times,
    about: &'static str,
}

/// Every setting, in the order of the documentation.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    let redact = redact::SETTINGS.iter().chain(redact::OF_CANDIDATES);
    table::SETTINGS.iter().chain(policies::SETTINGS).chain(copies::SETTINGS).chain(redact)
}

/// Every table of the file that something is told of.
fn tables() -> impl Iterator<Item = &'static TableOf> {
    table::TABLES.iter().chain(copies::TABLES).chain(redact::TABLES)
}

/// The shape of the whole file. The rules of the comparison may stand in a route too.
pub(super) static FILE: LazyLock<Shape> = LazyLock::new(|| {
    let mut root = Shape::default();
    for setting in all().filter(|setting| !setting.place.is_empty()) {
        root.put("", &setting.place.split('.').collect::<Vec<_>>(), setting);
    }
    for setting in all().filter(|setting| setting.place != "compare.builtin") {
        if let Some(place) = setting.place.strip_prefix("compare.") {
            let names: Vec<_> = std::iter::once("route").chain(place.split('.')).collect();
            root.put("", &names, setting);
        }
    }
    // A name stands in front.
    for table in &mut root.children {
        table.children.sort_by_key(|it| !it.leaf.is_some_and(|setting| setting.required));
    }
    root
});

/// The setting of this name in the environment, or at this place in the file.
pub(super) fn of(key: &str) -> &'static Setting {
    let found = all().find(|setting| setting.env == Some(key) || setting.place == key);
    found.expect("the table has every setting that is read")
}

/// Whether a condition on this, such as `header`, with this name is on values that are not shown. What is
/// no name of a header may be a misspelt one.
pub(super) fn is_on_secrets(what: &str, name: &str) -> bool {
    let is_secret = || compare::names_secret(name) || name.parse::<HeaderName>().is_err();
    what == "cookie" || (what == "header" && is_secret())
}

/// The names of all settings that the environment may have.
pub const NAMES: &[&str] = &NAMES_THERE;

const NAMES_THERE: [&str; count()] = names();

const fn count() -> usize {
    let (mut index, mut count) = (0, 0);
    while index < table::SETTINGS.len() {
        if table::SETTINGS[index].env.is_some() {
            count += 1;
        }
        index += 1;
    }
    count
}

const fn names() -> [&'static str; count()] {
    let mut names = [""; count()];
    let (mut index, mut next) = (0, 0);
    while index < table::SETTINGS.len() {
        if let Some(name) = table::SETTINGS[index].env {
            names[next] = name;
            next += 1;
        }
        index += 1;
    }
    names
}

#[cfg(test)]
mod tests;
