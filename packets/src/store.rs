//! Where connections are, in places with numbers, and which of them goes first when one has to.
//!
//! A connection is in one of three queues, by how much it has shown; the first of a queue is the one
//! that was silent for longest. A direction with a hole is in a fourth, the oldest hole first. So
//! nothing is ever searched, and what one packet costs does not depend on how many connections
//! there are.

use std::collections::HashMap;

use crate::connection::{Class, Connection, Key, Reader};
use crate::fate::Totals;
use crate::half::Half;
use crate::queue::Queue;
use crate::stream::{End, Nanos, Streams};
use crate::teller::Teller;

/// Every connection that is known.
#[derive(Debug)]
pub(crate) struct Store<S> {
    places: Vec<Option<Connection<S>>>,
    free: Vec<u32>,
    index: HashMap<Key, u32>,
    queues: [Queue; 3],
    /// By place times two plus direction.
    holes: Queue,
    held: usize,
    pub(crate) totals: Totals,
}

/// Why a connection is given up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Why {
    /// It was silent for too long.
    Idle,
    /// Its place was needed.
    Evicted,
    /// Its ports were.
    Replaced,
    /// The source is over.
    Over,
}

/// A direction of the connection in a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) place: u32,
    pub(crate) way: usize,
}

impl<S> Default for Store<S> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            index: HashMap::new(),
            queues: Default::default(),
            holes: Queue::default(),
            held: 0,
            totals: Totals::default(),
        }
    }
}

impl<S: Streams> Store<S> {
    pub(crate) fn find(&self, key: &Key) -> Option<u32> {
        self.index.get(key).copied()
    }

    pub(crate) fn get(&self, place: u32) -> Option<&Connection<S>> {
        self.places.get(place as usize).and_then(Option::as_ref)
    }

    pub(crate) fn get_mut(&mut self, place: u32) -> Option<&mut Connection<S>> {
        self.places.get_mut(place as usize).and_then(Option::as_mut)
    }

    /// How many there are, those included that are over and remembered.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// How many of a class there are.
    pub(crate) fn count(&self, class: Class) -> usize {
        self.queues[class as usize].len()
    }

    /// The one of a class that was silent for longest.
    pub(crate) fn oldest(&self, class: Class) -> Option<u32> {
        self.queues[class as usize].first()
    }

    /// The direction that has had a hole for longest.
    pub(crate) fn oldest_hole(&self) -> Option<Way> {
        self.holes.first().map(|id| Way { place: id / 2, way: (id % 2) as usize })
    }

    /// What is held out of order weighs so many bytes.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// A new one, whose key is not in use.
    pub(crate) fn insert(&mut self, connection: Connection<S>) -> u32 {
        let count =
            if connection.opened { &mut self.totals.opened } else { &mut self.totals.joined };
        *count += 1;
        let place = self.free.pop().unwrap_or(self.places.len() as u32);
        self.index.insert(connection.key, place);
        self.queues[connection.class as usize].touch(place);
        match self.places.get_mut(place as usize) {
            Some(free) => *free = Some(connection),
            None => self.places.push(Some(connection)),
        }
        place
    }

    /// A packet of it was seen.
    pub(crate) fn touch(&mut self, place: u32, now: Nanos) {
        if let Some(connection) = self.get_mut(place) {
            connection.last = now;
            let class = connection.class;
            self.queues[class as usize].touch(place);
        }
    }

    /// From now on it is under another bound.
    pub(crate) fn class(&mut self, place: u32, class: Class) {
        if let Some(connection) = self.get_mut(place)
            && connection.class != class
        {
            let old = std::mem::replace(&mut connection.class, class);
            self.queues[old as usize].remove(place);
            self.queues[class as usize].touch(place);
        }
    }

    /// It is over: its reader goes, and it is remembered.
    pub(crate) fn close(&mut self, place: u32) {
        self.class(place, Class::Closed);
        if let Some(connection) = self.get_mut(place) {
            connection.reader = Reader::Gone;
        }
    }

    /// Does something with one direction, and keeps the books.
    pub(crate) fn half<R: Default>(
        &mut self,
        Way { place, way }: Way,
        now: Nanos,
        act: impl FnOnce(&mut Half, &mut Teller<'_, S>) -> R,
    ) -> R {
        let Some(connection) = self.places.get_mut(place as usize).and_then(Option::as_mut) else {
            return R::default();
        };
        let (half, mut teller) = connection.split(way, &mut self.totals);
        let before = half.held();
        let result = act(half, &mut teller);
        self.held = self.held - before + half.held();
        let id = place * 2 + way as u32;
        match (half.hole(), connection.holes[way]) {
            (None, None) => {}
            (None, Some(_)) => {
                connection.holes[way] = None;
                self.holes.remove(id);
            }
            (Some(at), Some((_, known))) if at == known => {}
            (Some(at), _) => {
                connection.holes[way] = Some((now, at));
                self.holes.touch(id);
            }
        }
        result
    }

    /// Ends both directions of it.
    pub(crate) fn end(&mut self, place: u32, how: End, at: Nanos) {
        for way in 0..2 {
            self.half(Way { place, way }, at, |half, teller| half.end(how, at, teller));
        }
    }

    /// Gives it up and forgets it.
    pub(crate) fn remove(&mut self, place: u32, why: Why) {
        let Some(connection) = self.get(place) else { return };
        let (class, last) = (connection.class, connection.last);
        if class != Class::Closed {
            self.end(place, End::GivenUp, last);
            let totals = &mut self.totals;
            let count = match (why, class) {
                (Why::Idle, _) => &mut totals.idle,
                (Why::Evicted, Class::Opening) => &mut totals.evicted_opening,
                (Why::Evicted, _) => &mut totals.evicted,
                (Why::Replaced, _) => &mut totals.replaced,
                (Why::Over, _) => &mut totals.unfinished,
            };
            *count += 1;
        }
        if let Some(connection) = self.places.get_mut(place as usize).and_then(Option::take) {
            self.index.remove(&connection.key);
            self.queues[class as usize].remove(place);
            self.free.push(place);
        }
    }
}
