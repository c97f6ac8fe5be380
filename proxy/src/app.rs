//! The composition root: a checked configuration in, a running proxy out.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tower::ServiceExt;
use tracing::warn;

use crate::config::Config;
use crate::control::{self, Control};
use crate::exchange::Role;
use crate::forward::{Downstream, DownstreamBody, Forward};
use crate::guardrail::{Guardrail, gate};
use crate::listen::bind;
use crate::metrics::{Gauges, Metrics, Refusal};
use crate::mirror::announce::Announcer;
use crate::mirror::{Mirror, Probe, webhook, worker};
use crate::route::table::Routes;
use crate::upstream::Upstream;

/// How often histogram samples are moved out of their buffers.
const UPKEEP: Duration = Duration::from_secs(5);

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
    drain_timeout: Duration,
    traffic_server: Server,
    admin_server: Option<Server>,
    background: Vec<JoinHandle<()>>,
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
    let metrics = Metrics::new().map_err(|error| StartError::Metrics(error.to_string()))?;
    let metrics = Arc::new(metrics);
    let (setter, gate) = gate::gate();
    let guardrail = Arc::new(Mutex::new(Guardrail::new(config.guardrail, setter)));
    let upstream = |role, target, timeout| {
        Upstream::new(role, target, timeout).map_err(|error| StartError::Upstream(role, error))
    };
    let baseline = upstream(Role::Baseline, config.baseline, config.forward.baseline_timeout)?;
    let candidate = upstream(Role::Candidate, config.candidate, config.mirror.timeout)?;

    let decider = Arc::clone(&guardrail);
    let (posts, announcer) = announcer(config.webhook, &metrics)?;
    let told = Arc::clone(&announcer);
    let (mirror, jobs) = Mirror::new(config.mirror, decider, gate, told, compare_runtime, probe);
    let background = vec![
        tokio::spawn(posts),
        tokio::spawn(worker::run(Arc::clone(&mirror), jobs, candidate)),
        tokio::spawn(upkeep(Arc::clone(&metrics))),
    ];
    let routes = Routes::new(config.templates, Arc::clone(&metrics));
    let mirrored = Arc::clone(&mirror);
    let forward = Forward::new(config.forward, routes, baseline, mirrored, Arc::clone(&metrics));
    let forward = Arc::new(forward);

    let draining = Arc::new(AtomicBool::new(false));
    let admin = control::router(Control {
        guardrail,
        draining: Arc::clone(&draining),
        token: config.control_token,
        render_metrics: render(&metrics, &mirror, &forward),
        events: Arc::new({
            let announcer = Arc::clone(&announcer);
            move || announcer.events()
        }),
        on_transition: Arc::new(move |transition| {
            announcer.announce(transition, std::time::SystemTime::now());
        }),
    });
    let traffic = Traffic {
        forward: Arc::clone(&forward),
        admin: admin_listener.is_none().then(|| admin.clone()),
        metrics,
    };
    let traffic_server = Server::start(listener, Service::Traffic(traffic));
    let admin_server = admin_listener.map(|found| Server::start(found, Service::Admin(admin)));
    Ok(App {
        traffic: traffic_server.addr,
        admin: admin_server.as_ref().map(|server| server.addr),
        draining,
        drain_timeout: config.drain_timeout,
        traffic_server,
        admin_server,
        background,
    })
}

/// What makes changes known, and the background work that posts them to the webhook.
fn announcer(
    webhook: Option<webhook::Webhook>,
    metrics: &Arc<Metrics>,
) -> Result<(impl Future<Output = ()> + use<>, Arc<Announcer>), StartError> {
    let hook = webhook.map(webhook::start).transpose();
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
) -> Arc<dyn Fn() -> String + Send + Sync> {
    let (metrics, mirror) = (Arc::clone(metrics), Arc::clone(mirror));
    let forward = Arc::clone(forward);
    Arc::new(move || {
        metrics.render(Gauges {
            requests_in_flight: forward.in_flight(),
            copies_in_flight: mirror.in_flight.load(Ordering::Relaxed),
            queue_length: mirror.queue_length(),
            buffered_bytes: mirror.budget.used(),
        })
    })
}

async fn upkeep(metrics: Arc<Metrics>) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        metrics.run_upkeep();
    }
}

impl App {
    /// Takes no more connections, lets requests in flight finish within the drain timeout, and
    /// stops. The admin endpoints, where they have their own listener, answer until the end.
    pub async fn shutdown(self) -> Drained {
        self.draining.store(true, Ordering::Relaxed);
        let cut = self.traffic_server.stop(self.drain_timeout).await;
        if let Some(server) = self.admin_server {
            server.stop(Duration::ZERO).await;
        }
        self.background.iter().for_each(JoinHandle::abort);
        Drained { cut }
    }
}

/// What a listener serves.
#[derive(Clone)]
enum Service {
    Traffic(Traffic),
    Admin(Router),
}

#[derive(Clone)]
struct Traffic {
    forward: Arc<Forward>,
    /// Served here when the admin endpoints have no listener of their own.
    admin: Option<Router>,
    metrics: Arc<Metrics>,
}

impl Service {
    async fn answer(
        self,
        request: Request<Incoming>,
        peer: IpAddr,
    ) -> Result<Response<Downstream>, Infallible> {
        match self {
            Self::Admin(router) => by_router(router, request).await,
            Self::Traffic(Traffic { admin: Some(router), .. })
                if control::is_admin_path(request.uri().path()) =>
            {
                by_router(router, request).await
            }
            Self::Traffic(traffic) => Ok(traffic.forward.handle(request, peer).await),
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
            _ => {}
        }
    }
}

async fn by_router(
    router: Router,
    request: Request<Incoming>,
) -> Result<Response<Downstream>, Infallible> {
    let response = router.oneshot(request.map(axum::body::Body::new)).await?;
    Ok(response.map(|body| DownstreamBody::Admin(body).into()))
}

/// A listener with its connections.
#[derive(Debug)]
struct Server {
    addr: SocketAddr,
    stop: watch::Sender<Option<Duration>>,
    task: JoinHandle<usize>,
}

impl Server {
    fn start(listener: TcpListener, service: Service) -> Self {
        let addr = listener.local_addr().expect("a bound socket has an address");
        let (stop, stopped) = watch::channel(None);
        let task = tokio::spawn(accept(listener, service, stopped));
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
    service: Service,
    mut stop: watch::Receiver<Option<Duration>>,
) -> usize {
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
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
                Ok((stream, peer)) => serve(stream, peer, &service, &graceful, &mut connections),
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
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

fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    service: &Service,
    graceful: &GracefulShutdown,
    connections: &mut JoinSet<()>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        warn!(%error, "cannot set up a connection");
        return;
    }
    let mut builder = Builder::new(TokioExecutor::new());
    // The response is the baseline's: nothing is added to it.
    builder.http1().preserve_header_case(true).auto_date_header(false);
    builder.http2().auto_date_header(false);
    let answering = service.clone();
    let answer = service_fn(move |request| answering.clone().answer(request, peer.ip()));
    let connection = builder.serve_connection(TokioIo::new(stream), answer).into_owned();
    let watched = graceful.watch(connection);
    let service = service.clone();
    connections.spawn(async move {
        if let Err(error) = watched.await {
            service.note_error(&*error);
        }
    });
}
