//! What one client, or all of them together, may take: header lines, time, connections, requests.
//!
//! hyper answers what it refuses itself (400, 431); the rest is answered by `forward` (413, 431,
//! 503) or ends in [`timed`] (408, or a close).

use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;

pub mod clients;
pub mod frames;
pub mod line_feeds;
pub mod pace;
pub mod request_line;
pub mod timed;

use pace::Pace;

/// Header lines that hyper parses without an allocation.
const HEADERS_ON_STACK: usize = 100;
/// The smallest read buffer that hyper takes.
pub const LEAST_HEADER_BYTES: usize = 8192;
/// An HTTP/2 client that sends nothing is asked at this interval whether it is still there; one
/// that has gone without a word would hold its streams for ever.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long it may take to say so.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// What a stream of HTTP/2 may hold for a client that reads slowly. hyper's own 400 KiB would be
/// 80 MiB for one connection.
const SEND_BUFFER: usize = 64 << 10;

/// The limits, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request head, its request line included; at least [`LEAST_HEADER_BYTES`].
    pub header_bytes: usize,
    /// Header lines of a request.
    pub headers: usize,
    /// From the first byte of a request head to its last.
    pub head_timeout: Duration,
    /// How long a connection may stay open without a request.
    pub idle_timeout: Duration,
    /// Connections of clients at once, on each listener.
    pub connections: usize,
    /// Those of one client, on each listener.
    pub connections_per_client: usize,
    /// Requests at once on one HTTP/2 connection.
    pub streams: u32,
    /// Requests at once that are passed on.
    pub requests_in_flight: usize,
    /// Requests of one client at once that are passed on.
    pub requests_per_client: usize,
    /// What a client must send of an upload that is waited for, until it is answered.
    pub read: Pace,
    /// What a client must take of an answer.
    pub write: Pace,
    /// Bytes of a request body; `None` for no limit.
    pub request_bytes: Option<u64>,
}

impl Limits {
    /// What serves a connection within these limits.
    pub fn builder(&self) -> Builder<TokioExecutor> {
        let mut builder = Builder::new(TokioExecutor::new());
        // The response is the baseline's: nothing is added to it. The time for a head is kept by
        // `timed`, with one timer per connection; hyper's would cost one per request.
        let mut http1 = builder.http1();
        http1.preserve_header_case(true).auto_date_header(false);
        http1.header_read_timeout(None).max_buf_size(self.header_bytes);
        if self.headers > HEADERS_ON_STACK {
            http1.max_headers(self.headers);
        }
        let list = u32::try_from(self.header_bytes).unwrap_or(u32::MAX);
        let mut http2 = builder.http2();
        http2.auto_date_header(false).timer(TokioTimer::new());
        http2.max_send_buf_size(SEND_BUFFER);
        http2.max_concurrent_streams(self.streams).max_header_list_size(list);
        http2.keep_alive_interval(PING_INTERVAL).keep_alive_timeout(PING_TIMEOUT);
        builder
    }
}
