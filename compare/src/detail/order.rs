//! Which elements of two arrays belong together where no rule says it: by a member that tells them apart,
//! or where they are equal. That explains what differs; whether something differs is settled by index.

use std::collections::HashMap;

use super::arrays::Element;
use super::{At, Sides, Walk, What};
use crate::Obstacle;
use crate::annotate::{Digests, Document, Mark};
use crate::difference::Kind;
use crate::explained::Explained;
use crate::json::Kind as Node;
use crate::members::members;
use crate::policy::Rules;
use crate::redaction::Eyes;
use crate::show;
use crate::text::Text;

/// Most elements of both arrays that are looked at.
const ELEMENTS_MAX: usize = 4096;
/// Most members that are tried as a key.
const KEYS_MAX: usize = 8;
/// Names that keys have, the likeliest first.
const KEYS: [&str; 5] = ["id", "key", "uuid", "name", "code"];

/// Elements that belong together.
pub(super) struct Together {
    explained: Explained,
    pairs: Vec<(Element, Element)>,
    gone: Vec<Element>,
    new: Vec<Element>,
}

/// How many elements are paired, and how many of these are equal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    equal: usize,
    paired: usize,
}

impl Walk<'_, '_> {
    /// How the elements belong together, where that explains more than their indices do.
    pub(super) fn together(
        &mut self,
        left: &[Element],
        right: &[Element],
    ) -> Result<Option<Together>, Obstacle> {
        let count = left.len() + right.len();
        let few = left.len().min(right.len());
        if few == 0 || count > ELEMENTS_MAX {
            return Ok(None);
        }
        // Most lists are equal, or nearly: of one element that differs nothing is to be paired.
        let by_index = in_place(left, right, |it| it.digest);
        if by_index == few || left.len() == right.len() && by_index + 1 == few {
            return Ok(None);
        }
        // Lists and maps of both sides, at most two at a time.
        self.lend(8 * count * size_of::<Element>())?;
        let Sides { ours, theirs, rules } = self.sides;
        let ours = (ours, ours.digests(rules, &mut *self.grant)?);
        let theirs = (theirs, theirs.digests(rules, &mut *self.grant)?);
        let by_key = keys(self.sides, left).into_iter().filter_map(|key| {
            let (left, right) = (by_name(ours, left, &key)?, by_name(theirs, right, &key)?);
            let in_place = in_place(&left, &right, |it| it.group);
            let together = Together::new(Explained::ByKey(name(&key)), &left, &right);
            Some((in_place, together))
        });
        let mut best: Option<(Score, Together)> = None;
        for (in_place, together) in by_key {
            let score = together.score();
            // A key that pairs as the index does explains nothing.
            let explains = score.paired > in_place && 2 * score.paired >= few;
            if explains && best.as_ref().is_none_or(|(most, _)| score.paired > most.paired) {
                best = Some((score, together));
            }
        }
        let best = best.filter(|(score, _)| score.equal >= by_index).map(|(_, together)| together);
        Ok(best.or_else(|| as_set(left, right, by_index)))
    }

    /// Tells another order, and what differs between elements that belong together.
    pub(super) fn explained(
        &mut self,
        together: &Together,
        (a, b): (usize, usize),
        crumb: u32,
    ) -> Result<(), Obstacle> {
        let Sides { ours, theirs, .. } = self.sides;
        let Together { explained, pairs, gone, new } = together;
        if !pairs.is_sorted_by_key(|(_, b)| b.index) {
            let (parent, at) = self.crumb(crumb);
            let what = What { kind: Kind::Order, explained: Some(explained.clone()) };
            let mark = ours.mark(a).with(theirs.mark(b));
            self.report(what, parent, at, (Some(a), Some(b)), mark);
        } else if !gone.is_empty() && !new.is_empty() && gone.len() != new.len() {
            let (parent, at) = self.crumb(crumb);
            let mark = ours.mark(a).with(theirs.mark(b));
            self.report(Kind::Length.into(), parent, at, (Some(a), Some(b)), mark);
        }
        for (a, b) in pairs {
            if self.is_done() {
                return Ok(());
            }
            self.value(a.node, b.node, crumb, At::Index(a.index))?;
        }
        self.one_by_one(gone, &[], a, crumb)?;
        self.one_by_one(&[], new, a, crumb)
    }
}

impl Together {
    /// Of elements whose groups are alike; each group has one element of a side at most, or equal ones.
    fn new(explained: Explained, left: &[Element], right: &[Element]) -> Self {
        let mut free: HashMap<u64, Vec<Element>> = HashMap::with_capacity(right.len());
        for element in right.iter().rev() {
            free.entry(element.group).or_default().push(*element);
        }
        let (mut pairs, mut gone) = (Vec::with_capacity(left.len()), Vec::new());
        for element in left {
            match free.get_mut(&element.group).and_then(Vec::pop) {
                Some(partner) => pairs.push((*element, partner)),
                None => gone.push(*element),
            }
        }
        let mut new: Vec<_> = free.into_values().flatten().collect();
        new.sort_unstable_by_key(|element| element.index);
        Self { explained, pairs, gone, new }
    }

    fn score(&self) -> Score {
        let equal = self.pairs.iter().filter(|(a, b)| a.digest == b.digest).count();
        Score { equal, paired: self.pairs.len() }
    }
}

/// Each element with an equal one, where that pairs more than the index does. What is left belongs together
/// by its place among what is left, where that is as much on both sides.
fn as_set(left: &[Element], right: &[Element], by_index: usize) -> Option<Together> {
    let mut together = Together::new(Explained::AsSet, left, right);
    let Score { equal, .. } = together.score();
    if equal <= by_index || 2 * equal < left.len().min(right.len()) {
        return None;
    }
    if together.gone.len() == together.new.len() {
        let rest = together.gone.drain(..).zip(together.new.drain(..));
        together.pairs.extend(rest);
        together.pairs.sort_unstable_by_key(|(a, _)| a.index);
    }
    Some(together)
}

/// How many elements are alike where each is held against the one at its index: behind what is equal at the
/// beginning, and before what is equal at the end, where there are more on one side.
fn in_place(left: &[Element], right: &[Element], of: fn(&Element) -> u64) -> usize {
    let same = |(a, b): &(&Element, &Element)| of(a) == of(b);
    if left.len() == right.len() {
        return left.iter().zip(right).filter(same).count();
    }
    let equal = |(a, b): &(&Element, &Element)| a.digest == b.digest;
    let start = left.iter().zip(right).take_while(equal).count();
    let (left, right) = (&left[start..], &right[start..]);
    let end = left.iter().rev().zip(right.iter().rev()).take_while(equal).count();
    let (left, right) = (&left[..left.len() - end], &right[..right.len() - end]);
    start + left.iter().zip(right).filter(same).count() + end
}

/// Members of the first element that may tell elements apart, the likeliest first.
fn keys(Sides { ours, rules, .. }: Sides<'_, '_>, left: &[Element]) -> Vec<Vec<u8>> {
    let Some(first) = left.first().filter(|it| ours.tape.kind(it.node) == Node::Object) else {
        return Vec::new();
    };
    let named = members(&ours.tape, &rules.keys, first.node, first.node + 1);
    let scalars = named.filter(|it| !it.masked && is_key(ours, it.key + 1));
    let may_be_told = scalars.filter(|it| is_name(&it.name, rules));
    let mut names: Vec<_> = may_be_told.map(|it| it.name.unescaped().into_owned()).collect();
    let rank = |name: &Vec<u8>| {
        let known = KEYS.iter().position(|key| name.eq_ignore_ascii_case(key.as_bytes()));
        known.unwrap_or(KEYS.len())
    };
    names.sort_by_key(rank);
    names.truncate(KEYS_MAX);
    names
}

/// Whether a member can be told by its name: a rule says it, and people see it.
fn is_name(name: &Text<'_>, rules: &Rules) -> bool {
    let short = name.bytes().take(show::TEXT_MAX + 1).count() <= show::TEXT_MAX;
    short && {
        let name = name.unescaped();
        !name.is_empty() && std::str::from_utf8(&name).is_ok() && rules.unshown(&name).is_none()
    }
}

/// Whether a value can tell elements apart: a text or number of which no rule says anything.
fn is_key(document: &Document<'_>, node: usize) -> bool {
    matches!(document.tape.kind(node), Node::String | Node::Number)
        && document.mark(node) == Mark::default()
}

/// The elements grouped by a member; `None` where one has not got it, or two have the same.
fn by_name(
    (document, digests): (&Document<'_>, &Digests),
    list: &[Element],
    key: &[u8],
) -> Option<Vec<Element>> {
    let group = |element: &Element| {
        if document.tape.kind(element.node) != Node::Object {
            return None;
        }
        let mut keys = document.tape.children(element.node);
        let key = keys.find(|node| *document.tape.text(*node).unescaped() == *key)?;
        let value = key + 1;
        is_key(document, value).then(|| Element { group: digests.digest(value), ..*element })
    };
    let grouped: Vec<_> = list.iter().map(group).collect::<Option<_>>()?;
    let mut groups: Vec<_> = grouped.iter().map(|element| element.group).collect();
    groups.sort_unstable();
    groups.windows(2).all(|two| two[0] != two[1]).then_some(grouped)
}

fn name(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}
