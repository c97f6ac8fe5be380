//! Exchanges from elsewhere, a recording, a file of another tool or packets, as the main path takes them: with the
//! answer of then as [`Played`], or the request alone as a [`Parcel`], where the baseline is asked again.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, UNIX_EPOCH};

use http::header::{CONTENT_LENGTH, EXPECT, HOST, TRAILER, TRANSFER_ENCODING};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use traffic::{Answer, Body, Exchange, Headers, Request};

use crate::exchange::RequestSnapshot;
use crate::forward::{Known, Parcel, Played};
use crate::headers::{self, target};

/// Why an exchange cannot be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unfit {
    /// The method is none.
    Method,
    /// The target is neither a path nor a URL.
    Target,
    /// A header line is none.
    Header,
    /// It asks for another protocol, or for a tunnel.
    Upgrade,
    /// The request's body was not kept, or not all of it.
    RequestBody,
    /// What the baseline answered is not known.
    NoAnswer,
    /// The answer's body was not kept, or not all of it.
    AnswerBody,
    /// The answer's status is none that ends an exchange.
    Status,
}

impl Unfit {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Method => "the method is none",
            Self::Target => "the target is neither a path nor a URL",
            Self::Header => "a header line is none",
            Self::Upgrade => "it asks for another protocol",
            Self::RequestBody => "the request's body was not kept",
            Self::NoAnswer => "what the baseline answered is not known (--baseline asks one)",
            Self::AnswerBody => "the body of the baseline's answer was not kept",
            Self::Status => "the baseline's status is none that ends an exchange",
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The request of an exchange alone.
///
/// # Errors
/// Why it cannot be sent again.
pub fn parcel(exchange: &Exchange) -> Result<Parcel, Unfit> {
    let body = exchange.request.body.whole().ok_or(Unfit::RequestBody)?.clone();
    Ok(Parcel { head: head(&exchange.request)?, body, client: client(exchange) })
}

/// An exchange that is to be sent again and held against the answer of then: both bodies are there.
///
/// # Errors
/// Why it cannot be.
pub fn whole(exchange: &Exchange) -> Result<Played, Unfit> {
    let played = played(exchange)?;
    match (&played.body, &played.answer.body) {
        (Body::NotKept(_), _) => Err(Unfit::RequestBody),
        (_, Body::NotKept(_)) => Err(Unfit::AnswerBody),
        (Body::Whole(_), Body::Whole(_)) => Ok(played),
    }
}

/// An exchange as far as it is known, to be recorded.
///
/// # Errors
/// Why it is none.
pub fn played(exchange: &Exchange) -> Result<Played, Unfit> {
    let head = head(&exchange.request)?;
    let (client, connection) = (client(exchange), exchange.connection);
    let at = UNIX_EPOCH + Duration::from_nanos(exchange.at.0);
    let body = exchange.request.body.clone();
    Ok(Played { head, at, client, connection, body, answer: known(exchange)? })
}

/// Who sent it; this machine where nobody knows.
fn client(exchange: &Exchange) -> IpAddr {
    exchange.client.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

fn head(request: &Request) -> Result<RequestSnapshot, Unfit> {
    let Request { method, target, headers, .. } = request;
    let method = Method::from_bytes(method).map_err(|_| Unfit::Method)?;
    let mut lines = lines(headers)?;
    if method == Method::CONNECT || headers::upgrade(&lines).is_some() {
        return Err(Unfit::Upgrade);
    }
    let uri = uri(target, &mut lines)?;
    let takes_trailers = headers::takes_trailers(&lines);
    headers::strip_connection_level(&mut lines);
    for name in [CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT, TRAILER] {
        lines.remove(name);
    }
    if takes_trailers {
        headers::ask_trailers(&mut lines);
    }
    Ok(RequestSnapshot { method, uri, headers: lines, extensions: Extensions::new() })
}

fn known(exchange: &Exchange) -> Result<Known, Unfit> {
    let Answer { status, headers, body, trailers, latency, clock } =
        exchange.answer.as_ref().ok_or(Unfit::NoAnswer)?;
    let status = StatusCode::from_u16(*status).map_err(|_| Unfit::Status)?;
    if status.is_informational() {
        return Err(Unfit::Status);
    }
    let mut head = Response::new(());
    *head.status_mut() = status;
    *head.headers_mut() = lines(headers)?;
    headers::strip_connection_level(head.headers_mut());
    let (latency, clock, body) = (latency.unwrap_or_default(), *clock, body.clone());
    Ok(Known { head, latency, body, trailers: lines(trailers)?, clock })
}

/// A whole URL says in its host whom it is for (RFC 9112, section 3.2.2).
fn uri(target: &[u8], lines: &mut HeaderMap) -> Result<Uri, Unfit> {
    let read = match target::substitute(target) {
        Some(_) => target::named(target),
        None => String::from_utf8(target.to_vec()).map_err(|_| Unfit::Target)?,
    };
    let uri = Uri::try_from(read).map_err(|_| Unfit::Target)?;
    if let Some(authority) = uri.authority() {
        let host = HeaderValue::try_from(authority.as_str()).map_err(|_| Unfit::Target)?;
        lines.insert(HOST, host);
        let path = uri.path_and_query().cloned();
        return path.map(Uri::from).ok_or(Unfit::Target);
    }
    Ok(uri)
}

fn lines(headers: &Headers) -> Result<HeaderMap, Unfit> {
    let mut lines = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name).map_err(|_| Unfit::Header)?;
        let value = HeaderValue::from_maybe_shared(value.clone()).map_err(|_| Unfit::Header)?;
        lines.append(name, value);
    }
    Ok(lines)
}
