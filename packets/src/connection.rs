//! One connection: who its ends are, both directions, and who reads it.

use std::net::SocketAddr;

use crate::dissect::Segment;
use crate::fate::Totals;
use crate::half::Half;
use crate::limits::Filter;
use crate::link::Network;
use crate::stream::{Direction, Endpoints, Nanos, Streams};
use crate::teller::Teller;

/// What tells connections apart: both ends in an order of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    network: Network,
    low: SocketAddr,
    high: SocketAddr,
}

impl Key {
    pub(crate) fn of(segment: &Segment<'_>) -> Self {
        let (source, destination) = (segment.source, segment.destination);
        Self {
            network: segment.network,
            low: source.min(destination),
            high: source.max(destination),
        }
    }
}

/// How much a connection has shown, which says which bound it is under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Less than makes it established.
    Opening,
    /// It has carried bytes, and more than one packet of it was seen beside its handshake.
    Open,
    /// Over, or not wanted.
    Closed,
}

/// Who reads it.
#[derive(Debug)]
pub(crate) enum Reader<S> {
    /// Nobody was asked: it has carried no bytes.
    Unasked,
    /// This one.
    Reads(S),
    /// Nobody: not wanted.
    Refused,
    /// It is over.
    Gone,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection<S> {
    pub(crate) key: Key,
    /// Who opened it, as far as is known.
    pub(crate) one: SocketAddr,
    pub(crate) other: SocketAddr,
    pub(crate) opened: bool,
    pub(crate) class: Class,
    pub(crate) reader: Reader<S>,
    pub(crate) halves: [Half; 2],
    /// When a packet of it was last seen.
    pub(crate) last: Nanos,
    /// Since when each direction has had its hole, and where it begins.
    pub(crate) holes: [Option<(Nanos, u64)>; 2],
    /// Packets with bytes, up to two.
    pub(crate) carried: u8,
    /// From which sides packets came.
    pub(crate) heard: [bool; 2],
}

impl<S: Streams> Connection<S> {
    /// Begins with this segment. Who sends a SYN is the client, who answers one the server; else the
    /// ports tell.
    pub(crate) fn new(segment: &Segment<'_>, now: Nanos, filter: &Filter) -> Self {
        let (from, to) = (segment.source, segment.destination);
        let by_server = match (segment.syn, segment.acknowledged) {
            (true, None) => false,
            (true, Some(_)) => true,
            (false, _) => filter.serves(from.port(), to.port()),
        };
        let (one, other) = if by_server { (to, from) } else { (from, to) };
        Self {
            key: Key::of(segment),
            one,
            other,
            opened: segment.syn,
            class: Class::Opening,
            reader: Reader::Unasked,
            halves: Default::default(),
            last: now,
            holes: [None; 2],
            carried: 0,
            heard: [false; 2],
        }
    }

    /// Which of both directions this is of: 0 is from the client.
    pub(crate) fn way(&self, segment: &Segment<'_>) -> usize {
        usize::from(segment.source != self.one)
    }

    pub(crate) fn endpoints(&self, segment: &Segment<'_>) -> Endpoints {
        Endpoints {
            one: self.one,
            other: self.other,
            network: segment.network.shown(),
            opened: self.opened,
        }
    }

    /// One direction, and what tells of it.
    pub(crate) fn split<'a>(
        &'a mut self,
        way: usize,
        totals: &'a mut Totals,
    ) -> (&'a mut Half, Teller<'a, S>) {
        let reader = match &mut self.reader {
            Reader::Reads(reader) => Some(reader),
            Reader::Unasked | Reader::Refused | Reader::Gone => None,
        };
        let direction = if way == 0 { Direction::Forth } else { Direction::Back };
        (&mut self.halves[way], Teller { reader, direction, totals })
    }

    /// Whether a SYN is of another connection than this: the ports are in use again.
    ///
    /// A SYN that comes late, behind the first bytes, fits where they began; so does one that is
    /// sent again.
    pub(crate) fn is_reopened_by(&self, segment: &Segment<'_>) -> bool {
        if !segment.syn {
            return false;
        }
        let half = &self.halves[self.way(segment)];
        let first = segment.sequence.wrapping_add(1);
        match (segment.acknowledged, self.class) {
            // An answer tells of another opening only where that of this one was seen, or where this
            // one is over.
            (Some(_), Class::Opening | Class::Open) if !self.opened => false,
            _ if half.known() => !half.began_at(first),
            _ => self.class == Class::Closed,
        }
    }

    /// Takes what a SYN says of where the directions begin. Nothing that is known already changes.
    pub(crate) fn open(&mut self, segment: &Segment<'_>) {
        let way = self.way(segment);
        if !self.halves[way].known() {
            self.halves[way].begin(segment.sequence.wrapping_add(1));
        }
        self.expect(segment);
    }

    /// Where the opening was seen but not all of it, the first acknowledgement says where the other
    /// side began.
    pub(crate) fn expect(&mut self, segment: &Segment<'_>) {
        let other = &mut self.halves[1 - self.way(segment)];
        if let Some(number) = segment.acknowledged
            && self.opened
            && !other.known()
        {
            other.begin(number);
        }
    }

    /// Whether it is more than an attempt by now.
    pub(crate) fn is_established(&self) -> bool {
        self.carried > 1 || (self.carried == 1 && self.heard == [true; 2])
    }

    pub(crate) fn is_over(&self) -> bool {
        self.halves.iter().all(Half::ended)
    }
}
