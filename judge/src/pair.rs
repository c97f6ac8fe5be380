//! A finished pair: how the baseline and the candidate answered one request. Both judges are told of the
//! same value, at two moments: the guardrail when both sides have answered or will not, both when the
//! answers are compared, since a slow comparison must never delay a stop.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use compare::Differences;

/// How one side of a pair was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// From the request sent whole to the head of the answer; `None` where none came.
    pub latency: Option<Duration>,
    /// No whole answer, or one that says so: status 500 and up, for one.
    pub failed: bool,
}

/// Tells spells of mirroring apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epoch {
    /// Grows whenever mirroring comes back.
    pub whole: u64,
    /// Grows whenever the route comes back.
    pub route: u64,
}

/// A pair that is over, but for the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The route's label.
    pub route: &'a str,
    /// When the copy was admitted.
    pub epoch: Epoch,
    /// The baseline's side.
    pub baseline: Call,
    /// The candidate's side.
    pub candidate: Call,
    /// The client left before the baseline's head: each latency is what that side had taken by then, at
    /// most, and nobody has failed.
    pub censored: bool,
    /// How long the baseline took to fail, where it gave no head; zero elsewhere, and where nobody knows.
    pub baseline_failed_after: Duration,
    /// Both latencies were measured alike: by one clock, at one place, at the same moment. Those that were
    /// not, a recorded one and one of today, are shown and never held against each other.
    pub alike: bool,
    /// What was asked: for examples.
    pub request: Request<'a>,
}

impl<'a> Pair<'a> {
    /// Of two sides that were both seen to their end, in the first epoch.
    pub fn new(
        route: &'a str,
        request: impl Into<Request<'a>>,
        baseline: Call,
        candidate: Call,
    ) -> Self {
        let (epoch, baseline_failed_after) = Default::default();
        let request = request.into();
        let (censored, alike) = (false, true);
        Self { route, epoch, baseline, candidate, censored, baseline_failed_after, alike, request }
    }
}

/// Tells of a request where somebody asks, since most pairs are no example of anything. Bounded, and without
/// secrets.
pub trait Asking: Send + Sync {
    /// Method, path and query.
    fn shown(&self) -> &str;

    /// All that is kept of it.
    fn asked(&self) -> Option<Arc<Asked>>;
}

/// What was asked, as examples show it.
#[derive(Clone, Copy)]
pub struct Request<'a>(Told<'a>);

#[derive(Clone, Copy)]
enum Told<'a> {
    Shown(&'a str),
    Asking(&'a dyn Asking),
}

impl<'a> Request<'a> {
    /// Method, path and query alone.
    pub const fn text(shown: &'a str) -> Self {
        Self(Told::Shown(shown))
    }

    /// What somebody tells of.
    pub fn of(asking: &'a dyn Asking) -> Self {
        Self(Told::Asking(asking))
    }

    /// Method, path and query, bounded, without secrets.
    pub fn shown(self) -> &'a str {
        match self.0 {
            Told::Shown(shown) => shown,
            Told::Asking(asking) => asking.shown(),
        }
    }

    /// All that is kept of it.
    pub fn asked(self) -> Option<Arc<Asked>> {
        match self.0 {
            Told::Shown(_) => None,
            Told::Asking(asking) => asking.asked(),
        }
    }
}

impl<'a> From<&'a str> for Request<'a> {
    fn from(shown: &'a str) -> Self {
        Self::text(shown)
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Request").field(&self.shown()).finish()
    }
}

impl PartialEq for Request<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.shown() == other.shown()
    }
}

impl Eq for Request<'_> {}

/// What is kept of a request, and how it was answered. Whoever makes one bounds it, and leaves out what is
/// secret or personal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// Path and query; `***` stands for what is hidden.
    pub target: String,
    /// Header lines that it can be sent again with; `None` for a value that is hidden.
    pub headers: Vec<(String, Option<String>)>,
    /// What finds it in logs and traces: `traceparent`, `x-request-id` and the like.
    pub ids: Vec<(String, String)>,
    /// The body, without what is hidden.
    pub body: AskedBody,
    /// Of baseline and candidate.
    pub statuses: Option<[u16; 2]>,
}

/// What is kept of a request's body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AskedBody {
    /// There was none.
    #[default]
    None,
    /// It may not be kept, it is too large, or no text that can be looked into.
    NotKept,
    /// All of it, as text; `***` stands for what is hidden.
    Kept(String),
}

impl Asked {
    /// An estimate of what it takes, in bytes.
    pub fn bytes(&self) -> usize {
        const FIXED: usize = 160;
        const LINE: usize = 64;
        let value = |value: &Option<String>| value.as_ref().map_or(0, String::len);
        let headers: usize =
            self.headers.iter().map(|(name, it)| LINE + name.len() + value(it)).sum();
        let ids: usize = self.ids.iter().map(|(name, it)| LINE + name.len() + it.len()).sum();
        let body = match &self.body {
            AskedBody::Kept(text) => text.len(),
            AskedBody::None | AskedBody::NotKept => 0,
        };
        FIXED + self.method.len() + self.target.len() + headers + ids + body
    }
}

/// What came of comparing the two answers of a pair; by default there was nothing to compare.
#[derive(Clone, Copy, Debug, Default)]
pub struct Comparison<'a> {
    /// Whether there was content to compare, be it empty: answers to HEAD and 304 are about a content
    /// that they do not have, and their agreement says nothing of it.
    pub content: bool,
    /// What differs; `None` when the answers were not compared (there was none, or no room).
    pub differences: Option<&'a Differences>,
}

impl Comparison<'_> {
    /// Whether the answers differ; `None` when they were not compared.
    pub fn differs(&self) -> Option<bool> {
        self.differences.map(|it| !it.found.is_empty() || it.more)
    }
}
