//! Notes the moments of a request that has spans, and of its copies. Each of its spans is made when it is over.

use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime};

use http::{HeaderMap, Method, StatusCode};

use super::Running;
use super::context::{Parent, SpanId, TraceId, state_of};
use super::span::{Came, Common, Finished, Mirrored, Server, What};
use crate::exchange::Outcome;
use crate::upstream::{Error, Upstream};

/// Longest `tracestate` that spans tell; the standard asks to keep that much.
const STATE_MAX: usize = 512;

/// A request that has spans.
#[derive(Debug)]
pub struct Traced {
    running: Arc<Running>,
    of: Arc<Common>,
}

impl Traced {
    pub(super) fn begin(
        running: &Arc<Running>,
        headers: &HeaderMap,
        method: &Method,
        label: &Arc<str>,
    ) -> Option<Arc<Self>> {
        let parent = Parent::of(headers);
        let trace = parent.map_or_else(TraceId::random, |parent| parent.trace);
        if !running.sampler.takes(trace, parent) {
            return None;
        }
        let span = SpanId::random();
        let state = parent.map(|_| state_of(headers)).filter(|state| state.len() <= STATE_MAX);
        let of = Common {
            parent: parent.unwrap_or_else(|| Parent::root(trace, span)),
            is_root: parent.is_none(),
            state: state.unwrap_or_default(),
            span,
            baseline: SpanId::random(),
            began: (SystemTime::now(), Instant::now()),
            method: method.clone(),
            label: Arc::clone(label),
        };
        Some(Arc::new(Self { running: Arc::clone(running), of: Arc::new(of) }))
    }

    /// What watches the baseline's answer on the client's path.
    pub fn answer(self: &Arc<Self>) -> AnswerSide {
        AnswerSide { request: Arc::clone(self), called: None, status: None, is_over: false }
    }

    /// What follows a copy for this candidate.
    pub fn copy(self: &Arc<Self>, name: Arc<str>, candidate: &Arc<Upstream>) -> Box<TracedCopy> {
        Box::new(TracedCopy {
            request: Arc::clone(self),
            name,
            candidate: Arc::clone(candidate),
            span: SpanId::random(),
            whole: OnceLock::new(),
            called: OnceLock::new(),
            came: OnceLock::new(),
            compared: OnceLock::new(),
        })
    }

    fn over(&self, what: What, start: Instant, end: Instant) {
        self.running.offer(Finished { of: Arc::clone(&self.of), what, start, end });
    }
}

/// Watches the baseline's answer. Dropped before the end: the client left.
#[derive(Debug)]
pub struct AnswerSide {
    request: Arc<Traced>,
    called: Option<Instant>,
    status: Option<StatusCode>,
    is_over: bool,
}

impl AnswerSide {
    /// The baseline is being called.
    pub fn called(&mut self) {
        self.called = Some(Instant::now());
    }

    /// The head of its answer is there.
    pub fn head(&mut self, status: StatusCode) {
        self.status = Some(status);
        // What comes behind it is no HTTP.
        if status == StatusCode::SWITCHING_PROTOCOLS {
            self.end();
        }
    }

    /// The answer is whole.
    pub fn end(&mut self) {
        self.over(None, self.status);
    }

    /// It broke off.
    pub fn failed(&mut self) {
        self.over(Some("answer broken off"), self.status);
    }

    /// There is none, and the client was told so.
    pub fn no_answer(&mut self, error: &Error) {
        let told =
            if error.is_timeout() { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::BAD_GATEWAY };
        self.over(Some(error.reason()), Some(told));
    }

    fn over(&mut self, error: Option<&'static str>, told: Option<StatusCode>) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let (request, now) = (&self.request, Instant::now());
        if let Some(called) = self.called {
            let came = Came { status: self.status, error };
            let server = request.running.baseline.clone();
            request.over(What::Baseline(server, came), called, now);
        }
        let (_, began) = request.of.began;
        request.over(What::Request(Came { status: told, error }), began, now);
    }
}

impl Drop for AnswerSide {
    fn drop(&mut self) {
        self.over(Some("client_aborted"), self.status);
    }
}

/// Follows a copy.
#[derive(Debug)]
pub struct TracedCopy {
    request: Arc<Traced>,
    name: Arc<str>,
    candidate: Arc<Upstream>,
    span: SpanId,
    whole: OnceLock<Instant>,
    called: OnceLock<Instant>,
    came: OnceLock<(Instant, Option<StatusCode>)>,
    compared: OnceLock<(Instant, Instant)>,
}

impl TracedCopy {
    /// The span of its call, which it says.
    pub(super) fn span(&self) -> SpanId {
        self.span
    }

    /// What was made up for its request, which came without a trace.
    pub(super) fn made_up(&self) -> Option<Parent> {
        let of = &self.request.of;
        of.is_root.then_some(of.parent)
    }

    /// It waits to be sent.
    pub fn waits(&self) {
        note(&self.whole, Instant::now());
    }

    /// The candidate is being called.
    pub fn called(&self) {
        note(&self.called, Instant::now());
    }

    /// The call is over; the status of the answer, where one came.
    pub fn answered(&self, status: Option<StatusCode>) {
        note(&self.came, (Instant::now(), status));
    }

    /// The answers were compared from then until now.
    pub fn compared(&self, since: Instant) {
        note(&self.compared, (since, Instant::now()));
    }

    /// All is over, with this outcome.
    pub fn over(&self, outcome: Outcome) {
        let (Some(whole), now) = (self.whole.get().copied(), Instant::now()) else { return };
        let mirrored = || Mirrored { candidate: Arc::clone(&self.name), outcome };
        let called = self.called.get().copied();
        self.request.over(What::Waited(mirrored()), whole, called.unwrap_or(now));
        let Some(called) = called else { return };
        let (answered, status) = self.came.get().copied().unwrap_or((now, None));
        let error = status.is_none().then(|| outcome.name());
        let server = Server::of(self.candidate.target());
        let call = What::Candidate(mirrored(), server, self.span, Came { status, error });
        self.request.over(call, called, answered);
        if let Some((since, until)) = self.compared.get().copied() {
            self.request.over(What::Compared(mirrored()), since, until);
        }
    }
}

/// What comes first holds.
fn note<T>(at: &OnceLock<T>, value: T) {
    at.set(value).ok();
}
