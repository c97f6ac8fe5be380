//! Who may hold how many bytes: one conversation by its own limit, and all together by one budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Lost;

/// A number of bytes that many conversations share, on one thread or several.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// So many bytes for all who get a clone of it.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Shared { limit, used: AtomicUsize::new(0) }))
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        let add = |used: usize| used.checked_add(bytes).filter(|it| *it <= self.0.limit);
        self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }

    fn give(&self, bytes: usize) {
        self.0.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What one conversation holds. What was taken is given back at the latest when it is dropped.
#[derive(Debug)]
pub(crate) struct Account {
    limit: usize,
    used: usize,
    budget: Budget,
}

impl Account {
    pub(crate) fn new(limit: usize, budget: Budget) -> Self {
        Self { limit, used: 0, budget }
    }

    /// Takes so many bytes, or says whose limit forbids it.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), Lost> {
        if bytes > self.limit - self.used {
            return Err(Lost::BodyOverConversation);
        }
        if !self.budget.take(bytes) {
            return Err(Lost::BodyOverBudget);
        }
        self.used += bytes;
        Ok(())
    }

    /// Gives back what was taken.
    pub(crate) fn give(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.used, "more is given back than was taken");
        let bytes = bytes.min(self.used);
        self.used -= bytes;
        self.budget.give(bytes);
    }

    pub(crate) fn used(&self) -> usize {
        self.used
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.budget.give(self.used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_held_to_its_own_limit_and_to_that_of_all() {
        let budget = Budget::new(10);
        let mut one = Account::new(6, budget.clone());
        let mut other = Account::new(6, budget.clone());
        assert_eq!(one.take(7), Err(Lost::BodyOverConversation));
        assert_eq!(one.take(6), Ok(()));
        assert_eq!(other.take(5), Err(Lost::BodyOverBudget));
        assert_eq!(other.take(4), Ok(()));
        one.give(2);
        assert_eq!((budget.used(), one.used()), (8, 4));
        drop(one);
        drop(other);
        assert_eq!(budget.used(), 0);
    }
}
