//! What is above TLS and below HTTP/1.1: writes request targets as the client sent them (see
//! [`crate::headers::target`]), and looks at the heads of answers.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::heads::{Heads, Scan};
use crate::headers::target;

/// Longest request line that is looked at, in bytes: what a head may have, and the words in it.
const LINE_MAX: usize = 1 << 20;

/// Most that is read at once. hyper's buffer grows up to the largest head that is allowed, half a mebibyte;
/// what is read at once is held for as long as a slow client takes it.
const READ_MAX: usize = 64 * 1024;

/// A connection whose request lines are written with the bytes that hyper does not know of.
#[derive(Debug)]
pub(super) struct Raw<S> {
    inner: S,
    /// What was taken over and is not written yet.
    left: Vec<u8>,
    scan: Scan,
}

impl<S> Raw<S> {
    pub(super) fn new(inner: S, heads: Arc<Heads>) -> Self {
        Self { inner, left: Vec::new(), scan: Scan::new(heads) }
    }
}

impl<S: AsyncWrite + Unpin> Raw<S> {
    fn write_left(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.left.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.left))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.left.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    /// Takes over what begins with a line that is to be written otherwise. hyper writes a head from one
    /// buffer, and at once: no line comes in two.
    fn take_over(&mut self, bytes: &[u8]) -> bool {
        let line = bytes.iter().take(LINE_MAX).position(|byte| *byte == b'\n');
        let Some(restored) = line.and_then(|end| target::restored(&bytes[..end])) else {
            return false;
        };
        self.left = restored;
        self.left.extend_from_slice(&bytes[line.unwrap_or_default()..]);
        true
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Raw<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if buf.remaining() > READ_MAX {
            let mut part = ReadBuf::new(buf.initialize_unfilled_to(READ_MAX));
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut part))?;
            let length = part.filled().len();
            buf.advance(length);
        } else {
            ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        }
        self.scan.read(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Raw<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.write_left(cx))?;
        if target::was_seen() && self.take_over(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.write_left(cx))?;
        if target::was_seen()
            && let Some(first) = parts.iter().find(|part| !part.is_empty())
            && self.take_over(first)
        {
            return Poll::Ready(Ok(first.len()));
        }
        Pin::new(&mut self.inner).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_left(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_left(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn little_is_read_at_once_whatever_room_there_is() {
        let sent: Vec<u8> = (0..300_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        let mut raw = Raw::new(sent.as_slice(), Heads::new(&Arc::default()));
        let (mut got, mut buffer) = (Vec::new(), vec![0; 512 * 1024]);
        loop {
            let length = raw.read(&mut buffer).await.unwrap();
            assert!(length <= READ_MAX);
            if length == 0 {
                break;
            }
            got.extend_from_slice(&buffer[..length]);
        }
        assert_eq!(got, sent);
    }
}
