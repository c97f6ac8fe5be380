//! Records once their keys are known: what they hold is read on as plain, and what changes the keys is
//! followed.

use packets::Direction;
use packets::stream::Nanos;

use super::cipher::Opener;
use super::hello::{self, Message};
use super::{ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, Half, MESSAGE, Tls};
use crate::desk::Desk;

const KEY_UPDATE: u8 = 24;
/// Records of a handshake that are tried at most: its messages are of 16 KiB at least twice over.
const TRIES: u32 = 64;

impl Tls {
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
        let Some((kind, content)) = opener.open(head, &mut payload) else {
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
        let opened = opener.open(head, &mut payload).filter(|_| head[0] != CHANGE_CIPHER_SPEC);
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
