//! For which candidates and which routes something is meant.

use std::sync::Arc;

use super::Place;

/// For whom it is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Names of candidates; all where it does not say.
    pub candidates: Option<Vec<Arc<str>>>,
    /// Ids of routes; all, and what no route fits, where it does not say.
    pub routes: Option<Vec<Arc<str>>>,
}

impl Scope {
    /// Whether it is meant for this candidate and the route of this id.
    pub fn takes(&self, candidate: &str, route: &str) -> bool {
        self.takes_candidate(candidate) && has(self.routes.as_ref(), route)
    }

    /// Whether it is meant for this candidate, on whatever route.
    pub fn takes_candidate(&self, candidate: &str) -> bool {
        has(self.candidates.as_ref(), candidate)
    }
}

fn has(names: Option<&Vec<Arc<str>>>, name: &str) -> bool {
    names.is_none_or(|names| names.iter().any(|it| **it == *name))
}

/// What is meant for some.
#[derive(Debug)]
pub struct Scoped<T> {
    /// What is meant.
    pub what: Arc<T>,
    /// For whom.
    pub scope: Scope,
    /// Where it stands.
    pub place: Place,
}

impl<T> Clone for Scoped<T> {
    fn clone(&self) -> Self {
        let Self { what, scope, place } = self;
        Self { what: Arc::clone(what), scope: scope.clone(), place: Arc::clone(place) }
    }
}

/// Those that are meant for a candidate and a route, in their order.
pub fn meant<T>(all: &[Scoped<T>], candidate: &str, route: &str) -> Vec<Arc<T>> {
    let meant = all.iter().filter(|it| it.scope.takes(candidate, route));
    meant.map(|it| Arc::clone(&it.what)).collect()
}

/// Where those stand, in the same order.
pub fn places<T>(all: &[Scoped<T>], candidate: &str, route: &str) -> Vec<Place> {
    let meant = all.iter().filter(|it| it.scope.takes(candidate, route));
    meant.map(|it| Arc::clone(&it.place)).collect()
}

#[cfg(test)]
mod tests {
    use super::Scope;

    #[test]
    fn what_says_nothing_is_for_all() {
        let names = |names: &[&str]| Some(names.iter().map(|name| (*name).into()).collect());
        let all = Scope::default();
        let some = Scope { candidates: names(&["v2"]), routes: names(&["a", "b"]) };
        let nobody = Scope { candidates: names(&[]), routes: None };
        assert!(all.takes("v2", "") && all.takes("v3", "a"));
        assert!(some.takes("v2", "b"));
        assert!(!some.takes("v3", "b") && !some.takes("v2", "") && !some.takes("v2", "c"));
        assert!(!nobody.takes("v2", "a"));
    }
}
