use std::time::{Duration, SystemTime};

use super::*;
use crate::pair::Call;
use crate::report::summary::Summary;
use crate::report::tests::{ALLOWED, record};
use crate::report::{Report, summarize};
use compare::{Difference, Differences, Kind, Traits};

/// What is planted everywhere begins so.
const PLANT: &str = "PLANT";

/// A report in which everything that comes from outside is this.
fn summary(planted: &str) -> Summary {
    let mut report = Report::default();
    let route = format!("GET /{planted}");
    let found = Difference {
        place: format!("$['{planted}']"),
        field: format!("$['{planted}']"),
        kind: Kind::Value,
        baseline: Some(planted.to_owned()),
        candidate: Some(planted.to_owned()),
        traits: Traits { shape: Some(planted.into()), ..Traits::default() },
        note: None,
    };
    let differences = Differences { found: vec![found], ..Differences::default() };
    let side = Call { latency: Some(Duration::from_millis(3)), failed: false };
    for _ in 0..30 {
        record(&mut report, &route, [side; 2], Some(&differences), SystemTime::UNIX_EPOCH);
        report.record_noise(&route, &differences, SystemTime::UNIX_EPOCH);
    }
    let mut snapshot = report.frame();
    snapshot.routes = report.routes().iter().filter_map(|it| report.snapshot(it)).collect();
    let mut summary = summarize(&snapshot, &ALLOWED);
    summary.awaited_routes = vec![route];
    summary
}

/// What is planted, in each way that has a meaning somewhere.
fn planted() -> Vec<String> {
    let all = [
        "<script>alert(1)</script>",
        "\u{1b}[2J\u{1b}]8;;http://evil\u{7}\u{9b}31m",
        "\u{202e}\u{2067}\u{200f}",
        "| a | b |\n|---|---|\n# head\n- item",
        "` `` ``` ~~~ **a** [b](http://evil) ![c](d) <!-- @you $x$",
        "\\` \\| \\",
        "`",
        "]]> --> &lt; <![CDATA[ \u{0}\u{b}\u{fffe}\u{ffff}",
        "\" onload='x' {{7*7}} ${7*7}",
    ];
    let mut all: Vec<_> = all.iter().map(|it| format!("{PLANT}{it}")).collect();
    all.push(format!("{PLANT}{}", "`<|".repeat(1 << 14)));
    all.push(format!("`{PLANT} `"));
    all
}

fn rendered(format: Format) -> impl Iterator<Item = String> {
    planted().into_iter().flat_map(move |planted| {
        let mut failing = summary(&planted);
        // As where nothing differs by itself.
        failing.routes[0].fields[0].is_noise = false;
        [summary(&planted), failing].into_iter().flat_map(move |summary| {
            [false, true].map(|verbose| {
                let name = Some("v2");
                let shown = Shown { name, summary: &summary, route: None, verbose };
                format.render(&[shown]).unwrap()
            })
        })
    })
}

/// Markdown without its code, be it spans or blocks (CommonMark 0.31, sections 4.5 and 6.1): runs of
/// backticks end where as many come again.
fn without_code(markdown: &str) -> String {
    let (mut rest, mut words) = (markdown, String::new());
    while let Some(at) = rest.find('`') {
        if rest[..at].ends_with('\\') {
            words.push_str(&rest[..=at]);
            rest = &rest[at + 1..];
            continue;
        }
        words.push_str(&rest[..at]);
        let run = rest[at..].bytes().take_while(|byte| *byte == b'`').count();
        let mut from = at + run;
        rest = loop {
            let next = from + rest[from..].find('`').expect("a span that does not end");
            let length = rest[next..].bytes().take_while(|byte| *byte == b'`').count();
            from = next + length;
            if length == run {
                break &rest[from..];
            }
        };
    }
    words + rest
}

#[test]
fn nothing_planted_has_a_meaning_in_markdown() {
    for markdown in rendered(Format::Markdown) {
        assert!(markdown.contains(PLANT), "{markdown}");
        let words = without_code(&markdown);
        for part in [PLANT, "evil", "alert", "onload", "| a", "CDATA"] {
            assert!(!words.contains(part), "{part} in\n{words}");
        }
    }
}

#[test]
fn nothing_planted_has_a_meaning_in_html() {
    const TAGS: [&str; 23] = [
        "!DOCTYPE", "html", "head", "meta", "title", "style", "body", "main", "header", "h1", "h2",
        "p", "code", "section", "details", "summary", "div", "ul", "li", "pre", "table", "tr", "t",
    ];
    for html in rendered(Format::Html) {
        assert!(html.contains(PLANT), "{html}");
        for tag in html.split('<').skip(1) {
            let name = tag.trim_start_matches('/').split(['>', ' ']).next().unwrap();
            let is_cell = ["td", "th"].contains(&name);
            assert!(is_cell || TAGS.contains(&name), "{name} in\n{html}");
        }
        let attributes = ["class", "dir", "lang", "charset", "http-equiv", "content", "name"];
        for attribute in html.split("=\"").filter_map(|it| it.rsplit([' ', '<']).next()) {
            let is_end = attribute.contains('>') || attribute.contains('"');
            assert!(is_end || attributes.contains(&attribute), "{attribute}");
        }
        for part in ["src", "href", "url(", "@import", "<script", "javascript"] {
            let body = html.split_once("<body>").unwrap().1;
            assert!(!body.contains(part), "{part} in\n{body}");
        }
    }
}

#[test]
fn nothing_planted_has_a_meaning_or_is_illegal_in_xml() {
    const NAMES: [&str; 7] =
        ["?xml", "testsuites", "testsuite", "testcase", "failure", "skipped", "system-out"];
    for xml in rendered(Format::Junit) {
        assert!(xml.contains(PLANT), "{xml}");
        let is_legal = |c: char| c == '\n' || c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}');
        assert!(xml.chars().all(is_legal), "{xml}");
        assert!(!xml.contains("]]>"), "{xml}");
        for tag in xml.split('<').skip(1) {
            let name = tag.trim_start_matches('/').split(['>', ' ', '/']).next().unwrap();
            assert!(NAMES.contains(&name), "{name} in\n{xml}");
        }
    }
}

#[test]
fn nothing_planted_moves_a_terminal_and_all_of_it_is_bounded() {
    for format in [Format::Text, Format::Markdown, Format::Html, Format::Junit] {
        for text in rendered(format) {
            let active = text.chars().find(|c| *c != '\n' && crate::report::plain::is_active(*c));
            assert_eq!(active, None, "{}", format.name());
            assert!(text.len() < 60_000, "{} bytes of {}", text.len(), format.name());
        }
    }
}

#[test]
fn cases_of_a_suite_are_counted_and_say_why() {
    let mut summary = summary(PLANT);
    summary.routes[0].scope.errors.verdict = crate::verdict::Verdict::Fail;
    summary.routes[0].scope.reasons = vec!["errors beyond the baseline's: at least 5 %".to_owned()];
    let one = Shown { name: Some("v2"), summary: &summary, route: None, verbose: false };
    let two = Shown { name: Some("v3"), route: summary.routes.first(), ..one };
    let xml = Format::Junit.render(&[one, two]).unwrap();
    for part in [
        "<testsuites name=\"mirrorlab\" tests=\"9\" failures=\"2\" errors=\"0\" time=\"0\">",
        "<testsuite name=\"mirrorlab v2\" tests=\"6\" failures=\"1\" errors=\"0\" skipped=\"5\"",
        "<testsuite name=\"mirrorlab v3\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"2\"",
        "<failure type=\"errors\" message=\"errors beyond the baseline&#39;s: at least 5 %\">",
        "<testcase classname=\"v3 GET /PLANT\" name=\"latency\" time=\"0\">\n      <skipped",
        "<testcase classname=\"v2 all routes\" name=\"mismatches\"",
    ] {
        assert!(xml.contains(part), "{part} not in\n{xml}");
    }
}

#[test]
fn no_two_cases_of_several_candidates_have_one_name() {
    let summary = summary(PLANT);
    let shown = ["v2", "v3"].map(|name| Shown {
        name: Some(name),
        summary: &summary,
        route: None,
        verbose: false,
    });
    let xml = Format::Junit.render(&shown).unwrap();
    let mut names: Vec<_> = xml.split("<testcase ").skip(1).map(|it| &it[..40]).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "{names:?}");
}

#[test]
fn formats_are_known_by_their_names_and_others_are_told_which_there_are() {
    for format in Format::ALL {
        assert_eq!(Format::parse(format.name()), Ok(format));
    }
    let why = Format::parse("xml").unwrap_err();
    assert_eq!(why, "\"xml\": allowed is one of json, text, markdown, junit, html");
}
