use std::time::Duration;

use crate::config::{Config, Errors};
use crate::policy::share::SampleBy;
use transform::identity::Limits;

const BEFORE: &str = "[[candidate]]\nname = \"v2\"\nurl = \"http://v2:1\"\n\
    [[route]]\nname = \"orders\"\nmatch.path.prefix = \"/orders\"\n";

fn read(text: &str) -> Result<Config, Errors> {
    Config::from_text("m.toml", &format!("{BEFORE}[[identity]]\n{text}"), &|_| None)
}

fn refused(text: &str, parts: &[&str]) {
    let errors = match read(text) {
        Ok(_) => panic!("is taken: {text}"),
        Err(errors) => errors.to_string(),
    };
    for part in parts {
        assert!(errors.contains(part), "{text}: {part} is not in {errors}");
    }
}

#[test]
fn an_identity_says_where_its_values_are_whose_and_for_how_long() {
    let text = "name = \"order\"\ncandidates = [\"v2\"]\nroutes = [\"orders\"]\nscope = \"cookie:sid\"\n\
        learn = [\"json:$.id\", \"location:/orders/([0-9]+)\"]\nequal = [\"json:$..orderId\"]\n\
        replace = [\"path:/orders/{id}\", \"form:order\"]\nwait = \"250ms\"\nmax_entries = 500\nttl = 60\n";
    let config = read(text).unwrap();
    let [identity] = &config.preparations.identities[..] else { panic!("one") };
    assert!(identity.scope.takes("v2", "orders") && !identity.scope.takes("v2", ""));
    let policy = &identity.what;
    assert_eq!(policy.scope, Some(SampleBy::Cookie("sid".into())));
    assert_eq!(policy.wait, Duration::from_millis(250));
    assert_eq!(policy.limits, Limits { entries: 500, ttl: Duration::from_secs(60) });
    let of = &policy.identity;
    assert_eq!((of.learn.len(), of.equal.len(), of.replace.len()), (2, 1, 2));
    let names: Vec<_> = config.preparations.of("v2", "orders").unwrap().identities.headers;
    assert_eq!(names, [http::header::LOCATION]);
    assert!(config.preparations.of("v2", "").is_none());
}

#[test]
fn what_is_not_said_has_its_default() {
    let config = read("name = \"order\"\nlearn = [\"json:$.id\"]\n").unwrap();
    let policy = &config.preparations.identities[0].what;
    assert_eq!((&policy.scope, policy.wait), (&None, Duration::from_secs(1)));
    assert_eq!(policy.limits, Limits { entries: 10_000, ttl: Duration::from_secs(86_400) });
    assert!(config.preparations.of("v2", "").is_some());
}

#[test]
fn every_fault_is_told_with_its_place() {
    let good = "name = \"order\"\nlearn = [\"json:$.id\"]\n";
    for (text, parts) in [
        ("learn = [\"json:$.id\"]\n", &["identity.name", "m.toml:7"][..]),
        ("name = \"a\"\n", &["identity.learn: is missing; allowed is json:PATH", "m.toml:7"]),
        ("name = \"a\"\nlearn = []\n", &["identity.learn: is missing"]),
        (
            "name = \"a\"\nlearn = [\"json:id\"]\n",
            &["identity.learn = \"json:id\"", "start with $", "m.toml:9"],
        ),
        ("name = \"a\"\nlearn = [\"json:$.a\",\n\"text:x\"]\n", &["has no capture", "m.toml:10"]),
        (
            &format!("{good}replace = [\"path\", \"paths\"]"),
            &["\"paths\": is no place in a request", "m.toml:10"],
        ),
        (&format!("{good}equal = [\"cookie:a\"]"), &["is no place in an answer"]),
        (&format!("{good}routes = [\"order\"]"), &["is no name or label of a route", "orders"]),
        (&format!("{good}candidates = [\"v1\"]"), &["is no candidate"]),
        (
            &format!("{good}scope = \"all\""),
            &["identity.scope = \"all\": is unknown; allowed is global"],
        ),
        (&format!("{good}scope = \"query:a\""), &["is no key that a client keeps"]),
        (&format!("{good}scope = \"cookie:\""), &["has no name behind the colon"]),
        (
            &format!("{good}scope = \"cookie:a\"\nreplace = [\"cookie:a\"]"),
            &["is a value of this identity itself"],
        ),
        (
            "name = \"a\"\nlearn = [\"set-cookie:s\"]\nscope = \"cookie:s\"\n",
            &["is a value of this identity itself", "m.toml:10"],
        ),
        (&format!("{good}wait = \"25h\""), &["identity.wait"]),
        (&format!("{good}ttl = 0"), &["identity.ttl"]),
        (&format!("{good}max_entries = 0"), &["identity.max_entries"]),
        (
            &format!("{good}max_entries = 1000001"),
            &["is larger; allowed is a whole number from 1 to 1000000"],
        ),
        (&format!("{good}learns = 1"), &["identity.learns", "learn"]),
        (&format!("{good}[[identity]]\n{good}"), &["is there already", "one identity of a name"]),
    ] {
        refused(text, parts);
    }
    refused(
        &(0..51)
            .map(|at| format!("name = \"{at}\"\nlearn = [\"location\"]\n[[identity]]\n"))
            .collect::<String>(),
        &["allowed is 50"],
    );
    let many = vec!["\"location\""; 51].join(",");
    refused(&format!("name = \"a\"\nlearn = [{many}]\n"), &["51 places; allowed is 50"]);
}

#[test]
fn several_faults_are_told_at_once() {
    let text = "name = \"a\"\nlearn = [\"x\", \"json:\"]\nscope = \"x\"\nwait = \"x\"\n";
    let errors = read(text).unwrap_err().to_string();
    assert_eq!(errors.matches("m.toml:").count(), 4, "{errors}");
}

#[test]
fn other_places_mean_other_values_and_other_limits_do_not() {
    let meaning = |text: &str| {
        let text = format!("name = \"order\"\n{text}");
        read(&text).unwrap().preparations.identities[0].what.meaning
    };
    let one = meaning("learn = [\"json:$.id\"]\n");
    assert_eq!(meaning("learn = [\"json:$.id\"]\nwait = 0\nttl = 5\nreplace = [\"path\"]\n"), one);
    assert_ne!(meaning("learn = [\"json:$.no\"]\n"), one);
    assert_ne!(meaning("learn = [\"json:$.id\"]\nscope = \"client\"\n"), one);
}
