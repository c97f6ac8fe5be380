//! HTTP/2 (RFC 9113).

use packets::stream::Nanos;

use crate::Lost;
use crate::desk::{Desk, Side};
use crate::http1::Upgraded;

/// What a client says first (RFC 9113 section 3.4).
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A conversation in HTTP/2.
#[derive(Debug)]
pub(crate) struct Http2;

impl Http2 {
    pub(crate) fn new() -> Self { Self }
    pub(crate) fn upgraded(_request: Upgraded) -> Self { Self }
    pub(crate) fn data(&mut self, _side: Side, _at: Nanos, _bytes: &[u8], desk: &mut Desk<'_>) -> bool {
        desk.lost(Lost::Http2Broken);
        false
    }
    pub(crate) fn gap(&mut self, _side: Side, _missing: Option<u64>, _desk: &mut Desk<'_>) -> bool { false }
    pub(crate) fn end(&mut self, _side: Side, _desk: &mut Desk<'_>) {}
}
