//! The soak: a proxy process under steady traffic while the candidate goes through all it can do
//! wrong, and a verdict on what clients, memory and descriptors saw of it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use reqwest::Client;
use tokio::time::{Instant, sleep, sleep_until};

pub mod candidate;
pub mod process;

use crate::prometheus_text::Reading;
use crate::service;
use crate::traffic::Traffic;
use candidate::{Candidate, Mood};
use process::Process;

/// Times that the candidate goes through all of it. The first one warms the proxy up.
const CYCLES: u32 = 3;
/// How often the state is told.
const LOOK: Duration = Duration::from_secs(10);
/// How long the last copies may take once the traffic has stopped.
const SETTLE: Duration = Duration::from_secs(60);
/// Settings of the proxy that differ from its defaults. With its default the guardrail would stop
/// mirroring at the first fault, and nothing would be left to soak. A short deadline and a small
/// budget are reached in each phase, so that the first cycle shows how high memory goes.
const SETTINGS: [(&str, &str); 6] = [
    ("LISTEN_ADDR", "127.0.0.1:0"),
    ("LOG_FORMAT", "json"),
    ("MIRROR_FRACTION", "1"),
    ("ABORT_CONSECUTIVE", "1000000"),
    ("MIRROR_TIMEOUT", "2s"),
    ("MIRROR_BUFFER_BYTES", "16777216"),
];

/// What must not be exceeded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Resident memory may be this many MiB above its highest in the first cycle.
    pub memory_mib: f64,
    /// Open descriptors may be this many above their highest in the first cycle.
    pub descriptors: f64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { memory_mib: 16.0, descriptors: 64.0 }
    }
}

/// What was seen at one moment.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// 0 for the first.
    pub cycle: u32,
    /// Resident memory of the proxy.
    pub memory_mib: f64,
    /// Its open descriptors.
    pub descriptors: f64,
}

/// How it all ended.
#[derive(Clone, Debug, Default)]
pub struct End {
    /// Requests that clients sent.
    pub sent: u64,
    /// Of these, answered wrongly or not at all.
    pub errors: u64,
    /// Requests by what became of their copy.
    pub outcomes: BTreeMap<String, f64>,
    /// All looks, in order.
    pub looks: Vec<Look>,
}

impl End {
    /// Everything that is not as it should be.
    pub fn faults(&self, bounds: Bounds) -> Vec<String> {
        let mut faults = Vec::new();
        if self.sent == 0 {
            faults.push("no request was sent".to_owned());
        }
        if self.errors > 0 {
            faults.push(format!("{} client errors", self.errors));
        }
        let counted: f64 = self.outcomes.values().sum();
        #[expect(clippy::cast_precision_loss, reason = "a number of requests is below 2^53")]
        let sent = self.sent as f64;
        if (counted - sent).abs() > 0.5 {
            faults.push(format!("{counted} outcomes for {sent} requests"));
        }
        let highest = |value: fn(&Look) -> f64, first: bool| {
            let of_it = self.looks.iter().filter(|look| (look.cycle == 0) == first);
            of_it.map(value).fold(0.0, f64::max)
        };
        for (name, value, bound) in [
            ("MiB of memory", (|look| look.memory_mib) as fn(&Look) -> f64, bounds.memory_mib),
            ("descriptors", |look| look.descriptors, bounds.descriptors),
        ] {
            let (before, after) = (highest(value, true), highest(value, false));
            if before == 0.0 || after == 0.0 {
                faults.push(format!("{name}: not seen in the first cycle, or not after it"));
            } else if after > before + bound {
                faults.push(format!(
                    "{after:.0} {name} after {before:.0} in the first cycle; {bound} more are allowed"
                ));
            }
        }
        faults
    }
}

/// Runs it; `tell` gets a line now and then.
///
/// # Errors
/// When something cannot start, or the proxy does not answer any more.
pub async fn run(
    proxy: &Path,
    duration: Duration,
    rate: f64,
    mut tell: impl FnMut(&str),
) -> io::Result<End> {
    let baseline = service::service("service-v1", 0).await?;
    let behind = service::service("service-v2", 0).await?;
    let candidate = Candidate::start(behind.addr).await?;
    let targets = [
        ("BASELINE_URL", format!("http://127.0.0.1:{}", baseline.addr.port())),
        ("CANDIDATE_URL", format!("http://{}", candidate.addr)),
    ];
    let settings = SETTINGS.map(|(name, value)| (name, value.to_owned()));
    let process = Process::start(proxy, settings.into_iter().chain(targets)).await?;
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build();
    let client = client.map_err(io::Error::other)?;
    let traffic = Traffic::start(client.clone(), process.url(), rate);
    let mut end = End::default();
    let start = Instant::now();
    let moods = Mood::ALL.len();
    let phases = CYCLES * u32::try_from(moods).expect("a handful");
    let phase = duration / phases;
    for (number, mood) in (0..phases).zip(Mood::ALL.into_iter().cycle()) {
        candidate.set(mood).await?;
        let until = start + phase * (number + 1);
        let cycle = number / (phases / CYCLES);
        while Instant::now() < until {
            sleep_until(until.min(Instant::now() + LOOK)).await;
            let reading = look(&client, &process.url()).await?;
            end.looks.push(seen(&reading, cycle));
            let (sent, errors) = (traffic.clients.sent(), traffic.clients.errors());
            tell(&line(start.elapsed(), mood, (sent, errors), &reading));
        }
    }
    let clients = std::sync::Arc::clone(&traffic.clients);
    drop(traffic);
    settle(&client, &process.url(), &clients, &mut end).await?;
    tell(&line(start.elapsed(), Mood::Healthy, (end.sent, end.errors), &{
        look(&client, &process.url()).await?
    }));
    Ok(end)
}

/// Waits until each request is answered and has its outcome, as far as that ever comes.
async fn settle(
    client: &Client,
    url: &str,
    clients: &crate::traffic::Clients,
    end: &mut End,
) -> io::Result<()> {
    let limit = Instant::now() + SETTLE;
    loop {
        sleep(Duration::from_millis(500)).await;
        let reading = look(client, url).await?;
        (end.sent, end.errors) = (clients.sent(), clients.errors());
        end.outcomes = reading.by("mirror_outcomes_total", "outcome");
        let busy = reading.sum("mirror_requests_in_flight", &[])
            + reading.sum("mirror_copies_in_flight", &[])
            + reading.sum("mirror_queue_length", &[]);
        let counted: f64 = end.outcomes.values().sum();
        #[expect(clippy::cast_precision_loss, reason = "a number of requests is below 2^53")]
        let closed = busy == 0.0 && (counted - end.sent as f64).abs() < 0.5;
        if closed || Instant::now() > limit {
            return Ok(());
        }
    }
}

async fn look(client: &Client, url: &str) -> io::Result<Reading> {
    let response = client.get(format!("{url}/metrics")).send().await.map_err(io::Error::other)?;
    Ok(Reading::parse(&response.text().await.map_err(io::Error::other)?))
}

const MIB: f64 = 1024.0 * 1024.0;

fn seen(reading: &Reading, cycle: u32) -> Look {
    Look {
        cycle,
        memory_mib: reading.sum("process_resident_memory_bytes", &[]) / MIB,
        descriptors: reading.sum("process_open_fds", &[]),
    }
}

fn line(elapsed: Duration, mood: Mood, (sent, errors): (u64, u64), reading: &Reading) -> String {
    let Look { memory_mib, descriptors, .. } = seen(reading, 0);
    let limit = reading.sum("mirror_copies_limit", &[]);
    let outcomes: Vec<_> = reading
        .by("mirror_outcomes_total", "outcome")
        .into_iter()
        .filter(|(_, count)| *count > 0.0)
        .map(|(outcome, count)| format!("{outcome} {count}"))
        .collect();
    format!(
        "{:5} s  {:8}  {sent} requests, {errors} errors  {memory_mib:.1} MiB  {descriptors} \
         descriptors  limit {limit}  {}",
        elapsed.as_secs(),
        mood.name(),
        outcomes.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> End {
        let look = |cycle, memory_mib| Look { cycle, memory_mib, descriptors: 50.0 };
        End {
            sent: 10,
            errors: 0,
            outcomes: [("matched".to_owned(), 7.0), ("candidate_failed".to_owned(), 3.0)].into(),
            looks: vec![look(0, 20.0), look(0, 10.0), look(1, 22.0), look(2, 30.0)],
        }
    }

    #[track_caller]
    fn faulty(end: &End, what: &str) {
        let faults = end.faults(Bounds::default());
        assert!(faults.len() == 1 && faults[0].contains(what), "{faults:?}");
    }

    #[test]
    fn each_thing_that_must_not_be_is_a_fault() {
        assert_eq!(good().faults(Bounds::default()), Vec::<String>::new());
        faulty(&End { errors: 1, ..good() }, "1 client errors");
        faulty(&End { sent: 11, ..good() }, "10 outcomes for 11 requests");
        let mut grown = good();
        grown.looks[3].memory_mib = 37.0;
        faulty(&grown, "37 MiB of memory after 20");
        let mut leaking = good();
        leaking.looks[2].descriptors = 115.0;
        faulty(&leaking, "115 descriptors after 50");
        let unseen = End { looks: Vec::new(), ..good() };
        assert_eq!(unseen.faults(Bounds::default()).len(), 2);
        assert!(!End::default().faults(Bounds::default()).is_empty());
    }
}
