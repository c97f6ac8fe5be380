//! A `Content-Encoding`, a line feed, and a body: decoded to what the libraries' other entry points
//! make of it, or unlike any readable body where they cannot; never more than the bound, and no memory that was
//! not granted. Behind a `>` the body is encoded first, behind a `*` many times over, and must come
//! back.
#![no_main]

use std::io::{Read, Write};

use compare::Match;
use flate2::Compression;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use fuzz::bodies::{judge, result, side};
use libfuzzer_sys::fuzz_target;

/// More than all that a gzip or deflate decoder takes unasked.
const MAX_DECODED: usize = 300_000;
const MANY: usize = 300;
/// Encodings on top of each other that are undone.
const LAYERS: usize = 5;

fuzz_target!(|data: &[u8]| {
    let Some(at) = data.iter().position(|byte| *byte == b'\n') else { return };
    let (encoding, body) = (&data[..at], &data[at + 1..]);
    match encoding {
        [b'>', encoding @ ..] => comes_back(encoding, body),
        [b'*', encoding @ ..] => comes_back(encoding, &body.repeat(MANY)),
        _ => arbitrary(encoding, body),
    }
});

fn arbitrary(encoding: &[u8], body: &[u8]) {
    let (coded, sent) = (side(encoding, body), side(b"", body));
    let (_, granted) = judge(&coded, &sent, MAX_DECODED, usize::MAX);
    // Of each layer two copies and two attempts, and the nodes of two documents.
    let most = LAYERS * 4 * MAX_DECODED + 64 * (MAX_DECODED + body.len()) + 4096;
    assert!(granted <= most, "{granted} bytes granted");
    nothing_behind(encoding, body);
    let Some(opinion) = opinion(encoding, body) else { return };
    let expected = match &opinion {
        Some(plain) if plain.len() > MAX_DECODED => Match::ResponseTooLarge,
        // A label that does not fit is nothing that a client could read.
        None if !body.is_empty() => Match::Mismatched,
        _ => Match::Matched,
    };
    let plain = opinion.as_deref().unwrap_or(body);
    assert_eq!(result(&coded, &side(b"", plain), MAX_DECODED), expected);
}

/// A body that can be decoded cannot with a byte behind it. Of `deflate` there are two forms, and one
/// with something behind it may be the other.
fn nothing_behind(encoding: &[u8], body: &[u8]) {
    if encoding.to_ascii_lowercase().ends_with(b"deflate") {
        return;
    }
    let longer = [body, b"x"].concat();
    let judged = result(&side(encoding, body), &side(encoding, &longer), MAX_DECODED);
    assert_ne!(judged, Match::Matched, "decoded with something behind its end");
}

/// What the body decodes to, or that it cannot be decoded; `None` for encodings not judged here.
fn opinion(encoding: &[u8], body: &[u8]) -> Option<Option<Vec<u8>>> {
    Some(match encoding.to_ascii_lowercase().as_slice() {
        b"gzip" | b"x-gzip" => up_to_bound(MultiGzDecoder::new(body)),
        b"deflate" => {
            let mut zlib = ZlibDecoder::new(body);
            let plain = up_to_bound(&mut zlib);
            match plain {
                Some(plain) if plain.len() > MAX_DECODED || whole(zlib.total_in(), body) => {
                    Some(plain)
                }
                _ => {
                    let mut bare = DeflateDecoder::new(body);
                    let plain = up_to_bound(&mut bare);
                    plain.filter(|it| it.len() > MAX_DECODED || whole(bare.total_in(), body))
                }
            }
        }
        _ => return None,
    })
}

fn whole(taken: u64, body: &[u8]) -> bool {
    usize::try_from(taken).is_ok_and(|taken| taken == body.len())
}

/// All of it, or one byte more than the bound.
fn up_to_bound(from: impl Read) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    from.take(MAX_DECODED as u64 + 1).read_to_end(&mut plain).ok().map(|_| plain)
}

fn comes_back(encoding: &[u8], plain: &[u8]) {
    let (mut body, mut largest) = (plain.to_vec(), 0);
    let layers = encoding.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let layers = layers.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity"));
    let layers: Vec<_> = layers.collect();
    if layers.len() > LAYERS {
        return;
    }
    for name in &layers {
        let Some(coded) = encode(name, &body) else { return };
        largest = largest.max(body.len());
        body = coded;
    }
    let expected = if largest > MAX_DECODED { Match::ResponseTooLarge } else { Match::Matched };
    let (coded, plain) = (side(encoding, &body), side(b"", plain));
    assert_eq!(result(&coded, &plain, MAX_DECODED), expected);
    let (_, granted) = judge(&coded, &plain, MAX_DECODED, usize::MAX);
    let (poor, _) = judge(&coded, &plain, MAX_DECODED, granted / 2);
    let poor_expected = if granted == 0 { expected } else { Match::BufferFull };
    assert_eq!(poor, poor_expected, "for want of memory");
}

fn encode(name: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    const ENOUGH: &str = "writing to memory does not fail";
    let fast = Compression::fast();
    Some(match name.to_ascii_lowercase().as_slice() {
        b"gzip" | b"x-gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), fast);
            encoder.write_all(plain).expect(ENOUGH);
            encoder.finish().expect(ENOUGH)
        }
        b"deflate" if plain.len().is_multiple_of(2) => {
            let mut encoder = ZlibEncoder::new(Vec::new(), fast);
            encoder.write_all(plain).expect(ENOUGH);
            encoder.finish().expect(ENOUGH)
        }
        b"deflate" => {
            let mut encoder = DeflateEncoder::new(Vec::new(), fast);
            encoder.write_all(plain).expect(ENOUGH);
            encoder.finish().expect(ENOUGH)
        }
        b"zstd" => zstd::encode_all(plain, 1).expect(ENOUGH),
        _ => return None,
    })
}
