//! Equality of two parsed documents under rules. What is still to compare is a list, not a
//! recursion, and all memory is asked for before it is taken.

use std::borrow::Cow;

use super::json::{Kind, Tape, make_room};
use super::normalize::{Keys, Treatment};
use super::number;
use super::text::Text;
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

/// A member that counts.
struct Member<'a> {
    key: Text<'a>,
    masked: bool,
    value: usize,
}

/// One in a list to sort, where its key is read many times.
struct Listed<'a> {
    key: Cow<'a, [u8]>,
    masked: bool,
    value: usize,
}

/// What an allocation takes besides its bytes, about.
const ALLOCATION: usize = 32;

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
        let mut left = ours.children(a).filter_map(|key| Member::new(ours, key, rules));
        let mut right = theirs.children(b).filter_map(|key| Member::new(theirs, key, rules));
        loop {
            match (left.next(), right.next()) {
                (Some(a), Some(b)) if a.key.equals(&b.key) => {
                    if !a.masked && !self.pair(a.value, b.value)? {
                        return Ok(false);
                    }
                }
                (Some(first), Some(second)) => {
                    self.lend(room(ours, a, &first) + room(theirs, b, &second))?;
                    let left = sorted(ours, a, &first, rules);
                    let right = sorted(theirs, b, &second, rules);
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
            if a.key != b.key || (!a.masked && !self.pair(a.value, b.value)?) {
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

/// Bytes that the list of all members from `first` on takes, at most.
fn room(tape: &Tape<'_>, object: usize, first: &Member<'_>) -> usize {
    let entry = |key: &Text<'_>| {
        let copied = key.copied();
        size_of::<Listed<'_>>() + copied + if copied > 0 { ALLOCATION } else { 0 }
    };
    let rest = tape.children_from(tape.behind(first.value), object);
    entry(&first.key) + rest.map(|key| entry(&tape.text(key))).sum::<usize>()
}

/// The members of `object` from `first` on, by key.
fn sorted<'a>(
    tape: &Tape<'a>,
    object: usize,
    first: &Member<'a>,
    rules: &'a Keys,
) -> Vec<Listed<'a>> {
    let rest = || tape.children_from(tape.behind(first.value), object);
    let mut list = Vec::with_capacity(1 + rest().count());
    list.push(first.listed());
    list.extend(rest().filter_map(|key| Member::new(tape, key, rules)).map(|it| it.listed()));
    // Stable by its second criterion; a stable sort would take more memory.
    list.sort_unstable_by(|a, b| a.key.cmp(&b.key).then(a.value.cmp(&b.value)));
    list
}

impl<'a> Member<'a> {
    fn listed(&self) -> Listed<'a> {
        Listed { key: self.key.unescaped(), masked: self.masked, value: self.value }
    }

    /// None for one that leaves no trace.
    fn new(tape: &Tape<'a>, key: usize, rules: &'a Keys) -> Option<Self> {
        let text = tape.text(key);
        let value = key + 1;
        match rules.treatment(&text) {
            Treatment::Ignored => None,
            Treatment::Compared => Some(Self { key: text, masked: false, value }),
            Treatment::Hashed(name) => Some(Self { key: Text::plain(name), masked: false, value }),
            Treatment::Masked(name) => Some(Self { key: Text::plain(name), masked: true, value }),
        }
    }
}
