//! The series of what replicas share.
#![expect(clippy::disallowed_macros, reason = "a part of the one module that spells metric names")]

use metrics::{Counter, Gauge, counter, gauge};

use super::{
    CLUSTER_ASIDE, CLUSTER_CONNECTED, CLUSTER_LEFT_OUT, CLUSTER_REPLICAS, CLUSTER_REVISIONS, touch,
};

/// Shows how it stands with the other replicas.
#[derive(Clone)]
pub struct ClusterMetrics {
    connected: Gauge,
    replicas: Gauge,
    revisions: Gauge,
    aside: Gauge,
    left_out: Counter,
}

impl std::fmt::Debug for ClusterMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterMetrics").finish_non_exhaustive()
    }
}

impl ClusterMetrics {
    pub(super) fn new() -> Self {
        let left_out = counter!(CLUSTER_LEFT_OUT);
        touch(&left_out);
        Self {
            connected: gauge!(CLUSTER_CONNECTED),
            replicas: gauge!(CLUSTER_REPLICAS),
            revisions: gauge!(CLUSTER_REVISIONS),
            aside: gauge!(CLUSTER_ASIDE),
            left_out,
        }
    }

    /// Whether the engine answers.
    pub fn set_connected(&self, connected: bool) {
        self.connected.set(f64::from(u8::from(connected)));
    }

    /// How many replicas there are, how many revisions of settings they have, and how many are left out.
    pub fn show(&self, replicas: usize, revisions: usize, aside: usize) {
        self.replicas.set(super::float(replicas));
        self.revisions.set(super::float(revisions));
        self.aside.set(super::float(aside));
    }

    /// Counts pairs that the others were not told.
    pub fn count_left_out(&self, pairs: u64) {
        self.left_out.increment(pairs);
    }
}
