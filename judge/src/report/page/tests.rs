use std::time::SystemTime;

use crate::pair::Call;
use crate::report::format::Format;
use crate::report::page::Shown;
use crate::report::summary::{FieldSummary, RouteSummary, Summary};
use crate::report::tests::{ALLOWED, differing, record};
use crate::report::{Report, summarize};

/// The summary of pairs on one route, a third of which differ in these fields.
fn summary(pairs: u64, fields: &[&str]) -> Summary {
    let mut report = Report::default();
    let side = Call { latency: Some(std::time::Duration::from_millis(5)), failed: false };
    for at in 0..pairs {
        let differences = differing(if at % 3 == 0 { fields } else { &[] });
        record(&mut report, "GET /a", [side; 2], Some(&differences), SystemTime::UNIX_EPOCH);
    }
    let mut snapshot = report.frame();
    snapshot.mirroring = Some("enabled");
    snapshot.routes = report.routes().iter().filter_map(|it| report.snapshot(it)).collect();
    summarize(&snapshot, &ALLOWED)
}

/// The same route under another name.
fn named(route: &RouteSummary, name: &str) -> RouteSummary {
    let mut route = RouteSummary { route: name.to_owned(), ..route.clone() };
    route.fields.iter_mut().for_each(|field| name.clone_into(&mut field.route));
    route
}

fn text(summary: &Summary) -> String {
    let shown = Shown { name: None, summary, route: None, verbose: false };
    Format::Text.render(&[shown]).unwrap()
}

fn verbose(summary: &Summary) -> String {
    let shown = Shown { name: None, summary, route: None, verbose: true };
    Format::Text.render(&[shown]).unwrap()
}

#[test]
fn it_is_read_from_the_top() {
    let mut summary = summary(600, &["$['price']"]);
    let fine = named(&self::summary(5000, &[]).routes[0], "GET /fine");
    let rare = named(&self::summary(5, &[]).routes[0], "GET /rare");
    summary.routes.extend([fine.clone(), named(&fine, "GET /well"), rare]);
    summary.awaited_routes = vec!["GET /never".to_owned()];
    let text = text(&summary);
    let mut rest = text.as_str();
    for part in [
        "Do not release: 200 of 600 answers of GET /a differ in $.price, which is more",
        "all routes: fail, 600 pairs; since",
        "What differs\n  GET /a: $.price (value; risk medium): 200 of 600 pairs\n    $.price: 1 -> 2 in",
        "What is not known yet\n  GET /rare: not enough data, 5 pairs; open: ",
        "no pair yet: GET /never",
        "What is fine\n  GET /fine, GET /well (10,000 pairs)",
        "Intervals\n",
    ] {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part} not in\n{text}"));
        rest = &rest[at..];
    }
}

#[test]
fn what_is_slow_or_fails_has_a_line_for_each_route() {
    let mut report = Report::default();
    for at in 0..400_u64 {
        for (route, millis, failed) in [("GET /slow", 90, false), ("GET /bad", 5, at % 5 == 0)] {
            let side = |millis, failed| {
                let latency = std::time::Duration::from_millis(millis);
                Call { latency: Some(latency), failed }
            };
            let sides = [side(5, false), side(millis, failed)];
            record(&mut report, route, sides, Some(&differing(&[])), SystemTime::UNIX_EPOCH);
        }
    }
    let mut snapshot = report.frame();
    snapshot.routes = report.routes().iter().filter_map(|it| report.snapshot(it)).collect();
    let text = text(&summarize(&snapshot, &ALLOWED));
    for part in [
        "  GET /bad: baseline fails 0 %, candidate 20 %, allowed 0.5 % more\n",
        "  GET /slow: slow: p50 baseline 5.0 ms, candidate 89.9 ms; p90 ",
        "; allowed 1.15 times or 2.0 ms more\n",
    ] {
        assert!(text.contains(part), "{part} not in\n{text}");
    }
}

#[test]
fn a_hundred_routes_with_two_hundred_fields_each_are_read_from_the_first_screen() {
    let mut summary = summary(600, &["$['price']"]);
    let route = summary.routes.remove(0);
    let field = |at: u32| FieldSummary {
        field: format!("$['f{at}']"),
        net: f64::from(at),
        examples: vec![route.fields[0].examples[0].clone(); 5],
        ..route.fields[0].clone()
    };
    let fields: Vec<_> = (0..200).rev().map(field).collect();
    let wide = RouteSummary { fields, ..route };
    summary.routes = (0..101).map(|at| named(&wide, &format!("GET /route/{at}"))).collect();
    let text = text(&summary);
    assert!(text.lines().count() < 100, "{text}");
    let screen: Vec<_> = text.lines().take(36).collect();
    let groups = screen.iter().filter(|line| line.starts_with("  GET /route/0: $.f19"));
    assert_eq!(groups.count(), 10, "{text}");
    assert!(screen[5].ends_with("; so on GET /route/1, GET /route/2, GET /route/3 and 97 more"));
    assert!(text.contains("  … and 190 more places: --verbose or the JSON has all"), "{text}");
    for format in [Format::Markdown, Format::Html] {
        let shown = Shown { name: None, summary: &summary, route: None, verbose: false };
        let length = format.render(&[shown]).unwrap().len();
        assert!(length < 40_000, "{length} bytes of {}", format.name());
    }
    assert!(verbose(&summary).lines().count() > 101 * 200);
}

#[test]
fn a_place_is_one_line_however_many_shapes_it_has_and_two_examples_are_enough() {
    let mut summary = summary(600, &["$['price']"]);
    let field = summary.routes[0].fields[0].clone();
    let mut more = FieldSummary { kinds: vec!["missing".to_owned()], net: 3.0, ..field.clone() };
    more.examples = vec![field.examples[0].clone(); 5];
    summary.routes[0].fields.extend([more.clone(), more]);
    summary.routes[0].fields[0].examples = vec![field.examples[0].clone(); 5];
    let usual = text(&summary);
    assert_eq!(usual.matches("  GET /a: $.price").count(), 1, "{usual}");
    assert_eq!(usual.matches("    $.price: 1 -> 2").count(), 2, "{usual}");
    assert!(usual.contains("; also in other kinds or shapes (missing)"), "{usual}");
    assert_eq!(verbose(&summary).matches("    $.price: 1 -> 2").count(), 15);
}

#[test]
fn what_fails_a_route_comes_before_more_that_is_allowed() {
    let mut summary = summary(600, &["$['bad']"]);
    let mut busy = named(&self::summary(5000, &[]).routes[0], "GET /busy");
    let field = FieldSummary { net: 4000.0, ..summary.routes[0].fields[0].clone() };
    busy.fields =
        vec![FieldSummary { route: busy.route.clone(), field: "$['ok']".into(), ..field }];
    summary.routes.insert(0, busy);
    let text = text(&summary);
    let [bad, allowed] = ["  GET /a: $.bad", "  GET /busy: $.ok"].map(|it| text.find(it).unwrap());
    assert!(bad < allowed, "{text}");
}

#[test]
fn a_header_that_differs_on_every_route_is_one_line() {
    let header = crate::report::summary::HeaderSummary {
        name: "etag".to_owned(),
        change: "value".to_owned(),
        pairs: 5,
        raw: 5,
        share: 1.0,
        noise: 0,
        noise_pairs: 0,
        is_noise: false,
        first_seen: None,
        last_seen: None,
    };
    let mut summary = summary(5, &[]);
    summary.routes[0].uncompared_headers = vec![header];
    let route = summary.routes[0].clone();
    summary.routes.extend((1..50).map(|at| named(&route, &format!("GET /route/{at}"))));
    let line = "  GET /a: header etag differs and is not compared: value, 100.00 % (5 of 5 pairs); so on \
                49 other routes\n";
    assert!(text(&summary).contains(line), "{}", text(&summary));
    assert_eq!(verbose(&summary).matches("header etag differs").count(), 50);
}
