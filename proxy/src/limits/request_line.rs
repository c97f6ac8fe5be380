//! The request lines of a client's connection of HTTP/1, looked at before hyper reads them: see
//! [`crate::headers::target`].
//!
//! A line begins with the first byte that comes while no request is under way; one that is pipelined
//! behind another is not looked at. No byte changes its place, so that what is taken for a line and is
//! none, a rest of a body that nobody reads any more, does no harm.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use http::{Request, Uri, Version};

use crate::headers::target;

/// What a connection's lines had in their targets, for whoever gets the request.
#[derive(Debug, Default)]
pub struct Targets {
    any: AtomicBool,
    /// As hyper reads it, and as the client sent it.
    last: Mutex<Option<(Vec<u8>, Vec<u8>)>>,
}

impl Targets {
    fn keep(&self, substituted: Vec<u8>, sent: Vec<u8>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((substituted, sent));
        self.any.store(true, Ordering::Relaxed);
    }

    /// Gives a request the target that its client sent; whether it could: what stands for bytes that no URI
    /// has makes a long one too long. Over HTTP/2 the request itself tells what it was.
    pub fn restore<B>(&self, request: &mut Request<B>) -> bool {
        let told = match request.version() {
            Version::HTTP_2 => target::take_told(request.headers_mut()),
            _ => None,
        };
        let read = request.uri().path_and_query().map_or("", |it| it.as_str());
        let sent = match told {
            Some(told) => target::sent(read, &told),
            None => self.sent(read),
        };
        let Some(sent) = sent else { return true };
        let Ok(named) = target::named(&sent).parse() else { return false };
        let mut parts = request.uri().clone().into_parts();
        parts.path_and_query = Some(named);
        Uri::from_parts(parts).map(|uri| *request.uri_mut() = uri).is_ok()
    }

    /// The target that the client sent, where hyper read this one instead.
    fn sent(&self, read: &str) -> Option<Vec<u8>> {
        if !self.any.swap(false, Ordering::Relaxed) {
            return None;
        }
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).take();
        last.filter(|(substituted, _)| substituted == read.as_bytes()).map(|(_, sent)| sent)
    }
}

/// Looks at the beginning of a request: replaces in its target what hyper refuses, and keeps the target
/// for `targets`. One that did not come as a whole stays as it is.
pub(super) fn look(bytes: &mut [u8], targets: &Targets) {
    let Some(range) = target_of(bytes) else { return };
    let sent = &mut bytes[range];
    if let Some(substituted) = target::substitute(sent) {
        let before = sent.to_vec();
        sent.copy_from_slice(&substituted);
        targets.keep(substituted, before);
    }
}

/// Where path and query are, if this is a request line.
fn target_of(bytes: &[u8]) -> Option<Range<usize>> {
    // Empty lines before a request are passed over (RFC 9112 section 2.2).
    let begin = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let method = bytes[begin..].iter().position(|byte| !is_of_token(*byte))?;
    let is_method = method > 0 && bytes[begin + method] == b' ';
    let start = begin + method + 1;
    let end = bytes[start..].iter().position(|byte| matches!(byte, b' ' | b'\r' | b'\n'))?;
    let line = &bytes[start..];
    let path = target::path_in(&line[..end])?;
    let is_line = is_method && line[end..].starts_with(b" HTTP/1.");
    is_line.then_some(start + path.start..start + path.end)
}

/// Whether a method may have this byte: it is a token (RFC 9110, section 5.6.2), in whatever letters.
fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    fn read(line: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
        let (targets, mut bytes) = (Targets::default(), line.to_vec());
        look(&mut bytes, &targets);
        let target = target_of(&bytes).map(|range| bytes[range].to_vec()).unwrap_or_default();
        let sent = std::str::from_utf8(&target).ok().and_then(|read| targets.sent(read));
        (bytes, sent)
    }

    #[test]
    fn a_target_is_replaced_and_kept_and_nothing_else_is_touched() {
        let (bytes, sent) = read(b"\r\nGET /a\"b?c\xe9 HTTP/1.1\r\nX: \"\xe9\r\n\r\n\"body\"");
        assert_eq!(bytes, b"\r\nGET /a~b?c~ HTTP/1.1\r\nX: \"\xe9\r\n\r\n\"body\"");
        assert_eq!(sent.as_deref(), Some(&b"/a\"b?c\xe9"[..]));
        for line in [
            &b"GET /a\" HTTP/2.0\r\n"[..],
            b"GET /a\"b",
            b"GET /a\"\r\n",
            b"GET http://a\"b/ HTTP/1.1\r\n",
            b"CONNECT a\":1 HTTP/1.1\r\n",
            b"{\"a\": \"/b\" HTTP/1.1\r\n",
            b"GET /caf\xc3\xa9 HTTP/1.1\r\n",
        ] {
            assert_eq!(read(line), (line.to_vec(), None));
        }
    }

    #[test]
    fn a_method_is_any_token() {
        let long = "A".repeat(40);
        for method in ["M-SEARCH", "VERSION-CONTROL", "get", "a!#$%&'*+-.^_`|~9", &long] {
            let (bytes, sent) = read(format!("{method} /doc#v1 HTTP/1.1\r\n").as_bytes());
            assert_eq!(bytes, format!("{method} /doc~v1 HTTP/1.1\r\n").as_bytes());
            assert_eq!(sent.as_deref(), Some(&b"/doc#v1"[..]), "{method}");
        }
        for line in ["G(T /a#b HTTP/1.1\r\n", " /a#b HTTP/1.1\r\n", "G\tT /a#b HTTP/1.1\r\n"] {
            assert_eq!(read(line.as_bytes()), (line.as_bytes().to_vec(), None), "{line}");
        }
    }

    #[test]
    fn of_a_url_what_is_behind_its_host_is_replaced() {
        for (line, expected) in [
            ("GET http://a/b#c HTTP/1.1\r\n", "GET http://a/b~c HTTP/1.1\r\n"),
            ("GET HTTPS://a?b\"/c HTTP/1.1\r\n", "GET HTTPS://a?b~/c HTTP/1.1\r\n"),
        ] {
            assert_eq!(read(line.as_bytes()).0, expected.as_bytes());
        }
        // What names the host is left to hyper, which refuses it.
        assert_eq!(read(b"GET http://a\"/b#c HTTP/1.1\r\n").0, b"GET http://a\"/b~c HTTP/1.1\r\n");
        let beside = b"GET http://a#/b HTTP/1.1\r\n";
        assert_eq!(read(beside), (beside.to_vec(), None));
    }

    #[test]
    fn a_target_is_handed_out_once_and_for_what_it_was_read_as_alone() {
        let targets = Targets::default();
        look(&mut b"GET /\" HTTP/1.1\r\n".to_vec(), &targets);
        assert_eq!(targets.sent("/other"), None);
        assert_eq!(targets.sent("/~"), None);
    }

    proptest! {
        #[test]
        fn no_byte_changes_its_place(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(read(&bytes).0.len(), bytes.len());
        }
    }
}
