use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use proptest::prelude::*;

use super::*;

fn identity(replace: &[&str]) -> Arc<Identity> {
    let replace = replace.iter().map(|it| InRequest::parse(it).unwrap()).collect();
    Arc::new(Identity { name: "order".into(), learn: Vec::new(), equal: Vec::new(), replace })
}

fn copy(target: &str, lines: &[(&'static str, &str)], body: &[u8]) -> CopyRequest {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    let (path, query) = target.split_once('?').map_or((target, None), |(a, b)| (a, Some(b.into())));
    CopyRequest {
        method: Method::POST,
        path: path.to_owned(),
        query,
        host: None,
        headers,
        body: Some(Bytes::copy_from_slice(body)),
    }
}

/// Of the first identity 17 is 42 and 42 is 99, of the second 17 is `b/c` there.
fn known(identity: usize, value: &[u8]) -> Option<Value> {
    match (identity, value) {
        (0, b"17") => Some(b"42"[..].into()),
        (0, b"42") => Some(b"99"[..].into()),
        (0, b"a b") => Some(b"c&d"[..].into()),
        (1, b"17") => Some(b"b/c"[..].into()),
        _ => None,
    }
}

fn replaced(replace: &[&[&str]], mut copy: CopyRequest) -> CopyRequest {
    let identities: Vec<_> = replace.iter().map(|it| identity(it)).collect();
    let mut grant = |_| true;
    let mut limits = Limits { max_decoded: 100_000, grant: &mut grant };
    super::replace(&identities, &mut copy, &mut known, &mut limits);
    copy
}

fn target(replace: &[&[&str]], target: &str) -> String {
    let copy = replaced(replace, copy(target, &[], b""));
    copy.path + &*copy.query.map(|query| format!("?{query}")).unwrap_or_default()
}

fn body(replace: &[&str], content_type: &str, body: &str) -> String {
    let copy = replaced(&[replace], copy("/", &[("content-type", content_type)], body.as_bytes()));
    String::from_utf8(copy.body.unwrap().to_vec()).unwrap()
}

#[test]
fn whole_segments_of_a_path_are_replaced() {
    let all = |it| target(&[&["path"]], it);
    assert_eq!(all("/orders/17"), "/orders/42");
    assert_eq!(all("/orders/%317/17/?17"), "/orders/42/42/?17");
    assert_eq!(all("/orders/a%20b"), "/orders/c&d");
    for other in ["/orders/170", "/orders/x17", "/", "/orders//", "*", "/v17", "/orders/18"] {
        assert_eq!(all(other), other);
    }
    assert_eq!(target(&[&["path:/orders/{id}"]], "/orders/17/lines/17"), "/orders/42/lines/17");
    assert_eq!(target(&[&["path:/x{id}.html"]], "/x17.html"), "/x42.html");
    assert_eq!(target(&[&["path:/x{id}"]], "/17"), "/17");
    assert_eq!(target(&[&[], &["path"]], "/orders/17"), "/orders/b%2Fc");
}

#[test]
fn what_was_put_in_is_not_taken_for_what_was_there() {
    assert_eq!(target(&[&["path", "path"]], "/17/42"), "/42/99");
    assert_eq!(target(&[&["path"], &["path"]], "/17"), "/42", "the first that knows it decides");
    let twice = &["query:id", "query:id"];
    assert_eq!(target(&[twice], "/?id=17&id=42"), "/?id=42&id=99");
    assert_eq!(
        body(&["form:id", "form:id"], "application/x-www-form-urlencoded", "id=17"),
        "id=42"
    );
    assert_eq!(
        body(&["json:$.id", "json:$..id"], "application/json", r#"{"id":17}"#),
        r#"{"id":42}"#
    );
    let lines = [("x-id", "17"), ("cookie", "id=17")];
    let places = ["header:x-id", "header:x-id:(.+)", "cookie:id", "cookie:id"];
    let copy = replaced(&[&places], copy("/", &lines, b""));
    assert_eq!(
        (&copy.headers["x-id"], &copy.headers["cookie"]),
        (&"42".parse().unwrap(), &"id=42".parse().unwrap())
    );
}

#[test]
fn parameters_are_replaced_by_their_name() {
    let id = |it| target(&[&["query:id"]], it);
    assert_eq!(id("/17?id=17&x=17&%69d=%31%37&id"), "/17?id=42&x=17&%69d=42&id");
    assert_eq!(id("/?id=a+b&id=170"), "/?id=c%26d&id=170");
    assert_eq!(id("/"), "/");
}

#[test]
fn headers_and_cookies_are_replaced() {
    let lines = [
        ("x-order", " 17 "),
        ("x-order", "18"),
        ("authorization", "Bearer 17"),
        ("cookie", "a=17; sid=17;sid=42"),
        ("cookie", "b=1; sid=18"),
    ];
    let places = ["header:x-order", "header:authorization:(?i)^bearer (.+)$", "cookie:sid"];
    let copy = replaced(&[&places], copy("/", &lines, b""));
    let all = |name| -> Vec<_> {
        copy.headers.get_all(name).iter().map(|it| it.to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(all("x-order"), [" 42 ", "18"]);
    assert_eq!(all("authorization"), ["Bearer 42"]);
    assert_eq!(all("cookie"), ["a=17; sid=42; sid=99", "b=1; sid=18"]);
}

#[test]
fn a_value_that_fits_no_cookie_or_header_stays_out() {
    let lines = [("x-order", "17"), ("cookie", "sid=17")];
    let mut copy = copy("/", &lines, b"");
    let identities = [identity(&["header:x-order", "cookie:sid"])];
    let mut grant = |_| true;
    let mut limits = Limits { max_decoded: 100, grant: &mut grant };
    let mut evil = |_: usize, _: &[u8]| Some(b"a;b\r\nx: y"[..].into());
    super::replace(&identities, &mut copy, &mut evil, &mut limits);
    assert_eq!(
        (&copy.headers["x-order"], &copy.headers["cookie"]),
        (&"17".parse().unwrap(), &"sid=17".parse().unwrap())
    );
}

#[test]
fn json_keeps_numbers_and_strings_apart() {
    let json = |text| body(&["json:$.id", "json:$.ids[*]"], "application/json", text);
    assert_eq!(json(r#"{"id": 17, "x": 17}"#), r#"{"id": 42, "x": 17}"#);
    assert_eq!(json(r#"{"id":"17"}"#), r#"{"id":"42"}"#);
    assert_eq!(
        json(r#"{"ids":[17,"17",18,{"id":17},null]}"#),
        r#"{"ids":[42,"42",18,{"id":17},null]}"#
    );
    assert_eq!(json(r#"{"id":"a b"}"#), r#"{"id":"c&d"}"#);
    for other in ["", "{", "17", "id=17", r#"{"id":17.0}"#] {
        assert_eq!(json(other), other);
    }
    let second = replaced(&[&[], &["json:$.id"]], copy("/", &[], br#"{"id":17}"#));
    assert_eq!(&second.body.unwrap()[..], br#"{"id":"b/c"}"#, "what is no number becomes a string");
}

#[test]
fn forms_are_replaced_whichever_way_they_are_sent() {
    let places = ["form:csrf", "json:$.csrf"];
    assert_eq!(
        body(&places, "application/x-www-form-urlencoded", "a=17&csrf=a+b&csrf="),
        "a=17&csrf=c%26d&csrf="
    );
    let multipart = |value: &str| {
        format!(
            "--b\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n{value}\r\n--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n17\r\n--b--\r\n"
        )
    };
    assert_eq!(body(&places, "multipart/form-data; boundary=b", &multipart("17")), multipart("42"));
    for other in ["multipart/form-data", "application/grpc", "text/plain"] {
        assert_eq!(body(&places, other, &multipart("17")), multipart("17"), "{other}");
    }
}

#[test]
fn a_coded_body_is_coded_again() {
    let mut request = copy("/", &[("content-type", "application/json")], b"");
    request.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let plain = br#"{"id":17}"#;
    request.body = Some(coding::encode(&request.headers, plain).unwrap().into());
    let places: &[&str] = &["json:$.id"];
    let changed = replaced(&[places], request.clone());
    let mut grant = |_| true;
    let mut limits = Limits { max_decoded: 100, grant: &mut grant };
    let decoded = coding::decode(&changed.headers, changed.body.as_ref().unwrap(), &mut limits);
    assert_eq!(&*decoded.unwrap(), br#"{"id":42}"#);
    request.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("rot13"));
    assert_eq!(replaced(&[places], request.clone()), request);
    let mut broke = |_: usize| false;
    let mut limits = Limits { max_decoded: 100, grant: &mut broke };
    let mut poor = copy("/", &[], plain);
    super::replace(&[identity(places)], &mut poor, &mut known, &mut limits);
    assert_eq!(poor, copy("/", &[], plain), "without memory it stays as it is");
    assert!(
        !changed.headers.contains_key(CONTENT_TYPE)
            || changed.headers[CONTENT_TYPE] == "application/json"
    );
}

#[test]
fn digests_of_a_body_that_changed_go() {
    let lines = [
        ("content-type", "application/json"),
        ("content-md5", "a"),
        ("digest", "b"),
        ("content-digest", "c"),
        ("repr-digest", "d"),
    ];
    let sent = |body: &str| replaced(&[&["json:$.id"]], copy("/", &lines, body.as_bytes()));
    assert_eq!(sent(r#"{"id":17}"#).headers.len(), 1);
    assert_eq!(sent(r#"{"id":18}"#).headers.len(), lines.len());
}

#[test]
fn what_was_put_in_is_told() {
    let mut copy = copy("/17/42/17?id=a+b", &[], b"");
    let mut grant = |_| true;
    let mut limits = Limits { max_decoded: 100, grant: &mut grant };
    let identities = [identity(&["path", "query:id"])];
    let mut put = super::replace(&identities, &mut copy, &mut known, &mut limits);
    put.sort();
    assert_eq!(put, [b"42"[..].into(), b"99"[..].into(), b"c&d"[..].into()] as [Value; 3]);
}

proptest! {
    /// Whatever a copy holds, nothing breaks, and without a known value nothing changes.
    #[test]
    fn any_copy_stays_as_it_is_where_nothing_is_known(
        target in "/[ -~]{0,40}",
        line in "[ -~]{0,40}",
        body in proptest::collection::vec(any::<u8>(), 0..80),
        kind in 0..4_usize,
    ) {
        let kinds = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "x"];
        let lines = [("content-type", kinds[kind]), ("cookie", line.as_str()), ("x-id", line.as_str())];
        let request = copy(&target, &lines, &body);
        let places = ["path", "path:/a/{id}", "query:a", "header:x-id", "cookie:a", "json:$..a", "form:a"];
        let identities = [identity(&places)];
        let mut grant = |_| true;
        let mut limits = Limits { max_decoded: 1000, grant: &mut grant };
        let mut same = request.clone();
        super::replace(&identities, &mut same, &mut |_, _| None, &mut limits);
        prop_assert_eq!(&same, &request);
        super::replace(&identities, &mut same, &mut |_, _| Some(b"x y/\xff"[..].into()), &mut limits);
    }
}
