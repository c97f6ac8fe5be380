//! How many pairs the report's verdict takes, how often it is wrong where latencies and failures have
//! memory, and how long the report takes, by simulation.
//!
//! `cargo run --release -p judge --example report_sim` prints two tables: the verdict that settles it
//! for candidates of several kinds, and the median and the most pairs until then; and for twins of
//! several kinds in how many runs some look finds a `fail`, or a `pass`, and after how many pairs.
//! `report_sim settle`, `twins` and `speed` are the parts; another word picks rows by their name.

#![expect(clippy::print_stdout, reason = "a program that prints tables")]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use compare::{Difference, Differences, Kind, Traits};
use judge::report::{Allowed, Findings, Report, summarize, verdicts};
use judge::verdict::Verdict;
use judge::{Call, Comparison, Pair};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// Simulated starts for a median.
const RUNS: u64 = 51;
/// Pairs between two looks.
const BETWEEN_LOOKS: u64 = 100;
/// The same where it goes on to the end.
const BETWEEN_LATER_LOOKS: u64 = 500;
/// What is not settled by then is given up.
const LIMIT: u64 = 100_000;

/// The defaults of the settings.
const ALLOWED: Allowed = Allowed {
    mismatch_rate: 0.01,
    status_rate: 0.0025,
    error_delta: 0.005,
    latency_ratio: 1.15,
    latency_floor: Duration::from_millis(2),
};

/// What a service does to latencies and failures over time, each side apart.
#[derive(Clone, Copy, PartialEq)]
enum Law {
    /// Each request by itself.
    Apart,
    /// The logarithm of the latency is an autoregression that keeps so much of what was before.
    Keeps(f64),
    /// Every so many seconds all that is asked waits for the end of a pause of so many seconds.
    Pauses { every: f64, length: f64 },
    /// Every 5,000 pairs or so a burst of about 50 failures.
    Bursts,
    /// So many calls get no answer.
    Unanswered(f64),
    /// Clients leave at the baseline's p95.
    Impatient,
    /// The candidate: so many calls are so many times slower.
    Rarely(f64, f64),
}

/// Pairs a second.
const RATE: f64 = 100.0;

/// What is remembered of a side.
#[derive(Clone, Copy, Default)]
struct Side {
    normal: f64,
    pause: f64,
    burst: u32,
    started: bool,
}

/// What a candidate does, and on what load.
#[derive(Clone, Copy)]
struct Candidate {
    law: Law,
    name: &'static str,
    /// The baseline's median, in seconds, and how wide its latencies are spread.
    median: f64,
    sigma: f64,
    slower: f64,
    fails: f64,
    differs: f64,
}

const TWIN: Candidate = Candidate {
    law: Law::Apart,
    name: "the same",
    median: 0.02,
    sigma: 0.5,
    slower: 1.0,
    fails: 0.0,
    differs: 0.0,
};

const CANDIDATES: [Candidate; 13] = [
    TWIN,
    Candidate { name: "the same, around 2 ms", median: 0.002, ..TWIN },
    Candidate { name: "the same, sigma 1", sigma: 1.0, ..TWIN },
    Candidate { name: "the same, 0.3 % mismatches", differs: 0.003, ..TWIN },
    Candidate { name: "2 times slower", slower: 2.0, ..TWIN },
    Candidate { name: "1.5 times slower", slower: 1.5, ..TWIN },
    Candidate { name: "1.3 times slower", slower: 1.3, ..TWIN },
    Candidate { name: "errors 5 %", fails: 0.05, ..TWIN },
    Candidate { name: "errors 2 %", fails: 0.02, ..TWIN },
    Candidate { name: "mismatches 10 %", differs: 0.1, ..TWIN },
    Candidate { name: "mismatches 3 %", differs: 0.03, ..TWIN },
    Candidate { name: "1 % of requests 50 times slower", law: Law::Rarely(0.01, 50.0), ..TWIN },
    Candidate { name: "0.1 % of requests 10 times slower", law: Law::Rarely(0.001, 10.0), ..TWIN },
];

const TWINS: [Candidate; 9] = [
    Candidate { name: "apart", ..TWIN },
    Candidate { name: "AR(1) 0.9", law: Law::Keeps(0.9), ..TWIN },
    Candidate { name: "AR(1) 0.99", law: Law::Keeps(0.99), ..TWIN },
    Candidate { name: "AR(1) 0.999", law: Law::Keeps(0.999), ..TWIN },
    Candidate {
        name: "pauses of 200 ms every 30 s",
        law: Law::Pauses { every: 30.0, length: 0.2 },
        ..TWIN
    },
    Candidate {
        name: "pauses of 1 s every 10 s",
        law: Law::Pauses { every: 10.0, length: 1.0 },
        ..TWIN
    },
    Candidate { name: "bursts of failures", law: Law::Bursts, ..TWIN },
    Candidate { name: "1 % unanswered", law: Law::Unanswered(0.01), ..TWIN },
    Candidate { name: "clients leave at p95", law: Law::Impatient, ..TWIN },
];

impl Candidate {
    /// Log-normal, 1 % of it three to ten times slower, and whether it failed, 0.1 % by themselves.
    fn side(
        &self,
        side: &mut Side,
        theirs: bool,
        now: f64,
        rng: &mut SmallRng,
    ) -> (Option<f64>, bool) {
        let fresh: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        side.normal = match self.law {
            Law::Keeps(keep) if side.started => {
                keep * side.normal + (1.0 - keep * keep).sqrt() * fresh
            }
            _ => fresh,
        };
        let slow = if rng.random::<f64>() < 0.01 { rng.random_range(3.0..10.0) } else { 1.0 };
        let times = if theirs { self.slower } else { 1.0 };
        let mut latency = self.median * (self.sigma * side.normal).exp() * slow * times;
        let mut failed = rng.random::<f64>() < 0.001 + if theirs { self.fails } else { 0.0 };
        let dice = rng.random::<f64>();
        let mut answered = true;
        match self.law {
            Law::Pauses { every, length } => {
                if !side.started {
                    side.pause = dice * every;
                }
                while now > side.pause + length {
                    side.pause += every * rng.random_range(0.8..1.2);
                }
                if now >= side.pause {
                    latency += side.pause + length - now;
                }
            }
            Law::Bursts => {
                if side.burst == 0 && dice < 1.0 / 5000.0 {
                    side.burst = rng.random_range(25..75);
                }
                failed |= side.burst > 0;
                side.burst = side.burst.saturating_sub(1);
            }
            Law::Unanswered(share) => answered = dice >= share,
            Law::Rarely(share, times) if theirs && dice < share => latency *= times,
            _ => {}
        }
        side.started = true;
        (answered.then_some(latency), failed || !answered)
    }

    /// One pair on top.
    fn tell(&self, told: &mut Told, route: &Arc<str>, rng: &mut SmallRng) {
        let now = f64::from(told.pairs) / RATE;
        told.pairs += 1;
        let [ours, theirs] = &mut told.sides;
        let mut ours = self.side(ours, false, now, rng);
        let mut theirs = self.side(theirs, true, now, rng);
        // The p95 of the law, 1 % of slow ones included, is about here.
        let leaves = self.median * (1.7 * self.sigma).exp();
        let censored = self.law == Law::Impatient && ours.0.is_none_or(|it| it > leaves);
        if censored {
            ours = (Some(leaves), false);
            theirs = (Some(theirs.0.map_or(leaves, |it| it.min(leaves))), false);
        }
        let fields = if rng.random::<f64>() < self.differs { &["$.a"][..] } else { &[] };
        let differences = differing(fields);
        let [baseline, candidate] = [ours, theirs]
            .map(|(it, failed)| Call { latency: it.map(Duration::from_secs_f64), failed });
        let differences = Some(&differences).filter(|_| !censored);
        let pair = Pair { censored, ..Pair::new(route, "GET /a/7", baseline, candidate) };
        let comparison = Comparison { content: true, differences };
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs_f64(now);
        told.report.record(&pair, &comparison, at);
    }

    /// The first moment of each verdict.
    fn firsts(&self, seed: u64, most: u64) -> [Option<u64>; 2] {
        let mut rng = SmallRng::seed_from_u64(seed);
        let (mut told, route) = (Told::default(), Arc::from("GET /"));
        let mut firsts = [None; 2];
        while told.report.pairs() < most {
            (0..BETWEEN_LATER_LOOKS).for_each(|_| self.tell(&mut told, &route, &mut rng));
            let at = match verdicts(&snapshot(&told.report), &ALLOWED).0 {
                Verdict::Fail => 0,
                Verdict::Pass => 1,
                Verdict::NotEnoughData => continue,
            };
            firsts[at].get_or_insert(told.report.pairs());
        }
        firsts
    }

    /// The first verdict that settles it, and the pairs it took.
    fn settled(&self, seed: u64) -> (u64, Verdict) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let (mut told, route) = (Told::default(), Arc::from("GET /"));
        while told.report.pairs() < LIMIT {
            (0..BETWEEN_LOOKS).for_each(|_| self.tell(&mut told, &route, &mut rng));
            let (verdict, _) = verdicts(&snapshot(&told.report), &ALLOWED);
            if verdict != Verdict::NotEnoughData {
                return (told.report.pairs(), verdict);
            }
        }
        (LIMIT, Verdict::NotEnoughData)
    }
}

/// A report, and what the two services remember.
#[derive(Default)]
struct Told {
    report: Report,
    sides: [Side; 2],
    pairs: u32,
}

fn snapshot(report: &Report) -> Findings {
    let mut snapshot = report.frame();
    snapshot.routes = report.routes().iter().filter_map(|route| report.snapshot(route)).collect();
    snapshot
}

fn differing(fields: &[&str]) -> Differences {
    let found = fields.iter().map(|field| Difference {
        place: (*field).to_owned(),
        field: (*field).to_owned(),
        kind: Kind::Value,
        baseline: Some("1".to_owned()),
        candidate: Some("2".to_owned()),
        traits: Traits::default(),
        note: None,
    });
    Differences { found: found.collect(), more: false, ..Differences::default() }
}

fn main() {
    let word = std::env::args().nth(1).unwrap_or_default();
    let part = |name: &str| word.is_empty() || word == name;
    let row = |name: &str| word.len() > 2 && name.contains(&word);
    println!("| candidate | verdict | pairs | at most |\n|---|---|---|---|");
    for candidate in CANDIDATES.iter().filter(|it| part("settle") || row(it.name)) {
        let mut runs: Vec<_> = (0..RUNS).map(|seed| candidate.settled(seed)).collect();
        runs.sort_unstable_by_key(|(pairs, _)| *pairs);
        let middle = runs[runs.len() / 2];
        let most = runs[runs.len() - 1].0;
        let wrong = runs.iter().filter(|(_, verdict)| *verdict != middle.1).count();
        println!("| {} | `{}` | {} | {most} |", candidate.name, middle.1.name(), middle.0);
        if wrong > 0 {
            println!("{wrong} of {RUNS} runs had another verdict");
        }
    }
    println!(
        "\n| twins | failed at some look | passed at some look | first after |\n|---|---|---|---|"
    );
    for twin in TWINS.iter().filter(|it| part("twins") || row(it.name)) {
        let runs: Vec<_> = (0..RUNS).map(|seed| twin.firsts(seed, LIMIT)).collect();
        let failed = runs.iter().filter(|run| run[0].is_some()).count();
        let mut passed: Vec<_> = runs.iter().filter_map(|run| run[1]).collect();
        passed.sort_unstable();
        let first = passed.get(passed.len() / 2).map_or("-".to_owned(), u64::to_string);
        println!("| {} | {failed} of {RUNS} | {} of {RUNS} | {first} |", twin.name, passed.len());
    }
    println!();
    if part("speed") {
        how_long_things_take();
    }
}

fn how_long_things_take() {
    const PAIRS: u32 = 1_000_000;
    let mut report = Report::default();
    let routes: Vec<Arc<str>> = (0..101).map(|route| format!("GET /{route}").into()).collect();
    for (what, fields) in [("alike", &[][..]), ("that differs", &["$.a[*]"])] {
        let differences = differing(fields);
        let started = Instant::now();
        for index in 0..PAIRS {
            let latency = Duration::from_micros(u64::from(index % 5000));
            let side = Call { latency: Some(latency), failed: false };
            let route = &routes[index as usize % routes.len()];
            let pair = Pair::new(route, "GET /a/7", side, side);
            let comparison = Comparison { content: true, differences: Some(&differences) };
            report.record(&pair, &comparison, SystemTime::UNIX_EPOCH);
        }
        println!("a pair {what}: {:?}", started.elapsed() / PAIRS);
    }
    let names: Vec<_> = (0..200).map(|field| format!("$.field{field}[*].name")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    for (value, route) in (0..5).flat_map(|value| routes.iter().map(move |route| (value, route))) {
        let mut differences = differing(&names);
        for found in &mut differences.found {
            found.baseline = Some(value.to_string());
        }
        let side = Call { latency: Some(Duration::from_millis(1)), failed: false };
        let pair = Pair::new(route, "GET /a/7", side, side);
        let comparison = Comparison { content: true, differences: Some(&differences) };
        report.record(&pair, &comparison, SystemTime::UNIX_EPOCH);
    }
    let started = Instant::now();
    let snapshot = snapshot(&report);
    println!("a snapshot of {} routes: {:?}", routes.len(), started.elapsed());
    let started = Instant::now();
    let (verdict, _) = verdicts(&snapshot, &ALLOWED);
    println!("its verdicts ({}): {:?}", verdict.name(), started.elapsed());
    let started = Instant::now();
    let summary = summarize(&snapshot, &ALLOWED);
    println!("its summary ({} pairs): {:?}", summary.overall.pairs, started.elapsed());
}
