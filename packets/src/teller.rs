//! What tells a direction's bytes to the reader of its connection, and counts what is missing.

use crate::fate::Totals;
use crate::stream::{Direction, End, Nanos, Streams};

/// For one direction of one connection. Without a reader all is only counted.
#[derive(Debug)]
pub(crate) struct Teller<'a, S> {
    pub(crate) reader: Option<&'a mut S>,
    pub(crate) direction: Direction,
    pub(crate) totals: &'a mut Totals,
}

impl<S: Streams> Teller<'_, S> {
    pub(crate) fn data(&mut self, at: Nanos, bytes: &[u8]) {
        if let Some(reader) = &mut self.reader {
            reader.data(self.direction, at, bytes);
        }
    }

    /// Bytes that were never captured.
    pub(crate) fn lost(&mut self, at: Nanos, missing: u64) {
        self.totals.gaps += 1;
        self.totals.missing += missing;
        self.gap(at, missing);
    }

    /// Bytes that were cut off a captured packet.
    pub(crate) fn cut(&mut self, at: Nanos, missing: u64) {
        self.totals.cuts += 1;
        self.totals.cut += missing;
        self.gap(at, missing);
    }

    pub(crate) fn end(&mut self, at: Nanos, how: End) {
        if let Some(reader) = &mut self.reader {
            reader.end(self.direction, at, how);
        }
    }

    /// Bytes that are missing and were counted before.
    pub(crate) fn gap(&mut self, at: Nanos, missing: u64) {
        if let Some(reader) = &mut self.reader {
            reader.gap(self.direction, at, Some(missing));
        }
    }
}
