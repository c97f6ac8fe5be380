//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use proxy::config::Config;
use proxy::policy::matcher::Matcher;

use crate::order::OrderBy;
use crate::pace::{Pace, Schedule};

/// Sends recorded requests to a candidate, and holds its answers against the recorded ones, or against those of a
/// baseline that is asked beside it.
///
/// Reads recordings of mirrorlab-proxy (folders, .jsonl, .jsonl.zst), GoReplay's .gor, HAR, pcap and pcapng, each also
/// gzipped; - is standard input. What a settings file says of routes, rules, transforms and identities holds here, too.
///
/// Exit codes: 0 as required, 1 fail, 2 bad arguments or nothing to be read, 3 not enough data. Ctrl-C ends a run with
/// the report so far; a second one ends it at once.
#[derive(Clone, Debug, Parser)]
#[command(name = "mirrorlab-replay", version = version::VERSION, args_conflicts_with_subcommands = true)]
#[command(subcommand_negates_reqs = true)]
pub struct Options {
    /// What else it can do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What a run is to do.
    #[command(flatten)]
    pub run: Run,
}

/// What it can do beside sending requests.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Write exchanges in another format.
    Convert(Convert),
}

/// Writes exchanges in another format.
#[derive(Clone, Debug, Args)]
pub struct Convert {
    /// What is read.
    #[arg(required = true)]
    pub sources: Vec<String>,
    /// Where to: - is standard output. The end of its name says the format: .jsonl, .jsonl.zst, .gor, .gor.gz, .har.
    #[arg(short, long)]
    pub output: String,
    /// The format, where the name does not say it.
    #[arg(long, value_enum)]
    pub format: Option<Written>,
    /// How packets are read.
    #[command(flatten)]
    pub packets: Packets,
}

/// Formats that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Written {
    /// Lines of JSON, as the proxy records them.
    Jsonl,
    /// GoReplay's.
    Gor,
    /// HAR 1.2.
    Har,
}

/// How packets are read.
#[derive(Clone, Debug, Default, Args)]
pub struct Packets {
    /// Ports of servers in captures of packets; without any all that speaks HTTP is taken.
    #[arg(long = "port", value_name = "PORT")]
    pub ports: Vec<u16>,
    /// The keys of TLS connections in captures of packets, as SSLKEYLOGFILE has them.
    #[arg(long, value_name = "FILE")]
    pub keylog: Option<PathBuf>,
}

/// A run.
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// Folders and files of recorded exchanges.
    #[arg(required = true)]
    pub sources: Vec<String>,
    /// Where copies go; over CANDIDATE_URL and the settings file.
    #[arg(long, value_name = "URL")]
    pub candidate: Option<String>,
    /// A baseline that is asked, too; without it the recorded answers are the baseline's.
    #[arg(long, value_name = "URL")]
    pub baseline: Option<String>,
    /// The settings file (TOML); without it that of MIRROR_CONFIG, if any.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// When.
    #[command(flatten)]
    pub pace: PaceOptions,
    /// Which.
    #[command(flatten)]
    pub choice: Choice,
    /// What is told.
    #[command(flatten)]
    pub report: Report,
    /// How packets are read.
    #[command(flatten)]
    pub packets: Packets,
    /// Where to write down how far it came; a run with the same file goes on there. What was under way is sent again,
    /// and the report is of what is sent from then on.
    #[arg(long, value_name = "FILE")]
    pub resume: Option<PathBuf>,
}

/// When requests are sent.
#[derive(Clone, Debug, Args)]
pub struct PaceOptions {
    /// As fast as recorded, times a factor such as 2x or 0.5x; max: as fast as --connections are answered.
    #[arg(long, default_value = "1x", value_parser = speed, conflicts_with = "rate")]
    pub speed: Pace,
    /// So many a second, whatever was recorded and however long answers take.
    #[arg(long, value_name = "N", value_parser = rate)]
    pub rate: Option<f64>,
    /// How long it takes to come to the full rate, or to all connections.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = time)]
    pub ramp: Duration,
    /// Requests under way at once. What is due while there are as many is left out, and counted; with --speed max it
    /// waits. 64 with --speed max, else 4096.
    #[arg(long, value_name = "N", value_parser = connections)]
    pub connections: Option<usize>,
    /// Begin again at the end, for so long.
    #[arg(long = "loop", value_name = "TIME", value_parser = time)]
    pub repeat: Option<Duration>,
    /// What goes one after the other: connection, client, header:NAME, cookie:NAME, query:NAME, or none.
    #[arg(long, value_name = "WHAT", default_value = "connection", value_parser = OrderBy::parse)]
    pub order_by: OrderBy,
}

/// Which requests are sent.
#[derive(Clone, Debug, Args)]
pub struct Choice {
    /// Send methods that write, too: all but GET, HEAD, OPTIONS and TRACE.
    #[arg(long)]
    pub writes: bool,
    /// Only requests that fit these conditions, written as in [route.match] of the settings, such as
    /// 'path.prefix = "/api"'. Given several times, one of them must fit.
    #[arg(long = "match", value_name = "CONDITIONS", value_parser = matcher)]
    pub matchers: Vec<Matcher>,
    /// The share of them, 0.0 to 1.0.
    #[arg(long, default_value = "1.0", value_name = "SHARE")]
    pub share: String,
    /// Whether the guardrail ends the run for a candidate that misbehaves.
    #[arg(long, value_enum, default_value = "observe")]
    pub guardrail: Guardrail,
}

/// What the guardrail may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Guardrail {
    /// Stop sending copies.
    On,
    /// Judge and tell alone.
    Observe,
}

/// What is told at the end.
#[derive(Clone, Debug, Args)]
pub struct Report {
    /// pass: exit code 0 for the report's pass only. match: only where every exchange was sent and every answer matched.
    #[arg(long, value_enum)]
    pub require: Option<Required>,
    /// With fewer pairs the exit code is 3, unless it is 1.
    #[arg(long, value_name = "N", default_value = "0")]
    pub min_pairs: u64,
    /// The quantile that a pass must cover: p99 or p99.9.
    #[arg(long, value_name = "QUANTILE")]
    pub cover: Option<String>,
    /// The verdict of this route, such as 'GET /api/search', not that over all.
    #[arg(long)]
    pub route: Option<String>,
    /// text, json, markdown, junit or html.
    #[arg(long, default_value = "text")]
    pub format: String,
    /// Every place that differs, every example and interval.
    #[arg(long)]
    pub verbose: bool,
}

/// What the exit code asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Required {
    /// The report's pass.
    Pass,
    /// Every answer as it was recorded.
    Match,
}

impl PaceOptions {
    /// What they come to.
    pub fn schedule(&self) -> Schedule {
        Schedule { pace: self.rate.map_or(self.speed, Pace::Rate), ramp: self.ramp }
    }

    /// How many may be under way at once.
    pub fn connections(&self) -> usize {
        let default = if self.schedule().pace == Pace::Connections { 64 } else { 4096 };
        self.connections.unwrap_or(default)
    }
}

fn speed(text: &str) -> Result<Pace, String> {
    if text == "max" {
        return Ok(Pace::Connections);
    }
    let factor = text.strip_suffix('x').unwrap_or(text).parse().ok();
    let factor = factor.filter(|it: &f64| (1e-6..=1e6).contains(it));
    factor.map(Pace::Recorded).ok_or_else(|| "allowed is a factor such as 2x, or max".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.trim_end_matches("/s").parse().ok().filter(|it| (1e-6..=1e7).contains(it));
    rate.ok_or_else(|| "allowed is a number of requests a second, above 0".to_owned())
}

fn connections(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=65_536).contains(number));
    number.ok_or_else(|| "allowed is a whole number from 1 to 65536".to_owned())
}

fn time(text: &str) -> Result<Duration, String> {
    let allowed = "allowed is a time such as 30s, 500ms or 5m";
    match text.parse::<u64>() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text).map_err(|error| format!("{error}; {allowed}")),
    }
}

fn matcher(text: &str) -> Result<Matcher, String> {
    Config::matcher(text).map_err(|errors| errors.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn run(arguments: &[&str]) -> Result<Run, String> {
        let all = ["mirrorlab-replay"].iter().chain(arguments);
        Options::try_parse_from(all).map(|it| it.run).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn paces_are_read_and_exclude_each_other() {
        let pace = |arguments: &[&str]| run(&[&["a"], arguments].concat()).map(|it| it.pace);
        let schedule = |arguments| pace(arguments).unwrap().schedule().pace;
        assert_eq!(schedule(&[]), Pace::Recorded(1.0));
        assert_eq!(schedule(&["--speed", "2x"]), Pace::Recorded(2.0));
        assert_eq!(schedule(&["--speed", "max"]), Pace::Connections);
        assert_eq!(schedule(&["--rate", "500"]), Pace::Rate(500.0));
        assert!(pace(&["--rate", "5", "--speed", "2x"]).is_err());
        for bad in ["0x", "fast", ""] {
            assert!(pace(&["--speed", bad]).unwrap_err().contains("allowed is"), "{bad}");
        }
        assert_eq!(pace(&["--speed", "max"]).unwrap().connections(), 64);
    }

    #[test]
    fn conditions_are_those_of_the_settings() {
        let fits =
            run(&["a", "--match", "path.prefix = \"/api\"", "--match", "method = [\"GET\"]"]);
        assert_eq!(fits.unwrap().choice.matchers.len(), 2);
        for (bad, why) in [
            ("path.prefix", "conditions:3"),
            ("shoe = 1", "allowed is method, path, host, header, query, cookie, client"),
            ("", "there is no condition"),
        ] {
            let told = run(&["a", "--match", bad]).unwrap_err();
            assert!(told.contains(why), "{bad}: {told}");
        }
    }

    #[test]
    fn a_source_is_needed_and_convert_is_a_command() {
        assert!(run(&[]).is_err());
        let convert =
            Options::try_parse_from(["mirrorlab-replay", "convert", "a.pcap", "-o", "b.gor"]);
        assert!(matches!(convert.unwrap().command, Some(Command::Convert(_))));
    }
}
