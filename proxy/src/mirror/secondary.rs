//! The second baseline, which tells what differs by itself, and what bounds how much it is asked.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::log_limit::LogLimit;
use crate::upstream::Upstream;

/// Requests at once; more are not sent. Enough for a verdict on noise, and little memory.
const IN_FLIGHT_MAX: usize = 8;

/// A second baseline, and what bounds the asking.
#[derive(Debug)]
pub(super) struct Secondary {
    pub(super) upstream: Arc<Upstream>,
    /// Share of mirrored requests, 0.0 to 1.0.
    pub(super) fraction: f64,
    pub(super) slots: Arc<Semaphore>,
    pub(super) failed: LogLimit,
}

impl Secondary {
    /// A probe of `fraction` of the mirrored requests.
    pub(super) fn new(upstream: Arc<Upstream>, fraction: f64) -> Arc<Self> {
        let slots = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
        Arc::new(Self { upstream, fraction, slots, failed: LogLimit::new(Duration::from_secs(5)) })
    }

    /// Whether it ever asks.
    pub(super) fn asks(&self) -> bool {
        self.fraction > 0.0
    }
}
