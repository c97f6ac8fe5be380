use bytes::Bytes;
use compare::path::Path;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, COOKIE};
use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};

use super::*;
use crate::parts::coding;
use crate::value::Secret;

fn template(text: &str) -> Template {
    Template::parse(text, &mut |_| Ok(Secret::new("it", "key"))).unwrap()
}

fn step(action: Action) -> Transform {
    Transform { name: "it".into(), action, otherwise: Otherwise::Unsent }
}

fn set(text: &str) -> What {
    What::Set(template(text))
}

fn change(name: &str, what: What) -> Change {
    let names = match name.strip_suffix('*') {
        Some(prefix) => Names::Prefix(prefix.to_owned()),
        None => Names::Exact(name.to_owned()),
    };
    Change { names, what }
}

fn json(path: &str, what: JsonWhat) -> Action {
    let path = Path::parse(path).unwrap();
    let parent = path.parent().map(|(path, name)| (Select::Path(path), name));
    Action::Json(JsonChange { select: Select::Path(path), parent, what })
}

fn copy(target: &str, headers: &[(&'static str, &str)], body: &str) -> CopyRequest {
    let (path, query) = target.split_once('?').map_or((target, None), |(a, b)| (a, Some(b)));
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    CopyRequest {
        method: Method::POST,
        path: path.to_owned(),
        query: query.map(str::to_owned),
        host: None,
        headers: map,
        body: Some(Bytes::copy_from_slice(body.as_bytes())),
    }
}

fn taken(steps: &[Transform], copy: &mut CopyRequest) -> Result<(), Failed> {
    let about = About { route: "GET /", candidate: "v2", request_id: "id" };
    let mut grant = |_| true;
    let mut limits = Limits { max_decoded: 100_000, grant: &mut grant };
    apply(steps.iter(), copy, &about, &mut limits, None)
}

fn after(steps: Vec<Action>, mut copy: CopyRequest) -> CopyRequest {
    let steps: Vec<_> = steps.into_iter().map(step).collect();
    taken(&steps, &mut copy).unwrap();
    copy
}

fn prefixed(path: &str, from: &str, to: &str) -> String {
    after(vec![Action::PathPrefix { from: from.into(), to: to.into() }], copy(path, &[], "")).path
}

#[test]
fn a_prefix_is_whole_segments() {
    for (path, from, to, expected) in [
        ("/shop/a", "/shop", "/v2/shop", "/v2/shop/a"),
        ("/shop", "/shop", "/v2", "/v2"),
        ("/shopping", "/shop", "/v2", "/shopping"),
        ("/shop/a", "/shop", "/", "/a"),
        ("/shop", "/shop", "/", "/"),
        ("/a", "/", "/v2", "/v2/a"),
        ("/", "/", "/v2", "/v2/"),
        ("/a%2Fb", "/a", "/c", "/a%2Fb"),
    ] {
        assert_eq!(prefixed(path, from, to), expected, "{path} {from} {to}");
    }
}

#[test]
fn a_path_is_replaced_where_it_fits() {
    let action = |to: &str| Action::Path {
        pattern: Regex::new("^/orders/(\\d+)(?P<rest>.*)$").unwrap(),
        to: to.to_owned(),
    };
    assert_eq!(after(vec![action("/o/$1$rest")], copy("/orders/7/x?q", &[], "")).path, "/o/7/x");
    assert_eq!(after(vec![action("/o/$1")], copy("/a", &[], "")).path, "/a");
    let mut bad = copy("/orders/7", &[], "");
    let failed = taken(&[step(action("$1"))], &mut bad);
    assert_eq!(failed.unwrap_err().fault, Fault::Value);
}

#[test]
fn parameters_headers_and_cookies_are_set_added_removed_and_renamed() {
    let request = || {
        let headers = [("x-a", "1"), ("x-a", "2"), ("x-b", "3"), ("cookie", "s=1; t=2")];
        copy("/p?a=1&b=2&a=3", &headers, "")
    };
    let query = |name: &str, what| {
        after(vec![Action::Query(change(name, what))], request()).query.unwrap_or_default()
    };
    assert_eq!(query("a", set("{header.x-b}")), "a=3&b=2");
    assert_eq!(query("c", set("x y")), "a=1&b=2&a=3&c=x%20y");
    assert_eq!(query("a", What::Add(template("4"))), "a=1&b=2&a=3&a=4");
    assert_eq!(query("a", What::Remove), "b=2");
    assert_eq!(query("*", What::Remove), "");
    assert_eq!(query("b", What::Rename("z".into())), "a=1&z=2&a=3");
    let header = |name: &str, what| {
        let copy = after(vec![Action::Header(change(name, what))], request());
        let lines = copy.headers.iter().filter(|(name, _)| name.as_str().starts_with("x-"));
        let lines = lines.map(|(name, value)| format!("{name}:{}", value.to_str().unwrap()));
        lines.collect::<Vec<_>>().join(",")
    };
    assert_eq!(header("X-A", set("9")), "x-a:9,x-b:3");
    assert_eq!(header("x-c", set("{cookie.t}")), "x-a:1,x-a:2,x-b:3,x-c:2");
    assert_eq!(header("x-*", set("0")), "x-a:0,x-b:0");
    assert_eq!(header("x-b", What::Add(template("4"))), "x-a:1,x-a:2,x-b:3,x-b:4");
    assert_eq!(header("x-*", What::Remove), "");
    assert_eq!(header("X-*", What::Rename("x-new-".into())), "x-new-a:1,x-new-a:2,x-new-b:3");
    let cookie = |name: &str, what| {
        let copy = after(vec![Action::Cookie(change(name, what))], request());
        copy.headers.get(COOKIE).map(|it| it.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    assert_eq!(cookie("s", set("{secret.x}")), "s=key; t=2");
    assert_eq!(cookie("u", set("3")), "s=1; t=2; u=3");
    assert_eq!(cookie("t", What::Remove), "s=1");
    assert_eq!(cookie("*", What::Remove), "");
    assert_eq!(cookie("s", What::Rename("r".into())), "r=1; t=2");
}

#[test]
fn what_cannot_stand_there_leaves_the_copy_unsent() {
    for action in [
        Action::Header(change("x-a", set("{query.q}"))),
        Action::Cookie(change("a", set("{query.q}"))),
        Action::Host(template("{query.q}")),
    ] {
        let mut bad = copy("/?q=a%0d%0aset-cookie:%20x", &[], "");
        assert_eq!(taken(&[step(action)], &mut bad).unwrap_err().fault, Fault::Value);
    }
}

#[test]
fn json_values_are_set_removed_and_renamed() {
    let text = r#"{"a":{"b":1},"items":[{"sku":"x"},{}]}"#;
    let body = |action| {
        let copy = after(vec![action], copy("/", &[("content-type", "text/plain")], text));
        String::from_utf8(copy.body.unwrap().to_vec()).unwrap()
    };
    assert_eq!(body(json("$.a.b", JsonWhat::SetJson("[2]".into()))), text.replace('1', "[2]"));
    assert_eq!(
        body(json("$.items[*].sku", JsonWhat::Set(template("{path}\"")))),
        r#"{"a":{"b":1},"items":[{"sku":"/\""},{"sku":"/\""}]}"#
    );
    assert_eq!(body(json("$.a", JsonWhat::Remove)), r#"{"items":[{"sku":"x"},{}]}"#);
    assert_eq!(body(json("$..sku", JsonWhat::Rename("id".into()))), text.replace("sku", "id"));
    let masked = r#"{"a":{"b":1},"items":[{"sku":"***"},{}]}"#;
    assert_eq!(body(json("$..sku", JsonWhat::Redact(Way::Mask))), masked);
    assert_eq!(
        body(json("$.a", JsonWhat::Redact(Way::Mask))),
        text.replace(r#"{"b":1}"#, "\"***\"")
    );
    assert_eq!(body(json("$.a", JsonWhat::Redact(Way::Remove))), r#"{"items":[{"sku":"x"},{}]}"#);
    assert_eq!(body(json("$.zz.a", JsonWhat::Set(template("1")))), text);
}

#[test]
fn forms_are_changed_url_encoded_and_multipart() {
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let action = |what| Action::Form(change("a", what));
    let body = |copy: CopyRequest| String::from_utf8(copy.body.unwrap().to_vec()).unwrap();
    let result = after(vec![action(set("x&y"))], copy("/", &form, "a=1&b=2"));
    assert_eq!(body(result), "a=x%26y&b=2");
    let multipart = [("content-type", "multipart/form-data; boundary=Q")];
    let text = "--Q\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--Q--\r\n";
    let result = after(vec![action(set("two"))], copy("/", &multipart, text));
    assert_eq!(body(result), text.replace("\r\n1\r\n", "\r\ntwo\r\n"));
}

#[test]
fn a_body_that_is_not_what_a_step_expects_leaves_the_copy_unsent_unless_it_says_otherwise() {
    let action = || json("$.a", JsonWhat::Remove);
    let broken = || copy("/", &[], "{\"a\":");
    let failed = taken(&[step(action())], &mut broken()).unwrap_err();
    assert_eq!((&*failed.step, failed.fault), ("it", Fault::NotJson));
    let lenient = Transform { otherwise: Otherwise::AsIs, ..step(action()) };
    let mut sent = broken();
    taken(&[lenient, step(Action::Method(Method::PUT))], &mut sent).unwrap();
    assert_eq!(sent, CopyRequest { method: Method::PUT, ..broken() });
    // Nothing can leak from a body that is not there.
    for body in [None, Some(Bytes::new())] {
        let mut without = CopyRequest { body, ..broken() };
        taken(&[step(action())], &mut without).unwrap();
    }
    let form = step(Action::Form(change("a", What::Remove)));
    assert_eq!(taken(&[form], &mut copy("/", &[], "a=1")).unwrap_err().fault, Fault::NotForm);
}

#[test]
fn an_encoded_body_is_decoded_and_encoded_again() {
    for name in ["gzip", "br", "zstd", "deflate, gzip"] {
        let mut request = copy("/", &[("content-encoding", name)], "");
        let text = br#"{"a":1,"b":2}"#;
        request.body = Some(coding::encode(&request.headers, text).unwrap().into());
        let steps = vec![json("$.a", JsonWhat::Remove), json("$.c", JsonWhat::SetJson("3".into()))];
        let result = after(steps, request);
        let mut grant = |_| true;
        let mut limits = Limits { max_decoded: 1000, grant: &mut grant };
        let body = result.body.clone().unwrap();
        let plain = coding::decode(&result.headers, &body, &mut limits).unwrap();
        assert_eq!(String::from_utf8_lossy(&plain), r#"{"b":2,"c":3}"#, "{name}");
        assert_eq!(result.headers.get(CONTENT_ENCODING).unwrap(), name);
    }
    let mut unknown = copy("/", &[("content-encoding", "rot13")], "{}");
    let failed = taken(&[step(json("$.a", JsonWhat::Remove))], &mut unknown).unwrap_err();
    assert_eq!(failed.fault, Fault::Encoding);
}

#[test]
fn a_whole_body_method_mark_and_host() {
    let result = after(
        vec![
            Action::Body {
                text: template("{method}"),
                content_type: Some(HeaderValue::from_static("text/plain")),
            },
            Action::Method(Method::PATCH),
            Action::Mark(HeaderName::from_static("x-test"), HeaderValue::from_static("1")),
            Action::Host(template("{candidate}.example")),
        ],
        copy("/", &[("content-type", "application/json")], "{}"),
    );
    assert_eq!(result.body.as_deref(), Some(&b"POST"[..]));
    assert_eq!(result.headers.get(CONTENT_TYPE).unwrap(), "text/plain");
    assert_eq!(result.headers.get("x-test").unwrap(), "1");
    assert_eq!(
        (result.method, result.host.unwrap()),
        (Method::PATCH, "v2.example".parse().unwrap())
    );
}

#[test]
fn each_step_is_told_with_the_copy_behind_it() {
    let steps = [
        step(Action::PathPrefix { from: "/a".into(), to: "/b".into() }),
        step(json("$.x", JsonWhat::Remove)),
    ];
    let mut request = copy("/a", &[], r#"{"x":1}"#);
    let about = About { route: "", candidate: "", request_id: "" };
    let mut grant = |_| true;
    let mut limits = Limits { max_decoded: 1000, grant: &mut grant };
    let mut told = Vec::new();
    let mut watch = |_: &Transform, copy: &CopyRequest, done: Result<(), Fault>| {
        told.push((copy.path.clone(), copy.body.clone().unwrap(), done.is_ok()));
    };
    apply(steps.iter(), &mut request, &about, &mut limits, Some(&mut watch)).unwrap();
    let expected = [("/b", r#"{"x":1}"#, true), ("/b", "{}", true)];
    let told: Vec<_> =
        told.iter().map(|(a, b, c)| (&**a, std::str::from_utf8(b).unwrap(), *c)).collect();
    assert_eq!(told, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_not_meant_stays_as_it_was(
        query in "[a-d=&%+]{0,20}",
        cookie in "[a-d=; ]{0,20}",
        body in any::<Vec<u8>>(),
    ) {
        let mut request = copy(&format!("/x?{query}"), &[("cookie", &cookie)], "");
        request.body = Some(body.into());
        let before = request.clone();
        let steps = [
            step(Action::Query(change("zz", What::Remove))),
            step(Action::Cookie(change("zz", What::Remove))),
            Transform { otherwise: Otherwise::AsIs, ..step(json("$.zz", JsonWhat::Remove)) },
        ];
        taken(&steps, &mut request).unwrap();
        prop_assert!(request == before, "{request:?} {before:?}");
    }
}

#[test]
fn of_a_step_that_is_left_out_nothing_is_done() {
    let lenient = |action| Transform { otherwise: Otherwise::AsIs, ..step(action) };
    let headers = &[("cookie", "a=0; b=2"), ("x-one", "1"), ("x-two", "2")];
    for action in [
        Action::Cookie(change("a", set("{query.q}"))),
        Action::Header(change("x-*", What::Rename("y z".into()))),
        Action::Header(change("x-*", What::Rename("content-length".into()))),
        Action::Host(template("{query.q}")),
    ] {
        let mut copy = copy("/?q=1%3Badmin=1%0d%0ax", headers, "{}");
        let before = copy.clone();
        let action = match action {
            Action::Header(Change { what: What::Rename(to), .. }) if to == "content-length" => {
                copy.headers.insert("x-", HeaderValue::from_static("5"));
                Action::Header(change("x-*", What::Rename(to)))
            }
            action => action,
        };
        let mut expected = before;
        expected.headers = copy.headers.clone();
        taken(&[lenient(action.clone())], &mut copy).unwrap();
        assert_eq!(copy, expected, "{action:?}");
        assert!(taken(&[step(action)], &mut copy).is_err());
    }
}

#[test]
fn prefixes_leave_alone_what_makes_a_message_another_one() {
    let headers = &[("content-encoding", "identity"), ("content-type", "text/plain"), ("te", "x")];
    let copy = after(vec![Action::Header(change("*", What::Remove))], copy("/", headers, ""));
    let left: Vec<_> = copy.headers.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(left, ["content-encoding", "te"]);
}

#[test]
fn digests_go_with_the_body_that_they_were_of() {
    let headers = &[("content-md5", "x"), ("content-digest", "sha-256=:x:"), ("digest", "x")];
    let of = |path| {
        let step = json(path, JsonWhat::Remove);
        after(vec![step], copy("/", headers, "{\"a\":1}")).headers.len()
    };
    assert_eq!((of("$.a"), of("$.b")), (0, 3));
}

#[test]
fn fields_of_multipart_forms_are_put_in_and_never_split_it() {
    let body = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b\r\n\
        Content-Disposition: form-data; name=\"a\"\r\n\r\n2\r\n--b--\r\n";
    let with = |target: &str, action| {
        let mut copy = copy(target, &[("content-type", "multipart/form-data; boundary=b")], body);
        taken(&[step(action)], &mut copy)?;
        Ok::<_, Failed>(String::from_utf8(copy.body.unwrap().to_vec()).unwrap())
    };
    let one = with("/", Action::Form(change("a", set("3")))).unwrap();
    assert_eq!((one.matches("name=\"a\"").count(), one.contains("\r\n3\r\n--b--")), (1, true));
    let more = with("/", Action::Form(change("x", set("4")))).unwrap();
    assert!(more.ends_with("name=\"x\"\r\n\r\n4\r\n--b--\r\n"), "{more}");
    let split = with("/?q=1%0d%0a--b%0d%0a", Action::Form(change("a", set("{query.q}"))));
    assert_eq!(split.unwrap_err().fault, Fault::Value);
}

#[test]
fn json_may_have_a_mark_in_front() {
    let marked = copy("/", &[], "\u{feff}{\"a\":1,\"b\":2}");
    let changed = after(vec![json("$.a", JsonWhat::Remove)], marked);
    assert_eq!(changed.body.unwrap(), "\u{feff}{\"b\":2}");
}

#[test]
fn a_copy_without_a_body_gets_none() {
    let whole = Action::Body { text: template("x"), content_type: None };
    assert_eq!(after(vec![whole.clone()], copy("/", &[], "")).body.unwrap(), "");
    assert_eq!(after(vec![whole], copy("/", &[], "y")).body.unwrap(), "x");
}

#[test]
fn a_target_that_no_pattern_fits_stays_whatever_it_is() {
    let pattern = Action::Path { pattern: Regex::new("^/a").unwrap(), to: "/b".into() };
    let query = Action::Query(change("a", set("1")));
    let copy = after(vec![pattern, query], copy("*", &[], ""));
    assert_eq!((copy.path.as_str(), copy.query), ("*", None));
}
