//! The first lines of messages (RFC 9112 sections 3 and 4): what is one, and what can still become one.
//!
//! A target is any bytes but those that end it: what clients send is not always a URI, and an exchange
//! tells what was sent. httparse refuses such targets, so that it reads header lines alone.

use crate::desk::Side;

/// Methods are short words; without a bound all text would be a beginning of one.
const METHOD_BYTES: usize = 64;

/// A request line in its parts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RequestLine<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) target: &'a [u8],
    /// As `1.1`.
    pub(crate) version: &'a [u8],
}

/// The parts of a request line, without what ends it.
pub(crate) fn request(line: &[u8]) -> Option<RequestLine<'_>> {
    let method_end = memchr::memchr(b' ', line)?;
    let (method, rest) = (&line[..method_end], &line[method_end + 1..]);
    let target_end = memchr::memchr(b' ', rest)?;
    let (target, version) = (&rest[..target_end], version(&rest[target_end + 1..])?);
    let line = RequestLine { method, target, version };
    let is_target = !target.is_empty() && !target.contains(&b'\r');
    (is_method(method) && is_target).then_some(line)
}

/// Version and status of a status line, without what ends it.
pub(crate) fn status(line: &[u8]) -> Option<(&[u8], u16)> {
    let (first, rest) = line.split_at_checked(8)?;
    let version = version(first)?;
    let (code, reason) = rest.strip_prefix(b" ")?.split_at_checked(3)?;
    let digits = code.iter().all(u8::is_ascii_digit) && code[0] != b'0';
    let ends = reason.is_empty() || reason[0] == b' ';
    let status = code.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit.wrapping_sub(b'0')));
    (digits && ends && !reason.contains(&b'\r')).then_some((version, status))
}

/// Whether it is a request in HTTP/0.9: a line without a version.
pub(crate) fn is_http09(line: &[u8]) -> bool {
    line.strip_prefix(b"GET /")
        .is_some_and(|rest| !rest.iter().any(|it| matches!(it, b' ' | b'\r')))
}

/// Whether this is a first line of what this side sends, without what ends it.
pub(crate) fn is_first(side: Side, line: &[u8]) -> bool {
    match side {
        Side::Client => request(line).is_some(),
        Side::Server => status(line).is_some(),
    }
}

/// Whether a first line can begin so.
pub(crate) fn may_begin(side: Side, bytes: &[u8]) -> bool {
    match side {
        Side::Client => {
            let method = bytes.iter().take(METHOD_BYTES + 1).position(|it| *it == b' ');
            match method {
                Some(end) => is_method(&bytes[..end]),
                None => bytes.len() <= METHOD_BYTES && bytes.iter().all(|it| is_token(*it)),
            }
        }
        Side::Server => bytes.iter().zip(b"HTTP/1.").all(|(is, wanted)| is == wanted),
    }
}

/// A line without what ends it: a CR before the LF belongs to that.
pub(crate) fn content(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Whether it is one of the methods of RFC 9110 and RFC 5789, of which none ends as another: what was
/// joined within one is none of them.
pub(crate) fn is_known_method(method: &[u8]) -> bool {
    const KNOWN: [&[u8]; 9] =
        [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"];
    KNOWN.contains(&method)
}

fn version(bytes: &[u8]) -> Option<&[u8]> {
    let version = bytes.strip_prefix(b"HTTP/")?;
    matches!(version, [b'1', b'.', b'0'..=b'9']).then_some(version)
}

fn is_method(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.len() <= METHOD_BYTES && bytes.iter().all(|it| is_token(*it))
}

/// `tchar` of RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_any_bytes_without_a_space() {
        let line = request(b"GET /\xff\xfe\"<> HTTP/1.1").unwrap();
        assert_eq!(line.target, b"/\xff\xfe\"<>");
        assert_eq!((line.method, line.version), (&b"GET"[..], &b"1.1"[..]));
        for wrong in ["GET  / HTTP/1.1", "GET / x HTTP/1.1", "G(T / HTTP/1.1", " / HTTP/1.1"] {
            assert_eq!(request(wrong.as_bytes()), None, "{wrong}");
        }
        for wrong in
            ["GET / HTTP/2.0", "GET / HTTP/1.1 ", "GET / http/1.1", "GET /", "GET /\r HTTP/1.1"]
        {
            assert_eq!(request(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn a_status_has_three_digits_and_needs_no_reason() {
        assert_eq!(status(b"HTTP/1.1 200 OK"), Some((&b"1.1"[..], 200)));
        assert_eq!(status(b"HTTP/1.0 404"), Some((&b"1.0"[..], 404)));
        for wrong in ["HTTP/1.1 20", "HTTP/1.1 2000", "HTTP/1.1 020", "HTTP/2.0 200 OK", "HTTP/1.1"]
        {
            assert_eq!(status(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn whatever_begins_a_first_line_may_begin_one() {
        for (side, line) in
            [(Side::Client, &b"M-SEARCH * HTTP/1.1"[..]), (Side::Server, &b"HTTP/1.1 200 OK"[..])]
        {
            assert!((0..=line.len()).all(|to| may_begin(side, &line[..to])));
            assert!(is_first(side, line));
        }
        assert!(!may_begin(Side::Client, b"\x16\x03"));
        assert!(!may_begin(Side::Client, &[b'a'; 65]));
        assert!(!may_begin(Side::Server, b"SSH-"));
    }
}
