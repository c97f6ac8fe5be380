//! Rules of the comparison by hand: what they would do to the last pairs that differed, and applied until they
//! are withdrawn.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, http};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::query::{Nothing, Parameters, Query, bad};
use super::{About, Control, NotFound, beside_traffic, too_large, trail};
use crate::headers::Peer;
use crate::observe::Observe;
use crate::plan::{Fragment, Plan};
use compare::rules::What;
use compare::{Difference, RouteRules};
use judge::report::Summary;
use judge::report::summary::FieldSummary;

/// Fields told of, before and after.
const FIELDS_MAX: usize = 200;

/// What differs in the pairs that were kept, by one set of rules.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Differing {
    /// Pairs that differ.
    pairs: usize,
    /// In which fields, those of the most pairs first.
    fields: Vec<DifferingField>,
}

/// A field, and in how many pairs it differs so.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DifferingField {
    route: String,
    field: String,
    kind: &'static str,
    pairs: usize,
}

/// What rules would do.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WhatIf {
    candidate: String,
    /// Pairs that were judged again.
    pairs: usize,
    /// Of these, those whose bodies could not be kept: they differ as they did.
    not_judged: usize,
    before: Differing,
    after: Differing,
    /// The same in words.
    pub(super) leaves: String,
}

/// What the last pairs that differed would be by today's rules and these.
pub(super) fn what_if(
    observe: &Observe,
    plan: &Plan,
    route: Option<&str>,
    rules: &Fragment,
) -> WhatIf {
    let candidate = observe.name();
    let labels: Option<Vec<&str>> = rules.labels();
    let is_meant = |label: &str| labels.as_ref().is_none_or(|labels| labels.contains(&label));
    let ignored = |label: &str| ignored_headers(rules, label);
    let mut known: BTreeMap<_, Option<[RouteRules; 2]>> = BTreeMap::new();
    let (mut before, mut after) = (Counts::default(), Counts::default());
    let (mut pairs, mut not_judged) = (0, 0);
    for (label, kept) in observe.kept_pairs(route) {
        let both = known.entry((Arc::clone(&kept.id), Arc::clone(&label))).or_insert_with(|| {
            let terms = plan.terms(&kept.id, &candidate)?;
            Some([terms.rules_with(&label, None), terms.rules_with(&label, Some(rules))])
        });
        // Its route is no more.
        let Some([today, then]) = both else { continue };
        pairs += 1;
        not_judged += usize::from(kept.answers.iter().any(|answer| answer.body.is_none()));
        let now = kept.judged_by(&today.rules, &|_| false);
        before.count(&label, &now);
        if is_meant(&label) {
            let ignored = ignored(&label);
            let then = kept.judged_by(&then.rules, &|name| ignored.contains(name));
            after.count(&label, &then);
        } else {
            after.count(&label, &now);
        }
    }
    let (before, after) = (before.shown(), after.shown());
    let leaves = leaves([&before, &after], not_judged);
    WhatIf { candidate: candidate.to_string(), pairs, not_judged, before, after, leaves }
}

/// Before and after in words. Of pairs that were not judged again nothing is promised.
fn leaves(both: [&Differing; 2], not_judged: usize) -> String {
    let plural =
        |count: usize, of: &str| format!("{count} {of}{}", if count == 1 { "" } else { "s" });
    let told = |it: &Differing| {
        format!("{} in {}", plural(it.fields.len(), "field"), plural(it.pairs, "pair"))
    };
    let [before, after] = both.map(told);
    let open = match not_judged {
        0 => String::new(),
        count => format!("; {} could not be judged again", plural(count, "pair")),
    };
    format!("{before} would become {after}{open}")
}

fn ignored_headers(rules: &Fragment, label: &str) -> BTreeSet<String> {
    let sets = rules.rules.iter().filter(|(of, _)| of.as_ref().is_none_or(|of| of == label));
    let header = |what: &What| match what {
        What::IgnoreHeader(name) => Some(name.to_string()),
        _ => None,
    };
    sets.flat_map(|(_, set)| set.rules.iter().filter_map(|rule| header(&rule.what))).collect()
}

/// Pairs that differ, and by route, field and kind.
#[derive(Default)]
struct Counts {
    pairs: usize,
    fields: BTreeMap<(Arc<str>, String, &'static str), usize>,
}

impl Counts {
    fn count(&mut self, label: &Arc<str>, found: &[Difference]) {
        self.pairs += usize::from(!found.is_empty());
        let fields = found.iter().map(|it| (it.field.clone(), it.kind.name()));
        for (field, kind) in fields.collect::<BTreeSet<_>>() {
            *self.fields.entry((Arc::clone(label), field, kind)).or_default() += 1;
        }
    }

    fn shown(self) -> Differing {
        let field = |((route, field, kind), pairs): ((Arc<str>, String, _), _)| DifferingField {
            route: route.to_string(),
            field,
            kind,
            pairs,
        };
        let mut fields: Vec<_> = self.fields.into_iter().map(field).collect();
        fields.sort_by_key(|it| std::cmp::Reverse(it.pairs));
        fields.truncate(FIELDS_MAX);
        Differing { pairs: self.pairs, fields }
    }
}

/// The rules in a body, or why there are none.
fn said(control: &Control, body: Result<Bytes, BytesRejection>) -> Result<Fragment, Box<Response>> {
    let body = body.map_err(|why| match why.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        _ => bad(&why.body_text()),
    })?;
    let text = std::str::from_utf8(&body).map_err(|_| bad("the rules are no UTF-8"))?;
    Ok(control.steer.read_rules(text).map_err(|why| bad(why.trim_end()))?)
}

/// Judges the last pairs that differed again, by today's rules and those of the body. Applies nothing.
pub(super) async fn whatif(
    Shared(control): Shared<Control>,
    Query(mut about): Query<About>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let rules = match said(&control, body) {
        Ok(rules) => rules,
        Err(answer) => return *answer,
    };
    beside_traffic(move || {
        let lanes = control.lanes();
        if let Err(why) = lanes.plan.has_room(&rules) {
            return bad(&why);
        }
        let observed = match about.observed(&lanes) {
            Ok(observed) => observed,
            Err(not_found) => return not_found.into_response(),
        };
        let route = about.route.as_deref();
        let one = |it: &Arc<Observe>| what_if(it, &lanes.plan, route, &rules);
        let told: Vec<_> = observed.iter().map(one).collect();
        Json(json!({"candidates": told})).into_response()
    })
    .await
}

pub(super) async fn show(
    Shared(control): Shared<Control>,
    Query(Nothing {}): Query<Nothing>,
) -> Json<Value> {
    Json(json!({"applied": control.steer.applied()}))
}

pub(super) async fn apply(
    Shared(control): Shared<Control>,
    Query(Nothing {}): Query<Nothing>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let rules = match said(&control, body) {
        Ok(rules) => rules,
        Err(answer) => return *answer,
    };
    let recorded = Extension(trail::Said(json!({"rules": rules.text})));
    let by = trail::who(&control.steer, &headers, peer.as_deref());
    let answer = match control.steer.apply(rules, by) {
        Ok(applied) => Json(json!({"applied": applied})).into_response(),
        Err(why) => super::refused(http::StatusCode::CONFLICT, "conflict", &why),
    };
    (recorded, answer).into_response()
}

/// Which rules.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    id: Option<u64>,
}

impl Which {
    /// Those under this id.
    pub(super) fn of(id: u64) -> Self {
        Self { id: Some(id) }
    }
}

impl Parameters for Which {
    const NAMES: &'static [&'static str] = &["id"];
}

pub(super) async fn withdraw(
    Shared(control): Shared<Control>,
    Query(Which { id }): Query<Which>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Response {
    let by = trail::who(&control.steer, &headers, peer.as_deref());
    match control.steer.withdraw(id, &by) {
        Ok(Value::Array(gone)) if gone.is_empty() && id.is_some() => {
            let why = format!("id={}: no rules are applied under it", id.unwrap_or_default());
            NotFound(why).into_response()
        }
        Ok(gone) => Json(json!({"withdrawn": gone})).into_response(),
        Err(why) => super::refused(http::StatusCode::CONFLICT, "conflict", &why),
    }
}

/// Fills in what each suggestion of these fields would leave.
pub(super) fn tell_what_is_left<'f>(
    control: &Control,
    observe: &Observe,
    fields: impl Iterator<Item = &'f mut FieldSummary>,
) {
    let plan = &control.lanes().plan;
    let suggested = fields.filter(|field| field.suggestion.is_some());
    for field in suggested.take(SUGGESTIONS_TRIED) {
        let Some(suggestion) = &mut field.suggestion else { continue };
        let rules = control.steer.read_rules(&suggestion.rule);
        if let Ok(rules) = rules.and_then(|it| plan.has_room(&it).map(|()| it)) {
            let told = what_if(observe, plan, Some(&field.route), &rules);
            suggestion.leaves = (told.pairs > 0).then_some(told.leaves);
        }
    }
}

/// The same for the worst fields and those of each route of a report.
pub(super) fn tell_what_is_left_of(control: &Control, observe: &Observe, summary: &mut Summary) {
    let fields = summary.routes.iter_mut().flat_map(|route| route.fields.iter_mut());
    tell_what_is_left(control, observe, fields);
    for worst in &mut summary.worst_fields {
        let Some(suggestion) = worst.suggestion.as_mut() else { continue };
        let of_route = summary.routes.iter().filter(|route| route.route == worst.route);
        let mut same =
            of_route.flat_map(|route| &route.fields).filter_map(|it| it.suggestion.as_ref());
        let same = same.find(|it| it.rule == suggestion.rule);
        suggestion.leaves = same.and_then(|it| it.leaves.clone());
    }
}

/// Suggestions that are tried at once on the pairs that were kept: each takes some milliseconds at most.
const SUGGESTIONS_TRIED: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_pairs_that_cannot_be_judged_again_nothing_is_promised() {
        let (one, none) = (Differing { pairs: 1, fields: Vec::new() }, Differing::default());
        assert_eq!(leaves([&one, &none], 0), "0 fields in 1 pair would become 0 fields in 0 pairs");
        assert_eq!(
            leaves([&one, &one], 1),
            "0 fields in 1 pair would become 0 fields in 1 pair; 1 pair could not be judged again"
        );
    }
}
