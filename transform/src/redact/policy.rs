//! What is personal or secret, said once: by the names of what it stands in, and by what it looks like.

use std::fmt;
use std::sync::Arc;

use http::HeaderName;
use memchr::memmem;
use percent_encoding::percent_decode;

use super::detect::{Kind, Kinds, hits};
use super::way::Way;
use crate::parts::json::Select;
use crate::value::Secret;

/// Most rules of a policy.
pub const RULES_MAX: usize = 64;

/// What one rule hides, and how. Names are matched without regard to the case of ASCII letters: a service may read
/// `Email` where another reads `email`.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What it is called where it is counted.
    pub name: Arc<str>,
    /// Headers, as they are called in lower case.
    pub headers: Vec<HeaderName>,
    /// Cookies.
    pub cookies: Vec<String>,
    /// Parameters of the query; `user[email]` and `user.email` are also called `user` and `email`.
    pub query: Vec<String>,
    /// Fields of forms, in the same way.
    pub form: Vec<String>,
    /// Values of JSON bodies.
    pub json: Vec<Select>,
    /// How they are hidden.
    pub way: Way,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    /// All that the rules select in JSON, and last all texts.
    select: Vec<Select>,
    /// The same for what is shown, with secrets before all texts.
    select_shown: Vec<Select>,
    /// The rule of each that is a rule's.
    pub(super) rule_of: Vec<usize>,
    /// The names of what the rules hide in bodies, in lower case.
    names: Vec<String>,
    /// What is put into copies and shown nowhere.
    secrets: Vec<Secret>,
    /// What is looked for in what is kept and shown.
    detect: Kinds,
    /// What is looked for in copies.
    detect_copies: Kinds,
    /// How what is found is hidden.
    way: Way,
}

/// Without any rule: what is kept and shown has nothing in it that looks personal.
impl Default for Policy {
    fn default() -> Self {
        Self::new(Vec::new(), Kinds::ALL, Kinds::NONE, Way::Mask)
    }
}

/// What was hidden, by whom, how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    rules: Vec<u32>,
    kinds: [u32; Kind::ALL.len()],
}

/// Who hides something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The rule at this place.
    Rule(usize),
    /// What it looks like.
    Looks(Kind),
}

impl Tally {
    pub(super) fn add(&mut self, by: By) {
        let count = match by {
            By::Looks(kind) => &mut self.kinds[kind as usize],
            By::Rule(rule) => {
                if self.rules.len() <= rule {
                    self.rules.resize(rule + 1, 0);
                }
                &mut self.rules[rule]
            }
        };
        *count = count.saturating_add(1);
    }

    /// What was hidden at least once.
    pub fn counts(&self) -> impl Iterator<Item = (By, u32)> {
        let rules = self.rules.iter().enumerate().map(|(rule, count)| (By::Rule(rule), *count));
        let kinds = Kind::ALL.into_iter().zip(self.kinds);
        rules
            .chain(kinds.map(|(kind, count)| (By::Looks(kind), count)))
            .filter(|(_, count)| *count > 0)
    }
}

impl Policy {
    /// A policy of these rules: `detect` in what is kept and shown, `detect_copies` in copies.
    pub fn new(rules: Vec<Rule>, detect: Kinds, detect_copies: Kinds, way: Way) -> Self {
        let selected = rules.iter().enumerate();
        let selected =
            selected.flat_map(|(index, rule)| rule.json.iter().map(move |it| (it, index)));
        let (mut select, rule_of): (Vec<_>, _) =
            selected.map(|(select, index)| (select.clone(), index)).unzip();
        let mut names: Vec<_> = select.iter().filter_map(name_of).collect();
        names.extend(rules.iter().flat_map(|rule| &rule.form).map(|it| it.to_ascii_lowercase()));
        let select_shown = [&select[..], &[Select::Secret, Select::Text]].concat();
        select.push(Select::Text);
        let secrets = Vec::new();
        Self { rules, select, select_shown, rule_of, names, secrets, detect, detect_copies, way }
    }

    /// The same, which shows none of these either; a secret that is a part of another comes behind it.
    #[must_use]
    pub fn with_secrets(self, secrets: Vec<Secret>) -> Self {
        Self { secrets, ..self }
    }

    /// What is put into copies and shown nowhere.
    pub(super) fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// The rules, in order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What the rules select in JSON, secrets where it is to be shown, and all texts where they are asked for.
    pub(super) fn select(&self, is_shown: bool, with_texts: bool) -> &[Select] {
        let select = if is_shown { &self.select_shown } else { &self.select };
        &select[..select.len() - usize::from(!with_texts)]
    }

    /// Whether any rule is for values of JSON.
    pub(super) fn has_json(&self) -> bool {
        !self.rule_of.is_empty()
    }

    /// Whether any rule is for parameters of a query.
    pub(super) fn has_query(&self) -> bool {
        self.rules.iter().any(|rule| !rule.query.is_empty())
    }

    /// Whether a text has a name in it, percent-encoded or not, under which a rule hides something of a body.
    pub(super) fn names_in(&self, text: &[u8]) -> bool {
        let lower = text.to_ascii_lowercase();
        let decoded: Vec<u8> = percent_decode(&lower).collect();
        let decoded = decoded.to_ascii_lowercase();
        let is_in = |name: &String| {
            [&lower, &decoded].iter().any(|text| memmem::find(text, name.as_bytes()).is_some())
        };
        self.names.iter().any(is_in)
    }

    /// Whether a text that may be cut or not quite JSON has such a name in quotes in it.
    pub(super) fn names_key_in(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        self.names.iter().any(|name| {
            text.match_indices(name.as_str())
                .any(|(at, _)| text[at + name.len()..].starts_with(['"', '\\']))
        })
    }

    /// What is looked for in what is kept and shown.
    pub fn detect(&self) -> Kinds {
        self.detect
    }

    /// Whether any rule is for fields of forms.
    pub(super) fn has_form(&self) -> bool {
        self.rules.iter().any(|rule| !rule.form.is_empty())
    }

    /// What is looked for in copies.
    pub fn detect_copies(&self) -> Kinds {
        self.detect_copies
    }

    /// How what is found by its looks is hidden.
    pub fn way(&self) -> &Way {
        &self.way
    }

    /// Whether it leaves every copy as it is.
    pub fn leaves_copies(&self) -> bool {
        self.rules.is_empty() && self.detect_copies.is_empty()
    }

    /// What one counts as.
    pub fn name(&self, by: By) -> &str {
        match by {
            By::Rule(rule) => &self.rules[rule].name,
            By::Looks(kind) => kind.name(),
        }
    }

    /// How one hides.
    pub fn way_of(&self, by: By) -> &Way {
        match by {
            By::Rule(rule) => &self.rules[rule].way,
            By::Looks(_) => &self.way,
        }
    }

    /// The rule that hides what has this name, of the names that `of` gives; `user[email][]` and `user.email` are also
    /// called by each part of theirs.
    pub(super) fn named(&self, name: &str, of: impl Fn(&Rule) -> &[String]) -> Option<usize> {
        let is_blank = |c: char| c.is_whitespace() || c.is_control();
        let parts =
            || name.split(['[', ']', '.', ';', '?']).map(|part| part.trim_matches(is_blank));
        let parts = || parts().filter(|part| !part.is_empty());
        self.rules.iter().position(|rule| {
            of(rule).iter().any(|it| {
                it.eq_ignore_ascii_case(name) || parts().any(|part| it.eq_ignore_ascii_case(part))
            })
        })
    }

    /// Whether anything in a text looks personal.
    pub fn is_hidden(&self, text: &[u8]) -> bool {
        hits(text, self.detect).next().is_some()
    }
}

/// The name of the members that are selected, in lower case.
fn name_of(select: &Select) -> Option<String> {
    match select {
        Select::Key(name) => Some(name.to_ascii_lowercase()),
        Select::Path(path) => path.last_name().map(str::to_ascii_lowercase),
        Select::Secret | Select::Text => None,
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum: u64 = self.counts().map(|(_, count)| u64::from(count)).sum();
        write!(f, "{sum}")
    }
}

/// A text with another in the place of what looks like one of these kinds; `None` leaves it.
pub(super) fn replaced<'t>(
    text: &'t str,
    kinds: Kinds,
    mut with: impl FnMut(Kind, &str) -> Option<String>,
) -> std::borrow::Cow<'t, str> {
    let mut out = String::new();
    let mut at = 0;
    for hit in hits(text.as_bytes(), kinds) {
        let Some(with) = with(hit.kind, &text[hit.range.clone()]) else { continue };
        out.push_str(&text[at..hit.range.start]);
        out.push_str(&with);
        at = hit.range.end;
    }
    if at == 0 {
        return text.into();
    }
    out.push_str(&text[at..]);
    out.into()
}
