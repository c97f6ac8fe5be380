//! The rules of a proxy, ready for use: one [`Rules`] for each route that has its own, one for all
//! others, and who knows which rule never applied.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderName;

use super::header::{HeaderRules, Origin};
use super::normalize::{KeyRule, Keys, Treatment};
use super::path::Path;
use super::redaction::{Hide, Redaction};
use super::rules::{
    LENIENT_MAX, Lenience, MaskAs, Pairing, RULES_MAX, Redacted, RuleBook, RuleSet, Select, What,
};
use super::secrets;
use super::text::Text;
use super::used::Used;

/// So many pairs of a route are looked at in detail first, to see which rules apply.
const FIRST: u64 = 64;
/// One in so many later on.
const EVERY: u64 = 1024;

#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    Ignore,
    Mask(MaskAs),
    /// An index of [`Rules::pairings`].
    Pair(u16),
    /// An index of [`Rules::leniences`].
    Lenient(u8),
    /// Strings are read as JSON.
    Read,
    Hide,
}

#[derive(Debug)]
pub(super) struct PathRule {
    pub(super) path: Path,
    pub(super) effect: Effect,
    /// It begins anew in JSON that stood in a string.
    pub(super) nested: bool,
    pub(super) used: Arc<Used>,
}

/// The rules that two replies are compared by. The default ones know the special keys alone, and
/// making them allocates nothing.
#[derive(Debug, Default)]
pub struct Rules {
    pub(super) keys: Keys,
    pub(super) paths: Vec<PathRule>,
    pub(super) pairings: Vec<Pairing>,
    pub(super) leniences: Vec<Lenience>,
    pub(super) headers: HeaderRules,
    pub(super) null_equals_absent: bool,
    /// The key of hashes.
    pub(super) seed: u64,
    /// Whether hashes of masked values are compared.
    hashes_keys: bool,
    /// Whether any values may stand for others in copies.
    pub(super) aliases: bool,
    /// What is asked of the policy of redaction.
    redacted: Option<Redacted>,
    /// Whether any strings are read as JSON.
    pub(super) reads_strings: bool,
    /// Whether there are rules that were asked for.
    given: bool,
    looked: AtomicU64,
    meaning: u64,
    hides: u64,
}

impl Rules {
    /// Whether keys are all that these rules know, so that the quick walks tell the whole result.
    pub(super) fn only_keys(&self) -> bool {
        self.paths.is_empty() && !self.null_equals_absent && !self.hashes_keys && !self.aliases
    }

    /// What is asked where values are shown.
    pub(super) fn hide(&self) -> Hide<'_> {
        self.redacted.as_ref().map(|redacted| &*redacted.by)
    }

    /// What is asked of values that copies may have said in another way.
    pub(super) fn of_copies(&self) -> Option<&dyn Redaction> {
        self.redacted.as_ref().filter(|redacted| redacted.copies).map(|redacted| &*redacted.by)
    }

    /// The same, where copies are without what looks personal.
    pub(super) fn looks(&self) -> Option<&dyn Redaction> {
        self.of_copies().filter(|redaction| redaction.looks())
    }

    /// Whether values under this key are not shown: it is masked, or names a secret.
    pub fn hides(&self, name: &str) -> bool {
        let key = Text::plain(name);
        let treatment = self.keys.treatment(&key);
        let is_told = |redaction: &dyn Redaction| redaction.names(name);
        secrets::is_named(&key)
            || self.hide().is_some_and(is_told)
            || self.keys.hides(&key)
            || matches!(treatment, Treatment::Masked(_) | Treatment::Hashed(..))
    }

    /// Whether a segment of a path, or what stands in a query, is not shown for what it looks like.
    pub fn hides_looks(&self, text: &str) -> bool {
        let is_hidden = |redaction: &dyn Redaction| {
            matches!(redaction.shown_path(text.as_bytes()), std::borrow::Cow::Owned(_))
        };
        self.hide().is_some_and(is_hidden)
    }

    /// Whether a header's value is not shown, by rules or by what it looks like.
    pub fn hides_header(&self, name: &HeaderName, value: &[u8]) -> bool {
        self.hide().is_some_and(|it| it.header(name, value).is_some())
    }

    /// Counts a pair that was looked at in detail.
    pub(super) fn note_look(&self) {
        if self.given {
            self.looked.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn add(&mut self, set: &RuleSet, known: &[Arc<Used>]) {
        self.given |= !set.rules.is_empty();
        self.null_equals_absent |= set.null_equals_absent;
        for (rule, used) in set.rules.iter().zip(known) {
            self.add_rule(&rule.what, used, false);
        }
    }

    fn add_rule(&mut self, what: &What, used: &Arc<Used>, nested: bool) {
        let used = Arc::clone(used);
        let (path, effect) = match what {
            What::HideHeader(name) => return self.headers.hide(name),
            What::IgnoreHeader(name) => return self.headers.ignore(name, used),
            What::MaskHeader(name, mask) => return self.headers.mask(name, *mask, used),
            // Gathered for all at once.
            What::Ignore(Select::Key(_)) | What::Mask(Select::Key(_), _) => return,
            What::Hide(Select::Key(_)) => return,
            What::Hide(Select::Path(path)) => (path, Effect::Hide),
            What::Ignore(Select::Path(path)) => (path, Effect::Ignore),
            What::Mask(Select::Path(path), mask) => (path, Effect::Mask(*mask)),
            What::Array(path, pairing) => (path, self.pair(pairing.clone())),
            What::Number(path, by) => (path, self.lenient(Lenience::Number(*by))),
            What::Time(path, by) => (path, self.lenient(Lenience::Time(by.as_nanos()))),
            What::JsonString(path) => (path, Effect::Read),
            What::Class(path, class) => (path, self.lenient(Lenience::Class(*class))),
        };
        self.reads_strings |= matches!(effect, Effect::Read);
        self.aliases |= matches!(effect, Effect::Mask(MaskAs::Alias(_)));
        self.paths.push(PathRule { path: path.clone(), effect, nested, used });
    }

    fn pair(&mut self, pairing: Pairing) -> Effect {
        self.pairings.push(pairing);
        let last = u16::try_from(self.pairings.len() - 1);
        Effect::Pair(last.expect("rules are bounded where they are read"))
    }

    fn lenient(&mut self, lenience: Lenience) -> Effect {
        self.leniences.push(lenience);
        let last = u8::try_from(self.leniences.len() - 1);
        Effect::Lenient(last.expect("rules are bounded where they are read"))
    }
}

/// The keys among the rules.
fn key_rules<'r>(
    sets: impl Iterator<Item = (&'r RuleSet, &'r [Arc<Used>])> + 'r,
) -> impl Iterator<Item = KeyRule> + 'r {
    let rules = sets.flat_map(|(set, known)| set.rules.iter().zip(known));
    rules.filter_map(|(rule, used)| key_rule(&rule.what, used))
}

fn key_rule(what: &What, used: &Arc<Used>) -> Option<KeyRule> {
    let (name, mask) = match what {
        What::Ignore(Select::Key(name)) => (name.clone(), None),
        What::Mask(Select::Key(name), mask) => (name.clone(), Some(*mask)),
        _ => return None,
    };
    Some(KeyRule { name, mask, used: Arc::clone(used) })
}

/// The keys that are hidden and compared all the same.
fn hidden_keys(redacted: Option<&Redacted>) -> Vec<String> {
    let rules = redacted.iter().flat_map(|redacted| &redacted.rules);
    let hidden = rules.filter_map(|what| match what {
        What::Hide(Select::Key(name)) => Some(name.clone()),
        _ => None,
    });
    hidden.collect()
}

/// The rules of one route, with what is counted to tell which of them apply.
#[derive(Debug)]
pub struct RouteRules {
    /// The rules.
    pub rules: Arc<Rules>,
    seen: AtomicU64,
}

impl RouteRules {
    /// Whether the pair at hand is to be looked at in detail even if it is equal: the first ones of
    /// a route, and a few of the others. Never where no rules were given.
    pub fn wants_detail(&self) -> bool {
        if !self.rules.given {
            return false;
        }
        let seen = self.seen.fetch_add(1, Ordering::Relaxed);
        seen < FIRST || seen.is_multiple_of(EVERY)
    }
}

/// A rule that was given.
#[derive(Debug)]
struct Known {
    text: String,
    place: String,
    route: Option<String>,
    used: Arc<Used>,
}

/// A rule that never selected anything, which is likely a typing error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unused {
    /// As it was written.
    pub text: String,
    /// Where.
    pub place: String,
    /// The label of the route that it is for; `None` for all.
    pub route: Option<String>,
    /// Pairs that were looked at in detail where it holds.
    pub pairs: u64,
}

fn meaning(book: &RuleBook, own: Option<&RuleSet>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (book.builtin, book.default_headers).hash(&mut hasher);
    if let Some(redacted) = &book.redacted {
        (redacted.by.meaning(), redacted.copies).hash(&mut hasher);
        format!("{:?}", redacted.rules).hash(&mut hasher);
    }
    for set in std::iter::once(&book.all).chain(own) {
        let does: Vec<_> = set.rules.iter().map(|rule| &rule.what).collect();
        // As text, since some of it is floats.
        format!("{:?}", (&set.headers, set.null_equals_absent, does)).hash(&mut hasher);
    }
    hasher.finish()
}

/// Whether so many rules may hold for one route.
fn fit<'r>(sets: impl Iterator<Item = &'r RuleSet>) -> bool {
    let (mut count, mut lenient) = (0, 0);
    for rule in sets.flat_map(|set| &set.rules) {
        count += 1;
        lenient += usize::from(rule.what.is_lenient());
    }
    count <= RULES_MAX && lenient <= LENIENT_MAX
}

/// Of the rules of a route alone, those that keep values out of sight.
fn hides(own: Option<&RuleSet>) -> u64 {
    let rules = own.iter().flat_map(|set| &set.rules).map(|rule| &rule.what);
    let hiding = rules.filter(|what| {
        use What::{Ignore, IgnoreHeader, JsonString, Mask, MaskHeader};
        matches!(what, Ignore(_) | Mask(..) | IgnoreHeader(_) | MaskHeader(..) | JsonString(_))
    });
    let mut hasher = DefaultHasher::new();
    format!("{:?}", hiding.collect::<Vec<_>>()).hash(&mut hasher);
    hasher.finish()
}

/// The rules of all routes.
#[derive(Debug)]
pub struct Policy {
    others: Arc<Rules>,
    routes: HashMap<String, Arc<Rules>>,
    known: Vec<Known>,
    headers: Vec<HeaderName>,
    /// What it was made of.
    made_of: (RuleBook, [Origin; 2], u64),
}

impl Default for Policy {
    fn default() -> Self {
        Self::new(&RuleBook::default(), &[Origin::default(), Origin::default()], 0)
    }
}

impl Policy {
    /// Makes rules ready for use. `origins` are the baseline's and the candidate's own; `seed` is
    /// the key of hashes, and random where they should tell nobody anything.
    pub fn new(book: &RuleBook, origins: &[Origin; 2], seed: u64) -> Self {
        let mut known = Vec::new();
        let mut used_by = |set: &RuleSet, route: Option<&String>| -> Vec<Arc<Used>> {
            let from = known.len();
            known.extend(set.rules.iter().map(|rule| Known {
                text: rule.text.clone(),
                place: rule.place.clone(),
                route: route.cloned(),
                used: Arc::default(),
            }));
            known[from..].iter().map(|known| Arc::clone(&known.used)).collect()
        };
        let all = used_by(&book.all, None);
        let rules = |own: Option<(&RuleSet, &[Arc<Used>])>| {
            let sets = || std::iter::once((&book.all, &all[..])).chain(own);
            let redacted = book.redacted.as_ref();
            let by_policy = redacted.iter().flat_map(|redacted| &redacted.rules);
            let mut more: Vec<_> = key_rules(sets()).collect();
            more.extend(by_policy.clone().filter_map(|what| key_rule(what, &Arc::default())));
            let is_alias = |rule: &KeyRule| matches!(rule.mask, Some(MaskAs::Alias(_)));
            let mut rules = Rules {
                hashes_keys: more.iter().any(|rule| rule.mask == Some(MaskAs::Hash)),
                aliases: more.iter().any(is_alias)
                    || redacted.is_some_and(|it| it.copies && it.by.looks()),
                keys: Keys::with(book.builtin, more, hidden_keys(redacted)),
                redacted: book.redacted.clone(),
                headers: HeaderRules::new(book.default_headers, origins.clone()),
                seed,
                meaning: meaning(book, own.map(|(set, _)| set)),
                hides: hides(own.map(|(set, _)| set)),
                ..Rules::default()
            };
            for (set, known) in sets() {
                rules.headers.compare(&set.headers);
                rules.add(set, known);
            }
            by_policy.for_each(|what| rules.add_rule(what, &Arc::default(), true));
            Arc::new(rules)
        };
        let others = rules(None);
        let mut routes = HashMap::new();
        for (label, set) in &book.routes {
            let known = used_by(set, Some(label));
            routes.insert(label.clone(), rules(Some((set, &known))));
        }
        let mut headers: Vec<_> = book.all.headers.clone();
        headers.extend(book.routes.iter().flat_map(|(_, set)| set.headers.iter().cloned()));
        headers.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        headers.dedup();
        let made_of = (book.clone(), origins.clone(), seed);
        Self { others, routes, known, headers, made_of }
    }

    /// Whether a route has room for more rules, which are said while it runs.
    pub fn has_room(&self, route: &str, more: &[RuleSet]) -> bool {
        let own = self.set_of(route);
        fit(std::iter::once(&self.made_of.0.all).chain(own).chain(more))
    }

    fn set_of(&self, route: &str) -> Option<&RuleSet> {
        self.made_of.0.routes.iter().find(|(label, _)| label == route).map(|(_, set)| set)
    }

    /// The rules of a route with more of them, which are said while it runs; without those that there is no room for.
    pub fn of_with(&self, route: &str, more: &[RuleSet]) -> RouteRules {
        let (book, origins, seed) = &self.made_of;
        let mut set = self.set_of(route).cloned().unwrap_or_default();
        for more in more {
            if !fit([&book.all, &set, more].into_iter()) {
                continue;
            }
            set.headers.extend(more.headers.iter().cloned());
            set.null_equals_absent |= more.null_equals_absent;
            set.rules.extend(more.rules.iter().cloned());
        }
        let book = RuleBook { routes: vec![(route.to_owned(), set)], ..book.clone() };
        Self::new(&book, origins, *seed).of(route)
    }

    /// The rules of a route, by its label.
    pub fn of(&self, route: &str) -> RouteRules {
        let rules = self.routes.get(route).unwrap_or(&self.others);
        RouteRules { rules: Arc::clone(rules), seen: AtomicU64::new(0) }
    }

    /// The same for rules of a route that do the same, wherever they are written. In this process alone.
    pub fn meaning(&self, route: &str) -> u64 {
        self.routes.get(route).unwrap_or(&self.others).meaning
    }

    /// The same for routes whose rules keep the same values out of sight. In this process alone.
    pub fn hides(&self, route: &str) -> u64 {
        self.routes.get(route).unwrap_or(&self.others).hides
    }

    /// Names of response headers that any route compares besides the default ones.
    pub fn headers(&self) -> &[HeaderName] {
        &self.headers
    }

    /// The rules that never selected anything so far, in the order they were written. How far that
    /// means something, the number of pairs tells.
    pub fn unused(&self) -> Vec<Unused> {
        let looked = |rules: &Arc<Rules>| rules.looked.load(Ordering::Relaxed);
        let all = looked(&self.others) + self.routes.values().map(looked).sum::<u64>();
        let unused = self.known.iter().filter(|known| !known.used.get());
        unused
            .map(|known| Unused {
                text: known.text.clone(),
                place: known.place.clone(),
                route: known.route.clone(),
                pairs: match &known.route {
                    Some(route) => self.routes.get(route).map_or(0, looked),
                    None => all,
                },
            })
            .collect()
    }
}
