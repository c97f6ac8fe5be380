//! The report as text, for people: the same as the JSON, with the worst fields of each route.
//!
//! Labels, paths and values come from outside: whatever could move a terminal's cursor, change its
//! colours or turn the direction of the text is shown as an escape.

use std::collections::BTreeSet;
use std::fmt::{Display, Formatter, Result};

use super::fields::OTHER;
use super::summary::{
    ExampleSummary, Excess, FieldSummary, HeaderSummary, Mismatches, Quantile, RouteSummary, Scope,
    Summary, Thresholds, UnusedRule,
};
use crate::verdict::Verdict;

/// Fields shown for a route.
const FIELDS_SHOWN: usize = 10;
/// Headers shown for a route that are not compared.
const HEADERS_SHOWN: usize = 10;

/// The whole report, or one route of it.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// The report.
    pub summary: &'a Summary,
    /// The route, where only one is shown.
    pub route: Option<&'a RouteSummary>,
}

impl Display for Text<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        match self.route {
            Some(route) => whole_route(out, self.summary, route),
            None => whole(out, self.summary),
        }
    }
}

fn whole(out: &mut Formatter<'_>, summary: &Summary) -> Result {
    let since = summary.since.as_deref().unwrap_or("no pair yet");
    let mirroring = summary.mirroring.as_deref().unwrap_or("unknown");
    writeln!(out, "since {}, mirroring {}", plain(since), plain(mirroring))?;
    writeln!(out)?;
    scope(out, "all routes", &summary.allowed, &summary.overall)?;
    for route in &summary.routes {
        writeln!(out)?;
        whole_route(out, summary, route)?;
    }
    let left_out = summary.left_out;
    if left_out.differences > 0 || left_out.examples > 0 {
        writeln!(
            out,
            "\nno room for: {} differences (counted as field other), {} examples",
            left_out.differences, left_out.examples
        )?;
    }
    for UnusedRule { rule, place, pairs, .. } in &summary.unused_rules {
        writeln!(out, "rule never applied in {pairs} pairs: {} ({})", plain(rule), plain(place))?;
    }
    writeln!(out, "\n{}", plain(&summary.method))
}

fn whole_route(out: &mut Formatter<'_>, summary: &Summary, route: &RouteSummary) -> Result {
    let allowed = route.allowed.as_ref().unwrap_or(&summary.allowed);
    scope(out, &route.route, allowed, &route.scope)?;
    if let Some(state) = route.mirroring.as_deref().filter(|state| *state != "enabled") {
        writeln!(out, "  ! mirroring of this route: {}", plain(state))?;
    }
    for field in route.fields.iter().take(FIELDS_SHOWN) {
        self::field(out, field)?;
    }
    more_fields(out, &route.fields)?;
    headers(out, route)?;
    suggested(out, route)
}

/// Rules worth having, and what they hide.
fn suggested(out: &mut Formatter<'_>, route: &RouteSummary) -> Result {
    for ignore in &route.suggested_ignores {
        writeln!(
            out,
            "  differs by itself, worth ignoring: {} ({} of {} pairs, {} of {} between baselines)",
            plain(&ignore.path),
            ignore.raw,
            ignore.pairs,
            ignore.noise,
            ignore.noise_pairs
        )?;
        writeln!(out, "    hides {}", plain(&ignore.hides))?;
        for also in &ignore.also_hides {
            writeln!(out, "    would also hide {}", plain(also))?;
        }
    }
    let Some(rules) = &route.suggested_rules else { return Ok(()) };
    writeln!(out, "  rules for that, for the file of MIRROR_CONFIG:")?;
    for line in rules.lines() {
        writeln!(out, "    {}", plain(line))?;
    }
    Ok(())
}

/// How many fields are not shown. Each counts once, in however many kinds it differs; of those that found
/// no room nobody knows how many they are.
fn more_fields(out: &mut Formatter<'_>, fields: &[FieldSummary]) -> Result {
    let (shown, rest) = fields.split_at(fields.len().min(FIELDS_SHOWN));
    let mut names: BTreeSet<_> = rest.iter().map(|field| field.field.as_str()).collect();
    names.retain(|name| !shown.iter().any(|field| field.field == *name));
    let others = if names.remove(OTHER) { ", and others that found no room" } else { "" };
    let more = names.len();
    if more > 0 || !others.is_empty() {
        writeln!(out, "  … and {more} more fields{others}, see the JSON")?;
    }
    Ok(())
}

/// Headers that differ and are no part of the verdict.
fn headers(out: &mut Formatter<'_>, route: &RouteSummary) -> Result {
    for header in route.uncompared_headers.iter().take(HEADERS_SHOWN) {
        let HeaderSummary { name, change, share, raw, pairs, noise, noise_pairs, .. } = header;
        let share = 100.0 * share;
        write!(out, "  header {} differs and is not compared: ", plain(name))?;
        write!(out, "{}, {share:.2} % ({raw} of {pairs} pairs)", plain(change))?;
        if *noise_pairs > 0 {
            write!(out, ", {noise} of {noise_pairs} between baselines")?;
        }
        writeln!(out, "{}", if header.is_noise { ", noise" } else { "" })?;
    }
    let more = route.uncompared_headers.len().saturating_sub(HEADERS_SHOWN);
    if more > 0 {
        writeln!(out, "  … and {more} more headers, see the JSON")?;
    }
    if route.headers_left_out > 0 {
        writeln!(out, "  no room for {} differences in other headers", route.headers_left_out)?;
    }
    Ok(())
}

fn scope(out: &mut Formatter<'_>, name: &str, allowed: &Thresholds, scope: &Scope) -> Result {
    writeln!(out, "{}: {}, {} pairs", plain(name), scope.verdict.name(), scope.pairs)?;
    for reason in &scope.reasons {
        writeln!(out, "  ! {}", plain(reason))?;
    }
    if scope.verdict == Verdict::Pass {
        for open in &scope.not_covered {
            writeln!(out, "  ? not covered: {}", plain(open))?;
        }
    }
    let Mismatches { net, raw, compared, without_content, lower, upper, .. } = scope.mismatches;
    let apart = match without_content {
        0 => String::new(),
        some => format!(", {some} more agree without content"),
    };
    writeln!(
        out,
        "  mismatches   {:.2} % net ({net} of {compared}, {raw} raw{apart}), {:.2} to {:.2} %; allowed {:.2} %{}",
        100.0 * scope.mismatches.rate,
        100.0 * lower,
        100.0 * upper,
        100.0 * allowed.mismatch_rate,
        mark(scope.mismatches.verdict)
    )?;
    beside(out, allowed, scope)?;
    writeln!(
        out,
        "  errors       baseline {:.2} %, candidate {:.2} %, difference {:.2} to {:.2} %; allowed {:.2} %{}",
        100.0 * scope.errors.baseline_rate,
        100.0 * scope.errors.candidate_rate,
        100.0 * scope.errors.lower,
        100.0 * scope.errors.upper,
        100.0 * allowed.error_delta,
        mark(scope.errors.verdict)
    )?;
    latency(out, allowed, scope)
}

fn latency(out: &mut Formatter<'_>, allowed: &Thresholds, scope: &Scope) -> Result {
    let latency = scope.latency;
    for (name, found) in
        [("p50", latency.p50), ("p90", latency.p90), ("p99", latency.p99), ("p99.9", latency.p999)]
    {
        let Quantile { baseline_seconds, candidate_seconds, ratio, excess } = found;
        writeln!(
            out,
            "  latency {name:<5} baseline {}, candidate {}, ratio {}, allowed {:.2} or {}; {}",
            millis(baseline_seconds),
            millis(candidate_seconds),
            self::ratio(ratio),
            allowed.latency_ratio,
            millis(Some(allowed.latency_floor_seconds)),
            beyond(excess)
        )?;
    }
    writeln!(out, "  latency far   above 4 times the baseline's p99: {}", beyond(latency.far))
}

fn beyond(Excess { lower, upper, verdict, .. }: Excess) -> String {
    format!("{:.2} to {:.2} % more beyond it{}", 100.0 * lower, 100.0 * upper, mark(verdict))
}

/// What stands beside the rate of mismatches.
fn beside(out: &mut Formatter<'_>, allowed: &Thresholds, scope: &Scope) -> Result {
    let Mismatches { other_class, other_class_upper, .. } = scope.mismatches;
    writeln!(
        out,
        "  statuses     {other_class} of another class, up to {:.2} %; allowed {:.2} %",
        100.0 * other_class_upper,
        100.0 * allowed.status_rate,
    )?;
    let Mismatches { unknown, unknown_share, .. } = scope.mismatches;
    if unknown > 0 {
        let share = 100.0 * unknown_share;
        writeln!(
            out,
            "  not compared {share:.2} % ({unknown} pairs): too large, or no memory for it"
        )?;
    }
    Ok(())
}

fn field(out: &mut Formatter<'_>, field: &FieldSummary) -> Result {
    let kinds = field.kinds.join(", ");
    write!(out, "  {} ({}; risk {}): ", plain(&field.field), plain(&kinds), plain(&field.risk))?;
    write!(out, "{} of {} pairs", field.raw, field.pairs)?;
    if let Some(shape) = &field.shape {
        write!(out, ", candidate: {}", plain(shape))?;
    }
    if field.repeats {
        write!(out, ", always the same")?;
    }
    if field.noise_pairs > 0 {
        write!(out, ", {} of {} between baselines", field.noise, field.noise_pairs)?;
        write!(out, ", net {:.0}", field.net)?;
    }
    if field.is_noise {
        write!(out, ", noise")?;
    }
    writeln!(out)?;
    for ExampleSummary { place, baseline, candidate, note, request, seen, .. } in &field.examples {
        let side = |text: &Option<String>| text.as_deref().map_or("nothing".to_owned(), plain);
        write!(out, "    {}: {} -> {}", plain(place), side(baseline), side(candidate))?;
        if let Some(note) = note {
            write!(out, " ({})", plain(note))?;
        }
        if let Some(request) = request {
            write!(out, " in {}", plain(request))?;
        }
        writeln!(out, " at {}", plain(seen))?;
    }
    Ok(())
}

fn mark(verdict: Verdict) -> String {
    format!("  [{}]", verdict.name())
}

fn millis(seconds: Option<f64>) -> String {
    seconds.map_or("none".to_owned(), |seconds| format!("{:.1} ms", 1000.0 * seconds))
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or("any".to_owned(), |ratio| format!("{ratio:.2}"))
}

/// A text of one line without anything that a terminal acts on.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if is_active(c) { plain.extend(c.escape_unicode()) } else { plain.push(c) }
    }
    plain
}

/// Whether a terminal acts on it rather than showing it: control characters, the separators of
/// lines, and what turns the direction of a text (Unicode Standard Annex 9, section 2).
pub fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests;
