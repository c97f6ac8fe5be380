//! What watches a request and its answer on the client's path, and keeps a copy beside: for each candidate
//! that may get one, and where they are recorded, a tap of the request's body and one of the baseline's answer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderMap, Response};
use tokio::sync::oneshot;

use super::lane::Lane;
use super::pair::{BaselineSide, End, Head, Progress};
use super::recording::{AnswerSide, RequestSide};
use super::ticket::Ticket;
use super::{Stage, contained};
use crate::body::{ReplyBody, Tap};
use crate::exchange::Outcome;
use crate::plan::Terms;
use crate::telemetry::AnswerSide as Spans;
use crate::upstream::{Error, Sent};

/// Watches a request body on its way to the baseline and keeps a copy beside.
#[derive(Debug)]
pub struct RequestTap(OfRequest);

#[derive(Debug)]
enum OfRequest {
    Copy(Arc<Ticket>),
    Record(RequestSide),
    /// Spans have no part of it.
    Spans,
}

/// Watches the baseline's answer on the client path. Dropped before the end: the client left.
#[derive(Debug)]
pub struct BaselineTap(OfBaseline);

#[derive(Debug)]
enum OfBaseline {
    Copy(Copied),
    Record(AnswerSide),
    Spans(Spans),
}

/// What a copy's answer is held against.
#[derive(Debug)]
pub(super) struct Copied {
    lane: Arc<Lane>,
    progress: Arc<Progress>,
    body: Option<ReplyBody>,
    head_seen: Option<oneshot::Sender<()>>,
    end: Option<oneshot::Sender<End>>,
    /// The clock of the call.
    sent: Option<Arc<Sent>>,
    /// Of a request whose body is still on its way: decides with this side what becomes of it.
    pub(super) ticket: Option<Arc<Ticket>>,
}

impl From<AnswerSide> for BaselineTap {
    fn from(side: AnswerSide) -> Self {
        Self(OfBaseline::Record(side))
    }
}

impl From<Copied> for BaselineTap {
    fn from(copied: Copied) -> Self {
        Self(OfBaseline::Copy(copied))
    }
}

impl From<Spans> for BaselineTap {
    fn from(spans: Spans) -> Self {
        Self(OfBaseline::Spans(spans))
    }
}

impl BaselineTap {
    /// The baseline is being called by this clock.
    pub fn called(&mut self, sent: &Arc<Sent>) {
        match &mut self.0 {
            OfBaseline::Copy(copied) => copied.sent = Some(Arc::clone(sent)),
            OfBaseline::Spans(spans) => spans.called(),
            OfBaseline::Record(_) => {}
        }
    }

    /// The response head is there, after this time.
    pub fn head<B>(&mut self, response: &Response<B>, latency: Duration) {
        match &mut self.0 {
            OfBaseline::Copy(copied) => copied.head(response, latency),
            OfBaseline::Record(side) => drop(contained(|| side.head(response, latency))),
            OfBaseline::Spans(spans) => drop(contained(|| spans.head(response.status()))),
        }
    }

    /// Of the answer nothing more is known: its body, so long where that is known, was not kept.
    pub fn not_kept(self, length: Option<u64>) {
        if let OfBaseline::Record(mut side) = self.0 {
            contained(|| side.not_kept(length));
        }
    }

    /// There will be no answer, for this reason.
    pub fn no_answer(self, error: &Error) {
        match self.0 {
            OfBaseline::Copy(mut copied) => {
                let after = copied.after();
                copied.finish(End::Failed(after));
            }
            OfBaseline::Spans(mut spans) => drop(contained(|| spans.no_answer(error))),
            OfBaseline::Record(_) => {}
        }
    }
}

impl Copied {
    fn after(&self) -> Option<Duration> {
        self.sent.as_ref()?.at().map(|sent| sent.elapsed())
    }

    fn head<B>(&mut self, response: &Response<B>, latency: Duration) {
        let terms = &self.progress.terms;
        // None where that panicked: the worker finds no head then.
        let Some(head) = contained(|| Head::of(response, latency, terms)) else { return };
        // Set once per call; a second head cannot come.
        drop(self.progress.head.set(head));
        if let Some(seen) = self.head_seen.take() {
            // A worker that is gone needs no word.
            seen.send(()).ok();
        }
    }

    fn finish(&mut self, end: End) {
        if let Some(ticket) = self.ticket.take() {
            contained(|| ticket.baseline_ended(&end));
        }
        if matches!(end, End::Answered(_)) {
            self.progress.is_whole.store(true, Ordering::Release);
        }
        if let Some(sender) = self.end.take() {
            // A worker that is gone needs no word.
            drop(sender.send(end));
        }
    }
}

impl Tap for BaselineTap {
    fn data(&mut self, chunk: &[u8]) {
        match &mut self.0 {
            OfBaseline::Copy(copied) => copied.data(chunk),
            OfBaseline::Record(side) => drop(contained(|| side.data(chunk))),
            OfBaseline::Spans(_) => {}
        }
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        match &mut self.0 {
            OfBaseline::Copy(copied) => copied.trailers(trailers),
            OfBaseline::Record(side) => drop(contained(|| side.trailers(trailers))),
            OfBaseline::Spans(_) => {}
        }
    }

    fn end(&mut self) {
        match &mut self.0 {
            OfBaseline::Copy(copied) => copied.end(),
            OfBaseline::Record(side) => drop(contained(|| side.end())),
            OfBaseline::Spans(spans) => drop(contained(|| spans.end())),
        }
    }

    fn failed(&mut self) {
        match &mut self.0 {
            OfBaseline::Copy(copied) => copied.failed(),
            OfBaseline::Record(side) => drop(contained(|| side.not_kept(None))),
            OfBaseline::Spans(spans) => drop(contained(|| spans.failed())),
        }
    }

    fn waits_for_trailers(&self) -> bool {
        matches!(&self.0, OfBaseline::Copy(copied) if copied.waits_for_trailers())
    }
}

impl Copied {
    fn data(&mut self, chunk: &[u8]) {
        let kept = contained(|| {
            self.lane.probe(Stage::CaptureReply);
            if let Some(body) = &mut self.body {
                body.push(chunk);
                self.progress.length.store(body.length(), Ordering::Relaxed);
            }
        });
        if kept.is_none() {
            self.body = None;
            self.finish(End::Broken);
        }
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        contained(|| {
            let head = self.progress.head.get();
            if let Some(status) = head.and_then(|head| head.grpc_status_of(trailers)) {
                // Trailers come once.
                drop(self.progress.grpc_status.set(status));
            }
        });
    }

    fn end(&mut self) {
        let body = contained(|| {
            self.lane.probe(Stage::Complete);
            self.body.take()
        });
        self.finish(body.flatten().map_or(End::Broken, End::Answered));
    }

    fn failed(&mut self) {
        self.finish(End::Failed(self.after()));
    }

    fn waits_for_trailers(&self) -> bool {
        self.progress.head.get().is_some_and(Head::is_grpc)
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        if self.end.is_some() {
            self.finish(End::Aborted(self.after()));
        }
    }
}

/// The two ends of what is told of the baseline's answer, which requests that follow may overtake, or which
/// is known from elsewhere.
pub(super) fn of_baseline(
    lane: &Arc<Lane>,
    terms: &Arc<Terms>,
    (is_overtaken, is_known): (bool, bool),
) -> (Copied, BaselineSide) {
    let progress = Arc::new(Progress {
        terms: Arc::clone(terms),
        head: OnceLock::new(),
        grpc_status: OnceLock::new(),
        length: AtomicU64::new(0),
        is_whole: AtomicBool::new(false),
        is_overtaken,
        is_known,
    });
    let (head_tx, head_seen) = oneshot::channel();
    let (end_tx, end) = oneshot::channel();
    let tap = Copied {
        lane: Arc::clone(lane),
        progress: Arc::clone(&progress),
        body: Some(ReplyBody::new(terms.max_body_bytes, &lane.budget)),
        head_seen: Some(head_tx),
        end: Some(end_tx),
        sent: None,
        ticket: None,
    };
    (tap, BaselineSide { progress, head_seen: Some(head_seen), end, ended: None })
}

impl RequestTap {
    /// For a copy.
    pub(super) fn copy(ticket: Arc<Ticket>) -> Self {
        Self(OfRequest::Copy(ticket))
    }

    /// Of a request that has spans, which say nothing of its body.
    pub(super) fn of_spans() -> Self {
        Self(OfRequest::Spans)
    }

    /// The body, so long where that is known, was not kept: there is no copy.
    pub fn not_kept(self, length: Option<u64>) {
        if let OfRequest::Record(side) = &self.0 {
            contained(|| side.not_kept(length));
        }
    }

    /// The body is over what the proxy takes; the copy goes nowhere.
    pub fn too_large(self) {
        if let OfRequest::Copy(ticket) = &self.0 {
            ticket.give_up(Outcome::BodyTooLarge);
        }
    }
}

impl From<RequestSide> for RequestTap {
    fn from(side: RequestSide) -> Self {
        Self(OfRequest::Record(side))
    }
}

impl Tap for RequestTap {
    fn data(&mut self, chunk: &[u8]) {
        match &mut self.0 {
            OfRequest::Copy(ticket) => {
                if contained(|| ticket.keep(chunk)).is_none() {
                    ticket.give_up(Outcome::InternalError);
                }
            }
            OfRequest::Record(side) => drop(contained(|| side.data(chunk))),
            OfRequest::Spans => {}
        }
    }

    fn end(&mut self) {
        match &mut self.0 {
            OfRequest::Copy(ticket) => drop(contained(|| ticket.hand_over())),
            OfRequest::Record(side) => drop(contained(|| side.end())),
            OfRequest::Spans => {}
        }
    }

    fn failed(&mut self) {
        if let OfRequest::Copy(ticket) = &self.0 {
            ticket.give_up(Outcome::ClientAborted);
        }
    }
}

impl Drop for RequestTap {
    fn drop(&mut self) {
        if let OfRequest::Copy(ticket) = &self.0 {
            ticket.body_dropped();
        }
    }
}
