//! The admin endpoints: liveness, readiness, metrics, and the guardrail by hand. Who may use which
//! is decided by [`access`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::extract::{Extension, Request, State as Shared};
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Number, Value, json};

pub mod access;

pub use access::Token;

use crate::headers::Peer;
use crate::mirror::event;
use access::{Access, Asked, Class, Denied, Sight};
use compare::Unused;
use judge::guardrail::bets::Signal;
use judge::guardrail::detector::THRESHOLD;
use judge::guardrail::{Evidence, Guardrail, Moment, RouteSnapshot, Snapshot, State, Transition};
use judge::report::Summary;
use judge::report::summary::UnusedRule;
use judge::report::text::Text;

/// The format of `/metrics`.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The format of the report for people.
const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// An endpoint. There is no other way to add one, so that each says who may use it.
struct Endpoint {
    path: &'static str,
    class: Class,
    serves: fn() -> MethodRouter<Control>,
}

const ENDPOINTS: [Endpoint; 9] = [
    Endpoint { path: "/healthz", class: Class::Counts, serves: || get(healthz) },
    Endpoint { path: "/readyz", class: Class::Counts, serves: || get(readyz) },
    Endpoint { path: "/metrics", class: Class::Counts, serves: || get(metrics) },
    Endpoint { path: "/control/status", class: Class::Counts, serves: || get(status) },
    Endpoint { path: "/control/events", class: Class::Values, serves: || get(events) },
    Endpoint { path: "/control/report", class: Class::Values, serves: || get(report) },
    Endpoint {
        path: "/control/report/reset",
        class: Class::Switches,
        serves: || post(reset_report),
    },
    Endpoint { path: "/control/enable", class: Class::Switches, serves: || post(enable) },
    Endpoint { path: "/control/disable", class: Class::Switches, serves: || post(disable) },
];

/// Whether a path belongs to the admin endpoints behind this prefix, where they share a listener
/// with traffic.
pub fn is_admin_path(prefix: &str, path: &str) -> bool {
    let mut endpoints = ENDPOINTS.iter();
    path.strip_prefix(prefix).is_some_and(|path| endpoints.any(|it| it.path == path))
}

/// What the endpoints work on.
#[derive(Clone)]
pub struct Control {
    /// Shown and switched.
    pub guardrail: Arc<Mutex<Guardrail>>,
    /// Set once the proxy is told to stop.
    pub draining: Arc<AtomicBool>,
    /// Who may do what.
    pub access: Arc<Access>,
    /// Gives the Prometheus text.
    pub render_metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Told of each change of state.
    pub on_transition: Arc<dyn Fn(&Transition) + Send + Sync>,
    /// Gives the last changes of state, the oldest first.
    pub events: Arc<dyn Fn() -> Vec<Value> + Send + Sync>,
    /// What the pairs told so far.
    pub report: Arc<dyn Report + Send + Sync>,
    /// Gives the rules of the comparison that never applied.
    pub unused_rules: Arc<dyn Fn() -> Vec<Unused> + Send + Sync>,
}

/// What the pairs told so far, to be shown and forgotten.
pub trait Report {
    /// What is known now; takes some milliseconds.
    fn summary(&self) -> Summary;

    /// Forgets it.
    fn reset(&self);
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("access", &self.access).finish_non_exhaustive()
    }
}

impl Control {
    // A panic elsewhere must not take the switch out of the operator's hand.
    fn guardrail(&self) -> MutexGuard<'_, Guardrail> {
        self.guardrail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A trip or an event, without the requests of examples for whoever may not see values.
fn shown(mut event: Value, sight: Sight) -> Value {
    if let Sight::Counts(denied) = sight {
        event::withhold_requests(&mut event, denied.withheld());
    }
    event
}

/// The admin router, behind a prefix such as `/_mirrorlab`, or none.
pub fn router(control: Control, prefix: &str) -> Router {
    let endpoints = endpoints(control);
    let router = if prefix.is_empty() { endpoints } else { Router::new().nest(prefix, endpoints) };
    router.fallback(|| async { (StatusCode::NOT_FOUND, Json(json!({"error": "not found"}))) })
}

fn endpoints(control: Control) -> Router {
    let router = ENDPOINTS.iter().fold(Router::new(), |router, endpoint| {
        let guard = Guard { access: Arc::clone(&control.access), class: endpoint.class };
        // Behind the choice of the method, so that a wrong one stays 405.
        let serves = (endpoint.serves)().route_layer(from_fn_with_state(guard, admit));
        router.route(endpoint.path, serves)
    });
    router.with_state(control)
}

#[derive(Clone)]
struct Guard {
    access: Arc<Access>,
    class: Class,
}

/// Lets a request through, with what its answer may show, or answers why not.
async fn admit(Shared(guard): Shared<Guard>, mut request: Request, next: Next) -> Response {
    let asked = Asked {
        peer: request.extensions().get::<Peer>().map(Peer::ip),
        headers: request.headers(),
        target: request.uri(),
    };
    match guard.access.decide(guard.class, asked) {
        Ok(sight) => {
            request.extensions_mut().insert(sight);
            next.run(request).await
        }
        Err(denied) => refusal(denied),
    }
}

fn refusal(denied: Denied) -> Response {
    let reason = denied.reason();
    if denied == Denied::Token {
        let error = Json(json!({"error": reason}));
        return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], error).into_response();
    }
    (StatusCode::FORBIDDEN, Json(json!({"error": "forbidden", "reason": reason}))).into_response()
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

async fn report(
    Shared(control): Shared<Control>,
    Extension(sight): Extension<Sight>,
    headers: HeaderMap,
) -> Response {
    let as_text = wants_text(&headers);
    beside_traffic(move || {
        let summary = control.report.summary();
        let mut summary = match sight {
            Sight::Values => summary,
            Sight::Counts(_) => summary.without_values(),
        };
        summary.unused_rules = (control.unused_rules)().iter().map(UnusedRule::from).collect();
        let mut response = if as_text {
            let text = Text { summary: &summary, route: None }.to_string();
            ([(CONTENT_TYPE, PLAIN_TEXT)], text).into_response()
        } else {
            Json(summary).into_response()
        };
        response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
        response
    })
    .await
}

/// Whether `Accept` (RFC 9110, section 12.5.1) names plain text, and not JSON.
fn wants_text(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = lines.flat_map(|line| line.split(','));
    let types = ranges.map(|range| range.split(';').next().unwrap_or_default().trim());
    let types: Vec<&str> = types.collect();
    let names = |wanted: &str| types.iter().any(|named| named.eq_ignore_ascii_case(wanted));
    names("text/plain") && !names("application/json")
}

async fn reset_report(Shared(control): Shared<Control>) -> Response {
    control.report.reset();
    Json(json!({"message": "report reset"})).into_response()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    enabled: bool,
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
    unused_rules: Vec<UnusedRule>,
}

async fn status(Shared(control): Shared<Control>, Extension(sight): Extension<Sight>) -> Response {
    let now = control.guardrail().snapshot();
    let warmup = warmup(&now);
    let (time, reason) = now.last_abort.unzip();
    Json(Status {
        enabled: now.state.is_on(),
        state: now.state.name(),
        last_abort_time: time.map(|at| humantime::format_rfc3339_millis(at).to_string()),
        last_abort_reason: reason,
        breach_streak: now.breach_streak,
        latency_ratio_threshold: now.config.latency_ratio,
        error_delta_threshold: now.config.error_delta,
        breach_consecutive: now.config.consecutive,
        cooldown_seconds: seconds(now.config.cooldown),
        cooldown_remaining_seconds: remaining(now.state),
        warmup_remaining_seconds: warmup,
        last_trip: now.last_trip.as_ref().map(|it| shown(event::trip(it), sight)),
        evidence: evidence(&now.evidence),
        routes: now.routes.iter().map(route).collect(),
        unused_rules: (control.unused_rules)().iter().map(UnusedRule::from).collect(),
    })
    .into_response()
}

fn remaining(state: State) -> Option<Number> {
    match state {
        State::Tripped { until } => Some(seconds(until.saturating_duration_since(Instant::now()))),
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

fn route(route: &RouteSnapshot) -> Value {
    json!({
        "route": route.route,
        "enabled": route.state.is_on(),
        "state": route.state.name(),
        "cooldownRemainingSeconds": remaining(route.state),
        "evidence": evidence(&route.evidence),
    })
}

/// How long pairs are still not judged; `None` where they are.
fn warmup(now: &Snapshot) -> Option<Number> {
    let warmup = now.config.warmup;
    let since = now.first_pair.map_or(Duration::ZERO, |first| first.elapsed());
    let left = warmup.saturating_sub(since);
    (!left.is_zero()).then(|| seconds(left))
}

async fn events(Shared(control): Shared<Control>, Extension(sight): Extension<Sight>) -> Response {
    let events = (control.events)().into_iter().map(|event| shown(event, sight));
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

async fn enable(Shared(control): Shared<Control>) -> Response {
    switched(&control, "mirroring enabled", |guardrail, _| guardrail.enable())
}

async fn disable(Shared(control): Shared<Control>) -> Response {
    switched(&control, "mirroring disabled", Guardrail::disable)
}

fn switched(
    control: &Control,
    message: &str,
    switch: impl FnOnce(&mut Guardrail, Moment) -> Option<Transition>,
) -> Response {
    let now = Moment { at: Instant::now(), wall: SystemTime::now() };
    let mut guardrail = control.guardrail();
    // Told under the lock, so that the metrics see changes in the order they happened.
    if let Some(transition) = switch(&mut guardrail, now) {
        (control.on_transition)(&transition);
    }
    Json(json!({"message": message})).into_response()
}

#[cfg(test)]
mod tests;
