//! Copies of requests, made of what was made up.

use bytes::Bytes;
use compare::Limits;
use http::{HeaderMap, HeaderValue, Method};
use transform::CopyRequest;

/// Largest body without its codings, in bytes.
const MAX_DECODED: usize = 1 << 20;

/// A copy with this body, said to be this.
pub fn copy(body: &[u8], content_type: &'static str) -> CopyRequest {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static(content_type));
    CopyRequest {
        method: Method::POST,
        path: "/".to_owned(),
        query: None,
        host: None,
        headers,
        body: Some(Bytes::copy_from_slice(body)),
    }
}

/// Does something with as much memory as it asks for; how many bytes that was is told.
pub fn granted<T>(work: impl FnOnce(&mut Limits<'_>) -> T) -> (T, usize) {
    let mut granted = 0;
    let mut grant = |bytes| {
        granted += bytes;
        true
    };
    let done = work(&mut Limits { max_decoded: MAX_DECODED, grant: &mut grant });
    (done, granted)
}
