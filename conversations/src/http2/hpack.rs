//! HPACK (RFC 7541), for reading only, with bounds.
//!
//! Of the crates that do this none was found that is looked after and bounded at once, and h2 shows its own to
//! nobody. Every block has to be read, wanted or not, for later ones refer to it; only what a head may hold
//! is kept of it.

use bytes::Bytes;

use super::table::{self, Line, Table};
use crate::Limits;
use crate::huffman;

/// Integers of more are of no use here: they count bytes and lines of what is bounded.
const MOST: usize = 1 << 28;

/// Reads the blocks of one direction, in their order.
#[derive(Debug)]
pub(crate) struct Decoder {
    table: Table,
}

/// What a block says.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pub(crate) lines: Vec<Line>,
    /// By the count of RFC 9113 section 10.5.1.
    pub(crate) bytes: usize,
    /// There was more than a head may hold.
    pub(crate) too_large: bool,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self { table: Table::new() }
    }

    /// What its table holds.
    pub(crate) fn table_bytes(&self) -> usize {
        self.table.bytes()
    }

    /// The lines of a block; `None` if it is malformed, and no later one can be read.
    pub(crate) fn decode(&mut self, block: &[u8], limits: &Limits) -> Option<Lines> {
        let mut lines = Lines::default();
        let mut input = Input(block);
        let mut begun = false;
        while let Some(first) = input.0.first().copied() {
            match first {
                0x80.. => {
                    let index = input.integer(7)?;
                    lines.push(self.table.get(index)?, limits);
                }
                0x40..0x80 => {
                    let line = self.literal(&mut input, 6)?;
                    self.table.insert(line.clone());
                    lines.push(line, limits);
                }
                // Only in front of all lines.
                0x20..0x40 => {
                    let most = input.integer(5)?;
                    if begun || most > limits.table_bytes {
                        return None;
                    }
                    self.table.resize(most);
                    continue;
                }
                _ => {
                    let line = self.literal(&mut input, 4)?;
                    lines.push(line, limits);
                }
            }
            begun = true;
        }
        Some(lines)
    }

    fn literal(&self, input: &mut Input<'_>, prefix: u32) -> Option<Line> {
        let name = match input.integer(prefix)? {
            0 => input.string()?,
            index => self.table.get(index)?.0,
        };
        Some((name, input.string()?))
    }
}

impl Lines {
    fn push(&mut self, line: Line, limits: &Limits) {
        self.bytes = self.bytes.saturating_add(table::size(&line));
        self.too_large |= self.bytes > limits.head_bytes || self.lines.len() >= limits.headers;
        if self.too_large {
            self.lines = Vec::new();
        } else {
            self.lines.push(line);
        }
    }
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    /// RFC 7541 section 5.1, in the lower bits of the next byte and those behind it.
    fn integer(&mut self, prefix: u32) -> Option<usize> {
        let (first, mut rest) = self.0.split_first()?;
        let most = (1 << prefix) - 1;
        let mut value = usize::from(*first & most as u8);
        if value == most {
            let mut shift = 0;
            loop {
                let (byte, behind) = rest.split_first()?;
                rest = behind;
                value += usize::from(byte & 0x7f) << shift;
                shift += 7;
                if value > MOST || shift > 28 {
                    return None;
                }
                if byte & 0x80 == 0 {
                    break;
                }
            }
        }
        self.0 = rest;
        Some(value)
    }

    /// RFC 7541 section 5.2.
    fn string(&mut self) -> Option<Bytes> {
        let is_coded = self.0.first()? & 0x80 != 0;
        let length = self.integer(7)?;
        let (string, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        if is_coded {
            return huffman::decode(string).map(Bytes::from);
        }
        Some(Bytes::copy_from_slice(string))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(decoder: &mut Decoder, block: &[u8]) -> Option<Vec<(String, String)>> {
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let lines = decoder.decode(block, &Limits::default())?;
        Some(lines.lines.iter().map(|(name, value)| (text(name), text(value))).collect())
    }

    fn lines(lines: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        Some(lines.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
    }

    /// RFC 7541 appendix C.3.
    #[test]
    fn later_blocks_refer_to_earlier_ones() {
        let mut decoder = Decoder::new();
        let common = [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "www.example.com"),
        ];
        let first = [&[0x82, 0x86, 0x84, 0x41, 0x0f][..], b"www.example.com"].concat();
        assert_eq!(read(&mut decoder, &first), lines(&common));
        let second = [&[0x82, 0x86, 0x84, 0xbe, 0x58, 0x08][..], b"no-cache"].concat();
        let expected = [&common[..], &[("cache-control", "no-cache")]].concat();
        assert_eq!(read(&mut decoder, &second), lines(&expected));
        let third = [0x82, 0x86, 0x84, 0xbf, 0xbe];
        assert_eq!(read(&mut decoder, &third), lines(&expected));
    }

    #[test]
    fn a_table_that_shrinks_forgets_the_oldest() {
        let mut decoder = Decoder::new();
        assert!(read(&mut decoder, b"\x40\x01a\x011\x40\x01b\x012").is_some());
        assert_eq!(read(&mut decoder, &[0xbe, 0xbf]), lines(&[("b", "2"), ("a", "1")]));
        // Room for one of them.
        assert_eq!(read(&mut decoder, &[0x3f, 0x03, 0xbe]), lines(&[("b", "2")]));
        assert_eq!(read(&mut decoder, &[0xbf]), None);
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for block in [
            &[0x80][..],
            &[0xbe],
            &[0x40],
            &[0x00, 0x05, b'a'],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x82, 0x20],
            &[0x3f, 0xff, 0xff, 0x7f],
        ] {
            assert_eq!(read(&mut Decoder::new(), block), None, "{block:x?}");
        }
    }

    #[test]
    fn a_line_said_once_and_referred_to_often_is_not_kept_for_ever() {
        let mut decoder = Decoder::new();
        let long = [&[0x40, 0x01, b'a', 0x7f, 0xb9, 0x16][..], &[b'b'; 3000]].concat();
        let block = [&long[..], &[0xbe; 10_000]].concat();
        let lines = decoder.decode(&block, &Limits::default()).unwrap();
        assert!(lines.too_large && lines.lines.is_empty());
        assert_eq!(read(&mut decoder, &[0xbe]).unwrap().len(), 1);
    }
}
