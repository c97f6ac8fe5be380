//! The report as the results of tests, which every pipeline shows (the schema is Jenkins', `junit-10.xsd`):
//! three cases for each route, and three over all.

use std::fmt::{Display, Formatter, Result};

use super::described::described;
use super::escape::escaped;
use super::page::Shown;
use super::plain::short;
use super::summary::{FieldSummary, Scope};
use crate::verdict::Verdict;

/// Places named where answers differ.
const PLACES: usize = 10;

/// Reports, each of which is a suite.
#[derive(Clone, Copy, Debug)]
pub(super) struct Junit<'a>(pub(super) &'a [Shown<'a>]);

/// What one check says of a route.
struct Case {
    route: String,
    check: &'static str,
    verdict: Verdict,
    /// The sentence.
    message: String,
    /// What it rests on, a line each.
    lines: Vec<String>,
}

impl Display for Junit<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        let suites: Vec<_> = self.0.iter().map(cases).collect();
        let all = || suites.iter().flatten();
        let failures = all().filter(|case| case.verdict == Verdict::Fail).count();
        writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
        writeln!(
            out,
            "<testsuites name=\"mirrorlab\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" \
             time=\"0\">",
            all().count()
        )?;
        for (shown, cases) in self.0.iter().zip(&suites) {
            suite(out, shown, cases)?;
        }
        writeln!(out, "</testsuites>")
    }
}

fn suite(out: &mut Formatter<'_>, shown: &Shown<'_>, cases: &[Case]) -> Result {
    let of = |verdict| cases.iter().filter(|case| case.verdict == verdict).count();
    let name = shown.name.map_or("mirrorlab".to_owned(), |name| format!("mirrorlab {name}"));
    writeln!(
        out,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" \
         time=\"0\">",
        escaped(&short(&name)),
        cases.len(),
        of(Verdict::Fail),
        of(Verdict::NotEnoughData)
    )?;
    cases.iter().try_for_each(|case| self::case(out, case))?;
    let headline = escaped(&shown.headline().to_string());
    writeln!(out, "    <system-out>{headline}</system-out>\n  </testsuite>")
}

fn case(out: &mut Formatter<'_>, case: &Case) -> Result {
    let Case { route, check, verdict, message, lines } = case;
    let [route, message] = [route, message].map(|text| escaped(text.as_str()));
    write!(out, "    <testcase classname=\"{route}\" name=\"{check}\" time=\"0\"")?;
    match verdict {
        Verdict::Pass => writeln!(out, "/>"),
        Verdict::Fail => writeln!(
            out,
            ">\n      <failure type=\"{check}\" message=\"{message}\">{}</failure>\n    </testcase>",
            escaped(&lines.join("\n"))
        ),
        Verdict::NotEnoughData => {
            writeln!(out, ">\n      <skipped message=\"{message}\"/>\n    </testcase>")
        }
    }
}

fn cases(shown: &Shown<'_>) -> Vec<Case> {
    let summary = shown.summary;
    let mut cases = Vec::new();
    // Where cases of several suites have one name, some pipelines show one of them.
    let name = |route: &str| shown.name.map_or(route.to_owned(), |name| format!("{name} {route}"));
    if shown.route.is_none() {
        cases.extend(of_scope(&name("all routes"), &summary.overall, &summary.worst_fields));
    }
    let alone = shown.route.into_iter();
    let routes = alone.chain(summary.routes.iter().filter(|_| shown.route.is_none()));
    for route in routes {
        cases.extend(of_scope(&name(&route.route), &route.scope, &route.fields));
    }
    cases
}

fn of_scope(route: &str, scope: &Scope, fields: &[FieldSummary]) -> Vec<Case> {
    let checks = [
        ("mismatches", scope.mismatches.verdict, &["mismatches", "statuses"][..]),
        ("errors", scope.errors.verdict, &["errors"][..]),
        ("latency", scope.latency.verdict, &["latency"][..]),
    ];
    let judged = |(check, ..): &(&str, _, _)| *check != "latency" || scope.latency.judged;
    let cases = checks.into_iter().filter(judged).map(|(check, verdict, names)| {
        let of_it = |reason: &&String| names.iter().any(|name| reason.starts_with(name));
        let mut lines: Vec<_> = scope.reasons.iter().filter(of_it).map(|it| short(it)).collect();
        // Where the whole fails, what is merely open has no reason of its own.
        let message = lines.first().cloned().unwrap_or_else(|| verdict.name().to_owned());
        if check == "mismatches" {
            let differ = fields.iter().filter(|field| !field.is_noise && field.raw > 0);
            lines.extend(differ.take(PLACES).map(|field| described(field).to_string()));
        }
        Case { route: short(route), check, verdict, message, lines }
    });
    cases.collect()
}
