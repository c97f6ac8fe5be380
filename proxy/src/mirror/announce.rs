//! Makes known what the guardrail decided: metrics, log lines that a person understands, a bounded
//! list of events, the webhook.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::event::event;
use crate::log_limit::LogLimit;
use crate::metrics::Metrics;
use judge::guardrail::{Transition, Trip};

/// Events kept.
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
    metrics: Arc<Metrics>,
    webhook: Option<mpsc::Sender<Value>>,
    known: Mutex<Known>,
    lines: LogLimit,
    not_posted: LogLimit,
}

#[derive(Debug, Default)]
struct Known {
    events: VecDeque<Value>,
    /// Routes that are off alone.
    stopped: BTreeSet<String>,
}

impl Announcer {
    /// With no events yet.
    pub fn new(metrics: Arc<Metrics>, webhook: Option<mpsc::Sender<Value>>) -> Self {
        let lines = LogLimit::burst(LINES_MAX, LINES_EVERY);
        let not_posted = LogLimit::new(NOT_POSTED_EVERY);
        Self { metrics, webhook, known: Mutex::default(), lines, not_posted }
    }

    /// The last events, the oldest first.
    pub fn events(&self) -> Vec<Value> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.events.iter().cloned().collect()
    }

    /// Makes a transition known. Returns at once.
    pub fn announce(&self, transition: &Transition, at: SystemTime) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.count(transition, &mut known.stopped);
        if let Some(before) = self.lines.admit(Instant::now()) {
            if before > 0 {
                warn!(not_logged_before = before, "changes of the guardrail's state not logged");
            }
            log(transition);
        }
        let event = event(transition, at);
        if let Some(webhook) = &self.webhook
            && webhook.try_send(event.clone()).is_err()
            && let Some(before) = self.not_posted.admit(Instant::now())
        {
            let why = "too many wait already";
            warn!(why, not_logged_before = before, "an event is not posted to the webhook");
        }
        if known.events.len() == EVENTS_MAX {
            known.events.pop_front();
        }
        known.events.push_back(event);
    }

    fn count(&self, transition: &Transition, stopped: &mut BTreeSet<String>) {
        match transition {
            Transition::Tripped { .. } => {
                self.metrics.set_enabled(false);
                self.metrics.count_abort();
            }
            Transition::RouteTripped { trip } => {
                self.metrics.set_route_enabled(&trip.route, false);
                self.metrics.count_route_abort(&trip.route);
                stopped.insert(trip.route.clone());
            }
            Transition::Resumed | Transition::Probation { route: None } => {
                self.metrics.set_enabled(true);
            }
            Transition::RouteResumed { route } | Transition::Probation { route: Some(route) } => {
                self.metrics.set_route_enabled(route, true);
                stopped.remove(route);
            }
            Transition::WouldTrip { .. } => self.metrics.count_would_abort(),
            Transition::Passed { .. } => {}
            Transition::Enabled => {
                self.metrics.set_enabled(true);
                for route in std::mem::take(stopped) {
                    self.metrics.set_route_enabled(&route, true);
                }
            }
            Transition::Held { counted } => {
                self.metrics.set_enabled(false);
                if *counted {
                    self.metrics.count_abort();
                }
            }
        }
    }
}

fn log(transition: &Transition) {
    match transition {
        Transition::Tripped { trip, .. } => {
            log_trip(trip, "mirroring stopped by the guardrail");
        }
        Transition::RouteTripped { trip } => {
            log_trip(trip, "mirroring of one route stopped by the guardrail");
        }
        Transition::WouldTrip { trip } => log_would_trip(trip),
        Transition::Resumed => info!("mirroring resumed after the cooldown"),
        Transition::RouteResumed { route } => {
            info!(route, "mirroring of the route resumed after the cooldown");
        }
        Transition::Probation { route } => {
            info!(route, "mirroring resumed after the cooldown, on probation with a small share");
        }
        Transition::Passed { route } => {
            info!(route, "probation passed: mirroring goes on with the full share");
        }
        Transition::Enabled => info!("mirroring enabled by hand"),
        Transition::Held { .. } => {
            info!("mirroring disabled by hand; it stays off until it is enabled by hand");
        }
    }
}

fn log_would_trip(trip: &Trip) {
    warn!(
        rule = trip.rule.name(),
        route = trip.route,
        reason = trip.reason,
        scope = if trip.whole() { "all" } else { "route" },
        "the guardrail would have stopped mirroring, and only observes; told again at the earliest \
         after its cooldown"
    );
}

fn log_trip(trip: &Trip, message: &str) {
    let resumes = humantime::format_rfc3339_seconds(trip.resumes);
    warn!(
        rule = trip.rule.name(),
        route = trip.route,
        reason = trip.reason,
        %resumes,
        next = trip.next(),
        "{message}"
    );
}
