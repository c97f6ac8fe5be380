//! One cell of the table in one round: a fresh proxy, loaded flat out and then at a fixed rate.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::backend::{Backend, Manner};
use crate::faults::Faults;
use crate::load::{Client, at_rate, flat_out};
use crate::machine::{self, Speed};
use crate::messages::Role;
use crate::proxies::{Addresses, Make, Proxy};
use crate::scenario::{Candidate, Scenario};

/// How to measure.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) addresses: Addresses,
    pub(crate) proxy_core: usize,
    pub(crate) load_core: usize,
    pub(crate) clients: usize,
    pub(crate) rate: u32,
    pub(crate) flat_out: Duration,
    pub(crate) at_rate: Duration,
    /// More settings for our proxy.
    pub(crate) settings: Vec<(String, String)>,
}

/// What was measured.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    /// Milliseconds of the proxy's processor time for 1000 requests, copies included.
    pub(crate) cpu: f64,
    /// Requests per second, flat out.
    pub(crate) rate: f64,
    /// At the fixed rate, in milliseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// In MiB.
    pub(crate) memory: f64,
    /// Of the requests flat out: which share the candidate got, or was tried for.
    pub(crate) copied: Option<f64>,
    /// Of the requests flat out: what our proxy says became of them.
    pub(crate) outcomes: Vec<(String, f64)>,
    /// How busy the load's core was with its own work.
    pub(crate) load: f64,
    pub(crate) speed: Speed,
}

/// Ends the process whatever happens.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, which is noticed before.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Measures; what could not be measured rightly is an error.
pub(crate) async fn measure(
    proxy: &Proxy,
    scenario: &Scenario,
    plan: &Plan,
    work: &Path,
) -> Result<Round, String> {
    let mut cell = Cell::start(proxy, scenario, plan, work)
        .await
        .map_err(|error| format!("{} does not start: {error}", proxy.name))?;
    let round = cell.run().await.map_err(|error| error.to_string());
    let ended = cell.ended();
    let told = [
        cell.faults.told().map(|told| format!("clients: {told}")),
        cell.baseline.seen.faults.told(),
        cell.candidate.as_ref().and_then(|candidate| candidate.seen.faults.told()),
        ended,
        round.as_ref().err().cloned(),
    ];
    cell.stop().await;
    match told.into_iter().flatten().next() {
        Some(fault) => Err(fault),
        None => round,
    }
}

struct Cell<'p> {
    scenario: &'p Scenario,
    plan: &'p Plan,
    make: Make,
    process: Running,
    baseline: Backend,
    candidate: Option<Backend>,
    faults: Arc<Faults>,
    speed: Speed,
}

/// The counters that are read before and after the load.
struct Counters {
    cpu: Duration,
    own: Duration,
    baseline: u64,
    copies: u64,
}

impl<'p> Cell<'p> {
    async fn start(
        proxy: &Proxy,
        scenario: &'p Scenario,
        plan: &'p Plan,
        work: &Path,
    ) -> io::Result<Self> {
        machine::pin(plan.proxy_core)?;
        let speed = machine::calibrate();
        machine::pin(plan.load_core)?;
        let at = &plan.addresses;
        let baseline = Backend::start(at.baseline, Role::Baseline, Manner::Answer).await?;
        let candidate = match scenario.candidate {
            Candidate::Takes(manner) => {
                Some(Backend::start(at.candidate, Role::Candidate, manner).await?)
            }
            Candidate::Unused | Candidate::Refuses => None,
        };
        let command = proxy.command(scenario, at, &plan.settings, work)?;
        let log = File::create(work.join(format!("{}.log", proxy.name.replace(' ', "-"))))?;
        let process = Running(
            pinned(&command, plan.proxy_core)
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .spawn()?,
        );
        let faults = Arc::default();
        let make = proxy.make;
        Ok(Self { scenario, plan, make, process, baseline, candidate, faults, speed: speed? })
    }

    async fn run(&mut self) -> io::Result<Round> {
        let clients = self.connect().await?;
        let (clients, _) = flat_out(clients, Duration::from_millis(300), &self.faults).await;
        self.drained().await?;
        let said_before = self.outcomes().await?;
        let before = self.counters()?;
        let (clients, outcome) = flat_out(clients, self.plan.flat_out, &self.faults).await;
        let own = machine::thread_time()?;
        self.drained().await?;
        let after = self.counters()?;
        let said_after = self.outcomes().await?;
        let requests = outcome.requests.max(1) as f64;
        if self.make != Make::Backend && after.baseline - before.baseline != outcome.requests {
            let got = after.baseline - before.baseline;
            self.faults.add(format!("{} requests, the baseline got {got}", outcome.requests));
        }
        let paced = at_rate(clients, self.plan.rate, self.plan.at_rate, &self.faults).await?;
        self.drained().await?;
        Ok(Round {
            cpu: (after.cpu - before.cpu).as_secs_f64() * 1e6 / requests,
            rate: outcome.rate,
            p50: percentile(&paced.latencies, 0.50),
            p99: percentile(&paced.latencies, 0.99),
            memory: machine::peak_memory(self.process.0.id())?,
            copied: self
                .scenario
                .mirrored()
                .then_some((after.copies - before.copies) as f64 / requests),
            outcomes: shares(&said_before, &said_after, requests),
            load: (own - before.own).as_secs_f64() / self.plan.flat_out.as_secs_f64(),
            speed: self.speed,
        })
    }

    /// Clients, as soon as the first of them gets a right answer.
    async fn connect(&mut self) -> io::Result<Vec<Client>> {
        let numbers = Arc::new(AtomicU64::new(1));
        let connect =
            || Client::connect(self.plan.addresses.proxy, self.scenario.kind, Arc::clone(&numbers));
        let patience = Instant::now() + Duration::from_secs(15);
        loop {
            let tried = match connect().await {
                Ok(mut client) => client.exchange().await.map_err(io::Error::other),
                Err(error) => Err(error),
            };
            match tried {
                Ok(()) => break,
                Err(error) if Instant::now() > patience => return Err(error),
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
        let mut clients = Vec::new();
        for _ in 0..self.plan.clients {
            clients.push(connect().await?);
        }
        Ok(clients)
    }

    /// Waits until nothing is copied any more and the proxy rests.
    async fn drained(&self) -> io::Result<()> {
        let pid = self.process.0.id();
        let patience = Instant::now() + Duration::from_secs(4);
        let mut last = (machine::cpu_time(pid)?, self.copies()?);
        let mut calm = 0;
        while calm < 3 && Instant::now() < patience {
            sleep(Duration::from_millis(50)).await;
            let now = (machine::cpu_time(pid)?, self.copies()?);
            let rests = now.0 - last.0 < Duration::from_micros(500) && now.1 == last.1;
            calm = if rests { calm + 1 } else { 0 };
            last = now;
        }
        Ok(())
    }

    fn copies(&self) -> io::Result<u64> {
        match (&self.candidate, self.scenario.candidate) {
            (Some(candidate), _) => Ok(candidate.seen.requests.load(Relaxed)),
            (None, Candidate::Refuses) => machine::failed_attempts(),
            (None, _) => Ok(0),
        }
    }

    fn counters(&self) -> io::Result<Counters> {
        Ok(Counters {
            cpu: machine::cpu_time(self.process.0.id())?,
            own: machine::thread_time()?,
            baseline: self.baseline.seen.requests.load(Relaxed),
            copies: self.copies()?,
        })
    }

    /// The outcomes our proxy has counted. Asking costs it time, so it is not asked in between.
    async fn outcomes(&self) -> io::Result<Vec<(String, f64)>> {
        match self.make {
            Make::Ours => outcomes(self.plan.addresses.admin).await,
            _ => Ok(Vec::new()),
        }
    }

    /// Why the proxy is not there any more, if so.
    fn ended(&mut self) -> Option<String> {
        let status = self.process.0.try_wait().ok().flatten();
        status.map(|status| format!("the proxy ended: {status}"))
    }

    async fn stop(self) {
        drop(self.process);
        for mut backend in [Some(self.baseline), self.candidate].into_iter().flatten() {
            backend.stop().await;
        }
    }
}

/// The same command bound to a core; taskset becomes it, so that the process id is the proxy's.
fn pinned(command: &Command, core: usize) -> Command {
    let mut pinned = Command::new("taskset");
    pinned.arg("--cpu-list").arg(core.to_string()).arg(command.get_program());
    pinned.args(command.get_args());
    pinned.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    pinned
}

async fn outcomes(admin: std::net::SocketAddr) -> io::Result<Vec<(String, f64)>> {
    let mut stream = TcpStream::connect(admin).await?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let mut sums: Vec<(String, f64)> = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("mirror_outcomes_total{")) {
        let name = line.split("outcome=\"").nth(1).and_then(|rest| rest.split('"').next());
        let value = line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
        let (Some(name), Some(value)) = (name, value) else { continue };
        match sums.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += value,
            None => sums.push((name.to_owned(), value)),
        }
    }
    Ok(sums)
}

fn shares(before: &[(String, f64)], after: &[(String, f64)], requests: f64) -> Vec<(String, f64)> {
    let earlier =
        |name| before.iter().find(|(known, _)| known == name).map_or(0.0, |(_, sum)| *sum);
    let mut shares: Vec<_> = after
        .iter()
        .map(|(name, sum)| (name.clone(), (sum - earlier(name)) / requests))
        .filter(|(_, share)| *share > 0.0)
        .collect();
    shares.sort_by(|one, other| other.1.total_cmp(&one.1));
    shares
}

/// Nearest rank, from microseconds to milliseconds.
fn percentile(sorted: &[u32], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).map_or(f64::NAN, |micros| f64::from(*micros) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let sorted: Vec<u32> = (1..=200).map(|value| value * 1000).collect();
        assert_eq!(percentile(&sorted, 0.50), 100.0);
        assert_eq!(percentile(&sorted, 0.99), 198.0);
        assert_eq!(percentile(&[7000], 0.99), 7.0);
        assert!(percentile(&[], 0.5).is_nan());
    }

    #[test]
    fn shares_are_of_what_came_in_between() {
        let before = [("matched".to_owned(), 10.0)];
        let after = [("matched".to_owned(), 20.0), ("candidate_failed".to_owned(), 30.0)];
        let shares = shares(&before, &after, 40.0);
        assert_eq!(shares, [("candidate_failed".to_owned(), 0.75), ("matched".to_owned(), 0.25)]);
    }
}
