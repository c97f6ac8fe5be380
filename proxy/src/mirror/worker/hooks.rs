//! Runs hooks, on threads that serve no clients: what a script does costs its copy and nothing else.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::body::{Budget, Capture, ReplyBody};
use crate::exchange::{HookResult, Outcome};
use crate::explain::Explaining;
use crate::mirror::lane::Lane;
use crate::mirror::reply::Reply;
use crate::policy::hook::Hook;
use compare::{Cause as NotKept, Headers};
use transform::hook::{About, Cause, Failure, Limits, Said, Verdict};
use transform::{Answer, CopyRequest};

/// Two answers that belong together.
pub(super) type Both = (Arc<Reply>, Arc<Reply>);

/// Lets all that are meant see a copy, one after the other; why it is not sent where one of them drops it or
/// fails.
pub(super) fn pre(
    lane: &Lane,
    route: &str,
    hooks: &[Arc<Hook>],
    copy: &mut CopyRequest,
    mut told: Option<&mut Explaining<'_>>,
) -> Result<(), Outcome> {
    for hook in hooks {
        let run = |about: About<'_>, limits| hook.script.pre(copy, about, limits);
        let said = ran(lane, route, hook, true, run).map(|said| said.verdict);
        if let Some(told) = &mut told {
            told.hook(hook, copy, said.as_ref().map_err(|outcome| outcome.name().to_owned()));
        }
        match said? {
            Verdict::Send => {}
            Verdict::Drop(reason) => {
                tracing::debug!(hook = &*hook.name, route, reason, "dropped by a hook");
                return Err(Outcome::DroppedByHook);
            }
        }
    }
    Ok(())
}

/// Lets all that are meant see both answers before they are compared. `counts`: whether the labels that they give
/// are of a copy. What cannot be seen as a whole is only compared where it is the same.
pub(super) async fn post(
    lane: &Arc<Lane>,
    route: &Arc<str>,
    (ours, theirs): Both,
    counts: bool,
) -> Result<Both, Outcome> {
    if ours.head.terms.post_hooks().is_empty() {
        return Ok((ours, theirs));
    }
    let work = {
        let (lane, route) = (Arc::clone(lane), Arc::clone(route));
        async move { seen(&lane, &route, (ours, theirs), counts) }
    };
    // A panic there is a fault of ours.
    lane.shared.compare_runtime.spawn(work).await.unwrap_or(Err(Outcome::InternalError))
}

fn seen(
    lane: &Lane,
    route: &Arc<str>,
    (ours, theirs): Both,
    counts: bool,
) -> Result<Both, Outcome> {
    let terms = Arc::clone(&ours.head.terms);
    let mut held = lane.budget.try_take(0);
    let mut grant = |bytes| held.as_mut().is_some_and(|held| held.try_grow(bytes));
    let mut both = [&ours, &theirs].map(|reply| answer_of(reply, &mut grant));
    let [our, their] = &mut both;
    let (Ok(our), Ok(their)) = (our, their) else {
        let same = compare::same_bytes(&ours.side(), &theirs.side(), &terms.rules(route).rules);
        let reason = both.into_iter().find_map(Result::err);
        return match reason {
            Some(reason) if !same => {
                if reason == Outcome::DroppedBufferFull {
                    lane.note_drop(reason);
                }
                Err(reason)
            }
            _ => Ok((ours, theirs)),
        };
    };
    let before = [our.clone(), their.clone()];
    for hook in terms.post_hooks() {
        let run =
            |about: About<'_>, limits| hook.script.post((&mut *our, &mut *their), about, limits);
        ran(lane, route, hook, counts, run)?;
    }
    let ours = reply_of(&lane.budget, ours, &before[0], our)?;
    Ok((ours, reply_of(&lane.budget, theirs, &before[1], their)?))
}

/// An answer as hooks see it.
fn answer_of(reply: &Reply, grant: &mut dyn FnMut(usize) -> bool) -> Result<Answer, Outcome> {
    let body = match &*reply.body {
        ReplyBody::Whole(body) => body.bytes(),
        ReplyBody::Hashed { cause: NotKept::TooLarge, .. } => {
            return Err(Outcome::ResponseTooLarge);
        }
        ReplyBody::Hashed { cause: NotKept::NoBudget, .. } => {
            return Err(Outcome::DroppedBufferFull);
        }
    };
    if !grant(body.len()) {
        return Err(Outcome::DroppedBufferFull);
    }
    let (status, headers) = (reply.head.status, reply.head.kept.clone());
    Ok(Answer { status, headers, body: Bytes::copy_from_slice(body) })
}

/// The answer as it is compared.
fn reply_of(
    budget: &Arc<Budget>,
    was: Arc<Reply>,
    before: &Answer,
    now: &Answer,
) -> Result<Arc<Reply>, Outcome> {
    if before == now {
        return Ok(was);
    }
    let mut head = was.head.clone();
    head.status = now.status;
    if before.headers != now.headers || before.status != now.status {
        let names = head.terms.comparison().headers();
        head.headers = Headers::of(&now.headers, now.status, names);
        head.kept = now.headers.clone();
    }
    let body = if before.body == now.body {
        Arc::clone(&was.body)
    } else {
        let held = budget.try_take(now.body.len()).ok_or(Outcome::DroppedBufferFull)?;
        Arc::new(ReplyBody::Whole(Capture::of(now.body.to_vec(), held)))
    };
    Ok(Arc::new(Reply { head, body }))
}

/// Runs a hook, and counts and tells what came of it.
fn ran(
    lane: &Lane,
    route: &str,
    hook: &Hook,
    counts: bool,
    run: impl FnOnce(About<'_>, Limits) -> Result<Said, Failure>,
) -> Result<Said, Outcome> {
    let (metrics, candidate) = (lane.observe.metrics(), lane.observe.name());
    if !hook.may_run(Instant::now()) {
        metrics.count_hook(&hook.name, HookResult::Resting);
        return Err(Outcome::HookFailed);
    }
    let said = run(About { route, candidate: &candidate }, limits(&lane.budget, hook));
    let result = match &said {
        Ok(Said { verdict: Verdict::Send, .. }) => HookResult::Done,
        Ok(Said { verdict: Verdict::Drop(_), .. }) => HookResult::Dropped,
        Err(failure) => result_of(failure.cause),
    };
    let took_all = matches!(result, HookResult::Steps | HookResult::Time | HookResult::Memory);
    hook.ran(took_all, Instant::now());
    metrics.count_hook(&hook.name, result);
    let said = said.map_err(|failure| {
        if failure.cause == Cause::NoBudget {
            lane.note_drop(Outcome::DroppedBufferFull);
            return Outcome::DroppedBufferFull;
        }
        lane.note_hook(route, hook, &failure);
        Outcome::HookFailed
    })?;
    let labels =
        said.labels.iter().filter(|_| counts).filter_map(|at| hook.script.labels().get(*at));
    labels.for_each(|label| metrics.count_hook_label(&hook.name, label));
    Ok(said)
}

fn result_of(cause: Cause) -> HookResult {
    match cause {
        Cause::Script => HookResult::Failed,
        Cause::Steps => HookResult::Steps,
        Cause::Time => HookResult::Time,
        Cause::Memory => HookResult::Memory,
        Cause::NoBudget => HookResult::NoBudget,
        Cause::Panic => HookResult::InternalError,
    }
}

/// What a run may take, its bytes of the lane's.
fn limits(budget: &Arc<Budget>, hook: &Hook) -> Limits {
    let until = Instant::now() + hook.timeout;
    let mut held = budget.try_take(0);
    Limits {
        steps: hook.steps,
        bytes: hook.bytes,
        over: Arc::new(move || Instant::now() >= until),
        grant: Box::new(move |bytes| held.as_mut().is_some_and(|held| held.try_grow(bytes))),
    }
}
