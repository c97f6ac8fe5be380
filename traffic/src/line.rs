//! The product's own format: JSON lines, each an entry of HAR 1.2 with own fields. A line can be appended,
//! cut off by a crash without harm to those before it, and read by whatever reads JSON; many lines in
//! `{"log":{…,"entries":[…]}}` are a HAR file. `docs/recordings.md` lists the fields.

use std::io::{self, BufRead};

use crate::entry;
use crate::exchange::Exchange;
use crate::fault::{Fault, Place, ReadError};
use crate::limits::Limits;

/// Adds the exchange to `into` as one line with its end.
///
/// All of it can be read again as it was, but for a latency of more than 584 years.
pub fn write(exchange: &Exchange, into: &mut Vec<u8>) {
    entry::write(exchange, into);
    into.push(b'\n');
}

/// Reads one line, with or without its end.
///
/// # Errors
///
/// The line is no JSON, or a field has a wrong value.
pub fn parse(line: &[u8]) -> Result<Exchange, Fault> {
    entry::parse(line).map(|(exchange, _)| exchange)
}

/// The exchanges of a recording in lines; empty lines are passed over.
///
/// After an error reading goes on with the next line; only where the source itself fails it ends.
#[derive(Debug)]
pub struct Lines<R> {
    source: R,
    limit: usize,
    line: Vec<u8>,
    number: u64,
    ended: bool,
}

impl<R: BufRead> Lines<R> {
    /// Reads from `source`.
    pub fn new(source: R, limits: &Limits) -> Self {
        Self { source, limit: limits.exchange, line: Vec::new(), number: 0, ended: false }
    }

    /// The source, for what it knows of itself.
    pub fn source(&self) -> &R {
        &self.source
    }

    fn error(&mut self, fault: Fault) -> Option<Result<Exchange, ReadError>> {
        Some(Err(fault.at(Place::Line(self.number))))
    }
}

/// How a line ended.
enum End {
    /// As lines do.
    Line,
    /// With the source.
    Source,
    /// It was too long, and what was left of it is passed over.
    TooLong,
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<Exchange, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            self.line.clear();
            self.number += 1;
            let end = match next_line(&mut self.source, self.limit, &mut self.line) {
                Ok(end) => end,
                Err(error) => {
                    self.ended = true;
                    return self.error(Fault::Io(error));
                }
            };
            self.ended = matches!(end, End::Source);
            let blank = self.line.trim_ascii().is_empty();
            match (end, parse(&self.line)) {
                (End::TooLong, _) => return self.error(Fault::TooLong { limit: self.limit }),
                (_, Ok(exchange)) => return Some(Ok(exchange)),
                (_, Err(_)) if blank => {}
                (End::Source, Err(Fault::Syntax(problem))) => {
                    return self.error(Fault::Torn(problem));
                }
                (_, Err(fault)) => return self.error(fault),
            }
        }
        None
    }
}

/// Reads up to a line end, which is left out, at most `limit` bytes.
fn next_line(source: &mut impl BufRead, limit: usize, line: &mut Vec<u8>) -> io::Result<End> {
    let mut too_long = false;
    loop {
        let chunk = match source.fill_buf() {
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if chunk.is_empty() {
            return Ok(if too_long { End::TooLong } else { End::Source });
        }
        let end = memchr::memchr(b'\n', chunk);
        let part = &chunk[..end.unwrap_or(chunk.len())];
        too_long |= line.len() + part.len() > limit;
        if too_long {
            line.clear();
        } else {
            line.extend_from_slice(part);
        }
        let used = part.len() + usize::from(end.is_some());
        source.consume(used);
        if end.is_some() {
            return Ok(if too_long { End::TooLong } else { End::Line });
        }
    }
}

#[cfg(test)]
mod tests;
