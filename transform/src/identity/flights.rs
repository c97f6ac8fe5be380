//! What is being learned right now: the pairs that are under way, each with the values that are new in its
//! baseline's answer.
//!
//! A client can know a new value only from that answer. As soon as its head has come, and then its body, is
//! read which values are new in it, be the candidate's still to come: copies with one of these have something
//! to wait for, and no others. A body on its way holds nobody up: it may have no end.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Key, Scope};

/// A pair under way. Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flight(u64);

/// How far a baseline's answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// Nothing of it.
    Nothing,
    /// Its head.
    Head,
    /// All of it.
    End,
}

/// The pairs that are under way: `P` tells how far the baseline's answer is.
#[derive(Debug)]
pub struct Flights<P> {
    next: u64,
    scopes: HashMap<Scope, BTreeMap<Flight, Aloft<P>>>,
}

#[derive(Debug)]
struct Aloft<P> {
    progress: P,
    /// How far it was read.
    read: Reached,
    /// What is new in that.
    new: HashSet<Key>,
}

impl<P> Default for Flights<P> {
    fn default() -> Self {
        Self { next: 0, scopes: HashMap::new() }
    }
}

impl<P> Flights<P> {
    /// The next in the order in which requests came.
    pub fn number(&mut self) -> Flight {
        self.next += 1;
        Flight(self.next)
    }

    /// A pair that may teach values of this scope is under way.
    pub fn begin(&mut self, flight: Flight, scope: Scope, progress: P) {
        let aloft = Aloft { progress, read: Reached::Nothing, new: HashSet::new() };
        self.scopes.entry(scope).or_default().insert(flight, aloft);
    }

    /// As far as it was read the baseline's answer has these new values.
    pub fn told(
        &mut self,
        flight: Flight,
        scope: Scope,
        (read, new): (Reached, impl IntoIterator<Item = Key>),
    ) {
        if let Some(aloft) = self.scopes.get_mut(&scope).and_then(|it| it.get_mut(&flight)) {
            aloft.new.extend(new);
            aloft.read = aloft.read.max(read);
        }
    }

    /// The pair has taught what it could; gives the values that were new in it.
    pub fn end(&mut self, flight: Flight, scope: Scope) -> HashSet<Key> {
        let Some(flights) = self.scopes.get_mut(&scope) else { return HashSet::new() };
        let ended = flights.remove(&flight);
        if flights.is_empty() {
            self.scopes.remove(&scope);
        }
        ended.map(|aloft| aloft.new).unwrap_or_default()
    }

    /// Whether one of those before this may still teach a value: it is new in its answer, or what has come of
    /// that is about to be read.
    pub fn awaits(
        &self,
        key: Key,
        scope: Scope,
        before: Flight,
        reached: impl Fn(&P) -> Reached,
    ) -> bool {
        let Some(flights) = self.scopes.get(&scope) else { return false };
        let mut flights = flights.range(..before);
        flights.any(|(_, aloft)| aloft.new.contains(&key) || aloft.read < reached(&aloft.progress))
    }

    /// How many are under way.
    pub fn len(&self) -> usize {
        self.scopes.values().map(BTreeMap::len).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.scopes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::Secret;
    use super::*;

    const SECRET: Secret = Secret(1, 2);

    fn key(value: &str) -> Key {
        SECRET.key(SECRET.scope(None), value.as_bytes())
    }

    fn awaits(flights: &Flights<Cell<Reached>>, value: &str, before: Flight) -> bool {
        flights.awaits(key(value), SECRET.scope(None), before, Cell::get)
    }

    #[test]
    fn a_value_is_awaited_while_an_earlier_pair_may_teach_it() {
        let scope = SECRET.scope(None);
        let mut flights = Flights::default();
        let before = flights.number();
        let (one, later) = (flights.number(), flights.number());
        flights.begin(one, scope, Cell::new(Reached::End));
        assert!(awaits(&flights, "17", later), "nobody has read yet what the answer holds");
        assert!(!awaits(&flights, "17", one), "not for itself");
        assert!(!awaits(&flights, "17", before), "nor for what came earlier");
        flights.told(one, scope, (Reached::End, [key("17")]));
        assert!(awaits(&flights, "17", later));
        assert!(!awaits(&flights, "18", later), "its answer holds another value");
        assert_eq!(flights.end(one, scope), [key("17")].into());
        assert!(!awaits(&flights, "17", later) && flights.is_empty());
    }

    #[test]
    fn what_the_baseline_has_not_begun_to_answer_no_client_can_know() {
        let scope = SECRET.scope(None);
        let mut flights = Flights::default();
        let (one, later) = (flights.number(), flights.number());
        flights.begin(one, scope, Cell::new(Reached::Nothing));
        assert!(!awaits(&flights, "17", later));
    }

    #[test]
    fn a_body_that_is_on_its_way_holds_nobody_up() {
        let scope = SECRET.scope(None);
        let mut flights = Flights::default();
        let (one, later) = (flights.number(), flights.number());
        flights.begin(one, scope, Cell::new(Reached::Head));
        assert!(awaits(&flights, "17", later), "its head is about to be read");
        flights.told(one, scope, (Reached::Head, [key("17")]));
        assert!(awaits(&flights, "17", later) && !awaits(&flights, "18", later));
        flights.scopes[&scope][&one].progress.set(Reached::End);
        assert!(awaits(&flights, "18", later), "it has come, and is about to be read");
        flights.told(one, scope, (Reached::End, [key("18")]));
        assert!(awaits(&flights, "17", later) && awaits(&flights, "18", later));
        assert!(!awaits(&flights, "19", later));
    }

    #[test]
    fn one_clients_pairs_teach_nothing_to_another() {
        let (one, other) = (SECRET.scope(Some(b"a")), SECRET.scope(Some(b"b")));
        let mut flights = Flights::default();
        let (flight, later) = (flights.number(), flights.number());
        flights.begin(flight, one, Reached::End);
        let awaits = |scope| flights.awaits(SECRET.key(scope, b"17"), scope, later, |it| *it);
        assert!(awaits(one) && !awaits(other));
    }

    #[test]
    fn what_ends_twice_or_is_told_late_is_no_harm() {
        let scope = SECRET.scope(None);
        let mut flights = Flights::default();
        let one = flights.number();
        flights.begin(one, scope, Reached::End);
        flights.end(one, scope);
        assert!(flights.end(one, scope).is_empty());
        flights.told(one, scope, (Reached::End, [key("17")]));
        assert_eq!((flights.is_empty(), flights.len()), (true, 0));
    }
}
