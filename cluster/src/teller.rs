//! Gathers what pairs say until it is told. Whoever has a pair waits for nobody.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use judge::guardrail;
use judge::pair::{Call, Pair};

use crate::batch::{self, Batch, Line};

/// Lines of a batch; what is more is left out, and counted. A candidate is judged on a few thousand pairs at most,
/// and they come four times a second.
const LINES_MAX: usize = 5_000;
/// Texts of a batch: for examples, of which few are shown.
const TEXTS_MAX: usize = 64;
/// Bytes of one.
const TEXT_MAX: usize = 256;
/// Fields told of a pair that differs.
const FIELDS_MAX: usize = 8;

/// Gathers what pairs of one candidate say.
#[derive(Debug, Default)]
pub struct Teller(Mutex<Filling>);

#[derive(Debug, Default)]
struct Filling {
    batch: Batch,
    places: HashMap<Box<str>, u16>,
    /// When each line was, by the clock of this replica.
    times: Vec<Duration>,
}

impl Teller {
    /// Both sides have answered. `at`: now, by the clock that [`Self::take`] is asked with.
    pub fn answered(
        &self,
        pair: &Pair<'_>,
        baseline_p99: Duration,
        own: Option<&guardrail::Config>,
        at: Duration,
    ) {
        let failed = pair.candidate.failed && !pair.baseline.failed;
        let is_slow = pair.candidate.latency > Some(baseline_p99);
        let text = (failed || is_slow).then_some(&[][..]);
        self.filling().add((pair, 0, baseline_p99), own, text, at);
    }

    /// The answers were compared; `differs`: the fields, where they do.
    pub fn compared(
        &self,
        pair: &Pair<'_>,
        differs: Option<&[&str]>,
        own: Option<&guardrail::Config>,
        at: Duration,
    ) {
        let differ = if differs.is_some() { batch::DIFFERS } else { 0 };
        self.filling().add((pair, batch::COMPARED | differ, Duration::ZERO), own, differs, at);
    }

    /// What was said since this was asked last; `None` where nothing was.
    pub fn take(&self, candidate: &str, now: Duration) -> Option<Batch> {
        let Filling { mut batch, times, .. } = std::mem::take(&mut *self.filling());
        if batch.lines.is_empty() && batch.left_out == 0 {
            return None;
        }
        candidate.clone_into(&mut batch.candidate);
        for (line, at) in batch.lines.iter_mut().zip(times) {
            line.4 = micros(now.saturating_sub(at));
        }
        Some(batch)
    }

    fn filling(&self) -> MutexGuard<'_, Filling> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Filling {
    fn add(
        &mut self,
        (pair, more, baseline_p99): (&Pair<'_>, u8, Duration),
        own: Option<&guardrail::Config>,
        text: Option<&[&str]>,
        at: Duration,
    ) {
        if self.batch.lines.len() >= LINES_MAX {
            self.batch.left_out += 1;
            return;
        }
        let Some(route) = self.route(pair.route) else {
            self.batch.left_out += 1;
            return;
        };
        let own = own.and_then(|own| self.thresholds(own));
        let text = text.and_then(|fields| self.text(pair.request.shown(), fields));
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        let flags = more
            | flag(pair.baseline.failed, batch::BASELINE_FAILED)
            | flag(pair.candidate.failed, batch::CANDIDATE_FAILED)
            | flag(pair.censored, batch::CENSORED)
            | flag(!pair.alike, batch::UNLIKE);
        let latency = |call: &Call| call.latency.map(micros);
        self.batch.lines.push(Line(
            flags,
            route,
            own,
            (pair.epoch.whole, pair.epoch.route),
            0,
            (latency(&pair.baseline), latency(&pair.candidate)),
            (micros(pair.baseline_failed_after), micros(baseline_p99)),
            text,
        ));
        self.times.push(at);
    }

    fn route(&mut self, label: &str) -> Option<u16> {
        if let Some(place) = self.places.get(label) {
            return Some(*place);
        }
        let place = u16::try_from(self.batch.routes.len()).ok()?;
        self.batch.routes.push(label.to_owned());
        self.places.insert(label.into(), place);
        Some(place)
    }

    fn thresholds(&mut self, own: &guardrail::Config) -> Option<u16> {
        let known = &mut self.batch.thresholds;
        let place = known.iter().position(|it| it == own).unwrap_or_else(|| {
            known.push(own.clone());
            known.len() - 1
        });
        u16::try_from(place).ok()
    }

    fn text(&mut self, request: &str, fields: &[&str]) -> Option<(u32, u16)> {
        let fields = &fields[..fields.len().min(FIELDS_MAX)];
        if self.batch.texts.len() + 1 + fields.len() > TEXTS_MAX {
            return None;
        }
        let at = u32::try_from(self.batch.texts.len()).ok()?;
        let cut = |text: &str| text[..text.floor_char_boundary(TEXT_MAX)].to_owned();
        self.batch.texts.push(cut(request));
        self.batch.texts.extend(fields.iter().map(|field| cut(field)));
        Some((at, u16::try_from(fields.len()).ok()?))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
