//! JSON (RFC 8259) as a flat tape over the body, and equality of two tapes.
//!
//! Own code instead of a general parser, for what a judge of foreign bodies needs and those do
//! not give together: no recursion at any depth, exact decimal numbers, every value of a
//! duplicate key, and no copy of the text.

use std::borrow::Cow;

use super::Obstacle;
use super::normalize::{Rules, Treatment};
use super::number;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
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
pub(super) fn parse<'a>(
    text: &'a [u8],
    grant: &mut dyn FnMut(usize) -> bool,
) -> Result<Option<Tape<'a>>, Obstacle> {
    if u32::try_from(text.len()).is_err() || std::str::from_utf8(text).is_err() {
        return Ok(None);
    }
    let tape = Tape { text, nodes: Vec::new() };
    let mut parser = Parser { tape, at: 0, open: Vec::new(), grant };
    match parser.document() {
        Ok(()) => Ok(Some(parser.tape)),
        Err(Stop::NotJson) => Ok(None),
        Err(Stop::NoBudget) => Err(Obstacle::NoBudget),
    }
}

enum Stop {
    NotJson,
    NoBudget,
}

struct Parser<'a, 'g> {
    tape: Tape<'a>,
    at: usize,
    /// Indices of the containers that are not closed yet.
    open: Vec<u32>,
    grant: &'g mut dyn FnMut(usize) -> bool,
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
        if self.open.len() == self.open.capacity() {
            self.pay(self.open.capacity().max(16) * size_of::<u32>())?;
        }
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
        let nodes = &self.tape.nodes;
        let next = index_of(nodes.len() + 1);
        if nodes.len() == nodes.capacity() {
            let more = nodes.capacity().max(16);
            self.pay(more * size_of::<Node>())?;
            self.tape.nodes.reserve_exact(more);
        }
        let (from, to) = (index_of(from), index_of(to));
        self.tape.nodes.push(Node { kind, from, to, next });
        Ok(false)
    }

    fn pay(&mut self, bytes: usize) -> Result<(), Stop> {
        if (self.grant)(bytes) { Ok(()) } else { Err(Stop::NoBudget) }
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

impl<'a> Tape<'a> {
    fn raw(&self, node: Node) -> &'a [u8] {
        &self.text[node.from as usize..node.to as usize]
    }

    /// Key nodes of an object, or elements of an array.
    fn children(&self, container: usize) -> impl Iterator<Item = usize> {
        let end = self.nodes[container].next as usize;
        let mut at = container + 1;
        std::iter::from_fn(move || {
            let child = (at < end).then_some(at)?;
            let value = if self.nodes[child].kind == Kind::Key { child + 1 } else { child };
            at = self.nodes[value].next as usize;
            Some(child)
        })
    }
}

/// Whether two documents are equal under these rules. The pairs still to compare are a list, not
/// a recursion.
pub(super) fn equal(ours: &Tape<'_>, theirs: &Tape<'_>, rules: &Rules) -> bool {
    let mut due = vec![(0, 0)];
    while let Some((a, b)) = due.pop() {
        let (left, right) = (ours.nodes[a], theirs.nodes[b]);
        if left.kind != right.kind {
            return false;
        }
        let same = match left.kind {
            Kind::Null | Kind::True | Kind::False => true,
            Kind::Number => number::equal(ours.raw(left), theirs.raw(right)),
            Kind::String | Kind::Key => same_text(ours.raw(left), theirs.raw(right)),
            Kind::Array => pair_elements(ours, a, theirs, b, &mut due),
            Kind::Object => {
                pair_in_step(ours, a, theirs, b, rules, &mut due)
                    || pair_members(ours, a, theirs, b, rules, &mut due)
            }
        };
        if !same {
            return false;
        }
    }
    true
}

type Due = Vec<(usize, usize)>;

fn pair_elements(ours: &Tape<'_>, a: usize, theirs: &Tape<'_>, b: usize, due: &mut Due) -> bool {
    let (mut left, mut right) = (ours.children(a), theirs.children(b));
    loop {
        match (left.next(), right.next()) {
            (Some(a), Some(b)) => due.push((a, b)),
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// The common case: both objects have the same keys in the same order and spelling.
fn pair_in_step(
    ours: &Tape<'_>,
    a: usize,
    theirs: &Tape<'_>,
    b: usize,
    rules: &Rules,
    due: &mut Due,
) -> bool {
    let before = due.len();
    let kept = |key: &Treatment| *key != Treatment::Ignored;
    let mut left = ours.children(a).map(|k| (k, treatment(ours, k, rules))).filter(|k| kept(&k.1));
    let mut right =
        theirs.children(b).map(|k| (k, treatment(theirs, k, rules))).filter(|k| kept(&k.1));
    loop {
        match (left.next(), right.next()) {
            (Some((a, how)), Some((b, _)))
                if ours.raw(ours.nodes[a]) == theirs.raw(theirs.nodes[b]) =>
            {
                if how == Treatment::Compared {
                    due.push((a + 1, b + 1));
                }
            }
            (None, None) => return true,
            _ => {
                due.truncate(before);
                return false;
            }
        }
    }
}

fn treatment(tape: &Tape<'_>, key: usize, rules: &Rules) -> Treatment {
    rules.treatment(&unescaped(tape.raw(tape.nodes[key])))
}

/// Any order of keys: both member lists sorted by key. The sort is stable, so that the values of
/// a duplicate key are paired in the order of the document.
fn pair_members(
    ours: &Tape<'_>,
    a: usize,
    theirs: &Tape<'_>,
    b: usize,
    rules: &Rules,
    due: &mut Due,
) -> bool {
    let (left, right) = (members(ours, a, rules), members(theirs, b, rules));
    if left.len() != right.len() {
        return false;
    }
    for (left, right) in left.iter().zip(&right) {
        if left.key != right.key {
            return false;
        }
        if !left.masked {
            due.push((left.value, right.value));
        }
    }
    true
}

struct Member<'a> {
    key: Cow<'a, [u8]>,
    masked: bool,
    value: usize,
}

fn members<'a>(tape: &Tape<'a>, object: usize, rules: &Rules) -> Vec<Member<'a>> {
    let mut members: Vec<_> = tape
        .children(object)
        .filter_map(|index| {
            let mut key = unescaped(tape.raw(tape.nodes[index]));
            let treatment = rules.treatment(&key);
            if treatment == Treatment::Masked {
                // Its name is matched without regard to case, on both sides.
                key = Cow::Owned(key.to_ascii_lowercase());
            }
            let masked = treatment == Treatment::Masked;
            (treatment != Treatment::Ignored).then_some(Member { key, masked, value: index + 1 })
        })
        .collect();
    members.sort_by(|a, b| a.key.cmp(&b.key));
    members
}

fn same_text(a: &[u8], b: &[u8]) -> bool {
    a == b || unescaped(a) == unescaped(b)
}

/// The text that a string stands for. A surrogate without its partner is no character; it is kept
/// as the three bytes that UTF-8 would have for it, so that it equals only itself.
fn unescaped(raw: &[u8]) -> Cow<'_, [u8]> {
    if !raw.contains(&b'\\') {
        return Cow::Borrowed(raw);
    }
    let mut text = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            text.push(*byte);
            continue;
        }
        let Some((escape, after)) = rest.split_first() else { break };
        rest = after;
        match escape {
            b'b' => text.push(8),
            b'f' => text.push(12),
            b'n' => text.push(b'\n'),
            b'r' => text.push(b'\r'),
            b't' => text.push(b'\t'),
            b'u' => rest = push_code_point(rest, &mut text),
            other => text.push(*other),
        }
    }
    Cow::Owned(text)
}

/// Takes the four digits of a `\u` escape, and its partner's where it is half a pair.
fn push_code_point<'a>(rest: &'a [u8], text: &mut Vec<u8>) -> &'a [u8] {
    let Some(first) = hex4(rest) else { return rest };
    let rest = &rest[4..];
    if (0xD800..0xDC00).contains(&first)
        && let Some(partner) = rest.strip_prefix(b"\\u")
        && let Some(second @ 0xDC00..0xE000) = hex4(partner)
    {
        push_utf8(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00), text);
        return &partner[4..];
    }
    push_utf8(first, text);
    rest
}

fn hex4(digits: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(digits.get(..4)?).ok()?;
    u32::from_str_radix(digits, 16).ok()
}

fn push_utf8(code: u32, text: &mut Vec<u8>) {
    if let Some(character) = char::from_u32(code) {
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        // A lone surrogate, U+D800 to U+DFFF: 16 bits in the pattern of three bytes.
        let low = |shift: u32, mask: u32| u8::try_from((code >> shift) & mask).unwrap_or(0);
        text.extend_from_slice(&[0xE0 | low(12, 0xF), 0x80 | low(6, 0x3F), 0x80 | low(0, 0x3F)]);
    }
}
