//! The routes seen so far: a bounded table from label to what is kept for each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use http::Method;

use super::{LABELS_MAX, Template, fitting, label};
use crate::metrics::{Metrics, RouteMetrics};
use compare::{Policy, RouteRules};
use judge::guardrail::gate::Gate;
use judge::guardrail::window::Window;

/// Takes every request whose label finds no room in the table.
const OTHER: &str = "other";

/// What is kept for one route.
#[derive(Debug)]
pub struct Route {
    /// `METHOD /template`, or `other`.
    pub label: Arc<str>,
    /// The series of this route.
    pub metrics: RouteMetrics,
    window: Mutex<Window>,
    gate: OnceLock<Gate>,
    rules: Mutex<Option<(Arc<Policy>, Arc<RouteRules>)>>,
}

impl Route {
    fn new(label: &str, metrics: &Metrics) -> Arc<Self> {
        Arc::new(Self {
            label: label.into(),
            metrics: metrics.route(label),
            window: Mutex::new(Window::new()),
            gate: OnceLock::new(),
            rules: Mutex::default(),
        })
    }

    /// The guardrail's gate for this route, from `ask` where it was not asked for before.
    pub fn gate(&self, ask: impl FnOnce() -> Gate) -> &Gate {
        self.gate.get_or_init(ask)
    }

    /// What this policy says of the route; kept, since it is nearly always the same one.
    pub fn rules(&self, policy: &Arc<Policy>) -> Arc<RouteRules> {
        let mut kept = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, rules)) = &*kept
            && Arc::ptr_eq(of, policy)
        {
            return Arc::clone(rules);
        }
        let rules = Arc::new(policy.of(&self.label));
        *kept = Some((Arc::clone(policy), Arc::clone(&rules)));
        rules
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
    templates: Vec<Template>,
    /// Whether a path that no template fits has the label `other`.
    templates_alone: bool,
    metrics: Arc<Metrics>,
    table: RwLock<HashMap<Box<str>, Arc<Route>>>,
    other: Arc<Route>,
}

impl Routes {
    /// An empty table; the route `other` exists from the start.
    pub fn new(templates: Vec<Template>, metrics: Arc<Metrics>) -> Self {
        let other = Route::new(OTHER, &metrics);
        Self { templates, templates_alone: false, metrics, table: RwLock::default(), other }
    }

    /// Whether labels are made of templates alone, and never of what clients ask for.
    #[must_use]
    pub fn with_templates_alone(self, templates_alone: bool) -> Self {
        Self { templates_alone, ..self }
    }

    /// The route of a request.
    pub fn of(&self, method: &Method, path: &str) -> Arc<Route> {
        if self.templates_alone && fitting(path, &self.templates).is_none() {
            return Arc::clone(&self.other);
        }
        let label = label(method, path, &self.templates);
        if label == OTHER {
            return Arc::clone(&self.other);
        }
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = table.get(label.as_str()) {
            return Arc::clone(route);
        }
        let full = table.len() >= LABELS_MAX;
        drop(table);
        if full { Arc::clone(&self.other) } else { self.insert(label) }
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
    fn labels_may_be_of_templates_alone() {
        let templates = vec![Template::parse("/a/{b}").unwrap()];
        let routes = Routes::new(templates, Arc::new(Metrics::new().unwrap()));
        let routes = routes.with_templates_alone(true);
        assert_eq!(&*routes.of(&Method::GET, "/a/x").label, "GET /a/{b}");
        assert_eq!(&*routes.of(&Method::GET, "/private").label, OTHER);
    }

    #[test]
    fn at_most_100_labels_exist_besides_other() {
        let routes = Routes::new(Vec::new(), Arc::new(Metrics::new().unwrap()));
        let word = |n: usize| {
            let letters = [n / 26, n % 26].map(|i| char::from(b'a' + u8::try_from(i).unwrap()));
            format!("/{}{}", letters[0], letters[1])
        };
        let labels: std::collections::BTreeSet<_> =
            (0..300).map(|n| routes.of(&Method::GET, &word(n)).label.to_string()).collect();
        assert_eq!(labels.len(), LABELS_MAX + 1);
        assert!(labels.contains(OTHER));
        assert_eq!(&*routes.of(&Method::GET, &word(0)).label, "GET /aa", "known labels stay");
    }
}
