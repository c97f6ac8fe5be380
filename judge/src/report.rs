//! What the pairs told so far: per route, where and how much the answers differ, how often each side
//! failed and how long it took; and what that says of the candidate ([`verdict`]).
//!
//! Pure: time is an argument. Taking in a pair that does not differ is a few counters and two
//! histograms; all that costs time is done with a [`Findings`], which is taken one route after the
//! other, so that nobody who has a pair to tell waits for a reader.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

mod allowed;
mod amount;
pub mod blocks;
pub mod confidence;
mod curl;
pub mod described;
mod escape;
pub mod fields;
pub mod format;
pub mod headers;
pub mod headline;
mod html;
mod junit;
pub mod latency;
pub mod line;
mod markdown;
mod needed;
pub mod noise;
pub mod page;
pub mod paired;
pub mod plain;
mod repeats;
mod suggested;
pub mod summary;
pub mod text;
pub mod verdict;

use crate::pair::{Comparison, Pair};
pub use allowed::Allowed;
use compare::Differences;
use fields::{Field, Fields, Occasion, Room};
use headers::Headers;
use latency::Latencies;
use paired::{Paired, Places, Scores};
pub use summary::Summary;
pub use verdict::{summarize, verdicts};

/// Routes kept; more than there are labels. What is more counts for [`REST`].
const ROUTES_MAX: usize = 128;
/// Takes the routes that found no room, as everywhere.
const REST: &str = "other";
/// What fields and examples of all routes together may take, in bytes.
const ROOM: usize = 4 << 20;

/// What is known of all routes.
#[derive(Debug)]
pub struct Report {
    routes: HashMap<Arc<str>, Route>,
    room: Room,
    since: Option<SystemTime>,
    last: Option<SystemTime>,
    allowed: Allowed,
    /// Of all routes, in the order in which the pairs came.
    paired: Paired,
}

/// What is kept for one route.
#[derive(Debug, Default)]
struct Route {
    /// The how many-th route it is.
    rank: u64,
    /// What is allowed there, where that is not what is allowed for all.
    allowed: Option<Allowed>,
    numbers: Numbers,
    places: Places,
    fields: Fields,
    headers: Headers,
}

/// What verdicts rest on.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// Pairs taken in.
    pub pairs: u64,
    /// Those whose two latencies were not measured alike.
    pub unlike: u64,
    /// Those whose answers were compared; not those that agree without any content.
    pub compared: u64,
    /// Those that agree without content: two empty 304 do not say that contents are equal.
    pub without_content: u64,
    /// Those with content that nobody could compare: too large, or no memory for it.
    pub unknown: u64,
    /// Those with statuses of different classes and no failure (5xx), which counts as an error; a
    /// snapshot has them net of noise.
    pub other_class: u64,
    /// Those whose answers differ.
    pub mismatched: u64,
    /// Those that differ in a field that is not noise.
    pub net_mismatched: u64,
    /// Pairs in which the baseline alone failed.
    pub baseline_alone_failed: u64,
    /// Pairs in which the candidate alone failed.
    pub candidate_alone_failed: u64,
    /// Pairs in which both failed.
    pub both_failed: u64,
    /// Latencies of the baseline.
    pub baseline: Latencies,
    /// Latencies of the candidate.
    pub candidate: Latencies,
    /// The moments at which clients left before the baseline's head, if any did.
    pub left: Option<Box<Latencies>>,
    /// What the pairs said, and how long that is remembered.
    pub paired: Box<Paired>,
}

/// All that was known at one moment.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// When the first pair came.
    pub since: Option<SystemTime>,
    /// When the last one came.
    pub last: Option<SystemTime>,
    /// What the pairs of all routes said.
    pub paired: Box<Paired>,
    /// The guardrail's state, where it is known: no pairs come while it is off.
    pub mirroring: Option<&'static str>,
    /// In the order in which they were seen first.
    pub routes: Vec<RouteFindings>,
    /// Differences in fields that found no room.
    pub differences_left_out: u64,
    /// Examples that found no room.
    pub examples_left_out: u64,
}

/// What was known of one route.
#[derive(Clone, Debug)]
pub struct RouteFindings {
    /// Its label.
    pub route: Arc<str>,
    /// The how many-th route it is.
    pub rank: u64,
    /// What is allowed there, where that is not what is allowed for all.
    pub allowed: Option<Allowed>,
    /// The guardrail's state of this route alone, where it is known.
    pub mirroring: Option<&'static str>,
    /// What verdicts rest on.
    pub numbers: Numbers,
    /// Where answers differ.
    pub fields: Vec<FieldFindings>,
    /// Headers that differ and are not compared.
    pub headers: Headers,
    /// Answers that were compared with those of a second baseline.
    pub noise_pairs: u64,
}

/// What was known of one field.
#[derive(Clone, Debug)]
pub struct FieldFindings {
    /// Counts and examples.
    pub field: Arc<Field>,
    /// Pairs that differ here beyond what noise explains, estimated.
    pub net: f64,
    /// Whether it differs between two baselines just as much.
    pub is_noise: bool,
}

impl Default for Report {
    fn default() -> Self {
        Self::new(Allowed::default())
    }
}

impl Report {
    /// Nothing is known yet; latencies are held against what is allowed as they come.
    pub fn new(allowed: Allowed) -> Self {
        let (routes, room, paired) = (HashMap::new(), Room::new(ROOM), Paired::default());
        Self { routes, room, since: None, last: None, allowed, paired }
    }

    /// What it holds latencies against.
    pub fn allowed(&self) -> Allowed {
        self.allowed
    }

    /// What it holds pairs against from now on. What was held against something else is forgotten.
    pub fn allow(&mut self, allowed: Allowed) {
        if allowed != self.allowed {
            *self = Self::new(allowed);
        }
    }

    /// Forgets a route, since something else is allowed there from now on.
    pub fn forget(&mut self, label: &str) {
        if let Some(route) = self.routes.get_mut(label) {
            *route = Route { rank: route.rank, ..Route::default() };
        }
    }

    /// Takes in a pair, and what came of comparing its answers.
    pub fn record(&mut self, pair: &Pair<'_>, comparison: &Comparison<'_>, now: SystemTime) {
        self.record_by(pair, comparison, None, now);
    }

    /// As [`Self::record`], where something else is allowed on this route.
    pub fn record_by(
        &mut self,
        pair: &Pair<'_>,
        comparison: &Comparison<'_>,
        own: Option<&Allowed>,
        now: SystemTime,
    ) {
        self.since.get_or_insert(now);
        self.last = Some(now);
        let allowed = own.copied().unwrap_or(self.allowed);
        let (route, room) = self.route(pair.route);
        route.allowed = own.copied();
        let scores = route.record(pair, comparison, &allowed);
        let Comparison { differences, .. } = *comparison;
        if let (Some(differences), Some(true)) = (differences, comparison.differs()) {
            let latencies = [pair.baseline.latency, pair.candidate.latency];
            let occasion = Occasion { at: now, request: pair.request, latencies };
            route.fields.record(differences, route.numbers.compared, occasion, room);
        }
        if let Some(differences) = differences {
            route.headers.record(&differences.uncompared, now, room);
        }
        self.paired.record(&scores);
    }

    /// Takes in what two baselines differ in, for a request of a sample.
    pub fn record_noise(&mut self, route: &str, noise: &Differences, now: SystemTime) {
        self.since.get_or_insert(now);
        let (route, room) = self.route(route);
        route.fields.record_noise(None, noise, room);
        route.headers.record_noise(&noise.uncompared, room);
    }

    /// As [`Self::record_noise`], where it is known what the candidate differs in on the same
    /// request: with both, what differs by itself is told more surely. The pair itself is taken in
    /// by [`Self::record`].
    pub fn record_noise_of_pair(
        &mut self,
        route: &str,
        raw: &Differences,
        noise: &Differences,
        now: SystemTime,
    ) {
        self.since.get_or_insert(now);
        let (route, room) = self.route(route);
        route.fields.record_noise(Some(raw), noise, room);
        route.headers.record_noise(&noise.uncompared, room);
    }

    /// Whether enough answers of two baselines were compared on a route to tell what is noise there.
    pub fn knows_noise(&self, route: &str) -> bool {
        let samples = self.routes.get(route).map(|route| route.fields.samples().all);
        samples.is_some_and(|samples| samples >= noise::ENOUGH)
    }

    /// The fields in which a pair that is not taken in yet differs beyond noise; `None` for none. What
    /// was not listed counts as what was.
    pub fn net_fields<'d>(&self, route: &str, found: &'d Differences) -> Option<Vec<&'d str>> {
        let fields = match self.routes.get(route) {
            Some(Route { fields, numbers, .. }) => fields.net_fields(found, numbers.compared),
            None => found.found.iter().map(|difference| difference.field.as_str()).collect(),
        };
        let unlisted = found.found.is_empty() && found.more;
        (unlisted || !fields.is_empty()).then_some(fields)
    }

    /// Pairs taken in.
    pub fn pairs(&self) -> u64 {
        self.routes.values().map(|route| route.numbers.pairs).sum()
    }

    /// The routes seen, in the order in which they were seen first.
    pub fn routes(&self) -> Vec<Arc<str>> {
        let mut routes: Vec<_> = self.routes.iter().collect();
        routes.sort_by_key(|(_, route)| route.rank);
        routes.into_iter().map(|(label, _)| Arc::clone(label)).collect()
    }

    /// What is known of all routes together: a snapshot without routes.
    pub fn frame(&self) -> Findings {
        Findings {
            since: self.since,
            last: self.last,
            paired: Box::new(self.paired.clone()),
            mirroring: None,
            routes: Vec::new(),
            differences_left_out: self.room.differences_left_out,
            examples_left_out: self.room.examples_left_out,
        }
    }

    /// What is known of a route.
    pub fn snapshot(&self, label: &Arc<str>) -> Option<RouteFindings> {
        let Route { rank, allowed, numbers, fields, headers, .. } = self.routes.get(label)?;
        let compared = numbers.compared;
        let samples = fields.samples();
        let other_class = numbers.other_class.saturating_sub(fields.noisy_classes(compared));
        let field = |field: &Arc<Field>| FieldFindings {
            net: samples.net(field.counts(), compared),
            is_noise: field.name.as_ref() != fields::OTHER && fields.is_noise(field, compared),
            field: Arc::clone(field),
        };
        Some(RouteFindings {
            route: Arc::clone(label),
            rank: *rank,
            allowed: *allowed,
            mirroring: None,
            numbers: Numbers {
                net_mismatched: fields.net_pairs(compared),
                other_class,
                ..numbers.clone()
            },
            fields: fields.all().map(field).collect(),
            headers: headers.clone(),
            noise_pairs: samples.all,
        })
    }

    fn route(&mut self, mut label: &str) -> (&mut Route, &mut Room) {
        // Most calls find it.
        if !self.routes.contains_key(label) {
            // One place is kept for the rest.
            if self.routes.len() >= ROUTES_MAX - 1 {
                label = REST;
            }
            let rank = self.routes.len() as u64 + 1;
            let new = || Route { rank, ..Route::default() };
            self.routes.entry(label.into()).or_insert_with(new);
        }
        let route = self.routes.get_mut(label).expect("it was there or has just been added");
        (route, &mut self.room)
    }
}

impl Route {
    /// Takes in a pair, all but where it differs; what it says.
    fn record(
        &mut self,
        pair: &Pair<'_>,
        comparison: &Comparison<'_>,
        allowed: &Allowed,
    ) -> Scores {
        let scores = self.places.score(pair, comparison.differs(), allowed);
        self.numbers.paired.record(&scores);
        self.numbers.record(pair, comparison);
        self.places.learn(&self.numbers.baseline, self.numbers.left.as_deref());
        scores
    }
}

impl Numbers {
    /// Takes in a pair.
    fn record(&mut self, pair: &Pair<'_>, comparison: &Comparison<'_>) {
        self.pairs += 1;
        self.unlike += u64::from(!pair.alike);
        match (pair.baseline.failed, pair.candidate.failed) {
            (false, false) => {}
            (true, false) => self.baseline_alone_failed += 1,
            (false, true) => self.candidate_alone_failed += 1,
            (true, true) => self.both_failed += 1,
        }
        self.baseline.record(pair.baseline.latency);
        self.candidate.record(pair.candidate.latency);
        if pair.censored {
            self.left.get_or_insert_default().record(pair.baseline.latency);
        }
        let (Some(differences), Some(differs)) = (comparison.differences, comparison.differs())
        else {
            let answered = pair.candidate.latency.is_some() && !pair.candidate.failed;
            self.unknown += u64::from(comparison.content && answered);
            return;
        };
        if differs || comparison.content {
            self.compared += 1;
        } else {
            self.without_content += 1;
        }
        self.mismatched += u64::from(differs);
        let other_class = differences.found.iter().any(fields::is_other_class);
        self.other_class += u64::from(other_class);
    }

    /// Takes in those of another route; what the pairs of both said is not a sum.
    pub fn add(&mut self, other: &Self) {
        self.pairs += other.pairs;
        self.unlike += other.unlike;
        self.compared += other.compared;
        self.without_content += other.without_content;
        self.unknown += other.unknown;
        self.other_class += other.other_class;
        self.mismatched += other.mismatched;
        self.net_mismatched += other.net_mismatched;
        self.baseline_alone_failed += other.baseline_alone_failed;
        self.candidate_alone_failed += other.candidate_alone_failed;
        self.both_failed += other.both_failed;
        self.baseline.add(&other.baseline);
        self.candidate.add(&other.candidate);
    }
}

fn share(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { float(part) / float(of) }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
pub(crate) mod tests;
