//! Records: what stands between two separators. GoReplay looks for them line by line, and so does this.

use std::io::{self, BufRead};

use crate::exchange::Moment;
use crate::fault::Fault;

/// The line that ends a record; the line end before it belongs to it.
pub(super) const SEPARATOR: &[u8] = "🐵🙈🙉".as_bytes();

/// Records, one after the other.
#[derive(Debug)]
pub(super) struct Records<R> {
    source: R,
    limit: usize,
    text: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Records<R> {
    pub(super) fn new(source: R, limit: usize) -> Self {
        Self { source, limit, text: Vec::new(), number: 0 }
    }

    /// The number of the record that was read last, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The text of the record that was read; given back, its memory serves the next one.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text)
    }

    pub(super) fn give_back(&mut self, text: Vec<u8>) {
        self.text = text;
    }

    /// Reads a record; false at the end. One without separator is an error, as GoReplay does not read it.
    pub(super) fn read(&mut self) -> Result<bool, Fault> {
        self.text.clear();
        self.number += 1;
        let mut too_long = false;
        loop {
            let line_at = self.text.len();
            let went_on = self.line().map_err(Fault::Io)?;
            let line = &self.text[line_at..];
            if line.strip_suffix(b"\n").unwrap_or(line) == SEPARATOR {
                self.text.truncate(line_at.saturating_sub(1));
                break;
            }
            if !went_on {
                let blank = !too_long && self.text.trim_ascii().is_empty();
                let torn = || Fault::Torn("the last record has no separator".to_owned());
                return if blank { Ok(false) } else { Err(torn()) };
            }
            if self.text.len() > self.limit {
                too_long = true;
                self.text.clear();
            }
        }
        if too_long { Err(Fault::TooLong { limit: self.limit }) } else { Ok(true) }
    }

    /// Adds a line with its end, or a part of it that is larger than the limit; false if the source ended.
    fn line(&mut self) -> io::Result<bool> {
        loop {
            let chunk = match self.source.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if chunk.is_empty() {
                return Ok(false);
            }
            let end = memchr::memchr(b'\n', chunk).map(|at| at + 1);
            let part = &chunk[..end.unwrap_or(chunk.len())];
            self.text.extend_from_slice(part);
            let length = part.len();
            self.source.consume(length);
            if end.is_some() {
                return Ok(true);
            }
            if self.text.len() > self.limit {
                // Not the beginning of a line: what follows can't be taken for a separator.
                self.text.clear();
                self.text.resize(self.limit + 1, b' ');
            }
        }
    }
}

/// What a record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Original,
    Replayed,
}

/// A record, taken apart.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) kind: Kind,
    pub(super) id: &'a [u8],
    pub(super) at: Moment,
    /// Nanoseconds; 0 where it is not known.
    pub(super) latency: u64,
    pub(super) message: &'a [u8],
}

impl<'a> Record<'a> {
    pub(super) fn parse(text: &'a [u8]) -> Result<Self, String> {
        let end = memchr::memchr(b'\n', text).unwrap_or(text.len());
        let (head, rest) = text.split_at(end);
        let mut fields = head.trim_ascii_end().split(|byte| *byte == b' ');
        let mut field = |name: &str| {
            fields
                .next()
                .filter(|it| !it.is_empty())
                .ok_or_else(|| format!("no {name} in its head"))
        };
        let kind = match field("type")? {
            b"1" => Kind::Request,
            b"2" => Kind::Original,
            b"3" => Kind::Replayed,
            other => {
                let shown = other[..other.len().min(20)].escape_ascii();
                return Err(format!("type `{shown}`, allowed are 1, 2 and 3"));
            }
        };
        let id = field("id")?;
        let at: u64 = number(field("time")?).ok_or("its time is no number of nanoseconds")?;
        // Old files have none, and others have what is none there.
        let latency = fields.next().and_then(number).unwrap_or(0);
        Ok(Self { kind, id, at: Moment(at), latency, message: rest.get(1..).unwrap_or_default() })
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
