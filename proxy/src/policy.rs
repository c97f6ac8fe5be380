//! What the owner of a service settles for single routes and single candidates, as it was meant: who
//! fits, how large a share, what is allowed. Whatever is not said falls back to the value for all.
//!
//! Pure: dice and time are arguments.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

pub mod hook;
pub mod identity;
pub mod matcher;
pub mod rate;
pub mod record;
pub mod scope;
pub mod share;
pub mod time;
pub mod trace;

use crate::upstream::Target;
use compare::rules::RuleSet;
use judge::{guardrail, report};
use matcher::Matcher;
use rate::Rate;
use share::{SampleBy, Share};

/// The name of the candidate that the environment sets.
pub const CANDIDATE: &str = "candidate";

/// Where in a file something was said: `mirrorlab.toml:12`.
pub type Place = Arc<str>;

/// Thresholds of the guardrail that a candidate or a route sets for itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thresholds {
    /// See [`guardrail::Config::latency_ratio`].
    pub latency_ratio: Option<f64>,
    /// See [`guardrail::Config::error_delta`].
    pub error_delta: Option<f64>,
    /// See [`guardrail::Config::consecutive`].
    pub consecutive: Option<u32>,
    /// See [`guardrail::Config::latency_floor`].
    pub latency_floor: Option<Duration>,
    /// See [`guardrail::Config::cooldown`].
    pub cooldown: Option<Duration>,
    /// See [`guardrail::Config::mismatch_rate`].
    pub mismatch_rate: Option<Option<f64>>,
    /// See [`guardrail::Config::observe_only`]; of a candidate alone.
    pub observe_only: Option<bool>,
}

impl Thresholds {
    /// Those of `base`, with what is set here over them.
    #[must_use]
    pub fn over(&self, base: &guardrail::Config) -> guardrail::Config {
        guardrail::Config {
            latency_ratio: self.latency_ratio.unwrap_or(base.latency_ratio),
            error_delta: self.error_delta.unwrap_or(base.error_delta),
            consecutive: self.consecutive.unwrap_or(base.consecutive),
            latency_floor: self.latency_floor.unwrap_or(base.latency_floor),
            cooldown: self.cooldown.unwrap_or(base.cooldown),
            mismatch_rate: self.mismatch_rate.unwrap_or(base.mismatch_rate),
            observe_only: self.observe_only.unwrap_or(base.observe_only),
            ramp: base.ramp,
            warmup: base.warmup,
        }
    }
}

/// What the report allows, as far as a candidate or a route sets it for itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Allowances {
    /// See [`report::Allowed::mismatch_rate`].
    pub mismatch_rate: Option<f64>,
    /// See [`report::Allowed::status_rate`].
    pub status_rate: Option<f64>,
}

impl Allowances {
    /// Those of `base`, with what is set here over them; where the guardrail's thresholds are the
    /// report's too, they are taken from there.
    #[must_use]
    pub fn over(&self, base: &report::Allowed, thresholds: &Thresholds) -> report::Allowed {
        let mismatch_rate = self.mismatch_rate.or(thresholds.mismatch_rate.flatten());
        report::Allowed {
            mismatch_rate: mismatch_rate.unwrap_or(base.mismatch_rate),
            status_rate: self.status_rate.unwrap_or(base.status_rate),
            error_delta: thresholds.error_delta.unwrap_or(base.error_delta),
            latency_ratio: thresholds.latency_ratio.unwrap_or(base.latency_ratio),
            latency_floor: thresholds.latency_floor.unwrap_or(base.latency_floor),
        }
    }
}

/// A candidate, as a `[[candidate]]` says.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Unique; a metric label.
    pub name: Arc<str>,
    /// Where copies go.
    pub target: Target,
    /// Whether copies are sent to it from the start.
    pub enabled: bool,
    /// Whether its copies are without what is personal or secret.
    pub redacted: bool,
    /// Share of requests, where it differs from that for all.
    pub share: Option<Share>,
    /// Copies a second, besides the limit for all.
    pub rate: Option<Rate>,
    /// One deadline for a copy.
    pub timeout: Option<Duration>,
    /// Copies that may wait.
    pub queue_size: Option<usize>,
    /// Copies in flight at once.
    pub concurrency: Option<usize>,
    /// Of its guardrail.
    pub thresholds: Thresholds,
    /// Of its report.
    pub allowances: Allowances,
}

impl Candidate {
    /// One that has nothing of its own but its target.
    pub fn new(name: &str, target: Target) -> Self {
        Self {
            name: name.into(),
            target,
            enabled: true,
            redacted: true,
            share: None,
            rate: None,
            timeout: None,
            queue_size: None,
            concurrency: None,
            thresholds: Thresholds::default(),
            allowances: Allowances::default(),
        }
    }
}

/// A route, as a `[[route]]` says. Of all that fit a request the first decides.
#[derive(Clone, Debug)]
pub struct RoutePolicy {
    /// Tells it from the others: its name, the label it is for, or its place. Of these the place is nothing
    /// to hold on to, since a line more makes it another's.
    pub id: Arc<str>,
    /// Its metric label, where it is not that of each request.
    pub name: Option<Arc<str>>,
    /// Where it stands.
    pub place: Place,
    /// Which requests it is for.
    pub matcher: Matcher,
    /// Names of the candidates that get copies; all where it does not say.
    pub candidates: Option<Vec<Arc<str>>>,
    /// Share of requests, for each of its candidates.
    pub share: Option<Share>,
    /// What decides in place of dice.
    pub sample_by: Option<SampleBy>,
    /// Whose copies go one after the other; `Some(None)` for nobody's.
    pub order_by: Option<Option<SampleBy>>,
    /// Copies a second, besides the limits of candidates and for all.
    pub rate: Option<Rate>,
    /// Until so many pairs are known its share is 1; a share of 0 stays 0.
    pub min_pairs: u64,
    /// Whether methods that are not safe (RFC 9110, section 9.2.1) are mirrored.
    pub unsafe_methods: Option<bool>,
    /// The header line that marks a copy; `Some(None)` for none.
    pub mark: Option<Option<(HeaderName, HeaderValue)>>,
    /// Largest request body mirrored, in bytes.
    pub max_body_bytes: Option<usize>,
    /// Whether copies carry a body.
    pub body: Option<bool>,
    /// One deadline for a copy.
    pub timeout: Option<Duration>,
    /// Of the guardrail, on this route.
    pub thresholds: Thresholds,
    /// Of the report, on this route.
    pub allowances: Allowances,
    /// Of the comparison, besides those for all.
    pub rules: RuleSet,
    /// Of what is recorded.
    pub record: record::OfRoute,
}

/// The names of header lines that mark copies, on whatever route: each once, since all names of a request are
/// held against them.
pub fn marks(
    of_all: Option<&(HeaderName, HeaderValue)>,
    routes: &[RoutePolicy],
) -> Vec<HeaderName> {
    let own = routes.iter().filter_map(|route| route.mark.as_ref()?.as_ref());
    let marks: HashSet<_> = of_all.into_iter().chain(own).map(|(name, _)| name.clone()).collect();
    marks.into_iter().collect()
}

impl RoutePolicy {
    /// Whether its requests have its id for their label, rather than each its own.
    pub fn is_labelled(&self) -> bool {
        self.name.is_some() || self.matcher.as_label() == Some(&*self.id)
    }

    /// Why nothing can be said of it by hand, where it is not labelled.
    pub fn has_no_name(&self) -> Option<String> {
        let id = &self.id;
        (!self.is_labelled()).then(|| {
            format!(
                "route={id:?}: is a place, which other settings may have tomorrow; allowed is the name \
                 or the label of a route: give this one a name"
            )
        })
    }

    /// One that changes nothing for requests that `matcher` fits.
    pub fn new(id: &str, place: &str, matcher: Matcher) -> Self {
        Self {
            id: id.into(),
            name: None,
            place: place.into(),
            matcher,
            candidates: None,
            share: None,
            sample_by: None,
            order_by: None,
            rate: None,
            min_pairs: 0,
            unsafe_methods: None,
            mark: None,
            max_body_bytes: None,
            body: None,
            timeout: None,
            thresholds: Thresholds::default(),
            allowances: Allowances::default(),
            rules: RuleSet::default(),
            record: record::OfRoute::default(),
        }
    }
}
