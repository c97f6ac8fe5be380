//! Finds the next message in a stream in which the place was lost: a first line of one, at the beginning of a line or
//! of a packet.
//! A body may hold such lines, so that what follows one is not taken for in step; see
//! [`super::pairing`].

use super::line;
use crate::desk::Side;

/// A search through a stream.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// What there is of a line that may still become a first line.
    line: Vec<u8>,
    /// The line is none: its end is looked for.
    skipping: bool,
}

/// What a step has found.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    /// What was not looked at yet.
    pub(crate) rest: &'a [u8],
    /// A first line with its end, and whose it is.
    pub(crate) line: Option<(Side, Vec<u8>)>,
}

impl Search {
    /// From a place that may be a line's beginning.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// From within a line that is none.
    pub(crate) fn within_line() -> Self {
        Self { line: Vec::new(), skipping: true }
    }

    /// What comes next was sent at once, as one packet: a message may begin with it, behind a body without a line's end.
    pub(crate) fn packet(&mut self, sides: &[Side], bytes: &[u8]) {
        if self.skipping && sides.iter().any(|side| line::may_begin(*side, bytes)) {
            self.skipping = false;
        }
    }

    /// Looks on for a first line of one of these sides.
    pub(crate) fn step<'a>(&mut self, sides: &[Side], bytes: &'a [u8], limit: usize) -> Found<'a> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let newline = memchr::memchr(b'\n', rest);
            let (now, behind) = rest.split_at(newline.map_or(rest.len(), |at| at + 1));
            rest = behind;
            if !self.skipping {
                self.take(sides, now, limit);
            }
            if newline.is_none() {
                break;
            }
            self.skipping = false;
            let content = line::content(&self.line);
            if let Some(side) = sides.iter().find(|side| line::is_first(**side, content)) {
                return Found { rest, line: Some((*side, std::mem::take(&mut self.line))) };
            }
            self.line.clear();
        }
        Found { rest: &[], line: None }
    }

    fn take(&mut self, sides: &[Side], now: &[u8], limit: usize) {
        let fits = now.len() <= limit.saturating_sub(self.line.len());
        let may_begin = |bytes: &[u8]| sides.iter().any(|side| line::may_begin(*side, bytes));
        // Most lines are none by their first bytes, and are not copied.
        if !fits || !may_begin(if self.line.is_empty() { now } else { &self.line }) {
            self.line.clear();
            self.skipping = true;
            return;
        }
        self.line.extend_from_slice(now);
    }

    /// Bytes of a line that may become a first line.
    pub(crate) fn unfinished(&self) -> usize {
        self.line.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_line_is_found_at_a_lines_beginning_however_it_is_cut() {
        let stream = b"ody\r\nx GET /no HTTP/1.1\r\nHTTP/1.1 200 OK\r\nGET /yes HTTP/1.1\r\nHost";
        for cut in 1..stream.len() {
            let mut search = Search::new();
            let mut found = None;
            for piece in stream.chunks(cut) {
                let step = search.step(&[Side::Client], piece, 100);
                found = found.or(step.line);
            }
            assert_eq!(found, Some((Side::Client, b"GET /yes HTTP/1.1\r\n".to_vec())), "{cut}");
        }
    }

    #[test]
    fn a_first_line_is_found_at_a_packets_beginning_behind_a_body_without_a_lines_end() {
        let mut search = Search::within_line();
        let answer = b"HTTP/1.1 200 OK\r\n";
        for (packet, is_found) in [(&b"rest HTTP/1.1 200 OK"[..], false), (answer, true)] {
            search.packet(&[Side::Server], packet);
            let found = search.step(&[Side::Server], packet, 100).line;
            assert_eq!(found.is_some(), is_found);
        }
    }

    #[test]
    fn a_line_that_never_ends_is_not_kept() {
        let mut search = Search::new();
        for piece in [&b"GET /"[..], &[b'a'; 1000], &[b'a'; 1000]] {
            search.step(&[Side::Client], piece, 100);
            assert!(search.unfinished() <= 100);
        }
        let found = search.step(&[Side::Client], b"\nGET / HTTP/1.0\n", 100);
        assert!(found.line.is_some());
    }
}
