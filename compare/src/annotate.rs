//! What the rules say of each value of a document, and a digest of each: found in one pass, down
//! for the paths and up for the digests, without recursion.
//!
//! Values that are equal under the rules have equal digests. Digests only pair elements of arrays;
//! whether the two of a pair are equal is looked at. The one exception are masked values that are
//! compared by their hash.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::json::{Kind, Tape, make_room};
use super::normalize::Treatment;
use super::number;
use super::path::{Child, Taken};
use super::policy::{Effect, Rules};
use super::redaction::{self, Alias};
use super::rules::{MaskAs, Pairing};
use super::text::Text;
use super::{Grant, Obstacle};

/// What the rules say of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) ignored: bool,
    pub(super) mask: Option<MaskAs>,
    /// Compared and not shown, as is all that is in it.
    pub(super) hidden: bool,
    /// Of an array, which of [`Rules::pairings`] holds.
    pub(super) pairing: Option<u16>,
    /// Which of [`Rules::leniences`] hold, a bit each.
    pub(super) lenient: u64,
    /// Of a string, that it is to be read as JSON.
    pub(super) read: bool,
    /// It stood in a string, and was read.
    pub(super) was_string: bool,
}

/// A document with what the rules say of it.
#[derive(Debug)]
pub(super) struct Document<'a> {
    pub(super) tape: Tape<'a>,
    marks: Vec<Mark>,
    digests: Vec<u64>,
    /// Digests in which lenient values count; empty where there are none.
    exact: Vec<u64>,
    /// The values that stood in strings, in order.
    read: Vec<u32>,
}

impl<'a> Document<'a> {
    pub(super) fn mark(&self, node: usize) -> Mark {
        self.marks[node]
    }

    fn was_string(&self, node: usize) -> bool {
        u32::try_from(node).is_ok_and(|node| self.read.binary_search(&node).is_ok())
    }

    pub(super) fn digest(&self, node: usize) -> u64 {
        self.digests[node]
    }

    pub(super) fn exact(&self, node: usize) -> u64 {
        self.exact.get(node).copied().unwrap_or_else(|| self.digest(node))
    }

    /// Applies rules to a document, of which these values stood in strings.
    pub(super) fn new(
        tape: Tape<'a>,
        rules: &Rules,
        read: Vec<u32>,
        grant: Grant<'_>,
    ) -> Result<Self, Obstacle> {
        let exact = if rules.leniences.is_empty() { 0 } else { tape.len() };
        let bytes = tape.len() * (size_of::<Mark>() + size_of::<u64>()) + exact * size_of::<u64>();
        if !grant(bytes) {
            return Err(Obstacle::NoBudget);
        }
        let (marks, digests) = (vec![Mark::default(); tape.len()], vec![0; tape.len()]);
        let document = Self { tape, marks, digests, exact: vec![0; exact], read };
        let pass = Pass { document, rules, open: Vec::new(), ways: Vec::new(), lent: 0, grant };
        pass.run()
    }
}

/// How far a rule's path has come.
#[derive(Clone, Copy)]
struct Way {
    rule: u16,
    taken: Taken,
}

/// A container whose children are being read.
struct Open {
    node: usize,
    /// The node behind it.
    end: usize,
    object: bool,
    hidden: bool,
    /// All that is in it stands for others in this way.
    alias: Option<Alias>,
    /// Elements in any order are the same.
    any_order: bool,
    /// Of an element, the next one's index.
    index: usize,
    /// The key of a member whose value is due.
    key: usize,
    /// Where its part of [`Pass::ways`] begins.
    ways: usize,
    sums: Sums,
}

/// A digest, and the one in which lenient values count.
#[derive(Clone, Copy, Default)]
struct Sums {
    digest: u64,
    exact: u64,
}

impl Sums {
    /// What stood in a string is not what stands for itself.
    fn within(self, mark: Mark) -> Self {
        if !mark.was_string {
            return self;
        }
        Self { digest: mix(self.digest, STRING), exact: mix(self.exact, STRING) }
    }
}

struct Pass<'w, 'a> {
    document: Document<'a>,
    rules: &'w Rules,
    open: Vec<Open>,
    /// The ways of all containers that are open, each one's behind its parent's.
    ways: Vec<Way>,
    /// Bytes granted for a key without its escapes.
    lent: usize,
    grant: Grant<'w>,
}

const MASKED: u64 = 0x6d61_736b;
const ABSENT: u64 = 0;
const STRING: u64 = 0x6a73_6f6e;

fn mix(a: u64, b: u64) -> u64 {
    xxh3_64_with_seed(&a.to_le_bytes(), b)
}

impl<'a> Pass<'_, 'a> {
    fn run(mut self) -> Result<Document<'a>, Obstacle> {
        let count = self.document.tape.len();
        let mut at = 0;
        while at < count {
            while self.open.last().is_some_and(|open| open.end == at) {
                self.close();
            }
            at = self.node(at)?;
        }
        while !self.open.is_empty() {
            self.close();
        }
        Ok(self.document)
    }

    /// Takes a node; the next one to take.
    fn node(&mut self, at: usize) -> Result<usize, Obstacle> {
        let kind = self.document.tape.kind(at);
        if kind == Kind::Key {
            if let Some(object) = self.open.last_mut() {
                object.key = at;
            }
            return Ok(at + 1);
        }
        let ways = self.ways.len();
        let mut mark = self.mark(at, ways)?;
        mark.was_string = self.document.was_string(at);
        if mark.was_string {
            self.begin_anew(&mut mark)?;
        }
        self.document.marks[at] = mark;
        let behind = self.document.tape.behind(at);
        // Nothing in there is looked at.
        if mark.ignored || mark.mask == Some(MaskAs::Equal) {
            self.ways.truncate(ways);
            self.done(at, Sums { digest: MASKED, exact: MASKED });
            return Ok(behind);
        }
        if !matches!(kind, Kind::Array | Kind::Object) {
            self.ways.truncate(ways);
            let sums = self.scalar(at, kind, mark)?.within(mark);
            self.done(at, sums);
            return Ok(behind);
        }
        make_room(&mut self.open, &mut self.grant)?;
        let object = kind == Kind::Object;
        let any_order = !object && mark.pairing.is_some();
        let sums = Sums { digest: u64::from(object), exact: u64::from(object) };
        self.open.push(Open {
            node: at,
            end: behind,
            object,
            hidden: mark.hidden,
            alias: mark.alias(),
            any_order,
            index: 0,
            key: 0,
            ways,
            sums,
        });
        Ok(at + 1)
    }

    /// What the rules say of a value; its ways are put behind those of its parent.
    fn mark(&mut self, at: usize, from: usize) -> Result<Mark, Obstacle> {
        let mut mark = Mark::default();
        let (tape, rules) = (&self.document.tape, self.rules);
        let Some(parent) = self.open.last_mut() else {
            for (index, rule) in rules.paths.iter().enumerate() {
                let (taken, selected) = rule.path.start();
                make_room(&mut self.ways, &mut self.grant)?;
                self.ways.extend(way(index, taken));
                mark.apply(rules, index, selected);
            }
            return Ok(mark);
        };
        let key = parent.object.then(|| tape.text(parent.key));
        mark.hidden = parent.hidden || key.as_ref().is_some_and(|key| rules.keys.hides(key));
        if let Some(alias) = parent.alias {
            mark.hide(MaskAs::Alias(alias));
        }
        if let Some(key) = &key {
            mark.treat(rules.keys.noted(key));
        }
        let index = parent.index;
        parent.index += 1;
        if parent.ways == from {
            return Ok(mark);
        }
        let parent = parent.ways..from;
        let key = key.map(|key| unescaped(&key, &mut self.lent, &mut self.grant)).transpose()?;
        let child = key.as_deref().map_or(Child::Index(index), Child::Key);
        for at in parent {
            let Way { rule, taken } = self.ways[at];
            let (taken, selected) = rules.paths[usize::from(rule)].path.step(taken, child);
            make_room(&mut self.ways, &mut self.grant)?;
            self.ways.extend(way(usize::from(rule), taken));
            mark.apply(rules, usize::from(rule), selected);
        }
        debug_assert!(at < self.document.marks.len());
        Ok(mark)
    }

    /// JSON that stood in a string is a document of its own for what is hidden in all documents.
    fn begin_anew(&mut self, mark: &mut Mark) -> Result<(), Obstacle> {
        for (index, rule) in self.rules.paths.iter().enumerate().filter(|(_, rule)| rule.nested) {
            let (taken, selected) = rule.path.start();
            make_room(&mut self.ways, &mut self.grant)?;
            self.ways.extend(way(index, taken));
            mark.apply(self.rules, index, selected);
        }
        Ok(())
    }

    fn scalar(&mut self, at: usize, kind: Kind, mark: Mark) -> Result<Sums, Obstacle> {
        let (tape, seed) = (&self.document.tape, self.rules.seed ^ kind as u64);
        if let (Some(alias), Some(redaction)) = (mark.alias(), self.rules.of_copies()) {
            self.lend(at)?;
            let canonical = redaction::canonical(redaction, alias, (&self.document.tape, at));
            let sum =
                canonical.map_or(1, |text| xxh3_64_with_seed(text.as_bytes(), self.rules.seed));
            return Ok(Sums { digest: sum, exact: sum });
        }
        let exact = match kind {
            Kind::Number => number::digest(tape.raw(at), seed),
            Kind::String => text(&tape.text(at), seed),
            Kind::Word => text(&Text::of(tape.raw(at)), seed),
            _ => mix(kind as u64, seed),
        };
        // Whichever of them are equal must have the same.
        let loose = mark.lenient != 0 && matches!(kind, Kind::Number | Kind::String);
        if loose {
            return Ok(Sums { digest: mix(1, seed), exact });
        }
        let looks = self.rules.looks().filter(|_| matches!(kind, Kind::Number | Kind::String));
        let Some(redaction) = looks else { return Ok(Sums { digest: exact, exact }) };
        self.lend(at)?;
        let scalar = (&self.document.tape, at);
        let sum = redaction::same_for_all(redaction, scalar, self.rules.seed).unwrap_or(exact);
        Ok(Sums { digest: sum, exact: sum })
    }

    /// Memory for a copy of a text.
    fn lend(&mut self, at: usize) -> Result<(), Obstacle> {
        let length = match self.document.tape.kind(at) {
            Kind::Number | Kind::String => self.document.tape.raw(at).len(),
            _ => 0,
        };
        let more = length.saturating_sub(self.lent);
        if more > 0 && !(self.grant)(more) {
            return Err(Obstacle::NoBudget);
        }
        self.lent += more;
        Ok(())
    }

    fn close(&mut self) {
        let Some(open) = self.open.pop() else { return };
        self.ways.truncate(open.ways);
        let mark = self.document.marks[open.node];
        self.done(open.node, open.sums.within(mark));
    }

    /// A value is read: its digest counts for its container.
    fn done(&mut self, at: usize, sums: Sums) {
        let document = &mut self.document;
        document.digests[at] = sums.digest;
        if let Some(exact) = document.exact.get_mut(at) {
            *exact = sums.exact;
        }
        let mark = document.marks[at];
        let Some(open) = self.open.last_mut() else { return };
        if mark.ignored {
            return;
        }
        if !open.object {
            let add = |sum: &mut u64, digest| {
                *sum = if open.any_order {
                    sum.wrapping_add(mix(digest, 2))
                } else {
                    mix(digest, *sum)
                };
            };
            add(&mut open.sums.digest, sums.digest);
            add(&mut open.sums.exact, sums.exact);
            return;
        }
        let null = document.tape.kind(at) == Kind::Null;
        if self.rules.null_equals_absent && (null || mark.mask.is_some()) {
            return;
        }
        let key = document.tape.text(open.key);
        let key = match self.rules.keys.treatment(&key) {
            Treatment::Masked(name) | Treatment::Hashed(name, _) => text(&Text::plain(name), 3),
            _ => text(&key, 3),
        };
        let add = |sum: &mut u64, digest| *sum = sum.wrapping_add(mix(digest, key));
        add(&mut open.sums.digest, sums.digest);
        add(&mut open.sums.exact, sums.exact);
    }
}

impl Mark {
    fn treat(&mut self, treatment: Treatment<'_>) {
        match treatment {
            Treatment::Compared => {}
            Treatment::Ignored => self.ignored = true,
            Treatment::Masked(_) => self.hide(MaskAs::Equal),
            Treatment::Hashed(_, mask) => self.hide(mask),
        }
    }

    /// Who wants more compared has it; what is another value in copies can only be compared as such.
    fn hide(&mut self, mask: MaskAs) {
        match (self.mask, mask) {
            (Some(MaskAs::Alias(_)), _) => {}
            (Some(MaskAs::Hash), MaskAs::Equal) => {}
            _ => self.mask = Some(mask),
        }
        self.hidden |= matches!(mask, MaskAs::Alias(_));
    }

    fn alias(self) -> Option<Alias> {
        match self.mask {
            Some(MaskAs::Alias(alias)) => Some(alias),
            _ => None,
        }
    }

    fn apply(&mut self, rules: &Rules, rule: usize, selected: bool) {
        if !selected {
            return;
        }
        let rule = &rules.paths[rule];
        rule.used.note();
        match rule.effect {
            Effect::Ignore => self.ignored = true,
            Effect::Mask(mask) => self.hide(mask),
            Effect::Hide => self.hidden = true,
            Effect::Pair(pairing) => self.pairing = Some(pairing),
            Effect::Read => self.read = true,
            Effect::Lenient(lenience) => self.lenient |= 1 << lenience,
        }
    }

    /// What holds for two values that are compared with each other.
    pub(super) fn with(self, other: Self) -> Self {
        let mut both = self;
        both.ignored |= other.ignored;
        both.hidden |= other.hidden;
        if let Some(mask) = other.mask {
            both.hide(mask);
        }
        both.pairing = self.pairing.max(other.pairing);
        both.lenient |= other.lenient;
        both
    }
}

/// None for a path that leads nowhere any more.
fn way(rule: usize, taken: Taken) -> Option<Way> {
    let rule = u16::try_from(rule).expect("rules are bounded where they are read");
    (taken != 0).then_some(Way { rule, taken })
}

fn unescaped<'t>(
    key: &Text<'t>,
    lent: &mut usize,
    grant: &mut Grant<'_>,
) -> Result<std::borrow::Cow<'t, [u8]>, Obstacle> {
    let more = key.copied().saturating_sub(*lent);
    if more > 0 && !grant(more) {
        return Err(Obstacle::NoBudget);
    }
    *lent += more;
    Ok(key.unescaped())
}

/// A hash of what a text stands for, however it is spelled.
fn text(text: &Text<'_>, seed: u64) -> u64 {
    if let Some(plain) = text.as_plain() {
        return xxh3_64_with_seed(plain, seed);
    }
    let mut hasher = xxhash_rust::xxh3::Xxh3::with_seed(seed);
    let (mut block, mut bytes) = ([0; 64], text.bytes());
    loop {
        let mut length = 0;
        for (slot, byte) in block.iter_mut().zip(&mut bytes) {
            *slot = byte;
            length += 1;
        }
        hasher.update(&block[..length]);
        if length < block.len() {
            return hasher.digest();
        }
    }
}

/// The member of an object that pairs it with one of the other side: its digest, if it counts.
pub(super) fn key_digest(document: &Document<'_>, element: usize, name: &[u8]) -> Option<u64> {
    let tape = &document.tape;
    if tape.kind(element) != Kind::Object {
        return None;
    }
    let name = Text::of(name);
    let key = tape.children(element).find(|key| tape.text(*key).equals(&name))?;
    let absent = document.mark(key + 1).ignored || tape.kind(key + 1) == Kind::Null;
    (!absent).then(|| document.digest(key + 1))
}

impl Pairing {
    /// What elements that may be paired have in common.
    pub(super) fn group(&self, document: &Document<'_>, element: usize) -> u64 {
        match self {
            Self::Unordered => document.digest(element),
            Self::ByKey(name) => {
                key_digest(document, element, name.as_bytes()).map_or(ABSENT, |digest| digest | 1)
            }
        }
    }
}
