//! A run: packets in, exchanges to the engine, what became of all of it told at the end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use conversations::{Captured, KeyLog, Overheard, Setup};
use packets::{Filter, Limits};
use proxy::app::Engine;
use proxy::config::Config;
use proxy::mirror::Keep;
use proxy::source;
use replay::counts::{Counts, Standing, UnderWay};
use replay::input;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use traffic::Exchange;

use crate::options::Options;
use crate::source::{Came, Live, now};

/// Copies of a file's exchanges that are under way at once: reading waits for them, and an interface cannot.
const AT_ONCE: u32 = 64;

/// How long a mirror's packets may come behind those that followed them, in nanoseconds.
const GRACE: u64 = 200_000_000;

/// The settings: what is said on the command line over the environment, and that over the file.
///
/// # Errors
/// All that is wrong with them.
pub fn settings(options: &Options) -> Result<Config, String> {
    let mut over = Vec::new();
    let mut say = |name: &'static str, value: Option<String>| {
        over.extend(value.map(|value| (name, value)));
    };
    say("CANDIDATE_URL", options.candidate.clone());
    say("RECORD_DIR", options.record.as_ref().map(|path| path.display().to_string()));
    say("ADMIN_ADDR", options.admin.clone());
    say("MIRROR_UNSAFE_METHODS", Some(options.writes.to_string()));
    let nobody = options.candidate.is_none() && options.config.is_none();
    let share = options.share.clone().or_else(|| nobody.then(|| "0".to_owned()));
    say("MIRROR_FRACTION", share.or_else(|| options.candidate.as_ref().map(|_| "1".to_owned())));
    let config = Config::from_process_under(options.config.as_deref(), &over);
    let mut config = config.map_err(|it| it.to_string())?;
    if let Some(record) = &mut config.record {
        // A file can be read as slowly as the disk is written to.
        record.waits = !options.files.is_empty();
    }
    if options.config.is_some()
        && !config.names_candidate()
        && options.share.as_deref() != Some("0")
    {
        return Err("there is no candidate: --candidate, CANDIDATE_URL or the settings file says \
                    where copies go, and --share 0 that none are sent"
            .to_owned());
    }
    Ok(config)
}

/// Listens to packets, with the keys of those that are encrypted.
pub fn overheard(options: &Options, config: &Config, keys: Option<KeyLog>) -> Overheard {
    let most = config.record.as_ref().map_or(0, |it| it.all.max_body_bytes);
    let body_bytes = most.max(config.mirror.max_body_bytes);
    let usual = conversations::Limits::default();
    // Where bodies are to be small, heads and tables are not.
    let conversation_bytes = usual.conversation_bytes.max(body_bytes.saturating_mul(4));
    let limits = conversations::Limits { body_bytes, conversation_bytes, ..usual };
    let budget = conversations::Budget::new(config.mirror.buffer_bytes.max(conversation_bytes));
    let filter = Filter {
        ports: options.packets.ports.clone(),
        hosts: options.hosts.clone(),
        networks: options.networks.clone(),
    };
    // Balancers before the end of a mirror mix packets up.
    let grace = if options.vxlan.or(options.geneve).is_some() { GRACE } else { 0 };
    let assembled = Limits { grace, ..Limits::default() };
    Overheard::new(assembled, filter, Setup { limits, budget, keys })
}

/// How long packets that wait may take to be read at the end.
const LAST: Duration = Duration::from_secs(2);

/// What hands exchanges to the engine.
#[derive(Debug)]
pub struct Feed {
    engine: Arc<Engine>,
    runtime: Handle,
    counts: Arc<Counts>,
    /// Given out where reading may wait.
    slots: Option<Arc<Semaphore>>,
}

impl Feed {
    /// To this engine; `may_wait`: for copies to be over.
    pub fn new(engine: &Arc<Engine>, runtime: Handle, may_wait: bool) -> Self {
        let slots = may_wait.then(|| Arc::new(Semaphore::new(AT_ONCE as usize)));
        let (engine, counts) = (Arc::clone(engine), Arc::default());
        Self { engine, runtime, counts, slots }
    }

    /// What became of all.
    pub fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// Hands one on.
    fn take(&self, exchange: &Exchange) {
        self.counts.read();
        match source::played(exchange) {
            Ok(played) => {
                let slot = self.slots.as_ref().and_then(|slots| {
                    self.runtime.block_on(Arc::clone(slots).acquire_owned()).ok()
                });
                let keep: Keep = Arc::new(UnderWay::new(&self.counts, slot));
                self.counts.sent(Duration::ZERO);
                let _guard = self.runtime.enter();
                self.engine.forward().play(&played, &keep);
            }
            Err(why) => self.counts.leave_out(why.name()),
        }
    }

    /// Waits until nothing is under way, or for so long.
    pub async fn finish(&self, patience: Duration) {
        let over = async {
            loop {
                let Standing { sent, over, .. } = self.counts.standing();
                if over >= sent {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        drop(tokio::time::timeout(patience, over).await);
    }
}

/// What came of a source.
#[derive(Debug, Default)]
pub struct Ended {
    /// What became of its packets, connections and requests.
    pub lines: Vec<String>,
    /// Why not all of it could be read. What came before is judged all the same.
    pub broken: Option<String>,
}

/// Reads captures, one after the other.
pub fn files(options: &Options, config: &Config, feed: &Feed, stop: &AtomicBool) -> Ended {
    let mut ended = Ended::default();
    for name in &options.files {
        if let Err(why) = file(name, options, config, feed, stop, &mut ended.lines) {
            ended.broken.get_or_insert(why);
        }
    }
    ended
}

fn file(
    name: &str,
    options: &Options,
    config: &Config,
    feed: &Feed,
    stop: &AtomicBool,
    lines: &mut Vec<String>,
) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("{name}: {error}");
    let keys = input::keys(&options.packets)?;
    let captured = Captured::new(input::capture(name)?, overheard(options, config, keys));
    let mut captured = captured.map_err(|error| failed(&error))?;
    let mut broken = Ok(());
    while let Some(found) = captured.next().filter(|_| !stop.load(Ordering::Relaxed)) {
        match found {
            Ok(exchange) => feed.take(&exchange),
            Err(error) => broken = Err(failed(&error)),
        }
    }
    lines.extend(told(captured.overheard()));
    broken
}

/// Listens until it is to stop, or the source is gone.
pub fn live(mut live: Live, mut overheard: Overheard, feed: &Feed, stop: &AtomicBool) -> Ended {
    let mut listened = Ok(true);
    while !stop.load(Ordering::Relaxed) && listened.is_ok() {
        listened = listen(&mut live, &mut overheard, feed);
    }
    // What the kernel holds for us came before.
    let until = Instant::now() + LAST;
    while Instant::now() < until && matches!(listened, Ok(true)) {
        listened = listen(&mut live, &mut overheard, feed);
    }
    overheard.finish();
    while let Some(exchange) = overheard.take() {
        feed.take(&exchange);
    }
    let broken = listened.err().map(|error| format!("nothing more can be heard: {error}"));
    Ended { lines: told(&overheard), broken }
}

/// Takes what comes next, if anything does in a while, and hands on what it completes; whether something came.
fn listen(live: &mut Live, overheard: &mut Overheard, feed: &Feed) -> io::Result<bool> {
    let came = live.next(|came| match came {
        Came::Frame(frame) => overheard.frame(&frame),
        Came::Payload(tunnel, at, bytes) => overheard.payload(tunnel, at, bytes, bytes.len()),
    })?;
    overheard.advance(now());
    while let Some(exchange) = overheard.take() {
        feed.take(&exchange);
    }
    Ok(came)
}

/// What became of packets, connections and requests.
fn told(overheard: &Overheard) -> Vec<String> {
    let counts = overheard.counts();
    let some = |of: &mut dyn Iterator<Item = (&'static str, u64)>| {
        let some =
            of.filter(|(_, count)| *count > 0).map(|(name, count)| format!("{count} {name}"));
        some.collect::<Vec<_>>().join(", ")
    };
    let packets = some(&mut counts.iter().map(|(fate, count)| (fate.name(), count)));
    let told = overheard.told();
    let lost = some(&mut told.lost().map(|(lost, count)| (lost.name(), count)));
    let totals = overheard.totals();
    let mut lines = vec![
        format!("packets: {} ({packets})", counts.sum()),
        format!(
            "connections: {} from their beginning, {} joined later; {} gaps, {} packets cut off",
            totals.opened, totals.joined, totals.gaps, totals.cuts
        ),
        format!("requests: {} seen, {} with their answers", told.requests, told.exchanges),
    ];
    if !lost.is_empty() {
        lines.push(format!("lost: {lost}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use packets::Tunnel;

    use super::*;

    /// Addresses and ports.
    const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 1], 40_000);
    const SERVER: ([u8; 4], u16) = ([10, 0, 0, 2], 8080);

    /// A segment in VXLAN: from the client or to it, from a byte on, with all before another acknowledged.
    fn segment(by_client: bool, from: u32, acknowledged: u32, text: &str) -> Vec<u8> {
        let (one, other) = if by_client { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let flags = if from == 0 { 0x12 } else { 0x10 };
        let mut tcp = [one.1.to_be_bytes(), other.1.to_be_bytes()].concat();
        tcp.extend([from, acknowledged].map(u32::to_be_bytes).concat());
        tcp.extend([5 << 4, flags, 0xFF, 0xFF, 0, 0, 0, 0]);
        let length = 20 + tcp.len() + text.len();
        let mut bytes = vec![8, 0, 0, 0, 0, 0, 77, 0];
        bytes.extend([2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4, 8, 0]);
        bytes.extend([0x45, 0, 0, length as u8, 0, 0, 0, 0, 64, 6, 0, 0]);
        bytes.extend([one.0, other.0].concat());
        bytes.extend([&tcp, text.as_bytes()].concat());
        bytes
    }

    /// How many exchanges come of a request of which the second part, and then its acknowledgement, overtake the first.
    fn exchanges_where_bytes_come_late(source: &[&str], late: u64) -> u64 {
        let all = [&["mirrorlab-capture", "--record", "nowhere"], source].concat();
        let options = Options::try_parse_from(all).unwrap();
        let mut overheard = overheard(&options, &settings(&options).unwrap(), None);
        let (first, second) = ("GET / HTTP/1.1\r\n", "Host: a\r\n\r\n");
        let middle = 1 + first.len() as u32;
        let end = middle + second.len() as u32;
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let begun = 1_000_000_000;
        for (at, bytes) in [
            (begun, segment(false, 0, 1, "")),
            (begun, segment(true, middle, 1, second)),
            (begun + late, segment(false, 1, end, "")),
            (begun + late, segment(true, 1, 1, first)),
            (begun + late, segment(false, 1, end, answer)),
        ] {
            overheard.payload(Tunnel::Vxlan, at, &bytes, bytes.len());
        }
        overheard.finish();
        overheard.told().exchanges
    }

    #[test]
    fn what_a_mirror_brings_late_is_waited_for_a_while() {
        let late = 150_000_000;
        for mirror in ["--vxlan", "--geneve"] {
            assert_eq!(exchanges_where_bytes_come_late(&[mirror, "127.0.0.1:0"], late), 1);
            assert_eq!(exchanges_where_bytes_come_late(&[mirror, "127.0.0.1:0"], 2 * late), 0);
        }
        // Whoever captures where packets are in order has missed what was acknowledged.
        assert_eq!(exchanges_where_bytes_come_late(&["a.pcap"], late), 0);
    }

    #[test]
    fn a_file_waits_for_what_is_recorded_of_it_and_a_live_source_cannot() {
        for (source, waits) in [(&["a.pcap"][..], true), (&["-i", "lo"], false)] {
            let all = [&["mirrorlab-capture", "--record", "nowhere"], source].concat();
            let config = settings(&Options::try_parse_from(all).unwrap()).unwrap();
            assert_eq!(config.record.unwrap().waits, waits, "{source:?}");
        }
    }
}
