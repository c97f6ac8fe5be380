//! How slow a client may be while somebody waits for it: as a rate over a period, so that a byte now
//! and then is no progress. Time in which the client is not the one waited for does not count.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The least that a client must send or take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Waiting for the client adds up to this, and then is looked at what came.
    pub period: Duration,
    /// Bytes a second.
    pub rate: u32,
}

impl Pace {
    fn least(self) -> u64 {
        let bytes = u128::from(self.rate) * self.period.as_millis() / 1000;
        u64::try_from(bytes).unwrap_or(u64::MAX).max(1)
    }
}

/// Of one direction of one client. Has no timer before somebody waits.
#[derive(Debug)]
pub(super) struct Clock {
    pace: Pace,
    waited: Duration,
    passed: u64,
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Clock {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, waited: Duration::ZERO, passed: 0, since: None, timer: None }
    }

    /// The client is waited for; ready when it is too slow.
    pub(super) fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let since = *self.since.get_or_insert_with(Instant::now);
            let due = since + self.pace.period.saturating_sub(self.waited);
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            ready!(timer.as_mut().poll(cx));
            if self.passed < self.pace.least() {
                return Poll::Ready(());
            }
            (self.waited, self.passed) = (Duration::ZERO, 0);
            self.since = Some(Instant::now());
        }
    }

    /// The client is no longer waited for, and so many bytes passed.
    pub(super) fn passed(&mut self, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
        self.passed = self.passed.saturating_add(bytes as u64);
    }
}

/// Why an upload was broken off.
#[derive(Debug)]
pub struct TooSlow;

impl std::fmt::Display for TooSlow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the upload is too slow")
    }
}

impl std::error::Error for TooSlow {}

/// An upload under a clock, which stops for good once it was answered: two that talk to each other
/// may be silent for as long as they like.
#[derive(Debug)]
pub struct Paced<B> {
    inner: B,
    clock: Clock,
    answered: Arc<AtomicBool>,
}

impl<B> Paced<B> {
    /// Watches `inner` until `answered` is set.
    pub fn new(inner: B, pace: Pace, answered: Arc<AtomicBool>) -> Self {
        Self { inner, clock: Clock::new(pace), answered }
    }
}

impl<B> Body for Paced<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) else {
            while !self.answered.load(Ordering::Relaxed) {
                ready!(self.clock.poll_waiting(cx));
                if !self.answered.load(Ordering::Relaxed) {
                    return Poll::Ready(Some(Err(TooSlow.into())));
                }
            }
            return Poll::Pending;
        };
        let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
        self.clock.passed(data.map_or(0, Buf::remaining));
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, StreamBody};
    use tokio::sync::mpsc;
    use tokio::time::advance;

    use super::*;

    const PACE: Pace = Pace { period: Duration::from_secs(60), rate: 10 };

    type Chunks = mpsc::Sender<Bytes>;

    fn paced() -> (Chunks, Arc<AtomicBool>, tokio::task::JoinHandle<Result<usize, BoxError>>) {
        let (sender, mut chunks) = mpsc::channel::<Bytes>(1);
        let answered = Arc::new(AtomicBool::new(false));
        let stream = futures_util::stream::poll_fn(move |cx| {
            chunks
                .poll_recv(cx)
                .map(|chunk| chunk.map(|chunk| Ok::<_, std::io::Error>(Frame::data(chunk))))
        });
        let body = Paced::new(StreamBody::new(stream), PACE, Arc::clone(&answered));
        let reading = tokio::spawn(async move { Ok(body.collect().await?.to_bytes().len()) });
        (sender, answered, reading)
    }

    async fn trickle(chunks: &Chunks, bytes: usize, seconds: usize) {
        for _ in 0..seconds {
            chunks.send(Bytes::from(vec![0; bytes])).await.ok();
            tokio::task::yield_now().await;
            advance(Duration::from_secs(1)).await;
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_now_and_then_is_no_progress() {
        let (chunks, _, reading) = paced();
        trickle(&chunks, 1, 70).await;
        assert!(reading.await.unwrap().unwrap_err().is::<TooSlow>());
    }

    #[tokio::test(start_paused = true)]
    async fn who_keeps_the_pace_may_take_as_long_as_it_likes() {
        let (chunks, _, reading) = paced();
        trickle(&chunks, 11, 600).await;
        drop(chunks);
        assert_eq!(reading.await.unwrap().unwrap(), 6600);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answered_upload_has_no_clock() {
        let (chunks, answered, reading) = paced();
        answered.store(true, Ordering::Relaxed);
        trickle(&chunks, 1, 600).await;
        drop(chunks);
        assert_eq!(reading.await.unwrap().unwrap(), 600);
    }
}
