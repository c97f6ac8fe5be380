//! What is not known yet, and how many more pairs it takes.

use super::{Block, Section, View, more};
use crate::report::REST;
use crate::report::amount::count;
use crate::report::headline::wait;
use crate::report::line::Line;
use crate::report::summary::Scope;
use crate::verdict::Verdict;

/// Routes that are told.
const SHOWN: usize = 10;
/// Routes without a pair that are named.
const NAMED: usize = 10;

pub(super) fn section(view: &View<'_>) -> Section {
    let mut blocks = vec![of_scope(view)];
    let mut routes = if view.alone.is_some() { Vec::new() } else { view.routes.clone() };
    routes.retain(|it| it.scope.verdict == Verdict::NotEnoughData);
    routes.sort_by_key(|it| std::cmp::Reverse(it.scope.pairs));
    let (routes, left) = view.first(routes, SHOWN);
    blocks.extend(routes.iter().map(|route| {
        let line = line(Line::quoting(&route.route), &route.scope);
        Some(Block::Item(line, reasons(view, &route.scope)))
    }));
    blocks.push(more(left, "route"));
    blocks.push(unknown(view.scope()));
    blocks.push(awaited(view));
    Section::new("What is not known yet", blocks.into_iter().flatten().collect())
}

/// What all routes wait for, or what the pass does not cover.
fn of_scope(view: &View<'_>) -> Option<Block> {
    let scope = view.scope();
    match scope.verdict {
        Verdict::NotEnoughData => Some(Block::Item(line(view.name(), scope), reasons(view, scope))),
        Verdict::Pass if !scope.not_covered.is_empty() => {
            let open = scope.not_covered.iter().map(|it| Line::new("not covered: ").quote(it));
            let said = match scope.latency.judged {
                true => ": the pass does not wait for all of the latency",
                false => ": the pass says nothing of the latency",
            };
            let line = view.name().say(said);
            Some(Block::Item(line, open.collect()))
        }
        _ => None,
    }
}

fn line(name: Line, scope: &Scope) -> Line {
    let (verdict, pairs) = (scope.verdict.name(), scope.pairs);
    let line = name.say(format!(": {verdict}, {pairs} pairs"));
    match scope.needed.as_ref() {
        Some(needed) => {
            let line = line.say(format!("; open: {}", needed.checks.join(", ")));
            wait(needed).map_or(line.clone(), |wait| line.say(format!("; {wait}")))
        }
        None => line,
    }
}

/// Which bounds are not there yet, for those who want to know.
fn reasons(view: &View<'_>, scope: &Scope) -> Vec<Line> {
    let told = scope.reasons.iter().filter(|_| view.verbose);
    told.map(|reason| Line::quoting(reason)).collect()
}

fn unknown(scope: &Scope) -> Option<Block> {
    let (pairs, share) = (scope.mismatches.unknown, 100.0 * scope.mismatches.unknown_share);
    let line = || format!("not compared {share:.2} % ({pairs} pairs): too large, or no memory");
    (pairs > 0).then(|| Block::line(Line::new(line() + " for it")))
}

fn awaited(view: &View<'_>) -> Option<Block> {
    let awaited = if view.alone.is_some() { &[][..] } else { &view.summary.awaited_routes };
    // What stands for all routes without a label of their own is awaited by nobody.
    let awaited: Vec<_> = awaited.iter().filter(|it| *it != REST).collect();
    let is_none = awaited.is_empty();
    let (named, left) = view.first(awaited, NAMED);
    let line = Line::new("no pair yet: ").list(named.into_iter().map(String::as_str));
    let line = if left > 0 { line.say(format!(" and {} more", count(left as u64))) } else { line };
    (!is_none).then(|| Block::line(line))
}
