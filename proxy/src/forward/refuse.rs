//! What the main path does not pass on, and what the client is told instead.

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;

use crate::exchange::Refusal;
use crate::limits::Limits;

/// Why a request is refused by its head alone.
pub(super) fn by_head<B: Body>(request: &Request<B>, limits: &Limits) -> Option<Refusal> {
    if request.method() == Method::CONNECT {
        return Some(Refusal::Method);
    }
    if request.headers().len() > limits.headers {
        return Some(Refusal::HeadersTooLarge);
    }
    let limit = limits.request_bytes?;
    (request.body().size_hint().lower() > limit).then_some(Refusal::BodyTooLarge)
}

pub(super) fn answer(refusal: Refusal) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status(refusal);
    let headers = response.headers_mut();
    match refusal {
        Refusal::Method => {
            let allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE";
            headers.insert(ALLOW, HeaderValue::from_static(allow));
            // What follows a `CONNECT` was meant for somebody else, and is no request.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Refusal::Malformed => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Refusal::RequestsInFlight | Refusal::ClientRequestsInFlight => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    response
}

fn status(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::Malformed | Refusal::ProxyProtocol | Refusal::ClientConnections => {
            StatusCode::BAD_REQUEST
        }
        Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
        Refusal::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Refusal::HeadTimeout
        | Refusal::IdleTimeout
        | Refusal::ReadTimeout
        | Refusal::WriteTimeout => StatusCode::REQUEST_TIMEOUT,
        Refusal::Connections
        | Refusal::RequestsInFlight
        | Refusal::ClientRequestsInFlight
        | Refusal::Resets
        | Refusal::Flood => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Loop => StatusCode::LOOP_DETECTED,
    }
}
