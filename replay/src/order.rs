//! Which exchanges go one after the other: those of a connection or of a session. One begins when the one
//! before it is over, on all sides.

use std::collections::HashMap;

use proxy::policy::matcher::Seen;
use proxy::policy::share::SampleBy;
use tokio::sync::oneshot;
use xxhash_rust::xxh3::xxh3_64;

/// Keys that are kept in mind; beyond them those are forgotten of which nothing is under way.
const KEYS: usize = 64 * 1024;

/// By what they belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderBy {
    /// Each for itself.
    Nothing,
    /// The connection that they came over, as far as it is known.
    Connection,
    /// A header, a cookie, a query parameter, or the client.
    Session(SampleBy),
}

impl OrderBy {
    /// Reads `none`, `connection`, or what `sample_by` of the settings may be.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::Nothing),
            "connection" => Ok(Self::Connection),
            other => SampleBy::parse(other)
                .map(Self::Session)
                .map_err(|why| format!("{why}; or none, or connection")),
        }
    }

    /// What an exchange has in common with those that it goes after.
    pub fn key(&self, connection: Option<u64>, seen: &Seen<'_>) -> Option<u64> {
        match self {
            Self::Nothing => None,
            Self::Connection => connection,
            Self::Session(by) => by.key(seen).map(|key| xxh3_64(&key)),
        }
    }
}

/// Resolves once what goes before is over.
pub type Before = oneshot::Receiver<()>;
/// Is dropped with what others go after.
pub type Over = oneshot::Sender<()>;

/// The last of each key.
#[derive(Debug, Default)]
pub struct Order {
    last: HashMap<u64, Before>,
}

impl Order {
    /// Stands in line behind the last one with this key, where that is not over.
    pub fn stand_in_line(&mut self, key: u64) -> (Option<Before>, Over) {
        if self.last.len() >= KEYS {
            self.last.retain(|_, last| is_under_way(last));
        }
        let (over, next) = oneshot::channel();
        let before = self.last.insert(key, next);
        (before.and_then(under_way), over)
    }
}

fn is_under_way(last: &mut Before) -> bool {
    matches!(last.try_recv(), Err(oneshot::error::TryRecvError::Empty))
}

fn under_way(mut last: Before) -> Option<Before> {
    is_under_way(&mut last).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_waits_for_the_one_before_it_with_its_key_until_that_is_over() {
        let mut order = Order::default();
        let (none, first) = order.stand_in_line(7);
        assert!(none.is_none());
        let (other, _over) = order.stand_in_line(8);
        assert!(other.is_none(), "another key waits for nobody");
        let (before, second) = order.stand_in_line(7);
        let mut before = before.expect("the first is under way");
        assert!(is_under_way(&mut before));
        drop(first);
        assert!(!is_under_way(&mut before));
        drop(second);
        assert!(order.stand_in_line(7).0.is_none(), "all are over");
    }

    #[test]
    fn keys_of_which_nothing_is_under_way_are_forgotten() {
        let mut order = Order::default();
        let (_, held) = order.stand_in_line(u64::MAX);
        (0..3 * KEYS as u64).for_each(|key| drop(order.stand_in_line(key)));
        assert!(order.last.len() <= KEYS + 1, "{}", order.last.len());
        assert!(order.stand_in_line(u64::MAX).0.is_some());
        drop(held);
    }

    #[test]
    fn what_it_is_by_is_read() {
        assert_eq!(OrderBy::parse("none"), Ok(OrderBy::Nothing));
        assert_eq!(OrderBy::parse("connection"), Ok(OrderBy::Connection));
        assert_eq!(OrderBy::parse("client"), Ok(OrderBy::Session(SampleBy::Client)));
        assert!(OrderBy::parse("shoe").unwrap_err().contains("connection"));
    }
}
