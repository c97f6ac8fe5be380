//! Undoes content encodings (RFC 9110 section 8.4), within bounds: a small body must not become
//! a large one unasked.
//!
//! An encoded body must be read to its last byte. One with something behind its end is taken for
//! broken, lest what is behind be a difference that nobody sees.

use std::borrow::Cow;
use std::io::Read;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::Limits;

/// Largest window that a zstd body may ask for, as a power of two: 8 MiB (RFC 9659).
const ZSTD_WINDOW_LOG: u32 = 23;
/// Most encodings on top of each other. Each may multiply the work, and two are rare.
const MOST_LAYERS: usize = 5;
const STEP: usize = 16 * 1024;

/// Why a body could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// An unknown encoding, or not what the header says.
    Unreadable,
    /// Over the bound.
    TooLarge,
    /// Memory was not granted.
    NoBudget,
}

/// Undoes all encodings of these header lines, the last one first.
///
/// # Errors
/// Why they cannot be undone.
pub fn decode<'a>(
    lines: &[&[u8]],
    bytes: &'a [u8],
    limits: &mut Limits<'_>,
) -> Result<Cow<'a, [u8]>, Error> {
    let names: Vec<_> = names(lines).take(MOST_LAYERS + 1).collect();
    if names.len() > MOST_LAYERS {
        return Err(Error::Unreadable);
    }
    let mut plain = Cow::Borrowed(bytes);
    for name in names.iter().rev() {
        plain = Cow::Owned(undo(name, &plain, limits)?);
    }
    Ok(plain)
}

/// The names of all encodings, in the order in which they were applied.
pub fn names<'n>(lines: &'n [&'n [u8]]) -> impl Iterator<Item = &'n [u8]> {
    lines
        .iter()
        .flat_map(|line| line.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity"))
}

/// Whether two labels say the same (RFC 9110 section 8.4.1).
pub(super) fn same(ours: &[&[u8]], theirs: &[&[u8]]) -> bool {
    let plain = |name: &[u8]| {
        let name = name.to_ascii_lowercase();
        if name == b"x-gzip" { b"gzip".to_vec() } else { name }
    };
    names(ours).map(plain).eq(names(theirs).map(plain))
}

fn undo(name: &[u8], bytes: &[u8], limits: &mut Limits<'_>) -> Result<Vec<u8>, Error> {
    match name.to_ascii_lowercase().as_slice() {
        b"gzip" | b"x-gzip" => read(&mut MultiGzDecoder::new(bytes), limits, 1),
        b"deflate" => deflate(bytes, limits),
        b"br" => brotli(bytes, limits),
        b"zstd" => {
            let mut decoder = zstd::Decoder::new(bytes).map_err(|_| Error::Unreadable)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(|_| Error::Unreadable)?;
            read(&mut decoder, limits, 2)
        }
        _ => Err(Error::Unreadable),
    }
}

/// Meant is the zlib format; some servers send the bare one.
fn deflate(bytes: &[u8], limits: &mut Limits<'_>) -> Result<Vec<u8>, Error> {
    let mut decoder = ZlibDecoder::new(bytes);
    match read(&mut decoder, limits, 1) {
        Ok(plain) if decoder.get_ref().is_empty() => return Ok(plain),
        Ok(_) | Err(Error::Unreadable) => {}
        Err(error) => return Err(error),
    }
    let mut decoder = DeflateDecoder::new(bytes);
    let plain = read(&mut decoder, limits, 1)?;
    if decoder.get_ref().is_empty() { Ok(plain) } else { Err(Error::Unreadable) }
}

/// Without the "large window" extension, which is no part of the encoding `br` (RFC 7932) and
/// would let a body ask for 1 GiB.
fn brotli(mut bytes: &[u8], limits: &mut Limits<'_>) -> Result<Vec<u8>, Error> {
    let alloc = StandardAlloc::default;
    let mut state = BrotliState::new_strict(alloc(), alloc(), alloc());
    let mut plain = Plain { bytes: Vec::new(), limits, copies: 2 };
    let mut step = vec![0; STEP];
    loop {
        let (mut left, mut taken, mut room, mut got, mut total) = (bytes.len(), 0, STEP, 0, 0);
        let result = BrotliDecompressStream(
            &mut left, &mut taken, bytes, &mut room, &mut got, &mut step, &mut total, &mut state,
        );
        plain.push(&step[..got])?;
        bytes = &bytes[taken..];
        match result {
            BrotliResult::NeedsMoreOutput => {}
            BrotliResult::ResultSuccess if bytes.is_empty() => return Ok(plain.bytes),
            _ => return Err(Error::Unreadable),
        }
    }
}

fn read(from: &mut impl Read, limits: &mut Limits<'_>, copies: usize) -> Result<Vec<u8>, Error> {
    let mut plain = Plain { bytes: Vec::new(), limits, copies };
    let mut step = vec![0; STEP];
    loop {
        let got = from.read(&mut step).map_err(|_| Error::Unreadable)?;
        if got == 0 {
            return Ok(plain.bytes);
        }
        plain.push(&step[..got])?;
    }
}

/// What is decoded so far.
struct Plain<'l, 'g> {
    bytes: Vec<u8>,
    limits: &'l mut Limits<'g>,
    /// How often the decoded bytes are in memory: twice, where the decoder's window is as large
    /// as they are.
    copies: usize,
}

impl Plain<'_, '_> {
    fn push(&mut self, step: &[u8]) -> Result<(), Error> {
        let length = self.bytes.len() + step.len();
        let room = self.bytes.capacity();
        if length > self.limits.max_decoded {
            return Err(Error::TooLarge);
        }
        if length > room {
            // Doubled, so that appending stays linear.
            let target = length.max(2 * room).max(STEP).min(self.limits.max_decoded);
            if !(self.limits.grant)((target - room) * self.copies) {
                return Err(Error::NoBudget);
            }
            self.bytes.reserve_exact(target - self.bytes.len());
        }
        self.bytes.extend_from_slice(step);
        Ok(())
    }
}
