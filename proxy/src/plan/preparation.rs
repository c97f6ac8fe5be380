//! What becomes of the copies of one route to one candidate before they go out.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::policy::Place;
use crate::policy::hook::Hook;
use crate::policy::identity;
use crate::policy::matcher::Seen;
use crate::policy::scope::{Scoped, meant, places};
use compare::Limits;
use compare::redaction::Redaction;
use http::HeaderName;
use transform::CopyRequest;
use transform::identity::{self as ids, Identity};
use transform::parts::Fault;
use transform::redact::{Policy, Tally};
use transform::steps::{self, Failed, Transform};
use transform::value::{About, Secret};

/// All that is settled of how copies are made to fit.
#[derive(Clone, Debug, Default)]
pub struct Preparations {
    /// What is taken out of copies first, so that nothing puts it back.
    pub redaction: Arc<Policy>,
    /// Where that is said.
    pub redaction_place: Option<Place>,
    /// The names of candidates that may see all of it.
    pub clear: Vec<Arc<str>>,
    /// The steps, in their order.
    pub transforms: Vec<Scoped<Transform>>,
    /// What their texts have that nobody is shown, the longest first.
    pub secrets: Arc<[Secret]>,
    /// The ids that candidates give out themselves.
    pub identities: Vec<Scoped<identity::Policy>>,
    /// The scripts that see copies and answers, in their order.
    pub hooks: Vec<Scoped<Hook>>,
}

/// A rule that a copy goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What messages call it.
    pub name: String,
    /// Where it stands.
    pub place: Option<Place>,
}

/// Told of each rule: the copy behind it, and whether it could be followed.
pub type Watch<'w> = &'w mut dyn FnMut(Rule, &CopyRequest, Result<(), Fault>);

/// What holds of it for one route and one candidate.
#[derive(Debug)]
pub struct Preparation {
    /// What is taken out.
    redaction: Option<Arc<Policy>>,
    redaction_place: Option<Place>,
    /// What nobody is shown of what the steps put in, the longest first.
    pub secrets: Arc<[Secret]>,
    /// The steps, in their order.
    pub transforms: Vec<Arc<Transform>>,
    /// Where they stand.
    transform_places: Vec<Place>,
    /// The ids that the candidate gives out itself.
    pub identities: Identities,
    /// The scripts that see copies, in their order.
    pub pre: Vec<Arc<Hook>>,
    /// Those that see answers.
    pub post: Vec<Arc<Hook>>,
    /// The same for what means the same; in this process alone.
    pub meaning: u64,
}

/// The identities of one route and one candidate.
#[derive(Debug, Default)]
pub struct Identities {
    /// As they are settled.
    pub policies: Vec<Arc<identity::Policy>>,
    /// Where their values are, in the same order.
    pub places: Vec<Arc<Identity>>,
    /// Where they stand in the settings.
    stand: Vec<Place>,
    /// The headers of answers that they look at.
    pub headers: Vec<HeaderName>,
}

impl Identities {
    fn of(policies: Vec<Arc<identity::Policy>>, stand: Vec<Place>) -> Self {
        let places: Vec<_> = policies.iter().map(|it| Arc::clone(&it.identity)).collect();
        let in_answers = places.iter().flat_map(|it| it.learn.iter().chain(&it.equal));
        let mut headers: Vec<_> = in_answers.filter_map(|place| place.header()).collect();
        headers.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        headers.dedup();
        Self { policies, places, stand, headers }
    }

    /// Whose ids a request has, for each of them.
    pub fn scopes(&self, request: &Seen<'_>, secret: ids::Secret) -> Vec<ids::Scope> {
        self.policies.iter().map(|it| it.scope_of(request, secret)).collect()
    }

    /// As rules, in the same order.
    pub fn rules(&self) -> impl Iterator<Item = Rule> {
        self.places.iter().zip(&self.stand).map(|(identity, place)| Rule {
            name: format!("identity {:?}", identity.name),
            place: Some(Arc::clone(place)),
        })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }
}

impl Preparations {
    /// What holds for a candidate and the route of this id; `None` where copies go out as they came.
    pub fn of(&self, candidate: &str, route: &str) -> Option<Preparation> {
        let transforms = meant(&self.transforms, candidate, route);
        let identities = meant(&self.identities, candidate, route);
        let hooks = meant(&self.hooks, candidate, route);
        let is_redacted = self.clear.iter().all(|name| **name != *candidate);
        let redaction = Some(&self.redaction).filter(|it| is_redacted && !it.leaves_copies());
        let declared = !transforms.is_empty() || !identities.is_empty() || redaction.is_some();
        if !declared && hooks.is_empty() {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        redaction.map(|it| it.meaning()).hash(&mut hasher);
        // As text, since regular expressions have no other equality.
        let what = identities.iter().map(|it| (&it.identity, &it.scope));
        format!("{transforms:?}{:?}", what.collect::<Vec<_>>()).hash(&mut hasher);
        hooks.iter().for_each(|hook| hook.meaning.hash(&mut hasher));
        let identities = Identities::of(identities, places(&self.identities, candidate, route));
        let that = |has: fn(&Hook) -> bool| hooks.iter().filter(|it| has(it)).cloned().collect();
        let (pre, post) = (that(|it| it.script.has_pre()), that(|it| it.script.has_post()));
        let redaction = redaction.map(Arc::clone);
        let meaning = hasher.finish();
        Some(Preparation {
            redaction_place: redaction.as_ref().and(self.redaction_place.clone()),
            redaction,
            secrets: Arc::clone(&self.secrets),
            transforms,
            transform_places: places(&self.transforms, candidate, route),
            identities,
            pre,
            post,
            meaning,
        })
    }
}

impl Preparation {
    /// Makes a copy fit: it is redacted first, since what transforms put in is meant. `watch` is told of each rule.
    /// What was hidden is told. `keep` are the candidate's own values, which stay.
    ///
    /// # Errors
    /// The rule that could not be followed; the copy must not be sent then.
    pub fn apply(
        &self,
        copy: &mut CopyRequest,
        keep: &[ids::Value],
        about: &About<'_>,
        limits: &mut Limits<'_>,
        mut watch: Option<Watch<'_>>,
    ) -> Result<Tally, Failed> {
        let redacted = self.redact(copy, keep, limits);
        if let (Some(watch), Some(policy)) = (&mut watch, &self.redaction) {
            let by: Vec<_> = redacted.iter().flat_map(Tally::counts).collect();
            let by = by.iter().map(|(by, count)| format!("{} {count}", policy.name(*by)));
            let name = match by.collect::<Vec<_>>().join(", ") {
                nobody if nobody.is_empty() => "redact".to_owned(),
                by => format!("redact ({by})"),
            };
            let rule = Rule { name, place: self.redaction_place.clone() };
            watch(rule, copy, redacted.as_ref().map(|_| ()).map_err(|fault| *fault));
        }
        let tally = redacted.map_err(|fault| Failed { step: "redact".into(), fault })?;
        let transforms = self.transforms.iter().map(|it| &**it);
        match watch {
            None => steps::apply(transforms, copy, about, limits, None),
            Some(watch) => {
                let mut rules = self.transform_rules();
                let mut told = |_: &Transform, copy: &CopyRequest, done| {
                    watch(rules.next().expect("each is told of once"), copy, done);
                };
                steps::apply(transforms, copy, about, limits, Some(&mut told))
            }
        }
        .map(|()| tally)
    }

    /// The steps as rules, in the same order.
    pub fn transform_rules(&self) -> impl Iterator<Item = Rule> {
        self.transforms.iter().zip(&self.transform_places).map(|(step, place)| Rule {
            name: format!("transform {:?}", step.name),
            place: Some(Arc::clone(place)),
        })
    }

    /// What hides, and what its counts are of.
    pub fn redaction(&self) -> Option<&Policy> {
        self.redaction.as_deref()
    }

    fn redact(
        &self,
        copy: &mut CopyRequest,
        keep: &[ids::Value],
        limits: &mut Limits<'_>,
    ) -> Result<Tally, Fault> {
        match &self.redaction {
            Some(redaction) => redaction.redact(copy, keep, limits),
            None => Ok(Tally::default()),
        }
    }
}
