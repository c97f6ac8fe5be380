//! A request's body that can be had once more: what went out of it is kept, and the rest follows.
//!
//! Some requests are lost with their connection through no fault of their own. Those that may be sent
//! again need their bodies from the start, while a client sends its body only once.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

use super::{BoxError, OutBody};

/// Bytes kept of one body: for every upstream the same, or a twin would fail where its original does
/// not.
pub(super) const KEPT_MAX: usize = 64 * 1024;

/// A body and the beginning of it that went out.
#[derive(Clone)]
pub(super) struct Replay(Arc<Mutex<Source>>);

struct Source {
    rest: OutBody,
    kept: Vec<Bytes>,
    bytes: usize,
    /// All that went out is kept.
    complete: bool,
    /// Which of the bodies made from this may still read.
    reader: u64,
}

impl Replay {
    pub(super) fn new(rest: OutBody) -> Self {
        let source = Source { rest, kept: Vec::new(), bytes: 0, complete: true, reader: 0 };
        Self(Arc::new(Mutex::new(source)))
    }

    /// The body from its start, or `None` once more went out than is kept. Earlier ones break off.
    pub(super) fn body(&self) -> Option<OutBody> {
        let mut source = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !source.complete {
            return None;
        }
        source.reader += 1;
        let hint = if source.kept.is_empty() { source.rest.size_hint() } else { SizeHint::new() };
        let (reader, from) = (source.reader, Arc::clone(&self.0));
        Some(Again { source: from, reader, next: 0, hint }.boxed_unsync())
    }
}

struct Again {
    source: Arc<Mutex<Source>>,
    reader: u64,
    next: usize,
    hint: SizeHint,
}

impl Source {
    fn keep(&mut self, frame: &Frame<Bytes>) {
        match frame.data_ref() {
            Some(data) if self.complete && self.bytes + data.len() <= KEPT_MAX => {
                // A slice would hold the whole buffer that it was read into.
                self.kept.push(Bytes::copy_from_slice(data));
                self.bytes += data.len();
            }
            _ => {
                self.complete = false;
                self.kept = Vec::new();
            }
        }
    }
}

impl Body for Again {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let mut source = this.source.lock().unwrap_or_else(PoisonError::into_inner);
        if source.reader != this.reader {
            return Poll::Ready(Some(Err("the request was sent again".into())));
        }
        if let Some(kept) = source.kept.get(this.next) {
            this.next += 1;
            return Poll::Ready(Some(Ok(Frame::data(kept.clone()))));
        }
        let polled = Pin::new(&mut source.rest).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                source.keep(frame);
                this.next = source.kept.len();
            }
            Poll::Ready(Some(Err(_))) => source.complete = false,
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        self.next >= source.kept.len() && source.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}
