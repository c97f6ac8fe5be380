//! Baseline, candidate and proxy, in this process or each in one of its own.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use demo_service::Running;
use proxy::app::{self, App, StartError};
use proxy::config::Config;
use proxy::listen::Listen;
use proxy::upstream::Target;
use rustix::process::Pid;
use tokio::runtime::Handle;

use crate::part::{Part, Process};
use crate::service::{all_interfaces, ports, service};

/// Where to listen.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// Of the baseline.
    pub baseline: u16,
    /// Of the candidate.
    pub candidate: u16,
    /// Of the proxy.
    pub proxy: u16,
}

impl Ports {
    /// Where the parts are found when nothing else is said.
    pub const STANDARD: Self = Self { baseline: 4001, candidate: 4002, proxy: 8080 };
    /// Any free ones.
    pub const FREE: Self = Self { baseline: 0, candidate: 0, proxy: 0 };
}

/// Which parts are processes of their own. These listen on any free ports.
#[derive(Clone, Debug, Default)]
pub enum Apart {
    /// None is.
    #[default]
    Nothing,
    /// The services, by this program.
    Services(PathBuf),
    /// All, by this program.
    All(PathBuf),
}

/// All parts, running.
#[derive(Debug)]
pub struct Stack {
    baseline: Place<Running>,
    candidate: Place<Running>,
    proxy: Place<App>,
    /// A second candidate, where the proxy has two.
    other: Option<Running>,
}

/// Where a part runs.
#[derive(Debug)]
enum Place<T> {
    Here(SocketAddr, T),
    Apart(Process),
}

impl<T> Place<T> {
    fn url(&self) -> String {
        match self {
            Self::Here(addr, _) => url(*addr),
            Self::Apart(process) => process.url().to_owned(),
        }
    }

    fn port(&self) -> u16 {
        let url = self.url();
        url.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or_default()
    }

    fn pid(&self) -> Option<Pid> {
        match self {
            Self::Here(..) => None,
            Self::Apart(process) => Some(process.pid()),
        }
    }
}

impl Stack {
    /// Starts all parts in this process; a port that is taken gives way to the next free one.
    ///
    /// # Errors
    /// When no port is free, or the proxy cannot start.
    pub async fn start(ports: Ports, config: Config, compare: Handle) -> io::Result<Self> {
        Self::start_apart(ports, config, compare, Apart::Nothing).await
    }

    /// As [`Stack::start`], with some parts in processes of their own. A proxy that is one reads its
    /// settings itself.
    ///
    /// # Errors
    /// When no port is free, or a part cannot start.
    pub async fn start_apart(
        ports: Ports,
        config: Config,
        compare: Handle,
        apart: Apart,
    ) -> io::Result<Self> {
        let program = match &apart {
            Apart::Nothing => None,
            Apart::Services(program) | Apart::All(program) => Some(program),
        };
        let (baseline, candidate) = if let Some(program) = program {
            let baseline = Process::start(program, Part::Baseline, &[]).await?;
            (
                Place::Apart(baseline),
                Place::Apart(Process::start(program, Part::Candidate, &[]).await?),
            )
        } else {
            let here = |running: Running| Place::Here(running.addr, running);
            let baseline = here(service("service-v1", ports.baseline).await?);
            (baseline, here(service("service-v2", ports.candidate).await?))
        };
        let has_two = config.candidates.len() > 1;
        let other = if has_two { Some(service("service-v3", 0).await?) } else { None };
        let proxy = if let Apart::All(program) = &apart {
            let (ours, theirs) = (baseline.url(), candidate.url());
            let settings =
                [("BASELINE_URL", &*ours), ("CANDIDATE_URL", &theirs), ("LISTEN_ADDR", ":0")];
            Place::Apart(Process::start(program, Part::Proxy, &settings).await?)
        } else {
            let others = other.as_ref().map(|other| other.addr.port());
            let targets = (baseline.port(), candidate.port(), others);
            let app = proxy(ports.proxy, config, targets, &compare).await?;
            Place::Here(app.traffic, app)
        };
        Ok(Self { baseline, candidate, proxy, other })
    }

    /// `http://…` of the baseline.
    pub fn baseline(&self) -> String {
        self.baseline.url()
    }

    /// `http://…` of the candidate.
    pub fn candidate(&self) -> String {
        self.candidate.url()
    }

    /// `http://…` of the proxy, the admin endpoints included.
    pub fn proxy(&self) -> String {
        self.proxy.url()
    }

    /// The services that are processes of their own.
    pub fn services(&self) -> Vec<Pid> {
        [self.baseline.pid(), self.candidate.pid()].into_iter().flatten().collect()
    }

    /// Lines that tell where everything is and how to try it.
    pub fn directions(&self, ports: Ports) -> Vec<String> {
        let (baseline, candidate, proxy) = (self.baseline(), self.candidate(), self.proxy());
        let moved = |wanted: u16, port: u16, pid: Option<Pid>| match pid {
            Some(pid) => format!("   (process {pid})"),
            None if port == wanted => String::new(),
            None => format!("   ({wanted} is taken)"),
        };
        vec![
            format!(
                "baseline   {baseline}{}",
                moved(ports.baseline, self.baseline.port(), self.baseline.pid())
            ),
            format!(
                "candidate  {candidate}{}",
                moved(ports.candidate, self.candidate.port(), self.candidate.pid())
            ),
            format!(
                "proxy      {proxy}{}",
                moved(ports.proxy, self.proxy.port(), self.proxy.pid())
            ),
            String::new(),
            "Try:".to_owned(),
            format!("  curl '{proxy}/api/search?q=ssd'"),
            format!("  curl -s {proxy}/control/status"),
            format!("  curl -s {proxy}/metrics | grep mirror_outcomes_total"),
            format!(
                "  curl -X PUT -d '{{\"latencyMs\":250,\"errorRate\":0.3}}' {candidate}/chaos   # make it bad"
            ),
            format!(
                "  curl -X PUT -d '{{\"latencyMs\":0,\"errorRate\":0}}' {candidate}/chaos       # heal it"
            ),
            String::new(),
        ]
    }

    /// Ends all parts.
    pub async fn shutdown(self) {
        if let Place::Here(_, proxy) = self.proxy {
            proxy.shutdown().await;
        }
        // The proxy's pools may hold connections to them open: they need not end by themselves.
        drop((self.baseline, self.candidate, self.other));
    }
}

fn url(addr: SocketAddr) -> String {
    format!("http://localhost:{}", addr.port())
}

async fn proxy(
    port: u16,
    config: Config,
    (baseline, candidate, other): (u16, u16, Option<u16>),
    compare: &Handle,
) -> io::Result<App> {
    let target = |port: u16| Target::new(false, "localhost".to_owned(), port);
    let mut failed = io::Error::from(io::ErrorKind::AddrInUse);
    for port in ports(port) {
        let mut config = config.clone();
        config.listen = Listen { addr: all_interfaces(port), dual_stack: true };
        config.admin = None;
        config.baseline = target(baseline);
        config.candidate = target(candidate);
        let ports = std::iter::once(candidate).chain(other);
        for (candidate, port) in config.candidates.iter_mut().zip(ports) {
            candidate.target = target(port);
        }
        match app::start(config, compare.clone()).await {
            Ok(app) => return Ok(app),
            Err(StartError::Bind(_, error)) if error.kind() == io::ErrorKind::AddrInUse => {
                failed = error;
            }
            Err(error) => return Err(io::Error::other(error)),
        }
    }
    Err(failed)
}
