//! What every layer of a conversation works with: its limits, its account, and who is told of what came of
//! it.

use std::net::IpAddr;

use packets::Direction;
use packets::stream::Nanos;
use traffic::{Answer, Exchange, Moment, Request};

use crate::budget::Account;
use crate::{Limits, Lost};

/// Who takes what conversations find. One may serve many of them, as a clone for each.
pub trait Listener {
    /// A request was seen. Each ends as one exchange or one loss [`crate::Of::Request`].
    fn request(&mut self) {}

    /// A request with its answer.
    fn exchange(&mut self, exchange: Exchange);

    /// Something that is in no exchange.
    fn lost(&mut self, lost: Lost);
}

/// Which of the two speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// What a conversation is made with, and who is told.
pub(crate) struct Desk<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) account: &'a mut Account,
    pub(crate) listener: &'a mut dyn Listener,
    pub(crate) connection: u64,
    /// Who sends forth, and who back.
    pub(crate) addresses: [IpAddr; 2],
    /// Who asks, where that is known.
    pub(crate) client: Option<IpAddr>,
}

impl Desk<'_> {
    /// Who sends in this direction.
    pub(crate) fn address(&self, direction: Direction) -> IpAddr {
        match direction {
            Direction::Forth => self.addresses[0],
            Direction::Back => self.addresses[1],
        }
    }

    pub(crate) fn seen(&mut self) {
        self.listener.request();
    }

    pub(crate) fn lost(&mut self, lost: Lost) {
        self.listener.lost(lost);
    }

    /// A request that was no more than seen.
    pub(crate) fn seen_and_lost(&mut self, lost: Lost) {
        self.seen();
        self.lost(lost);
    }

    /// Tells of an exchange, and gives back what it held.
    pub(crate) fn exchange(&mut self, at: Nanos, request: Request, answer: Answer, held: usize) {
        self.account.give(held);
        self.listener.exchange(Exchange {
            id: String::new(),
            at: Moment(at),
            client: self.client,
            connection: Some(self.connection),
            request,
            answer: Some(answer),
            pair: None,
        });
    }
}
