//! Where series are kept. An exporter's series stay for ever, so that each candidate has a registry of its
//! own, which goes with it: names of releases come and go for as long as the process runs.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::with_local_recorder;
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use super::{LATENCY, LATENCY_BUCKETS, describe};

/// So many candidates that are gone keep their counters, which may not have been looked at since; those
/// that went first go first.
const GONE_MAX: usize = 8;

/// Series, and the text of them.
pub(super) struct Registry {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    /// The identities whose entries it shows.
    pub(super) identities: Mutex<HashSet<Arc<str>>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// A fresh one with all names described.
    ///
    /// # Errors
    /// When the exporter refuses the bucket bounds.
    pub(super) fn new() -> Result<Self, BuildError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(LATENCY.to_owned()), &LATENCY_BUCKETS)?
            .build_recorder();
        let handle = recorder.handle();
        with_local_recorder(&recorder, describe);
        Ok(Self { recorder, handle, identities: Mutex::default() })
    }

    /// Series that are named meanwhile are kept here.
    pub(super) fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        with_local_recorder(&self.recorder, work)
    }

    pub(super) fn run_upkeep(&self) {
        self.handle.run_upkeep();
    }

    pub(super) fn render(&self) -> String {
        self.handle.render()
    }
}

#[derive(Debug)]
struct Kept {
    name: Arc<str>,
    told_apart: bool,
    registry: Arc<Registry>,
    is_gone: bool,
}

/// The registries of the candidates, and of the last that are gone.
#[derive(Debug, Default)]
pub(super) struct Candidates(Mutex<Vec<Kept>>);

impl Candidates {
    /// The registry of a candidate by its name, and whether its series have it for a label. One that comes
    /// back counts on from where it was.
    pub(super) fn of(&self, name: &Arc<str>, told_apart: bool) -> Arc<Registry> {
        let mut kept = self.lock();
        let mut known = kept.iter_mut();
        if let Some(known) = known.find(|it| *it.name == **name && it.told_apart == told_apart) {
            known.is_gone = false;
            return Arc::clone(&known.registry);
        }
        let registry = Arc::new(Registry::new().expect("its bounds were taken at the start"));
        let new = Kept { name: Arc::clone(name), told_apart, registry, is_gone: false };
        let registry = Arc::clone(&new.registry);
        kept.push(new);
        registry
    }

    /// Nobody is called so any more, or is not told apart so.
    pub(super) fn retire(&self, name: &str, told_apart: bool) {
        let mut kept = self.lock();
        let at = kept.iter().position(|it| *it.name == *name && it.told_apart == told_apart);
        let Some(at) = at else { return };
        let mut gone = kept.remove(at);
        gone.is_gone = true;
        kept.push(gone);
        let mut surplus = kept.iter().filter(|it| it.is_gone).count().saturating_sub(GONE_MAX);
        kept.retain(|it| {
            let goes = it.is_gone && surplus > 0;
            surplus -= usize::from(goes);
            !goes
        });
    }

    /// The registry of a candidate of this name.
    pub(super) fn named(&self, name: &str) -> Option<Arc<Registry>> {
        let kept = self.lock();
        let found = kept.iter().find(|it| *it.name == *name && !it.is_gone);
        found.map(|it| Arc::clone(&it.registry))
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<Registry>> {
        self.lock().iter().map(|it| Arc::clone(&it.registry)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One text of several, in which each name has its series in one place, as the format wants it: an empty
/// line ends those of a name, and its first line is the same in all.
pub(super) fn merged(texts: &[String]) -> String {
    let mut families: Vec<(&str, String)> = Vec::new();
    for family in texts.iter().flat_map(|text| text.split("\n\n")).filter(|it| !it.is_empty()) {
        let about = family.split_inclusive('\n').take_while(|line| line.starts_with('#'));
        let (about, series) = family.split_at(about.map(str::len).sum());
        let at = families.iter().position(|(known, _)| *known == about).unwrap_or_else(|| {
            families.push((about, String::new()));
            families.len() - 1
        });
        let (_, all) = &mut families[at];
        all.push_str(series);
        if !series.ends_with('\n') {
            all.push('\n');
        }
    }
    families.iter().map(|(about, series)| format!("{about}{series}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{CandidateMetrics, Gauges, Metrics};
    use super::*;

    fn candidate(metrics: &Arc<Metrics>, name: &str) -> CandidateMetrics {
        let of = CandidateMetrics::new(Arc::clone(metrics), name.into(), true);
        of.route("GET /a", Some(true));
        of
    }

    fn names(text: &str) -> HashSet<&str> {
        let labels = text.split("candidate=\"").skip(1);
        labels.filter_map(|rest| rest.split('"').next()).collect()
    }

    #[test]
    fn of_candidates_that_come_and_go_the_series_of_the_last_are_kept() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let stays = candidate(&metrics, "stays");
        stays.count_abort();
        for number in 0..100 {
            candidate(&metrics, &format!("v{number}")).retire(std::iter::once("GET /a"));
        }
        let text = metrics.render(Gauges::default());
        assert_eq!(names(&text).len(), GONE_MAX + 1);
        assert!(names(&text).contains("v99") && names(&text).contains("v92"));
        assert!(text.contains("mirror_aborts_total{candidate=\"stays\"} 1"), "{text}");
    }

    #[test]
    fn a_candidate_that_comes_back_counts_on() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let before = candidate(&metrics, "v2");
        before.count_abort();
        before.retire(std::iter::empty());
        let after = candidate(&metrics, "v2");
        after.count_abort();
        after.set_enabled(true);
        let text = metrics.render(Gauges::default());
        assert!(text.contains("mirror_aborts_total{candidate=\"v2\"} 2"), "{text}");
        assert!(text.contains("mirror_enabled{candidate=\"v2\"} 1"), "{text}");
    }

    #[test]
    fn each_name_has_all_its_series_in_one_place() {
        let metrics = Arc::new(Metrics::new().unwrap());
        metrics.route("GET /a");
        let of = ["v2", "v3"].map(|name| candidate(&metrics, name));
        of.iter().for_each(|it| it.set_enabled(true));
        let text = metrics.render(Gauges::default());
        let mut seen = HashSet::new();
        for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            assert!(seen.insert(line), "{line} is there twice");
        }
        let family = text.split("# TYPE mirror_requests_total counter\n").nth(1).unwrap();
        let series: Vec<_> = family.lines().take_while(|line| !line.is_empty()).collect();
        assert_eq!(series.len(), 3, "{series:?}");
    }
}
