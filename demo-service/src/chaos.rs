//! Faults on purpose: latency, errors and wrong answers, switchable while the service runs.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

pub mod routes;

/// A day: an injected latency above it is a typing error.
const LATENCY_MAX_MS: u64 = 86_400_000;

/// What goes wrong, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Chaos {
    /// Added to each request under `/api`, in milliseconds.
    pub latency_ms: u64,
    /// A uniform random 0 to this is added besides, in milliseconds.
    pub jitter_ms: u64,
    /// Probability of an injected 500.
    pub error_rate: f64,
    /// Probability of a wrong but well-formed answer.
    pub mismatch_rate: f64,
}

/// What the dice decided for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// To wait before the answer.
    pub delay: Duration,
    /// Answer 500.
    pub error: bool,
    /// Answer wrongly.
    pub mismatch: bool,
}

impl Chaos {
    /// What happens to a request. `dice` gives numbers that are uniform in `[0, 1)`.
    pub fn fate(&self, mut dice: impl FnMut() -> f64) -> Fate {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a day are far below 2^53")]
        let jitter = self.jitter_ms as f64 * dice() / 1000.0;
        let delay = Duration::from_millis(self.latency_ms) + Duration::from_secs_f64(jitter);
        Fate { delay, error: dice() < self.error_rate, mismatch: dice() < self.mismatch_rate }
    }

    /// These settings with the given ones changed; all or nothing.
    ///
    /// # Errors
    /// Names the field, its value and what is allowed.
    pub fn changed(mut self, fields: &Map<String, Value>) -> Result<Self, String> {
        for (field, value) in fields {
            match field.as_str() {
                "latencyMs" => self.latency_ms = millis(field, value)?,
                "jitterMs" => self.jitter_ms = millis(field, value)?,
                "errorRate" => self.error_rate = rate(field, value)?,
                "mismatchRate" => self.mismatch_rate = rate(field, value)?,
                _ => {
                    return Err(format!(
                        "{field} is unknown; allowed are latencyMs, jitterMs, errorRate, \
                         mismatchRate, route, reset"
                    ));
                }
            }
        }
        Ok(self)
    }

    /// Sets a field from text, as the environment gives it.
    ///
    /// # Errors
    /// What is wrong with the value.
    pub fn set_text(&mut self, field: &str, text: &str) -> Result<(), String> {
        let value = serde_json::from_str(text.trim()).unwrap_or_else(|_| Value::from(text));
        *self = self.changed(&Map::from_iter([(field.to_owned(), value)]))?;
        Ok(())
    }
}

fn millis(field: &str, value: &Value) -> Result<u64, String> {
    value.as_u64().filter(|millis| *millis <= LATENCY_MAX_MS).ok_or_else(|| {
        format!("{field} is {value}; allowed is a whole number from 0 to {LATENCY_MAX_MS}")
    })
}

fn rate(field: &str, value: &Value) -> Result<f64, String> {
    let rate = value.as_f64().filter(|rate| (0.0..=1.0).contains(rate));
    rate.ok_or_else(|| format!("{field} is {value}; allowed is a number from 0.0 to 1.0"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dice(values: [f64; 3]) -> impl FnMut() -> f64 {
        let mut values = values.into_iter();
        move || values.next().unwrap()
    }

    const CHAOS: Chaos =
        Chaos { latency_ms: 200, jitter_ms: 100, error_rate: 0.02, mismatch_rate: 0.5 };

    #[test]
    fn jitter_comes_on_top_of_latency() {
        assert_eq!(CHAOS.fate(dice([0.0, 0.9, 0.9])).delay, Duration::from_millis(200));
        assert_eq!(CHAOS.fate(dice([0.5, 0.9, 0.9])).delay, Duration::from_millis(250));
    }

    #[test]
    fn a_rate_is_the_probability() {
        let fate = CHAOS.fate(dice([0.0, 0.019, 0.49]));
        assert!(fate.error && fate.mismatch);
        let fate = CHAOS.fate(dice([0.0, 0.02, 0.5]));
        assert!(!fate.error && !fate.mismatch);
        assert!(!Chaos::default().fate(dice([0.0; 3])).error, "0 means never");
        let always = Chaos { error_rate: 1.0, ..Chaos::default() };
        assert!(always.fate(dice([0.0, 1.0 - f64::EPSILON, 0.0])).error, "1 means always");
    }

    #[test]
    fn a_change_may_be_partial() {
        let fields = json!({"errorRate": 1, "latencyMs": 0});
        let changed = CHAOS.changed(fields.as_object().unwrap()).unwrap();
        assert_eq!(changed, Chaos { error_rate: 1.0, latency_ms: 0, ..CHAOS });
    }

    #[test]
    fn bad_values_are_named_with_what_is_allowed() {
        for (field, value) in [
            ("latencyMs", json!(-1)),
            ("latencyMs", json!(1.5)),
            ("jitterMs", json!("5")),
            ("jitterMs", json!(86_400_001_u64)),
            ("errorRate", json!(1.1)),
            ("mismatchRate", json!(-0.1)),
            ("mismatchRate", json!(null)),
        ] {
            let fields = Map::from_iter([
                ("latencyMs".to_owned(), json!(7)),
                (field.to_owned(), value.clone()),
            ]);
            let error = CHAOS.changed(&fields).unwrap_err();
            assert!(error.contains(field) && error.contains(&value.to_string()), "{error}");
            assert!(error.contains("allowed"), "{error}");
        }
        assert!(
            CHAOS
                .changed(json!({"latency": 1}).as_object().unwrap())
                .unwrap_err()
                .contains("latency")
        );
    }
}
