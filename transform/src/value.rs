//! Texts that have something of the request in them: `Bearer {secret.v2}`, `{header.x-user}-copy`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::header::HOST;
use http::{HeaderName, HeaderValue};

use crate::CopyRequest;
use crate::parts::{cookies, json, pairs};

/// Longest text.
const TEXT_MAX: usize = 4096;
/// A shorter secret stands in too many texts to be looked for.
const SHORT: usize = 4;
/// Longest value that a request may put in one place of a text, in bytes.
const VALUE_MAX: usize = 8192;

/// What may stand between braces, for messages.
pub const VARIABLES: &str = "{route}, {candidate}, {method}, {path}, {query}, {request_id}, \
    {header.NAME}, {query.NAME}, {cookie.NAME} and {secret.NAME}; a brace itself is written {{ or }}";

/// What nobody is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    name: Arc<str>,
    text: Arc<str>,
}

impl Secret {
    /// One of this name that says this.
    pub fn new(name: &str, text: &str) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// A text in which its name stands wherever it does, as it is, in JSON, or percent-encoded.
    pub fn hidden_in(&self, text: &str) -> String {
        let name = format!("{{secret.{}}}", self.name);
        let in_json = json::quoted(&self.text);
        let in_json = &in_json[1..in_json.len() - 1];
        let hidden = text.replace(&*self.text, &name).replace(in_json, &name);
        hidden.replace(&pairs::encoded(&self.text), &name)
    }

    /// How long it is, in bytes.
    pub fn length(&self) -> usize {
        self.text.len()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{secret.{}}}", self.name)
    }
}

/// A text without any of these secrets; `None` where none is in it.
pub fn hidden<'s>(secrets: impl Iterator<Item = &'s Secret>, text: &str) -> Option<String> {
    let mut hidden = None;
    for secret in secrets.filter(|secret| secret.length() >= SHORT) {
        let now = hidden.as_deref().unwrap_or(text);
        let then = secret.hidden_in(now);
        if then != now {
            hidden = Some(then);
        }
    }
    hidden
}

/// What a copy is about, besides what it says.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The label of its route.
    pub route: &'a str,
    /// The name of the candidate that it is for.
    pub candidate: &'a str,
    /// What `{request_id}` is where the request has no `X-Request-Id`.
    pub request_id: &'a str,
}

/// A text with variables in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Plain(String),
    Route,
    Candidate,
    Method,
    Path,
    Query,
    RequestId,
    Header(HeaderName),
    Parameter(String),
    Cookie(String),
    Secret(Secret),
}

impl Template {
    /// Reads a text; `secret` gives the secret of a name.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(
        text: &str,
        secret: &mut dyn FnMut(&str) -> Result<Secret, String>,
    ) -> Result<Self, String> {
        if text.len() > TEXT_MAX {
            return Err(format!("has {} bytes", text.len()));
        }
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let behind = &rest[at + 1..];
            let brace = &rest[at..=at];
            if let Some(escaped) = behind.strip_prefix(brace) {
                plain.push_str(brace);
                rest = escaped;
                continue;
            }
            if brace == "}" {
                return Err("has a } without its {".to_owned());
            }
            let (name, behind) = behind.split_once('}').ok_or("has a { without its }")?;
            if !plain.is_empty() {
                parts.push(Part::Plain(std::mem::take(&mut plain)));
            }
            parts.push(variable(name, secret)?);
            rest = behind;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Plain(plain));
        }
        Ok(Self { parts })
    }

    /// Whether it is the same whatever the request is.
    pub fn is_fixed(&self) -> bool {
        self.parts.iter().all(|part| {
            matches!(part, Part::Plain(_) | Part::Route | Part::Candidate | Part::Secret(_))
        })
    }

    /// Whether there is no variable in it.
    pub fn is_plain(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Plain(_)))
    }

    /// What stands in it as it is.
    pub fn plain(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Plain(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// The secrets in it.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.parts.iter().filter_map(|part| match part {
            Part::Secret(secret) => Some(secret),
            _ => None,
        })
    }

    /// The text for a copy. What the copy has not got is empty; what is very long is cut.
    pub fn fill(&self, copy: &CopyRequest, about: &About<'_>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Plain(plain) => text.push_str(plain),
                Part::Secret(secret) => text.push_str(&secret.text),
                other => {
                    let value = other.value(copy, about);
                    text.push_str(&value[..value.floor_char_boundary(VALUE_MAX)]);
                }
            }
        }
        text
    }
}

impl Part {
    fn value<'c>(&self, copy: &'c CopyRequest, about: &About<'c>) -> Cow<'c, str> {
        let header = |name: &HeaderName| {
            let value = copy.headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
            String::from_utf8_lossy(value)
        };
        match self {
            Self::Plain(_) | Self::Secret(_) => Cow::Borrowed(""),
            Self::Route => Cow::Borrowed(about.route),
            Self::Candidate => Cow::Borrowed(about.candidate),
            Self::Method => Cow::Borrowed(copy.method.as_str()),
            Self::Path => Cow::Borrowed(&copy.path),
            Self::Query => Cow::Borrowed(copy.query.as_deref().unwrap_or_default()),
            Self::RequestId => match header(&HeaderName::from_static("x-request-id")) {
                id if id.is_empty() => Cow::Borrowed(about.request_id),
                id => id,
            },
            Self::Header(name) => header(name),
            Self::Parameter(name) => {
                let query = copy.query.as_deref().unwrap_or_default();
                pairs::value(query, name).unwrap_or_default()
            }
            Self::Cookie(name) => {
                Cow::Borrowed(cookies::value(&copy.headers, name).unwrap_or_default())
            }
        }
    }
}

fn variable(
    name: &str,
    secret: &mut dyn FnMut(&str) -> Result<Secret, String>,
) -> Result<Part, String> {
    let unknown = || format!("has the variable {{{name}}}, which is unknown");
    match name.split_once('.') {
        None => match name {
            "route" => Ok(Part::Route),
            "candidate" => Ok(Part::Candidate),
            "method" => Ok(Part::Method),
            "path" => Ok(Part::Path),
            "query" => Ok(Part::Query),
            "request_id" => Ok(Part::RequestId),
            _ => Err(unknown()),
        },
        Some((_, "")) => Err(unknown()),
        Some(("header", name)) => match name.parse() {
            Ok(HOST) => {
                Err("has {header.host}, which no copy has: Host is the target's".to_owned())
            }
            Ok(name) => Ok(Part::Header(name)),
            Err(_) => Err(format!("has {name:?}, no header name")),
        },
        Some(("query", name)) => Ok(Part::Parameter(name.to_owned())),
        Some(("cookie", name)) => Ok(Part::Cookie(name.to_owned())),
        Some(("secret", name)) => secret(name).map(Part::Secret),
        Some(_) => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;
    use http::{HeaderMap, Method};

    use super::*;

    fn parse(text: &str) -> Result<Template, String> {
        Template::parse(text, &mut |name| match name {
            "known" => Ok(Secret::new("known", "s3cr3t")),
            _ => Err(format!("has the secret {name:?}, which is unknown")),
        })
    }

    #[test]
    fn variables_are_filled_from_the_copy() {
        let mut headers = HeaderMap::new();
        headers.insert("x-user", HeaderValue::from_static("alice"));
        headers.insert(COOKIE, HeaderValue::from_static("sid=7; lang=de"));
        let copy = CopyRequest {
            method: Method::PUT,
            path: "/a".into(),
            query: Some("q=a+b&c".into()),
            host: None,
            headers,
            body: None,
        };
        let about = About { route: "GET /a", candidate: "v2", request_id: "r1" };
        for (text, expected) in [
            ("", ""),
            ("plain {{not}}", "plain {not}"),
            ("{route}|{candidate}|{method}|{path}?{query}", "GET /a|v2|PUT|/a?q=a+b&c"),
            ("{header.X-User}-{query.q}-{cookie.lang}-{query.zz}{header.zz}.", "alice-a b-de-."),
            ("{request_id}", "r1"),
            ("Bearer {secret.known}", "Bearer s3cr3t"),
        ] {
            assert_eq!(parse(text).unwrap().fill(&copy, &about), expected, "{text}");
        }
        let told = format!("{:?}", parse("{secret.known}").unwrap());
        assert!(!told.contains("s3cr3t"), "{told}");
    }

    #[test]
    fn a_secret_is_hidden_however_it_is_written() {
        let secret = Secret::new("it", "S\"e/ t");
        for text in ["S\"e/ t", "{\"a\":\"S\\\"e/ t\"}", "?a=S%22e%2F%20t"] {
            let shown = secret.hidden_in(text);
            assert!(shown.contains("{secret.it}") && !shown.contains('S'), "{shown}");
        }
    }

    #[test]
    fn what_is_unknown_is_refused() {
        for (text, why) in [
            ("{user}", "{user}, which is unknown"),
            ("{header.}", "unknown"),
            ("{header.Host}", "no copy has"),
            ("{header.a b}", "no header name"),
            ("{secret.other}", "\"other\""),
            ("{env.HOME}", "unknown"),
            ("a{", "without its }"),
            ("a}b", "without its {"),
            ("{{a}", "without its {"),
        ] {
            let message = parse(text).expect_err(text);
            assert!(message.contains(why), "{text}: {message}");
        }
        assert!(parse(&"a".repeat(5000)).is_err());
    }
}
