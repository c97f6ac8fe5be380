use std::io::Read as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::exchange::{Body, Clock, Pair};
use crate::made;

fn written(exchange: &Exchange) -> Vec<u8> {
    let mut line = Vec::new();
    write(exchange, &mut line);
    line
}

fn lines(text: &[u8]) -> Vec<Result<Exchange, ReadError>> {
    Lines::new(text, &Limits { exchange: 2000, ..Limits::default() }).collect()
}

fn fault(change: impl FnOnce(&mut Value)) -> String {
    let mut entry: Value = serde_json::from_slice(&written(&made::plain(1))).unwrap();
    change(&mut entry);
    parse(entry.to_string().as_bytes()).unwrap_err().to_string()
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_it_was(exchange in made::exchange()) {
        let line = written(&exchange);
        prop_assert_eq!(memchr::memchr(b'\n', &line), Some(line.len() - 1));
        prop_assert_eq!(parse(&line).unwrap(), exchange);
    }

    #[test]
    fn no_line_makes_it_panic(line: Vec<u8>) {
        let read = parse(&line);
        prop_assert!(read.is_err());
    }
}

#[test]
fn an_entry_has_what_har_asks_for() {
    let mut exchange = made::plain(1);
    exchange.request.body = Body::Whole("a=1".into());
    let entry: Value = serde_json::from_slice(&written(&exchange)).unwrap();
    assert_eq!(entry["startedDateTime"], "2026-05-04T08:20:30.456Z");
    assert_eq!(entry["time"], 1.234);
    assert_eq!(entry["request"]["url"], "http://shop.example:8080/api/items/1?page=2");
    assert_eq!(entry["request"]["httpVersion"], "HTTP/1.1");
    assert_eq!(entry["request"]["postData"], json!({"mimeType": "", "text": "a=1"}));
    assert_eq!(
        entry["request"]["headers"][0],
        json!({"name": "Host", "value": "shop.example:8080"})
    );
    assert_eq!(entry["response"]["content"]["mimeType"], "application/json");
    assert_eq!(entry["response"]["content"]["size"], 28);
    let fields = [
        (&entry, &["cache", "timings"][..]),
        (&entry["request"], &["method", "cookies", "queryString", "headersSize", "bodySize"]),
        (&entry["response"], &["statusText", "cookies", "redirectURL", "headersSize", "bodySize"]),
        (&entry["timings"], &["send", "wait", "receive"]),
    ];
    for (object, names) in fields {
        for name in names {
            assert!(!object[name].is_null(), "{name} in {object}");
        }
    }
}

#[test]
fn a_target_that_no_url_can_say_stands_beside_it() {
    for (target, url) in [
        ("*", "http://h/*"),
        ("/a b#c", "http://h/a%20b%23c"),
        ("/ä", "http://h/%C3%A4"),
        ("http://other/x", "http://h/http://other/x"),
    ] {
        let mut exchange = made::plain(1);
        exchange.request.headers = vec![("host".into(), "h".into())];
        exchange.request.target = target.into();
        let entry: Value = serde_json::from_slice(&written(&exchange)).unwrap();
        assert_eq!(
            (&entry["request"]["url"], &entry["request"]["_target"]),
            (&url.into(), &target.into())
        );
    }
    let entry: Value = serde_json::from_slice(&written(&made::plain(1))).unwrap();
    assert_eq!(entry["request"].get("_target"), None);
}

#[test]
fn a_wrong_value_is_told_with_its_field_and_what_is_allowed() {
    let wrong = [
        (fault(|it| it["response"]["status"] = json!("ok")), "response.status", "\"ok\"", "u16"),
        (
            fault(|it| it["response"]["_clock"] = json!("sun")),
            "response._clock",
            "sun",
            "`proxy`, `wire`",
        ),
        (fault(|it| it["_client"] = json!("me")), "_client", "IP address", ""),
        (
            fault(|it| it["request"]["headers"][1]["_encoding"] = json!("x")),
            "headers[1]._encoding",
            "`x`",
            "latin1",
        ),
        (
            fault(|it| it["response"]["content"]["encoding"] = json!("gzip")),
            "response.content.encoding",
            "`gzip`",
            "`base64`",
        ),
        (
            fault(|it| it["response"]["content"] = json!({"encoding": "base64", "text": "!"})),
            "response.content.text",
            "`!`",
            "base64",
        ),
        (fault(|it| it["request"]["url"] = json!("data:x")), "request.url", "`data:x`", "http"),
    ];
    for (problem, field, value, allowed) in &wrong {
        assert!(problem.contains(&format!("{field}`")), "{problem}");
        assert!(problem.contains(value) && problem.contains(allowed), "{problem}");
    }
}

#[test]
fn fields_of_others_are_passed_over() {
    let mut entry: Value = serde_json::from_slice(&written(&made::plain(1))).unwrap();
    entry["_new"] = json!({"deep": [1, {"x": null}]});
    entry["request"]["comment"] = json!("made up");
    assert_eq!(parse(entry.to_string().as_bytes()).unwrap(), made::plain(1));
}

#[test]
fn a_bad_line_does_not_end_the_recording() {
    let mut text = written(&made::plain(1));
    text.extend_from_slice(b"\n{\"_ns\":\n");
    text.extend_from_slice(&[b'x'; 5000]);
    text.push(b'\n');
    text.extend(written(&made::plain(2)));
    text.extend_from_slice(br#"{"_ns":5,"requ"#);
    let read = lines(&text);
    assert_eq!(read.len(), 5);
    assert_eq!(read[0].as_ref().unwrap(), &made::plain(1));
    assert!(read[1].as_ref().unwrap_err().to_string().starts_with("line 3: no JSON"));
    assert_eq!(read[2].as_ref().unwrap_err().to_string(), "line 4: longer than 2000 bytes");
    assert_eq!(read[3].as_ref().unwrap(), &made::plain(2));
    assert!(read[4].as_ref().unwrap_err().to_string().starts_with("line 6: torn"));
}

#[test]
fn the_last_line_needs_no_end_and_a_failing_source_ends_it() {
    let line = written(&made::plain(1));
    assert_eq!(lines(line.trim_ascii_end()).len(), 1);

    struct Failing;
    impl io::Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }
    }
    let source = io::BufReader::new(line.chain(Failing));
    let read: Vec<_> = Lines::new(source, &Limits::default()).collect();
    assert_eq!(read.len(), 2);
    assert!(matches!(read[1].as_ref().unwrap_err().fault, Fault::Io(_)));
}

#[test]
fn a_pair_without_an_answer_of_either_side_stays_one() {
    let mut exchange = made::plain(1);
    exchange.answer = None;
    exchange.pair =
        Some(Pair { candidate: "next".into(), outcome: "timeout".into(), ..Pair::default() });
    let line = written(&exchange);
    let entry: Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(entry["response"]["status"], 0);
    assert_eq!(parse(&line).unwrap(), exchange);
}

#[test]
fn deep_nesting_is_an_error() {
    let deep = format!(r#"{{"_ns":1,"request":{}}}"#, "[".repeat(100_000));
    assert!(parse(deep.as_bytes()).is_err());
    let passed_over = format!(r#"{{"x":{}"#, "[".repeat(100_000));
    assert!(parse(passed_over.as_bytes()).is_err());
}

#[test]
fn a_body_that_databases_refuse_or_that_is_no_text_is_base64() {
    for (body, text) in [("a\0b", "YQBi"), ("\u{1}", "\u{1}"), ("ä", "ä")] {
        let mut exchange = made::plain(1);
        exchange.request.body = Body::Whole(body.into());
        let entry: Value = serde_json::from_slice(&written(&exchange)).unwrap();
        assert_eq!(entry["request"]["postData"]["text"], text);
    }
}

#[test]
fn a_latency_keeps_its_clock() {
    for clock in [Clock::Proxy, Clock::Wire, Clock::Foreign] {
        let mut exchange = made::plain(1);
        exchange.answer.as_mut().unwrap().clock = clock;
        assert_eq!(parse(&written(&exchange)).unwrap(), exchange);
    }
}
