//! Records once their keys are known: what they hold is read on as plain, and what changes the keys is
//! followed.

use packets::Direction;
use packets::stream::Nanos;

use super::cipher::Opener;
use super::hello::{self, Message};
use super::records::Records;
use super::{ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, Half, MESSAGE, Tls};
use crate::desk::Desk;

const KEY_UPDATE: u8 = 24;
/// Records of a handshake that are tried at most: its messages are of 16 KiB at least twice over.
const TRIES: u32 = 64;

/// What the smallest record takes: its head, and a tag.
const RECORD: u64 = 21;
/// Records that are taken to be missing at most, for each is a try.
const MISSING: u64 = 64;

impl Tls {
    /// So many bytes are missing, and the end of the record that they began in is among them.
    pub(super) fn lost_records(
        &mut self,
        direction: Direction,
        at: Nanos,
        bytes: Option<u64>,
        desk: &mut Desk<'_>,
    ) {
        let half = self.half(direction);
        if !half.active {
            return self.broken(desk);
        }
        half.records = Records::default();
        half.messages = Vec::new();
        let missing = bytes.map_or(MISSING, |bytes| bytes / RECORD + 1);
        half.missing = half.missing.saturating_add(missing).min(MISSING);
        self.plain.gap(direction, at, None, desk);
    }

    pub(super) fn open_13(
        &mut self,
        direction: Direction,
        at: Nanos,
        head: [u8; 5],
        mut payload: Vec<u8>,
        desk: &mut Desk<'_>,
    ) {
        let half = self.half(direction);
        let Some(opener) = &mut half.opener else { return };
        match head[0] {
            CHANGE_CIPHER_SPEC => return,
            // In the clear there is nothing more but alerts of a handshake that failed.
            kind if kind != APPLICATION_DATA && !half.active => return,
            _ => {}
        }
        let missing = std::mem::take(&mut half.missing);
        let Some((kind, content)) = opener.find(head, &mut payload, missing) else {
            half.tries += 1;
            if half.active || half.tries > TRIES {
                self.broken(desk);
            }
            return;
        };
        half.active = true;
        let content = &payload[content];
        match kind {
            APPLICATION_DATA if !content.is_empty() => {
                self.plain.data(direction, at, content, desk)
            }
            ALERT => half.closed |= content.ends_with(&[0]),
            HANDSHAKE => {
                half.messages.extend_from_slice(content);
                if !half.after_handshake() {
                    self.broken(desk);
                }
            }
            _ => {}
        }
    }

    pub(super) fn open_12(
        &mut self,
        direction: Direction,
        at: Nanos,
        head: [u8; 5],
        mut payload: Vec<u8>,
        desk: &mut Desk<'_>,
    ) {
        let half = self.half(direction);
        let Some(opener) = &mut half.opener else { return };
        if !half.active {
            half.active = head[0] == CHANGE_CIPHER_SPEC;
            return;
        }
        // Keys that change once more are in no log.
        let missing = std::mem::take(&mut half.missing);
        let opened =
            opener.find(head, &mut payload, missing).filter(|_| head[0] != CHANGE_CIPHER_SPEC);
        let Some((kind, content)) = opened else { return self.broken(desk) };
        let content = &payload[content];
        match kind {
            APPLICATION_DATA if !content.is_empty() => {
                self.plain.data(direction, at, content, desk)
            }
            ALERT => half.closed |= content.ends_with(&[0]),
            _ => {}
        }
    }

    /// A record that cannot be opened, and whose number is known all the same.
    pub(super) fn damaged(
        &mut self,
        direction: Direction,
        at: Nanos,
        is_13: bool,
        kind: u8,
        payload: usize,
        desk: &mut Desk<'_>,
    ) {
        let half = self.half(direction);
        let Some(opener) = &mut half.opener else { return };
        if half.missing > 0 {
            return self.broken(desk);
        }
        if !half.active {
            half.active = !is_13 && kind == CHANGE_CIPHER_SPEC;
            return;
        }
        if kind == CHANGE_CIPHER_SPEC {
            if !is_13 {
                self.broken(desk);
            }
            return;
        }
        opener.sequence += 1;
        half.messages = Vec::new();
        if kind == APPLICATION_DATA {
            let missing = opener.content_bytes(payload);
            self.plain.gap(direction, at, missing, desk);
        }
    }
}

impl Half {
    /// Messages behind the handshake: tickets, and changes of the key. Whether it can be followed further.
    fn after_handshake(&mut self) -> bool {
        while let Message::Whole(kind, _, length) = hello::message(&self.messages) {
            self.messages.drain(..length);
            if kind == KEY_UPDATE {
                self.opener = self.opener.as_ref().and_then(Opener::next);
            }
        }
        self.messages.len() <= MESSAGE && self.opener.is_some()
    }
}
