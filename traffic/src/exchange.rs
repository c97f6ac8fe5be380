//! One exchange, as every source yields it and every format writes it.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;

/// Nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

/// Header lines in the order in which they came: name, in its own letter case, and value.
pub type Headers = Vec<(Bytes, Bytes)>;

/// A request with its answer, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exchange {
    /// Names it in its source; empty where that has no names.
    pub id: String,
    /// When the request began.
    pub at: Moment,
    /// Who sent it.
    pub client: Option<IpAddr>,
    /// What came over the same connection, in its order, has the same value.
    pub connection: Option<u64>,
    /// What was asked.
    pub request: Request,
    /// What the baseline answered; `None` where that is not known.
    pub answer: Option<Answer>,
    /// What came of it at a candidate, in recordings of our own.
    pub pair: Option<Pair>,
}

/// What was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The method, as it was sent.
    pub method: Bytes,
    /// Path and query as they were sent, be they a URI or not.
    pub target: Bytes,
    /// `1.0`, `1.1`, `2`; empty where it is not known.
    pub version: Bytes,
    /// All header lines; of HTTP/2 without pseudo headers, its `:authority` as `host` in front.
    pub headers: Headers,
    /// The body: without chunks, encoded as it was.
    pub body: Body,
}

/// What was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The final status.
    pub status: u16,
    /// All header lines; of HTTP/2 without pseudo headers.
    pub headers: Headers,
    /// The body: without chunks, encoded as it was.
    pub body: Body,
    /// What came behind the body.
    pub trailers: Headers,
    /// From the request sent whole to the head of the answer.
    pub latency: Option<Duration>,
    /// By whose clock.
    pub clock: Clock,
}

/// Where a latency was measured. Only those of one clock can be held against each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// By the proxy, at the call to the upstream.
    Proxy,
    /// From the times of packets.
    Wire,
    /// Nobody knows: a file of another tool.
    #[default]
    Foreign,
}

/// What is known of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// All of it; empty for none.
    Whole(Bytes),
    /// There was one of this many bytes, as far as is known, and it was not kept, or not all of it.
    NotKept(Option<u64>),
}

impl Default for Body {
    fn default() -> Self {
        Self::Whole(Bytes::new())
    }
}

impl Body {
    /// All of it, where it is known.
    pub fn whole(&self) -> Option<&Bytes> {
        match self {
            Self::Whole(bytes) => Some(bytes),
            Self::NotKept(_) => None,
        }
    }
}

/// What came of a copy of the request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pair {
    /// The route's label.
    pub route: String,
    /// The candidate's name.
    pub candidate: String,
    /// One of the words of `mirror_outcomes_total`.
    pub outcome: String,
    /// What the candidate answered.
    pub answer: Option<Answer>,
    /// Where the two answers differ.
    pub differences: Vec<Difference>,
    /// There are more of them than are listed.
    pub more: bool,
}

/// A place where two answers differ, with values as they may be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Where, `$.items[*].price` or `header content-type` for two.
    pub path: String,
    /// What kind of difference it is, in the report's word.
    pub kind: String,
    /// The baseline's value.
    pub baseline: Option<String>,
    /// The candidate's.
    pub candidate: Option<String>,
}

/// The value of the first header line of this name, whatever the letter case.
pub fn header<'a>(headers: &'a Headers, name: &str) -> Option<&'a Bytes> {
    let mut named = headers.iter().filter(|(it, _)| it.eq_ignore_ascii_case(name.as_bytes()));
    named.next().map(|(_, value)| value)
}
