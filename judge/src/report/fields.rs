//! Where the answers on a route differ: bounded in fields, in examples and in bytes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::noise;
use super::repeats::{Last, Stream};
use crate::pair::{Asked, Request};
use compare::rules::Classes;
use compare::{Difference, Differences, Explained, Kind, Risk};

/// Fields kept for a route.
pub const FIELDS_MAX: usize = 200;
/// Examples kept for a field.
pub const EXAMPLES_MAX: usize = 5;
/// Shapes told apart in one field and kind; what is more counts as one.
const SHAPES_MAX: usize = 8;
/// Stands for the shapes that found no room.
pub const OTHER_SHAPE: &str = "another shape";
/// Combinations of fields kept for a route.
const SETS_MAX: usize = 256;
/// Fields told apart in one pair; what is more counts as [`OTHER`].
const IN_A_PAIR_MAX: usize = 64;
/// Bytes of a text in an example; the rest is cut off.
const TEXT_MAX: usize = 256;
/// Stands for the fields that found no room.
pub const OTHER: &str = "other";

/// The index that stands for [`OTHER`].
const NO_ROOM: u16 = u16::MAX;
// Estimates of what the maps, allocations and counters take.
const FIELD_BYTES: usize = 320;
const EXAMPLE_BYTES: usize = 160;
const SET_BYTES: usize = 96;
const LAST_BYTES: usize = 320;

/// What all routes together may take for fields and examples, and what found no room.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    left: usize,
    /// For what is kept of requests, which must not take the place of fields.
    left_for_requests: usize,
    /// Differences in fields that found no room.
    pub differences_left_out: u64,
    /// Examples that found no room.
    pub examples_left_out: u64,
}

impl Room {
    /// So many bytes.
    pub fn new(bytes: usize) -> Self {
        let left_for_requests = bytes / 2;
        Self { left: bytes, left_for_requests, differences_left_out: 0, examples_left_out: 0 }
    }

    /// What is kept of a request, where there is room. All examples of its pair share it, and the first pays:
    /// before it there is nobody who holds it but the pair and who asks here.
    fn keep(&mut self, asked: Arc<Asked>) -> Option<Arc<Asked>> {
        let bytes = if Arc::strong_count(&asked) > 2 { 0 } else { asked.bytes() };
        let enough = bytes <= self.left_for_requests;
        if enough {
            self.left_for_requests -= bytes;
        }
        enough.then_some(asked)
    }

    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let enough = bytes <= self.left;
        if enough {
            self.left -= bytes;
        }
        enough
    }
}

/// One difference as it was, both sides masked and cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// Where.
    pub place: String,
    /// What is wrong there.
    pub kind: Kind,
    /// The baseline's value; `None` where it has none.
    pub baseline: Option<String>,
    /// The candidate's value; `None` where it has none.
    pub candidate: Option<String>,
    /// See [`Difference::note`].
    pub note: Option<String>,
    /// When.
    pub seen: SystemTime,
    /// Method, path and query, bounded, without secrets.
    pub request: String,
    /// More of the request, where there was room for it.
    pub asked: Option<Arc<Asked>>,
    /// How long baseline and candidate took to the head of the answer.
    pub latencies: [Option<Duration>; 2],
}

/// When a pair differed, and what was asked.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    /// When.
    pub at: SystemTime,
    /// What was asked.
    pub request: Request<'a>,
    /// See [`Example::latencies`].
    pub latencies: [Option<Duration>; 2],
}

/// A field in which answers differ, or differ between two baselines.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its path, see [`Difference::field`].
    pub name: Arc<str>,
    /// What the candidate's values here are like; `None` where the kind says all.
    pub shape: Option<Arc<str>>,
    /// Whether the candidate repeats its values here, and the baseline does not.
    pub repeats: bool,
    /// What is wrong here; `None` for what found no room.
    kind: Option<Kind>,
    /// Pairs that differ here.
    pub raw: u64,
    /// Samples in which two baselines differ here.
    pub noise: u64,
    /// Pairs that differ here among the samples for noise, where those were given.
    pub raw_in_samples: u64,
    /// When the candidate differed here first, and last.
    pub seen: Option<(SystemTime, SystemTime)>,
    /// The first ones that are not alike.
    pub examples: Vec<Arc<Example>>,
    /// Pairs with a status of another class, of the baseline's or the candidate's failures none.
    other_class: u64,
    kinds: u32,
    /// Classes that the values of both sides were all of.
    pub classes: Classes,
    /// What the differences here are; others of the same kind have a field of their own.
    pub explained: Option<Explained>,
    /// How far numbers were apart at most, as a share of the larger one in billionths; `None` where something
    /// else differed, too.
    pub apart: Option<u64>,
    /// Pairs in which a side's value was one of its last ones here.
    pub repeated: u64,
}

impl Field {
    fn new(name: &str, kind: Option<Kind>, shape: Option<&str>, repeats: bool) -> Self {
        Self {
            name: name.into(),
            shape: shape.map(Into::into),
            repeats,
            kind,
            raw: 0,
            noise: 0,
            raw_in_samples: 0,
            seen: None,
            examples: Vec::new(),
            other_class: 0,
            kinds: 0,
            classes: Classes::ALL,
            explained: None,
            apart: Some(0),
            repeated: 0,
        }
    }

    /// Takes in one of the differences of a pair, the first of them in this field or another one.
    fn differ(
        &mut self,
        difference: &Difference,
        first: bool,
        occasion: Occasion<'_>,
        room: &mut Room,
    ) {
        self.kinds |= bit(difference.kind);
        if !first {
            return;
        }
        self.raw += 1;
        self.other_class += u64::from(is_other_class(difference));
        let now = occasion.at;
        let since = self.seen.map_or(now, |(since, _)| since);
        self.seen = Some((since, now));
        if !self.wants(difference) {
            return;
        }
        let mut example = Example::of(difference, occasion);
        if room.take(example.bytes()) {
            example.asked = occasion.request.asked().and_then(|asked| room.keep(asked));
            self.examples.push(Arc::new(example));
        } else {
            room.examples_left_out += 1;
        }
    }

    /// How often it differs, as noise is told by.
    pub(super) fn counts(&self) -> noise::Counts {
        let Self { raw, noise, raw_in_samples, .. } = *self;
        noise::Counts { raw, noise, raw_in_samples }
    }

    /// What is wrong here; `None` for what found no room.
    pub fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// What is wrong here, in the order of [`Kind::ALL`].
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        Kind::ALL.into_iter().filter(|kind| self.kinds & bit(*kind) != 0)
    }

    /// Of the worst kind.
    pub fn risk(&self) -> Risk {
        self.kinds().map(Kind::risk).max().unwrap_or(Risk::Low)
    }

    fn wants(&self, difference: &Difference) -> bool {
        self.examples.len() < EXAMPLES_MAX
            && !self.examples.iter().any(|example| {
                example.kind == difference.kind
                    && is_cut_of(example.baseline.as_deref(), difference.baseline.as_deref())
                    && is_cut_of(example.candidate.as_deref(), difference.candidate.as_deref())
            })
    }
}

fn bit(kind: Kind) -> u32 {
    1 << (kind as u32)
}

/// The fields of a route.
#[derive(Debug, Default)]
pub struct Fields {
    /// By path, kind and shape, see [`key`].
    by_key: HashMap<Box<str>, u16>,
    /// The last values of a field, by its path.
    last: HashMap<Box<str>, Last>,
    /// Shared with snapshots, so that these are quickly taken.
    kept: Vec<Arc<Field>>,
    other: Option<Arc<Field>>,
    /// Pairs by the fields they differ in. What turns out to be noise later is taken out of the
    /// pairs that came before, too.
    sets: HashMap<Box<[u16]>, u64>,
    /// Pairs whose combination found no room, by whether they differed net of the noise known then.
    without_set: [u64; 2],
    samples: noise::Samples,
}

impl Fields {
    /// Takes in a pair that differs, the `compared`-th one compared on this route.
    pub fn record(
        &mut self,
        found: &Differences,
        compared: u64,
        occasion: Occasion<'_>,
        room: &mut Room,
    ) {
        let set = self.visit(Stream::Raw, found, room, |field, difference, first, room| {
            field.differ(difference, first, occasion, room);
        });
        if let Some(pairs) = self.sets.get_mut(set.as_slice()) {
            *pairs += 1;
        } else if self.sets.len() < SETS_MAX && room.take(SET_BYTES + 2 * set.len()) {
            self.sets.insert(set.into(), 1);
        } else {
            let net = self.is_net(&set, compared);
            self.without_set[usize::from(net)] += 1;
        }
    }

    /// Takes in what two baselines differed in, and, where it is given, what the candidate differed
    /// in on the same request.
    pub fn record_noise(
        &mut self,
        raw: Option<&Differences>,
        noise: &Differences,
        room: &mut Room,
    ) {
        self.samples.count(raw.is_some());
        self.visit(Stream::Noise, noise, room, |field, _, first, _| {
            field.noise += u64::from(first)
        });
        if let Some(raw) = raw {
            self.visit(Stream::Sampled, raw, room, |field, _, first, _| {
                field.raw_in_samples += u64::from(first)
            });
        }
    }

    /// Calls `touch` for each difference, and whether it is the first in its field; the indices of
    /// these fields, in order.
    fn visit(
        &mut self,
        stream: Stream,
        found: &Differences,
        room: &mut Room,
        mut touch: impl FnMut(&mut Field, &Difference, bool, &mut Room),
    ) -> Vec<u16> {
        let mut set = Vec::new();
        let repeating = self.repeating(stream, found);
        let known = self.known(stream, found);
        self.note_last(stream, found, room);
        for difference in &found.found {
            let repeats = repeating.contains(&difference.field.as_str());
            let index = self.index(difference, repeats, room);
            let index =
                if set.len() < IN_A_PAIR_MAX || set.contains(&index) { index } else { NO_ROOM };
            if index == NO_ROOM {
                room.differences_left_out += 1;
            }
            let field = match self.kept.get_mut(usize::from(index)) {
                Some(field) => field,
                None => {
                    self.other.get_or_insert_with(|| Arc::new(Field::new(OTHER, None, None, false)))
                }
            };
            let field = Arc::make_mut(field);
            let first = !set.contains(&index);
            if first {
                set.push(index);
            }
            field.classes = field.classes.and(difference.traits.classes);
            let apart = difference.traits.apart;
            field.apart = field.apart.zip(apart).map(|(most, apart)| most.max(apart));
            if field.explained.is_none() {
                field.explained.clone_from(&difference.traits.explained);
            }
            field.repeated += u64::from(first && known.contains(&difference.field.as_str()));
            touch(field, difference, first, room);
        }
        // They differ, and nobody says where.
        if set.is_empty() {
            set.push(NO_ROOM);
        }
        set.sort_unstable();
        set
    }

    /// The fields in which the second side repeats itself and the first does not. The first value of
    /// a pair in a field stands for all of them.
    fn repeating<'f>(&self, stream: Stream, found: &'f Differences) -> Vec<&'f str> {
        let mut repeating = Vec::new();
        for (field, values) in first_values(found) {
            if self.last.get(field).is_some_and(|last| last.repeats(stream, values)) {
                repeating.push(field);
            }
        }
        repeating
    }

    /// The fields in which a side says again what it has said lately.
    fn known<'f>(&self, stream: Stream, found: &'f Differences) -> Vec<&'f str> {
        let first = first_values(found).into_iter();
        let known = first.filter(|(field, values)| {
            self.last.get(*field).is_some_and(|last| last.knows(stream, *values))
        });
        known.map(|(field, _)| field).collect()
    }

    fn note_last(&mut self, stream: Stream, found: &Differences, room: &mut Room) {
        for (field, values) in first_values(found) {
            if let Some(last) = self.last.get_mut(field) {
                last.note(stream, values);
            } else if self.last.len() < FIELDS_MAX && room.take(LAST_BYTES + field.len()) {
                let mut last = Last::default();
                last.note(stream, values);
                self.last.insert(field.into(), last);
            }
        }
    }

    fn index(&mut self, difference: &Difference, repeats: bool, room: &mut Room) -> u16 {
        let Difference { field, kind, traits, .. } = difference;
        let mut shape = traits.shape.as_deref();
        if let Some(index) = self.by_key.get(key(field, *kind, shape, repeats).as_str()) {
            return *index;
        }
        if shape.is_some() {
            let alike = |it: &&Arc<Field>| it.name.as_ref() == field && it.kind == Some(*kind);
            if self.kept.iter().filter(alike).count() >= SHAPES_MAX {
                shape = Some(OTHER_SHAPE);
            }
        }
        let key = key(field, *kind, shape, repeats);
        if let Some(index) = self.by_key.get(key.as_str()) {
            return *index;
        }
        let index = u16::try_from(self.kept.len()).unwrap_or(NO_ROOM);
        let bytes = FIELD_BYTES + field.len() + key.len();
        if self.kept.len() >= FIELDS_MAX || !room.take(bytes) {
            return NO_ROOM;
        }
        self.by_key.insert(key.into(), index);
        self.kept.push(Arc::new(Field::new(field, Some(*kind), shape, repeats)));
        index
    }

    /// All fields, that for what found no room last.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Field>> {
        self.kept.iter().chain(&self.other)
    }

    /// Samples for noise.
    pub fn samples(&self) -> noise::Samples {
        self.samples
    }

    /// Whether a difference like this one says nothing of the candidate.
    pub fn is_noise_like(&self, difference: &Difference, repeats: bool, compared: u64) -> bool {
        let Difference { field, kind, traits, .. } = difference;
        let shapes = [traits.shape.as_deref(), Some(OTHER_SHAPE)];
        let keys = shapes.map(|shape| key(field, *kind, shape, repeats));
        let index = keys.iter().find_map(|key| self.by_key.get(key.as_str()));
        index.is_some_and(|index| self.is_noise_at(*index, compared))
    }

    /// The fields in which these differences say something of the candidate, before they are recorded.
    pub fn net_fields<'d>(&self, differences: &'d Differences, compared: u64) -> Vec<&'d str> {
        let repeating = self.repeating(Stream::Raw, differences);
        let mut fields = Vec::new();
        for difference in &differences.found {
            let field = difference.field.as_str();
            let repeats = repeating.contains(&field);
            if !fields.contains(&field) && !self.is_noise_like(difference, repeats, compared) {
                fields.push(field);
            }
        }
        fields
    }

    fn is_noise_at(&self, index: u16, compared: u64) -> bool {
        let field = self.kept.get(usize::from(index));
        field.is_some_and(|field| self.is_noise(field, compared))
    }

    /// Whether a field differs between two baselines as it does between baseline and candidate, in
    /// this kind and shape.
    pub fn is_noise(&self, field: &Field, compared: u64) -> bool {
        if self.samples.is_noise(field.counts(), compared) {
            return true;
        }
        // Chance gives a noisy value a rare shape now and then: it is held against the candidate
        // only where it is more frequent than it can be by itself.
        if field.shape.is_none() && !field.repeats {
            return false;
        }
        let alike = self.kept.iter().filter(|it| it.name == field.name && it.kind == field.kind);
        let noise = alike.map(|it| it.noise).sum();
        self.samples.may_be_chance(field.counts(), noise, compared)
    }

    /// Pairs with a status of another class where that is noise.
    pub fn noisy_classes(&self, compared: u64) -> u64 {
        let noisy = self.kept.iter().filter(|field| self.is_noise(field, compared));
        noisy.map(|field| field.other_class).sum()
    }

    fn is_net(&self, set: &[u16], compared: u64) -> bool {
        set.iter().any(|index| !self.is_noise_at(*index, compared))
    }

    /// Pairs that differ in a field that is not noise.
    pub fn net_pairs(&self, compared: u64) -> u64 {
        let noise: Vec<_> = self.kept.iter().map(|field| self.is_noise(field, compared)).collect();
        let is_noise = |index: &u16| noise.get(usize::from(*index)).is_some_and(|noise| *noise);
        let net = self.sets.iter().filter(|(set, _)| !set.iter().all(is_noise));
        net.map(|(_, pairs)| pairs).sum::<u64>() + self.without_set[1]
    }
}

/// Whether one status is of another class than the other, and neither of them a failure.
pub fn is_other_class(difference: &Difference) -> bool {
    let class = |status: &Option<String>| status.as_ref().and_then(|it| it.bytes().next());
    let (ours, theirs) = (class(&difference.baseline), class(&difference.candidate));
    difference.kind == Kind::Status
        && difference.field == "status"
        && ours != theirs
        && ![ours, theirs].contains(&Some(b'5'))
}

/// What is judged together: a path, the kind of difference, and what the candidate's value is like.
fn key(field: &str, kind: Kind, shape: Option<&str>, repeats: bool) -> String {
    format!("{field}\0{}\0{}\0{}", kind.name(), shape.unwrap_or_default(), u8::from(repeats))
}

/// The first values of each field of a pair.
fn first_values(found: &Differences) -> Vec<(&str, [u32; 2])> {
    let mut first: Vec<(&str, [u32; 2])> = Vec::new();
    for difference in &found.found {
        let Some(values) = difference.traits.values else { continue };
        if !first.iter().any(|(field, _)| *field == difference.field) {
            first.push((&difference.field, values));
        }
    }
    first
}

impl Example {
    fn of(difference: &Difference, occasion: Occasion<'_>) -> Self {
        let Occasion { at, request, latencies } = occasion;
        let side = |text: &Option<String>| text.as_deref().map(|text| cut(text).to_owned());
        Self {
            place: cut(&difference.place).to_owned(),
            kind: difference.kind,
            baseline: side(&difference.baseline),
            candidate: side(&difference.candidate),
            note: side(&difference.note),
            seen: at,
            request: cut(request.shown()).to_owned(),
            asked: None,
            latencies,
        }
    }

    fn bytes(&self) -> usize {
        let side = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        EXAMPLE_BYTES
            + self.place.len()
            + self.request.len()
            + side(&self.baseline)
            + side(&self.candidate)
            + side(&self.note)
    }
}

/// At most [`TEXT_MAX`] bytes of a text, whole characters.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_MAX)]
}

fn is_cut_of(kept: Option<&str>, text: Option<&str>) -> bool {
    kept == text.map(cut)
}

#[cfg(test)]
mod tests;
