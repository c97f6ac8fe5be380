//! JSON (RFC 8259) as a flat tape over the body.
//!
//! Own code instead of a general parser, for what a judge of foreign bodies needs and those do
//! not give together: no recursion at any depth, exact decimal numbers, every value of a
//! duplicate key, and no copy of the text.

use super::{Grant, Obstacle};

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    True,
    False,
    Number,
    String,
    Key,
    Array,
    Object,
}

/// A value or a key. Children follow their container; `next` is the index behind the last one.
#[derive(Clone, Copy, Debug)]
struct Node {
    kind: Kind,
    from: u32,
    to: u32,
    next: u32,
}

/// A parsed body.
#[derive(Debug)]
pub(super) struct Tape<'a> {
    text: &'a [u8],
    nodes: Vec<Node>,
}

/// Parses a whole body; `None` when it is not JSON. Offsets have 32 bits: a body of 4 GiB and
/// more is not taken for JSON.
pub(super) fn parse<'a>(text: &'a [u8], grant: Grant<'_>) -> Result<Option<Tape<'a>>, Obstacle> {
    if u32::try_from(text.len()).is_err() || std::str::from_utf8(text).is_err() {
        return Ok(None);
    }
    let tape = Tape { text, nodes: Vec::new() };
    let mut parser = Parser { tape, at: 0, open: Vec::new(), grant };
    match parser.document() {
        Ok(()) => Ok(Some(parser.tape)),
        Err(Stop::NotJson) => Ok(None),
        Err(Stop::Obstacle(obstacle)) => Err(obstacle),
    }
}

enum Stop {
    NotJson,
    Obstacle(Obstacle),
}

impl From<Obstacle> for Stop {
    fn from(obstacle: Obstacle) -> Self {
        Self::Obstacle(obstacle)
    }
}

struct Parser<'a, 'g> {
    tape: Tape<'a>,
    at: usize,
    /// Indices of the containers that are not closed yet.
    open: Vec<u32>,
    grant: Grant<'g>,
}

impl Parser<'_, '_> {
    fn document(&mut self) -> Result<(), Stop> {
        loop {
            // Here a value is due; an opened container asks for its first element or closes.
            if self.value()? {
                continue;
            }
            if !self.after_value()? {
                self.skip_space();
                return if self.at == self.tape.text.len() { Ok(()) } else { Err(Stop::NotJson) };
            }
        }
    }

    /// Takes a value; true when it opened a container that has a first element.
    fn value(&mut self) -> Result<bool, Stop> {
        self.skip_space();
        let from = self.at;
        match self.peek() {
            Some(b'{') => self.container(Kind::Object, b'}'),
            Some(b'[') => self.container(Kind::Array, b']'),
            Some(b'"') => {
                self.string()?;
                self.push(Kind::String, from + 1, self.at - 1)
            }
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                self.push(Kind::Number, from, self.at)
            }
            Some(b'n') => self.literal(b"null", Kind::Null),
            Some(b't') => self.literal(b"true", Kind::True),
            Some(b'f') => self.literal(b"false", Kind::False),
            _ => Err(Stop::NotJson),
        }
    }

    fn container(&mut self, kind: Kind, close: u8) -> Result<bool, Stop> {
        self.at += 1;
        self.push(kind, 0, 0)?;
        self.skip_space();
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(false);
        }
        let index = self.tape.nodes.len() - 1;
        make_room(&mut self.open, &mut self.grant)?;
        self.open.push(index_of(index));
        if kind == Kind::Object {
            self.key()?;
        }
        Ok(true)
    }

    /// Behind a value: closes containers; true when another value follows in one.
    fn after_value(&mut self) -> Result<bool, Stop> {
        while let Some(&container) = self.open.last() {
            let object = self.tape.nodes[container as usize].kind == Kind::Object;
            self.skip_space();
            let byte = self.peek().ok_or(Stop::NotJson)?;
            self.at += 1;
            match byte {
                b',' => {
                    if object {
                        self.skip_space();
                        self.key()?;
                    }
                    return Ok(true);
                }
                b'}' if object => {}
                b']' if !object => {}
                _ => return Err(Stop::NotJson),
            }
            self.open.pop();
            self.tape.nodes[container as usize].next = index_of(self.tape.nodes.len());
        }
        Ok(false)
    }

    fn key(&mut self) -> Result<(), Stop> {
        let from = self.at;
        if self.peek() != Some(b'"') {
            return Err(Stop::NotJson);
        }
        self.string()?;
        self.push(Kind::Key, from + 1, self.at - 1)?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(Stop::NotJson);
        }
        self.at += 1;
        Ok(())
    }

    /// Moves behind the closing quote.
    fn string(&mut self) -> Result<(), Stop> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(0x20..) => self.at += 1,
                _ => return Err(Stop::NotJson),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Stop> {
        let length = match self.tape.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => {
                let digits = self.tape.text.get(self.at + 2..self.at + 6).ok_or(Stop::NotJson)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(Stop::NotJson);
                }
                6
            }
            _ => return Err(Stop::NotJson),
        };
        self.at += length;
        Ok(())
    }

    fn number(&mut self) -> Result<(), Stop> {
        self.skip_if(b"-");
        if !self.skip_if(b"0") {
            self.digits()?;
        }
        if self.skip_if(b".") {
            self.digits()?;
        }
        if self.skip_if(b"eE") {
            self.skip_if(b"+-");
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Stop> {
        let from = self.at;
        while self.skip_if(b"0123456789") {}
        if self.at > from { Ok(()) } else { Err(Stop::NotJson) }
    }

    fn literal(&mut self, word: &[u8], kind: Kind) -> Result<bool, Stop> {
        if !self.tape.text[self.at..].starts_with(word) {
            return Err(Stop::NotJson);
        }
        self.at += word.len();
        self.push(kind, 0, 0)
    }

    /// Adds a node; false, since a scalar has no first element.
    fn push(&mut self, kind: Kind, from: usize, to: usize) -> Result<bool, Stop> {
        make_room(&mut self.tape.nodes, &mut self.grant)?;
        let next = index_of(self.tape.nodes.len() + 1);
        let (from, to) = (index_of(from), index_of(to));
        self.tape.nodes.push(Node { kind, from, to, next });
        Ok(false)
    }

    fn peek(&self) -> Option<u8> {
        self.tape.text.get(self.at).copied()
    }

    fn skip_if(&mut self, any: &[u8]) -> bool {
        let skip = self.peek().is_some_and(|byte| any.contains(&byte));
        self.at += usize::from(skip);
        skip
    }

    fn skip_space(&mut self) {
        while self.skip_if(b" \t\n\r") {}
    }
}

fn index_of(at: usize) -> u32 {
    u32::try_from(at).expect("the text has less than 4 GiB, and a node needs a byte of it")
}

/// Makes room for one more item, asking first.
pub(super) fn make_room<T>(list: &mut Vec<T>, grant: &mut Grant<'_>) -> Result<(), Obstacle> {
    if list.len() < list.capacity() {
        return Ok(());
    }
    let more = list.capacity().max(16);
    if !grant(more * size_of::<T>()) {
        return Err(Obstacle::NoBudget);
    }
    list.reserve_exact(more);
    Ok(())
}

impl<'a> Tape<'a> {
    /// What a node is; node 0 is the document.
    pub(super) fn kind(&self, node: usize) -> Kind {
        self.nodes[node].kind
    }

    /// The text of a number, or of a string or key between its quotes.
    pub(super) fn raw(&self, node: usize) -> &'a [u8] {
        let node = self.nodes[node];
        &self.text[node.from as usize..node.to as usize]
    }

    /// The node behind a value and all that is in it.
    pub(super) fn behind(&self, value: usize) -> usize {
        self.nodes[value].next as usize
    }

    /// Key nodes of an object, or elements of an array. The value of a key is the node behind it.
    pub(super) fn children(&self, container: usize) -> impl Iterator<Item = usize> {
        self.children_from(container + 1, container)
    }

    /// Those children that are not before node `at`.
    pub(super) fn children_from(
        &self,
        mut at: usize,
        container: usize,
    ) -> impl Iterator<Item = usize> {
        let end = self.behind(container);
        std::iter::from_fn(move || {
            let child = (at < end).then_some(at)?;
            let value = if self.kind(child) == Kind::Key { child + 1 } else { child };
            at = self.behind(value);
            Some(child)
        })
    }
}
