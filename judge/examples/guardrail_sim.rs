//! How soon the guardrail sees a bad candidate, and how seldom it stops a good one, by simulation.
//!
//! `cargo run --release -p judge --example guardrail_sim -- --seed 1` prints three tables: pairs until a bad
//! candidate is stopped; how often a healthy one is, on several laws of independent latencies; and the
//! same on laws with a memory. Three rules are compared: a run of five pairs slower than 1.15 times
//! their own partner, the same against the baseline's p99, and the whole guardrail with its defaults.
//! Pairs begin a hundred times a second unless said, and are observed when both sides are there. After a
//! stop the guardrail resumes as it does live, with the first request after its cooldown.
//! `--only dependent` prints the last table alone; `--rows WORD` those rows alone whose law, errors or
//! fault are named so.

#![expect(clippy::print_stdout, reason = "a program that prints tables")]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant, SystemTime};

use judge::guardrail::gate::gate;
use judge::guardrail::window::Window;
use judge::guardrail::{Config, Guardrail, Moment, Rule, Transition};
use judge::{Call, Pair};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// Pairs of a healthy candidate by default, of each law and error rate.
const PAIRS: u64 = 10_000_000;
/// Simulated changes for a median.
const RUNS: u64 = 201;
/// Healthy pairs before the change.
const WARM: u64 = 4096;
/// Changes that are not seen by then are given up.
const LIMIT: u64 = 10_000;

/// How latencies are distributed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Law {
    /// Median 10 ms, sigma 0.5, 1 % three to ten times slower.
    LogNormal,
    /// Median 20 ms, sigma 1.2.
    Wide,
    /// Three in ten take twelve times as long.
    Bimodal,
    /// Pareto with index 1.1: no finite variance.
    Pareto,
    /// 10 ms.
    Constant,
    /// `LogNormal`, and the median moves between 5 and 20 ms within 20,000 pairs.
    Drifting,
    /// `LogNormal`, and four fifths of the variance are shared by both sides of a pair.
    Correlated,
    /// `LogNormal`, and now and then both sides are five times slower for 300 pairs, in one half of
    /// the spells for every request, in the other for half of them.
    Stalls,
    /// A fast and a slow route whose shares change every 5000 pairs.
    Mix,
    /// Median 10 ms, sigma 0.5; the logarithm is autoregressive on each side apart: this share of it is
    /// kept from pair to pair.
    Autoregressive(f64),
    /// `LogNormal`, and each side stands still for so many seconds each so many, at different moments.
    Pauses(f64, f64),
    /// `LogNormal`, and one request in a hundred fifty times slower on the candidate.
    Rare,
}

const LAWS: [Law; 9] = [
    Law::LogNormal,
    Law::Wide,
    Law::Bimodal,
    Law::Pareto,
    Law::Constant,
    Law::Drifting,
    Law::Correlated,
    Law::Stalls,
    Law::Mix,
];

/// How both sides fail.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Errors {
    None,
    /// 1 % on both sides.
    Equal,
    /// Every 20,000 pairs 500 with 30 % on both sides.
    Bursts,
    /// The same on each side apart: the candidate's 10,000 pairs later.
    BurstsApart,
    /// 1 % of the calls of each side get no answer.
    Unanswered,
    /// Clients leave at the baseline's p95.
    Impatient,
}

impl Errors {
    /// Of the baseline and of the candidate.
    fn rates(self, pair: u64) -> [f64; 2] {
        let burst = |pair: u64| if pair % 20_000 > 19_500 { 0.3 } else { 0.0 };
        match self {
            Self::None | Self::Impatient => [0.0; 2],
            Self::Equal | Self::Unanswered => [0.01; 2],
            Self::Bursts => [burst(pair); 2],
            Self::BurstsApart => [burst(pair), burst(pair + 10_000)],
        }
    }
}

struct Dice {
    rng: SmallRng,
    spare: Option<f64>,
    pair: u64,
    /// Logarithms of both sides, where they remember.
    kept: Option<[f64; 2]>,
    /// Pairs a second.
    rate: f64,
}

impl Dice {
    fn new(seed: u64) -> Self {
        Self { rng: SmallRng::seed_from_u64(seed), spare: None, pair: 0, kept: None, rate: 100.0 }
    }

    /// Above 0 and at most 1.
    fn even(&mut self) -> f64 {
        1.0 - self.rng.random::<f64>()
    }

    /// Box and Muller.
    fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * self.even().ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.even()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }

    fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal()).exp()
    }

    fn tailed(&mut self, median: f64, sigma: f64) -> f64 {
        let tail = if self.even() <= 0.01 { 3.0 + 7.0 * self.even() } else { 1.0 };
        self.log_normal(median, sigma) * tail
    }

    /// Both latencies in milliseconds, of whose logarithms this share is kept from pair to pair.
    fn autoregressive(&mut self, keep: f64) -> [f64; 2] {
        let fresh = [self.normal(), self.normal()];
        let last = self.kept.unwrap_or(fresh);
        let step = (1.0 - keep * keep).sqrt();
        let now = [0, 1].map(|side| keep * last[side] + step * fresh[side]);
        self.kept = Some(now);
        now.map(|value| 10.0 * (0.5 * value).exp())
    }

    /// Route and both latencies in milliseconds.
    fn pair(&mut self, law: Law) -> (&'static str, f64, f64) {
        self.pair += 1;
        let pair = self.pair;
        if let Law::Autoregressive(keep) = law {
            let [baseline, candidate] = self.autoregressive(keep);
            return ("GET /a", baseline, candidate);
        }
        let mut one = || match law {
            Law::LogNormal => self.tailed(10.0, 0.5),
            Law::Wide => self.log_normal(20.0, 1.2),
            Law::Bimodal => {
                let median = if self.even() <= 0.3 { 60.0 } else { 5.0 };
                self.log_normal(median, 0.15)
            }
            Law::Pareto => 10.0 * self.even().powf(-1.0 / 1.1),
            Law::Constant => 10.0,
            Law::Drifting => {
                let turn = std::f64::consts::TAU * (pair as f64 / 20_000.0);
                self.tailed(10.0 * (turn.sin() * 2.0_f64.ln()).exp(), 0.5)
            }
            Law::Correlated => self.tailed(1.0, 0.5 * 0.2_f64.sqrt()),
            Law::Stalls => {
                let stalled = match pair % 20_000 {
                    0..300 => true,
                    10_000..10_300 => self.even() <= 0.5,
                    _ => false,
                };
                self.tailed(if stalled { 50.0 } else { 10.0 }, 0.5)
            }
            Law::Mix => self.tailed(1.0, 0.5),
            Law::Pauses(..) | Law::Rare | Law::Autoregressive(_) => self.tailed(10.0, 0.5),
        };
        let (baseline, candidate) = (one(), one());
        match law {
            Law::Correlated => {
                let shared = self.log_normal(10.0, 0.5 * 0.8_f64.sqrt());
                ("GET /a", baseline * shared, candidate * shared)
            }
            Law::Mix => {
                let slow = if (pair / 5000).is_multiple_of(2) { 0.1 } else { 0.9 };
                let (route, median) =
                    if self.even() <= slow { ("GET /b", 80.0) } else { ("GET /a", 8.0) };
                (route, baseline * median, candidate * median)
            }
            Law::Pauses(length, every) => {
                let start = pair as f64 / self.rate;
                let left = |shift: f64| {
                    let since = (start + shift) % every;
                    if since < length { (length - since) * 1e3 } else { 0.0 }
                };
                ("GET /a", baseline + left(0.0), candidate + left(every / 2.0))
            }
            Law::Rare => {
                let times = if self.even() <= 0.01 { 50.0 } else { 1.0 };
                ("GET /a", baseline, candidate * times)
            }
            _ => ("GET /a", baseline, candidate),
        }
    }

    fn happens(&mut self, rate: f64) -> bool {
        rate > 0.0 && self.even() <= rate
    }
}

/// What is wrong with a candidate.
#[derive(Clone, Copy, Debug)]
struct Fault {
    times: f64,
    plus: f64,
    errors: f64,
    /// One request in a hundred is fifty times slower.
    rare: bool,
}

const HEALTHY: Fault = Fault { times: 1.0, plus: 0.0, errors: 0.0, rare: false };

/// A pair on its way; the first to end is the greatest.
type Ending = Reverse<(u64, u64)>;

/// The three rules side by side.
struct Rules {
    single: u32,
    p99: u32,
    routes: [(&'static str, Window); 2],
    guardrail: Guardrail,
    /// When each pair on its way ends, in nanoseconds, and what it is.
    ending: BinaryHeap<Ending>,
    pairs: HashMap<u64, Pair<'static>>,
}

/// Which of them stopped mirroring at a pair.
#[derive(Default)]
struct Stopped {
    single: u64,
    p99: u64,
    guardrail: u64,
    by_evidence: u64,
}

impl Rules {
    fn new(config: Config) -> Self {
        Self {
            single: 0,
            p99: 0,
            routes: ["GET /a", "GET /b"].map(|route| (route, Window::new())),
            guardrail: Guardrail::new(config, gate().0),
            ending: BinaryHeap::new(),
            pairs: HashMap::new(),
        }
    }

    /// Begins a pair, and observes all that ended before.
    fn pair(&mut self, dice: &mut Dice, law: Law, errors: Errors, fault: Fault) -> Stopped {
        let (route, baseline, candidate) = dice.pair(law);
        let (mut baseline, mut candidate) = (baseline, candidate * fault.times + fault.plus);
        let [ours, theirs] = errors.rates(dice.pair);
        let (ours, theirs) = (dice.happens(ours), dice.happens(theirs.max(fault.errors)));
        // The 95th percentile of `LogNormal`, about.
        let censored = errors == Errors::Impatient && baseline > 25.0;
        if censored {
            (baseline, candidate) = (25.0, candidate.min(25.0));
        }
        let answered = errors != Errors::Unanswered || !theirs;
        let start = (dice.pair as f64 * 1e9 / dice.rate) as u64;
        let now = moment(start);
        self.guardrail.resume_if_due(now);
        self.guardrail.resume_route_if_due(route, now);
        let epoch = self.guardrail.epoch(route);
        let baseline_side = Call { latency: Some(millis(baseline)), failed: ours };
        let candidate_side = Call { latency: answered.then(|| millis(candidate)), failed: theirs };
        let pair = Pair::new(route, "GET /", baseline_side, candidate_side);
        let pair = Pair { epoch, censored, ..pair };
        let end = start + millis(baseline.max(candidate)).as_nanos() as u64;
        self.ending.push(Reverse((end, dice.pair)));
        self.pairs.insert(dice.pair, pair);
        let mut stopped = Stopped::default();
        while let Some(Reverse((end, number))) = self.ending.peek().copied()
            && end <= start
        {
            self.ending.pop();
            if let Some(pair) = self.pairs.remove(&number) {
                self.observe(&pair, moment(end), &mut stopped);
            }
        }
        stopped
    }

    fn observe(&mut self, pair: &Pair<'_>, now: Moment, stopped: &mut Stopped) {
        let at = usize::from(pair.route != self.routes[0].0);
        let window = &mut self.routes[at].1;
        let baseline = pair.baseline.latency.expect("the baseline always answers here");
        window.record(baseline);
        let baseline_p99 = window.p99();
        let failed = pair.candidate.failed && !pair.baseline.failed;
        let slower = |than: Duration| {
            pair.candidate
                .latency
                .is_some_and(|candidate| candidate > than.mul_f64(1.15) && candidate > than + FLOOR)
        };
        let (single, p99) = (slower(baseline), baseline.max(baseline_p99));
        stopped.single += u64::from(run(&mut self.single, failed || single));
        stopped.p99 += u64::from(run(&mut self.p99, failed || slower(p99)));
        if let Some(Transition::Tripped { trip, .. } | Transition::RouteTripped { trip }) =
            self.guardrail.observe(pair, baseline_p99, now)
        {
            stopped.guardrail += 1;
            stopped.by_evidence += u64::from(matches!(trip.rule, Rule::Evidence { .. }));
        }
    }
}

/// So many nanoseconds after the first pair began.
fn moment(nanos: u64) -> Moment {
    let at = Duration::from_nanos(nanos);
    Moment { at, wall: SystemTime::UNIX_EPOCH + at }
}

/// Whether this pair ends a run of five.
fn run(streak: &mut u32, breach: bool) -> bool {
    *streak = if breach { *streak + 1 } else { 0 };
    let tripped = *streak == 5;
    if tripped {
        *streak = 0;
    }
    tripped
}

fn millis(millis: f64) -> Duration {
    Duration::from_nanos((millis * 1e6) as u64)
}

fn config(floor: Duration) -> Config {
    Config {
        latency_ratio: 1.15,
        error_delta: 0.005,
        consecutive: 5,
        latency_floor: floor,
        cooldown: Duration::from_secs(10),
        mismatch_rate: None,
        ramp: None,
        observe_only: false,
        warmup: Duration::ZERO,
    }
}

const FLOOR: Duration = Duration::from_millis(2);

/// Stops of a healthy candidate by each rule, in so many pairs.
fn twins(law: Law, errors: Errors, pairs: u64, seed: u64) -> [u64; 4] {
    let (mut dice, mut rules) = (Dice::new(seed), Rules::new(config(FLOOR)));
    let mut stops = [0; 4];
    for _ in 0..pairs {
        let stopped = rules.pair(&mut dice, law, errors, HEALTHY);
        let found = [stopped.single, stopped.p99, stopped.guardrail, stopped.by_evidence];
        stops.iter_mut().zip(found).for_each(|(all, found)| *all += found);
    }
    stops
}

/// The median number of pairs until each rule stops a bad candidate.
fn delays(
    law: Law,
    fault: Fault,
    warm: u64,
    (floor, rate): (Duration, f64),
    seed: u64,
) -> [Option<u64>; 3] {
    // The run against p99 may take for ever by itself.
    let all = warm > 0 && floor > Duration::ZERO;
    let mut found = [const { Vec::new() }; 3];
    for run in 0..RUNS {
        let mut dice = Dice { rate, ..Dice::new(seed.wrapping_mul(1_000_003).wrapping_add(run)) };
        let mut rules = Rules::new(config(floor));
        for _ in 0..warm {
            rules.pair(&mut dice, law, Errors::None, HEALTHY);
        }
        let law = if fault.rare { Law::Rare } else { law };
        (rules.single, rules.p99) = (0, 0);
        let mut first = [None; 3];
        for pair in 1..=LIMIT {
            let stopped = rules.pair(&mut dice, law, Errors::None, fault);
            let stopped = [stopped.single, stopped.p99, stopped.guardrail];
            for (first, stopped) in first.iter_mut().zip(stopped) {
                if stopped > 0 {
                    first.get_or_insert(pair);
                }
            }
            if first[2].is_some() && (first[1].is_some() || !all) {
                break;
            }
        }
        for (found, first) in found.iter_mut().zip(first) {
            found.push(first.unwrap_or(u64::MAX));
        }
    }
    found.map(|mut found| {
        found.sort_unstable();
        Some(found[found.len() / 2]).filter(|median| *median < u64::MAX)
    })
}

/// Nanoseconds of a pair in the guardrail: the median of many batches, and the least. The batches are
/// short, so that most of them are not interrupted by whatever else the machine does.
fn cost(seed: u64) -> (f64, f64) {
    let (mut dice, (setter, _)) = (Dice::new(seed), gate());
    let mut guardrail = Guardrail::new(config(FLOOR), setter);
    let mut now = moment(0);
    let mut batches: Vec<f64> = (0..4000)
        .map(|_| {
            let pairs: Vec<_> = (0..500).map(|_| dice.pair(Law::LogNormal)).collect();
            let start = Instant::now();
            for (route, baseline, candidate) in &pairs {
                now.at += Duration::from_millis(10);
                let side = |it| Call { latency: Some(millis(it)), failed: false };
                let pair = Pair::new(route, "GET /", side(*baseline), side(*candidate));
                let told = guardrail.observe(&pair, Duration::from_millis(45), now);
                assert_eq!(told, None, "twins");
            }
            start.elapsed().as_secs_f64() * 1e9 / pairs.len() as f64
        })
        .collect();
    batches.sort_by(f64::total_cmp);
    (batches[batches.len() / 2], batches[0])
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        let value = at.and_then(|at| arguments.get(at + 1));
        value.map_or(default, |value| {
            value.parse().unwrap_or_else(|_| panic!("{name} {value}: is no whole number"))
        })
    };
    let (seed, pairs) = (number("--seed", 1), number("--pairs", PAIRS));
    let at = arguments.iter().position(|argument| argument == "--rows");
    let rows = at.and_then(|at| arguments.get(at + 1)).map_or("", String::as_str);
    println!("seed {seed}; run of 5 on single pairs, run of 5 against p99, the guardrail\n");
    if !arguments.iter().any(|argument| argument == "dependent") {
        print_delays(seed, rows);
        print_wall(seed, rows);
        print_twins(seed, pairs, &INDEPENDENT, rows);
    }
    print_twins(seed, pairs, &DEPENDENT, rows);
    if !rows.is_empty() {
        return;
    }
    let (median, least) = cost(seed);
    println!("\ncost of a pair in the guardrail: median {median:.0} ns, least {least:.0} ns");
}

fn print_delays(seed: u64, rows: &str) {
    let slower = |times| Fault { times, ..HEALTHY };
    let errors = |errors| Fault { errors, ..HEALTHY };
    let faults = [
        ("+200 ms", Law::LogNormal, Fault { plus: 200.0, ..HEALTHY }),
        ("5 times slower", Law::LogNormal, slower(5.0)),
        ("2 times slower", Law::LogNormal, slower(2.0)),
        ("1.5 times slower", Law::LogNormal, slower(1.5)),
        ("1.3 times slower", Law::LogNormal, slower(1.3)),
        ("1.3 times slower, correlated", Law::Correlated, slower(1.3)),
        ("errors 22 %", Law::LogNormal, errors(0.22)),
        ("errors 5 %", Law::LogNormal, errors(0.05)),
        ("errors 2 %", Law::LogNormal, errors(0.02)),
        ("1 % fifty times slower", Law::LogNormal, Fault { rare: true, ..HEALTHY }),
    ];
    println!(
        "| median pairs until a bad candidate is stopped | single pairs | against p99 | \
              guardrail | from the first pair | floor 0 |"
    );
    println!("|---|---|---|---|---|---|");
    let show = |median: Option<u64>| median.map_or("–".to_owned(), |median| median.to_string());
    for (name, law, fault) in faults.into_iter().filter(|(name, ..)| name.contains(rows)) {
        let [single, p99, guardrail] = delays(law, fault, WARM, (FLOOR, 100.0), seed).map(show);
        let cold = show(delays(law, fault, 0, (FLOOR, 100.0), seed)[2]);
        let no_floor = show(delays(law, fault, WARM, (Duration::ZERO, 100.0), seed)[2]);
        println!("| {name} | {single} | {p99} | {guardrail} | {cold} | {no_floor} |");
    }
}

/// Seconds until disasters are stopped.
fn print_wall(seed: u64, rows: &str) {
    println!("\n| median seconds at so many pairs a second | 10 | 100 | 1000 |\n|---|---|---|---|");
    let faults = [
        ("+200 ms", Fault { plus: 200.0, ..HEALTHY }),
        ("5 times slower", Fault { times: 5.0, ..HEALTHY }),
    ];
    for (name, fault) in faults.into_iter().filter(|(name, _)| name.contains(rows)) {
        let seconds = [10.0, 100.0, 1000.0].map(|rate| {
            let pairs = delays(Law::LogNormal, fault, WARM, (FLOOR, rate), seed)[2];
            pairs.map_or("–".to_owned(), |pairs| format!("{:.1}", pairs as f64 / rate))
        });
        println!("| {name} | {} |", seconds.join(" | "));
    }
}

type Row = (Law, Errors);

const INDEPENDENT: [Row; 27] = {
    let mut rows = [(Law::LogNormal, Errors::None); 27];
    let errors = [Errors::None, Errors::Equal, Errors::Bursts];
    let mut row = 0;
    while row < 27 {
        rows[row] = (LAWS[row / 3], errors[row % 3]);
        row += 1;
    }
    rows
};

const DEPENDENT: [Row; 8] = [
    (Law::Autoregressive(0.9), Errors::None),
    (Law::Autoregressive(0.99), Errors::None),
    (Law::Autoregressive(0.999), Errors::None),
    (Law::Pauses(0.2, 30.0), Errors::None),
    (Law::Pauses(1.0, 10.0), Errors::None),
    (Law::LogNormal, Errors::BurstsApart),
    (Law::LogNormal, Errors::Unanswered),
    (Law::LogNormal, Errors::Impatient),
];

fn print_twins(seed: u64, pairs: u64, all: &[Row], rows: &str) {
    println!(
        "\n| stops of a healthy candidate in {pairs} pairs | errors | single pairs | \
              against p99 | guardrail | of these by evidence |"
    );
    println!("|---|---|---|---|---|---|");
    let named = |(law, errors): &Row| format!("{law:?} {errors:?}").contains(rows);
    for (law, errors) in all.iter().copied().filter(named) {
        let [single, p99, guardrail, evidence] = twins(law, errors, pairs, seed);
        println!("| {law:?} | {errors:?} | {single} | {p99} | {guardrail} | {evidence} |");
    }
}
