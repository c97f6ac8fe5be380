//! `MIRROR_CONFIG`: the file with the rules of the comparison. As written here; as they are meant in
//! [`compare::rules`].

use std::fs::File;
use std::io::Read;

use http::HeaderName;
use serde::Deserialize;
use toml::Spanned;

use super::{Env, values};
use compare::path::{self, Path};
use compare::rules::{
    Class, LENIENT_MAX, MaskAs, Pairing, RULES_MAX, Rule, RuleBook, RuleSet, Select, Tolerance,
    What,
};

const NAME: &str = "MIRROR_CONFIG";
const ALLOWED: &str = "the path of a TOML file of at most 1 MiB";
/// Largest file.
const BYTES_MAX: u64 = 1 << 20;
/// Longest name of a key.
const KEY_MAX: usize = 256;
const KEY: &str = "the name of a key, of 1 to 256 bytes";
const HEADER: &str = "the name of a header";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileAsWritten {
    #[serde(default)]
    compare: Section,
    #[serde(default)]
    route: Vec<Spanned<Section>>,
}

/// `[compare]`, or a `[[route]]`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Section {
    route: Option<Spanned<String>>,
    builtin: Option<Spanned<bool>>,
    headers: Option<Vec<Spanned<String>>>,
    null_equals_absent: bool,
    ignore: Vec<Spanned<String>>,
    ignore_headers: Vec<Spanned<String>>,
    mask: Vec<Spanned<String>>,
    mask_headers: Vec<Spanned<String>>,
    mask_as: Option<Spanned<String>>,
    arrays: Vec<ArrayAsWritten>,
    numbers: Vec<NumberAsWritten>,
    times: Vec<TimeAsWritten>,
    classes: Vec<ClassAsWritten>,
    json_strings: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ArrayAsWritten {
    path: Spanned<String>,
    unordered: Option<bool>,
    key: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NumberAsWritten {
    path: Spanned<String>,
    absolute: Option<Spanned<f64>>,
    relative: Option<Spanned<f64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeAsWritten {
    path: Spanned<String>,
    within: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassAsWritten {
    path: Spanned<String>,
    class: Spanned<String>,
}

impl Env<'_> {
    /// The rules of the comparison; the built-in ones without a file.
    pub(super) fn rules(&mut self) -> RuleBook {
        let Some(file) = self.text(NAME) else { return RuleBook::default() };
        match read(&file) {
            Ok(text) => parse(&file, &text, &mut self.errors),
            Err(why) => {
                self.errors.push(format!("{NAME}={file:?}: {why}; allowed is {ALLOWED}"));
                RuleBook::default()
            }
        }
    }
}

fn read(file: &str) -> Result<String, String> {
    let mut text = String::new();
    let opened = File::open(file).map_err(|error| format!("cannot be read ({error})"))?;
    let read = opened.take(BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| format!("cannot be read ({error})"))?;
    if text.len() as u64 > BYTES_MAX { Err("is larger".to_owned()) } else { Ok(text) }
}

/// Reads the text of a file of this name; what is wrong with it goes to `errors`.
pub(super) fn parse(file: &str, text: &str, errors: &mut Vec<String>) -> RuleBook {
    let mut reader = Reader { file, text, errors };
    let written = match toml::from_str::<FileAsWritten>(text) {
        Ok(written) => written,
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            let message = error.message().replace(char::is_control, " ");
            reader.error(
                at,
                format_args!("{message}; allowed is TOML as docs/comparison.md describes it"),
            );
            return RuleBook::default();
        }
    };
    let Section { builtin, headers, .. } = &written.compare;
    let (builtin, default_headers) =
        (builtin.as_ref().is_none_or(|it| *it.get_ref()), headers.is_none());
    let all = reader.section(&written.compare, "compare");
    if let Some(route) = &written.compare.route {
        reader.bad(route, "compare.route", "is for single routes", "this in a [[route]] table");
    }
    let mut routes: Vec<(String, RuleSet)> = Vec::new();
    for route in &written.route {
        let Some(label) = reader.label(route) else { continue };
        let set = reader.section(route.get_ref(), "route");
        reader.bounds(&all, &set, route.span().start);
        if routes.iter().any(|(known, _)| *known == label) {
            let at = route.get_ref().route.as_ref().map_or(0, |it| it.span().start);
            reader.error(at, format_args!(
                "route.route = {label:?}: is there already; allowed is one [[route]] for each route"
            ));
        }
        routes.push((label, set));
    }
    if routes.is_empty() {
        reader.bounds(&all, &RuleSet::default(), 0);
    }
    RuleBook { builtin, default_headers, all, routes }
}

/// Reads values and gathers what is wrong with them.
struct Reader<'r> {
    file: &'r str,
    text: &'r str,
    errors: &'r mut Vec<String>,
}

impl Reader<'_> {
    fn section(&mut self, written: &Section, table: &str) -> RuleSet {
        let headers = written.headers.iter().flatten();
        let headers = headers.filter_map(|it| self.header(it, table, "headers")).collect();
        let mut rules = Vec::new();
        self.keys_and_headers(written, table, &mut rules);
        self.arrays(&written.arrays, table, &mut rules);
        self.leniences(written, table, &mut rules);
        RuleSet { headers, null_equals_absent: written.null_equals_absent, rules }
    }

    fn keys_and_headers(&mut self, written: &Section, table: &str, rules: &mut Vec<Rule>) {
        let mask = self.mask_as(written, table);
        for it in &written.ignore {
            let what = self.part(it, table, "ignore").map(What::Ignore);
            rules.extend(self.rule(it, "ignore", what));
        }
        for it in &written.ignore_headers {
            let what = self.header(it, table, "ignore_headers").map(What::IgnoreHeader);
            rules.extend(self.rule(it, "ignore_headers", what));
        }
        for it in &written.mask {
            let select = match mask {
                MaskAs::Equal => self.part(it, table, "mask"),
                MaskAs::Hash => self.select(it, table, "mask"),
            };
            let what = select.map(|select| What::Mask(select, mask));
            rules.extend(self.rule(it, "mask", what));
        }
        for it in &written.mask_headers {
            let what = self.header(it, table, "mask_headers");
            rules.extend(self.rule(it, "mask_headers", what.map(|it| What::MaskHeader(it, mask))));
        }
    }

    fn mask_as(&mut self, written: &Section, table: &str) -> MaskAs {
        let Some(word) = &written.mask_as else { return MaskAs::default() };
        match word.get_ref().as_str() {
            "equal" => MaskAs::Equal,
            "hash" => MaskAs::Hash,
            _ => {
                self.bad(word, &format!("{table}.mask_as"), "is unknown", "equal or hash");
                MaskAs::default()
            }
        }
    }

    fn arrays(&mut self, written: &[ArrayAsWritten], table: &str, rules: &mut Vec<Rule>) {
        let field = format!("{table}.arrays");
        for it in written {
            let pairing = match (it.unordered, &it.key) {
                (Some(true), None) => Some(Pairing::Unordered),
                (None | Some(false), Some(key)) => {
                    let key = self.key(key, &format!("{field}.key"));
                    key.map(Pairing::ByKey)
                }
                _ => {
                    let allowed = "either `unordered = true` or `key = \"name\"` beside a path";
                    self.bad(&it.path, &field, "has both or none", allowed);
                    None
                }
            };
            let path = self.path(&it.path, &format!("{field}.path"));
            let what = path.zip(pairing).map(|(path, pairing)| What::Array(path, pairing));
            rules.extend(self.rule(&it.path, "arrays", what));
        }
    }

    fn leniences(&mut self, written: &Section, table: &str, rules: &mut Vec<Rule>) {
        for it in &written.numbers {
            let path = self.path(&it.path, &format!("{table}.numbers.path"));
            let what = path.zip(self.tolerance(it, &format!("{table}.numbers")));
            rules.extend(self.rule(
                &it.path,
                "numbers",
                what.map(|(path, by)| What::Number(path, by)),
            ));
        }
        for it in &written.times {
            let path = self.path(&it.path, &format!("{table}.times.path"));
            let within = values::duration(it.within.get_ref());
            if let Err(why) = &within {
                let allowed =
                    "whole seconds, or a number with a unit such as 500ms or 2m, at most 24h";
                self.bad(&it.within, &format!("{table}.times.within"), why, allowed);
            }
            let what = path.zip(within.ok()).map(|(path, within)| What::Time(path, within));
            rules.extend(self.rule(&it.path, "times", what));
        }
        for it in &written.classes {
            let path = self.path(&it.path, &format!("{table}.classes.path"));
            let class = self.class(&it.class, &format!("{table}.classes.class"));
            let what = path.zip(class).map(|(path, class)| What::Class(path, class));
            rules.extend(self.rule(&it.path, "classes", what));
        }
        for it in &written.json_strings {
            let what = self.path(it, &format!("{table}.json_strings")).map(What::JsonString);
            rules.extend(self.rule(it, "json_strings", what));
        }
    }

    fn tolerance(&mut self, written: &NumberAsWritten, field: &str) -> Option<Tolerance> {
        let mut number = |it: &Option<Spanned<f64>>, name: &str, below: f64, allowed: &str| {
            let Some(it) = it else { return Some(0.0) };
            let number = *it.get_ref();
            let good = (0.0..below).contains(&number);
            if !good {
                self.bad(it, &format!("{field}.{name}"), "is out of range", allowed);
            }
            good.then_some(number)
        };
        let absolute =
            number(&written.absolute, "absolute", f64::INFINITY, "a number of 0 or more");
        let relative =
            number(&written.relative, "relative", 1.0, "a number of 0 or more and below 1");
        let (absolute, relative) = absolute.zip(relative)?;
        if absolute == 0.0 && relative == 0.0 {
            let allowed = "`absolute` or `relative` above 0 beside a path";
            self.bad(&written.path, field, "has no tolerance", allowed);
            return None;
        }
        Some(Tolerance { absolute, relative })
    }

    fn class(&mut self, word: &Spanned<String>, field: &str) -> Option<Class> {
        match word.get_ref().as_str() {
            "uuid" => Some(Class::Uuid),
            "timestamp" => Some(Class::Timestamp),
            "token" => Some(Class::Token),
            "hex" => Some(Class::Hex),
            "jwt" => Some(Class::Jwt),
            "ulid" => Some(Class::Ulid),
            "string" => Some(Class::Text),
            "number" => Some(Class::Number),
            _ => {
                self.bad(
                    word,
                    field,
                    "is unknown",
                    "uuid, timestamp, token, hex, jwt, ulid, string or number",
                );
                None
            }
        }
    }

    /// A path where it starts like one, else a key.
    fn select(&mut self, text: &Spanned<String>, table: &str, name: &str) -> Option<Select> {
        let field = format!("{table}.{name}");
        // With a space in front it is a path that is written wrong, and no key that anybody has.
        if text.get_ref().trim_start().starts_with('$') {
            self.path(text, &field).map(Select::Path)
        } else {
            self.key(text, &field).map(Select::Key)
        }
    }

    /// The same for what may not select everything: such a rule has every answer pass.
    fn part(&mut self, text: &Spanned<String>, table: &str, name: &str) -> Option<Select> {
        let select = self.select(text, table, name)?;
        if matches!(&select, Select::Path(path) if path.is_everything()) {
            let allowed = "a key, or a path to a part of the document";
            self.bad(text, &format!("{table}.{name}"), "leaves nothing to compare", allowed);
            return None;
        }
        Some(select)
    }

    fn path(&mut self, text: &Spanned<String>, field: &str) -> Option<Path> {
        let path = Path::parse(text.get_ref());
        path.map_err(|why| self.bad(text, field, &why, path::ALLOWED)).ok()
    }

    fn key(&mut self, text: &Spanned<String>, field: &str) -> Option<String> {
        let length = text.get_ref().len();
        if (1..=KEY_MAX).contains(&length) {
            return Some(text.get_ref().clone());
        }
        self.bad(text, field, &format!("has {length} bytes"), KEY);
        None
    }

    fn header(&mut self, text: &Spanned<String>, table: &str, name: &str) -> Option<HeaderName> {
        let header = text.get_ref().parse::<HeaderName>();
        let field = format!("{table}.{name}");
        header.map_err(|_| self.bad(text, &field, "is no header name", HEADER)).ok()
    }

    fn label(&mut self, route: &Spanned<Section>) -> Option<String> {
        let allowed = "the label of a route, such as `GET /api/product/{id}` or `other`";
        if let Some(builtin) = &route.get_ref().builtin {
            let allowed = "this in [compare], for all routes";
            self.bad(builtin, "route.builtin", "is for all routes", allowed);
        }
        let Some(label) = &route.get_ref().route else {
            let at = route.span().start;
            self.error(at, format_args!("route.route: is missing; allowed is {allowed}"));
            return None;
        };
        let text = label.get_ref();
        let is_label = text.split_once(' ').is_some_and(|(method, path)| {
            method.bytes().all(|byte| byte.is_ascii_uppercase()) && path.starts_with('/')
        });
        if !is_label && text != "other" {
            self.bad(label, "route.route", "is no label", allowed);
            return None;
        }
        Some(text.clone())
    }

    fn bounds(&mut self, all: &RuleSet, route: &RuleSet, at: usize) {
        let rules = || all.rules.iter().chain(&route.rules);
        let lenient =
            |rule: &&Rule| matches!(rule.what, What::Number(..) | What::Time(..) | What::Class(..));
        let (count, lenient) = (rules().count(), rules().filter(lenient).count());
        if count > RULES_MAX || lenient > LENIENT_MAX {
            self.error(at, format_args!(
                "{count} rules for one route, {lenient} of them for numbers, times and classes; \
                 allowed is {RULES_MAX} and {LENIENT_MAX}"
            ));
        }
    }

    fn rule(&self, text: &Spanned<String>, list: &str, what: Option<What>) -> Option<Rule> {
        Some(Rule {
            what: what?,
            text: format!("{list} {:?}", text.get_ref()),
            place: format!("line {}", self.line(text.span().start)),
        })
    }

    fn bad<T: std::fmt::Debug>(
        &mut self,
        value: &Spanned<T>,
        field: &str,
        why: &str,
        allowed: &str,
    ) {
        let (at, value) = (value.span().start, value.get_ref());
        self.error(at, format_args!("{field} = {value:?}: {why}; allowed is {allowed}"));
    }

    fn error(&mut self, at: usize, what: std::fmt::Arguments<'_>) {
        let line = self.line(at);
        self.errors.push(format!("{NAME}={:?}: line {line}: {what}", self.file));
    }

    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }
}

#[cfg(test)]
mod tests;
