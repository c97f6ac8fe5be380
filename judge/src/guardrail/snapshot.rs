//! What is shown of the guardrail.

use std::time::{Duration, SystemTime};

use super::bets::Signal;
use super::evidence::Weighing;
use super::transition::Trip;
use super::{Config, State};

/// What there is against the candidate, on a route or over all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// Pairs since there was none.
    pub pairs: u64,
    /// The value; [`THRESHOLD`](super::detector::THRESHOLD) trips.
    pub value: f64,
    /// The signal with the most; `None` without pairs.
    pub signal: Option<Signal>,
}

/// Pairs under which nothing but a disaster would have shown.
const ENOUGH_PAIRS: u64 = 450;

impl Evidence {
    pub(super) fn of(weighing: &Weighing) -> Self {
        let (pairs, value) = (weighing.pairs(), weighing.value());
        Self { pairs, value, signal: weighing.leading() }
    }

    /// In a word.
    pub fn verdict(&self) -> &'static str {
        // Twins get there once in about a thousand pairs.
        let some = self.value >= 1e3;
        match (some, self.pairs < ENOUGH_PAIRS) {
            (true, _) => "some evidence",
            (false, true) => "not enough data",
            (false, false) => "no evidence",
        }
    }
}

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
