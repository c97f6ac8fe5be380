//! Where answers differ, the worst first; of one of the groups its examples and the two answers of a pair, with what
//! differs marked.

use std::sync::Arc;

use askama::Template;

use super::answers::{Answers, answers};
use super::chart;
use super::marked::{Side, sides};
use super::overview::route_href;
use super::shell::{Shell, html};
use super::words::{count, encoded, lines, percent, short, spoken, text};
use crate::observe::kept::Kept;
use compare::{Difference, Kind, Risk};
use judge::report::fields::OTHER_SHAPE;
use judge::report::summary::{AskedSummary, ExampleSummary, FieldSummary, SuggestedRule};
use serde_json::Value;

/// Groups on one page.
const ON_A_PAGE: usize = 50;
/// Characters of a field's path in the list.
const FIELD_MAX: usize = 240;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Of which candidate.
    pub candidate: String,
    /// Of this route alone; empty for all.
    pub route: String,
    /// Of this kind alone.
    pub kind: String,
    /// Of this risk alone.
    pub risk: String,
    /// With this in the path of the field, the route or an example.
    pub text: String,
    /// Whether noise is listed, too.
    pub noise: bool,
    /// Which page of the list, from 0.
    pub page: usize,
    /// The group whose examples are shown.
    pub open: String,
}

/// A group as it is known.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What is known of the field.
    pub field: FieldSummary,
    /// In how many pairs of each minute it differed; empty where that is not kept.
    pub hour: Vec<u16>,
    /// Of the open one a pair that differs so, to those who may see values.
    pub pair: Option<Arc<Kept>>,
}

#[derive(Template)]
#[template(path = "differences.html")]
struct Page<'a> {
    shell: &'a Shell,
    asked: &'a Asked,
    routes: Vec<Choice>,
    kinds: Vec<Choice>,
    risks: Vec<Choice>,
    groups: Vec<Group>,
    all: String,
    from: usize,
    to: usize,
    before: Option<String>,
    behind: Option<String>,
    applied: &'a [Applied],
    /// This page, to come back to.
    back: String,
}

/// Rules that were applied by hand.
#[derive(Clone, Debug)]
pub struct Applied {
    id: String,
    rules: String,
    by: String,
    since: String,
}

impl Applied {
    /// Those that hold, as `GET /control/rules` shows them.
    pub fn of(shown: &Value) -> Vec<Self> {
        let said = |it: &Value, name: &str| lines(it[name].as_str().unwrap_or_default());
        let one = |it: &Value| Self {
            id: it["id"].to_string(),
            rules: said(it, "rules"),
            by: said(it, "by"),
            since: it["since"].as_str().map(spoken).unwrap_or_default(),
        };
        shown.as_array().into_iter().flatten().map(one).collect()
    }
}

struct Choice {
    value: String,
    text: String,
    is_chosen: bool,
}

struct Group {
    id: String,
    href: String,
    is_open: bool,
    field: String,
    route: String,
    route_href: String,
    kinds: String,
    shape: Option<String>,
    repeats: bool,
    risk: String,
    share: String,
    raw: String,
    pairs: String,
    noise: Option<String>,
    is_noise: bool,
    first: String,
    last: String,
    hour: String,
    explanation: Option<String>,
    suggestion: Option<Suggestion>,
    /// This page with the group open, to come back to.
    back: String,
    examples: Vec<Example>,
    answers: Option<Answers>,
}

/// A rule that would settle a group. It is sent as it is shown, since nothing active is in what our rules are made of.
struct Suggestion {
    rule: String,
    evidence: String,
    hides: String,
    leaves: Option<String>,
}

/// More of a request.
struct Told {
    statuses: String,
    latencies: String,
    ids: Vec<(String, String)>,
    curl: String,
}

struct Example {
    place: String,
    kind: String,
    note: Option<String>,
    request: Option<String>,
    asked: Option<Told>,
    seen: String,
    sides: [Side; 2],
}

impl Asked {
    /// As a query, for another page or group.
    fn query(&self, page: usize, open: &str) -> String {
        let Self { candidate, route, kind, risk, text, noise, .. } = self;
        let mut query = format!("differences?candidate={}", encoded(candidate));
        let texts = [("route", route), ("kind", kind), ("risk", risk), ("text", text)];
        for (name, value) in texts.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.push_str(&format!("&{name}={}", encoded(value)));
        }
        if *noise {
            query.push_str("&noise=1");
        }
        if page > 0 {
            query.push_str(&format!("&page={page}"));
        }
        if !open.is_empty() {
            query.push_str(&format!("&open={open}#{open}"));
        }
        query
    }

    fn wants(&self, field: &FieldSummary) -> bool {
        let is = |said: &str, of: &str| said.is_empty() || said == of;
        field.raw > 0
            && (self.noise || !field.is_noise)
            && is(&self.route, &field.route)
            && is(&self.risk, &field.risk)
            && (self.kind.is_empty() || field.kinds.contains(&self.kind))
            && self.has_text(field)
    }

    /// Without regard to case. Values that are not shown are not found either: they stand in no summary.
    fn has_text(&self, field: &FieldSummary) -> bool {
        let wanted = self.text.to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&wanted);
        let in_example = |it: &ExampleSummary| {
            has(&it.place)
                || [&it.baseline, &it.candidate, &it.request]
                    .into_iter()
                    .flatten()
                    .any(|it| has(it))
        };
        wanted.is_empty()
            || has(&field.field)
            || has(&field.route)
            || field.examples.iter().any(in_example)
    }
}

/// The groups that are asked for, the worst first.
pub fn wanted(asked: &Asked, fields: impl Iterator<Item = FieldSummary>) -> Vec<FieldSummary> {
    let mut wanted: Vec<_> = fields.filter(|it| asked.wants(it)).collect();
    wanted.sort_by(|a, b| {
        let rank = |it: &FieldSummary| (it.is_noise, std::cmp::Reverse(risk_of(&it.risk)));
        rank(a).cmp(&rank(b)).then_with(|| net_share(b).total_cmp(&net_share(a)))
    });
    wanted
}

fn risk_of(name: &str) -> Option<Risk> {
    Risk::ALL.into_iter().find(|risk| risk.name() == name)
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn net_share(field: &FieldSummary) -> f64 {
    field.net / field.pairs.max(1) as f64
}

/// Those of a page, and where it begins.
pub fn on_page<'f>(asked: &Asked, wanted: &'f [FieldSummary]) -> (usize, &'f [FieldSummary]) {
    let pages = wanted.len().div_ceil(ON_A_PAGE).max(1);
    let from = asked.page.min(pages - 1) * ON_A_PAGE;
    (from, &wanted[from..wanted.len().min(from + ON_A_PAGE)])
}

/// The whole page: these groups of all, from this one on. `routes`: all that one may choose.
pub fn page(
    shell: &Shell,
    asked: &Asked,
    (all, from): (usize, usize),
    groups: &[Seen],
    (routes, applied): (&[Arc<str>], &[Applied]),
) -> String {
    let at = from / ON_A_PAGE;
    let (to, has_more) = (from + groups.len(), from + groups.len() < all);
    html(&Page {
        shell,
        routes: choices(routes.iter().map(|it| &**it), &asked.route),
        kinds: choices(Kind::ALL.into_iter().map(Kind::name), &asked.kind),
        risks: choices(Risk::ALL.into_iter().rev().map(Risk::name), &asked.risk),
        groups: groups.iter().map(|it| group(asked, at, it)).collect(),
        all: count(all as u64),
        from: from + 1,
        to,
        before: (at > 0).then(|| asked.query(at - 1, "")),
        behind: has_more.then(|| asked.query(at + 1, "")),
        applied,
        back: asked.query(at, ""),
        asked,
    })
}

fn choices<'c>(all: impl Iterator<Item = &'c str>, chosen: &str) -> Vec<Choice> {
    let choice =
        |it: &str| Choice { value: it.to_owned(), text: short(it, 80), is_chosen: it == chosen };
    all.map(choice).collect()
}

fn group(asked: &Asked, page: usize, Seen { field, hour, pair }: &Seen) -> Group {
    let id = id_of(field);
    let is_open = id == asked.open;
    let values: Vec<_> = hour.iter().map(|it| f64::from(*it)).collect();
    let seen = |at: &Option<String>| at.as_deref().map_or_else(String::new, spoken);
    let examples = if is_open { field.examples.iter().map(example).collect() } else { Vec::new() };
    let class = if field.is_noise { "noise" } else { "bad" };
    Group {
        href: asked.query(page, if is_open { "" } else { &id }),
        is_open,
        field: if is_open { text(&field.field) } else { short(&field.field, FIELD_MAX) },
        route: text(&field.route),
        route_href: route_href(&asked.candidate, &field.route),
        kinds: field.kinds.join(", "),
        // Of what is explained the shape says the same.
        shape: field.shape.as_deref().filter(|_| field.explanation.is_none()).map(text),
        repeats: field.repeats,
        risk: field.risk.clone(),
        share: percent(raw_share(field)),
        raw: count(field.raw),
        pairs: count(field.pairs),
        noise: (field.noise_pairs > 0).then(|| {
            format!("{} of {} between baselines", count(field.noise), count(field.noise_pairs))
        }),
        is_noise: field.is_noise,
        first: seen(&field.first_seen),
        last: seen(&field.last_seen),
        hour: if values.is_empty() {
            String::new()
        } else {
            chart::bars(&values, class, "pairs that differ here over the last hour")
        },
        explanation: field.explanation.as_deref().map(text),
        suggestion: field.suggestion.as_ref().filter(|_| is_open).map(suggestion),
        back: asked.query(page, &id),
        examples,
        answers: pair.as_deref().filter(|_| is_open).map(answers),
        id,
    }
}

fn suggestion(it: &SuggestedRule) -> Suggestion {
    Suggestion {
        rule: lines(&it.rule),
        evidence: text(&it.evidence),
        hides: text(&it.hides),
        leaves: it.leaves.as_deref().map(text),
    }
}

fn told(it: &AskedSummary) -> Told {
    let status = |status: Option<u16>| status.map_or("none".to_owned(), |it| it.to_string());
    let latency =
        |it: Option<f64>| it.map_or("none".to_owned(), |it| format!("{:.1} ms", 1000.0 * it));
    let both = |[ours, theirs]: [String; 2]| format!("baseline {ours}, candidate {theirs}");
    Told {
        statuses: both([it.baseline_status, it.candidate_status].map(status)),
        latencies: both([it.baseline_seconds, it.candidate_seconds].map(latency)),
        ids: it.ids.iter().map(|(name, value)| (text(name), text(value))).collect(),
        curl: text(&it.curl),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn raw_share(field: &FieldSummary) -> f64 {
    field.raw as f64 / field.pairs.max(1) as f64
}

fn example(it: &ExampleSummary) -> Example {
    Example {
        place: text(&it.place),
        kind: text(&it.kind),
        note: it.note.as_deref().map(text),
        request: it.request.as_deref().map(text),
        asked: it.asked.as_ref().map(told),
        seen: spoken(&it.seen),
        sides: sides(it.baseline.as_deref(), it.candidate.as_deref()),
    }
}

/// Whether the examples of a group are asked for.
pub fn is_open(asked: &Asked, field: &FieldSummary) -> bool {
    id_of(field) == asked.open
}

/// Whether a difference is one of a group.
pub fn is_of(field: &FieldSummary, it: &Difference) -> bool {
    let shape = field.shape.as_deref();
    it.field == field.field
        && field.kinds.iter().any(|kind| kind == it.kind.name())
        && (shape.is_none_or(|shape| shape == OTHER_SHAPE) || shape == it.traits.shape.as_deref())
}

/// Tells a group from the others, in links.
fn id_of(field: &FieldSummary) -> String {
    let FieldSummary { route, field, kinds, shape, repeats, .. } = field;
    let all = format!("{route}\n{field}\n{kinds:?}\n{shape:?}\n{repeats}");
    format!("g{:016x}", xxhash_rust::xxh3::xxh3_64(all.as_bytes()))
}
