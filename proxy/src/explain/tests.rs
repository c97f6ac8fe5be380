use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method};

use super::*;
use crate::config::Config;
use crate::plan::{Plan, Terms};
use compare::Limits;
use transform::value::About;

/// What nobody may find in what is kept.
const PLANTED: &str = "hunter2hunter2";

fn request(target: &str, headers: &[(&str, &str)], body: &str) -> CopyRequest {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (target, None),
    };
    let body = (!body.is_empty()).then(|| Bytes::from(body.to_owned()));
    CopyRequest {
        method: Method::POST,
        path: path.to_owned(),
        query,
        host: None,
        headers: map,
        body,
    }
}

/// What is kept of a copy that goes by these settings.
fn kept(settings: &str, mut copy: CopyRequest) -> Explained {
    let secret = |name: &str| (name == "S").then(|| PLANTED.into());
    let config = Config::from_text("m.toml", settings, &secret).unwrap();
    let plan = Plan::new(config.parts(), None, Instant::now());
    let treatment = plan.treatments().next().unwrap();
    let terms: &Terms = treatment.terms[0].as_ref().unwrap();
    let rules = terms.rules(&"POST /a".into());
    let preparation = terms.preparation.as_ref().unwrap();
    let mut told = Explaining::redacted(&copy, &rules.rules, &preparation.secrets);
    let about = About { route: "POST /a", candidate: "candidate", request_id: "1" };
    let mut grant = |_| true;
    let mut limits = Limits { max_decoded: 1 << 20, grant: &mut grant };
    let mut watch = |rule: Rule, copy: &CopyRequest, done: Result<(), Fault>| {
        told.step(rule, copy, done);
    };
    if let Err(failed) = preparation.apply(&mut copy, &[], &about, &mut limits, Some(&mut watch)) {
        told.unsent(format!("{:?}: {}", failed.step, failed.fault));
    }
    told.marked(terms.mark.as_ref());
    told.done(terms.basis)
}

fn text(explained: &Explained) -> String {
    let mut text = format!("{}\n", explained.request);
    for Step { rule, outcome, changes } in &explained.steps {
        let place = rule.place.as_deref().unwrap_or_default();
        text.push_str(&format!("{} | {place} | {outcome}\n", rule.name));
        for Change { is_new, line } in changes {
            text.push_str(&format!("{}{line}\n", if *is_new { '+' } else { '-' }));
        }
    }
    text
}

fn transform(what: &str) -> String {
    format!("[[transform]]\nname = \"it\"\n{what}\n")
}

#[test]
fn each_rule_is_told_with_its_line_and_with_what_it_changed() {
    let settings = [
        transform("path_prefix = { from = \"/a\", to = \"/v2\" }"),
        "[[transform]]\nname = \"tenant\"\nheader = { name = \"x-tenant\", set = \"blue\" }\n"
            .into(),
        "[[transform]]\nname = \"none\"\nquery = { name = \"zz\", remove = true }\n".into(),
    ];
    let copy = request("/a/7?page=2", &[("x-tenant", "red")], "");
    let told = kept(&settings.concat(), copy);
    let expected = "POST /a/7?page=2\ntransform \"it\" | m.toml:1 | \n-POST /a/7?page=2\n\
        +POST /v2/7?page=2\ntransform \"tenant\" | m.toml:4 | \n-x-tenant: red\n+x-tenant: blue\n\
        transform \"none\" | m.toml:7 | changes nothing\nmark |  | \n+x-mirror: 1\n";
    assert_eq!(text(&told), expected);
    assert!(told.is_sent && !told.is_cut);
}

/// Of each kind: what is changed, the request, and what of it may be seen.
#[test]
fn of_what_is_secret_it_is_told_that_it_changed_and_nothing_more() {
    let json = ("content-type", "application/json");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let p = PLANTED;
    let cases: Vec<(&str, CopyRequest, &[&str])> = vec![
        (
            "header = { name = \"authorization\", set = \"Bearer other\" }",
            request("/a", &[("authorization", &format!("Bearer {p}"))], ""),
            &["-authorization: ***", "+authorization: ***"],
        ),
        (
            "header = { name = \"x-api-key\", remove = true }",
            request("/a", &[("x-api-key", p)], ""),
            &["-x-api-key: ***"],
        ),
        (
            "header = { name = \"x-note\", remove = true }",
            request("/a", &[("x-note", &format!("token={p}"))], ""),
            &["-x-note: ***"],
        ),
        (
            "cookie = { name = \"sid\", set = \"other\" }",
            request("/a", &[("cookie", &format!("a=1; sid={p}"))], ""),
            &["-cookie: sid=***", "+cookie: sid=***"],
        ),
        (
            "query = { name = \"token\", set = \"other\" }",
            request(&format!("/a?token={p}&page=2"), &[], ""),
            &["-POST /a?token=***&page=2", "+POST /a?token=***&page=2"],
        ),
        (
            "json = { path = \"$.password\", set = \"other\" }",
            request("/a", &[json], &format!("{{\"n\":1,\"password\":\"{p}\"}}")),
            &["-  \"password\": \"***\"", "+  \"password\": \"***\""],
        ),
        (
            "form = { name = \"password\", set = \"other\" }",
            request("/a", &[form], &format!("n=1&password={p}")),
            &["-password=***", "+password=***"],
        ),
        (
            "body = { text = \"short\", type = \"text/plain\" }",
            request("/a", &[("content-type", "text/plain")], &format!("say {p}")),
            &["-18 bytes", "+5 bytes"],
        ),
    ];
    for (what, copy, lines) in cases {
        let text = text(&kept(&transform(what), copy));
        for line in lines {
            assert!(text.lines().any(|it| it == *line), "{what}: {line}: {text}");
        }
        assert!(!text.contains(PLANTED) && !text.contains("other"), "{what}: {text}");
        let hash =
            text.split("***").skip(1).any(|it| it.starts_with(|c: char| c.is_ascii_hexdigit()));
        assert!(!hash, "{text}");
    }
}

#[test]
fn secrets_of_the_settings_are_told_by_their_names_wherever_they_are_put() {
    let secret = "[[secret]]\nname = \"s\"\nenv = \"S\"\n";
    for (what, shown) in [
        ("header = { name = \"x-tenant\", set = \"a {secret.s}\" }", "+x-tenant: a {secret.s}\n"),
        ("path = { regex = \"^/a\", to = \"/hunter2hunter2\" }", "+POST /{secret.s}\n"),
        ("json = { path = \"$.n\", set = \"a {secret.s}\" }", "+  \"n\": \"a {secret.s}\"\n"),
        ("body = { text = '{{\"x\":[\"{secret.s}\"]}}' }", "+  \"x\": ["),
        ("body = { text = \"{secret.s}\", type = \"text/plain\" }", "+14 bytes\n"),
    ] {
        let settings = format!("{secret}{}", transform(what));
        let copy = request("/a", &[("content-type", "application/json")], "{\"n\":1}");
        let text = text(&kept(&settings, copy));
        assert!(text.contains(shown), "{what}: {text}");
        assert!(!text.contains(PLANTED), "{what}: {text}");
    }
}

#[test]
fn what_rules_hide_is_hidden_and_a_change_within_it_is_told() {
    let settings = format!(
        "[[redact.rule]]\nname = \"people\"\njson = [\"note\"]\nheaders = [\"x-person\"]\n{}{}",
        transform("json = { path = \"$.email\", set = \"other@example.com\" }"),
        "[[transform]]\nname = \"two\"\nheader = { name = \"x-person\", set = \"Bob\" }\n"
    );
    let body = "{\"email\":\"ann@example.com\",\"note\":\"Ann\"}";
    let copy = request("/a/ann@example.com", &[("x-person", "Ann")], body);
    let text = text(&kept(&settings, copy));
    assert!(text.contains("redact (people 2) | m.toml:1 | "), "{text}");
    let email = text.split("transform \"it\"").nth(1).unwrap();
    assert!(
        email.starts_with(" | m.toml:5 | changes what is not shown\n")
            || email.contains("+  \"email\": \"***\""),
        "{text}"
    );
    for hidden in ["Ann", "ann@", "other@", "Bob"] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
}

#[test]
fn of_large_bodies_and_those_that_nobody_can_read_the_size_is_told() {
    let change = transform("header = { name = \"x-a\", set = \"1\" }");
    let large = format!("[{}1]", "1,".repeat(BODY_MAX));
    let body = transform("body = { text = '[1]', type = \"application/json\" }");
    for (of, size) in [(large.as_str(), large.len()), ("<p>", 3), ("12345678", 8), ("{\"a", 3)] {
        let copy = request("/a", &[("content-type", "application/json")], of);
        let told = text(&kept(&change, copy.clone()));
        assert!(told.contains("+x-a: 1") && !told.contains("bytes"), "{told}");
        let told = text(&kept(&body, copy));
        assert!(told.contains(&format!("-{size} bytes\n")) && told.contains("+  1\n"), "{told}");
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let body: Vec<_> = (0..3000).map(|at| format!("{at}")).collect();
    let copy =
        request("/a", &[("content-type", "application/json")], &format!("[{}]", body.join(",")));
    let told = kept(&transform("json = { path = \"$[*]\", set = \"x\" }"), copy);
    let steps = told.steps.iter().map(|it| STEP_BYTES + it.rule.name.len() + it.outcome.len());
    let lines = told.steps.iter().flat_map(|it| &it.changes);
    let bytes =
        steps.sum::<usize>() + lines.map(|it| it.line.len() + STEP_BYTES / 2).sum::<usize>();
    assert!(told.is_cut && bytes <= TEXT_MAX && bytes > TEXT_MAX / 2, "{bytes}");
}

#[test]
fn a_copy_that_is_not_sent_is_told_with_the_reason_and_has_no_mark() {
    let copy = request("/a", &[("content-type", "application/json")], "{\"a");
    let told = kept(&transform("json = { path = \"$.a\", remove = true }"), copy);
    assert!(!told.is_sent);
    let text = text(&told);
    assert!(
        text.contains("transform \"it\" | m.toml:1 | cannot be followed: the body is no JSON\n"),
        "{text}"
    );
    assert!(text.ends_with("not sent |  | \"it\": the body is no JSON\n"), "{text}");
}

#[test]
fn what_is_hidden_where_it_stands_is_hidden_where_a_rule_carries_it() {
    let p = PLANTED;
    for (what, copy) in [
        ("{cookie.sid}/x", request("/a", &[("cookie", &format!("sid={p}"))], "{}")),
        (
            "{header.authorization}",
            request("/a", &[("authorization", &format!("Bearer {p}"))], "{}"),
        ),
        ("{query.token}", request(&format!("/a?token={p}"), &[], "{}")),
    ] {
        let json = transform(&format!("json = {{ path = \"$.by\", set = \"{what}\" }}"));
        let header = format!(
            "[[transform]]\nname = \"h\"\nheader = {{ name = \"x-by\", set = \"{what}\" }}\n"
        );
        let text = text(&kept(&format!("{json}{header}"), copy));
        assert!(!text.contains(p), "{what}: {text}");
        assert!(text.contains("+  \"by\": \"***") && text.contains("+x-by: ***"), "{what}: {text}");
    }
}
