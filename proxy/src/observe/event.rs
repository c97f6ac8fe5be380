//! Transitions as JSON, the same for the status, the list of events and the webhook.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::audit::cut;
use judge::guardrail::bets::Signal;
use judge::guardrail::detector::THRESHOLD;
use judge::guardrail::differing::Different;
use judge::guardrail::ledger::{Example, Side};
use judge::guardrail::run::millis;
use judge::guardrail::{Rule, Transition, Trip};

/// A transition, with its time and all that is known of it.
pub fn event(candidate: &str, transition: &Transition, at: SystemTime) -> Value {
    let (route, about) = about(transition);
    json!({
        "time": time(at),
        "event": name(transition),
        "candidate": candidate,
        "route": route,
        "trip": about.map(trip),
    })
}

/// A transition as the audit log has it: what changed, and by which rule, without anybody's request.
pub(super) fn recorded(candidate: &str, transition: &Transition) -> (&'static str, Value) {
    let (route, about) = about(transition);
    let mut recorded = json!({ "candidate": candidate, "route": route });
    if let Some(trip) = about {
        recorded["rule"] = trip.rule.name().into();
        // Where all of it is off, the route whose pair decided.
        recorded["on"] = trip.route.as_str().into();
        recorded["reason"] = cut(&trip.reason).into();
        recorded["until"] = time(trip.resumes).into();
    }
    (name(transition), recorded)
}

/// The route that a transition is about, where it is not about all, and the trip.
fn about(transition: &Transition) -> (Option<&String>, Option<&Trip>) {
    match transition {
        Transition::Tripped { trip, .. } => (None, Some(trip)),
        Transition::RouteTripped { trip } => (Some(&trip.route), Some(trip)),
        Transition::WouldTrip { trip } => ((!trip.whole()).then_some(&trip.route), Some(trip)),
        Transition::RouteResumed { route }
        | Transition::RouteEnabled { route }
        | Transition::RouteHeld { route } => (Some(route), None),
        Transition::Probation { route } | Transition::Passed { route } => (route.as_ref(), None),
        Transition::Resumed | Transition::Enabled | Transition::Held { .. } => (None, None),
    }
}

fn name(transition: &Transition) -> &'static str {
    match transition {
        Transition::Tripped { .. } => "tripped",
        Transition::RouteTripped { .. } => "route_tripped",
        Transition::WouldTrip { .. } => "would_trip",
        Transition::Resumed => "resumed",
        Transition::RouteResumed { .. } => "route_resumed",
        Transition::Probation { .. } => "probation_started",
        Transition::Passed { .. } => "probation_passed",
        Transition::RouteEnabled { .. } => "route_enabled",
        Transition::RouteHeld { .. } => "route_disabled",
        Transition::Enabled => "enabled",
        Transition::Held { .. } => "disabled",
    }
}

/// Why mirroring stopped, and what happens next.
pub fn trip(trip: &Trip) -> Value {
    let evidence = match trip.rule {
        Rule::Run { .. } => Value::Null,
        Rule::Evidence { evidence, .. } => json!({
            "signal": evidence.signal.map(Signal::name),
            "pairs": evidence.pairs,
            "value": evidence.value,
            "threshold": THRESHOLD,
        }),
    };
    json!({
        "time": time(trip.at),
        "scope": if trip.whole() { "all" } else { "route" },
        "rule": trip.rule.name(),
        "route": trip.route,
        "reason": trip.reason,
        "evidence": evidence,
        "pairs": trip.numbers.pairs,
        "baseline": side(&trip.numbers.baseline),
        "candidate": side(&trip.numbers.candidate),
        "compared": trip.differing.compared(),
        "different": trip.differing.different(),
        "examples": examples(trip),
        "cooldownSeconds": trip.cooldown.as_secs_f64(),
        "next": trip.next(),
        "nextTime": time(trip.resumes),
    })
}

fn side(side: &Side) -> Value {
    json!({
        "p50Ms": rounded(side.p50),
        "p90Ms": rounded(side.p90),
        "p99Ms": rounded(side.p99),
        "failureRate": side.failure_rate,
    })
}

/// Of what tripped.
fn examples(trip: &Trip) -> Vec<Value> {
    let by_mismatches = matches!(
        trip.rule,
        Rule::Evidence { evidence, .. } if evidence.signal == Some(Signal::Mismatches)
    );
    if !by_mismatches {
        return trip.examples.iter().map(|it| example(trip, it)).collect();
    }
    let example = |it: &Different| {
        json!({
            "time": time(it.at),
            "route": trip.route,
            "request": it.request,
            "fields": it.fields,
        })
    };
    trip.differing.examples().map(example).collect()
}

fn example(trip: &Trip, Example { pair, request, at }: &Example) -> Value {
    json!({
        "time": time(*at),
        "route": trip.route,
        "request": request,
        "baselineMs": rounded(pair.baseline_latency),
        "candidateMs": pair.candidate_latency.map(rounded),
        "baselineFailed": pair.baseline_failed,
        "candidateFailed": pair.candidate_failed,
    })
}

/// Takes out of a refused reload the lines of the settings file that it quotes; `why` stands in their place.
pub fn withhold_settings(event: &mut Value, why: &str) {
    if event["event"] == "reload_refused" {
        event["reason"] = why.into();
    }
}

/// Takes out the requests of a trip's examples, or of the trip of an event, since they are somebody's; `why`
/// stands in their place.
pub fn withhold_values(event: &mut Value, why: &str) {
    for trip in ["/trip/examples", "/examples"] {
        let examples = event.pointer_mut(trip).and_then(Value::as_array_mut);
        for request in examples.into_iter().flatten().filter_map(|it| it.get_mut("request")) {
            *request = why.into();
        }
    }
}

/// Whether a trip shows requests.
pub fn has_requests(trip: &Value) -> bool {
    trip["examples"].as_array().is_some_and(|examples| !examples.is_empty())
}

/// Milliseconds to the microsecond.
fn rounded(duration: Duration) -> f64 {
    (millis(duration) * 1000.0).round() / 1000.0
}

fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}
