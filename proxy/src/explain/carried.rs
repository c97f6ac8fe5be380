//! What is hidden where it stands may be carried elsewhere by a rule: it is hidden there, too.

use http::header::COOKIE;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::route::looks_private;
use compare::{Rules, Stand};
use transform::CopyRequest;
use transform::value::Secret;

/// Shorter ones stand in too many texts to be looked for.
const SHORT: usize = 4;
/// Values kept in mind of a copy.
const VALUES_MAX: usize = 256;
/// What they stand as until they are masked.
const NAME: &str = "\u{0}";

/// Values that are hidden, the longest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Carried(Vec<Secret>);

impl Carried {
    /// Keeps values of a copy in mind; of its headers those are hidden that `is_hidden` says so of.
    pub(super) fn gather(
        &mut self,
        (copy, body): (&CopyRequest, Option<&str>),
        rules: &Rules,
        is_hidden: &dyn Fn(&str, &[u8]) -> bool,
    ) {
        for (name, value) in &copy.headers {
            let text = String::from_utf8_lossy(value.as_bytes());
            if *name == COOKIE {
                let value = |cookie: &str| {
                    cookie.split_once('=').map_or(cookie, |it| it.1).trim().to_owned()
                };
                text.split(';').for_each(|cookie| self.add(&value(cookie)));
            } else if is_hidden(name.as_str(), value.as_bytes()) {
                self.add(&text);
                text.split_whitespace().skip(1).for_each(|word| self.add(word));
            }
        }
        copy.query.iter().for_each(|query| self.pairs(query, rules));
        if let Some(body) = body {
            let mut grant = compare::up_to(64 * body.len());
            match compare::kept(body.as_bytes(), rules, Stand::Mask, &mut grant) {
                Some(kept) => self.json(body, &kept),
                None => self.pairs(body, rules),
            }
        }
        self.0.sort_by_key(|it| std::cmp::Reverse(it.length()));
    }

    /// A text without them.
    pub(super) fn masked(&self, text: &str) -> String {
        let text = self.0.iter().fold(text.to_owned(), |text, it| it.hidden_in(&text));
        text.replace(&format!("{{secret.{NAME}}}"), "***")
    }

    fn add(&mut self, value: &str) {
        let value = Secret::new(NAME, value);
        if value.length() >= SHORT && self.0.len() < VALUES_MAX && !self.0.contains(&value) {
            self.0.push(value);
        }
    }

    fn pairs(&mut self, text: &str, rules: &Rules) {
        for (name, value) in text.split('&').filter_map(|part| part.split_once('=')) {
            let name = percent_decode_str(name).decode_utf8_lossy();
            let last = name.trim_end_matches(']').rsplit('[').next().unwrap_or_default();
            if rules.hides(last) || looks_private(value) {
                self.add(value);
                self.add(&percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy());
            }
        }
    }

    fn json(&mut self, body: &str, kept: &[u8]) {
        let both = serde_json::from_str(body).ok().zip(serde_json::from_slice(kept).ok());
        if let Some((was, is)) = both {
            self.hidden(&was, &is);
        }
    }

    fn hidden(&mut self, was: &Value, is: &Value) {
        match (was, is) {
            (Value::Object(was), Value::Object(is)) => {
                was.iter()
                    .for_each(|(key, was)| self.hidden(was, is.get(key).unwrap_or(&Value::Null)));
            }
            (Value::Array(was), Value::Array(is)) => {
                was.iter().zip(is).for_each(|(was, is)| self.hidden(was, is));
            }
            (was, is) if was == is => {}
            (Value::Object(was), _) => was.values().for_each(|it| self.hidden(it, &Value::Null)),
            (Value::Array(was), _) => was.iter().for_each(|it| self.hidden(it, &Value::Null)),
            (Value::String(was), _) => self.add(was),
            (Value::Number(was), _) => self.add(&was.to_string()),
            (Value::Null | Value::Bool(_), _) => {}
        }
    }
}
