//! Which answer belongs to which request.
//!
//! HTTP/1.1 says it by the order alone (RFC 9112 section 9.3.2): the n-th final answer is that to the n-th
//! request. That holds while every message was seen: the conversation is *in step*. It falls *out of step*
//! by a gap that is not wholly inside of a body of known length, by anything malformed or left out, and by an
//! answer when nothing was asked. Then nobody can say how many messages were missing, and a pairing by order
//! would be wrong from there on without ever showing it. So:
//!
//! - What was lost of the requests leaves those in front of it, and their answers, in their order. What was
//!   lost of the answers may have been the answer to any request that waited: all of them are given up.
//! - Out of step every request is given up ([`Lost::OutOfStep`]), and only watched for *rounds*: requests
//!   begin, then exactly as many answers come whole, and only then, by order and by time, does the next
//!   request begin. A client that waits for its answers before it asks again, be it after one request or
//!   after a batch of pipelined ones, has nothing outstanding at that moment. A second round is asked for
//!   since the first may have begun within something that only looked like a message. The request that
//!   begins after [`ROUNDS`] of them is in step again.
//! - A client that was seen to ask again with some but not all of a batch answered keeps a window full:
//!   rounds say nothing about it. It is in step again only after a pause of [`PAUSE`] besides.
//!
//! A client of that last kind which was never seen to do so, for its connection was joined late or its
//! first requests were missing, and which from then on asks for one thing after each answer, looks like one
//! that waits. No order of messages tells the two apart. A connection that was joined late begins in step
//! with its first request, if that stands at the beginning of what its client was first seen to send: that
//! client is taken for one that waits.

use std::collections::VecDeque;

use packets::stream::Nanos;
use traffic::{Answer, Request};

use super::framing::Asked;
use crate::Lost;
use crate::desk::Desk;

/// Rounds after which a conversation is in step again.
pub(crate) const ROUNDS: u32 = 2;
/// With nothing said for so long, a client that keeps a window full had no more to ask.
pub(crate) const PAUSE: Nanos = 2_000_000_000;

/// A request whose answer is not whole yet.
#[derive(Debug)]
pub(crate) struct Entry {
    /// `None` if it was given up, and only its answer is waited for.
    pub(crate) request: Option<Request>,
    pub(crate) asked: Asked,
    /// Another protocol that it offers to go on with.
    pub(crate) offers: Offer,
    pub(crate) at: Nanos,
    /// When its last byte was seen.
    pub(crate) whole: Option<Nanos>,
    /// Its answer, where that was faster, with what it holds.
    pub(crate) answer: Option<(Answer, usize)>,
    /// What it holds of the account.
    pub(crate) held: usize,
}

/// What protocol a request offers to go on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    Nothing,
    Http2,
    Other,
}

impl Entry {
    /// Gives it up; its answer is waited for all the same.
    pub(crate) fn give_up(&mut self, why: Lost, desk: &mut Desk<'_>) {
        if self.request.take().is_some() {
            desk.lost(why);
        }
        desk.account.give(std::mem::take(&mut self.held));
        if let Some((answer, held)) = &mut self.answer {
            desk.account.give(std::mem::take(held));
            *answer = Answer::default();
        }
    }
}

/// The requests that wait, and what is known of their order.
#[derive(Debug)]
pub(crate) struct Pairing {
    pub(crate) waiting: VecDeque<Entry>,
    step: Step,
    /// It keeps a window full.
    ahead: bool,
    /// It seems so, unless answers are found to be missing that came before it asked again.
    seems_ahead: bool,
    /// In step: answers that came since something waits.
    partly: bool,
}

#[derive(Debug)]
enum Step {
    In,
    /// In step from the first request on: answers before it are to what was not seen.
    Joined,
    Out {
        rounds: u32,
        asked: u32,
        answered: u32,
        /// Of this round's first requests those by HEAD, and by CONNECT, a bit for each.
        heads: u64,
        connects: u64,
        ended: Nanos,
    },
}

const OUT: Step = Step::Out { rounds: 0, asked: 0, answered: 0, heads: 0, connects: 0, ended: 0 };

impl Pairing {
    pub(crate) fn new(in_step: bool) -> Self {
        let step = if in_step { Step::In } else { OUT };
        Self { waiting: VecDeque::new(), step, ahead: false, seems_ahead: false, partly: false }
    }

    /// A request begins; whether it is in step.
    pub(crate) fn asks(&mut self, at: Nanos, kind: Asked) -> bool {
        let Step::Out { rounds, asked, answered, heads, connects, ended } = &mut self.step else {
            self.step = Step::In;
            self.seems_ahead |= self.partly && !self.waiting.is_empty();
            return true;
        };
        if !self.waiting.is_empty() {
            self.step = OUT;
            return false;
        }
        let after = at >= *ended;
        if *answered > 0 && *answered == *asked && after {
            *rounds += 1;
            (*asked, *answered, *heads, *connects) = (0, 0, 0, 0);
            let paused = at.saturating_sub(*ended) >= PAUSE;
            if *rounds >= ROUNDS && (paused || !self.ahead) {
                self.step = Step::In;
                self.partly = false;
                return true;
            }
        } else if *answered > 0 {
            // It did not wait, or it is not known what for.
            (*rounds, *asked, *answered, *heads, *connects) = (0, 0, 0, 0, 0);
        }
        let bit = 1_u64.checked_shl(*asked).unwrap_or(0);
        *heads |= if kind == Asked::Head { bit } else { 0 };
        *connects |= if kind == Asked::Connect { bit } else { 0 };
        *asked = asked.saturating_add(1);
        false
    }

    /// The answer to the first that waits is whole, and that no longer waits.
    pub(crate) fn answered(&mut self) -> Option<Entry> {
        let entry = self.waiting.pop_front();
        self.partly = !self.waiting.is_empty();
        self.ahead |= std::mem::take(&mut self.seems_ahead);
        entry
    }

    /// The first request, when it comes, is in step.
    pub(crate) fn join(&mut self) {
        self.step = Step::Joined;
    }

    /// Whether the next request is the first.
    pub(crate) fn is_joining(&self) -> bool {
        matches!(self.step, Step::Joined)
    }

    /// An answer begins that was not asked for.
    pub(crate) fn answered_alone(&mut self) {
        if !matches!(self.step, Step::Joined) {
            self.step = OUT;
        }
    }

    /// An answer to none that waits is whole.
    pub(crate) fn answered_out_of_step(&mut self, at: Nanos) {
        if let Step::Out { asked, answered, ended, .. } = &mut self.step
            && *answered < *asked
        {
            *answered += 1;
            *ended = at;
        }
    }

    /// Whether an answer out of step was asked for, as far as is known.
    pub(crate) fn is_asked(&self) -> bool {
        matches!(self.step, Step::Out { asked, answered, .. } if answered < asked)
    }

    /// What the next answer answers: known of one that waits, a guess of another.
    pub(crate) fn next_asked(&self) -> Asked {
        match (self.waiting.front(), &self.step) {
            (Some(entry), _) => entry.asked,
            (None, Step::Out { answered, heads, connects, .. }) => {
                let is = |bits: u64| bits.checked_shr(*answered).is_some_and(|it| it & 1 == 1);
                if is(*heads) {
                    Asked::Head
                } else if is(*connects) {
                    Asked::Connect
                } else {
                    Asked::Other
                }
            }
            _ => Asked::Other,
        }
    }

    /// Something was lost of the requests: those that wait do so in their order.
    pub(crate) fn lost_requests(&mut self) {
        self.step = OUT;
    }

    /// Something was lost of the answers: whatever waits is given up, the first of them for this.
    pub(crate) fn lost_answers(&mut self, first: Lost, others: Lost, desk: &mut Desk<'_>) {
        self.seems_ahead = false;
        let mut why = first;
        for mut entry in self.waiting.drain(..) {
            if entry.request.is_some() {
                entry.give_up(why, desk);
                why = others;
            } else {
                entry.give_up(why, desk);
            }
        }
        self.answered_alone();
    }
}
