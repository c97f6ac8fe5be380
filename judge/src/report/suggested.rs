//! Rules worth having: for what differs by itself, the one that hides least, ready to be pasted, with
//! what it hides besides. Nothing is suggested that the rules' file would refuse or that would do nothing.

use super::fields::Field;
use super::summary::{SuggestedIgnore, SuggestedRule};
use super::text::is_active;
use super::{FieldFindings, RouteFindings};
use compare::path::Path;
use compare::rules::{Class, Classes};
use compare::{Explained, Form, Kind};

/// Most suggestions for a route: fewer than the lenient rules that it may have.
const SUGGESTED_MAX: usize = 60;
/// Numbers that are farther apart, in billionths of the larger one, are other numbers.
const APART_MAX: u64 = 10_000_000;
/// Pairs that must have differed before a value is taken for a random one.
const RANDOM_MIN: u64 = 5;
/// Most fields named that a rule would hide besides.
const ALSO_MAX: usize = 10;

/// What a rule does with a field.
#[derive(Clone, Debug, PartialEq)]
enum Remedy {
    Ignore,
    IgnoreHeader,
    AnyOrder,
    ByKey(String),
    SameMoment,
    /// By at most this share of the larger number.
    Tolerance(f64),
    Class(Class),
}

/// A rule for one field.
struct Suggestion<'r> {
    /// A path, or the name of a header.
    of: &'r str,
    /// The same, read; none of a header.
    path: Option<Path>,
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
    let ignored = found.iter().filter(|it| it.remedy == Remedy::Ignore);
    let whole: Vec<_> = ignored.filter_map(|it| it.path.clone()).collect();
    found.retain(|it| !whole.iter().any(|whole| it.is_within(whole)));
    found.truncate(SUGGESTED_MAX);
    let file = file(&route.route, &found);
    // Others that differ, each read once.
    let others = route.fields.iter().filter(|it| !it.is_noise && it.field.raw > 0);
    let others = others.map(|it| (&*it.field, Path::parse(&it.field.name).ok()));
    let others: Vec<_> = if found.is_empty() { Vec::new() } else { others.collect() };
    (found.iter().map(|it| it.summary(route, &others)).collect(), file)
}

/// The rule that would settle one field, with what speaks for it: nothing is guessed of what is gone, new, or
/// of another type.
pub(super) fn of_field(route: &RouteFindings, found: &FieldFindings) -> Option<SuggestedRule> {
    let name = &*found.field.name;
    let (suggestion, evidence) = if found.is_noise {
        let Counted { raw, noise, pairs, samples } = Counted::of(route, &found.field);
        let evidence = format!(
            "two baselines differ here, too: in {noise} of {samples} answers, the candidate in {raw} of \
             {pairs}"
        );
        (Suggestion::of(route, name)?, evidence)
    } else {
        let (remedy, evidence) = settled(route, &found.field)?;
        let path = Some(whole_path(name)?);
        (Suggestion { of: name, path, remedy, fields: vec![found] }, evidence)
    };
    let hides = suggestion.hides();
    let rule = file(&route.route, &[suggestion])?;
    Some(SuggestedRule { rule, evidence, hides, leaves: None })
}

/// How often a field differs.
struct Counted {
    raw: u64,
    pairs: u64,
    noise: u64,
    samples: u64,
}

impl Counted {
    fn of(route: &RouteFindings, field: &Field) -> Self {
        let Field { raw, noise, .. } = *field;
        Self { raw, pairs: route.numbers.compared, noise, samples: route.noise_pairs }
    }
}

/// What would settle a field that is no noise, and what speaks for it.
fn settled(route: &RouteFindings, field: &Field) -> Option<(Remedy, String)> {
    let Counted { raw, pairs, .. } = Counted::of(route, field);
    let told = match &field.explained {
        Some(Explained::ByKey(key)) => {
            let evidence =
                format!("`{key}` pairs the elements in all {raw} of {raw} pairs in another order");
            Some((Remedy::ByKey(key.clone()), evidence))
        }
        Some(Explained::AsSet) => {
            let evidence =
                format!("most elements are equal in all {raw} of {raw} pairs in another order");
            Some((Remedy::AnyOrder, evidence))
        }
        Some(Explained::Form(Form::Moment)) if field.classes.contains(Class::Timestamp) => {
            let evidence = format!("the same moment on both sides in all {raw} of {raw} pairs");
            Some((Remedy::SameMoment, evidence))
        }
        Some(_) => None,
        None if field.kind() != Some(Kind::Value) => None,
        None => by_value(field, raw),
    };
    told.map(|(remedy, evidence)| {
        (remedy, format!("{evidence}; {raw} of {pairs} pairs differ here"))
    })
}

fn by_value(field: &Field, raw: u64) -> Option<(Remedy, String)> {
    if let Some(apart @ 1..=APART_MAX) = field.apart {
        let most = billionths(apart);
        let evidence = format!("the largest relative difference seen is {most:e}");
        return Some((Remedy::Tolerance(rounded_up(most)), evidence));
    }
    let random = raw >= RANDOM_MIN && field.repeated == 0;
    let class = field.classes.tightest().filter(|class| random && is_form(*class))?;
    let evidence = format!(
        "no value was one of the four before it on either side in {raw} pairs, and all are of class {}",
        class.name()
    );
    Some((Remedy::Class(class), evidence))
}

/// Whether a class says more than what type a value has.
fn is_form(class: Class) -> bool {
    !matches!(class, Class::Text | Class::Number)
}

#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
fn billionths(count: u64) -> f64 {
    count as f64 / 1e9
}

/// A share with one digit that counts, not below the one given.
fn rounded_up(share: f64) -> f64 {
    let unit = 10_f64.powf(share.log10().floor());
    let digits = (share / unit).ceil();
    // By way of text, so that it is written with as few digits as it has.
    format!("{digits}e{}", share.log10().floor()).parse().unwrap_or(share)
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

/// A path that a rule can have: a name that was cut, or that is no text, selects nothing.
fn whole_path(name: &str) -> Option<Path> {
    Path::parse(name).ok().filter(|_| !name.contains(['…', '\u{fffd}']))
}

impl<'r> Suggestion<'r> {
    /// None where no rule can name it, or only one that leaves nothing to compare.
    fn of(route: &'r RouteFindings, name: &'r str) -> Option<Self> {
        let noisy = route.fields.iter().filter(|it| it.is_noise && *it.field.name == *name);
        let fields: Vec<_> = noisy.collect();
        let all = |kind| fields.iter().all(|it| it.field.kind() == Some(kind));
        if let Some(header) = name.strip_prefix("header ") {
            let remedy = Remedy::IgnoreHeader;
            return all(Kind::Header).then_some(Self { of: header, path: None, remedy, fields });
        }
        let path = whole_path(name)?;
        let classes = fields.iter().map(|it| it.field.classes);
        let class = classes.fold(Classes::ALL, Classes::and).tightest();
        let remedy = match class.filter(|_| all(Kind::Value)) {
            Some(class) => Remedy::Class(class),
            None if all(Kind::Order) => Remedy::AnyOrder,
            None if path.is_everything() => return None,
            None => Remedy::Ignore,
        };
        Some(Self { of: name, path: Some(path), remedy, fields })
    }

    /// The list that it stands in, and how it stands there.
    fn entry(&self) -> (&'static str, String) {
        let of = quoted(self.of);
        match &self.remedy {
            Remedy::Ignore => ("ignore", of),
            Remedy::IgnoreHeader => ("ignore_headers", of),
            Remedy::AnyOrder => ("arrays", format!("{{ path = {of}, unordered = true }}")),
            Remedy::ByKey(key) => ("arrays", format!("{{ path = {of}, key = {} }}", quoted(key))),
            Remedy::SameMoment => ("times", format!("{{ path = {of}, within = \"0s\" }}")),
            Remedy::Tolerance(share) => {
                ("numbers", format!("{{ path = {of}, relative = {share} }}"))
            }
            Remedy::Class(class) => {
                ("classes", format!("{{ path = {of}, class = \"{}\" }}", class.name()))
            }
        }
    }

    fn hides(&self) -> String {
        match &self.remedy {
            Remedy::Ignore => "whatever is there and in it: another value or type, a null, an \
                empty list, nothing at all"
                .to_owned(),
            Remedy::IgnoreHeader => "whatever it says, and that it is missing".to_owned(),
            Remedy::AnyOrder => "another order; elements that are new, gone or changed still \
                differ"
                .to_owned(),
            Remedy::ByKey(key) => format!(
                "another order of elements; those of one {key} are compared with each other, and new, gone or \
                 changed ones still differ"
            ),
            Remedy::SameMoment => "another way to write the same moment; another moment still \
                differs"
                .to_owned(),
            Remedy::Tolerance(share) => {
                format!("numbers that are apart by at most {share} of the larger one")
            }
            Remedy::Class(class) => format!(
                "any value of class {}; another type, a null or nothing at all still differs",
                class.name()
            ),
        }
    }

    /// Whether it is about something in what a path selects.
    fn is_within(&self, whole: &Path) -> bool {
        let steps = self.path.as_ref().and_then(|path| whole.steps_to(path));
        steps.is_some_and(|steps| steps > 0)
    }

    /// Whether it would hide what differs in a field, which is at a path.
    fn covers(&self, field: &Field, path: Option<&Path>) -> bool {
        if self.remedy == Remedy::IgnoreHeader {
            return field.name.strip_prefix("header ") == Some(self.of);
        }
        let steps = self.path.as_ref().zip(path).and_then(|(one, other)| one.steps_to(other));
        let Some(steps) = steps else { return false };
        let is_selected = match &self.remedy {
            Remedy::Ignore => return true,
            Remedy::IgnoreHeader => false,
            Remedy::AnyOrder | Remedy::ByKey(_) => field.kind() == Some(Kind::Order),
            Remedy::SameMoment => field.explained == Some(Explained::Form(Form::Moment)),
            Remedy::Tolerance(_) => field.apart.is_some(),
            Remedy::Class(class) => field.classes.contains(*class),
        };
        steps == 0 && is_selected
    }

    /// With what it would hide besides, of these other fields.
    fn summary(&self, route: &RouteFindings, others: &[(&Field, Option<Path>)]) -> SuggestedIgnore {
        let (list, entry) = self.entry();
        let most = |count: fn(&Field) -> u64| {
            self.fields.iter().map(|it| count(&it.field)).max().unwrap_or_default()
        };
        let pairs = route.numbers.compared;
        let also = others.iter().filter(|(field, path)| self.covers(field, path.as_ref()));
        let also = also.take(ALSO_MAX).map(|(field, _)| {
            let kinds: Vec<_> = field.kinds().map(Kind::name).collect();
            let shape = field.shape.as_deref().map_or(String::new(), |it| format!(", {it}"));
            let Field { name, raw, .. } = *field;
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
    for wanted in ["ignore", "ignore_headers", "arrays", "numbers", "times", "classes"] {
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
