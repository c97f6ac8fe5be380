//! Whether a rule ever applied, so that those that never do can be told.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a rule ever selected anything.
#[derive(Debug, Default)]
pub(super) struct Used(AtomicBool);

impl Used {
    /// Read first: a write by each thread would have the caches pass the line around.
    pub(super) fn note(&self) {
        if !self.get() {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
