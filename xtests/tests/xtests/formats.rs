//! One session comes out the same by whatever way it was recorded: by the proxy, by tcpdump, as GoReplay writes it, and
//! as browsers export it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use xtests::browser::Browser;
use xtests::part::{Log, Part, Process};
use xtests::raw::{Message, Wire};
use xtests::sniffer::{Sniffer, With};
use xtests::stack::Place;
use xtests::{Result, ensure};

use crate::page::NoBrowser;
use crate::session::{ours, programs};

/// What is asked: method and target, and a body.
const SESSION: [(&str, &str); 8] = [
    ("GET /api/search?q=ssd", ""),
    ("GET /api/product/p-100", ""),
    ("GET /api/product/p-104", ""),
    ("GET /api/product/unknown", ""),
    ("POST /api/checkout", r#"{"productIds":["p-100","p-104"],"email":"ann@shop.example"}"#),
    ("GET /api/search?q=cable", ""),
    ("POST /api/checkout", r#"{"productIds":["p-101"],"email":"bob@shop.example"}"#),
    ("POST /api/checkout", r#"{"productIds":[],"email":"bob@shop.example"}"#),
];

/// One of it, as a client saw it.
struct Seen {
    asked: Vec<u8>,
    body: &'static str,
    answer: Message,
    /// Nanoseconds since 1970, and until the answer.
    at: u128,
    took: u128,
}

async fn part(place: &Place, settings: &[(&'static str, &str)]) -> Result<Part> {
    let (run, binaries) = programs(place)?;
    let is_proxy = settings.iter().any(|(name, _)| *name == "BASELINE_URL");
    let (program, port) = match is_proxy {
        true => (&binaries.proxy, "LISTEN_ADDR"),
        false => (&binaries.demo_service, "PORT"),
    };
    let settings = settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Ok(Part::Process(Box::new(Process::start(run, program, port, settings, Log::default()).await?)))
}

/// A shop, a proxy before it that records, and one that answers otherwise, always in the same way.
struct Recorded {
    _baseline: Part,
    candidate: Part,
    proxy: Part,
    port: u16,
    recording: PathBuf,
    folder: PathBuf,
}

async fn recorded(place: &Place, folder: &str) -> Result<Recorded> {
    let folder = programs(place)?.0.folder(folder)?;
    let baseline = part(place, &[]).await?;
    let candidate = part(place, &[("CHAOS_MISMATCH_RATE", "1")]).await?;
    let recording = folder.join("recording");
    let (from, to) = (baseline.url().await?, candidate.url().await?);
    let folder_of_it = recording.to_string_lossy().into_owned();
    let settings = [
        ("BASELINE_URL", from.as_str()),
        ("CANDIDATE_URL", &to),
        ("MIRROR_FRACTION", "0"),
        ("RECORD_DIR", &folder_of_it),
        ("RECORD_REDACT", "false"),
    ];
    let proxy = part(place, &settings).await?;
    let port = proxy.url().await?.rsplit_once(':').ok_or("no port")?.1.parse()?;
    Ok(Recorded { _baseline: baseline, candidate, proxy, port, recording, folder })
}

/// A client that says no more than it must.
async fn played(port: u16) -> Result<Vec<Seen>> {
    let (mut wire, mut all) = (Wire::to(port).await?, Vec::new());
    for (line, body) in SESSION {
        let length = match body {
            "" => String::new(),
            body => format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()),
        };
        let head =
            format!("{line} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\n{length}\r\n");
        let asked = [head.as_bytes(), body.as_bytes()].concat();
        let at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        let begun = std::time::Instant::now();
        wire.send(&asked).await?;
        let answer = wire.message(true).await?.ok_or("no answer")?;
        all.push(Seen { asked, body, answer, at, took: begun.elapsed().as_nanos() });
    }
    Ok(all)
}

/// As GoReplay's documentation has it: `<type> <id> <time> <latency>`, the message, and a line of monkeys. Three requests
/// at a time come before their answers, of which the second is first: the id alone says whose they are.
fn gor(session: &[Seen]) -> Vec<u8> {
    let mut all = Vec::new();
    let numbered: Vec<_> = session.iter().enumerate().collect();
    for three in numbered.chunks(3) {
        three.iter().for_each(|(nth, seen)| gor_request(*nth, seen, &mut all));
        let (first, rest) = three.split_at(three.len().min(2));
        let answers = first.iter().rev().chain(rest);
        answers.for_each(|(nth, seen)| gor_answer(*nth, seen, &mut all));
    }
    all
}

/// What ends a record.
const MONKEYS: &str = "\n🐵🙈🙉\n";

fn gor_request(nth: usize, seen: &Seen, all: &mut Vec<u8>) {
    all.extend(format!("1 {:024x} {} 0\n", nth + 1, seen.at).into_bytes());
    all.extend([&seen.asked[..], MONKEYS.as_bytes()].concat());
}

fn gor_answer(nth: usize, seen: &Seen, all: &mut Vec<u8>) {
    let (at, took) = (seen.at + seen.took, seen.took);
    all.extend(format!("2 {:024x} {at} {took}\n", nth + 1).into_bytes());
    all.extend(format!("HTTP/1.1 {} Said\r\n", seen.answer.first).into_bytes());
    for (name, value) in &seen.answer.headers {
        all.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    all.extend([b"\r\n", &seen.answer.body[..], MONKEYS.as_bytes()].concat());
}

/// As Chrome writes it, where there is none to ask.
fn har(session: &[Seen], port: u16) -> Result<Value> {
    let mut entries = Vec::new();
    for (nth, (seen, (line, _))) in session.iter().zip(SESSION).enumerate() {
        let (method, target) = line.split_once(' ').ok_or("no target")?;
        let lines = seen.answer.headers.iter();
        let lines: Vec<_> =
            lines.map(|(name, value)| json!({"name": name, "value": value})).collect();
        let mut asked = vec![json!({"name": "Accept", "value": "*/*"})];
        if !seen.body.is_empty() {
            asked.push(json!({"name": "Content-Type", "value": "application/json"}));
        }
        let mut request = json!({
            "method": method, "url": format!("http://127.0.0.1:{port}{target}"),
            "httpVersion": "HTTP/1.1", "headers": asked, "queryString": [], "cookies": [],
            "headersSize": -1, "bodySize": seen.body.len(),
        });
        if !seen.body.is_empty() {
            request["postData"] = json!({"mimeType": "application/json", "text": seen.body});
        }
        let text = String::from_utf8(seen.answer.body.clone())?;
        entries.push(json!({
            "startedDateTime": format!("2026-05-04T08:20:3{nth}.000Z"), "time": 1.5,
            "request": request,
            "response": {
                "status": seen.answer.first.parse::<u16>()?, "statusText": "",
                "httpVersion": "HTTP/1.1", "headers": lines, "cookies": [], "redirectURL": "",
                "headersSize": -1, "bodySize": -1,
                "content": {"size": text.len(), "mimeType": "application/json", "text": text},
            },
            "cache": {}, "timings": {"send": 0, "wait": 1.2, "receive": 0.3},
            "connection": "443", "_resourceType": "fetch",
        }));
    }
    let creator = json!({"name": "WebInspector", "version": "537.36"});
    Ok(json!({"log": {"version": "1.2", "creator": creator, "pages": [], "entries": entries}}))
}

/// What the report says of a source, but for times and what follows from them.
async fn report(place: &Place, source: &Path, candidate: &Part) -> Result<Value> {
    let (run, binaries) = programs(place)?;
    let (source, to) = (source.to_string_lossy(), candidate.url().await?);
    let arguments = [&*source, "--candidate", &to, "--speed", "max", "--connections", "1"];
    let arguments = [&arguments[..], &["--writes", "--format", "json"]].concat();
    let arguments = [&arguments[..], &["--match", "path.prefix = \"/api\""]].concat();
    let ended = ours(run, &binaries.replay, &arguments).await?;
    let mut report =
        serde_json::from_str(&ended.out).map_err(|error| format!("{error}: {ended:?}"))?;
    without_times(&mut report);
    Ok(report)
}

/// What is of a clock; and the command that asks again, which has all headers of a client.
const TIMES: [&str; 11] = [
    "since",
    "seen",
    "firstSeen",
    "lastSeen",
    "baselineSeconds",
    "candidateSeconds",
    "latency",
    "pairsPerSecond",
    "seconds",
    "cleanSeconds",
    "curl",
];

fn without_times(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !TIMES.contains(&name.as_str()));
            members.values_mut().for_each(without_times);
        }
        Value::Array(items) => items.iter_mut().for_each(without_times),
        _ => {}
    }
}

/// All reports say the same, and something at all.
async fn all_alike(place: &Place, candidate: &Part, sources: &[(&str, &Path)]) -> Result<()> {
    let mut first = None;
    for (name, source) in sources {
        let report = report(place, source, candidate).await?;
        ensure!(report["pairs"] == SESSION.len(), "{name}: {report}");
        let raw = report["mismatches"]["raw"].as_u64().unwrap_or_default();
        ensure!((5..=SESSION.len() as u64).contains(&raw), "{name}: {report}");
        ensure!(report["routes"].as_array().is_some_and(|it| it.len() >= 3), "{name}: {report}");
        let (other, its) = &*first.get_or_insert_with(|| (name, report.clone()));
        ensure!(*its == report, "{}", apart((other, its), (name, &report), ""));
    }
    Ok(())
}

/// Where two documents first differ.
fn apart(one: (&str, &Value), other: (&str, &Value), path: &str) -> String {
    let deeper = |step: &dyn std::fmt::Display, a, b| {
        apart((one.0, a), (other.0, b), &format!("{path}/{step}"))
    };
    match (one.1, other.1) {
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            let differing = a.iter().find(|(name, value)| b[*name] != **value);
            differing.map_or_else(String::new, |(name, value)| deeper(name, value, &b[name]))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let differing = a.iter().zip(b).enumerate().find(|(_, (a, b))| a != b);
            differing.map_or_else(String::new, |(at, (a, b))| deeper(&at, a, b))
        }
        (a, b) => format!("{path}: {} says {a}, {} says {b}", one.0, other.0),
    }
}

pub(crate) async fn one_session_is_the_same_by_proxy_packets_gor_and_har(
    place: &Place,
) -> Result<()> {
    let (run, _) = programs(place)?;
    let mut of = recorded(place, "four-ways").await?;
    let file = of.folder.join("session.pcap");
    let sniffer = Sniffer::start(run, None, With::Tcpdump, of.port, &file).await?;
    let session = played(of.port).await?;
    let packets = sniffer.end().await?;
    of.proxy.signal("TERM").await?;
    ensure!(of.proxy.exit_code().await? == 0, "the recording is closed");
    let (gor_file, har_file) = (of.folder.join("session.gor"), of.folder.join("session.har"));
    std::fs::write(&gor_file, gor(&session))?;
    std::fs::write(&har_file, har(&session, of.port)?.to_string())?;
    let sources = [
        ("the proxy", &*of.recording),
        ("tcpdump", &*packets),
        ("GoReplay", &*gor_file),
        ("HAR", &*har_file),
    ];
    all_alike(place, &of.candidate, &sources).await
}

pub(crate) async fn what_a_browser_exports_is_what_the_proxy_and_tcpdump_saw(
    place: &Place,
) -> Result<()> {
    let (run, _) = programs(place)?;
    let browser = Browser::start(&Arc::clone(run)).await?.ok_or(NoBrowser)?;
    let mut of = recorded(place, "browser-ways").await?;
    let file = of.folder.join("session.pcap");
    let sniffer = Sniffer::start(run, None, With::Tcpdump, of.port, &file).await?;
    let url = of.proxy.url().await?;
    let tab = browser.open(&format!("{url}/actuator/health")).await?;
    let log = tab.network().await?;
    let asked: Vec<_> = SESSION
        .iter()
        .map(|(line, body)| {
            let (method, target) = line.split_once(' ').unwrap_or_default();
            let more = match *body {
                "" => json!({"method": method}),
                body => json!({
                    "method": method, "body": body,
                    "headers": {"content-type": "application/json"},
                }),
            };
            format!("await (await fetch({target:?}, {more})).text();")
        })
        .collect();
    let script = format!("(async () => {{ {} return 'over'; }})()", asked.join(" "));
    ensure!(tab.eval(&script).await == "over", "the browser asks all");
    let har = log.har(&format!("{url}/api/"), SESSION.len()).await?;
    browser.close().await?;
    let packets = sniffer.end().await?;
    of.proxy.signal("TERM").await?;
    ensure!(of.proxy.exit_code().await? == 0, "the recording is closed");
    let har_file = of.folder.join("browser.har");
    std::fs::write(&har_file, har.to_string())?;
    let sources =
        [("the proxy", &*of.recording), ("tcpdump", &*packets), ("the browser", &*har_file)];
    all_alike(place, &of.candidate, &sources).await
}
