//! What a reader takes at most: recordings come from outside, and none may grow a process.

/// Bounds of reading. All of them are per reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one line, one entry of a HAR file or one record of a `.gor` file.
    pub exchange: usize,
    /// Header lines of one message of HTTP/1.
    pub headers: usize,
    /// Requests of a `.gor` file that wait for their answer.
    pub waiting: usize,
    /// Bytes of requests and answers that wait.
    pub waiting_bytes: usize,
    /// The base-2 logarithm of the window that a zstd frame may ask for.
    pub window_log: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            exchange: 32 << 20,
            headers: 256,
            waiting: 1000,
            waiting_bytes: 64 << 20,
            window_log: 23,
        }
    }
}
