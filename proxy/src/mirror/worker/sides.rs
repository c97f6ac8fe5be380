//! What is known of both sides of a pair when it is over, be it that an answer never came, or that the
//! client did not wait for it.
//!
//! What is dropped must be dropped on both sides alike. A pair without the baseline's answer that did not
//! count would leave only the candidate's failures; one whose client had left would leave the slow
//! answers of the candidate only, since it is the baseline's slow answers that clients run away from.

use std::time::Duration;

use crate::mirror::pair::{End, Head};
use crate::observe::{Known, Sides};

/// Where the baseline's answer ended before it was whole; `None` where nothing is known of it.
pub(super) fn cut_short(end: &End, head: Option<&Head>, candidate: Known) -> Option<Sides> {
    match (end, head.map(Head::known)) {
        (End::Failed(_), Some(head)) => Some(Sides::new(Known { failed: true, ..head }, candidate)),
        (End::Failed(after), None) => {
            let baseline = Known { latency: None, failed: true };
            let baseline_until = after.unwrap_or_default();
            Some(Sides { baseline_until, ..Sides::new(baseline, candidate) })
        }
        (End::Aborted(_), Some(head)) => Some(Sides::new(head, candidate)),
        (End::Aborted(left), None) => {
            let left = (*left)?;
            let seen = |latency: Option<Duration>| Known {
                latency: Some(latency.map_or(left, |latency| latency.min(left))),
                failed: false,
            };
            let sides = Sides::new(seen(None), seen(candidate.latency));
            Some(Sides { censored: true, ..sides })
        }
        (End::Answered(_) | End::Broken, _) => None,
    }
}
