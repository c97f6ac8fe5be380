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

use crate::limits::line_feeds::LineFeeds;
use crate::upstream::{BoxError, Sent};

/// The body of a request as it comes from the client.
#[derive(Debug)]
pub(super) struct Checked {
    body: Incoming,
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
    ) -> Self {
        Self { body, sent: Arc::clone(sent), chunked, line_feeds, after_return: false }
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
            polled => polled.map(|frame| frame.map_err(Into::into)),
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
