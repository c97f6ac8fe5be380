//! What our proxy is to reach, beside what it reached in this run.

use crate::cell::Round;
use crate::report::{Better, Results};
use crate::scenario::{BUDGET_MIB, Scenario};

const OURS: &str = "mirrorlab";

/// What a figure is held against.
enum Against {
    BestPeer,
    Peer(&'static str),
    /// Our own figure in another scenario.
    Ourselves(&'static str),
    Nothing,
}

struct Goal {
    scenario: &'static str,
    what: &'static str,
    of: fn(&Round) -> f64,
    better: Better,
    against: Against,
    /// At most this, or at least, as is better.
    bound: f64,
}

fn cpu(round: &Round) -> f64 {
    round.cpu
}

fn rate(round: &Round) -> f64 {
    round.rate
}

fn p99(round: &Round) -> f64 {
    round.p99
}

fn memory(round: &Round) -> f64 {
    round.memory
}

/// Mirrored and compared.
fn matched(round: &Round) -> f64 {
    let matched = round.outcomes.iter().find(|(name, _)| name == "matched");
    matched.map_or(0.0, |(_, share)| *share)
}

const fn goal(
    scenario: &'static str,
    what: &'static str,
    of: fn(&Round) -> f64,
    better: Better,
    against: Against,
    bound: f64,
) -> Goal {
    Goal { scenario, what, of, better, against, bound }
}

const GOALS: [Goal; 17] = [
    goal("get", "CPU", cpu, Better::Low, Against::Peer("nginx"), 1.1),
    goal("get-mirrored", "CPU", cpu, Better::Low, Against::BestPeer, 0.67),
    goal("get-mirrored", "p99", p99, Better::Low, Against::Peer("nginx"), 1.2),
    goal("get-mirrored", "peak MiB", memory, Better::Low, Against::Nothing, 16.0),
    goal("get-mirrored", "compared", matched, Better::High, Against::Nothing, 0.999),
    goal("post-mirrored", "CPU", cpu, Better::Low, Against::BestPeer, 0.67),
    goal("post-mirrored", "compared", matched, Better::High, Against::Nothing, 0.999),
    goal("slow", "requests/s", rate, Better::High, Against::BestPeer, 1.5),
    goal("slow", "p99", p99, Better::Low, Against::Ourselves("get"), 1.1),
    goal("slow", "peak MiB", memory, Better::Low, Against::Nothing, 50.0),
    goal("slow", "compared", matched, Better::High, Against::Nothing, 0.999),
    goal("refusing", "CPU", cpu, Better::Low, Against::BestPeer, 1.0),
    goal(
        "refusing",
        "tried",
        |round| round.copied.unwrap_or(0.0),
        Better::High,
        Against::Nothing,
        0.999,
    ),
    goal("refusing-known", "requests/s", rate, Better::High, Against::BestPeer, 2.0),
    goal("hung", "requests/s", rate, Better::High, Against::Ourselves("get"), 0.9),
    goal("hung", "p99", p99, Better::Low, Against::Ourselves("get"), 1.1),
    goal("hung", "peak MiB", memory, Better::Low, Against::Nothing, BUDGET_MIB + 20.0),
];

/// The goals of these scenarios, with yes or no, by the best and by the median of the rounds.
pub(crate) fn table(results: &Results, scenarios: &[&'static Scenario]) -> String {
    let mut text = String::from(
        "\n## Goals\n\nBest / median of our rounds against the same of the other side; memory and \
         shares are the worst round.\n\n| scenario | figure | against | goal | reached | met |\n\
         |---|---|---|--:|--:|---|\n",
    );
    for scenario in scenarios {
        for goal in GOALS.iter().filter(|goal| goal.scenario == scenario.name) {
            text.push_str(&row(results, scenario, goal));
        }
    }
    text
}

fn row(results: &Results, scenario: &Scenario, goal: &Goal) -> String {
    let sign = if goal.better == Better::Low { "≤" } else { "≥" };
    let against = match goal.against {
        Against::BestPeer => "best peer",
        Against::Peer(name) => name,
        Against::Ourselves(_) => "ours without mirroring",
        Against::Nothing => "–",
    };
    let text =
        format!("| {} | {} | {against} | {sign} {} |", scenario.title, goal.what, goal.bound);
    let meets = |value: f64| match goal.better {
        Better::Low => value <= goal.bound,
        Better::High => value >= goal.bound,
    };
    let end = match reached(results, goal) {
        None => " – | not measured |\n".to_owned(),
        Some(values) => {
            let told: Vec<_> = values.iter().map(|value| format!("{value:.3}")).collect();
            let met = match values.iter().filter(|value| meets(**value)).count() {
                0 => "no",
                count if count == values.len() => "yes",
                _ => "in part",
            };
            format!(" {} | {met} |\n", told.join(" / "))
        }
    };
    text + &end
}

/// The figure, divided where it is held against another; none where one of them is missing.
fn reached(results: &Results, goal: &Goal) -> Option<Vec<f64>> {
    let figure = |scenario, proxy| results.figure(scenario, proxy, goal.better, goal.of);
    let other = match goal.against {
        Against::Nothing => {
            let rounds = results.valid(goal.scenario, OURS)?;
            let values = rounds.into_iter().map(goal.of);
            let worst = match goal.better {
                Better::Low => values.reduce(f64::max),
                Better::High => values.reduce(f64::min),
            };
            return worst.map(|worst| vec![worst]);
        }
        // Peers that cannot know are measured where every copy is tried.
        Against::BestPeer if goal.scenario == "refusing-known" => {
            results.best_peer("refusing", goal.better, goal.of)?
        }
        Against::BestPeer => results.best_peer(goal.scenario, goal.better, goal.of)?,
        Against::Peer(name) => figure(goal.scenario, name)?,
        Against::Ourselves(scenario) => figure(scenario, OURS)?,
    };
    let ours = figure(goal.scenario, OURS)?;
    Some(vec![ours.best / other.best, ours.median / other.median])
}
