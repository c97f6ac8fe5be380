//! What baseline and copies get of a client's trace, and the spans that a collector gets.

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderMap;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use proxy::config::Config;
use proxy::telemetry;

mod collector;
mod receivers;

use crate::eventually;
use crate::support::{
    Proxy, Seen, Upstream, fixed, hung, in_time, proxy, refusing, status, text, upstream,
};
use collector::{Collector, attributes, hex};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// What OpenTelemetry's variables say, with an address and without any pause before a batch is sent.
fn exporting(to: SocketAddr, protocol: &str, more: &[(&str, &str)]) -> Option<telemetry::Config> {
    let endpoint = format!("http://{to}");
    let usual = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_BSP_SCHEDULE_DELAY", "1"),
    ];
    let get = |name: &str| {
        let found = more.iter().chain(&usual).find(|(setting, _)| *setting == name);
        found.map(|(_, value)| (*value).into())
    };
    Config::from_env(&get).unwrap().telemetry
}

/// A proxy whose spans go to this collector.
async fn traced(servers: [SocketAddr; 2], to: &Collector, more: &[(&str, &str)]) -> Proxy {
    let telemetry = exporting(to.addr, to.protocol, more);
    proxy(servers[0], servers[1], |config| config.telemetry = telemetry).await
}

async fn get(proxy: &Proxy, path: &str, lines: &[(&'static str, &str)]) -> u16 {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, value.parse().unwrap());
    }
    let answer = proxy.client.get(proxy.url(path)).headers(headers).send().await.unwrap();
    let status = answer.status().as_u16();
    answer.bytes().await.unwrap();
    status
}

fn parent(flags: &str) -> String {
    format!("00-{TRACE}-{SPAN}-{flags}")
}

/// The lines of a request that are about traces.
fn of_traces(seen: &Seen) -> Vec<(String, String)> {
    let lines = seen.headers.iter().filter(|(name, _)| name.as_str().starts_with("trace"));
    lines.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

async fn last(upstream: &Upstream, count: usize) -> Seen {
    eventually!(upstream.count() >= count);
    upstream.seen().pop().unwrap()
}

async fn spans(proxy: &Proxy, result: &str) -> f64 {
    proxy.metric("mirror_spans_total", &[&format!("result=\"{result}\"")]).await
}

#[tokio::test]
async fn the_baseline_gets_a_trace_untouched_and_a_copy_a_span_of_its_own_in_it() {
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let proxy = proxy(baseline.addr, candidate.addr, |_| {}).await;
    let valid = parent("01");
    let sent = [("traceparent", &*valid), ("tracestate", "a=1, b=2"), ("tracestate", "c=3")];
    get(&proxy, "/", &sent).await;
    let untouched: Vec<_> =
        sent.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(of_traces(&last(&baseline, 1).await), untouched);
    let copy = last(&candidate, 1).await.headers;
    let told = copy["traceparent"].to_str().unwrap();
    assert_eq!((&told[..36], &told[52..]), (&valid[..36], "-01"));
    assert_ne!(&told[36..52], SPAN);
    assert_eq!(copy["tracestate"], "mirrorlab-mirror=true,a=1,b=2,c=3");
}

#[tokio::test]
async fn what_is_no_valid_trace_passes_to_the_baseline_and_goes_no_further() {
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let proxy = proxy(baseline.addr, candidate.addr, |_| {}).await;
    let (valid, upper) = (parent("01"), parent("01").to_uppercase());
    let zero = valid.replace(TRACE, &"0".repeat(32));
    let all: [&[(&str, &str)]; 6] = [
        &[],
        &[("traceparent", &valid), ("traceparent", &valid)],
        &[("traceparent", &upper), ("tracestate", "a=1")],
        &[("traceparent", &zero)],
        &[("traceparent", "nonsense")],
        &[("tracestate", "a=1")],
    ];
    for (count, sent) in all.into_iter().enumerate() {
        get(&proxy, "/", sent).await;
        assert_eq!(of_traces(&last(&baseline, count + 1).await).len(), sent.len(), "{sent:?}");
        assert_eq!(of_traces(&last(&candidate, count + 1).await), [], "{sent:?}");
    }
    // A later version may say more, which nobody here can read.
    let later = parent("01").replacen("00", "01", 1) + "-more";
    get(&proxy, "/", &[("traceparent", &later)]).await;
    assert_eq!(last(&baseline, 7).await.headers["traceparent"], later);
    let told = last(&candidate, 7).await.headers["traceparent"].clone();
    assert!(told.to_str().unwrap().starts_with(&format!("00-{TRACE}-")), "{told:?}");
}

#[tokio::test]
async fn copies_that_are_off_say_nothing_of_traces() {
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let collector = Collector::grpc().await;
    let telemetry = exporting(collector.addr, "grpc", &[]);
    let proxy = proxy(baseline.addr, candidate.addr, |config| {
        config.mirror.traces = proxy::policy::trace::Copies::Off;
        config.telemetry = telemetry;
    });
    let proxy = proxy.await;
    let valid = parent("01");
    get(&proxy, "/", &[("traceparent", &valid), ("tracestate", "a=1")]).await;
    assert_eq!(of_traces(&last(&baseline, 1).await).len(), 2);
    assert_eq!(of_traces(&last(&candidate, 1).await), []);
    get(&proxy, "/", &[]).await;
    assert_eq!(of_traces(&last(&candidate, 2).await), []);
    eventually!(collector.spans().len() == 10);
}

#[tokio::test]
async fn the_second_baseline_gets_a_span_of_its_own_too() {
    let [baseline, candidate, secondary] =
        [fixed("{}").await, fixed("{}").await, fixed("{}").await];
    let proxy = proxy(baseline.addr, candidate.addr, |config| {
        config.secondary = Some(crate::support::target(secondary.addr));
        config.mirror.noise_fraction = 1.0;
    });
    let proxy = proxy.await;
    get(&proxy, "/", &[("traceparent", &parent("01"))]).await;
    let [copy, noise] = [last(&candidate, 1).await, last(&secondary, 1).await];
    let told = [copy, noise].map(|seen| seen.headers["traceparent"].to_str().unwrap().to_owned());
    assert!(told.iter().all(|it| it.starts_with(&format!("00-{TRACE}-")) && !it.contains(SPAN)));
    assert_ne!(told[0], told[1]);
}

#[tokio::test]
async fn the_spans_of_a_mirrored_request_say_what_belongs_to_what() {
    for (collector, gzip) in [
        (Collector::grpc().await, "none"),
        (Collector::grpc().await, "gzip"),
        (Collector::http().await, "none"),
    ] {
        let (baseline, candidate) = (fixed("{\"a\":1}").await, fixed("{\"a\":2}").await);
        let more = [("OTEL_EXPORTER_OTLP_COMPRESSION", gzip), ("OTEL_SERVICE_NAME", "shop")];
        let proxy = traced([baseline.addr, candidate.addr], &collector, &more).await;
        let sent = parent("01");
        get(&proxy, "/a/7", &[("traceparent", &sent), ("tracestate", "a=1")]).await;
        eventually!(collector.spans().len() >= 5);
        let names = ["GET /a/{id}", "GET baseline", "queue", "GET candidate", "compare"];
        let [request, call, queue, copy, compare] = names.map(|name| collector.span(name));
        assert_eq!(
            (hex(&request.parent_span_id), request.kind()),
            (SPAN.to_owned(), SpanKind::Server)
        );
        for (span, kind) in [
            (&call, SpanKind::Client),
            (&queue, SpanKind::Internal),
            (&copy, SpanKind::Client),
            (&compare, SpanKind::Internal),
        ] {
            assert_eq!((&span.parent_span_id, span.kind()), (&request.span_id, kind));
        }
        for span in [&request, &call, &queue, &copy, &compare] {
            assert_eq!((hex(&span.trace_id), &*span.trace_state), (TRACE.to_owned(), "a=1"));
            assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
            assert_eq!(span.flags & 1, 1);
        }
        // The copy is another view of the baseline's call, and says which.
        let [link] = &copy.links[..] else { panic!("{:?}", copy.links) };
        assert_eq!((hex(&link.trace_id), &link.span_id), (TRACE.to_owned(), &call.span_id));
        let told = last(&candidate, 1).await.headers["traceparent"].clone();
        assert_eq!(told, format!("00-{TRACE}-{}-01", hex(&copy.span_id)));
        // In time, as it was: it waited before it was sent, and was compared when all was there.
        assert!(request.start_time_unix_nano <= call.start_time_unix_nano);
        assert!(queue.end_time_unix_nano <= copy.start_time_unix_nano);
        assert!(copy.end_time_unix_nano <= compare.start_time_unix_nano);
        expect_attributes([&request, &call, &queue, &copy, &compare], candidate.addr);
        let resource = collector.batches()[0].resource_spans[0].resource.clone().unwrap();
        assert!(format!("{resource:?}").contains("\"shop\""), "{resource:?}");
        eventually!(spans(&proxy, "exported").await >= 5.0);
    }
}

/// What the spans of a request say of themselves, in the order in which they are told.
fn expect_attributes(spans: [&Span; 5], candidate: SocketAddr) {
    let [request, call, queue, copy, compare] = spans;
    let of = attributes(copy);
    for (key, value) in [
        ("mirrorlab.mirror", "true"),
        ("mirrorlab.candidate", "candidate"),
        ("mirrorlab.outcome", "mismatched"),
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("server.address", "127.0.0.1"),
        ("server.port", &candidate.port().to_string()),
        ("url.scheme", "http"),
    ] {
        assert_eq!(of.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert_eq!(attributes(request)["http.route"], "/a/{id}");
    for span in [queue, compare] {
        assert_eq!(attributes(span)["mirrorlab.mirror"], "true");
    }
    for span in [request, call] {
        assert!(!attributes(span).contains_key("mirrorlab.mirror"));
    }
}

#[tokio::test]
async fn whoever_saw_a_request_before_decides_whether_it_has_spans() {
    let collector = Collector::grpc().await;
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let proxy = traced([baseline.addr, candidate.addr], &collector, &[]).await;
    get(&proxy, "/unsampled", &[("traceparent", &parent("00"))]).await;
    let told = last(&candidate, 1).await.headers["traceparent"].clone();
    assert!(told.to_str().unwrap().ends_with("-00"), "{told:?}");
    eventually!(proxy.outcome("matched").await == 1.0);
    get(&proxy, "/sampled", &[("traceparent", &parent("01"))]).await;
    eventually!(collector.spans().len() == 5);
    assert!(collector.spans().iter().all(|span| !span.name.contains("unsampled")));
    assert_eq!(last(&baseline, 2).await.headers["traceparent"], parent("01"));
}

#[tokio::test]
async fn a_request_without_a_trace_begins_one_where_spans_are_exported() {
    let collector = Collector::grpc().await;
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let proxy = traced([baseline.addr, candidate.addr], &collector, &[]).await;
    get(&proxy, "/", &[]).await;
    eventually!(collector.spans().len() == 5);
    let (request, copy) = (collector.span("GET /"), collector.span("GET candidate"));
    assert!(request.parent_span_id.is_empty() && copy.parent_span_id == request.span_id);
    let trace = hex(&request.trace_id);
    let told = last(&candidate, 1).await.headers["traceparent"].clone();
    assert_eq!(told, format!("00-{trace}-{}-03", hex(&copy.span_id)));
    assert_eq!(of_traces(&last(&baseline, 1).await), [], "what came passes, and nothing came");

    let off = [("OTEL_TRACES_SAMPLER", "parentbased_always_off")];
    let proxy = traced([baseline.addr, candidate.addr], &collector, &off).await;
    get(&proxy, "/", &[]).await;
    assert_eq!(of_traces(&last(&candidate, 2).await), [], "none is made up that nobody sees");
}

#[tokio::test]
async fn what_goes_wrong_is_told_by_its_spans() {
    let collector = Collector::grpc().await;
    let proxy = traced([refusing(), refusing()], &collector, &[]).await;
    assert_eq!(get(&proxy, "/away", &[]).await, 502);
    eventually!(collector.spans().iter().any(|span| span.name == "GET baseline"));
    let (request, call) = (collector.span("GET /away"), collector.span("GET baseline"));
    assert_eq!(attributes(&request)["http.response.status_code"], "502");
    for span in [&request, &call] {
        assert_eq!(attributes(span)["error.type"], "connection refused");
        assert_eq!(span.status.as_ref().unwrap().code, 2);
    }

    let (collector, baseline) = (Collector::grpc().await, fixed("{}").await);
    let proxy = traced([baseline.addr, refusing()], &collector, &[]).await;
    get(&proxy, "/", &[]).await;
    eventually!(collector.spans().len() == 4);
    assert_eq!(attributes(&collector.span("GET candidate"))["error.type"], "candidate_failed");

    let (collector, failing) = (Collector::grpc().await, upstream(|_| async { status(500) }).await);
    let proxy = traced([failing.addr, failing.addr], &collector, &[]).await;
    get(&proxy, "/", &[]).await;
    eventually!(collector.spans().len() == 5);
    assert_eq!(attributes(&collector.span("GET /"))["error.type"], "500");
}

#[tokio::test]
async fn a_copy_that_finds_no_place_tells_so_and_one_that_is_not_mirrored_has_no_spans() {
    let (baseline, collector) = (fixed("{}").await, Collector::grpc().await);
    let telemetry = exporting(collector.addr, "grpc", &[]);
    let candidate = hung().await;
    let proxy = proxy(baseline.addr, candidate.addr, |config| {
        config.telemetry = telemetry;
        config.mirror.concurrency = 1;
        config.mirror.queue_size = 1;
    });
    let proxy = proxy.await;
    let body = || proxy.post("/", "with a body");
    body().await;
    eventually!(candidate.count() == 1);
    for _ in 0..3 {
        body().await;
    }
    let dropped = |collector: &Collector| {
        let spans = collector.spans().into_iter().filter(|span| span.name == "queue");
        spans.filter(|it| attributes(it)["mirrorlab.outcome"] == "dropped_queue_full").count()
    };
    eventually!(dropped(&collector) > 0);
    assert!(collector.spans().iter().all(|span| span.name != "POST candidate"));

    let (collector, candidate) = (Collector::grpc().await, fixed("{}").await);
    let telemetry = exporting(collector.addr, "grpc", &[]);
    let proxy = crate::support::proxy(baseline.addr, candidate.addr, |config| {
        config.telemetry = telemetry;
        config.mirror.fraction = 0.0;
    });
    get(&proxy.await, "/", &[]).await;
    eventually!(collector.spans().len() == 2);
}

#[tokio::test]
async fn no_value_of_a_request_is_in_a_span() {
    let collector = Collector::grpc().await;
    let servers = [fixed("{\"a\":\"s3cret\"}").await.addr, fixed("{\"a\":\"s3cret2\"}").await.addr];
    let proxy = traced(servers, &collector, &[]).await;
    let request = proxy.client.post(proxy.url("/a/s3cret-1234567890abcdef?q=s3cret"));
    let request = request.header("cookie", "id=s3cret").header("user-agent", "s3cret");
    request.header("x-forwarded-for", "10.9.8.7").body("s3cret").send().await.unwrap();
    eventually!(collector.spans().len() == 5);
    for batch in collector.batches() {
        let told = format!("{batch:?}");
        assert!(!told.contains("s3cret") && !told.contains("10.9.8.7"), "{told}");
    }
}

/// Sends so many requests, each of which must be answered.
async fn send(proxy: &Proxy, count: usize) {
    for _ in 0..count {
        assert_eq!(get(proxy, "/", &[]).await, 200);
    }
}

#[tokio::test]
async fn a_collector_that_is_away_slow_or_unwilling_costs_no_client_anything_and_is_counted() {
    let unwilling = upstream(|_| async { status(400) }).await.addr;
    for (to, result) in
        [(refusing(), "failed"), (hung().await.addr, "failed"), (unwilling, "rejected")]
    {
        for protocol in ["grpc", "http/protobuf"] {
            // A refusal of gRPC is no status of HTTP.
            let result = if protocol == "grpc" { "failed" } else { result };
            let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
            let more = [
                ("OTEL_BSP_MAX_QUEUE_SIZE", "8"),
                ("OTEL_BSP_EXPORT_TIMEOUT", "300"),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "200"),
            ];
            let telemetry = exporting(to, protocol, &more);
            let configure = |config: &mut Config| config.telemetry = telemetry;
            let proxy = proxy(baseline.addr, candidate.addr, configure).await;
            send(&proxy, 20).await;
            eventually!(proxy.outcome("matched").await == 20.0);
            eventually!(spans(&proxy, result).await > 0.0);
            if to != unwilling {
                assert!(spans(&proxy, "dropped_queue_full").await > 0.0, "no more than 8 wait");
            }
            // All that were made are counted.
            let all = async || proxy.metric("mirror_spans_total", &[]).await;
            eventually!(all().await == 100.0);
            assert_eq!(spans(&proxy, "exported").await, 0.0);
        }
    }
}

#[tokio::test]
async fn what_a_collector_may_take_later_is_sent_again_and_what_it_leaves_out_is_counted() {
    fn not_yet(batch: usize) -> Result<ExportTraceServiceResponse, tonic::Status> {
        match batch {
            1 => Err(tonic::Status::unavailable("not yet")),
            _ => Ok(ExportTraceServiceResponse::default()),
        }
    }
    fn later(batch: usize) -> crate::support::Answer {
        let mut answer = if batch == 1 { status(503) } else { text("") };
        answer.headers_mut().insert("retry-after", "0".parse().unwrap());
        answer
    }
    for collector in [Collector::grpc_that(not_yet).await, Collector::http_that(later).await] {
        let servers = [fixed("{}").await.addr, fixed("{}").await.addr];
        let proxy = traced(servers, &collector, &[]).await;
        send(&proxy, 1).await;
        eventually!(spans(&proxy, "exported").await == 5.0);
        let batches = collector.batches();
        assert_eq!(batches[0], batches[1], "the same once more");
    }
    let in_part = |_| {
        let partial_success = Some(ExportTracePartialSuccess {
            rejected_spans: 1,
            error_message: "one of them".to_owned(),
        });
        text(ExportTraceServiceResponse { partial_success }.encode_to_vec())
    };
    let collector = Collector::http_that(in_part).await;
    let telemetry = exporting(collector.addr, collector.protocol, &[]);
    let proxy = proxy(fixed("{}").await.addr, refusing(), |config| {
        config.mirror.fraction = 0.0;
        config.telemetry = telemetry;
    });
    let proxy = proxy.await;
    send(&proxy, 1).await;
    eventually!(spans(&proxy, "rejected").await > 0.0);
    eventually!(proxy.metric("mirror_spans_total", &[]).await == 2.0);
}

#[tokio::test]
async fn the_last_spans_are_sent_at_the_end_and_a_collector_that_hangs_holds_it_up_for_a_bounded_time()
 {
    let collector = Collector::grpc().await;
    let patient = [("OTEL_BSP_SCHEDULE_DELAY", "3600000")];
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let proxy = traced([baseline.addr, candidate.addr], &collector, &patient).await;
    send(&proxy, 3).await;
    eventually!(proxy.outcome("matched").await == 3.0);
    assert_eq!(collector.spans().len(), 0, "they wait for more");
    in_time(proxy.app.shutdown()).await;
    assert_eq!(collector.spans().len(), 15);

    for to in [hung().await.addr, refusing()] {
        let hour = "3600000";
        let patient = [("OTEL_EXPORTER_OTLP_TIMEOUT", hour), ("OTEL_BSP_EXPORT_TIMEOUT", hour)];
        let telemetry = exporting(to, "grpc", &patient);
        let configure = |config: &mut Config| config.telemetry = telemetry;
        let proxy = crate::support::proxy(baseline.addr, candidate.addr, configure).await;
        send(&proxy, 3).await;
        in_time(proxy.app.shutdown()).await;
    }
}

#[tokio::test]
async fn headers_for_the_collector_are_sent_and_shown_nowhere() {
    let seen = upstream(|_| async { text("") }).await;
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let more = [("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cret")];
    let telemetry = exporting(seen.addr, "http/protobuf", &more);
    assert!(!format!("{telemetry:?}").contains("s3cret"));
    let configure = |config: &mut Config| config.telemetry = telemetry;
    let proxy = proxy(baseline.addr, candidate.addr, configure).await;
    send(&proxy, 1).await;
    assert_eq!(last(&seen, 1).await.headers["authorization"], "Bearer s3cret");
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_spans_of_its_request() {
    let collector = Collector::grpc().await;
    let baseline = hung().await;
    let proxy = traced([baseline.addr, fixed("{}").await.addr], &collector, &[]).await;
    let proxy = Arc::new(proxy);
    let asking = Arc::clone(&proxy);
    let asking = tokio::spawn(async move { asking.get("/left").await });
    eventually!(baseline.count() == 1);
    asking.abort();
    eventually!(collector.spans().iter().any(|span| span.name == "GET /left"));
    assert_eq!(attributes(&collector.span("GET /left"))["error.type"], "client_aborted");
}
