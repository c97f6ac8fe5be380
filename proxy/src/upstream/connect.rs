//! Opening connections to an upstream: TCP, TLS, and the handshake of either HTTP version.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::dial::{Dialer, Dns, Peer, Transport};
use super::heads::Heads;
use super::raw::Raw;
use super::socket::{Kept, Socket, Watch};
use super::{Error, OutBody, Target, Trust};
use crate::exchange::Role;
use crate::listen::proxy_protocol::{LOCAL, Networks};

/// Requests in flight on one connection before another is opened; what most servers allow.
pub(super) const PER_CONNECTION: usize = 100;

/// What one stream of the candidate may send ahead: many of a candidate that sends without end must
/// not add up.
const CANDIDATE_WINDOW: u32 = 64 * 1024;

/// What one stream of the baseline may send ahead of a client that reads slowly.
const BASELINE_WINDOW: u32 = 256 * 1024;

/// An HTTP/2 connection that does not answer a ping, asked this often and given this long, is dead.
/// Over HTTP/1.1 a call that times out takes its connection with it; here others would follow it.
const PING: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));

/// Header lines of an answer that hyper parses without an allocation.
const HEADERS_ON_STACK: usize = 100;

/// How large the head of an answer may be: the same for every upstream, or a twin would fail where
/// its original does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes, the status line included.
    pub bytes: usize,
    /// Lines.
    pub lines: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { bytes: 512 * 1024, lines: 1000 }
    }
}

/// Opens connections to one target.
#[derive(Debug)]
pub(super) struct Connector {
    role: Role,
    heads: HeadLimits,
    announced_from: Networks,
    pub(super) dialer: Arc<Dialer>,
    tls: Mutex<Option<Arc<Tls>>>,
    /// Lines of answers that are no headers.
    pub(super) lines_dropped: Arc<AtomicU64>,
    /// Connections opened since the start.
    pub(super) opened: AtomicU64,
}

/// What HTTP goes over, with TLS or without.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// TLS towards an upstream, read anew and ready for use.
#[derive(Debug)]
pub struct RenewedTls(Option<Arc<Tls>>);

impl RenewedTls {
    /// Only the TLS side of `target` is looked at.
    ///
    /// # Errors
    /// When authorities, name or certificate cannot be used.
    pub fn new(target: &Target, trust: &Trust) -> io::Result<Self> {
        tls_towards(target, trust).map(Self)
    }
}

fn tls_towards(target: &Target, trust: &Trust) -> io::Result<Option<Arc<Tls>>> {
    target.tls.then(|| Tls::new(target, trust).map(Arc::new)).transpose()
}

struct Tls {
    name: ServerName<'static>,
    http1: TlsConnector,
    http2: TlsConnector,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tls").field(&self.name).finish()
    }
}

impl Tls {
    fn new(target: &Target, trust: &Trust) -> io::Result<Self> {
        let name = match &target.tls_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(target.host.clone()).map_err(io::Error::other)?,
        };
        // HTTP/1.1 needs no word of it.
        let http1 = trust.config(target.client.as_ref())?;
        let mut http2 = http1.clone();
        http2.alpn_protocols = vec![b"h2".to_vec()];
        let [http1, http2] = [http1, http2].map(|config| TlsConnector::from(Arc::new(config)));
        Ok(Self { name, http1, http2 })
    }
}

impl Connector {
    pub(super) fn new(
        role: Role,
        target: &Target,
        trust: &Trust,
        dns: Dns,
        heads: HeadLimits,
    ) -> io::Result<Self> {
        let tls = Mutex::new(tls_towards(target, trust)?);
        let dialer = match &target.socket {
            Some(path) => Dialer::local(path.clone(), dns),
            None => Dialer::new(target.host.clone(), target.port, dns),
        };
        let announced_from = target.announced_from.clone();
        let lines_dropped = Arc::default();
        let opened = AtomicU64::new(0);
        Ok(Self { role, heads, announced_from, dialer, tls, lines_dropped, opened })
    }

    /// What new connections trust and show from now on; those that are open stay as they are.
    pub(super) fn renew_tls(&self, renewed: RenewedTls) {
        *self.tls.lock().unwrap_or_else(PoisonError::into_inner) = renewed.0;
    }

    fn tls(&self) -> Option<Arc<Tls>> {
        self.tls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) async fn http1(&self) -> Result<(http1::SendRequest<OutBody>, Peer, Watch), Error> {
        let (stream, peer) = self.dialer.connect().await.map_err(Error::Connect)?;
        let (sender, watch) = match stream {
            Transport::Tcp(mut stream) => {
                self.announce(&mut stream).await.map_err(Error::Connect)?;
                self.over1(Socket::new(stream)).await?
            }
            Transport::Unix(stream) => self.over1(Socket::new(stream)).await?,
        };
        Ok((sender, peer, watch))
    }

    /// For asking a proxy from where it awaits balancers.
    async fn announce(&self, stream: &mut TcpStream) -> io::Result<()> {
        if self.announced_from.contains(stream.local_addr()?.ip()) {
            stream.write_all(LOCAL).await?;
        }
        Ok(())
    }

    async fn over1<S: Kept>(
        &self,
        stream: Socket<S>,
    ) -> Result<(http1::SendRequest<OutBody>, Watch), Error> {
        let heads = Heads::new(&self.lines_dropped);
        let watch = stream.watch(&heads);
        let sender = match self.tls() {
            None => self.handshake1(Raw::new(stream, heads)).await?,
            Some(tls) => {
                let stream = tls.http1.connect(tls.name.clone(), stream).await;
                self.handshake1(Raw::new(stream.map_err(Error::Connect)?, heads)).await?
            }
        };
        Ok((sender, watch))
    }

    pub(super) async fn http2(&self) -> Result<(http2::SendRequest<OutBody>, Peer), Error> {
        let (stream, peer) = self.dialer.connect().await.map_err(Error::Connect)?;
        let sender = match stream {
            Transport::Tcp(stream) => self.over2(stream).await?,
            Transport::Unix(stream) => self.over2(stream).await?,
        };
        Ok((sender, peer))
    }

    async fn over2<S: Stream>(&self, stream: S) -> Result<http2::SendRequest<OutBody>, Error> {
        match self.tls() {
            None => self.handshake2(TokioIo::new(stream)).await,
            Some(tls) => {
                let stream = tls.http2.connect(tls.name.clone(), stream).await;
                let stream = stream.map_err(Error::Connect)?;
                if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                    let error = io::Error::other("the upstream speaks no HTTP/2");
                    return Err(Error::Connect(error));
                }
                self.handshake2(TokioIo::new(stream)).await
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the one module that builds an HTTP client")]
    async fn handshake1<S: Stream>(
        &self,
        stream: Raw<S>,
    ) -> Result<http1::SendRequest<OutBody>, Error> {
        let io = TokioIo::new(stream);
        let mut builder = http1::Builder::new();
        builder.preserve_header_case(true).max_buf_size(self.heads.bytes);
        // What clients never see must not cost them the answer (RFC 9112, section 5).
        builder.allow_spaces_after_header_name_in_responses(true);
        builder.allow_obsolete_multiline_headers_in_responses(true);
        builder.ignore_invalid_headers_in_responses(true);
        if self.heads.lines > HEADERS_ON_STACK {
            builder.max_headers(self.heads.lines);
        }
        let (sender, connection) = builder.handshake(io).await.map_err(Error::Broken)?;
        self.opened.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            // Whoever waits for the response gets the same error and reports it.
            drop(connection.with_upgrades().await);
        });
        Ok(sender)
    }

    #[expect(clippy::disallowed_methods, reason = "the one module that builds an HTTP client")]
    async fn handshake2<I>(&self, io: I) -> Result<http2::SendRequest<OutBody>, Error>
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let window = if self.role == Role::Baseline { BASELINE_WINDOW } else { CANDIDATE_WINDOW };
        let streams = u32::try_from(PER_CONNECTION).unwrap_or(u32::MAX);
        let (interval, timeout) = PING;
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).keep_alive_interval(interval).keep_alive_timeout(timeout);
        builder.max_header_list_size(u32::try_from(self.heads.bytes).unwrap_or(u32::MAX));
        // No stream that is read slowly may use up what the others on its connection need.
        builder.initial_stream_window_size(window);
        builder.initial_connection_window_size(window.saturating_mul(streams));
        let (sender, connection) = builder.handshake(io).await.map_err(Error::Broken)?;
        self.opened.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            // Whoever waits for a response gets the same error and reports it.
            drop(connection.await);
        });
        Ok(sender)
    }
}
