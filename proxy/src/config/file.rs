//! The settings file as it was written: values that know where they stand, and errors that show the
//! place. A structural pass finds all names that are not known and all values of another type at
//! once, and takes them out; what is left is read by value.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::settings;

mod excerpt;
mod hidden;
mod structure;
mod tables;

/// Largest file.
const BYTES_MAX: u64 = 1 << 20;
/// In a larger one that is no TOML only the first error is told: each costs some hundred bytes.
const ALL_ERRORS_MAX: usize = 1 << 16;
/// What the parser says of a name of very many parts.
const RECURSION: &str = "recursion limit";
const TOO_DEEP: &str = "a name has 80 parts or more";
/// What a file may be, for messages.
pub(super) const ALLOWED: &str = "the path of a TOML file in UTF-8, of at most 1 MiB";

/// A file that was read.
#[derive(Debug)]
pub(super) struct Document {
    /// As it was named.
    name: String,
    folder: PathBuf,
    text: String,
    /// Where lines begin.
    lines: Vec<usize>,
    /// What is not shown: secrets, and what may be one by a misspelt name.
    hidden: Vec<Range<usize>>,
    /// What is left after the structural pass.
    pub(super) root: Table,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Its name, or for an element the element itself.
    pub(super) key: Range<usize>,
    pub(super) span: Range<usize>,
    pub(super) value: Value,
}

/// A value as TOML has it.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Whole(i64),
    Number(f64),
    Switch(bool),
    /// A date or a time, which no setting is.
    Moment,
    List(Vec<Node>),
    Table(Table),
}

/// Members in the order of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) members: Vec<(String, Node)>,
    /// Names whose values, or some of whose items, were taken out, which is told already.
    pub(super) removed: Vec<&'static str>,
}

impl Table {
    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        self.members.iter().find(|(known, _)| known == name).map(|(_, node)| node)
    }

    /// The table of this name.
    pub(super) fn table(&self, name: &str) -> Option<&Self> {
        match &self.get(name)?.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The tables of this name, one or several.
    pub(super) fn tables(&self, name: &str) -> Vec<(&Node, &Self)> {
        fn of(node: &Node) -> Option<(&Node, &Table)> {
            match &node.value {
                Value::Table(table) => Some((node, table)),
                _ => None,
            }
        }
        match self.get(name) {
            Some(Node { value: Value::List(nodes), .. }) => nodes.iter().filter_map(of).collect(),
            Some(node) => of(node).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// Whether there is a value in it, or in a table in it.
    pub(super) fn says_anything(&self) -> bool {
        self.members.iter().any(|(_, node)| match &node.value {
            Value::Table(table) => table.says_anything(),
            _ => true,
        })
    }

    fn read(table: DeTable<'_>) -> Self {
        let member = |(key, value): (toml::Spanned<_>, _)| {
            let span = key.span();
            let name: std::borrow::Cow<'_, str> = key.into_inner();
            (name.into_owned(), Node::read(span, value))
        };
        let mut members: Vec<_> = table.into_iter().map(member).collect();
        members.sort_by_key(|(_, node)| node.key.start);
        Self { members, removed: Vec::new() }
    }
}

impl Node {
    fn read(key: Range<usize>, value: toml::Spanned<DeValue<'_>>) -> Self {
        let span = value.span();
        let value = match value.into_inner() {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or(Value::Moment, Value::Whole),
            DeValue::Float(number) => Value::Number(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(is_true) => Value::Switch(is_true),
            DeValue::Datetime(_) => Value::Moment,
            DeValue::Array(items) => {
                Value::List(items.into_iter().map(|item| Self::read(item.span(), item)).collect())
            }
            DeValue::Table(table) => Value::Table(Table::read(table)),
        };
        Self { key, span, value }
    }

    /// As the environment would say it; `None` where it could not.
    pub(super) fn text(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) => Some(text.clone()),
            Value::Whole(number) => Some(number.to_string()),
            Value::Number(number) => Some(number.to_string()),
            Value::Switch(is_true) => Some(is_true.to_string()),
            Value::List(items) => {
                let texts: Option<Vec<_>> = items.iter().map(Self::text).collect();
                Some(texts?.join(","))
            }
            Value::Moment | Value::Table(_) => None,
        }
    }

    /// How many items it has as a list.
    fn items(&self) -> usize {
        match &self.value {
            Value::List(items) => items.len(),
            _ => 0,
        }
    }

    /// As messages show it.
    pub(super) fn shown(&self) -> String {
        match &self.value {
            Value::Text(text) => excerpt::cut(&format!("{text:?}")),
            Value::Number(number) => format!("{number:?}"),
            Value::List(items) => {
                let items: Vec<_> = items.iter().take(8).map(Self::shown).collect();
                excerpt::cut(&format!("[{}]", items.join(", ")))
            }
            _ => self.text().unwrap_or_default(),
        }
    }

    /// What kind of value it is, for messages.
    fn kind(&self) -> &'static str {
        match &self.value {
            Value::Text(_) => "a text",
            Value::Whole(_) => "a whole number",
            Value::Number(_) => "a number",
            Value::Switch(_) => "true or false",
            Value::Moment => "a date, a time or too large a number",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

/// What is at a path, if it is no more than so many bytes.
pub(super) fn bytes(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let opened = File::open(path).map_err(|error| format!("cannot be read ({error})"))?;
    let read = opened.take(most + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("cannot be read ({error})"))?;
    if bytes.len() as u64 > most {
        return Err(format!("is over {} MiB", most >> 20));
    }
    Ok(bytes)
}

/// Reads the text of a file.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let bytes = bytes(path, BYTES_MAX)?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        no_utf_8(error.as_bytes(), good)
    })
}

/// Where a file is no UTF-8, and what it may be instead.
fn no_utf_8(bytes: &[u8], good: usize) -> String {
    let before = String::from_utf8_lossy(&bytes[..good]);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    let is_utf_16 = matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
    let seems = if is_utf_16 { "UTF-16" } else { "another encoding, such as Latin-1" };
    let byte = bytes.get(good).copied().unwrap_or_default();
    format!(
        "is not UTF-8 at line {line}, column {column} (byte 0x{byte:02x}; it seems to be {seems})"
    )
}

/// What is wrong with a file: the first so many, and how many more.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<(usize, String)>,
    more: usize,
}

/// Most errors of a file that are shown.
const SHOWN_MAX: usize = 50;

impl Problems {
    /// Takes one more, found at this place; its text is only made where it is shown.
    pub(super) fn push(&mut self, at: usize, text: impl FnOnce() -> String) {
        if self.has_room() {
            self.found.push((at, text()));
        } else {
            self.more += 1;
        }
    }

    /// Whether one more would be shown.
    fn has_room(&self) -> bool {
        self.found.len() < SHOWN_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// In the order of the file.
    pub(super) fn texts(mut self) -> Vec<String> {
        self.found.sort_by_key(|(at, _)| *at);
        let mut texts: Vec<_> = self.found.into_iter().map(|(_, text)| text).collect();
        if self.more > 0 {
            texts.push(format!("and {} more", self.more));
        }
        texts
    }
}

/// A text as TOML, or what is wrong with it.
fn parsed(text: &str) -> (toml::Spanned<DeTable<'_>>, Vec<toml::de::Error>) {
    if text.len() <= ALL_ERRORS_MAX {
        return DeTable::parse_recoverable(text);
    }
    match DeTable::parse(text) {
        Ok(table) => (table, Vec::new()),
        Err(error) => (toml::Spanned::new(0..0, DeTable::new()), vec![error]),
    }
}

impl Document {
    /// Reads the text of a file of this name; what is wrong with its structure goes to `problems`.
    pub(super) fn parse(name: &str, text: String, problems: &mut Problems) -> Self {
        // A mark of the encoding is no part of the first line.
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_owned(),
            None => text,
        };
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(starts.map(|(at, _)| at + 1)).collect();
        let folder = Path::new(name).parent().unwrap_or(Path::new("")).to_owned();
        let (name, hidden, root) = (name.to_owned(), Vec::new(), Table::default());
        let mut document = Self { name, folder, text, lines, hidden, root };
        let (table, errors) = parsed(&document.text);
        let mut root = Table::read(table.into_inner());
        let errors: Vec<_> =
            errors.into_iter().map(|error| (error.span(), error.message().to_owned())).collect();
        if errors.is_empty() {
            hidden::hide(&document.text, &root, &settings::FILE, &mut document.hidden);
            structure::clean(&document, &mut root, problems);
            document.root = root;
        } else {
            document.no_toml(errors, problems);
        }
        document
    }

    /// Tells of the first error on each line; further ones mostly follow from it. Of such a file nothing
    /// is read, since what belongs where is not known.
    fn no_toml(&mut self, errors: Vec<(Option<Range<usize>>, String)>, problems: &mut Problems) {
        let mut headers = tables::Headers::tell(self, problems);
        let (mut last, mut placeless) = (None, None);
        for (at, message) in errors {
            let at = match at {
                Some(at) => at,
                // Looking for the first takes its time.
                None if placeless.is_some() => continue,
                None => placeless.insert(self.placeless()).clone(),
            };
            let at = self.on_a_line(at.start)..self.on_a_line(at.end);
            let line = self.line(at.start);
            if last == Some(line) {
                continue;
            }
            let message = if message == RECURSION { TOO_DEEP } else { &message };
            let message = excerpt::cut(&excerpt::printable(message));
            let Some(what) = headers.of_error(self, at.start, &message) else { continue };
            last = Some(line);
            if problems.has_room() {
                hidden::hide_in_bad_text(self, at.start);
            }
            problems.push(at.start, || self.error(&at, &what, self.as_in_env(line)));
        }
    }

    /// Where the first error is that does not say where: on the first line with which it is there.
    fn placeless(&self) -> Range<usize> {
        let is_there = |line: usize| {
            let end = self.lines.get(line + 1).copied().unwrap_or(self.text.len());
            parsed(&self.text[..end]).1.iter().any(|error| error.span().is_none())
        };
        let (mut least, mut most) = (0, self.lines.len() - 1);
        while least < most {
            let middle = least.midpoint(most);
            if is_there(middle) { most = middle } else { least = middle + 1 }
        }
        let (start, text) = (self.lines[least], self.text_of(least));
        let names = text.len() - text.trim_start().len();
        start + names..start + text.len()
    }

    /// The same place, or for the end behind the last line the end of that line.
    fn on_a_line(&self, at: usize) -> usize {
        let is_behind = at > 0 && at == self.text.len() && self.text.ends_with('\n');
        if is_behind { at - 1 } else { at }
    }

    /// The place of the setting that a line says as the environment does: `NAME=value`.
    fn as_in_env(&self, line: usize) -> Option<&'static str> {
        let (name, _) = self.text_of(line).split_once('=')?;
        let name = name.trim();
        let name = name.strip_prefix("export ").unwrap_or(name).trim();
        let known = settings::NAMES.iter().find(|known| **known == name)?;
        Some(settings::of(known).place).filter(|place| !place.is_empty())
    }

    /// As it was named.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// A path that is written in this file.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.folder.join(text)
    }

    /// Where something stands: `mirrorlab.toml:12`.
    pub(super) fn place(&self, at: usize) -> String {
        format!("{}:{}", excerpt::printable(&self.name), self.line(at) + 1)
    }

    /// The same with the column: `mirrorlab.toml:12:5`.
    pub(super) fn column_place(&self, at: usize) -> String {
        let line = self.line(at);
        let text = self.text_of(line);
        let before = text.get(..at - self.lines[line]).unwrap_or(text);
        format!("{}:{}", self.place(at), before.chars().count() + 1)
    }

    /// An error at a place: where, what, the line with a mark, and what was probably meant.
    pub(super) fn error(&self, at: &Range<usize>, what: &str, meant: Option<&str>) -> String {
        let line = self.line(at.start);
        let (start, text) = (self.lines[line], self.text_of(line));
        let shown = excerpt::Line { text, start, hidden: &self.hidden };
        let (text, mark) = shown.marked(at);
        let number = (line + 1).to_string();
        let margin = " ".repeat(number.len());
        let mut error = format!("{}: {what}\n  {number} | {text}", self.column_place(at.start));
        error.push_str(&format!("\n  {margin} | {mark}"));
        if let Some(meant) = meant {
            error.push_str(&format!("\n  did you mean {meant}?"));
        }
        error
    }

    /// A line without its end.
    fn text_of(&self, line: usize) -> &str {
        let end = self.lines.get(line + 1).map_or(self.text.len(), |next| next - 1);
        self.text[self.lines[line]..end].trim_end_matches('\r')
    }

    /// The number of the line, from 1.
    pub(super) fn line_number(&self, at: usize) -> usize {
        self.line(at) + 1
    }

    /// The same from 0.
    fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at).saturating_sub(1)
    }
}

#[cfg(test)]
mod tests;
