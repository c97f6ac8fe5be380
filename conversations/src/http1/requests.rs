//! What becomes of a client's messages: requests that wait for their answers, in step or not.

use bytes::Bytes;
use packets::stream::Nanos;
use traffic::{Headers, Request};

use super::framing::{self, Asked, Framing};
use super::head::{self, Fault};
use super::line;
use super::pairing::{Entry, Offer};
use super::{Asking, Http1, why};
use crate::Lost;
use crate::body::Collector;
use crate::desk::Desk;

impl Http1 {
    pub(super) fn asks(&mut self, at: Nanos, head: &Bytes, desk: &mut Desk<'_>) {
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
    pub(super) fn waits(
        &mut self,
        request: Request,
        asked: Asked,
        bytes: usize,
        desk: &mut Desk<'_>,
    ) {
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

    pub(super) fn request_ends(&mut self, at: Nanos, desk: &mut Desk<'_>) {
        if std::mem::replace(&mut self.asking, Asking::Nothing) != Asking::Last {
            return;
        }
        let body = std::mem::replace(&mut self.client.body, Collector::unwanted());
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
    pub(super) fn client_trouble(&mut self, why: Lost, desk: &mut Desk<'_>) {
        if self.asking == Asking::Last {
            self.give_up_asking(why, desk);
        }
        self.asking = Asking::Nothing;
        self.client.search(desk);
        self.pairs.lost_requests();
    }

    /// The request that is being read waits for its answer no more than to keep the order.
    pub(super) fn give_up_asking(&mut self, why: Lost, desk: &mut Desk<'_>) {
        self.client.body.forget(desk);
        if let Some(entry) = self.pairs.waiting.back_mut() {
            entry.give_up(why, desk);
            entry.whole = Some(0);
            if entry.answer.is_some() {
                self.pairs.answered();
            }
        }
    }

    pub(super) fn leave_asking(&mut self, desk: &mut Desk<'_>) {
        if self.asking == Asking::Last {
            self.client.body.forget(desk);
            self.asking = Asking::Left;
        }
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
