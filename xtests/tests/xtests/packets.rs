//! What comes out of packets is what was sent, byte for byte: captured by real tools, lost and sent again by a real
//! kernel, and taken out, cut and shuffled by real tools.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use xtests::binaries::Binaries;
use xtests::exchanges::Exchange;
use xtests::namespace::Namespace;
use xtests::pcap::Pcap;
use xtests::raw::{Message, Service};
use xtests::run::Run;
use xtests::sniffer::{Sniffer, With};
use xtests::stack::Place;
use xtests::{Result, ensure, tools};

use crate::session::{self, Mix, Truth, by_name, converted, ours_with, play, programs};

/// A session of which packets were captured.
pub(crate) struct Captured {
    pub(crate) file: PathBuf,
    pub(crate) port: u16,
    pub(crate) truth: Truth,
}

async fn captured(run: &Run, folder: &Path, with: With, mix: &Mix) -> Result<Captured> {
    let service = Service::start(session::answer)?;
    let file = folder.join(if with == With::Dumpcap { "session.pcapng" } else { "session.pcap" });
    let sniffer = Sniffer::start(run, None, with, service.port, &file).await?;
    let truth = play(&service, None, mix).await?;
    let port = service.port;
    Ok(Captured { file: sniffer.end().await?, port, truth })
}

const WHOLE: Mix = Mix { upload: 5 << 20 };

pub(crate) async fn what_tcpdump_captured_is_what_the_service_was_asked_byte_for_byte(
    place: &Place,
) -> Result<()> {
    let (run, binaries) = programs(place)?;
    let folder = run.folder("bytes-of-tcpdump")?;
    let session = captured(run, &folder, With::Tcpdump, &WHOLE).await?;
    let found = converted((run, binaries), &session.file, Some(session.port)).await?;
    session.truth.is(&found.0)
}

pub(crate) async fn what_dumpcap_captured_is_what_the_service_was_asked_byte_for_byte(
    place: &Place,
) -> Result<()> {
    let (run, binaries) = programs(place)?;
    let folder = run.folder("bytes-of-dumpcap")?;
    let session = captured(run, &folder, With::Dumpcap, &WHOLE).await?;
    let found = converted((run, binaries), &session.file, Some(session.port)).await?;
    session.truth.is(&found.0)
}

/// Lines that are of one connection, or ours (RFC 9110, section 7.6.1).
const HOPS: [&str; 9] = [
    "host",
    "connection",
    "transfer-encoding",
    "content-length",
    "x-mirror",
    "x-mirrorlab-loop",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

fn end_to_end(message: &Message) -> Vec<(String, String)> {
    let lines = message.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone()));
    let lines = lines.filter(|(name, _)| !HOPS.contains(&name.as_str()));
    lines.collect()
}

pub(crate) async fn what_is_sent_to_a_candidate_is_what_the_service_was_asked(
    place: &Place,
) -> Result<()> {
    let (run, binaries) = programs(place)?;
    let folder = run.folder("sent-from-packets")?;
    let session = captured(run, &folder, With::Tcpdump, &WHOLE).await?;
    let candidate = Service::start(session::answer)?;
    let (file, url) = (session.file.to_string_lossy(), candidate.url());
    let arguments =
        [&file, "--candidate", &url, "--speed", "max", "--writes", "--require", "match"];
    let port = session.port.to_string();
    let arguments = [&arguments[..], &["--port", &port]].concat();
    // Of larger bodies no copies are sent, unless it is said otherwise.
    let large = [("MIRROR_MAX_BODY_BYTES", "8388608")];
    let ended = ours_with(run, &binaries.replay, &arguments, &large).await?;
    let found: BTreeMap<_, _> = by_name(candidate.asked())?;
    for (id, sent) in &session.truth.requests {
        let got = found.get(id).ok_or_else(|| format!("{id} did not come: {}", ended.err))?;
        ensure!(sent.first == got.first, "{id}: {} became {}", sent.first, got.first);
        ensure!(
            end_to_end(sent) == end_to_end(got),
            "{id}: {:?} became {:?}",
            sent.headers,
            got.headers
        );
        ensure!(sent.body == got.body, "{id}: {} bytes became {}", sent.body.len(), got.body.len());
    }
    ensure!(found.len() == session.truth.requests.len(), "nothing else came");
    ended.well().map(drop)
}

/// A session on a loopback with the frames of an Ethernet, of which so many are lost.
pub(crate) async fn captured_apart(
    run: &Run,
    folder: &Path,
    loss: Option<&str>,
) -> Result<Captured> {
    let namespace = Namespace::new(run).await?;
    // Segments are not put together to larger ones, as no card has done here.
    let frames = ["link", "set", "lo", "mtu", "1500", "gso_max_segs", "1"];
    namespace.tool(run, "ip", &frames).await?;
    if let Some(share) = loss {
        let lose = ["-A", "INPUT", "-p", "tcp", "-m", "statistic", "--mode", "random"];
        let lose = [&lose[..], &["--probability", share, "-j", "DROP"]].concat();
        namespace.tool(run, "iptables", &lose).await?;
    }
    let listen = || Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?);
    let service = Service::on(namespace.within(listen)?, session::answer)?;
    let file = folder.join("session.pcap");
    let sniffer = Sniffer::start(run, Some(&namespace), With::Tcpdump, service.port, &file).await?;
    let truth = play(&service, Some(&namespace), &Mix { upload: 200_000 }).await?;
    let port = service.port;
    Ok(Captured { file: sniffer.end().await?, port, truth })
}

/// How many frames of a file tshark finds to be so.
async fn frames(run: &Run, file: &Path, filter: &str) -> Result<Vec<String>> {
    let file = file.to_string_lossy();
    let arguments = ["-r", &file, "-Y", filter, "-T", "fields", "-e", "frame.number"];
    let found = tools::tool(run, "tshark", &arguments).await?;
    Ok(found.out.lines().map(str::to_owned).collect())
}

pub(crate) async fn what_the_kernel_lost_and_sent_again_comes_out_once_and_whole(
    place: &Place,
) -> Result<()> {
    let (run, binaries) = programs(place)?;
    let folder = run.folder("lost")?;
    let session = captured_apart(run, &folder, Some("0.03")).await?;
    let again = frames(run, &session.file, "tcp.analysis.retransmission").await?;
    ensure!(again.len() >= 5, "too little was lost for a test: {}", again.len());
    let (found, _) = converted((run, binaries), &session.file, Some(session.port)).await?;
    session.truth.is(&found)
}

/// What `mirrorlab-capture` records of a file, and what it says of its packets.
async fn recorded(
    (run, binaries): (&Run, &Binaries),
    file: &Path,
    port: u16,
) -> Result<(Vec<Exchange>, Sums)> {
    let folder = file.with_extension("recording");
    let (name, to, port) = (file.to_string_lossy(), folder.to_string_lossy(), port.to_string());
    let arguments = [&*name, "--record", &to, "--port", &port];
    let settings = [("RECORD_REDACT", "false")];
    let ended = ours_with(run, &binaries.capture, &arguments, &settings).await?.well()?;
    let (found, _) = converted((run, binaries), &folder, None).await?;
    Ok((found, Sums::read(&ended.err)?))
}

/// What became of packets and requests, as it is told.
#[derive(Debug, Default)]
struct Sums {
    packets: u64,
    fates: BTreeMap<String, u64>,
    requests: u64,
    exchanges: u64,
    /// Those of which a body was not kept, so that they are not recorded.
    left_out: u64,
    lost: BTreeMap<String, u64>,
}

/// Losses that are of a request; others are of bodies, or of answers alone.
const OF_REQUESTS: [&str; 11] = [
    "gap",
    "malformed",
    "head_too_large",
    "out_of_step",
    "cut_short",
    "no_answer",
    "reset",
    "too_many_pending",
    "no_room",
    "tunnel",
    "http_0_9",
];

impl Sums {
    fn read(told: &str) -> Result<Self> {
        let mut sums = Self::default();
        let list = |text: &str| -> Result<BTreeMap<String, u64>> {
            let words = text.trim_matches(['(', ')']).split(", ").filter(|it| !it.is_empty());
            let pairs = words.map(|word| word.split_once(' ').ok_or("no count"));
            pairs
                .map(|pair| {
                    pair.map_or_else(|e| Err(e.into()), |(n, it)| Ok((it.to_owned(), n.parse()?)))
                })
                .collect()
        };
        for line in told.lines() {
            if let Some(rest) = line.strip_prefix("packets: ") {
                let (count, fates) = rest.split_once(' ').ok_or("no fates")?;
                (sums.packets, sums.fates) = (count.parse()?, list(fates)?);
            } else if let Some(rest) = line.strip_prefix("requests: ") {
                let numbers: Vec<_> = rest.split(' ').filter_map(|it| it.parse().ok()).collect();
                let [requests, exchanges] = numbers[..] else { return Err(line.into()) };
                (sums.requests, sums.exchanges) = (requests, exchanges);
            } else if let Some(rest) = line.strip_prefix("lost: ") {
                sums.lost = list(rest)?;
            } else if let Some(rest) = line.strip_prefix("left out: ") {
                let (count, _) = rest.split_once(',').ok_or("no reason")?;
                sums.left_out += count.parse::<u64>()?;
            }
        }
        Ok(sums)
    }

    /// Every packet and every request is counted once.
    fn close(&self, packets: usize, exchanges: usize) -> Result<()> {
        let of_requests = self.lost.iter().filter(|(name, _)| OF_REQUESTS.contains(&name.as_str()));
        let lost: u64 = of_requests.map(|(_, count)| count).sum();
        ensure!(self.packets == packets as u64, "of {packets} packets: {self:?}");
        ensure!(self.fates.values().sum::<u64>() == self.packets, "{self:?}");
        let whole = self.exchanges - self.left_out;
        ensure!(whole == exchanges as u64, "{exchanges} came out: {self:?}");
        ensure!(self.requests == self.exchanges + lost, "{self:?}");
        Ok(())
    }
}

pub(crate) async fn where_packets_are_missing_nothing_wrong_comes_out_and_sums_close(
    place: &Place,
) -> Result<()> {
    let (run, binaries) = programs(place)?;
    let folder = run.folder("taken-out")?;
    let session = captured_apart(run, &folder, None).await?;
    let all = Pcap::read(&session.file)?.packets.len();
    let full = frames(run, &session.file, "tcp.len > 0").await?;
    let mut several: Vec<String> =
        (1..=9).map(|part| full[full.len() * part / 10].clone()).collect();
    several.insert(0, "20-22".to_owned());
    for (nth, taken) in [vec!["20-22".to_owned()], several].into_iter().enumerate() {
        let less = folder.join(format!("less-{nth}.pcap"));
        let names = [&session.file, &less].map(|it| it.to_string_lossy().into_owned());
        // Without -F it would write pcapng.
        let mut arguments = vec!["-F", "pcap", &names[0], &names[1]];
        arguments.extend(taken.iter().map(String::as_str));
        tools::tool(run, "editcap", &arguments).await?;
        let left = Pcap::read(&less)?.packets.len();
        ensure!(left == all - 3 || left == all - 12, "{left} of {all}");
        let (found, sums) = recorded((run, binaries), &less, session.port).await?;
        session.truth.holds_loosely(&found)?;
        sums.close(left, found.len())?;
        // One packet costs the exchanges of one connection at most.
        ensure!(found.len() + 10 * 11 >= session.truth.requests.len(), "{}", found.len());
        ensure!(nth == 0 || found.len() < session.truth.requests.len() || !sums.lost.is_empty());
    }
    Ok(())
}

pub(crate) async fn where_packets_are_cut_nothing_wrong_comes_out_and_it_is_told(
    place: &Place,
) -> Result<()> {
    let (run, binaries) = programs(place)?;
    let folder = run.folder("cut")?;
    let session = captured_apart(run, &folder, None).await?;
    let cut = folder.join("cut.pcap");
    let names = [&session.file, &cut].map(|it| it.to_string_lossy().into_owned());
    tools::tool(run, "editcap", &["-F", "pcap", "-s", "96", &names[0], &names[1]]).await?;
    let all = Pcap::read(&cut)?.packets.len();
    let folder = cut.with_extension("recording").to_string_lossy().into_owned();
    let port = session.port.to_string();
    let arguments = [&*names[1], "--record", &folder, "--port", &port];
    let settings = [("RECORD_REDACT", "false")];
    let ended = ours_with(run, &binaries.capture, &arguments, &settings).await?;
    let sums = Sums::read(&ended.err)?;
    ensure!(sums.fates.get("truncated").is_some_and(|it| *it > 100), "{sums:?}");
    let found = match sums.exchanges - sums.left_out {
        0 => Vec::new(),
        _ => converted((run, binaries), Path::new(&folder), None).await?.0,
    };
    session.truth.holds_loosely(&found)?;
    sums.close(all, found.len())
}

pub(crate) async fn packets_out_of_order_are_put_in_order_again(place: &Place) -> Result<()> {
    let (run, binaries) = programs(place)?;
    let folder = run.folder("shuffled")?;
    let session = captured_apart(run, &folder, None).await?;
    let (mut pcap, shuffled) = (Pcap::read(&session.file)?, folder.join("shuffled.pcap"));
    let all = pcap.packets.len();
    pcap.shuffle(all);
    pcap.write(&shuffled)?;
    let sorted = folder.join("sorted.pcap");
    let names = [&shuffled, &sorted].map(|it| it.to_string_lossy().into_owned());
    tools::tool(run, "reordercap", &[&names[0], &names[1]]).await?;
    let (found, _) = converted((run, binaries), &sorted, Some(session.port)).await?;
    session.truth.is(&found)?;
    // A little out of order, as packets are that took two ways.
    let (mut pcap, near) = (Pcap::read(&session.file)?, folder.join("near.pcap"));
    pcap.shuffle(4);
    pcap.write(&near)?;
    let (found, sums) = recorded((run, binaries), &near, session.port).await?;
    session.truth.holds_loosely(&found)?;
    sums.close(all, found.len())
}
