use http::HeaderValue;

use super::*;
use crate::headers::{Chain, Forwarding};
use crate::limits::Limits;
use crate::limits::pace::Pace;
use crate::upstream::{HostHeader, Protocol};

mod beside_a_file;

fn with(settings: &[(&str, &str)]) -> Result<Config, Errors> {
    Config::from_env(&|name| {
        let found = settings.iter().find(|(setting, _)| *setting == name);
        found.map(|(_, value)| OsString::from(value))
    })
}

/// These settings of the environment; what is wrong as it is told.
pub(super) fn said(settings: &[(&str, &str)]) -> Result<Config, String> {
    with(settings).map_err(|errors| errors.to_string())
}

fn good(name: &str, value: &str) -> Config {
    with(&[(name, value)]).unwrap_or_else(|errors| panic!("{errors}"))
}

#[track_caller]
fn bad(name: &str, value: &str) {
    let message = with(&[(name, value)]).expect_err(name).to_string();
    assert!(message.contains(&format!("{name}={value:?}")), "{message}");
    assert!(message.contains("allowed is"), "{message}");
    assert_eq!(message.lines().count(), 2, "{message}");
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let config = Config::default();
    assert_eq!(config.listen, values::listen(":8080").unwrap());
    assert_eq!(config.admin, None);
    assert_eq!(config.baseline, Target::parse("http://service-v1:4001").unwrap());
    assert_eq!(config.candidate, Target::parse("http://service-v2:4002").unwrap());
    assert_eq!(config.forward.baseline_timeout, Duration::from_secs(60));
    assert_eq!(config.connect_timeout, Duration::from_secs(5));
    assert_eq!(config.upstream_idle_timeout, Duration::from_secs(4));
    let limits = Limits {
        header_bytes: 65_536,
        headers: 100,
        head_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(75),
        connections: 10_000,
        connections_per_client: 7500,
        streams: 200,
        requests_in_flight: 4096,
        requests_per_client: 3072,
        read: Pace { period: Duration::from_secs(60), rate: 240 },
        write: Pace { period: Duration::from_secs(60), rate: 240 },
        request_bytes: None,
    };
    assert_eq!(config.forward.limits, limits);
    assert_eq!(config.dns.refresh, Duration::from_secs(10));
    assert_eq!(config.secondary, None);
    assert_eq!(config.mirror.noise_fraction, 0.05);
    assert_eq!(config.mirror.fraction, 0.25);
    assert_eq!(config.mirror.methods, None);
    let (name, value) = config.mirror.mark.unwrap();
    assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-mirror", "1"));
    assert_eq!(config.mirror.timeout, Duration::from_secs(10));
    assert_eq!(config.mirror.max_body_bytes, 1_048_576);
    assert_eq!(config.mirror.queue_size, 256);
    assert!(config.mirror.body);
    assert_eq!(config.mirror.unreachable_after, 5);
    let guardrail = guardrail::Config {
        latency_ratio: 1.15,
        error_delta: 0.005,
        consecutive: 5,
        latency_floor: Duration::from_millis(2),
        cooldown: Duration::from_secs(10),
        mismatch_rate: None,
        ramp: None,
        observe_only: false,
        warmup: Duration::ZERO,
    };
    assert_eq!(config.guardrail, guardrail);
    assert_eq!(config.templates, []);
    assert_eq!(
        (config.drain_delay, config.drain_timeout),
        (Duration::ZERO, Duration::from_secs(25))
    );
    assert_eq!(config.control_token, None);
    assert_eq!(config.log, Log { json: false, filter: "info".to_owned() });
}

#[test]
fn times_are_whole_seconds_or_carry_a_unit() {
    let cooldown = |text| good("ABORT_COOLDOWN", text).guardrail.cooldown;
    assert_eq!(cooldown("20"), Duration::from_secs(20));
    assert_eq!(cooldown("500ms"), Duration::from_millis(500));
    assert_eq!(cooldown("2m"), Duration::from_secs(120));
    assert_eq!(cooldown("24h"), Duration::from_secs(86_400));
    for name in [
        "ABORT_COOLDOWN",
        "MIRROR_TIMEOUT",
        "BASELINE_TIMEOUT",
        "CONNECT_TIMEOUT",
        "UPSTREAM_IDLE_TIMEOUT",
        "DRAIN_TIMEOUT",
        "HEAD_TIMEOUT",
        "IDLE_TIMEOUT",
        "DNS_REFRESH",
    ] {
        good(name, "1");
        for value in
            ["0", "0s", "-1", "1.5", "25h", "86401", "soon", "1 fortnight", "99999999999999999999"]
        {
            bad(name, value);
        }
    }
    let floor = |text| good("ABORT_LATENCY_FLOOR", text).guardrail.latency_floor;
    assert_eq!(floor("0"), Duration::ZERO);
    assert_eq!(floor("0ms"), Duration::ZERO);
    assert_eq!(floor("3ms"), Duration::from_millis(3));
    bad("ABORT_LATENCY_FLOOR", "-1");
    bad("ABORT_LATENCY_FLOOR", "25h");
    assert_eq!(good("DRAIN_DELAY", "0").drain_delay, Duration::ZERO);
    assert_eq!(good("DRAIN_DELAY", "7").drain_delay, Duration::from_secs(7));
    bad("DRAIN_DELAY", "25h");
}

#[test]
fn zero_means_zero_and_one_means_one() {
    assert_eq!(good("MIRROR_FRACTION", "0").mirror.fraction, 0.0);
    assert_eq!(good("MIRROR_FRACTION", "1").mirror.fraction, 1.0);
    assert_eq!(good("NOISE_FRACTION", "0").mirror.noise_fraction, 0.0);
    assert_eq!(good("NOISE_FRACTION", "1").mirror.noise_fraction, 1.0);
    assert_eq!(good("MIRROR_MAX_BODY_BYTES", "0").mirror.max_body_bytes, 0);
    assert_eq!(good("ABORT_ERROR_DELTA", "0").guardrail.error_delta, 0.0);
}

#[test]
fn numbers_out_of_range_are_refused() {
    for value in ["-0.1", "1.01", "NaN", "inf", "a quarter"] {
        bad("MIRROR_FRACTION", value);
        bad("NOISE_FRACTION", value);
    }
    for value in ["0", "-1", "NaN", "inf"] {
        bad("ABORT_P99_RATIO", value);
    }
    for value in ["-0.1", "NaN", "inf"] {
        bad("ABORT_ERROR_DELTA", value);
    }
    for name in ["MIRROR_CONCURRENCY", "MIRROR_QUEUE_SIZE", "ABORT_CONSECUTIVE"] {
        good(name, "1");
        for value in ["0", "-1", "1.5", "many", "99999999999999999999"] {
            bad(name, value);
        }
    }
    bad("MIRROR_QUEUE_SIZE", &usize::MAX.to_string());
    for name in ["MIRROR_MAX_BODY_BYTES", "MIRROR_BUFFER_BYTES"] {
        bad(name, "-1");
        bad(name, "1MiB");
    }
}

#[test]
fn the_guardrail_has_seen_its_breaches_before_only_probes_are_sent() {
    for (consecutive, after) in [("1", 5), ("5", 5), ("50", 50), ("1000000", 1_000_000)] {
        assert_eq!(good("ABORT_CONSECUTIVE", consecutive).mirror.unreachable_after, after);
    }
}

#[test]
fn limits_are_whole_numbers_in_their_range() {
    let limits = |name, value| good(name, value).forward.limits;
    assert_eq!(limits("MAX_HEADER_BYTES", "8192").header_bytes, 8192);
    assert_eq!(limits("MAX_HEADERS", "1").headers, 1);
    assert_eq!(limits("MAX_CONNECTIONS", "1").connections, 1);
    assert_eq!(limits("MAX_STREAMS", "1").streams, 1);
    assert_eq!(limits("MAX_REQUESTS_IN_FLIGHT", "1").requests_in_flight, 1);
    assert_eq!(limits("MAX_REQUEST_BYTES", "0").request_bytes, Some(0));
    for (name, values) in [
        ("MAX_HEADER_BYTES", ["8191", "16777217", "64KiB", "-1"]),
        ("MAX_RESPONSE_HEADERS", ["0", "10001", "1.5", "-1"]),
        ("MAX_RESPONSE_HEADER_BYTES", ["8191", "16777217", "64k", "-1"]),
        ("MAX_HEADERS", ["0", "10001", "1.5", "-1"]),
        ("MAX_CONNECTIONS", ["0", "18446744073709551615", "1.5", "-1"]),
        ("MAX_STREAMS", ["0", "4294967296", "1.5", "-1"]),
        ("MAX_REQUESTS_IN_FLIGHT", ["0", "18446744073709551615", "1.5", "-1"]),
        ("MAX_REQUEST_BYTES", ["1MiB", "18446744073709551616", "1.5", "-1"]),
    ] {
        for value in values {
            bad(name, value);
        }
    }
}

#[test]
fn addresses_are_one_interface_or_all() {
    let all = good("LISTEN_ADDR", ":9000").listen;
    assert_eq!((all.addr.to_string().as_str(), all.dual_stack), ("[::]:9000", true));
    assert!(good("LISTEN_ADDR", "[::]:9000").listen.dual_stack);
    let one = good("LISTEN_ADDR", "127.0.0.1:9000").listen;
    assert_eq!((one.addr.to_string().as_str(), one.dual_stack), ("127.0.0.1:9000", false));
    for value in ["9000", ":", ":x", ":70000", "localhost:1", "::1:9000", "127.0.0.1"] {
        bad("LISTEN_ADDR", value);
        bad("ADMIN_ADDR", value);
    }
    assert!(good("ADMIN_ADDR", ":9001").admin.is_some());
    let same = with(&[("LISTEN_ADDR", ":9000"), ("ADMIN_ADDR", "[::]:9000")]).unwrap_err();
    assert!(same.to_string().contains("ADMIN_ADDR"));
    with(&[("LISTEN_ADDR", "127.0.0.1:0"), ("ADMIN_ADDR", "127.0.0.1:0")]).unwrap();
}

#[test]
fn urls_are_checked_and_their_user_info_is_not_printed() {
    for name in ["BASELINE_URL", "CANDIDATE_URL", "SECONDARY_URL"] {
        good(name, "https://a.example/base");
        for value in ["ftp://a", "a", "http://a?x", "http://a#x", "http://a:99999"] {
            bad(name, value);
        }
        let message = with(&[(name, "http://me:secret@a/x")]).unwrap_err().to_string();
        assert!(message.contains(name) && message.contains("user info"), "{message}");
        assert!(!message.contains("secret") && !message.contains("me:"), "{message}");
        for value in
            ["me:secret@a", "http:/me:secret@a", "http://me:sec/secret@a", "http://me:secret?@a"]
        {
            let message = with(&[(name, value)]).unwrap_err().to_string();
            assert!(!message.contains("sec"), "{message}");
        }
    }
}

#[test]
fn certificates_come_from_files_and_the_two_of_the_listener_together() {
    let pair = || {
        let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        (pair.cert.pem(), pair.signing_key.serialize_pem())
    };
    let write = |name: &str, text: &str| {
        let path = std::env::temp_dir().join(format!("config-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let ((chain, key), (_, other)) = (pair(), pair());
    let (cert, key) = (write("cert", &chain), write("key", &key));
    let (other, junk) = (write("other", &other), write("junk", "junk"));
    assert!(with(&[("TLS_CERT", &cert), ("TLS_KEY", &key)]).unwrap().tls.is_some());
    let trust = good("UPSTREAM_CA", &cert).trust;
    assert!(matches!(trust, Trust::System(more) if more.len() == 1));
    bad("TLS_CERT", &cert);
    bad("TLS_KEY", &key);
    for name in ["TLS_CERT", "TLS_KEY", "UPSTREAM_CA"] {
        bad(name, "/nowhere/at/all");
    }
    bad("UPSTREAM_CA", &junk);
    for (name, cert, key) in
        [("TLS_KEY", &cert, &other), ("TLS_KEY", &cert, &junk), ("TLS_CERT", &junk, &key)]
    {
        let message = with(&[("TLS_CERT", cert), ("TLS_KEY", key)]).unwrap_err().to_string();
        assert!(message.contains(&format!("{name}=")), "{message}");
        assert_eq!(message.lines().count(), 2, "{message}");
    }
    for path in [cert, key, other, junk] {
        std::fs::remove_file(path).unwrap();
    }
}

// Nothing says when a pipe has something to give.
#[test]
fn what_is_no_plain_file_is_not_read_as_a_certificate() {
    let message = with(&[("UPSTREAM_CA", "/dev/zero")]).unwrap_err().to_string();
    assert!(message.contains(r#"UPSTREAM_CA="/dev/zero": is no plain file"#), "{message}");
}

#[test]
fn balancers_are_a_list_of_networks() {
    assert_eq!(Config::default().proxy_protocol_from, Networks::default());
    let networks = good("PROXY_PROTOCOL_FROM", "10.0.0.0/8,::1").proxy_protocol_from;
    assert!(networks.contains("10.1.2.3".parse().unwrap()));
    assert!(!networks.contains("11.1.2.3".parse().unwrap()));
    for value in ["all", "10.0.0.0/99", ","] {
        bad("PROXY_PROTOCOL_FROM", value);
    }
}

#[test]
fn what_is_shown_to_upstreams_is_read_for_each_and_needs_https() {
    let pair = rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap();
    let folder = std::env::temp_dir().join(format!("mirrorlab-client-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert, pair.cert.pem()).unwrap();
    std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    for role in ["BASELINE", "CANDIDATE", "SECONDARY"] {
        let names =
            ["URL", "TLS_NAME", "CLIENT_CERT", "CLIENT_KEY"].map(|end| format!("{role}_{end}"));
        let [url, name, chain, secret] = names.each_ref().map(String::as_str);
        let shown = [(name, "service.internal"), (chain, cert), (secret, key)];
        let config = with(&[&[(url, "https://10.0.0.1")], &shown[..]].concat()).unwrap();
        let target = match role {
            "BASELINE" => config.baseline,
            "CANDIDATE" => config.candidate,
            _ => config.secondary.unwrap(),
        };
        assert!(target.client.is_some() && target.tls_name.is_some(), "{role}");
        let message = with(&[&[(url, "http://a")], &shown[..]].concat()).unwrap_err().to_string();
        for (name, value) in [(name, "service.internal"), (chain, cert)] {
            assert!(message.contains(&format!("  {name}={value:?}: ")), "{message}");
        }
        bad(name, "no name");
        bad(chain, cert);
        bad(secret, key);
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_an_upstream_is_told_as_host_and_spoken_to_in_is_a_word_or_a_host() {
    for (name, pick) in [
        ("BASELINE_HOST", (|config| config.baseline.host_header) as fn(Config) -> HostHeader),
        ("CANDIDATE_HOST", |config| config.candidate.host_header),
    ] {
        assert_eq!(pick(Config::default()), HostHeader::Target);
        assert_eq!(pick(good(name, "target")), HostHeader::Target);
        assert_eq!(pick(good(name, "preserve")), HostHeader::Preserve);
        for literal in ["shop.example", "shop.example:8443", "[::1]:80", "10.0.0.1"] {
            let value = HeaderValue::from_static(literal);
            assert_eq!(pick(good(name, literal)), HostHeader::Literal(value));
        }
        for value in ["a b", "a/b", "http://a", "me@a", "a:x", "a:99999", "a:0", ":80", "[::1]a"] {
            bad(name, value);
        }
    }
    for (name, pick) in [
        ("BASELINE_HTTP", (|config| config.baseline.protocol) as fn(Config) -> Protocol),
        ("CANDIDATE_HTTP", |config| config.candidate.protocol),
    ] {
        assert_eq!(pick(Config::default()), Protocol::Auto);
        assert_eq!(pick(good(name, "auto")), Protocol::Auto);
        assert_eq!(pick(good(name, "1")), Protocol::Http1);
        assert_eq!(pick(good(name, "2")), Protocol::Http2);
        for value in ["1.1", "h2", "3", "AUTO"] {
            bad(name, value);
        }
    }
}

#[test]
fn chains_of_proxies_are_left_extended_or_replaced() {
    let forwarding = Config::default().forward.forwarding;
    let expected =
        Forwarding { x_forwarded: Chain::Extend, forwarded: Chain::Off, via: Chain::Off };
    assert_eq!(forwarding, expected);
    for (name, pick) in [
        ("X_FORWARDED_HEADERS", (|told| told.x_forwarded) as fn(Forwarding) -> Chain),
        ("FORWARDED_HEADER", |told| told.forwarded),
        ("VIA_HEADER", |told| told.via),
    ] {
        for (word, chain) in
            [("off", Chain::Off), ("extend", Chain::Extend), ("replace", Chain::Replace)]
        {
            assert_eq!(pick(good(name, word).forward.forwarding), chain);
        }
        for value in ["on", "append", "Extend", "true"] {
            bad(name, value);
        }
    }
}

#[test]
fn methods_and_templates_are_lists() {
    let methods = good("MIRROR_METHODS", "GET, HEAD,PURGE").mirror.methods.unwrap();
    assert_eq!(
        methods.iter().map(http::Method::as_str).collect::<Vec<_>>(),
        ["GET", "HEAD", "PURGE"]
    );
    for value in ["get", "GET,", "GET HEAD", ","] {
        bad("MIRROR_METHODS", value);
    }
    assert_eq!(good("ROUTE_TEMPLATES", "/a/{b}, /c").templates.len(), 2);
    assert!(good("ROUTE_LABELS", "templates").templates_alone);
    assert!(!good("ROUTE_LABELS", "paths").templates_alone);
    bad("ROUTE_LABELS", "none");
    for value in ["a", "/a,", "/{"] {
        bad("ROUTE_TEMPLATES", value);
    }
}

#[test]
fn an_empty_setting_is_an_unset_one_but_an_empty_mark_turns_it_off() {
    for &name in NAMES {
        let config = good(name, "");
        assert_eq!(config.mirror.mark.is_none(), name == "MIRROR_MARK_HEADER", "{name}");
    }
    let (name, value) = good("MIRROR_MARK_HEADER", "X-Shadow:  yes ").mirror.mark.unwrap();
    assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-shadow", "yes"));
    for value in [
        "X-Shadow",
        ": 1",
        "a b: 1",
        "Host: x",
        "Connection: x",
        "Content-Length: 1",
        "Keep-Alive: 1",
        "Proxy-Connection: x",
    ] {
        bad("MIRROR_MARK_HEADER", value);
    }
}

#[test]
fn flags_and_words_are_exact() {
    assert!(!good("MIRROR_BODY", "false").mirror.body);
    assert!(good("LOG_FORMAT", "json").log.json);
    assert_eq!(good("LOG_LEVEL", "proxy=debug").log.filter, "proxy=debug");
    bad("MIRROR_BODY", "no");
    bad("LOG_FORMAT", "xml");
    bad("LOG_LEVEL", "info,=");
    // Values of fields are no regular expressions.
    good("LOG_LEVEL", "[{path=(}]=debug");
}

#[test]
fn a_token_is_never_printed() {
    let config = good("CONTROL_TOKEN", "s3cret");
    assert!(config.control_token.is_some());
    assert!(!format!("{config:?}").contains("s3cret"));
    let message = with(&[("CONTROL_TOKEN", "two words")]).unwrap_err().to_string();
    assert!(message.contains("CONTROL_TOKEN") && !message.contains("words"), "{message}");
}

#[test]
fn access_is_what_the_settings_of_the_admin_endpoints_say() {
    let access = Config::default().access();
    assert!(access == Access::default(), "{access:?}");
    assert!(good("ADMIN_OPEN", "true").access().open);
    assert!(!good("ADMIN_OPEN", "false").access().open);
    assert!(good("ADMIN_ADDR", ":9001").access().own_listener);
    assert_eq!(good("CONTROL_TOKEN", "s3cret").access().tokens.len(), 1);
    assert_eq!(good("ADMIN_HOSTS", "a, B").access().hosts, Hosts::parse("a,b").unwrap());
    for value in ["yes", "1", "True"] {
        bad("ADMIN_OPEN", value);
    }
    for value in ["a:80", "*", "a,", "http://a"] {
        bad("ADMIN_HOSTS", value);
    }
}

#[test]
fn all_bad_settings_are_listed_at_once() {
    let settings = [
        ("MIRROR_FRACTION", "2"),
        ("LISTEN_ADDR", "x"),
        ("ABORT_COOLDOWN", "0"),
        ("MIRROR_BODY", "?"),
    ];
    let message = with(&settings).unwrap_err().to_string();
    for (name, value) in settings {
        assert!(message.contains(&format!("{name}={value:?}")), "{message}");
    }
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_utf_8_is_a_bad_setting() {
    use std::os::unix::ffi::OsStringExt;
    for name in ["CONTROL_TOKEN", "ABORT_WEBHOOK", "MIRROR_SAMPLE_SECRET"] {
        assert!(settings::of(name).secret, "{name}");
    }
    for &name in NAMES {
        let result =
            Config::from_env(&|asked| (asked == name).then(|| OsString::from_vec(vec![0xff])));
        let message = result.unwrap_err().to_string();
        assert!(message.contains(name), "{name}");
        let secret = settings::of(name).secret;
        assert_eq!(message.contains("xFF"), !secret, "{message}");
    }
}

#[test]
fn names_that_look_like_settings_and_are_none_are_found_with_the_likely_one() {
    for (name, told) in [
        ("MIRROR_FRACTON", "MIRROR_FRACTON (did you mean MIRROR_FRACTION?)"),
        ("BASELIN_URL", "BASELIN_URL (did you mean BASELINE_URL?)"),
        ("mirror_fraction", "mirror_fraction (did you mean MIRROR_FRACTION?)"),
        ("REPORT_MISMATCH_RATES", "REPORT_MISMATCH_RATES (did you mean REPORT_MISMATCH_RATE?)"),
        ("UPSTREAM_IDEL_TIMOUT", "UPSTREAM_IDEL_TIMOUT (did you mean UPSTREAM_IDLE_TIMEOUT?)"),
        ("MIRROR_SHARE", "MIRROR_SHARE (did you mean MIRROR_FRACTION?)"),
        ("ADMIN_TOKEN", "ADMIN_TOKEN (did you mean CONTROL_TOKEN?)"),
        (
            "CANDIDATE_TIMEOUT",
            "CANDIDATE_TIMEOUT (did you mean candidate.timeout in a settings file?)",
        ),
        ("CANDIDATE_NAME", "CANDIDATE_NAME (did you mean candidate.name in a settings file?)"),
        ("ABORT_X", "ABORT_X"),
    ] {
        assert_eq!(Config::unknown([name.to_owned()].into_iter()), [told], "{name}");
    }
    let others = [
        "PATH",
        "HOME",
        "CANDIDATE_VERSION",
        "CANDIDATE_PORT",
        "BASELINE_PORT",
        "ROUTE_NAME",
        "LOG",
        "RUST_LOG",
        "HTTP_PROXY",
        "TLS_CA",
        "HOST",
        "PORT",
        "TIMEOUT",
        "URL",
        "CI_TIMEOUT",
        "GUARD",
    ];
    let others = others.iter().chain(NAMES).map(|name| (*name).to_owned());
    assert_eq!(Config::unknown(others), Vec::<String>::new());
}

#[test]
fn what_is_off_by_default_can_be_set() {
    assert_eq!(good("ABORT_RAMP", "off").guardrail.ramp, None);
    assert_eq!(good("ABORT_RAMP", "2m").guardrail.ramp, Some(Duration::from_secs(120)));
    assert_eq!(good("ABORT_MISMATCH_RATE", "off").guardrail.mismatch_rate, None);
    assert_eq!(good("ABORT_MISMATCH_RATE", "0.01").guardrail.mismatch_rate, Some(0.01));
    for value in ["0", "on", "-1s", "25h", "OFF"] {
        bad("ABORT_RAMP", value);
    }
    for value in ["0", "1", "1.5", "-0.1", "NaN", "on", "OFF"] {
        bad("ABORT_MISMATCH_RATE", value);
    }
}

#[test]
fn a_second_baseline_is_one_with_a_url() {
    let url = "https://second.example/v1";
    let set = with(&[("SECONDARY_URL", url), ("SECONDARY_HTTP", "2")]).unwrap();
    let mut target = Target::parse(url).unwrap();
    target.protocol = Protocol::parse("2").unwrap();
    assert_eq!(set.secondary, Some(target));
    assert_eq!(good("SECONDARY_HOST", "preserve").secondary, None);
    bad("SECONDARY_URL", "second.example");
    bad("SECONDARY_HOST", "a b");
    bad("SECONDARY_HTTP", "3");
}

#[test]
fn a_webhook_is_a_url_and_its_path_is_never_shown() {
    assert_eq!(Config::default().webhook, None);
    let config = good("ABORT_WEBHOOK", "https://hooks.example/s3cret?key=s3cret");
    assert!(config.webhook.is_some() && !format!("{config:?}").contains("s3cret"));
    for url in ["hooks.example/s3cret", "http://user:s3cret@hooks.example", "http://h/#s3cret"] {
        let message = with(&[("ABORT_WEBHOOK", url)]).unwrap_err().to_string();
        assert!(message.contains("ABORT_WEBHOOK") && message.contains("allowed is"), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
    }
}

#[test]
fn the_report_allows_what_the_guardrail_does_and_always_limits_mismatches() {
    assert_eq!(Config::default().report.mismatch_rate, 0.01);
    assert_eq!(good("ABORT_MISMATCH_RATE", "0.2").report.mismatch_rate, 0.2);
    let both = [("ABORT_MISMATCH_RATE", "0.2"), ("REPORT_MISMATCH_RATE", "0.05")];
    assert_eq!(with(&both).unwrap().report.mismatch_rate, 0.05);
    for value in ["0", "1", "off", "NaN", "-0.1"] {
        bad("REPORT_MISMATCH_RATE", value);
    }
    let config = with(&[
        ("ABORT_ERROR_DELTA", "0.1"),
        ("ABORT_P99_RATIO", "1.5"),
        ("ABORT_LATENCY_FLOOR", "7ms"),
    ])
    .unwrap();
    let report::Allowed { error_delta, latency_ratio, latency_floor, .. } = config.report;
    let floor = Duration::from_millis(7);
    assert_eq!((error_delta, latency_ratio, latency_floor), (0.1, 1.5, floor));
}

#[test]
fn the_admin_prefix_is_a_plain_path_without_a_slash_at_its_end() {
    for text in ["/_mirrorlab", "/a/b-c.d~1"] {
        assert_eq!(values::path_prefix(text).unwrap(), text);
    }
    for text in ["", "/", "mirrorlab", "/a/", "//a", "/a/../b", "/{a}", "/a b", "/a?b", "/:a"] {
        assert!(values::path_prefix(text).is_err(), "{text}");
    }
}
