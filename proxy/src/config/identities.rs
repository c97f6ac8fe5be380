//! `[[identity]]`: the ids that candidates give out themselves. As written here; as it is meant in
//! [`transform::identity`].

use std::sync::Arc;

use super::env::{Env, Scope};
use super::file::{Node, Value};
use super::values::visible_name;
use super::values::{self, Parsed};
use crate::policy::identity::Policy;
use crate::policy::scope::Scoped;
use crate::policy::share::SampleBy;
use crate::policy::{Candidate, RoutePolicy};
use transform::identity::{Identity, InAnswer, InRequest, Limits};

/// Each copy may be held against all of them.
pub(super) const IDENTITIES_MAX: usize = 50;
/// Most places of a list.
const PLACES_MAX: usize = 50;
/// Most entries that may be asked for.
const ENTRIES_MAX: usize = 1_000_000;

impl<'a> Env<'a> {
    /// The identities of the file.
    pub(super) fn identities(
        &mut self,
        candidates: &[Candidate],
        routes: &[RoutePolicy],
    ) -> Vec<Scoped<Policy>> {
        let Some(file) = self.file else { return Vec::new() };
        let tables = file.root.tables("identity");
        self.at_most(&tables, IDENTITIES_MAX, "identities");
        self.unique(&tables, "identity", "identity");
        let mut found = Vec::new();
        for (node, table) in tables.into_iter().take(IDENTITIES_MAX) {
            let place = file.place(node.key.start);
            let id = super::candidates::name(table).map_or_else(|| place.clone(), str::to_owned);
            let of = Scope::of(table, "identity", &id);
            let name = self.read_optional_in(&of.slot("name"), visible_name);
            let scope = self.scope_of(&of, candidates, routes);
            if let Some(policy) = self.one_identity(&of, node, name.as_deref().unwrap_or_default())
            {
                found.push(Scoped { what: Arc::new(policy), scope, place: place.into() });
            }
        }
        found
    }

    fn one_identity(&mut self, of: &Scope<'a>, node: &'a Node, name: &str) -> Option<Policy> {
        let learn = self.places(of, "learn", InAnswer::parse);
        let equal = self.places(of, "equal", InAnswer::parse);
        let replace = self.places(of, "replace", InRequest::parse);
        let is_told = of.table.is_some_and(|table| table.removed.contains(&"learn"));
        if learn.is_empty() && !is_told && of.table?.get("learn").is_none_or(is_empty) {
            let what = format!("identity.learn: is missing; allowed is {}", InAnswer::ALLOWED);
            self.tell(node.key.clone(), &what, None);
        }
        let scope = self.read_in(&of.slot("scope"), |text| {
            let scope = scope(text)?;
            not_by_itself(scope.as_ref(), &learn, &replace)?;
            Ok(scope)
        });
        let wait = self.read_in(&of.slot("wait"), values::duration);
        let entries = self.read_in(&of.slot("max_entries"), entries);
        let ttl = self.read_in(&of.slot("ttl"), values::duration_above_zero);
        let identity = Identity { name: name.to_owned(), learn, equal, replace };
        Some(Policy::new(identity, scope, wait, Limits { entries, ttl }))
    }

    /// Those of a list that are good; of the others is told what is wrong.
    fn places<T: std::fmt::Display>(
        &mut self,
        of: &Scope<'a>,
        list: &str,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Vec<T> {
        let slot = of.slot(list);
        let Some(node) = slot.node else { return Vec::new() };
        let Value::List(items) = &node.value else { return Vec::new() };
        if let Some(item) = items.get(PLACES_MAX) {
            let what = format!("{}: {} places; allowed is {PLACES_MAX}", slot.place, items.len());
            self.tell(item.span.clone(), &what, None);
        }
        let mut found = Vec::new();
        for item in items.iter().take(PLACES_MAX) {
            let Value::Text(text) = &item.value else { continue };
            match parse(text) {
                Ok(place) => found.push(place),
                Err(why) => {
                    self.bad_node(item, &slot.place, &item.shown(), &why, slot.setting.allowed);
                }
            }
        }
        let shown: Vec<_> = found.iter().map(ToString::to_string).collect();
        self.note_as(of.id_of(list), node.key.start, serde_json::json!(shown));
        found
    }
}

fn is_empty(node: &Node) -> bool {
    matches!(&node.value, Value::List(items) if items.is_empty())
}

fn scope(text: &str) -> Parsed<Option<SampleBy>> {
    match text.trim() {
        "global" => Ok(None),
        text => match SampleBy::parse(text) {
            Ok(SampleBy::Query(_)) => Err("is no key that a client keeps".to_owned()),
            Ok(by) => Ok(Some(by)),
            Err(_) if !text.contains(':') => Err("is unknown".to_owned()),
            Err(why) => Err(why),
        },
    }
}

/// A session that is learned under its own key would never be found: the request that begins it has another.
fn not_by_itself(
    scope: Option<&SampleBy>,
    learn: &[InAnswer],
    replace: &[InRequest],
) -> Parsed<()> {
    let is_key = |place: &InRequest| match (scope, place) {
        (Some(SampleBy::Cookie(key)), InRequest::Cookie(name)) => key == name,
        (Some(SampleBy::Header(key)), InRequest::Header(name, _)) => key == name,
        _ => false,
    };
    let is_set = |place: &InAnswer| match (scope, place) {
        (Some(SampleBy::Cookie(key)), InAnswer::SetCookie(name)) => key == name,
        _ => false,
    };
    if replace.iter().any(is_key) || learn.iter().any(is_set) {
        Err("is a value of this identity itself, and so another one when it is learned".to_owned())
    } else {
        Ok(())
    }
}

fn entries(text: &str) -> Parsed<usize> {
    let number: usize = values::whole(text, 1)?;
    if number > ENTRIES_MAX { Err("is larger".to_owned()) } else { Ok(number) }
}

#[cfg(test)]
mod tests;
