//! A line of a report before it is known in which format it is shown: what is ours, and what comes from
//! outside and must be told from it.

use std::fmt::{Display, Formatter, Result};

use super::plain::{plain, short};

/// Most characters of what is to be copied: more than a request has that is told.
const WHOLE_MAX: usize = 16 << 10;

/// A part of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Words of ours.
    Words(String),
    /// A label, a path or a value, short and without anything that a terminal acts on.
    Quote(String),
}

/// A line; as text, its spans one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(Vec<Span>);

impl Line {
    /// Begins with words.
    pub fn new(words: impl AsRef<str>) -> Self {
        Self::default().say(words)
    }

    /// Begins with a text from outside.
    pub fn quoting(text: &str) -> Self {
        Self::default().quote(text)
    }

    /// Goes on with words.
    #[must_use]
    pub fn say(mut self, words: impl AsRef<str>) -> Self {
        // A report that was fetched has words of somebody who need not be ours.
        self.0.push(Span::Words(plain(words.as_ref())));
        self
    }

    /// Goes on with a text from outside.
    #[must_use]
    pub fn quote(mut self, text: &str) -> Self {
        self.0.push(Span::Quote(short(text)));
        self
    }

    /// Goes on with a text from outside that is of use as a whole alone; one that is too long is left out.
    #[must_use]
    pub fn whole(mut self, text: &str) -> Self {
        if text.chars().nth(WHOLE_MAX).is_some() {
            return self.say("too long to be shown here, the JSON has it");
        }
        self.0.push(Span::Quote(plain(text)));
        self
    }

    /// Goes on with a path as it is usually written: `$.a` rather than `$['a']` (RFC 9535, section 2.5.1).
    #[must_use]
    pub fn place(self, path: &str) -> Self {
        self.quote(&dotted(path))
    }

    /// Goes on with another line.
    #[must_use]
    pub fn then(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Goes on with texts from outside, with commas between them.
    #[must_use]
    pub fn list<'t>(mut self, texts: impl IntoIterator<Item = &'t str>) -> Self {
        for (at, text) in texts.into_iter().enumerate() {
            self = if at == 0 { self } else { self.say(", ") }.quote(text);
        }
        self
    }

    /// Its parts.
    pub fn spans(&self) -> &[Span] {
        &self.0
    }
}

impl Display for Line {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        self.0.iter().try_for_each(|span| match span {
            Span::Words(text) | Span::Quote(text) => out.write_str(text),
        })
    }
}

/// A normalized path with names in short where they may be. What cannot be such a name is left as it is: a
/// quote in it has a backslash in front.
fn dotted(path: &str) -> String {
    let mut parts = path.split("['");
    let mut dotted = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once("']").filter(|(name, _)| is_name(name)) {
            Some((name, rest)) => dotted.extend([".", name, rest]),
            None => dotted.extend(["['", part]),
        }
    }
    dotted
}

fn is_name(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(is_word)
}

#[cfg(test)]
mod tests {
    use super::dotted;

    #[test]
    fn names_in_paths_are_short_where_they_may_be() {
        for (path, shown) in [
            ("$['a']['b_1'][*]['c']", "$.a.b_1[*].c"),
            ("$['a b']['c']", "$['a b'].c"),
            ("$['it\\'s'][3]", "$['it\\'s'][3]"),
            ("$['1']", "$['1']"),
            ("$", "$"),
            ("header etag", "header etag"),
        ] {
            assert_eq!(dotted(path), shown);
        }
    }
}
