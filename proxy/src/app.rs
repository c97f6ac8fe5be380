//! The composition root: a checked configuration in, a running proxy out.

mod service;
mod unused;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::config::{Config, Errors};
use crate::control::{self, Control};
use crate::exchange::Role;
use crate::forward::Forward;
use crate::listen::bind;
use crate::listen::proxy_protocol::Networks;
use crate::listen::tls::Shown;
use crate::log_queue;
use crate::metrics::{Gauges, Metrics};
use crate::mirror::announce::Announcer;
use crate::mirror::worker::noise::Noise;
use crate::mirror::{Mirror, Probe, webhook, worker};
use crate::reload::{Fresh, Reloader};
use crate::route::Template;
use crate::route::table::Routes;
use crate::serve::{Server, Serving};
use crate::upstream::{Dns, Target, Trust, Upstream};
use compare::{Origin, Policy, Unused};
use judge::guardrail::detector::THRESHOLD;
use judge::guardrail::{Guardrail, Transition, gate};
use judge::report::{self, summarize, verdicts};
use judge::verdict::Verdict;
use service::{Service, Traffic};

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
    let (limits, access) = (config.forward.limits.clone(), Arc::new(config.access()));
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
        access,
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
