//! `[redact]`: what is personal or secret, and which candidates may see it. As written here; as it is
//! meant in [`transform::redact`].

use std::ops::Range;
use std::sync::Arc;

use compare::path::Path;
use http::HeaderName;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use zeroize::Zeroizing;

use super::env::{Env, Scope, Slot};
use super::file::{Node, Table, Value};
use super::settings::redact::{HEADER, ITEM, PLACE};
use super::values::{self, Parsed};
use transform::parts::json::Select;
use transform::redact::detect::{Kind, Kinds};
use transform::redact::{Key, Policy, RULES_MAX, Rule, Way};

/// Largest file of a key, in bytes.
const KEY_MAX: u64 = 65_536;
/// Longest name in a rule.
const ITEM_MAX: usize = 256;
/// Most names of all rules: each key of each body is held against them.
const ITEMS_MAX: usize = 512;

/// The policy, and who it is not for.
#[derive(Clone, Debug, Default)]
pub(super) struct Redaction {
    /// What is personal or secret, and how it is hidden.
    pub(super) policy: Arc<Policy>,
    /// Trust levels of candidates that may see all of it.
    pub(super) trusted: Vec<String>,
    /// What pseudonyms are made with.
    pub(super) keyed: Keyed,
}

/// A key, if there is one, and whether something may be said of that there is none.
#[derive(Clone, Debug, Default)]
pub(super) struct Keyed {
    key: Option<Arc<Key>>,
    is_told: bool,
}

impl Keyed {
    /// A way by its word.
    pub(super) fn way(&self, text: &str) -> Parsed<Way> {
        match (text, &self.key) {
            ("remove", _) => Ok(Way::Remove),
            ("hash", Some(key)) => Ok(Way::Hash(Arc::clone(key))),
            ("shape", Some(key)) => Ok(Way::Shape(Arc::clone(key))),
            ("mask", _) => Ok(Way::Mask),
            ("hash" | "shape", None) if self.is_told => Ok(Way::Mask),
            ("hash" | "shape", None) => Err("has no key, redact.key_file is not set".to_owned()),
            _ => Err("is unknown".to_owned()),
        }
    }
}

impl<'a> Env<'a> {
    /// What is personal or secret.
    pub(super) fn redaction(&mut self) -> Redaction {
        let scope = self.scope("redact");
        let keyed = self.redaction_key(&scope);
        let trusted = self.read_optional_in(&scope.slot("trusted"), levels).unwrap_or_default();
        let detect = self.read_in(&scope.slot("detect"), kinds);
        let copies = self.read_optional_in(&scope.slot("detect_copies"), kinds).unwrap_or_default();
        let way = self.way(&scope.slot("detect_way"), &keyed);
        let rules = self.redaction_rules(&scope, &keyed);
        let policy = Arc::new(Policy::new(rules, detect, copies, way));
        Redaction { policy, trusted, keyed }
    }

    fn redaction_key(&mut self, scope: &Scope<'a>) -> Keyed {
        let slot = scope.slot("key_file");
        let given = self.given(&slot);
        self.note(&slot, given.as_ref());
        let Some(given) = given else {
            let is_told = scope.table.is_some_and(|table| table.removed.contains(&"key_file"));
            return Keyed { key: None, is_told: is_told || slot.node.is_some() };
        };
        let path = self.file.map(|file| file.path(&given.text)).unwrap_or_default();
        let read = super::files::bytes(&path, KEY_MAX).map(Zeroizing::new).and_then(|bytes| {
            // Who writes one by hand ends it with a line.
            Key::new(bytes.trim_ascii_end()).map_err(|why| why.to_string())
        });
        let key = read.map_err(|why| self.bad(&slot, &given, &why)).ok();
        Keyed { is_told: key.is_none(), key: key.map(Arc::new) }
    }

    fn way(&mut self, slot: &Slot<'a>, keyed: &Keyed) -> Way {
        self.read_in(slot, |text| keyed.way(text))
    }

    fn redaction_rules(&mut self, scope: &Scope<'a>, keyed: &Keyed) -> Vec<Rule> {
        let tables = scope.table.map(|table| table.tables("rule")).unwrap_or_default();
        self.at_most(&tables, RULES_MAX, "rules of redaction");
        self.unique(&tables, "redact.rule", "rule");
        let mut rules: Vec<Rule> = Vec::new();
        for (node, table) in tables.into_iter().take(RULES_MAX) {
            let place = self.file.map(|file| file.place(node.key.start)).unwrap_or_default();
            let id = super::candidates::name(table).map_or(place, str::to_owned);
            let of = Scope::of(table, "redact.rule", &id);
            rules.extend(self.redaction_rule(&of, table, node.key.clone(), keyed));
            let items: usize = rules.iter().map(items_of).sum();
            if items > ITEMS_MAX {
                let what = format!("redact.rule: {items} names and paths; allowed is {ITEMS_MAX}");
                self.tell(node.key.clone(), &what, None);
                break;
            }
        }
        rules
    }

    fn redaction_rule(
        &mut self,
        of: &Scope<'a>,
        table: &Table,
        at: Range<usize>,
        keyed: &Keyed,
    ) -> Option<Rule> {
        let name = self.read_optional_in(&of.slot("name"), rule_name);
        let [cookies, query, form] =
            ["cookies", "query", "form"].map(|list| self.each(of, list, ITEM, item));
        let rule = Rule {
            headers: self.each(of, "headers", HEADER, header),
            cookies,
            query,
            form,
            json: self.each(of, "json", PLACE, place),
            way: self.way(&of.slot("way"), keyed),
            name: name.clone().unwrap_or_default(),
        };
        const LISTS: [&str; 5] = ["headers", "cookies", "query", "form", "json"];
        let is_empty = |node: &Node| matches!(&node.value, Value::List(items) if items.is_empty());
        let is_said = LISTS.iter().any(|list| table.get(list).is_some_and(|it| !is_empty(it)));
        if !is_said && !LISTS.iter().any(|list| table.removed.contains(list)) {
            let what = format!(
                "redact.rule: hides nothing; allowed is at least one of {}",
                LISTS.join(", ")
            );
            self.tell(at, &what, None);
        }
        name.map(|_| rule)
    }

    /// What each text of a list is, and what is wrong with those that are nothing.
    fn each<T>(
        &mut self,
        of: &Scope<'a>,
        list: &str,
        allowed: &str,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Vec<T> {
        let slot = of.slot(list);
        let Some(node) = slot.node else { return Vec::new() };
        let items: Vec<&Node> = match &node.value {
            Value::List(items) => items.iter().collect(),
            _ => vec![node],
        };
        let mut found = Vec::new();
        let mut shown = Vec::new();
        for item in items {
            let Value::Text(text) = &item.value else { continue };
            match parse(text) {
                Ok(it) => {
                    found.push(it);
                    shown.push(text.as_str());
                }
                Err(why) => self.bad_node(item, &slot.place, &item.shown(), &why, allowed),
            }
        }
        self.note_as(of.id_of(list), node.key.start, serde_json::json!(shown));
        found
    }
}

fn items_of(rule: &Rule) -> usize {
    let Rule { headers, cookies, query, form, json, .. } = rule;
    headers.len() + cookies.len() + query.len() + form.len() + json.len()
}

fn kinds(text: &str) -> Parsed<Kinds> {
    if text.trim().is_empty() {
        return Ok(Kinds::NONE);
    }
    let kind = |word: &str| {
        let found = Kind::ALL.into_iter().find(|kind| kind.name() == word);
        found.ok_or_else(|| format!("{word:?} is unknown"))
    };
    Ok(values::list(text, kind)?.into_iter().collect())
}

fn levels(text: &str) -> Parsed<Vec<String>> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    values::list(text, values::level)
}

/// Those of kinds count beside it.
fn rule_name(text: &str) -> Parsed<Arc<str>> {
    if Kind::ALL.iter().any(|kind| kind.name() == text) {
        return Err("is what a kind of redact.detect is called".to_owned());
    }
    values::visible_name(text)
}

fn item(text: &str) -> Parsed<String> {
    match text.len() {
        1..=ITEM_MAX => Ok(text.to_owned()),
        length => Err(format!("has {length} bytes")),
    }
}

/// What says how a body is to be read would be no secret.
fn header(text: &str) -> Parsed<HeaderName> {
    let name: HeaderName = text.parse().map_err(|_| "is no header name")?;
    let is_of_connection = values::NOT_TO_CHANGE.contains(&name) && name != http::header::HOST;
    if is_of_connection || [CONTENT_TYPE, CONTENT_ENCODING].contains(&name) {
        return Err("belongs to the connection, or to how the body is sent".to_owned());
    }
    Ok(name)
}

fn place(text: &str) -> Parsed<Select> {
    // With a space in front it is a path that is written wrong, and no key that anybody has.
    if !text.trim_start().starts_with('$') {
        return item(text).map(Select::Key);
    }
    let path = Path::parse(text)?;
    if path.is_everything() {
        return Err("leaves nothing".to_owned());
    }
    Ok(Select::Path(path))
}

#[cfg(test)]
mod tests;
