//! What a segment means for its connection (RFC 9293 section 3.10, as somebody sees it who reads along), and
//! what is given up when time passes or room runs out.

use crate::connection::{Class, Connection, Key, Reader};
use crate::dissect::Segment;
use crate::fate::{Fate, Totals};
use crate::half::Taken;
use crate::limits::{Filter, Limits};
use crate::store::{Store, Way, Why};
use crate::stream::{End, Endpoints, Nanos, Streams};

/// Makes the reader of a connection.
pub(crate) type Make<'m, S> = &'m mut dyn FnMut(Endpoints) -> Option<S>;

/// The connections.
#[derive(Debug)]
pub(crate) struct Table<S> {
    store: Store<S>,
}

impl<S> Default for Table<S> {
    fn default() -> Self {
        Self { store: Store::default() }
    }
}

impl<S: Streams> Table<S> {
    /// Takes a segment. `now` never goes back.
    pub(crate) fn segment(
        &mut self,
        segment: &Segment<'_>,
        now: Nanos,
        limits: &Limits,
        filter: &Filter,
        make: Make<'_, S>,
    ) -> Fate {
        let key = Key::of(segment);
        let mut place = self.store.find(&key);
        if let Some(old) = place
            && self.store.get(old).is_some_and(|known| known.is_reopened_by(segment))
        {
            self.store.remove(old, Why::Replaced);
            place = None;
        }
        let place = match place {
            Some(place) => place,
            None if begins(segment) => self.store.insert(Connection::new(segment, now, filter)),
            None => return Fate::NoPayload,
        };
        let fate = self.follow(place, segment, now, limits, make);
        self.make_room(now, limits);
        fate
    }

    /// Gives up what has waited for too long.
    pub(crate) fn expire(&mut self, now: Nanos, limits: &Limits) {
        while let Some(hole) = self.store.oldest_hole() {
            let known = self.store.get(hole.place).and_then(|known| known.holes[hole.way]);
            if now.saturating_sub(known.map_or(0, |(since, _)| since)) < limits.hole {
                break;
            }
            let before = now.saturating_sub(limits.hole);
            self.store.half(hole, now, |half, teller| half.give_up_old(before, teller));
            self.close_if_over(hole.place);
        }
        let idle = [
            (Class::Opening, limits.idle_opening),
            (Class::Open, limits.idle),
            (Class::Closed, limits.linger),
        ];
        for (class, idle) in idle {
            while let Some(place) = self.store.oldest(class) {
                let last = self.store.get(place).map_or(0, |connection| connection.last);
                if now.saturating_sub(last) < idle {
                    break;
                }
                self.store.remove(place, Why::Idle);
            }
        }
    }

    /// Gives up all connections.
    pub(crate) fn clear(&mut self) {
        for class in [Class::Opening, Class::Open, Class::Closed] {
            while let Some(place) = self.store.oldest(class) {
                self.store.remove(place, Why::Over);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.store.len()
    }

    pub(crate) fn held(&self) -> usize {
        self.store.held()
    }

    pub(crate) fn totals(&self) -> &Totals {
        &self.store.totals
    }

    fn follow(
        &mut self,
        place: u32,
        segment: &Segment<'_>,
        now: Nanos,
        limits: &Limits,
        make: Make<'_, S>,
    ) -> Fate {
        let Some(connection) = self.store.get_mut(place) else { return Fate::NoPayload };
        let way = connection.way(segment);
        if connection.class == Class::Closed {
            return self.behind_end(place, segment, now);
        }
        connection.heard[way] = true;
        if segment.syn {
            connection.open(segment);
        } else {
            connection.expect(segment);
        }
        self.store.touch(place, now);
        if segment.rst {
            return self.reset(Way { place, way }, segment, limits);
        }
        if let Some(number) = segment.acknowledged {
            let back = Way { place, way: 1 - way };
            self.store.half(back, now, |half, teller| {
                half.acknowledge(number, segment.at, limits, teller)
            });
        }
        let fate = self.payload(Way { place, way }, segment, now, limits, make);
        if segment.fin {
            let end = first(segment).wrapping_add(segment.payload.total() as u32);
            self.store.half(Way { place, way }, now, |half, teller| {
                half.finish(end, segment.at, limits, teller);
            });
        }
        self.close_if_over(place);
        fate
    }

    /// Bytes of it; the first that a connection carries make its reader.
    fn payload(
        &mut self,
        way: Way,
        segment: &Segment<'_>,
        now: Nanos,
        limits: &Limits,
        make: Make<'_, S>,
    ) -> Fate {
        if segment.payload.total() == 0 {
            return Fate::NoPayload;
        }
        if !self.has_reader(way.place, segment, now, make) {
            return Fate::NotWanted;
        }
        let Some(connection) = self.store.get_mut(way.place) else { return Fate::NoPayload };
        connection.carried = connection.carried.saturating_add(1);
        if connection.is_established() {
            self.store.class(way.place, Class::Open);
        }
        let taken = self.store.half(way, now, |half, teller| {
            let sequence = first(segment);
            if !half.known() {
                half.begin(sequence);
            }
            Some(half.take(sequence, segment.payload, segment.at, limits, teller))
        });
        match taken {
            Some(Taken::Told | Taken::Held) if segment.payload.cut > 0 => Fate::Truncated,
            Some(Taken::Told) => Fate::Delivered,
            Some(Taken::Held) => Fate::OutOfOrder,
            Some(Taken::Known) => Fate::Duplicate,
            Some(Taken::BeforeStart) => Fate::BeforeStart,
            Some(Taken::AfterEnd) => Fate::AfterEnd,
            None => Fate::NoPayload,
        }
    }

    /// Makes the reader, if nobody was asked yet.
    fn has_reader(
        &mut self,
        place: u32,
        segment: &Segment<'_>,
        now: Nanos,
        make: Make<'_, S>,
    ) -> bool {
        let Some(connection) = self.store.get_mut(place) else { return false };
        if !matches!(connection.reader, Reader::Unasked) {
            return true;
        }
        let Some(reader) = make(connection.endpoints(segment)) else {
            connection.reader = Reader::Refused;
            self.store.totals.not_wanted += 1;
            for way in [0, 1] {
                self.store.half(Way { place, way }, now, |half, _| half.forget());
            }
            self.store.class(place, Class::Closed);
            return false;
        };
        connection.reader = Reader::Reads(reader);
        for way in [0, 1] {
            self.store.half(Way { place, way }, now, |half, teller| half.catch_up(teller));
        }
        true
    }

    /// One that is near to where its direction is ends both.
    fn reset(&mut self, Way { place, way }: Way, segment: &Segment<'_>, limits: &Limits) -> Fate {
        let Some(connection) = self.store.get(place) else { return Fate::NoPayload };
        let half = &connection.halves[way];
        let distance = half.distance(segment.sequence).unsigned_abs();
        if half.known() && distance > u64::from(limits.window) {
            return Fate::OutOfWindow;
        }
        self.store.end(place, End::Reset, segment.at);
        self.store.totals.reset += 1;
        self.store.close(place);
        Fate::NoPayload
    }

    fn behind_end(&mut self, place: u32, segment: &Segment<'_>, now: Nanos) -> Fate {
        let refused =
            self.store.get(place).is_some_and(|known| matches!(known.reader, Reader::Refused));
        if refused {
            self.store.touch(place, now);
        }
        match (segment.payload.total() > 0 && !segment.rst, refused) {
            (false, _) => Fate::NoPayload,
            (true, true) => Fate::NotWanted,
            (true, false) => Fate::AfterEnd,
        }
    }

    fn close_if_over(&mut self, place: u32) {
        let over = self.store.get(place).is_some_and(Connection::is_over);
        if over && self.store.get(place).is_some_and(|known| known.class != Class::Closed) {
            self.store.totals.finished += 1;
            self.store.close(place);
        }
    }

    fn make_room(&mut self, now: Nanos, limits: &Limits) {
        while self.store.held() > limits.held_in_all
            && let Some(hole) = self.store.oldest_hole()
        {
            self.store.half(hole, now, |half, teller| half.give_up_all(teller));
            self.close_if_over(hole.place);
        }
        let most = [
            (Class::Opening, limits.opening),
            (Class::Open, limits.connections),
            (Class::Closed, limits.closed),
        ];
        for (class, most) in most {
            while self.store.count(class) > most
                && let Some(place) = self.store.oldest(class)
            {
                self.store.remove(place, Why::Evicted);
            }
        }
    }
}

/// Whether a connection begins with it that is not known: one that is joined in the middle begins
/// with its first bytes.
fn begins(segment: &Segment<'_>) -> bool {
    !segment.rst && (segment.syn || segment.payload.total() > 0)
}

/// The number of the first byte: a SYN takes one before it.
fn first(segment: &Segment<'_>) -> u32 {
    segment.sequence.wrapping_add(u32::from(segment.syn))
}
