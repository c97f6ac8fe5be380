//! What is shown of a document: where a value is, and a bounded text of it. Never what is masked.

use std::borrow::Cow;

use super::alike::{self, Chars};
use super::ids;
use super::json::{Kind, Tape};
use super::redaction::{Eyes, Hide, LENGTH_MAX, hidden, hidden_bytes};

/// Bytes of a value's text, and of a key in a place.
pub(super) const TEXT_MAX: usize = 64;
/// Bytes of a place, about; what is nearest to the document is left out of a longer one.
const PLACE_MAX: usize = 512;
const ELLIPSIS: &str = "…";

/// A text cut at its bound, with what must be around it in any case.
pub(super) fn bounded(before: &str, text: &[u8], behind: &str) -> String {
    let room = TEXT_MAX - before.len() - behind.len();
    // More bytes than that cannot be shown; a character takes up to four.
    let whole = text.len() <= room;
    let text = String::from_utf8_lossy(&text[..text.len().min(room + 4)]);
    if whole && text.len() <= room {
        return format!("{before}{text}{behind}");
    }
    let cut = text.floor_char_boundary(room - ELLIPSIS.len());
    format!("{before}{}{ELLIPSIS}{behind}", &text[..cut])
}

/// How much of a text is shown before what differs, in bytes as shown, where it cannot be all.
const BEFORE_MAX: usize = 20;
/// Bytes before a difference that are read as characters: more than the longest run of marks that is
/// put in order, and than is shown.
const NEAR: usize = 256;

/// Two texts that differ, each cut at its bound around their first difference, and in what they
/// differ where that is hard to see. What cannot be seen is escaped.
pub(super) fn pair<I: Iterator<Item = u8> + Clone>(
    before: &str,
    [ours, theirs]: [I; 2],
    behind: [&str; 2],
) -> ([String; 2], Option<&'static str>) {
    let same = ours.clone().zip(theirs.clone()).take_while(|(a, b)| a == b).count();
    // A header's value may differ in what is not shown.
    let differs = ours.clone().nth(same) != theirs.clone().nth(same);
    let skipped = if differs { same.saturating_sub(NEAR) } else { 0 };
    let (ours, theirs) = (behind_bytes(ours, skipped), behind_bytes(theirs, skipped));
    let at = ours.clone().zip(theirs.clone()).take_while(|(a, b)| a == b).count();
    let note = alike::in_what(ours.clone(), theirs.clone());
    let passes = ours.clone().nth(at).zip(theirs.clone().nth(at));
    let passes = passes.is_some_and(|(a, b)| alike::may_pass_for(a, b));
    let all = matches!(note, Some(alike::UNICODE_FORM | alike::SEVERAL));
    let from = if differs { first_shown(ours.clone().take(at), skipped > 0, all) } else { 0 };
    let how = How { cut: skipped > 0 || from > 0, from, escaped: passes.then_some(at), all };
    let [our_end, their_end] = behind;
    ([excerpt(before, ours, our_end, how), excerpt(before, theirs, their_end, how)], note)
}

/// The characters of a text without so many bytes, or the few more that are part of a character.
fn behind_bytes<I: Iterator<Item = u8> + Clone>(mut text: I, skipped: usize) -> Chars<I> {
    if let Some(last) = skipped.checked_sub(1) {
        text.nth(last);
        for _ in 0..3 {
            let mut next = text.clone();
            if !next.next().is_some_and(|byte| (0x80..0xC0).contains(&byte)) {
                break;
            }
            text = next;
        }
    }
    Chars::new(text)
}

/// The first of the characters before a difference that is shown.
fn first_shown(common: impl Iterator<Item = char>, cut: bool, all: bool) -> usize {
    let mut one = String::new();
    let lengths: Vec<_> = common
        .map(|c| {
            one.clear();
            push(&mut one, c, all);
            one.len()
        })
        .collect();
    if !cut && lengths.iter().sum::<usize>() <= TEXT_MAX / 2 {
        return 0;
    }
    let mut room = BEFORE_MAX;
    let fits = lengths.iter().rev().take_while(|length| {
        let fits = **length <= room;
        room -= if fits { **length } else { 0 };
        fits
    });
    lengths.len() - fits.count()
}

/// Which part of a text is shown, and how.
#[derive(Clone, Copy, Debug, Default)]
struct How {
    /// Whether there is more before it.
    cut: bool,
    /// The first character.
    from: usize,
    /// A character that is escaped unless it is ASCII.
    escaped: Option<usize>,
    /// Whether all that is not ASCII is.
    all: bool,
}

/// A part of a text, cut at its bound, with what must be around it in any case.
fn excerpt(before: &str, text: impl Iterator<Item = char>, behind: &str, how: How) -> String {
    let mut shown = before.to_owned();
    if how.cut {
        shown.push_str(ELLIPSIS);
    }
    let room = TEXT_MAX - behind.len();
    let mut cut = shown.len();
    for (at, c) in text.enumerate().skip(how.from) {
        let escaped = how.all || how.escaped == Some(at);
        push(&mut shown, c, escaped);
        if shown.len() > room {
            shown.truncate(cut);
            shown.push_str(ELLIPSIS);
            break;
        }
        if shown.len() + ELLIPSIS.len() <= room {
            cut = shown.len();
        }
    }
    shown.push_str(behind);
    shown
}

/// A character, escaped where it cannot be seen or would be taken for an escape.
fn push(shown: &mut String, c: char, escaped: bool) {
    match c {
        '\n' | '\r' | '\t' | '\\' => shown.extend(c.escape_default()),
        c if alike::is_invisible(c) || escaped && !c.is_ascii() => shown.extend(c.escape_unicode()),
        c => shown.push(c),
    }
}

/// A text from its beginning on, cut at its bound. What cannot be seen is escaped.
pub(super) fn text(before: &str, text: impl Iterator<Item = u8>, behind: &str) -> String {
    excerpt(before, Chars::new(text), behind, How::default())
}

/// A value as text: of a container only how much is in it, since anything in there may be masked.
pub(super) fn value(tape: &Tape<'_>, node: usize, eyes: &dyn Eyes) -> String {
    let count = |unit: &str| {
        let count = tape.children(node).count();
        format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
    };
    match tape.kind(node) {
        Kind::Null => "null".to_owned(),
        Kind::True => "true".to_owned(),
        Kind::False => "false".to_owned(),
        Kind::Number | Kind::Word => {
            let raw = tape.raw(node);
            bounded("", hidden_bytes(raw, eyes.policy()).as_deref().unwrap_or(raw), "")
        }
        Kind::String | Kind::Key => match unshown_text(tape, node, eyes) {
            Some(rest) => text("\"", rest.into_iter(), "\""),
            None => text("\"", tape.text(node).bytes(), "\""),
        },
        Kind::Array => format!("[{}]", count("element")),
        Kind::Object => format!("{{{}}}", count("member")),
    }
}

/// A string without what may not be shown; `None` where all of it may. Of one that would be too long a copy its
/// spelling is looked at.
fn unshown_text(tape: &Tape<'_>, node: usize, eyes: &dyn Eyes) -> Option<Vec<u8>> {
    let text = tape.text(node);
    let bytes = match text.copied() > LENGTH_MAX {
        true => Cow::Borrowed(tape.raw(node)),
        false => text.unescaped(),
    };
    eyes.unshown(&bytes).or_else(|| hidden(&text, eyes.policy()))
}

/// Two values that differ as text, and in what they differ where that is hard to see.
pub(super) fn values(
    (ours, a): (&Tape<'_>, usize),
    (theirs, b): (&Tape<'_>, usize),
    eyes: &dyn Eyes,
) -> ([String; 2], Option<&'static str>) {
    match (ours.kind(a), theirs.kind(b)) {
        (Kind::String, Kind::String) => {
            let texts = [ours.text(a), theirs.text(b)];
            let rest = [(ours, a), (theirs, b)].map(|(tape, it)| unshown_text(tape, it, eyes));
            if rest == [None, None] {
                return pair("\"", texts.map(|text| text.bytes()), ["\""; 2]);
            }
            // What else is in them may be where they differ, so they are shown from there on.
            let rest = [0, 1].map(|side| match &rest[side] {
                Some(rest) => Cow::Borrowed(&rest[..]),
                None => texts[side].unescaped(),
            });
            let (shown, _) = pair("\"", rest.each_ref().map(|it| it.iter().copied()), ["\""; 2]);
            // In what they differ may be what is hidden.
            (shown, None)
        }
        (Kind::Number, Kind::Number) => {
            let raw = [ours.raw(a), theirs.raw(b)];
            let rest = raw
                .map(|raw| hidden_bytes(raw, eyes.policy()).map_or(Cow::Borrowed(raw), Cow::Owned));
            (pair("", rest.each_ref().map(|raw| raw.iter().copied()), [""; 2]).0, None)
        }
        _ => ([value(ours, a, eyes), value(theirs, b, eyes)], None),
    }
}

/// A little more of a key than is shown, of what may be: it may be as long as a body.
fn beginning(tape: &Tape<'_>, node: usize, hide: Hide<'_>) -> Vec<u8> {
    let text = tape.text(node);
    hidden(&text, hide).unwrap_or_else(|| text.bytes().take(2 * TEXT_MAX).collect())
}

/// Where two bodies that are no JSON differ, and in what where that is hard to see. Nothing of what
/// they say: who knows what is in there.
pub(super) fn texts(ours: &[u8], theirs: &[u8]) -> String {
    let at = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
    let line = ours[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = ours[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let place = format!("from line {line}, byte {} on", at - start + 1);
    let skipped = at.saturating_sub(NEAR);
    let [ours, theirs] = [ours, theirs].map(|text| {
        let text = if skipped == 0 { text.trim_ascii() } else { text[skipped..].trim_ascii_end() };
        Chars::new(text.iter().copied())
    });
    match alike::in_what(ours, theirs) {
        Some(what) => format!("{place}; {what}"),
        None => place,
    }
}

/// One step of a way down a document.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'d, 'a> {
    /// A member, by the node of its key, and the object that it is in, where that is known.
    Key(&'d Tape<'a>, usize, Option<usize>),
    /// An element.
    Index(usize),
}

/// The place of a value and its field, from the steps that lead there, the last one first. A
/// normalized path (RFC 9535 section 2.7), but for keys and paths that are too long.
pub(super) fn place<'d, 'a: 'd>(
    steps: impl Iterator<Item = Step<'d, 'a>>,
    hide: Hide<'_>,
) -> (String, String) {
    let (mut parts, mut length, mut cut) = (Vec::new(), 0, false);
    for step in steps {
        let part = match step {
            Step::Index(index) => (format!("[{index}]"), true),
            Step::Key(tape, node, object) => {
                (format!("['{}']", key(tape, node, hide)), ids::is_one_of_many(tape, node, object))
            }
        };
        length += part.0.len();
        if length > PLACE_MAX {
            cut = true;
            break;
        }
        parts.push(part);
    }
    let start = if cut { "$…" } else { "$" };
    let (mut place, mut field) = (start.to_owned(), start.to_owned());
    for (part, is_one_of_many) in parts.iter().rev() {
        place.push_str(part);
        field.push_str(if *is_one_of_many { "[*]" } else { part });
    }
    (place, field)
}

/// A key as it stands between single quotes.
fn key(tape: &Tape<'_>, node: usize, hide: Hide<'_>) -> String {
    let text = bounded("", &beginning(tape, node, hide), "");
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{8}' => escaped.push_str("\\b"),
            '\t' => escaped.push_str("\\t"),
            '\n' => escaped.push_str("\\n"),
            '\u{c}' => escaped.push_str("\\f"),
            '\r' => escaped.push_str("\\r"),
            '\'' | '\\' => escaped.extend(['\\', c]),
            c if c < ' ' => escaped.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::Rules;
    use super::super::json::parse;
    use super::*;

    fn shown(text: &str) -> String {
        let tape = parse(text.as_bytes(), &mut |_| true).unwrap().unwrap();
        value(&tape, 0, &Rules::default())
    }

    #[test]
    fn values_are_shown_bounded_and_containers_by_their_size_alone() {
        assert_eq!(shown(r#""a\n\\""#), r#""a\n\\""#);
        assert_eq!(shown("[1,2]"), "[2 elements]");
        assert_eq!(shown(r#"{"email":"x"}"#), "{1 member}");
        assert_eq!(shown("{}"), "{0 members}");
        assert_eq!(shown("-1.5e3"), "-1.5e3");
        for text in [
            format!("\"{}\"", "é".repeat(1000)),
            "1".repeat(1000),
            format!("\"{}\"", "\\u20ac".repeat(99)),
        ] {
            let shown = shown(&text);
            assert!(shown.len() <= TEXT_MAX && shown.len() > TEXT_MAX - 4, "{shown}");
            assert!(shown.contains(ELLIPSIS), "{shown}");
        }
        let fits = format!("\"{}\"", "x".repeat(TEXT_MAX - 2));
        assert_eq!(shown(&fits), fits);
        // Half a surrogate pair is no character.
        assert!(shown(r#""\ud83d""#).len() <= TEXT_MAX);
        assert!(shown(&format!("\"{}\"", "\\ud83d".repeat(99))).len() <= TEXT_MAX);
    }

    #[test]
    fn places_are_normalized_paths_and_bounded() {
        let object = r#"{"it's \\ \n\u0001":1}"#;
        let tape = parse(object.as_bytes(), &mut |_| true).unwrap().unwrap();
        let steps = [Step::Key(&tape, 1, None), Step::Index(3)];
        let (place_of, field) = place(steps.into_iter(), None);
        assert_eq!(place_of, r"$[3]['it\'s \\ \n\u0001']");
        assert_eq!(field, r"$[*]['it\'s \\ \n\u0001']");
        let deep = place(std::iter::repeat_n(Step::Index(10), 100_000), None).0;
        assert!(deep.starts_with("$…[10]") && deep.len() <= PLACE_MAX + 8, "{deep}");
        let long = format!("{{\"{}\":1}}", "k".repeat(10_000));
        let tape = parse(long.as_bytes(), &mut |_| true).unwrap().unwrap();
        let long = place(std::iter::once(Step::Key(&tape, 1, None)), None).0;
        assert!(long.len() <= TEXT_MAX + 5, "{long}");
    }
}
