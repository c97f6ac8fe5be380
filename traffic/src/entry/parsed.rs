//! Entry to exchange.

use std::time::Duration;

use bytes::Bytes;

use super::fields::{Answered, Asked, Candidate, Content, Differing, Entry, Line, Word};
use super::text::{Text, long, posted, short};
use super::{Notes, date, foreign};
use crate::exchange::{Answer, Body, Clock, Difference, Exchange, Headers, Moment, Pair, Request};
use crate::fault::Fault;

pub(super) fn exchange(entry: Entry<'_>) -> Result<(Exchange, Notes), Fault> {
    let mut notes = Notes::default();
    let own = entry.ns.is_some();
    let answer = match entry.response {
        Some(it) if own && !it.unknown => Some(answered(it)?),
        Some(it) if !own && it.status != 0 => {
            let wait = entry.timings.and_then(|it| it.wait);
            let size = it.content.as_ref().and_then(|it| it.size);
            let had_text = it.content.as_ref().is_some_and(|it| it.text.is_some());
            let mut answer = answered(it)?;
            notes.decoded = foreign::answer(&mut answer, size, had_text, wait);
            Some(answer)
        }
        _ => None,
    };
    notes.cached = !own && entry.from_cache.is_some();
    let pair = match entry.candidate {
        Some(candidate) => Some(Pair {
            route: entry.route.unwrap_or_default(),
            outcome: entry.outcome.unwrap_or_default(),
            differences: entry
                .differences
                .unwrap_or_default()
                .into_iter()
                .map(difference)
                .collect(),
            more: entry.more,
            ..pair(candidate)?
        }),
        None => None,
    };
    let at = match (entry.ns, entry.started_date_time) {
        (Some(ns), _) => Moment(ns),
        (None, Some(text)) => date::parse(&text.0).ok_or_else(|| {
            Fault::value("startedDateTime", &text.0, "ISO 8601 with a zone, from 1970")
        })?,
        (None, None) => return Err(Fault::missing("startedDateTime", "ISO 8601 with a zone")),
    };
    let named = entry.named_connection.and_then(|name| name.0.parse().ok());
    let exchange = Exchange {
        id: entry.id.unwrap_or_default(),
        at,
        client: entry.client,
        connection: entry.connection.or(named),
        request: request(entry.request, own)?,
        answer,
        pair,
    };
    Ok((exchange, notes))
}

fn request(mut asked: Asked<'_>, own: bool) -> Result<Request, Fault> {
    let headers = lines("request.headers", asked.headers.take())?;
    if !own {
        return foreign::request(asked, headers);
    }
    let encoding = asked.encoding;
    let short = |field: &str, text: Text<'_>| short(field, text, encoding);
    let target = match (asked.target, asked.url) {
        (Some(target), _) => short("request._target", target)?,
        (None, Some(url)) => Bytes::copy_from_slice(foreign::after_authority(&url.0)?.1.as_bytes()),
        (None, None) => return Err(Fault::missing("request.url", "an absolute URL")),
    };
    let version = asked.http_version.unwrap_or_default();
    let version = short("request.httpVersion", version)?;
    let version = version.strip_prefix(b"HTTP/").map(|it| version.slice_ref(it)).unwrap_or(version);
    let body = match (asked.not_kept, asked.post_data) {
        (Some(not_kept), _) => Body::NotKept(not_kept.length),
        (None, Some(data)) => posted(data.text, data.encoding.as_ref())?,
        (None, None) => Body::default(),
    };
    Ok(Request { method: short("request.method", asked.method)?, target, version, headers, body })
}

fn answered(it: Answered<'_>) -> Result<Answer, Fault> {
    Ok(Answer {
        status: it.status,
        headers: lines("response.headers", it.headers)?,
        body: content("response.content", it.content)?,
        trailers: lines("response._trailers", it.trailers)?,
        latency: it.latency.map(Duration::from_nanos),
        clock: clock(it.clock),
    })
}

fn pair(it: Candidate<'_>) -> Result<Pair, Fault> {
    let answer = match it.status {
        Some(status) => Some(Answer {
            status,
            headers: lines("_candidate.headers", it.headers)?,
            body: content("_candidate.content", it.content)?,
            trailers: lines("_candidate.trailers", it.trailers)?,
            latency: it.latency_ns.map(Duration::from_nanos),
            clock: clock(it.clock),
        }),
        None => None,
    };
    Ok(Pair { candidate: it.name, answer, ..Pair::default() })
}

fn difference(it: Differing) -> Difference {
    Difference { path: it.path, kind: it.kind, baseline: it.baseline, candidate: it.candidate }
}

fn content(field: &str, it: Option<Content<'_>>) -> Result<Body, Fault> {
    match it {
        Some(Content { not_kept: Some(not_kept), .. }) => Ok(Body::NotKept(not_kept.length)),
        Some(Content { text: Some(text), encoding, .. }) => {
            long(&format!("{field}.text"), &format!("{field}.encoding"), text, encoding.as_ref())
        }
        _ => Ok(Body::default()),
    }
}

fn lines(field: &str, lines: Option<Vec<Line<'_>>>) -> Result<Headers, Fault> {
    let line = |it: Line<'_>| match it.encoding {
        None => Ok((it.name.into_bytes(), it.value.into_bytes())),
        some => Ok((short(field, it.name, some)?, short(field, it.value, some)?)),
    };
    lines.unwrap_or_default().into_iter().map(line).collect()
}

fn clock(word: Word) -> Clock {
    match word {
        Word::Proxy => Clock::Proxy,
        Word::Wire => Clock::Wire,
        Word::Foreign => Clock::Foreign,
    }
}
