//! TLS whose keys are known (RFC 8446, RFC 5246): records are opened, and what they hold is read like any
//! other stream.
//!
//! Of the handshake no more is read than the hellos, for they say which secrets and ciphers there are. Of
//! TLS 1.3 the traffic secrets are enough: each record is tried with them until one opens, which is the first
//! behind the handshake, for opening proves what it is. So the log needs no secrets of the handshake, and ALPN,
//! which is hidden in it, is not needed: the first bytes tell HTTP/1 and HTTP/2 apart.
//!
//! What a client says early (0-RTT) has keys of its own, and is not read. A conversation in which it may have
//! said something is taken for one with a gap at its beginning.
//!
//! A record that is damaged by a gap is passed over, for its length tells where the next one begins and its
//! number is known. Behind a gap that goes beyond the end of a record it is not known how many are missing.
//! What follows is taken for the beginning of a record, as it is when packets with whole records are missing,
//! and is tried with the numbers that it may have: the one that opens it is its own. If none does, the
//! conversation is given up.

pub(crate) mod cipher;
pub(crate) mod hello;
pub(crate) mod keys;
mod opened;
pub(crate) mod records;

use packets::Direction;
use packets::stream::{End, Nanos};

use crate::Lost;
use crate::desk::{Desk, Side};
use crate::plain::{Plain, other};
use cipher::{Opener, Suite};
use hello::{ClientHello, Message, ServerHello};
use keys::KeyLog;
use records::{Record, Records};

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// A handshake message of more is none that is read.
const MESSAGE: usize = 64 * 1024;

/// A conversation in TLS.
#[derive(Debug)]
pub(crate) struct Tls {
    client: Direction,
    log: Option<KeyLog>,
    state: State,
    hello: Option<ClientHello>,
    forth: Half,
    back: Half,
    plain: Plain,
    /// What came before its keys did.
    waiting: Vec<(Direction, Nanos, Vec<u8>)>,
    /// Bytes taken of the account.
    held: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The server has not said how it goes on.
    Hello,
    /// The log does not have the keys yet.
    Waiting(ServerHello),
    Open {
        is_13: bool,
    },
    Left,
}

#[derive(Debug, Default)]
struct Half {
    records: Records,
    /// Messages of the handshake that are not whole.
    messages: Vec<u8>,
    opener: Option<Opener>,
    /// What comes is encrypted by the keys that are known.
    active: bool,
    tries: u32,
    /// Records that may be missing in front of the next one.
    missing: u64,
    /// It has said that it says no more.
    closed: bool,
}

impl Tls {
    /// Whether a connection may begin so in TLS.
    pub(crate) fn may_begin(bytes: &[u8]) -> bool {
        matches!(
            bytes,
            [CHANGE_CIPHER_SPEC..=APPLICATION_DATA]
                | [CHANGE_CIPHER_SPEC..=APPLICATION_DATA, 3, ..]
        )
    }

    /// A conversation that this direction begins, with the log that may have its keys.
    pub(crate) fn new(client: Direction, log: Option<KeyLog>) -> Self {
        Self {
            client,
            log,
            state: State::Hello,
            hello: None,
            forth: Half::default(),
            back: Half::default(),
            plain: Plain::opened(client),
            waiting: Vec::new(),
            held: 0,
        }
    }

    /// There is no room to read on.
    pub(crate) fn crowded(&mut self, desk: &mut Desk<'_>) {
        self.plain.give_up(Lost::NoRoom, desk);
        self.leave(Lost::Crowded, desk);
    }

    /// Bytes held of what is not encrypted, beside messages that are whole so far.
    pub(crate) fn unfinished(&self) -> usize {
        if matches!(self.state, State::Left) { 0 } else { self.plain.unfinished() }
    }

    /// Whether nothing more is to be found.
    pub(crate) fn is_left(&self) -> bool {
        matches!(self.state, State::Left) || self.plain.is_left()
    }

    /// Bytes of one direction.
    pub(crate) fn data(
        &mut self,
        direction: Direction,
        at: Nanos,
        bytes: &[u8],
        desk: &mut Desk<'_>,
    ) {
        self.look_again(desk);
        self.read(direction, at, bytes, desk);
    }

    /// Bytes of one direction are missing.
    pub(crate) fn gap(
        &mut self,
        direction: Direction,
        at: Nanos,
        missing: Option<u64>,
        desk: &mut Desk<'_>,
    ) {
        self.look_again(desk);
        match self.state {
            State::Left => {}
            State::Waiting(_) => self.leave(Lost::Encrypted, desk),
            State::Hello | State::Open { .. } => match self.half(direction).records.gap(missing) {
                Some(record) => self.record(direction, at, record, desk),
                None => self.lost_records(direction, at, missing, desk),
            },
        }
    }

    /// Nothing more comes in one direction.
    pub(crate) fn end(&mut self, direction: Direction, at: Nanos, how: End, desk: &mut Desk<'_>) {
        self.look_again(desk);
        match self.state {
            State::Left => {}
            State::Hello if self.hello.is_none() => self.leave(Lost::NotHttp, desk),
            State::Hello | State::Waiting(_) => self.leave(Lost::Encrypted, desk),
            State::Open { .. } if !self.forth.active && !self.back.active => {
                self.leave(Lost::Encrypted, desk);
            }
            State::Open { .. } => {
                let how = if self.half(direction).closed { End::Finished } else { how };
                self.plain.end(direction, at, how, desk);
            }
        }
    }

    /// If its keys are there by now, what has waited for them is read.
    fn look_again(&mut self, desk: &mut Desk<'_>) {
        let State::Waiting(server) = self.state else { return };
        self.establish(server, desk);
        if matches!(self.state, State::Open { .. }) {
            for (direction, at, bytes) in std::mem::take(&mut self.waiting) {
                self.read(direction, at, &bytes, desk);
            }
        }
    }

    fn read(&mut self, direction: Direction, at: Nanos, bytes: &[u8], desk: &mut Desk<'_>) {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.state {
                State::Left => return,
                State::Waiting(_) => {
                    self.waiting.push((direction, at, rest.to_vec()));
                    break;
                }
                State::Hello | State::Open { .. } => {
                    let (left, record) = self.half(direction).records.step(rest);
                    rest = left;
                    self.record(direction, at, record, desk);
                }
            }
        }
        self.hold(desk);
    }

    /// Takes of the account what it holds by now.
    fn hold(&mut self, desk: &mut Desk<'_>) {
        if matches!(self.state, State::Left) {
            return;
        }
        // Each takes more than its bytes: else single ones would take a hundred times as much.
        let weight = |bytes: &Vec<u8>| bytes.len() + packets::Limits::PIECE;
        let waiting: usize = self.waiting.iter().map(|(_, _, bytes)| weight(bytes)).sum();
        let half = |it: &Half| it.records.holds() + it.messages.len();
        let holds = waiting + half(&self.forth) + half(&self.back);
        desk.account.give(std::mem::take(&mut self.held));
        if waiting > desk.limits.waiting_bytes {
            return self.leave(Lost::Encrypted, desk);
        }
        match desk.account.take(holds) {
            Ok(()) => self.held = holds,
            Err(_) => self.crowded(desk),
        }
    }

    fn record(&mut self, direction: Direction, at: Nanos, record: Record, desk: &mut Desk<'_>) {
        match (record, self.state) {
            (Record::Nothing, _) | (_, State::Left | State::Waiting(_)) => {}
            (Record::Malformed, _) if self.hello.is_none() => self.leave(Lost::NotHttp, desk),
            (Record::Malformed, _) | (Record::Damaged { .. }, State::Hello) => self.broken(desk),
            (Record::Damaged { kind, payload }, State::Open { is_13 }) => {
                self.damaged(direction, at, is_13, kind, payload, desk);
            }
            (Record::Whole { head, payload }, State::Hello) => {
                self.hello(direction, head[0], &payload, desk)
            }
            (Record::Whole { head, payload }, State::Open { is_13: true }) => {
                self.open_13(direction, at, head, payload, desk);
            }
            (Record::Whole { head, payload }, State::Open { is_13: false }) => {
                self.open_12(direction, at, head, payload, desk);
            }
        }
    }

    /// A record before the keys change.
    fn hello(&mut self, direction: Direction, kind: u8, payload: &[u8], desk: &mut Desk<'_>) {
        let side = if direction == self.client { Side::Client } else { Side::Server };
        match kind {
            CHANGE_CIPHER_SPEC | ALERT if self.hello.is_some() => return,
            // Something said early, of which the hello told.
            APPLICATION_DATA if self.hello.is_some_and(|it| it.early) && side == Side::Client => {
                return;
            }
            HANDSHAKE if side == Side::Client || self.hello.is_some() => {}
            _ => return self.leave(Lost::Encrypted, desk),
        }
        let half = self.half(direction);
        half.messages.extend_from_slice(payload);
        if half.messages.len() > MESSAGE {
            return self.broken(desk);
        }
        while let Message::Whole(kind, body, length) =
            hello::message(&self.half(direction).messages)
        {
            match side {
                Side::Client => match hello::client(kind, body) {
                    Some(hello) => self.hello = Some(hello),
                    None => return self.leave(Lost::Encrypted, desk),
                },
                Side::Server => match hello::server(kind, body) {
                    Some(hello) if hello.is_retry => {}
                    Some(hello) => {
                        self.half(direction).messages = Vec::new();
                        return self.establish(hello, desk);
                    }
                    None => return self.leave(Lost::Encrypted, desk),
                },
            }
            self.half(direction).messages.drain(..length);
        }
    }

    /// Looks for the keys, and makes of them what opens records.
    fn establish(&mut self, server: ServerHello, desk: &mut Desk<'_>) {
        let (Some(client), Some(suite), Some(log)) = (self.hello, Suite::of(&server), &self.log)
        else {
            return self.leave(Lost::Encrypted, desk);
        };
        let secrets = log.of(&client.random).unwrap_or_default();
        let openers = match (server.is_13, secrets.client, secrets.server, secrets.master) {
            (true, Some(client), Some(server), _) => {
                Opener::with_secret(suite, &client).zip(Opener::with_secret(suite, &server))
            }
            (false, _, _, Some(master)) => Opener::with_master(suite, &master, &client, &server),
            _ => {
                self.state = State::Waiting(server);
                return;
            }
        };
        let Some((of_client, of_server)) = openers else {
            return self.leave(Lost::Encrypted, desk);
        };
        self.half(self.client).opener = Some(of_client);
        self.half(other(self.client)).opener = Some(of_server);
        self.state = State::Open { is_13: server.is_13 };
        if client.early {
            self.plain = Plain::joined(Some(self.client));
            self.plain.gap(self.client, 0, None, desk);
        }
    }

    fn broken(&mut self, desk: &mut Desk<'_>) {
        self.plain.give_up(Lost::Gap, desk);
        self.leave(Lost::TlsBroken, desk);
    }

    fn leave(&mut self, why: Lost, desk: &mut Desk<'_>) {
        if !self.is_left() {
            desk.lost(why);
        }
        self.state = State::Left;
        desk.account.give(std::mem::take(&mut self.held));
        (self.forth, self.back, self.waiting) = (Half::default(), Half::default(), Vec::new());
    }

    fn half(&mut self, direction: Direction) -> &mut Half {
        match direction {
            Direction::Forth => &mut self.forth,
            Direction::Back => &mut self.back,
        }
    }
}
