use super::*;
use crate::arguments::{Arguments, Command};
use judge::report::{Allowed, Report, summarize};
use judge::{Call, Comparison, Pair};

fn parse(arguments: &[&str]) -> Result<Request, String> {
    let all = ["report"].iter().chain(arguments).map(|argument| (*argument).to_owned());
    match Arguments::parse(all)?.command {
        Command::Report(request) => Ok(*request),
        other => panic!("{other:?}"),
    }
}

fn request(more: &[&str]) -> Request {
    parse(&[&["--url", "http://localhost:8080"], more].concat()).unwrap()
}

/// The report of so many pairs on one route, of which so many failed.
fn summary(pairs: u64, failed: u64) -> Summary {
    let mut report = Report::default();
    let latency = Duration::from_millis(1);
    let route = std::sync::Arc::from("GET /a\u{9b}");
    for index in 0..pairs {
        let side = |failed| Call { latency: Some(latency), failed };
        let pair = Pair::new(&route, "GET /a/7", side(false), side(index < failed));
        let differences = Some(&compare::Differences::default());
        let comparison = Comparison { content: true, differences };
        report.record(&pair, &comparison, std::time::SystemTime::UNIX_EPOCH);
    }
    let mut snapshot = report.frame();
    snapshot.routes.extend(report.snapshot(&route));
    let allowed = Allowed {
        mismatch_rate: 0.01,
        status_rate: 0.0025,
        error_delta: 0.005,
        latency_ratio: 1.15,
        latency_floor: Duration::from_millis(2),
    };
    summarize(&snapshot, &allowed)
}

#[test]
fn the_exit_code_tells_whether_the_verdict_is_as_required() {
    let (pass, fail, unknown) = (summary(5000, 0), summary(300, 300), summary(10, 0));
    for (more, expected) in [
        (&[][..], [0, 0, 3]),
        (&["--require", "pass"][..], [0, 1, 3]),
        (&["--min-pairs=11"][..], [0, 0, 3]),
        (&["--require", "pass", "--min-pairs", "5000"][..], [0, 1, 3]),
        (&["--require", "pass", "--min-pairs", "5001"][..], [3, 1, 3]),
        (&["--require", "pass", "--route", "GET /a\u{9b}"][..], [0, 1, 3]),
        (&["--require", "pass", "--route", "GET /none"][..], [2, 2, 2]),
        (&["--route", "GET /none"][..], [2, 2, 2]),
        (&["--require", "pass", "--cover", "p99"][..], [0, 1, 3]),
        (&["--require", "pass", "--cover", "p99.9"][..], [0, 1, 3]),
        (&["--cover=p99.9"][..], [0, 0, 3]),
    ] {
        let codes = [&pass, &fail, &unknown].map(|summary| answer(&request(more), summary));
        let why = codes.clone().map(|answer| answer.reason.is_some());
        assert_eq!(why, codes.clone().map(|answer| answer.code != 0), "{more:?}");
        assert_eq!(codes.map(|answer| answer.code), expected, "{more:?}");
    }
}

#[test]
fn a_pass_that_does_not_cover_the_tail_is_not_enough_where_the_tail_is_asked_for() {
    let mut summary = summary(5000, 0);
    summary.overall.latency.p999.excess.verdict = Verdict::NotEnoughData;
    let code =
        |cover: &[&str]| answer(&request(&[&["--require", "pass"], cover].concat()), &summary).code;
    assert_eq!([code(&[]), code(&["--cover", "p99"]), code(&["--cover", "p99.9"])], [0, 0, 3]);
}

#[test]
fn a_route_that_does_not_exist_is_told_with_those_that_do() {
    let asked = request(&["--route", "GET /b", "--require", "pass"]);
    let reason = answer(&asked, &summary(10, 0)).reason.unwrap();
    assert!(reason.starts_with("no route GET /b; there are: GET /a"), "{reason}");
    // Before the first request there are none, and this one may come.
    assert_eq!(answer(&asked, &summary(0, 0)).code, 3);
}

#[test]
fn one_route_is_shown_where_one_is_asked_for() {
    let summary = summary(10, 0);
    let one = answer(&request(&["--route", "GET /a\u{9b}"]), &summary).text;
    assert!(one.contains("\nGET /a\\u{9b}: ") && !one.contains("all routes"), "{one}");
    let json = answer(&request(&["--format=json", "--route", "GET /a\u{9b}"]), &summary).text;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["route"], "GET /a\u{9b}");
}

#[test]
fn json_for_a_terminal_means_the_same_and_moves_nothing() {
    let summary = summary(10, 0);
    let text = answer(&request(&["--format", "json"]), &summary).text;
    assert!(text.chars().all(|c| c == '\n' || !is_active(c)), "{text}");
    let read: Summary = serde_json::from_str(&text).unwrap();
    assert_eq!(read.routes[0].route, "GET /a\u{9b}");
}

#[test]
fn bad_arguments_are_named_with_what_is_allowed() {
    for (arguments, parts) in [
        (&[][..], &["--url"][..]),
        (&["--url"], &["--url", "no value"]),
        (&["--url", "localhost"], &["--url", "scheme"]),
        (&["--url", "http://me:secret@host"], &["--url", "user info"]),
        (
            &["--url", "http://a", "--require", "fail"],
            &["--require", "\"fail\"", "allowed is pass"],
        ),
        (&["--url", "http://a", "--min-pairs", "-1"], &["--min-pairs", "\"-1\"", "whole number"]),
        (&["--url", "http://a", "--format", "xml"], &["--format", "\"xml\"", "json", "junit"]),
        (&["--url", "http://a", "--json", "--format=text"], &["--json", "--format"]),
        (&["--url", "http://a", "--watch", "--format=html"], &["--watch", "text, not html"]),
        (&["--url", "http://a", "--interval=1s"], &["--interval", "--watch"]),
        (&["--url", "http://a", "--watch", "--interval=1ms"], &["--interval", "\"1ms\"", "100ms"]),
        (&["--url", "http://a", "--url=http://b"], &["--url", "twice"]),
        (&["--url", "http://a", "--cover", "p50"], &["--cover", "\"p50\"", "p99 or p99.9"]),
        (&["--url", "http://a", "--what"], &["--what", "unknown"]),
        (&["http://a"], &["unknown"]),
    ] {
        let error = parse(arguments).unwrap_err();
        for part in parts {
            assert!(error.contains(part), "{arguments:?}: {error}");
        }
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn of_several_candidates_each_must_be_as_required_and_the_worst_gives_the_exit_code() {
    let (pass, fail, unknown) = (summary(5000, 0), summary(300, 300), summary(10, 0));
    let of = |named: &[(&str, &Summary)]| -> BTreeMap<String, Summary> {
        named.iter().map(|(name, summary)| ((*name).to_owned(), (*summary).clone())).collect()
    };
    let required = request(&["--require", "pass"]);
    for (candidates, code) in [
        (of(&[("v2", &pass), ("v3", &pass)]), 0),
        (of(&[("v2", &pass), ("v3", &unknown)]), 3),
        (of(&[("v2", &fail), ("v3", &unknown)]), 1),
    ] {
        let answer = answer_of_all(&required, &candidates);
        assert_eq!(answer.code, code, "{:?}", answer.reason);
        for name in ["=== candidate v2 ===", "=== candidate v3 ==="] {
            assert!(answer.text.contains(name), "{}", answer.text);
        }
    }
    let both = of(&[("v2", &fail), ("v3", &pass)]);
    let reason = answer_of_all(&required, &both).reason.unwrap();
    assert!(reason.contains("candidate v2: fail") && !reason.contains("v3"), "{reason}");
    let json = answer_of_all(&request(&["--format", "json"]), &both).text;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["v2"]["verdict"], &json["v3"]["verdict"]), (&"fail".into(), &"pass".into()));
}

#[test]
fn of_several_candidates_those_that_have_the_route_must_be_as_required() {
    const PICK: &str = "GET /a\u{9b}";
    let other = |awaited: &[&str]| {
        let mut other = summary(10, 0);
        other.routes[0].route = "GET /b".to_owned();
        other.awaited_routes = awaited.iter().map(|it| (*it).to_owned()).collect();
        other
    };
    let (pass, fail) = (summary(5000, 0), summary(300, 300));
    let required = request(&["--require", "pass", "--route", PICK]);
    for (good, code) in [(&pass, 0), (&fail, 1)] {
        let all = [("good", good.clone()), ("off", good.clone()), ("err", other(&[]))];
        let all = all.map(|(name, it)| (name.to_owned(), it)).into();
        let answer = answer_of_all(&required, &all);
        assert_eq!(answer.code, code, "{:?}", answer.reason);
        assert!(
            !answer.text.contains("candidate err") && answer.text.contains("candidate off"),
            "{}",
            answer.text
        );
    }
    // One that has it, and no pair yet, is not passed over.
    let all = [("good", pass), ("new", other(&[PICK]))];
    let answer = answer_of_all(&required, &all.map(|(name, it)| (name.to_owned(), it)).into());
    let reason = answer.reason.unwrap();
    assert!(answer.code == 3 && reason.starts_with("candidate new: not enough data"), "{reason}");
    let none = [("one", other(&[])), ("two", other(&[]))];
    let answer = answer_of_all(&required, &none.map(|(name, it)| (name.to_owned(), it)).into());
    assert_eq!(answer.code, NO_REPORT, "{:?}", answer.reason);
}

#[test]
fn a_report_of_one_candidate_is_read_as_one_and_of_several_as_several() {
    let summary = serde_json::to_value(summary(10, 0)).unwrap();
    let one: Reports = serde_json::from_value(summary.clone()).unwrap();
    assert!(one.candidates.is_none());
    let mut several = summary.clone();
    several["candidates"] = serde_json::json!({"v2": summary, "v3": summary});
    let several: Reports = serde_json::from_value(several).unwrap();
    assert_eq!(several.candidates.unwrap().len(), 2);
}

#[test]
fn each_format_is_there_by_its_name_and_begins_with_the_verdict() {
    let summary = summary(10, 0);
    for (more, begins) in [
        (&[][..], "Not known yet: "),
        (&["--json"][..], "{\n  \"headline\": \"Not known yet: "),
        (&["--format=markdown"][..], "**Not known yet: "),
        (&["--format=junit"][..], "<?xml "),
        (&["--format=html"][..], "<!DOCTYPE html>"),
    ] {
        let answer = answer(&request(more), &summary);
        assert!(answer.text.starts_with(begins), "{more:?}: {}", answer.text);
        assert!(answer.headline.starts_with("Not known yet: "), "{more:?}");
    }
    let [usual, all] = [&[][..], &["--verbose"]].map(|more| answer(&request(more), &summary).text);
    assert!(all.contains("Waudby-Smith") && !usual.contains("Waudby-Smith"), "{usual}");
}

#[test]
fn several_candidates_are_one_document_in_each_format() {
    let both = [("v2", summary(5000, 0)), ("v3", summary(300, 300))];
    let both = both.map(|(name, it)| (name.to_owned(), it)).into();
    let text = |format: &str| answer_of_all(&request(&["--format", format]), &both).text;
    assert_eq!(text("junit").matches("<testsuite name=\"mirrorlab v").count(), 2);
    assert_eq!(text("junit").matches("<?xml").count(), 1);
    assert_eq!(text("html").matches("<!DOCTYPE").count(), 1);
    assert_eq!(text("html").matches("<h1>").count(), 2);
    assert_eq!(text("markdown").matches("\n\n**").count(), 2);
    let headline = answer_of_all(&request(&[]), &both).headline;
    assert!(headline.contains("v2: Safe") && headline.contains("v3: Do not"), "{headline}");
}

#[test]
fn a_report_is_followed_every_two_seconds_unless_it_is_said_how_often() {
    assert_eq!(request(&[]).watched(), None);
    assert_eq!(request(&["--watch"]).watched(), Some(Duration::from_secs(2)));
    for (text, millis) in [("5", 5000), ("500ms", 500), ("2m", 120_000)] {
        let watched = request(&["--watch", "--interval", text]).watched();
        assert_eq!(watched, Some(Duration::from_millis(millis)));
    }
}
