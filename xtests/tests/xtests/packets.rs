//! What comes out of packets is what was sent, byte for byte: captured by real tools, lost and sent again by a real
//! kernel, and taken out, cut and shuffled by real tools.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use xtests::binaries::Binaries;
use xtests::exchanges::{self, Exchange};
use xtests::namespace::Namespace;
use xtests::pcap::Pcap;
use xtests::raw::{Message, Service};
use xtests::run::Run;
use xtests::sniffer::{Sniffer, With};
use xtests::stack::Place;
use xtests::tshark::{self, Talk};
use xtests::{Result, ensure, tools};

use crate::session::{
    self, Mix, Truth, alike, by_name, converted, name, ours, ours_with, play, programs,
};
use crate::sums::Sums;

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

/// Requests and answers of each connection, by the name of its first request.
fn by_first(talks: impl IntoIterator<Item = Talk>) -> BTreeMap<String, Talk> {
    let named = |talk: Talk| Some((name(&talk.first()?.0), talk));
    talks.into_iter().filter_map(named).collect()
}

pub(crate) async fn what_tshark_reads_is_what_is_converted(place: &Place) -> Result<()> {
    let (run, binaries) = programs(place)?;
    let folder = run.folder("tshark")?;
    let session = captured_apart(run, &folder, Some("0.03")).await?;
    let har = folder.join("session.har");
    let names = [&session.file, &har].map(|it| it.to_string_lossy().into_owned());
    let port = session.port.to_string();
    let arguments = ["convert", &names[0], "-o", &names[1], "--port", &port];
    ours(run, &binaries.replay, &arguments).await?.well()?;
    let mut own = BTreeMap::<_, Talk>::new();
    for it in exchanges::read_har(&std::fs::read_to_string(&har)?)? {
        own.entry(it.connection).or_default().push((it.request, it.answer));
    }
    let own = by_first(own.into_values());
    let theirs = by_first(tshark::talks(run, &session.file, session.port).await?);
    ensure!(own.keys().eq(theirs.keys()), "{:?} and {:?}", own.keys(), theirs.keys());
    for (first, our) in &own {
        let their = &theirs[first];
        ensure!(our.len() == their.len(), "{first}: {} and {}", our.len(), their.len());
        for (our, their) in our.iter().zip(their) {
            alike(&name(&our.0), &our.0, &their.0, true)?;
            alike(&name(&our.0), &our.1, &their.1, true)?;
        }
    }
    let all: usize = own.values().map(Vec::len).sum();
    ensure!(all == session.truth.requests.len(), "{all} exchanges were held against tshark's");
    Ok(())
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
        // Those of the handshake cost nothing; the others had bytes, which are told to be missing. Some may have
        // been sent twice.
        let told = sums.lost_of("gap") + sums.lost_of("body_gap");
        ensure!(if nth == 0 { told == 0 } else { told > 0 && sums.gaps >= 5 }, "{sums:?}");
    }
    Ok(())
}

/// Takes out what carried a part of this body, as far from its ends as can be.
fn take_out_of(pcap: &mut Pcap, body: &[u8]) -> Result<()> {
    // As long as it takes to be found nowhere else; where packets end is not known.
    let taken = body[body.len() / 2..].windows(64).find(|part| pcap.take_out(part) > 0);
    ensure!(taken.is_some(), "no packet has any of it");
    Ok(())
}

/// What comes out no more without those packets: what lacks bytes, and what is behind it on its connection until it is
/// sure again which answer belongs to which request.
const GONE: [&str; 8] =
    ["chunks-2", "chunks-3", "kept-5", "kept-6", "kept-7", "many-8-0", "many-8-1", "many-8-2"];

pub(crate) async fn where_known_packets_are_missing_exactly_their_exchanges_are(
    place: &Place,
) -> Result<()> {
    let (run, binaries) = programs(place)?;
    let folder = run.folder("known-taken-out")?;
    let session = captured_apart(run, &folder, None).await?;
    let (truth, mut pcap) = (&session.truth, Pcap::read(&session.file)?);
    // Within bodies of known length, each with messages behind it that would fill the hole.
    take_out_of(&mut pcap, &truth.requests["large"].body)?;
    take_out_of(&mut pcap, &truth.answers["kept-1"].body)?;
    // Over the end of a chunk, a whole request, and a whole answer.
    take_out_of(&mut pcap, &truth.requests["chunks-2"].body)?;
    ensure!(pcap.take_out(b"GET /items/kept-5?") > 0);
    ensure!(pcap.take_out(b"X-Id: many-8-0\r\ncontent-Type: text/plain\r\n") > 0);
    let less = folder.join("less.pcap");
    pcap.write(&less)?;
    let (found, sums) = recorded((run, binaries), &less, session.port).await?;
    truth.holds_loosely(&found)?;
    sums.close(pcap.packets.len(), found.len())?;
    let cut = found.iter().filter(|it| !it.has_request_body || !it.has_answer_body);
    let cut: Vec<_> = cut.map(|it| (name(&it.request), it.has_request_body)).collect();
    let bodies = [("kept-1".to_owned(), true), ("large".to_owned(), false)];
    ensure!(BTreeSet::from_iter(cut.clone()) == bodies.into(), "without a body are {cut:?}");
    let came: BTreeSet<_> = found.iter().map(|it| name(&it.request)).collect();
    let missing: Vec<_> = truth.requests.keys().filter(|id| !came.contains(*id)).collect();
    ensure!(missing == GONE, "missing are {missing:?}");
    // Of these kept-5 was never seen, and those behind the next one are in step again. When many-8-0 turns out to have
    // no answer, many-8-1 waits as well.
    let lost = [("answer_alone", 2), ("body_gap", 2), ("gap", 3), ("out_of_step", 4)];
    let lost = lost.map(|(why, count)| (why.to_owned(), count));
    ensure!(sums.lost == lost.into(), "{sums:?}");
    ensure!(sums.gaps == 5, "{sums:?}");
    Ok(())
}

pub(crate) async fn where_packets_are_cut_nothing_wrong_comes_out_and_it_is_told(
    place: &Place,
) -> Result<()> {
    let (run, binaries) = programs(place)?;
    let folder = run.folder("cut")?;
    let session = captured_apart(run, &folder, None).await?;
    // Within the payload, whose length the header of IP tells, and within that header, where the capture alone does.
    for (length, fate) in [("96", "truncated"), ("30", "header_cut")] {
        let cut = folder.join(format!("cut-{length}.pcap"));
        let names = [&session.file, &cut].map(|it| it.to_string_lossy().into_owned());
        let arguments = ["-F", "pcap", "-s", length, &names[0], &names[1]];
        tools::tool(run, "editcap", &arguments).await?;
        let all = Pcap::read(&cut)?.packets.len();
        let folder = cut.with_extension("recording").to_string_lossy().into_owned();
        let port = session.port.to_string();
        let arguments = [&*names[1], "--record", &folder, "--port", &port];
        let settings = [("RECORD_REDACT", "false")];
        let ended = ours_with(run, &binaries.capture, &arguments, &settings).await?;
        let sums = Sums::read(&ended.err)?;
        ensure!(sums.fates.get(fate).is_some_and(|it| *it > 100), "{length}: {sums:?}");
        ensure!(!sums.fates.contains_key("malformed"), "{length}: {sums:?}");
        let found = match sums.exchanges - sums.left_out {
            0 => Vec::new(),
            _ => converted((run, binaries), Path::new(&folder), None).await?.0,
        };
        session.truth.holds_loosely(&found)?;
        sums.close(all, found.len())?;
    }
    Ok(())
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
    // A little out of order, as packets are that took two ways: all are put in order, unless an answer to them overtook
    // them, which says that they were missing.
    for (name, is_each_way) in [("each-way", true), ("near", false)] {
        let (mut pcap, near) = (Pcap::read(&session.file)?, folder.join(format!("{name}.pcap")));
        if is_each_way {
            pcap.shuffle_each_way(4)
        } else {
            pcap.shuffle(4)
        }
        pcap.write(&near)?;
        let (found, sums) = recorded((run, binaries), &near, session.port).await?;
        sums.close(all, found.len())?;
        session.truth.holds_loosely(&found)?;
        ensure!(sums.fates.get("out_of_order").is_some_and(|it| *it > 100), "{name}: {sums:?}");
        if is_each_way {
            session.truth.is_loosely(&found)?;
            ensure!(sums.gaps == 0 && sums.lost.is_empty(), "{sums:?}");
        } else {
            ensure!(sums.gaps > 0 && sums.lost_of("gap") > 0, "{sums:?}");
            ensure!(found.len() > session.truth.requests.len() / 3, "{sums:?}");
        }
    }
    Ok(())
}
