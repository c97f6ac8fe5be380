//! A finished pair: how the baseline and the candidate answered one request. Both judges are told of the
//! same value, at two moments: the guardrail when both sides have answered or will not, both when the
//! answers are compared, since a slow comparison must never delay a stop.

use std::time::Duration;

use compare::Differences;

/// How one side of a pair was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// From the request sent whole to the head of the answer; `None` where none came.
    pub latency: Option<Duration>,
    /// No whole answer, or one that says so: status 500 and up, for one.
    pub failed: bool,
}

/// Tells spells of mirroring apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epoch {
    /// Grows whenever mirroring comes back.
    pub whole: u64,
    /// Grows whenever the route comes back.
    pub route: u64,
}

/// A pair that is over, but for the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The route's label.
    pub route: &'a str,
    /// When the copy was admitted.
    pub epoch: Epoch,
    /// The baseline's side.
    pub baseline: Call,
    /// The candidate's side.
    pub candidate: Call,
    /// The client left before the baseline's head: each latency is what that side had taken by then, at
    /// most, and nobody has failed.
    pub censored: bool,
    /// How long the baseline took to fail, where it gave no head; zero elsewhere, and where nobody knows.
    pub baseline_failed_after: Duration,
    /// Method, path and query, bounded, without secrets: for examples.
    pub request: &'a str,
}

impl<'a> Pair<'a> {
    /// Of two sides that were both seen to their end, in the first epoch.
    pub fn new(route: &'a str, request: &'a str, baseline: Call, candidate: Call) -> Self {
        let (epoch, baseline_failed_after) = Default::default();
        Self { route, epoch, baseline, candidate, censored: false, baseline_failed_after, request }
    }
}

/// What came of comparing the two answers of a pair; by default there was nothing to compare.
#[derive(Clone, Copy, Debug, Default)]
pub struct Comparison<'a> {
    /// Whether there was content to compare, be it empty: answers to HEAD and 304 are about a content
    /// that they do not have, and their agreement says nothing of it.
    pub content: bool,
    /// What differs; `None` when the answers were not compared (there was none, or no room).
    pub differences: Option<&'a Differences>,
}

impl Comparison<'_> {
    /// Whether the answers differ; `None` when they were not compared.
    pub fn differs(&self) -> Option<bool> {
        self.differences.map(|it| !it.found.is_empty() || it.more)
    }
}
