//! How many pairs the report's verdict takes, and how long the report takes, by simulation.
//!
//! `cargo run --release -p proxy --example report_sim` prints a table: the verdict that settles it
//! for candidates of several kinds, and the median and the most pairs until then.

#![expect(clippy::print_stdout, reason = "a program that prints tables")]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use proxy::compare::{Difference, Differences, Kind};
use proxy::exchange::Verdict;
use proxy::report::{Allowed, Pair, Report, Snapshot, summarize, verdicts};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// Simulated starts for a median.
const RUNS: u64 = 51;
/// Pairs between two looks.
const BETWEEN_LOOKS: u64 = 100;
/// What is not settled by then is given up.
const LIMIT: u64 = 100_000;

/// The defaults of the settings.
const ALLOWED: Allowed = Allowed {
    mismatch_rate: 0.01,
    error_delta: 0.005,
    latency_ratio: 1.15,
    latency_floor: Duration::from_millis(2),
};

/// What a candidate does, and on what load.
#[derive(Clone, Copy)]
struct Candidate {
    name: &'static str,
    /// The baseline's median, in seconds, and how wide its latencies are spread.
    median: f64,
    sigma: f64,
    slower: f64,
    fails: f64,
    differs: f64,
}

const TWIN: Candidate =
    Candidate { name: "the same", median: 0.02, sigma: 0.5, slower: 1.0, fails: 0.0, differs: 0.0 };

const CANDIDATES: [Candidate; 11] = [
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
];

impl Candidate {
    /// Log-normal, 1 % of it three to ten times slower.
    fn latency(&self, times: f64, rng: &mut SmallRng) -> Duration {
        let normal: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        let slow = if rng.random::<f64>() < 0.01 { rng.random_range(3.0..10.0) } else { 1.0 };
        Duration::from_secs_f64(self.median * (self.sigma * normal).exp() * slow * times)
    }

    /// One pair on top; 0.1 % of the baseline's answers fail.
    fn tell(&self, report: &mut Report, route: &Arc<str>, rng: &mut SmallRng) {
        let ours = (self.latency(1.0, rng), rng.random::<f64>() < 0.001);
        let theirs = (self.latency(self.slower, rng), rng.random::<f64>() < 0.001 + self.fails);
        let fields = if rng.random::<f64>() < self.differs { &["$.a"][..] } else { &[] };
        let differences = differing(fields);
        let candidate = (Some(theirs.0), theirs.1);
        let pair =
            Pair { baseline: ours, candidate, content: true, differences: Some(&differences) };
        report.record(route, &pair, SystemTime::UNIX_EPOCH);
    }

    /// The first verdict that settles it, and the pairs it took.
    fn settled(&self, seed: u64) -> (u64, Verdict) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let (mut report, route) = (Report::default(), Arc::from("GET /"));
        while report.pairs() < LIMIT {
            (0..BETWEEN_LOOKS).for_each(|_| self.tell(&mut report, &route, &mut rng));
            let (verdict, _) = verdicts(&snapshot(&report), &ALLOWED);
            if verdict != Verdict::NotEnoughData {
                return (report.pairs(), verdict);
            }
        }
        (LIMIT, Verdict::NotEnoughData)
    }
}

fn snapshot(report: &Report) -> Snapshot {
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
    });
    Differences { found: found.collect(), more: false }
}

fn main() {
    println!("| candidate | verdict | pairs | at most |\n|---|---|---|---|");
    for candidate in CANDIDATES {
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
    println!();
    how_long_things_take();
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
            let candidate = (Some(latency), false);
            let pair = Pair {
                baseline: (Some(latency), false),
                candidate,
                censored: false,
                content: true,
                differences: Some(&differences),
            };
            report.record(&routes[index as usize % routes.len()], &pair, SystemTime::UNIX_EPOCH);
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
        let same = Duration::from_millis(1);
        let candidate = (Some(same), false);
        let pair = Pair {
            baseline: (Some(same), false),
            candidate,
            censored: false,
            content: true,
            differences: Some(&differences),
        };
        report.record(route, &pair, SystemTime::UNIX_EPOCH);
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
