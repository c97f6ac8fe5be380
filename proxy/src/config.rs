//! The only reader of the environment and of the settings file: what is written there in, checked
//! values out, all errors at once. The environment goes over the file.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

mod candidates;
mod cluster;
mod effective;
mod env;
mod file;
mod files;
mod fragment;
mod hooks;
mod identities;
mod listeners;
mod matches;
mod names;
mod parts;
mod plan;
mod reach;
mod recording;
mod redaction;
mod routes;
mod rules;
mod schema;
pub mod settings;
mod telemetry;
mod trail;
mod transforms;
mod unknown;
mod upstreams;
mod values;

use crate::access::{Access, Hosts, Known, Token};
use crate::listen::Listen;
use crate::listen::proxy_protocol::Networks;
use crate::listen::tls::Identity;
use crate::observe::webhook::Webhook;
use crate::plan::Preparations;
use crate::policy::rate::Rate;
use crate::policy::share::Secret;
use crate::route::Template;
use crate::upstream::{Dns, HeadLimits, Target, Trust};
use crate::{audit, forward, mirror, policy, record, relay, telemetry as traces};
pub use effective::{Effective, MASKED, Origin, Settings};
use env::Env;
use file::{Document, Problems};
use judge::{guardrail, report};
pub use schema::schema;
pub use settings::NAMES;

/// All settings of a proxy, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where client traffic is taken.
    pub listen: Listen,
    /// More addresses.
    pub listeners: Vec<Listener>,
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
    /// What becomes of copies before they go out.
    pub preparations: Preparations,
    /// Whether the answers of candidates are compared with each other, too.
    pub compare_candidates: bool,
    /// Copies a second over all candidates and routes.
    pub rate: Option<Rate>,
    /// Where keys of `sample_by` fall among a million; the same on every replica.
    pub sample_secret: Secret,
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
    /// One that may do everything at the admin endpoints; `report` sends it.
    pub control_token: Option<Token>,
    /// Those of the settings file, each with what it may.
    pub admin_tokens: Vec<Known>,
    /// Lets everyone on the traffic listener use the admin endpoints.
    pub admin_open: bool,
    /// Names by which the proxy may be asked for values of traffic.
    pub admin_hosts: Hosts,
    /// The audit log, if there is one.
    pub audit: Option<audit::Config>,
    /// What is recorded, and where.
    pub record: Option<record::Config>,
    /// Other replicas, if there are any.
    pub cluster: Option<::cluster::Settings>,
    /// Where spans go, if they go anywhere.
    pub telemetry: Option<traces::Config>,
    /// Log lines.
    pub log: Log,
    /// All of these as they were said, and by whom.
    pub settings: Settings,
    /// The settings file, if there is one.
    pub file: Option<String>,
    /// Whether there is a settings file without any setting in it.
    pub says_nothing: bool,
    /// A hash of what was in it (XXH3).
    pub file_hash: u64,
    /// What is allowed and probably not meant.
    pub warnings: Vec<String>,
}

/// An address beside that of the traffic listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// What a socket is called that takes the place of its address.
    pub name: Option<String>,
    /// Where it listens.
    pub listen: Listen,
    /// Whether it speaks TLS, with the certificate of the traffic listener.
    pub tls: bool,
    /// What becomes of its requests.
    pub mode: Mode,
}

/// What becomes of the requests of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As on the traffic listener.
    Proxy,
    /// They are answered at once, and asked of baseline and candidates in the background.
    Relay(relay::Config),
}

impl Mode {
    /// The word in settings and log lines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Relay(_) => "relay",
        }
    }
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
        let mut lines = self.0.iter().flat_map(|error| error.lines());
        lines.try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl std::error::Error for Errors {}

/// The variable that names the settings file.
const NAMED_BY: &str = "MIRROR_CONFIG";

impl Config {
    /// The settings of this process.
    ///
    /// # Errors
    /// Every bad setting.
    pub fn from_process_env() -> Result<Self, Errors> {
        Self::from_process_env_with(&[])
    }

    /// The same with this settings file, where one is named.
    ///
    /// # Errors
    /// Every bad setting.
    #[expect(clippy::disallowed_methods, reason = "the one module that reads the environment")]
    pub fn from_process(file: Option<&Path>) -> Result<Self, Errors> {
        Self::read(file, &|name| std::env::var_os(name))
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

    /// As [`Config::from_process`], with what is said here over the environment.
    ///
    /// # Errors
    /// Every bad setting.
    #[expect(clippy::disallowed_methods, reason = "the one module that reads the environment")]
    pub fn from_process_under(
        file: Option<&Path>,
        over: &[(&str, String)],
    ) -> Result<Self, Errors> {
        Self::read(file, &|name| {
            let said = over.iter().find(|(setting, _)| *setting == name);
            said.map(|(_, value)| OsString::from(value)).or_else(|| std::env::var_os(name))
        })
    }

    /// As [`Config::unknown`], of the variables of this process.
    #[expect(clippy::disallowed_methods, reason = "the one module that reads the environment")]
    pub fn unknown_in_process_env() -> Vec<String> {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        Self::unknown(names)
    }

    /// What sockets are called that were passed to this process.
    #[expect(clippy::disallowed_methods, reason = "the one module that reads the environment")]
    pub fn names_of_sockets() -> String {
        std::env::var("LISTEN_FDNAMES").unwrap_or_default()
    }

    /// Of these variables those that look like settings and are none, each with the likely one, where
    /// there is one.
    pub fn unknown(names: impl Iterator<Item = String>) -> Vec<String> {
        names.filter_map(|name| unknown::told(&name)).collect()
    }

    /// The settings that `get` knows, over those of the file that it names; the others have their
    /// defaults.
    ///
    /// # Errors
    /// Every bad setting.
    pub fn from_env(get: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, Errors> {
        Self::read(None, get)
    }

    /// The same with this file, whatever `get` says of it.
    ///
    /// # Errors
    /// Every bad setting.
    pub fn read(
        file: Option<&Path>,
        get: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Errors> {
        let mut env = Env::new(get);
        let named = match file {
            Some(path) => Some((path.to_owned(), format!("--config {}", path.display()))),
            None => env.given(&env.slot(NAMED_BY)).map(|given| {
                let shown = format!("{NAMED_BY}={:?}", given.text);
                (given.text.into(), shown)
            }),
        };
        let text = named.and_then(|(path, shown)| {
            let read = file::read(&path).map(|text| (path.display().to_string(), text));
            let bad =
                |why| env.errors.push(format!("{shown}: {why}; allowed is {}", file::ALLOWED));
            read.map_err(bad).ok()
        });
        let errors = std::mem::take(&mut env.errors);
        Self::build(text, errors, get)
    }

    /// The same with a file of this name and text.
    ///
    /// # Errors
    /// Every bad setting.
    pub fn from_text(
        name: &str,
        text: &str,
        get: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Errors> {
        Self::build(Some((name.to_owned(), text.to_owned())), Vec::new(), get)
    }

    fn build(
        file: Option<(String, String)>,
        errors: Vec<String>,
        get: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Errors> {
        let mut problems = Problems::default();
        let hash = file.as_ref().map_or(0, |(_, text)| xxhash_rust::xxh3::xxh3_64(text.as_bytes()));
        let file = file.map(|(name, text)| Document::parse(&name, text, &mut problems));
        let mut env = Env { file: file.as_ref(), errors, problems, ..Env::new(get) };
        let mut config = env.config();
        config.file = file.as_ref().map(|file| file.name().to_owned());
        config.says_nothing = file.as_ref().is_some_and(|file| !file.root.says_anything());
        config.file_hash = hash;
        config.settings = env.settings;
        config.warnings = config.probably_not_meant();
        config.warnings.append(&mut env.warnings);
        if env.errors.is_empty() && env.problems.is_empty() {
            return Ok(config);
        }
        let mut errors = env.errors;
        errors.extend(env.problems.texts());
        Err(Errors(errors))
    }

    /// Who may use the admin endpoints.
    pub fn access(&self) -> Access {
        let control = self.control_token.iter().map(Known::control);
        Access {
            tokens: control.chain(self.admin_tokens.iter().cloned()).collect(),
            own_listener: self.admin.is_some(),
            open: self.admin_open,
            hosts: self.admin_hosts.clone(),
        }
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

#[cfg(test)]
mod tests;
