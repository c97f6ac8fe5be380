//! Sockets that take connections, on one address or on all of both families.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

pub mod passed;
pub mod proxy_protocol;
pub mod tls;

/// Connections that may wait to be accepted.
pub const BACKLOG: i32 = 1024;

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address; port 0 takes a free one.
    pub addr: SocketAddr,
    /// For `[::]`: IPv4 as well.
    pub dual_stack: bool,
}

/// A socket that takes connections, and whose it is.
#[derive(Debug)]
pub struct Listening {
    /// The socket.
    pub socket: TcpListener,
    /// Whether it was passed to this process: then another one may take from it, too, and it goes on
    /// without us.
    pub is_shared: bool,
}

/// Binds; all interfaces are IPv4 alone where the system has no IPv6.
///
/// # Errors
/// When the address is taken, not there or not allowed.
pub fn bind(listen: Listen) -> io::Result<Listening> {
    let socket = bind_socket(listen)?;
    Ok(Listening { socket, is_shared: false })
}

fn bind_socket(listen: Listen) -> io::Result<TcpListener> {
    let all = listen.dual_stack && listen.addr.ip() == Ipv6Addr::UNSPECIFIED;
    match bind_one(listen) {
        Err(error) if all && error.kind() != io::ErrorKind::AddrInUse => {
            let addr = SocketAddr::from((Ipv4Addr::UNSPECIFIED, listen.addr.port()));
            bind_one(Listen { addr, dual_stack: false }).map_err(|_| error)
        }
        result => result,
    }
}

fn bind_one(listen: Listen) -> io::Result<TcpListener> {
    let domain = Domain::for_address(listen.addr);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(!listen.dual_stack)?;
    }
    // A restart must not wait for connections of its predecessor to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&listen.addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_interfaces_means_both_address_families() {
        let addr = "[::]:0".parse().unwrap();
        let listener = bind(Listen { addr, dual_stack: true }).unwrap().socket;
        let port = listener.local_addr().unwrap().port();
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("IPv4");
        if listener.local_addr().unwrap().is_ipv6() {
            tokio::net::TcpStream::connect(("::1", port)).await.expect("IPv6");
        }
    }

    #[tokio::test]
    async fn a_taken_address_is_an_error() {
        let first =
            bind(Listen { addr: "127.0.0.1:0".parse().unwrap(), dual_stack: false }).unwrap();
        let addr = first.socket.local_addr().unwrap();
        let error = bind(Listen { addr, dual_stack: false }).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
