//! One row of the overview: a route.

use askama::Template;

use super::{Candidate, Part, Route, class_of, id_of, label, route_href};
use crate::page::chart::{self, Bounds, Line};
use crate::page::shell::html;
use crate::page::words::{NONE, count, lasting, latency, percent};
use judge::guardrail::State;
use judge::history::{Minute, Quantiles};
use judge::report::summary::{Quantile, Scope};

/// Minutes that are one point of a line: rows are small and many.
const TOGETHER: usize = 2;

#[derive(Template)]
#[template(path = "row.html")]
struct Row {
    id: String,
    href: String,
    label: String,
    badge: Option<String>,
    share: String,
    pairs: String,
    /// What the pairs say; `None` without any.
    numbers: Option<Numbers>,
}

struct Numbers {
    class: &'static str,
    verdict: &'static str,
    mismatches: String,
    between: String,
    bounds: String,
    errors: [String; 2],
    errors_class: &'static str,
    p50: [String; 2],
    p99: [String; 2],
    latency_class: &'static str,
    latencies: String,
    differing: String,
}

/// The row of a route.
pub(super) fn row(candidate: &Candidate, route: &Route) -> Part {
    let id = id_of(&route.label);
    let row = Row {
        id: id.clone(),
        href: route_href(&candidate.name, &route.label),
        label: label(&route.label),
        badge: route.state.and_then(|state| badge(state, candidate)),
        share: route.share.map_or_else(|| NONE.to_owned(), percent),
        pairs: count(route.pairs()),
        numbers: route.scope.as_ref().map(|scope| numbers(route, scope)),
    };
    Part { id, html: html(&row) }
}

/// What is to be said of a route's own state; `None` where it is simply on.
fn badge(state: State, candidate: &Candidate) -> Option<String> {
    match state {
        State::Enabled => None,
        State::Probation => Some("probation".to_owned()),
        State::Held => Some("off by hand".to_owned()),
        State::Tripped { until } => {
            let left = until.saturating_sub(candidate.since_origin);
            let when = if left.is_zero() {
                "with the next request".to_owned()
            } else {
                format!("in {}", lasting(left))
            };
            Some(format!("tripped, resumes {when}"))
        }
    }
}

fn numbers(route: &Route, scope: &Scope) -> Numbers {
    let Scope { mismatches, errors, latency: times, .. } = scope;
    let bounds = Bounds {
        lower: mismatches.lower,
        upper: mismatches.upper,
        seen: mismatches.rate,
        allowed: Some(route.allowed.mismatch_rate),
    };
    Numbers {
        class: class_of(scope.verdict),
        verdict: scope.verdict.name(),
        mismatches: percent(mismatches.rate),
        between: format!("{} to {}", percent(mismatches.lower), percent(mismatches.upper)),
        bounds: bounds.of_share(class_of(mismatches.verdict)),
        errors: [percent(errors.baseline_rate), percent(errors.candidate_rate)],
        errors_class: class_of(errors.verdict),
        p50: both(&times.p50),
        p99: both(&times.p99),
        latency_class: class_of(times.verdict),
        latencies: latencies(&route.hour),
        differing: differing(&route.hour),
    }
}

fn both(quantile: &Quantile) -> [String; 2] {
    [quantile.baseline_seconds, quantile.candidate_seconds].map(latency)
}

/// The p99 of both sides over the last hour.
pub(super) fn latencies(hour: &[Minute]) -> String {
    let p99 = |side: fn(&Minute) -> Option<Quantiles>| {
        let of = move |it: &Minute| side(it).map(|it| f64::from(it.p99));
        hour.chunks(TOGETHER).map(move |some| some.iter().filter_map(of).reduce(f64::max))
    };
    let (baseline, candidate) = (p99(|it| it.baseline), p99(|it| it.candidate));
    let lines = [Line::new("baseline", baseline), Line::new("candidate", candidate)];
    chart::spark(&lines, "p99 over the last hour")
}

pub(super) fn differing(hour: &[Minute]) -> String {
    let sum = |some: &[Minute]| some.iter().map(|it| f64::from(it.differing)).sum();
    let values: Vec<f64> = hour.chunks(TOGETHER).map(sum).collect();
    chart::bars(&values, "bad", "differing pairs over the last hour")
}
