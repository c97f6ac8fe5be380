use super::super::tests::{NOW, differing};
use super::*;

const WHEN: Occasion<'_> =
    Occasion { at: NOW, request: Request::text("GET /a?b"), latencies: [None; 2] };

fn fields(told: &[&[&str]]) -> (Fields, Room) {
    let (mut fields, mut room) = (Fields::default(), Room::new(1 << 20));
    for (index, names) in told.iter().enumerate() {
        fields.record(&differing(names), index as u64 + 1, WHEN, &mut room);
    }
    (fields, room)
}

fn named<'a>(fields: &'a Fields, name: &str) -> &'a Field {
    fields.all().find(|field| field.name.as_ref() == name).unwrap()
}

#[test]
fn a_field_counts_once_for_a_pair_in_each_kind() {
    let (mut fields, mut room) = (Fields::default(), Room::new(1 << 20));
    let mut found = differing(&["$.a[*]", "$.a[*]", "$.b"]);
    found.found[1].kind = Kind::Missing;
    fields.record(&found, 1, WHEN, &mut room);
    let told: Vec<_> = fields.all().map(|it| (it.name.as_ref(), it.raw, it.risk())).collect();
    let expected =
        [("$.a[*]", 1, Risk::Medium), ("$.a[*]", 1, Risk::High), ("$.b", 1, Risk::Medium)];
    assert_eq!(told, expected);
}

#[test]
fn up_to_five_examples_are_kept_none_of_them_twice() {
    let (mut fields, mut room) = (Fields::default(), Room::new(1 << 20));
    for index in 0..20 {
        let mut found = differing(&["$.a"]);
        found.found[0].candidate = Some(format!("value {}", index / 2));
        fields.record(&found, index + 1, WHEN, &mut room);
    }
    let field = named(&fields, "$.a");
    let shown: Vec<_> = field.examples.iter().map(|example| example.candidate.clone()).collect();
    let expected: Vec<_> = (0..5).map(|index| Some(format!("value {index}"))).collect();
    assert_eq!((field.raw, shown), (20, expected));
}

#[test]
fn first_and_last_seen_are_of_the_first_and_last_difference() {
    let (mut fields, mut room) = (Fields::default(), Room::new(1 << 20));
    for seconds in [10, 20, 30] {
        let now = NOW + std::time::Duration::from_secs(seconds);
        fields.record(&differing(&["$.a"]), 1, Occasion { at: now, ..WHEN }, &mut room);
    }
    let (first, last) = named(&fields, "$.a").seen.unwrap();
    assert_eq!(last.duration_since(first).unwrap().as_secs(), 20);
}

#[test]
fn what_baselines_differ_in_is_no_difference_of_the_candidate() {
    let (mut fields, mut room) = (Fields::default(), Room::new(1 << 20));
    fields.record_noise(None, &differing(&["$.a", "$.a"]), &mut room);
    let field = named(&fields, "$.a");
    assert_eq!((field.raw, field.noise, field.seen), (0, 1, None));
    assert_eq!((field.kinds().count(), field.examples.len()), (0, 0));
    assert_eq!(fields.net_pairs(1), 0);
}

#[test]
fn fields_beyond_the_bound_count_for_other_and_are_never_noise() {
    let names: Vec<_> = (0..FIELDS_MAX + 50).map(|index| format!("$.f{index}")).collect();
    let (mut fields, mut room) = (Fields::default(), Room::new(1 << 20));
    for name in &names {
        fields.record(&differing(&[name]), 1, WHEN, &mut room);
    }
    assert_eq!(fields.all().count(), FIELDS_MAX + 1);
    assert_eq!((named(&fields, OTHER).raw, room.differences_left_out), (50, 50));
    for name in &names {
        fields.record_noise(None, &differing(&[name]), &mut room);
    }
    assert!(fields.is_noise(named(&fields, "$.f0"), names.len() as u64));
    assert!(fields.all().all(|field| field.name.as_ref() != names[FIELDS_MAX].as_str()));
    // What found no room differs, noise or not. Combinations over the bound count as they did then.
    assert!(fields.net_pairs(names.len() as u64) >= 50);
}

#[test]
fn one_pair_with_very_many_fields_takes_a_bounded_set() {
    let names: Vec<_> = (0..150).map(|index| format!("$.f{index}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let (fields, _) = fields(&[&names]);
    assert!(fields.sets.keys().all(|set| set.len() <= IN_A_PAIR_MAX + 1));
    assert_eq!(fields.net_pairs(1), 1);
}

#[test]
fn what_finds_no_room_is_counted() {
    let (mut fields, mut room) = (Fields::default(), Room::new(FIELD_BYTES + 20));
    fields.record(&differing(&["$.a", "$.b"]), 1, WHEN, &mut room);
    assert_eq!((room.differences_left_out, room.examples_left_out), (1, 2));
    assert_eq!((named(&fields, "$.a").raw, named(&fields, OTHER).raw), (1, 1));
    assert_eq!(fields.net_pairs(1), 1);
}

#[test]
fn texts_are_cut_at_a_whole_character() {
    let (mut fields, mut room) = (Fields::default(), Room::new(1 << 20));
    let mut found = differing(&["$.a"]);
    found.found[0].baseline = Some("é".repeat(1000));
    found.found[0].candidate = Some(format!("x{}", "é".repeat(1000)));
    fields.record(&found, 1, WHEN, &mut room);
    fields.record(&found, 2, WHEN, &mut room);
    let field = named(&fields, "$.a");
    assert_eq!(field.examples.len(), 1, "the same, cut");
    let lengths = [&field.examples[0].baseline, &field.examples[0].candidate];
    assert_eq!(lengths.map(|text| text.as_ref().unwrap().len()), [256, 255]);
}

#[test]
fn a_pair_that_differs_somewhere_unknown_differs() {
    let (mut fields, mut room) = (Fields::default(), Room::new(1 << 20));
    fields.record(
        &Differences { found: Vec::new(), more: true, ..Differences::default() },
        1,
        WHEN,
        &mut room,
    );
    assert_eq!(fields.net_pairs(1), 1);
}
