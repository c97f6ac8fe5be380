use super::*;
use crate::pair::Call;
use compare::{Difference, Kind, Traits};

fn at(minute: u64, second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs((1_000_000 + minute) * 60 + second)
}

fn call(millis: u64, failed: bool) -> Call {
    Call { latency: Some(Duration::from_millis(millis)), failed }
}

fn pair(route: &str, candidate: Call) -> Pair<'_> {
    Pair::new(route, "GET /", call(10, false), candidate)
}

fn differing(fields: &[&str]) -> Differences {
    let found = fields.iter().map(|field| Difference {
        place: (*field).to_owned(),
        field: (*field).to_owned(),
        kind: Kind::Value,
        baseline: None,
        candidate: None,
        traits: Traits::default(),
        note: None,
    });
    Differences { found: found.collect(), ..Differences::default() }
}

#[test]
fn pairs_count_in_their_minute_for_their_route_and_for_all() {
    let mut history = History::default();
    history.record(&pair("a", call(20, true)), Some(&differing(&["$.x"])), at(0, 5));
    history.record(&pair("b", call(20, false)), None, at(0, 59));
    history.record(&pair("a", call(20, false)), Some(&differing(&[])), at(3, 0));
    let counts = |route: Option<&str>| -> Vec<_> {
        let minutes = history.of(route, at(3, 30));
        assert_eq!(minutes.len(), MINUTES);
        let last = &minutes[MINUTES - 4..];
        last.iter().map(|it| (it.pairs, it.differing, it.candidate_failed)).collect()
    };
    assert_eq!(counts(Some("a")), [(1, 1, 1), (0, 0, 0), (0, 0, 0), (1, 0, 0)]);
    assert_eq!(counts(None), [(2, 1, 1), (0, 0, 0), (0, 0, 0), (1, 0, 0)]);
    assert_eq!(counts(Some("never seen")), [(0, 0, 0); 4]);
}

#[test]
fn what_is_an_hour_ago_is_gone_and_nothing_comes_twice() {
    let mut history = History::default();
    history.record(&pair("a", call(1, false)), None, at(0, 0));
    let sum = |history: &History, minute| -> u32 {
        history.of(Some("a"), at(minute, 0)).iter().map(|it| it.pairs).sum()
    };
    assert_eq!((sum(&history, 59), sum(&history, 60)), (1, 0));
    history.record(&pair("a", call(1, false)), None, at(60, 0));
    assert_eq!((sum(&history, 60), sum(&history, 119), sum(&history, 120)), (1, 1, 0));
    history.record(&pair("a", call(1, false)), None, at(100_000, 0));
    assert_eq!(sum(&history, 100_000), 1);
}

#[test]
fn what_comes_after_the_clock_was_set_back_counts_for_the_last_minute() {
    let mut history = History::default();
    history.record(&pair("a", call(1, false)), None, at(90, 0));
    history.record(&pair("a", call(1, false)), None, at(5, 0));
    let minutes = history.of(Some("a"), at(5, 0));
    assert_eq!((minutes.len(), minutes[MINUTES - 1].pairs), (MINUTES, 2));
    history.note_evidence(None, 1e3, 1e6, UNIX_EPOCH - Duration::from_secs(60));
    assert!(history.wants_evidence(at(5, 0)) && history.wants_evidence(at(4, 0)));
}

#[test]
fn quantiles_lie_within_a_tenth_of_the_truth_while_the_minute_runs_and_after() {
    let mut history = History::default();
    for millis in 1..=100 {
        history.record(&pair("a", call(millis, false)), None, at(0, 0));
    }
    for minute in [0, 1] {
        let minutes = history.of(Some("a"), at(minute, 59));
        let then = minutes[MINUTES - 1 - usize::try_from(minute).unwrap()];
        let Quantiles { p50, p99 } = then.candidate.unwrap();
        assert!((p50 / 0.050 - 1.0).abs() < 0.1 && (p99 / 0.099 - 1.0).abs() < 0.1, "{then:?}");
        history.record(&pair("b", call(1, false)), None, at(1, 0));
    }
    assert_eq!(history.of(Some("a"), at(1, 0))[MINUTES - 1].candidate, None);
}

#[test]
fn an_answer_that_never_came_is_later_than_all_others() {
    let mut history = History::default();
    let never = Call { latency: None, failed: true };
    history.record(&pair("a", never), None, at(0, 0));
    history.record(&pair("a", call(5, false)), None, at(0, 0));
    let Quantiles { p50, p99 } = history.of(Some("a"), at(0, 0))[MINUTES - 1].candidate.unwrap();
    assert!(p50 < 0.01 && p99 > 60.0, "{p50} {p99}");
}

#[test]
fn of_evidence_the_most_of_a_minute_is_kept_on_the_scale_of_what_trips() {
    let mut history = History::default();
    for (value, second) in [(1e3, 1), (1e6, 2), (0.5, 3)] {
        history.note_evidence(Some("a"), value, 1e6, at(0, second));
    }
    history.note_evidence(Some("a"), 1e140, 1e6, at(1, 0));
    let minutes = history.of(Some("a"), at(2, 0));
    let evidence: Vec<_> = minutes[MINUTES - 3..].iter().map(|it| it.evidence).collect();
    assert_eq!(evidence, [Some(1.0), Some(2.0), None]);
    assert!(history.wants_evidence(at(0, 0)) && !history.wants_evidence(at(0, 4)));
    assert!(history.wants_evidence(at(0, 5)));
}

#[test]
fn a_field_counts_once_for_a_pair_and_is_told_from_others() {
    let mut history = History::default();
    let found = differing(&["$.x", "$.x", "$.y"]);
    for _ in 0..3 {
        history.record(&pair("a", call(1, false)), Some(&found), at(0, 0));
    }
    let last = |route, field, kind| {
        history.of_field(route, field, kind, at(1, 0)).map(|it| it[MINUTES - 2])
    };
    assert_eq!(last("a", "$.x", "value"), Some(3));
    assert_eq!(last("a", "$.y", "value"), Some(3));
    assert_eq!([last("b", "$.x", "value"), last("a", "$.x", "missing")], [None, None]);
    let gone = history.of_field("a", "$.x", "value", at(61, 0)).unwrap();
    assert_eq!(gone, vec![0; MINUTES]);
}

#[test]
fn however_many_routes_and_fields_there_are_no_more_is_kept() {
    let mut history = History::default();
    for number in 0..FIELDS_MAX + 10 {
        let (route, field) = (format!("r{number}"), format!("$.f{number}"));
        history.record(&pair(&route, call(1, false)), Some(&differing(&[&field])), at(0, 0));
    }
    assert_eq!((history.routes.len(), history.fields.len()), (ROUTES_MAX, FIELDS_MAX));
    assert!(history.of_field("r9999", "$.f9999", "value", at(0, 0)).is_none());
    history.record(&pair("late", call(1, false)), Some(&differing(&["$.late"])), at(60, 0));
    assert!(history.of_field("late", "$.late", "value", at(60, 0)).is_some());
    assert_eq!(history.fields.len(), 1, "what has not differed for an hour makes room");
}
