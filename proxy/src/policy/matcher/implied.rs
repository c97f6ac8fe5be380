//! Whether all requests that fit one matcher fit another, as far as what is written tells it. Where that
//! cannot be told the answer is no.

use super::{
    Condition, Matcher, PathTest, Reading, Spelled, Test, ValueTest, WHOLE_BEGINS, WHOLE_ENDS,
};
use crate::route::Template;

/// Which of the requests that fit a matcher fit another, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// All.
    All,
    /// All whose target has a path, which that of `OPTIONS *` has not.
    WithPath,
}

impl Matcher {
    /// Which requests that fit `other` fit this one, too, however their paths are read; `None` where
    /// others may be left.
    pub fn takes(&self, other: &Self) -> Option<Taken> {
        let mut taken = Taken::All;
        for condition in &self.conditions {
            if other.conditions.iter().any(|it| follows(it, condition)) || is_always(condition) {
                continue;
            }
            if !is_any_path(condition) || other.conditions.iter().any(may_be_no_path) {
                return None;
            }
            taken = Taken::WithPath;
        }
        Some(taken)
    }
}

/// Whether a condition always holds.
fn is_always(condition: &Condition) -> bool {
    matches!(&condition.test, Test::Path(PathTest::Regex(it)) if is_pattern(it.as_str(), ".*"))
        && !condition.not
}

/// Whether it holds for all paths.
fn is_any_path(condition: &Condition) -> bool {
    matches!(&condition.test, Test::Path(test) if test.is_any_path()) && !condition.not
}

/// Whether it may be for `*`, which is no path.
fn may_be_no_path(condition: &Condition) -> bool {
    match &condition.test {
        Test::Path(PathTest::Exact(path)) => condition.not || !path.sent.starts_with('/'),
        Test::Path(PathTest::Prefix(_) | PathTest::Template(_)) => condition.not,
        Test::Path(PathTest::Regex(regex)) => condition.not != regex.is_match("*"),
        _ => false,
    }
}

/// Whether the second condition holds wherever the first does.
fn follows(from: &Condition, what: &Condition) -> bool {
    match (from.not, what.not) {
        (false, false) => from.test.implies(&what.test),
        (true, true) => what.test.implies(&from.test),
        (false, true) => from.test.excludes(&what.test),
        (true, false) => false,
    }
}

impl Test {
    fn implies(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Label(one), Self::Label(other)) => one == other,
            (Self::Method(one), Self::Method(other)) => one.iter().all(|it| other.contains(it)),
            (Self::Path(one), Self::Path(other)) => one.implies(other),
            (Self::Host(one), Self::Host(other)) => one.implies_of_host(other),
            (Self::Header(name, one), Self::Header(named, other)) => {
                name == named && one.implies(other)
            }
            (Self::Query(name, one), Self::Query(named, other))
            | (Self::Cookie(name, one), Self::Cookie(named, other)) => {
                name == named && one.implies(other)
            }
            (Self::Client(one), Self::Client(other)) => other.covers(one),
            _ => false,
        }
    }

    /// Whether the other never holds where this one does.
    fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Method(one), Self::Method(other)) => !one.iter().any(|it| other.contains(it)),
            (Self::Path(PathTest::Exact(path)), Self::Path(other)) => path
                .readings()
                .iter()
                .all(|(path, is_as_sent)| !other.holds(&reading(path, *is_as_sent))),
            _ => false,
        }
    }
}

impl<T> Spelled<T> {
    /// In both readings, of which the first is as it is sent.
    fn readings(&self) -> [(&T, bool); 2] {
        [(&self.sent, true), (self.read.as_ref().unwrap_or(&self.sent), false)]
    }
}

fn reading(path: &str, is_as_sent: bool) -> Reading<'_> {
    Reading { path: path.into(), query: None, is_as_sent }
}

impl PathTest {
    fn is_any_path(&self) -> bool {
        match self {
            Self::Prefix(prefix) => prefix.sent == "/",
            Self::Regex(regex) => is_pattern(regex.as_str(), "/.*"),
            _ => false,
        }
    }

    fn implies(&self, other: &Self) -> bool {
        match self {
            Self::Exact(path) => path
                .readings()
                .iter()
                .all(|(path, is_as_sent)| other.holds(&reading(path, *is_as_sent))),
            Self::Prefix(path) => path
                .readings()
                .iter()
                .all(|(path, is_as_sent)| other.holds_below(&reading(path, *is_as_sent))),
            Self::Template(template) => {
                template.readings().iter().all(|(it, is_as_sent)| other.takes(it, *is_as_sent))
            }
            Self::Regex(one) => {
                matches!(other, Self::Regex(other) if one.as_str() == other.as_str())
            }
        }
    }

    /// Whether it holds for a path and for all below it.
    fn holds_below(&self, path: &Reading<'_>) -> bool {
        match self {
            Self::Prefix(_) => self.holds(path),
            _ => path.path.starts_with('/') && self.is_any_path(),
        }
    }

    /// Whether it holds for all paths that fit a template.
    fn takes(&self, template: &Template, is_as_sent: bool) -> bool {
        let text = template.text();
        let segments: Vec<_> = text.trim_start_matches('/').split('/').collect();
        let Some(first) = segments.iter().position(|it| is_placeholder(it)) else {
            return self.holds(&reading(text, is_as_sent));
        };
        match self {
            Self::Template(other) => has_all_of(other.of(&reading(text, is_as_sent)), template),
            // The part in front of the first placeholder ends with a slash, and something follows.
            Self::Prefix(_) => {
                let fixed = segments[..first].iter().map(|it| format!("{it}/"));
                let with_slash = format!("/{}", fixed.collect::<String>());
                let folder = with_slash.trim_end_matches('/');
                let holds = |path: &str| self.holds(&reading(path, is_as_sent));
                self.is_any_path() || holds(folder) || holds(&with_slash)
            }
            _ => self.is_any_path(),
        }
    }
}

/// Whether all paths that fit the second template fit the first.
fn has_all_of(template: &Template, other: &Template) -> bool {
    let mut others = other.text().split('/');
    let has = |segment: &str| {
        others
            .next()
            .is_some_and(|other| segment == other || (is_placeholder(segment) && !other.is_empty()))
    };
    template.text().split('/').all(has) && others.next().is_none()
}

fn is_placeholder(segment: &str) -> bool {
    segment.starts_with('{') && segment.ends_with('}')
}

/// Whether a regular expression is this one, for the whole of a text.
fn is_pattern(regex: &str, pattern: &str) -> bool {
    let inner = regex.strip_prefix(WHOLE_BEGINS).and_then(|rest| rest.strip_suffix(WHOLE_ENDS));
    inner == Some(pattern)
}

impl ValueTest {
    /// For one value, and so for one of several.
    fn implies(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Present) => true,
            (Self::Exact(value), other) => other.holds(value.as_bytes()),
            (Self::Prefix(one), Self::Prefix(other)) => one.starts_with(other.as_str()),
            (Self::Regex(one), Self::Regex(other)) => one.as_str() == other.as_str(),
            (Self::Range(least, most), Self::Range(from, to)) => from <= least && most <= to,
            _ => false,
        }
    }

    /// Of a host, which is the same in several spellings.
    fn implies_of_host(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(one), Self::Exact(other)) => one.eq_ignore_ascii_case(other),
            (Self::Prefix(one), Self::Prefix(other)) => {
                let begin = one.as_bytes().get(..other.len());
                begin.is_some_and(|begin| begin.eq_ignore_ascii_case(other.as_bytes()))
            }
            (Self::Regex(one), Self::Regex(other)) => one.as_str() == other.as_str(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
