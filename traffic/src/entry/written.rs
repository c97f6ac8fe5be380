//! Exchange to entry. All of HAR's own required fields are there, so that its readers take it.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::date;
use super::parts::{Content, Lines, NotKept, Size, Url, Version, encoding, mime, size, version};
use super::text::{Long, Short, ShortBytes};
use crate::exchange::{Answer, Body, Clock, Difference, Exchange, Headers, Pair, Request};

/// Adds the entry to `into`, without a line end.
pub(crate) fn write(exchange: &Exchange, into: &mut Vec<u8>) {
    let entry = Entry::of(exchange);
    serde_json::to_writer(into, &entry).expect("a Vec takes all, and every key is a string");
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(rename = "_id")]
    id: &'a str,
    #[serde(rename = "_ns")]
    ns: u64,
    #[serde(serialize_with = "shown")]
    started_date_time: date::Shown,
    time: f64,
    #[serde(rename = "_client", skip_serializing_if = "Option::is_none")]
    client: Option<IpAddr>,
    #[serde(rename = "_connection", skip_serializing_if = "Option::is_none")]
    connection: Option<u64>,
    request: Asked<'a>,
    response: Answered<'a>,
    cache: Empty,
    timings: Timings,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pair: Option<Paired<'a>>,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct Timings {
    send: f64,
    wait: f64,
    receive: f64,
}

impl<'a> Entry<'a> {
    fn of(exchange: &'a Exchange) -> Self {
        let latency = exchange.answer.as_ref().and_then(|it| it.latency).unwrap_or_default();
        let wait = latency.as_secs_f64() * 1e3;
        let asked = &exchange.request;
        Self {
            id: &exchange.id,
            ns: exchange.at.0,
            started_date_time: date::shown(exchange.at),
            time: wait,
            client: exchange.client,
            connection: exchange.connection,
            request: Asked::of(asked),
            response: Answered::of(exchange.answer.as_ref(), version(asked, asked_encoding(asked))),
            cache: Empty {},
            timings: Timings { send: 0.0, wait, receive: 0.0 },
            pair: exchange.pair.as_ref().map(Paired::of),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Asked<'a> {
    method: ShortBytes<'a>,
    #[serde(serialize_with = "shown")]
    url: Url<'a>,
    #[serde(rename = "_target", skip_serializing_if = "Option::is_none")]
    target: Option<ShortBytes<'a>>,
    http_version: Version<'a>,
    #[serde(rename = "_encoding", skip_serializing_if = "Option::is_none")]
    encoding: Option<Short>,
    cookies: [(); 0],
    headers: Lines<'a>,
    query_string: [(); 0],
    headers_size: i8,
    body_size: Size,
    #[serde(skip_serializing_if = "Option::is_none")]
    post_data: Option<PostData<'a>>,
    #[serde(rename = "_notKept", skip_serializing_if = "Option::is_none")]
    not_kept: Option<NotKept>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PostData<'a> {
    mime_type: ShortBytes<'a>,
    text: Long<'a>,
    #[serde(rename = "_encoding", skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
}

/// One of method, target and version is no UTF-8: all three are written as Latin-1.
fn asked_encoding(request: &Request) -> Option<Short> {
    encoding(&[&request.method, &request.target, &request.version])
}

impl<'a> Asked<'a> {
    fn of(request: &'a Request) -> Self {
        let encoding = asked_encoding(request);
        let url = Url::of(request);
        let body = request.body.whole().filter(|bytes| !bytes.is_empty());
        Self {
            method: ShortBytes { bytes: &request.method, encoding },
            target: (!url.says_target()).then_some(ShortBytes { bytes: &request.target, encoding }),
            url,
            http_version: version(request, encoding),
            encoding,
            cookies: [],
            headers: Lines(&request.headers),
            query_string: [],
            headers_size: -1,
            body_size: Size(size(&request.body)),
            post_data: body.map(|bytes| {
                let text = Long::of(bytes);
                PostData { mime_type: mime(&request.headers), text, encoding: text.encoding() }
            }),
            not_kept: NotKept::of(&request.body),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answered<'a> {
    status: u16,
    status_text: &'static str,
    http_version: Version<'a>,
    /// A response that is not known stands as browsers write it, with status 0.
    #[serde(rename = "_unknown", skip_serializing_if = "std::ops::Not::not")]
    unknown: bool,
    cookies: [(); 0],
    headers: Lines<'a>,
    content: Content<'a>,
    #[serde(rename = "redirectURL")]
    redirect: &'static str,
    headers_size: i8,
    body_size: Size,
    #[serde(rename = "_trailers", skip_serializing_if = "Lines::is_empty")]
    trailers: Lines<'a>,
    #[serde(rename = "_latencyNs", skip_serializing_if = "Option::is_none")]
    latency: Option<u64>,
    #[serde(rename = "_clock", skip_serializing_if = "Option::is_none")]
    clock: Option<&'static str>,
}

static NOTHING: (Headers, Body) = (Headers::new(), Body::NotKept(None));

impl<'a> Answered<'a> {
    fn of(answer: Option<&'a Answer>, http_version: Version<'a>) -> Self {
        let (headers, body) = answer.map_or((&NOTHING.0, &NOTHING.1), |it| (&it.headers, &it.body));
        Self {
            status: answer.map_or(0, |it| it.status),
            status_text: "",
            http_version,
            unknown: answer.is_none(),
            cookies: [],
            headers: Lines(headers),
            content: Content::of(headers, body),
            redirect: "",
            headers_size: -1,
            body_size: Size(size(body)),
            trailers: Lines(answer.map_or(&NOTHING.0, |it| &it.trailers)),
            latency: answer.and_then(|it| it.latency).map(nanos),
            clock: answer.map(|it| word(it.clock)),
        }
    }
}

#[derive(Serialize)]
struct Paired<'a> {
    #[serde(rename = "_route")]
    route: &'a str,
    #[serde(rename = "_outcome")]
    outcome: &'a str,
    #[serde(rename = "_candidate")]
    candidate: Candidate<'a>,
    #[serde(rename = "_differences")]
    differences: Vec<Differing<'a>>,
    #[serde(rename = "_more", skip_serializing_if = "std::ops::Not::not")]
    more: bool,
}

#[derive(Serialize)]
struct Candidate<'a> {
    name: &'a str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    answer: Option<CandidateAnswer<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CandidateAnswer<'a> {
    status: u16,
    headers: Lines<'a>,
    content: Content<'a>,
    #[serde(skip_serializing_if = "Lines::is_empty")]
    trailers: Lines<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ns: Option<u64>,
    clock: &'static str,
}

#[derive(Serialize)]
struct Differing<'a> {
    path: &'a str,
    kind: &'a str,
    baseline: Option<&'a str>,
    candidate: Option<&'a str>,
}

impl<'a> Paired<'a> {
    fn of(pair: &'a Pair) -> Self {
        let differing = |it: &'a Difference| Differing {
            path: &it.path,
            kind: &it.kind,
            baseline: it.baseline.as_deref(),
            candidate: it.candidate.as_deref(),
        };
        let answer = pair.answer.as_ref().map(|it| CandidateAnswer {
            status: it.status,
            headers: Lines(&it.headers),
            content: Content::of(&it.headers, &it.body),
            trailers: Lines(&it.trailers),
            latency_ns: it.latency.map(nanos),
            clock: word(it.clock),
        });
        Self {
            route: &pair.route,
            outcome: &pair.outcome,
            candidate: Candidate { name: &pair.candidate, answer },
            differences: pair.differences.iter().map(differing).collect(),
            more: pair.more,
        }
    }
}

/// 584 years and more are written as 584.
fn nanos(latency: Duration) -> u64 {
    u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn word(clock: Clock) -> &'static str {
    match clock {
        Clock::Proxy => "proxy",
        Clock::Wire => "wire",
        Clock::Foreign => "foreign",
    }
}

fn shown<S: Serializer>(value: &impl fmt::Display, into: S) -> Result<S::Ok, S::Error> {
    into.collect_str(value)
}
