//! `check`: whether settings are good, and what a request would get by them: which route it is of,
//! which policy holds, and which line says so.

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, Method, Uri};
use serde_json::Value;

use crate::config::{Config, Effective};
use crate::headers::{self, target};
use crate::policy::matcher::{Choice, Matcher, Seen, choose};
use crate::policy::share::{Share, position};
use crate::policy::{CANDIDATE, RoutePolicy, marks};
use crate::route::Labels;

/// A request that is to be explained.
#[derive(Clone, Debug)]
pub struct Explained {
    /// Its method.
    pub method: Method,
    /// Its target.
    pub uri: Uri,
    /// Its header lines.
    pub headers: HeaderMap,
    /// Who sends it.
    pub client: IpAddr,
}

/// What each copy has, and where it may be said: of the route, the candidate, for all.
const POLICY: [(&str, [&str; 3]); 26] = [
    ("share", ["share", "share", "mirror.share"]),
    ("sample_by", ["sample_by", "", ""]),
    ("order_by", ["order_by", "", "mirror.order_by"]),
    ("min_pairs", ["min_pairs", "", ""]),
    ("rate of the route", ["rate", "", ""]),
    ("rate of the candidate", ["", "rate", ""]),
    ("rate for all", ["", "", "mirror.rate"]),
    ("methods", ["", "", "mirror.methods"]),
    ("unsafe_methods", ["unsafe_methods", "", "mirror.unsafe_methods"]),
    ("mark", ["mark", "", "mirror.mark"]),
    ("body", ["body", "", "mirror.body"]),
    ("max_body_bytes", ["max_body_bytes", "", "mirror.max_body_bytes"]),
    ("timeout", ["timeout", "timeout", "mirror.timeout"]),
    ("queue_size", ["", "queue_size", "mirror.queue_size"]),
    ("concurrency", ["", "concurrency", "mirror.concurrency"]),
    both("guardrail.latency_ratio"),
    both("guardrail.latency_floor"),
    both("guardrail.error_delta"),
    both("guardrail.consecutive"),
    both("guardrail.cooldown"),
    both("guardrail.mismatch_rate"),
    ("guardrail.mode", ["", "guardrail.mode", "guardrail.mode"]),
    ("guardrail.ramp", ["", "", "guardrail.ramp"]),
    ("guardrail.warmup", ["", "", "guardrail.warmup"]),
    both("report.mismatch_rate"),
    both("report.status_rate"),
];

/// What route and candidate may both say.
const fn both(place: &'static str) -> (&'static str, [&'static str; 3]) {
    (place, [place, place, place])
}

/// One line: that the settings are good, and what is in them.
pub fn summary(config: &Config) -> String {
    let name = config.file.as_deref().unwrap_or("the environment");
    let count = |number: usize, what: &str| {
        format!("{number} {what}{}", if number == 1 { "" } else { "s" })
    };
    let names = match &config.candidates[..] {
        [] => vec![CANDIDATE],
        candidates => candidates.iter().map(|it| &*it.name).collect(),
    };
    let (routes, candidates) = (count(config.routes.len(), "route"), names.len());
    format!("{name}: good; {routes}, {} ({})\n", count(candidates, "candidate"), names.join(", "))
}

/// Which route and policy a request would get, and which lines decided.
pub fn explain(config: &Config, request: &Explained) -> String {
    let Explained { method, uri, headers, client } = request;
    let seen = Seen { method, uri, headers, client: *client };
    let by_default = label(config, method, &seen.path());
    let target = uri.to_string();
    let target = target::shown(&target);
    let mut text =
        format!("{method} {target}, from {client}; its label by default: {by_default}\n");
    let matchers = config.routes.iter().map(|route| &route.matcher);
    let is_read_otherwise = matchers.clone().any(Matcher::is_read_otherwise);
    let choice =
        choose(&matchers, is_read_otherwise, &seen, &mut |path| label(config, method, path));
    let found = match choice {
        Choice::First(index) => Some(index),
        Choice::None => None,
        Choice::InDoubt { sent, read } => {
            let named = |index: Option<usize>| {
                index.map_or_else(
                    || "no route".to_owned(),
                    |it| format!("{:?}", config.routes[it].id),
                )
            };
            line(
                &mut text,
                format_args!(
                    "in doubt: its path may be read in two ways, as {} and as {}; not mirrored where \
                     only one of them allows it",
                    named(sent),
                    named(read)
                ),
            );
            sent
        }
    };
    kept_from_all(config, headers, &mut text);
    for route in &config.routes[..found.unwrap_or(config.routes.len())] {
        passed_over(config, route, &seen, &mut text);
    }
    let found = found.map(|index| &config.routes[index]);
    match found {
        Some(route) => taken(config, route, &mut text),
        None if config.routes.is_empty() => text.push_str("no routes: the values for all hold\n"),
        None => text.push_str("no route fits: the values for all hold\n"),
    }
    copies(config, found, request, &mut text);
    text
}

/// Says what of the head keeps the request from being copied to anybody.
fn kept_from_all(config: &Config, headers: &HeaderMap, text: &mut String) {
    let marks = marks(config.mirror.mark.as_ref(), &config.routes);
    if let Some((name, mark)) = headers::read_as_any(headers, &marks) {
        let read =
            if name == mark { String::new() } else { format!(", which may be read as {mark}") };
        line(text, format_args!("not mirrored: it is marked as a copy already ({name}{read})"));
    }
    if headers::upgrade(headers).is_some() {
        line(text, format_args!("not mirrored: it asks for another protocol (upgrade)"));
    }
}

fn label(config: &Config, method: &Method, path: &str) -> Arc<str> {
    let (templates, templates_alone) = (&config.templates[..], config.templates_alone);
    Labels { templates, templates_alone }.of(method, path).into()
}

/// Says which condition of a route does not hold.
fn passed_over(config: &Config, route: &RoutePolicy, seen: &Seen<'_>, text: &mut String) {
    let mut conditions = route.matcher.conditions.iter().enumerate();
    let failed = conditions.find(|(_, condition)| {
        let alone = Matcher { conditions: vec![(*condition).clone()] };
        !alone.fits(seen, &mut || label(config, seen.method, &seen.path()))
    });
    let Some((index, condition)) = failed else { return };
    let place = origin(config, &format!("route.{}.match.{index}", route.id));
    line(
        text,
        format_args!(
            "not route {:?} ({}): {} does not hold ({place})",
            route.id, route.place, condition.text
        ),
    );
}

fn taken(config: &Config, route: &RoutePolicy, text: &mut String) {
    line(text, format_args!("route {:?} ({})", route.id, route.place));
    for (index, condition) in route.matcher.conditions.iter().enumerate() {
        let place = origin(config, &format!("route.{}.match.{index}", route.id));
        line(text, format_args!("  {} ({place})", condition.text));
    }
    let (all, own) = (config.mirror.rules.all.rules.len(), route.rules.rules.len());
    line(text, format_args!("  rules of the comparison: {all} for all routes, {own} of its own"));
}

/// Says of each candidate what its copies have.
fn copies(config: &Config, route: Option<&RoutePolicy>, request: &Explained, text: &mut String) {
    let names: Vec<&str> = match &config.candidates[..] {
        [] => vec![CANDIDATE],
        candidates => candidates.iter().map(|it| &*it.name).collect(),
    };
    let listed = route.and_then(|route| Some((route, route.candidates.as_ref()?)));
    for name in names {
        if let Some((route, listed)) = listed
            && !listed.iter().any(|it| **it == *name)
        {
            let place = origin(config, &format!("route.{}.candidates", route.id));
            line(text, format_args!("candidate {name:?}: gets no copy ({place})"));
            continue;
        }
        line(text, format_args!("candidate {name:?}"));
        why_not(config, route, name, request, text);
        for (what, places) in POLICY {
            let places = places_of(route, name, places);
            let said = places.iter().filter_map(|place| config.settings.get(place));
            let is_limit = |value: &Value| !what.starts_with("report.") || value != "off";
            let mut said = said.filter(|it| it.value != Value::Null && is_limit(&it.value));
            if let Some(Effective { value, origin, .. }) = said.next() {
                line(text, format_args!("  {what} = {value} ({origin})"));
            }
            if let Some(route) = route.filter(|_| what == "sample_by") {
                sampled(config, route, name, request, text);
            }
        }
    }
}

/// The places at which a value may be said, the first first.
fn places_of(route: Option<&RoutePolicy>, candidate: &str, places: [&str; 3]) -> Vec<String> {
    let [of_route, of_candidate, of_all] = places;
    let mut found = Vec::new();
    if let Some(route) = route.filter(|_| !of_route.is_empty()) {
        found.push(format!("route.{}.{of_route}", route.id));
        // The report's limit of mismatches is the guardrail's, where it has none of its own.
        if of_route == "report.mismatch_rate" {
            found.push(format!("route.{}.guardrail.mismatch_rate", route.id));
        }
    }
    if !of_candidate.is_empty() {
        found.push(format!("candidate.{candidate}.{of_candidate}"));
        if of_candidate == "report.mismatch_rate" {
            found.push(format!("candidate.{candidate}.guardrail.mismatch_rate"));
        }
    }
    found.push(of_all.to_owned());
    found
}

/// What keeps this request from being copied at all.
fn why_not(
    config: &Config,
    route: Option<&RoutePolicy>,
    candidate: &str,
    request: &Explained,
    text: &mut String,
) {
    let method = &request.method;
    if config.mirror.methods.as_ref().is_some_and(|methods| !methods.contains(method)) {
        let place = origin(config, "mirror.methods");
        line(text, format_args!("  not mirrored: {method} is none of the methods ({place})"));
    }
    let own = route.filter(|it| it.unsafe_methods.is_some());
    let mirrors_unsafe = own.and_then(|it| it.unsafe_methods);
    if !mirrors_unsafe.unwrap_or(config.mirror.unsafe_methods) && !method.is_safe() {
        let table = own.map_or_else(|| "mirror".to_owned(), |it| format!("route.{}", it.id));
        let place = origin(config, &format!("{table}.unsafe_methods"));
        line(text, format_args!("  not mirrored: {method} is not safe ({place})"));
    }
    if config.candidates.iter().any(|it| *it.name == *candidate && !it.enabled) {
        let place = origin(config, &format!("candidate.{candidate}.enabled"));
        line(text, format_args!("  not mirrored at first: it is not enabled ({place})"));
    }
}

/// Whether the key that decides in place of dice is in the sample.
fn sampled(
    config: &Config,
    route: &RoutePolicy,
    candidate: &str,
    request: &Explained,
    text: &mut String,
) {
    let Some(by) = &route.sample_by else { return };
    let Explained { method, uri, headers, client } = request;
    let Some(key) = by.key(&Seen { method, uri, headers, client: *client }) else {
        let why = format!("the request has no key ({by}), so that dice decide");
        return line(text, format_args!("  in the sample: {why}"));
    };
    let of_candidate = config.candidates.iter().find(|it| *it.name == *candidate);
    let share = route.share.or(of_candidate.and_then(|it| it.share));
    let share = share.unwrap_or(Share::of(config.mirror.fraction));
    let is_in = share.takes(position(&key, config.sample_secret));
    let answer = if is_in { "yes" } else { "no" };
    let mut told = format!("  in the sample: {answer}, by its key ({by}) and the share {share}");
    if route.min_pairs > 0 && share > Share::NONE {
        told.push_str(&format!(", once {} pairs are known; until then yes", route.min_pairs));
    }
    let is_told = |it: &Effective| it.value != Value::Null;
    if !config.settings.get("mirror.sample_secret").is_some_and(is_told) {
        told.push_str("; with a mirror.sample_secret it may be otherwise");
    }
    line(text, format_args!("{told}"));
}

fn origin(config: &Config, place: &str) -> String {
    config.settings.get(place).map_or_else(|| "default".to_owned(), |it| it.origin.to_string())
}

fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    writeln!(text, "{what}").expect("a text takes everything");
}

#[cfg(test)]
mod tests;
