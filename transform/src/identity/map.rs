//! The map from the baseline's values to the candidate's. It forgets what was not used for a while, and
//! what was not used for the longest time where there are too many.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::seen::{Seen, Standing};
use super::{Key, Scope, VALUE_MAX, Value};

/// Most bytes of values in one map.
const BYTES_MAX: usize = 8 << 20;

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries.
    pub entries: usize,
    /// Since an entry was learned or used last.
    pub ttl: Duration,
}

/// What the candidate has in place of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// This.
    Value(Value),
    /// Nothing: it gave none where the baseline gave this.
    Nothing,
}

/// What is kept of one value, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Stands for the baseline's value.
    pub key: Key,
    /// Whose it is.
    pub scope: Scope,
    /// The candidate's.
    pub found: Found,
    /// When it was learned.
    pub learned: Instant,
    /// When it was used last.
    pub used: Instant,
}

#[derive(Debug)]
struct Kept {
    entry: Entry,
    /// Where it stands in the order of use.
    turn: u64,
    /// The key of the candidate's value.
    counterpart: Option<Key>,
}

/// The map of one identity.
#[derive(Debug)]
pub struct Map {
    limits: Limits,
    entries: HashMap<Key, Kept>,
    /// By the order of use.
    order: BTreeMap<u64, Key>,
    /// How many entries have this value of the candidate, by its hash for that scope.
    counterparts: HashMap<Key, usize>,
    turn: u64,
    bytes: usize,
    evicted: u64,
    /// Of values without an entry.
    seen: Seen,
}

impl Map {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: HashMap::new(),
            order: BTreeMap::new(),
            counterparts: HashMap::new(),
            turn: 0,
            bytes: 0,
            evicted: 0,
            seen: Seen::new(limits.entries, limits.ttl),
        }
    }

    /// Keeps as much from now on.
    pub fn set_limits(&mut self, limits: Limits, now: Instant) {
        self.limits = limits;
        self.seen.set_limits(limits.entries, limits.ttl);
        self.tidy(now);
    }

    /// How many values are known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many were forgotten for want of room or by age.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// What the candidate has in place of this value, and that it is in use; `None` where that is not known.
    /// That it has nothing ends however often somebody asks: it may have it by now.
    pub fn use_of(&mut self, key: Key, now: Instant) -> Option<Found> {
        self.expire(now);
        let found = self.entries.get(&key)?.entry.found.clone();
        if found != Found::Nothing {
            self.touch(key, now);
        }
        Some(found)
    }

    /// The same, without using it.
    pub fn known(&self, key: Key) -> Option<&Found> {
        self.entries.get(&key).map(|kept| &kept.entry.found)
    }

    /// Whether a value of the candidate is there in place of any; by its key for that scope.
    pub fn is_counterpart(&self, of: Key) -> bool {
        self.counterparts.contains_key(&of)
    }

    /// Whether a value may be one that was made by the answer that holds it now; `is_made` where that is of a kind
    /// that makes values, which may be those of something that is gone.
    pub fn is_new(&self, key: Key, is_made: bool) -> bool {
        let is_new = match self.seen.standing(key) {
            None => true,
            Some(Standing::Seen) => is_made,
            Some(Standing::Equal) => false,
        };
        is_new && self.known(key).is_none()
    }

    /// A pair whose answer held a value is over.
    pub fn note_seen(&mut self, key: Key, now: Instant) {
        self.seen.note(key, Standing::Seen, now);
    }

    /// Both sides call a value the same.
    pub fn note_equal(&mut self, key: Key, now: Instant) {
        self.seen.note(key, Standing::Equal, now);
    }

    /// The candidate has nothing in place of a value, unless something is known of it.
    pub fn give_up(&mut self, (key, scope): (Key, Scope), now: Instant) {
        let is_equal = self.seen.standing(key) == Some(Standing::Equal);
        if !is_equal && self.known(key).is_none() {
            self.put((key, scope), (Found::Nothing, None), now);
        }
    }

    /// The baseline has a new value in place of an old one, and the candidate none: it goes on with what it has.
    pub fn go_on(&mut self, (key, scope): (Key, Scope), old: Key, now: Instant) {
        match self.entries.get(&old).map(|kept| (kept.entry.found.clone(), kept.counterpart)) {
            Some((Found::Nothing, _)) => self.give_up((key, scope), now),
            Some(known) if self.known(key).is_none() => self.put((key, scope), known, now),
            // What it has is equal to what the client had, and not known here.
            _ => {}
        }
    }

    /// Keeps a value of the candidate, whose own key is the second, in place of one of the baseline.
    pub fn put(&mut self, (key, scope): (Key, Scope), found: (Found, Option<Key>), now: Instant) {
        self.remove(key);
        let (found, counterpart) = found;
        if let Found::Value(value) = &found {
            debug_assert!(value.len() <= VALUE_MAX, "looked at when it was read");
            self.bytes += value.len();
            self.seen.remove(key);
        }
        if let Some(counterpart) = counterpart {
            *self.counterparts.entry(counterpart).or_default() += 1;
        }
        let entry = Entry { key, scope, found, learned: now, used: now };
        self.turn += 1;
        self.order.insert(self.turn, key);
        self.entries.insert(key, Kept { entry, turn: self.turn, counterpart });
        self.tidy(now);
    }

    /// Forgets a value.
    pub fn remove(&mut self, key: Key) -> bool {
        let Some(Kept { entry, turn, counterpart }) = self.entries.remove(&key) else {
            return false;
        };
        self.order.remove(&turn);
        if let Found::Value(value) = &entry.found {
            self.bytes -= value.len();
        }
        if let Some(of) = counterpart
            && let Some(count) = self.counterparts.get_mut(&of)
        {
            *count -= 1;
            if *count == 0 {
                self.counterparts.remove(&of);
            }
        }
        true
    }

    /// Forgets all; says how many there were.
    pub fn clear(&mut self) -> usize {
        let count = self.entries.len();
        *self = Self { turn: self.turn, evicted: self.evicted, ..Self::new(self.limits) };
        count
    }

    /// All that is known, what was used last first.
    pub fn entries(&mut self, now: Instant) -> impl Iterator<Item = &Entry> {
        self.expire(now);
        self.order.values().rev().filter_map(|key| self.entries.get(key)).map(|kept| &kept.entry)
    }

    fn touch(&mut self, key: Key, now: Instant) {
        if let Some(kept) = self.entries.get_mut(&key) {
            self.turn += 1;
            self.order.remove(&kept.turn);
            self.order.insert(self.turn, key);
            kept.turn = self.turn;
            // Of two that ask at once the later may have looked at the clock first.
            kept.entry.used = kept.entry.used.max(now);
        }
    }

    fn tidy(&mut self, now: Instant) {
        self.expire(now);
        while self.entries.len() > self.limits.entries || self.bytes > BYTES_MAX {
            self.evict_first();
        }
    }

    fn expire(&mut self, now: Instant) {
        while let Some(kept) = self.order.values().next().and_then(|key| self.entries.get(key))
            && now.saturating_duration_since(kept.entry.used) >= self.limits.ttl
        {
            self.evict_first();
        }
    }

    fn evict_first(&mut self) {
        if let Some(key) = self.order.values().next().copied() {
            self.remove(key);
            self.evicted += 1;
        }
    }
}

#[cfg(test)]
mod tests;
