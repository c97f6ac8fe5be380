//! Makes a copy fit its candidate before it is sent, by what the plan says of its route. A copy that cannot be
//! made to fit is not sent.

use std::sync::Arc;

use bytes::Bytes;

use super::copied::{copy_of, is_small, snapshot_of};
use super::{hooks, identities};
use crate::body::Held;
use crate::exchange::{Outcome, RequestSnapshot};
use crate::mirror::lane::Lane;
use crate::mirror::reply::DECODED_FACTOR;
use crate::observe::Series;
use crate::plan::{Preparation, Terms};
use compare::Limits;
use transform::CopyRequest;
use transform::parts::Fault;
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
    // What a hook does may take as long as it may.
    if preparation.pre.is_empty() && is_small(&snapshot, body.as_deref()) {
        return made_to_fit((lane, series, aboard), (terms, preparation), &snapshot, body);
    }
    let (lane, series, terms) = (Arc::clone(lane), Arc::clone(series), Arc::clone(terms));
    let aboard = aboard.clone();
    let runtime = lane.shared.compare_runtime.clone();
    let work = async move {
        let preparation = terms.preparation.as_ref().expect("it was there a moment ago");
        made_to_fit((&lane, &series, &aboard), (&terms, preparation), &snapshot, body)
    };
    // A panic there is a fault of ours.
    runtime.spawn(work).await.unwrap_or(Err(Outcome::InternalError))
}

fn made_to_fit(
    (lane, series, aboard): (&Lane, &Series, &identities::Of),
    (terms, preparation): (&Terms, &Preparation),
    snapshot: &RequestSnapshot,
    body: Option<Bytes>,
) -> Result<Prepared, Outcome> {
    let mut held = lane.budget.try_take(0);
    let mut grant = |bytes| held.as_mut().is_some_and(|held| held.try_grow(bytes));
    let max_decoded = terms.max_body_bytes.saturating_mul(DECODED_FACTOR);
    let mut limits = Limits { max_decoded, grant: &mut grant };
    let mut copy = copy_of(snapshot, body);
    let put = identities::put(aboard.as_deref(), terms, &mut copy, &mut limits);
    let request_id = format!("{:032x}", rand::random::<u128>());
    let candidate = lane.observe.name();
    let about = About { route: &series.label, candidate: &candidate, request_id: &request_id };
    let applied = preparation.apply(&mut copy, &put.values, &about, &mut limits, None);
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
    hooks::pre(lane, &series.label, &preparation.pre, &mut copy)?;
    let more = copy.body.as_ref().filter(|_| place(&copy) != before).map_or(0, Bytes::len);
    if !held.as_mut().is_some_and(|held| held.try_grow(more)) {
        lane.note_drop(Outcome::DroppedBufferFull);
        return Err(Outcome::DroppedBufferFull);
    }
    let (snapshot, body) = snapshot_of(copy, snapshot).map_err(unsent)?;
    lane.count_redacted(preparation, &tally);
    Ok(Prepared { snapshot: Arc::new(snapshot), body, held, is_unknown: put.is_unknown })
}
