//! Header blocks of HTTP/2 (RFC 7541), as far as the targets in them are looked for.
//!
//! A target that is replaced keeps its length, so that h2's table of fields has entries of the same sizes
//! and nobody has to keep another table. What was sent is told by a field more at the block's end, which
//! enters no table, for each request anew: a client may name a field by its place among those it sent
//! before.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use conversations::huffman;

use crate::headers::target;

/// Places of the static table; those behind it are fields the client sent before, the last one first.
const STATIC: usize = 61;
/// `:path` among them.
const PATHS: std::ops::RangeInclusive<usize> = 4..=5;
/// The name as it is, and in the Huffman code.
const PATH: &[u8] = b":path";
const PATH_CODED: &[u8] = &[0xb9, 0x58, 0xd3, 0x3f];
/// Bytes of h2's table, which hyper leaves as it is, and what each field counts beside its own.
const TABLE_MAX: usize = 4096;
const FIELD: usize = 32;
/// Bytes of a number at most, as h2 has it.
const NUMBER_MAX: usize = 5;

/// What tells of a path what the client sent, where hyper reads another.
type Told = Option<Arc<str>>;

/// Fields that the client may name by their places: all that entered the table, newest first, be they
/// still in it or not. Which are not, h2 knows: it refuses their places.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// `None` for one that is no `:path`.
    fields: VecDeque<Option<Told>>,
}

/// Not a header block, or none that h2 takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// What is read instead of a path, and what was sent.
struct Replaced<'a> {
    read: Vec<u8>,
    sent: Cow<'a, [u8]>,
}

/// A block that is being read.
struct Block<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The same block up to `copied`, where something is replaced.
    written: Vec<u8>,
    copied: usize,
    /// Where the request's path was replaced.
    path: Told,
}

impl Table {
    /// Whether h2's table may have a path that stands for another.
    pub(super) fn has_replaced(&self) -> bool {
        self.fields.iter().any(|field| matches!(field, Some(Some(_))))
    }

    /// What h2 is to read instead of this block; `None` for the same.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
        let mut block = Block { bytes, at: 0, written: Vec::new(), copied: 0, path: None };
        while let Some(first) = bytes.get(block.at) {
            match first {
                0x80.. => {
                    let place = block.number(7)?;
                    if let Some(Some(path)) = self.get(place) {
                        block.path.clone_from(path);
                    }
                }
                0x40.. => {
                    let field = self.literal(&mut block, 6)?;
                    self.push(field);
                }
                // The size of the table: what no longer fits is not named any more.
                0x20.. => _ = block.number(5)?,
                _ => _ = self.literal(&mut block, 4)?,
            }
        }
        Ok(block.finish())
    }

    fn push(&mut self, field: Option<Told>) {
        self.fields.truncate(TABLE_MAX / FIELD - 1);
        let is_replaced = matches!(field, Some(Some(_)));
        self.fields.push_front(field);
        if is_replaced {
            // Those behind the end of the table would be kept for nothing.
            let mut size = 0;
            let fits = self.fields.iter().take_while(|field| {
                let told = field.iter().flatten().map(|told| told.len() / 2).sum::<usize>();
                size += FIELD + told;
                size <= TABLE_MAX
            });
            let fits = fits.count();
            self.fields.truncate(fits);
        }
    }

    /// Bytes that tell what was sent.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.fields.iter().flatten().flatten().map(|told| told.len()).sum()
    }

    fn get(&self, place: usize) -> Option<&Option<Told>> {
        self.fields.get(place.checked_sub(STATIC + 1)?)
    }

    /// A field with a value of its own; what it is to the table.
    fn literal(&self, block: &mut Block<'_>, prefix: u32) -> Result<Option<Told>, Malformed> {
        let is_path = match block.number(prefix)? {
            0 => {
                let (name, is_coded) = block.string()?;
                name == if is_coded { PATH_CODED } else { PATH }
            }
            place => PATHS.contains(&place) || matches!(self.get(place), Some(Some(_))),
        };
        let start = block.at;
        let (value, is_coded) = block.string()?;
        if !is_path {
            return Ok(None);
        }
        let told = match replaced(value, is_coded)? {
            Some(Replaced { read, sent }) => {
                block.replace(start, &read);
                Some(target::told(&read, &sent).into())
            }
            None => None,
        };
        block.path.clone_from(&told);
        Ok(Some(told))
    }
}

fn replaced(value: &[u8], is_coded: bool) -> Result<Option<Replaced<'_>>, Malformed> {
    let sent = if is_coded {
        Cow::Owned(huffman::decode(value).ok_or(Malformed)?)
    } else {
        Cow::Borrowed(value)
    };
    // Other forms stay as strict as they are over HTTP/1.
    let read = sent.starts_with(b"/").then(|| target::substitute(&sent)).flatten();
    Ok(read.map(|read| Replaced { read, sent }))
}

impl<'a> Block<'a> {
    /// A number whose first byte has so many bits for it.
    fn number(&mut self, prefix: u32) -> Result<usize, Malformed> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let (first, more) = rest.split_first().ok_or(Malformed)?;
        let mask = (1_usize << prefix) - 1;
        let mut number = usize::from(*first) & mask;
        self.at += 1;
        if number < mask {
            return Ok(number);
        }
        for (byte, shift) in more.iter().take(NUMBER_MAX - 1).zip((0..).step_by(7)) {
            number += usize::from(byte & 0x7f) << shift;
            self.at += 1;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    /// A string as it came, and whether it is in the Huffman code.
    fn string(&mut self) -> Result<(&'a [u8], bool), Malformed> {
        let is_coded = self.bytes.get(self.at).is_some_and(|first| first & 0x80 != 0);
        let length = self.number(7)?;
        let string = self.bytes[self.at..].get(..length).ok_or(Malformed)?;
        self.at += length;
        Ok((string, is_coded))
    }

    /// Puts another string in the place of the one that began here and was just read.
    fn replace(&mut self, start: usize, value: &[u8]) {
        self.written.extend_from_slice(&self.bytes[self.copied..start]);
        put(value, &mut self.written);
        self.copied = self.at;
    }

    fn finish(mut self) -> Option<Vec<u8>> {
        // A path that was replaced and is not the last one is followed by another, which h2 refuses.
        if self.path.is_none() && self.copied == 0 {
            return None;
        }
        self.written.extend_from_slice(&self.bytes[self.copied..]);
        if let Some(told) = &self.path {
            // Enters no table, and its name is in none.
            self.written.push(0);
            put(target::field().as_bytes(), &mut self.written);
            put(told.as_bytes(), &mut self.written);
        }
        Some(self.written)
    }
}

/// A string as it is, its length before it.
pub(super) fn put(string: &[u8], into: &mut Vec<u8>) {
    const MASK: usize = 0x7f;
    into.push(string.len().min(MASK).to_le_bytes()[0]);
    if let Some(mut rest) = string.len().checked_sub(MASK) {
        while rest > 0x7f {
            into.push(0x80 | rest.to_le_bytes()[0]);
            rest >>= 7;
        }
        into.push(rest.to_le_bytes()[0]);
    }
    into.extend_from_slice(string);
}
