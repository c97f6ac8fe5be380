//! What needs nobody: routes that are fine, what differs by itself, headers that are not compared; and
//! what is to be known of the report itself.

use std::collections::HashMap;

use super::{Block, Section, View, more};
use crate::report::amount::{count, counted};
use crate::report::line::Line;
use crate::report::plain::plain;
use crate::report::summary::{HeaderSummary, RouteSummary, SuggestedIgnore, UnusedRule};
use crate::verdict::Verdict;

/// Routes that are fine and named.
const FINE_SHOWN: usize = 20;
/// Places told that differ by themselves.
const NOISE_SHOWN: usize = 5;
/// Headers told that are not compared.
const HEADERS_SHOWN: usize = 5;
/// Rules told that never applied.
const UNUSED_SHOWN: usize = 10;

/// All in one line.
pub(super) fn fine(view: &View<'_>) -> Section {
    let mut routes = if view.alone.is_some() { Vec::new() } else { view.routes.clone() };
    routes.retain(|it| it.scope.verdict == Verdict::Pass);
    let pairs = routes.iter().map(|it| it.scope.pairs).sum();
    let is_none = routes.is_empty();
    let (named, left) = view.first(routes, FINE_SHOWN);
    let line = Line::default().list(named.into_iter().map(|route| route.route.as_str()));
    let line = if left > 0 { line.say(format!(" and {} more", count(left as u64))) } else { line };
    let line = line.say(format!(" ({})", counted(pairs, "pair")));
    Section::new("What is fine", if is_none { Vec::new() } else { vec![Block::line(line)] })
}

/// Rules worth having, and what they hide.
pub(super) fn noise(view: &View<'_>) -> Section {
    let all = view.routes.iter().flat_map(|route| {
        route.suggested_ignores.iter().map(move |ignore| (route.route.as_str(), ignore))
    });
    let (told, left) = view.first(all.collect(), NOISE_SHOWN);
    let rules = view.routes.iter().filter(|it| it.suggested_rules.is_some());
    let (rules, without) = view.first(rules.collect(), 1);
    let mut blocks: Vec<_> = told.into_iter().map(|(route, it)| suggested(route, it)).collect();
    blocks.extend(more(left, "place"));
    for RouteSummary { suggested_rules, .. } in rules {
        let lines = suggested_rules.iter().flat_map(|rules| rules.lines());
        let title = Line::new("rules for that, for the file of MIRROR_CONFIG:");
        blocks.push(Block::line(title));
        blocks.push(Block::Copied(lines.map(plain).collect()));
    }
    blocks.extend(more(without, "table of rules").filter(|_| left == 0));
    Section::new("What differs by itself", blocks)
}

fn suggested(route: &str, ignore: &SuggestedIgnore) -> Block {
    let SuggestedIgnore { path, hides, also_hides, raw, pairs, noise, noise_pairs, .. } = ignore;
    let line = Line::quoting(route)
        .say(": differs by itself, worth ignoring: ")
        .quote(path)
        .say(format!(" ({raw} of {pairs} pairs, {noise} of {noise_pairs} between baselines)"));
    let mut below = vec![Line::new("hides ").say(hides)];
    below.extend(also_hides.iter().map(|also| Line::new("would also hide ").quote(also)));
    Block::Item(line, below)
}

/// Headers that differ and are no part of the verdict.
pub(super) fn headers(view: &View<'_>) -> Section {
    let all = view.routes.iter().flat_map(|route| {
        route.uncompared_headers.iter().map(move |header| (route.route.as_str(), header))
    });
    let mut all: Vec<_> = all.collect();
    all.sort_by(|(_, one), (_, other)| {
        one.is_noise.cmp(&other.is_noise).then(other.share.total_cmp(&one.share))
    });
    // One that every route has is one line.
    let mut groups: Vec<(&str, &HeaderSummary, u64)> = Vec::new();
    let mut known = HashMap::new();
    for (route, header) in all {
        let next = groups.len();
        let at = *known.entry((&header.name, &header.change)).or_insert(next);
        if at < next && !view.verbose {
            groups[at].2 += 1;
        } else {
            groups.push((route, header, 0));
        }
    }
    let (told, left) = view.first(groups, HEADERS_SHOWN);
    let mut blocks: Vec<_> =
        told.into_iter().map(|(route, it, others)| header(route, it, others)).collect();
    blocks.extend(more(left, "header"));
    let without: u64 = view.routes.iter().map(|it| it.headers_left_out).sum();
    if without > 0 {
        let line = format!("no room for {without} differences in other headers");
        blocks.push(Block::line(Line::new(line)));
    }
    Section::new("Headers that are no part of the verdict", blocks)
}

fn header(route: &str, header: &HeaderSummary, others: u64) -> Block {
    let HeaderSummary { name, change, share, raw, pairs, noise, noise_pairs, .. } = header;
    let line = Line::quoting(route).say(": header ").quote(name);
    let line = line.say(" differs and is not compared: ").quote(change);
    let mut line = line.say(format!(", {:.2} % ({raw} of {pairs} pairs)", 100.0 * share));
    if *noise_pairs > 0 {
        line = line.say(format!(", {noise} of {noise_pairs} between baselines"));
    }
    if header.is_noise {
        line = line.say(", noise");
    }
    let so_on = || format!("; so on {}", counted(others, "other route"));
    Block::line(if others > 0 { line.say(so_on()) } else { line })
}

/// What is to be known of the report.
pub(super) fn notes(view: &View<'_>) -> Section {
    let summary = view.summary;
    let mut blocks = Vec::new();
    if view.alone.is_none() {
        let (told, left) = view.first(summary.unused_rules.iter().collect(), UNUSED_SHOWN);
        blocks.extend(told.into_iter().map(|UnusedRule { rule, place, pairs, .. }| {
            let line = Line::new(format!("rule never applied in {pairs} pairs: "));
            Block::line(line.quote(rule).say(" (").quote(place).say(")"))
        }));
        blocks.extend(more(left, "rule"));
        let left_out = summary.left_out;
        if left_out.differences > 0 || left_out.examples > 0 {
            let line = format!(
                "no room for: {} differences (counted as field other), {} examples",
                left_out.differences, left_out.examples
            );
            blocks.push(Block::line(Line::new(line)));
        }
    }
    Section::new("Of the report itself", blocks)
}
