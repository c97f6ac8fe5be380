//! All that a proxy is but its listeners: what takes requests, wherever they come from, mirrors, compares and
//! tells. A proxy puts listeners before it; a tool that has its requests from elsewhere feeds it itself.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::Router;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::others::{self, Prepared};
use super::service::Service;
use super::unused;
use super::{Source, StartError};
use crate::audit::{self, Audit};
use crate::config::{Config, Effective};
use crate::control::{self, Control};
use crate::exchange::Role;
use crate::forward::Forward;
use crate::listen::Listening;
use crate::listen::tls::Shown;
use crate::log_queue;
use crate::metrics::{Gauges, Metrics, RelayGauges};
use crate::mirror::{Failpoint, Means, Mirror};
use crate::observe::announce::Announcer;
use crate::observe::webhook;
use crate::plan::Plan;
use crate::record::Recorder;
use crate::replicas::Replicas;
use crate::route::table::Routes;
use crate::serve::{Server, Serving};
use crate::steer::{self, Fresh, Parties, Steer};
use crate::telemetry::{Sender, Tracer};
use crate::upstream::{Target, Trust, Upstream};
use judge::report::Summary;

/// How often histogram samples are moved out of their buffers.
const UPKEEP: Duration = Duration::from_secs(5);

/// A proxy without its listeners.
#[derive(Debug)]
pub struct Engine {
    pub(super) forward: Arc<Forward>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) steer: Arc<Steer>,
    pub(super) draining: Arc<AtomicBool>,
    pub(super) shown: Option<Arc<Shown>>,
    recorder: Recorder,
    tracer: Tracer,
    control: Control,
    background: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Starts it; answers whose bytes differ are compared on `compare_runtime`.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: &Config, compare_runtime: Handle) -> Result<Self, StartError> {
        let (engine, _) = Self::beneath(config, Vec::new(), (compare_runtime, None), None).await?;
        Ok(engine)
    }

    /// Starts it beneath listeners that are bound already.
    pub(super) async fn beneath(
        config: &Config,
        others: Vec<Listening>,
        (compare_runtime, probe): (Handle, Option<Failpoint>),
        source: Option<Source>,
    ) -> Result<(Self, Prepared), StartError> {
        let metrics = metrics()?;
        let (posts, announcer) = announcer(config, audit(config, &metrics).await?)?;
        let (baseline, secondary) = upstreams(config)?;
        let recorder = recorder(config, &metrics).await?;
        let replicas = config.cluster.clone().map(|it| Replicas::new(it, metrics.cluster()));
        let wake = replicas.as_ref().map(|replicas| replicas.wake());
        let tracer = tracer(config, &metrics, &compare_runtime)?;
        let (told, second) = ((recorder.clone(), tracer.clone()), secondary.clone());
        let means = means(config, &metrics, &announcer, (second, told, wake));
        let fresh = fresh(config);
        let mirror = mirror(&fresh, &means, compare_runtime, probe)?;
        let forward = main_path(config, &baseline, &mirror, &metrics);
        let shown = config.tls.as_ref().map(|identity| Arc::new(Shown::new(identity)));
        let upstreams: Vec<_> = std::iter::once(baseline).chain(secondary).collect();
        let others = Prepared::new(others, config, &mirror, &forward, &metrics)?;
        let relayed = others.gauges(&mirror);
        let beside = (relayed, recorder.clone());
        let render_metrics = render(&metrics, &mirror, &forward, upstreams.clone(), beside);
        let parties = Parties {
            shown: shown.clone(),
            upstreams,
            mirror,
            means,
            metrics: Arc::clone(&metrics),
            announcer,
            read_rules: |text| Config::fragment(text).map_err(|why| why.to_string()),
        };
        let steer = Steer::new(parties, fresh, source.as_ref().map(reader));
        let draining = Arc::default();
        let (steered, stops) = (Arc::clone(&steer), Arc::clone(&draining));
        let (told, live) = (replicas.clone(), Arc::default());
        let control =
            Control { steer: steered, draining: stops, render_metrics, live, replicas: told };
        let mut background = background(posts, &metrics, &steer, source);
        background
            .extend(replicas.map(|replicas| tokio::spawn(talk(replicas, Arc::clone(&steer)))));
        let engine = Self {
            forward,
            metrics,
            steer,
            draining,
            shown,
            recorder,
            tracer,
            control,
            background,
        };
        Ok((engine, others))
    }

    /// The main path, which requests are fed to.
    pub fn forward(&self) -> &Arc<Forward> {
        &self.forward
    }

    /// Steers what may change.
    pub fn steer(&self) -> &Arc<Steer> {
        &self.steer
    }

    /// The metrics, as Prometheus reads them.
    pub fn metrics_text(&self) -> String {
        (self.control.render_metrics)()
    }

    /// The report of each candidate, by name.
    pub fn reports(&self) -> BTreeMap<String, Summary> {
        control::reports(&self.control)
    }

    /// Serves the admin endpoints at the address that the settings give them, if any.
    ///
    /// # Errors
    /// The address cannot be had.
    pub fn serve_admin(&self, config: &Config) -> Result<Option<Server>, StartError> {
        let Some(listen) = config.admin else { return Ok(None) };
        let service = Service::Admin(self.admin(&config.admin_prefix));
        let (tls, limits) = (self.shown.clone(), config.forward.limits.clone());
        let serving = Serving::new(service, tls, Default::default(), limits, &self.metrics);
        Ok(Some(Server::start(super::listener(listen)?, serving)))
    }

    /// The admin endpoints.
    pub(super) fn admin(&self, prefix: &str) -> Router {
        control::router(self.control.clone(), prefix)
    }

    /// Ends all that belongs to no request. Copies that are under way are given up.
    pub async fn stop(&self) {
        self.background.iter().for_each(JoinHandle::abort);
        self.steer.mirror().stop();
        tokio::join!(self.recorder.close(), self.tracer.close());
        self.steer.audit().close("told to stop").await;
    }
}

fn mirror(
    fresh: &Fresh,
    means: &Means,
    compare_runtime: Handle,
    probe: Option<Failpoint>,
) -> Result<Arc<Mirror>, StartError> {
    let plan = Plan::new(fresh.parts.clone(), None, std::time::Instant::now());
    let mirror = Mirror::new(plan, (means, &fresh.trust), compare_runtime, probe);
    mirror.map_err(|fault| StartError::Candidate(fault.to_string()))
}

fn main_path(
    config: &Config,
    baseline: &Arc<Upstream>,
    mirror: &Arc<Mirror>,
    metrics: &Arc<Metrics>,
) -> Arc<Forward> {
    let (routes, baseline) = (Routes::new(Arc::clone(metrics)), Arc::clone(baseline));
    let (mirror, metrics) = (Arc::clone(mirror), Arc::clone(metrics));
    Arc::new(Forward::new(config.forward.clone(), routes, baseline, mirror, metrics))
}

fn metrics() -> Result<Arc<Metrics>, StartError> {
    Metrics::new().map(Arc::new).map_err(|error| StartError::Metrics(error.to_string()))
}

/// What is taken over of settings, at the start and later.
pub(super) fn fresh(config: &Config) -> Fresh {
    let said = said(config);
    Fresh {
        parts: config.parts(),
        identity: config.tls.clone(),
        targets: std::iter::once(&config.baseline).chain(&config.secondary).cloned().collect(),
        trust: config.trust.clone(),
        settings: config.settings.iter().map(shown).collect(),
        fixed: fixed(config),
        warnings: config.warnings.clone(),
        revision: format!("{:016x}", xxhash_rust::xxh3::xxh3_64(said.as_bytes())),
        sha256: Sha256::digest(said.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect(),
        access: config.access(),
    }
}

fn shown(setting: &Effective) -> serde_json::Value {
    serde_json::to_value(setting).unwrap_or_default()
}

/// The settings that cannot change while the proxy runs. TLS begins and ends with a restart; the
/// certificate is read anew.
fn fixed(config: &Config) -> Vec<(String, String)> {
    let fixed = config.settings.iter().filter(|setting| setting.restart);
    let said = |setting: &Effective| format!("{} {}", setting.value, setting.secret);
    let named = fixed.map(|setting| (setting.place.clone(), said(setting)));
    let speaks_tls = ("listen.tls_cert".to_owned(), config.tls.is_some().to_string());
    named.chain([speaks_tls]).collect()
}

/// What the settings say, without secrets: the same for the same on every replica.
fn said(config: &Config) -> String {
    let values = config.settings.iter().map(|it| format!("{}={}\n", it.place, it.value));
    let rules = config.routes.iter().map(|route| format!("{:?}{:?}\n", route.matcher, route.rules));
    let text: String = values.chain(rules).collect();
    format!("{text}{:?}", config.mirror.rules)
}

fn reader(source: &Source) -> steer::Read {
    let (read, watched) = (Arc::clone(&source.read), source.watched.clone());
    Arc::new(move || {
        if let Some(reason) = watched.as_ref().and_then(|it| steer::watch::unfit(&it.path)) {
            return Err(reason);
        }
        let config = read().map_err(|errors| errors.to_string())?;
        match (&config.file, config.says_nothing) {
            (Some(file), true) => Err(steer::watch::without_settings(Path::new(file))),
            _ => Ok(fresh(&config)),
        }
    })
}

/// Judges together with other replicas.
async fn talk(replicas: Arc<Replicas>, steer: Arc<Steer>) {
    let mirror = Arc::clone(steer.mirror());
    replicas.run(mirror, move || steer.revision()).await;
}

/// The work that belongs to no request.
fn background(
    posts: impl Future<Output = ()> + Send + 'static,
    metrics: &Arc<Metrics>,
    steer: &Arc<Steer>,
    source: Option<Source>,
) -> Vec<JoinHandle<()>> {
    let upkeep = upkeep(Arc::clone(metrics), Arc::clone(steer));
    let mut background = vec![tokio::spawn(posts), tokio::spawn(upkeep)];
    if let Some(watched) = source.and_then(|source| source.watched) {
        background.push(tokio::spawn(steer::watch::watch(Arc::clone(steer), watched)));
    }
    background
}

/// The second baseline, and who is told beside: who records, who makes spans, and other replicas.
type Told = (Option<Arc<Upstream>>, (Recorder, Tracer), Option<Arc<Notify>>);

/// What candidates are set up with, those that come later too.
fn means(
    config: &Config,
    metrics: &Arc<Metrics>,
    announcer: &Arc<Announcer>,
    (secondary, (recorder, tracer), replicas): Told,
) -> Means {
    let connect = connector(config);
    let fraction = config.mirror.noise_fraction;
    Means {
        connect: Box::new(move |target, trust| connect(Role::Candidate, target, trust)),
        metrics: Arc::clone(metrics),
        announcer: Arc::clone(announcer),
        secondary: secondary.map(|secondary| (secondary, fraction)),
        relays: others::relays(config),
        recorder,
        replicas,
        tracer,
    }
}

/// Sets up upstreams by these settings.
fn connector(
    config: &Config,
) -> impl Fn(Role, &Target, &Trust) -> io::Result<Arc<Upstream>> + Send + Sync + use<> {
    let timeouts = (config.connect_timeout, config.upstream_idle_timeout);
    let (dns, heads) = (config.dns.clone(), config.answer_heads);
    move |role, target, trust| {
        Upstream::with_limits(role, target.clone(), trust, timeouts, dns.clone(), heads)
    }
}

/// The baseline, and the second baseline where there is one.
fn upstreams(config: &Config) -> Result<(Arc<Upstream>, Option<Arc<Upstream>>), StartError> {
    let connect = connector(config);
    let upstream = |role, target| {
        connect(role, target, &config.trust).map_err(|error| StartError::Upstream(role, error))
    };
    let baseline = upstream(Role::Baseline, &config.baseline)?;
    let secondary = config.secondary.as_ref().map(|target| upstream(Role::Secondary, target));
    Ok((baseline, secondary.transpose()?))
}

/// What makes changes known, and the background work that posts them to the webhook.
fn announcer(
    config: &Config,
    audit: Audit,
) -> Result<(impl Future<Output = ()> + use<>, Arc<Announcer>), StartError> {
    let start = |webhook| webhook::start(webhook, &config.trust, config.dns.clone());
    let hook = config.webhook.clone().map(start).transpose();
    let (sender, posts) = hook.map_err(StartError::Webhook)?.unzip();
    let posts = async move {
        if let Some(posts) = posts {
            posts.await;
        }
    };
    Ok((posts, Arc::new(Announcer::new(sender).audited(audit))))
}

/// Records exchanges, where it is to.
async fn recorder(config: &Config, metrics: &Arc<Metrics>) -> Result<Recorder, StartError> {
    let Some(record) = &config.record else { return Ok(Recorder::default()) };
    let started = Recorder::start(record.clone(), metrics.record()).await;
    started.map_err(|error| StartError::Record(record.place.dir.clone(), error))
}

/// Exports spans, where it is to.
fn tracer(config: &Config, metrics: &Arc<Metrics>, runtime: &Handle) -> Result<Tracer, StartError> {
    let Some(traces) = config.telemetry.clone() else { return Ok(Tracer::default()) };
    let sender = Sender::new(traces.wire.clone(), config.connect_timeout, config.dns.clone());
    let sender = sender.map_err(StartError::Traces)?;
    Ok(Tracer::start(traces, sender, (&config.baseline, metrics.spans()), runtime))
}

/// The audit log, where one is wanted.
async fn audit(config: &Config, metrics: &Arc<Metrics>) -> Result<Audit, StartError> {
    let Some(config) = config.audit.clone() else { return Ok(Audit::default()) };
    let place = config.place.clone();
    let started = Audit::start(config, metrics.audit()).await;
    let audit = started.map_err(|error| StartError::Audit(place, error))?;
    let counted = Arc::clone(metrics);
    audit.count_by(Arc::new(move || {
        let redacted = counted.redacted().into_iter();
        redacted.map(|(rule, way, count)| audit::Redacted { rule, way, count }).collect()
    }));
    Ok(audit)
}

fn render(
    metrics: &Arc<Metrics>,
    mirror: &Arc<Mirror>,
    forward: &Arc<Forward>,
    upstreams: Vec<Arc<Upstream>>,
    (relays, recorder): (impl Fn() -> RelayGauges + Send + Sync + 'static, Recorder),
) -> Arc<dyn Fn() -> String + Send + Sync> {
    let (metrics, mirror) = (Arc::clone(metrics), Arc::clone(mirror));
    let forward = Arc::clone(forward);
    Arc::new(move || {
        // So that they are counted where the disk holds up whoever writes.
        recorder.drop_late();
        let lanes = mirror.lanes();
        let mut dropped: Vec<_> =
            upstreams.iter().map(|it| (Arc::from(it.role.name()), it.lines_dropped())).collect();
        for entry in &lanes.entries {
            let observe = &entry.lane.observe;
            observe.show();
            observe.metrics().set_copies(entry.gauges());
            observe.metrics().set_identities(&entry.lane.identities.news());
            dropped.push((observe.name(), entry.lane.upstream.lines_dropped()));
        }
        metrics.render(Gauges {
            requests_in_flight: forward.in_flight(),
            log_lines_dropped: log_queue::dropped(),
            response_lines_dropped: dropped,
            relays: relays(),
        })
    })
}

async fn upkeep(metrics: Arc<Metrics>, steer: Arc<Steer>) {
    let audit = steer.audit().clone();
    let redactions = audit.keep_recording_redactions();
    tokio::join!(unused::tell(steer), drain_histograms(metrics), redactions);
}

async fn drain_histograms(metrics: Arc<Metrics>) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        metrics.run_upkeep();
    }
}
