//! The series of one candidate.
#![expect(clippy::disallowed_macros, reason = "a part of the one module that spells metric names")]

use std::collections::HashSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError};

use metrics::{Counter, Gauge, counter, gauge};

use super::registry::Registry;
use super::{
    ABORTS, BUFFERED_BYTES, COPIES_IN_FLIGHT, COPIES_LIMIT, CopyGauges, ENABLED, EVIDENCE,
    FIELD_DIFFERENCES, HOOK_LABELS, HOOK_RUNS, IDENTITY_CONTRADICTED, IDENTITY_ENTRIES,
    IDENTITY_EVICTED, IDENTITY_LEARNED, IDENTITY_UNKNOWN, IDENTITY_UNPAIRED, IdentityNumbers,
    Labels, MISMATCHES, Metrics, NOISE_PAIRS, OUTCOMES, OVERALL_EVIDENCE, OVERALL_VERDICT,
    PairMetrics, QUEUE_LENGTH, ROUTE_ABORTS, ROUTE_ENABLED, VERDICT, WOULD_ABORTS, float, target,
    touch,
};
use crate::exchange::{HookResult, NoiseResult, Outcome};
use compare::Kind;
use judge::verdict::Verdict;

/// The series of one candidate. Where there are several, the label `candidate` tells them apart.
#[derive(Clone, Debug)]
pub struct CandidateMetrics {
    pub(super) metrics: Arc<Metrics>,
    pub(super) registry: Arc<Registry>,
    name: Arc<str>,
    told_apart: bool,
    enabled: Gauge,
    aborts: Counter,
    would_aborts: Counter,
}

impl CandidateMetrics {
    /// Registers what is there from the start, each with its value.
    pub fn new(metrics: Arc<Metrics>, name: Arc<str>, told_apart: bool) -> Self {
        let registry = metrics.candidates.of(&name, told_apart);
        let apart = || Labels::default().apart(&name, told_apart).0;
        let (enabled, aborts, would_aborts) = registry.within(|| {
            let aborts = [counter!(ABORTS, apart()), counter!(WOULD_ABORTS, apart())];
            aborts.iter().for_each(touch);
            let [aborts, would_aborts] = aborts;
            (gauge!(ENABLED, apart()), aborts, would_aborts)
        });
        let it = Self { metrics, registry, name, told_apart, enabled, aborts, would_aborts };
        it.set_verdict(None, Verdict::NotEnoughData);
        it.set_evidence(None, 0.0);
        it
    }

    /// Its name, which is the label `target` of calls to it.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether there are several, which the label `candidate` tells apart.
    pub fn told_apart(&self) -> bool {
        self.told_apart
    }

    /// Registers all series of a route, each with its value 0, so that rates see the first event. `enabled`:
    /// whether it is mirrored now; `None` where counters alone are meant, since gauges are retired.
    pub fn route(&self, route: &str, enabled: Option<bool>) -> PairMetrics {
        let of = || self.labels().and("route", route);
        self.registry.within(|| {
            let outcome =
                |outcome: Outcome| counter!(OUTCOMES, of().and("outcome", outcome.name()).0);
            let result =
                |result: NoiseResult| counter!(NOISE_PAIRS, of().and("result", result.name()).0);
            let difference = |kind: Kind| {
                let labels = of().and("kind", kind.name()).and("risk", kind.risk().name());
                counter!(FIELD_DIFFERENCES, labels.0)
            };
            let metrics = PairMetrics {
                target: target(route, &self.name),
                mismatches: counter!(MISMATCHES, of().0),
                differences: Kind::ALL.map(difference),
                outcomes: Outcome::ALL.map(outcome),
                counted: [const { AtomicU64::new(0) }; Outcome::ALL.len()],
                noise: NoiseResult::ALL.map(result),
            };
            let PairMetrics { mismatches, differences, outcomes, noise, .. } = &metrics;
            let counters = differences.iter().chain(outcomes).chain(noise);
            counters.chain([mismatches]).for_each(touch);
            touch(&counter!(ROUTE_ABORTS, of().0));
            if let Some(enabled) = enabled {
                self.set_route_enabled(route, enabled);
                self.set_verdict(Some(route), Verdict::NotEnoughData);
                self.set_evidence(Some(route), 0.0);
            }
            metrics
        })
    }

    /// It is a candidate no more, or has other labels: what its gauges said last holds no more, and
    /// they are not shown until they are set again. Counters stay for a while.
    pub fn retire<'r>(&self, routes: impl Iterator<Item = &'r str>) {
        self.enabled.set(f64::NAN);
        for name in [COPIES_IN_FLIGHT, COPIES_LIMIT, QUEUE_LENGTH, BUFFERED_BYTES, OVERALL_EVIDENCE]
        {
            self.gauge(name, None, f64::NAN);
        }
        self.verdict(None, |_| f64::NAN);
        for route in routes {
            self.gauge(ROUTE_ENABLED, Some(route), f64::NAN);
            self.gauge(EVIDENCE, Some(route), f64::NAN);
            self.verdict(Some(route), |_| f64::NAN);
        }
        self.set_identities(&[]);
        self.metrics.candidates.retire(&self.name, self.told_apart);
    }

    /// Shows whether mirroring is allowed.
    pub fn set_enabled(&self, enabled: bool) {
        self.enabled.set(if enabled { 1.0 } else { 0.0 });
    }

    /// Counts that mirroring was switched off.
    pub fn count_abort(&self) {
        self.aborts.increment(1);
    }

    /// Counts that the guardrail would have switched mirroring off, of all or of a route.
    pub fn count_would_abort(&self) {
        self.would_aborts.increment(1);
    }

    /// Shows whether a route is mirrored as long as mirroring is allowed at all.
    pub fn set_route_enabled(&self, route: &str, enabled: bool) {
        self.gauge(ROUTE_ENABLED, Some(route), if enabled { 1.0 } else { 0.0 });
    }

    /// Counts that a route alone was switched off.
    pub fn count_route_abort(&self, route: &str) {
        let labels = self.labels().and("route", route);
        self.registry.within(|| {
            counter!(ROUTE_ABORTS, labels.0).increment(1);
        });
    }

    /// Shows what the pairs of a route, or of all (`None`), say of the candidate: one series for each
    /// verdict, 1 for the one that holds; a state set, as OpenMetrics has it.
    pub fn set_verdict(&self, route: Option<&str>, verdict: Verdict) {
        self.verdict(route, |each| if each == verdict { 1.0 } else { 0.0 });
    }

    fn verdict(&self, route: Option<&str>, holds: impl Fn(Verdict) -> f64) {
        self.registry.within(|| {
            for each in Verdict::ALL {
                let (name, labels) = match route {
                    Some(route) => (VERDICT, self.labels().and("route", route)),
                    None => (OVERALL_VERDICT, self.labels()),
                };
                gauge!(name, labels.and("verdict", each.name()).0).set(holds(each));
            }
        });
    }

    /// Shows the guardrail's evidence on a route, or over all (`None`), as a share of what trips.
    pub fn set_evidence(&self, route: Option<&str>, share: f64) {
        let name = if route.is_some() { EVIDENCE } else { OVERALL_EVIDENCE };
        self.gauge(name, route, share);
    }

    /// Shows what is under way.
    pub fn set_copies(&self, gauges: CopyGauges) {
        for (name, value) in [
            (COPIES_IN_FLIGHT, gauges.in_flight),
            (COPIES_LIMIT, gauges.limit),
            (QUEUE_LENGTH, gauges.queue_length),
            (BUFFERED_BYTES, gauges.buffered_bytes),
        ] {
            self.gauge(name, None, float(value));
        }
    }

    /// Shows what is known of identities, and counts what was not counted before; of those that are not named
    /// any more nothing is known.
    pub fn set_identities(&self, all: &[(Arc<str>, IdentityNumbers)]) {
        let of = |name: &Arc<str>| self.labels().and("identity", name).0;
        let named: HashSet<_> = all.iter().map(|(name, _)| Arc::clone(name)).collect();
        let mut shown = self.registry.identities.lock().unwrap_or_else(PoisonError::into_inner);
        self.registry.within(|| {
            for gone in shown.difference(&named) {
                gauge!(IDENTITY_ENTRIES, of(gone)).set(f64::NAN);
            }
            for (name, numbers) in all {
                gauge!(IDENTITY_ENTRIES, of(name)).set(float(numbers.entries));
                for (counter, count) in [
                    (IDENTITY_LEARNED, numbers.learned),
                    (IDENTITY_UNKNOWN, numbers.unknown),
                    (IDENTITY_UNPAIRED, numbers.unpaired),
                    (IDENTITY_CONTRADICTED, numbers.contradicted),
                    (IDENTITY_EVICTED, numbers.evicted),
                ] {
                    counter!(counter, of(name)).increment(count);
                }
            }
        });
        *shown = named;
    }

    /// Counts what came of a run of a hook.
    pub fn count_hook(&self, hook: &str, result: HookResult) {
        let labels = self.labels().and("hook", hook).and("result", result.name()).0;
        self.registry.within(|| counter!(HOOK_RUNS, labels).increment(1));
    }

    /// Counts a label that a hook gave.
    pub fn count_hook_label(&self, hook: &str, label: &str) {
        let labels = self.labels().and("hook", hook).and("label", label).0;
        self.registry.within(|| counter!(HOOK_LABELS, labels).increment(1));
    }

    fn gauge(&self, name: &'static str, route: Option<&str>, value: f64) {
        let labels = match route {
            Some(route) => self.labels().and("route", route),
            None => self.labels(),
        };
        self.registry.within(|| gauge!(name, labels.0).set(value));
    }

    pub(super) fn labels(&self) -> Labels {
        Labels::default().apart(&self.name, self.told_apart)
    }
}
