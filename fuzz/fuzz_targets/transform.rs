//! A target and a body, apart by a byte that is in no UTF-8 text, changed by steps of every kind: what comes out is
//! what it was by its kind, has not grown but by what was put in, and has nothing left of what was taken out.
#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use compare::path::Path;
use fuzz::copies::{copy, granted};
use http::uri::PathAndQuery;
use libfuzzer_sys::fuzz_target;
use regex::Regex;
use serde_json::{Value, json};
use transform::CopyRequest;
use transform::parts::json::Select;
use transform::parts::media::Media;
use transform::parts::{Fault, multipart, pairs};
use transform::steps::{
    Action, Change, JsonChange, JsonWhat, Names, Otherwise, Transform, What, apply,
};
use transform::value::{About, Template};

static PATTERN: LazyLock<Regex> = LazyLock::new(|| Regex::new("/([^/]*)/s").expect("it is one"));

const APART: u8 = 0xFF;
/// What steps put in, at most, for each byte that came.
const GROWTH: usize = 64;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == APART);
    let target = parts.next().unwrap_or_default();
    let body = parts.next().unwrap_or_default();
    with_target(target);
    with_json(body);
    with_form(body, "application/x-www-form-urlencoded");
    with_form(body, "multipart/form-data; boundary=b");
});

fn with_target(target: &[u8]) {
    let Ok(parsed) = PathAndQuery::try_from(target) else { return };
    let mut copy = copy(b"", "text/plain");
    copy.path = parsed.path().to_owned();
    copy.query = parsed.query().map(str::to_owned);
    let steps = [
        Action::PathPrefix { from: "/a".to_owned(), to: "/b/c".to_owned() },
        Action::Path { pattern: PATTERN.clone(), to: "/$1/t".to_owned() },
        Action::Query(change(What::Remove)),
        Action::Query(Change { names: Names::Exact("n".to_owned()), what: set("{path}{query.x}") }),
    ];
    taken(steps, &mut copy).expect("a target that may be there stays one");
    let query = copy.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let whole = format!("{}{query}", copy.path);
    assert!(PathAndQuery::try_from(whole.as_str()).is_ok(), "{whole} is no target");
    assert!(pairs::pairs(&query).all(|(name, _)| name != "s"), "{query} has what was taken out");
}

fn with_json(body: &[u8]) {
    let mut copy = copy(body, "application/json");
    let select = |path: &str| Select::Path(Path::parse(path).expect("it is one"));
    let steps = [
        JsonChange { select: select("$..s"), parent: None, what: JsonWhat::Remove },
        JsonChange {
            select: select("$..t[*]"),
            parent: None,
            what: JsonWhat::SetJson("{\"u\":[null]}".to_owned()),
        },
        JsonChange {
            select: select("$.new"),
            parent: Some((select("$"), "new".to_owned())),
            what: JsonWhat::SetJson("7".to_owned()),
        },
    ];
    let done = taken(steps.map(Action::Json), &mut copy);
    // It looks at no letters of what it ignores.
    let is_json = std::str::from_utf8(body)
        .is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
    match done {
        Err(fault) => assert!(!is_json, "{fault} of what is JSON"),
        Ok(()) => {
            let Ok(before) = serde_json::from_slice::<Value>(body) else { return };
            let body = copy.body.as_deref().unwrap_or_default();
            let after = serde_json::from_slice::<Value>(body).expect("JSON stays JSON");
            assert_eq!(after, changed(before));
        }
    }
}

/// The same by values.
fn changed(value: Value) -> Value {
    let mut value = inside(value, false);
    if let Value::Object(members) = &mut value {
        members.insert("new".to_owned(), json!(7));
    }
    value
}

fn inside(value: Value, is_t: bool) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(name, _)| name != "s")
            // `[*]` is all that is in it, of an object too (RFC 9535 section 2.3.2).
            .map(|(name, value)| match is_t {
                true => (name, json!({"u": [null]})),
                false => {
                    let is_t = name == "t";
                    (name, inside(value, is_t))
                }
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(list) if is_t => list.iter().map(|_| json!({"u": [null]})).collect(),
        Value::Array(list) => list.into_iter().map(|value| inside(value, false)).collect(),
        other => other,
    }
}

fn with_form(body: &[u8], content_type: &'static str) {
    let mut copy = copy(body, content_type);
    let other = Change { names: Names::Exact("n".to_owned()), what: set("{query.x}") };
    let steps = [Action::Form(change(What::Remove)), Action::Form(other)];
    if taken(steps, &mut copy).is_err() {
        return;
    }
    let body = copy.body.as_deref().unwrap_or_default();
    match Media::of(&copy.headers) {
        Media::Form => {
            let text = std::str::from_utf8(body).expect("text stays text");
            assert!(pairs::pairs(text).all(|(name, _)| name != "s"), "{text}");
        }
        Media::Multipart(boundary) => {
            multipart::rewrite(body, &boundary, &mut |part| {
                assert_ne!(part.name, Some("s"));
                multipart::Edit::Keep
            });
        }
        _ => {}
    }
}

fn set(text: &str) -> What {
    What::Set(Template::parse(text, &mut |_| Err(String::new())).expect("it is one"))
}

fn change(what: What) -> Change {
    Change { names: Names::Exact("s".to_owned()), what }
}

/// Takes steps within bounds of memory and of what comes out.
fn taken<const N: usize>(actions: [Action; N], copy: &mut CopyRequest) -> Result<(), Fault> {
    let about = About { route: "r", candidate: "c", request_id: "i" };
    let length = copy.body.as_ref().map_or(0, Bytes::len);
    let step = |action| Transform { name: "it".into(), action, otherwise: Otherwise::Unsent };
    let steps = actions.map(step);
    let (done, granted) = granted(|limits| apply(steps.iter(), copy, &about, limits, None));
    let after = copy.body.as_ref().map_or(0, Bytes::len);
    assert!(after <= 64 + GROWTH * length, "{length} bytes became {after}");
    assert!(granted <= 4096 * (1 + N) + 512 * N * (1 + length), "{granted} bytes for {length}");
    done.map_err(|failed| failed.fault)
}
