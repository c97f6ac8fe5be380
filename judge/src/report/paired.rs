//! What each pair says of the candidate's latency: which side alone was beyond a quantile of the
//! baseline.
//!
//! The candidate's latency is first discounted: divided by the ratio that is allowed, and less by the
//! floor that is allowed, whichever leaves less. Were it no slower than allowed, the discounted one
//! would be beyond any place no more often than the baseline's. Both sides of a pair met the same
//! moment, so what is shared cancels out, and the mix of routes cannot matter, since each route is held
//! against its own baseline.
//!
//! Only earlier pairs choose the places, so that no pair chooses its own.

use super::allowed::Allowed;
use super::blocks::Blocks;
use super::float;
use super::latency::Latencies;
use crate::pair::Pair;

/// The quantiles of the baseline that the candidate is held against.
pub const LEVELS: [f64; 4] = [0.5, 0.9, 0.99, 0.999];
/// Places: those of [`LEVELS`], and one for answers that are far out.
pub const PLACES: usize = LEVELS.len() + 1;
/// So many times the baseline's p99 is far out.
const FAR: f64 = 4.0;
/// Values of the baseline with which a first place is chosen.
const FIRST: u64 = 32;

/// What the pairs said at one place.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// Pairs held against it.
    pub of: f64,
    /// The candidate alone was above it, and the baseline alone.
    pub above: [f64; 2],
    /// The same, at it or above. It differs where many latencies are alike.
    pub from: [f64; 2],
    /// How long it is remembered which side alone was above it, nothing allowed: what both share
    /// cancels out. A candidate that is far better than allowed would leave the baseline's own ups and downs.
    pub blocks: Blocks,
}

/// What the pairs said.
#[derive(Clone, Debug, Default)]
pub struct Paired {
    /// By latency.
    pub places: [Place; PLACES],
    /// Of the ratio of both latencies, which does not saturate as counts do.
    ratio: Blocks,
    /// Of who alone failed.
    pub failures: Blocks,
    /// Of who differs.
    pub mismatches: Blocks,
}

/// Where a route's baseline has its quantiles, as known from earlier pairs.
#[derive(Clone, Debug, Default)]
pub struct Places {
    known: [Option<Known>; PLACES],
    due: u64,
}

/// One place.
#[derive(Clone, Copy, Debug)]
struct Known {
    from: f64,
    above: f64,
    /// Share of clients that wait for an answer which takes so long: where they leave, the slow
    /// answers of the baseline are cut off, and the candidate's must count for as much less.
    wait: f64,
}

/// What one pair says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scores {
    /// Of each place; `None` where it is not known yet.
    places: [Option<Score>; PLACES],
    ratio: Option<f64>,
    failed: f64,
    differs: Option<f64>,
}

/// What one pair says at one place.
#[derive(Clone, Copy, Debug)]
struct Score {
    /// Up and down.
    above: [f64; 2],
    from: [f64; 2],
    /// Of the latencies as they are, nothing allowed.
    plain: f64,
}

impl Places {
    /// The scores of a pair by what was known before it.
    pub fn score(&self, pair: &Pair<'_>, differs: Option<bool>, allowed: &Allowed) -> Scores {
        let seconds =
            |side: Option<std::time::Duration>| side.map_or(f64::INFINITY, |it| it.as_secs_f64());
        let (baseline, whole) = (seconds(pair.baseline.latency), seconds(pair.candidate.latency));
        let floor = allowed.latency_floor.as_secs_f64();
        let candidate = (whole / allowed.latency_ratio).min(whole - floor);
        let one = |yes: bool| if yes { 1.0 } else { 0.0 };
        let places = self.known.map(|known| {
            let Known { from, above, wait } = known.filter(|_| pair.alike)?;
            let weight = if pair.censored { 1.0 } else { wait };
            let sides = |ours: bool, theirs: bool| {
                let net = weight * one(theirs) - one(ours);
                [net.max(0.0), (-net).max(0.0)]
            };
            let [up, down] = sides(baseline > above, whole > above);
            Some(Score {
                above: sides(baseline > above, candidate > above),
                from: sides(baseline >= from, candidate >= from),
                plain: up - down,
            })
        });
        let ratio = (whole / baseline).ln();
        Scores {
            places,
            ratio: (pair.alike && ratio.is_finite()).then_some(ratio),
            failed: one(pair.candidate.failed) - one(pair.baseline.failed),
            differs: differs.map(one),
        }
    }

    /// Chooses the places anew when a quarter more is known of the baseline.
    pub fn learn(&mut self, baseline: &Latencies, censored: Option<&Latencies>) {
        let count = baseline.count();
        if count < self.due.max(FIRST) {
            return;
        }
        self.due = count + count / 4;
        let mut places = LEVELS.map(|level| (level, baseline.bucket(level))).to_vec();
        let far = places[2].1.map(|(from, above)| (FAR * from, FAR * above));
        places.push((LEVELS[2], far));
        for (known, (level, bucket)) in self.known.iter_mut().zip(places) {
            // One value beyond it at the least.
            let bucket = bucket.filter(|_| (1.0 - level) * float(count) >= 1.0 - 1e-9);
            *known = bucket.map(|(from, above)| {
                let wait = censored.map_or(1.0, |left| left.waiting(baseline, above));
                Known { from, above, wait }
            });
        }
    }
}

impl Paired {
    /// Takes in what a pair says.
    pub fn record(&mut self, scores: &Scores) {
        for (place, score) in self.places.iter_mut().zip(scores.places) {
            let Some(score) = score else { continue };
            place.of += 1.0;
            for side in 0..2 {
                place.above[side] += score.above[side];
                place.from[side] += score.from[side];
            }
            place.blocks.record(score.plain);
        }
        if let Some(ratio) = scores.ratio {
            self.ratio.record(ratio);
        }
        self.failures.record(scores.failed);
        if let Some(differs) = scores.differs {
            self.mismatches.record(differs);
        }
    }

    /// Pairs that make up one observation at each place.
    pub fn lengths(&self) -> [f64; PLACES] {
        let ratio = self.ratio.length();
        std::array::from_fn(|at| self.places[at].blocks.length().max(ratio))
    }

    /// Whether it is known how many these are at a place.
    pub fn knows_length(&self, at: usize) -> bool {
        [&self.ratio, &self.places[at].blocks].iter().all(|it| it.known_length().is_some())
    }
}
