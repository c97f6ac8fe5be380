//! Baseline, candidate and proxy, in this process.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};

use demo_service::{Chaos, Running};
use proxy::app::{self, App, StartError};
use proxy::config::Config;
use proxy::listen::Listen;
use proxy::upstream::Target;
use tokio::runtime::Handle;

/// Ports tried after the standard one.
const NEXT_PORTS: u16 = 50;

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

/// All parts, running.
#[derive(Debug)]
pub struct Stack {
    baseline: Running,
    candidate: Running,
    proxy: App,
}

impl Stack {
    /// Starts all parts; a port that is taken gives way to the next free one.
    ///
    /// # Errors
    /// When no port is free, or the proxy cannot start.
    pub async fn start(ports: Ports, config: Config, compare: Handle) -> io::Result<Self> {
        let baseline = service("service-v1", ports.baseline).await?;
        let candidate = service("service-v2", ports.candidate).await?;
        let proxy = proxy(ports.proxy, config, (&baseline, &candidate), &compare).await?;
        Ok(Self { baseline, candidate, proxy })
    }

    /// `http://…` of the baseline.
    pub fn baseline(&self) -> String {
        url(self.baseline.addr)
    }

    /// `http://…` of the candidate.
    pub fn candidate(&self) -> String {
        url(self.candidate.addr)
    }

    /// `http://…` of the proxy, the admin endpoints included.
    pub fn proxy(&self) -> String {
        url(self.proxy.traffic)
    }

    /// Lines that tell where everything is and how to try it.
    pub fn directions(&self, ports: Ports) -> Vec<String> {
        let (baseline, candidate, proxy) = (self.baseline(), self.candidate(), self.proxy());
        let moved = |wanted: u16, addr: SocketAddr| {
            if addr.port() == wanted { String::new() } else { format!("   ({wanted} is taken)") }
        };
        vec![
            format!("baseline   {baseline}{}", moved(ports.baseline, self.baseline.addr)),
            format!("candidate  {candidate}{}", moved(ports.candidate, self.candidate.addr)),
            format!("proxy      {proxy}{}", moved(ports.proxy, self.proxy.traffic)),
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
        self.proxy.shutdown().await;
        // The proxy's pools may hold connections to them open: they need not end by themselves.
        drop((self.baseline, self.candidate));
    }
}

fn url(addr: SocketAddr) -> String {
    format!("http://localhost:{}", addr.port())
}

fn candidates(port: u16) -> impl Iterator<Item = u16> {
    // Port 0 is free whatever is taken.
    let last = if port == 0 { 0 } else { port.saturating_add(NEXT_PORTS) };
    port..=last
}

fn all_interfaces(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))
}

pub(crate) async fn service(name: &str, port: u16) -> io::Result<Running> {
    let mut failed = io::Error::from(io::ErrorKind::AddrInUse);
    for port in candidates(port) {
        let addr = all_interfaces(port);
        let config = demo_service::Config { name: name.to_owned(), addr, chaos: Chaos::default() };
        match demo_service::start(config).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => failed = error,
            result => return result,
        }
    }
    Err(failed)
}

async fn proxy(
    port: u16,
    config: Config,
    (baseline, candidate): (&Running, &Running),
    compare: &Handle,
) -> io::Result<App> {
    let target =
        |running: &Running| Target::new(false, "localhost".to_owned(), running.addr.port());
    let mut failed = io::Error::from(io::ErrorKind::AddrInUse);
    for port in candidates(port) {
        let mut config = config.clone();
        config.listen = Listen { addr: all_interfaces(port), dual_stack: true };
        config.admin = None;
        config.baseline = target(baseline);
        config.candidate = target(candidate);
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
