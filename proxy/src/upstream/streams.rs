//! The HTTP/2 connections to an upstream, each with many requests at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::client::conn::http2::SendRequest;
use tokio::time::Instant;

use super::connect::{Connector, PER_CONNECTION};
use super::dial::Peer;
use super::{Error, IDLE_TIMEOUT, OutBody};

/// The open connections of one upstream.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: Mutex<Vec<Open>>,
    /// One opens a connection, and the others wait for it rather than each open their own.
    opening: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Open {
    sender: SendRequest<OutBody>,
    peer: Peer,
    current: bool,
    in_flight: Arc<AtomicUsize>,
    used: Instant,
}

/// A place on a connection; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Slot(Arc<AtomicUsize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Streams {
    /// A connection with a free place, and whether it was open before.
    pub(super) async fn take(
        &self,
        connector: &Connector,
    ) -> Result<(SendRequest<OutBody>, Slot, bool), Error> {
        if let Some((sender, slot)) = self.free(connector) {
            return Ok((sender, slot, true));
        }
        let _alone = self.opening.lock().await;
        if let Some((sender, slot)) = self.free(connector) {
            return Ok((sender, slot, true));
        }
        let (sender, peer) = connector.http2().await?;
        let in_flight = Arc::new(AtomicUsize::new(1));
        let slot = Slot(Arc::clone(&in_flight));
        self.open().push(Open {
            sender: sender.clone(),
            peer,
            current: true,
            in_flight,
            used: Instant::now(),
        });
        Ok((sender, slot, false))
    }

    /// Gives no more places on this one's connection, which took no request.
    pub(super) fn forget(&self, slot: &Slot) {
        self.open().retain(|one| !Arc::ptr_eq(&one.in_flight, &slot.0));
    }

    /// Open connections.
    pub(super) fn count(&self) -> usize {
        self.open().len()
    }

    fn open(&self) -> MutexGuard<'_, Vec<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn free(&self, connector: &Connector) -> Option<(SendRequest<OutBody>, Slot)> {
        let now = Instant::now();
        connector.dialer.refresh_if_due(now);
        let mut open = self.open();
        open.retain_mut(|one| {
            // One that goes where the name no longer points gets no more requests.
            one.current = connector.dialer.is_current(&mut one.peer);
            let busy = one.in_flight.load(Ordering::Relaxed) > 0;
            let recent = one.current && now.duration_since(one.used) < IDLE_TIMEOUT;
            !one.sender.is_closed() && (busy || recent)
        });
        // The first with a place, so that what is left over falls idle and is closed.
        let found = open
            .iter_mut()
            .find(|one| one.current && one.in_flight.load(Ordering::Relaxed) < PER_CONNECTION)?;
        found.in_flight.fetch_add(1, Ordering::Relaxed);
        found.used = now;
        Some((found.sender.clone(), Slot(Arc::clone(&found.in_flight))))
    }
}
