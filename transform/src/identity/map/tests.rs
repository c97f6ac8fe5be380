use super::super::Secret;
use super::*;

const SECRET: Secret = Secret(1, 2);

fn map(entries: usize, seconds: u64) -> Map {
    Map::new(Limits { entries, ttl: Duration::from_secs(seconds) })
}

fn scope() -> Scope {
    SECRET.scope(None)
}

fn key(value: &str) -> Key {
    SECRET.key(scope(), value.as_bytes())
}

fn put(map: &mut Map, ours: &str, theirs: &str, now: Instant) {
    let found = Found::Value(theirs.as_bytes().into());
    map.put((key(ours), scope()), (found, Some(key(theirs))), now);
}

fn used(map: &mut Map, ours: &str, now: Instant) -> Option<String> {
    match map.use_of(key(ours), now)? {
        Found::Value(value) => Some(String::from_utf8(value.to_vec()).unwrap()),
        Found::Nothing => Some("nothing".to_owned()),
    }
}

#[test]
fn the_candidates_value_is_found_by_the_baselines() {
    let now = Instant::now();
    let mut map = map(10, 60);
    put(&mut map, "17", "42", now);
    assert_eq!(used(&mut map, "17", now).as_deref(), Some("42"));
    assert_eq!(used(&mut map, "42", now), None, "the map has one direction");
    put(&mut map, "17", "43", now);
    assert_eq!(used(&mut map, "17", now).as_deref(), Some("43"));
    assert_eq!(map.len(), 1);
    assert!(map.is_counterpart(key("43")) && !map.is_counterpart(key("42")));
    map.put((key("18"), scope()), (Found::Nothing, None), now);
    assert_eq!(used(&mut map, "18", now).as_deref(), Some("nothing"));
    assert!(map.remove(key("17")) && !map.remove(key("17")));
    assert!(!map.is_counterpart(key("43")));
}

#[test]
fn what_was_not_used_for_the_longest_time_goes_first() {
    let now = Instant::now();
    let mut map = map(2, 60);
    put(&mut map, "1", "a", now);
    put(&mut map, "2", "b", now);
    assert!(used(&mut map, "1", now).is_some());
    put(&mut map, "3", "c", now);
    assert_eq!(used(&mut map, "2", now), None);
    assert!(used(&mut map, "1", now).is_some() && used(&mut map, "3", now).is_some());
    assert_eq!((map.len(), map.evicted()), (2, 1));
    map.set_limits(Limits { entries: 1, ttl: Duration::from_secs(60) }, now);
    assert_eq!((map.len(), map.evicted()), (1, 2));
    assert!(used(&mut map, "3", now).is_some());
}

#[test]
fn what_was_not_used_for_its_time_is_forgotten() {
    let now = Instant::now();
    let after = |seconds| now + Duration::from_secs(seconds);
    let mut map = map(10, 60);
    put(&mut map, "1", "a", now);
    put(&mut map, "2", "b", now);
    assert!(used(&mut map, "1", after(59)).is_some());
    assert_eq!(used(&mut map, "2", after(60)), None);
    assert_eq!(map.len(), 1);
    assert!(used(&mut map, "1", after(118)).is_some());
    assert_eq!(map.entries(after(178)).count(), 0);
    assert_eq!(map.evicted(), 2);
}

#[test]
fn that_there_is_nothing_ends_however_often_it_is_asked_for() {
    let now = Instant::now();
    let after = |seconds| now + Duration::from_secs(seconds);
    let mut map = map(10, 60);
    map.give_up((key("1"), scope()), now);
    put(&mut map, "2", "b", now);
    for seconds in [30, 59] {
        assert_eq!(used(&mut map, "1", after(seconds)).as_deref(), Some("nothing"));
        assert_eq!(used(&mut map, "2", after(seconds)).as_deref(), Some("b"));
    }
    assert_eq!(used(&mut map, "1", after(60)), None);
    assert_eq!(used(&mut map, "2", after(60)).as_deref(), Some("b"));
}

#[test]
fn a_value_is_new_until_a_pair_that_held_it_is_over() {
    let now = Instant::now();
    let mut map = map(10, 60);
    let is_new = |map: &Map| [false, true].map(|is_made| map.is_new(key("1"), is_made));
    assert_eq!(is_new(&map), [true, true]);
    map.note_seen(key("1"), now);
    assert_eq!(is_new(&map), [false, true], "what is made may have a name that was there before");
    map.note_equal(key("1"), now);
    assert_eq!(is_new(&map), [false, false]);
    map.give_up((key("1"), scope()), now);
    assert!(map.is_empty(), "both have it");
    put(&mut map, "1", "a", now);
    assert_eq!(is_new(&map), [false, false], "it is known");
    map.remove(key("1"));
    assert_eq!(is_new(&map), [true, true], "nothing is");
    map.note_equal(key("1"), now);
    map.clear();
    assert_eq!(is_new(&map), [true, true]);
}

#[test]
fn what_is_new_for_the_baseline_alone_goes_on_with_what_there_was() {
    let now = Instant::now();
    let mut map = map(10, 60);
    put(&mut map, "old", "a", now);
    put(&mut map, "known", "b", now);
    map.give_up((key("lost"), scope()), now);
    for (new, old, found) in [
        ("new", "old", Some("a")),
        ("known", "old", Some("b")),
        ("newer", "new", Some("a")),
        ("gone", "lost", Some("nothing")),
        ("other", "equal", None),
    ] {
        map.go_on((key(new), scope()), key(old), now);
        assert_eq!(used(&mut map, new, now).as_deref(), found, "{new}");
    }
    map.remove(key("old"));
    assert!(map.is_counterpart(key("a")), "the new one has it");
}

#[test]
fn no_more_bytes_are_kept_than_there_is_room_for() {
    let now = Instant::now();
    let mut map = map(1_000_000, 60);
    let large = "x".repeat(VALUE_MAX);
    let fit = BYTES_MAX / VALUE_MAX;
    for at in 0..fit + 10 {
        put(&mut map, &at.to_string(), &large, now);
    }
    assert_eq!((map.len(), map.evicted()), (fit, 10));
    assert_eq!(map.clear(), fit);
    assert_eq!(map.bytes, 0);
    assert!(map.is_empty() && !map.is_counterpart(key(&large)));
}

#[test]
fn entries_are_shown_without_their_values_latest_first() {
    let now = Instant::now();
    let mut map = map(10, 60);
    put(&mut map, "1", "a", now);
    put(&mut map, "2", "b", now);
    let keys: Vec<_> = map.entries(now).map(|entry| entry.key).collect();
    assert_eq!(keys, [key("2"), key("1")]);
    assert!(
        !format!("{:?}{}", SECRET, key("1"))
            .contains(['(', '1', ')'].iter().collect::<String>().as_str())
    );
}

#[test]
fn scopes_and_secrets_keep_values_apart() {
    let (one, two) = (SECRET.scope(Some(b"a")), SECRET.scope(Some(b"b")));
    assert_ne!(SECRET.key(one, b"17"), SECRET.key(two, b"17"));
    assert_ne!(SECRET.scope(None), SECRET.scope(Some(b"")));
    assert_ne!(Secret(3, 4).key(one, b"17"), SECRET.key(one, b"17"));
    assert_eq!(SECRET.shown(b"17"), SECRET.shown(b"17"));
    assert_eq!(SECRET.shown(b"17").len(), 16);
}
