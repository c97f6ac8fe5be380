//! The rules of the comparison, for all routes (`[compare]`) and for single ones (`[[route]]`). As
//! written here; as they are meant in [`compare::rules`].

use http::HeaderName;
use toml::Spanned;

use super::env::Env;
use super::file::{Node, Table, Value};
use super::{settings, values};
use compare::path::{self, Path};
use compare::rules::{
    Class, LENIENT_MAX, MaskAs, Pairing, RULES_MAX, Rule, RuleBook, RuleSet, Select, Tolerance,
    What,
};

/// Longest name of a key.
const KEY_MAX: usize = 256;
const KEY: &str = "the name of a key, of 1 to 256 bytes";
const HEADER: &str = "the name of a header";

/// `[compare]`, or what a `[[route]]` has besides.
#[derive(Default)]
struct Section {
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

struct ArrayAsWritten {
    path: Spanned<String>,
    unordered: Option<bool>,
    key: Option<Spanned<String>>,
}

struct NumberAsWritten {
    path: Spanned<String>,
    absolute: Option<Spanned<f64>>,
    relative: Option<Spanned<f64>>,
}

struct TimeAsWritten {
    path: Spanned<String>,
    within: Spanned<String>,
}

struct ClassAsWritten {
    path: Spanned<String>,
    class: Spanned<String>,
}

impl Section {
    /// What the structural pass has left of it.
    fn read(table: &Table) -> Self {
        let texts = |name| texts(table, name);
        Self {
            builtin: table.get("builtin").and_then(switch),
            headers: table.get("headers").map(|_| texts("headers")),
            null_equals_absent: is_true(table, "null_equals_absent").unwrap_or_default(),
            ignore: texts("ignore"),
            ignore_headers: texts("ignore_headers"),
            mask: texts("mask"),
            mask_headers: texts("mask_headers"),
            mask_as: table.get("mask_as").and_then(text),
            arrays: each(table, "arrays", |table| {
                let unordered = is_true(table, "unordered");
                Some(ArrayAsWritten { path: of(table, "path")?, unordered, key: of(table, "key") })
            }),
            numbers: each(table, "numbers", |table| {
                let number = |name| table.get(name).and_then(number);
                let (absolute, relative) = (number("absolute"), number("relative"));
                Some(NumberAsWritten { path: of(table, "path")?, absolute, relative })
            }),
            times: each(table, "times", |table| {
                Some(TimeAsWritten { path: of(table, "path")?, within: of(table, "within")? })
            }),
            classes: each(table, "classes", |table| {
                Some(ClassAsWritten { path: of(table, "path")?, class: of(table, "class")? })
            }),
            json_strings: texts("json_strings"),
        }
    }
}

fn text(node: &Node) -> Option<Spanned<String>> {
    match &node.value {
        Value::Text(text) => Some(Spanned::new(node.span.clone(), text.clone())),
        // A time may be whole seconds.
        Value::Whole(number) => Some(Spanned::new(node.span.clone(), number.to_string())),
        _ => None,
    }
}

fn switch(node: &Node) -> Option<Spanned<bool>> {
    match node.value {
        Value::Switch(is_true) => Some(Spanned::new(node.span.clone(), is_true)),
        _ => None,
    }
}

fn number(node: &Node) -> Option<Spanned<f64>> {
    let number = match node.value {
        Value::Number(number) => number,
        #[expect(clippy::cast_precision_loss, reason = "a tolerance has no 16 digits")]
        Value::Whole(number) => number as f64,
        _ => return None,
    };
    Some(Spanned::new(node.span.clone(), number))
}

fn is_true(table: &Table, name: &str) -> Option<bool> {
    table.get(name).and_then(switch).map(Spanned::into_inner)
}

fn of(table: &Table, name: &str) -> Option<Spanned<String>> {
    table.get(name).and_then(text)
}

fn texts(table: &Table, name: &str) -> Vec<Spanned<String>> {
    match table.get(name).map(|node| &node.value) {
        Some(Value::List(items)) => items.iter().filter_map(text).collect(),
        _ => Vec::new(),
    }
}

/// Of each table that has what it must have; of others it is told already.
fn each<T>(table: &Table, name: &str, read: impl Fn(&Table) -> Option<T>) -> Vec<T> {
    table.tables(name).into_iter().filter_map(|(_, table)| read(table)).collect()
}

impl Env<'_> {
    /// The rules for all routes; the built-in ones without a file.
    pub(super) fn rules(&mut self) -> RuleBook {
        let Some(file) = self.file else { return RuleBook::default() };
        let Some(table) = file.root.table("compare") else { return RuleBook::default() };
        let section = Section::read(table);
        let builtin = section.builtin.as_ref().is_none_or(|it| *it.get_ref());
        let default_headers = section.headers.is_none();
        let all = Reader { env: self }.section(&section, "compare");
        RuleBook { builtin, default_headers, all, ..RuleBook::default() }
    }

    /// Those that a `[[route]]` has besides.
    pub(super) fn rules_of_route(&mut self, table: &Table) -> RuleSet {
        Reader { env: self }.section(&Section::read(table), "route")
    }

    /// There may not be too many for one route.
    pub(super) fn bounds(&mut self, all: &RuleSet, route: &RuleSet, at: std::ops::Range<usize>) {
        let rules = || all.rules.iter().chain(&route.rules);
        let lenient = |rule: &&Rule| rule.what.is_lenient();
        let (count, lenient) = (rules().count(), rules().filter(lenient).count());
        if count > RULES_MAX || lenient > LENIENT_MAX {
            let what = format!(
                "{count} rules for one route, {lenient} of them for numbers, times and classes; \
                 allowed is {RULES_MAX} and {LENIENT_MAX}"
            );
            self.tell(at, &what, None);
        }
    }
}

/// Reads values and gathers what is wrong with them.
struct Reader<'r, 'a> {
    env: &'r mut Env<'a>,
}

impl Reader<'_, '_> {
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
                MaskAs::Hash | MaskAs::Alias(_) => self.select(it, table, "mask"),
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
        let mut number = |it: &Option<Spanned<f64>>, name: &str, below: f64| {
            let Some(it) = it else { return Some(0.0) };
            let number = *it.get_ref();
            let good = (0.0..below).contains(&number);
            if !good {
                let allowed = settings::of(&format!("compare.numbers.{name}")).allowed;
                self.bad(it, &format!("{field}.{name}"), "is out of range", allowed);
            }
            good.then_some(number)
        };
        let absolute = number(&written.absolute, "absolute", f64::INFINITY);
        let relative = number(&written.relative, "relative", 1.0);
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

    fn rule(&self, text: &Spanned<String>, list: &str, what: Option<What>) -> Option<Rule> {
        Some(Rule {
            what: what?,
            text: format!("{list} {:?}", text.get_ref()),
            place: format!(
                "line {}",
                self.env.file.map_or(0, |file| file.line_number(text.span().start))
            ),
        })
    }

    fn bad<T: std::fmt::Debug>(
        &mut self,
        value: &Spanned<T>,
        field: &str,
        why: &str,
        allowed: &str,
    ) {
        let what = format!("{field} = {:?}: {why}; allowed is {allowed}", value.get_ref());
        self.env.tell(value.span(), &what, None);
    }
}

#[cfg(test)]
mod tests;
