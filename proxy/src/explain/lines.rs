//! A copy as lines of text, its body without its codings: all of it, or what may be kept.

use std::borrow::Cow;

use http::header::{CONTENT_TYPE, COOKIE};
use http::uri::PathAndQuery;
use http::{HeaderName, Uri};

use super::carried::Carried;
use crate::route::{looks_private, parameter_shown, shown};
use crate::spread::spread;
use compare::{Limits, Rules, Stand};
use transform::CopyRequest;
use transform::parts::coding;
use transform::value::Secret;

/// Longest body that is told value by value where it is to be kept, in bytes as sent and without its codings.
pub const BODY_MAX: usize = 16 << 10;
/// Longest one that is told at all.
const CLEAR_MAX: usize = 64 << 20;
/// Shown of a very long line.
const LINE_MAX: usize = 2000;
/// Stands for what is hidden.
const MASK: &str = "***";
/// Digits of the hash that stands behind it in bodies.
const HASH: usize = 16;
/// What names of headers have in them whose values let somebody in.
const CREDENTIALS: [&str; 7] = ["auth", "cookie", "session", "csrf", "xsrf", "signature", "key"];

/// What is shown of a copy.
#[derive(Clone, Debug)]
pub(super) struct View<'v> {
    /// What is never shown, the longest first.
    pub(super) secrets: &'v [Secret],
    /// What else is hidden; nothing where there are none.
    pub(super) rules: Option<&'v Rules>,
    /// What was hidden so far, which may stand elsewhere later.
    pub(super) carried: Carried,
}

/// A line; hidden values that are others make it another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Line {
    pub(super) text: String,
    digest: u128,
}

impl Line {
    fn new(text: String, of: &[u8]) -> Self {
        Self { text, digest: compare::hash(of) }
    }
}

impl View<'_> {
    /// The lines of a copy.
    pub(super) fn of(&mut self, copy: &CopyRequest) -> Vec<Line> {
        if let Some(rules) = self.rules {
            let mut carried = std::mem::take(&mut self.carried);
            let body = copy.body.as_ref().and_then(|body| plain(copy, body));
            let is_hidden =
                |name: &str, value: &[u8]| self.header(name, value).text.ends_with(MASK);
            carried.gather((copy, body.as_deref()), rules, &is_hidden);
            self.carried = carried;
        }
        let mut lines = self.lines(copy);
        if self.rules.is_some() {
            lines.iter_mut().for_each(|line| line.text = cut(&self.carried.masked(&line.text)));
        }
        lines
    }

    fn lines(&self, copy: &CopyRequest) -> Vec<Line> {
        let query = copy.query.as_ref().map(|it| format!("?{it}")).unwrap_or_default();
        let target = format!("{}{query}", copy.path);
        let first = self.target(copy, &target);
        let mut lines = vec![Line::new(first, format!("{} {target}", copy.method).as_bytes())];
        if let Some(host) = &copy.host {
            lines.push(self.header("host", host.as_bytes()));
        }
        // In an order that no change of others changes.
        let mut headers: Vec<_> = copy.headers.iter().collect();
        headers.sort_by_key(|(name, _)| name.as_str());
        for (name, value) in headers {
            match self.rules {
                Some(rules) if *name == COOKIE => self.cookies(&mut lines, value.as_bytes(), rules),
                _ => lines.push(self.header(name.as_str(), value.as_bytes())),
            }
        }
        if let Some(body) = copy.body.as_ref().filter(|body| !body.is_empty()) {
            lines.push(Line::new(String::new(), b""));
            match self.rules {
                Some(rules) => self.kept_body(&mut lines, copy, body, rules),
                None => self.clear_body(&mut lines, copy, body),
            }
        }
        lines
    }

    /// What somebody says of a copy.
    pub(super) fn said(&self, text: &str) -> String {
        match self.rules {
            Some(_) => self.carried.masked(&self.value("why", text).1),
            None => self.without_secrets(text),
        }
    }

    fn without_secrets(&self, text: &str) -> String {
        let all = self.secrets.iter();
        all.fold(text.to_owned(), |text, secret| secret.hidden_in(&text))
    }

    fn target(&self, copy: &CopyRequest, target: &str) -> String {
        // Before anything is cut off: a part of a secret is not known as one.
        let target = self.without_secrets(target);
        let Some(rules) = self.rules else { return format!("{} {target}", copy.method) };
        let target = self.carried.masked(&target);
        match PathAndQuery::try_from(target) {
            Ok(target) => shown(&copy.method, &Uri::from(target), rules),
            Err(_) => format!("{} {MASK}", copy.method),
        }
    }

    fn header(&self, name: &str, value: &[u8]) -> Line {
        let text = String::from_utf8_lossy(value);
        let is_hidden = |rules: &Rules| {
            HeaderName::try_from(name).is_ok_and(|name| rules.hides_header(&name, value))
        };
        let (name, shown) = match self.rules {
            None => (name, self.without_secrets(&text)),
            Some(rules) if is_hidden(rules) => (name, MASK.to_owned()),
            Some(_) => self.value(name, &text),
        };
        let text = format!("{name}: {shown}");
        Line::new(text, &[name.as_bytes(), b":", value].concat())
    }

    /// A name and a value as they may be kept.
    fn value<'n>(&self, name: &'n str, value: &str) -> (&'n str, String) {
        let hidden = (name, MASK.to_owned());
        let Some(rules) = self.rules else { return hidden };
        let is_credential = CREDENTIALS.iter().any(|it| name.contains(it));
        // What stands for a secret is known not to be one.
        let all = self.secrets.iter();
        let others = all.fold(value.to_owned(), |text, secret| {
            secret.hidden_in(&text).replace(&format!("{secret:?}"), "")
        });
        let mut words = others.split([' ', ',', ';', '/', '"', '(', ')', '=']);
        if is_credential || words.any(looks_private) || value.contains('\u{fffd}') {
            return hidden;
        }
        let json = serde_json::json!({ name: others }).to_string();
        let mut grant = compare::up_to(64 * (json.len() + LINE_MAX));
        // Names, looks, and what stands behind the name of a secret, as in bodies.
        let kept = compare::kept(json.as_bytes(), rules, Stand::Mask, &mut grant);
        let kept = kept.and_then(|it| serde_json::from_slice::<serde_json::Value>(&it).ok());
        let Some(kept) = kept else { return hidden };
        match kept.get(name) {
            Some(kept) if kept.as_str() == Some(&others) => (name, self.without_secrets(value)),
            Some(_) => hidden,
            None => (MASK, MASK.to_owned()),
        }
    }

    /// Cookies let somebody in whatever they are called: of each no more than its name.
    fn cookies(&self, lines: &mut Vec<Line>, value: &[u8], rules: &Rules) {
        for cookie in value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii) {
            let name = cookie.iter().position(|byte| *byte == b'=').map(|at| &cookie[..at]);
            let name = name.and_then(|name| std::str::from_utf8(name).ok());
            let name = name.filter(|it| !looks_private(it) && !rules.hides_looks(it));
            let text = match name.map(|name| self.without_secrets(name)) {
                Some(name) => format!("cookie: {name}={MASK}"),
                None => format!("cookie: {MASK}"),
            };
            lines.push(Line::new(text, cookie));
        }
    }

    fn clear_body(&self, lines: &mut Vec<Line>, copy: &CopyRequest, body: &[u8]) {
        let mut grant = |_| true;
        let mut limits = Limits { max_decoded: CLEAR_MAX, grant: &mut grant };
        let plain = coding::decode(&copy.headers, body, &mut limits);
        let plain = plain.as_deref().unwrap_or(body);
        let Ok(plain) = std::str::from_utf8(plain) else {
            let text = format!("{} bytes that are no text", plain.len());
            return lines.push(Line::new(text, b""));
        };
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(plain).is_ok();
        let spread = if is_json { Cow::Owned(spread(plain)) } else { Cow::Borrowed(plain) };
        let text = self.without_secrets(&spread);
        lines.extend(text.lines().map(|line| Line::new(cut(line), line.as_bytes())));
    }

    fn kept_body(&self, lines: &mut Vec<Line>, copy: &CopyRequest, body: &[u8], rules: &Rules) {
        match self.kept_lines(copy, body, rules) {
            Some(kept) => lines.extend(kept),
            None => lines.push(Line::new(format!("{} bytes", body.len()), body)),
        }
    }

    /// JSON and forms; of all else nobody knows where a secret stands in it.
    fn kept_lines(&self, copy: &CopyRequest, body: &[u8], rules: &Rules) -> Option<Vec<Line>> {
        let plain = plain(copy, body)?;
        if is_form(copy) {
            let field = |part: &str| {
                let text = parameter_shown(&self.without_secrets(part), rules);
                Line::new(text, part.as_bytes())
            };
            return Some(plain.split('&').filter(|part| !part.is_empty()).map(field).collect());
        }
        if !plain.trim_start().starts_with(['{', '[']) {
            return None;
        }
        let plain = self.without_secrets(&plain);
        let mut grant = compare::up_to(64 * BODY_MAX);
        let kept = compare::kept(plain.as_bytes(), rules, Stand::Hash, &mut grant)?;
        let kept = self.without_secrets(&spread(&String::from_utf8(kept).ok()?));
        Some(kept.lines().map(|line| Line::new(without_hashes(line), line.as_bytes())).collect())
    }
}

/// A body that is short enough to be looked into, without its codings.
fn plain(copy: &CopyRequest, body: &[u8]) -> Option<String> {
    if body.len() > BODY_MAX {
        return None;
    }
    let mut grant = compare::up_to(64 * BODY_MAX);
    let mut limits = Limits { max_decoded: BODY_MAX, grant: &mut grant };
    let plain = coding::decode(&copy.headers, body, &mut limits).ok()?;
    String::from_utf8(plain.into_owned()).ok()
}

fn is_form(copy: &CopyRequest) -> bool {
    let said = copy.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let media = said.split(';').next().unwrap_or_default().trim();
    media.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// A hash tells values apart, which is told by a line being another; of it nothing is kept.
fn without_hashes(line: &str) -> String {
    let mut parts = line.split("\"***");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_hash = part.get(..HASH).is_some_and(|it| it.bytes().all(|b| b.is_ascii_hexdigit()))
            && part[HASH..].starts_with('"');
        text.push_str("\"***");
        text.push_str(if is_hash { &part[HASH..] } else { part });
    }
    text
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(LINE_MAX);
    format!("{}{}", &text[..end], if end < text.len() { "…" } else { "" })
}
