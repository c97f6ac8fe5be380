//! A client's connection, whose targets over HTTP/2 are looked at before hyper reads them: see
//! [`crate::headers::target`].
//!
//! Frames that hold no header block pass as they are, and so do blocks where nothing is replaced. A block
//! that comes in pieces is kept until it is whole, within the limit for a head. What is no HTTP/2 is for
//! h2 to refuse: from there on everything passes. Frames that ask for nothing are counted, and too many of
//! them in a time end the connection.

use std::borrow::Cow;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::timed::Activity;
use crate::exchange::Refusal;

mod hpack;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Length of a frame's head.
const HEAD: usize = 9;
/// Longest payload that hyper announces to take.
const PAYLOAD_MAX: usize = 16_384;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY_FRAME: u8 = 2;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
/// Of data: the stream ends. Of settings and pings: it is an answer to ours.
const END_STREAM_OR_ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;
/// Length of what is said of a priority.
const PRIORITY_LENGTH: usize = 5;

/// Frames that may ask for nothing within [`CONTROL_IN`]: pings, settings, priorities, empty data, and
/// frames nobody knows. Clients measure their connection with pings while answers come, so that what was
/// written to them allows for more: one for each [`CONTROL_FOR`] bytes.
const CONTROL_MAX: u64 = 10_000;
/// See [`CONTROL_MAX`].
const CONTROL_IN: Duration = Duration::from_secs(10);
/// See [`CONTROL_MAX`].
const CONTROL_FOR: u64 = 1000;

/// A client's connection below HTTP.
#[derive(Debug)]
pub struct Frames<S> {
    inner: S,
    activity: Arc<Activity>,
    /// Since when frames that ask for nothing are counted, and what was written since then.
    since: Instant,
    written: u64,
    filter: Filter,
    /// What is to be handed out before more is read, from `given` on.
    ready: Vec<u8>,
    given: usize,
}

impl<S> Frames<S> {
    /// Header blocks up to `head_max` bytes are looked at.
    pub fn new(inner: S, head_max: usize, activity: Arc<Activity>) -> Self {
        let (filter, since) = (Filter::new(head_max), Instant::now());
        Self { inner, activity, since, written: 0, filter, ready: Vec::new(), given: 0 }
    }

    /// Looks at the clock only once there are many.
    fn watch_control(&mut self) {
        if self.filter.control <= CONTROL_MAX + self.written / CONTROL_FOR {
            return;
        }
        let now = Instant::now();
        if now.saturating_duration_since(self.since) < CONTROL_IN {
            self.activity.flood(Refusal::Flood);
        }
        (self.since, self.written, self.filter.control) = (now, 0, 0);
    }

    fn note_written(&mut self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            self.written += *bytes as u64;
        }
    }

    fn hand_out(&mut self, buf: &mut ReadBuf<'_>) {
        let rest = &self.ready[self.given..];
        let length = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..length]);
        self.given += length;
        if self.given == self.ready.len() {
            (self.ready, self.given) = (Vec::new(), 0);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Frames<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if !self.ready.is_empty() {
                self.hand_out(buf);
                return Poll::Ready(Ok(()));
            }
            match self.filter.state {
                State::Done => return Pin::new(&mut self.inner).poll_read(cx, buf),
                State::Lost => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                State::Preface(_) | State::Frames => {}
            }
            let before = buf.filled().len();
            if buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
            let came = &buf.filled()[before..];
            let instead = if came.is_empty() { self.filter.end() } else { self.filter.read(came) };
            self.watch_control();
            let Some(instead) = instead else { return Poll::Ready(Ok(())) };
            buf.set_filled(before);
            self.ready = instead;
        }
    }
}

/// Whether the library ended a connection of HTTP/2 for more resets, continuations or small frames
/// than it bears with; it alone counts them.
pub fn is_flood(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|it| it.downcast_ref::<h2::Error>());
    cause.is_some_and(|it| it.is_library() && it.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So much of it has come.
    Preface(usize),
    Frames,
    /// All that comes passes.
    Done,
    /// Nothing passes any more: what stands for another may be in h2's table, and nobody knows where.
    Lost,
}

#[derive(Debug)]
struct Filter {
    head_max: usize,
    state: State,
    /// Bytes to come of a frame that passes.
    passing: usize,
    /// The beginning of a frame's head, or of a header block: more than that is never kept.
    held: Vec<u8>,
    table: hpack::Table,
    /// Frames that ask for nothing.
    control: u64,
}

/// What is at the beginning of some bytes.
enum Next<'a> {
    /// A frame that passes, of this length.
    Passing(usize),
    /// A header block in one or more frames.
    Block(Parts<'a>),
    /// The rest is not here yet.
    Incomplete,
    /// Nothing that h2 takes, or more than a head may have.
    Refused,
}

/// A header block in its frames.
struct Parts<'a> {
    /// Of the first frame.
    before: Range<usize>,
    fragment: Cow<'a, [u8]>,
    padding: Range<usize>,
    length: usize,
}

impl Filter {
    fn new(head_max: usize) -> Self {
        Self {
            head_max,
            state: State::Preface(0),
            passing: 0,
            held: Vec::new(),
            table: hpack::Table::default(),
            control: 0,
        }
    }

    /// What is to be read instead of these bytes; `None` for just these.
    fn read(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let begin = match self.state {
            State::Frames => 0,
            State::Preface(come) => self.preface(come, bytes)?,
            State::Done | State::Lost => return None,
        };
        if self.held.is_empty() {
            let (instead, rest) = self.frames(bytes, begin)?;
            self.held.extend_from_slice(&bytes[rest..]);
            return Some(instead);
        }
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(bytes);
        let Some((instead, rest)) = self.frames(&all, 0) else { return Some(all) };
        // A block that comes in many pieces is not copied for each.
        self.held = if rest == 0 { all } else { all.split_off(rest) };
        Some(instead)
    }

    /// What is left over when nothing more comes.
    fn end(&mut self) -> Option<Vec<u8>> {
        self.state = State::Done;
        let held = std::mem::take(&mut self.held);
        (!held.is_empty()).then_some(held)
    }

    /// Where the preface ends in these bytes, if it does.
    fn preface(&mut self, come: usize, bytes: &[u8]) -> Option<usize> {
        let rest = &PREFACE[come..];
        let length = rest.len().min(bytes.len());
        let is_preface = bytes[..length] == rest[..length];
        self.state = match come + length {
            _ if !is_preface => State::Done,
            whole if whole == PREFACE.len() => State::Frames,
            part => State::Preface(part),
        };
        (self.state == State::Frames).then_some(length)
    }

    /// What is to be read instead of these bytes, and where what is kept of them begins; `None` for just
    /// these.
    fn frames(&mut self, bytes: &[u8], begin: usize) -> Option<(Vec<u8>, usize)> {
        let (mut at, mut copied) = (begin, 0);
        let mut instead: Option<Vec<u8>> = None;
        loop {
            let passing = self.passing.min(bytes.len() - at);
            self.passing -= passing;
            at += passing;
            let rest = &bytes[at..];
            if rest.is_empty() {
                break;
            }
            let parts = match self.next(rest) {
                Next::Passing(length) => {
                    self.passing = length;
                    continue;
                }
                Next::Block(parts) => parts,
                Next::Incomplete => {
                    let mut instead = instead.unwrap_or_default();
                    instead.extend_from_slice(&bytes[copied..at]);
                    return Some((instead, at));
                }
                Next::Refused => return self.give_up(bytes, copied, at, instead),
            };
            let Ok(written) = self.table.read(&parts.fragment) else {
                return self.give_up(bytes, copied, at, instead);
            };
            if let Some(written) = written {
                let into: &mut Vec<u8> = instead.get_or_insert_default();
                into.extend_from_slice(&bytes[copied..at]);
                parts.write(&written, rest, into);
                copied = at + parts.length;
            }
            at += parts.length;
        }
        let mut instead = instead?;
        instead.extend_from_slice(&bytes[copied..]);
        Some((instead, bytes.len()))
    }

    /// What cannot be read passes, as long as nothing stands for another.
    fn give_up(
        &mut self,
        bytes: &[u8],
        copied: usize,
        at: usize,
        instead: Option<Vec<u8>>,
    ) -> Option<(Vec<u8>, usize)> {
        let is_lost = self.table.has_replaced();
        self.state = if is_lost { State::Lost } else { State::Done };
        if instead.is_none() && !is_lost {
            return None;
        }
        let mut instead = instead.unwrap_or_default();
        instead.extend_from_slice(&bytes[copied..if is_lost { at } else { bytes.len() }]);
        Some((instead, bytes.len()))
    }

    fn next<'a>(&mut self, bytes: &'a [u8]) -> Next<'a> {
        let Some(first) = Head::read(bytes) else { return Next::Incomplete };
        self.control += u64::from(first.asks_for_nothing());
        match first.kind {
            HEADERS => {}
            CONTINUATION => return Next::Refused,
            _ => return Next::Passing(HEAD + first.length),
        }
        self.block(&first, bytes).map_or_else(|next| next, Next::Block)
    }

    fn block<'a>(&self, first: &Head, bytes: &'a [u8]) -> Result<Parts<'a>, Next<'a>> {
        let mut frames = Vec::new();
        let (mut head, mut at) = (*first, 0);
        loop {
            frames.push(at + HEAD..at + HEAD + head.length);
            at += HEAD + head.length;
            // As many frames as h2 takes, and as many bytes as a head may have.
            let most = self.head_max / PAYLOAD_MAX * 5 / 4 + 5;
            if head.length > PAYLOAD_MAX || at > self.head_max + PAYLOAD_MAX || frames.len() > most
            {
                return Err(Next::Refused);
            }
            if head.flags & END_HEADERS != 0 {
                break;
            }
            head = Head::read(bytes.get(at..).unwrap_or_default()).ok_or(Next::Incomplete)?;
            if head.kind != CONTINUATION || head.stream != first.stream {
                return Err(Next::Refused);
            }
        }
        if bytes.len() < at {
            return Err(Next::Incomplete);
        }
        Parts::new(first, &frames, bytes).ok_or(Next::Refused)
    }
}

impl<'a> Parts<'a> {
    fn new(first: &Head, frames: &[Range<usize>], bytes: &'a [u8]) -> Option<Self> {
        let (frame, more) = frames.split_first()?;
        let padding = if first.flags & PADDED == 0 {
            0
        } else {
            usize::from(*bytes.get(frame.clone())?.first()?)
        };
        let padded = usize::from(first.flags & PADDED != 0);
        let priority = if first.flags & PRIORITY == 0 { 0 } else { PRIORITY_LENGTH };
        let start = frame.start + padded + priority;
        let end = frame.end.checked_sub(padding)?;
        let mut fragment = Cow::Borrowed(bytes.get(start..end)?);
        for frame in more {
            fragment.to_mut().extend_from_slice(&bytes[frame.clone()]);
        }
        let length = frames.last()?.end;
        Some(Self { before: frame.start..start, fragment, padding: end..frame.end, length })
    }

    /// Writes frames with another block, where `bytes` has these.
    fn write(&self, block: &[u8], bytes: &[u8], into: &mut Vec<u8>) {
        let room = PAYLOAD_MAX - self.before.len() - self.padding.len();
        let (now, mut later) = block.split_at(block.len().min(room));
        let length = self.before.len() + now.len() + self.padding.len();
        let (flags, stream) = (bytes[4] & !END_HEADERS, &bytes[5..HEAD]);
        let head = |length: usize, kind, flags, is_last, into: &mut Vec<u8>| {
            into.extend_from_slice(&length.to_be_bytes()[size_of::<usize>() - 3..]);
            into.extend_from_slice(&[kind, if is_last { flags | END_HEADERS } else { flags }]);
            into.extend_from_slice(stream);
        };
        head(length, HEADERS, flags, later.is_empty(), into);
        into.extend_from_slice(&bytes[self.before.clone()]);
        into.extend_from_slice(now);
        into.extend_from_slice(&bytes[self.padding.clone()]);
        while !later.is_empty() {
            let (now, rest) = later.split_at(later.len().min(PAYLOAD_MAX));
            head(now.len(), CONTINUATION, 0, rest.is_empty(), into);
            into.extend_from_slice(now);
            later = rest;
        }
    }
}

/// The head of a frame.
#[derive(Clone, Copy)]
struct Head {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Head {
    fn read(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, stream @ ..] = *bytes.first_chunk::<HEAD>()?;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        // The first bit of the stream's number says nothing.
        Some(Self { length, kind, flags, stream: u32::from_be_bytes(stream) & 0x7fff_ffff })
    }

    fn asks_for_nothing(self) -> bool {
        let is_plain = self.flags & END_STREAM_OR_ACK == 0;
        match self.kind {
            DATA => is_plain && self.length == 0,
            PING | SETTINGS => is_plain,
            kind => kind == PRIORITY_FRAME || kind > CONTINUATION,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Frames<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.note_written(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, parts);
        self.note_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
