//! A plan and its lanes: from one plan to the next, what is still the same candidate keeps what is
//! known of it, its connections and its queue.

use std::sync::Arc;

use tokio::sync::Notify;

use super::between::Between;
use super::entry::Entry;
use super::identities::{Both, Identities};
use super::lane::{Made, Room, Shared};
use super::secondary::Secondary;
use crate::body::Budget;
use crate::metrics::{BetweenMetrics, CandidateMetrics, Metrics};
use crate::observe::announce::Announcer;
use crate::observe::{Book, Forgotten, Observe, OffByHand, replicas};
use crate::plan::Plan;
use crate::policy::Candidate;
use crate::record::Recorder;
use crate::telemetry::Tracer;
use crate::upstream::{Target, Trust, Upstream};

/// Sets up a candidate.
pub type Connect = Box<dyn Fn(&Target, &Trust) -> std::io::Result<Arc<Upstream>> + Send + Sync>;

/// What lanes are made with, beside the plan.
pub struct Means {
    /// Sets up a candidate that is not there yet.
    pub connect: Connect,
    /// Where its series go.
    pub metrics: Arc<Metrics>,
    /// Makes known what its guardrail decides.
    pub announcer: Arc<Announcer>,
    /// The second baseline, and the share of copies that it gets too.
    pub secondary: Option<(Arc<Upstream>, f64)>,
    /// Whether requests are relayed, which takes a part of the byte budget.
    pub relays: bool,
    /// Records exchanges; where it does, that takes a part, too.
    pub recorder: Recorder,
    /// Woken for what other replicas are to be told, where there are others.
    pub replicas: Option<Arc<Notify>>,
    /// Makes spans.
    pub tracer: Tracer,
}

impl std::fmt::Debug for Means {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Means").finish_non_exhaustive()
    }
}

fn room(plan: &Plan, candidate: &Candidate) -> Room {
    Room {
        queue: candidate.queue_size.unwrap_or(plan.defaults.queue_size),
        concurrency: candidate.concurrency.unwrap_or(plan.defaults.concurrency),
    }
}

/// A candidate that cannot be set up.
#[derive(Debug)]
pub struct Fault {
    /// Its name.
    pub candidate: Arc<str>,
    /// Why; https without root certificates for one.
    pub error: std::io::Error,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot set up the candidate {}: {}", self.candidate, self.error)
    }
}

/// A plan with a lane for each of its candidates, in the same order.
#[derive(Debug)]
pub struct Lanes {
    /// The plan.
    pub plan: Arc<Plan>,
    /// One for each candidate.
    pub entries: Vec<Arc<Entry>>,
    /// Where the requests of this plan are counted, for each of them.
    pub(super) books: Vec<Arc<Book>>,
    gone: Vec<Gone>,
    /// Each two of them, where they are compared with each other.
    pub between: Arc<Vec<Arc<Between>>>,
}

/// A candidate that was taken out, of which this was off by hand: it is so when it comes back.
type Gone = (Arc<str>, OffByHand);

/// Most that are kept of those; what was taken out first is forgotten first.
const GONE_MAX: usize = 100;

impl Lanes {
    /// The lane of a candidate.
    pub fn of(&self, name: &str) -> Option<&Arc<Entry>> {
        self.entries.get(self.plan.position(name)?)
    }

    fn off_when_gone(&self, name: &str) -> Option<OffByHand> {
        let (_, off) = self.gone.iter().find(|(gone, _)| **gone == *name)?;
        Some(off.clone())
    }

    /// Who is gone with this plan, of those that were there and those that were gone already.
    fn gone_with(&self, plan: &Plan) -> Vec<Gone> {
        let here = self.plan.candidates.iter().zip(&self.entries);
        let here = here.map(|(it, entry)| (Arc::clone(&it.name), entry.lane.observe.off_by_hand()));
        let all = self.gone.iter().cloned().chain(here);
        let gone = all.filter(|(name, off)| plan.position(name).is_none() && !off.is_nothing());
        let gone: Vec<_> = gone.collect();
        gone[gone.len().saturating_sub(GONE_MAX)..].to_vec()
    }

    /// Sets up what may fail, and changes nothing.
    pub(super) fn prepare(
        plan: Plan,
        before: Option<&Self>,
        means: &Means,
        trust: &Trust,
    ) -> Result<Prepared, Fault> {
        let candidates = plan.candidates.iter().map(|candidate| {
            let old = before.and_then(|lanes| lanes.of(&candidate.name)).cloned();
            let was = before.and_then(|lanes| {
                let at = lanes.plan.position(&candidate.name)?;
                Some(&lanes.plan.candidates[at].target)
            });
            let same = was.is_some_and(|was| was.is_same_place(&candidate.target));
            if let Some(entry) = old.clone().filter(|_| same) {
                return Ok(Next::Same(entry));
            }
            let fault = |error| Fault { candidate: Arc::clone(&candidate.name), error };
            let upstream = (means.connect)(&candidate.target, trust).map_err(fault)?;
            let off = old.map(|old| old.lane.observe.off_by_hand());
            let off = off.or_else(|| before?.off_when_gone(&candidate.name));
            Ok(Next::New { upstream, off: off.unwrap_or_default() })
        });
        let candidates = candidates.collect::<Result<_, _>>()?;
        Ok(Prepared { plan: Arc::new(plan), candidates })
    }
}

/// What becomes of a candidate.
enum Next {
    /// It is the one that was there.
    Same(Arc<Entry>),
    /// It is another one, be it of the same name, of which this was off by hand.
    New { upstream: Arc<Upstream>, off: OffByHand },
}

/// Lanes that are set up and not open yet.
pub(super) struct Prepared {
    plan: Arc<Plan>,
    candidates: Vec<Next>,
}

impl Prepared {
    /// Opens the lanes, and says who starts anew. Cannot fail.
    pub(super) fn open(
        self,
        before: Option<&Lanes>,
        shared: &Arc<Shared>,
        means: &Means,
    ) -> (Arc<Lanes>, Vec<String>) {
        let Self { plan, candidates } = self;
        let several = plan.candidates.len() > 1;
        let records = means.recorder.is_on();
        let parts = plan.candidates.len() + usize::from(means.relays) + usize::from(records);
        let part = plan.defaults.buffer_bytes / parts.max(1);
        shared.budget.set_limit(plan.defaults.buffer_bytes);
        shared.relayed.set_limit(if means.relays { part } else { 0 });
        shared.recorded.set_limit(if records { part } else { 0 });
        if let Some(before) = before {
            silence_who_is_gone(before, &candidates);
        }
        let entries = plan.candidates.iter().zip(candidates).map(|(candidate, next)| match next {
            Next::Same(entry) => go_on(&plan, candidate, &entry, (part, several), shared, means),
            Next::New { upstream, off } => {
                let metrics = CandidateMetrics::new(
                    Arc::clone(&means.metrics),
                    Arc::clone(&candidate.name),
                    several,
                );
                let (thresholds, allowed) = (plan.thresholds(candidate), plan.allowed(candidate));
                let announcer = Arc::clone(&means.announcer);
                let replicas =
                    means.replicas.as_ref().map(|wake| replicas::Shared::new(Arc::clone(wake)));
                let observe = Observe::new(thresholds, allowed, metrics, announcer, replicas);
                observe.stay_off(&off);
                let budget = shared.budget.part(part);
                let identities = [(), ()].map(|()| Identities::new(shared.secret));
                let kept = Kept { observe, upstream, budget, identities };
                entry(&plan, candidate, kept, shared, means)
            }
        });
        let entries: Vec<_> = entries.collect();
        let between = Arc::new(between(&plan, &entries, before, means));
        let books = entries.iter().map(|entry| entry.lane.observe.book()).collect();
        let gone = before.map(|before| before.gone_with(&plan)).unwrap_or_default();
        let lanes = Arc::new(Lanes { entries, books, gone, between, plan: Arc::clone(&plan) });
        let Some(before) = before else { return (lanes, Vec::new()) };
        retire_who_is_gone(before, &lanes);
        let anew = forget_what_is_judged_otherwise(before, &lanes);
        (lanes, anew)
    }
}

/// What outlives a lane of the same candidate.
struct Kept {
    observe: Arc<Observe>,
    upstream: Arc<Upstream>,
    budget: Arc<Budget>,
    identities: Both,
}

/// What a candidate's identities are from now on.
fn configure(plan: &Plan, candidate: &Candidate, both: [&Arc<Identities>; 2]) {
    let policies = plan.identities(&candidate.name);
    both.into_iter().for_each(|identities| identities.configure(&policies));
}

/// A lane of its own for a candidate of which this much is there.
fn entry(
    plan: &Plan,
    candidate: &Candidate,
    kept: Kept,
    shared: &Arc<Shared>,
    means: &Means,
) -> Arc<Entry> {
    let secondary = means.secondary.as_ref();
    let secondary =
        secondary.map(|(upstream, fraction)| Secondary::new(Arc::clone(upstream), *fraction));
    let unreachable_after = unreachable_after(plan, candidate);
    let room = self::room(plan, candidate);
    let Kept { observe, upstream, budget, identities } = kept;
    configure(plan, candidate, identities.each_ref());
    let made = Made { observe, upstream, budget, identities, secondary, room, unreachable_after };
    Entry::open(made, shared)
}

/// The lane of a candidate that was there, with all that is known of it.
fn go_on(
    plan: &Plan,
    candidate: &Candidate,
    entry: &Arc<Entry>,
    (part, several): (usize, bool),
    shared: &Arc<Shared>,
    means: &Means,
) -> Arc<Entry> {
    let lane = &entry.lane;
    lane.budget.set_limit(part);
    lane.set_unreachable_after(unreachable_after(plan, candidate));
    lane.observe.configure(plan.thresholds(candidate), plan.allowed(candidate));
    if lane.observe.metrics().told_apart() != several {
        let (metrics, name) = (Arc::clone(&means.metrics), Arc::clone(&candidate.name));
        lane.observe.relabel(CandidateMetrics::new(metrics, name, several));
    }
    if entry.room == room(plan, candidate) {
        configure(plan, candidate, [&lane.identities, &lane.of_secondary]);
        return Arc::clone(entry);
    }
    let kept = Kept {
        observe: Arc::clone(&lane.observe),
        upstream: Arc::clone(&lane.upstream),
        budget: Arc::clone(&lane.budget),
        identities: [Arc::clone(&lane.identities), Arc::clone(&lane.of_secondary)],
    };
    self::entry(plan, candidate, kept, shared, means)
}

/// Each two candidates, where they are to be compared; two that were there keep what is known of them.
fn between(
    plan: &Plan,
    entries: &[Arc<Entry>],
    before: Option<&Lanes>,
    means: &Means,
) -> Vec<Arc<Between>> {
    if !plan.defaults.compare_candidates {
        return Vec::new();
    }
    let same = |name: &str| {
        let (old, at) = (before?.of(name)?, plan.position(name)?);
        Arc::ptr_eq(&old.lane.observe, &entries[at].lane.observe).then_some(())
    };
    let names = plan.candidates.iter().map(|candidate| &candidate.name);
    let mut pairs = Vec::new();
    for (at, second) in names.clone().enumerate() {
        for first in names.clone().take(at) {
            let of = [Arc::clone(first), Arc::clone(second)];
            let known = before.filter(|_| same(first).and(same(second)).is_some());
            let known = known.and_then(|it| it.between.iter().find(|it| it.names == of)).cloned();
            let metrics = || BetweenMetrics::new(&means.metrics, of.clone());
            pairs.push(known.unwrap_or_else(|| Between::new(of.clone(), metrics())));
        }
    }
    pairs
}

/// The guardrail's rule comes first.
fn unreachable_after(plan: &Plan, candidate: &Candidate) -> u32 {
    let own = candidate.thresholds.consecutive;
    own.map_or(plan.defaults.unreachable_after, |consecutive| consecutive.max(5))
}

/// Before the new ones are there, whose series may bear the same names.
fn silence_who_is_gone(before: &Lanes, candidates: &[Next]) {
    for entry in &before.entries {
        let goes_on = |next: &Next| matches!(next, Next::Same(same) if Arc::ptr_eq(same, entry));
        if !candidates.iter().any(goes_on) {
            entry.lane.observe.leave();
        }
    }
}

/// Those of another candidate of the same name take over the series of the one that is gone, where they
/// have the same labels.
fn retire_who_is_gone(before: &Lanes, lanes: &Lanes) {
    let told_apart = |entry: &Arc<Entry>| entry.lane.observe.metrics().told_apart();
    for (entry, candidate) in before.entries.iter().zip(&before.plan.candidates) {
        let next = lanes.of(&candidate.name);
        if next.is_none_or(|next| told_apart(next) != told_apart(entry)) {
            entry.lane.observe.retire();
        }
    }
}

/// Of whom nothing is known any more, or not yet: candidates that were not there before, or whose pairs are
/// held against something else now, and those of which that is so on some routes.
fn forget_what_is_judged_otherwise(before: &Lanes, lanes: &Lanes) -> Vec<String> {
    let mut anew = Vec::new();
    for (entry, candidate) in lanes.entries.iter().zip(&lanes.plan.candidates) {
        let (name, observe) = (&candidate.name, &entry.lane.observe);
        let bases = before.plan.bases(name);
        let routes = lanes.plan.judged_anew(&bases, name);
        let forgotten = observe.hold_against(&lanes.plan.bases(name), &routes);
        let between = lanes.between.iter().filter(|it| it.names.contains(name));
        match &forgotten {
            Forgotten::All => between.for_each(|it| it.reset()),
            Forgotten::Routes(labels) => between.for_each(|it| it.forget(labels)),
        }
        match forgotten {
            Forgotten::Routes(labels) if is_judged_alike(before, lanes, entry, candidate) => {
                anew.extend(labels.iter().map(|label| format!("{name} on {label}")));
            }
            _ => anew.push(name.to_string()),
        }
    }
    anew
}

/// Whether it was there before, with these thresholds for all routes.
fn is_judged_alike(before: &Lanes, lanes: &Lanes, entry: &Entry, candidate: &Candidate) -> bool {
    let (Some(old), Some(at)) = (before.of(&candidate.name), before.plan.position(&candidate.name))
    else {
        return false;
    };
    let was = &before.plan.candidates[at];
    Arc::ptr_eq(&old.lane.observe, &entry.lane.observe)
        && before.plan.thresholds(was).judges() == lanes.plan.thresholds(candidate).judges()
        && before.plan.allowed(was) == lanes.plan.allowed(candidate)
}
