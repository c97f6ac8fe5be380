//! Values that are not new: those that an answer has held before, and those that both sides called the same.
//! They need no entry in the map, and still it must be known that nothing is being learned of them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::Key;

/// What is known of a value that the map does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// A pair whose answer held it is over, whatever came of it.
    Seen,
    /// It was the same on both sides.
    Equal,
}

/// What was noted lately, in two halves of which the older goes as a whole: that takes less than an order of use.
#[derive(Debug)]
pub(super) struct Seen {
    most: usize,
    ttl: Duration,
    young: HashMap<Key, Standing>,
    old: HashMap<Key, Standing>,
    /// When the older half went last.
    turned: Option<Instant>,
}

impl Seen {
    pub(super) fn new(most: usize, ttl: Duration) -> Self {
        Self { most, ttl, young: HashMap::new(), old: HashMap::new(), turned: None }
    }

    pub(super) fn set_limits(&mut self, most: usize, ttl: Duration) {
        (self.most, self.ttl) = (most, ttl);
    }

    /// Notes a value; who is equal stays it.
    pub(super) fn note(&mut self, key: Key, standing: Standing, now: Instant) {
        let known = self.standing(key);
        let full = self.young.len() >= self.most.div_ceil(2);
        let turned = *self.turned.get_or_insert(now);
        let is_late = now.saturating_duration_since(turned) >= self.ttl;
        if (full && !self.young.contains_key(&key)) || is_late {
            self.old = std::mem::take(&mut self.young);
            self.turned = Some(now);
        }
        self.young.insert(key, known.map_or(standing, |known| known.max(standing)));
    }

    /// What is known of a value.
    pub(super) fn standing(&self, key: Key) -> Option<Standing> {
        self.young.get(&key).or_else(|| self.old.get(&key)).copied()
    }

    /// It is not the same any more.
    pub(super) fn remove(&mut self, key: Key) {
        self.young.remove(&key);
        self.old.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Secret;
    use super::*;

    fn key(value: u32) -> Key {
        let secret = Secret(1, 2);
        secret.key(secret.scope(None), &value.to_le_bytes())
    }

    fn seen() -> Seen {
        Seen::new(10, Duration::from_secs(60))
    }

    #[test]
    fn who_was_equal_stays_it() {
        let (mut seen, now) = (seen(), Instant::now());
        assert_eq!(seen.standing(key(1)), None);
        for (noted, known) in [
            (Standing::Seen, Standing::Seen),
            (Standing::Equal, Standing::Equal),
            (Standing::Seen, Standing::Equal),
        ] {
            seen.note(key(1), noted, now);
            assert_eq!(seen.standing(key(1)), Some(known));
        }
        seen.remove(key(1));
        assert_eq!(seen.standing(key(1)), None);
    }

    #[test]
    fn no_more_are_kept_than_there_is_room_for() {
        let (mut seen, now) = (seen(), Instant::now());
        for value in 0..100 {
            seen.note(key(value), Standing::Seen, now);
            // One that is noted again and again stays.
            seen.note(key(1000), Standing::Equal, now);
            assert!(seen.young.len() + seen.old.len() <= 10);
            assert_eq!(seen.standing(key(1000)), Some(Standing::Equal));
        }
        assert!(seen.standing(key(99)).is_some() && seen.standing(key(1)).is_none());
    }

    #[test]
    fn what_was_noted_long_ago_is_forgotten() {
        let (mut seen, now) = (seen(), Instant::now());
        seen.note(key(1), Standing::Equal, now);
        for (minutes, is_known) in [(1, true), (2, false)] {
            seen.note(key(2), Standing::Seen, now + Duration::from_secs(60 * minutes));
            assert_eq!(seen.standing(key(1)).is_some(), is_known);
        }
    }
}
