//! Exchanges in the order in which they began. Sources tell of them when they are over, so that a slow one comes
//! after those that began behind it: within a bounded number they are sorted.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use traffic::{Exchange, Moment};

/// Exchanges that are held back.
const DEPTH: usize = 1024;
/// Bytes of bodies that are held back.
const BYTES: usize = 32 << 20;

/// One that is held back; `nth` tells those apart that began at once.
#[derive(Debug)]
struct Held {
    at: Moment,
    nth: u64,
    exchange: Box<Exchange>,
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.nth) == (other.at, other.nth)
    }
}

impl Eq for Held {}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.nth).cmp(&(other.at, other.nth))
    }
}

/// Those that are held back.
#[derive(Debug, Default)]
pub struct Sorted {
    heap: BinaryHeap<Reverse<Held>>,
    bytes: usize,
}

impl Sorted {
    /// Takes one, and gives those back that are held no longer: `nth` of its source.
    pub fn push(&mut self, nth: u64, exchange: Box<Exchange>) -> Option<(u64, Box<Exchange>)> {
        self.bytes += bytes(&exchange);
        self.heap.push(Reverse(Held { at: exchange.at, nth, exchange }));
        if self.heap.len() > DEPTH || self.bytes > BYTES { self.pop() } else { None }
    }

    /// The one that began first of those that are left.
    pub fn pop(&mut self) -> Option<(u64, Box<Exchange>)> {
        let Reverse(Held { nth, exchange, .. }) = self.heap.pop()?;
        self.bytes -= bytes(&exchange);
        Some((nth, exchange))
    }
}

fn bytes(exchange: &Exchange) -> usize {
    let answer = exchange.answer.as_ref().map(|it| &it.body);
    let bodies = [Some(&exchange.request.body), answer].into_iter().flatten();
    bodies.filter_map(|body| body.whole()).map(bytes::Bytes::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at: u64) -> Box<Exchange> {
        Box::new(Exchange { at: Moment(at), ..Exchange::default() })
    }

    fn all(times: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let mut sorted = Sorted::default();
        let mut out = Vec::new();
        for (nth, time) in (0..).zip(times) {
            out.extend(sorted.push(nth, at(time)).map(|(_, it)| it.at.0));
        }
        out.extend(std::iter::from_fn(|| sorted.pop()).map(|(_, it)| it.at.0));
        out
    }

    #[test]
    fn what_began_first_comes_first_and_nothing_is_lost() {
        assert_eq!(all([5, 1, 3, 3, 2]), [1, 2, 3, 3, 5]);
        let mixed =
            (0..10_000_u64).map(|nth| if nth % 2 == 0 { nth } else { nth.saturating_sub(500) });
        let found = all(mixed);
        assert_eq!(found.len(), 10_000);
        assert!(found.is_sorted());
    }

    #[test]
    fn no_more_is_held_back_than_may_be() {
        let mut sorted = Sorted::default();
        let before = (0..DEPTH as u64).filter_map(|nth| sorted.push(nth, at(nth))).count();
        assert_eq!((before, sorted.push(9999, at(9999)).map(|(nth, _)| nth)), (0, Some(0)));
        let mut large = Sorted::default();
        let mut one = at(0);
        one.request.body = traffic::Body::Whole(vec![0; BYTES + 1].into());
        assert!(large.push(0, one).is_some());
        assert_eq!(large.bytes, 0);
    }
}
