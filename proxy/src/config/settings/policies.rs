//! The settings of single tokens, candidates and routes, and the rules of the comparison.

use super::Kind::{List, Number, NumberOrOff, Path, Range, Switch, Text, Texts, Time, Whole, Word};
use super::Setting;
use super::table::{
    ABOVE_0, ABSOLUTE, ADDRESS, AT_LEAST_0, BOOL, BYTES, COPIES, COUNT, FOLDER, LEAST_0, MARK,
    OFF_OR_RATE, ORDER_BY, PERMITS, RATE, RELATIVE, SHARE_PARTS, SPOOL_BYTES, STATUS, TIME,
    TIME_OR_0,
};
use crate::policy::record::Bodies;

const NAME: &str =
    "1 to 64 letters, digits and any of -_., and none of baseline, secondary and other";
const TOKEN_NAME: &str = "1 to 64 letters, digits and any of -_., and not CONTROL_TOKEN";
const SOCKET_NAME: &str = "1 to 64 letters, digits and any of -_., and neither traffic nor admin";
const ROUTE_NAME: &str = "a text of 1 to 100 visible characters, not other";
const LABEL: &str = "the label of a route, such as `GET /api/product/{id}` or `other`";
const FOR_ALL: &str = "the value for all";
const CLASSES: &[&str] = &["uuid", "timestamp", "token", "hex", "jwt", "ulid", "string", "number"];
const PATTERN: &str = "a regular expression of at most 1024 bytes, which fits the whole of it";
const PATH: &str = "a JSON path";
const KEYS: &str = "keys, or paths to a part of the document";
const HEADERS: &str = "names of headers";
const VALUE: &str = "a text";
const METHODS: &str = "methods such as GET; for all leave method out";

/// A setting that no variable of the environment has.
pub(super) const fn of(
    place: &'static str,
    kind: super::Kind,
    allowed: &'static str,
    about: &'static str,
) -> Setting {
    Setting::new(place, kind, allowed, about)
}

/// What differs from the value for all only where it is said.
const fn own(
    place: &'static str,
    kind: super::Kind,
    allowed: &'static str,
    about: &'static str,
) -> Setting {
    of(place, kind, allowed, about).unset(FOR_ALL)
}

#[rustfmt::skip]
pub(super) const SETTINGS: &[Setting] = &[
    of("listener.address", Text, ADDRESS, "where it listens").required().restart(),
    of("listener.name", Text, SOCKET_NAME, "what a socket is called that systemd passes in place of the address")
        .restart(),
    of("listener.mode", Word(&["proxy", "relay"]), "proxy or relay",
        "proxy: as [listen], without the admin endpoints; relay: answered at once, and asked of the baseline \
         and candidates in the background").default("proxy").restart(),
    of("listener.tls", Switch, BOOL, "true: it speaks TLS with the certificate of [listen]")
        .default("false").restart(),
    of("listener.status", Whole, STATUS, "of a relay: the status of its answers").default("200").restart(),
    of("listener.body", Text, "a text; empty where the status allows none",
        "of a relay: the body of its answers").default("").or_empty().restart(),
    of("listener.queue_size", Whole, PERMITS, "of a relay: requests that may wait").default("256").restart(),
    of("listener.concurrency", Whole, PERMITS,
        "of a relay: requests at once that the baseline is asked, in the order of their arrival; 1: one after \
         the other").default("64").restart(),
    of("listener.spool", Path, FOLDER,
        "of a relay: where its requests wait on disk, over a restart and a crash")
        .unset("they wait in memory").restart(),
    of("listener.spool_bytes", Whole, SPOOL_BYTES, "of a relay: most bytes of the file in its spool")
        .default("1073741824").restart(),

    of("admin.tokens.name", Text, TOKEN_NAME, "what the log and the audit log call it").required(),
    of("admin.tokens.sha256", Text, "64 hexadecimal digits",
        "the SHA-256 of the token, as `printf %s TOKEN | sha256sum` has it").secret().required(),
    of("admin.tokens.rights", List, "read, examples, control, or several of them",
        "what it may: see status and settings; see values of traffic, too; switch something, too").required(),

    of("candidate.name", Text, NAME, "tells it from the others; a metric label").required(),
    of("candidate.enabled", Switch, BOOL, "whether copies are sent to it from the start").default("true"),
    own("candidate.share", Number, SHARE_PARTS, "share of requests that it gets copies of"),
    of("candidate.rate", Text, COPIES, "copies in a time, besides the limit for all").unset("any number"),
    own("candidate.timeout", Time, TIME, "one deadline for a copy"),
    own("candidate.queue_size", Whole, PERMITS, "copies that may wait"),
    own("candidate.concurrency", Whole, PERMITS, "copies in flight at once"),
    own("candidate.guardrail.latency_ratio", Number, ABOVE_0, "see guardrail.latency_ratio"),
    own("candidate.guardrail.latency_floor", Time, TIME_OR_0, "see guardrail.latency_floor"),
    own("candidate.guardrail.error_delta", Number, AT_LEAST_0, "see guardrail.error_delta"),
    own("candidate.guardrail.consecutive", Whole, COUNT, "see guardrail.consecutive"),
    own("candidate.guardrail.cooldown", Time, TIME, "see guardrail.cooldown"),
    own("candidate.guardrail.mismatch_rate", NumberOrOff, OFF_OR_RATE, "see guardrail.mismatch_rate"),
    own("candidate.guardrail.mode", Word(&["on", "observe"]), "on or observe", "see guardrail.mode"),
    own("candidate.report.mismatch_rate", Number, RATE, "see report.mismatch_rate"),
    own("candidate.report.status_rate", Number, RATE, "see report.status_rate"),

    of("compare.builtin", Switch, BOOL,
        "false: the names that are always left out or masked are neither").default("true"),
    of("compare.headers", Texts, HEADERS,
        "response headers that are compared instead of content-type, location and cache-control"),
    of("compare.null_equals_absent", Switch, BOOL,
        "a member that is null equals one that is not there").default("false"),
    of("compare.ignore", Texts, KEYS, "values that leave no trace, on one side or both"),
    of("compare.ignore_headers", Texts, HEADERS, "headers that are not compared"),
    of("compare.mask", Texts, KEYS, "values that are never shown, and equal any other"),
    of("compare.mask_headers", Texts, HEADERS, "headers that are never shown, and equal any other"),
    of("compare.mask_as", Word(&["equal", "hash"]), "equal or hash",
        "hash: masked values are compared by a hash under a random key").default("equal"),
    of("compare.arrays.path", Text, PATH, "which arrays").required(),
    of("compare.arrays.unordered", Switch, BOOL, "true: the same elements in any order"),
    of("compare.arrays.key", Text, "the name of a key, of 1 to 256 bytes",
        "elements are paired by the value of this member"),
    of("compare.numbers.path", Text, PATH, "which numbers").required(),
    of("compare.numbers.absolute", Number, ABSOLUTE, "how far they may be apart"),
    of("compare.numbers.relative", Number, RELATIVE,
        "the same, times the larger number"),
    of("compare.times.path", Text, PATH, "which times").required(),
    of("compare.times.within", Time,
        "whole seconds, or a number with a unit such as 500ms or 2m, at most 24h",
        "how far they may be apart").required(),
    of("compare.classes.path", Text, PATH, "which values").required(),
    of("compare.classes.class", Word(CLASSES),
        "uuid, timestamp, token, hex, jwt, ulid, string or number", "what both must be").required(),
    of("compare.json_strings", Texts, "JSON paths", "strings that are read as the JSON in them"),

    of("route.name", Text, ROUTE_NAME, "its metric label").unset("that of each request"),
    of("route.route", Text, LABEL, "requests with this label").unset("any"),
    of("route.match.method", List, METHODS, "one of these methods"),
    of("route.match.method.any_of", List, METHODS, "one of these methods").required(),
    of("route.match.method.not", Switch, BOOL, "true: it must not hold").default("false"),
    of("route.match.path.exact", Text, "a path such as /cart", "this path"),
    of("route.match.path.prefix", Text, "a path such as /api", "this path, and what is below it"),
    of("route.match.path.template", Text, "a path template such as /users/{name}/cart",
        "paths that fit it"),
    of("route.match.path.regex", Text, PATTERN, "paths that fit it"),
    of("route.match.path.not", Switch, BOOL, "true: it must not hold").default("false"),
    of("route.match.host.exact", Text, "a host without a port; regex is for patterns", "this host"),
    of("route.match.host.prefix", Text, "the beginning of a host without a port; regex is for patterns",
        "hosts that begin so"),
    of("route.match.host.regex", Text, PATTERN, "hosts that fit it"),
    of("route.match.host.not", Switch, BOOL, "true: it must not hold").default("false"),
    of("route.match.header.name", Text, "the name of a header", "which header").required(),
    of("route.match.header.present", Switch, BOOL, "it is there; false: it is not"),
    of("route.match.header.exact", Text, VALUE, "it is this").or_empty(),
    of("route.match.header.prefix", Text, VALUE, "it begins with this"),
    of("route.match.header.regex", Text, PATTERN, "it fits this"),
    of("route.match.header.range", Range, "two numbers, the least before the greatest",
        "a number from the first to the second"),
    of("route.match.header.not", Switch, BOOL, "true: it must not hold").default("false"),
    of("route.match.query.name", Text, "the name of a parameter", "which parameter").required(),
    of("route.match.query.present", Switch, BOOL, "it is there; false: it is not"),
    of("route.match.query.exact", Text, VALUE, "it is this").or_empty(),
    of("route.match.query.prefix", Text, VALUE, "it begins with this"),
    of("route.match.query.regex", Text, PATTERN, "it fits this"),
    of("route.match.query.range", Range, "two numbers, the least before the greatest",
        "a number from the first to the second"),
    of("route.match.query.not", Switch, BOOL, "true: it must not hold").default("false"),
    of("route.match.cookie.name", Text, "the name of a cookie", "which cookie").required(),
    of("route.match.cookie.present", Switch, BOOL, "it is there; false: it is not"),
    of("route.match.cookie.exact", Text, VALUE, "it is this").or_empty(),
    of("route.match.cookie.prefix", Text, VALUE, "it begins with this"),
    of("route.match.cookie.regex", Text, PATTERN, "it fits this"),
    of("route.match.cookie.range", Range, "two numbers, the least before the greatest",
        "a number from the first to the second"),
    of("route.match.cookie.not", Switch, BOOL, "true: it must not hold").default("false"),
    of("route.match.client.networks", List, "networks such as 10.0.0.0/8, or addresses",
        "clients in these networks").required(),
    of("route.match.client.not", Switch, BOOL, "true: it must not hold").default("false"),
    of("route.candidates", List, "names of candidates", "who gets copies").unset("all candidates").or_empty(),
    own("route.share", Number, SHARE_PARTS,
        "share of its requests that each of its candidates gets copies of"),
    of("route.sample_by", Text, "header:NAME, cookie:NAME, query:NAME or client",
        "what decides in place of dice, so that whole sessions are mirrored or not").unset("dice"),
    own("route.order_by", Text, ORDER_BY,
        "copies with the same key are sent one after the other, as their requests came"),
    of("route.rate", Text, COPIES, "copies in a time, besides the other limits").unset("any number"),
    of("route.min_pairs", Whole, LEAST_0,
        "until so many pairs are known its share is 1; a share of 0 stays 0").default("0"),
    own("route.unsafe_methods", Switch, BOOL, "whether methods that are not safe are mirrored, of those in mirror.methods"),
    own("route.mark", Text, MARK, "header line that marks a copy; empty turns it off").or_empty(),
    own("route.max_body_bytes", Whole, BYTES, "a larger request body is not mirrored"),
    own("route.body", Switch, BOOL, "false: copies carry no body"),
    own("route.timeout", Time, TIME, "one deadline for a copy"),
    own("route.record.share", Number, SHARE_PARTS, "see record.share"),
    own("route.record.mismatches", Switch, BOOL, "see record.mismatches"),
    own("route.record.bodies", Word(Bodies::WORDS), "all, requests or none", "see record.bodies"),
    own("route.record.max_body_bytes", Whole, BYTES, "see record.max_body_bytes"),
    own("route.guardrail.latency_ratio", Number, ABOVE_0, "see guardrail.latency_ratio"),
    own("route.guardrail.latency_floor", Time, TIME_OR_0, "see guardrail.latency_floor"),
    own("route.guardrail.error_delta", Number, AT_LEAST_0, "see guardrail.error_delta"),
    own("route.guardrail.consecutive", Whole, COUNT, "see guardrail.consecutive"),
    own("route.guardrail.cooldown", Time, TIME, "see guardrail.cooldown"),
    own("route.guardrail.mismatch_rate", NumberOrOff, OFF_OR_RATE, "see guardrail.mismatch_rate"),
    own("route.report.mismatch_rate", Number, RATE, "see report.mismatch_rate"),
    own("route.report.status_rate", Number, RATE, "see report.status_rate"),
];
