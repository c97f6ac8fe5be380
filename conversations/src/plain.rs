//! What a connection speaks once nothing is coded any more, told by its first bytes: HTTP/1, HTTP/2, or
//! something else; and who of the two is the client.
//!
//! Of a connection whose opening was seen all of that is in the first bytes of who opened it. Of one that was
//! joined late a first line of a message is looked for in both directions: whoever asks is the client, and
//! whoever answers is not.

use packets::Direction;
use packets::stream::{End, Nanos};

use crate::Lost;
use crate::desk::{Desk, Side};
use crate::http1::search::Search;
use crate::http1::{Http1, Turn};
use crate::http2::{Http2, PREFACE};

/// Bytes of a server that are held while its client has said nothing: the settings of HTTP/2, no more.
const HELD: usize = 16 * 1024;

/// A conversation in the clear.
#[derive(Debug)]
pub(crate) struct Plain {
    client: Option<Direction>,
    speech: Speech,
}

#[derive(Debug)]
enum Speech {
    /// Every byte is seen from the first.
    Opened {
        client: Vec<u8>,
        server: Vec<u8>,
        server_at: Nanos,
    },
    /// Somewhere in it.
    Joined(Box<Joined>),
    Http1(Box<Http1>),
    Http2(Box<Http2>),
    Left,
}

#[derive(Debug, Default)]
struct Joined {
    forth: Looked,
    back: Looked,
}

/// How far one direction was looked through.
#[derive(Debug, Default)]
struct Looked {
    search: Search,
    /// The first bytes, while they may be the beginning of HTTP/2.
    first: Vec<u8>,
    bytes: u64,
}

impl Plain {
    /// From the first byte on.
    pub(crate) fn opened(client: Direction) -> Self {
        let speech = Speech::Opened { client: Vec::new(), server: Vec::new(), server_at: 0 };
        Self { client: Some(client), speech }
    }

    /// From somewhere on, with the client if that is known.
    pub(crate) fn joined(client: Option<Direction>) -> Self {
        Self { client, speech: Speech::Joined(Box::default()) }
    }

    /// Bytes of one direction.
    pub(crate) fn data(
        &mut self,
        direction: Direction,
        at: Nanos,
        bytes: &[u8],
        desk: &mut Desk<'_>,
    ) {
        desk.client = self.client.map(|it| desk.address(it));
        let side = self.side(direction);
        match &mut self.speech {
            Speech::Opened { .. } => self.opening(side, at, bytes, desk),
            Speech::Joined(_) => self.joining(direction, at, bytes, desk),
            Speech::Http1(http1) => {
                if let Some((turn, rest)) = http1.data(side, at, bytes, desk) {
                    self.turn(turn, direction, at, rest, desk);
                }
            }
            Speech::Http2(http2) => {
                if !http2.data(side, at, bytes, desk) {
                    self.speech = Speech::Left;
                }
            }
            Speech::Left => {}
        }
    }

    /// Bytes of one direction are missing.
    pub(crate) fn gap(
        &mut self,
        direction: Direction,
        at: Nanos,
        missing: Option<u64>,
        desk: &mut Desk<'_>,
    ) {
        desk.client = self.client.map(|it| desk.address(it));
        let side = self.side(direction);
        match &mut self.speech {
            Speech::Opened { client, .. }
                if side == Side::Server && is_preface(client) && !client.is_empty() =>
            {
                // HTTP/2, most likely, whose headers cannot be read any more.
                self.leave(Lost::Http2Broken, desk);
            }
            Speech::Opened { .. } => {
                self.speech = Speech::Joined(Box::default());
                self.gap(direction, at, missing, desk);
            }
            Speech::Joined(joined) => {
                let looked = joined.of(direction);
                looked.search = Search::new();
                looked.first = Vec::new();
                // What comes is no longer the beginning of what was sent.
                looked.bytes += 1;
            }
            Speech::Http1(http1) => http1.gap(side, at, missing, desk),
            Speech::Http2(http2) => {
                if !http2.gap(side, at, missing, desk) {
                    self.speech = Speech::Left;
                }
            }
            Speech::Left => {}
        }
    }

    /// Nothing more comes in one direction.
    pub(crate) fn end(&mut self, direction: Direction, at: Nanos, how: End, desk: &mut Desk<'_>) {
        desk.client = self.client.map(|it| desk.address(it));
        let side = self.side(direction);
        match &mut self.speech {
            Speech::Http1(http1) => http1.end(side, at, how, desk),
            Speech::Http2(http2) => http2.end(side, desk),
            Speech::Opened { client, server, .. } => {
                if !client.is_empty() || !server.is_empty() {
                    self.leave(Lost::NotHttp, desk);
                }
            }
            Speech::Joined(joined) => {
                if joined.forth.bytes + joined.back.bytes > 0 {
                    self.leave(Lost::NotHttp, desk);
                }
            }
            Speech::Left => {}
        }
    }

    /// What is open is given up, for nothing more is told; that is counted by who says so.
    pub(crate) fn give_up(&mut self, why: Lost, desk: &mut Desk<'_>) {
        match &mut self.speech {
            Speech::Http1(http1) => http1.give_up(why, desk),
            Speech::Http2(http2) => http2.give_up(why, desk),
            Speech::Opened { .. } | Speech::Joined(_) | Speech::Left => {}
        }
    }

    /// There is no room to read on.
    pub(crate) fn crowded(&mut self, desk: &mut Desk<'_>) {
        self.give_up(Lost::NoRoom, desk);
        self.leave(Lost::Crowded, desk);
    }

    /// Bytes held beside those of messages that are whole so far: unfinished heads, and tables.
    pub(crate) fn unfinished(&self) -> usize {
        match &self.speech {
            Speech::Opened { client, server, .. } => client.len() + server.len(),
            Speech::Joined(joined) => joined.forth.unfinished() + joined.back.unfinished(),
            Speech::Http1(http1) => http1.unfinished(),
            Speech::Http2(http2) => http2.unfinished(),
            Speech::Left => 0,
        }
    }

    /// Whether nothing more is to be found.
    pub(crate) fn is_left(&self) -> bool {
        matches!(self.speech, Speech::Left)
    }

    fn side(&self, direction: Direction) -> Side {
        if self.client == Some(direction) { Side::Client } else { Side::Server }
    }

    fn leave(&mut self, why: Lost, desk: &mut Desk<'_>) {
        desk.lost(why);
        self.speech = Speech::Left;
    }

    fn opening(&mut self, side: Side, at: Nanos, bytes: &[u8], desk: &mut Desk<'_>) {
        let Speech::Opened { client, server, server_at } = &mut self.speech else { return };
        if side == Side::Server {
            if server.len() + bytes.len() > HELD {
                return self.leave(Lost::NotHttp, desk);
            }
            server.extend_from_slice(bytes);
            *server_at = at;
            return;
        }
        let now = bytes.len().min(PREFACE.len() - client.len());
        client.extend_from_slice(&bytes[..now]);
        if is_preface(client) && client.len() < PREFACE.len() {
            return;
        }
        let (first, before, before_at) =
            (std::mem::take(client), std::mem::take(server), *server_at);
        self.speech = if is_preface(&first) {
            Speech::Http2(Box::new(Http2::new()))
        } else {
            Speech::Http1(Box::new(Http1::new(true)))
        };
        let Some(client) = self.client else { return };
        if !before.is_empty() {
            self.data(other(client), before_at, &before, desk);
        }
        self.data(client, at, &first, desk);
        self.data(client, at, &bytes[now..], desk);
    }

    fn joining(&mut self, direction: Direction, at: Nanos, bytes: &[u8], desk: &mut Desk<'_>) {
        let sides: &[Side] = match self.client {
            None => &[Side::Client, Side::Server],
            Some(client) if client == direction => &[Side::Client],
            Some(_) => &[Side::Server],
        };
        let Speech::Joined(joined) = &mut self.speech else { return };
        let silent = joined.of(other(direction)).bytes == 0;
        let looked = joined.of(direction);
        let mut held = std::mem::take(&mut looked.first);
        let bytes = if looked.bytes == held.len() as u64 && sides.contains(&Side::Client) {
            held.extend_from_slice(bytes);
            looked.bytes = held.len() as u64;
            if is_preface(&held) && held.len() < PREFACE.len() {
                looked.first = held;
                return;
            }
            if is_preface(&held) {
                self.client = Some(direction);
                self.speech = Speech::Http2(Box::new(Http2::new()));
                return self.data(direction, at, &held, desk);
            }
            looked.bytes = 0;
            &held[..]
        } else {
            bytes
        };
        looked.search.packet(sides, bytes);
        let found = looked.search.step(sides, bytes, desk.limits.head_bytes);
        looked.bytes += (bytes.len() - found.rest.len()) as u64;
        let Some((side, line)) = found.line else {
            // Within a long download its client says nothing, and its next request is yet to come.
            if looked.bytes > desk.limits.search_bytes && !silent {
                self.leave(Lost::NotHttp, desk);
            }
            return;
        };
        let fresh = match side {
            Side::Client => looked.bytes == line.len() as u64,
            Side::Server => silent,
        };
        let client = if side == Side::Client { direction } else { other(direction) };
        self.client = Some(client);
        desk.client = Some(desk.address(client));
        self.speech = Speech::Http1(Box::new(Http1::joined(side, fresh, at, line, desk)));
        self.data(direction, at, found.rest, desk);
    }

    fn turn(
        &mut self,
        turn: Turn,
        direction: Direction,
        at: Nanos,
        rest: &[u8],
        desk: &mut Desk<'_>,
    ) {
        match turn {
            Turn::Leave => self.speech = Speech::Left,
            Turn::NotHttp => self.leave(Lost::NotHttp, desk),
            Turn::Http2(mut upgraded) => {
                let said = std::mem::take(&mut upgraded.client);
                self.speech = Speech::Http2(Box::new(Http2::upgraded(*upgraded)));
                if let Some(client) = self.client {
                    self.data(client, at, &said, desk);
                }
                self.data(direction, at, rest, desk);
            }
        }
    }
}

impl Joined {
    fn of(&mut self, direction: Direction) -> &mut Looked {
        match direction {
            Direction::Forth => &mut self.forth,
            Direction::Back => &mut self.back,
        }
    }
}

impl Looked {
    fn unfinished(&self) -> usize {
        self.first.len() + self.search.unfinished()
    }
}

/// The other direction.
pub(crate) fn other(direction: Direction) -> Direction {
    match direction {
        Direction::Forth => Direction::Back,
        Direction::Back => Direction::Forth,
    }
}

/// Whether HTTP/2 may begin so, or does.
fn is_preface(bytes: &[u8]) -> bool {
    bytes.iter().zip(PREFACE).all(|(is, wanted)| is == wanted)
}
