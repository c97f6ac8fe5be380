//! `report`: fetches the report of a running proxy, shows it, and tells by its exit code whether
//! the candidate may be released.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request as HttpRequest, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::access::Token;
use crate::config::Config;
use crate::exchange::Role;
use crate::upstream::{BoxError, Sent, Target, Upstream, UpstreamBody, empty_body};
use judge::report::Summary;
use judge::report::format::Format;
use judge::report::page::Shown;
use judge::report::plain::{is_active, plain};
use judge::report::summary::{Quantile, Scope};
use judge::verdict::Verdict;

mod arguments;
pub use arguments::{AtHand, Options};
mod screen;
pub mod watch;

/// The exit code where there is no report of what is asked for.
const NO_REPORT: u8 = 2;
/// For the whole of it.
const TIMEOUT: Duration = Duration::from_secs(30);
/// A longer report is none of ours.
const LONGEST: usize = 64 << 20;

/// A longer file holds no token.
const LONGEST_TOKEN: u64 = 1 << 14;

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Where the proxy is; `None` for this process itself.
    url: Option<Target>,
    require_pass: bool,
    /// What a pass must cover.
    cover: Option<Cover>,
    min_pairs: u64,
    candidate: Option<String>,
    route: Option<String>,
    format: Format,
    verbose: bool,
    /// How often it is asked for again, where it is followed.
    watch: Option<Duration>,
    /// What the token is read from that is sent.
    token_file: Option<String>,
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
    /// The verdict in one sentence.
    pub headline: String,
    /// The report, to be shown.
    pub text: String,
    /// The exit code: 0 as required, 1 fail, 2 no such route, 3 not enough data.
    pub code: u8,
    /// Why it is not 0.
    pub reason: Option<String>,
}

impl Request {
    /// The token that is sent: that of the file, or `CONTROL_TOKEN`. No argument has one, since all
    /// processes of a machine see each other's arguments.
    fn token(&self, config: &Config) -> Result<Option<Token>, String> {
        let Some(path) = &self.token_file else { return Ok(config.control_token.clone()) };
        let bad = |why: &str| format!("--token-file {path}: {why}");
        let mut text = String::new();
        let read = File::open(path).and_then(|it| it.take(LONGEST_TOKEN).read_to_string(&mut text));
        read.map_err(|error| bad(&format!("cannot be read ({error})")))?;
        Token::parse(text.trim()).map(Some).map_err(|why| bad(&why))
    }

    /// How often it is asked for again; `None` for once.
    pub fn watched(&self) -> Option<Duration> {
        self.watch
    }

    /// How a report is shown: of a route alone where one is asked for.
    fn shown<'s>(&self, name: Option<&'s str>, summary: &'s Summary) -> Shown<'s> {
        let named = |name: &String| summary.routes.iter().find(|route| route.route == *name);
        let route = self.route.as_ref().and_then(named);
        Shown { name, summary, route, verbose: self.verbose }
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

/// The same for reports that are at hand, by the names of their candidates.
pub fn tell(request: &Request, reports: &BTreeMap<String, Summary>) -> Answer {
    match reports.values().next() {
        Some(only) if reports.len() == 1 => answer(request, only),
        _ => answer_of_all(request, reports),
    }
}

async fn fetch(request: &Request, config: &Config) -> Result<Vec<u8>, String> {
    let url = request.url.as_ref().ok_or("there is no proxy to be asked")?;
    let to = url.authority();
    let path = match &request.candidate {
        None => "/control/report".to_owned(),
        Some(name) => {
            format!("/control/report?candidate={}", utf8_percent_encode(name, NON_ALPHANUMERIC))
        }
    };
    let proxy =
        Upstream::new(Role::Baseline, url.clone(), &config.trust, TIMEOUT, config.dns.clone());
    let proxy = proxy.map_err(|error| format!("{to}: {error}"))?;
    let token = request.token(config)?;
    let mut request = HttpRequest::new(empty_body());
    if let Some(token) = token {
        let value = HeaderValue::try_from(format!("Bearer {}", token.secret()));
        let mut value = value.map_err(|_| "the token is no header value")?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
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
    let asked: Vec<_> = asked.map(|(name, it)| request.shown(Some(name), it)).collect();
    let judged: Vec<_> = asked.iter().map(|shown| judge_shown(request, shown)).collect();
    let headlines: Vec<_> = asked.iter().map(named_headline).collect();
    let rank = |code: u8| WORST_FIRST.iter().position(|it| *it == code);
    let code = judged.iter().map(|(code, _)| *code).min_by_key(|code| rank(*code));
    let reasons = asked.iter().zip(&judged).filter_map(|(shown, (_, reason))| {
        let name = shown.name.unwrap_or_default();
        reason.as_ref().map(|reason| format!("candidate {name}: {reason}"))
    });
    let reasons: Vec<_> = reasons.collect();
    Answer {
        headline: headlines.join("; "),
        text: request.format.render(&asked).unwrap_or_else(|| all_in_json(&asked)),
        code: code.unwrap_or(NO_REPORT),
        reason: (!reasons.is_empty()).then(|| plain(&reasons.join("; "))),
    }
}

fn named_headline(shown: &Shown<'_>) -> String {
    format!("{}: {}", shown.name.unwrap_or_default(), shown.headline())
}

fn all_in_json(all: &[Shown<'_>]) -> String {
    // A name is letters, digits, dots and dashes.
    let one = |shown: &Shown<'_>| {
        format!("\"{}\": {}", shown.name.unwrap_or_default(), in_json(shown).trim_end())
    };
    let all: Vec<_> = all.iter().map(one).collect();
    format!("{{{}}}\n", all.join(",\n"))
}

/// Shows a report and judges its verdict by what is required.
fn answer(request: &Request, summary: &Summary) -> Answer {
    let shown = request.shown(None, summary);
    let (code, reason) = judge_shown(request, &shown);
    Answer {
        headline: shown.headline().to_string(),
        text: request.format.render(&[shown]).unwrap_or_else(|| in_json(&shown)),
        code,
        reason: reason.map(|reason| plain(&reason)),
    }
}

/// The exit code for a report, and why it is not 0.
fn judge_shown(request: &Request, shown: &Shown<'_>) -> (u8, Option<String>) {
    let Shown { summary, route, .. } = *shown;
    match (&request.route, route) {
        // It may still come, and so may whatever is asked for where nobody has asked for anything yet.
        (Some(name), None) if summary.routes.is_empty() || summary.has_route(name) => {
            judge(request, None, &format!("route {name}"))
        }
        (Some(name), None) => (NO_REPORT, Some(no_such_route(name, summary))),
        (Some(name), Some(route)) => judge(request, Some(&route.scope), &format!("route {name}")),
        (None, _) => judge(request, Some(&summary.overall), "all routes"),
    }
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
fn in_json(shown: &Shown<'_>) -> String {
    let json = match shown.route {
        Some(route) => serde_json::to_string_pretty(route),
        None => serde_json::to_string_pretty(shown.summary),
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
