//! Request to route: a label from a bounded set, whatever clients ask for.

use http::Method;

pub mod table;

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
        if text.len() > LABEL_LENGTH_MAX {
            return Err(format!("is longer than {LABEL_LENGTH_MAX} bytes"));
        }
        let segments = path.split('/').map(Segment::parse).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), segments })
    }

    fn fits(&self, path: &str) -> bool {
        let mut segments = path.strip_prefix('/').unwrap_or(path).split('/');
        self.segments.iter().all(|expected| {
            segments.next().is_some_and(|segment| match expected {
                Segment::Literal(text) => text == segment,
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
            None if !text.contains(['{', '}', '?', '#']) => Ok(Self::Literal(text.to_owned())),
            _ => Err("has braces that are no whole segment, or a query".to_owned()),
        }
    }
}

/// The label of a request: `METHOD /template`.
pub fn label(method: &Method, path: &str, templates: &[Template]) -> String {
    let method = match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE"
        | "PATCH") => known,
        _ => "OTHER",
    };
    if let Some(template) = templates.iter().find(|template| template.fits(path)) {
        return format!("{method} {}", template.text);
    }
    let mut label = String::with_capacity(method.len() + 1 + path.len());
    label.push_str(method);
    label.push(' ');
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            label.push('/');
        }
        label.push_str(if is_id(segment) { "{id}" } else { segment });
        if label.len() > LABEL_LENGTH_MAX {
            return "other".to_owned();
        }
    }
    label
}

/// Whether a segment looks like one of many: a number, a UUID, hex, a token, `p-100`.
fn is_id(segment: &str) -> bool {
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
