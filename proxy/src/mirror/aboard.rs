//! A pair, as far as ids are concerned: which its request has, which are new in the baseline's answer, and what it
//! teaches of them.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use http::StatusCode;
use tokio::time::timeout_at;

use super::identities::{Identities, Known, State};
use super::pair::Progress;
use crate::policy::identity::Policy;
use transform::identity::answers::Values;
use transform::identity::{
    Flight, Found, Identity, InAnswer, Key, Learned, Lesson, Map, Reached, Scope, Value,
};

/// What is known of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Looked {
    /// The candidate has this in its place.
    Value(Value),
    /// It has none, or it is not known yet what it has.
    Unknown,
    /// Nothing: it goes out as it is.
    Same,
}

/// A pair, as far as identities are concerned: it may teach values until it is dropped.
#[derive(Debug)]
pub(super) struct Aboard {
    identities: Arc<Identities>,
    seats: Vec<Option<Seat>>,
    /// Whether the method of the request is safe.
    is_safe: bool,
    /// What its request has, from when that is known.
    asked: OnceLock<Asked>,
    /// What the baseline's answer holds, from when that is known.
    ours: OnceLock<Ours>,
}

/// The values of a request, each of an identity.
type Asked = Arc<HashSet<(usize, Key)>>;

/// What the baseline's answer holds.
#[derive(Debug)]
struct Ours {
    values: Values,
    /// Those that it has made, by identity.
    made: Vec<Vec<Made>>,
}

/// A value that an answer has made.
#[derive(Clone, Copy, Debug)]
struct Made {
    key: Key,
    /// The one that it takes the place of: a session goes on where a cookie is set anew.
    instead_of: Option<Key>,
}

/// Its place in one identity.
#[derive(Debug)]
struct Seat {
    identity: Arc<Identity>,
    known: Arc<Known>,
    scope: Scope,
    flight: Flight,
}

impl Aboard {
    /// A pair that goes by these, of which each has its scope. Pairs must come aboard in the order of their
    /// requests.
    pub(super) fn board(
        identities: &Arc<Identities>,
        policies: &[Arc<Policy>],
        scopes: &[Scope],
        progress: &Arc<Progress>,
        is_safe: bool,
    ) -> Arc<Self> {
        let seats = policies.iter().zip(scopes).map(|(policy, scope)| {
            let known = identities.of(policy)?;
            let flight = {
                let flights = &mut known.state().flights;
                let flight = flights.number();
                if !policy.identity.learn.is_empty() {
                    flights.begin(flight, *scope, Arc::clone(progress));
                }
                flight
            };
            let identity = Arc::clone(&policy.identity);
            Some(Seat { identity, known, scope: *scope, flight })
        });
        let (identities, seats) = (Arc::clone(identities), seats.collect());
        let (asked, ours) = (OnceLock::new(), OnceLock::new());
        Arc::new(Self { identities, seats, is_safe, asked, ours })
    }

    fn seat(&self, at: usize) -> Option<&Seat> {
        self.seats.get(at)?.as_ref()
    }

    fn key(&self, seat: &Seat, value: &[u8]) -> Key {
        self.identities.secret().key(seat.scope, value)
    }

    /// What the candidate has in place of a value of an identity.
    pub(super) fn look(&self, at: usize, value: &[u8]) -> Looked {
        let Some(seat) = self.seat(at) else { return Looked::Same };
        let key = self.key(seat, value);
        let mut state = seat.known.state();
        match state.map.use_of(key, Instant::now()) {
            Some(Found::Value(value)) => Looked::Value(value),
            Some(Found::Nothing) => Looked::Unknown,
            None if seat.awaits(&state, key) => Looked::Unknown,
            None => Looked::Same,
        }
    }

    /// The same, where it is a value.
    pub(super) fn known(&self, at: usize, value: &[u8]) -> Option<Value> {
        match self.look(at, value) {
            Looked::Value(value) => Some(value),
            Looked::Unknown | Looked::Same => None,
        }
    }

    /// Its request has these values, each of an identity.
    pub(super) fn asks(&self, values: &[(usize, Value)]) {
        self.asked.get_or_init(|| {
            let keys = values.iter().filter_map(|(at, value)| {
                let seat = self.seat(*at)?;
                Some((*at, self.key(seat, value)))
            });
            Arc::new(keys.collect())
        });
    }

    /// Its request is the same as that of another, for another upstream.
    pub(super) fn asks_as(&self, other: &Self) {
        if let Some(asked) = other.asked.get() {
            self.asked.get_or_init(|| Arc::clone(asked));
        }
    }

    /// Whether it is known which values its request has.
    pub(super) fn has_asked(&self) -> bool {
        self.asked.get().is_some()
    }

    fn has_asked_for(&self, at: usize, key: Key) -> bool {
        self.asked.get().is_some_and(|asked| asked.contains(&(at, key)))
    }

    fn asked(&self) -> impl Iterator<Item = (usize, &Seat, Key)> {
        let asked = self.asked.get().into_iter().flat_map(|asked| asked.iter());
        asked.filter_map(|(at, key)| Some((*at, self.seat(*at)?, *key)))
    }

    /// Those values of its request that are being learned right now.
    pub(super) fn awaited(&self) -> Vec<(usize, Key)> {
        let awaited = self.asked().filter(|(_, seat, key)| seat.may_be_told(*key));
        awaited.map(|(at, _, key)| (at, key)).collect()
    }

    /// Waits until none of these values is being learned any more.
    pub(super) async fn settled(&self, values: &[(usize, Key)], until: tokio::time::Instant) {
        loop {
            let changed = self.identities.changed.notified();
            let awaits = |(at, key): &(usize, Key)| {
                self.seat(*at).is_some_and(|seat| seat.may_be_told(*key))
            };
            if !values.iter().any(awaits) {
                return;
            }
            if timeout_at(until, changed).await.is_err() {
                return;
            }
        }
    }

    /// The head of the baseline's answer holds these values; its body is on its way.
    pub(super) fn told_head(&self, values: &Values, status: StatusCode) {
        self.tell(values, status, Reached::Head);
    }

    /// All of the baseline's answer holds these values.
    pub(super) fn told(&self, values: Values, status: StatusCode) {
        self.ours.get_or_init(|| {
            let made = self.tell(&values, status, Reached::End);
            Ours { values, made }
        });
    }

    /// The baseline gave no whole answer, of which nothing is learned.
    pub(super) fn told_nothing(&self) {
        // Whatever the status is, nothing was made.
        self.told(Values::default(), StatusCode::OK);
    }

    /// Nobody waits for other values than those that are new in what was read; gives those that were made.
    fn tell(&self, values: &Values, status: StatusCode, read: Reached) -> Vec<Vec<Made>> {
        let made = self.seats.iter().enumerate().map(|(at, seat)| {
            seat.as_ref().map(|seat| self.tell_one((at, seat), values, status, read))
        });
        let made = made.map(Option::unwrap_or_default).collect();
        self.identities.changed.notify_waiters();
        made
    }

    fn tell_one(
        &self,
        (at, seat): (usize, &Seat),
        values: &Values,
        status: StatusCode,
        read: Reached,
    ) -> Vec<Made> {
        let lesson = self.lesson(seat, status);
        let places = seat.identity.learn.iter().enumerate();
        let held = places.flat_map(|(place_at, place)| {
            let held = values.at(at, place_at);
            let instead_of = self.renewed(at).filter(|_| self.is_safe && place.is_renewed());
            let is_made = lesson.makes(place, held);
            held.iter().map(move |value| (Made { key: self.key(seat, value), instead_of }, is_made))
        });
        let held: Vec<_> = held.filter(|(it, _)| !self.has_asked_for(at, it.key)).collect();
        let mut state = seat.known.state();
        let State { map, flights } = &mut *state;
        let new = || held.iter().filter(|(it, is_made)| map.is_new(it.key, *is_made));
        flights.told(seat.flight, seat.scope, (read, new().map(|(it, _)| it.key)));
        new().filter(|(_, is_made)| *is_made).map(|(it, _)| *it).collect()
    }

    /// The value of a request that a new one of its identity takes the place of.
    fn renewed(&self, at: usize) -> Option<Key> {
        self.asked().find_map(|(of, _, key)| (of == at).then_some(key))
    }

    /// Whether its request has a value of an identity.
    pub(super) fn has_any(&self, at: usize) -> bool {
        self.renewed(at).is_some()
    }

    /// What the baseline's answer holds, where that is known.
    pub(super) fn ours(&self) -> Option<&Values> {
        self.ours.get().map(|ours| &ours.values)
    }

    /// The candidate has given nothing for what the baseline's answer holds.
    pub(super) fn count_unpaired(&self) {
        let Some(ours) = self.ours() else { return };
        for (at, seat) in self.seats.iter().enumerate() {
            let Some(seat) = seat else { continue };
            let unpaired = ours.of(at).count() as u64;
            seat.known.count(Learned { unpaired, ..Learned::default() });
        }
    }

    /// What the baseline's answer has made, and what was learned of it is nothing, has no counterpart.
    pub(super) fn give_up(&self) {
        let (Some(ours), now) = (self.ours.get(), Instant::now()) else { return };
        for (seat, made) in self.seats.iter().zip(&ours.made) {
            let Some(seat) = seat else { continue };
            let mut state = seat.known.state();
            for Made { key, instead_of } in made {
                match instead_of {
                    Some(old) => state.map.go_on((*key, seat.scope), *old, now),
                    None => state.map.give_up((*key, seat.scope), now),
                }
            }
        }
    }

    /// Whether the candidate is known to have nothing in place of a value of its request.
    pub(super) fn lacks_any(&self) -> bool {
        self.asked()
            .any(|(_, seat, key)| seat.known.state().map.known(key) == Some(&Found::Nothing))
    }

    /// Both answers are the same: what its request has, and they too, is the same on both sides.
    pub(super) fn are_equal(&self) {
        let (Some(ours), now) = (self.ours(), Instant::now()) else { return };
        for (at, seat, key) in self.asked() {
            let is_held = ours.of(at).any(|value| self.key(seat, value) == key);
            let mut state = seat.known.state();
            if is_held && state.map.known(key) == Some(&Found::Nothing) {
                state.map.remove(key);
                state.map.note_equal(key, now);
            }
        }
    }

    fn lesson(&self, seat: &Seat, status: StatusCode) -> Lesson {
        Lesson {
            secret: self.identities.secret(),
            scope: seat.scope,
            is_safe: self.is_safe,
            status,
            now: Instant::now(),
        }
    }

    /// Learns from what both answers hold at one place of an identity.
    pub(super) fn learn(
        &self,
        (at, place): (usize, &InAnswer),
        status: StatusCode,
        values: (&[Value], &[Value]),
    ) {
        let Some(seat) = self.seat(at) else { return };
        let (lesson, asked) = (self.lesson(seat, status), |key| self.has_asked_for(at, key));
        let learned = lesson.learn(&mut seat.known.state().map, place, values, &asked);
        seat.known.count(learned);
    }

    /// Counts a copy that goes out with a value of an identity that the candidate does not know.
    pub(super) fn count_unknown(&self, at: usize) {
        if let Some(seat) = self.seat(at) {
            seat.known.count_unknown();
        }
    }

    /// The candidate was asked, and the pair has taught all that it could: no later one is waited for.
    pub(super) fn land(&self) {
        let now = Instant::now();
        self.end(|map, key| map.note_seen(key, now));
    }

    fn end(&self, note: impl Fn(&mut Map, Key)) {
        for seat in self.seats.iter().flatten() {
            let mut state = seat.known.state();
            let State { map, flights } = &mut *state;
            flights.end(seat.flight, seat.scope).into_iter().for_each(|key| note(map, key));
        }
        self.identities.changed.notify_waiters();
    }
}

impl Drop for Aboard {
    fn drop(&mut self) {
        self.end(|_, _| {});
    }
}

impl Seat {
    fn awaits(&self, state: &State, key: Key) -> bool {
        state.flights.awaits(key, self.scope, self.flight, |it| it.reached())
    }

    /// Whether a value is worth waiting for. Who is overtaken is waited for, too; where its answer has not come
    /// in time, that is no reason to be no evidence.
    fn may_be_told(&self, key: Key) -> bool {
        let reached =
            |it: &Arc<Progress>| if it.is_overtaken { Reached::End } else { it.reached() };
        let state = self.known.state();
        state.map.known(key).is_none()
            && state.flights.awaits(key, self.scope, self.flight, reached)
    }
}
