//! The composition root: a checked configuration in, a running proxy out.

mod engine;
mod others;
mod service;
mod unused;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::audit;
use crate::config::{Config, Errors};
use crate::exchange::Role;
use crate::listen::passed::{ADMIN, Passed, TRAFFIC};
use crate::listen::proxy_protocol::Networks;
use crate::listen::{Listen, Listening, bind};
use crate::mirror::Failpoint;
use crate::relay::Left;
use crate::relay::spool::SpoolError;
use crate::serve::{Server, Serving};
use crate::steer::Steer;
use crate::steer::watch::Watched;
pub use engine::Engine;
use others::Others;
use service::{Service, Traffic};

/// Why the proxy did not start.
#[derive(Debug)]
pub enum StartError {
    /// An address cannot be listened on.
    Bind(SocketAddr, io::Error),
    /// A socket that was passed cannot be used.
    Socket(String, io::Error),
    /// Sockets were passed that are for nothing.
    Sockets(Vec<String>),
    /// An upstream cannot be set up; https without root certificates for one.
    Upstream(Role, io::Error),
    /// A candidate cannot be set up; https without root certificates for one.
    Candidate(String),
    /// The webhook cannot be set up; https without root certificates for one.
    Webhook(io::Error),
    /// Spans cannot be exported; https without root certificates for one.
    Traces(io::Error),
    /// The metrics registry.
    Metrics(String),
    /// The spool of a relay listener.
    Spool(SpoolError),
    /// The folder of recordings cannot be written to.
    Record(PathBuf, io::Error),
    /// The audit log cannot be written to.
    Audit(audit::Place, io::Error),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bind(addr, error) => write!(f, "cannot listen on {addr}: {error}"),
            Self::Socket(name, error) => write!(f, "cannot use the socket {name:?}: {error}"),
            Self::Sockets(names) => write!(
                f,
                "no listener for the sockets that were passed: {}; allowed are {TRAFFIC:?}, {ADMIN:?} \
                 where ADMIN_ADDR is set, and the names of [[listener]]",
                names.join(", ")
            ),
            Self::Upstream(role, error) => write!(f, "cannot set up the {}: {error}", role.name()),
            Self::Candidate(why) => write!(f, "{why}"),
            Self::Webhook(error) => write!(f, "cannot set up the webhook: {error}"),
            Self::Traces(error) => write!(f, "cannot export spans: {error}"),
            Self::Metrics(error) => write!(f, "cannot set up metrics: {error}"),
            Self::Record(dir, error) => {
                write!(f, "cannot record in {}: {error}", dir.display())
            }
            Self::Spool(error) => write!(f, "{error}"),
            Self::Audit(place, error) => {
                write!(f, "cannot write the audit log to {place}: {error}")
            }
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
    drain_delay: Duration,
    drain_timeout: Duration,
    engine: Engine,
    traffic_server: Server,
    admin_server: Option<Server>,
    others: Others,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections whose request was not finished in time and was cut off.
    pub cut: usize,
    /// What relay listeners have left.
    pub relays: Left,
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
    probe: Option<Failpoint>,
) -> Result<App, StartError> {
    start_from(config, compare_runtime, probe, None).await
}

/// Where settings are read anew while the proxy runs.
#[derive(Clone)]
pub struct Source {
    /// Reads them; waits for the disk.
    pub read: Arc<dyn Fn() -> Result<Config, Errors> + Send + Sync>,
    /// A file whose changes are a reason to.
    pub watched: Option<Watched>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("watched", &self.watched).finish_non_exhaustive()
    }
}

/// As [`start_probed`], with a source that the settings came from.
///
/// # Errors
/// See [`StartError`].
pub async fn start_from(
    config: Config,
    compare_runtime: Handle,
    probe: Option<Failpoint>,
    source: Option<Source>,
) -> Result<App, StartError> {
    start_on(Passed::default(), config, (compare_runtime, probe), source).await
}

/// As [`start_from`], on sockets that were passed, in place of the addresses of the settings.
///
/// # Errors
/// See [`StartError`].
pub async fn start_on(
    mut passed: Passed,
    config: Config,
    means: (Handle, Option<Failpoint>),
    source: Option<Source>,
) -> Result<App, StartError> {
    let listener = passed_or_bound(&mut passed, Some(TRAFFIC), config.listen)?;
    let admin = config.admin.map(|admin| passed_or_bound(&mut passed, Some(ADMIN), admin));
    let admin_listener = admin.transpose()?;
    let others = others::bind(&config, &mut passed)?;
    let unused = passed.left();
    if !unused.is_empty() {
        return Err(StartError::Sockets(unused));
    }
    let (engine, others) = Engine::beneath(&config, others, means, source).await?;
    let Engine { forward, metrics, shown, .. } = &engine;
    let admin = engine.admin(&config.admin_prefix);
    let beside = admin_listener.is_none().then(|| (config.admin_prefix.clone(), admin.clone()));
    let (forwarding, counting) = (Arc::clone(forward), Arc::clone(metrics));
    let traffic = Traffic { forward: forwarding, admin: beside, metrics: counting };
    let limits = config.forward.limits.clone();
    let serve = |listener, service, tls, balancers| {
        Server::start(listener, Serving::new(service, tls, balancers, limits.clone(), metrics))
    };
    let others = others.serve(&config, shown.as_ref(), forward, metrics);
    let (service, balancers) = (Service::Traffic(traffic), config.proxy_protocol_from);
    let traffic_server = serve(listener, service, shown.clone(), balancers);
    // No balancer stands before the admin endpoints where they have a listener of their own.
    let admin_server =
        admin_listener.map(|found| serve(found, Service::Admin(admin), None, Networks::default()));
    Ok(App {
        traffic: traffic_server.addr,
        admin: admin_server.as_ref().map(|server| server.addr),
        drain_delay: config.drain_delay,
        drain_timeout: config.drain_timeout,
        engine,
        traffic_server,
        admin_server,
        others,
    })
}

/// The socket of this name, if it was passed, or one for this address.
fn passed_or_bound(
    passed: &mut Passed,
    name: Option<&str>,
    listen: Listen,
) -> Result<Listening, StartError> {
    let Some((name, socket)) = name.and_then(|name| Some((name, passed.take(name)?))) else {
        return listener(listen);
    };
    let socket = socket.map_err(|error| StartError::Socket(name.to_owned(), error))?;
    Ok(Listening { socket, is_shared: true })
}

fn listener(listen: Listen) -> Result<Listening, StartError> {
    bind(listen).map_err(|error| StartError::Bind(listen.addr, error))
}

impl App {
    /// Takes over these settings as far as they may change, or keeps what it has and says why.
    pub fn reload(&self, read: Result<Config, Errors>) {
        let fresh =
            || read.map(|config| engine::fresh(&config)).map_err(|errors| errors.to_string());
        // What came of it is told in log, metrics and events.
        self.engine.steer.take_over(fresh).ok();
    }

    /// Where the listeners beside those two are, in the order of the settings.
    pub fn others(&self) -> &[SocketAddr] {
        &self.others.addrs
    }

    /// Steers what may change.
    pub fn steer(&self) -> &Arc<Steer> {
        &self.engine.steer
    }

    /// Is no longer ready, and after the drain delay takes no more connections, lets requests in
    /// flight finish within the drain timeout, and stops. The admin endpoints, where they have their
    /// own listener, answer until the end.
    pub async fn shutdown(mut self) -> Drained {
        self.engine.draining.store(true, Ordering::Relaxed);
        self.traffic_server.leave();
        self.others.leave();
        self.admin_server.iter().for_each(Server::leave);
        // Whoever sends requests here needs a while to hear of it, and is served meanwhile.
        tokio::time::sleep(self.drain_delay).await;
        let deadline = Instant::now() + self.drain_timeout;
        let others = self.others.stop(self.drain_timeout);
        let (cut, others) = tokio::join!(self.traffic_server.stop(self.drain_timeout), others);
        let left = deadline.saturating_duration_since(Instant::now());
        let tunnels = self.engine.forward.close_tunnels(left);
        let (tunnels, relays) = tokio::join!(tunnels, self.others.drain(deadline));
        if let Some(server) = self.admin_server {
            server.stop(Duration::ZERO).await;
        }
        self.engine.stop().await;
        Drained { cut: cut + others + tunnels, relays }
    }
}
