//! The main path: route, baseline, client. Opens and completes the mirror's ticket.
//!
//! The functions stand in the order of a request's life. Bodies stream in both directions; what
//! the mirror keeps of them, it keeps beside.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, EXPECT, HOST, TRAILER, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body::Body;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use serde::Serialize;
use tracing::warn;

mod checked;
mod downstream;
mod expect;
mod nobody;
mod parcel;
mod tunnel;

pub use downstream::{Downstream, DownstreamBody};
pub use parcel::{Broken, Incomplete, Known, Parcel, Played, Upload};

use checked::{Checked, Withheld};
use downstream::InFlight;
use expect::{Expected, HeldBack};
use nobody::NoBody;
use tunnel::Tunnels;

use crate::body::{Tap, Tapped};
use crate::exchange::{Refusal, RequestSnapshot};
use crate::headers::{self, Forwarding, Peer};
use crate::limits::Limits;
use crate::limits::line_feeds::LineFeeds;
use crate::limits::pace::Paced;
use crate::limits::timed::Activity;
use crate::log_limit::LogLimit;
use crate::metrics::Metrics;
use crate::mirror::{Admitted, Arrived, BaselineTap, Chosen, Lanes, Mirror, RequestTap};
use crate::plan::{Found, Plan};
use crate::policy::matcher::Seen;
use crate::route::table::{Route, Routes};
use crate::upstream::{
    Anew, Error, OutBody, Sent, Upstream, UpstreamBody, empty_body, head_within,
};

mod refuse;

/// Settings of the main path.
#[derive(Clone, Debug)]
pub struct Config {
    /// From the request sent whole to the baseline's response head.
    pub baseline_timeout: Duration,
    /// How long an upload waits for the baseline to ask for it, where the client lets it.
    pub continue_patience: Duration,
    /// Which headers tell the upstreams who asked.
    pub forwarding: Forwarding,
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
    tunnels: Tunnels,
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
        let (in_flight, tunnels) = Default::default();
        Self { config, routes, baseline, mirror, metrics, in_flight, tunnels, failures }
    }

    /// Requests whose response is not whole yet.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Waits for the connections that left HTTP to end; how many did not within `limit` and are
    /// cut off.
    pub async fn close_tunnels(&self, limit: Duration) -> usize {
        self.tunnels.close(limit).await
    }

    /// Answers one request of a client.
    pub async fn handle(
        &self,
        mut request: Request<Incoming>,
        peer: &Peer,
        client: &Arc<AtomicUsize>,
        connection: &Activity,
    ) -> Response<Downstream> {
        let limits = &self.config.limits;
        if let Some(refusal) = refuse::by_head(&request, limits) {
            return self.refuse(refusal).map(Into::into);
        }
        if self.mirror.is_own_copy(request.headers()) {
            return self.refuse(Refusal::Loop).map(Into::into);
        }
        let in_flight = match InFlight::new(&self.in_flight, client, limits) {
            Ok(in_flight) => in_flight,
            Err(refusal) => return self.refuse(refusal).map(Into::into),
        };
        let lanes = self.mirror.lanes();
        let (found, route) = self.choose(&seen(&request, peer), &lanes);
        let Found { treatment, in_doubt, otherwise } = found;
        let record = found.record();
        let label = self.label_otherwise(&seen(&request, peer), &lanes.plan, found);
        let otherwise = label.as_deref().map(|label| (label, &*otherwise.policy.id));
        let chosen =
            Chosen { lanes: &lanes, treatment, in_doubt, otherwise, route: &route, record };
        let upgrade = Upgrade::asked_for(&mut request);
        // hyper's server can send a 100 over HTTP/1.1 only, and HTTP/1.0 has none.
        let may_wait = request.version() == Version::HTTP_11;
        let chunked = request.headers().contains_key(TRANSFER_ENCODING);
        let (request, taps) = self.admit(request, peer, chosen, upgrade.as_ref());
        let Taps { request: tap, baseline: mut baseline_tap, snapshot } = taps;
        let expected = may_wait.then(|| self.expected(&request)).flatten();
        let waiting = expected.as_ref().map(|expected| (expected, connection));
        let line_feeds = Arc::clone(connection.line_feeds());
        let plan = &lanes.plan;
        let upload = Uploading { tap, expected: waiting, snapshot, chunked, line_feeds, plan };
        let answer =
            self.call_baseline(request, upload, &route, &mut baseline_tap, upgrade.is_some());
        match answer.await {
            Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                self.switch(response, upgrade, in_flight)
            }
            Ok(response) => respond(response, baseline_tap)
                .map(|body| Downstream::new(body, Some(in_flight), expected)),
            Err(error) => self
                .respond_to_failure(&error, &route, baseline_tap)
                .map(|body| Downstream::new(body, Some(in_flight), expected)),
        }
    }

    /// An upload that waits for the baseline to ask for it.
    fn expected(&self, request: &Request<Incoming>) -> Option<Expected> {
        let waits = headers::expects_continue(request.headers())
            && declared(request.body()) != Some(0)
            // hyper tells of a 100 over HTTP/1.1 only; without one the upload would never start.
            && !self.baseline.speaks_http2(request);
        waits.then(Expected::default)
    }

    /// Leaves the two connections to each other.
    fn switch(
        &self,
        mut response: Response<UpstreamBody>,
        upgrade: Option<Upgrade>,
        in_flight: InFlight,
    ) -> Response<Downstream> {
        if let Some(Upgrade { client, .. }) = upgrade {
            let baseline = hyper::upgrade::on(&mut response);
            self.tunnels.open(client, baseline, in_flight);
        }
        let protocol = headers::upgrade(response.headers()).cloned();
        headers::strip_connection_level(response.headers_mut());
        if let Some(protocol) = protocol {
            headers::ask_upgrade(response.headers_mut(), protocol);
        }
        *response.version_mut() = Version::HTTP_11;
        response.map(|_| DownstreamBody::Ready(Full::default()).into())
    }

    fn refuse(&self, refusal: Refusal) -> Response<DownstreamBody> {
        self.metrics.count_refused(refusal);
        refuse::answer(refusal).map(DownstreamBody::Ready)
    }

    /// What holds for a request, and its route.
    fn choose<'l>(&self, seen: &Seen<'_>, lanes: &'l Lanes) -> (Found<'l>, Arc<Route>) {
        let plan = &lanes.plan;
        let labels = plan.labels();
        let mut label = |path: &str| labels.of(seen.method, path).into();
        let found = plan.of(seen, &mut label);
        let label = plan.label_of(found.treatment, seen.method, || seen.path());
        (found, self.routes.named(&label, plan.reserved()))
    }

    /// The label that a request would be counted by if its path were read in another way; `None` where
    /// nobody would.
    fn label_otherwise<'f>(
        &self,
        seen: &Seen<'_>,
        plan: &Plan,
        found: Found<'f>,
    ) -> Option<Cow<'f, str>> {
        let path = seen.path_read_otherwise().map(Cow::Owned);
        if path.is_none() && Arc::ptr_eq(found.treatment, found.otherwise) {
            return None;
        }
        let path = || path.unwrap_or_else(|| seen.path());
        let label = plan.label_of(found.otherwise, seen.method, path);
        Some(self.routes.counted_as(label, plan.reserved()))
    }

    /// Makes the request what the baseline gets, and asks the mirror.
    fn admit(
        &self,
        mut request: Request<Incoming>,
        peer: &Peer,
        chosen: Chosen<'_>,
        upgrade: Option<&Upgrade>,
    ) -> (Request<Incoming>, Taps) {
        let plan = &chosen.lanes.plan;
        let marked = Mirror::is_marked(plan, request.headers());
        if marked {
            Mirror::strip_mark(plan, request.headers_mut());
        }
        let length = declared(request.body());
        prepare(&mut request, peer, self.config.forwarding);
        let upgrades = upgrade.is_some();
        let (method, keep, lost) = (request.method(), None, None);
        let arrived =
            Arrived { method, marked, upgrade: upgrades, length, keep, known: None, lost };
        let (admitted, made) = self
            .mirror
            .admit(chosen, arrived, &seen(&request, peer), || snapshot(&request, length));
        let taps = Taps::of(admitted, made.filter(|_| length == Some(0)));
        if length.is_none() {
            headers::mark_chunked(request.headers_mut());
        }
        if let Some(Upgrade { protocol, .. }) = upgrade {
            headers::ask_upgrade(request.headers_mut(), protocol.clone());
        }
        (request, taps)
    }

    async fn call_baseline(
        &self,
        request: Request<Incoming>,
        upload: Uploading<'_>,
        route: &Route,
        tap: &mut Option<Vec<BaselineTap>>,
        may_switch: bool,
    ) -> Result<Response<UpstreamBody>, Error> {
        let sent = Arc::new(Sent::default());
        tap.iter_mut().flatten().for_each(|tap| tap.called(&sent));
        let streams = declared(request.body()) != Some(0);
        let answered = Arc::new(AtomicBool::new(false));
        let limits = &self.config.limits;
        let Uploading { tap: request_tap, expected, snapshot, chunked, line_feeds, plan } = upload;
        let mut request = request.map(|body| match request_tap {
            tap if streams => {
                let expected = expected.map(|(expected, _)| expected);
                let forwarding = self.config.forwarding;
                let withheld = Withheld { plan: Arc::clone(plan), forwarding };
                let body = Checked::new(body, &sent, chunked, line_feeds, withheld);
                let body = Paced::new(body, limits.read, Arc::clone(&answered));
                stream(body, &sent, limits.request_bytes, tap, expected)
            }
            Some(tap) => NoBody::new(Arc::clone(&sent), tap).boxed_unsync(),
            None => empty_body(),
        });
        let limit = self.config.baseline_timeout;
        if let Some((expected, _)) = expected {
            expected.watch(&mut request);
        }
        route.metrics.baseline.requests.increment(1);
        let anew =
            snapshot.map(|it| move || RequestSnapshot::clone(&it).into_request(empty_body()));
        let anew = anew.as_ref().map(|anew| anew as Anew<'_>);
        let call = self.baseline.send_anew(request, &sent, streams, anew);
        let call = head_within(limit, &sent, call);
        let answer = match expected {
            None => call.await,
            Some((expected, connection)) => {
                let patience = self.config.continue_patience;
                Box::pin(expected.within(patience, connection.client_goes_on(), call)).await
            }
        };
        answered.store(answer.is_ok(), Ordering::Relaxed);
        self.heads(answer, &sent, route, tap.iter_mut().flatten(), may_switch)
    }

    /// Looks at the head of the baseline's answer, and tells of it.
    fn heads<'t>(
        &self,
        answer: Result<Response<UpstreamBody>, Error>,
        sent: &Sent,
        route: &Route,
        taps: impl Iterator<Item = &'t mut BaselineTap>,
        may_switch: bool,
    ) -> Result<Response<UpstreamBody>, Error> {
        let response = match answer {
            Err(error @ Error::HeadTimeout) => {
                // The call was dropped before it could tell.
                self.baseline.note_failure(&error);
                return Err(error);
            }
            // Over HTTP/2 what breaks an upload off is not told with the error.
            Err(_) if sent.is_malformed() => return Err(Error::UploadMalformed),
            answer => answer?,
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS && !may_switch {
            return Err(Error::UnaskedUpgrade);
        }
        // An answer that came before the request was whole has no latency.
        let latency = sent.at().map(|sent| sent.elapsed());
        if let Some(latency) = latency {
            route.record_baseline(latency);
        }
        for tap in taps {
            tap.head(&response, latency.unwrap_or_default());
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
        tap: Option<Vec<BaselineTap>>,
    ) -> Response<DownstreamBody> {
        match error {
            Error::UploadTooLarge => return self.refuse(Refusal::BodyTooLarge),
            Error::UploadMalformed => return self.refuse(Refusal::Malformed),
            Error::UploadTooSlow => return self.refuse(Refusal::ReadTimeout),
            _ => {}
        }
        // Of a broken upload the client itself is the cause; dropping the tap says so.
        if !matches!(error, Error::Upload) {
            tap.into_iter().flatten().for_each(|tap| tap.no_answer(error));
            self.log_failure(&route.label, error.reason());
        }
        failure(error, self.baseline.role.name())
    }
}

/// The answer to a request that [`headers::is_malformed`].
pub fn malformed() -> Response<Downstream> {
    refuse::answer(Refusal::Malformed).map(|body| DownstreamBody::Ready(body).into())
}

/// Rewrites the head for the next hop.
fn prepare(request: &mut Request<Incoming>, peer: &Peer, forwarding: Forwarding) {
    let version = end_to_end(request);
    forwarding.tell(request.headers_mut(), peer, version);
}

/// Leaves of the head what is not for this hop alone; the version that it came in.
fn end_to_end<B>(request: &mut Request<B>) -> Version {
    // HTTP/2 says it in the request target, the next hop wants it as a header.
    if let Some(authority) =
        request.uri().authority().map(|authority| authority.as_str().to_owned())
        && let Ok(host) = HeaderValue::try_from(authority)
    {
        request.headers_mut().insert(HOST, host);
    }
    let version = std::mem::replace(request.version_mut(), Version::HTTP_11);
    let headers = request.headers_mut();
    if version == Version::HTTP_2 {
        headers::join_cookies(headers);
    }
    let takes_trailers = headers::takes_trailers(headers);
    headers::strip_connection_level(headers);
    headers::join_lengths(headers);
    if takes_trailers {
        headers::ask_trailers(headers);
    }
    version
}

/// Length of a body, 0 for none; `None` when only its end will tell. Over HTTP/2 the end of a body of
/// no bytes may be still to come.
fn declared(body: &Incoming) -> Option<u64> {
    if body.is_end_stream() { Some(0) } else { body.size_hint().exact() }
}

/// `Host` stays, for a candidate that is told the client's.
fn snapshot(request: &Request<Incoming>, length: Option<u64>) -> RequestSnapshot {
    let mut headers = request.headers().clone();
    if length != Some(0) {
        // The body of a copy is there already, as a whole and with nothing after it.
        headers.remove(EXPECT);
        headers.remove(TRAILER);
    }
    RequestSnapshot {
        method: request.method().clone(),
        uri: request.uri().clone(),
        headers,
        extensions: request.extensions().clone(),
    }
}

/// Who watches a request and its answer for the candidates; nobody where it is not mirrored.
struct Taps {
    request: Option<Vec<RequestTap>>,
    baseline: Option<Vec<BaselineTap>>,
    /// What the copies are made of; `None` where there is a body, of which it is only a part.
    snapshot: Option<Arc<RequestSnapshot>>,
}

impl Taps {
    fn of(admitted: Vec<Admitted>, snapshot: Option<Arc<RequestSnapshot>>) -> Self {
        if admitted.is_empty() {
            return Self { request: None, baseline: None, snapshot: None };
        }
        let (request, baseline) = admitted.into_iter().map(|it| (it.request, it.baseline)).unzip();
        Self { request: Some(request), baseline: Some(baseline), snapshot }
    }
}

/// What conditions see of a request.
fn seen<'r>(request: &'r Request<Incoming>, peer: &Peer) -> Seen<'r> {
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    Seen { method, uri, headers, client: peer.ip() }
}

/// Who watches a request, and who holds its upload back; or what it can be made of again.
struct Uploading<'a> {
    tap: Option<Vec<RequestTap>>,
    expected: Option<(&'a Expected, &'a Activity)>,
    snapshot: Option<Arc<RequestSnapshot>>,
    chunked: bool,
    line_feeds: Arc<LineFeeds>,
    plan: &'a Arc<Plan>,
}

fn stream(
    body: Paced<Checked>,
    sent: &Arc<Sent>,
    limit: Option<u64>,
    mirror: Option<Vec<RequestTap>>,
    expected: Option<&Expected>,
) -> OutBody {
    // More than the memory there is needs no limit.
    let left = limit.and_then(|limit| usize::try_from(limit).ok());
    let body = Tapped::new(body, UploadTap { sent: Arc::clone(sent), mirror, left });
    let body = match left {
        Some(limit) => Limited::new(body, limit).boxed_unsync(),
        None => body.boxed_unsync(),
    };
    match expected {
        None => body,
        Some(expected) => HeldBack::new(body, expected).boxed_unsync(),
    }
}

/// A client that asks for another protocol on its connection.
struct Upgrade {
    client: OnUpgrade,
    protocol: HeaderValue,
}

impl Upgrade {
    /// Read before the connection-level headers are gone. HTTP/1.0 has no upgrades.
    fn asked_for(request: &mut Request<Incoming>) -> Option<Self> {
        if request.version() != Version::HTTP_11 {
            return None;
        }
        let protocol = headers::upgrade(request.headers())?.clone();
        Some(Self { client: hyper::upgrade::on(request), protocol })
    }
}

fn respond(
    mut response: Response<UpstreamBody>,
    tap: Option<Vec<BaselineTap>>,
) -> Response<DownstreamBody> {
    headers::strip_connection_level(response.headers_mut());
    // The version says what this hop can do, whatever the baseline can.
    *response.version_mut() = Version::HTTP_11;
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
    mirror: Option<Vec<RequestTap>>,
    /// Bytes until the body is too large, and what is around this tap breaks it off.
    left: Option<usize>,
}

impl Tap for UploadTap {
    fn data(&mut self, chunk: &[u8]) {
        if let Some(left) = &mut self.left {
            let Some(rest) = left.checked_sub(chunk.len()) else {
                let taps = self.mirror.take();
                return taps.into_iter().flatten().for_each(RequestTap::too_large);
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
