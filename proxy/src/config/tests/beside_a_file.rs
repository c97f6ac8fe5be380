//! What the file says, alone and where the environment goes over it.

use super::*;

fn both(text: &str, settings: &[(&str, &str)]) -> Result<Config, Errors> {
    Config::from_text("m.toml", text, &|name| {
        let found = settings.iter().find(|(setting, _)| *setting == name);
        found.map(|(_, value)| OsString::from(value))
    })
}

#[test]
fn everything_that_the_environment_says_can_be_said_in_the_file() {
    for setting in settings::all().filter(|it| it.env.is_some()) {
        let (Some(default), Some((table, name))) = (setting.default, setting.place.split_once('.'))
        else {
            continue;
        };
        let value = match setting.kind {
            settings::Kind::Whole | settings::Kind::Number | settings::Kind::Switch => {
                default.to_owned()
            }
            _ => format!("{default:?}"),
        };
        let text = if table == "candidate" {
            let url = if name == "url" { "" } else { "url = \"http://a\"\n" };
            format!("[[candidate]]\nname = \"v2\"\n{url}{name} = {value}\n")
        } else {
            format!("[{table}]\n{name} = {value}\n")
        };
        let config = both(&text, &[]).unwrap_or_else(|errors| panic!("{errors}"));
        let place = setting.place.replace("candidate.", "candidate.v2.");
        let effective = config.settings.get(&place).unwrap();
        assert!(matches!(effective.origin, Origin::File { .. }), "{effective:?}");
        assert_eq!(effective.env, setting.env.filter(|_| table != "candidate"), "{effective:?}");
    }
}

#[test]
fn the_environment_goes_over_the_file_and_both_are_told() {
    let text = "[mirror]\nshare = 0.5\ntimeout = 3\nmark = \"X-A: 1\"\n";
    let config = both(text, &[("MIRROR_FRACTION", "0.75"), ("MIRROR_MARK_HEADER", "")]).unwrap();
    assert_eq!(config.mirror.fraction, 0.75);
    assert_eq!(config.mirror.mark, None);
    assert_eq!(config.mirror.timeout, Duration::from_secs(3));
    let told = |place: &str| serde_json::to_value(config.settings.get(place).unwrap()).unwrap();
    let expected = serde_json::json!({
        "place": "mirror.share", "env": "MIRROR_FRACTION", "value": 0.75, "restart": false,
        "origin": { "from": "environment", "name": "MIRROR_FRACTION", "over": "m.toml:2" },
    });
    assert_eq!(told("mirror.share"), expected);
    assert_eq!(
        told("mirror.timeout")["origin"],
        serde_json::json!({ "from": "file", "place": "m.toml:3" })
    );
    assert_eq!(told("mirror.queue_size")["origin"], serde_json::json!({ "from": "default" }));
    assert_eq!(told("limits.connections_per_client")["value"], 7500);
    assert_eq!(told("report.mismatch_rate")["value"], 0.01);
    assert_eq!(told("mirror.methods")["value"], serde_json::Value::Null);
    let over = both("[mirror]\nmark = \"\"\n", &[]).unwrap();
    assert_eq!(over.mirror.mark, None);
}

#[test]
fn secrets_are_masked_in_what_is_told_of_settings() {
    let text = "[admin]\ntoken = \"s3cret\"\n[guardrail]\nwebhook = \"http://a/s3cret\"\n\
                [mirror]\nsample_secret = \"s3cret\"\n";
    let config = both(text, &[]).unwrap();
    assert!(config.control_token.is_some() && config.webhook.is_some());
    let told = serde_json::to_string(&config.settings).unwrap();
    assert!(!told.contains("s3cret") && told.contains(MASKED), "{told}");
    assert!(!format!("{config:?}").contains("s3cret"));
    assert_ne!(config.sample_secret, crate::policy::share::Secret::default());
    assert_eq!(config.sample_secret, good("MIRROR_SAMPLE_SECRET", "s3cret").sample_secret);
}

#[test]
fn lists_and_times_have_two_forms_and_an_empty_value_is_refused_in_a_file() {
    let methods = |text: &str| both(text, &[]).unwrap().mirror.methods.unwrap().len();
    assert_eq!(methods("[mirror]\nmethods = [\"GET\", \"PUT\"]"), 2);
    assert_eq!(methods("[mirror]\nmethods = \"GET, PUT\""), 2);
    let timeout = |text: &str| both(text, &[]).unwrap().mirror.timeout;
    assert_eq!(timeout("[mirror]\ntimeout = 2"), timeout("[mirror]\ntimeout = \"2000ms\""));
    for (text, why) in [
        ("[mirror]\nmethods = [\"GET,PUT\"]", "has an item with a comma"),
        ("[mirror]\nmethods = []", "is empty"),
        ("[admin]\ntoken = \"\"", "is empty"),
        ("[listen]\ntls_cert = \"\"", "is empty"),
    ] {
        let message = both(text, &[]).expect_err(text).to_string();
        assert!(message.contains(why), "{message}");
    }
}

#[test]
fn settings_that_belong_together_are_called_as_they_are_said() {
    let text = "[listen]\naddress = \":80\"\n[admin]\naddress = \"[::]:80\"\n";
    let message = both(text, &[]).unwrap_err().to_string();
    assert!(
        message.contains("m.toml:4:11: admin.address = \"[::]:80\": is listen.address"),
        "{message}"
    );
    let text = "[baseline]\ntls_name = \"a\"\n";
    let message = both(text, &[]).unwrap_err().to_string();
    assert!(message.contains("baseline.url (BASELINE_URL) is no https URL"), "{message}");
}

#[test]
fn what_the_file_says_is_checked_where_the_environment_goes_over_it_too() {
    let text = "[mirror]\nshare = 7\nmethods = []\nmark = \"x\"\n[guardrail]\nconsecutive = 0\n\
                [[candidate]]\nname = \"v2\"\nurl = \"garbage\"\n";
    let over = [
        ("MIRROR_FRACTION", "0.5"),
        ("MIRROR_METHODS", "GET"),
        ("MIRROR_MARK_HEADER", ""),
        ("ABORT_CONSECUTIVE", "3"),
        ("CANDIDATE_URL", "http://a"),
    ];
    let message = both(text, &over).unwrap_err().to_string();
    for part in [
        "m.toml:2:9: mirror.share = 7: out of range; allowed is",
        "m.toml:3:11: mirror.methods = []: is empty; allowed is",
        "m.toml:4:8: mirror.mark = \"x\": no colon; allowed is",
        "m.toml:6:15: guardrail.consecutive = 0: too small; allowed is",
        "m.toml:9:7: candidate.url = \"garbage\": ",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(message.matches("m.toml:").count(), 5, "{message}");
    for (text, place) in [
        ("[[candidate]]\nname = \"v2\"\nurl = \"http://a\"\n", None),
        ("[[candidate]]\nname = \"candidate\"\nurl = \"http://a\"\nhttp = \"2\"\n", None),
        ("[[candidate]]\nname = \"candidate\"\nurl = \"a\"\n", Some("m.toml:3:7: candidate.url")),
        ("[[candidate]]\nname = \"v2\"\nhost = \"a b\"\n", Some("m.toml:3:8: candidate.host")),
    ] {
        let rest = "[[candidate]]\nname = \"v3\"\nurl = \"http://c\"\n";
        let rest = if text.contains("\"candidate\"") { rest } else { "" };
        let over = [("CANDIDATE_URL", "http://b"), ("CANDIDATE_HOST", "b")];
        match (both(&format!("{text}{rest}"), &over), place) {
            (Ok(config), None) => assert_eq!(config.candidates[0].target.host, "b"),
            (Err(errors), Some(place)) => assert!(errors.to_string().contains(place), "{errors}"),
            (read, _) => panic!("{text}: {read:?}"),
        }
    }
}

#[test]
fn of_no_setting_a_value_of_the_file_is_good_since_the_environment_covers_it() {
    use settings::Kind;
    for setting in settings::all().filter(|it| it.default.is_some()) {
        let bad = match setting.kind {
            Kind::Whole | Kind::Number | Kind::NumberOrOff => "-1",
            Kind::Time | Kind::Word(_) => "\"soon\"",
            _ => continue,
        };
        let (Some(name), Some((table, of))) = (setting.env, setting.place.split_once('.')) else {
            continue;
        };
        let text = match table {
            "candidate" => {
                format!("[[candidate]]\nname = \"v2\"\nurl = \"http://a\"\n{of} = {bad}\n")
            }
            _ => format!("[{table}]\n{of} = {bad}\n"),
        };
        let read = both(&text, &[(name, setting.default.unwrap())]);
        let message = read.expect_err(setting.place).to_string();
        assert!(message.contains(&format!(": {} = ", setting.place)), "{message}");
    }
}

// It may be there on another machine alone.
#[test]
fn what_a_path_leads_to_is_looked_at_only_where_the_path_holds() {
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let path = std::env::temp_dir().join(format!("config-{}-over", std::process::id()));
    std::fs::write(&path, pair.cert.pem()).unwrap();
    let text = "[upstream]\nca = \"nowhere.pem\"\n";
    let over = [("UPSTREAM_CA", path.to_str().unwrap())];
    assert!(matches!(both(text, &over).unwrap().trust, Trust::System(more) if more.len() == 1));
    assert!(both(text, &[]).is_err());
    let message = both("[upstream]\nca = \"\"\n", &over).unwrap_err().to_string();
    assert!(message.contains("m.toml:2:6: upstream.ca = \"\": is empty"), "{message}");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_share_that_would_be_rounded_up_to_a_millionth_is_refused_and_others_are_shown_as_they_hold() {
    for value in ["1e-7", "0.0000001", "0.0000009"] {
        bad("MIRROR_FRACTION", value);
        let message = both(&format!("[mirror]\nshare = {value}\n"), &[]).unwrap_err().to_string();
        let part = "is below a millionth; allowed is 0, or a number from 0.000001 to 1.0";
        assert!(message.contains(part), "{message}");
    }
    for (value, holds) in [
        ("0", 0.0),
        ("0.000001", 0.000_001),
        ("0.3333333", 0.333_333),
        ("0.99999999", 0.999_999),
        ("1", 1.0),
    ] {
        let config = good("MIRROR_FRACTION", value);
        assert_eq!(config.mirror.fraction, holds, "{value}");
        assert_eq!(config.settings.get("mirror.share").unwrap().value, holds, "{value}");
    }
    // Dice decide with whatever digits they have who is asked beside.
    assert_eq!(good("NOISE_FRACTION", "1e-7").mirror.noise_fraction, 1e-7);
}

#[test]
fn a_whole_number_that_is_too_large_is_told_with_the_greatest_there_is() {
    let wholes = settings::all().filter(|it| it.kind == settings::Kind::Whole);
    for setting in wholes {
        let (_, most) =
            setting.allowed.rsplit_once(" to ").unwrap_or_else(|| panic!("{setting:?}"));
        let most: u128 = most.parse().unwrap();
        let Some(name) = setting.env else { continue };
        good(name, &most.to_string());
        bad(name, &(most + 1).to_string());
    }
    for (text, part) in [
        ("[mirror]\nqueue_size = 9223372036854775807", "from 1 to 2305843009213693951"),
        ("[guardrail]\nconsecutive = 4294967296", "from 1 to 4294967295"),
        ("[limits]\nstreams = 4294967296", "from 1 to 4294967295"),
        (
            "[limits]\nrequest_bytes = 9223372036854775808",
            "in a file from 0 to 9223372036854775807",
        ),
        (
            "[[route]]\nname = \"a\"\nmax_body_bytes = 9223372036854775808",
            "bytes, from 0 to 9223372036854775807",
        ),
    ] {
        let message = both(text, &[]).expect_err(text).to_string();
        assert!(message.contains(part), "{message}");
    }
    let message = with(&[("MIRROR_RATE", "2000000/s")]).unwrap_err().to_string();
    assert!(message.contains("; allowed is") && message.contains("to a million a second"));
}

#[test]
fn in_the_environment_bytes_may_be_as_many_as_there_are_numbers_for() {
    const MOST: &str = "18446744073709551615";
    let of_requests = good("MAX_REQUEST_BYTES", MOST);
    assert_eq!(of_requests.forward.limits.request_bytes, Some(u64::MAX));
    assert_eq!(of_requests.settings.get("limits.request_bytes").unwrap().value, u64::MAX);
    assert_eq!(good("MIRROR_MAX_BODY_BYTES", "9223372036854775808").mirror.max_body_bytes, 1 << 63);
    good("MIRROR_MAX_BODY_BYTES", MOST);
    good("MIRROR_BUFFER_BYTES", MOST);
}

#[test]
fn all_that_is_wrong_with_the_items_of_a_list_is_told_at_once() {
    let message = both("[mirror]\nmethods = [\"GÉT\", \"GET\", 5, \"put\", true]", &[]);
    let message = message.unwrap_err().to_string();
    for part in [
        "\"GÉT\" is no method name, did \"put\" mean \"PUT\"?; allowed is",
        "m.toml:2:26: mirror.methods: has an item that is a whole number",
        "m.toml:2:36: mirror.methods: has an item that is true or false",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(message.matches("m.toml:").count(), 3, "{message}");
    for (name, value, wrong) in [
        ("MIRROR_METHODS", "get,a b,GET", ["\"GET\"?", "\"a b\""]),
        ("PROXY_PROTOCOL_FROM", "10.0.0.0/33,::1,1.2.3", ["10.0.0.0/33", "1.2.3"]),
        ("ADMIN_HOSTS", "a:80,b,*", ["\"a:80\"", "\"*\""]),
        ("ROUTE_TEMPLATES", "a,/b,/{", ["\"a\"", "\"/{\""]),
    ] {
        bad(name, value);
        let message = with(&[(name, value)]).unwrap_err().to_string();
        assert!(wrong.iter().all(|part| message.contains(part)), "{message}");
    }
    // Of very many the first are enough.
    let message = with(&[("MIRROR_METHODS", &"é,".repeat(9999))]).unwrap_err().to_string();
    assert!(message.contains("and 9992 more"), "{message}");
    for (text, place) in
        [("[mirror]\nmethods = [5, true]", "2:12"), ("[compare]\nignore = [5, 6]", "2:11")]
    {
        let message = both(text, &[]).unwrap_err().to_string();
        assert_eq!(message.matches("has an item that is").count(), 2, "{message}");
        assert!(!message.contains("is empty") && message.contains(place), "{message}");
    }
}

#[test]
fn a_method_that_stands_for_all_is_refused_with_what_does() {
    for value in ["*", "GET,*", "ALL", "ANY"] {
        bad("MIRROR_METHODS", value);
        let message = with(&[("MIRROR_METHODS", value)]).unwrap_err().to_string();
        assert!(message.contains("is no method; allowed is"), "{message}");
        assert!(message.contains("unset for all"), "{message}");
    }
    let message = both("[[route]]\nname = \"a\"\nmatch = { method = \"*\" }", &[]).unwrap_err();
    assert!(message.to_string().contains("route.match.method = \"*\": \"*\" is no method"));
}
