//! `Expect: 100-continue` from end to end: reading the client's body makes hyper ask the client
//! for it, so that nobody reads it before the baseline has asked.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;

use crate::upstream::BoxError;

/// An upload that waits to be asked for. It starts when the baseline sends a 100, and never does
/// when this is gone before.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    start: Option<oneshot::Sender<()>>,
}

impl Expected {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self) {
        if let Some(start) = self.state().start.take() {
            // An upload that is gone needs no word.
            start.send(()).ok();
        }
    }

    /// Starts the upload when a 100 comes for this request.
    pub(super) fn watch<B>(&self, request: &mut Request<B>) {
        let expected = self.clone();
        hyper::ext::on_informational(request, move |response| {
            if response.status() == StatusCode::CONTINUE {
                expected.start();
            }
        });
    }

    /// Waits for the answer. A baseline that neither asks nor answers soon may not know `Expect`
    /// and wait for the body; and a client may send it without having been asked (RFC 9110, section
    /// 10.1.1), which `client_goes_on` tells.
    pub(super) async fn within<T>(
        &self,
        patience: Duration,
        client_goes_on: impl Future<Output = ()>,
        answer: impl Future<Output = T>,
    ) -> T {
        let mut answer = std::pin::pin!(answer);
        tokio::select! {
            biased;
            answer = answer.as_mut() => return answer,
            () = client_goes_on => {}
            () = tokio::time::sleep(patience) => {}
        }
        self.start();
        answer.await
    }
}

/// A body that is not read before it may start.
#[derive(Debug)]
pub(super) struct HeldBack<B> {
    body: B,
    start: Option<oneshot::Receiver<()>>,
}

impl<B> HeldBack<B> {
    pub(super) fn new(body: B, expected: &Expected) -> Self {
        let (sender, start) = oneshot::channel();
        expected.state().start = Some(sender);
        Self { body, start: Some(start) }
    }
}

impl<B> Body for HeldBack<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(start) = &mut self.start {
            let started = ready!(Pin::new(start).poll(cx));
            if started.is_err() {
                // The answer is over. This ends a connection that still waits for the body.
                return Poll::Ready(Some(Err("the upload was not asked for".into())));
            }
            self.start = None;
        }
        Pin::new(&mut self.body).poll_frame(cx).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
