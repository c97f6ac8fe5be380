//! The settings of what becomes of copies before they go out.

use transform::identity::{InAnswer, InRequest};

use super::Kind::{List, Path, Switch, Text, Texts, Time, Whole, Word};
use super::policies::of;
use super::table::{COUNT, ENTRIES, HOOK_BYTES, MARK, TIME, TIME_OR_0, table};
use super::{Setting, TableOf, Times};

const NAME: &str = "a text of 1 to 100 visible characters";
pub(in crate::config) const SECRET_NAME: &str = "1 to 64 letters, digits and any of -_";
const CANDIDATES: &str = "names of candidates";
const ROUTES: &str = "names or labels of routes of this file";
pub(in crate::config) const TEMPLATE: &str = "a text of at most 4096 bytes, with {route}, {candidate}, \
    {method}, {path}, {query}, {request_id}, {header.NAME}, {query.NAME}, {cookie.NAME} and {secret.NAME}; \
    a brace itself is written {{ or }}";
pub(in crate::config) const PATH: &str =
    "a path such as /shop, of plain or percent-encoded segments";
pub(in crate::config) const PATTERN: &str = "a regular expression of at most 1024 bytes";
const REPLACEMENT: &str = "a text with groups of the expression, such as $1 and ${name}; $$ is a $";
const JSON: &str = "JSON";
const TRUE: &str = "true; for no leave remove out";
const BEGINNING: &str = "the beginning of names";
pub(in crate::config) const JSON_PATH: &str = compare::path::ALLOWED;
pub(in crate::config) const METHOD: &str = "a method such as PUT, but CONNECT";
pub(in crate::config) const TYPE: &str = "a content type such as application/json";

const SCRIPT: &str =
    "a script with fn pre(copy) or fn post(baseline, candidate), of at most 65536 bytes";
const SCRIPT_FILE: &str = "the path of a file with a script, of at most 65536 bytes";
const LABELS: &str = "at most 20, each of 1 to 64 letters, digits and any of -_";

pub(super) const TABLES: &[TableOf] = &[
    table("secret", Times::Many, "What {secret.NAME} stands for in transforms; never shown."),
    table(
        "transform",
        Times::Many,
        "What is changed of copies, in this order; of all that fit each does.",
    ),
    table(
        "transform.path_prefix",
        Times::Once,
        "Paths that are this, or below it, begin otherwise.",
    ),
    table("transform.path", Times::Once, "Paths that fit become another."),
    table(
        "transform.query",
        Times::Once,
        "Parameters: name or prefix, and one of set, add, remove and rename.",
    ),
    table(
        "transform.header",
        Times::Once,
        "Headers: name or prefix, and one of set, add, remove and rename.",
    ),
    table(
        "transform.cookie",
        Times::Once,
        "Cookies: name or prefix, and one of set, add, remove and rename.",
    ),
    table(
        "transform.form",
        Times::Once,
        "Fields of forms: name or prefix, and one of set, add, remove and rename.",
    ),
    table(
        "transform.json",
        Times::Once,
        "Values of JSON: a path, and one of set, set_json, remove, rename and redact.",
    ),
    table("transform.body", Times::Once, "The whole body."),
    table(
        "hook",
        Times::Many,
        "Scripts that see copies before they go out, and answers before they are compared.",
    ),
    table("identity", Times::Many, "Ids, sessions and tokens that candidates give out themselves."),
];

#[rustfmt::skip]
pub(super) const SETTINGS: &[Setting] = &[
    of("secret.name", Text, SECRET_NAME, "what transforms call it").required(),
    of("secret.file", Path, "the path of a file in UTF-8, of at most 65536 bytes",
        "the file that it is in; a line end behind it is no part of it"),
    of("secret.env", Text, "the name of a variable of the environment",
        "the variable that it is in, where it is in no file"),

    of("transform.name", Text, NAME, "what messages call it").required(),
    of("transform.candidates", List, CANDIDATES, "whose copies it is for").unset("all candidates").or_empty(),
    of("transform.routes", Texts, ROUTES, "of which routes").unset("all requests"),
    of("transform.otherwise", Word(&["unsent", "as_is"]), "unsent or as_is",
        "what becomes of a copy that is not what it expects: it is not sent, or goes out without this change")
        .default("unsent"),
    of("transform.path_prefix.from", Text, PATH, "what paths begin with").required(),
    of("transform.path_prefix.to", Text, PATH, "what they begin with instead").required(),
    of("transform.path.regex", Text, PATTERN, "what is looked for in the path").required(),
    of("transform.path.to", Text, REPLACEMENT, "what stands there instead").required().or_empty(),
    of("transform.host", Text, TEMPLATE, "what Host says"),
    of("transform.method", Text, METHOD, "the method"),
    of("transform.mark", Text, MARK, "another header line that marks copies, besides that of the route"),
    of("transform.query.name", Text, "the name of a parameter", "which"),
    of("transform.query.prefix", Text, BEGINNING, "all whose names begin so"),
    of("transform.query.set", Text, TEMPLATE, "its value").or_empty(),
    of("transform.query.add", Text, TEMPLATE, "another one with this value").or_empty(),
    of("transform.query.remove", Switch, TRUE, "it is taken out"),
    of("transform.query.rename", Text, "a name, or the beginning of one where prefix says which", "its name"),
    of("transform.header.name", Text, "the name of an end-to-end header", "which"),
    of("transform.header.prefix", Text, BEGINNING, "all whose names begin so"),
    of("transform.header.set", Text, TEMPLATE, "its value").or_empty(),
    of("transform.header.add", Text, TEMPLATE, "another line with this value").or_empty(),
    of("transform.header.remove", Switch, TRUE, "it is taken out"),
    of("transform.header.rename", Text, "a name, or the beginning of one where prefix says which", "its name"),
    of("transform.cookie.name", Text, "the name of a cookie", "which"),
    of("transform.cookie.prefix", Text, BEGINNING, "all whose names begin so"),
    of("transform.cookie.set", Text, TEMPLATE, "its value").or_empty(),
    of("transform.cookie.add", Text, TEMPLATE, "another one with this value").or_empty(),
    of("transform.cookie.remove", Switch, TRUE, "it is taken out"),
    of("transform.cookie.rename", Text, "a name, or the beginning of one where prefix says which", "its name"),
    of("transform.form.name", Text, "the name of a field", "which"),
    of("transform.form.prefix", Text, BEGINNING, "all whose names begin so"),
    of("transform.form.set", Text, TEMPLATE, "its value").or_empty(),
    of("transform.form.add", Text, TEMPLATE, "another one with this value").or_empty(),
    of("transform.form.remove", Switch, TRUE, "it is taken out"),
    of("transform.form.rename", Text, "a name, or the beginning of one where prefix says which", "its name"),
    of("transform.json.path", Text, JSON_PATH, "which values").required(),
    of("transform.json.set", Text, TEMPLATE, "it is this string; a member that is missing is put in").or_empty(),
    of("transform.json.set_json", Text, JSON, "it is this JSON; a member that is missing is put in"),
    of("transform.json.remove", Switch, TRUE, "it is taken out"),
    of("transform.json.rename", Text, "the name of a key", "the name of its member"),
    of("transform.json.redact", Word(&["remove", "mask", "hash", "shape"]), "remove, mask, hash or shape",
        "it is hidden in this way, hash and shape by redact.key_file"),
    of("transform.body.text", Text, TEMPLATE, "what it says").required().or_empty(),
    of("transform.body.type", Text, TYPE, "what Content-Type says of it").unset("as it came"),

    of("identity.name", Text, NAME, "tells it from the others; a metric label").required(),
    of("identity.candidates", List, CANDIDATES, "whose ids they are").unset("all candidates").or_empty(),
    of("identity.routes", Texts, ROUTES, "on which routes they are learned and replaced").unset("all requests"),
    of("identity.scope", Text, "global, cookie:NAME, header:NAME or client",
        "whose values they are: everybody's, or those of each client with this key").default("global"),
    of("identity.learn", Texts, InAnswer::ALLOWED, "where values are in answers, from which they are learned"),
    of("identity.equal", Texts, InAnswer::ALLOWED, "where else they are in answers, which are equal but for them"),
    of("identity.replace", Texts, InRequest::ALLOWED, "where they are in requests, and are replaced in copies"),
    of("identity.wait", Time, TIME_OR_0,
        "how long a copy waits for a value that is being learned, at most half of its deadline").default("1s"),
    of("identity.max_entries", Whole, ENTRIES, "values that are kept; what was not used for the longest time goes first")
        .default("10000"),
    of("identity.ttl", Time, TIME, "how long a value is kept that is not used").default("24h"),

    of("hook.name", Text, SECRET_NAME, "what messages call it; a metric label").required(),
    of("hook.candidates", List, CANDIDATES, "whose copies and answers it sees").unset("all candidates").or_empty(),
    of("hook.routes", Texts, ROUTES, "of which routes").unset("all requests"),
    of("hook.file", Path, SCRIPT_FILE, "the file that its script is in; read anew with the settings"),
    of("hook.script", Text, SCRIPT, "the script itself, where it is in no file"),
    of("hook.labels", Texts, LABELS, "the labels that it may give, each a metric label").unset("none"),
    of("hook.max_steps", Whole, COUNT, "steps that a run may take: expressions, calls, rounds of loops")
        .default("100000"),
    of("hook.max_bytes", Whole, HOOK_BYTES, "bytes of texts and documents that a run may take, of those of the mirror")
        .default("16777216"),
    of("hook.timeout", Time, TIME, "time that a run may take").default("100ms"),
];
