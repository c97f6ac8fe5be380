//! Why a capture file cannot be read.

use std::{fmt, io};

/// Why a file cannot be read, or not further.
#[derive(Debug)]
pub enum FileError {
    /// It is neither pcap nor pcapng.
    NotACapture,
    /// It ends in the middle of a block; all frames before that were read.
    Truncated,
    /// It contradicts itself; all frames before that were read.
    Malformed,
    /// A block is larger than any should be.
    TooLarge,
    /// What it is read from failed.
    Read(io::Error),
}

impl fmt::Display for FileError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotACapture => to.write_str("it is neither a pcap nor a pcapng file"),
            Self::Truncated => to.write_str("the file ends in the middle of a packet"),
            Self::Malformed => to.write_str("the file is broken from here on"),
            Self::TooLarge => to.write_str("a packet is larger than any should be"),
            Self::Read(error) => write!(to, "cannot read it: {error}"),
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(error) => Some(error),
            _ => None,
        }
    }
}
