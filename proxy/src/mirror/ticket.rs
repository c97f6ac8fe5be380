//! A request that may be mirrored, while its body is still on its way to the baseline.
//!
//! Two [taps](super::tap) decide together what becomes of it: the one of the request body, which hands
//! the copy over when the body is whole, and the one of the baseline's answer, which knows why it never
//! will be.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Stage;
use super::entry::Entry;
use super::job::Job;
use super::pair::End;
use crate::exchange::Outcome;
use compare::Cause;

/// Shared by the two taps.
#[derive(Debug)]
pub(super) struct Ticket {
    entry: Arc<Entry>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The copy; gone once it is handed over or its outcome counted.
    job: Option<Job>,
    body_dropped: bool,
    baseline: Option<Ended>,
}

#[derive(Clone, Copy, Debug)]
enum Ended {
    Answered,
    Failed,
    Aborted,
    Broken,
}

impl Ticket {
    pub(super) fn new(entry: Arc<Entry>, job: Job) -> Arc<Self> {
        let state = State { job: Some(job), body_dropped: false, baseline: None };
        Arc::new(Self { entry, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn give_up(&self, outcome: Outcome) {
        let job = self.state().job.take();
        if let Some(job) = job {
            job.tally.count::<()>(outcome);
        }
    }

    pub(super) fn baseline_ended(&self, end: &End) {
        self.state().baseline = Some(match end {
            End::Answered(_) => Ended::Answered,
            End::Failed(_) => Ended::Failed,
            End::Aborted(_) => Ended::Aborted,
            End::Broken => Ended::Broken,
        });
        self.settle();
    }

    fn settle(&self) {
        let (baseline, body_dropped) = {
            let state = self.state();
            (state.baseline, state.body_dropped)
        };
        match baseline {
            Some(Ended::Failed) => self.give_up(Outcome::BaselineFailed),
            Some(Ended::Aborted) => self.give_up(Outcome::ClientAborted),
            Some(Ended::Broken) => self.give_up(Outcome::InternalError),
            Some(Ended::Answered) if body_dropped => self.give_up(Outcome::BodyIncomplete),
            // The rest of the body may still come, or the baseline's side will tell.
            Some(Ended::Answered) | None => {}
        }
    }

    pub(super) fn body_dropped(&self) {
        self.state().body_dropped = true;
        self.settle();
    }

    pub(super) fn keep(&self, chunk: &[u8]) {
        self.entry.lane.probe(Stage::CaptureRequest);
        let kept = match &mut self.state().job {
            Some(Job { body: Some(capture), .. }) => capture.push(chunk),
            _ => Ok(()),
        };
        match kept {
            Ok(()) => {}
            Err(Cause::TooLarge) => self.give_up(Outcome::BodyTooLarge),
            Err(Cause::NoBudget) => {
                self.entry.lane.note_drop(Outcome::DroppedBufferFull);
                self.give_up(Outcome::DroppedBufferFull);
            }
        }
    }

    pub(super) fn hand_over(&self) {
        let job = self.state().job.take();
        if let Some(job) = job {
            self.entry.submit(job);
        }
    }
}
