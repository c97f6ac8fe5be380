//! The service's metrics, under the names that Micrometer gives them, since dashboards for such
//! services exist.
#![expect(clippy::disallowed_macros, reason = "the one module that spells metric names")]

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{Histogram, Unit, describe_histogram, histogram, with_local_recorder};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

const REQUESTS: &str = "http_server_requests_seconds";

/// Upper bounds in seconds.
const BUCKETS: [f64; 14] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0];

/// The registry of one service; several can run in one process.
pub struct Metrics {
    service: String,
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    series: Mutex<HashMap<(&'static str, &'static str, u16), Histogram>>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").field("service", &self.service).finish_non_exhaustive()
    }
}

impl Metrics {
    /// An empty registry for a service of this name.
    ///
    /// # Errors
    /// When the exporter refuses the bucket bounds.
    pub fn new(service: String) -> Result<Self, BuildError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(REQUESTS.to_owned()), &BUCKETS)?
            .build_recorder();
        with_local_recorder(&recorder, || {
            describe_histogram!(REQUESTS, Unit::Seconds, "Time to answer a request.");
        });
        let handle = recorder.handle();
        Ok(Self { service, recorder, handle, series: Mutex::default() })
    }

    /// Takes in one answered request; `uri` is the route's template.
    pub fn record(&self, method: &Method, uri: &'static str, status: StatusCode, took: Duration) {
        let method = bounded(method);
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let histogram = series.entry((method, uri, status.as_u16())).or_insert_with(|| {
            with_local_recorder(&self.recorder, || {
                histogram!(
                    REQUESTS,
                    "service" => self.service.clone(),
                    "method" => method,
                    "uri" => uri,
                    "status" => status.as_str().to_owned(),
                    "outcome" => outcome(status),
                )
            })
        });
        histogram.record(took);
    }

    /// The Prometheus text format.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Moves samples out of their buffers, which would grow without a scrape.
    pub fn run_upkeep(&self) {
        self.handle.run_upkeep();
    }
}

fn bounded(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("OTHER")
}

fn outcome(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..200 => "INFORMATIONAL",
        200..300 => "SUCCESS",
        300..400 => "REDIRECTION",
        400..500 => "CLIENT_ERROR",
        500..600 => "SERVER_ERROR",
        _ => "UNKNOWN",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_carry_micrometers_names_and_labels() {
        let metrics = Metrics::new("service-v1".to_owned()).unwrap();
        let took = Duration::from_millis(70);
        metrics.record(&Method::GET, "/api/product/{id}", StatusCode::NOT_FOUND, took);
        let text = metrics.render();
        let labels = r#"service="service-v1",method="GET",uri="/api/product/{id}",status="404",outcome="CLIENT_ERROR""#;
        for line in [
            format!("http_server_requests_seconds_count{{{labels}}} 1"),
            format!("http_server_requests_seconds_sum{{{labels}}} 0.07"),
            format!("http_server_requests_seconds_bucket{{{labels},le=\"0.05\"}} 0"),
            format!("http_server_requests_seconds_bucket{{{labels},le=\"0.1\"}} 1"),
        ] {
            assert!(text.contains(&line), "{line} not in\n{text}");
        }
        for bound in ["0.2", "0.3", "0.5", "1", "+Inf"] {
            assert!(text.contains(&format!("le=\"{bound}\"")), "{bound}");
        }
        assert!(text.contains("# HELP http_server_requests_seconds "));
    }

    #[test]
    fn outcomes_are_the_classes_of_the_status() {
        let of = |code| outcome(StatusCode::from_u16(code).unwrap());
        assert_eq!([101, 204, 304].map(of), ["INFORMATIONAL", "SUCCESS", "REDIRECTION"]);
        assert_eq!([404, 500, 700].map(of), ["CLIENT_ERROR", "SERVER_ERROR", "UNKNOWN"]);
    }

    #[test]
    fn unknown_methods_share_one_label() {
        assert_eq!(bounded(&Method::from_bytes(b"BREW").unwrap()), "OTHER");
    }
}
