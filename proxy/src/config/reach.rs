//! What is allowed and probably not meant: routes and candidates that no request comes to, and nothing
//! that is mirrored.

use std::sync::Arc;

use http::Method;

use super::Config;
use crate::policy::matcher::{Condition, Matcher, Taken, Test};
use crate::policy::share::Share;
use crate::policy::{Candidate, RoutePolicy};
use crate::route::{self, Labels};

/// Most warnings.
const WARNINGS_MAX: usize = 50;

impl Config {
    /// What these settings allow and is probably not meant, each with its place. Nothing is told that is
    /// not so.
    pub fn probably_not_meant(&self) -> Vec<String> {
        let mut warnings: Vec<_> = self.mirrors_nothing().into_iter().collect();
        warnings.extend(self.routes.iter().filter_map(|route| self.has_no_unsafe_method(route)));
        warnings.extend(self.routes_of_no_label());
        warnings.extend(self.routes.iter().filter_map(contradicts_itself));
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

    /// Whether a route asks for unsafe methods where there are none for all.
    fn has_no_unsafe_method(
        &self,
        RoutePolicy { unsafe_methods, place, id, .. }: &RoutePolicy,
    ) -> Option<String> {
        let methods = self.mirror.methods.as_deref().filter(|it| it.iter().all(Method::is_safe))?;
        (*unsafe_methods == Some(true)).then(|| {
            format!(
                "{place}: unsafe_methods = true of the route {id:?} changes nothing: of mirror.methods \
                 ({}) none is unsafe; add those that are to be mirrored",
                listed(methods)
            )
        })
    }

    /// Whether no request whatever is copied to anybody, and why.
    fn mirrors_nothing(&self) -> Option<String> {
        let why =
            self.has_no_share().or_else(|| self.has_no_room()).or_else(|| self.has_no_method())?;
        Some(format!("nothing is mirrored until that is changed by hand: {why}"))
    }

    fn has_no_room(&self) -> Option<String> {
        let is_0 = self.mirror.buffer_bytes == 0;
        is_0.then(|| "mirror.buffer_bytes is 0, so that no copy has room".to_owned())
    }

    fn has_no_method(&self) -> Option<String> {
        let takes_unsafe = |it: &RoutePolicy| it.unsafe_methods == Some(true);
        let methods = self.mirror.methods.as_deref()?;
        let is_none = !self.mirror.unsafe_methods
            && !methods.iter().any(Method::is_safe)
            && !self.routes.iter().any(takes_unsafe);
        is_none.then(|| {
            format!(
                "unsafe methods are not, and of mirror.methods ({}) none is safe",
                listed(methods)
            )
        })
    }

    fn has_no_share(&self) -> Option<String> {
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
        (!is_any).then(|| why.to_owned())
    }
}

/// Whether the label and the methods that a route is for never go together.
fn contradicts_itself(route: &RoutePolicy) -> Option<String> {
    let conditions = &route.matcher.conditions;
    let is_label = |it: &&Condition| matches!(it.test, Test::Label(_)) && !it.not;
    let label = conditions.iter().find(is_label)?;
    let other = conditions.iter().find(|it| never_both(label, it))?;
    let RoutePolicy { place, id, .. } = route;
    Some(format!(
        "{place}: no request comes to the route {id:?}: it is for {} and {}, of which never both hold",
        label.text, other.text
    ))
}

/// Whether a label is never that of a request with these methods.
fn never_both(label: &Condition, other: &Condition) -> bool {
    let named = label.test.as_label().and_then(|label| label.split_once(' '));
    let (Some((named, _)), Test::Method(methods)) = (named, &other.test) else { return false };
    let is_named = |method: &Method| route::method_name(method) == named;
    // Of methods without a name in labels there are always others.
    let is_one = methods.iter().any(|it| it.as_str() == named);
    if other.not { is_one } else { !methods.iter().any(is_named) }
}

fn listed(methods: &[Method]) -> String {
    methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ")
}

/// Whether requests of a route are for this candidate.
fn gets(route: &RoutePolicy, candidate: &Arc<str>) -> bool {
    route.candidates.as_ref().is_none_or(|names| names.contains(candidate))
}

#[cfg(test)]
mod tests;
