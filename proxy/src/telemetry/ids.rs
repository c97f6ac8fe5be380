//! Ids of traces and spans: random, and never all zero, which means that there is none.

use std::fmt;

/// Tells a trace from all others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceId(pub(super) [u8; 16]);

/// Tells a span from the others of its trace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SpanId(pub(super) [u8; 8]);

impl TraceId {
    /// A new one.
    pub(super) fn random() -> Self {
        Self(rand::random::<u128>().max(1).to_be_bytes())
    }
}

impl SpanId {
    /// A new one.
    pub(super) fn random() -> Self {
        Self(rand::random::<u64>().max(1).to_be_bytes())
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}
