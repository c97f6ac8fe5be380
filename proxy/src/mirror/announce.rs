//! Turns what the guardrail decided into metrics and log lines that a person understands.

use tracing::{info, warn};

use crate::guardrail::Transition;
use crate::metrics::Metrics;

/// Makes a transition known. Transitions are rare by nature, so that no line needs a limit.
pub fn announce(metrics: &Metrics, transition: &Transition) {
    match transition {
        Transition::Tripped { reason, .. } => {
            metrics.set_enabled(false);
            metrics.count_abort();
            warn!(%reason, "mirroring stopped by the guardrail");
        }
        Transition::Resumed => {
            metrics.set_enabled(true);
            info!("mirroring resumed after the cooldown");
        }
        Transition::Enabled => {
            metrics.set_enabled(true);
            info!("mirroring enabled by hand");
        }
        Transition::Held { counted } => {
            metrics.set_enabled(false);
            if *counted {
                metrics.count_abort();
            }
            info!("mirroring disabled by hand; it stays off until it is enabled by hand");
        }
    }
}
