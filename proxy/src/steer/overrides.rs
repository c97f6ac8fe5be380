//! What is said by hand while the proxy runs: the share of a route or of all, a candidate on or off.
//! It holds over the settings, survives their reload and not a restart, and may end by itself.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tokio::task::AbortHandle;
use tracing::info;

mod said;

use super::applied::fragments;
use super::{State, Steer};
use crate::plan::{OTHERS, Override, Parts, Plan, Says, Terms};
use crate::policy::RoutePolicy;
use crate::policy::matcher::label_as_sent;

pub use said::Said;

/// Most that may hold at once: there are no more routes and candidates worth steering by hand.
const MOST: usize = 1000;

impl Steer {
    /// Holds from now on; what was said of the same for the same route and candidate is replaced.
    ///
    /// # Errors
    /// What is wrong with it; nothing has changed then.
    pub fn say(self: &Arc<Self>, said: Said) -> Result<Value, String> {
        let mut state = self.state();
        let (new, time) = meant(said, &state.fresh.parts)?;
        let mut overrides = state.overrides.clone();
        overrides.retain(|it| !new.iter().any(|new| is_of_the_same(it, new)));
        if overrides.len() + new.len() > MOST {
            return Err(format!("there are {MOST} overrides already; DELETE them first"));
        }
        overrides.extend(new.iter().cloned());
        self.hold(&mut state, overrides)?;
        for new in new {
            self.tell(&state, "override", &new);
            if let Some(time) = time {
                let timer = self.end_after(time, new.clone());
                state.timers.push((new, timer));
            }
        }
        Ok(shown(&state.overrides))
    }

    fn end_after(self: &Arc<Self>, time: Duration, ended: Override) -> AbortHandle {
        let steer = Arc::clone(self);
        let timer = tokio::spawn(async move {
            tokio::time::sleep(time).await;
            steer.end(&ended);
        });
        timer.abort_handle()
    }

    /// None holds any more.
    ///
    /// # Errors
    /// Where the plan without them cannot be followed.
    pub fn forget(&self) -> Result<Value, String> {
        let mut state = self.state();
        let before = state.overrides.clone();
        self.hold(&mut state, Vec::new())?;
        before.iter().for_each(|it| self.tell(&state, "override_ended", it));
        Ok(shown(&state.overrides))
    }

    /// Its time is over, unless another took its place.
    fn end(&self, ended: &Override) {
        let mut state = self.state();
        let rest: Vec<_> = state.overrides.iter().filter(|it| *it != ended).cloned().collect();
        if rest.len() < state.overrides.len() && self.hold(&mut state, rest).is_ok() {
            self.tell(&state, "override_ended", ended);
        }
    }

    pub(super) fn hold(&self, state: &mut State, overrides: Vec<Override>) -> Result<(), String> {
        let before = self.parties.mirror.lanes();
        let applied = fragments(&state.applied);
        let parts = Parts { overrides: overrides.clone(), applied, ..state.fresh.parts.clone() };
        let plan = Plan::new(parts, Some(&before.plan), Instant::now());
        let followed = self.parties.mirror.follow(plan, &self.parties.means, &state.fresh.trust);
        followed.map_err(|fault| fault.to_string())?;
        state.say(overrides);
        Ok(())
    }

    pub(super) fn tell(&self, state: &State, event: &'static str, about: &Override) {
        let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let mut told = one(about);
        info!(%told, "{event}");
        self.record_override(state, event, &told);
        told["time"] = now.into();
        told["event"] = event.into();
        self.parties.announcer.tell(told);
    }
}

impl State {
    /// These hold, and no others; those that do not any more are returned.
    pub(super) fn say(&mut self, overrides: Vec<Override>) -> Vec<Override> {
        let mut ended = std::mem::replace(&mut self.overrides, overrides);
        ended.retain(|it| !self.overrides.contains(it));
        self.timers.retain(|(of, timer)| {
            let runs = self.overrides.contains(of);
            if !runs {
                timer.abort();
            }
            runs
        });
        ended
    }
}

/// What is said, if it makes sense here: an override for each setting.
fn meant(said: Said, parts: &Parts) -> Result<(Vec<Override>, Option<Duration>), String> {
    let senseless = senseless(&said, parts);
    if !senseless.is_empty() {
        return Err(senseless.join("; "));
    }
    let Said { route, candidate, share, enabled, time } = said;
    let route = route.map(|it| route_called(parts.routes.iter(), &it)).transpose()?;
    let until = time.map(|time| SystemTime::now() + time);
    let (route, candidate) = (route.map(Arc::from), candidate.map(Arc::from));
    let says = share.map(Says::Share).into_iter().chain(enabled.map(Says::Enabled));
    let new = says.map(|says| Override {
        route: Option::clone(&route),
        candidate: Option::clone(&candidate),
        says,
        until,
    });
    Ok((new.collect(), time))
}

/// All of it that makes no sense here.
fn senseless(said: &Said, parts: &Parts) -> Vec<String> {
    let is_silent = said.share.is_none() && said.enabled.is_none();
    let silent = is_silent.then(|| "says nothing; allowed is share, enabled, or both".to_owned());
    let (route, no_route) = match said.route.as_deref().map(|it| route(it, parts)).transpose() {
        Ok(route) => (route, None),
        Err(why) => (None, Some(why)),
    };
    let candidate = said.candidate.as_deref();
    let no_candidate = candidate.and_then(|name| no_candidate(name, route, parts));
    [silent, no_route, no_candidate].into_iter().flatten().collect()
}

/// The route of the settings that is meant, by its name or label.
fn route<'p>(said: &str, parts: &'p Parts) -> Result<&'p RoutePolicy, String> {
    let called = route_called(parts.routes.iter(), said)?;
    let labelled = || parts.routes.iter().filter(|it| it.is_labelled());
    labelled().find(|it| *it.id == *called).ok_or_else(|| {
        let ids = listed(labelled().map(|it| &*it.id));
        format!("route={called:?}: is no route of the settings; allowed is {ids}")
    })
}

fn no_candidate(name: &str, route: Option<&RoutePolicy>, parts: &Parts) -> Option<String> {
    if !parts.candidates.iter().any(|it| *it.name == *name) {
        let names = listed(parts.candidates.iter().map(|it| &*it.name));
        return Some(format!("candidate={name:?}: is none; allowed is {names}"));
    }
    let of = route?.candidates.as_ref()?;
    let gets_none = !of.iter().any(|it| **it == *name);
    gets_none.then(|| {
        let of = listed(of.iter().map(|it| &**it));
        format!("candidate={name:?}: gets no copies on that route; allowed is {of}")
    })
}

fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names = names.collect::<Vec<_>>();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// What a route is called that was named by hand: a label may be written as no request has it.
///
/// # Errors
/// A place is no name.
pub fn route_called<'r>(
    mut routes: impl Iterator<Item = &'r RoutePolicy>,
    said: &str,
) -> Result<String, String> {
    match routes.find(|it| *it.id == *said) {
        Some(route) => route.has_no_name().map_or_else(|| Ok(said.to_owned()), Err),
        None => Ok(label_as_sent(said)),
    }
}

fn is_of_the_same(one: &Override, other: &Override) -> bool {
    (&one.route, &one.candidate) == (&other.route, &other.candidate)
        && std::mem::discriminant(&one.says) == std::mem::discriminant(&other.says)
}

/// Those that still have a route and a candidate to hold for.
pub(super) fn that_fit(overrides: &[Override], parts: &Parts) -> Vec<Override> {
    let fits = |it: &&Override| {
        it.route.as_ref().is_none_or(|id| parts.routes.iter().any(|route| route.id == *id))
            && (it.candidate.as_ref())
                .is_none_or(|name| parts.candidates.iter().any(|it| it.name == *name))
    };
    overrides.iter().filter(fits).cloned().collect()
}

/// For people.
pub fn shown(overrides: &[Override]) -> Value {
    overrides.iter().map(one).collect()
}

/// The settings with what was said by hand in the place of what they say.
pub(super) fn over(settings: &[Value], overrides: &[Override]) -> Vec<Value> {
    let mut shown = settings.to_vec();
    for it in overrides {
        let (what, value) = match it.says {
            Says::Share(share) => ("share", json!(share.fraction())),
            Says::Enabled(enabled) => ("enabled", json!(enabled)),
        };
        let place = format!("{}.{what}", place_of(it));
        shown.retain(|setting| setting["place"] != place.as_str());
        shown.push(json!({
            "place": place,
            "env": null,
            "value": value,
            "origin": {"from": "override", "until": one(it)["until"]},
            "restart": false,
        }));
    }
    shown
}

fn place_of(it: &Override) -> String {
    match (&it.route, &it.candidate) {
        (None, None) => "mirror".to_owned(),
        (Some(route), None) => format!("route.{route}"),
        (None, Some(candidate)) => format!("candidate.{candidate}"),
        (Some(route), Some(candidate)) => format!("route.{route}.candidate.{candidate}"),
    }
}

fn one(it: &Override) -> Value {
    let (share, enabled) = match it.says {
        Says::Share(share) => (Some(share.fraction()), None),
        Says::Enabled(enabled) => (None, Some(enabled)),
    };
    json!({
        "route": it.route.as_deref(),
        "candidate": it.candidate.as_deref(),
        "share": share,
        "enabled": enabled,
        "until": it.until.map(|until| humantime::format_rfc3339_millis(until).to_string()),
    })
}

/// What holds for each route and candidate, fall-backs and overrides resolved.
pub(super) fn effective(plan: &Plan) -> Value {
    let routes = plan.treatments().map(|treatment| {
        let policy = &treatment.policy;
        let candidates = plan.candidates.iter().zip(&treatment.terms);
        let candidates = candidates.filter_map(|(candidate, terms)| {
            Some((candidate.name.to_string(), terms_shown(terms.as_ref()?)))
        });
        json!({
            "route": if *policy.id == *OTHERS { "(all others)" } else { &*policy.id },
            "place": &*policy.place,
            "minPairs": policy.min_pairs,
            "sampleBy": policy.sample_by.as_ref().map(ToString::to_string),
            "orderBy": treatment.order_by.as_ref().map(ToString::to_string),
            "rate": policy.rate.map(|rate| rate.to_string()),
            "unsafeMethods": treatment.unsafe_methods,
            "candidates": candidates.collect::<serde_json::Map<_, _>>(),
        })
    });
    routes.collect()
}

fn terms_shown(terms: &Terms) -> Value {
    json!({
        "enabled": terms.enabled,
        "share": terms.share.fraction(),
        "timeoutSeconds": terms.timeout.as_secs_f64(),
        "maxBodyBytes": terms.max_body_bytes,
        "body": terms.body,
        "mark": terms.mark.as_ref().map(|(name, value)| {
            format!("{name}: {}", value.to_str().unwrap_or("(no text)"))
        }),
        "ownThresholds": terms.thresholds.is_some(),
    })
}
