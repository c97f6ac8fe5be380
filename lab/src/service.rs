//! A demo service in this process, and where it may listen.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};

use demo_service::{Chaos, Running};

/// Ports tried after the standard one.
const NEXT_PORTS: u16 = 50;

/// The ports to try: this one, and those after it where it is taken.
pub(crate) fn ports(port: u16) -> impl Iterator<Item = u16> {
    // Port 0 is free whatever is taken.
    let last = if port == 0 { 0 } else { port.saturating_add(NEXT_PORTS) };
    port..=last
}

/// All interfaces, IPv4 and IPv6.
pub(crate) fn all_interfaces(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))
}

/// Starts a demo service of this name in this process.
pub(crate) async fn service(name: &str, port: u16) -> io::Result<Running> {
    let mut failed = io::Error::from(io::ErrorKind::AddrInUse);
    for port in ports(port) {
        let addr = all_interfaces(port);
        let config = demo_service::Config { name: name.to_owned(), addr, chaos: Chaos::default() };
        match demo_service::start(config).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => failed = error,
            result => return result,
        }
    }
    Err(failed)
}
