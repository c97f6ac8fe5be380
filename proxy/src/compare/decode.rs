//! Undoes content encodings (RFC 9110 section 8.4), within bounds: a small body must not become
//! a large one unasked.

use std::borrow::Cow;
use std::io::Read;

use super::Limits;

/// Largest window that a zstd body may ask for, as a power of two: 8 MiB (RFC 9659).
const ZSTD_WINDOW_LOG: u32 = 23;
const STEP: usize = 16 * 1024;

/// Why a body could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Error {
    /// An unknown encoding, or not what the header says.
    Unreadable,
    /// Over the bound.
    TooLarge,
    /// Memory was not granted.
    NoBudget,
}

/// Undoes all encodings of these header lines, the last one first.
pub(super) fn decode<'a>(
    lines: &[&[u8]],
    bytes: &'a [u8],
    limits: &mut Limits<'_>,
) -> Result<Cow<'a, [u8]>, Error> {
    let names: Vec<_> = lines
        .iter()
        .flat_map(|line| line.split(|byte| *byte == b','))
        .map(|name| name.trim_ascii().to_ascii_lowercase())
        .filter(|name| !name.is_empty() && name != b"identity")
        .collect();
    let mut plain = Cow::Borrowed(bytes);
    for name in names.iter().rev() {
        plain = Cow::Owned(undo(name, &plain, limits)?);
    }
    Ok(plain)
}

fn undo(name: &[u8], bytes: &[u8], limits: &mut Limits<'_>) -> Result<Vec<u8>, Error> {
    match name {
        b"gzip" | b"x-gzip" => read(flate2::read::MultiGzDecoder::new(bytes), limits),
        // Meant is the zlib format; some servers send the bare one.
        b"deflate" => match read(flate2::read::ZlibDecoder::new(bytes), limits) {
            Err(Error::Unreadable) => read(flate2::read::DeflateDecoder::new(bytes), limits),
            result => result,
        },
        b"br" => read(brotli_decompressor::Decompressor::new(bytes, STEP), limits),
        b"zstd" => {
            let mut decoder = zstd::Decoder::new(bytes).map_err(|_| Error::Unreadable)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(|_| Error::Unreadable)?;
            read(decoder, limits)
        }
        _ => Err(Error::Unreadable),
    }
}

fn read(mut from: impl Read, limits: &mut Limits<'_>) -> Result<Vec<u8>, Error> {
    let mut plain = Vec::new();
    let mut step = vec![0; STEP];
    loop {
        let got = from.read(&mut step).map_err(|_| Error::Unreadable)?;
        if got == 0 {
            return Ok(plain);
        }
        if plain.len() + got > limits.max_decoded {
            return Err(Error::TooLarge);
        }
        if plain.len() + got > plain.capacity() {
            let more = plain.capacity().max(STEP);
            if !(limits.grant)(more) {
                return Err(Error::NoBudget);
            }
            plain.reserve_exact(plain.capacity() - plain.len() + more);
        }
        plain.extend_from_slice(&step[..got]);
    }
}
