//! A digest of each value of a document: what is equal under the rules has the same.
//!
//! They only pair elements of arrays; whether the two of a pair are equal is looked at. The one exception
//! are masked values that are compared by their hash. Found in one pass without recursion.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::annotate::{Digests, Document, Mark};
use super::json::{Kind, make_room};
use super::normalize::Treatment;
use super::number;
use super::policy::Rules;
use super::redaction;
use super::rules::{MaskAs, Pairing};
use super::text::Text;
use super::{Grant, Obstacle};

impl Document<'_> {
    /// A digest of each value, by the rules that the document was made with; found when first asked for, since
    /// most documents are equal but for a few values, and need none.
    pub(super) fn digests(&self, rules: &Rules, grant: Grant<'_>) -> Result<&Digests, Obstacle> {
        if let Some(digests) = self.digests.get() {
            return Ok(digests);
        }
        let count = self.tape.len();
        let exact = if rules.leniences.is_empty() { 0 } else { count };
        if !grant((count + exact) * size_of::<u64>()) {
            return Err(Obstacle::NoBudget);
        }
        let digests = Digests { digests: vec![0; count], exact: vec![0; exact] };
        let pass = Pass { document: self, rules, digests, open: Vec::new(), lent: 0, grant };
        let digests = pass.run()?;
        Ok(self.digests.get_or_init(|| digests))
    }
}

/// A container whose children are being read.
struct Open {
    node: usize,
    /// The node behind it.
    end: usize,
    object: bool,
    /// Elements in any order are the same.
    any_order: bool,
    /// The key of a member whose value is due.
    key: usize,
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
    document: &'w Document<'a>,
    rules: &'w Rules,
    digests: Digests,
    open: Vec<Open>,
    /// Bytes granted for a text without its escapes.
    lent: usize,
    grant: Grant<'w>,
}

const MASKED: u64 = 0x6d61_736b;
const ABSENT: u64 = 0;
const STRING: u64 = 0x6a73_6f6e;

fn mix(a: u64, b: u64) -> u64 {
    xxh3_64_with_seed(&a.to_le_bytes(), b)
}

impl Pass<'_, '_> {
    fn run(mut self) -> Result<Digests, Obstacle> {
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
        Ok(self.digests)
    }

    /// Takes a node; the next one to take.
    fn node(&mut self, at: usize) -> Result<usize, Obstacle> {
        let tape = &self.document.tape;
        let (kind, mark, behind) = (tape.kind(at), self.document.mark(at), tape.behind(at));
        if kind == Kind::Key {
            if let Some(object) = self.open.last_mut() {
                object.key = at;
            }
            return Ok(at + 1);
        }
        // Nothing in there is looked at.
        if mark.ignored || mark.mask == Some(MaskAs::Equal) {
            self.done(at, Sums { digest: MASKED, exact: MASKED });
            return Ok(behind);
        }
        if !matches!(kind, Kind::Array | Kind::Object) {
            let sums = self.scalar(at, kind, mark)?.within(mark);
            self.done(at, sums);
            return Ok(behind);
        }
        make_room(&mut self.open, &mut self.grant)?;
        let object = kind == Kind::Object;
        let any_order = !object && mark.pairing.is_some();
        let sums = Sums { digest: u64::from(object), exact: u64::from(object) };
        self.open.push(Open { node: at, end: behind, object, any_order, key: 0, sums });
        Ok(at + 1)
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
        let mark = self.document.mark(open.node);
        self.done(open.node, open.sums.within(mark));
    }

    /// A value is read: its digest counts for its container.
    fn done(&mut self, at: usize, sums: Sums) {
        self.digests.digests[at] = sums.digest;
        if let Some(exact) = self.digests.exact.get_mut(at) {
            *exact = sums.exact;
        }
        let document = self.document;
        let mark = document.mark(at);
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
fn key_digest(
    (document, digests): (&Document<'_>, &Digests),
    element: usize,
    name: &[u8],
) -> Option<u64> {
    let tape = &document.tape;
    if tape.kind(element) != Kind::Object {
        return None;
    }
    let name = Text::of(name);
    let key = tape.children(element).find(|key| tape.text(*key).equals(&name))?;
    let absent = document.mark(key + 1).ignored || tape.kind(key + 1) == Kind::Null;
    (!absent).then(|| digests.digest(key + 1))
}

impl Pairing {
    /// What elements that may be paired have in common.
    pub(super) fn group(&self, of: (&Document<'_>, &Digests), element: usize) -> u64 {
        match self {
            Self::Unordered => of.1.digest(element),
            Self::ByKey(name) => {
                key_digest(of, element, name.as_bytes()).map_or(ABSENT, |digest| digest | 1)
            }
        }
    }
}
