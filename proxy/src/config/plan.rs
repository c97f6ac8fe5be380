//! From settings to what a plan is made of.

use std::sync::Arc;

use super::Config;
use crate::plan::{Defaults, Parts};
use crate::policy::matcher::{Condition, Matcher, Test, label_as_sent};
use crate::policy::share::Share;
use crate::policy::{self, CANDIDATE};
use compare::Policy;
use compare::rules::{Redacted, RuleBook, RuleSet};

impl Config {
    /// What a plan is made of. The key of hashes in comparisons is never known to anybody.
    pub fn parts(&self) -> Parts {
        let candidates = self.all_candidates();
        let book = self.rule_book();
        let comparison = |candidate: &policy::Candidate| {
            let by = Arc::clone(&self.preparations.redaction);
            let rules = by.compared(candidate.redacted);
            let redacted = Some(Redacted { by, copies: candidate.redacted, rules });
            let book = RuleBook { redacted, ..book.clone() };
            let origins = [self.baseline.origin(), candidate.target.origin()];
            Arc::new(Policy::new(&book, &origins, rand::random()))
        };
        let comparisons = candidates.iter().map(comparison).collect();
        let (defaults, routes) = (self.defaults(), self.all_routes());
        let (overrides, applied) = (Vec::new(), Vec::new());
        let preparations = self.preparations.clone();
        Parts { defaults, candidates, routes, comparisons, preparations, overrides, applied }
    }

    /// The candidates; that of the environment where the file has none.
    pub fn all_candidates(&self) -> Vec<policy::Candidate> {
        if self.candidates.is_empty() {
            vec![policy::Candidate::new(CANDIDATE, self.candidate.clone())]
        } else {
            self.candidates.clone()
        }
    }

    /// The routes, and those of which nothing is known but by which rules answers are compared.
    fn all_routes(&self) -> Vec<policy::RoutePolicy> {
        let mut routes = self.routes.clone();
        let mut by_label = by_label(&self.mirror.rules);
        by_label.retain(|route| routes.iter().all(|known| known.id != route.id));
        routes.extend(by_label);
        routes
    }

    /// The rules for all, and those of each route under its id.
    fn rule_book(&self) -> RuleBook {
        let own = self.all_routes().into_iter().map(|route| (route.id.to_string(), route.rules));
        RuleBook { routes: own.collect(), ..self.mirror.rules.clone() }
    }

    fn defaults(&self) -> Defaults {
        let mirror = &self.mirror;
        Defaults {
            share: Share::of(mirror.fraction),
            methods: mirror.methods.clone(),
            unsafe_methods: mirror.unsafe_methods,
            mark: mirror.mark.clone(),
            timeout: mirror.timeout,
            max_body_bytes: mirror.max_body_bytes,
            body: mirror.body,
            order_by: mirror.order_by.clone(),
            trust_mark: mirror.trust_mark,
            traces: mirror.traces,
            thresholds: self.guardrail.clone(),
            allowed: self.report,
            queue_size: mirror.queue_size,
            concurrency: mirror.concurrency,
            unreachable_after: mirror.unreachable_after,
            buffer_bytes: mirror.buffer_bytes,
            compare_candidates: self.compare_candidates,
            rate: self.rate,
            record: self.record.as_ref().map(|it| it.all),
            sample_secret: self.sample_secret,
            templates: self.templates.clone(),
            templates_alone: self.templates_alone,
        }
    }
}

/// Routes that say by which rules answers with a label are compared, and nothing else.
fn by_label(book: &RuleBook) -> Vec<policy::RoutePolicy> {
    let route = |(label, rules): &(String, RuleSet)| {
        let (text, test) = (format!("route = {label:?}"), Test::label(label));
        let label = &label_as_sent(label);
        let matcher = Matcher { conditions: vec![Condition { not: false, test, text }] };
        let rules = rules.clone();
        policy::RoutePolicy { rules, ..policy::RoutePolicy::new(label, label, matcher) }
    };
    book.routes.iter().map(route).collect()
}
