//! What replicas share of a guardrail: what is on and what is off, since when, and with which share. Whoever decides
//! makes a [`Standing`] of it, and the others take it over; what speaks for or against a candidate is not in it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::probation::{Cooldown, Probation};
use super::{Guardrail, Reading, State, Trip};

/// What is on and what is off. Times are of the clock that the replicas share, since its origin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Of all routes.
    pub whole: Stand,
    /// Of routes that are off, on probation, or were, by label.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub routes: BTreeMap<String, Stand>,
}

/// Of all routes, or of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stand {
    /// Grows when copies that are under way say nothing any more.
    pub epoch: u64,
    /// On or off.
    pub is: Is,
    /// How long the next cooldown is.
    #[serde(default)]
    pub cooldown: Cooldown,
}

/// On or off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Is {
    /// On with the full share.
    #[default]
    Enabled,
    /// On with a growing share.
    Probation(Probation),
    /// Off until then, at the earliest.
    Tripped {
        /// The end of the cooldown.
        until: Duration,
    },
    /// Off by hand.
    Held,
}

/// Times of one clock as those of another: what both show now.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// Of the one that times are of.
    pub from: Duration,
    /// Of the one that they are wanted of.
    pub to: Duration,
}

impl Clocks {
    /// The other way.
    #[must_use]
    pub fn back(self) -> Self {
        Self { from: self.to, to: self.from }
    }

    fn time(self, at: Duration) -> Duration {
        match at.checked_sub(self.from) {
            Some(later) => self.to.saturating_add(later),
            None => self.to.saturating_sub(self.from.saturating_sub(at)),
        }
    }
}

impl Standing {
    /// The same by another clock.
    #[must_use]
    pub fn by(&self, clocks: Clocks) -> Self {
        let routes = self.routes.iter().map(|(label, stand)| (label.clone(), stand.by(clocks)));
        Self { whole: self.whole.by(clocks), routes: routes.collect() }
    }

    /// What of it another one says otherwise: `None` stands for all routes.
    pub fn differing<'s>(&'s self, other: &'s Self) -> Vec<Option<&'s str>> {
        let whole = (self.whole.is.name() != other.whole.is.name()).then_some(None);
        let labels: std::collections::BTreeSet<_> =
            self.routes.keys().chain(other.routes.keys()).collect();
        let name =
            |of: &Self, label: &str| of.routes.get(label).copied().unwrap_or_default().is.name();
        let routes = labels.into_iter().filter(|it| name(self, it) != name(other, it));
        whole.into_iter().chain(routes.map(|it| Some(it.as_str()))).collect()
    }
}

impl Stand {
    fn by(self, clocks: Clocks) -> Self {
        let is = match self.is {
            Is::Tripped { until } => Is::Tripped { until: clocks.time(until) },
            Is::Probation(probation) => Is::Probation(probation.moved(|at| clocks.time(at))),
            is @ (Is::Enabled | Is::Held) => is,
        };
        Self { is, cooldown: self.cooldown.moved(|at| clocks.time(at)), ..self }
    }
}

impl Is {
    /// The word used in the status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enabled => State::Enabled,
            Self::Probation(_) => State::Probation,
            Self::Tripped { until } => State::Tripped { until },
            Self::Held => State::Held,
        }
        .name()
    }
}

impl Guardrail {
    /// Whether others decide. Pairs are taken in as ever, and lead to nothing here; nothing comes back by itself.
    pub fn follow(&mut self, follows: bool) {
        self.follows = follows;
    }

    /// What is on and what is off, by its own clock.
    pub fn standing(&self) -> Standing {
        let is = match (self.state, self.probation) {
            (State::Held, _) => Is::Held,
            (State::Tripped { until }, _) => Is::Tripped { until },
            (_, Some(probation)) => Is::Probation(probation),
            (_, None) => Is::Enabled,
        };
        let whole = Stand { epoch: self.epoch, is, cooldown: self.cooldown };
        let routes = self.routes.iter().map(|(label, route)| (label.clone(), route.stand()));
        let routes = routes.filter(|(_, stand)| *stand != Stand::default()).collect();
        Standing { whole, routes }
    }

    /// Takes over what is on and what is off. What speaks against the candidate is forgotten where a new spell has
    /// begun.
    pub fn adopt(&mut self, standing: &Standing) {
        let Stand { epoch, is, cooldown } = standing.whole;
        if epoch != self.epoch {
            self.epoch = epoch;
            self.warm_up();
            self.forget();
        }
        self.cooldown = cooldown;
        self.probation = match is {
            Is::Probation(probation) => Some(probation),
            _ => None,
        };
        self.state = match is {
            Is::Enabled => State::Enabled,
            Is::Probation(_) => State::Probation,
            Is::Tripped { until } => State::Tripped { until },
            Is::Held => State::Held,
        };
        let share = self.probation.and_then(|probation| probation.share());
        self.gate.set(match (is, share) {
            (Is::Held, _) => Reading::Held,
            (Is::Tripped { until }, _) => Reading::Tripped { until },
            (_, Some(share)) => Reading::Probation { epoch, share },
            (_, None) => Reading::Open { epoch },
        });
        for label in standing.routes.keys() {
            self.route(label);
        }
        let (mut others_said, none) = (false, Stand::default());
        for (label, route) in &mut self.routes {
            others_said |= route.adopt(standing.routes.get(label).unwrap_or(&none));
        }
        if others_said {
            // What the rest has to say must not be coloured by what a stopped route said.
            self.overall.reset();
            self.run.reset();
        }
    }

    /// Says that mirroring was switched off, and why, where others decided it.
    pub fn aborted(&mut self, reason: String, at: SystemTime) {
        self.last_abort = Some((at, reason));
    }

    /// Takes over the explanation of a trip that was found with others.
    pub fn told(&mut self, trip: &Trip) {
        if trip.whole() {
            self.aborted(trip.reason.clone(), trip.at);
        }
        self.last_trip = Some(trip.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::super::gate::{Gate, gate};
    use super::super::{Config, Moment, Transition};
    use super::*;
    use crate::pair::{Call, Pair};

    fn guardrail() -> (Guardrail, Gate) {
        let config = Config {
            latency_ratio: 1.15,
            error_delta: 0.005,
            consecutive: 3,
            latency_floor: Duration::from_secs(3600),
            cooldown: Duration::from_secs(60),
            mismatch_rate: None,
            ramp: Some(Duration::from_secs(40)),
            observe_only: false,
            warmup: Duration::ZERO,
        };
        let (setter, gate) = gate();
        (Guardrail::new(config, setter), gate)
    }

    fn moment(seconds: u64) -> Moment {
        let at = Duration::from_secs(seconds);
        Moment { at, wall: SystemTime::UNIX_EPOCH + at }
    }

    fn fail(guardrail: &mut Guardrail, route: &str, at: u64) -> Option<Transition> {
        let call = |failed| Call { latency: Some(Duration::from_millis(5)), failed };
        let epoch = guardrail.epoch(route);
        let pair = Pair { epoch, ..Pair::new(route, "", call(false), call(true)) };
        guardrail.observe(&pair, Duration::from_millis(5), moment(at))
    }

    fn tripped() -> Guardrail {
        let (mut guardrail, _) = guardrail();
        assert!(
            fail(&mut guardrail, "a", 100).is_none() && fail(&mut guardrail, "b", 100).is_none()
        );
        assert!(matches!(fail(&mut guardrail, "a", 100), Some(Transition::Tripped { .. })));
        guardrail
    }

    #[test]
    fn what_one_decided_holds_for_another_by_its_own_clock() {
        let one = tripped();
        let (mut other, gate) = guardrail();
        let clocks = Clocks { from: Duration::from_secs(100), to: Duration::from_secs(7) };
        let text = serde_json::to_string(&one.standing()).unwrap();
        let told: Standing = serde_json::from_str(&text).unwrap();
        other.adopt(&told.by(clocks));
        assert_eq!(other.standing().by(clocks.back()), one.standing());
        let Reading::Tripped { until } = gate.read() else { panic!("it is off") };
        assert_eq!(until.as_secs(), 67);
        assert_eq!(other.standing().differing(&guardrail().0.standing()), [None]);
        // It comes back as if it had decided that itself.
        assert!(other.resume_if_due(moment(66)).is_none());
        assert!(other.resume_if_due(moment(67)).is_some());
        assert!(matches!(gate.read(), Reading::Probation { epoch: 1, .. }));
        let mut one = one;
        one.adopt(&other.standing().by(clocks.back()));
        assert_eq!(one.standing().whole.epoch, 1);
        assert!(fail(&mut one, "a", 200).is_none(), "what came before the new spell is forgotten");
    }

    #[test]
    fn whoever_follows_decides_nothing_and_knows_all_when_it_no_longer_does() {
        let (mut follower, gate) = guardrail();
        follower.follow(true);
        for _ in 0..5 {
            assert!(fail(&mut follower, "a", 100).is_none());
        }
        assert_eq!(gate.read(), Reading::Open { epoch: 0 });
        follower.follow(false);
        assert!(matches!(fail(&mut follower, "a", 100), Some(Transition::Tripped { .. })));
        follower.follow(true);
        assert!(follower.resume_if_due(moment(1000)).is_none());
        follower.follow(false);
        assert!(follower.resume_if_due(moment(1000)).is_some());
    }

    #[test]
    fn routes_that_are_off_are_told_and_others_need_no_word() {
        let (mut one, _) = guardrail();
        one.route_gate("a");
        one.disable_route("b");
        let standing = one.standing();
        assert_eq!(standing.routes.keys().collect::<Vec<_>>(), ["b"]);
        let (mut other, _) = guardrail();
        other.adopt(&standing);
        assert!(!other.is_route_on("b") && other.is_route_on("a"));
        assert_eq!(other.held_routes().collect::<Vec<_>>(), ["b"]);
        one.enable_route("b");
        other.adopt(&one.standing());
        assert!(other.is_route_on("b"));
    }
}
