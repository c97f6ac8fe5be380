//! Lines such as `[route.match]` of a text that is no TOML since a table or a name is there twice: the
//! mistake is then mostly the name of a table, or a table where a list of tables should be.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::{Document, Problems, hidden, structure};
use crate::config::names;
use crate::config::settings::{FILE, Times};

/// What the parser calls a name that is there twice.
const DUPLICATE: &str = "duplicate key";

/// A line that begins a table.
struct Header {
    /// Its names, each with where it stands.
    names: Vec<(String, Range<usize>)>,
    /// Whether it is of a list: `[[route]]`.
    is_list: bool,
    line: usize,
    /// Where the last one of the same names stands.
    before: Option<usize>,
    /// Whether it is told that it is there twice.
    is_told: bool,
}

impl Header {
    /// Reads the line of this number.
    fn read(document: &Document, number: usize) -> Option<Self> {
        let (line, start) = (document.text_of(number), document.lines[number]);
        let (begin, is_list) =
            if line.trim_start().starts_with("[[") { ("[[", true) } else { ("[", false) };
        let (close, open) = (if is_list { "]]" } else { "]" }, line.find('[')? + begin.len());
        line.trim_start().strip_prefix(begin)?;
        let (inner, behind) = line[open..].split_once(close)?;
        let behind = behind.trim_start();
        let is_bare = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let mut at = start + open;
        let mut names = Vec::new();
        for part in inner.split('.') {
            let name = part.trim();
            let from = at + part.len() - part.trim_start().len();
            names.push((name.to_owned(), from..from + name.len()));
            at += part.len() + 1;
        }
        let is_name = |(name, _): &(String, _)| !name.is_empty() && name.chars().all(is_bare);
        let is_whole = behind.is_empty() || behind.starts_with('#');
        let is_good = is_whole && names.iter().all(is_name);
        let (line, before, is_told) = (number, None, false);
        is_good.then_some(Self { names, is_list, line, before, is_told })
    }

    fn place(&self) -> String {
        let names: Vec<_> = self.names.iter().map(|(name, _)| name.as_str()).collect();
        names.join(".")
    }

    fn at(&self) -> Range<usize> {
        let first = self.names.first().map_or(0, |(_, at)| at.start);
        first..self.names.last().map_or(0, |(_, at)| at.end)
    }
}

/// What is wrong with a header.
struct Mistake {
    at: Range<usize>,
    what: String,
    meant: Option<String>,
    /// First names of tables whose doubles follow from it.
    roots: [String; 2],
}

fn mistake(header: &Header) -> Option<Mistake> {
    let (mut shape, mut place) = (&*FILE, String::new());
    for (name, at) in &header.names {
        let Some(child) = shape.child(name) else {
            let meant = names::probable(name, shape, &place);
            let full = meant.as_ref().map(|meant| {
                if meant.contains('.') { meant.clone() } else { names::join(&place, meant) }
            });
            let root = |place: &str| place.split('.').next().unwrap_or_default().to_owned();
            let roots = [root(&header.place()), root(full.as_deref().unwrap_or_default())];
            let meant = full.and_then(|full| names::header(&full)).or(meant);
            let what = structure::unknown(name, shape, &place);
            return Some(Mistake { at: at.clone(), what, meant, roots });
        };
        shape = child;
        place = names::join(&place, name);
    }
    let what = match (shape.children.is_empty(), shape.times, header.is_list) {
        (false, Times::Many, false) => {
            format!("{place}: is a table; allowed is tables, such as [[{place}]]")
        }
        (false, Times::Once, true) => {
            format!("{place}: is a list of tables; allowed is a table, such as [{place}]")
        }
        _ => return None,
    };
    let root = header.names.first().map(|(name, _)| name.clone()).unwrap_or_default();
    let meant = names::header(&place);
    Some(Mistake { at: header.at(), what, meant, roots: [root, String::new()] })
}

/// The headers of a file, and which doubles are told already.
pub(super) struct Headers {
    all: Vec<Header>,
    /// First names of tables that are told.
    told: HashSet<String>,
}

impl Headers {
    /// Tells of what is wrong with them, of each name once.
    pub(super) fn tell(document: &mut Document, problems: &mut Problems) -> Self {
        let all = headers(document);
        let (mut told, mut known, mut seen) = (HashSet::new(), HashSet::new(), HashSet::new());
        let new = all.iter().filter(|header| seen.insert((header.place(), header.is_list)));
        for Mistake { at, what, meant, roots } in new.filter_map(mistake) {
            if !known.insert(what.clone()) {
                continue;
            }
            told.extend(roots);
            hidden::hide_in_bad_text(document, at.start);
            problems.push(at.start, || document.error(&at, &what, meant.as_deref()));
            // Looking for what was meant takes its time.
            if !problems.has_room() {
                break;
            }
        }
        Self { all, told }
    }

    /// What is said of an error; `None` where it is told already, or follows from what is.
    pub(super) fn of_error(
        &mut self,
        document: &Document,
        at: usize,
        message: &str,
    ) -> Option<String> {
        if message != DUPLICATE {
            return Some(format!("{message}; allowed is TOML as docs/settings.md tells it"));
        }
        let line = document.line(at);
        let end = self.all.partition_point(|header| header.line <= line);
        let of_name = format!("{DUPLICATE}; allowed is each name once in a table");
        let Some(header) = self.all[..end].last_mut() else { return Some(of_name) };
        let root = header.names.first().map(|(name, _)| name);
        if header.is_told || root.is_some_and(|root| self.told.contains(root)) {
            return None;
        }
        if header.line != line {
            return Some(of_name);
        }
        header.is_told = true;
        Some(header.twice(document))
    }
}

impl Header {
    /// That it is there twice.
    fn twice(&self, document: &Document) -> String {
        let place = self.place();
        let first = self.before.map(|at| format!(", at {}", document.place(at)));
        let root = place.split_once('.').and_then(|(root, _)| names::header(root));
        let each = root.filter(|it| it.starts_with("[[")).map(|it| format!(" in each {it}"));
        let list = names::may_be_list(&place)
            .then(|| format!(", or a list of tables, such as [[{place}]]"));
        let [first, each, list] = [first, each, list].map(Option::unwrap_or_default);
        format!("{DUPLICATE}: [{place}] is there already{first}; allowed is one of it{each}{list}")
    }
}

/// Those outside texts of several lines.
fn headers(document: &Document) -> Vec<Header> {
    let mut found = Vec::new();
    let mut last = HashMap::new();
    let mut in_text = false;
    for line in 0..document.lines.len() {
        if !in_text && let Some(mut header) = Header::read(document, line) {
            header.before = last.insert(header.place(), header.at().start);
            found.push(header);
        }
        let text = document.text_of(line);
        let marks = text.matches("\"\"\"").count() + text.matches("'''").count();
        in_text ^= marks % 2 == 1;
    }
    found
}
