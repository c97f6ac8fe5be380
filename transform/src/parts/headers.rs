//! Names of headers: which are not to be changed, and which may be taken for others.

use http::HeaderName;
use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};

/// Headers that belong to one connection, or say how the body is sent: another value would make it another message.
pub const NOT_TO_CHANGE: [HeaderName; 11] = [
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    EXPECT,
    HOST,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Whether servers may take one name for the other: those that make variables of them (CGI, WSGI) have one
/// sign for all that is neither letter nor digit.
pub fn reads_as(name: &HeaderName, other: &HeaderName) -> bool {
    let (name, other) = (name.as_str().as_bytes(), other.as_str().as_bytes());
    let is_sign = |byte: &u8| !byte.is_ascii_alphanumeric();
    let alike = |(a, b): (&u8, &u8)| a == b || (is_sign(a) && is_sign(b));
    // Most differ in length, which costs nothing to see.
    name.len() == other.len() && name.iter().zip(other).all(alike)
}
