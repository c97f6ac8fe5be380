//! JSON paths (RFC 9535) that rules select values with, matched on the way down a document.
//!
//! The part that is understood: `$`, `.name`, `['name']`, `[0]`, `[*]`, `.*`, and each of them behind
//! `..` for any depth. What is left out (filters, slices, lists, negative indices) would need the
//! whole document before anything can be said of a value.

/// Most segments of a path.
const STEPS_MAX: usize = 32;
/// Longest path, in bytes.
const TEXT_MAX: usize = 512;
/// Largest index (RFC 9535 section 2.1: integers that every implementation holds exactly).
const INDEX_MAX: usize = (1 << 53) - 1;

/// What a rule's path may be, for messages.
pub const ALLOWED: &str = "a JSON path of `$`, `.name`, `['name']`, `[0]`, `[*]`, `.*` and \
    `..name`, of at most 32 segments and 512 bytes";

/// A path such as `$.items[*].updatedAt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    text: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    /// Of the value at hand or of anything in it (`..`).
    deep: bool,
    selector: Selector,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Selector {
    Name(Vec<u8>),
    Index(usize),
    Any,
}

/// A child as its container knows it.
#[derive(Clone, Copy, Debug)]
pub enum Child<'a> {
    /// A member's key, unescaped.
    Key(&'a [u8]),
    /// An element's index.
    Index(usize),
}

/// How many segments have been taken so far, a bit for each number that is possible.
pub type Taken = u64;

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > TEXT_MAX {
            return Err(format!("has {} bytes", text.len()));
        }
        if text.trim_start().starts_with('$') && !text.starts_with('$') {
            return Err("has a space before $, at byte 1".to_owned());
        }
        // Names in quotes write some of them as escapes; nothing else may have any.
        if let Some((at, c)) = text.char_indices().find(|(_, c)| *c < ' ') {
            return Err(format!(
                "has the control character U+{:04X} at byte {}",
                u32::from(c),
                at + 1
            ));
        }
        let mut rest = text.strip_prefix('$').ok_or("does not start with $")?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let step;
            (step, rest) = step_of(rest)?;
            steps.push(step);
            if steps.len() > STEPS_MAX {
                return Err(format!("has more than {STEPS_MAX} segments"));
            }
        }
        Ok(Self { text: text.to_owned(), steps })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it selects the document, or all that is in it: nothing would be left to compare.
    pub fn is_everything(&self) -> bool {
        match self.steps.as_slice() {
            [] => true,
            [step] => step.selector == Selector::Any,
            _ => false,
        }
    }

    /// How many steps below what this selects another path ends: none where it is the same, or a part of it, since
    /// `[*]` is every element and every member. `None` where it leads elsewhere.
    pub fn steps_to(&self, other: &Self) -> Option<usize> {
        let selects = |(one, other): (&Step, &Step)| {
            !one.deep && (one.selector == Selector::Any || one.selector == other.selector)
        };
        let below = other.steps.len().checked_sub(self.steps.len())?;
        self.steps.iter().zip(&other.steps).all(selects).then_some(below)
    }

    /// The path of what has this in it, and its name there; `None` where it does not end with one member of
    /// one parent, `$..name` for one.
    pub fn parent(&self) -> Option<(Self, String)> {
        let (last, steps) = self.steps.split_last()?;
        let Step { deep: false, selector: Selector::Name(name) } = last else { return None };
        let name = String::from_utf8(name.clone()).ok()?;
        Some((Self { text: self.text.clone(), steps: steps.to_vec() }, name))
    }

    /// The last name in it; `None` where it has none.
    pub fn last_name(&self) -> Option<&str> {
        self.steps.iter().rev().find_map(|step| match &step.selector {
            Selector::Name(name) => std::str::from_utf8(name).ok(),
            _ => None,
        })
    }

    /// At the document itself; whether that is selected.
    #[inline]
    pub fn start(&self) -> (Taken, bool) {
        if self.steps.is_empty() { (0, true) } else { (1, false) }
    }

    /// One level further down; whether the child is selected.
    #[inline]
    pub fn step(&self, taken: Taken, child: Child<'_>) -> (Taken, bool) {
        let mut next = 0;
        let mut left = taken;
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            left &= left - 1;
            let step = &self.steps[at];
            if step.deep {
                next |= 1 << at;
            }
            if step.selector.selects(child) {
                next |= 1 << (at + 1);
            }
        }
        let end = 1 << self.steps.len();
        (next & !end, next & end != 0)
    }
}

impl Selector {
    fn selects(&self, child: Child<'_>) -> bool {
        match (self, child) {
            (Self::Any, _) => true,
            (Self::Name(name), Child::Key(key)) => name == key,
            (Self::Index(index), Child::Index(at)) => *index == at,
            _ => false,
        }
    }
}

type Parsed<'t, T> = Result<(T, &'t str), String>;

fn step_of(text: &str) -> Parsed<'_, Step> {
    let (deep, text, dotted) = match (text.strip_prefix(".."), text.strip_prefix('.')) {
        (Some(rest), _) => (true, rest, true),
        (None, Some(rest)) => (false, rest, true),
        (None, None) => (false, text, false),
    };
    let (selector, rest) = match text.strip_prefix('[') {
        Some(_) if dotted && !deep => return Err(format!("has .[ before {text:?}")),
        Some(inside) => bracketed(inside)?,
        None if dotted => shorthand(text)?,
        None => return Err(format!("has {text:?} where a segment should begin")),
    };
    Ok((Step { deep, selector }, rest))
}

/// `*` or a name (RFC 9535 section 2.5.1: letters, digits, `_` and what is not ASCII).
fn shorthand(text: &str) -> Parsed<'_, Selector> {
    if let Some(rest) = text.strip_prefix('*') {
        return Ok((Selector::Any, rest));
    }
    let is_name = |c: char| c == '_' || c.is_ascii_alphanumeric() || !c.is_ascii();
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("has no name before {text:?}; other names are written ['name']"));
    }
    Ok((Selector::Name(name.as_bytes().to_vec()), rest))
}

fn bracketed(text: &str) -> Parsed<'_, Selector> {
    let (selector, rest) = match text.chars().next() {
        Some('*') => (Selector::Any, &text[1..]),
        Some(quote @ ('\'' | '"')) => quoted(&text[1..], quote)?,
        _ => index(text)?,
    };
    let rest = rest.strip_prefix(']').ok_or_else(|| format!("has no ] before {rest:?}"))?;
    Ok((selector, rest))
}

fn index(text: &str) -> Parsed<'_, Selector> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.len() > 1 && digits.starts_with('0') {
        return Err(format!("has an index with a leading zero: {digits}"));
    }
    if digits.is_empty() {
        return Err(format!(
            "has no index, name in quotes or * at {text:?}; nothing else can be in brackets"
        ));
    }
    let index = digits.parse().ok().filter(|index| *index <= INDEX_MAX);
    let index = index.ok_or_else(|| format!("has an index above 2^53 - 1 at {text:?}"))?;
    Ok((Selector::Index(index), rest))
}

const ESCAPES: &str = "has an escape other than \\b \\f \\n \\r \\t \\/ \\\\ \\u with four hex \
    digits, and the quote";

/// The character of a `\u` escape, or of two that are a surrogate pair.
fn code(chars: &mut std::str::CharIndices<'_>) -> Option<char> {
    let first = hex4(chars)?;
    if !(0xD800..0xDC00).contains(&first) {
        return char::from_u32(first);
    }
    let is_escape = chars.next()?.1 == '\\' && chars.next()?.1 == 'u';
    let second = hex4(chars).filter(|unit| is_escape && (0xDC00..0xE000).contains(unit))?;
    char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00))
}

fn hex4(chars: &mut std::str::CharIndices<'_>) -> Option<u32> {
    (0..4).try_fold(0, |unit, _| Some(unit * 16 + chars.next()?.1.to_digit(16)?))
}

/// A name up to its closing quote, with the escapes of RFC 9535 section 2.3.1.1.
fn quoted(text: &str, quote: char) -> Parsed<'_, Selector> {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((Selector::Name(name.into_bytes()), &text[at + 1..])),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('b') => name.push('\u{8}'),
                Some('f') => name.push('\u{c}'),
                Some('n') => name.push('\n'),
                Some('r') => name.push('\r'),
                Some('t') => name.push('\t'),
                Some(c @ ('/' | '\\')) => name.push(c),
                Some(c) if c == quote => name.push(c),
                Some('u') => name.push(code(&mut chars).ok_or(ESCAPES)?),
                _ => return Err(ESCAPES.to_owned()),
            },
            c => name.push(c),
        }
    }
    Err("has a name without a closing quote".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the path selects the value that these children lead to.
    fn selects(path: &str, way: &[Child<'_>]) -> bool {
        let path = Path::parse(path).unwrap();
        let (mut taken, mut selected) = path.start();
        for child in way {
            (taken, selected) = path.step(taken, *child);
        }
        selected
    }

    fn key(name: &str) -> Child<'_> {
        Child::Key(name.as_bytes())
    }

    #[test]
    fn paths_select_what_the_rfc_says() {
        let at = Child::Index;
        let price = [key("items"), at(2), key("price")];
        for path in [
            "$.items[2].price",
            "$['items'][2][\"price\"]",
            "$.items[*].price",
            "$.*[*].*",
            "$..price",
            "$..[2].price",
            "$.items..price",
            "$..*",
            "$..['price']",
        ] {
            assert!(selects(path, &price), "{path}");
        }
        for path in ["$", "$.items", "$.items[1].price", "$.price", "$..item", "$.items[2].Price"] {
            assert!(!selects(path, &price), "{path}");
        }
        assert!(selects("$", &[]));
        assert!(!selects("$..*", &[]), "the document is not in itself");
        assert!(!selects("$['2']", &[at(2)]) && !selects("$[2]", &[key("2")]));
        assert!(selects("$..a..a", &[key("a"), key("b"), key("a")]));
        assert!(!selects("$..a..a", &[key("b"), key("b"), key("a")]));
        assert!(selects(r"$['it\'s\n']", &[key("it's\n")]));
        assert!(selects("$.é_1", &[key("é_1")]));
    }

    #[test]
    fn escapes_of_names_are_those_that_places_are_shown_with() {
        assert!(selects(r"$['a\u000b\u00e9']", &[key("a\u{b}é")]));
        assert!(selects(r#"$["\uD83D\ude00\u263A"]"#, &[key("😀☺")]));
        assert!(selects(r"$['\ud7ff\ue000']", &[key("\u{d7ff}\u{e000}")]));
        for bad in [
            r"$['\u12']",
            r"$['\u+123']",
            r"$['\u123g']",
            r"$['\U0061']",
            r"$['\ud83d']",
            r"$['\ud83dx']",
            r"$['\ud83d\n']",
            r"$['\ud83d\u0061']",
            r"$['\ude00']",
            r"$['\ude00\ud83d']",
        ] {
            let message = Path::parse(bad).expect_err(bad);
            assert!(message.contains("escape"), "{bad}: {message}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_place() {
        for (path, why) in [
            ("items", "start with $"),
            ("$items", "where a segment should begin"),
            ("$.", "no name"),
            ("$.1a", "no name"),
            ("$..", "no name"),
            ("$.a-b", "where a segment should begin"),
            ("$.[0]", ".["),
            ("$[-1]", "nothing else can be in brackets"),
            ("$[01]", "leading zero"),
            ("$[0:2]", "no ]"),
            ("$[?@.a]", "nothing else can be in brackets"),
            ("$['a','b']", "no ]"),
            ("$['a", "closing quote"),
            (r"$['\x61']", "escape"),
            (r"$['\u006']", "escape"),
            (r"$['\ud83d']", "escape"),
            (r"$['\udc00']", "escape"),
            ("$[99999999999999999999999]", "2^53 - 1"),
            ("$[9007199254740992]", "2^53 - 1"),
            ("$['a\tb']", "control character U+0009 at byte 5"),
            ("$[\"\u{1f}\"]", "control character U+001F at byte 4"),
            (" $.a", "space before $"),
            ("$.a ", "where a segment should begin"),
        ] {
            let message = Path::parse(path).expect_err(path);
            assert!(message.contains(why), "{path}: {message}");
        }
        assert!(selects(r"$['\u0061\u0001']", &[key("a\u{1}")]));
        assert!(selects(r"$['\uD83D\ude00']", &[key("😀")]));
        assert!(Path::parse("$[9007199254740991]").is_ok());
        assert!(Path::parse(&format!("${}", ".a".repeat(32))).is_ok());
        assert!(Path::parse(&format!("${}", ".a".repeat(33))).is_err());
        assert!(Path::parse(&format!("$.{}", "a".repeat(600))).is_err());
    }
}
