use proptest::prelude::*;

use super::*;

fn identity(learn: &[&str], equal: &[&str]) -> Arc<Identity> {
    let places = |of: &[&str]| of.iter().map(|it| InAnswer::parse(it).unwrap()).collect();
    let (learn, equal) = (places(learn), places(equal));
    Arc::new(Identity { name: "order".into(), learn, equal, replace: Vec::new() })
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

struct Sent {
    headers: HeaderMap,
    body: String,
}

impl Sent {
    fn page(&self) -> Page<'_> {
        Page { headers: &self.headers, body: Some(self.body.as_bytes()) }
    }
}

fn sent(lines: &[(&'static str, &str)], body: &str) -> Sent {
    Sent { headers: headers(lines), body: body.to_owned() }
}

fn learned(places: &[&str], sent: &Sent) -> Vec<Vec<String>> {
    let identities = [identity(places, &[])];
    let values = learnable(&identities, sent.page(), &mut |_| true);
    let text = |value: &Value| String::from_utf8_lossy(value).into_owned();
    (0..places.len()).map(|place| values.at(0, place).iter().map(text).collect()).collect()
}

/// The candidate's answer as it is compared, where 17 is 42 there, and 18 is 43.
fn back(identities: &[Arc<Identity>], ours: &Sent, theirs: &Sent) -> (HeaderMap, String) {
    let mut known = |_: usize, value: &[u8]| match value {
        b"17" => Some(b"42"[..].into()),
        b"18" => Some(b"43"[..].into()),
        b"a+b" => Some(b"c+d"[..].into()),
        _ => None,
    };
    let pages = [ours.page(), theirs.page()];
    let changed = taken_back(identities, pages, &mut known, &mut |_| true);
    let body = changed.body.map(|body| String::from_utf8(body).unwrap());
    let headers = changed.headers.unwrap_or_else(|| theirs.headers.clone());
    (headers, body.unwrap_or_else(|| theirs.body.clone()))
}

fn body_back(places: &[&str], ours: &str, theirs: &str) -> String {
    back(&[identity(places, &[])], &sent(&[], ours), &sent(&[], theirs)).1
}

#[test]
fn values_are_read_from_every_place_of_an_answer() {
    let lines = [
        ("location", "/orders/17"),
        ("x-order", "17"),
        ("set-cookie", "sid=abc; Path=/"),
        ("set-cookie", "other=1"),
    ];
    let json = r#"{"id":17,"items":[{"id":"a"},{"id":null},{"id":2.50}],"t":"x=\"y\""}"#;
    let places =
        ["json:$.id", "json:$.items[*].id", "location", "header:x-order", "set-cookie:sid"];
    let expected: [&[&str]; 5] = [&["17"], &["a", "2.50"], &["17"], &["17"], &["abc"]];
    assert_eq!(learned(&places, &sent(&lines, json)), expected);
    let html = "<input name=\"csrf\" value=\"a&#43;b\"><input name=\"csrf\" value=\"c\">";
    assert_eq!(learned(&["text:csrf\" value=\"([^\"]+)"], &sent(&[], html)), [["a+b", "c"]]);
    assert_eq!(learned(&["json:$.id"], &sent(&[], html)), [[""; 0]]);
    assert_eq!(learned(&["json:$..id"], &sent(&[], r#"{"id":{"id":true}}"#)), [[""; 0]]);
}

#[test]
fn a_body_that_is_not_known_holds_nothing() {
    let headers = headers(&[("x-order", "17")]);
    let page = Page { headers: &headers, body: None };
    let identities = [identity(&["json:$.id", "header:x-order", "text:(.)"], &[])];
    let values = learnable(&identities, page, &mut |_| true);
    assert_eq!([0, 1, 2].map(|place| values.at(0, place).len()), [0, 1, 0]);
    assert!(!values.is_empty() && values.of(0).count() == 1);
}

#[test]
fn values_of_identities_are_kept_apart() {
    let identities = [identity(&["json:$.a", "json:$.b"], &[]), identity(&["json:$.b"], &[])];
    let sent = sent(&[], r#"{"a":1,"b":2}"#);
    let values = learnable(&identities, sent.page(), &mut |_| true);
    let text = |at, place| String::from_utf8_lossy(&values.at(at, place)[0]).into_owned();
    assert_eq!([text(0, 0), text(0, 1), text(1, 0)], ["1", "2", "2"]);
    assert!(values.at(2, 0).is_empty());
}

#[test]
fn two_locations_belong_together_by_what_stands_before_their_ends() {
    let together = |ours: &str, theirs: &str| {
        let [ours, theirs] = [ours, theirs].map(|it| sent(&[("location", it)], ""));
        let mut known = |value: &[u8]| (value == b"5").then(|| b"9"[..].into());
        let place = InAnswer::parse("location").unwrap();
        belong_together(&place, [ours.page(), theirs.page()], &mut known)
    };
    assert!(together("/orders/17", "/v2/orders/42"));
    assert!(together("http://a/orders/17", "/orders/42"));
    assert!(together("/users/5/17", "/users/9/42"));
    assert!(together("/17", "/42"));
    assert!(!together("/orders/17", "/login"));
    assert!(!together("/orders/17", "/accounts/login"));
    assert!(!together("/users/5/17", "/users/8/42"));
    let place = InAnswer::parse("location:/orders/([0-9]+)").unwrap();
    let [ours, theirs] = ["/orders/17", "/v2/o/orders/42"].map(|it| sent(&[("location", it)], ""));
    assert!(belong_together(&place, [ours.page(), theirs.page()], &mut |_| None));
}

#[test]
fn answers_are_equal_but_for_their_ids() {
    let places = ["json:$.id", "json:$.items[*].id"];
    let same = |ours, theirs| assert_eq!(body_back(&places, ours, theirs), ours);
    same(r#"{"id":17}"#, r#"{"id":42}"#);
    same(r#"{"id":"17"}"#, r#"{"id":"42"}"#);
    same(r#"{"items":[{"id":17},{"id":18}]}"#, r#"{"items":[{"id":42},{"id":43}]}"#);
    same(r#"{"id":1,"x":42}"#, r#"{"id":1,"x":42}"#);
    let differs = |theirs: &str, expected: &str| {
        assert_eq!(body_back(&places, r#"{"id":17}"#, theirs), expected);
    };
    differs(r#"{"id":43}"#, r#"{"id":43}"#);
    differs(r#"{"id":"42"}"#, r#"{"id":"17"}"#);
    differs(r#"{"x":42,"id":42}"#, r#"{"x":42,"id":17}"#);
    differs("42", "42");
}

#[test]
fn a_list_in_another_order_or_of_another_length_has_the_baselines_ids_too() {
    let places = ["json:$[*].id"];
    let ours = r#"[{"id":17},{"id":18}]"#;
    assert_eq!(body_back(&places, ours, r#"[{"id":43},{"id":42}]"#), r#"[{"id":18},{"id":17}]"#);
    assert_eq!(body_back(&places, ours, r#"[{"id":43}]"#), r#"[{"id":18}]"#);
}

#[test]
fn ids_in_headers_and_text_are_taken_back() {
    let identities = [identity(
        &["location", "set-cookie:sid", "header:x-order"],
        &["text:/orders/([0-9]+)", "header:link:/orders/([0-9]+)"],
    )];
    let ours = sent(
        &[
            ("location", "/orders/17?a"),
            ("x-order", "18"),
            ("link", "</orders/17>, </orders/18>"),
            ("set-cookie", "sid=17; Path=/"),
            ("content-length", "100"),
        ],
        "<a href=/orders/17><a href=/orders/18> 42",
    );
    let theirs = sent(
        &[
            ("location", "http://v2/orders/42?a"),
            ("x-order", "43"),
            ("link", "</orders/42>, </orders/43>"),
            ("set-cookie", "sid=42; Path=/"),
            ("content-length", "100"),
        ],
        "<a href=/orders/42><a href=/orders/43> 42 and more",
    );
    let (headers, body) = back(&identities, &ours, &theirs);
    assert_eq!(body, "<a href=/orders/17><a href=/orders/18> 42 and more");
    assert_eq!(headers["location"], "http://v2/orders/17?a");
    assert_eq!(headers["link"], "</orders/17>, </orders/18>");
    assert_eq!(
        (&headers["x-order"], &headers["set-cookie"]),
        (&"18".parse().unwrap(), &"sid=17; Path=/".parse().unwrap())
    );
    assert_eq!(headers["content-length"], body.len().to_string().as_str());
}

#[test]
fn a_token_is_written_as_its_page_writes_it() {
    let places = ["text:value=\"([^\"]+)\""];
    let ours = "<i value=\"a&#43;b\">";
    assert_eq!(body_back(&places, ours, "<i value=\"c+d\">"), "<i value=\"a+b\">");
    assert_eq!(body_back(&places, ours, ours), ours);
}

#[test]
fn numbers_of_json_are_known_as_such() {
    for number in ["0", "17", "-1", "1.5", "1e3", "-1.25E-7", "100"] {
        assert!(is_number(number) && serde_json::from_str::<f64>(number).is_ok(), "{number}");
    }
    for other in ["", "-", "01", "1.", ".5", "1e", "+1", "1 ", "0x1", "NaN", "1e5.5", "--1"] {
        assert!(
            !is_number(other) && serde_json::from_str::<f64>(other.trim_end_matches(' ')).is_err()
                || other == "1 ",
            "{other}"
        );
    }
    assert_eq!(as_json(b"a\"b", Kind::Number).as_deref(), Some(r#""a\"b""#));
    assert_eq!(as_json(b"42", Kind::String).as_deref(), Some(r#""42""#));
    assert_eq!(as_json(b"\xff", Kind::String), None);
}

proptest! {
    /// Two answers that differ in their ids alone, each by a map that is one to one, are the same afterwards.
    #[test]
    fn what_differs_by_its_ids_alone_is_equal(
        ids in proptest::collection::vec(0..50_u32, 0..20),
        shift in 1..100_u32,
        as_text in any::<bool>(),
    ) {
        let document = |shift: u32| {
            let id = |id: &u32| {
                let id = (id + shift).to_string();
                if as_text { format!("{{\"id\":\"{id}\"}}") } else { format!("{{\"id\": {id}}}") }
            };
            format!("[{}]", ids.iter().map(id).collect::<Vec<_>>().join(","))
        };
        let (ours, theirs) = (sent(&[], &document(0)), sent(&[], &document(shift)));
        let identities = [identity(&["json:$..id"], &[])];
        let mut known = |_: usize, value: &[u8]| {
            let number: u32 = std::str::from_utf8(value).unwrap().parse().unwrap();
            Some((number + shift).to_string().into_bytes().into())
        };
        let changed = taken_back(&identities, [ours.page(), theirs.page()], &mut known, &mut |_| true);
        let body = changed.body.map_or(theirs.body, |body| String::from_utf8(body).unwrap());
        prop_assert_eq!(body, ours.body);
    }

    /// Whatever an answer holds, nothing breaks.
    #[test]
    fn any_answer_is_read(body in "\\PC{0,80}", line in "[ -~]{0,40}") {
        let sent = sent(&[("location", &line), ("set-cookie", &line), ("x-id", &line)], &body);
        let places = ["json:$..id", "location", "set-cookie:a", "header:x-id", "text:(.)", "location:(.)"];
        let identities = [identity(&places, &places)];
        learnable(&identities, sent.page(), &mut |_| true);
        let mut known = |_: usize, value: &[u8]| Some([value, b"&x"].concat().into());
        taken_back(&identities, [sent.page(), sent.page()], &mut known, &mut |_| true);
    }
}
