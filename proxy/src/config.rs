//! The only reader of the environment: what is written there in, checked values out, all errors
//! at once.

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use http::HeaderValue;
use tokio_rustls::rustls::pki_types::ServerName;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

mod files;
mod plan;
mod rules;
mod values;

use crate::control::access::{Access, Hosts, Token};
use crate::headers::{Chain, Forwarding};
use crate::limits::pace::Pace;
use crate::limits::{LEAST_HEADER_BYTES, Limits};
use crate::listen::Listen;
use crate::listen::proxy_protocol::Networks;
use crate::listen::tls::Identity;
use crate::observe::webhook::Webhook;
use crate::policy::rate::Rate;
use crate::route::Template;
use crate::upstream::{Dns, HeadLimits, HostHeader, Protocol, Target, Trust};
use crate::{forward, mirror, policy};
use compare::rules::RuleBook;
use judge::{guardrail, report};
use values::Parsed;

/// All settings of a proxy, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where client traffic is taken.
    pub listen: Listen,
    /// A listener of their own for the admin endpoints.
    pub admin: Option<Listen>,
    /// What the paths of the admin endpoints begin with; empty, or such as `/_mirrorlab`.
    pub admin_prefix: String,
    /// Balancers, which say on the traffic listener with the PROXY protocol who their clients are.
    pub proxy_protocol_from: Networks,
    /// Makes the traffic listener speak TLS.
    pub tls: Option<Identity>,
    /// Where real requests go.
    pub baseline: Target,
    /// Where copies go.
    pub candidate: Target,
    /// The candidates of the settings file; where there is none, `candidate` is the only one.
    pub candidates: Vec<policy::Candidate>,
    /// The routes of the settings file, in order.
    pub routes: Vec<policy::RoutePolicy>,
    /// Copies a second over all candidates and routes.
    pub rate: Option<Rate>,
    /// Where keys of `sample_by` fall among a million; the same on every replica.
    pub sample_secret: u64,
    /// A second baseline, which tells what differs without a change.
    pub secondary: Option<Target>,
    /// Whom an https upstream is believed.
    pub trust: Trust,
    /// How the names of both are resolved.
    pub dns: Dns,
    /// To connect to any upstream: its name, TCP and TLS.
    pub connect_timeout: Duration,
    /// How long a connection to an HTTP/1.1 upstream may wait where the server does not say.
    pub upstream_idle_timeout: Duration,
    /// How large the head of an answer may be, whoever sends it.
    pub answer_heads: HeadLimits,
    /// The main path.
    pub forward: forward::Config,
    /// The mirror side.
    pub mirror: mirror::Config,
    /// The guardrail.
    pub guardrail: guardrail::Config,
    /// What the report's verdict allows.
    pub report: report::Allowed,
    /// Told of each change of the guardrail's state.
    pub webhook: Option<Webhook>,
    /// For route labels.
    pub templates: Vec<Template>,
    /// Whether route labels are made of templates alone.
    pub templates_alone: bool,
    /// How long it is not ready but takes connections, once it is told to stop.
    pub drain_delay: Duration,
    /// How long requests in flight may take after that.
    pub drain_timeout: Duration,
    /// Asked for by `POST /control/*`.
    pub control_token: Option<Token>,
    /// Lets everyone on the traffic listener use the admin endpoints.
    pub admin_open: bool,
    /// Names by which the proxy may be asked for values of traffic.
    pub admin_hosts: Hosts,
    /// Log lines.
    pub log: Log,
}

/// How log lines look, and which there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// One JSON object a line, rather than text.
    pub json: bool,
    /// A filter such as `info` or `proxy=debug`.
    pub filter: String,
}

impl Default for Config {
    fn default() -> Self {
        Self::from_env(&|_| None).expect("the defaults are allowed values")
    }
}

/// All settings that are wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct Errors(Vec<String>);

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "bad settings:")?;
        self.0.iter().try_for_each(|error| writeln!(f, "  {error}"))
    }
}

impl std::error::Error for Errors {}

/// What a time may be that may be none.
const LEAST_TIME: &str = "0, or whole seconds, or a number with a unit such as 2ms, at most 24h";

/// The names of all settings.
pub const NAMES: &[&str] = &[
    "BASELINE_URL",
    "CANDIDATE_URL",
    "BASELINE_HOST",
    "CANDIDATE_HOST",
    "BASELINE_HTTP",
    "CANDIDATE_HTTP",
    "SECONDARY_URL",
    "SECONDARY_HOST",
    "SECONDARY_HTTP",
    "BASELINE_TLS_NAME",
    "CANDIDATE_TLS_NAME",
    "SECONDARY_TLS_NAME",
    "BASELINE_CLIENT_CERT",
    "BASELINE_CLIENT_KEY",
    "CANDIDATE_CLIENT_CERT",
    "CANDIDATE_CLIENT_KEY",
    "SECONDARY_CLIENT_CERT",
    "SECONDARY_CLIENT_KEY",
    "NOISE_FRACTION",
    "MIRROR_FRACTION",
    "LISTEN_ADDR",
    "PROXY_PROTOCOL_FROM",
    "TLS_CERT",
    "TLS_KEY",
    "UPSTREAM_CA",
    "ABORT_P99_RATIO",
    "ABORT_ERROR_DELTA",
    "ABORT_CONSECUTIVE",
    "ABORT_LATENCY_FLOOR",
    "ABORT_COOLDOWN",
    "ABORT_MISMATCH_RATE",
    "ABORT_RAMP",
    "WARMUP",
    "ABORT_WEBHOOK",
    "GUARDRAIL",
    "REPORT_MISMATCH_RATE",
    "REPORT_STATUS_RATE",
    "MIRROR_TIMEOUT",
    "MIRROR_MAX_BODY_BYTES",
    "MIRROR_QUEUE_SIZE",
    "MIRROR_CONCURRENCY",
    "MIRROR_BUFFER_BYTES",
    "MIRROR_BODY",
    "MIRROR_METHODS",
    "MIRROR_MARK_HEADER",
    "MIRROR_TRUST_MARK",
    "MIRROR_CONFIG",
    "CONNECT_TIMEOUT",
    "UPSTREAM_IDLE_TIMEOUT",
    "BASELINE_TIMEOUT",
    "ROUTE_TEMPLATES",
    "ROUTE_LABELS",
    "X_FORWARDED_HEADERS",
    "FORWARDED_HEADER",
    "VIA_HEADER",
    "DRAIN_DELAY",
    "DRAIN_TIMEOUT",
    "ADMIN_ADDR",
    "ADMIN_PREFIX",
    "CONTROL_TOKEN",
    "ADMIN_OPEN",
    "ADMIN_HOSTS",
    "LOG_FORMAT",
    "LOG_LEVEL",
    "MAX_HEADER_BYTES",
    "MAX_HEADERS",
    "MAX_RESPONSE_HEADER_BYTES",
    "MAX_RESPONSE_HEADERS",
    "HEAD_TIMEOUT",
    "IDLE_TIMEOUT",
    "MAX_CONNECTIONS",
    "MAX_CONNECTIONS_PER_CLIENT",
    "MAX_STREAMS",
    "MAX_REQUESTS_IN_FLIGHT",
    "MAX_REQUESTS_PER_CLIENT",
    "MAX_REQUEST_BYTES",
    "READ_TIMEOUT",
    "WRITE_TIMEOUT",
    "MIN_RATE",
    "DNS_REFRESH",
];

const TIME: &str =
    "whole seconds, or a number with a unit such as 500ms or 2m, above 0 and at most 24h";
const URL: &str = "an http or https URL without user info, query and fragment, or \
                   http://unix:/path/of.sock:/prefix";
const ADDRESS: &str = "an address such as :8080, 127.0.0.1:8080 or [::]:8080";

impl Config {
    /// The settings of this process.
    ///
    /// # Errors
    /// Every bad setting.
    pub fn from_process_env() -> Result<Self, Errors> {
        Self::from_process_env_with(&[])
    }

    /// As [`Config::from_process_env`], with other defaults for some settings.
    ///
    /// # Errors
    /// Every bad setting.
    #[expect(clippy::disallowed_methods, reason = "the one module that reads the environment")]
    pub fn from_process_env_with(defaults: &[(&str, &str)]) -> Result<Self, Errors> {
        Self::from_env(&|name| {
            let default = || defaults.iter().find(|(setting, _)| *setting == name);
            std::env::var_os(name).or_else(|| default().map(|(_, value)| OsString::from(value)))
        })
    }

    /// Variables of this process that look like settings and are none.
    #[expect(clippy::disallowed_methods, reason = "the one module that reads the environment")]
    pub fn unknown_in_process_env() -> Vec<String> {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        Self::unknown(names)
    }

    /// Of these variables those that look like settings and are none.
    pub fn unknown(names: impl Iterator<Item = String>) -> Vec<String> {
        names
            .filter(|name| {
                ["MIRROR_", "ABORT_", "REPORT_"].iter().any(|start| name.starts_with(start))
            })
            .filter(|name| !NAMES.contains(&name.as_str()))
            .collect()
    }

    /// The settings that `get` knows; the others have their defaults.
    ///
    /// # Errors
    /// Every bad setting.
    pub fn from_env(get: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, Errors> {
        let mut env = Env { get, errors: Vec::new() };
        let forward = forward::Config {
            baseline_timeout: env.time("BASELINE_TIMEOUT", "60s"),
            continue_patience: Duration::from_secs(1),
            forwarding: env.forwarding(),
            limits: env.limits(),
        };
        let guardrail = env.guardrail();
        let mirror = env.mirror(guardrail.consecutive);
        let config = Self {
            listen: env.read("LISTEN_ADDR", ":8080", ADDRESS, values::listen),
            admin: env.read_optional("ADMIN_ADDR", ADDRESS, values::listen),
            admin_prefix: env.admin_prefix(),
            proxy_protocol_from: env.balancers(),
            tls: env.identity(),
            baseline: env.upstream(
                ["BASELINE_URL", "BASELINE_HOST", "BASELINE_HTTP"],
                "http://service-v1:4001",
            ),
            candidate: env.upstream(
                ["CANDIDATE_URL", "CANDIDATE_HOST", "CANDIDATE_HTTP"],
                "http://service-v2:4002",
            ),
            candidates: Vec::new(),
            routes: Vec::new(),
            rate: None,
            sample_secret: 0,
            secondary: env.secondary(),
            trust: env.trust(),
            dns: Dns { refresh: env.time("DNS_REFRESH", "10s"), ..Dns::default() },
            connect_timeout: env.time("CONNECT_TIMEOUT", "5s"),
            upstream_idle_timeout: env.time("UPSTREAM_IDLE_TIMEOUT", "4s"),
            answer_heads: env.answer_heads(),
            forward,
            mirror,
            report: env.report(&guardrail),
            guardrail,
            webhook: env.webhook(),
            templates: env.templates(),
            templates_alone: env.templates_alone(),
            drain_delay: env.read(
                "DRAIN_DELAY",
                "0",
                "0, or whole seconds, or a number with a unit such as 500ms, at most 24h",
                values::duration,
            ),
            drain_timeout: env.time("DRAIN_TIMEOUT", "25s"),
            control_token: env.token(),
            admin_open: env.read("ADMIN_OPEN", "false", "true or false", values::boolean),
            admin_hosts: env.admin_hosts(),
            log: env.log(),
        };
        let port = config.listen.addr.port();
        if port != 0 && config.admin == Some(config.listen) {
            env.errors.push(format!(
                "ADMIN_ADDR={:?}: is LISTEN_ADDR; allowed is another address, or leave it unset",
                config.listen.addr.to_string()
            ));
        }
        if env.errors.is_empty() { Ok(config) } else { Err(Errors(env.errors)) }
    }

    /// Who may use the admin endpoints.
    pub fn access(&self) -> Access {
        Access {
            token: self.control_token.clone(),
            own_listener: self.admin.is_some(),
            open: self.admin_open,
            hosts: self.admin_hosts.clone(),
        }
    }
}

/// Reads the text of a file of rules, as `MIRROR_CONFIG` names one.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_rules(file: &str, text: &str) -> Result<RuleBook, Errors> {
    let mut errors = Vec::new();
    let book = rules::parse(file, text, &mut errors);
    if errors.is_empty() { Ok(book) } else { Err(Errors(errors)) }
}

/// Reads settings and gathers what is wrong with them.
struct Env<'a> {
    get: &'a dyn Fn(&str) -> Option<OsString>,
    errors: Vec<String>,
}

impl Env<'_> {
    /// The text of a setting; an empty one is an unset one.
    fn text(&mut self, name: &str) -> Option<String> {
        let value = (self.get)(name).filter(|value| !value.is_empty())?;
        match value.into_string() {
            Ok(text) => Some(text),
            Err(value) => {
                let shown = if ["CONTROL_TOKEN", "ABORT_WEBHOOK"].contains(&name) {
                    "(not shown)".into()
                } else {
                    value
                };
                self.errors.push(format!("{name}={shown:?}: is not UTF-8; allowed is plain text"));
                None
            }
        }
    }

    fn read<T>(
        &mut self,
        name: &str,
        default: &str,
        allowed: &str,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> T {
        let given = self.read_optional(name, allowed, &parse);
        given.unwrap_or_else(|| parse(default).expect("a default is an allowed value"))
    }

    fn read_optional<T>(
        &mut self,
        name: &str,
        allowed: &str,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Option<T> {
        let text = self.text(name)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(why) => {
                self.errors.push(format!("{name}={text:?}: {why}; allowed is {allowed}"));
                None
            }
        }
    }

    fn time(&mut self, name: &str, default: &str) -> Duration {
        self.read(name, default, TIME, values::duration_above_zero)
    }

    fn share(&mut self, name: &str, default: &str) -> f64 {
        self.read(name, default, "a number from 0.0 to 1.0", |text| {
            values::number(text, |number| (0.0..=1.0).contains(&number))
        })
    }

    fn url(&mut self, name: &str, default: &str) -> Target {
        let text = self.text(name).unwrap_or_else(|| default.to_owned());
        Target::parse(&text).unwrap_or_else(|why| {
            let shown = without_user_info(&text);
            self.errors.push(format!("{name}={shown:?}: {why}; allowed is {URL}"));
            Target::parse(default).expect("a default is an allowed value")
        })
    }

    fn upstream(&mut self, [url, host, protocol]: [&str; 3], default: &str) -> Target {
        let mut target = self.url(url, default);
        let allowed = "target, preserve, or a host with or without a port";
        target.host_header = self.read(host, "target", allowed, HostHeader::parse);
        target.protocol = self.read(protocol, "auto", "auto, 1 or 2", Protocol::parse);
        self.tls_towards(url, &mut target);
        target
    }

    /// The name that an https upstream must have, and what is shown to it.
    fn tls_towards(&mut self, url: &str, target: &mut Target) {
        let role = url.trim_end_matches("_URL");
        let names = ["TLS_NAME", "CLIENT_CERT", "CLIENT_KEY"].map(|end| format!("{role}_{end}"));
        let [name, cert, key] = &names;
        target.tls_name = self.read_optional(name, "a DNS name or an IP address", |text| {
            ServerName::try_from(text.to_owned()).map_err(|_| "is neither".to_owned())
        });
        target.client = self.client_identity(cert, key);
        let set = [(name, target.tls_name.is_some()), (cert, target.client.is_some())];
        // A second baseline that is not there speaks neither.
        let is_there = role != "SECONDARY" || self.is_set(url);
        for (name, _) in set.iter().filter(|(_, is_set)| *is_set && is_there && !target.tls) {
            let given = self.text(name).unwrap_or_default();
            let why = format!("{url} is no https URL");
            self.errors.push(format!("{name}={given:?}: {why}; allowed is unset, or https"));
        }
    }

    fn balancers(&mut self) -> Networks {
        let allowed = "a comma-separated list of networks such as 10.0.0.0/8, or addresses";
        let networks = self.read_optional("PROXY_PROTOCOL_FROM", allowed, Networks::parse);
        networks.unwrap_or_default()
    }

    fn is_set(&self, name: &str) -> bool {
        (self.get)(name).is_some_and(|value| !value.is_empty())
    }

    fn secondary(&mut self) -> Option<Target> {
        let is_set = self.is_set("SECONDARY_URL");
        let names = ["SECONDARY_URL", "SECONDARY_HOST", "SECONDARY_HTTP"];
        // The two others are checked in any case.
        let target = self.upstream(names, "http://service-v1:4001");
        is_set.then_some(target)
    }

    fn forwarding(&mut self) -> Forwarding {
        let mut read =
            |name, default| self.read(name, default, "off, extend or replace", Chain::parse);
        Forwarding {
            x_forwarded: read("X_FORWARDED_HEADERS", "extend"),
            forwarded: read("FORWARDED_HEADER", "off"),
            via: read("VIA_HEADER", "off"),
        }
    }

    fn limits(&mut self) -> Limits {
        let least_1 = "a whole number of at least 1";
        let head = LEAST_HEADER_BYTES..=1 << 24;
        let requests_in_flight =
            self.read("MAX_REQUESTS_IN_FLIGHT", "4096", least_1, values::permits);
        let per_client = self.read_optional("MAX_REQUESTS_PER_CLIENT", least_1, values::permits);
        let connections = self.read("MAX_CONNECTIONS", "10000", least_1, values::permits);
        let connections_per_client =
            self.read_optional("MAX_CONNECTIONS_PER_CLIENT", least_1, values::permits);
        // Behind a balancer that does not tell, all clients are one.
        let share = |all: usize| all.saturating_sub(all / 4);
        let rate = self
            .read("MIN_RATE", "240", "a whole number of at least 1", |text| values::whole(text, 1));
        let mut pace = |name| Pace { period: self.time(name, "60s"), rate };
        let (read, write) = (pace("READ_TIMEOUT"), pace("WRITE_TIMEOUT"));
        Limits {
            header_bytes: self.read(
                "MAX_HEADER_BYTES",
                "65536",
                "a whole number of bytes from 8192 to 16777216",
                |text| values::within(text, head.clone()),
            ),
            headers: self.read("MAX_HEADERS", "100", "a whole number from 1 to 10000", |text| {
                values::within(text, 1..=10_000)
            }),
            head_timeout: self.time("HEAD_TIMEOUT", "10s"),
            idle_timeout: self.time("IDLE_TIMEOUT", "75s"),
            connections,
            connections_per_client: connections_per_client.unwrap_or_else(|| share(connections)),
            streams: self.read("MAX_STREAMS", "200", least_1, |text| values::whole(text, 1)),
            requests_in_flight,
            requests_per_client: per_client.unwrap_or_else(|| share(requests_in_flight)),
            read,
            write,
            request_bytes: self.read_optional(
                "MAX_REQUEST_BYTES",
                "a whole number of bytes, 0 or more",
                |text| values::whole(text, 0),
            ),
        }
    }

    fn answer_heads(&mut self) -> HeadLimits {
        let (bytes, lines) = (LEAST_HEADER_BYTES..=1 << 24, 1..=10_000);
        HeadLimits {
            bytes: self.read(
                "MAX_RESPONSE_HEADER_BYTES",
                "524288",
                "a whole number of bytes from 8192 to 16777216",
                |text| values::within(text, bytes.clone()),
            ),
            lines: self.read(
                "MAX_RESPONSE_HEADERS",
                "1000",
                "a whole number from 1 to 10000",
                |text| values::within(text, lines.clone()),
            ),
        }
    }

    fn mirror(&mut self, consecutive: u32) -> mirror::Config {
        let least_1 = "a whole number of at least 1";
        mirror::Config {
            fraction: self.share("MIRROR_FRACTION", "0.25"),
            methods: self.read_optional(
                "MIRROR_METHODS",
                "a comma-separated list of methods such as GET,HEAD",
                values::methods,
            ),
            mark: self.mark(),
            timeout: self.time("MIRROR_TIMEOUT", "10s"),
            max_body_bytes: self.read(
                "MIRROR_MAX_BODY_BYTES",
                "1048576",
                "a whole number of bytes, 0 or more",
                |text| values::whole(text, 0),
            ),
            queue_size: self.read("MIRROR_QUEUE_SIZE", "256", least_1, values::permits),
            concurrency: self.read("MIRROR_CONCURRENCY", "64", least_1, values::permits),
            buffer_bytes: self.read(
                "MIRROR_BUFFER_BYTES",
                "67108864",
                "a whole number of bytes, 0 or more",
                |text| values::whole(text, 0),
            ),
            body: self.read("MIRROR_BODY", "true", "true or false", values::boolean),
            trust_mark: self.read("MIRROR_TRUST_MARK", "false", "true or false", values::boolean),
            noise_fraction: self.share("NOISE_FRACTION", "0.05"),
            // The guardrail's rule comes first.
            unreachable_after: consecutive.max(5),
            rules: self.rules(),
        }
    }

    /// The one setting for which empty is a value: it turns the mark off.
    fn mark(&mut self) -> Option<(http::HeaderName, HeaderValue)> {
        let name = "MIRROR_MARK_HEADER";
        if (self.get)(name).is_some_and(|value| value.is_empty()) {
            return None;
        }
        let allowed =
            "a header line such as \"X-Mirror: 1\" of an end-to-end header, or empty for none";
        Some(self.read(name, "X-Mirror: 1", allowed, values::header_line))
    }

    fn guardrail(&mut self) -> guardrail::Config {
        guardrail::Config {
            latency_ratio: self.read("ABORT_P99_RATIO", "1.15", "a number above 0", |text| {
                values::number(text, |number| number > 0.0)
            }),
            error_delta: self.read("ABORT_ERROR_DELTA", "0.005", "a number of 0 or more", |text| {
                values::number(text, |number| number >= 0.0)
            }),
            consecutive: self.read(
                "ABORT_CONSECUTIVE",
                "5",
                "a whole number of at least 1",
                |text| values::whole(text, 1),
            ),
            latency_floor: self.read("ABORT_LATENCY_FLOOR", "2ms", LEAST_TIME, values::duration),
            cooldown: self.time("ABORT_COOLDOWN", "10"),
            mismatch_rate: self.read(
                "ABORT_MISMATCH_RATE",
                "off",
                "off, or a number above 0 and below 1",
                |text| {
                    values::unless_off(text, |text| {
                        values::number(text, |number| number > 0.0 && number < 1.0)
                    })
                },
            ),
            ramp: self.read("ABORT_RAMP", "off", &format!("off, or {TIME}"), |text| {
                values::unless_off(text, values::duration_above_zero)
            }),
            warmup: self.read("WARMUP", "0", LEAST_TIME, values::duration),
            observe_only: self.read("GUARDRAIL", "on", "on or observe", |text| match text {
                "on" => Ok(false),
                "observe" => Ok(true),
                _ => Err(String::new()),
            }),
        }
    }

    /// What the guardrail allows; mismatches have a limit here in any case.
    fn report(&mut self, guardrail: &guardrail::Config) -> report::Allowed {
        let allowed = "a number above 0 and below 1";
        let mismatch_rate = self.read_optional("REPORT_MISMATCH_RATE", allowed, |text| {
            values::number(text, |number| number > 0.0 && number < 1.0)
        });
        let status_rate = self.read("REPORT_STATUS_RATE", "0.0025", allowed, |text| {
            values::number(text, |number| number > 0.0 && number < 1.0)
        });
        report::Allowed {
            status_rate,
            mismatch_rate: mismatch_rate.or(guardrail.mismatch_rate).unwrap_or(0.01),
            error_delta: guardrail.error_delta,
            latency_ratio: guardrail.latency_ratio,
            latency_floor: guardrail.latency_floor,
        }
    }

    // Its path is often a secret: it is never shown.
    fn webhook(&mut self) -> Option<Webhook> {
        let text = self.text("ABORT_WEBHOOK")?;
        let parsed = Webhook::parse(&text);
        if let Err(why) = &parsed {
            self.errors.push(format!(
                "ABORT_WEBHOOK=(not shown): {why}; allowed is an http or https URL without user \
                 info and fragment"
            ));
        }
        parsed.ok()
    }

    fn templates(&mut self) -> Vec<Template> {
        let allowed = "a comma-separated list of path templates such as /users/{name}/cart";
        let parse = |text: &str| {
            let parse = |item| Template::parse(item).map_err(|why| format!("{item:?} {why}"));
            values::items(text).map(parse).collect()
        };
        self.read_optional("ROUTE_TEMPLATES", allowed, parse).unwrap_or_default()
    }

    fn templates_alone(&mut self) -> bool {
        self.read("ROUTE_LABELS", "paths", "paths or templates", |text| match text {
            "paths" => Ok(false),
            "templates" => Ok(true),
            _ => Err("is unknown".to_owned()),
        })
    }

    fn admin_prefix(&mut self) -> String {
        let allowed = "a path such as /_mirrorlab, of letters, digits and any of -._~/, without a \
            slash at its end";
        self.read_optional("ADMIN_PREFIX", allowed, values::path_prefix).unwrap_or_default()
    }

    fn admin_hosts(&mut self) -> Hosts {
        let allowed = "a comma-separated list of host names such as proxy.internal, without ports";
        self.read_optional("ADMIN_HOSTS", allowed, Hosts::parse).unwrap_or_default()
    }

    fn token(&mut self) -> Option<Token> {
        let token = self.text("CONTROL_TOKEN")?;
        if token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Some(Token::new(token));
        }
        self.errors.push(
            "CONTROL_TOKEN=(not shown): has white space or characters outside ASCII; \
             allowed is visible ASCII"
                .to_owned(),
        );
        None
    }

    fn log(&mut self) -> Log {
        let json = self.read("LOG_FORMAT", "text", "text or json", |text| match text {
            "text" => Ok(false),
            "json" => Ok(true),
            _ => Err("unknown".to_owned()),
        });
        let allowed = "a level such as info, or a filter such as proxy=debug";
        let filter = self.read("LOG_LEVEL", "info", allowed, |text| {
            log_filter(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
        });
        Log { json, filter }
    }
}

/// Reads `LOG_LEVEL`. Values of fields in it are texts: a short regular expression may take seconds to
/// make ready.
///
/// # Errors
/// Where it is none.
pub fn log_filter(text: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().with_regex(false).parse(text)
}

/// All in front of the last `@` is left out but the scheme: in a URL that is wrong, a password may
/// be where the path should begin.
fn without_user_info(url: &str) -> String {
    let Some(at) = url.rfind('@') else { return url.to_owned() };
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    let scheme = if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) { scheme } else { "" };
    let start = if scheme.is_empty() { "" } else { &url[..scheme.len() + 3] };
    format!("{start}…{}", &url[at..])
}

#[cfg(test)]
mod tests;
