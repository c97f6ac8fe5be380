//! `[route.match]`: the conditions that requests of a route must all fulfil.

use std::ops::Range;

use http::HeaderName;

use super::Errors;
use super::env::{Env, written};
use super::file::{Document, Node, Problems, Table, Value};
use super::settings::{self, is_on_secrets};
use super::values::{self, Parsed};
use crate::listen::proxy_protocol::Networks;
use crate::policy::matcher::{
    Condition, Matcher, PathTest, Test, ValueTest, path_regex, value_regex,
};

/// Most conditions of one route.
const CONDITIONS_MAX: usize = 32;
/// Most regular expressions of one file.
const REGEXES_MAX: usize = 256;
/// Longest name of a cookie or a parameter.
const NAME_MAX: usize = 256;

type Found = Vec<(Range<usize>, Condition)>;

/// What a table tests, as it was written.
struct Written<'t> {
    /// Such as `exact`.
    word: &'static str,
    node: &'t Node,
    not: bool,
}

/// Where conditions that stand alone would stand in a file.
const ALONE: &str = "[[route]]\n[route.match]\n";

impl super::Config {
    /// The conditions that a text has, written as in `[route.match]`.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn matcher(text: &str) -> Result<Matcher, Errors> {
        let mut problems = Problems::default();
        let file = Document::parse("conditions", format!("{ALONE}{text}\n"), &mut problems);
        let nothing = |_: &str| None;
        let mut env = Env { file: Some(&file), problems, ..Env::new(&nothing) };
        let mut found = Found::new();
        let route = file.root.tables("route").into_iter().next();
        if let Some(table) = route.and_then(|(_, route)| route.table("match")) {
            env.conditions(table, &mut found);
        }
        let mut errors = env.errors;
        errors.extend(env.problems.texts());
        if errors.is_empty() && found.is_empty() {
            errors.push("there is no condition".to_owned());
        }
        let conditions = found.into_iter().map(|(_, condition)| condition).collect();
        if errors.is_empty() { Ok(Matcher { conditions }) } else { Err(Errors(errors)) }
    }
}

impl<'a> Env<'a> {
    /// Reads what a table says.
    pub(super) fn conditions(&mut self, table: &'a Table, found: &mut Found) {
        if let Some(node) = table.get("method") {
            self.methods(node, found);
        }
        if let Some(node) = table.get("path") {
            self.one(node, "path", &["exact", "prefix", "template", "regex"], found, |it, env| {
                Ok((Test::Path(path_test(it.word, &it.text()?, env)?), "path".to_owned()))
            });
        }
        if let Some(node) = table.get("host") {
            self.one(node, "host", &["exact", "prefix", "regex"], found, |it, env| {
                let text = it.text()?;
                let test = match it.word {
                    "regex" => ValueTest::Regex(env.regex(&text, value_regex)?),
                    "prefix" => ValueTest::Prefix(host(&text)?),
                    _ => ValueTest::Exact(host(&text)?),
                };
                Ok((Test::Host(test), "host".to_owned()))
            });
        }
        for what in ["header", "query", "cookie"] {
            for (node, table) in table.tables(what) {
                self.value(node, table, what, found);
            }
        }
        if let Some(node) = table.get("client") {
            self.one(node, "client", &["networks"], found, |it, _| {
                let networks = written(it.node, settings::of("route.match.client.networks"))?;
                let clients = values::whole_list(&networks, Networks::parse)?;
                Ok((Test::Client(clients), "client".to_owned()))
            });
        }
        if let Some((at, _)) = found.get(CONDITIONS_MAX) {
            let what = format!("{} conditions; allowed is {CONDITIONS_MAX}", found.len());
            self.tell(at.clone(), &what, None);
            found.truncate(CONDITIONS_MAX);
        }
    }

    fn methods(&mut self, node: &'a Node, found: &mut Found) {
        let (list, not, place) = match &node.value {
            Value::Table(table) => {
                (table.get("any_of"), is_true(table, "not"), "route.match.method.any_of")
            }
            _ => (Some(node), false, "route.match.method"),
        };
        let Some(list) = list else { return };
        let setting = settings::of(place);
        match written(list, setting).and_then(|text| values::methods(&text)) {
            Ok(methods) => {
                let names: Vec<_> = methods.iter().map(http::Method::as_str).collect();
                let text = text_of(not, "method", "any_of", &names.join(", "));
                found
                    .push((node.key.clone(), Condition { not, test: Test::Method(methods), text }));
            }
            Err(why) => {
                self.bad_node(list, place, &list.shown(), &why, setting.allowed);
            }
        }
    }

    fn value(&mut self, node: &'a Node, table: &'a Table, what: &'static str, found: &mut Found) {
        let name = table.get("name").and_then(Node::text).unwrap_or_default();
        let header = name.parse::<HeaderName>();
        let bad = if what == "header" { header.is_err() } else { is_no_name(&name, what) };
        if let Some(name_node) = table.get("name").filter(|_| bad) {
            let place = format!("route.match.{what}.name");
            let allowed = format!("the name of a {what}, of 1 to {NAME_MAX} bytes");
            self.bad_node(name_node, &place, &name_node.shown(), "is no name", &allowed);
        }
        // Of one without a good name the test is looked at all the same.
        let mut nameless = Vec::new();
        let found = if bad { &mut nameless } else { found };
        let words = ["present", "exact", "prefix", "regex", "range"];
        self.one(node, what, &words, found, |it, env| {
            let test = value_test(it, env)?;
            let subject = format!("{what} {name}");
            let test = match (what, &header) {
                ("header", Ok(header)) => Test::Header(header.clone(), test),
                ("query", _) => Test::Query(name.clone(), test),
                _ => Test::Cookie(name.clone(), test),
            };
            Ok((test, subject))
        });
    }

    /// A table that must have exactly one of these words.
    fn one(
        &mut self,
        node: &'a Node,
        what: &str,
        words: &[&'static str],
        found: &mut Found,
        read: impl Fn(&Written<'a>, &mut Self) -> Parsed<(Test, String)>,
    ) {
        let Value::Table(table) = &node.value else { return };
        let there = words.iter().filter_map(|word| Some((*word, table.get(word)?)));
        let there: Vec<_> = there.collect();
        let place = format!("route.match.{what}");
        let [(word, value)] = there[..] else {
            let has = if there.is_empty() { "has none" } else { "has several" };
            let allowed = format!("one of {}", words.join(", "));
            if !there.is_empty() || table.removed.is_empty() {
                self.tell(node.key.clone(), &format!("{place}: {has}; allowed is {allowed}"), None);
            }
            return;
        };
        // `present = false` says as much as `not`.
        let absent = word == "present" && matches!(value.value, Value::Switch(false));
        let written = Written { word, node: value, not: is_true(table, "not") != absent };
        let name = table.get("name").and_then(Node::text).unwrap_or_default();
        let is_hidden = word != "present" && is_on_secrets(what, &name);
        let shown = if is_hidden { super::MASKED.to_owned() } else { value.shown() };
        match read(&written, self) {
            Ok((test, subject)) => {
                let text = text_of(written.not, &subject, word, &shown);
                found.push((node.key.clone(), Condition { not: written.not, test, text }));
            }
            Err(why) => {
                let setting = settings::of(&format!("{place}.{word}"));
                let (place, allowed) = (format!("{place}.{word}"), setting.allowed);
                self.bad_node(value, &place, &shown, &why, allowed);
            }
        }
    }

    /// One regular expression more; compiling it takes time and memory.
    fn regex<T>(&mut self, text: &str, build: impl Fn(&str) -> Parsed<T>) -> Parsed<T> {
        self.regexes += 1;
        if self.regexes > REGEXES_MAX {
            return Err(format!("is one of more than {REGEXES_MAX} regular expressions"));
        }
        build(text).map_err(|error| regex_error(&error))
    }
}

impl Written<'_> {
    fn text(&self) -> Parsed<String> {
        match &self.node.value {
            Value::Text(text) if text.is_empty() => Err("is empty".to_owned()),
            Value::Text(text) => Ok(text.clone()),
            _ => Err("is no text".to_owned()),
        }
    }
}

fn path_test(word: &str, text: &str, env: &mut Env<'_>) -> Parsed<PathTest> {
    let is_whole = word == "regex" || (word == "exact" && text == "*");
    if !is_whole && !text.starts_with('/') {
        return Err("does not begin with a slash".to_owned());
    }
    if word != "regex" && text.contains(['?', '#']) {
        return Err(
            "has a query, which no path has; a query parameter is another condition".to_owned()
        );
    }
    Ok(match word {
        "exact" => PathTest::exact(text),
        "prefix" => PathTest::prefix(text),
        "template" => PathTest::template(text)?,
        _ => PathTest::Regex(env.regex(text, path_regex)?),
    })
}

fn value_test(written: &Written<'_>, env: &mut Env<'_>) -> Parsed<ValueTest> {
    let text = || match &written.node.value {
        Value::Text(text) => Ok(text.clone()),
        _ => Err("is no text".to_owned()),
    };
    Ok(match written.word {
        "present" => ValueTest::Present,
        "exact" => ValueTest::Exact(text()?),
        "prefix" => ValueTest::Prefix(written.text()?),
        "regex" => ValueTest::Regex(env.regex(&written.text()?, value_regex)?),
        _ => {
            let (least, most) = range(written.node)?;
            ValueTest::Range(least, most)
        }
    })
}

fn range(node: &Node) -> Parsed<(f64, f64)> {
    let Value::List(items) = &node.value else { return Err("is no list".to_owned()) };
    let number = |item: &Node| match item.value {
        Value::Number(number) => number,
        #[expect(clippy::cast_precision_loss, reason = "values of headers are read so as well")]
        Value::Whole(number) => number as f64,
        _ => f64::NAN,
    };
    let numbers: Vec<_> = items.iter().map(number).collect();
    match numbers[..] {
        [least, most] if least.is_finite() && most.is_finite() && least <= most => {
            Ok((least, most))
        }
        [least, most] if least > most => Err("has the greatest first".to_owned()),
        _ => Err("has no number in it".to_owned()),
    }
}

/// As requests have it: in lower case, without a port and a dot at the end.
fn host(text: &str) -> Parsed<String> {
    let is_address = text.starts_with('[');
    if text.contains('*') {
        let pattern = regex::escape(text).replace("\\*", ".*");
        return Err(format!("has a *, which no host has (as a pattern: regex = '{pattern}')"));
    }
    if text.contains(['/', '@', ' ']) || (text.contains(':') && !is_address) {
        return Err("is more than a host".to_owned());
    }
    Ok(text.trim_end_matches('.').to_ascii_lowercase())
}

fn is_no_name(name: &str, what: &str) -> bool {
    let in_a_cookie = |c: char| c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?={}".contains(c);
    !(1..=NAME_MAX).contains(&name.len()) || (what == "cookie" && !name.chars().all(in_a_cookie))
}

fn is_true(table: &Table, name: &str) -> bool {
    matches!(table.get(name), Some(Node { value: Value::Switch(true), .. }))
}

fn text_of(not: bool, subject: &str, word: &str, value: &str) -> String {
    let not = if not { "not " } else { "" };
    match word {
        "present" => format!("{not}{subject} present"),
        "any_of" => format!("{not}{subject} = {value}"),
        _ => format!("{not}{subject} {word} {value}"),
    }
}

/// What is wrong with it has several lines, of which the last tells it.
fn regex_error(error: &str) -> String {
    match error.lines().last().and_then(|last| last.strip_prefix("error: ")) {
        Some(why) => format!("is no regular expression ({why})"),
        None => error.lines().last().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests;
