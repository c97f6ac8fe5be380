//! What came of the pairs minute by minute, over the last hour: for the lines that show whether something is new.
//!
//! Pure: time is an argument. Bounded: an hour of small buckets for each route that the report keeps, and for as
//! many fields as it is worth while to look at. Of the current minute alone latencies are kept as a sketch; what is
//! left of a minute that is over are two quantiles of each side.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

mod sketch;

use crate::pair::Pair;
use compare::Differences;
use sketch::Sketch;

/// Minutes that are kept, the current one included.
pub const MINUTES: usize = 60;
/// Routes kept; what is more counts for all together alone.
const ROUTES_MAX: usize = 128;
/// Fields kept, of all routes.
const FIELDS_MAX: usize = 4096;
/// Differences of one pair that are looked at.
const IN_A_PAIR_MAX: usize = 64;
/// How often evidence is worth a look.
const EVIDENCE_EVERY: Duration = Duration::from_secs(5);

/// What came of the pairs of one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Minute {
    /// Pairs taken in.
    pub pairs: u32,
    /// Those whose answers differ, noise included.
    pub differing: u32,
    /// Those in which the baseline failed.
    pub baseline_failed: u32,
    /// Those in which the candidate failed.
    pub candidate_failed: u32,
    /// Latencies of the baseline; `None` where there were none.
    pub baseline: Option<Quantiles>,
    /// Latencies of the candidate.
    pub candidate: Option<Quantiles>,
    /// The most evidence there was, as a part of what trips on a logarithmic scale: 0 for none, 1 for what trips.
    pub evidence: Option<f32>,
}

/// Two quantiles of one side in one minute, in seconds, within a tenth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantiles {
    /// The median.
    pub p50: f32,
    /// The 99th percentile.
    pub p99: f32,
}

/// An hour of all routes together, of each of them, and of the fields that differ.
#[derive(Debug)]
pub struct History {
    whole: Hour,
    routes: HashMap<Arc<str>, Hour>,
    fields: HashMap<u64, FieldHour>,
    hasher: RandomState,
    evidence_seen: Option<SystemTime>,
}

/// An hour of one route.
#[derive(Debug)]
struct Hour {
    /// The last minute that something came in, since the epoch.
    minute: u64,
    ring: [Minute; MINUTES],
    baseline: Sketch,
    candidate: Sketch,
}

/// In how many pairs a field differed.
#[derive(Debug)]
struct FieldHour {
    minute: u64,
    ring: [u16; MINUTES],
}

impl Default for History {
    fn default() -> Self {
        Self {
            whole: Hour::new(),
            routes: HashMap::new(),
            fields: HashMap::new(),
            hasher: RandomState::new(),
            evidence_seen: None,
        }
    }
}

impl History {
    /// Takes in a pair, and what its answers differ in, where they were compared.
    pub fn record(&mut self, pair: &Pair<'_>, found: Option<&Differences>, now: SystemTime) {
        let minute = minute_of(now);
        let differs = found.is_some_and(|it| !it.found.is_empty() || it.more);
        self.whole.record(pair, differs, minute);
        if let Some(hour) = self.hour(pair.route) {
            hour.record(pair, differs, minute);
        }
        if let Some(found) = found {
            self.record_fields(pair.route, found, minute);
        }
    }

    /// Whether evidence was not looked at for a while; it is taken that it is looked at now.
    pub fn wants_evidence(&mut self, now: SystemTime) -> bool {
        let is_due = |seen: SystemTime| match now.duration_since(seen) {
            Ok(since) => since >= EVIDENCE_EVERY,
            // The clock was set back.
            Err(_) => true,
        };
        let wants = self.evidence_seen.is_none_or(is_due);
        if wants {
            self.evidence_seen = Some(now);
        }
        wants
    }

    /// Takes in how much evidence there is on a route, or over all (`None`), where `threshold` trips.
    pub fn note_evidence(
        &mut self,
        route: Option<&str>,
        value: f64,
        threshold: f64,
        now: SystemTime,
    ) {
        let minute = minute_of(now);
        let hour = match route {
            None => Some(&mut self.whole),
            Some(route) => self.hour(route),
        };
        if let Some(hour) = hour {
            hour.note_evidence(part_of(value, threshold), minute);
        }
    }

    /// The last hour of a route, or of all together (`None`): the oldest minute first, the current one last.
    pub fn of(&self, route: Option<&str>, now: SystemTime) -> Vec<Minute> {
        let hour = match route {
            None => Some(&self.whole),
            Some(route) => self.routes.get(route),
        };
        let minute = minute_of(now);
        hour.map_or_else(|| vec![Minute::default(); MINUTES], |hour| hour.up_to(minute))
    }

    /// In how many pairs of each minute of the last hour a route differed in a field, in this way; `None` where
    /// that is not kept.
    pub fn of_field(
        &self,
        route: &str,
        field: &str,
        kind: &str,
        now: SystemTime,
    ) -> Option<Vec<u16>> {
        let hour = self.fields.get(&self.key(route, field, kind))?;
        let minute = minute_of(now);
        Some(minutes_up_to(minute).map(|at| hour.at(at)).collect())
    }

    fn hour(&mut self, route: &str) -> Option<&mut Hour> {
        if !self.routes.contains_key(route) {
            if self.routes.len() >= ROUTES_MAX {
                return None;
            }
            self.routes.insert(route.into(), Hour::new());
        }
        self.routes.get_mut(route)
    }

    fn record_fields(&mut self, route: &str, found: &Differences, minute: u64) {
        let mut seen = Vec::new();
        for difference in found.found.iter().take(IN_A_PAIR_MAX) {
            let key = self.key(route, &difference.field, difference.kind.name());
            if seen.contains(&key) {
                continue;
            }
            seen.push(key);
            if self.fields.len() >= FIELDS_MAX && !self.fields.contains_key(&key) {
                self.forget_fields_before(minute);
            }
            if self.fields.len() < FIELDS_MAX || self.fields.contains_key(&key) {
                self.fields.entry(key).or_insert_with(FieldHour::new).count(minute);
            }
        }
    }

    /// Lets go of what has not differed for an hour.
    fn forget_fields_before(&mut self, minute: u64) {
        self.fields.retain(|_, hour| hour.minute + MINUTES as u64 > minute);
    }

    fn key(&self, route: &str, field: &str, kind: &str) -> u64 {
        self.hasher.hash_one((route, field, kind))
    }
}

impl Hour {
    fn new() -> Self {
        let (baseline, candidate) = Default::default();
        Self { minute: 0, ring: [Minute::default(); MINUTES], baseline, candidate }
    }

    fn record(&mut self, pair: &Pair<'_>, differs: bool, minute: u64) {
        let Pair { baseline, candidate, .. } = pair;
        let now = self.advance(minute);
        now.pairs = now.pairs.saturating_add(1);
        now.differing = now.differing.saturating_add(differs.into());
        now.baseline_failed = now.baseline_failed.saturating_add(baseline.failed.into());
        now.candidate_failed = now.candidate_failed.saturating_add(candidate.failed.into());
        self.baseline.record(baseline.latency);
        self.candidate.record(candidate.latency);
    }

    fn note_evidence(&mut self, part: f32, minute: u64) {
        let now = self.advance(minute);
        now.evidence = Some(now.evidence.map_or(part, |before| before.max(part)));
    }

    /// The bucket of this minute. What comes late, or after the clock was set back, counts for the last one.
    fn advance(&mut self, minute: u64) -> &mut Minute {
        if minute > self.minute {
            let latencies = self.latencies();
            let over = &mut self.ring[place(self.minute)];
            (over.baseline, over.candidate) = latencies;
            for at in minutes_up_to(minute).filter(|at| *at > self.minute) {
                self.ring[place(at)] = Minute::default();
            }
            self.minute = minute;
            self.baseline.clear();
            self.candidate.clear();
        }
        &mut self.ring[place(self.minute)]
    }

    fn latencies(&self) -> (Option<Quantiles>, Option<Quantiles>) {
        (self.baseline.quantiles(), self.candidate.quantiles())
    }

    fn up_to(&self, minute: u64) -> Vec<Minute> {
        let last = minute.max(self.minute);
        let at = |at: u64| {
            if at > self.minute || at + MINUTES as u64 <= self.minute {
                return Minute::default();
            }
            let mut found = self.ring[place(at)];
            if at == self.minute {
                (found.baseline, found.candidate) = self.latencies();
            }
            found
        };
        minutes_up_to(last).map(at).collect()
    }
}

impl FieldHour {
    fn new() -> Self {
        Self { minute: 0, ring: [0; MINUTES] }
    }

    fn count(&mut self, minute: u64) {
        if minute > self.minute {
            for at in minutes_up_to(minute).filter(|at| *at > self.minute) {
                self.ring[place(at)] = 0;
            }
            self.minute = minute;
        }
        let now = &mut self.ring[place(self.minute)];
        *now = now.saturating_add(1);
    }

    fn at(&self, minute: u64) -> u16 {
        let is_kept = minute <= self.minute && minute + MINUTES as u64 > self.minute;
        if is_kept { self.ring[place(minute)] } else { 0 }
    }
}

/// The last hour of minutes since the epoch, this one included.
fn minutes_up_to(minute: u64) -> impl Iterator<Item = u64> {
    let first = (minute + 1).saturating_sub(MINUTES as u64);
    // As many as there are buckets, in the hour that the epoch began with, too.
    first..=(first + MINUTES as u64 - 1)
}

fn place(minute: u64) -> usize {
    usize::try_from(minute % MINUTES as u64).unwrap_or(0)
}

fn minute_of(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 60)
}

/// How far evidence is on its way to what trips: each factor of ten is as much as the next.
#[expect(clippy::cast_possible_truncation, reason = "it is between 0 and 2")]
fn part_of(value: f64, threshold: f64) -> f32 {
    if value <= 1.0 {
        return 0.0;
    }
    (value.ln() / threshold.ln()).clamp(0.0, 2.0) as f32
}

#[cfg(test)]
mod tests;
