use super::*;

fn parse(arguments: &[&str]) -> Result<Arguments, String> {
    Arguments::parse(arguments.iter().map(|text| (*text).to_owned()))
}

#[test]
fn a_file_may_be_named_in_front_of_everything() {
    for arguments in [&["--config", "a.toml"][..], &["--config=a.toml", "--healthcheck"]] {
        assert_eq!(parse(arguments).unwrap().file, Some(PathBuf::from("a.toml")));
    }
    let report = ["--config", "a", "report", "--url", "http://x"];
    let Arguments { file, command } = parse(&report).unwrap();
    assert_eq!(file, Some(PathBuf::from("a")));
    assert!(matches!(command, Command::Report(_)));
    for (arguments, why) in [
        (&["--config"][..], "--config has no value"),
        (&["--config=a", "--config=b"], "--config is there twice"),
        (&["--conf=a"], "unknown argument \"--conf\"; did you mean --config?"),
        (&["--chek"], "unknown argument \"--chek\"; did you mean check?"),
        (&["--Version"], "unknown argument \"--Version\"; did you mean --version?"),
        (&["-x"], "unknown argument \"-x\""),
        (&["a.toml"], "unknown argument \"a.toml\"; did you mean --config a.toml or check a.toml?"),
        (&["check", "a", "b"], "\"b\" is a second settings file; allowed is one"),
        (&["--config", "a", "check", "b"], "\"b\" is a second settings file; allowed is one"),
        (&["--config", "a", "check", "--config", "b"], "--config is there twice"),
        (&["--healthcheck=s3cret"], "--healthcheck takes no value"),
        (&["--healthcheck", "--print-schema"], "--healthcheck and --print-schema: allowed is one"),
        (&["report", "--jsn"], "unknown argument \"--jsn\"; did you mean --json?"),
        (&["check", "-x"], "unknown argument \"-x\""),
        (&["check", "--explian=GET /"], "unknown argument \"--explian\"; did you mean --explain?"),
    ] {
        assert_eq!(parse(arguments).unwrap_err(), why);
    }
}

#[test]
fn a_request_to_explain_has_a_method_a_target_headers_and_a_client() {
    let arguments =
        ["check", "a.toml", "--explain", "GET /x?a=b", "-H", "Cookie: sid=7", "--client", "::1"];
    let Arguments { file, command } = parse(&arguments).unwrap();
    assert_eq!(file, Some(PathBuf::from("a.toml")));
    let Command::Check(Some(explained)) = command else { panic!("{command:?}") };
    assert_eq!((explained.method, explained.uri.query()), (Method::GET, Some("a=b")));
    assert_eq!(explained.headers["cookie"], "sid=7");
    let Command::Check(Some(sent)) = parse(&["check", "--explain", "GET /a#b"]).unwrap().command
    else {
        panic!("is a request to explain")
    };
    assert_eq!(target::shown(&sent.uri.to_string()), "/a%23b", "as it comes from the network");
    assert_eq!(explained.client.to_string(), "::1");
    assert!(matches!(parse(&["check"]).unwrap().command, Command::Check(None)));
    for (arguments, why) in [
        (
            &["check", "--explain", "/x"][..],
            "allowed is a request such as 'GET /path?query'; did you mean 'GET /x'?",
        ),
        (&["check", "--explain", "GET x"], "allowed is a request such as"),
        (&["check", "--explain", "GET /a b"], "allowed is a request such as"),
        (&["check", "--explain", "GET /", "--client", "me"], "--client=\"me\" is no address"),
        (&["check", "-H", "a: b"], "are for a request of --explain"),
    ] {
        assert!(parse(arguments).unwrap_err().contains(why), "{arguments:?}");
    }
    let secret = parse(&["check", "--explain", "GET /", "-H", "a b: s3cret"]).unwrap_err();
    assert!(secret.contains("allowed is a header") && !secret.contains("s3cret"), "{secret}");
}

#[test]
fn an_absolute_target_is_read_as_the_listener_reads_it() {
    for (target, read) in [
        ("http://h/a#b", "http://h/a%23b"),
        ("http://h/a?b#c", "http://h/a?b%23c"),
        ("http://h?a\"b", "http://h/?a%22b"),
        ("http://h#b", "http://h/"),
    ] {
        let command = parse(&["check", "--explain", &format!("GET {target}")]).unwrap().command;
        let Command::Check(Some(explained)) = command else { panic!("is a request to explain") };
        assert_eq!(target::shown(&explained.uri.to_string()), read, "{target}");
    }
    let host = parse(&["check", "--explain", "GET http://a\"b/"]).unwrap_err();
    assert!(host.contains("allowed is a request such as"), "{host}");
}

#[test]
fn the_reason_stands_where_it_is_seen() {
    let told = refused(&parse(&["--chek"]).unwrap_err());
    assert_eq!(told.lines().count(), 2, "{told}");
    assert!(told.ends_with("--help tells how it is used"), "{told}");
}

#[test]
fn the_definitions_are_consistent_and_help_tells_of_each() {
    definitions().debug_assert();
    let help = |arguments: &[&str]| match parse(arguments).unwrap().command {
        Command::Say(text) => text,
        other => panic!("{other:?}"),
    };
    for (arguments, told) in [
        (&["--help"][..], &["--config", "--print-schema", "report", "check", "try"][..]),
        (&["check", "--help"], &["--explain", "--header", "--client"]),
        (&["try", "--help"], &["--route", "--candidate"]),
        (&["report", "--help"], &["--min-pairs", "--token-file", "Exit codes"]),
    ] {
        let text = help(arguments);
        assert!(told.iter().all(|word| text.contains(word)), "{text}");
    }
    assert_eq!(help(&["--version"]), format!("mirrorlab-proxy {}\n", version::VERSION));
}
