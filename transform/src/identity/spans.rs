//! Where in a line or a text the values are, how they are written there, and what they stand for.

use std::borrow::Cow;
use std::ops::Range;

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

use super::{InAnswer, VALUE_MAX, Value};

/// Most values of one place in one message.
pub(super) const VALUES_MAX: usize = 10_000;

/// What a segment of a path may have as it is (RFC 3986 section 3.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    /// As they are.
    Plain,
    /// Percent-encoded, as segments of a path.
    Segment,
    /// As text of HTML, some of it as character references.
    Markup,
}

impl Writing {
    pub(super) fn read(self, text: &[u8]) -> Option<Value> {
        let value: Cow<'_, [u8]> = match self {
            Self::Plain => text.into(),
            Self::Segment => percent_decode(text).into(),
            Self::Markup => unescaped(text),
        };
        (!value.is_empty() && value.len() <= VALUE_MAX).then(|| value.into())
    }

    /// As it is written where `was` stood.
    pub(super) fn write(self, value: &[u8], was: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => value.to_vec(),
            Self::Segment => percent_encode(value, SEGMENT).to_string().into_bytes(),
            Self::Markup if was.contains(&b'&') => escaped(value),
            Self::Markup => value.to_vec(),
        }
    }
}

/// Where values are in a header line of an answer; for places in the body nowhere.
pub(super) fn in_line(place: &InAnswer, line: &[u8]) -> (Writing, Vec<Range<usize>>) {
    match place {
        InAnswer::Location(None) => (Writing::Segment, last_segment(line).into_iter().collect()),
        InAnswer::Location(Some(pattern)) => (Writing::Segment, pattern.spans(line, VALUES_MAX)),
        InAnswer::Header(_, None) => (Writing::Plain, whole(line).into_iter().collect()),
        InAnswer::Header(_, Some(pattern)) => (Writing::Plain, pattern.spans(line, VALUES_MAX)),
        InAnswer::SetCookie(name) => (Writing::Plain, set_cookie(line, name).into_iter().collect()),
        InAnswer::Json(_) | InAnswer::Text(_) => (Writing::Plain, Vec::new()),
    }
}

/// The whole line, without white space around it.
pub(super) fn whole(line: &[u8]) -> Option<Range<usize>> {
    let from = line.iter().position(|byte| !byte.is_ascii_whitespace())?;
    Some(from..from + line[from..].trim_ascii_end().len())
}

/// The value in a `Set-Cookie` line of this name (RFC 6265 section 5.2).
fn set_cookie(line: &[u8], name: &str) -> Option<Range<usize>> {
    let end = line.iter().position(|byte| *byte == b';').unwrap_or(line.len());
    let equals = line[..end].iter().position(|byte| *byte == b'=')?;
    if line[..equals].trim_ascii() != name.as_bytes() {
        return None;
    }
    let value = whole(&line[equals + 1..end])?;
    Some(equals + 1 + value.start..equals + 1 + value.end)
}

/// The segments of the path of a URL or of a part of one, without empty ones.
fn segments(location: &[u8]) -> impl DoubleEndedIterator<Item = Range<usize>> + '_ {
    let end = location.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let location = &location[..end.unwrap_or(location.len())];
    let slashes = location.windows(2).position(|pair| pair == b"//");
    // Behind the authority, where there is one.
    let from = match slashes.filter(|at| *at == 0 || location[at - 1] == b':') {
        Some(at) => {
            let slash = location[at + 2..].iter().position(|byte| *byte == b'/');
            slash.map_or(location.len(), |slash| at + 2 + slash)
        }
        None => 0,
    };
    let path = &location[from..];
    path.split(|byte| *byte == b'/')
        .map(move |part| {
            // Both are parts of one slice.
            let start = from + (part.as_ptr() as usize - path.as_ptr() as usize);
            start..start + part.len()
        })
        .filter(|range| !range.is_empty())
}

fn last_segment(location: &[u8]) -> Option<Range<usize>> {
    segments(location).next_back()
}

/// The segment before the last, decoded.
pub(super) fn segment_before(location: &[u8]) -> Option<Value> {
    let range = segments(location).nth_back(1)?;
    Writing::Segment.read(&location[range])
}

/// Without character references, as far as tokens have any: those of numbers, and of what markup is made of.
fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'&') {
        return Cow::Borrowed(text);
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'&') {
        plain.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let end = rest.iter().take(12).position(|byte| *byte == b';');
        match end.and_then(|end| Some((end, character(&rest[1..end])?))) {
            Some((end, c)) => {
                plain.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[end + 1..];
            }
            None => {
                plain.push(b'&');
                rest = &rest[1..];
            }
        }
    }
    plain.extend_from_slice(rest);
    Cow::Owned(plain)
}

fn character(name: &[u8]) -> Option<char> {
    let name = std::str::from_utf8(name).ok()?;
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

fn escaped(value: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(value.len());
    for byte in value {
        match byte {
            b'&' => text.extend_from_slice(b"&amp;"),
            b'<' => text.extend_from_slice(b"&lt;"),
            b'>' => text.extend_from_slice(b"&gt;"),
            b'"' => text.extend_from_slice(b"&quot;"),
            byte => text.push(*byte),
        }
    }
    text
}

/// A value in a text: where, of which identity, and how it is written.
pub(super) type Span = (Range<usize>, usize, Writing);

/// A text with other values at these places; `None` where it stays as it is. Of places that overlap the first
/// is one, so that nothing that was put in is taken for what was there.
pub(super) fn replaced(
    text: &[u8],
    mut spans: Vec<Span>,
    with: &mut dyn FnMut(usize, &[u8]) -> Option<Value>,
) -> Option<Vec<u8>> {
    spans.sort_by_key(|(range, ..)| range.start);
    let mut out = Vec::new();
    let (mut at, mut is_changed) = (0, false);
    for (range, identity, writing) in spans {
        if range.start < at {
            continue;
        }
        let was = &text[range.clone()];
        let Some(value) = writing.read(was).and_then(|value| with(identity, &value)) else {
            continue;
        };
        is_changed = true;
        out.extend_from_slice(&text[at..range.start]);
        out.extend_from_slice(&writing.write(&value, was));
        at = range.end;
    }
    is_changed.then(|| {
        out.extend_from_slice(&text[at..]);
        out
    })
}

/// The same in the lines of a header; a line that would be none stays as it is.
pub(super) fn replaced_lines(
    headers: &mut HeaderMap,
    name: &HeaderName,
    spans: &dyn Fn(&[u8]) -> Vec<Span>,
    with: &mut dyn FnMut(usize, &[u8]) -> Option<Value>,
) {
    let mut is_changed = false;
    let lines = headers.get_all(name).iter().map(|line| {
        let text = line.as_bytes();
        let other = replaced(text, spans(text), with);
        let Some(Ok(mut other)) = other.map(|other| HeaderValue::from_bytes(&other)) else {
            return line.clone();
        };
        is_changed = true;
        other.set_sensitive(line.is_sensitive());
        other
    });
    let lines: Vec<_> = lines.collect();
    if is_changed {
        headers.remove(name);
        for line in lines {
            headers.append(name, line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(place: &str, line: &str) -> Vec<String> {
        let place = InAnswer::parse(place).unwrap();
        let (writing, spans) = in_line(&place, line.as_bytes());
        let read = |range: Range<usize>| writing.read(&line.as_bytes()[range]);
        spans.into_iter().filter_map(read).map(|it| String::from_utf8_lossy(&it).into()).collect()
    }

    #[test]
    fn the_last_segment_of_a_location_is_the_value() {
        for location in [
            "/orders/17",
            "/orders/17/",
            "/orders/17?a=/b#c",
            "17",
            "http://shop:4001/orders/17",
            "//shop/orders/17#/x",
            "/orders/%31%37",
        ] {
            assert_eq!(values("location", location), ["17"], "{location}");
        }
        for location in ["/", "", "http://shop", "http://shop/", "?a=17", "//shop"] {
            assert_eq!(values("location", location), [""; 0], "{location}");
        }
        assert_eq!(values("location:/o/([^/]+)/x", "/o/a%20b/x"), ["a b"]);
        let before = |location: &str| segment_before(location.as_bytes());
        assert_eq!(before("/v2/orders/17").as_deref(), Some(&b"orders"[..]));
        assert_eq!(before("http://shop/login"), None);
    }

    #[test]
    fn a_cookies_value_ends_with_its_attributes() {
        assert_eq!(values("set-cookie:sid", "sid=a=b; Path=/; sid=c"), ["a=b"]);
        assert_eq!(values("set-cookie:sid", " sid = \"a\" ;HttpOnly"), ["\"a\""]);
        for other in ["sid=", "sid=; Max-Age=0", "sid", "Sid=a", "x=1; sid=a", ""] {
            assert_eq!(values("set-cookie:sid", other), [""; 0], "{other}");
        }
    }

    #[test]
    fn headers_are_values_as_a_whole_or_in_part() {
        assert_eq!(values("header:x-id", " 17 "), ["17"]);
        assert_eq!(values("header:x-id", "  "), [""; 0]);
        assert_eq!(values("header:link:</o/([0-9]+)>", "</o/1>, </o/2>"), ["1", "2"]);
        assert_eq!(values("header:x-id", &"x".repeat(VALUE_MAX + 1)), [""; 0]);
    }

    #[test]
    fn character_references_stand_for_what_they_name() {
        for (text, expected) in [
            ("a&#43;b&#x2b;c&#X2F;", "a+b+c/"),
            ("&amp;&lt;&gt;&quot;&apos;", "&<>\"'"),
            ("&", "&"),
            ("&unknown;&#xzz;&#99999999999;", "&unknown;&#xzz;&#99999999999;"),
            ("a&b;c", "a&b;c"),
        ] {
            assert_eq!(&*unescaped(text.as_bytes()), expected.as_bytes(), "{text}");
        }
        assert_eq!(Writing::Markup.write(b"a&b", b"x&#43;"), b"a&amp;b");
        assert_eq!(Writing::Markup.write(b"a&b", b"x"), b"a&b");
        assert_eq!(Writing::Segment.write(b"a/b c\xff", b""), b"a%2Fb%20c%FF");
    }

    #[test]
    fn values_are_put_where_the_others_were() {
        let plain = |range| (range, 0, Writing::Plain);
        let mut with = |_: usize, value: &[u8]| (value != b"d").then(|| b"XY"[..].into());
        let mut replaced = |text: &str, spans: Vec<Span>| {
            replaced(text.as_bytes(), spans, &mut with).map(|it| String::from_utf8(it).unwrap())
        };
        let spans = vec![plain(3..4), plain(4..5), plain(1..3), plain(2..5)];
        assert_eq!(replaced("abcdef", spans).as_deref(), Some("aXYdXYf"));
        assert_eq!(replaced("abcdef", vec![plain(3..4)]), None);
        assert_eq!(replaced("abcdef", Vec::new()), None);
    }
}
