//! The settings of the proxy as a whole.

use super::Kind::{List, Number, NumberOrOff, Path, Switch, Text, Time, Url, Whole, Word};
use super::{Setting, TableOf, Times};

pub(super) const TIME: &str =
    "whole seconds, or a number with a unit such as 500ms or 2m, above 0 and at most 24h";
pub(super) const TIME_OR_0: &str =
    "0, or whole seconds, or a number with a unit such as 2ms, at most 24h";
pub(super) const URL: &str = "an http or https URL without user info, query and fragment, or \
    http://unix:/path/of.sock:/prefix";
pub(super) const ADDRESS: &str = "an address such as :8080, 127.0.0.1:8080 or [::]:8080";
pub(super) const HOST: &str = "target, preserve, or a host with or without a port";
pub(super) const SHARE: &str = "a number from 0.0 to 1.0";
/// Finer digits are rounded, but for what would be rounded to nothing.
pub(super) const SHARE_OF_ALL: &str = "0, or a number from 0.000001 to 1.0";
pub(super) const SHARE_PARTS: &str = "a number from 0 to 1, no finer than a millionth";
pub(super) const LEAST_0: &str = "a whole number from 0 to 9223372036854775807";
pub(super) const OFF_OR_RATE: &str = "off, or a number above 0 and below 1";
/// What a semaphore can count.
pub(super) const PERMITS: &str = "a whole number from 1 to 2305843009213693951";
pub(super) const ENTRIES: &str = "a whole number from 1 to 1000000";
pub(super) const COUNT: &str = "a whole number from 1 to 4294967295";
pub(super) const HOOK_BYTES: &str = "a whole number of bytes from 65536 to 1073741824";
/// No larger than TOML can say.
pub(super) const BYTES: &str = "a whole number of bytes, from 0 to 9223372036854775807";
/// The environment can say more, and some say the most there is for no limit.
const BYTES_OF_ALL: &str = "a whole number of bytes, in a file from 0 to 9223372036854775807, in the \
    environment from 0 to 18446744073709551615";
const HEAD_BYTES: &str = "a whole number of bytes from 8192 to 16777216";
pub(super) const STATUS: &str = "a whole number from 200 to 599";
pub(super) const SPOOL_BYTES: &str = "a whole number of bytes from 1048576 to 9223372036854775807";
const HEAD_LINES: &str = "a whole number from 1 to 10000";
pub(super) const BOOL: &str = "true or false";
const CHAIN: &str = "off, extend or replace";
const CHAINS: &[&str] = &["off", "extend", "replace"];
pub(super) const HTTP: &[&str] = &["auto", "1", "2"];
pub(super) const DNS_NAME: &str = "a DNS name or an IP address";
pub(super) const RATE: &str = "a number above 0 and below 1";
pub(super) const MARK: &str =
    "a header line such as \"X-Mirror: 1\" of an end-to-end header, or empty for none";
pub(super) const ORDER_BY: &str = "header:NAME, cookie:NAME, query:NAME, client or off";
pub(super) const COPIES: &str =
    "a number and a time, such as 200/s, 30/m or 5/h, from one a day to a million a second";
pub(super) const ABOVE_0: &str = "a number above 0";
pub(super) const AT_LEAST_0: &str = "a number of 0 or more";
pub(super) const ABSOLUTE: &str = "a number of 0 or more; one of absolute and relative is above 0";
pub(super) const RELATIVE: &str =
    "a number of 0 or more and below 1; one of absolute and relative is above 0";
pub(super) const FOLDER: &str = "the path of a folder, which is made where there is none";
const ENGINE: &str = "redis://host:port, rediss:// with TLS, or redis+unix:///path, with user and password where it asks for them";
const CLUSTER_NAME: &str = "1 to 64 letters, digits, `.`, `_` and `-`";
const STORE: &str = "s3://bucket/prefix, of a store that speaks S3's protocol";
const RECORD_BYTES: &str = "a whole number of bytes from 65536 to 9223372036854775807";
const RECORD_BODIES: &[&str] = crate::policy::record::Bodies::WORDS;
const TRACE_COPIES: &[&str] = crate::policy::trace::Copies::WORDS;
const AUDIT_BYTES: &str = "a whole number of bytes from 4096 to 9223372036854775807";
const AUDIT_FILES: &str = "a whole number from 2 to 1000";
const CHAIN_FILE: &str = "the path of a PEM file with the certificate chain, with its key";
const KEY_FILE: &str = "the path of a PEM file with the private key, with its certificate";
const NETWORKS: &str = "a comma-separated list of networks such as 10.0.0.0/8, or addresses";

/// What numbers may be by these words, as a JSON Schema says it.
pub(super) const BOUNDS: &[(&str, &[(&str, f64)])] = &[
    (SHARE, &[("minimum", 0.0), ("maximum", 1.0)]),
    (SHARE_OF_ALL, &[("maximum", 1.0)]),
    (SHARE_PARTS, &[("maximum", 1.0)]),
    // The first number that is too large has all its digits as a float.
    (PERMITS, &[("minimum", 1.0), ("exclusiveMaximum", 2_305_843_009_213_693_952.0)]),
    (ENTRIES, &[("minimum", 1.0), ("maximum", 1_000_000.0)]),
    (COUNT, &[("minimum", 1.0), ("maximum", 4_294_967_295.0)]),
    (HOOK_BYTES, &[("minimum", 65_536.0), ("maximum", 1_073_741_824.0)]),
    (BYTES, &[("minimum", 0.0)]),
    (BYTES_OF_ALL, &[("minimum", 0.0)]),
    (LEAST_0, &[("minimum", 0.0)]),
    (HEAD_BYTES, &[("minimum", 8192.0), ("maximum", 16_777_216.0)]),
    (HEAD_LINES, &[("minimum", 1.0), ("maximum", 10_000.0)]),
    (SPOOL_BYTES, &[("minimum", 1_048_576.0)]),
    (AUDIT_BYTES, &[("minimum", 4096.0)]),
    (RECORD_BYTES, &[("minimum", 65536.0)]),
    (AUDIT_FILES, &[("minimum", 2.0), ("maximum", 1000.0)]),
    (STATUS, &[("minimum", 200.0), ("maximum", 599.0)]),
    (RATE, &[("exclusiveMinimum", 0.0), ("exclusiveMaximum", 1.0)]),
    (OFF_OR_RATE, &[("exclusiveMinimum", 0.0), ("exclusiveMaximum", 1.0)]),
    (ABOVE_0, &[("exclusiveMinimum", 0.0)]),
    (AT_LEAST_0, &[("minimum", 0.0)]),
    (ABSOLUTE, &[("minimum", 0.0)]),
    (RELATIVE, &[("minimum", 0.0), ("exclusiveMaximum", 1.0)]),
];

const fn of(
    env: &'static str,
    place: &'static str,
    kind: super::Kind,
    allowed: &'static str,
    about: &'static str,
) -> Setting {
    Setting::new(place, kind, allowed, about).env(env)
}

/// What is told of tables, and which may stand there more than once.
pub(super) const TABLES: &[TableOf] = &[
    table("listen", Times::Once, "Where clients are taken, and how the proxy stops."),
    table(
        "listener",
        Times::Many,
        "More addresses where clients are taken, or copies of another mirror; at most 16.",
    ),
    table("admin", Times::Once, "Health, metrics and control, and who may use them."),
    table("admin.tokens", Times::Many, "Who may use them, each by a token; at most 100."),
    table("audit", Times::Once, "A log of who did what, by which settings, and what was stopped."),
    table("record", Times::Once, "What is recorded of traffic, to be sent again or looked into."),
    table("cluster", Times::Once, "Other replicas of this proxy, with which it judges together."),
    table("baseline", Times::Once, "Where real requests go, and answers come from."),
    table("candidate", Times::Many, "Where copies go; at most 8."),
    table("secondary", Times::Once, "A second baseline, which tells what differs by itself."),
    table("upstream", Times::Once, "How any upstream is connected to."),
    table("headers", Times::Once, "What upstreams are told of the way of a request."),
    table("mirror", Times::Once, "Which requests are mirrored, and what that may take."),
    table("trace", Times::Once, "What copies say of the trace of their request."),
    table("limits", Times::Once, "What clients may take."),
    table("compare", Times::Once, "What is compared, on all routes."),
    table("guardrail", Times::Once, "When mirroring stops by itself."),
    table("report", Times::Once, "What the report lets pass."),
    table("labels", Times::Once, "How routes are called in metrics."),
    table("log", Times::Once, "Log lines, on standard error."),
    table("route", Times::Many, "Requests that have settings of their own; the first that fits."),
    table("candidate.guardrail", Times::Once, "What differs for this candidate from [guardrail]."),
    table("candidate.report", Times::Once, "What differs for this candidate from [report]."),
    table("route.guardrail", Times::Once, "What differs on this route from [guardrail]."),
    table("route.report", Times::Once, "What differs on this route from [report]."),
    table("route.record", Times::Once, "What differs on this route from [record]."),
    table("route.match", Times::Once, "Which requests it is for: all of these must hold."),
    table("route.match.path", Times::Once, "The path: one of exact, prefix, template and regex."),
    table("route.match.host", Times::Once, "The host, without its port and in lower case."),
    table("route.match.header", Times::Any, "A header, or a list of them."),
    table("route.match.query", Times::Any, "A query parameter, or a list of them."),
    table("route.match.cookie", Times::Any, "A cookie, or a list of them."),
    table("route.match.client", Times::Once, "The client's address."),
    table("compare.arrays", Times::Many, "Elements in any order, or paired by a member."),
    table("compare.numbers", Times::Many, "Numbers that may differ a little."),
    table("compare.times", Times::Many, "Times that may differ a little."),
    table("compare.classes", Times::Many, "Values that need only be of the same class."),
    table("route.arrays", Times::Many, "Elements in any order, or paired by a member."),
    table("route.numbers", Times::Many, "Numbers that may differ a little."),
    table("route.times", Times::Many, "Times that may differ a little."),
    table("route.classes", Times::Many, "Values that need only be of the same class."),
];

pub(super) const fn table(place: &'static str, times: Times, about: &'static str) -> TableOf {
    TableOf { place, times, about }
}

#[rustfmt::skip]
pub(super) const SETTINGS: &[Setting] = &[
    of("MIRROR_CONFIG", "", Path, "the path of a TOML file in UTF-8, of at most 1 MiB",
        "the settings file, unless --config names one").restart(),

    of("LISTEN_ADDR", "listen.address", Text, ADDRESS,
        ":8080 means all interfaces, IPv4 and IPv6").default(":8080").restart(),
    of("TLS_CERT", "listen.tls_cert", Path, CHAIN_FILE,
        "PEM file with the certificate chain; with its key, clients are spoken to in TLS"),
    of("TLS_KEY", "listen.tls_key", Path, KEY_FILE, "PEM file with the key of tls_cert"),
    of("PROXY_PROTOCOL_FROM", "listen.proxy_protocol_from", List, NETWORKS,
        "balancers, which must begin each connection with the PROXY protocol").restart(),
    of("DRAIN_DELAY", "listen.drain_delay", Time, TIME_OR_0,
        "how long after SIGTERM it says that it is not ready and goes on taking connections")
        .default("0").restart(),
    of("DRAIN_TIMEOUT", "listen.drain_timeout", Time, TIME,
        "how long requests in flight may take after SIGTERM and drain_delay")
        .default("25s").restart(),

    of("ADMIN_ADDR", "admin.address", Text, ADDRESS,
        "a listener of their own for the admin endpoints; the other one then forwards every path")
        .restart(),
    of("ADMIN_PREFIX", "admin.prefix", Text,
        "a path such as /_mirrorlab, of letters, digits and any of -._~/, without a slash at its end",
        "what the paths of the admin endpoints begin with").restart(),
    of("CONTROL_TOKEN", "admin.token", Text, "visible ASCII",
        "asked for as `Authorization: Bearer …` where something is switched, or values are shown")
        .secret().restart(),
    of("ADMIN_OPEN", "admin.open", Switch, BOOL,
        "true: without token and address, everyone who reaches the listener may use the admin endpoints")
        .default("false").restart(),
    of("ADMIN_HOSTS", "admin.hosts", List,
        "a comma-separated list of host names such as proxy.internal, without ports",
        "names besides addresses and localhost by which values of traffic may be asked for").restart(),

    of("AUDIT_PATH", "audit.path", Path, "stderr, or the path of a file",
        "where the audit log is written").unset("there is none").restart(),
    of("AUDIT_MAX_BYTES", "audit.max_bytes", Whole, AUDIT_BYTES,
        "a larger file is put aside as path.1 for a new one").default("10485760").restart(),
    of("AUDIT_FILES", "audit.files", Whole, AUDIT_FILES,
        "how many files there may be, with the one that is written to").default("10").restart(),

    of("RECORD_DIR", "record.dir", Path, FOLDER,
        "where exchanges are recorded; a folder of its own").unset("nothing is recorded").restart(),
    of("RECORD_SHARE", "record.share", Number, SHARE_OF_ALL,
        "share of requests that are recorded, mirrored or not").default("1"),
    of("RECORD_MISMATCHES", "record.mismatches", Switch, BOOL,
        "every pair that differs is recorded in the folder mismatches, too").default("false"),
    of("RECORD_BODIES", "record.bodies", Word(RECORD_BODIES), "all, requests or none",
        "what of bodies is recorded").default("all"),
    of("RECORD_MAX_BODY_BYTES", "record.max_body_bytes", Whole, BYTES_OF_ALL,
        "of a longer body its length alone is recorded").default("1048576"),
    of("RECORD_REDACT", "record.redact", Switch, BOOL,
        "false: what is personal or secret is recorded, too").default("true"),
    of("RECORD_SEGMENT_BYTES", "record.segment_bytes", Whole, RECORD_BYTES,
        "a larger file is closed for a new one; compressed").default("67108864").restart(),
    of("RECORD_SEGMENT_AGE", "record.segment_age", Time, TIME,
        "an older file is closed for a new one").default("10m").restart(),
    of("RECORD_MAX_BYTES", "record.max_bytes", Whole, RECORD_BYTES,
        "most bytes of all files; the oldest are deleted first").default("10737418240").restart(),

    of("RECORD_STORE", "record.store", Text, STORE,
        "where closed files are carried to, and deleted here; credentials are those of AWS_ACCESS_KEY_ID and its kin")
        .unset("they stay in the folder").restart(),

    of("CLUSTER_URL", "cluster.url", Url, ENGINE,
        "an engine over which replicas judge together; unset means alone").unset("none").restart(),
    of("CLUSTER_NAME", "cluster.name", Text, CLUSTER_NAME,
        "which deployment it is, where several share an engine").default("default").restart(),
    of("CLUSTER_REPLICA", "cluster.replica", Text, CLUSTER_NAME,
        "what this replica is called among the others; not the same for two")
        .unset("the machine's name and the number of the process").restart(),
    of("CLUSTER_USERNAME", "cluster.username", Text, "a user's name",
        "as whom the engine is asked, where the address does not say it").unset("none").restart(),
    of("CLUSTER_PASSWORD", "cluster.password", Text, "a password",
        "the password for it").unset("none").secret().restart(),
    of("CLUSTER_CA", "cluster.ca", Path, "the path of a PEM file with one or more certificates",
        "root certificates that a rediss:// engine is believed").unset("those of the system").restart(),

    of("BASELINE_URL", "baseline.url", Url, URL, "where real requests go; a path is a prefix")
        .default("http://service-v1:4001").restart(),
    of("BASELINE_HOST", "baseline.host", Text, HOST,
        "what `Host` says: its own name, what the client said, or this").default("target").restart(),
    of("BASELINE_HTTP", "baseline.http", Word(HTTP), "auto, 1 or 2",
        "auto: gRPC over HTTP/2, the rest over HTTP/1.1; 1 or 2: all over that one")
        .default("auto").restart(),
    of("BASELINE_TLS_NAME", "baseline.tls_name", Text, DNS_NAME,
        "name that is asked for (SNI) and that the certificate must bear")
        .unset("the URL's host").restart(),
    of("BASELINE_CLIENT_CERT", "baseline.client_cert", Path, CHAIN_FILE,
        "PEM file with the chain that is shown where a client certificate is asked for"),
    of("BASELINE_CLIENT_KEY", "baseline.client_key", Path, KEY_FILE,
        "PEM file with the key of client_cert"),
    of("BASELINE_TIMEOUT", "baseline.timeout", Time, TIME,
        "from the request sent whole to the head of the answer; then 504").default("60s").restart(),

    of("CANDIDATE_URL", "candidate.url", Url, URL, "where copies go; a path is a prefix")
        .default("http://service-v2:4002"),
    of("CANDIDATE_HOST", "candidate.host", Text, HOST,
        "what `Host` says: its own name, what the client said, or this").default("target"),
    of("CANDIDATE_HTTP", "candidate.http", Word(HTTP), "auto, 1 or 2",
        "auto: gRPC over HTTP/2, the rest over HTTP/1.1; 1 or 2: all over that one")
        .default("auto"),
    of("CANDIDATE_TLS_NAME", "candidate.tls_name", Text, DNS_NAME,
        "name that is asked for (SNI) and that the certificate must bear")
        .unset("the URL's host"),
    of("CANDIDATE_CLIENT_CERT", "candidate.client_cert", Path, CHAIN_FILE,
        "PEM file with the chain that is shown where a client certificate is asked for"),
    of("CANDIDATE_CLIENT_KEY", "candidate.client_key", Path, KEY_FILE,
        "PEM file with the key of client_cert"),

    of("SECONDARY_URL", "secondary.url", Url, URL,
        "a second instance of the baseline, to see what differs without a change").restart(),
    of("SECONDARY_HOST", "secondary.host", Text, HOST,
        "what `Host` says: its own name, what the client said, or this").default("target").restart(),
    of("SECONDARY_HTTP", "secondary.http", Word(HTTP), "auto, 1 or 2",
        "auto: gRPC over HTTP/2, the rest over HTTP/1.1; 1 or 2: all over that one")
        .default("auto").restart(),
    of("SECONDARY_TLS_NAME", "secondary.tls_name", Text, DNS_NAME,
        "name that is asked for (SNI) and that the certificate must bear")
        .unset("the URL's host").restart(),
    of("SECONDARY_CLIENT_CERT", "secondary.client_cert", Path, CHAIN_FILE,
        "PEM file with the chain that is shown where a client certificate is asked for"),
    of("SECONDARY_CLIENT_KEY", "secondary.client_key", Path, KEY_FILE,
        "PEM file with the key of client_cert"),
    of("NOISE_FRACTION", "secondary.share", Number, SHARE,
        "share of the copies that go to it too; 0 means none, 1 means all").default("0.05").restart(),

    of("UPSTREAM_CA", "upstream.ca", Path, "the path of a PEM file with one or more certificates",
        "authorities that https upstreams are believed from, besides the system's"),
    of("CONNECT_TIMEOUT", "upstream.connect_timeout", Time, TIME,
        "to connect: name, TCP, TLS; for the baseline then 504").default("5s").restart(),
    of("UPSTREAM_IDLE_TIMEOUT", "upstream.idle_timeout", Time, TIME,
        "an HTTP/1.1 connection that waited this long for a request is used no more")
        .default("4s").restart(),
    of("DNS_REFRESH", "upstream.dns_refresh", Time, TIME,
        "names are asked for again, beside the traffic, after this time").default("10s").restart(),
    of("MAX_RESPONSE_HEADER_BYTES", "upstream.header_bytes", Whole, HEAD_BYTES,
        "bytes of an answer's head; then 502, or a failed copy").default("524288").restart(),
    of("MAX_RESPONSE_HEADERS", "upstream.headers", Whole, HEAD_LINES,
        "header lines of an answer").default("1000").restart(),

    of("X_FORWARDED_HEADERS", "headers.x_forwarded", Word(CHAINS), CHAIN,
        "`X-Forwarded-For`, `-Proto` and `-Host`: this hop is added, stands alone, or they stay as they came")
        .default("extend").restart(),
    of("FORWARDED_HEADER", "headers.forwarded", Word(CHAINS), CHAIN, "`Forwarded`, in the same sense")
        .default("off").restart(),
    of("VIA_HEADER", "headers.via", Word(CHAINS), CHAIN, "`Via` of requests, in the same sense")
        .default("off").restart(),

    of("MIRROR_FRACTION", "mirror.share", Number, SHARE_OF_ALL,
        "share of requests mirrored, to the nearest millionth; 0 means none, 1 means all").default("0.25"),
    of("MIRROR_COMPARE_CANDIDATES", "mirror.compare_candidates", Switch, BOOL,
        "true: where several candidates answered, their answers are compared with each other, too")
        .default("false"),
    of("MIRROR_RATE", "mirror.rate", Text, COPIES,
        "copies in a time, over all candidates and routes").unset("any number"),
    of("MIRROR_SAMPLE_SECRET", "mirror.sample_secret", Text, "a text of 1 to 256 bytes",
        "decides with `sample_by` whose requests are mirrored; the same on every replica").secret(),
    of("MIRROR_METHODS", "mirror.methods", List,
        "a comma-separated list of methods such as GET,HEAD; unset for all",
        "methods that may be mirrored").unset("all"),
    of("MIRROR_UNSAFE_METHODS", "mirror.unsafe_methods", Switch, BOOL,
        "whether methods that are not safe (POST, PUT, …) are mirrored, of those in methods")
        .default("true"),
    of("MIRROR_TIMEOUT", "mirror.timeout", Time, TIME,
        "one deadline for a copy, from its request body being complete, waiting included")
        .default("10s"),
    of("MIRROR_MAX_BODY_BYTES", "mirror.max_body_bytes", Whole, BYTES_OF_ALL,
        "a larger request body is not mirrored; a larger response is compared by length and hash")
        .default("1048576"),
    of("MIRROR_QUEUE_SIZE", "mirror.queue_size", Whole, PERMITS,
        "copies that may wait; a full queue drops").default("256"),
    of("MIRROR_CONCURRENCY", "mirror.concurrency", Whole, PERMITS,
        "copies in flight at once, fewer while the candidate cannot keep up")
        .default("64"),
    of("MIRROR_BUFFER_BYTES", "mirror.buffer_bytes", Whole, BYTES_OF_ALL,
        "one byte budget for everything the mirror side holds at once")
        .default("67108864"),
    of("MIRROR_BODY", "mirror.body", Switch, BOOL,
        "false: copies carry no body, and none is too large; a relay has its bound all the same").default("true"),
    of("MIRROR_ORDER_BY", "mirror.order_by", Text, ORDER_BY,
        "copies with the same key are sent one after the other, as their requests came").default("off"),
    of("MIRROR_MARK_HEADER", "mirror.mark", Text, MARK,
        "header line that marks a copy; empty turns it off").default("X-Mirror: 1").or_empty(),
    of("MIRROR_TRUST_MARK", "mirror.trust_mark", Switch, BOOL,
        "true: another mirror stands before, and marks that come in are passed on").default("false"),

    of("TRACE_COPIES", "trace.copies", Word(TRACE_COPIES), "linked or off",
        "what copies say of the trace of their request: a span of their own in it, or nothing")
        .default("linked"),

    of("MAX_HEADER_BYTES", "limits.header_bytes", Whole, HEAD_BYTES,
        "of a request head, give or take a read; then 431").default("65536").restart(),
    of("MAX_HEADERS", "limits.headers", Whole, HEAD_LINES,
        "header lines of a request; then 431").default("100").restart(),
    of("HEAD_TIMEOUT", "limits.head_timeout", Time, TIME,
        "from the first byte of a request head to its last; then 408 and a close")
        .default("10s").restart(),
    of("IDLE_TIMEOUT", "limits.idle_timeout", Time, TIME,
        "a connection without a request is closed after this time or a little more")
        .default("75s").restart(),
    of("MAX_CONNECTIONS", "limits.connections", Whole, PERMITS,
        "of clients at once, on each listener; one more is closed at once").default("10000").restart(),
    of("MAX_CONNECTIONS_PER_CLIENT", "limits.connections_per_client", Whole, PERMITS,
        "those of one client address (with IPv6: of its /64); one more is closed at once")
        .unset("three quarters of limits.connections").restart(),
    of("MAX_STREAMS", "limits.streams", Whole, COUNT,
        "requests at once on one HTTP/2 connection").default("200").restart(),
    of("MAX_REQUESTS_IN_FLIGHT", "limits.requests_in_flight", Whole, PERMITS,
        "requests passed on at once; then 503 with `Retry-After`").default("4096").restart(),
    of("MAX_REQUESTS_PER_CLIENT", "limits.requests_per_client", Whole, PERMITS,
        "those of one client address (with IPv6: of its /64); then 503")
        .unset("three quarters of limits.requests_in_flight").restart(),
    of("MAX_REQUEST_BYTES", "limits.request_bytes", Whole, BYTES_OF_ALL, "of a request body; then 413")
        .unset("any size").restart(),
    of("READ_TIMEOUT", "limits.read_timeout", Time, TIME,
        "when waiting for a client's upload has added up to this, it must have sent min_rate; else 408")
        .default("60s").restart(),
    of("WRITE_TIMEOUT", "limits.write_timeout", Time, TIME,
        "when waiting for a client to take an answer has added up to this, it must have taken min_rate; \
         else a close").default("60s").restart(),
    of("MIN_RATE", "limits.min_rate", Whole, COUNT,
        "bytes a second, on average over read_timeout or write_timeout").default("240").restart(),

    of("ABORT_P99_RATIO", "guardrail.latency_ratio", Number, ABOVE_0,
        "a candidate slower than this many times the baseline is a breach").default("1.15"),
    of("ABORT_LATENCY_FLOOR", "guardrail.latency_floor", Time, TIME_OR_0,
        "a smaller excess is never a breach").default("2ms"),
    of("ABORT_ERROR_DELTA", "guardrail.error_delta", Number, AT_LEAST_0,
        "allowed excess of the share of pairs where the candidate alone fails; from 1 on failures are not judged")
        .default("0.005"),
    of("ABORT_CONSECUTIVE", "guardrail.consecutive", Whole, COUNT,
        "breaches in a row that stop mirroring, or the one route where they are").default("5"),
    of("ABORT_COOLDOWN", "guardrail.cooldown", Time, TIME,
        "until mirroring may resume").default("10"),
    of("ABORT_MISMATCH_RATE", "guardrail.mismatch_rate", NumberOrOff,
        OFF_OR_RATE,
        "share of pairs with different answers that is allowed; off: they are counted and not judged")
        .default("off"),
    of("ABORT_RAMP", "guardrail.ramp", Time,
        "off, or whole seconds, or a number with a unit such as 500ms or 2m, above 0 and at most 24h",
        "from the end of a cooldown to the full share, on probation meanwhile; off: the full share at once")
        .default("off"),
    of("WARMUP", "guardrail.warmup", Time, TIME_OR_0,
        "from the first pair after a start or after mirroring came back: pairs are counted and not judged")
        .default("0"),
    of("GUARDRAIL", "guardrail.mode", Word(&["on", "observe"]), "on or observe",
        "observe: everything is judged, logged and counted, and nothing is switched off").default("on"),
    of("ABORT_WEBHOOK", "guardrail.webhook", Text,
        "an http or https URL without user info and fragment",
        "told of every change of the guardrail's state, as JSON").secret().restart(),

    of("REPORT_MISMATCH_RATE", "report.mismatch_rate", Number, RATE,
        "share of pairs with different answers, net of noise, that the report lets pass")
        .unset("guardrail.mismatch_rate, else 0.01"),
    of("REPORT_STATUS_RATE", "report.status_rate", Number, RATE,
        "share of pairs with a status of another class, net of noise, that the report lets pass")
        .default("0.0025"),

    of("ROUTE_TEMPLATES", "labels.templates", List,
        "a comma-separated list of path templates such as /users/{name}/cart",
        "path templates for labels of routes"),
    of("ROUTE_LABELS", "labels.from", Word(&["paths", "templates"]), "paths or templates",
        "templates: labels are made of labels.templates alone, and every other path is `other`")
        .default("paths"),

    of("LOG_FORMAT", "log.format", Word(&["text", "json"]), "text or json",
        "how log lines look").default("text").restart(),
    of("LOG_LEVEL", "log.level", Text, "a level such as info, or a filter such as proxy=debug",
        "which log lines there are").default("info").restart(),
];
