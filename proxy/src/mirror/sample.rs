//! The sampling decision, pure: the dice are an argument.

use http::Method;

use crate::exchange::Outcome;

/// What decides whether a request may be mirrored, known before its body is read.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The request carries the mark's header, with whatever value.
    pub marked: bool,
    /// The client asks for another protocol.
    pub upgrade: bool,
    /// The guardrail allows mirroring.
    pub allowed: bool,
    /// The request's method.
    pub method: &'a Method,
}

/// Whether to mirror; the first reason not to, in this order. `dice` is uniform in `[0, 1)`.
///
/// # Errors
/// The outcome to count when the request is not mirrored.
pub fn sample(
    facts: Facts<'_>,
    methods: Option<&[Method]>,
    fraction: f64,
    dice: f64,
) -> Result<(), Outcome> {
    if facts.marked {
        Err(Outcome::AlreadyMarked)
    } else if facts.upgrade {
        Err(Outcome::Upgrade)
    } else if !facts.allowed {
        Err(Outcome::Disabled)
    } else if methods.is_some_and(|methods| !methods.contains(facts.method)) {
        Err(Outcome::MethodExcluded)
    } else if dice >= fraction {
        Err(Outcome::NotSampled)
    } else {
        Ok(())
    }
}

/// Whether a request that is mirrored goes to the secondary too. `dice` is uniform in `[0, 1)`.
pub fn asks_secondary(fraction: f64, dice: f64) -> bool {
    dice < fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Facts<'_> =
        Facts { marked: false, upgrade: false, allowed: true, method: &Method::GET };

    #[test]
    fn a_fraction_of_0_mirrors_nothing_and_of_1_everything() {
        for dice in [0.0, 0.5, 1.0 - f64::EPSILON] {
            assert_eq!(sample(PLAIN, None, 0.0, dice), Err(Outcome::NotSampled));
            assert_eq!(sample(PLAIN, None, 1.0, dice), Ok(()));
        }
    }

    #[test]
    fn the_dice_must_fall_under_the_fraction() {
        assert_eq!(sample(PLAIN, None, 0.25, 0.249), Ok(()));
        assert_eq!(sample(PLAIN, None, 0.25, 0.25), Err(Outcome::NotSampled));
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
        let post = Some(&[Method::POST][..]);
        let mut facts = Facts { marked: true, upgrade: true, allowed: false, method: &Method::GET };
        assert_eq!(sample(facts, post, 0.0, 0.5), Err(Outcome::AlreadyMarked));
        facts.marked = false;
        assert_eq!(sample(facts, post, 0.0, 0.5), Err(Outcome::Upgrade));
        facts.upgrade = false;
        assert_eq!(sample(facts, post, 0.0, 0.5), Err(Outcome::Disabled));
        facts.allowed = true;
        assert_eq!(sample(facts, post, 0.0, 0.5), Err(Outcome::MethodExcluded));
        assert_eq!(sample(facts, None, 0.0, 0.5), Err(Outcome::NotSampled));
    }
}
