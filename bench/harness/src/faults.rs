//! What went wrong: how often, and the first of it in words.

use std::sync::{Mutex, PoisonError};

/// Collects faults from all connections.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<(u64, Option<String>)>);

impl Faults {
    /// One more.
    pub(crate) fn add(&self, what: String) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.0 += 1;
        faults.1.get_or_insert(what);
    }

    /// In words, if there were any.
    pub(crate) fn told(&self) -> Option<String> {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, first) = &*faults;
        first.as_ref().map(|first| format!("{count} faults, the first: {first}"))
    }
}
