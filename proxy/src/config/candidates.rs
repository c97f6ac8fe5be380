//! `[[candidate]]`: where copies go, and what each candidate has of its own.

use std::collections::HashMap;
use std::ops::Range;

use super::Config;
use super::effective::Origin;
use super::env::{Env, Scope};
use super::file::{Node, Table, Value};
use super::values;
use crate::policy::rate::Rate;
use crate::policy::share::Share;
use crate::policy::{Allowances, CANDIDATE, Candidate, Thresholds};

/// Most candidates.
pub(super) const CANDIDATES_MAX: usize = 8;
/// Labels that metrics have for others.
const RESERVED: [&str; 3] = ["baseline", "secondary", "other"];
/// What the environment says of the one candidate that it knows.
const FROM_ENV: [&str; 6] = [
    "CANDIDATE_URL",
    "CANDIDATE_HOST",
    "CANDIDATE_HTTP",
    "CANDIDATE_TLS_NAME",
    "CANDIDATE_CLIENT_CERT",
    "CANDIDATE_CLIENT_KEY",
];

impl Config {
    /// Whether anybody says where copies go; the default is that of the proxy's stack.
    pub fn names_candidate(&self) -> bool {
        let url = self.settings.get("candidate.url");
        !self.candidates.is_empty() || url.is_some_and(|url| url.origin != Origin::Default)
    }
}

impl<'a> Env<'a> {
    /// Those of the file; none where it has none.
    /// `trusted`: trust levels of those that may see everything.
    pub(super) fn candidates(&mut self, trusted: &[String]) -> Vec<Candidate> {
        let Some(file) = self.file else { return Vec::new() };
        let tables = file.root.tables("candidate");
        if let Some((node, _)) = tables.get(CANDIDATES_MAX) {
            let what = format!("{} candidates; allowed is {CANDIDATES_MAX}", tables.len());
            self.tell(node.key.clone(), &what, None);
        }
        let names: Vec<_> = tables.iter().map(|(_, table)| name(table)).collect();
        self.unique(&tables, "candidate", "candidate");
        let of_env = self.candidate_of_env(&names);
        let mut found = Vec::new();
        for (index, (node, table)) in tables.into_iter().take(CANDIDATES_MAX).enumerate() {
            let id = names[index].map_or_else(|| file.place(node.key.start), str::to_owned);
            let scope = Scope::of(table, "candidate", &id);
            let scope = if of_env == Some(index) { scope.with_env() } else { scope };
            found.push(self.candidate(&scope, &id, node.key.clone(), trusted));
        }
        found
    }

    /// Names are said once only.
    pub(super) fn unique(&mut self, tables: &[(&'a Node, &'a Table)], place: &str, what: &str) {
        let mut known = HashMap::new();
        for node in tables.iter().filter_map(|(_, table)| table.get("name")) {
            let Value::Text(name) = &node.value else { continue };
            if let Some(first) = known.insert(name, node.key.start)
                && let Some(file) = self.file
            {
                let why = format!("is there already, at {}", file.place(first));
                let (place, allowed) = (format!("{place}.name"), format!("one {what} of a name"));
                self.bad_node(node, &place, &node.shown(), &why, &allowed);
            }
        }
    }

    /// Whether it is known which candidates the file has: each could be read, and has a name.
    pub(super) fn candidates_are_known(&self) -> bool {
        let Some(file) = self.file else { return true };
        let tables = file.root.tables("candidate");
        let is_told = file.root.removed.contains(&"candidate") || tables.len() > CANDIDATES_MAX;
        !is_told && tables.iter().all(|(_, table)| name(table).is_some())
    }

    /// Of several candidates the one that the environment speaks of, where it speaks of one.
    fn candidate_of_env(&mut self, names: &[Option<&str>]) -> Option<usize> {
        let said = FROM_ENV.iter().find(|name| self.is_in_env(name))?;
        let named = names.iter().position(|name| *name == Some(CANDIDATE));
        match named {
            Some(index) => Some(index),
            None if names.len() <= 1 => Some(0),
            None => {
                let known: Vec<_> = names.iter().flatten().copied().collect();
                let slot = self.slot(said);
                if let Some(given) = self.given(&slot) {
                    let why =
                        format!("is for one candidate, and the file has {}", known.join(", "));
                    let allowed = format!(
                        "to take {said} out of the environment, one [[candidate]] in the file, or one \
                         with the name \"candidate\", which it is then for"
                    );
                    self.bad_for(&slot, &given, &why, &allowed);
                }
                None
            }
        }
    }

    fn candidate(
        &mut self,
        scope: &Scope<'a>,
        id: &str,
        at: Range<usize>,
        trusted: &[String],
    ) -> Candidate {
        self.read_optional_in(&scope.slot("name"), candidate_name);
        let url = scope.slot("url");
        let is_told = scope.table.is_some_and(|table| table.removed.contains(&"url"));
        if !self.is_set(&url) && !is_told {
            let what = format!("candidate.url: is missing; allowed is {}", url.setting.allowed);
            self.tell(at, &what, None);
        }
        let enabled = self.read_in(&scope.slot("enabled"), values::boolean);
        let target = self.upstream_in(scope);
        let trust = self.read_optional_in(&scope.slot("trust"), values::level);
        let redact = self.read_optional_in(&scope.slot("redact"), values::boolean);
        let is_trusted = trust.is_some_and(|level| trusted.contains(&level));
        Candidate {
            enabled,
            redacted: redact.unwrap_or(!is_trusted),
            share: self.read_optional_in(&scope.slot("share"), Share::parse),
            rate: self.read_optional_in(&scope.slot("rate"), Rate::parse),
            timeout: self.read_optional_in(&scope.slot("timeout"), values::duration_above_zero),
            queue_size: self.read_optional_in(&scope.slot("queue_size"), values::permits),
            concurrency: self.read_optional_in(&scope.slot("concurrency"), values::permits),
            thresholds: Thresholds {
                observe_only: self.observe_only(&scope.inner("guardrail")),
                ..self.thresholds(&scope.inner("guardrail"))
            },
            allowances: self.allowances(&scope.inner("report")),
            ..Candidate::new(id, target)
        }
    }

    fn observe_only(&mut self, scope: &Scope<'a>) -> Option<bool> {
        self.read_optional_in(&scope.slot("mode"), |text| match text {
            "on" => Ok(false),
            "observe" => Ok(true),
            _ => Err("is unknown".to_owned()),
        })
    }

    /// What a candidate or a route says of the guardrail.
    pub(super) fn thresholds(&mut self, scope: &Scope<'a>) -> Thresholds {
        Thresholds {
            latency_ratio: self.read_optional_in(&scope.slot("latency_ratio"), values::above_zero),
            error_delta: self.read_optional_in(&scope.slot("error_delta"), values::zero_or_more),
            consecutive: self
                .read_optional_in(&scope.slot("consecutive"), |text| values::whole(text, 1)),
            latency_floor: self.read_optional_in(&scope.slot("latency_floor"), values::duration),
            cooldown: self.read_optional_in(&scope.slot("cooldown"), values::duration_above_zero),
            mismatch_rate: self.read_optional_in(&scope.slot("mismatch_rate"), values::rate_or_off),
            observe_only: None,
        }
    }

    /// What a candidate or a route says of the report.
    pub(super) fn allowances(&mut self, scope: &Scope<'a>) -> Allowances {
        Allowances {
            mismatch_rate: self.read_optional_in(&scope.slot("mismatch_rate"), values::rate),
            status_rate: self.read_optional_in(&scope.slot("status_rate"), values::rate),
        }
    }
}

/// The name that a table gives itself.
pub(super) fn name(table: &Table) -> Option<&str> {
    match &table.get("name")?.value {
        Value::Text(name) => Some(name),
        _ => None,
    }
}

fn candidate_name(text: &str) -> values::Parsed<()> {
    match RESERVED.contains(&text) {
        true => Err("is a label of others".to_owned()),
        false => values::plain_name(text).map(drop),
    }
}

#[cfg(test)]
mod tests;
