//! What the policy means where two answers are compared, and where what differs is shown.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

use compare::json::Kind as Json;
use compare::redaction::{Alias, Redaction};
use compare::rules::{MaskAs, Select as Selected, What};
use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode;

use super::detect::hits;
use super::head;
use super::policy::{Policy, Tally};
use super::run::{For, Run, json_edit};
use super::way::{MASK, Way};
use crate::parts::json::{Edit, Select};

impl Policy {
    /// What its rules mean for answers of a candidate, whose copies it holds for as well or not: of what copies have in
    /// another form, answers may say either. Of what a candidate never gets it can say nothing.
    pub fn compared(&self, copies: bool) -> Vec<What> {
        let mut rules = Vec::new();
        for rule in self.rules() {
            let mask = match &rule.way {
                Way::Hash(_) => MaskAs::Alias(Alias::Hash),
                Way::Shape(_) => MaskAs::Alias(Alias::Shape),
                Way::Mask | Way::Remove => MaskAs::Equal,
            };
            let is_gone = matches!(rule.way, Way::Remove);
            let selected = rule.json.iter().filter_map(selected);
            rules.extend(selected.map(|select| match (copies, is_gone) {
                (false, _) => What::Hide(select),
                (true, true) => What::Ignore(select),
                (true, false) => What::Mask(select, mask),
            }));
            rules.extend(rule.headers.iter().cloned().map(|name| match (copies, is_gone) {
                (false, _) => What::HideHeader(name),
                (true, true) => What::IgnoreHeader(name),
                (true, false) => What::MaskHeader(name, mask),
            }));
        }
        rules
    }

    /// A text that is kept or shown, without what is hidden in it; `None` where it stays. It is to be whole: of what was
    /// cut nobody can tell what it was.
    pub fn to_show(&self, text: &str) -> Option<String> {
        self.valued(For::Eyes, text)
    }

    /// A text that no rule names, without what is hidden in it; `None` where it stays.
    fn valued(&self, whom: For<'_>, text: &str) -> Option<String> {
        let mut tally = Tally::default();
        let mut grant = |_| true;
        Run::new(self, whom, &mut grant, &mut tally).value(text)
    }

    /// The way that the pseudonyms of an alias are made in.
    fn way_for(&self, alias: Alias) -> Option<&Way> {
        self.rules().iter().map(|rule| &rule.way).find(|way| match alias {
            Alias::Hash => matches!(way, Way::Hash(_)),
            Alias::Shape => matches!(way, Way::Shape(_)),
        })
    }
}

fn selected(select: &Select) -> Option<Selected> {
    match select {
        Select::Path(path) => Some(Selected::Path(path.clone())),
        Select::Key(name) => Some(Selected::Key(name.clone())),
        Select::Secret | Select::Text => None,
    }
}

impl Redaction for Policy {
    fn shown<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        // What is no text is shown as one anyway.
        let readable = String::from_utf8_lossy(text);
        match self.to_show(&readable) {
            Some(shown) => Cow::Owned(shown.into_bytes()),
            None => Cow::Borrowed(text),
        }
    }

    fn shown_path<'t>(&self, path: &'t [u8]) -> Cow<'t, [u8]> {
        let is_hidden = |segment: &[u8]| {
            self.is_hidden(segment)
                || segment.contains(&b'%') && {
                    let decoded: Vec<u8> = percent_decode(segment).collect();
                    self.is_hidden(&decoded)
                }
        };
        let mut segments: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        let mut changed = false;
        for segment in &mut segments {
            if is_hidden(segment) {
                (*segment, changed) = (MASK.as_bytes(), true);
            }
        }
        if changed { Cow::Owned(segments.join(&b'/')) } else { Cow::Borrowed(path) }
    }

    fn names(&self, name: &str) -> bool {
        let is_named = |of: fn(&super::policy::Rule) -> &[String]| self.named(name, of).is_some();
        is_named(|rule| &rule.query) || is_named(|rule| &rule.form)
    }

    fn alias(&self, alias: Alias, kind: Json, text: &str) -> String {
        if kind == Json::Null {
            return text.to_owned();
        }
        let Some(way) = self.way_for(alias) else { return text.to_owned() };
        match (way, kind) {
            (Way::Shape(_), Json::Number) => match json_edit(way, kind, Some(text)) {
                Edit::Replace(number) => number.trim_matches('"').to_owned(),
                _ => text.to_owned(),
            },
            (Way::Shape(_), Json::True | Json::False) => MASK.to_owned(),
            _ => way.text(text).unwrap_or_default(),
        }
    }

    fn looks(&self) -> bool {
        !self.detect_copies().is_empty() || self.has_json() || self.has_query()
    }

    fn looked<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.valued(For::Copy(&[]), text).map_or(Cow::Borrowed(text), Cow::Owned)
    }

    fn same_looks<'t>(&self, text: &'t str) -> Cow<'t, str> {
        // A shape has another shape, and only a hash is its own.
        let ways = || self.rules().iter().map(|rule| &rule.way).chain([self.way()]);
        let whom = match ways().any(|way| matches!(way, Way::Shape(_))) {
            true => For::Pairing,
            false => For::Copy(&[]),
        };
        self.valued(whom, text).map_or(Cow::Borrowed(text), Cow::Owned)
    }

    fn header(&self, name: &HeaderName, value: &[u8]) -> Option<Vec<u8>> {
        let value = HeaderValue::from_bytes(value).ok()?;
        let mut tally = Tally::default();
        let mut grant = |_| true;
        let run = Run::new(self, For::Copy(&[]), &mut grant, &mut tally);
        let line = head::line(&run, name, &value, head::rule_of(&run, name)).ok()??;
        Some(line.map(|value| value.as_bytes().to_vec()).unwrap_or_default())
    }

    fn meaning(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        // As text, since paths have no other hash; of a key what it makes of nothing.
        format!("{self:?}").hash(&mut hasher);
        let ways = self.rules().iter().map(|rule| &rule.way).chain([self.way()]);
        for way in ways {
            if let Way::Hash(key) | Way::Shape(key) = way {
                key.hash("").hash(&mut hasher);
            }
        }
        hasher.finish()
    }
}

/// Whether anything in a text, as it is or percent-encoded, looks personal at all.
pub fn looks_personal(text: &str) -> bool {
    let all = super::detect::Kinds::ALL;
    hits(text.as_bytes(), all).next().is_some()
        || text.contains('%') && {
            let decoded: Vec<u8> = percent_decode(text.as_bytes()).collect();
            hits(&decoded, all).next().is_some()
        }
}

#[cfg(test)]
mod tests;
