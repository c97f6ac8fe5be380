//! The body of an upstream's response, which frees its connection when it is whole.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::streams::Slot;
use super::{Idle, Upstream};

/// What a response holds until its body is whole.
#[derive(Debug)]
pub(super) enum Lease {
    /// A connection of its own, which goes back to the pool.
    Connection { upstream: Arc<Upstream>, idle: Idle },
    /// A place on an HTTP/2 connection, which is free again when this is dropped.
    Stream { _slot: Slot },
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
