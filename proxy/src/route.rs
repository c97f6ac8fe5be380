//! Request to route: a label from a bounded set, whatever clients ask for.

use http::Method;

mod shown;
pub mod table;

pub use shown::{looks_private, parameter_shown, shown};

use crate::headers::target::encoded;
use transform::redact::looks_personal;

/// Labels besides `other`.
pub const LABELS_MAX: usize = 100;
/// A path whose label would be longer is not worth a series of its own.
const LABEL_LENGTH_MAX: usize = 200;

/// A path template such as `/users/{name}/cart`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Any,
}

impl Template {
    /// Reads a template: segments are literal, or `{name}` for any one segment that is not empty.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let path = text.strip_prefix('/').ok_or("does not start with a slash")?;
        if encoded(text).len() > LABEL_LENGTH_MAX {
            return Err(format!("is longer than {LABEL_LENGTH_MAX} bytes"));
        }
        let segments = path.split('/').map(Segment::parse).collect::<Result<_, _>>()?;
        Ok(Self { text: encoded(text).into_owned(), segments })
    }

    /// As it was written, but for what paths have percent-encoded.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a path fits it; `*` is none.
    pub fn fits(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else { return false };
        // Bytes, which are split faster than text.
        let mut segments = path.as_bytes().split(|byte| *byte == b'/');
        self.segments.iter().all(|expected| {
            segments.next().is_some_and(|segment| match expected {
                Segment::Literal(text) => text.as_bytes() == segment,
                Segment::Any => !segment.is_empty(),
            })
        }) && segments.next().is_none()
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, String> {
        let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        match inner {
            Some("") => Err("has a placeholder without a name".to_owned()),
            Some(name) if !name.contains(['{', '}']) => Ok(Self::Any),
            None if !text.contains(['{', '}', '?', '#']) => {
                Ok(Self::Literal(encoded(text).into_owned()))
            }
            _ => Err("has braces that are no whole segment, or a query".to_owned()),
        }
    }
}

/// Takes every request whose label finds no room.
pub const OTHER: &str = "other";

/// How labels are made.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    /// The first that fits a path is its label.
    pub templates: &'a [Template],
    /// Whether a path that no template fits has the label `other`.
    pub templates_alone: bool,
}

impl Labels<'_> {
    /// The label of a request.
    pub fn of(self, method: &Method, path: &str) -> String {
        if self.templates_alone && fitting(path, self.templates).is_none() {
            return OTHER.to_owned();
        }
        label(method, path, self.templates)
    }
}

/// What labels call a method: those that clients made up have no names of their own.
pub fn method_name(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE"
        | "PATCH") => known,
        _ => "OTHER",
    }
}

/// The label of a request: `METHOD /template`.
pub fn label(method: &Method, path: &str, templates: &[Template]) -> String {
    let method = method_name(method);
    if let Some(template) = fitting(path, templates) {
        return format!("{method} {}", template.text);
    }
    let mut label = String::with_capacity(method.len() + 1 + path.len());
    label.push_str(method);
    label.push(' ');
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            label.push('/');
        }
        // What follows is a session's as often as not: `;jsessionid=`.
        let (segment, has_parameters) =
            segment.split_once(';').map_or((segment, false), |(segment, _)| (segment, true));
        label.push_str(if is_id(segment) { "{id}" } else { segment });
        label.push_str(if has_parameters { ";{id}" } else { "" });
        if label.len() > LABEL_LENGTH_MAX {
            return OTHER.to_owned();
        }
    }
    label
}

/// The first template that fits.
fn fitting<'t>(path: &str, templates: &'t [Template]) -> Option<&'t Template> {
    templates.iter().find(|template| template.fits(path))
}

/// Whether a segment looks like one of many: a number, a UUID, hex, a token, `p-100`.
fn is_id(segment: &str) -> bool {
    if is_personal(segment) {
        return true;
    }
    let bytes = segment.as_bytes();
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        // Words of letters a to f, "decade" or "facade", stay; hex of 8 and more does not.
        return bytes.len() >= 8 && bytes.iter().all(u8::is_ascii_hexdigit);
    }
    digits == bytes.len()
        || (bytes.len() >= 8 && bytes.iter().all(u8::is_ascii_hexdigit))
        || is_uuid(bytes)
        || is_token(bytes)
        || is_word_and_number(segment)
}

/// Whether a segment holds an address, a telephone number, or what cannot be printed and may disguise
/// what is around it; as it is, or percent-encoded.
fn is_personal(segment: &str) -> bool {
    looks_personal(segment) || is_disguised(segment)
}

/// The same by what no service calls anything, whether or not it is known what it is.
fn is_disguised(segment: &str) -> bool {
    let suspicious =
        |byte: u8| matches!(byte, b'@' | b'+' | b'%') || !(b' '..=b'~').contains(&byte);
    if !segment.bytes().any(suspicious) {
        return false;
    }
    let text = percent_encoding::percent_decode_str(segment).decode_utf8_lossy();
    let phone = text.strip_prefix('+').is_some_and(|number| {
        number.starts_with(|c: char| c.is_ascii_digit() || c == '(')
            && number.chars().all(|c| c.is_ascii_digit() || " -.()".contains(c))
    });
    phone || text.contains('@') || text.chars().any(is_unprintable)
}

/// Controls (C1 among them), marks of direction and other characters without a shape, and what stands
/// for bytes that are no text.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{10ffff}')
}

fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Of 16 and more characters of the sets that tokens use (base64url among them), digits included.
fn is_token(bytes: &[u8]) -> bool {
    bytes.len() >= 16
        && bytes.iter().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'=' | b'%' | b'+')
        })
}

fn is_word_and_number(segment: &str) -> bool {
    segment.rsplit_once(['-', '_']).is_some_and(|(word, number)| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_alphabetic())
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::*;

    fn plain(path: &str) -> String {
        label(&Method::GET, path, &[])
    }

    #[test]
    fn segments_that_look_like_one_of_many_read_id() {
        for id in [
            "7",
            "0042",
            "550e8400-e29b-41d4-a716-446655440000",
            "deadbeef",
            "DEADBEEF01",
            "abcdefghijklmno1",
            "eyJhbGciOiJIUzI1NiJ9",
            "p-100",
            "order_42",
        ] {
            assert_eq!(plain(&format!("/api/x/{id}")), "GET /api/x/{id}", "{id}");
        }
    }

    #[test]
    fn parameters_of_a_segment_read_id() {
        assert_eq!(plain("/shop;jsessionid=1A530637289A03B0/x"), "GET /shop;{id}/x");
        assert_eq!(plain("/user/7;password=x"), "GET /user/{id};{id}");
    }

    #[test]
    fn segments_with_personal_data_or_without_a_shape_read_id() {
        for id in [
            "alice@example.com",
            "alice%40example.com",
            "+4911",
            "%2B49-11",
            "+(49) 11",
            "a\u{202e}b",
            "a%E2%80%AEb",
            "a\u{85}b",
            "a%C2%85b",
            "a%00b",
            "a%0Ab",
            "%FF",
            "a\u{200b}",
            "192.0.2.7",
            "2001:db8::7",
            "4111%201111%201111%201111",
        ] {
            assert_eq!(plain(&format!("/u/{id}/orders")), "GET /u/{id}/orders", "{id:?}");
        }
        for word in ["caf\u{e9}", "caf%C3%A9", "a+b", "a%20b"] {
            assert_eq!(plain(&format!("/{word}")), format!("GET /{word}"));
        }
    }

    #[test]
    fn words_stay() {
        for word in [
            "v1",
            "api",
            "v2beta",
            "cafe",
            "abcdefghijklmnopq",
            "p-",
            "-100",
            "a-b",
            "x1y",
            "a-b-7x",
        ] {
            assert_eq!(plain(&format!("/{word}")), format!("GET /{word}"));
        }
        assert_eq!(plain("/"), "GET /");
        assert_eq!(plain("/a//b/"), "GET /a//b/");
        assert_eq!(plain("*"), "GET *");
    }

    #[test]
    fn the_first_template_that_fits_wins() {
        let templates = ["/users/me", "/users/{name}", "/users/{name}/cart"];
        let templates: Vec<_> =
            templates.iter().map(|text| Template::parse(text).unwrap()).collect();
        for (path, expected) in [
            ("/users/me", "GET /users/me"),
            ("/users/bob", "GET /users/{name}"),
            ("/users/bob/cart", "GET /users/{name}/cart"),
            ("/users//cart", "GET /users//cart"),
            ("/users/bob/cart/7", "GET /users/bob/cart/{id}"),
        ] {
            assert_eq!(label(&Method::GET, path, &templates), expected);
        }
    }

    #[test]
    fn a_template_beyond_ascii_fits_paths_as_they_come() {
        let templates = &[Template::parse("/n\u{e9}/{name}").unwrap()];
        assert_eq!(label(&Method::GET, "/n%C3%A9/x", templates), "GET /n%C3%A9/{name}");
    }

    #[test]
    fn labels_may_be_of_templates_alone() {
        let templates = &[Template::parse("/a/{b}").unwrap()];
        let labels = Labels { templates, templates_alone: true };
        assert_eq!(labels.of(&Method::GET, "/a/x"), "GET /a/{b}");
        assert_eq!(labels.of(&Method::GET, "/private"), OTHER);
    }

    #[test]
    fn bad_templates_are_refused() {
        for bad in ["users", "/{}", "/a{b}", "/{a", "/a}", "/{a{b}}", "/x?y"] {
            Template::parse(bad).unwrap_err();
        }
    }

    #[test]
    fn methods_outside_the_standard_ones_read_other() {
        let method = Method::from_bytes(b"PURGE").unwrap();
        assert_eq!(label(&method, "/x", &[]), "OTHER /x");
        assert_eq!(label(&Method::PATCH, "/x", &[]), "PATCH /x");
    }

    proptest! {
        #[test]
        fn labels_are_bounded_whatever_the_path(path in "/\\PC{0,400}") {
            prop_assert!(plain(&path).len() <= LABEL_LENGTH_MAX + 4);
        }
    }
}
