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

/// Appends what is new of a log that grows.
type More = Box<dyn FnMut(&mut Vec<u8>) + Send + Sync>;

#[derive(Default)]
struct Log {
    more: Option<More>,
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

    /// A log that grows: whenever keys are wanted that it does not have, this appends what is new of its text. A client
    /// writes them before it says anything that they are needed for.
    pub fn followed(more: impl FnMut(&mut Vec<u8>) + Send + Sync + 'static) -> Self {
        let log = Log { more: Some(Box::new(more)), ..Log::default() };
        Self(Arc::new(RwLock::new(log)))
    }

    /// More of its text. A line may end in what comes later.
    pub fn extend(&self, text: &[u8]) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).extend(text);
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
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).of(client);
        if known.as_ref().is_some_and(Secrets::are_enough) {
            return known;
        }
        let mut log = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut text = Vec::new();
        match &mut log.more {
            Some(more) => more(&mut text),
            None => return known,
        }
        log.extend(&text);
        log.of(client)
    }
}

impl Secrets {
    fn are_enough(&self) -> bool {
        self.master.is_some() || (self.client.is_some() && self.server.is_some())
    }
}

impl Log {
    fn of(&self, client: &Random) -> Option<Secrets> {
        self.secrets.get(client).cloned()
    }

    fn extend(&mut self, text: &[u8]) {
        for line in text.split_inclusive(|it| *it == b'\n') {
            let room = LINE.saturating_sub(self.rest.len()).min(line.len());
            self.rest.extend_from_slice(&line[..room]);
            if line.ends_with(b"\n") {
                let line = std::mem::take(&mut self.rest);
                self.line(line.trim_ascii());
            }
        }
    }

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
    fn a_log_that_grows_is_read_on_where_keys_are_wanted_that_it_does_not_have() {
        let written = Arc::new(RwLock::new(Vec::new()));
        let (reads, text) = (Arc::new(RwLock::new(0)), Arc::clone(&written));
        let counted = Arc::clone(&reads);
        let log = KeyLog::followed(move |new| {
            *counted.write().unwrap() += 1;
            new.append(&mut text.write().unwrap());
        });
        let write = |text: &str| written.write().unwrap().extend_from_slice(text.as_bytes());
        assert!(log.of(&[2; 32]).is_none());
        write(&line("CLIENT_TRAFFIC_SECRET_0", 2, "01"));
        assert!(log.of(&[2; 32]).unwrap().server.is_none());
        write(&line("SERVER_TRAFFIC_SECRET_0", 2, "02")[..80]);
        assert!(log.of(&[2; 32]).unwrap().server.is_none(), "half a line");
        write(&line("SERVER_TRAFFIC_SECRET_0", 2, "02")[80..]);
        assert!(log.of(&[2; 32]).unwrap().server.is_some());
        let before = *reads.read().unwrap();
        assert!(log.of(&[2; 32]).unwrap().are_enough());
        assert_eq!(*reads.read().unwrap(), before, "what is known is not read for again");
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
