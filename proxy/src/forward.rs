//! The main path: route, baseline, client. Opens and completes the mirror's ticket.
//!
//! The functions stand in the order of a request's life. Bodies stream in both directions; what
//! the mirror keeps of them, it keeps beside.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, EXPECT, HOST};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use serde::Serialize;
use tracing::warn;

use crate::body::{Tap, Tapped};
use crate::exchange::RequestSnapshot;
use crate::headers;
use crate::limits::Limits;
use crate::limits::timed::Busy;
use crate::log_limit::LogLimit;
use crate::metrics::{Metrics, Refusal};
use crate::mirror::{Admitted, Arrived, BaselineTap, Head, Mirror, RequestTap};
use crate::route::table::{Route, Routes};
use crate::upstream::{
    BoxError, Error, OutBody, Sent, Upstream, UpstreamBody, empty_body, head_within,
};

mod refuse;

/// Settings of the main path.
#[derive(Clone, Debug)]
pub struct Config {
    /// To connect to the baseline, and again from the request sent whole to the response head.
    pub baseline_timeout: Duration,
    /// What clients may take.
    pub limits: Limits,
}

/// The main path of one proxy.
#[derive(Debug)]
pub struct Forward {
    config: Config,
    routes: Routes,
    baseline: Arc<Upstream>,
    mirror: Arc<Mirror>,
    metrics: Arc<Metrics>,
    in_flight: Arc<AtomicUsize>,
    failures: LogLimit,
}

impl Forward {
    /// The main path over its parts.
    pub fn new(
        config: Config,
        routes: Routes,
        baseline: Arc<Upstream>,
        mirror: Arc<Mirror>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let failures = LogLimit::new(Duration::from_secs(5));
        let in_flight = Arc::default();
        Self { config, routes, baseline, mirror, metrics, in_flight, failures }
    }

    /// Requests whose response is not whole yet.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Answers one request of a client at `peer`.
    pub async fn handle(&self, request: Request<Incoming>, peer: IpAddr) -> Response<Downstream> {
        let limits = &self.config.limits;
        if let Some(refusal) = refuse::by_head(&request, limits) {
            return self.refuse(refusal).map(Into::into);
        }
        let Some(in_flight) = InFlight::new(&self.in_flight, limits.requests_in_flight) else {
            return self.refuse(Refusal::RequestsInFlight).map(Into::into);
        };
        let route = self.routes.of(request.method(), request.uri().path());
        let (request, admitted) = self.admit(request, peer, &route);
        let (request_tap, mut baseline_tap) = match admitted {
            Some(Admitted { request, baseline }) => (request, Some(baseline)),
            None => (None, None),
        };
        let answer = self.call_baseline(request, request_tap, &route, &mut baseline_tap).await;
        let response = match answer {
            Ok(response) => respond(response, baseline_tap),
            Err(error) => self.respond_to_failure(&error, &route, baseline_tap),
        };
        response.map(|body| Downstream { body, _in_flight: Some(in_flight), busy: None })
    }

    fn refuse(&self, refusal: Refusal) -> Response<DownstreamBody> {
        self.metrics.count_refused(refusal);
        refuse::answer(refusal).map(DownstreamBody::Ready)
    }

    /// Makes the request what the baseline gets, and asks the mirror.
    fn admit(
        &self,
        mut request: Request<Incoming>,
        peer: IpAddr,
        route: &Arc<Route>,
    ) -> (Request<Incoming>, Option<Admitted>) {
        let marked = self.mirror.is_marked(request.headers());
        let upgrade = headers::is_upgrade(request.headers());
        let length = if request.body().is_end_stream() {
            Some(0)
        } else {
            request.body().size_hint().exact()
        };
        prepare(&mut request, peer);
        let arrived = Arrived { method: request.method(), marked, upgrade, length };
        let admitted = self.mirror.admit(route, arrived, || snapshot(&request));
        if length.is_none() {
            headers::mark_chunked(request.headers_mut());
        }
        (request, admitted)
    }

    async fn call_baseline(
        &self,
        request: Request<Incoming>,
        request_tap: Option<RequestTap>,
        route: &Route,
        tap: &mut Option<BaselineTap>,
    ) -> Result<Response<UpstreamBody>, Error> {
        let sent = Arc::new(Sent::default());
        let streams = !request.body().is_end_stream();
        let limit = self.config.limits.request_bytes;
        let request = request.map(|body| upload(body, streams, &sent, limit, request_tap));
        route.metrics.baseline.requests.increment(1);
        let call = self.baseline.send(request, &sent, streams);
        let response = head_within(self.config.baseline_timeout, &sent, call).await?;
        // An answer that came before the request was whole has no latency.
        let latency = sent.at().map(|sent| sent.elapsed());
        if let Some(latency) = latency {
            route.record_baseline(latency);
        }
        if let Some(tap) = tap {
            tap.head(Head::of(&response, latency.unwrap_or_default()));
        }
        Ok(response)
    }

    /// Notes that a response ended in the middle, which its client sees as a broken transfer.
    pub fn note_broken_response(&self) {
        self.log_failure("unknown", "connection closed in the middle of a response");
    }

    fn log_failure(&self, route: &str, reason: &str) {
        if let Some(before) = self.failures.admit(std::time::Instant::now()) {
            warn!(route, reason, not_logged_before = before, "the baseline failed");
        }
    }

    fn respond_to_failure(
        &self,
        error: &Error,
        route: &Route,
        tap: Option<BaselineTap>,
    ) -> Response<DownstreamBody> {
        if matches!(error, Error::UploadTooLarge) {
            return self.refuse(Refusal::BodyTooLarge);
        }
        // Of a broken upload the client itself is the cause; dropping the tap says so.
        if !matches!(error, Error::Upload) {
            if let Some(tap) = tap {
                tap.no_answer();
            }
            self.log_failure(&route.label, error.reason());
        }
        failure(error, self.baseline.role.name())
    }
}

/// Rewrites the head for the next hop.
fn prepare(request: &mut Request<Incoming>, peer: IpAddr) {
    // HTTP/2 says it in the request target, the next hop wants it as a header.
    if let Some(authority) =
        request.uri().authority().map(|authority| authority.as_str().to_owned())
        && let Ok(host) = HeaderValue::try_from(authority)
    {
        request.headers_mut().insert(HOST, host);
    }
    *request.version_mut() = Version::HTTP_11;
    headers::strip_connection_level(request.headers_mut());
    headers::add_forwarded(request.headers_mut(), peer, "http");
}

fn snapshot(request: &Request<Incoming>) -> RequestSnapshot {
    let mut headers = request.headers().clone();
    headers.remove(EXPECT);
    headers.remove(HOST);
    RequestSnapshot {
        method: request.method().clone(),
        uri: request.uri().clone(),
        headers,
        extensions: request.extensions().clone(),
    }
}

fn upload(
    body: Incoming,
    streams: bool,
    sent: &Arc<Sent>,
    limit: Option<u64>,
    mirror: Option<RequestTap>,
) -> OutBody {
    if !streams {
        return empty_body();
    }
    // More than the memory there is needs no limit.
    let left = limit.and_then(|limit| usize::try_from(limit).ok());
    let body = Tapped::new(body, UploadTap { sent: Arc::clone(sent), mirror, left });
    match left {
        Some(limit) => Limited::new(body, limit).boxed_unsync(),
        None => body.map_err(Into::into).boxed_unsync(),
    }
}

fn respond(
    mut response: Response<UpstreamBody>,
    tap: Option<BaselineTap>,
) -> Response<DownstreamBody> {
    headers::strip_connection_level(response.headers_mut());
    response.map(|body| match tap {
        Some(tap) => DownstreamBody::Watched(Tapped::new(body, tap)),
        None => DownstreamBody::Plain(body),
    })
}

#[derive(Serialize)]
struct Failure<'a> {
    error: &'a str,
    upstream: &'a str,
    reason: &'a str,
}

fn failure(error: &Error, upstream: &str) -> Response<DownstreamBody> {
    let (status, text) = if error.is_timeout() {
        (StatusCode::GATEWAY_TIMEOUT, "gateway timeout")
    } else {
        (StatusCode::BAD_GATEWAY, "bad gateway")
    };
    let failure = Failure { error: text, upstream, reason: error.reason() };
    let json = serde_json::to_vec(&failure).expect("three strings are JSON");
    let mut response = Response::new(DownstreamBody::Ready(Full::new(Bytes::from(json))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Watches the request body for the clock of the call, and for the mirror.
struct UploadTap {
    sent: Arc<Sent>,
    mirror: Option<RequestTap>,
    /// Bytes until the body is too large, and what is around this tap breaks it off.
    left: Option<usize>,
}

impl Tap for UploadTap {
    fn data(&mut self, chunk: &[u8]) {
        if let Some(left) = &mut self.left {
            let Some(rest) = left.checked_sub(chunk.len()) else {
                return self.mirror.take().map_or((), RequestTap::too_large);
            };
            *left = rest;
        }
        if let Some(tap) = &mut self.mirror {
            tap.data(chunk);
        }
    }

    fn end(&mut self) {
        self.sent.mark();
        if let Some(tap) = &mut self.mirror {
            tap.end();
        }
    }

    fn failed(&mut self) {
        if let Some(tap) = &mut self.mirror {
            tap.failed();
        }
    }
}

/// Counts a request as in flight while it lives.
#[derive(Debug)]
struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    /// `None` when `limit` are in flight already.
    fn new(count: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        let before = count.fetch_add(1, Ordering::Relaxed);
        let counted = Self(Arc::clone(count));
        (before < limit).then_some(counted)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of a response to a client.
#[derive(Debug)]
pub struct Downstream {
    body: DownstreamBody,
    _in_flight: Option<InFlight>,
    busy: Option<Busy>,
}

impl Downstream {
    /// The connection is busy with this until it is written.
    #[must_use]
    pub fn keeping(mut self, busy: Busy) -> Self {
        self.busy = Some(busy);
        self
    }
}

/// Where a response body comes from.
#[derive(Debug)]
pub enum DownstreamBody {
    /// From the baseline, not mirrored.
    Plain(UpstreamBody),
    /// From the baseline, with the mirror watching.
    Watched(Tapped<UpstreamBody, BaselineTap>),
    /// From the proxy itself.
    Ready(Full<Bytes>),
    /// From the admin endpoints.
    Admin(axum::body::Body),
}

impl From<DownstreamBody> for Downstream {
    fn from(body: DownstreamBody) -> Self {
        Self { body, _in_flight: None, busy: None }
    }
}

impl Body for Downstream {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        fn boxed<E: Into<BoxError>>(
            polled: Poll<Option<Result<Frame<Bytes>, E>>>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            polled.map_err(Into::into)
        }
        match &mut self.body {
            DownstreamBody::Plain(body) => boxed(Pin::new(body).poll_frame(cx)),
            DownstreamBody::Watched(body) => boxed(Pin::new(body).poll_frame(cx)),
            DownstreamBody::Ready(body) => boxed(Pin::new(body).poll_frame(cx)),
            DownstreamBody::Admin(body) => boxed(Pin::new(body).poll_frame(cx)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            DownstreamBody::Plain(body) => body.is_end_stream(),
            DownstreamBody::Watched(body) => body.is_end_stream(),
            DownstreamBody::Ready(body) => body.is_end_stream(),
            DownstreamBody::Admin(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            DownstreamBody::Plain(body) => body.size_hint(),
            DownstreamBody::Watched(body) => body.size_hint(),
            DownstreamBody::Ready(body) => body.size_hint(),
            DownstreamBody::Admin(body) => body.size_hint(),
        }
    }
}
