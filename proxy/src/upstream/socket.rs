//! The TCP connection below HTTP/1.1: an answer that has come wins over an error in writing, and a
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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// How long what came before a failure to write may stay unread. Its reader may be a slow client,
/// and a connection that nobody reads any more must still end.
const UNREAD: Duration = Duration::from_secs(10);

/// A connection whose failures to write wait until all that came is read.
#[derive(Debug)]
pub(super) struct Socket {
    tcp: Arc<Mutex<TcpStream>>,
    failure: Option<Failure>,
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
pub(super) struct Watch(Weak<Mutex<TcpStream>>);

fn lock(tcp: &Mutex<TcpStream>) -> MutexGuard<'_, TcpStream> {
    tcp.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Whether the other end has neither closed the connection nor said anything on it. Costs a
    /// system call; the runtime itself may not have noticed yet.
    pub(super) fn is_quiet(&self) -> bool {
        let Some(tcp) = self.0.upgrade() else { return false };
        let mut byte = [MaybeUninit::uninit()];
        let peeked = SockRef::from(&*lock(&tcp)).peek(&mut byte);
        peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

impl Socket {
    pub(super) fn new(tcp: TcpStream) -> Self {
        Self { tcp: Arc::new(Mutex::new(tcp)), failure: None }
    }

    pub(super) fn watch(&self) -> Watch {
        Watch(Arc::downgrade(&self.tcp))
    }

    fn write<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.failure.is_none() {
            let kind = match ready!(write(Pin::new(&mut *lock(&self.tcp)), cx)) {
                Err(error) if is_closed(error.kind()) => error.kind(),
                written => return Poll::Ready(written),
            };
            let patience = Box::pin(sleep(UNREAD));
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

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut *lock(&self.tcp)).poll_read(cx, buf));
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

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |tcp, cx| tcp.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |tcp, cx| tcp.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TCP has nothing to flush.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *lock(&self.tcp)).poll_shutdown(cx)
    }
}
