//! The data that flows between the parts: what was asked, how a mirrored request ended, and why one
//! was refused.
//!
//! Everything here is plain data, so that any part may hold it without depending on another.

use http::{Extensions, HeaderMap, Method, Request, Uri};

/// Which upstream a call went to; the value of the metric label `target`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Answers the client.
    Baseline,
    /// Gets copies; its answers are compared and thrown away.
    Candidate,
    /// A second baseline: gets some of the copies, to see what differs without a change.
    Secondary,
}

impl Role {
    /// The word used in metrics, logs and error bodies.
    pub fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Candidate => "candidate",
            Self::Secondary => "secondary",
        }
    }
}

/// A request as the copy needs it: all but the body and the target's own headers.
#[derive(Clone, Debug)]
pub struct RequestSnapshot {
    /// The method, as the client sent it.
    pub method: Method,
    /// Path and query as the client sent them; the target's prefix is not applied yet.
    pub uri: Uri,
    /// The end-to-end headers as they went to the baseline, without `Host` and `Expect`.
    pub headers: HeaderMap,
    /// Carries the letter case of header names from the server to the client side of hyper.
    pub extensions: Extensions,
}

impl RequestSnapshot {
    /// The request that it was, with this body.
    pub fn into_request<B>(self, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        *request.extensions_mut() = self.extensions;
        request
    }

    /// An estimate of the memory this holds, in bytes, for the mirror's byte budget.
    pub fn weight(&self) -> usize {
        // Most of it is the buffer that the request was read into: the path and the names in their
        // own spelling are slices of it.
        const FIXED: usize = 9 * 1024;
        const PER_LINE: usize = 64;
        let lines: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + PER_LINE)
            .sum();
        let uri = self.uri.path_and_query().map_or(1, |pq| pq.as_str().len());
        FIXED + lines + uri
    }
}

/// How the mirror side of one forwarded request ended. Every forwarded request has exactly one,
/// so that the counters add up to the requests received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The dice did not fall under `MIRROR_FRACTION`.
    NotSampled,
    /// Mirroring was off: tripped, or held by hand; also a copy that waited while it went off.
    Disabled,
    /// The method is not in `MIRROR_METHODS`.
    MethodExcluded,
    /// What holds for it depends on how its path is read, and only one reading allows a copy.
    PathInDoubt,
    /// The request carried the mark's header: it is a copy itself.
    AlreadyMarked,
    /// The client asked for another protocol.
    Upgrade,
    /// The request body is larger than `MIRROR_MAX_BODY_BYTES`.
    BodyTooLarge,
    /// The baseline answered for good before the client had sent its whole body.
    BodyIncomplete,
    /// The client left before its answer was whole.
    ClientAborted,
    /// There is no whole baseline answer to compare with.
    BaselineFailed,
    /// `MIRROR_QUEUE_SIZE` copies were waiting already.
    DroppedQueueFull,
    /// `MIRROR_BUFFER_BYTES` were in use.
    DroppedBufferFull,
    /// As many copies a second as are allowed had gone out.
    DroppedRate,
    /// The copy waited for more than half of `MIRROR_TIMEOUT`.
    ExpiredInQueue,
    /// Nobody took a connection a moment ago; only probes are tried until somebody does.
    CandidateUnreachable,
    /// Both answers are equal after normalisation.
    Matched,
    /// The answers differ.
    Mismatched,
    /// JSON over `MIRROR_MAX_BODY_BYTES` that is not equal byte for byte.
    ResponseTooLarge,
    /// The candidate gave no whole answer.
    CandidateFailed,
    /// The candidate's answer was not whole at the copy's deadline.
    CandidateTimeout,
    /// The copy was not what a step expects that changes it, and so was not sent.
    TransformFailed,
    /// It went out with the baseline's id, for what the candidate calls it was not known in time.
    IdentityUnknown,
    /// A hook said that it goes nowhere.
    DroppedByHook,
    /// A hook failed, or took more than it may.
    HookFailed,
    /// A fault of the mirror side itself, a panic for one; never held against the candidate.
    InternalError,
}

impl Outcome {
    /// Every outcome, in the order of their discriminants.
    pub const ALL: [Self; 25] = [
        Self::NotSampled,
        Self::Disabled,
        Self::MethodExcluded,
        Self::PathInDoubt,
        Self::AlreadyMarked,
        Self::Upgrade,
        Self::BodyTooLarge,
        Self::BodyIncomplete,
        Self::ClientAborted,
        Self::BaselineFailed,
        Self::DroppedQueueFull,
        Self::DroppedBufferFull,
        Self::DroppedRate,
        Self::ExpiredInQueue,
        Self::CandidateUnreachable,
        Self::Matched,
        Self::Mismatched,
        Self::ResponseTooLarge,
        Self::CandidateFailed,
        Self::CandidateTimeout,
        Self::TransformFailed,
        Self::IdentityUnknown,
        Self::DroppedByHook,
        Self::HookFailed,
        Self::InternalError,
    ];

    /// The word used as metric label and log field.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotSampled => "not_sampled",
            Self::Disabled => "disabled",
            Self::MethodExcluded => "method_excluded",
            Self::PathInDoubt => "path_in_doubt",
            Self::AlreadyMarked => "already_marked",
            Self::Upgrade => "upgrade",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyIncomplete => "body_incomplete",
            Self::ClientAborted => "client_aborted",
            Self::BaselineFailed => "baseline_failed",
            Self::DroppedQueueFull => "dropped_queue_full",
            Self::DroppedBufferFull => "dropped_buffer_full",
            Self::DroppedRate => "dropped_rate",
            Self::ExpiredInQueue => "expired_in_queue",
            Self::CandidateUnreachable => "candidate_unreachable",
            Self::Matched => "matched",
            Self::Mismatched => "mismatched",
            Self::ResponseTooLarge => "response_too_large",
            Self::CandidateFailed => "candidate_failed",
            Self::CandidateTimeout => "candidate_timeout",
            Self::TransformFailed => "transform_failed",
            Self::IdentityUnknown => "identity_unknown",
            Self::DroppedByHook => "dropped_by_hook",
            Self::HookFailed => "hook_failed",
            Self::InternalError => "internal_error",
        }
    }
}

/// What came of asking the secondary; the label `result` of `mirror_noise_pairs_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoiseResult {
    /// Both baselines answered alike.
    Matched,
    /// The service differs from itself.
    Differed,
    /// The secondary gave no whole answer in time.
    Failed,
    /// Not sent: too many were under way, or `MIRROR_BUFFER_BYTES` were in use.
    Skipped,
    /// The pair itself had no whole answers, or what came could not be compared.
    NotCompared,
}

impl NoiseResult {
    /// Every result, in the order of their discriminants.
    pub const ALL: [Self; 5] =
        [Self::Matched, Self::Differed, Self::Failed, Self::Skipped, Self::NotCompared];

    /// The word used as metric label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::Differed => "differed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::NotCompared => "not_compared",
        }
    }
}

/// What came of a run of a hook; the label `result` of `mirror_hook_runs_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookResult {
    /// It ran to its end.
    Done,
    /// It dropped the copy.
    Dropped,
    /// The script made a mistake, or threw.
    Failed,
    /// It took more steps than it may.
    Steps,
    /// It took longer than it may.
    Time,
    /// It took more memory than it may.
    Memory,
    /// `MIRROR_BUFFER_BYTES` were in use.
    NoBudget,
    /// The proxy failed.
    InternalError,
    /// It did not run: it had taken all that it may again and again, and rests.
    Resting,
}

impl HookResult {
    /// The word used as metric label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
            Self::Steps => "steps",
            Self::Time => "time",
            Self::Memory => "memory",
            Self::NoBudget => "no_budget",
            Self::InternalError => "internal_error",
            Self::Resting => "resting",
        }
    }
}

/// What became of a request to a relay listener; the label `result` of `mirror_relayed_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relayed {
    /// It was taken, and its outcomes tell the rest.
    Relayed,
    /// As many as may wait were waiting already.
    QueueFull,
    /// The relays' part of `MIRROR_BUFFER_BYTES` was in use.
    BufferFull,
    /// As many as allowed were on their way to be whole.
    TooMany,
    /// Its body is larger than any candidate takes.
    BodyTooLarge,
    /// Its sender left before it was whole.
    ClientAborted,
    /// It asks for another protocol.
    Upgrade,
    /// The spool was full.
    SpoolFull,
    /// The spool could not be written, or not in time.
    SpoolFailed,
    /// It was in the spool and is no longer what was written.
    SpoolDamaged,
    /// It was in the spool at the start.
    Replayed,
}

impl Relayed {
    /// Every result, in the order of their discriminants.
    pub const ALL: [Self; 11] = [
        Self::Relayed,
        Self::QueueFull,
        Self::BufferFull,
        Self::TooMany,
        Self::BodyTooLarge,
        Self::ClientAborted,
        Self::Upgrade,
        Self::SpoolFull,
        Self::SpoolFailed,
        Self::SpoolDamaged,
        Self::Replayed,
    ];

    /// The word used as metric label and log field.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relayed => "relayed",
            Self::QueueFull => "queue_full",
            Self::BufferFull => "buffer_full",
            Self::TooMany => "too_many",
            Self::BodyTooLarge => "body_too_large",
            Self::ClientAborted => "client_aborted",
            Self::Upgrade => "upgrade",
            Self::SpoolFull => "spool_full",
            Self::SpoolFailed => "spool_failed",
            Self::SpoolDamaged => "spool_damaged",
            Self::Replayed => "replayed",
        }
    }

    /// What is counted of it for each candidate that would have got a copy.
    pub fn outcome(self) -> Outcome {
        match self {
            // Of those that are relayed others are counted, and of what was damaged nobody knows for whom
            // it was.
            Self::Relayed | Self::Replayed | Self::SpoolDamaged => Outcome::InternalError,
            Self::QueueFull | Self::TooMany | Self::SpoolFull | Self::SpoolFailed => {
                Outcome::DroppedQueueFull
            }
            Self::BufferFull => Outcome::DroppedBufferFull,
            Self::BodyTooLarge => Outcome::BodyTooLarge,
            Self::ClientAborted => Outcome::ClientAborted,
            Self::Upgrade => Outcome::Upgrade,
        }
    }

    /// Whether it is lost for want of room.
    pub fn is_drop(self) -> bool {
        matches!(
            self,
            Self::QueueFull
                | Self::BufferFull
                | Self::TooMany
                | Self::SpoolFull
                | Self::SpoolFailed
        )
    }
}

/// What became of an exchange that was to be recorded; the label `result` of `mirror_recorded_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is written.
    Recorded,
    /// As many as may wait to be written were waiting already: the disk is slow.
    DroppedQueueFull,
    /// The part of `MIRROR_BUFFER_BYTES` that is for recordings was in use.
    DroppedBufferFull,
    /// It waited too long to be written: a crash would take more than the last second.
    DroppedLate,
    /// What is recorded of it depends on how its path is read.
    PathInDoubt,
    /// The disk is full, or cannot be written.
    Failed,
    /// What is personal or secret in it could not be taken out.
    NotRedacted,
    /// The mirror side failed while keeping it.
    InternalError,
}

impl Recorded {
    /// Every result, in the order of their discriminants.
    pub const ALL: [Self; 8] = [
        Self::Recorded,
        Self::DroppedQueueFull,
        Self::DroppedBufferFull,
        Self::DroppedLate,
        Self::PathInDoubt,
        Self::Failed,
        Self::NotRedacted,
        Self::InternalError,
    ];

    /// The word used as metric label and log field.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::DroppedQueueFull => "dropped_queue_full",
            Self::DroppedBufferFull => "dropped_buffer_full",
            Self::DroppedLate => "dropped_late",
            Self::PathInDoubt => "path_in_doubt",
            Self::Failed => "failed",
            Self::NotRedacted => "not_redacted",
            Self::InternalError => "internal_error",
        }
    }
}

/// What became of a span; the label `result` of `mirror_spans_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spans {
    /// The collector has it.
    Exported,
    /// As many as may wait to be sent were waiting already: the collector is slow or away.
    DroppedQueueFull,
    /// The collector does not want it.
    Rejected,
    /// The collector was away, or did not take it in time.
    Failed,
}

impl Spans {
    /// Every result, in the order of their discriminants.
    pub const ALL: [Self; 4] =
        [Self::Exported, Self::DroppedQueueFull, Self::Rejected, Self::Failed];

    /// The word used as metric label and log field.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exported => "exported",
            Self::DroppedQueueFull => "dropped_queue_full",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }
}

/// Why the proxy refused a request or connection itself; the label `reason` of `mirror_refused_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 400: not HTTP, or not safely readable as one request.
    Malformed,
    /// 405: a method that a reverse proxy does not forward.
    Method,
    /// 431: too many or too large header lines.
    HeadersTooLarge,
    /// 408: a request head that was not whole in time.
    HeadTimeout,
    /// Closed: a connection without a request for too long.
    IdleTimeout,
    /// Closed: as many connections as allowed were open.
    Connections,
    /// 503: as many requests as allowed were in flight.
    RequestsInFlight,
    /// 413: a request body over the limit.
    BodyTooLarge,
    /// 503: as many requests as one client may have were in flight.
    ClientRequestsInFlight,
    /// 408: an upload that was too slow.
    ReadTimeout,
    /// Closed: an answer was taken too slowly.
    WriteTimeout,
    /// Closed: too many requests were taken back.
    Resets,
    /// Closed: too many frames of HTTP/2 that a client has no use for.
    Flood,
    /// Closed: a balancer that did not say who its client is.
    ProxyProtocol,
    /// Closed: as many connections as one client may have were open.
    ClientConnections,
    /// 508: a copy of this process that came back to it.
    Loop,
}

impl Refusal {
    /// Every reason, in the order of their discriminants.
    pub const ALL: [Self; 16] = [
        Self::Malformed,
        Self::Method,
        Self::HeadersTooLarge,
        Self::HeadTimeout,
        Self::IdleTimeout,
        Self::Connections,
        Self::RequestsInFlight,
        Self::BodyTooLarge,
        Self::ClientRequestsInFlight,
        Self::ReadTimeout,
        Self::WriteTimeout,
        Self::Resets,
        Self::Flood,
        Self::ProxyProtocol,
        Self::ClientConnections,
        Self::Loop,
    ];

    /// The word used as metric label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Method => "method",
            Self::HeadersTooLarge => "headers_too_large",
            Self::HeadTimeout => "head_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::Connections => "connections",
            Self::RequestsInFlight => "requests_in_flight",
            Self::BodyTooLarge => "body_too_large",
            Self::ClientRequestsInFlight => "client_requests_in_flight",
            Self::ReadTimeout => "read_timeout",
            Self::WriteTimeout => "write_timeout",
            Self::Resets => "resets",
            Self::Flood => "flood",
            Self::ProxyProtocol => "proxy_protocol",
            Self::ClientConnections => "client_connections",
            Self::Loop => "loop",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NoiseResult, Outcome, Refusal, Relayed, Spans};

    #[test]
    fn all_results_of_a_relay_stand_at_their_own_index() {
        for (index, result) in Relayed::ALL.into_iter().enumerate() {
            assert_eq!(result as usize, index);
        }
    }

    #[test]
    fn all_results_of_spans_stand_at_their_own_index() {
        for (index, result) in Spans::ALL.into_iter().enumerate() {
            assert_eq!(result as usize, index);
        }
    }

    #[test]
    fn all_refusals_stand_at_their_own_index() {
        for (index, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, index);
        }
    }

    #[test]
    fn all_results_of_the_noise_probe_stand_at_their_own_index() {
        for (index, result) in NoiseResult::ALL.into_iter().enumerate() {
            assert_eq!(result as usize, index);
        }
    }

    #[test]
    fn all_outcomes_stand_at_their_own_index_and_have_distinct_names() {
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
        }
        let names: std::collections::BTreeSet<_> =
            Outcome::ALL.iter().map(|outcome| outcome.name()).collect();
        assert_eq!(names.len(), Outcome::ALL.len());
    }
}
