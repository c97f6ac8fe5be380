//! A page or an XML document as a flat list of what is in it, parents first. Nothing recurses: who nests a hundred
//! thousand elements gets a list like any other, until it is too long.

use std::collections::HashMap;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::super::Grant;
use super::super::json::make_room;
use super::told::Unread;

/// Bytes of a body that is read.
const LENGTH_MAX: usize = 1 << 20;
/// Elements, texts and so on of a body that is read.
const NODES_MAX: usize = 20_000;
/// Attributes of all of them.
const ATTRIBUTES_MAX: usize = 40_000;
/// Bytes of texts, of which decoding some makes them longer, and of what a parser keeps, for each byte of a body.
const COPIES: usize = 4;
/// Bytes that a node takes in the maps that know its name and its siblings, about.
const ENTRY: usize = 64;

/// A part of [`Tree::bytes`].
type Span = (u32, u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// What holds all others.
    Root,
    Element,
    Text,
    Comment,
    Doctype,
    Instruction,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Of an element its name, else its text.
    span: Span,
    parent: u32,
    /// The node behind all that is in it.
    end: u32,
    attributes: (u32, u32),
    /// Which of its siblings of the same name it is, from one on.
    pub(super) nth: u32,
    /// Whether it has siblings of the same name.
    pub(super) is_many: bool,
    digest: u64,
}

#[derive(Clone, Copy, Debug)]
struct Attribute {
    name: Span,
    value: Span,
}

/// What was read of a body.
#[derive(Debug)]
pub(super) struct Tree {
    bytes: Vec<u8>,
    nodes: Vec<Node>,
    attributes: Vec<Attribute>,
}

impl Tree {
    pub(super) fn node(&self, node: usize) -> &Node {
        &self.nodes[node]
    }

    /// Of an element its name, of all else its text without white space at its ends.
    pub(super) fn text(&self, node: usize) -> &[u8] {
        self.slice(self.nodes[node].span).trim_ascii()
    }

    /// The same for what is equal, with all that is in it.
    pub(super) fn digest(&self, node: usize) -> u64 {
        self.nodes[node].digest
    }

    /// The node behind all that is in this one.
    pub(super) fn behind(&self, node: usize) -> usize {
        self.nodes[node].end as usize
    }

    /// What is in a node, but for white space.
    pub(super) fn children(&self, node: usize) -> impl Iterator<Item = usize> {
        let (mut next, end) = (node + 1, self.behind(node));
        let all = std::iter::from_fn(move || {
            let child = (next < end).then_some(next)?;
            next = self.behind(child);
            Some(child)
        });
        all.filter(|child| !self.is_blank(*child))
    }

    fn is_blank(&self, node: usize) -> bool {
        self.nodes[node].kind == Kind::Text && self.text(node).is_empty()
    }

    /// The text before a node, wherever it is.
    pub(super) fn text_before(&self, node: usize) -> Option<&[u8]> {
        let is_text = |at: &usize| self.nodes[*at].kind == Kind::Text && !self.is_blank(*at);
        (0..node).rev().find(is_text).map(|at| self.text(at))
    }

    /// Names and values, by name.
    pub(super) fn attributes(&self, node: usize) -> impl Iterator<Item = (&[u8], &[u8])> {
        let (start, end) = self.nodes[node].attributes;
        let all = &self.attributes[start as usize..end as usize];
        all.iter().map(|it| (self.slice(it.name), self.slice(it.value)))
    }

    fn slice(&self, (start, end): Span) -> &[u8] {
        &self.bytes[start as usize..end as usize]
    }
}

/// How ends are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    /// Every element has one.
    Xml,
    /// Some elements never have one, some have none where the next one of their name begins.
    Html,
}

/// Elements that nothing is in (HTML, section 13.1.2).
const VOID: [&[u8]; 14] = [
    b"area", b"base", b"br", b"col", b"embed", b"hr", b"img", b"input", b"link", b"meta", b"param",
    b"source", b"track", b"wbr",
];
/// Elements that end where the next one of their name begins (section 13.1.2.4).
const ENDED_BY_NEXT: [&[u8]; 8] = [b"li", b"p", b"td", b"th", b"tr", b"option", b"dt", b"dd"];

/// Makes a tree of what a parser says.
pub(super) struct Builder<'g> {
    tree: Tree,
    rules: Rules,
    /// The elements that are open, the root first.
    open: Vec<u32>,
    /// How many of a name are.
    names: HashMap<u64, u32>,
    /// How many of a name are in an element.
    siblings: HashMap<(u32, u64), u32>,
    /// Whether more text belongs to the last node.
    joins: bool,
    is_full: bool,
    grant: Grant<'g>,
}

impl<'g> Builder<'g> {
    /// For a body of this length.
    pub(super) fn new(length: usize, rules: Rules, grant: Grant<'g>) -> Result<Self, Unread> {
        if length > LENGTH_MAX || !grant(COPIES * length) {
            return Err(Unread);
        }
        let tree = Tree { bytes: Vec::new(), nodes: Vec::new(), attributes: Vec::new() };
        let (names, siblings) = (HashMap::new(), HashMap::new());
        let (open, joins, is_full) = (Vec::new(), false, false);
        let mut builder = Self { tree, rules, open, names, siblings, joins, is_full, grant };
        builder.push(Kind::Root, b"");
        if builder.is_full {
            return Err(Unread);
        }
        builder.enter();
        if builder.is_full { Err(Unread) } else { Ok(builder) }
    }

    /// Whether it takes no more.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// An element begins.
    pub(super) fn begin(&mut self, name: &[u8]) {
        let top = self.open.last().map_or(0, |top| *top as usize);
        if self.rules == Rules::Html && self.tree.text(top) == name && ENDED_BY_NEXT.contains(&name)
        {
            self.end(name);
        }
        self.push(Kind::Element, name);
    }

    /// An attribute of the element that begins.
    pub(super) fn attribute(&mut self, name: &[u8], value: &[u8]) {
        let has_room = make_room(&mut self.tree.attributes, &mut self.grant).is_ok();
        if !has_room || self.tree.attributes.len() == ATTRIBUTES_MAX {
            self.is_full = true;
            return;
        }
        let (name, value) = (self.copied(name), self.copied(value));
        self.tree.attributes.push(Attribute { name, value });
    }

    /// The element has begun; whatever comes is in it, unless it ends at once.
    pub(super) fn begun(&mut self, ends: bool) {
        let end = to_u32(self.tree.attributes.len());
        let Some(node) = self.tree.nodes.last_mut() else { return };
        node.attributes.1 = end;
        let (start, span) = (node.attributes.0 as usize, node.span);
        let bytes = &self.tree.bytes;
        let name = |it: &Attribute| &bytes[it.name.0 as usize..it.name.1 as usize];
        self.tree.attributes[start..].sort_by(|a, b| name(a).cmp(name(b)));
        let is_void = self.rules == Rules::Html && VOID.contains(&self.tree.slice(span));
        let ends = is_void || ends && self.rules == Rules::Xml;
        if !ends && !self.is_full {
            self.enter();
        }
    }

    /// All that is in the last element of this name is behind; nothing ends where there is none.
    pub(super) fn end(&mut self, name: &[u8]) {
        self.joins = false;
        if self.names.get(&xxh3_64(name)).is_none_or(|count| *count == 0) {
            return;
        }
        while self.open.len() > 1 {
            let is_it = self.open.last().is_some_and(|top| self.tree.text(*top as usize) == name);
            self.leave();
            if is_it {
                return;
            }
        }
    }

    /// Text, which may come in pieces.
    pub(super) fn text(&mut self, text: &[u8]) {
        if self.joins {
            let end = self.copied(text).1;
            if let Some(node) = self.tree.nodes.last_mut() {
                node.span.1 = end;
            }
            return;
        }
        self.push(Kind::Text, text);
        self.joins = true;
    }

    /// What is no element and no text.
    pub(super) fn other(&mut self, kind: Kind, text: &[u8]) {
        self.push(kind, text);
    }

    /// Everything is read.
    pub(super) fn finish(mut self) -> Result<Tree, Unread> {
        while !self.open.is_empty() {
            self.leave();
        }
        if self.is_full {
            return Err(Unread);
        }
        for node in &mut self.tree.nodes {
            let (start, end) = (node.span.0 as usize, node.span.1 as usize);
            let key = (node.parent, key_of(node.kind, &self.tree.bytes[start..end]));
            node.is_many = self.siblings.get(&key).is_some_and(|count| *count > 1);
        }
        self.tree.sum_up();
        Ok(self.tree)
    }

    fn push(&mut self, kind: Kind, text: &[u8]) {
        self.joins = false;
        let has_room = make_room(&mut self.tree.nodes, &mut self.grant).is_ok();
        if self.is_full || !has_room || self.tree.nodes.len() == NODES_MAX || !(self.grant)(ENTRY) {
            self.is_full = true;
            return;
        }
        let (at, span) = (to_u32(self.tree.nodes.len()), self.copied(text));
        let parent = self.open.last().copied().unwrap_or_default();
        let nth = self.siblings.entry((parent, key_of(kind, text))).or_default();
        *nth += 1;
        let (nth, first) = (*nth, to_u32(self.tree.attributes.len()));
        let (end, attributes) = (at + 1, (first, first));
        self.tree.nodes.push(Node {
            kind,
            span,
            parent,
            end,
            attributes,
            nth,
            is_many: false,
            digest: 0,
        });
    }

    fn enter(&mut self) {
        if make_room(&mut self.open, &mut self.grant).is_err() {
            self.is_full = true;
            return;
        }
        let last = self.tree.nodes.len().saturating_sub(1);
        *self.names.entry(xxh3_64(self.tree.text(last))).or_default() += 1;
        self.open.push(to_u32(last));
    }

    fn leave(&mut self) {
        let Some(top) = self.open.pop() else { return };
        self.tree.nodes[top as usize].end = to_u32(self.tree.nodes.len());
        if let Some(count) = self.names.get_mut(&xxh3_64(self.tree.text(top as usize))) {
            *count -= 1;
        }
    }

    /// Granted for the whole body at once.
    fn copied(&mut self, text: &[u8]) -> Span {
        let start = self.tree.bytes.len();
        if start + text.len() > COPIES * LENGTH_MAX {
            self.is_full = true;
            return (to_u32(start), to_u32(start));
        }
        self.tree.bytes.extend_from_slice(text);
        (to_u32(start), to_u32(self.tree.bytes.len()))
    }
}

impl Tree {
    /// Finds all digests, the last nodes first: what is in a node is behind it.
    fn sum_up(&mut self) {
        for node in (0..self.nodes.len()).rev() {
            if self.is_blank(node) {
                continue;
            }
            let mut hasher = Xxh3::new();
            hasher.update(&[self.nodes[node].kind as u8]);
            hasher.update(self.text(node));
            for (name, value) in self.attributes(node) {
                for text in [name, value] {
                    hasher.update(&text.len().to_le_bytes());
                    hasher.update(text);
                }
            }
            // What was added by the nodes within.
            hasher.update(&self.nodes[node].digest.to_le_bytes());
            let digest = hasher.digest();
            self.nodes[node].digest = digest;
            let parent = self.nodes[node].parent as usize;
            if node > 0 {
                let sum = &mut self.nodes[parent].digest;
                *sum = sum.rotate_left(5).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ digest;
            }
        }
    }
}

/// What tells apart siblings that are numbered together.
fn key_of(kind: Kind, text: &[u8]) -> u64 {
    if kind == Kind::Element { xxh3_64(text) } else { kind as u64 }
}

fn to_u32(at: usize) -> u32 {
    u32::try_from(at).expect("a body that is read is no longer than that")
}
