//! One exchange that is to be recorded: gathers what the client's path sees and what comes of its copies, and hands it
//! over when the last of them has let go.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use compare::Differences;
use http::{HeaderMap, Response, StatusCode};
use traffic::Clock;

use super::pair::Head;
use crate::body::{Budget, Capture, ReplyBody};
use crate::exchange::{Outcome, RequestSnapshot};
use crate::plan::{Plan, Treatment};
use crate::record::{About, Recorder, Taken, TakenAnswer, TakenBody, TakenPair};

/// An exchange that is to be recorded.
#[derive(Debug)]
pub(super) struct Recording {
    recorder: Recorder,
    budget: Arc<Budget>,
    taken: Mutex<Option<Box<Taken>>>,
}

/// Watches its request on the client's path.
#[derive(Debug)]
pub(super) struct RequestSide {
    recording: Arc<Recording>,
    body: Option<Capture>,
    length: u64,
}

/// Watches the baseline's answer there.
#[derive(Debug)]
pub(super) struct AnswerSide {
    recording: Arc<Recording>,
    head: Option<(StatusCode, HeaderMap, Duration)>,
    trailers: HeaderMap,
    body: Option<ReplyBody>,
}

/// What it is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Of<'a> {
    pub(super) plan: &'a Plan,
    pub(super) treatment: &'a Treatment,
    pub(super) label: &'a Arc<str>,
    pub(super) client: IpAddr,
    /// By which the baseline's latency was measured.
    pub(super) clock: Clock,
}

impl Recording {
    /// Begins one, where any is wanted of this route: `is_sampled`, or for its pairs that differ.
    pub(super) fn begin(
        recorder: &Recorder,
        budget: &Arc<Budget>,
        of: Of<'_>,
        is_sampled: bool,
        request: impl FnOnce() -> Arc<RequestSnapshot>,
    ) -> Option<Arc<Self>> {
        let record = of.treatment.record.filter(|it| is_sampled || it.mismatches)?;
        let about = About {
            record,
            is_sampled,
            at: SystemTime::now(),
            client: of.client,
            clock: of.clock,
            label: Arc::clone(of.label),
            rules: of.plan.rules_of(of.treatment, of.label),
            redaction: Arc::clone(of.plan.redaction()),
            request: request(),
        };
        let body = TakenBody::NotKept(None);
        let taken = Box::new(Taken { about, body, answer: None, pairs: Vec::new() });
        let (recorder, budget) = (recorder.clone(), Arc::clone(budget));
        Some(Arc::new(Self { recorder, budget, taken: Mutex::new(Some(taken)) }))
    }

    /// The watchers of both sides.
    pub(super) fn sides(self: &Arc<Self>) -> (RequestSide, AnswerSide) {
        let most = self.taken().as_ref().map_or(0, |it| it.about.record.max_body_bytes);
        let (recording, body) = (Arc::clone(self), Some(Capture::new(most, &self.budget)));
        let request = RequestSide { recording, body, length: 0 };
        let (recording, body) = (Arc::clone(self), Some(ReplyBody::new(most, &self.budget)));
        let answer = AnswerSide { recording, head: None, trailers: HeaderMap::new(), body };
        (request, answer)
    }

    /// A candidate has answered. Its body is kept where there is memory to spare of what pays for it: a slow disk
    /// must not take that of copies.
    pub(super) fn answered(
        &self,
        candidate: &Arc<str>,
        (head, body): (&Head, Option<&Arc<ReplyBody>>),
        differences: Option<&Differences>,
    ) {
        let is_whole = body.is_some();
        let body = body.cloned().unwrap_or_else(|| Arc::new(ReplyBody::new(0, &self.budget)));
        let (headers, trailers) = (head.kept.clone(), HeaderMap::new());
        let (status, latency) = (head.status, head.latency);
        let answer = TakenAnswer { status, headers, trailers, latency, body, is_whole };
        self.of(candidate, |pair| {
            pair.answer = Some(answer);
            if let Some(found) = differences {
                pair.differences.clone_from(&found.found);
                pair.more = found.more;
            }
        });
    }

    /// What came of a candidate's copy.
    pub(super) fn outcome(&self, candidate: &Arc<str>, outcome: Outcome) {
        self.of(candidate, |pair| pair.outcome = Some(outcome));
    }

    fn of(&self, candidate: &Arc<str>, tell: impl FnOnce(&mut TakenPair)) {
        let mut taken = self.taken();
        let Some(taken) = taken.as_mut() else { return };
        let known = taken.pairs.iter_mut().find(|pair| pair.candidate == *candidate);
        match known {
            Some(pair) => tell(pair),
            None => {
                let mut pair = TakenPair {
                    candidate: Arc::clone(candidate),
                    outcome: None,
                    answer: None,
                    differences: Vec::new(),
                    more: false,
                };
                tell(&mut pair);
                taken.pairs.push(pair);
            }
        }
    }

    fn taken(&self) -> MutexGuard<'_, Option<Box<Taken>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let taken = self.taken.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(taken) = taken.filter(|it| it.about.is_sampled || it.differs()) {
            self.recorder.offer(taken);
        }
    }
}

impl RequestSide {
    pub(super) fn data(&mut self, chunk: &[u8]) {
        self.length += chunk.len() as u64;
        // Without room, or too long: its length alone.
        if self.body.as_mut().is_some_and(|body| body.push(chunk).is_err()) {
            self.body = None;
        }
    }

    pub(super) fn end(&mut self) {
        let body = match self.body.take() {
            Some(body) => TakenBody::Whole(body),
            None => TakenBody::NotKept(Some(self.length)),
        };
        if let Some(taken) = self.recording.taken().as_mut() {
            taken.body = body;
        }
    }
}

impl AnswerSide {
    pub(super) fn head<B>(&mut self, response: &Response<B>, latency: Duration) {
        self.head = Some((response.status(), response.headers().clone(), latency));
    }

    pub(super) fn data(&mut self, chunk: &[u8]) {
        if let Some(body) = &mut self.body {
            body.push(chunk);
        }
    }

    pub(super) fn trailers(&mut self, trailers: &HeaderMap) {
        self.trailers = trailers.clone();
    }

    /// It is over, be it whole or not.
    pub(super) fn over(&mut self, is_whole: bool) {
        let Some((status, headers, latency)) = self.head.take() else { return };
        let Some(body) = self.body.take() else { return };
        let (trailers, body) = (std::mem::take(&mut self.trailers), Arc::new(body));
        let answer = TakenAnswer { status, headers, trailers, latency, body, is_whole };
        if let Some(taken) = self.recording.taken().as_mut() {
            taken.answer = Some(answer);
        }
    }
}

impl Drop for AnswerSide {
    fn drop(&mut self) {
        self.over(false);
    }
}
