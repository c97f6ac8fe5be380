//! What may change while the proxy runs: routes, shares, limits, thresholds, rules. A plan is whole and
//! never changes; another one takes its place. A request, and its pairs to their end, keep the plan
//! they began with.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderName, HeaderValue, Method};

mod preparation;

pub use preparation::{Identities, Preparation, Preparations, Rule, Watch};

use crate::policy::hook::Hook;
use crate::policy::identity;
use crate::policy::matcher::{self, Choice, Seen};
use crate::policy::rate::{Bucket, Rate};
use crate::policy::record::Record;
use crate::policy::scope::Scoped;
use crate::policy::share::{SampleBy, Secret, Share};
use crate::policy::trace;
use crate::policy::{Allowances, Candidate, RoutePolicy, Thresholds, marks};
use crate::route::table::Reserved;
use crate::route::{Labels, Template};
use compare::rules::{LENIENT_MAX, RULES_MAX, RuleSet};
use compare::{Policy, RouteRules, Unused};
use judge::{guardrail, report};
use transform::redact::Policy as Redaction;

/// The id of what holds where no route fits.
pub const OTHERS: &str = "";

/// What holds where neither a route nor a candidate says otherwise.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// Share of requests mirrored.
    pub share: Share,
    /// Methods that may be mirrored; `None` for all.
    pub methods: Option<Vec<Method>>,
    /// Whether those that are not safe are mirrored (RFC 9110, section 9.2.1).
    pub unsafe_methods: bool,
    /// The header line that marks a copy; `None` when copies are not marked.
    pub mark: Option<(HeaderName, HeaderValue)>,
    /// One deadline for a copy, from its request body being complete.
    pub timeout: Duration,
    /// Largest request body mirrored, and largest response body compared as text, in bytes.
    pub max_body_bytes: usize,
    /// Whether copies carry a body.
    pub body: bool,
    /// Whose copies go one after the other.
    pub order_by: Option<SampleBy>,
    /// Whether marks that come in are passed on: another mirror stands before.
    pub trust_mark: bool,
    /// What copies say of traces.
    pub traces: trace::Copies,
    /// Thresholds of the guardrail.
    pub thresholds: guardrail::Config,
    /// What the report allows.
    pub allowed: report::Allowed,
    /// Copies that may wait for a candidate.
    pub queue_size: usize,
    /// Copies to a candidate in flight at once.
    pub concurrency: usize,
    /// Failed connections in a row after which only probes are tried.
    pub unreachable_after: u32,
    /// Bytes that the mirror side may hold at once, for all candidates.
    pub buffer_bytes: usize,
    /// Whether the answers of candidates are compared with each other, too.
    pub compare_candidates: bool,
    /// Copies a second over all candidates and routes.
    pub rate: Option<Rate>,
    /// What is recorded; `None` for nothing.
    pub record: Option<Record>,
    /// Where keys of `sample_by` fall; the same on every replica.
    pub sample_secret: Secret,
    /// For route labels.
    pub templates: Vec<Template>,
    /// Whether route labels are made of templates alone.
    pub templates_alone: bool,
}

/// How copies of one route's requests to one candidate are treated.
#[derive(Debug)]
pub struct Terms {
    /// Of the route.
    id: Arc<str>,
    /// Whether copies are sent at all.
    pub enabled: bool,
    /// Share of requests.
    pub share: Share,
    /// The header line that marks a copy.
    pub mark: Option<(HeaderName, HeaderValue)>,
    /// What a copy says of the trace of its request.
    pub traces: trace::Copies,
    /// One deadline for a copy, from its request body being complete.
    pub timeout: Duration,
    /// Largest request body mirrored, and largest response body compared as text, in bytes.
    pub max_body_bytes: usize,
    /// Whether copies carry a body.
    pub body: bool,
    /// Thresholds that are the route's own.
    pub thresholds: Option<guardrail::Config>,
    /// What the report allows on the route alone.
    pub allowed: Option<report::Allowed>,
    /// Whether mismatches are judged by the guardrail.
    pub judges_mismatches: bool,
    /// What becomes of copies before they go out; `None` where they go out as they came.
    pub preparation: Option<Preparation>,
    /// What pairs are held against: the same for the same requests, thresholds of the route's own and
    /// rules, wherever they are written. In this process alone.
    pub basis: u64,
    comparison: Arc<Policy>,
    /// What else is personal or secret.
    pub redaction: Arc<Redaction>,
    applied: Arc<[Arc<Fragment>]>,
    rules: RwLock<HashMap<Arc<str>, Arc<RouteRules>>>,
}

impl Terms {
    /// The id of the route.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The mark as well: without the one that a service knows its copies have side effects. What is
    /// hidden: by the rules of another route values would be shown. And what becomes of the copy: what one
    /// route takes out of it another would send.
    fn allows(&self) -> Allows<'_> {
        let (hides, prepared) = (self.comparison.hides(&self.id), self.prepared());
        let mark = self.mark.as_ref();
        (self.enabled, self.share, self.body, self.max_body_bytes, mark, hides, prepared)
    }

    /// The same for copies that are prepared in the same way; in this process alone.
    fn prepared(&self) -> Option<u64> {
        self.preparation.as_ref().map(|it| it.meaning)
    }

    /// The identities of its copies and their answers; `None` where it has none.
    pub fn identities(&self) -> Option<&Identities> {
        self.preparation.as_ref().map(|it| &it.identities).filter(|it| !it.is_empty())
    }

    /// The scripts that see answers before they are compared.
    pub fn post_hooks(&self) -> &[Arc<Hook>] {
        self.preparation.as_ref().map_or(&[], |it| &it.post)
    }

    /// The rules of all routes, by which answers are compared.
    pub fn comparison(&self) -> &Policy {
        &self.comparison
    }

    /// The rules for answers with this route label.
    pub fn rules(&self, label: &Arc<str>) -> Arc<RouteRules> {
        let known = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(rules) = known.get(label) {
            return Arc::clone(rules);
        }
        drop(known);
        let mut known = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        let rules = || Arc::new(self.rules_with(label, None));
        Arc::clone(known.entry(Arc::clone(label)).or_insert_with(rules))
    }

    /// Whether the labels that it is known to have can have more rules.
    fn has_room(&self, more: &Fragment) -> bool {
        let known = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        let fits = |label: &Arc<str>| {
            let sets = sets(&self.applied, Some(more), label);
            !more.is_for(label) || self.comparison.has_room(&self.id, &sets)
        };
        known.keys().all(fits)
    }

    /// The same with more of them, to see what they would do.
    pub fn rules_with(&self, label: &str, more: Option<&Fragment>) -> RouteRules {
        let sets = sets(&self.applied, more, label);
        if sets.is_empty() {
            return self.comparison.of(&self.id);
        }
        self.comparison.of_with(&self.id, &sets)
    }
}

/// What was applied for a label, and more.
fn sets(applied: &[Arc<Fragment>], more: Option<&Fragment>, label: &str) -> Vec<RuleSet> {
    let fragments = applied.iter().map(|it| &**it).chain(more);
    fragments.flat_map(|it| it.of(label)).cloned().collect()
}

/// What must be the same on two routes, so that it does not matter which a request is of.
type Allows<'t> =
    (bool, Share, bool, usize, Option<&'t (HeaderName, HeaderValue)>, u64, Option<u64>);

/// What holds for the requests of one route.
#[derive(Debug)]
pub struct Treatment {
    /// As the file says; without conditions for what no route fits.
    pub policy: RoutePolicy,
    /// By candidate, in the plan's order; `None` for one that gets no copies.
    pub terms: Vec<Option<Arc<Terms>>>,
    /// Copies a second.
    pub rate: Option<Arc<Bucket>>,
    /// Whether methods that are not safe are mirrored, of those in `methods`.
    pub unsafe_methods: bool,
    /// Whose copies go one after the other.
    pub order_by: Option<SampleBy>,
    /// What is recorded; `None` for nothing.
    pub record: Option<Record>,
    methods: Option<Vec<Method>>,
}

impl Treatment {
    /// Whether requests with this method are mirrored.
    pub fn takes_method(&self, method: &Method) -> bool {
        let excluded = !self.unsafe_methods && !method.is_safe();
        let listed = || self.methods.as_ref().is_none_or(|methods| methods.contains(method));
        !excluded && listed()
    }

    /// Whether copies are allowed in the same way, and hide the same, be they judged in another.
    fn allows_what(&self, other: &Self) -> bool {
        let alike = |one: &Option<Arc<Terms>>, other: &Option<Arc<Terms>>| match (one, other) {
            (Some(one), Some(other)) => one.allows() == other.allows(),
            (one, other) => one.is_none() && other.is_none(),
        };
        let (one, two) = (&self.policy, &other.policy);
        self.unsafe_methods == other.unsafe_methods
            && (&one.sample_by, one.rate, one.min_pairs)
                == (&two.sample_by, two.rate, two.min_pairs)
            && self.terms.iter().zip(&other.terms).all(|(one, other)| alike(one, other))
    }

    /// What decides in place of dice, if anything does.
    pub fn sample_by(&self) -> Option<&SampleBy> {
        self.policy.sample_by.as_ref()
    }
}

/// All of it.
#[derive(Debug)]
pub struct Plan {
    /// Grows with each plan of this process.
    pub generation: u64,
    /// What holds where no route says otherwise.
    pub defaults: Defaults,
    /// The candidates, in order.
    pub candidates: Vec<Candidate>,
    /// Copies a second over all candidates and routes.
    pub rate: Option<Arc<Bucket>>,
    /// Copies a second of each candidate.
    pub rates: Vec<Option<Arc<Bucket>>>,
    routes: Vec<Arc<Treatment>>,
    /// Whether what a route says of paths may be read in another way.
    is_read_otherwise: bool,
    others: Arc<Treatment>,
    comparisons: Vec<Arc<Policy>>,
    identities: Vec<Scoped<identity::Policy>>,
    redaction: Arc<Redaction>,
    overrides: Vec<Override>,
    applied: Arc<[Arc<Fragment>]>,
    marks: Vec<HeaderName>,
    names: HashSet<Arc<str>>,
}

/// What was said by hand while the proxy runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// The id of the route that it is for; all where it does not say.
    pub route: Option<Arc<str>>,
    /// The name of the candidate that it is for; all where it does not say.
    pub candidate: Option<Arc<str>>,
    /// What holds in place of the setting.
    pub says: Says,
    /// When it ends by itself.
    pub until: Option<SystemTime>,
}

/// What an override says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Says {
    /// Share of requests.
    Share(Share),
    /// Whether copies are sent.
    Enabled(bool),
}

/// What holds for a request.
#[derive(Clone, Copy, Debug)]
pub struct Found<'p> {
    /// What holds for its path as it was sent.
    pub treatment: &'p Arc<Treatment>,
    /// Whether something else would be allowed if its path were read in another way.
    pub in_doubt: bool,
    /// What would hold if its path were read in another way.
    pub otherwise: &'p Arc<Treatment>,
}

/// What is recorded of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Nothing.
    Nothing,
    /// This.
    By(Record),
    /// It depends on how its path is read, and so nothing is.
    InDoubt(Record),
}

impl Found<'_> {
    /// What is recorded: another spelling of a path must not have recorded what its route says is not.
    pub fn record(&self) -> Recorded {
        match self.treatment.record {
            None => Recorded::Nothing,
            Some(record) if self.in_doubt || self.otherwise.record != Some(record) => {
                Recorded::InDoubt(record)
            }
            Some(record) => Recorded::By(record),
        }
    }
}

/// What a plan is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// What holds for all.
    pub defaults: Defaults,
    /// At least one.
    pub candidates: Vec<Candidate>,
    /// In order.
    pub routes: Vec<RoutePolicy>,
    /// The rules of the comparison for each candidate; those of a route under its id.
    pub comparisons: Vec<Arc<Policy>>,
    /// What becomes of copies before they go out.
    pub preparations: Preparations,
    /// What was said by hand, over all of it.
    pub overrides: Vec<Override>,
    /// Rules of the comparison that were applied by hand, besides those of the settings.
    pub applied: Vec<Arc<Fragment>>,
}

/// Rules of the comparison that are tried, or applied by hand.
#[derive(Debug)]
pub struct Fragment {
    /// As it was written.
    pub text: String,
    /// Each with the label of the route that it is for; none for all.
    pub rules: Vec<(Option<String>, RuleSet)>,
}

impl Fragment {
    /// What holds for a label.
    fn of<'f>(&'f self, label: &'f str) -> impl Iterator<Item = &'f RuleSet> {
        let is_for = move |of: &Option<String>| of.as_ref().is_none_or(|of| *of == *label);
        self.rules.iter().filter(move |(of, _)| is_for(of)).map(|(_, set)| set)
    }

    /// The routes that it is for, by their labels; `None` for all.
    pub fn labels(&self) -> Option<Vec<&str>> {
        self.rules.iter().map(|(label, _)| label.as_deref()).collect()
    }
}

impl Fragment {
    /// Whether there is anything for a label.
    fn is_for(&self, label: &str) -> bool {
        self.of(label).next().is_some()
    }
}

impl Plan {
    /// A plan that takes over, of the one before, what rates have left of their second.
    pub fn new(parts: Parts, before: Option<&Self>, now: Instant) -> Self {
        let Parts { defaults, candidates, routes, comparisons, preparations, overrides, applied } =
            parts;
        let applied: Arc<[_]> = applied.into();
        let kept = |rate: Option<Rate>, old: Option<&Arc<Bucket>>| {
            let rate = rate?;
            let same = old.filter(|bucket| bucket.rate() == rate).cloned();
            Some(same.unwrap_or_else(|| Arc::new(Bucket::new(rate, now))))
        };
        let treat = |policy: RoutePolicy| {
            let old = before.and_then(|plan| plan.treatment(&policy.id));
            Arc::new(Treatment {
                rate: kept(policy.rate, old.and_then(|old| old.rate.as_ref())),
                terms: candidates
                    .iter()
                    .zip(&comparisons)
                    .map(|(it, comparison)| {
                        let preparation = || preparations.of(&it.name, &policy.id);
                        terms(&defaults, &policy, it, comparison, preparation)
                            .map(|terms| Terms {
                                applied: Arc::clone(&applied),
                                redaction: Arc::clone(&preparations.redaction),
                                ..terms
                            })
                            .map(|terms| Arc::new(overridden(terms, it, &overrides)))
                    })
                    .collect(),
                unsafe_methods: policy.unsafe_methods.unwrap_or(defaults.unsafe_methods),
                order_by: policy.order_by.as_ref().unwrap_or(&defaults.order_by).clone(),
                methods: defaults.methods.clone(),
                record: defaults.record.map(|all| policy.record.over(&all)),
                policy,
            })
        };
        let rates = candidates.iter().map(|candidate| {
            let at = before.and_then(|plan| plan.position(&candidate.name));
            kept(candidate.rate, at.and_then(|at| before?.rates[at].as_ref()))
        });
        Self {
            marks: marks(defaults.mark.as_ref(), &routes),
            names: routes.iter().filter_map(|route| route.name.clone()).collect(),
            generation: before.map_or(1, |plan| plan.generation + 1),
            rate: kept(defaults.rate, before.and_then(|plan| plan.rate.as_ref())),
            rates: rates.collect(),
            is_read_otherwise: routes.iter().any(|route| route.matcher.is_read_otherwise()),
            routes: routes.into_iter().map(&treat).collect(),
            others: treat(RoutePolicy::new(OTHERS, "", Default::default())),
            identities: preparations.identities,
            comparisons,
            redaction: preparations.redaction,
            overrides,
            applied,
            defaults,
            candidates,
        }
    }

    /// What is personal or secret.
    pub fn redaction(&self) -> &Arc<Redaction> {
        &self.redaction
    }

    /// By what answers with this label are compared on a route, whoever gets copies there, if anybody.
    pub fn rules_of(&self, treatment: &Treatment, label: &Arc<str>) -> Arc<RouteRules> {
        match treatment.terms.iter().flatten().next() {
            Some(terms) => terms.rules(label),
            None => Arc::new(self.comparisons[0].of(&treatment.policy.id)),
        }
    }

    /// What holds for a request: of the first route that fits. Its label is only asked for where a
    /// condition looks at it. Whether it is in doubt: another route that allows something else would
    /// fit if its path were read in another way.
    pub fn of(&self, request: &Seen<'_>, label: &mut dyn FnMut(&str) -> Arc<str>) -> Found<'_> {
        let at = |index: Option<usize>| index.map_or(&self.others, |index| &self.routes[index]);
        let found = |index| Found { treatment: at(index), in_doubt: false, otherwise: at(index) };
        if self.routes.is_empty() {
            return found(None);
        }
        let matchers = self.routes.iter().map(|route| &route.policy.matcher);
        match matcher::choose(&matchers, self.is_read_otherwise, request, label) {
            Choice::First(index) => found(Some(index)),
            Choice::None => found(None),
            Choice::InDoubt { sent, read } => {
                let (treatment, otherwise) = (at(sent), at(read));
                Found { treatment, in_doubt: !treatment.allows_what(otherwise), otherwise }
            }
        }
    }

    /// The labels of routes that have a name.
    pub fn reserved(&self) -> Reserved<'_> {
        Reserved { generation: self.generation, names: &self.names }
    }

    /// How labels of routes are made.
    pub fn labels(&self) -> Labels<'_> {
        let Defaults { templates, templates_alone, .. } = &self.defaults;
        Labels { templates, templates_alone: *templates_alone }
    }

    /// The label of a request with this path, of which this holds; not asked for where the label is a name.
    pub fn label_of<'t, 'p>(
        &self,
        treatment: &'t Treatment,
        method: &Method,
        path: impl FnOnce() -> Cow<'p, str>,
    ) -> Cow<'t, str> {
        match &treatment.policy.name {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(self.labels().of(method, &path())),
        }
    }

    /// Whether the routes that more rules are for can have them besides those that hold.
    ///
    /// # Errors
    /// What there may be at most.
    pub fn has_room(&self, more: &Fragment) -> Result<(), String> {
        let labels = more.rules.iter().map(|(label, _)| label.as_deref().unwrap_or_default());
        let applied = self.applied.as_ref();
        let mut as_written = labels.map(|label| sets(applied, Some(more), label));
        // Those of a route that was not seen yet hold besides those of all routes at least.
        let are_few =
            as_written.all(|sets| self.comparisons.iter().all(|it| it.has_room("", &sets)));
        let mut terms = self.treatments().flat_map(|it| it.terms.iter().flatten());
        if are_few && terms.all(|terms| terms.has_room(more)) {
            return Ok(());
        }
        Err(format!(
            "one route would have more rules than it may; allowed is {RULES_MAX}, of which \
             {LENIENT_MAX} for numbers, times and classes"
        ))
    }

    /// The routes, in order, and last what holds where none fits.
    pub fn treatments(&self) -> impl Iterator<Item = &Arc<Treatment>> {
        self.routes.iter().chain(std::iter::once(&self.others))
    }

    /// Whether a route of the settings has this name or label.
    pub fn has_route(&self, id: &str) -> bool {
        self.policies().any(|it| *it.id == *id && it.is_labelled())
    }

    /// The routes of the settings, in order.
    pub fn policies(&self) -> impl Iterator<Item = &RoutePolicy> {
        self.routes.iter().map(|it| &it.policy)
    }

    /// The labels of the settings' routes whose requests are meant for a candidate.
    pub fn labels_for(&self, candidate: &str) -> impl Iterator<Item = &Arc<str>> {
        let at = self.position(candidate);
        let is_meant = move |it: &&Arc<Treatment>| at.is_some_and(|at| it.terms[at].is_some());
        let meant = self.routes.iter().filter(is_meant).map(|it| &it.policy);
        meant.filter(|policy| policy.is_labelled()).map(|policy| &policy.id)
    }

    /// Whether settings and overrides let a candidate get copies, of whatever route.
    pub fn sends_to(&self, candidate: &str) -> bool {
        self.with_terms(candidate).any(|(_, terms)| terms.enabled)
    }

    /// What holds for a candidate's copies of a route of the settings, by its id.
    pub fn terms(&self, id: &str, candidate: &str) -> Option<&Arc<Terms>> {
        self.treatment(id)?.terms.get(self.position(candidate)?)?.as_ref()
    }

    fn treatment(&self, id: &str) -> Option<&Arc<Treatment>> {
        self.treatments().find(|it| *it.policy.id == *id)
    }

    /// Where a candidate stands.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.candidates.iter().position(|candidate| *candidate.name == *name)
    }

    /// The identities of a candidate, of whatever routes.
    pub fn identities(&self, candidate: &str) -> Vec<Arc<identity::Policy>> {
        let of = |it: &&Scoped<identity::Policy>| it.scope.takes_candidate(candidate);
        self.identities.iter().filter(of).map(|it| Arc::clone(&it.what)).collect()
    }

    /// What was said by hand.
    pub fn overrides(&self) -> &[Override] {
        &self.overrides
    }

    /// Rules of the comparison that never applied, whichever candidate's answers were compared.
    pub fn unused_rules(&self) -> Vec<Unused> {
        let mut all = self.comparisons.iter().map(|comparison| comparison.unused());
        let mut unused = all.next().unwrap_or_default();
        for others in all {
            unused.retain_mut(|rule| {
                let same = |it: &&Unused| (&it.text, &it.place) == (&rule.text, &rule.place);
                let other = others.iter().find(same);
                rule.pairs += other.map_or(0, |other| other.pairs);
                other.is_some()
            });
        }
        unused
    }

    /// The names of header lines that mark copies, on whatever route.
    pub fn marks(&self) -> &[HeaderName] {
        &self.marks
    }

    /// What pairs with a candidate are held against, on whatever route.
    pub fn bases(&self, candidate: &str) -> BTreeSet<u64> {
        self.with_terms(candidate).map(|(_, terms)| terms.basis).collect()
    }

    /// The routes whose pairs with a candidate are held against something that nothing was before. Those
    /// of a name or a label have it for their id.
    pub fn judged_anew(&self, before: &BTreeSet<u64>, candidate: &str) -> HashSet<Arc<str>> {
        let anew = self.with_terms(candidate).filter(|(_, terms)| !before.contains(&terms.basis));
        anew.map(|(id, _)| Arc::clone(id)).collect()
    }

    fn with_terms(&self, candidate: &str) -> impl Iterator<Item = (&Arc<str>, &Arc<Terms>)> {
        let at = self.position(candidate);
        self.treatments().filter_map(move |it| Some((&it.policy.id, it.terms.get(at?)?.as_ref()?)))
    }

    /// The thresholds of a candidate, on routes that have none of their own.
    pub fn thresholds(&self, candidate: &Candidate) -> guardrail::Config {
        candidate.thresholds.over(&self.defaults.thresholds)
    }

    /// What the report allows a candidate, on routes that have nothing of their own.
    pub fn allowed(&self, candidate: &Candidate) -> report::Allowed {
        candidate.allowances.over(&self.defaults.allowed, &candidate.thresholds)
    }
}

fn terms(
    defaults: &Defaults,
    route: &RoutePolicy,
    of: &Candidate,
    comparison: &Arc<Policy>,
    preparation: impl FnOnce() -> Option<Preparation>,
) -> Option<Terms> {
    let meant = route.candidates.as_ref().is_none_or(|names| names.contains(&of.name));
    if !meant {
        return None;
    }
    let candidates = of.thresholds.over(&defaults.thresholds);
    let own =
        (route.thresholds != Thresholds::default()).then(|| route.thresholds.over(&candidates));
    let judges_mismatches = own.as_ref().unwrap_or(&candidates).mismatch_rate.is_some();
    let says = own.is_some() || route.allowances != Allowances::default();
    let allowed = says.then(|| {
        let base = of.allowances.over(&defaults.allowed, &of.thresholds);
        route.allowances.over(&base, &route.thresholds)
    });
    let preparation = preparation();
    let prepared = preparation.as_ref().map(|it| it.meaning);
    Some(Terms {
        basis: basis(route, (own.as_ref(), allowed.as_ref()), comparison, prepared),
        preparation,
        enabled: of.enabled,
        id: Arc::clone(&route.id),
        comparison: Arc::clone(comparison),
        redaction: Arc::default(),
        applied: Arc::default(),
        rules: RwLock::default(),
        share: route.share.or(of.share).unwrap_or(defaults.share),
        mark: route.mark.as_ref().unwrap_or(&defaults.mark).clone(),
        traces: defaults.traces,
        timeout: route.timeout.or(of.timeout).unwrap_or(defaults.timeout),
        max_body_bytes: route.max_body_bytes.unwrap_or(defaults.max_body_bytes),
        body: route.body.unwrap_or(defaults.body),
        thresholds: own,
        allowed,
        judges_mismatches,
    })
}

fn basis(
    route: &RoutePolicy,
    (thresholds, allowed): (Option<&guardrail::Config>, Option<&report::Allowed>),
    comparison: &Policy,
    prepared: Option<u64>,
) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&route.name, comparison.meaning(&route.id), prepared).hash(&mut hasher);
    let conditions = route.matcher.conditions.iter();
    conditions.for_each(|condition| (condition.not, &condition.text).hash(&mut hasher));
    // As text, since most of it is floats.
    format!("{:?}", (thresholds.map(guardrail::Config::judges), allowed)).hash(&mut hasher);
    hasher.finish()
}

/// What was said by hand holds over what is settled; of several, the one that says most of what it is
/// for.
fn overridden(mut terms: Terms, candidate: &Candidate, overrides: &[Override]) -> Terms {
    let fits = |it: &&Override| {
        it.route.as_ref().is_none_or(|route| *route == terms.id)
            && it.candidate.as_ref().is_none_or(|name| *name == candidate.name)
    };
    let mut fitting: Vec<_> = overrides.iter().filter(fits).collect();
    fitting.sort_by_key(|it| (it.route.is_some(), it.candidate.is_some()));
    for it in fitting {
        match it.says {
            Says::Share(share) => terms.share = share,
            Says::Enabled(enabled) => terms.enabled = enabled,
        }
    }
    terms
}
