//! The series of spans that are exported.
#![expect(clippy::disallowed_macros, reason = "a part of the one module that spells metric names")]

use metrics::{Counter, counter};

use super::{SPANS, touch};
use crate::exchange::Spans;

/// Counts spans that were to be exported.
#[derive(Clone)]
pub struct SpanMetrics([Counter; Spans::ALL.len()]);

impl std::fmt::Debug for SpanMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SpanMetrics").finish_non_exhaustive()
    }
}

impl SpanMetrics {
    pub(super) fn new() -> Self {
        let results = Spans::ALL.map(|result| counter!(SPANS, "result" => result.name()));
        results.iter().for_each(touch);
        Self(results)
    }

    /// Counts what became of so many.
    pub fn count(&self, result: Spans, count: u64) {
        self.0[result as usize].increment(count);
    }
}
