//! A captured frame, and a run of bytes that may have been cut off: what all layers hand to the next.

use crate::fate::Fate;
use crate::stream::Nanos;

/// What a capture's frames begin with: the link types that are understood.
///
/// Numbers are those of <https://www.tcpdump.org/linktypes.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Ethernet II, with VLAN tags or without: 1.
    Ethernet,
    /// Linux "cooked", as of `-i any`, version 1: 113.
    Cooked,
    /// Linux "cooked", version 2: 276.
    Cooked2,
    /// An IP packet at once: 12, 14, 101, 228 and 229.
    Raw,
    /// BSD loopback, a family of four bytes in the order of the machine or of the network: 0 and 108.
    Null,
    /// Any other; its frames count as [`Fate::UnknownLink`].
    Unknown(u16),
}

impl Link {
    /// The link type with this number.
    pub fn of(number: u16) -> Self {
        match number {
            0 | 108 => Self::Null,
            1 => Self::Ethernet,
            12 | 14 | 101 | 228 | 229 => Self::Raw,
            113 => Self::Cooked,
            276 => Self::Cooked2,
            other => Self::Unknown(other),
        }
    }
}

/// One frame, as it was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// When it was seen.
    pub at: Nanos,
    /// What it begins with.
    pub link: Link,
    /// What was captured of it.
    pub bytes: &'a [u8],
    /// How long it was on the wire, in bytes; more than were captured where a snap length cut it.
    pub original: usize,
}

/// Bytes, and how many more there were behind them that were not captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) cut: usize,
}

impl<'a> Part<'a> {
    /// All of them were captured.
    pub(crate) fn whole(bytes: &'a [u8]) -> Self {
        Self { bytes, cut: 0 }
    }

    /// How many bytes there were on the wire.
    pub(crate) fn total(&self) -> usize {
        self.bytes.len() + self.cut
    }

    /// What is behind a header of so many bytes, which was read and so is there.
    pub(crate) fn behind(&self, header: usize) -> Self {
        Self { bytes: self.bytes.get(header..).unwrap_or_default(), cut: self.cut }
    }

    /// So many bytes from the first: fewer where it is padded, and the more are cut where a header
    /// promises more than there is.
    pub(crate) fn first(&self, total: usize) -> Self {
        let here = total.min(self.bytes.len());
        Self { bytes: &self.bytes[..here], cut: total - here }
    }

    /// Those from one offset on, up to another; both are within the total.
    pub(crate) fn range(&self, from: usize, to: usize) -> Self {
        let here = self.bytes.len();
        let bytes = &self.bytes[from.min(here)..to.min(here)];
        Self { bytes, cut: to - from - bytes.len() }
    }

    /// What to say where a header is longer than what is there.
    pub(crate) fn short(&self) -> Fate {
        if self.cut > 0 { Fate::HeaderCut } else { Fate::Malformed }
    }
}
