//! Whether a candidate gets copies, if not why and when again, and what is said of it.

use askama::Template;

use super::{Candidate, class_of};
use crate::page::shell::html;
use crate::page::words::{count, encoded, lasting, moment, percent, spoken, text};
use judge::guardrail::State;

#[derive(Template)]
#[template(path = "status.html")]
struct Status {
    name: String,
    is_on: bool,
    state: &'static str,
    why: Option<String>,
    next: Option<String>,
    routes_off: Option<String>,
    observes: bool,
    verdict_class: &'static str,
    verdict: &'static str,
    sentence: String,
    reasons: Vec<String>,
    not_covered: Vec<String>,
    pairs: String,
    since: Option<String>,
}

/// Whether mirroring is on, and the verdict in words.
pub(super) fn status(candidate: &Candidate) -> String {
    let Candidate { guardrail, scope, .. } = candidate;
    let is_on = guardrail.state.is_on() && candidate.off_by.is_none();
    html(&Status {
        name: text(&candidate.name),
        is_on,
        state: state(candidate, is_on),
        why: if is_on { None } else { why(candidate) },
        next: next(candidate, is_on),
        routes_off: routes_off(candidate),
        observes: guardrail.config.observe_only,
        verdict_class: class_of(scope.verdict),
        verdict: scope.verdict.name(),
        sentence: text(&candidate.headline),
        reasons: scope.reasons.iter().map(|it| text(it)).collect(),
        not_covered: scope.not_covered.iter().map(|it| text(it)).collect(),
        pairs: count(scope.pairs),
        since: candidate.since.as_deref().map(spoken),
    })
}

fn state(candidate: &Candidate, is_on: bool) -> &'static str {
    match candidate.guardrail.state {
        State::Probation if is_on => "Mirroring is on, with a small share for now",
        _ if is_on => "Mirroring is on",
        _ => "Mirroring is off",
    }
}

fn why(candidate: &Candidate) -> Option<String> {
    if let Some(by) = candidate.off_by {
        let who = if by == "settings" { "the settings" } else { "an override" };
        return Some(format!("It gets no copies by {who}."));
    }
    let (at, reason) = candidate.guardrail.last_abort.as_ref()?;
    Some(format!("{}: {}", moment(*at), text(reason)))
}

fn next(candidate: &Candidate, is_on: bool) -> Option<String> {
    if candidate.off_by.is_some() {
        return Some("It stays so until they say otherwise.".to_owned());
    }
    match candidate.guardrail.state {
        State::Held => Some("It stays off until somebody enables it.".to_owned()),
        State::Tripped { until } => {
            let left = until.saturating_sub(candidate.since_origin);
            Some(if left.is_zero() {
                "It resumes with the next request.".to_owned()
            } else {
                format!("It resumes with the first request in {}.", lasting(left))
            })
        }
        State::Probation => Some("The share grows as long as nothing is wrong.".to_owned()),
        State::Enabled => {
            let share = percent(candidate.share);
            is_on.then(|| format!("{share} of requests, where a route says nothing else."))
        }
    }
}

fn routes_off(candidate: &Candidate) -> Option<String> {
    let off = candidate.guardrail.routes.iter().filter(|it| !it.state.is_on()).count();
    match off {
        0 => None,
        1 => Some("One route is off by itself.".to_owned()),
        off => Some(format!("{off} routes are off by themselves.")),
    }
}

#[derive(Template)]
#[template(path = "switches.html")]
struct Switches {
    candidate: String,
    back: String,
    is_held: bool,
    share_value: String,
}

/// The switches of a candidate.
pub(super) fn switches(candidate: &Candidate) -> String {
    html(&Switches {
        candidate: candidate.name.to_string(),
        back: format!("./?candidate={}", encoded(&candidate.name)),
        is_held: !candidate.guardrail.state.is_on(),
        share_value: format!("{}", candidate.share),
    })
}
