//! What the pairs told so far: per route, how often, where and how much the answers differ.
//!
//! Pure: time is an argument.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::compare::Differences;

/// One pair, as the report wants it.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// The baseline's latency and whether it failed.
    pub baseline: (Duration, bool),
    /// The candidate's latency, where a head came, and whether it failed.
    pub candidate: (Option<Duration>, bool),
    /// Whether there was any content to compare: answers to HEAD, 204 and 304 have none, and their
    /// agreement says nothing of it.
    pub content: bool,
    /// What differs; `None` when the answers were not compared (there was none, or no room).
    pub differences: Option<&'a Differences>,
}

/// What is known of all routes.
#[derive(Debug, Default)]
pub struct Report {
    routes: HashMap<Arc<str>, u64>,
}

impl Report {
    /// Takes in a pair.
    pub fn record(&mut self, route: &Arc<str>, _pair: &Pair<'_>, _now: SystemTime) {
        *self.routes.entry(Arc::clone(route)).or_default() += 1;
    }

    /// Pairs taken in.
    pub fn pairs(&self) -> u64 {
        self.routes.values().sum()
    }
}
