//! Which requests a route is for: conditions that must all hold.
//!
//! A header, a cookie or a query parameter may come several times. A condition holds where one of the
//! values fits, and its `not` where none does: whatever a server makes of them, the first, the last or
//! all, the one that it takes was looked at.
//!
//! A path is looked at as it was sent, since two services may mean two things by `/a%2Fb` and `/a/b`.
//! Many take it for the same, and a client could so pass by the route that is for `/a/b`. So what else a
//! path may be read as (see `path`) is looked at, too, and [`choose`] says where the two readings lead to
//! different routes.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use http::header::{COOKIE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use crate::headers::target;
use crate::listen::proxy_protocol::Networks;
use crate::route::Template;

mod implied;
mod path;

pub use implied::Taken;

/// What stands around a regular expression that fits the whole of a text.
const WHOLE_BEGINS: &str = r"(?s)\A(?:";
const WHOLE_ENDS: &str = r")\z";
/// Longest regular expression, in bytes.
const REGEX_LENGTH_MAX: usize = 1024;
/// Memory of a compiled one, in bytes.
const REGEX_SIZE_MAX: usize = 1 << 20;

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
    /// The path as it was sent: of a target in absolute form (RFC 9112, section 3.2.2) the part behind
    /// the authority, `*` of `OPTIONS *`, empty for `CONNECT`. Bytes that no target may have are
    /// percent-encoded.
    pub fn path(&self) -> Cow<'r, str> {
        as_path(self.uri.path())
    }

    /// What the path may be read as; `None` where nobody reads it otherwise.
    pub fn path_read_otherwise(&self) -> Option<String> {
        self.read_otherwise().map(|reading| reading.path.into_owned())
    }

    /// Path and query as they were sent.
    fn sent(&self) -> Reading<'r> {
        Reading { path: self.path(), query: self.uri.query(), is_as_sent: true }
    }

    /// What they may be read as; `None` where nobody reads them otherwise.
    fn read_otherwise(&self) -> Option<Reading<'r>> {
        let (path, query) = (self.uri.path(), self.uri.query());
        // Nearly all.
        if !target::was_seen() && path::is_plain(path) {
            return None;
        }
        let (whole, query, is_cut) = match target::before_fragment(path) {
            Some(before) => (before, None, true),
            None => {
                let before = query.and_then(target::before_fragment);
                (path, before.or(query), before.is_some())
            }
        };
        let whole = as_path(whole);
        match path::read_otherwise(&whole) {
            Some(read) => Some(Reading { path: read.into(), query, is_as_sent: false }),
            None => is_cut.then_some(Reading { path: whole, query, is_as_sent: false }),
        }
    }

    /// The values of all lines of this name, without white space around them (RFC 9110, section 5.5).
    /// A list in one line (`a, b`) is one value.
    pub fn headers(&self, name: &HeaderName) -> impl Iterator<Item = &'r [u8]> {
        self.headers.get_all(name).iter().map(HeaderValue::as_bytes).map(<[u8]>::trim_ascii)
    }

    /// The first of them.
    pub fn header(&self, name: &HeaderName) -> Option<&'r [u8]> {
        self.headers(name).next()
    }

    /// The host that was asked for, without its port and the root's dot, as it was sent: the target's,
    /// where it names one, which overrules the `Host` line (RFC 9112, section 3.2.2; RFC 9113, section
    /// 8.3.1). IPv6 stands in brackets.
    pub fn host(&self) -> Option<&'r [u8]> {
        let named = self.uri.authority().map(|it| it.as_str().as_bytes());
        let authority = named.or_else(|| self.header(&HOST))?;
        let end = match authority {
            [b'[', ..] => authority.iter().position(|byte| *byte == b']')? + 1,
            _ => authority.iter().position(|byte| *byte == b':').unwrap_or(authority.len()),
        };
        let host = &authority[..end];
        let host = host.strip_suffix(b".").unwrap_or(host);
        (!host.is_empty()).then_some(host)
    }

    /// The values of all cookies of this name, which is case-sensitive, in the order in which they came
    /// (RFC 6265, section 4.2). Double quotes around a value are no part of it, as most servers have it
    /// (section 4.1.1); what stands behind the first `=` is the value, further ones included.
    pub fn cookies(&self, name: &str) -> impl Iterator<Item = &'r [u8]> {
        let pairs = self.headers(&COOKIE).flat_map(|line| line.split(|byte| *byte == b';'));
        pairs.filter_map(move |pair| {
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            if pair[..equals].trim_ascii() != name.as_bytes() {
                return None;
            }
            let value = pair[equals + 1..].trim_ascii();
            let bare = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
            Some(bare.unwrap_or(value))
        })
    }

    /// The first of them.
    pub fn cookie(&self, name: &str) -> Option<&'r [u8]> {
        self.cookies(name).next()
    }

    /// The first value of the query parameters of this name.
    pub fn query(&self, name: &str) -> Option<Vec<u8>> {
        let mut first = None;
        any_parameter(self.uri.query(), name, |value| {
            first = Some(value.to_vec());
            true
        });
        first
    }
}

fn as_path(path: &str) -> Cow<'_, str> {
    match target::shown(path) {
        Cow::Borrowed(path) => target::encoded(path),
        Cow::Owned(path) => target::encoded(&path).into_owned().into(),
    }
}

/// Whether one of the parameters of this name in a query has a value that `fits`. Names and values are
/// those of a form: `&` stands between them, `+` is a space, and what is percent-encoded is decoded
/// (WHATWG URL, section 5.1). A name without a `=` has the empty value.
fn any_parameter(query: Option<&str>, name: &str, mut fits: impl FnMut(&[u8]) -> bool) -> bool {
    let Some(query) = query.map(target::shown) else { return false };
    query.split('&').filter(|pair| !pair.is_empty()).any(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        *decoded(key) == *name.as_bytes() && fits(&decoded(value))
    })
}

/// Of a form; what is no valid encoding stays as it is.
fn decoded(text: &str) -> Cow<'_, [u8]> {
    if !text.bytes().any(|byte| matches!(byte, b'+' | b'%')) {
        return Cow::Borrowed(text.as_bytes());
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_encoding::percent_decode_str(&spaced).collect())
}

/// Conditions that must all hold; none fits every request.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    /// In the order in which they are looked at.
    pub conditions: Vec<Condition>,
}

impl Matcher {
    /// Whether a request fits, with its path as it was sent; see [`choose`] for what that leaves open.
    /// Its label is only asked for where a condition looks at it.
    pub fn fits(&self, request: &Seen<'_>, label: &mut dyn FnMut() -> Arc<str>) -> bool {
        self.fits_read(request, &request.sent(), &mut |_| label())
    }

    /// The label that it asks for, where it asks for nothing else.
    pub fn as_label(&self) -> Option<&str> {
        match &self.conditions[..] {
            [Condition { not: false, test, .. }] => test.as_label(),
            _ => None,
        }
    }

    fn fits_read(&self, request: &Seen<'_>, reading: &Reading<'_>, label: Label<'_>) -> bool {
        self.conditions.iter().all(|it| it.not != it.test.holds(request, reading, label))
    }

    /// Whether what it says of paths may be read in another way, so that a path that is read in one
    /// alone must be looked at twice.
    pub fn is_read_otherwise(&self) -> bool {
        self.conditions.iter().any(|it| match &it.test {
            Test::Label(label) => label.read.is_some(),
            Test::Path(test) => test.is_read_otherwise(),
            _ => false,
        })
    }
}

/// The label that a request with this path has by default.
type Label<'l> = &'l mut dyn FnMut(&str) -> Arc<str>;

/// What path and query are taken for.
#[derive(Clone, Debug)]
struct Reading<'p> {
    path: Cow<'p, str>,
    query: Option<&'p str>,
    /// Otherwise it is what the path may be read as, and what conditions say is read in the same way.
    is_as_sent: bool,
}

/// What a condition says of a path, and what that may be read as where it is something else: `/a%2Cb` is
/// also for `/a,b`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spelled<T> {
    sent: T,
    read: Option<T>,
}

impl<T> Spelled<T> {
    fn of(&self, reading: &Reading<'_>) -> &T {
        self.read.as_ref().filter(|_| !reading.is_as_sent).unwrap_or(&self.sent)
    }
}

impl Spelled<String> {
    fn path(text: &str) -> Self {
        let sent = target::encoded(text).into_owned();
        Self { read: path::read_otherwise(&sent), sent }
    }
}

impl Spelled<Template> {
    fn template(text: &str) -> Result<Self, String> {
        let sent = Template::parse(text)?;
        let read = path::read_otherwise(sent.text()).map(|read| {
            let told = |why| format!("may be read as {read:?}, which {why}");
            Template::parse(&read).map_err(told)
        });
        Ok(Self { sent, read: read.transpose()? })
    }
}

/// Which of several matchers is a request's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This one, counted from 0, is the first that fits.
    First(usize),
    /// None fits.
    None,
    /// It depends on how the path is read. The baseline may obey either reading, so whatever is done with
    /// such a request, it must not be what only one of them allows: it is not to be copied.
    InDoubt {
        /// The first that fits the path as it was sent.
        sent: Option<usize>,
        /// The first that fits what it may be read as.
        read: Option<usize>,
    },
}

/// The first matcher that fits a request, however its path is read. `label` is asked for the label of a
/// path, and only where a condition looks at it. `is_read_otherwise`: [`Matcher::is_read_otherwise`] of any.
pub fn choose<'m>(
    matchers: &(impl Iterator<Item = &'m Matcher> + Clone),
    is_read_otherwise: bool,
    request: &Seen<'_>,
    label: &mut dyn FnMut(&str) -> Arc<str>,
) -> Choice {
    let mut first = |reading: &Reading<'_>| {
        matchers.clone().position(|it| it.fits_read(request, reading, label))
    };
    let sent = request.sent();
    let other = request.read_otherwise();
    let other =
        other.or_else(|| is_read_otherwise.then(|| Reading { is_as_sent: false, ..sent.clone() }));
    let sent = first(&sent);
    let read = other.map_or(sent, |other| first(&other));
    match sent {
        _ if sent != read => Choice::InDoubt { sent, read },
        Some(index) => Choice::First(index),
        None => Choice::None,
    }
}

/// A label as requests have it, whose paths have nothing that no target may have.
pub fn label_as_sent(label: &str) -> String {
    match label.split_once(' ') {
        Some((method, path)) if path.starts_with('/') => {
            format!("{method} {}", target::encoded(path))
        }
        _ => label.to_owned(),
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

/// What a condition looks at.
#[derive(Clone, Debug)]
pub enum Test {
    /// The label that a request has by default; made by [`Test::label`].
    Label(Spelled<String>),
    /// One of these methods, which are case-sensitive (RFC 9110, section 9.1).
    Method(Vec<Method>),
    /// The path.
    Path(PathTest),
    /// The host, without its port, in any letter case; a request without one has none.
    Host(ValueTest),
    /// A header, by the value of one of its lines.
    Header(HeaderName, ValueTest),
    /// A query parameter, decoded, by one of its values.
    Query(String, ValueTest),
    /// A cookie, by one of its values.
    Cookie(String, ValueTest),
    /// The client's network; an IPv4 address is one however it is written.
    Client(Networks),
}

/// A test of a path, in letter case and encoding as it was sent; `/a` and `/a/` are two paths.
#[derive(Clone, Debug)]
pub enum PathTest {
    /// This one.
    Exact(Spelled<String>),
    /// This one, and what is below it: `/api` fits `/api`, `/api/` and `/api/x`, and not `/apix`; `/api/`
    /// does not fit `/api`.
    Prefix(Spelled<String>),
    /// A template such as `/users/{name}/cart`.
    Template(Spelled<Template>),
    /// The whole path fits; made by [`path_regex`].
    Regex(regex::Regex),
}

/// A test of a value that may be missing; a value that is missing fits none.
#[derive(Clone, Debug)]
pub enum ValueTest {
    /// It is there, if only as an empty one.
    Present,
    /// It is this.
    Exact(String),
    /// It begins with this.
    Prefix(String),
    /// The whole value fits; made by [`value_regex`].
    Regex(regex::bytes::Regex),
    /// A decimal number, with or without sign, fraction and exponent, from the first to the second, both
    /// included. What is not a number, and infinity, fit no range.
    Range(f64, f64),
}

/// A regular expression for a whole path; a dot is any character, line ends included.
///
/// # Errors
/// What is wrong with it.
pub fn path_regex(text: &str) -> Result<regex::Regex, String> {
    if let Some(c) = text.chars().find(|c| !c.is_ascii()) {
        let c = c.to_string();
        let written = target::encoded(&c);
        return Err(format!("has {c}, which is {written} in a path"));
    }
    let built = regex::RegexBuilder::new(&whole(text)?).size_limit(REGEX_SIZE_MAX).build();
    built.map_err(|error| error.to_string())
}

/// A regular expression for a whole value; a dot is any character, line ends included. Bytes that are no
/// UTF-8 fit where it says so: `(?-u:.)`.
///
/// # Errors
/// What is wrong with it.
pub fn value_regex(text: &str) -> Result<regex::bytes::Regex, String> {
    bytes_regex(&whole(text)?)
}

fn bytes_regex(text: &str) -> Result<regex::bytes::Regex, String> {
    let built = regex::bytes::RegexBuilder::new(text).size_limit(REGEX_SIZE_MAX).build();
    built.map_err(|error| error.to_string())
}

/// What fits the whole instead of a part.
fn whole(text: &str) -> Result<String, String> {
    if text.len() > REGEX_LENGTH_MAX {
        return Err(format!("is longer than {REGEX_LENGTH_MAX} bytes"));
    }
    // By itself first, so that it cannot close the group: `a)|(b`.
    bytes_regex(text)?;
    Ok(format!("{WHOLE_BEGINS}{text}{WHOLE_ENDS}"))
}

impl Test {
    /// The label that a request has by default, such as `GET /users/{id}`.
    pub fn label(label: &str) -> Self {
        let (method, path) = label.split_once(' ').unwrap_or((label, ""));
        if path.is_empty() {
            return Self::Label(Spelled { sent: label.to_owned(), read: None });
        }
        let with_method = |path: String| format!("{method} {path}");
        let Spelled { sent, read } = Spelled::path(path);
        Self::Label(Spelled { sent: with_method(sent), read: read.map(with_method) })
    }

    /// The label that it asks for, if it does.
    pub fn as_label(&self) -> Option<&str> {
        if let Self::Label(label) = self { Some(&label.sent) } else { None }
    }

    fn holds(&self, request: &Seen<'_>, reading: &Reading<'_>, label: Label<'_>) -> bool {
        match self {
            Self::Label(expected) => **expected.of(reading) == *label(&reading.path),
            Self::Method(methods) => methods.contains(request.method),
            Self::Path(test) => test.holds(reading),
            Self::Host(test) => request.host().is_some_and(|host| test.holds_for_host(host)),
            Self::Header(name, test) => request.headers(name).any(|value| test.holds(value)),
            Self::Query(name, test) => {
                any_parameter(reading.query, name, |value| test.holds(value))
            }
            Self::Cookie(name, test) => request.cookies(name).any(|value| test.holds(value)),
            Self::Client(clients) => clients.contains(request.client),
        }
    }
}

impl PathTest {
    /// This path, or `*`.
    pub fn exact(path: &str) -> Self {
        Self::Exact(Spelled::path(path))
    }

    /// This path, and what is below it.
    pub fn prefix(path: &str) -> Self {
        Self::Prefix(Spelled::path(path))
    }

    /// Paths of this template.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn template(text: &str) -> Result<Self, String> {
        Spelled::template(text).map(Self::Template)
    }

    /// Of a regular expression nobody can tell.
    fn is_read_otherwise(&self) -> bool {
        match self {
            Self::Exact(path) | Self::Prefix(path) => path.read.is_some(),
            Self::Template(template) => template.read.is_some(),
            Self::Regex(_) => false,
        }
    }

    fn holds(&self, reading: &Reading<'_>) -> bool {
        let path = &*reading.path;
        match self {
            Self::Exact(expected) => path == expected.of(reading),
            Self::Prefix(prefix) => {
                let prefix = prefix.of(reading);
                let rest = path.strip_prefix(&**prefix);
                rest.is_some_and(|it| it.is_empty() || it.starts_with('/') || prefix.ends_with('/'))
            }
            Self::Template(template) => template.of(reading).fits(path),
            Self::Regex(regex) => regex.is_match(path),
        }
    }
}

impl ValueTest {
    fn holds(&self, value: &[u8]) -> bool {
        match self {
            Self::Present => true,
            Self::Exact(expected) => value == expected.as_bytes(),
            Self::Prefix(prefix) => value.starts_with(prefix.as_bytes()),
            Self::Regex(regex) => regex.is_match(value),
            Self::Range(least, most) => {
                number(value).is_some_and(|number| (*least..=*most).contains(&number))
            }
        }
    }

    /// Of a host, whose letter case says nothing (RFC 3986, section 3.2.2).
    fn holds_for_host(&self, host: &[u8]) -> bool {
        match self {
            Self::Exact(expected) => is_same_host(host, expected),
            Self::Prefix(prefix) => host
                .get(..prefix.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(prefix.as_bytes())),
            _ if host.iter().any(u8::is_ascii_uppercase) => self.holds(&host.to_ascii_lowercase()),
            _ => self.holds(host),
        }
    }
}

/// Whether a host is the one that was written: with or without brackets, and IPv6 in any spelling.
fn is_same_host(host: &[u8], written: &str) -> bool {
    let written = written.strip_suffix('.').unwrap_or(written);
    if let Some(literal) = host.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")) {
        let inner = written.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let address = |text: &str| text.parse::<Ipv6Addr>().ok();
        let sent = std::str::from_utf8(literal).ok().and_then(address);
        return match sent {
            Some(sent) => address(inner.unwrap_or(written)) == Some(sent),
            None => literal.eq_ignore_ascii_case(inner.unwrap_or(written).as_bytes()),
        };
    }
    host.eq_ignore_ascii_case(written.as_bytes())
}

/// A decimal number; the parser takes `inf` and `nan`, too, and numbers that are too large to be told from
/// infinity.
fn number(value: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(value).ok()?.trim_ascii();
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests;
