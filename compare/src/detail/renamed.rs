//! Members that are missing under one name and there under another, with the same value.

use super::{Entry, Sides};
use crate::annotate::{Digests, Document};
use crate::difference::Kind;
use crate::explained::Explained;
use crate::json::Kind as Node;
use crate::traits::Traits;
use crate::{Grant, Obstacle};

/// Longest text that may be one by chance, in bytes as sent.
const COMMON_TEXT: usize = 5;
/// Longest number that may be one by chance.
const COMMON_NUMBER: usize = 3;

/// Makes one difference of each two that belong together. Bounded by how many are listed.
pub(super) fn join(
    Sides { ours, theirs, rules }: Sides<'_, '_>,
    list: &mut Vec<Entry>,
    grant: Grant<'_>,
) -> Result<(), Obstacle> {
    let has = |kind| list.iter().any(|it| it.member && it.difference.kind == kind);
    if !has(Kind::Missing) || !has(Kind::Added) {
        return Ok(());
    }
    let ours = (ours, ours.digests(rules, &mut *grant)?);
    let theirs = (theirs, theirs.digests(rules, grant)?);
    for same_parent in [true, false] {
        let partners = partners(ours, theirs, list, same_parent);
        for (gone, new) in &partners {
            let now = list[*new].difference.field.clone();
            let shown = list[*new].difference.candidate.take();
            let found = &mut list[*gone].difference;
            found.kind = if same_parent { Kind::Renamed } else { Kind::Moved };
            found.traits = Traits::default().with(Explained::Now(now));
            found.candidate = shown;
        }
        let mut at = 0;
        list.retain(|_| {
            at += 1;
            !partners.iter().any(|(_, new)| *new == at - 1)
        });
    }
    Ok(())
}

/// A document with its digests.
type Digested<'d> = (&'d Document<'d>, &'d Digests);

/// What is missing, and what was added in its place: where there is one of each kind alone, so that nothing
/// is guessed.
fn partners(
    ours: Digested<'_>,
    theirs: Digested<'_>,
    list: &[Entry],
    same_parent: bool,
) -> Vec<(usize, usize)> {
    let of_kind = |kind| move |(_, it): &(usize, &Entry)| it.member && it.difference.kind == kind;
    let gone: Vec<_> = list.iter().enumerate().filter(of_kind(Kind::Missing)).collect();
    let new: Vec<_> = list.iter().enumerate().filter(of_kind(Kind::Added)).collect();
    let fits = |a: &Entry, b: &Entry| {
        let (Some(x), Some(y)) = (a.nodes.0, b.nodes.1) else { return false };
        let alone = |list: &[(usize, &Entry)]| {
            list.iter().filter(|(_, it)| it.parent == a.parent).count() == 1
        };
        let says_little = is_common(ours.0, x);
        same_value(ours, x, theirs, y)
            && if same_parent {
                a.parent == b.parent && (!says_little || alone(&gone) && alone(&new))
            } else {
                !says_little && same_name(ours.0, x, theirs.0, y)
            }
    };
    let one = |fitting: Vec<usize>| match fitting[..] {
        [one] => Some(one),
        _ => None,
    };
    let partner = |(at, a): &(usize, &Entry)| {
        let fitting = new.iter().filter(|(_, b)| fits(a, b)).map(|(at, _)| *at).collect();
        let new = one(fitting)?;
        let others = gone.iter().filter(|(_, a)| fits(a, &list[new])).map(|(at, _)| *at).collect();
        (one(others) == Some(*at)).then_some((*at, new))
    };
    gone.iter().filter_map(partner).collect()
}

/// Whether two values are equal, neither of which is masked or hidden.
fn same_value(
    (ours, our_digests): Digested<'_>,
    a: usize,
    (theirs, their_digests): Digested<'_>,
    b: usize,
) -> bool {
    let open = |document: &Document<'_>, node| {
        let mark = document.mark(node);
        mark.mask.is_none() && !mark.hidden
    };
    open(ours, a) && open(theirs, b) && our_digests.exact(a) == their_digests.exact(b)
}

fn same_name(ours: &Document<'_>, a: usize, theirs: &Document<'_>, b: usize) -> bool {
    ours.tape.text(a - 1).equals(&theirs.tape.text(b - 1))
}

/// Whether a value is one of few, so that two are equal by chance.
fn is_common(document: &Document<'_>, node: usize) -> bool {
    let raw = document.tape.raw(node);
    match document.tape.kind(node) {
        Node::String => raw.len() <= COMMON_TEXT,
        Node::Number => raw.len() <= COMMON_NUMBER,
        Node::Array | Node::Object => document.tape.children(node).next().is_none(),
        _ => true,
    }
}
