//! W3C Trace Context: what a request says of its trace, and what its copies say of it.
//!
//! What does not follow the standard counts as not there, as the standard asks, whatever was meant by it.

use http::{HeaderMap, HeaderName, HeaderValue};

pub use super::ids::{SpanId, TraceId};

/// The header that says of which span a request is.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The header in which those that see a trace keep what is their own.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Says in `tracestate` that a request is a copy. A key there has no dots, which attributes of spans do.
const MIRROR: &str = "mirrorlab-mirror";
/// Most members of `tracestate`.
const MEMBERS_MAX: usize = 32;
/// Longest key, and longest value.
const KEY_MAX: usize = 256;
/// Whoever saw the request before will keep its spans.
const SAMPLED: u8 = 1;
/// The trace's id is random.
const RANDOM: u8 = 2;

/// What `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The trace.
    pub trace: TraceId,
    /// The span that the request was made in.
    pub span: SpanId,
    flags: u8,
}

impl Parent {
    /// That of a request; `None` where it says nothing, not in this way, or more than once.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(TRACEPARENT).iter();
        let line = lines.next()?;
        if lines.next().is_some() {
            return None;
        }
        Self::parse(line.as_bytes())
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let (known, more) = text.split_at_checked(55)?;
        let version = hex::<1>(&known[..2])?[0];
        let is_separated = [2, 35, 52].into_iter().all(|at| known[at] == b'-');
        // A later version may say more behind, and all that is known of its flags is the first.
        let (ends, flags) = match version {
            0 => (more.is_empty(), SAMPLED | RANDOM),
            0xff => return None,
            _ => (more.is_empty() || more[0] == b'-', SAMPLED),
        };
        let trace = hex::<16>(&known[3..35]).filter(|id| *id != [0; 16])?;
        let span = hex::<8>(&known[36..52]).filter(|id| *id != [0; 8])?;
        let flags = hex::<1>(&known[53..])?[0] & flags;
        let parent = Self { trace: TraceId(trace), span: SpanId(span), flags };
        (ends && is_separated).then_some(parent)
    }

    /// The first of a trace that nobody has seen before.
    pub(super) fn root(trace: TraceId, span: SpanId) -> Self {
        Self { trace, span, flags: SAMPLED | RANDOM }
    }

    /// Whether whoever saw it before keeps its spans.
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The same of another span.
    pub(super) fn line(self, span: SpanId) -> HeaderValue {
        let line = format!("00-{:?}-{span:?}-{:02x}", self.trace, self.flags);
        HeaderValue::try_from(line).expect("hex digits are a header value")
    }
}

/// So many bytes, of hexadecimal digits in lower case.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |it: u8| match it {
        b'0'..=b'9' => Some(it - b'0'),
        b'a'..=b'f' => Some(it - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// The members of `tracestate`, in order; `None` where one of them is none, or there are too many.
fn members(headers: &HeaderMap) -> Option<Vec<&str>> {
    let mut members: Vec<&str> = Vec::new();
    for line in headers.get_all(TRACESTATE) {
        for member in line.to_str().ok()?.split(',').map(str::trim).filter(|it| !it.is_empty()) {
            let (key, value) = member.split_once('=')?;
            let is_new = members.iter().all(|it| key_of(it) != key);
            if !is_key(key) || !is_value(value) || !is_new || members.len() == MEMBERS_MAX {
                return None;
            }
            members.push(member);
        }
    }
    Some(members)
}

fn key_of(member: &str) -> &str {
    member.split_once('=').map_or(member, |(key, _)| key)
}

fn is_key(key: &str) -> bool {
    let is_of_key =
        |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b"_-*/@".contains(&it);
    (1..=KEY_MAX).contains(&key.len()) && key.bytes().all(is_of_key)
}

fn is_value(value: &str) -> bool {
    let is_of_value = |it: u8| (b' '..=b'~').contains(&it) && it != b'=';
    (1..=KEY_MAX).contains(&value.len()) && value.bytes().all(is_of_value)
}

/// What is said of a trace by those that saw it, as spans tell it.
pub(super) fn state_of(headers: &HeaderMap) -> String {
    members(headers).unwrap_or_default().join(",")
}

/// What a copy says of the trace of its request, which had these headers: ours in front of the others. What
/// was said beside no valid parent says nothing.
pub(super) fn state_of_copy(headers: &HeaderMap) -> HeaderValue {
    let others = Parent::of(headers).and_then(|_| members(headers)).unwrap_or_default();
    let others = others.into_iter().filter(|it| key_of(it) != MIRROR).take(MEMBERS_MAX - 1);
    let state = others.fold(format!("{MIRROR}=true"), |state, it| state + "," + it);
    HeaderValue::try_from(state).expect("visible ASCII is a header value")
}

#[cfg(test)]
pub(super) mod tests;
