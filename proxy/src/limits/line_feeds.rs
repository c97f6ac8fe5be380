//! Line feeds without a carriage return on a client's connection: those that are in no body.
//!
//! hyper reads the lines behind the last chunk up to `\r\n\r\n`, and takes a bare line feed for the end of
//! one (RFC 9112 section 2.2 lets it). An empty line made so ends the trailers early, and what is between
//! is gone: another reader sees a request there. hyper does not tell of the lines as they came. But all
//! bytes of the connection pass here, and all bytes of bodies pass [`LineFeeds::in_body`]; framing has no
//! bare line feed, so what is left over is in a head or among trailers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counts of one connection of HTTP/1.
#[derive(Debug, Default)]
pub struct LineFeeds {
    read: AtomicU64,
    after_return: AtomicBool,
    in_bodies: AtomicU64,
}

impl LineFeeds {
    /// These bytes came.
    pub fn read(&self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        let bare = bare(bytes, self.after_return.load(Ordering::Relaxed));
        self.after_return.store(*last == b'\r', Ordering::Relaxed);
        if bare > 0 {
            self.read.fetch_add(bare, Ordering::Relaxed);
        }
    }

    /// These bytes of a body did; `after_return` is whether those before ended in a carriage return. Where
    /// a chunk ended between the two, there is one bare line feed more than is counted: which chunks there
    /// were is not known here, and to count it as the body's own would let one among trailers hide.
    pub fn in_body(&self, bytes: &[u8], after_return: &mut bool) {
        let Some(last) = bytes.last() else { return };
        let bare = bare(bytes, *after_return);
        *after_return = *last == b'\r';
        if bare > 0 {
            self.in_bodies.fetch_add(bare, Ordering::Relaxed);
        }
    }

    /// Whether some were in a head or among trailers. One that was read ahead, in a body that nobody took
    /// yet, counts as well.
    pub fn are_elsewhere(&self) -> bool {
        self.read.load(Ordering::Relaxed) > self.in_bodies.load(Ordering::Relaxed)
    }
}

fn bare(bytes: &[u8], after_return: bool) -> u64 {
    let first = bytes.first() == Some(&b'\n') && !after_return;
    let pairs = bytes.windows(2).filter(|pair| pair[1] == b'\n' && pair[0] != b'\r').count();
    u64::from(first) + pairs as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn those_of_bodies_are_told_from_others() {
        let feeds = LineFeeds::default();
        let mut after = false;
        feeds.read(b"POST / HTTP/1.1\r\n\r\n4\r\na\nb\r");
        feeds.read(b"\r\n0\r\n");
        feeds.in_body(b"a\nb\r", &mut after);
        assert!(!feeds.are_elsewhere());
        feeds.read(b"X: 1\n\nGET / HTTP/1.1\r\n\r\n");
        assert!(feeds.are_elsewhere());
    }

    proptest! {
        #[test]
        fn how_the_bytes_come_does_not_matter(parts in proptest::collection::vec("[\r\na]{0,4}", 0..8)) {
            let (apart, whole) = (LineFeeds::default(), LineFeeds::default());
            parts.iter().for_each(|part| apart.read(part.as_bytes()));
            whole.read(parts.concat().as_bytes());
            prop_assert_eq!(apart.read.into_inner(), whole.read.into_inner());
        }
    }
}
