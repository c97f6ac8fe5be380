//! Changes of state, and the explanation of a trip.

use std::time::{Duration, SystemTime};

use super::bets::Signal;
use super::differing::Differing;
use super::ledger::{Example, Numbers};
use super::run::millis;
use super::{Evidence, THRESHOLD};

/// Which rule tripped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Breaches in a row.
    Run {
        /// Over all routes, rather than on one.
        whole: bool,
    },
    /// Evidence.
    Evidence {
        /// The evidence.
        evidence: Evidence,
        /// Over all routes, rather than on one.
        whole: bool,
    },
}

impl Rule {
    /// Whether everything stops, rather than a route.
    pub fn whole(self) -> bool {
        let (Self::Run { whole } | Self::Evidence { whole, .. }) = self;
        whole
    }

    /// The word used in the status, the log and the events.
    pub fn name(self) -> &'static str {
        match self {
            Self::Run { .. } => "consecutive_breaches",
            Self::Evidence { .. } => "evidence",
        }
    }
}

/// Why mirroring stopped, of all or of a route, and what happens next.
#[derive(Clone, Debug, PartialEq)]
pub struct Trip {
    /// What tripped.
    pub rule: Rule,
    /// The route of the last pair.
    pub route: String,
    /// In words.
    pub reason: String,
    /// Both sides over the last pairs of that route.
    pub numbers: Numbers,
    /// Pairs of that route where the candidate did worse, the newest first.
    pub examples: Vec<Example>,
    /// Different answers among the last pairs of that route.
    pub differing: Differing,
    /// When.
    pub at: SystemTime,
    /// The first request after this resumes mirroring.
    pub resumes: SystemTime,
    /// From `at` to `resumes`.
    pub cooldown: Duration,
    /// Whether it resumes with a small share.
    pub probation: bool,
}

impl Trip {
    /// Whether everything stopped, rather than a route.
    pub fn whole(&self) -> bool {
        self.rule.whole()
    }

    /// What happens next.
    pub fn next(&self) -> &'static str {
        if self.probation {
            "the first request after this time starts a probation with a small share"
        } else {
            "the first request after this time resumes mirroring"
        }
    }

    /// The reason where evidence tripped.
    pub(super) fn evidence_text(&self) -> String {
        let Rule::Evidence { evidence, whole } = self.rule else { return String::new() };
        let over = if whole { "over all routes, the last on" } else { "on" };
        if evidence.signal == Some(Signal::Mismatches) {
            return format!(
                "evidence {:.3e} of {THRESHOLD:e} after {} pairs {over} {} by mismatches: {}",
                evidence.value,
                evidence.pairs,
                self.route,
                self.differing.text(),
            );
        }
        let Numbers { pairs, baseline, candidate } = &self.numbers;
        format!(
            "evidence {:.3e} of {THRESHOLD:e} after {} pairs {over} {} by {}: in its last {pairs} \
             pairs candidate p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, failures {:.1} %; \
             baseline {:.1}, {:.1}, {:.1} ms, {:.1} %",
            evidence.value,
            evidence.pairs,
            self.route,
            evidence.signal.map_or("all together", super::bets::Signal::name),
            millis(candidate.p50),
            millis(candidate.p90),
            millis(candidate.p99),
            candidate.failure_rate * 100.0,
            millis(baseline.p50),
            millis(baseline.p90),
            millis(baseline.p99),
            baseline.failure_rate * 100.0,
        )
    }
}

impl Transition {
    /// Whether it may have switched this route, alone or with others.
    pub fn is_of(&self, label: &str) -> bool {
        match self {
            Self::Enabled => true,
            Self::RouteTripped { trip } => trip.route == label,
            Self::RouteResumed { route }
            | Self::RouteEnabled { route }
            | Self::RouteHeld { route }
            | Self::Probation { route: Some(route) } => route == label,
            Self::Tripped { .. }
            | Self::WouldTrip { .. }
            | Self::Resumed
            | Self::Probation { route: None }
            | Self::Passed { .. }
            | Self::Held { .. } => false,
        }
    }
}

/// A change of state, for those who make it known.
#[derive(Clone, Debug, PartialEq)]
pub enum Transition {
    /// The guardrail switched mirroring off.
    Tripped {
        /// Route, rule and numbers.
        reason: String,
        /// When.
        at: SystemTime,
        /// All about it.
        trip: Box<Trip>,
    },
    /// The guardrail stopped one route.
    RouteTripped {
        /// All about it.
        trip: Box<Trip>,
    },
    /// The guardrail would have stopped everything, or a route, and only tells.
    WouldTrip {
        /// All about it.
        trip: Box<Trip>,
    },
    /// The first request after the cooldown switched it on again.
    Resumed,
    /// The same for a route.
    RouteResumed {
        /// Which.
        route: String,
    },
    /// The first request after the cooldown started a probation.
    Probation {
        /// Of a route, or of all.
        route: Option<String>,
    },
    /// A probation ended well.
    Passed {
        /// Of a route, or of all.
        route: Option<String>,
    },
    /// Switched on by hand.
    Enabled,
    /// A route switched on by hand.
    RouteEnabled {
        /// Which.
        route: String,
    },
    /// A route switched off by hand.
    RouteHeld {
        /// Which.
        route: String,
    },
    /// Switched off by hand.
    Held {
        /// Whether this is what stopped mirroring; false after a trip.
        counted: bool,
    },
}
