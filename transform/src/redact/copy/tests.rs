use std::sync::Arc;

use bytes::Bytes;
use compare::path::Path;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use super::super::detect::Kinds;
use super::super::{By, Key, Rule, Way};
use super::*;
use crate::parts::coding;
use crate::parts::json::Select;

mod properties;
mod unread;

/// What no copy may say.
const SECRET: &str = "s3cr3t-ann@example.com";

fn key() -> Arc<Key> {
    Arc::new(Key::new(&[1; 32]).unwrap())
}

fn ways() -> [Way; 4] {
    [Way::Remove, Way::Mask, Way::Hash(key()), Way::Shape(key())]
}

fn rule(way: Way) -> Rule {
    let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Rule {
        name: "personal".into(),
        headers: vec![HeaderName::from_static("x-user"), http::header::AUTHORIZATION],
        cookies: texts(&["sid"]),
        query: texts(&["email"]),
        form: texts(&["email", "file"]),
        json: vec![
            Select::Key("email".into()),
            Select::Path(Path::parse("$.user.ssn").unwrap()),
            Select::Path(Path::parse("$.people[*]").unwrap()),
        ],
        way,
    }
}

fn rules(way: &Way) -> Policy {
    Policy::new(vec![rule(way.clone())], Kinds::ALL, Kinds::NONE, Way::Mask)
}

fn detectors(way: &Way) -> Policy {
    Policy::new(Vec::new(), Kinds::ALL, Kinds::ALL, way.clone())
}

fn copy() -> CopyRequest {
    CopyRequest {
        method: Method::POST,
        path: "/a".into(),
        query: None,
        host: None,
        headers: HeaderMap::new(),
        body: None,
    }
}

fn with_body(content_type: &str, body: impl Into<Bytes>) -> CopyRequest {
    let mut copy = copy();
    if !content_type.is_empty() {
        copy.headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
    }
    copy.body = Some(body.into());
    copy
}

fn encoded(mut copy: CopyRequest, coding: &'static str) -> CopyRequest {
    copy.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    copy.body = copy.body.map(|body| coding::encode(&copy.headers, &body).unwrap().into());
    copy
}

fn redact(policy: &Policy, copy: &mut CopyRequest) -> Result<Tally, Fault> {
    let mut limits = Limits { max_decoded: 1 << 20, grant: &mut |_| true };
    policy.redact(copy, &[], &mut limits)
}

fn redacted(policy: &Policy, mut copy: CopyRequest) -> CopyRequest {
    redact(policy, &mut copy).unwrap();
    copy
}

/// The body without its codings.
fn body(copy: &CopyRequest) -> String {
    let mut limits = Limits { max_decoded: 1 << 20, grant: &mut |_| true };
    let body = copy.body.as_deref().unwrap_or_default();
    let plain = coding::decode(&copy.headers, body, &mut limits).unwrap();
    String::from_utf8_lossy(&plain).into_owned()
}

fn parsed(copy: &CopyRequest) -> Value {
    serde_json::from_str(&body(copy)).unwrap_or_else(|why| panic!("{why}: {}", body(copy)))
}

/// All that a copy says, in every form in which it can be read.
fn said(copy: &CopyRequest) -> String {
    let mut all = format!("{} {:?}\n", copy.path, copy.query);
    for (name, value) in &copy.headers {
        all.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
    }
    all.push_str(&body(copy));
    let spaced = all.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy();
    let unescaped = decoded.replace("\\u0040", "@").replace("\\/", "/").replace('\\', "");
    format!("{all}\n{unescaped}")
}

#[test]
fn each_place_is_hidden_in_each_way() {
    for way in ways() {
        let policy = rules(&way);
        let mut copy = with_body("application/json", json!({"email": SECRET, "id": 1}).to_string());
        copy.query = Some(
            "a=1&email=s3cr3t-ann%40example.com&user%5BEmail%5D=s3cr3t-ann@example.com&b".into(),
        );
        for (name, value) in [
            ("x-user", SECRET),
            ("authorization", "Bearer s3cr3t-ann@example.com"),
            ("cookie", "lang=de; sid=s3cr3t-ann@example.com"),
            ("referer", "https://x.example/?email=s3cr3t-ann%40example.com&c=3#top"),
        ] {
            copy.headers.append(name, HeaderValue::from_static(value));
        }
        copy.headers.append("x-user", HeaderValue::from_static("s3cr3t-ann@example.com again"));
        let tally = redact(&policy, &mut copy).unwrap();
        assert!(!said(&copy).contains("s3cr3t"), "{way:?} {}", said(&copy));
        assert_eq!(tally.counts().collect::<Vec<_>>(), [(By::Rule(0), 8)], "{way:?}");
        // What is not meant stays.
        let query = copy.query.clone().unwrap();
        assert!(query.starts_with("a=1&") && query.ends_with("&b"), "{query}");
        assert!(copy.headers["cookie"].to_str().unwrap().starts_with("lang=de"));
        let referer = copy.headers["referer"].to_str().unwrap();
        assert!(
            referer.starts_with("https://x.example/?") && referer.ends_with("c=3#top"),
            "{referer}"
        );
        assert_eq!(parsed(&copy)["id"], 1);
        let is_gone = matches!(way, Way::Remove);
        assert_eq!(copy.headers.contains_key("x-user"), !is_gone, "{way:?}");
        assert_eq!(parsed(&copy).get("email").is_some(), !is_gone, "{way:?}");
        if matches!(way, Way::Hash(_) | Way::Shape(_)) {
            let authorization = copy.headers["authorization"].to_str().unwrap();
            assert!(authorization.starts_with("Bearer "), "{authorization}");
        }
    }
}

#[test]
fn one_value_has_one_pseudonym_wherever_it_stands() {
    let policy = rules(&Way::Hash(key()));
    let mut copy = with_body(
        "application/json",
        json!({"email": SECRET, "user": {"ssn": SECRET}}).to_string(),
    );
    copy.query = Some("email=s3cr3t-ann%40example.com".into());
    copy.headers.append("x-user", HeaderValue::from_static(SECRET));
    copy.headers.append("cookie", HeaderValue::from_static("sid=s3cr3t-ann@example.com"));
    let copy = redacted(&policy, copy);
    let pseudonym = key().hash(SECRET);
    assert_eq!(copy.query, Some(format!("email={pseudonym}")));
    assert_eq!(copy.headers["x-user"], pseudonym);
    assert_eq!(copy.headers["cookie"], format!("sid={pseudonym}"));
    assert_eq!(parsed(&copy), json!({"email": pseudonym, "user": {"ssn": pseudonym}}));
    // Once more changes nothing.
    assert_eq!(redacted(&policy, copy.clone()), copy);
}

#[test]
fn json_is_hidden_at_any_depth_and_whatever_it_is() {
    let text = r#"{"a":[{"EMAIL":"s3cr3t-1","n":1.50}],"e\u006dail":{"to":["s3cr3t-2",31337,true,null,"",{"s3":"s3cr3t-3"}]},
        "user":{"ssn":31337,"name":"x"},"people":["s3cr3t-4",["s3cr3t-5"]],"text":"{\"email\":\"s3cr3t-6\",\"k\":[1]}"}"#;
    for way in ways() {
        for copy in [
            with_body("application/json", text),
            with_body("application/vnd.api+json; charset=utf-8", text),
            with_body("application/json", format!("\u{feff}{text}")),
            with_body("text/plain", text),
            with_body("", text),
            with_body("application/x-www-form-urlencoded", text),
            with_body("application/octet-stream", text),
            with_body("application/x-ndjson", format!("{}\n\r\n{0}", text.replace('\n', " "))),
            encoded(with_body("application/json", text), "gzip"),
            encoded(with_body("application/json", text), "deflate, br"),
            encoded(with_body("application/json", text), "zstd"),
        ] {
            let redacted = redacted(&rules(&way), copy);
            let said = said(&redacted);
            assert!(!said.contains("s3cr3t") && !said.contains("31337"), "{way:?} {said}");
            assert!(said.contains(r#""n":1.50"#) && said.contains(r#""name":"x""#), "{said}");
        }
    }
    let hashed = parsed(&redacted(&rules(&Way::Hash(key())), with_body("application/json", text)));
    assert_eq!(hashed["e\u{6d}ail"]["to"][0], key().hash("s3cr3t-2"));
    assert_eq!(hashed["email"]["to"][1], key().hash("31337"));
    assert_eq!(hashed["email"]["to"][3], Value::Null);
    let shaped = parsed(&redacted(&rules(&Way::Shape(key())), with_body("application/json", text)));
    assert!(shaped["user"]["ssn"].is_u64() && shaped["email"]["to"][1].is_u64(), "{shaped}");
    assert_eq!(shaped["email"]["to"][2], "***");
    let masked = parsed(&redacted(&rules(&Way::Mask), with_body("application/json", text)));
    assert_eq!(masked["email"], "***");
}

const FORM: &[u8] = b"--b\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\ns3cr3t\r\n--b\r\n\
    Content-Disposition: form-data; name=\"file\"; filename=\"f\"\r\nContent-Type: image/png\r\n\r\ns3cr3t\xe4\r\n--b\r\n\
    Content-Disposition: form-data; name=\"meta\"\r\nContent-Type: application/json\r\n\r\n{\"email\":\"s3cr3t\"}\r\n--b\r\n\
    Content-Disposition: form-data; name=\"more\"\r\n\r\n{\"email\":\"s3cr3t\"}\r\n--b\r\n\
    Content-Disposition: form-data; name=\"stays\"\r\n\r\nas it is\r\n--b--\r\n";

#[test]
fn forms_are_hidden_by_field() {
    for way in ways() {
        for (content_type, body) in [
            ("application/x-www-form-urlencoded", &b"email=s3cr3t&stays=as+it+is&User%5Bemail%5D=s3cr3t&j=%7B%22email%22%3A%22s3cr3t%22%7D"[..]),
            ("", b"email=s3cr3t&stays=as+it+is"),
            ("multipart/form-data; boundary=b", FORM),
        ] {
            let copy = redacted(&rules(&way), with_body(content_type, body));
            let said = said(&copy);
            assert!(!said.contains("s3cr3t") && said.contains("as it is"), "{way:?} {said}");
        }
    }
}

#[test]
fn what_looks_personal_is_found_everywhere() {
    let text = json!({"a": {"b": ["write to ann@example.com"]}, "ann@example.com": 1, "card": 4111111111111111_u64,
        "j": "{\"x\":\"ann@example.com\"}", "e": "ann\u{0040}example.com"});
    let text = text.to_string().replace("\"e\":\"ann@", "\"e\":\"ann\\u0040");
    let part = "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"ann@example.com.txt\"\r\n\r\nann@example.com\r\n--b--\r\n";
    for way in ways() {
        for body in [
            with_body("application/json", text.clone()),
            with_body("text/xml", "<a to='ann@example.com'>4111111111111111</a>"),
            with_body("text/plain", "ann@example.com"),
            with_body("", "ann@example.com and"),
            with_body(
                "application/x-www-form-urlencoded",
                "a=ann%40example.com&ann@example.com=1&ann@example.com",
            ),
            with_body("multipart/form-data; boundary=b", part),
        ] {
            let mut copy = body;
            copy.path = "/users/ann%40example.com/4111111111111111/x".into();
            copy.headers
                .append("referer", HeaderValue::from_static("https://h/x?a=1#to=ann@example.com"));
            copy.query = Some("q=mail+ann%40example.com&card=4111%201111%201111%201111".into());
            copy.headers.append("x-any", HeaderValue::from_static("to ann@example.com"));
            copy.headers
                .append("x-forwarded-for", HeaderValue::from_static("192.0.2.7, 2001:db8::7"));
            copy.headers.append(
                "cookie",
                HeaderValue::from_static("u=ann%40example.com; v=ann@example.com"),
            );
            let copy = redacted(&detectors(&way), copy);
            let said = said(&copy);
            for personal in ["ann@example.com", "4111", "192.0.2.7", "2001:db8::7"] {
                assert!(!said.contains(personal), "{way:?} {personal} in {said}");
            }
            assert!(copy.path.starts_with("/users/") && copy.path.ends_with("/x"), "{}", copy.path);
            let media = copy.headers.get(CONTENT_TYPE).map_or("", |it| it.to_str().unwrap());
            if media == "application/json" {
                parsed(&copy);
            }
        }
    }
}

#[test]
fn what_is_not_meant_stays_byte_by_byte() {
    let mut copy =
        encoded(with_body("application/json", r#"{ "a" : [1.0, "x\u0041"], "b":null }"#), "gzip");
    copy.path = "/a%2Fb//c%zz".into();
    copy.query = Some("&&a=%31+2&b".into());
    copy.headers.append("cookie", HeaderValue::from_static("a=1;b=%20; c"));
    copy.headers.append("content-digest", HeaderValue::from_static("sha-256=:x:"));
    for way in ways() {
        assert_eq!(redacted(&rules(&way), copy.clone()), copy);
        assert_eq!(redacted(&detectors(&way), copy.clone()), copy);
    }
    let mut changed = with_body("application/json", r#"{"email":"x"}"#);
    changed.headers.append("content-digest", HeaderValue::from_static("sha-256=:x:"));
    assert!(!redacted(&rules(&Way::Mask), changed).headers.contains_key("content-digest"));
}

#[test]
fn what_the_candidate_itself_gave_is_kept() {
    let keep: [crate::identity::Value; 2] = [(*b"own-7").into(), (*b"v2@example.com").into()];
    let mut copy = with_body(
        "application/json",
        r#"{"email":"own-7","to":"v2@example.com","x":"ann@example.com"}"#,
    );
    copy.query = Some("email=own-7&email=s3cr3t".into());
    copy.path = "/v2@example.com".into();
    let policy = Policy::new(vec![rule(Way::Mask)], Kinds::ALL, Kinds::ALL, Way::Mask);
    let mut limits = Limits { max_decoded: 1 << 20, grant: &mut |_| true };
    policy.redact(&mut copy, &keep, &mut limits).unwrap();
    assert_eq!(body(&copy), r#"{"email":"own-7","to":"v2@example.com","x":"***"}"#);
    assert_eq!(
        (copy.path.as_str(), copy.query.as_deref()),
        ("/v2@example.com", Some("email=own-7&email=%2A%2A%2A"))
    );
}

#[test]
fn what_is_hidden_is_counted_by_rule_and_by_looks() {
    let policy = Policy::new(vec![rule(Way::Mask)], Kinds::ALL, Kinds::ALL, Way::Mask);
    let mut copy =
        with_body("application/json", r#"{"email":"x","a":["b@c.de","d@e.fr 192.0.2.1"]}"#);
    let counts = redact(&policy, &mut copy).unwrap();
    let counts: Vec<_> = counts.counts().map(|(by, count)| (policy.name(by), count)).collect();
    assert_eq!(counts, [("personal", 1), ("email", 2), ("ip", 1)]);
}

#[test]
fn names_and_json_are_found_in_all_their_spellings() {
    for way in ways() {
        for query in [
            "email[]=s3cr3t",
            "email[0]=s3cr3t",
            "user[email][]=s3cr3t",
            "user.Email=s3cr3t",
            "email%00=s3cr3t",
            "a=1&amp;email=s3cr3t",
            "u=HTTPS%3A%2F%2Fh%2F%3Femail%3Ds3cr3t",
            "u=see%20wss%3A%2F%2Fh%2F%3Femail%3Ds3cr3t",
            "j=%22%7B%5C%22email%5C%22%3A%5C%22s3cr3t%5C%22%7D%22",
            "j=%7B%22a%22%3A1%7D%0A%7B%22email%22%3A%22s3cr3t%22%7D",
            "j=%EF%BB%BF%7B%22email%22%3A%22s3cr3t%22%7D",
            "next=/a?next=%2Fb%3Fnext%3D%252Fc%253Femail%253Ds3cr3t",
        ] {
            let mut copy = with_body("application/x-www-form-urlencoded", query);
            copy.query = Some(query.into());
            let said = said(&redacted(&rules(&way), copy));
            assert!(!said.contains("s3cr3t"), "{way:?} {query}: {said}");
        }
        let mut copy = copy();
        copy.headers.append("cookie", HeaderValue::from_static("sid =s3cr3t; s%69d=s3cr3t"));
        copy.headers.append("x_user", HeaderValue::from_static("s3cr3t"));
        assert!(!said(&redacted(&rules(&way), copy)).contains("s3cr3t"));
    }
}

#[test]
fn only_a_known_scheme_of_credentials_stays() {
    for (value, stays) in [("Bearer s3cr3t", true), ("s3cr3t-one s3cr3t-two", false)] {
        let mut copy = copy();
        copy.headers.append("authorization", value.parse().unwrap());
        let copy = redacted(&rules(&Way::Hash(key())), copy);
        let after = copy.headers["authorization"].to_str().unwrap();
        assert!(!after.contains("s3cr3t") && after.starts_with("Bearer ") == stays, "{after}");
    }
}
