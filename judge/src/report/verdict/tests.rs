use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::pair::{Call, Comparison, Pair};
use crate::report::Route;
use crate::report::tests::ALLOWED;
use compare::Differences;

/// What a simulated candidate does.
#[derive(Clone, Copy)]
struct Candidate {
    slower: f64,
    fails: f64,
    differs: f64,
    /// Share of requests that are 50 times slower.
    rarely: f64,
}

const TWIN: Candidate = Candidate { slower: 1.0, fails: 0.0, differs: 0.0, rarely: 0.0 };

/// Adds pairs: latencies are log-normal with a median of 20 ms and sigma 0.5, 1 % of them three to ten times
/// slower, and 0.1 % of the baseline's answers fail.
fn add(route: &mut Route, pairs: u64, candidate: Candidate, rng: &mut SmallRng) {
    let latency = |rng: &mut SmallRng, times: f64| {
        let normal: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        let slow = if rng.random::<f64>() < 0.01 { rng.random_range(3.0..10.0) } else { 1.0 };
        let latency = 0.02 * (0.5 * normal).exp() * slow * times;
        Some(Duration::from_secs_f64(latency))
    };
    for _ in 0..pairs {
        let (ours, mut theirs) = (latency(rng, 1.0), latency(rng, candidate.slower));
        if rng.random::<f64>() < candidate.rarely {
            theirs = theirs.map(|it| 50 * it);
        }
        let failed = [0.001, 0.001 + candidate.fails].map(|p| rng.random::<f64>() < p);
        let differs = rng.random::<f64>() < candidate.differs;
        let differences = Differences { more: differs, ..Differences::default() };
        let ours = Call { latency: ours, failed: failed[0] };
        let theirs = Call { latency: theirs, failed: failed[1] };
        route.record(&pair(ours, theirs), &compared(Some(&differences)), &ALLOWED);
        route.numbers.net_mismatched = route.numbers.mismatched;
    }
}

fn pair(baseline: Call, candidate: Call) -> Pair<'static> {
    Pair::new("GET /a", "GET /a/7", baseline, candidate)
}

fn compared(differences: Option<&Differences>) -> Comparison<'_> {
    Comparison { content: true, differences }
}

/// The first verdict that settles it, and the pairs it took; looked at every 100 pairs.
fn settled(candidate: Candidate, seed: u64, most: u64) -> (Verdict, u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut route = Route::default();
    while route.numbers.pairs < most {
        add(&mut route, 100, candidate, &mut rng);
        let verdict = judge(&route.numbers, &ALLOWED, ALPHA / 2.0, None).verdict;
        if verdict != Verdict::NotEnoughData {
            return (verdict, route.numbers.pairs);
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
        ("rarely very slow", Candidate { rarely: 0.01, ..TWIN }, 5_000),
    ] {
        for seed in 0..5 {
            let (verdict, pairs) = settled(candidate, seed, most);
            assert_eq!(verdict, Verdict::Fail, "{name}, seed {seed}, {pairs} pairs");
        }
    }
}

#[test]
fn exactly_as_bad_as_allowed_is_seldom_settled_either_way() {
    let edge = Candidate { slower: 1.15, fails: 0.005, differs: 0.01, ..TWIN };
    let wrong = (0..20).filter(|seed| settled(edge, *seed, 3_000).0 != Verdict::NotEnoughData);
    assert!(wrong.count() <= 2);
}

#[test]
fn without_pairs_there_is_not_enough_data_and_each_part_says_so() {
    let scope = judge(&Numbers::default(), &ALLOWED, ALPHA, None);
    assert_eq!(scope.verdict, Verdict::NotEnoughData);
    for part in ["mismatches", "errors", "latency p50", "latency p90"] {
        assert!(scope.reasons.iter().any(|reason| reason.starts_with(part)), "{:?}", scope.reasons);
    }
}

/// So many pairs without any difference, by the latencies of both sides.
fn told(pairs: u64, sides: impl Fn(u64) -> (Option<u64>, Option<u64>)) -> Numbers {
    let (mut route, differences) = (Route::default(), Differences::default());
    for index in 0..pairs {
        let (ours, theirs) = sides(index);
        let [ours, theirs] = [ours, theirs].map(|side| {
            let latency = side.map(Duration::from_micros);
            Call { latency, failed: latency.is_none() }
        });
        route.record(&pair(ours, theirs), &compared(Some(&differences)), &ALLOWED);
    }
    route.numbers
}

/// The same, of a constant latency on both sides.
fn calm(pairs: u64, baseline: u64, candidate: Option<u64>) -> Numbers {
    told(pairs, |_| (Some(baseline), candidate))
}

#[test]
fn an_excess_below_the_floor_passes_whatever_the_ratio() {
    let scope = judge(&calm(5000, 300, Some(1800)), &ALLOWED, ALPHA, None);
    assert_eq!((scope.verdict, scope.reasons.len()), (Verdict::Pass, 0), "{:?}", scope.reasons);
    assert!(scope.latency.p50.ratio.unwrap() > 5.0);
    let scope = judge(&calm(5000, 300, Some(3000)), &ALLOWED, ALPHA, None);
    assert_eq!(scope.verdict, Verdict::Fail);
    assert!(scope.reasons.iter().any(|reason| reason.contains("p50")), "{:?}", scope.reasons);
}

#[test]
fn a_slow_p99_alone_fails() {
    let numbers = told(20_000, |index| {
        let usual = |of: u64| 10_000 + of * 7919 % 5000;
        let slow = |of: u64, every: u64| if index % every == 7 { 100_000 } else { usual(of) };
        (Some(slow(index, 160)), Some(slow(index + 1, 25)))
    });
    let scope = judge(&numbers, &ALLOWED, ALPHA, None);
    assert_eq!(scope.verdict, Verdict::Fail);
    assert!(scope.reasons[0].starts_with("latency p99"), "{:?}", scope.reasons);
    assert_eq!(scope.latency.p50.excess.verdict, Verdict::Pass);
}

#[test]
fn a_candidate_that_never_answers_is_slower_than_any() {
    let scope = judge(&calm(1000, 10_000, None), &ALLOWED, ALPHA, None);
    assert_eq!((scope.errors.verdict, scope.latency.verdict), (Verdict::Fail, Verdict::Fail));
    assert_eq!(scope.latency.p50.candidate_seconds, None);
}

#[test]
fn a_hundred_pairs_in_one_bad_spell_are_no_hundred_observations() {
    // Every 3,000 pairs each side is slow, and fails, for a hundred: at other times.
    let mut route = Route::default();
    for index in 0..60_000_u64 {
        let bad = |at: u64| index % 3000 / 100 == at + index / 3000 % 7;
        let side = |at: u64| {
            let micros = if bad(at) { 1_000_000 } else { 10_000 + index * 7919 % 5000 };
            Call { latency: Some(Duration::from_micros(micros)), failed: bad(at) }
        };
        route.record(&pair(side(13), side(3)), &compared(None), &ALLOWED);
        if index % 500 == 499 {
            let scope = judge(&route.numbers, &ALLOWED, ALPHA / 2.0, None);
            assert_ne!(scope.errors.verdict, Verdict::Fail, "{index}");
            assert_ne!(scope.latency.verdict, Verdict::Fail, "{index}: {:?}", scope.reasons);
        }
    }
}

#[test]
fn clients_that_do_not_wait_hold_nothing_against_a_twin() {
    // Both take 5 to 30 ms; the clients leave after 28.
    let took = |seed: u64| 5000 + seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 25_000;
    let (mut route, left) = (Route::default(), Duration::from_millis(28));
    for index in 0..30_000 {
        let sides = [took(2 * index), took(2 * index + 1)].map(Duration::from_micros);
        let censored = sides[0] > left;
        let [ours, theirs] = sides.map(|it| if censored { it.min(left) } else { it });
        let [ours, theirs] = [ours, theirs].map(|it| Call { latency: Some(it), failed: false });
        route.record(
            &Pair { censored, ..pair(ours, theirs) },
            &compared(None),
            &Allowed { latency_ratio: 1.0, latency_floor: Duration::ZERO, ..ALLOWED },
        );
    }
    let latency = judge(&route.numbers, &ALLOWED, ALPHA, None).latency;
    assert_ne!(latency.verdict, Verdict::Fail, "{latency:?}");
}

#[test]
fn a_pass_names_what_it_does_not_cover_and_how_long_that_takes() {
    // From 10 ms up, ever longer.
    let took = |index: u64| 10_000.0 * 1.002_f64.powi((index * 7919 % 5000) as i32);
    let numbers = told(4000, |index| (Some(took(index) as u64), Some(took(index) as u64)));
    let scope = judge(&numbers, &ALLOWED, ALPHA, Some(50.0));
    assert_eq!(scope.verdict, Verdict::Pass, "{:?}", scope.reasons);
    let p999 = &scope.not_covered[0];
    assert!(p999.starts_with("p99.9 not settled: ") && p999.ends_with(" seconds"), "{p999}");
    let scope = judge(&numbers, &ALLOWED, ALPHA, Some(5.0e6));
    assert!(scope.not_covered[0].ends_with(" hours"), "{:?}", scope.not_covered);
}

#[test]
fn failures_that_are_not_judged_hold_nothing_up() {
    let mut numbers = calm(5000, 1000, Some(1000));
    numbers.candidate_alone_failed = 5000;
    let allowed = Allowed { error_delta: 1.0, ..ALLOWED };
    assert_eq!(judge(&numbers, &allowed, ALPHA, None).verdict, Verdict::Pass);
}

#[test]
fn with_no_excess_allowed_a_pass_is_still_to_be_had() {
    let numbers = calm(20_000, 1000, Some(1000));
    let allowed = Allowed { error_delta: 0.0, ..ALLOWED };
    assert_eq!(judge(&numbers, &allowed, ALPHA, None).verdict, Verdict::Pass);
}

fn route(name: &str, rank: u64, numbers: Numbers) -> RouteFindings {
    RouteFindings {
        route: name.into(),
        rank,
        allowed: None,
        mirroring: None,
        numbers,
        fields: Vec::new(),
        headers: crate::report::headers::Headers::default(),
        noise_pairs: 0,
    }
}

#[test]
fn one_bad_route_among_many_good_pairs_fails_the_whole() {
    let mut bad = calm(400, 5000, Some(5000));
    (bad.mismatched, bad.net_mismatched) = (100, 100);
    let good = calm(100_000, 5000, Some(5000));
    let routes = vec![route("GET /good", 1, good), route("GET /bad", 2, bad)];
    let paired = routes[0].numbers.paired.clone();
    let summary = summarize(&Findings { routes, paired, ..Findings::default() }, &ALLOWED);
    assert_eq!(summary.routes[0].scope.verdict, Verdict::Pass);
    assert_eq!(summary.routes[1].scope.verdict, Verdict::Fail);
    assert_eq!(summary.overall.verdict, Verdict::Fail);
    assert_eq!(summary.overall.reasons, ["route GET /bad fails"]);
    assert_eq!(summary.overall.pairs, 100_400);
}

#[test]
fn the_levels_of_any_number_of_routes_add_up_to_what_is_left_for_them() {
    let numbers = calm(1, 0, None);
    let routes = (1..=100).map(|rank| route("GET /", rank, numbers.clone())).collect();
    let summary = summarize(&Findings { routes, ..Findings::default() }, &ALLOWED);
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
    let mut scope = judge(&numbers, &ALLOWED, ALPHA, None);
    assert_eq!(scope.mismatches.verdict, Verdict::Pass);
    numbers = Numbers { compared: 18_000, unknown: 2_000, ..numbers };
    scope = judge(&numbers, &ALLOWED, ALPHA, None);
    assert_eq!(scope.mismatches.verdict, Verdict::NotEnoughData);
    assert!((scope.mismatches.unknown_share - 0.1).abs() < 1e-9);
    assert!(scope.reasons.iter().any(|reason| reason.contains("2000 pairs (10.00 %)")));
    // Nor is it settled that they differ.
    numbers.net_mismatched = 100;
    assert_ne!(judge(&numbers, &ALLOWED, ALPHA, None).mismatches.verdict, Verdict::Fail);
    numbers.net_mismatched = 1_000;
    assert_eq!(judge(&numbers, &ALLOWED, ALPHA, None).mismatches.verdict, Verdict::Fail);
}

#[test]
fn a_candidate_that_answers_404_now_and_then_does_not_pass() {
    let mut numbers = Numbers { pairs: 100_000, compared: 100_000, ..Numbers::default() };
    assert_eq!(judge(&numbers, &ALLOWED, ALPHA, None).mismatches.verdict, Verdict::Pass);
    numbers.net_mismatched = 400;
    assert_eq!(judge(&numbers, &ALLOWED, ALPHA, None).mismatches.verdict, Verdict::Pass);
    numbers.other_class = 400;
    let scope = judge(&numbers, &ALLOWED, ALPHA, None);
    assert_eq!(scope.mismatches.verdict, Verdict::Fail);
    assert!(scope.reasons.iter().any(|reason| reason.starts_with("statuses of another class")));
}

#[test]
fn latencies_that_were_not_measured_alike_neither_fail_nor_keep_from_a_pass() {
    let call = |millis| Call { latency: Some(Duration::from_millis(millis)), failed: false };
    let of = |alike| {
        let mut route = Route::default();
        let nothing = Differences::default();
        for _ in 0..20_000 {
            let pair = Pair { alike, ..pair(call(1), call(100)) };
            route.record(&pair, &compared(Some(&nothing)), &ALLOWED);
        }
        judge(&route.numbers, &ALLOWED, ALPHA / 2.0, None)
    };
    assert_eq!(of(true).verdict, Verdict::Fail);
    let scope = of(false);
    assert_eq!((scope.verdict, scope.latency.judged), (Verdict::Pass, false));
    assert_eq!(scope.not_covered, [UNLIKE]);
    assert_eq!(scope.latency.p50.excess.verdict, Verdict::NotEnoughData);
    assert!(scope.latency.p50.candidate_seconds.unwrap() > 0.09, "it is shown");
}
