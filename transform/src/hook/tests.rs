//! What scripts can do, what they cannot, and what hostile ones cost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

mod hostile;
mod loaded;
mod properties;

const ABOUT: About<'static> = About { route: "/orders", candidate: "next" };

fn limits() -> Limits {
    let start = Instant::now();
    Limits {
        steps: 100_000,
        bytes: 8 << 20,
        over: Arc::new(move || start.elapsed() > Duration::from_secs(20)),
        grant: Box::new(|_| true),
    }
}

fn compile(source: &str) -> Result<Hook, Vec<Flaw>> {
    Hook::compile("test", source, &["vip".to_owned(), "slow".to_owned()])
}

fn good(source: &str) -> Hook {
    compile(source).unwrap_or_else(|flaws| panic!("{flaws:?}"))
}

fn pre(body: &str) -> Hook {
    good(&format!("fn pre(copy) {{\n{body}\n}}"))
}

fn copy(json: &str) -> CopyRequest {
    let mut headers = HeaderMap::new();
    headers.insert("x-tenant", HeaderValue::from_static("acme"));
    headers.append("x-list", HeaderValue::from_static("a"));
    headers.append("x-list", HeaderValue::from_static("b"));
    headers.insert("cookie", HeaderValue::from_static("sid=1; theme=dark"));
    CopyRequest {
        method: Method::POST,
        path: "/orders/7".to_owned(),
        query: Some("page=2&q=a%20b".to_owned()),
        host: None,
        headers,
        body: Some(json.to_owned().into()),
    }
}

fn answer(json: &str) -> Answer {
    Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: json.to_owned().into() }
}

/// The copy after this body of `pre`.
fn after(script: &str, json: &str) -> CopyRequest {
    let mut it = copy(json);
    let said = pre(script).pre(&mut it, ABOUT, limits());
    assert_eq!(said.unwrap_or_else(|failure| panic!("{failure}")).verdict, Verdict::Send);
    it
}

fn body(script: &str, json: &str) -> String {
    String::from_utf8(after(script, json).body.unwrap().to_vec()).unwrap()
}

fn failure(script: &str, json: &str) -> Failure {
    pre(script).pre(&mut copy(json), ABOUT, limits()).unwrap_err()
}

#[test]
fn what_is_changed_in_a_document_is_all_that_changes() {
    let json =
        "{ \"a\" : 1.50, \"b\":[1,  2.0 , {\"c\":\"\\u00e9\"}],\n \"n\": 12345678901234567890.10 }";
    assert_eq!(body("", json), json);
    assert_eq!(body("copy.json.a = copy.json.a;", json), json);
    assert_eq!(body("copy.json.a = 1.5;", json), json, "the same number in another spelling");
    assert_eq!(body("copy.json.n = copy.json.n;", json), json);
    assert_eq!(body("copy.json.b = copy.json.b; copy.json = copy.json;", json), json);
    assert_eq!(body("copy.json.a = 2;", json), json.replace("1.50", "2"));
    assert_eq!(body("copy.json.b[2].c = \"x\\n\";", json), json.replace("\"\\u00e9\"", "\"x\\n\""));
    assert_eq!(body("copy.json.b[-3] = true;", json), json.replace("[1,", "[true,"));
    assert_eq!(body("copy.json.rename(\"a\", \"z\");", json), json.replace("\"a\"", "\"z\""));
    assert_eq!(
        body("copy.json.b.push(#{x: [(), 1]}); copy.json.b.remove(0);", json),
        json.replace(
            "[1,  2.0 , {\"c\":\"\\u00e9\"}]",
            "[2.0,{\"c\":\"\\u00e9\"},{\"x\":[null,1]}]"
        ),
    );
    assert_eq!(body("copy.json.remove(\"n\");", "{\"n\":1,\"a\": [1 ]}"), "{\"a\":[1 ]}");
    assert_eq!(body("copy.json.x = copy.json.a;", "{\"a\": [1 ]}"), "{\"a\":[1 ],\"x\":[1 ]}");
    assert_eq!(body("copy.json = [1, \"a\"];", "{}"), "[1,\"a\"]");
    assert_eq!(body("copy.json = copy.json.a;", "{\"a\": [1 ]}"), "[1 ]");
    assert_eq!(body("copy.body = \"text\";", json), "text");
}

#[test]
fn what_is_changed_can_be_read_again_and_through_what_was_taken_from_it() {
    let script =
        "let items = copy.json.items; for item in items { item.price += 1; item.seen = true; }
        let first = items[0]; first.sub = #{a: 1}; first.sub.a = 5; first.sub.b = first.sub.a;
        items.insert(1, 7); copy.json.count = items.len();";
    assert_eq!(
        body(script, r#"{"items":[{"price":1},{"price":2.5}]}"#),
        r#"{"items":[{"price":2,"seen":true,"sub":{"a":5,"b":5}},7,{"price":3.5,"seen":true}],"count":3}"#,
    );
}

#[test]
fn of_a_name_that_is_there_twice_the_last_counts_and_changes_leave_one() {
    let json = r#"{"a":1,"b":2,"a":3}"#;
    assert_eq!(body("copy.json.b = copy.json.a;", json), r#"{"a":1,"b":3,"a":3}"#);
    assert_eq!(body("copy.json.a = 4;", json), r#"{"b":2,"a":4}"#);
    assert_eq!(body("copy.json.remove(\"a\");", json), r#"{"b":2}"#);
    assert_eq!(body("copy.json.rename(\"a\", \"c\");", json), r#"{"c":1,"b":2,"c":3}"#);
    assert_eq!(body("copy.json.rename(\"b\", \"a\");", json), r#"{"a":2}"#);
}

#[test]
fn numbers_that_a_script_cannot_hold_are_not_changed_in_silence() {
    let json = r#"{"id":12345678901234567890,"x":0.1000000000000000000001}"#;
    for (script, expected) in [
        ("copy.json.id > 1000", "true"),
        ("1000 < copy.json.id", "true"),
        ("copy.json.id >= copy.json.id", "true"),
        ("copy.json.x <= 0.05", "false"),
        ("0.05 < copy.json.x", "true"),
        ("copy.json.id < 7", "false"),
    ] {
        assert_eq!(body(&format!("copy.json = {script};"), json), expected, "{script}");
    }
    assert_eq!(
        body("copy.json.y = copy.json.id;", json),
        format!("{},\"y\":12345678901234567890}}", &json[..json.len() - 1])
    );
    let added = failure("copy.json.id += 1;", json);
    assert!(added.reason.contains("+ (number, i64)"), "{added}");
    assert_eq!(body("copy.json = copy.json.id.to_string();", json), "\"12345678901234567890\"");
    assert_eq!(body("copy.json = round(copy.json.x, 3);", json), "0.1");
    assert_eq!(
        body("copy.json = copy.json.id == parse_json(\"12345678901234567890\");", json),
        "true"
    );
}

#[test]
fn prices_are_rounded_by_their_decimal_digits() {
    let json = r#"{"a":1.005,"b":2.50,"c":3,"d":-0.125}"#;
    let script = "for key in copy.json.keys() { copy.json[key] = round(copy.json[key], 2); }";
    assert_eq!(body(script, json), r#"{"a":1.01,"b":2.50,"c":3,"d":-0.13}"#);
}

#[test]
fn all_parts_of_a_copy_can_be_read_and_changed() {
    let it = after(
        "copy.method = \"PUT\"; copy.path = \"/v2\" + copy.path; copy.host = \"next:81\";
         copy.query[\"page\"] = \"3\"; copy.query.add(\"x\", \"ü\"); copy.query.remove(\"q\");
         copy.headers[\"X-New\"] = copy.headers[\"x-tenant\"] + copy.headers.all(\"x-list\").join(\",\");
         copy.headers.add(\"x-list\", \"c\"); copy.headers.remove(\"x-tenant\");
         copy.cookies[\"sid\"] = \"2\"; copy.cookies.remove(\"theme\"); copy.cookies.set(\"n\", \"1\");
         copy.headers[\"x-about\"] = copy.route + copy.candidate;
         if copy.headers[\"nowhere\"] != () { throw \"there\"; }
         if \"nowhere\" in copy.headers { throw \"there\"; }",
        "{}",
    );
    assert_eq!((it.method.as_str(), it.path.as_str()), ("PUT", "/v2/orders/7"));
    assert_eq!(it.query.as_deref(), Some("page=3&x=%C3%BC"));
    assert_eq!(it.host, Some(HeaderValue::from_static("next:81")));
    let line = |name: &str| {
        let lines: Vec<_> =
            it.headers.get_all(name).iter().map(|it| it.to_str().unwrap()).collect();
        lines.join("|")
    };
    assert_eq!(line("x-new"), "acmea,b");
    assert_eq!(line("x-list"), "a|b|c");
    assert_eq!(line("cookie"), "sid=2; n=1");
    assert_eq!(line("x-about"), "/ordersnext");
    assert_eq!(line("x-tenant"), "");
}

#[test]
fn nothing_that_frames_a_request_can_be_said_by_a_hook() {
    for script in [
        "copy.headers[\"Content-Length\"] = \"1\";",
        "copy.headers.add(\"transfer-encoding\", \"chunked\");",
        "copy.headers.set(\"host\", \"x\");",
        "copy.headers.remove(\"connection\");",
        "copy.headers[\"x\"] = \"a\\r\\nb: c\";",
        "copy.headers[\"a b\"] = \"c\";",
        "copy.path = \"//x y\";",
        "copy.path = \"orders\";",
        "copy.path = \"/a?b\";",
        "copy.path = \"/a\\r\\nHost: x\";",
        "copy.query = \"a b\";",
        "copy.query = \"a#b\";",
        "copy.method = \"GET /\";",
        "copy.method = \"CONNECT\";",
        "copy.host = \"a b\";",
        "copy.host = \"u@a\";",
        "copy.cookies[\"a\"] = \"b; c=d\";",
    ] {
        assert_eq!(failure(script, "{}").cause, Cause::Script, "{script}");
    }
}

#[test]
fn what_is_no_json_is_none_and_a_body_that_is_text_is_text() {
    for no in ["", "plain", "{\"a\":1", "NaN", "{} x"] {
        assert_eq!(body("if copy.json != () { copy.body = \"was JSON\"; }", no), no);
    }
    assert_eq!(body("copy.body = copy.body + \"!\";", "plain"), "plain!");
    assert_eq!(body("copy.json.a = 2; copy.body += \" \";", "{\"a\":1}"), "{\"a\":2} ");
    let mut it = copy("");
    it.body = Some(vec![0xff, 0xfe].into());
    pre("if copy.body != () || copy.json != () { throw \"text\"; }")
        .pre(&mut it, ABOUT, limits())
        .unwrap();
    it.body = None;
    pre("if copy.body != () || copy.json != () { throw \"text\"; }")
        .pre(&mut it, ABOUT, limits())
        .unwrap();
    assert_eq!(it.body, None);
}

#[test]
fn an_encoded_body_is_decoded_and_encoded_again() {
    for coding in ["gzip", "br", "zstd", "deflate"] {
        let mut it = copy("");
        it.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
        let sent = crate::parts::coding::encode(&it.headers, b"{\"a\": 1}").unwrap();
        it.body = Some(sent.clone().into());
        pre("if copy.json.a != 1 { throw \"no\"; }").pre(&mut it, ABOUT, limits()).unwrap();
        assert_eq!(it.body.as_deref(), Some(&*sent), "unchanged");
        pre("copy.json.a = 2;").pre(&mut it, ABOUT, limits()).unwrap();
        let mut grant = |_| true;
        let mut limits = compare::Limits { max_decoded: 100, grant: &mut grant };
        let plain =
            crate::parts::coding::decode(&it.headers, it.body.as_deref().unwrap(), &mut limits);
        assert_eq!(&*plain.unwrap(), b"{\"a\": 2}", "{coding}");
    }
    let mut it = copy("no gzip");
    it.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let failed = pre("copy.json.a = 2;").pre(&mut it, ABOUT, limits()).unwrap_err();
    assert!(failed.reason.contains("decoded"), "{failed}");
}

#[test]
fn a_copy_is_dropped_for_a_reason_whatever_the_script_catches() {
    for script in [
        "drop(\"tenant\"); throw \"not here\";",
        "try { drop(\"tenant\"); } catch { copy.path = \"/x\"; } throw \"or here\";",
        "loop { try { inner(copy); } catch {} } } fn inner(copy) { drop(\"tenant\");",
    ] {
        let said = pre(script).pre(&mut copy("{}"), ABOUT, limits()).unwrap();
        assert_eq!(said.verdict, Verdict::Drop("tenant".to_owned()), "{script}");
    }
    let hook = good("fn post(baseline, candidate) { drop(\"x\"); }");
    let failed = hook.post((&mut answer(""), &mut answer("")), ABOUT, limits()).unwrap_err();
    assert_eq!((failed.line, &*failed.reason), (Some(1), "only `pre` may drop"));
}

#[test]
fn both_answers_are_normalised_and_labelled() {
    let hook = good(
        "fn plain(answer) { for item in answer.json.items { item.price = round(item.price, 1); } }
         fn post(baseline, candidate) {
             plain(baseline); plain(candidate);
             candidate.headers.remove(\"x-build\");
             candidate.headers[\"content-length\"] = \"1\";
             if candidate.status == 201 { candidate.status = 200; label(\"vip\"); label(\"vip\"); }
         }",
    );
    assert!(hook.has_post() && !hook.has_pre());
    let mut ours = answer(r#"{"items":[{"price":1.04}]}"#);
    let mut theirs = answer(r#"{"items": [ {"price":1.01} ]}"#);
    theirs.status = StatusCode::CREATED;
    theirs.headers.insert("x-build", HeaderValue::from_static("7"));
    let said = hook.post((&mut ours, &mut theirs), ABOUT, limits()).unwrap();
    assert_eq!(said.labels, [0]);
    assert_eq!(&*ours.body, br#"{"items":[{"price":1.0}]}"#);
    assert_eq!(&*theirs.body, br#"{"items": [ {"price":1.0} ]}"#);
    assert_eq!((theirs.status, theirs.headers.get("x-build")), (StatusCode::OK, None));
}
