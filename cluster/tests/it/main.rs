//! Replicas that judge together judge as one does: the same pairs lead to a trip, and twins lead to none.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::{Duration, SystemTime};

use cluster::{Batch, Teller};
use judge::guardrail::gate::gate;
use judge::guardrail::{Config, Guardrail, Moment, Transition};
use judge::pair::{Call, Pair};

/// What a proxy has by default.
fn config() -> Config {
    Config {
        latency_ratio: 1.15,
        error_delta: 0.005,
        consecutive: 20,
        latency_floor: Duration::from_millis(2),
        cooldown: Duration::from_secs(60),
        mismatch_rate: None,
        ramp: None,
        observe_only: false,
        warmup: Duration::ZERO,
    }
}

/// Dice from a fixed seed, from 0 to 1.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From 10 ms on, with a tail.
    fn latency(&mut self) -> f64 {
        0.01 * (1.0 / (1.0 - 0.98 * self.roll())).powf(0.6)
    }
}

/// What a candidate is like.
#[derive(Clone, Copy)]
struct Candidate {
    times: f64,
    fails: f64,
}

const TWIN: Candidate = Candidate { times: 1.0, fails: 0.001 };
/// Pairs a second, over all replicas.
const RATE: u64 = 1000;
/// How often replicas tell what their pairs said, in milliseconds.
const TOLD: u64 = 250;

/// After how many pairs a candidate is stopped that so many replicas judge, if it is before `most`.
fn stopped_after(replicas: usize, candidate: Candidate, seed: u64, most: u64) -> Option<u64> {
    let mut dice = Dice(seed);
    let mut judge = Guardrail::new(config(), gate().0);
    let tellers: Vec<_> = (0..replicas).map(|_| Teller::default()).collect();
    let at = |nth: u64| Duration::from_micros(nth * 1_000_000 / RATE);
    for nth in 1..=most {
        let [ours, theirs] = [(); 2].map(|()| Duration::from_secs_f64(dice.latency()));
        let fails = |dice: &mut Dice, share: f64| dice.roll() < share;
        let (failed, theirs_failed) =
            (fails(&mut dice, TWIN.fails), fails(&mut dice, candidate.fails));
        let call = |latency, failed| Call { latency: Some(latency), failed };
        let pair = Pair::new(
            "GET /",
            "",
            call(ours, failed),
            call(theirs.mul_f64(candidate.times), theirs_failed),
        );
        let (p99, now) = (Duration::from_millis(100), at(nth));
        if replicas == 1 {
            let moment = Moment { at: now, wall: SystemTime::UNIX_EPOCH };
            if is_trip(judge.observe(&pair, p99, moment).as_ref()) {
                return Some(nth);
            }
            continue;
        }
        let replica = (dice.roll() * replicas as f64) as usize;
        tellers[replica.min(replicas - 1)].answered(&pair, p99, None, now);
        if nth.is_multiple_of(RATE * TOLD / 1000) {
            for teller in &tellers {
                let Some(batch) = teller.take("v2", now) else { continue };
                let batch = Batch::read(&batch.write().unwrap()).unwrap();
                let sent = Moment { at: now, wall: SystemTime::UNIX_EPOCH + now };
                if is_trip(batch.judge(&mut judge, sent).as_ref()) {
                    return Some(nth);
                }
            }
        }
    }
    None
}

fn is_trip(transition: Option<&Transition>) -> bool {
    matches!(transition, Some(Transition::Tripped { .. } | Transition::RouteTripped { .. }))
}

fn middle(mut all: Vec<u64>) -> u64 {
    all.sort_unstable();
    all[all.len() / 2]
}

#[test]
fn a_bad_candidate_is_stopped_after_as_many_pairs_as_by_one() {
    for candidate in [
        Candidate { times: 1.3, ..TWIN },
        Candidate { times: 2.0, ..TWIN },
        Candidate { fails: 0.03, ..TWIN },
    ] {
        let of = |replicas| {
            let seeds = 1..=15;
            middle(
                seeds
                    .map(|seed| stopped_after(replicas, candidate, seed, 200_000).unwrap())
                    .collect(),
            )
        };
        let alone = of(1);
        for replicas in [3, 10] {
            let together = of(replicas);
            // They know of a pair when it is told.
            let told = RATE * TOLD / 1000;
            assert!(
                together <= alone + alone / 10 + told && together + alone / 10 + told >= alone,
                "{together} with {replicas}, {alone} alone"
            );
        }
    }
}

#[test]
fn twins_are_stopped_by_nobody() {
    for replicas in [1, 3, 10] {
        for seed in 1..=3 {
            assert_eq!(stopped_after(replicas, TWIN, seed, 60_000), None, "{replicas}, {seed}");
        }
    }
}

#[test]
fn what_is_told_takes_few_bytes_and_has_a_bound() {
    let (teller, mut dice) = (Teller::default(), Dice(1));
    for nth in 0..6000_u64 {
        let [ours, theirs] = [(); 2].map(|()| Duration::from_secs_f64(dice.latency()));
        let call = |latency| Call { latency: Some(latency), failed: false };
        let pair = Pair::new("GET /", "", call(ours), call(theirs));
        teller.answered(&pair, Duration::from_millis(100), None, Duration::from_micros(nth * 40));
    }
    let batch = teller.take("v2", Duration::from_millis(250)).unwrap();
    assert_eq!((batch.lines.len(), batch.left_out), (5000, 1000));
    let bytes = batch.write().unwrap().len();
    assert!(bytes < 5000 * 24, "{bytes}");
    assert_eq!(Batch::read(&batch.write().unwrap()).unwrap(), batch);
    assert!(teller.take("v2", Duration::from_secs(1)).is_none());
}

#[test]
fn what_is_no_batch_is_refused() {
    for bytes in [&b""[..], b"{}", &zstd::bulk::compress(b"[1]", 1).unwrap()] {
        assert!(Batch::read(bytes).is_err());
    }
}
