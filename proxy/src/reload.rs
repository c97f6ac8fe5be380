//! What may change while the proxy runs: read anew when it is told to, and swapped as a whole.
//!
//! Connections, requests and pairs that are under way keep what they began with.

use std::sync::Arc;

use tracing::{error, info};

use crate::listen::tls::{Identity, Shown};
use crate::metrics::Metrics;
use crate::mirror::Mirror;
use crate::upstream::{RenewedTls, Target, Trust, Upstream};
use compare::rules::RuleBook;
use compare::{Origin, Policy};

/// What is read anew.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// The certificate that clients see, with its key.
    pub identity: Option<Identity>,
    /// The rules of the comparison.
    pub rules: RuleBook,
    /// Baseline, candidate and second baseline, of which only the TLS side counts.
    pub targets: Vec<Target>,
    /// Whom https upstreams are believed.
    pub trust: Trust,
}

/// Those that use it.
#[derive(Debug)]
pub struct Reloader {
    shown: Option<Arc<Shown>>,
    mirror: Arc<Mirror>,
    origins: [Origin; 2],
    upstreams: Vec<Arc<Upstream>>,
    metrics: Arc<Metrics>,
}

impl Reloader {
    /// `origins` are the baseline's and the candidate's own; `upstreams` are in the order of
    /// [`Fresh::targets`].
    pub fn new(
        shown: Option<Arc<Shown>>,
        mirror: Arc<Mirror>,
        origins: [Origin; 2],
        upstreams: Vec<Arc<Upstream>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { shown, mirror, origins, upstreams, metrics }
    }

    /// Takes over what was read, or keeps all that there is and says why.
    pub fn reload<E: std::fmt::Display>(&self, fresh: Result<Fresh, E>) {
        let taken = fresh.map_err(|error| error.to_string()).and_then(|fresh| self.take(&fresh));
        self.metrics.count_reload(taken.is_ok());
        match taken {
            Ok(()) => info!("reloaded: certificates, keys and rules"),
            Err(reason) => {
                error!(reason, "not reloaded: the old certificates and rules go on");
            }
        }
    }

    fn take(&self, fresh: &Fresh) -> Result<(), String> {
        let renew =
            |target| RenewedTls::new(target, &fresh.trust).map_err(|error| error.to_string());
        let renewed = fresh.targets.iter().map(renew).collect::<Result<Vec<_>, _>>()?;
        // From here on nothing can fail, so that nothing is half taken over.
        for (upstream, renewed) in self.upstreams.iter().zip(renewed) {
            upstream.renew_tls(renewed);
        }
        if let (Some(shown), Some(identity)) = (&self.shown, &fresh.identity) {
            shown.show(identity);
        }
        self.mirror.set_policy(Policy::new(&fresh.rules, &self.origins, rand::random()));
        Ok(())
    }
}
