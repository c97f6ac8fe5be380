//! The copy of a request, and the answers to it, as all that changes or reads them sees them.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

/// A request on its way to a candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct CopyRequest {
    /// The method.
    pub method: Method,
    /// The path as it stands in the request line, percent-encoded; the target's prefix is not applied yet.
    pub path: String,
    /// What stands behind the `?`, as it was sent; `None` without one.
    pub query: Option<String>,
    /// What `Host` says, where it is not for the candidate's settings to say.
    pub host: Option<HeaderValue>,
    /// The end-to-end headers, without `Host`.
    pub headers: HeaderMap,
    /// The body as sent, under whatever `Content-Encoding` says; `None` where copies carry none.
    pub body: Option<Bytes>,
}

/// Digests of a body (RFC 9530, RFC 3230, RFC 1864).
const DIGESTS: [&str; 4] = ["content-md5", "digest", "content-digest", "repr-digest"];

impl CopyRequest {
    /// Another body stands in its place. Digests of what it was are wrong then, and tell of it.
    pub fn set_body(&mut self, body: Bytes) {
        for name in DIGESTS {
            self.headers.remove(name);
        }
        self.body = Some(body);
    }

    /// What stands in its place while a hook has it.
    pub(crate) fn nothing() -> Self {
        Self {
            method: Method::GET,
            path: String::new(),
            query: None,
            host: None,
            headers: HeaderMap::new(),
            body: None,
        }
    }
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as sent, under whatever `Content-Encoding` says.
    pub body: Bytes,
}

impl Answer {
    /// As above.
    pub(crate) fn nothing() -> Self {
        Self { status: StatusCode::OK, headers: HeaderMap::new(), body: Bytes::new() }
    }
}
