//! One route of a candidate: the verdict with each of its bounds, latencies, the last hour, what holds for it.

use std::sync::Arc;

use askama::Template;
use serde_json::Value;

mod bounds;
mod copied;

pub use super::chart::Buckets;
use super::chart::{self, Line};
use super::overview::class_of;
use super::shell::{Shell, html};
use super::words::{NONE, count, encoded, latency, lines, percent, text};
use crate::explain::Explained;
use bounds::Bound;
use copied::Copied;
use judge::history::Minute;
use judge::report::summary::{RouteSummary, Thresholds};

/// What is known of a route.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Of which candidate.
    pub candidate: Arc<str>,
    /// Its label.
    pub label: String,
    /// What its pairs told; `None` without any.
    pub summary: Option<RouteSummary>,
    /// What is allowed there.
    pub allowed: Thresholds,
    /// Latencies of the baseline, and of the candidate.
    pub latencies: [Buckets; 2],
    /// The last hour.
    pub hour: Vec<Minute>,
    /// Whether copies of its requests pass its guardrail.
    pub is_on: bool,
    /// The guardrail's word for its state, where it had a pair.
    pub state: Option<&'static str>,
    /// The share of its requests that is mirrored now.
    pub share: Option<f64>,
    /// What settings and overrides say it is.
    pub share_said: Option<f64>,
    /// What holds for it, as `/control/config` shows it; `None` where that is not to be shown.
    pub policy: Option<Value>,
    /// How its last copy that was explained became what it is; `None` where that is not to be shown.
    pub copy: Option<Option<Arc<Explained>>>,
    /// Whether it is a route of the settings, whose share can be set.
    pub is_of_settings: bool,
}

#[derive(Template)]
#[template(path = "route.html")]
struct Page<'a> {
    shell: &'a Shell,
    label: String,
    candidate: String,
    route: &'a str,
    is_on: bool,
    state: Option<&'static str>,
    share: Option<String>,
    share_value: String,
    is_of_settings: bool,
    back: String,
    told: Option<Told>,
    charts: Vec<Chart>,
    policy: Option<Vec<(String, String)>>,
    place: Option<String>,
    copied: Copied,
}

/// What the pairs told.
struct Told {
    class: &'static str,
    verdict: &'static str,
    sentence: String,
    reasons: Vec<String>,
    not_covered: Vec<String>,
    pairs: String,
    bounds: Vec<Bound>,
    distribution: Option<Distribution>,
    fields: Vec<Field>,
    more: String,
    headers: Vec<Header>,
    rules: Option<String>,
}

struct Distribution {
    chart: String,
    from: String,
    middle: String,
    to: String,
    quantiles: Vec<[String; 3]>,
}

struct Field {
    field: String,
    kinds: String,
    risk: String,
    share: String,
    is_noise: bool,
}

struct Header {
    name: String,
    change: String,
    share: String,
}

/// Something over time.
struct Chart {
    title: &'static str,
    chart: String,
    top: String,
    /// Classes and names of its lines.
    keys: Vec<(&'static str, &'static str)>,
}

/// The whole page.
pub fn page(shell: Shell, seen: &Seen) -> String {
    let label = text(&seen.label);
    let back = super::overview::route_href(&seen.candidate, &seen.label);
    let copied = Copied::of(seen.copy.as_ref().map(Option::as_deref), shell.withheld);
    html(&Page {
        shell: &shell.titled(&label),
        candidate: seen.candidate.to_string(),
        route: &seen.label,
        is_on: seen.is_on,
        state: seen.state,
        share: seen.share.map(percent),
        share_value: seen.share_said.map_or_else(String::new, |it| it.to_string()),
        is_of_settings: seen.is_of_settings,
        told: seen.summary.as_ref().map(|it| told(seen, it)),
        charts: charts(&seen.hour),
        place: seen.policy.as_ref().and_then(|it| Some(text(it["place"].as_str()?))),
        policy: seen.policy.as_ref().map(|it| policy(it, &seen.candidate)),
        copied,
        back,
        label,
    })
}

fn told(seen: &Seen, summary: &RouteSummary) -> Told {
    let scope = &summary.scope;
    let fields = summary.fields.iter().filter(|it| it.raw > 0).take(8);
    let header = |it: &judge::report::summary::HeaderSummary| Header {
        name: text(&it.name),
        change: text(&it.change),
        share: percent(it.share),
    };
    Told {
        class: class_of(scope.verdict),
        verdict: scope.verdict.name(),
        sentence: text(&summary.headline),
        reasons: scope.reasons.iter().map(|it| text(it)).collect(),
        not_covered: scope.not_covered.iter().map(|it| text(it)).collect(),
        pairs: count(scope.pairs),
        bounds: bounds::all(scope, &seen.allowed),
        distribution: distribution(seen, summary),
        fields: fields.map(field).collect(),
        more: format!(
            "differences?candidate={}&route={}",
            encoded(&seen.candidate),
            encoded(&seen.label)
        ),
        headers: summary.uncompared_headers.iter().take(8).map(header).collect(),
        rules: summary.suggested_rules.as_deref().map(lines),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn field(field: &judge::report::summary::FieldSummary) -> Field {
    Field {
        field: super::words::short(&field.field, 160),
        kinds: field.kinds.join(", "),
        risk: field.risk.clone(),
        share: percent(field.raw as f64 / field.pairs.max(1) as f64),
        is_noise: field.is_noise,
    }
}

fn distribution(seen: &Seen, summary: &RouteSummary) -> Option<Distribution> {
    let [baseline, candidate] = &seen.latencies;
    let sides = [("baseline", baseline), ("candidate", candidate)];
    let (chart, [from, to]) = chart::distributions(sides)?;
    let times = &summary.scope.latency;
    let named = [("p50", times.p50), ("p90", times.p90), ("p99", times.p99), ("p99.9", times.p999)];
    let quantiles = named.map(|(name, it)| {
        [name.to_owned(), latency(it.baseline_seconds), latency(it.candidate_seconds)]
    });
    Some(Distribution {
        chart,
        from: latency(Some(from)),
        middle: latency(Some((from * to).sqrt())),
        to: latency(Some(to)),
        quantiles: quantiles.to_vec(),
    })
}

fn charts(hour: &[Minute]) -> Vec<Chart> {
    let share = |part: u32, of: u32| (of > 0).then(|| f64::from(part) / f64::from(of));
    let differing = Line::new("bad", hour.iter().map(|it| share(it.differing, it.pairs)));
    let failed = [
        Line::new("baseline", hour.iter().map(|it| share(it.baseline_failed, it.pairs))),
        Line::new("candidate", hour.iter().map(|it| share(it.candidate_failed, it.pairs))),
    ];
    let p99 = [
        Line::new("baseline", hour.iter().map(|it| Some(f64::from(it.baseline?.p99)))),
        Line::new("candidate", hour.iter().map(|it| Some(f64::from(it.candidate?.p99)))),
    ];
    let evidence = Line::new("evidence", hour.iter().map(|it| it.evidence.map(f64::from)));
    let sides = || vec![("baseline", "baseline"), ("candidate", "candidate")];
    let chart = |title, lines: &[Line], top: f64, shown: String, keys| Chart {
        title,
        chart: chart::over_time(lines, (top, None), &[], title),
        top: shown,
        keys,
    };
    let (differ, fail) = (top_of(std::slice::from_ref(&differing)), top_of(&failed));
    let slow = chart::most(&p99, 0.001) * 1.1;
    vec![
        chart(
            "Pairs that differ",
            &[differing],
            differ,
            percent(differ),
            vec![("bad", "differ, noise included")],
        ),
        chart("Failures", &failed, fail, percent(fail), sides()),
        chart("p99", &p99, slow, latency(Some(slow)), sides()),
        Chart {
            title: "Evidence on this route",
            chart: chart::over_time(&[evidence], (1.15, Some(1.0)), &[], "evidence"),
            top: "trips".to_owned(),
            keys: vec![("evidence", "logarithmic")],
        },
    ]
}

/// A scale for shares, on which a single percent is not the whole height.
fn top_of(lines: &[Line]) -> f64 {
    let most = chart::most(lines, 0.01);
    [0.01, 0.02, 0.05, 0.1, 0.2, 0.5].into_iter().find(|top| most <= *top).unwrap_or(1.0)
}

/// What holds, for people: of the candidate's own terms each by itself.
fn policy(policy: &Value, candidate: &str) -> Vec<(String, String)> {
    let of_route = policy.as_object().into_iter().flatten();
    let of_route = of_route.filter(|(name, _)| !matches!(name.as_str(), "candidates" | "place"));
    let terms = policy["candidates"][candidate].as_object().into_iter().flatten();
    terms.chain(of_route).map(|(name, value)| (spaced(name), valued(value))).collect()
}

/// `maxBodyBytes` as `max body bytes`.
fn spaced(name: &str) -> String {
    let mut told = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            told.push(' ');
        }
        told.push(c.to_ascii_lowercase());
    }
    text(&told)
}

fn valued(value: &Value) -> String {
    match value {
        Value::Null => NONE.to_owned(),
        Value::String(it) => text(it),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => text(&other.to_string()),
    }
}
