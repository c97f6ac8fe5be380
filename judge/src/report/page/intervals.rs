//! What the verdicts rest on: where each number lies, and what is allowed.

use super::{Block, Section, View, more};
use crate::report::amount::{millis, percent};
use crate::report::headline::{allowed, worse_first};
use crate::report::line::Line;
use crate::report::plain::short;
use crate::report::summary::{Excess, Quantile, RouteSummary, Scope, Thresholds};
use crate::verdict::Verdict;

/// Routes whose intervals are shown beside those over all.
const SHOWN: usize = 3;

const HEAD: [&str; 6] = ["of", "", "seen", "interval", "allowed", "verdict"];

pub(super) fn section(view: &View<'_>) -> Section {
    if view.scope().pairs == 0 {
        return Section::new("Intervals", Vec::new());
    }
    let mut table = vec![HEAD.map(str::to_owned).to_vec()];
    if view.alone.is_none() {
        rows(&mut table, "all routes", &view.summary.allowed, &view.summary.overall);
    }
    let mut routes = view.routes.clone();
    // What does not fail needs no explanation.
    let fails = |it: &RouteSummary| it.scope.verdict == Verdict::Fail;
    routes.retain(|it| fails(it) || view.verbose || view.alone.is_some());
    routes.sort_by(|one, other| {
        fails(other).cmp(&fails(one)).then(worse_first(&one.scope, &other.scope))
    });
    let (routes, left) = view.first(routes, SHOWN);
    for route in routes {
        rows(&mut table, &route.route, allowed(view.summary, Some(route)), &route.scope);
    }
    let mut blocks = vec![Block::Table(table)];
    blocks.extend(more(left, "route"));
    blocks.push(how_sure(view));
    Section { is_detail: true, ..Section::new("Intervals", blocks) }
}

fn how_sure(view: &View<'_>) -> Block {
    let alpha = percent(view.scope().alpha);
    let line = format!(
        "a verdict is wrong with a probability of at most {alpha}, however often one looks"
    );
    let below = if view.verbose { vec![view.summary.method.as_str()] } else { Vec::new() };
    Block::Item(Line::new(line), below.into_iter().map(Line::new).collect())
}

fn rows(table: &mut Vec<Vec<String>>, name: &str, allowed: &Thresholds, scope: &Scope) {
    let mut row = |cells: [String; 4], verdict: Option<Verdict>| {
        let [what, seen, interval, allowed] = cells;
        let verdict = verdict.map_or("", Verdict::name).to_owned();
        table.push(vec![short(name), what, seen, interval, allowed, verdict]);
    };
    for (cells, verdict) in shares(allowed, scope) {
        row(cells, verdict);
    }
    let latency = scope.latency;
    let all = [latency.p50, latency.p90, latency.p99, latency.p999];
    let floor = millis(Some(allowed.latency_floor_seconds));
    let limit = match latency.judged {
        true => format!("{:.2} times or {floor} more", allowed.latency_ratio),
        false => "not judged".to_owned(),
    };
    let settled = |verdict: Verdict| latency.judged.then_some(verdict);
    for (name, found) in ["p50", "p90", "p99", "p99.9"].into_iter().zip(all) {
        let Quantile { baseline_seconds, candidate_seconds, ratio, excess } = found;
        let [ours, theirs] = [baseline_seconds, candidate_seconds].map(millis);
        let ratio = ratio.map_or("any".to_owned(), |ratio| format!("{ratio:.2}"));
        let seen = format!("baseline {ours}, candidate {theirs}, ratio {ratio}");
        let cells = [format!("latency {name}"), seen, beyond(excess), limit.clone()];
        row(cells, settled(excess.verdict));
    }
    let Excess { difference, verdict, .. } = latency.far;
    let seen = format!("{} more above 4 times the baseline's p99", percent(difference));
    row(["latency far".to_owned(), seen, beyond(latency.far), String::new()], settled(verdict));
}

type Row = ([String; 4], Option<Verdict>);

fn shares(allowed: &Thresholds, scope: &Scope) -> [Row; 3] {
    let (found, errors) = (scope.mismatches, scope.errors);
    let apart = match found.without_content {
        0 => String::new(),
        some => format!(", {some} more agree without content"),
    };
    let differ = format!(
        "{:.2} % net ({} of {}, {} raw{apart})",
        100.0 * found.rate,
        found.net,
        found.compared,
        found.raw
    );
    let failed = format!(
        "baseline {:.2} %, candidate {:.2} %",
        100.0 * errors.baseline_rate,
        100.0 * errors.candidate_rate
    );
    let differ = [
        "mismatches".to_owned(),
        differ,
        span(found.lower, found.upper),
        percent(allowed.mismatch_rate),
    ];
    let statuses = [
        "statuses".to_owned(),
        format!("{} of another class", found.other_class),
        format!("up to {:.2} %", 100.0 * found.other_class_upper),
        percent(allowed.status_rate),
    ];
    let failed = [
        "errors".to_owned(),
        failed,
        span(errors.lower, errors.upper),
        percent(allowed.error_delta),
    ];
    [(differ, Some(found.verdict)), (statuses, None), (failed, Some(errors.verdict))]
}

fn span(lower: f64, upper: f64) -> String {
    format!("{:.2} to {:.2} %", 100.0 * lower, 100.0 * upper)
}

fn beyond(found: Excess) -> String {
    format!("{} more beyond it", span(found.lower, found.upper))
}
