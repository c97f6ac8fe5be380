//! What a snapshot says of the candidate: `fail` where it is settled that it is worse than allowed,
//! `pass` where it is settled that it is not, and `not enough data` until then.
//!
//! A verdict of a report is wrong at any time with a probability of at most 5 % ([`ALPHA`]): half of it
//! is for the one over all routes, and the k-th route to be seen has 1 / (k (k + 1)) of the other half,
//! so that any number of routes adds up to it. A candidate is either worse than allowed or it is not,
//! so that only one of the two verdicts can be wrong, and each has the whole of it. To fail it is enough
//! that one criterion fails: they share. To pass all must pass, and the one that is violated must be
//! missed: each has the whole (Berger, "Multiparameter hypothesis testing and acceptance sampling",
//! Technometrics 24(4), 1982).

use std::time::{Duration, SystemTime};

use super::allowed::Allowed;
use super::confidence::{self, Alpha, Interval};
use super::curl;
use super::fields::Example;
use super::headers::Header;
use super::headline;
use super::needed::{Grounds, Pace, Times, Wait};
use super::paired::{LEVELS, PLACES, Place};
use super::suggested::{self, suggestions};
use super::summary::{
    AskedSummary, Errors, ExampleSummary, Excess, FieldSummary, HeaderSummary, Latency, LeftOut,
    Mismatches, Needed, Quantile, RouteSummary, STOPPED, Scope, Summary, Thresholds,
};
use super::{FieldFindings, Findings, Numbers, RouteFindings, float, share};
use crate::pair::Asked;
use crate::verdict::Verdict;
use compare::Explained;

/// All bounds of a report together are wrong with at most this probability, however often one looks.
pub const ALPHA: f64 = 0.05;

/// Nobody can show that a rate is 0: where less is allowed, a pass asks for this.
const RESOLUTION: f64 = 0.001;

/// Fields shown over all routes.
const WORST_FIELDS: usize = 10;

const METHOD: &str = "A verdict is wrong with a probability of at most alpha, however often the \
    report is looked at. Betting confidence sequences (Waudby-Smith and Ramdas, JRSS B 86(1), 2024) \
    on rates, on the difference of failures, and on how often the candidate's latency, less what is \
    allowed, is alone beyond the baseline's quantile, or the baseline's is. Pairs that remember each \
    other make up one observation, by the Allan variance. To fail one criterion is enough, so they \
    share alpha; to pass all must pass. Several routes: a union bound, half of alpha over all, \
    alpha / (2 k (k + 1)) for the k-th route. This holds as long as the candidate stays the same and \
    its memory is shorter than what was seen. Noise: Diffy's formula (github.com/opendiffy/diffy).";

/// Names of the places that latencies are held against.
const PLACE_NAMES: [&str; PLACES] =
    ["latency p50", "latency p90", "latency p99", "latency p99.9", "latency far beyond p99"];

/// What a pass does not cover where no two latencies can be held against each other.
const UNLIKE: &str = "latency is not judged: the two sides were not measured alike";

/// The verdicts alone: over all, and of each route.
pub fn verdicts(snapshot: &Findings, allowed: &Allowed) -> (Verdict, Vec<Verdict>) {
    let (overall, routes) = scopes(snapshot, allowed, None);
    (overall.verdict, routes.into_iter().map(|scope| scope.verdict).collect())
}

/// The report of a snapshot.
pub fn summarize(snapshot: &Findings, allowed: &Allowed) -> Summary {
    let (mut overall, mut scopes) = scopes(snapshot, allowed, Some(seconds(snapshot)));
    if snapshot.mirroring.is_some_and(|state| STOPPED.contains(&state)) {
        let needed = scopes.iter_mut().chain([&mut overall]).filter_map(|it| it.needed.as_mut());
        needed.for_each(Needed::without_time);
    }
    let routes = snapshot.routes.iter().zip(scopes);
    let routes = routes.map(|(route, scope)| route_summary(route, scope)).collect();
    let mut summary = summary_of(snapshot, allowed, overall, routes);
    summary.headline = headline::of_all(&summary).to_string();
    let headlines = summary.routes.iter().map(|route| headline::of_route(&summary, route));
    let headlines: Vec<_> = headlines.map(|line| line.to_string()).collect();
    for (route, headline) in summary.routes.iter_mut().zip(headlines) {
        route.headline = headline;
    }
    summary
}

/// Without its headlines.
fn summary_of(
    snapshot: &Findings,
    allowed: &Allowed,
    overall: Scope,
    routes: Vec<RouteSummary>,
) -> Summary {
    Summary {
        headline: String::new(),
        overall,
        since: snapshot.since.map(rfc3339),
        mirroring: snapshot.mirroring.map(str::to_owned),
        method: METHOD.to_owned(),
        allowed: thresholds(allowed),
        unused_rules: Vec::new(),
        awaited_routes: Vec::new(),
        worst_fields: worst(&routes),
        routes,
        left_out: LeftOut {
            differences: snapshot.differences_left_out,
            examples: snapshot.examples_left_out,
        },
    }
}

/// What is allowed, as it is shown.
pub fn thresholds(allowed: &Allowed) -> Thresholds {
    Thresholds {
        mismatch_rate: allowed.mismatch_rate,
        status_rate: allowed.status_rate,
        error_delta: allowed.error_delta,
        latency_ratio: allowed.latency_ratio,
        latency_floor_seconds: allowed.latency_floor.as_secs_f64(),
    }
}

/// The report of a snapshot without fields, which take longer than all the rest; what is missing is told over all
/// routes alone.
pub fn summarize_briefly(snapshot: &Findings, allowed: &Allowed) -> Summary {
    let scopes = of_routes(snapshot, allowed, None);
    let overall = overall(snapshot, &scopes, allowed, Some(seconds(snapshot)));
    let routes = snapshot.routes.iter().zip(scopes);
    let routes = routes.map(|(route, scope)| bare(route, scope)).collect();
    let mut summary = summary_of(snapshot, allowed, overall, routes);
    summary.headline = headline::of_all(&summary).to_string();
    summary
}

fn scopes(snapshot: &Findings, allowed: &Allowed, seconds: Option<f64>) -> (Scope, Vec<Scope>) {
    let routes = of_routes(snapshot, allowed, seconds);
    (overall(snapshot, &routes, allowed, seconds), routes)
}

fn of_routes(snapshot: &Findings, allowed: &Allowed, seconds: Option<f64>) -> Vec<Scope> {
    let routes = snapshot.routes.iter().map(|route| {
        let rank = float(route.rank);
        let allowed = route.allowed.as_ref().unwrap_or(allowed);
        judge(&route.numbers, allowed, ALPHA / 2.0 / (rank * (rank + 1.0)), seconds)
    });
    routes.collect()
}

/// How long pairs have come.
fn seconds(snapshot: &Findings) -> f64 {
    let span = snapshot.last.zip(snapshot.since);
    let span = span.and_then(|(last, since)| last.duration_since(since).ok());
    span.unwrap_or_default().as_secs_f64()
}

/// All routes as one, and none of them failing.
fn overall(
    snapshot: &Findings,
    routes: &[Scope],
    allowed: &Allowed,
    seconds: Option<f64>,
) -> Scope {
    let mut numbers = Numbers::default();
    snapshot.routes.iter().for_each(|route| numbers.add(&route.numbers));
    numbers.paired.clone_from(&snapshot.paired);
    let mut overall = judge(&numbers, allowed, ALPHA / 2.0, seconds);
    overall.alpha = ALPHA;
    let labels = snapshot.routes.iter().map(|route| &route.route);
    let failing = labels.zip(routes).filter(|(_, scope)| scope.verdict == Verdict::Fail);
    let failing: Vec<_> = failing.map(|(label, _)| format!("route {label} fails")).collect();
    if !failing.is_empty() {
        if overall.verdict != Verdict::Fail {
            overall.reasons.clear();
        }
        overall.verdict = Verdict::Fail;
        overall.needed = None;
        overall.reasons.extend(failing);
    }
    overall
}

fn route_summary(route: &RouteFindings, scope: Scope) -> RouteSummary {
    let mut fields: Vec<_> = route.fields.iter().map(|field| field_summary(route, field)).collect();
    fields.sort_by(worse_first);
    let (suggested_ignores, suggested_rules) = suggestions(route);
    let uncompared_headers = header_summaries(route);
    let bare = bare(route, scope);
    RouteSummary { fields, uncompared_headers, suggested_ignores, suggested_rules, ..bare }
}

/// Without what differs.
fn bare(route: &RouteFindings, scope: Scope) -> RouteSummary {
    RouteSummary {
        headline: String::new(),
        route: route.route.to_string(),
        mirroring: route.mirroring.map(str::to_owned),
        allowed: route.allowed.as_ref().map(thresholds),
        scope,
        noise_pairs: route.noise_pairs,
        uncompared_headers: Vec::new(),
        headers_left_out: route.headers.left_out,
        suggested_ignores: Vec::new(),
        suggested_rules: None,
        fields: Vec::new(),
    }
}

/// The verdict on these numbers, which is wrong with at most `alpha`. What is missing is told where it is
/// known in how many seconds they came: it takes longer than all the rest.
pub fn judge(numbers: &Numbers, allowed: &Allowed, alpha: f64, seconds: Option<f64>) -> Scope {
    let mut reasons = Reasons::default();
    let third = Alpha { lower: alpha / 3.0, upper: alpha };
    let pace = Pace { pairs: numbers.pairs, seconds };
    let mismatches = mismatches(numbers, allowed, third, pace, &mut reasons);
    let errors = errors(numbers, allowed, third, pace, &mut reasons);
    let (latency, not_covered) = latency(numbers, allowed, third, pace, &mut reasons);
    let parts = [
        ("mismatches", mismatches.verdict),
        ("errors", errors.verdict),
        ("latency", latency.verdict),
    ];
    let verdict = Verdict::all(parts.map(|(_, verdict)| verdict));
    let needed = (verdict == Verdict::NotEnoughData && seconds.is_some()).then(|| {
        let open = parts.iter().filter(|(_, verdict)| *verdict == Verdict::NotEnoughData);
        pace.needed(&reasons.waits, open.map(|(name, _)| (*name).to_owned()).collect())
    });
    // What is settled is not held up by what is not.
    let told = reasons.told.into_iter().filter(|(of, _)| *of == verdict);
    let reasons = told.map(|(_, reason)| reason).collect();
    let pairs = numbers.pairs;
    Scope { verdict, reasons, needed, not_covered, alpha, pairs, mismatches, errors, latency }
}

/// What a verdict rests on, and what it waits for.
#[derive(Debug, Default)]
struct Reasons {
    told: Vec<(Verdict, String)>,
    waits: Vec<Wait>,
}

impl Reasons {
    fn tell(&mut self, verdict: Verdict, reason: String) {
        self.told.push((verdict, reason));
    }
}

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

/// A bound on a share, as a function of how many times as much there is.
#[derive(Clone, Copy)]
struct Bound<'a> {
    of: &'a dyn Fn(Times) -> Interval,
    grounds: Grounds,
}

impl Bound<'_> {
    fn now(self) -> Interval {
        (self.of)(Times::NOW)
    }
}

fn explain(
    name: &str,
    bound: Bound<'_>,
    allowed: f64,
    pace: Pace,
    reasons: &mut Reasons,
) -> (Verdict, Interval) {
    let found = bound.now();
    let verdict = against(found, allowed);
    let [lower, upper, limit] =
        [found.lower, found.upper, allowed.max(RESOLUTION)].map(|share| 100.0 * share);
    match verdict {
        Verdict::Pass => {}
        Verdict::Fail => reasons.tell(
            verdict,
            format!("{name}: at least {lower:.2} %, allowed is {:.2} %", 100.0 * allowed),
        ),
        Verdict::NotEnoughData => {
            let passes = |times| against((bound.of)(times), allowed) == Verdict::Pass;
            let wait = pace.wait(bound.grounds, passes);
            let missing = pace.missing(wait);
            reasons.waits.extend(wait);
            reasons.tell(
                verdict,
                format!(
                    "{name}: may be up to {upper:.2} %, a pass asks for at most {limit:.2} %: {missing}"
                ),
            );
        }
    }
    (verdict, found)
}

fn mismatches(
    numbers: &Numbers,
    allowed: &Allowed,
    alpha: Alpha,
    pace: Pace,
    reasons: &mut Reasons,
) -> Mismatches {
    // Two criteria: the share of pairs that differ, and that of other statuses among them.
    let alpha = Alpha { lower: alpha.lower / 2.0, ..alpha };
    let Numbers { compared, mismatched: raw, net_mismatched: net, unknown, .. } = *numbers;
    // What nobody could compare may differ or not: it counts against a pass and against a fail.
    let all = compared + unknown;
    let length = numbers.paired.mismatches.length();
    let rate = |hits: u64, of: u64, times: Times| {
        let [hits, of] = [times.telling * float(hits), times.all * float(of)];
        confidence::rate(hits / length, of / length, alpha)
    };
    let are_known = numbers.paired.mismatches.known_length().is_some();
    let pairs = float(numbers.pairs);
    let bound =
        |of, hits: u64| Bound { of, grounds: Grounds { are_known, are_telling: hits > 0, pairs } };
    let differing = |times: Times| Interval {
        lower: rate(net, all, times).lower,
        upper: rate(net + unknown, all, times).upper,
    };
    let (differ, found) =
        explain("mismatches", bound(&differing, net), allowed.mismatch_rate, pace, reasons);
    let other_class = numbers.other_class;
    let of_status = |times: Times| rate(other_class, compared, times);
    let name = "statuses of another class";
    let (statuses, status) =
        explain(name, bound(&of_status, other_class), allowed.status_rate, pace, reasons);
    let verdict = Verdict::all([differ, statuses]);
    if unknown > 0 && verdict == Verdict::NotEnoughData {
        let share = 100.0 * share(unknown, all);
        reasons.tell(verdict, format!("{unknown} pairs ({share:.2} %) could not be compared"));
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

fn errors(
    numbers: &Numbers,
    allowed: &Allowed,
    alpha: Alpha,
    pace: Pace,
    reasons: &mut Reasons,
) -> Errors {
    let (up, down) = (numbers.candidate_alone_failed, numbers.baseline_alone_failed);
    let length = numbers.paired.failures.length();
    let of = |times: Times| {
        let [up, down] = [up, down].map(|count| times.telling / length * float(count));
        confidence::difference(up, down, times.all / length * float(numbers.pairs), alpha)
    };
    let are_known = numbers.paired.failures.known_length().is_some();
    let pairs = float(numbers.pairs);
    let bound = Bound { of: &of, grounds: Grounds { are_known, are_telling: up > 0, pairs } };
    let name = "errors beyond the baseline's";
    let (verdict, found) = explain(name, bound, allowed.error_delta, pace, reasons);
    let baseline_rate = share(down + numbers.both_failed, numbers.pairs);
    let candidate_rate = share(up + numbers.both_failed, numbers.pairs);
    Errors {
        verdict,
        baseline_rate,
        candidate_rate,
        difference: candidate_rate - baseline_rate,
        lower: found.lower,
        upper: found.upper,
    }
}

/// What latencies say, and what a pass does not cover.
fn latency(
    numbers: &Numbers,
    allowed: &Allowed,
    alpha: Alpha,
    pace: Pace,
    reasons: &mut Reasons,
) -> (Latency, Vec<String>) {
    let alpha = Alpha { lower: alpha.lower / float(PLACES as u64), upper: alpha.upper };
    let lengths = numbers.paired.lengths();
    let judged = numbers.pairs == 0 || numbers.unlike < numbers.pairs;
    // A bound for the tail takes many times the pairs. A pass waits until it is settled that what is
    // slow beyond reason is no more than may fail: 1 % of it would be seen.
    let share = allowed.error_delta.max(RESOLUTION);
    let limits = [Some(0.0), Some(0.0), Some(share), None, Some(share)];
    let (mut excesses, mut not_covered) = (Vec::new(), Vec::new());
    let mut verdicts = Vec::new();
    for (at, (place, limit)) in numbers.paired.places.iter().zip(limits).enumerate() {
        // Pairs that say nothing here settle nothing: only those of the kind that came do.
        let of = |times: Times| excess(place, times.all / lengths[at], alpha);
        let are_known = place.of > 0.0 && numbers.paired.knows_length(at);
        let bound =
            Bound { of: &of, grounds: Grounds { are_known, are_telling: false, pairs: place.of } };
        let verdict = match judged {
            true => explain_place(PLACE_NAMES[at], limit, bound, pace, reasons),
            false => Verdict::NotEnoughData,
        };
        verdicts.push(verdict);
        let Interval { lower, upper } = bound.now();
        let own = if at + 1 < PLACES { against_nothing(bound.now()) } else { verdict };
        if judged && own == Verdict::NotEnoughData && limit != Some(0.0) && at + 1 < PLACES {
            let missing = pace.missing(wait(pace, bound, 0.0));
            let name = PLACE_NAMES[at].trim_start_matches("latency ");
            not_covered.push(format!("{name} not settled: {missing}"));
        }
        let net = place.above[0] - place.above[1];
        let difference = if place.of > 0.0 { net / place.of } else { 0.0 };
        excesses.push(Excess { verdict: own, difference, lower, upper });
    }
    let sides = [&numbers.baseline, &numbers.candidate].map(|side| side.quantiles(LEVELS));
    let quantile = |at: usize| Quantile {
        baseline_seconds: finite(sides[0][at]),
        candidate_seconds: finite(sides[1][at]),
        ratio: finite(sides[1][at] / sides[0][at]),
        excess: excesses[at],
    };
    let [p50, p90, p99, p999] = [0, 1, 2, 3].map(quantile);
    let verdict = if judged { Verdict::all(verdicts) } else { Verdict::Pass };
    if !judged {
        not_covered.push(UNLIKE.to_owned());
    }
    let latency = Latency { verdict, judged, p50, p90, p99, p999, far: excesses[PLACES - 1] };
    (latency, not_covered)
}

/// What a place says, where a pass asks for at most so much; `None` where it does not wait.
fn explain_place(
    name: &str,
    limit: Option<f64>,
    bound: Bound<'_>,
    pace: Pace,
    reasons: &mut Reasons,
) -> Verdict {
    let Interval { lower, upper } = bound.now();
    let [low, high] = [lower, upper].map(|share| 100.0 * share);
    if lower > 0.0 {
        let reason = format!(
            "{name}: at least {low:.2} % more of the candidate's, less what is allowed, are beyond the \
             baseline's"
        );
        reasons.tell(Verdict::Fail, reason);
        return Verdict::Fail;
    }
    let Some(limit) = limit.filter(|limit| upper > *limit) else { return Verdict::Pass };
    let wait = wait(pace, bound, limit);
    let missing = pace.missing(wait);
    reasons.waits.extend(wait);
    let reason = format!(
        "{name}: up to {high:.2} % more of the candidate's may be beyond the baseline's, a pass asks for \
         at most {:.2} %: {missing}",
        100.0 * limit
    );
    reasons.tell(Verdict::NotEnoughData, reason);
    Verdict::NotEnoughData
}

/// What is missing until no more than `limit` may be beyond a place.
fn wait(pace: Pace, bound: Bound<'_>, limit: f64) -> Option<Wait> {
    pace.wait(bound.grounds, |times| (bound.of)(times).upper <= limit)
}

/// Where the share of the candidate's latencies beyond a place, less that of the baseline's, lies. Not
/// below is told by those strictly beyond, not above by those at the place too: where many latencies are
/// alike, each is the safe side.
fn excess(place: &Place, times: f64, alpha: Alpha) -> Interval {
    let bound = |[up, down]: [f64; 2]| {
        confidence::difference(times * up, times * down, times * place.of, alpha)
    };
    Interval { lower: bound(place.above).lower, upper: bound(place.from).upper }
}

fn against_nothing(found: Interval) -> Verdict {
    if found.lower > 0.0 {
        Verdict::Fail
    } else if found.upper <= 0.0 {
        Verdict::Pass
    } else {
        Verdict::NotEnoughData
    }
}

fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

fn field_summary(route: &RouteFindings, found: &FieldFindings) -> FieldSummary {
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
        explanation: field.explained.as_ref().map(Explained::text),
        suggestion: suggested::of_field(route, found),
        examples: field.examples.iter().map(|example| example_summary(route, example)).collect(),
    }
}

fn header_summaries(route: &RouteFindings) -> Vec<HeaderSummary> {
    // Those that agree without content have headers, too.
    let pairs = route.numbers.compared + route.numbers.without_content;
    let told = route.headers.worst_first(pairs, route.noise_pairs);
    let summary = |header: &Header| HeaderSummary {
        name: header.what.name.to_string(),
        change: header.what.change.name().to_owned(),
        pairs,
        raw: header.raw,
        share: share(header.raw, pairs),
        noise: header.noise,
        noise_pairs: route.noise_pairs,
        is_noise: header.is_noise(pairs, route.noise_pairs),
        first_seen: header.seen.map(|(first, _)| rfc3339(first)),
        last_seen: header.seen.map(|(_, last)| rfc3339(last)),
    };
    told.into_iter().map(summary).collect()
}

fn example_summary(route: &RouteFindings, example: &Example) -> ExampleSummary {
    ExampleSummary {
        place: example.place.clone(),
        kind: example.kind.name().to_owned(),
        baseline: example.baseline.clone(),
        candidate: example.candidate.clone(),
        note: example.note.clone(),
        seen: rfc3339(example.seen),
        route: route.route.to_string(),
        request: Some(example.request.clone()),
        asked: example.asked.as_ref().map(|asked| asked_summary(asked, example.latencies)),
    }
}

fn asked_summary(asked: &Asked, latencies: [Option<Duration>; 2]) -> AskedSummary {
    let [baseline_status, candidate_status] = asked.statuses.map_or([None; 2], |it| it.map(Some));
    let [baseline_seconds, candidate_seconds] = latencies.map(|it| Some(it?.as_secs_f64()));
    AskedSummary {
        method: asked.method.clone(),
        target: asked.target.clone(),
        ids: asked.ids.iter().cloned().collect(),
        baseline_status,
        candidate_status,
        baseline_seconds,
        candidate_seconds,
        curl: curl::line(asked),
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
