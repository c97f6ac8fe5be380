//! What changes while the proxy runs: settings that are read anew, and what is said by hand. Swapped as
//! a whole, or refused as a whole.
//!
//! Connections, requests and pairs that are under way keep what they began with.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Instant, SystemTime};

use serde_json::{Value, json};
use tokio::task::AbortHandle;
use tracing::{error, info, warn};

pub mod applied;
pub mod overrides;
mod recorded;
pub mod watch;

use crate::access::Access;
use crate::audit::Audit;
use crate::listen::tls::{Identity, Shown};
use crate::metrics::Metrics;
use crate::mirror::{Lanes, Means, Mirror};
use crate::observe::announce::Announcer;
use crate::plan::{Fragment, Override, Parts, Plan};
use crate::upstream::{RenewedTls, Target, Trust, Upstream};

/// What is read, or read anew.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// What a plan is made of.
    pub parts: Parts,
    /// The certificate that clients see, with its key.
    pub identity: Option<Identity>,
    /// The baseline, and the second one where there is one, of which only the TLS side is taken over.
    pub targets: Vec<Target>,
    /// Whom https upstreams are believed.
    pub trust: Trust,
    /// All settings, for people: where each comes from, secrets masked.
    pub settings: Vec<Value>,
    /// The settings that cannot change while the proxy runs, by name.
    pub fixed: Vec<(String, String)>,
    /// What is good and was probably not meant, such as a route that no request comes to.
    pub warnings: Vec<String>,
    /// A hash of all that the settings say, which is short.
    pub revision: String,
    /// The same as a SHA-256, which nobody finds other settings for.
    pub sha256: String,
    /// Who may do what at the admin endpoints; of this only tokens change while the proxy runs.
    pub access: Access,
}

/// Reads the settings; waits for the disk.
pub type Read = Arc<dyn Fn() -> Result<Fresh, String> + Send + Sync>;

/// Reads rules of the comparison alone, or says what is wrong with them.
pub type ReadRules = fn(&str) -> Result<Fragment, String>;

/// Those that what is read anew goes to.
#[derive(Debug)]
pub struct Parties {
    /// What clients see.
    pub shown: Option<Arc<Shown>>,
    /// Those of [`Fresh::targets`], in the same order.
    pub upstreams: Vec<Arc<Upstream>>,
    /// Follows plans.
    pub mirror: Arc<Mirror>,
    /// What its lanes are made with.
    pub means: Means,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Makes known.
    pub announcer: Arc<Announcer>,
    /// Understands rules that are said by hand.
    pub read_rules: ReadRules,
}

/// Steers a running proxy.
pub struct Steer {
    parties: Parties,
    read: Option<Read>,
    /// Held while the settings are read, which may take as long as a disk hangs.
    reading: Mutex<()>,
    /// Held for moments.
    state: Mutex<State>,
    access: RwLock<Arc<Access>>,
}

/// What holds now.
struct State {
    fresh: Fresh,
    /// What was read at the start, of which [`Fresh::fixed`] still runs.
    start: Fresh,
    overrides: Vec<Override>,
    /// Rules that were applied by hand.
    applied: Vec<applied::Applied>,
    /// The id of the last of them.
    last_applied: u64,
    /// Of those that end by themselves.
    timers: Vec<(Override, AbortHandle)>,
    since: SystemTime,
    /// Why the last try to read anew was refused, and when.
    refused: Option<(SystemTime, String)>,
}

impl std::fmt::Debug for Steer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Steer").finish_non_exhaustive()
    }
}

/// What came of reading the settings anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Candidates, or candidates on routes, of which nothing is known yet.
    pub anew: Vec<String>,
    /// Settings that have changed and only hold after a restart.
    pub needs_restart: Vec<String>,
    /// Tokens that are others than before, by their names.
    pub tokens: Vec<String>,
    /// See [`Fresh::warnings`].
    pub warnings: Vec<String>,
}

impl Steer {
    /// Of a proxy that runs by what was read; `read` reads it anew.
    pub fn new(parties: Parties, fresh: Fresh, read: Option<Read>) -> Arc<Self> {
        let since = SystemTime::now();
        parties.metrics.show_revision(&fresh.revision, since);
        let access = RwLock::new(Arc::new(fresh.access.clone()));
        let state = Mutex::new(State {
            start: fresh.clone(),
            fresh,
            overrides: Vec::new(),
            applied: Vec::new(),
            last_applied: 0,
            timers: Vec::new(),
            since,
            refused: None,
        });
        let steer = Self { parties, read, reading: Mutex::default(), state, access };
        steer.record_start();
        Arc::new(steer)
    }

    /// Reads the settings anew and takes them over, or keeps all that there is. Waits for the disk.
    ///
    /// # Errors
    /// Why they were refused.
    pub fn reload(&self) -> Result<Taken, String> {
        let Some(read) = &self.read else {
            return Err("there is nothing that could be read anew".to_owned());
        };
        self.take_over(|| read())
    }

    /// Takes over what `read` reads, or keeps all that there is.
    ///
    /// # Errors
    /// Why it was refused.
    pub fn take_over(&self, read: impl FnOnce() -> Result<Fresh, String>) -> Result<Taken, String> {
        // So that of two that read, what was read last holds. Whoever asks for the status waits for
        // neither.
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = read();
        let mut state = self.state();
        let taken = fresh.and_then(|fresh| self.take(&mut state, fresh));
        self.parties.metrics.count_reload(taken.is_ok());
        match &taken {
            Ok(taken) => self.tell_taken(&mut state, taken),
            Err(reason) => self.tell_refused(&mut state, reason),
        }
        taken
    }

    fn take(&self, state: &mut State, fresh: Fresh) -> Result<Taken, String> {
        let Parties { shown, upstreams, mirror, means, .. } = &self.parties;
        let renew =
            |target| RenewedTls::new(target, &fresh.trust).map_err(|error| error.to_string());
        let before = mirror.lanes();
        let candidates = fresh.parts.candidates.iter().filter_map(|candidate| {
            Some((&before.of(&candidate.name)?.lane.upstream, &candidate.target))
        });
        let mut renewed = Vec::new();
        for (upstream, target) in upstreams.iter().zip(&fresh.targets).chain(candidates) {
            let renewal = renew(target)?;
            // One that is to be elsewhere after a restart goes on where it is, and as it is.
            if upstream.target().is_same_place(target) {
                renewed.push((Arc::clone(upstream), renewal));
            }
        }
        let overrides = overrides::that_fit(&state.overrides, &fresh.parts);
        let parts = Parts { overrides: overrides.clone(), ..fresh.parts.clone() };
        let plan = Plan::new(parts, Some(&before.plan), Instant::now());
        let anew = mirror.follow(plan, means, &fresh.trust).map_err(|fault| fault.to_string())?;
        // From here on nothing can fail, so that nothing is half taken over.
        for (upstream, renewed) in renewed {
            upstream.renew_tls(renewed);
        }
        if let (Some(shown), Some(identity)) = (shown, &fresh.identity) {
            shown.show(identity);
        }
        let needs_restart = changed(&state.start.fixed, &fresh.fixed);
        let warnings = fresh.warnings.clone();
        let access = state.start.access.renewed(&fresh.access);
        let tokens = access.changed(&self.access());
        *self.access.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
        state.fresh = fresh;
        // Their route or candidate is no more.
        let ended = state.say(overrides);
        ended.iter().for_each(|it| self.tell(state, "override_ended", it));
        self.end_applied(state, "the settings were reloaded");
        Ok(Taken { anew, needs_restart, tokens, warnings })
    }

    fn tell_taken(&self, state: &mut State, taken: &Taken) {
        let Taken { anew, needs_restart, tokens, warnings } = taken;
        (state.since, state.refused) = (SystemTime::now(), None);
        let revision = &state.fresh.revision;
        self.parties.metrics.show_revision(revision, state.since);
        info!(revision, "reloaded: settings, certificates and keys");
        if !anew.is_empty() {
            let candidates = anew.join(", ");
            info!(candidates, "guardrail and report start anew");
        }
        if !needs_restart.is_empty() {
            let settings = needs_restart.join(", ");
            warn!(settings, "these settings have changed and only hold after a restart");
        }
        if !tokens.is_empty() {
            let (tokens, who) = (tokens.join(", "), self.access().who());
            info!(tokens, who, "these tokens have changed: who may switch and see values now");
        }
        for warning in warnings {
            warn!(warning, "probably not what is meant");
        }
        self.record_taken(state, taken);
        self.parties.announcer.tell(json!({
            "time": humantime::format_rfc3339_millis(state.since).to_string(),
            "event": "reloaded",
            "revision": revision,
            "startedAnew": anew,
            "needsRestart": needs_restart,
        }));
    }

    fn tell_refused(&self, state: &mut State, reason: &str) {
        let now = SystemTime::now();
        error!(reason, "not reloaded: the old settings go on");
        state.refused = Some((now, reason.to_owned()));
        self.record_refused(state, reason);
        self.parties.announcer.tell(json!({
            "time": humantime::format_rfc3339_millis(now).to_string(),
            "event": "reload_refused",
            "reason": reason,
        }));
    }

    /// Does something to what runs while no other plan takes its place.
    pub fn undisturbed<T>(&self, work: impl FnOnce(&Lanes) -> T) -> T {
        let _state = self.state();
        work(&self.parties.mirror.lanes())
    }

    /// Rules of the comparison alone, as they stand in a settings file.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn read_rules(&self, text: &str) -> Result<Fragment, String> {
        (self.parties.read_rules)(text)
    }

    /// What is steered.
    pub fn mirror(&self) -> &Arc<Mirror> {
        &self.parties.mirror
    }

    /// The baseline, and the second one where there is one.
    pub fn upstreams(&self) -> &[Arc<Upstream>] {
        &self.parties.upstreams
    }

    /// Who may do what now.
    pub fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// As the settings would say it.
    #[cfg(test)]
    pub(crate) fn set_access(&self, access: Access) {
        *self.access.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
    }

    /// Where what is done by hand is recorded.
    pub fn audit(&self) -> &Audit {
        self.parties.announcer.audit()
    }

    /// The last events, the oldest first.
    pub fn events(&self) -> Vec<Value> {
        self.parties.announcer.events()
    }

    /// The hash of the settings that hold, see [`Fresh::revision`].
    pub fn revision(&self) -> String {
        self.state().fresh.revision.clone()
    }

    /// The settings that hold, for people.
    pub fn settings(&self) -> Value {
        let state = self.state();
        let plan = Arc::clone(&self.parties.mirror.lanes().plan);
        let needs_restart = changed(&state.start.fixed, &state.fresh.fixed);
        let mut settings = overrides::over(&state.fresh.settings, &state.overrides);
        for setting in &mut settings {
            let place = &setting["place"];
            if needs_restart.iter().any(|it| place == it) {
                let start = state.start.settings.iter().find(|it| it["place"] == *place);
                setting["running"] = start.map_or(Value::Null, |it| it["value"].clone());
            }
        }
        json!({
            "revision": state.fresh.revision,
            "sha256": state.fresh.sha256,
            "since": humantime::format_rfc3339_millis(state.since).to_string(),
            "refused": self.refused_of(&state),
            "needsRestart": needs_restart,
            "settings": settings,
            "overrides": overrides::shown(&state.overrides),
            "applied": applied::shown(&state.applied),
            "routes": overrides::effective(&plan),
        })
    }

    /// Why the last try to read the settings anew was refused; null where it was not.
    pub fn refused(&self) -> Value {
        self.refused_of(&self.state())
    }

    fn refused_of(&self, state: &State) -> Value {
        state.refused.as_ref().map_or(Value::Null, |(at, reason)| {
            json!({"time": humantime::format_rfc3339_millis(*at).to_string(), "reason": reason})
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The names of what is not the same.
fn changed(before: &[(String, String)], now: &[(String, String)]) -> Vec<String> {
    let gone = before.iter().filter(|it| !now.contains(it));
    let come = now.iter().filter(|it| !before.contains(it));
    let mut names: Vec<_> = gone.chain(come).map(|(name, _)| name.clone()).collect();
    names.sort();
    names.dedup();
    names
}
