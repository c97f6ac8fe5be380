//! Every metric name, label and help text, and nothing else that spells one.
//!
//! Each `Metrics` has a recorder of its own, so that several proxies can run in one process. The
//! handles of a route are looked up once, when the route is first seen, not at each request.
#![expect(clippy::disallowed_macros, reason = "the one module that spells metric names")]

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

mod audit;
mod between;
mod candidate;
mod cluster;
mod record;
mod redacted;
mod registry;
mod spans;

pub use self::cluster::ClusterMetrics;
pub use audit::{AuditMetrics, Lost};
pub use between::BetweenMetrics;
pub use candidate::CandidateMetrics;
pub use record::RecordMetrics;
pub use spans::SpanMetrics;

use metrics::{
    Counter, Histogram, Label, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use metrics_exporter_prometheus::BuildError;
use metrics_process::Collector;
use registry::{Candidates, Registry, merged};

use crate::exchange::{NoiseResult, Outcome, Refusal, Relayed, Role};
use compare::{Differences, Kind};

const REQUESTS: &str = "mirror_requests_total";
const LATENCY: &str = "mirror_latency_seconds";
const MISMATCHES: &str = "mirror_diff_mismatches_total";
const FIELD_DIFFERENCES: &str = "mirror_field_differences_total";
const ENABLED: &str = "mirror_enabled";
const ABORTS: &str = "mirror_aborts_total";
const WOULD_ABORTS: &str = "mirror_would_abort_total";
const ROUTE_ENABLED: &str = "mirror_route_enabled";
const ROUTE_ABORTS: &str = "mirror_route_aborts_total";
const OUTCOMES: &str = "mirror_outcomes_total";
const NOISE_PAIRS: &str = "mirror_noise_pairs_total";
const REFUSED: &str = "mirror_refused_total";
const RELAYED: &str = "mirror_relayed_total";
const RELAY_QUEUE_LENGTH: &str = "mirror_relay_queue_length";
const RELAY_SPOOL_REQUESTS: &str = "mirror_relay_spool_requests";
const RELAY_SPOOL_BYTES: &str = "mirror_relay_spool_bytes";
const RELAYS_IN_FLIGHT: &str = "mirror_relays_in_flight";
const RELAY_BUFFERED_BYTES: &str = "mirror_relay_buffered_bytes";
const REQUESTS_IN_FLIGHT: &str = "mirror_requests_in_flight";
const COPIES_IN_FLIGHT: &str = "mirror_copies_in_flight";
const COPIES_LIMIT: &str = "mirror_copies_limit";
const QUEUE_LENGTH: &str = "mirror_queue_length";
const BUFFERED_BYTES: &str = "mirror_buffered_bytes";
const VERDICT: &str = "mirror_verdict";
const OVERALL_VERDICT: &str = "mirror_overall_verdict";
const EVIDENCE: &str = "mirror_evidence";
const OVERALL_EVIDENCE: &str = "mirror_overall_evidence";
const RELOADS: &str = "mirror_config_reloads_total";
const LAST_RELOAD: &str = "mirror_config_last_reload_success_timestamp_seconds";
/// Written by hand, since an exporter's series stay for ever and there would be one for each revision.
const CONFIG_INFO: &str = "mirror_config_info";
const ABOUT_CONFIG: &str = "The settings that hold, by a hash of what they say.";
const REDACTED: &str = "mirror_redacted_total";
const CANDIDATE_PAIRS: &str = "mirror_candidate_pairs_total";
const SAMPLED_WITHOUT_KEY: &str = "mirror_sampled_without_key_total";
const IDENTITY_ENTRIES: &str = "mirror_identity_entries";
const IDENTITY_LEARNED: &str = "mirror_identity_learned_total";
const IDENTITY_UNKNOWN: &str = "mirror_identity_unknown_total";
const IDENTITY_UNPAIRED: &str = "mirror_identity_unpaired_total";
const IDENTITY_CONTRADICTED: &str = "mirror_identity_contradicted_total";
const IDENTITY_EVICTED: &str = "mirror_identity_evicted_total";
const RESPONSE_LINES_DROPPED: &str = "mirror_response_lines_dropped_total";
const HOOK_RUNS: &str = "mirror_hook_runs_total";
const HOOK_LABELS: &str = "mirror_hook_labels_total";
const LOG_LINES_DROPPED: &str = "mirror_log_lines_dropped_total";
const AUDIT_ENTRIES: &str = "mirror_audit_entries_total";
const AUDIT_ENTRIES_LOST: &str = "mirror_audit_entries_lost_total";
const CLUSTER_CONNECTED: &str = "mirror_cluster_connected";
const CLUSTER_REPLICAS: &str = "mirror_cluster_replicas";
const CLUSTER_REVISIONS: &str = "mirror_cluster_revisions";
const CLUSTER_ASIDE: &str = "mirror_cluster_aside";
const CLUSTER_LEFT_OUT: &str = "mirror_cluster_pairs_left_out_total";
const RECORDED: &str = "mirror_recorded_total";
const STORED: &str = "mirror_recorded_files_stored_total";
const RECORDED_BYTES: &str = "mirror_recorded_bytes";
const SPANS: &str = "mirror_spans_total";

/// What is counted of an identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdentityNumbers {
    /// Entries now.
    pub entries: usize,
    /// Pairs of values that were learned.
    pub learned: u64,
    /// Values that had no counterpart where one should have been.
    pub unpaired: u64,
    /// Pairs of values that were not what is known.
    pub contradicted: u64,
    /// Copies that went out with a value of which it was not known what the candidate has in its place.
    pub unknown: u64,
    /// Entries that were forgotten for want of room or by age.
    pub evicted: u64,
}

/// Upper bounds in seconds: fine where services answer, up to the default deadline of a copy.
const LATENCY_BUCKETS: [f64; 18] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0,
    2.5, 5.0, 10.0,
];

/// The metrics of one upstream on one route.
#[derive(Debug)]
pub struct TargetMetrics {
    /// Requests sent.
    pub requests: Counter,
    /// Seconds from the request sent whole to the last byte of the response head.
    pub latency: Histogram,
}

/// The metrics of one route that are not a candidate's.
#[derive(Debug)]
pub struct RouteMetrics {
    /// Of the calls to the baseline.
    pub baseline: TargetMetrics,
    /// Requests without the key that should decide whether they are mirrored.
    pub without_key: Counter,
}

/// The metrics of one candidate on one route.
#[derive(Debug)]
pub struct PairMetrics {
    /// Of the calls to it.
    pub target: TargetMetrics,
    mismatches: Counter,
    differences: [Counter; Kind::ALL.len()],
    outcomes: [Counter; Outcome::ALL.len()],
    /// The same, since a counter of the exporter cannot be read.
    counted: [AtomicU64; Outcome::ALL.len()],
    noise: [Counter; NoiseResult::ALL.len()],
}

impl PairMetrics {
    /// Counts the one outcome of a request.
    pub fn count(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].increment(1);
        self.counted[outcome as usize].fetch_add(1, Ordering::Relaxed);
        if outcome == Outcome::Mismatched {
            self.mismatches.increment(1);
        }
    }

    /// How often each outcome was counted, in the order of [`Outcome::ALL`].
    pub fn outcomes(&self) -> [u64; Outcome::ALL.len()] {
        self.counted.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// Counts what came of asking the secondary.
    pub fn count_noise(&self, result: NoiseResult) {
        self.noise[result as usize].increment(1);
    }

    /// Counts each difference that was listed of a pair.
    pub fn count_differences(&self, differences: &Differences) {
        for difference in &differences.found {
            self.differences[difference.kind as usize].increment(1);
        }
    }
}

/// Values that are read when somebody looks, not kept up to date in between.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// Client requests whose response is not whole yet.
    pub requests_in_flight: usize,
    /// Log lines that nobody took, since the start.
    pub log_lines_dropped: u64,
    /// Lines of each target's answers that are no headers, since the start.
    pub response_lines_dropped: Vec<(Arc<str>, u64)>,
    /// Of the relay listeners.
    pub relays: RelayGauges,
}

/// The same, of relay listeners.
#[derive(Clone, Copy, Debug, Default)]
pub struct RelayGauges {
    /// Requests that wait to be asked.
    pub queue_length: usize,
    /// Requests that the baseline is asked and has not answered.
    pub in_flight: usize,
    /// Bytes held by both, and by requests that are on their way to be whole.
    pub buffered_bytes: usize,
    /// Requests on disk.
    pub spooled: u64,
    /// Bytes in use for them.
    pub spool_bytes: u64,
}

/// The same, of one candidate.
#[derive(Clone, Copy, Debug, Default)]
pub struct CopyGauges {
    /// Copies sent and not yet answered.
    pub in_flight: usize,
    /// Copies that may be in flight now.
    pub limit: usize,
    /// Copies waiting to be sent.
    pub queue_length: usize,
    /// Bytes held by the mirror side, of its part of `MIRROR_BUFFER_BYTES`.
    pub buffered_bytes: usize,
}

/// The series of one proxy.
pub struct Metrics {
    /// Of those that are no candidate's.
    registry: Registry,
    candidates: Candidates,
    /// CPU time, memory, descriptors and threads, under the names that all exporters use.
    process: Collector,
    refused: [Counter; Refusal::ALL.len()],
    relayed: [Counter; Relayed::ALL.len()],
    /// Failed, and done.
    reloads: [Counter; 2],
    audit: AuditMetrics,
    record: RecordMetrics,
    spans: SpanMetrics,
    revision: Mutex<String>,
    redacted: redacted::Redacted,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// A fresh registry with all names described.
    ///
    /// # Errors
    /// When the exporter refuses the bucket bounds.
    pub fn new() -> Result<Self, BuildError> {
        let registry = Registry::new()?;
        let process = Collector::default();
        let (refused, relayed, reloads, (audit, record, spans)) = registry.within(|| {
            process.describe();
            let refused = Refusal::ALL.map(|reason| counter!(REFUSED, "reason" => reason.name()));
            let relayed = Relayed::ALL.map(|result| counter!(RELAYED, "result" => result.name()));
            let reloads =
                ["failure", "success"].map(|result| counter!(RELOADS, "result" => result));
            refused.iter().chain(&relayed).chain(&reloads).for_each(touch);
            let parts = (AuditMetrics::new(), RecordMetrics::new(), SpanMetrics::new());
            (refused, relayed, reloads, parts)
        });
        let (candidates, revision, redacted) = Default::default();
        Ok(Self {
            registry,
            candidates,
            process,
            refused,
            relayed,
            reloads,
            audit,
            record,
            spans,
            revision,
            redacted,
        })
    }

    /// Registers the series of a route that are not a candidate's.
    pub fn route(&self, route: &str) -> RouteMetrics {
        self.registry.within(|| {
            let labels = Labels::default().and("route", route).0;
            let without_key = counter!(SAMPLED_WITHOUT_KEY, labels);
            touch(&without_key);
            RouteMetrics { baseline: target(route, Role::Baseline.name()), without_key }
        })
    }

    /// Counts a request that the proxy refused itself.
    pub fn count_refused(&self, reason: Refusal) {
        self.refused[reason as usize].increment(1);
    }

    /// Counts a request to a relay listener.
    pub fn count_relayed(&self, result: Relayed) {
        self.relayed[result as usize].increment(1);
    }

    /// Counts that the settings were read anew, or refused, which leaves what there is.
    pub fn count_reload(&self, taken: bool) {
        self.reloads[usize::from(taken)].increment(1);
    }

    /// Those of what is recorded.
    pub fn record(&self) -> &RecordMetrics {
        &self.record
    }

    /// Those of what replicas share.
    pub fn cluster(&self) -> ClusterMetrics {
        self.registry.within(ClusterMetrics::new)
    }

    /// Those of spans.
    pub fn spans(&self) -> &SpanMetrics {
        &self.spans
    }

    /// Those of the audit log.
    pub fn audit(&self) -> &AuditMetrics {
        &self.audit
    }

    /// Shows which settings hold since when.
    pub fn show_revision(&self, revision: &str, since: SystemTime) {
        let since = since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.registry.within(|| gauge!(LAST_RELOAD).set(since.as_secs_f64()));
        *self.revision.lock().unwrap_or_else(PoisonError::into_inner) = revision.to_owned();
    }

    /// Moves histogram samples out of their buffers, which would grow without a scrape.
    pub fn run_upkeep(&self) {
        self.registry.run_upkeep();
        self.candidates.all().iter().for_each(|registry| registry.run_upkeep());
    }

    /// The Prometheus text format.
    pub fn render(&self, gauges: Gauges) -> String {
        self.registry.within(|| {
            self.process.collect();
            gauge!(REQUESTS_IN_FLIGHT).set(float(gauges.requests_in_flight));
            counter!(LOG_LINES_DROPPED).absolute(gauges.log_lines_dropped);
            let relays = gauges.relays;
            gauge!(RELAY_QUEUE_LENGTH).set(float(relays.queue_length));
            gauge!(RELAY_SPOOL_REQUESTS).set(relays.spooled as f64);
            gauge!(RELAY_SPOOL_BYTES).set(relays.spool_bytes as f64);
            gauge!(RELAYS_IN_FLIGHT).set(float(relays.in_flight));
            gauge!(RELAY_BUFFERED_BYTES).set(float(relays.buffered_bytes));
        });
        for (target, lines) in gauges.response_lines_dropped {
            let show = || {
                counter!(RESPONSE_LINES_DROPPED, "target" => target.to_string()).absolute(lines);
            };
            match self.candidates.named(&target) {
                Some(registry) => registry.within(show),
                None => self.registry.within(show),
            }
        }
        let candidates = self.candidates.all();
        let mut texts = vec![self.registry.render()];
        texts.extend(candidates.iter().map(|registry| registry.render()));
        let mut text = without_retired(&merged(&texts));
        let revision = self.revision.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, about, revision) = (CONFIG_INFO, ABOUT_CONFIG, &*revision);
        write!(
            text,
            "# HELP {name} {about}\n# TYPE {name} gauge\n{name}{{revision=\"{revision}\"}} 1\n"
        )
        .expect("a string takes all");
        text
    }
}

/// Labels of one series.
#[derive(Default)]
struct Labels(Vec<Label>);

impl Labels {
    fn and(mut self, key: &'static str, value: &str) -> Self {
        self.0.push(Label::new(key, value.to_owned()));
        self
    }

    fn apart(self, name: &str, told_apart: bool) -> Self {
        if told_apart { self.and("candidate", name) } else { self }
    }
}

/// Leaves out gauges that are not a number: what they were about is no more.
fn without_retired(text: &str) -> String {
    text.split_inclusive('\n').filter(|line| !line.trim_end().ends_with(" NaN")).collect()
}

fn target(route: &str, name: &str) -> TargetMetrics {
    let labels = || Labels::default().and("route", route).and("target", name).0;
    let requests = counter!(REQUESTS, labels());
    touch(&requests);
    TargetMetrics { requests, latency: histogram!(LATENCY, labels()) }
}

#[expect(clippy::cast_precision_loss, reason = "counts and bytes in use stay below 2^53")]
fn float(value: usize) -> f64 {
    value as f64
}

// A counter is rendered from its first increment on, be it by 0.
fn touch(counter: &Counter) {
    counter.increment(0);
}

fn describe() {
    describe_counter!(REQUESTS, "Requests sent to each target.");
    describe_histogram!(
        LATENCY,
        Unit::Seconds,
        "Time of the upstream call, from the request sent whole to the last byte of the response head."
    );
    describe_counter!(MISMATCHES, "Pairs whose responses differ after normalisation.");
    describe_counter!(
        FIELD_DIFFERENCES,
        "Differences between the answers of a pair, as far as they were listed, by kind and risk."
    );
    describe_gauge!(ENABLED, "1 while mirroring is allowed, else 0.");
    describe_counter!(ABORTS, "Times mirroring was switched off, by the guardrail or by hand.");
    describe_counter!(
        WOULD_ABORTS,
        "Times the guardrail would have switched off mirroring, of all or of a route, and only observes."
    );
    describe_gauge!(
        ROUTE_ENABLED,
        "1 while the route is mirrored as far as mirroring is allowed at all, else 0."
    );
    describe_counter!(ROUTE_ABORTS, "Times the guardrail switched off this route alone.");
    describe_gauge!(VERDICT, "1 for what the pairs of the route say of the candidate, else 0.");
    describe_gauge!(OVERALL_VERDICT, "1 for what all pairs say of the candidate, else 0.");
    describe_gauge!(EVIDENCE, "The guardrail's evidence on the route; 1 trips.");
    describe_gauge!(OVERALL_EVIDENCE, "The guardrail's evidence over all routes; 1 trips.");
    describe_counter!(OUTCOMES, "Requests by what became of their copy; one for every request.");
    describe_counter!(
        NOISE_PAIRS,
        "Mirrored requests that were to go to the secondary, by result."
    );
    describe_counter!(REFUSED, "Requests and connections that the proxy refused itself.");
    describe_counter!(RELOADS, "Times the settings were read anew, by result.");
    describe_gauge!(
        LAST_RELOAD,
        Unit::Seconds,
        "When the settings that hold were taken over, since the epoch."
    );
    describe_gauge!(CONFIG_INFO, ABOUT_CONFIG);
    describe_counter!(REDACTED, "Values that were hidden in copies, by rule and by way.");
    describe_counter!(
        CANDIDATE_PAIRS,
        "Requests that two candidates answered, by whether their answers are equal."
    );
    describe_counter!(
        SAMPLED_WITHOUT_KEY,
        "Requests without the key of sample_by, decided by dice."
    );
    describe_identities();
    describe_lines();
    describe_what_is_under_way();
}

fn describe_lines() {
    describe_counter!(HOOK_RUNS, "Runs of hooks, by what came of them.");
    describe_counter!(HOOK_LABELS, "Copies that a hook gave a label.");
    describe_counter!(
        LOG_LINES_DROPPED,
        "Log lines that were dropped because nobody took them from standard error."
    );
    describe_counter!(
        RESPONSE_LINES_DROPPED,
        "Lines in heads of answers that are no headers and were left out, by target."
    );
    describe_counter!(AUDIT_ENTRIES, "Entries that were written to the audit log.");
    describe_gauge!(
        CLUSTER_CONNECTED,
        "Whether the engine answers over which replicas judge together."
    );
    describe_gauge!(CLUSTER_REPLICAS, "Replicas that were heard within five seconds.");
    describe_gauge!(CLUSTER_REVISIONS, "Different revisions of settings that they have.");
    describe_gauge!(
        CLUSTER_ASIDE,
        "Replicas whose pairs are left out, since they alone speak against a candidate."
    );
    describe_counter!(CLUSTER_LEFT_OUT, "Pairs that the other replicas were not told.");
    describe_counter!(SPANS, "Spans that were to be exported, by what became of them.");
    describe_counter!(RECORDED, "Exchanges that were to be recorded, by what became of them.");
    describe_counter!(
        STORED,
        "Files of recordings that were carried into the store, or not, by result."
    );
    describe_gauge!(RECORDED_BYTES, "Bytes of all recordings.");
    describe_counter!(AUDIT_ENTRIES_LOST, "Entries that are not in the audit log, by reason.");
}

fn describe_what_is_under_way() {
    describe_gauge!(REQUESTS_IN_FLIGHT, "Client requests whose response is not whole yet.");
    describe_gauge!(COPIES_IN_FLIGHT, "Copies sent to the candidate and not yet answered.");
    describe_gauge!(COPIES_LIMIT, "Copies that may be in flight, at most MIRROR_CONCURRENCY.");
    describe_gauge!(QUEUE_LENGTH, "Copies waiting to be sent.");
    describe_gauge!(BUFFERED_BYTES, Unit::Bytes, "Bytes held by the mirror side.");
    describe_counter!(RELAYED, "Requests to relay listeners, by what became of them.");
    describe_gauge!(RELAY_QUEUE_LENGTH, "Requests to relay listeners that wait to be relayed.");
    describe_gauge!(
        RELAYS_IN_FLIGHT,
        "Relayed requests that the baseline is asked and has not answered."
    );
    describe_gauge!(RELAY_SPOOL_REQUESTS, "Requests in spools of relay listeners.");
    describe_gauge!(RELAY_SPOOL_BYTES, Unit::Bytes, "Bytes of spools that are in use.");
    describe_gauge!(RELAY_BUFFERED_BYTES, Unit::Bytes, "Bytes held by relay listeners.");
}

fn describe_identities() {
    describe_gauge!(IDENTITY_ENTRIES, "Ids of which it is known what the candidate calls them.");
    describe_counter!(IDENTITY_LEARNED, "Ids of which that was learned.");
    describe_counter!(
        IDENTITY_UNKNOWN,
        "Copies that went out with an id of which it was not known in time."
    );
    describe_counter!(
        IDENTITY_UNPAIRED,
        "Ids in the baseline's answers that the candidate's had none for, or not as many."
    );
    describe_counter!(
        IDENTITY_CONTRADICTED,
        "Ids in the candidate's answers that are not what is known of the baseline's."
    );
    describe_counter!(IDENTITY_EVICTED, "Ids that were forgotten for want of room or by age.");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the only candidate.
    fn one() -> (Arc<Metrics>, CandidateMetrics) {
        let metrics = Arc::new(Metrics::new().unwrap());
        let of = CandidateMetrics::new(Arc::clone(&metrics), "candidate".into(), false);
        (metrics, of)
    }
    use compare::Difference;
    use judge::verdict::Verdict;

    #[test]
    fn all_series_of_a_route_exist_with_value_0_before_the_first_event() {
        let (metrics, of) = one();
        let _route = (metrics.route("other"), of.route("other", Some(true)));
        of.set_enabled(true);
        let text = metrics.render(Gauges::default());
        for outcome in Outcome::ALL {
            let line = format!(
                "mirror_outcomes_total{{route=\"other\",outcome=\"{}\"}} 0",
                outcome.name()
            );
            assert!(text.contains(&line), "{line} not in\n{text}");
        }
        for kind in Kind::ALL {
            let labels = format!("kind=\"{}\",risk=\"{}\"", kind.name(), kind.risk().name());
            let line = format!("mirror_field_differences_total{{route=\"other\",{labels}}} 0");
            assert!(text.contains(&line), "{line} not in\n{text}");
        }
        for line in [
            "mirror_enabled 1",
            "mirror_aborts_total 0",
            "mirror_would_abort_total 0",
            "mirror_diff_mismatches_total{route=\"other\"} 0",
            "mirror_route_enabled{route=\"other\"} 1",
            "mirror_route_aborts_total{route=\"other\"} 0",
            "mirror_requests_total{route=\"other\",target=\"baseline\"} 0",
            "mirror_requests_total{route=\"other\",target=\"candidate\"} 0",
            "mirror_latency_seconds_count{route=\"other\",target=\"baseline\"} 0",
            "mirror_latency_seconds_count{route=\"other\",target=\"candidate\"} 0",
            "mirror_noise_pairs_total{route=\"other\",result=\"differed\"} 0",
            "mirror_noise_pairs_total{route=\"other\",result=\"not_compared\"} 0",
            "mirror_refused_total{reason=\"malformed\"} 0",
            "mirror_verdict{route=\"other\",verdict=\"pass\"} 0",
            "mirror_verdict{route=\"other\",verdict=\"fail\"} 0",
            "mirror_verdict{route=\"other\",verdict=\"not enough data\"} 1",
            "mirror_overall_verdict{verdict=\"not enough data\"} 1",
            "mirror_evidence{route=\"other\"} 0",
            "mirror_overall_evidence 0",
        ] {
            assert!(text.contains(line), "{line} not in\n{text}");
        }
    }

    #[test]
    fn of_several_candidates_each_series_says_whose_it_is() {
        let metrics = Arc::new(Metrics::new().unwrap());
        for name in ["v2", "v3"] {
            let of = CandidateMetrics::new(Arc::clone(&metrics), name.into(), true);
            of.set_enabled(name == "v2");
            of.route("GET /", Some(true)).count(Outcome::Mismatched);
            of.set_copies(CopyGauges { queue_length: 3, ..CopyGauges::default() });
        }
        let text = metrics.render(Gauges::default());
        for line in [
            "mirror_enabled{candidate=\"v2\"} 1",
            "mirror_enabled{candidate=\"v3\"} 0",
            "mirror_aborts_total{candidate=\"v3\"} 0",
            "mirror_requests_total{route=\"GET /\",target=\"v3\"} 0",
            "mirror_diff_mismatches_total{candidate=\"v3\",route=\"GET /\"} 1",
            "mirror_outcomes_total{candidate=\"v2\",route=\"GET /\",outcome=\"mismatched\"} 1",
            "mirror_overall_verdict{candidate=\"v2\",verdict=\"not enough data\"} 1",
            "mirror_queue_length{candidate=\"v2\"} 3",
        ] {
            assert!(text.contains(line), "{line} not in\n{text}");
        }
    }

    #[test]
    fn gauges_of_a_candidate_that_is_gone_are_gone_and_its_counters_stay() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let of = CandidateMetrics::new(Arc::clone(&metrics), "v2".into(), true);
        of.set_enabled(true);
        of.route("GET /", Some(true)).count(Outcome::Matched);
        of.retire(["GET /"].into_iter());
        let text = metrics.render(Gauges::default());
        let series = |name: &str| text.contains(&format!("\n{name}{{candidate=\"v2\""));
        for gauge in ["enabled", "queue_length", "route_enabled", "overall_verdict", "verdict"] {
            assert!(!series(&format!("mirror_{gauge}")), "{gauge}\n{text}");
        }
        assert!(series("mirror_aborts_total") && series("mirror_outcomes_total"), "{text}");
        of.set_enabled(true);
        assert!(metrics.render(Gauges::default()).contains("mirror_enabled{candidate=\"v2\"} 1"));
    }

    #[test]
    fn the_revision_of_the_settings_is_one_series_whatever_was_before() {
        let metrics = Metrics::new().unwrap();
        metrics.show_revision("a1", SystemTime::UNIX_EPOCH);
        metrics.show_revision("b2", SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(7));
        let text = metrics.render(Gauges::default());
        assert!(text.contains("\nmirror_config_info{revision=\"b2\"} 1\n"), "{text}");
        assert!(!text.contains("a1"), "{text}");
        let at = "mirror_config_last_reload_success_timestamp_seconds 7";
        assert!(text.contains(at), "{text}");
    }

    #[test]
    fn of_all_verdicts_the_one_that_holds_is_1() {
        let (metrics, of) = one();
        of.set_verdict(Some("GET /"), Verdict::Pass);
        of.set_verdict(Some("GET /"), Verdict::Fail);
        of.set_verdict(None, Verdict::Pass);
        of.set_evidence(Some("GET /"), 0.25);
        let text = metrics.render(Gauges::default());
        for line in [
            "mirror_verdict{route=\"GET /\",verdict=\"pass\"} 0",
            "mirror_verdict{route=\"GET /\",verdict=\"fail\"} 1",
            "mirror_verdict{route=\"GET /\",verdict=\"not enough data\"} 0",
            "mirror_overall_verdict{verdict=\"pass\"} 1",
            "mirror_evidence{route=\"GET /\"} 0.25",
        ] {
            assert!(text.contains(line), "{line} not in\n{text}");
        }
    }

    #[test]
    fn every_metric_has_a_help_text() {
        let (metrics, of) = one();
        let route = metrics.route("GET /");
        let _pairs = of.route("GET /", Some(true));
        route.baseline.latency.record(0.01);
        let text = metrics.render(Gauges::default());
        for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
            let name = line.split(' ').nth(2).unwrap();
            assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help text");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_tells_its_cpu_time_memory_and_descriptors() {
        let text = Metrics::new().unwrap().render(Gauges::default());
        for name in ["cpu_seconds_total", "resident_memory_bytes", "open_fds", "threads"] {
            assert!(text.contains(&format!("\nprocess_{name} ")), "{name} not in\n{text}");
        }
    }

    #[test]
    fn each_listed_difference_counts_by_its_kind_and_risk() {
        let (metrics, of) = one();
        let route = of.route("GET /", Some(true));
        for (at, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at);
            let (place, field) = ("$".to_owned(), "$".to_owned());
            let difference = Difference {
                place,
                field,
                kind,
                baseline: None,
                candidate: None,
                traits: compare::Traits::default(),
                note: None,
            };
            route.count_differences(&Differences {
                found: vec![difference; at + 1],
                more: false,
                ..Differences::default()
            });
        }
        let text = metrics.render(Gauges::default());
        for (labels, count) in [
            ("kind=\"missing\",risk=\"high\"", 1),
            ("kind=\"added\",risk=\"low\"", 2),
            ("kind=\"header\",risk=\"medium\"", 8),
        ] {
            let line =
                format!("mirror_field_differences_total{{route=\"GET /\",{labels}}} {count}");
            assert!(text.contains(&line), "{line} not in\n{text}");
        }
    }

    #[test]
    fn a_mismatch_counts_as_outcome_and_as_mismatch() {
        let (metrics, of) = one();
        let route = of.route("GET /", Some(true));
        route.count(Outcome::Mismatched);
        route.count(Outcome::Matched);
        let text = metrics.render(Gauges::default());
        assert!(text.contains("mirror_diff_mismatches_total{route=\"GET /\"} 1"));
        assert!(text.contains("mirror_outcomes_total{route=\"GET /\",outcome=\"mismatched\"} 1"));
        assert!(text.contains("mirror_outcomes_total{route=\"GET /\",outcome=\"matched\"} 1"));
    }
}
