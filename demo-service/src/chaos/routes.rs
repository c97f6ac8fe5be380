//! Chaos of the whole shop, and of single routes where it is another.
//!
//! The last word on a value counts: a change without a route sets it on all routes. So whoever sets
//! all values heals everything, without knowing what was done to which route.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::Chaos;

/// The routes that may have chaos of their own, as the proxy labels them.
pub const ROUTES: [&str; 3] = ["GET /api/search", "GET /api/product/{id}", "POST /api/checkout"];

/// Chaos of all routes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShopChaos {
    global: Chaos,
    /// In the order of [`ROUTES`].
    routes: [Chaos; ROUTES.len()],
}

/// As `GET /chaos` shows it: the global values, and those of routes that differ from them.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    global: &'a Chaos,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    routes: BTreeMap<&'static str, &'a Chaos>,
}

impl Serialize for ShopChaos {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let routes = ROUTES.into_iter().zip(&self.routes);
        let routes = routes.filter(|(_, chaos)| **chaos != self.global).collect();
        Shown { global: &self.global, routes }.serialize(serializer)
    }
}

impl ShopChaos {
    /// The same on all routes.
    pub fn new(global: Chaos) -> Self {
        Self { global, routes: [global; ROUTES.len()] }
    }

    /// That of the route with this path template.
    pub fn of(&self, template: &str) -> Chaos {
        let has_path = |route: &&str| route.split_once(' ').is_some_and(|it| it.1 == template);
        let index = ROUTES.iter().position(has_path);
        index.map_or(self.global, |index| self.routes[index])
    }

    /// With the given values changed, on the one route that `route` names or on all; `reset` gives
    /// routes the global values back. All or nothing.
    ///
    /// # Errors
    /// Names the field, its value and what is allowed.
    pub fn changed(mut self, fields: &Map<String, Value>) -> Result<Self, String> {
        let mut values = fields.clone();
        let route = values.remove("route").map(|route| route_index(&route)).transpose()?;
        let reset = values.remove("reset").map(|reset| is_reset(&reset)).transpose()?;
        let global = self.global.changed(&values)?;
        for (index, chaos) in self.routes.iter_mut().enumerate() {
            if route.is_none_or(|route| route == index) {
                let before = if reset.is_some() { self.global } else { *chaos };
                *chaos = before.changed(&values)?;
            }
        }
        if route.is_none() {
            self.global = global;
        }
        Ok(self)
    }
}

fn route_index(route: &Value) -> Result<usize, String> {
    let index = ROUTES.iter().position(|known| route == known);
    index.ok_or_else(|| format!("route is {route}; allowed are {}", ROUTES.join(", ")))
}

fn is_reset(reset: &Value) -> Result<(), String> {
    if *reset == Value::Bool(true) {
        Ok(())
    } else {
        Err(format!("reset is {reset}; allowed is true"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SEARCH: &str = "GET /api/search";

    fn changed(chaos: ShopChaos, fields: &Value) -> Result<ShopChaos, String> {
        chaos.changed(fields.as_object().unwrap())
    }

    /// The global values, search answering late and wrongly.
    fn with_a_bad_route() -> ShopChaos {
        let global = Chaos { latency_ms: 20, ..Chaos::default() };
        let bad = json!({"route": SEARCH, "latencyMs": 50, "mismatchRate": 0.5});
        changed(ShopChaos::new(global), &bad).unwrap()
    }

    fn latencies(chaos: &ShopChaos) -> [u64; 4] {
        ["/api/search", "/api/product/{id}", "/api/checkout", "/elsewhere"]
            .map(|template| chaos.of(template).latency_ms)
    }

    #[test]
    fn a_route_has_its_own_values_and_the_others_keep_the_global_ones() {
        let chaos = with_a_bad_route();
        assert_eq!(latencies(&chaos), [50, 20, 20, 20]);
        assert_eq!(chaos.of("/api/search").mismatch_rate, 0.5);
        let chaos = changed(chaos, &json!({"route": "POST /api/checkout", "errorRate": 1}));
        let chaos = chaos.unwrap();
        assert_eq!(chaos.of("/api/checkout").error_rate, 1.0);
        assert_eq!(chaos.of("/api/checkout").latency_ms, 20, "what is not named stays");
        assert_eq!(chaos.of("/api/product/{id}").error_rate, 0.0);
    }

    #[test]
    fn a_value_that_is_set_without_a_route_is_set_on_all() {
        let chaos = changed(with_a_bad_route(), &json!({"latencyMs": 0})).unwrap();
        assert_eq!(latencies(&chaos), [0; 4]);
        assert_eq!(chaos.of("/api/search").mismatch_rate, 0.5, "what is not named stays");
        let healthy = json!({"latencyMs": 0, "jitterMs": 0, "errorRate": 0, "mismatchRate": 0});
        let chaos = changed(with_a_bad_route(), &healthy).unwrap();
        assert_eq!(chaos, ShopChaos::new(Chaos::default()));
    }

    #[test]
    fn a_reset_gives_a_route_or_all_the_global_values_back() {
        let two = json!({"route": "POST /api/checkout", "latencyMs": 70});
        let two = changed(with_a_bad_route(), &two).unwrap();
        let one = changed(two, &json!({"route": SEARCH, "reset": true})).unwrap();
        assert_eq!(latencies(&one), [20, 20, 70, 20]);
        let none = changed(two, &json!({"reset": true})).unwrap();
        assert_eq!(latencies(&none), [20; 4]);
        let anew = json!({"route": SEARCH, "reset": true, "errorRate": 1});
        let anew = changed(two, &anew).unwrap().of("/api/search");
        assert_eq!(anew, Chaos { latency_ms: 20, error_rate: 1.0, ..Chaos::default() });
    }

    #[test]
    fn only_routes_that_differ_are_shown() {
        let shown = |chaos: ShopChaos| serde_json::to_value(chaos).unwrap();
        let global = json!({"latencyMs": 20, "jitterMs": 0, "errorRate": 0.0, "mismatchRate": 0.0});
        let mut bad = global.clone();
        bad["routes"] = json!({SEARCH:
            {"latencyMs": 50, "jitterMs": 0, "errorRate": 0.0, "mismatchRate": 0.5}});
        assert_eq!(shown(with_a_bad_route()), bad);
        let reset = json!({"route": SEARCH, "reset": true});
        assert_eq!(shown(changed(with_a_bad_route(), &reset).unwrap()), global);
    }

    #[test]
    fn a_bad_route_or_reset_is_named_with_what_is_allowed() {
        for route in [json!("GET /nowhere"), json!("/api/search"), json!(null), json!(1)] {
            let fields = json!({"latencyMs": 7, "route": route});
            let error = changed(with_a_bad_route(), &fields).unwrap_err();
            assert!(error.contains(&format!("route is {route}; allowed")), "{error}");
            assert!(ROUTES.iter().all(|known| error.contains(known)), "{error}");
        }
        let error = changed(with_a_bad_route(), &json!({"reset": "yes"})).unwrap_err();
        assert_eq!(error, "reset is \"yes\"; allowed is true");
        let error = changed(with_a_bad_route(), &json!({"routes": {}})).unwrap_err();
        assert!(error.contains("routes is unknown") && error.contains("reset"), "{error}");
    }
}
