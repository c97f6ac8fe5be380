//! Connects to a name: asks for its addresses again as time goes by, and tries them all.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::addresses::Addresses;

/// An attempt that takes longer has the next address tried beside it (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// A name that gave no answer, or whose addresses all failed, is not asked for again sooner.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// How long a request whose connections all failed waits for other addresses.
const ASK_PATIENCE: Duration = Duration::from_millis(500);

/// A unix socket whose queue is full refuses at once, and is asked again after this.
const QUEUE_FULL: Duration = Duration::from_millis(5);

/// What a resolver answers.
pub type Answer<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// Finds the addresses of a name.
pub trait Resolve: std::fmt::Debug + Send + Sync {
    /// The addresses of `host`, each with `port`.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Answer<'a>;
}

/// The system's resolver.
#[derive(Debug)]
pub struct System;

impl Resolve for System {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Answer<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// How names are resolved.
#[derive(Clone, Debug)]
pub struct Dns {
    /// Asked for the addresses.
    pub resolver: Arc<dyn Resolve>,
    /// Asked again, beside the traffic, when its last answer is older than this.
    pub refresh: Duration,
}

impl Default for Dns {
    fn default() -> Self {
        Self { resolver: Arc::new(System), refresh: Duration::from_secs(10) }
    }
}

/// Where a connection goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    addr: Option<SocketAddr>,
    /// The dialer's when `addr` was last known to be current.
    generation: u64,
}

/// A connection, without TLS.
#[derive(Debug)]
pub(super) enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
}

#[derive(Debug)]
pub(super) struct Dialer {
    host: String,
    port: u16,
    dns: Dns,
    /// Set for a host that is an address itself and has no name to ask for.
    literal: Option<SocketAddr>,
    /// Set for a unix socket, which stands for all of that.
    socket: Option<PathBuf>,
    addresses: Mutex<Addresses>,
    /// Goes up when addresses are gone.
    generation: AtomicU64,
    started: Instant,
    /// When the name is to be asked for again, in milliseconds since the start.
    due: AtomicU64,
    /// Held while asking, so that one asks for all. When it was last asked for, and what failed.
    asking: tokio::sync::Mutex<Option<(Instant, Option<io::ErrorKind>)>>,
}

impl Dialer {
    pub(super) fn new(host: String, port: u16, dns: Dns) -> Arc<Self> {
        Self::to(host, port, None, dns)
    }

    /// One that connects to a unix socket.
    pub(super) fn local(path: PathBuf, dns: Dns) -> Arc<Self> {
        Self::to(String::new(), 0, Some(path), dns)
    }

    fn to(host: String, port: u16, socket: Option<PathBuf>, dns: Dns) -> Arc<Self> {
        let literal = host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port));
        let asking = tokio::sync::Mutex::default();
        let (generation, due) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
        let addresses = Mutex::default();
        let started = Instant::now();
        Arc::new(Self {
            host,
            port,
            dns,
            literal,
            socket,
            addresses,
            generation,
            started,
            due,
            asking,
        })
    }

    /// Where connections go, as far as it is known.
    pub(super) fn known(&self) -> Vec<SocketAddr> {
        match self.literal {
            Some(literal) => vec![literal],
            None => self.addresses().all(),
        }
    }

    /// Whether a connection may still be used, or goes where the name no longer points.
    pub(super) fn is_current(&self, peer: &mut Peer) -> bool {
        let generation = self.generation.load(Ordering::Acquire);
        if peer.generation != generation {
            if !peer.addr.is_some_and(|addr| self.addresses().is_known(addr)) {
                return false;
            }
            peer.generation = generation;
        }
        true
    }

    /// Asks for the name again when it is time to, beside the traffic; costs a look at a number
    /// when it is not.
    pub(super) fn refresh_if_due(self: &Arc<Self>, now: Instant) {
        let due = self.due.load(Ordering::Relaxed);
        if self.millis(now) < due {
            return;
        }
        // Whoever moves it on is the one to ask; the answer sets it anew.
        let taken = self.due.compare_exchange(due, u64::MAX, Ordering::Relaxed, Ordering::Relaxed);
        if taken.is_ok() {
            let dialer = Arc::clone(self);
            // A failure keeps what is known; whoever connects next reports it.
            tokio::spawn(async move { drop(dialer.ask(Some(now)).await) });
        }
    }

    /// A connection to the socket, or to one of the addresses.
    pub(super) async fn connect(self: &Arc<Self>) -> io::Result<(Transport, Peer)> {
        if let Some(path) = &self.socket {
            let generation = self.generation.load(Ordering::Acquire);
            let peer = Peer { addr: None, generation };
            loop {
                match UnixStream::connect(path).await {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        tokio::time::sleep(QUEUE_FULL).await;
                    }
                    connected => return Ok((Transport::Unix(connected?), peer)),
                }
            }
        }
        let (stream, peer) = self.connect_tcp().await?;
        stream.set_nodelay(true)?;
        Ok((Transport::Tcp(stream), peer))
    }

    async fn connect_tcp(self: &Arc<Self>) -> io::Result<(TcpStream, Peer)> {
        let generation = self.generation.load(Ordering::Acquire);
        if let Some(addr) = self.literal {
            let stream = TcpStream::connect(addr).await?;
            return Ok((stream, Peer { addr: Some(addr), generation }));
        }
        let start = Instant::now();
        self.refresh_if_due(start);
        let mut addresses = self.addresses().next(start);
        let fresh = addresses.is_empty();
        if fresh {
            self.ask(start.checked_sub(ASK_AGAIN)).await?;
            addresses = self.addresses().next(start);
        }
        let dialed = self.dial(&addresses).await;
        let dialed = match dialed {
            Err(error) if !fresh => {
                // All that was known failed; the name may point elsewhere by now.
                if !self.ask_soon(start.checked_sub(ASK_AGAIN)).await {
                    return Err(error);
                }
                let mut others = self.addresses().next(Instant::now());
                others.retain(|addr| !addresses.contains(addr));
                if others.is_empty() { Err(error) } else { self.dial(&others).await }
            }
            dialed => dialed,
        };
        let (stream, addr) = dialed?;
        Ok((stream, Peer { addr: Some(addr), generation }))
    }

    /// Tries addresses in their order, the next one when one fails or takes long.
    async fn dial(&self, addresses: &[SocketAddr]) -> io::Result<(TcpStream, SocketAddr)> {
        if let [addr] = addresses {
            let stream = TcpStream::connect(addr).await?;
            return Ok((stream, *addr));
        }
        // Attempts that lose are dropped with the set.
        let mut attempts = JoinSet::new();
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        let mut left = addresses.iter().copied();
        let mut started = Vec::with_capacity(addresses.len());
        loop {
            if let Some(addr) = left.next() {
                started.push(addr);
                attempts.spawn(async move { (addr, TcpStream::connect(addr).await) });
            } else if attempts.is_empty() {
                return Err(last);
            }
            let wait = if left.len() > 0 { ATTEMPT_DELAY } else { Duration::MAX };
            match timeout(wait, attempts.join_next()).await {
                Ok(Some(Ok((addr, Ok(stream))))) => {
                    // Those before it were slower, if they are there at all.
                    let now = Instant::now();
                    let mut known = self.addresses();
                    started.iter().for_each(|addr| known.note(*addr, Some(now)));
                    known.note(addr, None);
                    return Ok((stream, addr));
                }
                Ok(Some(Ok((_, Err(error))))) => last = error,
                Ok(Some(Err(_)) | None) | Err(_) => {}
            }
        }
    }

    /// Asks for the name; whether there was an answer soon. One that comes later is for others: a
    /// resolver that hangs must not make a refused connection hang too.
    async fn ask_soon(self: &Arc<Self>, since: Option<Instant>) -> bool {
        // In a task of its own it comes to its end; who asks already does so in one.
        if self.asking.try_lock().is_ok() {
            let dialer = Arc::clone(self);
            tokio::spawn(async move { drop(dialer.ask(since).await) });
            tokio::task::yield_now().await;
        }
        timeout(ASK_PATIENCE, self.ask(since)).await.is_ok_and(|asked| asked.is_ok())
    }

    /// Asks for the name, unless somebody did at or after `since`.
    async fn ask(&self, since: Option<Instant>) -> io::Result<()> {
        let mut last = self.asking.lock().await;
        let (at, failure) = match *last {
            Some((at, failure)) if since.is_some_and(|since| at >= since) => (at, failure),
            _ => {
                let answer = self.dns.resolver.resolve(&self.host, self.port).await;
                (Instant::now(), self.take_in(answer))
            }
        };
        *last = Some((at, failure));
        let wait = if failure.is_some() { ASK_AGAIN } else { self.dns.refresh };
        self.due.store(self.millis(at + wait), Ordering::Relaxed);
        failure.map_or(Ok(()), |kind| Err(kind.into()))
    }

    /// Why there is no address, if there is none.
    fn take_in(&self, answer: io::Result<Vec<SocketAddr>>) -> Option<io::ErrorKind> {
        let mut addresses = self.addresses();
        let kind = match answer {
            Ok(found) if !found.is_empty() => {
                if addresses.learn(&found) {
                    self.generation.fetch_add(1, Ordering::Release);
                }
                return None;
            }
            Ok(_) => io::ErrorKind::NotFound,
            Err(error) => error.kind(),
        };
        // What is known stays: a name that cannot be asked for has not changed.
        addresses.is_empty().then_some(kind)
    }

    fn addresses(&self) -> MutexGuard<'_, Addresses> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn millis(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.started).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX - 1)
    }
}
