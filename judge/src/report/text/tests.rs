use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::*;
use crate::pair::Call;
use crate::report::tests::{ALLOWED, record};
use crate::report::{Report, summarize};
use compare::{Difference, Differences, Kind, Traits};

/// The summary of one pair that differs.
fn summary(route: &str, found: Difference) -> Summary {
    let mut report = Report::default();
    let differences = Differences { found: vec![found], more: false, ..Differences::default() };
    let side = Call { latency: Some(Duration::from_millis(3)), failed: false };
    let route: Arc<str> = route.into();
    record(&mut report, &route, [side; 2], Some(&differences), SystemTime::UNIX_EPOCH);
    report.record_noise(&route, &differences, SystemTime::UNIX_EPOCH);
    let mut snapshot = report.frame();
    snapshot.mirroring = Some("tripped");
    snapshot.routes.extend(report.snapshot(&route));
    snapshot.routes[0].mirroring = Some("probation");
    summarize(&snapshot, &ALLOWED)
}

fn difference() -> Difference {
    Difference {
        place: "$.items[3].score".to_owned(),
        field: "$.items[*].score".to_owned(),
        kind: Kind::Value,
        baseline: Some("1".to_owned()),
        candidate: None,
        traits: Traits::default(),
        note: None,
    }
}

#[test]
fn what_a_verdict_rests_on_is_there_with_the_fields_and_their_examples() {
    let summary = summary("GET /a", difference());
    let text = Text { summary: &summary, route: None }.to_string();
    for part in [
        "since 1970-01-01T00:00:00.000Z, mirroring tripped",
        "all routes: not enough data, 1 pairs",
        "GET /a: not enough data, 1 pairs",
        "! errors beyond the baseline's: may be up to 99.57 %, a pass asks for at most 0.50 %: ",
        "mismatches   0.00 % net (0 of 1, 1 raw)",
        "! latency p50: up to 100.00 % more of the candidate's may be beyond the baseline's",
        "latency p50   baseline 3.0 ms, candidate 3.0 ms, ratio 1.00, allowed 1.15 or 2.0 ms; -100.00 to",
        "! mirroring of this route: probation",
        "$.items[*].score (value; risk medium): 1 of 1 pairs, 1 of 1 between baselines, net 0, noise",
        "    $.items[3].score: 1 -> nothing",
        "worth ignoring: $.items[*].score (1 of 1 pairs, 1 of 1 between baselines)",
        "Waudby-Smith and Ramdas",
    ] {
        assert!(text.contains(part), "{part} not in\n{text}");
    }
    let one = Text { summary: &summary, route: summary.routes.first() }.to_string();
    assert!(one.starts_with("GET /a: ") && !one.contains("all routes"), "{one}");
}

#[test]
fn nothing_from_outside_reaches_the_terminal_unescaped() {
    let evil = "\u{1b}[2J\r\u{7}\u{9b}31m\u{202e}\u{2028}\u{200f}\n";
    let found = Difference {
        place: evil.to_owned(),
        field: evil.to_owned(),
        baseline: Some(evil.to_owned()),
        candidate: Some(evil.to_owned()),
        traits: Traits::default(),
        note: None,
        ..difference()
    };
    let summary = summary(&format!("GET /{evil}"), found);
    let text = Text { summary: &summary, route: None }.to_string();
    assert!(text.chars().all(|c| c == '\n' || !is_active(c)), "{text}");
    assert!(text.contains("GET /\\u{1b}[2J\\u{d}\\u{7}"), "{text}");
}

#[test]
fn what_is_not_shown_is_counted_by_field_and_not_by_kind() {
    let mut summary = summary("GET /a", difference());
    let route = &mut summary.routes[0];
    let field = route.fields.remove(0);
    let named = |name: &str| FieldSummary { field: name.to_owned(), ..field.clone() };
    route.fields = (0..12).map(|index| named(&format!("$.f{index}"))).collect();
    // Of another kind each, one shown and one not.
    route.fields.extend([named("$.f0"), named("$.f11")]);
    let text = |summary: &Summary| Text { summary, route: None }.to_string();
    assert!(text(&summary).contains("… and 2 more fields, see the JSON"), "{}", text(&summary));
    summary.routes[0].fields.push(named(OTHER));
    let text = text(&summary);
    assert!(text.contains("… and 2 more fields, and others that found no room, see"), "{text}");
}
