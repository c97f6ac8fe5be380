//! Requests whose client has its answer already: the same admission, the same baseline and the same taps,
//! with nobody who waits for what comes of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT, HOST, TRAILER, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use traffic::{Body, Clock};

use super::checked::{Checked, Withheld};
use super::nobody::NoBody;
use super::{Downstream, Forward, Taps, UploadTap, declared, end_to_end, refuse, snapshot};
use crate::body::{Tap, Tapped};
use crate::exchange::{Outcome, Refusal, RequestSnapshot};
use crate::headers;
use crate::limits::Limits;
use crate::limits::pace::{Paced, TooSlow};
use crate::limits::timed::Activity;
use crate::mirror::{Arrived, BaselineTap, Chosen, Keep, Lanes, Origin, RequestTap};
use crate::plan::Found;
use crate::policy::matcher::Seen;
use crate::route::table::Route;
use crate::upstream::{Anew, OutBody, Sent, UpstreamBody, empty_body, head_within};

/// What Envoy puts behind the host of a request that it mirrors.
const SHADOW: &[u8] = b"-shadow";

/// A request that is whole.
#[derive(Debug)]
pub struct Parcel {
    /// All but its body, as it goes on.
    pub head: RequestSnapshot,
    /// Its body, as the client sent it.
    pub body: Bytes,
    /// Who sent it.
    pub client: IpAddr,
}

/// A request of which it is known what the baseline answered: nobody asks it again.
#[derive(Debug)]
pub struct Played {
    /// All but its body, as it goes on.
    pub head: RequestSnapshot,
    /// When it began.
    pub at: SystemTime,
    /// Who sent it.
    pub client: IpAddr,
    /// A number that all have which came over its connection.
    pub connection: Option<u64>,
    /// Its body, as it was sent.
    pub body: Body,
    /// The answer.
    pub answer: Known,
}

/// What the baseline answered, where that is known already.
#[derive(Debug)]
pub struct Known {
    /// Status and header lines.
    pub head: Response<()>,
    /// From the request sent whole to this head; zero where nobody knows.
    pub latency: Duration,
    /// The body, as it was sent.
    pub body: Body,
    /// What came behind it.
    pub trailers: HeaderMap,
    /// By which the latency was measured.
    pub clock: Clock,
}

impl Played {
    /// Why there can be no copy: it would not be the request, or there is nothing to hold its answer against.
    pub fn lost(&self) -> Option<Outcome> {
        match (&self.body, &self.answer.body) {
            (Body::NotKept(_), _) => Some(Outcome::BodyTooLarge),
            (_, Body::NotKept(_)) => Some(Outcome::BaselineFailed),
            (Body::Whole(_), Body::Whole(_)) => None,
        }
    }

    fn length(&self) -> Option<u64> {
        match &self.body {
            Body::Whole(bytes) => Some(bytes.len() as u64),
            Body::NotKept(length) => *length,
        }
    }
}

impl Known {
    /// Tells it to whoever watches the baseline's answer.
    fn tell(&self, mut tap: BaselineTap) {
        tap.head(&self.head, self.latency);
        let bytes = match &self.body {
            Body::Whole(bytes) => bytes,
            Body::NotKept(length) => return tap.not_kept(*length),
        };
        if !bytes.is_empty() {
            tap.data(bytes);
        }
        if !self.trailers.is_empty() {
            tap.trailers(&self.trailers);
        }
        tap.end();
    }
}

/// A request that is on its way to be whole.
#[derive(Debug)]
pub struct Incomplete {
    /// All but its body, as it goes on.
    pub head: RequestSnapshot,
    /// Whether it asks for another protocol.
    pub upgrade: bool,
    /// The rest of it.
    pub upload: Upload,
}

/// A body that nobody waits for but us.
#[derive(Debug)]
pub struct Upload {
    /// Its length in bytes, where it says so.
    pub length: Option<u64>,
    /// Its client waits to be asked for it, and was not.
    waits: bool,
    body: Paced<Checked>,
    sent: Arc<Sent>,
}

/// Why a body is never whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Its client left.
    Left,
    /// It is no HTTP, or too slow.
    Refused(Refusal),
}

impl Upload {
    /// The next bytes of the body; `None` at its end.
    ///
    /// # Errors
    /// Where it broke off.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, Broken>> {
        self.waits = false;
        loop {
            match self.body.frame().await? {
                // A copy has no trailers either.
                Ok(frame) => match frame.into_data() {
                    Ok(data) => return Some(Ok(data)),
                    Err(_) => continue,
                },
                Err(_) if self.sent.is_malformed() => {
                    return Some(Err(Broken::Refused(Refusal::Malformed)));
                }
                Err(error) if error.is::<TooSlow>() => {
                    return Some(Err(Broken::Refused(Refusal::ReadTimeout)));
                }
                Err(_) => return Some(Err(Broken::Left)),
            }
        }
    }

    /// Reads what is left and keeps nothing of it. Who waits to be asked for it sends no more.
    pub async fn discard(mut self) {
        if self.waits {
            return;
        }
        while let Some(Ok(_)) = self.chunk().await {}
    }
}

impl Forward {
    /// Takes the head of a request that is to be whole before anybody is asked.
    ///
    /// # Errors
    /// Why it is refused for what it is.
    pub fn take(
        &self,
        mut request: Request<Incoming>,
        connection: &Activity,
    ) -> Result<Incomplete, Refusal> {
        // However long its body is, it is answered.
        let limits = Limits { request_bytes: None, ..self.config.limits.clone() };
        let looped = || self.mirror.is_own_copy(request.headers()).then_some(Refusal::Loop);
        if let Some(refusal) = refuse::by_head(&request, &limits).or_else(looped) {
            return Err(refusal);
        }
        let upgrade = headers::upgrade(request.headers()).is_some();
        let waits = headers::expects_continue(request.headers());
        let chunked = request.headers().contains_key(TRANSFER_ENCODING);
        // Nobody will leave HTTP here, whoever asks for it.
        drop(hyper::upgrade::on(&mut request));
        end_to_end(&mut request);
        names_the_original(&mut request);
        let length = declared(request.body());
        let mut head = snapshot(&request, length);
        // Of a body that is there as a whole.
        [EXPECT, TRAILER].into_iter().for_each(|name| drop(head.headers.remove(name)));
        let sent = Arc::new(Sent::default());
        let withheld = Withheld {
            plan: Arc::clone(&self.mirror.lanes().plan),
            forwarding: self.config.forwarding,
        };
        let line_feeds = Arc::clone(connection.line_feeds());
        let body = Checked::new(request.into_body(), &sent, chunked, line_feeds, withheld);
        let body = Paced::new(body, limits.read, Arc::new(AtomicBool::new(false)));
        Ok(Incomplete { head, upgrade, upload: Upload { length, waits, body, sent } })
    }

    /// Counts a refusal; the answer.
    pub fn refuse_parcel(&self, refusal: Refusal) -> Response<Downstream> {
        self.refuse(refusal).map(Into::into)
    }

    /// The most bytes that any candidate takes of such a request's body.
    pub fn body_limit(&self, head: &RequestSnapshot, client: IpAddr) -> usize {
        let lanes = self.mirror.lanes();
        let (found, _) = self.choose(&seen(head, client), &lanes);
        let terms = found.treatment.terms.iter().flatten();
        terms.map(|terms| terms.max_body_bytes).max().unwrap_or(0)
    }

    /// Counts a request that no candidate will get for this reason, where none is found before.
    pub fn lose(&self, head: &RequestSnapshot, client: IpAddr, upgrade: bool, why: Outcome) {
        let arrived = Arrived {
            method: &head.method,
            marked: false,
            upgrade,
            length: None,
            keep: None,
            known: None,
            lost: Some(why),
        };
        let lanes = self.mirror.lanes();
        self.admit_parcel(head, client, &lanes, arrived, |_, admitted| drop(admitted));
    }

    /// Asks the candidates that are to get it, and the baseline if there is one of those. `keep` is let go
    /// of with the last of it.
    pub async fn relay(&self, parcel: Parcel, keep: Keep) {
        let Parcel { head, body, client } = parcel;
        let length = Some(body.len() as u64);
        let arrived = whole(&head, length, &keep);
        let lanes = self.mirror.lanes();
        let asked = self.admit_parcel(&head, client, &lanes, arrived, |chosen, taps| {
            let mut head = RequestSnapshot::clone(taps.snapshot.as_ref()?);
            self.mirror.mark_relayed(chosen.treatment, &mut head.headers);
            if !body.is_empty() {
                head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
            }
            Some((head, Arc::clone(chosen.route), taps))
        });
        // What no candidate gets, nobody would compare.
        let Some((head, route, taps)) = asked else { return };
        let Taps { request, baseline, .. } = taps;
        let call = self.ask_baseline(head, body, &route, (request, baseline));
        // Each step of it has a limit of its own, but for an upload that is not taken, and for an answer
        // that does not end.
        if tokio::time::timeout(self.config.baseline_timeout * 2, call).await.is_err() {
            self.log_failure(&route.label, "no whole answer in time");
        }
    }

    /// As [`Self::relay`], with the baseline's answer known: nobody asks it again.
    pub fn play(&self, played: &Played, keep: &Keep) {
        let Played { head, at, client, connection, body, answer } = played;
        let known = Origin { at: *at, connection: *connection, clock: answer.clock };
        let (known, lost) = (Some(known), played.lost());
        let arrived = Arrived { known, lost, ..whole(head, played.length(), keep) };
        let lanes = self.mirror.lanes();
        let taps = self.admit_parcel(head, *client, &lanes, arrived, |_, taps| taps);
        // The answer first: a copy that is sent waits for nothing then.
        taps.baseline.into_iter().flatten().for_each(|tap| answer.tell(tap));
        for mut tap in taps.request.into_iter().flatten() {
            match body {
                Body::Whole(bytes) if bytes.is_empty() => tap.end(),
                Body::Whole(bytes) => {
                    tap.data(bytes);
                    tap.end();
                }
                Body::NotKept(length) => tap.not_kept(*length),
            }
        }
    }

    /// Decides on a request, and hands on what watches it.
    fn admit_parcel<T>(
        &self,
        head: &RequestSnapshot,
        client: IpAddr,
        lanes: &Arc<Lanes>,
        arrived: Arrived<'_>,
        then: impl FnOnce(Chosen<'_>, Taps) -> T,
    ) -> T {
        let seen = seen(head, client);
        let (found, route) = self.choose(&seen, lanes);
        let Found { treatment, in_doubt, otherwise } = found;
        let record = found.record();
        let label = self.label_otherwise(&seen, &lanes.plan, found);
        let otherwise = label.as_deref().map(|label| (label, &*otherwise.policy.id));
        let chosen = Chosen { lanes, treatment, in_doubt, otherwise, route: &route, record };
        let (admitted, made) = self.mirror.admit(chosen, arrived, &seen, || head.clone());
        then(chosen, Taps::of(admitted, made))
    }

    async fn ask_baseline(
        &self,
        head: RequestSnapshot,
        body: Bytes,
        route: &Route,
        (request_taps, baseline_taps): (Option<Vec<RequestTap>>, Option<Vec<BaselineTap>>),
    ) {
        let (sent, streams) = (Arc::new(Sent::default()), !body.is_empty());
        let mut taps = baseline_taps.unwrap_or_default();
        taps.iter_mut().for_each(|tap| tap.called(&sent));
        let again = (!streams).then(|| head.clone());
        let again = again.map(|head| move || head.clone().into_request(empty_body()));
        let again = again.as_ref().map(|again| again as Anew<'_>);
        let request = head.into_request(out_body(body, &sent, request_taps));
        route.metrics.baseline.requests.increment(1);
        let call = self.baseline.send_anew(request, &sent, streams, again);
        let answer = head_within(self.config.baseline_timeout, &sent, call).await;
        match self.heads(answer, &sent, route, taps.iter_mut(), false) {
            Ok(response) => read_to_the_end(Tapped::new(response.into_body(), taps)).await,
            Err(error) => {
                taps.into_iter().for_each(|tap| tap.no_answer(&error));
                self.log_failure(&route.label, error.reason());
            }
        }
    }
}

/// A request that is whole, and that nobody waits for.
fn whole<'a>(head: &'a RequestSnapshot, length: Option<u64>, keep: &'a Keep) -> Arrived<'a> {
    let (marked, upgrade, known, keep) = (false, false, None, Some(keep));
    Arrived { method: &head.method, marked, upgrade, length, keep, known, lost: None }
}

fn out_body(body: Bytes, sent: &Arc<Sent>, taps: Option<Vec<RequestTap>>) -> OutBody {
    if body.is_empty() {
        return NoBody::new(Arc::clone(sent), taps.unwrap_or_default()).boxed_unsync();
    }
    let body = Full::new(body).map_err(|never| match never {});
    Tapped::new(body, UploadTap { sent: Arc::clone(sent), mirror: taps, left: None }).boxed_unsync()
}

/// The taps see it all.
async fn read_to_the_end(mut body: Tapped<UpstreamBody, Vec<BaselineTap>>) {
    while let Some(Ok(_)) = body.frame().await {}
}

fn seen(head: &RequestSnapshot, client: IpAddr) -> Seen<'_> {
    Seen { method: &head.method, uri: &head.uri, headers: &head.headers, client }
}

/// `Host` alone says whom it is for, as it was before it was mirrored: `shop-shadow:81` is for `shop:81`.
fn names_the_original<B>(request: &mut Request<B>) {
    if request.uri().authority().is_some() {
        let path = request.uri().path_and_query().cloned();
        let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from(path);
    }
    let host = request.headers().get(HOST).and_then(|host| original(host.as_bytes()));
    if let Some(host) = host {
        request.headers_mut().insert(HOST, host);
    }
}

fn original(host: &[u8]) -> Option<HeaderValue> {
    let digits = host.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (name, port) = match host[..host.len() - digits].strip_suffix(b":") {
        Some(name) => host.split_at(name.len()),
        None => (host, &b""[..]),
    };
    let name = name.strip_suffix(SHADOW).filter(|name| !name.is_empty())?;
    HeaderValue::from_bytes(&[name, port].concat()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_envoy_puts_behind_a_host_is_taken_off_once() {
        for (host, expected) in [
            ("shop-shadow", Some("shop")),
            ("shop.example-shadow:8080", Some("shop.example:8080")),
            ("shop-shadow-shadow", Some("shop-shadow")),
            ("10.0.0.1-shadow:80", Some("10.0.0.1:80")),
            ("shop-shadow:", Some("shop:")),
            ("shop", None),
            ("shop:8080", None),
            ("shop-shadow.example", None),
            ("-shadow", None),
            ("shop-shadow1", None),
            ("", None),
        ] {
            let original = original(host.as_bytes());
            assert_eq!(original.as_ref().map(HeaderValue::as_bytes), expected.map(str::as_bytes));
        }
    }

    #[test]
    fn the_host_of_a_whole_url_goes_into_the_host_line() {
        let request = |target: &str| Request::builder().uri(target).header(HOST, "shop-shadow:81");
        for (target, path) in [("/a?b", "/a?b"), ("http://x-shadow/a?b", "/a?b"), ("*", "*")] {
            let mut request = request(target).body(()).unwrap();
            end_to_end(&mut request);
            names_the_original(&mut request);
            assert_eq!(request.uri().to_string(), path);
            let host = if target.starts_with("http") { "x" } else { "shop:81" };
            assert_eq!(request.headers()[HOST], host);
        }
    }
}
