//! The body of a request that has none, which tells when a connection to the baseline takes the
//! request up: until then its client may take it back, and the candidate must not execute what the
//! baseline never got.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::body::Tap;
use crate::upstream::{BoxError, Sent};

/// No bytes. hyper asks a body whether it has an end to wait for when it writes the head, and never
/// for a request that was given up before; it has no other way to tell.
#[derive(Debug)]
pub(super) struct NoBody<T> {
    /// Marked when the request is given to a connection: who asks before, is none.
    sent: Arc<Sent>,
    tap: RefCell<Option<T>>,
}

impl<T: Tap> NoBody<T> {
    pub(super) fn new(sent: Arc<Sent>, tap: T) -> Self {
        Self { sent, tap: RefCell::new(Some(tap)) }
    }

    fn taken_up(&self) {
        if self.sent.at().is_some()
            && let Some(mut tap) = self.tap.borrow_mut().take()
        {
            tap.end();
        }
    }
}

impl<T: Tap> Body for NoBody<T> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.taken_up();
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.taken_up();
        true
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Ends(Arc<AtomicUsize>);

    impl Tap for Ends {
        fn data(&mut self, _: &[u8]) {}

        fn end(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn failed(&mut self) {}
    }

    #[test]
    fn it_tells_once_and_only_of_a_request_that_was_given_to_a_connection() {
        let (sent, ends) = (Arc::new(Sent::default()), Arc::new(AtomicUsize::new(0)));
        let body = NoBody::new(Arc::clone(&sent), Ends(Arc::clone(&ends)));
        assert!(body.is_end_stream());
        assert_eq!(ends.load(Ordering::Relaxed), 0);
        sent.mark();
        assert!(body.is_end_stream() && body.is_end_stream());
        drop(body);
        assert_eq!(ends.load(Ordering::Relaxed), 1);
    }
}
