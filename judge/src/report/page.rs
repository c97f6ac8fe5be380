//! The report as people read it, before it is known in which format: the verdict in one sentence, what
//! differs, what is slow or fails, what is not known yet, what is fine, and intervals last. Bounded, so
//! that the first screen of a service with a hundred routes tells the worst; the JSON has all.

mod differs;
mod intervals;
mod open;
mod rest;
mod troubles;

use super::amount::counted;
use super::headline;
use super::line::Line;
use super::summary::{RouteSummary, Scope, Summary};
use crate::verdict::Verdict;

/// What is shown.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The name of the candidate, where there are several.
    pub name: Option<&'a str>,
    /// The report.
    pub summary: &'a Summary,
    /// The route, where only one is shown.
    pub route: Option<&'a RouteSummary>,
    /// Whether all is shown that there is: each place that differs, every example and interval.
    pub verbose: bool,
}

impl Shown<'_> {
    /// The verdict in one sentence.
    pub fn headline(&self) -> Line {
        match self.route {
            Some(route) => headline::of_route(self.summary, route),
            None => headline::of_all(self.summary),
        }
    }
}

/// The report, in the order in which it is read.
#[derive(Clone, Debug)]
pub struct Page {
    /// The name of the candidate, where there are several.
    pub name: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// That in one sentence, and why.
    pub headline: Line,
    /// What it rests on.
    pub facts: Line,
    /// Those that have something to say.
    pub sections: Vec<Section>,
}

/// A part of the page.
#[derive(Clone, Debug)]
pub struct Section {
    /// What it tells.
    pub title: &'static str,
    /// Whether it is for those who want to know more.
    pub is_detail: bool,
    /// What it tells, in order.
    pub blocks: Vec<Block>,
}

/// A part of a section.
#[derive(Clone, Debug)]
pub enum Block {
    /// A line, and lines below that belong to it.
    Item(Line, Vec<Line>),
    /// Lines to be copied as they are.
    Copied(Vec<String>),
    /// Rows of cells; the first is the head. Nothing in them is active.
    Table(Vec<Vec<String>>),
}

impl Section {
    fn new(title: &'static str, blocks: Vec<Block>) -> Self {
        Self { title, is_detail: false, blocks }
    }
}

impl Block {
    fn line(line: Line) -> Self {
        Self::Item(line, Vec::new())
    }
}

impl Page {
    /// The page of what is shown.
    pub fn of(shown: Shown<'_>) -> Self {
        let view = View::of(shown);
        let sections = [
            differs::section(&view),
            troubles::section(&view),
            open::section(&view),
            rest::fine(&view),
            rest::noise(&view),
            rest::headers(&view),
            rest::notes(&view),
            intervals::section(&view),
        ];
        Self {
            name: shown.name.map(str::to_owned),
            verdict: view.scope().verdict,
            headline: shown.headline(),
            facts: view.facts(),
            sections: sections.into_iter().filter(|it| !it.blocks.is_empty()).collect(),
        }
    }
}

/// What the sections are made of.
struct View<'a> {
    summary: &'a Summary,
    /// The route, where only one is shown.
    alone: Option<&'a RouteSummary>,
    routes: Vec<&'a RouteSummary>,
    verbose: bool,
}

impl<'a> View<'a> {
    fn of(shown: Shown<'a>) -> Self {
        let Shown { summary, route, verbose, .. } = shown;
        let routes = route.map_or_else(|| summary.routes.iter().collect(), |route| vec![route]);
        Self { summary, alone: route, routes, verbose }
    }

    fn scope(&self) -> &'a Scope {
        self.alone.map_or(&self.summary.overall, |route| &route.scope)
    }

    fn name(&self) -> Line {
        self.alone.map_or_else(|| Line::new("all routes"), |route| Line::quoting(&route.route))
    }

    fn facts(&self) -> Line {
        let scope = self.scope();
        let since = self.summary.since.as_deref().unwrap_or("no pair yet");
        let mirroring = self.summary.mirroring.as_deref().unwrap_or("unknown");
        let verdict = scope.verdict.name();
        self.name()
            .say(format!(": {verdict}, {} pairs; since ", scope.pairs))
            .quote(since)
            .say(", mirroring ")
            .quote(mirroring)
    }

    /// So many of them, all where all is shown; how many are not shown.
    fn first<T>(&self, mut all: Vec<T>, most: usize) -> (Vec<T>, usize) {
        let more = if self.verbose { 0 } else { all.len().saturating_sub(most) };
        all.truncate(all.len() - more);
        (all, more)
    }
}

/// That there are more, and where they are.
fn more(count: usize, name: &str) -> Option<Block> {
    let line = || {
        let more = counted(count as u64, &format!("more {name}"));
        format!("… and {more}: --verbose or the JSON has all")
    };
    (count > 0).then(|| Block::line(Line::new(line())))
}

#[cfg(test)]
mod tests;
