//! Rules worth having: for what differs by itself, the one that hides least, ready to be pasted, with
//! what it hides besides. Nothing is suggested that the rules' file would refuse or that would do nothing.

use super::fields::Field;
use super::summary::SuggestedIgnore;
use super::text::is_active;
use super::{FieldFindings, RouteFindings};
use compare::Kind;
use compare::path::Path;
use compare::rules::{Class, Classes};

/// Most suggestions for a route: fewer than the lenient rules that it may have.
const SUGGESTED_MAX: usize = 60;
/// Most fields named that a rule would hide besides.
const ALSO_MAX: usize = 10;

/// What a rule does with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    Ignore,
    IgnoreHeader,
    AnyOrder,
    Class(Class),
}

/// A rule for one field.
struct Suggestion<'r> {
    /// A path, or the name of a header.
    of: &'r str,
    remedy: Remedy,
    fields: Vec<&'r FieldFindings>,
}

/// The rules worth having on a route, and all of them as they stand in a file.
pub(super) fn suggestions(route: &RouteFindings) -> (Vec<SuggestedIgnore>, Option<String>) {
    let mut found: Vec<Suggestion<'_>> = Vec::new();
    for name in noisy_names(route) {
        found.extend(Suggestion::of(route, name));
    }
    // What is left out as a whole needs no rule for its parts.
    let whole: Vec<_> =
        found.iter().filter(|it| it.remedy == Remedy::Ignore).map(|it| it.of).collect();
    found.retain(|it| !whole.iter().any(|path| is_within(it.of, path)));
    found.truncate(SUGGESTED_MAX);
    let file = file(&route.route, &found);
    (found.iter().map(|it| it.summary(route)).collect(), file)
}

fn noisy_names(route: &RouteFindings) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for field in route.fields.iter().filter(|field| field.is_noise) {
        if !names.contains(&&*field.field.name) {
            names.push(&field.field.name);
        }
    }
    names
}

/// Whether one path leads into what another selects.
fn is_within(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.starts_with(['[', '.']))
}

impl<'r> Suggestion<'r> {
    /// None where no rule can name it, or only one that leaves nothing to compare.
    fn of(route: &'r RouteFindings, name: &'r str) -> Option<Self> {
        let noisy = route.fields.iter().filter(|it| it.is_noise && *it.field.name == *name);
        let fields: Vec<_> = noisy.collect();
        let all = |kind| fields.iter().all(|it| it.field.kind() == Some(kind));
        if let Some(header) = name.strip_prefix("header ") {
            let remedy = Remedy::IgnoreHeader;
            return all(Kind::Header).then_some(Self { of: header, remedy, fields });
        }
        // A name that was cut, or that is no text, selects nothing.
        let path = Path::parse(name).ok().filter(|_| !name.contains(['…', '\u{fffd}']))?;
        let classes = fields.iter().map(|it| it.field.classes);
        let class = classes.fold(Classes::ALL, Classes::and).tightest();
        let remedy = match class.filter(|_| all(Kind::Value)) {
            Some(class) => Remedy::Class(class),
            None if all(Kind::Order) => Remedy::AnyOrder,
            None if path.is_everything() => return None,
            None => Remedy::Ignore,
        };
        Some(Self { of: name, remedy, fields })
    }

    /// The list that it stands in, and how it stands there.
    fn entry(&self) -> (&'static str, String) {
        let of = quoted(self.of);
        match self.remedy {
            Remedy::Ignore => ("ignore", of),
            Remedy::IgnoreHeader => ("ignore_headers", of),
            Remedy::AnyOrder => ("arrays", format!("{{ path = {of}, unordered = true }}")),
            Remedy::Class(class) => {
                ("classes", format!("{{ path = {of}, class = \"{}\" }}", class.name()))
            }
        }
    }

    fn hides(&self) -> String {
        match self.remedy {
            Remedy::Ignore => "whatever is there and in it: another value or type, a null, an \
                empty list, nothing at all"
                .to_owned(),
            Remedy::IgnoreHeader => "whatever it says, and that it is missing".to_owned(),
            Remedy::AnyOrder => "another order; elements that are new, gone or changed still \
                differ"
                .to_owned(),
            Remedy::Class(class) => format!(
                "any value of class {}; another type, a null or nothing at all still differs",
                class.name()
            ),
        }
    }

    /// Whether it would hide what differs in a field.
    fn covers(&self, field: &Field) -> bool {
        match self.remedy {
            Remedy::Ignore => *field.name == *self.of || is_within(&field.name, self.of),
            Remedy::IgnoreHeader => field.name.strip_prefix("header ") == Some(self.of),
            Remedy::AnyOrder => *field.name == *self.of && field.kind() == Some(Kind::Order),
            Remedy::Class(class) => *field.name == *self.of && field.classes.contains(class),
        }
    }

    fn summary(&self, route: &RouteFindings) -> SuggestedIgnore {
        let (list, entry) = self.entry();
        let most = |count: fn(&Field) -> u64| {
            self.fields.iter().map(|it| count(&it.field)).max().unwrap_or_default()
        };
        let pairs = route.numbers.compared;
        let also = route.fields.iter().filter(|it| !it.is_noise && it.field.raw > 0);
        let also = also.filter(|it| self.covers(&it.field)).take(ALSO_MAX).map(|it| {
            let kinds: Vec<_> = it.field.kinds().map(Kind::name).collect();
            let shape = it.field.shape.as_deref().map_or(String::new(), |it| format!(", {it}"));
            let Field { name, raw, .. } = &*it.field;
            format!("{name} ({}{shape}): {raw} of {pairs} pairs", kinds.join(", "))
        });
        SuggestedIgnore {
            path: self.fields.first().map_or(String::new(), |it| it.field.name.to_string()),
            rule: format!("{list} = [{entry}]"),
            hides: self.hides(),
            also_hides: also.collect(),
            raw: most(|field| field.raw),
            pairs,
            noise: most(|field| field.noise),
            noise_pairs: route.noise_pairs,
        }
    }
}

/// A table with all of them; none for a label that such a table cannot have.
fn file(label: &str, all: &[Suggestion<'_>]) -> Option<String> {
    let is_label = label == "other"
        || label.split_once(' ').is_some_and(|(method, path)| {
            method.bytes().all(|byte| byte.is_ascii_uppercase()) && path.starts_with('/')
        });
    if all.is_empty() || !is_label {
        return None;
    }
    let mut text = format!("[[route]]\nroute = {}\n", quoted(label));
    for wanted in ["ignore", "ignore_headers", "arrays", "classes"] {
        let entries = all.iter().map(Suggestion::entry).filter(|(list, _)| *list == wanted);
        let entries: Vec<_> = entries.map(|(_, entry)| entry).collect();
        if !entries.is_empty() {
            text.push_str(&format!("{wanted} = [{}]\n", entries.join(", ")));
        }
    }
    Some(text)
}

/// A basic string of TOML 1.0, without anything that a terminal acts on.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if is_active(c) => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
