//! What a name that is not known was probably meant to be.

use super::settings::{self, FILE, Setting, Shape, Times};

/// Two names that are this alike are probably meant to be one.
const ALIKE: f64 = 0.7;
/// The same for names of the environment, which have much in common.
const ALIKE_IN_ENV: f64 = 0.85;
/// A longer one is no misspelt name.
const WORD_MAX: usize = 64;
/// With more places than these it is not known which was meant.
const PLACES_MAX: usize = 5;

/// The name in the table at this place, or else the place in another one. What is a name of the
/// environment is meant as one, whatever it is like.
pub(super) fn probable(name: &str, shape: &Shape, place: &str) -> Option<String> {
    let setting = settings::NAMES.iter().find(|known| known.eq_ignore_ascii_case(name));
    let of_setting = |setting: &Setting| {
        let (table, last) = setting.place.rsplit_once('.')?;
        Some(if table == place { last } else { setting.place }.to_owned())
    };
    setting
        .and_then(|name| of_setting(settings::of(name)))
        .or_else(|| beside(name, shape).map(str::to_owned))
        .or_else(|| as_in_env(name, shape, place))
        .or_else(|| of_setting(of_env(name)?))
        .or_else(|| elsewhere(name, shape, place))
}

/// The name in the same table: in another letter case, or misspelt.
pub(super) fn beside(name: &str, shape: &Shape) -> Option<&'static str> {
    let names = || shape.children.iter().map(|child| child.name);
    let same = names().find(|known| known.eq_ignore_ascii_case(name));
    same.or_else(|| likely(name, names()))
}

/// The name in the same table of what ends so in the environment: `fraction` is `share`.
fn as_in_env(name: &str, shape: &Shape, place: &str) -> Option<String> {
    let end = format!("_{}", name.to_ascii_uppercase());
    let known = settings::NAMES.iter().filter(|known| known.ends_with(&end));
    let mut places = known.filter_map(|known| settings::of(known).place.rsplit_once('.'));
    let own = places.clone().find(|(table, _)| *table == place);
    // What files call so, too, is meant as that.
    let is_of_files = places.clone().any(|(_, last)| last == name);
    let there = || places.find(|(_, last)| !is_of_files && shape.child(last).is_some());
    let found = own.or_else(there);
    found.map(|(_, last)| last.to_owned())
}

/// The setting that has nearly this name in the environment.
pub(super) fn of_env(name: &str) -> Option<&'static Setting> {
    let name = name.to_ascii_uppercase();
    let known = nearest(&name, settings::NAMES.iter().copied(), ALIKE_IN_ENV, false)?;
    Some(settings::of(known))
}

/// The places that have this name: below the table, or else anywhere, those of the fewest tables.
fn elsewhere(name: &str, shape: &Shape, place: &str) -> Option<String> {
    let mut found = Vec::new();
    places_of(|known| known == name, shape, place, &mut found);
    if found.is_empty() {
        let is_like = |known: &str| likely(name, std::iter::once(known)).is_some();
        if !place.is_empty() {
            places_of(is_like, shape, place, &mut found);
        }
    }
    let is_below = !found.is_empty();
    if !is_below {
        places_of(|known| known == name, &FILE, "", &mut found);
    }
    let depth = |place: &String| place.matches('.').count();
    let least = found.iter().map(depth).min()?;
    found.retain(|place| depth(place) == least);
    found.sort_by_key(|place| !place.starts_with("mirror."));
    if found.len() > PLACES_MAX {
        found.truncate(PLACES_MAX - 1);
        found.push("others".to_owned());
    }
    let last = found.pop()?;
    match found.len() {
        0 => Some(last),
        _ if last == "others" && (place.is_empty() || !is_below) => None,
        _ => Some(format!("{} or {last}", found.join(", "))),
    }
}

fn places_of(
    is_it: impl Fn(&str) -> bool + Copy,
    shape: &Shape,
    place: &str,
    found: &mut Vec<String>,
) {
    for child in &shape.children {
        let here = join(place, child.name);
        // Names in lists in tables, such as `path` of a rule, are hardly ever meant.
        if place.is_empty() || child.times != Times::Many {
            places_of(is_it, child, &here, found);
        }
        if is_it(child.name) {
            found.push(here);
        }
    }
}

/// A table as its line is written: `[[route]]`, `[route.match]`; `None` where the place is no table.
pub(super) fn header(place: &str) -> Option<String> {
    let shape = table(place)?;
    let is_list = shape.times == Times::Many;
    Some(if is_list { format!("[[{place}]]") } else { format!("[{place}]") })
}

/// Whether a list of tables may be where a table may.
pub(super) fn may_be_list(place: &str) -> bool {
    table(place).is_some_and(|shape| shape.times == Times::Any)
}

fn table(place: &str) -> Option<&'static Shape> {
    let mut names = place.split('.');
    let shape = names.try_fold(&*FILE, |shape: &'static Shape, name| shape.child(name))?;
    (!shape.children.is_empty()).then_some(shape)
}

pub(super) fn join(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

/// Of these words the one most like it, where any is.
pub(super) fn likely<'w>(word: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    nearest(word, words, ALIKE, true)
}

fn nearest<'w>(
    word: &str,
    words: impl Iterator<Item = &'w str>,
    alike: f64,
    begins: bool,
) -> Option<&'w str> {
    if word.len() > WORD_MAX {
        return None;
    }
    let score = |known: &str| {
        let score = strsim::normalized_damerau_levenshtein(word, known);
        let begins =
            begins && word.len() >= 3 && (known.starts_with(word) || word.starts_with(known));
        if begins { score.max(alike) } else { score }
    };
    let scored = words.map(|known| (score(known), known));
    let (score, known) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (score >= alike).then_some(known)
}
