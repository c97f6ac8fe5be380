//! Rules of the comparison that are applied by hand: they hold besides those of the settings until they
//! are withdrawn or the settings are reloaded. What was known of their routes rested on other rules, and is
//! forgotten.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};
use tracing::info;

use super::{State, Steer};
use crate::plan::Fragment;

/// Most that hold at once.
const MOST: usize = 64;

/// Rules that were applied, by whom and when.
#[derive(Clone, Debug)]
pub struct Applied {
    id: u64,
    rules: Arc<Fragment>,
    since: SystemTime,
    by: String,
}

impl Steer {
    /// Applies rules; `by` is who does.
    ///
    /// # Errors
    /// Where there are too many, or the plan with them cannot be followed.
    pub fn apply(&self, rules: Fragment, by: String) -> Result<Value, String> {
        let mut state = self.state();
        if state.applied.len() >= MOST {
            return Err(format!("there are {MOST} applied rules already; withdraw some first"));
        }
        self.parties.mirror.lanes().plan.has_room(&rules)?;
        // Never one that was there before: whoever withdraws it by its id would withdraw somebody else's.
        state.last_applied += 1;
        let id = state.last_applied;
        let new = Applied { id, rules: Arc::new(rules), since: SystemTime::now(), by };
        let before = state.applied.clone();
        state.applied.push(new.clone());
        self.follow_applied(&mut state, before)?;
        self.forget_known_of(&new.rules);
        self.tell_applied(&state, "rules_applied", &new, &json!({}));
        Ok(one(&new))
    }

    /// Withdraws what was applied under this id, or all; those that are gone then.
    ///
    /// # Errors
    /// Where the plan without them cannot be followed.
    pub fn withdraw(&self, id: Option<u64>, by: &str) -> Result<Value, String> {
        let mut state = self.state();
        let before = state.applied.clone();
        let (gone, rest): (Vec<_>, Vec<_>) =
            before.iter().cloned().partition(|it| id.is_none_or(|id| it.id == id));
        state.applied = rest;
        self.follow_applied(&mut state, before)?;
        for gone in &gone {
            self.forget_known_of(&gone.rules);
            self.tell_applied(&state, "rules_withdrawn", gone, &json!({"withdrawnBy": by}));
        }
        Ok(gone.iter().map(one).collect())
    }

    /// What was applied, the oldest first.
    pub fn applied(&self) -> Value {
        shown(&self.state().applied)
    }

    /// None holds any more: the plan is made without them already.
    pub(super) fn end_applied(&self, state: &mut State, why: &str) {
        for gone in std::mem::take(&mut state.applied) {
            self.forget_known_of(&gone.rules);
            self.tell_applied(state, "rules_withdrawn", &gone, &json!({"why": why}));
        }
    }

    /// The plan with what is applied now, or as it was `before`.
    fn follow_applied(&self, state: &mut State, before: Vec<Applied>) -> Result<(), String> {
        let overrides = state.overrides.clone();
        self.hold(state, overrides).inspect_err(|_| state.applied = before)
    }

    fn forget_known_of(&self, rules: &Fragment) {
        for entry in &self.parties.mirror.lanes().entries {
            let observe = &entry.lane.observe;
            match rules.labels() {
                Some(labels) => labels.into_iter().for_each(|label| observe.reset_report_of(label)),
                None => observe.reset_report(),
            }
        }
    }

    fn tell_applied(&self, state: &State, event: &'static str, about: &Applied, more: &Value) {
        let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let mut told = one(about);
        for (name, value) in more.as_object().into_iter().flatten() {
            told[name.as_str()] = value.clone();
        }
        info!(%told, "{event}");
        self.record_override(state, event, &told);
        told["time"] = now.into();
        told["event"] = event.into();
        self.parties.announcer.tell(told);
    }
}

/// What a plan is made with.
pub(super) fn fragments(applied: &[Applied]) -> Vec<Arc<Fragment>> {
    applied.iter().map(|it| Arc::clone(&it.rules)).collect()
}

/// For people.
pub(super) fn shown(applied: &[Applied]) -> Value {
    applied.iter().map(one).collect()
}

fn one(applied: &Applied) -> Value {
    json!({
        "id": applied.id,
        "rules": applied.rules.text,
        "since": humantime::format_rfc3339_millis(applied.since).to_string(),
        "by": applied.by,
    })
}
