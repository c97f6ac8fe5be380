//! One exchange that is to be recorded: gathers what the client's path sees and what comes of its copies, and hands it
//! over when the last of them has let go.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use compare::Differences;
use compare::reply::copied;
use http::{HeaderMap, Response, StatusCode};

use super::pair::Head;
use crate::body::{Budget, Capture, ReplyBody};
use crate::exchange::{Outcome, Recorded};
use crate::policy::record::Bodies;
use crate::record::{About, Recorder, Taken, TakenAnswer, TakenBody, TakenPair};

/// Bytes of a header line beside its own, as an estimate.
const PER_LINE: usize = 64;

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
    body: Kept,
}

/// Watches the baseline's answer there.
#[derive(Debug)]
pub(super) struct AnswerSide {
    recording: Arc<Recording>,
    head: Option<(StatusCode, HeaderMap, Duration)>,
    trailers: HeaderMap,
    body: Kept,
}

/// A body: all of it, or where that is too long, or no memory is left, its length alone.
#[derive(Debug)]
struct Kept {
    bytes: Option<Capture>,
    length: u64,
}

impl Kept {
    fn push(&mut self, chunk: &[u8]) {
        self.length += chunk.len() as u64;
        if self.bytes.as_mut().is_some_and(|bytes| bytes.push(chunk).is_err()) {
            self.bytes = None;
        }
    }
}

impl Recording {
    /// Begins one; `None` without memory for it.
    pub(super) fn begin(
        recorder: &Recorder,
        budget: &Arc<Budget>,
        about: About,
    ) -> Option<Arc<Self>> {
        let Some(held) = budget.try_take(about.request.weight()) else {
            recorder.count(Recorded::DroppedBufferFull);
            return None;
        };
        let body = TakenBody::NotKept(None);
        let taken = Box::new(Taken { about, body, answer: None, pairs: Vec::new(), held });
        let (recorder, budget) = (recorder.clone(), Arc::clone(budget));
        Some(Arc::new(Self { recorder, budget, taken: Mutex::new(Some(taken)) }))
    }

    /// Header lines with memory of their own, which is paid for; where there is none left it is not recorded.
    fn kept(&self, headers: &HeaderMap) -> HeaderMap {
        let line = |name: &str, value: &[u8]| name.len() + value.len() + PER_LINE;
        let bytes = headers.iter().map(|(name, it)| line(name.as_str(), it.as_bytes())).sum();
        let mut taken = self.taken();
        if taken.as_mut().is_some_and(|taken| !taken.held.try_grow(bytes)) {
            *taken = None;
            self.recorder.count(Recorded::DroppedBufferFull);
        }
        if taken.is_none() {
            return HeaderMap::new();
        }
        headers.iter().map(|(name, value)| (name.clone(), copied(value))).collect()
    }

    /// The watchers of both sides.
    pub(super) fn sides(self: &Arc<Self>) -> (RequestSide, AnswerSide) {
        let record = self.taken().as_ref().map(|it| it.about.record);
        let most = record.map_or(0, |it| it.max_body_bytes);
        let bodies = record.map_or(Bodies::None, |it| it.bodies);
        // What is not wanted takes no memory, and is measured all the same.
        let body = |is_wanted: bool| {
            let most = if is_wanted { most } else { 0 };
            Kept { bytes: Some(Capture::new(most, &self.budget)), length: 0 }
        };
        let (asked, answered) = (body(bodies != Bodies::None), body(bodies == Bodies::All));
        let request = RequestSide { recording: Arc::clone(self), body: asked };
        let (head, trailers) = (None, HeaderMap::new());
        (request, AnswerSide { recording: Arc::clone(self), head, trailers, body: answered })
    }

    /// A candidate has answered; its body is kept where `keeps` says so.
    pub(super) fn answered(
        &self,
        candidate: &Arc<str>,
        (head, body): (&Head, &Arc<ReplyBody>),
        keeps: bool,
        differences: Option<&Differences>,
    ) {
        let (headers, trailers) = (self.kept(&head.kept), HeaderMap::new());
        let (status, latency) = (head.status, head.latency);
        let (body, length) = (Arc::clone(body), body.length());
        let body = keeps.then_some(body);
        let answer = TakenAnswer { status, headers, trailers, latency, body, length: Some(length) };
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
                let mut pair = TakenPair::of(candidate);
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
        self.body.push(chunk);
    }

    pub(super) fn end(&mut self) {
        let not_kept = TakenBody::NotKept(Some(self.body.length));
        let body = self.body.bytes.take().map_or(not_kept, TakenBody::Whole);
        self.over(body);
    }

    /// Its body, so long where that is known, is not there.
    pub(super) fn not_kept(&self, length: Option<u64>) {
        self.over(TakenBody::NotKept(length));
    }

    fn over(&self, body: TakenBody) {
        if let Some(taken) = self.recording.taken().as_mut() {
            taken.body = body;
        }
    }
}

impl AnswerSide {
    pub(super) fn head<B>(&mut self, response: &Response<B>, latency: Duration) {
        let headers = self.recording.kept(response.headers());
        self.head = Some((response.status(), headers, latency));
    }

    pub(super) fn data(&mut self, chunk: &[u8]) {
        self.body.push(chunk);
    }

    pub(super) fn trailers(&mut self, trailers: &HeaderMap) {
        self.trailers = self.recording.kept(trailers);
    }

    pub(super) fn end(&mut self) {
        let body = self.body.bytes.take().map(|bytes| Arc::new(ReplyBody::Whole(bytes)));
        self.over(body, Some(self.body.length));
    }

    /// Its body, so long where that is known, is not there, or not all of it.
    pub(super) fn not_kept(&mut self, length: Option<u64>) {
        self.over(None, length);
    }

    /// The first word counts.
    fn over(&mut self, body: Option<Arc<ReplyBody>>, length: Option<u64>) {
        let Some((status, headers, latency)) = self.head.take() else { return };
        let trailers = std::mem::take(&mut self.trailers);
        let answer = TakenAnswer { status, headers, trailers, latency, body, length };
        if let Some(taken) = self.recording.taken().as_mut() {
            taken.answer = Some(answer);
        }
    }
}

impl Drop for AnswerSide {
    fn drop(&mut self) {
        self.not_kept(None);
    }
}
