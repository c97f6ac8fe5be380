//! Which requests a route is for: conditions that must all hold.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method, Uri};

use crate::listen::proxy_protocol::Networks;
use crate::route::Template;

/// What conditions see of a request.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'r> {
    /// The method.
    pub method: &'r Method,
    /// The target; its authority, where it has one, is the host.
    pub uri: &'r Uri,
    /// The header lines.
    pub headers: &'r HeaderMap,
    /// The client's address.
    pub client: IpAddr,
}

impl<'r> Seen<'r> {
    /// The first line of this name.
    pub fn header(&self, name: &HeaderName) -> Option<&'r [u8]> {
        self.headers.get(name).map(http::HeaderValue::as_bytes)
    }

    /// The host that was asked for, in lower case and without its port.
    pub fn host(&self) -> Option<String> {
        let named = self.uri.authority().map(http::uri::Authority::as_str);
        let line = || self.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
        let authority = named.or_else(line)?.parse::<http::uri::Authority>().ok()?;
        Some(authority.host().trim_end_matches('.').to_ascii_lowercase())
    }

    /// The first cookie of this name (RFC 6265, section 5.4).
    pub fn cookie(&self, name: &str) -> Option<&'r [u8]> {
        let lines = self.headers.get_all(http::header::COOKIE).iter();
        let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
        pairs.map(<[u8]>::trim_ascii).find_map(|pair| {
            pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=").map(<[u8]>::trim_ascii)
        })
    }

    /// The first query parameter of this name, percent-decoded.
    pub fn query(&self, name: &str) -> Option<Cow<'r, str>> {
        let decoded =
            |text: &'r str| percent_encoding::percent_decode_str(text).decode_utf8_lossy();
        let pairs = self.uri.query()?.split('&');
        pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .find_map(|(key, value)| (decoded(key) == name).then(|| decoded(value)))
    }
}

/// Conditions that must all hold; none fits every request.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    /// In the order in which they are looked at.
    pub conditions: Vec<Condition>,
}

impl Matcher {
    /// Whether a request fits. Its label is only asked for where a condition looks at it.
    pub fn fits(&self, request: &Seen<'_>, label: &mut dyn FnMut() -> Arc<str>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(request, label))
    }
}

/// One condition.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Whether it holds where the test does not.
    pub not: bool,
    /// The test.
    pub test: Test,
    /// As it was written, for people.
    pub text: String,
}

impl Condition {
    /// Whether it holds for a request.
    pub fn holds(&self, request: &Seen<'_>, label: &mut dyn FnMut() -> Arc<str>) -> bool {
        self.not != self.test.holds(request, label)
    }
}

/// What a condition looks at.
#[derive(Clone, Debug)]
pub enum Test {
    /// The label that a request has by default.
    Label(Box<str>),
    /// One of these methods.
    Method(Vec<Method>),
    /// The path.
    Path(PathTest),
    /// The host, without its port, in lower case.
    Host(ValueTest),
    /// A header.
    Header(HeaderName, ValueTest),
    /// A query parameter.
    Query(String, ValueTest),
    /// A cookie.
    Cookie(String, ValueTest),
    /// The client's network.
    Client(Networks),
}

/// A test of a path, as it was sent.
#[derive(Clone, Debug)]
pub enum PathTest {
    /// This one.
    Exact(String),
    /// This one, and what is below it: `/api` fits `/api/x` and not `/apix`.
    Prefix(String),
    /// A template such as `/users/{name}/cart`.
    Template(Template),
    /// The whole path fits.
    Regex(regex::Regex),
}

/// A test of a value that may be missing.
#[derive(Clone, Debug)]
pub enum ValueTest {
    /// It is there.
    Present,
    /// It is this.
    Exact(String),
    /// It begins with this.
    Prefix(String),
    /// The whole value fits.
    Regex(regex::bytes::Regex),
    /// A number from the first to the second, both included.
    Range(f64, f64),
}

impl Test {
    fn holds(&self, request: &Seen<'_>, label: &mut dyn FnMut() -> Arc<str>) -> bool {
        match self {
            Self::Label(expected) => **expected == *label(),
            Self::Method(methods) => methods.contains(request.method),
            Self::Path(test) => test.holds(request.uri.path()),
            Self::Host(test) => test.holds(request.host().as_deref().map(str::as_bytes)),
            Self::Header(name, test) => test.holds(request.header(name)),
            Self::Query(name, test) => {
                test.holds(request.query(name).as_deref().map(str::as_bytes))
            }
            Self::Cookie(name, test) => test.holds(request.cookie(name)),
            Self::Client(networks) => networks.contains(request.client),
        }
    }
}

impl PathTest {
    fn holds(&self, path: &str) -> bool {
        match self {
            Self::Exact(expected) => path == expected,
            Self::Prefix(prefix) => path.strip_prefix(prefix.as_str()).is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/')
            }),
            Self::Template(template) => template.fits(path),
            Self::Regex(regex) => regex.is_match(path),
        }
    }
}

impl ValueTest {
    fn holds(&self, value: Option<&[u8]>) -> bool {
        let Some(value) = value else { return false };
        match self {
            Self::Present => true,
            Self::Exact(expected) => value == expected.as_bytes(),
            Self::Prefix(prefix) => value.starts_with(prefix.as_bytes()),
            Self::Regex(regex) => regex.is_match(value),
            Self::Range(least, most) => std::str::from_utf8(value)
                .ok()
                .and_then(|text| text.trim().parse::<f64>().ok())
                .is_some_and(|number| (*least..=*most).contains(&number)),
        }
    }
}
