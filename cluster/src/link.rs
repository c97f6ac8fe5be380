//! The way to the engine: one round trip tells what is new here and hears what is new elsewhere.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use judge::guardrail::standing::Standing;
use redis::aio::MultiplexedConnection;
use redis::streams::StreamRangeReply;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, Pipeline, RedisError, Script,
};
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::settings::Settings;

/// Replicas that write otherwise do not read each other. It is part of the names of keys.
const FORMAT: u32 = 1;
/// How long a round trip may take, and a connection. Whoever waits is a task of its own.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long batches are kept: a replica that has just come begins with what these say.
const KEPT: Duration = Duration::from_secs(30);
/// Batches read at once.
const READ_MAX: usize = 512;
/// A replica that was not heard for so long is gone,
const GONE: Duration = Duration::from_secs(5);
/// and is not shown any more after this.
const FORGOTTEN: Duration = Duration::from_secs(300);
/// Keys of a deployment of which nothing was heard for so long are deleted.
const EXPIRE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Says the next version of something, for whoever knows the last one.
const PROPOSE: &str = "
local known = redis.call('HGET', KEYS[1], ARGV[1])
local version = known and string.match(known, '^%d+') or '0'
if version ~= ARGV[2] then return known or '' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return ARGV[3]";

/// Why the engine cannot be asked. Never tells a password.
#[derive(Debug)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Self {
        Self(error.to_string())
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// What is on and what is off, as somebody decided it last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Versioned {
    /// The how many-th decision it is; 0 stands for none.
    #[serde(skip)]
    pub version: u64,
    /// By the engine's clock, since 1970.
    pub standing: Standing,
    /// Which replica decided.
    pub by: String,
    /// Why, in words.
    pub why: String,
    /// Replicas whose pairs are left out, until then, by the engine's clock.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aside: BTreeMap<String, Duration>,
}

impl Versioned {
    /// Whether the pairs of a replica are left out now.
    pub fn is_aside(&self, replica: &str, now: Duration) -> bool {
        self.aside.get(replica).is_some_and(|until| *until > now)
    }

    fn read(text: &str) -> Option<Self> {
        let (version, rest) = text.split_once(' ')?;
        let said: Self = serde_json::from_str(rest).ok()?;
        Some(Self { version: version.parse().ok()?, ..said })
    }

    fn write(&self) -> std::io::Result<String> {
        Ok(format!("{} {}", self.version, serde_json::to_string(self)?))
    }
}

/// What a replica says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// Tells apart two that have one name, and one from itself after a restart.
    pub run: u64,
    /// When it was heard last, by the engine's clock.
    #[serde(default)]
    pub seen: Duration,
    /// How it writes; those that write otherwise judge apart.
    #[serde(default)]
    pub format: u32,
    /// Its version.
    pub version: String,
    /// The revision of its settings.
    pub revision: String,
    /// By candidate: how many pairs its own evidence is of, and what that is.
    pub evidence: BTreeMap<String, (u64, f64)>,
}

/// What is told.
#[derive(Debug, Default)]
pub struct Told {
    /// What this replica says of itself.
    pub peer: Peer,
    /// What its pairs said.
    pub batches: Vec<Batch>,
}

/// What is heard.
#[derive(Debug, Default)]
pub struct Heard {
    /// Now, by the engine's clock, since 1970.
    pub now: Duration,
    /// What pairs said, those of this replica included: by whom, when, what.
    pub batches: Vec<(String, Duration, Batch)>,
    /// There are more.
    pub more: bool,
    /// Batches that could not be read.
    pub unreadable: u64,
    /// What is on and what is off, by candidate.
    pub standings: BTreeMap<String, Versioned>,
    /// Who is there, by name.
    pub peers: BTreeMap<String, Peer>,
}

impl Heard {
    /// Those that are not gone.
    pub fn alive(&self) -> impl Iterator<Item = (&String, &Peer)> {
        self.peers.iter().filter(|(_, peer)| self.now.saturating_sub(peer.seen) < GONE)
    }
}

/// What became of a proposal.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It holds.
    Taken,
    /// Another came before; this holds. `None`: nothing holds, although something was known.
    Refused(Option<Versioned>),
}

/// The way to the engine.
#[derive(Debug)]
pub struct Link {
    settings: Settings,
    connection: Option<MultiplexedConnection>,
    /// The last batch that was read.
    last: String,
    /// What the engine's clock showed once, and when that was.
    clock: Option<(Instant, Duration)>,
}

impl Link {
    /// Not connected yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, connection: None, last: "-".to_owned(), clock: None }
    }

    /// What this replica is called.
    pub fn replica(&self) -> &str {
        &self.settings.replica
    }

    /// Tells what is new here and hears what is new elsewhere.
    ///
    /// # Errors
    /// The engine cannot be asked. What was told may have arrived.
    pub async fn exchange(&mut self, told: &Told) -> Result<Heard, Error> {
        let (now, mut peer) = (self.now().await?, told.peer.clone());
        (peer.seen, peer.format) = (now, FORMAT);
        let mut pipeline = redis::pipe();
        let pairs = self.key("pairs");
        pipeline.cmd("TIME");
        for batch in &told.batches {
            let least = now.saturating_sub(KEPT).as_millis().to_string();
            let add = pipeline.cmd("XADD").arg(&pairs).arg("MINID").arg("~").arg(least).arg("*");
            add.arg("by").arg(self.replica()).arg("said").arg(batch.write()?).ignore();
        }
        pipeline.cmd("XRANGE").arg(&pairs).arg(&self.last).arg("+").arg("COUNT").arg(READ_MAX);
        pipeline.cmd("HGETALL").arg(self.key("standing"));
        let peers = self.settings.key("replicas");
        let said = serde_json::to_string(&peer).map_err(std::io::Error::from)?;
        pipeline.cmd("HSET").arg(&peers).arg(self.replica()).arg(said).ignore();
        pipeline.cmd("HGETALL").arg(&peers);
        for key in [&pairs, &self.key("standing"), &peers] {
            pipeline.cmd("EXPIRE").arg(key).arg(EXPIRE.as_secs()).ignore();
        }
        let came: Came = self.ask(&pipeline).await?;
        let heard = self.heard(came);
        self.clock = Some((Instant::now(), heard.now));
        self.forget_the_gone(&heard).await?;
        Ok(heard)
    }

    /// Now, by the engine's clock: those of replicas may differ.
    async fn now(&mut self) -> Result<Duration, Error> {
        if let Some((at, showed)) = self.clock {
            return Ok(showed + at.elapsed());
        }
        let mut pipeline = redis::pipe();
        pipeline.cmd("TIME");
        let (time,): (Time,) = self.ask(&pipeline).await?;
        Ok(duration(time))
    }

    fn heard(&mut self, (time, entries, standings, peers): Came) -> Heard {
        let now = duration(time);
        let mut heard = Heard { now, more: entries.ids.len() == READ_MAX, ..Heard::default() };
        for entry in entries.ids {
            let sent = entry.id.split_once('-').and_then(|(ms, _)| ms.parse().ok());
            let said: Option<Vec<u8>> = entry.get("said");
            let batch = said.and_then(|said| Batch::read(&said).ok());
            match (entry.get("by"), sent, batch) {
                (Some(by), Some(sent), Some(batch)) => {
                    heard.batches.push((by, Duration::from_millis(sent), batch));
                }
                _ => heard.unreadable += 1,
            }
            // What comes behind it.
            self.last = format!("({}", entry.id);
        }
        let read = |(name, text): (String, String)| Some((name, Versioned::read(&text)?));
        heard.standings = standings.into_iter().filter_map(read).collect();
        let read = |(name, text): (String, String)| Some((name, serde_json::from_str(&text).ok()?));
        heard.peers = peers.into_iter().filter_map(read).collect();
        heard
    }

    async fn forget_the_gone(&mut self, heard: &Heard) -> Result<(), Error> {
        let is_gone = |peer: &Peer| heard.now.saturating_sub(peer.seen) > FORGOTTEN;
        let gone: Vec<_> = heard.peers.iter().filter(|(_, peer)| is_gone(peer)).collect();
        if gone.is_empty() {
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        let names: Vec<_> = gone.into_iter().map(|(name, _)| name).collect();
        pipeline.cmd("HDEL").arg(self.settings.key("replicas")).arg(names).ignore();
        self.ask(&pipeline).await
    }

    /// Says what is on and what is off from now on, where the version before this one is what holds.
    ///
    /// # Errors
    /// The engine cannot be asked. What was said may hold.
    pub async fn propose(&mut self, candidate: &str, next: &Versioned) -> Result<Answer, Error> {
        let said = next.write()?;
        let script = Script::new(PROPOSE);
        let mut call = script.prepare_invoke();
        call.key(self.key("standing")).arg(candidate).arg(next.version - 1).arg(&said);
        let mut connection = self.connection().await?;
        let came: Result<String, RedisError> = call.invoke_async(&mut connection).await;
        let came = came.inspect_err(|_| self.connection = None)?;
        Ok(if came == said { Answer::Taken } else { Answer::Refused(Versioned::read(&came)) })
    }

    /// Sees to it that only one tells of something that all see at once: whether it is this one. It is forgotten
    /// after a time.
    ///
    /// # Errors
    /// The engine cannot be asked.
    pub async fn first(&mut self, of: &str, time: Duration) -> Result<bool, Error> {
        let mut pipeline = redis::pipe();
        let set = pipeline.cmd("SET").arg(self.key(of)).arg(self.replica()).arg("NX").arg("PX");
        set.arg(u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1));
        let (set,): (Option<String>,) = self.ask(&pipeline).await?;
        Ok(set.is_some())
    }

    fn key(&self, of: &str) -> String {
        self.settings.key(&format!("{FORMAT}:{of}"))
    }

    async fn ask<T: redis::FromRedisValue>(&mut self, pipeline: &Pipeline) -> Result<T, Error> {
        let mut connection = self.connection().await?;
        let answer = match pipeline.query_async(&mut connection).await {
            // All keys are in one slot of a cluster, and so on the node that it names.
            Err(error) if error.redirect_node().is_some() => {
                let (node, _) = error.redirect_node().expect("it has just been there");
                connection = self.moved(node).await?;
                pipeline.query_async(&mut connection).await
            }
            answer => answer,
        };
        answer.map_err(|error| {
            self.connection = None;
            Error::from(error)
        })
    }

    async fn connection(&mut self) -> Result<MultiplexedConnection, Error> {
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let connection = connect(self.settings.client()).await?;
        self.connection = Some(connection.clone());
        Ok(connection)
    }

    async fn moved(&mut self, node: &str) -> Result<MultiplexedConnection, Error> {
        let info = self.settings.client().get_connection_info().clone();
        let (host, port) =
            node.rsplit_once(':').ok_or_else(|| Error(format!("moved to {node}")))?;
        let port = port.parse().map_err(|_| Error(format!("moved to {node}")))?;
        let addr = match info.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
                host: host.to_owned(),
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host.to_owned(), port),
        };
        let client = Client::open(info.set_addr(addr).into_connection_info()?)?;
        let connection = connect(&client).await?;
        self.connection = Some(connection.clone());
        Ok(connection)
    }
}

async fn connect(client: &Client) -> Result<MultiplexedConnection, Error> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
}

/// Seconds since 1970, and microseconds.
type Time = (u64, u64);
/// What comes back of one round trip.
type Came = (Time, StreamRangeReply, BTreeMap<String, String>, BTreeMap<String, String>);

fn duration((seconds, micros): Time) -> Duration {
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}
