//! What may change while the proxy runs: read anew when it is told to, and swapped as a whole.
//!
//! Connections, requests and pairs that are under way keep what they began with.

use std::sync::Arc;

use tracing::{error, info};

use crate::compare::rules::RuleBook;
use crate::compare::{Origin, Policy};

use crate::listen::tls::{Identity, Shown};
use crate::metrics::Metrics;
use crate::mirror::Mirror;

/// What is read anew.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// The certificate that clients see, with its key.
    pub identity: Option<Identity>,
    /// The rules of the comparison.
    pub rules: RuleBook,
}

/// Those that use it.
#[derive(Debug)]
pub struct Reloader {
    shown: Option<Arc<Shown>>,
    mirror: Arc<Mirror>,
    origins: [Origin; 2],
    metrics: Arc<Metrics>,
}

impl Reloader {
    /// `origins` are the baseline's and the candidate's own.
    pub fn new(
        shown: Option<Arc<Shown>>,
        mirror: Arc<Mirror>,
        origins: [Origin; 2],
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { shown, mirror, origins, metrics }
    }

    /// Takes over what was read, or keeps all that there is and says why.
    pub fn reload<E: std::fmt::Display>(&self, fresh: Result<Fresh, E>) {
        let fresh = match fresh {
            Ok(fresh) => fresh,
            Err(error) => {
                self.metrics.count_reload(false);
                let reason = error.to_string();
                return error!(reason, "not reloaded: the old certificates and rules go on");
            }
        };
        if let (Some(shown), Some(identity)) = (&self.shown, &fresh.identity) {
            shown.show(identity);
        }
        let policy = Policy::new(&fresh.rules, &self.origins, rand::random());
        self.mirror.set_policy(policy);
        self.metrics.count_reload(true);
        info!("reloaded: certificate, key and rules");
    }
}
