use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use crate::config::{Config, Errors};
use crate::policy::matcher::Seen;

fn read(conditions: &str) -> Result<Config, Errors> {
    let text = format!("[[route]]\nname = \"r\"\n[route.match]\n{conditions}\n");
    Config::from_text("m.toml", &text, &|_| None)
}

/// Whether the conditions hold for a request.
#[track_caller]
fn holds(conditions: &str, request: &str, headers: &[(&str, &str)]) -> bool {
    let config = read(conditions).unwrap_or_else(|errors| panic!("{errors}"));
    let (method, uri) = request.split_once(' ').unwrap();
    let (method, uri): (Method, Uri) = (method.parse().unwrap(), uri.parse().unwrap());
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        map.append(name, HeaderValue::from_str(value).unwrap());
    }
    let client = "10.1.2.3".parse().unwrap();
    let seen = Seen { method: &method, uri: &uri, headers: &map, client };
    config.routes[0].matcher.fits(&seen, &mut || "GET /label".into())
}

#[test]
fn every_condition_can_be_written_and_negated() {
    let host = &[("host", "Shop.Example:80"), ("x-user", "alice"), ("cookie", "sid=7; a=b")];
    for (condition, expected) in [
        ("method = \"GET\"", true),
        ("method = [\"POST\", \"GET\"]", true),
        ("method = \"POST,PUT\"", false),
        ("method = { any_of = [\"GET\"], not = true }", false),
        ("path = { exact = \"/api/x\" }", true),
        ("path = { exact = \"/api\" }", false),
        ("path = { prefix = \"/api\" }", true),
        ("path = { template = \"/api/{id}\" }", true),
        ("path = { regex = \"/api/.\" }", true),
        ("path = { regex = \"/api\" }", false),
        ("path = { regex = \"/api\", not = true }", true),
        ("host = { exact = \"SHOP.example\" }", true),
        ("host = { prefix = \"shop.\" }", true),
        ("host = { regex = \"shop\" }", false),
        ("header = { name = \"X-User\", exact = \"alice\" }", true),
        ("header = { name = \"x-user\", prefix = \"al\" }", true),
        ("header = { name = \"x-user\", regex = \"al|ice\" }", false),
        ("header = { name = \"x-none\", present = true }", false),
        ("header = { name = \"x-none\", present = false }", true),
        ("header = { name = \"x-none\", present = false, not = true }", false),
        (
            "header = [{ name = \"x-user\", present = true }, { name = \"a\", present = true }]",
            false,
        ),
        ("query = { name = \"n\", range = [1, 5.5] }", true),
        ("query = { name = \"n\", range = [6, 7], not = true }", true),
        ("cookie = { name = \"sid\", exact = \"7\" }", true),
        ("client = { networks = [\"10.0.0.0/8\"] }", true),
        ("client = { networks = \"10.0.0.0/8\", not = true }", false),
        ("", true),
    ] {
        assert_eq!(holds(condition, "GET /api/x?n=5", host), expected, "{condition}");
    }
}

#[test]
fn what_is_wrong_with_a_condition_is_told_with_its_place() {
    for (condition, part) in [
        ("method = \"get\"", "4:10: route.match.method = \"get\": did \"get\" mean \"GET\"?"),
        ("method = { not = true }", "4:1: route.match.method.any_of: is missing"),
        (
            "path = { }",
            "4:1: route.match.path: has none; allowed is one of exact, prefix, template",
        ),
        ("path = { exact = \"/a\", prefix = \"/b\" }", "4:1: route.match.path: has several"),
        ("path = { exact = \"a\" }", "4:18: route.match.path.exact = \"a\": does not begin"),
        ("path = { template = \"/{\" }", "route.match.path.template = \"/{\": has braces"),
        (
            "path = { regex = \"(\" }",
            "route.match.path.regex = \"(\": is no regular expression (unclosed",
        ),
        ("path = { regex = \"a)|(b\" }", "is no regular expression (unopened group)"),
        ("path = { regex = '\\pL{9999}' }", "exceeds size limit"),
        ("path = \"/a\"", "4:8: route.match.path: is a text; allowed is a table"),
        ("host = { exact = \"a:80\" }", "is more than a host"),
        ("header = { exact = \"a\" }", "route.match.header.name: is missing"),
        (
            "header = { name = \"a b\", exact = \"a\" }",
            "route.match.header.name = \"a b\": is no name",
        ),
        (
            "cookie = { name = \"a=b\", exact = \"a\" }",
            "route.match.cookie.name = \"a=b\": is no name",
        ),
        (
            "query = { name = \"a\", range = [2, 1] }",
            "route.match.query.range = [2, 1]: has the greatest first",
        ),
        (
            "query = { name = \"a\", range = [1] }",
            "route.match.query.range: is a list; allowed is two",
        ),
        ("query = { name = \"a\", exact = 3 }", "route.match.query.exact: is a whole number"),
        (
            "client = { networks = [\"x\"] }",
            "route.match.client.networks = [\"x\"]: \"x\" is neither",
        ),
        ("heador = { }", "did you mean header?"),
    ] {
        is_told(condition, part);
    }
}

/// As the one error that there is.
#[track_caller]
fn is_told(condition: &str, part: &str) {
    let message = read(condition).expect_err(condition).to_string();
    assert!(message.contains(part), "{part}: {message}");
    assert_eq!(message.matches("m.toml:").count(), 1, "{message}");
}

#[test]
fn hosts_with_a_wildcard_and_lists_without_an_item_are_refused_with_what_is_allowed() {
    for (condition, part) in [
        (
            "host = { exact = \"*.a.example\" }",
            "route.match.host.exact = \"*.a.example\": has a *, which no host has (as a pattern: regex = '.*\\.a\\.example'); allowed is",
        ),
        (
            "host = { prefix = \"shop*\" }",
            "allowed is the beginning of a host without a port; regex is for patterns",
        ),
        ("method = []", "4:10: route.match.method = []: is empty; allowed is"),
        ("method = { any_of = [] }", "route.match.method.any_of = []: is empty; allowed is"),
        ("method = { any_of = \"get\" }", "route.match.method.any_of = \"get\": did \"get\" mean"),
        ("client = { networks = [] }", "route.match.client.networks = []: is empty; allowed is"),
        (
            "method = [\"get\", \"a b\"]",
            "did \"get\" mean \"GET\"?, \"a b\" is no method name; allowed is",
        ),
        (
            "client = { networks = [\"10.0.0.0/33\", \"1.2.3\"] }",
            "\"10.0.0.0/33\" is neither a network nor an address, \"1.2.3\" is neither",
        ),
    ] {
        is_told(condition, part);
    }
}

#[test]
fn conditions_and_regular_expressions_are_bounded() {
    let many = |count: usize| {
        let one = "{ name = \"a\", present = true },";
        format!("query = [{}]", one.repeat(count))
    };
    assert!(read(&many(32)).is_ok());
    assert!(read(&many(33)).unwrap_err().to_string().contains("33 conditions; allowed is 32"));
    let route = |it: usize| {
        let regex = "{ name = \"a\", regex = \"a\" },".repeat(30);
        format!("[[route]]\nname = \"r{it}\"\nmatch = {{ query = [{regex}] }}\n")
    };
    let text: String = (0..9).map(route).collect();
    let message = Config::from_text("m.toml", &text, &|_| None).unwrap_err().to_string();
    assert!(message.contains("more than 256 regular expressions"), "{message}");
    let long = format!("path = {{ regex = \"{}\" }}", "a".repeat(1025));
    assert!(read(&long).unwrap_err().to_string().contains("is longer than 1024 bytes"));
}

#[test]
fn conditions_are_told_as_they_were_written_but_for_what_is_secret() {
    let conditions = "method = { any_of = [\"GET\", \"PUT\"], not = true }\npath = { prefix = \"/a\" }\n\
         header = [{ name = \"Authorization\", exact = \"s3cret\" }, { name = \"b\", present = false }]\n\
         cookie = { name = \"sid\", exact = \"s3cret\" }";
    let config = read(conditions).unwrap();
    let texts: Vec<_> = config.routes[0]
        .matcher
        .conditions
        .iter()
        .map(|condition| condition.text.as_str())
        .collect();
    assert_eq!(
        texts,
        [
            "not method = GET, PUT",
            "path prefix \"/a\"",
            "header Authorization exact (not shown)",
            "not header b present",
            "cookie sid exact (not shown)",
        ]
    );
    assert!(!serde_json::to_string(&config.settings).unwrap().contains("s3cret"));
}

#[test]
fn name_and_test_of_a_condition_are_told_at_once() {
    for (condition, parts) in [
        ("header = { name = \"x y\", range = [5, 1] }", ["is no name", "has the greatest first"]),
        ("cookie = { name = \"a=b\", prefix = \"\" }", ["is no name", "is empty"]),
        ("query = { name = \"\" }", ["is no name", "has none; allowed is one of present"]),
        ("query = { range = [5, 1] }", ["name: is missing", "has the greatest first"]),
        (
            "header = { range = [5, true] }",
            ["name: is missing", "has an item that is true or false"],
        ),
        ("path = { prefix = \"a\", not = 3 }", ["does not begin", "not: is a whole number"]),
    ] {
        let message = read(condition).expect_err(condition).to_string();
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        assert_eq!(message.matches("m.toml:").count(), 2, "{message}");
    }
    // Whether the header is a secret one cannot be seen by such a name.
    for name in ["name = \"Authorization:\", ", "name = \"x y\", ", ""] {
        let message = read(&format!("header = {{ {name}regex = \"s3cret(\" }}")).unwrap_err();
        let message = message.to_string();
        assert!(
            message.contains("is no regular expression") && !message.contains("s3cret"),
            "{message}"
        );
    }
}
