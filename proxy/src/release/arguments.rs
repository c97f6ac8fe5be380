//! The arguments behind `report`.

use std::time::Duration;

use clap::Args;

use super::{Cover, Request};
use crate::upstream::Target;
use judge::report::format::Format;

/// How often a report that is followed is asked for.
const INTERVAL: Duration = Duration::from_secs(2);
/// How often at the least, and at the most.
const INTERVALS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(3600)];

/// Show the report of a running proxy, to gate a release on it; UPSTREAM_CA is heeded
///
/// Exit codes: 0 as required, 1 fail, 2 bad arguments, no such route or no report to be had, 3 not enough data.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Where its admin endpoints are, such as http://localhost:8080; must be said
    #[arg(long, value_name = "URL", allow_hyphen_values = true)]
    url: Option<String>,
    /// pass: exit code 0 for a pass only; without it a fail is 0, too
    #[arg(long, value_name = "VERDICT", allow_hyphen_values = true)]
    require: Option<String>,
    /// With fewer pairs the exit code is 3, unless it is 1
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    min_pairs: Option<String>,
    /// The report of this one; without it those of all, which must all be as required
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    candidate: Option<String>,
    /// The verdict of this route, such as 'GET /api/search', not that over all
    #[arg(long, value_name = "ROUTE", allow_hyphen_values = true)]
    route: Option<String>,
    /// The quantile that a pass must cover: p99 or p99.9
    #[arg(long, value_name = "QUANTILE", allow_hyphen_values = true)]
    cover: Option<String>,
    /// text (default), json, markdown for a comment, junit for a pipeline, or html
    #[arg(long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// The same as --format json
    #[arg(long)]
    json: bool,
    /// Every place that differs, every example and interval
    #[arg(long)]
    verbose: bool,
    /// Follow it until Ctrl-C; the exit code is that of the last report
    #[arg(long)]
    watch: bool,
    /// How often it is asked for then, such as 10s; 2s by default
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    interval: Option<String>,
    /// What the token is read from that is sent; without it CONTROL_TOKEN is, if set
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    token_file: Option<String>,
}

impl TryFrom<Options> for Request {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        let url = options.url.ok_or("report needs --url, such as --url http://localhost:8080")?;
        let format = format(options.format.as_deref(), options.json)?;
        Ok(Self {
            // What is wrong may be a password in the wrong place.
            url: Target::parse(&url).map(Some).map_err(|why| format!("--url {why}"))?,
            require_pass: match options.require.as_deref() {
                None => false,
                Some("pass") => true,
                Some(other) => return Err(format!("--require {other:?}: allowed is pass")),
            },
            cover: cover(options.cover.as_deref())?,
            min_pairs: options.min_pairs.map_or(Ok(0), |text| {
                let number = text.parse();
                number.map_err(|_| format!("--min-pairs {text:?}: allowed is a whole number"))
            })?,
            candidate: options.candidate,
            route: options.route,
            format,
            verbose: options.verbose,
            watch: watch(options.watch, options.interval.as_deref(), format)?,
            token_file: options.token_file,
        })
    }
}

/// What is asked of a report that is at hand.
#[derive(Clone, Debug, Default)]
pub struct AtHand {
    /// The exit code is 0 for a pass only.
    pub require_pass: bool,
    /// With fewer pairs it is 3, unless it is 1.
    pub min_pairs: u64,
    /// `p99` or `p99.9`: what a pass must cover.
    pub cover: Option<String>,
    /// The verdict of this route.
    pub route: Option<String>,
    /// One of the formats by name; text by default.
    pub format: Option<String>,
    /// Every place that differs, every example and interval.
    pub verbose: bool,
}

impl TryFrom<AtHand> for Request {
    type Error = String;

    fn try_from(asked: AtHand) -> Result<Self, String> {
        Ok(Self {
            url: None,
            require_pass: asked.require_pass,
            cover: cover(asked.cover.as_deref())?,
            min_pairs: asked.min_pairs,
            candidate: None,
            route: asked.route,
            format: format(asked.format.as_deref(), false)?,
            verbose: asked.verbose,
            watch: None,
            token_file: None,
        })
    }
}

fn format(name: Option<&str>, json: bool) -> Result<Format, String> {
    match name {
        Some(_) if json => Err("--json is --format json: allowed is one of both".to_owned()),
        Some(name) => Format::parse(name).map_err(|why| format!("--format {why}")),
        None if json => Ok(Format::Json),
        None => Ok(Format::Text),
    }
}

fn cover(name: Option<&str>) -> Result<Option<Cover>, String> {
    match name {
        None => Ok(None),
        Some("p99") => Ok(Some(Cover::P99)),
        Some("p99.9") => Ok(Some(Cover::P999)),
        Some(other) => Err(format!("--cover {other:?}: allowed is p99 or p99.9")),
    }
}

/// How often it is asked for again; a report that is followed is for people.
fn watch(
    is_watched: bool,
    interval: Option<&str>,
    format: Format,
) -> Result<Option<Duration>, String> {
    if is_watched && format != Format::Text {
        return Err(format!("--watch shows text, not {}", format.name()));
    }
    match (is_watched, interval) {
        (false, Some(_)) => Err("--interval is for --watch".to_owned()),
        (false, None) => Ok(None),
        (true, None) => Ok(Some(INTERVAL)),
        (true, Some(text)) => {
            let seconds = text.parse().map(Duration::from_secs).ok();
            let interval = seconds.or_else(|| humantime::parse_duration(text).ok());
            let [least, most] = INTERVALS;
            let allowed = interval.filter(|it| (least..=most).contains(it));
            allowed.map(Some).ok_or_else(|| {
                format!(
                    "--interval {text:?}: allowed are seconds or a time such as 500ms, 100ms to 1h"
                )
            })
        }
    }
}
