//! A target and a body, apart by a byte that is in no UTF-8 text, under a policy of each way: what comes out is what it
//! was by its kind, has nothing left under the names that are personal, is as it was everywhere else, and nothing is
//! found in it once more.
#![no_main]

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use fuzz::copies::{copy, granted};
use http::HeaderName;
use http::uri::PathAndQuery;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use transform::CopyRequest;
use transform::parts::json::Select;
use transform::parts::media::Media;
use transform::parts::{Fault, multipart, pairs};
use transform::redact::detect::Kinds;
use transform::redact::{Key, MASK, Policy, Rule, Way};

const APART: u8 = 0xFF;
/// What a pseudonym is longer than what it stands for, at most, for each byte that came.
const GROWTH: usize = 64;
/// What is personal, wherever it stands.
const NAME: &str = "s";

static KEY: LazyLock<Arc<Key>> =
    LazyLock::new(|| Arc::new(Key::new(&[7; 32]).expect("it is long enough")));
/// By names alone, in each way, and by looks alone, masked.
static NAMED: LazyLock<[Policy; 4]> = LazyLock::new(|| {
    [Way::Remove, Way::Mask, Way::Hash(Arc::clone(&KEY)), Way::Shape(Arc::clone(&KEY))]
        .map(|way| Policy::new(vec![rule(way)], Kinds::ALL, Kinds::NONE, Way::Mask))
});
static LOOKING: LazyLock<Policy> =
    LazyLock::new(|| Policy::new(Vec::new(), Kinds::ALL, Kinds::ALL, Way::Mask));

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == APART);
    let target = parts.next().unwrap_or_default();
    let body = parts.next().unwrap_or_default();
    for policy in NAMED.iter().chain([&*LOOKING]) {
        with_target(policy, target);
        for content_type in [
            "application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=b",
            "text/plain",
        ] {
            with_body(policy, body, content_type);
        }
    }
});

fn rule(way: Way) -> Rule {
    let names = || vec![NAME.to_owned()];
    Rule {
        name: "personal".into(),
        headers: vec![HeaderName::from_static(NAME)],
        cookies: names(),
        query: names(),
        form: names(),
        json: vec![Select::Key(NAME.to_owned())],
        way,
    }
}

fn with_target(policy: &Policy, target: &[u8]) {
    let Ok(parsed) = PathAndQuery::try_from(target) else { return };
    let mut copy = copy(b"", "text/plain");
    copy.path = parsed.path().to_owned();
    copy.query = parsed.query().map(str::to_owned);
    // What may hide something and cannot be looked into, such as JSON that is cut, is not sent.
    if redacted(policy, &mut copy).is_err() {
        return;
    }
    let query = copy.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let whole = format!("{}{query}", copy.path);
    assert!(PathAndQuery::try_from(whole.as_str()).is_ok(), "{whole} is no target");
    let before = parsed.query().unwrap_or_default();
    pairs_hidden(policy, before, copy.query.as_deref().unwrap_or_default());
}

fn with_body(policy: &Policy, body: &[u8], content_type: &'static str) {
    let mut copy = copy(body, content_type);
    if redacted(policy, &mut copy).is_err() {
        return;
    }
    let after = copy.body.clone().unwrap_or_default();
    match Media::of(&copy.headers) {
        Media::Form => match (std::str::from_utf8(body), std::str::from_utf8(&after)) {
            (Ok(before), Ok(after)) if !looks_like_json(before) => {
                pairs_hidden(policy, before, after);
            }
            (before, after) => assert_eq!(before.is_ok(), after.is_ok(), "text stays text"),
        },
        Media::Multipart(boundary) => parts_hidden(policy, &after, &boundary),
        // Text is JSON where it begins like an object or a list.
        media => {
            if (media == Media::Json || looks_like_json(&String::from_utf8_lossy(body)))
                && let Ok(before) = serde_json::from_slice::<Value>(body)
            {
                let after = serde_json::from_slice(&after).expect("JSON stays JSON");
                members_hidden(policy, &before, &after);
            }
        }
    }
    let tally = redacted(&LOOKING, &mut copy.clone());
    // Beside a mask something may begin that was a part of a word before.
    if std::ptr::eq(policy, &raw const *LOOKING) && stands_alone(&after) {
        assert_eq!(
            tally,
            Ok(0),
            "{:?} still has what looks personal",
            String::from_utf8_lossy(&after)
        );
    }
}

/// Whether every mask has nothing beside it that could be a part of what looks personal.
fn stands_alone(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let is_end = |c: Option<char>| c.is_none_or(|c| "\"&=,; {}[]\r\n".contains(c));
    text.match_indices(MASK).chain(text.match_indices("%2A%2A%2A")).all(|(at, mask)| {
        is_end(text[..at].chars().next_back()) && is_end(text[at + mask.len()..].chars().next())
    })
}

/// Under the name there is nothing but what stands for it, and everything else is there as it was.
fn members_hidden(policy: &Policy, before: &Value, after: &Value) {
    let Some(rule) = policy.rules().first() else { return };
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (name, value) in before {
                match (name.eq_ignore_ascii_case(NAME), after.get(name)) {
                    (true, Some(after)) => hidden(&rule.way, value, after),
                    (true, None) => assert!(matches!(rule.way, Way::Remove), "{name:?} is gone"),
                    (false, Some(after)) => members_hidden(policy, value, after),
                    (false, None) => assert!(is_url(name), "{name:?} is gone"),
                }
            }
            let is_known = |name: &String| before.contains_key(name) || is_url(name);
            assert!(after.keys().all(is_known), "{after:?} has more");
        }
        (Value::Array(before), Value::Array(after)) => {
            assert_eq!(before.len(), after.len());
            before
                .iter()
                .zip(after)
                .for_each(|(before, after)| members_hidden(policy, before, after));
        }
        // JSON in a string is looked into.
        (Value::String(before), Value::String(after)) if looks_like_json(before) => {
            if let (Ok(before), Ok(after)) =
                (serde_json::from_str(before), serde_json::from_str(after))
            {
                members_hidden(policy, &before, &after);
            }
        }
        (Value::String(before), Value::String(_)) if is_url(before) => {}
        _ => assert_eq!(before, after),
    }
}

/// Whether it may have parameters, which are looked into, in names of members too.
fn is_url(text: &str) -> bool {
    text.contains('?')
}

fn hidden(way: &Way, before: &Value, after: &Value) {
    match (way, before, after) {
        (Way::Remove, ..) => panic!("{after} is still there"),
        (_, Value::Null, after) => assert!(after.is_null()),
        (Way::Mask, _, after) => {
            assert!(after.is_null() || after == MASK || after == "", "{after}")
        }
        (_, Value::Object(before), Value::Object(after)) => {
            before.iter().for_each(|(name, value)| hidden(way, value, &after[name]));
        }
        (_, Value::Array(before), Value::Array(after)) => {
            before.iter().zip(after).for_each(|(before, after)| hidden(way, before, after));
        }
        (Way::Hash(key), Value::String(text), after) if !text.is_empty() => {
            assert_eq!(*after, Value::from(key.hash(text)));
        }
        (Way::Shape(key), Value::String(text), after) if !text.is_empty() => {
            assert_eq!(*after, Value::from(key.shape(text)));
        }
        _ => {}
    }
}

fn pairs_hidden(policy: &Policy, before: &str, after: &str) {
    let Some(rule) = policy.rules().first() else { return };
    let is_it = |name: &str| name.eq_ignore_ascii_case(NAME);
    let values = |text: &str| -> Vec<String> {
        let found = pairs::pairs(text).filter(|(name, _)| is_it(name));
        found.map(|(_, value)| value.into_owned()).collect()
    };
    let expected: Vec<_> = values(before).iter().filter_map(|value| rule.way.text(value)).collect();
    assert_eq!(values(after), expected, "{before:?} became {after:?}");
}

fn parts_hidden(policy: &Policy, after: &[u8], boundary: &str) {
    let Some(rule) = policy.rules().first() else { return };
    multipart::rewrite(after, boundary, &mut |part| {
        if part.name.is_some_and(|name| name.eq_ignore_ascii_case(NAME)) {
            match rule.way {
                Way::Remove => panic!("it is still there"),
                Way::Mask => assert!(part.body.is_empty() || part.body == MASK.as_bytes()),
                _ => {}
            }
        }
        multipart::Edit::Keep
    });
}

fn looks_like_json(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim_ascii_start().starts_with(['{', '['])
}

/// Hides within bounds of memory and of what comes out; how often.
fn redacted(policy: &Policy, copy: &mut CopyRequest) -> Result<u64, Fault> {
    let length = copy.body.as_ref().map_or(0, Bytes::len);
    let (done, granted) = granted(|limits| policy.redact(copy, &[], limits));
    let after = copy.body.as_ref().map_or(0, Bytes::len);
    assert!(after <= 64 + GROWTH * length, "{length} bytes became {after}");
    assert!(granted <= 8192 + 2048 * (1 + length), "{granted} bytes for {length}");
    Ok(done?.counts().map(|(_, count)| u64::from(count)).sum())
}
