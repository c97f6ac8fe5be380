//! Ids that the candidate gives out itself, in the life of a copy: it waits for one that is being learned right
//! now, goes out with the candidate's, teaches what both answers say, and has the baseline's in the candidate's
//! answer when it is compared.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::SMALL;
use super::copied::{copy_of, is_small, snapshot_of};
use crate::body::{Budget, Capture, ReplyBody};
use crate::exchange::{Outcome, RequestSnapshot};
use crate::explain::Found;
use crate::mirror::aboard::{Aboard, Looked};
use crate::mirror::identities::Identities;
use crate::mirror::job::Job;
use crate::mirror::lane::Lane;
use crate::mirror::order::Waits;
use crate::mirror::pair::{BaselineSide, End, Head, Progress};
use crate::mirror::reply::{DECODED_FACTOR, Reply, compared};
use crate::observe::Series;
use crate::plan::{self, Terms};
use compare::{Headers, Limits, decode};
use transform::CopyRequest;
use transform::identity::answers::{self, Page, Values};
use transform::identity::{InAnswer, Key, Scope, Value, copies};

/// What a copy has to do with ids.
pub(super) type Of = Option<Arc<Aboard>>;

/// From here on it may teach. Pairs must come in the order of their requests.
pub(super) fn board(
    identities: &Arc<Identities>,
    terms: &Terms,
    scopes: &[Scope],
    (progress, method): (&Arc<Progress>, &Method),
) -> Of {
    let policies = &terms.identities()?.policies;
    Some(Aboard::board(identities, policies, scopes, progress, method.is_safe()))
}

/// Whether a copy may go out.
pub(super) enum Ready {
    /// It has all its ids, or has waited for them.
    Now(Box<Job>),
    /// These are being learned, and it may wait for them until then.
    Later(Box<Job>, Vec<(usize, Key)>, Instant, Waits),
}

/// Looks whether an id of a copy is being learned right now; `None` where that failed, and the copy with it.
pub(super) async fn ready(lane: &Arc<Lane>, mut job: Box<Job>) -> Option<Ready> {
    if job.has_waited {
        return Some(Ready::Now(job));
    }
    ask(lane, &mut job).await?;
    let (Some(aboard), Some(of)) = (&job.aboard, job.terms.identities()) else {
        return Some(Ready::Now(job));
    };
    let awaited = awaited(aboard, of);
    let wait = longest_wait(of);
    let until = (Instant::now() + wait).min(job.complete_since + job.terms.timeout / 2);
    if awaited.is_empty() {
        return Some(Ready::Now(job));
    }
    job.has_waited = true;
    // Where as many wait as may, it goes out without.
    Some(match lane.waiting.begin() {
        Some(waits) => Ready::Later(job, awaited, until, waits),
        None => Ready::Now(job),
    })
}

/// The ids of a copy that are being learned right now, and that it waits for.
fn awaited(aboard: &Aboard, of: &plan::Identities) -> Vec<(usize, Key)> {
    let waits = |at: usize| of.policies.get(at).is_some_and(|policy| !policy.wait.is_zero());
    let mut awaited = aboard.awaited();
    awaited.retain(|(at, _)| waits(*at));
    awaited
}

fn longest_wait(of: &plan::Identities) -> Duration {
    of.policies.iter().map(|policy| policy.wait).max().unwrap_or_default()
}

/// Looks which ids a copy has, unless that is known; `None` where that failed.
pub(super) async fn ask(lane: &Arc<Lane>, job: &mut Job) -> Option<()> {
    let Some(aboard) = job.aboard.clone().filter(|aboard| !aboard.has_asked()) else {
        return Some(());
    };
    let is_small = is_small(&job.snapshot, job.body.as_ref().map(Capture::bytes));
    let look = {
        let (budget, terms) = (Arc::clone(&lane.budget), Arc::clone(&job.terms));
        let (snapshot, body) = (Arc::clone(&job.snapshot), job.body.take());
        move || {
            let bytes = body.as_ref().map(|body| Bytes::copy_from_slice(body.bytes()));
            aboard.asks(&values_of(&budget, &terms, &snapshot, bytes));
            body
        }
    };
    job.body = if is_small {
        look()
    } else {
        lane.shared.compare_runtime.spawn(async move { look() }).await.ok()?
    };
    Some(())
}

/// The ids of a request.
fn values_of(
    budget: &Arc<Budget>,
    terms: &Terms,
    snapshot: &RequestSnapshot,
    body: Option<Bytes>,
) -> Vec<(usize, Value)> {
    let mut values = Vec::new();
    let Some(of) = terms.identities() else { return values };
    let mut copy = copy_of(snapshot, body);
    within(budget, terms, |limits| {
        let mut look = |at: usize, value: &[u8]| {
            values.push((at, value.into()));
            None
        };
        copies::replace(&of.places, &mut copy, &mut look, limits);
    });
    values
}

/// Gives memory for bodies that are read, for as long as it takes.
fn within<T>(budget: &Arc<Budget>, terms: &Terms, work: impl FnOnce(&mut Limits<'_>) -> T) -> T {
    let mut held = budget.try_take(0);
    let mut grant = |bytes| held.as_mut().is_some_and(|held| held.try_grow(bytes));
    let max_decoded = terms.max_body_bytes.saturating_mul(DECODED_FACTOR);
    work(&mut Limits { max_decoded, grant: &mut grant })
}

/// What came of putting the candidate's ids in place of the baseline's.
#[derive(Debug, Default)]
pub(super) struct Put {
    /// Those that were put in.
    pub(super) values: Vec<Value>,
    /// One of the copy's is not known.
    pub(super) is_unknown: bool,
    /// What was found, of each identity.
    pub(super) found: Vec<Found>,
}

/// Puts the candidate's ids in place of the baseline's.
pub(super) fn put(
    aboard: Option<&Aboard>,
    terms: &Terms,
    copy: &mut CopyRequest,
    limits: &mut Limits<'_>,
) -> Put {
    let (Some(aboard), Some(of)) = (aboard, terms.identities()) else { return Put::default() };
    let mut found = vec![Found::default(); of.places.len()];
    let mut known = |at: usize, value: &[u8]| match aboard.look(at, value) {
        Looked::Value(value) => {
            found[at].known = true;
            Some(value)
        }
        Looked::Unknown => {
            found[at].unknown = true;
            None
        }
        Looked::Same => {
            found[at].same = true;
            None
        }
    };
    let values = copies::replace(&of.places, copy, &mut known, limits);
    let all_unknown = found.iter().enumerate().filter(|(_, found)| found.unknown);
    let is_unknown = all_unknown.map(|(at, _)| aboard.count_unknown(at)).count() > 0;
    Put { values, is_unknown, found }
}

/// What is done beside something else; `None` for nothing. In a box, since few copies have any, and what is in a
/// copy's future is moved with it.
pub(super) type Other<'a> = Option<Pin<Box<dyn Future<Output = ()> + Send + 'a>>>;

/// As soon as the baseline's answer has come, first its head and then all of it, tells which ids are new in it,
/// so that nobody waits for others.
pub(super) fn telling<'a>(
    lane: &'a Lane,
    baseline: &'a mut BaselineSide,
    all: &[&Of],
) -> Other<'a> {
    let all: Vec<_> = all.iter().filter_map(|it| (*it).clone()).collect();
    let is_told = all.iter().all(|aboard| aboard.ours().is_some());
    (!is_told).then(|| Box::pin(tell(lane, baseline, all)) as Pin<Box<_>>)
}

async fn tell(lane: &Lane, baseline: &mut BaselineSide, all: Vec<Arc<Aboard>>) {
    let progress = baseline.progress();
    let Some(of) = progress.terms.identities() else { return };
    if baseline.end_so_far().is_none()
        && let Some(head) = baseline.head().await
    {
        let values = answers::learnable(&of.places, head_of(head), &mut |_| false);
        all.iter().for_each(|aboard| aboard.told_head(&values, head.status));
    }
    let (End::Answered(body), Some(head)) = (baseline.end().await, progress.head.get()) else {
        all.iter().for_each(|aboard| aboard.told_nothing());
        return;
    };
    if is_read_here(head, &body) {
        return tell_all((&lane.budget, &progress), &body, &all);
    }
    let budget = Arc::clone(&lane.budget);
    let work = async move { tell_all((&budget, &progress), &body, &all) };
    // Where that panicked they are told of it when both answers are there.
    lane.shared.compare_runtime.spawn(work).await.ok();
}

fn head_of(head: &Head) -> Page<'_> {
    Page { headers: &head.kept, body: None }
}

fn tell_all((budget, progress): (&Arc<Budget>, &Progress), body: &ReplyBody, all: &[Arc<Aboard>]) {
    let (Some(of), Some(head)) = (progress.terms.identities(), progress.head.get()) else { return };
    let values = within(budget, &progress.terms, |limits| {
        let body = plain((head, body), limits);
        let page = Page { body: body.as_deref(), ..head_of(head) };
        answers::learnable(&of.places, page, limits.grant)
    });
    all.iter().for_each(|aboard| aboard.told(values.clone(), head.status));
}

fn is_read_here(head: &Head, body: &ReplyBody) -> bool {
    body.length() <= SMALL && head.content_encoding.is_empty()
}

/// The candidate made nothing of what the baseline made: what it called it will have no counterpart.
/// The baseline's answer is returned where it is whole: others may have something in its place.
pub(super) async fn give_up(
    lane: &Lane,
    aboard: &Of,
    baseline: &mut BaselineSide,
    deadline: Instant,
) -> Option<Arc<Reply>> {
    if let Some(telling) = telling(lane, baseline, &[aboard]) {
        timeout_at(deadline, telling).await.ok();
    }
    if let Some(aboard) = aboard {
        aboard.count_unpaired();
        aboard.give_up();
    }
    match baseline.end_so_far()? {
        End::Answered(body) => Some(Arc::new(Reply { head: baseline.whole_head().await?, body })),
        _ => None,
    }
}

/// A copy that is not sent: what the baseline makes has no counterpart.
pub(super) async fn forgo(lane: Arc<Lane>, mut job: Box<Job>, why: Outcome) {
    let is_asked = ask(&lane, &mut job).await.is_some();
    let Job { tally, aboard, mut baseline, complete_since, terms, body, held, turn, .. } = *job;
    tally.count::<()>(why);
    drop((body, held, turn));
    if is_asked {
        give_up(&lane, &aboard, &mut baseline, complete_since + terms.timeout).await;
    }
}

/// A copy went out with an id that the candidate was known to have nothing for, and was answered. Where the answer
/// is the baseline's, it has the same by now.
pub(super) async fn reconsider(
    lane: &Arc<Lane>,
    series: &Series,
    aboard: &Of,
    baseline: &mut BaselineSide,
    (theirs, deadline): (Arc<Reply>, Instant),
) {
    let Some(aboard) = aboard.as_ref().filter(|aboard| aboard.lacks_any()) else { return };
    let Ok(End::Answered(body)) = timeout_at(deadline, baseline.end()).await else { return };
    let Some(head) = baseline.whole_head().await else { return };
    let has_succeeded = head.status.is_success();
    let ours = Arc::new(Reply { head, body });
    if has_succeeded && let Some((Outcome::Matched, _)) = compared(lane, series, ours, theirs).await
    {
        if let Some(telling) = telling(lane, baseline, &[&Some(Arc::clone(aboard))]) {
            telling.await;
        }
        aboard.are_equal();
    }
}

/// Both answers are whole: what they say is learned, and the candidate's has the baseline's ids then.
pub(super) async fn meet(
    lane: &Arc<Lane>,
    aboard: &Of,
    ours: &Arc<Reply>,
    theirs: Arc<Reply>,
) -> Option<Arc<Reply>> {
    let Some(aboard) = aboard else { return Some(theirs) };
    if ours.is_small() && theirs.is_small() {
        return Some(met(&lane.budget, aboard, ours, theirs));
    }
    let (budget, aboard, ours) = (Arc::clone(&lane.budget), Arc::clone(aboard), Arc::clone(ours));
    let work = async move { met(&budget, &aboard, &ours, theirs) };
    lane.shared.compare_runtime.spawn(work).await.ok()
}

fn met(budget: &Arc<Budget>, aboard: &Aboard, ours: &Arc<Reply>, theirs: Arc<Reply>) -> Arc<Reply> {
    let terms = Arc::clone(&ours.head.terms);
    let Some(of) = terms.identities() else { return theirs };
    let mut held = budget.try_take(0);
    let mut grant = |bytes| held.as_mut().is_some_and(|held| held.try_grow(bytes));
    let max_decoded = terms.max_body_bytes.saturating_mul(DECODED_FACTOR);
    let mut limits = Limits { max_decoded, grant: &mut grant };
    let bodies = [ours, &theirs].map(|it| plain((&it.head, &it.body), &mut limits));
    let pages = [(&ours.head, &bodies[0]), (&theirs.head, &bodies[1])]
        .map(|(head, body)| Page { headers: &head.kept, body: body.as_deref() });
    learn(of, aboard, [&ours.head, &theirs.head], pages, &mut limits);
    aboard.land();
    let mut known = |at: usize, value: &[u8]| aboard.known(at, value);
    let changed = answers::taken_back(&of.places, pages, &mut known, limits.grant);
    let answers::Changed { headers, body } = changed;
    if headers.is_none() && body.is_none() {
        return theirs;
    }
    let mut head = theirs.head.clone();
    if let Some(headers) = headers {
        let names = terms.comparison().headers();
        head.headers = Headers::of(&headers, head.status, names);
        head.kept = headers;
    }
    let body = match body {
        Some(body) => {
            head.content_encoding.clear();
            let Some(held) = budget.try_take(body.len()) else { return theirs };
            Arc::new(ReplyBody::Whole(Capture::of(body, held)))
        }
        None => Arc::clone(&theirs.body),
    };
    Arc::new(Reply { head, body })
}

/// A body without its codings, where it is known.
fn plain<'r>(
    (head, body): (&Head, &'r ReplyBody),
    limits: &mut Limits<'_>,
) -> Option<Cow<'r, [u8]>> {
    let ReplyBody::Whole(body) = body else { return None };
    let codings: Vec<_> = head.content_encoding.iter().map(|it| it.as_bytes()).collect();
    decode::decode(&codings, body.bytes(), limits).ok()
}

/// Answers of another class of status say nothing of what the other calls the same thing.
fn learn(
    of: &plan::Identities,
    aboard: &Aboard,
    [ours, theirs]: [&Head; 2],
    pages: [Page<'_>; 2],
    limits: &mut Limits<'_>,
) {
    let class = |head: &Head| head.status.as_u16() / 100;
    let read = |page, limits: &mut Limits<'_>| answers::learnable(&of.places, page, limits.grant);
    let status = ours.status;
    if aboard.ours().is_none() {
        aboard.told(read(pages[0], limits), status);
    }
    let is_same = class(ours) == class(theirs);
    // A session goes on whatever an answer in it says.
    let says = |at: usize, place: &InAnswer| is_same || place.is_renewed() && aboard.has_any(at);
    learn_places(of, (aboard, &says), status, pages, &read(pages[1], limits));
    aboard.give_up();
}

/// Whether both answers say what the same thing is called, at a place of an identity.
type Says<'s> = &'s dyn Fn(usize, &InAnswer) -> bool;

fn learn_places(
    of: &plan::Identities,
    (aboard, says): (&Aboard, Says<'_>),
    status: StatusCode,
    pages: [Page<'_>; 2],
    theirs: &Values,
) {
    let Some(ours) = aboard.ours() else { return };
    for (at, identity) in of.places.iter().enumerate() {
        for (place_at, place) in identity.learn.iter().enumerate() {
            let mut known = |value: &[u8]| aboard.known(at, value);
            let together = says(at, place) && answers::belong_together(place, pages, &mut known);
            let theirs = if together { theirs.at(at, place_at) } else { &[] };
            aboard.learn((at, place), status, (ours.at(at, place_at), theirs));
        }
    }
}

/// What goes to a second baseline, with its own ids, and whether one of them is not known; `None` where that
/// failed.
pub(super) async fn fit_secondary(
    lane: &Arc<Lane>,
    (aboard, progress): (&Of, &Arc<Progress>),
    (snapshot, body): (RequestSnapshot, Option<Bytes>),
) -> Option<((RequestSnapshot, Option<Bytes>), bool)> {
    let terms = &progress.terms;
    let (Some(aboard), Some(of)) = (aboard, terms.identities()) else {
        return Some(((snapshot, body), false));
    };
    let is_small = is_small(&snapshot, body.as_deref());
    let (awaited, until) = (awaited(aboard, of), Instant::now() + longest_wait(of));
    let work = {
        let (budget, aboard, terms) =
            (Arc::clone(&lane.budget), Arc::clone(aboard), Arc::clone(terms));
        async move {
            aboard.settled(&awaited, until).await;
            let mut copy = copy_of(&snapshot, body.clone());
            let put =
                within(&budget, &terms, |limits| put(Some(&aboard), &terms, &mut copy, limits));
            // A target that would be none stays as it was.
            let copy = snapshot_of(copy, &snapshot).unwrap_or((snapshot, body));
            (copy, put.is_unknown)
        }
    };
    if is_small { Some(work.await) } else { lane.shared.compare_runtime.spawn(work).await.ok() }
}

/// Does something, and something else beside it, as long as it takes.
pub(super) async fn beside<T>(mut main: impl Future<Output = T> + Unpin, other: Other<'_>) -> T {
    if let Some(other) = other {
        tokio::select! {
            biased;
            done = &mut main => return done,
            () = other => {}
        }
    }
    main.await
}
