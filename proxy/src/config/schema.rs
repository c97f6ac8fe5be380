//! The JSON Schema of the settings file, for editors: made of the same table and the same shape that
//! the file is read by, so that it cannot know other names, types or defaults.

use serde_json::{Map, Value, json};

use super::effective;
use super::settings::{FILE, Kind, Setting, Shape, Times};

/// Longest time, in seconds.
const DAY: u64 = 24 * 3600;

/// The schema as text.
pub fn schema() -> String {
    let mut root = table(&FILE);
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("Settings of mirrorlab-proxy");
    format!("{root:#}\n")
}

fn of(shape: &Shape) -> Value {
    let one = || table(shape);
    let many = |items: Value| json!({ "type": "array", "items": items });
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
    let required = shape.children.iter().filter(|it| it.leaf.is_some_and(|it| it.required));
    let required: Vec<_> = required.map(|child| child.name).collect();
    let mut schema =
        json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
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
    let texts = || json!({ "type": "array", "items": { "type": "string" } });
    match setting.kind {
        Kind::Text | Kind::Url | Kind::Path if setting.name() == "mark" => {
            json!({ "type": "string" })
        }
        Kind::Text | Kind::Url | Kind::Path => json!({ "type": "string", "minLength": 1 }),
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
            let least = u64::from(!setting.allowed.starts_with("0, or"));
            let whole = json!({ "type": "integer", "minimum": least, "maximum": DAY });
            json!({ "anyOf": [whole, { "type": "string", "minLength": 1 }] })
        }
        Kind::List => json!({ "anyOf": [{ "type": "string", "minLength": 1 }, texts()] }),
        Kind::Texts => texts(),
        Kind::Range => {
            json!({ "type": "array", "items": { "type": "number" }, "minItems": 2, "maxItems": 2 })
        }
    }
}

fn bounded(name: &str, setting: &Setting) -> Value {
    let mut schema = setting.bounds();
    schema["type"] = json!(name);
    schema
}

#[cfg(test)]
mod tests;
