use crate::config::{Config, Errors};

pub(crate) fn read(text: &str) -> Result<Config, Errors> {
    Config::from_text("mirrorlab.toml", text, &|_| None)
}

fn errors(text: &str) -> Vec<String> {
    read(text).map_or_else(|errors| errors.0, |config| panic!("good: {:?}", config.settings))
}

#[test]
fn an_error_shows_the_place_the_line_a_mark_and_what_was_meant() {
    let text = "[mirror]\nshare = 2.5\n\ttimeuot = \"5s\"  # comment\n";
    let [share, timeout] = &errors(text)[..] else { panic!() };
    assert_eq!(
        share,
        "mirrorlab.toml:2:9: mirror.share = 2.5: out of range; allowed is 0, or a number \
         from 0.000001 to 1.0\n  2 | share = 2.5\n    |         ^^^",
    );
    let (first, rest) = timeout.split_once('\n').unwrap();
    assert!(first.starts_with("mirrorlab.toml:3:2: mirror.timeuot: is no known name;"), "{first}");
    assert_eq!(rest, "  3 | \ttimeuot = …\n    | \t^^^^^^^\n  did you mean timeout?");
}

#[test]
fn all_errors_of_structure_and_of_value_are_told_at_once_in_the_order_of_the_file() {
    let text = r#"
mirorr = 3
[mirror]
share = "many"
rate = "200/fortnight"
[limits]
connections = 0
timeout = "1s"
[guardrail]
mode = "off"
webhook = 3
[candidate]
name = "v2"
"#;
    let errors = errors(text);
    let places: Vec<_> =
        errors.iter().map(|error| error.split(['=', ';']).next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "mirrorlab.toml:2:1: mirorr: is no known name",
            "mirrorlab.toml:4:9: mirror.share: is a text",
            "mirrorlab.toml:5:8: mirror.rate ",
            "mirrorlab.toml:7:15: limits.connections ",
            "mirrorlab.toml:8:1: limits.timeout: is no known name",
            "mirrorlab.toml:10:8: guardrail.mode ",
            "mirrorlab.toml:11:11: guardrail.webhook: is a whole number",
            "mirrorlab.toml:12:1: candidate: is a table",
        ]
    );
    assert!(errors.iter().all(|error| error.contains("; allowed is ") && error.contains('^')));
    assert!(errors[0].ends_with("did you mean mirror?"), "{}", errors[0]);
}

#[test]
fn marks_stand_under_what_is_meant_behind_tabs_wide_characters_and_long_lines() {
    let line = |text: &str| {
        let error = errors(text).remove(0);
        let lines: Vec<_> = error.lines().skip(1).map(str::to_owned).collect();
        (lines[0].clone(), lines[1].clone())
    };
    let columns = |text: &str| unicode_width::UnicodeWidthStr::width(text);
    let (shown, mark) = line("mirror = { mark = \"X-A: 漢字e\u{301}\", share = 7 }");
    let at = columns(shown.split_once("7 }").unwrap().0);
    assert_eq!(columns(mark.trim_end_matches('^')), at, "{shown}\n{mark}");
    let (shown, mark) =
        line(&format!("mirror = {{ mark = \"X-A: {}\", share = 2 }}", "a".repeat(5000)));
    assert!(shown.len() < 300, "{shown}");
    let at = columns(shown.split_once("2 }").unwrap().0);
    assert_eq!(columns(mark.trim_end_matches('^')), at, "{shown}\n{mark}");
}

#[test]
fn what_a_terminal_would_obey_is_not_printed() {
    for text in
        ["[mirror]\nshare = \u{1b}[31m", "\"\\u001b[31m\" = 3", "[mirror]\nmark = \"\u{202e}\""]
    {
        let all = errors(text).concat();
        assert!(!all.contains(['\u{1b}', '\u{202e}']), "{all:?}");
    }
}

#[test]
fn a_text_that_is_no_toml_is_told_in_the_same_form() {
    let errors = errors("[mirror]\nshare = 0.2.5\n");
    assert!(errors[0].starts_with("mirrorlab.toml:2:"), "{errors:?}");
    assert!(errors[0].contains("; allowed is TOML") && errors[0].contains("share = 0.2.5"));
    let all =
        self::errors("[mirror]\nshare = 0.2.5\nmethods = [GET]\n[admin\n[log]\nlevel = info\n");
    let lines: Vec<_> = all.iter().map(|error| error.split(':').nth(1).unwrap()).collect();
    assert_eq!(lines, ["2", "3", "4", "6"], "{all:#?}");
    let errors = self::errors("[mirror]\nshare = 0.2\nshare = 0.3\n");
    assert!(errors[0].starts_with("mirrorlab.toml:3:1: duplicate key"), "{errors:?}");
}

#[test]
fn secrets_are_shown_neither_as_values_nor_with_their_lines() {
    for text in [
        "[admin]\ntoken = \"s3cret word\"",
        "[admin]\ntoken = 53cret",
        "[admin]\ntoken = \"s3cret",
        "[admin]\ntoken = \"\"\"\ns3cret\"\" \n",
        "[admin]\ntokn = \"s3cret\"",
        "[admin]\ntokn = s3cret\"",
        "admin = { tokn = \"s3cret\", address = 3 }",
        "[admin]\ntoken = [\"s3cret\"]",
        "[admn]\ntoken = \"s3cret\"",
        "[mirror]\nsample_secret = { a = \"s3cret\" }",
        "[guardrail]\nwebhook = \"ftp://s3cret\"",
        "[baseline]\nurl = \"http://me:s3cret@a\"",
        "[baseline]\nurl = [\"http://me:s3cret@a\"]",
        "[baseline]\nurl = \"http://me:s3cret@a",
        "[baseline]\nurl = \"a\\nhttp://me:s3cret@a\" oops",
        "[[candidate]]\nname = \"v2\"\nurl = \"http://me:s3cret@a\"",
        "baseline = { url = \"http://me:s3cret@a\", http = 3 }",
        "token = \"s3cret\"\n[admin",
        "token: \"s3cret\"",
        "[admin]\ntoken: \"s3cret\"",
        "[admin]\nopen = true\ntoken: \"s3cret\"",
        "[admn]\ntoken = \"s3cret\"\n[admn]\ntoken = \"s3cret\"",
        "[admin]\ntoken = \"s3cret\"\ntoken = \"s3cret\"",
        "[admin]\ntoken = \"s3cret\"\n[admin] # me:s3cret@a",
        "CONTROL_TOKEN = \"s3cret\"",
        "[admin]\ntoke. = \"s3cret\"",
        "admin = { token.a = \"s3cret\", address = 3 }",
        "admin = { tokn.a.b = \"s3cret\", address = 3 }",
        "[mirror]\nshare = 3 # token = \"s3cret\"",
        "[admin]\nTOKEN = \"s3cret\"",
        "[[admin]]\ntoken = \"s3cret\"",
        "admin = [{ token = \"s3cret\", address = 3 }]",
        "admn = { tokens = [\"s3cret\"], s = { a = \"s3cret\" } }",
        "[admn.a]\nb = [[\"s3cret\"]]\n[admn.a.c]\ntoken = \"s3cret\"",
        "[[route]]\nname = \"a\"\nmatch = { header = \"s3cret\", pth = \"s3cret\" }",
        "[[route]]\nname = \"a\"\nmatch = { header = [{ exact = \"s3cret\", name = \"Authorization\" }, { name = \"b\" }] }",
        "[[route]]\nname = \"a\"\nmatch = { cookie = { name = \"a\", regex = \"s3cret(\" } }",
        "[[route]]\nname = \"a\"\nmatch = { header = { exact = \"s3cret\", nam = \"authorization\" } }",
        "[[route]]\nname = \"a\"\n[route.match.header]\nname = \"authorization\"\nexact = \"s3cret\" x",
    ] {
        let all = errors(text).join("\n");
        assert!(
            !all.contains("s3cret") && !all.contains("53cret") && !all.contains("me:"),
            "{all}"
        );
        assert!(all.contains("allowed is"), "{all}");
    }
}

/// The errors, each as its place and what is meant.
fn told(text: &str) -> Vec<(String, String)> {
    let one = |error: &String| {
        let place = error.split("; ").next().unwrap().to_owned();
        let meant = error.split("did you mean ").nth(1).unwrap_or_default();
        (place, meant.trim_end_matches('?').to_owned())
    };
    errors(text).iter().map(one).collect()
}

#[track_caller]
fn tells(text: &str, expected: &[(&str, &str)]) {
    let told = told(text);
    let told: Vec<_> = told.iter().map(|(what, meant)| (what.as_str(), meant.as_str())).collect();
    let expected: Vec<_> =
        expected.iter().map(|(what, meant)| (format!("mirrorlab.toml:{what}"), *meant)).collect();
    let expected: Vec<_> = expected.iter().map(|(what, meant)| (what.as_str(), *meant)).collect();
    assert_eq!(told, expected, "{text}");
}

#[test]
fn of_tables_that_are_there_twice_the_name_or_the_brackets_are_told() {
    let two = |header: &str, inner: &str| {
        let of = |name: &str| {
            format!("{header}\nname = \"{name}\"\n{inner}\npath = {{ exact = \"/\" }}\n")
        };
        of("a") + &*of("b")
    };
    tells(&two("[[routes]]", "[route.match]"), &[("1:3: routes: is no known name", "[[route]]")]);
    tells(&two("[[route]]", "[match]"), &[("3:2: match: is no known name", "[route.match]")]);
    let both = two("[[ route ]]", "[route.macth] # x");
    let macth = |line: u8| format!("{line}:8: route.macth: is no known name");
    tells(&both, &[(&macth(3), "[route.match]"), (&macth(7), "[route.match]")]);
    tells(
        &format!("{both}[log]\n[log]\n"),
        &[
            (&macth(3), "[route.match]"),
            ("10:2: duplicate key: [log] is there already, at mirrorlab.toml:9", ""),
        ],
    );
    let url = "[candidate]\nname = \"a\"\nurl = \"http://a\"\n";
    tells(&url.repeat(2), &[("1:2: candidate: is a table", "[[candidate]]")]);
    tells(
        &format!("{url}[[mirror]]\n{url}"),
        &[
            ("1:2: candidate: is a table", "[[candidate]]"),
            ("4:3: mirror: is a list of tables", "[mirror]"),
        ],
    );
    tells(
        "[mirror]\nshare = 1\n[log]\n[mirror]\nshare = 0\n",
        &[("4:2: duplicate key: [mirror] is there already, at mirrorlab.toml:1", "")],
    );
    let twice = errors("[[route]]\nname = \"a\"\n[route.match]\n[route.match]\n");
    assert!(twice[0].contains("allowed is one of it in each [[route]]"), "{twice:?}");
    let header = "[route.match.header]\nname = \"a\"\npresent = true\n";
    let twice = errors(&format!("[[route]]\nname = \"a\"\n{header}{header}"));
    assert!(twice[0].contains("or a list of tables, such as [[route.match.header]]"), "{twice:?}");
    for said in ["CANDIDATE_URL=http://a", "export CANDIDATE_URL=\"http://a\""] {
        assert_eq!(told(said)[0].1, "candidate.url", "{said}");
    }
    // Nothing of a text of several lines is a table.
    tells(
        "[mirror]\nrate = \"\"\"\n[routes]\n\"\"\"\nshare = 1\nshare = 1\n",
        &[("6:1: duplicate key", "")],
    );
}

#[test]
fn names_of_the_environment_and_of_other_tables_are_told_by_their_places() {
    for (name, meant) in [
        ("MIRROR_FRACTION", "mirror.share"),
        ("CANDIDATE_URL", "candidate.url"),
        ("CONTROL_TOKEN", "admin.token"),
        ("mirror_timeout", "mirror.timeout"),
        ("MIRROR_FRACTON", "mirror.share"),
        ("share", "mirror.share, record.share, candidate.share, secondary.share or route.share"),
        ("methods", "mirror.methods"),
        ("queue_size", "mirror.queue_size, candidate.queue_size or listener.queue_size"),
        ("mirorr", "mirror"),
        ("MIRROR_CONFIG", ""),
        ("not", ""),
    ] {
        tells(
            &format!("{name} = \"s3cret\""),
            &[(&format!("1:1: {name}: is no known name"), meant)],
        );
    }
    for (table, name, meant) in [
        ("[mirror]", "MIRROR_RATE", "rate"),
        ("[limits]", "MIRROR_RATE", "mirror.rate"),
        ("[admin]", "TOKEN", "token"),
        ("[upstream]", "idle_timeuot", "idle_timeout"),
        ("[mirror]", "fraction", "share"),
        ("[guardrail]", "p99_ratio", "latency_ratio"),
        ("[[route]]\nname = \"a\"", "fraction", "share"),
        ("[[route]]\nname = \"a\"", "methods", "route.match.method"),
        ("[[route]]\nname = \"a\"", "networks", "route.match.client.networks"),
        (
            "[[route]]\nname = \"a\"",
            "prefix",
            "route.match.path.prefix, route.match.host.prefix, route.match.header.prefix, \
             route.match.query.prefix or route.match.cookie.prefix",
        ),
        ("[[route]]\nname = \"a\"", "path", "route.match.path"),
        ("[[route]]\nname = \"a\"", "consecutive", "route.guardrail.consecutive"),
    ] {
        let told = told(&format!("{table}\n{name} = \"s3cret\""));
        assert!(told.len() == 1 && told[0].1 == meant, "{told:?}");
    }
}

#[test]
fn a_table_that_is_not_known_is_shown_with_its_line() {
    for (text, meant, line) in [
        ("[miror]\ntoken = \"s3cret\"", "[mirror]", "  1 | [miror]\n    |  ^^^^^"),
        ("[[routes]]\nname = \"s3cret\"", "[[route]]", "  1 | [[routes]]\n    |   ^^^^^^"),
        (
            "[[route]]\nname = \"a\"\n[route.macth]\nhost = \"s3cret\"",
            "[route.match]",
            "  3 | [route.macth]\n    |        ^^^^^",
        ),
        ("[match]\nhost = \"s3cret\"", "[route.match]", "  1 | [match]\n    |  ^^^^^"),
        ("miror = { token = \"s3cret\" }", "mirror", "  1 | miror = …\n    | ^^^^^"),
    ] {
        let all = errors(text);
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all[0].ends_with(&format!("{line}\n  did you mean {meant}?")), "{}", all[0]);
        assert!(!all[0].contains("s3cret"));
    }
}

#[test]
fn what_is_missing_is_not_told_where_its_name_is_misspelt() {
    tells(
        "[[candidate]]\nnam = \"a\"\nurl = \"http://a\"",
        &[("2:1: candidate.nam: is no known name", "name")],
    );
    tells("[[candidate]]\nurl = \"http://a\"", &[("1:1: candidate.name: is missing", "")]);
}

#[test]
fn a_condition_that_is_a_text_is_told_as_a_table() {
    for (said, meant) in [
        ("path = \"/x\"", "path = { exact = \"/x\" } or path = { prefix = \"/x\" }"),
        ("host = \"a\"", "host = { exact = \"a\" }"),
        ("client = \"10.0.0.0/8\"", "client = { networks = [\"10.0.0.0/8\"] }"),
        ("header = \"authorization: s3cret\"", "header = { name = …, present = true }"),
        ("path = \"/me:s3cret@a\"", "path = { exact = … } or path = { prefix = … }"),
    ] {
        let found = told(&format!("[[route]]\nname = \"a\"\n[route.match]\n{said}"));
        assert_eq!(found[0].1, meant);
    }
}

#[test]
fn an_item_that_may_not_be_in_a_list_is_marked() {
    let text = |value: &str| format!("[mirror]\nmethods = {value}\n");
    tells(
        &text("[\"GET\", 2]"),
        &[("2:19: mirror.methods: has an item that is a whole number", "")],
    );
    let range = |range: &str| {
        let head = "[[route]]\nname = \"a\"\nmatch = { query = { name = \"n\", range = ";
        errors(&format!("{head}{range} }} }}\n")).remove(0)
    };
    assert!(
        range("[1, \"a\"]")
            .contains("mirrorlab.toml:3:45: route.match.query.range: has an item that is a text")
    );
    assert!(
        range("[10, 1]").contains(
            "has the greatest first; allowed is two numbers, the least before the greatest"
        )
    );
}

#[test]
fn a_mark_of_the_encoding_counts_for_no_column() {
    tells("\u{feff}shar = 1", &[("1:1: shar: is no known name", "")]);
    tells("\u{feff}[mirror]\nshar = 1", &[("2:1: mirror.shar: is no known name", "share")]);
    tells(
        "\u{feff}= 1",
        &told("= 1")
            .iter()
            .map(|(what, _)| (&what["mirrorlab.toml:".len()..], ""))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn behind_a_secret_the_mark_stands_where_it_should_and_nothing_else_is_shown() {
    let all = errors("admin = { token = \"s3cret\", address = 3 } # old: s3cret");
    let lines: Vec<_> = all[0].lines().skip(1).collect();
    assert_eq!(
        lines,
        ["  1 | admin = { token = …, address = 3…", "    |                                ^"]
    );
    let all = errors("admin = { tokn = \"s3cret\", token = \"s3cret\", address = 3, open = 4 }");
    assert!(all[1].contains("admin = { tokn = …, token = …, address = 3…"), "{all:#?}");
    assert!(all[2].contains("open = 4…"), "{all:#?}");
}

#[test]
fn errors_are_bounded_in_number_and_length() {
    let many: String = (0..40_000).map(|index| format!("a{index} = 1\n")).collect();
    let found = errors(&many);
    assert_eq!((found.len(), found[50].as_str()), (51, "and 39950 more"));
    let wide =
        format!("[mirror]\nshare = \"{}\"\n\"{}\" = 1", "x".repeat(100_000), "y".repeat(100_000));
    assert!(errors(&wide).iter().all(|error| error.len() < 2000));
    let garbage = "=\n".repeat(30_000);
    assert_eq!(errors(&garbage).last().unwrap(), "and 29950 more");
    assert_eq!(errors(&garbage.repeat(2)).len(), 1);
    // Looking for what was meant takes no more time where there is more of it.
    let since = std::time::Instant::now();
    assert_eq!(errors(&"[a]\n".repeat(16_000)).len(), 1);
    assert_eq!(errors(&"[log]\n".repeat(10_000)).len(), 51);
    assert_eq!(errors(&format!("{}=", "[[a]]\n".repeat(100_000))).len(), 2);
    let tables: String = (0..100_000).map(|it| format!("[a{it}]\n")).collect();
    assert_eq!(errors(&format!("{tables}=")).len(), 51);
    assert!(since.elapsed() < std::time::Duration::from_secs(20), "{:?}", since.elapsed());
    let deep = format!("a = {}", "[".repeat(100_000));
    assert_eq!(errors(&deep).len(), 1);
}

const WITH_SECRETS: &str = r#"[admin]
token = "s3cret"
open = 3
[mirror]
sample_secret = "s3cret" # s3cret
share = 7
[guardrail]
webhook = "http://a/s3cret"
mode = 1
[baseline]
url = "http://me:s3cret@a"
http = "x"
[secondary]
share = 3
url = "http://me:s3cret@a"
[[route]]
name = "a"
[route.match]
path = { exact = "/", prefix = "/" }
cookie = [{ name = "sid", exact = "s3cret" }, { name = "b" }]
"#;

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]
    /// Whatever single mistake is made around them.
    #[test]
    fn no_slip_of_a_finger_shows_a_secret(at in 0..WITH_SECRETS.len(), kind in 0..4, with in "[a-z\"'=\\[\\]{}#.,:\n @]") {
        let (before, behind) = WITH_SECRETS.split_at(at);
        let mut rest = behind.chars();
        let first = rest.next().unwrap();
        // Without it nothing tells a password from a port.
        proptest::prop_assume!(first != '@');
        let text = match kind {
            0 => format!("{before}{}", rest.as_str()),
            1 => format!("{before}{with}{behind}"),
            2 => format!("{before}{with}{}", rest.as_str()),
            _ => format!("{before}{first}{behind}"),
        };
        if let Err(found) = read(&text) {
            let shown = found.0.join("\n");
            let lines: Vec<_> = shown.lines().filter(|it| it.contains("s3cret")).collect();
            proptest::prop_assert!(lines.is_empty(), "{lines:?} in {text}");
        }
    }
}

#[test]
fn no_error_is_told_on_a_line_that_is_not_there() {
    let long = format!("{}a = 1", "a.".repeat(5000));
    for (text, line) in [
        (format!("{long}\n"), 1),
        (format!("[mirror]\nshare = 1\n{long}\n\n[log]\nlevel = \"info\"\n"), 3),
        (format!("{long}\n[log\n").repeat(5), 1),
        ("[mirror]\nmark = \"\"\"\nx\n".to_owned(), 3),
        (format!("a = {}\n", "[".repeat(5000)), 1),
        (format!("[log]\n\na = {}\n\n", "{ a = ".repeat(5000)), 3),
    ] {
        let all = errors(&text);
        let lines = text.lines().count();
        for error in &all {
            let at: usize = error.split(':').nth(1).unwrap().parse().unwrap();
            assert!((1..=lines).contains(&at), "{}", &error[..error.len().min(300)]);
        }
        let first = &all[0];
        assert!(
            first.starts_with(&format!("mirrorlab.toml:{line}:")),
            "{}",
            &first[..first.len().min(300)]
        );
        assert!(all.iter().all(|error| error.len() < 1000), "{}", all[0].len());
        let is_name = text.contains(&long);
        assert_eq!(first.contains(": a name has 80 parts or more; allowed is"), is_name);
    }
}
