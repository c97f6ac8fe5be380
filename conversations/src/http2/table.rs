//! The two tables of HPACK (RFC 7541 section 2.3): what both ends know from the beginning, and what was said
//! since.

use std::collections::VecDeque;

use bytes::Bytes;

pub(crate) type Line = (Bytes, Bytes);

/// What a line counts beside its bytes (RFC 7541 section 4.1).
pub(crate) const LINE: usize = 32;
/// What a table may hold before anything else was said (RFC 9113 section 6.5.2).
const BYTES_AT_FIRST: usize = 4096;

/// RFC 7541 appendix A.
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// What one direction may refer to.
#[derive(Debug)]
pub(crate) struct Table {
    /// The newest in front.
    lines: VecDeque<Line>,
    bytes: usize,
    most: usize,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { lines: VecDeque::new(), bytes: 0, most: BYTES_AT_FIRST }
    }

    /// The line of this index; indices begin at one.
    pub(crate) fn get(&self, index: usize) -> Option<Line> {
        let at = index.checked_sub(1)?;
        match STATIC.get(at) {
            Some((name, value)) => {
                Some((Bytes::from_static(name.as_bytes()), Bytes::from_static(value.as_bytes())))
            }
            None => self.lines.get(at - STATIC.len()).cloned(),
        }
    }

    pub(crate) fn insert(&mut self, line: Line) {
        let bytes = size(&line);
        self.shrink(self.most.saturating_sub(bytes));
        if bytes <= self.most {
            self.bytes += bytes;
            self.lines.push_front(line);
        }
    }

    /// What it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// It may hold so much from now on.
    pub(crate) fn resize(&mut self, most: usize) {
        self.most = most;
        self.shrink(most);
    }

    fn shrink(&mut self, to: usize) {
        while self.bytes > to {
            let Some(line) = self.lines.pop_back() else { break };
            self.bytes -= size(&line);
        }
    }
}

/// What a line counts, in a table and in a head.
pub(crate) fn size((name, value): &Line) -> usize {
    name.len() + value.len() + LINE
}
