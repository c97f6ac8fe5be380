use super::*;

const SETTINGS: &str = r#"
[[candidate]]
name = "v2"
url = "http://v2:1"
[[candidate]]
name = "v3"
url = "http://v3:1"
[[route]]
name = "cart"
candidates = ["v2"]
match.path.prefix = "/shop"
[[secret]]
name = "token"
env = "TOKEN"
[[transform]]
name = "elsewhere"
path_prefix = { from = "/shop", to = "/v2" }
[[transform]]
name = "own token"
header = { name = "authorization", set = "Bearer {secret.token}" }
[[transform]]
name = "renamed"
json = { path = "$.items[*].sku", rename = "article" }
[[transform]]
name = "other"
routes = []
method = "PUT"
"#;

fn tried(tried: &Tried, request: &str) -> Result<String, String> {
    let token = |name: &str| (name == "TOKEN").then(|| "s3cret".into());
    let config = Config::from_text("m.toml", SETTINGS, &token).unwrap();
    shown(&config, tried, request.as_bytes())
}

#[test]
fn the_copy_is_told_as_a_difference_with_the_rule_behind_each_change() {
    let request = "POST /shop/cart?a=1 HTTP/1.1\r\nHost: x\r\nAuthorization: mine\r\n\r\n\
        {\"items\":[{\"sku\":\"a, {b}\",\"n\":1.50}],\"e\":[]}";
    let expected = r#"candidate "v2", route "cart" (m.toml:8)
transform "elsewhere"
-POST /shop/cart?a=1
+POST /v2/cart?a=1
transform "own token"
-authorization: mine
+authorization: Bearer {secret.token}
transform "renamed"
-      "sku": "a, {b}",
+      "article": "a, {b}",
mark
+x-mirror: 1
candidate "v3", route "cart" (m.toml:8)
gets no copy
"#;
    assert_eq!(tried(&Tried::default(), request).unwrap(), expected);
}

#[test]
fn headers_that_stay_are_not_told_however_others_change() {
    let settings = "[redact]\n[[redact.rule]]\nname = \"people\"\nheaders = [\"x-b\"]\njson = [\"n\"]\n\
        [[transform]]\nname = \"rename\"\nheader = { name = \"x-a\", rename = \"x-z\" }\n";
    let config = Config::from_text("m.toml", settings, &|_| None).unwrap();
    let request = b"POST / HTTP/1.1\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\nX-D: 4\r\n\r\n{\"n\":5}";
    let text = shown(&config, &Tried::default(), request).unwrap();
    let expected = "candidate \"candidate\", no route\nredact (people 2)\n-x-b: 2\n+x-b: ***\n\
        -  \"n\": 5\n+  \"n\": \"***\"\ntransform \"rename\"\n-x-a: 1\n+x-z: 1\nmark\n+x-mirror: 1\n";
    let lines = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(lines(&text), lines(expected), "{text}");
}

#[test]
fn ids_that_the_candidate_has_itself_are_told() {
    let settings = format!(
        "{SETTINGS}[[identity]]\nname = \"order\"\nlearn = [\"json:$.id\"]\nreplace = [\"path:/shop/{{id}}\"]\n"
    );
    let token = |name: &str| (name == "TOKEN").then(|| "s3cret".into());
    let config = Config::from_text("m.toml", &settings, &token).unwrap();
    let text = shown(&config, &Tried::default(), b"GET /shop/17 HTTP/1.1\r\n\r\n").unwrap();
    let told = "identity \"order\": puts in what the candidate calls \"17\"\ntransform";
    assert!(text.contains(told), "{text}");
    let text = shown(&config, &Tried::default(), b"GET /shop HTTP/1.1\r\n\r\n").unwrap();
    assert!(text.contains("identity \"order\": finds nothing\n"), "{text}");
}

#[test]
fn what_would_not_be_sent_is_told_and_a_route_may_be_chosen() {
    let request = "POST / HTTP/1.1\nContent-Length: 3\n\n{\"a";
    let chosen = Tried { route: Some("cart".into()), ..Tried::default() };
    let text = tried(&chosen, request).unwrap();
    assert!(text.contains("transform \"elsewhere\": changes nothing\n"), "{text}");
    assert!(
        text.contains("transform \"renamed\": cannot be followed: the body is no JSON\n"),
        "{text}"
    );
    assert!(text.contains("not sent: \"renamed\": the body is no JSON\n"), "{text}");
    let one = Tried { candidate: Some("v3".into()), ..Tried::default() };
    let text = tried(&one, "GET /other HTTP/1.1").unwrap();
    assert!(text.starts_with("candidate \"v3\", no route\n"), "{text}");
    assert!(!text.contains("v2\""), "{text}");
}

#[test]
fn what_cannot_be_tried_is_told() {
    let route = Tried { route: Some("zz".into()), ..Tried::default() };
    let candidate = Tried { candidate: Some("v9".into()), ..Tried::default() };
    for (what, request, why) in [
        (&route, "GET / HTTP/1.1\r\n\r\n", "--route=\"zz\": is no route; allowed is cart"),
        (&candidate, "GET / HTTP/1.1\r\n\r\n", "is none; allowed is v2, v3"),
        (&Tried::default(), "", "no whole head"),
        (&Tried::default(), "GET /\r\n\r\n", "is no HTTP/1.1 request"),
        (
            &Tried::default(),
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "Transfer-Encoding",
        ),
    ] {
        let told = tried(what, request).expect_err(request);
        assert!(told.contains(why), "{request:?}: {told}");
    }
}

#[test]
fn what_becomes_of_the_trace_is_told() {
    let parent = format!("traceparent: 00-{}-{}-01", "ab".repeat(16), "cd".repeat(8));
    let request = format!("GET /a HTTP/1.1\r\nHost: x\r\n{parent}\r\ntracestate: a=1\r\n\r\n");
    for (copies, expected) in [
        ("linked", "trace: a span of its own in the trace of the request\n".to_owned()),
        ("off", format!("trace\n-{parent}\n-tracestate: a=1\n")),
    ] {
        let settings = format!("[trace]\ncopies = \"{copies}\"\n");
        let config = Config::from_text("m.toml", &settings, &|_| None).unwrap();
        let told = shown(&config, &Tried::default(), request.as_bytes()).unwrap();
        assert!(told.contains(&expected), "{told}");
    }
}
