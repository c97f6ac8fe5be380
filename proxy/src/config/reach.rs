//! What is allowed and probably not meant: routes and candidates that no request comes to, and nothing
//! that is mirrored.

use std::sync::Arc;

use super::Config;
use crate::policy::matcher::{Matcher, Taken};
use crate::policy::share::Share;
use crate::policy::{Candidate, RoutePolicy};
use crate::route::Labels;

/// Most warnings.
const WARNINGS_MAX: usize = 50;

impl Config {
    /// What these settings allow and is probably not meant, each with its place. Nothing is told that is
    /// not so.
    pub fn probably_not_meant(&self) -> Vec<String> {
        let mut warnings: Vec<_> = self.mirrors_nothing().into_iter().collect();
        warnings.extend(self.routes_of_no_label());
        warnings.extend(self.unreached_routes());
        warnings.extend(self.unreached_candidates());
        let more = warnings.len().saturating_sub(WARNINGS_MAX);
        if more > 0 {
            warnings.truncate(WARNINGS_MAX);
            warnings.push(format!("and {more} more routes or candidates like these"));
        }
        warnings
    }

    /// Routes by a label that no request has.
    fn routes_of_no_label(&self) -> impl Iterator<Item = String> {
        let labels = Labels { templates: &self.templates, templates_alone: self.templates_alone };
        self.routes.iter().filter_map(move |route| {
            let mut conditions = route.matcher.conditions.iter();
            let label = conditions.find_map(|it| it.test.as_label())?;
            let (method, target) = label.split_once(' ')?;
            let path = target.split(['?', '#']).next()?;
            let given = labels.of(&method.parse().ok()?, path);
            (given != label).then(|| {
                let RoutePolicy { place, .. } = route;
                format!("{place}: no request has the label {label:?}; {target} has {given:?}")
            })
        })
    }

    /// Routes whose requests are all an earlier one's.
    fn unreached_routes(&self) -> impl Iterator<Item = String> {
        self.routes.iter().enumerate().filter_map(|(index, route)| {
            let mut earlier = self.routes[..index].iter();
            let taken = |it: &RoutePolicy| it.matcher.takes(&route.matcher);
            let (taker, taken) = earlier.find_map(|it| Some((it, taken(it)?)))?;
            let (none, all) = match taken {
                Taken::All => ("no request comes", "takes them all"),
                Taken::WithPath => {
                    ("no request but those without a path (OPTIONS *) comes", "takes all others")
                }
            };
            let RoutePolicy { place, id, .. } = route;
            let (of, at) = (&taker.id, &taker.place);
            Some(format!("{place}: {none} to the route {id:?}: the route {of:?} at {at} {all}"))
        })
    }

    /// The first route that leaves nothing to those behind it, and to no route.
    fn last(&self) -> Option<usize> {
        let all = Matcher::default();
        self.routes.iter().position(|it| it.matcher.takes(&all) == Some(Taken::All))
    }

    /// Candidates that no route leaves anything to.
    fn unreached_candidates(&self) -> Vec<String> {
        let Some(last) = self.last() else { return Vec::new() };
        let gets = |it: &&Candidate| self.routes[..=last].iter().any(|route| gets(route, &it.name));
        let unreached = self.candidates.iter().filter(|it| !gets(it));
        let place = &self.routes[last].place;
        let told = |Candidate { name, .. }: &Candidate| {
            format!(
                "no request comes to the candidate {name:?}: the route at {place} takes all that is \
                 left, and no route before it names this candidate"
            )
        };
        unreached.map(told).collect()
    }

    /// Whether no request whatever is copied to anybody.
    fn mirrors_nothing(&self) -> Option<String> {
        let all = Share::of(self.mirror.fraction);
        let (routes, is_rest_left) = match self.last() {
            Some(last) => (&self.routes[..=last], false),
            None => (&self.routes[..], true),
        };
        let is_copied = |candidate: Option<&Candidate>, route: Option<&RoutePolicy>| {
            let own = route.and_then(|it| it.share).or_else(|| candidate?.share);
            let is_meant = match (route, candidate) {
                (Some(route), Some(candidate)) => gets(route, &candidate.name),
                (Some(route), None) => route.candidates.as_ref().is_none_or(|it| !it.is_empty()),
                (None, _) => true,
            };
            is_meant && own.unwrap_or(all) > Share::NONE
        };
        let is_copied_to = |candidate: Option<&Candidate>| {
            candidate.is_none_or(|it| it.enabled)
                && ((is_rest_left && is_copied(candidate, None))
                    || routes.iter().any(|route| is_copied(candidate, Some(route))))
        };
        let is_any = match &self.candidates[..] {
            [] => is_copied_to(None),
            candidates => candidates.iter().any(|it| is_copied_to(Some(it))),
        };
        let is_off = !self.candidates.is_empty() && self.candidates.iter().all(|it| !it.enabled);
        let why = if is_off {
            "no candidate is enabled"
        } else {
            "of whatever request, the share is 0, or it is for no candidate that is enabled"
        };
        (!is_any).then(|| format!("nothing is mirrored until that is changed by hand: {why}"))
    }
}

/// Whether requests of a route are for this candidate.
fn gets(route: &RoutePolicy, candidate: &Arc<str>) -> bool {
    route.candidates.as_ref().is_none_or(|names| names.contains(candidate))
}

#[cfg(test)]
mod tests;
