//! HAR 1.2 files, such as browsers save: read entry by entry, so that a file of any length takes the memory
//! of one entry, and written likewise.
//!
//! Of what browsers write: entries that their own cache answered were never sent and are left out; content
//! that was decoded loses `content-encoding` and `content-length`; an entry without a response, or with
//! status 0 as blocked and aborted ones have, has no answer; pseudo headers are left out.

mod pull;
mod written;

use std::io::BufRead;

use serde_json::value::RawValue;

use crate::entry;
use crate::exchange::Exchange;
use crate::fault::{Fault, Place, ReadError};
use crate::limits::Limits;
use pull::Pull;
pub use written::Writer;

/// What was done to the entries that were read, in numbers of entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Left out: a browser's cache answered.
    pub cached: u64,
    /// Their content had been decoded, and headers that spoke of the encoded one are left out.
    pub decoded: u64,
}

/// The exchanges of a HAR file.
///
/// After a wrong value reading goes on with the next entry. Where the file is no JSON or an entry is longer
/// than the limit it ends with the error.
#[derive(Debug)]
pub struct Entries<R> {
    source: Pull<R>,
    state: State,
    number: u64,
    told: Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before `log.entries`.
    Start,
    /// Within it.
    Entries,
    Ended,
}

impl<R: BufRead> Entries<R> {
    /// Reads from `source`.
    pub fn new(source: R, limits: &Limits) -> Self {
        let source = Pull::new(source, limits.exchange);
        Self { source, state: State::Start, number: 0, told: Told::default() }
    }

    /// What was done to the entries up to now.
    pub fn told(&self) -> Told {
        self.told
    }

    /// The next entry's JSON.
    fn entry(&mut self) -> Result<Option<Box<RawValue>>, Fault> {
        self.source.renew();
        if self.state == State::Start {
            self.source.skip_bom()?;
            self.source.expect(b'{')?;
            self.source.enter("log")?;
            self.source.expect(b'{')?;
            self.source.enter("entries")?;
            self.source.expect(b'[')?;
            self.state = State::Entries;
        }
        self.number += 1;
        match self.source.peek()? {
            Some(b']') => return Ok(None),
            Some(b',') if self.number > 1 => self.source.bump(),
            _ if self.number > 1 => return Err(self.source.unexpected("`,` or `]`")),
            _ => {}
        }
        match self.source.peek()? {
            Some(b'{') => self.source.value().map(Some),
            _ => Err(self.source.unexpected("an entry")),
        }
    }
}

impl<R: BufRead> Iterator for Entries<R> {
    type Item = Result<Exchange, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.state != State::Ended {
            match self.entry().map(|json| json.map(|json| entry::parse(json.get().as_bytes()))) {
                Ok(Some(Ok((_, notes)))) if notes.cached => self.told.cached += 1,
                Ok(Some(Ok((exchange, notes)))) => {
                    self.told.decoded += u64::from(notes.decoded);
                    return Some(Ok(exchange));
                }
                Ok(Some(Err(fault))) => return Some(Err(fault.at(Place::Entry(self.number)))),
                Ok(None) => self.state = State::Ended,
                Err(fault) => {
                    self.state = State::Ended;
                    return Some(Err(fault.at(Place::Entry(self.number))));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
