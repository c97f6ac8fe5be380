use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::exchange::{Body, Clock, Moment, header};
use crate::made;

fn read(text: &[u8]) -> (Vec<Result<Exchange, ReadError>>, Told) {
    let mut entries = Entries::new(text, &Limits { exchange: 20_000, ..Limits::default() });
    let all = entries.by_ref().collect();
    (all, entries.told())
}

fn file(entries: &[Value]) -> Vec<u8> {
    let log =
        json!({"pages": [{"id": "p"}], "version": "1.2", "n": 1.5, "entries": entries, "z": null});
    format!("\u{feff}\n{}", json!({"a": [1], "log": log})).into_bytes()
}

/// As Chrome saves one, but for what is passed over.
fn chrome() -> Value {
    json!({
        "_initiator": {"type": "parser"},
        "_priority": "High",
        "_resourceType": "document",
        "cache": {},
        "connection": "1234",
        "startedDateTime": "2026-05-04T10:20:30.456+02:00",
        "time": 55.5,
        "timings": {"blocked": 1, "dns": -1, "ssl": -1, "connect": -1, "send": 0.1, "wait": 40.25, "receive": 2},
        "serverIPAddress": "192.0.2.1",
        "request": {
            "method": "GET",
            "url": "https://shop.example/items?q=a%20b#part",
            "httpVersion": "http/2.0",
            "headers": [
                {"name": ":authority", "value": "shop.example"},
                {"name": ":path", "value": "/items?q=a%20b"},
                {"name": "accept", "value": "*/*"}
            ],
            "queryString": [], "cookies": [], "headersSize": -1, "bodySize": 0
        },
        "response": {
            "status": 200, "statusText": "", "httpVersion": "http/2.0", "cookies": [],
            "headers": [
                {"name": "content-encoding", "value": "br"},
                {"name": "content-length", "value": "11"},
                {"name": "content-type", "value": "text/html"}
            ],
            "content": {"size": 5, "mimeType": "text/html", "text": "hello", "compression": -6},
            "redirectURL": "", "headersSize": -1, "bodySize": -1, "_transferSize": 99, "_error": null
        }
    })
}

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut entry = chrome();
    change(&mut entry);
    entry
}

fn one(change: impl FnOnce(&mut Value)) -> Exchange {
    let (mut all, _) = read(&file(&[changed(change)]));
    assert_eq!(all.len(), 1);
    all.remove(0).unwrap()
}

#[test]
fn an_entry_of_a_browser_becomes_what_went_over_the_network() {
    let (mut all, told) = read(&file(&[chrome()]));
    let exchange = all.remove(0).unwrap();
    assert_eq!(exchange.at, Moment(1_777_882_830_456_000_000));
    assert_eq!(exchange.connection, Some(1234));
    assert_eq!(exchange.request.target, "/items?q=a%20b");
    assert_eq!(exchange.request.version, "2");
    let headers: Vec<_> = exchange.request.headers.iter().map(|(name, _)| &name[..]).collect();
    assert_eq!(headers, [&b"host"[..], b"accept"]);
    assert_eq!(header(&exchange.request.headers, "host").unwrap(), "shop.example");
    let answer = exchange.answer.unwrap();
    assert_eq!(answer.headers, [("content-type".into(), Bytes::from("text/html"))]);
    assert_eq!(answer.body, Body::Whole("hello".into()));
    assert_eq!(answer.latency.unwrap().as_micros(), 40_250);
    assert_eq!(answer.clock, Clock::Foreign);
    assert_eq!(told, Told { cached: 0, decoded: 1 });
}

#[test]
fn an_entry_without_an_answer_has_none_and_a_cached_one_is_left_out() {
    assert_eq!(one(|it| it["response"]["status"] = json!(0)).answer, None);
    assert_eq!(one(|it| it["response"] = Value::Null).answer, None);
    assert_eq!(one(|it| drop(it.as_object_mut().unwrap().remove("response"))).answer, None);
    let cached = changed(|it| it["_fromCache"] = json!("disk"));
    let (all, told) = read(&file(&[cached, chrome()]));
    assert_eq!((all.len(), told.cached), (1, 1));
    let unchanged = one(|it| it["response"]["status"] = json!(304));
    assert_eq!(unchanged.answer.unwrap().body, Body::default());
}

#[test]
fn bodies_are_taken_as_they_are_told() {
    let base64 = json!({"size": 3, "text": "AP8B", "encoding": "base64"});
    let answer = one(|it| it["response"]["content"] = base64).answer.unwrap();
    assert_eq!(answer.body, Body::Whole(Bytes::from(&[0, 255, 1][..])));
    let answer = one(|it| it["response"]["content"] = json!({"size": 77})).answer.unwrap();
    assert_eq!(answer.body, Body::NotKept(Some(77)));
    assert!(header(&answer.headers, "content-encoding").is_some(), "nothing was decoded");

    let asked = |data: Value| one(|it| it["request"]["postData"] = data).request.body;
    assert_eq!(asked(json!({"mimeType": "", "text": "a=1"})), Body::Whole("a=1".into()));
    for name in ["_encoding", "encoding"] {
        let packed = json!({"mimeType": "", "text": "AP8B", name: "base64"});
        assert_eq!(asked(packed), Body::Whole(Bytes::from(&[0, 255, 1][..])), "{name}");
    }
    let params = json!([{"name": "a b", "value": "ä&"}, {"name": "c"}]);
    let form = json!({"mimeType": "application/x-www-form-urlencoded", "params": params});
    assert_eq!(asked(form), Body::Whole("a%20b=%C3%A4%26&c=".into()));
    let parts = json!({"mimeType": "multipart/form-data; boundary=x", "params": params});
    assert_eq!(asked(parts), Body::NotKept(None));
    assert_eq!(one(|it| it["request"]["bodySize"] = json!(9)).request.body, Body::NotKept(Some(9)));
}

#[test]
fn a_wrong_entry_does_not_end_the_file() {
    let wrong = changed(|it| it["startedDateTime"] = json!("yesterday"));
    let socket = changed(|it| it["request"]["url"] = json!("wss://shop.example/"));
    let (all, _) = read(&file(&[wrong, socket, chrome()]));
    let problem = all[0].as_ref().unwrap_err().to_string();
    assert!(
        problem.starts_with("entry 1: `startedDateTime`: `yesterday`, allowed is"),
        "{problem}"
    );
    assert!(all[1].as_ref().unwrap_err().to_string().contains("wss://"));
    assert!(all[2].is_ok());
}

#[test]
fn a_file_that_is_cut_off_gives_what_came_before() {
    let whole = file(&[chrome(), chrome()]);
    let end = memchr::memmem::find(&whole, b"],\"n\":1.5").unwrap();
    for length in 0..=end {
        let (all, _) = read(&whole[..length]);
        let (last, before) = all.split_last().unwrap();
        assert!(before.iter().all(Result::is_ok));
        let fault = &last.as_ref().unwrap_err().fault;
        assert!(matches!(fault, Fault::Torn(_)), "{length}: {fault}");
    }
}

#[test]
fn what_is_too_long_or_no_har_ends_with_an_error() {
    let long = changed(|it| it["response"]["content"]["text"] = json!("x".repeat(30_000)));
    let (all, _) = read(&file(&[chrome(), long, chrome()]));
    assert_eq!(all.len(), 2);
    assert!(matches!(all[1].as_ref().unwrap_err().fault, Fault::TooLong { .. }));
    for wrong in
        ["[]", "{}", r#"{"log":[]}"#, r#"{"log":{"entries":{}}}"#, r#"{"log":{"entries":[1]}}"#]
    {
        let (all, _) = read(wrong.as_bytes());
        assert!(matches!(all[..], [Err(_)]), "{wrong}: {all:?}");
    }
    assert_eq!(read(&file(&[])).0.len(), 0);
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_it_was(exchanges in vec(made::exchange(), 0..4)) {
        let mut writer = Writer::new(Vec::new(), "0.1.0").unwrap();
        for exchange in &exchanges {
            writer.write(exchange).unwrap();
        }
        let text = writer.finish().unwrap();
        let log: Value = serde_json::from_slice(&text).unwrap();
        prop_assert_eq!(&log["log"]["version"], "1.2");
        prop_assert_eq!(log["log"]["pages"].as_array().unwrap().len(), 1);
        let read: Result<Vec<_>, _> = Entries::new(&text[..], &Limits::default()).collect();
        prop_assert_eq!(read.unwrap(), exchanges);
    }
}
