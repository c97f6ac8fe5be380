//! What copies say of the trace that their request is part of.

use http::HeaderMap;

use super::context::{self, Parent, SpanId, TRACEPARENT, TRACESTATE};
use super::request::TracedCopy;
use crate::policy::trace::Copies;

/// What one copy says of its trace.
#[derive(Clone, Copy, Debug)]
pub struct Carried {
    copies: Copies,
    /// Its own span.
    span: SpanId,
    /// The trace that was made up for its request, which came without one.
    made_up: Option<Parent>,
}

impl Carried {
    /// That of a copy, whose spans are exported where there are some.
    pub fn new(copies: Copies, spans: Option<&TracedCopy>) -> Self {
        let span = spans.map_or_else(SpanId::random, TracedCopy::span);
        Self { copies, span, made_up: spans.and_then(TracedCopy::made_up) }
    }

    /// Puts it in place of what the request says. What a rule took out of the copy stays out.
    pub fn put(self, headers: &mut HeaderMap) {
        let parent = match self.copies {
            Copies::Off => None,
            Copies::Linked => Parent::of(headers).or(self.made_up),
        };
        let Some(parent) = parent else {
            headers.remove(TRACEPARENT);
            headers.remove(TRACESTATE);
            return;
        };
        headers.insert(TRACESTATE, context::state_of_copy(headers));
        headers.insert(TRACEPARENT, parent.line(self.span));
    }
}

#[cfg(test)]
mod tests;
