//! What a request's head must not leave open: whom it is for, and where its body ends. What the
//! library that parses it lets through and others may read in another way, is refused here.

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::Scheme;
use http::{HeaderMap, Method, Request, Uri, Version};

use compare::reply::members;

/// Whether a request is for nobody in particular, or its end is in doubt (RFC 9112 sections 3.2,
/// 6.1 and 6.3).
pub fn is_malformed<B>(request: &Request<B>) -> bool {
    // Its target is no URL, and it is refused for what it is.
    let named = *request.method() == Method::CONNECT || names_a_host(request);
    !named || loses_codings(request.headers()) || contradicts_its_length(request.headers())
}

/// Makes one line of lengths that are equal: hyper and h2 let them pass as they are.
pub fn join_lengths(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(CONTENT_LENGTH).iter();
    if let (Some(first), Some(_)) = (lines.next().cloned(), lines.next()) {
        headers.insert(CONTENT_LENGTH, first);
    }
}

/// One `Host` at most, and one at least where the protocol asks for it: HTTP/1.0 and HTTP/2 do
/// without. A cache or a filter before us may have believed another than we would.
fn names_a_host<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, another) = (hosts.next(), hosts.next());
    let authority = request.uri().authority();
    let missing = host.is_none() && authority.is_none() && request.version() == Version::HTTP_11;
    another.is_none()
        && !missing
        && host.is_none_or(|host| is_host(host.as_bytes()))
        && authority.is_none_or(|authority| is_host(authority.as_str().as_bytes()))
        && is_for_a_proxy_of_http(request.uri())
}

/// A path, or a URL that says how it is to be fetched; a bare authority is for `CONNECT` alone.
fn is_for_a_proxy_of_http(target: &Uri) -> bool {
    match target.scheme() {
        Some(scheme) => *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS,
        None => target.authority().is_none(),
    }
}

/// `host [ ":" port ]` of RFC 3986 section 3.2, without user information and not empty.
fn is_host(text: &[u8]) -> bool {
    let (is_name, end) = match text {
        [b'[', literal @ ..] => {
            let end = literal.iter().position(|byte| *byte == b']').unwrap_or(0);
            let address = &literal[..end];
            (end > 0 && address.iter().all(|byte| *byte == b':' || is_of_name(*byte)), end + 2)
        }
        _ => {
            let end = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
            (end > 0 && is_name(&text[..end]), end)
        }
    };
    is_name
        && match text.get(end..) {
            Some([b':', port @ ..]) => port.iter().all(u8::is_ascii_digit),
            rest => rest.is_none_or(<[u8]>::is_empty),
        }
}

fn is_name(text: &[u8]) -> bool {
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (b'%', [high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                after
            }
            (byte, after) if is_of_name(*byte) => after,
            _ => return false,
        };
    }
    true
}

/// Unreserved, or a sub-delimiter.
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

/// `chunked` is undone on the way and made anew; any other coding would be gone without a word.
fn loses_codings(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter().flat_map(members);
    match codings.next() {
        None => false,
        Some(first) => !first.eq_ignore_ascii_case(b"chunked") || codings.next().is_some(),
    }
}

fn contradicts_its_length(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let first = lengths.next();
    lengths.any(|length| Some(length) != first)
}

#[cfg(test)]
mod tests {
    use super::super::tests::map;
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for text in ["a", "A.example.", "a_b:80", "a:", "192.0.2.1:8", "[::1]", "[::1]:8", "a%20b"]
        {
            assert!(is_host(text.as_bytes()), "{text}");
        }
        let none = ["", ":80", "a b", "a@b", "a:b", "a:8:8", "[::1", "[]", "[::1]x", "a%2", "a/b"];
        for text in none.into_iter().chain(["a\"", "<", "a?b", "a#b", "a\\b", "\u{e9}", "[a@b]"]) {
            assert!(!is_host(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn lengths_are_one_or_equal() {
        let mut headers = map(&[("content-length", "2"), ("content-length", "2")]);
        assert!(!contradicts_its_length(&headers));
        join_lengths(&mut headers);
        assert_eq!(headers.get_all(CONTENT_LENGTH).iter().count(), 1);
        let headers = map(&[("content-length", "2"), ("content-length", "02")]);
        assert!(contradicts_its_length(&headers));
    }
}
