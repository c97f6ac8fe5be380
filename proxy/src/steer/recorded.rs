//! What the audit log is told: by which settings the proxy runs, from when on, and what was said by hand.

use serde_json::{Value, json};

use super::{State, Steer, Taken};
use crate::audit::cut;

/// Most names in an entry; how many there are is said, too.
const NAMES_MAX: usize = 100;

impl Steer {
    pub(super) fn record_start(&self) {
        let state = self.state();
        let mut about = by_which(&state);
        about["version"] = env!("CARGO_PKG_VERSION").into();
        about["tokens"] = self.tokens();
        self.audit().record("started", about);
    }

    pub(super) fn record_taken(&self, state: &State, taken: &Taken) {
        let mut about = by_which(state);
        about["startedAnew"] = listed(&taken.anew);
        about["needsRestart"] = listed(&taken.needs_restart);
        about["tokens"] = self.tokens();
        about["changedTokens"] = listed(&taken.tokens);
        self.audit().record("reloaded", about);
    }

    pub(super) fn record_refused(&self, state: &State, reason: &str) {
        let mut about = by_which(state);
        about["why"] = cut(reason).into();
        self.audit().record("reload_refused", about);
    }

    /// `about`: an override.
    pub(super) fn record_override(&self, state: &State, what: &'static str, about: &Value) {
        let mut whole = by_which(state);
        for (name, value) in about.as_object().into_iter().flatten() {
            whole[name.as_str()] = value.clone();
        }
        self.audit().record(what, whole);
    }

    /// Who may do what, where it hangs on tokens.
    fn tokens(&self) -> Value {
        listed(&self.access().tokens)
    }
}

/// The settings that hold, and how much of what was said by hand goes over them.
fn by_which(state: &State) -> Value {
    json!({
        "revision": state.fresh.revision,
        "sha256": state.fresh.sha256,
        "overrides": state.overrides.len(),
    })
}

fn listed<N: ToString>(names: &[N]) -> Value {
    let more = names.len().saturating_sub(NAMES_MAX);
    let more = (more > 0).then(|| format!("and {more} more"));
    let first = names.iter().take(NAMES_MAX).map(|name| cut(&name.to_string()));
    first.chain(more).collect()
}
