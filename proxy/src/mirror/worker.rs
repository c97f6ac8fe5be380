//! The mirror's background work: take a copy from the queue, call the candidate, wait for the
//! baseline's side of the pair, tell the guardrail, compare.
//!
//! The candidate is called on the same threads as the baseline: on threads of its own, each time
//! the machine is too busy to run them looks like a slow candidate, and a busy machine is reason
//! enough for five such pairs in a row. What takes time, comparing large bodies, has its
//! own threads.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, Request, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use super::Stage;
use super::between::Meeting;
use super::job::Job;
use super::lane::Lane;
use super::order::Turn;
use super::pair::{BaselineSide, End, Ended, Head, Progress};
use super::recording::Recording;
use super::reply::{Reply, SMALL, compared};
use super::slots::Slot;
use super::told::Told;
use crate::body::{Capture, Held, ReplyBody};
use crate::exchange::{Outcome, RequestSnapshot};
use crate::observe::kept::Answer;
use crate::observe::{Mirrored, Series};
use crate::plan::Terms;
use crate::route::table::Route;
use crate::telemetry::{Carried, TracedCopy};
use crate::upstream::{Anew, Error, OutBody, Sent, UpstreamBody, empty_body, full_body};
use compare::Differences;
use judge::{Call, Comparison, Pair};

mod copied;
mod due;
mod hooks;
mod identities;
mod noise;
mod prepare;
mod sides;

use due::{Back, Due};
use identities::Ready;
use noise::{Asked, Request as Asking};
use prepare::{Prepared, as_it_came, prepare};
use sides::cut_short;

/// How far a candidate's body may be ahead of the baseline's before it is read with pauses.
const AHEAD: u64 = 64 * 1024;
/// Pause between reads of a body that is ahead.
const PAUSE: Duration = Duration::from_millis(10);
/// The same for a body without a declared length: what comes can only tell a longer body from an
/// endless one, which is not worth a busy core.
const LONG_PAUSE: Duration = Duration::from_millis(100);

/// Pays for a request's head and body as long as anybody holds them, and is the turn of its session.
type Paid = (Arc<Held>, Option<Held>, Option<Turn>);

/// Sends copies, as many at once as the candidate copes with, until the queue's other end is gone.
pub(super) async fn run(lane: Arc<Lane>, jobs: mpsc::Receiver<Box<Job>>) {
    let mut due = Due::new(jobs);
    loop {
        // The slot comes first, so that a copy waits in the queue, or beside it, and nowhere else.
        let slot = lane.slots.acquire().await;
        let Some(job) = due.next(&lane).await else { return };
        tokio::spawn(take_up(Arc::clone(&lane), job, slot, due.back()));
    }
}

/// Sends a copy, or lets it wait for an id that is being learned, without its slot.
async fn take_up(lane: Arc<Lane>, job: Box<Job>, slot: Slot, back: Back) {
    lane.probe(Stage::Receive);
    if let Some(reason) = unsent(&lane, &job) {
        drop(slot);
        return Box::pin(identities::forgo(lane, job, reason)).await;
    }
    // Most copies have nothing to do with ids, and what is in a future is moved with it.
    match job.aboard.is_some() {
        true => Box::pin(wait_or_send(lane, job, slot, back)).await,
        false => send(lane, job, slot).await,
    }
}

async fn wait_or_send(lane: Arc<Lane>, job: Box<Job>, slot: Slot, back: Back) {
    // None where that panicked, which the outcome tells.
    match identities::ready(&lane, job).await {
        Some(Ready::Now(job)) => send(lane, job, slot).await,
        Some(Ready::Later(mut job, ids, until, waits)) => {
            drop(slot);
            let Job { aboard, baseline, .. } = &mut *job;
            if let Some(learned) = aboard.clone() {
                let settled = pin!(learned.settled(&ids, until));
                identities::beside(settled, identities::telling(&lane, baseline, &[aboard])).await;
            }
            back.send((job, waits)).await.ok();
        }
        None => {}
    }
}

/// As many copies wait as may.
pub(super) fn drop_for_want_of_room(lane: &Arc<Lane>, mut job: Box<Job>) {
    lane.note_drop(Outcome::DroppedQueueFull);
    due::aboard(lane, &mut job);
    if job.aboard.is_some() {
        // It ends with the baseline's answer.
        tokio::spawn(identities::forgo(Arc::clone(lane), job, Outcome::DroppedQueueFull));
    } else {
        job.tally.count::<()>(Outcome::DroppedQueueFull);
    }
}

async fn send(lane: Arc<Lane>, job: Box<Job>, slot: Slot) {
    let Job { tally, route, terms, epoch, snapshot, body, held, meeting, turn, aboard, .. } = *job;
    let mut baseline = job.baseline;
    let (series, deadline) = (&Arc::clone(&tally.series), job.complete_since + terms.timeout);
    let progress = baseline.progress();
    let (body, paid) = body.map(Capture::into_parts).unzip();
    let (body, held) = (body.map(Bytes::from), Arc::new(held));
    let paid: Arc<Paid> = Arc::new((Arc::clone(&held), paid, turn));
    let asked = {
        let (snapshot, body) = (&snapshot, body.as_ref());
        let (progress, scopes) = (Arc::clone(&progress), &job.scopes);
        let request =
            Asking { snapshot, body, paid: &paid, deadline, progress, scopes, aboard: &aboard };
        noise::ask(&lane, series, &request)
    };
    let rules = terms.rules(&series.label);
    let told = &Told::new(&snapshot, body.as_ref(), &rules.rules, held);
    let is_head = snapshot.method == Method::HEAD;
    let all = [&aboard, asked.as_ref().map_or(&None, Asked::aboard)];
    let prepared = if let Some(preparation) = &terms.preparation {
        let with = (series, &terms, preparation);
        let prepare = Box::pin(prepare(&lane, with, &aboard, snapshot, body));
        identities::beside(prepare, identities::telling(&lane, &mut baseline, &all)).await
    } else {
        Ok(as_it_came(&lane, (series, &terms), snapshot, body))
    };
    let Prepared { snapshot, body, held: more, is_unknown } = match prepared {
        Ok(prepared) => prepared,
        Err(reason) => {
            tally.count::<()>(reason);
            drop((slot, paid));
            return not_judged(&lane, (&aboard, &mut baseline), asked, deadline).await;
        }
    };
    // One that asks for the head alone says nothing of a body.
    let only_head = is_head || snapshot.method == Method::HEAD;
    let (request, alike) = (judge::pair::Request::of(told), !progress.is_known);
    let copy = Mirrored { series, terms: &terms, epoch, request, alike };
    let (meeting, recording, traced) = (meeting.as_deref(), tally.recording(), tally.traced());
    let about = About { copy, told, route: &route, meeting, aboard: &aboard, recording, traced };
    let called = {
        let called = pin!(call(&lane, about, (snapshot, body), deadline, &progress, &slot));
        identities::beside(called, identities::telling(&lane, &mut baseline, &all)).await
    };
    drop((slot, paid, more));
    if is_unknown {
        // Whatever the candidate made of it says nothing of the candidate.
        tally.count::<()>(Outcome::IdentityUnknown);
        let of = (&aboard, &mut baseline);
        return Box::pin(not_counted(&lane, series, of, (called, asked), deadline)).await;
    }
    let is_answered = matches!(called, Called::Answered(..));
    let (judges, asked) = if is_answered { (asked, None) } else { (None, asked) };
    let outcome = judge(&lane, about, (called, &mut baseline), judges, only_head).await;
    if let Some(outcome) = outcome {
        tally.count::<()>(outcome);
    }
    if !is_answered {
        not_judged(&lane, (&aboard, &mut baseline), asked, deadline).await;
        aboard.iter().for_each(|aboard| aboard.land());
    }
}

/// A copy with an id that is not known is no evidence, and yet it may tell of the id.
async fn not_counted(
    lane: &Arc<Lane>,
    series: &Series,
    (aboard, baseline): (&identities::Of, &mut BaselineSide),
    (called, asked): (Called, Option<Asked>),
    deadline: Instant,
) {
    if let Called::Answered(head, body) = called {
        let theirs = Arc::new(Reply { head, body: Arc::new(body) });
        identities::reconsider(lane, series, aboard, baseline, (theirs, deadline)).await;
    }
    not_judged(lane, (aboard, baseline), asked, deadline).await;
}

/// There are no two answers: nothing is learned but what has no counterpart.
async fn not_judged(
    lane: &Lane,
    (aboard, baseline): (&identities::Of, &mut BaselineSide),
    asked: Option<Asked>,
    deadline: Instant,
) {
    if aboard.is_some() {
        let ours = Box::pin(identities::give_up(lane, aboard, baseline, deadline)).await;
        if let (Some(ours), Some(asked)) = (ours, asked) {
            asked.not_judged(ours);
        }
    }
}

/// What a pair is about.
#[derive(Clone, Copy)]
struct About<'a> {
    copy: Mirrored<'a>,
    /// The request.
    told: &'a Told<'a>,
    /// Knows how the baseline did lately.
    route: &'a Route,
    /// Where it meets the answers of other candidates.
    meeting: Option<&'a Meeting>,
    /// What it teaches of ids.
    aboard: &'a identities::Of,
    /// Where it is recorded what comes of it.
    recording: Option<&'a Recording>,
    /// Where its moments are noted.
    traced: Option<&'a TracedCopy>,
}

/// Why a copy is not sent any more.
fn unsent(lane: &Lane, job: &Job) -> Option<Outcome> {
    let open = lane.observe.open(&job.tally.series, job.terms.id());
    if open.is_none_or(|open| open.epoch != job.epoch) {
        Some(Outcome::Disabled)
    } else if job.complete_since.elapsed() > job.terms.timeout / 2 || !job.is_its_turn() {
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

impl Called {
    /// The status of a whole answer.
    fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Answered(head, _) => Some(head.status),
            Self::Failed(_) | Self::TimedOut(_) => None,
        }
    }
}

/// Counts a copy as in flight while it lives, however the call ends.
struct InFlight<'a>(&'a Lane);

impl<'a> InFlight<'a> {
    fn new(lane: &'a Lane) -> Self {
        lane.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(lane)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Calls the candidate, and notes when.
async fn call(
    lane: &Lane,
    about: About<'_>,
    copy: (Arc<RequestSnapshot>, Option<Bytes>),
    deadline: Instant,
    baseline: &Progress,
    slot: &Slot,
) -> Called {
    let Some(traced) = about.traced else {
        return talk(lane, about, copy, deadline, baseline, slot).await;
    };
    traced.called();
    let called = talk(lane, about, copy, deadline, baseline, slot).await;
    traced.answered(called.status());
    called
}

async fn talk(
    lane: &Lane,
    about: About<'_>,
    (snapshot, body): (Arc<RequestSnapshot>, Option<Bytes>),
    deadline: Instant,
    baseline: &Progress,
    slot: &Slot,
) -> Called {
    lane.probe(Stage::Call);
    let Mirrored { series, terms, .. } = about.copy;
    let by = (terms, Carried::new(terms.traces, about.traced));
    let _in_flight = InFlight::new(lane);
    let without_body = body.as_ref().is_none_or(Bytes::is_empty);
    let spare = without_body.then(|| Arc::clone(&snapshot));
    let anew = spare.map(|it| {
        let body = body.clone();
        move || copy_of(lane, by, RequestSnapshot::clone(&it), body.clone())
    });
    let anew = anew.as_ref().map(|anew| anew as Anew<'_>);
    let request = copy_of(lane, by, Arc::unwrap_or_clone(snapshot), body);
    let sent = Sent::default();
    series.metrics.target.requests.increment(1);
    let mut latency = None;
    // One timer for all of it.
    let talk = async {
        let response = match lane.upstream.send_anew(request, &sent, false, anew).await {
            Ok(response) => response,
            Err(error) => {
                tracing::debug!(
                    route = &*series.label,
                    reason = error.reason(),
                    "candidate failed"
                );
                lane.note_reach(!error.is_connect());
                if error.is_timeout() {
                    slot.cut();
                }
                return Called::Failed(None);
            }
        };
        let taken = sent.at().map_or(Duration::ZERO, |sent| sent.elapsed());
        latency = Some(taken);
        lane.note_reach(true);
        slot.answered(taken);
        series.metrics.target.latency.record(taken);
        let mut head = Head::of(&response, taken, &baseline.terms);
        head.keep_all(response.headers(), about.recording.is_some());
        match read_body(lane, response.into_body(), &mut head, baseline).await {
            Some(body) => Called::Answered(head, body),
            None => Called::Failed(Some(taken)),
        }
    };
    if let Ok(called) = timeout_at(deadline, talk).await {
        return called;
    }
    if latency.is_none() {
        slot.cut();
        lane.upstream.note_failure(&Error::HeadTimeout);
        // A request is sent when there is a connection to send it on.
        lane.note_reach(sent.at().is_some());
    }
    Called::TimedOut(latency)
}

fn copy_of(
    lane: &Lane,
    (terms, carried): (&Terms, Carried),
    snapshot: RequestSnapshot,
    body: Option<Bytes>,
) -> Request<OutBody> {
    let mut request = snapshot.into_request(empty_body());
    let headers = request.headers_mut();
    carried.put(headers);
    lane.shared.mark_copy(terms, headers);
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
    lane: &Lane,
    mut body: UpstreamBody,
    head: &mut Head,
    baseline: &Progress,
) -> Option<ReplyBody> {
    let pause = if body.size_hint().exact().is_some() { PAUSE } else { LONG_PAUSE };
    let mut kept = ReplyBody::new(baseline.terms.max_body_bytes, &lane.budget);
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
    lane: &Arc<Lane>,
    about: About<'_>,
    (called, baseline): (Called, &mut BaselineSide),
    asked: Option<Asked>,
    only_head: bool,
) -> Option<Outcome> {
    match called {
        Called::Answered(head, body) => {
            let all = [about.aboard, asked.as_ref().map_or(&None, Asked::aboard)];
            if let Some(telling) = identities::telling(lane, baseline, &all) {
                telling.await;
            }
            let theirs = match baseline.end().await {
                End::Answered(body) => body,
                other => return without_answer(lane, about, &other, baseline, head.call()),
            };
            let ours = Arc::new(Reply { head: baseline.whole_head().await?, body: theirs });
            let theirs = Reply { head, body: Arc::new(body) };
            let replies = (ours, Arc::new(theirs));
            judge_answers(lane, about, replies, asked, only_head).await
        }
        Called::Failed(latency) => {
            unanswered(lane, about, (latency, true), baseline, Outcome::CandidateFailed).await
        }
        Called::TimedOut(latency) => {
            unanswered(lane, about, (latency, false), baseline, Outcome::CandidateTimeout).await
        }
    }
}

/// Both answers are whole.
async fn judge_answers(
    lane: &Arc<Lane>,
    about: About<'_>,
    (ours, theirs): (Arc<Reply>, Arc<Reply>),
    asked: Option<Asked>,
    only_head: bool,
) -> Option<Outcome> {
    let pair = about.copy.pair(ours.head.call(), theirs.head.call());
    about.told.answered([ours.head.status, theirs.head.status]);
    answered(lane, about, &pair);
    let not_modified = |reply: &Reply| reply.head.status == StatusCode::NOT_MODIFIED;
    let content = !(only_head || (not_modified(&ours) && not_modified(&theirs)));
    let Mirrored { series, .. } = about.copy;
    let as_answered = about.recording.map(|recording| (recording, Arc::clone(&theirs)));
    let theirs = identities::meet(lane, about.aboard, &ours, theirs).await?;
    let (as_sent, both) = (Arc::clone(&ours), (ours, theirs));
    let seen = hooks::post(lane, &series.label, both, true).await;
    let (ours, theirs) = match seen {
        Ok(both) => both,
        Err(outcome) => {
            // What it took and whether it failed counts; what it said nobody knows.
            let comparison = Comparison { content, differences: None };
            lane.observe.compared(&about.copy, &pair, &comparison, asks(lane));
            if let Some(asked) = asked {
                asked.not_judged(as_sent);
            }
            return Some(outcome);
        }
    };
    let hidden = || theirs.hidden_as(&ours, &series.label, lane).map(Arc::new);
    let theirs = (!about.copy.alike).then(hidden).flatten().unwrap_or(theirs);
    let looked = look(lane, about, (&ours, &theirs)).await;
    let outcome = looked.as_ref().map(|(outcome, _)| *outcome);
    let differences = looked.as_ref().and_then(|(_, differences)| differences.as_ref());
    if let Some(differences) = differences {
        series.metrics.count_differences(differences);
    }
    if let Some((recording, theirs)) = as_answered {
        let answer = (&theirs.head, &theirs.body);
        // The candidate's memory pays for it until it is written: a slow disk must not take that of copies.
        let keeps = lane.budget.has_to_spare();
        recording.answered(&lane.observe.name(), answer, keeps, differences);
    }
    let comparison = Comparison { content, differences };
    lane.observe.compared(&about.copy, &pair, &comparison, asks(lane));
    if let Some(differences) = differences.filter(|_| comparison.differs() == Some(true)) {
        let rules = &ours.head.terms.rules(&series.label).rules;
        let answers = || [&ours, &theirs].map(|reply| Answer::of(&reply.side(), rules));
        lane.observe.keep(&about.copy, differences, answers);
    }
    if let Some(asked) = asked {
        asked.judged(as_sent, differences);
    }
    if let Some(meeting) = about.meeting {
        meeting.answer(lane, &about.copy, &theirs).await;
    }
    outcome
}

/// Compares two answers, and notes when.
async fn look(
    lane: &Arc<Lane>,
    about: About<'_>,
    (ours, theirs): (&Arc<Reply>, &Arc<Reply>),
) -> Option<(Outcome, Option<Differences>)> {
    let since = about.traced.map(|traced| (traced, std::time::Instant::now()));
    let looked = compared(lane, about.copy.series, Arc::clone(ours), Arc::clone(theirs)).await;
    if let Some((traced, since)) = since {
        traced.compared(since);
    }
    looked
}

/// Whether a second baseline tells what differs by itself.
fn asks(lane: &Lane) -> bool {
    lane.secondary.as_ref().is_some_and(|secondary| secondary.asks())
}

/// The candidate gave no whole answer: the baseline's head is enough for the verdict. `broke` is
/// false for a call cut at its deadline.
async fn unanswered(
    lane: &Lane,
    about: About<'_>,
    (latency, broke): (Option<Duration>, bool),
    baseline: &mut BaselineSide,
    outcome: Outcome,
) -> Option<Outcome> {
    let end = baseline.end_so_far();
    if let Some(end @ (End::Failed(_) | End::Aborted(_) | End::Broken)) = &end {
        // What became of the baseline's body nobody knows then, so the candidate's does not count either.
        let failed = latency.is_none() || !matches!(end, End::Aborted(_));
        return without_answer(lane, about, end, baseline, Call { latency, failed });
    }
    // Both bodies were on their way at the deadline, an endless stream for one: nobody failed.
    let both_unfinished = !broke && latency.is_some() && end.is_none();
    let candidate = Call { latency, failed: !both_unfinished };
    let Some(head) = baseline.head().await.cloned() else {
        let end = baseline.end().await;
        return without_answer(lane, about, &end, baseline, candidate);
    };
    over(lane, about, &about.copy.pair(head.call(), candidate));
    Some(outcome)
}

/// The baseline gave no whole answer, or its client did not wait for it: there is nothing to compare,
/// but what is known of both sides counts. Leaving such pairs out would leave out the failures and
/// the slow answers of one side only, and make a twin look bad.
fn without_answer(
    lane: &Lane,
    about: About<'_>,
    end: &Ended,
    baseline: &BaselineSide,
    candidate: Call,
) -> Option<Outcome> {
    let outcome = match end {
        End::Failed(_) => Outcome::BaselineFailed,
        End::Aborted(_) => Outcome::ClientAborted,
        End::Broken | End::Answered(_) => return None,
    };
    if let Some(pair) = cut_short(&about.copy, end, baseline.head_so_far(), candidate) {
        over(lane, about, &pair);
    }
    Some(outcome)
}

/// A pair without anything to compare.
fn over(lane: &Lane, about: About<'_>, pair: &Pair<'_>) {
    answered(lane, about, pair);
    lane.observe.compared(&about.copy, pair, &Comparison::default(), asks(lane));
}

fn answered(lane: &Lane, about: About<'_>, pair: &Pair<'_>) {
    lane.probe(Stage::Observe);
    lane.observe.answered(&about.copy, pair, about.route.baseline_p99());
}
