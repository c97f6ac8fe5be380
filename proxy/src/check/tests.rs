use std::ffi::OsString;

use super::*;
use crate::policy::share;

const FILE: &str = r#"[mirror]
share = 0.1
methods = ["GET", "POST"]
[[candidate]]
name = "v2"
url = "http://a"
timeout = "3s"
[[candidate]]
name = "v3"
url = "http://b"
enabled = false
[[route]]
name = "cart"
unsafe_methods = false
candidates = ["v2"]
match = { path = { prefix = "/cart" }, header = { name = "x-user", present = true } }
[[route]]
name = "search"
share = 0.5
[route.match]
method = "GET"
path = { prefix = "/api" }
[route.guardrail]
mismatch_rate = 0.2
"#;

fn config(text: &str, settings: &[(&str, &str)]) -> Config {
    let get = |name: &str| {
        let found = settings.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(value))
    };
    Config::from_text("m.toml", text, &get).unwrap_or_else(|errors| panic!("{errors}"))
}

fn explained(config: &Config, method: &str, target: &str, user: Option<&str>) -> String {
    let mut headers = HeaderMap::new();
    headers
        .extend(user.map(|user| (http::HeaderName::from_static("x-user"), user.parse().unwrap())));
    let (method, uri) = (method.parse().unwrap(), target.parse().unwrap());
    explain(config, &Explained { method, uri, headers, client: "10.0.0.1".parse().unwrap() })
}

#[track_caller]
fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|there| there == *line), "no {line:?} in\n{text}");
    }
}

#[test]
fn the_route_is_told_with_the_lines_that_decided_and_why_others_were_passed_over() {
    let text = explained(&config(FILE, &[]), "GET", "/api/v2/x", None);
    has(
        &text,
        &[
            "GET /api/v2/x, from 10.0.0.1; its label by default: GET /api/v2/x",
            "not route \"cart\" (m.toml:12): path prefix \"/cart\" does not hold (m.toml:16)",
            "route \"search\" (m.toml:17)",
            "  method = GET (m.toml:21)",
            "  path prefix \"/api\" (m.toml:22)",
        ],
    );
    let text = explained(&config(FILE, &[]), "GET", "/cart/1", None);
    has(
        &text,
        &["not route \"cart\" (m.toml:12): header x-user present does not hold (m.toml:16)"],
    );
    has(&text, &["no route fits: the values for all hold"]);
}

#[test]
fn what_of_its_head_keeps_a_request_from_being_copied_is_told() {
    let explained = |lines: &[(&'static str, &'static str)]| {
        let header = |(name, value): &(&'static str, &'static str)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
        };
        let headers = lines.iter().map(header).collect();
        let (uri, client) = ("/".parse().unwrap(), "10.0.0.1".parse().unwrap());
        explain(&config(FILE, &[]), &Explained { method: Method::GET, uri, headers, client })
    };
    let marked = explained(&[("x-mirror", "0")]);
    has(&marked, &["not mirrored: it is marked as a copy already (x-mirror)"]);
    let upgrade = explained(&[("connection", "upgrade"), ("upgrade", "websocket")]);
    has(&upgrade, &["not mirrored: it asks for another protocol (upgrade)"]);
    assert!(!explained(&[("upgrade", "websocket")]).contains("not mirrored: it asks"));
}

#[test]
fn a_mark_in_another_spelling_is_told_as_the_proxy_reads_it() {
    let config = config("[[route]]\nmark = \"X-Shadow: yes\"\nmatch = { method = \"GET\" }\n", &[]);
    for (name, told) in [
        ("x-mirror", "x-mirror"),
        ("x_mirror", "x_mirror, which may be read as x-mirror"),
        ("x.shadow", "x.shadow, which may be read as x-shadow"),
    ] {
        let headers = [(http::HeaderName::from_static(name), "1".parse().unwrap())];
        let (uri, client) = ("/".parse().unwrap(), "10.0.0.1".parse().unwrap());
        let headers = headers.into_iter().collect();
        let text = explain(&config, &Explained { method: Method::GET, uri, headers, client });
        has(&text, &[&format!("not mirrored: it is marked as a copy already ({told})")]);
    }
}

#[test]
fn each_value_is_told_with_who_said_it() {
    let text = explained(&config(FILE, &[("MIRROR_TIMEOUT", "9s")]), "GET", "/api/x", None);
    let (_, candidates) = text.split_once("candidate \"v2\"\n").unwrap();
    let (v2, v3) = candidates.split_once("candidate \"v3\"\n").unwrap();
    has(
        v2,
        &[
            "  share = 0.5 (m.toml:19)",
            "  timeout = \"3s\" (m.toml:7)",
            "  guardrail.mismatch_rate = 0.2 (m.toml:24)",
            "  report.mismatch_rate = 0.2 (m.toml:24)",
            "  guardrail.latency_ratio = 1.15 (default)",
        ],
    );
    has(v3, &["  timeout = \"9s\" (MIRROR_TIMEOUT)"]);
    has(v3, &["  not mirrored at first: it is not enabled (m.toml:11)"]);
    let text = explained(&config(FILE, &[("MIRROR_FRACTION", "1")]), "PUT", "/", None);
    has(&text, &["  share = 1 (MIRROR_FRACTION, over m.toml:2)"]);
    has(&text, &["  not mirrored: PUT is none of the methods (m.toml:3)"]);
}

#[test]
fn candidates_and_methods_that_a_route_leaves_out_are_told() {
    let text = explained(&config(FILE, &[]), "POST", "/cart", Some("alice"));
    has(&text, &["  not mirrored: POST is not safe (m.toml:14)"]);
    has(&text, &["candidate \"v3\": gets no copy (m.toml:15)"]);
}

#[test]
fn the_environment_alone_is_explained_too() {
    let config = config("", &[("ROUTE_LABELS", "templates"), ("CANDIDATE_URL", "http://a")]);
    let text = explained(&config, "GET", "/x", None);
    has(&text, &["GET /x, from 10.0.0.1; its label by default: other"]);
    has(&text, &["no routes: the values for all hold", "candidate \"candidate\""]);
    assert_eq!(summary(&config), "m.toml: good; 0 routes, 1 candidate (candidate)\n");
    assert!(summary(&Config::default()).starts_with("the environment: good"));
    assert_eq!(
        summary(&self::config(FILE, &[])),
        "m.toml: good; 2 routes, 2 candidates (v2, v3)\n"
    );
}

#[test]
fn a_path_that_may_be_read_in_two_ways_is_told() {
    let text = explained(&config(FILE, &[]), "GET", "/api%2Fx/..%2F..%2Fcart", Some("alice"));
    assert!(text.contains("in doubt: its path may be read in two ways, as "), "{text}");
}

#[test]
fn whether_a_key_is_in_the_sample_is_told_at_the_share_that_holds() {
    const SAMPLED: &str = "[mirror]\nshare = 1\n[[candidate]]\nname = \"v2\"\nurl = \"http://a\"\nshare = 0.5\n\
                           [[candidate]]\nname = \"v3\"\nurl = \"http://b\"\n[[route]]\nname = \"a\"\n\
                           sample_by = \"header:x-user\"\n";
    let secret = ("MIRROR_SAMPLE_SECRET", "s3cret");
    let told = |text: &str, settings: &[(&str, &str)], user: Option<&str>| {
        let text = explained(&config(text, settings), "GET", "/", user);
        assert!(!text.contains("s3cret") && !text.contains("alice"), "{text}");
        let of_sample = text.lines().filter(|it| it.contains("in the sample"));
        of_sample.map(|it| it.trim().to_owned()).collect::<Vec<_>>()
    };
    let by = |user: &str| share::position(user.as_bytes(), share::Secret::of("s3cret"));
    let users: Vec<_> = (0..99).map(|it| format!("alice{it}")).collect();
    let half = share::WHOLE / 2;
    let inside = users.iter().find(|it| by(it) < half).unwrap();
    let outside = users.iter().find(|it| by(it) >= half).unwrap();
    let yes = |share: &str| {
        format!("in the sample: yes, by its key (header:x-user) and the share {share}")
    };
    let no = yes("0.5").replace("yes", "no");
    assert_eq!(told(SAMPLED, &[secret], Some(inside)), [yes("0.5"), yes("1")]);
    assert_eq!(told(SAMPLED, &[secret], Some(outside)), [no, yes("1")]);
    let none = "in the sample: the request has no key (header:x-user), so that dice decide";
    assert_eq!(told(SAMPLED, &[secret], None), [none, none]);
    let known = told(SAMPLED, &[], Some(inside));
    assert!(known[0].ends_with("; with a mirror.sample_secret it may be otherwise"), "{known:?}");
    let soon = told(&format!("{SAMPLED}min_pairs = 10\n"), &[secret], Some(inside));
    assert!(soon[0].ends_with("0.5, once 10 pairs are known; until then yes"), "{soon:?}");
    let never = told(&format!("{SAMPLED}min_pairs = 10\nshare = 0\n"), &[secret], Some(inside));
    assert!(never[0].ends_with("the share 0"), "{never:?}");
    assert!(told(FILE, &[], Some(inside)).is_empty());
}

#[test]
fn whether_unsafe_methods_are_mirrored_is_told_of_the_route_or_of_all() {
    let text = "[mirror]\nunsafe_methods = false\n[[route]]\nname = \"a\"\nunsafe_methods = true\n\
                [route.match]\npath = { exact = \"/a\" }\n";
    let config = config(text, &[]);
    let of_route = explained(&config, "POST", "/a", None);
    has(&of_route, &["  unsafe_methods = true (m.toml:5)"]);
    assert!(!of_route.contains("not mirrored"), "{of_route}");
    let of_all = explained(&config, "POST", "/b", None);
    has(&of_all, &["  unsafe_methods = false (m.toml:2)"]);
    has(&of_all, &["  not mirrored: POST is not safe (m.toml:2)"]);
    let by_env = self::config("", &[("MIRROR_UNSAFE_METHODS", "false")]);
    let by_env = explained(&by_env, "PUT", "/", None);
    has(&by_env, &["  not mirrored: PUT is not safe (MIRROR_UNSAFE_METHODS)"]);
    let by_default = explained(&Config::default(), "PUT", "/", None);
    has(&by_default, &["  unsafe_methods = true (default)"]);
}
