//! How often rules of redaction were applied, as the audit log tells it: so many times by this rule in this
//! way since it was last told, and nothing of what was redacted.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

/// Between two entries.
pub(super) const EVERY: Duration = Duration::from_secs(60);

/// How often a rule was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted {
    /// The rule's name.
    pub rule: Arc<str>,
    /// What it does: `remove`, `mask`, and so on.
    pub way: &'static str,
    /// How often since the start.
    pub count: u64,
}

/// Tells how often each rule was applied since the start. Asked now and then; must return at once.
pub type Counts = Arc<dyn Fn() -> Vec<Redacted> + Send + Sync>;

/// What was counted, and what of it is told.
#[derive(Default)]
pub(super) struct Redactions {
    counts: Option<Counts>,
    told: HashMap<(Arc<str>, &'static str), u64>,
}

impl fmt::Debug for Redactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactions").field("told", &self.told).finish_non_exhaustive()
    }
}

impl Redactions {
    pub(super) fn new(counts: Counts) -> Self {
        Self { counts: Some(counts), told: HashMap::new() }
    }

    /// What is new since it was last asked; `None` where nothing is.
    pub(super) fn news(&mut self) -> Option<Value> {
        let counted = self.counts.as_ref()?();
        let before = std::mem::take(&mut self.told);
        let mut rules = Vec::new();
        for Redacted { rule, way, count } in counted {
            let known = before.get(&(Arc::clone(&rule), way)).copied().unwrap_or(0);
            // One that counts less than before counts anew.
            let new = count.checked_sub(known).unwrap_or(count);
            if new > 0 {
                rules.push(json!({ "rule": &*rule, "way": way, "count": new }));
            }
            self.told.insert((rule, way), count);
        }
        (!rules.is_empty()).then(|| json!({ "rules": rules }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn what_was_counted_is_told_once_and_only_where_there_is_more() {
        let counted = Arc::new(Mutex::new(Vec::new()));
        let counts = Arc::clone(&counted);
        let mut redactions = Redactions::new(Arc::new(move || counts.lock().unwrap().clone()));
        let rule = |rule: &str, way, count| Redacted { rule: rule.into(), way, count };
        let mut told = |now: &[Redacted]| {
            *counted.lock().unwrap() = now.to_vec();
            redactions.news().map(|news| news["rules"].clone())
        };
        assert_eq!(told(&[]), None);
        assert_eq!(told(&[rule("cards", "mask", 0)]), None);
        let three = json!([{ "rule": "cards", "way": "mask", "count": 3 }]);
        assert_eq!(told(&[rule("cards", "mask", 3)]), Some(three));
        assert_eq!(told(&[rule("cards", "mask", 3)]), None);
        let both = json!([
            { "rule": "cards", "way": "mask", "count": 2 },
            { "rule": "cards", "way": "hash", "count": 5 },
        ]);
        assert_eq!(told(&[rule("cards", "mask", 5), rule("cards", "hash", 5)]), Some(both));
        // After a reload.
        let anew = json!([{ "rule": "cards", "way": "mask", "count": 1 }]);
        assert_eq!(told(&[rule("cards", "mask", 1)]), Some(anew));
    }
}
