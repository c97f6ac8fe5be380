//! Copies of one session go one after the other, those of others beside them.
//!
//! A session's order is that in which its requests were whole at the proxy, which is when the baseline can
//! have begun to act on them: of a client that waits for each answer it is the order in which it asked,
//! and of one that does not there is no other. A copy's turn ends with the candidate's answer, or with
//! its deadline.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A session; two of the same hash go one after the other, which harms neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Session(u64);

/// Makes sessions of keys.
#[derive(Debug, Default)]
pub(super) struct Sessions(RandomState);

impl Sessions {
    pub(super) fn of(&self, key: &[u8]) -> Session {
        Session(self.0.hash_one(key))
    }
}

/// The sessions of one lane that have copies under way or waiting.
#[derive(Debug, Default)]
pub(super) struct Order {
    lines: Mutex<HashMap<Session, VecDeque<Arc<Notify>>>>,
}

impl Order {
    /// Stands behind all copies of the session that are there.
    pub(super) fn stand_in_line(self: &Arc<Self>, session: Session) -> Turn {
        let called = Arc::new(Notify::new());
        self.lines().entry(session).or_default().push_back(Arc::clone(&called));
        Turn { order: Arc::clone(self), session, called }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<Session, VecDeque<Arc<Notify>>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in a session's line; given up when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    order: Arc<Order>,
    session: Session,
    called: Arc<Notify>,
}

impl Turn {
    /// Whether nobody stands in front.
    pub(super) fn has_come(&self) -> bool {
        let lines = self.order.lines();
        let first = lines.get(&self.session).and_then(VecDeque::front);
        first.is_some_and(|first| Arc::ptr_eq(first, &self.called))
    }

    /// Waits until nobody does.
    pub(super) async fn come(&self) {
        while !self.has_come() {
            self.called.notified().await;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut lines = self.order.lines();
        let Some(line) = lines.get_mut(&self.session) else { return };
        let at = line.iter().position(|it| Arc::ptr_eq(it, &self.called));
        at.and_then(|at| line.remove(at));
        match line.front() {
            Some(next) if at == Some(0) => next.notify_one(),
            Some(_) => {}
            None => drop(lines.remove(&self.session)),
        }
    }
}

/// How many copies wait without a slot, outside the queue: no more than may wait in it, so that a session
/// that hangs takes no room from others.
#[derive(Debug)]
pub(super) struct Waiting {
    most: usize,
    count: AtomicUsize,
}

impl Waiting {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, count: AtomicUsize::new(0) })
    }

    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// One more waits, where there is room.
    pub(super) fn begin(self: &Arc<Self>) -> Option<Waits> {
        let more = |count: usize| (count < self.most).then_some(count + 1);
        self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Waits(Arc::clone(self)))
    }
}

/// One that waits.
#[derive(Debug)]
pub(super) struct Waits(Arc<Waiting>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn comes(turn: &Turn) -> bool {
        timeout(Duration::from_secs(1), turn.come()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn copies_of_a_session_go_one_after_the_other_and_others_beside_them() {
        let (order, sessions) = (Arc::new(Order::default()), Sessions::default());
        let (a, b) = (sessions.of(b"a"), sessions.of(b"b"));
        let first = order.stand_in_line(a);
        let second = order.stand_in_line(a);
        let third = order.stand_in_line(a);
        let other = order.stand_in_line(b);
        assert!(first.has_come() && other.has_come());
        assert!(!comes(&second).await);
        drop(first);
        assert!(comes(&second).await && !third.has_come());
        drop(second);
        assert!(comes(&third).await);
        drop((third, other));
        assert!(order.lines().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_the_line_lets_nobody_pass_who_is_in_front() {
        let (order, sessions) = (Arc::new(Order::default()), Sessions::default());
        let session = sessions.of(b"a");
        let first = order.stand_in_line(session);
        let second = order.stand_in_line(session);
        let third = order.stand_in_line(session);
        drop(second);
        assert!(!comes(&third).await, "the first is under way");
        drop(first);
        assert!(comes(&third).await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_woken() {
        let (order, sessions) = (Arc::new(Order::default()), Sessions::default());
        let session = sessions.of(b"a");
        let first = order.stand_in_line(session);
        let second = order.stand_in_line(session);
        let waiting = tokio::spawn(async move { second.come().await });
        tokio::task::yield_now().await;
        drop(first);
        timeout(Duration::from_secs(1), waiting).await.expect("woken").unwrap();
    }

    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let waiting = Waiting::new(2);
        let (one, two) = (waiting.begin(), waiting.begin());
        assert!(waiting.begin().is_none());
        assert_eq!(waiting.count(), 2);
        drop((one, two));
        assert_eq!(waiting.count(), 0);
        assert!(waiting.begin().is_some());
    }
}
