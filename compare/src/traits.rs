//! What a differing value is like, apart from what it is. Where a service differs from itself, the
//! values say nothing of the candidate, but what they are like still does: where both baselines
//! give a UUID, the candidate must not give a null, an error text, or always the same.

use http::HeaderName;
use http::header::{CACHE_CONTROL, LOCATION};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::explained::Explained;
use super::json::{Kind as Node, Tape};
use super::lenient;
use super::rules::Classes;

/// Bytes of a text that are looked at.
const LOOKED_AT: usize = 256;
/// Lines of a text that are told apart; the rest is one.
const LINES_MAX: usize = 2048;
/// With fewer lines the words and tags are the lines: pages are often minified.
const FEW_LINES: usize = 8;
/// Words of so many bytes and more are tokens, with digits or without.
const TOKEN_MIN: usize = 24;
/// Longest shape, in bytes.
const SHAPE_MAX: usize = 96;

/// What one difference is like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// What the candidate's value is like; `None` where its kind says all.
    pub shape: Option<String>,
    /// Hashes of both values, to see a value that never changes; `None` where they are masked.
    pub values: Option<[u32; 2]>,
    /// Classes that both values are of: a rule for any of them takes the difference away.
    pub classes: Classes,
    /// How far two numbers are apart, as a share of the larger one in billionths, rounded up; `None` for all
    /// else.
    pub apart: Option<u64>,
    /// What the difference is, where more than its kind is known.
    pub explained: Option<Explained>,
}

impl Traits {
    /// The same, explained: other explanations at one place are other differences.
    pub(super) fn with(self, explained: Explained) -> Self {
        let Self { shape, .. } = Self::shape(explained.text());
        Self { shape, explained: Some(explained), ..self }
    }

    fn shape(shape: impl Into<String>) -> Self {
        let mut shape = shape.into();
        shape.truncate(shape.floor_char_boundary(SHAPE_MAX));
        Self { shape: Some(shape), ..Self::default() }
    }

    /// Of a shape that is known.
    pub(super) fn known(shape: &str) -> Self {
        Self::shape(shape)
    }

    /// Of two values of one type.
    pub(super) fn of_values(ours: (&Tape<'_>, usize), theirs: (&Tape<'_>, usize)) -> Self {
        let shape = match theirs.0.kind(theirs.1) {
            Node::String => {
                let text = theirs.0.text(theirs.1);
                let beginning: Vec<_> = text.bytes().take(LOOKED_AT + 1).collect();
                let length = if beginning.len() > LOOKED_AT {
                    theirs.0.raw(theirs.1).len()
                } else {
                    beginning.len()
                };
                Some(text_shape(&beginning, length))
            }
            Node::Number => Some(number_shape(theirs.0.raw(theirs.1))),
            _ => None,
        };
        let values = [ours, theirs].map(|(tape, node)| match tape.kind(node) {
            Node::True => 1,
            Node::False => 2,
            _ => digest(tape.raw(node)),
        });
        let classes = lenient::classes(ours, theirs);
        let apart = apart_by(ours, theirs);
        Self { shape, values: Some(values), classes, apart, explained: None }
    }

    /// Of a value of another type.
    pub(super) fn of_type(tape: &Tape<'_>, node: usize) -> Self {
        Self::shape(match tape.kind(node) {
            Node::Null => "null",
            Node::True | Node::False => "boolean",
            Node::Number => "number",
            Node::Word => "no number",
            Node::String | Node::Key => "string",
            Node::Array => "array",
            Node::Object => "object",
        })
    }

    /// Of two bodies that are text: how many lines of each the other one has not, and whether these
    /// differ in more than numbers and tokens, as a page that is new each time does not.
    pub(super) fn of_texts(ours: &[u8], theirs: &[u8]) -> Self {
        let few = [ours, theirs]
            .iter()
            .any(|text| text.split(|byte| *byte == b'\n').nth(FEW_LINES).is_none());
        let (gone, new) = apart(&lines(ours, few, xxh3_64), &lines(theirs, few, xxh3_64));
        let Some(gone) = gone else { return Self::shape("nothing in common") };
        let shape = format!("{} gone, {} new", class(gone), class(new));
        let (words_gone, words_new) = apart(&lines(ours, few, words), &lines(theirs, few, words));
        let words_gone = words_gone.unwrap_or(gone);
        if (words_gone, words_new) == (0, 0) {
            return Self::shape(format!("{shape}, in numbers and tokens alone"));
        }
        Self::shape(format!("{shape}, in words {} and {}", class(words_gone), class(words_new)))
    }

    /// Of two texts within bodies: of sentences the words that differ, of all else what it looks like.
    pub(super) fn of_parts(ours: &[u8], theirs: &[u8]) -> Self {
        let is_sentence = theirs.trim_ascii().iter().any(u8::is_ascii_whitespace);
        let mut traits = match is_sentence {
            true => Self::of_texts(ours, theirs),
            false => Self::shape(text_shape(theirs, theirs.len())),
        };
        traits.values = Some([digest(ours), digest(theirs)]);
        traits
    }

    /// Of two values of a header, not masked.
    pub(super) fn of_header(name: &HeaderName, ours: Option<&[u8]>, theirs: Option<&[u8]>) -> Self {
        let (ours, theirs) = match (ours, theirs) {
            (Some(ours), Some(theirs)) => (ours, theirs),
            (_, None) => return Self::shape("absent"),
            (None, _) => return Self::shape("only here"),
        };
        if *name == CACHE_CONTROL {
            return Self::shape(named(&parameters(ours, b','), &parameters(theirs, b',')));
        }
        if *name == LOCATION {
            return Self::shape(location(ours, theirs));
        }
        let mut traits = Self::shape(text_shape(theirs, theirs.len()));
        traits.values = Some([digest(ours), digest(theirs)]);
        traits
    }
}

/// See [`Traits::apart`]: an estimate, good enough to propose a tolerance.
fn apart_by(ours: (&Tape<'_>, usize), theirs: (&Tape<'_>, usize)) -> Option<u64> {
    let number = |(tape, node): (&Tape<'_>, usize)| {
        let is_number = tape.kind(node) == Node::Number && tape.raw(node).len() <= LOOKED_AT;
        let text = std::str::from_utf8(tape.raw(node)).ok().filter(|_| is_number)?;
        text.parse::<f64>().ok().filter(|number| number.is_finite())
    };
    let (ours, theirs) = (number(ours)?, number(theirs)?);
    let share = (ours - theirs).abs() / ours.abs().max(theirs.abs());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 2e9")]
    let billionths = (share * 1e9).ceil() as u64;
    share.is_finite().then_some(billionths)
}

fn digest(bytes: &[u8]) -> u32 {
    let [a, b, c, d, ..] = xxh3_64(bytes).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Powers of two: lengths that are random differ a little from one to the next.
fn class(length: usize) -> String {
    match length {
        0 => "0".to_owned(),
        1 => "1".to_owned(),
        more => {
            let low = 1 << more.ilog2();
            format!("{low} to {}", 2 * low - 1)
        }
    }
}

fn text_shape(bytes: &[u8], length: usize) -> String {
    let bytes = &bytes[..bytes.len().min(LOOKED_AT)];
    let all = |is: fn(&u8) -> bool| bytes.iter().all(is);
    let kind = if bytes.trim_ascii().is_empty() {
        return "empty text".to_owned();
    } else if is_uuid(bytes) {
        return "UUID".to_owned();
    } else if all(u8::is_ascii_digit) {
        "digits"
    } else if all(u8::is_ascii_hexdigit) {
        "hex digits"
    } else if is_date(bytes) {
        return "date".to_owned();
    } else if all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)) {
        "letters, digits, - and _"
    } else if all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_.".contains(byte)) {
        "Base64"
    } else if all(u8::is_ascii_graphic) {
        "signs without space"
    } else {
        "text"
    };
    format!("{kind}, {} long", class(length))
}

fn is_uuid(bytes: &[u8]) -> bool {
    let dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    bytes.len() == 36
        && bytes
            .iter()
            .enumerate()
            .all(|(at, byte)| if dash(at) { *byte == b'-' } else { byte.is_ascii_hexdigit() })
}

fn is_date(bytes: &[u8]) -> bool {
    bytes.len() >= 10
        && bytes[..10].iter().enumerate().all(|(at, byte)| {
            if matches!(at, 4 | 7) { *byte == b'-' } else { byte.is_ascii_digit() }
        })
}

fn number_shape(raw: &[u8]) -> String {
    let sign = if raw.first() == Some(&b'-') { "negative " } else { "" };
    let digits = raw.iter().skip_while(|byte| **byte == b'-');
    let whole = digits.take_while(|byte| byte.is_ascii_digit()).count();
    let fraction = if raw.contains(&b'.') { "fraction" } else { "number" };
    if raw.iter().all(|byte| b"-0.".contains(byte)) {
        return "0".to_owned();
    }
    format!(
        "{sign}{fraction} of {} digits",
        if whole <= 3 { "1 to 3".into() } else { class(whole) }
    )
}

/// Hashes of all lines, sorted.
fn lines(text: &[u8], few: bool, hash: fn(&[u8]) -> u64) -> Vec<u64> {
    let ends = |byte: &u8| {
        *byte == b'\n' || few && (byte.is_ascii_whitespace() || b"<>&;=,\"".contains(byte))
    };
    let mut parts = text.splitn(LINES_MAX, ends);
    let trimmed = parts.by_ref().map(<[u8]>::trim_ascii).filter(|part| !part.is_empty());
    let mut lines: Vec<_> = trimmed.map(hash).collect();
    lines.sort_unstable();
    lines
}

/// A hash of a line in which all numbers and tokens are the same.
fn words(line: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (mut digits, mut end) = (false, 0);
        for byte in rest {
            let joins = byte.is_ascii_alphanumeric() || b"_-+/.".contains(byte);
            // Base64 ends so; elsewhere it stands between a name and its value.
            if !(joins || digits && *byte == b'=') {
                break;
            }
            digits |= byte.is_ascii_digit();
            end += 1;
        }
        let (word, behind) = rest.split_at(end.max(1));
        let token = digits || word.len() >= TOKEN_MIN;
        hasher.update(if token { b"0" } else { word });
        rest = behind;
    }
    hasher.digest()
}

/// How many of the first sorted list are not in the second, `None` for all of them, and the other way
/// round.
fn apart(ours: &[u64], theirs: &[u64]) -> (Option<usize>, usize) {
    let (gone, new) = (without(ours, theirs), without(theirs, ours));
    ((gone < ours.len()).then_some(gone), new)
}

/// How many of one sorted list are not in the other.
fn without(list: &[u64], other: &[u64]) -> usize {
    let mut at = 0;
    let missing = list.iter().filter(|line| {
        while other.get(at).is_some_and(|found| found < line) {
            at += 1;
        }
        let there = other.get(at) == Some(line);
        at += usize::from(there);
        !there
    });
    missing.count()
}

type Parameters<'v> = Vec<(String, &'v [u8])>;

/// Names in lower case with their values, sorted.
fn parameters(value: &[u8], by: u8) -> Parameters<'_> {
    let parts = value.split(|byte| *byte == by).map(<[u8]>::trim_ascii);
    let mut found: Vec<_> = parts
        .filter(|part| !part.is_empty())
        .take(LINES_MAX)
        .map(|part| {
            let at = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
            let name = String::from_utf8_lossy(&part[..at.min(32)]).to_ascii_lowercase();
            (name, part.get(at + 1..).unwrap_or_default())
        })
        .collect();
    found.sort_unstable();
    found
}

/// The names of what is gone, new, or of another value.
fn named(ours: &Parameters<'_>, theirs: &Parameters<'_>) -> String {
    let mut names = Vec::new();
    let value = |list: &Parameters<'_>, name: &str| {
        list.iter().find(|(it, _)| it == name).map(|(_, value)| value.to_vec())
    };
    for (name, _) in ours.iter().filter(|(name, _)| value(theirs, name).is_none()) {
        names.push(format!("-{name}"));
    }
    for (name, theirs) in theirs {
        match value(ours, name) {
            None => names.push(format!("+{name}")),
            Some(ours) if ours != *theirs => {
                names.push(format!("{name}: {}", text_shape(theirs, theirs.len())));
            }
            Some(_) => {}
        }
    }
    names.join(" ")
}

/// Which segments and parameters differ, and what theirs are like; and whether the fragment does.
fn location(ours: &[u8], theirs: &[u8]) -> String {
    let [(our_path, our_query, our_end), (their_path, their_query, their_end)] =
        [ours, theirs].map(parts);
    let segments = |path: &'_ [u8]| path.split(|byte| *byte == b'/').count();
    let mut found = Vec::new();
    if segments(our_path) == segments(their_path) {
        let by = |byte: &u8| *byte == b'/';
        let pairs = our_path.split(by).zip(their_path.split(by)).enumerate();
        let pairs = pairs.filter(|(_, (a, b))| a != b);
        found.extend(pairs.map(|(at, (_, b))| format!("/{at} {}", text_shape(b, b.len()))));
    } else {
        found.push(format!("{} segments", segments(their_path)));
    }
    let named = named(&parameters(our_query, b'&'), &parameters(their_query, b'&'));
    found.extend((!named.is_empty()).then_some(named));
    found.extend((our_end != their_end).then(|| "fragment".to_owned()));
    found.join(" ")
}

/// The path, the query and the fragment of a location.
fn parts(location: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let split = |text: &'_ [u8], by: u8| text.iter().position(|byte| *byte == by);
    let (rest, fragment) = match split(location, b'#') {
        Some(at) => (&location[..at], &location[at + 1..]),
        None => (location, &b""[..]),
    };
    match split(rest, b'?') {
        Some(at) => (&rest[..at], &rest[at + 1..], fragment),
        None => (rest, b"", fragment),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(ours: &str, theirs: &str) -> String {
        Traits::of_texts(ours.as_bytes(), theirs.as_bytes()).shape.unwrap()
    }

    /// A page whose first lines are new each time.
    fn page(nonce: &str, time: &str, words: &str) -> String {
        let fixed: String = (0..20).map(|n| format!("<li>entry {n}</li>\n")).collect();
        format!("<script nonce=\"{nonce}\">\n<p>made at {time}</p>\n<p>{words}</p>\n{fixed}")
    }

    #[test]
    fn pages_that_differ_by_numbers_and_tokens_are_told_from_those_with_other_words() {
        let ours = page("kQ3x+/a1==", "12:00:01.5", "Welcome to the shop");
        let by_itself = texts(&ours, &page("Zk29/bb+", "12:00:02", "Welcome to the shop"));
        let again = texts(&ours, &page("9f8e7d6c5b4a", "23:59:59.999", "Welcome to the shop"));
        assert_eq!(by_itself, again);
        // As many lines differ, but not the same.
        let other = texts(&ours, &page("kQ3x+/a1==", "12:00:02", "Internal error"));
        assert_ne!(by_itself, other);
        let both = texts(&ours, &page("Zk29/bb+", "12:00:02", "Internal error"));
        assert_ne!(by_itself, both);
        let short = |id: &str, text: &str| format!("<p id={id}>{text}</p>");
        let few = texts(&short("a1", "all is well"), &short("b2", "all is well"));
        assert_ne!(few, texts(&short("a1", "all is well"), &short("a1", "all is bad")));
        assert_eq!(texts("one\n", "<html>"), "nothing in common");
    }

    #[test]
    fn locations_are_like_their_path_and_their_parameters_each() {
        let like = |theirs: &str| location(b"/a/1?code=1&state=x", theirs.as_bytes());
        assert_eq!(like("/a/2?code=1&state=x"), "/2 digits, 1 long");
        assert_eq!(like("/a/1?state=x&code=2"), "code: digits, 1 long");
        assert_eq!(like("/a/b/1?state=x&code=1"), "4 segments");
        assert_eq!(like("/a/b/1?state=x"), "4 segments -code");
        assert_eq!(like("/a/1?code=1&state=x#top"), "fragment");
    }
}
