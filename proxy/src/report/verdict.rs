//! What a snapshot says of the candidate: `fail` where it is settled that it is worse than allowed,
//! `pass` where it is settled that it is not, and `not enough data` until then.
//!
//! All bounds of a report hold together, at any time, with a probability of 95 % ([`ALPHA`]): half of
//! the rest is for those over all routes, and the k-th route to be seen has 1 / (k (k + 1)) of the
//! other half, so that any number of routes adds up to it. Within a scope mismatches, errors and
//! latency have a third each.

use std::time::{Duration, SystemTime};

use super::confidence::{self, Interval};
use super::fields::Example;
use super::latency::Quantile;
use super::summary::{
    Errors, ExampleSummary, FieldSummary, Latency, LeftOut, Mismatches, Quantiles, RouteSummary,
    Scope, SuggestedIgnore, Summary, Thresholds,
};
use super::{FieldSnapshot, Numbers, RouteSnapshot, Snapshot, float, share};
use crate::exchange::Verdict;

/// All bounds of a report together are wrong with at most this probability, however often one looks.
pub const ALPHA: f64 = 0.05;

/// Nobody can show that a rate is 0: where less is allowed, a pass asks for this.
const RESOLUTION: f64 = 0.001;

/// Fields shown over all routes.
const WORST_FIELDS: usize = 10;

const METHOD: &str = "All bounds hold at every moment, however often the report is looked at, and \
    all of them together: they are wrong with a probability of at most alpha. Rates and their \
    difference: betting confidence sequences (Waudby-Smith and Ramdas, JRSS B 86(1), 2024). \
    Quantiles: Howard and Ramdas, Bernoulli 28(3), 2022, on those. Several routes: a union bound, \
    half of alpha over all, alpha / (2 k (k + 1)) for the k-th route. They hold as long as \
    the candidate stays the same. Noise: Diffy's formula (github.com/opendiffy/diffy).";

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowed {
    /// Share of pairs with different answers, net of noise.
    pub mismatch_rate: f64,
    /// Share of pairs with a status of another class, net of noise; failures (5xx) aside.
    pub status_rate: f64,
    /// Excess of the candidate's share of failures over the baseline's; from 1 on, not judged.
    pub error_delta: f64,
    /// Ratio of the candidate's latency quantiles to the baseline's.
    pub latency_ratio: f64,
    /// A smaller excess over the baseline's quantile is allowed whatever the ratio.
    pub latency_floor: Duration,
}

/// The verdicts alone: over all, and of each route.
pub fn verdicts(snapshot: &Snapshot, allowed: &Allowed) -> (Verdict, Vec<Verdict>) {
    let (overall, routes) = scopes(snapshot, allowed);
    (overall.verdict, routes.into_iter().map(|scope| scope.verdict).collect())
}

/// The report of a snapshot.
pub fn summarize(snapshot: &Snapshot, allowed: &Allowed) -> Summary {
    let (overall, scopes) = scopes(snapshot, allowed);
    let routes = snapshot.routes.iter().zip(scopes);
    let routes: Vec<_> = routes.map(|(route, scope)| route_summary(route, scope)).collect();
    Summary {
        overall,
        since: snapshot.since.map(rfc3339),
        mirroring: snapshot.mirroring.map(str::to_owned),
        method: METHOD.to_owned(),
        allowed: Thresholds {
            mismatch_rate: allowed.mismatch_rate,
            status_rate: allowed.status_rate,
            error_delta: allowed.error_delta,
            latency_ratio: allowed.latency_ratio,
            latency_floor_seconds: allowed.latency_floor.as_secs_f64(),
        },
        worst_fields: worst(&routes),
        routes,
        left_out: LeftOut {
            differences: snapshot.differences_left_out,
            examples: snapshot.examples_left_out,
        },
    }
}

fn scopes(snapshot: &Snapshot, allowed: &Allowed) -> (Scope, Vec<Scope>) {
    let routes = snapshot.routes.iter().map(|route| {
        let rank = float(route.rank);
        judge(&route.numbers, allowed, ALPHA / 2.0 / (rank * (rank + 1.0)))
    });
    let routes: Vec<_> = routes.collect();
    (overall(snapshot, &routes, allowed), routes)
}

/// All routes as one, and none of them failing.
fn overall(snapshot: &Snapshot, routes: &[Scope], allowed: &Allowed) -> Scope {
    let mut numbers = Numbers::default();
    snapshot.routes.iter().for_each(|route| numbers.add(&route.numbers));
    let mut overall = judge(&numbers, allowed, ALPHA / 2.0);
    overall.alpha = ALPHA;
    let labels = snapshot.routes.iter().map(|route| &route.route);
    let failing = labels.zip(routes).filter(|(_, scope)| scope.verdict == Verdict::Fail);
    let failing: Vec<_> = failing.map(|(label, _)| format!("route {label} fails")).collect();
    if !failing.is_empty() {
        if overall.verdict != Verdict::Fail {
            overall.reasons.clear();
        }
        overall.verdict = Verdict::Fail;
        overall.reasons.extend(failing);
    }
    overall
}

fn route_summary(route: &RouteSnapshot, scope: Scope) -> RouteSummary {
    let mut fields: Vec<_> = route.fields.iter().map(|field| field_summary(route, field)).collect();
    fields.sort_by(worse_first);
    let noise = route.fields.iter().filter(|field| field.is_noise);
    RouteSummary {
        route: route.route.to_string(),
        mirroring: route.mirroring.map(str::to_owned),
        scope,
        noise_pairs: route.noise_pairs,
        suggested_ignores: noise.map(|field| suggested(route, field)).collect(),
        fields,
    }
}

/// The verdict on these numbers, whose bounds together are wrong with at most `alpha`.
pub fn judge(numbers: &Numbers, allowed: &Allowed, alpha: f64) -> Scope {
    let mut reasons = Vec::new();
    let mismatches = mismatches(numbers, allowed, alpha / 3.0, &mut reasons);
    let errors = errors(numbers, allowed, alpha / 3.0, &mut reasons);
    let latency = latency(numbers, allowed, alpha / 3.0, &mut reasons);
    let verdict = Verdict::all([mismatches.verdict, errors.verdict, latency.verdict]);
    // What is settled is not held up by what is not.
    reasons.retain(|(of, _)| *of == verdict);
    let reasons = reasons.into_iter().map(|(_, reason)| reason).collect();
    Scope { verdict, reasons, alpha, pairs: numbers.pairs, mismatches, errors, latency }
}

type Reasons = Vec<(Verdict, String)>;

/// Where an interval lies, seen from what is allowed: what a pass asks for is never below
/// [`RESOLUTION`].
fn against(found: Interval, allowed: f64) -> Verdict {
    if found.lower > allowed {
        Verdict::Fail
    } else if found.upper <= allowed.max(RESOLUTION) {
        Verdict::Pass
    } else {
        Verdict::NotEnoughData
    }
}

fn explain(name: &str, found: Interval, allowed: f64, reasons: &mut Reasons) -> Verdict {
    let verdict = against(found, allowed);
    let [lower, upper, limit] =
        [found.lower, found.upper, allowed.max(RESOLUTION)].map(|share| 100.0 * share);
    match verdict {
        Verdict::Pass => {}
        Verdict::Fail => reasons.push((
            verdict,
            format!("{name}: at least {lower:.2} %, allowed is {:.2} %", 100.0 * allowed),
        )),
        Verdict::NotEnoughData => reasons.push((
            verdict,
            format!("{name}: may be up to {upper:.2} %, a pass asks for at most {limit:.2} %"),
        )),
    }
    verdict
}

fn mismatches(
    numbers: &Numbers,
    allowed: &Allowed,
    alpha: f64,
    reasons: &mut Reasons,
) -> Mismatches {
    // The other half is for the share of other statuses among them.
    let alpha = alpha / 2.0;
    let Numbers { compared, mismatched: raw, net_mismatched: net, unknown, .. } = *numbers;
    // What nobody could compare may differ or not: it counts against a pass and against a fail.
    let all = compared + unknown;
    let found = Interval {
        lower: confidence::rate(net, all, alpha).lower,
        upper: confidence::rate(net + unknown, all, alpha).upper,
    };
    let status = confidence::rate(numbers.other_class, compared, alpha);
    let verdict = Verdict::all([
        explain("mismatches", found, allowed.mismatch_rate, reasons),
        explain("statuses of another class", status, allowed.status_rate, reasons),
    ]);
    if unknown > 0 && verdict == Verdict::NotEnoughData {
        let share = 100.0 * share(unknown, all);
        reasons.push((verdict, format!("{unknown} pairs ({share:.2} %) could not be compared")));
    }
    Mismatches {
        verdict,
        compared,
        unknown,
        unknown_share: share(unknown, all),
        other_class: numbers.other_class,
        other_class_upper: status.upper,
        without_content: numbers.without_content,
        raw,
        net,
        rate: share(net, compared),
        lower: found.lower,
        upper: found.upper,
    }
}

fn errors(numbers: &Numbers, allowed: &Allowed, alpha: f64, reasons: &mut Reasons) -> Errors {
    let (up, down) = (numbers.candidate_alone_failed, numbers.baseline_alone_failed);
    let found = confidence::difference(up, down, numbers.pairs, alpha);
    let baseline_rate = share(down + numbers.both_failed, numbers.pairs);
    let candidate_rate = share(up + numbers.both_failed, numbers.pairs);
    Errors {
        verdict: explain("errors beyond the baseline's", found, allowed.error_delta, reasons),
        baseline_rate,
        candidate_rate,
        difference: candidate_rate - baseline_rate,
        lower: found.lower,
        upper: found.upper,
    }
}

fn latency(numbers: &Numbers, allowed: &Allowed, alpha: f64, reasons: &mut Reasons) -> Latency {
    const QUANTILES: [(f64, &str); 3] =
        [(0.5, "latency p50"), (0.9, "latency p90"), (0.99, "latency p99")];
    // Half of it for each side.
    let sides = [&numbers.baseline, &numbers.candidate];
    let [baseline, candidate] =
        sides.map(|side| side.quantiles(QUANTILES.map(|(quantile, _)| quantile), alpha / 2.0));
    let [p50, p90, p99] = [0, 1, 2].map(|at| quantiles(baseline[at], candidate[at], allowed));
    // A bound for p99 takes some ten times the pairs: a pass does not wait for it.
    let waits_for =
        |name: &str, found: &Quantiles| found.verdict == Verdict::Fail || name != "latency p99";
    let judged = QUANTILES.into_iter().map(|(_, name)| name).zip([p50, p90, p99]);
    let judged: Vec<_> = judged.filter(|(name, found)| waits_for(name, found)).collect();
    for (name, found) in &judged {
        reasons.extend(explain_ratio(name, found, allowed.latency_ratio));
    }
    let verdict = Verdict::all(judged.into_iter().map(|(_, found)| found.verdict));
    Latency { verdict, p50, p90, p99 }
}

fn explain_ratio(name: &str, found: &Quantiles, allowed: f64) -> Option<(Verdict, String)> {
    let reason = match (found.verdict, found.lower, found.upper) {
        (Verdict::Pass, ..) => return None,
        (Verdict::Fail, Some(lower), _) => {
            format!("{name}: ratio at least {lower:.2}, allowed is {allowed:.2}")
        }
        (Verdict::Fail, None, _) => format!("{name}: the candidate has none, it gave no answer"),
        (Verdict::NotEnoughData, _, Some(upper)) => {
            format!("{name}: ratio may be up to {upper:.2}, a pass asks for at most {allowed:.2}")
        }
        (Verdict::NotEnoughData, _, None) => format!(
            "{name}: the ratio has no upper bound yet, a pass asks for at most {allowed:.2}"
        ),
    };
    Some((found.verdict, reason))
}

fn quantiles(baseline: Quantile, candidate: Quantile, allowed: &Allowed) -> Quantiles {
    let floor = allowed.latency_floor.as_secs_f64();
    // An unbounded one over an unbounded one is no number, and settles nothing.
    let lower = candidate.lower / baseline.upper;
    let upper = candidate.upper / baseline.lower;
    let verdict = if lower > allowed.latency_ratio && candidate.lower - baseline.upper > floor {
        Verdict::Fail
    } else if upper <= allowed.latency_ratio || candidate.upper - baseline.lower <= floor {
        Verdict::Pass
    } else {
        Verdict::NotEnoughData
    };
    Quantiles {
        verdict,
        baseline_seconds: finite(baseline.value),
        candidate_seconds: finite(candidate.value),
        ratio: finite(candidate.value / baseline.value),
        lower: finite(lower),
        upper: finite(upper),
    }
}

fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

fn field_summary(route: &RouteSnapshot, found: &FieldSnapshot) -> FieldSummary {
    let field = &found.field;
    FieldSummary {
        route: route.route.to_string(),
        field: field.name.to_string(),
        kinds: field.kinds().map(|kind| kind.name().to_owned()).collect(),
        shape: field.shape.as_deref().map(str::to_owned),
        repeats: field.repeats,
        risk: field.risk().name().to_owned(),
        pairs: route.numbers.compared,
        raw: field.raw,
        noise: field.noise,
        noise_pairs: route.noise_pairs,
        net: found.net,
        is_noise: found.is_noise,
        first_seen: field.seen.map(|(first, _)| rfc3339(first)),
        last_seen: field.seen.map(|(_, last)| rfc3339(last)),
        examples: field.examples.iter().map(|example| example_summary(example)).collect(),
    }
}

fn example_summary(example: &Example) -> ExampleSummary {
    ExampleSummary {
        place: example.place.clone(),
        kind: example.kind.name().to_owned(),
        baseline: example.baseline.clone(),
        candidate: example.candidate.clone(),
        seen: rfc3339(example.seen),
    }
}

fn suggested(route: &RouteSnapshot, found: &FieldSnapshot) -> SuggestedIgnore {
    SuggestedIgnore {
        path: found.field.name.to_string(),
        raw: found.field.raw,
        pairs: route.numbers.compared,
        noise: found.field.noise,
        noise_pairs: route.noise_pairs,
    }
}

/// By what is left beyond noise, then by risk.
fn worse_first(one: &FieldSummary, other: &FieldSummary) -> std::cmp::Ordering {
    let risk =
        |field: &FieldSummary| ["high", "medium"].iter().position(|risk| *risk == field.risk);
    one.is_noise
        .cmp(&other.is_noise)
        .then(other.net.total_cmp(&one.net))
        .then(risk(one).unwrap_or(2).cmp(&risk(other).unwrap_or(2)))
        .then(one.field.cmp(&other.field))
}

fn worst(routes: &[RouteSummary]) -> Vec<FieldSummary> {
    let mut fields: Vec<_> = routes
        .iter()
        .flat_map(|route| route.fields.iter().take(WORST_FIELDS))
        .filter(|field| !field.is_noise && field.raw > 0)
        .collect();
    fields.sort_by(|one, other| worse_first(one, other));
    fields.into_iter().take(WORST_FIELDS).cloned().collect()
}

fn rfc3339(at: SystemTime) -> String {
    // Times before 1970 or after 9999 have no such text.
    let least = SystemTime::UNIX_EPOCH;
    let most = least + Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_millis(at.clamp(least, most)).to_string()
}

#[cfg(test)]
mod tests;
