//! A client's connection under time limits: for the head of a request, and without a request.
//!
//! One timer per connection, looked at when the connection waits for bytes and armed again only
//! when it went off. hyper's own timer is set up anew for each request, and does not tell a slow
//! head from a connection that is merely kept open.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, Sleep, sleep_until};

use super::line_feeds::LineFeeds;
use super::pace::{Clock, Pace};
use super::request_line::{self, Targets};
use crate::exchange::Refusal;

/// Most that is read of a request whose reader has less room.
const FIRST: usize = 8192;

const TIMED_OUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// What the requests on a connection tell its clock.
#[derive(Debug, Default)]
pub struct Activity {
    open: AtomicUsize,
    begun: AtomicUsize,
    /// Bytes between requests are no head: HTTP/2 has other frames.
    framed: AtomicBool,
    /// It speaks another protocol by now, whose pace is not ours to judge.
    tunnel: AtomicBool,
    /// Answers over HTTP/2. A window that is not opened again holds up a single one of them, and the
    /// connection does not show it.
    streams: Mutex<Vec<Weak<Stream>>>,
    abandoned: Mutex<Abandoned>,
    /// Too much came in too short a time.
    flooded: OnceLock<Refusal>,
    /// Somebody waits for bytes after a request head that nobody reads yet.
    awaited: AtomicBool,
    awaiting: Mutex<Option<oneshot::Sender<()>>>,
    line_feeds: Arc<LineFeeds>,
    targets: Targets,
    /// A part of a request head has come.
    heading: AtomicBool,
    /// Told of each request that begins.
    beginning: Notify,
}

/// Since when the client must take something of an answer over HTTP/2; `None` while there is nothing.
#[derive(Debug, Default)]
struct Stream(Mutex<Option<Instant>>);

#[derive(Debug)]
struct Abandoned {
    since: Instant,
    count: usize,
    /// Requests begun before.
    begun: usize,
}

impl Default for Abandoned {
    fn default() -> Self {
        Self { since: Instant::now(), count: 0, begun: 0 }
    }
}

/// Requests of a connection that may be taken back in [`ABANDONED_IN`], be they most of all or not. A
/// gateway that speaks for many clients may take back many; it also lets many be answered.
const ABANDONED_MAX: usize = 500;
/// See [`ABANDONED_MAX`].
const ABANDONED_IN: Duration = Duration::from_secs(10);

impl Activity {
    /// What the request lines on it had in their targets.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// Those that came on it.
    pub fn line_feeds(&self) -> &Arc<LineFeeds> {
        &self.line_feeds
    }

    /// Waits until the client sends on after its request head, though nobody asked for it, or has
    /// gone. For a connection of HTTP/1.1, whose requests come one at a time.
    pub async fn client_goes_on(&self) {
        let (came, when_it_came) = oneshot::channel();
        *self.awaiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(came);
        self.awaited.store(true, Ordering::Relaxed);
        // The connection itself is gone only together with who waits here.
        when_it_came.await.ok();
    }

    fn goes_on(&self) {
        self.awaited.store(false, Ordering::Relaxed);
        let awaiting = self.awaiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Who waited may have got an answer meanwhile.
        awaiting.map(|came| came.send(()).ok());
    }

    /// A request has come; it ends when this is dropped.
    pub fn begin(self: &Arc<Self>, version: http::Version) -> Busy {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.heading.store(false, Ordering::Relaxed);
        self.beginning.notify_waiters();
        let framed = version == http::Version::HTTP_2;
        let stream = framed.then(|| {
            self.framed.store(true, Ordering::Relaxed);
            self.stream()
        });
        Busy { activity: Arc::clone(self), stream, answered: AtomicBool::new(false) }
    }

    /// Whether a request is to come, since none has yet, or is coming.
    pub fn is_promised(&self) -> bool {
        let heading = self.heading.load(Ordering::Relaxed) && !self.framed.load(Ordering::Relaxed);
        heading || self.begun.load(Ordering::Relaxed) == 0
    }

    /// Waits for a request that [`Activity::is_promised`].
    pub async fn begins(&self) {
        let beginning = self.beginning.notified();
        if self.is_promised() {
            beginning.await;
        }
    }

    fn stream(&self) -> Arc<Stream> {
        let stream = Arc::new(Stream::default());
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if streams.len() > 2 * self.open.load(Ordering::Relaxed) {
            streams.retain(|stream| stream.strong_count() > 0);
        }
        streams.push(Arc::downgrade(&stream));
        stream
    }

    /// Whether an answer over HTTP/2 was not taken for so long.
    fn is_stalled(&self, now: Instant, period: Duration) -> bool {
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.iter().filter_map(Weak::upgrade).any(|stream| {
            let since = *stream.0.lock().unwrap_or_else(PoisonError::into_inner);
            since.is_some_and(|since| now.saturating_duration_since(since) >= period)
        })
    }

    fn abandon(&self, now: Instant) {
        let begun = self.begun.load(Ordering::Relaxed);
        let mut abandoned = self.abandoned.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(abandoned.since) > ABANDONED_IN {
            *abandoned = Abandoned { since: now, count: 0, begun };
        }
        abandoned.count += 1;
        let most = abandoned.count * 2 > begun.saturating_sub(abandoned.begun);
        if abandoned.count > ABANDONED_MAX && most {
            self.flood(Refusal::Resets);
        }
    }

    /// Ends the connection: too much came of what this is about.
    pub fn flood(&self, refusal: Refusal) {
        self.flooded.set(refusal).ok();
    }

    /// Frames are no lines, and what a tunnel carries is not ours to read.
    fn came(&self, bytes: &[u8]) {
        if !self.framed.load(Ordering::Relaxed) && !self.tunnel.load(Ordering::Relaxed) {
            self.line_feeds.read(bytes);
        }
    }

    fn is_busy(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 0 || self.tunnel.load(Ordering::Relaxed)
    }
}

/// A request that is not answered in full yet.
#[derive(Debug)]
pub struct Busy {
    activity: Arc<Activity>,
    stream: Option<Arc<Stream>>,
    answered: AtomicBool,
}

impl Busy {
    /// The answer has begun; whether it is the client's turn, to take what there is of it.
    pub fn client_is_next(&self, is_next: bool) {
        let Some(stream) = &self.stream else { return };
        self.answered.store(true, Ordering::Relaxed);
        let since = is_next.then(Instant::now);
        *stream.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// The connection is no longer one of requests.
    pub fn becomes_tunnel(&self) {
        self.activity.tunnel.store(true, Ordering::Relaxed);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.activity.open.fetch_sub(1, Ordering::Relaxed);
        if self.stream.is_some() && !self.answered.load(Ordering::Relaxed) {
            self.activity.abandon(Instant::now());
        }
    }
}

/// How long a connection may wait for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From the first byte of a request head to its last.
    pub head: Duration,
    /// Without a request.
    pub idle: Duration,
    /// For an answer to be taken.
    pub write: Pace,
}

impl Patience {
    fn tick(self) -> Duration {
        self.head.min(self.idle).min(self.write.period)
    }
}

/// The stream of a connection; ends it when a limit is reached.
pub struct Timed<S, F> {
    inner: S,
    activity: Arc<Activity>,
    patience: Patience,
    on_refusal: F,
    writing: Clock,
    timer: Pin<Box<Sleep>>,
    /// When the head that is being read began.
    head_since: Option<Instant>,
    /// Requests begun when that was noted.
    head_after: usize,
    idle_since: Instant,
    /// Requests begun when the timer last went off, and whether one was not answered.
    begun: usize,
    was_busy: bool,
    /// Bytes of a response are still to be written.
    blocked: bool,
    /// Ended for being idle.
    ended: bool,
    /// The last read brought more than the end of a head.
    beyond_head: bool,
    /// Read while looking whether the client goes on, and not handed out yet.
    ahead: Vec<u8>,
}

impl<S, F> std::fmt::Debug for Timed<S, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timed").field("activity", &self.activity).finish_non_exhaustive()
    }
}

enum Due {
    Later(Instant),
    Head,
    Idle,
    Stalled,
}

impl<S, F: Fn(Refusal)> Timed<S, F> {
    /// Watches a connection that was just made; `on_refusal` hears why it was ended.
    pub fn new(inner: S, activity: Arc<Activity>, patience: Patience, on_refusal: F) -> Self {
        let now = Instant::now();
        Self {
            inner,
            activity,
            patience,
            on_refusal,
            writing: Clock::new(patience.write),
            timer: Box::pin(sleep_until(now + patience.tick())),
            head_since: None,
            head_after: 0,
            idle_since: now,
            begun: 0,
            was_busy: false,
            blocked: false,
            ended: false,
            beyond_head: false,
            ahead: Vec::new(),
        }
    }

    /// Whether what comes now is the beginning of a request: none is under way, and nothing of the next
    /// one has come.
    fn begins_a_head(&self) -> bool {
        let begun = self.activity.begun.load(Ordering::Relaxed);
        !self.activity.is_busy() && (self.head_since.is_none() || self.head_after != begun)
    }

    fn received(&mut self) {
        if self.begins_a_head() {
            self.head_since = Some(Instant::now());
            self.head_after = self.activity.begun.load(Ordering::Relaxed);
            self.activity.heading.store(true, Ordering::Relaxed);
        }
    }

    fn due(&mut self, now: Instant) -> Due {
        let begun = self.activity.begun.load(Ordering::Relaxed);
        let busy = self.activity.is_busy();
        if busy || self.was_busy || begun != self.begun {
            // When the last request ended is not noted: late by a tick at most, never early.
            self.idle_since = now;
            (self.begun, self.was_busy) = (begun, busy);
        }
        if self.head_after != begun || self.activity.framed.load(Ordering::Relaxed) {
            self.head_since = None;
        }
        let tick = self.patience.tick();
        if busy && self.activity.is_stalled(now, self.patience.write.period) {
            return Due::Stalled;
        }
        if busy {
            return Due::Later(now + tick);
        }
        if let Some(since) = self.head_since {
            let due = since + self.patience.head;
            return if due <= now { Due::Head } else { Due::Later(due) };
        }
        let due = self.idle_since + self.patience.idle;
        if due <= now { Due::Idle } else { Due::Later(due.min(now + tick)) }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, F: Fn(Refusal) + Unpin> Timed<S, F> {
    /// Looks whether the client goes on. hyper reads nothing of a body that nobody asked it for, but
    /// flushes whenever the connection is looked at, and is looked at again when bytes come.
    fn look_ahead(&mut self, cx: &mut Context<'_>) {
        if !self.beyond_head && self.ahead.is_empty() {
            let mut bytes = [0; 1024];
            let mut buf = ReadBuf::new(&mut bytes);
            if Pin::new(&mut self.inner).poll_read(cx, &mut buf).is_pending() {
                return;
            }
            self.activity.came(buf.filled());
            self.ahead.extend_from_slice(buf.filled());
        }
        // An end, too, is for whoever reads on to see.
        self.activity.goes_on();
    }

    /// Reads a request line as a whole, if it comes so, and hands out as much as there is room for.
    fn read_first(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; FIRST];
        let mut first = ReadBuf::new(&mut bytes);
        match Pin::new(&mut self.inner).poll_read(cx, &mut first) {
            Poll::Pending => self.poll_timer(cx),
            Poll::Ready(result) => {
                self.take_in(first.filled_mut());
                let (now, later) =
                    first.filled().split_at(first.filled().len().min(buf.remaining()));
                buf.put_slice(now);
                self.ahead.extend_from_slice(later);
                Poll::Ready(result)
            }
        }
    }

    /// These bytes came.
    fn take_in(&mut self, bytes: &mut [u8]) {
        if bytes.is_empty() {
            return;
        }
        self.activity.came(bytes);
        if self.begins_a_line() {
            request_line::look(bytes, &self.activity.targets);
        }
        self.beyond_head = !ends_a_head(bytes);
        self.received();
    }

    /// Whether what comes now begins with a request line.
    fn begins_a_line(&self) -> bool {
        !self.activity.framed.load(Ordering::Relaxed) && self.begins_a_head()
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            match self.due(Instant::now()) {
                Due::Later(at) => self.timer.as_mut().reset(at),
                Due::Head => {
                    (self.on_refusal)(Refusal::HeadTimeout);
                    self.answer_408(cx);
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                Due::Stalled => {
                    (self.on_refusal)(Refusal::WriteTimeout);
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                Due::Idle => {
                    (self.on_refusal)(Refusal::IdleTimeout);
                    self.ended = true;
                    // Read as if the client had closed it, which ends it in good order.
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    /// As far as the socket takes it at once; never in the middle of a response.
    fn answer_408(&mut self, cx: &mut Context<'_>) {
        if !self.blocked
            && matches!(Pin::new(&mut self.inner).poll_write(cx, TIMED_OUT), Poll::Ready(Ok(_)))
        {
            // Whether it arrives is up to the network; the connection ends either way.
            drop(Pin::new(&mut self.inner).poll_flush(cx));
        }
    }
}

impl<S, F> AsyncRead for Timed<S, F>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Fn(Refusal) + Unpin,
{
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        if let Some(refusal) = self.activity.flooded.get() {
            (self.on_refusal)(*refusal);
            self.ended = true;
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if !self.ahead.is_empty() {
            let taken = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead[..taken]);
            self.ahead.drain(..taken);
            return Poll::Ready(Ok(()));
        }
        // Whoever asks for the first bytes wants to know the version, and has room for no more than that.
        if buf.remaining() < FIRST && self.begins_a_line() {
            return self.read_first(cx, buf);
        }
        let before = buf.filled().len();
        match Pin::new(&mut self.inner).poll_read(cx, buf) {
            Poll::Pending => self.poll_timer(cx),
            Poll::Ready(result) => {
                self.take_in(&mut buf.filled_mut()[before..]);
                Poll::Ready(result)
            }
        }
    }
}

impl<S, F: Fn(Refusal)> Timed<S, F> {
    /// Looks how fast the client takes what is written.
    fn paced<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        match &polled {
            Poll::Ready(Ok(done)) => self.writing.passed(bytes(done)),
            // What is left of a tunnel's pace is its own.
            Poll::Pending if !self.activity.tunnel.load(Ordering::Relaxed) => {
                ready!(self.writing.poll_waiting(cx));
                (self.on_refusal)(Refusal::WriteTimeout);
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            _ => {}
        }
        polled
    }
}

/// Whether these bytes, the last that came, may be the end of a request head.
fn ends_a_head(bytes: &[u8]) -> bool {
    let blank_line = bytes.ends_with(b"\n\r\n") || bytes.ends_with(b"\n\n");
    blank_line || matches!(bytes, b"\n" | b"\r\n")
}

impl<S, F> AsyncWrite for Timed<S, F>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Fn(Refusal) + Unpin,
{
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.blocked = !matches!(polled, Poll::Ready(Ok(written)) if written == buf.len());
        self.paced(polled, |written| *written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        let whole = bufs.iter().map(|buf| buf.len()).sum::<usize>();
        self.blocked = !matches!(polled, Poll::Ready(Ok(written)) if written == whole);
        self.paced(polled, |written| *written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.activity.awaited.load(Ordering::Relaxed) {
            self.look_ahead(cx);
        }
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.paced(polled, |()| 0, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use http::Version;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::advance;

    use super::*;

    const HEAD: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(60);

    const WRITE: Pace = Pace { period: Duration::from_secs(30), rate: 100 };

    struct Bench {
        client: DuplexStream,
        activity: Arc<Activity>,
        reader: tokio::task::JoinHandle<io::Result<()>>,
        refused: Arc<Mutex<Vec<Refusal>>>,
    }

    /// A connection whose server side reads until it is told to end.
    fn bench() -> Bench {
        let (client, server) = duplex(1024);
        let activity = Arc::new(Activity::default());
        let refused = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&refused);
        let patience = Patience { head: HEAD, idle: IDLE, write: WRITE };
        let mut timed = Timed::new(server, Arc::clone(&activity), patience, move |refusal| {
            heard.lock().unwrap().push(refusal);
        });
        let reader = tokio::spawn(async move {
            let mut buf = [0; 64];
            while timed.read(&mut buf).await? > 0 {}
            Ok(())
        });
        Bench { client, activity, reader, refused }
    }

    async fn pass(time: Duration) {
        // In steps, so that a timer that is armed again on the way goes off in its turn.
        for _ in 0..time.as_secs() {
            tokio::task::yield_now().await;
            advance(Duration::from_secs(1)).await;
        }
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_trickles_ends_with_408_at_its_time_and_not_before() {
        let mut bench = bench();
        pass(Duration::from_secs(7)).await;
        for _ in 0..9 {
            bench.client.write_all(b"x").await.unwrap();
            pass(Duration::from_secs(1)).await;
        }
        assert!(!bench.reader.is_finished());
        pass(Duration::from_secs(2)).await;
        assert!(bench.reader.is_finished());
        assert_eq!(bench.reader.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
        let mut answer = String::new();
        bench.client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert_eq!(*bench.refused.lock().unwrap(), [Refusal::HeadTimeout]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_ends_in_good_order() {
        let mut bench = bench();
        pass(IDLE - Duration::from_secs(1)).await;
        assert!(!bench.reader.is_finished());
        pass(Duration::from_secs(2)).await;
        bench.reader.await.unwrap().unwrap();
        let mut answer = String::new();
        bench.client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "");
        assert_eq!(*bench.refused.lock().unwrap(), [Refusal::IdleTimeout]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_its_time_is_left_alone_and_idleness_counts_from_its_end() {
        let mut bench = bench();
        bench.client.write_all(b"head").await.unwrap();
        pass(Duration::from_secs(1)).await;
        let busy = bench.activity.begin(Version::HTTP_11);
        pass(IDLE * 3).await;
        drop(busy);
        pass(IDLE - Duration::from_secs(1)).await;
        assert!(!bench.reader.is_finished());
        pass(HEAD + Duration::from_secs(2)).await;
        assert!(bench.reader.is_finished());
    }

    #[tokio::test(start_paused = true)]
    async fn frames_between_requests_are_no_head_and_a_tunnel_has_no_limit() {
        let mut framed = bench();
        drop(framed.activity.begin(Version::HTTP_2));
        framed.client.write_all(b"ping").await.unwrap();
        let mut tunnel = bench();
        tunnel.activity.begin(http::Version::HTTP_11).becomes_tunnel();
        tunnel.client.write_all(b"hello").await.unwrap();
        pass(HEAD * 2).await;
        assert!(!framed.reader.is_finished());
        pass(IDLE * 3).await;
        assert!(framed.reader.is_finished());
        assert!(!tunnel.reader.is_finished());
        tunnel.reader.abort();
    }
}
