mod suggested;

use super::*;
use crate::config::Config;

fn good(text: &str) -> RuleBook {
    let config = Config::from_text("rules.toml", text, &|_| None);
    config.unwrap_or_else(|errors| panic!("{errors}")).mirror.rules
}

fn errors(text: &str) -> Vec<String> {
    Config::from_text("rules.toml", text, &|_| None).map_or_else(|errors| errors.0, |_| Vec::new())
}

#[test]
fn every_kind_of_rule_can_be_written_for_all_routes_and_for_one() {
    let keys = r#"
            ignore = ["nonce", "$.items[*].updatedAt"]
            ignore_headers = ["Cache-Control"]
            mask = ["iban"]
            mask_headers = ["x-user"]
            mask_as = "hash"
            headers = ["ETag"]
            null_equals_absent = true
            arrays = [{ path = "$.tags", unordered = true }, { path = "$.items", key = "id" }]
            numbers = [{ path = "$..price", absolute = 0.01, relative = 1e-3 }]
            times = [{ path = "$.at", within = "2s" }]
            classes = [{ path = "$.id", class = "uuid" }]
            json_strings = ["$.payload"]
        "#;
    let book = good(&format!("[compare]\n{keys}\n[[route]]\nroute = \"GET /a/{{id}}\"\n{keys}"));
    assert!(book.builtin && !book.default_headers);
    assert_eq!(book.routes[0].0, "GET /a/{id}");
    let path = |text| Path::parse(text).unwrap();
    for set in [&book.all, &book.routes[0].1] {
        assert_eq!(set.headers, [http::header::ETAG]);
        assert!(set.null_equals_absent);
        let whats: Vec<_> = set.rules.iter().map(|rule| rule.what.clone()).collect();
        let expected = [
            What::Ignore(Select::Key("nonce".to_owned())),
            What::Ignore(Select::Path(path("$.items[*].updatedAt"))),
            What::IgnoreHeader(http::header::CACHE_CONTROL),
            What::Mask(Select::Key("iban".to_owned()), MaskAs::Hash),
            What::MaskHeader(HeaderName::from_static("x-user"), MaskAs::Hash),
            What::Array(path("$.tags"), Pairing::Unordered),
            What::Array(path("$.items"), Pairing::ByKey("id".to_owned())),
            What::Number(path("$..price"), Tolerance { absolute: 0.01, relative: 1e-3 }),
            What::Time(path("$.at"), std::time::Duration::from_secs(2)),
            What::Class(path("$.id"), Class::Uuid),
            What::JsonString(path("$.payload")),
        ];
        assert_eq!(whats, expected);
    }
    let rule = &book.all.rules[1];
    assert_eq!(
        (rule.text.as_str(), rule.place.as_str()),
        ("ignore \"$.items[*].updatedAt\"", "line 3")
    );
    assert_eq!(good(""), RuleBook::default());
    assert!(!good("[compare]\nbuiltin = false").builtin);
}

#[test]
fn all_that_is_wrong_is_told_with_line_field_value_and_what_is_allowed() {
    let text = r#"[compare]
ignore = ["", "$.a["]
mask = ["$x"]
mask_as = "md5"
headers = ["no header"]
arrays = [{ path = "$.a" }, { path = "$.b", unordered = true, key = "id" }]
numbers = [{ path = "$.n" }, { path = "$.n", absolute = -1.0 }, { path = "n", relative = 1.0 }]
times = [{ path = "$.t", within = "soon" }]
classes = [{ path = "$.c", class = "email" }]
json_strings = ["payload"]
route = "GET /"
[[route]]
route = "/a"
[[route]]
ignore = ["x"]
[[route]]
route = "GET /a"
builtin = false
[[route]]
route = "GET /a"
"#;
    let errors = errors(text);
    for (line, field) in [
        (2, "compare.ignore = \"\""),
        (2, "compare.ignore = \"$.a[\""),
        (3, "compare.mask = \"$x\""),
        (4, "compare.mask_as = \"md5\""),
        (5, "compare.headers = \"no header\""),
        (6, "compare.arrays = \"$.a\""),
        (6, "compare.arrays = \"$.b\""),
        (7, "compare.numbers = \"$.n\""),
        (7, "compare.numbers.absolute = -1.0"),
        (7, "compare.numbers.path = \"n\""),
        (7, "compare.numbers.relative = 1.0"),
        (8, "compare.times.within = \"soon\""),
        (9, "compare.classes.class = \"email\""),
        (10, "compare.json_strings = \"payload\""),
        (11, "compare.route: is no known name"),
        (13, "route.route = \"/a\""),
        (14, "route.route: is missing"),
        (18, "route.builtin: is no known name"),
        (20, "route.route = \"GET /a\""),
    ] {
        let start = format!("rules.toml:{line}:");
        let here =
            |error: &&String| error.starts_with(&start) && error.contains(&format!(": {field}"));
        let found = errors.iter().find(here);
        let found = found.unwrap_or_else(|| panic!("no {start} {field} in {errors:#?}"));
        assert!(found.contains("; allowed is "), "{found}");
    }
    assert_eq!(errors.len(), 19, "{errors:#?}");
}

#[test]
fn what_is_no_such_file_is_told_with_its_line() {
    for (text, line, why) in [
        ("[compare]\nignroe = []", 2, "compare.ignroe: is no known name"),
        ("[compare]\nignore = 3", 2, "compare.ignore: is a whole number"),
        ("\n[other]", 2, "other: is no known name"),
        ("[compare", 1, ""),
        ("[compare]\nnumbers = [{ absolute = 1.0 }]", 2, "compare.numbers.path: is missing"),
    ] {
        let errors = errors(text);
        assert_eq!(errors.len(), 1, "{errors:?}");
        let start = format!("rules.toml:{line}:");
        assert!(errors[0].starts_with(&start) && errors[0].contains(why), "{errors:?}");
        assert!(errors[0].contains("; allowed is "), "{errors:?}");
    }
}

#[test]
fn rules_that_leave_nothing_to_compare_are_refused() {
    for list in ["ignore", "mask"] {
        for path in ["$", "$.*", "$[*]", "$..*"] {
            let errors = errors(&format!("[compare]\n{list} = [\"{path}\"]"));
            assert_eq!(errors.len(), 1, "{path}: {errors:?}");
            let start = format!("rules.toml:2:{}: compare.{list} = \"{path}\": ", list.len() + 5);
            assert!(errors[0].starts_with(&start), "{errors:?}");
            assert!(errors[0].contains("leaves nothing to compare"), "{errors:?}");
        }
    }
    good("[compare]\nmask = [\"$\"]\nmask_as = \"hash\"");
    let errors = errors("[compare]\nignore = [\" $.a\"]");
    assert!(errors[0].contains("space before $"), "{errors:?}");
}

#[test]
fn rules_have_a_bound_for_each_route() {
    let many = |count: usize| vec!["\"a\""; count].join(",");
    let one = vec![r#"{ path = "$.c", class = "uuid" }"#; 65].join(",");
    assert_eq!(errors(&format!("[compare]\nignore = [{}]", many(256))), Vec::<String>::new());
    for text in [
        format!("[compare]\nignore = [{}]", many(257)),
        format!(
            "[compare]\nignore = [{}]\n[[route]]\nroute = \"other\"\nmask = [\"x\"]",
            many(256)
        ),
        format!("[compare]\nclasses = [{one}]"),
    ] {
        let errors = errors(&text);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].contains("allowed is 256 and 64"), "{errors:?}");
    }
}

#[test]
fn the_example_of_the_manual_is_a_file_of_rules() {
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/comparison.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    let (_, example) = manual.split_once("```toml\n").unwrap();
    let book = good(example.split_once("```").unwrap().0);
    assert_eq!((book.all.rules.len(), book.routes[0].1.rules.len()), (6, 3));
}

#[test]
fn that_a_tolerance_of_0_alone_is_none_is_said_where_it_is_documented() {
    for name in ["absolute", "relative"] {
        let setting = crate::config::settings::of(&format!("compare.numbers.{name}"));
        assert!(
            setting.allowed.ends_with("; one of absolute and relative is above 0"),
            "{setting:?}"
        );
    }
    let numbers = |said: &str| format!("[compare]\nnumbers = [{{ path = \"$.a\", {said} }}]\n");
    for said in ["absolute = 0", "relative = 0", "absolute = 0, relative = 0"] {
        let read = crate::config::Config::from_text("m.toml", &numbers(said), &|_| None);
        let message = read.expect_err(said).to_string();
        assert!(message.contains("has no tolerance; allowed is"), "{message}");
    }
}
