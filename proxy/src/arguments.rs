//! The command line: what is to be done, and with which settings file.
//!
//! The definitions are those of help, completions and manual pages, too. Values are read here, and what is wrong is told
//! in our words: clap would show a value, and it may be a secret.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use crate::check::Explained;
use crate::headers::target;
use crate::preview::Tried;
use crate::release::{self, Request};

/// What is to be done.
#[derive(Debug)]
pub enum Command {
    /// Serve until a signal comes.
    Serve,
    /// Ask the proxy with these settings whether it is alive.
    Healthcheck,
    /// Show this: how it is used, or the version.
    Say(String),
    /// Show the schema of the settings file.
    Schema,
    /// Show the report of a running proxy.
    Report(Box<Request>),
    /// Check the settings, and explain what a request would get.
    Check(Option<Box<Explained>>),
    /// Show what becomes of the copies of the request on standard input.
    Try(Tried),
}

/// Answers from the baseline, mirrors a share to the candidate, compares the two.
///
/// Without a command it serves until a signal comes. Settings come from the environment, and from the file, which the
/// environment goes over. BASELINE_URL and CANDIDATE_URL are the first to set; docs/settings.md has them all.
#[derive(Debug, Parser)]
#[command(name = "mirrorlab-proxy", version = version::VERSION, disable_help_subcommand = true)]
struct Line {
    #[command(flatten)]
    file: File,
    /// Ask the proxy with these settings whether it is alive; exit code 0 or 1
    #[arg(long)]
    healthcheck: bool,
    /// The JSON Schema of the settings file, for editors
    #[arg(long, conflicts_with = "healthcheck")]
    print_schema: bool,
    #[command(subcommand)]
    command: Option<Commands>,
}

#[derive(Debug, Args)]
struct File {
    /// The settings file (TOML); without it that of MIRROR_CONFIG, if any
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Commands {
    Check(Check),
    Try(Try),
    Report(release::Options),
}

/// Tell all that is wrong with the settings; exit code 0 if nothing is, else 2
#[derive(Debug, Args)]
struct Check {
    /// The settings file (TOML); without it that of MIRROR_CONFIG, if any
    #[arg(value_name = "FILE")]
    named: Option<PathBuf>,
    #[command(flatten)]
    file: File,
    /// Tell which route and policy this request would get, and which lines decide, such as 'GET /path?query'
    #[arg(long, value_name = "REQUEST", allow_hyphen_values = true)]
    explain: Option<String>,
    /// A header of that request, such as 'x-user: alice'; as often as there are some
    #[arg(short = 'H', long = "header", value_name = "HEADER", allow_hyphen_values = true)]
    headers: Vec<String>,
    /// The address that it comes from
    #[arg(long, value_name = "IP", allow_hyphen_values = true)]
    client: Option<String>,
}

/// Tell what would go out for the HTTP/1.1 request on standard input
///
/// As a difference to it, and by which rule; exit code 0, or 2 where it cannot be told.
#[derive(Debug, Args)]
struct Try {
    #[command(flatten)]
    file: File,
    /// As if this route fitted it
    #[arg(long, value_name = "ROUTE", allow_hyphen_values = true)]
    route: Option<String>,
    /// For this one; without it for all
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    candidate: Option<String>,
    /// The address that it comes from
    #[arg(long, value_name = "IP", allow_hyphen_values = true)]
    client: Option<String>,
}

/// Two words that are this alike are probably meant to be one.
const ALIKE: f64 = 0.6;

/// What is told where arguments are wrong: why, and where all of them are told.
pub fn refused(why: &str) -> String {
    format!("{why}\nmirrorlab-proxy --help tells how it is used")
}

/// The definitions, for whoever makes completions or manual pages of them.
pub fn definitions() -> clap::Command {
    Line::command()
}

/// The command line.
#[derive(Debug)]
pub struct Arguments {
    /// The settings file that it names.
    pub file: Option<PathBuf>,
    /// What is to be done.
    pub command: Command,
}

impl Arguments {
    /// Reads the arguments behind the program's name.
    ///
    /// # Errors
    /// The argument that is wrong.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let arguments: Vec<_> = arguments.collect();
        let mut definitions = definitions();
        let all = std::iter::once("mirrorlab-proxy").chain(arguments.iter().map(String::as_str));
        let matched = definitions.try_get_matches_from_mut(all);
        match matched.and_then(|matched| Line::from_arg_matches(&matched)) {
            Ok(line) => Self::of(line),
            Err(error) => match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                    let text = error.render().to_string();
                    Ok(Self { file: None, command: Command::Say(text) })
                }
                _ => Err(told(&error, &mut definitions, &arguments)),
            },
        }
    }

    fn of(line: Line) -> Result<Self, String> {
        let Line { file: File { config }, healthcheck, print_schema, command } = line;
        let (file, command) = match command {
            Some(Commands::Check(check)) => {
                let files = [config, check.file.config.clone(), check.named.clone()];
                (one(files)?, Command::Check(explained(check)?))
            }
            Some(Commands::Try(asked)) => {
                let client = asked.client.map(|text| address(&text)).transpose()?;
                let tried = Tried { route: asked.route, candidate: asked.candidate, client };
                (one([config, asked.file.config, None])?, Command::Try(tried))
            }
            Some(Commands::Report(options)) => {
                (config, Command::Report(Box::new(options.try_into()?)))
            }
            None if print_schema => (config, Command::Schema),
            None if healthcheck => (config, Command::Healthcheck),
            None => (config, Command::Serve),
        };
        Ok(Self { file, command })
    }
}

/// The file that is named, in whatever way.
fn one(files: [Option<PathBuf>; 3]) -> Result<Option<PathBuf>, String> {
    let [front, behind, named] = files;
    if front.is_some() && behind.is_some() {
        return Err("--config is there twice".to_owned());
    }
    match (front.or(behind), named) {
        (Some(_), Some(second)) => Err(second_file(&second.display().to_string())),
        (file, named) => Ok(file.or(named)),
    }
}

fn second_file(name: &str) -> String {
    format!("{name:?} is a second settings file; allowed is one")
}

/// What is wrong, by the name of the argument and never by its value.
fn told(error: &clap::Error, definitions: &mut clap::Command, arguments: &[String]) -> String {
    let name = |kind| match error.get(kind) {
        // With what its value is called behind it.
        Some(ContextValue::String(text)) => text.split([' ', '=']).next().map(str::to_owned),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    let argument = name(ContextKind::InvalidArg).or_else(|| name(ContextKind::InvalidSubcommand));
    let argument = argument.unwrap_or_default();
    definitions.build();
    let command = arguments.iter().find_map(|word| definitions.find_subcommand(word));
    match error.kind() {
        ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand => match command {
            Some(check) if check.get_name() == "check" && !argument.starts_with('-') => {
                second_file(&argument)
            }
            command => unknown(&argument, command.unwrap_or(definitions)),
        },
        ErrorKind::InvalidValue => format!("{argument} has no value"),
        ErrorKind::TooManyValues => format!("{argument} takes no value"),
        ErrorKind::ArgumentConflict => match name(ContextKind::PriorArg) {
            Some(prior) if prior != argument => format!("{argument} and {prior}: allowed is one"),
            _ => format!("{argument} is there twice"),
        },
        kind => kind.as_str().unwrap_or("bad arguments").to_owned(),
    }
}

/// That an argument is not known, and which was probably meant; of its value nothing is told.
fn unknown(name: &str, command: &clap::Command) -> String {
    let options = command.get_arguments().filter_map(|it| Some(format!("--{}", it.get_long()?)));
    let commands = command.get_subcommands().map(|it| it.get_name().to_owned());
    let bare = |text: &str| text.trim_start_matches('-').to_ascii_lowercase();
    let score = |known: &String| strsim::normalized_damerau_levenshtein(&bare(name), &bare(known));
    let meant = options.chain(commands).max_by(|a, b| score(a).total_cmp(&score(b)));
    match meant.filter(|known| score(known) >= ALIKE) {
        Some(known) => format!("unknown argument {name:?}; did you mean {known}?"),
        None if name.ends_with(".toml") => {
            format!("unknown argument {name:?}; did you mean --config {name} or check {name}?")
        }
        None => format!("unknown argument {name:?}"),
    }
}

/// The request that `check` is to explain, if any.
fn explained(check: Check) -> Result<Option<Box<Explained>>, String> {
    let Check { explain, client, .. } = check;
    let mut headers = HeaderMap::new();
    for line in &check.headers {
        let (name, value) = header(line)?;
        headers.append(name, value);
    }
    let client = client.map(|text| address(&text)).transpose()?;
    let Some(target) = explain else {
        if client.is_some() || !headers.is_empty() {
            return Err("-H and --client are for a request of --explain".to_owned());
        }
        return Ok(None);
    };
    let (method, uri) = request(&target)?;
    let client = client.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    Ok(Some(Box::new(Explained { method, uri, headers, client })))
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("--client={text:?} is no address"))
}

fn request(text: &str) -> Result<(Method, Uri), String> {
    let bad = || {
        let meant = match text.trim() {
            target if target.starts_with('/') && !target.contains(' ') => {
                format!("; did you mean 'GET {target}'?")
            }
            _ => String::new(),
        };
        format!("--explain={text:?}: allowed is a request such as 'GET /path?query'{meant}")
    };
    let (method, target) = text.trim().split_once(' ').ok_or_else(bad)?;
    let (method, target) = (method.parse().map_err(|_| bad())?, target.trim());
    let is_target = target.starts_with('/') || target == "*" || target.contains("://");
    if !is_target || target.contains(char::is_whitespace) {
        return Err(bad());
    }
    // As the listener reads it, which takes what the library would refuse, or leave out.
    let uri = target::as_read(target).parse();
    Ok((method, uri.map_err(|_| bad())?))
}

fn header(line: &str) -> Result<(HeaderName, HeaderValue), String> {
    let parsed = line.split_once(':').and_then(|(name, value)| {
        Some((name.trim().parse().ok()?, HeaderValue::from_str(value.trim()).ok()?))
    });
    // Its value may be a secret.
    let name = line.split(':').next().unwrap_or_default();
    parsed.ok_or_else(|| format!("-H {name:?}: allowed is a header such as 'x-user: alice'"))
}

#[cfg(test)]
mod tests;
