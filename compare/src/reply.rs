//! What heads of replies say that matters for a comparison.

use http::header::CONNECTION;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Whether `Connection` says that a header is of this connection alone.
pub fn is_named_by_connection(headers: &HeaderMap, name: &HeaderName) -> bool {
    connection_tokens(headers).any(|token| token.eq_ignore_ascii_case(name.as_str().as_bytes()))
}

/// What `Connection` names, byte by byte: one that is not ASCII in one of them must not hide the others.
pub fn connection_tokens(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers.get_all(CONNECTION).iter().flat_map(members).filter(|token| !token.is_empty())
}

/// The members of a list in a header (RFC 9110 section 5.6.1), empty ones included.
pub fn members(list: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    list.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Whether a content type is that of gRPC; gRPC-Web is not, it is made for HTTP/1.1.
pub fn says_grpc(content_type: &[u8]) -> bool {
    const NAME: &[u8] = b"application/grpc";
    let Some((name, rest)) = content_type.split_at_checked(NAME.len()) else { return false };
    name.eq_ignore_ascii_case(NAME) && matches!(rest, [] | [b'+' | b';' | b' ', ..])
}

/// The same with memory of its own: a clone keeps the whole buffer that its connection read into.
pub fn copied(value: &HeaderValue) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).expect("it is a header value already")
}
