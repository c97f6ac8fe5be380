//! What comes out of packets is what was sent, byte for byte: captured by real tools, lost and sent again by a real
//! kernel, and taken out, cut and shuffled by real tools.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use xtests::raw::{Message, Service};
use xtests::run::Run;
use xtests::sniffer::{Sniffer, With};
use xtests::stack::Place;
use xtests::{Result, ensure};

use crate::session::{self, Mix, Truth, by_name, converted, ours_with, play, programs};

/// A session of which packets were captured.
struct Captured {
    file: PathBuf,
    port: u16,
    truth: Truth,
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
