//! What one upstream calls what the baseline calls otherwise: for each identity of the settings the map, and
//! what is being learned right now. It outlives a plan as long as the upstream is the same service, and is
//! forgotten where the settings say something else of where its values are or whose.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::pair::Progress;
use crate::metrics::IdentityNumbers;
use crate::policy::identity::Policy;
use transform::identity::{Flights, Found, Learned, Map, Secret};

/// All identities of one upstream.
#[derive(Debug)]
pub struct Identities {
    secret: Secret,
    all: RwLock<Vec<Arc<Known>>>,
    /// Something was learned, or will not be.
    pub(super) changed: Notify,
}

/// Those of a candidate, and of the second baseline that is asked beside it.
pub(super) type Both = [Arc<Identities>; 2];

/// One of them.
#[derive(Debug)]
pub struct Known {
    /// Its name.
    pub name: Arc<str>,
    meaning: u64,
    state: Mutex<State>,
    counts: Arc<Counts>,
}

/// What is known of it, and what is being learned.
#[derive(Debug)]
pub(super) struct State {
    pub(super) map: Map,
    pub(super) flights: Flights<Arc<Progress>>,
}

/// Since the start, whatever is forgotten meanwhile.
#[derive(Debug, Default)]
struct Counts {
    learned: AtomicU64,
    unpaired: AtomicU64,
    contradicted: AtomicU64,
    unknown: AtomicU64,
    /// Of maps that are gone.
    evicted: AtomicU64,
    /// What of these the metrics were told, in the order of [`IdentityNumbers`].
    told: [AtomicU64; 5],
}

/// An entry as it is shown: hashes in place of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Of the baseline's value.
    pub baseline: String,
    /// Of the candidate's; `None` where it has none.
    pub candidate: Option<String>,
    /// Whose it is.
    pub scope: String,
    /// Since it was learned.
    pub age: Duration,
    /// Since it was used last.
    pub idle: Duration,
}

impl Identities {
    /// Of an upstream of which nothing is known yet.
    pub(super) fn new(secret: Secret) -> Arc<Self> {
        Arc::new(Self { secret, all: RwLock::default(), changed: Notify::new() })
    }

    /// Goes by these from now on; what is known stays where it means the same.
    pub(super) fn configure(&self, policies: &[Arc<Policy>]) {
        let now = Instant::now();
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let next = policies.iter().map(|policy| {
            let (name, meaning) = (policy.identity.name.as_str(), policy.meaning);
            let old = all.iter().find(|known| *known.name == *name);
            if let Some(same) = old.filter(|known| known.meaning == meaning) {
                same.state().map.set_limits(policy.limits, now);
                return Arc::clone(same);
            }
            let counts = old.map(|old| {
                old.counts.evicted.fetch_add(old.state().map.evicted(), Ordering::Relaxed);
                Arc::clone(&old.counts)
            });
            Arc::new(Known {
                name: name.into(),
                meaning,
                state: Mutex::new(State {
                    map: Map::new(policy.limits),
                    flights: Flights::default(),
                }),
                counts: counts.unwrap_or_default(),
            })
        });
        *all = next.collect();
        drop(all);
        self.changed.notify_waiters();
    }

    /// All of them, in the order of the settings.
    pub fn all(&self) -> Vec<Arc<Known>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was counted of each since this was asked last.
    pub fn news(&self) -> Vec<(Arc<str>, IdentityNumbers)> {
        self.all().iter().map(|known| (Arc::clone(&known.name), known.news())).collect()
    }

    /// At most so many entries of one, what was used last first.
    pub fn entries(&self, of: &Known, most: usize) -> Vec<Shown> {
        of.entries(self.secret, most)
    }

    /// What hashes values.
    pub(super) fn secret(&self) -> Secret {
        self.secret
    }

    /// The one that a policy speaks of; `None` where other settings hold by now.
    pub(super) fn of(&self, policy: &Policy) -> Option<Arc<Known>> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let named = all.iter().find(|known| *known.name == *policy.identity.name)?;
        (named.meaning == policy.meaning).then(|| Arc::clone(named))
    }

    /// Forgets an identity, or all; says how many entries there were. What is under way may still teach.
    pub fn clear(&self, name: Option<&str>) -> usize {
        let named = self.all().into_iter().filter(|it| name.is_none_or(|name| *it.name == *name));
        named.map(|known| known.state().map.clear()).sum()
    }
}

impl Known {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is counted of it.
    pub fn numbers(&self) -> IdentityNumbers {
        let (entries, evicted) = {
            let state = self.state();
            (state.map.len(), state.map.evicted())
        };
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { learned, unpaired, contradicted, unknown, evicted: before, .. } =
            &*self.counts;
        IdentityNumbers {
            entries,
            learned: of(learned),
            unpaired: of(unpaired),
            contradicted: of(contradicted),
            unknown: of(unknown),
            evicted: evicted + of(before),
        }
    }

    fn news(&self) -> IdentityNumbers {
        let IdentityNumbers { entries, learned, unpaired, contradicted, unknown, evicted } =
            self.numbers();
        let [a, b, c, d, e] = &self.counts.told;
        let news = |count: u64, told: &AtomicU64| {
            count.saturating_sub(told.fetch_max(count, Ordering::Relaxed))
        };
        IdentityNumbers {
            entries,
            learned: news(learned, a),
            unpaired: news(unpaired, b),
            contradicted: news(contradicted, c),
            unknown: news(unknown, d),
            evicted: news(evicted, e),
        }
    }

    /// How many pairs are under way that may teach something.
    pub fn learning(&self) -> usize {
        self.state().flights.len()
    }

    fn entries(&self, secret: Secret, most: usize) -> Vec<Shown> {
        let now = Instant::now();
        let mut state = self.state();
        let all = state.map.entries(now).take(most).map(|entry| Shown {
            baseline: entry.key.to_string(),
            candidate: match &entry.found {
                Found::Value(value) => Some(secret.shown(value)),
                Found::Nothing => None,
            },
            scope: entry.scope.to_string(),
            age: now.saturating_duration_since(entry.learned),
            idle: now.saturating_duration_since(entry.used),
        });
        all.collect()
    }

    /// A copy goes out with a value that the candidate does not know.
    pub(super) fn count_unknown(&self) {
        self.counts.unknown.fetch_add(1, Ordering::Relaxed);
    }

    /// What came of a lesson.
    pub(super) fn count(&self, learned: Learned) {
        self.counts.learned.fetch_add(learned.learned, Ordering::Relaxed);
        self.counts.unpaired.fetch_add(learned.unpaired, Ordering::Relaxed);
        self.counts.contradicted.fetch_add(learned.contradicted, Ordering::Relaxed);
    }
}
