//! The admin endpoints: liveness, readiness, metrics, and the guardrail by hand. Who may use which
//! is decided by [`access`](crate::access).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Extension, Request, State as Shared};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::middleware::{Next, from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, patch, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value, json};

mod identities;
mod page;
mod query;
mod replicas;
mod report;
mod rules;
mod trail;

pub use crate::access::Token;
pub use page::live::Live;
pub use report::reports;

use crate::access::{Asked, Class, Denied, Sight};
use crate::headers::{Peer, target};
use crate::mirror::Lanes;
use crate::observe::{Observe, event};
use crate::page::View;
use crate::plan::Plan;
use crate::replicas::Replicas;
use crate::steer::overrides::{self, Said};
use crate::steer::{Steer, Taken};
use crate::upstream::Upstream;
use judge::guardrail::bets::Signal;
use judge::guardrail::detector::THRESHOLD;
use judge::guardrail::{self, Evidence, State};
use judge::report::summary::UnusedRule;
use query::{Nothing, Parameters, Query, bad};
use trail::{LetIn, ShowsValues, Why};

/// The format of `/metrics`.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Longest body of `PATCH /control/policy`: a few short members.
const POLICY_MAX: usize = 1 << 16;

/// Shown, and by another method forgotten.
const IDENTITIES: &str = "/control/identities";

/// What was applied by hand; applied and withdrawn by other methods.
const RULES: &str = "/control/rules";

/// An endpoint. There is no other way to add one, so that each says who may use it.
struct Endpoint {
    path: &'static str,
    class: Class,
    serves: fn() -> MethodRouter<Control>,
}

const ENDPOINTS: [Endpoint; 30] = [
    Endpoint { path: "/healthz", class: Class::Counts, serves: || get(healthz) },
    Endpoint { path: "/readyz", class: Class::Counts, serves: || get(readyz) },
    Endpoint { path: "/metrics", class: Class::Counts, serves: || get(metrics) },
    Endpoint { path: "/control/status", class: Class::Counts, serves: || get(status) },
    Endpoint { path: "/control/events", class: Class::Values, serves: || get(events) },
    Endpoint { path: "/control/report", class: Class::Values, serves: || get(report::report) },
    Endpoint {
        path: "/control/report/reset",
        class: Class::Switches,
        serves: || post(report::reset),
    },
    Endpoint { path: IDENTITIES, class: Class::Settings, serves: || get(identities::show) },
    Endpoint { path: IDENTITIES, class: Class::Switches, serves: || delete(identities::forget) },
    Endpoint { path: "/control/cluster", class: Class::Settings, serves: || get(replicas::show) },
    Endpoint { path: "/control/config", class: Class::Settings, serves: || get(settings) },
    Endpoint { path: "/control/upstreams", class: Class::Settings, serves: || get(upstreams) },
    Endpoint {
        path: "/control/policy",
        class: Class::Switches,
        serves: || {
            let limit = DefaultBodyLimit::max(POLICY_MAX);
            patch(override_policy).layer(limit).delete(forget_overrides)
        },
    },
    Endpoint {
        path: "/control/whatif",
        class: Class::Switches,
        serves: || post(rules::whatif).layer(DefaultBodyLimit::max(POLICY_MAX)),
    },
    Endpoint { path: RULES, class: Class::Settings, serves: || get(rules::show) },
    Endpoint {
        path: RULES,
        class: Class::Switches,
        serves: || {
            let limit = DefaultBodyLimit::max(POLICY_MAX);
            post(rules::apply).layer(limit).delete(rules::withdraw)
        },
    },
    Endpoint { path: "/control/reload", class: Class::Switches, serves: || post(reload) },
    Endpoint { path: "/control/enable", class: Class::Switches, serves: || post(enable) },
    Endpoint { path: "/control/disable", class: Class::Switches, serves: || post(disable) },
    Endpoint { path: "/control", class: Class::Counts, serves: || get(page::moved) },
    Endpoint { path: "/control/", class: Class::Counts, serves: || get(page::overview) },
    Endpoint { path: "/control/route", class: Class::Values, serves: || get(page::route) },
    Endpoint {
        path: "/control/differences",
        class: Class::Values,
        serves: || get(page::differences),
    },
    Endpoint { path: "/control/timeline", class: Class::Values, serves: || get(page::timeline) },
    Endpoint { path: "/control/settings", class: Class::Settings, serves: || get(page::settings) },
    Endpoint { path: "/control/switch", class: Class::Switches, serves: || post(page::switch) },
    Endpoint { path: "/control/live", class: Class::Counts, serves: || get(page::live::live) },
    Endpoint { path: "/control/page.css", class: Class::Counts, serves: || get(page::style) },
    Endpoint { path: "/control/page.js", class: Class::Counts, serves: || get(page::script) },
    Endpoint { path: "/control/icon.svg", class: Class::Counts, serves: || get(page::icon) },
];

/// The paths of the admin endpoints behind this prefix.
pub fn paths(prefix: &str) -> impl Iterator<Item = String> {
    let paths: BTreeSet<_> = ENDPOINTS.iter().map(|endpoint| endpoint.path).collect();
    paths.into_iter().map(move |path| format!("{prefix}{path}"))
}

/// Whether a path belongs to the admin endpoints behind this prefix, where they share a listener
/// with traffic.
pub fn is_admin_path(prefix: &str, path: &str) -> bool {
    let mut endpoints = ENDPOINTS.iter();
    path.strip_prefix(prefix).is_some_and(|path| endpoints.any(|it| it.path == path))
}

/// What the endpoints work on.
#[derive(Clone)]
pub struct Control {
    /// Knows and steers what runs.
    pub steer: Arc<Steer>,
    /// Set once the proxy is told to stop.
    pub draining: Arc<AtomicBool>,
    /// Gives the Prometheus text.
    pub render_metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Those who look at the page.
    pub live: Arc<Live>,
    /// The other replicas, if there are any.
    pub replicas: Option<Arc<Replicas>>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("steer", &self.steer).finish_non_exhaustive()
    }
}

/// Which candidate and route a request is about.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    candidate: Option<String>,
    route: Option<String>,
}

impl Parameters for About {
    const NAMES: &'static [&'static str] = &["candidate", "route"];
}

impl About {
    fn is_of(&self, route: &str) -> bool {
        self.route.as_ref().is_none_or(|named| named == route)
    }

    /// The candidates that it is about: the one that it names, or all. A route that it names must be of the
    /// settings, or known to one of them; it is called as they call it from then on.
    fn observed(&mut self, lanes: &Lanes) -> Result<Vec<Arc<Observe>>, NotFound> {
        let observed = named(lanes, self.candidate.as_deref())?;
        self.route = called(&lanes.plan, self.route.take())?;
        match &self.route {
            Some(route)
                if !lanes.plan.has_route(route) && !observed.iter().any(|it| it.knows(route)) =>
            {
                Err(NotFound(format!(
                    "route={route:?}: had no request yet, and is no route of the settings"
                )))
            }
            _ => Ok(observed),
        }
    }
}

impl Control {
    fn lanes(&self) -> Arc<Lanes> {
        self.steer.mirror().lanes()
    }
}

/// The candidate of this name, or all.
fn named(lanes: &Lanes, candidate: Option<&str>) -> Result<Vec<Arc<Observe>>, NotFound> {
    let all = || lanes.entries.iter().map(|entry| Arc::clone(&entry.lane.observe));
    let Some(name) = candidate else { return Ok(all().collect()) };
    let found = all().find(|it| *it.name() == *name);
    found.map(|found| vec![found]).ok_or_else(|| {
        let names: Vec<_> = all().map(|it| it.name().to_string()).collect();
        NotFound(format!("candidate={name:?}: is none; allowed is {}", names.join(", ")))
    })
}

/// What is asked for is not there, for this reason.
struct NotFound(String);

impl IntoResponse for NotFound {
    fn into_response(self) -> Response {
        refused(StatusCode::NOT_FOUND, "not found", &self.0)
    }
}

/// What a route is called that a query names.
fn called(plan: &Plan, route: Option<String>) -> Result<Option<String>, NotFound> {
    let Some(route) = route else { return Ok(None) };
    overrides::route_called(plan.policies(), &route).map(Some).map_err(NotFound)
}

/// That something is not done, and why, which the audit log is told too.
fn refused(code: StatusCode, error: &str, reason: &str) -> Response {
    let told = Json(json!({"error": error, "reason": reason}));
    (code, Extension(Why(reason.to_owned())), told).into_response()
}

/// A trip or an event, for whoever may not see values, or what the settings say, without them.
fn shown(mut event: Value, sight: Sight) -> Value {
    if let Some(denied) = sight.without_values() {
        event::withhold_values(&mut event, denied.withheld());
    }
    if let Sight::Counts(denied) = sight {
        event::withhold_settings(&mut event, denied.withheld());
    }
    event
}

/// The admin router, behind a prefix such as `/_mirrorlab`, or none.
pub fn router(control: Control, prefix: &str) -> Router {
    let recorded = from_fn_with_state(Arc::clone(&control.steer), trail::record);
    // Around all that is answered here, wrong methods and paths too.
    let endpoints = endpoints(control).fallback(no_such_path).layer(recorded);
    // What is told of a request must not tell what stands for bytes that no target may have.
    let endpoints = endpoints.layer(map_request(with_target_shown));
    if prefix.is_empty() {
        endpoints
    } else {
        Router::new().nest(prefix, endpoints).fallback(no_such_path)
    }
}

async fn with_target_shown(mut request: Request) -> Request {
    let target = request.uri().path_and_query().map_or("", |it| it.as_str());
    if let Cow::Owned(shown) = target::shown(target)
        && let Ok(uri) = shown.parse()
    {
        *request.uri_mut() = uri;
    }
    request
}

async fn no_such_path() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({"error": "not found"}))).into_response()
}

fn endpoints(control: Control) -> Router {
    let router = ENDPOINTS.iter().fold(Router::new(), |router, endpoint| {
        let (class, view) = (endpoint.class, page::view_at(endpoint.path));
        let guard = Guard { steer: Arc::clone(&control.steer), class, view };
        // Behind the choice of the method, so that a wrong one stays 405.
        let serves = (endpoint.serves)().route_layer(from_fn_with_state(guard, admit));
        router.route(endpoint.path, serves)
    });
    router.method_not_allowed_fallback(wrong_method).with_state(control)
}

async fn wrong_method() -> Response {
    let reason = "the header Allow says which are";
    refused(StatusCode::METHOD_NOT_ALLOWED, "method not allowed", reason)
}

#[derive(Clone)]
struct Guard {
    steer: Arc<Steer>,
    class: Class,
    /// Where it is a page, which.
    view: Option<View>,
}

/// Lets a request through, with what its answer may show, or answers why not.
async fn admit(Shared(guard): Shared<Guard>, mut request: Request, next: Next) -> Response {
    let asked = Asked {
        peer: request.extensions().get::<Peer>().map(Peer::ip),
        headers: request.headers(),
        target: request.uri(),
    };
    let class = guard.class;
    match guard.steer.access().decide(class, asked) {
        Ok(sight) => {
            request.extensions_mut().insert(sight);
            let mut answer = next.run(request).await;
            answer.extensions_mut().insert(LetIn { class, sight });
            answer
        }
        Err(denied) => match guard.view {
            None => refusal(denied),
            Some(view) => page::refused(&guard.steer, view, denied, refusal(denied)),
        },
    }
}

fn refusal(denied: Denied) -> Response {
    let reason = denied.reason();
    if denied == Denied::Token {
        let (why, error) = (Extension(Why(reason.to_owned())), Json(json!({"error": reason})));
        let asks = [(WWW_AUTHENTICATE, "Bearer")];
        return (StatusCode::UNAUTHORIZED, why, asks, error).into_response();
    }
    refused(StatusCode::FORBIDDEN, "forbidden", reason)
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(Shared(control): Shared<Control>) -> Response {
    let (code, status) = if control.draining.load(Ordering::Relaxed) {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    } else {
        (StatusCode::OK, "ready")
    };
    (code, Json(json!({"status": status}))).into_response()
}

async fn metrics(Shared(control): Shared<Control>) -> Response {
    beside_traffic(move || {
        ([(CONTENT_TYPE, PROMETHEUS_TEXT)], (control.render_metrics)()).into_response()
    })
    .await
}

/// What takes milliseconds is computed on a thread of its own: the others have clients to serve.
async fn beside_traffic(answer: impl FnOnce() -> Response + Send + 'static) -> Response {
    let answer = tokio::task::spawn_blocking(answer).await;
    answer.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// What holds of one candidate.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    candidate: String,
    enabled: bool,
    /// Where the guardrail would let copies pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    off_by: Option<&'static str>,
    state: &'static str,
    last_abort_time: Option<String>,
    last_abort_reason: Option<String>,
    breach_streak: u32,
    latency_ratio_threshold: f64,
    error_delta_threshold: f64,
    breach_consecutive: u32,
    cooldown_seconds: Number,
    cooldown_remaining_seconds: Option<Number>,
    warmup_remaining_seconds: Option<Number>,
    last_trip: Option<Value>,
    evidence: Value,
    routes: Vec<Value>,
}

/// What holds of the candidate that is asked for, or of the first, and beside it what is not one
/// candidate's. Mirroring is on as long as it is for one of them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WholeStatus {
    #[serde(flatten)]
    first: Status,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    candidates: Vec<Status>,
    overrides: Value,
    unused_rules: Vec<UnusedRule>,
    reload_refused: Value,
}

async fn status(
    Shared(control): Shared<Control>,
    Extension(sight): Extension<Sight>,
    Query(mut about): Query<About>,
) -> Result<Response, NotFound> {
    let lanes = control.lanes();
    let observed = about.observed(&lanes)?;
    let plan = &lanes.plan;
    let status_of = |it: &Arc<Observe>| status_of(it, plan, &about, sight);
    let mut candidates: Vec<_> = observed.iter().map(status_of).collect();
    let enabled = candidates.iter().any(|it| it.enabled);
    let mut first = candidates[0].clone();
    first.enabled = enabled;
    if candidates.len() == 1 {
        candidates.clear();
    }
    let status = WholeStatus {
        first,
        candidates,
        overrides: overrides::shown(plan.overrides()),
        unused_rules: plan.unused_rules().iter().map(UnusedRule::from).collect(),
        reload_refused: reload_refused(control.steer.refused(), sight),
    };
    let shows = sight == Sight::Values && observed.iter().any(|it| shows_values(it));
    let shows = shows.then_some(Extension(ShowsValues));
    Ok((shows, Json(status)).into_response())
}

/// Whether the status of a candidate has requests in it.
fn shows_values(observe: &Observe) -> bool {
    observe.snapshot().last_trip.is_some_and(|trip| event::has_requests(&event::trip(&trip)))
}

/// Lines of the settings file are not for everybody.
fn reload_refused(mut refused: Value, sight: Sight) -> Value {
    if let (Sight::Counts(denied), Some(reason)) = (sight, refused.get_mut("reason")) {
        *reason = denied.withheld().into();
    }
    refused
}

fn status_of(observe: &Observe, plan: &Plan, about: &About, sight: Sight) -> Status {
    let (now, since_origin) = (observe.snapshot(), observe.since_origin());
    let warmup = warmup(&now, since_origin);
    let (time, reason) = now.last_abort.unzip();
    let routes = now.routes.iter().filter(|it| about.is_of(&it.route));
    let off_by = off_by(plan, &observe.name());
    Status {
        candidate: observe.name().to_string(),
        enabled: now.state.is_on() && off_by.is_none(),
        off_by,
        state: now.state.name(),
        last_abort_time: time.map(|at| humantime::format_rfc3339_millis(at).to_string()),
        last_abort_reason: reason,
        breach_streak: now.breach_streak,
        latency_ratio_threshold: now.config.latency_ratio,
        error_delta_threshold: now.config.error_delta,
        breach_consecutive: now.config.consecutive,
        cooldown_seconds: seconds(now.config.cooldown),
        cooldown_remaining_seconds: remaining(now.state, since_origin),
        warmup_remaining_seconds: warmup,
        last_trip: now.last_trip.as_ref().map(|it| shown(event::trip(it), sight)),
        evidence: evidence(&now.evidence),
        routes: routes.map(|it| route(it, since_origin)).collect(),
    }
}

/// Who says that a candidate gets no copies, whatever its guardrail says; `None` where nobody does.
fn off_by(plan: &Plan, candidate: &str) -> Option<&'static str> {
    if plan.sends_to(candidate) {
        None
    } else if plan.candidates.iter().any(|it| *it.name == *candidate && !it.enabled) {
        Some("settings")
    } else {
        Some("override")
    }
}

/// How long a cooldown still goes on; `None` where there is none.
fn remaining(state: State, since_origin: Duration) -> Option<Number> {
    match state {
        State::Tripped { until } => Some(seconds(until.saturating_sub(since_origin))),
        State::Enabled | State::Probation | State::Held => None,
    }
}

fn evidence(evidence: &Evidence) -> Value {
    json!({
        "verdict": evidence.verdict(),
        "pairs": evidence.pairs,
        "value": evidence.value,
        "threshold": THRESHOLD,
        "signal": evidence.signal.map(Signal::name),
    })
}

fn route(route: &guardrail::RouteSnapshot, since_origin: Duration) -> Value {
    json!({
        "route": route.route,
        "enabled": route.state.is_on(),
        "state": route.state.name(),
        "cooldownRemainingSeconds": remaining(route.state, since_origin),
        "evidence": evidence(&route.evidence),
    })
}

/// How long pairs are still not judged; `None` where they are.
fn warmup(now: &guardrail::Snapshot, since_origin: Duration) -> Option<Number> {
    let warmup = now.config.warmup;
    let since = now.first_pair.map_or(Duration::ZERO, |first| since_origin.saturating_sub(first));
    let left = warmup.saturating_sub(since);
    (!left.is_zero()).then(|| seconds(left))
}

async fn events(
    Shared(control): Shared<Control>,
    Extension(sight): Extension<Sight>,
    Query(Nothing {}): Query<Nothing>,
) -> Response {
    let events = control.steer.events().into_iter().map(|event| shown(event, sight));
    Json(json!({"events": events.collect::<Vec<_>>()})).into_response()
}

/// Seconds as a JSON number, whole where they are.
fn seconds(duration: Duration) -> Number {
    if duration.subsec_nanos() == 0 {
        Number::from(duration.as_secs())
    } else {
        Number::from_f64(duration.as_secs_f64()).expect("a duration is a finite number")
    }
}

async fn enable(
    Shared(control): Shared<Control>,
    Query(about): Query<About>,
) -> Result<Response, NotSwitched> {
    switched(&control, about, true)
}

async fn disable(
    Shared(control): Shared<Control>,
    Query(about): Query<About>,
) -> Result<Response, NotSwitched> {
    switched(&control, about, false)
}

/// Switches mirroring to one candidate or to all, of one route or of all.
fn switched(control: &Control, mut about: About, on: bool) -> Result<Response, NotSwitched> {
    // A candidate whose place another takes at this moment would come back on.
    let off = control.steer.undisturbed(|lanes| {
        let observed = about.observed(lanes).map_err(NotSwitched::NotFound)?;
        let route = about.route.as_deref();
        if let Some(route) = route.filter(|it| !observed.iter().all(|of| of.has_room_for(it))) {
            return Err(NotSwitched::NoRoom(route.to_owned()));
        }
        observed.iter().for_each(|it| it.switch(on, route));
        let off = observed.iter().flat_map(|it| still_off(it, &lanes.plan, route));
        Ok::<Vec<_>, NotSwitched>(off.collect())
    })?;
    let mut told = json!({"message": if on { "mirroring enabled" } else { "mirroring disabled" }});
    if on && !off.is_empty() {
        told["stillOff"] = off.into();
    }
    Ok(Json(told).into_response())
}

/// Why nothing was switched.
enum NotSwitched {
    NotFound(NotFound),
    /// For this route.
    NoRoom(String),
}

impl IntoResponse for NotSwitched {
    fn into_response(self) -> Response {
        let route = match self {
            Self::NotFound(not_found) => return not_found.into_response(),
            Self::NoRoom(route) => route,
        };
        let reason = format!(
            "route={route:?}: too many routes were seen or switched by now; a restart forgets those that \
             are no more, and without a route the whole candidate is switched"
        );
        refused(StatusCode::CONFLICT, "conflict", &reason)
    }
}

/// Why a candidate gets no copies, of a route or of all, though that was enabled.
fn still_off(observe: &Observe, plan: &Plan, route: Option<&str>) -> Vec<String> {
    let name = observe.name();
    let by = off_by(plan, &name).map(|by| {
        format!("{name}: gets no copies by its {by}; PATCH /control/policy, or change the settings")
    });
    let as_other = route.and_then(|route| observe.off_as_other(route)).map(|state| {
        let state = state.name();
        format!(
            "{name}: the requests of the route count as other, which is {state}; enable that, too"
        )
    });
    by.into_iter().chain(as_other).collect()
}

async fn settings(
    Shared(control): Shared<Control>,
    Query(Nothing {}): Query<Nothing>,
) -> Json<Value> {
    Json(control.steer.settings())
}

/// Overrides the share of a route or of all, or whether a candidate gets copies.
async fn override_policy(
    Shared(control): Shared<Control>,
    Query(Nothing {}): Query<Nothing>,
    said: Result<Bytes, BytesRejection>,
) -> Response {
    let said = match said {
        Ok(said) => said,
        Err(why) if why.status() == StatusCode::PAYLOAD_TOO_LARGE => return too_large(),
        Err(why) => return bad(&why.body_text()),
    };
    // Whatever it calls itself: no page of another origin comes this far.
    let said = match Said::parse(&said) {
        Ok(said) => said,
        Err(why) => return bad(&why),
    };
    let recorded = Extension(trail::Said(said.shown()));
    let answer = match control.steer.say(said) {
        Ok(overrides) => Json(json!({"overrides": overrides})).into_response(),
        Err(why) => bad(&why),
    };
    (recorded, answer).into_response()
}

fn too_large() -> Response {
    let reason = format!("the body is longer; allowed is a policy of at most {POLICY_MAX} bytes");
    refused(StatusCode::PAYLOAD_TOO_LARGE, "content too large", &reason)
}

async fn forget_overrides(
    Shared(control): Shared<Control>,
    Query(Nothing {}): Query<Nothing>,
) -> Response {
    match control.steer.forget() {
        Ok(overrides) => Json(json!({"overrides": overrides})).into_response(),
        Err(why) => bad(&why),
    }
}

async fn reload(Shared(control): Shared<Control>, Query(Nothing {}): Query<Nothing>) -> Response {
    let steer = Arc::clone(&control.steer);
    // Reading files takes as long as the disk does.
    match tokio::task::spawn_blocking(move || steer.reload()).await {
        Ok(Ok(Taken { anew, needs_restart, tokens, warnings })) => Json(json!({
            "message": "settings reloaded",
            "startedAnew": anew,
            "needsRestart": needs_restart,
            "changedTokens": tokens,
            "warnings": warnings,
        }))
        .into_response(),
        Ok(Err(reason)) => {
            let error = "not reloaded: the old settings go on";
            refused(StatusCode::UNPROCESSABLE_ENTITY, error, &reason)
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// How baseline, second baseline and candidates do, as far as calls tell.
async fn upstreams(
    Shared(control): Shared<Control>,
    Query(Nothing {}): Query<Nothing>,
) -> Response {
    let lanes = control.lanes();
    let fixed = control.steer.upstreams().iter().map(|it| (it.role.name().to_owned(), it));
    let named = lanes.entries.iter().map(|it| {
        let lane = &it.lane;
        (lane.observe.name().to_string(), &lane.upstream)
    });
    let all: Vec<_> = fixed.chain(named).map(|(name, it)| upstream(&name, it)).collect();
    Json(json!({"upstreams": all})).into_response()
}

fn upstream(name: &str, upstream: &Upstream) -> Value {
    let health = upstream.health();
    let target = upstream.target();
    json!({
        "name": name,
        "role": upstream.role.name(),
        "authority": target.authority(),
        "socket": target.socket.as_ref().map(|path| path.display().to_string()),
        "tls": target.tls,
        "addresses": health.addresses,
        "connectionsOpened": health.opened,
        "connectionsOpen": health.idle,
        "calls": health.calls,
        "failures": health.failures,
        "failuresInARow": health.failures_in_a_row,
        "healthy": health.failures_in_a_row == 0,
        "lastFailure": health.last_failure.map(|(at, reason)| {
            json!({"time": humantime::format_rfc3339_millis(at).to_string(), "reason": reason})
        }),
        "latencyMs": health.latency.map(|latency| latency.as_secs_f64() * 1e3),
    })
}

#[cfg(test)]
mod tests;
