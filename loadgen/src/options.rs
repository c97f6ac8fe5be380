//! The command line, and the environment that stands in for it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use reqwest::Url;

/// Drives the shop's traffic: a constant number of users, each of whom waits a while between an
/// answer and the next request.
///
/// Exit codes: 0 when all answers were fine and p99 kept below the limit, 1 when not or when nothing
/// answers, 2 for bad arguments. Ctrl-C and SIGTERM end it early, with the summary of what was seen.
#[derive(Clone, Debug, Parser)]
#[command(name = "mirrorlab-loadgen", version = version::VERSION)]
pub struct Options {
    /// Where to send the traffic.
    #[arg(long, env = "BASE_URL", default_value = "http://localhost:8080", value_parser = base_url)]
    pub base_url: String,
    /// Users at once, at least 1.
    #[arg(long, env = "VUS", default_value = "50", value_parser = users)]
    pub vus: usize,
    /// How long, such as 30s or 5m; whole seconds, at least 1, at most 24h.
    #[arg(long, env = "DURATION", default_value = "5m", value_parser = whole_seconds)]
    pub duration: Duration,
    /// What a user waits between an answer and the next request.
    #[arg(long, env = "THINK_TIME", default_value = "100ms", value_parser = time)]
    pub think_time: Duration,
    /// The run fails when p99 over all requests is not below this.
    #[arg(long, env = "MAX_P99", default_value = "500ms", value_parser = time)]
    pub max_p99: Duration,
    /// Where to write the HTML report; existing files are overwritten.
    #[arg(long, env = "REPORT", default_value = "loadgen-report.html", value_parser = report)]
    pub report: PathBuf,
}

fn base_url(text: &str) -> Result<String, String> {
    let url: Url = text.parse().map_err(|error| format!("{error}"))?;
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if !["http", "https"].contains(&url.scheme()) || !url.has_host() || !plain {
        return Err("allowed is an http or https URL without user info and query".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn users(text: &str) -> Result<usize, String> {
    let users = text.parse().ok().filter(|users| (1..=100_000).contains(users));
    users.ok_or_else(|| "allowed is a whole number from 1 to 100000".to_owned())
}

/// As everywhere in the stack: whole seconds, or a number with a unit, above 0, at most a day.
fn time(text: &str) -> Result<Duration, String> {
    let allowed = "allowed is a time such as 30s, 500ms or 5m, above 0 and at most 24h";
    let time = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => humantime::parse_duration(text).map_err(|error| format!("{error}; {allowed}"))?,
    };
    let within = Duration::from_millis(1)..=Duration::from_secs(24 * 3600);
    if within.contains(&time) { Ok(time) } else { Err(allowed.to_owned()) }
}

fn whole_seconds(text: &str) -> Result<Duration, String> {
    let time = time(text)?;
    if time.subsec_nanos() == 0 {
        Ok(time)
    } else {
        Err("allowed are whole seconds, at least 1".to_owned())
    }
}

fn report(text: &str) -> Result<PathBuf, String> {
    // The load test's library takes the kind of report from the name.
    if text.ends_with(".html") { Ok(text.into()) } else { Err("allowed is a name in .html".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["loadgen"], arguments].concat())
    }

    #[test]
    fn the_defaults_are_those_of_the_documentation() {
        let options = parse(&[]).unwrap();
        assert_eq!((options.base_url.as_str(), options.vus), ("http://localhost:8080", 50));
        assert_eq!(options.duration, Duration::from_secs(300));
        assert_eq!(options.think_time, Duration::from_millis(100));
        assert_eq!(options.max_p99, Duration::from_millis(500));
        assert_eq!(options.report.to_str(), Some("loadgen-report.html"));
    }

    #[test]
    fn options_are_read() {
        let options = parse(&["--base-url", "https://a:1/x/", "--vus", "2", "--duration", "90"]);
        let options = options.unwrap();
        assert_eq!((options.base_url.as_str(), options.vus), ("https://a:1/x", 2));
        assert_eq!(options.duration, Duration::from_secs(90));
    }

    #[test]
    fn bad_options_are_usage_errors_that_name_the_option_and_what_is_allowed() {
        for (name, value) in [
            ("--base-url", "ftp://a"),
            ("--base-url", "http://a?x"),
            ("--base-url", "http://me@a"),
            ("--vus", "0"),
            ("--vus", "many"),
            ("--duration", "0"),
            ("--duration", "1500ms"),
            ("--duration", "25h"),
            ("--duration", "soon"),
            ("--think-time", "0"),
            ("--max-p99", "-1s"),
            ("--report", "report.txt"),
        ] {
            let error = parse(&[&format!("{name}={value}")]).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{name} {value}");
            let text = error.to_string();
            assert!(text.contains(name) && text.contains(value), "{text}");
            assert!(text.contains("allowed"), "{text}");
        }
    }
}
