use std::time::Duration;

use crate::config::{Config, Errors, Origin};
use crate::policy::RoutePolicy;
use crate::policy::share::{SampleBy, Share};

fn read(text: &str) -> Result<Config, Errors> {
    Config::from_text("m.toml", text, &|_| None)
}

#[track_caller]
fn refused(text: &str, parts: &[&str]) {
    let message = read(text).expect_err(text).to_string();
    for part in parts {
        assert!(message.contains(part), "{part}: {message}");
    }
}

const CANDIDATES: &str = "[[candidate]]\nname = \"v2\"\nurl = \"http://a\"\n\
                          [[candidate]]\nname = \"v3\"\nurl = \"http://b\"\n";

#[test]
fn a_route_has_all_that_it_says() {
    let text = CANDIDATES.to_owned()
        + r#"
[[route]]
name = "search"
candidates = ["v3"]
share = 0.5
sample_by = "cookie:sid"
rate = "200/s"
min_pairs = 100
unsafe_methods = true
mark = ""
max_body_bytes = 10
body = false
timeout = "3s"
ignore = ["nonce"]
[route.match]
method = "GET"
[route.guardrail]
consecutive = 3
[route.report]
status_rate = 0.1
"#;
    let config = read(&text).unwrap();
    let [route] = &config.routes[..] else { panic!() };
    assert_eq!((&*route.id, route.name.as_deref()), ("search", Some("search")));
    assert_eq!(&*route.place, "m.toml:8");
    assert_eq!(route.candidates.as_deref(), Some(&["v3".into()][..]));
    assert_eq!(route.share, Some(Share::of(0.5)));
    assert_eq!(route.sample_by, Some(SampleBy::Cookie("sid".to_owned())));
    assert_eq!(route.rate.unwrap().per_second(), 200.0);
    assert_eq!((route.min_pairs, route.unsafe_methods), (100, Some(true)));
    assert_eq!((route.mark.clone(), route.body), (Some(None), Some(false)));
    assert_eq!((route.max_body_bytes, route.timeout), (Some(10), Some(Duration::from_secs(3))));
    assert_eq!(route.thresholds.consecutive, Some(3));
    assert_eq!(route.allowances.status_rate, Some(0.1));
    assert_eq!(route.rules.rules.len(), 1);
    assert_eq!(config.mirror.rules.routes, [("search".to_owned(), route.rules.clone())]);
    let origin = |place: &str| config.settings.get(place).unwrap().origin.clone();
    assert_eq!(origin("route.search.share"), Origin::File { place: "m.toml:11".to_owned() });
    assert_eq!(origin("route.search.match.0"), Origin::File { place: "m.toml:22".to_owned() });
}

#[test]
fn a_route_is_known_by_its_name_its_label_or_its_place() {
    let text = "[[route]]\nroute = \"GET /a\"\n[[route]]\nname = \"b\"\n[route.match]\nmethod = \
                \"PUT\"\n[[route]]\nroute = \"GET /a\"\nmatch = { method = \"GET\" }\n";
    let ids: Vec<_> = read(text).unwrap().routes.into_iter().map(|route| route.id).collect();
    assert_eq!(ids.iter().map(|id| &**id).collect::<Vec<_>>(), ["GET /a", "b", "m.toml:7"]);
    let one_line = "route = [{ match = { method = \"GET\" } }, { match = { method = \"PUT\" } }]\n";
    let ids: Vec<_> = read(one_line).unwrap().routes.into_iter().map(|route| route.id).collect();
    assert_eq!(ids.iter().map(|id| &**id).collect::<Vec<_>>(), ["m.toml:1", "m.toml:1:42"]);
    let named = "[[route]]\nname = \"GET /a\"\nmatch = { method = \"GET\" }\n[[route]]\nroute = \"GET /a\"\n";
    assert_eq!(&*read(named).unwrap().routes[1].id, "m.toml:4");
    for nothing in ["share = 0.5", "match = {}", "match = { header = [] }", "[route.match]"] {
        let text = format!("[[route]]\n{nothing}\n");
        refused(&text, &["m.toml:1:1: route.route: is missing"]);
        assert!(read(&text.replace("[[route]]", "[[route]]\nname = \"a\"")).is_ok(), "{text}");
    }
    let wrong = read("[[route]]\nmatch = { pth = 1 }\n").unwrap_err().to_string();
    assert!(!wrong.contains("is missing"), "{wrong}");
    refused(
        "[[route]]\nname = \"a\"\n[[route]]\nname = \"a\"",
        &["m.toml:4:8: route.name = \"a\": is there already, at m.toml:2"],
    );
    for name in ["", "other", "a\tb", &"a".repeat(101)] {
        refused(&format!("[[route]]\nname = {name:?}"), &["m.toml:2:8: route.name = "]);
    }
}

#[test]
fn routes_with_names_are_as_few_as_labels_and_all_routes_are_bounded() {
    let named = |count: usize| -> String {
        (0..count)
            .map(|it| format!("[[route]]\nname = \"r{it}\"\nroute = \"GET /{it}\"\n"))
            .collect()
    };
    assert_eq!(read(&named(100)).unwrap().routes.len(), 100);
    refused(&named(101), &["m.toml:301:1: more than 100 routes with a name; allowed is 100"]);
    let plain: String = (0..1001).map(|it| format!("[[route]]\nroute = \"GET /{it}\"\n")).collect();
    refused(&plain, &["1001 routes; allowed is 1000"]);
}

#[test]
fn candidates_of_a_route_must_be_there() {
    let route = |list: &str| format!("{CANDIDATES}[[route]]\nname = \"a\"\ncandidates = {list}\n");
    refused(
        &route("[\"v2\", \"v33\"]"),
        &[
            "m.toml:9:21: route.candidates = \"v33\": is no candidate; allowed is v2, v3",
            "did you mean v3?",
        ],
    );
    let of = |list: &str| read(&route(list)).unwrap().routes[0].candidates.clone().unwrap().len();
    assert_eq!((of("\"v2, v3\""), of("[]")), (2, 0));
    let alone = "[[route]]\nname = \"a\"\ncandidates = [\"candidate\"]\n";
    assert!(read(alone).unwrap().routes[0].candidates.is_some());
}

#[test]
fn what_follows_from_candidates_that_could_not_be_read_is_not_told() {
    let route = "[[route]]\nname = \"a\"\ncandidates = [\"v2\", \"v9\"]\n";
    let of = |header: &str, rest: &str| format!("{header}\n{rest}url = \"http://a\"\n{route}");
    let many: String =
        (0..9).map(|it| format!("[[candidate]]\nname = \"v{it}\"\nurl = \"http://a\"\n")).collect();
    for text in [
        of("[[candidates]]", "name = \"v2\"\n"),
        of("[candidate]", "name = \"v2\"\n"),
        of("[[candidate]]", "nam = \"v2\"\n"),
        of("[[candidate]]", ""),
        format!("candidate = [\"v2\"]\n{route}"),
        many + route,
    ] {
        let message = read(&text).expect_err(&text).to_string();
        assert!(!message.contains("is no candidate"), "{message}");
    }
    let v2 = "[[candidate]]\nname = \"v2\"\nurl = \"http://a\"\n";
    refused(&format!("{v2}{v2}{route}"), &["is no candidate; allowed is v2\n"]);
}

#[test]
fn a_share_of_a_route_is_from_0_to_1_and_no_finer_than_a_millionth() {
    let route = |share: &str| format!("[[route]]\nname = \"a\"\nshare = {share}\n");
    for share in ["0", "0.0", "1", "1.0", "0.000001", "1e-6"] {
        assert!(read(&route(share)).is_ok(), "{share}");
    }
    for share in ["-0.1", "1.1", "0.0000001", "nan", "inf", "0.1234567"] {
        refused(&route(share), &["m.toml:3:9: route.share = ", "from 0 to 1"]);
    }
    for key in ["", "header:", "header:a b", "cookies:x", "client:x"] {
        refused(&format!("[[route]]\nname = \"a\"\nsample_by = {key:?}"), &["route.sample_by = "]);
    }
}

#[test]
fn a_file_of_rules_makes_routes_by_label() {
    let config =
        read("[compare]\nignore = [\"a\"]\n[[route]]\nroute = \"GET /x\"\nmask = [\"b\"]").unwrap();
    let RoutePolicy { id, name, matcher, .. } = &config.routes[0];
    assert_eq!((&**id, name, matcher.conditions.len()), ("GET /x", &None, 1));
    assert_eq!(config.mirror.rules.routes[0].0, "GET /x");
}

#[test]
fn a_route_that_is_judged_by_itself_has_a_name_or_a_label() {
    let judged = "[route.guardrail]\nconsecutive = 9\n";
    let matched = "[route.match]\npath = { exact = \"/a\" }\n";
    refused(&format!("[[route]]\n{judged}{matched}"), &["m.toml:1:1: route.name: is missing"]);
    for said in ["name = \"a\"", "route = \"GET /a\""] {
        assert!(read(&format!("[[route]]\n{said}\n{judged}{matched}")).is_ok(), "{said}");
    }
}

#[test]
fn a_route_by_a_label_beyond_ascii_is_known_by_the_label_that_requests_have() {
    let text = "[[route]]\nroute = \"GET /caf\u{e9}\"\nmask = [\"b\"]\n";
    let config = read(text).unwrap();
    assert_eq!(&*config.routes[0].id, "GET /caf%C3%A9");
    assert!(config.routes[0].is_labelled());
    assert_eq!(config.mirror.rules.routes[0].0, "GET /caf%C3%A9");
    let twice = "[[route]]\nroute = \"GET /caf%C3%A9\"\n";
    refused(&format!("{text}{twice}"), &["m.toml:5:9: route.route = ", "is there already"]);
}
