//! A small shop to try the proxy on: deterministic answers, so that two healthy copies agree, and
//! faults that can be switched on and off while it runs.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub mod catalog;
pub mod chaos;
pub mod config;
pub mod handlers;
pub mod metrics;

pub use chaos::Chaos;
pub use config::Config;

use handlers::Shop;
use metrics::Metrics;

const BACKLOG: i32 = 1024;
/// How often histogram samples are moved out of their buffers.
const UPKEEP: Duration = Duration::from_secs(5);

/// A running service.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<io::Result<()>>,
    upkeep: JoinHandle<()>,
}

/// Starts a service.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn start(config: Config) -> io::Result<Running> {
    let listener = bind(config.addr)?;
    let addr = listener.local_addr()?;
    let metrics = Metrics::new(config.name).map_err(io::Error::other)?;
    let shop = Shop::new(config.chaos, metrics);
    let kept = Arc::clone(&shop);
    let upkeep = tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            kept.metrics().run_upkeep();
        }
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let serve = axum::serve(listener, handlers::router(shop));
    let serve = serve.with_graceful_shutdown(async move {
        // Told to stop, or forgotten by whoever could have.
        drop(stopped.await);
    });
    let server = tokio::spawn(serve.into_future());
    Ok(Running { addr, stop, server, upkeep })
}

impl Running {
    /// Takes no more connections and ends when the open ones are done.
    pub async fn shutdown(self) {
        let Self { stop, server, upkeep, .. } = self;
        drop(stop);
        drop(server.await);
        upkeep.abort();
    }
}

/// All interfaces of both families, or of IPv4 where there is no IPv6.
fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    match bind_one(addr) {
        Err(error) if addr.ip().is_unspecified() && error.kind() != io::ErrorKind::AddrInUse => {
            bind_one(SocketAddr::from((Ipv4Addr::UNSPECIFIED, addr.port()))).map_err(|_| error)
        }
        result => result,
    }
}

fn bind_one(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
