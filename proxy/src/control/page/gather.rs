//! What is known, as the page wants it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use crate::control::report::awaited;
use crate::control::{Control, NotFound, off_by};
use crate::exchange::Outcome;
use crate::mirror::Lanes;
use crate::observe::Observe;
use crate::page::overview::{Candidate, Route, Seen};
use crate::plan::{Plan, Treatment};
use judge::report::RouteFindings;
use judge::report::Summary;
use judge::report::summary::Scope;
use judge::report::verdict::{summarize_briefly, thresholds};

/// All that the overview tells.
pub(super) fn seen(control: &Control) -> Seen {
    let lanes = control.lanes();
    let trips = trips(control);
    let observed = lanes.entries.iter().map(|entry| &entry.lane.observe);
    let candidates = observed.map(|it| candidate(&lanes, it, &trips)).collect();
    Seen { at: SystemTime::now(), candidates }
}

/// The candidate that is asked for, or the first.
pub(super) fn chosen<'s>(seen: &'s Seen, named: Option<&str>) -> Result<&'s Candidate, NotFound> {
    let mut all = seen.candidates.iter();
    let found = match named {
        None => all.next(),
        Some(name) => all.find(|it| *it.name == *name),
    };
    found.ok_or_else(|| NotFound(format!("candidate={:?}: is none", named.unwrap_or_default())))
}

/// Names and moments of trips, by candidate.
fn trips(control: &Control) -> BTreeMap<String, Vec<SystemTime>> {
    let mut trips: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for event in control.steer.events() {
        let [what, candidate, at] =
            ["event", "candidate", "time"].map(|name| event[name].as_str().unwrap_or_default());
        if matches!(what, "tripped" | "route_tripped" | "would_trip")
            && let Ok(at) = humantime::parse_rfc3339(at)
        {
            trips.entry(candidate.to_owned()).or_default().push(at);
        }
    }
    trips
}

fn candidate(
    lanes: &Lanes,
    observe: &Arc<Observe>,
    trips: &BTreeMap<String, Vec<SystemTime>>,
) -> Candidate {
    let (plan, name) = (&lanes.plan, observe.name());
    let guardrail = observe.snapshot();
    let (findings, allowed) = (observe.report_snapshot(), observe.allowed());
    let Summary { headline, overall: scope, allowed, since, routes, .. } =
        summarize_briefly(&findings, &allowed);
    let seen = Sighted { plan, observe, guardrail: &guardrail };
    let known = findings.routes.iter().zip(routes);
    let known: Vec<_> = known.map(|(it, of)| seen.known(it, of.scope, &allowed)).collect();
    let awaited = awaited(plan, observe, findings.routes.iter().map(|it| &*it.route));
    // `other` is there from the start, whether or not a request came to it.
    let awaited = awaited.iter().filter(|it| plan.has_route(it) || seen.had_request(it));
    let awaited = awaited.map(|label| seen.awaited(label, &allowed));
    Candidate {
        off_by: off_by(plan, &name),
        since_origin: observe.since_origin(),
        routes: known.into_iter().chain(awaited).collect(),
        scope,
        allowed,
        since,
        headline,
        hour: observe.last_hour(None),
        trips: trips.get(&*name).cloned().unwrap_or_default(),
        share: share_of_others(plan, &name),
        outcomes: seen.outcomes(),
        guardrail,
        name,
    }
}

/// What is looked at for one candidate.
struct Sighted<'a> {
    plan: &'a Plan,
    observe: &'a Observe,
    guardrail: &'a judge::guardrail::Snapshot,
}

type Allowed = judge::report::summary::Thresholds;

impl Sighted<'_> {
    fn outcomes(&self) -> [u64; Outcome::ALL.len()] {
        let mut sum = [0; Outcome::ALL.len()];
        let book = self.observe.book();
        for label in self.observe.labels() {
            let series = self.observe.series(&book, &label);
            for (sum, count) in sum.iter_mut().zip(series.metrics.outcomes()) {
                *sum += count;
            }
        }
        sum
    }

    fn had_request(&self, label: &str) -> bool {
        self.observe.has_seen(label)
            && self.observe.series(&self.observe.book(), &Arc::from(label)).metrics.outcomes()
                != [0; Outcome::ALL.len()]
    }

    fn known(&self, of: &RouteFindings, scope: Scope, allowed: &Allowed) -> Route {
        let own = of.allowed.as_ref().map(thresholds);
        let known = self.awaited(&of.route, own.as_ref().unwrap_or(allowed));
        Route { scope: Some(scope), ..known }
    }

    fn awaited(&self, label: &str, allowed: &Allowed) -> Route {
        let state = self.guardrail.routes.iter().find(|it| it.route == label).map(|it| it.state);
        Route {
            label: label.into(),
            scope: None,
            allowed: *allowed,
            state,
            share: share(self.plan, self.observe, label),
            hour: self.observe.last_hour(Some(label)),
        }
    }
}

/// What holds for the requests with a label.
pub(super) fn treatment<'p>(plan: &'p Plan, label: &str) -> Option<&'p Arc<Treatment>> {
    let own = |it: &&Arc<Treatment>| *it.policy.id == *label && it.policy.is_labelled();
    plan.treatments().find(own).or_else(|| plan.treatments().last())
}

fn place(plan: &Plan, candidate: &str) -> Option<usize> {
    plan.candidates.iter().position(|it| *it.name == *candidate)
}

/// The share of requests with a label that is mirrored now.
pub(super) fn share(plan: &Plan, observe: &Observe, label: &str) -> Option<f64> {
    let treatment = treatment(plan, label)?;
    let terms = treatment.terms[place(plan, &observe.name())?].as_ref()?;
    let passes = terms.enabled && observe.is_on();
    let part = if passes { observe.part_of(label, &treatment.policy.id) } else { 0.0 };
    Some(terms.share.fraction() * part)
}

/// The share that settings and overrides say, whether or not it is mirrored now.
pub(super) fn share_said(plan: &Plan, candidate: &str, label: &str) -> Option<f64> {
    let terms = treatment(plan, label)?.terms[place(plan, candidate)?].as_ref()?;
    Some(terms.share.fraction())
}

/// The share where a route says nothing else.
fn share_of_others(plan: &Plan, candidate: &str) -> f64 {
    let others = plan.treatments().last();
    let terms = others.zip(place(plan, candidate)).and_then(|(it, at)| it.terms[at].as_ref());
    terms.map_or(0.0, |it| it.share.fraction())
}
