//! Two documents in detail: every difference under all rules, with its place. The slow walk, for
//! what the quick ones find different. What is still to compare is a list, not a recursion, and all
//! memory is asked for before it is taken.

mod arrays;
mod graphql;
mod objects;
mod order;
mod renamed;

use super::annotate::{Document, Mark};
use super::difference::{Difference, Kind};
use super::explained::Explained;
use super::form::Form;
use super::json::{Kind as Node, make_room};
use super::lenient;
use super::number;
use super::policy::Rules;
use super::redaction::{self, MASK};
use super::rules::{Classes, MaskAs};
use super::show::{self, Step};
use super::traits::Traits;
use super::{Grant, Obstacle};

/// Most differences that are listed of one pair.
pub(super) const LISTED_MAX: usize = 32;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    list: Vec<Entry>,
    pub(super) more: bool,
}

impl Found {
    /// What was found, in the order of the baseline's document.
    pub(super) fn differences(self) -> impl Iterator<Item = Difference> {
        self.list.into_iter().map(|entry| entry.difference)
    }
}

/// A difference, and where it is in the documents.
#[derive(Debug)]
struct Entry {
    /// To sort by.
    order: usize,
    /// The values.
    nodes: (Option<usize>, Option<usize>),
    /// Whether they are members of an object.
    member: bool,
    /// What holds them, on both sides.
    parent: (u32, u32),
    difference: Difference,
}

/// What is wrong, as far as it is known where it is found.
struct What {
    kind: Kind,
    explained: Option<Explained>,
}

impl What {
    fn of(form: Form) -> Self {
        Self { kind: Kind::Form, explained: Some(Explained::Form(form)) }
    }

    /// Of a member that is there on one side alone.
    fn alone(kind: Kind, member: bool, null: bool) -> Self {
        if member && null { Self::of(Form::NullOrMissing) } else { kind.into() }
    }
}

impl From<Kind> for What {
    fn from(kind: Kind) -> Self {
        Self { kind, explained: None }
    }
}

/// Everything that differs between two documents, as far as it is listed.
pub(super) fn differences(
    ours: &Document<'_>,
    theirs: &Document<'_>,
    rules: &Rules,
    grant: Grant<'_>,
) -> Result<Found, Obstacle> {
    // Each trial of two elements may look at all that is in them.
    let mut work = 64 * (ours.tape.len() + theirs.tape.len()) + 65_536;
    let sides = Sides { ours, theirs, rules };
    let mut walk = Walk::new(sides, Find::All(Found::default()), 0, &mut work, grant);
    walk.new_errors = graphql::new_errors(ours, theirs);
    walk.run(0, 0)?;
    let Find::All(mut found) = walk.find else { return Ok(Found::default()) };
    found.list.sort_by_key(|entry| entry.order);
    renamed::join(sides, &mut found.list, &mut *walk.grant)?;
    Ok(found)
}

#[derive(Clone, Copy)]
struct Sides<'w, 'a> {
    ours: &'w Document<'a>,
    theirs: &'w Document<'a>,
    rules: &'w Rules,
}

/// What a walk is for.
enum Find {
    /// All differences.
    All(Found),
    /// Whether there is any.
    Any(bool),
}

/// A container on the way to another: where it is in its parent.
#[derive(Clone, Copy)]
struct Crumb {
    parent: u32,
    step: At,
    /// The container itself in both documents.
    nodes: (u32, u32),
}

/// Where a value is in its container.
#[derive(Clone, Copy)]
enum At {
    Root,
    Ours(u32),
    Theirs(u32),
    Index(u32),
}

/// Two containers that are still to compare.
#[derive(Clone, Copy)]
struct Due {
    a: usize,
    b: usize,
    crumb: u32,
}

/// Memory of a walk, granted once for all walks that are tried within another.
#[derive(Default)]
struct Scratch {
    /// The ways to all containers that are due or are being compared, parents first.
    trail: Vec<Crumb>,
    due: Vec<Due>,
    /// Bytes granted for lists that do not outlive one container: they take turns.
    lent: usize,
    /// Of the next walk that is tried.
    inner: Option<Box<Self>>,
}

struct Walk<'w, 'a> {
    sides: Sides<'w, 'a>,
    find: Find,
    scratch: Scratch,
    /// Whether theirs of the two arrays that are being compared has no elements.
    emptied: bool,
    /// Theirs of the errors that ours has not got.
    new_errors: Option<usize>,
    /// How many walks are tried around this one.
    depth: u8,
    /// How many values may still be looked at to try how elements fit.
    work: &'w mut usize,
    grant: Grant<'w>,
}

impl<'w, 'a> Walk<'w, 'a> {
    fn new(
        sides: Sides<'w, 'a>,
        find: Find,
        depth: u8,
        work: &'w mut usize,
        grant: Grant<'w>,
    ) -> Self {
        let scratch = Scratch::default();
        Self { sides, find, scratch, emptied: false, new_errors: None, depth, work, grant }
    }

    /// Compares two values and all that is in them.
    fn run(&mut self, a: usize, b: usize) -> Result<(), Obstacle> {
        self.value(a, b, u32::MAX, At::Root)?;
        while !self.is_done() {
            let Some(Due { a, b, crumb }) = self.scratch.due.pop() else { return Ok(()) };
            // What is behind it belonged to containers that are done.
            self.scratch.trail.truncate(crumb as usize + 1);
            match self.sides.ours.tape.kind(a) {
                Node::Array => {
                    self.emptied = self.sides.theirs.tape.children(b).next().is_none();
                    self.arrays(a, b, crumb)?;
                }
                _ => self.objects(a, b, crumb)?,
            }
        }
        Ok(())
    }

    /// Whether the two that it is run on are equal, found by a walk of its own.
    fn fits(&mut self, a: usize, b: usize) -> Result<bool, Obstacle> {
        let find = Find::Any(false);
        let depth = self.depth + 1;
        let mut walk = Walk::new(self.sides, find, depth, &mut *self.work, &mut *self.grant);
        walk.scratch = self.scratch.inner.take().map(|inner| *inner).unwrap_or_default();
        walk.run(a, b)?;
        let (fits, mut scratch) = (matches!(walk.find, Find::Any(false)), walk.scratch);
        scratch.trail.clear();
        scratch.due.clear();
        self.scratch.inner = Some(Box::new(scratch));
        Ok(fits)
    }

    fn is_trial(&self) -> bool {
        matches!(self.find, Find::Any(_))
    }

    fn is_done(&self) -> bool {
        match &self.find {
            Find::All(found) => found.more,
            Find::Any(any) => *any,
        }
    }

    /// Scalars are compared at once, containers later.
    fn value(&mut self, a: usize, b: usize, parent: u32, at: At) -> Result<(), Obstacle> {
        let Sides { ours, theirs, rules } = self.sides;
        let mark = ours.mark(a).with(theirs.mark(b));
        if self.is_trial() {
            if *self.work == 0 {
                self.find = Find::Any(true);
                return Ok(());
            }
            *self.work -= 1;
        }
        if mark.ignored || mark.mask == Some(MaskAs::Equal) || self.are_same(a, b) {
            return Ok(());
        }
        if Some(b) == self.new_errors {
            self.report(Kind::Errors.into(), parent, at, (Some(a), Some(b)), mark);
            return Ok(());
        }
        if mark.mask == Some(MaskAs::Hash) {
            if self.have_other_digests(a, b)? {
                self.report(Kind::Value.into(), parent, at, (Some(a), Some(b)), mark);
            }
            return Ok(());
        }
        let (kind, other) = (ours.tape.kind(a), theirs.tape.kind(b));
        let both = (Some(a), Some(b));
        if self.is_alias(mark, a, b) {
            return Ok(());
        }
        if ours.mark(a).was_string != theirs.mark(b).was_string {
            self.report(Kind::Type.into(), parent, at, both, mark);
            return Ok(());
        }
        match (kind, other) {
            (Node::Array, Node::Array) | (Node::Object, Node::Object) => {
                make_room(&mut self.scratch.trail, &mut self.grant)?;
                make_room(&mut self.scratch.due, &mut self.grant)?;
                let crumb = index(self.scratch.trail.len());
                let nodes = (index(a), index(b));
                self.scratch.trail.push(Crumb { parent, step: at, nodes });
                self.scratch.due.push(Due { a, b, crumb });
                return Ok(());
            }
            (Node::True, Node::False) | (Node::False, Node::True) => {
                self.report(Kind::Value.into(), parent, at, both, mark);
            }
            _ if kind != other => self.scalars(Kind::Type, parent, at, (a, b), mark),
            _ => {
                let equal = match kind {
                    Node::Number => number::equal(ours.tape.raw(a), theirs.tape.raw(b)),
                    Node::String => ours.tape.text(a).equals(&theirs.tape.text(b)),
                    Node::Word => ours.tape.raw(a) == theirs.tape.raw(b),
                    _ => true,
                };
                let (one, two) = ((&ours.tape, a), (&theirs.tape, b));
                let let_off = || lenient::equal(&rules.leniences, mark.lenient, one, two);
                if !equal && (mark.lenient == 0 || !let_off()) {
                    self.scalars(Kind::Value, parent, at, (a, b), mark);
                }
            }
        }
        Ok(())
    }

    fn have_other_digests(&mut self, a: usize, b: usize) -> Result<bool, Obstacle> {
        let Sides { ours, theirs, rules } = self.sides;
        let ours = ours.digests(rules, &mut *self.grant)?.digest(a);
        Ok(ours != theirs.digests(rules, &mut *self.grant)?.digest(b))
    }

    /// Whether two values have the same text, and so are equal by any rules. Of what stood in a string the text
    /// does not say all.
    fn are_same(&self, a: usize, b: usize) -> bool {
        let Sides { ours, theirs, .. } = self.sides;
        ours.tape.kind(a) == theirs.tape.kind(b)
            && ours.tape.raw(a) == theirs.tape.raw(b)
            && !ours.has_read()
            && !theirs.has_read()
    }

    /// Two values that differ, which may be the same in another form.
    fn scalars(&mut self, kind: Kind, parent: u32, at: At, (a, b): (usize, usize), mark: Mark) {
        let Sides { ours, theirs, .. } = self.sides;
        let said = !self.is_trial() && mark.mask.is_none() && !mark.hidden;
        let form = said.then(|| Form::of((&ours.tape, a), (&theirs.tape, b))).flatten();
        let what = form.map_or(kind.into(), What::of);
        self.report(what, parent, at, (Some(a), Some(b)), mark);
    }

    /// Whether one of two scalars stands for the other in copies.
    fn is_alias(&self, mark: Mark, a: usize, b: usize) -> bool {
        let Sides { ours, theirs, rules } = self.sides;
        let (one, two) = ((&ours.tape, a), (&theirs.tape, b));
        let Some(redaction) = rules.of_copies() else { return false };
        match mark.mask {
            Some(MaskAs::Alias(alias)) => redaction::is_alias(redaction, alias, one, two),
            _ => redaction::looks_alike(redaction, one, two),
        }
    }

    /// Ours alone has it.
    fn missing(&mut self, a: usize, parent: u32, at: At, member: bool) {
        let Sides { ours, rules, .. } = self.sides;
        let null = ours.tape.kind(a) == Node::Null;
        if !(member && null && rules.null_equals_absent) {
            let what = What::alone(Kind::Missing, member, null);
            self.report(what, parent, at, (Some(a), None), ours.mark(a));
        }
    }

    /// Theirs alone has it, in what is `container` in ours.
    fn added(&mut self, b: usize, container: usize, parent: u32, at: At, member: bool) {
        let Sides { ours, theirs, rules } = self.sides;
        let null = theirs.tape.kind(b) == Node::Null;
        if !(member && null && rules.null_equals_absent) {
            let order = ours.tape.behind(container);
            let kind = if Some(b) == self.new_errors { Kind::Errors } else { Kind::Added };
            let what = What::alone(kind, member, null);
            self.note(order, what, parent, at, (None, Some(b)), theirs.mark(b));
        }
    }

    /// A difference at a value of ours.
    fn report(
        &mut self,
        what: What,
        parent: u32,
        at: At,
        (a, b): (Option<usize>, Option<usize>),
        mark: Mark,
    ) {
        self.note(a.unwrap_or_default(), what, parent, at, (a, b), mark);
    }

    fn note(
        &mut self,
        order: usize,
        what: What,
        parent: u32,
        at: At,
        (a, b): (Option<usize>, Option<usize>),
        mark: Mark,
    ) {
        let Sides { ours, theirs, rules } = self.sides;
        let listed = match &mut self.find {
            Find::Any(any) => {
                *any = true;
                return;
            }
            Find::All(found) if found.list.len() == LISTED_MAX => {
                found.more = true;
                return;
            }
            Find::All(_) => {
                let (place, field) = self.place(parent, at, mark.hidden);
                let ([baseline, candidate], note) = shown((ours, a), (theirs, b), mark, rules);
                let kind = what.kind;
                let traits = self.traits(what, at, (a, b), mark);
                let note = note.map(str::to_owned);
                Difference { place, field, kind, baseline, candidate, traits, note }
            }
        };
        if let Find::All(found) = &mut self.find {
            let crumb = self.scratch.trail.get(parent as usize);
            let parent = crumb.map_or((u32::MAX, u32::MAX), |crumb| crumb.nodes);
            let member = matches!(at, At::Ours(_) | At::Theirs(_));
            found.list.push(Entry { order, nodes: (a, b), member, parent, difference: listed });
        }
    }

    /// What is still to be judged where the values differ by themselves.
    fn traits(
        &self,
        what: What,
        at: At,
        (a, b): (Option<usize>, Option<usize>),
        mark: Mark,
    ) -> Traits {
        let Sides { ours, theirs, .. } = self.sides;
        if let Some(explained) = what.explained {
            let both = a.zip(b).filter(|_| what.kind == Kind::Form && !mark.hidden);
            let of = both.map(|(a, b)| Traits::of_values((&ours.tape, a), (&theirs.tape, b)));
            return of.unwrap_or_default().with(explained);
        }
        match (what.kind, a, b) {
            (Kind::Type, _, Some(b)) => Traits::of_type(&theirs.tape, b),
            (Kind::Value, Some(a), Some(b)) if mark.mask.is_none() => {
                let traits = Traits::of_values((&ours.tape, a), (&theirs.tape, b));
                // The place that is told may be that of what holds it.
                let classes = if mark.hidden { Classes::default() } else { traits.classes };
                Traits { classes, ..traits }
            }
            (Kind::Missing, ..) if matches!(at, At::Index(_)) && self.emptied => {
                Traits::known("the list is empty")
            }
            _ => Traits::default(),
        }
    }

    /// Where a container that is being compared is itself.
    fn crumb(&self, crumb: u32) -> (u32, At) {
        let Crumb { parent, step, .. } = self.scratch.trail[crumb as usize];
        (parent, step)
    }

    /// Where a value is and its field; without the keys within what is hidden, which may be secrets as well.
    fn place(&self, parent: u32, at: At, hidden: bool) -> (String, String) {
        let Sides { ours, theirs, rules } = self.sides;
        let (mut inner, mut container) = (0, parent);
        for (at, step) in self.steps(parent, at).enumerate().take_while(|_| hidden) {
            let Some(crumb) = self.scratch.trail.get(container as usize) else { break };
            let (a, b) = crumb.nodes;
            let is_hidden = ours.mark(a as usize).hidden || theirs.mark(b as usize).hidden;
            if is_hidden && matches!(step, Step::Key(..)) {
                inner = at + 1;
            }
            container = crumb.parent;
        }
        show::place(self.steps(parent, at).skip(inner), rules.hide())
    }

    /// The way back from a value to the document.
    fn steps(&self, parent: u32, at: At) -> impl Iterator<Item = Step<'w, 'a>> {
        let Sides { ours, theirs, .. } = self.sides;
        let mut next = Some((parent, at));
        std::iter::from_fn(move || {
            let (parent, step) = next?;
            let container = self.scratch.trail.get(parent as usize);
            next = container.map(|crumb| (crumb.parent, crumb.step));
            let (a, b) = container.map(|crumb| crumb.nodes).unzip();
            match step {
                At::Root => None,
                At::Ours(key) => Some(Step::Key(&ours.tape, key as usize, a.map(|it| it as usize))),
                At::Theirs(key) => {
                    Some(Step::Key(&theirs.tape, key as usize, b.map(|it| it as usize)))
                }
                At::Index(index) => Some(Step::Index(index as usize)),
            }
        })
    }

    fn lend(&mut self, bytes: usize) -> Result<(), Obstacle> {
        let more = bytes.saturating_sub(self.scratch.lent);
        if more > 0 && !(self.grant)(more) {
            return Err(Obstacle::NoBudget);
        }
        self.scratch.lent += more;
        Ok(())
    }
}

/// Both values as text, masked, and in what they differ where that is hard to see: of what is hidden
/// nothing is said either.
fn shown(
    (ours, a): (&Document<'_>, Option<usize>),
    (theirs, b): (&Document<'_>, Option<usize>),
    mark: Mark,
    rules: &Rules,
) -> ([Option<String>; 2], Option<&'static str>) {
    if mark.mask.is_some() || mark.hidden {
        return ([a, b].map(|node| node.map(|_| MASK.to_owned())), None);
    }
    if let (Some(a), Some(b)) = (a, b) {
        let (texts, note) = show::values((&ours.tape, a), (&theirs.tape, b), rules);
        let one = ours.mark(a).was_string != theirs.mark(b).was_string;
        let note = if one { Some("JSON in a string on one side alone") } else { note };
        return (texts.map(Some), note);
    }
    let one = |document: &Document<'_>, node: Option<usize>| {
        node.map(|node| show::value(&document.tape, node, rules))
    };
    ([one(ours, a), one(theirs, b)], None)
}

fn index(at: usize) -> u32 {
    u32::try_from(at).expect("a tape has less nodes than that")
}
