use std::time::{Duration, SystemTime};

use super::*;
use crate::pair::Call;
use crate::report::tests::{ALLOWED, differing, record};
use crate::report::{Report, summarize};

/// Pairs of one kind on a route.
struct Told<'a> {
    route: &'a str,
    pairs: u64,
    fields: &'a [&'a str],
    millis: u64,
    failed: bool,
}

const GOOD: Told<'_> = Told { route: "GET /a", pairs: 0, fields: &[], millis: 5, failed: false };

/// The report of these, of which a pair came each 100 ms.
fn summary(told: &[Told<'_>], mirroring: &'static str) -> Summary {
    // None comes in a row that others do not come in.
    let mut order: Vec<_> = told
        .iter()
        .flat_map(|it| (0..it.pairs).map(move |at| (at * 10_000 / it.pairs, it)))
        .collect();
    order.sort_by_key(|(at, _)| *at);
    let (mut report, mut now) = (Report::default(), SystemTime::UNIX_EPOCH);
    for (_, Told { route, fields, millis, failed, .. }) in order {
        now += Duration::from_millis(100);
        let baseline = Call { latency: Some(Duration::from_millis(5)), failed: false };
        let candidate = Call { latency: Some(Duration::from_millis(*millis)), failed: *failed };
        record(&mut report, route, [baseline, candidate], Some(&differing(fields)), now);
    }
    let mut snapshot = report.frame();
    snapshot.mirroring = Some(mirroring);
    snapshot.routes = report.routes().iter().filter_map(|it| report.snapshot(it)).collect();
    summarize(&snapshot, &ALLOWED)
}

fn headline(told: &[Told<'_>]) -> String {
    let summary = summary(told, "enabled");
    assert_eq!(summary.headline, of_all(&summary).to_string());
    summary.headline
}

#[test]
fn a_fail_says_where_how_often_and_what_is_allowed() {
    let differs = Told { pairs: 50, fields: &["$['price']"], ..GOOD };
    let fails = Told { route: "GET /b", pairs: 300, failed: true, ..GOOD };
    let slow = Told { route: "GET /c", pairs: 1000, millis: 80, ..GOOD };
    let said = headline(&[Told { pairs: 400, ..GOOD }, differs]);
    assert_eq!(
        said,
        "Do not release: 50 of 450 answers of GET /a differ in $.price, which is more than the 1 % \
         allowed"
    );
    let said = headline(&[fails]);
    assert_eq!(
        said,
        "Do not release: the candidate fails 100 % of the requests of GET /b and the baseline 0 %, \
         which is more than the 0.5 % allowed"
    );
    let said = headline(&[slow]);
    assert!(
        said.starts_with(
            "Do not release: the candidate's answers of GET /c are slower than allowed, p50 8"
        ) && said.ends_with(" ms where the baseline's is 5.0 ms"),
        "{said}"
    );
}

#[test]
fn of_several_routes_that_fail_the_worst_is_told_and_how_many_others_there_are() {
    let all = ["GET /a", "GET /b", "GET /c"];
    let mut told = Vec::new();
    for (at, route) in (0_u64..).zip(all) {
        told.push(Told { route, pairs: 100, ..GOOD });
        told.push(Told { route, pairs: 50 + 50 * at, fields: &["status"], ..GOOD });
    }
    let said = headline(&told);
    assert_eq!(
        said,
        "Do not release: 150 of 250 answers of GET /c differ in status, which is more than the 1 % \
         allowed; 2 other routes fail, too"
    );
}

#[test]
fn a_pass_says_what_it_rests_on_and_an_open_verdict_what_it_takes() {
    let pass = Told { pairs: 5000, ..GOOD };
    let rare = Told { route: "GET /rare", pairs: 3, ..GOOD };
    assert_eq!(
        headline(&[pass, rare]),
        "Safe to release so far: 5,003 pairs on 2 routes, and no more of them differ, fail or are \
         slow than allowed; 1 route is not settled by itself"
    );
    let said = headline(&[Told { pairs: 400, ..GOOD }]);
    assert!(
        said.starts_with(
            "Not known yet: 400 pairs do not settle differences, errors and latency, about "
        ) && said.contains(" more pairs are needed, some ")
            && said.ends_with(" at the present rate"),
        "{said}"
    );
    assert_eq!(headline(&[]), "Not known yet: no pair has come so far");
}

#[test]
fn what_more_of_the_same_does_not_settle_clean_pairs_may() {
    let differs = Told { pairs: 2, fields: &["$"], ..GOOD };
    let summary = summary(&[Told { pairs: 98, ..GOOD }, differs], "enabled");
    let needed = summary.overall.needed.clone().unwrap();
    assert_eq!(needed.pairs, None, "2 % differ, allowed is 1 %");
    assert!(needed.clean_pairs.is_some_and(|more| more > 500), "{needed:?}");
    assert!(summary.headline.contains("more like them will not; "), "{}", summary.headline);
    assert!(summary.headline.contains("100 pairs, of which 2 differ, do not settle"));
}

#[test]
fn so_many_pairs_as_are_said_to_be_needed_make_a_pass() {
    let needed = |pairs| summary(&[Told { pairs, ..GOOD }], "enabled").overall.needed;
    let more = needed(200).unwrap();
    assert!(!more.at_least);
    let more = more.pairs.unwrap();
    assert_eq!(needed(200 + more), None, "{more} were enough");
    assert!(needed(200 + more * 9 / 10).is_some(), "{more} were not too many");
    let first = needed(10).unwrap();
    assert!(first.at_least, "where latencies are held against is not known yet: {first:?}");
}

#[test]
fn time_is_told_where_pairs_come_and_not_where_they_do_not() {
    let of = |mirroring| summary(&[Told { pairs: 400, ..GOOD }], mirroring);
    let needed = of("enabled").overall.needed.unwrap();
    let rate = needed.pairs_per_second.unwrap();
    assert!((rate - 10.0).abs() < 0.1, "{needed:?}");
    for (state, said) in [
        ("tripped", "; the guardrail has stopped mirroring, no more pairs come"),
        ("held", "; mirroring is switched off, no more pairs come"),
    ] {
        let summary = of(state);
        assert!(summary.headline.ends_with(said), "{}", summary.headline);
        assert!(!summary.headline.contains("at the present rate"), "{}", summary.headline);
        assert_eq!(summary.overall.needed.unwrap().seconds, None);
    }
}

#[test]
fn a_headline_is_one_line_and_bounded_whatever_is_in_it() {
    let key = format!("$['{}\u{1b}\n\u{202e}']", "k".repeat(1 << 16));
    let long = Told { pairs: 100, fields: &[&key], ..GOOD };
    let said = headline(&[long]);
    assert!(said.chars().count() < 800 && !said.contains(['\n', '\u{1b}', '\u{202e}']), "{said}");
}
