//! What was switched off by hand.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

/// Most routes for which something is kept: all labels, and all that a settings file may name. Names come and
/// go with the settings, and what was said of them stays.
pub(super) const ROUTES_MAX: usize = 1200;

/// What is off by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffByHand {
    /// All of it.
    pub whole: bool,
    /// The routes that are off by themselves, by label or name.
    pub routes: Vec<String>,
}

impl OffByHand {
    /// Whether nothing is.
    pub fn is_nothing(&self) -> bool {
        !self.whole && self.routes.is_empty()
    }
}

/// The routes that are off by hand. A gate is kept for a label, and requests of a route of the settings may
/// have another than what it is called: `other` where a hundred were seen. So they ask here, too, which
/// costs a look at one flag as long as there are none.
#[derive(Debug, Default)]
pub(super) struct HeldRoutes {
    any: AtomicBool,
    routes: RwLock<HashSet<String>>,
}

impl HeldRoutes {
    pub(super) fn has(&self, route: &str) -> bool {
        self.any.load(Ordering::Acquire)
            && self.routes.read().unwrap_or_else(PoisonError::into_inner).contains(route)
    }

    /// These, and no others.
    pub(super) fn set<'r>(&self, routes: impl Iterator<Item = &'r str>) {
        let routes: HashSet<_> = routes.map(str::to_owned).collect();
        let any = !routes.is_empty();
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = routes;
        self.any.store(any, Ordering::Release);
    }
}
