//! An upload that tells when it is no HTTP: then its client is to blame, and not the baseline that
//! got half of it.

use std::error::Error as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::headers::Forwarding;
use crate::limits::line_feeds::LineFeeds;
use crate::mirror::Mirror;
use crate::plan::Plan;
use crate::upstream::{BoxError, Sent};

/// What clients may not say, in trailers no more than in the head.
#[derive(Clone, Debug)]
pub(super) struct Withheld {
    /// Has the marks.
    pub(super) plan: Arc<Plan>,
    /// Has what is told of who asked.
    pub(super) forwarding: Forwarding,
}

impl Withheld {
    /// What passes of a frame; of trailers that are no more there is none.
    fn passed(&self, frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
        let mut trailers = match frame.into_trailers() {
            Ok(trailers) => trailers,
            Err(data) => return Some(data),
        };
        Mirror::strip_mark(&self.plan, &mut trailers);
        self.forwarding.take_out(&mut trailers);
        (!trailers.is_empty()).then(|| Frame::trailers(trailers))
    }
}

/// The body of a request as it comes from the client.
#[derive(Debug)]
pub(super) struct Checked {
    body: Incoming,
    withheld: Withheld,
    sent: Arc<Sent>,
    chunked: bool,
    line_feeds: Arc<LineFeeds>,
    after_return: bool,
}

impl Checked {
    pub(super) fn new(
        body: Incoming,
        sent: &Arc<Sent>,
        chunked: bool,
        line_feeds: Arc<LineFeeds>,
        withheld: Withheld,
    ) -> Self {
        let (sent, after_return) = (Arc::clone(sent), false);
        Self { body, withheld, sent, chunked, line_feeds, after_return }
    }

    /// Notes what a frame has of line feeds; whether it is trailers that a bare one ended.
    fn is_cut(&mut self, frame: &Frame<Bytes>) -> bool {
        if let Some(data) = frame.data_ref() {
            self.line_feeds.in_body(data, &mut self.after_return);
        }
        let trailers = frame.trailers_ref().filter(|_| self.chunked);
        trailers.is_some_and(|it| it.is_empty() || self.line_feeds.are_elsewhere())
    }
}

impl Body for Checked {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(match polled {
            // hyper reads lines up to the empty one and lets a bare line feed end them before: what
            // follows, a request for one, would be gone.
            Some(Ok(frame)) if self.is_cut(&frame) => {
                self.sent.note_malformed();
                Some(Err("a bare line feed ends the trailers".into()))
            }
            Some(Err(error)) => {
                if is_malformed(&error) {
                    self.sent.note_malformed();
                }
                Some(Err(error.into()))
            }
            // Behind trailers nothing comes, so that without them this is the end.
            Some(Ok(frame)) => self.withheld.passed(frame).map(Ok),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Whether the bytes themselves were wrong; a client that left has another kind of error.
fn is_malformed(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| {
        matches!(cause.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
    })
}
