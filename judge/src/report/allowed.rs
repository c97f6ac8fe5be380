//! What a candidate may do worse than the baseline.

use std::time::Duration;

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowed {
    /// Share of pairs with different answers, net of noise.
    pub mismatch_rate: f64,
    /// Share of pairs with a status of another class, net of noise; failures (5xx) aside.
    pub status_rate: f64,
    /// Excess of the candidate's share of failures over the baseline's; from 1 on, not judged.
    pub error_delta: f64,
    /// Ratio of the candidate's latency quantiles to the baseline's.
    pub latency_ratio: f64,
    /// A smaller excess over the baseline's quantile is allowed whatever the ratio.
    pub latency_floor: Duration,
}

impl Default for Allowed {
    fn default() -> Self {
        Self {
            mismatch_rate: 0.01,
            status_rate: 0.0025,
            error_delta: 0.005,
            latency_ratio: 1.15,
            latency_floor: Duration::from_millis(2),
        }
    }
}
