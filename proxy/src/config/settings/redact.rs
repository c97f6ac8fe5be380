//! The settings of what is personal or secret.

use super::Kind::{List, Path, Switch, Text, Texts, Word};
use super::policies::of;
use super::table::{BOOL, table};
use super::{Setting, TableOf, Times};

const KINDS: &str = "any of card, iban, email, jwt, bearer, ip and phone; [] for none";
const LEVELS: &str = "names of trust levels, such as candidates have";
pub(in crate::config) const LEVEL: &str = "1 to 64 letters, digits and any of -_.";
const WAYS: &[&str] = &["remove", "mask", "hash", "shape"];
const WAY: &str = "remove, mask, hash or shape; the last two with redact.key_file";
const NAME: &str = "a text of 1 to 100 visible characters, none of the kinds of redact.detect";
pub(in crate::config) const HEADER: &str = "the name of an end-to-end header";
pub(in crate::config) const ITEM: &str = "a text of 1 to 256 bytes";
pub(in crate::config) const PLACE: &str = "a key, or a JSON path to a part of the document";

pub(super) const TABLES: &[TableOf] = &[
    table(
        "redact",
        Times::Once,
        "What is personal or secret: in copies for candidates that may not see it, and in all that is kept \
         and shown.",
    ),
    table(
        "redact.rule",
        Times::Many,
        "What is known by its name; of several that fit the first decides.",
    ),
];

#[rustfmt::skip]
pub(super) const SETTINGS: &[Setting] = &[
    of("redact.key_file", Path, "the path of a file of 16 to 65536 bytes",
        "the key of pseudonyms, at best 32 random bytes; the same on every replica"),
    of("redact.trusted", List, LEVELS, "candidates on these trust levels may see everything")
        .unset("none").or_empty(),
    of("redact.detect", List, KINDS, "what is known by its looks in what is kept and shown")
        .default("card,iban,email,jwt,bearer,ip,phone").or_empty(),
    of("redact.detect_copies", List, KINDS, "the same in copies").unset("nothing").or_empty(),
    of("redact.detect_way", Word(WAYS), WAY, "how that is hidden").default("mask"),
    of("redact.rule.name", Text, NAME, "what counts and messages call it").required(),
    of("redact.rule.headers", Texts, "names of end-to-end headers", "values of these headers"),
    of("redact.rule.cookies", Texts, "names of cookies", "values of these cookies"),
    of("redact.rule.query", Texts, "names of parameters",
        "values of these parameters of the query; `email` is also the name of `user[email]`"),
    of("redact.rule.form", Texts, "names of fields", "values of these fields of forms, in the same way"),
    of("redact.rule.json", Texts, "keys, or JSON paths to a part of the document",
        "values of JSON: of these keys, at any depth and in any case, or at these paths"),
    of("redact.rule.way", Word(WAYS), WAY,
        "remove: without it; mask: *** instead; hash: a pseudonym; shape: one of the same form").default("mask"),
];

/// What a candidate says of itself.
pub(super) const OF_CANDIDATES: &[Setting] = &[
    of("candidate.trust", Text, LEVEL, "its trust level; see redact.trusted"),
    of("candidate.redact", Switch, BOOL, "whether its copies are redacted")
        .unset("true, but for a trust level in redact.trusted"),
];
