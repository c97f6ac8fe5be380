//! What is shown of the guardrail.

use std::time::{Duration, SystemTime};

use super::evidence::Evidence;
use super::transition::Trip;
use super::{Config, State};

/// What the status shows of a route.
#[derive(Clone, Debug)]
pub struct RouteSnapshot {
    /// The label.
    pub route: String,
    /// Never `Held`.
    pub state: State,
    /// Against the candidate on this route.
    pub evidence: Evidence,
}

/// What the status shows.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Now.
    pub state: State,
    /// When mirroring was last switched off, and why.
    pub last_abort: Option<(SystemTime, String)>,
    /// The last trip, of all or of a route.
    pub last_trip: Option<Trip>,
    /// The first pair since the start or since mirroring came back, where there is a warm-up; as
    /// [`Moment::at`](super::Moment::at).
    pub first_pair: Option<Duration>,
    /// The longest running streak of breaches.
    pub breach_streak: u32,
    /// The thresholds.
    pub config: Config,
    /// Over all routes.
    pub evidence: Evidence,
    /// By name.
    pub routes: Vec<RouteSnapshot>,
}
