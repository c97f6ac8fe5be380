//! Reads what `/metrics` says: sums of series, and quantiles of histograms between two readings.

use std::collections::BTreeMap;

/// One reading of an endpoint in the Prometheus text format.
#[derive(Clone, Debug, Default)]
pub struct Reading(Vec<(String, f64)>);

impl Reading {
    /// Takes in a text; lines that are no samples are passed over.
    pub fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self(samples.collect())
    }

    /// The samples of a metric whose labels contain all of these.
    fn of<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [&'a str],
    ) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.iter().filter_map(move |(series, value)| {
            let rest = series.strip_prefix(name)?;
            let own = rest.is_empty() || rest.starts_with('{');
            (own && labels.iter().all(|label| rest.contains(label))).then_some((rest, *value))
        })
    }

    /// Their sum.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        self.of(name, labels).map(|(_, value)| value).sum()
    }

    /// Their values by one of their labels.
    pub fn by(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut found = BTreeMap::new();
        for (labels, value) in self.of(name, &[]) {
            if let Some(key) = label_value(labels, label) {
                *found.entry(key.to_owned()).or_default() += value;
            }
        }
        found
    }

    /// A quantile in seconds of what a histogram took in since an earlier reading, interpolated
    /// within its bucket; `None` when it took in nothing.
    pub fn quantile_since(
        &self,
        earlier: &Self,
        name: &str,
        labels: &[&str],
        quantile: f64,
    ) -> Option<f64> {
        let name = format!("{name}_bucket");
        let mut buckets: Vec<(f64, f64)> = self
            .by_bound(&name, labels)
            .into_iter()
            .map(|(bound, count)| {
                let before = earlier.by_bound(&name, labels);
                let before = before.iter().find(|(other, _)| *other == bound).map_or(0.0, |b| b.1);
                (bound, count - before)
            })
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total = buckets.last()?.1;
        if total <= 0.0 {
            return None;
        }
        let rank = quantile * total;
        let (mut lower, mut below) = (0.0, 0.0);
        for (bound, count) in buckets {
            if count >= rank && count > below {
                let upper = if bound.is_finite() { bound } else { lower };
                return Some(lower + (upper - lower) * (rank - below) / (count - below));
            }
            (lower, below) = (bound, count);
        }
        None
    }

    fn by_bound(&self, name: &str, labels: &[&str]) -> Vec<(f64, f64)> {
        let mut bounds: Vec<(f64, f64)> = Vec::new();
        for (series, value) in self.of(name, labels) {
            let Some(bound) = label_value(series, "le").and_then(|le| le.parse().ok()) else {
                continue;
            };
            match bounds.iter_mut().find(|(other, _)| *other == bound) {
                Some((_, sum)) => *sum += value,
                None => bounds.push((bound, value)),
            }
        }
        bounds
    }
}

fn label_value<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let start = labels.find(&format!("{name}=\""))? + name.len() + 2;
    let length = labels[start..].find('"')?;
    Some(&labels[start..start + length])
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLIER: &str = "\
# HELP l help
l_bucket{target=\"a\",le=\"0.1\"} 10
l_bucket{target=\"a\",le=\"0.2\"} 10
l_bucket{target=\"a\",le=\"+Inf\"} 10
n_total{route=\"GET /x\",target=\"a\"} 5
n_total{route=\"GET /y\",target=\"b\"} 7
";
    const LATER: &str = "\
l_bucket{target=\"a\",le=\"0.1\"} 10
l_bucket{target=\"a\",le=\"0.2\"} 20
l_bucket{target=\"a\",le=\"+Inf\"} 20
";

    #[test]
    fn sums_and_groups_follow_the_labels() {
        let reading = Reading::parse(EARLIER);
        assert_eq!(reading.sum("n_total", &[]), 12.0);
        assert_eq!(reading.sum("n_total", &["target=\"b\""]), 7.0);
        assert_eq!(reading.sum("n", &[]), 0.0);
        assert_eq!(reading.by("n_total", "route")["GET /x"], 5.0);
    }

    #[test]
    fn quantiles_are_of_what_came_since() {
        let (earlier, later) = (Reading::parse(EARLIER), Reading::parse(LATER));
        let median = later.quantile_since(&earlier, "l", &["target=\"a\""], 0.5).unwrap();
        assert!((median - 0.15).abs() < 1e-9, "{median}");
        assert_eq!(later.quantile_since(&later, "l", &[], 0.5), None);
    }
}
