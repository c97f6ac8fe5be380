//! The JSON Schema of the settings file, for editors: made of the same table and the same shape that
//! the file is read by, so that it cannot know other names, types or defaults.

use serde_json::{Map, Value, json};

use super::candidates::CANDIDATES_MAX;
use super::effective;
use super::listeners::LISTENERS_MAX;
use super::routes::ROUTES_MAX;
use super::settings::{FILE, Kind, Setting, Shape, Times};
use super::transforms::{ACTIONS, SECRETS_MAX, TRANSFORMS_MAX};
use crate::policy::share::Share;

/// Longest time, in seconds.
const DAY: u64 = 24 * 3600;
/// A time as a text; of how long it is, what a pattern can tell is told by the next one.
const TIME: &str = concat!(
    r"^\s*(\+?[0-9]+|([0-9][0-9\s]*(\.[0-9\s]+)?(nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds?",
    r"|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|wks?|w|months?|M|years?|yrs?|y)\s*)+)$",
);
/// More than 24 hours.
const TOO_LONG: &str = concat!(
    r"^\s*0*((2[5-9]|[3-9][0-9]|[1-9][0-9]{2,})\s*(hours?|hrs?|h)|([2-9]|[1-9][0-9]+)\s*(days?|d))",
    r"\s*$",
);
/// No time at all, in whatever unit.
const ZERO: &str = "^[^1-9]*$";
/// What the environment may say for one candidate alone; that a file leaves it out is hardly meant.
const EXPECTED: &str = "candidate.url";
/// Tables of `[route.match]` that must have one of the others of their names.
const NOT_TESTS: [&str; 2] = ["name", "not"];

/// Lists of tables, and how many there may be.
const MOST: [(&str, usize); 5] = [
    ("candidate", CANDIDATES_MAX),
    ("listener", LISTENERS_MAX),
    ("route", ROUTES_MAX),
    ("transform", TRANSFORMS_MAX),
    ("secret", SECRETS_MAX),
];

/// The schema as text.
pub fn schema() -> String {
    let mut root = table(&FILE);
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("Settings of mirrorlab-proxy");
    format!("{root:#}\n")
}

fn of(shape: &Shape) -> Value {
    let one = || table(shape);
    let many = |items: Value| {
        let mut list = json!({ "type": "array", "items": items });
        if let Some((_, most)) = MOST.iter().find(|(name, _)| *name == shape.name) {
            list["maxItems"] = json!(most);
        }
        list
    };
    let mut schema = match (shape.leaf, shape.children.is_empty()) {
        (Some(setting), true) => return leaf(setting),
        (Some(setting), false) => json!({ "anyOf": [leaf(setting), one()] }),
        (None, _) => match shape.times {
            Times::Once => one(),
            Times::Many => many(one()),
            Times::Any => json!({ "anyOf": [one(), many(one())] }),
        },
    };
    if !shape.about.is_empty() {
        schema["description"] = json!(shape.about);
    }
    schema
}

fn table(shape: &Shape) -> Value {
    let properties: Map<_, _> =
        shape.children.iter().map(|child| (child.name.to_owned(), of(child))).collect();
    let is_required = |it: &Setting| it.required || it.place == EXPECTED;
    let required = shape.children.iter().filter(|it| it.leaf.is_some_and(is_required));
    let required: Vec<_> = required.map(|child| child.name).collect();
    let mut schema =
        json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    match shape.name {
        "route" => schema["anyOf"] = one_of(&["name", "route", "match"]),
        "transform" => schema["oneOf"] = one_of(&ACTIONS),
        "secret" => schema["oneOf"] = one_of(&["file", "env"]),
        "path" | "host" | "header" | "query" | "cookie" if shape.child("not").is_some() => {
            let names = shape.children.iter().map(|child| child.name);
            let tests: Vec<_> = names.filter(|name| !NOT_TESTS.contains(name)).collect();
            schema["oneOf"] = one_of(&tests);
        }
        "numbers" => schema["anyOf"] = [above_0("absolute"), above_0("relative")].into(),
        "arrays" => {
            let by = |is_unordered: bool| json!({ "unordered": { "const": is_unordered } });
            schema["oneOf"] = json!([
                { "required": ["unordered"], "properties": by(true), "not": { "required": ["key"] } },
                { "required": ["key"], "properties": by(false) },
            ]);
        }
        _ if shape.child("rename").is_some() => changes(shape, &mut schema),
        _ => {}
    }
    schema
}

/// What of many is changed, and how: one of each.
fn changes(shape: &Shape, schema: &mut Value) {
    const HOW: [&str; 6] = ["set", "set_json", "add", "remove", "rename", "redact"];
    let how: Vec<_> = HOW.into_iter().filter(|name| shape.child(name).is_some()).collect();
    let mut both = vec![json!({ "oneOf": one_of(&how) })];
    if shape.child("prefix").is_some() {
        both.push(json!({ "oneOf": one_of(&["name", "prefix"]) }));
        // Another one has no name but one.
        both.push(json!({ "not": { "required": ["prefix", "add"] } }));
    }
    schema["allOf"] = both.into();
    schema["properties"]["remove"]["const"] = json!(true);
}

/// Tables that have a number of this name that is no 0.
fn above_0(name: &str) -> Value {
    json!({ "required": [name], "properties": { name: { "exclusiveMinimum": 0 } } })
}

/// Tables that have one of these names.
fn one_of(names: &[&str]) -> Value {
    names.iter().map(|name| json!({ "required": [name] })).collect()
}

fn leaf(setting: &Setting) -> Value {
    let mut schema = kind(setting);
    let env = setting.env.map(|name| format!(" In the environment: {name}.")).unwrap_or_default();
    let about = format!("{}. Allowed is {}.{env}", setting.about, setting.allowed);
    schema["description"] = json!(about);
    if let Some(default) = setting.default {
        schema["default"] = effective::value(setting, Some(default));
    }
    schema
}

fn kind(setting: &Setting) -> Value {
    let text = || json!({ "type": "string", "minLength": 1 });
    let texts = || json!({ "type": "array", "items": text() });
    match setting.kind {
        Kind::Text | Kind::Url | Kind::Path if setting.may_be_empty => json!({ "type": "string" }),
        Kind::Text | Kind::Url | Kind::Path => text(),
        Kind::Word(words) => {
            let numbers = words.iter().filter_map(|word| word.parse::<u64>().ok());
            let words: Vec<_> = words.iter().map(|word| json!(word)).collect();
            json!({ "enum": words.into_iter().chain(numbers.map(Value::from)).collect::<Vec<_>>() })
        }
        Kind::Whole => bounded("integer", setting),
        Kind::Number => bounded("number", setting),
        Kind::NumberOrOff => json!({ "anyOf": [bounded("number", setting), { "const": "off" }] }),
        Kind::Switch => json!({ "type": "boolean" }),
        Kind::Time => {
            let is_above_0 = setting.allowed.contains("above 0");
            let least = u64::from(is_above_0);
            let whole = json!({ "type": "integer", "minimum": least, "maximum": DAY });
            let refused = [Some(TOO_LONG), Some(ZERO).filter(|_| is_above_0)];
            let refused = refused.into_iter().flatten().map(|it| json!({ "pattern": it }));
            let refused: Vec<_> = refused.collect();
            let text = json!({ "type": "string", "pattern": TIME, "not": { "anyOf": refused } });
            let off = setting.allowed.starts_with("off").then(|| json!({ "const": "off" }));
            let forms: Vec<_> = [whole, text].into_iter().chain(off).collect();
            json!({ "anyOf": forms })
        }
        Kind::List => {
            let mut list = texts();
            list["minItems"] = json!(usize::from(!setting.may_be_empty));
            json!({ "anyOf": [text(), list] })
        }
        Kind::Texts => texts(),
        Kind::Range => {
            json!({ "type": "array", "items": { "type": "number" }, "minItems": 2, "maxItems": 2 })
        }
    }
}

fn bounded(name: &str, setting: &Setting) -> Value {
    let mut schema = setting.bounds();
    schema["type"] = json!(name);
    if setting.is_share() {
        // How fine it is no schema can say: a millionth is no number that validators divide by.
        schema["anyOf"] = json!([{ "const": 0 }, { "minimum": Share::LEAST.fraction() }]);
    }
    schema
}

#[cfg(test)]
mod tests;
