//! What cannot be looked into, and what need not be.

use super::*;

#[test]
fn what_cannot_be_read_is_not_sent() {
    let rules = rules(&Way::Mask);
    let detectors = detectors(&Way::Mask);
    let fault = |policy: &Policy, mut copy: CopyRequest| redact(policy, &mut copy).err();
    let broken = |coding| {
        let mut copy =
            encoded(with_body("application/json", r#"{"email":"x"}"#.repeat(99)), coding);
        copy.body = copy.body.map(|body| body.slice(..body.len() / 2));
        copy
    };
    for policy in [&rules, &detectors] {
        assert_eq!(
            fault(policy, with_body("application/json", r#"{"email":"s3c"#)),
            Some(Fault::NotJson)
        );
        assert_eq!(
            fault(policy, with_body("application/x-ndjson", "{}\n{\"a\"")),
            Some(Fault::NotJson)
        );
        assert_eq!(
            fault(policy, with_body("multipart/form-data; boundary=b", "--b\r\nx")),
            Some(Fault::NotForm)
        );
        assert_eq!(
            fault(policy, with_body("application/x-www-form-urlencoded", &b"a=\xff"[..])),
            Some(Fault::NotForm)
        );
        assert_eq!(
            fault(policy, with_body("application/grpc", &b"\0\0\0\0\x01a"[..])),
            Some(Fault::Opaque)
        );
        assert_eq!(fault(policy, with_body("application/protobuf", "a")), Some(Fault::Opaque));
        for coding in ["gzip", "deflate", "br", "zstd"] {
            assert_eq!(fault(policy, broken(coding)), Some(Fault::Encoding), "{coding}");
        }
        let mut unknown = with_body("application/json", "{}");
        unknown.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("rot13"));
        assert_eq!(fault(policy, unknown), Some(Fault::Encoding));
        let mut large =
            encoded(with_body("application/json", format!("[{}1]", " ".repeat(1 << 20))), "gzip");
        assert_eq!(fault(policy, large.clone()), Some(Fault::TooLarge));
        let mut limits = Limits { max_decoded: 1 << 24, grant: &mut |bytes| bytes < 1000 };
        assert_eq!(policy.redact(&mut large, &[], &mut limits).err(), Some(Fault::NoBudget));
    }
    assert_eq!(fault(&rules, with_body("text/plain", r#"{"email":"s3c"#)), Some(Fault::NotJson));
    let wide: Vec<u8> = "ann@example.com".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for content_type in ["text/plain", "application/json", ""] {
        assert!(
            fault(&detectors, with_body(content_type, wide.clone())).is_some(),
            "{content_type}"
        );
    }
    assert_eq!(fault(&detectors, with_body("image/png", "a")), Some(Fault::Opaque));
    assert_eq!(
        fault(&detectors, with_body("text/plain; charset=utf-16", "a")),
        Some(Fault::Opaque)
    );
}

#[test]
fn who_has_nothing_to_say_of_a_body_need_not_read_it() {
    let rules = rules(&Way::Mask);
    let mut unknown = with_body("application/json", "{}");
    unknown.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("rot13"));
    let mut heads = rule(Way::Mask);
    (heads.json, heads.form) = (Vec::new(), Vec::new());
    let heads = Policy::new(vec![heads], Kinds::ALL, Kinds::NONE, Way::Mask);
    for copy in [unknown, with_body("application/grpc", "a"), with_body("application/json", "{")] {
        assert_eq!(redacted(&heads, copy.clone()), copy);
    }
    for copy in [
        with_body("image/png", &b"\x89PNG"[..]),
        with_body("text/plain", "a\nb"),
        with_body("application/json", " "),
    ] {
        assert_eq!(redacted(&rules, copy.clone()), copy);
    }
}

#[test]
fn what_names_something_that_cannot_be_told_apart_is_not_sent() {
    let rules = rules(&Way::Mask);
    let form = "application/x-www-form-urlencoded";
    let multipart = "multipart/form-data; boundary=b";
    let part = |head: &str, body: &str| format!("--b\r\n{head}\r\n\r\n{body}\r\n--b--\r\n");
    let nested = |depth: usize| {
        (0..depth).fold(json!({"email": "s3cr3t"}), |inner, _| json!({"j": inner.to_string()}))
    };
    let wide: Vec<u8> = "email=s3cr3t".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (content_type, body) in [
        ("", &b"email=s3cr3t, and more"[..]),
        ("text/plain", b"email=s3cr3t\r\n"),
        ("text/plain", b"e%6Dail=s3cr3t"),
        ("text/xml", b"<Email>s3cr3t</Email>"),
        ("text/plain; charset=latin1", b"email=s3cr3t\xe9"),
        ("text/plain", &wide),
        ("image/png", b"email=s3cr3t"),
        ("image/png", b"{\"a\":1}\n{\"email\":\"s3cr3t\"}"),
        (form, part("Content-Disposition: form-data; name=\"email\"", "s3cr3t").as_bytes()),
        (form, b"a=1;email=s3cr3t"),
        (form, b"a=1?email=s3cr3t"),
        (form, b"a=1\r\nemail=s3cr3t"),
        (
            multipart,
            part("Content-Disposition: form-data; name=\"a\"", "e\0m\0a\0i\0l\0").as_bytes(),
        ),
        (form, b"j={\"email\":\"s3cr3t\",}"),
        ("application/json", b"{\"j\":\"{\\\"email\\\":\\\"s3cr3t\\\",}\"}"),
        ("application/json", b"{\"j\":\"{\\\"em\\\\u0061il\\\":\\\"s3cr3t\\\",}\"}"),
        ("application/json", nested(9).to_string().as_bytes()),
        (
            multipart,
            part("Content-Disposition: form-data;\r\n name=\"email\"", "s3cr3t").as_bytes(),
        ),
        (
            multipart,
            part(
                "Content-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: base64",
                "e30=",
            )
            .as_bytes(),
        ),
        (
            multipart,
            part("Content-Disposition: form-data; name*=utf-8''email", "s3cr3t").as_bytes(),
        ),
    ] {
        let mut copy = with_body(content_type, body.to_vec());
        let done = redact(&rules, &mut copy);
        let shown = String::from_utf8_lossy(body);
        assert!(done.is_err(), "{content_type} {shown} became {}", said(&copy));
    }
    let mut two = with_body(form, "email=s3cr3t");
    two.headers.append(CONTENT_TYPE, HeaderValue::from_static("text/csv"));
    assert!(redact(&rules, &mut two).is_err());
    let mut quoted = copy();
    quoted.headers.append("cookie", HeaderValue::from_static("sid=\"a; s3cr3t\""));
    assert!(redact(&rules, &mut quoted).is_err());
}

#[test]
fn texts_that_only_begin_like_json_pass() {
    for query in ["q=[urgent] mail to email", "q=\"email\" or not", "q=[1,2", "q={draft}"] {
        let mut copy = copy();
        copy.query = Some(query.replace(' ', "%20"));
        let before = copy.clone();
        if query.contains("\"email\"") {
            assert!(redact(&rules(&Way::Mask), &mut copy).is_err());
        } else {
            assert_eq!(redacted(&rules(&Way::Mask), copy), before);
        }
    }
}

#[test]
fn texts_in_texts_end_somewhere() {
    let policy = Policy::new(vec![rule(Way::Mask)], Kinds::ALL, Kinds::ALL, Way::Mask);
    for deep in ["/?a=".repeat(100_000), "[".repeat(100_000), "{\"a\":\"".repeat(10_000)] {
        for content_type in ["application/json", "application/x-www-form-urlencoded", ""] {
            let body = json!({"a": deep}).to_string();
            let bodies = [body, format!("a={deep}"), deep.clone()];
            for body in bodies {
                let mut copy = with_body(content_type, body);
                copy.query = Some(format!("a={deep}"));
                redact(&policy, &mut copy).ok();
            }
        }
        policy.to_show(&deep);
    }
}

#[test]
fn rules_for_parameters_are_for_urls_in_bodies_too_and_ask_no_more_of_them() {
    let mut query = rule(Way::Mask);
    (query.json, query.form) = (Vec::new(), Vec::new());
    let policy = Policy::new(vec![query], Kinds::ALL, Kinds::NONE, Way::Mask);
    for (content_type, body) in [
        ("application/json", r#"{"a":"https://h/x?email=s3cr3t"}"#),
        ("application/x-www-form-urlencoded", "a=https://h/x?email%3Ds3cr3t"),
        ("text/plain", "https://h/x?email=s3cr3t"),
    ] {
        let copy = redacted(&policy, with_body(content_type, body));
        assert!(!said(&copy).contains("s3cr3t"), "{}", said(&copy));
    }
    for copy in [with_body("application/json", "{"), with_body("application/grpc", "a")] {
        assert_eq!(redacted(&policy, copy.clone()), copy);
    }
}
