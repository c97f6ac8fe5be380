//! Whether one candidate gets a copy of a request, and what keeps it until it is whole.

use std::sync::Arc;

use tokio::time::Instant;

use super::between::Meeting;
use super::entry::Entry;
use super::job::Job;
use super::order::Session;
use super::tap::{self, RequestTap};
use super::ticket::Ticket;
use super::{Admitted, Arrived, Stage, Tally, sample};
use crate::body::Capture;
use crate::exchange::{Outcome, RequestSnapshot};
use crate::observe::{Open, Series};
use crate::plan::{Terms, Treatment};
use crate::policy::matcher::Seen;
use crate::policy::rate::Bucket;
use crate::policy::share::Share;
use crate::route::table::Route;
use judge::Epoch;

/// Limits of copies a second.
type Rates<'a> = [Option<&'a Arc<Bucket>>; 3];

/// What decides on a request besides what it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sampling<'a> {
    pub(super) meeting: Option<&'a Arc<Meeting>>,
    pub(super) treatment: &'a Treatment,
    /// Whether it depends on how its path is read what holds for it.
    pub(super) in_doubt: bool,
    /// Where it stands among a million.
    pub(super) position: u32,
    /// Limits of copies a second.
    pub(super) rates: Rates<'a>,
    /// Of whose copies one is sent after the other.
    pub(super) session: Option<Session>,
    /// The request.
    pub(super) seen: &'a Seen<'a>,
}

impl Entry {
    /// Decides whether this request is mirrored, and counts the outcome when it is not.
    pub(super) fn admit(
        self: &Arc<Self>,
        tally: Tally,
        (route, terms): (&Arc<Route>, &Arc<Terms>),
        arrived: Arrived<'_>,
        sampling: Sampling<'_>,
        snapshot: &mut dyn FnMut() -> Arc<RequestSnapshot>,
    ) -> Option<Admitted> {
        let lane = &self.lane;
        lane.probe(Stage::Admit);
        let open = lane.observe.open_now(&tally.series, terms.id()).filter(|_| terms.enabled);
        let facts = sample::Facts {
            marked: arrived.marked,
            upgrade: arrived.upgrade,
            allowed: open.is_some(),
            method: sampling.treatment.takes_method(arrived.method),
            in_doubt: sampling.in_doubt,
        };
        let share = share_now(&tally.series, sampling.treatment, terms, open);
        match (sample::sample(facts, share, sampling.position), open) {
            (Ok(()), Some(_)) if !lane.reach.admits(std::time::Instant::now) => {
                tally.count(Outcome::CandidateUnreachable)
            }
            (Ok(()), Some(open)) => {
                let told = (tally, open.epoch, arrived);
                self.open_ticket(told, (route, terms), sampling, snapshot)
            }
            (Ok(()), None) => tally.count(Outcome::Disabled),
            (Err(outcome), _) => tally.count(outcome),
        }
    }

    fn open_ticket(
        self: &Arc<Self>,
        (tally, epoch, arrived): (Tally, Epoch, Arrived<'_>),
        (route, terms): (&Arc<Route>, &Arc<Terms>),
        sampling: Sampling<'_>,
        snapshot: &mut dyn FnMut() -> Arc<RequestSnapshot>,
    ) -> Option<Admitted> {
        let (lane, Arrived { length, known, lost, .. }) = (&self.lane, arrived);
        if let Some(outcome) = lost {
            return tally.count(outcome);
        }
        let with_body = terms.body;
        if with_body && length.is_some_and(|length| length > terms.max_body_bytes as u64) {
            return tally.count(Outcome::BodyTooLarge);
        }
        if length == Some(0) && self.queue.capacity() == 0 {
            // It would be handed over in a moment: nothing needs to be kept to see that it cannot be.
            lane.note_drop(Outcome::DroppedQueueFull);
            return tally.count(Outcome::DroppedQueueFull);
        }
        // After what is known to keep it from being sent, which uses up no rate.
        if !within(sampling.rates) {
            return tally.count(Outcome::DroppedRate);
        }
        let snapshot = snapshot();
        let Some(held) = lane.budget.try_take(snapshot.weight()) else {
            lane.note_drop(Outcome::DroppedBufferFull);
            return tally.count(Outcome::DroppedBufferFull);
        };
        let body = with_body.then(|| Capture::new(terms.max_body_bytes, &lane.budget));
        let is_overtaken = arrived.keep.is_some() && known.is_none() && !arrived.method.is_safe();
        let (mut tap, baseline) = tap::of_baseline(lane, terms, (is_overtaken, known.is_some()));
        let complete_since = Instant::now();
        let secret = lane.identities.secret();
        let scopes = terms.identities().map(|it| it.scopes(sampling.seen, secret));
        let (route, terms) = (Arc::clone(route), Arc::clone(terms));
        let job = Job {
            tally,
            route,
            terms,
            epoch,
            snapshot,
            body,
            held,
            complete_since,
            baseline,
            session: sampling.session,
            turn: None,
            scopes: scopes.unwrap_or_default(),
            aboard: None,
            has_waited: false,
            meeting: sampling.meeting.cloned(),
        };
        let ticket = Ticket::new(Arc::clone(self), job);
        tap.ticket = Some(Arc::clone(&ticket));
        Some(Admitted { request: RequestTap::copy(ticket), baseline: tap.into() })
    }
}

/// The share of requests now. Until as many pairs are known as a route asks for, it is all, but on
/// probation, which comes first.
fn share_now(series: &Series, treatment: &Treatment, terms: &Terms, open: Option<Open>) -> Share {
    let part = open.map_or(1.0, |open| open.part);
    let wanted = treatment.policy.min_pairs;
    let lacks_pairs =
        wanted > 0 && terms.share > Share::NONE && series.pairs_of(terms.basis) < wanted;
    let share = if lacks_pairs { Share::ALL } else { terms.share };
    share.times(part)
}

/// Whether all limits of copies a second let one more through.
fn within(rates: Rates<'_>) -> bool {
    let all = || rates.into_iter().flatten();
    if all().next().is_none() {
        return true;
    }
    let now = std::time::Instant::now();
    let Some(refused) = all().position(|bucket| !bucket.take(now)) else { return true };
    // Of a copy that is not sent the other limits know nothing.
    all().take(refused).for_each(|bucket| bucket.give_back());
    false
}
