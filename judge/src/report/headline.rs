//! The verdict in one sentence that needs no other to be understood: whether to release, why, and what
//! is missing where that is not known.

use super::amount::{count, counted, duration, millis, percent};
use super::line::Line;
use super::summary::{
    FieldSummary, Needed, Quantile, RouteSummary, STOPPED, Scope, Summary, Thresholds,
};
use crate::verdict::Verdict;

/// Of the whole report.
pub fn of_all(summary: &Summary) -> Line {
    let overall = &summary.overall;
    let line = match overall.verdict {
        Verdict::Fail => refusal(summary),
        Verdict::Pass => {
            let routes = counted(summary.routes.len() as u64, "route");
            let open = summary.routes.iter().filter(|it| it.scope.verdict != Verdict::Pass).count();
            let open = match open as u64 {
                0 => String::new(),
                1 => "; 1 route is not settled by itself".to_owned(),
                open => format!("; {} routes are not settled by themselves", count(open)),
            };
            pass(overall, &Line::new(format!("on {routes}"))).say(open)
        }
        Verdict::NotEnoughData => unknown(overall, &Line::default()),
    };
    stopped(line, summary)
}

/// Of a route.
pub fn of_route(summary: &Summary, route: &RouteSummary) -> Line {
    let scope = &route.scope;
    let place = Line::new("of ").quote(&route.route);
    let line = match scope.verdict {
        Verdict::Fail => Line::new("Do not release: ").then(cause(summary, Some(route), scope)),
        Verdict::Pass => pass(scope, &place),
        Verdict::NotEnoughData => unknown(scope, &Line::new(" ").then(place)),
    };
    stopped(line, summary)
}

/// What is allowed on a route, or over all.
pub(super) fn allowed<'s>(summary: &'s Summary, route: Option<&'s RouteSummary>) -> &'s Thresholds {
    route.and_then(|route| route.allowed.as_ref()).unwrap_or(&summary.allowed)
}

/// Whoever reads no more than this must not take it for a candidate that runs.
fn stopped(line: Line, summary: &Summary) -> Line {
    match summary.mirroring.as_deref().filter(|state| STOPPED.contains(state)) {
        Some("tripped") => line.say("; the guardrail has stopped mirroring, no more pairs come"),
        Some(_) => line.say("; mirroring is switched off, no more pairs come"),
        None => line,
    }
}

fn refusal(summary: &Summary) -> Line {
    let mut failing: Vec<_> =
        summary.routes.iter().filter(|it| it.scope.verdict == Verdict::Fail).collect();
    failing.sort_by(|one, other| worse_first(&one.scope, &other.scope));
    let scope = failing.first().map_or(&summary.overall, |route| &route.scope);
    let line = Line::new("Do not release: ").then(cause(summary, failing.first().copied(), scope));
    match failing.len() as u64 {
        0 | 1 => line,
        2 => line.say("; another route fails, too"),
        more => line.say(format!("; {} other routes fail, too", count(more - 1))),
    }
}

/// Different answers before failures, which come before what is slow; then the larger part.
pub(super) fn worse_first(one: &Scope, other: &Scope) -> std::cmp::Ordering {
    let part = |scope: &Scope| {
        if scope.mismatches.verdict == Verdict::Fail {
            (0, scope.mismatches.rate)
        } else if scope.errors.verdict == Verdict::Fail {
            (1, scope.errors.difference)
        } else {
            (2, scope.latency.p50.excess.difference)
        }
    };
    let ((one, much), (other, more)) = (part(one), part(other));
    one.cmp(&other).then(more.total_cmp(&much))
}

/// The first of what fails.
fn cause(summary: &Summary, route: Option<&RouteSummary>, scope: &Scope) -> Line {
    let allowed = allowed(summary, route);
    let of = |words: &str| match route {
        Some(route) => Line::new(format!("{words} of ")).quote(&route.route),
        None => Line::new(words),
    };
    if scope.mismatches.verdict == Verdict::Fail {
        let fields = route.map_or(summary.worst_fields.as_slice(), |route| &route.fields);
        different(scope, fields, allowed, of)
    } else if scope.errors.verdict == Verdict::Fail {
        let [ours, theirs] = [scope.errors.baseline_rate, scope.errors.candidate_rate].map(percent);
        let limit = percent(allowed.error_delta);
        Line::new(format!("the candidate fails {theirs}"))
            .then(of(" of the requests"))
            .say(format!(" and the baseline {ours}, which is more than the {limit} allowed"))
    } else {
        slow(scope, of)
    }
}

fn different(
    scope: &Scope,
    fields: &[FieldSummary],
    allowed: &Thresholds,
    of: impl Fn(&str) -> Line,
) -> Line {
    let found = scope.mismatches;
    let compared = count(found.compared);
    if found.lower <= allowed.mismatch_rate {
        let (some, limit) = (count(found.other_class), percent(allowed.status_rate));
        return Line::new(format!("{some} of {compared}")).then(of(" answers")).say(format!(
            " have a status of another class, which is more than the {limit} allowed"
        ));
    }
    let line = Line::new(format!("{} of {compared}", count(found.net)))
        .then(of(" answers"))
        .say(" differ");
    let worst = fields.iter().find(|field| !field.is_noise && field.raw > 0);
    let line = match worst {
        None => line,
        Some(field) if field.raw >= found.net => line.say(" in ").place(&field.field),
        Some(field) => line.say(", mostly in ").place(&field.field),
    };
    line.say(format!(", which is more than the {} allowed", percent(allowed.mismatch_rate)))
}

fn slow(scope: &Scope, of: impl Fn(&str) -> Line) -> Line {
    let latency = scope.latency;
    let all = [("p50", latency.p50), ("p90", latency.p90), ("p99", latency.p99)];
    let failing = all.into_iter().chain([("p99.9", latency.p999)]);
    let mut failing = failing.filter(|(_, found)| found.excess.verdict == Verdict::Fail);
    let Some((name, found)) = failing.next() else {
        return Line::new("more")
            .then(of(" answers"))
            .say(" than allowed take over four times the baseline's p99");
    };
    let Quantile { baseline_seconds, candidate_seconds, .. } = found;
    let [ours, theirs] = [baseline_seconds, candidate_seconds].map(millis);
    Line::new("the candidate's")
        .then(of(" answers"))
        .say(format!(" are slower than allowed, {name} {theirs} where the baseline's is {ours}"))
}

fn pass(scope: &Scope, place: &Line) -> Line {
    let bounded = match scope.latency.judged {
        true => ", and no more of them differ, fail or are slow than allowed",
        false => ", and no more of them differ or fail than allowed; latency is not judged",
    };
    Line::new(format!("Safe to release so far: {} ", counted(scope.pairs, "pair")))
        .then(place.clone())
        .say(bounded)
}

fn unknown(scope: &Scope, place: &Line) -> Line {
    let line = Line::new("Not known yet: ");
    if scope.pairs == 0 {
        return line.say("no pair").then(place.clone()).say(" has come so far");
    }
    let settle = if scope.pairs == 1 { "does not settle" } else { "do not settle" };
    let line = line.say(counted(scope.pairs, "pair")).then(place.clone());
    let line = match scope.mismatches.net {
        0 => line,
        some => line.say(format!(", of which {} differ,", count(some))),
    };
    let line = line.say(format!(" {settle} {}", open_checks(scope)));
    match scope.needed.as_ref().and_then(wait) {
        // Where more of them do not help, that is no number.
        Some(wait) if wait.starts_with("more") => line.say(format!(", and {wait}")),
        Some(wait) => line.say(format!(", {wait}")),
        None => line,
    }
}

fn open_checks(scope: &Scope) -> String {
    let open = [
        ("differences", scope.mismatches.verdict),
        ("errors", scope.errors.verdict),
        ("latency", scope.latency.verdict),
    ];
    let open = open.into_iter().filter(|(_, verdict)| *verdict == Verdict::NotEnoughData);
    let names: Vec<_> = open.map(|(name, _)| name).collect();
    match names.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        names => names.concat(),
    }
}

/// How many more pairs it takes; `None` where that cannot be told.
pub(super) fn wait(needed: &Needed) -> Option<String> {
    let time = |seconds: Option<f64>| {
        let time = seconds.and_then(duration);
        time.map_or(String::new(), |time| format!(", some {time} at the present rate"))
    };
    let about = if needed.at_least { "at least" } else { "about" };
    match (needed.pairs, needed.clean_pairs) {
        (Some(more), _) => {
            let are = if more == 1 { "pair is" } else { "pairs are" };
            let time = time(needed.seconds);
            Some(format!("{about} {} more {are} needed{time}", count(more)))
        }
        (None, Some(more)) => {
            let pairs = if more == 1 { "pair" } else { "pairs" };
            let time = time(needed.clean_seconds);
            Some(format!(
                "more like them will not; {about} {} more {pairs} would, if none of them differs or \
                 fails{time}",
                count(more)
            ))
        }
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests;
