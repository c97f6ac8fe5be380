//! Which member of one object belongs to which of the other.

use std::borrow::Cow;

use super::Obstacle;
use super::annotate::Document;
use super::detail::{At, Sides, Walk, index};
use super::normalize::Treatment;
use super::policy::Rules;
use super::text::Text;

/// A member that counts.
struct Member<'a> {
    name: Text<'a>,
    key: usize,
}

/// One in a list to sort, where its name is read many times.
struct Listed<'a> {
    name: Cow<'a, [u8]>,
    key: usize,
}

/// What an allocation takes besides its bytes, about.
const ALLOCATION: usize = 32;

impl Walk<'_, '_> {
    /// Goes in step while both have the same keys in the same order, and sorts what is left. That
    /// pairs the values of a duplicate key in the order of the document, either way.
    pub(super) fn objects(&mut self, a: usize, b: usize, crumb: u32) -> Result<(), Obstacle> {
        let Sides { ours, theirs, rules } = self.sides;
        let mut left = members(ours, rules, a, a + 1);
        let mut right = members(theirs, rules, b, b + 1);
        loop {
            match (left.next(), right.next()) {
                (Some(a), Some(b)) if a.name.equals(&b.name) => self.member(&a, &b, crumb)?,
                (None, None) => return Ok(()),
                (first, second) => {
                    let rest = |member: Option<Member<'_>>| member.map(|member| member.key);
                    let (first, second) = (rest(first), rest(second));
                    self.lend(room(ours, a, first) + room(theirs, b, second))?;
                    let left = sorted(ours, rules, a, first);
                    let right = sorted(theirs, rules, b, second);
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

/// The members of `object` that count, from node `from` on. A masked one is known by its rule's name,
/// since its own spelling may differ from side to side.
fn members<'d, 'a: 'd>(
    document: &'d Document<'a>,
    rules: &'d Rules,
    object: usize,
    from: usize,
) -> impl Iterator<Item = Member<'d>> {
    let keys = document.tape.children_from(from, object);
    keys.filter(|key| !document.mark(key + 1).ignored).map(move |key| {
        let text = document.tape.text(key);
        let name = match rules.keys.treatment(&text) {
            Treatment::Masked(name) | Treatment::Hashed(name) => Text::plain(name),
            Treatment::Compared | Treatment::Ignored => text,
        };
        Member { name, key }
    })
}

/// Bytes that the list of all members from `first` on takes, at most.
fn room(document: &Document<'_>, object: usize, first: Option<usize>) -> usize {
    let Some(first) = first else { return 0 };
    let keys = document.tape.children_from(first, object);
    let entry = |key| {
        let copied = document.tape.text(key).copied();
        size_of::<Listed<'_>>() + copied + if copied > 0 { ALLOCATION } else { 0 }
    };
    keys.map(entry).sum()
}

/// The members of `object` from `first` on, by name.
fn sorted<'d, 'a: 'd>(
    document: &'d Document<'a>,
    rules: &'d Rules,
    object: usize,
    first: Option<usize>,
) -> Vec<Listed<'d>> {
    let Some(first) = first else { return Vec::new() };
    let mut list = Vec::with_capacity(document.tape.children_from(first, object).count());
    let members = members(document, rules, object, first);
    list.extend(members.map(|it| Listed { name: it.name.unescaped(), key: it.key }));
    // Stable by its second criterion; a stable sort would take more memory.
    list.sort_unstable_by(|a, b| a.name.cmp(&b.name).then(a.key.cmp(&b.key)));
    list
}
