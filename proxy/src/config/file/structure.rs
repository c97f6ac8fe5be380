//! The structural pass: names that are not known, values of another type, and what is missing.

use std::ops::Range;

use super::{Document, Node, Problems, Table, Value, excerpt};
use crate::config::settings::{self, FILE, Kind, Shape, Times};

/// Two names that are this alike are probably meant to be one.
const ALIKE: f64 = 0.7;
/// A longer one is no misspelt name.
const WORD_MAX: usize = 64;

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
        let required = |child: &&Shape| child.leaf.is_some_and(|setting| setting.required);
        for child in shape.children.iter().filter(required) {
            if table.get(child.name).is_none() {
                let what = format!("{}: is missing", join(place, child.name));
                let allowed = child.leaf.map_or("", |setting| setting.allowed);
                self.tell(at, &format!("{what}; allowed is {allowed}"));
            }
        }
        let removed = &mut table.removed;
        table.members.retain_mut(|(name, node)| {
            let Some(child) = shape.child(name) else {
                self.unknown(name, node, shape, place);
                return false;
            };
            let is_good = self.is_good(node, child, &join(place, child.name));
            if !is_good {
                removed.push(child.name);
            }
            is_good
        });
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
            let names: Vec<_> = shape.children.iter().map(|child| child.name).collect();
            let here = join(place, &excerpt::cut(&excerpt::printable(name)));
            let what = format!("{here}: is no known name; allowed is {}", names.join(", "));
            let meant = probable(name, &names, place);
            self.document.error(&node.key, &what, meant.as_deref())
        });
    }

    fn wrong(&mut self, node: &Node, shape: &Shape, place: &str) {
        let allowed = match (shape.leaf, shape.times) {
            (Some(setting), _) => setting.allowed.to_owned(),
            (None, Times::Many) => format!("tables, such as [[{place}]]"),
            (None, _) => format!("a table, such as [{place}]"),
        };
        self.tell(&node.span, &format!("{place}: is {}; allowed is {allowed}", node.kind()));
    }

    fn tell(&mut self, at: &Range<usize>, what: &str) {
        self.problems.push(at.start, || self.document.error(at, what, None));
    }
}

fn join(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

/// The name that was probably meant: of its own table, or else the only one in another.
fn probable(name: &str, names: &[&'static str], place: &str) -> Option<String> {
    if let Some(known) = likely(name, names.iter().copied()) {
        return Some(known.to_owned());
    }
    let has = |table: &&Shape| table.name != place && table.child(name).is_some();
    let mut elsewhere = FILE.children.iter().filter(has);
    let first = elsewhere.next()?;
    elsewhere.next().is_none().then(|| format!("{}.{name}", first.name))
}

/// Of these words the one most like it, where any is.
pub(in crate::config) fn likely<'w>(
    word: &str,
    words: impl Iterator<Item = &'w str>,
) -> Option<&'w str> {
    if word.len() > WORD_MAX {
        return None;
    }
    let score = |known: &str| {
        let score = strsim::normalized_damerau_levenshtein(word, known);
        let begins = word.len() >= 3 && (known.starts_with(word) || word.starts_with(known));
        if begins { score.max(ALIKE) } else { score }
    };
    let scored = words.map(|known| (score(known), known));
    let (score, known) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (score >= ALIKE).then_some(known)
}

/// Whether a value may stand for a setting of this kind; whether it is allowed is seen later.
fn fits(value: &Value, kind: Kind) -> bool {
    let texts = |items: &[Node]| items.iter().all(|item| matches!(item.value, Value::Text(_)));
    match (kind, value) {
        (
            Kind::Text
            | Kind::Url
            | Kind::Path
            | Kind::Word(_)
            | Kind::NumberOrOff
            | Kind::Time
            | Kind::List,
            Value::Text(_),
        )
        | (Kind::Whole | Kind::Time | Kind::Number | Kind::NumberOrOff, Value::Whole(_))
        | (Kind::Number | Kind::NumberOrOff, Value::Number(_))
        | (Kind::Switch, Value::Switch(_)) => true,
        // `http = 2` is what a person writes.
        (Kind::Word(words), Value::Whole(number)) => words.contains(&number.to_string().as_str()),
        (Kind::List | Kind::Texts, Value::List(items)) => texts(items),
        (Kind::Range, Value::List(items)) => {
            let number = |item: &Node| matches!(item.value, Value::Whole(_) | Value::Number(_));
            items.len() == 2 && items.iter().all(number)
        }
        _ => false,
    }
}

/// Gathers what is not shown: values of secrets and of names that are not known, since they may be
/// misspelt, and texts that may be URLs with a password in them.
pub(super) fn hide(table: &Table, shape: &Shape, hidden: &mut Vec<Range<usize>>) {
    for (name, node) in &table.members {
        match shape.child(name) {
            Some(shape) => hide_in(node, shape, hidden),
            None => hidden.push(node.span.clone()),
        }
    }
}

fn hide_in(node: &Node, shape: &Shape, hidden: &mut Vec<Range<usize>>) {
    if shape.leaf.is_some_and(|setting| setting.secret) {
        hidden.push(node.span.clone());
        return;
    }
    match &node.value {
        Value::Table(table) => hide(table, shape, hidden),
        Value::List(items) => items.iter().for_each(|item| hide_in(item, shape, hidden)),
        Value::Text(text) => {
            let is_url = shape.leaf.is_none_or(|setting| setting.kind == Kind::Url);
            if text.contains('@') && is_url {
                hidden.push(node.span.clone());
            }
        }
        _ => {}
    }
}

/// The same where the text is no TOML: what the line is about must be known, and no secret.
pub(super) fn hide_in_bad_text(document: &mut Document, at: usize) {
    let line = document.line(at);
    let text = |line: usize| document.text_of(line);
    let name = |line: usize| text(line).split_once('=').map(|(name, _)| name);
    let is_header = |line: usize| text(line).trim_start().starts_with('[');
    let safe = |name: &str| {
        let last = name.rsplit('.').next().unwrap_or_default();
        let last = last.trim().trim_matches(['"', '\'']);
        let named = || settings::all().filter(|setting| setting.name() == last);
        named().next().is_some() && named().all(|setting| !setting.secret)
    };
    let is_safe = name(line).map_or(is_header(line), safe);
    let whole = document.lines[line]..document.lines[line] + text(line).len();
    if !is_safe || text(line).contains('@') {
        // The name itself may be seen where it is on this line.
        let from = text(line).find('=').map_or(0, |at| at + 1);
        document.hidden.push(whole.start + from..whole.end.max(whole.start + from + 1));
    }
}
