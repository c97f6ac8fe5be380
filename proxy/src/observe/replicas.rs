//! What is shared of a candidate with other replicas: what they are told, what all of them judge, and what they
//! decide, taken over.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use cluster::{Teller, Versioned};
use judge::guardrail::standing::{Clocks, Standing};
use judge::guardrail::{Snapshot, Transition};
use tokio::sync::Notify;
use tracing::warn;

use super::Observe;

/// Orders that may wait while the engine is away; more are about the same few things.
const ORDERS_MAX: usize = 64;
/// What somebody wants of all replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Mirroring of all, or of a route, was switched by hand.
    Switch {
        /// Or off.
        on: bool,
        /// By its label or name.
        route: Option<String>,
    },
    /// A cooldown is over and a request has come.
    Due(Option<String>),
}

/// What is told to others, and what all of them judge.
#[derive(Debug)]
pub struct Shared {
    /// What pairs say, until it is told.
    pub(super) teller: Teller,
    orders: Mutex<Vec<Order>>,
    /// What the pairs of all replicas say; `None` where each judges its own.
    of_all: Mutex<Option<Snapshot>>,
    wake: Arc<Notify>,
}

impl Shared {
    /// Nothing is told yet. Somebody who waits there is woken for an order.
    pub fn new(wake: Arc<Notify>) -> Arc<Self> {
        let (teller, orders, of_all) = Default::default();
        Arc::new(Self { teller, orders, of_all, wake })
    }

    /// What pairs say, until it is told.
    pub fn teller(&self) -> &Teller {
        &self.teller
    }

    fn order(&self, order: Order) {
        let mut orders = lock(&self.orders);
        if orders.contains(&order) && matches!(order, Order::Due(_)) {
            return;
        }
        if orders.len() == ORDERS_MAX {
            orders.remove(0);
        }
        orders.push(order);
        drop(orders);
        self.wake.notify_one();
    }

    /// What is to be done, in the order in which it was said.
    pub fn take_orders(&self) -> Vec<Order> {
        std::mem::take(&mut lock(&self.orders))
    }

    /// What was taken and could not be done; what was said since stands behind it.
    pub fn put_back(&self, mut orders: Vec<Order>) {
        let mut waiting = lock(&self.orders);
        orders.append(&mut waiting);
        *waiting = orders;
    }

    /// Shows what the pairs of all replicas say; `None` where each judges its own.
    pub fn show(&self, of_all: Option<Snapshot>) {
        *lock(&self.of_all) = of_all;
    }

    /// This replica's own, with the evidence of all where it is known.
    pub(super) fn with_the_evidence_of_all(&self, mut own: Snapshot) -> Snapshot {
        let of_all = lock(&self.of_all);
        let Some(of_all) = &*of_all else { return own };
        own.evidence = of_all.evidence;
        own.breach_streak = of_all.breach_streak;
        for route in &mut own.routes {
            if let Some(of_all) = of_all.routes.iter().find(|it| it.route == route.route) {
                route.evidence = of_all.evidence;
            }
        }
        own
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Observe {
    /// What other replicas are told of it.
    pub fn shared(&self) -> Option<&Shared> {
        self.replicas.as_deref()
    }

    /// Whether others decide, too: then nothing is decided here alone.
    pub fn follow(&self, follows: bool) {
        self.guardrail().follow(follows);
    }

    /// The thresholds.
    pub fn thresholds(&self) -> judge::guardrail::Config {
        self.guardrail().config().clone()
    }

    /// Makes known what was decided for all, where that changes nothing here.
    pub fn tell_of(&self, transition: Option<&Transition>) {
        if let Some(transition) = transition {
            let guardrail = self.guardrail();
            self.announce(&guardrail, transition, SystemTime::now());
        }
    }

    /// What is on and what is off, by another clock, which shows `now`.
    pub fn standing(&self, now: Duration) -> Standing {
        let guardrail = self.guardrail();
        guardrail.standing().by(Clocks { from: self.since_origin(), to: now })
    }

    /// What this replica's own pairs say: how many they are, and the evidence.
    pub fn own_evidence(&self) -> (u64, f64) {
        let evidence = self.guardrail().snapshot().evidence;
        (evidence.pairs, evidence.value)
    }

    /// Takes over what was decided; `now` is what the clock shows that its times are of. `decided`: what it is, where
    /// this replica has decided it for all.
    pub fn adopt(&self, said: &Versioned, decided: Option<&Transition>, now: Duration) {
        let mut guardrail = self.guardrail();
        if self.is_past.load(Ordering::Relaxed) {
            return;
        }
        let before = guardrail.standing();
        let standing = said.standing.by(Clocks { from: now, to: self.since_origin() });
        guardrail.adopt(&standing);
        self.held.set(guardrail.held_routes());
        let wall = SystemTime::now();
        if let Some(transition) = decided {
            if let Transition::Tripped { trip, .. } | Transition::RouteTripped { trip } = transition
            {
                guardrail.told(trip);
            }
            self.remember_trip(transition, wall);
            self.announce(&guardrail, transition, wall);
            return;
        }
        let differing = before.differing(&standing);
        if differing.is_empty() {
            return;
        }
        let book = self.book();
        book.metrics.set_enabled(guardrail.is_on());
        for label in book.labels() {
            book.metrics.set_route_enabled(&label, guardrail.is_route_on(&label));
        }
        if differing.contains(&None) && !guardrail.is_on() {
            guardrail.aborted(format!("{} (by replica {})", said.why, said.by), wall);
        }
        let (candidate, by, why) = (self.name(), &said.by, &said.why);
        for route in differing.into_iter().take(LINES_MAX) {
            let stand = route.map_or(standing.whole, |route| {
                standing.routes.get(route).copied().unwrap_or_default()
            });
            let state = stand.is.name();
            warn!(%candidate, route, state, by, why, "another replica has decided");
        }
    }

    /// Asks all replicas to do so, where there are others.
    pub(super) fn ask_replicas(&self, order: impl FnOnce() -> Order) {
        if let Some(replicas) = &self.replicas {
            replicas.order(order());
        }
    }
}

/// Lines about what one decision changes.
const LINES_MAX: usize = 16;
