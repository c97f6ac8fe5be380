//! `report`: fetches the report of a running proxy, shows it, and tells by its exit code whether
//! the candidate may be released.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Request as HttpRequest, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::config::Config;
use crate::exchange::Role;
use crate::upstream::{BoxError, Sent, Target, Upstream, UpstreamBody, empty_body};
use judge::report::Summary;
use judge::report::summary::{Quantile, RouteSummary, Scope};
use judge::report::text::{Text, is_active, plain};
use judge::verdict::Verdict;

/// The exit code where there is no report of what is asked for.
const NO_REPORT: u8 = 2;
/// For the whole of it.
const TIMEOUT: Duration = Duration::from_secs(30);
/// A longer report is none of ours.
const LONGEST: usize = 64 << 20;

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    url: Target,
    require_pass: bool,
    /// What a pass must cover.
    cover: Option<Cover>,
    min_pairs: u64,
    candidate: Option<String>,
    route: Option<String>,
    json: bool,
}

/// A report, and where there are several candidates those of all of them by name.
#[derive(Debug, Deserialize)]
struct Reports {
    #[serde(flatten)]
    first: Summary,
    candidates: Option<BTreeMap<String, Summary>>,
}

/// A quantile of the tail; the one before is covered with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cover {
    P99,
    P999,
}

impl Cover {
    fn is_in(self, scope: &Scope) -> bool {
        let settled = |found: Quantile| found.excess.verdict == Verdict::Pass;
        let Scope { latency, .. } = scope;
        settled(latency.p99) && (self == Self::P99 || settled(latency.p999))
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The report, to be shown.
    pub text: String,
    /// The exit code: 0 as required, 1 fail, 2 no such route, 3 not enough data.
    pub code: u8,
    /// Why it is not 0.
    pub reason: Option<String>,
}

impl Request {
    /// Reads the arguments behind `report`: `--name value` or `--name=value`, each at most once.
    ///
    /// # Errors
    /// The argument that is wrong, and what is allowed.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        const NAMES: [&str; 7] =
            ["--url", "--require", "--min-pairs", "--route", "--format", "--cover", "--candidate"];
        let mut values = [const { None }; NAMES.len()];
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (argument.as_str(), None),
            };
            let Some(at) = NAMES.iter().position(|known| *known == name) else {
                return Err(format!("unknown argument {name:?} of report"));
            };
            let value = value.or_else(|| arguments.next());
            let value = value.ok_or_else(|| format!("{name} has no value"))?;
            if values[at].replace(value).is_some() {
                return Err(format!("{name} is there twice"));
            }
        }
        let [url, require, min_pairs, route, format, cover, candidate] = values;
        let url = url.ok_or("report needs --url, such as --url http://localhost:8080")?;
        Ok(Self {
            // What is wrong may be a password in the wrong place.
            url: Target::parse(&url).map_err(|why| format!("--url {why}"))?,
            require_pass: match require.as_deref() {
                None => false,
                Some("pass") => true,
                Some(other) => return Err(format!("--require {other:?}: allowed is pass")),
            },
            cover: match cover.as_deref() {
                None => None,
                Some("p99") => Some(Cover::P99),
                Some("p99.9") => Some(Cover::P999),
                Some(other) => {
                    return Err(format!("--cover {other:?}: allowed is p99 or p99.9"));
                }
            },
            min_pairs: min_pairs.map_or(Ok(0), |text| {
                let number = text.parse();
                number.map_err(|_| format!("--min-pairs {text:?}: allowed is a whole number"))
            })?,
            candidate,
            route,
            json: match format.as_deref() {
                None | Some("text") => false,
                Some("json") => true,
                Some(other) => return Err(format!("--format {other:?}: allowed is text or json")),
            },
        })
    }
}

/// Asks the proxy.
///
/// # Errors
/// Why there is no report to be had.
pub async fn ask(request: &Request, config: &Config) -> Result<Answer, String> {
    let asked = tokio::time::timeout(TIMEOUT, fetch(request, config)).await;
    let bytes = asked.map_err(|_| format!("no answer in {TIMEOUT:?}"))??;
    let reports: Reports = serde_json::from_slice(&bytes)
        .map_err(|error| format!("the answer is no report of this version: {error}"))?;
    Ok(match &reports.candidates {
        None => answer(request, &reports.first),
        Some(candidates) => answer_of_all(request, candidates),
    })
}

async fn fetch(request: &Request, config: &Config) -> Result<Vec<u8>, String> {
    let (url, to) = (&request.url, request.url.authority());
    let path = match &request.candidate {
        None => "/control/report".to_owned(),
        Some(name) => {
            format!("/control/report?candidate={}", utf8_percent_encode(name, NON_ALPHANUMERIC))
        }
    };
    let proxy =
        Upstream::new(Role::Baseline, url.clone(), &config.trust, TIMEOUT, config.dns.clone());
    let proxy = proxy.map_err(|error| format!("{to}: {error}"))?;
    let mut request = HttpRequest::new(empty_body());
    *request.uri_mut() = Uri::try_from(path).map_err(|error| error.to_string())?;
    let response = proxy.send(request, &Sent::default(), false).await;
    let response = response.map_err(|error| format!("{to}: {}", error.reason()))?;
    if response.status() != StatusCode::OK {
        let status = response.status();
        // It says what to set, where it is the proxy's own.
        let body = body(response).await.unwrap_or_default();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let reason = body["reason"].as_str().map(|reason| format!(": {reason}"));
        return Err(plain(&format!("{to} answered {status}{}", reason.unwrap_or_default())));
    }
    body(response).await.map_err(|error| format!("{to}: {error}"))
}

async fn body(response: Response<UpstreamBody>) -> Result<Vec<u8>, BoxError> {
    let body = Limited::new(response.into_body(), LONGEST).collect().await?;
    Ok(body.to_bytes().to_vec())
}

/// Those of all candidates, or of all that have the route that is asked for: what is required must hold for
/// each, and the exit code is that of the one that is furthest from it.
fn answer_of_all(request: &Request, candidates: &BTreeMap<String, Summary>) -> Answer {
    const WORST_FIRST: [u8; 4] = [NO_REPORT, 1, 3, 0];
    let has_it = |it: &Summary| request.route.as_ref().is_none_or(|route| it.has_route(route));
    // Where none has it, each says which there are.
    let none = !candidates.values().any(has_it);
    let asked = candidates.iter().filter(|(_, summary)| none || has_it(summary));
    let answers: Vec<_> = asked.map(|(name, summary)| (name, answer(request, summary))).collect();
    let one = |(name, answer): &(&String, Answer)| match request.json {
        // A name is letters, digits, dots and dashes.
        true => format!("\"{name}\": {}", answer.text.trim_end()),
        false => format!("=== {name} ===\n\n{}", answer.text),
    };
    let texts: Vec<_> = answers.iter().map(one).collect();
    let text = if request.json { format!("{{{}}}\n", texts.join(",\n")) } else { texts.concat() };
    let rank = |code: u8| WORST_FIRST.iter().position(|it| *it == code);
    let code = answers.iter().map(|(_, answer)| answer.code).min_by_key(|code| rank(*code));
    let reasons = answers.iter().filter_map(|(name, answer)| {
        answer.reason.as_ref().map(|reason| format!("candidate {name}: {reason}"))
    });
    let reasons: Vec<_> = reasons.collect();
    let reason = (!reasons.is_empty()).then(|| reasons.join("; "));
    Answer { text, code: code.unwrap_or(NO_REPORT), reason }
}

/// Shows a report and judges its verdict by what is required.
fn answer(request: &Request, summary: &Summary) -> Answer {
    let named = |name: &String| summary.routes.iter().find(|route| route.route == *name);
    let route = request.route.as_ref().and_then(named);
    let text =
        if request.json { in_json(summary, route) } else { Text { summary, route }.to_string() };
    let (code, reason) = match (&request.route, route) {
        // It may still come, and so may whatever is asked for where nobody has asked for anything yet.
        (Some(name), None) if summary.routes.is_empty() || summary.has_route(name) => {
            judge(request, None, &format!("route {name}"))
        }
        (Some(name), None) => (NO_REPORT, Some(no_such_route(name, summary))),
        (Some(name), Some(route)) => judge(request, Some(&route.scope), &format!("route {name}")),
        (None, _) => judge(request, Some(&summary.overall), "all routes"),
    };
    Answer { text, code, reason: reason.map(|reason| plain(&reason)) }
}

fn no_such_route(name: &str, summary: &Summary) -> String {
    let mut known: Vec<_> = summary.routes.iter().map(|route| route.route.as_str()).collect();
    known.sort_unstable();
    format!("no route {name}; there are: {}", known.join(", "))
}

/// The exit code for a scope, `None` for a route of which nothing is known, and why it is not 0.
fn judge(request: &Request, scope: Option<&Scope>, name: &str) -> (u8, Option<String>) {
    const NOT_ENOUGH: u8 = 3;
    let pairs = scope.map_or(0, |scope| scope.pairs);
    let verdict = scope.map_or(Verdict::NotEnoughData, |scope| scope.verdict);
    if verdict == Verdict::Fail && request.require_pass {
        // Settled is settled, however few pairs it took.
        (1, Some(format!("fail: {name}")))
    } else if pairs < request.min_pairs {
        let why = format!("{pairs} pairs, fewer than {}", request.min_pairs);
        (NOT_ENOUGH, Some(format!("not enough data for {name}: {why}")))
    } else if verdict == Verdict::NotEnoughData {
        (NOT_ENOUGH, Some(format!("not enough data for {name}")))
    } else if let Some((cover, scope)) = request.cover.zip(scope)
        && request.require_pass
        && !cover.is_in(scope)
    {
        let missing = scope.not_covered.join("; ");
        (NOT_ENOUGH, Some(format!("not enough data for {name}: {missing}")))
    } else {
        (0, None)
    }
}

/// In JSON, with escapes for all that a terminal acts on.
fn in_json(summary: &Summary, route: Option<&RouteSummary>) -> String {
    let json = match route {
        Some(route) => serde_json::to_string_pretty(route),
        None => serde_json::to_string_pretty(summary),
    };
    let json = json.expect("a report has text keys only");
    let mut shown = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        // Those below U+0020 are escaped already, but for the line ends in between. All others are
        // within U+FFFF.
        if c != '\n' && is_active(c) {
            shown.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            shown.push(c);
        }
    }
    shown.push('\n');
    shown
}

#[cfg(test)]
mod tests;
