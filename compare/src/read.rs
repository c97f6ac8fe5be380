//! JSON as it comes: behind a byte order mark, behind what keeps it from being run as a script, with
//! words for what is no number, and within strings. Each is read for what it is, and said.

use super::annotate::Document;
use super::json::{self, Kind, Tape};
use super::policy::Rules;
use super::{Grant, Obstacle};

const MARK: &[u8] = b"\xEF\xBB\xBF";
/// What servers put before JSON so that no foreign page can read it as a script; clients that know
/// take it off. The longer ones first.
const PREFIXES: [&str; 7] =
    [")]}',", ")]}'", "while(1);", "while (1);", "for(;;);", "for (;;);", "{}&&"];

/// In what a body is not plain JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Form {
    /// It begins with a byte order mark (RFC 8259 section 8.1: must not be added, may be ignored).
    mark: bool,
    /// What is in front of it.
    prefix: Option<&'static str>,
    /// It has words for what is no number (the same, section 6).
    words: bool,
}

/// What is in front of the JSON in a body, if it is one, and the rest. In most bodies the first byte
/// tells that there is nothing.
pub(super) fn frame(body: &[u8]) -> (Form, &[u8]) {
    let mut form = Form::default();
    let mut rest = body;
    if let Some(behind) = rest.strip_prefix(MARK) {
        (form.mark, rest) = (true, behind);
    }
    if let Some(b')' | b'w' | b'f' | b'{') = rest.first() {
        let prefix = PREFIXES.into_iter().find(|prefix| rest.starts_with(prefix.as_bytes()));
        if let Some(prefix) = prefix {
            (form.prefix, rest) = (Some(prefix), &rest[prefix.len()..]);
        }
    }
    (form, rest)
}

/// Reads a body; `None` when it is not JSON, not even in one of these forms.
pub(super) fn body<'a>(
    body: &'a [u8],
    grant: Grant<'_>,
) -> Result<Option<(Form, Tape<'a>)>, Obstacle> {
    let (form, text) = frame(body);
    let tape = json::parse(text, grant)?;
    Ok(tape.map(|tape| (Form { words: tape.has_words(), ..form }, tape)))
}

impl Form {
    pub(super) fn is_plain(self) -> bool {
        self == Self::default()
    }

    /// What is in front, in words.
    fn front(self) -> Option<String> {
        match (self.mark, self.prefix) {
            (false, None) => None,
            (true, None) => Some("byte order mark".to_owned()),
            (false, Some(prefix)) => Some(prefix.to_owned()),
            (true, Some(prefix)) => Some(format!("byte order mark and {prefix}")),
        }
    }

    /// What a body of this form is.
    pub(super) fn name(self) -> String {
        let json = if self.words { WORDS } else { "JSON" };
        self.front().map_or(json.to_owned(), |front| format!("{json} behind a {front}"))
    }

    /// What is to be known of a difference in bodies of this form.
    pub(super) fn note(self) -> Option<String> {
        let read = self.front().map(|front| format!("read without its {front}"));
        let words = self.words.then(|| WORDS.to_owned());
        let notes: Vec<_> = read.into_iter().chain(words).collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }
}

const WORDS: &str = "no JSON by RFC 8259: NaN or Infinity";

/// A document with what the rules say of it. Where they say that strings are to be read as JSON, it is
/// made anew in `store` with what is in them in their place, so that all rules reach in.
pub(super) fn document<'a>(
    tape: Tape<'a>,
    store: &'a mut Vec<u8>,
    rules: &Rules,
    grant: Grant<'_>,
) -> Result<Document<'a>, Obstacle> {
    let document = Document::new(tape, rules, Vec::new(), grant)?;
    if !rules.reads_strings {
        return Ok(document);
    }
    let Some((text, read)) = unfolded(&document, grant)? else { return Ok(document) };
    *store = text;
    match json::parse(store, grant)? {
        Some(tape) => Document::new(tape, rules, read, grant),
        // It would have 4 GiB and more.
        None => Ok(document),
    }
}

/// A text, and which nodes of it stood in strings, in order.
type Unfolded = (Vec<u8>, Vec<u32>);

/// The text of a document in which the JSON of its strings stands for them; `None` where no string is
/// read.
fn unfolded(document: &Document<'_>, grant: Grant<'_>) -> Result<Option<Unfolded>, Obstacle> {
    let tape = &document.tape;
    let wanted = |node: &usize| {
        let mark = document.mark(*node);
        mark.read && !mark.ignored && mark.mask.is_none() && tape.kind(*node) == Kind::String
    };
    let (mut text, mut read, mut from, mut more) = (Vec::new(), Vec::new(), 0, 0);
    for node in (0..tape.len()).filter(wanted) {
        let string = tape.text(node);
        if !grant(string.copied()) {
            return Err(Obstacle::NoBudget);
        }
        let inner = string.unescaped();
        let Some(json) = json::parse(&inner, grant)?.filter(|json| !json.has_words()) else {
            continue;
        };
        if text.capacity() == 0 {
            // No string is longer without its quotes and escapes.
            let (most, list) = (tape.whole().len(), tape.len() * size_of::<u32>());
            if !grant(most + list) {
                return Err(Obstacle::NoBudget);
            }
            (text, read) = (Vec::with_capacity(most), Vec::with_capacity(tape.len()));
        }
        let (start, end) = tape.span(node);
        text.extend_from_slice(&tape.whole()[from..start - 1]);
        text.extend_from_slice(&inner);
        from = end + 1;
        read.extend(u32::try_from(node + more));
        more += json.len() - 1;
    }
    if read.is_empty() {
        return Ok(None);
    }
    text.extend_from_slice(&tape.whole()[from..]);
    Ok(Some((text, read)))
}
