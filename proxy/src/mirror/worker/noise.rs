//! The noise probe: a share of the mirrored requests also goes to a second baseline. Where its answer
//! differs from the baseline's, the service differs from itself, and a candidate that differs there
//! says nothing.
//!
//! It is no part of the pair: nobody waits for the secondary, its failure is counted here and
//! nowhere else, and the guardrail never hears of it. It is bounded on its own, by a few requests at
//! once, each of which ends at its copy's deadline, so that a secondary that hangs takes nothing
//! from the copies.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::{Paid, copy_of, hooks, identities, read_body};
use crate::body::Held;
use crate::exchange::{NoiseResult, Outcome, RequestSnapshot};
use crate::mirror::lane::Lane;
use crate::mirror::pair::{Head, Progress};
use crate::mirror::reply::{Reply, compared};
use crate::mirror::secondary::Secondary;
use crate::mirror::{Stage, sample};
use crate::observe::Series;
use crate::plan::Terms;
use crate::telemetry::Carried;
use crate::upstream::{OutBody, Sent};
use compare::Differences;
use transform::identity::Scope;

/// What a request to the secondary is made of: the same as the copy.
pub(super) struct Request<'a> {
    pub(super) snapshot: &'a RequestSnapshot,
    pub(super) body: Option<&'a Bytes>,
    /// For the body.
    pub(super) paid: &'a Arc<Paid>,
    pub(super) deadline: Instant,
    /// Of the baseline's answer.
    pub(super) progress: Arc<Progress>,
    /// Whose ids it has.
    pub(super) scopes: &'a [Scope],
    /// Which these are.
    pub(super) aboard: &'a identities::Of,
}

/// What the pair came to.
struct Judged {
    baseline: Arc<Reply>,
    /// What the candidate differs in from it, where that is known.
    differences: Option<Differences>,
    /// Whether there is a verdict, which noise says something of.
    counts: bool,
}

/// The secondary is being asked; dropped without the pair, there is nothing to compare.
pub(super) struct Asked {
    judged: oneshot::Sender<Judged>,
    aboard: identities::Of,
}

impl Asked {
    /// What the secondary teaches of its ids.
    pub(super) fn aboard(&self) -> &identities::Of {
        &self.aboard
    }

    /// The pair is judged.
    pub(super) fn judged(self, baseline: Arc<Reply>, differences: Option<&Differences>) {
        let differences = differences.cloned();
        // The probe may have ended at its deadline.
        self.judged.send(Judged { baseline, differences, counts: true }).ok();
    }

    /// There is no verdict, and only ids to be learned.
    pub(super) fn not_judged(self, baseline: Arc<Reply>) {
        self.judged.send(Judged { baseline, differences: None, counts: false }).ok();
    }
}

/// The one result of one probe: counted exactly once, when this is dropped.
struct Count {
    series: Arc<Series>,
    result: NoiseResult,
}

impl Drop for Count {
    fn drop(&mut self) {
        self.series.metrics.count_noise(self.result);
    }
}

/// What a probe holds while it is under way.
struct Probe {
    secondary: Arc<Secondary>,
    lane: Arc<Lane>,
    count: Count,
    deadline: Instant,
    _slot: OwnedSemaphorePermit,
}

/// Sends a request to the secondary if the dice say so and there is room. Returns at once.
pub(super) fn ask(lane: &Arc<Lane>, series: &Arc<Series>, request: &Request<'_>) -> Option<Asked> {
    let secondary = lane.secondary.as_ref()?;
    if !sample::asks_secondary(secondary.fraction, rand::random::<f64>()) {
        return None;
    }
    let mut count = Count { series: Arc::clone(series), result: NoiseResult::Skipped };
    let slot = Arc::clone(&secondary.slots).try_acquire_owned().ok()?;
    let held = lane.budget.try_take(request.snapshot.weight())?;
    count.result = NoiseResult::NotCompared;
    let (sender, judged) = oneshot::channel();
    let probe = Probe {
        secondary: Arc::clone(secondary),
        lane: Arc::clone(lane),
        count,
        deadline: request.deadline,
        _slot: slot,
    };
    let progress = &request.progress;
    let of = (progress, &request.snapshot.method);
    let aboard = identities::board(&lane.of_secondary, &progress.terms, request.scopes, of);
    if let (Some(aboard), Some(copy)) = (&aboard, request.aboard) {
        aboard.asks_as(copy);
    }
    let copy = (request.snapshot.clone(), request.body.cloned());
    let paid = (held, Arc::clone(request.paid));
    let progress = Arc::clone(progress);
    tokio::spawn(probe.run(copy, aboard.clone(), paid, progress, judged));
    Some(Asked { judged: sender, aboard })
}

/// A request, and its body.
type Copied = (RequestSnapshot, Option<Bytes>);

impl Probe {
    async fn run(
        mut self,
        copy: Copied,
        aboard: identities::Of,
        paid: (Held, Arc<Paid>),
        progress: Arc<Progress>,
        judged: oneshot::Receiver<Judged>,
    ) {
        self.lane.probe(Stage::Noise);
        let fitted = identities::fit_secondary(&self.lane, (&aboard, &progress), copy);
        let Ok(Some(fitted)) = timeout_at(self.deadline, fitted).await else { return };
        let ((snapshot, body), is_unknown) = fitted;
        let by = (&*progress.terms, Carried::new(progress.terms.traces, None));
        let copy = copy_of(&self.lane, by, snapshot, body);
        let answered = timeout_at(self.deadline, self.call(copy, &progress)).await;
        drop(paid);
        let theirs = match answered.unwrap_or(Err("no answer in time")) {
            Ok(reply) => Arc::new(reply),
            Err(reason) => return self.failed(reason),
        };
        // Without an end in time on the pair's side there is nothing to compare.
        let Ok(Ok(pair)) = timeout_at(self.deadline, judged).await else { return };
        if is_unknown {
            return;
        }
        let Judged { baseline: ours, differences: raw, counts } = pair;
        let theirs = identities::meet(&self.lane, &aboard, &ours, theirs).await;
        let Some(theirs) = theirs.filter(|_| counts) else { return };
        let label = &self.count.series.label;
        let seen = hooks::post(&self.lane, label, (ours, theirs), false).await;
        let Ok((ours, theirs)) = seen else { return };
        let looked = compared(&self.lane, &self.count.series, ours, theirs).await;
        if let Some((outcome, Some(noise))) = looked {
            self.compared(&progress.terms, outcome, raw.as_ref(), &noise);
        }
    }

    async fn call(
        &self,
        copy: http::Request<OutBody>,
        progress: &Progress,
    ) -> Result<Reply, &'static str> {
        let sent = Sent::default();
        let response = self.secondary.upstream.send(copy, &sent, false).await;
        let response = response.map_err(|error| error.reason())?;
        let latency = sent.at().map_or(Duration::ZERO, |sent| sent.elapsed());
        let mut head = Head::of(&response, latency, &progress.terms);
        head.keep_all(response.headers(), false);
        let body = read_body(&self.lane, response.into_body(), &mut head, progress).await;
        Ok(Reply { head, body: Arc::new(body.ok_or("answer broken off")?) })
    }

    fn compared(
        &mut self,
        terms: &Terms,
        outcome: Outcome,
        raw: Option<&Differences>,
        noise: &Differences,
    ) {
        self.count.result = match outcome {
            Outcome::Matched => NoiseResult::Matched,
            _ => NoiseResult::Differed,
        };
        self.lane.observe.noise(&self.count.series.label, terms, raw, noise);
    }

    fn failed(&mut self, reason: &'static str) {
        self.count.result = NoiseResult::Failed;
        if let Some(before) = self.secondary.failed.admit(std::time::Instant::now()) {
            warn!(reason, not_logged_before = before, "the secondary gave no answer");
        }
    }
}
