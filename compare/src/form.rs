//! The same, written differently: in which way two values that differ say one thing.

use super::alike::{self, Chars};
use super::json::{Kind, Tape};
use super::lenient;
use super::number;

/// Longest value that is looked at, in bytes as sent.
const LENGTH_MAX: usize = 4096;
/// Elements of a list that may be the same as a text.
const ELEMENTS_MAX: usize = 64;

/// In which way the same is written differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Form {
    /// One moment, in another zone, precision, or way of writing.
    Moment,
    /// A number, and a text that is that number.
    NumberAsText,
    /// A boolean, and a text that says it.
    BooleanAsText,
    /// Texts that are canonically equal (Unicode Standard Annex 15).
    UnicodeForm,
    /// Texts that are equal without regard to case.
    LetterCase,
    /// A list, and a text of its elements.
    ListAsText,
    /// A member that is null, and none.
    NullOrMissing,
    /// An empty text, and null.
    EmptyOrNull,
    /// A path or URL, with and without `/` at its end.
    TrailingSlash,
    /// A URL by `http` and by `https`.
    Scheme,
}

impl Form {
    /// What it is, for people, and what such differences are told apart by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Moment => "the same moment, written differently",
            Self::NumberAsText => "the same number, as text on one side",
            Self::BooleanAsText => "the same boolean, as text on one side",
            Self::UnicodeForm => "the same text in another Unicode form",
            Self::LetterCase => "the same text in another letter case",
            Self::ListAsText => "the same list, as text on one side",
            Self::NullOrMissing => "null on one side, missing on the other",
            Self::EmptyOrNull => "an empty text on one side, null on the other",
            Self::TrailingSlash => "the same with and without / at its end",
            Self::Scheme => "the same by http and by https",
        }
    }

    /// Of two values that differ; `None` where they say something else.
    pub(super) fn of(ours: (&Tape<'_>, usize), theirs: (&Tape<'_>, usize)) -> Option<Self> {
        if [ours, theirs].iter().any(|(tape, node)| tape.raw(*node).len() > LENGTH_MAX) {
            return None;
        }
        match (ours.0.kind(ours.1), theirs.0.kind(theirs.1)) {
            (Kind::String, Kind::String) => {
                of_texts(&text(ours), &text(theirs)).or_else(|| seen_alike(ours, theirs))
            }
            (Kind::Number, Kind::Number) => {
                lenient::one_moment(ours, theirs).then_some(Self::Moment)
            }
            (Kind::String, _) => as_text(&text(ours), theirs),
            (_, Kind::String) => as_text(&text(theirs), ours),
            _ => None,
        }
    }
}

fn text((tape, node): (&Tape<'_>, usize)) -> Vec<u8> {
    tape.text(node).unescaped().into_owned()
}

fn of_texts(ours: &[u8], theirs: &[u8]) -> Option<Form> {
    if lenient::one_time(ours, theirs) {
        return Some(Form::Moment);
    }
    let is_place = |text: &[u8]| text.starts_with(b"/") || scheme(text).is_some();
    let slash = |with: &[u8], without: &[u8]| with.strip_suffix(b"/") == Some(without);
    if is_place(ours) && (slash(ours, theirs) || slash(theirs, ours)) {
        return Some(Form::TrailingSlash);
    }
    let (a, b) = (scheme(ours)?, scheme(theirs)?);
    (a.1 == b.1 && a.0 != b.0).then_some(Form::Scheme)
}

/// Whether a URL is by TLS, and what is behind its scheme.
fn scheme(text: &[u8]) -> Option<(bool, &[u8])> {
    let plain = text.strip_prefix(b"http://").map(|rest| (false, rest));
    plain.or_else(|| text.strip_prefix(b"https://").map(|rest| (true, rest)))
}

fn seen_alike(ours: (&Tape<'_>, usize), theirs: (&Tape<'_>, usize)) -> Option<Form> {
    let [ours, theirs] = [ours, theirs].map(|(tape, node)| Chars::new(tape.text(node).bytes()));
    match alike::in_what(ours, theirs)? {
        alike::UNICODE_FORM => Some(Form::UnicodeForm),
        alike::LETTER_CASE => Some(Form::LetterCase),
        _ => None,
    }
}

/// Whether a value that is no text is what a text says.
fn as_text(text: &[u8], (tape, node): (&Tape<'_>, usize)) -> Option<Form> {
    match tape.kind(node) {
        Kind::Null => text.is_empty().then_some(Form::EmptyOrNull),
        Kind::True => text.eq_ignore_ascii_case(b"true").then_some(Form::BooleanAsText),
        Kind::False => text.eq_ignore_ascii_case(b"false").then_some(Form::BooleanAsText),
        Kind::Number if lenient::is_moment(text, (tape, node)) => Some(Form::Moment),
        Kind::Number => same_number(text, tape.raw(node)).then_some(Form::NumberAsText),
        Kind::Array => is_list(text, tape, node).then_some(Form::ListAsText),
        _ => None,
    }
}

fn same_number(text: &[u8], number: &[u8]) -> bool {
    let text = text.trim_ascii();
    let signs = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    let is_number = text.iter().any(u8::is_ascii_digit) && text.iter().all(signs);
    // Of what only looks like one, such as a date, nothing is asked.
    let parsed = std::str::from_utf8(text).is_ok_and(|text| text.parse::<f64>().is_ok());
    is_number && parsed && number::equal(text.strip_prefix(b"+").unwrap_or(text), number)
}

/// Whether a text is the elements of a list, with one sign between them.
fn is_list(text: &[u8], tape: &Tape<'_>, list: usize) -> bool {
    let elements: Vec<_> = tape.children(list).take(ELEMENTS_MAX + 1).collect();
    if !(2..=ELEMENTS_MAX).contains(&elements.len()) {
        return false;
    }
    [b',', b';', b'|', b' ', b'\n'].into_iter().any(|sign| {
        let mut parts = text.split(|byte| *byte == sign).map(<[u8]>::trim_ascii);
        elements.iter().all(|node| parts.next().is_some_and(|part| says(part, tape, *node)))
            && parts.next().is_none()
    })
}

fn says(part: &[u8], tape: &Tape<'_>, node: usize) -> bool {
    match tape.kind(node) {
        Kind::String => tape.text(node).unescaped().trim_ascii() == part,
        Kind::Number => same_number(part, tape.raw(node)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::parse;
    use super::*;

    fn form(ours: &str, theirs: &str) -> Option<Form> {
        let tape = |text: &'static str| parse(text.as_bytes(), &mut |_| true).unwrap().unwrap();
        let [a, b] = [ours, theirs].map(|text| tape(text.to_owned().leak()));
        let found = Form::of((&a, 0), (&b, 0));
        assert_eq!(Form::of((&b, 0), (&a, 0)), found, "the other way round");
        found
    }

    #[test]
    fn the_same_written_differently_is_told_by_its_form() {
        let noon = "\"2024-02-29T12:00:00Z\"";
        for (ours, theirs, expected) in [
            (noon, "\"2024-02-29T12:00:00.000+00:00\"", Form::Moment),
            (noon, "\"2024-02-29T13:00:00+01:00\"", Form::Moment),
            (noon, "1709208000", Form::Moment),
            (noon, "1709208000000", Form::Moment),
            ("1709208000", "1709208000000", Form::Moment),
            ("12.5", "\"12.50\"", Form::NumberAsText),
            ("1e3", "\"1000\"", Form::NumberAsText),
            ("true", "\"true\"", Form::BooleanAsText),
            ("\"caf\u{e9}\"", "\"cafe\u{301}\"", Form::UnicodeForm),
            ("\"ACTIVE\"", "\"active\"", Form::LetterCase),
            ("[\"a\", \"b\"]", "\"a,b\"", Form::ListAsText),
            ("[1, 2.0]", "\"1; 2\"", Form::ListAsText),
            ("\"\"", "null", Form::EmptyOrNull),
            ("\"/a/b/\"", "\"/a/b\"", Form::TrailingSlash),
            ("\"https://a/b\"", "\"https://a/b/\"", Form::TrailingSlash),
            ("\"http://a/b\"", "\"https://a/b\"", Form::Scheme),
        ] {
            assert_eq!(form(ours, theirs), Some(expected), "{ours} {theirs}");
        }
    }

    #[test]
    fn what_says_something_else_is_none() {
        for (ours, theirs) in [
            ("\"2024-02-29T12:00:00Z\"", "\"2024-02-29T12:00:01Z\""),
            ("\"2024-02-29T12:00:00Z\"", "1709208001"),
            ("12.5", "\"12.51\""),
            ("1", "\"one\""),
            ("1", "\"\""),
            ("1", "\"1-1\""),
            ("true", "\"yes\""),
            ("false", "\"true\""),
            ("[\"a\", \"b\"]", "\"b,a\""),
            ("[\"a\", \"b\"]", "\"a,b,c\""),
            ("[]", "\"\""),
            ("[\"a\"]", "\"a\""),
            ("\" \"", "null"),
            ("\"a/\"", "\"a\""),
            ("\"http://a\"", "\"https://b\""),
            ("\"a\"", "\"b\""),
            ("1", "2"),
            ("null", "1"),
            ("{}", "\"\""),
        ] {
            assert_eq!(form(ours, theirs), None, "{ours} {theirs}");
        }
    }

    #[test]
    fn long_values_are_not_looked_at() {
        let long = "A".repeat(LENGTH_MAX + 1);
        assert_eq!(form(&format!("\"{long}\""), &format!("\"{}\"", long.to_lowercase())), None);
    }
}
