//! Datagrams from their fragments, for IPv4 and IPv6 alike.
//!
//! Fragments that overlap are an attempt to have two readers read different things: the whole datagram
//! is dropped, and what comes of it later (RFC 5722 section 4, RFC 8200 section 4.5). What is there already,
//! byte for byte, is a duplicate and harms nobody.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use crate::fate::Fate;
use crate::ip::Fragment;
use crate::limits::Limits;
use crate::link::Network;
use crate::stream::Nanos;

const LONGEST: usize = 65_535;

/// What fragments of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) network: Network,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// Of IPv4; for IPv6 it is no part of what tells datagrams apart, and 0.
    pub(crate) protocol: u8,
    pub(crate) id: u32,
}

/// Datagrams that are not whole yet.
#[derive(Debug, Default)]
pub(crate) struct Fragments {
    datagrams: HashMap<Key, Datagram>,
    /// The keys, by the order in which they came.
    order: BTreeMap<u64, Key>,
    serial: u64,
    held: usize,
    whole: u64,
    given_up: u64,
}

#[derive(Debug)]
struct Datagram {
    serial: u64,
    since: Nanos,
    /// As the first fragment says.
    protocol: u8,
    pieces: BTreeMap<usize, Box<[u8]>>,
    bytes: usize,
    total: Option<usize>,
    overlaps: bool,
}

/// A datagram that is whole.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) protocol: u8,
    pub(crate) bytes: Vec<u8>,
}

impl Fragments {
    /// Takes a fragment, and gives back the datagram that it completes, else the fragment's fate.
    pub(crate) fn take(
        &mut self,
        key: Key,
        fragment: Fragment,
        protocol: u8,
        bytes: &[u8],
        now: Nanos,
        limits: &Limits,
    ) -> Result<Whole, Fate> {
        let end = fragment.offset + bytes.len();
        if end > LONGEST || bytes.is_empty() || (fragment.more && !bytes.len().is_multiple_of(8)) {
            return Err(Fate::FragmentMalformed);
        }
        self.expire(now, limits);
        let serial = self.serial;
        let datagram = self.datagrams.entry(key).or_insert_with(|| {
            self.order.insert(serial, key);
            self.serial += 1;
            let datagram = Datagram::new(serial, now);
            self.held += datagram.weight();
            datagram
        });
        let before = datagram.weight();
        let fate = datagram.take(fragment, protocol, bytes);
        self.held = self.held - before + datagram.weight();
        if datagram.is_whole() {
            let datagram = self.remove(key).ok_or(Fate::FragmentHeld)?;
            self.whole += 1;
            return Ok(datagram.join());
        }
        self.make_room(limits);
        Err(fate)
    }

    /// How many datagrams became whole so far, and how many were given up.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.whole, self.given_up)
    }

    /// Gives up what is too old.
    pub(crate) fn expire(&mut self, now: Nanos, limits: &Limits) {
        while let Some(key) = self.oldest() {
            let since = self.datagrams.get(&key).map_or(0, |datagram| datagram.since);
            if now.saturating_sub(since) < limits.fragment {
                break;
            }
            self.give_up(key);
        }
    }

    /// Gives up all.
    pub(crate) fn clear(&mut self) {
        while let Some(key) = self.oldest() {
            self.give_up(key);
        }
    }

    fn make_room(&mut self, limits: &Limits) {
        while self.held > limits.fragments || self.datagrams.len() > limits.datagrams {
            match self.oldest() {
                Some(key) => self.give_up(key),
                None => break,
            }
        }
    }

    fn oldest(&self) -> Option<Key> {
        self.order.first_key_value().map(|(_, key)| *key)
    }

    fn give_up(&mut self, key: Key) {
        self.given_up += 1;
        self.remove(key);
    }

    fn remove(&mut self, key: Key) -> Option<Datagram> {
        let datagram = self.datagrams.remove(&key)?;
        self.order.remove(&datagram.serial);
        self.held -= datagram.weight();
        Some(datagram)
    }
}

impl Datagram {
    fn new(serial: u64, since: Nanos) -> Self {
        let pieces = BTreeMap::new();
        Self { serial, since, protocol: 0, pieces, bytes: 0, total: None, overlaps: false }
    }

    fn take(&mut self, fragment: Fragment, protocol: u8, bytes: &[u8]) -> Fate {
        if self.overlaps {
            return Fate::FragmentOverlap;
        }
        let (start, end) = (fragment.offset, fragment.offset + bytes.len());
        if self.pieces.get(&start).is_some_and(|piece| **piece == *bytes) {
            return Fate::FragmentDuplicate;
        }
        let before = self.pieces.range(..start).next_back();
        let behind_before = before.map_or(0, |(at, piece)| at + piece.len());
        let next = self.pieces.range(start..).next().map_or(usize::MAX, |(at, _)| *at);
        if behind_before > start || next < end {
            self.overlaps = true;
            self.pieces.clear();
            self.bytes = 0;
            return Fate::FragmentOverlap;
        }
        // Nothing is behind the last one, and there is one last one.
        let last = self.pieces.last_key_value().map_or(0, |(at, piece)| at + piece.len());
        let fits = match self.total {
            Some(total) => fragment.more && end <= total,
            None => fragment.more || end >= last,
        };
        if !fits {
            return Fate::FragmentMalformed;
        }
        if !fragment.more {
            self.total = Some(end);
        }
        if start == 0 {
            self.protocol = protocol;
        }
        self.bytes += bytes.len();
        self.pieces.insert(start, bytes.into());
        Fate::FragmentHeld
    }

    fn is_whole(&self) -> bool {
        !self.overlaps && self.total == Some(self.bytes)
    }

    fn join(self) -> Whole {
        let mut bytes = Vec::with_capacity(self.bytes);
        self.pieces.values().for_each(|piece| bytes.extend_from_slice(piece));
        Whole { protocol: self.protocol, bytes }
    }

    fn weight(&self) -> usize {
        self.bytes + (self.pieces.len() + 1) * Limits::PIECE
    }
}
