//! From rounds to the table: best and median of each cell, and what it is beside the best peer.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::cell::{Plan, Round};
use crate::machine;
use crate::proxies::Proxy;
use crate::scenario::Scenario;

/// Names a cell of the table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) scenario: &'static str,
    pub(crate) proxy: String,
}

/// All that was measured.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) proxies: Vec<Proxy>,
    /// How long it took.
    pub(crate) minutes: f64,
    missing: Vec<String>,
    revision: String,
    plan: Plan,
    turns: usize,
    rounds: BTreeMap<Key, Vec<Turn>>,
}

/// The number of a round, and what it gave or why it is invalid.
type Turn = (usize, Result<Round, String>);

/// A figure over the rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) best: f64,
    pub(crate) median: f64,
}

/// Which end is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    Low,
    High,
}

/// A peer that copies less than this is not compared with: what drops copies looks fast.
const COPIES_ALL: f64 = 0.99;

impl Results {
    pub(crate) fn new(
        plan: &Plan,
        turns: usize,
        proxies: Vec<Proxy>,
        missing: Vec<String>,
        revision: String,
    ) -> Self {
        let (plan, rounds) = (plan.clone(), BTreeMap::new());
        Self { proxies, minutes: 0.0, missing, revision, plan, turns, rounds }
    }

    pub(crate) fn add(&mut self, key: Key, round: usize, measured: Result<Round, String>) {
        self.rounds.entry(key).or_default().push((round, measured));
    }

    /// Whether every cell could be measured in every round.
    pub(crate) fn complete(&self) -> bool {
        self.rounds.values().flatten().all(|(_, measured)| measured.is_ok())
    }

    /// The rounds of a cell, when all of them are valid.
    pub(crate) fn valid(&self, scenario: &'static str, proxy: &str) -> Option<Vec<&Round>> {
        let rounds = self.rounds.get(&Key { scenario, proxy: proxy.to_owned() })?;
        rounds.iter().map(|(_, measured)| measured.as_ref().ok()).collect()
    }

    /// One figure of a cell.
    pub(crate) fn figure(
        &self,
        scenario: &'static str,
        proxy: &str,
        better: Better,
        of: fn(&Round) -> f64,
    ) -> Option<Figure> {
        let mut values: Vec<f64> = self.valid(scenario, proxy)?.into_iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        if better == Better::High {
            values.reverse();
        }
        let (low, high) = (values.get((values.len() - 1) / 2)?, values.get(values.len() / 2)?);
        Some(Figure { best: values[0], median: f64::midpoint(*low, *high) })
    }

    /// The best and the best median of all peers that copied all they should, and whose they are.
    pub(crate) fn best_peer(
        &self,
        scenario: &'static str,
        better: Better,
        of: fn(&Round) -> f64,
    ) -> Option<Figure> {
        let copies = |round: &&Round| round.copied.is_none_or(|share| share >= COPIES_ALL);
        let figures = self.proxies.iter().filter(|proxy| proxy.is_peer()).filter_map(|proxy| {
            let rounds = self.valid(scenario, &proxy.name)?;
            let all = rounds.iter().all(copies);
            all.then(|| self.figure(scenario, &proxy.name, better, of)).flatten()
        });
        let pick = |one: f64, other: f64| match better {
            Better::Low => one.min(other),
            Better::High => one.max(other),
        };
        figures.reduce(|one, other| Figure {
            best: pick(one.best, other.best),
            median: pick(one.median, other.median),
        })
    }

    /// All of it as Markdown, but for the goals.
    pub(crate) fn markdown(&self, scenarios: &[&'static Scenario]) -> String {
        let mut text = String::from("# Results\n\nWritten by `just bench`; see README.md.\n\n");
        self.circumstances(&mut text);
        text.push_str(HEADER);
        for scenario in scenarios {
            for proxy in self.proxies.iter().filter(|proxy| proxy.takes(scenario)) {
                self.row(&mut text, scenario, proxy);
            }
        }
        text.push_str(LEGEND);
        text
    }

    fn circumstances(&self, text: &mut String) {
        let now = humantime::format_rfc3339_seconds(SystemTime::now());
        let mut say = |name: &str, value: &str| text.push_str(&format!("- {name}: {value}\n"));
        say("date", &now.to_string());
        say("machine", &machine::description());
        say("commit", &self.revision);
        for proxy in &self.proxies {
            say(&proxy.name, &proxy.version);
        }
        for missing in &self.missing {
            say("left out, since it is not here", missing);
        }
        let plan = &self.plan;
        say(
            "run",
            &format!(
                "{} rounds, {:.1} minutes; each cell {} s flat out with {} clients, then {} s at \
                 {} requests a second",
                self.turns,
                self.minutes,
                plan.flat_out.as_secs_f64(),
                plan.clients,
                plan.at_rate.as_secs_f64(),
                plan.rate
            ),
        );
        for (name, value) in &plan.settings {
            say("setting", &format!("`{name}={value}`"));
        }
        let speeds: Vec<_> = self
            .rounds
            .values()
            .flatten()
            .filter_map(|(_, measured)| measured.as_ref().ok())
            .map(|round| round.speed)
            .collect();
        let range = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            let at = |share: f64| values[((values.len() - 1) as f64 * share) as usize];
            (at(0.0), at(0.5), at(1.0))
        };
        if !speeds.is_empty() {
            let (low, middle, high) = range(speeds.iter().map(|speed| speed.work).collect());
            let (least, ..) = range(speeds.iter().map(|speed| speed.share).collect());
            say(
                "calibration loop beside each cell",
                &format!(
                    "{low:.1} to {high:.1} ms, median {middle:.1} ms; it had its core for {:.0} % \
                     of the time at the least",
                    least * 100.0
                ),
            );
        }
        text.push('\n');
    }

    fn row(&self, text: &mut String, scenario: &Scenario, proxy: &Proxy) {
        let (title, name) = (scenario.title, &proxy.name);
        let Some(rounds) = self.valid(scenario.name, name) else {
            let why = self.first_fault(scenario.name, name);
            text.push_str(&format!("| {title} | {name} | invalid: {why} ||||||||||\n"));
            return;
        };
        let cell = |better, of: fn(&Round) -> f64, digits: usize| {
            let ours = self.figure(scenario.name, name, better, of);
            let peer = self.best_peer(scenario.name, better, of);
            let pair = |one: Option<Figure>| {
                one.map_or_else(String::new, |figure| {
                    format!("{:.digits$} / {:.digits$}", figure.best, figure.median)
                })
            };
            let ratio = ours.zip(peer).map_or_else(String::new, |(ours, peer)| {
                format!("{:.2} / {:.2}", ours.best / peer.best, ours.median / peer.median)
            });
            (pair(ours), ratio)
        };
        let (cpu, cpu_ratio) = cell(Better::Low, |round| round.cpu, 1);
        let (rate, rate_ratio) = cell(Better::High, |round| round.rate, 0);
        let (p50, _) = cell(Better::Low, |round| round.p50, 2);
        let (p99, _) = cell(Better::Low, |round| round.p99, 2);
        let memory = rounds.iter().map(|round| round.memory).fold(0.0, f64::max);
        let least = |shares: Vec<Option<f64>>| {
            let least = shares.into_iter().flatten().reduce(f64::min);
            least.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0))
        };
        let copied = least(rounds.iter().map(|round| round.copied).collect());
        let last = rounds.last().map_or_else(String::new, |round| outcomes(&round.outcomes));
        text.push_str(&format!(
            "| {title} | {name} | {cpu} | {cpu_ratio} | {rate} | {rate_ratio} | {p50} | {p99} | \
             {memory:.1} | {copied} | {last} |\n"
        ));
    }

    fn first_fault(&self, scenario: &'static str, proxy: &str) -> String {
        let rounds = self.rounds.get(&Key { scenario, proxy: proxy.to_owned() });
        let faults =
            rounds.into_iter().flatten().filter_map(|(_, measured)| measured.as_ref().err());
        faults.map(|why| why.replace('|', "/")).next().unwrap_or_else(|| "not measured".to_owned())
    }

    /// Every round of every cell, for those who want to look closer.
    pub(crate) fn rounds_table(&self) -> String {
        let mut text = String::from(
            "scenario\tproxy\tround\tcpu_ms_per_1000\treq_per_s\tp50_ms\tp99_ms\tpeak_mib\tcopied\t\
             load_core\tcalibration_ms\tcalibration_share\toutcomes\n",
        );
        for (Key { scenario, proxy }, rounds) in &self.rounds {
            for (number, measured) in rounds {
                let rest = match measured {
                    Err(why) => format!("invalid: {why}"),
                    Ok(round) => format!(
                        "{:.2}\t{:.0}\t{:.3}\t{:.3}\t{:.1}\t{}\t{:.3}\t{:.2}\t{:.3}\t{}",
                        round.cpu,
                        round.rate,
                        round.p50,
                        round.p99,
                        round.memory,
                        round.copied.map_or_else(String::new, |share| format!("{share:.4}")),
                        round.load,
                        round.speed.work,
                        round.speed.share,
                        outcomes(&round.outcomes),
                    ),
                };
                text.push_str(&format!("{scenario}\t{proxy}\t{number}\t{rest}\n"));
            }
        }
        text
    }
}

/// Shares by name, the largest first.
pub(crate) fn outcomes(shares: &[(String, f64)]) -> String {
    let told: Vec<_> =
        shares.iter().map(|(name, share)| format!("{name} {:.2} %", share * 100.0)).collect();
    told.join(", ")
}

const HEADER: &str = "\
| scenario | proxy | CPU ms per 1000 | to best peer | requests/s | to best peer | p50 ms | p99 ms | \
peak MiB | copied | outcomes |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|---|
";

const LEGEND: &str = "
Pairs are best / median of the rounds. CPU is the proxy's own, from the kernel, copies drained; lower
is better. The best peer is the best of those that copied 99 % or more, for each figure apart. p50 and
p99 are at the fixed rate, from when each request was due. Copied: the share of the requests that the
candidate got whole, the least of all rounds; where it refuses, the connection attempts. Outcomes: of
the same requests, as our proxy counts them, in the last round.
";

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::machine::Speed;
    use crate::proxies::{Addresses, Make};

    fn round(cpu: f64, copied: f64) -> Round {
        Round {
            cpu,
            rate: 1.0,
            p50: 1.0,
            p99: 1.0,
            memory: 1.0,
            copied: Some(copied),
            outcomes: Vec::new(),
            load: 0.5,
            speed: Speed { work: 1.0, share: 1.0 },
        }
    }

    fn results(rounds: &[(&str, Make, Result<Round, String>)]) -> Results {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let plan = Plan {
            addresses: Addresses { proxy: at, admin: at, baseline: at, candidate: at },
            proxy_core: 0,
            load_core: 1,
            clients: 1,
            rate: 1,
            flat_out: Duration::from_secs(1),
            at_rate: Duration::from_secs(1),
            settings: Vec::new(),
        };
        let mut results = Results::new(&plan, 1, Vec::new(), Vec::new(), String::new());
        for (name, make, round) in rounds {
            let (name, binary) = ((*name).to_owned(), PathBuf::new());
            if !results.proxies.iter().any(|proxy| proxy.name == name) {
                let version = String::new();
                results.proxies.push(Proxy { name: name.clone(), make: *make, binary, version });
            }
            results.add(Key { scenario: "slow", proxy: name }, 1, round.clone());
        }
        results
    }

    #[test]
    fn the_best_peer_is_one_that_copies_and_is_not_ours() {
        let results = results(&[
            ("mirrorlab", Make::Ours, Ok(round(1.0, 1.0))),
            ("backend", Make::Backend, Ok(round(1.0, 1.0))),
            ("dropper", Make::Nginx, Ok(round(2.0, 0.5))),
            ("invalid", Make::Envoy, Err("broken".to_owned())),
            ("slower", Make::Nginx, Ok(round(9.0, 1.0))),
            ("honest", Make::Pingora, Ok(round(5.0, 0.995))),
        ]);
        let best = results.best_peer("slow", Better::Low, |round| round.cpu).unwrap();
        assert_eq!((best.best, best.median), (5.0, 5.0));
        assert!(!results.complete());
    }

    #[test]
    fn one_invalid_round_makes_the_cell_invalid() {
        let results = results(&[
            ("nginx", Make::Nginx, Ok(round(1.0, 1.0))),
            ("nginx", Make::Nginx, Err("broken".to_owned())),
        ]);
        assert!(results.figure("slow", "nginx", Better::Low, |round| round.cpu).is_none());
        assert!(results.best_peer("slow", Better::Low, |round| round.cpu).is_none());
    }

    #[test]
    fn best_and_median_of_the_rounds() {
        let rounds = [3.0, 1.0, 2.0, 10.0];
        let results = results(&rounds.map(|cpu| ("nginx", Make::Nginx, Ok(round(cpu, 1.0)))));
        let low = results.figure("slow", "nginx", Better::Low, |round| round.cpu).unwrap();
        let high = results.figure("slow", "nginx", Better::High, |round| round.cpu).unwrap();
        assert_eq!((low.best, low.median, high.best, high.median), (1.0, 2.5, 10.0, 2.5));
    }
}
