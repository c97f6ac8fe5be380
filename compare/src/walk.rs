//! Equality of two parsed documents under rules. What is still to compare is a list, not a
//! recursion, and all memory is asked for before it is taken.

use super::json::{Kind, Tape, make_room};
use super::members::{Listed, members, room, sorted};
use super::normalize::Keys;
use super::number;
use super::{Grant, Obstacle};

/// Whether two documents are equal under these rules.
pub(super) fn equal(
    ours: &Tape<'_>,
    theirs: &Tape<'_>,
    rules: &Keys,
    grant: Grant<'_>,
) -> Result<bool, Obstacle> {
    let mut walk = Walk { ours, theirs, rules, due: Vec::new(), lent: 0, grant };
    if !walk.pair(0, 0)? {
        return Ok(false);
    }
    while let Some((a, b)) = walk.due.pop() {
        let same = match ours.kind(a) {
            Kind::Array => walk.elements(a, b)?,
            _ => walk.members(a, b)?,
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

struct Walk<'w, 'a> {
    ours: &'w Tape<'a>,
    theirs: &'w Tape<'a>,
    rules: &'w Keys,
    /// Pairs of arrays and pairs of objects that are still to compare.
    due: Vec<(usize, usize)>,
    /// Bytes granted for lists that do not outlive one object: they take turns.
    lent: usize,
    grant: Grant<'w>,
}

impl<'w> Walk<'w, '_> {
    /// Scalars are compared at once, containers later; false when the two cannot be equal.
    fn pair(&mut self, a: usize, b: usize) -> Result<bool, Obstacle> {
        let kind = self.ours.kind(a);
        if kind != self.theirs.kind(b) {
            return Ok(false);
        }
        Ok(match kind {
            Kind::Null | Kind::True | Kind::False => true,
            Kind::Number => number::equal(self.ours.raw(a), self.theirs.raw(b)),
            Kind::Word => self.ours.raw(a) == self.theirs.raw(b),
            Kind::String | Kind::Key => self.ours.text(a).equals(&self.theirs.text(b)),
            Kind::Array | Kind::Object => {
                make_room(&mut self.due, &mut self.grant)?;
                self.due.push((a, b));
                true
            }
        })
    }

    fn elements(&mut self, a: usize, b: usize) -> Result<bool, Obstacle> {
        let (mut left, mut right) = (self.ours.children(a), self.theirs.children(b));
        loop {
            match (left.next(), right.next()) {
                (Some(a), Some(b)) if self.pair(a, b)? => {}
                (None, None) => return Ok(true),
                _ => return Ok(false),
            }
        }
    }

    /// Goes in step while both have the same keys in the same order, and sorts what is left. That
    /// pairs the values of a duplicate key in the order of the document, either way.
    fn members(&mut self, a: usize, b: usize) -> Result<bool, Obstacle> {
        let (ours, theirs, rules) = (self.ours, self.theirs, self.rules);
        let mut left = members(ours, rules, a, a + 1);
        let mut right = members(theirs, rules, b, b + 1);
        loop {
            match (left.next(), right.next()) {
                (Some(a), Some(b)) if a.name.equals(&b.name) => {
                    if !a.masked && !self.pair(a.key + 1, b.key + 1)? {
                        return Ok(false);
                    }
                }
                (Some(first), Some(second)) => {
                    let (first, second) = (first.key, second.key);
                    self.lend(room(ours, a, first) + room(theirs, b, second))?;
                    let left = sorted(ours, a, first, members(ours, rules, a, first));
                    let right = sorted(theirs, b, second, members(theirs, rules, b, second));
                    return self.listed(&left, &right);
                }
                (None, None) => return Ok(true),
                _ => return Ok(false),
            }
        }
    }

    fn listed(&mut self, left: &[Listed<'_>], right: &[Listed<'_>]) -> Result<bool, Obstacle> {
        if left.len() != right.len() {
            return Ok(false);
        }
        for (a, b) in left.iter().zip(right) {
            if a.name != b.name || (!a.masked && !self.pair(a.key + 1, b.key + 1)?) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn lend(&mut self, bytes: usize) -> Result<(), Obstacle> {
        let more = bytes.saturating_sub(self.lent);
        if more > 0 && !(self.grant)(more) {
            return Err(Obstacle::NoBudget);
        }
        self.lent += more;
        Ok(())
    }
}
