//! The connections of HTTP/1.1 that are kept for a next request: which may serve one, and for how long.

use std::sync::PoisonError;
use std::time::Duration;

use http::{HeaderMap, Response, Version};
use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

use super::dial::Peer;
use super::socket::Watch;
use super::{Error, IDLE_TIMEOUT, OutBody, Upstream};
use compare::reply::connection_tokens;

/// Connections kept open without a request; more are closed when they become idle.
const IDLE_MAX: usize = 512;
/// A server that says how long it keeps a connection is left this much earlier.
const KEEP_ALIVE_MARGIN: Duration = Duration::from_secs(1);
/// How long a kept connection may take to become ready for its next request, which its own task does at
/// once where it can at all; then another connection is the better choice.
const READY_TIMEOUT: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Idle {
    sender: SendRequest<OutBody>,
    peer: Peer,
    watch: Watch,
    /// How long it may wait for its next request.
    keep: Duration,
    until: Instant,
}

impl Idle {
    /// One that may wait so long from now on.
    pub(super) fn new(
        (sender, peer, watch): (SendRequest<OutBody>, Peer, Watch),
        keep: Duration,
    ) -> Self {
        Self { sender, peer, watch, keep, until: Instant::now() }
    }
}

impl Upstream {
    /// A request that is not `repeatable` is lost on a connection that was closed meanwhile, so that
    /// it is worth a look.
    pub(super) async fn connection(
        &self,
        pooled: bool,
        repeatable: bool,
    ) -> Result<Connection, Error> {
        while pooled && let Some(Idle { mut sender, peer, watch, .. }) = self.pop_idle() {
            if watch.has_failed() {
                continue;
            }
            // Where its own task has yet to see that the last exchange is over, it is waited for.
            let ready = sender.is_ready() || {
                let ready = tokio::time::timeout(READY_TIMEOUT, sender.ready());
                matches!(Box::pin(ready).await, Ok(Ok(())))
            };
            if ready && (repeatable || watch.is_quiet()) {
                return Ok(Connection { sender, peer, watch, reused: true });
            }
        }
        let connecting = tokio::time::timeout(self.connect_timeout, self.connector.http1());
        let connected = Box::pin(connecting).await.map_err(|_| Error::ConnectTimeout)?;
        let (sender, peer, watch) = connected?;
        Ok(Connection { sender, peer, watch, reused: false })
    }

    fn pop_idle(&self) -> Option<Idle> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(mut newest) = idle.pop_back() {
            let in_time = Instant::now() < newest.until;
            if in_time
                && !newest.sender.is_closed()
                && self.connector.dialer.is_current(&mut newest.peer)
            {
                return Some(newest);
            }
        }
        None
    }

    pub(super) fn put_back(&self, mut one: Idle) {
        let now = Instant::now();
        self.connector.dialer.refresh_if_due(now);
        if one.keep.is_zero() || !self.connector.dialer.is_current(&mut one.peer) {
            return;
        }
        one.until = now + one.keep;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while idle.front().is_some_and(|oldest| oldest.until < now) {
            idle.pop_front();
        }
        if idle.len() < IDLE_MAX {
            idle.push_back(one);
        }
    }
}

/// Whether the server closes the connection after this answer (RFC 9112, section 9.3).
pub(super) fn is_last<B>(response: &Response<B>) -> bool {
    let says = |option: &[u8]| {
        connection_tokens(response.headers()).any(|token| token.eq_ignore_ascii_case(option))
    };
    says(b"close") || response.version() < Version::HTTP_11 && !says(b"keep-alive")
}

/// How long the server keeps the connection, by its `Keep-Alive`, less a margin: a request that
/// leaves just before the end arrives after it.
pub(super) fn told_idle(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("keep-alive")?.to_str().ok()?;
    let mut parameters = value.split(',').filter_map(|one| one.split_once('='));
    let (_, seconds) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("timeout"))?;
    let told = Duration::from_secs(seconds.trim().trim_matches('"').parse().ok()?);
    Some(told.saturating_sub(KEEP_ALIVE_MARGIN).max(told / 2).min(IDLE_TIMEOUT))
}

/// A connection for one request.
pub(super) struct Connection {
    pub(super) sender: SendRequest<OutBody>,
    pub(super) peer: Peer,
    pub(super) watch: Watch,
    /// It carried requests before, and may have died since without our knowing.
    pub(super) reused: bool,
}
