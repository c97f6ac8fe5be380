use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::pair::Call;
use crate::report::format::Format;
use crate::report::page::Shown;
use crate::report::summary::Summary;
use crate::report::tests::{ALLOWED, record};
use crate::report::text::is_active;
use crate::report::{Report, summarize};
use compare::{Difference, Differences, Kind, Traits};

/// The summary of one pair that differs, and that differs between two baselines, too.
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

fn text(summary: &Summary, verbose: bool) -> String {
    let shown = Shown { name: None, summary, route: None, verbose };
    Format::Text.render(&[shown]).unwrap()
}

#[test]
fn what_a_verdict_rests_on_is_there_behind_the_sentence() {
    let summary = summary("GET /a", difference());
    let whole = text(&summary, true);
    assert!(whole.starts_with("Not known yet: 1 pair does not settle"), "{whole}");
    for part in [
        "all routes: not enough data, 1 pairs; since 1970-01-01T00:00:00.000Z, mirroring tripped",
        "GET /a: not enough data, 1 pairs",
        "errors beyond the baseline's: may be up to 99.57 %, a pass asks for at most 0.50 %: ",
        "mismatches     0.00 % net (0 of 1, 1 raw)",
        "latency p50: up to 100.00 % more of the candidate's may be beyond the baseline's",
        "latency p50    baseline 3.0 ms, candidate 3.0 ms, ratio 1.00  -100.00 to",
        "mirroring of this route: probation",
        "worth ignoring: $.items[*].score (1 of 1 pairs, 1 of 1 between baselines)",
        "Waudby-Smith and Ramdas",
    ] {
        assert!(whole.contains(part), "{part} not in\n{whole}");
    }
    let usual = text(&summary, false);
    assert!(usual.len() < whole.len() / 2 && !usual.contains("Waudby-Smith"), "{usual}");
    let route = summary.routes.first();
    let alone = Shown { name: None, summary: &summary, route, verbose: false };
    let alone = Format::Text.render(&[alone]).unwrap();
    assert!(alone.contains("\nGET /a: not") && !alone.contains("all routes"), "{alone}");
}

#[test]
fn nothing_from_outside_reaches_the_terminal_unescaped() {
    let evil = "\u{1b}[2J\r\u{7}\u{9b}31m\u{202e}\u{2028}\u{200f}\n";
    let found = Difference {
        place: evil.to_owned(),
        field: evil.to_owned(),
        baseline: Some(evil.to_owned()),
        candidate: Some(evil.to_owned()),
        ..difference()
    };
    let text = text(&summary(&format!("GET /{evil}"), found), true);
    assert!(text.chars().all(|c| c == '\n' || !is_active(c)), "{text}");
    assert!(text.contains("GET /\\u{1b}[2J\\u{d}\\u{7}"), "{text}");
}
