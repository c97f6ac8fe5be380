//! What is known of both sides of a pair when it is over, be it that an answer never came, or that the
//! client did not wait for it.
//!
//! What is dropped must be dropped on both sides alike. A pair without the baseline's answer that did not
//! count would leave only the candidate's failures; one whose client had left would leave the slow
//! answers of the candidate only, since it is the baseline's slow answers that clients run away from.

use std::time::Duration;

use crate::mirror::pair::{End, Head};

/// What is known of one side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Known {
    /// To the head; `None` where none came.
    pub(super) latency: Option<Duration>,
    pub(super) failed: bool,
}

/// What is known of both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sides {
    pub(super) baseline: Known,
    pub(super) candidate: Known,
    /// The client left before the baseline's head: both latencies are cut off at that moment.
    pub(super) censored: bool,
    /// How long the baseline took to fail, where it gave no head.
    pub(super) baseline_until: Duration,
}

impl Known {
    pub(super) fn of(head: &Head) -> Self {
        Self { latency: Some(head.latency), failed: head.is_failure() }
    }
}

impl Sides {
    pub(super) fn new(baseline: Known, candidate: Known) -> Self {
        Self { baseline, candidate, censored: false, baseline_until: Duration::ZERO }
    }

    /// Where the baseline's answer ended before it was whole; `None` where nothing is known of it.
    pub(super) fn cut_short(end: &End, head: Option<&Head>, candidate: Known) -> Option<Self> {
        match (end, head.map(Known::of)) {
            (End::Failed(_), Some(head)) => {
                Some(Self::new(Known { failed: true, ..head }, candidate))
            }
            (End::Failed(after), None) => {
                let baseline = Known { latency: None, failed: true };
                let baseline_until = after.unwrap_or_default();
                Some(Self { baseline_until, ..Self::new(baseline, candidate) })
            }
            (End::Aborted(_), Some(head)) => Some(Self::new(head, candidate)),
            (End::Aborted(left), None) => {
                let left = (*left)?;
                let seen = |latency: Option<Duration>| Known {
                    latency: Some(latency.map_or(left, |latency| latency.min(left))),
                    failed: false,
                };
                let sides = Self::new(seen(None), seen(candidate.latency));
                Some(Self { censored: true, ..sides })
            }
            (End::Answered(_) | End::Broken, _) => None,
        }
    }
}
