use serde_json::json;

use super::differences::{Asked, is_of, on_page, wanted};
use super::{Shell, View, settings, timeline};
use judge::report::summary::FieldSummary;

fn field(name: &str, risk: &str, raw: u64, is_noise: bool) -> FieldSummary {
    serde_json::from_value(json!({
        "route": "GET /", "field": name, "kinds": ["value"], "risk": risk, "pairs": 100, "raw": raw, "noise": 0,
        "noisePairs": 0, "net": raw, "isNoise": is_noise, "firstSeen": null, "lastSeen": null, "examples": [],
    }))
    .unwrap()
}

#[test]
fn groups_are_those_of_high_risk_first_and_then_those_that_differ_most() {
    let all = || {
        vec![
            field("low", "low", 90, false),
            field("noise", "high", 99, true),
            field("rare", "high", 1, false),
            field("often", "high", 50, false),
            field("between baselines alone", "high", 0, false),
        ]
        .into_iter()
    };
    let names =
        |asked: &Asked| -> Vec<_> { wanted(asked, all()).into_iter().map(|it| it.field).collect() };
    assert_eq!(names(&Asked::default()), ["often", "rare", "low"]);
    assert_eq!(
        names(&Asked { noise: true, ..Asked::default() }),
        ["often", "rare", "low", "noise"]
    );
    assert_eq!(names(&Asked { text: "RARE".to_owned(), ..Asked::default() }), ["rare"]);
    assert_eq!(names(&Asked { kind: "missing".to_owned(), ..Asked::default() }), [""; 0]);
}

#[test]
fn a_page_that_is_not_there_is_the_last_one() {
    let fields: Vec<_> = (0..120).map(|at| field(&at.to_string(), "low", 1, false)).collect();
    let place = |page| {
        let (from, shown) = on_page(&Asked { page, ..Asked::default() }, &fields);
        (from, shown.len())
    };
    assert_eq!(
        [place(0), place(1), place(2), place(99)],
        [(0, 50), (50, 50), (100, 20), (100, 20)]
    );
    assert_eq!(on_page(&Asked::default(), &[]).1.len(), 0);
}

#[test]
fn events_that_nobody_here_knows_are_told_with_all_that_they_say() {
    let events = [
        json!({"time": "2026-01-02T03:04:05.678Z", "event": "moon_rose", "candidate": "v2", "route": "GET /<b>",
            "rules": ["$.a", "$.<b>"], "nothing": null, "none": []}),
        json!({"time": "2026-01-02T03:04:06Z", "event": "reload_refused", "reason": "line 3: <b>"}),
    ];
    let shell = Shell::new(View::Timeline, false, None);
    let text = timeline::page(&shell, &events, timeline::Sort::All);
    for part in
        ["moon rose", "2026-01-02 03:04:05 UTC", "$.a, $.&#60;b&#62;", "line 3: &#60;b&#62;"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("<b>") && !text.contains("nothing"), "{text}");
    assert!(text.find("Settings refused") < text.find("moon rose"), "the newest first");
    let text = timeline::page(&shell, &events, timeline::Sort::Settings);
    assert!(text.contains("Settings refused") && !text.contains("moon rose"), "{text}");
}

#[test]
fn settings_say_who_said_so_and_what_was_refused() {
    let config = json!({
        "revision": "abc", "since": "2026-01-02T03:04:05Z", "needsRestart": ["listen.address"],
        "refused": {"time": "2026-01-02T03:04:06Z", "reason": "line 1\nline <2>"},
        "settings": [
            {"place": "mirror.share", "value": 0.5, "origin": {"from": "file", "place": "m.toml:3"}},
            {"place": "mirror.body", "value": true, "origin": {"from": "default"}},
            {"place": "listen.address", "value": ":1", "running": ":2",
                "origin": {"from": "environment", "name": "LISTEN_ADDR", "over": "m.toml:1"}},
            {"place": "route.a.share", "value": 1, "origin": {"from": "override", "until": "2026-01-02T04:00:00Z"}},
        ],
    });
    let shell = Shell::new(View::Settings, true, None);
    let text = settings::page(&shell, &config, &["$.x (m.toml:9)".to_owned()], &Default::default());
    for part in [
        "m.toml:3",
        "LISTEN_ADDR, over m.toml:1",
        "runs with",
        "by hand until 2026-01-02 04:00:00 UTC",
        "line 1\nline &#60;2&#62;",
        "$.x (m.toml:9)",
        "data-tokens",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("mirror.body"), "{text}");
    let all = settings::Asked { defaults: true, text: "BODY".to_owned() };
    let text = settings::page(&shell, &config, &[], &all);
    assert!(text.contains("mirror.body") && !text.contains("mirror.share"), "{text}");
}

#[test]
fn with_several_candidates_the_navigation_stays_with_one() {
    let names = ["a".to_owned(), "<b>&".to_owned()];
    let shell = || Shell::new(View::Timeline, false, None);
    let text = timeline::page(&shell().of_candidate("<b>&", &names), &[], timeline::Sort::All);
    assert!(text.contains("differences?candidate=%3Cb%3E%26"), "{text}");
    assert!(text.contains("&#60;b&#62;&#38;") && !text.contains("<b>"), "{text}");
    let text = timeline::page(&shell().of_candidate("a", &names[..1]), &[], timeline::Sort::All);
    assert!(!text.contains("Candidates"), "{text}");
}

#[test]
fn only_addresses_of_pages_are_led_back_to() {
    for address in ["./", "./?candidate=a", "route?route=%2F", "timeline", "settings?text=x"] {
        assert!(View::is_of(address), "{address}");
    }
    for address in ["", "/", "//x", "https://x/", "page.js", "switch", "../", "route/x", ".//x"] {
        assert!(!View::is_of(address), "{address}");
    }
}

#[test]
fn a_difference_is_of_the_group_with_its_field_kind_and_shape() {
    let found = |field: &str, kind, shape: Option<&str>| compare::Difference {
        place: field.to_owned(),
        field: field.to_owned(),
        kind,
        baseline: None,
        candidate: None,
        traits: compare::Traits { shape: shape.map(str::to_owned), ..Default::default() },
        note: None,
    };
    let group = FieldSummary { shape: Some("a UUID".to_owned()), ..field("$.a", "low", 1, false) };
    assert!(is_of(&group, &found("$.a", compare::Kind::Value, Some("a UUID"))));
    assert!(!is_of(&group, &found("$.a", compare::Kind::Value, Some("a number"))));
    assert!(!is_of(&group, &found("$.a", compare::Kind::Missing, Some("a UUID"))));
    assert!(!is_of(&group, &found("$.b", compare::Kind::Value, Some("a UUID"))));
    let any = FieldSummary { shape: Some("another shape".to_owned()), ..group };
    assert!(is_of(&any, &found("$.a", compare::Kind::Value, Some("a number"))));
}
