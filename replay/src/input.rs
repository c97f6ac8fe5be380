//! Where exchanges are read from: folders of recordings, files of every format that is known, and standard input.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use conversations::{Budget, Captured, KeyLog, Lost, Of, Overheard, Setup};
use packets::Filter;
use proxy::config::Config;
use stored::Remote;
use tokio::runtime::Handle;
use traffic::disk::Disk;
use traffic::open::Opened;
use traffic::read::{Position, Segments};
use traffic::{Exchange, Limits};

use crate::options::Packets;
use crate::progress::Reading;

/// Why a run that had nothing to send is none.
pub const NOTHING: &str = "there was no exchange to be read";
/// Bytes of a body that is put together from packets: a file is read at its reader's pace, so that there is room for
/// uploads that a live source would leave out.
const BODY: usize = 64 << 20;
/// Bytes that one connection may hold: some bodies at once, as HTTP/2 has them.
const CONVERSATION: usize = 4 * BODY;
/// Bytes that bodies of packets may take together.
const CONVERSATIONS: usize = 2 * CONVERSATION;
/// Exchanges of one run are told by their ids from those that came for other candidates.
const IDS: usize = 64;

type Exchanges = Box<dyn Iterator<Item = Result<Exchange, String>> + Send>;

/// All that is to be read, one after the other.
pub struct Input {
    sources: VecDeque<Source>,
    current: Option<Exchanges>,
    packets: Packets,
    reading: Reading,
    /// Of what is read over the network.
    runtime: Option<Handle>,
    /// The last that were read; `None` where all lines are wanted.
    ids: Option<VecDeque<String>>,
    again: u64,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("sources", &self.sources).finish_non_exhaustive()
    }
}

/// One of them, which was there.
#[derive(Debug)]
enum Source {
    Folder(PathBuf),
    File(PathBuf),
    Store(String),
    Standard,
}

impl Input {
    /// Looks whether all of it is there.
    ///
    /// # Errors
    /// What is not.
    pub fn open(sources: &[String], packets: &Packets) -> Result<Self, String> {
        let (mut all, mut bytes) = (VecDeque::new(), Some(0));
        for name in sources {
            let source = Source::of(name)?;
            bytes = bytes.zip(source.bytes()).map(|(sum, more)| sum + more);
            all.push_back(source);
        }
        let reading = Reading { done: Arc::default(), all: bytes };
        let (packets, ids) = (packets.clone(), Some(VecDeque::new()));
        let runtime = Handle::try_current().ok();
        Ok(Self { sources: all, current: None, packets, reading, runtime, ids, again: 0 })
    }

    /// Every line, those too that several candidates of one exchange have.
    #[must_use]
    pub fn with_all_lines(self) -> Self {
        Self { ids: None, ..self }
    }

    /// Lines that were passed over, since their exchange was read already.
    pub fn again(&self) -> u64 {
        self.again
    }

    /// How much of it was read.
    pub fn reading(&self) -> Reading {
        self.reading.clone()
    }

    /// Whether it is one more line of an exchange that several candidates answered.
    fn is_again(&mut self, exchange: &Exchange) -> bool {
        let Some(ids) = &mut self.ids else { return false };
        if exchange.id.is_empty() || exchange.pair.is_none() {
            return false;
        }
        if ids.contains(&exchange.id) {
            self.again += 1;
            return true;
        }
        if ids.len() >= IDS {
            ids.pop_front();
        }
        ids.push_back(exchange.id.clone());
        false
    }
}

impl Iterator for Input {
    type Item = Result<Box<Exchange>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(current) = &mut self.current else {
                let source = self.sources.pop_front()?;
                match source.exchanges(&self.packets, &self.reading.done, self.runtime.as_ref()) {
                    Ok(exchanges) => self.current = Some(exchanges),
                    Err(why) => return Some(Err(why)),
                }
                continue;
            };
            match current.next() {
                None => self.current = None,
                Some(Err(why)) => return Some(Err(why)),
                Some(Ok(exchange)) if self.is_again(&exchange) => {}
                Some(Ok(exchange)) => return Some(Ok(Box::new(exchange))),
            }
        }
    }
}

impl Source {
    fn of(name: &str) -> Result<Self, String> {
        if name == "-" {
            return Ok(Self::Standard);
        }
        if name.starts_with("s3://") {
            return Ok(Self::Store(name.to_owned()));
        }
        let path = PathBuf::from(name);
        match fs::metadata(&path) {
            Ok(about) if about.is_dir() => Ok(Self::Folder(path)),
            Ok(_) => Ok(Self::File(path)),
            Err(error) => Err(format!("{name}: {error}")),
        }
    }

    fn bytes(&self) -> Option<u64> {
        match self {
            Self::Standard | Self::Store(_) => None,
            Self::File(path) => fs::metadata(path).ok().map(|it| it.len()),
            Self::Folder(path) => {
                let files = fs::read_dir(path).ok()?.flatten();
                let about = files.filter_map(|it| it.metadata().ok());
                Some(about.filter(fs::Metadata::is_file).map(|it| it.len()).sum())
            }
        }
    }

    fn exchanges(
        self,
        packets: &Packets,
        done: &Arc<AtomicU64>,
        runtime: Option<&Handle>,
    ) -> Result<Exchanges, String> {
        match self {
            Self::Folder(path) => {
                let counted = Folder { disk: Disk::new(&path), done: Arc::clone(done) };
                let read = Segments::new(counted, Position::default(), &Limits::default());
                let read = read.map_err(|error| format!("{}: {error}", path.display()))?;
                Ok(told(read, path.display().to_string()))
            }
            Self::File(path) => {
                let name = path.display().to_string();
                let file = File::open(&path).map_err(|error| format!("{name}: {error}"))?;
                of_bytes(Counted { inner: file, done: Arc::clone(done) }, &name, packets)
            }
            Self::Store(url) => {
                let failed = |error: &dyn std::fmt::Display| format!("{url}: {error}");
                let runtime = runtime.ok_or_else(|| failed(&"there is no runtime"))?;
                let remote = Remote::new(Config::store(&url)?, runtime.clone());
                let read = Segments::new(remote, Position::default(), &Limits::default());
                let read = read.map_err(|error| failed(&error))?;
                Ok(told(read, url))
            }
            Self::Standard => {
                of_bytes(Counted { inner: io::stdin(), done: Arc::clone(done) }, "-", packets)
            }
        }
    }
}

/// Says where something could not be read.
fn told<E: std::fmt::Display>(
    exchanges: impl Iterator<Item = Result<Exchange, E>> + Send + 'static,
    name: String,
) -> Exchanges {
    Box::new(exchanges.map(move |it| it.map_err(|error| format!("{name}: {error}"))))
}

/// By what it is.
fn of_bytes(
    source: impl Read + Send + 'static,
    name: &str,
    packets: &Packets,
) -> Result<Exchanges, String> {
    let opened = traffic::open::open(source, name, &Limits::default());
    match opened.map_err(|error| format!("{name}: {error}"))? {
        Some(Opened::Exchanges(exchanges)) => Ok(told(exchanges, name.to_owned())),
        Some(Opened::Packets(_, plain)) => {
            let read = Captured::new(plain, overheard(packets)?);
            let read = read.map_err(|error| format!("{name}: {error}"))?;
            Ok(Box::new(OfPackets { read, name: name.to_owned(), is_over: false }))
        }
        None => {
            let known =
                "recordings (.jsonl, .jsonl.zst), .gor, HAR, pcap and pcapng, each also gzipped";
            Err(format!("{name}: is of no format that is known; allowed is {known}"))
        }
    }
}

/// Exchanges of packets; at the end what could not be read of them is told.
struct OfPackets<R: Read> {
    read: Captured<R>,
    name: String,
    is_over: bool,
}

impl<R: Read> Iterator for OfPackets<R> {
    type Item = Result<Exchange, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(found) = self.read.next() {
            return Some(found.map_err(|error| format!("{}: {error}", self.name)));
        }
        if std::mem::replace(&mut self.is_over, true) {
            return None;
        }
        let lost = self.read.overheard().told();
        let lost = lost.lost().filter(|(lost, count)| *count > 0 && is_of_requests(*lost));
        let lost: Vec<_> = lost.map(|(lost, count)| format!("{count} {}", lost.name())).collect();
        let told = || format!("{}: not all could be read: {}", self.name, lost.join(", "));
        (!lost.is_empty()).then(|| Err(told()))
    }
}

/// Requests that were seen, and connections that may have had some.
fn is_of_requests(lost: Lost) -> bool {
    match lost.of() {
        Of::Request => true,
        Of::Connection => lost != Lost::NotHttp,
        Of::Other | Of::Body => false,
    }
}

/// Listens to packets.
///
/// # Errors
/// A key log that cannot be read.
pub fn overheard(packets: &Packets) -> Result<Overheard, String> {
    let keys = keys(packets)?;
    let budget = Budget::new(CONVERSATIONS);
    let limits = conversations::Limits {
        body_bytes: BODY,
        conversation_bytes: CONVERSATION,
        ..conversations::Limits::default()
    };
    let setup = Setup { limits, budget, keys };
    let filter = Filter { ports: packets.ports.clone(), ..Filter::default() };
    Ok(Overheard::new(packets::Limits::default(), filter, setup))
}

/// The keys of encrypted connections, where there are any.
///
/// # Errors
/// A key log that cannot be read.
pub fn keys(packets: &Packets) -> Result<Option<KeyLog>, String> {
    let Some(path) = &packets.keylog else { return Ok(None) };
    let read = fs::read(path);
    let text = read.map_err(|error| format!("--keylog {}: {error}", path.display()))?;
    Ok(Some(KeyLog::parse(&text)))
}

/// A capture of packets in a file, or from standard input.
///
/// # Errors
/// It cannot be read, or is none.
pub fn capture(name: &str) -> Result<Box<dyn Read + Send>, String> {
    let source: Box<dyn Read + Send> = match name {
        "-" => Box::new(io::stdin()),
        path => Box::new(File::open(path).map_err(|error| format!("{name}: {error}"))?),
    };
    let opened = traffic::open::open(source, name, &Limits::default());
    match opened.map_err(|error| format!("{name}: {error}"))? {
        Some(Opened::Packets(_, plain)) => Ok(plain),
        Some(Opened::Exchanges(_)) => {
            Err(format!("{name}: has exchanges, not packets; mirrorlab-replay reads it"))
        }
        None => Err(format!("{name}: is no capture of packets; allowed is pcap and pcapng")),
    }
}

/// Counts what is read.
#[derive(Debug)]
struct Counted<R> {
    inner: R,
    done: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.done.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// A folder of which it is counted what is read.
#[derive(Debug)]
struct Folder {
    disk: Disk,
    done: Arc<AtomicU64>,
}

impl traffic::read::Source for Folder {
    type File = Counted<File>;

    fn list(&mut self) -> io::Result<Vec<String>> {
        traffic::read::Source::list(&mut self.disk)
    }

    fn open(&mut self, name: &str) -> io::Result<Self::File> {
        let inner = self.disk.open(name)?;
        Ok(Counted { inner, done: Arc::clone(&self.done) })
    }
}
