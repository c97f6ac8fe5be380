//! The report as it is shown: what `GET /control/report` answers in JSON, and what a client reads.

use serde::{Deserialize, Serialize};

use crate::verdict::Verdict;
use compare::Unused;

/// The guardrail's states in which no pairs come.
pub(super) const STOPPED: [&str; 2] = ["tripped", "held"];

/// The whole report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The verdict in one sentence, and why.
    #[serde(default)]
    pub headline: String,
    /// Over all routes.
    #[serde(flatten)]
    pub overall: Scope,
    /// When the first pair came, RFC 3339.
    pub since: Option<String>,
    /// The guardrail's state, as in the status: no pairs come while it is `tripped` or `held`.
    pub mirroring: Option<String>,
    /// How the bounds are made, and what they hold for.
    pub method: String,
    /// What is allowed.
    pub allowed: Thresholds,
    /// The fields that differ most, the worst first.
    pub worst_fields: Vec<FieldSummary>,
    /// The same for each route, in the order in which they were seen first.
    pub routes: Vec<RouteSummary>,
    /// What found no room.
    pub left_out: LeftOut,
    /// Rules of the comparison that never applied.
    #[serde(default)]
    pub unused_rules: Vec<UnusedRule>,
    /// Routes that the candidate is to get copies of, and of which there is no pair yet.
    #[serde(default)]
    pub awaited_routes: Vec<String>,
}

/// A rule that never selected anything, which is likely a typing error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnusedRule {
    /// As it was written.
    pub rule: String,
    /// Where.
    pub place: String,
    /// The label of the route that it is for; `None` for all.
    pub route: Option<String>,
    /// Pairs that were looked at in detail where it holds.
    pub pairs: u64,
}

impl From<&Unused> for UnusedRule {
    fn from(unused: &Unused) -> Self {
        let Unused { text, place, route, pairs } = unused.clone();
        Self { rule: text, place, route, pairs }
    }
}

impl Summary {
    /// Whether the candidate has this route, be it without a pair so far.
    pub fn has_route(&self, label: &str) -> bool {
        self.routes.iter().any(|it| it.route == label)
            || self.awaited_routes.iter().any(|it| it == label)
    }

    /// The same without the values of examples, which are parts of answers to somebody; `why` stands in
    /// their place.
    #[must_use]
    pub fn without_values(mut self, why: &str) -> Self {
        let fields = self.routes.iter_mut().flat_map(|route| &mut route.fields);
        for example in fields.chain(&mut self.worst_fields).flat_map(|field| &mut field.examples) {
            let ExampleSummary { baseline, candidate, request, .. } = &mut *example;
            for value in [baseline, candidate, request].into_iter().flatten() {
                why.clone_into(value);
            }
            example.asked = None;
        }
        self
    }
}

/// What is allowed, as configured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Thresholds {
    /// `REPORT_MISMATCH_RATE`.
    pub mismatch_rate: f64,
    /// `REPORT_STATUS_RATE`.
    #[serde(default)]
    pub status_rate: f64,
    /// `ABORT_ERROR_DELTA`.
    pub error_delta: f64,
    /// `ABORT_P99_RATIO`.
    pub latency_ratio: f64,
    /// `ABORT_LATENCY_FLOOR`.
    pub latency_floor_seconds: f64,
}

/// A verdict and what it rests on, for a route or over all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scope {
    /// The verdict.
    pub verdict: Verdict,
    /// What failed, or what is not settled yet; empty for a pass.
    pub reasons: Vec<String>,
    /// What a verdict waits for; `null` where there is one.
    #[serde(default)]
    pub needed: Option<Needed>,
    /// What a pass does not cover, and what is missing for it.
    pub not_covered: Vec<String>,
    /// The verdict is wrong with at most this probability.
    pub alpha: f64,
    /// Pairs taken in.
    pub pairs: u64,
    /// Different answers.
    pub mismatches: Mismatches,
    /// Failures of both sides.
    pub errors: Errors,
    /// Latencies of both sides.
    pub latency: Latency,
}

/// How many more pairs make the verdict a pass, by the bounds that it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Needed {
    /// So many, should they be like those that came; `null` where more of their kind do not settle it.
    pub pairs: Option<u64>,
    /// How long they take at the present rate; `null` where that is not known.
    pub seconds: Option<f64>,
    /// So many, should none of them differ or fail; `null` where that is not enough.
    pub clean_pairs: Option<u64>,
    /// How long these take.
    pub clean_seconds: Option<f64>,
    /// Whether more may be needed: part of it is known only when the first pairs have come.
    pub at_least: bool,
    /// The present rate.
    pub pairs_per_second: Option<f64>,
    /// What is not settled: `mismatches`, `errors`, `latency`.
    pub checks: Vec<String>,
}

impl Needed {
    /// The same where no pairs come for the time being.
    pub(super) fn without_time(&mut self) {
        (self.seconds, self.clean_seconds, self.pairs_per_second) = (None, None, None);
    }
}

/// Different answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mismatches {
    /// Of this part.
    pub verdict: Verdict,
    /// Pairs whose answers were compared.
    pub compared: u64,
    /// Further pairs that agree without content (HEAD, 304).
    pub without_content: u64,
    /// Pairs that nobody could compare, too large for one: they may differ or not, so that they count
    /// against a pass and against a fail.
    #[serde(default)]
    pub unknown: u64,
    /// Their share of all pairs with content.
    #[serde(default)]
    pub unknown_share: f64,
    /// Pairs with a status of another class, net of noise, failures aside.
    #[serde(default)]
    pub other_class: u64,
    /// Their share is not above this.
    #[serde(default)]
    pub other_class_upper: f64,
    /// Pairs that differ.
    pub raw: u64,
    /// Pairs that differ in a field that is not noise.
    pub net: u64,
    /// The share of these.
    pub rate: f64,
    /// The share is not below this,
    pub lower: f64,
    /// and not above this.
    pub upper: f64,
}

/// Failures of both sides.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Errors {
    /// Of this part.
    pub verdict: Verdict,
    /// Share of pairs in which the baseline failed.
    pub baseline_rate: f64,
    /// Share of pairs in which the candidate failed.
    pub candidate_rate: f64,
    /// The candidate's share less the baseline's.
    pub difference: f64,
    /// The difference is not below this,
    pub lower: f64,
    /// and not above this.
    pub upper: f64,
}

/// Latencies of both sides.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// Of this part.
    pub verdict: Verdict,
    /// Whether any two latencies were measured alike; where not, nothing is held against the candidate here.
    #[serde(default = "yes")]
    pub judged: bool,
    /// The median.
    pub p50: Quantile,
    /// The 90th percentile.
    pub p90: Quantile,
    /// The 99th percentile; it can fail, and a pass asks for a part of it only.
    pub p99: Quantile,
    /// The 99.9th percentile; it can fail, and a pass does not wait for it.
    pub p999: Quantile,
    /// Answers that took more than four times the baseline's p99.
    pub far: Excess,
}

/// Reports of before the field had none that were not.
fn yes() -> bool {
    true
}

/// One quantile of both sides. `null` in JSON is above all that came.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quantile {
    /// The baseline's.
    pub baseline_seconds: Option<f64>,
    /// The candidate's.
    pub candidate_seconds: Option<f64>,
    /// The candidate's over the baseline's.
    pub ratio: Option<f64>,
    /// Of this quantile.
    #[serde(flatten)]
    pub excess: Excess,
}

/// The share of the candidate's latencies, less what is allowed, that are beyond a place, less the share
/// of the baseline's that are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Excess {
    /// Of this place.
    pub verdict: Verdict,
    /// As it was seen.
    #[serde(rename = "excess")]
    pub difference: f64,
    /// It is not below this,
    pub lower: f64,
    /// and not above this.
    pub upper: f64,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteSummary {
    /// The verdict in one sentence, and why.
    #[serde(default)]
    pub headline: String,
    /// Its label.
    pub route: String,
    /// The guardrail's state of this route alone.
    pub mirroring: Option<String>,
    /// What is allowed there, where that is not what is allowed for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Thresholds>,
    /// The verdict and what it rests on.
    #[serde(flatten)]
    pub scope: Scope,
    /// Answers that were compared with those of a second baseline.
    pub noise_pairs: u64,
    /// Where answers differ, the worst first.
    pub fields: Vec<FieldSummary>,
    /// Response headers that differ and are not compared: no part of the verdict.
    #[serde(default)]
    pub uncompared_headers: Vec<HeaderSummary>,
    /// Differences in such headers that found no room.
    #[serde(default)]
    pub headers_left_out: u64,
    /// Fields that differ by themselves, worth a rule.
    pub suggested_ignores: Vec<SuggestedIgnore>,
    /// All rules of these, as they may stand in the file that `MIRROR_CONFIG` names.
    #[serde(default)]
    pub suggested_rules: Option<String>,
}

/// A response header that differs and is not compared; never what it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeaderSummary {
    /// Its name.
    pub name: String,
    /// `value`, `baseline only`, `candidate only`, or `charset` of a content type that is the same
    /// otherwise.
    pub change: String,
    /// Pairs compared on this route.
    pub pairs: u64,
    /// Pairs in which it differs so.
    pub raw: u64,
    /// The share of these.
    pub share: f64,
    /// Answers of two baselines that differ so,
    pub noise: u64,
    /// out of so many compared.
    pub noise_pairs: u64,
    /// Whether it differs between two baselines just as much.
    pub is_noise: bool,
    /// When it differed first, RFC 3339.
    pub first_seen: Option<String>,
    /// When it differed last.
    pub last_seen: Option<String>,
}

/// Where answers differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldSummary {
    /// The route's label.
    pub route: String,
    /// Its path; `other` for what found no room.
    pub field: String,
    /// What is wrong there: `missing`, `added`, `type`, …
    pub kinds: Vec<String>,
    /// What the candidate's values are like here; `null` where the kind says all. Noise is told for
    /// each kind and shape.
    #[serde(default)]
    pub shape: Option<String>,
    /// Whether the candidate repeats its values here while the baseline does not.
    #[serde(default)]
    pub repeats: bool,
    /// `high`, `medium` or `low`.
    pub risk: String,
    /// Pairs compared on this route.
    pub pairs: u64,
    /// Pairs that differ here.
    pub raw: u64,
    /// Answers of two baselines that differ here,
    pub noise: u64,
    /// out of so many compared.
    pub noise_pairs: u64,
    /// Pairs that differ here beyond what noise explains, estimated.
    pub net: f64,
    /// Whether it differs between two baselines just as much.
    pub is_noise: bool,
    /// When the candidate differed here first, RFC 3339; `null` where only baselines did.
    pub first_seen: Option<String>,
    /// When it differed last.
    pub last_seen: Option<String>,
    /// What the difference is, in words that name it; `null` where kind and values say all.
    #[serde(default)]
    pub explanation: Option<String>,
    /// The rule that would settle it.
    #[serde(default)]
    pub suggestion: Option<SuggestedRule>,
    /// The first ones that are not alike.
    pub examples: Vec<ExampleSummary>,
}

/// A rule that would settle a difference, and what speaks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SuggestedRule {
    /// A fragment of a settings file, to be pasted or applied.
    pub rule: String,
    /// What speaks for it.
    pub evidence: String,
    /// What it hides by its nature.
    pub hides: String,
    /// What it would leave of the last pairs that differed; `null` where none were kept.
    #[serde(default)]
    pub leaves: Option<String>,
}

/// What was asked, so that it can be found and sent again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AskedSummary {
    /// The method.
    pub method: String,
    /// Path and query; `***` stands for what is hidden.
    pub target: String,
    /// What finds it in logs and traces: `traceparent`, `x-request-id` and the like.
    pub ids: std::collections::BTreeMap<String, String>,
    /// Of the baseline's answer.
    pub baseline_status: Option<u16>,
    /// Of the candidate's.
    pub candidate_status: Option<u16>,
    /// To the head of the baseline's answer.
    pub baseline_seconds: Option<f64>,
    /// To the head of the candidate's.
    pub candidate_seconds: Option<f64>,
    /// A line for a shell that sends it again to `$UPSTREAM`; what is secret is a variable.
    pub curl: String,
}

/// One difference as it was, masked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExampleSummary {
    /// Where.
    pub place: String,
    /// What is wrong there.
    pub kind: String,
    /// The baseline's value; `null` where it has none.
    pub baseline: Option<String>,
    /// The candidate's value; `null` where it has none.
    pub candidate: Option<String>,
    /// What the values do not show: in what they differ where they look alike, and how a body was
    /// read that is no plain JSON; `null` for nothing.
    #[serde(default)]
    pub note: Option<String>,
    /// When, RFC 3339.
    pub seen: String,
    /// The route's label.
    #[serde(default)]
    pub route: String,
    /// Method, path and query, bounded, without secrets.
    #[serde(default)]
    pub request: Option<String>,
    /// More of the request; `null` where there was no room for it.
    #[serde(default)]
    pub asked: Option<AskedSummary>,
}

/// A field that differs by itself, with the evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SuggestedIgnore {
    /// The field.
    pub path: String,
    /// The rule that hides least, for a table of the rules' file.
    #[serde(default)]
    pub rule: String,
    /// What it hides by its nature.
    #[serde(default)]
    pub hides: String,
    /// What differs on this route, is no noise, and would be hidden too.
    #[serde(default)]
    pub also_hides: Vec<String>,
    /// Pairs that differ here,
    pub raw: u64,
    /// out of so many.
    pub pairs: u64,
    /// Answers of two baselines that differ here,
    pub noise: u64,
    /// out of so many.
    pub noise_pairs: u64,
}

/// What found no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// Differences in fields that found no room; they count for the field `other`.
    pub differences: u64,
    /// Examples.
    pub examples: u64,
}
