//! Settings as `NAME=value`, apart by the byte that no environment variable can hold, and a settings
//! file, which stands for the value of `MIRROR_CONFIG`: every error names a setting that was given, or
//! its place in the file, and shows no secret, and what is accepted is in its range.
#![no_main]

use std::collections::HashSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use compare::{Origin, Policy};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderName, HeaderValue};
use judge::guardrail;
use judge::guardrail::gate::gate;
use judge::guardrail::{Guardrail, Moment};
use judge::{Call, Pair};
use libfuzzer_sys::fuzz_target;
use proxy::config::{Config, Errors, NAMES};
use proxy::limits::Limits;
use proxy::listen::proxy_protocol::Networks;
use proxy::listen::tls::{Identity, certificates};
use proxy::mirror;
use proxy::policy::{self, share::Share};
use proxy::upstream::{HostHeader, Target};

const FILES: [&str; 10] = [
    "TLS_CERT",
    "TLS_KEY",
    "UPSTREAM_CA",
    "MIRROR_CONFIG",
    "BASELINE_CLIENT_CERT",
    "BASELINE_CLIENT_KEY",
    "CANDIDATE_CLIENT_CERT",
    "CANDIDATE_CLIENT_KEY",
    "SECONDARY_CLIENT_CERT",
    "SECONDARY_CLIENT_KEY",
];
const URLS: [&str; 3] = ["BASELINE_URL", "CANDIDATE_URL", "SECONDARY_URL"];
/// The name of the settings file.
const FILE: &str = "/nowhere/m.toml";
const DAY: Duration = Duration::from_secs(24 * 3600);
/// What tokio's semaphores can count.
const PERMITS: usize = usize::MAX >> 3;

fuzz_target!(|data: &[u8]| {
    let mut settings = Settings::default();
    for setting in data.split(|byte| *byte == 0) {
        let Some(at) = setting.iter().position(|byte| *byte == b'=') else { continue };
        let (name, value) = (&setting[..at], &setting[at + 1..]);
        if let Some(name) = NAMES.iter().copied().find(|known| known.as_bytes() == name) {
            settings.put(name, value);
        }
    }
    match settings.read() {
        Ok(config) => in_range(&config),
        Err(errors) => explained(&settings, &errors.to_string()),
    }
});

#[derive(Clone, Default)]
struct Settings {
    /// Of the environment.
    said: Vec<(&'static str, Vec<u8>)>,
    /// The text of the file.
    file: Option<String>,
}

impl Settings {
    fn put(&mut self, name: &'static str, value: &[u8]) {
        if self.get(name).is_some() {
            return;
        }
        if name == "MIRROR_CONFIG" {
            self.file = std::str::from_utf8(value)
                .ok()
                .filter(|text| !names_files(text))
                .map(str::to_owned);
            return;
        }
        let mut value = value.to_vec();
        if FILES.contains(&name) && !value.is_empty() {
            contents(&value);
            // Whatever files this machine has, and some of its devices never end, are not read.
            value = [b"/nowhere/", &value[..]].concat();
        }
        self.said.push((name, value));
    }

    fn get(&self, name: &str) -> Option<&[u8]> {
        self.said.iter().find(|(known, _)| *known == name).map(|(_, value)| &value[..])
    }

    fn read(&self) -> Result<Config, Errors> {
        let get = |name: &str| Some(OsString::from_vec(self.get(name)?.to_vec()));
        match &self.file {
            Some(text) => Config::from_text(FILE, text, &get),
            None => Config::from_env(&get),
        }
    }
}

/// What may be in a file that a setting names.
fn contents(pem: &[u8]) {
    let found = certificates(pem);
    assert!(found.is_err() || found.is_ok_and(|found| !found.is_empty()), "no certificate in it");
    assert!(Identity::from_pem(pem, pem).is_err() || pem.windows(4).any(|word| word == b" KEY"));
}

/// Whether a settings file may name other files: whatever files this machine has are not read.
fn names_files(text: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut words = text.split(|c| !is_word(c));
    words.any(|word| word == "ca" || word.ends_with("_cert") || word.ends_with("_key"))
        || ["\\u", "\\U", "\\x"].iter().any(|escape| text.contains(escape))
}

fn explained(settings: &Settings, message: &str) {
    let mut lines = message.lines();
    assert_eq!(lines.next(), Some("bad settings:"));
    let (mut found, mut in_file) = (0, 0);
    for line in lines {
        // What belongs to the error before it.
        let of_line = line.starts_with("   ");
        if settings.file.is_some() && (of_line || line.starts_with(&format!("  {FILE}:"))) {
            assert!(
                of_line || line.contains("allowed is "),
                "does not say what is allowed: {line}"
            );
            assert!(!line.contains(char::is_control) || line.contains('\t'), "{line:?}");
            in_file += usize::from(!of_line);
            found += usize::from(!of_line);
            continue;
        }
        if line.starts_with("  and ") && line.ends_with(" more") {
            continue;
        }
        found += 1;
        let Some((name, rest)) = line.strip_prefix("  ").and_then(|line| line.split_once('='))
        else {
            panic!("names no setting: {line}");
        };
        let given = settings.get(name);
        let given = given.unwrap_or_else(|| panic!("blames what is not set: {line}"));
        assert!(rest.contains("; allowed is "), "does not say what is allowed: {line}");
        if let Ok(text) = std::str::from_utf8(given)
            && URLS.contains(&name)
        {
            user_info_is_not_shown(text, rest);
        }
    }
    assert!(found > 0, "an error that says nothing");
    assert!(in_file <= 50 && message.len() < 200_000, "shows too much");
    the_token_is_not_shown(settings, message);
}

/// Nothing in front of the last `@` but the scheme: whatever is wrong with the rest, that may be a
/// password.
fn user_info_is_not_shown(text: &str, rest: &str) {
    let Some(at) = text.rfind('@') else { return };
    let shown =
        |scheme: &str| rest.starts_with(&format!("{:?}: ", format!("{scheme}…{}", &text[at..])));
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    let plain = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let hidden = shown("") || (plain && shown(&format!("{scheme}://")));
    assert!(hidden, "shows what may be a password: {rest}");
}

/// Another token that is as good or bad gives the same message.
fn the_token_is_not_shown(settings: &Settings, message: &str) {
    let mut other = settings.clone();
    for (name, value) in &mut other.said {
        if *name == "CONTROL_TOKEN" && !value.is_empty() {
            *value = match std::str::from_utf8(value) {
                Err(_) => vec![0xFF],
                Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => b"t".to_vec(),
                Ok(_) => b"t t".to_vec(),
            };
        }
    }
    let again = other.read().expect_err("as bad as before").to_string();
    assert_eq!(message, again, "depends on the token");
}

fn in_range(config: &Config) {
    for time in [
        config.forward.baseline_timeout,
        config.forward.limits.head_timeout,
        config.forward.limits.idle_timeout,
        config.mirror.timeout,
        config.guardrail.cooldown,
        config.drain_timeout,
        config.dns.refresh,
        config.connect_timeout,
    ] {
        assert!(!time.is_zero() && time <= DAY, "{time:?}");
    }
    target(&config.baseline);
    target(&config.candidate);
    config.secondary.iter().for_each(target);
    limits(&config.forward.limits);
    mirror_side(&config.mirror);
    thresholds(&config.guardrail);
    assert_ne!(
        config.admin.filter(|admin| admin.addr.port() != 0),
        Some(config.listen),
        "one address twice"
    );
    for listen in [Some(config.listen), config.admin].into_iter().flatten() {
        assert_eq!(listen.dual_stack, listen.addr.is_ipv6() && listen.addr.ip().is_unspecified());
    }
    assert!(config.tls.is_none(), "without a file");
    drop(Policy::new(&config.mirror.rules, &[Origin::default(), Origin::default()], 7).unused());
    policies(config);
}

/// Candidates and routes are what others rely on.
fn policies(config: &Config) {
    assert!(config.candidates.len() <= 8 && config.routes.len() <= 1000);
    let names: HashSet<_> = config.candidates.iter().map(|it| &*it.name).collect();
    assert_eq!(names.len(), config.candidates.len(), "a name twice");
    for candidate in &config.candidates {
        target(&candidate.target);
        assert!(candidate.name.len() <= 64 && !candidate.name.is_empty());
        thresholds(&candidate.thresholds.over(&config.guardrail));
    }
    let ids: HashSet<_> = config.routes.iter().map(|route| &*route.id).collect();
    assert_eq!(ids.len(), config.routes.len(), "an id twice");
    assert!(config.routes.iter().filter(|route| route.name.is_some()).count() <= 100);
    for route in &config.routes {
        assert!(route.share.is_none_or(|share| share > Share::NONE), "{route:?}");
        let mut named = route.candidates.iter().flatten();
        let known = |name: &Arc<str>| names.contains(&**name) || **name == *policy::CANDIDATE;
        assert!(named.all(known), "{route:?}");
        thresholds(&route.thresholds.over(&config.guardrail));
    }
}

/// It can be called, and says so itself.
fn target(target: &Target) {
    assert!(target.port > 0 && !target.host.is_empty(), "{target:?}");
    let authority: Authority = target.authority().parse().expect("an authority");
    HeaderValue::from_str(authority.as_str()).expect("a value of Host");
    let path = format!("{}/a?b", target.prefix);
    let parsed: PathAndQuery = path.parse().expect("a path");
    assert_eq!(parsed.as_str(), path);
    let scheme = if target.tls { "https" } else { "http" };
    let place = match &target.socket {
        Some(path) => format!("unix:{}:", path.display()),
        None => authority.to_string(),
    };
    let again = Target::parse(&format!("{scheme}://{place}{}", target.prefix));
    // What other settings say of it.
    let plain = Target {
        host_header: HostHeader::default(),
        protocol: proxy::upstream::Protocol::default(),
        tls_name: None,
        client: None,
        announced_from: Networks::default(),
        ..target.clone()
    };
    assert_eq!(again, Ok(plain));
    if let HostHeader::Literal(host) = &target.host_header {
        let host = Authority::try_from(host.as_bytes()).expect("a host");
        assert!(!host.as_str().contains('@') && !host.host().is_empty(), "{host}");
        assert_ne!(host.port_u16(), Some(0), "{host}");
    }
}

fn limits(limits: &Limits) {
    assert!((8192..=1 << 24).contains(&limits.header_bytes), "{limits:?}");
    assert!((1..=10_000).contains(&limits.headers), "{limits:?}");
    assert!((1..=PERMITS).contains(&limits.connections), "{limits:?}");
    assert!((1..=PERMITS).contains(&limits.requests_in_flight), "{limits:?}");
    assert!(limits.streams > 0, "{limits:?}");
    // The library has ranges of its own, and panics outside of them.
    drop(limits.builder());
}

fn mirror_side(mirror: &mirror::Config) {
    let share = mirror.fraction;
    assert!(share == 0.0 || (Share::LEAST.fraction()..=1.0).contains(&share), "{mirror:?}");
    assert!((0.0..=1.0).contains(&mirror.noise_fraction), "{mirror:?}");
    assert!((1..=PERMITS).contains(&mirror.queue_size), "{mirror:?}");
    assert!((1..=PERMITS).contains(&mirror.concurrency), "{mirror:?}");
    assert!(mirror.unreachable_after >= 5, "{mirror:?}");
    if let Some(methods) = &mirror.methods {
        assert!(!methods.is_empty(), "none at all");
        let upper =
            |method: &http::Method| method.as_str().bytes().all(|byte| !byte.is_ascii_lowercase());
        assert!(methods.iter().all(upper), "{methods:?}");
    }
    if let Some((name, _)) = &mirror.mark {
        assert!(is_end_to_end(name), "{name} belongs to one connection");
    }
}

fn is_end_to_end(name: &HeaderName) -> bool {
    const NOT: [&str; 8] = [
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    !NOT.contains(&name.as_str())
}

/// A slow pair can be judged by them.
fn thresholds(config: &guardrail::Config) {
    assert!(config.latency_ratio > 0.0 && config.latency_ratio.is_finite(), "{config:?}");
    assert!(config.error_delta >= 0.0 && config.error_delta.is_finite(), "{config:?}");
    let rate = config.mismatch_rate.unwrap_or(0.5);
    assert!(rate > 0.0 && rate < 1.0 && config.ramp.is_none_or(|ramp| ramp <= DAY), "{config:?}");
    assert!(config.consecutive > 0 && config.latency_floor <= DAY, "{config:?}");
    let mut guardrail = Guardrail::new(config.clone(), gate().0);
    let now = Moment { at: DAY, wall: SystemTime::UNIX_EPOCH };
    for baseline in [Duration::ZERO, Duration::from_millis(1), DAY] {
        let [baseline, candidate] =
            [baseline, DAY].map(|latency| Call { latency: Some(latency), failed: false });
        let pair = Pair::new("GET /", "GET /", baseline, candidate);
        guardrail.observe(&pair, Duration::ZERO, now);
    }
    guardrail.resume_if_due(Moment { at: now.at + DAY, ..now });
    let state = guardrail.snapshot().state;
    let full = config.ramp.is_some() || state == guardrail::State::Enabled;
    assert!(state.is_on() && full, "the cooldown has no end");
}
