//! The secrets of TLS connections, as clients and servers write them for who is to look into what they say:
//! lines of `LABEL <client random> <secret>` in hexadecimal (RFC 9850).

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use zeroize::Zeroizing;

/// What a client calls its connection.
pub(crate) type Random = [u8; 32];
pub(crate) type Secret = Zeroizing<Vec<u8>>;

/// A line of more is none.
const LINE: usize = 512;
/// Connections whose secrets are kept; the oldest are forgotten.
const CONNECTIONS: usize = 100_000;

/// What a key log says so far. Clones are the same log: it can grow while conversations read it.
#[derive(Clone, Default)]
pub struct KeyLog(Arc<RwLock<Log>>);

#[derive(Default)]
struct Log {
    secrets: BTreeMap<Random, Secrets>,
    order: VecDeque<Random>,
    /// A line whose end is still to come.
    rest: Secret,
}

/// What can be read with, of one connection. The secrets of the handshake are not: nothing that it says
/// is looked for.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    /// TLS 1.2.
    pub(crate) master: Option<Secret>,
    /// TLS 1.3: what the client says, and what the server says.
    pub(crate) client: Option<Secret>,
    pub(crate) server: Option<Secret>,
}

impl KeyLog {
    /// The log that this text is. Lines that are none are passed over, as are labels that are of no use.
    pub fn parse(text: &[u8]) -> Self {
        let log = Self::default();
        log.extend(text);
        log.extend(b"\n");
        log
    }

    /// More of its text. A line may end in what comes later.
    pub fn extend(&self, text: &[u8]) {
        let mut log = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for line in text.split_inclusive(|it| *it == b'\n') {
            let room = LINE.saturating_sub(log.rest.len()).min(line.len());
            log.rest.extend_from_slice(&line[..room]);
            if line.ends_with(b"\n") {
                let line = std::mem::take(&mut log.rest);
                log.line(line.trim_ascii());
            }
        }
    }

    /// Connections whose secrets it has.
    pub fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).secrets.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn of(&self, client: &Random) -> Option<Secrets> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).secrets.get(client).cloned()
    }
}

impl Log {
    fn line(&mut self, line: &[u8]) -> Option<()> {
        let mut words = line.split(|it| *it == b' ').filter(|it| !it.is_empty());
        let label = words.next()?;
        let random: Random = hexadecimal(words.next()?)?[..].try_into().ok()?;
        let secret = hexadecimal(words.next()?)?;
        if !matches!(
            label,
            b"CLIENT_RANDOM" | b"CLIENT_TRAFFIC_SECRET_0" | b"SERVER_TRAFFIC_SECRET_0"
        ) {
            return None;
        }
        if !self.secrets.contains_key(&random) {
            if self.order.len() >= CONNECTIONS {
                self.secrets.remove(&self.order.pop_front()?);
            }
            self.order.push_back(random);
        }
        let secrets = self.secrets.entry(random).or_default();
        let place = match label {
            b"CLIENT_RANDOM" => &mut secrets.master,
            b"CLIENT_TRAFFIC_SECRET_0" => &mut secrets.client,
            _ => &mut secrets.server,
        };
        *place = Some(secret);
        Some(())
    }
}

fn hexadecimal(text: &[u8]) -> Option<Secret> {
    let digit = |it: u8| char::from(it).to_digit(16).map(|it| it as u8);
    let pairs = text.chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect::<Option<Vec<u8>>>().map(Zeroizing::new)
}

impl fmt::Debug for KeyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyLog").field("connections", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(label: &str, client: u8, secret: &str) -> String {
        format!("{label} {} {secret}\n", format!("{client:02x}").repeat(32))
    }

    #[test]
    fn lines_may_come_in_pieces_and_others_are_passed_over() {
        let text = line("CLIENT_RANDOM", 1, "0aFF")
            + "# a comment\n\nCLIENT_RANDOM xx yy\nCLIENT_RANDOM 0102 0304\n"
            + &line("CLIENT_HANDSHAKE_TRAFFIC_SECRET", 3, "01")
            + &line("CLIENT_TRAFFIC_SECRET_0", 2, "01")
            + &"x".repeat(2000)
            + "\r\n"
            + line("SERVER_TRAFFIC_SECRET_0", 2, "02").trim_end();
        for piece in [1, 7, 10_000] {
            let log = KeyLog::default();
            for piece in text.as_bytes().chunks(piece) {
                log.extend(piece);
            }
            assert_eq!(log.of(&[2; 32]).unwrap().server, None);
            log.clone().extend(b"\n");
            assert_eq!(log.len(), 2);
            assert_eq!(*log.of(&[1; 32]).unwrap().master.unwrap(), [0x0a, 0xff]);
            let secrets = log.of(&[2; 32]).unwrap();
            assert_eq!((*secrets.client.unwrap()).clone(), [1]);
            assert_eq!((*secrets.server.unwrap()).clone(), [2]);
        }
        assert_eq!(KeyLog::parse(text.as_bytes()).len(), 2);
    }

    #[test]
    fn no_secret_is_shown() {
        let log = KeyLog::parse(line("CLIENT_RANDOM", 1, "abcdef").as_bytes());
        assert_eq!(format!("{log:?}"), "KeyLog { connections: 1, .. }");
    }
}
