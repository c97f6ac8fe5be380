//! A body without its content codings, and with them again (RFC 9110 section 8.4).

use std::borrow::Cow;
use std::io::Write;

use compare::Limits;
use compare::decode::{self, Error};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderValue};

use super::Fault;

/// Fast rather than small: a copy travels a short way.
const LEVEL: u32 = 1;
/// The window that other encoders use by default, as a power of two.
const BROTLI_WINDOW: u32 = 22;

/// The body without its codings.
///
/// # Errors
/// They are unknown, or not what the body has; it is too large without them.
pub fn decode<'b>(
    headers: &HeaderMap,
    body: &'b [u8],
    limits: &mut Limits<'_>,
) -> Result<Cow<'b, [u8]>, Fault> {
    let lines: Vec<_> = lines(headers);
    decode::decode(&lines, body, limits).map_err(|error| match error {
        Error::Unreadable => Fault::Encoding,
        Error::TooLarge => Fault::TooLarge,
        Error::NoBudget => Fault::NoBudget,
    })
}

/// Whether the body has any codings.
pub fn is_coded(headers: &HeaderMap) -> bool {
    decode::names(&lines(headers)).next().is_some()
}

/// The body with the codings that the headers say.
///
/// # Errors
/// One of them is unknown.
pub fn encode(headers: &HeaderMap, body: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut body = body.to_vec();
    for name in decode::names(&lines(headers)) {
        let name = name.to_ascii_lowercase();
        body = coded(&name, &body).map_err(|_| Fault::Encoding)?;
    }
    Ok(body)
}

fn coded(name: &[u8], body: &[u8]) -> std::io::Result<Vec<u8>> {
    let level = Compression::new(LEVEL);
    match name {
        b"gzip" | b"x-gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), level);
            encoder.write_all(body)?;
            encoder.finish()
        }
        b"deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(body)?;
            encoder.finish()
        }
        b"br" => {
            let mut coded = Vec::new();
            let mut encoder = brotli::CompressorWriter::new(&mut coded, 4096, LEVEL, BROTLI_WINDOW);
            encoder.write_all(body)?;
            drop(encoder);
            Ok(coded)
        }
        b"zstd" => zstd::encode_all(body, 1),
        _ => Err(std::io::ErrorKind::Unsupported.into()),
    }
}

fn lines(headers: &HeaderMap) -> Vec<&[u8]> {
    headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_coding_can_be_undone_and_done_again() {
        let text = b"abc".repeat(1000);
        for coding in ["gzip", "X-GZIP", "deflate", "br", "zstd", "gzip, br", "identity", ""] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_ENCODING, HeaderValue::from_str(coding).unwrap());
            let coded = encode(&headers, &text).unwrap();
            let mut grant = |_| true;
            let mut limits = Limits { max_decoded: 10_000, grant: &mut grant };
            assert_eq!(&*decode(&headers, &coded, &mut limits).unwrap(), text, "{coding}");
            let mut limits = Limits { max_decoded: 100, grant: &mut grant };
            let small = decode(&headers, &coded, &mut limits);
            assert_eq!(small.is_err(), is_coded(&headers), "{coding}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("rot13"));
        assert_eq!(encode(&headers, b""), Err(Fault::Encoding));
    }
}
