//! The listeners beside those of traffic and of the admin endpoints.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::service::{Service, Traffic};
use super::{StartError, passed_or_bound};
use crate::config::{Config, Listener, Mode};
use crate::forward::Forward;
use crate::listen::Listening;
use crate::listen::passed::Passed;
use crate::listen::tls::Shown;
use crate::metrics::{Metrics, RelayGauges};
use crate::mirror::Mirror;
use crate::relay::{Left, Relay};
use crate::serve::{Server, Serving};

/// A listener that takes no connections yet.
struct Other {
    listener: Listening,
    settings: Listener,
    relay: Option<Arc<Relay>>,
}

/// All of them, before they take connections.
pub(super) struct Prepared(Vec<Other>);

/// All of them, running.
#[derive(Debug, Default)]
pub(super) struct Others {
    pub(super) addrs: Vec<SocketAddr>,
    servers: Vec<Server>,
    relays: Vec<Arc<Relay>>,
}

/// Takes the addresses, so that what cannot be had is told before anything runs.
pub(super) fn bind(config: &Config, passed: &mut Passed) -> Result<Vec<Listening>, StartError> {
    let bind = |other: &Listener| passed_or_bound(passed, other.name.as_deref(), other.listen);
    config.listeners.iter().map(bind).collect()
}

/// Whether any of them relays.
pub(super) fn relays(config: &Config) -> bool {
    config.listeners.iter().any(|other| matches!(other.mode, Mode::Relay(_)))
}

impl Prepared {
    /// Sets up the relays.
    pub(super) fn new(
        listeners: Vec<Listening>,
        config: &Config,
        mirror: &Mirror,
        forward: &Arc<Forward>,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, StartError> {
        let at_once = config.forward.limits.requests_in_flight;
        let prepared = listeners.into_iter().zip(&config.listeners).map(|(listener, settings)| {
            let relay = match &settings.mode {
                Mode::Proxy => None,
                Mode::Relay(relay) => {
                    let (forward, metrics) = (Arc::clone(forward), Arc::clone(metrics));
                    let budget = mirror.relay_budget();
                    let relay = Relay::start(relay.clone(), forward, budget, metrics, at_once);
                    Some(relay.map_err(StartError::Spool)?)
                }
            };
            Ok(Other { listener, settings: settings.clone(), relay })
        });
        prepared.collect::<Result<_, _>>().map(Self)
    }

    /// What is under way, for whoever looks.
    pub(super) fn gauges(
        &self,
        mirror: &Mirror,
    ) -> impl Fn() -> RelayGauges + Send + Sync + 'static + use<> {
        let relays: Vec<_> = self.0.iter().filter_map(|other| other.relay.clone()).collect();
        let budget = mirror.relay_budget();
        move || {
            let mut gauges =
                RelayGauges { buffered_bytes: budget.used(), ..RelayGauges::default() };
            relays.iter().for_each(|relay| relay.add_to(&mut gauges));
            gauges
        }
    }

    /// Takes connections from now on.
    pub(super) fn serve(
        self,
        config: &Config,
        shown: Option<&Arc<Shown>>,
        forward: &Arc<Forward>,
        metrics: &Arc<Metrics>,
    ) -> Others {
        let mut others = Others::default();
        for Other { listener, settings, relay } in self.0 {
            let tls = shown.filter(|_| settings.tls).cloned();
            let (service, balancers) = match relay {
                Some(relay) => {
                    others.relays.push(Arc::clone(&relay));
                    // Whoever mirrors speaks for itself.
                    (Service::Relay(relay), Default::default())
                }
                None => {
                    let (forward, metrics) = (Arc::clone(forward), Arc::clone(metrics));
                    let traffic = Traffic { forward, admin: None, metrics };
                    (Service::Traffic(traffic), config.proxy_protocol_from.clone())
                }
            };
            let limits = config.forward.limits.clone();
            let serving = Serving::new(service, tls, balancers, limits, metrics);
            let server = Server::start(listener, serving);
            others.addrs.push(server.addr);
            others.servers.push(server);
        }
        others
    }
}

impl Others {
    /// Lets clients go, as [`Server::leave`].
    pub(super) fn leave(&self) {
        self.servers.iter().for_each(Server::leave);
    }

    /// Takes no more connections, and waits for those that there are: how many did not end within `limit`
    /// and are cut off.
    pub(super) fn stop(&mut self, limit: Duration) -> impl Future<Output = usize> + use<> {
        let servers = std::mem::take(&mut self.servers).into_iter();
        let stopping: Vec<_> = servers.map(|server| tokio::spawn(server.stop(limit))).collect();
        async {
            let mut cut = 0;
            for stopped in stopping {
                cut += stopped.await.unwrap_or(0);
            }
            cut
        }
    }

    /// Waits for what relays have taken: what is not over at `deadline` is left.
    pub(super) async fn drain(&self, deadline: Instant) -> Left {
        let mut all = Left::default();
        // One after the other, since all of them work meanwhile.
        for relay in &self.relays {
            let left = relay.drain(deadline).await;
            all = Left { cut: all.cut + left.cut, kept: all.kept + left.kept };
        }
        all
    }
}
