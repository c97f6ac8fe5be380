//! Two pages or XML documents by their elements: what differs, and the way down to it.

use super::super::difference::Kind as Differs;
use super::super::json::make_room;
use super::super::{Grant, Obstacle};
use super::align::runs;
use super::looks;
use super::told::{Read, Spot, Told};
use super::tree::{Kind, Node, Tree};

/// Bytes of a way, about; what is nearest to the root is left out of a longer one.
const WAY_MAX: usize = 512;
/// What is between two steps of a way.
const BETWEEN: &str = " > ";
/// Attributes that say what the others of their element are, and what is in it.
const NAMING: [&str; 7] = ["autocomplete", "id", "itemprop", "key", "name", "property", "type"];
/// Most nodes of an element that may be a value with what it is shown in.
const VALUE_MAX: usize = 8;
/// Said where nothing is told.
const NOTHING: &str =
    "only white space between elements, the order of attributes or how they are written differs";

/// Two elements that belong together and differ somewhere.
#[derive(Clone, Copy)]
struct Crumb {
    parent: u32,
    nodes: [usize; 2],
    /// Whether what is in it is not shown.
    hidden: bool,
}

struct Walk<'w, 'r> {
    trees: [&'w Tree; 2],
    trail: Vec<Crumb>,
    due: Vec<u32>,
    told: &'w mut Told<'r>,
    at: &'w Spot,
    grant: Grant<'w>,
}

/// Tells of everything that differs, as far as it is listed.
pub(super) fn tell(trees: [&Tree; 2], told: &mut Told<'_>, at: &Spot, grant: Grant<'_>) -> Read {
    let mut walk = Walk { trees, trail: Vec::new(), due: Vec::new(), told, at, grant };
    walk.pair(0, [0, 0], at.hidden)?;
    while let Some(crumb) = walk.due.pop().filter(|_| !walk.told.is_full()) {
        walk.attributes(crumb);
        walk.children(crumb)?;
    }
    Ok(NOTHING)
}

impl Walk<'_, '_> {
    /// Two elements that are still to be compared.
    fn pair(&mut self, parent: u32, nodes: [usize; 2], hidden: bool) -> Result<(), Obstacle> {
        make_room(&mut self.trail, &mut self.grant)?;
        make_room(&mut self.due, &mut self.grant)?;
        let hidden = hidden || (0..2).any(|side| self.is_secret(side, nodes[side]));
        let last = u32::try_from(self.trail.len()).expect("a tree has less nodes than that");
        self.due.push(last);
        self.trail.push(Crumb { parent, nodes, hidden });
        Ok(())
    }

    /// Whether an element is named like a secret, or says that it is one: `<input name=password>`. The `id` of one with
    /// much in it names a part of a page: `<div id=card>`.
    fn is_secret(&self, side: usize, node: usize) -> bool {
        let tree = self.trees[side];
        let is_large = tree.behind(node) - node > VALUE_MAX;
        let names = |(name, value): (&[u8], &[u8])| {
            let is_id = name.eq_ignore_ascii_case(b"id");
            let is_naming = NAMING.iter().any(|it| name.eq_ignore_ascii_case(it.as_bytes()));
            is_naming && !(is_id && is_large) && self.told.hides(value)
        };
        tree.node(node).kind == Kind::Element
            && (self.told.hides(tree.text(node)) || tree.attributes(node).any(names))
    }

    fn attributes(&mut self, crumb: u32) {
        let Crumb { nodes: [a, b], hidden, .. } = self.trail[crumb as usize];
        let [one, two] = self.trees;
        let (mut ours, mut theirs) = (one.attributes(a).peekable(), two.attributes(b).peekable());
        loop {
            let (name, both) = match (ours.peek().copied(), theirs.peek().copied()) {
                (None, None) => return,
                (Some(x), Some(y)) if x.0 == y.0 => (x.0, [Some(x.1), Some(y.1)]),
                (Some(x), y) if y.is_none_or(|y| x.0 < y.0) => (x.0, [Some(x.1), None]),
                (_, Some(y)) => (y.0, [None, Some(y.1)]),
                (Some(x), None) => (x.0, [Some(x.1), None]),
            };
            if both[0].is_some() {
                ours.next();
            }
            if both[1].is_some() {
                theirs.next();
            }
            if both[0] == both[1] {
                continue;
            }
            let part = (!hidden).then(|| Part::one(format!("@{}", self.told.name(name))));
            let mut spot = self.spot(crumb, part.as_ref(), " ");
            let is_value = name.eq_ignore_ascii_case(b"value");
            let is_labelled = || self.is_labelled(0, a) || self.is_labelled(1, b);
            spot.hidden |= hidden || self.told.hides(name) || is_value && is_labelled();
            self.told.texts(a, &spot, both);
            if self.told.is_full() {
                return;
            }
        }
    }

    fn children(&mut self, crumb: u32) -> Result<(), Obstacle> {
        let nodes = self.trail[crumb as usize].nodes;
        let [one, two] = self.trees;
        let count = one.children(nodes[0]).count() + two.children(nodes[1]).count();
        if !(self.grant)(count * 3 * size_of::<u64>()) {
            return Err(Obstacle::NoBudget);
        }
        let lists: [Vec<usize>; 2] =
            [one.children(nodes[0]).collect(), two.children(nodes[1]).collect()];
        let digests = [0, 1].map(|side| {
            let digest = |node: &usize| self.trees[side].digest(*node);
            lists[side].iter().map(digest).collect::<Vec<_>>()
        });
        let first_due = self.due.len();
        for run in runs(&digests[0], &digests[1], self.grant)?.into_iter().filter(|run| !run.same) {
            let behind = lists[0].get(run.ours.end).copied().unwrap_or(one.behind(nodes[0]));
            self.block(crumb, behind, [&lists[0][run.ours], &lists[1][run.theirs]])?;
            if self.told.is_full() {
                break;
            }
        }
        // The first ones are taken from the end.
        self.due[first_due..].reverse();
        Ok(())
    }

    /// What differs of the children of two: those of one name belong together.
    fn block(&mut self, crumb: u32, behind: usize, lists: [&[usize]; 2]) -> Result<(), Obstacle> {
        let names = [0, 1].map(|side| {
            let tree = self.trees[side];
            let name = |node: &usize| match tree.node(*node).kind {
                Kind::Element => xxhash_rust::xxh3::xxh3_64(tree.text(*node)),
                kind => kind as u64,
            };
            lists[side].iter().map(name).collect::<Vec<_>>()
        });
        for run in runs(&names[0], &names[1], self.grant)? {
            if run.same {
                for (a, b) in run.ours.zip(run.theirs) {
                    self.both(crumb, [lists[0][a], lists[1][b]])?;
                }
                continue;
            }
            let next = lists[0].get(run.ours.end).copied().unwrap_or(behind);
            for node in &lists[0][run.ours] {
                self.one(crumb, *node, 0, *node);
            }
            for node in &lists[1][run.theirs] {
                self.one(crumb, next, 1, *node);
            }
        }
        Ok(())
    }

    /// Two of one name that stand in the same place.
    fn both(&mut self, crumb: u32, nodes: [usize; 2]) -> Result<(), Obstacle> {
        let [one, two] = self.trees;
        let [a, b] = nodes;
        let hidden = self.trail[crumb as usize].hidden;
        if one.digest(a) == two.digest(b) || self.told.is_full() {
            return Ok(());
        }
        if one.node(a).kind == Kind::Element {
            return self.pair(crumb, nodes, hidden);
        }
        let part = (!hidden).then(|| self.part(0, a)).filter(|_| one.node(a).kind != Kind::Text);
        let mut spot = self.spot(crumb, part.as_ref(), BETWEEN);
        spot.hidden |= hidden || (0..2).any(|side| self.is_labelled(side, nodes[side]));
        self.told.texts(a, &spot, [Some(one.text(a)), Some(two.text(b))]);
        Ok(())
    }

    /// What one side alone has.
    fn one(&mut self, crumb: u32, order: usize, side: usize, node: usize) {
        if self.told.is_full() {
            return;
        }
        let tree = self.trees[side];
        let hidden = self.trail[crumb as usize].hidden;
        let part = (!hidden).then(|| self.part(side, node));
        let mut spot = self.spot(crumb, part.as_ref(), BETWEEN);
        spot.hidden |= hidden || self.is_secret(side, node);
        let inner: Vec<_> = tree.children(node).take(2).collect();
        let text = match (tree.node(node).kind, &inner[..]) {
            (Kind::Element, [text]) if tree.node(*text).kind == Kind::Text => Some(*text),
            (Kind::Element, _) => None,
            _ => Some(node),
        };
        match text {
            Some(text) => {
                spot.hidden |= self.is_labelled(side, text);
                self.told.texts(order, &spot, only(side, tree.text(text)));
            }
            None => {
                let count = tree.children(node).count();
                let said = format!("{count} node{}", if count == 1 { "" } else { "s" });
                let kind = if side == 0 { Differs::Missing } else { Differs::Added };
                self.told.said(order, &spot, kind, only(side, said));
            }
        }
    }

    /// Whether the text before says of this one that it is a secret: `<th>Password</th><td>...</td>`.
    fn is_labelled(&self, side: usize, node: usize) -> bool {
        let before = self.trees[side].text_before(node);
        before.is_some_and(|before| looks::is_label(before, self.told.rules))
    }

    /// A step of a way.
    fn part(&self, side: usize, node: usize) -> Part {
        let tree = self.trees[side];
        let Node { nth, is_many, .. } = *tree.node(node);
        let name = match tree.node(node).kind {
            Kind::Element => self.told.name(tree.text(node)),
            Kind::Text => "#text".to_owned(),
            Kind::Comment => "#comment".to_owned(),
            Kind::Doctype => "#doctype".to_owned(),
            Kind::Instruction => "#instruction".to_owned(),
            Kind::Root => String::new(),
        };
        if !is_many {
            return Part::one(name);
        }
        Part { place: format!("{name}[{nth}]"), field: format!("{name}[*]") }
    }

    /// The way down to two elements and to what is in them; no further than to what is not shown.
    fn spot(&self, crumb: u32, last: Option<&Part>, joined: &str) -> Spot {
        let (mut parts, mut length, mut cut, mut next) = (Vec::new(), 0, false, crumb);
        while next != 0 {
            let Crumb { parent, nodes, .. } = self.trail[next as usize];
            if !self.trail[parent as usize].hidden {
                let [ours, theirs] = [self.part(0, nodes[0]), self.part(1, nodes[1])];
                let part = if ours.place == ours.field && theirs.place != theirs.field {
                    Part { place: format!("{}[1]", ours.place), field: theirs.field }
                } else {
                    ours
                };
                length += part.place.len() + BETWEEN.len();
                if length > WAY_MAX {
                    cut = true;
                    break;
                }
                parts.push(part);
            }
            next = parent;
        }
        let way = |text: fn(&Part) -> &str| {
            let mut way: Vec<_> = parts.iter().rev().map(text).collect();
            if cut {
                way.insert(0, "…");
            }
            let mut way = way.join(BETWEEN);
            if let Some(last) = last {
                way.push_str(if way.is_empty() { "" } else { joined });
                way.push_str(text(last));
            }
            way
        };
        let (place, field) = (way(|part| &part.place), way(|part| &part.field));
        if place.is_empty() {
            return self.at.clone();
        }
        self.at.and(&Spot { place, field, hidden: false })
    }
}

/// What one side alone has.
fn only<T>(side: usize, value: T) -> [Option<T>; 2] {
    if side == 0 { [Some(value), None] } else { [None, Some(value)] }
}

/// A step of a way, exact and in general.
struct Part {
    place: String,
    field: String,
}

impl Part {
    fn one(name: String) -> Self {
        Self { field: name.clone(), place: name }
    }
}
