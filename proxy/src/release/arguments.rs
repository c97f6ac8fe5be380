//! The arguments behind `report`.

use std::time::Duration;

use super::{Cover, Request};
use crate::upstream::Target;
use judge::report::format::Format;

/// How often a report that is followed is asked for.
const INTERVAL: Duration = Duration::from_secs(2);
/// How often at the least, and at the most.
const INTERVALS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(3600)];

/// Those that have a value.
const NAMES: [&str; 9] = [
    "--url",
    "--require",
    "--min-pairs",
    "--route",
    "--format",
    "--cover",
    "--candidate",
    "--token-file",
    "--interval",
];
/// Those that have none.
const FLAGS: [&str; 3] = ["--json", "--verbose", "--watch"];

/// What was given, in the order of [`NAMES`] and [`FLAGS`].
type Given = ([Option<String>; NAMES.len()], [bool; FLAGS.len()]);

impl Request {
    /// Reads the arguments behind `report`: `--name value` or `--name=value`, each at most once.
    ///
    /// # Errors
    /// The argument that is wrong, and what is allowed.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (values, [json, verbose, watch]) = given(arguments)?;
        let [url, require, min_pairs, route, format, cover, candidate, token_file, interval] =
            values;
        let url = url.ok_or("report needs --url, such as --url http://localhost:8080")?;
        let format = self::format(format.as_deref(), json)?;
        Ok(Self {
            // What is wrong may be a password in the wrong place.
            url: Target::parse(&url).map(Some).map_err(|why| format!("--url {why}"))?,
            require_pass: match require.as_deref() {
                None => false,
                Some("pass") => true,
                Some(other) => return Err(format!("--require {other:?}: allowed is pass")),
            },
            cover: self::cover(cover.as_deref())?,
            min_pairs: min_pairs.map_or(Ok(0), |text| {
                let number = text.parse();
                number.map_err(|_| format!("--min-pairs {text:?}: allowed is a whole number"))
            })?,
            candidate,
            route,
            format,
            verbose,
            watch: self::watch(watch, interval.as_deref(), format)?,
            token_file,
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

fn given(mut arguments: impl Iterator<Item = String>) -> Result<Given, String> {
    let mut given: Given = ([const { None }; NAMES.len()], [false; FLAGS.len()]);
    while let Some(argument) = arguments.next() {
        if let Some(at) = FLAGS.iter().position(|known| *known == argument) {
            given.1[at] = true;
            continue;
        }
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let Some(at) = NAMES.iter().position(|known| *known == name) else {
            return Err(format!("unknown argument {name:?} of report"));
        };
        let value = value.or_else(|| arguments.next());
        let value = value.ok_or_else(|| format!("{name} has no value"))?;
        if given.0[at].replace(value).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    Ok(given)
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
