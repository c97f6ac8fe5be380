//! JSON (RFC 8259) as a flat tape over the body, and the words that serializers write for what is no
//! number.
//!
//! Own code instead of a general parser, for what a judge of foreign bodies needs and those do
//! not give together: no recursion at any depth, exact decimal numbers, every value of a
//! duplicate key, and no copy of the text.

use super::lex;
use super::text::Text;
use super::{Grant, Obstacle};

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true`.
    True,
    /// `false`.
    False,
    /// A number.
    Number,
    /// `NaN`, `Infinity` or `-Infinity`, which are none of RFC 8259's values and yet are sent.
    Word,
    /// A string that is a value.
    String,
    /// The name of a member.
    Key,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// A value or a key. Children follow their container; `next` is the index behind the last one.
#[derive(Clone, Copy, Debug)]
struct Node {
    kind: Kind,
    /// Of a string or a key: whether anything in it is escaped.
    escaped: bool,
    from: u32,
    to: u32,
    next: u32,
}

impl Node {
    #[inline]
    fn new(kind: Kind, from: usize, to: usize) -> Self {
        Self { kind, escaped: false, from: index_of(from), to: index_of(to), next: 0 }
    }
}

/// A parsed body.
#[derive(Debug)]
pub struct Tape<'a> {
    text: &'a [u8],
    nodes: Vec<Node>,
    /// Whether there is any [`Kind::Word`].
    words: bool,
}

/// Parses a whole body; `None` when it is not JSON, words aside. Offsets have 32 bits: a body of 4 GiB and
/// more is not taken for JSON.
///
/// # Errors
/// Memory was not granted.
pub fn parse<'a>(text: &'a [u8], grant: Grant<'_>) -> Result<Option<Tape<'a>>, Obstacle> {
    if u32::try_from(text.len()).is_err() || !lex::is_utf8(text) {
        return Ok(None);
    }
    let tape = Tape { text, nodes: Vec::new(), words: false };
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
        match self.peek() {
            Some(b'{') => self.container(Kind::Object, b'}'),
            Some(b'[') => self.container(Kind::Array, b']'),
            Some(b'"') => self.string(Kind::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'n') => self.literal(b"null", Kind::Null),
            Some(b't') => self.literal(b"true", Kind::True),
            Some(b'f') => self.literal(b"false", Kind::False),
            Some(b'N') => self.word(b"NaN"),
            Some(b'I') => self.word(b"Infinity"),
            _ => Err(Stop::NotJson),
        }
    }

    fn container(&mut self, kind: Kind, close: u8) -> Result<bool, Stop> {
        let from = self.at;
        self.at += 1;
        self.push(Node::new(kind, from, from))?;
        self.skip_space();
        if self.peek() == Some(close) {
            self.at += 1;
            self.end(self.tape.nodes.len() - 1);
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
            self.end(container as usize);
        }
        Ok(false)
    }

    /// A container ends here.
    fn end(&mut self, container: usize) {
        self.tape.nodes[container].to = index_of(self.at);
    }

    fn key(&mut self) -> Result<(), Stop> {
        if self.peek() != Some(b'"') {
            return Err(Stop::NotJson);
        }
        self.string(Kind::Key)?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(Stop::NotJson);
        }
        self.at += 1;
        Ok(())
    }

    /// Takes a string, which is a key or a value.
    fn string(&mut self, kind: Kind) -> Result<bool, Stop> {
        let from = self.at;
        let lex::Quoted { end, escaped } =
            lex::string(self.tape.text, from).ok_or(Stop::NotJson)?;
        self.at = end;
        self.push(Node { escaped, ..Node::new(kind, from + 1, end - 1) })
    }

    fn number(&mut self) -> Result<bool, Stop> {
        let from = self.at;
        let Some(end) = lex::number(self.tape.text, from) else { return self.word(b"-Infinity") };
        self.at = end;
        self.push(Node::new(Kind::Number, from, self.at))
    }

    /// What is no JSON in the strict sense.
    #[cold]
    fn word(&mut self, word: &[u8]) -> Result<bool, Stop> {
        let from = self.at;
        self.at = lex::literal(self.tape.text, from, word).ok_or(Stop::NotJson)?;
        self.tape.words = true;
        self.push(Node::new(Kind::Word, from, self.at))
    }

    fn literal(&mut self, word: &[u8], kind: Kind) -> Result<bool, Stop> {
        self.at = lex::literal(self.tape.text, self.at, word).ok_or(Stop::NotJson)?;
        self.push(Node::new(kind, 0, 0))
    }

    /// Adds a node; false, since a scalar has no first element.
    #[inline]
    fn push(&mut self, node: Node) -> Result<bool, Stop> {
        make_room(&mut self.tape.nodes, &mut self.grant)?;
        let next = index_of(self.tape.nodes.len() + 1);
        self.tape.nodes.push(Node { next, ..node });
        Ok(false)
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.tape.text.get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        self.at = lex::space(self.tape.text, self.at);
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
    /// How many nodes there are; at least one.
    #[expect(clippy::len_without_is_empty, reason = "there is always the document")]
    #[inline]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it has words for what is no number, and so is no JSON in the strict sense.
    pub fn has_words(&self) -> bool {
        self.words
    }

    /// The text that it is of.
    pub(super) fn whole(&self) -> &'a [u8] {
        self.text
    }

    /// Where the text of a number, or of a string or key between its quotes, is.
    pub(super) fn span(&self, node: usize) -> (usize, usize) {
        let node = self.nodes[node];
        (node.from as usize, node.to as usize)
    }

    /// What a node is; node 0 is the document.
    #[inline]
    pub fn kind(&self, node: usize) -> Kind {
        self.nodes[node].kind
    }

    /// The text of a number or container, or of a string or key between its quotes.
    #[inline]
    pub fn raw(&self, node: usize) -> &'a [u8] {
        let node = self.nodes[node];
        &self.text[node.from as usize..node.to as usize]
    }

    /// What a string or key stands for.
    #[inline]
    pub fn text(&self, node: usize) -> Text<'a> {
        Text::new(self.raw(node), self.nodes[node].escaped)
    }

    /// The node behind a value and all that is in it.
    #[inline]
    pub fn behind(&self, value: usize) -> usize {
        self.nodes[value].next as usize
    }

    /// Key nodes of an object, or elements of an array. The value of a key is the node behind it.
    pub fn children(&self, container: usize) -> impl Iterator<Item = usize> {
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
