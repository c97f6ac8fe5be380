//! What becomes of a server's messages: answers to the first request that waits, or to none that is known.

use std::time::Duration;

use bytes::Bytes;
use packets::stream::Nanos;
use traffic::{Answer, Headers};

use super::framing::{self, Asked, Framing};
use super::head;
use super::pairing::{Entry, Offer};
use super::{Answering, Asking, Http1, Turn, Upgraded, why};
use crate::Lost;
use crate::body::Collector;
use crate::desk::Desk;

impl Http1 {
    pub(super) fn answers(&mut self, at: Nanos, head: &Bytes, desk: &mut Desk<'_>) -> Option<Turn> {
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

    pub(super) fn begin_first(
        &mut self,
        answer: Answer,
        bytes: usize,
        desk: &mut Desk<'_>,
    ) -> Answering {
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

    pub(super) fn answer_ends(&mut self, at: Nanos, trailers: Headers, desk: &mut Desk<'_>) {
        let body = std::mem::replace(&mut self.server.body, Collector::unwanted());
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
    pub(super) fn tell(&mut self, desk: &mut Desk<'_>) {
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
    pub(super) fn no_answer(&mut self, why: Lost, desk: &mut Desk<'_>) {
        if self.pairs.waiting.is_empty() && matches!(self.answering, Answering::Nothing) {
            desk.lost(Lost::AnswerAlone);
        }
        self.server_trouble(why, Lost::OutOfStep, desk);
    }

    /// Something was lost of the answers.
    pub(super) fn server_trouble(&mut self, first: Lost, others: Lost, desk: &mut Desk<'_>) {
        self.forget_answering(desk);
        self.server.search(desk);
        self.leave_asking(desk);
        self.pairs.lost_answers(first, others, desk);
    }

    pub(super) fn forget_answering(&mut self, desk: &mut Desk<'_>) {
        self.server.body.forget(desk);
        if let Answering::First(_, held) =
            std::mem::replace(&mut self.answering, Answering::Nothing)
        {
            desk.account.give(held);
        }
    }

    /// The connection goes on in another protocol, if the first that waits offered or asked for that.
    pub(super) fn another_protocol(
        &mut self,
        by_upgrade: bool,
        desk: &mut Desk<'_>,
    ) -> Option<Turn> {
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
