//! Tables (RFC 4180), by row and by the name of the column where the first row has names.

use std::borrow::Cow;
use std::ops::Range;

use xxhash_rust::xxh3::Xxh3;

use super::super::Grant;
use super::super::difference::Kind;
use super::align::runs;
use super::looks;
use super::told::{Read, Spot, Told, Unread};

/// Most rows of a side that are read.
const ROWS_MAX: usize = 2000;
/// Most fields of a side, and of a row.
const FIELDS_MAX: usize = 50_000;
const COLUMNS_MAX: usize = 256;
/// Said where all fields are the same.
const NOTHING: &str = "only white space, quotes and the ends of rows differ";

/// Rows of fields as they are written.
struct Table<'t> {
    fields: Vec<&'t [u8]>,
    /// Where each row ends in it.
    ends: Vec<usize>,
}

/// Tells of tables: first of their columns, then of the fields of rows that belong together.
pub(super) fn tell(
    texts: [&[u8]; 2],
    separators: [u8; 2],
    told: &mut Told<'_>,
    at: &Spot,
    grant: Grant<'_>,
) -> Read {
    let ours = Table::read(texts[0], separators[0], grant)?;
    let theirs = Table::read(texts[1], separators[1], grant)?;
    let has_names = ours.has_names() && theirs.has_names();
    let columns = columns(&ours, &theirs, has_names);
    if has_names {
        headers([&ours, &theirs], &columns, told, at);
    }
    let first = usize::from(has_names);
    if !grant((ours.ends.len() + theirs.ends.len()) * size_of::<u64>()) {
        return Err(Unread);
    }
    let both =
        |side: fn(&(usize, usize)) -> usize| columns.both.iter().map(side).collect::<Vec<_>>();
    let digests = [
        ours.digests(first, &both(|it| it.0), columns.all),
        theirs.digests(first, &both(|it| it.1), columns.all),
    ];
    for run in runs(&digests[0], &digests[1], grant)?.into_iter().filter(|run| !run.same) {
        let moved = |run: Range<usize>| run.start + first..run.end + first;
        block([(&ours, moved(run.ours)), (&theirs, moved(run.theirs))], &columns, told, at);
        if told.is_full() {
            break;
        }
    }
    Ok(NOTHING)
}

/// Which columns belong together, by their place in either side.
struct Columns {
    both: Vec<(usize, usize)>,
    /// There are no names, so that every field counts.
    all: bool,
}

fn columns(ours: &Table<'_>, theirs: &Table<'_>, has_names: bool) -> Columns {
    if !has_names {
        return Columns { both: Vec::new(), all: true };
    }
    let mut taken = vec![false; theirs.row(0).len()];
    let both = ours.row(0).iter().enumerate().filter_map(|(a, name)| {
        let is_other = |b: &usize| !taken[*b] && plain(theirs.row(0)[*b]) == plain(name);
        let b = (0..taken.len()).find(is_other)?;
        taken[b] = true;
        Some((a, b))
    });
    Columns { both: both.collect(), all: false }
}

/// Tells of columns that one side alone has, and of another order.
fn headers(sides: [&Table<'_>; 2], columns: &Columns, told: &mut Told<'_>, at: &Spot) {
    let [ours, theirs] = sides.map(|side| side.row(0));
    for (a, name) in ours.iter().enumerate() {
        if !columns.both.iter().any(|it| it.0 == a) {
            told.said(
                0,
                &at.and(&column(told, name)),
                Kind::Missing,
                [Some("a column".to_owned()), None],
            );
        }
    }
    for (b, name) in theirs.iter().enumerate() {
        if !columns.both.iter().any(|it| it.1 == b) {
            told.said(
                0,
                &at.and(&column(told, name)),
                Kind::Added,
                [None, Some("a column".to_owned())],
            );
        }
    }
    if !columns.both.is_sorted_by_key(|it| it.1) {
        let count = |names: &[&[u8]]| Some(format!("{} columns", names.len()));
        told.said(0, &at.and(&Spot::one("columns")), Kind::Order, [count(ours), count(theirs)]);
    }
}

fn column(told: &Told<'_>, name: &[u8]) -> Spot {
    let name = plain(name);
    let hidden = told.hides(name.trim_ascii());
    Spot { hidden, ..Spot::one(&format!("column {}", told.name(name.trim_ascii()))) }
}

/// A column that has no name for certain; the first row may have one all the same.
fn unnamed(told: &Told<'_>, sides: [&Table<'_>; 2], at: usize) -> Spot {
    let names = |side: &Table<'_>| {
        side.row(0).get(at).is_some_and(|name| told.hides(plain(name).trim_ascii()))
    };
    Spot { hidden: sides.into_iter().any(names), ..Spot::one(&format!("column {}", at + 1)) }
}

/// Rows that differ are told in pairs as far as both sides have them.
fn block(
    [(ours, our_run), (theirs, their_run)]: [(&Table<'_>, Range<usize>); 2],
    columns: &Columns,
    told: &mut Told<'_>,
    at: &Spot,
) {
    for index in 0..our_run.len().max(their_run.len()) {
        let (a, b) = (our_run.clone().nth(index), their_run.clone().nth(index));
        let order = our_run.start + index;
        let spot = at.and(&Spot::nth("row", a.or(b).unwrap_or_default() + 1));
        let fields = |count: usize| format!("{count} field{}", if count == 1 { "" } else { "s" });
        match (a, b) {
            (Some(a), Some(b)) => row([ours, theirs], [a, b], columns, told, (order, &spot)),
            (Some(a), None) => {
                told.said(order, &spot, Kind::Missing, [Some(fields(ours.row(a).len())), None]);
            }
            (None, Some(b)) => {
                told.said(order, &spot, Kind::Added, [None, Some(fields(theirs.row(b).len()))]);
            }
            (None, None) => {}
        }
        if told.is_full() {
            return;
        }
    }
}

fn row(
    [ours, theirs]: [&Table<'_>; 2],
    [a, b]: [usize; 2],
    columns: &Columns,
    told: &mut Told<'_>,
    (order, at): (usize, &Spot),
) {
    let (one, two) = (ours.row(a), theirs.row(b));
    let positions: Vec<(usize, usize)> = match columns.all {
        true => (0..one.len().max(two.len())).map(|column| (column, column)).collect(),
        false => columns.both.clone(),
    };
    for (a, b) in positions {
        let fields = [one.get(a), two.get(b)].map(|field| field.map(|field| plain(field)));
        if fields[0] == fields[1] {
            continue;
        }
        let mut inner = match columns.all {
            true => unnamed(told, [ours, theirs], a),
            false => column(told, ours.row(0)[a]),
        };
        let is_label = |row: &[&[u8]], at: usize| {
            at > 0
                && row.get(at - 1).is_some_and(|before| looks::is_label(&plain(before), told.rules))
        };
        inner.hidden |= is_label(one, a) || is_label(two, b);
        told.texts(order, &at.and(&inner), fields.each_ref().map(Option::as_deref));
    }
    let beyond = [one.len(), two.len()];
    if !columns.all
        && beyond[0].saturating_sub(ours.row(0).len())
            != beyond[1].saturating_sub(theirs.row(0).len())
    {
        told.said(order, at, Kind::Length, beyond.map(|count| Some(format!("{count} fields"))));
    }
}

impl<'t> Table<'t> {
    /// Splits a text; a quote that nobody closes ends with it.
    fn read(text: &'t [u8], separator: u8, grant: Grant<'_>) -> Result<Self, Unread> {
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text).trim_ascii_end();
        let most =
            text.iter().filter(|byte| matches!(**byte, b'\n') || **byte == separator).count() + 1;
        if most > FIELDS_MAX || !grant(most * (size_of::<&[u8]>() + size_of::<usize>())) {
            return Err(Unread);
        }
        let mut table = Self { fields: Vec::with_capacity(most), ends: Vec::with_capacity(most) };
        let (mut start, mut quoted) = (0, false);
        for (at, byte) in text.iter().enumerate() {
            match byte {
                b'"' => quoted = !quoted,
                b'\n' if !quoted => {
                    table
                        .fields
                        .push(text[start..at].strip_suffix(b"\r").unwrap_or(&text[start..at]));
                    table.ends.push(table.fields.len());
                    start = at + 1;
                }
                byte if *byte == separator && !quoted => {
                    table.fields.push(&text[start..at]);
                    start = at + 1;
                }
                _ => {}
            }
        }
        table.fields.push(&text[start..]);
        table.ends.push(table.fields.len());
        let is_wide = (0..table.ends.len()).any(|row| table.row(row).len() > COLUMNS_MAX);
        if table.ends.len() > ROWS_MAX || is_wide { Err(Unread) } else { Ok(table) }
    }

    fn row(&self, row: usize) -> &[&'t [u8]] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.fields[start..self.ends[row]]
    }

    /// Whether the first row looks like names: there are other rows, and no field of it is empty or begins like a
    /// number.
    fn has_names(&self) -> bool {
        let is_name = |field: &&[u8]| {
            let field = plain(field);
            let first = field.trim_ascii().first().copied();
            first.is_some_and(|first| !first.is_ascii_digit() && !b"-+.".contains(&first))
        };
        self.ends.len() > 1 && self.row(0).iter().all(is_name)
    }

    /// Of each row from this one on, of these columns.
    fn digests(&self, first: usize, columns: &[usize], all: bool) -> Vec<u64> {
        let digest = |row: usize| {
            let mut hasher = Xxh3::new();
            let fields = self.row(row);
            let mut add = |field: Option<&&[u8]>| {
                hasher.update(&field.map_or(0, |field| plain(field).len() + 1).to_le_bytes());
                hasher.update(&plain(field.copied().unwrap_or_default()));
            };
            match all {
                true => fields.iter().for_each(|field| add(Some(field))),
                false => columns.iter().for_each(|column| add(fields.get(*column))),
            }
            if !all {
                let beyond = fields.len().saturating_sub(self.row(0).len());
                hasher.update(&beyond.to_le_bytes());
            }
            hasher.digest()
        };
        (first..self.ends.len()).map(digest).collect()
    }
}

/// A field without its quotes.
fn plain<'f>(field: &'f [u8]) -> Cow<'f, [u8]> {
    let inner = field.trim_ascii().strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let Some(inner) = inner else { return Cow::Borrowed(field) };
    if !inner.contains(&b'"') {
        return Cow::Borrowed(inner);
    }
    let mut plain = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        plain.push(*byte);
        if *byte == b'"' && bytes.as_slice().first() == Some(&b'"') {
            bytes.next();
        }
    }
    Cow::Owned(plain)
}
