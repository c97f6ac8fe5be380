//! What the guardrail keeps for one route: fixed in size.

use std::time::Duration;

use super::bets::Factors;
use super::differing::Differing;
use super::evidence::Weighing;
use super::gate::{self, Gate, Reading, Setter};
use super::ledger::{Example, Ledger};
use super::moments::Span;
use super::probation::{Cooldown, Probation};
use super::run::{Breach, Run};
use super::signals::{Allowance, Measured, Memory, Scores};
use super::standing::{Is, Stand};
use super::{Config, Evidence, Moment, RouteSnapshot, State, Transition};

/// One route.
#[derive(Debug)]
pub(super) struct RouteState {
    setter: Setter,
    gate: Gate,
    epoch: u64,
    /// The end of the cooldown where the route was stopped alone, as [`Moment::at`].
    stopped: Option<Duration>,
    /// Off by hand.
    held: bool,
    run: Run,
    memory: Memory,
    ledger: Ledger,
    differing: Differing,
    weighing: Weighing,
    cooldown: Cooldown,
    probation: Option<Probation>,
}

impl RouteState {
    pub(super) fn new(allowed: &Allowance) -> Self {
        let (setter, gate) = gate::gate();
        Self {
            setter,
            gate,
            epoch: 0,
            stopped: None,
            held: false,
            run: Run::default(),
            memory: Memory::default(),
            ledger: Ledger::default(),
            differing: Differing::default(),
            weighing: Weighing::new(allowed),
            cooldown: Cooldown::default(),
            probation: None,
        }
    }

    pub(super) fn gate(&self) -> Gate {
        self.gate.clone()
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn run(&self) -> &Run {
        &self.run
    }

    pub(super) fn differing(&self) -> &Differing {
        &self.differing
    }

    pub(super) fn differing_mut(&mut self) -> &mut Differing {
        &mut self.differing
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Whether it was not stopped alone, nor by hand.
    pub(super) fn is_on(&self) -> bool {
        self.stopped.is_none() && !self.held
    }

    /// Whether it is off by hand.
    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    /// Whether it is on with the full share.
    pub(super) fn is_enabled(&self) -> bool {
        self.is_on() && self.probation.is_none()
    }

    /// Takes in a pair; its scores.
    pub(super) fn take(
        &mut self,
        pair: &Measured,
        example: Option<Example>,
        breach: Option<&Breach>,
        span: &Span,
        allowed: &Allowance,
    ) -> Scores {
        self.run.record(breach, pair, span, self.weighing.length());
        self.ledger.record(*pair, example);
        let scores = self.memory.score(pair, allowed);
        self.weighing.record(&scores, span, allowed);
        scores
    }

    /// Takes in what is known later of a pair.
    pub(super) fn multiply(&mut self, factors: &Factors) {
        self.weighing.multiply(factors);
    }

    /// Whether the evidence stops this route.
    pub(super) fn trips(&self, least_pairs: u32) -> bool {
        self.weighing.trips(least_pairs)
    }

    pub(super) fn evidence(&self) -> Evidence {
        Evidence::of(&self.weighing)
    }

    pub(super) fn cooldown_after_trip(
        &self,
        base: Duration,
        ramp: bool,
        now: Duration,
    ) -> Duration {
        self.cooldown.after_trip(base, ramp, self.probation.is_some(), now)
    }

    pub(super) fn stop(&mut self, config: &Config, now: Moment) {
        let base = config.cooldown;
        let cooldown = self.cooldown_after_trip(base, config.ramp.is_some(), now.at);
        self.cooldown.tripped(base, cooldown);
        let until = now.at + cooldown;
        self.stopped = Some(until);
        self.probation = None;
        // Copies that are still on their way tell of the candidate as it was.
        self.epoch += 1;
        self.forget();
        self.show();
    }

    /// Whether it has just come back.
    pub(super) fn resume_if_due(&mut self, probation: Option<Probation>, now: Duration) -> bool {
        if self.held || self.stopped.is_none_or(|until| now < until) {
            return false;
        }
        self.open(probation);
        true
    }

    /// Off by hand; whether that is news.
    pub(super) fn hold(&mut self) -> bool {
        let is_news = !self.held;
        if is_news {
            // Copies that are still on their way are not judged any more.
            self.epoch += 1;
            (self.held, self.stopped, self.probation) = (true, None, None);
            self.forget();
            self.show();
        }
        is_news
    }

    /// Weighs by other thresholds, from no evidence on.
    pub(super) fn weigh_anew(&mut self, allowed: &Allowance) {
        self.forget();
        self.weighing = Weighing::new(allowed);
    }

    /// On with the full share.
    pub(super) fn enable(&mut self) {
        self.cooldown = Cooldown::default();
        if !self.is_enabled() {
            self.open(None);
        }
    }

    pub(super) fn end_probation(&mut self) {
        if self.probation.take().is_some() {
            self.show();
        }
    }

    fn open(&mut self, probation: Option<Probation>) {
        (self.stopped, self.held) = (None, false);
        self.probation = probation;
        self.show();
    }

    fn show(&self) {
        if self.held {
            return self.setter.set(Reading::Held);
        }
        if let Some(until) = self.stopped {
            return self.setter.set(Reading::Tripped { until });
        }
        let epoch = self.epoch;
        let share = self.probation.and_then(|probation| probation.share());
        self.setter.set(match share {
            Some(share) => Reading::Probation { epoch, share },
            None => Reading::Open { epoch },
        });
    }

    /// Raises the share on probation when it is time; tells when it is over.
    pub(super) fn ramp_up(
        &mut self,
        route: &str,
        ramp: Duration,
        now: Moment,
    ) -> Option<Transition> {
        let probation = self.probation.as_mut()?;
        if !probation.pair(ramp, now.at) {
            return None;
        }
        let passed = probation.share().is_none();
        if passed {
            self.probation = None;
            self.cooldown.passed(now.at);
        }
        self.show();
        passed.then(|| Transition::Passed { route: Some(route.to_owned()) })
    }

    /// What is shared with other replicas.
    pub(super) fn stand(&self) -> Stand {
        let is = match (self.stopped, self.probation) {
            _ if self.held => Is::Held,
            (Some(until), _) => Is::Tripped { until },
            (None, Some(probation)) => Is::Probation(probation),
            (None, None) => Is::Enabled,
        };
        Stand { epoch: self.epoch, is, cooldown: self.cooldown }
    }

    /// Takes over what others decided; whether copies that are under way say nothing any more.
    pub(super) fn adopt(&mut self, stand: &Stand) -> bool {
        let is_new = self.epoch != stand.epoch;
        if is_new {
            self.epoch = stand.epoch;
            self.forget();
        }
        self.cooldown = stand.cooldown;
        (self.held, self.stopped, self.probation) = match stand.is {
            Is::Enabled => (false, None, None),
            Is::Probation(probation) => (false, None, Some(probation)),
            Is::Tripped { until } => (false, Some(until), None),
            Is::Held => (true, None, None),
        };
        self.show();
        is_new
    }

    /// Forgets what speaks against the candidate; what is known of the baseline stays.
    pub(super) fn forget(&mut self) {
        self.run.reset();
        self.weighing.reset();
        self.ledger.clear();
        self.differing.clear();
    }

    pub(super) fn snapshot(&self, route: &str) -> RouteSnapshot {
        let state = match self.stand().is {
            Is::Enabled => State::Enabled,
            Is::Probation(_) => State::Probation,
            Is::Tripped { until } => State::Tripped { until },
            Is::Held => State::Held,
        };
        RouteSnapshot { route: route.to_owned(), state, evidence: self.evidence() }
    }
}
