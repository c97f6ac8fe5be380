//! HTTP/2 in the clear (RFC 9113): frames, blocks of headers, and the streams that they make.
//!
//! Who listens needs no flow control and no settings: a table of HPACK changes its size by what its blocks say,
//! and frames may be as long as they are, up to [`crate::Limits::head_bytes`] where they are kept. What it
//! cannot do without is every block of headers from the first on. So a gap within DATA of known size is only
//! missing in that body, and any other, like anything malformed, ends the conversation.

pub(crate) mod fields;
pub(crate) mod frames;
pub(crate) mod hpack;
pub(crate) mod streams;
pub(crate) mod table;

use packets::stream::Nanos;

use crate::Lost;
use crate::desk::{Desk, Side};
use crate::http1::Upgraded;
use frames::{Frame, Frames};
use hpack::Decoder;
use streams::{Broken, Streams};

/// What a client says first (RFC 9113 section 3.4).
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A conversation in HTTP/2.
#[derive(Debug)]
pub(crate) struct Http2 {
    client: Half,
    server: Half,
    streams: Streams,
    /// How much of the preface was seen.
    preface: usize,
}

#[derive(Debug)]
struct Half {
    frames: Frames,
    decoder: Decoder,
}

impl Http2 {
    /// From the first byte on.
    pub(crate) fn new() -> Self {
        let half = || Half { frames: Frames::new(), decoder: Decoder::new() };
        Self { client: half(), server: half(), streams: Streams::default(), preface: 0 }
    }

    /// From a request of HTTP/1.1 on (RFC 7540 section 3.2).
    pub(crate) fn upgraded(from: Upgraded) -> Self {
        Self { streams: Streams::upgraded(from), ..Self::new() }
    }

    /// Bytes of one side; whether it can be followed further.
    pub(crate) fn data(
        &mut self,
        side: Side,
        at: Nanos,
        bytes: &[u8],
        desk: &mut Desk<'_>,
    ) -> bool {
        let mut rest = bytes;
        if side == Side::Client && self.preface < PREFACE.len() {
            let now = rest.len().min(PREFACE.len() - self.preface);
            if rest[..now] != PREFACE[self.preface..self.preface + now] {
                return self.broken(Lost::Malformed, desk);
            }
            self.preface += now;
            rest = &rest[now..];
        }
        while !rest.is_empty() {
            let half = match side {
                Side::Client => &mut self.client,
                Side::Server => &mut self.server,
            };
            let Some((left, frame)) = half.frames.step(at, rest, desk.limits) else {
                return self.broken(Lost::Malformed, desk);
            };
            rest = left;
            if self.frame(side, at, frame, desk).is_err() {
                return self.broken(Lost::Malformed, desk);
            }
        }
        true
    }

    /// Bytes of one side are missing; whether it can be followed further.
    pub(crate) fn gap(
        &mut self,
        side: Side,
        at: Nanos,
        missing: Option<u64>,
        desk: &mut Desk<'_>,
    ) -> bool {
        let half = match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        };
        match half.frames.gap(missing) {
            None => self.broken(Lost::Gap, desk),
            Some(None) => true,
            Some(Some((stream, missing, ends))) => {
                self.streams.gap(side, stream, missing, desk);
                if ends {
                    self.streams.ends(side, at, stream, desk);
                }
                true
            }
        }
    }

    /// Nothing more comes from one side.
    pub(crate) fn end(&mut self, side: Side, desk: &mut Desk<'_>) {
        self.streams.end(side, desk);
    }

    /// Bytes of unfinished blocks of headers, and of the tables.
    pub(crate) fn unfinished(&self) -> usize {
        let half = |it: &Half| it.frames.unfinished() + it.decoder.table_bytes();
        half(&self.client) + half(&self.server)
    }

    /// What is open is given up.
    pub(crate) fn give_up(&mut self, why: Lost, desk: &mut Desk<'_>) {
        self.streams.lose_all(why, desk);
    }

    fn frame(
        &mut self,
        side: Side,
        at: Nanos,
        frame: Frame<'_>,
        desk: &mut Desk<'_>,
    ) -> Result<(), Broken> {
        match frame {
            Frame::Nothing => {}
            Frame::Headers(block) => {
                let half = match side {
                    Side::Client => &mut self.client,
                    Side::Server => &mut self.server,
                };
                let lines = half.decoder.decode(&block.bytes, desk.limits).ok_or(Broken)?;
                self.streams.headers(side, at, &block, lines, desk)?;
            }
            Frame::Data { stream, bytes, ends } => {
                if !bytes.is_empty() {
                    self.streams.data(side, stream, bytes, desk);
                }
                if ends {
                    self.streams.ends(side, at, stream, desk);
                }
            }
            Frame::Reset { stream } => self.streams.lose(stream, Lost::Reset, desk),
            Frame::GoAway { last } if side == Side::Server => self.streams.lose_above(last, desk),
            Frame::GoAway { .. } => {}
        }
        Ok(())
    }

    fn broken(&mut self, why: Lost, desk: &mut Desk<'_>) -> bool {
        desk.lost(Lost::Http2Broken);
        self.streams.lose_all(why, desk);
        false
    }
}
