use std::time::Instant;

use axum::body::Body;
use axum::http::header::{ACCEPT, ALLOW, AUTHORIZATION, VARY};
use axum::http::{HeaderMap, Request};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::access::{Access, Known};
use crate::exchange::Role;
use crate::metrics::Metrics;
use crate::mirror::{Means, Mirror};
use crate::observe::Mirrored;
use crate::observe::announce::Announcer;
use crate::plan::Plan;
use crate::steer::{Fresh, Parties};
use crate::upstream::{Dns, Trust};
use compare::{Difference, Differences, Kind, Traits};
use judge::{Call, Comparison, Epoch};

/// The endpoints over a mirror that no request reaches.
pub(super) struct Fixture {
    pub(super) control: Control,
}

/// What is asked for there has no end.
const LIVE: &str = "/control/live";

/// The lower case of both latencies.
const LATENCY: Duration = Duration::from_millis(3);

pub(super) fn fixture() -> Fixture {
    with_cooldown(Duration::from_secs(10))
}

fn with_cooldown(cooldown: Duration) -> Fixture {
    let mut config = crate::config::Config::default();
    (config.guardrail.consecutive, config.guardrail.cooldown) = (2, cooldown);
    of(&config)
}

fn of(config: &crate::config::Config) -> Fixture {
    audited(config, crate::audit::Audit::default())
}

pub(super) fn audited(config: &crate::config::Config, audit: crate::audit::Audit) -> Fixture {
    let metrics = Arc::new(Metrics::new().unwrap());
    let announcer = Arc::new(Announcer::new(None).audited(audit));
    let connect = |target: &crate::upstream::Target, trust: &Trust| {
        let (wait, dns) = (Duration::from_secs(1), Dns::default());
        Upstream::new(Role::Candidate, target.clone(), trust, wait, dns)
    };
    let means = Means {
        connect: Box::new(connect),
        metrics: Arc::clone(&metrics),
        announcer: Arc::clone(&announcer),
        secondary: None,
        relays: false,
        recorder: Default::default(),
        replicas: None,
        tracer: Default::default(),
    };
    let fresh = Fresh {
        parts: config.parts(),
        identity: None,
        targets: Vec::new(),
        trust: Trust::default(),
        settings: Vec::new(),
        fixed: Vec::new(),
        warnings: Vec::new(),
        revision: "r1".to_owned(),
        sha256: "5a".to_owned(),
        access: config.access(),
    };
    let plan = Plan::new(fresh.parts.clone(), None, Instant::now());
    let compare = tokio::runtime::Handle::current();
    let mirror = Mirror::new(plan, (&means, &fresh.trust), compare, None).unwrap();
    let (shown, upstreams) = (None, Vec::new());
    let read_rules = |_: &str| Err("none are read here".to_owned());
    let parties = Parties { shown, upstreams, mirror, means, metrics, announcer, read_rules };
    let control = Control {
        steer: Steer::new(parties, fresh, None),
        draining: Arc::new(AtomicBool::new(false)),
        render_metrics: Arc::new(|| "# HELP x\n".to_owned()),
        live: Arc::default(),
        replicas: None,
    };
    Fixture { control }
}

fn method_of(path: &str, class: Class) -> &'static str {
    match (path, class) {
        ("/control/policy", _) => "PATCH",
        (IDENTITIES, Class::Switches) => "DELETE",
        (_, Class::Switches) => "POST",
        _ => "GET",
    }
}

pub(super) struct Answer {
    pub(super) code: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.headers[CONTENT_TYPE], "application/json", "{}", self.text);
        serde_json::from_str(&self.text).unwrap()
    }
}

impl Fixture {
    pub(super) fn with_token(self) -> Self {
        let tokens = vec![Known::control(&Token::new("s3cret".to_owned()))];
        self.control.steer.set_access(Access { tokens, ..Access::default() });
        self
    }

    pub(super) async fn ask(&self, method: &str, path: &str) -> Answer {
        self.ask_with(method, path, None).await
    }

    async fn ask_accepting(&self, path: &str, accept: Option<&str>) -> Answer {
        let mut request = Request::builder().uri(path);
        if let Some(value) = accept {
            request = request.header(ACCEPT, value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(super) async fn ask_with(
        &self,
        method: &str,
        path: &str,
        authorization: Option<&str>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// From this machine.
    pub(super) async fn send(&self, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(Peer::new([127, 0, 0, 1].into(), "http"));
        self.send_from_nobody(request).await
    }

    async fn raw(&self, request: Request<Body>) -> Response {
        router(self.control.clone(), "").oneshot(request).await.unwrap()
    }

    /// From this machine, with a body that may still go on.
    pub(super) async fn answer(&self, mut request: Request<Body>) -> Response {
        request.extensions_mut().insert(Peer::new([127, 0, 0, 1].into(), "http"));
        self.raw(request).await
    }

    pub(super) async fn send_from_nobody(&self, request: Request<Body>) -> Answer {
        let (head, body) = self.raw(request).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { code: head.status, headers: head.headers, text }
    }

    pub(super) async fn status(&self) -> Value {
        self.ask("GET", "/control/status").await.json()
    }

    pub(super) fn observe(&self) -> Arc<Observe> {
        Arc::clone(&self.control.lanes().entries[0].lane.observe)
    }

    /// Tells of a pair.
    fn tell(&self, request: &str, tell: impl Fn(&Observe, &Mirrored<'_>)) {
        self.tell_of("GET /a", request, tell);
    }

    pub(super) fn tell_of(
        &self,
        label: &str,
        request: &str,
        tell: impl Fn(&Observe, &Mirrored<'_>),
    ) {
        let lanes = self.control.lanes();
        let terms = lanes.plan.treatments().last().unwrap().terms[0].as_ref().unwrap();
        let observe = self.observe();
        let series = observe.series(&observe.book(), &Arc::from(label));
        let epoch = Epoch::default();
        let request = request.into();
        tell(&observe, &Mirrored { series: &series, terms, epoch, request, alike: true });
    }

    pub(super) fn breach(&self, times: usize) {
        let baseline = Call { latency: Some(Duration::from_millis(1)), failed: false };
        let candidate = Call { latency: None, failed: true };
        for _ in 0..times {
            self.tell("GET /", |observe, copy| {
                let pair = copy.pair(baseline, candidate);
                observe.answered(copy, &pair, Duration::from_millis(1));
            });
        }
    }

    /// One pair that differs, which the report knows of.
    pub(super) fn differ(&self) {
        let found = Difference {
            place: "$.a[3]".to_owned(),
            field: "$.a[*]".to_owned(),
            kind: Kind::Missing,
            baseline: Some("\u{1b}[31m".to_owned()),
            candidate: None,
            traits: Traits::default(),
            note: None,
        };
        self.differ_in("GET /a", "GET /a/7", found);
    }

    pub(super) fn differ_in(&self, label: &str, request: &str, found: Difference) {
        let differences = Differences { found: vec![found], more: false, ..Differences::default() };
        let side = Call { latency: Some(LATENCY), failed: false };
        let comparison = Comparison { content: true, differences: Some(&differences) };
        self.tell_of(label, request, |observe, copy| {
            observe.compared(copy, &copy.pair(side, side), &comparison, false);
        });
    }

    /// The names of the events so far.
    fn told(&self) -> Vec<String> {
        let events = self.control.steer.events();
        events.iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn liveness_is_200_also_while_draining_and_readiness_is_not() {
    let fixture = fixture();
    assert_eq!(fixture.ask("GET", "/healthz").await.code, 200);
    let ready = fixture.ask("GET", "/readyz").await;
    assert_eq!((ready.code, ready.json()), (StatusCode::OK, json!({"status": "ready"})));

    fixture.control.draining.store(true, Ordering::Relaxed);
    assert_eq!(fixture.ask("GET", "/healthz").await.code, 200);
    let draining = fixture.ask("GET", "/readyz").await;
    assert_eq!(draining.code, 503);
    assert_eq!(draining.json(), json!({"status": "draining"}));
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let answer = fixture().ask("GET", "/metrics").await;
    assert_eq!((answer.code, answer.text.as_str()), (StatusCode::OK, "# HELP x\n"));
    assert_eq!(answer.headers[CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
}

#[tokio::test]
async fn the_status_before_the_first_abort_is_all_there_with_nulls() {
    let fixture = fixture();
    fixture.breach(1);
    let expected = json!({
        "enabled": true,
        "state": "enabled",
        "lastAbortTime": null,
        "lastAbortReason": null,
        "breachStreak": 1,
        "latencyRatioThreshold": 1.15,
        "errorDeltaThreshold": 0.005,
        "breachConsecutive": 2,
        "cooldownSeconds": 10,
        "cooldownRemainingSeconds": null,
        "warmupRemainingSeconds": null,
        "lastTrip": null,
        "evidence": {
            "verdict": "not enough data",
            "pairs": 1,
            "value": 2.5,
            "threshold": 1e6,
            "signal": "errors",
        },
        "routes": [],
        "unusedRules": [],
        "candidate": "candidate",
        "overrides": [],
        "reloadRefused": null,
    });
    let mut status = fixture.status().await;
    // Its numbers depend on the weights of the bets; what counts is that they are there.
    let value = status["evidence"]["value"].take();
    assert!(value.as_f64().is_some_and(|value| value >= 1.0), "{value}");
    status["evidence"]["value"] = json!(2.5);
    let route = status["routes"][0].take();
    assert_eq!(route["route"], "GET /a");
    assert_eq!((&route["enabled"], &route["state"]), (&json!(true), &json!("enabled")));
    assert_eq!(route["evidence"]["verdict"], "not enough data");
    status["routes"] = json!([]);
    assert_eq!(status, expected);
}

#[tokio::test]
async fn the_status_after_a_trip_says_when_and_why_and_how_long_still() {
    let fixture = fixture();
    let before = std::time::SystemTime::now() - Duration::from_millis(1);
    fixture.breach(2);
    let status = fixture.status().await;
    assert_eq!((&status["enabled"], &status["state"]), (&json!(false), &json!("tripped")));
    assert!(status["lastAbortReason"].as_str().unwrap().contains("GET /a"), "{status}");
    let at = humantime::parse_rfc3339(status["lastAbortTime"].as_str().unwrap()).unwrap();
    assert!(before <= at && at <= std::time::SystemTime::now());
    let left = status["cooldownRemainingSeconds"].as_f64().unwrap();
    assert!(left > 0.0 && left <= 10.0, "{left}");
}

#[tokio::test]
async fn after_the_cooldown_nothing_remains_of_it_but_only_a_request_resumes() {
    let fixture = with_cooldown(Duration::ZERO);
    fixture.breach(2);
    let status = fixture.status().await;
    assert_eq!(status["state"], "tripped", "to look is not to switch");
    assert_eq!(status["cooldownRemainingSeconds"].to_string(), "0");
}

#[tokio::test]
async fn the_cooldown_is_a_number_and_whole_where_it_is() {
    for (cooldown, shown) in [(20_000, "20"), (500, "0.5"), (1500, "1.5"), (120_000, "120")] {
        let status = with_cooldown(Duration::from_millis(cooldown)).status().await;
        assert_eq!(status["cooldownSeconds"].to_string(), shown);
    }
}

#[tokio::test]
async fn a_disable_holds_and_an_enable_lifts_it_and_each_change_is_told_once() {
    let fixture = fixture();
    for _ in 0..2 {
        let answer = fixture.ask("POST", "/control/disable").await;
        assert_eq!(answer.code, 200);
        assert_eq!(answer.json(), json!({"message": "mirroring disabled"}));
        let status = fixture.status().await;
        assert_eq!((&status["enabled"], &status["state"]), (&json!(false), &json!("held")));
        assert_eq!(status["lastAbortReason"], "disabled by hand");
        assert_eq!(status["cooldownRemainingSeconds"], Value::Null);
    }
    for _ in 0..2 {
        let answer = fixture.ask("POST", "/control/enable").await;
        assert_eq!(answer.code, 200);
        assert_eq!(answer.json(), json!({"message": "mirroring enabled"}));
        assert_eq!(fixture.status().await["state"], "enabled");
    }
    assert_eq!(fixture.told(), ["disabled", "enabled"]);
}

#[tokio::test]
async fn a_disable_after_a_trip_keeps_time_and_reason_and_counts_nothing() {
    let fixture = fixture();
    fixture.breach(2);
    let tripped = fixture.status().await;
    fixture.ask("POST", "/control/disable").await;
    let held = fixture.status().await;
    assert_eq!(held["state"], "held");
    for kept in ["lastAbortTime", "lastAbortReason"] {
        assert!(!held[kept].is_null());
        assert_eq!(held[kept], tripped[kept]);
    }
    assert_eq!(fixture.told(), ["tripped", "disabled"]);
}

#[tokio::test]
async fn enable_sets_the_streak_to_0_while_enabled_too() {
    let fixture = fixture();
    fixture.breach(1);
    fixture.ask("POST", "/control/enable").await;
    assert_eq!(fixture.status().await["breachStreak"], 0);
    assert!(fixture.told().is_empty());
}

#[tokio::test]
async fn a_wrong_method_is_405_with_allow_and_switches_nothing() {
    let fixture = fixture().with_token();
    for Endpoint { path, class, .. } in ENDPOINTS {
        let right = method_of(path, class);
        let taken = |method| {
            ENDPOINTS.iter().any(|it| it.path == path && method_of(it.path, it.class) == method)
        };
        let wrong = ["POST", "GET", "PATCH"].into_iter().find(|method| !taken(*method)).unwrap();
        for method in [wrong, "PUT", "OPTIONS"] {
            let answer = fixture.ask(method, path).await;
            assert_eq!(answer.code, 405, "{method} {path}");
            let allow = answer.headers[ALLOW].to_str().unwrap();
            assert!(allow.split(',').any(|method| method == right), "{path}: {allow}");
            assert!(!allow.split(',').any(|method| method == wrong), "{path}: {allow}");
        }
    }
    assert_eq!(fixture.status().await["state"], "enabled");
}

#[tokio::test]
async fn a_missing_or_wrong_token_is_401_and_switches_nothing() {
    let fixture = fixture().with_token();
    fixture.differ();
    let near = ["Bearer s3cre", "Bearer s3cret2", "Bearer S3CRET", "Bearer  s3cret", "Bearer"];
    let other = ["s3cret", "Basic s3cret", "ApiKey s3cret", "Bearer ", ""];
    let wrong = near.into_iter().chain(other).map(Some).chain([None]);
    for authorization in wrong {
        for path in ["/control/enable", "/control/disable", "/control/report/reset"] {
            let answer = fixture.ask_with("POST", path, authorization).await;
            assert_eq!(answer.code, 401, "{authorization:?}");
            assert_eq!(answer.headers[WWW_AUTHENTICATE], "Bearer");
            assert!(answer.json()["error"].is_string());
            assert!(!answer.text.contains("s3cret"));
        }
    }
    assert!(fixture.told().is_empty());
    assert_eq!(fixture.observe().report_snapshot().routes.len(), 1);
    assert_eq!(fixture.status().await["state"], "enabled");
}

#[tokio::test]
async fn the_report_is_json_unless_only_plain_text_is_asked_for() {
    let fixture = fixture().with_token();
    fixture.differ();
    for accept in
        [None, Some("*/*"), Some("application/json"), Some("text/plain, application/json")]
    {
        let answer = fixture.ask_accepting("/control/report", accept).await;
        let report = answer.json();
        assert_eq!(report["verdict"], "not enough data", "{accept:?}");
        assert_eq!(report["routes"][0]["fields"][0]["field"], "$.a[*]");
        assert_eq!(report["routes"][0]["fields"][0]["examples"][0]["place"], "$.a[3]");
        assert_eq!(answer.headers[VARY], "accept");
    }
    for accept in ["text/plain", "Text/Plain; q=0.9, */*;q=0.1"] {
        let answer = fixture.ask_accepting("/control/report", Some(accept)).await;
        assert_eq!(answer.headers[CONTENT_TYPE], "text/plain; charset=utf-8");
        assert!(answer.text.contains("GET /a: not enough data, 1 pairs"), "{}", answer.text);
        assert!(!answer.text.contains('\u{1b}'), "{}", answer.text);
    }
}

#[tokio::test]
async fn the_report_is_in_the_form_that_is_asked_for_by_name_or_by_type() {
    let fixture = fixture().with_token();
    fixture.differ();
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (format, accept, content_type, begins) in [
        ("text", "text/plain", "text/plain; charset=utf-8", "Not known yet: "),
        ("markdown", "text/markdown", "text/markdown; charset=utf-8", "**Not known yet: "),
        ("junit", "application/xml", "application/xml; charset=utf-8", "<?xml "),
        ("html", browser, "text/html; charset=utf-8", "<!DOCTYPE html>"),
        ("json", "application/json", "application/json", "{\"headline\":\"Not known yet: "),
    ] {
        let named = format!("/control/report?format={format}");
        for (path, accept) in [(named.as_str(), "text/plain"), ("/control/report", accept)] {
            let answer = fixture.ask_accepting(path, Some(accept)).await;
            assert_eq!(answer.headers[CONTENT_TYPE], content_type, "{path}");
            assert_eq!(answer.headers["x-content-type-options"], "nosniff");
            assert!(answer.text.starts_with(begins), "{path}: {}", answer.text);
            let policy = answer.headers.get("content-security-policy");
            assert_eq!(policy.is_some(), format == "html");
        }
    }
    let verbose = fixture.ask("GET", "/control/report?format=text&verbose=true").await;
    assert!(verbose.text.contains("Waudby-Smith"), "{}", verbose.text);
    let bad = fixture.ask("GET", "/control/report?format=xml").await;
    assert_eq!(bad.code, 400);
    assert!(bad.text.contains("json, text, markdown, junit, html"), "{}", bad.text);
}

#[tokio::test]
async fn values_that_are_withheld_are_in_no_form_of_the_report() {
    let fixture = fixture().with_token();
    fixture.differ();
    for format in ["json", "text", "markdown", "junit", "html"] {
        let path = format!("/control/report?format={format}&verbose=true");
        let closed = fixture.ask("GET", &path).await;
        assert_eq!(closed.code, 200);
        assert!(!closed.text.contains("[31m"), "{}", closed.text);
    }
}

#[tokio::test]
async fn values_of_examples_are_shown_to_whoever_has_the_token_where_one_is_set() {
    let fixture = fixture();
    fixture.differ();
    let open = fixture.ask("GET", "/control/report").await;
    let closed = fixture.with_token();
    let with_token = closed.ask_with("GET", "/control/report", Some("Bearer s3cret")).await;
    assert_eq!(with_token.json(), open.json());
    let example = |answer: &Answer| answer.json()["routes"][0]["fields"][0]["examples"][0].clone();
    let shown = example(&open);
    for authorization in [None, Some("Bearer wrong")] {
        let answer = closed.ask_with("GET", "/control/report", authorization).await;
        assert_eq!(answer.code, 200);
        let withheld = example(&answer);
        assert_eq!((&withheld["place"], &withheld["kind"]), (&shown["place"], &shown["kind"]));
        assert_eq!(withheld["baseline"], "withheld: needs the token");
        assert_eq!(withheld["candidate"], Value::Null);
        assert!(!answer.text.contains("[31m"), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_reset_of_the_report_needs_the_token_and_happens_once() {
    let fixture = fixture().with_token();
    fixture.differ();
    let answer = fixture.ask_with("POST", "/control/report/reset", Some("Bearer s3cret")).await;
    assert_eq!((answer.code, answer.json()), (StatusCode::OK, json!({"message": "report reset"})));
    assert!(fixture.observe().report_snapshot().routes.is_empty());
}

#[tokio::test]
async fn the_right_token_switches_and_get_needs_none() {
    let fixture = fixture().with_token();
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let authorization = format!("{scheme} s3cret");
        let answer = fixture.ask_with("POST", "/control/disable", Some(&authorization)).await;
        assert_eq!(answer.code, 200, "{scheme}");
    }
    for path in ["/healthz", "/readyz", "/metrics", "/control/status"] {
        assert_eq!(fixture.ask("GET", path).await.code, 200, "{path}");
    }
    assert_eq!(fixture.status().await["state"], "held");
}

#[tokio::test]
async fn without_a_token_set_none_is_asked_for() {
    let fixture = fixture();
    let answer = fixture.ask_with("POST", "/control/disable", Some("Bearer whatever")).await;
    assert_eq!(answer.code, 200);
}

#[tokio::test]
async fn a_token_is_never_shown() {
    let control = fixture().with_token().control;
    let shown = format!("{control:?}{:?}", control.steer.access());
    assert!(shown.contains("Hash(…)") && !shown.contains("s3cret"), "{shown}");
}

#[tokio::test]
async fn other_paths_get_404_in_json_and_are_no_admin_paths() {
    let fixture = fixture();
    for path in ["/", "/control//", "/control/x", "/metrics/", "/healthz2", "/Healthz", "//healthz"]
    {
        assert!(!is_admin_path("", path), "{path}");
        let answer = fixture.ask("GET", path).await;
        assert_eq!(
            (answer.code, answer.json()),
            (StatusCode::NOT_FOUND, json!({"error": "not found"}))
        );
    }
    for Endpoint { path, .. } in ENDPOINTS {
        assert!(is_admin_path("", path));
        // A page of nothing in particular, and one that has no end.
        if !["/control/route", LIVE].contains(&path) {
            assert_ne!(fixture.ask("GET", path).await.code, 404, "{path}");
        }
    }
}

#[tokio::test]
async fn a_panic_under_the_lock_leaves_the_switch_in_the_operators_hand() {
    let fixture = fixture();
    let observe = fixture.observe();
    let panicked = std::thread::spawn(move || observe.panic_under_the_lock());
    assert!(panicked.join().is_err());
    assert_eq!(fixture.ask("POST", "/control/disable").await.code, 200);
    assert_eq!(fixture.status().await["state"], "held");
    assert_eq!(fixture.ask("POST", "/control/enable").await.code, 200);
    assert_eq!(fixture.status().await["state"], "enabled");
}

#[tokio::test]
async fn a_request_of_nobody_sees_counts_and_switches_nothing() {
    let fixture = fixture();
    fixture.differ();
    for Endpoint { path, class, .. } in ENDPOINTS.into_iter().filter(|it| it.path != LIVE) {
        let method = method_of(path, class);
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = fixture.send_from_nobody(request).await;
        if class == Class::Counts {
            let expected = if path == "/control" { 308 } else { 200 };
            assert_eq!(answer.code, expected, "{path}");
            continue;
        }
        assert_eq!(answer.code, 403, "{path}");
        let is_page = page::view_at(path).is_some();
        let told = || answer.json()["reason"].as_str().unwrap().to_owned();
        let reason = if is_page { answer.text.clone() } else { told() };
        for setting in ["CONTROL_TOKEN", "ADMIN_ADDR", "ADMIN_OPEN"] {
            assert!(reason.contains(setting), "{reason}");
        }
    }
    assert_eq!(fixture.status().await["state"], "enabled");
    assert_eq!(fixture.observe().report_snapshot().routes.len(), 1);
}

#[tokio::test]
async fn the_status_of_a_trip_is_shown_to_nobody_without_the_requests_of_its_examples() {
    let fixture = fixture();
    fixture.breach(2);
    let status = || Request::get("/control/status").body(Body::empty()).unwrap();
    let example = |answer: Answer| answer.json()["lastTrip"]["examples"][0]["request"].clone();
    assert_eq!(example(fixture.send(status()).await), "GET /");
    let withheld = example(fixture.send_from_nobody(status()).await);
    assert_eq!(withheld, "withheld: needs CONTROL_TOKEN, ADMIN_ADDR or ADMIN_OPEN");
}

impl Fixture {
    async fn patch(&self, body: impl Into<Body>) -> Answer {
        self.send(Request::patch("/control/policy").body(body.into()).unwrap()).await
    }
}

#[tokio::test]
async fn a_time_by_hand_is_whole_seconds_or_a_text() {
    let fixture = fixture();
    for time in ["10", "\"10\"", "\"10s\"", "86400", "null"] {
        let answer = fixture.patch(format!("{{\"share\": 0.5, \"for\": {time}}}")).await;
        assert_eq!(answer.code, 200, "{time}: {}", answer.text);
        let until = answer.json()["overrides"][0]["until"].is_string();
        assert_eq!(until, time != "null", "{}", answer.text);
    }
}

#[tokio::test]
async fn a_policy_that_is_no_json_names_something_twice_or_is_too_long_is_refused_in_json() {
    let fixture = fixture();
    for (body, part) in [
        ("", "is no JSON (EOF while parsing"),
        ("{\"share\": 0.5} x", "is no JSON (trailing characters"),
        ("{\"share\": 0.5, \"share\": 0.7}", "share: is there twice; allowed is each name once"),
    ] {
        let answer = fixture.patch(body).await;
        assert_eq!(answer.code, 400, "{body}");
        let reason = answer.json()["reason"].as_str().unwrap().to_owned();
        assert!(reason.contains(part) && reason.contains("; allowed is"), "{reason}");
    }
    let answer = fixture.patch("x".repeat(3 << 20)).await;
    assert_eq!(answer.code, 413);
    let expected = json!({
        "error": "content too large",
        "reason": "the body is longer; allowed is a policy of at most 65536 bytes",
    });
    assert_eq!(answer.json(), expected);
    assert_eq!(fixture.status().await["overrides"], json!([]));
}

#[tokio::test]
async fn a_query_that_nothing_looks_at_is_refused_below_control() {
    let fixture = fixture();
    for Endpoint { path, class, .. } in ENDPOINTS {
        let answer = fixture.ask(method_of(path, class), &format!("{path}?since=1")).await;
        let is_refused = path.starts_with("/control");
        assert_eq!(answer.code == 400, is_refused, "{path}: {}", answer.text);
        if is_refused {
            assert!(answer.json()["reason"].as_str().unwrap().contains("since"), "{}", answer.text);
        }
    }
    for (path, reason) in [
        (
            "/control/config?x=1&y",
            "\"x\" is no known name, \"y\" is no known name; allowed in the query is none",
        ),
        (
            "/control/status?Route=a",
            "\"Route\" is no known name; allowed in the query is candidate, route, each once",
        ),
        (
            "/control/report?x",
            "\"x\" is no known name; allowed in the query is candidate, route, against, format, verbose, each once",
        ),
        (
            "/control/status?route=a&route=b",
            "\"route\" is there twice; allowed in the query is candidate, route, each once",
        ),
    ] {
        assert_eq!(fixture.ask("GET", path).await.json()["reason"], reason, "{path}");
    }
    for path in ["/control/config?candidate=x", "/control/events?since=1", "/control/upstreams?a"] {
        assert_eq!(fixture.ask("GET", path).await.code, 400, "{path}");
    }
}

#[tokio::test]
async fn so_many_routes_are_switched_by_hand_and_no_more() {
    let fixture = fixture();
    fixture.breach(1);
    let observe = fixture.observe();
    let mut names = (0..10_000).map(|number| format!("r{number}"));
    let refused = names.find(|name| {
        let has_room = observe.has_room_for(name);
        if has_room {
            observe.switch(false, Some(name));
        }
        !has_room
    });
    assert_eq!(refused.as_deref(), Some("r1199"), "with the one that had a pair");
    assert_eq!(fixture.ask("POST", "/control/disable?route=GET%20/a").await.code, 200);
    let before = observe.off_by_hand();
    let new = Arc::from("GET /new");
    observe.series(&observe.book(), &new);
    let answer = fixture.ask("POST", "/control/disable?route=GET%20/new").await;
    assert_eq!(answer.code, 409, "{}", answer.text);
    assert!(answer.json()["reason"].as_str().unwrap().contains("GET /new"), "{}", answer.text);
    assert_eq!(observe.off_by_hand(), before);
}

#[tokio::test]
async fn a_request_whose_client_left_before_the_answer_is_recorded() {
    let path = std::env::temp_dir().join(format!("mirrorlab-left-{}", rand::random::<u64>()));
    let place = crate::audit::Place::File(path.clone());
    let config = crate::audit::Config { place, max_bytes: 1 << 20, files: 2 };
    let metrics = Metrics::new().unwrap();
    let audit = crate::audit::Audit::start(config, metrics.audit()).await.unwrap();
    let fixture = audited(&crate::config::Config::default(), audit.clone());
    let body = Body::new(http_body_util::StreamBody::new(futures_util::stream::pending::<
        Result<http_body::Frame<Bytes>, std::io::Error>,
    >()));
    let request = Request::patch("/control/policy").body(body).unwrap();
    let answer = tokio::time::timeout(Duration::from_millis(20), fixture.send(request)).await;
    assert!(answer.is_err());
    audit.close("the end").await;
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    let told = text.lines().find(|line| line.contains("/control/policy")).unwrap();
    assert!(told.contains("the client left before the answer"), "{told}");
}
