//! The pages of single routes, differences, events and settings.

use std::sync::Arc;

use axum::extract::{Extension, State as Shared};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;

use super::{gather, not_found, page, shell};
use crate::access::Sight;
use crate::control::query::{Parameters, Query};
use crate::control::rules::tell_what_is_left;
use crate::control::trail::{ShowsNone, ShowsValues};
use crate::control::{Control, NotFound, beside_traffic, called, named, shown};
use crate::observe::kept::Kept;
use crate::observe::{Observe, event};
use crate::page::differences::{self, Asked};
use crate::page::timeline::Sort;
use crate::page::{
    View, route as route_page, settings as settings_page, timeline as timeline_page,
};
use crate::plan::{OTHERS, Plan};
use judge::report::summary::FieldSummary;
use judge::report::{Summary, summarize};

/// Why values are not shown, where they are not.
fn withheld(sight: Sight) -> Option<&'static str> {
    sight.without_values().map(|denied| denied.withheld())
}

/// A page that may have values of traffic in it: what was looked at is recorded, and not that somebody has a list open.
fn with_values(sight: Sight, has_values: bool, html: String) -> Response {
    if has_values && sight == Sight::Values {
        (Extension(ShowsValues), page(html)).into_response()
    } else {
        (Extension(ShowsNone), page(html)).into_response()
    }
}

/// The candidate that is asked for, or the first, and the names of all.
fn of_candidate(
    control: &Control,
    name: Option<&str>,
) -> Result<(Arc<Observe>, Vec<String>), NotFound> {
    let lanes = control.lanes();
    let observed = named(&lanes, name)?;
    let names = lanes.entries.iter().map(|it| it.lane.observe.name().to_string()).collect();
    let first = observed.into_iter().next();
    let first = first.ok_or_else(|| NotFound("there is no candidate".to_owned()))?;
    Ok((first, names))
}

/// What is known of one route, without what may not be seen.
fn summary_of(observe: &Observe, route: Option<&str>, sight: Sight) -> Summary {
    let findings = match route {
        Some(route) => observe.report_snapshot_of(route),
        None => observe.report_snapshot(),
    };
    let summary = summarize(&findings, &observe.allowed());
    match withheld(sight) {
        Some(why) => summary.without_values(why),
        None => summary,
    }
}

/// Which route is asked for.
#[derive(Debug, Default, Deserialize)]
pub(in crate::control) struct AskedRoute {
    candidate: Option<String>,
    route: Option<String>,
}

impl Parameters for AskedRoute {
    const NAMES: &'static [&'static str] = &["candidate", "route"];
}

pub(in crate::control) async fn route(
    Shared(control): Shared<Control>,
    Extension(sight): Extension<Sight>,
    Query(asked): Query<AskedRoute>,
) -> Response {
    beside_traffic(move || match seen_route(&control, asked, sight) {
        Ok((seen, names)) => {
            let shell = shell(&control, View::Route, withheld(sight));
            let shell = shell.of_candidate(&seen.candidate, &names);
            let has_values = matches!(seen.copy, Some(Some(_)));
            with_values(sight, has_values, route_page::page(shell, &seen))
        }
        Err(why) => not_found(&control.steer, View::Route, why),
    })
    .await
}

fn seen_route(
    control: &Control,
    asked: AskedRoute,
    sight: Sight,
) -> Result<(route_page::Seen, Vec<String>), NotFound> {
    let (observe, names) = of_candidate(control, asked.candidate.as_deref())?;
    let plan = Arc::clone(&control.lanes().plan);
    let label = called(&plan, asked.route)?.unwrap_or_default();
    if !plan.has_route(&label) && !observe.knows(&label) {
        return Err(NotFound(format!(
            "route={label:?}: had no request yet, and is no route of the settings"
        )));
    }
    let findings = observe.report_snapshot_of(&label);
    let latencies = findings
        .routes
        .first()
        .map(|it| [&it.numbers.baseline, &it.numbers.candidate].map(|it| it.buckets().collect()));
    let mut summary = summary_of(&observe, Some(&label), sight);
    let summary_of_route = summary.routes.pop();
    let own = summary_of_route.as_ref().and_then(|it| it.allowed);
    let guardrail = observe.snapshot();
    let state = guardrail.routes.iter().find(|it| it.route == label).map(|it| it.state);
    let seen = route_page::Seen {
        candidate: observe.name(),
        summary: summary_of_route,
        allowed: own.unwrap_or(summary.allowed),
        latencies: latencies.unwrap_or_default(),
        hour: observe.last_hour(Some(&label)),
        is_on: state.is_none_or(|it| it.is_on()) && observe.part_of(&label, &label) > 0.0,
        state: state.map(|it| it.name()),
        share: gather::share(&plan, &observe, &label),
        share_said: gather::share_said(&plan, &observe.name(), &label),
        policy: policy(control, &plan, &label, sight),
        copy: (sight == Sight::Values).then(|| observe.last_copy(&label)),
        is_of_settings: plan.has_route(&label),
        label,
    };
    Ok((seen, names))
}

/// What holds for a route, for those who may see what the settings say.
fn policy(control: &Control, plan: &Plan, label: &str, sight: Sight) -> Option<Value> {
    if matches!(sight, Sight::Counts(_)) {
        return None;
    }
    let id = &gather::treatment(plan, label)?.policy.id;
    let id = if **id == *OTHERS { "(all others)" } else { id };
    let settings = control.steer.settings();
    settings["routes"].as_array()?.iter().find(|it| it["route"] == *id).cloned()
}

/// Which differences are asked for.
#[derive(Debug, Default, Deserialize)]
pub(in crate::control) struct AskedDifferences {
    candidate: Option<String>,
    route: Option<String>,
    kind: Option<String>,
    risk: Option<String>,
    text: Option<String>,
    noise: Option<String>,
    page: Option<usize>,
    open: Option<String>,
}

impl Parameters for AskedDifferences {
    const NAMES: &'static [&'static str] =
        &["candidate", "route", "kind", "risk", "text", "noise", "page", "open"];
}

impl AskedDifferences {
    fn of(self, candidate: &str) -> Asked {
        Asked {
            candidate: candidate.to_owned(),
            route: self.route.unwrap_or_default(),
            kind: self.kind.unwrap_or_default(),
            risk: self.risk.unwrap_or_default(),
            text: self.text.unwrap_or_default(),
            noise: self.noise.is_some_and(|it| !it.is_empty()),
            page: self.page.unwrap_or_default(),
            open: self.open.unwrap_or_default(),
        }
    }
}

pub(in crate::control) async fn differences(
    Shared(control): Shared<Control>,
    Extension(sight): Extension<Sight>,
    Query(asked): Query<AskedDifferences>,
) -> Response {
    beside_traffic(move || {
        let (observe, names) = match of_candidate(&control, asked.candidate.as_deref()) {
            Ok(found) => found,
            Err(why) => return not_found(&control.steer, View::Differences, why),
        };
        let asked = asked.of(&observe.name());
        let route = Some(asked.route.as_str()).filter(|it| !it.is_empty());
        let mut summary = summary_of(&observe, route, sight);
        // What the rule of the open group would leave; that of all of them would take longer.
        let fields = summary.routes.iter_mut().flat_map(|it| &mut it.fields);
        let open: Vec<_> = fields.filter(|it| differences::is_open(&asked, it)).collect();
        tell_what_is_left(&control, &observe, open.into_iter());
        let fields = summary.routes.into_iter().flat_map(|it| it.fields);
        let wanted = differences::wanted(&asked, fields);
        let (from, shown) = differences::on_page(&asked, &wanted);
        let mut groups: Vec<_> = shown.iter().map(|it| group(&observe, it)).collect();
        if sight == Sight::Values {
            let open = groups.iter_mut().filter(|it| differences::is_open(&asked, &it.field));
            open.for_each(|it| it.pair = pair_of(&observe, &it.field));
        }
        let shell = shell(&control, View::Differences, withheld(sight));
        let shell = shell.of_candidate(&asked.candidate, &names);
        let mut routes = observe.labels();
        routes.sort();
        let applied = differences::Applied::of(&control.steer.applied());
        let all = (&routes[..], &applied[..]);
        let html = differences::page(&shell, &asked, (wanted.len(), from), &groups, all);
        let has_values = groups.iter().any(|it| differences::is_open(&asked, &it.field));
        with_values(sight, has_values, html)
    })
    .await
}

/// The last pair that was kept of those that differ so.
fn pair_of(observe: &Observe, field: &FieldSummary) -> Option<Arc<Kept>> {
    observe.kept_pair(&field.route, |it| differences::is_of(field, it))
}

fn group(observe: &Observe, field: &FieldSummary) -> differences::Seen {
    let kind = field.kinds.first().map_or("", String::as_str);
    let hour = observe.last_hour_of_field(&field.route, &field.field, kind);
    differences::Seen { field: field.clone(), hour: hour.unwrap_or_default(), pair: None }
}

/// Which events are asked for.
#[derive(Debug, Default, Deserialize)]
pub(in crate::control) struct AskedEvents {
    of: Option<String>,
}

impl Parameters for AskedEvents {
    const NAMES: &'static [&'static str] = &["of"];
}

pub(in crate::control) async fn timeline(
    Shared(control): Shared<Control>,
    Extension(sight): Extension<Sight>,
    Query(asked): Query<AskedEvents>,
) -> Response {
    beside_traffic(move || {
        let events = control.steer.events().into_iter().map(|event| shown(event, sight));
        let events: Vec<_> = events.collect();
        let has_values = events.iter().any(|event| event::has_requests(&event["trip"]));
        let sort = asked.of.as_deref().and_then(Sort::named).unwrap_or_default();
        let shell = shell(&control, View::Timeline, withheld(sight));
        with_values(sight, has_values, timeline_page::page(&shell, &events, sort))
    })
    .await
}

/// Which settings are asked for.
#[derive(Debug, Default, Deserialize)]
pub(in crate::control) struct AskedSettings {
    text: Option<String>,
    defaults: Option<String>,
}

impl Parameters for AskedSettings {
    const NAMES: &'static [&'static str] = &["text", "defaults"];
}

pub(in crate::control) async fn settings(
    Shared(control): Shared<Control>,
    Query(asked): Query<AskedSettings>,
) -> Response {
    beside_traffic(move || {
        let asked = settings_page::Asked {
            text: asked.text.unwrap_or_default(),
            defaults: asked.defaults.is_some_and(|it| !it.is_empty()),
        };
        let unused = control.lanes().plan.unused_rules();
        let unused: Vec<_> = unused
            .iter()
            .map(|it| format!("{} ({}), in {} pairs", it.text, it.place, it.pairs))
            .collect();
        let shell = shell(&control, View::Settings, None);
        page(settings_page::page(&shell, &control.steer.settings(), &unused, &asked))
    })
    .await
}
