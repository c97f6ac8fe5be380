//! JSON documents that scripts read and change. A document is a text and where its values are in it; what is
//! changed stands beside, and everything else is written as it was sent, spelling of numbers included.
//!
//! Nothing here recurses: documents may be nested as deeply as there is memory for.

use std::collections::BTreeMap;

use bytes::Bytes;
use compare::Obstacle;
use compare::json::{Kind, parse};
use compare::text::Text;

use super::meter::{Meter, Refusal};
use crate::parts::json::quoted;

mod change;
mod write;

/// A value: which document, and which of its nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    doc: u32,
    node: u32,
}

/// All documents of one run.
#[derive(Debug, Default)]
pub(super) struct Docs(Vec<Doc>);

#[derive(Debug)]
struct Doc {
    text: Bytes,
    nodes: Vec<Node>,
    changes: BTreeMap<u32, Change>,
}

/// A value or a key. What is in a container follows it; `next` is the node behind.
#[derive(Clone, Copy, Debug)]
struct Node {
    kind: Kind,
    escaped: bool,
    /// Where it is in the text, with its quotes or brackets.
    from: u32,
    to: u32,
    next: u32,
}

/// What stands in place of a node.
#[derive(Debug)]
enum Change {
    /// This document.
    Value(u32),
    /// For a key, this name.
    Key(String),
    /// A container of these.
    Members(Vec<Member>),
}

#[derive(Clone, Debug)]
struct Member {
    key: Key,
    value: Place,
}

#[derive(Clone, Debug)]
enum Key {
    /// An element has none.
    None,
    /// The node of the container's document.
    Same(u32),
    New(String),
}

/// What a scalar says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    /// The text of a number.
    Number(String),
    Text(String),
}

const SIZE: &str = "a document of 4 GiB";

impl Docs {
    /// Takes in a document; `None` where the text is no JSON.
    pub(super) fn add(&mut self, text: Bytes, meter: &mut Meter) -> Result<Option<Place>, Refusal> {
        let doc = u32::try_from(self.0.len()).map_err(|_| Refusal::Memory)?;
        meter.take(size_of::<Doc>())?;
        let Some(nodes) = nodes(&text, meter)? else { return Ok(None) };
        self.0.push(Doc { text, nodes, changes: BTreeMap::new() });
        Ok(Some(Place { doc, node: 0 }))
    }

    /// A document that is known to be JSON.
    pub(super) fn made(&mut self, text: String, meter: &mut Meter) -> Result<Place, Refusal> {
        meter.take(text.len())?;
        let added = self.add(Bytes::from(text), meter)?;
        added.ok_or(Refusal::Misuse("a value that JSON has not"))
    }

    /// Whether anything of a document is not as it was.
    pub(super) fn is_changed(&self, root: Place) -> bool {
        !self.0[root.doc as usize].changes.is_empty()
    }

    fn doc(&self, place: Place) -> &Doc {
        &self.0[place.doc as usize]
    }

    fn node(&self, place: Place) -> Node {
        self.doc(place).nodes[place.node as usize]
    }

    fn change(&self, place: Place) -> Option<&Change> {
        self.doc(place).changes.get(&place.node)
    }

    fn put(&mut self, place: Place, change: Change, meter: &mut Meter) -> Result<(), Refusal> {
        meter.take(2 * size_of::<(u32, Change)>())?;
        self.0[place.doc as usize].changes.insert(place.node, change);
        Ok(())
    }

    /// What stands at a place now.
    pub(super) fn now(&self, mut place: Place) -> Place {
        while let Some(Change::Value(doc)) = self.change(place) {
            place = Place { doc: *doc, node: 0 };
        }
        place
    }

    pub(super) fn kind(&self, place: Place) -> Kind {
        self.node(self.now(place)).kind
    }

    /// What a scalar says; `None` for containers. Text that is no Unicode, half a surrogate pair, is refused.
    pub(super) fn scalar(
        &self,
        place: Place,
        meter: &mut Meter,
    ) -> Result<Option<Scalar>, Refusal> {
        let place = self.now(place);
        let node = self.node(place);
        let raw = &self.doc(place).text[node.from as usize..node.to as usize];
        Ok(Some(match node.kind {
            Kind::Null => Scalar::Null,
            Kind::True => Scalar::Bool(true),
            Kind::False => Scalar::Bool(false),
            Kind::String => {
                meter.text(raw.len())?;
                let text = Text::new(&raw[1..raw.len() - 1], node.escaped).unescaped();
                let text = String::from_utf8(text.into_owned());
                Scalar::Text(text.map_err(|_| Refusal::Misuse("a string that is no Unicode"))?)
            }
            Kind::Number => {
                meter.text(raw.len())?;
                Scalar::Number(String::from_utf8_lossy(raw).into_owned())
            }
            Kind::Array | Kind::Object | Kind::Key | Kind::Word => return Ok(None),
        }))
    }

    /// The members or elements of a container, in their order; those of a scalar are none.
    fn members(&self, place: Place) -> impl Iterator<Item = (Option<u32>, Option<&Member>, Place)> {
        let place = self.now(place);
        let list = match self.change(place) {
            Some(Change::Members(list)) => Some(list),
            _ => None,
        };
        let Node { kind, next, .. } = self.node(place);
        let is_container = list.is_none() && matches!(kind, Kind::Array | Kind::Object);
        let mut at = place.node + 1;
        let doc = self.doc(place);
        let sent = std::iter::from_fn(move || {
            if !is_container || at >= next {
                return None;
            }
            let key = (doc.nodes[at as usize].kind == Kind::Key).then_some(at);
            let node = at + u32::from(key.is_some());
            at = doc.nodes[node as usize].next;
            Some((key, None, Place { doc: place.doc, node }))
        });
        let listed = list.into_iter().flatten().map(|member| {
            let key = if let Key::Same(node) = member.key { Some(node) } else { None };
            (key, Some(member), member.value)
        });
        sent.chain(listed)
    }

    /// The places of all members or elements.
    pub(super) fn values(&self, place: Place, meter: &mut Meter) -> Result<Vec<Place>, Refusal> {
        let count = self.members(place).count();
        meter.take(count * size_of::<Place>())?;
        Ok(self.members(place).map(|(_, _, value)| value).collect())
    }

    pub(super) fn count(&self, place: Place) -> usize {
        self.members(place).count()
    }

    /// The names of all members.
    pub(super) fn keys(&self, place: Place, meter: &mut Meter) -> Result<Vec<String>, Refusal> {
        let mut keys = Vec::new();
        let at = self.now(place);
        for (node, member, _) in self.members(place) {
            let name = match (member.map(|member| &member.key), node) {
                (Some(Key::New(name)), _) => name.clone(),
                (_, Some(node)) => self.name(at.doc, node)?,
                _ => continue,
            };
            meter.text(name.len() + size_of::<String>())?;
            keys.push(name);
        }
        Ok(keys)
    }

    fn name(&self, doc: u32, key: u32) -> Result<String, Refusal> {
        let place = Place { doc, node: key };
        if let Some(Change::Key(name)) = self.change(place) {
            return Ok(name.clone());
        }
        let text = self.sent_name(doc, key).unescaped().into_owned();
        String::from_utf8(text).map_err(|_| Refusal::Misuse("a name that is no Unicode"))
    }

    fn sent_name(&self, doc: u32, key: u32) -> Text<'_> {
        let doc = &self.0[doc as usize];
        let node = doc.nodes[key as usize];
        Text::new(&doc.text[node.from as usize + 1..node.to as usize - 1], node.escaped)
    }

    fn is_named(
        &self,
        doc: u32,
        (key, member): (Option<u32>, Option<&Member>),
        name: &str,
    ) -> bool {
        if let Some(Member { key: Key::New(own), .. }) = member {
            return own == name;
        }
        key.is_some_and(|key| match self.change(Place { doc, node: key }) {
            Some(Change::Key(own)) => own == name,
            _ => self.sent_name(doc, key).bytes().eq(name.bytes()),
        })
    }

    /// The value of a member; the last one where several have the name.
    pub(super) fn member(&self, place: Place, name: &str) -> Option<Place> {
        let doc = self.now(place).doc;
        let found =
            self.members(place).filter(|(key, it, _)| self.is_named(doc, (*key, *it), name));
        found.last().map(|(_, _, value)| value)
    }

    /// An element; negative counts from the end.
    pub(super) fn element(&self, place: Place, index: i64) -> Option<Place> {
        let index = match usize::try_from(index) {
            Ok(index) => index,
            Err(_) => self.count(place).checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?,
        };
        self.members(place).nth(index).map(|(_, _, value)| value)
    }
}

/// The nodes of a text; `None` where it is no JSON.
fn nodes(text: &Bytes, meter: &mut Meter) -> Result<Option<Vec<Node>>, Refusal> {
    let mut refused = None;
    let mut grant = |bytes| meter.take(bytes).map_err(|refusal| refused = Some(refusal)).is_ok();
    let tape = match parse(text, &mut grant) {
        Ok(Some(tape)) if !tape.has_words() => tape,
        Ok(_) => return Ok(None),
        Err(Obstacle::TooLarge | Obstacle::NoBudget) => {
            return Err(refused.unwrap_or(Refusal::Misuse(SIZE)));
        }
    };
    meter.take(tape.len() * size_of::<Node>())?;
    let mut nodes: Vec<Node> = Vec::with_capacity(tape.len());
    let mut open: Vec<(u32, usize)> = Vec::new();
    let index = |at: usize| u32::try_from(at).map_err(|_| Refusal::Misuse(SIZE));
    let mut at = 0;
    for node in 0..tape.len() {
        at = close(text, at, &mut nodes, &mut open, node);
        let kind = tape.kind(node);
        let length = match kind {
            Kind::Null | Kind::True => 4,
            Kind::False => 5,
            Kind::Number | Kind::Word => tape.raw(node).len(),
            Kind::String | Kind::Key => tape.raw(node).len() + 2,
            Kind::Array | Kind::Object => 1,
        };
        let is_text = matches!(kind, Kind::String | Kind::Key);
        let escaped = is_text && tape.text(node).as_plain().is_none();
        let (from, next) = (index(at)?, index(tape.behind(node))?);
        at += length;
        nodes.push(Node { kind, escaped, from, to: index(at)?, next });
        if matches!(kind, Kind::Array | Kind::Object) {
            if open.len() == open.capacity() {
                meter.take(open.len().max(4) * size_of::<(u32, usize)>())?;
            }
            open.push((index(node)?, tape.behind(node)));
        }
    }
    close(text, at, &mut nodes, &mut open, tape.len());
    Ok(Some(nodes))
}

/// Passes over what is between tokens, and over the brackets of those containers that end before a node.
fn close(
    text: &[u8],
    mut at: usize,
    nodes: &mut [Node],
    open: &mut Vec<(u32, usize)>,
    node: usize,
) -> usize {
    loop {
        while let Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | b':') = text.get(at) {
            at += 1;
        }
        match open.pop_if(|(_, end)| *end == node) {
            Some((container, _)) => {
                at += 1;
                nodes[container as usize].to = u32::try_from(at).unwrap_or(u32::MAX);
            }
            None => return at,
        }
    }
}
