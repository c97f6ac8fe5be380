//! The routes seen so far: a bounded table from label to what is kept for each.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::{LABELS_MAX, OTHER};
use crate::metrics::{Metrics, RouteMetrics};
use judge::guardrail::window::Window;

/// What is kept for one route.
#[derive(Debug)]
pub struct Route {
    /// `METHOD /template`, or `other`.
    pub label: Arc<str>,
    /// The series of this route.
    pub metrics: RouteMetrics,
    window: Mutex<Window>,
}

impl Route {
    fn new(label: &str, metrics: &Metrics) -> Arc<Self> {
        Arc::new(Self {
            label: label.into(),
            metrics: metrics.route(label),
            window: Mutex::new(Window::new()),
        })
    }

    /// Takes in the latency of a baseline call, mirrored or not.
    pub fn record_baseline(&self, latency: Duration) {
        self.metrics.baseline.latency.record(latency);
        self.window.lock().unwrap_or_else(PoisonError::into_inner).record(latency);
    }

    /// The baseline's recent p99 on this route.
    pub fn baseline_p99(&self) -> Duration {
        self.window.lock().unwrap_or_else(PoisonError::into_inner).p99()
    }
}

/// Labels that have their place whatever clients ask for.
#[derive(Clone, Copy, Debug)]
pub struct Reserved<'n> {
    /// Which labels these are; another number for others.
    pub generation: u64,
    /// The labels.
    pub names: &'n HashSet<Arc<str>>,
}

/// All routes of one proxy.
#[derive(Debug)]
pub struct Routes {
    metrics: Arc<Metrics>,
    table: RwLock<Table>,
    other: Arc<Route>,
}

#[derive(Debug, Default)]
struct Table {
    routes: HashMap<Arc<str>, Arc<Route>>,
    /// Of the reserved labels that were looked at last.
    generation: u64,
    /// How many of them had no request yet.
    missing: usize,
}

impl Table {
    /// Whether a label that is new finds room.
    fn takes(&self, label: &str, reserved: Reserved<'_>) -> bool {
        let missing = if self.generation == reserved.generation {
            self.missing
        } else {
            self.missing_of(reserved)
        };
        let kept = if reserved.names.contains(label) { 0 } else { missing };
        self.routes.len() + kept < LABELS_MAX
    }

    fn missing_of(&self, reserved: Reserved<'_>) -> usize {
        let known = reserved.names.iter().filter(|name| self.routes.contains_key(*name));
        reserved.names.len() - known.count()
    }

    fn reserve(&mut self, reserved: Reserved<'_>) {
        self.missing = self.missing_of(reserved);
        self.generation = reserved.generation;
    }
}

impl Routes {
    /// An empty table; the route `other` exists from the start.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let other = Route::new(OTHER, &metrics);
        Self { metrics, table: RwLock::default(), other }
    }

    /// The route with this label, or `other` where it finds no room.
    pub fn named(&self, label: &str, reserved: Reserved<'_>) -> Arc<Route> {
        if label == OTHER {
            return Arc::clone(&self.other);
        }
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = table.routes.get(label) {
            return Arc::clone(route);
        }
        let looked_at = table.generation == reserved.generation;
        let full = looked_at && !table.takes(label, reserved);
        drop(table);
        if full { Arc::clone(&self.other) } else { self.insert(label, reserved) }
    }

    /// The label by which requests of this one are counted; none finds room by that.
    pub fn counted_as<'l>(&self, label: Cow<'l, str>, reserved: Reserved<'_>) -> Cow<'l, str> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let has_room = table.routes.contains_key(&*label) || table.takes(&label, reserved);
        if has_room { label } else { Cow::Borrowed(OTHER) }
    }

    fn insert(&self, label: &str, reserved: Reserved<'_>) -> Arc<Route> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = table.routes.get(label) {
            return Arc::clone(route);
        }
        table.reserve(reserved);
        if !table.takes(label, reserved) {
            return Arc::clone(&self.other);
        }
        let route = Route::new(label, &self.metrics);
        table.routes.insert(Arc::clone(&route.label), Arc::clone(&route));
        table.reserve(reserved);
        route
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_100_labels_exist_besides_other() {
        let routes = Routes::new(Arc::new(Metrics::new().unwrap()));
        let names = HashSet::new();
        let none = Reserved { generation: 1, names: &names };
        let word = |n: usize| {
            let letters = [n / 26, n % 26].map(|i| char::from(b'a' + u8::try_from(i).unwrap()));
            format!("/{}{}", letters[0], letters[1])
        };
        let labels: std::collections::BTreeSet<_> = (0..300)
            .map(|n| routes.named(&format!("GET {}", word(n)), none).label.to_string())
            .collect();
        assert_eq!(labels.len(), LABELS_MAX + 1);
        assert!(labels.contains(OTHER));
        assert_eq!(
            &*routes.named(&format!("GET {}", word(0)), none).label,
            "GET /aa",
            "known labels stay"
        );
    }

    #[test]
    fn asking_how_a_label_would_be_counted_takes_no_room() {
        let routes = Routes::new(Arc::new(Metrics::new().unwrap()));
        let names: HashSet<Arc<str>> = ["pay".into()].into();
        let reserved = Reserved { generation: 1, names: &names };
        let ask = |label: &str| routes.counted_as(label.to_owned().into(), reserved).into_owned();
        for n in 0..300 {
            assert_eq!(ask(&format!("GET /a{n}/b")), format!("GET /a{n}/b"));
        }
        for n in 0..LABELS_MAX {
            routes.named(&format!("GET /a{n}/b"), reserved);
        }
        assert_eq!((&*ask("GET /b"), &*ask("GET /a99/b")), (OTHER, OTHER));
        assert_eq!((&*ask("pay"), &*ask("GET /a98/b")), ("pay", "GET /a98/b"));
    }

    #[test]
    fn labels_that_are_reserved_find_room_whatever_was_asked_for_before() {
        let routes = Routes::new(Arc::new(Metrics::new().unwrap()));
        let names: HashSet<Arc<str>> = ["pay".into(), "search".into()].into();
        let reserved = Reserved { generation: 1, names: &names };
        let labels: HashSet<_> = (0..300)
            .map(|n| routes.named(&format!("GET /a{n}/b"), reserved).label.clone())
            .collect();
        assert_eq!(labels.len(), LABELS_MAX - 2 + 1, "and other");
        assert_eq!(&*routes.named("pay", reserved).label, "pay");
        assert_eq!(&*routes.named("search", reserved).label, "search");
        assert_eq!(&*routes.named("GET /new", reserved).label, OTHER);
        assert_eq!(routes.counted_as("GET /new".into(), reserved), OTHER);
        assert_eq!(routes.counted_as("GET /a0/b".into(), reserved), "GET /a0/b");
        // Labels that were given stay; there is no more room for others.
        let others: HashSet<Arc<str>> = ["new".into()].into();
        let reserved = Reserved { generation: 2, names: &others };
        assert_eq!(routes.counted_as("new".into(), reserved), OTHER);
        assert_eq!(&*routes.named("new", reserved).label, OTHER);
        assert_eq!(&*routes.named("GET /a0/b", reserved).label, "GET /a0/b");
    }
}
