//! One target: connects, sends, times, and says whose fault a failure is. The only HTTP client.
//!
//! Built on hyper's connections rather than on a ready-made client, for three reasons: path,
//! query and headers pass untouched; connecting is told apart from answering, since only the
//! latter is the target's latency; and a request that was never written to a dead pooled
//! connection can be sent on another one.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, LengthLimitError};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

mod addresses;
pub mod dial;
pub mod target;

pub use dial::Dns;
use dial::{Dialer, Peer};
pub use target::Target;

use crate::exchange::Role;

/// Connections kept open without a request; more are closed when they become idle.
const IDLE_MAX: usize = 512;
/// A connection that was not used for this long is closed rather than used again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Read buffer of a connection to the candidate, which also bounds its response heads: many
/// connections to a candidate that sends without end must not add up.
const CANDIDATE_BUFFER: usize = 64 * 1024;

/// What a request to an upstream carries.
pub type OutBody = UnsyncBoxBody<Bytes, BoxError>;

/// Why a request's body broke off.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body of nothing.
pub fn empty_body() -> OutBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body that is there already.
pub fn full_body(bytes: Bytes) -> OutBody {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// Why a call gave no response head.
#[derive(Debug)]
pub enum Error {
    /// No connection.
    Connect(io::Error),
    /// No connection within the time for it.
    ConnectTimeout,
    /// The connection ended, or what came back was no HTTP.
    Broken(hyper::Error),
    /// The client's upload broke off; the upstream is not to blame.
    Upload,
    /// The client's upload went over its limit and was cut.
    UploadTooLarge,
    /// No response head in time.
    HeadTimeout,
}

impl Error {
    fn of(error: hyper::Error) -> Self {
        if !error.is_user() {
            return Self::Broken(error);
        }
        match std::error::Error::source(&error) {
            Some(cause) if cause.is::<LengthLimitError>() => Self::UploadTooLarge,
            _ => Self::Upload,
        }
    }

    /// A word for it that tells nothing about the inside; for clients and logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Connect(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                "connection refused"
            }
            Self::Connect(_) => "cannot connect",
            Self::ConnectTimeout => "no connection in time",
            Self::Broken(error) if error.is_parse() => "invalid response",
            Self::Broken(_) => "connection closed before a response",
            Self::Upload => "upload broken off",
            Self::UploadTooLarge => "upload too large",
            Self::HeadTimeout => "no response in time",
        }
    }

    /// Whether there was no connection to send anything on.
    pub fn is_connect(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::ConnectTimeout)
    }

    /// Whether time ran out, which a client is told as 504, all else as 502.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::ConnectTimeout | Self::HeadTimeout)
    }
}

/// When a request was sent whole; the zero of latency and of the time for the response head.
#[derive(Debug, Default)]
pub struct Sent(Mutex<Option<Instant>>);

impl Sent {
    /// Notes that the request is sent whole now.
    pub fn mark(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// When it was, or `None` while it is still being sent.
    pub fn at(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server behind the proxy, with its pool of connections.
#[derive(Debug)]
pub struct Upstream {
    /// Which of the two it is.
    pub role: Role,
    target: Target,
    host: HeaderValue,
    tls: Option<Tls>,
    connect_timeout: Duration,
    dialer: Arc<Dialer>,
    idle: Mutex<VecDeque<Idle>>,
}

struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tls").field(&self.name).finish()
    }
}

#[derive(Debug)]
struct Idle {
    sender: SendRequest<OutBody>,
    peer: Peer,
    since: Instant,
}

impl Upstream {
    /// An upstream without connections; they are made when needed.
    ///
    /// # Errors
    /// For an https target, when the system has no usable root certificates.
    pub fn new(
        role: Role,
        target: Target,
        connect_timeout: Duration,
        dns: Dns,
    ) -> io::Result<Arc<Self>> {
        let host = HeaderValue::try_from(target.authority()).map_err(io::Error::other)?;
        let tls = target.tls.then(|| tls(&target)).transpose()?;
        let dialer = Dialer::new(target.host.clone(), target.port, dns);
        let idle = Mutex::default();
        Ok(Arc::new(Self { role, target, host, tls, connect_timeout, dialer, idle }))
    }

    /// Sends a request and returns when the response head is there.
    ///
    /// `uri` and `Host` are rewritten for the target. `sent` is marked here for a body that is
    /// there already; for one that streams, whoever feeds it marks the end.
    ///
    /// # Errors
    /// See [`Error`]. When a pooled connection turns out to be dead, a request that was never
    /// written to it is sent on another. One that was written is sent again, once and on a new
    /// connection, if it may be: its method is idempotent (RFC 9110, section 9.2.2) and it has no
    /// body.
    pub async fn send(
        self: &Arc<Self>,
        mut request: Request<OutBody>,
        sent: &Sent,
        streams: bool,
    ) -> Result<Response<UpstreamBody>, Error> {
        *request.uri_mut() = self.rewrite(request.uri());
        request.headers_mut().insert(HOST, self.host.clone());
        let repeatable = !streams && is_repeatable(&request);
        let mut pooled = true;
        loop {
            let Connection { mut sender, peer, reused } = self.connection(pooled).await?;
            let again = (reused && repeatable).then(|| head_of(&request));
            if !streams {
                sent.mark();
            }
            let mut failed = match sender.try_send_request(request).await {
                Ok(response) => return Ok(self.lease(response, sender, peer, sent)),
                Err(failed) => failed,
            };
            let unsent = failed.take_message().filter(|_| reused);
            let error = failed.into_error();
            request = match (unsent, again) {
                (Some(unsent), _) => unsent,
                (None, Some(again)) if !error.is_parse() && !error.is_user() => {
                    // What killed one connection may have killed them all.
                    pooled = false;
                    again
                }
                _ => return Err(Error::of(error)),
            };
        }
    }

    fn rewrite(&self, uri: &Uri) -> Uri {
        let asked = uri.path_and_query().cloned();
        let asked = asked.unwrap_or_else(|| PathAndQuery::from_static("/"));
        if self.target.prefix.is_empty() {
            return Uri::from(asked);
        }
        let prefixed = format!("{}{asked}", self.target.prefix);
        // Both halves were accepted as paths before; should the whole not be, the plain path goes.
        PathAndQuery::try_from(prefixed).map_or_else(|_| Uri::from(asked), Uri::from)
    }

    fn lease(
        self: &Arc<Self>,
        response: Response<Incoming>,
        sender: SendRequest<OutBody>,
        peer: Peer,
        sent: &Sent,
    ) -> Response<UpstreamBody> {
        // An answer before the request was whole leaves the connection in the middle of a request.
        let whole = sent.at().is_some();
        let lease = whole.then(|| Lease { upstream: Arc::clone(self), sender, peer });
        response.map(|inner| {
            let mut body = UpstreamBody { inner, lease };
            body.put_back_if_whole();
            body
        })
    }

    async fn connection(&self, pooled: bool) -> Result<Connection, Error> {
        while pooled && let Some(Idle { mut sender, peer, .. }) = self.pop_idle() {
            if sender.is_ready() {
                return Ok(Connection { sender, peer, reused: true });
            }
            // Its own task has yet to see that the last exchange is over.
            let ready = tokio::time::timeout(self.connect_timeout, sender.ready());
            if matches!(ready.await, Ok(Ok(()))) {
                return Ok(Connection { sender, peer, reused: true });
            }
        }
        let connecting = tokio::time::timeout(self.connect_timeout, self.connect());
        let (sender, peer) = connecting.await.map_err(|_| Error::ConnectTimeout)??;
        Ok(Connection { sender, peer, reused: false })
    }

    fn pop_idle(&self) -> Option<Idle> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(mut newest) = idle.pop_back() {
            if newest.since.elapsed() > IDLE_TIMEOUT {
                idle.clear();
                return None;
            }
            if !newest.sender.is_closed() && self.dialer.is_current(&mut newest.peer) {
                return Some(newest);
            }
        }
        None
    }

    fn put_back(&self, sender: SendRequest<OutBody>, mut peer: Peer) {
        let since = Instant::now();
        self.dialer.refresh_if_due(since);
        if !self.dialer.is_current(&mut peer) {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while idle.front().is_some_and(|oldest| oldest.since.elapsed() > IDLE_TIMEOUT) {
            idle.pop_front();
        }
        if idle.len() < IDLE_MAX {
            idle.push_back(Idle { sender, peer, since });
        }
    }

    async fn connect(&self) -> Result<(SendRequest<OutBody>, Peer), Error> {
        let (tcp, peer) = self.dialer.connect().await.map_err(Error::Connect)?;
        tcp.set_nodelay(true).map_err(Error::Connect)?;
        let sender = match &self.tls {
            None => handshake(self.role, TokioIo::new(tcp)).await,
            Some(tls) => {
                let stream = tls.connector.connect(tls.name.clone(), tcp).await;
                handshake(self.role, TokioIo::new(stream.map_err(Error::Connect)?)).await
            }
        };
        Ok((sender?, peer))
    }
}

/// A connection for one request.
struct Connection {
    sender: SendRequest<OutBody>,
    peer: Peer,
    /// It carried requests before, and may have died since without our knowing.
    reused: bool,
}

fn is_repeatable(request: &Request<OutBody>) -> bool {
    request.method().is_idempotent() && request.body().is_end_stream()
}

/// The same request once more, of one without a body.
fn head_of(request: &Request<OutBody>) -> Request<OutBody> {
    let mut copy = Request::new(empty_body());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    copy
}

#[expect(clippy::disallowed_methods, reason = "the one module that builds an HTTP client")]
async fn handshake<I>(role: Role, io: I) -> Result<SendRequest<OutBody>, Error>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let mut builder = Builder::new();
    builder.preserve_header_case(true);
    if role == Role::Candidate {
        builder.max_buf_size(CANDIDATE_BUFFER);
    }
    let (sender, connection) = builder.handshake(io).await.map_err(Error::Broken)?;
    tokio::spawn(async move {
        // Whoever waits for the response gets the same error and reports it.
        drop(connection.await);
    });
    Ok(sender)
}

fn tls(target: &Target) -> io::Result<Tls> {
    use rustls_platform_verifier::ConfigVerifierExt;
    let config = ClientConfig::with_platform_verifier().map_err(io::Error::other)?;
    let name = ServerName::try_from(target.host.clone()).map_err(io::Error::other)?;
    Ok(Tls { connector: TlsConnector::from(Arc::new(config)), name })
}

/// Waits for a response head, at most `limit` from the request sent whole; a slow upload is not
/// a slow upstream.
///
/// # Errors
/// Those of the call, or [`Error::HeadTimeout`].
pub async fn head_within<T>(
    limit: Duration,
    sent: &Sent,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let mut call = std::pin::pin!(call);
    let mut due = Instant::now() + limit;
    loop {
        if let Ok(done) = tokio::time::timeout_at(due, call.as_mut()).await {
            return done;
        }
        due = sent.at().unwrap_or_else(Instant::now) + limit;
        if due <= Instant::now() {
            return Err(Error::HeadTimeout);
        }
    }
}

#[derive(Debug)]
struct Lease {
    upstream: Arc<Upstream>,
    sender: SendRequest<OutBody>,
    peer: Peer,
}

/// A response body that gives its connection back to the pool when it is whole, and closes it
/// when it is dropped before.
#[derive(Debug)]
pub struct UpstreamBody {
    inner: Incoming,
    lease: Option<Lease>,
}

impl UpstreamBody {
    fn put_back_if_whole(&mut self) {
        if self.inner.is_end_stream() {
            self.put_back();
        }
    }

    fn put_back(&mut self) {
        if let Some(Lease { upstream, sender, peer }) = self.lease.take() {
            upstream.put_back(sender, peer);
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &polled {
            Some(Ok(_)) => self.put_back_if_whole(),
            Some(Err(_)) => self.lease = None,
            None => self.put_back(),
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
