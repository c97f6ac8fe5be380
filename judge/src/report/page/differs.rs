//! What differs, the worst first: a line for each place, however many kinds and routes it has.

use std::collections::HashMap;

use super::{Block, Section, View, more};
use crate::report::described::{curl, described, example, suggestion};
use crate::report::fields::OTHER;
use crate::report::line::Line;
use crate::report::summary::FieldSummary;
use crate::verdict::Verdict;

/// Places that are told.
const SHOWN: usize = 10;
/// Examples of each.
const EXAMPLES: usize = 2;
/// Further routes that are named where a place differs in the same way.
const NAMED: usize = 3;

/// A place that differs, in one kind and shape or several, on one route or several.
struct Group<'a> {
    /// The worst of all.
    field: &'a FieldSummary,
    /// Those of the same place and route.
    others: Vec<&'a FieldSummary>,
    /// Other routes on which it differs in the same way.
    routes: Vec<&'a str>,
}

pub(super) fn section(view: &View<'_>) -> Section {
    let (groups, left) = view.first(groups(view), SHOWN);
    let mut blocks: Vec<_> = groups.iter().map(|group| group.block(view)).collect();
    blocks.extend(more(left, "place"));
    Section::new("What differs", blocks)
}

/// First those of routes that fail for them, then by pairs.
fn groups<'a>(view: &View<'a>) -> Vec<Group<'a>> {
    let fails = view.routes.iter().map(|it| it.scope.mismatches.verdict == Verdict::Fail);
    let mut fields: Vec<_> = Vec::new();
    for (route, fails) in view.routes.iter().zip(fails) {
        // Those of a route are there the worst first.
        let told = route.fields.iter().filter(|it| !it.is_noise && it.raw > 0);
        fields.extend(told.map(|field| (fails, field)));
    }
    fields.sort_by(|(fails, one), (others_fail, other)| {
        others_fail.cmp(fails).then(other.net.total_cmp(&one.net))
    });
    let mut groups: Vec<Group<'a>> = Vec::new();
    let (mut of_route, mut of_place) = (HashMap::new(), HashMap::new());
    for (_, field) in fields {
        let (route, place) = (field.route.as_str(), field.field.as_str());
        let next = groups.len();
        let at = *of_route.entry((route, place)).or_insert(next);
        if at < next {
            groups[at].others.push(field);
            continue;
        }
        // A status that differs here has little to do with one that differs there.
        let has_place = (place.starts_with('$') && place.len() > 1) || place.starts_with("header ");
        let like = *of_place.entry((place, &field.kinds)).or_insert(next);
        if has_place && like < next && !view.verbose {
            groups[like].routes.push(route);
            of_route.insert((route, place), like);
            continue;
        }
        groups.push(Group { field, others: Vec::new(), routes: Vec::new() });
    }
    groups
}

impl Group<'_> {
    fn block(&self, view: &View<'_>) -> Block {
        let mut line = described(self.field);
        if view.alone.is_none() {
            line = Line::quoting(&self.field.route).say(": ").then(line);
        }
        if self.field.field == OTHER {
            line = line.say(", in places that found no room");
        }
        if !self.others.is_empty() && !view.verbose {
            let kinds: Vec<_> = self.others.iter().flat_map(|it| &it.kinds).collect();
            let mut kinds: Vec<_> = kinds.into_iter().map(String::as_str).collect();
            kinds.sort_unstable();
            kinds.dedup();
            line = line.say(format!("; also in other kinds or shapes ({})", kinds.join(", ")));
        }
        Block::Item(self.on_others(line), self.below(view.verbose))
    }

    fn on_others(&self, line: Line) -> Line {
        let named = self.routes.iter().take(NAMED).copied();
        match (self.routes.is_empty(), self.routes.len().saturating_sub(NAMED)) {
            (true, _) => line,
            (false, 0) => line.say("; so on ").list(named),
            (false, left) => line.say("; so on ").list(named).say(format!(" and {left} more")),
        }
    }

    fn below(&self, verbose: bool) -> Vec<Line> {
        if !verbose {
            let examples = self.field.examples.iter().take(EXAMPLES).map(example);
            return examples.chain(suggestion(self.field)).collect();
        }
        let mut below = all_of(self.field);
        for field in &self.others {
            below.push(Line::new("also ").then(described(field)));
            below.extend(all_of(field));
        }
        below
    }
}

/// Each example with how it is sent again, and the rule that would settle them.
fn all_of(field: &FieldSummary) -> Vec<Line> {
    let examples =
        field.examples.iter().flat_map(|it| std::iter::once(example(it)).chain(curl(it)));
    examples.chain(suggestion(field)).collect()
}
