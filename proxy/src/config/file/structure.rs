//! The structural pass: names that are not known, values of another type, and what is missing.

use std::ops::Range;

use super::{Document, Node, Problems, Table, Value, excerpt, hidden};
use crate::config::names::{beside, header, join, probable};
use crate::config::settings::{FILE, Kind, Setting, Shape, Times};

/// Takes out of a table what cannot be read by value, and tells of it.
pub(super) fn clean(document: &Document, root: &mut Table, problems: &mut Problems) {
    Pass { document, problems }.table(root, &FILE, "", &(0..0));
}

struct Pass<'p> {
    document: &'p Document,
    problems: &'p mut Problems,
}

impl Pass<'_> {
    fn table(&mut self, table: &mut Table, shape: &Shape, place: &str, at: &Range<usize>) {
        let removed = &mut table.removed;
        table.members.retain_mut(|(name, node)| {
            let Some(child) = shape.child(name) else {
                self.unknown(name, node, shape, place);
                // What follows from the last of very many is not told anyhow.
                if self.problems.has_room() {
                    removed.extend(beside(name, shape));
                }
                return false;
            };
            let items = node.items();
            let is_good = self.is_good(node, child, &join(place, child.name));
            if !is_good || node.items() < items {
                removed.push(child.name);
            }
            is_good
        });
        self.missing(table, shape, place, at);
    }

    /// Tells of what must be there and is not; of what is there under a misspelt name it is told already.
    fn missing(&mut self, table: &Table, shape: &Shape, place: &str, at: &Range<usize>) {
        let required = |child: &&Shape| child.leaf.is_some_and(|setting| setting.required);
        for child in shape.children.iter().filter(required) {
            if table.get(child.name).is_none() && !table.removed.contains(&child.name) {
                let what = format!("{}: is missing", join(place, child.name));
                let allowed = child.leaf.map_or("", |setting| setting.allowed);
                self.tell(at, &format!("{what}; allowed is {allowed}"));
            }
        }
    }

    fn is_good(&mut self, node: &mut Node, shape: &Shape, place: &str) -> bool {
        let is_table = !shape.children.is_empty();
        match &mut node.value {
            Value::Table(table) if is_table && shape.times != Times::Many => {
                self.table(table, shape, place, &node.key);
                true
            }
            Value::List(items) if is_table && shape.times != Times::Once => {
                items.retain_mut(|item| {
                    if let Value::Table(table) = &mut item.value {
                        self.table(table, shape, place, &item.key);
                        return true;
                    }
                    self.wrong(item, shape, place);
                    false
                });
                true
            }
            value => {
                if let (Value::List(items), Some(setting)) = (&mut *value, shape.leaf)
                    && self.odd_items(items, setting, place)
                {
                    return setting.kind != Kind::Range && !items.is_empty();
                }
                let fits = shape.leaf.is_some_and(|setting| fits(value, setting.kind));
                if !fits {
                    self.wrong(node, shape, place);
                }
                fits
            }
        }
    }

    fn unknown(&mut self, name: &str, node: &Node, shape: &Shape, place: &str) {
        self.problems.push(node.key.start, || {
            let meant = probable(name, shape, place);
            let is_table = hidden::has_header(&self.document.text, node);
            let meant = if is_table { as_header(name, shape, place).or(meant) } else { meant };
            self.document.error(&node.key, &unknown(name, shape, place), meant.as_deref())
        });
    }

    /// Tells of each item for which a list is not what it should be, and takes it out; whether there was
    /// one.
    fn odd_items(&mut self, items: &mut Vec<Node>, setting: &Setting, place: &str) -> bool {
        let count = items.len();
        items.retain(|item| {
            let fits = item_fits(&item.value, setting.kind);
            if !fits {
                let (kind, allowed) = (item.kind(), setting.allowed);
                let what = format!("{place}: has an item that is {kind}; allowed is {allowed}");
                self.tell(&item.span, &what);
            }
            fits
        });
        items.len() < count
    }

    /// Tells of a value of another type.
    fn wrong(&mut self, node: &Node, shape: &Shape, place: &str) {
        let allowed = match (shape.leaf, shape.times) {
            (Some(setting), _) => setting.allowed.to_owned(),
            (None, Times::Many) => format!("tables, such as [[{place}]]"),
            (None, _) => format!("a table, such as [{place}]"),
        };
        let what = format!("{place}: is {}; allowed is {allowed}", node.kind());
        self.problems.push(node.span.start, || {
            let meant = as_condition(node, shape, place);
            self.document.error(&node.span, &what, meant.as_deref())
        });
    }

    fn tell(&mut self, at: &Range<usize>, what: &str) {
        self.problems.push(at.start, || self.document.error(at, what, None));
    }
}

/// The line of the table that a table was probably meant to be.
pub(super) fn as_header(name: &str, shape: &Shape, place: &str) -> Option<String> {
    let here = beside(name, shape).map(|known| join(place, known));
    header(&here.or_else(|| probable(name, shape, place))?)
}

/// That a name is not known, and which are.
pub(super) fn unknown(name: &str, shape: &Shape, place: &str) -> String {
    let names: Vec<_> = shape.children.iter().map(|child| child.name).collect();
    let here = join(place, &excerpt::cut(&excerpt::printable(name)));
    format!("{here}: is no known name; allowed is {}", names.join(", "))
}

/// Whether an item may be in a list of this kind; of what is no list that is not told.
fn item_fits(value: &Value, kind: Kind) -> bool {
    match kind {
        Kind::List | Kind::Texts => matches!(value, Value::Text(_)),
        Kind::Range => matches!(value, Value::Whole(_) | Value::Number(_)),
        _ => true,
    }
}

/// A condition of a route as the table that it must be, where it was written as a text.
fn as_condition(node: &Node, shape: &Shape, place: &str) -> Option<String> {
    let Value::Text(text) = &node.value else { return None };
    let of = place.strip_prefix("route.match.")?;
    let is_shown = shape.leaf.is_none() && text.len() <= 64 && !text.contains('@');
    let text = if is_shown { node.shown() } else { "…".to_owned() };
    match of {
        "path" => Some(format!("{of} = {{ exact = {text} }} or {of} = {{ prefix = {text} }}")),
        "host" => Some(format!("{of} = {{ exact = {text} }}")),
        "client" => Some(format!("{of} = {{ networks = [{text}] }}")),
        "header" | "query" | "cookie" => Some(format!("{of} = {{ name = …, present = true }}")),
        _ => None,
    }
}

/// Whether a value may stand for a setting of this kind; whether it is allowed is seen later.
fn fits(value: &Value, kind: Kind) -> bool {
    match (kind, value) {
        (
            Kind::Text | Kind::Url | Kind::Path | Kind::Word(_) | Kind::Time | Kind::List,
            Value::Text(_),
        )
        | (Kind::Whole | Kind::Time | Kind::Number | Kind::NumberOrOff, Value::Whole(_))
        | (Kind::Number | Kind::NumberOrOff, Value::Number(_))
        | (Kind::Switch, Value::Switch(_)) => true,
        // `http = 2` is what a person writes.
        (Kind::Word(words), Value::Whole(number)) => words.contains(&number.to_string().as_str()),
        // As the environment says it; other texts stand for no number.
        (Kind::NumberOrOff, Value::Text(text)) => text == "off",
        // Of their items that is told already.
        (Kind::List | Kind::Texts, Value::List(_)) => true,
        (Kind::Range, Value::List(items)) => items.len() == 2,
        _ => false,
    }
}
