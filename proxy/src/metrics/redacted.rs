//! What was hidden in copies, by rule: as series of each candidate, and as sums for whoever tells of them.
#![expect(clippy::disallowed_macros, reason = "a part of the one module that spells metric names")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::counter;

use super::{CandidateMetrics, Metrics, REDACTED};

/// Rules that are told apart: each reload may bring others, and series stay.
const RULES_MAX: usize = 256;
/// What those beyond count as, like routes beyond their number.
const OTHER: &str = "other";

/// A rule's name, or what something looks like, and how it was hidden.
type By = (Arc<str>, &'static str);

/// Sums since the start.
#[derive(Debug, Default)]
pub(super) struct Redacted(Mutex<BTreeMap<By, u64>>);

impl Redacted {
    fn sums(&self) -> MutexGuard<'_, BTreeMap<By, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts, and gives the name that it is counted under.
    fn add(&self, rule: &str, way: &'static str, count: u64) -> Arc<str> {
        let mut sums = self.sums();
        let known: By = (rule.into(), way);
        let has_room = sums.len() < RULES_MAX || sums.contains_key(&known);
        let by = if has_room { known } else { (OTHER.into(), way) };
        let name = Arc::clone(&by.0);
        let sum = sums.entry(by).or_default();
        *sum = sum.saturating_add(count);
        name
    }
}

impl Metrics {
    /// How often each rule, and each kind of what looks personal, was hidden in copies since the start, and in which
    /// way.
    pub fn redacted(&self) -> Vec<(Arc<str>, &'static str, u64)> {
        let sums = self.redacted.sums();
        sums.iter().map(|((rule, way), sum)| (Arc::clone(rule), *way, *sum)).collect()
    }
}

impl CandidateMetrics {
    /// Counts what was hidden in a copy.
    pub fn count_redacted(&self, rule: &str, way: &'static str, count: u64) {
        let rule = self.metrics.redacted.add(rule, way, count);
        let labels = self.labels().and("rule", &rule).and("way", way);
        self.registry.within(|| counter!(REDACTED, labels.0).increment(count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_summed_up_and_bounded() {
        let redacted = Redacted::default();
        redacted.add("a", "mask", 1);
        redacted.add("a", "mask", 2);
        redacted.add("a", "hash", 4);
        assert_eq!(redacted.sums().get(&("a".into(), "mask")), Some(&3));
        for rule in 0..2 * RULES_MAX {
            redacted.add(&rule.to_string(), "mask", 1);
        }
        assert!(redacted.sums().len() <= RULES_MAX + 4, "{}", redacted.sums().len());
        assert_eq!(&*redacted.add("one more", "mask", 1), OTHER);
        assert_eq!(&*redacted.add("a", "hash", 1), "a");
    }
}
