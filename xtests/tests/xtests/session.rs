//! A session with all that makes requests hard to overhear: connections that are kept, requests one behind the other
//! before an answer, chunks, gzip, a large upload, and many connections at once. Each request has a name, and so has
//! its answer.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use xtests::binaries::Binaries;
use xtests::exchanges::{self, Exchange};
use xtests::namespace::Namespace;
use xtests::raw::{Asked, Message, Service, Wire};
use xtests::run::Run;
use xtests::stack::Place;
use xtests::tools::{Ended, Running, command};
use xtests::{Result, ensure};

/// Connections at once, each with some requests.
const MANY: usize = 50;
/// Requests of each of them.
const EACH: usize = 3;

/// What tests of plain processes have.
pub(crate) fn programs(place: &Place) -> Result<(&Arc<Run>, &Binaries)> {
    match place {
        Place::Processes(run, binaries) => Ok((run, binaries)),
        Place::Containers(_) => Err("this is for processes".into()),
    }
}

/// Runs one of our programs to its end.
pub(crate) async fn ours(run: &Run, program: &Path, arguments: &[&str]) -> Result<Ended> {
    Running::start(run, command(program, arguments)).await?.ended().await
}

/// The same, with settings.
pub(crate) async fn ours_with(
    run: &Run,
    program: &Path,
    arguments: &[&str],
    settings: &[(&str, &str)],
) -> Result<Ended> {
    let mut command = command(program, arguments);
    command.envs(settings.iter().copied());
    Running::start(run, command).await?.ended().await
}

/// What `mirrorlab-replay convert` makes of a file or a folder.
pub(crate) async fn converted(
    (run, binaries): (&Run, &Binaries),
    source: &Path,
    port: Option<u16>,
) -> Result<(Vec<Exchange>, String)> {
    let output = source.with_extension("converted.jsonl");
    let (source, to) = (source.to_string_lossy(), output.to_string_lossy());
    let port = port.map(|port| port.to_string());
    let mut arguments = vec!["convert", &source, "-o", &to];
    arguments.extend(port.iter().flat_map(|port| ["--port", port]));
    let ended = ours(run, &binaries.replay, &arguments).await?.well()?;
    Ok((exchanges::read(&std::fs::read_to_string(&output)?)?, ended.err))
}

/// What is sent.
pub(crate) struct Mix {
    /// Bytes of the one large upload.
    pub(crate) upload: usize,
}

/// What was sent, as the service saw it and as the client saw the answers, by the names of requests.
pub(crate) struct Truth {
    /// The requests.
    pub(crate) requests: BTreeMap<String, Message>,
    /// Their answers.
    pub(crate) answers: BTreeMap<String, Message>,
}

/// The name that a request has and its answer repeats.
pub(crate) fn name(message: &Message) -> String {
    message.header("x-id").unwrap_or_default().to_owned()
}

/// Requests by their names.
pub(crate) fn by_name(asked: Vec<Asked>) -> Result<BTreeMap<String, Message>> {
    let count = asked.len();
    let all: BTreeMap<_, _> = asked.into_iter().map(|it| (name(&it.message), it.message)).collect();
    ensure!(all.len() == count, "some came twice: {count} requests, {} names", all.len());
    Ok(all)
}

/// What the service answers: plain, gzipped, in chunks, or a large text, by the name.
pub(crate) fn answer(request: &Message) -> (Vec<u8>, Duration) {
    let id = name(request);
    let turn = id.bytes().map(usize::from).sum::<usize>() % 4;
    let text = format!("this answers {id}, which had {} bytes; ", request.body.len());
    let (more, body) = match turn {
        0 => ("", text.into_bytes()),
        1 => ("Content-Encoding: gzip\r\n", gzip(text.as_bytes())),
        // Numbered, so that no part of it is like another.
        2 => ("", (0..2000).map(|nth| format!("{nth}: {text}")).collect::<String>().into_bytes()),
        _ => ("TRANSFER-encoding: chunked\r\n", chunked(text.as_bytes(), 11)),
    };
    let mut head = format!("HTTP/1.1 200 Fine\r\nX-Id: {id}\r\ncontent-Type: text/plain\r\n{more}");
    if turn != 3 {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    ([format!("{head}\r\n").into_bytes(), body].concat(), Duration::ZERO)
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("memory is written to");
    encoder.finish().expect("memory is written to")
}

fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let chunk = |part: &[u8]| [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
    let mut all: Vec<u8> = body.chunks(size).flat_map(chunk).collect();
    all.extend_from_slice(b"0\r\n\r\n");
    all
}

/// Bytes of all values, and none of them the same for long.
pub(crate) fn noise(seed: usize, length: usize) -> Vec<u8> {
    let mut state = seed as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_le_bytes()[5]
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn get(id: &str) -> Vec<u8> {
    // Header lines in no order and no case that a library would write.
    format!(
        "GET /items/{id}?q=a%20b&q=%2F HTTP/1.1\r\nx-ID: {id}\r\nHost: shop.example\r\n\
         ACCEPT: text/plain\r\nX-Twice: one\r\nx-twice: two\r\nCookie: a=1; b=2\r\n\r\n"
    )
    .into_bytes()
}

fn post(id: &str, body: &[u8], in_chunks: bool) -> Vec<u8> {
    let (line, body) = match in_chunks {
        true => ("Transfer-Encoding: chunked".to_owned(), chunked(body, 777)),
        false => (format!("content-length: {}", body.len()), body.to_vec()),
    };
    let head = format!(
        "POST /orders/{id} HTTP/1.1\r\nHOST: shop.example\r\nX-Id: {id}\r\n\
         Content-Type: application/octet-stream\r\n{line}\r\n\r\n"
    );
    [head.into_bytes(), body].concat()
}

/// Plays the session against a service, and holds both sides against each other.
pub(crate) async fn play(
    service: &Service,
    within: Option<&Namespace>,
    mix: &Mix,
) -> Result<Truth> {
    let mut answers = BTreeMap::new();
    let mut wires = connections(service.port, within, MANY + 4)?;
    let mut few = wires.split_off(MANY);
    let (kept, piped) = (few.pop().ok_or("none")?, few.pop().ok_or("none")?);
    let (chunks, large) = (few.pop().ok_or("none")?, few.pop().ok_or("none")?);
    let upload = mix.upload;
    let mut tasks = vec![
        tokio::spawn(one_by_one(kept, (0..10).map(|nth| get(&format!("kept-{nth}"))).collect())),
        tokio::spawn(piped_at_once(
            piped,
            (0..8).map(|nth| get(&format!("piped-{nth}"))).collect(),
        )),
        tokio::spawn(one_by_one(
            chunks,
            (0..4)
                .map(|nth| post(&format!("chunks-{nth}"), &noise(nth, nth * 3000), true))
                .collect(),
        )),
        tokio::spawn(one_by_one(
            large,
            vec![post("large", &noise(7, upload), false), get("behind-large")],
        )),
    ];
    tasks.extend(wires.into_iter().enumerate().map(|(nth, wire)| {
        let requests = (0..EACH).map(|turn| {
            let (id, length) = (format!("many-{nth}-{turn}"), (nth * 97 + turn * 1301) % 5000);
            if turn == 1 { get(&id) } else { post(&id, &noise(nth, length), nth % 3 == 0) }
        });
        tokio::spawn(one_by_one(wire, requests.collect()))
    }));
    for task in tasks {
        answers.extend(task.await??.into_iter().map(|answer| (name(&answer), answer)));
    }
    let requests = by_name(service.asked())?;
    ensure!(requests.keys().eq(answers.keys()), "every request had its answer");
    ensure!(requests.len() == 10 + 8 + 4 + 2 + MANY * EACH, "{}", requests.len());
    Ok(Truth { requests, answers })
}

fn connections(port: u16, within: Option<&Namespace>, count: usize) -> Result<Vec<Wire>> {
    let open = || {
        let to = SocketAddr::from(([127, 0, 0, 1], port));
        let all: std::io::Result<Vec<_>> =
            (0..count).map(|_| std::net::TcpStream::connect(to)).collect();
        Ok(all?)
    };
    let streams = within.map_or_else(open, |namespace| namespace.within(open))?;
    let wire = |stream: std::net::TcpStream| {
        stream.set_nonblocking(true)?;
        Ok(Wire::new(tokio::net::TcpStream::from_std(stream)?))
    };
    streams.into_iter().map(wire).collect()
}

async fn one_by_one(mut wire: Wire, requests: Vec<Vec<u8>>) -> Result<Vec<Message>> {
    let mut answers = Vec::new();
    for request in requests {
        wire.send(&request).await?;
        answers.push(wire.message(true).await?.ok_or("no answer")?);
    }
    Ok(answers)
}

async fn piped_at_once(mut wire: Wire, requests: Vec<Vec<u8>>) -> Result<Vec<Message>> {
    let mut answers = Vec::new();
    wire.send(&requests.concat()).await?;
    for _ in &requests {
        answers.push(wire.message(true).await?.ok_or("no answer")?);
    }
    Ok(answers)
}

/// As what goes through a library of HTTP has it: names in lower case, in an order of its own, and nothing of how a body
/// was framed. Lines of one name keep their order.
fn loosely(message: &Message) -> Message {
    let lines = message.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone()));
    let framing = ["transfer-encoding", "content-length"];
    let lines = lines.filter(|(name, _)| !framing.contains(&name.as_str()));
    let mut headers: Vec<_> = lines.collect();
    headers.sort_by(|(one, _), (other, _)| one.cmp(other));
    Message { headers, ..message.clone() }
}

impl Truth {
    /// The same for what was recorded rather than converted.
    pub(crate) fn holds_loosely(&self, exchanges: &[Exchange]) -> Result<()> {
        let (truth, exchanges) = self.loosely(exchanges);
        truth.holds(&exchanges)
    }

    /// The same for what was recorded rather than converted.
    pub(crate) fn is_loosely(&self, exchanges: &[Exchange]) -> Result<()> {
        let (truth, exchanges) = self.loosely(exchanges);
        truth.is(&exchanges)
    }

    fn loosely(&self, exchanges: &[Exchange]) -> (Self, Vec<Exchange>) {
        let all = |of: &BTreeMap<String, Message>| {
            of.iter().map(|(id, message)| (id.clone(), loosely(message))).collect()
        };
        let of = |it: &Exchange| Exchange {
            request: loosely(&it.request),
            answer: loosely(&it.answer),
            ..it.clone()
        };
        let truth = Self { requests: all(&self.requests), answers: all(&self.answers) };
        (truth, exchanges.iter().map(of).collect())
    }

    /// Whether all of these were sent and answered just so, each once; not whether they are all.
    pub(crate) fn holds(&self, exchanges: &[Exchange]) -> Result<()> {
        let mut seen = std::collections::BTreeSet::new();
        for exchange in exchanges {
            let id = name(&exchange.request);
            let request = self.requests.get(&id).ok_or_else(|| format!("{id:?} was not sent"))?;
            ensure!(seen.insert(id.clone()), "{id} comes twice");
            alike(&id, request, &exchange.request, exchange.has_request_body)?;
            alike(&id, &self.answers[&id], &exchange.answer, exchange.has_answer_body)?;
        }
        Ok(())
    }

    /// Whether these are all, and whole.
    pub(crate) fn is(&self, exchanges: &[Exchange]) -> Result<()> {
        self.holds(exchanges)?;
        let names: Vec<_> = exchanges.iter().map(|it| name(&it.request)).collect();
        let missing: Vec<_> = self.requests.keys().filter(|id| !names.contains(id)).collect();
        ensure!(missing.is_empty(), "missing are {missing:?}");
        let cut = exchanges.iter().filter(|it| !it.has_request_body || !it.has_answer_body);
        let cut: Vec<_> = cut.map(|it| name(&it.request)).collect();
        ensure!(cut.is_empty(), "bodies of {cut:?} were not kept");
        Ok(())
    }
}

/// Whether a message was found as it was sent.
pub(crate) fn alike(id: &str, sent: &Message, found: &Message, has_body: bool) -> Result<()> {
    ensure!(sent.first == found.first, "{id}: {} became {}", sent.first, found.first);
    ensure!(sent.headers == found.headers, "{id}: {:?} became {:?}", sent.headers, found.headers);
    let (sent, found) = (&sent.body, &found.body);
    ensure!(!has_body || sent == found, "{id}: {} bytes became {}", sent.len(), found.len());
    Ok(())
}
