//! Variables of the environment that look like settings and are none.

use super::names::of_env;
use super::settings::{self, NAMES, Setting};

/// What names of settings begin with, and hardly any others.
const PREFIXES: [&str; 3] = ["MIRROR_", "ABORT_", "REPORT_"];
/// With a shorter name than this, one other letter makes another word.
const NEAR_LENGTH: usize = 6;
/// From this length on two letters may differ.
const FAR_LENGTH: usize = 16;

/// The name with the likely one, where it looks like a setting and is none.
pub(super) fn told(name: &str) -> Option<String> {
    if NAMES.contains(&name) {
        return None;
    }
    let meant = in_other_case(name).or_else(|| as_in_file(name)).or_else(|| near(name));
    let is_like = || PREFIXES.iter().any(|start| name.starts_with(start));
    match meant {
        Some(meant) => Some(format!("{name} (did you mean {meant}?)")),
        None if is_like() => Some(match of_env(name).and_then(|setting| setting.env) {
            Some(meant) => format!("{name} (did you mean {meant}?)"),
            None => name.to_owned(),
        }),
        None => None,
    }
}

fn in_other_case(name: &str) -> Option<String> {
    NAMES.iter().find(|known| known.eq_ignore_ascii_case(name)).map(|it| (*it).to_owned())
}

/// What is called so by its place in the file, such as `candidate.timeout`.
fn as_in_file(name: &str) -> Option<String> {
    let is_one = |setting: &&Setting| {
        let of_all = !["route.", "compare."].iter().any(|table| setting.place.starts_with(table));
        of_all && setting.place.replace('.', "_").to_uppercase() == name
    };
    let setting = settings::all().find(is_one)?;
    let in_file = || format!("{} in a settings file", setting.place);
    Some(setting.env.map_or_else(in_file, str::to_owned))
}

/// A name in which a letter or two are others.
fn near(name: &str) -> Option<String> {
    let most = match name.len() {
        ..NEAR_LENGTH => 0,
        NEAR_LENGTH..FAR_LENGTH => 1,
        _ => 2,
    };
    let is_near = |known: &&&str| strsim::damerau_levenshtein(known, name) <= most;
    NAMES.iter().find(is_near).map(|it| (*it).to_owned())
}
