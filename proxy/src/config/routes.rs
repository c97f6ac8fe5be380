//! `[[route]]`: requests that have settings of their own. Of all that fit a request the first decides.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use serde_json::json;

use super::candidates::name;
use super::env::{Env, Scope};
use super::file::{Node, Table, Value};
use super::names::likely;
use super::values;
use crate::policy::matcher::{Condition, Matcher, Test, label_as_sent};
use crate::policy::rate::Rate;
use crate::policy::share::{SampleBy, Share};
use crate::policy::{CANDIDATE, Candidate, RoutePolicy};
use crate::route::{LABELS_MAX, OTHER};
use compare::rules::{RuleBook, RuleSet};

/// Each request may be held against all of them.
pub(super) const ROUTES_MAX: usize = 1000;
/// Longest name.
const NAME_MAX: usize = 100;

impl<'a> Env<'a> {
    /// The rules of the comparison, and the routes, of which some have rules.
    pub(super) fn rules_and_routes(
        &mut self,
        candidates: &[Candidate],
    ) -> (RuleBook, Vec<RoutePolicy>) {
        let mut book = self.rules();
        let Some(file) = self.file else { return (book, Vec::new()) };
        let tables = file.root.tables("route");
        self.not_too_many(&tables);
        self.unique(&tables, "route", "route");
        let ids = self.ids(&tables);
        let mut routes = Vec::new();
        for ((node, table), id) in tables.into_iter().zip(ids).take(ROUTES_MAX) {
            let route = self.route(&id, node, table, candidates);
            self.bounds(&book.all, &route.rules, node.key.clone());
            if route.rules != RuleSet::default() {
                book.routes.push((id, route.rules.clone()));
            }
            routes.push(route);
        }
        if routes.is_empty() {
            self.bounds(&book.all, &RuleSet::default(), 0..0);
        }
        (book, routes)
    }

    fn not_too_many(&mut self, tables: &[(&'a Node, &'a Table)]) {
        if let Some((node, _)) = tables.get(ROUTES_MAX) {
            let what = format!("{} routes; allowed is {ROUTES_MAX}", tables.len());
            self.tell(node.key.clone(), &what, None);
        }
        let mut named = tables.iter().filter(|(_, table)| name(table).is_some());
        if let Some((node, _)) = named.nth(LABELS_MAX) {
            let what =
                format!("more than {LABELS_MAX} routes with a name; allowed is {LABELS_MAX}");
            self.tell(node.key.clone(), &what, None);
        }
    }

    /// What tells routes apart: the name, the label where it is all that there is, or else the place. The
    /// label as requests have it, which know a route that is off by hand by no other text.
    fn ids(&mut self, tables: &[(&'a Node, &'a Table)]) -> Vec<String> {
        let mut taken: HashSet<String> =
            tables.iter().filter_map(|(_, table)| name(table)).map(str::to_owned).collect();
        let mut labels = HashSet::new();
        let mut ids = Vec::new();
        for (node, table) in tables {
            if let Some(name) = name(table) {
                ids.push(name.to_owned());
                continue;
            }
            let label = table.get("route").filter(|_| table.get("match").is_none());
            if let Some(said @ Node { value: Value::Text(label), .. }) = label {
                let label = label_as_sent(label);
                if !labels.insert(label.clone()) {
                    let allowed = "one [[route]] for each route, or a name for it";
                    let (place, why) = ("route.route", "is there already");
                    self.bad_node(said, place, &said.shown(), why, allowed);
                }
                if taken.insert(label.clone()) {
                    ids.push(label);
                    continue;
                }
            }
            // Several may stand on one line.
            let at = node.key.start;
            let place = self.file.map(|file| [file.place(at), file.column_place(at)]);
            let free = place.into_iter().flatten().find(|place| taken.insert(place.clone()));
            if free.is_none() {
                let what = "route: its place is the name of another; allowed is a name for it";
                self.tell(node.key.clone(), what, None);
            }
            ids.push(free.unwrap_or_default());
        }
        ids
    }

    fn route(
        &mut self,
        id: &str,
        node: &'a Node,
        table: &'a Table,
        candidates: &[Candidate],
    ) -> RoutePolicy {
        let place = self.file.map(|file| file.place(node.key.start)).unwrap_or_default();
        let scope = Scope::of(table, "route", id);
        if ["name", "route"].iter().all(|name| table.get(name).is_none()) && has_no_condition(table)
        {
            let what = "route.route: is missing; allowed is a route, a [route.match], or a name for \
                        one that takes all that is left";
            self.tell(node.key.clone(), what, None);
        }
        self.has_one_label(node, table);
        let matcher = self.matcher(&scope, id);
        RoutePolicy {
            name: self.read_optional_in(&scope.slot("name"), route_name),
            candidates: self.candidates_of(&scope, candidates),
            share: self.read_optional_in(&scope.slot("share"), Share::parse),
            sample_by: self.read_optional_in(&scope.slot("sample_by"), SampleBy::parse),
            order_by: self.read_optional_in(&scope.slot("order_by"), SampleBy::parse_or_off),
            rate: self.read_optional_in(&scope.slot("rate"), Rate::parse),
            min_pairs: self.read_in(&scope.slot("min_pairs"), |text| values::whole(text, 0)),
            unsafe_methods: self.read_optional_in(&scope.slot("unsafe_methods"), values::boolean),
            mark: self.read_optional_in(&scope.slot("mark"), values::mark),
            max_body_bytes: self
                .read_optional_in(&scope.slot("max_body_bytes"), |text| values::whole(text, 0)),
            body: self.read_optional_in(&scope.slot("body"), values::boolean),
            timeout: self.read_optional_in(&scope.slot("timeout"), values::duration_above_zero),
            thresholds: self.thresholds(&scope.inner("guardrail")),
            allowances: self.allowances(&scope.inner("report")),
            rules: self.rules_of_route(table),
            record: self.recording_of(&scope.inner("record")),
            ..RoutePolicy::new(id, &place, matcher)
        }
    }

    /// Guardrail and report are kept by label: two routes that share one could not be judged apart.
    fn has_one_label(&mut self, node: &'a Node, table: &'a Table) {
        let judged = ["guardrail", "report"].iter().any(|name| table.get(name).is_some());
        if judged && name(table).is_none() && table.get("route").is_none() {
            let what = "route.name: is missing; allowed is a name, by which its pairs are judged, \
                        or none of route.guardrail and route.report";
            self.tell(node.key.clone(), what, None);
        }
    }

    /// All conditions of a route.
    fn matcher(&mut self, scope: &Scope<'a>, id: &str) -> Matcher {
        let mut found: Vec<(Range<usize>, Condition)> = Vec::new();
        let slot = scope.slot("route");
        if let Some(label) = self.read_optional_in(&slot, label)
            && let Some(node) = slot.node
        {
            let text = format!("route = {label:?}");
            let test = Test::label(&label);
            found.push((node.key.clone(), Condition { not: false, test, text }));
        }
        if let Some(table) = scope.table.and_then(|table| table.table("match")) {
            self.conditions(table, &mut found);
        }
        for (index, (at, condition)) in found.iter().enumerate() {
            let place = format!("route.{id}.match.{index}");
            self.note_as(place, at.start, json!(condition.text));
        }
        Matcher { conditions: found.into_iter().map(|(_, condition)| condition).collect() }
    }

    /// The candidates of a route, by their names; an empty list is nobody.
    fn candidates_of(
        &mut self,
        scope: &Scope<'a>,
        candidates: &[Candidate],
    ) -> Option<Vec<Arc<str>>> {
        let slot = scope.slot("candidates");
        let node = slot.node?;
        let mut known: Vec<Arc<str>> = match candidates {
            [] => vec![CANDIDATE.into()],
            candidates => candidates.iter().map(|it| Arc::clone(&it.name)).collect(),
        };
        // A name that is there twice is told where it stands.
        let mut names = HashSet::new();
        known.retain(|name| names.insert(Arc::clone(name)));
        let are_known = self.candidates_are_known();
        let mut named = Vec::new();
        let items = match &node.value {
            Value::List(items) => items.iter().collect(),
            _ => vec![node],
        };
        for item in items {
            let Value::Text(text) = &item.value else { continue };
            for name in values::items(text) {
                if let Some(known) = known.iter().find(|known| ***known == *name) {
                    named.push(Arc::clone(known));
                    continue;
                }
                // What follows from another error would mislead.
                if !are_known {
                    continue;
                }
                let what = format!(
                    "{} = {}: is no candidate; allowed is {}",
                    slot.place,
                    item.shown(),
                    known.join(", ")
                );
                let meant = likely(name, known.iter().map(|known| &**known));
                self.tell(item.span.clone(), &what, meant);
            }
        }
        let (id, names) = (
            scope.id_of("candidates"),
            json!(named.iter().map(|name| &**name).collect::<Vec<_>>()),
        );
        self.note_as(id, node.key.start, names);
        Some(named)
    }
}

/// Whether nothing is said in `[route.match]`; what was said and is wrong is told already.
fn has_no_condition(table: &Table) -> bool {
    let is_empty = |node: &Node| matches!(&node.value, Value::List(items) if items.is_empty());
    !table.removed.contains(&"match")
        && table.table("match").is_none_or(|conditions| {
            conditions.removed.is_empty() && conditions.members.iter().all(|(_, it)| is_empty(it))
        })
}

fn route_name(text: &str) -> values::Parsed<Arc<str>> {
    let visible = |c: char| !c.is_control() && (c == ' ' || !c.is_whitespace());
    if text == OTHER {
        Err("is the label of what has no other".to_owned())
    } else if text.len() > NAME_MAX {
        Err(format!("has {} bytes", text.len()))
    } else if text.chars().all(visible) {
        Ok(text.into())
    } else {
        Err("has characters that are not visible".to_owned())
    }
}

fn label(text: &str) -> values::Parsed<String> {
    let is_label = text.split_once(' ').is_some_and(|(method, path)| {
        method.bytes().all(|byte| byte.is_ascii_uppercase()) && path.starts_with('/')
    });
    if is_label || text == OTHER { Ok(text.to_owned()) } else { Err("is no label".to_owned()) }
}

#[cfg(test)]
mod tests;
