use std::time::Instant;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{HOST, ORIGIN};
use serde_json::Value;

use super::*;
use crate::control::tests::{Answer, Fixture, audited, fixture};
use crate::explain::{Change, Explained, Step};
use crate::observe::kept;
use crate::plan::Rule;

const VIEWS: [&str; 5] = [
    "/control/",
    "/control/route?route=GET%20/a",
    "/control/differences",
    "/control/timeline",
    "/control/settings",
];

impl Fixture {
    async fn press(&self, form: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::post("/control/switch")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }
}

/// The address of the group of a page of differences.
fn group(answer: &Answer) -> String {
    let (_, rest) = answer.text.split_once("<h2><a href=\"").unwrap();
    let href = rest.split('"').next().unwrap().replace("&#38;", "&");
    format!("/control/{}", href.split('#').next().unwrap())
}

#[tokio::test]
async fn each_page_is_html_under_a_policy_that_allows_nothing_from_elsewhere() {
    let fixture = fixture();
    fixture.differ();
    for path in VIEWS {
        let answer = fixture.ask("GET", path).await;
        assert_eq!(answer.code, 200, "{path}: {}", answer.text);
        let policy = answer.headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"));
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert_eq!(answer.headers[CONTENT_TYPE], "text/html; charset=utf-8");
        assert_eq!(answer.headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(answer.headers[CACHE_CONTROL], "no-store");
        let text = &answer.text;
        for elsewhere in
            [" style=", "<style", "http://", "https://", "src=\"/", "href=\"/", "onclick"]
        {
            assert!(!text.contains(elsewhere), "{path}: {elsewhere}");
        }
        assert_eq!(text.matches("<script").count(), 1, "{path}");
    }
}

#[tokio::test]
async fn all_of_it_is_small() {
    let fixture = fixture();
    fixture.differ();
    let mut all = 0;
    for path in ["/control/", "/control/page.css", "/control/page.js?v=1", "/control/icon.svg"] {
        let answer = fixture.ask("GET", path).await;
        assert_eq!(answer.code, 200, "{path}");
        all += answer.text.len();
    }
    assert!(all < 150_000, "{all}");
}

#[tokio::test]
async fn whoever_leaves_out_the_slash_is_led_there_by_a_relative_way() {
    let answer = fixture().ask("GET", "/control").await;
    assert_eq!(
        (answer.code, &answer.headers[LOCATION]),
        (StatusCode::PERMANENT_REDIRECT, &HeaderValue::from_static("control/"))
    );
}

#[tokio::test]
async fn the_overview_says_what_is_known() {
    let fixture = fixture();
    let empty = fixture.ask("GET", "/control/").await.text;
    assert!(empty.contains("Mirroring is on") && empty.contains("No request yet"), "{empty}");
    fixture.differ();
    for sort in ["worst", "route", "share", "pairs", "mismatches", "errors", "p50", "p99", "none"] {
        let text = fixture.ask("GET", &format!("/control/?sort={sort}")).await.text;
        assert!(text.contains("GET /a") && text.contains("not enough data"), "{sort}: {text}");
    }
    assert_eq!(fixture.ask("GET", "/control/?candidate=nobody").await.code, 404);
    fixture.breach(2);
    let text = fixture.ask("GET", "/control/").await.text;
    assert!(
        text.contains("Mirroring is off") && text.contains("It resumes with the first request in")
    );
}

#[tokio::test]
async fn a_group_shows_its_examples_to_those_who_may_see_them() {
    let fixture = fixture();
    fixture.differ();
    let list = fixture.ask("GET", "/control/differences?kind=missing&risk=high").await;
    assert!(list.text.contains("$.a[*]") && !list.text.contains("GET /a/7"), "{}", list.text);
    let open = fixture.ask("GET", &group(&list)).await.text;
    assert!(open.contains("GET /a/7") && open.contains("not there"), "{open}");
    assert!(open.contains("\\u{1b}[31m") && !open.contains('\u{1b}'), "{open}");
    for nothing in ["kind=added", "risk=low", "route=other", "text=zzz"] {
        let text = fixture.ask("GET", &format!("/control/differences?{nothing}")).await.text;
        assert!(text.contains("There is none."), "{nothing}");
    }
    let found = fixture.ask("GET", "/control/differences?text=%2Fa%2F7&page=9").await.text;
    assert!(found.contains("$.a[*]"), "{found}");
}

/// A pair that differs at `$.a`, with bodies that are kept.
fn keep(fixture: &Fixture, bodies: [Option<&str>; 2]) {
    let found = compare::Difference {
        place: "$.a".to_owned(),
        field: "$.a".to_owned(),
        kind: compare::Kind::Value,
        baseline: Some("1".to_owned()),
        candidate: Some("2".to_owned()),
        traits: compare::Traits::default(),
        note: None,
    };
    fixture.differ_in("GET /a", "GET /a/7", found.clone());
    let differences = compare::Differences { found: vec![found], ..Default::default() };
    let answer =
        |body: Option<&str>| kept::Answer { status: 200, body: body.map(Into::into), lines: None };
    fixture.tell_of("GET /a", "GET /a/7", |observe, copy| {
        observe.keep(copy, &differences, || bodies.map(answer));
    });
}

#[tokio::test]
async fn a_reset_report_has_no_pairs_to_try_rules_on() {
    for path in ["/control/report/reset", "/control/report/reset?route=GET%20/a"] {
        let fixture = fixture();
        keep(&fixture, [Some("{\"a\":1}"), Some("{\"a\":2}")]);
        let kept = || fixture.control.lanes().entries[0].lane.observe.kept_pairs(None).len();
        assert_eq!(kept(), 1);
        fixture.ask("POST", path).await;
        assert_eq!(kept(), 0, "{path}");
    }
}

#[tokio::test]
async fn a_group_shows_both_answers_of_the_last_pair_to_those_who_may_see_values() {
    let fixture = fixture().with_token();
    let [ours, theirs] =
        ["1", "2"].map(|value| format!("{{\"a\":{value},\"planted\":\"<script>\u{202e}\"}}"));
    keep(&fixture, [Some(&ours), Some(&theirs)]);
    let list = fixture.ask("GET", "/control/differences").await;
    assert!(!list.text.contains("planted"), "a group that is closed shows none");
    let open = group(&list);
    let text = fixture.ask("GET", &open).await.text;
    assert!(!text.contains("planted") && text.contains("withheld: needs the token"), "{text}");
    let text = fixture.ask_with("GET", &open, Some("Bearer s3cret")).await.text;
    assert!(text.contains("<td class=\"n\">2</td><td class=\"candidate\"><bdi>"), "{text}");
    assert!(text.contains("planted") && text.contains("&#60;script&#62;\\u{202e}"), "{text}");
    assert!(!text.contains("<script>") && !text.contains('\u{202e}'), "{text}");
}

#[tokio::test]
async fn a_group_without_a_pair_says_so_and_one_without_bodies_lists_what_differs() {
    let fixture = fixture();
    fixture.differ();
    let list = fixture.ask("GET", "/control/differences").await;
    let text = fixture.ask("GET", &group(&list)).await.text;
    assert!(text.contains("No pair that differs here is kept any more"), "{text}");
    let fixture = self::fixture();
    keep(&fixture, [None, None]);
    let list = fixture.ask("GET", "/control/differences").await;
    let text = fixture.ask("GET", &group(&list)).await.text;
    assert!(text.contains("All that differs in this pair") && text.contains("body is not kept"));
}

#[tokio::test]
async fn pairs_that_were_held_against_something_else_are_not_shown() {
    let fixture = fixture();
    keep(&fixture, [Some("{\"a\":1}"), Some("{\"a\":2}")]);
    let list = fixture.ask("GET", "/control/differences").await;
    let open = group(&list);
    assert!(fixture.ask("GET", &open).await.text.contains("class=\"differs\""));
    fixture.observe().hold_against(&[1].into(), &Default::default());
    assert!(fixture.observe().kept_pair("GET /a", |_| true).is_none());
    assert!(!fixture.ask("GET", &open).await.text.contains("class=\"differs\""));
}

#[tokio::test]
async fn without_the_token_a_page_has_counts_and_no_values() {
    let fixture = fixture().with_token();
    fixture.differ();
    fixture.breach(2);
    let list = fixture.ask("GET", "/control/differences").await;
    let open = group(&list);
    let text = fixture.ask("GET", &open).await.text;
    assert!(text.contains("withheld: needs the token") && !text.contains("GET /a/7"), "{text}");
    assert!(text.contains("data-withheld") && text.contains("data-tokens"), "{text}");
    let text = fixture.ask_with("GET", &open, Some("Bearer s3cret")).await.text;
    assert!(text.contains("GET /a/7") && !text.contains("withheld"), "{text}");
    let text = fixture.ask("GET", "/control/timeline").await.text;
    assert!(text.contains("Guardrail stopped") && text.contains("withheld: needs the token"));
    let answer = fixture.ask("GET", "/control/settings").await;
    assert_eq!(
        (answer.code, &answer.headers["www-authenticate"]),
        (StatusCode::UNAUTHORIZED, &HeaderValue::from_static("Bearer"))
    );
    assert!(answer.text.contains("a valid bearer token is required"), "{}", answer.text);
    let answer = fixture.ask_with("GET", "/control/settings", Some("Bearer s3cret")).await;
    assert_eq!(answer.code, 200);
}

#[tokio::test]
async fn a_route_shows_its_last_copy_to_those_who_may_see_values() {
    let fixture = fixture().with_token();
    fixture.differ();
    let ask = async |token| fixture.ask_with("GET", VIEWS[1], token).await.text;
    assert!(ask(Some("Bearer s3cret")).await.contains("None was explained yet."));
    fixture.tell_of("GET /a", "", |observe, copy| {
        let change = Change { is_new: true, line: "x-a: <script>\u{202e}".to_owned() };
        let rule = Rule { name: "transform \"planted\"".into(), place: Some("m.toml:7".into()) };
        let steps = vec![Step { rule, outcome: String::new(), changes: vec![change] }];
        let (at, basis) = (std::time::SystemTime::UNIX_EPOCH, copy.terms.basis);
        let request = "GET /a?q=***".to_owned();
        let explained = Explained { basis, at, request, steps, is_sent: false, is_cut: true };
        observe.keep_copy(copy.series, copy.terms, explained);
    });
    let text = ask(None).await;
    assert!(!text.contains("planted") && !text.contains("GET /a?q"), "{text}");
    assert!(text.contains("withheld: needs the token"), "{text}");
    let text = ask(Some("Bearer s3cret")).await;
    for part in ["1970-01-01 00:00:00 UTC", "GET /a?q=***", "planted", "m.toml:7", "not sent"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("<bdi>x-a: &#60;script&#62;\\u{202e}</bdi>"), "{text}");
    assert!(text.contains("More was changed") && text.contains("*** stands for"), "{text}");
    fixture.observe().hold_against(&[1].into(), &Default::default());
    assert!(!ask(Some("Bearer s3cret")).await.contains("planted"), "by other rules");
}

#[tokio::test]
async fn nobody_sees_the_counts_alone() {
    let fixture = fixture();
    fixture.differ();
    for path in VIEWS {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = fixture.send_from_nobody(request).await;
        let expected = if path == "/control/" { 200 } else { 403 };
        assert_eq!(answer.code, expected, "{path}");
        assert!(answer.headers[CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
    }
}

#[tokio::test]
async fn a_switch_does_what_the_endpoint_does_and_leads_back_to_a_page_of_ours() {
    let fixture = fixture();
    fixture.differ();
    for (form, back, state) in [
        ("what=disable&candidate=candidate&back=./", "./", "held"),
        ("what=enable&candidate=&back=timeline?of=all", "timeline?of=all", "enabled"),
        ("what=disable&back=//elsewhere.example/", "./", "held"),
        ("what=enable&back=https://elsewhere.example", "./", "enabled"),
    ] {
        let answer = fixture.press(form, &[]).await;
        assert_eq!(
            (answer.code, answer.headers[LOCATION].to_str().unwrap()),
            (StatusCode::SEE_OTHER, back)
        );
        assert_eq!(fixture.status().await["state"], state, "{form}");
    }
    let answer = fixture.press("what=share&share=0.5&time=10m", &[]).await;
    assert_eq!(answer.code, 303, "{}", answer.text);
    assert_eq!(fixture.status().await["overrides"][0]["share"], 0.5);
    let answer = fixture.press("what=reset&route=GET%20/a", &[]).await;
    assert_eq!(answer.code, 303, "{}", answer.text);
    assert!(fixture.observe().report_snapshot().routes.iter().all(|it| it.numbers.pairs == 0));
}

#[tokio::test]
async fn what_a_switch_refuses_is_said_on_a_page() {
    let fixture = fixture();
    for (form, code, part) in [
        ("what=share&share=2", 400, "from 0 to 1"),
        ("what=share&share=&time=", 400, "share="),
        ("what=disable&route=GET%20/none%3Cb%3E", 404, "GET /none%3Cb%3E"),
        ("what=fly", 422, "what"),
        ("what=enable&x=1", 422, "x"),
    ] {
        let answer = fixture.press(form, &[]).await;
        let is_refused = answer.code == code || (code == 422 && answer.code == 400);
        assert!(is_refused, "{form}: {} {}", answer.code, answer.text);
        assert!(answer.text.contains(part) && answer.text.contains("<main"), "{}", answer.text);
    }
    assert_eq!(fixture.status().await["overrides"], json!([]));
}

#[tokio::test]
async fn pages_of_other_origins_switch_nothing_with_a_token_or_without() {
    for asks_for_token in [false, true] {
        let fixture = if asks_for_token { fixture().with_token() } else { fixture() };
        for foreign in [
            ("sec-fetch-site", "cross-site"),
            (ORIGIN.as_str(), "http://evil.example"),
            (ORIGIN.as_str(), "null"),
        ] {
            let own =
                [(HOST.as_str(), "127.0.0.1:8080"), ("authorization", "Bearer s3cret"), foreign];
            let answer = fixture.press("what=disable", &own).await;
            assert_eq!(answer.code, 403, "{foreign:?}");
        }
        assert_eq!(fixture.status().await["state"], "enabled");
    }
    let fixture = fixture().with_token();
    assert_eq!(fixture.press("what=disable", &[]).await.code, 401);
    let own = [
        (HOST.as_str(), "a.example"),
        (ORIGIN.as_str(), "https://a.example"),
        ("authorization", "Bearer s3cret"),
    ];
    assert_eq!(fixture.press("what=disable", &own).await.code, 303);
}

#[tokio::test]
async fn hostile_texts_are_texts_on_every_page() {
    const PLANTED: &str = "GET /<script>alert(1)</script>\u{202e}\u{1b}[31m\"'&";
    let fixture = fixture();
    let found = compare::Difference {
        place: format!("$.{PLANTED}"),
        field: format!("$.{PLANTED}{}", "k".repeat(64 << 10)),
        kind: compare::Kind::Value,
        baseline: Some(PLANTED.to_owned()),
        candidate: Some(format!("{PLANTED}!")),
        traits: compare::Traits::default(),
        note: Some(PLANTED.to_owned()),
    };
    fixture.differ_in("GET /a", PLANTED, found.clone());
    // Labels are of paths as they were sent, in which nothing is active.
    fixture.differ_in("GET /<script>\"'&", PLANTED, found);
    let list = fixture.ask("GET", "/control/differences").await;
    let open = group(&list);
    let route = "/control/route?route=GET%20/a";
    for path in ["/control/", route, "/control/differences", open.as_str()] {
        let answer = fixture.ask("GET", path).await;
        assert_eq!(answer.code, 200, "{path}: {}", answer.text);
        let text = &answer.text;
        assert!(text.contains("&#60;script&#62;"), "{path}: {text}");
        assert!(
            !text.contains("<script>") && !text.contains('\u{202e}') && !text.contains('\u{1b}')
        );
        assert!(text.len() < 150_000, "{path}: {}", text.len());
    }
}

#[tokio::test]
async fn who_looks_at_examples_is_recorded_and_who_has_a_list_open_is_not() {
    let path = std::env::temp_dir().join(format!("mirrorlab-page-{}", rand::random::<u64>()));
    let place = crate::audit::Place::File(path.clone());
    let config = crate::audit::Config { place, max_bytes: 1 << 20, files: 2 };
    let metrics = crate::metrics::Metrics::new().unwrap();
    let audit = crate::audit::Audit::start(config, metrics.audit()).await.unwrap();
    let fixture = audited(&crate::config::Config::default(), audit.clone());
    fixture.differ();
    let list = fixture.ask("GET", "/control/differences").await;
    fixture.ask("GET", "/control/route?route=GET%20/a").await;
    fixture.ask("GET", "/control/timeline").await;
    fixture.ask("GET", &group(&list)).await;
    fixture.press("what=disable&route=GET%20/a", &[]).await;
    audit.close("the end").await;
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    let of = |part: &str| text.lines().filter(|line| line.contains(part)).collect::<Vec<_>>();
    assert_eq!(of("values_read").len(), 1, "{text}");
    let pressed = of("/control/switch");
    assert!(pressed.len() == 1 && pressed[0].contains("disable") && pressed[0].contains("GET /a"));
}

/// What a stream tells next.
async fn next(body: &mut Body) -> Value {
    use http_body_util::BodyExt;
    loop {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let text = std::str::from_utf8(&frame).unwrap();
        if let Some(data) = text.strip_prefix("data: ") {
            return serde_json::from_str(data.trim_end()).unwrap();
        }
    }
}

async fn stream(fixture: &Fixture, query: &str) -> (StatusCode, Body) {
    let request = Request::get(format!("/control/live?{query}")).body(Body::empty()).unwrap();
    let response = fixture.answer(request).await;
    (response.status(), response.into_body())
}

#[tokio::test]
async fn a_stream_tells_what_has_changed_and_ends_with_the_proxy() {
    use http_body_util::BodyExt;
    let fixture = fixture();
    fixture.differ();
    let (code, mut body) = stream(&fixture, "of=overview").await;
    assert_eq!(code, 200);
    let first = next(&mut body).await;
    assert!(first["sections"]["live-status"].as_str().unwrap().contains("Mirroring is on"));
    assert_eq!(first["order"].as_array().unwrap().len(), 1);
    let second = next(&mut body).await;
    assert_eq!((&second["rows"], &second["order"]), (&json!({}), &Value::Null), "{second}");
    fixture.observe().switch(false, None);
    let third = next(&mut body).await;
    assert!(third["sections"]["live-status"].as_str().unwrap().contains("Mirroring is off"));
    assert_ne!(first["events"], third["events"]);
    fixture.control.draining.store(true, std::sync::atomic::Ordering::Relaxed);
    let rest = tokio::time::timeout(std::time::Duration::from_secs(10), body.collect()).await;
    assert!(rest.is_ok(), "it ends");
    assert_eq!(stream(&fixture, "").await.0, 503);
}

#[tokio::test]
async fn there_are_so_many_streams_and_no_more_and_none_costs_anything_when_it_is_left() {
    let fixture = fixture();
    let mut all = Vec::new();
    let refused = loop {
        let (code, body) = stream(&fixture, "").await;
        if code != 200 {
            break code;
        }
        all.push(body);
    };
    assert_eq!((refused, all.len()), (StatusCode::SERVICE_UNAVAILABLE, 64));
    drop(all);
    let deadline = Instant::now() + std::time::Duration::from_secs(10);
    while fixture.control.live.is_looking() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(stream(&fixture, "").await.0, 200);
}

#[tokio::test]
async fn a_page_of_all_routes_is_packed_for_those_who_take_that() {
    let fixture = fixture();
    for route in 0..101 {
        let found = compare::Difference {
            place: "$.a".to_owned(),
            field: "$.a".to_owned(),
            kind: compare::Kind::Value,
            baseline: None,
            candidate: None,
            traits: compare::Traits::default(),
            note: None,
        };
        fixture.differ_in(&format!("GET /route/{route}"), "GET /x", found);
    }
    let ask = |encoding: &'static str| {
        let request = Request::get("/control/").header("accept-encoding", encoding);
        fixture.answer(request.body(Body::empty()).unwrap())
    };
    let plain = ask("br").await;
    assert!(!plain.headers().contains_key("content-encoding"));
    let packed = ask("gzip, br").await;
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    assert_eq!(packed.headers().get_all("content-security-policy").iter().count(), 1);
    let bytes = axum::body::to_bytes(packed.into_body(), 1 << 20).await.unwrap();
    assert!(bytes.len() < 50_000, "{}", bytes.len());
    let mut text = String::new();
    let mut reader = flate2::read::GzDecoder::new(&bytes[..]);
    std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
    assert!(text.contains("GET /route/100") && text.ends_with("</html>"), "{}", text.len());
}

#[test]
fn a_row_of_a_full_hour_is_small() {
    let minutes: Vec<_> = (0..60_u8)
        .map(|at| judge::history::Minute {
            pairs: 9,
            differing: u32::from(at % 7),
            baseline: Some(judge::history::Quantiles { p50: 0.1, p99: f32::from(at % 11) }),
            candidate: Some(judge::history::Quantiles { p50: 0.1, p99: f32::from(at % 13) }),
            ..Default::default()
        })
        .collect();
    let size = overview::charts_of(&minutes).len();
    assert!(size < 1000, "{size}");
}

/// Prints how long the first view takes with as many routes and fields as there may be.
#[tokio::test]
#[ignore = "measures, and says something in release alone"]
async fn how_long_a_view_of_everything_takes() {
    let fixture = fixture();
    for route in 0..101 {
        for field in 0..200 {
            let found = compare::Difference {
                place: format!("$.items[{field}].price"),
                field: format!("$.items{field}[*].price"),
                kind: compare::Kind::Value,
                baseline: Some("1".to_owned()),
                candidate: Some("2".to_owned()),
                traits: compare::Traits::default(),
                note: None,
            };
            fixture.differ_in(&format!("GET /route/{route}"), "GET /x", found);
        }
    }
    for path in VIEWS {
        let path = path.replace("GET%20/a", "GET%20/route/7");
        let started = Instant::now();
        let mut size = 0;
        for _ in 0..10 {
            size = fixture.ask("GET", &path).await.text.len();
        }
        let took = started.elapsed() / 10;
        eprintln!("{path}: {took:?}, {size} bytes");
    }
    let started = Instant::now();
    let seen = gather::seen(&fixture.control);
    eprintln!("a look: {:?}", started.elapsed());
    let started = Instant::now();
    let parts = overview::Parts::of(&seen, &seen.candidates[0], Sort::Worst);
    eprintln!("its parts: {:?}, {} rows", started.elapsed(), parts.rows.len());
}
