//! Opening connections to an upstream: TCP, TLS, and the handshake of either HTTP version.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::dial::{Dialer, Dns, Peer};
use super::socket::{Socket, Watch};
use super::streams::PER_CONNECTION;
use super::{Error, OutBody, Target, Trust};
use crate::exchange::Role;

/// Read buffer of a connection to the candidate, which also bounds its response heads: many
/// connections to a candidate that sends without end must not add up.
const CANDIDATE_BUFFER: u32 = 64 * 1024;

/// What one stream of the baseline may send ahead of a client that reads slowly.
const BASELINE_WINDOW: u32 = 256 * 1024;

/// An HTTP/2 connection that does not answer a ping, asked this often and given this long, is dead.
/// Over HTTP/1.1 a call that times out takes its connection with it; here others would follow it.
const PING: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));

/// Opens connections to one target.
#[derive(Debug)]
pub(super) struct Connector {
    role: Role,
    pub(super) dialer: Arc<Dialer>,
    tls: Option<Tls>,
}

struct Tls {
    name: ServerName<'static>,
    http1: TlsConnector,
    http2: TlsConnector,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tls").field(&self.name).finish()
    }
}

impl Tls {
    fn new(target: &Target, trust: &Trust) -> io::Result<Self> {
        let name = ServerName::try_from(target.host.clone()).map_err(io::Error::other)?;
        let (http1, http2) = trust.connectors()?;
        Ok(Self { name, http1, http2 })
    }
}

impl Connector {
    pub(super) fn new(role: Role, target: &Target, trust: &Trust, dns: Dns) -> io::Result<Self> {
        let tls = target.tls.then(|| Tls::new(target, trust)).transpose()?;
        let dialer = Dialer::new(target.host.clone(), target.port, dns);
        Ok(Self { role, dialer, tls })
    }

    async fn tcp(&self) -> Result<(TcpStream, Peer), Error> {
        let (tcp, peer) = self.dialer.connect().await.map_err(Error::Connect)?;
        tcp.set_nodelay(true).map_err(Error::Connect)?;
        Ok((tcp, peer))
    }

    pub(super) async fn http1(&self) -> Result<(http1::SendRequest<OutBody>, Peer, Watch), Error> {
        let (tcp, peer) = self.tcp().await?;
        let tcp = Socket::new(tcp);
        let watch = tcp.watch();
        let sender = match &self.tls {
            None => self.handshake1(TokioIo::new(tcp)).await?,
            Some(tls) => {
                let stream = tls.http1.connect(tls.name.clone(), tcp).await;
                self.handshake1(TokioIo::new(stream.map_err(Error::Connect)?)).await?
            }
        };
        Ok((sender, peer, watch))
    }

    pub(super) async fn http2(&self) -> Result<(http2::SendRequest<OutBody>, Peer), Error> {
        let (tcp, peer) = self.tcp().await?;
        let sender = match &self.tls {
            None => self.handshake2(TokioIo::new(tcp)).await?,
            Some(tls) => {
                let stream = tls.http2.connect(tls.name.clone(), tcp).await;
                let stream = stream.map_err(Error::Connect)?;
                if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                    let error = io::Error::other("the upstream speaks no HTTP/2");
                    return Err(Error::Connect(error));
                }
                self.handshake2(TokioIo::new(stream)).await?
            }
        };
        Ok((sender, peer))
    }

    #[expect(clippy::disallowed_methods, reason = "the one module that builds an HTTP client")]
    async fn handshake1<I>(&self, io: I) -> Result<http1::SendRequest<OutBody>, Error>
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let mut builder = http1::Builder::new();
        builder.preserve_header_case(true);
        // What clients never see must not cost them the answer (RFC 9112, section 5).
        builder.allow_spaces_after_header_name_in_responses(true);
        builder.allow_obsolete_multiline_headers_in_responses(true);
        builder.ignore_invalid_headers_in_responses(true);
        if self.role != Role::Baseline {
            builder.max_buf_size(CANDIDATE_BUFFER as usize);
        }
        let (sender, connection) = builder.handshake(io).await.map_err(Error::Broken)?;
        tokio::spawn(async move {
            // Whoever waits for the response gets the same error and reports it.
            drop(connection.with_upgrades().await);
        });
        Ok(sender)
    }

    #[expect(clippy::disallowed_methods, reason = "the one module that builds an HTTP client")]
    async fn handshake2<I>(&self, io: I) -> Result<http2::SendRequest<OutBody>, Error>
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let window = if self.role == Role::Baseline { BASELINE_WINDOW } else { CANDIDATE_BUFFER };
        let streams = u32::try_from(PER_CONNECTION).unwrap_or(u32::MAX);
        let (interval, timeout) = PING;
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).keep_alive_interval(interval).keep_alive_timeout(timeout);
        builder.max_header_list_size(CANDIDATE_BUFFER);
        // No stream that is read slowly may use up what the others on its connection need.
        builder.initial_stream_window_size(window);
        builder.initial_connection_window_size(window.saturating_mul(streams));
        let (sender, connection) = builder.handshake(io).await.map_err(Error::Broken)?;
        tokio::spawn(async move {
            // Whoever waits for a response gets the same error and reports it.
            drop(connection.await);
        });
        Ok(sender)
    }
}

impl Trust {
    /// For HTTP/1.1, which needs no word, and for HTTP/2.
    fn connectors(&self) -> io::Result<(TlsConnector, TlsConnector)> {
        let http1 = self.config()?;
        let mut http2 = http1.clone();
        http2.alpn_protocols = vec![b"h2".to_vec()];
        Ok((TlsConnector::from(Arc::new(http1)), TlsConnector::from(Arc::new(http2))))
    }
}
