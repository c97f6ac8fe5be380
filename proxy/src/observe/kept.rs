//! The last pairs that differed, per route, so that other rules can be tried on them. Redacted before they are
//! kept, and bounded in number and bytes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use compare::{Body, Difference, Kind, Limits, Rules, Side};

/// Pairs kept of a route.
pub const PAIRS_MAX: usize = 32;
/// Of all routes of a candidate, in bytes.
const BYTES_MAX: usize = 8 << 20;
/// Longest body that is kept, in bytes as sent and without its content encodings.
pub const BODY_MAX: usize = 16 << 10;
/// Once a route has all that it may have, one pair takes another's place so often at most.
const EVERY: Duration = Duration::from_millis(100);
/// Estimate of what a pair takes besides texts.
const PAIR_BYTES: usize = 512;

/// An answer as it may be kept.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// JSON; `None` for what cannot be judged again.
    pub body: Option<Vec<u8>>,
    /// What is no JSON by its lines, to be looked at.
    pub lines: Option<Vec<u8>>,
}

/// A pair that differed.
#[derive(Clone, Debug)]
pub struct Kept {
    /// By the rules of which route of the settings.
    pub id: Arc<str>,
    /// What it was held against, and what was hidden of it.
    pub basis: u64,
    /// Of baseline and candidate.
    pub answers: [Answer; 2],
    /// Where they differed then.
    pub differences: Vec<Difference>,
}

/// The pairs of a candidate.
#[derive(Debug, Default)]
pub struct Pairs {
    routes: HashMap<Arc<str>, Route>,
    bytes: usize,
    /// Counts all that were ever kept, so that the oldest is known.
    next: u64,
}

#[derive(Debug, Default)]
struct Route {
    pairs: VecDeque<(u64, Arc<Kept>)>,
    last: Option<Instant>,
}

impl Answer {
    /// Of an answer, by the rules of its comparison.
    pub fn of(side: &Side<'_>, rules: &Rules) -> Self {
        let is_short = matches!(side.body, Body::Whole(bytes) if bytes.len() <= BODY_MAX);
        let kept = |keep: fn(&Side<'_>, &Rules, &mut Limits<'_>) -> Option<Vec<u8>>| {
            let mut grant = compare::up_to(64 * BODY_MAX);
            let mut limits = Limits { max_decoded: BODY_MAX, grant: &mut grant };
            // What stands for values may be longer.
            keep(side, rules, &mut limits).filter(|body| body.len() <= 2 * BODY_MAX)
        };
        let body = is_short.then(|| kept(compare::kept_answer)).flatten();
        let lines = (is_short && body.is_none()).then(|| kept(compare::kept_lines)).flatten();
        Self { status: side.status, body, lines }
    }

    fn side(&self) -> Option<Side<'_>> {
        Some(Side {
            status: self.status,
            content_type: Some(b"application/json"),
            content_encoding: Vec::new(),
            grpc_status: None,
            headers: None,
            body: Body::Whole(self.body.as_deref()?),
        })
    }
}

impl Kept {
    /// Where the answers differ by these rules; what cannot be judged again differs as it did. Of headers
    /// nothing is kept: those that differed do, unless they are in `ignored`.
    pub fn judged_by(&self, rules: &Rules, ignored: &dyn Fn(&str) -> bool) -> Vec<Difference> {
        let is_ignored = |it: &&Difference| {
            it.field.strip_prefix("header ").is_some_and(ignored) && it.kind == Kind::Header
        };
        let [ours, theirs] = &self.answers;
        let Some((ours, theirs)) = ours.side().zip(theirs.side()) else {
            return self.differences.iter().filter(|it| !is_ignored(it)).cloned().collect();
        };
        let headers = self.differences.iter().filter(|it| it.kind == Kind::Header);
        let mut found: Vec<_> = headers.filter(|it| !is_ignored(it)).cloned().collect();
        let mut limits = Limits { max_decoded: 4 * BODY_MAX, grant: &mut |_| true };
        found.extend(
            compare::look_closer(&ours, &theirs, rules, true, &mut limits).differences.found,
        );
        found
    }

    fn bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let difference = |it: &Difference| {
            PAIR_BYTES
                + it.place.len()
                + it.field.len()
                + [&it.baseline, &it.candidate, &it.note].map(text).iter().sum::<usize>()
        };
        let texts = self.answers.iter().flat_map(|it| [&it.body, &it.lines]);
        let bodies = texts.map(|it| it.as_ref().map_or(0, Vec::len));
        PAIR_BYTES + bodies.sum::<usize>() + self.differences.iter().map(difference).sum::<usize>()
    }
}

impl Pairs {
    /// Whether a pair of this route is wanted now.
    pub fn wants(&self, label: &str, now: Instant) -> bool {
        self.routes.get(label).is_none_or(|route| {
            let due = route.last.is_none_or(|last| now.saturating_duration_since(last) >= EVERY);
            route.pairs.len() < PAIRS_MAX || due
        })
    }

    /// Keeps a pair, and lets go of the oldest ones that it has no room beside.
    pub fn keep(&mut self, label: &Arc<str>, pair: Kept, now: Instant) {
        let route = self.routes.entry(Arc::clone(label)).or_default();
        (route.last, self.next) = (Some(now), self.next + 1);
        self.bytes += pair.bytes();
        route.pairs.push_back((self.next, Arc::new(pair)));
        if route.pairs.len() > PAIRS_MAX {
            self.drop_oldest(&Arc::clone(label));
        }
        while self.bytes > BYTES_MAX {
            let first = |route: &Route| route.pairs.front().map(|(at, _)| *at);
            let oldest = self.routes.iter().filter_map(|(label, it)| Some((first(it)?, label)));
            let Some(label) = oldest.min().map(|(_, label)| Arc::clone(label)) else { return };
            self.drop_oldest(&label);
        }
    }

    fn drop_oldest(&mut self, label: &Arc<str>) {
        let Some(route) = self.routes.get_mut(label) else { return };
        if let Some((_, pair)) = route.pairs.pop_front() {
            self.bytes -= pair.bytes();
        }
        if route.pairs.is_empty() {
            self.routes.remove(label);
        }
    }

    /// Those of a route, or all, the oldest first.
    pub fn of(&self, label: Option<&str>) -> Vec<(Arc<str>, Arc<Kept>)> {
        let mut all: Vec<_> = self
            .routes
            .iter()
            .filter(|(of, _)| label.is_none_or(|label| ***of == *label))
            .flat_map(|(of, route)| route.pairs.iter().map(move |(at, pair)| (at, of, pair)))
            .collect();
        all.sort_by_key(|(at, ..)| **at);
        all.into_iter().map(|(_, of, pair)| (Arc::clone(of), Arc::clone(pair))).collect()
    }

    /// Forgets those of a route, or all.
    pub fn forget(&mut self, label: Option<&str>) {
        match label {
            None => *self = Self { next: self.next, ..Self::default() },
            Some(label) => {
                let gone = self.routes.remove(label).unwrap_or_default();
                self.bytes -= gone.pairs.iter().map(|(_, pair)| pair.bytes()).sum::<usize>();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Answer {
        Answer { status: 200, body: Some(body.as_bytes().to_vec()), lines: None }
    }

    fn pair(ours: &str, theirs: &str) -> Kept {
        let answers = [answer(ours), answer(theirs)];
        Kept { id: "".into(), basis: 0, answers, differences: Vec::new() }
    }

    #[test]
    fn an_answer_is_kept_as_json_or_by_its_lines_and_only_where_it_is_short() {
        let of = |content_type: &'static str, body: &str| {
            let side = Side {
                status: 200,
                content_type: Some(content_type.as_bytes()),
                content_encoding: Vec::new(),
                grpc_status: None,
                headers: None,
                body: Body::Whole(body.as_bytes()),
            };
            let Answer { body, lines, .. } = Answer::of(&side, &Rules::default());
            [body, lines].map(|it| it.map(|it| String::from_utf8(it).unwrap()))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(of("application/json", "{\"a\": 1}"), [some("{\"a\":1}"), None]);
        assert_eq!(of("text/plain", "a\nb"), [None, some("a\nb")]);
        assert_eq!(of("text/html", "<p>a"), [None, None]);
        assert_eq!(of("text/plain", &"a".repeat(BODY_MAX + 1)), [None, None]);
        assert_eq!(
            of("text/plain", &"a=1\n".repeat(BODY_MAX / 4)).map(|it| it.is_some()),
            [false, true]
        );
        assert_eq!(
            of("text/plain", &"pin=1\n".repeat(BODY_MAX / 7)),
            [None, None],
            "too long when hidden"
        );
    }

    #[test]
    fn the_last_pairs_of_each_route_are_kept_and_no_more() {
        let (mut pairs, now) = (Pairs::default(), Instant::now());
        let (a, b) = (Arc::from("GET /a"), Arc::from("GET /b"));
        for at in 0..PAIRS_MAX + 5 {
            pairs.keep(&a, pair(&at.to_string(), "x"), now);
        }
        pairs.keep(&b, pair("1", "2"), now);
        let kept = pairs.of(Some("GET /a"));
        assert_eq!(kept.len(), PAIRS_MAX);
        assert_eq!(kept[0].1.answers[0].body.as_deref(), Some(&b"5"[..]));
        assert_eq!(pairs.of(None).len(), PAIRS_MAX + 1);
        assert!(!pairs.wants("GET /a", now) && pairs.wants("GET /a", now + EVERY));
        assert!(pairs.wants("GET /b", now) && pairs.wants("GET /c", now));
        pairs.forget(Some("GET /a"));
        assert_eq!(pairs.of(None).len(), 1);
        pairs.forget(None);
        assert_eq!((pairs.of(None).len(), pairs.bytes), (0, 0));
    }

    #[test]
    fn all_routes_together_keep_within_their_bytes_and_the_oldest_go_first() {
        let (mut pairs, now) = (Pairs::default(), Instant::now());
        let large = "x".repeat(BODY_MAX);
        for at in 0..1000 {
            pairs.keep(&Arc::from(format!("GET /{}", at % 100)), pair(&large, &large), now);
        }
        let held: usize = pairs.of(None).iter().map(|(_, pair)| pair.bytes()).sum();
        assert_eq!(held, pairs.bytes);
        assert!(held <= BYTES_MAX && held > BYTES_MAX / 2, "{held}");
        let last = pairs.of(None).pop().unwrap();
        assert_eq!(&*last.0, "GET /99");
    }
}
