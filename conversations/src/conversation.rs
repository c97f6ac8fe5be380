//! One connection: which layers its bytes go through, from the first byte to the last.

use std::fmt;

use packets::stream::{End, Endpoints, Nanos};
use packets::{Direction, Streams};

use crate::Limits;
use crate::budget::{Account, Budget};
use crate::desk::{Desk, Listener};
use crate::plain::Plain;
use crate::tls::Tls;
use crate::tls::keys::KeyLog;

/// What conversations share.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What each may hold.
    pub limits: Limits,
    /// What all of them may hold.
    pub budget: Budget,
    /// The keys of those that are encrypted. Without a log these are left at once; with one, they wait for
    /// their keys for as long as [`Limits::waiting_bytes`] says.
    pub keys: Option<KeyLog>,
}

/// What the two byte streams of one connection say. Made with the connection's ends, it takes its bytes as
/// [`Streams`] and tells a [`Listener`] of what they were. What is still open when it is dropped, or when
/// both directions have ended, is counted as lost.
pub struct Conversation<L: Listener> {
    endpoints: Endpoints,
    connection: u64,
    limits: Limits,
    keys: Option<KeyLog>,
    account: Account,
    /// Bytes taken of the account for what is unfinished.
    unfinished: usize,
    listener: L,
    layer: Layer,
    ended: [bool; 2],
}

#[derive(Debug)]
enum Layer {
    /// Nothing was said yet.
    Silent,
    Plain(Box<Plain>),
    Tls(Box<Tls>),
}

impl<L: Listener> Conversation<L> {
    /// A conversation of which nothing was heard yet. The number becomes
    /// [`traffic::Exchange::connection`] of all its exchanges.
    pub fn new(endpoints: Endpoints, connection: u64, setup: &Setup, listener: L) -> Self {
        Self {
            endpoints,
            connection,
            limits: setup.limits,
            keys: setup.keys.clone(),
            account: Account::new(setup.limits.conversation_bytes, setup.budget.clone()),
            unfinished: 0,
            listener,
            layer: Layer::Silent,
            ended: [false; 2],
        }
    }

    /// Bytes that it holds, as [`Limits::conversation_bytes`] counts them.
    pub fn held(&self) -> usize {
        self.account.used()
    }

    /// Whether nothing more can come of it, whatever is said: its bytes need not be told.
    pub fn is_left(&self) -> bool {
        match &self.layer {
            Layer::Plain(plain) => plain.is_left(),
            Layer::Tls(tls) => tls.is_left(),
            Layer::Silent => false,
        }
    }

    fn parts(&mut self) -> (&mut Layer, Desk<'_>) {
        let desk = Desk {
            limits: &self.limits,
            account: &mut self.account,
            listener: &mut self.listener,
            connection: self.connection,
            addresses: [self.endpoints.one.ip(), self.endpoints.other.ip()],
            client: None,
        };
        (&mut self.layer, desk)
    }

    /// Takes of the account what unfinished heads and tables hold by now, or leaves the connection.
    fn hold_unfinished(&mut self) {
        let now = match &self.layer {
            Layer::Silent => 0,
            Layer::Plain(plain) => plain.unfinished(),
            Layer::Tls(tls) => tls.unfinished(),
        };
        if now == self.unfinished {
            return;
        }
        self.account.give(std::mem::take(&mut self.unfinished));
        if self.account.take(now).is_ok() {
            self.unfinished = now;
            return;
        }
        let (layer, mut desk) = self.parts();
        match layer {
            Layer::Silent => {}
            Layer::Plain(plain) => plain.crowded(&mut desk),
            Layer::Tls(tls) => tls.crowded(&mut desk),
        }
    }

    fn tell_end(&mut self, direction: Direction, at: Nanos, how: End) {
        let (layer, mut desk) = self.parts();
        match layer {
            Layer::Silent => {}
            Layer::Plain(plain) => plain.end(direction, at, how, &mut desk),
            Layer::Tls(tls) => tls.end(direction, at, how, &mut desk),
        }
    }

    /// What a connection is whose first bytes these are.
    fn begin(&mut self, direction: Direction, bytes: &[u8]) {
        let opened = self.endpoints.opened;
        let by_client = direction == Direction::Forth || !opened;
        self.layer = if by_client && Tls::may_begin(bytes) {
            Layer::Tls(Box::new(Tls::new(direction, self.keys.clone())))
        } else if opened {
            Layer::Plain(Box::new(Plain::opened(Direction::Forth)))
        } else {
            Layer::Plain(Box::new(Plain::joined(None)))
        };
    }
}

impl<L: Listener> Streams for Conversation<L> {
    fn data(&mut self, direction: Direction, at: Nanos, bytes: &[u8]) {
        if bytes.is_empty() || self.ended[direction as usize] {
            return;
        }
        if matches!(self.layer, Layer::Silent) {
            self.begin(direction, bytes);
        }
        let (layer, mut desk) = self.parts();
        match layer {
            Layer::Silent => {}
            Layer::Plain(plain) => plain.data(direction, at, bytes, &mut desk),
            Layer::Tls(tls) => tls.data(direction, at, bytes, &mut desk),
        }
        self.hold_unfinished();
    }

    fn gap(&mut self, direction: Direction, at: Nanos, missing: Option<u64>) {
        if self.ended[direction as usize] {
            return;
        }
        if matches!(self.layer, Layer::Silent) {
            self.begin(direction, b"");
        }
        let (layer, mut desk) = self.parts();
        match layer {
            Layer::Silent => {}
            Layer::Plain(plain) => plain.gap(direction, at, missing, &mut desk),
            Layer::Tls(tls) => tls.gap(direction, at, missing, &mut desk),
        }
        self.hold_unfinished();
    }

    fn end(&mut self, direction: Direction, at: Nanos, how: End) {
        if std::mem::replace(&mut self.ended[direction as usize], true) {
            return;
        }
        self.tell_end(direction, at, how);
        if self.ended == [true; 2] {
            // An end that came before it was known what is spoken has been told to nobody.
            self.tell_end(Direction::Forth, at, End::GivenUp);
            self.tell_end(Direction::Back, at, End::GivenUp);
        }
    }
}

impl<L: Listener> Drop for Conversation<L> {
    fn drop(&mut self) {
        self.end(Direction::Forth, 0, End::GivenUp);
        self.end(Direction::Back, 0, End::GivenUp);
    }
}

impl<L: Listener> fmt::Debug for Conversation<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Conversation");
        debug.field("endpoints", &self.endpoints).field("connection", &self.connection);
        debug.field("held", &self.account.used()).finish_non_exhaustive()
    }
}
