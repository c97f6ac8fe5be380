//! The series of the audit log.
#![expect(clippy::disallowed_macros, reason = "a part of the one module that spells metric names")]

use metrics::{Counter, counter};

use super::{AUDIT_ENTRIES, AUDIT_ENTRIES_LOST, touch};

/// Why an entry is not in the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Too many were waiting to be written.
    QueueFull,
    /// It could not be written.
    NotWritten,
    /// Too many requests of strangers were refused already.
    TooManyRefused,
}

impl Lost {
    const ALL: [Self; 3] = [Self::QueueFull, Self::NotWritten, Self::TooManyRefused];

    fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::NotWritten => "not_written",
            Self::TooManyRefused => "too_many_refused",
        }
    }
}

/// Counts entries of the audit log.
#[derive(Clone)]
pub struct AuditMetrics {
    written: Counter,
    lost: [Counter; Lost::ALL.len()],
}

impl std::fmt::Debug for AuditMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditMetrics").finish_non_exhaustive()
    }
}

impl AuditMetrics {
    pub(super) fn new() -> Self {
        let written = counter!(AUDIT_ENTRIES);
        let lost = Lost::ALL.map(|why| counter!(AUDIT_ENTRIES_LOST, "reason" => why.name()));
        std::iter::once(&written).chain(&lost).for_each(touch);
        Self { written, lost }
    }

    /// Counts one that was written.
    pub fn count_written(&self) {
        self.written.increment(1);
    }

    /// Counts one that is lost.
    pub fn count_lost(&self, why: Lost) {
        self.lost[why as usize].increment(1);
    }
}
