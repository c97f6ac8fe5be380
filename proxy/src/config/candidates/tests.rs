use std::ffi::OsString;
use std::time::Duration;

use crate::config::{Config, Errors, Origin};
use crate::policy::share::Share;

fn with(text: &str, settings: &[(&str, &str)]) -> Result<Config, Errors> {
    Config::from_text("m.toml", text, &|name| {
        let found = settings.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(value))
    })
}

fn candidate(name: &str) -> String {
    format!("[[candidate]]\nname = \"{name}\"\nurl = \"http://{name}:1\"\n")
}

#[test]
fn a_candidate_has_all_that_it_says() {
    let text = r#"
[[candidate]]
name = "v2"
url = "http://v2.example:80/base"
host = "preserve"
http = 2
enabled = false
share = 0.125
rate = "30/m"
timeout = 3
queue_size = 7
concurrency = 8
[candidate.guardrail]
latency_ratio = 2
error_delta = 0.1
consecutive = 9
latency_floor = "0"
cooldown = "1m"
mismatch_rate = "off"
mode = "observe"
[candidate.report]
mismatch_rate = 0.5
status_rate = 0.25
"#;
    let config = with(text, &[]).unwrap();
    let [v2] = &config.candidates[..] else { panic!("{:?}", config.candidates) };
    assert_eq!((&*v2.name, v2.enabled), ("v2", false));
    assert_eq!(v2.target, config.candidate);
    assert_eq!((v2.target.host.as_str(), v2.target.prefix.as_str()), ("v2.example", "/base"));
    assert_eq!(v2.share, Some(Share::of(0.125)));
    assert_eq!(v2.rate.unwrap().per_second(), 0.5);
    assert_eq!(v2.timeout, Some(Duration::from_secs(3)));
    assert_eq!((v2.queue_size, v2.concurrency), (Some(7), Some(8)));
    let thresholds = &v2.thresholds;
    assert_eq!((thresholds.latency_ratio, thresholds.error_delta), (Some(2.0), Some(0.1)));
    assert_eq!((thresholds.consecutive, thresholds.mismatch_rate), (Some(9), Some(None)));
    assert_eq!(thresholds.latency_floor, Some(Duration::ZERO));
    assert_eq!(thresholds.cooldown, Some(Duration::from_secs(60)));
    assert_eq!(thresholds.observe_only, Some(true));
    assert_eq!(v2.allowances.mismatch_rate, Some(0.5));
    assert_eq!(v2.allowances.status_rate, Some(0.25));
    let share = config.settings.get("candidate.v2.share").unwrap();
    assert_eq!(share.value, serde_json::json!(0.125));
    assert_eq!(share.origin, Origin::File { place: "m.toml:8".to_owned() });
}

#[test]
fn what_the_environment_says_of_the_candidate_goes_over_the_only_one_or_the_one_of_that_name() {
    let url = [("CANDIDATE_URL", "http://env:9"), ("CANDIDATE_HOST", "preserve")];
    let config = with(&candidate("v2"), &url).unwrap();
    assert_eq!((&*config.candidates[0].name, config.candidate.host.as_str()), ("v2", "env"));
    let told = config.settings.get("candidate.v2.url").unwrap();
    let over = Some("m.toml:3".to_owned());
    assert_eq!(told.origin, Origin::Environment { name: "CANDIDATE_URL".to_owned(), over });
    let both = candidate("v2") + &*candidate("candidate");
    let hosts: Vec<_> =
        with(&both, &url).unwrap().candidates.into_iter().map(|it| it.target.host).collect();
    assert_eq!(hosts, ["v2", "env"]);
    let both = candidate("v2") + &*candidate("v3");
    let message = with(&both, &url).unwrap_err().to_string();
    assert!(
        message.contains("CANDIDATE_URL=\"http://env:9\": ") && message.contains("v2, v3"),
        "{message}"
    );
    assert!(
        message.contains("allowed is to take CANDIDATE_URL out of the environment"),
        "{message}"
    );
    assert!(with(&both, &[]).is_ok());
    // The environment's may stand for the file's.
    assert!(with("[[candidate]]\nname = \"v2\"\n", &url).is_ok());
    assert!(with("[[candidate]]\nname = \"v2\"\n", &[]).is_err());
    let alone = with("", &url).unwrap();
    assert!(alone.candidates.is_empty() && alone.candidate.host == "env");
}

#[test]
fn names_are_labels_and_unique_and_candidates_are_few() {
    for name in ["", "baseline", "secondary", "other", "a b", "ä", &"a".repeat(65)] {
        let text = format!("[[candidate]]\nname = {name:?}\nurl = \"http://a\"\n");
        let message = with(&text, &[]).expect_err(name).to_string();
        assert!(message.contains("m.toml:2:8: candidate.name = "), "{message}");
    }
    let twice = with(&(candidate("v2") + &*candidate("v2")), &[]).unwrap_err().to_string();
    assert!(twice.contains("is there already, at m.toml:2;"), "{twice}");
    let of = |count: usize| (0..count).map(|it| candidate(&format!("v{it}"))).collect::<String>();
    assert_eq!(with(&of(8), &[]).unwrap().candidates.len(), 8);
    assert!(with(&of(9), &[]).unwrap_err().to_string().contains("9 candidates; allowed is 8"));
}

#[test]
fn errors_of_a_candidate_name_its_place() {
    let text = "[[candidate]]\nname = \"a\"\nurl = \"ftp://a\"\nshare = 0.0000001\n\
                rate = \"5\"\ntls_name = \"a\"\n[candidate.guardrail]\nmode = \"off\"\n";
    let message = with(text, &[]).unwrap_err().to_string();
    for part in [
        "m.toml:3:7: candidate.url = \"ftp://a\": has no scheme",
        "m.toml:4:9: candidate.share = 1e-7: ",
        "m.toml:5:8: candidate.rate = \"5\": ",
        "m.toml:6:12: candidate.tls_name = \"a\": candidate.url is no https URL",
        "m.toml:8:8: candidate.guardrail.mode = \"off\": is unknown",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
}
