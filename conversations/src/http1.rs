//! HTTP/1.0 and 1.1: two directions of messages, and the exchanges that they make.
//!
//! The two are read on their own; what joins them is [`pairing`], where the rule stands by which an answer is
//! taken for that to a request, and when none is.
//!
//! A gap that is wholly inside of a body of known length, or of one of its chunks, ends no message: the body is
//! [`traffic::Body::NotKept`] with its length. So it is with a gap in a body that ends with the connection,
//! for nothing else follows one.

mod answers;
pub(crate) mod chunked;
pub(crate) mod framing;
pub(crate) mod head;
pub(crate) mod line;
pub(crate) mod pairing;
pub(crate) mod reader;
mod requests;
pub(crate) mod search;

use packets::stream::{End, Nanos};
use traffic::{Answer, Headers, Request};

use crate::Lost;
use crate::desk::{Desk, Side};
use head::Fault;
use pairing::Pairing;
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
        match side {
            Side::Client => self.client.packet(bytes),
            Side::Server => self.server.packet(bytes),
        }
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

    /// Bytes of unfinished heads.
    pub(crate) fn unfinished(&self) -> usize {
        self.client.unfinished() + self.server.unfinished()
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
}

fn why(fault: Fault) -> Lost {
    match fault {
        Fault::Malformed => Lost::Malformed,
        Fault::TooLarge => Lost::HeadTooLarge,
    }
}
