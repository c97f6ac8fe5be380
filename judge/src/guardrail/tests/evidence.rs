//! The evidence beside the run of breaches: routes alone, probation, explanations, delays.

use super::*;
use crate::guardrail::probation::Probation;

/// Fails where the baseline does not, in two pairs of three: never three breaches in a row.
fn two_of_three(at: usize, route: &'static str, epoch: Epoch) -> Pair<'static> {
    Pair { route, epoch, ..failed_if(!at.is_multiple_of(3)) }
}

fn epoch(guardrail: &mut Guardrail, route: &str) -> Epoch {
    guardrail.epoch(route)
}

/// Feeds pairs of a healthy and of a bad route in turn until something happens.
fn until_something_happens(guardrail: &mut Guardrail, now: Moment) -> (usize, Transition) {
    for at in 0..2000 {
        let [a, b] = ["GET /a", "GET /b"].map(|route| epoch(guardrail, route));
        let good = Pair { route: "GET /b", epoch: b, ..healthy() };
        // Several good pairs to a bad one, so that the whole is far from tripping.
        for _ in 0..9 {
            assert_eq!(guardrail.observe(&good, P99, now), None);
        }
        if let Some(transition) = guardrail.observe(&two_of_three(at, "GET /a", a), P99, now) {
            return (at, transition);
        }
    }
    panic!("nothing happened");
}

#[test]
fn evidence_on_one_route_stops_that_route_alone() {
    let (mut guardrail, gate, now) = guardrail(config());
    let [a, b] = ["GET /a", "GET /b"].map(|route| guardrail.route_gate(route));
    let (pairs, transition) = until_something_happens(&mut guardrail, now);
    assert!(pairs < 100, "{pairs}");
    let Transition::RouteTripped { trip } = transition else { panic!("{transition:?}") };
    assert_eq!((trip.route.as_str(), trip.rule.name()), ("GET /a", "evidence"));
    assert!(matches!(a.read(), Reading::Tripped { .. }));
    assert_eq!(b.read(), Reading::Open { epoch: 0 });
    assert_eq!(gate.read(), Reading::Open { epoch: 0 });
    let snapshot = guardrail.snapshot();
    assert_eq!((snapshot.state, snapshot.last_abort), (State::Enabled, None));
    assert_eq!(snapshot.evidence.pairs, 0, "the rest is judged anew");
    let states: Vec<_> = snapshot.routes.iter().map(|route| route.state.name()).collect();
    assert_eq!(states, ["tripped", "enabled"]);
}

#[test]
fn evidence_over_all_stops_everything() {
    let (mut guardrail, gate, now) = guardrail(config());
    let tripped = (0..2000).find_map(|at| {
        let route = ["GET /a", "GET /b", "GET /c", "GET /d"][at / 3 % 4];
        guardrail.observe(&two_of_three(at, route, Epoch::default()), P99, now)
    });
    let Some(Transition::Tripped { reason, trip, .. }) = tripped else { panic!("{tripped:?}") };
    assert!(trip.whole() && reason.contains("errors"), "{reason}");
    assert!(matches!(gate.read(), Reading::Tripped { .. }));
    assert!(guardrail.snapshot().routes.iter().all(|route| route.state == State::Enabled));
}

#[test]
fn evidence_never_acts_on_fewer_pairs_than_the_run_would_need() {
    let (mut guardrail, _, now) = guardrail(Config { consecutive: 500, ..config() });
    let tripped = (1..).find(|at| {
        guardrail.observe(&two_of_three(*at, "GET /a", Epoch::default()), P99, now).is_some()
    });
    assert_eq!(tripped, Some(500));
}

#[test]
fn a_stopped_route_comes_back_after_the_cooldown_and_older_copies_are_no_evidence() {
    let (mut guardrail, _, now) = guardrail(config());
    let gate = guardrail.route_gate("GET /a");
    let before = epoch(&mut guardrail, "GET /a");
    until_something_happens(&mut guardrail, now);
    let early = later(now, Duration::from_millis(9_999));
    assert_eq!(guardrail.resume_route_if_due("GET /a", early), None);
    let due = later(now, Duration::from_secs(10));
    let resumed = Some(Transition::RouteResumed { route: "GET /a".to_owned() });
    assert_eq!(guardrail.resume_route_if_due("GET /a", due), resumed);
    assert_eq!(guardrail.resume_route_if_due("GET /a", due), None);
    assert_eq!(gate.read(), Reading::Open { epoch: 1 });
    for at in 0..100 {
        assert_eq!(guardrail.observe(&two_of_three(at, "GET /a", before), P99, due), None);
    }
    assert_eq!(guardrail.snapshot().routes[0].evidence.pairs, 0);
}

#[test]
fn enable_by_hand_lifts_the_stop_of_a_route() {
    let (mut guardrail, _, now) = guardrail(config());
    let gate = guardrail.route_gate("GET /a");
    until_something_happens(&mut guardrail, now);
    assert_eq!(guardrail.enable(), Some(Transition::Enabled));
    assert_eq!(gate.read(), Reading::Open { epoch: 1 });
    assert_eq!(guardrail.enable(), None);
}

#[test]
fn a_trip_tells_its_numbers_its_examples_and_what_comes_next() {
    let (mut guardrail, _, now) = guardrail(config());
    let (_, transition) = until_something_happens(&mut guardrail, now);
    let Transition::RouteTripped { trip } = transition else { panic!("{transition:?}") };
    for part in ["GET /a", "errors", "1e6", "10.0 ms", "failures 6"] {
        assert!(trip.reason.contains(part), "{part} is not in: {}", trip.reason);
    }
    assert!((trip.numbers.candidate.failure_rate - 0.66).abs() < 0.1, "{:?}", trip.numbers);
    assert_eq!(trip.numbers.baseline.failure_rate, 0.0);
    assert_eq!(trip.examples.len(), 5);
    assert!(trip.examples.iter().all(|example| example.pair.candidate_failed));
    assert_eq!(trip.resumes, now.wall + Duration::from_secs(10));
    assert!(trip.next().contains("resumes"), "{}", trip.next());
    assert_eq!(guardrail.snapshot().last_trip, Some(*trip));
}

/// A healthy pair, by another request.
fn asked() -> Pair<'static> {
    Pair { request: "GET /a/7".into(), ..healthy() }
}

#[test]
fn differences_count_where_a_rate_is_set_and_only_there() {
    for (rate, stops) in [(None, false), (Some(0.05), true)] {
        let (mut guardrail, _, now) = guardrail(Config { mismatch_rate: rate, ..config() });
        let tripped = (0..500).any(|at| {
            assert_eq!(guardrail.observe(&healthy(), P99, now), None);
            let fields = &["$.price"][..];
            let differs = (at % 3 == 0).then_some(fields);
            guardrail.compared(&asked(), differs, now).is_some()
        });
        assert_eq!(tripped, stops, "{rate:?}");
    }
}

#[test]
fn a_trip_by_mismatches_says_how_many_answers_differ_and_where() {
    let (mut guardrail, _, now) = guardrail(Config { mismatch_rate: Some(0.05), ..config() });
    for at in 0..500 {
        guardrail.observe(&healthy(), P99, now);
        let fields = &["$.price", "$.stock"][..];
        let differs = (at % 3 == 0).then_some(fields);
        if guardrail.compared(&asked(), differs, now).is_some() {
            break;
        }
    }
    let trip = guardrail.snapshot().last_trip.unwrap();
    assert!(trip.reason.contains("differ in $.price, $.stock"), "{}", trip.reason);
    assert!(!trip.reason.contains("p50"), "{}", trip.reason);
    let share = trip.differing.different() as f64 / trip.differing.compared() as f64;
    assert!((0.3..0.4).contains(&share), "{share}");
    assert_eq!(trip.differing.examples().count(), 5);
    assert!(trip.differing.examples().all(|example| example.at == now.wall));
    assert!(trip.differing.examples().all(|example| example.request == "GET /a/7"));
}

#[test]
fn differences_at_the_allowed_rate_do_not_trip() {
    let (mut guardrail, _, now) = guardrail(Config { mismatch_rate: Some(0.1), ..config() });
    for at in 0..50_000 {
        assert_eq!(guardrail.observe(&healthy(), P99, now), None);
        let fields = &["$.price"][..];
        let differs = (at % 10 == 0).then_some(fields);
        assert_eq!(guardrail.compared(&asked(), differs, now), None);
    }
}

fn ramped() -> Config {
    Config { ramp: Some(Duration::from_secs(40)), ..config() }
}

fn trip(guardrail: &mut Guardrail, now: Moment) -> Duration {
    for _ in 0..3 {
        let epoch = guardrail.epoch("GET /a");
        let pair = Pair { epoch, ..failed() };
        if let Some(Transition::Tripped { trip, .. }) = guardrail.observe(&pair, P99, now) {
            return trip.cooldown;
        }
    }
    panic!("no trip");
}

/// Healthy pairs, one each second, until the probation is over.
fn pass(guardrail: &mut Guardrail, gate: &Gate, mut now: Moment) -> (Vec<u16>, Moment) {
    let mut shares = Vec::new();
    for _ in 0..200 {
        let Reading::Probation { share, .. } = gate.read() else { break };
        if shares.last() != Some(&share) {
            shares.push(share);
        }
        now = later(now, Duration::from_secs(1));
        let epoch = guardrail.epoch("GET /a");
        guardrail.observe(&Pair { epoch, ..healthy() }, P99, now);
    }
    assert_eq!(guardrail.snapshot().state, State::Enabled);
    (shares, now)
}

#[test]
fn after_the_cooldown_the_share_grows_from_probes_to_all() {
    let (mut guardrail, gate, now) = guardrail(ramped());
    let cooldown = trip(&mut guardrail, now);
    let due = later(now, cooldown);
    let started = guardrail.resume_if_due(due);
    assert_eq!(started, Some(Transition::Probation { route: None }));
    assert_eq!(guardrail.snapshot().state, State::Probation);
    assert!(guardrail.snapshot().state.is_on());
    let (shares, end) = pass(&mut guardrail, &gate, due);
    assert_eq!(shares, [50, 250, 500, 1000]);
    // Twenty probes at one a second, then three steps of a quarter of the ramp.
    assert_eq!(end.at - due.at, Duration::from_secs(20 + 30));
    assert!(matches!(gate.read(), Reading::Open { .. }));
}

#[test]
fn a_probation_without_pairs_does_not_end() {
    let mut probation = Probation::new(Duration::ZERO);
    let much_later = Duration::from_secs(1000);
    for probe in 1..=20 {
        assert_eq!(probation.pair(Duration::from_secs(4), much_later), probe == 20);
    }
    assert_eq!(probation.share(), Some(250));
}

#[test]
fn trips_on_probation_double_the_cooldown_up_to_a_cap_and_a_clean_spell_resets_it() {
    let (mut guardrail, gate, mut now) = guardrail(ramped());
    let mut cooldowns = Vec::new();
    for _ in 0..8 {
        let cooldown = trip(&mut guardrail, now);
        cooldowns.push(cooldown.as_secs());
        now = later(now, cooldown);
        assert!(guardrail.resume_if_due(now).is_some());
    }
    assert_eq!(cooldowns, [10, 20, 40, 80, 160, 320, 320, 320]);
    let (_, soon) = pass(&mut guardrail, &gate, now);
    let clean = later(soon, Duration::from_secs(4 * 320));
    assert_eq!(trip(&mut guardrail, clean), Duration::from_secs(10));
}

#[test]
fn a_trip_after_probation_and_before_a_clean_spell_keeps_the_cooldown() {
    let (mut guardrail, gate, mut now) = guardrail(ramped());
    for _ in 0..2 {
        now = later(now, trip(&mut guardrail, now));
        guardrail.resume_if_due(now);
    }
    let (_, soon) = pass(&mut guardrail, &gate, now);
    assert_eq!(trip(&mut guardrail, soon), Duration::from_secs(20));
}

#[test]
fn without_a_ramp_cooldowns_never_grow_and_nothing_is_on_probation() {
    let (mut guardrail, gate, mut now) = guardrail(config());
    for _ in 0..5 {
        assert_eq!(trip(&mut guardrail, now), Duration::from_secs(10));
        now = later(now, Duration::from_secs(10));
        assert_eq!(guardrail.resume_if_due(now), Some(Transition::Resumed));
        assert!(matches!(gate.read(), Reading::Open { .. }));
    }
}

#[test]
fn a_route_has_a_probation_of_its_own() {
    let (mut guardrail, whole, now) = guardrail(ramped());
    let gate = guardrail.route_gate("GET /a");
    until_something_happens(&mut guardrail, now);
    let due = later(now, Duration::from_secs(10));
    let started = Transition::Probation { route: Some("GET /a".to_owned()) };
    assert_eq!(guardrail.resume_route_if_due("GET /a", due), Some(started));
    let (shares, _) = pass(&mut guardrail, &gate, due);
    assert_eq!(shares, [50, 250, 500, 1000]);
    assert_eq!(whole.read(), Reading::Open { epoch: 0 });
}

/// An even number from 0 to 1, from a fixed seed.
fn dice(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Pairs until the evidence stops a candidate that is `times` slower and fails at `errors`.
fn delay(seed: u64, times: f64, errors: f64, most: usize) -> Option<usize> {
    let never_by_run = Config { consecutive: 40, ..config() };
    let (mut guardrail, _, now) = guardrail(never_by_run);
    let mut dice = dice(seed);
    // The sum of twelve is near enough to normal.
    let mut latency = |times: f64| {
        let normal = (0..12).map(|_| dice()).sum::<f64>() - 6.0;
        Duration::from_secs_f64(0.01 * (0.5 * normal).exp() * times)
    };
    let mut fails = self::dice(seed + 99);
    (1..=most).find(|pair| {
        // Far enough apart that none overlaps another.
        let now = later(now, Duration::from_secs(*pair as u64));
        let latencies = [latency(1.0), latency(times)].map(Some);
        let candidate = Call { latency: latencies[1], failed: fails() < errors };
        let baseline = Call { latency: latencies[0], failed: errors <= 0.01 && fails() < errors };
        let pair = Pair { baseline, candidate, ..healthy() };
        guardrail.observe(&pair, Duration::from_secs(1), now).is_some()
    })
}

#[test]
fn latencies_alone_do_not_trip_before_it_is_known_how_long_they_remember() {
    let known = usize::try_from(crate::guardrail::dependence::TELLS).unwrap();
    for seed in 1..=5 {
        assert_eq!(delay(seed, 5.0, 0.0, known - 1), None, "seed {seed}");
        assert!(delay(seed, 5.0, 0.5, known - 1).is_some(), "failures do, seed {seed}");
    }
}

#[test]
fn twins_do_not_trip_and_bad_candidates_do_in_time() {
    for seed in 1..=5 {
        assert_eq!(delay(seed, 1.0, 0.0, 30_000), None, "twins, seed {seed}");
        assert_eq!(delay(seed, 1.0, 0.01, 30_000), None, "twins that fail, seed {seed}");
        for (times, errors, within) in
            [(5.0, 0.0, 140), (2.0, 0.0, 200), (1.5, 0.0, 900), (1.0, 0.22, 250), (1.0, 0.05, 1200)]
        {
            let found = delay(seed, times, errors, within);
            assert!(found.is_some(), "{times} times, errors {errors}, seed {seed}");
        }
    }
}
