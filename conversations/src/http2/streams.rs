//! The streams of one connection, from a request's head to the end of its answer.
//!
//! A stream's number says which answer is to which request, so that there is nothing to guess. What the
//! connection had before is known as well: blocks of headers can be read from the first byte on or not at
//! all.

use std::collections::BTreeMap;
use std::time::Duration;

use packets::stream::Nanos;
use traffic::{Answer, Headers, Request};

use super::fields;
use super::frames::Block;
use super::hpack::Lines;
use crate::Lost;
use crate::body::Collector;
use crate::desk::{Desk, Side};
use crate::http1::Upgraded;

/// The streams that are open.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    open: BTreeMap<u32, Stream>,
    /// The last that the client opened.
    last: u32,
    server_ended: bool,
}

#[derive(Debug)]
struct Stream {
    request: Request,
    at: Nanos,
    whole: Option<Nanos>,
    asked: Collector,
    answer: Option<Answer>,
    answered: Collector,
    answer_whole: bool,
    /// What the heads hold.
    held: usize,
}

/// A malformed connection: none of its streams can be followed any more.
#[derive(Debug)]
pub(crate) struct Broken;

impl Streams {
    /// With a request of HTTP/1.1 as its first stream.
    pub(crate) fn upgraded(from: Upgraded) -> Self {
        let mut new = Self { last: 1, ..Self::default() };
        let mut stream = Stream::new(from.request, from.at, from.held);
        stream.whole = Some(from.whole);
        stream.asked = Collector::unwanted();
        new.open.insert(1, stream);
        new
    }

    /// A block of headers was read.
    pub(crate) fn headers(
        &mut self,
        side: Side,
        at: Nanos,
        block: &Block,
        lines: Lines,
        desk: &mut Desk<'_>,
    ) -> Result<(), Broken> {
        if block.promised {
            desk.lost(Lost::Pushed);
            return Ok(());
        }
        match side {
            Side::Client if block.stream.is_multiple_of(2) => Err(Broken),
            Side::Client if block.stream > self.last => {
                self.last = block.stream;
                self.asks(at, block, lines, desk);
                Ok(())
            }
            Side::Client => {
                let trailers = if lines.too_large { None } else { fields::trailers(lines.lines) };
                self.client_trailers(at, block, trailers.is_some(), desk);
                Ok(())
            }
            // It answers what was not seen, or what it promised.
            Side::Server if block.stream > self.last && !block.stream.is_multiple_of(2) => {
                desk.lost(Lost::AnswerAlone);
                Ok(())
            }
            Side::Server => {
                self.answers(at, block, lines, desk);
                Ok(())
            }
        }
    }

    fn asks(&mut self, at: Nanos, block: &Block, lines: Lines, desk: &mut Desk<'_>) {
        desk.seen();
        if lines.too_large {
            return desk.lost(Lost::HeadTooLarge);
        }
        let Some(request) = fields::request(lines.lines) else { return desk.lost(Lost::Malformed) };
        if self.server_ended {
            return desk.lost(Lost::NoAnswer);
        }
        if self.open.len() >= desk.limits.pending {
            return desk.lost(Lost::TooManyPending);
        }
        if desk.account.take(lines.bytes).is_err() {
            return desk.lost(Lost::NoRoom);
        }
        let mut stream = Stream::new(request, block.begun, lines.bytes);
        if let Some(Some(length)) = fields::length(&stream.request.headers) {
            stream.asked = Collector::of_length(length, desk);
        }
        self.open.insert(block.stream, stream);
        if block.ends {
            self.ends(Side::Client, at, block.stream, desk);
        }
    }

    fn client_trailers(&mut self, at: Nanos, block: &Block, are_fine: bool, desk: &mut Desk<'_>) {
        if block.ends && are_fine {
            self.ends(Side::Client, at, block.stream, desk);
        } else {
            self.lose(block.stream, Lost::Malformed, desk);
        }
    }

    fn answers(&mut self, at: Nanos, block: &Block, lines: Lines, desk: &mut Desk<'_>) {
        let Some(stream) = self.open.get_mut(&block.stream) else { return };
        let id = block.stream;
        if lines.too_large {
            return self.lose(id, Lost::HeadTooLarge, desk);
        }
        if desk.account.take(lines.bytes).is_err() {
            return self.lose(id, Lost::NoRoom, desk);
        }
        stream.held += lines.bytes;
        if let Some(answer) = &mut stream.answer {
            match fields::trailers(lines.lines) {
                Some(trailers) if block.ends => answer.trailers = trailers,
                _ => return self.lose(id, Lost::Malformed, desk),
            }
        } else {
            let Some(mut answer) = fields::answer(lines.lines) else {
                return self.lose(id, Lost::Malformed, desk);
            };
            if answer.status < 200 {
                stream.held -= lines.bytes;
                desk.account.give(lines.bytes);
                // RFC 9113 section 8.1: such an answer ends no stream, and none changes the protocol.
                if block.ends || answer.status == 101 {
                    self.lose(id, Lost::Malformed, desk);
                }
                return;
            }
            if stream.request.method == "CONNECT" && answer.status < 300 {
                return self.lose(id, Lost::Tunnel, desk);
            }
            answer.latency =
                stream.whole.and_then(|it| at.checked_sub(it)).map(Duration::from_nanos);
            if let Some(Some(length)) = fields::length(&answer.headers)
                && stream.request.method != "HEAD"
            {
                stream.answered = Collector::of_length(length, desk);
            }
            stream.answer = Some(answer);
        }
        if block.ends {
            self.ends(Side::Server, at, id, desk);
        }
    }

    /// Some of a body.
    pub(crate) fn data(&mut self, side: Side, id: u32, bytes: &[u8], desk: &mut Desk<'_>) {
        let Some(stream) = self.open.get_mut(&id) else { return };
        match side {
            Side::Client if stream.whole.is_none() => stream.asked.push(bytes, desk),
            Side::Server if stream.answer.is_some() && !stream.answer_whole => {
                stream.answered.push(bytes, desk);
            }
            _ => self.lose(id, Lost::Malformed, desk),
        }
    }

    /// Some of a body is missing.
    pub(crate) fn gap(&mut self, side: Side, id: u32, missing: u64, desk: &mut Desk<'_>) {
        let Some(stream) = self.open.get_mut(&id) else { return };
        match side {
            Side::Client => stream.asked.skip(Some(missing), desk),
            Side::Server => stream.answered.skip(Some(missing), desk),
        }
    }

    /// One side has said all of a stream.
    pub(crate) fn ends(&mut self, side: Side, at: Nanos, id: u32, desk: &mut Desk<'_>) {
        let Some(stream) = self.open.get_mut(&id) else { return };
        match side {
            Side::Client if stream.whole.is_none() => stream.whole = Some(at),
            Side::Server if stream.answer.is_some() => stream.answer_whole = true,
            _ => return self.lose(id, Lost::Malformed, desk),
        }
        if stream.whole.is_none() || !stream.answer_whole {
            return;
        }
        if !stream.is_of_its_length() {
            return self.lose(id, Lost::Malformed, desk);
        }
        let Some(Stream {
            mut request,
            at,
            asked,
            answer: Some(mut answer),
            answered,
            mut held,
            ..
        }) = self.open.remove(&id)
        else {
            return;
        };
        let (body, more) = answered.finish();
        answer.body = body;
        held += more;
        // The body of a request that was upgraded is there already.
        if request.version == "2" {
            let (body, more) = asked.finish();
            request.body = body;
            held += more;
        }
        desk.exchange(at, request, answer, held);
    }

    /// A stream is given up.
    pub(crate) fn lose(&mut self, id: u32, why: Lost, desk: &mut Desk<'_>) {
        if let Some(stream) = self.open.remove(&id) {
            stream.give_up(why, desk);
        }
    }

    /// Streams above this one are not answered.
    pub(crate) fn lose_above(&mut self, last: u32, desk: &mut Desk<'_>) {
        for (_, stream) in self.open.split_off(&last.saturating_add(1)) {
            stream.give_up(Lost::Reset, desk);
        }
    }

    /// All that are open are given up.
    pub(crate) fn lose_all(&mut self, why: Lost, desk: &mut Desk<'_>) {
        for (_, stream) in std::mem::take(&mut self.open) {
            stream.give_up(why, desk);
        }
    }

    /// One side says no more.
    pub(crate) fn end(&mut self, side: Side, desk: &mut Desk<'_>) {
        self.server_ended |= side == Side::Server;
        let is_over = |stream: &Stream| match side {
            Side::Client => stream.whole.is_none(),
            Side::Server => !stream.answer_whole,
        };
        let over: Vec<u32> =
            self.open.iter().filter(|(_, stream)| is_over(stream)).map(|(id, _)| *id).collect();
        for id in over {
            let begun =
                side == Side::Client || self.open.get(&id).is_some_and(|it| it.answer.is_some());
            self.lose(id, if begun { Lost::CutShort } else { Lost::NoAnswer }, desk);
        }
    }
}

impl Stream {
    fn new(request: Request, at: Nanos, held: usize) -> Self {
        Self {
            request,
            at,
            whole: None,
            asked: Collector::new(),
            answer: None,
            answered: Collector::new(),
            answer_whole: false,
            held,
        }
    }

    /// Whether the bodies have the lengths that the heads say (RFC 9113 section 8.1.1).
    fn is_of_its_length(&self) -> bool {
        let is_so = |headers: &Headers, length: Option<u64>| match (fields::length(headers), length)
        {
            (None, _) => false,
            (Some(said), is) => said.is_none() || is.is_none() || said == is,
        };
        let Some(answer) = &self.answer else { return false };
        let no_body = self.request.method == "HEAD" || answer.status == 304;
        let asked =
            self.request.version != "2" || is_so(&self.request.headers, self.asked.length());
        asked && (is_so(&answer.headers, self.answered.length()) || no_body)
    }

    fn give_up(mut self, why: Lost, desk: &mut Desk<'_>) {
        desk.account.give(self.held);
        self.asked.forget(desk);
        self.answered.forget(desk);
        desk.lost(why);
    }
}
