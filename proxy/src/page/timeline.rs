//! What happened: each event with all that explains it.

use askama::Template;
use serde_json::Value;

use super::overview::route_href;
use super::shell::{Shell, html};
use super::words::{count, latency, percent, spoken, text};

/// Which events are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// All.
    #[default]
    All,
    /// The guardrail's stops and returns.
    Guardrail,
    /// What was said by hand.
    ByHand,
    /// Settings that were read anew.
    Settings,
}

impl Sort {
    /// All of them, as a query names them, with what they are called.
    const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::All, "all", "All"),
        (Self::Guardrail, "guardrail", "Guardrail"),
        (Self::ByHand, "hand", "By hand"),
        (Self::Settings, "settings", "Settings"),
    ];

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, it, _)| *it == name).map(|(sort, ..)| sort)
    }

    fn of(event: &str) -> Self {
        match event {
            "enabled" | "disabled" | "route_enabled" | "route_disabled" | "override"
            | "override_ended" | "rules_applied" | "rules_withdrawn" => Self::ByHand,
            _ if event.starts_with("reload") => Self::Settings,
            "tripped" | "route_tripped" | "would_trip" | "resumed" | "route_resumed"
            | "probation_started" | "probation_passed" => Self::Guardrail,
            // What later versions add is said by somebody.
            _ => Self::ByHand,
        }
    }
}

#[derive(Template)]
#[template(path = "timeline.html")]
struct Page<'a> {
    shell: &'a Shell,
    sorts: Vec<(&'static str, &'static str, bool)>,
    events: Vec<Event>,
}

struct Event {
    time: String,
    title: String,
    class: &'static str,
    candidate: Option<String>,
    route: Option<(String, String)>,
    trip: Option<Trip>,
    more: Vec<(String, String)>,
}

struct Trip {
    reason: String,
    rule: String,
    scope: String,
    evidence: Option<String>,
    pairs: String,
    /// Name, baseline, candidate.
    numbers: Vec<[String; 3]>,
    differing: Option<String>,
    examples: Vec<Example>,
    next: String,
}

struct Example {
    time: String,
    request: String,
    about: String,
}

/// The whole page, of these events, the oldest first.
pub fn page(shell: &Shell, events: &[Value], sort: Sort) -> String {
    let is_wanted = |event: &&Value| {
        sort == Sort::All || Sort::of(event["event"].as_str().unwrap_or_default()) == sort
    };
    html(&Page {
        shell,
        sorts: Sort::ALL.into_iter().map(|(it, name, title)| (name, title, it == sort)).collect(),
        events: events.iter().rev().filter(is_wanted).map(event).collect(),
    })
}

fn event(event: &Value) -> Event {
    let name = event["event"].as_str().unwrap_or_default();
    let candidate = event["candidate"].as_str();
    let route = event["route"].as_str();
    let href = |route: &str| route_href(candidate.unwrap_or_default(), route);
    let own = ["time", "event", "candidate", "route", "trip"];
    let more = event.as_object().into_iter().flatten();
    let more = more.filter(|(name, value)| !own.contains(&name.as_str()) && is_told(value));
    Event {
        time: event["time"].as_str().map(spoken).unwrap_or_default(),
        title: text(&title(name)),
        class: class(name),
        candidate: candidate.map(text),
        // A page of a route is one of a candidate.
        route: route.map(|it| (text(it), candidate.map_or_else(String::new, |_| href(it)))),
        trip: event["trip"].is_object().then(|| trip(&event["trip"])),
        more: more.map(|(name, value)| (text(name), valued(value))).collect(),
    }
}

fn is_told(value: &Value) -> bool {
    !value.is_null() && value.as_array().is_none_or(|it| !it.is_empty())
}

fn title(name: &str) -> String {
    let known = match name {
        "tripped" => "Guardrail stopped mirroring",
        "route_tripped" => "Guardrail stopped a route",
        "would_trip" => "Guardrail would have stopped mirroring",
        "resumed" => "Mirroring resumed after the cooldown",
        "route_resumed" => "Route resumed after the cooldown",
        "probation_started" => "Probation with a small share",
        "probation_passed" => "Probation passed",
        "enabled" => "Enabled by hand",
        "disabled" => "Disabled by hand",
        "route_enabled" => "Route enabled by hand",
        "route_disabled" => "Route disabled by hand",
        "override" => "Override by hand",
        "override_ended" => "Override ended",
        "rules_applied" => "Rules applied by hand",
        "rules_withdrawn" => "Rules withdrawn",
        "reloaded" => "Settings reloaded",
        "reload_refused" => "Settings refused: the old ones go on",
        other => return other.replace('_', " "),
    };
    known.to_owned()
}

fn class(name: &str) -> &'static str {
    match name {
        "tripped" | "route_tripped" | "reload_refused" => "fail",
        "would_trip" | "disabled" | "route_disabled" | "probation_started" => "open",
        "resumed" | "route_resumed" | "enabled" | "route_enabled" | "probation_passed" => "pass",
        _ => "plain",
    }
}

fn valued(value: &Value) -> String {
    match value {
        Value::String(it) => text(it),
        Value::Array(all) => all.iter().map(valued).collect::<Vec<_>>().join(", "),
        other => text(&other.to_string()),
    }
}

fn trip(trip: &Value) -> Trip {
    let said = |name: &str| text(trip[name].as_str().unwrap_or_default());
    let number = |name: &str| trip[name].as_u64().unwrap_or_default();
    let evidence = &trip["evidence"];
    let (compared, different) = (number("compared"), number("different"));
    Trip {
        reason: said("reason"),
        rule: said("rule").replace('_', " "),
        scope: if trip["scope"] == "all" { "all routes" } else { "this route" }.to_owned(),
        evidence: evidence.is_object().then(|| {
            format!(
                "{:.3e} of {:e} by {} after {} pairs",
                evidence["value"].as_f64().unwrap_or_default(),
                evidence["threshold"].as_f64().unwrap_or_default(),
                evidence["signal"].as_str().unwrap_or("all together"),
                count(evidence["pairs"].as_u64().unwrap_or_default()),
            )
        }),
        pairs: count(number("pairs")),
        numbers: numbers(trip),
        differing: (compared > 0)
            .then(|| format!("{} of {} answers differ", count(different), count(compared))),
        examples: trip["examples"].as_array().into_iter().flatten().map(example).collect(),
        next: format!(
            "{}: {}",
            trip["nextTime"].as_str().map(spoken).unwrap_or_default(),
            said("next")
        ),
    }
}

/// How a number is told.
type Told<'t> = &'t dyn Fn(f64) -> String;

fn numbers(trip: &Value) -> Vec<[String; 3]> {
    let sides = |name: &str, told: Told<'_>| {
        let side = |side: &str| told(trip[side][name].as_f64().unwrap_or_default());
        [side("baseline"), side("candidate")]
    };
    let millis = |millis: f64| latency(Some(millis / 1e3));
    let named: [(&str, &str, Told<'_>); 4] = [
        ("p50", "p50Ms", &millis),
        ("p90", "p90Ms", &millis),
        ("p99", "p99Ms", &millis),
        ("failures", "failureRate", &percent),
    ];
    let row = |(title, name, told): (&str, &str, Told<'_>)| {
        let [baseline, candidate] = sides(name, told);
        [title.to_owned(), baseline, candidate]
    };
    named.map(row).to_vec()
}

fn example(example: &Value) -> Example {
    let millis = |name: &str| Some(latency(Some(example[name].as_f64()? / 1e3)));
    let fields = example["fields"].as_array().map(|_| valued(&example["fields"]));
    let latencies = millis("baselineMs").map(|baseline| {
        let candidate = millis("candidateMs").unwrap_or_else(|| "no answer".to_owned());
        format!("{baseline} → {candidate}")
    });
    let failed = (example["candidateFailed"] == true).then(|| "candidate failed".to_owned());
    let about = fields.into_iter().chain(latencies).chain(failed);
    Example {
        time: example["time"].as_str().map(spoken).unwrap_or_default(),
        request: text(example["request"].as_str().unwrap_or_default()),
        about: about.collect::<Vec<_>>().join(", "),
    }
}
