use std::time::Duration;

use crate::config::tests::said as config;
use crate::telemetry::sampler::Root;
use crate::telemetry::{self, Protocol};

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");

fn read(more: &[(&str, &str)]) -> (telemetry::Config, Vec<String>) {
    let config = config(&[&[ENDPOINT], more].concat()).unwrap();
    (config.telemetry.unwrap(), config.warnings)
}

#[test]
fn without_an_address_or_where_it_is_switched_off_there_are_no_spans() {
    let all = [
        &[][..],
        &[("OTEL_SERVICE_NAME", "x"), ("OTEL_TRACES_SAMPLER", "nonsense")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")],
        &[ENDPOINT, ("OTEL_SDK_DISABLED", "true")],
        &[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")],
    ];
    for settings in all {
        let config = config(settings).unwrap();
        assert!(config.telemetry.is_none() && config.warnings.is_empty(), "{settings:?}");
    }
}

#[test]
fn the_defaults_are_those_of_opentelemetry() {
    let (read, warnings) = read(&[]);
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(read.wire.protocol, Protocol::HttpProtobuf);
    assert_eq!(read.wire.timeout, Duration::from_secs(10));
    assert!(!read.wire.gzip && read.wire.headers.is_empty());
    assert!(read.sampler.by_parent && read.sampler.root == Root::On);
    let batches = read.batches;
    assert_eq!((batches.queue, batches.size), (2048, 512));
    assert_eq!(batches.delay, Duration::from_secs(5));
    assert_eq!(batches.timeout, Duration::from_secs(30));
    let name = read.resource.iter().find(|(key, _)| key == "service.name");
    assert_eq!(name.unwrap().1, "mirrorlab-proxy");
}

#[test]
fn what_is_said_for_spans_goes_over_what_is_said_for_all_signals() {
    let (read, warnings) = read(&[
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://spans/in"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2500"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x=for-all"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=Bearer%20s3cret, x-team = a%2Cb ,"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=over,deployment.environment.name=a%20b"),
        ("OTEL_SERVICE_NAME", "shop-mirror"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
    ]);
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(read.wire.protocol, Protocol::HttpProtobuf);
    assert_eq!(read.wire.timeout, Duration::from_millis(2500));
    assert_eq!(read.wire.headers["authorization"], "Bearer s3cret");
    assert_eq!(
        (&read.wire.headers["x-team"], read.wire.headers.len()),
        (&"a,b".parse().unwrap(), 2)
    );
    assert!(read.wire.gzip);
    assert_eq!(read.sampler.root, Root::Ratio(0.25));
    assert_eq!((read.batches.queue, read.batches.size), (100, 100));
    assert_eq!(read.batches.delay, Duration::from_millis(200));
    for (key, value) in [("service.name", "shop-mirror"), ("deployment.environment.name", "a b")] {
        assert!(read.resource.contains(&(key.to_owned(), value.to_owned())), "{:?}", read.resource);
    }
    let shown = format!("{read:?}");
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn a_wrong_word_or_number_is_warned_of_and_its_default_holds() {
    for (name, said) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_TRACES_SAMPLER", "xray"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1"),
        ("OTEL_RESOURCE_ATTRIBUTES", "nonsense"),
    ] {
        let (wrong, warnings) = read(&[(name, said)]);
        let [warning] = &warnings[..] else { panic!("{name}: {warnings:?}") };
        assert!(warning.contains(name) && warning.contains("allowed is"), "{warning}");
        let (right, _) = read(&[]);
        assert_eq!(format!("{wrong:?}"), format!("{right:?}"), "{name}");
    }
    let ratio = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")];
    let (read, warnings) = read(&ratio);
    assert_eq!((read.sampler.root, warnings.len()), (Root::Ratio(1.0), 1));
    let other = config(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "zipkin")]).unwrap();
    assert!(other.telemetry.is_none() && other.warnings.len() == 1, "{:?}", other.warnings);
}

#[test]
fn what_would_leave_nowhere_to_go_stops_the_start_and_is_not_repeated() {
    for (name, said) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://u:s3cret@collector"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization: Bearer s3cret"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=s3cret"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/nowhere"),
    ] {
        let told = config(&[(name, said), ENDPOINT]).unwrap_err();
        assert!(told.contains(name) && told.contains("allowed is"), "{told}");
        assert!(!told.contains("s3cret"), "{told}");
    }
}
