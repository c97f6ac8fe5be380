//! What is settled of one hook: its script, and what a run of it may take. A script that again and again takes
//! all that it may rests: the threads that it would hold are those of every candidate.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Place;
use transform::hook as script;

/// So many runs one after the other that took all that they may, and it rests.
const RUNAWAYS: u32 = 5;
/// How long it rests before it is tried again.
const REST: Duration = Duration::from_secs(1);

/// A hook, as a `[[hook]]` says.
#[derive(Debug)]
pub struct Hook {
    /// What messages and metrics call it.
    pub name: Arc<str>,
    /// The script.
    pub script: script::Hook,
    /// Where the script is: a file, or a place in the settings file.
    pub place: Place,
    /// Steps that a run may take.
    pub steps: u64,
    /// Bytes that a run may take.
    pub bytes: usize,
    /// Time that a run may take.
    pub timeout: Duration,
    /// The same for those that do the same; in this process alone.
    pub meaning: u64,
    rest: Rest,
}

/// What a run may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Steps.
    pub steps: u64,
    /// Bytes.
    pub bytes: usize,
    /// Time.
    pub timeout: Duration,
}

impl Hook {
    /// One with this script, which `source` is the text of.
    pub fn new(
        name: Arc<str>,
        (script, source): (script::Hook, &str),
        place: Place,
        bounds: Bounds,
    ) -> Self {
        let mut hasher = DefaultHasher::new();
        (&name, source, script.labels()).hash(&mut hasher);
        let Bounds { steps, bytes, timeout } = bounds;
        let (meaning, rest) = (hasher.finish(), Rest::default());
        Self { name, script, place, steps, bytes, timeout, meaning, rest }
    }

    /// Whether it may run now.
    pub fn may_run(&self, now: Instant) -> bool {
        self.rest.may_run(now)
    }

    /// A run has ended; whether it took all that it may.
    pub fn ran(&self, took_all: bool, now: Instant) {
        self.rest.ran(took_all, now);
    }
}

/// How many runs of late took all that they may, and when the next one is due.
#[derive(Debug, Default)]
struct Rest(Mutex<(u32, Option<Instant>)>);

impl Rest {
    fn may_run(&self, now: Instant) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (runaways, until) = *state;
        if runaways < RUNAWAYS {
            return true;
        }
        let due = until.is_none_or(|until| now >= until);
        if due {
            // One is tried, and the others wait for what comes of it.
            state.1 = Some(now + REST);
        }
        due
    }

    fn ran(&self, took_all: bool, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = if took_all { (state.0.saturating_add(1), Some(now + REST)) } else { (0, None) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_takes_all_that_it_may_is_only_tried_now_and_then_until_it_does_not() {
        let (rest, start) = (Rest::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        for _ in 0..RUNAWAYS {
            assert!(rest.may_run(start));
            rest.ran(true, start);
        }
        assert!(!rest.may_run(at(0)) && !rest.may_run(at(999)));
        assert!(rest.may_run(at(1000)) && !rest.may_run(at(1001)), "one is tried");
        rest.ran(true, at(1010));
        assert!(!rest.may_run(at(2000)) && rest.may_run(at(2010)));
        rest.ran(false, at(2010));
        assert!(rest.may_run(at(2010)) && rest.may_run(at(2010)));
        rest.ran(true, at(2010));
        assert!(rest.may_run(at(2010)), "one alone says nothing");
    }

    #[test]
    fn hooks_that_do_the_same_mean_the_same() {
        let hook = |name: &str, source: &str, steps| {
            let script = script::Hook::compile(name, source, &[]).unwrap();
            let bounds = Bounds { steps, bytes: 1, timeout: REST };
            Hook::new(name.into(), (script, source), "m.toml:1".into(), bounds).meaning
        };
        let one = hook("a", "fn pre(copy) {}", 1);
        assert_eq!(one, hook("a", "fn pre(copy) {}", 2));
        assert_ne!(one, hook("a", "fn pre(copy) { copy.path; }", 1));
        assert_ne!(one, hook("b", "fn pre(copy) {}", 1));
    }
}
