//! `[[hook]]`: scripts that see copies and answers. As written here; as it is meant in [`transform::hook`].

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::env::{Env, Given, Scope, Slot};
use super::file::{Node, Table, Value};
use super::values::{self, Parsed};
use crate::policy::hook::{Bounds, Hook};
use crate::policy::scope::Scoped;
use crate::policy::{Candidate, RoutePolicy};
use transform::hook::{self as script, Flaw};

/// Each copy may have to pass all of them.
pub(super) const HOOKS_MAX: usize = 50;
/// Each is a series.
const LABELS_MAX: usize = 20;
const WORD_MAX: usize = 64;
/// Bytes that a run may be allowed.
const BYTES: std::ops::RangeInclusive<usize> = 65_536..=1 << 30;

/// A script, and where it stands.
struct Source<'a> {
    slot: Slot<'a>,
    given: Given<'a>,
    text: String,
    /// The file that it is in; in the settings file where there is none.
    file: Option<String>,
}

impl<'a> Env<'a> {
    /// The hooks of the file.
    pub(super) fn hooks(
        &mut self,
        candidates: &[Candidate],
        routes: &[RoutePolicy],
    ) -> Vec<Scoped<Hook>> {
        let Some(file) = self.file else { return Vec::new() };
        let tables = file.root.tables("hook");
        self.at_most(&tables, HOOKS_MAX, "hooks");
        self.unique(&tables, "hook", "hook");
        let mut found = Vec::new();
        for (node, table) in tables.into_iter().take(HOOKS_MAX) {
            let place = file.place(node.key.start);
            let id = super::candidates::name(table).map_or_else(|| place.clone(), str::to_owned);
            let of = Scope::of(table, "hook", &id);
            let name = self.read_optional_in(&of.slot("name"), word);
            let scope = self.scope_of(&of, candidates, routes);
            if let Some(hook) = self.one_hook(&of, (node, table), name.as_deref()) {
                found.push(Scoped { what: Arc::new(hook), scope, place: place.into() });
            }
        }
        found
    }

    fn one_hook(
        &mut self,
        of: &Scope<'a>,
        (node, table): (&'a Node, &'a Table),
        name: Option<&str>,
    ) -> Option<Hook> {
        let labels = self.labels(of);
        let bounds = Bounds {
            steps: self.read_in(&of.slot("max_steps"), |text| values::whole(text, 1)),
            bytes: self.read_in(&of.slot("max_bytes"), |text| values::within(text, BYTES)),
            timeout: self.read_in(&of.slot("timeout"), values::duration_above_zero),
        };
        let source = self.source(of, (node, table))?;
        let name = name?;
        match script::Hook::compile(name, &source.text, &labels?) {
            Ok(script) => {
                let at = self.file.map(|file| file.place(node.key.start)).unwrap_or_default();
                let place = source.file.as_deref().unwrap_or(&at);
                Some(Hook::new(name.into(), (script, &source.text), place.into(), bounds))
            }
            Err(flaws) => {
                flaws.iter().for_each(|flaw| self.flawed(&source, flaw));
                None
            }
        }
    }

    /// The script, which is in a file or in the settings.
    fn source(
        &mut self,
        of: &Scope<'a>,
        (node, table): (&'a Node, &'a Table),
    ) -> Option<Source<'a>> {
        let said: Vec<_> =
            ["file", "script"].into_iter().filter(|it| table.get(it).is_some()).collect();
        let [word] = said[..] else {
            if said.len() > 1 || table.removed.is_empty() {
                let has = if said.is_empty() { "has no script" } else { "has several scripts" };
                let what = format!("hook: {has}; allowed is one of file and script");
                self.tell(node.key.clone(), &what, None);
            }
            return None;
        };
        let slot = of.slot(word);
        let given = self.given(&slot)?;
        if word == "script" {
            self.note(&slot, Some(&given));
            return Some(Source { text: given.text.clone(), slot, given, file: None });
        }
        let path = self.file?.path(&given.text);
        let read = super::files::bytes(&path, script::SCRIPT_MAX as u64)
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned()));
        let text = read.map_err(|why| self.bad(&slot, &given, &why)).ok()?;
        self.note(&slot, Some(&given));
        // What the file says is a part of what the settings say.
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let hash = format!("{:016x}", hasher.finish());
        self.note_as(of.id_of("file.hash"), given.node?.key.start, serde_json::json!(hash));
        Some(Source { slot, file: Some(given.text.clone()), given, text })
    }

    fn flawed(&mut self, source: &Source<'a>, flaw: &Flaw) {
        let Flaw { line, column, reason } = flaw;
        let place = &source.slot.place;
        let what = match &source.file {
            Some(file) => format!("{place} = {file:?}: {file}:{line}:{column}: {reason}"),
            None => format!("{place}: line {line}, column {column} of the script: {reason}"),
        };
        let at = source.given.node.map_or(0..0, |node| node.key.clone());
        self.tell(at, &what, None);
    }

    /// The labels that it may give; `None` where one of them is wrong, which is told.
    fn labels(&mut self, of: &Scope<'a>) -> Option<Vec<String>> {
        let slot = of.slot("labels");
        let Some(node) = slot.node else {
            let is_told = of.table.is_some_and(|table| table.removed.contains(&"labels"));
            return (!is_told).then(Vec::new);
        };
        let items: Vec<&Node> = match &node.value {
            Value::List(items) => items.iter().collect(),
            _ => vec![node],
        };
        if let Some(item) = items.get(LABELS_MAX) {
            let what = format!("{}: {} labels; allowed is {LABELS_MAX}", slot.place, items.len());
            self.tell(item.span.clone(), &what, None);
        }
        let mut found: Option<Vec<String>> = Some(Vec::new());
        for item in items {
            let Value::Text(text) = &item.value else { continue };
            match word(text) {
                Ok(label) => {
                    if let Some(found) = &mut found {
                        found.push(label);
                    }
                }
                Err(why) => {
                    self.bad_node(item, &slot.place, &item.shown(), &why, slot.setting.allowed);
                    found = None;
                }
            }
        }
        if let Some(found) = &mut found {
            found.truncate(LABELS_MAX);
            found.dedup();
            self.note_as(of.id_of("labels"), node.key.start, serde_json::json!(found));
        }
        found
    }
}

/// What is a metric label.
fn word(text: &str) -> Parsed<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if (1..=WORD_MAX).contains(&text.len()) && text.bytes().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("is none".to_owned())
    }
}

#[cfg(test)]
mod tests;
