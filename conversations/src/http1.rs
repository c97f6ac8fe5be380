//! HTTP/1.0 and 1.1: two directions of messages, and the exchanges that they make.
//!
//! The two are read on their own; what joins them is [`pairing`], where the rule stands by which an answer is
//! taken for that to a request, and when none is.
//!
//! A gap that is wholly inside of a body of known length, or of one of its chunks, ends no message: the body is
//! [`traffic::Body::NotKept`] with its length. So it is with a gap in a body that ends with the connection,
//! for nothing else follows one.

pub(crate) mod chunked;
pub(crate) mod framing;
pub(crate) mod head;
pub(crate) mod line;
pub(crate) mod pairing;
pub(crate) mod reader;
pub(crate) mod search;

use std::time::Duration;

use bytes::Bytes;
use packets::stream::{End, Nanos};
use traffic::{Answer, Headers, Request};

use crate::Lost;
use crate::desk::{Desk, Side};
use framing::{Asked, Framing};
use head::Fault;
use pairing::{Entry, Offer, Pairing};
use reader::{Event, Reader};

/// A conversation in HTTP/1.
#[derive(Debug)]
pub(crate) struct Http1 {
    client: Reader,
    server: Reader,
    pairs: Pairing,
    asking: Asking,
    answering: Answering,
    /// A message was seen: what is none from now on is garbage, and no other protocol.
    heard: bool,
    server_ended: bool,
}

/// The request that is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    Nothing,
    /// It is the last that waits.
    Last,
    /// It is given up, or out of step.
    Left,
}

/// The answer that is being read.
#[derive(Debug)]
enum Answering {
    Nothing,
    /// To the first that waits.
    First(Box<Answer>, usize),
    /// To the first that waits, which was given up.
    LeftFirst,
    /// To none that is known.
    Left,
}

/// How a conversation goes on.
#[derive(Debug)]
pub(crate) enum Turn {
    /// In something that is not HTTP; all was counted.
    Leave,
    /// It was something else from the beginning.
    NotHttp,
    /// In HTTP/2, whose first stream is this request.
    Http2(Box<Upgraded>),
}

/// A request that is answered in HTTP/2.
#[derive(Debug)]
pub(crate) struct Upgraded {
    pub(crate) request: Request,
    pub(crate) at: Nanos,
    pub(crate) whole: Nanos,
    pub(crate) held: usize,
    /// What the client has begun to say.
    pub(crate) client: Vec<u8>,
}

impl Http1 {
    /// With every byte seen from the beginning, or from somewhere on.
    pub(crate) fn new(in_step: bool) -> Self {
        Self {
            client: Reader::new(Side::Client),
            server: Reader::new(Side::Server),
            pairs: Pairing::new(in_step),
            asking: Asking::Nothing,
            answering: Answering::Nothing,
            heard: false,
            server_ended: false,
        }
    }

    /// Joined late, at a first line of one side. `fresh` if the client's first request stands, or is yet
    /// to stand, at the beginning of what it was seen to send.
    pub(crate) fn joined(
        side: Side,
        fresh: bool,
        at: Nanos,
        line: Vec<u8>,
        desk: &mut Desk<'_>,
    ) -> Self {
        let mut new = Self::new(false);
        new.heard = true;
        new.server.search(desk);
        if fresh {
            new.pairs.join();
        } else {
            new.client.search(desk);
        }
        match side {
            Side::Client => new.client.continue_head(at, line),
            Side::Server => new.server.continue_head(at, line),
        }
        new
    }

    /// Bytes of one side; with a turn what is left of them.
    pub(crate) fn data<'a>(
        &mut self,
        side: Side,
        at: Nanos,
        bytes: &'a [u8],
        desk: &mut Desk<'_>,
    ) -> Option<(Turn, &'a [u8])> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (left, event) = match side {
                Side::Client => self.client.step(at, rest, desk),
                Side::Server => self.server.step(at, rest, desk),
            };
            rest = left;
            let turn = match side {
                Side::Client => self.client_event(at, event, desk),
                Side::Server => self.server_event(at, event, desk),
            };
            if let Some(turn) = turn {
                return Some((turn, rest));
            }
        }
        None
    }

    /// Bytes of one side are missing.
    pub(crate) fn gap(&mut self, side: Side, at: Nanos, missing: Option<u64>, desk: &mut Desk<'_>) {
        match side {
            Side::Client => match self.client.gap(missing, desk) {
                Some(event) => drop(self.client_event(at, event, desk)),
                None => self.client_trouble(Lost::Gap, desk),
            },
            Side::Server => match self.server.gap(missing, desk) {
                Some(event) => drop(self.server_event(at, event, desk)),
                None => self.server_trouble(Lost::Gap, Lost::Gap, desk),
            },
        }
    }

    /// Nothing more comes from one side.
    pub(crate) fn end(&mut self, side: Side, at: Nanos, how: End, desk: &mut Desk<'_>) {
        match side {
            Side::Client => {
                if self.asking == Asking::Last {
                    self.give_up_asking(Lost::CutShort, desk);
                }
                self.asking = Asking::Nothing;
            }
            Side::Server => {
                if self.server.is_until_close() && how == End::Finished {
                    self.answer_ends(at, Headers::new(), desk);
                }
                let cut =
                    !matches!(self.answering, Answering::Nothing) || !self.server.is_between();
                self.server_ended = true;
                self.forget_answering(desk);
                // One that is answered, and not whole itself, may become so.
                let kept = self.pairs.waiting.pop_back_if(|it| it.answer.is_some());
                let first = if cut { Lost::CutShort } else { Lost::NoAnswer };
                self.pairs.lost_answers(first, Lost::NoAnswer, desk);
                match kept {
                    Some(entry) => self.pairs.waiting.push_back(entry),
                    None => self.leave_asking(desk),
                }
            }
        }
    }

    /// What is open is given up.
    pub(crate) fn give_up(&mut self, why: Lost, desk: &mut Desk<'_>) {
        self.client_trouble(why, desk);
        self.server_trouble(why, why, desk);
    }

    fn client_event(&mut self, at: Nanos, event: Event, desk: &mut Desk<'_>) -> Option<Turn> {
        match event {
            Event::Nothing => {}
            Event::Head(head) => self.asks(at, &head, desk),
            Event::End(_) => self.request_ends(at, desk),
            Event::Fault(fault) if self.asking == Asking::Nothing => {
                self.heard = true;
                desk.seen_and_lost(why(fault));
                self.client_trouble(Lost::Malformed, desk);
            }
            Event::Fault(fault) => self.client_trouble(why(fault), desk),
            Event::NoMessage { http09: true } if !self.heard => {
                desk.seen_and_lost(Lost::Http09);
                return Some(Turn::Leave);
            }
            Event::NoMessage { .. } if !self.heard => return Some(Turn::NotHttp),
            Event::NoMessage { .. } => {
                desk.lost(Lost::Garbage);
                self.client_trouble(Lost::Malformed, desk);
            }
        }
        None
    }

    fn server_event(&mut self, at: Nanos, event: Event, desk: &mut Desk<'_>) -> Option<Turn> {
        match event {
            Event::Nothing => {}
            Event::Head(head) => return self.answers(at, &head, desk),
            Event::End(trailers) => self.answer_ends(at, trailers, desk),
            Event::Fault(fault) => self.no_answer(why(fault), desk),
            Event::NoMessage { .. } if !self.heard => return Some(Turn::NotHttp),
            Event::NoMessage { .. } => {
                desk.lost(Lost::Garbage);
                self.server_trouble(Lost::Malformed, Lost::OutOfStep, desk);
            }
        }
        None
    }

    fn asks(&mut self, at: Nanos, head: &Bytes, desk: &mut Desk<'_>) {
        self.heard = true;
        let parsed = head::request(head, desk.limits).and_then(|request| {
            let framing = framing::of_request(&request.version, &request.headers);
            framing.map(|framing| (request, framing)).ok_or(Fault::Malformed)
        });
        let (request, framing) = match parsed {
            Ok(parsed) => parsed,
            Err(fault) => {
                desk.seen_and_lost(why(fault));
                self.client.search(desk);
                return self.client_trouble(Lost::Malformed, desk);
            }
        };
        desk.seen();
        let asked = Asked::of(&request.method);
        if self.pairs.is_joining() {
            // Who waits for answers has got all of the last one; of that there may be no end to be seen.
            self.forget_answering(desk);
            self.server.restart();
            if !line::is_known_method(&request.method) {
                self.pairs.lost_requests();
            }
        }
        let in_step = self.pairs.asks(self.client.begun, asked);
        let lost = if self.server_ended {
            Some(Lost::NoAnswer)
        } else if !in_step {
            Some(Lost::OutOfStep)
        } else if self.pairs.waiting.len() >= desk.limits.pending {
            self.pairs.lost_requests();
            Some(Lost::TooManyPending)
        } else {
            None
        };
        if let Some(lost) = lost {
            desk.lost(lost);
            self.asking = Asking::Left;
            self.client.begin(framing, false, desk);
        } else {
            self.waits(request, asked, head.len(), desk);
            self.client.begin(framing, self.asking == Asking::Last, desk);
        }
        if framing == Framing::Nothing {
            self.request_ends(at, desk);
        }
    }

    /// A request in step waits from now on.
    fn waits(&mut self, request: Request, asked: Asked, bytes: usize, desk: &mut Desk<'_>) {
        let fits = desk.account.take(bytes).is_ok();
        let offers = offer(&request.headers);
        if !fits {
            desk.lost(Lost::NoRoom);
        }
        self.asking = if fits { Asking::Last } else { Asking::Left };
        self.pairs.waiting.push_back(Entry {
            request: fits.then_some(request),
            asked,
            offers,
            at: self.client.begun,
            whole: (!fits).then_some(0),
            answer: None,
            held: if fits { bytes } else { 0 },
        });
    }

    fn request_ends(&mut self, at: Nanos, desk: &mut Desk<'_>) {
        if std::mem::replace(&mut self.asking, Asking::Nothing) != Asking::Last {
            return;
        }
        let body = std::mem::replace(&mut self.client.body, crate::body::Collector::unwanted());
        let (body, held) = body.finish();
        let Some(entry) = self.pairs.waiting.back_mut() else { return desk.account.give(held) };
        entry.whole = Some(at);
        entry.held += held;
        if let Some(request) = &mut entry.request {
            request.body = body;
        }
        if entry.answer.is_some() {
            self.tell(desk);
        }
    }

    /// Something was lost of the requests.
    fn client_trouble(&mut self, why: Lost, desk: &mut Desk<'_>) {
        if self.asking == Asking::Last {
            self.give_up_asking(why, desk);
        }
        self.asking = Asking::Nothing;
        self.client.search(desk);
        self.pairs.lost_requests();
    }

    /// The request that is being read waits for its answer no more than to keep the order.
    fn give_up_asking(&mut self, why: Lost, desk: &mut Desk<'_>) {
        self.client.body.forget(desk);
        if let Some(entry) = self.pairs.waiting.back_mut() {
            entry.give_up(why, desk);
            entry.whole = Some(0);
            if entry.answer.is_some() {
                self.pairs.answered();
            }
        }
    }

    fn leave_asking(&mut self, desk: &mut Desk<'_>) {
        if self.asking == Asking::Last {
            self.client.body.forget(desk);
            self.asking = Asking::Left;
        }
    }

    fn answers(&mut self, at: Nanos, head: &Bytes, desk: &mut Desk<'_>) -> Option<Turn> {
        self.heard = true;
        let (version, mut answer) = match head::answer(head, desk.limits) {
            Ok(parsed) => parsed,
            Err(fault) => {
                self.no_answer(why(fault), desk);
                return None;
            }
        };
        let asked = self.pairs.next_asked();
        let granted = asked == Asked::Connect && answer.status / 100 == 2;
        if answer.status == 101 || granted {
            return self.another_protocol(answer.status == 101, desk);
        }
        if answer.status < 200 {
            return None;
        }
        let Some(framing) = framing::of_answer(&version, answer.status, &answer.headers, asked)
        else {
            self.no_answer(Lost::Malformed, desk);
            return None;
        };
        self.answering = match self.pairs.waiting.front() {
            Some(entry) if entry.answer.is_some() => {
                self.server_trouble(Lost::OutOfStep, Lost::OutOfStep, desk);
                desk.lost(Lost::AnswerAlone);
                Answering::Left
            }
            Some(entry) if entry.request.is_some() => {
                answer.latency =
                    entry.whole.and_then(|it| at.checked_sub(it)).map(Duration::from_nanos);
                self.begin_first(answer, head.len(), desk)
            }
            Some(_) => Answering::LeftFirst,
            None => {
                if !self.pairs.is_asked() {
                    desk.lost(Lost::AnswerAlone);
                    self.pairs.answered_alone();
                }
                Answering::Left
            }
        };
        let kept = matches!(self.answering, Answering::First(..));
        if framing == Framing::UntilClose && self.pairs.waiting.is_empty() {
            // If it was asked for by HEAD, it has no body, and others follow.
            self.server_trouble(Lost::OutOfStep, Lost::OutOfStep, desk);
            return None;
        }
        self.server.begin(framing, kept, desk);
        if framing == Framing::Nothing {
            self.answer_ends(at, Headers::new(), desk);
        }
        None
    }

    fn begin_first(&mut self, answer: Answer, bytes: usize, desk: &mut Desk<'_>) -> Answering {
        if desk.account.take(bytes).is_ok() {
            return Answering::First(Box::new(answer), bytes);
        }
        if self.asking == Asking::Last && self.pairs.waiting.len() == 1 {
            self.client.body.forget(desk);
            self.asking = Asking::Left;
            if let Some(entry) = self.pairs.waiting.back_mut() {
                entry.whole = Some(0);
            }
        }
        if let Some(entry) = self.pairs.waiting.front_mut() {
            entry.give_up(Lost::NoRoom, desk);
        }
        Answering::LeftFirst
    }

    fn answer_ends(&mut self, at: Nanos, trailers: Headers, desk: &mut Desk<'_>) {
        let body = std::mem::replace(&mut self.server.body, crate::body::Collector::unwanted());
        let (body, held) = body.finish();
        match std::mem::replace(&mut self.answering, Answering::Nothing) {
            Answering::First(mut answer, head) => {
                answer.body = body;
                answer.trailers = trailers;
                let held = held + head;
                match self.pairs.waiting.front_mut() {
                    Some(entry) if entry.request.is_some() => entry.answer = Some((*answer, held)),
                    _ => desk.account.give(held),
                }
                self.tell(desk);
            }
            Answering::LeftFirst => {
                // Whole or not: nothing is told of it, and one answer is what it gets.
                desk.account.give(held);
                self.pairs.answered();
            }
            Answering::Left | Answering::Nothing => {
                desk.account.give(held);
                self.pairs.answered_out_of_step(at);
            }
        }
    }

    /// Tells of the first that waits, if both of it are whole.
    fn tell(&mut self, desk: &mut Desk<'_>) {
        let Some(first) = self.pairs.waiting.front() else { return };
        if first.whole.is_none() {
            return;
        }
        let Some(entry) = self.pairs.answered() else { return };
        match (entry.request, entry.answer) {
            (Some(request), Some((answer, held))) => {
                desk.exchange(entry.at, request, answer, entry.held + held);
            }
            (_, answer) => desk.account.give(entry.held + answer.map_or(0, |(_, held)| held)),
        }
    }

    /// Something in place of an answer.
    fn no_answer(&mut self, why: Lost, desk: &mut Desk<'_>) {
        if self.pairs.waiting.is_empty() && matches!(self.answering, Answering::Nothing) {
            desk.lost(Lost::AnswerAlone);
        }
        self.server_trouble(why, Lost::OutOfStep, desk);
    }

    /// Something was lost of the answers.
    fn server_trouble(&mut self, first: Lost, others: Lost, desk: &mut Desk<'_>) {
        self.forget_answering(desk);
        self.server.search(desk);
        self.leave_asking(desk);
        self.pairs.lost_answers(first, others, desk);
    }

    fn forget_answering(&mut self, desk: &mut Desk<'_>) {
        self.server.body.forget(desk);
        if let Answering::First(_, held) =
            std::mem::replace(&mut self.answering, Answering::Nothing)
        {
            desk.account.give(held);
        }
    }

    /// The connection goes on in another protocol, if the first that waits offered or asked for that.
    fn another_protocol(&mut self, by_upgrade: bool, desk: &mut Desk<'_>) -> Option<Turn> {
        let offered = self.pairs.waiting.front().map(|it| it.offers);
        if by_upgrade && offered == Some(Offer::Nothing) {
            self.server_trouble(Lost::Malformed, Lost::OutOfStep, desk);
            return None;
        }
        let is_only = self.pairs.waiting.len() == 1 && self.asking == Asking::Nothing;
        if by_upgrade
            && offered == Some(Offer::Http2)
            && is_only
            && let Some(Entry { request: Some(request), at, whole: Some(whole), held, .. }) =
                self.pairs.answered()
        {
            let client = self.client.take_head();
            let upgraded = Upgraded { request, at, whole, held, client };
            return Some(Turn::Http2(Box::new(upgraded)));
        }
        if offered.is_none() {
            desk.lost(Lost::AnswerAlone);
        }
        self.server_trouble(Lost::Tunnel, Lost::NoAnswer, desk);
        Some(Turn::Leave)
    }
}

fn why(fault: Fault) -> Lost {
    match fault {
        Fault::Malformed => Lost::Malformed,
        Fault::TooLarge => Lost::HeadTooLarge,
    }
}

fn offer(headers: &Headers) -> Offer {
    let Some(protocols) = traffic::exchange::header(headers, "upgrade") else {
        return Offer::Nothing;
    };
    let mut protocols = protocols.split(|it| *it == b',').map(<[u8]>::trim_ascii);
    let http2 = protocols.any(|it| it.eq_ignore_ascii_case(b"h2c"));
    if http2 { Offer::Http2 } else { Offer::Other }
}
