//! A span that is over, and how OTLP tells it. Names are those of OpenTelemetry's semantic conventions where there
//! are some. Of a request there is what metrics tell of it as well: no header, no query, no path, no address.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use http::{Method, StatusCode};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Code;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::context::{Parent, SpanId};
use crate::exchange::Outcome;
use crate::upstream::Target;

/// The flags of a span say whether its parent is from elsewhere.
const KNOWS_PARENT: u32 = 0x100;
const REMOTE: u32 = 0x200;

/// What all spans of a request share.
#[derive(Debug)]
pub(super) struct Common {
    /// What the request said of its trace, or what was made up for it.
    pub(super) parent: Parent,
    /// Whether that was made up.
    pub(super) is_root: bool,
    /// What others said of the trace.
    pub(super) state: String,
    /// Of the request.
    pub(super) span: SpanId,
    /// Of the baseline's call.
    pub(super) baseline: SpanId,
    /// The same moment by two clocks.
    pub(super) began: (SystemTime, Instant),
    pub(super) method: Method,
    pub(super) label: Arc<str>,
}

/// Whom a call went to.
#[derive(Clone, Debug)]
pub(super) struct Server {
    host: Arc<str>,
    port: u16,
    tls: bool,
}

impl Server {
    pub(super) fn of(target: &Target) -> Self {
        Self { host: target.host.as_str().into(), port: target.port, tls: target.tls }
    }
}

/// What a call, or a whole request, came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Came {
    pub(super) status: Option<StatusCode>,
    /// Why it is no whole answer, in a word.
    pub(super) error: Option<&'static str>,
}

/// What belongs to a copy.
#[derive(Clone, Debug)]
pub(super) struct Mirrored {
    pub(super) candidate: Arc<str>,
    pub(super) outcome: Outcome,
}

/// What it was.
#[derive(Debug)]
pub(super) enum What {
    /// All of a request, as its client saw it.
    Request(Came),
    /// The call to the baseline.
    Baseline(Server, Came),
    /// A copy waited to be sent.
    Waited(Mirrored),
    /// The call to a candidate, under the span that the copy says.
    Candidate(Mirrored, Server, SpanId, Came),
    /// Both answers were compared.
    Compared(Mirrored),
}

/// A span that is over.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) of: Arc<Common>,
    pub(super) what: What,
    pub(super) start: Instant,
    pub(super) end: Instant,
}

impl Finished {
    /// As OTLP tells it.
    pub(super) fn message(self) -> Span {
        let Self { of, what, start, end } = self;
        let (name, kind, span) = described(&of, &what);
        let is_request = matches!(what, What::Request(_));
        let parent = if is_request { of.parent.span } else { of.span };
        let has_parent = !(is_request && of.is_root);
        let remote = if is_request && has_parent { REMOTE } else { 0 };
        let (attributes, links, status) = told(&of, &what);
        Span {
            trace_id: of.parent.trace.0.to_vec(),
            span_id: span.0.to_vec(),
            trace_state: of.state.clone(),
            parent_span_id: if has_parent { parent.0.to_vec() } else { Vec::new() },
            flags: u32::from(of.parent.is_sampled()) | KNOWS_PARENT | remote,
            name,
            kind: kind as i32,
            start_time_unix_nano: of.nanos(start),
            end_time_unix_nano: of.nanos(end.max(start)),
            attributes,
            links,
            status,
            ..Span::default()
        }
    }
}

impl Common {
    /// A moment by the clock of the world: by that of its beginning, so that spans of a request are as far apart
    /// as they were.
    fn nanos(&self, at: Instant) -> u64 {
        let (by_world, by_process) = self.began;
        let at = match at.checked_duration_since(by_process) {
            Some(after) => by_world + after,
            None => by_world - by_process.duration_since(at),
        };
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

fn described(of: &Common, what: &What) -> (String, SpanKind, SpanId) {
    let method = method_of(&of.method);
    match what {
        What::Request(_) => (of.label.to_string(), SpanKind::Server, of.span),
        What::Baseline(..) => (format!("{method} baseline"), SpanKind::Client, of.baseline),
        What::Candidate(mirrored, _, span, _) => {
            (format!("{method} {}", mirrored.candidate), SpanKind::Client, *span)
        }
        What::Waited(_) => ("queue".to_owned(), SpanKind::Internal, SpanId::random()),
        What::Compared(_) => ("compare".to_owned(), SpanKind::Internal, SpanId::random()),
    }
}

fn told(of: &Common, what: &What) -> (Vec<KeyValue>, Vec<Link>, Option<Status>) {
    let (mut told, mut links, mut status) = (Vec::new(), Vec::new(), None);
    match what {
        What::Request(came) => {
            told.extend(route_of(of).map(|path| text("http.route", path)));
            status = of_http(&mut told, of, *came, StatusCode::is_server_error);
        }
        What::Baseline(server, came) => {
            of_server(&mut told, server);
            let failed = |status: &StatusCode| status.as_u16() >= 400;
            status = of_http(&mut told, of, *came, failed);
        }
        What::Candidate(mirrored, server, _, came) => {
            of_mirror(&mut told, mirrored);
            of_server(&mut told, server);
            let failed = |status: &StatusCode| status.as_u16() >= 400;
            status = of_http(&mut told, of, *came, failed);
            let link = Link {
                trace_id: of.parent.trace.0.to_vec(),
                span_id: of.baseline.0.to_vec(),
                trace_state: of.state.clone(),
                attributes: Vec::new(),
                dropped_attributes_count: 0,
                flags: u32::from(of.parent.is_sampled()) | KNOWS_PARENT,
            };
            links.push(link);
        }
        What::Waited(mirrored) | What::Compared(mirrored) => of_mirror(&mut told, mirrored),
    }
    (told, links, status)
}

fn of_http(
    told: &mut Vec<KeyValue>,
    of: &Common,
    came: Came,
    failed: fn(&StatusCode) -> bool,
) -> Option<Status> {
    told.push(text("http.request.method", method_of(&of.method)));
    if let Some(status) = came.status {
        told.push(number("http.response.status_code", status.as_u16().into()));
    }
    let by_status = came.status.filter(failed).map(|status| status.as_str().to_owned());
    let error = came.error.map(str::to_owned).or(by_status)?;
    told.push(text("error.type", &error));
    Some(Status { code: Code::Error as i32, message: String::new() })
}

fn of_server(told: &mut Vec<KeyValue>, server: &Server) {
    told.push(text("server.address", &server.host));
    told.push(number("server.port", server.port.into()));
    told.push(text("url.scheme", if server.tls { "https" } else { "http" }));
}

fn of_mirror(told: &mut Vec<KeyValue>, mirrored: &Mirrored) {
    told.push(KeyValue {
        key: "mirrorlab.mirror".to_owned(),
        value: Some(AnyValue { value: Some(Value::BoolValue(true)) }),
        ..KeyValue::default()
    });
    told.push(text("mirrorlab.candidate", &mirrored.candidate));
    told.push(text("mirrorlab.outcome", mirrored.outcome.name()));
}

/// The template of its path, where the label has one.
fn route_of(of: &Common) -> Option<&str> {
    let (_, path) = of.label.split_once(' ')?;
    path.starts_with('/').then_some(path)
}

/// What is none of the usual ones may be anything.
fn method_of(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "TRACE" | "PATCH"
        | "CONNECT") => known,
        _ => "_OTHER",
    }
}

pub(super) fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn number(key: &str, value: i64) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::IntValue(value)) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}
