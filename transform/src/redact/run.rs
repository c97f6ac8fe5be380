//! One copy under a policy: what is hidden of texts, pairs and JSON, whatever they stand in.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};

use compare::json::Kind as Json;
use compare::{Grant, names_secret};
use percent_encoding::percent_decode_str;

use super::detect::{Kind, Kinds, hits};
use super::policy::{By, Policy, Rule, Tally, replaced};
use super::way::{MASK, Way};
use crate::identity::Value;
use crate::parts::json::{self, Edit, Found};
use crate::parts::{Fault, pairs};
use crate::value;

/// How deep texts in texts are looked into: JSON in strings, URLs in parameters of URLs.
const DEPTH_MAX: u8 = 6;
/// Longest JSON in a text that is looked into to show it, in bytes.
const SHOWN_MAX: usize = 64 * 1024;

/// What it is hidden for.
#[derive(Clone, Copy)]
pub(super) enum For<'r> {
    /// A copy, but for the values that a candidate gave out itself.
    Copy(&'r [Value]),
    /// Somebody who looks at it: what is another value is told from what it was.
    Eyes,
    /// Nobody: what is hidden is the same for all that may stand there.
    Pairing,
}

/// A policy at work.
pub(super) struct Run<'r> {
    pub(super) policy: &'r Policy,
    whom: For<'r>,
    /// What is known by its looks.
    kinds: Kinds,
    /// How that is hidden.
    way: Way,
    grant: RefCell<Grant<'r>>,
    tally: RefCell<&'r mut Tally>,
    /// Why the copy must not be sent.
    fault: Cell<Option<Fault>>,
}

impl<'r> Run<'r> {
    pub(super) fn new(
        policy: &'r Policy,
        whom: For<'r>,
        grant: Grant<'r>,
        tally: &'r mut Tally,
    ) -> Self {
        let (kinds, way) = match (whom, policy.way()) {
            (For::Copy(_), way) => (policy.detect_copies(), way.clone()),
            (For::Eyes, Way::Hash(key) | Way::Shape(key)) => {
                (policy.detect(), Way::Hash(key.clone()))
            }
            (For::Eyes, _) => (policy.detect(), Way::Mask),
            (For::Pairing, _) => (policy.detect_copies(), Way::Mask),
        };
        let (grant, tally) = (RefCell::new(grant), RefCell::new(tally));
        Self { policy, whom, kinds, way, grant, tally, fault: Cell::new(None) }
    }

    /// Whether all could be looked into so far that may have something to hide in it.
    pub(super) fn settled(&self) -> Result<(), Fault> {
        self.fault.get().map_or(Ok(()), Err)
    }

    /// What may have something to hide in it and cannot be looked into is not sent, and not shown either.
    fn unread(&self, why: Fault) -> Option<String> {
        match self.whom {
            For::Copy(_) => {
                self.fault.set(Some(why));
                None
            }
            For::Eyes | For::Pairing => Some(MASK.to_owned()),
        }
    }

    pub(super) fn granted(&self, bytes: usize) -> Result<(), Fault> {
        if (self.grant.borrow_mut())(bytes) { Ok(()) } else { Err(Fault::NoBudget) }
    }

    fn keeps(&self, value: &str) -> bool {
        match self.whom {
            For::Copy(keep) => keep.iter().any(|kept| **kept == *value.as_bytes()),
            For::Eyes | For::Pairing => false,
        }
    }

    /// How a rule hides.
    pub(super) fn way_of(&self, rule: usize) -> &Way {
        match self.whom {
            For::Copy(_) => &self.policy.rules()[rule].way,
            For::Eyes | For::Pairing => &Way::Mask,
        }
    }

    fn count(&self, by: By) {
        self.tally.borrow_mut().add(by);
    }

    /// What stands in the place of a value that a rule hides; `None` for nothing at all.
    pub(super) fn ruled(&self, rule: usize, value: &str) -> Option<String> {
        if self.keeps(value) {
            return Some(value.to_owned());
        }
        self.count(By::Rule(rule));
        self.way_of(rule).text(value)
    }

    /// A text without what looks personal in it.
    pub(super) fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.keeps(text) {
            return text.into();
        }
        let secrets = self.policy.secrets().iter().filter(|_| matches!(self.whom, For::Eyes));
        match value::hidden(secrets, text) {
            Some(hidden) => {
                let looks = |kind, hit: &str| self.looking(kind, hit);
                replaced(&hidden, self.kinds, looks).into_owned().into()
            }
            None => replaced(text, self.kinds, |kind, hit| self.looking(kind, hit)),
        }
    }

    fn looking(&self, kind: Kind, hit: &str) -> Option<String> {
        if self.keeps(hit) {
            return None;
        }
        self.count(By::Looks(kind));
        Some(self.way.text(hit).unwrap_or_default())
    }

    /// A value that no rule names: the parameters of a URL, JSON in it, and what looks personal; `None` where it stays.
    pub(super) fn value(&self, text: &str) -> Option<String> {
        self.nested_value(text, 0)
    }

    fn nested_value(&self, text: &str, depth: u8) -> Option<String> {
        if let Some((before, query)) = parted(text) {
            return match depth {
                DEPTH_MAX.. => self.unread(Fault::TooLarge),
                _ => self.url(before, query, depth),
            };
        }
        let nested = self.nested(text, depth);
        match self.text(nested.as_deref().unwrap_or(text)) {
            Cow::Owned(text) => Some(text),
            Cow::Borrowed(_) => nested,
        }
    }

    /// A URL, from what is before its query and what is behind.
    fn url(&self, before: &str, query: &str, depth: u8) -> Option<String> {
        let (query, fragment) = query.split_once('#').map_or((query, None), |(a, b)| (a, Some(b)));
        let path = self.path(before);
        let query = self.nested_pairs(query, |rule| &rule.query, depth + 1);
        let fragment = fragment.map(|it| self.text(it));
        if let (Cow::Borrowed(_), Cow::Borrowed(_), None | Some(Cow::Borrowed(_))) =
            (&path, &query, &fragment)
        {
            return None;
        }
        let fragment = fragment.map(|it| format!("#{it}")).unwrap_or_default();
        Some(format!("{path}?{query}{fragment}"))
    }

    /// A path, of which each segment is looked at decoded, and encoded again where it changes.
    pub(super) fn path<'p>(&self, path: &'p str) -> Cow<'p, str> {
        let mut changed = false;
        let segments = path.split('/').map(|segment| {
            let text = percent_decode_str(segment).decode_utf8_lossy();
            match self.text(&text) {
                Cow::Borrowed(_) => Cow::Borrowed(segment),
                Cow::Owned(text) => {
                    changed = true;
                    Cow::Owned(pairs::encoded(&text))
                }
            }
        });
        let segments: Vec<_> = segments.collect();
        if changed { segments.join("/").into() } else { path.into() }
    }

    /// Names and values of a query or a form.
    pub(super) fn pairs<'t>(
        &self,
        text: &'t str,
        names: impl Fn(&Rule) -> &[String],
    ) -> Cow<'t, str> {
        self.nested_pairs(text, names, 0)
    }

    fn nested_pairs<'t>(
        &self,
        text: &'t str,
        names: impl Fn(&Rule) -> &[String],
        depth: u8,
    ) -> Cow<'t, str> {
        pairs::rewrite(text, &mut |name, value| {
            if let Some(rule) = self.policy.named(name, &names) {
                return match self.ruled(rule, value) {
                    None => pairs::Edit::Remove,
                    Some(with) if with == value => pairs::Edit::Keep,
                    Some(with) => pairs::Edit::Value(with),
                };
            }
            if matches!(self.whom, For::Eyes) && !value.is_empty() && names_secret(name) {
                return pairs::Edit::Value(MASK.to_owned());
            }
            // There are servers that part pairs by a semicolon, or begin anew behind a question mark.
            let signs: &[char] = if parted(value).is_some() { &[';'] } else { &[';', '?'] };
            let mut others = value.split(signs).skip(1).filter_map(|it| it.split_once('='));
            let is_among = others.any(|(name, _)| self.policy.named(name, &names).is_some());
            let value = match is_among {
                true => self.unread(Fault::NotForm),
                false => self.nested_value(value, depth),
            };
            match (self.text(name), value) {
                (Cow::Borrowed(_), None) => pairs::Edit::Keep,
                (Cow::Borrowed(_), Some(value)) => pairs::Edit::Value(value),
                // A name alone has no sign behind it.
                (Cow::Owned(name), None) => pairs::Edit::Name(name),
                (Cow::Owned(name), Some(value)) => pairs::Edit::Both(name, value),
            }
        })
    }

    /// A JSON document on each line.
    pub(super) fn lines<'t>(&self, text: &'t [u8], depth: u8) -> Result<Cow<'t, [u8]>, Fault> {
        let mut out: Vec<u8> = Vec::new();
        let (mut at, mut copied) = (0, 0);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let document = line.trim_ascii();
            let from = at + line.len() - line.trim_ascii_start().len();
            at += line.len();
            if document.is_empty() {
                continue;
            }
            if let Cow::Owned(changed) = self.json(document, depth)? {
                self.granted(changed.len() + from - copied)?;
                out.extend_from_slice(&text[copied..from]);
                out.extend_from_slice(&changed);
                copied = from + document.len();
            }
        }
        if copied == 0 {
            return Ok(Cow::Borrowed(text));
        }
        out.extend_from_slice(&text[copied..]);
        Ok(Cow::Owned(out))
    }

    /// A JSON document, which may have U+FEFF in front of it.
    pub(super) fn json<'t>(&self, text: &'t [u8], depth: u8) -> Result<Cow<'t, [u8]>, Fault> {
        json::behind_mark(text, |document| self.document(document, depth))
    }

    fn document<'t>(&self, text: &'t [u8], depth: u8) -> Result<Cow<'t, [u8]>, Fault> {
        let policy = self.policy;
        // Who looks at it is not shown secrets, whatever the rules say.
        let is_shown = matches!(self.whom, For::Eyes);
        let has_rules = policy.has_json() || policy.has_query();
        if !is_shown && !has_rules && self.kinds.is_empty() {
            return Ok(Cow::Borrowed(text));
        }
        // Of what nothing in all of the text looks like no string does, JSON in strings has quotes, and a URL a query.
        let mut marks: Vec<_> = hits(text, self.kinds).map(|hit| hit.range.start).collect();
        marks.extend(memchr::memchr_iter(b'\\', text));
        if policy.has_query() || is_shown {
            marks.extend(memchr::memchr_iter(b'?', text));
        }
        marks.sort_unstable();
        let select = policy.select(is_shown, !marks.is_empty());
        let mut edit = |index: usize, found: Found<'_, '_>| match policy.rule_of.get(index) {
            Some(rule) => self.json_value(*rule, found),
            None if is_shown && index == policy.rule_of.len() => secret(&found),
            None => self.json_text(found, depth),
        };
        let mut grant = |bytes| (self.grant.borrow_mut())(bytes);
        json::rewrite_marked(text, select, Some(&marks), &mut grant, &mut edit)
    }

    /// A value that a rule selects.
    fn json_value(&self, rule: usize, found: Found<'_, '_>) -> Edit {
        let way = self.way_of(rule);
        let kind = found.kind();
        let text = match kind {
            Json::Array | Json::Object => None,
            // Nothing is there, whatever it is called.
            Json::Null if !matches!(way, Way::Remove) => return Edit::Keep,
            Json::Null => Some("null".into()),
            Json::True => Some("true".into()),
            Json::False => Some("false".into()),
            _ => found.text(),
        };
        if text.as_deref().is_some_and(|text| self.keeps(text)) {
            return Edit::Keep;
        }
        let is_container = matches!(kind, Json::Array | Json::Object);
        if is_container && matches!(way, Way::Hash(_) | Way::Shape(_)) {
            return Edit::Each;
        }
        self.count(By::Rule(rule));
        json_edit(way, kind, text.as_deref())
    }

    /// A string, a number or a name that no rule selects.
    fn json_text(&self, found: Found<'_, '_>, depth: u8) -> Edit {
        let Some(text) = found.text() else { return Edit::Keep };
        let is_number = found.kind() == Json::Number;
        if is_number {
            let mut hits = hits(text.as_bytes(), self.kinds);
            let Some(hit) = hits.next().filter(|_| !self.keeps(&text)) else { return Edit::Keep };
            self.count(By::Looks(hit.kind));
            return match json_edit(&self.way, Json::Number, Some(&text)) {
                Edit::Remove => Edit::Replace("null".to_owned()),
                edit => edit,
            };
        }
        let changed = self.nested_value(&text, depth + 1);
        changed.map_or(Edit::Keep, |changed| Edit::Replace(json::quoted(&changed)))
    }

    /// A text that is JSON, changed; `None` where it is none, or stays.
    fn nested(&self, text: &str, depth: u8) -> Option<String> {
        let begin = text.trim_start_matches('\u{feff}').trim_ascii_start().as_bytes().first()?;
        let may_hide = self.policy.has_json() || matches!(self.whom, For::Eyes);
        if !matches!(begin, b'{' | b'[' | b'"') || !may_hide {
            return None;
        }
        let looked = if depth > DEPTH_MAX || text.len() > self.nested_max() {
            Err(Fault::TooLarge)
        } else {
            let bytes = text.as_bytes();
            self.json(bytes, depth).or_else(|_| self.lines(bytes, depth))
        };
        match looked {
            Ok(Cow::Borrowed(_)) => None,
            Ok(Cow::Owned(changed)) => String::from_utf8(changed).ok(),
            Err(why) => {
                // It may have been cut, and names may have been escaped.
                let is_cut = *begin == b'{' && matches!(self.whom, For::Eyes);
                let may_name = match begin {
                    b'{' => self.policy.names_in(text.as_bytes()),
                    // Many texts begin with a bracket or a quote.
                    _ => self.policy.names_key_in(text),
                };
                let is_escaped = text.contains("\\u");
                if is_cut || may_name || is_escaped { self.unread(why) } else { None }
            }
        }
    }

    /// What is shown is a part of something that is paid for.
    fn nested_max(&self) -> usize {
        match self.whom {
            For::Copy(_) | For::Pairing => usize::MAX,
            For::Eyes => SHOWN_MAX,
        }
    }
}

/// What is before the query of a URL, or of a text with one in it, and the query.
fn parted(text: &str) -> Option<(&str, &str)> {
    text.split_once('?').filter(|(before, _)| before.starts_with('/') || before.contains("://"))
}

/// What its name says is secret is shown to nobody, with or without a rule.
fn secret(found: &Found<'_, '_>) -> Edit {
    match found.kind() {
        Json::Null | Json::True | Json::False => Edit::Keep,
        kind => json_edit(&Way::Mask, kind, found.text().as_deref()),
    }
}

/// What becomes of a JSON value.
pub(crate) fn json_edit(way: &Way, kind: Json, text: Option<&str>) -> Edit {
    let quoted = |text: &str| Edit::Replace(json::quoted(text));
    match (way, kind, text) {
        (Way::Remove, ..) => Edit::Remove,
        (_, Json::String, Some("")) => Edit::Keep,
        (Way::Mask, ..) | (_, _, None) => quoted(MASK),
        (Way::Hash(key), _, Some(text)) => quoted(&key.hash(text)),
        (Way::Shape(key), Json::Number, Some(text)) => match key.shape_number(text) {
            masked if masked == MASK => quoted(MASK),
            number => Edit::Replace(number),
        },
        (Way::Shape(key), Json::String, Some(text)) => quoted(&key.shape(text)),
        // There is no other of that shape but one.
        (Way::Shape(_), ..) => quoted(MASK),
    }
}
