//! A copy that waits to be sent.

use std::sync::Arc;

use tokio::time::Instant;

use super::Tally;
use super::aboard::Aboard;
use super::between::Meeting;
use super::order::{Session, Turn};
use super::pair::BaselineSide;
use crate::body::{Capture, Held};
use crate::exchange::RequestSnapshot;
use crate::plan::Terms;
use crate::route::table::Route;
use judge::Epoch;
use transform::identity::Scope;

/// A copy that waits to be sent, with all that it needs until its end.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) tally: Tally,
    pub(super) route: Arc<Route>,
    pub(super) terms: Arc<Terms>,
    pub(super) epoch: Epoch,
    pub(super) snapshot: Arc<RequestSnapshot>,
    pub(super) body: Option<Capture>,
    /// Pays for the snapshot.
    pub(super) held: Held,
    pub(super) complete_since: Instant,
    pub(super) baseline: BaselineSide,
    /// Of whose copies one is sent after the other.
    pub(super) session: Option<Session>,
    /// Its place among those, from when it is whole.
    pub(super) turn: Option<Turn>,
    /// Whose ids it has, for each identity of its route.
    pub(super) scopes: Vec<Scope>,
    /// What it may teach of them, from when it is next.
    pub(super) aboard: Option<Arc<Aboard>>,
    /// For an id that was being learned.
    pub(super) has_waited: bool,
    /// Where its answer meets those of other candidates.
    pub(super) meeting: Option<Arc<Meeting>>,
}

impl Job {
    /// Whether no copy of its session has to go before it.
    pub(super) fn is_its_turn(&self) -> bool {
        self.turn.as_ref().is_none_or(Turn::has_come)
    }
}
