//! The HTTP server: connections are taken, limited, spoken with in HTTP/1 or HTTP/2, and drained.
//!
//! Who answers is an argument ([`Answer`]): nothing here knows of mirroring or of admin endpoints.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tracing::{debug, warn};

use crate::exchange::Refusal;
use crate::headers::{self, Peer};
use crate::limits::Limits;
use crate::limits::clients::{Client, Clients};
use crate::limits::frames::{Frames, is_flood};
use crate::limits::timed::{Activity, Busy, Patience, Timed};
use crate::listen::proxy_protocol::{self, Networks};
use crate::listen::tls::Shown;
use crate::listen::{self, Listening};
use crate::log_limit::LogLimit;
use crate::metrics::Metrics;

/// How often the same failure is logged at most.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// Who answers what clients ask.
pub trait Answer: Send + Sync + 'static {
    /// What an answer's body is.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>
        + Unpin
        + Send
        + 'static;

    /// Answers a request of this peer; `client` counts its requests that are in flight.
    fn answer(
        &self,
        request: Request<Incoming>,
        peer: &Peer,
        client: &Arc<AtomicUsize>,
        connection: &Activity,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// The answer to a request that [`headers::is_malformed`].
    fn malformed(&self) -> Response<Self::Body>;

    /// A request was refused before it was one.
    fn note_refused(&self, refusal: Refusal);

    /// The body of an answer gave up on its way.
    fn note_broken_response(&self);
}

/// How long a connection that was taken and has a request to come, or a part of one, may keep it back once all of
/// them are to end.
const PROMISED: Duration = Duration::from_secs(1);
/// Connections that are still taken when a listener closes: as many as may wait.
const WAITING: usize = listen::BACKLOG as usize;

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    /// Each answer is the last one of its connection.
    Leaving,
    /// Connections end as soon as they owe no answer, and are cut off after this time.
    Ending(Duration),
}

/// A listener with its connections.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub addr: SocketAddr,
    phase: watch::Sender<Phase>,
    task: JoinHandle<usize>,
}

impl Server {
    /// Takes connections from now on.
    pub fn start<A: Answer>(listener: Listening, serving: Arc<Serving<A>>) -> Self {
        let addr = listener.socket.local_addr().expect("a bound socket has an address");
        let (phase, now) = watch::channel(Phase::Serving);
        let task = tokio::spawn(accept(listener, serving, now));
        Self { addr, phase, task }
    }

    /// Lets clients go: they are told with their next answer that it is the last one of their
    /// connection. A listener of its own goes on to take connections; a shared one is left to others.
    pub fn leave(&self) {
        self.phase.send_replace(Phase::Leaving);
    }

    /// Waits for the connections to end; how many did not within `limit` and are cut off.
    pub async fn stop(self, limit: Duration) -> usize {
        self.phase.send_replace(Phase::Ending(limit));
        self.task.await.unwrap_or(0)
    }
}

async fn accept<A: Answer>(
    Listening { socket, is_shared }: Listening,
    serving: Arc<Serving<A>>,
    mut phase: watch::Receiver<Phase>,
) -> usize {
    let mut taken =
        Taken { connections: JoinSet::new(), phase: phase.clone(), serving: Arc::clone(&serving) };
    let failures = LogLimit::new(LOG_EVERY);
    let mut socket = Some(socket);
    let limit = loop {
        tokio::select! {
            biased;
            changed = phase.changed() => {
                if changed.is_err() {
                    // Whoever could have drained us is gone, and so are we.
                    return 0;
                }
                match *phase.borrow_and_update() {
                    Phase::Ending(limit) => break limit,
                    // Who else takes from it says that all is well, and may be the only one who does.
                    Phase::Leaving if is_shared => drop(socket.take()),
                    Phase::Leaving | Phase::Serving => {}
                }
            }
            Some(_) = taken.connections.join_next(), if !taken.connections.is_empty() => {}
            accepted = next(socket.as_ref()) => match accepted {
                Ok((stream, peer)) => taken.take(stream, peer),
                Err(error) => {
                    if let Some(before) = failures.admit(std::time::Instant::now()) {
                        warn!(%error, not_logged_before = before, "cannot accept a connection");
                    }
                    // Out of descriptors, most likely: trying again at once would only burn a core.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    };
    if let Some(socket) = socket.filter(|_| !is_shared) {
        taken.take_waiting(&socket);
    }
    taken.drain(limit).await
}

async fn next(socket: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match socket {
        Some(socket) => socket.accept().await,
        None => std::future::pending().await,
    }
}

/// The connections of a listener.
struct Taken<A> {
    connections: JoinSet<()>,
    phase: watch::Receiver<Phase>,
    serving: Arc<Serving<A>>,
}

impl<A: Answer> Taken<A> {
    fn take(&mut self, stream: TcpStream, peer: SocketAddr) {
        if self.connections.len() >= self.serving.limits.connections {
            return self.serving.metrics.count_refused(Refusal::Connections);
        }
        let serving = Arc::clone(&self.serving);
        self.connections.spawn(serve(stream, peer, serving, self.phase.clone()));
    }

    /// Takes what waits already: nobody else will, and the kernel would reset it.
    fn take_waiting(&mut self, socket: &TcpListener) {
        for _ in 0..WAITING {
            let Some(Ok((stream, peer))) = socket.accept().now_or_never() else { break };
            self.take(stream, peer);
        }
    }

    async fn drain(mut self, limit: Duration) -> usize {
        let connections = &mut self.connections;
        let drain = async { while connections.join_next().await.is_some() {} };
        // Whether in time or not, what is left is counted; it ends with the set of connections.
        tokio::time::timeout(limit, drain).await.ok();
        while connections.try_join_next().is_some() {}
        connections.len()
    }
}

/// What a listener does with its connections.
pub struct Serving<A> {
    service: A,
    tls: Option<Arc<Shown>>,
    builder: Builder<TokioExecutor>,
    limits: Limits,
    clients: Clients,
    metrics: Arc<Metrics>,
    /// Say with the PROXY protocol who their clients are.
    balancers: Networks,
}

impl<A> std::fmt::Debug for Serving<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serving").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl<A: Answer> Serving<A> {
    /// Serves within these limits; `balancers` name their clients.
    pub fn new(
        service: A,
        tls: Option<Arc<Shown>>,
        balancers: Networks,
        limits: Limits,
        metrics: &Arc<Metrics>,
    ) -> Arc<Self> {
        let (builder, clients) = (limits.builder(), Clients::default());
        let metrics = Arc::clone(metrics);
        Arc::new(Self { service, tls, builder, limits, clients, metrics, balancers })
    }

    /// The address of the client, which a balancer names; `None` where it does not.
    async fn client(&self, stream: &mut TcpStream, peer: IpAddr) -> Option<IpAddr> {
        if !self.balancers.contains(peer) {
            return Some(peer);
        }
        let named = proxy_protocol::read(stream);
        match tokio::time::timeout(self.limits.head_timeout, named).await {
            Ok(Ok(named)) => Some(named.unwrap_or(peer)),
            Ok(Err(error)) => {
                debug!(%peer, %error, "a balancer does not name its client");
                self.metrics.count_refused(Refusal::ProxyProtocol);
                None
            }
            Err(_) => {
                self.metrics.count_refused(Refusal::HeadTimeout);
                None
            }
        }
    }
}

async fn serve<A: Answer>(
    mut stream: TcpStream,
    peer: SocketAddr,
    serving: Arc<Serving<A>>,
    phase: watch::Receiver<Phase>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        // It has ended already, as a rule: not worth a line each.
        debug!(%error, "cannot set up a connection");
        return;
    }
    let Some(ip) = serving.client(&mut stream, peer.ip()).await else { return };
    let client = serving.clients.of(ip);
    if client.connections > serving.limits.connections_per_client {
        return serving.metrics.count_refused(Refusal::ClientConnections);
    }
    let Some(tls) = &serving.tls else {
        let from = (Peer::new(ip, "http"), client);
        return converse(stream, from, serving, phase).await;
    };
    // The handshake belongs to the time that a first request may take to arrive.
    match tokio::time::timeout(serving.limits.head_timeout, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => {
            let from = (Peer::new(ip, "https"), client);
            converse(stream, from, serving, phase).await;
        }
        // Port scanners and clients that do not trust us, as a rule: not worth a line each.
        Ok(Err(error)) => debug!(%error, "no TLS handshake"),
        Err(_) => serving.metrics.count_refused(Refusal::HeadTimeout),
    }
}

/// Speaks HTTP/1 or HTTP/2, as the client begins, until the connection ends.
async fn converse<I, A>(
    io: I,
    (peer, client): (Peer, Client),
    serving: Arc<Serving<A>>,
    phase: watch::Receiver<Phase>,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Answer,
{
    let activity = Arc::new(Activity::default());
    let Limits { head_timeout: head, idle_timeout: idle, write, .. } = serving.limits;
    let counting = Arc::clone(&serving);
    let on_refusal = move |refusal| counting.metrics.count_refused(refusal);
    let stream = Timed::new(io, Arc::clone(&activity), Patience { head, idle, write }, on_refusal);
    let frames = Arc::clone(&activity);
    let answering = Arc::new((Arc::clone(&serving), peer, client, Arc::clone(&activity)));
    let (told, promised) = (phase.clone(), Arc::clone(&activity));
    let answer = service_fn(move |mut request: Request<Incoming>| {
        let busy = activity.begin(request.version());
        let (answering, told, version) = (Arc::clone(&answering), told.clone(), request.version());
        async move {
            let (serving, peer, client, activity) = &*answering;
            let mut response =
                if !activity.targets().restore(&mut request) || headers::is_malformed(&request) {
                    serving.metrics.count_refused(Refusal::Malformed);
                    serving.service.malformed()
                } else {
                    serving.service.answer(request, peer, &client.requests, activity).await
                };
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                busy.becomes_tunnel();
            } else if version <= Version::HTTP_11 && *told.borrow() != Phase::Serving {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response.map(|body| Kept::new(body, busy)))
        }
    });
    let io = TokioIo::new(Frames::new(stream, serving.limits.header_bytes, frames));
    let mut connection = pin!(serving.builder.serve_connection_with_upgrades(io, answer));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = until_end(phase, &promised) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        note_error(&serving.service, &*error);
    }
}

/// Waits until a connection is to end. hyper ends one at once that owes no answer, be it that its request is
/// on the way: the client had every reason to send it. Between two requests nobody can tell; for that there is the
/// time of [`Phase::Leaving`].
async fn until_end(mut phase: watch::Receiver<Phase>, activity: &Activity) {
    if phase.wait_for(|phase| matches!(phase, Phase::Ending(_))).await.is_err() {
        // The connection ends with whoever has it.
        return std::future::pending().await;
    }
    tokio::time::timeout(PROMISED, activity.begins()).await.ok();
}

/// hyper has answered or closed already; what is left is to count.
fn note_error(service: &impl Answer, error: &(dyn Error + 'static)) {
    match error.downcast_ref::<hyper::Error>() {
        Some(error) if error.is_parse_too_large() => {
            service.note_refused(Refusal::HeadersTooLarge);
        }
        // The body that we were passing on gave up.
        Some(error) if error.is_user() => service.note_broken_response(),
        Some(error) if error.is_parse() => service.note_refused(Refusal::Malformed),
        Some(error) if is_flood(error) => service.note_refused(Refusal::Flood),
        _ => {}
    }
}

/// A body that keeps its connection busy until it is written.
struct Kept<B> {
    body: B,
    busy: Busy,
}

impl<B> Kept<B> {
    fn new(body: B, busy: Busy) -> Self {
        busy.client_is_next(true);
        Self { body, busy }
    }
}

impl<B: Body + Unpin> Body for Kept<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.busy.client_is_next(polled.is_ready());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
