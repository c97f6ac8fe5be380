//! The command line: what is to be done, and with which settings file.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use crate::check::Explained;
use crate::headers::target;
use crate::preview::Tried;

/// What is to be done.
#[derive(Debug)]
pub enum Command {
    /// Serve until a signal comes.
    Serve,
    /// Ask the proxy with these settings whether it is alive.
    Healthcheck,
    /// Show how it is used.
    Help,
    /// Show the version.
    Version,
    /// Show the schema of the settings file.
    Schema,
    /// Show the report of a running proxy; what follows is read there.
    Report(Vec<String>),
    /// Check the settings, and explain what a request would get.
    Check(Option<Box<Explained>>),
    /// Show what becomes of the copies of the request on standard input.
    Try(Tried),
}

/// What may stand in front.
const ARGUMENTS: [&str; 8] = [
    "--config",
    "--help",
    "--version",
    "--print-schema",
    "--healthcheck",
    "report",
    "check",
    "try",
];
/// What may stand behind `check`.
const OF_CHECK: [&str; 5] = ["--config", "--explain", "--client", "--header", "--help"];
/// What may stand behind `try`.
const OF_TRY: [&str; 5] = ["--config", "--route", "--candidate", "--client", "--help"];
/// Two words that are this alike are probably meant to be one.
const ALIKE: f64 = 0.6;

/// What is told where arguments are wrong: why, and where all of them are told.
pub fn refused(why: &str) -> String {
    format!("{why}\nmirrorlab-proxy --help tells how it is used")
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
        let mut file = None;
        let mut command = Command::Serve;
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let (name, value) = split(&argument);
            match name {
                "--config" => once(&mut file, name, value, &mut arguments)?,
                "--help" | "-h" => return Ok(Self { file: None, command: Command::Help }),
                "--version" | "-V" => return Ok(Self { file: None, command: Command::Version }),
                "--print-schema" => command = Command::Schema,
                "--healthcheck" => command = Command::Healthcheck,
                "report" => {
                    let rest: Vec<_> = arguments.collect();
                    let help = rest.iter().any(|it| it == "--help" || it == "-h");
                    let command = if help { Command::Help } else { Command::Report(rest) };
                    return Ok(Self { file: file.map(PathBuf::from), command });
                }
                "check" => return check(file, arguments),
                "try" => return attempt(file, arguments),
                _ => return Err(unknown(&argument, &ARGUMENTS)),
            }
        }
        Ok(Self { file: file.map(PathBuf::from), command })
    }
}

/// That an argument is not known, and which was probably meant; of its value nothing is told.
fn unknown(argument: &str, known: &[&str]) -> String {
    let name = split(argument).0;
    let bare = |text: &str| text.trim_start_matches('-').to_ascii_lowercase();
    let score = |known: &&&str| strsim::normalized_damerau_levenshtein(&bare(name), &bare(known));
    let meant = known.iter().max_by(|a, b| score(a).total_cmp(&score(b)));
    match meant.filter(|known| score(known) >= ALIKE) {
        Some(known) => format!("unknown argument {name:?}; did you mean {known}?"),
        None if name.ends_with(".toml") => {
            format!("unknown argument {name:?}; did you mean --config {name} or check {name}?")
        }
        None => format!("unknown argument {name:?}"),
    }
}

/// `--name=value`, or a name whose value follows.
fn split(argument: &str) -> (&str, Option<String>) {
    match argument.split_once('=') {
        Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
        _ => (argument, None),
    }
}

fn value(
    name: &str,
    value: Option<String>,
    rest: &mut impl Iterator<Item = String>,
) -> Result<String, String> {
    value.or_else(|| rest.next()).ok_or_else(|| format!("{name} has no value"))
}

fn once(
    into: &mut Option<String>,
    name: &str,
    given: Option<String>,
    rest: &mut impl Iterator<Item = String>,
) -> Result<(), String> {
    let value = value(name, given, rest)?;
    match into.replace(value) {
        Some(_) => Err(format!("{name} is there twice")),
        None => Ok(()),
    }
}

/// What stands behind `check`.
fn check(
    file: Option<String>,
    mut rest: impl Iterator<Item = String>,
) -> Result<Arguments, String> {
    let (mut file, mut target, mut client) = (file, None, None);
    let mut headers = HeaderMap::new();
    while let Some(argument) = rest.next() {
        let (name, given) = split(&argument);
        match name {
            "--config" => once(&mut file, name, given, &mut rest)?,
            "--explain" => once(&mut target, name, given, &mut rest)?,
            "--client" => once(&mut client, name, given, &mut rest)?,
            "-H" | "--header" => {
                let line = value(name, given, &mut rest)?;
                let (name, value) = header(&line)?;
                headers.append(name, value);
            }
            "--help" | "-h" => return Ok(Arguments { file: None, command: Command::Help }),
            _ if argument.starts_with('-') => return Err(unknown(&argument, &OF_CHECK)),
            _ if file.is_some() => {
                return Err(format!("{argument:?} is a second settings file; allowed is one"));
            }
            _ => file = Some(argument),
        }
    }
    let client = client.map(|text| address(&text)).transpose()?;
    if target.is_none() && (client.is_some() || !headers.is_empty()) {
        return Err("-H and --client are for a request of --explain".to_owned());
    }
    let explained = target.map(|target| {
        let (method, uri) = request(&target)?;
        let client = client.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        Ok::<_, String>(Box::new(Explained { method, uri, headers, client }))
    });
    let command = Command::Check(explained.transpose()?);
    Ok(Arguments { file: file.map(PathBuf::from), command })
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("--client={text:?} is no address"))
}

/// What stands behind `try`.
fn attempt(
    file: Option<String>,
    mut rest: impl Iterator<Item = String>,
) -> Result<Arguments, String> {
    let (mut file, mut client) = (file, None);
    let mut tried = Tried::default();
    while let Some(argument) = rest.next() {
        let (name, given) = split(&argument);
        match name {
            "--config" => once(&mut file, name, given, &mut rest)?,
            "--route" => once(&mut tried.route, name, given, &mut rest)?,
            "--candidate" => once(&mut tried.candidate, name, given, &mut rest)?,
            "--client" => once(&mut client, name, given, &mut rest)?,
            "--help" | "-h" => return Ok(Arguments { file: None, command: Command::Help }),
            _ => return Err(unknown(&argument, &OF_TRY)),
        }
    }
    tried.client = client.map(|text| address(&text)).transpose()?;
    Ok(Arguments { file: file.map(PathBuf::from), command: Command::Try(tried) })
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
