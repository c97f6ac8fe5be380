//! One target: connects, sends, times, and says whose fault a failure is. The only HTTP client.
//!
//! Built on hyper's connections rather than on a ready-made client, for three reasons: path,
//! query and headers pass untouched; connecting is told apart from answering, since only the
//! latter is the target's latency; and a request that was never written to a dead pooled
//! connection can be sent on another one.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, TRANSFER_ENCODING, UPGRADE};
use http::uri::{self, Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Method, Request, Response, Uri, Version};
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, LengthLimitError};
use tokio::time::Instant;

mod addresses;
mod connect;
pub mod dial;
mod heads;
mod health;
mod pool;
mod raw;
mod replay;
mod response;
mod socket;
mod streams;
pub mod target;
mod tls;

pub use connect::{HeadLimits, RenewedTls};
pub use dial::Dns;
pub use health::Shown;
pub use response::UpstreamBody;
pub use target::{HostHeader, Protocol, Target};
pub use tls::{ClientIdentity, Trust};

use connect::Connector;
use health::Health;
use pool::{Connection, Idle};
use replay::Replay;
use response::Lease;
use streams::Streams;

use crate::exchange::Role;
use crate::headers::{is_grpc, target as target_bytes};
use crate::limits::pace::TooSlow;

/// An HTTP/2 connection that was not used for this long is closed rather than used again; also the
/// most that an HTTP/1.1 server's own word is believed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// As long as an HTTP/1.1 connection may wait where neither its server nor a setting says: many close it
/// after 5 s, and a request that meets the closing may be lost.
const UNTOLD_IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// How often one request goes out over HTTP/2 whose server does not process it.
const ATTEMPTS: usize = 3;

/// What a request to an upstream carries.
pub type OutBody = UnsyncBoxBody<Bytes, BoxError>;

/// Why a body broke off.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Makes a request once more, should its connection turn out to be dead.
pub type Anew<'a> = &'a (dyn Fn() -> Request<OutBody> + Sync);

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
    /// The client's upload is no HTTP.
    UploadMalformed,
    /// The client's upload went over its limit and was cut.
    UploadTooLarge,
    /// The client's upload was too slow and was cut.
    UploadTooSlow,
    /// No response head in time.
    HeadTimeout,
    /// Its answer is in a transfer coding that is not undone here, or has no end that can be found.
    TransferCoding,
    /// It switches to another protocol, and nobody asked it to.
    UnaskedUpgrade,
}

impl Error {
    fn of(error: hyper::Error) -> Self {
        if !error.is_user() {
            return Self::Broken(error);
        }
        match std::error::Error::source(&error) {
            Some(cause) if cause.is::<LengthLimitError>() => Self::UploadTooLarge,
            Some(cause) if cause.is::<TooSlow>() => Self::UploadTooSlow,
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
            Self::Broken(error) if error.is_parse_too_large() => "response header too large",
            Self::Broken(error) if error.is_parse() => "invalid response",
            Self::TransferCoding => "unsupported transfer coding",
            Self::UnaskedUpgrade => "invalid response",
            Self::Broken(_) => "connection closed before a response",
            Self::Upload => "upload broken off",
            Self::UploadMalformed => "malformed upload",
            Self::UploadTooLarge => "upload too large",
            Self::UploadTooSlow => "upload too slow",
            Self::HeadTimeout => "no response in time",
        }
    }

    /// Whether there was no connection to send anything on.
    pub fn is_connect(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::ConnectTimeout)
    }

    /// Whether it is the client's upload that broke the call off.
    pub fn is_the_clients(&self) -> bool {
        matches!(
            self,
            Self::Upload | Self::UploadMalformed | Self::UploadTooLarge | Self::UploadTooSlow
        )
    }

    /// Whether time ran out, which a client is told as 504, all else as 502.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::ConnectTimeout | Self::HeadTimeout)
    }
}

/// When a request was sent whole; the zero of latency and of the time for the response head.
#[derive(Debug, Default)]
pub struct Sent {
    at: Mutex<Option<Instant>>,
    malformed: AtomicBool,
}

impl Sent {
    /// Notes that the request is sent whole now.
    pub fn mark(&self) {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// When it was, or `None` while it is still being sent.
    pub fn at(&self) -> Option<Instant> {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that it never will be: what its client sends is no HTTP.
    pub fn note_malformed(&self) {
        self.malformed.store(true, Ordering::Relaxed);
    }

    /// See [`Self::note_malformed`].
    pub fn is_malformed(&self) -> bool {
        self.malformed.load(Ordering::Relaxed)
    }
}

/// What `Host` of a copy says, whatever the settings of its candidate say: an extension of the request.
#[derive(Clone, Debug)]
pub struct Named(pub HeaderValue);

/// A server behind the proxy, with its pool of connections.
#[derive(Debug)]
pub struct Upstream {
    /// Which of the two it is.
    pub role: Role,
    target: Target,
    host: HeaderValue,
    connector: Connector,
    connect_timeout: Duration,
    idle_timeout: Duration,
    idle: Mutex<VecDeque<Idle>>,
    streams: Streams,
    health: Health,
}

impl Upstream {
    /// An upstream without connections; they are made when needed.
    ///
    /// # Errors
    /// For an https target, when the system has no usable root certificates.
    pub fn new(
        role: Role,
        target: Target,
        trust: &Trust,
        connect_timeout: Duration,
        dns: Dns,
    ) -> io::Result<Arc<Self>> {
        let (heads, idle_timeout) = (HeadLimits::default(), UNTOLD_IDLE_TIMEOUT);
        Self::with_limits(role, target, trust, (connect_timeout, idle_timeout), dns, heads)
    }

    /// As [`Self::new`], with other limits for the heads of answers, and with the time that a connection
    /// may wait for a request beside that for connecting.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_limits(
        role: Role,
        target: Target,
        trust: &Trust,
        (connect_timeout, idle_timeout): (Duration, Duration),
        dns: Dns,
        heads: HeadLimits,
    ) -> io::Result<Arc<Self>> {
        let host = HeaderValue::try_from(target.authority()).map_err(io::Error::other)?;
        let connector = Connector::new(role, &target, trust, dns, heads)?;
        let (idle, streams) = (Mutex::default(), Streams::default());
        Ok(Arc::new(Self {
            role,
            target,
            host,
            connector,
            connect_timeout,
            idle_timeout,
            idle,
            streams,
            health: Health::default(),
        }))
    }

    /// Lines of answers that were no headers and were left out, since the start; of HTTP/1.1.
    pub fn lines_dropped(&self) -> u64 {
        self.connector.lines_dropped.load(Ordering::Relaxed)
    }

    /// How it does.
    pub fn health(&self) -> Shown {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).len();
        let opened = self.connector.opened.load(Ordering::Relaxed);
        self.health.show(self.connector.dialer.known(), opened, idle + self.streams.count())
    }

    /// Where it is, for people.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Takes note of how a call of it ended, for those who end calls themselves.
    pub fn note_failure(&self, error: &Error) {
        self.health.failed(error);
    }

    /// What new connections trust and show from now on; those that are open stay as they are.
    pub fn renew_tls(&self, renewed: RenewedTls) {
        self.connector.renew_tls(renewed);
    }

    /// Whether this request goes out over HTTP/2.
    pub fn speaks_http2<B>(&self, request: &Request<B>) -> bool {
        match self.target.protocol {
            Protocol::Auto => request.method() == Method::POST && is_grpc(request.headers()),
            Protocol::Http1 => false,
            // Only HTTP/1.1 can leave for another protocol.
            Protocol::Http2 => !request.headers().contains_key(UPGRADE),
        }
    }

    /// Sends a request and returns when the response head is there.
    ///
    /// `uri` and `Host` are rewritten for the target. `sent` is marked here for a body that is
    /// there already; for one that streams, whoever feeds it marks the end.
    ///
    /// # Errors
    /// See [`Error`]. When a pooled connection turns out to be dead, a request that was never
    /// written to it is sent on another. One that was written is sent again, once and on a new
    /// connection, if it may be: its method is idempotent (RFC 9110, section 9.2.2), and all that went
    /// out of its body is kept. Over HTTP/2 any method is, where the server says that it did not
    /// process the request (RFC 9113, section 8.7).
    pub async fn send(
        self: &Arc<Self>,
        request: Request<OutBody>,
        sent: &Sent,
        streams: bool,
    ) -> Result<Response<UpstreamBody>, Error> {
        self.send_anew(request, sent, streams, None).await
    }

    /// As [`Self::send`], of a request that can be made `anew`: no copy is kept of it meanwhile.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_anew(
        self: &Arc<Self>,
        request: Request<OutBody>,
        sent: &Sent,
        streams: bool,
        anew: Option<Anew<'_>>,
    ) -> Result<Response<UpstreamBody>, Error> {
        let answer = self.send_counted(request, sent, streams, anew).await;
        match &answer {
            Ok(_) => self.health.answered(sent.at().map(|sent| sent.elapsed())),
            Err(error) => self.health.failed(error),
        }
        answer
    }

    async fn send_counted(
        self: &Arc<Self>,
        mut request: Request<OutBody>,
        sent: &Sent,
        streams: bool,
        anew: Option<Anew<'_>>,
    ) -> Result<Response<UpstreamBody>, Error> {
        let path = self.rewrite(request.uri());
        self.name_host(&mut request);
        if self.speaks_http2(&request) {
            // Boxed, as all that is not done for most requests: a future is as large as its largest
            // step, and is moved about.
            return Box::pin(self.send_http2(request, path, sent, streams)).await;
        }
        *request.uri_mut() = Uri::from(path);
        let repeatable = !streams && is_repeatable(&request);
        let replay = has_kept_body(&request).then(|| keep_body(&mut request));
        let mut pooled = true;
        loop {
            let Connection { mut sender, peer, watch, reused } =
                self.connection(pooled, repeatable).await?;
            let repeats = reused && (repeatable || replay.is_some());
            let kept = (repeats && (anew.is_none() || replay.is_some())).then(|| head_of(&request));
            if !streams {
                sent.mark();
            }
            watch.begin();
            let mut failed = match sender.try_send_request(request).await {
                Ok(mut response) => {
                    response::frame(&mut response)?;
                    return Ok(self.lease(response, (sender, peer, watch), sent));
                }
                Err(failed) => failed,
            };
            let unsent = failed.take_message().filter(|_| reused);
            let error = failed.into_error();
            request = match unsent {
                Some(unsent) => unsent,
                None if repeats && !error.is_parse() && !error.is_user() => {
                    // What killed one connection may have killed them all.
                    pooled = false;
                    let made = || anew.map(|anew| self.addressed(anew()));
                    let again = kept.or_else(made).expect("kept unless it can be made anew");
                    match &replay {
                        None => again,
                        Some(replay) => match replay.body() {
                            Some(body) => again.map(|_| body),
                            None => return Err(Error::of(error)),
                        },
                    }
                }
                None => return Err(Error::of(error)),
            };
        }
    }

    /// As it goes out over HTTP/1.1.
    fn addressed(&self, mut request: Request<OutBody>) -> Request<OutBody> {
        *request.uri_mut() = Uri::from(self.rewrite(request.uri()));
        self.name_host(&mut request);
        request
    }

    async fn send_http2(
        &self,
        mut request: Request<OutBody>,
        path: PathAndQuery,
        sent: &Sent,
        streams: bool,
    ) -> Result<Response<UpstreamBody>, Error> {
        let host = request.headers_mut().remove(HOST);
        // Its targets have no other bytes than those of a URI.
        let encoded = target_bytes::shown(path.as_str()).parse();
        let path = encoded.unwrap_or(path);
        *request.uri_mut() = self.absolute(host.as_ref(), path);
        *request.version_mut() = Version::HTTP_2;
        for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE] {
            request.headers_mut().remove(name);
        }
        let idempotent = request.method().is_idempotent();
        let replay = (!request.body().is_end_stream()).then(|| keep_body(&mut request));
        let mut left = ATTEMPTS;
        loop {
            let again = head_of(&request);
            let taking =
                tokio::time::timeout(self.connect_timeout, self.streams.take(&self.connector));
            let (mut sender, slot, pooled) = taking.await.map_err(|_| Error::ConnectTimeout)??;
            if !streams {
                sent.mark();
            }
            let mut failed = match sender.try_send_request(request).await {
                Ok(response) => {
                    let lease = Some(Lease::Stream { _slot: slot });
                    return Ok(response.map(|inner| UpstreamBody::new(inner, lease)));
                }
                Err(failed) => failed,
            };
            let unsent = failed.take_message().filter(|_| pooled);
            let error = failed.into_error();
            let refused = is_unprocessed(&error);
            if refused || pooled && !error.is_user() {
                // Neither a dead connection nor one that refuses is given more requests.
                self.streams.forget(&slot);
            }
            if let Some(unsent) = unsent {
                request = unsent;
                continue;
            }
            // Without an answer, that a dead connection's server did nothing is known of no method.
            let repeats = refused || pooled && idempotent && !error.is_user() && left == ATTEMPTS;
            left -= 1;
            let body = if let Some(replay) = &replay { replay.body() } else { Some(empty_body()) };
            request = match body.filter(|_| repeats && left > 0) {
                Some(body) => again.map(|_| body),
                None => return Err(Error::of(error)),
            };
        }
    }

    /// What HTTP/2 says instead of `Host`; the target's own, should the client's be no authority.
    fn absolute(&self, host: Option<&HeaderValue>, path: PathAndQuery) -> Uri {
        let scheme = if self.target.tls { Scheme::HTTPS } else { Scheme::HTTP };
        let authority = |value: &HeaderValue| Authority::try_from(value.as_bytes()).ok();
        let mut parts = uri::Parts::default();
        parts.authority = host.and_then(authority).or_else(|| authority(&self.host));
        parts.scheme = Some(scheme);
        parts.path_and_query = Some(path.clone());
        Uri::from_parts(parts).unwrap_or_else(|_| Uri::from(path))
    }

    fn name_host(&self, request: &mut Request<OutBody>) {
        // Of copies alone: looking it up costs every request of a client otherwise.
        if self.role == Role::Candidate
            && let Some(Named(host)) = request.extensions().get().cloned()
        {
            request.headers_mut().insert(HOST, host);
            return;
        }
        let headers = request.headers_mut();
        match &self.target.host_header {
            HostHeader::Preserve if headers.contains_key(HOST) => {}
            HostHeader::Target | HostHeader::Preserve => {
                headers.insert(HOST, self.host.clone());
            }
            HostHeader::Literal(value) => {
                headers.insert(HOST, value.clone());
            }
        }
    }

    fn rewrite(&self, uri: &Uri) -> PathAndQuery {
        let asked = uri.path_and_query().cloned();
        let asked = asked.map_or_else(|| PathAndQuery::from_static("/"), with_a_path);
        // `OPTIONS *` is about the server and no path.
        if self.target.prefix.is_empty() || asked == "*" {
            return asked;
        }
        let prefixed = format!("{}{asked}", self.target.prefix);
        // Both halves were accepted as paths before; should the whole not be, the plain path goes.
        PathAndQuery::try_from(prefixed).unwrap_or(asked)
    }
}

/// A URL may have an empty path, which is sent as `/` (RFC 9112, section 3.2.1).
fn with_a_path(asked: PathAndQuery) -> PathAndQuery {
    match asked.as_str().as_bytes() {
        // So the library calls an empty one, too, of which it writes nothing.
        b"/" => PathAndQuery::from_static("/"),
        [b'/' | b'*', ..] => asked,
        _ => PathAndQuery::try_from(format!("/{}", asked.as_str())).unwrap_or(asked),
    }
}

fn is_repeatable(request: &Request<OutBody>) -> bool {
    request.method().is_idempotent() && request.body().is_end_stream()
}

/// Whether it has a body, and may be sent again.
fn has_kept_body(request: &Request<OutBody>) -> bool {
    request.method().is_idempotent() && !request.body().is_end_stream()
}

/// Puts a body in its place that can be had once more.
fn keep_body(request: &mut Request<OutBody>) -> Replay {
    let replay = Replay::new(std::mem::replace(request.body_mut(), empty_body()));
    *request.body_mut() = replay.body().expect("nothing of it went out");
    replay
}

/// Whether an HTTP/2 server said that it did not process this request: it refused the stream, or left
/// it out when it said goodbye (RFC 9113, sections 6.8 and 8.7). h2 tells a stream of a goodbye only
/// where it leaves that stream out.
fn is_unprocessed(error: &hyper::Error) -> bool {
    let source =
        std::error::Error::source(error).and_then(|source| source.downcast_ref::<h2::Error>());
    source.is_some_and(|error| {
        error.is_remote()
            && (error.is_go_away()
                || error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM))
    })
}

/// The same request once more, without its body.
fn head_of(request: &Request<OutBody>) -> Request<OutBody> {
    let mut copy = Request::new(empty_body());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    copy
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
        let now = Instant::now();
        // Connecting has a limit of its own, and so has whoever feeds the upload.
        due = sent.at().unwrap_or(now) + limit;
        if due <= now {
            return Err(Error::HeadTimeout);
        }
    }
}
