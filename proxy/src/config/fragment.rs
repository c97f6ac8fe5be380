//! Rules of the comparison alone, as they stand in a settings file: what is tried on pairs, or holds until
//! it is withdrawn.

use super::Errors;
use super::env::Env;
use super::file::{Document, Problems, Table, Value};
use crate::plan::Fragment;
use crate::policy::matcher::label_as_sent;

/// What they are called in messages.
const NAME: &str = "rules";
/// Lists that a `[compare]` or `[[route]]` may have here: those that let values differ. What is masked could
/// be unmasked by no other list, and what is compared besides is none of theirs.
const LISTS: [&str; 8] = [
    "ignore",
    "ignore_headers",
    "arrays",
    "numbers",
    "times",
    "classes",
    "json_strings",
    "null_equals_absent",
];
const ALLOWED: &str = "[compare], and [[route]] with its route, each with some of ignore, ignore_headers, \
                       arrays, numbers, times, classes, json_strings and null_equals_absent";

impl super::Config {
    /// The rules that a text has, each with the label of the route that it is for; none for all.
    ///
    /// # Errors
    /// All that is wrong with it, each with its line.
    pub fn fragment(text: &str) -> Result<Fragment, Errors> {
        let mut problems = Problems::default();
        let file = Document::parse(NAME, text.to_owned(), &mut problems);
        let nothing = |_: &str| None;
        let mut env = Env { file: Some(&file), problems, ..Env::new(&nothing) };
        let rules = env.fragment();
        let mut errors = env.errors;
        errors.extend(env.problems.texts());
        if errors.is_empty() && rules.is_empty() {
            errors.push(format!("{NAME}: there are none; allowed is {ALLOWED}"));
        }
        if errors.is_empty() {
            Ok(Fragment { text: text.to_owned(), rules })
        } else {
            Err(Errors(errors))
        }
    }
}

impl Env<'_> {
    fn fragment(&mut self) -> Vec<(Option<String>, compare::rules::RuleSet)> {
        let Some(file) = self.file else { return Vec::new() };
        self.nothing_but(&file.root, "", &["compare", "route"]);
        let mut rules = Vec::new();
        if let Some(table) = file.root.table("compare") {
            self.nothing_but(table, "compare.", &LISTS);
            rules.push((None, self.rules().all));
        }
        for (node, table) in file.root.tables("route") {
            self.nothing_but(table, "route.", &[&["route"][..], &LISTS].concat());
            match table.get("route").map(|node| &node.value) {
                Some(Value::Text(label)) => {
                    rules.push((Some(label_as_sent(label)), self.rules_of_route(table)));
                }
                _ => {
                    let what = "route.route: is missing; allowed is the label of a route, as in the report";
                    self.tell(node.key.clone(), what, None);
                }
            }
        }
        for (_, set) in &rules {
            self.bounds(&Default::default(), set, 0..0);
        }
        rules
    }

    fn nothing_but(&mut self, table: &Table, place: &str, names: &[&str]) {
        for (name, node) in table.members.iter().filter(|(name, _)| !names.contains(&name.as_str()))
        {
            let what = format!(
                "{place}{name}: is none of the rules that can be tried; allowed is {ALLOWED}"
            );
            self.tell(node.key.clone(), &what, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    #[test]
    fn rules_of_all_routes_and_of_single_ones_are_read() {
        let text = "[compare]\nignore = [\"nonce\"]\n[[route]]\nroute = \"GET /a\"\n\
                    arrays = [{ path = \"$.items\", key = \"id\" }]\n";
        let fragment = Config::fragment(text).unwrap();
        let labels: Vec<_> =
            fragment.rules.iter().map(|(label, set)| (label.as_deref(), set.rules.len())).collect();
        assert_eq!(labels, [(None, 1), (Some("GET /a"), 1)]);
    }

    #[test]
    fn what_is_no_rule_that_lets_values_differ_is_refused_with_its_line() {
        for (text, expected) in [
            ("", "there are none"),
            ("[compare]\nbuiltin = false", "rules:2:1: compare.builtin"),
            ("[compare]\nmask = [\"x\"]", "compare.mask: is none of the rules"),
            ("[[route]]\nroute = \"GET /a\"\nshare = 1.0\nignore = [\"x\"]", "route.share"),
            ("[[route]]\nignore = [\"x\"]", "route.route: is missing"),
            ("[mirror]\nfraction = 1.0", "mirror: is none of the rules"),
            ("[compare]\nignore = [\"$.[\"]", "compare.ignore"),
            ("[compare\n", "rules"),
        ] {
            let errors = Config::fragment(text).unwrap_err().to_string();
            assert!(errors.contains(expected), "{text}: {errors}");
        }
    }
}
