use proptest::prelude::{Just, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::gate::{Gate, gate};
use super::*;
use crate::pair::Call;

mod evidence;

const RATIO: f64 = 1.15;
/// The baseline's recent p99.
const P99: Duration = Duration::from_millis(20);

fn config() -> Config {
    Config {
        latency_ratio: RATIO,
        error_delta: 0.005,
        consecutive: 3,
        latency_floor: ms(2),
        cooldown: Duration::from_secs(10),
        mismatch_rate: None,
        ramp: None,
        observe_only: false,
        warmup: Duration::ZERO,
    }
}

fn guardrail(config: Config) -> (Guardrail, Gate, Moment) {
    let (setter, gate) = gate();
    // Long enough after the origin for all pairs to have begun after it.
    let now = Moment { at: Duration::from_secs(3600), wall: SystemTime::UNIX_EPOCH };
    (Guardrail::new(config, setter), gate, now)
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn later(now: Moment, by: Duration) -> Moment {
    Moment { at: now.at + by, wall: now.wall + by }
}

fn took(latency: Duration) -> Call {
    Call { latency: Some(latency), failed: false }
}

fn healthy() -> Pair<'static> {
    Pair::new("GET /a", "GET /", took(ms(10)), took(ms(10)))
}

/// As healthy, but for the candidate's latency.
fn candidate_took(latency: Duration) -> Pair<'static> {
    Pair { candidate: took(latency), ..healthy() }
}

fn failed() -> Pair<'static> {
    failed_if(true)
}

/// As healthy, but for whether the candidate failed.
fn failed_if(failed: bool) -> Pair<'static> {
    Pair { candidate: Call { failed, ..took(ms(10)) }, ..healthy() }
}

/// As this one, but that the baseline failed.
fn baseline_failed(pair: Pair<'static>) -> Pair<'static> {
    Pair { baseline: Call { failed: true, ..pair.baseline }, ..pair }
}

fn is_breach(config: Config, pair: &Pair<'_>) -> bool {
    is_breach_against(P99, config, pair)
}

fn is_breach_against(p99: Duration, config: Config, pair: &Pair<'_>) -> bool {
    let (mut guardrail, _, now) = guardrail(config);
    guardrail.observe(pair, p99, now);
    guardrail.snapshot().breach_streak == 1
}

#[test]
fn enough_breaches_in_a_row_trip_and_say_why() {
    let (mut guardrail, gate, now) = guardrail(config());
    assert_eq!(guardrail.observe(&failed(), P99, now), None);
    assert_eq!(guardrail.observe(&failed(), P99, now), None);
    let tripped = guardrail.observe(&failed(), P99, now);
    let Some(Transition::Tripped { reason, at, .. }) = tripped else { panic!("{tripped:?}") };
    assert!(
        reason.contains("GET /a") && reason.contains("failed") && reason.contains('3'),
        "{reason}"
    );
    assert_eq!(at, now.wall);
    let until = now.at + config().cooldown;
    assert_eq!(guardrail.snapshot().state, State::Tripped { until });
    assert!(matches!(gate.read(), Reading::Tripped { .. }));
}

#[test]
fn one_pair_that_is_no_breach_starts_the_count_anew() {
    let (mut guardrail, _, now) = guardrail(config());
    for pair in [failed(), failed(), healthy(), failed(), failed()] {
        assert_eq!(guardrail.observe(&pair, P99, now), None);
    }
    assert_eq!(guardrail.snapshot().breach_streak, 2);
}

#[test]
fn a_run_on_one_route_between_healthy_pairs_of_others_stops_that_route_alone() {
    let (mut guardrail, _, now) = guardrail(config());
    let other = Pair { route: "GET /b", ..healthy() };
    for _ in 0..2 {
        assert_eq!(guardrail.observe(&failed(), P99, now), None);
        assert_eq!(guardrail.observe(&other, P99, now), None);
    }
    let tripped = guardrail.observe(&failed(), P99, now);
    let Some(Transition::RouteTripped { trip }) = tripped else { panic!("{tripped:?}") };
    assert!(trip.reason.contains("on GET /a"), "{}", trip.reason);
    assert_eq!((trip.whole(), guardrail.snapshot().state), (false, State::Enabled));
    assert!(matches!(guardrail.route_gate("GET /a").read(), Reading::Tripped { .. }));
    assert!(matches!(guardrail.route_gate("GET /b").read(), Reading::Open { .. }));
}

fn slow() -> Pair<'static> {
    candidate_took(ms(200))
}

#[test]
fn slow_pairs_that_overlap_in_time_count_once() {
    let (mut guardrail, _, now) = guardrail(config());
    // Fifty copies of one pause.
    for pair in 0..50 {
        assert_eq!(guardrail.observe(&slow(), P99, later(now, ms(200 + pair))), None);
    }
    assert_eq!(guardrail.snapshot().breach_streak, 1);
}

#[test]
fn a_slow_candidate_trips_after_so_many_of_its_own_latencies_at_any_rate() {
    for gap in [1, 10, 100, 1000] {
        let (mut guardrail, _, now) = guardrail(config());
        let ends = (0..).map(|pair| later(now, ms(200 + pair * gap)));
        let end =
            ends.into_iter().find(|end| guardrail.observe(&slow(), P99, *end).is_some()).unwrap();
        let took = end.at - now.at;
        assert!(took <= ms((200 + gap) * 3), "{took:?} at a pair each {gap} ms");
    }
}

#[test]
fn a_run_must_be_longer_than_the_baselines_own_runs_of_failures() {
    let (mut guardrail, _, now) = guardrail(config());
    let alone = baseline_failed(healthy());
    for pair in std::iter::repeat_n(alone, 4).chain(std::iter::repeat_n(failed(), 7)) {
        assert_eq!(guardrail.observe(&pair, P99, now), None);
    }
    assert!(matches!(guardrail.observe(&failed(), P99, now), Some(Transition::Tripped { .. })));
}

#[test]
fn a_pair_whose_client_left_is_no_breach_for_being_slow() {
    assert!(is_breach(config(), &slow()));
    assert!(!is_breach(config(), &Pair { censored: true, ..slow() }));
}

#[test]
fn a_guardrail_that_only_observes_tells_what_it_would_do_and_stops_nothing() {
    let (mut guardrail, gate, now) = guardrail(Config { observe_only: true, ..config() });
    let told: Vec<_> = (0..100).filter_map(|_| guardrail.observe(&failed(), P99, now)).collect();
    let [Transition::WouldTrip { trip }] = &told[..] else { panic!("{told:?}") };
    assert!(trip.whole() && trip.reason.contains("3 breaches"), "{}", trip.reason);
    let snapshot = guardrail.snapshot();
    assert_eq!((snapshot.state, snapshot.last_abort), (State::Enabled, None));
    assert_eq!(snapshot.last_trip.map(|trip| trip.reason), Some(trip.reason.clone()));
    assert!(matches!(gate.read(), Reading::Open { epoch: 0 }));
    // Told again, with grounds of its own, after the cooldown.
    let due = later(now, config().cooldown);
    let again = (0..3).map(|_| guardrail.observe(&failed(), P99, due)).collect::<Vec<_>>();
    assert!(matches!(again[..], [None, None, Some(Transition::WouldTrip { .. })]), "{again:?}");
}

#[test]
fn pairs_of_the_warm_up_are_not_judged_after_a_start_and_after_it_came_back() {
    let warmup = Duration::from_secs(30);
    let (mut guardrail, _, mut now) = guardrail(Config { warmup, ..config() });
    for epoch in 0..2 {
        let pair = Pair { epoch: Epoch { whole: epoch, route: 0 }, ..failed() };
        let almost = later(now, warmup - Duration::from_nanos(1));
        for at in [now, now, now, almost] {
            assert_eq!(guardrail.observe(&pair, P99, at), None);
            assert_eq!(guardrail.snapshot().breach_streak, 0);
        }
        let warm = later(now, warmup);
        let told = (0..3).filter_map(|_| guardrail.observe(&pair, P99, warm)).count();
        assert_eq!(told, 1);
        now = later(warm, config().cooldown);
        assert_eq!(guardrail.resume_if_due(now), Some(Transition::Resumed));
    }
}

#[test]
fn a_guardrail_that_only_observes_stops_no_route_either() {
    let (mut guardrail, _, now) = guardrail(Config { observe_only: true, ..config() });
    let other = Pair { route: "GET /b", ..healthy() };
    for _ in 0..2 {
        guardrail.observe(&failed(), P99, now);
        guardrail.observe(&other, P99, now);
    }
    let Some(Transition::WouldTrip { trip }) = guardrail.observe(&failed(), P99, now) else {
        panic!()
    };
    assert!(!trip.whole());
    assert!(matches!(guardrail.route_gate("GET /a").read(), Reading::Open { .. }));
}

#[test]
fn the_run_over_all_pairs_trips_across_routes() {
    let (mut guardrail, _, now) = guardrail(config());
    for route in ["GET /a", "GET /b"] {
        assert_eq!(guardrail.observe(&Pair { route, ..failed() }, P99, now), None);
    }
    let last = Pair { route: "GET /c", ..failed() };
    assert!(matches!(guardrail.observe(&last, P99, now), Some(Transition::Tripped { .. })));
}

#[test]
fn latency_must_exceed_ratio_and_floor() {
    let pair = |baseline, candidate| Pair { baseline: took(baseline), ..candidate_took(candidate) };
    let is_breach = |config, pair: &Pair<'_>| is_breach_against(Duration::ZERO, config, pair);
    assert!(is_breach(config(), &pair(ms(100), ms(116))));
    assert!(!is_breach(config(), &pair(ms(100), ms(115))), "at the ratio is not above it");
    assert!(!is_breach(config(), &pair(ms(1), ms(3))), "an excess of the floor is not above it");
    assert!(is_breach(config(), &pair(ms(1), ms(3) + Duration::from_nanos(1))));
    let no_floor = Config { latency_floor: Duration::ZERO, ..config() };
    assert!(is_breach(no_floor, &pair(Duration::ZERO, Duration::from_nanos(1))));
}

#[test]
fn the_baselines_latency_is_the_larger_of_its_own_and_the_recent_p99() {
    let pair = |own, p99| (Pair { baseline: took(ms(own)), ..candidate_took(ms(100)) }, ms(p99));
    let is_breach = |config, (pair, p99): &(Pair<'_>, _)| is_breach_against(*p99, config, pair);
    assert!(is_breach(config(), &pair(10, 20)));
    assert!(!is_breach(config(), &pair(10, 100)));
    assert!(!is_breach(config(), &pair(100, 10)));
}

#[test]
fn a_failure_that_the_baseline_shares_is_no_breach() {
    assert!(is_breach(config(), &failed()));
    assert!(!is_breach(config(), &baseline_failed(failed())));
}

#[test]
fn an_error_delta_of_1_turns_the_error_rule_off_but_not_the_latency_rule() {
    let lenient = Config { error_delta: 1.0, ..config() };
    assert!(!is_breach(lenient.clone(), &failed()));
    let candidate = Call { latency: Some(ms(500)), failed: true };
    let slow = Pair { candidate, ..healthy() };
    assert!(is_breach(lenient, &slow));
}

#[test]
fn after_the_cooldown_the_first_request_switches_it_on_again_with_no_streaks() {
    let (mut guardrail, gate, now) = guardrail(config());
    for _ in 0..3 {
        guardrail.observe(&failed(), P99, now);
    }
    let almost = later(now, config().cooldown - Duration::from_nanos(1));
    assert_eq!(guardrail.resume_if_due(almost), None);
    let due = later(now, config().cooldown);
    assert_eq!(guardrail.resume_if_due(due), Some(Transition::Resumed));
    assert_eq!(guardrail.snapshot().breach_streak, 0);
    assert_eq!(gate.read(), Reading::Open { epoch: 1 });
    assert!(guardrail.snapshot().last_abort.is_some(), "the last abort is kept");
}

#[test]
fn copies_from_before_a_trip_are_no_evidence_after_it() {
    let (mut guardrail, _, now) = guardrail(config());
    for _ in 0..3 {
        guardrail.observe(&failed(), P99, now);
    }
    assert_eq!(guardrail.observe(&failed(), P99, now), None, "nor while it is off");
    guardrail.resume_if_due(later(now, config().cooldown));
    guardrail.observe(&failed(), P99, now);
    assert_eq!(guardrail.snapshot().breach_streak, 0);
    guardrail.observe(&Pair { epoch: Epoch { whole: 1, route: 0 }, ..failed() }, P99, now);
    assert_eq!(guardrail.snapshot().breach_streak, 1);
}

#[test]
fn the_cooldown_does_not_undo_an_operator_after_a_trip_either() {
    for trip_first in [false, true] {
        let (mut guardrail, gate, now) = guardrail(config());
        if trip_first {
            for _ in 0..3 {
                guardrail.observe(&failed(), P99, now);
            }
        }
        assert_eq!(guardrail.disable(now), Some(Transition::Held { counted: !trip_first }));
        assert_eq!(guardrail.resume_if_due(later(now, ms(86_400_000))), None);
        assert_eq!((guardrail.snapshot().state, gate.read()), (State::Held, Reading::Held));
        assert_eq!(guardrail.enable(), Some(Transition::Enabled));
        assert_eq!(guardrail.snapshot().state, State::Enabled);
    }
}

#[test]
fn a_disable_sets_time_and_reason_unless_mirroring_was_off_already() {
    let (mut first, _, now) = guardrail(config());
    first.disable(now);
    let (at, reason) = first.snapshot().last_abort.unwrap();
    assert_eq!((at, reason.as_str()), (now.wall, "disabled by hand"));
    assert_eq!(first.disable(later(now, ms(5))), None);
    assert_eq!(first.snapshot().last_abort.unwrap().0, now.wall);

    let (mut second, _, now) = guardrail(config());
    for _ in 0..3 {
        second.observe(&failed(), P99, now);
    }
    let trip = second.snapshot().last_abort;
    second.disable(later(now, ms(5)));
    assert_eq!(second.snapshot().last_abort, trip);
    assert_eq!(second.snapshot().state, State::Held);
}

#[test]
fn enable_while_enabled_only_forgets_the_streaks() {
    let (mut guardrail, gate, now) = guardrail(config());
    guardrail.observe(&failed(), P99, now);
    assert_eq!(guardrail.enable(), None);
    assert_eq!(guardrail.snapshot().breach_streak, 0);
    assert_eq!(gate.read(), Reading::Open { epoch: 0 }, "pairs on their way still count");
}

#[test]
fn an_error_delta_just_below_1_leaves_the_error_rule_on() {
    assert!(is_breach(Config { error_delta: 0.999, ..config() }, &failed()));
}

#[test]
fn without_an_answer_there_is_no_latency_to_judge() {
    let candidate = Call { latency: None, failed: true };
    let pair = Pair { candidate, ..healthy() };
    assert!(is_breach(config(), &pair));
    assert!(!is_breach(Config { error_delta: 1.0, ..config() }, &pair));
}

#[test]
fn the_reason_of_a_latency_trip_names_the_route_and_the_numbers() {
    let (mut guardrail, _, now) = guardrail(Config { consecutive: 1, ..config() });
    let slow = candidate_took(ms(50));
    guardrail.observe(&slow, P99, now);
    let (_, reason) = guardrail.snapshot().last_abort.unwrap();
    for part in ["GET /a", "50.0 ms", "2.50 times", "20.0 ms", "10.0 ms", "1.15"] {
        assert!(reason.contains(part), "{part} is not in: {reason}");
    }
}

#[test]
fn the_streak_shown_is_the_longest_running() {
    let (mut guardrail, _, now) = guardrail(Config { consecutive: 9, ..config() });
    let b_healthy = Pair { route: "GET /b", ..healthy() };
    let b_failed = Pair { route: "GET /b", ..failed() };
    let mut shown = Vec::new();
    for pair in [failed(), b_failed, failed(), b_healthy, b_failed, failed(), healthy()] {
        guardrail.observe(&pair, P99, now);
        shown.push(guardrail.snapshot().breach_streak);
    }
    // First the run over all leads; the healthy pair on b ends it and leaves a's; the last one
    // ends a's, and b's is left.
    assert_eq!(shown, [1, 2, 3, 2, 2, 3, 1]);
}

#[test]
fn a_latency_that_was_not_measured_as_the_other_is_no_breach_and_a_failure_is() {
    for (alike, tripped) in [(true, true), (false, false)] {
        let (mut guardrail, _, now) = guardrail(config());
        let slow = Pair { alike, ..candidate_took(ms(1_000)) };
        let trips = (1..100).any(|nth| {
            let at = later(now, nth * ms(2_000));
            guardrail.observe(&slow, P99, at).is_some()
        });
        assert_eq!(trips, tripped);
    }
    let (mut guardrail, _, now) = guardrail(config());
    let failed = Pair { alike: false, ..failed() };
    assert!((0..5).any(|_| guardrail.observe(&failed, P99, now).is_some()));
}

#[test]
fn pairs_while_it_is_held_are_ignored() {
    let (mut guardrail, _, now) = guardrail(config());
    guardrail.disable(now);
    for _ in 0..5 {
        assert_eq!(guardrail.observe(&failed(), P99, now), None);
    }
    let snapshot = guardrail.snapshot();
    assert_eq!((snapshot.state, snapshot.breach_streak), (State::Held, 0));
}

#[test]
fn enable_sets_the_streaks_to_0_in_every_state() {
    for (breaches, disable) in [(2, false), (2, true), (3, false), (3, true)] {
        let (mut guardrail, gate, now) = guardrail(config());
        for _ in 0..breaches {
            guardrail.observe(&failed(), P99, now);
        }
        if disable {
            guardrail.disable(now);
        }
        guardrail.enable();
        let snapshot = guardrail.snapshot();
        assert_eq!((snapshot.state, snapshot.breach_streak), (State::Enabled, 0));
        let Reading::Open { epoch } = gate.read() else { panic!("the gate is shut") };
        // Neither the run over all pairs nor the route's own goes on where it was.
        for _ in 0..2 {
            let epoch = Epoch { whole: epoch, route: 0 };
            assert_eq!(guardrail.observe(&Pair { epoch, ..failed() }, P99, now), None);
        }
    }
}

#[test]
fn each_disable_of_running_mirroring_counts() {
    let (mut guardrail, gate, now) = guardrail(config());
    for round in 1..=2 {
        let now = later(now, ms(round));
        assert_eq!(guardrail.disable(now), Some(Transition::Held { counted: true }));
        assert_eq!(guardrail.disable(later(now, ms(500))), None);
        assert_eq!(guardrail.snapshot().last_abort.unwrap().0, now.wall);
        assert_eq!(guardrail.enable(), Some(Transition::Enabled));
        assert_eq!(gate.read(), Reading::Open { epoch: round });
    }
}

proptest! {
    #[test]
    fn pairs_that_are_no_breach_never_trip(latencies in proptest::collection::vec(0_u64..11, 0..200)) {
        let (mut guardrail, _, now) = guardrail(config());
        for latency in latencies {
            let pair = candidate_took(ms(latency));
            prop_assert_eq!(guardrail.observe(&pair, P99, now), None);
        }
    }

    #[test]
    fn all_or_the_route_stop_exactly_when_the_last_pairs_there_are_breaches(
        pairs in proptest::collection::vec((prop_oneof![Just("a"), Just("b")], any::<bool>()), 0..60),
    ) {
        let (mut guardrail, _, now) = guardrail(config());
        for seen in 1..=pairs.len() {
            let (route, bad) = pairs[seen - 1];
            let pair = Pair { route, ..failed_if(bad) };
            let tripped = guardrail.observe(&pair, P99, now).is_some();
            let of_all = pairs[..seen].iter().rev().take_while(|(_, bad)| *bad);
            let on_route = pairs[..seen].iter().rev().filter(|(on, _)| *on == route);
            let on_route = on_route.take_while(|(_, bad)| *bad);
            prop_assert_eq!(tripped, of_all.count() == 3 || on_route.count() == 3);
            if tripped {
                break;
            }
        }
    }

    #[test]
    fn the_streak_never_passes_the_limit_and_only_enable_lifts_a_hold(
        steps in proptest::collection::vec((0_u8..5, prop_oneof![Just("a"), Just("b")], any::<bool>()), 0..200),
    ) {
        let (mut guardrail, _, mut now) = guardrail(config());
        for (step, route, bad) in steps {
            let held = guardrail.snapshot().state == State::Held;
            now = later(now, Duration::from_secs(3));
            let epoch = Epoch { whole: guardrail.epoch, route: 0 };
            let pair = Pair { route, epoch, ..failed_if(bad) };
            match step {
                0 => drop(guardrail.disable(now)),
                1 => drop(guardrail.enable()),
                2 => drop(guardrail.resume_if_due(now)),
                _ => drop(guardrail.observe(&pair, P99, now)),
            }
            let snapshot = guardrail.snapshot();
            prop_assert!(snapshot.breach_streak <= 3);
            prop_assert!(!held || step == 1 || snapshot.state == State::Held);
        }
    }
}

#[test]
fn another_cooldown_forgets_no_breach_and_moves_no_trip() {
    let (mut guardrail, _, now) = guardrail(config());
    guardrail.observe(&failed(), P99, now);
    let slow = Config { cooldown: Duration::from_secs(99), ..config() };
    guardrail.configure(slow.clone());
    assert_eq!(guardrail.snapshot().breach_streak, 1);
    let until = State::Tripped { until: now.at + slow.cooldown };
    for _ in 0..2 {
        guardrail.observe(&failed(), P99, now);
    }
    guardrail.configure(config());
    assert_eq!(guardrail.snapshot().state, until);
    guardrail.configure(Config { latency_ratio: 2.0, ..config() });
    let known = guardrail.snapshot();
    assert_eq!((known.state, known.breach_streak), (until, 0), "off stays off");
}

#[test]
fn where_the_ramp_is_taken_away_a_probation_ends_with_the_full_share() {
    let ramped = Config { ramp: Some(Duration::from_secs(60)), ..config() };
    let (mut guardrail, gate, now) = guardrail(ramped.clone());
    let route = guardrail.route_gate("GET /b");
    let on_b = Pair { route: "GET /b", ..failed() };
    let healthy = healthy();
    for pair in [&on_b, &healthy, &on_b, &healthy, &on_b] {
        guardrail.observe(pair, P99, now);
    }
    let now = later(now, ramped.cooldown);
    assert!(guardrail.resume_route_if_due("GET /b", now).is_some());
    for _ in 0..3 {
        guardrail.observe(&failed(), P99, now);
    }
    let now = later(now, ramped.cooldown);
    assert!(guardrail.resume_if_due(now).is_some());
    assert!(matches!(gate.read(), Reading::Probation { .. }));
    assert!(matches!(route.read(), Reading::Probation { .. }));
    guardrail.configure(config());
    assert!(matches!(gate.read(), Reading::Open { .. }), "{:?}", gate.read());
    assert!(matches!(route.read(), Reading::Open { .. }), "{:?}", route.read());
    assert_eq!(guardrail.snapshot().state, State::Enabled);
}
