//! Where a capture file comes from: its beginning, and what the source says when it fails.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use super::error::FileError;

/// The largest block that is read; a snap length is 256 KiB as a rule, and the largest packet that
/// kernels make 512 KiB.
pub(super) const LARGEST: usize = 16 << 20;

/// What the source said when it failed.
pub(super) type Failure = Arc<Mutex<Option<io::Error>>>;

/// The first block whole, which the readers want at once, and whether it is one of pcapng.
pub(super) fn beginning(source: &mut impl Read) -> Result<(Vec<u8>, bool), FileError> {
    const SECTION: [u8; 4] = [0x0A, 0x0D, 0x0D, 0x0A];
    const LEGACY_HEADER: u64 = 24;
    const SECTION_HEADER: u32 = 28;
    let mut bytes = Vec::new();
    let mut read = |bytes: &mut Vec<u8>, most: u64| {
        let mut more = source.by_ref().take(most.saturating_sub(bytes.len() as u64));
        more.read_to_end(bytes).map_err(FileError::Read)
    };
    read(&mut bytes, 12)?;
    let Some((magic, rest)) = bytes.split_first_chunk::<4>() else {
        return Err(FileError::NotACapture);
    };
    if *magic != SECTION {
        read(&mut bytes, LEGACY_HEADER)?;
        return Ok((bytes, false));
    }
    let Some((&length, order)) = rest.split_first_chunk::<4>() else {
        return Err(FileError::Truncated);
    };
    let length = match order {
        [0x1A, 0x2B, 0x3C, 0x4D] => u32::from_be_bytes(length),
        [0x4D, 0x3C, 0x2B, 0x1A] => u32::from_le_bytes(length),
        _ => return Err(FileError::NotACapture),
    };
    if length < SECTION_HEADER {
        return Err(FileError::Malformed);
    }
    if length as usize > LARGEST / 2 {
        return Err(FileError::TooLarge);
    }
    read(&mut bytes, u64::from(length))?;
    if bytes.len() < length as usize {
        return Err(FileError::Truncated);
    }
    Ok((bytes, true))
}

/// Keeps what the source said when it failed, which the readers do not hand on, and asks again where
/// it was only interrupted.
pub(super) struct Keeper<R> {
    pub(super) source: R,
    pub(super) failure: Failure,
}

impl<R: Read> Read for Keeper<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.source.read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                    *failure = Some(error);
                    return Err(io::ErrorKind::Other.into());
                }
                Ok(read) => return Ok(read),
            }
        }
    }
}
