//! Which element of one array belongs to which of the other: by index, whatever the order, or by the
//! value of a member.

use std::collections::HashMap;

use super::{At, Sides, Walk, What, index};
use crate::Obstacle;
use crate::annotate::{Digests, Document, Mark};
use crate::difference::Kind;
use crate::explained::Explained;
use crate::lenient;
use crate::rules::Pairing;

/// Walks within walks that try how elements fit.
const TRIALS_DEEP: u8 = 3;
/// Pairs of elements that are tried to fit each element of a group to one of the other side.
const TRIALS_MAX: usize = 1024;

/// An element that counts.
#[derive(Clone, Copy)]
pub(super) struct Element {
    pub(super) node: usize,
    pub(super) index: u32,
    /// Those that may be paired have this in common.
    pub(super) group: u64,
    /// Those that are equal have this in common.
    pub(super) digest: u64,
}

impl Walk<'_, '_> {
    pub(super) fn arrays(&mut self, a: usize, b: usize, crumb: u32) -> Result<(), Obstacle> {
        let Sides { ours, theirs, rules } = self.sides;
        let pairing = ours.mark(a).with(theirs.mark(b)).pairing;
        let pairing = pairing.map(|at| &rules.pairings[usize::from(at)]);
        if pairing.is_none() && self.are_same_but_one(a, b) {
            return self.by_index(a, b, crumb);
        }
        let count = ours.tape.children(a).count() + theirs.tape.children(b).count();
        let try_all = pairing == Some(&Pairing::Unordered)
            && (!rules.leniences.is_empty() || rules.null_equals_absent || rules.aliases);
        // The elements and a list of their groups; and where they are tried, what is tried and left.
        let lists = if try_all { 8 } else { 2 };
        self.lend(lists * count * size_of::<Element>())?;
        let digests =
            [ours.digests(rules, &mut *self.grant)?, theirs.digests(rules, &mut *self.grant)?];
        let mut left = elements((ours, digests[0]), a, pairing);
        let mut right = elements((theirs, digests[1]), b, pairing);
        if pairing.is_none() {
            return self.in_order(&left, &right, (a, b), crumb);
        }
        for list in [&mut left, &mut right] {
            list.sort_unstable_by_key(|element| (element.group, element.index));
        }
        let (mut left, mut right) = (&left[..], &right[..]);
        while !self.is_done() {
            let Some(group) =
                left.first().into_iter().chain(right.first()).map(|it| it.group).min()
            else {
                return Ok(());
            };
            let (ours, rest) = left.split_at(left.partition_point(|it| it.group <= group));
            let (theirs, other) = right.split_at(right.partition_point(|it| it.group <= group));
            (left, right) = (rest, other);
            if try_all && !ours.is_empty() && !theirs.is_empty() {
                self.fitted(ours, theirs, a, crumb)?;
            } else {
                self.one_by_one(ours, theirs, a, crumb)?;
            }
        }
        Ok(())
    }

    /// Whether as many elements count on both sides, and all but one at most have the same text as the one at
    /// their index, so that nothing tells how else they might belong together.
    fn are_same_but_one(&self, a: usize, b: usize) -> bool {
        let Sides { ours, theirs, .. } = self.sides;
        let (mut left, mut right) = (counted(ours, a), counted(theirs, b));
        let mut others = 0;
        loop {
            match (left.next(), right.next()) {
                (None, None) => return true,
                (Some((_, a)), Some((_, b))) => others += usize::from(!self.are_same(a, b)),
                _ => return false,
            }
            if others > 1 {
                return false;
            }
        }
    }

    fn by_index(&mut self, a: usize, b: usize, crumb: u32) -> Result<(), Obstacle> {
        let Sides { ours, theirs, .. } = self.sides;
        for ((at, a), (_, b)) in counted(ours, a).zip(counted(theirs, b)) {
            self.value(a, b, crumb, At::Index(index(at)))?;
        }
        Ok(())
    }

    /// By index. Where one side has more elements, what is equal at both ends is set aside first, so
    /// that an element that was put in or taken out is all that is told.
    fn in_order(
        &mut self,
        left: &[Element],
        right: &[Element],
        (a, b): (usize, usize),
        crumb: u32,
    ) -> Result<(), Obstacle> {
        let Sides { ours, theirs, .. } = self.sides;
        let same = |(a, b): &(&Element, &Element)| a.group == b.group;
        if !self.is_trial()
            && let Some(together) = self.together(left, right)?
            && self.differs_by_index(a, b)?
        {
            return self.explained(&together, (a, b), crumb);
        }
        if left.len() == right.len() {
            if !self.is_trial() && is_reordered(left, right) {
                let (parent, at) = self.crumb(crumb);
                let what = What { kind: Kind::Order, explained: Some(Explained::AsSet) };
                self.report(what, parent, at, (Some(a), Some(b)), Mark::default());
                return Ok(());
            }
            return self.one_by_one(left, right, a, crumb);
        }
        let start = left.iter().zip(right).take_while(same).count();
        let ends = left[start..].iter().rev().zip(right[start..].iter().rev());
        let end = ends.take_while(same).count();
        let (inner, other) = (&left[start..left.len() - end], &right[start..right.len() - end]);
        if !inner.is_empty() && !other.is_empty() {
            let (parent, at) = self.crumb(crumb);
            let mark = ours.mark(a).with(theirs.mark(b));
            self.report(Kind::Length.into(), parent, at, (Some(a), Some(b)), mark);
        }
        self.one_by_one(&left[..start], &right[..start], a, crumb)?;
        self.one_by_one(inner, other, a, crumb)?;
        self.one_by_one(&left[left.len() - end..], &right[right.len() - end..], a, crumb)
    }

    /// Whether two arrays differ by what the rules say, which explanations must not change.
    fn differs_by_index(&mut self, a: usize, b: usize) -> Result<bool, Obstacle> {
        let rules = self.sides.rules;
        let exact = rules.leniences.is_empty() && !rules.null_equals_absent && !rules.aliases;
        Ok(exact || !self.fits(a, b)? && *self.work > 0)
    }

    /// The first with the first; what is left over has no partner.
    pub(super) fn one_by_one(
        &mut self,
        left: &[Element],
        right: &[Element],
        array: usize,
        crumb: u32,
    ) -> Result<(), Obstacle> {
        for (a, b) in left.iter().zip(right) {
            if self.is_done() {
                return Ok(());
            }
            self.value(a.node, b.node, crumb, At::Index(a.index))?;
        }
        let both = left.len().min(right.len());
        for a in &left[both..] {
            if self.is_done() {
                return Ok(());
            }
            self.missing(a.node, crumb, At::Index(a.index), false);
        }
        for b in &right[both..] {
            if self.is_done() {
                return Ok(());
            }
            self.added(b.node, array, crumb, At::Index(b.index), false);
        }
        Ok(())
    }

    /// Elements that are equal but for what may differ a little: each to one that it fits, in their
    /// order where they all do.
    fn fitted(
        &mut self,
        left: &[Element],
        right: &[Element],
        array: usize,
        crumb: u32,
    ) -> Result<(), Obstacle> {
        if self.depth < TRIALS_DEEP {
            if left.len() == right.len() && self.all_fit(left, right)? {
                return Ok(());
            }
            if left.len() * right.len() <= TRIALS_MAX {
                let (left, right) = self.matched(left, right)?;
                return self.one_by_one(&left, &right, array, crumb);
            }
        }
        let Sides { ours, theirs, rules } = self.sides;
        let (mut left, mut right) = (left.to_vec(), right.to_vec());
        let ours = ours.digests(rules, &mut *self.grant)?;
        let theirs = theirs.digests(rules, &mut *self.grant)?;
        without_equal(ours, theirs, &mut left, &mut right);
        let (left, right) = self.nearest(&left, &right)?;
        self.one_by_one(&left, &right, array, crumb)
    }

    /// What is left over when values that have an order are given the nearest partner that they fit,
    /// from the smallest to the largest.
    fn nearest(
        &mut self,
        left: &[Element],
        right: &[Element],
    ) -> Result<(Vec<Element>, Vec<Element>), Obstacle> {
        let Sides { ours, theirs, .. } = self.sides;
        let (left, right) = (by_value(ours, left), by_value(theirs, right));
        let (mut lonely, mut free) = (Vec::new(), Vec::new());
        let (mut i, mut j) = (0, 0);
        while let (Some((x, a)), Some((y, b))) = (left.get(i), right.get(j)) {
            let fit = x.is_some() && y.is_some() && self.fits(a.node, b.node)?;
            if !fit && x <= y {
                lonely.push(*a);
            }
            if !fit && y <= x {
                free.push(*b);
            }
            i += usize::from(fit || x <= y);
            j += usize::from(fit || y <= x);
        }
        lonely.extend(left[i..].iter().map(|(_, element)| element));
        free.extend(right[j..].iter().map(|(_, element)| element));
        Ok((lonely, free))
    }

    fn all_fit(&mut self, left: &[Element], right: &[Element]) -> Result<bool, Obstacle> {
        for (a, b) in left.iter().zip(right) {
            if !self.fits(a.node, b.node)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What is left over when as many elements as can be are given a partner that they fit (the
    /// algorithm of Kuhn for bipartite graphs).
    fn matched(
        &mut self,
        left: &[Element],
        right: &[Element],
    ) -> Result<(Vec<Element>, Vec<Element>), Obstacle> {
        let width = right.len();
        let mut fit = vec![false; left.len() * width];
        for (i, a) in left.iter().enumerate() {
            for (j, b) in right.iter().enumerate() {
                fit[i * width + j] = self.fits(a.node, b.node)?;
            }
        }
        let mut partner = vec![None; width];
        for i in 0..left.len() {
            augment(i, &fit, &mut partner);
        }
        let taken = |i: usize| partner.contains(&Some(i));
        let lonely = |(i, element): (usize, &Element)| (!taken(i)).then_some(*element);
        let ours = left.iter().enumerate().filter_map(lonely).collect();
        let free = |(j, element): (usize, &Element)| partner[j].is_none().then_some(*element);
        Ok((ours, right.iter().enumerate().filter_map(free).collect()))
    }
}

/// Finds element `i` a partner, moving others to other partners: the shortest chain of such moves, if
/// there is one.
fn augment(i: usize, fit: &[bool], partner: &mut [Option<usize>]) {
    let width = partner.len();
    // From which element each of theirs was come to.
    let mut from: Vec<Option<usize>> = vec![None; width];
    let (mut due, mut next) = (vec![i], 0);
    while let Some(&i) = due.get(next) {
        next += 1;
        for j in 0..width {
            if !fit[i * width + j] || from[j].is_some() {
                continue;
            }
            from[j] = Some(i);
            match partner[j] {
                Some(other) => due.push(other),
                None => return settle(j, &from, partner),
            }
        }
    }
}

/// Moves each along the chain that ends at `j`.
fn settle(j: usize, from: &[Option<usize>], partner: &mut [Option<usize>]) {
    let mut next = Some(j);
    while let Some(j) = next {
        let i = from[j];
        next = partner.iter().position(|partner| *partner == i);
        partner[j] = i;
    }
}

/// The elements that count, each with its index.
fn counted(document: &Document<'_>, array: usize) -> impl Iterator<Item = (usize, usize)> {
    let all = document.tape.children(array).enumerate();
    all.filter(|(_, node)| !document.mark(*node).ignored)
}

fn elements(
    (document, digests): (&Document<'_>, &Digests),
    array: usize,
    pairing: Option<&Pairing>,
) -> Vec<Element> {
    let mut list = Vec::with_capacity(document.tape.children(array).count());
    list.extend(counted(document, array).map(|(at, node)| {
        let digest = digests.digest(node);
        let group = pairing.map_or(digest, |pairing| pairing.group((document, digests), node));
        Element { node, index: index(at), group, digest }
    }));
    list
}

/// Whether two lists have the same elements, and not in the same order.
fn is_reordered(left: &[Element], right: &[Element]) -> bool {
    let groups = |list: &[Element]| list.iter().map(|element| element.group).collect::<Vec<_>>();
    let (mut left, mut right) = (groups(left), groups(right));
    if left == right {
        return false;
    }
    left.sort_unstable();
    right.sort_unstable();
    left == right
}

/// The elements by their value, where they have one that has an order; before them the others.
fn by_value(document: &Document<'_>, list: &[Element]) -> Vec<(Option<u64>, Element)> {
    let key = |element: &Element| {
        // Doubles in the order of their bits, negative ones turned over.
        let bits = lenient::sort_key(&document.tape, element.node)?.to_bits();
        Some(if bits >> 63 == 1 { !bits } else { bits | 1 << 63 })
    };
    let mut list: Vec<_> = list.iter().map(|element| (key(element), *element)).collect();
    list.sort_unstable_by_key(|(key, element)| (*key, element.index));
    list
}

/// Takes out of both lists what is exactly equal, in whatever order; what is left keeps its own.
fn without_equal(
    ours: &Digests,
    theirs: &Digests,
    left: &mut Vec<Element>,
    right: &mut Vec<Element>,
) {
    let exact = |digests: &Digests, list: &[Element]| {
        let mut list: Vec<_> = list.iter().map(|element| digests.exact(element.node)).collect();
        list.sort_unstable();
        list
    };
    let (a, b) = (exact(ours, left), exact(theirs, right));
    let (mut i, mut j) = (0, 0);
    let mut common = HashMap::new();
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        if x == y {
            *common.entry(*x).or_insert(0_usize) += 1;
        }
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    for (digests, list) in [(ours, left), (theirs, right)] {
        let mut common = common.clone();
        list.retain(|element| match common.get_mut(&digests.exact(element.node)) {
            Some(count @ 1..) => {
                *count -= 1;
                false
            }
            _ => true,
        });
    }
}
