//! Makes a copy fit its candidate before it is sent, by what the plan says of its route. A copy that cannot be
//! made to fit is not sent.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;

use super::copied::{copy_of, is_small, snapshot_of};
use super::{hooks, identities};
use crate::body::Held;
use crate::exchange::{Outcome, RequestSnapshot};
use crate::explain::{self, Explaining};
use crate::mirror::lane::Lane;
use crate::mirror::reply::DECODED_FACTOR;
use crate::observe::Series;
use crate::plan::{Preparation, Rule, Terms};
use compare::Limits;
use transform::CopyRequest;
use transform::identity::Value;
use transform::parts::Fault;
use transform::redact::Tally;
use transform::steps::Failed;
use transform::value::About;

/// A copy as it goes out.
pub(super) struct Prepared {
    pub(super) snapshot: Arc<RequestSnapshot>,
    pub(super) body: Option<Bytes>,
    /// Pays for what it is more than the request that it was made of.
    pub(super) held: Option<Held>,
    /// It has an id of which it is not known what the candidate calls it.
    pub(super) is_unknown: bool,
}

/// Makes a copy fit, on threads that serve no clients where that takes time; why it is not sent where it
/// cannot be.
pub(super) async fn prepare(
    lane: &Arc<Lane>,
    (series, terms, preparation): (&Arc<Series>, &Arc<Terms>, &Preparation),
    aboard: &identities::Of,
    snapshot: Arc<RequestSnapshot>,
    body: Option<Bytes>,
) -> Result<Prepared, Outcome> {
    let explains = lane.observe.wants_copy(series);
    // What a hook does may take as long as it may, and so does what explains a copy.
    if !explains && preparation.pre.is_empty() && is_small(&snapshot, body.as_deref()) {
        return made_to_fit((lane, series, aboard), (terms, preparation), &snapshot, body, None);
    }
    let (lane, series, terms) = (Arc::clone(lane), Arc::clone(series), Arc::clone(terms));
    let aboard = aboard.clone();
    let runtime = lane.shared.compare_runtime.clone();
    let work = async move {
        let preparation = terms.preparation.as_ref().expect("it was there a moment ago");
        let (of, by) = ((&*lane, &*series, &aboard), (&*terms, preparation));
        match explains {
            true => explained(of, by, &snapshot, body),
            false => made_to_fit(of, by, &snapshot, body, None),
        }
    };
    // A panic there is a fault of ours.
    runtime.spawn(work).await.unwrap_or(Err(Outcome::InternalError))
}

/// A copy that nothing is done to but that it is marked.
pub(super) fn as_it_came(
    lane: &Lane,
    (series, terms): (&Series, &Terms),
    snapshot: Arc<RequestSnapshot>,
    body: Option<Bytes>,
) -> Prepared {
    if lane.observe.wants_copy(series) {
        // Its body stays what it is.
        let copy = copy_of(&snapshot, None);
        let rules = terms.rules(&series.label);
        let mut told = Explaining::redacted(&copy, &rules.rules, &[]);
        told.traced(terms.traces);
        told.marked(terms.mark.as_ref());
        lane.observe.keep_copy(series, terms, told.done(terms.basis));
    }
    Prepared { snapshot, body, held: None, is_unknown: false }
}

/// The same as [`made_to_fit`], and tells how the copy became what it is.
fn explained(
    (lane, series, aboard): (&Lane, &Series, &identities::Of),
    (terms, preparation): (&Terms, &Preparation),
    snapshot: &RequestSnapshot,
    body: Option<Bytes>,
) -> Result<Prepared, Outcome> {
    let (rules, copy) = (terms.rules(&series.label), copy_of(snapshot, body.clone()));
    let mut told = Explaining::redacted(&copy, &rules.rules, &preparation.secrets);
    let (of, by) = ((lane, series, aboard), (terms, preparation));
    let fit = made_to_fit(of, by, snapshot, body, Some(&mut told));
    match &fit {
        Ok(_) => {
            told.traced(terms.traces);
            told.marked(terms.mark.as_ref());
        }
        Err(outcome) => told.unsent(outcome.name().to_owned()),
    }
    lane.observe.keep_copy(series, terms, told.done(terms.basis));
    fit
}

fn made_to_fit(
    (lane, series, aboard): (&Lane, &Series, &identities::Of),
    (terms, preparation): (&Terms, &Preparation),
    snapshot: &RequestSnapshot,
    body: Option<Bytes>,
    mut told: Option<&mut Explaining<'_>>,
) -> Result<Prepared, Outcome> {
    let mut held = lane.budget.try_take(0);
    let mut grant = |bytes| held.as_mut().is_some_and(|held| held.try_grow(bytes));
    let max_decoded = terms.max_body_bytes.saturating_mul(DECODED_FACTOR);
    let mut limits = Limits { max_decoded, grant: &mut grant };
    let mut copy = copy_of(snapshot, body);
    let put = identities::put(aboard.as_deref(), terms, &mut copy, &mut limits);
    if let Some(told) = &mut told {
        let found = put.found.iter().copied();
        told.identities(preparation.identities.rules().zip(found), &copy);
    }
    let request_id = format!("{:032x}", rand::random::<u128>());
    let candidate = lane.observe.name();
    let about = About { route: &series.label, candidate: &candidate, request_id: &request_id };
    let by = (preparation, &put.values[..]);
    let applied = applied(by, &mut copy, &about, &mut limits, told.as_deref_mut());
    let unsent = |failed: Failed| {
        if failed.fault == Fault::NoBudget {
            lane.note_drop(Outcome::DroppedBufferFull);
            return Outcome::DroppedBufferFull;
        }
        lane.note_unfit(&series.label, &failed);
        Outcome::TransformFailed
    };
    let tally = applied.map_err(unsent)?;
    let place = |copy: &CopyRequest| copy.body.as_ref().map(|body| body.as_ptr());
    let before = place(&copy);
    hooks::pre(lane, &series.label, &preparation.pre, &mut copy, told)?;
    let more = copy.body.as_ref().filter(|_| place(&copy) != before).map_or(0, Bytes::len);
    if !held.as_mut().is_some_and(|held| held.try_grow(more)) {
        lane.note_drop(Outcome::DroppedBufferFull);
        return Err(Outcome::DroppedBufferFull);
    }
    let (snapshot, body) = snapshot_of(copy, snapshot).map_err(unsent)?;
    lane.count_redacted(preparation, &tally);
    Ok(Prepared { snapshot: Arc::new(snapshot), body, held, is_unknown: put.is_unknown })
}

/// Lets a copy go by the rules, and tells what each of them did; of one that is large or has codings, what they all
/// did, since it would have to be written anew behind each.
fn applied(
    (preparation, keep): (&Preparation, &[Value]),
    copy: &mut CopyRequest,
    about: &About<'_>,
    limits: &mut Limits<'_>,
    told: Option<&mut Explaining<'_>>,
) -> Result<Tally, Failed> {
    let Some(told) = told else { return preparation.apply(copy, keep, about, limits, None) };
    let is_short = copy.body.as_ref().is_none_or(|body| body.len() <= explain::BODY_MAX);
    let applied = if is_short && !copy.headers.contains_key(CONTENT_ENCODING) {
        let mut watch = |rule: Rule, copy: &CopyRequest, done: Result<(), Fault>| {
            told.step(rule, copy, done);
        };
        preparation.apply(copy, keep, about, limits, Some(&mut watch))
    } else {
        let applied = preparation.apply(copy, keep, about, limits, None);
        if let Some(rule) = explain::all_of(preparation).filter(|_| applied.is_ok()) {
            told.step(rule, copy, Ok(()));
        }
        applied
    };
    applied.inspect_err(|failed| told.unsent(format!("{:?}: {}", failed.step, failed.fault)))
}
