//! What is taken of an exchange on its way, and what becomes of it on the thread that records.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use compare::{Difference, RouteRules};
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderValue, StatusCode};
use traffic::{Answer, Body, Clock, Exchange, Moment, Pair, Request};
use transform::CopyRequest;
use transform::parts::Fault;
use transform::redact::Policy;

use super::masked::Hidden;
use crate::body::{Capture, Held, ReplyBody};
use crate::exchange::{Outcome, RequestSnapshot};
use crate::headers::target;
use crate::policy::record::{Bodies, Record};

/// What is known of an exchange from the start.
#[derive(Debug)]
pub struct About {
    /// What is recorded of it.
    pub record: Record,
    /// Whether it is recorded whatever came of it; else only where a pair differs.
    pub is_sampled: bool,
    /// When its request came.
    pub at: SystemTime,
    /// Who sent it.
    pub client: IpAddr,
    /// Over which connection, where its source says so.
    pub connection: Option<u64>,
    /// By which the baseline's latency was measured.
    pub clock: Clock,
    /// Its route's label.
    pub label: Arc<str>,
    /// What is masked in answers.
    pub rules: Arc<RouteRules>,
    /// What else is personal or secret.
    pub redaction: Arc<Policy>,
    /// What was asked.
    pub request: Arc<RequestSnapshot>,
}

/// A request's body, as far as it came.
#[derive(Debug)]
pub enum TakenBody {
    /// All of it.
    Whole(Capture),
    /// So many bytes, which are not kept.
    NotKept(Option<u64>),
}

/// An answer.
#[derive(Debug)]
pub struct TakenAnswer {
    /// The status.
    pub status: StatusCode,
    /// The header lines.
    pub headers: HeaderMap,
    /// What came behind the body.
    pub trailers: HeaderMap,
    /// From the request sent whole to its head.
    pub latency: Duration,
    /// The body, where all of it is there.
    pub body: Option<Arc<ReplyBody>>,
    /// Its length in bytes; `None` where nobody knows, since it broke off.
    pub length: Option<u64>,
}

/// What came of a copy.
#[derive(Debug)]
pub struct TakenPair {
    /// The candidate's name.
    pub candidate: Arc<str>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// What was answered.
    pub answer: Option<TakenAnswer>,
    /// Where the answers differ.
    pub differences: Vec<Difference>,
    /// There are more than are listed.
    pub more: bool,
}

/// All that is taken of an exchange.
#[derive(Debug)]
pub struct Taken {
    /// What was known from the start.
    pub about: About,
    /// The request's body.
    pub body: TakenBody,
    /// What the baseline answered.
    pub answer: Option<TakenAnswer>,
    /// What came of its copies.
    pub pairs: Vec<TakenPair>,
    /// Pays for what is no body.
    pub held: Held,
}

impl Taken {
    /// Whether any pair differs.
    pub fn differs(&self) -> bool {
        self.pairs.iter().any(TakenPair::differs)
    }

    /// As it is recorded: once for each candidate that answered, else once.
    ///
    /// # Errors
    /// What may not be kept cannot be taken out.
    pub(super) fn exchanges(&self, id: &str) -> Result<Vec<(Exchange, bool)>, Fault> {
        let hidden = Hidden { policy: &self.about.redaction, rules: &self.about.rules.rules };
        let hidden = self.about.record.redact.then_some(hidden);
        let base = Exchange {
            id: id.to_owned(),
            at: moment(self.about.at),
            client: Some(self.about.client),
            connection: self.about.connection,
            request: self.request(hidden.as_ref())?,
            answer: self.answer(self.answer.as_ref(), hidden.as_ref(), self.about.clock)?,
            pair: None,
        };
        let answered = || self.pairs.iter().filter(|pair| pair.answer.is_some());
        let chosen: Vec<_> = match answered().count() {
            0 => self.pairs.first().into_iter().collect(),
            _ => answered().collect(),
        };
        if chosen.is_empty() {
            return Ok(vec![(base, false)]);
        }
        let pair = |pair: &&TakenPair| {
            let exchange =
                Exchange { pair: Some(self.pair(pair, hidden.as_ref())?), ..base.clone() };
            Ok((exchange, pair.differs()))
        };
        chosen.iter().map(pair).collect()
    }

    fn request(&self, hidden: Option<&Hidden<'_>>) -> Result<Request, Fault> {
        let RequestSnapshot { method, uri, headers, .. } = &*self.about.request;
        let body = match &self.body {
            TakenBody::Whole(capture) => Some(capture.bytes()),
            TakenBody::NotKept(_) => None,
        };
        let keeps = self.about.record.bodies != Bodies::None;
        let mut copy = CopyRequest {
            method: method.clone(),
            path: target::shown(uri.path()).into_owned(),
            query: uri.query().map(|query| target::shown(query).into_owned()),
            host: None,
            headers: headers.clone(),
            body: body.filter(|_| keeps).map(Bytes::copy_from_slice),
        };
        let host = copy.headers.remove(HOST);
        copy.headers.remove(CONTENT_LENGTH);
        if let Some(hidden) = hidden {
            hidden.request(&mut copy)?;
        }
        let query = copy.query.map(|query| format!("?{query}")).unwrap_or_default();
        let host =
            host.map(|host| (Bytes::from_static(b"host"), Bytes::copy_from_slice(host.as_bytes())));
        let length = match &self.body {
            TakenBody::Whole(capture) => Some(capture.bytes().len() as u64),
            TakenBody::NotKept(length) => *length,
        };
        Ok(Request {
            method: Bytes::copy_from_slice(copy.method.as_str().as_bytes()),
            target: format!("{}{query}", copy.path).into(),
            version: Bytes::from_static(b"1.1"),
            headers: host.into_iter().chain(lines(&copy.headers)).collect(),
            body: match copy.body {
                Some(body) => Body::Whole(body),
                None if length == Some(0) => Body::default(),
                None => Body::NotKept(length),
            },
        })
    }

    fn answer(
        &self,
        answer: Option<&TakenAnswer>,
        hidden: Option<&Hidden<'_>>,
        clock: Clock,
    ) -> Result<Option<Answer>, Fault> {
        let Some(answer) = answer else { return Ok(None) };
        let (mut headers, mut trailers) = (answer.headers.clone(), answer.trailers.clone());
        if let Some(hidden) = hidden {
            hidden.headers(&mut headers);
            hidden.headers(&mut trailers);
        }
        let kept = match answer.body.as_deref() {
            Some(ReplyBody::Whole(capture)) => Some(capture.bytes()),
            Some(ReplyBody::Hashed { .. }) | None => None,
        };
        let Record { bodies, max_body_bytes, .. } = self.about.record;
        let keeps = |bytes: &&[u8]| {
            bytes.is_empty() || (bodies == Bodies::All && bytes.len() <= max_body_bytes)
        };
        let body = match kept.filter(keeps) {
            None => Body::NotKept(answer.length),
            Some(bytes) => match hidden {
                // Of one that cannot be looked into nothing is kept, and the exchange is.
                Some(hidden) => match hidden.body(&headers, bytes) {
                    Ok(masked) => Body::Whole(masked.into_owned().into()),
                    Err(_) => Body::NotKept(answer.length),
                },
                None => Body::Whole(Bytes::copy_from_slice(bytes)),
            },
        };
        if let (Body::Whole(body), true) = (&body, headers.contains_key(CONTENT_LENGTH)) {
            // Of an answer to HEAD it is that of a body that was not sent.
            if answer.length != Some(0) {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
            }
        }
        Ok(Some(Answer {
            status: answer.status.as_u16(),
            headers: lines(&headers).collect(),
            body,
            trailers: lines(&trailers).collect(),
            latency: Some(answer.latency),
            clock,
        }))
    }

    fn pair(&self, pair: &TakenPair, hidden: Option<&Hidden<'_>>) -> Result<Pair, Fault> {
        let difference = |it: &Difference| traffic::Difference {
            path: it.place.clone(),
            kind: it.kind.name().to_owned(),
            baseline: it.baseline.clone(),
            candidate: it.candidate.clone(),
        };
        Ok(Pair {
            route: self.about.label.to_string(),
            candidate: pair.candidate.to_string(),
            outcome: pair.outcome.unwrap_or(Outcome::InternalError).name().to_owned(),
            answer: self.answer(pair.answer.as_ref(), hidden, Clock::Proxy)?,
            differences: pair.differences.iter().map(difference).collect(),
            more: pair.more,
        })
    }
}

impl TakenPair {
    /// Of a candidate of which nothing is known yet.
    pub fn of(candidate: &Arc<str>) -> Self {
        let (outcome, answer, differences) = Default::default();
        Self { candidate: Arc::clone(candidate), outcome, answer, differences, more: false }
    }

    fn differs(&self) -> bool {
        !self.differences.is_empty() || self.more
    }
}

fn lines(headers: &HeaderMap) -> impl Iterator<Item = (Bytes, Bytes)> {
    let line = |(name, value): (&http::HeaderName, &HeaderValue)| {
        (Bytes::copy_from_slice(name.as_str().as_bytes()), Bytes::copy_from_slice(value.as_bytes()))
    };
    headers.iter().map(line)
}

pub(super) fn moment(at: SystemTime) -> Moment {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Moment(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
