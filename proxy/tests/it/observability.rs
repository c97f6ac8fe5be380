//! What an operator sees from outside.

use crate::eventually;
use crate::support::{fixed, proxy, refusing, sum};

#[tokio::test]
async fn everything_exists_with_its_value_from_the_start() {
    let proxy = proxy(fixed("{}").await.addr, refusing(), |_| {}).await;
    let metrics = proxy.metrics().await;
    for line in [
        "mirror_enabled 1",
        "mirror_aborts_total 0",
        "mirror_requests_total{route=\"other\",target=\"baseline\"} 0",
        "mirror_requests_total{route=\"other\",target=\"candidate\"} 0",
        "mirror_diff_mismatches_total{route=\"other\"} 0",
        "mirror_outcomes_total{route=\"other\",outcome=\"matched\"} 0",
        "mirror_refused_total{reason=\"malformed\"} 0",
        "mirror_requests_in_flight 0",
        "mirror_copies_in_flight 0",
        "mirror_queue_length 0",
        "mirror_buffered_bytes 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} not in\n{metrics}");
    }
}

#[tokio::test]
async fn a_route_has_all_its_series_from_its_first_request() {
    let proxy = proxy(fixed("{}").await.addr, fixed("{}").await.addr, |config| {
        config.mirror.fraction = 0.0;
    })
    .await;
    proxy.get("/api/product/p-100").await;
    let metrics = proxy.metrics().await;
    let route = "route=\"GET /api/product/{id}\"";
    for (series, value) in [
        (format!("mirror_outcomes_total{{{route},outcome=\"not_sampled\"}}"), 1),
        (format!("mirror_outcomes_total{{{route},outcome=\"mismatched\"}}"), 0),
        (format!("mirror_requests_total{{{route},target=\"baseline\"}}"), 1),
        (format!("mirror_requests_total{{{route},target=\"candidate\"}}"), 0),
        (format!("mirror_diff_mismatches_total{{{route}}}"), 0),
        (format!("mirror_latency_seconds_count{{{route},target=\"baseline\"}}"), 1),
        (format!("mirror_latency_seconds_count{{{route},target=\"candidate\"}}"), 0),
    ] {
        let line = format!("{series} {value}");
        assert!(metrics.lines().any(|found| found == line), "{line} not in\n{metrics}");
    }
}

#[tokio::test]
async fn latency_is_counted_for_both_targets_in_buckets() {
    let proxy = proxy(fixed("{}").await.addr, fixed("{}").await.addr, |_| {}).await;
    proxy.expect_outcome("/", "matched").await;
    for target in ["target=\"baseline\"", "target=\"candidate\""] {
        let metrics = proxy.metrics().await;
        assert_eq!(sum(&metrics, "mirror_latency_seconds_count", &[target]), 1.0);
        let all = [target, "le=\"+Inf\"", "route=\"GET /\""];
        assert_eq!(sum(&metrics, "mirror_latency_seconds_bucket", &all), 1.0);
    }
}

#[tokio::test]
async fn a_request_in_flight_shows_until_its_response_is_whole() {
    let proxy = proxy(crate::support::hung().await.addr, refusing(), |_| {}).await;
    let (client, url) = (proxy.client.clone(), proxy.url("/"));
    let waiting = tokio::spawn(async move { client.get(url).send().await });
    eventually!(proxy.metric("mirror_requests_in_flight", &[]).await == 1.0);
    waiting.abort();
    eventually!(proxy.metric("mirror_requests_in_flight", &[]).await == 0.0);
}
