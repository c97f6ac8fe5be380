//! The series of what is recorded.
#![expect(clippy::disallowed_macros, reason = "a part of the one module that spells metric names")]

use metrics::{Counter, Gauge, counter, gauge};

use super::{RECORDED, RECORDED_BYTES, STORED, touch};
use crate::exchange::Recorded;

/// Counts exchanges that were to be recorded.
#[derive(Clone)]
pub struct RecordMetrics {
    results: [Counter; Recorded::ALL.len()],
    bytes: Gauge,
    stored: [Counter; 2],
}

impl std::fmt::Debug for RecordMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordMetrics").finish_non_exhaustive()
    }
}

impl RecordMetrics {
    pub(super) fn new() -> Self {
        let results = Recorded::ALL.map(|result| counter!(RECORDED, "result" => result.name()));
        let stored = ["stored", "failed"].map(|it| counter!(STORED, "result" => it));
        results.iter().chain(&stored).for_each(touch);
        Self { results, bytes: gauge!(RECORDED_BYTES), stored }
    }

    /// Counts what became of so many.
    pub fn count(&self, result: Recorded, count: u64) {
        self.results[result as usize].increment(count);
    }

    /// Counts files that are in the store now.
    pub fn count_stored(&self, files: u64) {
        self.stored[0].increment(files);
    }

    /// Counts that the store could not be reached, or took no file.
    pub fn count_not_stored(&self) {
        self.stored[1].increment(1);
    }

    /// Shows how many bytes all files have.
    pub fn set_bytes(&self, bytes: u64) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        self.bytes.set(bytes as f64);
    }
}
