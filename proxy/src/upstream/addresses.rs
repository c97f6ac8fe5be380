//! The addresses of a name: which there are, which is next, which failed a moment ago.
//!
//! Pure: time is an argument.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

/// For so long an address that could not be connected to stands behind the others.
const SET_BACK: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Addresses {
    known: Vec<Known>,
    turn: usize,
}

#[derive(Debug)]
struct Known {
    addr: SocketAddr,
    failed_at: Option<Instant>,
    /// It was not in the last answer. Some servers answer with a part of what they have, so that
    /// one answer without it does not mean that it is gone; it is only not connected to.
    missed: bool,
}

impl Addresses {
    /// Takes in an answer; whether an address is gone, which means missing in two in a row.
    pub(super) fn learn(&mut self, answer: &[SocketAddr]) -> bool {
        let before = self.known.len();
        self.known.retain(|known| !known.missed || answer.contains(&known.addr));
        let gone = self.known.len() < before;
        for known in &mut self.known {
            known.missed = !answer.contains(&known.addr);
        }
        for addr in answer {
            if !self.is_known(*addr) {
                self.known.push(Known { addr: *addr, failed_at: None, missed: false });
            }
        }
        gone
    }

    /// All that are connected to.
    pub(super) fn all(&self) -> Vec<SocketAddr> {
        self.known.iter().filter(|known| !known.missed).map(|known| known.addr).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whether a connection to this address may still be used.
    pub(super) fn is_known(&self, addr: SocketAddr) -> bool {
        self.known.iter().any(|known| known.addr == addr)
    }

    /// Where to connect, best first: in turn, those that failed of late behind the others.
    pub(super) fn next(&mut self, now: Instant) -> Vec<SocketAddr> {
        let mut current: Vec<_> = self.known.iter().filter(|known| !known.missed).collect();
        if !current.is_empty() {
            let turn = self.turn % current.len();
            current.rotate_left(turn);
            self.turn = self.turn.wrapping_add(1);
        }
        let of_late = |at: Instant| now.saturating_duration_since(at) < SET_BACK;
        current.sort_by_key(|known| known.failed_at.is_some_and(of_late));
        current.into_iter().map(|known| known.addr).collect()
    }

    pub(super) fn note(&mut self, addr: SocketAddr, failed_at: Option<Instant>) {
        for known in self.known.iter_mut().filter(|known| known.addr == addr) {
            known.failed_at = failed_at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 80))
    }

    #[test]
    fn connections_go_to_all_addresses_in_turn() {
        let mut addresses = Addresses::default();
        addresses.learn(&[addr(1), addr(2), addr(3)]);
        let now = Instant::now();
        let first: Vec<_> = (0..4).map(|_| addresses.next(now)[0]).collect();
        assert_eq!(first, [addr(1), addr(2), addr(3), addr(1)]);
        assert_eq!(addresses.next(now).len(), 3);
    }

    #[test]
    fn an_address_that_failed_stands_behind_the_others_for_a_while() {
        let mut addresses = Addresses::default();
        addresses.learn(&[addr(1), addr(2)]);
        let now = Instant::now();
        addresses.note(addr(1), Some(now));
        for _ in 0..4 {
            assert_eq!(addresses.next(now), [addr(2), addr(1)]);
        }
        let later = now + SET_BACK;
        let first: Vec<_> = (0..2).map(|_| addresses.next(later)[0]).collect();
        assert!(first.contains(&addr(1)));
    }

    #[test]
    fn an_address_missing_once_is_not_connected_to_and_missing_twice_is_gone() {
        let mut addresses = Addresses::default();
        assert!(!addresses.learn(&[addr(1), addr(2)]));
        assert!(!addresses.learn(&[addr(2)]));
        assert!(addresses.is_known(addr(1)));
        assert_eq!(addresses.next(Instant::now()), [addr(2)]);
        assert!(addresses.learn(&[addr(2), addr(3)]));
        assert!(!addresses.is_known(addr(1)));
        assert!(!addresses.learn(&[addr(3)]));
        assert!(!addresses.learn(&[addr(2), addr(3)]), "it came back in time");
        assert!(addresses.is_known(addr(2)));
    }
}
