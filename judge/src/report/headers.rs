//! Response headers that differ on a route and are not compared: no part of any verdict, but worth a
//! word. Bounded in names; values are not known here.

use std::time::SystemTime;

use super::fields::Room;
use super::{noise, share};
use compare::Uncompared;

/// Headers kept for a route, each kind of change for itself.
const HEADERS_MAX: usize = 64;
/// An estimate of what one takes besides its name, in bytes.
const HEADER_BYTES: usize = 128;

/// A header that differs in one way.
#[derive(Clone, Debug)]
pub struct Header {
    /// Which, and how it differs.
    pub what: Uncompared,
    /// Pairs in which it does.
    pub raw: u64,
    /// Answers of two baselines in which it does.
    pub noise: u64,
    /// When the candidate differed here first, and last.
    pub seen: Option<(SystemTime, SystemTime)>,
}

impl Header {
    /// Whether it differs between two baselines as it does between baseline and candidate.
    pub fn is_noise(&self, pairs: u64, samples: u64) -> bool {
        noise::explains(share(self.raw, pairs), share(self.noise, samples))
    }
}

/// The headers of a route.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    kept: Vec<Header>,
    /// Differences that found no room.
    pub left_out: u64,
}

impl Headers {
    /// Takes in what a pair differs in.
    pub fn record(&mut self, found: &[Uncompared], now: SystemTime, room: &mut Room) {
        self.visit(found, room, |header| {
            header.raw += 1;
            header.seen = Some((header.seen.map_or(now, |(first, _)| first), now));
        });
    }

    /// Takes in what two baselines differ in.
    pub fn record_noise(&mut self, found: &[Uncompared], room: &mut Room) {
        self.visit(found, room, |header| header.noise += 1);
    }

    fn visit(&mut self, found: &[Uncompared], room: &mut Room, touch: impl Fn(&mut Header)) {
        for what in found {
            if let Some(header) = self.kept.iter_mut().find(|header| header.what == *what) {
                touch(header);
            } else if self.kept.len() < HEADERS_MAX
                && room.take(HEADER_BYTES + what.name.as_str().len())
            {
                let mut header = Header { what: what.clone(), raw: 0, noise: 0, seen: None };
                touch(&mut header);
                self.kept.push(header);
            } else {
                self.left_out += 1;
            }
        }
    }

    /// All of them, those first that differ by more than themselves, and most often.
    pub fn worst_first(&self, pairs: u64, samples: u64) -> Vec<&Header> {
        let mut all: Vec<_> = self.kept.iter().filter(|header| header.raw > 0).collect();
        all.sort_by(|one, other| {
            let noise = |header: &Header| header.is_noise(pairs, samples);
            let name = |header: &'_ Header| (header.what.name.to_string(), header.what.change);
            noise(one)
                .cmp(&noise(other))
                .then(other.raw.cmp(&one.raw))
                .then_with(|| name(one).cmp(&name(other)))
        });
        all
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::super::tests::NOW;
    use super::*;
    use compare::Change;

    fn one(name: &str) -> Uncompared {
        Uncompared { name: HeaderName::try_from(name).unwrap(), change: Change::Value }
    }

    #[test]
    fn names_are_bounded_and_what_finds_no_room_is_counted() {
        let (mut headers, mut room) = (Headers::default(), Room::new(1 << 20));
        for index in 0..100 {
            headers.record(&[one(&format!("x-{index}"))], NOW, &mut room);
        }
        assert_eq!((headers.worst_first(100, 0).len(), headers.left_out), (64, 36));
        let (mut headers, mut room) = (Headers::default(), Room::new(200));
        headers.record(&[one("x-1"), one("x-2")], NOW, &mut room);
        assert_eq!((headers.worst_first(1, 0).len(), headers.left_out), (1, 1));
    }

    #[test]
    fn a_header_that_differs_between_baselines_as_much_is_noise_and_stands_last() {
        let (mut headers, mut room) = (Headers::default(), Room::new(1 << 20));
        for index in 0..100 {
            headers.record(&[one("x-request-id")], NOW, &mut room);
            headers.record_noise(&[one("x-request-id")], &mut room);
            if index < 30 {
                headers.record(&[one("vary")], NOW, &mut room);
            }
        }
        headers.record_noise(&[one("x-never")], &mut room);
        let told: Vec<_> = headers
            .worst_first(100, 100)
            .into_iter()
            .map(|header| (header.what.name.to_string(), header.raw, header.is_noise(100, 100)))
            .collect();
        assert_eq!(told, [("vary".to_owned(), 30, false), ("x-request-id".to_owned(), 100, true)]);
    }
}
