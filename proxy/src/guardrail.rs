//! The state machine that decides whether mirroring goes on: observe, trip, cool down, resume,
//! manual override.
//!
//! Pure: time is an argument, and what was decided is returned as a [`Transition`], which others
//! turn into metrics and log lines. Only a manual enable lifts a manual disable.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

pub mod bets;
pub mod detector;
pub mod failures;
pub mod gate;
pub mod recent;
pub mod signals;
pub mod window;

use gate::{Reading, Setter};

/// The thresholds.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// A candidate slower than this many times the baseline is a breach.
    pub latency_ratio: f64,
    /// From 1 on, failures of the candidate are no breach.
    pub error_delta: f64,
    /// Breaches in a row that trip.
    pub consecutive: u32,
    /// An excess over the baseline of at most this is never a breach.
    pub latency_floor: Duration,
    /// From a trip until mirroring may resume.
    pub cooldown: Duration,
}

/// A point in time on both clocks: one to measure with, one to show.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// For comparing.
    pub at: Instant,
    /// For people.
    pub wall: SystemTime,
}

/// One pair: a baseline answer and a copy that was sent.
#[derive(Clone, Debug)]
pub struct Observation<'a> {
    /// The route's label.
    pub route: &'a str,
    /// The gate's epoch when the copy was admitted.
    pub epoch: u64,
    /// Of this pair.
    pub baseline_latency: Duration,
    /// Of the recent calls on this route, this one included.
    pub baseline_p99: Duration,
    /// Status 500 and up.
    pub baseline_failed: bool,
    /// `None` without a response head.
    pub candidate_latency: Option<Duration>,
    /// No response, timeout, or status 500 and up.
    pub candidate_failed: bool,
}

/// Whether mirroring is on, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// On.
    Enabled,
    /// Off; the first request at or after `until` switches it on.
    Tripped {
        /// The end of the cooldown.
        until: Instant,
    },
    /// Off by hand.
    Held,
}

impl State {
    /// The word used in the status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Tripped { .. } => "tripped",
            Self::Held => "held",
        }
    }
}

/// A change of state, for those who make it known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transition {
    /// The guardrail switched mirroring off.
    Tripped {
        /// Route, rule and numbers.
        reason: String,
        /// When.
        at: SystemTime,
    },
    /// The first request after the cooldown switched it on again.
    Resumed,
    /// Switched on by hand.
    Enabled,
    /// Switched off by hand.
    Held {
        /// Whether this is what stopped mirroring; false after a trip.
        counted: bool,
    },
}

/// What the status shows.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Now.
    pub state: State,
    /// When mirroring was last switched off, and why.
    pub last_abort: Option<(SystemTime, String)>,
    /// The longest running streak of breaches.
    pub breach_streak: u32,
    /// The thresholds.
    pub config: Config,
}

/// The guardrail.
#[derive(Debug)]
pub struct Guardrail {
    config: Config,
    gate: Setter,
    state: State,
    epoch: u64,
    streak: u32,
    route_streaks: HashMap<String, u32>,
    last_abort: Option<(SystemTime, String)>,
}

impl Guardrail {
    /// Mirroring on, no streaks.
    pub fn new(config: Config, gate: Setter) -> Self {
        gate.set(Reading::Open { epoch: 0 });
        Self {
            config,
            gate,
            state: State::Enabled,
            epoch: 0,
            streak: 0,
            route_streaks: HashMap::new(),
            last_abort: None,
        }
    }

    /// Takes in a pair. A copy admitted before mirroring last came back tells of a candidate that
    /// is no more, and is no evidence.
    pub fn observe(&mut self, pair: &Observation<'_>, now: Moment) -> Option<Transition> {
        if self.state != State::Enabled || pair.epoch != self.epoch {
            return None;
        }
        let Some(breach) = self.breach(pair) else {
            self.streak = 0;
            // A route without a streak needs no entry.
            self.route_streaks.remove(pair.route);
            return None;
        };
        self.streak += 1;
        let on_route = self.route_streaks.entry(pair.route.to_owned()).or_insert(0);
        *on_route += 1;
        let on_route = *on_route;
        if self.streak.max(on_route) < self.config.consecutive {
            return None;
        }
        let run = if self.streak >= self.config.consecutive {
            format!("{} breaches in a row over all routes, the last on {}", self.streak, pair.route)
        } else {
            format!("{on_route} breaches in a row on {}", pair.route)
        };
        Some(self.trip(format!("{run}: {breach}"), now))
    }

    /// What makes this pair a breach, in words.
    fn breach(&self, pair: &Observation<'_>) -> Option<String> {
        let judged = self.config.error_delta < 1.0;
        if judged && pair.candidate_failed && !pair.baseline_failed {
            return Some("the candidate failed and the baseline did not".to_owned());
        }
        let candidate = pair.candidate_latency?;
        let baseline = pair.baseline_latency.max(pair.baseline_p99);
        let ratio = candidate.as_secs_f64() / baseline.as_secs_f64();
        let slow = ratio > self.config.latency_ratio;
        let above_floor = candidate.saturating_sub(baseline) > self.config.latency_floor;
        (slow && above_floor).then(|| {
            format!(
                "candidate latency {:.1} ms is {ratio:.2} times the baseline's {:.1} ms \
                 (its own {:.1} ms, recent p99 {:.1} ms), allowed is {}",
                millis(candidate),
                millis(baseline),
                millis(pair.baseline_latency),
                millis(pair.baseline_p99),
                self.config.latency_ratio,
            )
        })
    }

    fn trip(&mut self, reason: String, now: Moment) -> Transition {
        let until = now.at + self.config.cooldown;
        self.state = State::Tripped { until };
        self.gate.set(Reading::Tripped { until });
        self.last_abort = Some((now.wall, reason.clone()));
        Transition::Tripped { reason, at: now.wall }
    }

    /// Ends a trip whose cooldown is over. Called for each new request that finds the gate shut.
    pub fn resume_if_due(&mut self, now: Moment) -> Option<Transition> {
        match self.state {
            State::Tripped { until } if now.at >= until => {
                self.open();
                Some(Transition::Resumed)
            }
            _ => None,
        }
    }

    fn open(&mut self) {
        self.state = State::Enabled;
        self.epoch += 1;
        self.forget_streaks();
        self.gate.set(Reading::Open { epoch: self.epoch });
    }

    fn forget_streaks(&mut self) {
        self.streak = 0;
        self.route_streaks.clear();
    }

    /// By hand: mirroring on, streaks to 0.
    pub fn enable(&mut self) -> Option<Transition> {
        if self.state == State::Enabled {
            self.forget_streaks();
            return None;
        }
        self.open();
        Some(Transition::Enabled)
    }

    /// By hand: mirroring off until it is enabled by hand. After a trip it was off already, so
    /// that time and reason stay those of the trip.
    pub fn disable(&mut self, now: Moment) -> Option<Transition> {
        if self.state == State::Held {
            return None;
        }
        let counted = self.state == State::Enabled;
        if counted {
            self.last_abort = Some((now.wall, "disabled by hand".to_owned()));
        }
        self.state = State::Held;
        self.gate.set(Reading::Held);
        Some(Transition::Held { counted })
    }

    /// What the status shows.
    pub fn snapshot(&self) -> Snapshot {
        let longest_on_a_route = self.route_streaks.values().copied().max().unwrap_or(0);
        Snapshot {
            state: self.state,
            last_abort: self.last_abort.clone(),
            breach_streak: self.streak.max(longest_on_a_route),
            config: self.config.clone(),
        }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests;
