//! What the stack does right now, read over HTTP as any operator would.

use std::collections::BTreeMap;
use std::time::Instant;

use reqwest::Client;
use serde_json::Value;

use crate::prometheus_text::Reading;

/// Where to look.
#[derive(Clone, Debug)]
pub struct Urls {
    /// Of the baseline.
    pub baseline: String,
    /// Of the candidate.
    pub candidate: String,
    /// Of the proxy.
    pub proxy: String,
}

/// One side between two looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Target {
    /// Requests per second that the proxy sent.
    pub rate: f64,
    /// In seconds.
    pub p50: Option<f64>,
    /// In seconds.
    pub p99: Option<f64>,
    /// Share of answers 500 and up, by the service's own count.
    pub errors: Option<f64>,
}

/// What was seen between two looks, and in total.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The baseline.
    pub baseline: Target,
    /// The candidate.
    pub candidate: Target,
    /// Pairs by outcome, since the start.
    pub outcomes: BTreeMap<String, f64>,
    /// Pairs that differed by route, since the start.
    pub mismatches: BTreeMap<String, f64>,
    /// Copies sent, since the start.
    pub copies: f64,
    /// As `/control/status` names it.
    pub state: String,
    /// Of the last trip or hold.
    pub reason: Option<String>,
    /// Until mirroring may resume.
    pub cooldown_remaining: Option<f64>,
    /// Times mirroring was switched off.
    pub aborts: f64,
    /// The gauge.
    pub enabled: f64,
    /// Of everything or of a route.
    pub last_trip: Option<Trip>,
    /// By label; all that had a request.
    pub routes: BTreeMap<String, Route>,
    /// A second candidate, where there is one.
    pub other: Option<Other>,
}

/// A second candidate, since the start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Other {
    /// The gauge.
    pub enabled: f64,
    /// Times mirroring to it was switched off.
    pub aborts: f64,
    /// Pairs that matched.
    pub matched: f64,
}

/// The name of the candidate that stories make bad, and that of the other one.
pub const CANDIDATES: [&str; 2] = ["candidate", "v3"];

/// What `/control/status` tells of a trip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trip {
    /// When.
    pub time: String,
    /// `all` or `route`.
    pub scope: String,
    /// Which rule acted.
    pub rule: String,
    /// Of the last pair.
    pub route: String,
    /// In words, with numbers.
    pub reason: String,
    /// What the evidence is about, where evidence acted.
    pub signal: Option<String>,
}

/// What the report says of the candidate, over all routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opinion {
    /// `pass`, `fail`, or that it is not settled.
    pub verdict: String,
    /// What failed, or is not settled yet.
    pub reasons: String,
    /// Pairs that it rests on.
    pub pairs: u64,
}

impl Opinion {
    /// Whether the candidate was found to be worse.
    pub fn is_fail(&self) -> bool {
        self.verdict == "fail"
    }
}

/// A route, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Route {
    /// Whether the status says that it is mirrored.
    pub says_enabled: bool,
    /// The gauge.
    pub enabled: f64,
    /// Times it was stopped alone.
    pub aborts: f64,
    /// Copies sent.
    pub copies: f64,
    /// Pairs that matched.
    pub matched: f64,
}

/// Looks at the stack again and again.
#[derive(Debug)]
pub struct Observer {
    client: Client,
    urls: Urls,
    last: Option<Look>,
}

#[derive(Debug)]
struct Look {
    at: Instant,
    proxy: Reading,
    /// What the proxy says of a second candidate.
    other: Option<Reading>,
    baseline: Reading,
    candidate: Reading,
}

impl Observer {
    /// Has seen nothing yet.
    pub fn new(client: Client, urls: Urls) -> Self {
        Self { client, urls, last: None }
    }

    /// What happened since the last look; `None` when the proxy does not answer.
    pub async fn look(&mut self) -> Option<Status> {
        let metrics = self.text(&format!("{}/metrics", self.urls.proxy)).await?;
        let [proxy, other] = CANDIDATES.map(|name| of_candidate(&metrics, name));
        let is_there =
            metrics.contains(&format!("mirror_enabled{{candidate=\"{}\"}}", CANDIDATES[1]));
        let other = is_there.then_some(other);
        let control = format!("{}/control/status", self.urls.proxy);
        let control: Value = self.client.get(control).send().await.ok()?.json().await.ok()?;
        // A service that is down has no figures of its own; the proxy still has its part.
        let service = |base: &str| format!("{base}/actuator/prometheus");
        let baseline = self.read(&service(&self.urls.baseline)).await.unwrap_or_default();
        let candidate = self.read(&service(&self.urls.candidate)).await.unwrap_or_default();
        let now = Look { at: Instant::now(), proxy, other, baseline, candidate };
        let status = status(self.last.as_ref().unwrap_or(&now), &now, &control);
        self.last = Some(now);
        Some(status)
    }

    /// All trips that the proxy knows of, the oldest first.
    pub async fn trips(&self) -> Option<Vec<Trip>> {
        let url = format!("{}/control/events", self.urls.proxy);
        let told: Value = self.client.get(url).send().await.ok()?.json().await.ok()?;
        Some(told["events"].as_array()?.iter().filter_map(|event| trip(&event["trip"])).collect())
    }

    /// What the report says of the candidate.
    pub async fn verdict(&self) -> Option<Opinion> {
        let url = format!("{}/control/report", self.urls.proxy);
        let told: Value = self.client.get(url).send().await.ok()?.json().await.ok()?;
        let reasons = told["reasons"].as_array().map(Vec::as_slice).unwrap_or_default();
        let reasons = reasons.iter().filter_map(Value::as_str);
        Some(Opinion {
            verdict: told["verdict"].as_str()?.to_owned(),
            reasons: reasons.collect::<Vec<_>>().join("; "),
            pairs: told["pairs"].as_u64()?,
        })
    }

    async fn read(&self, url: &str) -> Option<Reading> {
        Some(Reading::parse(&self.text(url).await?))
    }

    async fn text(&self, url: &str) -> Option<String> {
        self.client.get(url).send().await.ok()?.text().await.ok()
    }
}

/// What is said of this candidate, or of none.
fn of_candidate(metrics: &str, name: &str) -> Reading {
    let own = format!("candidate=\"{name}\"");
    let is_own = |line: &&str| !line.contains("candidate=\"") || line.contains(&own);
    Reading::parse(&metrics.lines().filter(is_own).collect::<Vec<_>>().join("\n"))
}

fn other(reading: &Reading) -> Other {
    Other {
        enabled: reading.sum("mirror_enabled", &[]),
        aborts: reading.sum("mirror_aborts_total", &[]),
        matched: reading.sum("mirror_outcomes_total", &["outcome=\"matched\""]),
    }
}

fn status(before: &Look, now: &Look, control: &Value) -> Status {
    let text = |name: &str| control[name].as_str().map(str::to_owned);
    Status {
        baseline: target("baseline", before, now, (&before.baseline, &now.baseline)),
        candidate: target("candidate", before, now, (&before.candidate, &now.candidate)),
        outcomes: now.proxy.by("mirror_outcomes_total", "outcome"),
        mismatches: now.proxy.by("mirror_diff_mismatches_total", "route"),
        copies: now.proxy.sum("mirror_requests_total", &["target=\"candidate\""]),
        state: text("state").unwrap_or_default(),
        reason: text("lastAbortReason"),
        cooldown_remaining: control["cooldownRemainingSeconds"].as_f64(),
        aborts: now.proxy.sum("mirror_aborts_total", &[]),
        enabled: now.proxy.sum("mirror_enabled", &[]),
        last_trip: trip(&control["lastTrip"]),
        routes: routes(&now.proxy, &control["routes"]),
        other: now.other.as_ref().map(other),
    }
}

fn trip(trip: &Value) -> Option<Trip> {
    let text = |name: &str| trip[name].as_str().map(str::to_owned);
    Some(Trip {
        time: text("time")?,
        scope: text("scope")?,
        rule: text("rule")?,
        route: text("route")?,
        reason: text("reason")?,
        signal: trip["evidence"]["signal"].as_str().map(str::to_owned),
    })
}

fn routes(proxy: &Reading, told: &Value) -> BTreeMap<String, Route> {
    let told = told.as_array().map(Vec::as_slice).unwrap_or_default();
    let told = told.iter().filter_map(|route| Some((route["route"].as_str()?, route)));
    let route = |(name, told): (&str, &Value)| {
        let label = format!("route=\"{name}\"");
        let sum = |name: &str, other: &str| proxy.sum(name, &[&label, other]);
        let route = Route {
            says_enabled: told["enabled"] == true,
            enabled: sum("mirror_route_enabled", ""),
            aborts: sum("mirror_route_aborts_total", ""),
            copies: sum("mirror_requests_total", "target=\"candidate\""),
            matched: sum("mirror_outcomes_total", "outcome=\"matched\""),
        };
        (name.to_owned(), route)
    };
    told.map(route).collect()
}

fn target(name: &str, before: &Look, now: &Look, service: (&Reading, &Reading)) -> Target {
    let label = format!("target=\"{name}\"");
    let labels = [label.as_str()];
    let sent = |look: &Look| look.proxy.sum("mirror_requests_total", &labels);
    let elapsed = now.at.duration_since(before.at).as_secs_f64();
    let quantile = |quantile: f64| {
        now.proxy.quantile_since(&before.proxy, "mirror_latency_seconds", &labels, quantile)
    };
    let answered = |labels: &[&str]| {
        let count = "http_server_requests_seconds_count";
        service.1.sum(count, labels) - service.0.sum(count, labels)
    };
    let all = answered(&["uri=\"/api/"]);
    let failed = answered(&["uri=\"/api/", "outcome=\"SERVER_ERROR\""]);
    Target {
        rate: if elapsed > 0.0 { (sent(now) - sent(before)) / elapsed } else { 0.0 },
        p50: quantile(0.5),
        p99: quantile(0.99),
        errors: (all > 0.0).then(|| failed / all),
    }
}

impl Status {
    /// Pairs with this outcome.
    pub fn outcome(&self, name: &str) -> f64 {
        self.outcomes.get(name).copied().unwrap_or(0.0)
    }

    /// A route; without a request yet, all of it is 0.
    pub fn route(&self, name: &str) -> Route {
        self.routes.get(name).copied().unwrap_or_default()
    }

    /// Whether mirroring is on, by the status and by the gauge.
    pub fn is_on(&self) -> bool {
        self.state == "enabled" && self.enabled == 1.0
    }

    /// Times that something stopped, a route for one.
    pub fn stops(&self) -> f64 {
        self.aborts + self.routes.values().map(|route| route.aborts).sum::<f64>()
    }

    /// For people, a line each.
    pub fn lines(&self) -> Vec<String> {
        let differing: Vec<_> = self
            .mismatches
            .iter()
            .filter(|(_, count)| **count > 0.0)
            .map(|(route, count)| format!("{route}: {count}"))
            .collect();
        let differing = if differing.is_empty() { "none".to_owned() } else { differing.join(", ") };
        let mut lines = vec![
            format!("baseline   {}", self.baseline.line()),
            format!("candidate  {}", self.candidate.line()),
            format!(
                "pairs      {} matched, {} mismatched ({differing})",
                self.outcome("matched"),
                self.outcome("mismatched"),
            ),
            format!("mirroring  {}, trips and holds: {}", self.mirroring(), self.aborts),
        ];
        if let Some(Other { enabled, aborts, matched }) = self.other {
            let on = if enabled == 1.0 { "on" } else { "off" };
            let name = CANDIDATES[1];
            lines.push(format!("{name:<9}  {on}, {matched} matched, trips and holds: {aborts}"));
        }
        lines
    }

    fn mirroring(&self) -> String {
        let reason = self.reason.as_deref().unwrap_or("no reason given");
        match (self.state.as_str(), self.cooldown_remaining) {
            ("tripped", Some(left)) => format!("tripped, may resume in {left:.0} s; {reason}"),
            ("held", _) => format!("held by hand; {reason}"),
            (state, _) => state.to_owned() + &*self.stopped_alone(),
        }
    }

    fn stopped_alone(&self) -> String {
        let stopped = self.routes.iter().filter(|(_, route)| route.is_stopped());
        let stopped: Vec<_> = stopped.map(|(name, _)| name.as_str()).collect();
        match (stopped.as_slice(), &self.last_trip) {
            ([], _) => String::new(),
            (names, Some(trip)) => format!(" but for {}; {}", names.join(", "), trip.reason),
            (names, None) => format!(" but for {}", names.join(", ")),
        }
    }
}

impl Route {
    /// Whether it is mirrored, by the status and by the gauge.
    pub fn is_on(&self) -> bool {
        self.says_enabled && self.enabled == 1.0
    }

    /// Whether it is stopped, by the status and by the gauge.
    pub fn is_stopped(&self) -> bool {
        // A route that nobody asked for yet has no gauge either.
        self.aborts > 0.0 && !self.says_enabled && self.enabled == 0.0
    }
}

impl Target {
    /// For people.
    pub fn line(&self) -> String {
        let millis = |seconds: Option<f64>| {
            seconds.map_or("      –".to_owned(), |seconds| format!("{:>7.1}", seconds * 1000.0))
        };
        let errors =
            self.errors.map_or("   –".to_owned(), |share| format!("{:>4.1}", share * 100.0));
        let (p50, p99) = (millis(self.p50), millis(self.p99));
        format!("{:>7.1} req/s   p50 {p50} ms   p99 {p99} ms   errors {errors} %", self.rate)
    }
}
