//! What the report suggests is held against the file that it is for.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::{Just, Strategy, prop_assert, prop_oneof, proptest};
use proptest::sample::select;

use super::good;
use compare::rules::RuleBook;
use compare::{self, Body, Differences, Limits, Origin, Policy, Side};
use judge::report::summary::RouteSummary;
use judge::report::{Allowed, Report, summarize};
use judge::{Call, Comparison, Pair};

const ROUTE: &str = "GET /a%22\\{id}";

fn differences(ours: &str, theirs: &str, book: &RuleBook) -> Differences {
    let rules = Policy::new(book, &[Origin::default(), Origin::default()], 0).of(ROUTE).rules;
    let side = |text: &'_ str| Side {
        status: 200,
        content_type: None,
        content_encoding: Vec::new(),
        grpc_status: None,
        headers: None,
        body: Body::Whole(text.to_owned().leak().as_bytes()),
    };
    let mut limits = Limits { max_decoded: 1 << 20, grant: &mut |_| true };
    compare::look_closer(&side(ours), &side(theirs), &rules, false, &mut limits).differences
}

/// What is suggested where two baselines differ as baseline and candidate do.
fn suggested(found: &Differences, more: &Differences) -> RouteSummary {
    let (mut report, route) = (Report::default(), Arc::from(ROUTE));
    let side = Call { latency: Some(Duration::from_millis(1)), failed: false };
    let pair = Pair::new(ROUTE, "GET /a", side, side);
    let compared = |differences| Comparison { content: true, differences: Some(differences) };
    for _ in 0..20 {
        report.record(&pair, &compared(found), SystemTime::UNIX_EPOCH);
        report.record_noise_of_pair(&route, found, found, SystemTime::UNIX_EPOCH);
    }
    // Seldom enough, it may be chance.
    for _ in 0..20 {
        report.record(&pair, &compared(more), SystemTime::UNIX_EPOCH);
        let none = Differences::default();
        report.record_noise_of_pair(&route, more, &none, SystemTime::UNIX_EPOCH);
    }
    let mut snapshot = report.frame();
    snapshot.routes.extend(report.snapshot(&route));
    summarize(&snapshot, &Allowed::default()).routes.remove(0)
}

fn documents() -> impl Strategy<Value = String> {
    let leaf = select(vec![
        "1",
        "2",
        "1700000000",
        "null",
        "true",
        "false",
        "\"x\"",
        "\"\"",
        "\"123e4567-e89b-12d3-a456-426614174000\"",
        "\"00000000-0000-0000-0000-000000000001\"",
        "\"2024-01-01T00:00:00Z\"",
        "\"abcdefgh12345678\"",
        "\"0123456789abcdef\"",
    ]);
    let leaf = leaf.prop_map(str::to_owned);
    leaf.prop_recursive(3, 12, 3, |inner| {
        let keys = select(vec![
            "a",
            "b",
            "it's",
            "back\\\\slash",
            "quo\\\"te",
            "line\\n",
            "\\u0001",
            "\\u202e",
            "\u{7f}",
            "…",
            "\\ud800",
            "7",
            "password",
            "",
            "é",
            "a.b[0]",
            "]",
        ]);
        let key = prop_oneof![6 => keys.prop_map(str::to_owned), 1 => Just("k".repeat(100))];
        let member = (key, inner.clone()).prop_map(|(key, value)| format!("\"{key}\":{value}"));
        prop_oneof![
            proptest::collection::vec(inner, 0..3).prop_map(|all| format!("[{}]", all.join(","))),
            proptest::collection::vec(member, 1..3)
                .prop_map(|all| format!("{{{}}}", all.join(","))),
        ]
    })
}

fn remaining<'d>(found: &'d Differences, path: &'d str) -> impl Iterator<Item = &'d str> {
    let fields = found.found.iter().map(|it| it.field.as_str());
    fields.filter(move |field| *field == path)
}

proptest! {
    #[test]
    fn every_suggestion_is_a_rule_that_takes_away_what_it_was_suggested_for(a in documents(), b in documents()) {
        let (ours, theirs) = (format!("{{\"x\":{a},\"z\":1}}"), format!("{{\"z\":1,\"x\":{b}}}"));
        let found = differences(&ours, &theirs, &RuleBook::default());
        let route = suggested(&found, &Differences::default());
        for suggestion in &route.suggested_ignores {
            let book = good(&format!("[compare]\n{}\n", suggestion.rule));
            let left = differences(&ours, &theirs, &book);
            prop_assert!(remaining(&left, &suggestion.path).next().is_none(), "{suggestion:?} {left:?}");
        }
        if let Some(file) = &route.suggested_rules {
            let left = differences(&ours, &theirs, &good(file));
            for suggestion in &route.suggested_ignores {
                prop_assert!(remaining(&left, &suggestion.path).next().is_none(), "{file} {left:?}");
            }
        }
    }
}

fn rules_of(ours: &str, theirs: &str) -> Vec<String> {
    let found = differences(ours, theirs, &RuleBook::default());
    let suggested = suggested(&found, &Differences::default()).suggested_ignores;
    suggested.into_iter().map(|it| it.rule).collect()
}

#[test]
fn the_rule_that_is_suggested_is_the_one_that_hides_least() {
    let uuid = |last: char| format!(r#"{{"id":"123e4567-e89b-12d3-a456-42661417400{last}"}}"#);
    assert_eq!(
        rules_of(&uuid('0'), &uuid('1')),
        [r#"classes = [{ path = "$['id']", class = "uuid" }]"#]
    );
    assert_eq!(
        rules_of(r#"{"tags":["a","b"]}"#, r#"{"tags":["b","a"]}"#),
        [r#"arrays = [{ path = "$['tags']", unordered = true }]"#]
    );
    assert_eq!(
        rules_of(r#"{"n":1}"#, r#"{"n":2}"#),
        [r#"classes = [{ path = "$['n']", class = "number" }]"#]
    );
    assert_eq!(rules_of(r#"{"n":true}"#, r#"{"n":false}"#), [r#"ignore = ["$['n']"]"#]);
    assert_eq!(rules_of(r#"{"a\u0001":null}"#, "{}"), [r#"ignore = ["$['a\\u0001']"]"#]);
    assert_eq!(rules_of("text", "other"), [""; 0], "no rule names a body");
    assert_eq!(rules_of("[1]", "{}"), [""; 0], "nothing would be left");
    let long = "k".repeat(100);
    assert_eq!(rules_of(&format!("{{\"{long}\":1}}"), "{}"), [""; 0], "the path was cut");
}

#[test]
fn what_a_suggestion_would_hide_besides_is_named() {
    let ours = r#"{"items":[1,2,3],"n":1}"#;
    let found = differences(ours, r#"{"items":[1,2],"n":1}"#, &RuleBook::default());
    let emptied = differences(ours, r#"{"items":[],"n":2}"#, &RuleBook::default());
    let route = suggested(&found, &emptied);
    let [suggestion] = &route.suggested_ignores[..] else { panic!("{route:?}") };
    assert_eq!(suggestion.rule, r#"ignore = ["$['items'][*]"]"#);
    assert!(suggestion.hides.contains("an empty list"), "{suggestion:?}");
    let also = "$['items'][*] (missing, the list is empty): 20 of 40 pairs";
    assert_eq!(suggestion.also_hides, [also]);
}

#[test]
fn what_stands_beside_a_member_that_is_one_of_many_is_named() {
    let ours = r#"{"x":{"17":"a","total":"1"},"z":1}"#;
    let found = differences(ours, r#"{"x":{"17":"b","total":"1"},"z":1}"#, &RuleBook::default());
    let other = differences(ours, r#"{"x":{"17":"a","total":"2"},"z":1}"#, &RuleBook::default());
    let route = suggested(&found, &other);
    let [suggestion] = &route.suggested_ignores[..] else { panic!("{route:?}") };
    assert!(suggestion.rule.contains("$['x'][*]"), "{suggestion:?}");
    let [also] = &suggestion.also_hides[..] else { panic!("{suggestion:?}") };
    assert!(also.starts_with("$['x']['total'] (value"), "{also}");
}
