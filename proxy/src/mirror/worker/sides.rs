//! What is known of both sides of a pair when it is over, be it that an answer never came, or that the
//! client did not wait for it.
//!
//! What is dropped must be dropped on both sides alike. A pair without the baseline's answer that did not
//! count would leave only the candidate's failures; one whose client had left would leave the slow
//! answers of the candidate only, since it is the baseline's slow answers that clients run away from.

use std::time::Duration;

use crate::mirror::pair::{End, Ended, Head};
use crate::observe::Mirrored;
use judge::{Call, Pair};

/// Where the baseline's answer ended before it was whole; `None` where nothing is known of it.
pub(super) fn cut_short<'a>(
    copy: &Mirrored<'a>,
    end: &Ended,
    head: Option<&Head>,
    candidate: Call,
) -> Option<Pair<'a>> {
    match (end, head.map(Head::call)) {
        (End::Failed(_), Some(head)) => Some(copy.pair(Call { failed: true, ..head }, candidate)),
        (End::Failed(after), None) => {
            let baseline = Call { latency: None, failed: true };
            let baseline_failed_after = after.unwrap_or_default();
            Some(Pair { baseline_failed_after, ..copy.pair(baseline, candidate) })
        }
        (End::Aborted(_), Some(head)) => Some(copy.pair(head, candidate)),
        (End::Aborted(left), None) => {
            let left = (*left)?;
            let seen = |latency: Option<Duration>| Call {
                latency: Some(latency.map_or(left, |latency| latency.min(left))),
                failed: false,
            };
            let pair = copy.pair(seen(None), seen(candidate.latency));
            Some(Pair { censored: true, ..pair })
        }
        (End::Answered(_) | End::Broken, _) => None,
    }
}
