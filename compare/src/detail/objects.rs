//! Which member of one object belongs to which of the other.

use super::{At, Sides, Walk, index};
use crate::Obstacle;
use crate::annotate::Document;
use crate::members::{Listed, Member, members, room, sorted};
use crate::policy::Rules;

impl Walk<'_, '_> {
    /// Goes in step while both have the same keys in the same order, and sorts what is left. That
    /// pairs the values of a duplicate key in the order of the document, either way.
    pub(super) fn objects(&mut self, a: usize, b: usize, crumb: u32) -> Result<(), Obstacle> {
        let Sides { ours, theirs, rules } = self.sides;
        let mut left = counted(ours, rules, a, a + 1);
        let mut right = counted(theirs, rules, b, b + 1);
        loop {
            match (left.next(), right.next()) {
                (Some(a), Some(b)) if a.name.equals(&b.name) => self.member(&a, &b, crumb)?,
                (None, None) => return Ok(()),
                (first, second) => {
                    let rest = |member: Option<Member<'_>>| member.map(|member| member.key);
                    let (first, second) = (rest(first), rest(second));
                    let takes = |document: &Document<'_>, object, first: Option<usize>| {
                        first.map_or(0, |first| room(&document.tape, object, first))
                    };
                    self.lend(takes(ours, a, first) + takes(theirs, b, second))?;
                    let left = by_name(ours, rules, a, first);
                    let right = by_name(theirs, rules, b, second);
                    return self.merge(&left, &right, a, crumb);
                }
            }
        }
    }

    fn member(&mut self, a: &Member<'_>, b: &Member<'_>, crumb: u32) -> Result<(), Obstacle> {
        self.value(a.key + 1, b.key + 1, crumb, At::Ours(index(a.key)))
    }

    fn merge(
        &mut self,
        left: &[Listed<'_>],
        right: &[Listed<'_>],
        object: usize,
        crumb: u32,
    ) -> Result<(), Obstacle> {
        let (mut i, mut j) = (0, 0);
        while !self.is_done() {
            let order = match (left.get(i), right.get(j)) {
                (None, None) => return Ok(()),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(a), Some(b)) => a.name.cmp(&b.name),
            };
            match order {
                std::cmp::Ordering::Less => {
                    let key = left[i].key;
                    self.missing(key + 1, crumb, At::Ours(index(key)), true);
                    i += 1;
                }
                std::cmp::Ordering::Greater => {
                    let key = right[j].key;
                    self.added(key + 1, object, crumb, At::Theirs(index(key)), true);
                    j += 1;
                }
                std::cmp::Ordering::Equal => {
                    let (a, b) = (left[i].key, right[j].key);
                    self.value(a + 1, b + 1, crumb, At::Ours(index(a)))?;
                    (i, j) = (i + 1, j + 1);
                }
            }
        }
        Ok(())
    }
}

/// The members of `object` that count, from node `from` on.
fn counted<'d>(
    document: &'d Document<'_>,
    rules: &'d Rules,
    object: usize,
    from: usize,
) -> impl Iterator<Item = Member<'d>> {
    let all = members(&document.tape, &rules.keys, object, from);
    // A path may leave it out, too.
    all.filter(|member| !document.mark(member.key + 1).ignored)
}

/// The same by name; none where there is no first one.
fn by_name<'d>(
    document: &'d Document<'_>,
    rules: &'d Rules,
    object: usize,
    first: Option<usize>,
) -> Vec<Listed<'d>> {
    let list = |from| sorted(&document.tape, object, from, counted(document, rules, object, from));
    first.map(list).unwrap_or_default()
}
