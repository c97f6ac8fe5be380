//! Comparisons as the proxy makes them, with everything that must hold for any of them.

use proxy::compare::{Body, Limits, Rules, Side, Verdict, compare};

use crate::memory::Room;

/// What a comparison takes besides what it asks for: lists of names, and a decoder's buffers of a
/// fixed size, of which a brotli decoder's are the window that the body chose.
fn unasked(side: &Side<'_>) -> usize {
    let encodings = side.content_encoding.concat().to_ascii_lowercase();
    let names = |name: &[u8]| encodings.windows(name.len()).any(|part| part == name);
    match () {
        () if names(b"br") => 3 << 24,
        () if names(b"zstd") => 256 * 1024,
        () if !encodings.is_empty() => 160 * 1024,
        () => 4 * 1024,
    }
}

/// A reply with this body.
pub fn side<'a>(encoding: &'a [u8], body: &'a [u8]) -> Side<'a> {
    Side {
        status: 200,
        content_type: Some(b"application/json"),
        content_encoding: if encoding.is_empty() { Vec::new() } else { vec![encoding] },
        grpc_status: None,
        headers: None,
        body: Body::Whole(body),
    }
}

/// The verdict, and how many bytes were granted for it, with `budget` bytes to grant at most.
///
/// Aborts when it takes more memory than was granted.
pub fn judge(a: &Side<'_>, b: &Side<'_>, max_decoded: usize, budget: usize) -> (Verdict, usize) {
    let rules = Rules::default();
    let room = Room::new(unasked(a) + unasked(b));
    let mut granted = 0;
    let mut grant = |bytes: usize| {
        let fits = bytes <= budget - granted;
        if fits {
            granted += bytes;
            room.grow(bytes);
        }
        fits
    };
    let verdict = compare(a, b, &rules, &mut Limits { max_decoded, grant: &mut grant });
    (verdict, granted)
}

/// The verdict without a limit on memory, the same both ways round.
pub fn verdict(a: &Side<'_>, b: &Side<'_>, max_decoded: usize) -> Verdict {
    let (verdict, _) = judge(a, b, max_decoded, usize::MAX);
    assert_eq!(verdict, judge(b, a, max_decoded, usize::MAX).0, "not the same the other way round");
    verdict
}
