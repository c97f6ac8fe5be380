use jsonschema::Validator;
use proptest::prelude::{prop_assert, proptest};
use serde_json::Value;

use super::{TIME, TOO_LONG, schema};
use crate::config::settings::{self, Kind, Setting};
use crate::config::{Config, values};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../mirrorlab.example.toml");

fn validator() -> Validator {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

fn as_json(text: &str) -> Value {
    toml::from_str(text).unwrap()
}

fn parses(text: &str) -> bool {
    Config::from_text("m.toml", text, &|_| None).is_ok()
}

#[test]
fn the_example_is_good_by_the_schema_and_by_the_parser() {
    let text = std::fs::read_to_string(EXAMPLE).unwrap();
    if let Err(errors) = Config::from_text("mirrorlab.example.toml", &text, &|_| None) {
        panic!("{errors}");
    }
    let errors: Vec<_> =
        validator().iter_errors(&as_json(&text)).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
}

/// Every line of the example that is commented out is a setting too: with all of them it is good.
#[test]
fn the_example_shows_every_setting_with_its_default() {
    let text = std::fs::read_to_string(EXAMPLE).unwrap();
    for setting in crate::config::settings::all().filter(|it| it.env.is_some()) {
        let Some((table, name)) = setting.place.split_once('.') else { continue };
        let header = |line: &&str| {
            line.starts_with(&format!("[{table}]")) || line.starts_with(&format!("[[{table}]]"))
        };
        let mut lines = text.lines().skip_while(|line| !header(line)).skip(1);
        let own = lines.by_ref().take_while(|line| !line.starts_with('['));
        let start = format!("{name} = ");
        let found =
            own.map(|line| line.trim_start_matches('#')).find(|line| line.starts_with(&start));
        let line = found.unwrap_or_else(|| panic!("{} is not in the example", setting.place));
        if let (Some(default), false) = (setting.default, table == "candidate") {
            let value = as_json(line)[name].clone();
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            assert_eq!(text, default, "{}", setting.place);
        }
    }
    for setting in crate::config::settings::all().filter(|it| it.env.is_none()) {
        assert!(text.contains(setting.name()), "{} is not in the example", setting.place);
    }
    // What is commented out would be good too.
    let is_setting =
        |rest: &&str| rest.starts_with(|c: char| c.is_ascii_lowercase()) || rest.starts_with("[[");
    let with = |line: &str| {
        let line = line.strip_prefix('#').filter(is_setting).unwrap_or(line);
        format!("{line}\n")
    };
    let all: String = text.lines().map(with).collect();
    let errors: Vec<_> = validator().iter_errors(&as_json(&all)).map(|it| it.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
}

#[test]
#[expect(clippy::too_many_lines, reason = "a list of files")]
fn what_the_parser_refuses_the_schema_refuses() {
    let validator = validator();
    let candidates: String =
        (0..9).map(|it| format!("[[candidate]]\nname = \"v{it}\"\nurl = \"http://a\"\n")).collect();
    for text in [
        &*candidates,
        "[[candidate]]\nname = \"v2\"",
        "[mirror]\ntimeout = \"48h\"",
        "[mirror]\ntimeout = \"2 days\"",
        "[mirror]\ntimeout = \"5 sceonds\"",
        "[mirror]\ntimeout = \"soon\"",
        "[[route]]\nshare = 1",
        "[[route]]\nname = \"a\"\nmatch = { path = { exact = \"/\", prefix = \"/\" } }",
        "[[route]]\nname = \"a\"\nmatch = { path = { not = true } }",
        "[[route]]\nname = \"a\"\nmatch = { header = { name = \"a\" } }",
        "mirorr = 3",
        "[mirror]\nshar = 0.5",
        "[mirror]\nshare = \"0.5\"",
        "[mirror]\nshare = 1.5",
        "[mirror]\ntimeout = 0",
        "[mirror]\nbody = \"yes\"",
        "[limits]\nconnections = 0",
        "[guardrail]\nmode = \"off\"",
        "[guardrail]\nmismatch_rate = 1",
        "[baseline]\nhttp = 3",
        "[candidate]\nname = \"v2\"",
        "[[candidate]]\nurl = \"http://a\"",
        "[[route]]\nname = \"a\"\nshare = -1",
        "[[route]]\nname = \"a\"\nmatch = { path = \"/a\" }",
        "[[route]]\nname = \"a\"\nmatch = { header = { exact = \"a\" } }",
        "[compare]\nnumbers = [{ absolute = 1.0 }]",
        "[compare]\nroute = \"GET /\"",
        "[admin]\ntoken = \"\"",
        "[[transform]]\nname = \"a\"",
        "[[transform]]\nmethod = \"PUT\"",
        "[[transform]]\nname = \"a\"\nmethod = \"PUT\"\nhost = \"a\"",
        "[[transform]]\nname = \"a\"\npath = { regex = \"a\" }",
        "[[transform]]\nname = \"a\"\nheader = { name = \"a\" }",
        "[[transform]]\nname = \"a\"\nheader = { set = \"a\" }",
        "[[transform]]\nname = \"a\"\ncookie = { name = \"a\", set = \"a\", remove = true }",
        "[[transform]]\nname = \"a\"\nquery = { name = \"a\", remove = false }",
        "[[transform]]\nname = \"a\"\nquery = { prefix = \"a\", add = \"b\" }",
        "[[transform]]\nname = \"a\"\njson = { path = \"$.a\" }",
        "[[secret]]\nname = \"a\"",
        "[[secret]]\nname = \"a\"\nenv = \"A\"\nfile = \"a\"",
    ] {
        are_of_one_mind(&validator, text, false);
    }
    for text in [
        "",
        "[mirror]\nshare = 1\nmark = \"\"\nmethods = \"GET,PUT\"",
        "[baseline]\nhttp = 2",
        "[mirror]\ntimeout = \"1h 30min\"",
        "[compare]\ntimes = [{ path = \"$\", within = 0 }]",
        "[guardrail]\nmismatch_rate = \"off\"\ncooldown = 10\nramp = \"2m\"",
        "[[route]]\nname = \"a\"\nmatch = { method = \"GET\", header = [{ name = \"a\", range = [1, 2.5] }] }",
        "[[transform]]\nname = \"a\"\nheader = { prefix = \"x-\", rename = \"y-\" }\notherwise = \"as_is\"",
        "[[transform]]\nname = \"a\"\npath = { regex = \"^/a\", to = \"/b\" }\ncandidates = []",
        "[[transform]]\nname = \"a\"\njson = { path = \"$.a\", remove = true }",
        "[[route]]\nroute = \"GET /\"\nmatch = { method = { any_of = [\"GET\"], not = true } }\nnumbers = [{ path = \"$\", absolute = 1 }]",
    ] {
        are_of_one_mind(&validator, text, true);
    }
}

#[track_caller]
fn are_of_one_mind(validator: &Validator, text: &str, is_good: bool) {
    assert_eq!(parses(text), is_good, "by the parser: {text}");
    assert_eq!(validator.is_valid(&as_json(text)), is_good, "by the schema: {text}");
}

#[test]
fn what_is_empty_nothing_or_too_much_is_the_same_by_the_schema_and_by_the_parser() {
    let validator = validator();
    for text in [
        "[admin]\nhosts = []",
        "[listen]\nproxy_protocol_from = []",
        "[mirror]\nmethods = []",
        "[mirror]\nmethods = [\"\"]",
        "[labels]\ntemplates = []",
        "[compare]\nignore = [\"\"]",
        "[[route]]\nname = \"a\"\nmatch = { method = [] }",
        "[[route]]\nname = \"a\"\nmatch = { method = { any_of = [] } }",
        "[[route]]\nname = \"a\"\nmatch = { client = { networks = [] } }",
        "[[route]]\nname = \"a\"\nmatch = { header = { name = \"a\", prefix = \"\" } }",
        "[[route]]\nname = \"a\"\nmatch = { host = { exact = \"\" } }",
        "[mirror]\ntimeout = \"0\"",
        "[mirror]\ntimeout = \"0ms\"",
        "[guardrail]\nramp = \"0 s\"",
        "[guardrail]\nmismatch_rate = \"0.5\"",
        "[guardrail]\nmismatch_rate = \"of\"",
        "[[candidate]]\nname = \"v2\"\nurl = \"http://a\"\nguardrail.mismatch_rate = \"0.5\"",
        "[[route]]\nname = \"a\"\nguardrail.mismatch_rate = \"0.5\"",
        "[mirror]\nshare = 1e-7",
        "[[candidate]]\nname = \"v2\"\nurl = \"http://a\"\nshare = 1e-7",
        "[[route]]\nname = \"a\"\nshare = 1e-7",
        "[mirror]\nqueue_size = 2305843009213693952",
        "[guardrail]\nconsecutive = 4294967296",
        "[compare]\nnumbers = [{ path = \"$\", absolute = 0 }]",
        "[compare]\nnumbers = [{ path = \"$\" }]",
        "[compare]\narrays = [{ path = \"$\" }]",
        "[compare]\narrays = [{ path = \"$\", unordered = true, key = \"a\" }]",
    ] {
        are_of_one_mind(&validator, text, false);
    }
    for text in [
        "[mirror]\nshare = 0.000001",
        "[mirror]\nqueue_size = 2305843009213693951",
        "[[route]]\nname = \"a\"\ncandidates = []\nmark = \"\"\nshare = 0",
        "[[route]]\nname = \"a\"\nmatch = { header = { name = \"a\", exact = \"\" } }",
        "[[route]]\nname = \"a\"\nmatch = { query = [{ name = \"a\", exact = \"\" }], cookie = { name = \"a\", exact = \"\" } }",
        "[compare]\nnumbers = [{ path = \"$\", absolute = 0, relative = 0.1 }, { path = \"$\", absolute = 1 }]",
        "[compare]\narrays = [{ path = \"$\", unordered = false, key = \"a\" }, { path = \"$\", unordered = true }]",
        "[compare]\nignore = []",
    ] {
        are_of_one_mind(&validator, text, true);
    }
}

proptest! {
    /// The schema refuses no time that the parser takes.
    #[test]
    fn every_time_is_one_by_the_schema(
        text in "( |\\+)?([0-9]{1,5}|0|24|1)( |\\.[0-9])?(ms|msec|us|s|sec|seconds|m|min|h|hr|hours|d|day|w|)( ?[0-9]{1,3}(s|ns|min))?",
    ) {
        let fits = |pattern: &str| regex::Regex::new(pattern).unwrap().is_match(&text);
        if values::duration(&text).is_ok() {
            prop_assert!(fits(TIME) && !fits(TOO_LONG), "{text}");
        }
    }
}

/// A file that says this of a setting, with what must stand beside it.
fn saying(setting: &Setting, value: &str) -> String {
    let Setting { place, .. } = setting;
    let beside = |what: &str| {
        let name = if *place == format!("{what}.name") { "" } else { "name = \"v2\"\n" };
        let url = *place != "candidate.url" && what == "candidate";
        format!("[[{what}]]\n{name}{}", if url { "url = \"http://a\"\n" } else { "" })
    };
    match place.split_once('.') {
        Some((what @ ("candidate" | "route"), rest)) => {
            let named = rest.rsplit_once('.').filter(|(table, _)| {
                ["match.header", "match.query", "match.cookie"].contains(table)
            });
            let inner = match named {
                Some((table, "name")) => format!("{table} = {{ name = {value}, exact = \"a\" }}"),
                Some((table, "not")) => {
                    format!("{table} = {{ name = \"a\", exact = \"a\", not = {value} }}")
                }
                Some((table, of)) => format!("{table} = {{ name = \"a\", {of} = {value} }}"),
                None => format!("{rest} = {value}"),
            };
            format!("{}{inner}\n", beside(what))
        }
        Some((table, rest)) => format!("[{table}]\n{rest} = {value}\n"),
        None => String::new(),
    }
}

/// What numbers, times, switches and words may be a schema can say, and of lists and texts whether they may
/// be empty.
#[test]
fn schema_and_parser_agree_on_each_setting() {
    const VALUES: [&str; 24] = [
        "\"\"",
        "[]",
        "[\"\"]",
        "[1]",
        "\"0\"",
        "\"1\"",
        "\"0s\"",
        "\"10ms\"",
        "\"25h\"",
        "\"off\"",
        "\"0.5\"",
        "\"on\"",
        "true",
        "\"true\"",
        "0",
        "1",
        "2",
        "-1",
        "0.5",
        "1e-7",
        "4294967296",
        "9223372036854775807",
        "[1, 2]",
        "[2, \"a\"]",
    ];
    let validator = validator();
    for setting in settings::all().filter(|it| !it.place.is_empty()) {
        // In lists of tables, or with others beside them, they are looked at above.
        let is_alone =
            !setting.place.starts_with("compare.") || setting.place.matches('.').count() == 1;
        let beside = ["match.path.not", "match.host.not", "match.method.not", "match.client.not"];
        if !is_alone || beside.iter().any(|it| setting.place.ends_with(it)) {
            continue;
        }
        for value in VALUES {
            let text = saying(setting, value);
            let (parses, is_valid) = (parses(&text), validator.is_valid(&as_json(&text)));
            let is_open = matches!(
                setting.kind,
                Kind::Text | Kind::Url | Kind::Path | Kind::List | Kind::Texts
            ) && !["\"\"", "[]", "[\"\"]", "[1]", "true", "0"].contains(&value);
            assert!(parses <= is_valid, "only the parser takes {text}");
            assert!(is_valid <= parses || is_open, "only the schema takes {text}");
        }
    }
}
