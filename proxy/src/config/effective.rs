//! What holds, and why: every setting with its value and who said so.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use serde::Serialize;
use serde_json::{Value, json};

use super::settings::{Changes, Kind, Setting};

/// What stands for a secret that is set.
pub const MASKED: &str = "(not shown)";

/// Who said that a value holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Origin {
    /// Nobody.
    Default,
    /// A file.
    File {
        /// Its name and the line: `mirrorlab.toml:12`.
        place: String,
    },
    /// The environment.
    Environment {
        /// The variable.
        name: String,
        /// Where a file says something else, which does not hold.
        #[serde(skip_serializing_if = "Option::is_none")]
        over: Option<String>,
    },
    /// Whoever changed it while the proxy runs.
    Override,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { place } => f.write_str(place),
            Self::Environment { name, over: None } => f.write_str(name),
            Self::Environment { name, over: Some(place) } => write!(f, "{name}, over {place}"),
            Self::Override => f.write_str("override"),
        }
    }
}

/// A setting that holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effective {
    /// Its place: `mirror.share`, of a candidate `candidate.v2.url`, of a route `route.search.share`.
    pub place: String,
    /// Its name in the environment.
    pub env: Option<&'static str>,
    /// Its value; null where there is none.
    pub value: Value,
    /// Who said so.
    pub origin: Origin,
    /// Whether a new value holds only after a restart.
    pub restart: bool,
    /// Tells secrets apart, in this process alone; 0 for what is shown.
    #[serde(skip)]
    pub secret: u64,
}

/// With a key that nobody knows, so that nothing can be guessed by it.
static SECRETS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// What tells a secret from others without saying it; 0 for what is none.
pub(super) fn told_apart(setting: &Setting, text: Option<&str>) -> u64 {
    if setting.secret { SECRETS.hash_one(text) } else { 0 }
}

/// All of them, in the order in which they were read.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    all: Vec<Effective>,
    places: HashMap<String, usize>,
}

impl Settings {
    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Effective> {
        self.all.iter()
    }

    /// The one at this place.
    pub fn get(&self, place: &str) -> Option<&Effective> {
        self.places.get(place).map(|index| &self.all[*index])
    }

    /// Takes in one, in place of what was there.
    pub fn put(&mut self, effective: Effective) {
        if let Some(index) = self.places.get(&effective.place) {
            self.all[*index] = effective;
        } else {
            self.places.insert(effective.place.clone(), self.all.len());
            self.all.push(effective);
        }
    }

    /// Says what the value of one is that follows from others.
    pub(super) fn follows(&mut self, place: &str, value: Value) {
        if let Some(index) = self.places.get(place) {
            self.all[*index].value = value;
        }
    }
}

impl<'s> IntoIterator for &'s Settings {
    type Item = &'s Effective;
    type IntoIter = std::slice::Iter<'s, Effective>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Serialize for Settings {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.all)
    }
}

/// A value as JSON, from the text that says it; a secret is masked.
pub(super) fn value(setting: &Setting, text: Option<&str>) -> Value {
    let Some(text) = text else { return Value::Null };
    if setting.secret {
        return json!(MASKED);
    }
    match setting.kind {
        Kind::Whole | Kind::Number | Kind::NumberOrOff => {
            let number = text.parse::<u64>().map(Value::from);
            number.or_else(|_| text.parse::<f64>().map(Value::from)).unwrap_or_else(|_| json!(text))
        }
        Kind::Switch => json!(text == "true"),
        Kind::List => json!(super::values::items(text).collect::<Vec<_>>()),
        _ => json!(text),
    }
}

/// What holds by default.
pub(super) fn by_default(place: String, setting: &Setting, env: Option<&'static str>) -> Effective {
    Effective {
        place,
        env,
        value: value(setting, setting.default),
        origin: Origin::Default,
        restart: setting.changes == Changes::Restart,
        secret: told_apart(setting, setting.default),
    }
}
