use std::ffi::OsString;

use crate::config::{Config, Errors};

const BEFORE: &str = "[[candidate]]\nname = \"v2\"\nurl = \"http://v2:1\"\n\
    [[route]]\nname = \"payment\"\nmatch.path.prefix = \"/pay\"\n\
    [[route]]\nroute = \"GET /api\"\n";

fn read(text: &str) -> Result<Config, Errors> {
    let text = format!("{BEFORE}{text}");
    Config::from_text("m.toml", &text, &|name| {
        (name == "V2_TOKEN").then(|| OsString::from("t0p-s3cret"))
    })
}

fn refused(text: &str) -> String {
    match read(text) {
        Ok(_) => panic!("is taken: {text}"),
        Err(errors) => errors.to_string(),
    }
}

fn one(action: &str) -> String {
    format!(
        "[[secret]]\nname = \"t\"\nenv = \"V2_TOKEN\"\n[[transform]]\nname = \"it\"\n{action}\n"
    )
}

#[test]
fn transforms_keep_their_order_and_say_for_whom_they_are() {
    let text = "[[transform]]\nname = \"a\"\npath_prefix = { from = \"/api\", to = \"/v2\" }\n\
        [[transform]]\nname = \"b\"\ncandidates = [\"v2\"]\nroutes = [\"payment\", \"GET /api\"]\n\
        header = { name = \"Authorization\", set = \"Bearer x\" }\notherwise = \"as_is\"\n";
    let config = read(text).unwrap();
    let transforms = &config.preparations.transforms;
    let names: Vec<_> = transforms.iter().map(|it| &*it.what.name).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(transforms[0].scope.takes("v9", "anything"));
    assert!(transforms[1].scope.takes("v2", "GET /api"));
    assert!(!transforms[1].scope.takes("v2", ""));
    assert_eq!(&*transforms[1].place, "m.toml:12");
    assert_eq!(config.preparations.of("v2", "").unwrap().transforms.len(), 1);
}

#[test]
fn every_action_is_read() {
    for action in [
        "path_prefix = { from = \"/\", to = \"/v2\" }",
        "path = { regex = '^/o/(?<id>\\d+)', to = '/orders/${id}$$' }",
        "host = \"{candidate}.example\"",
        "method = \"PUT\"",
        "mark = \"X-Test: 1\"",
        "query = { name = \"v\", set = \"2\" }",
        "query = { prefix = \"utm_\", remove = true }",
        "header = { name = \"x-a\", add = \"{header.x-b}\" }",
        "header = { prefix = \"x-old-\", rename = \"x-new-\" }",
        "cookie = { name = \"sid\", rename = \"session\" }",
        "form = { name = \"a\", set = \"\" }",
        "json = { path = \"$.a\", set = \"{secret.t}\" }",
        "json = { path = \"$..a\", set_json = '{\"b\":[1]}' }",
        "json = { path = \"$.a\", remove = true }",
        "json = { path = \"$.a\", rename = \"b\" }",
        "json = { path = \"$.a\", redact = \"mask\" }",
        "body = { text = \"{{}}\", type = \"application/json\" }",
    ] {
        if let Err(errors) = read(&one(action)) {
            panic!("{action}: {errors}");
        }
    }
}

#[test]
fn what_cannot_be_meant_is_told_with_its_line_and_what_is_allowed() {
    for (action, told) in [
        ("", "transform: does nothing; allowed is one of path_prefix, path, host"),
        ("method = \"PUT\"\nhost = \"a\"", "transform: does host and method; allowed is one of"),
        ("path = { regex = \"(\", to = \"/\" }", "is no regular expression (unclosed group)"),
        (
            "path = { regex = \"a\", to = \"/$1\" }",
            "has the group \"1\", which the expression has not",
        ),
        ("path = { regex = \"a\" }", "transform.path.to"),
        (
            "path_prefix = { from = \"api\", to = \"/\" }",
            "transform.path_prefix.from = \"api\": is no path",
        ),
        ("path_prefix = { from = \"/a?b\", to = \"/\" }", "is no path"),
        ("host = \"{user}\"", "has the variable {user}, which is unknown"),
        ("host = \"{secret.other}\"", "has the secret \"other\", which no [[secret]] has"),
        ("method = \"P T\"", "is no such method"),
        ("method = \"CONNECT\"", "is no such method"),
        ("query = { set = \"1\" }", "transform.query: has none; allowed is one of name, prefix"),
        (
            "query = { name = \"a\", set = \"1\", remove = true }",
            "has several; allowed is one of set, add",
        ),
        ("query = { name = \"a\", remove = false }", "changes nothing; allowed is true"),
        ("query = { prefix = \"a\", add = \"1\" }", "is for many names; allowed is name"),
        ("header = { name = \"a b\", set = \"\" }", "is no header name"),
        ("header = { name = \"Host\", set = \"\" }", "has a transform of its own, host"),
        ("header = { name = \"content-length\", remove = true }", "belongs to the connection"),
        ("header = { name = \"a\", rename = \"connection\" }", "belongs to the connection"),
        ("cookie = { name = \"a=b\", remove = true }", "is no name of a cookie"),
        ("json = { path = \"a\", remove = true }", "does not start with $"),
        ("json = { path = \"$.a\" }", "transform.json: has none; allowed is one of set, set_json"),
        ("json = { path = \"$.a\", set_json = \"{\" }", "is no JSON"),
        ("json = { path = \"$.a\", drop = true }", "drop"),
        ("json = { path = \"$.a\", redact = \"hash\" }", "has no key, redact.key_file is not set"),
        ("body = { text = \"x\", type = \"json\" }", "is no content type"),
        (
            "method = \"PUT\"\ncandidates = [\"v3\"]",
            "transform.candidates = \"v3\": is no candidate; allowed is v2",
        ),
        ("method = \"PUT\"\nroutes = [\"paymnt\"]", "did you mean payment?"),
        ("method = \"PUT\"\notherwise = \"send\"", "unsent or as_is"),
    ] {
        let message = refused(&one(action));
        assert!(message.contains(told), "{action}: {message}");
        assert!(message.contains("m.toml:"), "{message}");
        let faults = if told == "drop" { 2 } else { 1 };
        assert_eq!(message.matches("m.toml:").count(), faults, "{message}");
    }
    let twice =
        format!("{}[[transform]]\nname = \"it\"\nmethod = \"GET\"\n", one("method = \"PUT\""));
    assert!(refused(&twice).contains("transform.name = \"it\": is there already"));
}

#[test]
fn secrets_come_from_a_file_or_a_variable_and_are_never_shown() {
    let path = std::env::temp_dir().join(format!("mirrorlab-secret-{}", std::process::id()));
    std::fs::write(&path, "f1le-s3cret\r\n").unwrap();
    let of_file = |text: &str| {
        format!("[[secret]]\nname = \"f\"\nfile = {:?}\n{text}", path.display().to_string())
    };
    let text = of_file(&one("header = { name = \"a\", set = \"{secret.f}{secret.t}\" }"));
    let config = read(&text).unwrap();
    std::fs::remove_file(&path).unwrap();
    let shown = format!(
        "{:?} {}",
        config.preparations,
        config
            .settings
            .iter()
            .map(|it| format!("{} = {}; ", it.place, it.value))
            .collect::<String>()
    );
    assert!(!shown.contains("s3cret"), "{shown}");
    assert!(shown.contains("secret.f"), "{shown}");
    for (secret, told) in [
        ("name = \"x\"\nenv = \"NOT_THERE\"", "secret.env = \"NOT_THERE\": is not set"),
        ("name = \"x\"\nfile = \"/not/there\"", "secret.file = \"/not/there\""),
        ("name = \"x\"", "secret: has none; allowed is one of file and env"),
        ("name = \"x\"\nenv = \"V2_TOKEN\"\nfile = \"/a\"", "secret: has several"),
        ("name = \"a b\"\nenv = \"V2_TOKEN\"", "is no such name"),
        ("name = \"x\"\nvalue = \"in-the-file\"", "value"),
    ] {
        let message = refused(&format!("[[secret]]\n{secret}\n"));
        assert!(message.contains(told), "{secret}: {message}");
        assert!(!message.contains("t0p-s3cret") && !message.contains("in-the-file"), "{message}");
    }
}
