//! Which items of two lists belong together: the longest way through both, so that what was put in between is not
//! taken for a change of all that is behind it.

use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::super::{Grant, Obstacle};

/// Lists whose lengths have a greater product are not searched: what they have in common at both ends counts alone.
/// What lists of 2,000 items each have.
const PRODUCT_MAX: usize = 4_000_000;
/// Bytes that a search takes for an item, at most: two vectors of offsets, and an operation.
const ITEM: usize = 64;

/// Neighbours in both lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) ours: Range<usize>,
    pub(super) theirs: Range<usize>,
    /// Whether they are the same, one by one.
    pub(super) same: bool,
}

/// All runs in their order. Those of the sides turned around are the same, turned around.
pub(super) fn runs(ours: &[u64], theirs: &[u64], grant: Grant<'_>) -> Result<Vec<Run>, Obstacle> {
    let start = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
    let ends = ours[start..].iter().rev().zip(theirs[start..].iter().rev());
    let end = ends.take_while(|(a, b)| a == b).count();
    let (our_end, their_end) = (ours.len() - end, theirs.len() - end);
    let mut found = Vec::new();
    push(&mut found, 0..start, 0..start, true);
    let (a, b) = (&ours[start..our_end], &theirs[start..their_end]);
    if a.is_empty() || b.is_empty() || a.len().saturating_mul(b.len()) > PRODUCT_MAX {
        push(&mut found, start..our_end, start..their_end, false);
    } else {
        if !grant((a.len() + b.len()) * ITEM) {
            return Err(Obstacle::NoBudget);
        }
        for (a, b, same) in searched(a, b) {
            let moved = |range: Range<usize>| range.start + start..range.end + start;
            push(&mut found, moved(a), moved(b), same);
        }
    }
    push(&mut found, our_end..ours.len(), their_end..theirs.len(), true);
    Ok(found)
}

/// The search depends on which list is the first one, and what is told must not.
fn searched(a: &[u64], b: &[u64]) -> Vec<(Range<usize>, Range<usize>, bool)> {
    let turned = a > b;
    let (one, two) = if turned { (b, a) } else { (a, b) };
    let steps = capture_diff_slices(Algorithm::Myers, one, two).into_iter();
    let runs = steps.map(|step| {
        let same = matches!(step, DiffOp::Equal { .. });
        let (one, two) = (step.old_range(), step.new_range());
        if turned { (two, one, same) } else { (one, two, same) }
    });
    runs.collect()
}

/// Neighbours of one sort are one run.
fn push(found: &mut Vec<Run>, ours: Range<usize>, theirs: Range<usize>, same: bool) {
    match found.last_mut() {
        _ if ours.is_empty() && theirs.is_empty() => {}
        Some(last) if last.same == same => {
            (last.ours.end, last.theirs.end) = (ours.end, theirs.end);
        }
        _ => found.push(Run { ours, theirs, same }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(ours: &[u64], theirs: &[u64]) -> Vec<(Range<usize>, Range<usize>)> {
        let runs = runs(ours, theirs, &mut |_| true).unwrap();
        runs.into_iter().filter(|run| !run.same).map(|run| (run.ours, run.theirs)).collect()
    }

    #[test]
    fn what_is_put_in_is_a_run_of_its_own() {
        assert_eq!(told(&[1, 2, 3], &[1, 9, 2, 3]), [(1..1, 1..2)]);
        assert_eq!(told(&[1, 2, 3, 4, 5], &[9, 2, 3, 5]), [(0..1, 0..1), (3..4, 3..3)]);
        assert_eq!(told(&[], &[1]), [(0..0, 0..1)]);
        assert_eq!(told(&[1], &[1]), []);
    }

    #[test]
    fn lists_too_long_to_search_are_one_run_but_for_their_ends() {
        let ours: Vec<_> = (0..3000).collect();
        let mut theirs = ours.clone();
        theirs[1..2999].reverse();
        assert_eq!(told(&ours, &theirs), [(1..2999, 1..2999)]);
    }

    #[test]
    fn memory_that_is_not_granted_is_not_taken() {
        assert_eq!(runs(&[1, 2], &[2, 1], &mut |_| false), Err(Obstacle::NoBudget));
        assert!(runs(&[1, 2], &[1], &mut |_| false).is_ok());
    }
}
