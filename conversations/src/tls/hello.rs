//! The first messages of both sides of a handshake (RFC 8446 section 4.1, RFC 5246 section 7.4.1), as far as
//! they say how what follows is encrypted.

use super::keys::Random;

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const EARLY_DATA: u16 = 42;
const SUPPORTED_VERSIONS: u16 = 43;
const TLS12: u16 = 0x0303;
const TLS13: u16 = 0x0304;
/// The random of a server that asks for another hello (RFC 8446 section 4.1.3).
const RETRY: Random = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientHello {
    pub(crate) random: Random,
    /// It may say something before the server answers.
    pub(crate) early: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerHello {
    pub(crate) random: Random,
    pub(crate) suite: u16,
    pub(crate) is_13: bool,
    pub(crate) is_retry: bool,
}

/// What is at the beginning of a side's handshake.
#[derive(Debug)]
pub(crate) enum Message<'a> {
    /// Not whole yet.
    Part,
    /// A message without its head, with its kind, and how long it was with that.
    Whole(u8, &'a [u8], usize),
}

/// The first message of these bytes.
pub(crate) fn message(bytes: &[u8]) -> Message<'_> {
    let Some(([kind, a, b, c], rest)) = bytes.split_first_chunk() else { return Message::Part };
    let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
    match rest.get(..length) {
        Some(body) => Message::Whole(*kind, body, 4 + length),
        None => Message::Part,
    }
}

pub(crate) fn client(kind: u8, body: &[u8]) -> Option<ClientHello> {
    let mut input = Input(body);
    input.take(2)?;
    let random = *input.0.first_chunk()?;
    input.take(32)?;
    input.vector(1)?;
    input.vector(2)?;
    input.vector(1)?;
    let early = input.extension(EARLY_DATA)?.is_some();
    (kind == CLIENT_HELLO).then_some(ClientHello { random, early })
}

pub(crate) fn server(kind: u8, body: &[u8]) -> Option<ServerHello> {
    let mut input = Input(body);
    let version = input.number(2)?;
    let random = *input.0.first_chunk()?;
    input.take(32)?;
    input.vector(1)?;
    let suite = input.number(2)? as u16;
    let compression = input.number(1)?;
    let is_13 = input.extension(SUPPORTED_VERSIONS)?.is_some_and(|it| it == TLS13.to_be_bytes());
    let is_fine = kind == SERVER_HELLO && version == usize::from(TLS12) && compression == 0;
    is_fine.then_some(ServerHello { random, suite, is_13, is_retry: random == RETRY })
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, bytes: usize) -> Option<usize> {
        Some(self.take(bytes)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    }

    /// What follows a length of so many bytes.
    fn vector(&mut self, length: usize) -> Option<&'a [u8]> {
        let length = self.number(length)?;
        self.take(length)
    }

    /// The extension of this kind; all of them are at the end, and there may be none.
    fn extension(&mut self, kind: u16) -> Option<Option<&'a [u8]>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let mut extensions = Self(self.vector(2)?);
        while !extensions.0.is_empty() {
            let found = extensions.number(2)?;
            let value = extensions.vector(2)?;
            if found == usize::from(kind) {
                return Some(Some(value));
            }
        }
        Some(None)
    }
}
