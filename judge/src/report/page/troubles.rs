//! What is slow or fails, and is settled to: a line for each route.

use super::{Block, Section, View, more};
use crate::report::amount::{millis, percent};
use crate::report::headline::{allowed, worse_first};
use crate::report::line::Line;
use crate::report::summary::{Excess, RouteSummary, Scope, Thresholds};
use crate::verdict::Verdict;

/// Routes that are told.
const SHOWN: usize = 10;

pub(super) fn section(view: &View<'_>) -> Section {
    let mut routes = view.routes.clone();
    routes.sort_by(|one, other| worse_first(&one.scope, &other.scope));
    let mut items: Vec<_> = routes.iter().flat_map(|route| of_route(view, route)).collect();
    if items.is_empty() && view.alone.is_none() {
        // No route is bad enough by itself.
        items = lines(&Line::new("all routes"), &view.summary.overall, &view.summary.allowed);
    }
    let (mut blocks, left) = view.first(items, SHOWN);
    blocks.extend(more(left, "line"));
    Section::new("What is slow or fails", blocks)
}

fn of_route(view: &View<'_>, route: &RouteSummary) -> Vec<Block> {
    let name = Line::quoting(&route.route);
    let mut blocks = lines(&name, &route.scope, allowed(view.summary, Some(route)));
    if let Some(state) = route.mirroring.as_deref().filter(|state| *state != "enabled") {
        blocks.push(Block::line(name.say(": mirroring of this route: ").quote(state)));
    }
    blocks
}

fn lines(name: &Line, scope: &Scope, allowed: &Thresholds) -> Vec<Block> {
    let mut told = Vec::new();
    let (mismatches, errors) = (scope.mismatches, scope.errors);
    if mismatches.verdict == Verdict::Fail && mismatches.lower <= allowed.mismatch_rate {
        let (some, of) = (mismatches.other_class, mismatches.compared);
        let limit = percent(allowed.status_rate);
        told.push(format!("{some} of {of} statuses of another class, allowed {limit}"));
    }
    if errors.verdict == Verdict::Fail {
        let [ours, theirs] = [errors.baseline_rate, errors.candidate_rate].map(percent);
        let limit = percent(allowed.error_delta);
        told.push(format!("baseline fails {ours}, candidate {theirs}, allowed {limit} more"));
    }
    told.extend(slow(scope, allowed));
    told.into_iter().map(|told| Block::line(name.clone().say(format!(": {told}")))).collect()
}

fn slow(scope: &Scope, allowed: &Thresholds) -> Option<String> {
    let latency = scope.latency;
    let fails = |excess: Excess| excess.verdict == Verdict::Fail;
    let all = [latency.p50, latency.p90, latency.p99, latency.p999];
    let failing = ["p50", "p90", "p99", "p99.9"].into_iter().zip(all);
    let mut told: Vec<_> = failing
        .filter(|(_, found)| fails(found.excess))
        .map(|(name, found)| {
            let [ours, theirs] = [found.baseline_seconds, found.candidate_seconds].map(millis);
            format!("{name} baseline {ours}, candidate {theirs}")
        })
        .collect();
    if fails(latency.far) {
        let share = percent(latency.far.difference);
        told.push(format!("{share} more above 4 times the baseline's p99"));
    }
    let (ratio, floor) = (allowed.latency_ratio, millis(Some(allowed.latency_floor_seconds)));
    (!told.is_empty()).then(|| {
        let places = told.join("; ");
        format!("slow: {places}; allowed {ratio:.2} times or {floor} more")
    })
}
