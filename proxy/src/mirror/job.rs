//! A copy that waits to be sent.

use std::sync::Arc;

use tokio::time::Instant;

use super::Tally;
use super::between::Meeting;
use super::pair::BaselineSide;
use crate::body::{Capture, Held};
use crate::exchange::RequestSnapshot;
use crate::plan::Terms;
use crate::route::table::Route;
use judge::Epoch;

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
    /// Where its answer meets those of other candidates.
    pub(super) meeting: Option<Arc<Meeting>>,
}
