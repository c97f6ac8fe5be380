//! What the rules say of each value of a document: found in one pass, without recursion.

use std::cell::OnceCell;

use super::json::{Kind, Tape, make_room};
use super::normalize::Treatment;
use super::path::{Child, Taken};
use super::policy::{Effect, Rules};
use super::redaction::Alias;
use super::rules::MaskAs;
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
    /// Once they were asked for.
    pub(super) digests: OnceCell<Digests>,
    /// The values that stood in strings, in order.
    read: Vec<u32>,
}

/// A digest of each value of a document.
#[derive(Debug)]
pub(super) struct Digests {
    pub(super) digests: Vec<u64>,
    /// Those in which lenient values count; empty where there are none.
    pub(super) exact: Vec<u64>,
}

impl Digests {
    pub(super) fn digest(&self, node: usize) -> u64 {
        self.digests[node]
    }

    /// Of a value, where what may differ a little is not the same.
    pub(super) fn exact(&self, node: usize) -> u64 {
        self.exact.get(node).copied().unwrap_or_else(|| self.digest(node))
    }
}

impl<'a> Document<'a> {
    pub(super) fn mark(&self, node: usize) -> Mark {
        self.marks[node]
    }

    fn was_string(&self, node: usize) -> bool {
        u32::try_from(node).is_ok_and(|node| self.read.binary_search(&node).is_ok())
    }

    /// Whether some of its values stood in strings.
    pub(super) fn has_read(&self) -> bool {
        !self.read.is_empty()
    }

    /// Applies rules to a document, of which these values stood in strings.
    pub(super) fn new(
        tape: Tape<'a>,
        rules: &Rules,
        read: Vec<u32>,
        grant: Grant<'_>,
    ) -> Result<Self, Obstacle> {
        if !grant(tape.len() * size_of::<Mark>()) {
            return Err(Obstacle::NoBudget);
        }
        let marks = vec![Mark::default(); tape.len()];
        let document = Self { tape, marks, digests: OnceCell::new(), read };
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

/// Members whose value says what the one beside it is called: `{"name": "password", "value": "..."}`.
const NAMES: [&str; 6] = ["name", "key", "field", "header", "parameter", "id"];
/// Members that are called so.
const VALUES: [&str; 4] = ["value", "values", "val", "default"];
/// Longest name that is looked at.
const NAME_MAX: usize = 64;

/// A container whose children are being read.
struct Open {
    /// Its node.
    at: usize,
    /// Whether a member says that the value beside it is not to be shown, once that was asked.
    says_secret: Option<bool>,
    /// The node behind it.
    end: usize,
    object: bool,
    hidden: bool,
    /// All that is in it stands for others in this way.
    alias: Option<Alias>,
    /// Of an element, the next one's index.
    index: usize,
    /// The key of a member whose value is due.
    key: usize,
    /// Where its part of [`Pass::ways`] begins.
    ways: usize,
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

impl<'a> Pass<'_, 'a> {
    fn run(mut self) -> Result<Document<'a>, Obstacle> {
        let count = self.document.tape.len();
        let mut at = 0;
        while at < count {
            while let Some(open) = self.open.pop_if(|open| open.end == at) {
                self.ways.truncate(open.ways);
            }
            at = self.node(at)?;
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
        let is_left_out = mark.ignored || mark.mask == Some(MaskAs::Equal);
        if is_left_out || !matches!(kind, Kind::Array | Kind::Object) {
            self.ways.truncate(ways);
            return Ok(behind);
        }
        make_room(&mut self.open, &mut self.grant)?;
        self.open.push(Open {
            at,
            says_secret: None,
            end: behind,
            object: kind == Kind::Object,
            hidden: mark.hidden,
            alias: mark.alias(),
            index: 0,
            key: 0,
            ways,
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
        mark.hidden = parent.hidden
            || key.as_ref().is_some_and(|key| {
                rules.keys.hides(key) || is_any(key, &VALUES) && parent.says(tape, rules)
            });
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
}

impl Open {
    /// Whether one of its members is the name of a secret. All are looked at once, however many values there are.
    fn says(&mut self, tape: &Tape<'_>, rules: &Rules) -> bool {
        let is_secret = |key: usize| {
            let value = tape.text(key + 1);
            value.bytes().take(NAME_MAX + 1).count() <= NAME_MAX
                && std::str::from_utf8(&value.unescaped()).is_ok_and(|name| rules.hides(name))
        };
        let is_name =
            |key: &usize| tape.kind(key + 1) == Kind::String && is_any(&tape.text(*key), &NAMES);
        let look = || tape.children(self.at).filter(is_name).any(is_secret);
        *self.says_secret.get_or_insert_with(look)
    }
}

fn is_any(key: &Text<'_>, names: &[&str]) -> bool {
    names.iter().any(|name| key.is_any_case_of(name))
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

    pub(super) fn alias(self) -> Option<Alias> {
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
