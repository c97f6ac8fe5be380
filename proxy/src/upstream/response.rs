//! The body of an upstream's response, which frees its connection when it is whole.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;

use super::dial::Peer;
use super::pool::{Idle, is_last, told_idle};
use super::socket::Watch;
use super::streams::Slot;
use super::{Error, OutBody, Sent, Upstream};
use crate::headers;

/// What a response holds until its body is whole.
#[derive(Debug)]
pub(super) enum Lease {
    /// A connection of its own, which goes back to the pool.
    Connection { upstream: Arc<Upstream>, idle: Idle },
    /// A place on an HTTP/2 connection, which is free again when this is dropped.
    Stream { _slot: Slot },
}

impl Upstream {
    /// An answer whose connection goes back to the pool when it is whole, if it may.
    pub(super) fn lease(
        self: &Arc<Self>,
        response: Response<Incoming>,
        connection: (SendRequest<OutBody>, Peer, Watch),
        sent: &Sent,
    ) -> Response<UpstreamBody> {
        // An answer before the request was whole leaves the connection in the middle of a request,
        // and one that switches protocols takes it away.
        let whole = sent.at().is_some() && response.status() != StatusCode::SWITCHING_PROTOCOLS;
        let keep = told_idle(response.headers()).unwrap_or(self.idle_timeout);
        let lease = (whole && !is_last(&response)).then(|| {
            let idle = Idle::new(connection, keep);
            Lease::Connection { upstream: Arc::clone(self), idle }
        });
        response.map(|inner| UpstreamBody::new(inner, lease))
    }
}

/// Looks how an HTTP/1.1 answer says where it ends. One length is left where it is said several times
/// (RFC 9110, section 8.6); `identity` means nothing where the answer ends with its connection.
///
/// # Errors
/// For codings other than `chunked`: hyper takes off `chunked` alone, and what is left would reach the
/// client without a name. For `identity` with a length: hyper would wait for the connection's end.
pub(super) fn frame<B>(response: &mut Response<B>) -> Result<(), Error> {
    let map = response.headers_mut();
    headers::join_lengths(map);
    // hyper has seen that all parts are the same.
    let length = map.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if let Some((first, _)) = length.and_then(|length| length.split_once(','))
        && let Ok(first) = HeaderValue::from_str(first.trim())
    {
        map.insert(CONTENT_LENGTH, first);
    }
    let mut codings = map.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    let coding = coding.as_bytes().trim_ascii();
    let ends = coding.eq_ignore_ascii_case(b"chunked")
        || coding.eq_ignore_ascii_case(b"identity") && !map.contains_key(CONTENT_LENGTH);
    if ends && codings.next().is_none() { Ok(()) } else { Err(Error::TransferCoding) }
}

/// A response body that gives its connection back to the pool when it is whole, and closes it,
/// or resets its stream, when it is dropped before.
#[derive(Debug)]
pub struct UpstreamBody {
    inner: Incoming,
    lease: Option<Lease>,
}

impl UpstreamBody {
    pub(super) fn new(inner: Incoming, lease: Option<Lease>) -> Self {
        let mut body = Self { inner, lease };
        body.put_back_if_whole();
        body
    }

    fn put_back_if_whole(&mut self) {
        if self.inner.is_end_stream() {
            self.put_back();
        }
    }

    fn put_back(&mut self) {
        if let Some(Lease::Connection { upstream, idle }) = self.lease.take() {
            upstream.put_back(idle);
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &polled {
            // Nothing comes after trailers, and a receiver may not ask.
            Some(Ok(frame)) if frame.is_trailers() => self.put_back(),
            Some(Ok(_)) => self.put_back_if_whole(),
            Some(Err(_)) => self.lease = None,
            None => self.put_back(),
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
