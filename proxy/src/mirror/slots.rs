//! Slots for copies in flight; how many there are follows how the candidate copes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::limit::Limit;

#[derive(Debug)]
pub(super) struct Slots {
    used: AtomicUsize,
    /// A copy of the limit's value, to be read without its lock.
    current: AtomicUsize,
    limit: Mutex<Limit>,
    freed: Notify,
}

impl Slots {
    pub(super) fn new(most: usize) -> Arc<Self> {
        let limit = Mutex::new(Limit::new(most));
        let current = AtomicUsize::new(most);
        Arc::new(Self { used: AtomicUsize::new(0), current, limit, freed: Notify::new() })
    }

    pub(super) fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    /// Waits for a slot. For one waiter only: a slot that is given back wakes one.
    pub(super) async fn acquire(self: &Arc<Self>) -> Slot {
        loop {
            let used = self.used.load(Ordering::Acquire);
            if used < self.current() {
                let in_flight = self.used.fetch_add(1, Ordering::AcqRel) + 1;
                return Slot { slots: Arc::clone(self), in_flight };
            }
            self.freed.notified().await;
        }
    }

    fn learn(&self, tell: impl FnOnce(&mut Limit)) {
        let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        tell(&mut limit);
        self.current.store(limit.current(), Ordering::Relaxed);
    }
}

/// One slot; given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    in_flight: usize,
}

impl Slot {
    /// The call in this slot got a response head.
    pub(super) fn answered(&self, latency: Duration) {
        self.slots.learn(|limit| limit.answered(self.in_flight, latency));
    }

    /// The call in this slot was cut at its deadline without one.
    pub(super) fn cut(&self) {
        self.slots.learn(Limit::cut);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.used.fetch_sub(1, Ordering::AcqRel);
        self.slots.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    async fn is_full(slots: &Arc<Slots>) -> bool {
        timeout(Duration::from_secs(1), slots.acquire()).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_is_waited_for_and_a_lower_limit_gives_out_fewer() {
        let slots = Slots::new(3);
        let mut held = vec![slots.acquire().await, slots.acquire().await, slots.acquire().await];
        assert!(is_full(&slots).await);
        (0..30).for_each(|_| held[0].cut());
        assert_eq!(slots.current(), 1);
        held.truncate(1);
        assert!(is_full(&slots).await, "one is in use, and one is all there is");
        held.clear();
        let again = slots.acquire().await;
        (0..100).for_each(|_| again.answered(Duration::from_millis(1)));
        assert_eq!(slots.current(), 3);
        let _more = (slots.acquire().await, slots.acquire().await);
        assert!(is_full(&slots).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_given_back_wakes_who_waits() {
        let slots = Slots::new(1);
        let slot = slots.acquire().await;
        let waiting = tokio::spawn({
            let slots = Arc::clone(&slots);
            async move { drop(slots.acquire().await) }
        });
        tokio::task::yield_now().await;
        drop(slot);
        timeout(Duration::from_secs(1), waiting).await.expect("woken").unwrap();
    }
}
