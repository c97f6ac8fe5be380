//! What a verdict rests on: each of its bounds, drawn against what is allowed.

use crate::page::chart::Bounds;
use crate::page::overview::class_of;
use crate::page::words::{latency, percent};
use judge::report::summary::{Excess, Quantile, Scope, Thresholds};
use judge::verdict::Verdict;

/// Nobody can show that a rate is 0: where less is allowed, a pass asks for this, see
/// [`judge::report::verdict`].
const RESOLUTION: f64 = 0.001;

/// One of them.
pub(super) struct Bound {
    pub(super) name: String,
    pub(super) class: &'static str,
    pub(super) verdict: &'static str,
    pub(super) seen: String,
    pub(super) between: String,
    pub(super) allowed: String,
    pub(super) chart: String,
}

/// All of them.
pub(super) fn all(scope: &Scope, allowed: &Thresholds) -> Vec<Bound> {
    let mut bounds =
        vec![mismatches(scope, allowed), statuses(scope, allowed), errors(scope, allowed)];
    bounds.extend(latencies(scope, allowed));
    bounds
}

fn mismatches(scope: &Scope, allowed: &Thresholds) -> Bound {
    let it = &scope.mismatches;
    let bounds = Bounds {
        lower: it.lower,
        upper: it.upper,
        seen: it.rate,
        allowed: Some(allowed.mismatch_rate),
    };
    let class = class_of(it.verdict);
    bound("Mismatches, net of noise", it.verdict, bounds, bounds.of_share(class))
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn statuses(scope: &Scope, allowed: &Thresholds) -> Bound {
    let it = &scope.mismatches;
    let seen = it.other_class as f64 / it.compared.max(1) as f64;
    let is_settled = it.other_class_upper <= allowed.status_rate.max(RESOLUTION);
    let verdict = if is_settled { Verdict::Pass } else { Verdict::NotEnoughData };
    let (lower, upper) = (0.0, it.other_class_upper);
    let bounds = Bounds { lower, upper, seen, allowed: Some(allowed.status_rate) };
    let chart = bounds.of_share(class_of(verdict));
    let told = bound("Statuses of another class", verdict, bounds, chart);
    Bound { between: format!("at most {}", percent(upper)), ..told }
}

fn errors(scope: &Scope, allowed: &Thresholds) -> Bound {
    let it = &scope.errors;
    let bounds = Bounds {
        lower: it.lower,
        upper: it.upper,
        seen: it.difference,
        allowed: Some(allowed.error_delta),
    };
    let chart = bounds.of_difference(class_of(it.verdict));
    bound("Errors beyond the baseline's", it.verdict, bounds, chart)
}

fn latencies(scope: &Scope, allowed: &Thresholds) -> Vec<Bound> {
    let it = &scope.latency;
    let tail = allowed.error_delta.max(RESOLUTION);
    let quantile = |name: &str, of: &Quantile, limit: Option<f64>| {
        let told = excess(&format!("Slower, at the baseline's {name}"), &of.excess, limit);
        let sides = [of.baseline_seconds, of.candidate_seconds].map(latency).join(" → ");
        Bound { name: format!("{}: {sides}", told.name), ..told }
    };
    vec![
        quantile("p50", &it.p50, Some(0.0)),
        quantile("p90", &it.p90, Some(0.0)),
        quantile("p99", &it.p99, Some(tail)),
        quantile("p99.9", &it.p999, None),
        excess("Slower, far beyond p99", &it.far, Some(tail)),
    ]
}

fn excess(name: &str, it: &Excess, limit: Option<f64>) -> Bound {
    let Excess { lower, upper, difference: seen, verdict } = *it;
    let bounds = Bounds { lower, upper, seen, allowed: limit };
    bound(name, verdict, bounds, bounds.of_difference(class_of(verdict)))
}

fn bound(name: &str, verdict: Verdict, bounds: Bounds, chart: String) -> Bound {
    let Bounds { lower, upper, seen, allowed } = bounds;
    Bound {
        name: name.to_owned(),
        class: class_of(verdict),
        verdict: verdict.name(),
        seen: percent(seen),
        between: format!("{} to {}", percent(lower), percent(upper)),
        allowed: allowed.map_or_else(|| "not asked for".to_owned(), percent),
        chart,
    }
}
