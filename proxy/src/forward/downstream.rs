//! The body of a response to a client, wherever it comes from.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use super::expect::Expected;
use crate::body::Tapped;
use crate::exchange::Refusal;
use crate::limits::Limits;
use crate::mirror::BaselineTap;
use crate::upstream::{BoxError, UpstreamBody};

/// Counts a request as in flight while it lives.
#[derive(Debug)]
pub(super) struct InFlight([Arc<AtomicUsize>; 2]);

impl InFlight {
    /// One more of all, and of this client, unless there are as many as allowed already.
    pub(super) fn new(
        all: &Arc<AtomicUsize>,
        client: &Arc<AtomicUsize>,
        limits: &Limits,
    ) -> Result<Self, Refusal> {
        let of_all = all.fetch_add(1, Ordering::Relaxed);
        let of_client = client.fetch_add(1, Ordering::Relaxed);
        let counted = Self([Arc::clone(all), Arc::clone(client)]);
        if of_all >= limits.requests_in_flight {
            Err(Refusal::RequestsInFlight)
        } else if of_client >= limits.requests_per_client {
            Err(Refusal::ClientRequestsInFlight)
        } else {
            Ok(counted)
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        for count in &self.0 {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The body of a response to a client.
#[derive(Debug)]
pub struct Downstream {
    body: DownstreamBody,
    _in_flight: Option<InFlight>,
    /// Of an upload that was not asked for, which ends with the response.
    _expected: Option<Expected>,
}

impl Downstream {
    pub(super) fn new(
        body: DownstreamBody,
        in_flight: Option<InFlight>,
        expected: Option<Expected>,
    ) -> Self {
        Self { body, _in_flight: in_flight, _expected: expected }
    }
}

/// Where a response body comes from.
#[derive(Debug)]
pub enum DownstreamBody {
    /// From the baseline, not mirrored.
    Plain(UpstreamBody),
    /// From the baseline, with the mirror watching.
    Watched(Tapped<UpstreamBody, Vec<BaselineTap>>),
    /// From the proxy itself.
    Ready(Full<Bytes>),
    /// From the admin endpoints.
    Admin(axum::body::Body),
}

impl From<DownstreamBody> for Downstream {
    fn from(body: DownstreamBody) -> Self {
        Self { body, _in_flight: None, _expected: None }
    }
}

impl Body for Downstream {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        fn boxed<E: Into<BoxError>>(
            polled: Poll<Option<Result<Frame<Bytes>, E>>>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            polled.map_err(Into::into)
        }
        match &mut self.body {
            DownstreamBody::Plain(body) => boxed(Pin::new(body).poll_frame(cx)),
            DownstreamBody::Watched(body) => boxed(Pin::new(body).poll_frame(cx)),
            DownstreamBody::Ready(body) => boxed(Pin::new(body).poll_frame(cx)),
            DownstreamBody::Admin(body) => boxed(Pin::new(body).poll_frame(cx)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            DownstreamBody::Plain(body) => body.is_end_stream(),
            DownstreamBody::Watched(body) => body.is_end_stream(),
            DownstreamBody::Ready(body) => body.is_end_stream(),
            DownstreamBody::Admin(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            DownstreamBody::Plain(body) => body.size_hint(),
            DownstreamBody::Watched(body) => body.size_hint(),
            DownstreamBody::Ready(body) => body.size_hint(),
            DownstreamBody::Admin(body) => body.size_hint(),
        }
    }
}
