//! OTLP on the wire: a batch over HTTP, as protobuf, or as a call of gRPC.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, TE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

use crate::exchange::Role;
use crate::upstream::{
    ClientIdentity, Dns, Sent, Target, Trust, Upstream, UpstreamBody, full_body,
};

/// The method of gRPC.
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Most that is read of an answer.
const ANSWER_MAX: usize = 64 << 10;
/// Longest pause that a collector may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(30);

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// How a batch is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A call of gRPC, over HTTP/2.
    Grpc,
    /// Protobuf, over HTTP/1.1.
    HttpProtobuf,
}

/// Where batches go.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    target: Target,
    path: PathAndQuery,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Endpoint({}, …)", self.target.authority())
    }
}

impl Endpoint {
    /// Reads an http or https URL, which is of spans alone or else of all signals.
    ///
    /// # Errors
    /// What is wrong with it; the text never repeats the URL.
    pub fn parse(url: &str, protocol: Protocol, is_of_spans: bool) -> Result<Self, String> {
        let (base, _) = url.split_once('?').unwrap_or((url, ""));
        // A fragment after the query is one too.
        let fragment = if url.contains('#') { "#" } else { "" };
        let mut target = Target::parse(&format!("{base}{fragment}"))?;
        let below = std::mem::take(&mut target.prefix);
        let path = match (protocol, is_of_spans) {
            (Protocol::Grpc, _) => format!("{below}{EXPORT}"),
            (Protocol::HttpProtobuf, false) => format!("{below}/v1/traces"),
            (Protocol::HttpProtobuf, true) => {
                let uri: Uri = url.parse().map_err(|_| "is no URL".to_owned())?;
                uri.path_and_query().map_or("/", PathAndQuery::as_str).to_owned()
            }
        };
        let path = path.parse().map_err(|_| "is no URL".to_owned())?;
        Ok(Self { target, path })
    }

    /// Shows this to a collector that asks for a client certificate.
    #[must_use]
    pub fn with_identity(mut self, client: Option<ClientIdentity>) -> Self {
        self.target.client = client;
        self
    }
}

/// How batches are sent.
#[derive(Clone, Debug)]
pub struct Wire {
    /// Where to.
    pub endpoint: Endpoint,
    /// How.
    pub protocol: Protocol,
    /// More headers; their values are often secrets.
    pub headers: HeaderMap,
    /// How long one try may take.
    pub timeout: Duration,
    /// Whether batches are compressed.
    pub gzip: bool,
    /// Whom an https collector is believed.
    pub trust: Trust,
}

/// Sends batches.
#[derive(Debug)]
pub struct Sender {
    collector: Arc<Upstream>,
    wire: Wire,
}

/// Why a batch was not taken.
#[derive(Debug)]
pub(super) enum Failed {
    /// The collector does not want it.
    Refused(String),
    /// It may be taken later: after this time, where the collector says so.
    Away(String, Option<Duration>),
}

impl Sender {
    /// Opens no connection yet.
    ///
    /// # Errors
    /// For https, when the system has no usable root certificates.
    pub fn new(wire: Wire, connect_timeout: Duration, dns: Dns) -> io::Result<Self> {
        let target = wire.endpoint.target.clone();
        let (role, connect) = (Role::Candidate, connect_timeout.min(wire.timeout));
        let collector = Upstream::new(role, target, &wire.trust, connect, dns)?;
        Ok(Self { collector, wire })
    }

    /// Sends a batch once; how many of its spans were refused.
    pub(super) async fn send(&self, batch: &Bytes) -> Result<u64, Failed> {
        let away = |why: &str| Failed::Away(why.to_owned(), None);
        let talk = async {
            let request =
                self.request(batch).map_err(|error| Failed::Refused(error.to_string()))?;
            let answer = self.collector.send(request, &Sent::default(), false).await;
            let answer = answer.map_err(|error| away(error.reason()))?;
            match self.wire.protocol {
                Protocol::Grpc => called(answer).await,
                Protocol::HttpProtobuf => posted(answer).await,
            }
        };
        let talked = tokio::time::timeout(self.wire.timeout, talk).await;
        talked.unwrap_or_else(|_| Err(away("no answer in time")))
    }

    fn request(&self, batch: &Bytes) -> io::Result<Request<crate::upstream::OutBody>> {
        let Wire { endpoint, protocol, headers, gzip, .. } = &self.wire;
        let body = if *gzip { compressed(batch)? } else { batch.clone() };
        let (media, encoding, body) = match protocol {
            Protocol::Grpc => ("application/grpc", GRPC_ENCODING, framed(&body, *gzip)?),
            Protocol::HttpProtobuf => ("application/x-protobuf", CONTENT_ENCODING, body),
        };
        let mut request = Request::new(full_body(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from(endpoint.path.clone());
        let lines = request.headers_mut();
        lines.extend(headers.clone());
        lines.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        lines.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        if *gzip {
            lines.insert(encoding, HeaderValue::from_static("gzip"));
        }
        if *protocol == Protocol::Grpc {
            lines.insert(TE, HeaderValue::from_static("trailers"));
        }
        Ok(request)
    }
}

fn compressed(batch: &[u8]) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(batch)?;
    encoder.finish().map(Bytes::from)
}

/// A message of gRPC.
fn framed(message: &[u8], is_compressed: bool) -> io::Result<Bytes> {
    let length = u32::try_from(message.len()).map_err(io::Error::other)?;
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(is_compressed.into());
    frame.put_u32(length);
    frame.put_slice(message);
    Ok(frame.freeze())
}

/// What an answer says of spans that were refused; one that cannot be read says nothing.
fn refused(message: &[u8]) -> u64 {
    let answer = ExportTraceServiceResponse::decode(message).unwrap_or_default();
    let refused = answer.partial_success.map_or(0, |it| it.rejected_spans);
    u64::try_from(refused).unwrap_or(0)
}

async fn posted(answer: Response<UpstreamBody>) -> Result<u64, Failed> {
    let (head, body) = answer.into_parts();
    let why = format!("status {}", head.status.as_u16());
    match head.status {
        status if status.is_success() => {
            let body = Limited::new(body, ANSWER_MAX).collect().await;
            Ok(body.map_or(0, |whole| refused(&whole.to_bytes())))
        }
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Err(Failed::Away(why, pause(&head.headers))),
        _ => Err(Failed::Refused(why)),
    }
}

fn pause(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(PAUSE_MAX))
}

async fn called(answer: Response<UpstreamBody>) -> Result<u64, Failed> {
    let (head, body) = answer.into_parts();
    if head.status != StatusCode::OK {
        return Err(Failed::Away(format!("status {}", head.status.as_u16()), None));
    }
    let whole = Limited::new(body, ANSWER_MAX).collect().await;
    let whole = whole.map_err(|_| Failed::Away("answer broken off".to_owned(), None))?;
    let trailers = whole.trailers().unwrap_or(&head.headers);
    let status = trailers.get(GRPC_STATUS).or_else(|| head.headers.get(GRPC_STATUS));
    let status = status.and_then(|it| it.to_str().ok()?.parse::<u32>().ok());
    let why = |code: u32| format!("gRPC status {code}");
    match status {
        Some(0) => Ok(whole.to_bytes().get(5..).map_or(0, refused)),
        // Cancelled, deadline exceeded, resource exhausted, aborted, out of range, unavailable, data loss.
        Some(code @ (1 | 4 | 8 | 10 | 11 | 14 | 15)) => Err(Failed::Away(why(code), None)),
        Some(code) => Err(Failed::Refused(why(code))),
        None => Err(Failed::Away("answer without a gRPC status".to_owned(), None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_all_signals_leads_to_that_of_spans_and_their_own_is_used_as_it_is() {
        use Protocol::{Grpc, HttpProtobuf};
        for (url, protocol, is_of_spans, authority, path) in [
            ("http://c:4318", HttpProtobuf, false, "c:4318", "/v1/traces"),
            ("http://c:4318/", HttpProtobuf, false, "c:4318", "/v1/traces"),
            ("https://c/otlp/", HttpProtobuf, false, "c", "/otlp/v1/traces"),
            ("http://c:4318", HttpProtobuf, true, "c:4318", "/"),
            ("http://c:4318/in/?k=s3cret", HttpProtobuf, true, "c:4318", "/in/?k=s3cret"),
            ("http://c:4317", Grpc, false, "c:4317", EXPORT),
            ("http://c:4317/", Grpc, true, "c:4317", EXPORT),
        ] {
            let endpoint = Endpoint::parse(url, protocol, is_of_spans).unwrap();
            assert_eq!((&*endpoint.target.authority(), endpoint.path.as_str()), (authority, path));
            assert!(!format!("{endpoint:?}").contains("s3cret"));
        }
        for url in ["c:4317", "ftp://c/s3cret", "http://u:s3cret@c/", "http://c/?a#s3cret"] {
            let why = Endpoint::parse(url, Grpc, false).unwrap_err();
            assert!(!why.contains("s3cret"), "{why}");
        }
    }
}
