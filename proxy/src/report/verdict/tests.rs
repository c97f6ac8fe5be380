use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::report::latency::Latencies;
use crate::report::tests::ALLOWED;

/// What a simulated candidate does.
#[derive(Clone, Copy)]
struct Candidate {
    slower: f64,
    fails: f64,
    differs: f64,
}

const TWIN: Candidate = Candidate { slower: 1.0, fails: 0.0, differs: 0.0 };

/// Adds pairs: latencies are log-normal with a median of 20 ms and sigma 0.5, 1 % of them three to ten times slower, and 0.1 % of the baseline's answers fail.
fn add(numbers: &mut Numbers, pairs: u64, candidate: Candidate, rng: &mut SmallRng) {
    let latency = |rng: &mut SmallRng, times: f64| {
        let normal: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        let slow = if rng.random::<f64>() < 0.01 { rng.random_range(3.0..10.0) } else { 1.0 };
        let latency = 0.02 * (0.5 * normal).exp() * slow * times;
        Some(Duration::from_secs_f64(latency))
    };
    for _ in 0..pairs {
        numbers.pairs += 1;
        numbers.compared += 1;
        numbers.baseline.record(latency(rng, 1.0));
        numbers.candidate.record(latency(rng, candidate.slower));
        let [ours, theirs] = [0.001, 0.001 + candidate.fails].map(|p| rng.random::<f64>() < p);
        numbers.baseline_alone_failed += u64::from(ours && !theirs);
        numbers.candidate_alone_failed += u64::from(theirs && !ours);
        let differs = u64::from(rng.random::<f64>() < candidate.differs);
        numbers.mismatched += differs;
        numbers.net_mismatched += differs;
    }
}

/// The first verdict that settles it, and the pairs it took; looked at every 100 pairs.
fn settled(candidate: Candidate, seed: u64, most: u64) -> (Verdict, u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut numbers = Numbers::default();
    while numbers.pairs < most {
        add(&mut numbers, 100, candidate, &mut rng);
        let verdict = judge(&numbers, &ALLOWED, ALPHA / 2.0).verdict;
        if verdict != Verdict::NotEnoughData {
            return (verdict, numbers.pairs);
        }
    }
    (Verdict::NotEnoughData, most)
}

#[test]
fn a_twin_passes_within_a_few_thousand_pairs() {
    let mut needed: Vec<u64> = (0..15)
        .map(|seed| {
            let (verdict, pairs) = settled(TWIN, seed, 20_000);
            assert_eq!(verdict, Verdict::Pass, "seed {seed} after {pairs}");
            pairs
        })
        .collect();
    needed.sort_unstable();
    assert!(needed[7] <= 8_000, "{needed:?}");
}

#[test]
fn a_candidate_that_is_worse_than_allowed_fails_and_never_passes() {
    for (name, candidate, most) in [
        ("slower", Candidate { slower: 1.5, ..TWIN }, 20_000),
        ("failing", Candidate { fails: 0.03, ..TWIN }, 5_000),
        ("different", Candidate { differs: 0.05, ..TWIN }, 2_000),
    ] {
        for seed in 0..5 {
            let (verdict, pairs) = settled(candidate, seed, most);
            assert_eq!(verdict, Verdict::Fail, "{name}, seed {seed}, {pairs} pairs");
        }
    }
}

#[test]
fn exactly_as_bad_as_allowed_is_seldom_settled_either_way() {
    let edge = Candidate { slower: 1.15, fails: 0.005, differs: 0.01 };
    let wrong = (0..20).filter(|seed| settled(edge, *seed, 3_000).0 != Verdict::NotEnoughData);
    assert!(wrong.count() <= 2);
}

#[test]
fn without_pairs_there_is_not_enough_data_and_each_part_says_so() {
    let scope = judge(&Numbers::default(), &ALLOWED, ALPHA);
    assert_eq!(scope.verdict, Verdict::NotEnoughData);
    for part in ["mismatches", "errors", "latency p50", "latency p90"] {
        assert!(scope.reasons.iter().any(|reason| reason.starts_with(part)), "{:?}", scope.reasons);
    }
    assert!(!scope.reasons.iter().any(|reason| reason.starts_with("latency p99")));
}

/// So many pairs without any difference, of a constant latency on both sides.
fn calm(pairs: u64, baseline: Duration, candidate: Option<Duration>) -> Numbers {
    let mut numbers = Numbers { pairs, compared: pairs, ..Numbers::default() };
    for _ in 0..pairs {
        numbers.baseline.record(Some(baseline));
        numbers.candidate.record(candidate);
    }
    numbers
}

#[test]
fn an_excess_below_the_floor_passes_whatever_the_ratio() {
    let [fast, slow] = [300, 1800].map(Duration::from_micros);
    let scope = judge(&calm(5000, fast, Some(slow)), &ALLOWED, ALPHA);
    assert_eq!((scope.verdict, scope.reasons.len()), (Verdict::Pass, 0), "{:?}", scope.reasons);
    assert!(scope.latency.p50.ratio.unwrap() > 5.0);
    let slow = Duration::from_millis(3);
    let scope = judge(&calm(5000, fast, Some(slow)), &ALLOWED, ALPHA);
    assert_eq!(scope.verdict, Verdict::Fail);
    assert!(scope.reasons.iter().any(|reason| reason.contains("p50")), "{:?}", scope.reasons);
}

#[test]
fn a_slow_p99_alone_fails() {
    let mut numbers = calm(20_000, Duration::from_millis(10), Some(Duration::from_millis(10)));
    numbers.candidate = Latencies::default();
    for index in 0..20_000 {
        let millis = if index % 25 == 0 { 100 } else { 10 };
        numbers.candidate.record(Some(Duration::from_millis(millis)));
    }
    let scope = judge(&numbers, &ALLOWED, ALPHA);
    assert_eq!(scope.verdict, Verdict::Fail);
    assert_eq!(scope.reasons.len(), 1, "{:?}", scope.reasons);
    assert!(scope.reasons[0].starts_with("latency p99"), "{:?}", scope.reasons);
}

#[test]
fn a_candidate_that_never_answers_is_slower_than_any() {
    let mut numbers = calm(1000, Duration::from_millis(10), None);
    numbers.candidate_alone_failed = 1000;
    let scope = judge(&numbers, &ALLOWED, ALPHA);
    assert_eq!((scope.errors.verdict, scope.latency.verdict), (Verdict::Fail, Verdict::Fail));
    assert_eq!((scope.latency.p50.candidate_seconds, scope.latency.p50.lower), (None, None));
}

#[test]
fn failures_that_are_not_judged_hold_nothing_up() {
    let mut numbers = calm(5000, Duration::from_millis(1), Some(Duration::from_millis(1)));
    numbers.candidate_alone_failed = 5000;
    let allowed = Allowed { error_delta: 1.0, ..ALLOWED };
    assert_eq!(judge(&numbers, &allowed, ALPHA).verdict, Verdict::Pass);
}

#[test]
fn with_no_excess_allowed_a_pass_is_still_to_be_had() {
    let numbers = calm(20_000, Duration::from_millis(1), Some(Duration::from_millis(1)));
    let allowed = Allowed { error_delta: 0.0, ..ALLOWED };
    assert_eq!(judge(&numbers, &allowed, ALPHA).verdict, Verdict::Pass);
}

fn route(name: &str, rank: u64, numbers: Numbers) -> RouteSnapshot {
    RouteSnapshot {
        route: name.into(),
        rank,
        mirroring: None,
        numbers,
        fields: Vec::new(),
        noise_pairs: 0,
    }
}

#[test]
fn one_bad_route_among_many_good_pairs_fails_the_whole() {
    let same = Duration::from_millis(5);
    let mut bad = calm(400, same, Some(same));
    (bad.mismatched, bad.net_mismatched) = (100, 100);
    let good = calm(100_000, same, Some(same));
    let routes = vec![route("GET /good", 1, good), route("GET /bad", 2, bad)];
    let summary = summarize(&Snapshot { routes, ..Snapshot::default() }, &ALLOWED);
    assert_eq!(summary.routes[0].scope.verdict, Verdict::Pass);
    assert_eq!(summary.routes[1].scope.verdict, Verdict::Fail);
    assert_eq!(summary.overall.verdict, Verdict::Fail);
    assert_eq!(summary.overall.reasons, ["route GET /bad fails"]);
    assert_eq!(summary.overall.pairs, 100_400);
}

#[test]
fn the_levels_of_any_number_of_routes_add_up_to_what_is_left_for_them() {
    let numbers = calm(1, Duration::ZERO, None);
    let routes = (1..=100).map(|rank| route("GET /", rank, numbers.clone())).collect();
    let summary = summarize(&Snapshot { routes, ..Snapshot::default() }, &ALLOWED);
    let sum: f64 = summary.routes.iter().map(|route| route.scope.alpha).sum();
    assert!(sum <= ALPHA / 2.0 && sum > 0.9 * ALPHA / 2.0, "{sum}");
}

#[test]
fn times_that_have_no_text_do_not_panic() {
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
    assert_eq!(rfc3339(end), "9999-12-31T23:59:59.000Z");
    assert_eq!(
        rfc3339(SystemTime::UNIX_EPOCH - Duration::from_secs(1)),
        "1970-01-01T00:00:00.000Z"
    );
}

#[test]
fn pairs_that_nobody_could_compare_count_against_a_pass_and_are_named() {
    let mut numbers = Numbers { pairs: 20_000, compared: 20_000, ..Numbers::default() };
    let mut scope = judge(&numbers, &ALLOWED, ALPHA);
    assert_eq!(scope.mismatches.verdict, Verdict::Pass);
    numbers = Numbers { compared: 18_000, unknown: 2_000, ..numbers };
    scope = judge(&numbers, &ALLOWED, ALPHA);
    assert_eq!(scope.mismatches.verdict, Verdict::NotEnoughData);
    assert!((scope.mismatches.unknown_share - 0.1).abs() < 1e-9);
    assert!(scope.reasons.iter().any(|reason| reason.contains("2000 pairs (10.00 %)")));
    // Nor is it settled that they differ.
    numbers.net_mismatched = 100;
    assert_ne!(judge(&numbers, &ALLOWED, ALPHA).mismatches.verdict, Verdict::Fail);
    numbers.net_mismatched = 1_000;
    assert_eq!(judge(&numbers, &ALLOWED, ALPHA).mismatches.verdict, Verdict::Fail);
}

#[test]
fn a_candidate_that_answers_404_now_and_then_does_not_pass() {
    let mut numbers = Numbers { pairs: 100_000, compared: 100_000, ..Numbers::default() };
    assert_eq!(judge(&numbers, &ALLOWED, ALPHA).mismatches.verdict, Verdict::Pass);
    numbers.net_mismatched = 400;
    assert_eq!(judge(&numbers, &ALLOWED, ALPHA).mismatches.verdict, Verdict::Pass);
    numbers.other_class = 400;
    let scope = judge(&numbers, &ALLOWED, ALPHA);
    assert_eq!(scope.mismatches.verdict, Verdict::Fail);
    assert!(scope.reasons.iter().any(|reason| reason.starts_with("statuses of another class")));
}
