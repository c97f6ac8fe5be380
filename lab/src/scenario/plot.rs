//! What each story is made of: its steps, what is done to the services, and what the guardrail is
//! expected to say of it.

use clap::ValueEnum;
use serde_json::{Value, json};

use proxy::config::Config;
use proxy::policy::Candidate;

use crate::status::{CANDIDATES, Status, Trip};

/// The route that alone gets bad in [`Scenario::OneBadRoute`]: half of the traffic, so that its
/// evidence is there soon.
pub const BAD_ROUTE: &str = "GET /api/search";

/// A story that plays and checks itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// The candidate gets slow and faulty, mirroring stops, the candidate is healed, it resumes.
    Regression,
    /// The candidate takes twice as long, the guardrail's evidence stops mirroring, it resumes.
    #[value(name = "slow-2x")]
    Slow2x,
    /// The candidate alone fails one request in twenty, and the evidence of errors stops mirroring.
    #[value(name = "errors-5")]
    Errors5,
    /// One route of the candidate fails, and stops alone; the others go on being mirrored.
    OneBadRoute,
    /// Two candidates, one of which gets slow and faulty: it alone is stopped, the other goes on.
    TwoCandidates,
    /// Both services are the same for --duration (10m), mirroring never stops, and the report never
    /// says fail.
    Twins,
}

/// A step of a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Pairs match.
    Healthy,
    /// The candidate gets bad.
    Regress,
    /// The guardrail stops mirroring.
    Trip,
    /// The guardrail stops the bad route alone.
    RouteTrip,
    /// Meanwhile the other routes are mirrored, and the stopped one is not.
    OtherRoutes,
    /// Meanwhile the other candidate gets its copies, and its pairs match.
    OtherCandidate,
    /// The candidate is well again.
    Heal,
    /// Mirroring resumes, and pairs match.
    Resume,
    /// The route is mirrored again, and its pairs match.
    RouteResume,
    /// For a time nothing stops.
    Calm,
}

impl Step {
    /// What it is about, for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Healthy => "both services are healthy: wait for pairs that match",
            Self::Regress => "the candidate gets worse",
            Self::Trip => "wait for the guardrail to stop mirroring",
            Self::RouteTrip => "wait for the guardrail to stop the bad route alone",
            Self::OtherRoutes => "the other routes are mirrored meanwhile",
            Self::OtherCandidate => "the other candidate goes on meanwhile",
            Self::Heal => "the candidate is healed",
            Self::Resume => "wait for the cooldown's end and for pairs that match again",
            Self::RouteResume => "wait for the route's cooldown and for its pairs to match again",
            Self::Calm => "both services stay the same: nothing may stop",
        }
    }
}

/// What the guardrail must say of a regression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// How the signal's name begins.
    pub signal: &'static str,
    /// The route that stops alone; `None` where everything stops.
    pub route: Option<&'static str>,
    /// Copies from the regression to the trip, at most; several times what simulations needed.
    pub within: f64,
}

impl Scenario {
    /// Settings of the proxy that the story wants, where the environment does not say otherwise.
    pub fn settings(scenario: Option<Self>) -> &'static [(&'static str, &'static str)] {
        match scenario {
            // Five pairs in a row that are twice as slow are soon there. This story is about the
            // evidence, which acts in the same time on less than that.
            Some(Self::Slow2x) => &[("MIRROR_FRACTION", "1"), ("ABORT_CONSECUTIVE", "20")],
            _ => &[("MIRROR_FRACTION", "1")],
        }
    }

    /// These settings, with a second candidate where the story has one.
    #[must_use]
    pub fn with_candidates(self, mut config: Config) -> Config {
        if self == Self::TwoCandidates {
            let target = &config.candidate;
            config.candidates =
                CANDIDATES.map(|name| Candidate::new(name, target.clone())).to_vec();
        }
        config
    }

    /// In order.
    pub fn steps(self) -> &'static [Step] {
        match self {
            Self::Regression | Self::Slow2x | Self::Errors5 => {
                &[Step::Healthy, Step::Regress, Step::Trip, Step::Heal, Step::Resume]
            }
            Self::OneBadRoute => &[
                Step::Healthy,
                Step::Regress,
                Step::RouteTrip,
                Step::OtherRoutes,
                Step::Heal,
                Step::RouteResume,
            ],
            Self::TwoCandidates => &[
                Step::Healthy,
                Step::Regress,
                Step::Trip,
                Step::OtherCandidate,
                Step::Heal,
                Step::Resume,
            ],
            Self::Twins => &[Step::Healthy, Step::Calm],
        }
    }

    /// Chaos of both services while they are well; `None` where it is left alone. Ratios mean
    /// nothing to services that answer within the noise of the machine: they take 20 ms on
    /// average. In `slow-2x` single answers vary as much as they usually do, so that it is not each
    /// pair that shows the candidate to be slow; elsewhere latency is no subject, and varies little.
    pub fn base(self) -> Option<Value> {
        let base = |latency: u64, jitter: u64| json!({"latencyMs": latency, "jitterMs": jitter, "errorRate": 0.0, "mismatchRate": 0.0});
        match self {
            Self::Regression | Self::TwoCandidates => None,
            Self::Slow2x => Some(base(10, 20)),
            Self::Errors5 | Self::OneBadRoute | Self::Twins => Some(base(18, 4)),
        }
    }

    /// What makes the candidate bad, and in words.
    pub fn bad(self) -> Option<(Value, &'static str)> {
        match self {
            Self::Regression | Self::TwoCandidates => Some((
                json!({"latencyMs": 250, "jitterMs": 50, "errorRate": 0.3}),
                "250 to 300 ms are added to each answer, three in ten are errors",
            )),
            Self::Slow2x => Some((
                json!({"latencyMs": 20, "jitterMs": 40}),
                "it takes 20 to 60 ms, 40 on average; the baseline takes 10 to 30, 20 on average",
            )),
            Self::Errors5 => Some((json!({"errorRate": 0.05}), "one answer in twenty is an error")),
            Self::OneBadRoute => Some((
                json!({"route": BAD_ROUTE, "errorRate": 0.1}),
                "one answer in ten on GET /api/search is an error, the other routes stay well",
            )),
            Self::Twins => None,
        }
    }

    /// What takes [`Self::bad`] back.
    pub fn heal(self) -> Value {
        match self {
            Self::OneBadRoute => json!({"route": BAD_ROUTE, "reset": true}),
            other => other.healthy(),
        }
    }

    /// What a candidate says of its chaos that is well.
    pub fn healthy(self) -> Value {
        let none = json!({"latencyMs": 0, "jitterMs": 0, "errorRate": 0.0, "mismatchRate": 0.0});
        self.base().unwrap_or(none)
    }

    /// Whether the candidate's own figures show that it got bad.
    pub fn shows(self, now: &Status) -> bool {
        let slower_than = |limit: f64| now.candidate.p50.is_some_and(|p50| p50 > limit);
        match self {
            Self::Regression | Self::TwoCandidates => slower_than(0.1),
            Self::Slow2x => slower_than(0.03),
            Self::Errors5 | Self::OneBadRoute => now.candidate.errors.is_some_and(|it| it > 0.0),
            Self::Twins => false,
        }
    }

    /// What the guardrail must say; `None` where any trip will do.
    pub fn verdict(self) -> Option<Verdict> {
        match self {
            Self::Regression | Self::TwoCandidates | Self::Twins => None,
            Self::Slow2x => Some(Verdict { signal: "latency", route: None, within: 300.0 }),
            Self::Errors5 => Some(Verdict { signal: "errors", route: None, within: 2500.0 }),
            Self::OneBadRoute => {
                Some(Verdict { signal: "errors", route: Some(BAD_ROUTE), within: 2500.0 })
            }
        }
    }
}

impl Verdict {
    /// Whether it is for this trip: of everything where everything is to stop, of a route where a
    /// route is. In `slow-2x` a route may stop alone just before everything does.
    pub fn is_about(&self, trip: &Trip) -> bool {
        self.route.is_some() || trip.scope == "all"
    }

    /// The trip in words.
    ///
    /// # Errors
    /// What is not as it should be: another rule acted, another signal, elsewhere, or too late.
    pub fn check(&self, trip: &Trip, copies: f64) -> Result<String, String> {
        let signal = trip.signal.as_deref().unwrap_or("none");
        let seen = format!(
            "rule {}, signal {signal}, {copies} copies after the candidate got worse: {}",
            trip.rule, trip.reason
        );
        let scope = if self.route.is_some() { "route" } else { "all" };
        let wrong = if trip.rule != "evidence" {
            "it was not the evidence that acted".to_owned()
        } else if !signal.starts_with(self.signal) {
            format!("the signal is not {}", self.signal)
        } else if trip.scope != scope || self.route.is_some_and(|route| route != trip.route) {
            format!("what stopped is {} ({}), not {}", trip.scope, trip.route, scope)
        } else if copies > self.within {
            format!("it took more than {} copies", self.within)
        } else {
            return Ok(seen);
        };
        Err(format!("{wrong}: {seen}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trip() -> Trip {
        Trip {
            time: "2026-01-01T00:00:00Z".to_owned(),
            scope: "route".to_owned(),
            rule: "evidence".to_owned(),
            route: BAD_ROUTE.to_owned(),
            reason: "evidence 1e6".to_owned(),
            signal: Some("errors".to_owned()),
        }
    }

    #[test]
    fn a_verdict_wants_its_rule_its_signal_its_scope_and_its_bound() {
        let wanted = Scenario::OneBadRoute.verdict().unwrap();
        let seen = wanted.check(&trip(), 400.0).unwrap();
        for part in ["rule evidence", "signal errors", "400 copies", "evidence 1e6"] {
            assert!(seen.contains(part), "{part} not in {seen}");
        }
        let refused = |trip: Trip, copies, why: &str| {
            let error = wanted.check(&trip, copies).unwrap_err();
            assert!(error.starts_with(why), "{error}");
        };
        let run = Trip { rule: "consecutive_breaches".to_owned(), signal: None, ..trip() };
        refused(run, 5.0, "it was not the evidence");
        refused(Trip { signal: Some("latency".to_owned()), ..trip() }, 5.0, "the signal is not");
        refused(Trip { scope: "all".to_owned(), ..trip() }, 5.0, "what stopped is all");
        refused(Trip { route: "GET /other".to_owned(), ..trip() }, 5.0, "what stopped is route");
        refused(trip(), 2501.0, "it took more than 2500 copies");
    }

    #[test]
    fn where_everything_is_to_stop_a_route_that_stops_before_is_passed_over() {
        let all = Trip { scope: "all".to_owned(), ..trip() };
        let about = |scenario: Scenario, trip: &Trip| scenario.verdict().unwrap().is_about(trip);
        assert!(about(Scenario::Slow2x, &all) && !about(Scenario::Slow2x, &trip()));
        assert!(about(Scenario::OneBadRoute, &all) && about(Scenario::OneBadRoute, &trip()));
    }

    #[test]
    fn each_story_that_makes_the_candidate_bad_heals_it() {
        for scenario in Scenario::value_variants() {
            let steps = scenario.steps();
            assert_eq!(steps[0], Step::Healthy);
            assert_eq!(steps.contains(&Step::Regress), scenario.bad().is_some());
            assert_eq!(steps.contains(&Step::Heal), scenario.bad().is_some());
        }
    }
}
