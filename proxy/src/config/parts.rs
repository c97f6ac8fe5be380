//! The parts of the configuration, each from its settings.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde_json::json;

use super::env::Env;
use super::{Config, Log, log_filter, values};
use crate::access::Hosts;
use crate::headers::{Chain, Forwarding};
use crate::limits::pace::Pace;
use crate::limits::{LEAST_HEADER_BYTES, Limits};
use crate::listen::proxy_protocol::Networks;
use crate::observe::webhook::Webhook;
use crate::policy::rate::Rate;
use crate::policy::share::{SampleBy, Secret};
use crate::policy::trace::Copies;
use crate::route::Template;
use crate::upstream::{Dns, HeadLimits};
use crate::{forward, mirror};
use judge::{guardrail, report};

/// Longest `mirror.sample_secret`.
const SECRET_MAX: usize = 256;

impl Env<'_> {
    /// Everything.
    pub(super) fn config(&mut self) -> Config {
        let guardrail = self.guardrail();
        let redaction = self.redaction();
        let candidates = self.candidates(&redaction.trusted);
        let (rules, routes) = self.rules_and_routes(&candidates);
        let preparations = self.preparations(&redaction, &candidates, &routes);
        let candidate = candidates.first().map(|first| first.target.clone());
        let control_token = self.control_token();
        let mut config = Config {
            listen: self.read("LISTEN_ADDR", values::listen),
            listeners: self.listeners(),
            admin: self.read_optional("ADMIN_ADDR", values::listen),
            admin_prefix: self.admin_prefix(),
            proxy_protocol_from: self.balancers(),
            tls: self.identity(),
            baseline: self.upstream("baseline"),
            candidate: candidate.unwrap_or_else(|| self.upstream("candidate")),
            candidates,
            routes,
            preparations,
            compare_candidates: self.read("MIRROR_COMPARE_CANDIDATES", values::boolean),
            rate: self.read_optional("MIRROR_RATE", Rate::parse),
            sample_secret: self.sample_secret(),
            secondary: self.secondary(),
            trust: self.trust(),
            dns: Dns { refresh: self.time("DNS_REFRESH"), ..Dns::default() },
            connect_timeout: self.time("CONNECT_TIMEOUT"),
            upstream_idle_timeout: self.time("UPSTREAM_IDLE_TIMEOUT"),
            answer_heads: self.answer_heads(),
            forward: forward::Config {
                baseline_timeout: self.time("BASELINE_TIMEOUT"),
                continue_patience: Duration::from_secs(1),
                forwarding: self.forwarding(),
                limits: self.limits(),
            },
            mirror: mirror::Config { rules, ..self.mirror(guardrail.consecutive) },
            report: self.report(&guardrail),
            guardrail,
            webhook: self.read_optional("ABORT_WEBHOOK", Webhook::parse),
            templates: self.templates(),
            templates_alone: self.word("ROUTE_LABELS") == "templates",
            drain_delay: self.read("DRAIN_DELAY", values::duration),
            drain_timeout: self.time("DRAIN_TIMEOUT"),
            admin_tokens: self.tokens(control_token.as_ref()),
            control_token,
            admin_open: self.read("ADMIN_OPEN", values::boolean),
            admin_hosts: self.admin_hosts(),
            audit: self.audit(),
            record: self.recording(),
            cluster: self.cluster(),
            telemetry: None,
            log: self.log(),
            settings: super::Settings::default(),
            file: None,
            says_nothing: false,
            file_hash: 0,
            warnings: Vec::new(),
        };
        config.telemetry = self.telemetry(&config.trust);
        self.listeners_fit(&config);
        config
    }

    /// Who says with the PROXY protocol who its clients are.
    fn balancers(&mut self) -> Networks {
        let networks = |text: &str| values::whole_list(text, Networks::parse);
        self.read_optional("PROXY_PROTOCOL_FROM", networks).unwrap_or_default()
    }

    /// One address cannot be listened on twice.
    pub(super) fn two_listeners(&mut self, config: &Config) {
        let port = config.listen.addr.port();
        if port != 0 && config.admin == Some(config.listen) {
            let (admin, listen) = (self.slot("ADMIN_ADDR"), self.slot("LISTEN_ADDR"));
            if let Some(given) = self.given(&admin) {
                let why = format!("is {}", self.called(&listen));
                self.bad_for(&admin, &given, &why, "another address, or leave it unset");
            }
        }
    }

    /// One of the words that the table has.
    fn word(&mut self, key: &str) -> String {
        let words = self.slot(key).setting.allowed_words();
        self.read(key, |text| {
            if words.contains(&text) { Ok(text.to_owned()) } else { Err("is unknown".to_owned()) }
        })
    }

    /// Of all requests. Where it was rounded, what holds is shown.
    fn share(&mut self) -> f64 {
        let share = self.read("MIRROR_FRACTION", values::share);
        let said = self.settings.get("mirror.share").and_then(|it| it.value.as_f64());
        if said != Some(share) {
            self.settings.follows("mirror.share", json!(share));
        }
        share
    }

    fn admin_prefix(&mut self) -> String {
        self.read_optional("ADMIN_PREFIX", values::path_prefix).unwrap_or_default()
    }

    fn admin_hosts(&mut self) -> Hosts {
        let read = |text: &str| values::whole_list(text, Hosts::parse);
        self.read_optional("ADMIN_HOSTS", read).unwrap_or_default()
    }

    fn sample_secret(&mut self) -> Secret {
        let secret = self.read_optional("MIRROR_SAMPLE_SECRET", |text| {
            if text.len() > SECRET_MAX { Err("is longer".to_owned()) } else { Ok(text.to_owned()) }
        });
        secret.map_or_else(Secret::default, |text| Secret::of(&text))
    }

    fn forwarding(&mut self) -> Forwarding {
        Forwarding {
            x_forwarded: self.read("X_FORWARDED_HEADERS", Chain::parse),
            forwarded: self.read("FORWARDED_HEADER", Chain::parse),
            via: self.read("VIA_HEADER", Chain::parse),
        }
    }

    fn limits(&mut self) -> Limits {
        let requests_in_flight = self.read("MAX_REQUESTS_IN_FLIGHT", values::permits);
        let connections = self.read("MAX_CONNECTIONS", values::permits);
        let rate = self.read("MIN_RATE", |text| values::whole(text, 1));
        let (read, write) = (self.time("READ_TIMEOUT"), self.time("WRITE_TIMEOUT"));
        Limits {
            header_bytes: self.read("MAX_HEADER_BYTES", head_bytes),
            headers: self.read("MAX_HEADERS", head_lines),
            head_timeout: self.time("HEAD_TIMEOUT"),
            idle_timeout: self.time("IDLE_TIMEOUT"),
            connections,
            connections_per_client: self.per_client("MAX_CONNECTIONS_PER_CLIENT", connections),
            streams: self.read("MAX_STREAMS", |text| values::whole(text, 1)),
            requests_in_flight,
            requests_per_client: self.per_client("MAX_REQUESTS_PER_CLIENT", requests_in_flight),
            read: Pace { period: read, rate },
            write: Pace { period: write, rate },
            request_bytes: self.read_optional("MAX_REQUEST_BYTES", |text| values::whole(text, 0)),
        }
    }

    /// Behind a balancer that does not tell, all clients are one.
    fn per_client(&mut self, key: &str, all: usize) -> usize {
        let said = self.read_optional(key, values::permits);
        said.unwrap_or_else(|| {
            let share = all.saturating_sub(all / 4);
            self.settings.follows(self.slot(key).setting.place, json!(share));
            share
        })
    }

    fn answer_heads(&mut self) -> HeadLimits {
        HeadLimits {
            bytes: self.read("MAX_RESPONSE_HEADER_BYTES", head_bytes),
            lines: self.read("MAX_RESPONSE_HEADERS", head_lines),
        }
    }

    /// All but the rules.
    fn mirror(&mut self, consecutive: u32) -> mirror::Config {
        mirror::Config {
            fraction: self.share(),
            methods: self.read_optional("MIRROR_METHODS", values::methods),
            unsafe_methods: self.read("MIRROR_UNSAFE_METHODS", values::boolean),
            mark: self.mark(),
            timeout: self.time("MIRROR_TIMEOUT"),
            max_body_bytes: self.read("MIRROR_MAX_BODY_BYTES", |text| values::whole(text, 0)),
            queue_size: self.read("MIRROR_QUEUE_SIZE", values::permits),
            concurrency: self.read("MIRROR_CONCURRENCY", values::permits),
            buffer_bytes: self.read("MIRROR_BUFFER_BYTES", |text| values::whole(text, 0)),
            body: self.read("MIRROR_BODY", values::boolean),
            order_by: self.read("MIRROR_ORDER_BY", SampleBy::parse_or_off),
            trust_mark: self.read("MIRROR_TRUST_MARK", values::boolean),
            traces: self.read("TRACE_COPIES", Copies::parse),
            // The guardrail's rule comes first.
            unreachable_after: consecutive.max(5),
            noise_fraction: self.read("NOISE_FRACTION", |text| {
                values::number(text, |number| (0.0..=1.0).contains(&number))
            }),
            rules: compare::rules::RuleBook::default(),
        }
    }

    /// The one setting for which empty is a value: it turns the mark off.
    fn mark(&mut self) -> Option<(HeaderName, HeaderValue)> {
        let slot = self.slot("MIRROR_MARK_HEADER");
        let name = slot.env.unwrap_or_default();
        if (self.get)(name).is_some_and(|value| value.is_empty()) {
            self.check_overruled(&slot, values::mark);
            let given = super::env::Given { text: String::new(), node: None };
            self.note(&slot, Some(&given));
            return None;
        }
        self.read_in(&slot, values::mark)
    }

    fn guardrail(&mut self) -> guardrail::Config {
        guardrail::Config {
            latency_ratio: self.read("ABORT_P99_RATIO", values::above_zero),
            error_delta: self.read("ABORT_ERROR_DELTA", values::zero_or_more),
            consecutive: self.read("ABORT_CONSECUTIVE", |text| values::whole(text, 1)),
            latency_floor: self.read("ABORT_LATENCY_FLOOR", values::duration),
            cooldown: self.time("ABORT_COOLDOWN"),
            mismatch_rate: self.read("ABORT_MISMATCH_RATE", values::rate_or_off),
            ramp: self
                .read("ABORT_RAMP", |text| values::unless_off(text, values::duration_above_zero)),
            warmup: self.read("WARMUP", values::duration),
            observe_only: self.word("GUARDRAIL") == "observe",
        }
    }

    /// What the guardrail allows; mismatches have a limit here in any case.
    fn report(&mut self, guardrail: &guardrail::Config) -> report::Allowed {
        let said = self.read_optional("REPORT_MISMATCH_RATE", values::rate);
        let mismatch_rate = said.or(guardrail.mismatch_rate).unwrap_or(0.01);
        self.settings.follows("report.mismatch_rate", json!(mismatch_rate));
        report::Allowed {
            status_rate: self.read("REPORT_STATUS_RATE", values::rate),
            mismatch_rate,
            error_delta: guardrail.error_delta,
            latency_ratio: guardrail.latency_ratio,
            latency_floor: guardrail.latency_floor,
        }
    }

    fn templates(&mut self) -> Vec<Template> {
        let parse = |text: &str| {
            values::list(text, |item| {
                Template::parse(item).map_err(|why| format!("{item:?} {why}"))
            })
        };
        self.read_optional("ROUTE_TEMPLATES", parse).unwrap_or_default()
    }

    fn log(&mut self) -> Log {
        let json = self.word("LOG_FORMAT") == "json";
        let filter = self.read("LOG_LEVEL", |text| {
            log_filter(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
        });
        Log { json, filter }
    }
}

fn head_bytes(text: &str) -> values::Parsed<usize> {
    values::within(text, LEAST_HEADER_BYTES..=1 << 24)
}

fn head_lines(text: &str) -> values::Parsed<usize> {
    values::within(text, 1..=10_000)
}
