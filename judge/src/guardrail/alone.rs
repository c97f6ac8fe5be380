//! Tells a replica that is bad by itself, its network or its machine, from a candidate that is bad.
//!
//! Where a candidate is bad, the pairs of all replicas say so, each in proportion to how many it has. Where the pairs of
//! one speak against it as loudly as all of them must together, and those of the others, which are at least as many, do
//! not at all, then it is not the candidate.

use super::detector::THRESHOLD;

/// What a replica's own pairs say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Own<'a> {
    /// The replica.
    pub replica: &'a str,
    /// How many pairs its evidence is of.
    pub pairs: u64,
    /// Its evidence.
    pub evidence: f64,
}

/// As much evidence, on its own, is no reason to think that a candidate is bad: twins get there now and then.
const SOME: f64 = 1e2;

/// Whose pairs alone speak against the candidate, if anybody's do.
pub fn alone<'a>(replicas: &[Own<'a>]) -> Option<&'a str> {
    let loudest = replicas.iter().max_by(|a, b| a.evidence.total_cmp(&b.evidence))?;
    let others = || replicas.iter().filter(|it| it.replica != loudest.replica);
    let pairs: u64 = others().map(|it| it.pairs).sum();
    let is_alone = loudest.evidence >= THRESHOLD
        && pairs >= loudest.pairs
        && others().all(|it| it.evidence < SOME);
    is_alone.then_some(loudest.replica)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(replicas: &[(u64, f64)]) -> Option<usize> {
        let names = ["0", "1", "2", "3"];
        let own = |(replica, (pairs, evidence)): (&&'static str, &(u64, f64))| Own {
            replica,
            pairs: *pairs,
            evidence: *evidence,
        };
        let replicas: Vec<_> = names.iter().zip(replicas).map(own).collect();
        alone(&replicas).map(|name| name.parse().unwrap())
    }

    #[test]
    fn one_whose_pairs_say_what_those_of_nobody_else_say_is_alone() {
        assert_eq!(of(&[(500, 1.0), (500, 1e9), (400, 20.0)]), Some(1));
    }

    #[test]
    fn a_candidate_that_is_bad_is_so_for_all() {
        assert_eq!(of(&[(500, 1e3), (500, 2e6), (400, 5e2)]), None);
        assert_eq!(of(&[(500, 1e7), (500, 2e6)]), None);
    }

    #[test]
    fn others_with_few_pairs_are_no_witnesses() {
        assert_eq!(of(&[(50, 1.0), (500, 1e9), (100, 1.0)]), None);
        assert_eq!(of(&[(500, 1e9)]), None);
        assert_eq!(of(&[]), None);
    }
}
