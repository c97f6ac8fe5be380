//! The chunked coding (RFC 9112 section 7.1) as a machine that takes its bytes in any pieces and keeps none of
//! them but the trailers. Lines end by CR LF and nothing else: where recipients differ about that, requests
//! are smuggled.

use bytes::Bytes;
use traffic::Headers;

use super::head::{self, Fault};
use crate::Limits;

/// Bytes of the line in front of a chunk, with extensions.
const LINE_BYTES: u32 = 4 * 1024;

/// Where in a chunked body it is.
#[derive(Debug)]
pub(crate) struct Chunks {
    at: At,
    /// Bytes of the line that is being read.
    line: u32,
}

#[derive(Debug)]
enum At {
    /// In the size, of which there is this much; `None` before the first digit.
    Size(Option<u64>),
    /// Behind the size: white space up to an extension or the end.
    Behind(u64),
    Extension(u64),
    SizeEnd(u64),
    Data(u64),
    DataEnd,
    DataEndLf,
    Trailers {
        bytes: Vec<u8>,
        from: usize,
    },
}

/// What a step has found.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece<'a> {
    /// Nothing but framing.
    Nothing,
    /// Bytes of the body.
    Data(&'a [u8]),
    /// The end, with the trailers.
    End(Headers),
}

impl Chunks {
    pub(crate) fn new() -> Self {
        Self { at: At::Size(None), line: 0 }
    }

    /// Reads on; what is left of the bytes comes first.
    pub(crate) fn step<'a>(
        &mut self,
        bytes: &'a [u8],
        limits: &Limits,
    ) -> Result<(&'a [u8], Piece<'a>), Fault> {
        if let At::Data(left) = &mut self.at {
            let now = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= now as u64;
            if *left == 0 {
                self.at = At::DataEnd;
            }
            return Ok((&bytes[now..], Piece::Data(&bytes[..now])));
        }
        if let At::Trailers { .. } = self.at {
            return self.trailers(bytes, limits);
        }
        for (at, byte) in bytes.iter().enumerate() {
            self.framing(*byte)?;
            if matches!(self.at, At::Data(_) | At::Trailers { .. }) {
                return Ok((&bytes[at + 1..], Piece::Nothing));
            }
        }
        Ok((&[], Piece::Nothing))
    }

    fn framing(&mut self, byte: u8) -> Result<(), Fault> {
        self.line += 1;
        if self.line > LINE_BYTES {
            return Err(Fault::TooLarge);
        }
        self.at = match (&self.at, byte) {
            (At::Size(size), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                At::Size(Some(with_digit(size.unwrap_or(0), byte).ok_or(Fault::Malformed)?))
            }
            (At::Size(Some(size)) | At::Behind(size), b' ' | b'\t') => At::Behind(*size),
            (At::Size(Some(size)) | At::Behind(size), b';') => At::Extension(*size),
            (At::Size(Some(size)) | At::Behind(size) | At::Extension(size), b'\r') => {
                At::SizeEnd(*size)
            }
            (At::Extension(size), byte) if byte != b'\n' => At::Extension(*size),
            (At::SizeEnd(0), b'\n') => At::Trailers { bytes: Vec::new(), from: 0 },
            (At::SizeEnd(size), b'\n') => {
                self.line = 0;
                At::Data(*size)
            }
            (At::DataEnd, b'\r') => At::DataEndLf,
            (At::DataEndLf, b'\n') => {
                self.line = 0;
                At::Size(None)
            }
            _ => return Err(Fault::Malformed),
        };
        Ok(())
    }

    fn trailers<'a>(
        &mut self,
        more: &'a [u8],
        limits: &Limits,
    ) -> Result<(&'a [u8], Piece<'a>), Fault> {
        let At::Trailers { bytes, from } = &mut self.at else { return Err(Fault::Malformed) };
        let before = bytes.len();
        let room = limits.head_bytes.saturating_sub(before).min(more.len());
        bytes.extend_from_slice(&more[..room]);
        let end = if bytes.starts_with(b"\r\n") { Some(2) } else { head::end(bytes, *from) };
        let Some(end) = end else {
            *from = head::searched(bytes);
            return if room < more.len() {
                Err(Fault::TooLarge)
            } else {
                Ok((&[], Piece::Nothing))
            };
        };
        bytes.truncate(end);
        let whole = Bytes::from(std::mem::take(bytes));
        let trailers = head::headers(&whole, &whole, limits)?;
        Ok((&more[end - before..], Piece::End(trailers)))
    }

    /// Bytes of trailers that are not whole.
    pub(crate) fn unfinished(&self) -> usize {
        if let At::Trailers { bytes, .. } = &self.at { bytes.len() } else { 0 }
    }

    /// Whether so many bytes that are missing are all of one chunk.
    pub(crate) fn is_within(&self, missing: u64) -> bool {
        matches!(self.at, At::Data(left) if missing <= left)
    }

    /// So many bytes of a chunk are missing.
    pub(crate) fn skip(&mut self, missing: u64) {
        if let At::Data(left) = &mut self.at {
            *left = left.saturating_sub(missing);
            if *left == 0 {
                self.at = At::DataEnd;
            }
        }
    }
}

fn with_digit(size: u64, digit: u8) -> Option<u64> {
    let digit = char::from(digit).to_digit(16)?;
    size.checked_mul(16)?.checked_add(digit.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body and its trailers, given in pieces of so many bytes.
    fn read(coded: &[u8], piece: usize) -> Result<Option<(Vec<u8>, Headers)>, Fault> {
        let (mut chunks, mut body) = (Chunks::new(), Vec::new());
        for mut rest in coded.chunks(piece) {
            while !rest.is_empty() {
                let (left, piece) = chunks.step(rest, &Limits::default())?;
                match piece {
                    Piece::Nothing => {}
                    Piece::Data(bytes) => body.extend_from_slice(bytes),
                    Piece::End(trailers) => return Ok(Some((body, trailers))),
                }
                rest = left;
            }
        }
        Ok(None)
    }

    #[test]
    fn chunks_are_joined_however_they_are_cut() {
        let coded = b"3;a=\"b\"\r\nabc\r\n00A \r\n0123456789\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\nnext";
        for piece in 1..coded.len() {
            let (body, trailers) = read(coded, piece).unwrap().unwrap();
            assert_eq!(body, b"abc0123456789");
            assert_eq!(trailers.len(), 2);
            assert_eq!(trailers[0].0, "X-Sum");
        }
        assert_eq!(read(b"0\r\n\r\n", 1).unwrap().unwrap().0, b"");
        assert_eq!(read(b"3\r\nabc\r\n", 4), Ok(None));
    }

    #[test]
    fn what_recipients_read_differently_is_malformed() {
        for coded in [
            &b"10000000000000000\r\n"[..],
            b"\r\n",
            b"-1\r\n",
            b"0x1\r\n",
            b"1\na",
            b"1;\na",
            b"1\r\nab\r\n",
            b"1\r\na\n0\r\n",
            b"1\r\na\r0",
            b"g\r\n",
            b"1 2\r\n",
        ] {
            assert_eq!(
                read(coded, 100),
                Err(Fault::Malformed),
                "{:?}",
                coded.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn extensions_and_trailers_have_a_bound() {
        let long = [b"1;".to_vec(), vec![b'a'; 5000]].concat();
        assert_eq!(read(&long, 100), Err(Fault::TooLarge));
        let long = [b"0\r\nA: ".to_vec(), vec![b'a'; 70_000]].concat();
        assert_eq!(read(&long, 1000), Err(Fault::TooLarge));
    }
}
