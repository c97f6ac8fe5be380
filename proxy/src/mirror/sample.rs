//! The sampling decision, pure: the dice are an argument.

use crate::exchange::Outcome;
use crate::policy::share::Share;

/// What decides whether a request may be mirrored, known before its body is read.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The request carries the mark's header, with whatever value.
    pub marked: bool,
    /// The client asks for another protocol.
    pub upgrade: bool,
    /// The guardrail allows mirroring.
    pub allowed: bool,
    /// The request's method is one that is mirrored.
    pub method: bool,
    /// What holds for it depends on how its path is read.
    pub in_doubt: bool,
}

/// Whether to mirror; the first reason not to, in this order. `position` is where the request stands
/// among a million, by dice or by its key.
///
/// # Errors
/// The outcome to count when the request is not mirrored.
pub fn sample(facts: Facts, share: Share, position: u32) -> Result<(), Outcome> {
    if facts.marked {
        Err(Outcome::AlreadyMarked)
    } else if facts.upgrade {
        Err(Outcome::Upgrade)
    } else if !facts.allowed {
        Err(Outcome::Disabled)
    } else if !facts.method {
        Err(Outcome::MethodExcluded)
    } else if facts.in_doubt {
        Err(Outcome::PathInDoubt)
    } else if share.takes(position) {
        Ok(())
    } else {
        Err(Outcome::NotSampled)
    }
}

/// Whether a request that is mirrored goes to the secondary too. `dice` is uniform in `[0, 1)`.
pub fn asks_secondary(fraction: f64, dice: f64) -> bool {
    dice < fraction
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::share;

    const PLAIN: Facts =
        Facts { marked: false, upgrade: false, allowed: true, method: true, in_doubt: false };
    const LAST: u32 = share::WHOLE - 1;

    #[test]
    fn a_share_of_0_mirrors_nothing_and_of_1_everything() {
        for position in [0, LAST / 2, LAST] {
            assert_eq!(sample(PLAIN, Share::NONE, position), Err(Outcome::NotSampled));
            assert_eq!(sample(PLAIN, Share::ALL, position), Ok(()));
        }
    }

    #[test]
    fn the_position_must_fall_under_the_share() {
        assert_eq!(sample(PLAIN, Share::of(0.25), 249_999), Ok(()));
        assert_eq!(sample(PLAIN, Share::of(0.25), 250_000), Err(Outcome::NotSampled));
    }

    #[test]
    fn the_secondary_is_asked_for_its_share() {
        for dice in [0.0, 0.5, 1.0 - f64::EPSILON] {
            assert!(!asks_secondary(0.0, dice) && asks_secondary(1.0, dice));
        }
        assert!(asks_secondary(0.05, 0.049) && !asks_secondary(0.05, 0.05));
    }

    #[test]
    fn where_several_reasons_hold_the_first_in_order_counts() {
        let none = Share::NONE;
        let mut facts =
            Facts { marked: true, upgrade: true, allowed: false, method: false, in_doubt: true };
        assert_eq!(sample(facts, none, 0), Err(Outcome::AlreadyMarked));
        facts.marked = false;
        assert_eq!(sample(facts, none, 0), Err(Outcome::Upgrade));
        facts.upgrade = false;
        assert_eq!(sample(facts, none, 0), Err(Outcome::Disabled));
        facts.allowed = true;
        assert_eq!(sample(facts, none, 0), Err(Outcome::MethodExcluded));
        facts.method = true;
        assert_eq!(sample(facts, none, 0), Err(Outcome::PathInDoubt));
        facts.in_doubt = false;
        assert_eq!(sample(facts, none, 0), Err(Outcome::NotSampled));
    }
}
