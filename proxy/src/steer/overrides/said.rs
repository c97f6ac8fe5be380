//! As `PATCH /control/policy` says it: read member by member, so that whatever is wrong is told with its
//! name, its value and what is allowed.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::policy::share::Share;
use crate::policy::time;

/// What a body may be, for messages.
const ALLOWED: &str = "an object such as {\"share\": 0.05, \"for\": \"10m\"}";
/// Its members.
const NAMES: [&str; 5] = ["route", "candidate", "share", "enabled", "for"];
const SHARE: &str = "a number from 0 to 1, no finer than a millionth";
const TIME: &str = "whole seconds, or a text with a unit such as 10m, above 0 and at most 24h";
/// Most members of which is told what is wrong with them.
const TOLD_MAX: usize = 8;
/// Longest value that is shown, in characters.
const SHOWN_MAX: usize = 100;

/// What is to hold, in values that may be; whether the route and the candidate are there is seen later.
#[derive(Debug, Default)]
pub struct Said {
    pub(super) route: Option<String>,
    pub(super) candidate: Option<String>,
    pub(super) share: Option<Share>,
    pub(super) enabled: Option<bool>,
    pub(super) time: Option<Duration>,
}

impl Said {
    /// Reads a body.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        let no_json = |error| format!("is no JSON ({error}); allowed is {ALLOWED}");
        let whole: Value = serde_json::from_slice(body).map_err(no_json)?;
        if !whole.is_object() {
            return Err(format!("{}; allowed is {ALLOWED}", kind(&whole)));
        }
        let Members(members) = serde_json::from_slice(body).map_err(no_json)?;
        let (mut said, mut seen) = (Self::default(), HashSet::new());
        let mut wrong = Vec::new();
        for (name, value) in &members {
            if seen.insert(name) {
                wrong.extend(said.take(name, value).err());
            } else {
                wrong.push(format!("{}: is there twice; allowed is each name once", cut(name)));
            }
        }
        wrong.truncate(TOLD_MAX);
        if wrong.is_empty() { Ok(said) } else { Err(wrong.join("; ")) }
    }

    /// For people; what it says nothing of is left out.
    pub fn shown(&self) -> Value {
        let text = |text: &Option<String>| text.as_deref().map(|it| Value::from(cut(it)));
        let time = self.time.map(|time| humantime::format_duration(time).to_string().into());
        let members = [
            ("route", text(&self.route)),
            ("candidate", text(&self.candidate)),
            ("share", self.share.map(|share| share.fraction().into())),
            ("enabled", self.enabled.map(Value::from)),
            ("for", time),
        ];
        let said = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
        said.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
    }

    /// Takes in a member; one that is null says nothing.
    fn take(&mut self, name: &str, value: &Value) -> Result<(), String> {
        let wrong = |(why, allowed): (String, &str)| {
            format!("{name}={}: {why}; allowed is {allowed}", shown(value))
        };
        match name {
            _ if !NAMES.contains(&name) => {
                let names = NAMES.join(", ");
                return Err(format!("{}: is no known name; allowed is {names}", cut(name)));
            }
            _ if value.is_null() => {}
            "route" => self.route = Some(text(value, "the name of a route").map_err(wrong)?),
            "candidate" => {
                self.candidate = Some(text(value, "the name of a candidate").map_err(wrong)?);
            }
            "share" => self.share = Some(share(value).map_err(|why| wrong((why, SHARE)))?),
            "enabled" => {
                let kind = || wrong((kind(value).to_owned(), "true or false"));
                self.enabled = Some(value.as_bool().ok_or_else(kind)?);
            }
            _ => self.time = Some(time_of(value).map_err(|why| wrong((why, TIME)))?),
        }
        Ok(())
    }
}

fn text<'w>(value: &Value, allowed: &'w str) -> Result<String, (String, &'w str)> {
    value.as_str().map(str::to_owned).ok_or_else(|| (kind(value).to_owned(), allowed))
}

fn share(value: &Value) -> Result<Share, String> {
    let number = value.as_number().and_then(Number::as_f64).ok_or_else(|| kind(value))?;
    match number {
        0.0..=1.0 => Share::parse(&number.to_string()),
        _ => Err("is out of range".to_owned()),
    }
}

fn time_of(value: &Value) -> Result<Duration, String> {
    let time = match value {
        Value::String(text) => time::parse(text)?,
        Value::Number(number) => {
            let seconds = number.as_u64().ok_or("is no whole number of 0 or more")?;
            time::parse(&seconds.to_string())?
        }
        _ => return Err(kind(value).to_owned()),
    };
    if time.is_zero() { Err("is zero".to_owned()) } else { Ok(time) }
}

/// What a value is, for messages.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "is null",
        Value::Bool(_) => "is true or false",
        Value::Number(_) => "is a number",
        Value::String(_) => "is a text",
        Value::Array(_) => "is a list",
        Value::Object(_) => "is an object",
    }
}

/// As messages show it; a number without an exponent, and as a float where it came as one.
fn shown(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if value.is_f64() => {
            let point = if number.fract() == 0.0 { ".0" } else { "" };
            cut(&format!("{number}{point}"))
        }
        _ => cut(&value.to_string()),
    }
}

/// The beginning of a long text.
fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// The members of an object as they came: of a name that is there twice a map would keep one.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}
