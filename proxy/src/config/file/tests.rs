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
        "mirrorlab.toml:2:9: mirror.share = 2.5: out of range; allowed is a number from 0.0 to \
         1.0\n  2 | share = 2.5\n    |         ^^^",
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
    ] {
        let all = errors(text).join("\n");
        assert!(
            !all.contains("s3cret") && !all.contains("53cret") && !all.contains("me:"),
            "{all}"
        );
        assert!(all.contains("allowed is"), "{all}");
    }
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
    let deep = format!("a = {}", "[".repeat(100_000));
    assert_eq!(errors(&deep).len(), 1);
}
