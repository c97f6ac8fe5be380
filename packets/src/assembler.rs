//! All of it together: frames in, streams out, each frame's fate counted.

use crate::dissect::{Dissector, Segment};
use crate::fate::{Counts, Fate, Totals};
use crate::frame::{Frame, Link};
use crate::limits::{Filter, Limits};
use crate::stream::{Endpoints, Nanos, Streams};
use crate::table::{Make, Table};
use crate::tunnel::Tunnel;

/// Puts connections together from frames and owns what reads them.
///
/// **Readers** are made when a connection carries its first bytes; one that never does has none. Each
/// is told of the end of both directions, once, whatever happens.
///
/// **Who is the client** is known where SYN or its answer was seen. Else it is guessed by the ports: one
/// that is in [`Filter::ports`] is the server's, else the lower one.
///
/// **Time** is that of the packets, as the largest that was seen: a packet whose time is before that
/// of one before it makes nothing younger. Between packets [`Self::advance`] tells it.
///
/// **Holes** are given up, told as a gap and counted, as soon as the other side has acknowledged what is
/// behind them (then what is missing was not captured and will not be sent again), when they are
/// older than [`Limits::hole`], or when what is behind them takes too much room.
#[derive(Debug)]
pub struct Assembler<S> {
    limits: Limits,
    filter: Filter,
    dissector: Dissector,
    table: Table<S>,
    counts: Counts,
    now: Nanos,
}

impl<S: Streams> Assembler<S> {
    /// Without connections yet.
    pub fn new(limits: Limits, filter: Filter) -> Self {
        let (dissector, table) = (Dissector::default(), Table::default());
        Self { limits, filter, dissector, table, counts: Counts::default(), now: 0 }
    }

    /// Takes a captured frame and says what became of it. `make` makes the reader of a new
    /// connection; where it gives none the connection is passed over.
    pub fn frame(
        &mut self,
        frame: &Frame<'_>,
        make: &mut impl FnMut(Endpoints) -> Option<S>,
    ) -> Fate {
        self.take(frame, None, make)
    }

    /// Takes what came to the UDP port of a tunnel, without the headers before it, and says what
    /// became of it; `original` is how long it was if it was cut. Else as [`Self::frame`].
    pub fn payload(
        &mut self,
        tunnel: Tunnel,
        at: Nanos,
        payload: &[u8],
        original: usize,
        make: &mut impl FnMut(Endpoints) -> Option<S>,
    ) -> Fate {
        // The link is what is in the tunnel, which that itself says.
        let frame = Frame { at, link: Link::Ethernet, bytes: payload, original };
        self.take(&frame, Some(tunnel), make)
    }

    fn take(&mut self, frame: &Frame<'_>, tunnel: Option<Tunnel>, make: Make<'_, S>) -> Fate {
        self.advance(frame.at);
        let Self { limits, filter, dissector, table, now, .. } = self;
        let mut sink = |segment: &Segment<'_>| {
            let (source, destination) = (segment.source, segment.destination);
            let hosts = [source.ip(), destination.ip()];
            let ports = [source.port(), destination.port()];
            match filter.refuses(hosts, ports, segment.network.shown()) {
                Some(fate) => fate,
                None => table.segment(segment, *now, limits, filter, make),
            }
        };
        let fate = match tunnel {
            Some(tunnel) => dissector.payload(tunnel, frame, *now, limits, &mut sink),
            None => dissector.frame(frame, *now, limits, &mut sink),
        };
        self.counts.add(fate);
        fate
    }

    /// It is this late at least: gives up what has waited for too long.
    pub fn advance(&mut self, now: Nanos) {
        self.now = self.now.max(now);
        self.table.expire(self.now, &self.limits);
        self.dissector.fragments.expire(self.now, &self.limits);
    }

    /// The source is over: what is held is told, and every connection ends. It can be used again.
    pub fn finish(&mut self) {
        self.table.clear();
        self.dissector.fragments.clear();
    }

    /// What became of the frames so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What became of connections so far.
    pub fn totals(&self) -> Totals {
        let (reassembled, fragments_given_up) = self.dissector.fragments.counts();
        Totals { reassembled, fragments_given_up, ..self.table.totals().clone() }
    }

    /// How many connections are known, those included that are over and remembered for a while.
    pub fn connections(&self) -> usize {
        self.table.len()
    }

    /// What is held out of order, in bytes, each run of them with [`Limits::PIECE`] more.
    pub fn held(&self) -> usize {
        self.table.held()
    }
}
