//! Why a copy goes out as it does: each rule that it went by, with what is another behind it than before.

use std::fmt::Write;
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderName, HeaderValue};
use similar::{Algorithm, DiffTag, capture_diff_slices_deadline};

use crate::plan::{Preparation, Rule};
use crate::policy::hook::Hook;
use crate::policy::trace::Copies;
use crate::telemetry::{self, context::TRACEPARENT};
use compare::Rules;
use transform::CopyRequest;
use transform::hook::Verdict;
use transform::parts::Fault;
use transform::value::Secret;

mod carried;
mod lines;

use carried::Carried;
use lines::{Line, View};

pub use lines::BODY_MAX;

/// Most of an explanation that is kept, in bytes of text.
pub const TEXT_MAX: usize = 16 << 10;
/// What a step takes besides texts.
const STEP_BYTES: usize = 64;
/// For lines that have to be put beside each other; what is not done by then is told as another text.
const TIME_MAX: Duration = Duration::from_millis(20);

/// What one rule did to a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The rule, and where it stands.
    pub rule: Rule,
    /// What came of it, where its changes do not say so.
    pub outcome: String,
    /// The lines that are others behind it.
    pub changes: Vec<Change>,
}

/// A line that is not there any more, or is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whether it is new.
    pub is_new: bool,
    /// What it says.
    pub line: String,
}

/// How a copy became what it is. What may not be shown is not in it.
#[derive(Clone, Debug)]
pub struct Explained {
    /// What was held against what by then: by other rules other values are hidden.
    pub basis: u64,
    /// When the copy was made.
    pub at: SystemTime,
    /// The request that it is of.
    pub request: String,
    /// The rules, in their order.
    pub steps: Vec<Step>,
    /// Whether it was meant to be sent.
    pub is_sent: bool,
    /// More was told than is kept.
    pub is_cut: bool,
}

/// What is being told of a copy.
#[derive(Debug)]
pub struct Explaining<'v> {
    view: View<'v>,
    until: Option<Instant>,
    /// As it was behind the last rule.
    copy: CopyRequest,
    before: Vec<Line>,
    request: String,
    steps: Vec<Step>,
    is_sent: bool,
    /// Bytes that may still be told.
    room: usize,
    is_cut: bool,
}

/// What was found of an identity in a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// A value in whose place the candidate's was put.
    pub known: bool,
    /// One of which it is not known what the candidate calls it.
    pub unknown: bool,
    /// One that both call the same.
    pub same: bool,
}

impl<'v> Explaining<'v> {
    /// For the eyes of who has both the request and the settings; `secrets` are hidden nevertheless, the longest
    /// first.
    pub fn clear(copy: &CopyRequest, secrets: &'v [Secret]) -> Self {
        Self::new(
            copy,
            View { secrets, rules: None, carried: Carried::default() },
            (None, usize::MAX),
        )
    }

    /// To be kept: bounded, and without what `rules` hide or may be a secret.
    pub fn redacted(copy: &CopyRequest, rules: &'v Rules, secrets: &'v [Secret]) -> Self {
        let bounds = (Some(Instant::now() + TIME_MAX), TEXT_MAX);
        Self::new(copy, View { secrets, rules: Some(rules), carried: Carried::default() }, bounds)
    }

    fn new(
        copy: &CopyRequest,
        mut view: View<'v>,
        (until, room): (Option<Instant>, usize),
    ) -> Self {
        let before = view.of(copy);
        let request = before.first().map(|line| line.text.clone()).unwrap_or_default();
        Self {
            view,
            until,
            copy: copy.clone(),
            before,
            request,
            steps: Vec::new(),
            is_sent: true,
            room,
            is_cut: false,
        }
    }

    /// A rule was followed, or could not be.
    pub fn step(&mut self, rule: Rule, copy: &CopyRequest, done: Result<(), Fault>) {
        let changes = self.changes(copy);
        let is_same = self.copy == *copy || self.view.rules.is_none();
        let outcome = match done {
            Ok(()) if !changes.is_empty() => String::new(),
            Ok(()) if is_same => "changes nothing".to_owned(),
            Ok(()) => "changes what is not shown".to_owned(),
            Err(fault) => format!("cannot be followed: {fault}"),
        };
        self.copy = copy.clone();
        self.add(Step { rule, outcome, changes });
    }

    /// What came of ids, each with what was found of it.
    pub fn identities(&mut self, rules: impl Iterator<Item = (Rule, Found)>, copy: &CopyRequest) {
        let changes = self.changes(copy);
        self.copy = copy.clone();
        let rules: Vec<_> = rules.collect();
        let last = rules.iter().rposition(|(_, found)| found.known);
        for (at, (rule, found)) in rules.into_iter().enumerate() {
            let outcome = match found {
                Found { unknown: true, .. } => "it is not known what the candidate calls a value",
                Found { known: true, .. } => "puts in what the candidate calls it",
                Found { same: true, .. } => "both call it the same",
                Found { .. } => "finds nothing",
            };
            // They are put in all at once.
            let changes = if Some(at) == last { changes.clone() } else { Vec::new() };
            self.add(Step { rule, outcome: outcome.to_owned(), changes });
        }
    }

    /// A hook has seen the copy.
    pub fn hook(&mut self, hook: &Hook, copy: &CopyRequest, said: Result<&Verdict, String>) {
        let rule = hook_rule(hook);
        match said {
            Ok(Verdict::Send) => self.step(rule, copy, Ok(())),
            Ok(Verdict::Drop(why)) => {
                let why = format!("drops it: {}", self.view.said(why));
                self.not_sent(rule, why);
            }
            Err(failed) => self.not_sent(rule, format!("not sent: {failed}")),
        }
    }

    /// Something is told of a rule that changes nothing by itself.
    pub fn told(&mut self, rule: Rule, outcome: String) {
        self.add(Step { rule, outcome, changes: Vec::new() });
    }

    /// The copy goes nowhere, for this rule's sake.
    pub fn not_sent(&mut self, rule: Rule, why: String) {
        self.is_sent = false;
        self.told(rule, why);
    }

    /// The copy goes nowhere, whichever rule it was.
    pub fn unsent(&mut self, why: String) {
        if self.is_sent {
            self.not_sent(Rule { name: "not sent".to_owned(), place: None }, why);
        }
    }

    /// Where it is sent, it is marked by this line.
    pub fn marked(&mut self, mark: Option<&(HeaderName, HeaderValue)>) {
        let Some((name, value)) = mark.filter(|_| self.is_sent) else { return };
        let mut marked = self.copy.clone();
        marked.headers.insert(name, value.clone());
        if marked != self.copy {
            self.step(Rule { name: "mark".to_owned(), place: None }, &marked, Ok(()));
        }
    }

    /// Where it is sent, it says this of the trace of its request; which span it has is told by no rule.
    pub fn traced(&mut self, copies: Copies) {
        if !self.is_sent {
            return;
        }
        let rule = Rule { name: "trace".to_owned(), place: None };
        let mut traced = self.copy.clone();
        telemetry::Carried::new(copies, None).put(&mut traced.headers);
        if traced.headers.contains_key(TRACEPARENT) {
            self.told(rule, "a span of its own in the trace of the request".to_owned());
        } else if traced != self.copy {
            self.step(rule, &traced, Ok(()));
        }
    }

    /// What was told, to be kept.
    pub fn done(self, basis: u64) -> Explained {
        let Self { request, steps, is_sent, is_cut, .. } = self;
        Explained { basis, at: SystemTime::now(), request, steps, is_sent, is_cut }
    }

    /// The same as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for Step { rule, outcome, changes } in &self.steps {
            let between = if outcome.is_empty() { "" } else { ": " };
            writeln!(text, "{}{between}{outcome}", rule.name).expect("a text takes everything");
            for Change { is_new, line } in changes {
                let sign = if *is_new { '+' } else { '-' };
                writeln!(text, "{sign}{line}").expect("a text takes everything");
            }
        }
        text
    }

    fn changes(&mut self, copy: &CopyRequest) -> Vec<Change> {
        let after = self.view.of(copy);
        let changes = difference(&self.before, &after, self.until);
        self.before = after;
        changes
    }

    fn add(&mut self, mut step: Step) {
        let place = step.rule.place.as_ref().map_or(0, |place| place.len());
        let head = STEP_BYTES + step.rule.name.len() + place + step.outcome.len();
        self.is_cut |= !self.pays(head);
        if self.is_cut {
            return;
        }
        let fits = step.changes.iter().take_while(|it| self.pays(STEP_BYTES / 2 + it.line.len()));
        let fits = fits.count();
        self.is_cut = fits < step.changes.len();
        step.changes.truncate(fits);
        step.changes.shrink_to_fit();
        self.steps.push(step);
    }

    fn pays(&mut self, bytes: usize) -> bool {
        let left = self.room.checked_sub(bytes);
        self.room = left.unwrap_or_default();
        left.is_some()
    }
}

/// The steps of a body that is too large to be looked at behind each: one rule for them all; `None` where
/// there are none.
pub fn all_of(preparation: &Preparation) -> Option<Rule> {
    let rule = |it: Rule| match it.place {
        Some(place) => format!("{} ({place})", it.name),
        None => it.name,
    };
    let redact = preparation.redaction().map(|_| "redact".to_owned());
    let names: Vec<_> = redact.into_iter().chain(preparation.transform_rules().map(rule)).collect();
    (!names.is_empty()).then(|| Rule { name: names.join(", "), place: None })
}

fn hook_rule(hook: &Hook) -> Rule {
    Rule { name: format!("hook {:?} ({})", &*hook.name, hook.place), place: None }
}

fn difference(before: &[Line], after: &[Line], until: Option<Instant>) -> Vec<Change> {
    let mut changes = Vec::new();
    for op in capture_diff_slices_deadline(Algorithm::Myers, before, after, until) {
        if op.tag() == DiffTag::Equal {
            continue;
        }
        let change = |is_new| move |line: &Line| Change { is_new, line: line.text.clone() };
        changes.extend(before[op.old_range()].iter().map(change(false)));
        changes.extend(after[op.new_range()].iter().map(change(true)));
    }
    changes
}

#[cfg(test)]
mod tests;
