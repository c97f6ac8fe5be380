//! Spans of the real program, taken by real receivers: oteltap, and rotel, a collector that hands them on.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::collector::{Collector, attributes, hex};
use super::{SPAN, TRACE, parent};
use crate::process;
use crate::support::{client, fixed, free};

/// Something that a test needs is not there: says so, or fails where it is demanded.
#[expect(clippy::disallowed_methods, reason = "a test's switch")]
fn skipped(why: &str) {
    assert!(std::env::var("PROXY_REQUIRE_OTLP").is_err(), "{why}");
    eprintln!("skipped: {why}");
}

/// A program that is stopped when the test ends.
struct Running {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Running {
    /// `None` where there is no such program, and need not be.
    fn start(command: &mut Command) -> Option<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                skipped(&format!("cannot start {command:?}, which pip installs: {error}"));
                return None;
            }
        };
        let said = Arc::new(Mutex::new(String::new()));
        let (lines, kept) = (BufReader::new(child.stdout.take().unwrap()).lines(), said.clone());
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Some(Self { child, said })
    }

    fn says(&self, what: &str) -> bool {
        self.said.lock().unwrap().contains(what)
    }

    /// The spans that oteltap tells, each on a line.
    fn spans(&self) -> Vec<Value> {
        let said = self.said.lock().unwrap().clone();
        let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.flat_map(|line| spans_in(&line)).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// All objects with a span's id, however deep they stand.
fn spans_in(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(members)
            if members.contains_key("spanId") && members.contains_key("name") =>
        {
            vec![value.clone()]
        }
        Value::Object(members) => members.values().flat_map(spans_in).collect(),
        Value::Array(items) => items.iter().flat_map(spans_in).collect(),
        _ => Vec::new(),
    }
}

/// A receiver that has begun to listen.
async fn oteltap() -> Option<(Running, SocketAddr)> {
    let addr = free();
    let port = addr.port().to_string();
    let mut command = Command::new("oteltap");
    let running = Running::start(command.args(["--port", &port]).env("PYTHONUNBUFFERED", "1"))?;
    crate::eventually!(running.says("Listening"));
    crate::eventually!(tokio::net::TcpStream::connect(addr).await.is_ok());
    Some((running, addr))
}

/// Where the package of a collector has its program.
fn rotel() -> Option<String> {
    let script =
        "import os, rotel; print(os.path.join(os.path.dirname(rotel.__file__), 'rotel-agent'))";
    let asked = Command::new("python3").args(["-c", script]).output();
    let found = asked.ok().filter(|output| output.status.success());
    let found = found.and_then(|it| Some(String::from_utf8(it.stdout).ok()?.trim().to_owned()));
    if found.is_none() {
        skipped("python3 has no rotel, which pip installs");
    }
    found
}

/// Sends a request through the program, whose spans go there; the program, which runs on.
async fn send(protocol: &str, endpoint: SocketAddr) -> process::Process {
    let (baseline, candidate) = (fixed("{\"a\":1}").await, fixed("{\"a\":1}").await);
    let endpoint = format!("http://{endpoint}");
    let more = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ];
    let process = process::start(baseline.addr, candidate.addr, &more).await;
    let url = format!("http://{}/a/7", process.addr());
    let answer = client().get(url).header("traceparent", parent("01")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    process
}

#[tokio::test]
async fn a_real_receiver_takes_spans_over_http() {
    let Some((tap, addr)) = oteltap().await else { return };
    let _process = send("http/protobuf", addr).await;
    crate::eventually!(tap.spans().len() >= 5);
    let spans = tap.spans();
    let span = |name: &str| {
        let found = spans.iter().find(|span| span["name"] == name);
        found.unwrap_or_else(|| panic!("{name}: {spans:?}"))
    };
    let [request, call, copy] = ["GET /a/{id}", "GET baseline", "GET candidate"].map(span);
    assert_eq!((&request["traceId"], &request["parentSpanId"]), (&TRACE.into(), &SPAN.into()));
    for child in [call, copy] {
        assert_eq!(child["parentSpanId"], request["spanId"]);
    }
    assert_eq!(copy["links"][0]["spanId"], call["spanId"]);
    assert!(copy.to_string().contains("mirrorlab.mirror"), "{copy}");
}

#[tokio::test]
async fn a_real_collector_takes_spans_over_grpc_and_hands_them_on() {
    let (collector, Some(agent)) = (Collector::grpc().await, rotel()) else { return };
    let (grpc, http) = (free(), free());
    let mut command = Command::new(agent);
    command.args(["start", "--otlp-grpc-endpoint", &grpc.to_string()]);
    command.args(["--otlp-http-endpoint", &http.to_string(), "--exporter", "otlp"]);
    // What it got is what it sends.
    command.args(["--otlp-exporter-protocol", "grpc", "--batch-timeout", "100ms"]);
    command.args(["--otlp-exporter-endpoint", &format!("http://{}", collector.addr)]);
    let Some(_rotel) = Running::start(&mut command) else { return };
    crate::eventually!(tokio::net::TcpStream::connect(grpc).await.is_ok());
    let _process = send("grpc", grpc).await;
    crate::eventually!(collector.spans().len() >= 5);
    let names = ["GET /a/{id}", "GET baseline", "GET candidate"];
    let [request, call, copy] = names.map(|name| collector.span(name));
    assert_eq!((hex(&request.trace_id), hex(&request.parent_span_id)), (TRACE.into(), SPAN.into()));
    for child in [&call, &copy] {
        assert_eq!(child.parent_span_id, request.span_id);
    }
    assert_eq!(copy.links[0].span_id, call.span_id);
    assert_eq!(attributes(&copy)["mirrorlab.mirror"], "true");
}
