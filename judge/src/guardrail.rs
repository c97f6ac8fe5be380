//! The state machine that decides whether mirroring goes on: observe, trip, cool down, resume,
//! manual override.
//!
//! Two rules judge each pair: the run of breaches ([`run`]), which is fast on disasters, and the evidence
//! ([`evidence`]), which finds what is merely worse. Either stops everything, or the one route that it
//! is about. Neither takes pairs that are one observation for many: those that overlap in time
//! ([`moments`]), and those that follow each other within the memory of the service ([`dependence`]).
//!
//! Pure: time is an argument, and what was decided is returned as a [`Transition`], which others
//! turn into metrics and log lines. Only a manual enable lifts a manual disable.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

pub mod alone;
pub mod bets;
pub mod dependence;
pub mod detector;
pub mod differing;
pub mod evidence;
pub mod failures;
pub mod gate;
pub mod ledger;
pub mod moments;
pub mod probation;
pub mod recent;
mod route;
pub mod run;
pub mod signals;
pub mod snapshot;
pub mod standing;
pub mod transition;
pub mod window;

use crate::pair::{Epoch, Pair};
use detector::THRESHOLD;
pub use evidence::Evidence;
use evidence::Weighing;
use gate::{Gate, Reading, Setter};
use ledger::Example;
use moments::Span;
use probation::{Cooldown, Probation};
use route::RouteState;
use run::{Breach, Run};
use signals::{Allowance, Measured};
pub use snapshot::{RouteSnapshot, Snapshot};
pub use transition::{Rule, Transition, Trip};

/// The thresholds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Share of pairs with different answers that is allowed; `None` when that is not judged.
    pub mismatch_rate: Option<f64>,
    /// Time from the end of a cooldown to the full share; `None` for the full share at once.
    pub ramp: Option<Duration>,
    /// Everything is judged, and nothing is switched off.
    pub observe_only: bool,
    /// From the first pair after a start, or after mirroring came back: pairs are shown and not judged.
    pub warmup: Duration,
}

impl Config {
    /// What pairs are held against. Neither what follows a trip, nor whether one does, changes what they
    /// said.
    pub fn judges(&self) -> (Allowance, u32) {
        (self.allowance(), self.consecutive)
    }

    fn allowance(&self) -> Allowance {
        Allowance {
            latency_ratio: self.latency_ratio,
            latency_floor: self.latency_floor,
            error_delta: self.error_delta,
            mismatch_rate: self.mismatch_rate,
        }
    }
}

/// A point in time on both clocks: one to measure with, one to show.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// For comparing: since an origin that the caller chose, the same for all that it tells one guardrail.
    /// The clock behind it never goes back.
    pub at: Duration,
    /// For people: what the clock on the wall shows, which may be set.
    pub wall: SystemTime,
}

/// Whether mirroring is on, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// On.
    Enabled,
    /// On after a trip, with a growing share.
    Probation,
    /// Off; the first request at or after `until` switches it on.
    Tripped {
        /// The end of the cooldown, as [`Moment::at`].
        until: Duration,
    },
    /// Off by hand.
    Held,
}

impl State {
    /// The word used in the status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Probation => "probation",
            Self::Tripped { .. } => "tripped",
            Self::Held => "held",
        }
    }

    /// Whether requests are mirrored.
    pub fn is_on(self) -> bool {
        matches!(self, Self::Enabled | Self::Probation)
    }
}

/// The guardrail.
#[derive(Debug)]
pub struct Guardrail {
    config: Config,
    gate: Setter,
    state: State,
    epoch: u64,
    run: Run,
    overall: Weighing,
    routes: HashMap<String, RouteState>,
    cooldown: Cooldown,
    probation: Option<Probation>,
    last_abort: Option<(SystemTime, String)>,
    last_trip: Option<Trip>,
    /// Where nothing is switched off: pairs before this are those of a trip that was told. As [`Moment::at`].
    quiet_until: Option<Duration>,
    /// The first pair since the start, or since mirroring came back. As [`Moment::at`].
    first_pair: Option<Duration>,
    /// See [`Self::follow`].
    follows: bool,
}

impl Guardrail {
    /// Mirroring on, no streaks.
    pub fn new(config: Config, gate: Setter) -> Self {
        gate.set(Reading::Open { epoch: 0 });
        Self {
            gate,
            state: State::Enabled,
            epoch: 0,
            run: Run::default(),
            overall: Weighing::new(&config.allowance()),
            routes: HashMap::new(),
            cooldown: Cooldown::default(),
            probation: None,
            last_abort: None,
            last_trip: None,
            quiet_until: None,
            first_pair: None,
            follows: false,
            config,
        }
    }

    /// Whether [`Self::compared`] is of any use.
    pub fn judges_mismatches(&self) -> bool {
        self.config.mismatch_rate.is_some()
    }

    /// The gate of a route: what the whole gate lets through passes here too.
    pub fn route_gate(&mut self, route: &str) -> Gate {
        self.route(route).gate()
    }

    /// The epoch of a copy on this route that is admitted now.
    pub fn epoch(&mut self, route: &str) -> Epoch {
        Epoch { whole: self.epoch, route: self.route(route).epoch() }
    }

    fn route(&mut self, route: &str) -> &mut RouteState {
        // Most calls find it; looking before adding spares them a copy of the label.
        if !self.routes.contains_key(route) {
            let state = RouteState::new(&self.config.allowance());
            self.routes.insert(route.to_owned(), state);
        }
        self.routes.get_mut(route).expect("it was there or has just been added")
    }

    /// Takes in a pair. A copy admitted before mirroring last came back tells of a candidate that
    /// is no more, and is no evidence. `baseline_p99` is that of the recent calls on the pair's route,
    /// mirrored or not, this one included.
    pub fn observe(
        &mut self,
        pair: &Pair<'_>,
        baseline_p99: Duration,
        now: Moment,
    ) -> Option<Transition> {
        self.observe_by(pair, baseline_p99, None, now)
    }

    /// As [`Self::observe`], by thresholds of the route's own where there are any.
    pub fn observe_by(
        &mut self,
        pair: &Pair<'_>,
        baseline_p99: Duration,
        own: Option<&Config>,
        now: Moment,
    ) -> Option<Transition> {
        if !self.judges(pair.epoch, now) {
            return None;
        }
        let (whole, config) = (self.config.clone(), own.unwrap_or(&self.config).clone());
        let Some(route) = self.routes.get_mut(pair.route) else {
            let state = RouteState::new(&config.allowance());
            self.routes.insert(pair.route.to_owned(), state);
            return self.observe_by(pair, baseline_p99, own, now);
        };
        if !route.is_on() || pair.epoch.route != route.epoch() {
            return None;
        }
        let (measured, length) = (Measured::of(pair), self.overall.length());
        let breach = run::breach(&measured, baseline_p99, &config);
        let (span, allowed) = (Span::of(&measured, now.at), config.allowance());
        let example = run::is_worse(&measured, &config).then(|| Example {
            pair: measured,
            request: pair.request.shown().to_owned(),
            at: now.wall,
        });
        let scores = route.take(&measured, example, breach.as_ref(), &span, &allowed);
        let route_runs = route.run().trips(config.consecutive);
        self.run.record(breach.as_ref(), &measured, &span, length);
        self.overall.record(&scores, &span, &whole.allowance());
        if self.follows {
            return None;
        }
        let runs = self.run.trips(whole.consecutive);
        if let Some(breach) = breach.filter(|_| runs || route_runs) {
            return Some(self.end_run(breach, pair.route, runs, &config, now));
        }
        self.act(pair.route, &config, now).or_else(|| self.ramp_up(pair.route, now))
    }

    /// Whether pairs of this epoch are evidence now.
    fn judges(&mut self, epoch: Epoch, now: Moment) -> bool {
        let quiet = self.quiet_until.is_some_and(|until| now.at < until);
        self.state.is_on() && epoch.whole == self.epoch && !quiet && !self.warms_up(now)
    }

    /// Whether pairs are not judged yet, since caches are cold and pools empty.
    pub fn warms_up(&mut self, now: Moment) -> bool {
        if self.config.warmup.is_zero() {
            return false;
        }
        now.at < *self.first_pair.get_or_insert(now.at) + self.config.warmup
    }

    /// Begins the warm-up anew: another candidate was deployed.
    pub fn warm_up(&mut self) {
        self.first_pair = None;
    }

    /// Stops everything, or the route alone where other routes are healthy.
    fn end_run(
        &mut self,
        breach: Breach,
        route: &str,
        whole: bool,
        config: &Config,
        now: Moment,
    ) -> Transition {
        let run = if whole {
            format!(
                "{} breaches in a row over all routes, the last on {route}",
                self.run.breaches()
            )
        } else {
            let breaches = self.route(route).run().breaches();
            format!("{breaches} breaches in a row on {route}, while others are well")
        };
        let reason = format!("{run}: {}", breach.text());
        let trip = self.explain(Rule::Run { whole }, route, reason, config, now);
        if whole { self.trip(trip, now) } else { self.trip_route(trip, config, now) }
    }

    /// Takes in the fields in which the answers of a pair differ, `None` where they do not; the pair
    /// was observed before.
    pub fn compared(
        &mut self,
        pair: &Pair<'_>,
        differs: Option<&[&str]>,
        now: Moment,
    ) -> Option<Transition> {
        self.compared_by(pair, differs, None, now)
    }

    /// As [`Self::compared`], by thresholds of the route's own where there are any.
    pub fn compared_by(
        &mut self,
        pair: &Pair<'_>,
        differs: Option<&[&str]>,
        own: Option<&Config>,
        now: Moment,
    ) -> Option<Transition> {
        let config = own.unwrap_or(&self.config).clone();
        let factors = bets::mismatch_factors(differs.is_some(), &config.allowance())?;
        if !self.judges(pair.epoch, now) {
            return None;
        }
        let state = self.route(pair.route);
        if !state.is_on() || pair.epoch.route != state.epoch() {
            return None;
        }
        state.differing_mut().record(differs, pair.request, now.wall);
        state.multiply(&factors);
        self.overall.multiply(&factors);
        if self.follows {
            return None;
        }
        self.act(pair.route, &config, now)
    }

    /// Stops everything, or a route, if the evidence says so.
    fn act(&mut self, route: &str, config: &Config, now: Moment) -> Option<Transition> {
        let whole = self.overall.trips(self.config.consecutive);
        if !whole && !self.route(route).trips(config.consecutive) {
            return None;
        }
        let evidence =
            if whole { Evidence::of(&self.overall) } else { self.route(route).evidence() };
        let rule = Rule::Evidence { evidence, whole };
        let trip = self.explain(rule, route, String::new(), config, now);
        Some(if whole { self.trip(trip, now) } else { self.trip_route(trip, config, now) })
    }

    fn explain(
        &mut self,
        rule: Rule,
        route: &str,
        reason: String,
        config: &Config,
        now: Moment,
    ) -> Trip {
        let whole = rule.whole();
        let ramp = self.config.ramp.is_some();
        let cooldown = if whole {
            let base = self.config.cooldown;
            self.cooldown.after_trip(base, ramp, self.probation.is_some(), now.at)
        } else {
            self.route(route).cooldown_after_trip(config.cooldown, ramp, now.at)
        };
        let differing = self.route(route).differing().clone();
        let ledger = self.route(route).ledger();
        let examples = ledger.examples();
        let (route, numbers) = (route.to_owned(), ledger.numbers());
        let (at, resumes) = (now.wall, now.wall + cooldown);
        let mut trip = Trip {
            rule,
            route,
            reason,
            numbers,
            examples,
            differing,
            at,
            resumes,
            cooldown,
            probation: ramp,
        };
        if trip.reason.is_empty() {
            trip.reason = trip.evidence_text();
        }
        trip
    }

    /// A trip that is only told of: what led to it is forgotten, so that the next one has grounds of
    /// its own, and for as long as mirroring would be off nothing is told.
    fn would_trip(&mut self, trip: Trip, now: Moment) -> Transition {
        self.quiet_until = Some(now.at + trip.cooldown);
        self.forget();
        self.last_trip = Some(trip.clone());
        Transition::WouldTrip { trip: Box::new(trip) }
    }

    fn trip_route(&mut self, trip: Trip, config: &Config, now: Moment) -> Transition {
        if self.config.observe_only {
            return self.would_trip(trip, now);
        }
        self.route(&trip.route).stop(config, now);
        // What the rest has to say must not be coloured by what this route said.
        self.overall.reset();
        self.run.reset();
        self.last_trip = Some(trip.clone());
        Transition::RouteTripped { trip: Box::new(trip) }
    }

    fn trip(&mut self, trip: Trip, now: Moment) -> Transition {
        if self.config.observe_only {
            return self.would_trip(trip, now);
        }
        let until = now.at + trip.cooldown;
        self.cooldown.tripped(self.config.cooldown, trip.cooldown);
        self.probation = None;
        self.state = State::Tripped { until };
        self.gate.set(Reading::Tripped { until });
        self.last_abort = Some((now.wall, trip.reason.clone()));
        self.last_trip = Some(trip.clone());
        Transition::Tripped { reason: trip.reason.clone(), at: now.wall, trip: Box::new(trip) }
    }

    /// Raises the share on probation when it is time.
    fn ramp_up(&mut self, route: &str, now: Moment) -> Option<Transition> {
        let ramp = self.config.ramp?;
        if let Some(transition) = self.route(route).ramp_up(route, ramp, now) {
            return Some(transition);
        }
        let probation = self.probation.as_mut()?;
        if !probation.pair(ramp, now.at) {
            return None;
        }
        let epoch = self.epoch;
        if let Some(share) = probation.share() {
            self.gate.set(Reading::Probation { epoch, share });
            return None;
        }
        self.probation = None;
        self.cooldown.passed(now.at);
        self.state = State::Enabled;
        self.gate.set(Reading::Open { epoch });
        Some(Transition::Passed { route: None })
    }

    /// Ends a trip whose cooldown is over. Called for each new request that finds the gate shut.
    pub fn resume_if_due(&mut self, now: Moment) -> Option<Transition> {
        match self.state {
            State::Tripped { until } if now.at >= until && !self.follows => {
                self.open(self.config.ramp.map(|_| Probation::new(now.at)));
                Some(match self.config.ramp {
                    Some(_) => Transition::Probation { route: None },
                    None => Transition::Resumed,
                })
            }
            _ => None,
        }
    }

    /// The same for a route that was stopped alone.
    pub fn resume_route_if_due(&mut self, route: &str, now: Moment) -> Option<Transition> {
        if self.follows {
            return None;
        }
        let probation = self.config.ramp.map(|_| Probation::new(now.at));
        self.route(route).resume_if_due(probation, now.at).then(|| match probation {
            Some(_) => Transition::Probation { route: Some(route.to_owned()) },
            None => Transition::RouteResumed { route: route.to_owned() },
        })
    }

    fn open(&mut self, probation: Option<Probation>) {
        self.epoch += 1;
        self.warm_up();
        self.forget();
        self.probation = probation;
        let epoch = self.epoch;
        if let Some(share) = probation.and_then(|probation| probation.share()) {
            self.state = State::Probation;
            self.gate.set(Reading::Probation { epoch, share });
        } else {
            self.state = State::Enabled;
            self.gate.set(Reading::Open { epoch });
        }
    }

    /// Forgets what speaks against the candidate, on all routes; what is off stays so.
    pub fn forget(&mut self) {
        self.run.reset();
        self.overall.reset();
        self.routes.values_mut().for_each(RouteState::forget);
    }

    /// By hand: mirroring on, on all routes and with the full share; streaks and evidence to 0.
    pub fn enable(&mut self) -> Option<Transition> {
        let routes_were_on = self.routes.values().all(RouteState::is_enabled);
        self.routes.values_mut().for_each(RouteState::enable);
        self.cooldown = Cooldown::default();
        if self.state == State::Enabled {
            self.forget();
            return (!routes_were_on).then_some(Transition::Enabled);
        }
        self.open(None);
        Some(Transition::Enabled)
    }

    /// By hand: mirroring off until it is enabled by hand. After a trip it was off already, so
    /// that time and reason stay those of the trip.
    pub fn disable(&mut self, now: Moment) -> Option<Transition> {
        if self.state == State::Held {
            return None;
        }
        let counted = self.state.is_on();
        if counted {
            self.last_abort = Some((now.wall, "disabled by hand".to_owned()));
        }
        self.probation = None;
        self.state = State::Held;
        self.gate.set(Reading::Held);
        Some(Transition::Held { counted })
    }

    /// By hand: a route off until it is enabled by hand, alone or with all.
    pub fn disable_route(&mut self, route: &str) -> Option<Transition> {
        self.route(route).hold().then(|| Transition::RouteHeld { route: route.to_owned() })
    }

    /// The routes that are off by hand.
    pub fn held_routes(&self) -> impl Iterator<Item = &str> {
        self.routes.iter().filter(|(_, state)| state.is_held()).map(|(route, _)| route.as_str())
    }

    /// Whether something is kept for a route.
    pub fn knows(&self, route: &str) -> bool {
        self.routes.contains_key(route)
    }

    /// For how many something is kept.
    pub fn known_routes(&self) -> usize {
        self.routes.len()
    }

    /// Whether mirroring is on.
    pub fn is_on(&self) -> bool {
        self.state.is_on()
    }

    /// Whether a route is on, as far as mirroring is on at all.
    pub fn is_route_on(&self, route: &str) -> bool {
        self.routes.get(route).is_none_or(RouteState::is_on)
    }

    /// What the gate of a route says; `None` where nothing is kept for it, and nothing keeps it back.
    pub fn route_reading(&self, route: &str) -> Option<Reading> {
        self.routes.get(route).map(|route| route.gate().read())
    }

    /// By hand: a route on with the full share, as far as mirroring is on at all.
    pub fn enable_route(&mut self, route: &str) -> Option<Transition> {
        let state = self.route(route);
        let was_on = state.is_enabled();
        state.forget();
        state.enable();
        (!was_on).then(|| Transition::RouteEnabled { route: route.to_owned() })
    }

    /// Other thresholds from now on. What was gathered is forgotten where it was held against others; what
    /// is off stays off, until the time that was set.
    pub fn configure(&mut self, config: Config) {
        if config.judges() != self.config.judges() {
            let allowed = config.allowance();
            self.run.reset();
            self.overall = Weighing::new(&allowed);
            self.routes.values_mut().for_each(|route| route.weigh_anew(&allowed));
        }
        if config.ramp.is_none() {
            self.end_probations();
        }
        self.config = config;
    }

    /// Without a ramp no pair would ever raise the share.
    fn end_probations(&mut self) {
        self.routes.values_mut().for_each(RouteState::end_probation);
        if self.probation.take().is_some() {
            self.state = State::Enabled;
            self.gate.set(Reading::Open { epoch: self.epoch });
        }
    }

    /// Forgets what speaks against the candidate on a route: it is judged by something else now.
    pub fn forget_route(&mut self, route: &str) {
        if let Some(state) = self.routes.get_mut(route) {
            state.forget();
        }
    }

    /// The thresholds.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What the status shows.
    pub fn snapshot(&self) -> Snapshot {
        let longest_on_a_route =
            self.routes.values().map(|route| route.run().breaches()).max().unwrap_or(0);
        let mut routes: Vec<_> =
            self.routes.iter().map(|(route, state)| state.snapshot(route)).collect();
        routes.sort_by(|a, b| a.route.cmp(&b.route));
        Snapshot {
            state: self.state,
            last_abort: self.last_abort.clone(),
            last_trip: self.last_trip.clone(),
            first_pair: self.first_pair,
            breach_streak: self.run.breaches().max(longest_on_a_route),
            config: self.config.clone(),
            evidence: Evidence::of(&self.overall),
            routes,
        }
    }
}

#[cfg(test)]
mod tests;
