//! Says once of each rule that it never applied, when so many pairs were looked at that it should have:
//! the names in it are likely misspelt.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::steer::Steer;
use compare::Unused;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(30);
/// After so many pairs it is worth a word.
const PAIRS: u64 = 64;

/// What was told already.
#[derive(Debug, Default)]
struct Told(Vec<Unused>);

impl Told {
    /// Of the rules that never applied, those that are worth a word and had none.
    fn news(&mut self, unused: Vec<Unused>) -> Vec<Unused> {
        let same =
            |a: &Unused, b: &Unused| (&a.text, &a.place, &a.route) == (&b.text, &b.place, &b.route);
        // Rules that are gone may come back, and are told of again then.
        self.0.retain(|known| unused.iter().any(|rule| same(rule, known)));
        let mut news = unused;
        news.retain(|rule| rule.pairs >= PAIRS && !self.0.iter().any(|known| same(rule, known)));
        self.0.extend_from_slice(&news);
        news
    }
}

/// Looks for such rules for ever.
pub(super) async fn tell(steer: Arc<Steer>) {
    let mut told = Told::default();
    loop {
        tokio::time::sleep(EVERY).await;
        for rule in told.news(steer.mirror().lanes().plan.unused_rules()) {
            let (place, pairs) = (&rule.place, rule.pairs);
            let route = rule.route.as_deref().unwrap_or("all");
            warn!(rule = rule.text, place, route, pairs, "rule never applied");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_never_applied_is_told_once_after_enough_pairs_and_anew_when_it_comes_back() {
        let unused = |pairs| {
            let (text, place) = ("ignore \"nunce\"".to_owned(), "line 2".to_owned());
            vec![Unused { text, place, route: None, pairs }]
        };
        let mut told = Told::default();
        let mut heard = |unused: Vec<Unused>| told.news(unused).len();
        assert_eq!(heard(unused(63)), 0);
        assert_eq!(heard(unused(64)), 1);
        assert_eq!(heard(unused(9999)), 0);
        assert_eq!(heard(Vec::new()), 0, "it applied, or is gone");
        assert_eq!(heard(unused(64)), 1);
    }
}
