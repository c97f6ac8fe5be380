//! The routes seen so far: a bounded table from label to what is kept for each.

use std::collections::HashMap;
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

/// All routes of one proxy.
#[derive(Debug)]
pub struct Routes {
    metrics: Arc<Metrics>,
    table: RwLock<HashMap<Box<str>, Arc<Route>>>,
    other: Arc<Route>,
}

impl Routes {
    /// An empty table; the route `other` exists from the start.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let other = Route::new(OTHER, &metrics);
        Self { metrics, table: RwLock::default(), other }
    }

    /// The route with this label, or `other` where it finds no room.
    pub fn named(&self, label: &str) -> Arc<Route> {
        if label == OTHER {
            return Arc::clone(&self.other);
        }
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = table.get(label) {
            return Arc::clone(route);
        }
        let full = table.len() >= LABELS_MAX;
        drop(table);
        if full { Arc::clone(&self.other) } else { self.insert(label.to_owned()) }
    }

    fn insert(&self, label: String) -> Arc<Route> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = table.get(label.as_str()) {
            return Arc::clone(route);
        }
        if table.len() >= LABELS_MAX {
            return Arc::clone(&self.other);
        }
        let route = Route::new(&label, &self.metrics);
        table.insert(label.into(), Arc::clone(&route));
        route
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_100_labels_exist_besides_other() {
        let routes = Routes::new(Arc::new(Metrics::new().unwrap()));
        let word = |n: usize| {
            let letters = [n / 26, n % 26].map(|i| char::from(b'a' + u8::try_from(i).unwrap()));
            format!("/{}{}", letters[0], letters[1])
        };
        let labels: std::collections::BTreeSet<_> =
            (0..300).map(|n| routes.named(&format!("GET {}", word(n))).label.to_string()).collect();
        assert_eq!(labels.len(), LABELS_MAX + 1);
        assert!(labels.contains(OTHER));
        assert_eq!(
            &*routes.named(&format!("GET {}", word(0))).label,
            "GET /aa",
            "known labels stay"
        );
    }
}
