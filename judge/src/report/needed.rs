//! How many more pairs a verdict waits for. The bounds themselves are asked, as if there were more: of the
//! kind of those that came, and, since a candidate may have been unlucky, of pairs that hold nothing
//! against it.

use super::amount::duration;
use super::float;
use super::summary::Needed;

/// Never asked for more than so many times the pairs that came,
const TIMES_MAX: f64 = 4096.0;
/// but for so many pairs at the least.
const PAIRS_MAX: f64 = 1.0e6;

/// How many times as many pairs there would be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// Those that hold something against one of the sides.
    pub(super) telling: f64,
    /// All.
    pub(super) all: f64,
}

impl Times {
    pub(super) const NOW: Self = Self::alike(1.0);

    const fn alike(times: f64) -> Self {
        Self { telling: times, all: times }
    }

    const fn clean(times: f64) -> Self {
        Self { telling: 1.0, all: times }
    }
}

/// How fast pairs come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) pairs: u64,
    /// In how many seconds they came; `None` where nobody asks for more.
    pub(super) seconds: Option<f64>,
}

/// Further pairs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum More {
    /// So many.
    Pairs(f64),
    /// No number of them settles it.
    Never,
    /// Too little is known to say.
    Unknown,
}

/// What one criterion waits for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Wait {
    /// Pairs of the kind of those that came.
    alike: More,
    /// Pairs that hold nothing against the candidate.
    clean: More,
}

/// What a bound rests on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grounds {
    /// Whether it is known where to look, and how many pairs make up an observation: before that a bound
    /// says nothing of what further ones do to it.
    pub(super) are_known: bool,
    /// Whether anything is held against the candidate that further pairs need not.
    pub(super) are_telling: bool,
    /// The pairs of which there would be more; fewer than came where the first chose where to look.
    pub(super) pairs: f64,
}

impl Pace {
    /// What is missing until this holds; `None` where nobody asks.
    pub(super) fn wait(self, grounds: Grounds, holds: impl Fn(Times) -> bool) -> Option<Wait> {
        self.seconds?;
        if self.pairs == 0 || !grounds.are_known {
            return Some(Wait { alike: More::Unknown, clean: More::Unknown });
        }
        let alike = more(grounds.pairs, |times| holds(Times::alike(times)));
        let clean = match grounds.are_telling {
            true => more(grounds.pairs, |times| holds(Times::clean(times))),
            false => alike,
        };
        Some(Wait { alike, clean })
    }

    /// That in a sentence.
    pub(super) fn missing(self, wait: Option<Wait>) -> String {
        match wait.map(|wait| wait.alike) {
            None => String::new(),
            Some(More::Unknown) => "how many more pairs it takes is not known yet".to_owned(),
            Some(More::Never) => "more pairs of this kind do not settle it".to_owned(),
            Some(More::Pairs(more)) => {
                let time = self.time(more).and_then(duration);
                let time = time.map_or(String::new(), |time| format!(", about {time}"));
                format!("{:.0} more pairs at the present rate{time}", rounded(more))
            }
        }
    }

    /// How long it takes until so many more have come.
    fn time(self, more: f64) -> Option<f64> {
        Some(more / self.rate()?)
    }

    /// Pairs in a second; `None` where they came at once.
    fn rate(self) -> Option<f64> {
        let seconds = self.seconds.filter(|seconds| *seconds > 0.0)?;
        (self.pairs > 1).then(|| float(self.pairs) / seconds)
    }

    /// What a verdict waits for that waits for all of these.
    pub(super) fn needed(self, waits: &[Wait], checks: Vec<String>) -> Needed {
        let pairs = most(waits.iter().map(|wait| wait.alike));
        let clean = most(waits.iter().map(|wait| wait.clean));
        let seconds = |more: Option<f64>| more.and_then(|more| self.time(more));
        Needed {
            pairs: pairs.map(whole),
            seconds: seconds(pairs),
            clean_pairs: clean.map(whole),
            clean_seconds: seconds(clean),
            at_least: waits.iter().any(|wait| wait.alike == More::Unknown),
            pairs_per_second: self.rate(),
            checks,
        }
    }
}

/// How many more than these it takes until this holds of so many times as many.
fn more(pairs: f64, holds: impl Fn(f64) -> bool) -> More {
    let most = TIMES_MAX.max(PAIRS_MAX / pairs);
    let (mut low, mut high) = (1.0, 2.0);
    while high <= most && !holds(high) {
        (low, high) = (high, 2.0 * high);
    }
    if high > most {
        return More::Never;
    }
    for _ in 0..8 {
        let middle = f64::midpoint(low, high);
        if holds(middle) { high = middle } else { low = middle }
    }
    More::Pairs((high - 1.0) * pairs)
}

/// The most of what is known; `None` where that is not enough, or nothing is known.
fn most(mut all: impl Iterator<Item = More>) -> Option<f64> {
    let most = all.try_fold(0.0_f64, |most, more| match more {
        More::Pairs(pairs) => Some(most.max(pairs)),
        More::Never => None,
        More::Unknown => Some(most),
    });
    most.filter(|pairs| *pairs > 0.0)
}

/// Two digits are more than is known.
fn rounded(more: f64) -> f64 {
    let digit = 10_f64.powf((more.log10().floor() - 1.0).max(0.0));
    (more / digit).ceil() * digit
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 2^40 pairs")]
fn whole(more: f64) -> u64 {
    rounded(more) as u64
}
