//! One direction of HTTP/1: heads, bodies by their framing, and what is in between. It knows nothing of the
//! other direction; whoever drives it says how the body behind a head ends.

use bytes::Bytes;
use packets::stream::Nanos;
use traffic::Headers;

use super::chunked::{Chunks, Piece};
use super::framing::Framing;
use super::head::{self, Fault};
use super::line;
use super::search::Search;
use crate::body::Collector;
use crate::desk::{Desk, Side};

/// One direction while it is read.
#[derive(Debug)]
pub(crate) struct Reader {
    side: Side,
    phase: Phase,
    /// A head, as far as it is there.
    head: Vec<u8>,
    /// How much of `head` has no end of it for sure.
    searched: usize,
    /// The first line of `head` is whole, and is one.
    has_line: bool,
    /// When the first byte of the head was seen.
    pub(crate) begun: Nanos,
    pub(crate) body: Collector,
}

#[derive(Debug)]
enum Phase {
    Head,
    Length(u64),
    Chunks(Box<Chunks>),
    UntilClose,
    Search(Search),
}

/// What a step has found.
#[derive(Debug)]
pub(crate) enum Event {
    /// More bytes are needed, or there is more to be found in what is left.
    Nothing,
    /// A head. Nothing is read on before [`Reader::begin`] or [`Reader::search`].
    Head(Bytes),
    /// A message is whole, with its trailers.
    End(Headers),
    /// A message that is none, from its head or its body on.
    Fault(Fault),
    /// No first line where one was expected, but a request in HTTP/0.9 if so.
    NoMessage { http09: bool },
}

impl Reader {
    pub(crate) fn new(side: Side) -> Self {
        Self {
            side,
            phase: Phase::Head,
            head: Vec::new(),
            searched: 0,
            has_line: false,
            begun: 0,
            body: Collector::unwanted(),
        }
    }

    /// What comes next was sent at once.
    pub(crate) fn packet(&mut self, bytes: &[u8]) {
        if let Phase::Search(search) = &mut self.phase {
            search.packet(&[self.side], bytes);
        }
    }

    /// Reads on; what is left of the bytes comes first.
    pub(crate) fn step<'a>(
        &mut self,
        at: Nanos,
        bytes: &'a [u8],
        desk: &mut Desk<'_>,
    ) -> (&'a [u8], Event) {
        match &mut self.phase {
            Phase::Head => self.head(at, bytes, desk),
            Phase::Length(left) => {
                let now = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= now as u64;
                let ends = *left == 0;
                self.body.push(&bytes[..now], desk);
                (&bytes[now..], if ends { self.end(Headers::new()) } else { Event::Nothing })
            }
            Phase::Chunks(chunks) => match chunks.step(bytes, desk.limits) {
                Ok((rest, Piece::Nothing)) => (rest, Event::Nothing),
                Ok((rest, Piece::Data(data))) => {
                    self.body.push(data, desk);
                    (rest, Event::Nothing)
                }
                Ok((rest, Piece::End(trailers))) => (rest, self.end(trailers)),
                Err(fault) => (bytes, Event::Fault(fault)),
            },
            Phase::UntilClose => {
                self.body.push(bytes, desk);
                (&[], Event::Nothing)
            }
            Phase::Search(search) => {
                let found = search.step(&[self.side], bytes, desk.limits.head_bytes);
                if let Some((_, line)) = found.line {
                    self.continue_head(at, line);
                }
                (found.rest, Event::Nothing)
            }
        }
    }

    /// The body behind the head that was found: kept, or only read over.
    pub(crate) fn begin(&mut self, framing: Framing, kept: bool, desk: &mut Desk<'_>) {
        self.body = match framing {
            Framing::Length(length) if kept => Collector::of_length(length, desk),
            _ if kept => Collector::new(),
            _ => Collector::unwanted(),
        };
        self.phase = match framing {
            Framing::Nothing => Phase::Head,
            Framing::Length(length) => Phase::Length(length),
            Framing::Chunked => Phase::Chunks(Box::new(Chunks::new())),
            Framing::UntilClose => Phase::UntilClose,
        };
    }

    /// Reads on from a first line that was found elsewhere.
    pub(crate) fn continue_head(&mut self, at: Nanos, line: Vec<u8>) {
        self.begun = at;
        self.head = line;
        self.searched = head::searched(&self.head);
        self.has_line = true;
        self.phase = Phase::Head;
    }

    /// The place is lost: looks for the next message.
    pub(crate) fn search(&mut self, desk: &mut Desk<'_>) {
        self.body.forget(desk);
        self.head = Vec::new();
        if !matches!(self.phase, Phase::Search(_)) {
            self.phase = Phase::Search(Search::new());
        }
    }

    /// A message begins here, whatever was before.
    pub(crate) fn restart(&mut self) {
        self.head = Vec::new();
        self.phase = Phase::Head;
    }

    /// Bytes are missing; what that ends, or `None` if the message cannot go on.
    pub(crate) fn gap(&mut self, missing: Option<u64>, desk: &mut Desk<'_>) -> Option<Event> {
        match (&mut self.phase, missing) {
            (Phase::Length(left), Some(missing)) if missing <= *left => {
                *left -= missing;
                let ends = *left == 0;
                self.body.skip(Some(missing), desk);
                Some(if ends { self.end(Headers::new()) } else { Event::Nothing })
            }
            (Phase::Chunks(chunks), Some(missing)) if chunks.is_within(missing) => {
                chunks.skip(missing);
                self.body.skip(Some(missing), desk);
                Some(Event::Nothing)
            }
            // Nothing but more of it comes.
            (Phase::UntilClose, _) => {
                self.body.skip(missing, desk);
                Some(Event::Nothing)
            }
            _ => {
                self.phase = Phase::Search(Search::new());
                self.search(desk);
                None
            }
        }
    }

    /// Bytes of an unfinished head, or of trailers.
    pub(crate) fn unfinished(&self) -> usize {
        match &self.phase {
            Phase::Chunks(chunks) => chunks.unfinished(),
            Phase::Search(search) => search.unfinished(),
            Phase::Head | Phase::Length(_) | Phase::UntilClose => self.head.len(),
        }
    }

    /// Whether the body that is being read ends with the connection.
    pub(crate) fn is_until_close(&self) -> bool {
        matches!(self.phase, Phase::UntilClose)
    }

    /// Whether it is at a place where a message may begin, and none has.
    pub(crate) fn is_between(&self) -> bool {
        matches!(self.phase, Phase::Head) && self.head.is_empty()
    }

    /// What there is of a head, for another protocol to read.
    pub(crate) fn take_head(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.head)
    }

    fn end(&mut self, trailers: Headers) -> Event {
        self.phase = Phase::Head;
        Event::End(trailers)
    }

    fn head<'a>(&mut self, at: Nanos, bytes: &'a [u8], desk: &mut Desk<'_>) -> (&'a [u8], Event) {
        if self.head.is_empty() {
            // Empty lines in front of a message are passed over (RFC 9112 section 2.2).
            let blank = bytes.iter().take_while(|it| matches!(it, b'\r' | b'\n')).count();
            let bytes = &bytes[blank..];
            if bytes.is_empty() {
                return (bytes, Event::Nothing);
            }
            self.begun = at;
            return self.new_head(bytes, desk);
        }
        let before = self.head.len();
        let room = desk.limits.head_bytes.saturating_sub(before).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        if !self.has_line
            && let Some(event) = self.line_over(before)
        {
            return (bytes, event);
        }
        match head::end(&self.head, self.searched) {
            Some(end) => {
                let mut head = std::mem::take(&mut self.head);
                head.truncate(end);
                (&bytes[end - before..], Event::Head(Bytes::from(head)))
            }
            None if room < bytes.len() => (bytes, self.too_large()),
            None => {
                self.searched = head::searched(&self.head);
                (&[], Event::Nothing)
            }
        }
    }

    /// A head from its first byte on; where it is whole it is copied once.
    fn new_head<'a>(&mut self, bytes: &'a [u8], desk: &Desk<'_>) -> (&'a [u8], Event) {
        let limit = desk.limits.head_bytes;
        match memchr::memchr(b'\n', bytes) {
            Some(newline) => {
                let first = line::content(&bytes[..=newline]);
                if !line::is_first(self.side, first) {
                    self.phase = Phase::Search(Search::new());
                    return (bytes, Event::NoMessage { http09: line::is_http09(first) });
                }
            }
            None if !line::may_begin(self.side, bytes) => {
                self.phase = Phase::Search(Search::new());
                return (bytes, Event::NoMessage { http09: false });
            }
            None => {}
        }
        match head::end(bytes, 0) {
            Some(end) if end <= limit => {
                (&bytes[end..], Event::Head(Bytes::copy_from_slice(&bytes[..end])))
            }
            None if bytes.len() <= limit => {
                self.head.extend_from_slice(bytes);
                self.has_line = memchr::memchr(b'\n', bytes).is_some();
                self.searched = head::searched(&self.head);
                (&[], Event::Nothing)
            }
            _ => (bytes, self.too_large()),
        }
    }

    /// The first line goes on from here in the head; what is wrong with it.
    fn line_over(&mut self, from: usize) -> Option<Event> {
        let newline = memchr::memchr(b'\n', &self.head[from..]).map(|at| from + at);
        self.has_line = newline.is_some();
        let first = newline.map(|at| line::content(&self.head[..=at]));
        let is_fine = match first {
            Some(first) => line::is_first(self.side, first),
            None => line::may_begin(self.side, &self.head),
        };
        if is_fine {
            return None;
        }
        let http09 = first.is_some_and(line::is_http09);
        self.head = Vec::new();
        // What there was of the line is gone, so that it does not begin here.
        self.phase = Phase::Search(Search::within_line());
        Some(Event::NoMessage { http09 })
    }

    fn too_large(&mut self) -> Event {
        self.head = Vec::new();
        self.phase = Phase::Search(Search::within_line());
        Event::Fault(Fault::TooLarge)
    }
}
