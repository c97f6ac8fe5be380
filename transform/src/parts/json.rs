//! Values of a JSON document (RFC 8259), selected by paths and changed in place. Whatever else is in the
//! document, spaces and spellings of numbers included, stays as it was sent.

use std::borrow::Cow;
use std::fmt::Write;

use compare::Obstacle;
use compare::json::{self, Kind, Tape};
use compare::path::{Path, Taken};

use super::Fault;

mod selectors;

use selectors::Selectors;

/// What precedes the text in some files (U+FEFF), and is no part of the document.
pub const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Which values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Select {
    /// Those that a path leads to.
    Path(Path),
    /// Those of members with this name, anywhere, without regard to the case of ASCII letters.
    Key(String),
    /// Those of members whose name says that they are secret, in any spelling.
    Secret,
    /// Every string and number, and every key.
    Text,
}

/// A value that was selected.
#[derive(Clone, Copy, Debug)]
pub struct Found<'t, 'd> {
    tape: &'t Tape<'d>,
    node: usize,
}

impl<'d> Found<'_, 'd> {
    /// What it is; a key where [`Select::Text`] selected one.
    pub fn kind(&self) -> Kind {
        self.tape.kind(self.node)
    }

    /// What a string or a key stands for, or the digits of a number; `None` for all others, and for text that
    /// is none, such as half a surrogate pair.
    pub fn text(&self) -> Option<Cow<'d, str>> {
        let bytes = match self.kind() {
            Kind::String | Kind::Key => self.tape.text(self.node).unescaped(),
            Kind::Number => Cow::Borrowed(self.tape.raw(self.node)),
            _ => return None,
        };
        match bytes {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
        }
    }

    /// Whether an object has a member of this name, which is matched exactly.
    pub fn has(&self, name: &str) -> bool {
        self.kind() == Kind::Object
            && self.tape.children(self.node).any(|key| self.tape.text(key).bytes().eq(name.bytes()))
    }
}

/// What becomes of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Nothing.
    Keep,
    /// It is taken out, with its name; a document that is taken out is `null` from then on, and so is a key's value
    /// where a key is.
    Remove,
    /// This JSON text stands in its place; a string for a key.
    Replace(String),
    /// Its member has this name from then on; nothing for what is no member.
    Rename(String),
    /// It is asked for each scalar in it; a scalar itself is kept.
    Each,
    /// Its object has this member besides, of this name and this JSON text; nothing for what is no object.
    Append(String, String),
}

/// A text as JSON.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c < ' ' => {
                write!(quoted, "\\u{:04x}", u32::from(c)).expect("a text takes everything");
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Changes the values that are selected. `edit` is told which of `select` selected a value; the first that does
/// not keep it decides. What is in a value that is removed or replaced is not looked at.
///
/// # Errors
/// It is no JSON, or there is no memory for it.
pub fn rewrite<'d>(
    text: &'d [u8],
    select: &[Select],
    grant: compare::Grant<'_>,
    edit: &mut dyn FnMut(usize, Found<'_, 'd>) -> Edit,
) -> Result<Cow<'d, [u8]>, Fault> {
    rewrite_marked(text, select, None, grant, edit)
}

/// The same, where [`Select::Text`] only selects what has one of the bytes in it that stand at these places, in order.
///
/// # Errors
/// As above.
pub fn rewrite_marked<'d>(
    text: &'d [u8],
    select: &[Select],
    marks: Option<&[usize]>,
    grant: compare::Grant<'_>,
    edit: &mut dyn FnMut(usize, Found<'_, 'd>) -> Edit,
) -> Result<Cow<'d, [u8]>, Fault> {
    let tape = match json::parse(text, &mut *grant) {
        Ok(Some(tape)) if !tape.has_words() => tape,
        Ok(_) => return Err(Fault::NotJson),
        Err(Obstacle::TooLarge) => return Err(Fault::TooLarge),
        Err(Obstacle::NoBudget) => return Err(Fault::NoBudget),
    };
    let out = Out { text, grant, bytes: Vec::new(), copied: 0, changed: false, refused: false };
    let mut walk = Walk {
        text,
        tape: &tape,
        select: Selectors::new(select),
        marks,
        edit,
        at: 0,
        node: 0,
        open: Vec::new(),
        taken: Vec::new(),
        out,
    };
    walk.run();
    walk.out.done()
}

/// Changes a document that may have U+FEFF in front of it, which stays.
///
/// # Errors
/// Those of the change.
pub fn behind_mark<'d>(
    text: &'d [u8],
    change: impl FnOnce(&'d [u8]) -> Result<Cow<'d, [u8]>, Fault>,
) -> Result<Cow<'d, [u8]>, Fault> {
    let Some(document) = text.strip_prefix(BYTE_ORDER_MARK) else { return change(text) };
    Ok(match change(document)? {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(changed) => Cow::Owned([BYTE_ORDER_MARK, &changed].concat()),
    })
}

/// What is written so far.
struct Out<'d, 'g> {
    text: &'d [u8],
    grant: compare::Grant<'g>,
    bytes: Vec<u8>,
    /// So much of the text is written, or left out.
    copied: usize,
    changed: bool,
    refused: bool,
}

impl<'d> Out<'d, '_> {
    fn done(mut self) -> Result<Cow<'d, [u8]>, Fault> {
        if !self.changed {
            return Ok(Cow::Borrowed(self.text));
        }
        self.copy(self.text.len());
        if self.refused { Err(Fault::NoBudget) } else { Ok(Cow::Owned(self.bytes)) }
    }

    /// Makes room for so many bytes besides those of the text.
    fn ask(&mut self, more: usize) {
        if !self.changed {
            self.changed = true;
            self.refused = !(self.grant)(self.text.len());
            if !self.refused {
                self.bytes.reserve_exact(self.text.len());
            }
        }
        self.refused = self.refused || !(self.grant)(more);
    }

    /// The text stays up to here.
    fn copy(&mut self, to: usize) {
        if !self.refused && self.copied < to {
            self.bytes.extend_from_slice(&self.text[self.copied..to]);
            self.copied = to;
        }
    }

    /// In place of this part of the text stands another.
    fn replace(&mut self, from: usize, to: usize, with: &str) {
        self.ask(with.len());
        self.copy(from);
        if !self.refused {
            self.bytes.extend_from_slice(with.as_bytes());
            self.copied = to;
        }
    }
}

/// A container that is not closed yet.
struct Open {
    /// The node behind all that is in it.
    end: usize,
    /// Children so far.
    count: usize,
    /// Where its last child ends that stays, or its bracket.
    kept: usize,
    /// Whether any child stays.
    has_kept: bool,
    /// How much was written up to there, where children behind it are removed.
    removed: Option<usize>,
    /// The members that are put in at its end.
    append: String,
    /// The selector that is told of each scalar in it.
    each: Option<usize>,
}

struct Walk<'w, 't, 'd, 'g> {
    text: &'d [u8],
    tape: &'t Tape<'d>,
    select: Selectors<'w>,
    /// Places that are not passed yet, where texts are selected by them.
    marks: Option<&'w [usize]>,
    edit: &'w mut dyn FnMut(usize, Found<'_, 'd>) -> Edit,
    /// In the text, behind the last token.
    at: usize,
    node: usize,
    open: Vec<Open>,
    /// For each open container what each path has taken.
    taken: Vec<Taken>,
    out: Out<'d, 'g>,
}

/// The name of a member.
struct Name {
    node: usize,
    /// With its quotes.
    from: usize,
    to: usize,
    /// What stands in its place, as JSON.
    with: Option<String>,
}

impl Walk<'_, '_, '_, '_> {
    fn run(&mut self) {
        while self.node < self.tape.len() && !self.out.refused {
            self.child();
            while self.open.last().is_some_and(|open| open.end == self.node) {
                self.close();
            }
        }
    }

    /// Takes the next value, with its name where it has one.
    fn child(&mut self) {
        self.skip();
        let from = self.at;
        let name = (self.tape.kind(self.node) == Kind::Key).then(|| self.name());
        let (value, value_from) = (self.node, self.at);
        let above =
            self.open.last().map(|open| ((self.open.len() - 1) * self.select.paths(), open.count));
        let key = name.as_ref().map(|name| self.tape.text(name.node));
        let kind = self.tape.kind(value);
        let is_text = matches!(kind, Kind::String | Kind::Number) && {
            let quotes = if kind == Kind::String { 2 } else { 0 };
            self.is_marked(value_from, value_from + self.tape.raw(value).len() + quotes)
        };
        let is_selected_below = self.select.pick(&mut self.taken, above, key.as_ref(), is_text);
        let is_entered = matches!(kind, Kind::Array | Kind::Object) && is_selected_below;
        let each = self.open.last().and_then(|open| open.each);
        // So it is with most values, and the rest takes longer.
        if self.select.picked.is_empty() && each.is_none() {
            self.stays_from(from);
            self.write_name(name, &Edit::Keep);
            return self.keep(value, is_entered);
        }
        self.changed(name, (from, value_from), is_entered, each);
    }

    /// A value stays, and is gone into or not.
    fn keep(&mut self, value: usize, is_entered: bool) {
        if is_entered {
            return self.go_in(value, String::new(), None);
        }
        self.forget();
        let end = self.pass(value);
        self.stays_to(end);
    }

    /// Asks what becomes of the value at hand, which begins at the second of these places, and its name at the first.
    fn changed(
        &mut self,
        name: Option<Name>,
        (from, value_from): (usize, usize),
        is_entered: bool,
        mut each: Option<usize>,
    ) {
        let (mut decided, mut append) = (Edit::Keep, String::new());
        for at in 0..self.select.picked.len() {
            if decided == Edit::Keep {
                let index = self.select.picked[at];
                decided = self.decide(index, &mut append);
                each = if decided == Edit::Each { Some(index) } else { each };
            }
        }
        let value = self.node;
        let is_container = matches!(self.tape.kind(value), Kind::Array | Kind::Object);
        if let (Some(index), Edit::Keep, false) = (each, &decided, is_container) {
            decided = self.decide(index, &mut append);
        }
        if decided == Edit::Remove && !self.open.is_empty() {
            return self.remove(from, value);
        }
        self.stays_from(from);
        self.write_name(name, &decided);
        let with = match decided {
            Edit::Replace(text) => Some(text),
            Edit::Remove => Some("null".to_owned()),
            _ => None,
        };
        if with.is_none() && is_container && (is_entered || !append.is_empty() || each.is_some()) {
            return self.go_in(value, append, each);
        }
        self.forget();
        let end = self.pass(value);
        if let Some(with) = with {
            self.out.replace(value_from, end, &with);
        }
        self.stays_to(end);
    }

    /// What the paths have taken is only kept for containers that are gone into.
    fn forget(&mut self) {
        self.taken.truncate(self.open.len() * self.select.paths());
    }

    /// Asks what becomes of the value at hand; members that are put in besides are gathered.
    fn decide(&mut self, index: usize, append: &mut String) -> Edit {
        match (self.edit)(index, Found { tape: self.tape, node: self.node }) {
            Edit::Append(name, text) => {
                if self.tape.kind(self.node) == Kind::Object {
                    let comma = if append.is_empty() { "" } else { "," };
                    append.push_str(&format!("{comma}{}:{text}", quoted(&name)));
                }
                Edit::Keep
            }
            edit => edit,
        }
    }

    /// Takes the name of a member, which may itself be selected.
    fn name(&mut self) -> Name {
        let (node, from) = (self.node, self.at);
        let to = from + self.tape.raw(node).len() + 2;
        let mut with = None;
        let texts = if self.is_marked(from, to) { self.select.texts().len() } else { 0 };
        for at in 0..texts {
            let index = self.select.texts()[at];
            if let Edit::Replace(text) = (self.edit)(index, Found { tape: self.tape, node }) {
                with = Some(text);
                break;
            }
        }
        self.node += 1;
        self.at = to;
        self.skip();
        Name { node, from, to, with }
    }

    /// Whether texts are selected that stand here.
    fn is_marked(&mut self, from: usize, to: usize) -> bool {
        let Some(marks) = &mut self.marks else { return true };
        while marks.first().is_some_and(|mark| *mark < from) {
            *marks = &marks[1..];
        }
        marks.first().is_some_and(|mark| *mark < to)
    }

    fn write_name(&mut self, name: Option<Name>, decided: &Edit) {
        let Some(Name { from, to, with, .. }) = name else { return };
        let renamed = match decided {
            Edit::Rename(to) => Some(quoted(to)),
            _ => None,
        };
        if let Some(with) = renamed.or(with) {
            self.out.replace(from, to, &with);
        }
    }

    /// Goes into a container.
    fn go_in(&mut self, value: usize, append: String, each: Option<usize>) {
        self.at += 1;
        self.open.push(Open {
            end: self.tape.behind(value),
            count: 0,
            kept: self.at,
            has_kept: false,
            removed: None,
            append,
            each,
        });
        self.node = value + 1;
    }

    /// Passes over a value with all that is in it; where it ends.
    #[inline]
    fn pass(&mut self, value: usize) -> usize {
        match self.tape.kind(value) {
            Kind::Null | Kind::True => self.at += 4,
            Kind::False => self.at += 5,
            Kind::Number | Kind::Word => self.at += self.tape.raw(value).len(),
            Kind::String | Kind::Key => self.at += self.tape.raw(value).len() + 2,
            Kind::Array | Kind::Object => self.pass_container(value),
        }
        self.node = self.tape.behind(value);
        self.at
    }

    /// Brackets are counted outside texts, of which the tape knows how long they are.
    fn pass_container(&mut self, value: usize) {
        let mut depth = 0_usize;
        let mut nodes = value + 1..self.tape.behind(value);
        loop {
            match self.text[self.at] {
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                b'"' => {
                    let is_text =
                        |node: &usize| matches!(self.tape.kind(*node), Kind::String | Kind::Key);
                    let node = nodes.find(is_text).expect("each quote begins a text of the tape");
                    self.at += self.tape.raw(node).len() + 1;
                }
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }

    /// Takes a child out.
    fn remove(&mut self, from: usize, value: usize) {
        self.forget();
        self.pass(value);
        self.out.ask(0);
        let open = self.open.last_mut().expect("only what is in a container is removed");
        open.count += 1;
        if open.removed.is_none() {
            self.out.copy(open.kept);
            open.removed = Some(self.out.bytes.len());
            self.out.copy(from);
        }
    }

    /// A child that stays begins here: what was removed before it goes with the comma behind it.
    fn stays_from(&mut self, from: usize) {
        let open = self.open.last_mut();
        if open.and_then(|open| open.removed.take()).is_some() && !self.out.refused {
            self.out.copied = from;
        }
    }

    /// It ends here.
    fn stays_to(&mut self, end: usize) {
        if let Some(open) = self.open.last_mut() {
            open.count += 1;
            open.kept = end;
            open.has_kept = true;
        }
    }

    /// Closes the container at hand.
    fn close(&mut self) {
        self.at += space(&self.text[self.at..]);
        let open = self.open.pop().expect("only an open one is closed");
        self.forget();
        if let Some(written) = open.removed
            && !self.out.refused
        {
            self.out.bytes.truncate(written);
            self.out.copied = self.at;
        }
        if !open.append.is_empty() {
            let comma = if open.has_kept { "," } else { "" };
            self.out.replace(self.at, self.at, &format!("{comma}{}", open.append));
        }
        self.at += 1;
        self.stays_to(self.at);
    }

    /// Passes over spaces, a comma and a colon.
    fn skip(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | b':') = self.text.get(self.at) {
            self.at += 1;
        }
    }
}

fn space(text: &[u8]) -> usize {
    let is_space = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    text.iter().take_while(is_space).count()
}

#[cfg(test)]
mod tests;
