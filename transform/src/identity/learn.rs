//! What is learned from one place of two answers: their values belong together by their order.
//!
//! An answer to a method that is not safe may have made something, so that what it says holds from then
//! on: ids are given out again, and what is over is over. One to a safe method teaches what is not known
//! yet. Where it says something else than what is known, the candidate answered for another thing, or has
//! a list in another order: that is a difference, and nothing to be learned from.
//!
//! Not all that an answer to a method that is not safe holds was made by it. What the request had, and what
//! both sides have called the same, was there before; and where an answer lists several, it has found them
//! rather than made them, unless its status says that something was made.

use std::collections::HashMap;
use std::time::Instant;

use http::StatusCode;

use super::{Found, InAnswer, Key, Map, Scope, Secret, Value};

/// What came of it, in numbers of values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// Pairs that are new, or hold in place of older ones.
    pub learned: u64,
    /// Values of the baseline that the candidate gave nothing for, or not as many.
    pub unpaired: u64,
    /// Pairs that are not what is known.
    pub contradicted: u64,
}

impl std::ops::AddAssign for Learned {
    fn add_assign(&mut self, other: Self) {
        self.learned += other.learned;
        self.unpaired += other.unpaired;
        self.contradicted += other.contradicted;
    }
}

/// In whose name, how and when something is learned.
#[derive(Clone, Copy, Debug)]
pub struct Lesson {
    /// Keys hashes.
    pub secret: Secret,
    /// Whose values they are.
    pub scope: Scope,
    /// Whether the method of the request was safe (RFC 9110, section 9.2.1).
    pub is_safe: bool,
    /// Of the baseline's answer.
    pub status: StatusCode,
    /// When.
    pub now: Instant,
}

impl Lesson {
    fn key(&self, value: &[u8]) -> Key {
        self.secret.key(self.scope, value)
    }

    /// Whether the baseline's answer has made the values that it holds at a place.
    pub fn makes(&self, place: &InAnswer, ours: &[Value]) -> bool {
        let is_one = ours.len() == 1 || self.status == StatusCode::CREATED;
        self.has_succeeded() && (place.is_renewed() || !self.is_safe && is_one)
    }

    fn has_succeeded(&self) -> bool {
        self.status.is_success() || self.status.is_redirection()
    }

    /// Learns from what both answers hold at one place; `asked` are the values that the request had.
    pub fn learn(
        &self,
        map: &mut Map,
        place: &InAnswer,
        (ours, theirs): (&[Value], &[Value]),
        asked: &dyn Fn(Key) -> bool,
    ) -> Learned {
        let mut learned = Learned::default();
        // A token that the request had may be answered with another.
        let is_same = |ours: &Value| place.names_things() && asked(self.key(ours));
        let holds = |ours: &Value| self.is_safe && !place.is_renewed() || is_same(ours);
        if ours.len() != theirs.len() || is_ambiguous(ours, theirs) {
            learned.unpaired = ours.len() as u64;
            return learned;
        }
        let pairs = || ours.iter().zip(theirs);
        let contradicts =
            |(ours, theirs): (&Value, &Value)| holds(ours) && self.contradicts(map, ours, theirs);
        // A token that is new on each page may be the same all the time on the other side.
        let looks = ours.len() > 1 || place.names_things();
        if looks && pairs().any(contradicts) {
            learned.contradicted = ours.len() as u64;
            return learned;
        }
        for (ours, theirs) in pairs() {
            self.learn_one(map, (ours, theirs), holds(ours), &mut learned);
        }
        learned
    }

    /// Whether two values cannot belong together by what is known.
    fn contradicts(&self, map: &Map, ours: &Value, theirs: &Value) -> bool {
        match map.known(self.key(ours)) {
            Some(Found::Value(known)) => known != theirs,
            Some(Found::Nothing) | None => map.is_counterpart(self.key(theirs)),
        }
    }

    fn learn_one(
        &self,
        map: &mut Map,
        (ours, theirs): (&Value, &Value),
        holds: bool,
        learned: &mut Learned,
    ) {
        let key = self.key(ours);
        match map.known(key) {
            Some(Found::Value(known)) if known == theirs => {
                map.use_of(key, self.now);
                return;
            }
            Some(Found::Value(_)) if holds => {
                learned.contradicted += 1;
                return;
            }
            None if ours == theirs => {
                self.note_equal(map, key);
                return;
            }
            _ => {}
        }
        if ours == theirs {
            map.remove(key);
            self.note_equal(map, key);
        } else {
            let found = (Found::Value(theirs.clone()), Some(self.key(theirs)));
            map.put((key, self.scope), found, self.now);
        }
        learned.learned += 1;
    }

    /// What an error says may be what was asked for, and is no thing that both sides have.
    fn note_equal(&self, map: &mut Map, key: Key) {
        if self.has_succeeded() {
            map.note_equal(key, self.now);
        }
    }
}

/// Whether one value of the baseline would have two counterparts.
fn is_ambiguous(ours: &[Value], theirs: &[Value]) -> bool {
    if ours.len() < 2 {
        return false;
    }
    let mut seen = HashMap::new();
    ours.iter().zip(theirs).any(|(ours, theirs)| {
        let first = *seen.entry(ours).or_insert(theirs);
        first != theirs
    })
}

#[cfg(test)]
mod tests;
