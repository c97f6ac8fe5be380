//! Exchanges as records. What the format can't say is refused, not bent: each message is parsed again
//! before it is written.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use bytes::Bytes;

use super::message;
use super::record::SEPARATOR;
use crate::exchange::{Answer, Body, Exchange, Headers, Moment, Request};

/// What was not written, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Exchanges that were refused.
    pub refused: u64,
    /// Answers that can't be said, whose request was written.
    pub answers: u64,
    /// Answers written without their trailers.
    pub trailers: u64,
}

/// Why a request can't be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A line of it is the separator of records.
    Separator,
    /// Its body was not kept.
    NotKept,
    /// Method, target or headers are none of HTTP/1.
    Unsayable,
}

/// An exchange was not written.
#[derive(Debug)]
pub enum WriteError {
    /// It can't be written in this format; others can.
    Refused(Refusal),
    /// The sink failed.
    Io(io::Error),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(Refusal::Separator) => f.write_str("a line is the separator of records"),
            Self::Refused(Refusal::NotKept) => f.write_str("the request's body was not kept"),
            Self::Refused(Refusal::Unsayable) => f.write_str("the request is none of HTTP/1"),
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for WriteError {}

/// Writes a `.gor` file. A body that came in chunks is written with its length, and trailers are left out;
/// what a candidate answered becomes a record of type 3.
#[derive(Debug)]
pub struct Writer<W> {
    sink: W,
    records: Vec<u8>,
    message: Vec<u8>,
    most_headers: usize,
    number: u64,
    left: Left,
}

impl<W: Write> Writer<W> {
    /// Writes into `sink`; messages with more header lines than `most_headers` are refused.
    pub fn new(sink: W, most_headers: usize) -> Self {
        let (records, message) = (Vec::new(), Vec::new());
        Self { sink, records, message, most_headers, number: 0, left: Left::default() }
    }

    /// What was not written up to now.
    pub fn left(&self) -> Left {
        self.left
    }

    /// The sink; all records are in it.
    pub fn into_inner(self) -> W {
        self.sink
    }

    /// Adds the records of one exchange.
    ///
    /// # Errors
    ///
    /// The exchange can't be said in this format, and nothing of it was written; or the sink fails.
    pub fn write(&mut self, exchange: &Exchange) -> Result<(), WriteError> {
        self.records.clear();
        self.number += 1;
        let id = id(&exchange.id, self.number);
        if let Err(refusal) = self.request(&exchange.request) {
            self.left.refused += 1;
            return Err(WriteError::Refused(refusal));
        }
        self.record('1', &id, exchange.at, None);
        if let Some(answer) = &exchange.answer {
            self.answer('2', &id, exchange, answer);
            if let Some(replayed) = exchange.pair.as_ref().and_then(|pair| pair.answer.as_ref()) {
                self.answer('3', &id, exchange, replayed);
            }
        }
        self.sink.write_all(&self.records).map_err(WriteError::Io)
    }

    fn record(&mut self, kind: char, id: &str, at: Moment, latency: Option<Duration>) {
        let latency = latency.map_or(0, |it| u64::try_from(it.as_nanos()).unwrap_or(u64::MAX));
        let at = at.0.saturating_add(latency);
        self.records.extend_from_slice(format!("{kind} {id} {at} {latency}\n").as_bytes());
        self.records.extend_from_slice(&self.message);
        self.records.push(b'\n');
        self.records.extend_from_slice(SEPARATOR);
        self.records.push(b'\n');
    }

    fn request(&mut self, request: &Request) -> Result<(), Refusal> {
        let body = request.body.whole().ok_or(Refusal::NotKept)?;
        let headers = with_length(&request.headers, body.len(), !body.is_empty());
        let version = if request.version == "1.0" { "HTTP/1.0" } else { "HTTP/1.1" };
        let start = [&request.method[..], &request.target, version.as_bytes()].join(&b' ');
        render(&start, &headers, body, &mut self.message);
        if has_separator(&self.message) {
            return Err(Refusal::Separator);
        }
        let read = message::request(&self.message, self.most_headers);
        let said = read.is_ok_and(|read| {
            read.method == request.method
                && read.target == request.target
                && read.headers == headers
                && read.body == request.body
        });
        if said { Ok(()) } else { Err(Refusal::Unsayable) }
    }

    /// Adds an answer if it can be said.
    fn answer(&mut self, kind: char, id: &str, exchange: &Exchange, answer: &Answer) {
        let method = &exchange.request.method;
        let empty = Bytes::new();
        let bodiless = message::has_no_body(answer.status, method);
        let (body, headers) = match &answer.body {
            Body::Whole(body) if bodiless => (body, answer.headers.clone()),
            Body::Whole(body) => (body, with_length(&answer.headers, body.len(), !body.is_empty())),
            // Its length and nothing of it: what it is, and what reads it sees that.
            Body::NotKept(length) => {
                let length = usize::try_from(length.unwrap_or(0)).unwrap_or(usize::MAX);
                (&empty, with_length(&answer.headers, length, true))
            }
        };
        // Three digits, else it is none to whoever parses it.
        let start = format!("HTTP/1.1 {:03} ", answer.status);
        render(start.as_bytes(), &headers, body, &mut self.message);
        let read = message::answer(&self.message, method, self.most_headers);
        let said = read.is_ok_and(|read| {
            read.status == answer.status && read.headers == headers && read.body == answer.body
        });
        if !said || has_separator(&self.message) {
            self.left.answers += 1;
            return;
        }
        self.left.trailers += u64::from(!answer.trailers.is_empty());
        self.record(kind, id, exchange.at, answer.latency);
    }
}

/// The exchange's own id if it is a word, else its number.
fn id(own: &str, number: u64) -> String {
    let is_word = !own.is_empty() && own.bytes().all(|byte| byte.is_ascii_graphic());
    if is_word { own.to_owned() } else { format!("{number:024x}") }
}

/// The headers with this length as the only word on where the body ends, where the first such word stood.
/// Without one, the length is added if it is `needed`.
fn with_length(headers: &Headers, length: usize, needed: bool) -> Headers {
    let framing = |name: &Bytes| {
        name.eq_ignore_ascii_case(b"content-length")
            || name.eq_ignore_ascii_case(b"transfer-encoding")
    };
    let mut told = false;
    let mut kept = Headers::with_capacity(headers.len() + 1);
    for (name, value) in headers {
        if !framing(name) {
            kept.push((name.clone(), value.clone()));
        } else if !std::mem::replace(&mut told, true) {
            let is_length = name.eq_ignore_ascii_case(b"content-length");
            let name = if is_length { name.clone() } else { Bytes::from_static(b"Content-Length") };
            kept.push((name, Bytes::from(length.to_string())));
        }
    }
    if needed && !told {
        kept.push((Bytes::from_static(b"Content-Length"), Bytes::from(length.to_string())));
    }
    kept
}

fn render(start: &[u8], headers: &Headers, body: &Bytes, into: &mut Vec<u8>) {
    into.clear();
    into.extend_from_slice(start);
    into.extend_from_slice(b"\r\n");
    for (name, value) in headers {
        into.extend_from_slice(name);
        into.extend_from_slice(b": ");
        into.extend_from_slice(value);
        into.extend_from_slice(b"\r\n");
    }
    into.extend_from_slice(b"\r\n");
    into.extend_from_slice(body);
}

/// Whether a line is the separator; the last one ends where the record does.
fn has_separator(message: &[u8]) -> bool {
    memchr::memmem::find_iter(message, SEPARATOR).any(|at| {
        let begins = at == 0 || message[at - 1] == b'\n';
        begins && message.get(at + SEPARATOR.len()).is_none_or(|byte| *byte == b'\n')
    })
}
