//! Where values stand: in answers, from where they are learned, and in requests, where they are replaced.

use std::fmt;

use compare::path::Path;
use http::HeaderName;
use regex::bytes::{Regex, RegexBuilder};

use super::Template;
use crate::parts::headers::NOT_TO_CHANGE;

/// Longest regular expression, in bytes.
const REGEX_LENGTH_MAX: usize = 1024;
/// Memory of a compiled one, in bytes.
const REGEX_SIZE_MAX: usize = 1 << 20;
/// Longest name of a cookie, a parameter or a form field.
const NAME_MAX: usize = 256;

/// A regular expression whose one capture is the value.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Reads a regular expression with one capture.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > REGEX_LENGTH_MAX {
            return Err(format!("has a regular expression of {} bytes", text.len()));
        }
        let built = RegexBuilder::new(text).size_limit(REGEX_SIZE_MAX).build();
        let regex = built.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                "has a regular expression that is too large".to_owned()
            }
            error => format!("is no regular expression: {}", last_line(&error.to_string())),
        })?;
        match regex.captures_len() - 1 {
            1 => Ok(Self(regex)),
            0 => Err("has no capture (…), which is the value".to_owned()),
            captures => {
                Err(format!("has {captures} captures, and one is the value; (?:…) is none"))
            }
        }
    }

    /// Where the values are in a text, at most this many.
    pub fn spans(&self, text: &[u8], most: usize) -> Vec<std::ops::Range<usize>> {
        let captures = self.0.captures_iter(text).filter_map(|found| found.get(1));
        captures.filter(|it| !it.is_empty()).take(most).map(|it| it.range()).collect()
    }

    fn text(&self) -> &str {
        self.0.as_str()
    }
}

/// The parser's messages have a drawing in several lines, and last what is wrong.
fn last_line(message: &str) -> &str {
    let last = message.trim_end().lines().next_back().unwrap_or(message);
    last.trim().trim_start_matches("error: ")
}

/// Where values stand in an answer.
#[derive(Clone, Debug)]
pub enum InAnswer {
    /// In a JSON body, strings and numbers at this path.
    Json(Path),
    /// The last segment of the path of `Location`, or what is captured in it.
    Location(Option<Pattern>),
    /// The value of a header, or what is captured in it.
    Header(HeaderName, Option<Pattern>),
    /// The value of a cookie that is set.
    SetCookie(String),
    /// What is captured in the body.
    Text(Pattern),
}

/// Where values stand in a request.
#[derive(Clone, Debug)]
pub enum InRequest {
    /// In the path: whole segments, all of them or those of a template.
    Path(Option<Template>),
    /// In the query: the values of this name.
    Query(String),
    /// The value of a header, or what is captured in it.
    Header(HeaderName, Option<Pattern>),
    /// The value of a cookie.
    Cookie(String),
    /// In a JSON body, strings and numbers at this path.
    Json(Path),
    /// In a form, urlencoded or multipart: the values of this name.
    Form(String),
}

impl InAnswer {
    /// What there is, for messages.
    pub const ALLOWED: &'static str = "json:PATH, location, location:REGEX, header:NAME, \
        header:NAME:REGEX, set-cookie:NAME or text:REGEX";

    /// Reads `json:$.id`, `location`, `header:x-id`, `set-cookie:sid` or `text:name="t" value="([^"]+)"`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "location" => Ok(Self::Location(None)),
            Some(("json", path)) => Ok(Self::Json(json(path)?)),
            Some(("location", pattern)) => Ok(Self::Location(Some(Pattern::parse(pattern)?))),
            Some(("header", rest)) => {
                let (name, pattern) = header(rest)?;
                match name.as_str() {
                    "set-cookie" => Err("is written set-cookie:NAME".to_owned()),
                    "location" => Err("is written location or location:REGEX".to_owned()),
                    _ => Ok(Self::Header(name, pattern)),
                }
            }
            Some(("set-cookie", name)) => Ok(Self::SetCookie(cookie(name)?)),
            Some(("text", pattern)) => Ok(Self::Text(Pattern::parse(pattern)?)),
            _ => Err("is no place in an answer".to_owned()),
        }
    }

    /// Whether it is in the body.
    pub fn is_in_body(&self) -> bool {
        matches!(self, Self::Json(_) | Self::Text(_))
    }

    /// The header that it looks at.
    pub fn header(&self) -> Option<HeaderName> {
        match self {
            Self::Location(_) => Some(http::header::LOCATION),
            Self::Header(name, _) => Some(name.clone()),
            Self::SetCookie(_) => Some(http::header::SET_COOKIE),
            Self::Json(_) | Self::Text(_) => None,
        }
    }

    /// Whether its values are names of things, of which no two have the same: what else is in a header or a text may
    /// be a token.
    pub(super) fn names_things(&self) -> bool {
        matches!(self, Self::Json(_) | Self::Location(_))
    }

    /// Whether the newest always holds: a server that sets a cookie says that the old one is over.
    pub fn is_renewed(&self) -> bool {
        matches!(self, Self::SetCookie(_))
    }
}

impl InRequest {
    /// What there is, for messages.
    pub const ALLOWED: &'static str = "path, path:/orders/{id}, query:NAME, header:NAME, \
        header:NAME:REGEX, cookie:NAME, json:PATH or form:NAME";

    /// Reads `path`, `path:/orders/{id}`, `query:id`, `header:x-id`, `header:authorization:Bearer (.+)`,
    /// `cookie:sid`, `json:$.id` or `form:token`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "path" => Ok(Self::Path(None)),
            Some(("path", template)) => Ok(Self::Path(Some(Template::parse(template)?))),
            Some(("query", name)) => Ok(Self::Query(self::name(name)?)),
            Some(("header", rest)) => {
                let (name, pattern) = header(rest)?;
                if name == http::header::COOKIE {
                    return Err("is written cookie:NAME".to_owned());
                }
                if NOT_TO_CHANGE.contains(&name) {
                    return Err(format!("{name} has a meaning of its own"));
                }
                Ok(Self::Header(name, pattern))
            }
            Some(("cookie", name)) => Ok(Self::Cookie(cookie(name)?)),
            Some(("json", path)) => Ok(Self::Json(json(path)?)),
            Some(("form", name)) => Ok(Self::Form(self::name(name)?)),
            _ => Err("is no place in a request".to_owned()),
        }
    }

    /// Whether it is in the body.
    pub fn is_in_body(&self) -> bool {
        matches!(self, Self::Json(_) | Self::Form(_))
    }
}

fn json(path: &str) -> Result<Path, String> {
    Path::parse(path).map_err(|why| format!("has a path that {why}"))
}

/// `NAME`, or `NAME:REGEX`: a colon is in no name.
fn header(text: &str) -> Result<(HeaderName, Option<Pattern>), String> {
    let (name, pattern) = match text.split_once(':') {
        Some((name, pattern)) => (name, Some(Pattern::parse(pattern)?)),
        None => (text, None),
    };
    let name = name.parse().map_err(|_| format!("{name:?} is no header name"))?;
    Ok((name, pattern))
}

fn cookie(name: &str) -> Result<String, String> {
    let is_of_name = |c: char| !c.is_whitespace() && !c.is_control() && !";=,\"".contains(c);
    if name.chars().all(is_of_name) {
        self::name(name)
    } else {
        Err(format!("{name:?} is no name of a cookie"))
    }
}

fn name(name: &str) -> Result<String, String> {
    match name.len() {
        0 => Err("has no name behind the colon".to_owned()),
        length if length > NAME_MAX => Err(format!("has a name of {length} bytes")),
        _ => Ok(name.to_owned()),
    }
}

impl fmt::Display for InAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(path) => write!(f, "json:{}", path.text()),
            Self::Location(None) => f.write_str("location"),
            Self::Location(Some(pattern)) => write!(f, "location:{}", pattern.text()),
            Self::Header(name, None) => write!(f, "header:{name}"),
            Self::Header(name, Some(pattern)) => write!(f, "header:{name}:{}", pattern.text()),
            Self::SetCookie(name) => write!(f, "set-cookie:{name}"),
            Self::Text(pattern) => write!(f, "text:{}", pattern.text()),
        }
    }
}

impl fmt::Display for InRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(None) => f.write_str("path"),
            Self::Path(Some(template)) => write!(f, "path:{}", template.text()),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Header(name, None) => write!(f, "header:{name}"),
            Self::Header(name, Some(pattern)) => write!(f, "header:{name}:{}", pattern.text()),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Json(path) => write!(f, "json:{}", path.text()),
            Self::Form(name) => write!(f, "form:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_written_alike() {
        for text in [
            "json:$.id",
            "json:$.orders[*].id",
            "location",
            "location:/orders/([0-9]+)",
            "header:x-order",
            "header:link:</orders/([0-9]+)>",
            "set-cookie:sid",
            r#"text:name="token" value="([^"]+)""#,
        ] {
            assert_eq!(InAnswer::parse(text).expect(text).to_string(), text);
        }
        for text in [
            "path",
            "path:/orders/{id}",
            "query:id",
            "header:x-order",
            "header:authorization:Bearer (.+)",
            "cookie:sid",
            "json:$.order.id",
            "form:csrf_token",
        ] {
            assert_eq!(InRequest::parse(text).expect(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_place_in_an_answer_is_refused_with_a_reason() {
        for (bad, why) in [
            ("", "no place in an answer"),
            ("path", "no place in an answer"),
            ("cookie:sid", "no place in an answer"),
            ("json:id", "does not start with $"),
            ("json:$.", "no name"),
            ("location:/orders/[0-9]+", "no capture"),
            ("location:(a)(b)", "has 2 captures"),
            ("text:(", "is no regular expression: unclosed group"),
            ("header:", "no header name"),
            ("header:a b", "no header name"),
            ("header:set-cookie", "set-cookie:NAME"),
            ("header:location", "written location"),
            ("set-cookie:", "no name"),
            ("set-cookie:a=b", "no name of a cookie"),
        ] {
            let message = InAnswer::parse(bad).expect_err(bad);
            assert!(message.contains(why), "{bad}: {message}");
        }
        assert!(InAnswer::parse(&format!("text:({})", "a".repeat(1023))).is_err());
        assert!(InAnswer::parse(r"text:(\w{1000})").unwrap_err().contains("too large"));
    }

    #[test]
    fn what_is_no_place_in_a_request_is_refused_with_a_reason() {
        for (bad, why) in [
            ("", "no place in a request"),
            ("location", "no place in a request"),
            ("path:orders/{id}", "begin with /"),
            ("path:/orders", "no segment such as {id}"),
            ("query:", "no name"),
            ("header:cookie", "cookie:NAME"),
            ("header:host", "a meaning of its own"),
            ("header:authorization:Bearer", "no capture"),
            ("json:$[", "has a path that"),
            ("form:", "no name"),
        ] {
            let message = InRequest::parse(bad).expect_err(bad);
            assert!(message.contains(why), "{bad}: {message}");
        }
        assert!(InRequest::parse(&format!("query:{}", "a".repeat(257))).is_err());
    }

    #[test]
    fn a_pattern_finds_the_captures_that_hold_something() {
        let pattern = Pattern::parse("t=([a-z]*);").unwrap();
        assert_eq!(pattern.spans(b"t=a;t=;t=bc;", 9), [2..3, 9..11]);
        assert_eq!(pattern.spans(b"t=a;t=;t=bc;", 1).len(), 1);
        assert!(pattern.spans("\u{e9}".as_bytes(), 9).is_empty());
    }
}
