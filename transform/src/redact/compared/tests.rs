use std::sync::Arc;

use compare::path::Path;
use compare::rules::{Redacted, RuleBook, RuleSet};
use compare::{Body, Differences, Headers, Limits, Match, Origin, Side};
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::super::detect::Kinds;
use super::super::{Key, Rule};
use super::*;
use crate::value::Secret;

fn key() -> Arc<Key> {
    Arc::new(Key::new(&[1; 32]).unwrap())
}

fn policy(way: Way, detect_copies: Kinds) -> Policy {
    let rule = Rule {
        name: "personal".into(),
        headers: vec![HeaderName::from_static("x-user")],
        cookies: Vec::new(),
        query: vec!["q".to_owned()],
        form: Vec::new(),
        json: vec![
            Select::Key("email".into()),
            Select::Path(Path::parse("$.user").unwrap()),
            Select::Path(Path::parse("$.list[*]").unwrap()),
        ],
        way: way.clone(),
    };
    Policy::new(vec![rule], Kinds::ALL, detect_copies, way)
}

/// What a comparison says of two answers with these headers and bodies.
fn looked(
    policy: Policy,
    copies: bool,
    [ours, theirs]: [(&[(&'static str, &str)], &str); 2],
) -> (Match, Differences) {
    let rules = policy.compared(copies);
    let redacted = Some(Redacted { by: Arc::new(policy), copies, rules });
    let all = RuleSet { headers: vec![HeaderName::from_static("x-user")], ..RuleSet::default() };
    let book = RuleBook { redacted, all, ..RuleBook::default() };
    let rules = compare::Policy::new(&book, &[Origin::default(), Origin::default()], 7);
    let rules = rules.of("").rules;
    let kept = |lines: &[(&'static str, &str)]| {
        let lines = lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let map: HeaderMap = lines.collect();
        Headers::of(&map, StatusCode::OK, &[HeaderName::from_static("x-user")])
    };
    let headers = [kept(ours.0), kept(theirs.0)];
    let sides = [(ours.1, &headers[0]), (theirs.1, &headers[1])].map(|(body, headers)| Side {
        status: 200,
        content_type: None,
        content_encoding: Vec::new(),
        grpc_status: None,
        headers: Some(headers),
        body: Body::Whole(body.as_bytes()),
    });
    let mut limits = Limits { max_decoded: 1 << 20, grant: &mut |_| true };
    let looked = compare::look_closer(&sides[0], &sides[1], &rules, false, &mut limits);
    (looked.result, looked.differences)
}

fn bodies(policy: Policy, ours: &str, theirs: &str) -> Match {
    looked(policy, true, [(&[], ours), (&[], theirs)]).0
}

#[test]
fn an_answer_that_says_the_pseudonym_again_is_equal_and_one_of_another_value_is_not() {
    let (hash, shape) = (Way::Hash(key()), Way::Shape(key()));
    let clear = json!({"a": [{"Email": "ann@example.com"}], "user": {"n": 12345, "ok": true, "no": null, "e": ""}});
    for way in [&hash, &shape] {
        let run = policy(way.clone(), Kinds::NONE);
        let mut grant = |_| true;
        let mut tally = Tally::default();
        let run = Run::new(&run, For::Copy(&[]), &mut grant, &mut tally);
        let echoed = run.json(clear.to_string().as_bytes(), 0).unwrap().into_owned();
        let echoed = String::from_utf8(echoed).unwrap();
        assert!(!echoed.contains("ann@") && !echoed.contains("12345"), "{echoed}");
        let judge =
            |theirs: &str| bodies(policy(way.clone(), Kinds::NONE), &clear.to_string(), theirs);
        assert_eq!(judge(&echoed), Match::Matched, "{echoed}");
        // As others spell it, and what it was.
        assert_eq!(judge(&format!(" {}", echoed.replace(':', ": "))), Match::Matched);
        assert_eq!(judge(&clear.to_string()), Match::Matched);
        for (from, to) in [
            ("ann@", "bob@"),
            ("12345", "12346"),
            ("true", "false"),
            ("null", "0"),
            (r#""e":"""#, r#""e":"x""#),
        ] {
            let other = clear.to_string().replace(from, to);
            assert_ne!(other, clear.to_string());
            assert_eq!(judge(&other), Match::Mismatched, "{other}");
            let mut tally = Tally::default();
            let policy = policy(way.clone(), Kinds::NONE);
            let run = Run::new(&policy, For::Copy(&[]), &mut grant, &mut tally);
            let other = run.json(other.as_bytes(), 0).unwrap().into_owned();
            // A shape has no other truth.
            let is_masked = matches!(way, Way::Shape(_)) && from == "true";
            let expected = if is_masked { Match::Matched } else { Match::Mismatched };
            assert_eq!(judge(std::str::from_utf8(&other).unwrap()), expected, "{from}");
        }
    }
    assert_eq!(
        bodies(policy(Way::Mask, Kinds::NONE), r#"{"email":"a"}"#, r#"{"email":"b"}"#),
        Match::Matched
    );
    assert_eq!(
        bodies(policy(Way::Mask, Kinds::NONE), r#"{"user":"a"}"#, r#"{}"#),
        Match::Mismatched
    );
    assert_eq!(
        bodies(policy(Way::Remove, Kinds::NONE), r#"{"user":"a"}"#, r#"{}"#),
        Match::Matched
    );
}

#[test]
fn what_stands_in_a_text_is_equal_to_what_copies_say_of_it() {
    for way in [Way::Hash(key()), Way::Shape(key()), Way::Mask, Way::Remove] {
        let policy = policy(way, Kinds::NONE);
        let ours = json!({"in": json!({"email": "ann", "x": 1}).to_string(), "url": "https://x.example/?q=ann&p=1"});
        let mut grant = |_| true;
        let mut tally = Tally::default();
        let run = Run::new(&policy, For::Copy(&[]), &mut grant, &mut tally);
        let echoed = run.json(ours.to_string().as_bytes(), 0).unwrap().into_owned();
        let echoed = String::from_utf8(echoed).unwrap();
        assert!(!echoed.contains("ann"), "{echoed}");
        let judge = |theirs: &str| bodies(policy.clone(), &ours.to_string(), theirs);
        assert_eq!(judge(&echoed), Match::Matched, "{echoed}");
        assert_eq!(judge(&echoed.replace("p=1", "p=2")), Match::Mismatched);
        assert_eq!(judge(&echoed.replace("x\\\":1", "x\\\":2")), Match::Mismatched);
    }
}

#[test]
fn arrays_in_any_order_are_paired_by_pseudonyms() {
    let ours = r#"{"list":["a","b",3,{"x":"c"}],"other":[1]}"#;
    for way in [Way::Hash(key()), Way::Shape(key())] {
        let policy = policy(way, Kinds::NONE);
        let mut tally = Tally::default();
        let mut grant = |_| true;
        let echoed = Run::new(&policy, For::Copy(&[]), &mut grant, &mut tally)
            .json(ours.as_bytes(), 0)
            .unwrap()
            .into_owned();
        let echoed: serde_json::Value = serde_json::from_slice(&echoed).unwrap();
        let list = echoed["list"].as_array().unwrap();
        let turned = json!({"list": [list[3], list[2], list[1], list[0]], "other": [1]});
        let rules = policy.compared(true);
        let any_order = compare::rules::Rule {
            what: What::Array(Path::parse("$.list").unwrap(), compare::rules::Pairing::Unordered),
            text: String::new(),
            place: String::new(),
        };
        let all = RuleSet { rules: vec![any_order], ..RuleSet::default() };
        let redacted = Some(Redacted { by: Arc::new(policy), copies: true, rules });
        let book = RuleBook { redacted, all, ..RuleBook::default() };
        let rules =
            compare::Policy::new(&book, &[Origin::default(), Origin::default()], 7).of("").rules;
        let turned = turned.to_string();
        let sides = [ours, &turned].map(|body| Side {
            status: 200,
            content_type: None,
            content_encoding: Vec::new(),
            grpc_status: None,
            headers: None,
            body: Body::Whole(body.as_bytes()),
        });
        let mut limits = Limits { max_decoded: 1 << 20, grant: &mut |_| true };
        let looked = compare::look_closer(&sides[0], &sides[1], &rules, false, &mut limits);
        assert_eq!(looked.result, Match::Matched, "{turned} {:?}", looked.differences);
    }
}

#[test]
fn what_looks_personal_is_equal_to_what_copies_say_of_it() {
    let ours = r#"{"to":["write ann@example.com now"],"card":4111111111111111,"n":5}"#;
    for way in [Way::Hash(key()), Way::Shape(key()), Way::Mask, Way::Remove] {
        let policy = Policy::new(Vec::new(), Kinds::ALL, Kinds::ALL, way.clone());
        let mut tally = Tally::default();
        let mut grant = |_| true;
        let echoed = Run::new(&policy, For::Copy(&[]), &mut grant, &mut tally)
            .json(ours.as_bytes(), 0)
            .unwrap()
            .into_owned();
        let echoed = String::from_utf8(echoed).unwrap();
        let judge = |theirs: &str| bodies(policy.clone(), ours, theirs);
        // A number that was removed is null.
        let expected = if matches!(way, Way::Remove) { Match::Mismatched } else { Match::Matched };
        assert_eq!(judge(&echoed), expected, "{echoed}");
        assert_eq!(judge(&ours.replace("now", "then")), Match::Mismatched);
        if matches!(way, Way::Hash(_)) {
            assert_eq!(judge(&ours.replace("ann", "bob")), Match::Mismatched);
        }
        let text = |body: &'static str, theirs: &str| bodies(policy.clone(), body, theirs);
        let said = policy.looked("<p>ann@example.com</p>").into_owned();
        assert_eq!(text("<p>ann@example.com</p>", &said), Match::Matched, "{said}");
        assert_eq!(text("<p>ann@example.com</p>", &said.replace("<p>", "<b>")), Match::Mismatched);
    }
}

#[test]
fn headers_and_locations_are_equal_to_what_copies_say_of_them() {
    let way = Way::Hash(key());
    let hashed = key().hash("ann");
    let location = format!("/s?q={hashed}&p=1");
    let judge = |ours: &[(&'static str, &str)], theirs: &[(&'static str, &str)]| {
        looked(policy(way.clone(), Kinds::NONE), true, [(ours, "x"), (theirs, "x")]).0
    };
    assert_eq!(judge(&[("x-user", "ann")], &[("x-user", &hashed)]), Match::Matched);
    assert_eq!(judge(&[("x-user", "ann")], &[("x-user", "bob")]), Match::Mismatched);
    assert_eq!(judge(&[("location", "/s?q=ann&p=1")], &[("location", &location)]), Match::Matched);
    assert_eq!(
        judge(&[("location", "/s?q=bob&p=1")], &[("location", &location)]),
        Match::Mismatched
    );
    assert_eq!(
        judge(&[("location", "/s?q=ann&p=2")], &[("location", &location)]),
        Match::Mismatched
    );
}

#[test]
fn nothing_personal_is_shown_of_a_difference() {
    let long = "x".repeat(60);
    let ours = json!({
        "email": "s3cr3t-1", "user": {"s3cr3t-key": "s3cr3t-2", "z": 1}, "n": 4111111111111111_u64,
        "text": format!("{long}ann@example.com"), "gone": "ann@example.com",
        "ann@example.com": {"a": 1}, "deep": {format!("{long}-ann@example.com"): 1},
    });
    let theirs = json!({
        "email": "s3cr3t-3", "user": {"s3cr3t-key": "s3cr3t-4", "s3cr3t-more": 1}, "n": 5555555555554444_u64,
        "text": format!("{long}bob@example.com"), "new": "+49 30 123456",
        "ann@example.com": {"a": 2}, "deep": {format!("{long}-ann@example.com"): 2},
    });
    for copies in [true, false] {
        for way in [Way::Hash(key()), Way::Shape(key()), Way::Mask, Way::Remove] {
            let headers: [&[(&'static str, &str)]; 2] = [
                &[("x-user", "s3cr3t-5"), ("location", "/u/ann%40example.com/x?q=s3cr3t")],
                &[
                    ("x-user", "s3cr3t-6"),
                    ("location", "/u/bob@example.com/192.0.2.1?q=s3cr3u&ann@example.com=1"),
                ],
            ];
            let (ours, theirs) = (ours.to_string(), theirs.to_string());
            let (result, found) = looked(
                policy(way.clone(), Kinds::NONE),
                copies,
                [(headers[0], &ours), (headers[1], &theirs)],
            );
            assert_eq!(result, Match::Mismatched);
            let told = format!("{found:?}");
            for secret in ["s3cr3t", "example.com", "4111", "5555", "192.0.2.1", "+49"] {
                assert!(!told.contains(secret), "{way:?} {copies} {secret} in {told}");
            }
            assert!(found.found.iter().any(|it| it.place == "$['text']"), "{told}");
            assert!(found.found.iter().any(|it| it.place == "header location"), "{told}");
            if !copies {
                assert!(found.found.iter().any(|it| it.place == "$['user']"), "{told}");
            }
        }
    }
}

#[test]
fn what_stands_in_a_text_is_hidden_where_the_text_is_shown() {
    let policy = policy(Way::Shape(key()), Kinds::NONE);
    let shown = |text: &str| policy.to_show(text);
    assert_eq!(shown("plain"), None);
    assert_eq!(shown("https://x.example/a?p=1").as_deref(), None);
    assert_eq!(
        shown("https://x.example/a?q=s3cr3t&p=1").as_deref(),
        Some("https://x.example/a?q=%2A%2A%2A&p=1")
    );
    assert_eq!(
        shown(r#"{"a":[{"Email":"s3cr3t"}],"user":{"x":"s3cr3t"},"b":1}"#).as_deref(),
        Some(r#"{"a":[{"Email":"***"}],"user":"***","b":1}"#)
    );
    assert_eq!(shown(r#"{"a":1}"#), None);
    // Of what was cut nobody can tell.
    assert_eq!(shown(r#"{"email":"s3c"#).as_deref(), Some("***"));
    assert_eq!(shown(r#"[{"eMail":"s3c"#).as_deref(), Some("***"));
    assert_eq!(shown("[info] all is well"), None);
    assert_eq!(shown(&format!("{{\"a\":\"{}\"}}", "x".repeat(70_000))).as_deref(), Some("***"));
    // A shape would be taken for what it stands for.
    let mail = shown("to ann@example.com").unwrap();
    assert_eq!(mail, format!("to {}", key().hash("ann@example.com")));
}

#[test]
fn a_policy_means_the_same_as_long_as_its_rules_and_its_key_do() {
    let meaning = |way: Way, kinds| policy(way, kinds).meaning();
    let one = meaning(Way::Hash(key()), Kinds::NONE);
    assert_eq!(meaning(Way::Hash(key()), Kinds::NONE), one);
    let other = Arc::new(Key::new(&[2; 32]).unwrap());
    assert_ne!(meaning(Way::Hash(other), Kinds::NONE), one);
    assert_ne!(meaning(Way::Hash(key()), Kinds::ALL), one);
    assert_ne!(meaning(Way::Mask, Kinds::NONE), one);
}

#[test]
fn what_looks_personal_in_paths_is_known_encoded_too() {
    for text in [
        "ann@example.com",
        "ann%40example.com",
        "192.0.2.1",
        "4111%201111%201111%201111",
        "%2B4930123456",
    ] {
        assert!(looks_personal(text), "{text}");
    }
    assert!(!looks_personal("p-100") && !looks_personal("a%20b"));
}

#[test]
fn secrets_are_never_shown_by_name_nor_those_that_copies_are_given() {
    let policy = Policy::default().with_secrets(vec![Secret::new("key", "k3y-of-v2")]);
    let shown = |text: &str| policy.to_show(text).unwrap_or_else(|| text.to_owned());
    for (text, expected) in [
        (r#"{"a":1,"password":"s3cr3t"}"#, r#"{"a":1,"password":"***"}"#),
        (r#"[{"api_key":["s3cr3t"],"b":null}]"#, r#"[{"api_key":"***","b":null}]"#),
        ("https://h/x?token=s3cr3t&a=1", "https://h/x?token=%2A%2A%2A&a=1"),
        ("the key is k3y-of-v2.", "the key is {secret.key}."),
        ("a plain text", "a plain text"),
    ] {
        assert_eq!(shown(text), expected);
    }
    // Copies keep what no rule hides.
    assert_eq!(policy.looked(r#"{"password":"x"}"#), r#"{"password":"x"}"#);
}
