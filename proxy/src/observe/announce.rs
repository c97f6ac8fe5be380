//! Makes known what the guardrail decided: metrics, log lines that a person understands, a bounded
//! list of events, the webhook, the audit log.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::event::{self, event};
use crate::audit::Audit;
use crate::log_limit::LogLimit;
use crate::metrics::CandidateMetrics;
use judge::guardrail::{Transition, Trip};

/// Events kept: so many transitions, and so many others, which must not push those out.
const EVENTS_MAX: usize = 100;

/// Lines about transitions in [`LINES_EVERY`]: no line says what another does, and a hundred routes
/// may stop at once; but who switches by hand in a loop must not fill a disk.
const LINES_MAX: u32 = 128;
/// See [`LINES_MAX`].
const LINES_EVERY: Duration = Duration::from_secs(60);
/// How often it is logged at most that events are not posted.
const NOT_POSTED_EVERY: Duration = Duration::from_secs(10);

/// Makes transitions known.
#[derive(Debug)]
pub struct Announcer {
    webhook: Option<mpsc::Sender<Value>>,
    audit: Audit,
    known: Mutex<Known>,
    lines: LogLimit,
    not_posted: LogLimit,
}

#[derive(Debug, Default)]
struct Known {
    transitions: Kept,
    others: Kept,
    /// How many there were.
    count: u64,
}

/// The last events of a sort, each with its place among all.
type Kept = VecDeque<(u64, Value)>;

impl Announcer {
    /// With no events yet.
    pub fn new(webhook: Option<mpsc::Sender<Value>>) -> Self {
        let lines = LogLimit::burst(LINES_MAX, LINES_EVERY);
        let not_posted = LogLimit::new(NOT_POSTED_EVERY);
        let (audit, known) = Default::default();
        Self { webhook, audit, known, lines, not_posted }
    }

    /// The same, which records in this audit log what changes.
    #[must_use]
    pub fn audited(self, audit: Audit) -> Self {
        Self { audit, ..self }
    }

    /// Where what changes is recorded, without values of traffic.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// The last events, the oldest first.
    pub fn events(&self) -> Vec<Value> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events: Vec<_> = known.transitions.iter().chain(&known.others).collect();
        events.sort_by_key(|(at, _)| *at);
        events.into_iter().map(|(_, event)| event.clone()).collect()
    }

    /// Makes a transition of a candidate's guardrail known. Returns at once.
    pub fn announce(&self, of: &CandidateMetrics, transition: &Transition, at: SystemTime) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        count(of, transition);
        if let Some(before) = self.lines.admit(Instant::now()) {
            if before > 0 {
                warn!(not_logged_before = before, "changes of the guardrail's state not logged");
            }
            log(of.name(), transition);
        }
        let (what, about) = event::recorded(of.name(), transition);
        self.audit.record(what, about);
        let event = event(of.name(), transition, at);
        self.post(&event);
        known.count += 1;
        keep(known.count, &mut known.transitions, event);
    }

    /// Makes something else known that is no transition: the same list, the same webhook.
    pub fn tell(&self, event: Value) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.post(&event);
        known.count += 1;
        keep(known.count, &mut known.others, event);
    }

    fn post(&self, event: &Value) {
        if let Some(webhook) = &self.webhook
            && webhook.try_send(event.clone()).is_err()
            && let Some(before) = self.not_posted.admit(Instant::now())
        {
            let why = "too many wait already";
            warn!(why, not_logged_before = before, "an event is not posted to the webhook");
        }
    }
}

fn keep(at: u64, events: &mut Kept, event: Value) {
    if events.len() == EVENTS_MAX {
        events.pop_front();
    }
    events.push_back((at, event));
}

fn count(of: &CandidateMetrics, transition: &Transition) {
    match transition {
        Transition::Tripped { .. } => {
            of.set_enabled(false);
            of.count_abort();
        }
        Transition::RouteTripped { trip } => of.count_route_abort(&trip.route),
        Transition::Resumed | Transition::Probation { route: None } | Transition::Enabled => {
            of.set_enabled(true);
        }
        Transition::WouldTrip { .. } => of.count_would_abort(),
        Transition::Held { counted } => {
            of.set_enabled(false);
            if *counted {
                of.count_abort();
            }
        }
        Transition::Passed { .. }
        | Transition::RouteResumed { .. }
        | Transition::RouteEnabled { .. }
        | Transition::RouteHeld { .. }
        | Transition::Probation { route: Some(_) } => {}
    }
}

fn log(candidate: &str, transition: &Transition) {
    match transition {
        Transition::Tripped { trip, .. } => {
            log_trip(candidate, trip, "mirroring stopped by the guardrail");
        }
        Transition::RouteTripped { trip } => {
            log_trip(candidate, trip, "mirroring of one route stopped by the guardrail");
        }
        Transition::WouldTrip { trip } => log_would_trip(candidate, trip),
        Transition::Resumed => info!(candidate, "mirroring resumed after the cooldown"),
        Transition::RouteResumed { route } => {
            info!(candidate, route, "mirroring of the route resumed after the cooldown");
        }
        Transition::Probation { route } => {
            info!(
                candidate,
                route, "mirroring resumed after the cooldown, on probation with a small share"
            );
        }
        Transition::Passed { route } => {
            info!(candidate, route, "probation passed: mirroring goes on with the full share");
        }
        Transition::RouteEnabled { route } => {
            info!(candidate, route, "mirroring of the route enabled by hand");
        }
        Transition::RouteHeld { route } => {
            info!(candidate, route, "mirroring of the route disabled by hand");
        }
        Transition::Enabled => info!(candidate, "mirroring enabled by hand"),
        Transition::Held { .. } => {
            info!(
                candidate,
                "mirroring disabled by hand; it stays off until it is enabled by hand"
            );
        }
    }
}

fn log_would_trip(candidate: &str, trip: &Trip) {
    warn!(
        candidate,
        rule = trip.rule.name(),
        route = trip.route,
        reason = trip.reason,
        scope = if trip.whole() { "all" } else { "route" },
        "the guardrail would have stopped mirroring, and only observes; told again at the earliest \
         after its cooldown"
    );
}

fn log_trip(candidate: &str, trip: &Trip, message: &str) {
    let resumes = humantime::format_rfc3339_seconds(trip.resumes);
    warn!(
        candidate,
        rule = trip.rule.name(),
        route = trip.route,
        reason = trip.reason,
        %resumes,
        next = trip.next(),
        "{message}"
    );
}
