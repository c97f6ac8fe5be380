//! The heads of answers over HTTP/1.1 as they come: counts the lines that are no headers, which hyper
//! leaves out without a word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Longest head that is looked at, in bytes.
const HEAD_MAX: usize = 1 << 24;

/// What the two ends of one connection share: who sends requests knows when an answer's head is next.
#[derive(Debug)]
pub(super) struct Heads {
    awaited: AtomicBool,
    /// Lines left out, of all connections to this upstream.
    dropped: Arc<AtomicU64>,
}

/// Reads heads.
#[derive(Debug)]
pub(super) struct Scan {
    heads: Arc<Heads>,
    /// The part of a line that has come; `None` outside a head.
    line: Option<Vec<u8>>,
    /// Bytes of this head so far.
    length: usize,
    /// The status line is still to come.
    first: bool,
    /// 1xx but 101: another head follows.
    informational: bool,
}

impl Heads {
    pub(super) fn new(dropped: &Arc<AtomicU64>) -> Arc<Self> {
        Arc::new(Self { awaited: AtomicBool::new(false), dropped: Arc::clone(dropped) })
    }

    /// A request goes out: what comes next begins with a head.
    pub(super) fn begin(&self) {
        self.awaited.store(true, Ordering::Relaxed);
    }
}

impl Scan {
    pub(super) fn new(heads: Arc<Heads>) -> Self {
        Self { heads, line: None, length: 0, first: true, informational: false }
    }

    /// These bytes came.
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        if !bytes.is_empty() && self.heads.awaited.swap(false, Ordering::Relaxed) {
            self.start();
        }
        while let (Some(line), false) = (&mut self.line, bytes.is_empty()) {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |at| at + 1));
            bytes = rest;
            self.length += part.len();
            if end.is_none() {
                line.extend_from_slice(part);
                if self.length > HEAD_MAX {
                    self.line = None;
                }
            } else if line.is_empty() {
                self.take(part);
            } else {
                let mut whole = std::mem::take(line);
                whole.extend_from_slice(part);
                self.take(&whole);
            }
        }
    }

    fn start(&mut self) {
        self.line = Some(Vec::new());
        (self.length, self.first, self.informational) = (0, true, false);
    }

    fn take(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.first {
            // Empty lines before a status line are passed over.
            if !line.is_empty() {
                self.first = false;
                let status = line.splitn(3, |byte| *byte == b' ').nth(1).unwrap_or_default();
                self.informational = status.first() == Some(&b'1') && status != b"101";
            }
        } else if !line.is_empty() {
            if is_left_out(line) {
                self.heads.dropped.fetch_add(1, Ordering::Relaxed);
            }
        } else if self.informational {
            self.start();
        } else {
            self.line = None;
        }
    }
}

/// Whether hyper leaves a line out: it has no name (RFC 9110 section 5.1), or a control character (section
/// 5.5). Folded lines are joined, and a space before the colon is taken out.
fn is_left_out(line: &[u8]) -> bool {
    if line[0] == b' ' || line[0] == b'\t' {
        return false;
    }
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return true };
    let (name, value) = (line[..colon].trim_ascii_end(), &line[colon + 1..]);
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let is_control = |byte: &u8| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f;
    name.is_empty() || !name.iter().all(is_token) || value.iter().any(is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines left out of what comes in pieces of this size.
    fn left_out(answer: &[u8], size: usize) -> u64 {
        let dropped = Arc::default();
        let heads = Heads::new(&dropped);
        let mut scan = Scan::new(Arc::clone(&heads));
        scan.read(b"no: \x01 head\r\n");
        heads.begin();
        answer.chunks(size).for_each(|bytes| scan.read(bytes));
        dropped.load(Ordering::Relaxed)
    }

    #[test]
    fn lines_that_are_no_headers_are_counted_in_heads_alone() {
        let answer = b"HTTP/1.1 103 Early\r\nLink: a\r\nno colon\r\n\r\nHTTP/1.1 200 OK\r\nA : 1\r\n\
            no colon\r\nX-Bad: a\x01b\r\n: b\r\na b: c\r\nFold: a\r\n  b\r\nGood: 2\r\n\r\nno\r\n:\x01\r\n";
        for size in [1, 2, 7, 1000] {
            assert_eq!(left_out(answer, size), 5, "{size}");
        }
        assert_eq!(left_out(b"\r\nHTTP/1.1 101 x\r\n\r\nno colon\r\n", 3), 0);
    }
}
