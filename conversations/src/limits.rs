//! What one conversation may hold at most. Its input is made by strangers, so that whatever grows with it
//! has a bound here; what goes over one is counted as [`crate::Lost`] says.

/// Bounds of one conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a head: request line or status line with all header lines; of HTTP/2 the sum of names
    /// and values, 32 more for each line (RFC 9113 section 10.5.1).
    pub head_bytes: usize,
    /// Header lines of a head.
    pub headers: usize,
    /// Bytes of a body that is kept.
    pub body_bytes: usize,
    /// Bytes that a conversation holds at a time: heads and bodies, what of them is unfinished, tables of
    /// HPACK, and records of TLS.
    pub conversation_bytes: usize,
    /// Requests that wait for an answer at a time: those of HTTP/1.1 pipelining, and the streams of
    /// HTTP/2.
    pub pending: usize,
    /// Bytes to look for a request or an answer in, before a connection is taken for something else.
    pub search_bytes: u64,
    /// Bytes of a table of HPACK, by the count of RFC 7541 section 4.1.
    pub table_bytes: usize,
    /// Bytes of TLS that wait for their keys, both directions together, each run of them with
    /// [`packets::Limits::PIECE`] more than it has.
    pub waiting_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 64 * 1024,
            headers: 256,
            body_bytes: 1024 * 1024,
            conversation_bytes: 4 * 1024 * 1024,
            pending: 256,
            search_bytes: 1024 * 1024,
            table_bytes: 64 * 1024,
            waiting_bytes: 64 * 1024,
        }
    }
}
