use std::time::Duration;

use proptest::prelude::*;

use super::super::Limits;
use super::*;

const SECRET: Secret = Secret(1, 2);

struct Class {
    map: Map,
    now: Instant,
    /// Of the baseline's answers.
    status: StatusCode,
}

impl Class {
    fn new() -> Self {
        let limits = Limits { entries: 100, ttl: Duration::from_secs(60) };
        Self { map: Map::new(limits), now: Instant::now(), status: StatusCode::OK }
    }

    fn learn(&mut self, is_safe: bool, place: &str, ours: &[&str], theirs: &[&str]) -> [u64; 3] {
        self.learn_asked("", (is_safe, place), ours, theirs)
    }

    /// From the answers to a request that has a value.
    fn learn_asked(
        &mut self,
        asked: &str,
        (is_safe, place): (bool, &str),
        ours: &[&str],
        theirs: &[&str],
    ) -> [u64; 3] {
        let values = |of: &[&str]| of.iter().map(|it| it.as_bytes().into()).collect::<Vec<Value>>();
        let place = InAnswer::parse(place).unwrap();
        let (lesson, asked) = (self.lesson(is_safe), self.key(asked));
        let values = (&*values(ours), &*values(theirs));
        let learned = lesson.learn(&mut self.map, &place, values, &|key| key == asked);
        [learned.learned, learned.unpaired, learned.contradicted]
    }

    fn lesson(&self, is_safe: bool) -> Lesson {
        let (scope, status) = (SECRET.scope(None), self.status);
        Lesson { secret: SECRET, scope, is_safe, status, now: self.now }
    }

    fn key(&self, ours: &str) -> Key {
        self.lesson(true).key(ours.as_bytes())
    }

    fn give_up(&mut self, ours: &str) {
        self.map.give_up((self.key(ours), SECRET.scope(None)), self.now);
    }

    /// What the candidate has in place of this; `-` for nothing, the same where it is not known.
    fn of(&self, ours: &str) -> String {
        match self.map.known(self.key(ours)) {
            Some(Found::Value(value)) => String::from_utf8(value.to_vec()).unwrap(),
            Some(Found::Nothing) => "-".to_owned(),
            None => ours.to_owned(),
        }
    }
}

const ID: &str = "json:$.id";
const UNSAFE: bool = false;
const SAFE: bool = true;

#[test]
fn values_at_the_same_place_belong_together_by_their_order() {
    let mut class = Class::new();
    assert_eq!(class.learn(UNSAFE, ID, &["17"], &["42"]), [1, 0, 0]);
    assert_eq!(class.learn(SAFE, ID, &["1", "2", "17"], &["1", "7", "42"]), [1, 0, 0]);
    assert_eq!([class.of("17"), class.of("1"), class.of("2")], ["42", "1", "7"]);
    assert_eq!(class.map.len(), 2, "equal values need no entry");
}

#[test]
fn where_one_side_has_none_or_another_number_nothing_is_learned() {
    let mut class = Class::new();
    assert_eq!(class.learn(SAFE, ID, &["17"], &[]), [0, 1, 0]);
    assert_eq!(class.learn(SAFE, ID, &[], &["42"]), [0, 0, 0]);
    assert_eq!(class.learn(UNSAFE, ID, &["1", "2"], &["3"]), [0, 2, 0]);
    assert_eq!(class.learn(UNSAFE, ID, &["1", "1"], &["3", "4"]), [0, 2, 0]);
    assert!(class.map.is_empty());
    assert_eq!(class.learn(UNSAFE, ID, &["1", "1"], &["3", "3"]), [1, 0, 0]);
}

#[test]
fn what_the_candidate_did_not_make_has_no_counterpart_until_it_is_seen_to() {
    let mut class = Class::new();
    assert_eq!(class.learn(UNSAFE, ID, &["17"], &[]), [0, 1, 0]);
    class.give_up("17");
    assert_eq!(class.of("17"), "-");
    assert_eq!(class.learn(SAFE, ID, &["17"], &["42"]), [1, 0, 0]);
    assert_eq!(class.of("17"), "42");
    class.give_up("17");
    assert_eq!(class.of("17"), "42", "what is known stays");
    class.give_up("18");
    assert_eq!(class.learn(SAFE, ID, &["18"], &["18"]), [1, 0, 0]);
    assert_eq!(class.map.len(), 1, "it has the same");
    class.give_up("18");
    assert_eq!(class.of("18"), "18", "and goes on to have it");
}

#[test]
fn what_an_error_says_is_no_thing_that_both_sides_have() {
    let mut class = Class::new();
    class.status = StatusCode::NOT_FOUND;
    assert_eq!(class.learn(SAFE, ID, &["bob"], &["bob"]), [0, 0, 0]);
    class.give_up("bob");
    assert_eq!(class.of("bob"), "-");
}

#[test]
fn an_answer_makes_one_id_or_says_that_it_has_made_several() {
    let lesson = |is_safe, status: u16| {
        let mut class = Class::new();
        class.status = StatusCode::from_u16(status).unwrap();
        class.lesson(is_safe)
    };
    let [one, two]: [Vec<Value>; 2] = [1, 2].map(|count| vec![b"17"[..].into(); count]);
    for (is_safe, status, ours, makes, renews) in [
        (UNSAFE, 200, &one, true, true),
        (UNSAFE, 303, &one, true, true),
        (UNSAFE, 200, &two, false, true),
        (UNSAFE, 201, &two, true, true),
        (UNSAFE, 409, &one, false, false),
        (SAFE, 200, &one, false, true),
    ] {
        let lesson = lesson(is_safe, status);
        let made = |place| lesson.makes(&InAnswer::parse(place).unwrap(), ours);
        assert_eq!((made(ID), made("set-cookie:sid")), (makes, renews), "{status} {ours:?}");
    }
}

#[test]
fn what_is_the_candidates_for_one_id_is_not_learned_for_another() {
    for place in [ID, "location"] {
        let mut class = Class::new();
        class.learn(UNSAFE, place, &["17"], &["42"]);
        class.give_up("19");
        for other in ["18", "19"] {
            assert_eq!(class.learn(SAFE, place, &[other], &["42"]), [0, 0, 1], "{place}");
        }
        assert_eq!([class.of("18"), class.of("19")], ["18", "-"]);
        assert_eq!(class.learn(UNSAFE, place, &["18"], &["42"]), [1, 0, 0]);
    }
}

#[test]
fn an_answer_to_a_change_does_not_change_what_was_asked_for() {
    let mut class = Class::new();
    class.learn(UNSAFE, ID, &["17"], &["42"]);
    for theirs in ["999", "17"] {
        assert_eq!(class.learn_asked("17", (UNSAFE, ID), &["17"], &[theirs]), [0, 0, 1]);
        assert_eq!(class.of("17"), "42");
    }
    assert_eq!(class.learn_asked("17", (UNSAFE, ID), &["17", "18"], &["42", "43"]), [1, 0, 0]);
    assert_eq!(class.learn_asked("a", (UNSAFE, "text:t=(.+)"), &["a"], &["x"]), [1, 0, 0]);
    assert_eq!(class.learn_asked("a", (UNSAFE, "text:t=(.+)"), &["a"], &["y"]), [1, 0, 0]);
    assert_eq!(class.of("a"), "y", "a token may hold once on one side alone");
    assert_eq!(class.learn_asked("s", (SAFE, "set-cookie:sid"), &["s"], &["t"]), [1, 0, 0]);
    assert_eq!(class.learn_asked("s", (UNSAFE, "set-cookie:sid"), &["s"], &["u"]), [1, 0, 0]);
}

#[test]
fn a_token_may_stand_for_several_of_the_baseline() {
    for place in ["text:t=(.+)", "header:x-token"] {
        let mut class = Class::new();
        for token in ["a", "b", "c"] {
            assert_eq!(class.learn(SAFE, place, &[token], &["x"]), [1, 0, 0], "{place}");
        }
        assert_eq!([class.of("a"), class.of("c")], ["x", "x"]);
    }
}

#[test]
fn an_answer_to_a_safe_method_does_not_change_what_is_known() {
    let mut class = Class::new();
    class.learn(UNSAFE, ID, &["17"], &["42"]);
    assert_eq!(class.learn(SAFE, ID, &["17"], &["43"]), [0, 0, 1]);
    assert_eq!(class.learn(SAFE, ID, &["17"], &["17"]), [0, 0, 1]);
    assert_eq!(class.of("17"), "42");
    assert_eq!(class.learn(UNSAFE, ID, &["17"], &["43"]), [1, 0, 0], "the id is given out again");
    assert_eq!(class.of("17"), "43");
    assert_eq!(class.learn(UNSAFE, ID, &["17"], &["17"]), [1, 0, 0]);
    assert_eq!(class.of("17"), "17");
    assert!(class.map.is_empty());
}

#[test]
fn a_cookie_that_is_set_holds_from_then_on_whatever_the_method() {
    let mut class = Class::new();
    class.learn(SAFE, "set-cookie:sid", &["a"], &["x"]);
    assert_eq!(class.learn(SAFE, "set-cookie:sid", &["a"], &["y"]), [1, 0, 0]);
    assert_eq!(class.of("a"), "y");
}

#[test]
fn of_a_list_in_another_order_nothing_is_learned() {
    let mut class = Class::new();
    let all = "json:$[*].id";
    class.learn(UNSAFE, ID, &["17"], &["42"]);
    assert_eq!(class.learn(SAFE, all, &["17", "18"], &["43", "42"]), [0, 0, 2]);
    assert_eq!(class.learn(SAFE, all, &["18", "19"], &["42", "43"]), [0, 0, 2], "42 is that of 17");
    assert_eq!(class.map.len(), 1);
    assert_eq!(class.learn(SAFE, all, &["17", "18"], &["42", "43"]), [1, 0, 0]);
    assert_eq!(class.of("18"), "43");
}

proptest! {
    /// Whatever is learned in whatever order: nothing is kept of equal values that would change them, and
    /// the newest answer to a method that is not safe holds.
    #[test]
    fn the_last_creation_holds(
        lessons in proptest::collection::vec((any::<bool>(), 0..6_u8, 0..6_u8), 0..60)
    ) {
        let mut class = Class::new();
        let mut last = HashMap::new();
        for (is_safe, ours, theirs) in lessons {
            let (ours, theirs) = (ours.to_string(), theirs.to_string());
            class.learn(is_safe, ID, &[&ours], &[&theirs]);
            let known = last.get(&ours).is_some_and(|it| *it != ours);
            let is_anothers = last.iter().any(|(key, it)| key != it && *it == theirs);
            if !is_safe || !(known || is_anothers) {
                last.insert(ours, theirs);
            }
        }
        for (ours, theirs) in &last {
            prop_assert_eq!(&class.of(ours), theirs);
        }
        let differing = last.iter().filter(|(ours, theirs)| ours != theirs).count();
        prop_assert_eq!(class.map.len(), differing);
    }

    /// However many are learned, there are never more than allowed.
    #[test]
    fn the_map_keeps_its_bound(values in proptest::collection::vec(0..500_u16, 0..400)) {
        let mut class = Class::new();
        for value in values {
            class.learn(UNSAFE, ID, &[&value.to_string()], &[&format!("x{value}")]);
            prop_assert!(class.map.len() <= 100);
        }
    }
}
