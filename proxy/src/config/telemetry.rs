//! Where spans go, by OpenTelemetry's own variables. They are often those of a whole machine: as OpenTelemetry asks,
//! a word or a number that is wrong is warned of and its default holds. What would leave nowhere to go is
//! an error like that of any setting.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use super::env::Env;
use super::files;
use crate::listen::tls::certificates;
use crate::telemetry::sampler::Sampler;
use crate::telemetry::{Batches, Config, Endpoint, Protocol, Wire};
use crate::upstream::{ClientIdentity, Trust};

/// Largest file with certificates.
const PEM_MAX: u64 = 4 << 20;
/// Most spans that may wait.
const QUEUE_MAX: usize = 1_000_000;
/// Longest time.
const TIME_MAX: u64 = 24 * 60 * 60 * 1000;
const URL: &str = "an http or https URL without user info and fragment";

impl Env<'_> {
    /// `None` where nobody is to have spans.
    pub(super) fn telemetry(&mut self, trust: &Trust) -> Option<Config> {
        let is_off =
            self.otel("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true"));
        // Without an address nobody looks at the rest.
        let (name, url) = self.of_spans("ENDPOINT").filter(|_| !is_off)?;
        if !self.goes_by_otlp() {
            return None;
        }
        let protocol = self.protocol();
        let endpoint = self.endpoint((&name, &url), protocol)?.with_identity(self.client());
        let queue = self.number("OTEL_BSP_MAX_QUEUE_SIZE", 2048, 1..=QUEUE_MAX);
        let size = self.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", queue.min(512), 1..=queue);
        let batches = Batches {
            queue,
            size,
            delay: self.millis("OTEL_BSP_SCHEDULE_DELAY", 5000),
            timeout: self.millis("OTEL_BSP_EXPORT_TIMEOUT", 30_000),
        };
        let timeout = self.of_spans("TIMEOUT").map(|(name, _)| name).unwrap_or_default();
        let wire = Wire {
            endpoint,
            protocol,
            headers: self.otlp_headers(),
            timeout: self.millis(&timeout, 10_000),
            gzip: self.gzip(),
            trust: self.collector_trust(trust),
        };
        Some(Config { wire, resource: self.resource(), sampler: self.sampler(), batches })
    }

    /// What a variable says; an empty one says nothing.
    fn otel(&self, name: &str) -> Option<String> {
        let said = (self.get)(name)?.into_string().ok()?;
        Some(said).filter(|text| !text.trim().is_empty())
    }

    /// What is said for spans, or else for all signals, and by which variable.
    fn of_spans(&self, what: &str) -> Option<(String, String)> {
        let names = ["OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"];
        let mut names = names.into_iter().map(|start| format!("{start}{what}"));
        names.find_map(|name| self.otel(&name).map(|said| (name, said)))
    }

    /// Tells that a value is not followed.
    fn not_followed(&mut self, name: &str, said: &str, allowed: &str, instead: &str) {
        self.warnings.push(format!("{name}={said:?}: allowed is {allowed}; {instead} holds"));
    }

    fn goes_by_otlp(&mut self) -> bool {
        match self.otel("OTEL_TRACES_EXPORTER").as_deref().map(str::trim) {
            None | Some("otlp") => true,
            Some("none") => false,
            Some(other) => {
                self.not_followed("OTEL_TRACES_EXPORTER", other, "otlp or none", "none");
                false
            }
        }
    }

    fn protocol(&mut self) -> Protocol {
        let Some((name, said)) = self.of_spans("PROTOCOL") else { return Protocol::HttpProtobuf };
        match &*said {
            "grpc" => Protocol::Grpc,
            "http/protobuf" => Protocol::HttpProtobuf,
            other => {
                self.not_followed(&name, other, "grpc or http/protobuf", "http/protobuf");
                Protocol::HttpProtobuf
            }
        }
    }

    /// Of a URL with a password in it nothing is repeated.
    fn endpoint(&mut self, (name, url): (&str, &str), protocol: Protocol) -> Option<Endpoint> {
        let is_of_spans = name.contains("_TRACES_");
        let read = Endpoint::parse(url.trim(), protocol, is_of_spans);
        read.map_err(|why| self.errors.push(format!("{name}: {why}; allowed is {URL}"))).ok()
    }

    fn gzip(&mut self) -> bool {
        let Some((name, said)) = self.of_spans("COMPRESSION") else { return false };
        match &*said {
            "gzip" => true,
            "none" => false,
            other => {
                self.not_followed(&name, other, "gzip or none", "none");
                false
            }
        }
    }

    /// `name=value,other=value`, percent-encoded.
    fn otlp_headers(&mut self) -> HeaderMap {
        let Some((name, said)) = self.of_spans("HEADERS") else { return HeaderMap::new() };
        let read = |(key, value): (String, String)| {
            let mut value = HeaderValue::try_from(value).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::try_from(key).ok()?, value))
        };
        let headers = pairs(&said).and_then(|pairs| pairs.into_iter().map(read).collect());
        headers.unwrap_or_else(|| {
            let allowed = "a list such as name=value,other=value, percent-encoded";
            self.errors.push(format!("{name}: is none; allowed is {allowed}"));
            HeaderMap::new()
        })
    }

    /// What is in the file that a variable names.
    fn pem(&mut self, what: &str) -> Option<(String, Vec<u8>)> {
        let (name, path) = self.of_spans(what)?;
        let read = files::bytes(Path::new(&path), PEM_MAX);
        let bad = |why| self.errors.push(format!("{name}={path:?}: {why}; allowed is a PEM file"));
        let pem = read.map_err(bad).ok()?;
        Some((name, pem))
    }

    fn collector_trust(&mut self, trust: &Trust) -> Trust {
        let Some((name, pem)) = self.pem("CERTIFICATE") else { return trust.clone() };
        match (certificates(&pem), trust.clone()) {
            (Ok(own), Trust::System(others)) => Trust::System([own, others].concat()),
            (Ok(_), only) => only,
            (Err(why), _) => {
                self.errors.push(format!("{name}: {why}; allowed is a PEM file with certificates"));
                Trust::default()
            }
        }
    }

    fn client(&mut self) -> Option<ClientIdentity> {
        let (chain, key) = (self.pem("CLIENT_CERTIFICATE"), self.pem("CLIENT_KEY"));
        let ((name, chain), (_, key)) = match (chain, key) {
            (Some(chain), Some(key)) => (chain, key),
            (None, None) => return None,
            (Some((name, _)), None) | (None, Some((name, _))) => {
                let why = "is set without the other of CLIENT_CERTIFICATE and CLIENT_KEY";
                self.errors.push(format!("{name}: {why}; allowed is both or none"));
                return None;
            }
        };
        let read = ClientIdentity::from_pem(&chain, &key);
        let bad = |_| self.errors.push(format!("{name}: is no chain with its key, in PEM"));
        read.map_err(bad).ok()
    }

    fn sampler(&mut self) -> Sampler {
        let Some(word) = self.otel("OTEL_TRACES_SAMPLER") else { return Sampler::default() };
        let ratio = self.number("OTEL_TRACES_SAMPLER_ARG", 1.0, 0.0..=1.0);
        Sampler::of(&word, ratio).unwrap_or_else(|| {
            let allowed =
                "always_on, always_off, traceidratio, or one of these behind parentbased_";
            self.not_followed("OTEL_TRACES_SAMPLER", &word, allowed, "parentbased_always_on");
            Sampler::default()
        })
    }

    /// Who spans are of. What is said goes over what is known.
    fn resource(&mut self) -> Vec<(String, String)> {
        let known = [
            ("service.name", "mirrorlab-proxy"),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("telemetry.sdk.name", "mirrorlab"),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
        ];
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let mut resource: BTreeMap<_, _> = known.into_iter().map(owned).collect();
        let name = "OTEL_RESOURCE_ATTRIBUTES";
        if let Some(said) = self.otel(name) {
            match pairs(&said) {
                Some(pairs) => resource.extend(pairs),
                None => self.not_followed(name, &said, "a list such as key=value", "none of it"),
            }
        }
        if let Some(name) = self.otel("OTEL_SERVICE_NAME") {
            resource.insert("service.name".to_owned(), name);
        }
        resource.into_iter().collect()
    }

    fn millis(&mut self, name: &str, default: u64) -> Duration {
        Duration::from_millis(self.number(name, default, 1..=TIME_MAX))
    }

    fn number<T>(&mut self, name: &str, default: T, range: std::ops::RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + std::fmt::Display + Copy,
    {
        let Some(said) = self.otel(name) else { return default };
        let number = said.trim().parse().ok().filter(|number| range.contains(number));
        number.unwrap_or_else(|| {
            let allowed = format!("a number from {} to {}", range.start(), range.end());
            self.not_followed(name, &said, &allowed, &default.to_string());
            default
        })
    }
}

/// `key=value,other=value`, percent-encoded; `None` where it is not written so.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let decoded =
        |text: &str| Some(percent_decode_str(text.trim()).decode_utf8().ok()?.into_owned());
    let pair = |item: &str| {
        let (key, value) = item.split_once('=')?;
        let key = decoded(key).filter(|key| !key.is_empty())?;
        Some((key, decoded(value)?))
    };
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(pair).collect()
}

#[cfg(test)]
mod tests;
