//! How the last copy became what it is.

use super::super::words::{moment, text};
use crate::explain::{Explained, Step};

/// What is told of it.
pub(super) enum Copied {
    Withheld(&'static str),
    None,
    Told(Told),
}

pub(super) struct Told {
    pub(super) at: String,
    pub(super) request: String,
    pub(super) is_sent: bool,
    /// Nothing but that it is marked.
    pub(super) is_as_it_came: bool,
    pub(super) steps: Vec<Shown>,
    pub(super) is_cut: bool,
    /// Whether something in it is hidden.
    pub(super) hides: bool,
}

pub(super) struct Shown {
    pub(super) rule: String,
    pub(super) place: Option<String>,
    pub(super) outcome: String,
    /// Class, sign and text of each line.
    pub(super) changes: Vec<(&'static str, &'static str, String)>,
}

impl Copied {
    /// `explained`: nothing where it is not to be shown.
    pub(super) fn of(
        explained: Option<Option<&Explained>>,
        withheld: Option<&'static str>,
    ) -> Self {
        match explained {
            None => Self::Withheld(withheld.unwrap_or("withheld")),
            Some(None) => Self::None,
            Some(Some(explained)) => Self::Told(told(explained)),
        }
    }
}

fn told(explained: &Explained) -> Told {
    let Explained { at, request, steps, is_sent, is_cut, .. } = explained;
    let lines = || steps.iter().flat_map(|it| &it.changes).map(|it| it.line.as_str());
    Told {
        at: moment(*at),
        request: text(request),
        is_sent: *is_sent,
        is_as_it_came: steps.iter().all(|it| it.changes.is_empty() || it.rule.name == "mark"),
        hides: lines().chain([request.as_str()]).any(|it| it.contains("***")),
        steps: steps.iter().map(shown).collect(),
        is_cut: *is_cut,
    }
}

fn shown(step: &Step) -> Shown {
    let changes = step.changes.iter().map(|it| match it.is_new {
        false => ("gone", "-", text(&it.line)),
        true => ("new", "+", text(&it.line)),
    });
    Shown {
        rule: text(&step.rule.name),
        place: step.rule.place.as_deref().map(text),
        outcome: text(&step.outcome),
        changes: changes.collect(),
    }
}
