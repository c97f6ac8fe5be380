//! All routes of a candidate, and whether it gets copies at all. What changes while one looks are parts, each of which is
//! sent anew when it is another one.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use askama::Template;

mod row;
mod status;

use super::chart::{self, Line};
use super::shell::{Shell, html};
use super::words::{count, encoded, moment, text};
use crate::exchange::Outcome;
use judge::guardrail::{self, State};
use judge::history::Minute;
use judge::report::summary::{Scope, Thresholds};
use judge::verdict::Verdict;

/// All that the overview tells, of all candidates, at one moment.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When.
    pub at: SystemTime,
    /// In the order of the settings.
    pub candidates: Vec<Candidate>,
}

/// One candidate.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its name.
    pub name: Arc<str>,
    /// Who says that it gets no copies, whatever its guardrail says.
    pub off_by: Option<&'static str>,
    /// What its guardrail shows.
    pub guardrail: guardrail::Snapshot,
    /// How long ago the guardrail's times began.
    pub since_origin: Duration,
    /// The verdict in one sentence, without what differs.
    pub headline: String,
    /// The verdict over all routes.
    pub scope: Scope,
    /// What is allowed where a route says nothing else.
    pub allowed: Thresholds,
    /// When the first pair came, RFC 3339.
    pub since: Option<String>,
    /// The last hour of all routes together.
    pub hour: Vec<Minute>,
    /// When its guardrail tripped, or would have.
    pub trips: Vec<SystemTime>,
    /// How often each outcome was counted, in the order of [`Outcome::ALL`].
    pub outcomes: [u64; Outcome::ALL.len()],
    /// Its routes.
    pub routes: Vec<Route>,
    /// The share of requests that is mirrored where a route says nothing else.
    pub share: f64,
}

/// One route.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its label.
    pub label: Arc<str>,
    /// The verdict; `None` without a pair.
    pub scope: Option<Scope>,
    /// What is allowed there.
    pub allowed: Thresholds,
    /// The guardrail's state of this route alone.
    pub state: Option<State>,
    /// The share of its requests that is mirrored now; `None` where none is meant for the candidate.
    pub share: Option<f64>,
    /// Its last hour.
    pub hour: Vec<Minute>,
}

/// By what routes are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// What is worst first.
    #[default]
    Worst,
    /// By label.
    Route,
    /// By share.
    Share,
    /// By pairs.
    Pairs,
    /// By the share of pairs that differ.
    Mismatches,
    /// By how much more often the candidate fails.
    Errors,
    /// By the candidate's median.
    P50,
    /// By the candidate's 99th percentile.
    P99,
}

impl Sort {
    /// All of them, as a query names them, with what they are called.
    pub const ALL: [(Self, &'static str, &'static str); 8] = [
        (Self::Worst, "worst", "Worst first"),
        (Self::Route, "route", "Route"),
        (Self::Share, "share", "Share"),
        (Self::Pairs, "pairs", "Pairs"),
        (Self::Mismatches, "mismatches", "Mismatches"),
        (Self::Errors, "errors", "Errors"),
        (Self::P50, "p50", "p50"),
        (Self::P99, "p99", "p99"),
    ];

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, it, _)| *it == name).map(|(sort, ..)| sort)
    }

    fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(sort, ..)| *sort == self).map_or("worst", |(_, name, _)| name)
    }
}

/// A part of the page with the id of the element that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Of the element.
    pub id: String,
    /// What is in it; of a row the row itself.
    pub html: String,
}

/// The parts of the page that change.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// Whether it is on, the verdict, the switches, the charts.
    pub sections: Vec<Part>,
    /// One row for each route, in order.
    pub rows: Vec<Part>,
}

impl Parts {
    /// Of one candidate, its routes in this order.
    pub fn of(seen: &Seen, candidate: &Candidate, sort: Sort) -> Self {
        let section = |id: &str, html: String| Part { id: id.to_owned(), html };
        let sections = vec![
            section("live-status", status::status(candidate)),
            section("live-switches", status::switches(candidate)),
            section("live-evidence", evidence(seen.at, candidate)),
            section("live-outcomes", outcomes(candidate)),
            section("live-at", moment(seen.at)),
        ];
        let routes = sorted(candidate, sort).into_iter();
        let rows = routes.map(|route| row::row(candidate, route)).collect();
        Self { sections, rows }
    }

    /// The section of this id.
    fn section(&self, id: &str) -> &str {
        let found = self.sections.iter().find(|part| part.id == id);
        found.map_or("", |part| &part.html)
    }
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    shell: &'a Shell,
    parts: &'a Parts,
    sorts: Vec<SortLink>,
}

struct SortLink {
    href: String,
    name: &'static str,
    title: &'static str,
    is_current: bool,
}

impl Overview<'_> {
    fn sort(&self, name: &str) -> &SortLink {
        self.sorts.iter().find(|it| it.name == name).unwrap_or(&self.sorts[0])
    }
}

/// The whole page.
pub fn page(shell: Shell, seen: &Seen, candidate: &Candidate, sort: Sort) -> String {
    let of = encoded(&candidate.name);
    let sorts = Sort::ALL.into_iter().map(|(it, name, title)| SortLink {
        href: format!("./?candidate={of}&sort={name}"),
        name,
        title,
        is_current: it == sort,
    });
    let following = format!("of=overview&candidate={of}&sort={}", sort.name());
    html(&Overview {
        shell: &shell.following(&following),
        parts: &Parts::of(seen, candidate, sort),
        sorts: sorts.collect(),
    })
}

fn sorted(candidate: &Candidate, sort: Sort) -> Vec<&Route> {
    let mut routes: Vec<_> = candidate.routes.iter().collect();
    let by_number = |of: fn(&Route) -> f64| {
        move |a: &&Route, b: &&Route| of(b).partial_cmp(&of(a)).unwrap_or(Ordering::Equal)
    };
    // What is equal stays in the order of labels.
    routes.sort_by(|a, b| a.label.cmp(&b.label));
    match sort {
        Sort::Worst => routes.sort_by(by_number(badness)),
        Sort::Route => {}
        Sort::Share => routes.sort_by(by_number(|it| it.share.unwrap_or(-1.0))),
        Sort::Pairs => routes.sort_by_key(|it| std::cmp::Reverse(it.pairs())),
        Sort::Mismatches => routes.sort_by(by_number(|it| it.of(|it| it.mismatches.rate))),
        Sort::Errors => routes.sort_by(by_number(|it| it.of(|it| it.errors.difference))),
        Sort::P50 => routes.sort_by(by_number(|it| it.of(|it| slowest(it.latency.p50)))),
        Sort::P99 => routes.sort_by(by_number(|it| it.of(|it| slowest(it.latency.p99)))),
    }
    routes
}

fn slowest(quantile: judge::report::summary::Quantile) -> f64 {
    quantile.candidate_seconds.unwrap_or(f64::INFINITY)
}

impl Route {
    fn pairs(&self) -> u64 {
        self.scope.as_ref().map_or(0, |it| it.pairs)
    }

    fn of(&self, number: impl Fn(&Scope) -> f64) -> f64 {
        self.scope.as_ref().map_or(f64::NEG_INFINITY, number)
    }
}

/// The verdict first, then what is off, then how much there is against it.
fn badness(route: &Route) -> f64 {
    let Some(scope) = &route.scope else { return -1.0 };
    let verdict = match scope.verdict {
        Verdict::Fail => 4.0,
        Verdict::NotEnoughData => 2.0,
        Verdict::Pass => 0.0,
    };
    let off = f64::from(u8::from(route.state.is_some_and(|it| !it.is_on())));
    let latency = &scope.latency;
    let slow = latency.p50.excess.difference.max(latency.p99.excess.difference);
    let against = scope.mismatches.rate + scope.errors.difference.max(0.0) + slow.max(0.0);
    verdict + off + (against / 3.0).min(0.99)
}

#[derive(Template)]
#[template(path = "evidence.html")]
struct Evidence {
    chart: String,
    now: String,
    trips: Vec<String>,
}

fn evidence(at: SystemTime, candidate: &Candidate) -> String {
    let marks = minutes_of(&candidate.trips, at, candidate.hour.len());
    let line = Line::new("evidence", candidate.hour.iter().map(|it| it.evidence.map(f64::from)));
    let chart = chart::over_time(&[line], (1.15, Some(1.0)), &marks, "evidence over the last hour");
    let now = &candidate.guardrail.evidence;
    html(&Evidence {
        chart,
        now: format!("{} after {} pairs", now.verdict(), count(now.pairs)),
        trips: candidate.trips.iter().rev().take(3).map(|it| moment(*it)).collect(),
    })
}

/// The places of these moments among the minutes up to `now`.
fn minutes_of(moments: &[SystemTime], now: SystemTime, minutes: usize) -> Vec<usize> {
    let place = |at: &SystemTime| {
        let ago = now.duration_since(*at).unwrap_or_default().as_secs() / 60;
        minutes.checked_sub(1)?.checked_sub(usize::try_from(ago).ok()?)
    };
    moments.iter().filter_map(place).collect()
}

#[derive(Template)]
#[template(path = "outcomes.html")]
struct Outcomes {
    all: String,
    bars: Vec<Bar>,
}

struct Bar {
    title: &'static str,
    chart: String,
    all: String,
    parts: Vec<Portion>,
}

struct Portion {
    class: &'static str,
    name: String,
    count: String,
    share: String,
}

/// Outcomes of copies that were sent, in words of colours; the others were not mirrored.
const SENT: [(Outcome, &str); 6] = [
    (Outcome::Matched, "good"),
    (Outcome::Mismatched, "bad"),
    (Outcome::CandidateFailed, "worse"),
    (Outcome::CandidateTimeout, "late"),
    (Outcome::ResponseTooLarge, "unknown"),
    (Outcome::IdentityUnknown, "other"),
];

fn outcomes(candidate: &Candidate) -> String {
    let all = Outcome::ALL.into_iter().zip(candidate.outcomes);
    let class_of = |it: Outcome| SENT.iter().find(|(sent, _)| *sent == it).map(|(_, class)| *class);
    let (mut sent, mut kept): (Vec<_>, Vec<_>) =
        all.filter(|(_, count)| *count > 0).partition(|(it, _)| class_of(*it).is_some());
    for some in [&mut sent, &mut kept] {
        some.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    }
    // Told apart by their place: the largest is the calmest.
    const SHADES: [&str; 6] = ["shade1", "shade2", "shade3", "shade4", "shade5", "shade6"];
    let sent = sent.into_iter().map(|(it, count)| (class_of(it).unwrap_or("other"), it, count));
    let shade = |at: usize| SHADES[at.min(SHADES.len() - 1)];
    let kept = kept.into_iter().enumerate().map(|(at, (it, count))| (shade(at), it, count));
    let bars =
        [bar("Mirrored, and …", sent.collect()), bar("Not mirrored, because …", kept.collect())];
    let total = candidate.outcomes.iter().sum();
    html(&Outcomes { all: count(total), bars: bars.into_iter().flatten().collect() })
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn bar(title: &'static str, parts: Vec<(&'static str, Outcome, u64)>) -> Option<Bar> {
    let all: u64 = parts.iter().map(|(_, _, count)| count).sum();
    if all == 0 {
        return None;
    }
    let drawn: Vec<_> = parts.iter().map(|(class, _, count)| (*class, *count)).collect();
    let portion = |(class, outcome, of): (&'static str, Outcome, u64)| Portion {
        class,
        name: outcome.name().replace('_', " "),
        count: count(of),
        share: super::words::percent(of as f64 / all as f64),
    };
    Some(Bar {
        title,
        chart: chart::stacked(&drawn, "outcomes"),
        all: count(all),
        parts: parts.into_iter().map(portion).collect(),
    })
}

/// The charts of a row.
#[cfg(test)]
pub(crate) fn charts_of(hour: &[Minute]) -> String {
    [row::latencies(hour), row::differing(hour)].concat()
}

/// The class of a verdict, for colours.
pub(super) fn class_of(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::NotEnoughData => "open",
    }
}

/// The id of the element of a route.
fn id_of(label: &str) -> String {
    format!("r{:016x}", xxhash_rust::xxh3::xxh3_64(label.as_bytes()))
}

/// The address of a route's page.
pub(super) fn route_href(candidate: &str, route: &str) -> String {
    format!("route?route={}&candidate={}", encoded(route), encoded(candidate))
}

/// A label as it is shown.
fn label(route: &str) -> String {
    text(route)
}
