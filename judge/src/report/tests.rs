use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::pair::Call;
use crate::verdict::Verdict;
use compare::{Difference, Kind, Traits};

pub(super) const NOW: SystemTime = SystemTime::UNIX_EPOCH;
pub(super) const ALLOWED: Allowed = Allowed {
    mismatch_rate: 0.01,
    status_rate: 0.0025,
    error_delta: 0.005,
    latency_ratio: 1.15,
    latency_floor: Duration::from_millis(2),
};
const LATENCY: Duration = Duration::from_millis(5);

pub(super) fn label(text: &str) -> Arc<str> {
    text.into()
}

pub(super) fn differing(fields: &[&str]) -> Differences {
    let found = fields.iter().map(|field| Difference {
        place: field.replace('*', "3"),
        field: (*field).to_owned(),
        kind: Kind::Value,
        baseline: Some("1".to_owned()),
        candidate: Some("2".to_owned()),
        traits: Traits::default(),
        note: None,
    });
    Differences { found: found.collect(), more: false, ..Differences::default() }
}

const GOOD: Call = Call { latency: Some(LATENCY), failed: false };

/// Tells a report of a pair on a route, by its sides and in what it differs.
pub(super) fn record(
    report: &mut Report,
    route: &str,
    [baseline, candidate]: [Call; 2],
    differences: Option<&Differences>,
    now: SystemTime,
) {
    let pair = Pair::new(route, "GET /a/7", baseline, candidate);
    report.record(&pair, &Comparison { content: true, differences }, now);
}

/// The same of a pair whose sides are good and alike.
fn record_good(report: &mut Report, route: &str, differences: Option<&Differences>) {
    record(report, route, [GOOD; 2], differences, NOW);
}

/// Tells a report of so many pairs on one route that differ in these fields.
fn tell(report: &mut Report, times: u64, fields: &[&str]) {
    let differences = differing(fields);
    for _ in 0..times {
        record_good(report, "GET /a", Some(&differences));
    }
}

/// Whether a field is noise in all kinds and shapes.
fn is_noise(report: &Report, field: &str) -> bool {
    let fields = seen(report).fields;
    let mut named = fields.iter().filter(|it| it.field.name.as_ref() == field).peekable();
    named.peek().is_some() && named.all(|it| it.is_noise)
}

fn seen(report: &Report) -> RouteFindings {
    report.snapshot(&label("GET /a")).unwrap()
}

#[test]
fn a_pair_that_was_not_compared_counts_for_latency_and_errors_only() {
    let mut report = Report::default();
    let failed = Call { latency: None, failed: true };
    record(&mut report, "GET /a", [GOOD, failed], None, NOW);
    let Numbers { pairs, compared, mismatched, candidate_alone_failed, .. } = seen(&report).numbers;
    assert_eq!((pairs, compared, mismatched, candidate_alone_failed), (1, 0, 0, 1));
    assert_eq!(seen(&report).numbers.candidate.count(), 1);
}

#[test]
fn answers_that_nobody_could_compare_stand_in_the_way_of_a_pass_and_are_named() {
    let mut report = Report::default();
    for _ in 0..2000 {
        tell(&mut report, 9, &[]);
        record_good(&mut report, "GET /a", None);
    }
    assert_eq!(seen(&report).numbers.unknown, 2000);
    let mut snapshot = report.frame();
    snapshot.routes = vec![seen(&report)];
    let overall = summarize(&snapshot, &ALLOWED).overall;
    assert_eq!(overall.mismatches.verdict, Verdict::NotEnoughData);
    let share = overall.mismatches.unknown_share;
    assert!((share - 0.1).abs() < 1e-9, "{share}");
    let named = "2000 pairs (10.00 %) could not be compared";
    assert!(overall.reasons.iter().any(|reason| reason == named), "{:?}", overall.reasons);
}

#[test]
fn failures_count_by_who_failed() {
    let mut report = Report::default();
    for (baseline, candidate) in
        [(false, false), (true, false), (true, false), (false, true), (true, true)]
    {
        let sides = [baseline, candidate].map(|failed| Call { failed, ..GOOD });
        record(&mut report, "GET /a", sides, None, NOW);
    }
    let found = seen(&report).numbers;
    let counts = (found.baseline_alone_failed, found.candidate_alone_failed, found.both_failed);
    assert_eq!(counts, (2, 1, 1));
}

#[test]
fn without_samples_for_noise_every_field_counts_as_it_is() {
    let mut report = Report::default();
    tell(&mut report, 10, &["$.a"]);
    assert!(!is_noise(&report, "$.a"));
    assert!(report.net_fields("GET /a", &differing(&["$.a"])).is_some());
    assert!(report.net_fields("GET /unknown", &differing(&["$.a"])).is_some());
    assert!(report.net_fields("GET /a", &Differences::default()).is_none());
    assert_eq!(seen(&report).numbers.net_mismatched, 10);
}

#[test]
fn noise_that_is_learned_later_is_taken_out_of_the_pairs_before_too() {
    let mut report = Report::default();
    tell(&mut report, 40, &["$.score"]);
    tell(&mut report, 3, &["$.score", "$.price"]);
    tell(&mut report, 57, &[]);
    assert_eq!(seen(&report).numbers.net_mismatched, 43);
    // Two baselines differ in 4 of 10 requests.
    for index in 0..10 {
        let noise = differing(if index < 4 { &["$.score"] } else { &[] });
        report.record_noise(&label("GET /a"), &noise, NOW);
    }
    assert!(is_noise(&report, "$.score"));
    assert!(!is_noise(&report, "$.price"));
    assert!(report.net_fields("GET /a", &differing(&["$.score"])).is_none());
    assert!(report.net_fields("GET /a", &differing(&["$.score", "$.price"])).is_some());
    let Numbers { mismatched, net_mismatched, .. } = seen(&report).numbers;
    assert_eq!((mismatched, net_mismatched), (43, 3));
}

#[test]
fn a_field_that_differs_far_more_often_than_by_itself_is_no_noise() {
    let mut report = Report::default();
    tell(&mut report, 80, &["$.score"]);
    tell(&mut report, 20, &[]);
    for index in 0..20 {
        let noise = differing(if index < 2 { &["$.score"] } else { &[] });
        report.record_noise(&label("GET /a"), &noise, NOW);
    }
    assert!(!is_noise(&report, "$.score"));
    let field = &seen(&report).fields[0];
    assert!((field.net - 70.0).abs() < 1e-9, "{}", field.net);
    assert_eq!((field.field.raw, field.field.noise), (80, 2));
}

#[test]
fn where_the_same_requests_were_compared_thrice_their_rates_decide() {
    // Over all pairs the field differs in 5 %; on the requests that were asked thrice always, and
    // between the baselines too: it differs by itself.
    let mut report = Report::default();
    let score = differing(&["$.score"]);
    tell(&mut report, 95, &[]);
    tell(&mut report, 5, &["$.score"]);
    for _ in 0..5 {
        report.record_noise_of_pair(&label("GET /a"), &score, &score, NOW);
    }
    assert!(is_noise(&report, "$.score"));
    // And the other way round: where the candidate alone differs on them it is to blame, though
    // noise is as frequent as differences are over all.
    let mut report = Report::default();
    tell(&mut report, 10, &["$.score"]);
    tell(&mut report, 90, &[]);
    for index in 0..10 {
        let noise = differing(if index == 0 { &["$.score"] } else { &[] });
        report.record_noise_of_pair(&label("GET /a"), &score, &noise, NOW);
    }
    assert!(!is_noise(&report, "$.score"));
}

#[test]
fn routes_beyond_the_bound_count_for_other() {
    let mut report = Report::default();
    for route in 0..1000 {
        record_good(&mut report, &format!("GET /{route}"), None);
    }
    assert_eq!(report.pairs(), 1000);
    let routes = report.routes();
    assert_eq!(routes.len(), ROUTES_MAX);
    assert_eq!((routes[0].as_ref(), routes[ROUTES_MAX - 1].as_ref()), ("GET /0", REST));
    let rest = report.snapshot(&label(REST)).unwrap().numbers.pairs;
    assert_eq!(rest, 1000 - (ROUTES_MAX as u64 - 1));
}

#[test]
fn the_room_for_all_routes_is_bounded_and_what_is_over_it_is_counted() {
    let mut report = Report::default();
    let text = "x".repeat(10_000);
    for route in 0..100 {
        let mut differences = Differences::default();
        for field in 0..300 {
            let found = Difference {
                place: text.clone(),
                field: format!("$.{field}.{text}"),
                kind: Kind::Value,
                baseline: Some(text.clone()),
                candidate: Some(text.clone()),
                traits: Traits::default(),
                note: None,
            };
            differences.found.push(found);
        }
        record_good(&mut report, &format!("GET /{route}"), Some(&differences));
    }
    let mut held = 0;
    for route in report.routes() {
        let found = report.snapshot(&route).unwrap();
        assert!(found.fields.len() <= fields::FIELDS_MAX + 1);
        for field in found.fields {
            held += field.field.name.len();
            for example in &field.field.examples {
                let side = |text: &Option<String>| text.as_ref().map_or(0, String::len);
                held += example.place.len() + side(&example.baseline) + side(&example.candidate);
            }
        }
    }
    assert!(held <= ROOM, "{held} bytes");
    let frame = report.frame();
    assert!(frame.differences_left_out > 0 && frame.differences_left_out < 30_000);
}

#[test]
fn a_snapshot_says_since_when_and_in_which_order() {
    let mut report = Report::default();
    assert_eq!(report.frame().since, None);
    record_good(&mut report, "GET /b", None);
    record(&mut report, "GET /a", [GOOD; 2], None, NOW + LATENCY);
    assert_eq!(report.frame().since, Some(NOW));
    let ranks: Vec<_> =
        report.routes().iter().map(|route| report.snapshot(route).unwrap().rank).collect();
    assert_eq!(ranks, [1, 2]);
    assert_eq!(report.routes()[0].as_ref(), "GET /b");
}

/// Made-up differences: few names, so that they meet, and some large or odd ones.
fn made_up() -> impl Strategy<Value = Differences> {
    let text = proptest::option::of("[ -~]{0,8}|\u{1b}\\[2J|é{0,400}");
    let field = ("\\$\\.[a-f]{1,3}", 0..Kind::ALL.len(), text.clone(), text);
    let field = field.prop_map(|(field, kind, baseline, candidate)| Difference {
        place: field.clone(),
        field,
        kind: Kind::ALL[kind],
        baseline,
        candidate,
        traits: Traits::default(),
        note: None,
    });
    (proptest::collection::vec(field, 0..20), any::<bool>()).prop_map(|(found, more)| Differences {
        found,
        more,
        ..Differences::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn whatever_comes_in_the_bounds_hold_and_the_counts_add_up(
        told in proptest::collection::vec((0..3, made_up(), any::<bool>(), any::<bool>()), 0..30),
    ) {
        let mut report = Report { room: Room::new(10_000), ..Report::default() };
        for (route, differences, failed, noise) in &told {
            let route = label(&format!("GET /{route}\u{1b}[31m"));
            let latencies = [Some(LATENCY), (!failed).then_some(LATENCY)];
            let sides = latencies.map(|latency| Call { latency, failed: *failed });
            record(&mut report, &route, sides, (!failed).then_some(differences), NOW);
            if *noise {
                report.record_noise(&route, differences, NOW);
            }
        }
        prop_assert_eq!(report.pairs(), told.len() as u64);
        let mut snapshot = report.frame();
        let mut held = 0;
        for route in report.routes() {
            let found = report.snapshot(&route).unwrap();
            let Numbers { pairs, compared, mismatched, net_mismatched, .. } = found.numbers;
            prop_assert!(net_mismatched <= mismatched && mismatched <= compared && compared <= pairs);
            prop_assert!(found.fields.len() <= fields::FIELDS_MAX + 1);
            for field in &found.fields {
                prop_assert!(field.field.raw <= mismatched && field.field.noise <= found.noise_pairs);
                prop_assert!(field.field.examples.len() <= fields::EXAMPLES_MAX);
                held += field.field.name.len();
                for example in &field.field.examples {
                    held += example.place.len();
                    for text in [&example.baseline, &example.candidate].into_iter().flatten() {
                        prop_assert!(text.len() <= 256);
                        held += text.len();
                    }
                }
            }
            snapshot.routes.push(found);
        }
        prop_assert!(held <= 10_000, "{} bytes", held);
        let summary = summarize(&snapshot, &ALLOWED);
        let shown = page::Shown { name: None, summary: &summary, route: None, verbose: false };
        let text = format::Format::ALL.map(|it| it.render(&[shown])).into_iter().flatten();
        let text: String = text.collect();
        prop_assert!(text.chars().all(|c| c == '\n' || !text::is_active(c)), "{}", text);
        let json = serde_json::to_string(&summary).unwrap();
        let read: Summary = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(read.routes.len(), summary.routes.len());
    }
}
