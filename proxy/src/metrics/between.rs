//! The series of two candidates that are compared with each other.
#![expect(clippy::disallowed_macros, reason = "a part of the one module that spells metric names")]

use std::sync::Arc;

use metrics::counter;

use super::registry::Registry;
use super::{CANDIDATE_PAIRS, Labels, Metrics};
use crate::exchange::Outcome;

/// Counts of two candidates, of which the first stands where the baseline does.
#[derive(Clone, Debug)]
pub struct BetweenMetrics {
    /// Of the second.
    registry: Arc<Registry>,
    names: [Arc<str>; 2],
}

impl BetweenMetrics {
    /// Of these two.
    pub fn new(metrics: &Metrics, names: [Arc<str>; 2]) -> Self {
        Self { registry: metrics.candidates.of(&names[1], true), names }
    }

    /// Counts a request that both answered, by what came of the comparison; `None` where it could not be
    /// made.
    pub fn count(&self, route: &str, outcome: Option<Outcome>) {
        let result = match outcome {
            Some(Outcome::Matched) => "matched",
            Some(Outcome::Mismatched) => "mismatched",
            _ => "not_compared",
        };
        let [first, second] = &self.names;
        let labels = Labels::default().and("route", route).and("candidate", second);
        let labels = labels.and("against", first).and("result", result);
        self.registry.within(|| counter!(CANDIDATE_PAIRS, labels.0).increment(1));
    }
}
