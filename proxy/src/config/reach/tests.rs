use crate::config::Config;

const CANDIDATES: &str = "[[candidate]]\nname = \"v2\"\nurl = \"http://a\"\n\
                          [[candidate]]\nname = \"v3\"\nurl = \"http://b\"\n";

fn warnings(text: &str) -> Vec<String> {
    let config = Config::from_text("m.toml", text, &|_| None).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(config.warnings, config.probably_not_meant());
    config.warnings
}

#[test]
fn routes_and_candidates_that_no_request_comes_to_are_warned_of() {
    let warnings = |text: &str| warnings(&(CANDIDATES.to_owned() + text));
    let rest = "[[route]]\nname = \"rest\"\ncandidates = [\"v2\"]\n";
    let get = "[[route]]\nname = \"get\"\nmatch = { method = \"GET\" }\n";
    let narrower =
        "[[route]]\nname = \"narrow\"\nmatch = { method = \"GET\", path = { exact = \"/a\" } }\n";
    assert_eq!(warnings(get), Vec::<String>::new());
    assert_eq!(warnings(&format!("{narrower}{get}")), Vec::<String>::new());
    let taken = warnings(&format!("{get}{narrower}"));
    assert!(
        taken[0].contains("\"narrow\"") && taken[0].contains("m.toml:7 takes them all"),
        "{taken:?}"
    );
    let nobody = warnings(rest);
    assert!(nobody[0].contains("candidate \"v3\"") && nobody.len() == 1, "{nobody:?}");
    assert_eq!(warnings(&format!("{get}{rest}")).len(), 0);
    assert_eq!(warnings(&format!("{rest}{get}")).len(), 2);
    let many: String = (0..60).map(|it| format!("[[route]]\nroute = \"GET /{it}\"\n")).collect();
    assert_eq!(warnings(&format!("{rest}{many}")).len(), 51);
}

#[test]
fn a_route_by_a_label_that_no_request_has_is_warned_of() {
    let with = |label: &str| warnings(&format!("[[route]]\nroute = \"{label}\"\nshare = 1\n"));
    for (label, given) in [
        ("GET /x/42", "/x/42 has \"GET /x/{id}\""),
        ("GET /x?y", "/x?y has \"GET /x\""),
        ("PROPFIND /x", "/x has \"OTHER /x\""),
    ] {
        let told = format!("m.toml:1: no request has the label {label:?}; {given}");
        assert_eq!(with(label), [told]);
    }
    for label in ["GET /x/{id}", "POST /", "OTHER /x", "other", "GET /a-b/c"] {
        assert_eq!(with(label), Vec::<String>::new(), "{label}");
    }
    let template = "[labels]\ntemplates = [\"/x/{name}\"]\n[[route]]\nroute = \"GET /x/{name}\"\n";
    assert_eq!(warnings(template), Vec::<String>::new());
}

#[test]
fn a_route_behind_a_wider_one_is_warned_of() {
    let two = |earlier: &str, later: &str| {
        let route = |name, said| format!("[[route]]\nname = \"{name}\"\nmatch = {{ {said} }}\n");
        warnings(&(route("a", earlier) + &*route("b", later)))
    };
    let all =
        "m.toml:4: no request comes to the route \"b\": the route \"a\" at m.toml:1 takes them all";
    for (earlier, later) in [
        ("path = { prefix = \"/a\" }", "path = { exact = \"/a/b\" }"),
        ("path = { prefix = \"/\" }", "path = { exact = \"/a/b\" }"),
        ("path = { prefix = \"/a\" }", "path = { prefix = \"/a/b\" }, method = \"GET\""),
        ("path = { template = \"/a/{x}\" }", "path = { exact = \"/a/b\" }"),
        ("method = [\"GET\", \"POST\"]", "method = \"GET\""),
        ("client = { networks = \"10.0.0.0/8\" }", "client = { networks = [\"10.1.0.0/16\"] }"),
        ("header = { name = \"x\", present = true }", "header = { name = \"X\", exact = \"a\" }"),
        ("cookie = { name = \"x\", present = true }", "cookie = { name = \"x\", prefix = \"a\" }"),
        ("path = { regex = \".*\" }", "method = \"GET\""),
        ("", "method = \"GET\""),
    ] {
        assert_eq!(two(earlier, later), [all], "{earlier}, then {later}");
        assert!(two(later, earlier).is_empty(), "{later}, then {earlier}");
    }
    assert_eq!(
        two("path = { prefix = \"/\" }", "method = \"GET\""),
        [
            "m.toml:4: no request but those without a path (OPTIONS *) comes to the route \"b\": the route \
          \"a\" at m.toml:1 takes all others"
        ]
    );
}

#[test]
fn nothing_that_is_mirrored_is_warned_of() {
    let off = CANDIDATES.replace("url", "enabled = false\nurl");
    let route = |said: &str| format!("[[route]]\nname = \"a\"\n{said}\n");
    let matched = "match = { method = \"GET\" }";
    let none = "[mirror]\nshare = 0\n";
    for (text, is_nothing) in [
        (String::new(), false),
        (none.to_owned(), true),
        (CANDIDATES.to_owned(), false),
        (off.clone(), true),
        (off + &*route("share = 1"), true),
        (format!("{none}{CANDIDATES}"), true),
        (format!("{none}{}", CANDIDATES.replacen("url", "share = 0.1\nurl", 1)), false),
        (format!("{none}{}", route("share = 0.1")), false),
        (format!("{none}{}", route("share = 0.1\ncandidates = []")), true),
        (route("share = 0"), true),
        (route(&format!("share = 0\n{matched}")), false),
        (route("candidates = []"), true),
    ] {
        let found = warnings(&text);
        let told = found.iter().any(|it| it.starts_with("nothing is mirrored until"));
        assert_eq!(told, is_nothing, "{text}: {found:?}");
    }
}

#[test]
fn as_many_routes_as_there_may_be_are_looked_at_in_no_time() {
    let route = |it: usize| {
        format!("[[route]]\nmatch = {{ method = \"GET\", path = {{ exact = \"/a/b/{it}\" }} }}\n")
    };
    let since = std::time::Instant::now();
    assert!(warnings(&(0..1000).map(route).collect::<String>()).is_empty());
    assert!(since.elapsed() < std::time::Duration::from_secs(10), "{:?}", since.elapsed());
}

#[test]
fn a_route_whose_unsafe_methods_are_none_of_the_methods_for_all_is_warned_of() {
    let route = "[[route]]\nname = \"a\"\nunsafe_methods = true\n[route.match]\npath = { exact = \"/a\" }\n";
    let told = |before: &str| warnings(&format!("{before}{route}"));
    assert_eq!(
        told("[mirror]\nmethods = [\"GET\", \"HEAD\"]\n"),
        [
            "m.toml:3: unsafe_methods = true of the route \"a\" changes nothing: of mirror.methods (GET, HEAD) \
          none is unsafe; add those that are to be mirrored"
        ]
    );
    for before in
        ["", "[mirror]\nmethods = [\"GET\", \"POST\"]\n", "[mirror]\nunsafe_methods = false\n"]
    {
        assert_eq!(told(before), Vec::<String>::new(), "{before}");
    }
}

#[test]
fn a_route_whose_label_has_a_method_that_it_does_not_match_is_warned_of() {
    let told = |label: &str, method: &str| {
        warnings(&format!("[[route]]\nroute = \"{label}\"\nmatch = {{ method = {method} }}\n"))
    };
    let none = "m.toml:1: no request comes to the route \"m.toml:1\": it is for ";
    for (label, method, what) in [
        ("GET /x", "\"POST\"", "route = \"GET /x\" and method = POST"),
        ("GET /x", "[\"PUT\", \"POST\"]", "route = \"GET /x\" and method = PUT, POST"),
        ("GET /x", "{ any_of = \"GET\", not = true }", "route = \"GET /x\" and not method = GET"),
        ("OTHER /x", "\"GET\"", "route = \"OTHER /x\" and method = GET"),
    ] {
        assert_eq!(told(label, method), [format!("{none}{what}, of which never both hold")]);
    }
    for (label, method) in [
        ("GET /x", "[\"GET\", \"POST\"]"),
        ("GET /x", "{ any_of = \"POST\", not = true }"),
        ("OTHER /x", "\"PURGE\""),
        ("OTHER /x", "{ any_of = \"PURGE\", not = true }"),
        ("other", "\"POST\""),
    ] {
        assert_eq!(told(label, method), Vec::<String>::new(), "{label}, {method}");
    }
}

#[test]
fn settings_by_which_no_copy_has_room_or_a_method_are_warned_of() {
    let room = "nothing is mirrored until that is changed by hand: mirror.buffer_bytes is 0, so that no \
                copy has room";
    assert_eq!(warnings("[mirror]\nbuffer_bytes = 0\n"), [room]);
    let route = |said: &str| {
        format!("[[route]]\nname = \"a\"\nmatch = {{ path = {{ exact = \"/a\" }} }}\n{said}")
    };
    let method = "nothing is mirrored until that is changed by hand: unsafe methods are not, and of \
                  mirror.methods (PUT, POST) none is safe";
    let all = "[mirror]\nunsafe_methods = false\nmethods = [\"PUT\", \"POST\"]\n";
    assert_eq!(warnings(all), [method]);
    assert_eq!(warnings(&format!("{all}{}", route(""))), [method]);
    assert_eq!(
        warnings(&format!("{all}{}", route("unsafe_methods = true\n"))),
        Vec::<String>::new()
    );
    assert_eq!(warnings(&all.replace("PUT", "GET")), Vec::<String>::new());
}
