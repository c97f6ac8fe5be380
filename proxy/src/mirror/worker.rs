//! The mirror's background work: take a copy from the queue, call the candidate, wait for the
//! baseline's side of the pair, tell the guardrail, compare.
//!
//! The candidate is called on the same threads as the baseline: on threads of its own, each time
//! the machine is too busy to run them looks like a slow candidate, and a busy machine is reason
//! enough for five such pairs in a row. What takes time, comparing large bodies, has its
//! own threads.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, Request, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use super::pair::{BaselineSide, End, Head, Progress};
use super::slots::Slot;
use super::{Job, Mirror, Stage};
use crate::body::{Capture, Held, ReplyBody};
use crate::exchange::{Outcome, RequestSnapshot};
use crate::route::{self, table::Route};
use crate::upstream::{Anew, OutBody, Sent, Upstream, UpstreamBody, empty_body, full_body};
use compare::{self, Differences, Limits, Rules, Side, Verdict};
use judge::guardrail::{Epoch, Observation};
use judge::report::Pair;

pub mod noise;
mod sides;

use noise::{Asked, Noise};
use sides::{Known, Sides};

/// How far a candidate's body may be ahead of the baseline's before it is read with pauses.
const AHEAD: u64 = 64 * 1024;
/// Pause between reads of a body that is ahead.
const PAUSE: Duration = Duration::from_millis(10);
/// The same for a body without a declared length: what comes can only tell a longer body from an
/// endless one, which is not worth a busy core.
const LONG_PAUSE: Duration = Duration::from_millis(100);

/// Bytes of a body that is compared where it was read.
const SMALL: u64 = 8 * 1024;

/// A decoded body may be this many times `MIRROR_MAX_BODY_BYTES`.
const DECODED_FACTOR: usize = 8;

/// Pays for a request's head and body as long as anybody holds them.
type Paid = (Held, Option<Held>);

/// Sends copies, as many at once as the candidate copes with, until the queue's other end is gone.
pub async fn run(
    mirror: Arc<Mirror>,
    mut jobs: mpsc::Receiver<Job>,
    candidate: Arc<Upstream>,
    noise: Option<Arc<Noise>>,
) {
    loop {
        // The slot comes first, so that a copy waits in the queue and nowhere else.
        let slot = mirror.slots.acquire().await;
        let Some(job) = jobs.recv().await else { return };
        let (mirror, candidate) = (Arc::clone(&mirror), Arc::clone(&candidate));
        let noise = noise.clone();
        tokio::spawn(async move {
            mirror.probe(Stage::Receive);
            if let Some(reason) = unsent(&mirror, &job) {
                job.tally.count::<()>(reason);
                return;
            }
            let Job { tally, epoch, snapshot, body, held, complete_since, mut baseline } = job;
            let deadline = complete_since + mirror.config.timeout;
            let progress = baseline.progress();
            let (body, paid) = body.map(Capture::into_parts).unzip();
            let (body, paid) = (body.map(Bytes::from), Arc::new((held, paid)));
            let asked = noise.and_then(|noise| {
                let (snapshot, body) = (&snapshot, body.as_ref());
                let progress = Arc::clone(&progress);
                let request = noise::Request { snapshot, body, paid: &paid, deadline, progress };
                noise.ask(&mirror, &tally.route, &request)
            });
            let rules = tally.route.rules(&progress.policy);
            let request = route::shown(&snapshot.method, &snapshot.uri, &rules.rules);
            let only_head = snapshot.method == Method::HEAD;
            let copy = (snapshot, body);
            let called = call(&mirror, &candidate, &tally.route, copy, deadline, &progress, &slot);
            let called = called.await;
            drop((slot, paid));
            let sides = (called, &mut baseline);
            let about = About { route: &tally.route, epoch, request: &request };
            let judged = judge(&mirror, about, sides, asked, only_head);
            if let Some(outcome) = judged.await {
                tally.count::<()>(outcome);
            }
        });
    }
}

/// What a pair is about.
#[derive(Clone, Copy)]
struct About<'a> {
    route: &'a Route,
    epoch: Epoch,
    /// As examples show it.
    request: &'a str,
}

/// Why a copy is not sent any more.
fn unsent(mirror: &Mirror, job: &Job) -> Option<Outcome> {
    if mirror.open(&job.tally.route).is_none_or(|open| open.epoch != job.epoch) {
        Some(Outcome::Disabled)
    } else if job.complete_since.elapsed() > mirror.config.timeout / 2 {
        Some(Outcome::ExpiredInQueue)
    } else {
        None
    }
}

/// What came of the call to the candidate.
#[expect(clippy::large_enum_variant, reason = "there is one for each call, and most are answered")]
enum Called {
    Answered(Head, ReplyBody),
    /// No whole answer; the latency where at least the head came.
    Failed(Option<Duration>),
    TimedOut(Option<Duration>),
}

/// Counts a copy as in flight while it lives, however the call ends.
struct InFlight<'a>(&'a Mirror);

impl<'a> InFlight<'a> {
    fn new(mirror: &'a Mirror) -> Self {
        mirror.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(mirror)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn call(
    mirror: &Mirror,
    candidate: &Arc<Upstream>,
    route: &Route,
    (snapshot, body): (Arc<RequestSnapshot>, Option<Bytes>),
    deadline: Instant,
    baseline: &Progress,
    slot: &Slot,
) -> Called {
    mirror.probe(Stage::Call);
    let _in_flight = InFlight::new(mirror);
    let without_body = body.as_ref().is_none_or(Bytes::is_empty);
    let spare = without_body.then(|| Arc::clone(&snapshot));
    let anew = spare.map(|it| {
        let body = body.clone();
        move || copy_of(mirror, RequestSnapshot::clone(&it), body.clone())
    });
    let anew = anew.as_ref().map(|anew| anew as Anew<'_>);
    let request = copy_of(mirror, Arc::unwrap_or_clone(snapshot), body);
    let sent = Sent::default();
    route.metrics.candidate.requests.increment(1);
    let mut latency = None;
    // One timer for all of it.
    let talk = async {
        let response = match candidate.send_anew(request, &sent, false, anew).await {
            Ok(response) => response,
            Err(error) => {
                tracing::debug!(route = &*route.label, reason = error.reason(), "candidate failed");
                mirror.note_reach(!error.is_connect());
                if error.is_timeout() {
                    slot.cut();
                }
                return Called::Failed(None);
            }
        };
        let taken = sent.at().map_or(Duration::ZERO, |sent| sent.elapsed());
        latency = Some(taken);
        mirror.note_reach(true);
        slot.answered(taken);
        route.metrics.candidate.latency.record(taken);
        let mut head = Head::of(&response, taken, &baseline.policy);
        match read_body(mirror, response.into_body(), &mut head, baseline).await {
            Some(body) => Called::Answered(head, body),
            None => Called::Failed(Some(taken)),
        }
    };
    if let Ok(called) = timeout_at(deadline, talk).await {
        return called;
    }
    if latency.is_none() {
        slot.cut();
        // A request is sent when there is a connection to send it on.
        mirror.note_reach(sent.at().is_some());
    }
    Called::TimedOut(latency)
}

fn copy_of(mirror: &Mirror, snapshot: RequestSnapshot, body: Option<Bytes>) -> Request<OutBody> {
    let mut request = snapshot.into_request(empty_body());
    let headers = request.headers_mut();
    mirror.mark_copy(headers);
    match body {
        None => drop(headers.remove(CONTENT_LENGTH)),
        Some(bytes) if bytes.is_empty() => {}
        Some(bytes) => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            *request.body_mut() = full_body(bytes);
        }
    }
    request
}

/// Reads a whole body; `None` when it breaks off.
async fn read_body(
    mirror: &Mirror,
    mut body: UpstreamBody,
    head: &mut Head,
    baseline: &Progress,
) -> Option<ReplyBody> {
    let pause = if body.size_hint().exact().is_some() { PAUSE } else { LONG_PAUSE };
    let mut kept = ReplyBody::new(mirror.config.max_body_bytes, &mirror.budget);
    while let Some(frame) = body.frame().await {
        let frame = frame.ok()?;
        if let Some(data) = frame.data_ref() {
            kept.push(data);
        } else if let Some(trailers) = frame.trailers_ref() {
            head.trailers(trailers);
        }
        if kept.length() > baseline.length().saturating_add(AHEAD) {
            sleep(pause).await;
        }
    }
    Some(kept)
}

/// Meets the baseline's side; `None` when the mirror side failed there.
async fn judge(
    mirror: &Arc<Mirror>,
    about: About<'_>,
    (called, baseline): (Called, &mut BaselineSide),
    asked: Option<Asked>,
    only_head: bool,
) -> Option<Outcome> {
    let About { route, epoch, request } = about;
    match called {
        Called::Answered(head, body) => {
            let theirs = match baseline.end().await {
                End::Answered(body) => body,
                other => {
                    let candidate = Known::of(&head);
                    return without_answer(mirror, about, &other, baseline, candidate);
                }
            };
            let ours = Arc::new(Reply { head: baseline.whole_head().await?, body: theirs });
            let sides = Sides::new(Known::of(&ours.head), Known::of(&head));
            observe(mirror, about, &sides);
            let theirs = Reply { head, body };
            let not_modified = |reply: &Reply| reply.head.status == StatusCode::NOT_MODIFIED;
            let bodiless = only_head || (not_modified(&ours) && not_modified(&theirs));
            let content = !bodiless;
            let looked = compared(mirror, route, Arc::clone(&ours), theirs).await;
            let outcome = looked.as_ref().map(|(outcome, _)| *outcome);
            let differences = looked.as_ref().and_then(|(_, differences)| differences.as_ref());
            if let Some(differences) = differences {
                route.metrics.count_differences(differences);
            }
            // Before it is taken in: a value is held against those that came before.
            let net = net_fields(mirror, route, differences);
            record(mirror, about, &sides, content, differences);
            if let Some(asked) = asked {
                asked.judged(ours, differences);
            }
            if mirror.judges_mismatches
                && let Some(differs) = net
            {
                mirror.decide(|guardrail, now| {
                    guardrail.compared(&route.label, epoch, differs.as_deref(), request, now)
                });
            }
            outcome
        }
        Called::Failed(latency) => {
            unanswered(mirror, about, (latency, true), baseline, Outcome::CandidateFailed).await
        }
        Called::TimedOut(latency) => {
            unanswered(mirror, about, (latency, false), baseline, Outcome::CandidateTimeout).await
        }
    }
}

/// The candidate gave no whole answer: the baseline's head is enough for the verdict. `broke` is
/// false for a call cut at its deadline.
async fn unanswered(
    mirror: &Mirror,
    about: About<'_>,
    (latency, broke): (Option<Duration>, bool),
    baseline: &mut BaselineSide,
    outcome: Outcome,
) -> Option<Outcome> {
    let end = baseline.end_so_far();
    if let Some(end @ (End::Failed(_) | End::Aborted(_) | End::Broken)) = &end {
        // What became of the baseline's body nobody knows then, so the candidate's does not count either.
        let failed = latency.is_none() || !matches!(end, End::Aborted(_));
        return without_answer(mirror, about, end, baseline, Known { latency, failed });
    }
    // Both bodies were on their way at the deadline, an endless stream for one: nobody failed.
    let both_unfinished = !broke && latency.is_some() && end.is_none();
    let candidate = Known { latency, failed: !both_unfinished };
    let Some(head) = baseline.head().await.cloned() else {
        let end = baseline.end().await;
        return without_answer(mirror, about, &end, baseline, candidate);
    };
    let sides = Sides::new(Known::of(&head), candidate);
    observe(mirror, about, &sides);
    record(mirror, about, &sides, false, None);
    Some(outcome)
}

/// The baseline gave no whole answer, or its client did not wait for it: there is nothing to compare,
/// but what is known of both sides counts. Leaving such pairs out would leave out the failures and
/// the slow answers of one side only, and make a twin look bad.
fn without_answer(
    mirror: &Mirror,
    about: About<'_>,
    end: &End,
    baseline: &BaselineSide,
    candidate: Known,
) -> Option<Outcome> {
    let outcome = match end {
        End::Failed(_) => Outcome::BaselineFailed,
        End::Aborted(_) => Outcome::ClientAborted,
        End::Broken | End::Answered(_) => return None,
    };
    if let Some(sides) = Sides::cut_short(end, baseline.head_so_far(), candidate) {
        observe(mirror, about, &sides);
        record(mirror, about, &sides, false, None);
    }
    Some(outcome)
}

fn observe(mirror: &Mirror, about: About<'_>, sides: &Sides) {
    mirror.probe(Stage::Observe);
    let Sides { baseline, candidate, baseline_until, censored: client_left } = *sides;
    let About { route, epoch, request } = about;
    let observation = Observation {
        route: &route.label,
        epoch,
        baseline_latency: baseline.latency.unwrap_or(baseline_until),
        baseline_p99: route.baseline_p99(),
        baseline_failed: baseline.failed,
        // Without a latency on one side there is none to hold against the other's, unless its client left.
        candidate_latency: candidate.latency.filter(|_| baseline.latency.is_some() || client_left),
        candidate_failed: candidate.failed,
        client_left,
        request,
    };
    mirror.decide(|guardrail, now| guardrail.observe(&observation, now));
}

fn record(
    mirror: &Mirror,
    about: About<'_>,
    sides: &Sides,
    content: bool,
    differences: Option<&Differences>,
) {
    if mirror.warms_up() {
        return;
    }
    let [baseline, candidate] =
        [sides.baseline, sides.candidate].map(|side| (side.latency, side.failed));
    let About { route, request, .. } = about;
    let censored = sides.censored;
    let pair = Pair { baseline, candidate, censored, content, differences, request };
    mirror.report().record(&route.label, &pair, SystemTime::now());
}

/// Where the answers differ and the service does not differ from itself; `None` where that is not
/// known, or not yet.
fn net_fields<'d>(
    mirror: &Mirror,
    route: &Route,
    found: Option<&'d Differences>,
) -> Option<Option<Vec<&'d str>>> {
    let found = found.filter(|_| mirror.judges_mismatches)?;
    let report = mirror.report();
    let asks = mirror.config.noise_fraction > 0.0;
    let is_known = !asks || report.knows_noise(&route.label);
    is_known.then(|| report.net_fields(&route.label, found))
}

/// What came of a comparison, and what differs; `None` for the latter where nobody could tell.
type Looked = (Outcome, Option<Differences>);

/// A whole answer.
struct Reply {
    head: Head,
    body: ReplyBody,
}

/// Compares two answers. Equal bytes are seen at once; a closer look at large bodies takes time
/// that no client should wait for, and has threads of its own.
async fn compared(
    mirror: &Arc<Mirror>,
    route: &Route,
    ours: Arc<Reply>,
    theirs: Reply,
) -> Option<Looked> {
    mirror.probe(Stage::Compare);
    let chosen = route.rules(&ours.head.policy);
    let detail = chosen.wants_detail();
    let (side, other) = (ours.side(), theirs.side());
    if !detail && compare::same_bytes(&side, &other, &chosen.rules) {
        let uncompared = compare::uncompared_headers(&side, &other, &chosen.rules);
        return Some((
            Outcome::Matched,
            Some(Differences { uncompared, ..Differences::default() }),
        ));
    }
    if ours.is_small() && theirs.is_small() {
        return Some(look_closer(mirror, &ours, &theirs, &chosen.rules, detail));
    }
    let look = {
        let (mirror, rules) = (Arc::clone(mirror), Arc::clone(&chosen.rules));
        async move { look_closer(&mirror, &ours, &theirs, &rules, detail) }
    };
    mirror.compare_runtime.spawn(look).await.ok()
}

fn look_closer(
    mirror: &Mirror,
    ours: &Reply,
    theirs: &Reply,
    rules: &Rules,
    detail: bool,
) -> Looked {
    mirror.probe(Stage::Look);
    let mut decoded = mirror.budget.try_take(0);
    let mut grant = |bytes| decoded.as_mut().is_some_and(|held| held.try_grow(bytes));
    let max_decoded = mirror.config.max_body_bytes.saturating_mul(DECODED_FACTOR);
    let mut limits = Limits { max_decoded, grant: &mut grant };
    let (ours, theirs) = (ours.side(), theirs.side());
    let looked = compare::look_closer(&ours, &theirs, rules, detail, &mut limits);
    match looked.verdict {
        Verdict::Matched => (Outcome::Matched, Some(looked.differences)),
        Verdict::Mismatched => (Outcome::Mismatched, Some(looked.differences)),
        Verdict::ResponseTooLarge => (Outcome::ResponseTooLarge, None),
        Verdict::BufferFull => {
            mirror.note_drop(Outcome::DroppedBufferFull);
            (Outcome::DroppedBufferFull, None)
        }
    }
}

impl Reply {
    /// Looking at it closely takes less than handing it to another thread. What is encoded may be
    /// of any size.
    fn is_small(&self) -> bool {
        self.body.length() <= SMALL && self.head.content_encoding.is_empty()
    }

    fn side(&self) -> Side<'_> {
        let Head { status, content_encoding, grpc_status, headers, .. } = &self.head;
        Side {
            status: status.as_u16(),
            content_type: headers.content_type(),
            content_encoding: content_encoding.iter().map(HeaderValue::as_bytes).collect(),
            grpc_status: grpc_status.as_ref().map(HeaderValue::as_bytes),
            headers: Some(headers),
            body: match &self.body {
                ReplyBody::Whole(capture) => compare::Body::Whole(capture.bytes()),
                ReplyBody::Hashed { hasher, length, cause } => compare::Body::Hashed {
                    length: *length,
                    hash: hasher.digest128(),
                    cause: *cause,
                },
            },
        }
    }
}
