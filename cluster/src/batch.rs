//! What the pairs of a replica said within a moment, as it is told to the others.

use std::time::{Duration, SystemTime};

use judge::guardrail::{self, Guardrail, Moment, Transition};
use judge::pair::{Call, Epoch, Pair, Request};
use serde::{Deserialize, Serialize};

/// What pairs said. They stand in the order in which they were told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Of which candidate.
    pub candidate: String,
    /// Labels, which lines name by their places.
    pub routes: Vec<String>,
    /// What holds on routes with thresholds of their own.
    pub thresholds: Vec<guardrail::Config>,
    /// What was asked, where an example may be needed, and the fields that differ.
    pub texts: Vec<String>,
    /// What pairs said.
    pub lines: Vec<Line>,
    /// Pairs that are not told, since there were too many.
    pub left_out: u64,
}

/// Compressed more it takes a replica longer than it takes the network less.
const LEVEL: i32 = 1;
/// No batch is longer, whoever wrote it.
const LONGEST: usize = 16 << 20;

/// What one pair said. All times are in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line(
    /// What it says in one bit each.
    pub(crate) u8,
    /// The route, by its place.
    pub(crate) u16,
    /// The thresholds, by their place; all others have those of the candidate.
    pub(crate) Option<u16>,
    /// When its copy was admitted.
    pub(crate) (u64, u64),
    /// How long ago it was when the batch was told.
    pub(crate) u64,
    /// How long the baseline took, and the candidate.
    pub(crate) (Option<u64>, Option<u64>),
    /// How long the baseline took to fail, and its recent p99.
    pub(crate) (u64, u64),
    /// Its text, and how many behind it are of the pair, too.
    pub(crate) Option<(u32, u16)>,
);

// What a line says in one bit each.
pub(crate) const BASELINE_FAILED: u8 = 1;
pub(crate) const CANDIDATE_FAILED: u8 = 1 << 1;
pub(crate) const CENSORED: u8 = 1 << 2;
pub(crate) const UNLIKE: u8 = 1 << 3;
/// The answers of the pair were compared; it was told before.
pub(crate) const COMPARED: u8 = 1 << 4;
pub(crate) const DIFFERS: u8 = 1 << 5;

impl Batch {
    /// As bytes.
    ///
    /// # Errors
    /// It cannot be written, which would be a fault of ours.
    pub fn write(&self) -> std::io::Result<Vec<u8>> {
        zstd::bulk::compress(&serde_json::to_vec(self)?, LEVEL)
    }

    /// From bytes that another replica wrote.
    ///
    /// # Errors
    /// It is none, or of another version.
    pub fn read(bytes: &[u8]) -> std::io::Result<Self> {
        let text = zstd::bulk::decompress(bytes, LONGEST)?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Has a guardrail judge the pairs. `sent`: when the batch was told, by the clock that the guardrail's times are
    /// of. What it decided first; what comes behind that is no evidence any more.
    pub fn judge(&self, guardrail: &mut Guardrail, sent: Moment) -> Option<Transition> {
        self.lines.iter().find_map(|line| self.judge_line(line, guardrail, sent))
    }

    fn judge_line(
        &self,
        line: &Line,
        guardrail: &mut Guardrail,
        sent: Moment,
    ) -> Option<Transition> {
        let Line(flags, route, own, epoch, age, (baseline, candidate), (failed_after, p99), text) =
            *line;
        let is = |flag| flags & flag != 0;
        let route = self.routes.get(usize::from(route))?;
        let own = own.and_then(|at| self.thresholds.get(usize::from(at)));
        let texts = text.map_or(&[][..], |(at, more)| {
            let at = at as usize;
            self.texts.get(at..=at + usize::from(more)).unwrap_or_default()
        });
        let request = Request::text(texts.first().map_or("", String::as_str));
        let call = |latency: Option<u64>, failed| Call {
            latency: latency.map(Duration::from_micros),
            failed,
        };
        let (baseline, candidate) =
            (call(baseline, is(BASELINE_FAILED)), call(candidate, is(CANDIDATE_FAILED)));
        let pair = Pair {
            epoch: Epoch { whole: epoch.0, route: epoch.1 },
            censored: is(CENSORED),
            baseline_failed_after: Duration::from_micros(failed_after),
            alike: !is(UNLIKE),
            ..Pair::new(route, request, baseline, candidate)
        };
        let age = Duration::from_micros(age);
        let wall = sent.wall.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        let now = Moment { at: sent.at.saturating_sub(age), wall };
        if is(COMPARED) {
            let fields: Vec<_> = texts.iter().skip(1).map(String::as_str).collect();
            let differs = is(DIFFERS).then_some(&*fields);
            return guardrail.compared_by(&pair, differs, own, now);
        }
        guardrail.observe_by(&pair, Duration::from_micros(p99), own, now)
    }
}
