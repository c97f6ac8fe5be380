//! The report: of one candidate or of all, of one route or of all, as JSON or for people.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State as Shared};
use axum::http::header::{
    ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::query::{Parameters, Query, bad};
use super::rules::tell_what_is_left_of;
use super::{About, Control, NotFound, beside_traffic, called, named};
use crate::access::Sight;
use crate::mirror::between::Between;
use crate::observe::Observe;
use crate::plan::Plan;
use judge::report::Summary;
use judge::report::format::Format;
use judge::report::page::Shown;
use judge::report::summarize;
use judge::report::summary::UnusedRule;

/// Formats by the media types that ask for them; JSON is for whoever names none of them.
const TYPES: [(&str, Format); 6] = [
    ("application/json", Format::Json),
    ("text/plain", Format::Text),
    ("text/markdown", Format::Markdown),
    ("text/html", Format::Html),
    ("application/xml", Format::Junit),
    ("text/xml", Format::Junit),
];
/// What a browser may do with the page: nothing but show it.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// Which report is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    candidate: Option<String>,
    route: Option<String>,
    /// Another candidate, which stands where the baseline does.
    against: Option<String>,
    /// Over what `Accept` says.
    format: Option<String>,
    /// Whether all is shown; JSON has all anyway.
    verbose: Option<bool>,
}

impl Parameters for Wanted {
    const NAMES: &'static [&'static str] = &["candidate", "route", "against", "format", "verbose"];
}

impl Wanted {
    /// The same, with the route as the settings call it.
    fn called(self, plan: &Plan) -> Result<Self, NotFound> {
        Ok(Self { route: called(plan, self.route)?, ..self })
    }
}

pub(super) async fn report(
    Shared(control): Shared<Control>,
    Extension(sight): Extension<Sight>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    let named = wanted.format.as_deref().map_or_else(|| Ok(accepted(&headers)), Format::parse);
    let format = match named {
        Ok(format) => format,
        Err(why) => return bad(&format!("format={why}")),
    };
    beside_traffic(move || {
        let wanted = match wanted.called(&control.lanes().plan) {
            Ok(wanted) => wanted,
            Err(not_found) => return not_found.into_response(),
        };
        let summaries = match summaries(&control, &wanted, sight) {
            Ok(summaries) => summaries,
            Err(not_found) => return not_found.into_response(),
        };
        let mut response = match in_form(format, &summaries, &wanted) {
            Some(text) => text.into_response(),
            None => report_json(summaries, control.lanes().entries.len() > 1),
        };
        dress(response.headers_mut(), format);
        response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
        response
    })
    .await
}

/// What is wanted of the report, by candidate; of one route for those that have pairs of it.
fn summaries(
    control: &Control,
    wanted: &Wanted,
    sight: Sight,
) -> Result<Vec<(Arc<str>, Summary)>, NotFound> {
    let observed = named(&control.lanes(), wanted.candidate.as_deref())?;
    let mut summaries = match &wanted.against {
        Some(against) => vec![summary_between(control, wanted, against)?],
        None => observed.iter().map(|it| summary(control, it)).collect(),
    };
    if let Some(denied) = sight.without_values() {
        let hidden =
            summaries.into_iter().map(|(name, it)| (name, it.without_values(denied.withheld())));
        summaries = hidden.collect();
    }
    if let Some(route) = &wanted.route {
        for (_, it) in &mut summaries {
            it.routes.retain(|it| it.route == *route);
            it.awaited_routes.retain(|it| it == route);
        }
        summaries.retain(|(_, it)| !it.routes.is_empty());
        if summaries.is_empty() {
            return Err(NotFound(format!("route={route:?}: had no pair yet, or there is none")));
        }
    }
    Ok(summaries)
}

/// The report of each candidate, by name, for who may see all of it.
pub fn reports(control: &Control) -> BTreeMap<String, Summary> {
    let lanes = control.lanes();
    let observed = lanes.entries.iter().map(|entry| &entry.lane.observe);
    let each = observed.map(|it| summary(control, it));
    each.map(|(name, summary)| (name.to_string(), summary)).collect()
}

fn summary(control: &Control, of: &Observe) -> (Arc<str>, Summary) {
    let mut summary = summarize(&of.report_snapshot(), &of.allowed());
    let plan = &control.lanes().plan;
    summary.unused_rules = plan.unused_rules().iter().map(UnusedRule::from).collect();
    let known = summary.routes.iter().map(|it| it.route.as_str());
    summary.awaited_routes = awaited(plan, of, known);
    tell_what_is_left_of(control, of, &mut summary);
    (of.name(), summary)
}

/// Routes of the settings that are meant for a candidate, and others of which a request was, without a pair.
pub(super) fn awaited<'k>(
    plan: &Plan,
    of: &Observe,
    known: impl Iterator<Item = &'k str>,
) -> Vec<String> {
    let known: BTreeSet<_> = known.collect();
    let (name, seen) = (of.name(), of.labels());
    let all: BTreeSet<_> = plan.labels_for(&name).chain(&seen).map(|it| &**it).collect();
    all.difference(&known).map(|it| (*it).to_owned()).collect()
}

/// The report of two candidates, one of which stands where the baseline does.
fn summary_between(
    control: &Control,
    wanted: &Wanted,
    against: &str,
) -> Result<(Arc<str>, Summary), NotFound> {
    let lanes = control.lanes();
    let asked = |it: &&Arc<Between>| {
        let [first, second] = &it.names;
        **first == *against && wanted.candidate.as_deref() == Some(&**second)
    };
    let Some(between) = lanes.between.iter().find(asked) else {
        let known = lanes.between.iter().map(|it| {
            let [first, second] = &it.names;
            format!("candidate={second}&against={first}")
        });
        let known = known.collect::<Vec<_>>().join(", ");
        return Err(NotFound(format!(
            "against={against:?}: is no such report; there are, with mirror.compare_candidates: \
             [{known}]"
        )));
    };
    let [_, second] = &between.names;
    Ok((Arc::clone(second), summarize(&between.report_snapshot(), &between.allowed())))
}

/// Where there are several candidates, the report of the first that is asked for, with its name, and
/// beside it all of them by name.
#[derive(Serialize)]
struct Reports {
    #[serde(flatten)]
    first: Summary,
    candidate: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    candidates: BTreeMap<String, Summary>,
}

fn report_json(summaries: Vec<(Arc<str>, Summary)>, several: bool) -> Response {
    let (name, first) = summaries[0].clone();
    if !several {
        return Json(first).into_response();
    }
    let all = summaries.into_iter().map(|(name, summary)| (name.to_string(), summary));
    let mut candidates: BTreeMap<_, _> = all.collect();
    if candidates.len() == 1 {
        candidates.clear();
    }
    Json(Reports { first, candidate: name.to_string(), candidates }).into_response()
}

/// In a form for people or pipelines; `None` for JSON.
fn in_form(format: Format, summaries: &[(Arc<str>, Summary)], wanted: &Wanted) -> Option<String> {
    let several = summaries.len() > 1;
    let verbose = wanted.verbose.unwrap_or_default();
    let shown = summaries.iter().map(|(name, summary)| Shown {
        name: several.then_some(&**name),
        summary,
        route: summary.routes.first().filter(|_| wanted.route.is_some()),
        verbose,
    });
    format.render(&shown.collect::<Vec<_>>())
}

/// What is said of the report. What it shows was written by others: nobody is to guess that it is
/// something else, and a browser is to do nothing with it.
fn dress(headers: &mut HeaderMap, format: Format) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if format == Format::Html {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    }
}

/// The first format that `Accept` (RFC 9110, section 12.5.1) names, but JSON where that is among them.
fn accepted(headers: &HeaderMap) -> Format {
    let lines = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = lines.flat_map(|line| line.split(','));
    let types = ranges.map(|range| range.split(';').next().unwrap_or_default().trim());
    let known = types.filter_map(|named| {
        TYPES.iter().find(|(media, _)| named.eq_ignore_ascii_case(media)).map(|(_, format)| *format)
    });
    let named: Vec<_> = known.collect();
    let first = named.first().copied().unwrap_or(Format::Json);
    if named.contains(&Format::Json) { Format::Json } else { first }
}

pub(super) async fn reset(
    Shared(control): Shared<Control>,
    Query(mut about): Query<About>,
) -> Result<Response, NotFound> {
    let lanes = control.lanes();
    let observed = about.observed(&lanes)?;
    let message = match &about.route {
        Some(route) if !observed.iter().any(|it| it.has_seen(route)) => {
            return Err(NotFound(format!(
                "route={route:?}: has no report: its requests have another label, or there were none"
            )));
        }
        Some(route) => {
            observed.iter().for_each(|it| it.reset_report_of(route));
            "report of the route reset"
        }
        None => {
            observed.iter().for_each(|it| it.reset_report());
            lanes.between.iter().for_each(|it| it.reset());
            "report reset"
        }
    };
    // By hand, the candidate may be another one.
    observed.iter().for_each(|it| it.forget_kept(about.route.as_deref()));
    Ok(Json(json!({"message": message})).into_response())
}
