//! The only reader of the environment; reports all errors at once.

use std::ffi::OsString;
use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};

use crate::chaos::Chaos;

/// All settings, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The label `service` of all metrics.
    pub name: String,
    /// Where to listen; `[::]` takes IPv4 as well.
    pub addr: SocketAddr,
    /// At the start.
    pub chaos: Chaos,
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

const CHAOS: [(&str, &str, &str); 4] = [
    ("CHAOS_LATENCY_MS", "latencyMs", "a whole number of milliseconds from 0 to 86400000"),
    ("CHAOS_JITTER_MS", "jitterMs", "a whole number of milliseconds from 0 to 86400000"),
    ("CHAOS_ERROR_RATE", "errorRate", "a number from 0.0 to 1.0"),
    ("CHAOS_MISMATCH_RATE", "mismatchRate", "a number from 0.0 to 1.0"),
];

impl Config {
    /// The settings of this process.
    ///
    /// # Errors
    /// Every bad setting.
    #[expect(clippy::disallowed_methods, reason = "the one module that reads the environment")]
    pub fn from_process_env() -> Result<Self, Errors> {
        Self::from_env(&|name| std::env::var_os(name))
    }

    /// The settings that `get` knows; an empty one is an unset one.
    ///
    /// # Errors
    /// Every bad setting.
    pub fn from_env(get: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, Errors> {
        let mut errors = Vec::new();
        let text = |name: &str, errors: &mut Vec<String>| {
            let value = get(name).filter(|value| !value.is_empty())?;
            let result = value.into_string();
            result
                .map_err(|value| {
                    errors.push(format!("{name}={value:?}: is not UTF-8; allowed is plain text"))
                })
                .ok()
        };
        let name = text("SERVICE_NAME", &mut errors).unwrap_or_else(|| "service".to_owned());
        let mut port = 4001;
        if let Some(given) = text("PORT", &mut errors) {
            match given.parse::<u16>() {
                Ok(number) => port = number,
                Err(_) => errors
                    .push(format!("PORT={given:?}: allowed is a whole number from 0 to 65535")),
            }
        }
        let mut chaos = Chaos::default();
        for (name, field, allowed) in CHAOS {
            if let Some(given) = text(name, &mut errors)
                && chaos.set_text(field, &given).is_err()
            {
                errors.push(format!("{name}={given:?}: allowed is {allowed}"));
            }
        }
        let addr = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        if errors.is_empty() { Ok(Self { name, addr, chaos }) } else { Err(Errors(errors)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(settings: &[(&str, &str)]) -> Result<Config, Errors> {
        Config::from_env(&|name| {
            let found = settings.iter().find(|(setting, _)| *setting == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn unset_and_empty_settings_have_their_defaults() {
        let all = [
            "SERVICE_NAME",
            "PORT",
            "CHAOS_LATENCY_MS",
            "CHAOS_JITTER_MS",
            "CHAOS_ERROR_RATE",
            "CHAOS_MISMATCH_RATE",
        ];
        for settings in [Vec::new(), all.map(|name| (name, "")).to_vec()] {
            let config = with(&settings).unwrap();
            assert_eq!((config.name.as_str(), config.addr.port()), ("service", 4001));
            assert_eq!(config.chaos, Chaos::default());
        }
    }

    #[test]
    fn settings_are_read() {
        let config = with(&[
            ("SERVICE_NAME", "service-v2"),
            ("PORT", "4002"),
            ("CHAOS_LATENCY_MS", "200"),
            ("CHAOS_JITTER_MS", "100"),
            ("CHAOS_ERROR_RATE", "0.02"),
            ("CHAOS_MISMATCH_RATE", "1"),
        ]);
        let config = config.unwrap();
        assert_eq!((config.name.as_str(), config.addr.port()), ("service-v2", 4002));
        let chaos = Chaos { latency_ms: 200, jitter_ms: 100, error_rate: 0.02, mismatch_rate: 1.0 };
        assert_eq!(config.chaos, chaos);
    }

    #[test]
    fn all_bad_settings_are_listed_with_value_and_what_is_allowed() {
        let settings = [
            ("PORT", "65536"),
            ("CHAOS_LATENCY_MS", "-1"),
            ("CHAOS_JITTER_MS", "1.5"),
            ("CHAOS_ERROR_RATE", "2"),
            ("CHAOS_MISMATCH_RATE", "often"),
        ];
        let message = with(&settings).unwrap_err().to_string();
        for (name, value) in settings {
            assert!(message.contains(&format!("{name}={value:?}: allowed is")), "{message}");
        }
    }
}
