//! The composition root: a checked configuration in, a running proxy out.

mod unused;

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tower::ServiceExt;
use tracing::{debug, warn};

use crate::config::{Config, Errors};
use crate::control::{self, Control};
use crate::exchange::Role;
use crate::forward::{self, Downstream, DownstreamBody, Forward};
use crate::headers::{self, Peer};
use crate::limits::Limits;
use crate::limits::clients::{Client, Clients};
use crate::limits::frames::{Frames, is_flood};
use crate::limits::timed::{Activity, Patience, Timed};
use crate::listen::bind;
use crate::listen::proxy_protocol::{self, Networks};
use crate::listen::tls::Shown;
use crate::log_limit::LogLimit;
use crate::log_queue;
use crate::metrics::{Gauges, Metrics, Refusal};
use crate::mirror::announce::Announcer;
use crate::mirror::worker::noise::Noise;
use crate::mirror::{Mirror, Probe, webhook, worker};
use crate::reload::{Fresh, Reloader};
use crate::route::Template;
use crate::route::table::Routes;
use crate::upstream::{Dns, Target, Trust, Upstream};
use compare::{Origin, Policy, Unused};
use judge::guardrail::detector::THRESHOLD;
use judge::guardrail::{Guardrail, Transition, gate};
use judge::report::{self, summarize, verdicts};
use judge::verdict::Verdict;

/// How often histogram samples are moved out of their buffers.
const UPKEEP: Duration = Duration::from_secs(5);
/// How often the same failure is logged at most.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// Why the proxy did not start.
#[derive(Debug)]
pub enum StartError {
    /// An address cannot be listened on.
    Bind(SocketAddr, io::Error),
    /// An upstream cannot be set up; https without root certificates for one.
    Upstream(Role, io::Error),
    /// The webhook cannot be set up; https without root certificates for one.
    Webhook(io::Error),
    /// The metrics registry.
    Metrics(String),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bind(addr, error) => write!(f, "cannot listen on {addr}: {error}"),
            Self::Upstream(role, error) => write!(f, "cannot set up the {}: {error}", role.name()),
            Self::Webhook(error) => write!(f, "cannot set up the webhook: {error}"),
            Self::Metrics(error) => write!(f, "cannot set up metrics: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// A running proxy.
#[derive(Debug)]
pub struct App {
    /// Where client traffic is taken.
    pub traffic: SocketAddr,
    /// Where the admin endpoints are, when they have a listener of their own.
    pub admin: Option<SocketAddr>,
    draining: Arc<AtomicBool>,
    drain_delay: Duration,
    drain_timeout: Duration,
    forward: Arc<Forward>,
    traffic_server: Server,
    admin_server: Option<Server>,
    background: Vec<JoinHandle<()>>,
    reloader: Reloader,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections whose request was not finished in time and was cut off.
    pub cut: usize,
}

/// Starts a proxy; answers whose bytes differ are compared on `compare_runtime`.
///
/// # Errors
/// See [`StartError`].
pub async fn start(config: Config, compare_runtime: Handle) -> Result<App, StartError> {
    start_probed(config, compare_runtime, None).await
}

/// As [`start`], with a probe that can make any stage of the mirror side fail.
///
/// # Errors
/// See [`StartError`].
pub async fn start_probed(
    config: Config,
    compare_runtime: Handle,
    probe: Option<Probe>,
) -> Result<App, StartError> {
    let listener = listener(config.listen)?;
    let admin_listener = config.admin.map(self::listener).transpose()?;
    let metrics = metrics()?;
    let limits = config.forward.limits.clone();
    let (baseline, candidate, secondary) = upstreams(&config)?;
    let all: Vec<_> = [&baseline, &candidate].into_iter().chain(&secondary).cloned().collect();
    let (settings, noise) = noise(&config, secondary);
    let origins = [config.baseline.origin(), config.candidate.origin()];
    let policy = policy(&config, &origins);
    let (setter, gate) = gate::gate(std::time::Instant::now());
    let guardrail = Arc::new(Mutex::new(Guardrail::new(config.guardrail, setter)));
    let decider = Arc::clone(&guardrail);
    let (posts, announcer) = announcer(config.webhook, &config.trust, &config.dns, &metrics)?;
    let told = Arc::clone(&announcer);
    let (mirror, jobs) = Mirror::new(settings, policy, decider, gate, told, compare_runtime, probe);
    let working = worker::run(Arc::clone(&mirror), jobs, candidate, noise);
    let upkeep = upkeep(Arc::clone(&metrics), Arc::clone(&mirror));
    let background = vec![tokio::spawn(posts), tokio::spawn(working), tokio::spawn(upkeep)];
    let routes = routes(config.templates, config.templates_alone, &metrics);
    let (mirrored, counted) = (Arc::clone(&mirror), Arc::clone(&metrics));
    let forward = Arc::new(Forward::new(config.forward, routes, baseline, mirrored, counted));
    let shown = config.tls.as_ref().map(|identity| Arc::new(Shown::new(identity)));
    let (draining, counting) = (Arc::default(), Arc::clone(&metrics));
    let reloader =
        Reloader::new(shown.clone(), Arc::clone(&mirror), origins, all.clone(), counting);
    let control = Control {
        guardrail,
        draining: Arc::clone(&draining),
        token: config.control_token,
        render_metrics: render(&metrics, &mirror, &forward, all, config.report),
        unused_rules: unused_rules(&mirror),
        report: Arc::new(Reporter { mirror, allowed: config.report }),
        events: events(&announcer),
        on_transition: announce(announcer),
    };
    let admin = control::router(control, &config.admin_prefix);
    let beside = admin_listener.is_none().then(|| (config.admin_prefix, admin.clone()));
    let (forwarding, counting) = (Arc::clone(&forward), Arc::clone(&metrics));
    let traffic = Traffic { forward: forwarding, admin: beside, metrics: counting };
    let serve = |listener, service, tls, balancers| {
        Server::start(listener, Serving::new(service, tls, balancers, limits.clone(), &metrics))
    };
    let traffic_server =
        serve(listener, Service::Traffic(traffic), shown, config.proxy_protocol_from);
    // No balancer stands before the admin endpoints where they have a listener of their own.
    let admin_server =
        admin_listener.map(|found| serve(found, Service::Admin(admin), None, Networks::default()));
    Ok(App {
        traffic: traffic_server.addr,
        admin: admin_server.as_ref().map(|server| server.addr),
        draining,
        drain_delay: config.drain_delay,
        drain_timeout: config.drain_timeout,
        forward,
        traffic_server,
        admin_server,
        background,
        reloader,
    })
}

/// The rules of the comparison; the key of its hashes is never known to anybody.
fn policy(config: &Config, origins: &[Origin; 2]) -> Policy {
    Policy::new(&config.mirror.rules, origins, rand::random())
}

fn metrics() -> Result<Arc<Metrics>, StartError> {
    Metrics::new().map(Arc::new).map_err(|error| StartError::Metrics(error.to_string()))
}

fn events(announcer: &Arc<Announcer>) -> Arc<dyn Fn() -> Vec<serde_json::Value> + Send + Sync> {
    let announcer = Arc::clone(announcer);
    Arc::new(move || announcer.events())
}

fn announce(announcer: Arc<Announcer>) -> Arc<dyn Fn(&Transition) + Send + Sync> {
    Arc::new(move |transition| announcer.announce(transition, std::time::SystemTime::now()))
}

/// Who asks the second baseline; without one no copy is chosen for it.
fn noise(
    config: &Config,
    secondary: Option<Arc<Upstream>>,
) -> (crate::mirror::Config, Option<Arc<Noise>>) {
    let noise_fraction = if secondary.is_some() { config.mirror.noise_fraction } else { 0.0 };
    let (allowed, mirror) = (config.report, config.mirror.clone());
    let settings = crate::mirror::Config { noise_fraction, allowed, ..mirror };
    (settings, secondary.map(|secondary| Noise::new(secondary, noise_fraction)))
}

type Upstreams = (Arc<Upstream>, Arc<Upstream>, Option<Arc<Upstream>>);

/// Baseline, candidate, and the second baseline where there is one.
fn upstreams(config: &Config) -> Result<Upstreams, StartError> {
    let timeout = (config.connect_timeout, config.upstream_idle_timeout);
    let upstream = |role, target: &Target| {
        let (target, dns) = (target.clone(), config.dns.clone());
        Upstream::with_limits(role, target, &config.trust, timeout, dns, config.answer_heads)
            .map_err(|error| StartError::Upstream(role, error))
    };
    let baseline = upstream(Role::Baseline, &config.baseline)?;
    let candidate = upstream(Role::Candidate, &config.candidate)?;
    let secondary = config.secondary.as_ref();
    let secondary = secondary.map(|target| upstream(Role::Secondary, target));
    Ok((baseline, candidate, secondary.transpose()?))
}

/// What makes changes known, and the background work that posts them to the webhook.
fn announcer(
    webhook: Option<webhook::Webhook>,
    trust: &Trust,
    dns: &Dns,
    metrics: &Arc<Metrics>,
) -> Result<(impl Future<Output = ()> + use<>, Arc<Announcer>), StartError> {
    let hook = webhook.map(|webhook| webhook::start(webhook, trust, dns.clone())).transpose();
    let (sender, posts) = hook.map_err(StartError::Webhook)?.unzip();
    let posts = async move {
        if let Some(posts) = posts {
            posts.await;
        }
    };
    Ok((posts, Arc::new(Announcer::new(Arc::clone(metrics), sender))))
}

fn listener(listen: crate::listen::Listen) -> Result<TcpListener, StartError> {
    bind(listen).map_err(|error| StartError::Bind(listen.addr, error))
}

fn render(
    metrics: &Arc<Metrics>,
    mirror: &Arc<Mirror>,
    forward: &Arc<Forward>,
    upstreams: Vec<Arc<Upstream>>,
    allowed: report::Allowed,
) -> Arc<dyn Fn() -> String + Send + Sync> {
    let (metrics, mirror) = (Arc::clone(metrics), Arc::clone(mirror));
    let forward = Arc::clone(forward);
    Arc::new(move || {
        show_judgements(&metrics, &mirror, &allowed);
        metrics.render(Gauges {
            requests_in_flight: forward.in_flight(),
            copies_in_flight: mirror.in_flight.load(Ordering::Relaxed),
            copies_limit: mirror.copies_limit(),
            queue_length: mirror.queue_length(),
            buffered_bytes: mirror.budget.used(),
            log_lines_dropped: log_queue::dropped(),
            response_lines_dropped: upstreams
                .iter()
                .map(|it| (it.role, it.lines_dropped()))
                .collect(),
        })
    })
}

/// The report of the mirror's pairs.
struct Reporter {
    mirror: Arc<Mirror>,
    allowed: report::Allowed,
}

impl control::Report for Reporter {
    fn summary(&self) -> report::Summary {
        summarize(&self.mirror.report_snapshot(), &self.allowed)
    }

    fn reset(&self) {
        self.mirror.reset_report();
    }
}

/// Shows what is known of the candidate, of every route that had a request: what the report has
/// forgotten is not known.
fn show_judgements(metrics: &Metrics, mirror: &Mirror, allowed: &report::Allowed) {
    let snapshot = mirror.report_snapshot();
    let (overall, verdicts) = verdicts(&snapshot, allowed);
    let labels = snapshot.routes.iter().map(|route| &*route.route);
    let known: HashMap<_, _> = labels.zip(verdicts).collect();
    metrics.set_verdict(None, overall);
    let guardrail = mirror.guardrail.lock().unwrap_or_else(PoisonError::into_inner).snapshot();
    metrics.set_evidence(None, guardrail.evidence.value / THRESHOLD);
    for route in &guardrail.routes {
        let label = route.route.as_str();
        let verdict = known.get(label).copied().unwrap_or(Verdict::NotEnoughData);
        metrics.set_verdict(Some(label), verdict);
        metrics.set_evidence(Some(label), route.evidence.value / THRESHOLD);
    }
}

fn routes(templates: Vec<Template>, alone: bool, metrics: &Arc<Metrics>) -> Routes {
    Routes::new(templates, Arc::clone(metrics)).with_templates_alone(alone)
}

fn unused_rules(mirror: &Arc<Mirror>) -> Arc<dyn Fn() -> Vec<Unused> + Send + Sync> {
    let mirror = Arc::clone(mirror);
    Arc::new(move || mirror.policy().unused())
}

async fn upkeep(metrics: Arc<Metrics>, mirror: Arc<Mirror>) {
    tokio::join!(unused::tell(mirror), drain_histograms(metrics));
}

async fn drain_histograms(metrics: Arc<Metrics>) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        metrics.run_upkeep();
    }
}

impl App {
    /// Takes over the certificate, its key and the rules of these settings, or keeps what it has.
    pub fn reload(&self, read: Result<Config, Errors>) {
        let fresh = |config: Config| Fresh {
            identity: config.tls,
            rules: config.mirror.rules,
            targets: [config.baseline, config.candidate]
                .into_iter()
                .chain(config.secondary)
                .collect(),
            trust: config.trust,
        };
        self.reloader.reload(read.map(fresh));
    }

    /// Is no longer ready, and after the drain delay takes no more connections, lets requests in
    /// flight finish within the drain timeout, and stops. The admin endpoints, where they have their
    /// own listener, answer until the end.
    pub async fn shutdown(self) -> Drained {
        self.draining.store(true, Ordering::Relaxed);
        // Whoever sends requests here needs a while to hear of it, and is served meanwhile.
        tokio::time::sleep(self.drain_delay).await;
        let deadline = Instant::now() + self.drain_timeout;
        let mut cut = self.traffic_server.stop(self.drain_timeout).await;
        let left = deadline.saturating_duration_since(Instant::now());
        cut += self.forward.close_tunnels(left).await;
        if let Some(server) = self.admin_server {
            server.stop(Duration::ZERO).await;
        }
        self.background.iter().for_each(JoinHandle::abort);
        Drained { cut }
    }
}

/// What a listener serves.
enum Service {
    Traffic(Traffic),
    Admin(Router),
}

struct Traffic {
    forward: Arc<Forward>,
    /// Served here when the admin endpoints have no listener of their own.
    admin: Option<(String, Router)>,
    metrics: Arc<Metrics>,
}

impl Service {
    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: &Peer,
        client: &Arc<AtomicUsize>,
        connection: &Activity,
    ) -> Response<Downstream> {
        match self {
            Self::Admin(router) => by_router(router, request).await,
            Self::Traffic(Traffic { admin: Some((prefix, router)), .. })
                if control::is_admin_path(prefix, request.uri().path()) =>
            {
                // Boxed, or each request's future would be as large as a router's.
                Box::pin(by_router(router, request)).await
            }
            Self::Traffic(traffic) => {
                traffic.forward.handle(request, peer, client, connection).await
            }
        }
    }

    /// hyper has answered or closed already; what is left is to count.
    fn note_error(&self, error: &(dyn std::error::Error + 'static)) {
        let Self::Traffic(traffic) = self else { return };
        match error.downcast_ref::<hyper::Error>() {
            Some(error) if error.is_parse_too_large() => {
                traffic.metrics.count_refused(Refusal::HeadersTooLarge);
            }
            // The body that we were passing on gave up.
            Some(error) if error.is_user() => traffic.forward.note_broken_response(),
            Some(error) if error.is_parse() => traffic.metrics.count_refused(Refusal::Malformed),
            Some(error) if is_flood(error) => traffic.metrics.count_refused(Refusal::Flood),
            _ => {}
        }
    }
}

async fn by_router(router: &Router, request: Request<Incoming>) -> Response<Downstream> {
    let answer = router.clone().oneshot(request.map(axum::body::Body::new));
    let response = answer.await.unwrap_or_else(|never| match never {});
    response.map(|body| DownstreamBody::Admin(body).into())
}

/// A listener with its connections.
#[derive(Debug)]
struct Server {
    addr: SocketAddr,
    stop: watch::Sender<Option<Duration>>,
    task: JoinHandle<usize>,
}

impl Server {
    fn start(listener: TcpListener, serving: Arc<Serving>) -> Self {
        let addr = listener.local_addr().expect("a bound socket has an address");
        let (stop, stopped) = watch::channel(None);
        let task = tokio::spawn(accept(listener, serving, stopped));
        Self { addr, stop, task }
    }

    /// Waits for the connections to end; how many did not within `limit` and are cut off.
    async fn stop(self, limit: Duration) -> usize {
        self.stop.send_replace(Some(limit));
        self.task.await.unwrap_or(0)
    }
}

async fn accept(
    listener: TcpListener,
    serving: Arc<Serving>,
    mut stop: watch::Receiver<Option<Duration>>,
) -> usize {
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let failures = LogLimit::new(LOG_EVERY);
    loop {
        tokio::select! {
            biased;
            stopped = stop.changed() => {
                if stopped.is_err() {
                    // Whoever could have drained us is gone, and so are we.
                    return 0;
                }
                break;
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok(_) if connections.len() >= serving.limits.connections => {
                    serving.metrics.count_refused(Refusal::Connections);
                }
                Ok((stream, peer)) => {
                    let serving = Arc::clone(&serving);
                    connections.spawn(serve(stream, peer, serving, graceful.watcher()));
                }
                Err(error) => {
                    if let Some(before) = failures.admit(std::time::Instant::now()) {
                        warn!(%error, not_logged_before = before, "cannot accept a connection");
                    }
                    // Out of descriptors, most likely: trying again at once would only burn a core.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    drop(listener);
    let limit = stop.borrow().unwrap_or_default();
    let drain = async {
        graceful.shutdown().await;
        while connections.join_next().await.is_some() {}
    };
    // Whether in time or not, what is left is counted; it ends with the set of connections.
    tokio::time::timeout(limit, drain).await.ok();
    while connections.try_join_next().is_some() {}
    connections.len()
}

/// What a listener does with its connections.
struct Serving {
    service: Service,
    tls: Option<Arc<Shown>>,
    builder: Builder<TokioExecutor>,
    limits: Limits,
    clients: Clients,
    metrics: Arc<Metrics>,
    /// Say with the PROXY protocol who their clients are.
    balancers: Networks,
}

impl Serving {
    fn new(
        service: Service,
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

async fn serve(mut stream: TcpStream, peer: SocketAddr, serving: Arc<Serving>, watcher: Watcher) {
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
        return converse(stream, from, serving, watcher).await;
    };
    // The handshake belongs to the time that a first request may take to arrive.
    match tokio::time::timeout(serving.limits.head_timeout, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => {
            let from = (Peer::new(ip, "https"), client);
            converse(stream, from, serving, watcher).await;
        }
        // Port scanners and clients that do not trust us, as a rule: not worth a line each.
        Ok(Err(error)) => debug!(%error, "no TLS handshake"),
        Err(_) => serving.metrics.count_refused(Refusal::HeadTimeout),
    }
}

/// Speaks HTTP/1 or HTTP/2, as the client begins, until the connection ends.
async fn converse<I>(io: I, (peer, client): (Peer, Client), serving: Arc<Serving>, watcher: Watcher)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::default());
    let Limits { head_timeout: head, idle_timeout: idle, write, .. } = serving.limits;
    let counting = Arc::clone(&serving);
    let on_refusal = move |refusal| counting.metrics.count_refused(refusal);
    let stream = Timed::new(io, Arc::clone(&activity), Patience { head, idle, write }, on_refusal);
    let frames = Arc::clone(&activity);
    let answering = Arc::new((Arc::clone(&serving), peer, client, Arc::clone(&activity)));
    let answer = service_fn(move |mut request: Request<Incoming>| {
        let busy = activity.begin(request.version());
        let answering = Arc::clone(&answering);
        async move {
            let (serving, peer, client, activity) = &*answering;
            let response =
                if !activity.targets().restore(&mut request) || headers::is_malformed(&request) {
                    serving.metrics.count_refused(Refusal::Malformed);
                    forward::malformed()
                } else {
                    serving.service.answer(request, peer, &client.requests, activity).await
                };
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                busy.becomes_tunnel();
            }
            Ok::<_, Infallible>(response.map(|body| body.keeping(busy)))
        }
    });
    let io = TokioIo::new(Frames::new(stream, serving.limits.header_bytes, frames));
    let connection = serving.builder.serve_connection_with_upgrades(io, answer).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        serving.service.note_error(&*error);
    }
}
