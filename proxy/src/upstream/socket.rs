//! The connection below HTTP/1.1: an answer that has come wins over an error in writing, and a
//! connection that waits can be asked whether its other end has closed it.
//!
//! A server may answer an upload on its head and close with the body unread. Its answer lies in our
//! receive buffer then, while writing the rest fails; hyper reports the failure and never looks
//! (RFC 9112, section 9.5). Such a failure is therefore kept back: writing waits, and reading goes
//! on until the connection's end, which says the rest. It stands below TLS, so that TLS is read on
//! as well.

use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, Sleep, sleep};

use super::heads::Heads;

/// How long what came before a failure to write may stay unread. Its reader may be a slow client,
/// and a connection that nobody reads any more must still end.
const UNREAD: Duration = Duration::from_secs(10);

/// What there are connections over.
pub(super) trait Kept:
    AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug + 'static
{
    fn socket(&self) -> SockRef<'_>;
}

impl Kept for TcpStream {
    fn socket(&self) -> SockRef<'_> {
        SockRef::from(self)
    }
}

impl Kept for UnixStream {
    fn socket(&self) -> SockRef<'_> {
        SockRef::from(self)
    }
}

/// A connection whose failures to write wait until all that came is read.
#[derive(Debug)]
pub(super) struct Socket<S> {
    inner: Arc<Shared<S>>,
    failure: Option<Failure>,
    /// A failure to read that was seen and not told yet.
    reset: bool,
}

/// What a connection and who looks at it share.
#[derive(Debug)]
struct Shared<S> {
    stream: Mutex<S>,
    /// Writing failed: there is no further request on it.
    failed: AtomicBool,
}

#[derive(Debug)]
struct Failure {
    kind: ErrorKind,
    /// Nothing more comes.
    read_to_end: bool,
    patience: Pin<Box<Sleep>>,
}

/// Looks at a connection that others read and write.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    connection: Weak<dyn Watched>,
    heads: Arc<Heads>,
}

trait Watched: Send + Sync + std::fmt::Debug {
    fn has_failed(&self) -> bool;
    fn is_quiet(&self) -> bool;
}

impl<S> Shared<S> {
    fn lock(&self) -> MutexGuard<'_, S> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Kept> Watched for Shared<S> {
    fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    fn is_quiet(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let peeked = self.lock().socket().peek(&mut byte);
        peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

impl Watch {
    /// A request goes out on it.
    pub(super) fn begin(&self) {
        self.heads.begin();
    }

    /// Whether writing failed, which is kept back from who writes as long as there is something to read,
    /// or the connection is gone.
    pub(super) fn has_failed(&self) -> bool {
        self.connection.upgrade().is_none_or(|connection| connection.has_failed())
    }

    /// Whether the other end has neither closed the connection nor said anything on it. Costs a
    /// system call; the runtime itself may not have noticed yet.
    pub(super) fn is_quiet(&self) -> bool {
        self.connection.upgrade().is_some_and(|connection| connection.is_quiet())
    }
}

impl<S: Kept> Socket<S> {
    pub(super) fn new(inner: S) -> Self {
        let (stream, failed) = (Mutex::new(inner), AtomicBool::new(false));
        Self { inner: Arc::new(Shared { stream, failed }), failure: None, reset: false }
    }

    pub(super) fn watch(&self, heads: &Arc<Heads>) -> Watch {
        let inner: Weak<Shared<S>> = Arc::downgrade(&self.inner);
        Watch { connection: inner, heads: Arc::clone(heads) }
    }

    fn write<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.failure.is_none() {
            let kind = match ready!(write(Pin::new(&mut *self.inner.lock()), cx)) {
                Err(error) if is_closed(error.kind()) => error.kind(),
                written => return Poll::Ready(written),
            };
            let patience = Box::pin(sleep(UNREAD));
            self.inner.failed.store(true, Ordering::Relaxed);
            self.failure = Some(Failure { kind, read_to_end: false, patience });
            // Who writes may have read already, and finds more now.
            cx.waker().wake_by_ref();
        }
        self.failed(cx)
    }

    fn failed<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        match &mut self.failure {
            Some(failure) => {
                if !failure.read_to_end {
                    ready!(failure.patience.as_mut().poll(cx));
                }
                Poll::Ready(Err(failure.kind.into()))
            }
            None => Poll::Pending,
        }
    }
}

/// Whether a failure to write says that the other end is gone.
fn is_closed(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
    )
}

impl<S: Kept> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut *self.inner.lock()).poll_read(cx, buf));
        // TLS reads until nothing more comes, and drops what it has deciphered when that fails: told a
        // turn later, the failure finds nothing left.
        if read.as_ref().is_err_and(|error| is_closed(error.kind())) && !self.reset {
            self.reset = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(failure) = &mut self.failure {
            if read.is_err() || buf.filled().len() == before {
                failure.read_to_end = true;
                cx.waker().wake_by_ref();
            } else {
                failure.patience.as_mut().reset(Instant::now() + UNREAD);
            }
        }
        Poll::Ready(read)
    }
}

impl<S: Kept> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |inner, cx| inner.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |inner, cx| inner.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Sockets have nothing to flush.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner.lock()).poll_shutdown(cx)
    }
}
